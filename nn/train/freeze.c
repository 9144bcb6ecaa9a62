#include "nn/train/freeze.h"

#include <errno.h>
#include <string.h>

static bool has_marked(const int *values, int count, const bool *frozen)
{
    for (int i = 0; i < count; i++)
        if (values[i] != NN_VALUE_NONE && frozen[values[i]])
            return true;
    return false;
}

static void mark(const int *values, int count, bool *frozen)
{
    for (int i = 0; i < count; i++)
        if (values[i] != NN_VALUE_NONE)
            frozen[values[i]] = true;
}

/* NN_VALUE_NONE: there is none. */
static int find_value(const struct nn_model *model, const char *name)
{
    for (int v = 0; v < model->value_count; v++)
        if (strcmp(model->values[v].name, name) == 0)
            return v;
    for (int i = 0; i < model->node_count; i++)
        if (strcmp(model->nodes[i].name, name) == 0)
            return model->nodes[i].outputs[0];
    return NN_VALUE_NONE;
}

int train_freeze(const struct nn_model *model, const char *tensor, bool *ret_frozen,
                 struct nn_error *err)
{
    int value = find_value(model, tensor);
    if (value == NN_VALUE_NONE)
        return nn_error_set(err, -EINVAL,
                            "there is no tensor and no layer '%.80s' up to which it could be "
                            "frozen; vigil model inspect lists its layers",
                            tensor);
    ret_frozen[value] = true;
    /* Nodes are in the order in which they run: what one reads is made before it. */
    for (int i = model->node_count - 1; i >= 0; i--) {
        const struct nn_node *node = &model->nodes[i];
        if (has_marked(node->outputs, node->output_count, ret_frozen))
            mark(node->inputs, node->input_count + node->capture_count, ret_frozen);
    }
    return 0;
}

bool train_freeze_has(const struct nn_plan_node *node, const bool *frozen)
{
    return has_marked(node->outputs, node->output_count, frozen);
}

void train_freeze_nodes(const struct nn_planner *p, bool *frozen)
{
    for (int i = p->node_count - 1; i >= 0; i--)
        if (train_freeze_has(p->nodes[i], frozen))
            mark(p->nodes[i]->inputs, p->nodes[i]->input_count, frozen);
}
