/* Pairs of QuantizeLinear and DequantizeLinear around what becomes integers. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/quantize/parts.h"

/* Where scales are written once, however many values share them. */
struct emitter {
    const struct nn_quantizer *q;
    struct nn_draft *out;
    struct nn_error *err;
    struct nn_scale *scales;       /* of each value that stands for its group */
    const char **scale, **zero;    /* names of its initializers; NULL: not written yet */
    ProtobufCBinaryData *replaced; /* of each value: what its readers read instead */
};

static const char *value_name(const struct emitter *e, int value)
{
    return e->q->model->values[value].name;
}

static int no_memory(const struct emitter *e)
{
    return nn_draft_no_memory(e->out, e->err);
}

/* --- scales of activations ---------------------------------------------------------------- */

/* Of the group that begins with source `first`: what all its sources together show. */
static int find_scale(struct emitter *e, int first)
{
    const struct nn_quantizer *q = e->q;
    int group = nn_quantize_group(q, q->sources.values[first]);
    struct nn_range all;
    float low, high;
    if (nn_range_init(&all) < 0)
        return no_memory(e);
    for (int i = first; i < q->sources.count; i++)
        if (nn_quantize_group(q, q->sources.values[i]) == group)
            nn_range_merge(&all, &q->ranges[i]);
    nn_range_cut(&all, q->percentile, &low, &high);
    e->scales[group] = nn_scale_of(low, high);
    nn_range_finish(&all);
    return 0;
}

static int find_scales(struct emitter *e)
{
    const struct nn_quantizer *q = e->q;
    int r = 0;
    for (int i = 0; i < q->sources.count && r == 0; i++)
        if (e->scales[nn_quantize_group(q, q->sources.values[i])].scale == 0)
            r = find_scale(e, i);
    return r;
}

static struct nn_scale scale_of(const struct emitter *e, int value)
{
    return e->scales[nn_quantize_group(e->q, value)];
}

/* --- nodes -------------------------------------------------------------------------------- */

/* `op` of a value and its scale and zero, named after what it makes. NULL: no memory. */
static Onnx__NodeProto *make_linear(struct emitter *e, const char *op, ProtobufCBinaryData from,
                                    const char *scale, const char *zero, const char *to)
{
    Onnx__NodeProto *node = nn_onnx_make_node(&e->out->pool, op, to, zero ? 3 : 2, 1, 1);
    if (!node || !scale || !nn_draft_push(e->out, &e->out->nodes, node))
        return NULL;
    node->input[0] = from;
    node->input[1] = nn_onnx_bytes(scale);
    if (zero)
        node->input[2] = nn_onnx_bytes(zero);
    node->output[0] = nn_onnx_bytes(to);
    return node;
}

/* The initializers of a group's scale and zero, written at its first value. */
static bool write_scale(struct emitter *e, int group)
{
    if (e->scale[group])
        return true;
    struct nn_scale scale = e->scales[group];
    const struct nn_tensor s = {.type = NN_TYPE_FLOAT, .data = &scale.scale};
    const struct nn_tensor z = {.type = NN_TYPE_UINT8, .data = &scale.zero};
    const char *name = value_name(e, group);
    e->scale[group] = nn_draft_constant(e->out, nn_draft_name(e->out, name, "_scale"), &s);
    e->zero[group] = nn_draft_constant(e->out, nn_draft_name(e->out, name, "_zero_point"), &z);
    return e->scale[group] && e->zero[group];
}

/* The pair behind a value that is 8-bit; its readers read what comes out. */
static int emit_pair(struct emitter *e, int value)
{
    if (value == NN_VALUE_NONE || !e->q->wanted[value])
        return 0;
    int group = nn_quantize_group(e->q, value);
    const char *name = value_name(e, value);
    const char *quantized = nn_draft_name(e->out, name, "_quantized");
    const char *back = nn_draft_name(e->out, name, "_dequantized");
    if (!write_scale(e, group) || !quantized || !back ||
        !make_linear(e, "QuantizeLinear", nn_onnx_bytes(name), e->scale[group], e->zero[group],
                     quantized) ||
        !make_linear(e, "DequantizeLinear", nn_onnx_bytes(quantized), e->scale[group],
                     e->zero[group], back))
        return no_memory(e);
    e->replaced[value] = nn_onnx_bytes(back);
    return 0;
}

/* An initializer of integers, its scales and, where `zeros` are given, zeros, and the node that
 * makes floats of them; `stem` is a name that nothing else is made of. NULL: no memory. */
static const char *emit_integers(struct emitter *e, const char *stem,
                                 const struct nn_tensor *integers,
                                 const struct nn_tensor *scales, const struct nn_tensor *zeros,
                                 int axis)
{
    const char *name =
        nn_draft_constant(e->out, nn_draft_name(e->out, stem, "_quantized"), integers);
    const char *scale =
        nn_draft_constant(e->out, nn_draft_name(e->out, stem, "_scale"), scales);
    const char *zero =
        zeros ? nn_draft_constant(e->out, nn_draft_name(e->out, stem, "_zero_point"), zeros)
              : NULL;
    const char *back = nn_draft_name(e->out, stem, "_dequantized");
    if (!name || !scale || (zeros && !zero) || !back)
        return NULL;
    Onnx__NodeProto *node =
        make_linear(e, "DequantizeLinear", nn_onnx_bytes(name), scale, zero, back);
    return node && nn_draft_add_attribute(e->out, node,
                                          nn_onnx_make_int(&e->out->pool, "axis", axis))
               ? back
               : NULL;
}

/* What is quantised of one product. */
struct product {
    struct nn_quantize_weights w;
    float *scales;      /* (channels) of the weights */
    int8_t *weights;    /* zeros behind them */
    float *bias_scales; /* (bias) */
    int32_t *bias;
};

static void free_product(struct product *p)
{
    free(p->scales);
    free(p->weights);
    free(p->bias_scales);
    free(p->bias);
}

/* A bias is an int32 in units of the product. Where weights are so small that it would not fit,
 * theirs are made larger. */
static void fit_scales(struct product *p, float input_scale, int64_t biases)
{
    const float *bias = biases > 0 ? p->w.bias->data : NULL;
    for (int64_t i = 0; i < biases; i++) {
        double least = fabs(bias[i]) / ((double)input_scale * (1 << 30));
        float *scale = &p->scales[(size_t)i % p->w.channels];
        *scale = fmaxf(*scale, (float)least);
    }
}

/* A sample cannot show what is wrong with them where their product is an output. */
static int check_finite(const struct emitter *e, const struct nn_node *node,
                        const struct nn_tensor *tensor)
{
    int64_t count = nn_shape_count(&tensor->shape);
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(((const float *)tensor->data)[i]))
            return nn_error_set(e->err, -EINVAL,
                                "node '%.80s' (%s): a weight or bias is no finite number",
                                node->name, node->op->name);
    return 0;
}

static int quantize_product(struct emitter *e, const struct nn_node *node, struct product *p)
{
    const struct nn_quantize_weights *w = &p->w;
    const size_t count = (size_t)nn_shape_count(&w->tensor->shape);
    const int64_t biases = w->bias ? nn_shape_count(&w->bias->shape) : 0;
    const float input_scale = scale_of(e, node->inputs[0]).scale;
    p->scales = calloc(w->channels, sizeof *p->scales);
    p->weights = calloc(count + w->channels, sizeof *p->weights);
    p->bias_scales = calloc((size_t)biases + 1, sizeof *p->bias_scales);
    p->bias = calloc((size_t)biases + 1, sizeof *p->bias);
    if (!p->scales || !p->weights || !p->bias_scales || !p->bias)
        return no_memory(e);
    int r = check_finite(e, node, w->tensor);
    if (r == 0 && w->bias)
        r = check_finite(e, node, w->bias);
    if (r < 0)
        return r;
    fit_scales(p, input_scale, biases);
    nn_scale_weights(w->tensor->data, count, w->channels, w->inner, p->scales, p->weights);
    for (int64_t i = 0; i < biases; i++) {
        float scale = input_scale * p->scales[(size_t)i % w->channels];
        p->bias_scales[i] = scale < FLT_MIN ? FLT_MIN : scale;
        double q = nearbyint(((const float *)w->bias->data)[i] / (double)p->bias_scales[i]);
        p->bias[i] = (int32_t)fmin(fmax(q, INT32_MIN), INT32_MAX);
    }
    return 0;
}

/* Weights and bias as integers; the node's copy reads what is made of them. Both are named
 * after what the node makes, since two nodes may share weights and not their input's scale. */
static int write_product(struct emitter *e, const struct nn_node *node, const struct product *p,
                         Onnx__NodeProto *copy)
{
    const struct nn_quantize_weights *w = &p->w;
    const char *stem = value_name(e, node->outputs[0]);
    const size_t count = (size_t)nn_shape_count(&w->tensor->shape);
    const struct nn_shape channels = {.rank = 1, .dim = {(int64_t)w->channels}};
    const struct nn_tensor weights = {
        .type = NN_TYPE_INT8, .shape = w->tensor->shape, .data = p->weights};
    const struct nn_tensor scales = {
        .type = NN_TYPE_FLOAT, .shape = channels, .data = p->scales};
    const struct nn_tensor zeros = {
        .type = NN_TYPE_INT8, .shape = channels, .data = p->weights + count};
    const char *name = nn_draft_name(e->out, stem, "_weight");
    const char *made = name ? emit_integers(e, name, &weights, &scales, &zeros, w->axis) : NULL;
    if (!made)
        return no_memory(e);
    copy->input[1] = nn_onnx_bytes(made);
    if (!w->bias)
        return 0;
    const struct nn_shape biases = {.rank = 1, .dim = {nn_shape_count(&w->bias->shape)}};
    const struct nn_tensor bias = {.type = NN_TYPE_INT32, .shape = biases, .data = p->bias};
    const struct nn_tensor bias_scales = {
        .type = NN_TYPE_FLOAT, .shape = biases, .data = p->bias_scales};
    name = nn_draft_name(e->out, stem, "_bias");
    made = name ? emit_integers(e, name, &bias, &bias_scales, NULL, 0) : NULL;
    if (!made)
        return no_memory(e);
    copy->input[2] = nn_onnx_bytes(made);
    return 0;
}

static int emit_product(struct emitter *e, const struct nn_node *node, Onnx__NodeProto *copy)
{
    struct product p = {0};
    nn_quantize_weights_of(e->q, node, &p.w);
    int r = quantize_product(e, node, &p);
    if (r == 0)
        r = write_product(e, node, &p, copy);
    free_product(&p);
    return r;
}

static int emit_node(struct emitter *e, int index)
{
    const struct nn_quantizer *q = e->q;
    const struct nn_node *node = &q->model->nodes[index];
    Onnx__NodeProto *copy = nn_draft_edit(e->out, nn_draft_node(&q->draft, (size_t)index), 0);
    if (!copy)
        return no_memory(e);
    for (int j = 0; j < node->input_count; j++)
        if (node->inputs[j] != NN_VALUE_NONE && e->replaced[node->inputs[j]].len > 0)
            copy->input[j] = e->replaced[node->inputs[j]];
    int r = q->role[index] == NN_ROLE_PRODUCT ? emit_product(e, node, copy) : 0;
    if (r == 0 && !nn_draft_push(e->out, &e->out->nodes, copy))
        r = no_memory(e);
    for (int j = 0; j < node->output_count && r == 0; j++)
        r = emit_pair(e, node->outputs[j]);
    return r;
}

static int emit_all(struct emitter *e)
{
    const struct nn_model *model = e->q->model;
    e->out->nodes.count = 0;
    int r = find_scales(e);
    for (int i = 0; i < model->input_count && r == 0; i++)
        r = emit_pair(e, model->inputs[i]);
    for (int i = 0; i < model->node_count && r == 0; i++)
        r = emit_node(e, i);
    return r < 0 ? r : nn_draft_sweep(e->out, e->err);
}

int nn_quantize_emit(const struct nn_quantizer *q, struct nn_draft *out, struct nn_error *err)
{
    size_t count = (size_t)q->model->value_total + 1;
    struct emitter e = {.q = q, .out = out, .err = err};
    e.scales = nn_pool_array(&out->pool, count, sizeof *e.scales);
    e.scale = nn_pool_array(&out->pool, count, sizeof *e.scale);
    e.zero = nn_pool_array(&out->pool, count, sizeof *e.zero);
    e.replaced = nn_pool_array(&out->pool, count, sizeof *e.replaced);
    if (!e.scales || !e.scale || !e.zero || !e.replaced)
        return no_memory(&e);
    return emit_all(&e);
}
