/* Merges what exporters keep apart: BatchNormalization into the weights of the convolution
 * before it, a row that is added to a product into MatMul, an activation into the node whose
 * result it alone reads, the usual pooling into Conv and the sum with a residual into Conv and
 * Resize. The reference kernels run the graph as it is written, so that a comparison also
 * covers this file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nn/activation.h"
#include "nn/constants.h"
#include "nn/filters.h"
#include "nn/planner.h"

struct fuser {
    struct nn_planner *p;
    int *readers, *producer; /* nn_planner_edges */
};

/* The node that makes input 0 of `node`, when nobody else reads that value. */
static struct nn_plan_node *sole_producer(const struct fuser *f,
                                          const struct nn_plan_node *node)
{
    int value = node->inputs[0];
    if (f->producer[value] < 0 || f->readers[value] != 1)
        return NULL;
    struct nn_plan_node *before = f->p->nodes[f->producer[value]];
    return before && before->outputs[0] == value ? before : NULL;
}

/* `before` takes over the output of `node`, which is dropped. */
static void absorb(struct fuser *f, struct nn_plan_node *before, int index)
{
    struct nn_plan_node *node = f->p->nodes[index];
    int value = node->outputs[0];
    f->producer[value] = f->producer[before->outputs[0]];
    before->outputs[0] = value;
    nn_layers_merge(f->p, node, before);
    f->p->nodes[index] = NULL;
}

static const float *constant_floats(const struct fuser *f, const struct nn_plan_node *node,
                                    int index, int64_t count)
{
    if (index >= node->input_count || node->inputs[index] == NN_VALUE_NONE)
        return NULL;
    const struct nn_tensor *t = &f->p->values[node->inputs[index]].tensor;
    return t->type == NN_TYPE_FLOAT && nn_shape_count(&t->shape) == count ? t->data : NULL;
}

static int fuse_batch_normalization(struct fuser *f, int index)
{
    struct nn_planner *p = f->p;
    struct nn_plan_node *node = p->nodes[index];
    struct nn_plan_node *conv = sole_producer(f, node);
    struct nn_filters filters;
    if (nn_normalization_is_of_batch(node->node) || !conv || conv->pooled ||
        conv->input_count > 3 || conv->activation != NN_ACTIVATION_NONE ||
        p->value_capacity - p->value_count < 2 || conv->input_count < 2)
        return 0;
    const struct nn_tensor *weight = &p->values[conv->inputs[1]].tensor;
    if (!nn_filters_find(conv->op, conv->node, &weight->shape, &filters))
        return 0;
    const int64_t channels = filters.channels, size = nn_shape_count(&weight->shape);
    const struct nn_normalization n = {
        .scale = constant_floats(f, node, 1, channels),
        .shift = constant_floats(f, node, 2, channels),
        .mean = constant_floats(f, node, 3, channels),
        .variance = constant_floats(f, node, 4, channels),
        .bias = constant_floats(f, conv, 2, channels),
        .epsilon = nn_normalization_epsilon(node->node),
    };
    bool has_bias = conv->input_count > 2 && conv->inputs[2] != NN_VALUE_NONE;
    if (channels == 0 || !n.scale || !n.shift || !n.mean || !n.variance || !weight->data ||
        (has_bias && !n.bias))
        return 0;

    struct nn_tensor w = *weight;
    struct nn_tensor b = {.type = NN_TYPE_FLOAT, .shape = {.rank = 1, .dim = {channels}}};
    bool fill_w, fill_b;
    w.data = nn_constants_take(p->constants, node->node, NN_SLOT_FUSED_WEIGHT,
                               (size_t)size * sizeof(float), true, &fill_w);
    b.data = nn_constants_take(p->constants, node->node, NN_SLOT_FUSED_BIAS,
                               (size_t)channels * sizeof(float), true, &fill_b);
    int *inputs = nn_pool_array(&p->scratch, 3, sizeof *inputs);
    if (!w.data || !b.data || !inputs)
        return nn_planner_no_memory(p);
    if (fill_w && fill_b)
        nn_filters_normalize(&filters, &n, weight->data, size, w.data, b.data);
    inputs[0] = conv->inputs[0];
    inputs[1] = nn_planner_add_constant(p, &w);
    inputs[2] = nn_planner_add_constant(p, &b);
    conv->inputs = inputs;
    conv->input_count = 3;
    absorb(f, conv, index);
    return 0;
}

/* Add of one constant row behind a MatMul: its third input. 1 when it was one. */
static int fuse_bias(struct fuser *f, int index)
{
    struct nn_planner *p = f->p;
    struct nn_plan_node *node = p->nodes[index];
    for (int i = 0; i < 2 && p->model->opset >= 7; i++) {
        int value = node->inputs[i], bias = node->inputs[1 - i];
        struct nn_plan_node *product =
            f->producer[value] < 0 ? NULL : p->nodes[f->producer[value]];
        const struct nn_tensor *y = &p->values[value].tensor, *b = &p->values[bias].tensor;
        if (!product || product->op != &nn_op_matmul || product->input_count != 2 ||
            product->activation != NN_ACTIVATION_NONE || f->readers[value] != 1 || !b->data ||
            y->late || p->values[product->inputs[1]].tensor.shape.rank < 2)
            continue;
        int64_t columns = y->shape.dim[y->shape.rank - 1];
        if (b->shape.rank < 1 || b->shape.dim[b->shape.rank - 1] != columns ||
            nn_shape_count(&b->shape) != columns ||
            !nn_shape_equal(&y->shape, &p->values[node->outputs[0]].tensor.shape))
            continue;
        int *inputs = nn_pool_array(&p->scratch, 3, sizeof *inputs);
        if (!inputs)
            return nn_planner_no_memory(p);
        inputs[0] = product->inputs[0];
        inputs[1] = product->inputs[1];
        inputs[2] = bias;
        product->inputs = inputs;
        product->input_count = 3;
        absorb(f, product, index);
        return 1;
    }
    return 0;
}

/* Clip's limits, where they are inputs. 1, or 0 when one is computed at run time. */
static int constant_limits(const struct fuser *f, const struct nn_plan_node *node, float *low,
                           float *high)
{
    float *const limits[] = {NULL, low, high};
    for (int i = 1; i < node->input_count; i++) {
        if (node->inputs[i] == NN_VALUE_NONE)
            continue;
        const float *limit = constant_floats(f, node, i, 1);
        if (!limit || i > 2)
            return 0;
        if (nn_constants_note_read(f->p->constants, limit) < 0)
            return nn_planner_no_memory(f->p);
        *limits[i] = *limit;
    }
    return 1;
}

/* Whether a larger input never gives a smaller output. */
static bool grows(enum nn_activation activation, float alpha)
{
    return activation == NN_ACTIVATION_NONE || activation == NN_ACTIVATION_RELU ||
           activation == NN_ACTIVATION_CLIP ||
           (activation == NN_ACTIVATION_LEAKY_RELU && alpha >= 0) ||
           activation == NN_ACTIVATION_SIGMOID || activation == NN_ACTIVATION_TANH;
}

int nn_fuse_activation_of(struct nn_planner *p, const struct nn_plan_node *node,
                          enum nn_activation *ret_activation, float *ret_alpha, float *ret_beta)
{
    const struct fuser f = {.p = p};
    float alpha, beta;
    enum nn_activation activation = nn_activation_of(node->op, node->node, &alpha, &beta);
    int r = constant_limits(&f, node, &alpha, &beta);
    if (r == 1) {
        *ret_activation = activation;
        *ret_alpha = alpha;
        *ret_beta = beta;
    }
    return r;
}

static int fuse_activation(struct fuser *f, int index)
{
    struct nn_plan_node *node = f->p->nodes[index];
    struct nn_plan_node *before = sole_producer(f, node);
    if (!before || !(before->op->flags & NN_OP_FUSES_ACTIVATION) ||
        before->activation != NN_ACTIVATION_NONE ||
        f->p->values[before->outputs[0]].tensor.type != NN_TYPE_FLOAT)
        return 0;
    float alpha, beta;
    enum nn_activation activation;
    int r = nn_fuse_activation_of(f->p, node, &activation, &alpha, &beta);
    if (r != 1 || (before->pooled && !grows(activation, alpha)))
        return r < 0 ? r : 0;
    before->activation = activation;
    before->activation_alpha = alpha;
    before->activation_beta = beta;
    absorb(f, before, index);
    return 0;
}

/* Whether an attribute is a list of `value` only; without the attribute `absent`. */
static bool all_are(const struct nn_node *node, const char *name, int64_t value, bool absent)
{
    const struct nn_attribute *a = nn_node_attribute(node, name);
    for (int i = 0; a && i < a->count; i++)
        if (a->ints[i] != value)
            return false;
    return a || absent;
}

/* MaxPool of 2×2 that moves by two, behind a Conv (of bytes, too) whose window is larger than
 * one along both axes (which therefore are not time): the larger image is never written. */
static void fuse_max_pool(struct fuser *f, int index)
{
    struct nn_plan_node *pool = f->p->nodes[index];
    struct nn_plan_node *conv = sole_producer(f, pool);
    bool bytes = conv && conv->op == &nn_op_conv_bytes;
    if (!conv || (!bytes && conv->op != &nn_op_conv) || conv->pooled ||
        (!bytes && (conv->input_count > 3 || !grows(conv->activation, conv->activation_alpha))))
        return;
    for (int j = 1; j < pool->output_count; j++)
        if (pool->outputs[j] != NN_VALUE_NONE)
            return;
    const struct nn_node *node = pool->node;
    const struct nn_tensor *output = &f->p->values[conv->outputs[0]].tensor;
    const struct nn_shape *y = &output->shape;
    const struct nn_shape *w = &f->p->values[conv->inputs[bytes ? 3 : 1]].tensor.shape;
    if (bytes && nn_type_size(output->type) != 1)
        return;
    if (output->late || y->rank != 4 || y->dim[2] < 2 || y->dim[3] < 2 || w->dim[2] < 2 ||
        w->dim[3] < 2)
        return;
    /* Where both extents are even, SAME pads nothing and ceil_mode adds nothing. */
    bool same = strncmp(nn_node_string(node, "auto_pad", "NOTSET"), "SAME", 4) == 0;
    bool even = y->dim[2] % 2 == 0 && y->dim[3] % 2 == 0;
    if ((!even && (same || nn_node_int(node, "ceil_mode", 0) != 0)) ||
        !all_are(node, "kernel_shape", 2, false) || !all_are(node, "strides", 2, false) ||
        !all_are(node, "dilations", 1, true) || !all_are(node, "pads", 0, true))
        return;
    conv->pooled = true;
    absorb(f, conv, index);
}

/* Where a node takes what is added to its result: behind the inputs that ONNX knows. 0: it
 * takes nothing. What a DequantizeLinear gives a Resize stays bytes (nn/qdq.c). */
static int residual_input(const struct fuser *f, const struct nn_plan_node *node)
{
    if (node->op == &nn_op_conv && !node->pooled && node->input_count <= 3)
        return 3;
    bool resizes = node->op == &nn_op_resize || node->op == &nn_op_upsample;
    int at = resizes ? f->producer[node->inputs[0]] : -1;
    bool bytes = at >= 0 && f->p->nodes[at]->op == &nn_op_dequantize_linear;
    return resizes && !bytes && node->input_count <= 4 ? 4 : 0;
}

/* Add of what a Conv or Resize made for it alone, and of a value that is there before that node
 * runs: one more input of it. Of two such nodes the later one takes the sum. Not in a stream:
 * the other value may be known per window only, and the node must not follow it there. */
static int fuse_residual(struct fuser *f, int index)
{
    struct nn_planner *p = f->p;
    struct nn_plan_node *add = p->nodes[index];
    for (int side = 0; side < 2 && p->frames == 0; side++) {
        int value = add->inputs[side], other = add->inputs[1 - side];
        const struct nn_tensor *a = &p->values[value].tensor, *b = &p->values[other].tensor;
        int at = f->producer[value];
        struct nn_plan_node *node = at >= 0 ? p->nodes[at] : NULL;
        int slot = node ? residual_input(f, node) : 0;
        if (slot == 0 || node->activation != NN_ACTIVATION_NONE || f->readers[value] != 1 ||
            a->type != NN_TYPE_FLOAT || b->data || a->late || b->late ||
            !nn_shape_equal(&a->shape, &b->shape) || f->producer[other] >= at)
            continue;
        int *inputs = nn_pool_array(&p->scratch, (size_t)slot + 1, sizeof *inputs);
        if (!inputs)
            return nn_planner_no_memory(p);
        for (int i = 0; i < slot; i++)
            inputs[i] = i < node->input_count ? node->inputs[i] : NN_VALUE_NONE;
        inputs[slot] = other;
        node->inputs = inputs;
        node->input_count = slot + 1;
        absorb(f, node, index);
        return 0;
    }
    return 0;
}

static int fuse_add(struct fuser *f, int index)
{
    int r = fuse_bias(f, index);
    return r == 0 ? fuse_residual(f, index) : r;
}

static int fuse_all(struct fuser *f)
{
    struct nn_planner *p = f->p;
    nn_planner_edges(p, f->readers, f->producer);
    for (int i = 0; i < p->node_count; i++) {
        int r = 0;
        if (p->nodes[i]->op == &nn_op_batch_normalization)
            r = fuse_batch_normalization(f, i);
        else if (p->nodes[i]->op->flags & NN_OP_IS_ACTIVATION)
            r = fuse_activation(f, i);
        else if (p->nodes[i]->op == &nn_op_add)
            r = fuse_add(f, i);
        else if (p->nodes[i]->op == &nn_op_max_pool)
            fuse_max_pool(f, i);
        if (r < 0)
            return r;
    }
    nn_planner_compact(p);
    return 0;
}

int nn_fuse(struct nn_planner *p)
{
    struct fuser f = {.p = p};
    f.readers = calloc((size_t)p->value_capacity + 1, sizeof *f.readers);
    f.producer = calloc((size_t)p->value_capacity + 1, sizeof *f.producer);
    int r = f.readers && f.producer ? fuse_all(&f) : nn_planner_no_memory(p);
    free(f.readers);
    free(f.producer);
    return r;
}
