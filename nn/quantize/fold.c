/* BatchNormalization as part of the convolution before it, in the file: what the planner does
 * at load (nn/fuse.c) has to be done before weights are given scales, channel by channel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nn/filters.h"
#include "nn/quantize/draft.h"
#include "nn/quantize/view.h"

struct folder {
    struct nn_draft *draft;
    const struct nn_model *model;
    struct nn_view view;
    struct nn_error *err;
};

/* Its floats when it has `count` of them. */
static const float *floats(const struct folder *f, const struct nn_node *node, int input,
                           int64_t count)
{
    const struct nn_tensor *tensor = nn_view_floats(&f->view, node, input);
    return tensor && nn_shape_count(&tensor->shape) == count ? tensor->data : NULL;
}

/* Nothing but its first output is asked for, as in inference. */
static bool gives_one_output(const struct nn_node *node)
{
    for (int j = 1; j < node->output_count; j++)
        if (node->outputs[j] != NN_VALUE_NONE)
            return false;
    return true;
}

/* Weights and bias of `conv` with `node` in them, as initializers. */
static int make_constants(struct folder *f, const struct nn_node *node,
                          const struct nn_filters *filters, const struct nn_tensor *weight,
                          const struct nn_normalization *n, const char **ret_weight,
                          const char **ret_bias)
{
    struct nn_draft *draft = f->draft;
    const char *stem = f->model->values[node->outputs[0]].name;
    const int64_t size = nn_shape_count(&weight->shape);
    struct nn_tensor w = {.type = NN_TYPE_FLOAT, .shape = weight->shape};
    struct nn_tensor b = {.type = NN_TYPE_FLOAT,
                          .shape = {.rank = 1, .dim = {filters->channels}}};
    w.data = malloc((size_t)size * sizeof(float) + 1);
    b.data = malloc((size_t)filters->channels * sizeof(float) + 1);
    *ret_weight = nn_draft_name(draft, stem, "_weight_folded");
    *ret_bias = nn_draft_name(draft, stem, "_bias_folded");
    bool made = w.data && b.data && *ret_weight && *ret_bias;
    if (made) {
        nn_filters_normalize(filters, n, weight->data, size, w.data, b.data);
        made = nn_draft_constant(draft, *ret_weight, &w) &&
               nn_draft_constant(draft, *ret_bias, &b);
    }
    free(w.data);
    free(b.data);
    return made ? 0 : nn_draft_no_memory(draft, f->err);
}

/* The convolution with these constants, making what the BatchNormalization made. */
static int absorb(struct folder *f, int conv, int normalization, const char *weight,
                  const char *bias)
{
    Onnx__NodeProto *copy = nn_draft_edit(f->draft, nn_draft_node(f->draft, (size_t)conv), 3);
    if (!copy)
        return nn_draft_no_memory(f->draft, f->err);
    copy->input[1] = nn_onnx_bytes(weight);
    copy->input[2] = nn_onnx_bytes(bias);
    copy->n_input = 3;
    copy->output = nn_draft_node(f->draft, (size_t)normalization)->output;
    copy->n_output = 1;
    f->draft->nodes.items[conv] = copy;
    f->draft->nodes.items[normalization] = NULL;
    return 0;
}

static int fold_node(struct folder *f, int index)
{
    const struct nn_node *node = &f->model->nodes[index];
    if (node->op != &nn_op_batch_normalization || !gives_one_output(node) ||
        nn_normalization_is_of_batch(node))
        return 0;
    const struct nn_node *conv = nn_view_sole_producer(&f->view, node->inputs[0]);
    const struct nn_tensor *weight = conv ? nn_view_floats(&f->view, conv, 1) : NULL;
    struct nn_filters filters;
    if (!weight || weight->shape.rank < 2 ||
        !nn_filters_find(conv->op, conv, &weight->shape, &filters) || filters.channels == 0)
        return 0;
    const struct nn_normalization n = {
        .scale = floats(f, node, 1, filters.channels),
        .shift = floats(f, node, 2, filters.channels),
        .mean = floats(f, node, 3, filters.channels),
        .variance = floats(f, node, 4, filters.channels),
        .bias = floats(f, conv, 2, filters.channels),
        .epsilon = nn_normalization_epsilon(node),
    };
    bool has_bias = nn_view_input(conv, 2) != NN_VALUE_NONE;
    if (!n.scale || !n.shift || !n.mean || !n.variance || (has_bias && !n.bias))
        return 0;
    const char *w, *b;
    int r = make_constants(f, node, &filters, weight, &n, &w, &b);
    return r < 0 ? r : absorb(f, (int)(conv - f->model->nodes), index, w, b);
}

int nn_draft_fold(struct nn_draft *draft, const struct nn_model *model, struct nn_error *err)
{
    struct folder f = {.draft = draft, .model = model, .err = err};
    if (nn_view_init(&f.view, model) < 0)
        return nn_error_set(err, -ENOMEM, "no memory to rewrite the model");
    int r = 0;
    for (int i = 0; i < model->node_count && r == 0; i++)
        r = fold_node(&f, i);
    nn_view_finish(&f.view);
    size_t kept = 0;
    for (size_t i = 0; i < draft->nodes.count; i++)
        if (draft->nodes.items[i])
            draft->nodes.items[kept++] = draft->nodes.items[i];
    draft->nodes.count = kept;
    return r < 0 ? r : nn_draft_sweep(draft, err);
}
