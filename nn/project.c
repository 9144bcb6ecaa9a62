/* Recurrent layers take in a frame with a product that looks at no other frame. Where a layer
 * follows the time cut, that product would be computed anew for all frames of every window;
 * here it is taken out of the layer and runs once per frame. What waits in the ring is then the
 * product instead of the features.
 *
 * Every row of the product gets the same bits wherever it is computed, so results do not change
 * at all. */
#include <assert.h>

#include "nn/planner.h"

/* With fewer, copying the product from the ring costs as much as making it. */
enum { LEAST_INPUTS = 16 };

static bool is_constant(const struct nn_planner *p, int value)
{
    return value != NN_VALUE_NONE && p->values[value].tensor.data &&
           p->values[value].tensor.type == NN_TYPE_FLOAT;
}

/* A recurrent layer of the window part whose steps are the frames. */
static bool can_project(const struct nn_planner *p, int index)
{
    const struct nn_plan_node *node = p->nodes[index];
    bool recurrent =
        node->op == &nn_op_lstm || node->op == &nn_op_gru || node->op == &nn_op_rnn;
    if (!recurrent || p->in_frame[index] || !is_constant(p, node->inputs[1]) ||
        !is_constant(p, node->inputs[2]) || nn_plan_node_is_late(node, p->values))
        return false;
    int steps = nn_node_int(node->node, "layout", 0) == 1 ? 1 : 0, x = node->inputs[0];
    const struct nn_shape *in = &p->values[x].tensor.shape;
    const struct nn_shape *w = &p->values[node->inputs[1]].tensor.shape;
    int64_t width = w->dim[0] * w->dim[1];
    return p->axis[x] == steps && in->dim[steps] == p->frames && w->dim[2] >= LEAST_INPUTS &&
           in->dim[0] * in->dim[1] <= INT32_MAX / width;
}

/* The new node, whose output takes the place of the layer's input. NULL without memory. */
static struct nn_plan_node *take_out(struct nn_planner *p, struct nn_plan_node *layer)
{
    struct nn_plan_node *node = nn_pool_alloc(&p->scratch, sizeof *node);
    int *edges = nn_pool_array(&p->scratch, 3, sizeof *edges);
    if (!node || !edges)
        return NULL;
    const struct nn_tensor *x = &p->values[layer->inputs[0]].tensor;
    const struct nn_shape *w = &p->values[layer->inputs[1]].tensor.shape;
    struct nn_tensor product = {.type = NN_TYPE_FLOAT, .shape = x->shape};
    product.shape.dim[2] = w->dim[0] * w->dim[1];
    edges[0] = layer->inputs[0];
    edges[1] = layer->inputs[1];
    edges[2] = nn_planner_add_value(p, &product);
    assert(edges[2] != NN_VALUE_NONE); /* a node may add two */
    p->axis[edges[2]] = p->axis[edges[0]];
    *node = (struct nn_plan_node){.op = &nn_op_projection,
                                  .node = layer->node,
                                  .input_count = 2,
                                  .output_count = 1,
                                  .inputs = edges,
                                  .outputs = edges + 2,
                                  .layer = -1};
    layer->inputs[0] = edges[2];
    layer->projected = true;
    struct nn_plan_layer *listed = &p->layers[layer->layer];
    listed->frame_macs =
        (double)nn_shape_count(&product.shape) / (double)p->frames * (double)w->dim[2];
    listed->macs -= listed->frame_macs * (double)p->frames;
    return node;
}

int nn_project(struct nn_planner *p)
{
    int found = 0;
    for (int i = 0; i < p->node_count; i++)
        found += can_project(p, i);
    if (found == 0)
        return 0;
    size_t count = (size_t)(p->node_count + found);
    struct nn_plan_node **nodes = nn_pool_array(&p->scratch, count, sizeof *nodes);
    bool *in_frame = nn_pool_array(&p->scratch, count, sizeof *in_frame);
    if (!nodes || !in_frame)
        return nn_planner_no_memory(p);
    int placed = 0;
    for (int i = 0; i < p->node_count; i++) {
        if (can_project(p, i)) {
            in_frame[placed] = true;
            nodes[placed] = take_out(p, p->nodes[i]);
            if (!nodes[placed++])
                return nn_planner_no_memory(p);
        }
        in_frame[placed] = p->in_frame[i];
        nodes[placed++] = p->nodes[i];
    }
    p->nodes = nodes;
    p->in_frame = in_frame;
    p->node_count = placed;
    return 0;
}
