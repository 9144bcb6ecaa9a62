/* Pairs of QuantizeLinear and DequantizeLinear around what becomes integers. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/quantize/parts.h"

/* An input of Concat with less than the output's range by more than this keeps its own scale. */
enum { COARSER_MOST = 2 };

struct reach {
    float low, high;
};

/* Where scales are written once, however many values share them. */
struct emitter {
    const struct nn_quantizer *q;
    struct nn_draft *out;
    struct nn_error *err;
    int *group;                    /* of each value, as q->group: of one scale */
    struct reach *reach;           /* of each value that stands for its group, and ... */
    struct nn_scale *scales;       /* ... its scale */
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

static int group_of(const struct emitter *e, int value)
{
    return nn_quantize_group(e->group, value);
}

static void widen(struct reach *reach, const struct reach *by)
{
    reach->low = fminf(reach->low, by->low);
    reach->high = fmaxf(reach->high, by->high);
}

static float span_of(const struct emitter *e, int value)
{
    const struct reach *reach = &e->reach[group_of(e, value)];
    return reach->high - reach->low;
}

/* Each source within its own percentile: one of many numbers does not decide what is left out
 * of another that shares its scale. */
static void find_reach(struct emitter *e)
{
    const struct nn_quantizer *q = e->q;
    for (int i = 0; i < q->range_count; i++) {
        struct reach own;
        nn_range_cut(&q->ranges[i], q->percentile, &own.low, &own.high);
        widen(&e->reach[group_of(e, q->seen.values[i])], &own);
    }
}

static void join(struct emitter *e, int a, int b)
{
    const struct reach one = e->reach[group_of(e, a)], other = e->reach[group_of(e, b)];
    nn_quantize_join(e->group, a, b);
    struct reach *both = &e->reach[group_of(e, a)];
    *both = one;
    widen(both, &other);
}

/* What is put together has one scale, that of the widest. What hardly fills it keeps a finer
 * one of its own up to there. */
static void join_concat(struct emitter *e, const struct nn_node *node)
{
    int widest = node->inputs[0];
    for (int j = 1; j < node->input_count; j++)
        if (span_of(e, node->inputs[j]) > span_of(e, widest))
            widest = node->inputs[j];
    join(e, widest, node->outputs[0]);
    for (int j = 0; j < node->input_count; j++)
        if (span_of(e, node->inputs[j]) * COARSER_MOST >= span_of(e, node->outputs[0]))
            join(e, node->inputs[j], node->outputs[0]);
}

static void find_scales(struct emitter *e)
{
    const struct nn_model *model = e->q->model;
    memcpy(e->group, e->q->group, (size_t)model->value_total * sizeof *e->group);
    find_reach(e);
    for (int i = 0; i < model->node_count; i++)
        if (e->q->role[i] == NN_ROLE_MOVE && model->nodes[i].op == &nn_op_concat)
            join_concat(e, &model->nodes[i]);
    for (int v = 0; v < model->value_total; v++)
        if (e->group[v] == v)
            e->scales[v] = nn_scale_of(e->reach[v].low, e->reach[v].high);
}

static struct nn_scale scale_of(const struct emitter *e, int value)
{
    return e->scales[group_of(e, value)];
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

/* `from` in 8 bits of the group's scale and back. NULL: no memory. */
static const char *emit_pair(struct emitter *e, ProtobufCBinaryData from, int group,
                             const char *quantized, const char *back)
{
    return write_scale(e, group) && quantized && back &&
                   make_linear(e, "QuantizeLinear", from, e->scale[group], e->zero[group],
                               quantized) &&
                   make_linear(e, "DequantizeLinear", nn_onnx_bytes(quantized), e->scale[group],
                               e->zero[group], back)
               ? back
               : NULL;
}

/* The pair behind a value that is 8-bit; its readers read what comes out. */
static int emit_value(struct emitter *e, int value)
{
    if (value == NN_VALUE_NONE || !e->q->wanted[value])
        return 0;
    const char *name = value_name(e, value);
    const char *back = emit_pair(e, nn_onnx_bytes(name), group_of(e, value),
                                 nn_draft_name(e->out, name, "_quantized"),
                                 nn_draft_name(e->out, name, "_dequantized"));
    if (!back)
        return no_memory(e);
    e->replaced[value] = nn_onnx_bytes(back);
    return 0;
}

/* The scale of what a Concat makes for those of its inputs that have another. */
static int emit_inputs(struct emitter *e, const struct nn_node *node, Onnx__NodeProto *copy)
{
    const int group = group_of(e, node->outputs[0]);
    const char *name = value_name(e, node->outputs[0]);
    for (int j = 0; j < node->input_count; j++) {
        if (group_of(e, node->inputs[j]) == group)
            continue;
        char quantized[32], rescaled[32];
        snprintf(quantized, sizeof quantized, "_%d_requantized", j);
        snprintf(rescaled, sizeof rescaled, "_%d_rescaled", j);
        const char *back =
            emit_pair(e, copy->input[j], group, nn_draft_name(e->out, name, quantized),
                      nn_draft_name(e->out, name, rescaled));
        if (!back)
            return no_memory(e);
        copy->input[j] = nn_onnx_bytes(back);
    }
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
    double *shift; /* (bias) what rounding the weights adds to the mean of each output */
};

static void free_product(struct product *p)
{
    free(p->scales);
    free(p->weights);
    free(p->bias_scales);
    free(p->bias);
    free(p->shift);
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

/* Sums of integers are multiplied by their unit, which must be a number. */
static int check_units(const struct emitter *e, const struct nn_node *node,
                       const struct product *p, float input_scale)
{
    for (size_t c = 0; c < p->w.channels; c++)
        if (!isfinite(input_scale * p->scales[c]))
            return nn_error_set(e->err, -EINVAL,
                                "node '%.80s' (%s): inputs in steps of %g times weights or a "
                                "bias in steps of %g are beyond float32; keep it in float",
                                node->name, node->op->name, (double)input_scale,
                                (double)p->scales[c]);
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
    p->shift = calloc((size_t)biases + 1, sizeof *p->shift);
    if (!p->scales || !p->weights || !p->bias_scales || !p->bias || !p->shift)
        return no_memory(e);
    int r = check_finite(e, node, w->tensor);
    if (r == 0 && w->bias)
        r = check_finite(e, node, w->bias);
    if (r < 0)
        return r;
    fit_scales(p, input_scale, biases);
    nn_scale_weights(w->tensor->data, count, w->channels, w->inner, p->scales, p->weights);
    r = check_units(e, node, p, input_scale);
    if (r < 0)
        return r;
    if (biases > 0)
        nn_quantize_add_shift(e->q, node, w, p->weights, p->scales, p->shift);
    for (int64_t i = 0; i < biases; i++) {
        float scale = input_scale * p->scales[(size_t)i % w->channels];
        p->bias_scales[i] = fmaxf(scale, FLT_MIN);
        double exact = ((const float *)w->bias->data)[i] - p->shift[i];
        double q = nearbyint(exact / p->bias_scales[i]);
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
    int r = 0;
    if (q->role[index] == NN_ROLE_PRODUCT)
        r = emit_product(e, node, copy);
    else if (q->role[index] == NN_ROLE_MOVE && node->op == &nn_op_concat)
        r = emit_inputs(e, node, copy);
    if (r == 0 && !nn_draft_push(e->out, &e->out->nodes, copy))
        r = no_memory(e);
    for (int j = 0; j < node->output_count && r == 0; j++)
        r = emit_value(e, node->outputs[j]);
    return r;
}

static int emit_all(struct emitter *e)
{
    const struct nn_model *model = e->q->model;
    e->out->nodes.count = 0;
    int r = 0;
    find_scales(e);
    for (int i = 0; i < model->input_count && r == 0; i++)
        r = emit_value(e, model->inputs[i]);
    for (int i = 0; i < model->node_count && r == 0; i++)
        r = emit_node(e, i);
    return r < 0 ? r : nn_draft_sweep(e->out, e->err);
}

int nn_quantize_emit(const struct nn_quantizer *q, struct nn_draft *out, struct nn_error *err)
{
    size_t count = (size_t)q->model->value_total + 1;
    struct emitter e = {.q = q, .out = out, .err = err};
    e.group = nn_pool_array(&out->pool, count, sizeof *e.group);
    e.reach = nn_pool_array(&out->pool, count, sizeof *e.reach);
    e.scales = nn_pool_array(&out->pool, count, sizeof *e.scales);
    e.scale = nn_pool_array(&out->pool, count, sizeof *e.scale);
    e.zero = nn_pool_array(&out->pool, count, sizeof *e.zero);
    e.replaced = nn_pool_array(&out->pool, count, sizeof *e.replaced);
    if (!e.group || !e.reach || !e.scales || !e.scale || !e.zero || !e.replaced)
        return no_memory(&e);
    return emit_all(&e);
}
