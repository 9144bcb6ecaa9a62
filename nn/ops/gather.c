/* Operators that take indices: Gather, GatherElements, GatherND, ScatterElements (before opset
 * 11: Scatter), ScatterND. A negative index counts from the end; one outside its axis ends the
 * run. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/op.h"
#include "nn/ops/integers.h"
#include "nn/walk.h"

static int check_indices(const struct nn_op_call *call)
{
    enum nn_type type = call->inputs[1].type;
    if (type == NN_TYPE_INT64 || type == NN_TYPE_INT32)
        return 0;
    return nn_op_fail(call, -EINVAL, "indices are %s, not int64 or int32", nn_type_name(type));
}

/* Index number i, of an axis of that extent, as 0..extent-1; -EINVAL by name when outside. */
static int64_t index_at(const struct nn_op_call *call, int64_t i, int64_t extent)
{
    const struct nn_tensor *indices = &call->inputs[1];
    int64_t index = indices->type == NN_TYPE_INT64 ? ((const int64_t *)indices->data)[i]
                                                   : ((const int32_t *)indices->data)[i];
    if (index < -extent || index >= extent)
        return nn_op_fail(call, -EINVAL, "index %lld is outside an axis of extent %lld",
                          (long long)index, (long long)extent);
    return index + (index < 0 ? extent : 0);
}

/* The node's axis; infer has checked it. */
static int axis_of(const struct nn_op_call *call)
{
    return nn_op_axis(call, nn_op_int(call, "axis", 0), call->inputs[0].shape.rank);
}

/* --- Gather ----------------------------------------------------------------------------- */

static int infer_gather(struct nn_op_call *call)
{
    const struct nn_tensor *data = &call->inputs[0], *indices = &call->inputs[1];
    int axis = axis_of(call), r = axis < 0 ? axis : check_indices(call);
    if (r < 0)
        return r;
    int rank = data->shape.rank - 1 + indices->shape.rank;
    if (rank > NN_MAX_RANK)
        return nn_op_fail(call, -ENOTSUP, "the result has %d dimensions; %d are supported",
                          rank, NN_MAX_RANK);
    struct nn_shape *to = &call->outputs[0].shape;
    *to = (struct nn_shape){0};
    for (int d = 0; d < axis; d++)
        to->dim[to->rank++] = data->shape.dim[d];
    for (int d = 0; d < indices->shape.rank; d++)
        to->dim[to->rank++] = indices->shape.dim[d];
    for (int d = axis + 1; d < data->shape.rank; d++)
        to->dim[to->rank++] = data->shape.dim[d];
    call->outputs[0].type = data->type;
    return 0;
}

static int gather(struct nn_op_call *call)
{
    const struct nn_tensor *data = &call->inputs[0], *indices = &call->inputs[1];
    int rank = data->shape.rank, axis = axis_of(call);
    int64_t before = nn_shape_extent(&data->shape, 0, axis), dim = data->shape.dim[axis];
    int64_t count = nn_shape_count(&indices->shape);
    size_t piece =
        (size_t)nn_shape_extent(&data->shape, axis + 1, rank) * nn_type_size(data->type);
    const char *from = data->data;
    char *to = call->outputs[0].data;
    for (int64_t i = 0; i < count; i++) {
        int64_t index = index_at(call, i, dim);
        if (index < 0)
            return (int)index;
        for (int64_t b = 0; b < before && piece > 0; b++)
            memcpy(to + (size_t)(b * count + i) * piece,
                   from + (size_t)(b * dim + index) * piece, piece);
    }
    return 0;
}

/* Gathering the same places of every frame, or each frame's own places of a constant table. */
static bool gather_time(const struct nn_op_call *call, const int *in, int *out)
{
    int axis = axis_of(call);
    if (in[0] != NN_TIME_NONE && in[1] != NN_TIME_NONE)
        return false;
    if (in[0] == NN_TIME_NONE)
        out[0] = axis + in[1];
    else
        out[0] = in[0] < axis ? in[0] : in[0] + call->inputs[1].shape.rank - 1;
    return in[0] != axis;
}

/* --- GatherElements, ScatterElements ---------------------------------------------------- */

/* An element for each index, at the index's own place but for the axis. */
static int check_elements(const struct nn_op_call *call)
{
    const struct nn_shape *data = &call->inputs[0].shape, *indices = &call->inputs[1].shape;
    int axis = axis_of(call), r = axis < 0 ? axis : check_indices(call);
    if (r < 0)
        return r;
    if (indices->rank != data->rank)
        return nn_op_fail(call, -EINVAL, "indices have %d dimensions, the data %d",
                          indices->rank, data->rank);
    for (int d = 0; d < data->rank; d++)
        if (d != axis && indices->dim[d] > data->dim[d])
            return nn_op_fail(call, -EINVAL, "indices reach over the data in dimension %d", d);
    return 0;
}

static int infer_gather_elements(struct nn_op_call *call)
{
    int r = check_elements(call);
    call->outputs[0].type = call->inputs[0].type;
    call->outputs[0].shape = call->inputs[1].shape;
    return r;
}

/* A walk over the indices: where each element would be at index 0. */
static int prepare_elements(struct nn_op_call *call)
{
    const struct nn_shape *data = &call->inputs[0].shape;
    int64_t step[NN_MAX_RANK][2] = {{0}};
    int axis = axis_of(call);
    struct nn_walk *walk = nn_op_alloc(call, sizeof *walk);
    if (!walk)
        return -ENOMEM;
    for (int d = 0; d < data->rank; d++)
        step[d][0] = d == axis ? 0 : nn_shape_extent(data, d + 1, data->rank);
    nn_walk_make(walk, &call->inputs[1].shape, step);
    call->state = walk;
    return 0;
}

enum reduction { NONE, ADD, MUL, MAX, MIN };

/* What is done with index number i, which leads to `place` in the data. */
typedef void (*element_function)(const struct nn_op_call *call, enum reduction how,
                                 int64_t place, int64_t i);

static int each_element(const struct nn_op_call *call, element_function function,
                        enum reduction how)
{
    const struct nn_walk *w = call->state;
    const struct nn_shape *data = &call->inputs[0].shape;
    int axis = axis_of(call);
    int64_t stride = nn_shape_extent(data, axis + 1, data->rank), at = 0;
    struct nn_walk_cursor c = {0};
    if (w->inner == 0)
        return 0;
    do {
        for (int64_t i = 0; i < w->inner; i++, at++) {
            int64_t index = index_at(call, at, data->dim[axis]);
            if (index < 0)
                return (int)index;
            function(call, how, c.at[0] + i * w->inner_step[0] + index * stride, at);
        }
    } while (nn_walk_next(w, &c));
    return 0;
}

static void take(const struct nn_op_call *call, enum reduction how, int64_t place, int64_t i)
{
    size_t bytes = nn_type_size(call->outputs[0].type);
    (void)how;
    memcpy((char *)call->outputs[0].data + (size_t)i * bytes,
           (const char *)call->inputs[0].data + (size_t)place * bytes, bytes);
}

static int gather_elements(struct nn_op_call *call)
{
    return each_element(call, take, NONE);
}

/* --- Reductions of what is scattered ---------------------------------------------------- */

static int read_reduction(const struct nn_op_call *call)
{
    static const char *const names[] = {"none", "add", "mul", "max", "min"};
    const char *name = nn_op_string(call, "reduction", "none");
    for (int i = 0; i < (call->opset >= 18 ? 5 : 3); i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return nn_op_fail(call, -EINVAL, "reduction '%.40s' does not exist", name);
}

#define REDUCE_INTEGERS(nn_type, type, is_signed)                                              \
    static void reduce_##type(enum reduction how, type *to, const type *from, int64_t n)       \
    {                                                                                          \
        for (int64_t i = 0; i < n; i++) {                                                      \
            uint64_t a = (uint64_t)to[i], b = (uint64_t)from[i];                               \
            to[i] = how == ADD                          ? (type)(a + b)                        \
                    : how == MUL                        ? (type)(a * b)                        \
                    : (from[i] > to[i]) == (how == MAX) ? from[i]                              \
                                                        : to[i];                               \
        }                                                                                      \
    }
NN_INTEGER_TYPES(REDUCE_INTEGERS)

static void reduce_floats(enum reduction how, float *to, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float a = to[i], b = from[i];
        bool wins = isnan(b) || (how == MAX ? b > a : b < a);
        to[i] = how == ADD ? a + b : how == MUL ? a * b : wins ? b : a;
    }
}

/* n updates from number i on, to the result from `place` on. */
static void scatter(const struct nn_op_call *call, enum reduction how, int64_t place, int64_t i,
                    int64_t n)
{
    void *to = call->outputs[0].data;
    const void *from = call->inputs[2].data;
    size_t size = nn_type_size(call->outputs[0].type);
    if (how == NONE) {
        memcpy((char *)to + (size_t)place * size, (const char *)from + (size_t)i * size,
               (size_t)n * size);
        return;
    }
    switch (call->outputs[0].type) {
#define CASE(nn_type, type, is_signed)                                                         \
    case nn_type:                                                                              \
        reduce_##type(how, (type *)to + place, (const type *)from + i, n);                     \
        break;
        NN_INTEGER_TYPES(CASE)
    default:
        reduce_floats(how, (float *)to + place, (const float *)from + i, n);
    }
}

/* Updates are of the data's type; the result starts as the data. */
static int infer_scatter(struct nn_op_call *call)
{
    const struct nn_tensor *data = &call->inputs[0], *updates = &call->inputs[2];
    int how = read_reduction(call);
    if (how < 0)
        return how;
    if (how != NONE && data->type == NN_TYPE_BOOL)
        return nn_op_fail(call, -ENOTSUP, "reductions of bool are not supported");
    if (updates->type != data->type)
        return nn_op_fail(call, -EINVAL, "updates are %s, not %s", nn_type_name(updates->type),
                          nn_type_name(data->type));
    call->outputs[0].type = data->type;
    call->outputs[0].shape = data->shape;
    return 0;
}

static void copy_data(const struct nn_op_call *call)
{
    const struct nn_tensor *out = &call->outputs[0];
    size_t bytes = nn_tensor_bytes(out);
    if (bytes > 0)
        memcpy(out->data, call->inputs[0].data, bytes);
}

static int infer_scatter_elements(struct nn_op_call *call)
{
    int r = check_elements(call);
    if (r == 0 && !nn_shape_equal(&call->inputs[1].shape, &call->inputs[2].shape))
        r = nn_op_fail(call, -EINVAL, "indices and updates differ in shape");
    return r < 0 ? r : infer_scatter(call);
}

static void put(const struct nn_op_call *call, enum reduction how, int64_t place, int64_t i)
{
    scatter(call, how, place, i, 1);
}

static int scatter_elements(struct nn_op_call *call)
{
    copy_data(call);
    return each_element(call, put, (enum reduction)read_reduction(call));
}

/* --- GatherND, ScatterND ---------------------------------------------------------------- */

/* Rows of indices, each leading to a slice of the data. */
struct slices {
    int batch;             /* leading dimensions that data and indices share */
    int depth;             /* indices in a row */
    int64_t rows, batches; /* of indices; of data */
    int64_t elements;      /* of a slice */
};

static int read_slices(const struct nn_op_call *call, struct slices *s)
{
    const struct nn_shape *data = &call->inputs[0].shape, *indices = &call->inputs[1].shape;
    int64_t batch = nn_op_int(call, "batch_dims", 0);
    int r = check_indices(call);
    if (r < 0)
        return r;
    if (batch < 0 || batch >= indices->rank || batch >= data->rank)
        return nn_op_fail(call, -EINVAL, "batch_dims %lld does not fit the shapes",
                          (long long)batch);
    for (int d = 0; d < batch; d++)
        if (data->dim[d] != indices->dim[d])
            return nn_op_fail(call, -EINVAL, "data and indices differ in batch dimension %d",
                              d);
    int64_t depth = indices->dim[indices->rank - 1];
    if (depth < 1 || depth > data->rank - batch)
        return nn_op_fail(call, -EINVAL, "%lld indices for %lld dimensions", (long long)depth,
                          (long long)(data->rank - batch));
    *s = (struct slices){
        .batch = (int)batch,
        .depth = (int)depth,
        .rows = nn_shape_extent(indices, 0, indices->rank - 1),
        .batches = nn_shape_extent(data, 0, (int)batch),
        .elements = nn_shape_extent(data, (int)(batch + depth), data->rank),
    };
    return 0;
}

/* The shape of all slices together. */
static int slices_shape(const struct nn_op_call *call, const struct slices *s,
                        struct nn_shape *ret_shape)
{
    const struct nn_shape *data = &call->inputs[0].shape, *indices = &call->inputs[1].shape;
    int inner = s->batch + s->depth, rank = indices->rank - 1 + data->rank - inner;
    if (rank > NN_MAX_RANK)
        return nn_op_fail(call, -ENOTSUP, "the result has %d dimensions; %d are supported",
                          rank, NN_MAX_RANK);
    *ret_shape = (struct nn_shape){.rank = rank};
    for (int d = 0; d < indices->rank - 1; d++)
        ret_shape->dim[d] = indices->dim[d];
    for (int d = inner; d < data->rank; d++)
        ret_shape->dim[indices->rank - 1 + d - inner] = data->dim[d];
    return 0;
}

/* Where the slice of a row of indices begins; negative: one is outside. */
static int64_t slice_place(const struct nn_op_call *call, const struct slices *s, int64_t row)
{
    const struct nn_shape *data = &call->inputs[0].shape;
    int64_t place = row / (s->rows / s->batches);
    for (int i = 0; i < s->depth; i++) {
        int64_t extent = data->dim[s->batch + i];
        int64_t index = index_at(call, row * s->depth + i, extent);
        if (index < 0)
            return index;
        place = place * extent + index;
    }
    return place * s->elements;
}

static int infer_gather_nd(struct nn_op_call *call)
{
    struct slices s;
    int r = read_slices(call, &s);
    call->outputs[0].type = call->inputs[0].type;
    return r < 0 ? r : slices_shape(call, &s, &call->outputs[0].shape);
}

static int gather_nd(struct nn_op_call *call)
{
    struct slices s;
    int r = read_slices(call, &s);
    size_t size = nn_type_size(call->outputs[0].type), bytes = (size_t)s.elements * size;
    char *to = call->outputs[0].data;
    for (int64_t row = 0; row < s.rows && r == 0; row++, to += bytes) {
        int64_t place = slice_place(call, &s, row);
        if (place < 0)
            return (int)place;
        if (bytes > 0)
            memcpy(to, (const char *)call->inputs[0].data + (size_t)place * size, bytes);
    }
    return r;
}

static int infer_scatter_nd(struct nn_op_call *call)
{
    struct slices s;
    struct nn_shape wanted;
    int r = read_slices(call, &s);
    if (r == 0)
        r = slices_shape(call, &s, &wanted);
    if (r == 0 && !nn_shape_equal(&wanted, &call->inputs[2].shape))
        r = nn_op_fail(call, -EINVAL, "updates have another shape than the slices");
    return r < 0 ? r : infer_scatter(call);
}

static int scatter_nd(struct nn_op_call *call)
{
    struct slices s;
    int r = read_slices(call, &s), how = read_reduction(call);
    copy_data(call);
    for (int64_t row = 0; row < s.rows && r == 0; row++) {
        int64_t place = slice_place(call, &s, row);
        if (place < 0)
            return (int)place;
        scatter(call, (enum reduction)how, place, row * s.elements, s.elements);
    }
    return r;
}

/* --- Frames ----------------------------------------------------------------------------- */

/* Each frame's own indices into itself, along another axis. */
static bool gather_elements_time(const struct nn_op_call *call, const int *in, int *out)
{
    out[0] = in[0];
    return in[0] == in[1] && in[0] != axis_of(call) &&
           call->inputs[0].shape.dim[in[0]] == call->inputs[1].shape.dim[in[0]];
}

/* Each frame's own rows of a constant table; or what lies behind the indices. */
static bool gather_nd_time(const struct nn_op_call *call, const int *in, int *out)
{
    struct slices s;
    if (read_slices(call, &s) < 0)
        return false;
    int rows = call->inputs[1].shape.rank - 1;
    if (in[0] == NN_TIME_NONE) {
        out[0] = in[1];
        return in[1] >= s.batch && in[1] < rows;
    }
    if (in[1] != NN_TIME_NONE) {
        out[0] = in[0];
        return in[0] == in[1] && in[0] < s.batch;
    }
    out[0] = in[0] - s.batch - s.depth + rows;
    return in[0] >= s.batch + s.depth;
}

static const struct nn_attribute_rule gather_rules[] = {{"axis", NN_ATTRIBUTE_INT, 1, 0}, {0}};
static const struct nn_attribute_rule gather_nd_rules[] = {
    {"batch_dims", NN_ATTRIBUTE_INT, 12, 0}, {0}};
static const struct nn_attribute_rule scatter_rules[] = {
    {"axis", NN_ATTRIBUTE_INT, 1, 0}, {"reduction", NN_ATTRIBUTE_STRING, 16, 0}, {0}};

const struct nn_op nn_op_gather = {
    .name = "Gather",
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_GROWS,
    .attributes = gather_rules,
    .infer = infer_gather,
    .forward = gather,
    .time = gather_time,
};

const struct nn_op nn_op_gather_elements = {
    .name = "GatherElements",
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_GROWS,
    .attributes = gather_rules,
    .infer = infer_gather_elements,
    .prepare = prepare_elements,
    .forward = gather_elements,
    .time = gather_elements_time,
};

const struct nn_op nn_op_gather_nd = {
    .name = "GatherND",
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_GROWS,
    .attributes = gather_nd_rules,
    .infer = infer_gather_nd,
    .forward = gather_nd,
    .time = gather_nd_time,
};

#define SCATTER(row, op_type, rules, infer_function, prepare_function, function)               \
    const struct nn_op row = {                                                                 \
        .name = op_type,                                                                       \
        .min_inputs = 3,                                                                       \
        .max_inputs = 3,                                                                       \
        .min_outputs = 1,                                                                      \
        .max_outputs = 1,                                                                      \
        .attributes = rules,                                                                   \
        .infer = infer_function,                                                               \
        .prepare = prepare_function,                                                           \
        .forward = function,                                                                   \
    }

SCATTER(nn_op_scatter, "Scatter", gather_rules, infer_scatter_elements, prepare_elements,
        scatter_elements);
SCATTER(nn_op_scatter_elements, "ScatterElements", scatter_rules, infer_scatter_elements,
        prepare_elements, scatter_elements);
SCATTER(nn_op_scatter_nd, "ScatterND", scatter_rules + 1, infer_scatter_nd, NULL, scatter_nd);
