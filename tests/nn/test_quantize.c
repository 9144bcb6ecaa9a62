/* Post-training quantisation: ranges and scales of known numbers, and what becomes of
 * small graphs. */
#include <errno.h>
#include <math.h>

#include "nn/onnx_write.h"
#include "nn/quantize/parts.h"
#include "nn/quantize/quantize.h"
#include "nn/quantize/range.h"
#include "tests/nn/net.h"

/* --- ranges ------------------------------------------------------------------------------- */

static struct nn_range range_of(const float *values, size_t count)
{
    struct nn_range range;
    ck_assert_int_eq(nn_range_init(&range), 0);
    ck_assert_int_eq(nn_range_add(&range, values, count), 0);
    return range;
}

static void expect_cut(const struct nn_range *range, double percentile, float low, float high,
                       float precision)
{
    float from, to;
    nn_range_cut(range, percentile, &from, &to);
    ck_assert_msg(fabsf(from - low) <= precision && fabsf(to - high) <= precision, "%g to %g",
                  from, to);
}

START_TEST(all_numbers_lie_between_the_least_and_the_greatest)
{
    const float values[] = {-0.75f, 3, 0.5f, -1.25f, 2};
    struct nn_range range = range_of(values, 5);
    expect_cut(&range, 100, -1.25f, 3, 0);
    ck_assert_int_eq(range.count, 5);
    nn_range_finish(&range);
}
END_TEST

START_TEST(a_percentile_leaves_out_half_of_the_rest_on_either_side)
{
    float values[1000];
    for (int i = 0; i < 1000; i++)
        values[i] = (float)(i - 499); /* -499 to 500, each once */
    struct nn_range range = range_of(values, 1000);
    const float bin = 512.0f / NN_RANGE_BINS;
    expect_cut(&range, 99, -494, 495, bin); /* five on either side */
    expect_cut(&range, 99.9, -499, 500, 0); /* half a number is none */
    expect_cut(&range, 50, -249, 250, bin);
    nn_range_finish(&range);
}
END_TEST

START_TEST(numbers_that_are_all_alike_are_all_kept_or_all_left)
{
    float values[100];
    for (int i = 0; i < 100; i++)
        values[i] = i < 90 ? 0 : 7;
    struct nn_range range = range_of(values, 100);
    /* Five may go, but ten are seven. */
    expect_cut(&range, 90, 0, 7, 0);
    expect_cut(&range, 70, 0, 8.0f / NN_RANGE_BINS, 1e-6f);
    nn_range_finish(&range);
}
END_TEST

START_TEST(the_order_of_numbers_does_not_matter)
{
    float values[3000];
    for (int i = 0; i < 3000; i++)
        values[i] = ldexpf((float)((i * 7919) % 2001 - 1000), i % 23 - 15);
    struct nn_range whole = range_of(values, 3000), split;
    ck_assert_int_eq(nn_range_init(&split), 0);
    for (int i = 2999; i >= 0; i--)
        ck_assert_int_eq(nn_range_add(&split, &values[i], 1), 0);
    ck_assert_int_eq(split.exponent, whole.exponent);
    ck_assert_mem_eq(split.bins, whole.bins, 2 * NN_RANGE_BINS * sizeof *whole.bins);
    nn_range_finish(&split);
    nn_range_finish(&whole);
}
END_TEST

START_TEST(zeros_and_the_smallest_numbers_have_a_range)
{
    const float zeros[4] = {0, -0.0f, 0, 0}, tiny[2] = {1e-42f, -1e-43f};
    struct nn_range range = range_of(zeros, 4);
    expect_cut(&range, 99.99, 0, 0, 0);
    ck_assert_int_eq(nn_range_add(&range, tiny, 2), 0);
    expect_cut(&range, 100, -1e-43f, 1e-42f, 0);
    nn_range_finish(&range);
    ck_assert_int_eq(nn_range_init(&range), 0);
    expect_cut(&range, 99.99, 0, 0, 0);
    nn_range_finish(&range);
}
END_TEST

START_TEST(what_is_no_finite_number_is_refused_and_counts_for_nothing)
{
    const float bad[][2] = {{1, INFINITY}, {NAN, 1}, {-INFINITY, 0}};
    struct nn_range range;
    ck_assert_int_eq(nn_range_init(&range), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(nn_range_add(&range, bad[i], 2), -EINVAL);
    ck_assert_int_eq(range.count, 0);
    const float largest[] = {3.4028235e38f, -3.4028235e38f};
    ck_assert_int_eq(nn_range_add(&range, largest, 2), 0);
    expect_cut(&range, 100, largest[1], largest[0], 0);
    nn_range_finish(&range);
}
END_TEST

START_TEST(zero_is_exact_in_every_scale)
{
    static const struct {
        float low, high, scale;
        uint8_t zero;
    } cases[] = {
        {0, 255, 1, 0},          {-255, 0, 1, 255},       {-1, 1.55f, 0.01f, 100},
        {0.5f, 2.55f, 0.01f, 0}, {-5.1f, -2, 0.02f, 255}, {0, 0, 1, 0},
        {0, 1e-42f, 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct nn_scale scale = nn_scale_of(cases[i].low, cases[i].high);
        ck_assert_float_eq_tol(scale.scale, cases[i].scale, 1e-7f * cases[i].scale);
        ck_assert_int_eq(scale.zero, cases[i].zero);
    }
}
END_TEST

START_TEST(each_channel_of_weights_has_its_own_scale_and_ties_go_to_even)
{
    /* (2 in, 3 out, 2): the channel is the middle axis. */
    const float weights[] = {127, 0.5f, 0, 0, -2, 1, /**/ 1.5f, -2.5f, 0, 0, 2, 0.0157480315f};
    const int8_t expected[] = {127, 0, 0, 0, -127, 64, 2, -2, 0, 0, 127, 1};
    float scales[3] = {0};
    int8_t quantized[12];
    nn_scale_weights(weights, 12, 3, 2, scales, quantized);
    ck_assert_float_eq(scales[0], 1);
    ck_assert_float_eq(scales[1], 1); /* of zeros: any will do */
    ck_assert_float_eq(scales[2], 2.0f / 127);
    ck_assert_mem_eq(quantized, expected, sizeof expected);
    float given[3] = {2, 0, 0}; /* a scale that is larger than need be stays */
    nn_scale_weights(weights, 12, 3, 2, given, quantized);
    ck_assert_float_eq(given[0], 2);
    ck_assert_int_eq(quantized[0], 64); /* 63.5 */
}
END_TEST

/* --- graphs ------------------------------------------------------------------------------- */

enum { SIDE = 12, PIXELS = 3 * SIDE * SIDE };

static void add_noise(struct onnx *o, const char *name, struct onnx_dims dims, float scale)
{
    size_t count = onnx_dims_count(dims);
    float *values = malloc(count * sizeof *values);
    uint32_t state = (uint32_t)strlen(name) * 2654435761u + (uint8_t)name[0];
    ck_assert_ptr_nonnull(values);
    for (size_t i = 0; i < count; i++)
        values[i] = scale * net_random(&state);
    onnx_floats(o, name, dims, values);
    free(values);
}

static void add_conv(struct onnx *o, const char *in, const char *out, int64_t channels,
                     int64_t filters)
{
    char weight[32], inputs[80];
    snprintf(weight, sizeof weight, "w%s", out);
    snprintf(inputs, sizeof inputs, "%s %s", in, weight);
    add_noise(o, weight, DIMS(filters, channels, 3, 3), 0.4f);
    onnx_node(o, "Conv", inputs, out);
    onnx_attribute_ints(o, "pads", 4, (int64_t[]){1, 1, 1, 1});
}

/* Conv, BatchNormalization, ReLU; halves that are pooled and joined; Conv; a mean
 * and Softmax. */
static struct onnx_bytes network(int64_t opset)
{
    struct onnx o = onnx_start(opset);
    onnx_input(&o, "x", 1, DIMS(1, 3, SIDE, SIDE));
    add_conv(&o, "x", "a", 3, 8);
    add_noise(&o, "scale", DIMS(8), 2);
    add_noise(&o, "shift", DIMS(8), 1);
    add_noise(&o, "mean", DIMS(8), 0.5f);
    onnx_floats(&o, "variance", DIMS(8), (float[]){1, 2, 0.5f, 1, 3, 0.1f, 1, 2});
    onnx_node(&o, "BatchNormalization", "a scale shift mean variance", "b");
    onnx_node(&o, "Relu", "b", "c");
    onnx_node(&o, "MaxPool", "c", "d");
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){2, 2});
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 2});
    onnx_node(&o, "Concat", "d d", "e");
    onnx_attribute_int(&o, "axis", 1);
    add_conv(&o, "e", "f", 16, 5);
    onnx_node(&o, "GlobalAveragePool", "f", "g");
    onnx_node(&o, "Softmax", "g", "y");
    onnx_attribute_int(&o, "axis", 1);
    onnx_output(&o, "y", 1, DIMS(1, 5, 1, 1));
    onnx_metadata(&o, "vigil.labels", "a,b,c,d,e");
    return onnx_finish(&o);
}

static struct nn_quantizer *open_quantizer(const struct onnx_bytes *model, double percentile,
                                           const char *const *keep)
{
    const struct nn_quantize_options options = {.percentile = percentile, .keep = keep};
    struct nn_quantizer *q = NULL;
    struct nn_error err = {""};
    int r = nn_quantizer_create(model->data, model->size, &options, &q, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    return q;
}

static void observe(struct nn_quantizer *q, int samples)
{
    uint32_t state = 5;
    struct nn_error err = {""};
    for (int s = 0; s < samples; s++) {
        const struct nn_tensor *x = nn_quantizer_input(q, 0);
        for (int64_t i = 0; i < nn_shape_count(&x->shape); i++)
            ((float *)x->data)[i] = net_random(&state);
        ck_assert_msg(nn_quantizer_observe(q, &err) == 0, "%s", err.text);
    }
}

static struct onnx_bytes write_model(struct nn_quantizer *q)
{
    void *data = NULL;
    size_t size = 0;
    struct nn_error err = {""};
    ck_assert_msg(nn_quantizer_write(q, &data, &size, &err) == 0, "%s", err.text);
    return (struct onnx_bytes){.data = data, .size = size};
}

static struct onnx_bytes quantize(const struct onnx_bytes *model, const char *const *keep)
{
    struct nn_quantizer *q = open_quantizer(model, 100, keep);
    observe(q, 4);
    struct onnx_bytes out = write_model(q);
    nn_quantizer_destroy(q);
    return out;
}

/* Takes the model. */
static struct onnx_bytes quantized(struct onnx_bytes model, const char *const *keep)
{
    struct onnx_bytes out = quantize(&model, keep);
    free(model.data);
    return out;
}

/* How many nodes of an operator a file has. */
static int count_nodes(const struct onnx_bytes *file, const char *op)
{
    struct nn_onnx onnx;
    int count = 0;
    ck_assert_int_eq(nn_onnx_open(&onnx, file->data, file->size, NULL), 0);
    for (size_t i = 0; i < onnx.proto->graph->n_node; i++)
        count += nn_onnx_bytes_are(&onnx.proto->graph->node[i]->op_type, op);
    nn_onnx_close(&onnx);
    return count;
}

/* The name of the scale that the QuantizeLinear of a value has; the caller frees it. */
static char *scale_name(const struct onnx_bytes *file, const char *value)
{
    struct nn_onnx onnx;
    char *name = NULL;
    ck_assert_int_eq(nn_onnx_open(&onnx, file->data, file->size, NULL), 0);
    for (size_t i = 0; i < onnx.proto->graph->n_node; i++) {
        const Onnx__NodeProto *node = onnx.proto->graph->node[i];
        if (nn_onnx_bytes_are(&node->op_type, "QuantizeLinear") &&
            nn_onnx_bytes_are(&node->input[0], value))
            name = strndup((const char *)node->input[1].data, node->input[1].len);
    }
    nn_onnx_close(&onnx);
    return name;
}

static struct net load(const struct onnx_bytes *file)
{
    struct nn_model *model = NULL;
    struct nn_error err = {""};
    ck_assert_msg(nn_model_load(file->data, file->size, &model, &err) == 0, "%s", err.text);
    return net_plan(model, NULL);
}

/* The largest difference between what two models make of one image. */
static float difference(const struct onnx_bytes *a, const struct onnx_bytes *b)
{
    struct net one = load(a), other = load(b);
    float x[PIXELS], most = 0;
    uint32_t state = 77;
    for (int i = 0; i < PIXELS; i++)
        x[i] = net_random(&state);
    net_set(&one, 0, x);
    net_set(&other, 0, x);
    net_run(&one);
    net_run(&other);
    const struct nn_tensor *y = nn_session_output(one.session, 0);
    const float *got = y->data, *want = nn_session_output(other.session, 0)->data;
    for (int64_t i = 0; i < nn_shape_count(&y->shape); i++)
        most = fmaxf(most, fabsf(got[i] - want[i]));
    net_free(&one);
    net_free(&other);
    return most;
}

START_TEST(a_network_of_integers_computes_about_what_it_did)
{
    struct onnx_bytes model = network(13), out = quantized(network(13), NULL);
    float off = difference(&model, &out);
    ck_assert_msg(off > 0 && off < 0.01f, "%g", off);
    struct net net = load(&out);
    ck_assert_str_eq(nn_model_metadata(net.model, "vigil.labels"), "a,b,c,d,e");
    net_free(&net);
    free(model.data);
    free(out.data);
}
END_TEST

START_TEST(what_only_moves_has_one_scale_and_the_outputs_stay_float)
{
    struct onnx_bytes out = quantized(network(13), NULL);
    /* x, c, d, e; not b, f, g, y. Two weights, and a bias that was the normalization's. */
    ck_assert_int_eq(count_nodes(&out, "QuantizeLinear"), 4);
    ck_assert_int_eq(count_nodes(&out, "DequantizeLinear"), 4 + 3);
    ck_assert_int_eq(count_nodes(&out, "BatchNormalization"), 0);
    char *c = scale_name(&out, "c"), *d = scale_name(&out, "d"), *e = scale_name(&out, "e");
    char *x = scale_name(&out, "x"), *f = scale_name(&out, "f");
    ck_assert_str_eq(c, d);
    ck_assert_str_eq(c, e);
    ck_assert_str_ne(c, x);
    ck_assert_ptr_null(f);
    free(c);
    free(d);
    free(e);
    free(x);
    free(out.data);
}
END_TEST

/* Two products of x, the second `times` as large, put together and read by a third. */
static struct onnx_bytes quantized_pair(float times)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, 3, SIDE, SIDE));
    add_noise(&o, "wa", DIMS(4, 3, 1, 1), 0.5f);
    add_noise(&o, "wb", DIMS(4, 3, 1, 1), 0.5f * times);
    onnx_node(&o, "Conv", "x wa", "a");
    onnx_node(&o, "Conv", "x wb", "b");
    onnx_node(&o, "Concat", "a b", "c");
    onnx_attribute_int(&o, "axis", 1);
    add_conv(&o, "c", "y", 8, 2);
    onnx_output(&o, "y", 1, SCALAR);
    return quantized(onnx_finish(&o), NULL);
}

START_TEST(what_is_put_together_shares_a_scale_unless_it_hardly_fills_it)
{
    struct onnx_bytes alike = quantized_pair(1.2f), apart = quantized_pair(20);
    ck_assert_int_eq(count_nodes(&alike, "QuantizeLinear"), 4); /* x, a, b, c */
    ck_assert_int_eq(count_nodes(&apart, "QuantizeLinear"), 5); /* and a to what c has */
    char *a = scale_name(&alike, "a"), *c = scale_name(&alike, "c");
    ck_assert_str_eq(a, c);
    free(a);
    free(c);
    a = scale_name(&apart, "a");
    c = scale_name(&apart, "c");
    char *b = scale_name(&apart, "b"), *again = scale_name(&apart, "a_dequantized");
    ck_assert_str_ne(a, c);
    ck_assert_str_eq(b, c);
    ck_assert_str_eq(again, c);
    free(a);
    free(b);
    free(c);
    free(again);
    free(alike.data);
    free(apart.data);
}
END_TEST

/* Each weight but the largest, which reads a channel of zeros, lies 0.4 of a step above the
 * next: with inputs whose mean is one, outputs would be 0.4 · 2 steps too small. */
START_TEST(the_bias_takes_back_what_rounding_weights_does_to_means)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, 3, SIDE, SIDE));
    onnx_floats(&o, "w", DIMS(1, 3, 1, 1), (float[]){1.27f, 0.014f, 0.014f});
    onnx_floats(&o, "bias", DIMS(1), (float[]){0.5f});
    onnx_node(&o, "Conv", "x w bias", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct onnx_bytes model = onnx_finish(&o);
    struct nn_quantizer *q = open_quantizer(&model, 100, NULL);
    struct nn_error err = {""};
    float *x = nn_quantizer_input(q, 0)->data;
    for (int i = 0; i < PIXELS; i++)
        x[i] = i < SIDE * SIDE ? 0 : i % 2 ? 2 : 0;
    ck_assert_msg(nn_quantizer_observe(q, &err) == 0, "%s", err.text);
    float given[PIXELS];
    memcpy(given, x, sizeof given);
    struct onnx_bytes out = write_model(q);
    nn_quantizer_destroy(q);
    struct net net = load(&out);
    net_set(&net, 0, given);
    net_run(&net);
    const float *y = nn_session_output(net.session, 0)->data;
    double mean = 0;
    for (int i = 0; i < SIDE * SIDE; i++)
        mean += y[i] / (SIDE * SIDE);
    ck_assert_msg(fabs(mean - (0.5 + 2 * 0.014)) < 1e-3, "%g", mean);
    net_free(&net);
    free(model.data);
    free(out.data);
}
END_TEST

/* What only a run decides may be nothing in the first one. */
START_TEST(means_of_nothing_count_for_nothing)
{
    struct nn_mean mean = {0};
    const float values[] = {1, 2, 30, 40};
    const struct nn_tensor none = {.type = NN_TYPE_FLOAT, .shape = {3, {1, 0, 2}}};
    const struct nn_tensor some = {
        .type = NN_TYPE_FLOAT, .shape = {3, {1, 2, 2}}, .data = (void *)(uintptr_t)values};
    ck_assert_int_eq(nn_mean_add(&mean, &none), 0);
    ck_assert_int_eq(nn_mean_add(&mean, &some), 0);
    ck_assert_int_eq(nn_mean_add(&mean, &none), 0);
    ck_assert_int_eq(mean.channels, 2);
    ck_assert_int_eq(mean.count, 2);
    ck_assert_double_eq(mean.sums[0], 3);
    ck_assert_double_eq(mean.sums[1], 70);
    free(mean.sums);
}
END_TEST

START_TEST(the_same_samples_give_the_same_bytes)
{
    struct onnx_bytes one = quantized(network(13), NULL), other = quantized(network(13), NULL);
    ck_assert_uint_eq(one.size, other.size);
    ck_assert_mem_eq(one.data, other.data, one.size);
    free(one.data);
    free(other.data);
}
END_TEST

START_TEST(nodes_that_are_kept_stay_float)
{
    const char *const last[] = {"f", NULL}, *const pattern[] = {"[ad]", NULL};
    struct onnx_bytes out = quantized(network(13), last);
    ck_assert_int_eq(count_nodes(&out, "QuantizeLinear"), 1); /* x alone */
    free(out.data);
    /* The first Conv and the MaxPool: what that makes is still joined in 8 bits. */
    out = quantized(network(13), pattern);
    ck_assert_int_eq(count_nodes(&out, "QuantizeLinear"), 2);
    free(out.data);
}
END_TEST

START_TEST(an_older_opset_is_raised_where_nothing_changes)
{
    for (int64_t opset = 9; opset < 13; opset++) {
        struct onnx_bytes model = network(opset), out = quantized(network(opset), NULL);
        struct net net = load(&out);
        ck_assert_int_eq(nn_model_opset(net.model), 13);
        net_free(&net);
        float off = difference(&model, &out);
        ck_assert_msg(off > 0 && off < 0.01f, "%g", off);
        free(model.data);
        free(out.data);
    }
}
END_TEST

/* A Conv, and behind it what `add` makes of "c" into "y". */
static struct onnx_bytes older(int64_t opset, void (*add)(struct onnx *o))
{
    struct onnx o = onnx_start(opset);
    onnx_input(&o, "x", 1, DIMS(1, 3, SIDE, SIDE));
    add_conv(&o, "x", "c", 3, 8);
    add(&o);
    onnx_output(&o, "y", 1, SCALAR);
    return onnx_finish(&o);
}

static void add_attributes(struct onnx *o)
{
    onnx_node(o, "Clip", "c", "c1");
    onnx_attribute_float(o, "min", -0.5f);
    onnx_attribute_float(o, "max", 0.75f);
    onnx_node(o, "Slice", "c1", "c2");
    onnx_attribute_ints(o, "starts", 1, (int64_t[]){2});
    onnx_attribute_ints(o, "ends", 1, (int64_t[]){6});
    onnx_attribute_ints(o, "axes", 1, (int64_t[]){1});
    onnx_node(o, "Pad", "c2", "c3");
    onnx_attribute_ints(o, "pads", 8, (int64_t[]){0, 0, 1, 2, 0, 0, 0, 1});
    onnx_attribute_float(o, "value", 0.25f);
    onnx_floats(o, "twice", DIMS(4), (float[]){1, 1, 2, 2});
    onnx_node(o, "Upsample", "c3 twice", "c4");
    onnx_node(o, "Unsqueeze", "c4", "c5");
    onnx_attribute_ints(o, "axes", 1, (int64_t[]){0});
    onnx_node(o, "Squeeze", "c5", "c6");
    onnx_attribute_ints(o, "axes", 1, (int64_t[]){0});
    onnx_node(o, "ReduceSum", "c6", "c7");
    onnx_attribute_ints(o, "axes", 1, (int64_t[]){3});
    onnx_node(o, "Split", "c7", "c8 unused");
    onnx_attribute_int(o, "axis", 1);
    onnx_attribute_ints(o, "split", 2, (int64_t[]){3, 1});
    onnx_node(o, "Dropout", "c8", "y");
    onnx_attribute_float(o, "ratio", 0.5f);
}

START_TEST(attributes_become_the_inputs_that_they_are_since)
{
    struct onnx_bytes model = older(9, add_attributes),
                      out = quantized(older(9, add_attributes), NULL);
    float off = difference(&model, &out);
    ck_assert_msg(off > 0 && off < 0.3f, "%g", off); /* of sums of 30 */
    free(model.data);
    free(out.data);
}
END_TEST

static void add_softmax(struct onnx *o)
{
    onnx_node(o, "Softmax", "c", "y");
}

static void add_shrinking(struct onnx *o)
{
    onnx_floats(o, "half", DIMS(4), (float[]){1, 1, 0.5f, 0.5f});
    onnx_node(o, "Resize", "c half", "y");
}

static void expect_refusal(struct onnx_bytes model, const char *const *keep, int code,
                           const char *words)
{
    const struct nn_quantize_options options = {.percentile = 99, .keep = keep};
    struct nn_quantizer *q = NULL;
    struct nn_error err = {""};
    ck_assert_int_eq(nn_quantizer_create(model.data, model.size, &options, &q, &err), code);
    ck_assert_ptr_null(q);
    ck_assert_msg(strstr(err.text, words), "%s", err.text);
    free(model.data);
}

START_TEST(a_node_whose_meaning_would_change_is_named)
{
    expect_refusal(older(11, add_softmax), NULL, -ENOTSUP,
                   "node 'y' (Softmax): before opset 13 it means all axes from one on; export "
                   "the model for opset 13 or later");
    expect_refusal(older(10, add_shrinking), NULL, -ENOTSUP,
                   "node 'y' (Resize): before opset 11");
    struct onnx_bytes fine = quantized(older(13, add_softmax), NULL);
    free(fine.data);
    struct onnx o = onnx_start(6);
    onnx_input(&o, "x", 1, DIMS(1, 3, SIDE, SIDE));
    add_conv(&o, "x", "y", 3, 8);
    onnx_output(&o, "y", 1, SCALAR);
    expect_refusal(onnx_finish(&o), NULL, -ENOTSUP, "of opset 6: export it for opset 13");
}
END_TEST

static void add_relu(struct onnx *o)
{
    onnx_node(o, "Relu", "c", "y");
}

START_TEST(what_cannot_be_quantised_is_told_in_a_line)
{
    const char *const nobody[] = {"nobody", NULL}, *const all[] = {"*", NULL};
    expect_refusal(older(13, add_relu), nobody, -EINVAL,
                   "no node of the model is called 'nobody'");
    expect_refusal(older(13, add_relu), all, -ENOTSUP, "nothing to quantise");
    expect_refusal(quantized(older(13, add_relu), NULL), NULL, -ENOTSUP, "quantised already");
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(4));
    onnx_node(&o, "Relu", "x", "y");
    onnx_output(&o, "y", 1, DIMS(4));
    expect_refusal(onnx_finish(&o), NULL, -ENOTSUP, "no Conv, ConvTranspose, Gemm or MatMul");
}
END_TEST

/* ConvTranspose of 3 channels in groups, BatchNormalization behind it. */
static struct onnx_bytes grouped(int64_t groups)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, 3, SIDE, SIDE));
    add_noise(&o, "w", DIMS(3, 2, 2, 2), 0.5f);
    onnx_node(&o, "ConvTranspose", "x w", "a");
    onnx_attribute_int(&o, "group", groups);
    add_noise(&o, "n", DIMS(4), 1);
    onnx_node(&o, "BatchNormalization", "a n n n n", "y");
    onnx_output(&o, "y", 1, SCALAR);
    return onnx_finish(&o);
}

static struct onnx_bytes biased(float bias)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, 3, SIDE, SIDE));
    add_noise(&o, "w", DIMS(2, 3, 3, 3), 0.5f);
    onnx_floats(&o, "b", DIMS(2), (float[]){1, bias});
    onnx_node(&o, "Conv", "x w b", "y");
    onnx_output(&o, "y", 1, SCALAR);
    return onnx_finish(&o);
}

/* What a plan would refuse, before one was made; nodes whose results nobody reads are in
 * none. */
START_TEST(what_no_plan_has_checked_is_refused)
{
    expect_refusal(grouped(0), NULL, -EINVAL, "(ConvTranspose)");
    expect_refusal(grouped(2), NULL, -EINVAL, "(ConvTranspose)");
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, 3, SIDE, SIDE));
    onnx_input(&o, "bytes", 2, DIMS(1, 3, SIDE, SIDE));
    add_conv(&o, "x", "y", 3, 2);
    add_conv(&o, "bytes", "unread", 3, 2);
    onnx_output(&o, "y", 1, SCALAR);
    expect_refusal(onnx_finish(&o), NULL, -EINVAL, "'bytes' is uint8");
}
END_TEST

START_TEST(weights_and_biases_must_be_numbers)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct onnx_bytes model = biased(bad[i]);
        struct nn_quantizer *q = open_quantizer(&model, 100, NULL);
        struct nn_error err = {""};
        void *data = NULL;
        size_t size;
        observe(q, 1);
        ck_assert_int_eq(nn_quantizer_write(q, &data, &size, &err), -EINVAL);
        ck_assert_msg(strstr(err.text, "node 'y' (Conv): a weight or bias is no finite number"),
                      "%s", err.text);
        nn_quantizer_destroy(q);
        free(model.data);
    }
    struct onnx_bytes large = biased(1e30f), out = quantized(biased(1e30f), NULL);
    float off = difference(&large, &out);
    ck_assert_msg(off <= 1e25f, "%g", off);
    free(large.data);
    free(out.data);
}
END_TEST

static void add_places(struct onnx *o)
{
    onnx_node(o, "TopK", "c", "- i");
    onnx_attribute_int(o, "k", 2);
    onnx_node(o, "TopK", "c", "- j");
    onnx_attribute_int(o, "k", 3);
    onnx_node(o, "Relu", "c", "y");
}

START_TEST(inputs_that_attributes_become_have_names_of_their_own)
{
    struct onnx_bytes out = quantized(older(9, add_places), NULL);
    ck_assert_int_eq(count_nodes(&out, "TopK"), 2);
    free(out.data);
}
END_TEST

START_TEST(samples_must_be_there_and_be_numbers)
{
    struct onnx_bytes model = older(13, add_relu);
    struct nn_quantizer *q = open_quantizer(&model, 99.99, NULL);
    struct nn_error err = {""};
    void *data;
    size_t size;
    ck_assert_int_eq(nn_quantizer_write(q, &data, &size, &err), -EINVAL);
    ck_assert_msg(strstr(err.text, "nothing was observed"), "%s", err.text);
    ck_assert_int_eq(nn_quantizer_compare(q, &err), -EINVAL);
    ((float *)nn_quantizer_input(q, 0)->data)[17] = NAN;
    ck_assert_int_eq(nn_quantizer_observe(q, &err), -EINVAL);
    ck_assert_msg(strstr(err.text, "input 'x'"), "%s", err.text);
    nn_quantizer_destroy(q);
    free(model.data);
}
END_TEST

START_TEST(layers_are_told_with_their_noise)
{
    struct onnx_bytes model = network(13);
    const char *const keep[] = {"f", NULL};
    struct nn_quantizer *q = open_quantizer(&model, 100, keep);
    observe(q, 3);
    struct onnx_bytes out = write_model(q);
    struct nn_error err = {""};
    ck_assert_msg(nn_quantizer_compare(q, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(nn_quantizer_layer_count(q), 2);
    const struct nn_quantize_layer *first = nn_quantizer_layer(q, 0);
    const struct nn_quantize_layer *last = nn_quantizer_layer(q, 1);
    ck_assert_str_eq(first->op, "Conv");
    ck_assert_ptr_null(first->kept);
    ck_assert_msg(first->signal > 1000 * first->noise && first->noise > 0, "%g of %g",
                  first->noise, first->signal);
    ck_assert_str_eq(last->kept, "as asked");
    nn_quantizer_destroy(q);
    free(out.data);
    free(model.data);
}
END_TEST

/* Dense layers in each spelling, a transposed convolution in groups, a sum: all that
 * is a product. */
START_TEST(every_kind_of_product_is_quantised)
{
    struct onnx o = onnx_start(17);
    onnx_input(&o, "x", 1, DIMS(1, 3, SIDE, SIDE));
    add_conv(&o, "x", "a", 3, 4);
    add_conv(&o, "x", "b", 3, 4);
    onnx_node(&o, "Add", "a b", "c");
    onnx_node(&o, "Relu", "c", "d");
    add_noise(&o, "wt", DIMS(4, 3, 2, 2), 0.5f);
    add_noise(&o, "bt", DIMS(6), 0.5f);
    onnx_node(&o, "ConvTranspose", "d wt bt", "e");
    onnx_attribute_int(&o, "group", 2);
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 2});
    onnx_node(&o, "Flatten", "e", "f");
    add_noise(&o, "wg", DIMS(7, 6 * 4 * SIDE * SIDE), 0.05f);
    add_noise(&o, "bg", DIMS(7), 1);
    onnx_node(&o, "Gemm", "f wg bg", "g");
    onnx_attribute_int(&o, "transB", 1);
    add_noise(&o, "wh", DIMS(7, 6), 0.5f);
    add_noise(&o, "bh", DIMS(1, 6), 1);
    onnx_node(&o, "Gemm", "g wh bh", "h");
    add_noise(&o, "wm", DIMS(6, 5), 0.5f);
    onnx_node(&o, "MatMul", "h wm", "y");
    onnx_output(&o, "y", 1, DIMS(1, 5));
    struct onnx_bytes model = onnx_finish(&o);
    struct nn_quantizer *q = open_quantizer(&model, 100, NULL);
    observe(q, 4);
    struct onnx_bytes out = write_model(q);
    for (size_t i = 0; i < nn_quantizer_layer_count(q); i++)
        ck_assert_ptr_null(nn_quantizer_layer(q, i)->kept);
    ck_assert_uint_eq(nn_quantizer_layer_count(q), 6);
    nn_quantizer_destroy(q);
    /* x, a, b, d, e and f of one scale, g, h; six weights and three biases. */
    ck_assert_int_eq(count_nodes(&out, "QuantizeLinear"), 8);
    ck_assert_int_eq(count_nodes(&out, "DequantizeLinear"), 8 + 6 + 3);
    float off = difference(&model, &out);
    ck_assert_msg(off > 0 && off < 0.2f, "%g", off);
    free(model.data);
    free(out.data);
}
END_TEST

START_TEST(names_that_are_taken_are_not_made_again)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, 3, SIDE, SIDE));
    add_conv(&o, "x", "c", 3, 8);
    onnx_node(&o, "Relu", "c", "x_quantized");
    onnx_node(&o, "Neg", "x_quantized", "x_scale_2");
    add_conv(&o, "x_scale_2", "y", 8, 2);
    onnx_output(&o, "y", 1, SCALAR);
    struct onnx_bytes model = onnx_finish(&o);
    struct onnx_bytes out = quantize(&model, NULL);
    ck_assert_msg(difference(&model, &out) < 0.2f, "the copy differs");
    free(model.data);
    free(out.data);
}
END_TEST

/* Each shape that raising asks for must not take a plan, nor each name a look at all others:
 * a model of so many would keep a processor for an hour. */
START_TEST(models_of_many_nodes_and_names_are_rewritten_at_once)
{
    enum { NODES = 4000, NAMES = 40000 };
    char in[32] = "c", out[32], name[32];
    struct onnx o = onnx_start(11);
    onnx_input(&o, "x", 1, DIMS(1, 3, 2, 2));
    add_conv(&o, "x", "c", 3, 1);
    for (int i = 0; i < NODES; i++) {
        snprintf(out, sizeof out, "s%d", i);
        onnx_node(&o, "Softmax", in, out);
        onnx_attribute_int(&o, "axis", 3);
        strcpy(in, out);
    }
    onnx_node(&o, "Relu", in, "n_scale");
    for (int i = 2; i < NAMES; i++) {
        snprintf(name, sizeof name, "n_scale_%d", i);
        onnx_floats(&o, name, DIMS(1), (float[]){1});
    }
    onnx_output(&o, "n_scale", 1, SCALAR);
    struct onnx_bytes model = onnx_finish(&o), made = {0};
    made = quantized(model, NULL);
    char *scale = scale_name(&made, "x");
    ck_assert_str_eq(scale, "x_scale_40000");
    free(scale);
    free(made.data);
}
END_TEST

/* Of large weights that read zeros, beside small ones that read large numbers; and of a bias
 * that is large beside both. */
START_TEST(steps_that_floats_cannot_multiply_are_refused)
{
    static const struct {
        float large, weight[2], bias;
    } cases[] = {{1e20f, {1e25f, 1e-10f}, 3}, {1e-34f, {1, 1}, 1e30f}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, DIMS(1, 2, 2, 2));
        onnx_floats(&o, "w", DIMS(1, 2, 1, 1), cases[c].weight);
        onnx_floats(&o, "b", DIMS(1), &cases[c].bias);
        onnx_node(&o, "Conv", "x w b", "y");
        onnx_output(&o, "y", 1, SCALAR);
        struct onnx_bytes model = onnx_finish(&o);
        struct nn_quantizer *q = open_quantizer(&model, 100, NULL);
        float *x = nn_quantizer_input(q, 0)->data;
        for (int i = 0; i < 8; i++)
            x[i] = i < 4 ? 0 : cases[c].large;
        struct nn_error err = {""};
        void *data = NULL;
        size_t size = 0;
        ck_assert_msg(nn_quantizer_observe(q, &err) == 0, "%s", err.text);
        ck_assert_int_eq(nn_quantizer_write(q, &data, &size, &err), -EINVAL);
        ck_assert_msg(strstr(err.text, "node 'y' (Conv): inputs in steps of"), "%s", err.text);
        ck_assert_ptr_null(data);
        nn_quantizer_destroy(q);
        free(model.data);
    }
}
END_TEST

int main(void)
{
    TCase *ranges = tcase_create("ranges"), *graphs = tcase_create("graphs");
    tcase_add_test(ranges, all_numbers_lie_between_the_least_and_the_greatest);
    tcase_add_test(ranges, a_percentile_leaves_out_half_of_the_rest_on_either_side);
    tcase_add_test(ranges, numbers_that_are_all_alike_are_all_kept_or_all_left);
    tcase_add_test(ranges, the_order_of_numbers_does_not_matter);
    tcase_add_test(ranges, zeros_and_the_smallest_numbers_have_a_range);
    tcase_add_test(ranges, what_is_no_finite_number_is_refused_and_counts_for_nothing);
    tcase_add_test(ranges, zero_is_exact_in_every_scale);
    tcase_add_test(ranges, each_channel_of_weights_has_its_own_scale_and_ties_go_to_even);
    tcase_add_test(graphs, a_network_of_integers_computes_about_what_it_did);
    tcase_add_test(graphs, what_only_moves_has_one_scale_and_the_outputs_stay_float);
    tcase_add_test(graphs, what_is_put_together_shares_a_scale_unless_it_hardly_fills_it);
    tcase_add_test(graphs, the_bias_takes_back_what_rounding_weights_does_to_means);
    tcase_add_test(graphs, means_of_nothing_count_for_nothing);
    tcase_add_test(graphs, the_same_samples_give_the_same_bytes);
    tcase_add_test(graphs, nodes_that_are_kept_stay_float);
    tcase_add_test(graphs, an_older_opset_is_raised_where_nothing_changes);
    tcase_add_test(graphs, attributes_become_the_inputs_that_they_are_since);
    tcase_add_test(graphs, a_node_whose_meaning_would_change_is_named);
    tcase_add_test(graphs, what_cannot_be_quantised_is_told_in_a_line);
    tcase_add_test(graphs, what_no_plan_has_checked_is_refused);
    tcase_add_test(graphs, weights_and_biases_must_be_numbers);
    tcase_add_test(graphs, inputs_that_attributes_become_have_names_of_their_own);
    tcase_add_test(graphs, samples_must_be_there_and_be_numbers);
    tcase_add_test(graphs, layers_are_told_with_their_noise);
    tcase_add_test(graphs, every_kind_of_product_is_quantised);
    tcase_add_test(graphs, names_that_are_taken_are_not_made_again);
    tcase_add_test(graphs, models_of_many_nodes_and_names_are_rewritten_at_once);
    tcase_add_test(graphs, steps_that_floats_cannot_multiply_are_refused);
    TCase *cases[] = {ranges, graphs};
    return suite_run("nn/quantize", cases, 2);
}
