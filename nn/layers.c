/* The list of layers that a person is shown: made of the nodes as the model has them,
 * before any are merged, and told afterwards which were and on which side of the time
 * cut each runs. */
#include <stdlib.h>
#include <string.h>

#include "nn/planner.h"

static int first_output(const struct nn_plan_node *node)
{
    for (int j = 0; j < node->output_count; j++)
        if (node->outputs[j] != NN_VALUE_NONE)
            return node->outputs[j];
    return NN_VALUE_NONE;
}

/* Quantised weights; lists of bytes are zero points. */
static bool is_byte_weight(const struct nn_tensor *t)
{
    return nn_type_is_byte(t->type) && t->shape.rank >= 2;
}

/* Float constants and quantised weights that no node before has counted. */
static void count_parameters(const struct nn_planner *p, const struct nn_plan_node *node,
                             bool *counted, struct nn_plan_layer *layer)
{
    for (int i = 0; i < node->input_count; i++) {
        int value = node->inputs[i];
        if (value == NN_VALUE_NONE || counted[value])
            continue;
        const struct nn_tensor *t = &p->values[value].tensor;
        if (!t->data || (t->type != NN_TYPE_FLOAT && !is_byte_weight(t)))
            continue;
        counted[value] = true;
        layer->parameters += nn_shape_count(&t->shape);
        layer->parameter_bytes += nn_tensor_bytes(t);
    }
}

static double count_macs(const struct nn_planner *p, const struct nn_plan_node *node,
                         struct nn_tensor *tensors)
{
    if (!node->op->macs)
        return 0;
    struct nn_tensor *outputs = tensors + node->input_count;
    nn_planner_inputs(p, node, tensors);
    for (int j = 0; j < node->output_count; j++)
        outputs[j] = node->outputs[j] == NN_VALUE_NONE ? (struct nn_tensor){0}
                                                       : p->values[node->outputs[j]].tensor;
    struct nn_op_call call =
        nn_plan_node_call(node, p->model->opset, p->kernels, tensors, outputs, p->pool, NULL);
    return node->op->macs(&call);
}

int nn_layers_list(struct nn_planner *p)
{
    p->layers = nn_pool_array(p->pool, (size_t)p->node_count, sizeof *p->layers);
    struct nn_tensor *tensors =
        nn_pool_array(&p->scratch, nn_planner_widest(p), sizeof *tensors);
    bool *counted = nn_pool_array(&p->scratch, (size_t)p->value_count, sizeof *counted);
    if (!p->layers || !tensors || !counted)
        return nn_planner_no_memory(p);
    for (int i = 0; i < p->node_count; i++) {
        struct nn_plan_node *node = p->nodes[i];
        const struct nn_tensor *out = &p->values[first_output(node)].tensor;
        node->layer = i;
        p->layers[i] = (struct nn_plan_layer){
            .name = node->node->name,
            .op = node->op->name,
            .type = out->type,
            .shape = out->shape,
            .macs = count_macs(p, node, tensors),
            .fused_into = -1,
        };
        count_parameters(p, node, counted, &p->layers[i]);
    }
    p->layer_count = p->node_count;
    return 0;
}

void nn_layers_merge(struct nn_planner *p, const struct nn_plan_node *node,
                     const struct nn_plan_node *into)
{
    if (node->layer >= 0 && into->layer >= 0) /* those that the planner added have none */
        p->layers[node->layer].fused_into = into->layer;
}

/* What one convolution makes for several has the channels of all (nn/siblings.c); each keeps
 * its own. */
static void take_shape(struct nn_plan_layer *layer, const struct nn_plan_layer *from,
                       const struct nn_shape *shape)
{
    const int64_t channels = layer->shape.dim[1];
    layer->shape = *shape;
    if (strcmp(from->op, "Conv") == 0)
        layer->shape.dim[1] = channels;
}

/* A node that was merged has the shape of the one that took it over, and runs with it. What
 * runs per frame does the same for each frame, so its work divides by their number. */
void nn_layers_settle(struct nn_planner *p)
{
    for (int i = 0; i < p->node_count && p->in_frame; i++) {
        if (!p->in_frame[i] || p->nodes[i]->layer < 0)
            continue;
        struct nn_plan_layer *layer = &p->layers[p->nodes[i]->layer];
        layer->per_frame = true;
        layer->macs /= (double)p->frames;
        const struct nn_tensor frame = nn_planner_frame_tensor(p, first_output(p->nodes[i]));
        take_shape(layer, layer, &frame.shape);
    }
    for (int i = 0; i < p->layer_count; i++) {
        struct nn_plan_layer *layer = &p->layers[i];
        /* What absorbed it may have been absorbed in turn (parts of a Gelu behind a Conv). */
        while (layer->fused_into >= 0 && p->layers[layer->fused_into].fused_into >= 0)
            layer->fused_into = p->layers[layer->fused_into].fused_into;
        if (layer->fused_into < 0 || !p->layers[layer->fused_into].per_frame)
            continue;
        layer->per_frame = true;
        const struct nn_plan_layer *into = &p->layers[layer->fused_into];
        take_shape(layer, into, &into->shape);
    }
}
