/* Which nodes become integers, and which values share a scale.
 *
 * From the end to the beginning: a product wants its input in 8 bits; what only moves values,
 * and sums and means, want theirs when somebody wants what they make. So nothing is rounded but
 * for a product that reads it, and what leads to the outputs stays as precise as it was. */
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "nn/filters.h"
#include "nn/quantize/parts.h"

/* --- products ----------------------------------------------------------------------------- */

/* Elements that the file holds as float32. What was float16 or float64 has become float32 only
 * here, and a pair of QuantizeLinear would need the other type around it. */
static bool is_float32_in_file(const struct nn_quantizer *q, int value)
{
    int producer = q->view.producer[value];
    const Onnx__TensorProto *proto = NULL;
    if (producer >= 0) {
        const Onnx__NodeProto *node = nn_draft_node(&q->draft, (size_t)producer);
        const Onnx__AttributeProto *a = nn_draft_attribute(node, "value");
        proto = a ? a->t : NULL;
    } else if ((size_t)value < q->draft.initializers.count) {
        /* The loader numbers initializers first, in the file's order. */
        proto = nn_draft_initializer(&q->draft, (size_t)value);
    }
    return proto && proto->data_type == NN_TYPE_FLOAT;
}

static const char *check_gemm(const struct nn_node *node)
{
    if (nn_node_int(node, "transA", 0) != 0)
        return "its input is transposed";
    if (nn_node_float(node, "alpha", 1) != 1 || nn_node_float(node, "beta", 1) != 1)
        return "its product is scaled";
    return NULL;
}

static int channel_axis(const struct nn_node *node, const struct nn_tensor *weight)
{
    if (node->op == &nn_op_conv)
        return 0;
    if (node->op == &nn_op_gemm)
        return nn_node_int(node, "transB", 0) != 0 ? 0 : 1;
    if (node->op == &nn_op_conv_transpose)
        return 1;
    return weight->shape.rank - 1; /* MatMul */
}

static bool multiplies(const struct nn_op *op)
{
    return op == &nn_op_conv || op == &nn_op_conv_transpose || op == &nn_op_gemm ||
           op == &nn_op_matmul;
}

const char *nn_quantize_weights_of(const struct nn_quantizer *q, const struct nn_node *node,
                                   struct nn_quantize_weights *ret_weights)
{
    if (!multiplies(node->op))
        return "it has no 8-bit form";
    struct nn_quantize_weights w = {.tensor = nn_view_floats(&q->view, node, 1)};
    if (!w.tensor)
        return "its weights are computed";
    if (!is_float32_in_file(q, node->inputs[1]))
        return "its weights are not float32";
    if (nn_view_constant(&q->view, node->inputs[0]))
        return "it reads a constant";
    const char *why = node->op == &nn_op_gemm ? check_gemm(node) : NULL;
    const struct nn_shape *shape = &w.tensor->shape;
    if (why || shape->rank < 2 || nn_shape_count(shape) == 0 ||
        (node->op == &nn_op_matmul && shape->rank != 2))
        return why ? why : "its weights are no matrix";
    w.axis = channel_axis(node, w.tensor);
    w.channels = (size_t)shape->dim[w.axis];
    w.inner = (size_t)nn_shape_extent(shape, w.axis + 1, shape->rank);
    if (node->op != &nn_op_matmul && nn_view_input(node, 2) != NN_VALUE_NONE) {
        struct nn_filters filters;
        int64_t outputs = nn_filters_find(node->op, node, shape, &filters)
                              ? filters.channels
                              : (int64_t)w.channels;
        w.bias = nn_view_floats(&q->view, node, 2);
        if (!w.bias || nn_shape_count(&w.bias->shape) != outputs)
            return "its bias is computed, or broadcast";
    }
    *ret_weights = w;
    return NULL;
}

/* --- what moves and blends ---------------------------------------------------------------- */

static bool is_nearest(const struct nn_node *node)
{
    return strcmp(nn_node_string(node, "mode", "nearest"), "nearest") == 0;
}

/* Pads with what is there, or with zero, which any scale has. */
static bool pads_plainly(const struct nn_quantizer *q, const struct nn_node *node)
{
    if (strcmp(nn_node_string(node, "mode", "constant"), "constant") != 0 ||
        nn_view_input(node, 2) == NN_VALUE_NONE)
        return true;
    const struct nn_tensor *with = nn_view_floats(&q->view, node, 2);
    return with && nn_shape_count(&with->shape) == 1 && *(const float *)with->data == 0;
}

/* How many of its inputs, from the first on, are the values that it moves; 0: it does more. */
static int moved_inputs(const struct nn_quantizer *q, const struct nn_node *node)
{
    static const struct nn_op *const movers[] = {
        &nn_op_depth_to_space, &nn_op_dropout,  &nn_op_expand,  &nn_op_flatten,
        &nn_op_gather,         &nn_op_identity, &nn_op_reshape, &nn_op_slice,
        &nn_op_space_to_depth, &nn_op_split,    &nn_op_squeeze, &nn_op_tile,
        &nn_op_transpose,      &nn_op_unsqueeze};
    if (node->op == &nn_op_concat)
        return node->input_count;
    if ((node->op == &nn_op_resize && !is_nearest(node)) ||
        (node->op == &nn_op_pad && !pads_plainly(q, node)))
        return 0;
    if (node->op == &nn_op_resize || node->op == &nn_op_pad || node->op == &nn_op_max_pool)
        return 1;
    for (size_t i = 0; i < sizeof movers / sizeof *movers; i++)
        if (node->op == movers[i])
            return 1;
    return 0;
}

/* Indices and masks, which are no numbers of the network. */
static bool has_other_outputs(const struct nn_node *node)
{
    for (int j = 1; j < node->output_count && node->op != &nn_op_split; j++)
        if (node->outputs[j] != NN_VALUE_NONE)
            return true;
    return false;
}

static int blended_inputs(const struct nn_node *node)
{
    return node->op == &nn_op_add                                                      ? 2
           : node->op == &nn_op_average_pool || node->op == &nn_op_global_average_pool ? 1
                                                                                       : 0;
}

static bool all_computed(const struct nn_quantizer *q, const struct nn_node *node, int inputs)
{
    for (int j = 0; j < inputs; j++)
        if (node->inputs[j] == NN_VALUE_NONE || nn_view_constant(&q->view, node->inputs[j]))
            return false;
    return inputs > 0;
}

/* --- the choice --------------------------------------------------------------------------- */

static bool is_kept(const char *const *keep, const struct nn_node *node)
{
    for (; keep && *keep; keep++)
        if (strcmp(*keep, node->name) == 0 || fnmatch(*keep, node->name, 0) == 0)
            return true;
    return false;
}

static int check_keep(const struct nn_model *model, const char *const *keep,
                      struct nn_error *err)
{
    for (; keep && *keep; keep++) {
        const char *const one[] = {*keep, NULL};
        bool found = false;
        for (int i = 0; i < model->node_count && !found; i++)
            found = is_kept(one, &model->nodes[i]);
        if (!found)
            return nn_error_set(err, -EINVAL, "no node of the model is called '%.80s'", *keep);
    }
    return 0;
}

int nn_quantize_group(const int *group, int value)
{
    while (group[value] != value)
        value = group[value];
    return value;
}

void nn_quantize_join(int *group, int a, int b)
{
    a = nn_quantize_group(group, a);
    b = nn_quantize_group(group, b);
    if (a < b)
        group[b] = a;
    else
        group[a] = b;
}

/* The node that alone reads the value and computes a function of each element: it belongs to
 * the node before it. */
static int behind_function(const struct nn_quantizer *q, const int *reader, int value)
{
    const struct nn_node *node = q->view.readers[value] == 1 && reader[value] >= 0
                                     ? &q->model->nodes[reader[value]]
                                     : NULL;
    return node && (node->op->flags & NN_OP_IS_ACTIVATION) ? node->outputs[0] : value;
}

static bool any_wanted(const struct nn_quantizer *q, const struct nn_node *node)
{
    for (int j = 0; j < node->output_count; j++)
        if (node->outputs[j] != NN_VALUE_NONE && q->wanted[node->outputs[j]])
            return true;
    return false;
}

static enum nn_quantize_role role_of(struct nn_quantizer *q, const struct nn_node *node,
                                     const int *reader, int *ret_inputs)
{
    struct nn_quantize_weights weights;
    *ret_inputs = 1;
    if (!nn_quantize_weights_of(q, node, &weights))
        return NN_ROLE_PRODUCT;
    if (node->outputs[0] == NN_VALUE_NONE || has_other_outputs(node))
        return NN_ROLE_FLOAT;
    int moved = moved_inputs(q, node);
    *ret_inputs = moved ? moved : blended_inputs(node);
    if (!all_computed(q, node, *ret_inputs))
        return NN_ROLE_FLOAT;
    if (moved)
        return any_wanted(q, node) ? NN_ROLE_MOVE : NN_ROLE_FLOAT;
    return q->wanted[behind_function(q, reader, node->outputs[0])] ? NN_ROLE_BLEND
                                                                   : NN_ROLE_FLOAT;
}

static void choose_node(struct nn_quantizer *q, int index, const int *reader)
{
    const struct nn_node *node = &q->model->nodes[index];
    int inputs;
    q->role[index] = role_of(q, node, reader, &inputs);
    for (int j = 0; j < inputs && q->role[index] != NN_ROLE_FLOAT; j++)
        q->wanted[node->inputs[j]] = true;
    if (q->role[index] != NN_ROLE_MOVE)
        return;
    for (int j = 0; j < node->output_count; j++) {
        if (node->outputs[j] == NN_VALUE_NONE)
            continue;
        q->wanted[node->outputs[j]] = true;
        for (int i = 0; i < inputs; i++)
            if (node->op != &nn_op_concat)
                nn_quantize_join(q->group, node->inputs[i], node->outputs[j]);
    }
}

/* Of each value, a node that reads it. */
static int *find_readers(const struct nn_model *model)
{
    int *reader = malloc(((size_t)model->value_total + 1) * sizeof *reader);
    if (!reader)
        return NULL;
    memset(reader, -1, ((size_t)model->value_total + 1) * sizeof *reader);
    for (int i = 0; i < model->node_count; i++)
        for (int j = 0; j < model->nodes[i].input_count; j++)
            if (model->nodes[i].inputs[j] != NN_VALUE_NONE)
                reader[model->nodes[i].inputs[j]] = i;
    return reader;
}

static int list_layers(struct nn_quantizer *q, const char *const *keep, struct nn_error *err)
{
    bool any = false;
    for (int i = 0; i < q->model->node_count; i++) {
        const struct nn_node *node = &q->model->nodes[i];
        struct nn_quantize_weights weights;
        if (!node->op->macs || node->outputs[0] == NN_VALUE_NONE)
            continue;
        q->layer_nodes[q->layer_count] = i;
        q->layers[q->layer_count++] = (struct nn_quantize_layer){
            .name = node->name,
            .op = node->op->name,
            .kept =
                is_kept(keep, node) ? "as asked" : nn_quantize_weights_of(q, node, &weights)};
        any |= q->role[i] == NN_ROLE_PRODUCT;
    }
    return any ? 0
               : nn_error_set(err, -ENOTSUP,
                              "there is nothing to quantise: no Conv, ConvTranspose, Gemm or "
                              "MatMul with constant float32 weights%s",
                              keep && *keep ? " but for those to keep" : "");
}

static int check_is_float(const struct nn_model *model, struct nn_error *err)
{
    static const char *const integers[] = {
        "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv",
        "QLinearMatMul",  "ConvInteger",      "MatMulInteger"};
    for (int i = 0; i < model->node_count; i++)
        for (size_t j = 0; j < sizeof integers / sizeof *integers; j++)
            if (strcmp(model->nodes[i].op->name, integers[j]) == 0)
                return nn_error_set(err, -ENOTSUP,
                                    "the model is quantised already: node '%.80s' (%s)",
                                    model->nodes[i].name, integers[j]);
    return 0;
}

int nn_quantize_choose(struct nn_quantizer *q, const char *const *keep, struct nn_error *err)
{
    const struct nn_model *model = q->model;
    size_t nodes = (size_t)model->node_count + 1, values = (size_t)model->value_total + 1;
    int r = check_is_float(model, err);
    if (r == 0)
        r = check_keep(model, keep, err);
    if (r < 0)
        return r;
    q->role = calloc(nodes, sizeof *q->role);
    q->wanted = calloc(values, sizeof *q->wanted);
    q->group = calloc(values, sizeof *q->group);
    q->layers = calloc(nodes, sizeof *q->layers);
    q->layer_nodes = calloc(nodes, sizeof *q->layer_nodes);
    int *reader = find_readers(model);
    if (!q->role || !q->wanted || !q->group || !q->layers || !q->layer_nodes || !reader) {
        free(reader);
        return nn_error_set(err, -ENOMEM, "no memory to quantise the model");
    }
    for (size_t v = 0; v < values; v++)
        q->group[v] = (int)v;
    for (int i = model->node_count - 1; i >= 0; i--)
        if (!is_kept(keep, &model->nodes[i]))
            choose_node(q, i, reader);
    free(reader);
    return list_layers(q, keep, err);
}
