/* Values that are known when the plan is made, or as soon as sizes are: Constant, Shape and
 * Size of anything, ConstantOfShape, Range. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/op.h"

/* The one attribute of the node, as a tensor; `scalar` holds a single number's bytes. */
static int constant_value(const struct nn_op_call *call, struct nn_tensor *ret_value,
                          void *scalar)
{
    static const char *const names[] = {"value", "value_float", "value_floats", "value_int",
                                        "value_ints"};
    int given = 0, which = -1;
    for (int i = 0; i < 5; i++)
        if (nn_op_has(call, names[i])) {
            given++;
            which = i;
        }
    if (given != 1)
        return nn_op_fail(call, -EINVAL, "%d values; a constant has one", given);
    int count = 0;
    switch (which) {
    case 0:
        *ret_value = *nn_op_tensor(call, "value");
        return 0;
    case 1:
        memcpy(scalar, &(float){nn_op_float(call, "value_float", 0)}, sizeof(float));
        *ret_value = (struct nn_tensor){.type = NN_TYPE_FLOAT, .data = scalar};
        return 0;
    case 2:
        ret_value->data = (void *)(uintptr_t)nn_op_floats(call, "value_floats", &count);
        ret_value->type = NN_TYPE_FLOAT;
        break;
    case 3:
        memcpy(scalar, &(int64_t){nn_op_int(call, "value_int", 0)}, sizeof(int64_t));
        *ret_value = (struct nn_tensor){.type = NN_TYPE_INT64, .data = scalar};
        return 0;
    default:
        ret_value->data = (void *)(uintptr_t)nn_op_ints(call, "value_ints", &count);
        ret_value->type = NN_TYPE_INT64;
    }
    ret_value->shape = (struct nn_shape){.rank = 1, .dim = {count}};
    return 0;
}

static int infer_constant(struct nn_op_call *call)
{
    struct nn_tensor value;
    int64_t scalar;
    int r = constant_value(call, &value, &scalar);
    if (r < 0)
        return r;
    call->outputs[0].type = value.type;
    call->outputs[0].shape = value.shape;
    return 0;
}

static int constant(struct nn_op_call *call)
{
    struct nn_tensor value;
    int64_t scalar;
    int r = constant_value(call, &value, &scalar);
    if (r < 0)
        return r;
    size_t bytes = nn_tensor_bytes(&value);
    if (bytes > 0)
        memcpy(call->outputs[0].data, value.data, bytes);
    return 0;
}

/* Axes first..end-1 of the input; both may be negative, and are cut to the rank. */
static void shape_range(const struct nn_op_call *call, int *first, int *end)
{
    int64_t rank = call->inputs[0].shape.rank;
    int64_t a = nn_op_int(call, "start", 0), b = nn_op_int(call, "end", rank);
    a = a < -rank ? 0 : a < 0 ? a + rank : a > rank ? rank : a;
    b = b < -rank ? 0 : b < 0 ? b + rank : b > rank ? rank : b;
    *first = (int)a;
    *end = (int)(b < a ? a : b);
}

static int infer_shape(struct nn_op_call *call)
{
    int first, end;
    shape_range(call, &first, &end);
    call->outputs[0].type = NN_TYPE_INT64;
    call->outputs[0].shape = (struct nn_shape){.rank = 1, .dim = {end - first}};
    return 0;
}

static int shape(struct nn_op_call *call)
{
    int first, end;
    shape_range(call, &first, &end);
    for (int d = first; d < end; d++)
        ((int64_t *)call->outputs[0].data)[d - first] = call->inputs[0].shape.dim[d];
    return 0;
}

static int infer_size(struct nn_op_call *call)
{
    call->outputs[0].type = NN_TYPE_INT64;
    call->outputs[0].shape = (struct nn_shape){0};
    return 0;
}

static int size(struct nn_op_call *call)
{
    *(int64_t *)call->outputs[0].data = nn_shape_count(&call->inputs[0].shape);
    return 0;
}

/* --- ConstantOfShape -------------------------------------------------------------------- */

static int infer_constant_of_shape(struct nn_op_call *call)
{
    const struct nn_tensor *value = nn_op_tensor(call, "value");
    struct nn_shape shape = {0};
    bool late;
    if (value && nn_shape_count(&value->shape) != 1)
        return nn_op_fail(call, -EINVAL, "value has %lld elements, not one",
                          (long long)nn_shape_count(&value->shape));
    shape.rank = nn_op_sizes(call, 0, "the shape", shape.dim, NN_MAX_RANK, &late);
    if (shape.rank < 0)
        return shape.rank;
    for (int d = 0; d < shape.rank; d++)
        if (shape.dim[d] < 0)
            return nn_op_fail(call, -EINVAL, "the shape has a negative dimension");
    call->outputs[0].type = value ? value->type : NN_TYPE_FLOAT;
    call->outputs[0].shape = shape;
    call->outputs[0].late = late;
    return 0;
}

static int constant_of_shape(struct nn_op_call *call)
{
    const struct nn_tensor *value = nn_op_tensor(call, "value");
    size_t bytes = nn_type_size(call->outputs[0].type);
    size_t count = (size_t)nn_shape_count(&call->outputs[0].shape);
    char *to = call->outputs[0].data;
    if (!value)
        memset(to, 0, count * bytes);
    for (size_t i = 0; i < count && value; i++)
        memcpy(to + i * bytes, value->data, bytes);
    return 0;
}

/* --- Range ------------------------------------------------------------------------------ */

/* One of start, limit and delta: what a run will compute, by the most it can be. */
static int range_number(const struct nn_op_call *call, int index, double *ret_real,
                        int64_t *ret_integer)
{
    static const char *const names[] = {"start", "limit", "delta"};
    const struct nn_tensor *t = &call->inputs[index];
    const void *data = t->data || index != 1 ? t->data : t->most;
    if (nn_shape_count(&t->shape) != 1 || t->type != call->inputs[0].type)
        return nn_op_fail(call, -EINVAL, "start, limit and delta must be one %s each",
                          nn_type_name(call->inputs[0].type));
    if (!data)
        return nn_op_fail(call, -ENOTSUP, "%s is computed at run time and nothing bounds it",
                          names[index]);
    switch (t->type) {
    case NN_TYPE_FLOAT:
        *ret_real = (double)*(const float *)data;
        return 0;
    case NN_TYPE_INT16:
        *ret_integer = *(const int16_t *)data;
        return 0;
    case NN_TYPE_INT32:
        *ret_integer = *(const int32_t *)data;
        return 0;
    case NN_TYPE_INT64:
        *ret_integer = *(const int64_t *)data;
        return 0;
    default:
        return nn_op_fail(call, -EINVAL, "a range of %s does not exist", nn_type_name(t->type));
    }
}

struct range {
    double real[3];
    int64_t integer[3];
    int64_t count;
};

/* More elements than anything holds are told from an overflow by the planner. */
static int read_range(const struct nn_op_call *call, struct range *range)
{
    *range = (struct range){0};
    for (int i = 0; i < 3; i++) {
        int r = range_number(call, i, &range->real[i], &range->integer[i]);
        if (r < 0)
            return r;
    }
    const double *real = range->real;
    if (range->real[2] == 0 && range->integer[2] == 0)
        return nn_op_fail(call, -EINVAL, "delta is zero");
    if (call->inputs[0].type == NN_TYPE_FLOAT) {
        double count = ceil((real[1] - real[0]) / real[2]);
        if (isnan(count))
            return nn_op_fail(call, -EINVAL, "start, limit and delta are no numbers");
        range->count = count <= 0 ? 0 : count > INT32_MAX ? INT64_MAX : (int64_t)count;
        return 0;
    }
    int64_t delta = range->integer[2], start = range->integer[0], limit = range->integer[1];
    bool any = delta > 0 ? start < limit : start > limit;
    uint64_t span =
        delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    uint64_t step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    uint64_t count = any ? (span - 1) / step + 1 : 0;
    range->count = count > INT32_MAX ? INT64_MAX : (int64_t)count;
    return 0;
}

static int infer_range(struct nn_op_call *call)
{
    struct range range;
    int r = read_range(call, &range);
    if (r < 0)
        return r;
    bool late = !call->inputs[1].data;
    if (late && (range.real[2] < 0 || range.integer[2] < 0))
        return nn_op_fail(call, -ENOTSUP,
                          "limit is computed at run time and nothing bounds it from below");
    call->outputs[0].type = call->inputs[0].type;
    call->outputs[0].shape = (struct nn_shape){.rank = 1, .dim = {range.count}};
    call->outputs[0].late = late;
    return 0;
}

static int range(struct nn_op_call *call)
{
    struct range range;
    int r = read_range(call, &range);
    void *y = call->outputs[0].data;
    for (int64_t i = 0; i < range.count && r == 0; i++) {
        uint64_t value = (uint64_t)range.integer[0] + (uint64_t)i * (uint64_t)range.integer[2];
        switch (call->outputs[0].type) {
        case NN_TYPE_FLOAT:
            ((float *)y)[i] = (float)(range.real[0] + (double)i * range.real[2]);
            break;
        case NN_TYPE_INT16:
            ((int16_t *)y)[i] = (int16_t)value;
            break;
        case NN_TYPE_INT32:
            ((int32_t *)y)[i] = (int32_t)value;
            break;
        default:
            ((int64_t *)y)[i] = (int64_t)value;
        }
    }
    return r;
}

static const struct nn_attribute_rule constant_rules[] = {
    {"value", NN_ATTRIBUTE_TENSOR, 1, 0},         {"value_float", NN_ATTRIBUTE_FLOAT, 12, 0},
    {"value_floats", NN_ATTRIBUTE_FLOATS, 12, 0}, {"value_int", NN_ATTRIBUTE_INT, 12, 0},
    {"value_ints", NN_ATTRIBUTE_INTS, 12, 0},     {0}};
static const struct nn_attribute_rule value_rules[] = {{"value", NN_ATTRIBUTE_TENSOR, 9, 0},
                                                       {0}};
static const struct nn_attribute_rule shape_rules[] = {
    {"start", NN_ATTRIBUTE_INT, 15, 0}, {"end", NN_ATTRIBUTE_INT, 15, 0}, {0}};

const struct nn_op nn_op_constant = {
    .name = "Constant",
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = constant_rules,
    .infer = infer_constant,
    .forward = constant,
};

const struct nn_op nn_op_shape = {
    .name = "Shape",
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_SHAPE_ONLY,
    .attributes = shape_rules,
    .infer = infer_shape,
    .forward = shape,
};

const struct nn_op nn_op_size = {
    .name = "Size",
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_SHAPE_ONLY,
    .infer = infer_size,
    .forward = size,
};

const struct nn_op nn_op_constant_of_shape = {
    .name = "ConstantOfShape",
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = value_rules,
    .infer = infer_constant_of_shape,
    .forward = constant_of_shape,
};

const struct nn_op nn_op_range = {
    .name = "Range",
    .min_inputs = 3,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .infer = infer_range,
    .forward = range,
};
