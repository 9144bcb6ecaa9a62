/* Follows the time axis through the graph and finds what can run frame by frame.
 *
 * A value is *timed* when it is made of frames: it has an axis whose extent is frames × k, and
 * its t-th piece on that axis (extent k) is a function of frame t alone. The input is timed by
 * definition. A node is per frame when all it reads is timed or constant and its operator
 * answers (nn_op.time) that working piece by piece is the same as working on the whole; its
 * outputs are then timed. Everything else runs per window. By induction over the nodes in
 * order, running the per-frame nodes once on each frame gives the pieces of every timed value,
 * and putting the pieces together gives what the whole run would compute there.
 *
 * Reshape and its kin do not compute: row-major, a timed value is [before, frames, after], and
 * a view of it is timed exactly when the new shape has an axis that splits at the same place.
 *
 * What an operator answers is not merely trusted: the node's shapes are inferred again from
 * the pieces, and a node whose output is not a piece of the whole output runs per window. */
#include <errno.h>
#include <stdlib.h>

#include "nn/planner.h"

struct nn_tensor nn_planner_frame_tensor(const struct nn_planner *p, int value)
{
    struct nn_tensor tensor = p->values[value].tensor;
    if (p->axis[value] != NN_TIME_NONE)
        tensor.shape.dim[p->axis[value]] /= p->frames;
    return tensor;
}

/* The axis of `to` that has `before` elements in front of it and splits into frames. */
static int view_axis(const struct nn_planner *p, int64_t before, const struct nn_shape *to)
{
    int64_t front = 1;
    for (int b = 0; b < to->rank && front <= before; b++) {
        if (front == before && to->dim[b] % p->frames == 0)
            return b;
        front *= to->dim[b];
    }
    return NN_TIME_NONE;
}

static bool time_of_view(const struct nn_planner *p, const struct nn_plan_node *node, int *out)
{
    const struct nn_shape *from = &p->values[node->inputs[0]].tensor.shape;
    const struct nn_shape *to = &p->values[node->outputs[0]].tensor.shape;
    if (nn_shape_count(from) == 0)
        return false;
    for (int i = 1; i < node->input_count; i++)
        if (node->inputs[i] != NN_VALUE_NONE && p->axis[node->inputs[i]] != NN_TIME_NONE)
            return false;
    for (int j = 1; j < node->output_count; j++)
        if (node->outputs[j] != NN_VALUE_NONE)
            return false;
    int axis = p->axis[node->inputs[0]];
    out[0] = view_axis(p, nn_shape_extent(from, 0, axis), to);
    return out[0] != NN_TIME_NONE;
}

/* Infers the node again over pieces; true when every output is the piece it should be. */
static bool pieces_fit(struct nn_planner *p, const struct nn_plan_node *node,
                       struct nn_tensor *tensors, const int *out)
{
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] != NN_VALUE_NONE)
            tensors[i] = nn_planner_frame_tensor(p, node->inputs[i]);
    struct nn_tensor *outputs = tensors + node->input_count;
    for (int j = 0; j < node->output_count; j++)
        outputs[j] = (struct nn_tensor){0};
    struct nn_op_call call =
        nn_plan_node_call(node, p->model->opset, p->kernels, tensors, outputs, p->pool, NULL);
    if (node->op->infer(&call) < 0)
        return false;
    for (int j = 0; j < node->output_count; j++) {
        if (node->outputs[j] == NN_VALUE_NONE)
            continue;
        struct nn_tensor whole = p->values[node->outputs[j]].tensor;
        if (out[j] < 0 || out[j] >= whole.shape.rank ||
            whole.shape.dim[out[j]] % p->frames != 0)
            return false;
        whole.shape.dim[out[j]] /= p->frames;
        if (outputs[j].type != whole.type || !nn_shape_equal(&outputs[j].shape, &whole.shape))
            return false;
    }
    return true;
}

/* Whether the node can run per frame; then out[j] is the time axis of output j. `in` and
 * `tensors` are scratch for the node's inputs and outputs. */
static bool runs_per_frame(struct nn_planner *p, const struct nn_plan_node *node,
                           const bool *per_window, int *in, int *out, struct nn_tensor *tensors)
{
    bool timed = false;
    for (int i = 0; i < node->input_count; i++) {
        int value = node->inputs[i];
        in[i] = value == NN_VALUE_NONE ? NN_TIME_NONE : p->axis[value];
        timed |= in[i] != NN_TIME_NONE;
        if (value != NN_VALUE_NONE && per_window[value])
            return false;
    }
    /* A shape that each run decides is of the whole window: its frames cannot be told apart. */
    if (!timed || nn_plan_node_is_late(node, p->values))
        return false;
    if (node->op->flags & NN_OP_VIEW)
        return in[0] != NN_TIME_NONE && time_of_view(p, node, out);
    if (!node->op->time)
        return false;
    nn_planner_inputs(p, node, tensors);
    struct nn_tensor *outputs = tensors + node->input_count;
    for (int j = 0; j < node->output_count; j++) {
        out[j] = NN_TIME_NONE;
        outputs[j] = node->outputs[j] == NN_VALUE_NONE ? (struct nn_tensor){0}
                                                       : p->values[node->outputs[j]].tensor;
    }
    struct nn_op_call call =
        nn_plan_node_call(node, p->model->opset, p->kernels, tensors, outputs, p->pool, NULL);
    return node->op->time(&call, in, out) && pieces_fit(p, node, tensors, out);
}

/* Values that leave the frame part: read by a node of the window part, or by the caller. */
static void find_crossing(struct nn_planner *p, bool *crosses)
{
    for (int i = 0; i < p->node_count; i++)
        for (int j = 0; j < p->nodes[i]->input_count && !p->in_frame[i]; j++) {
            int value = p->nodes[i]->inputs[j];
            if (value != NN_VALUE_NONE && p->axis[value] != NN_TIME_NONE)
                crosses[value] = true;
        }
    for (int i = 0; i < p->model->output_count; i++)
        if (p->axis[p->model->outputs[i]] != NN_TIME_NONE)
            crosses[p->model->outputs[i]] = true;
    for (int value = 0; value < p->value_count; value++)
        if (crosses[value])
            p->crossing[p->crossing_count++] = value;
}

int nn_cut_time(struct nn_planner *p, int input, int axis)
{
    /* Moving a layer's product before the cut adds a value for it. */
    size_t values = (size_t)p->value_count + (size_t)p->node_count;
    size_t widest = nn_planner_widest(p);
    p->axis = nn_pool_array(&p->scratch, values, sizeof *p->axis);
    p->crossing = nn_pool_array(&p->scratch, values, sizeof *p->crossing);
    p->in_frame = nn_pool_array(&p->scratch, (size_t)p->node_count, sizeof *p->in_frame);
    bool *per_window = nn_pool_array(&p->scratch, values, sizeof *per_window);
    bool *crosses = nn_pool_array(&p->scratch, values, sizeof *crosses);
    int *in = nn_pool_array(&p->scratch, 2 * widest, sizeof *in);
    struct nn_tensor *tensors = nn_pool_array(&p->scratch, widest, sizeof *tensors);
    if (!p->axis || !p->crossing || !p->in_frame || !per_window || !crosses || !in || !tensors)
        return nn_planner_no_memory(p);
    int *out = in + widest;

    for (size_t i = 0; i < values; i++)
        p->axis[i] = NN_TIME_NONE;
    /* Other inputs may change between a push and a run: what reads them waits for the run. */
    for (int i = 0; i < p->model->input_count; i++)
        per_window[p->model->inputs[i]] = true;
    per_window[input] = false;
    p->axis[input] = axis;
    p->frames = p->values[input].tensor.shape.dim[axis];

    for (int i = 0; i < p->node_count; i++) {
        const struct nn_plan_node *node = p->nodes[i];
        p->in_frame[i] = runs_per_frame(p, node, per_window, in, out, tensors);
        for (int j = 0; j < node->output_count; j++) {
            if (node->outputs[j] == NN_VALUE_NONE)
                continue;
            if (p->in_frame[i])
                p->axis[node->outputs[j]] = out[j];
            else
                per_window[node->outputs[j]] = true;
        }
    }
    int r = p->rewrites ? nn_project(p) : 0;
    if (r == 0)
        find_crossing(p, crosses);
    return r;
}
