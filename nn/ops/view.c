/* Operators that only see their input's bytes under another shape: Identity, Dropout (which
 * does nothing when a network is used, not trained), Reshape, Flatten, Squeeze, Unsqueeze. */
#include <errno.h>
#include <string.h>

#include "nn/op.h"

/* What every row here does when the planner cannot share the bytes. */
static int copy(struct nn_op_call *call)
{
    const struct nn_tensor *out = &call->outputs[0];
    memmove(out->data, call->inputs[0].data, nn_tensor_bytes(out));
    return 0;
}

static int infer_identity(struct nn_op_call *call)
{
    call->outputs[0].type = call->inputs[0].type;
    call->outputs[0].shape = call->inputs[0].shape;
    return 0;
}

/* --- Dropout ---------------------------------------------------------------------------- */

static int infer_dropout(struct nn_op_call *call)
{
    if (nn_op_has_input(call, 2)) {
        const struct nn_tensor *training = &call->inputs[2];
        if (training->type != NN_TYPE_BOOL || nn_shape_count(&training->shape) != 1)
            return nn_op_fail(call, -EINVAL, "training_mode must be one bool");
        if (!training->data)
            return nn_op_fail(call, -ENOTSUP, "training_mode must be a constant");
        const struct nn_tensor *ratio = &call->inputs[1];
        bool zero = ratio->type == NN_TYPE_FLOAT && ratio->data &&
                    nn_shape_count(&ratio->shape) == 1 && *(const float *)ratio->data == 0;
        if (*(const uint8_t *)training->data && !zero)
            return nn_op_fail(call, -ENOTSUP, "training_mode: export the model for inference");
    }
    if (nn_op_wants_output(call, 1)) {
        call->outputs[1].type = call->opset < 10 ? call->inputs[0].type : NN_TYPE_BOOL;
        call->outputs[1].shape = call->inputs[0].shape;
    }
    return infer_identity(call);
}

/* The mask says which elements were kept: all. */
static int dropout(struct nn_op_call *call)
{
    if (call->output_count > 1 && call->outputs[1].data) {
        const struct nn_tensor *mask = &call->outputs[1];
        int64_t count = nn_shape_count(&mask->shape);
        if (mask->type == NN_TYPE_FLOAT)
            for (int64_t i = 0; i < count; i++)
                ((float *)mask->data)[i] = 1;
        else
            memset(mask->data, 1, (size_t)count);
    }
    return call->outputs[0].data ? copy(call) : 0;
}

/* --- Reshape ---------------------------------------------------------------------------- */

static int reshape_target(const struct nn_op_call *call, int64_t *dims, bool *ret_late)
{
    if (call->opset >= 5) {
        if (!nn_op_has_input(call, 1))
            return nn_op_fail(call, -EINVAL, "input 'shape' is missing");
        return nn_op_sizes(call, 1, "shape", dims, NN_MAX_RANK, ret_late);
    }
    int count;
    const int64_t *attribute = nn_op_ints(call, "shape", &count);
    if (count > NN_MAX_RANK)
        return nn_op_fail(call, -ENOTSUP, "shape has %d dimensions; %d are supported", count,
                          NN_MAX_RANK);
    if (count > 0)
        memcpy(dims, attribute, (size_t)count * sizeof *dims);
    return count;
}

static int infer_reshape(struct nn_op_call *call)
{
    const struct nn_shape *from = &call->inputs[0].shape;
    struct nn_shape to = {0};
    bool late = false;
    int rank = reshape_target(call, to.dim, &late);
    if (rank < 0)
        return rank;
    to.rank = rank;
    /* Of the most that shapes can be, nothing needs to come out even. */
    bool exact = !late && !call->inputs[0].late;
    bool zero_is_zero = nn_op_int(call, "allowzero", 0) != 0;
    int open = -1;
    for (int d = 0; d < rank; d++) {
        if (to.dim[d] == 0 && !zero_is_zero) {
            if (d >= from->rank)
                return nn_op_fail(call, -EINVAL,
                                  "shape copies dimension %d, which is not there", d);
            to.dim[d] = from->dim[d];
        }
        if (to.dim[d] < -1 || (to.dim[d] == -1 && open >= 0))
            return nn_op_fail(call, -EINVAL, "shape has an impossible dimension %d", d);
        if (to.dim[d] == -1)
            open = d;
    }
    int64_t count = nn_shape_count(from);
    if (open >= 0) {
        to.dim[open] = 1;
        int64_t known = nn_shape_count(&to);
        if (known < 0 || (exact && (known == 0 || count % known != 0)))
            return nn_op_fail(call, -EINVAL, "%lld elements do not divide into shape",
                              (long long)count);
        to.dim[open] = known > 0 ? count / known : 0;
    }
    if (exact && nn_shape_count(&to) != count)
        return nn_op_fail(call, -EINVAL, "shape does not hold the input's %lld elements",
                          (long long)count);
    call->outputs[0].type = call->inputs[0].type;
    call->outputs[0].shape = to;
    call->outputs[0].late = late;
    return 0;
}

static int infer_flatten(struct nn_op_call *call)
{
    const struct nn_shape *from = &call->inputs[0].shape;
    int64_t axis = nn_op_int(call, "axis", 1);
    if (axis < 0)
        axis += from->rank;
    if (axis < 0 || axis > from->rank)
        return nn_op_fail(call, -EINVAL, "axis %lld is outside a tensor of rank %d",
                          (long long)nn_op_int(call, "axis", 1), from->rank);
    call->outputs[0].type = call->inputs[0].type;
    call->outputs[0].shape = (struct nn_shape){
        .rank = 2,
        .dim = {nn_shape_extent(from, 0, (int)axis),
                nn_shape_extent(from, (int)axis, from->rank)},
    };
    return 0;
}

/* --- Squeeze, Unsqueeze ----------------------------------------------------------------- */

enum { AXES_INPUT_SINCE = 13 }; /* opset; an attribute before */

static int infer_squeeze(struct nn_op_call *call)
{
    const struct nn_shape *from = &call->inputs[0].shape;
    bool chosen[NN_MAX_RANK];
    int count = nn_op_axes(call, from->rank, AXES_INPUT_SINCE, chosen);
    if (count < 0)
        return count;
    struct nn_shape to = {0};
    for (int d = 0; d < from->rank; d++) {
        bool drop = count == 0 ? from->dim[d] == 1 : chosen[d];
        if (drop && from->dim[d] != 1)
            return nn_op_fail(call, -EINVAL, "axis %d has extent %lld, not 1", d,
                              (long long)from->dim[d]);
        if (!drop)
            to.dim[to.rank++] = from->dim[d];
    }
    call->outputs[0].type = call->inputs[0].type;
    call->outputs[0].shape = to;
    return 0;
}

static int infer_unsqueeze(struct nn_op_call *call)
{
    const struct nn_shape *from = &call->inputs[0].shape;
    int count;
    nn_op_ints(call, "axes", &count);
    if (nn_op_has_input(call, 1))
        count = (int)nn_shape_count(&call->inputs[1].shape);
    if (count < 0 || count > NN_MAX_RANK - from->rank)
        return nn_op_fail(call, -ENOTSUP, "the result has over %d dimensions", NN_MAX_RANK);
    bool chosen[NN_MAX_RANK];
    struct nn_shape to = {.rank = from->rank + count};
    count = nn_op_axes(call, to.rank, AXES_INPUT_SINCE, chosen);
    if (count < 0)
        return count;
    if (count == 0)
        return nn_op_fail(call, -EINVAL, "axes are missing");
    for (int d = 0, s = 0; d < to.rank; d++)
        to.dim[d] = chosen[d] ? 1 : from->dim[s++];
    call->outputs[0].type = call->inputs[0].type;
    call->outputs[0].shape = to;
    return 0;
}

static const struct nn_attribute_rule dropout_rules[] = {
    {"consumed_inputs", NN_ATTRIBUTE_INTS, 1, 5},
    {"is_test", NN_ATTRIBUTE_INT, 1, 6},
    {"ratio", NN_ATTRIBUTE_FLOAT, 1, 11},
    {"seed", NN_ATTRIBUTE_INT, 12, 0},
    {0}};
static const struct nn_attribute_rule reshape_rules[] = {
    {"consumed_inputs", NN_ATTRIBUTE_INTS, 1, 4},
    {"shape", NN_ATTRIBUTE_INTS, 1, 4},
    {"allowzero", NN_ATTRIBUTE_INT, 14, 0},
    {0}};
static const struct nn_attribute_rule axis_rules[] = {{"axis", NN_ATTRIBUTE_INT, 1, 0}, {0}};
static const struct nn_attribute_rule axes_rules[] = {{"axes", NN_ATTRIBUTE_INTS, 1, 12}, {0}};

#define VIEW(row, op_type, most_inputs, most_outputs, rules, infer_function, forward_function) \
    const struct nn_op row = {                                                                 \
        .name = op_type,                                                                       \
        .min_inputs = 1,                                                                       \
        .max_inputs = most_inputs,                                                             \
        .min_outputs = 1,                                                                      \
        .max_outputs = most_outputs,                                                           \
        .flags = NN_OP_VIEW | NN_OP_GROWS,                                                     \
        .attributes = rules,                                                                   \
        .infer = infer_function,                                                               \
        .forward = forward_function,                                                           \
    }

VIEW(nn_op_dropout, "Dropout", 3, 2, dropout_rules, infer_dropout, dropout);
VIEW(nn_op_flatten, "Flatten", 1, 1, axis_rules, infer_flatten, copy);
VIEW(nn_op_identity, "Identity", 1, 1, NULL, infer_identity, copy);
VIEW(nn_op_reshape, "Reshape", 2, 1, reshape_rules, infer_reshape, copy);
VIEW(nn_op_squeeze, "Squeeze", 2, 1, axes_rules, infer_squeeze, copy);
VIEW(nn_op_unsqueeze, "Unsqueeze", 2, 1, axes_rules, infer_unsqueeze, copy);
