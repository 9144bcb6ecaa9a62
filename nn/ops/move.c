/* Operators that move elements without computing: Concat, Split, Transpose, Slice. */
#include <errno.h>
#include <string.h>

#include "nn/kernels/kernels.h"
#include "nn/op.h"
#include "nn/walk.h"

/* --- Concat ----------------------------------------------------------------------------- */

static int concat_axis(const struct nn_op_call *call)
{
    if (call->opset >= 4 && !nn_op_has(call, "axis"))
        return nn_op_fail(call, -EINVAL, "attribute 'axis' is missing");
    return nn_op_axis(call, nn_op_int(call, "axis", 1), call->inputs[0].shape.rank);
}

static int infer_concat(struct nn_op_call *call)
{
    int axis = concat_axis(call);
    if (axis < 0)
        return axis;
    struct nn_shape shape = call->inputs[0].shape;
    for (int i = 1; i < call->input_count; i++) {
        const struct nn_tensor *in = &call->inputs[i];
        if (in->type != call->inputs[0].type)
            return nn_op_fail(call, -EINVAL, "input %d is %s, not %s", i,
                              nn_type_name(in->type), nn_type_name(call->inputs[0].type));
        for (int d = 0; d < shape.rank; d++)
            if (in->shape.rank != shape.rank || (d != axis && in->shape.dim[d] != shape.dim[d]))
                return nn_op_fail(call, -EINVAL, "input %d has another shape than input 0", i);
        if (__builtin_add_overflow(shape.dim[axis], in->shape.dim[axis], &shape.dim[axis]))
            return nn_op_fail(call, -EINVAL, "the result would be too large");
    }
    call->outputs[0].type = call->inputs[0].type;
    call->outputs[0].shape = shape;
    return 0;
}

static int concat(struct nn_op_call *call)
{
    const struct nn_tensor *out = &call->outputs[0];
    int rank = out->shape.rank, axis = concat_axis(call);
    size_t size = nn_type_size(out->type);
    size_t row = (size_t)nn_shape_extent(&out->shape, axis, rank) * size;
    size_t rows = (size_t)nn_shape_extent(&out->shape, 0, axis);
    char *to = out->data;
    for (int i = 0; i < call->input_count; i++) {
        const struct nn_tensor *in = &call->inputs[i];
        size_t piece = (size_t)nn_shape_extent(&in->shape, axis, rank) * size;
        const char *from = in->data;
        for (size_t r = 0; r < rows && piece > 0 && from != to; r++)
            memcpy(to + r * row, from + r * piece, piece);
        to += piece;
    }
    return 0;
}

static bool concat_time(const struct nn_op_call *call, const int *in, int *out)
{
    int axis = concat_axis(call);
    for (int i = 0; i < call->input_count; i++)
        if (in[i] != in[0] || in[i] == axis)
            return false;
    out[0] = in[0];
    return true;
}

/* --- Split ------------------------------------------------------------------------------ */

/* The extents of the parts, where they are given: an attribute in opsets 2 to 12, an input in
 * the others. Returns how many, 0 for equal parts. */
static int split_list(const struct nn_op_call *call, const int64_t **ret_extents)
{
    int count;
    *ret_extents = nn_op_ints(call, "split", &count);
    if (!nn_op_has_input(call, 1))
        return count;
    const struct nn_tensor *list = &call->inputs[1];
    if (call->opset >= 2 && call->opset < 13)
        return nn_op_fail(call, -EINVAL, "opset %d has no input 'split'", call->opset);
    if (list->type != NN_TYPE_INT64 || list->shape.rank != 1)
        return nn_op_fail(call, -EINVAL, "split must be a list of int64");
    if (!list->data)
        return nn_op_fail(call, -ENOTSUP, "split must be a constant, not computed at run time");
    *ret_extents = list->data;
    int64_t entries = list->shape.dim[0];
    return entries > NN_OP_VARIADIC ? NN_OP_VARIADIC + 1 : (int)entries;
}

/* Of equal parts, the last may be shorter since opset 18. */
static int64_t split_extent(const struct nn_op_call *call, const int64_t *extents, int count,
                            int64_t dim, int part)
{
    if (count > 0)
        return extents[part];
    int64_t each = (dim + call->output_count - 1) / call->output_count,
            left = dim - part * each;
    return left < 0 ? 0 : left < each ? left : each;
}

static int infer_split(struct nn_op_call *call)
{
    const struct nn_shape *from = &call->inputs[0].shape;
    const int64_t *extents;
    int axis = nn_op_axis(call, nn_op_int(call, "axis", 0), from->rank);
    int count = axis < 0 ? axis : split_list(call, &extents);
    if (count < 0)
        return count;
    int64_t dim = from->dim[axis], sum = 0, parts = call->output_count;
    if ((count > 0 && count != parts) || nn_op_int(call, "num_outputs", parts) != parts)
        return nn_op_fail(call, -EINVAL, "there are %lld outputs for %lld parts",
                          (long long)parts,
                          (long long)(count > 0 ? count : nn_op_int(call, "num_outputs", 0)));
    if (count == 0 && call->opset < 18 && dim % parts != 0)
        return nn_op_fail(call, -EINVAL, "%lld do not divide into %lld equal parts",
                          (long long)dim, (long long)parts);
    for (int j = 0; j < parts; j++) {
        int64_t extent = split_extent(call, extents, count, dim, j);
        if (extent < 0 || extent > dim - sum)
            return nn_op_fail(call, -EINVAL, "the parts do not add up to %lld", (long long)dim);
        sum += extent;
        if (!nn_op_wants_output(call, j))
            continue;
        call->outputs[j].type = call->inputs[0].type;
        call->outputs[j].shape = *from;
        call->outputs[j].shape.dim[axis] = extent;
    }
    if (sum != dim)
        return nn_op_fail(call, -EINVAL, "the parts do not add up to %lld", (long long)dim);
    return 0;
}

static int split(struct nn_op_call *call)
{
    const struct nn_tensor *in = &call->inputs[0];
    const int64_t *extents;
    int rank = in->shape.rank, count = split_list(call, &extents);
    int axis = nn_op_axis(call, nn_op_int(call, "axis", 0), rank);
    size_t size = nn_type_size(in->type);
    size_t cell = (size_t)nn_shape_extent(&in->shape, axis + 1, rank) * size;
    size_t rows = (size_t)nn_shape_extent(&in->shape, 0, axis);
    size_t row = (size_t)in->shape.dim[axis] * cell;
    const char *from = in->data;
    for (int j = 0; j < call->output_count; j++) {
        size_t piece =
            (size_t)split_extent(call, extents, count, in->shape.dim[axis], j) * cell;
        char *to = call->outputs[j].data;
        for (size_t r = 0; r < rows && piece > 0 && to; r++)
            memcpy(to + r * piece, from + r * row, piece);
        from += piece;
    }
    return 0;
}

static bool split_time(const struct nn_op_call *call, const int *in, int *out)
{
    int axis = nn_op_axis(call, nn_op_int(call, "axis", 0), call->inputs[0].shape.rank);
    for (int j = 0; j < call->output_count; j++)
        out[j] = in[0];
    return in[0] != NN_TIME_NONE && in[0] != axis;
}

/* --- Transpose -------------------------------------------------------------------------- */

/* perm[d] is the input axis that becomes axis d. */
static int transpose_perm(const struct nn_op_call *call, int *perm)
{
    int rank = call->inputs[0].shape.rank, count;
    const int64_t *given = nn_op_ints(call, "perm", &count);
    if (nn_op_has(call, "perm") && count != rank)
        return nn_op_fail(call, -EINVAL, "perm has %d entries for a tensor of rank %d", count,
                          rank);
    if (given)
        return nn_op_axis_list(call, given, rank, rank, perm);
    for (int d = 0; d < rank; d++)
        perm[d] = rank - 1 - d;
    return 0;
}

static int infer_transpose(struct nn_op_call *call)
{
    int perm[NN_MAX_RANK];
    int r = transpose_perm(call, perm);
    if (r < 0)
        return r;
    const struct nn_shape *from = &call->inputs[0].shape;
    call->outputs[0].type = call->inputs[0].type;
    call->outputs[0].shape.rank = from->rank;
    for (int d = 0; d < from->rank; d++)
        call->outputs[0].shape.dim[d] = from->dim[perm[d]];
    return 0;
}

static int prepare_transpose(struct nn_op_call *call)
{
    int perm[NN_MAX_RANK];
    const struct nn_shape *from = &call->inputs[0].shape;
    int64_t step[NN_MAX_RANK][2] = {{0}};
    struct nn_walk *walk = nn_op_alloc(call, sizeof *walk);
    if (!walk)
        return -ENOMEM;
    int r = transpose_perm(call, perm);
    if (r < 0)
        return r;
    for (int d = 0; d < from->rank; d++)
        step[d][0] = nn_shape_extent(from, perm[d] + 1, from->rank);
    nn_walk_make(walk, &call->outputs[0].shape, step);
    call->state = walk;
    return 0;
}

/* Where the last two loops are a matrix of words turned round, it is turned a block at a time;
 * blocks would be mostly empty where it is narrower than this. */
static bool turns_matrices(const struct nn_walk *walk, size_t element_bytes)
{
    enum { NARROWEST = 4 };
    return element_bytes == sizeof(float) && walk->rank > 0 &&
           walk->step[walk->rank - 1][0] == 1 && walk->inner >= NARROWEST &&
           walk->dim[walk->rank - 1] >= NARROWEST;
}

static int transpose(struct nn_op_call *call)
{
    const struct nn_walk *walk = call->state;
    size_t size = nn_type_size(call->outputs[0].type);
    if (!turns_matrices(walk, size)) {
        nn_walk_copy(walk, call->outputs[0].data, call->inputs[0].data, size);
        return 0;
    }
    struct nn_walk matrices = *walk;
    matrices.rank--;
    struct nn_walk_cursor c = {0};
    size_t rows = (size_t)walk->inner, columns = (size_t)walk->dim[matrices.rank];
    const float *x = call->inputs[0].data;
    float *y = call->outputs[0].data;
    do {
        call->kernels->transpose(y, rows, x + c.at[0], (size_t)walk->inner_step[0], rows,
                                 columns);
        y += rows * columns;
    } while (nn_walk_next(&matrices, &c));
    return 0;
}

static bool transpose_time(const struct nn_op_call *call, const int *in, int *out)
{
    int perm[NN_MAX_RANK];
    if (transpose_perm(call, perm) < 0)
        return false;
    for (int d = 0; d < call->inputs[0].shape.rank; d++)
        if (perm[d] == in[0])
            out[0] = d;
    return true;
}

/* --- Slice ------------------------------------------------------------------------------ */

struct slice {
    int64_t start[NN_MAX_RANK], step[NN_MAX_RANK];
    struct nn_shape shape; /* of the result; late: the most it can be */
    bool late;
};

/* The list `index`: an input since opset 10, an attribute before. -1: not given. */
static int slice_list(const struct nn_op_call *call, int index, int64_t *values)
{
    static const char *const names[] = {NULL, "starts", "ends", "axes", "steps"};
    if (call->opset >= 10)
        return nn_op_has_input(call, index)
                   ? nn_op_constant_ints(call, index, names[index], values, NN_MAX_RANK)
                   : -1;
    if (!nn_op_has(call, names[index]))
        return -1;
    int count;
    const int64_t *given = nn_op_ints(call, names[index], &count);
    if (count > NN_MAX_RANK)
        return nn_op_fail(call, -EINVAL, "%s has %d entries", names[index], count);
    if (count > 0)
        memcpy(values, given, (size_t)count * sizeof *values);
    return count;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* One axis: where it starts and how many elements it has. */
static int slice_axis(const struct nn_op_call *call, struct slice *s, int axis, int64_t start,
                      int64_t end, int64_t step)
{
    int64_t dim = call->inputs[0].shape.dim[axis];
    if (step == 0)
        return nn_op_fail(call, -EINVAL, "steps has a zero");
    if (dim == 0)
        return 0; /* the whole axis; it has no element to start from */
    /* Beyond these bounds nothing changes any more, and the sums below cannot overflow. */
    start = clamp(start, -INT32_MAX - (int64_t)1, INT32_MAX);
    end = clamp(end, -INT32_MAX - (int64_t)1, INT32_MAX);
    step = clamp(step, -INT32_MAX, INT32_MAX);
    start += start < 0 ? dim : 0;
    end += end < 0 ? dim : 0;
    int64_t count;
    if (step > 0) {
        start = clamp(start, 0, dim);
        end = clamp(end, 0, dim);
        count = end > start ? (end - start + step - 1) / step : 0;
    } else {
        start = clamp(start, 0, dim - 1);
        end = clamp(end, -1, dim - 1);
        count = start > end ? (start - end - step - 1) / -step : 0;
    }
    s->start[axis] = count > 0 ? start : 0;
    s->step[axis] = step;
    s->shape.dim[axis] = count;
    return 0;
}

static int read_slice(const struct nn_op_call *call, struct slice *s)
{
    const struct nn_shape *from = &call->inputs[0].shape;
    *s = (struct slice){.shape = *from};
    for (int d = 0; d < NN_MAX_RANK; d++)
        s->step[d] = 1;
    for (int i = 1; i <= 4; i++)
        s->late |= nn_op_has_input(call, i) && !call->inputs[i].data;
    if (s->late)
        return 0;
    int64_t starts[NN_MAX_RANK], ends[NN_MAX_RANK], axes[NN_MAX_RANK], steps[NN_MAX_RANK];
    int count = slice_list(call, 1, starts), end_count = slice_list(call, 2, ends);
    int axis_count = slice_list(call, 3, axes), step_count = slice_list(call, 4, steps);
    if (count < -1 || end_count < -1 || axis_count < -1 || step_count < -1)
        return count < -1        ? count
               : end_count < -1  ? end_count
               : axis_count < -1 ? axis_count
                                 : step_count;
    if (count < 0 || end_count != count || count > from->rank ||
        (axis_count >= 0 && axis_count != count) || (step_count >= 0 && step_count != count))
        return nn_op_fail(call, -EINVAL, "starts, ends, axes and steps do not match");
    int chosen[NN_MAX_RANK];
    int r = nn_op_axis_list(call, axis_count < 0 ? NULL : axes, count, from->rank, chosen);
    for (int i = 0; i < count && r == 0; i++)
        r = slice_axis(call, s, chosen[i], starts[i], ends[i], step_count < 0 ? 1 : steps[i]);
    return r;
}

static int infer_slice(struct nn_op_call *call)
{
    struct slice s;
    int r = read_slice(call, &s);
    if (r < 0)
        return r;
    call->outputs[0].type = call->inputs[0].type;
    call->outputs[0].shape = s.shape;
    call->outputs[0].late = s.late;
    return 0;
}

struct slice_state {
    struct nn_walk walk;
    int64_t first; /* element of the input where the slice starts */
};

static int prepare_slice(struct nn_op_call *call)
{
    struct slice s;
    struct slice_state *state = nn_op_alloc(call, sizeof *state);
    if (!state)
        return -ENOMEM;
    int r = read_slice(call, &s);
    if (r < 0)
        return r;
    const struct nn_shape *from = &call->inputs[0].shape;
    int64_t step[NN_MAX_RANK][2] = {{0}};
    for (int d = 0; d < from->rank; d++) {
        int64_t stride = nn_shape_extent(from, d + 1, from->rank);
        state->first += s.start[d] * stride;
        step[d][0] = s.shape.dim[d] > 1 ? s.step[d] * stride : 0;
    }
    nn_walk_make(&state->walk, &s.shape, step);
    call->state = state;
    return 0;
}

static int slice(struct nn_op_call *call)
{
    const struct slice_state *state = call->state;
    size_t size = nn_type_size(call->outputs[0].type);
    nn_walk_copy(&state->walk, call->outputs[0].data,
                 (const char *)call->inputs[0].data + (size_t)state->first * size, size);
    return 0;
}

/* Frames stay apart as long as all of them stay, in order. */
static bool slice_time(const struct nn_op_call *call, const int *in, int *out)
{
    struct slice s;
    if (in[0] == NN_TIME_NONE || read_slice(call, &s) < 0)
        return false;
    out[0] = in[0];
    return s.start[in[0]] == 0 && s.step[in[0]] == 1 &&
           s.shape.dim[in[0]] == call->inputs[0].shape.dim[in[0]];
}

static const struct nn_attribute_rule axis_rules[] = {{"axis", NN_ATTRIBUTE_INT, 1, 0}, {0}};
static const struct nn_attribute_rule split_rules[] = {{"axis", NN_ATTRIBUTE_INT, 1, 0},
                                                       {"split", NN_ATTRIBUTE_INTS, 1, 12},
                                                       {"num_outputs", NN_ATTRIBUTE_INT, 18, 0},
                                                       {0}};
static const struct nn_attribute_rule perm_rules[] = {{"perm", NN_ATTRIBUTE_INTS, 1, 0}, {0}};
static const struct nn_attribute_rule slice_rules[] = {{"starts", NN_ATTRIBUTE_INTS, 1, 9},
                                                       {"ends", NN_ATTRIBUTE_INTS, 1, 9},
                                                       {"axes", NN_ATTRIBUTE_INTS, 1, 9},
                                                       {0}};

const struct nn_op nn_op_concat = {
    .name = "Concat",
    .min_inputs = 1,
    .max_inputs = NN_OP_VARIADIC,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_GROWS_ALL | NN_OP_JOINS,
    .attributes = axis_rules,
    .infer = infer_concat,
    .forward = concat,
    .time = concat_time,
};

const struct nn_op nn_op_split = {
    .name = "Split",
    .min_inputs = 1,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = NN_OP_VARIADIC,
    .flags = NN_OP_PARTS,
    .attributes = split_rules,
    .infer = infer_split,
    .forward = split,
    .time = split_time,
};

const struct nn_op nn_op_transpose = {
    .name = "Transpose",
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_GROWS,
    .attributes = perm_rules,
    .infer = infer_transpose,
    .prepare = prepare_transpose,
    .forward = transpose,
    .time = transpose_time,
};

const struct nn_op nn_op_slice = {
    .name = "Slice",
    .min_inputs = 1,
    .max_inputs = 5,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_GROWS,
    .attributes = slice_rules,
    .infer = infer_slice,
    .prepare = prepare_slice,
    .forward = slice,
    .time = slice_time,
};
