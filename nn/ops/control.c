/* If and Loop as files have them, which the planner replaces, and what it replaces them by. */
#include "nn/ops/control.h"

#include <errno.h>
#include <string.h>

#include "nn/body.h"

static int infer_stack(struct nn_op_call *call)
{
    const struct nn_tensor *first = &call->inputs[0];
    if (first->shape.rank == NN_MAX_RANK)
        return nn_op_fail(call, -ENOTSUP, "the result has over %d dimensions", NN_MAX_RANK);
    for (int i = 1; i < call->input_count; i++)
        if (call->inputs[i].type != first->type ||
            !nn_shape_equal(&call->inputs[i].shape, &first->shape))
            return nn_op_fail(call, -EINVAL, "its output has another shape in round %d", i);
    struct nn_shape *to = &call->outputs[0].shape;
    *to = (struct nn_shape){.rank = first->shape.rank + 1, .dim = {call->input_count}};
    memcpy(to->dim + 1, first->shape.dim, (size_t)first->shape.rank * sizeof *to->dim);
    call->outputs[0].type = first->type;
    return 0;
}

static int stack(struct nn_op_call *call)
{
    const struct nn_tensor *first = &call->inputs[0];
    size_t bytes = nn_tensor_bytes(first);
    char *to = call->outputs[0].data;
    for (int i = 0; i < call->input_count && bytes > 0; i++, to += bytes)
        memcpy(to, call->inputs[i].data, bytes);
    return 0;
}

const struct nn_op nn_op_stack = {
    .name = "Loop",
    .min_inputs = 1,
    .max_inputs = NN_OP_VARIADIC,
    .min_outputs = 1,
    .max_outputs = 1,
    .infer = infer_stack,
    .forward = stack,
};

const struct nn_op nn_op_branch = {.name = "If", .forward = nn_body_branch};
const struct nn_op nn_op_repeat = {.name = "Loop", .forward = nn_body_repeat};

static const struct nn_attribute_rule if_rules[] = {
    {"then_branch", NN_ATTRIBUTE_GRAPH, 1, 0}, {"else_branch", NN_ATTRIBUTE_GRAPH, 1, 0}, {0}};
static const struct nn_attribute_rule loop_rules[] = {{"body", NN_ATTRIBUTE_GRAPH, 1, 0}, {0}};

const struct nn_op nn_op_if = {
    .name = "If",
    .min_inputs = 1,
    .max_inputs = 1,
    .min_outputs = 1,
    .max_outputs = NN_OP_VARIADIC,
    .attributes = if_rules,
};

const struct nn_op nn_op_loop = {
    .name = "Loop",
    .min_inputs = 0,
    .max_inputs = NN_OP_VARIADIC - 1, /* the first two may be left out, unlike a list's */
    .min_outputs = 1,
    .max_outputs = NN_OP_VARIADIC,
    .attributes = loop_rules,
};
