#include "nn/quantize/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int nn_view_init(struct nn_view *view, const struct nn_model *model)
{
    size_t count = (size_t)model->value_total + 1;
    *view = (struct nn_view){.model = model,
                             .readers = calloc(count, sizeof *view->readers),
                             .producer = malloc(count * sizeof *view->producer)};
    if (!view->readers || !view->producer) {
        nn_view_finish(view);
        return -ENOMEM;
    }
    memset(view->producer, -1, count * sizeof *view->producer);
    for (int i = 0; i < model->node_count; i++) {
        const struct nn_node *node = &model->nodes[i];
        for (int j = 0; j < node->input_count + node->capture_count; j++)
            if (node->inputs[j] != NN_VALUE_NONE)
                view->readers[node->inputs[j]]++;
        for (int j = 0; j < node->output_count; j++)
            if (node->outputs[j] != NN_VALUE_NONE)
                view->producer[node->outputs[j]] = i;
    }
    for (int i = 0; i < model->output_count; i++)
        view->readers[model->outputs[i]]++;
    return 0;
}

void nn_view_finish(struct nn_view *view)
{
    free(view->readers);
    free(view->producer);
    *view = (struct nn_view){0};
}

const struct nn_tensor *nn_view_constant(const struct nn_view *view, int value)
{
    if (value == NN_VALUE_NONE)
        return NULL;
    if (view->model->values[value].declared.data)
        return &view->model->values[value].declared;
    int producer = view->producer[value];
    const struct nn_node *node = producer < 0 ? NULL : &view->model->nodes[producer];
    if (!node || node->op != &nn_op_constant)
        return NULL;
    const struct nn_attribute *given = nn_node_attribute(node, "value");
    return given ? &given->tensor : NULL;
}

int nn_view_input(const struct nn_node *node, int input)
{
    return input < node->input_count ? node->inputs[input] : NN_VALUE_NONE;
}

const struct nn_tensor *nn_view_floats(const struct nn_view *view, const struct nn_node *node,
                                       int input)
{
    const struct nn_tensor *tensor = nn_view_constant(view, nn_view_input(node, input));
    return tensor && tensor->type == NN_TYPE_FLOAT ? tensor : NULL;
}

const struct nn_node *nn_view_sole_producer(const struct nn_view *view, int value)
{
    if (value == NN_VALUE_NONE || view->readers[value] != 1 || view->producer[value] < 0)
        return NULL;
    return &view->model->nodes[view->producer[value]];
}
