/* Pad: constant, edge, reflect and wrap. A negative pad crops, before the rest is padded. */
#include <errno.h>
#include <string.h>

#include "nn/op.h"

enum mode { CONSTANT, EDGE, REFLECT, WRAP };

struct pads {
    enum mode mode;
    /* Of each axis: elements left out in front, kept, and put before and behind those. */
    int64_t crop[NN_MAX_RANK], kept[NN_MAX_RANK];
    int64_t before[NN_MAX_RANK], after[NN_MAX_RANK];
    bool late; /* the most they can be */
};

static int read_mode(const struct nn_op_call *call)
{
    static const char *const names[] = {"constant", "edge", "reflect", "wrap"};
    const char *name = nn_op_string(call, "mode", "constant");
    for (int i = 0; i < (call->opset >= 19 ? 4 : 3); i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    return nn_op_fail(call, -EINVAL, "mode '%.40s' does not exist", name);
}

/* Begins of all padded axes, then their ends: an attribute before opset 11, an input since. */
static int read_values(const struct nn_op_call *call, int64_t *values, bool *ret_late)
{
    int count;
    *ret_late = false;
    if (call->opset >= 11) {
        if (!nn_op_has_input(call, 1))
            return nn_op_fail(call, -EINVAL, "input 'pads' is missing");
        return nn_op_sizes(call, 1, "pads", values, 2 * NN_MAX_RANK, ret_late);
    }
    const int64_t *given = nn_op_ints(call, call->opset < 2 ? "paddings" : "pads", &count);
    if (count > 2 * NN_MAX_RANK)
        return nn_op_fail(call, -EINVAL, "%d pads", count);
    if (count > 0)
        memcpy(values, given, (size_t)count * sizeof *values);
    return count;
}

/* The axes that are padded: all, or those of input 3 since opset 18. */
static int read_axes(const struct nn_op_call *call, int rank, int *axes)
{
    int64_t given[NN_MAX_RANK];
    bool has_axes = nn_op_has_input(call, 3);
    if (has_axes && call->opset < 18)
        return nn_op_fail(call, -EINVAL, "opset %d has no input 'axes'", call->opset);
    int count = has_axes ? nn_op_constant_ints(call, 3, "axes", given, NN_MAX_RANK) : rank;
    int r =
        count < 0 ? count : nn_op_axis_list(call, has_axes ? given : NULL, count, rank, axes);
    return r < 0 ? r : count;
}

static int read_pads(const struct nn_op_call *call, struct pads *p)
{
    const struct nn_shape *from = &call->inputs[0].shape;
    int64_t values[2 * NN_MAX_RANK];
    int axes[NN_MAX_RANK], mode = read_mode(call);
    *p = (struct pads){.mode = (enum mode)mode};
    int count = mode < 0 ? mode : read_axes(call, from->rank, axes);
    int given = count < 0 ? count : read_values(call, values, &p->late);
    if (given < 0)
        return given;
    if (given != 2 * count)
        return nn_op_fail(call, -EINVAL, "%d pads for %d axes", given, count);
    for (int d = 0; d < from->rank; d++)
        p->kept[d] = from->dim[d];
    for (int i = 0; i < count; i++) {
        int64_t before = values[i], after = values[count + i];
        int d = axes[i];
        if (before < -INT32_MAX || before > INT32_MAX || after < -INT32_MAX ||
            after > INT32_MAX)
            return nn_op_fail(call, -EINVAL, "the pads of axis %d are impossible", d);
        p->crop[d] = before < 0 ? -before : 0;
        p->kept[d] += (before < 0 ? before : 0) + (after < 0 ? after : 0);
        p->before[d] = before > 0 ? before : 0;
        p->after[d] = after > 0 ? after : 0;
        if (p->kept[d] < 0)
            return nn_op_fail(call, -EINVAL, "the pads of axis %d crop more than there is", d);
        if (p->kept[d] == 0 && p->mode != CONSTANT && p->before[d] + p->after[d] > 0)
            return nn_op_fail(call, -EINVAL, "axis %d has nothing to repeat", d);
    }
    return 0;
}

static int infer(struct nn_op_call *call)
{
    struct pads p;
    int r = read_pads(call, &p);
    if (r < 0)
        return r;
    const struct nn_tensor *in = &call->inputs[0], *value = &call->inputs[2];
    if (nn_op_has_input(call, 2) &&
        (value->type != in->type || nn_shape_count(&value->shape) != 1))
        return nn_op_fail(call, -EINVAL, "constant_value must be one %s",
                          nn_type_name(in->type));
    if (call->opset < 11)
        r = nn_op_require_type(call, 0, NN_TYPE_FLOAT);
    call->outputs[0].type = in->type;
    call->outputs[0].shape.rank = in->shape.rank;
    for (int d = 0; d < in->shape.rank; d++)
        call->outputs[0].shape.dim[d] = p.before[d] + p.kept[d] + p.after[d];
    call->outputs[0].late = p.late;
    return r;
}

static int64_t remainder_of(int64_t value, int64_t divisor)
{
    int64_t rest = value % divisor;
    return rest < 0 ? rest + divisor : rest;
}

/* Where element i of the padded axis comes from; -1: it is the constant. */
static int64_t source(const struct pads *p, int axis, int64_t i)
{
    int64_t kept = p->kept[axis], at = i - p->before[axis];
    if (at >= 0 && at < kept)
        return p->crop[axis] + at;
    switch (p->mode) {
    case CONSTANT:
        return -1;
    case EDGE:
        at = at < 0 ? 0 : kept - 1;
        break;
    case WRAP:
        at = remainder_of(at, kept);
        break;
    case REFLECT: /* the edge itself is not repeated, so 2·(kept - 1) on it is there again */
        at = kept > 1 ? remainder_of(at, 2 * (kept - 1)) : 0;
        at = at < kept ? at : 2 * (kept - 1) - at;
        break;
    }
    return p->crop[axis] + at;
}

/* Behind the last axis that is padded, elements move together, as a cell. */
struct cells {
    int axis;
    size_t bytes, element_bytes;
    const void *value; /* one element */
    bool even;         /* all its bytes are equal, as those of zero are */
};

static char *fill(const struct cells *c, char *to, int64_t count)
{
    size_t bytes = (size_t)count * c->bytes;
    if (c->even)
        memset(to, *(const uint8_t *)c->value, bytes);
    for (size_t i = 0; i < bytes && !c->even; i += c->element_bytes)
        memcpy(to + i, c->value, c->element_bytes);
    return to + bytes;
}

/* One row along the last padded axis; from: its first cell, NULL: another axis is outside. */
static char *pad_row(const struct pads *p, const struct cells *c, const char *from, char *to)
{
    int axis = c->axis;
    int64_t before = p->before[axis], kept = p->kept[axis], after = p->after[axis];
    if (!from)
        return fill(c, to, before + kept + after);
    if (p->mode == CONSTANT) {
        to = fill(c, to, before);
        memcpy(to, from + (size_t)p->crop[axis] * c->bytes, (size_t)kept * c->bytes);
        return fill(c, to + (size_t)kept * c->bytes, after);
    }
    for (int64_t i = 0; i < before + kept + after; i++) {
        if (i == before && kept > 0) {
            memcpy(to, from + (size_t)p->crop[axis] * c->bytes, (size_t)kept * c->bytes);
            to += (size_t)kept * c->bytes;
            i += kept - 1;
            continue;
        }
        memcpy(to, from + (size_t)source(p, axis, i) * c->bytes, c->bytes);
        to += c->bytes;
    }
    return to;
}

static struct cells find_cells(const struct nn_op_call *call, const struct pads *p,
                               const void *value)
{
    const struct nn_shape *from = &call->inputs[0].shape;
    struct cells c = {.axis = from->rank - 1, .value = value};
    while (c.axis > 0 && p->before[c.axis] == 0 && p->after[c.axis] == 0 &&
           p->kept[c.axis] == from->dim[c.axis])
        c.axis--;
    c.element_bytes = nn_type_size(call->inputs[0].type);
    c.bytes = (size_t)nn_shape_extent(from, c.axis + 1, from->rank) * c.element_bytes;
    c.even = memcmp(value, (const char *)value + 1, c.element_bytes - 1) == 0;
    return c;
}

static int pad(struct nn_op_call *call)
{
    const struct nn_shape *from = &call->inputs[0].shape, *to = &call->outputs[0].shape;
    const char *x = call->inputs[0].data;
    char *y = call->outputs[0].data;
    uint64_t zero = 0;
    float attribute = nn_op_float(call, "value", 0);
    const void *value = nn_op_has_input(call, 2) ? call->inputs[2].data
                        : call->opset < 11       ? (const void *)&attribute
                                                 : &zero;
    struct pads p;
    int r = read_pads(call, &p);
    if (r < 0)
        return r;
    struct cells c = find_cells(call, &p, value);
    if (from->rank == 0)
        memcpy(y, x, c.element_bytes);
    if (from->rank == 0 || nn_shape_count(to) == 0)
        return 0;
    int64_t rows = nn_shape_extent(to, 0, c.axis), index[NN_MAX_RANK] = {0};
    for (int64_t row = 0; row < rows; row++) {
        int64_t at = 0;
        for (int d = 0; d < c.axis && at >= 0; d++) {
            int64_t i = source(&p, d, index[d]);
            at = i < 0 ? -1 : at * from->dim[d] + i;
        }
        y = pad_row(&p, &c, at < 0 ? NULL : x + (size_t)(at * from->dim[c.axis]) * c.bytes, y);
        for (int d = c.axis - 1; d >= 0 && ++index[d] == to->dim[d]; d--)
            index[d] = 0;
    }
    return 0;
}

static bool time_rule(const struct nn_op_call *call, const int *in, int *out)
{
    struct pads p;
    for (int i = 1; i < call->input_count; i++)
        if (in[i] != NN_TIME_NONE)
            return false;
    if (read_pads(call, &p) < 0 || p.late)
        return false;
    out[0] = in[0];
    return p.before[in[0]] == 0 && p.after[in[0]] == 0 &&
           p.kept[in[0]] == call->inputs[0].shape.dim[in[0]];
}

static const struct nn_attribute_rule rules[] = {{"mode", NN_ATTRIBUTE_STRING, 1, 0},
                                                 {"paddings", NN_ATTRIBUTE_INTS, 1, 1},
                                                 {"pads", NN_ATTRIBUTE_INTS, 2, 10},
                                                 {"value", NN_ATTRIBUTE_FLOAT, 1, 10},
                                                 {0}};

const struct nn_op nn_op_pad = {
    .name = "Pad",
    .min_inputs = 1,
    .max_inputs = 4,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = rules,
    .infer = infer,
    .forward = pad,
    .time = time_rule,
};
