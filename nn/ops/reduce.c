/* ReduceMean. */
#include <errno.h>
#include <string.h>

#include "nn/kernels/kernels.h"
#include "nn/op.h"
#include "nn/walk.h"

/* Which axes go: the attribute until opset 17, input 1 since 18; without any, all or none. */
static int read_axes(const struct nn_op_call *call, bool *reduced)
{
    int count = nn_op_axes(call, call->inputs[0].shape.rank, 18, reduced);
    if (count != 0)
        return count;
    bool all = nn_op_int(call, "noop_with_empty_axes", 0) == 0;
    for (int d = 0; d < call->inputs[0].shape.rank; d++)
        reduced[d] = all;
    return 0;
}

static int infer(struct nn_op_call *call)
{
    int r = nn_op_require_type(call, 0, NN_TYPE_FLOAT);
    bool reduced[NN_MAX_RANK];
    if (r == 0)
        r = read_axes(call, reduced);
    if (r < 0)
        return r;
    const struct nn_shape *from = &call->inputs[0].shape;
    bool keep = nn_op_int(call, "keepdims", 1) != 0;
    struct nn_shape to = {0};
    for (int d = 0; d < from->rank; d++) {
        if (!reduced[d])
            to.dim[to.rank++] = from->dim[d];
        else if (keep)
            to.dim[to.rank++] = 1;
    }
    call->outputs[0].type = NN_TYPE_FLOAT;
    call->outputs[0].shape = to;
    return 0;
}

struct state {
    struct nn_walk walk; /* over the input; operand 0 is the input, 1 the output */
    float scale;
};

static int prepare(struct nn_op_call *call)
{
    const struct nn_shape *from = &call->inputs[0].shape;
    bool reduced[NN_MAX_RANK];
    struct state *state = nn_op_alloc(call, sizeof *state);
    if (!state)
        return -ENOMEM;
    int r = read_axes(call, reduced);
    if (r < 0)
        return r;
    int64_t step[NN_MAX_RANK][2], in = 1, out = 1, count = 1;
    for (int d = from->rank - 1; d >= 0; d--) {
        step[d][0] = in;
        step[d][1] = reduced[d] ? 0 : out;
        in *= from->dim[d];
        out *= reduced[d] ? 1 : from->dim[d];
        count *= reduced[d] ? from->dim[d] : 1;
    }
    nn_walk_make(&state->walk, from, step);
    state->scale = 1.0f / (float)count;
    call->state = state;
    return 0;
}

static int reduce_mean(struct nn_op_call *call)
{
    const struct state *state = call->state;
    const struct nn_walk *w = &state->walk;
    const struct nn_kernels *k = call->kernels;
    const float *x = call->inputs[0].data;
    float *y = call->outputs[0].data;
    size_t results = (size_t)nn_shape_count(&call->outputs[0].shape);
    memset(y, 0, results * sizeof *y);
    struct nn_walk_cursor c = {0};
    if (w->inner > 0) {
        do {
            float *to = y + c.at[1];
            if (w->inner_step[1] == 0)
                *to += k->sum(x + c.at[0], (size_t)w->inner);
            else
                k->add(to, to, x + c.at[0], (size_t)w->inner);
        } while (nn_walk_next(w, &c));
    }
    /* The mean of nothing is 0 · infinity: NaN, as dividing by the count would give. */
    k->affine(y, y, state->scale, 0, results);
    return 0;
}

static bool time_rule(const struct nn_op_call *call, const int *in, int *out)
{
    bool reduced[NN_MAX_RANK];
    if (in[0] == NN_TIME_NONE || read_axes(call, reduced) < 0 || reduced[in[0]])
        return false;
    out[0] = in[0];
    for (int d = 0; d < in[0] && nn_op_int(call, "keepdims", 1) == 0; d++)
        out[0] -= reduced[d];
    return true;
}

static const struct nn_attribute_rule rules[] = {
    {"axes", NN_ATTRIBUTE_INTS, 1, 17},
    {"keepdims", NN_ATTRIBUTE_INT, 1, 0},
    {"noop_with_empty_axes", NN_ATTRIBUTE_INT, 18, 0},
    {0}};

const struct nn_op nn_op_reduce_mean = {
    .name = "ReduceMean",
    .min_inputs = 1,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = rules,
    .infer = infer,
    .prepare = prepare,
    .forward = reduce_mean,
    .time = time_rule,
};
