/* Steps with integers that the planner makes between DequantizeLinear and QuantizeLinear
 * (nn/qdq.c): against the graph as it is written, which the reference kernels run. */
#include <math.h>

#include "nn/plan.h"
#include "tests/nn/net.h"

enum { MOST = 1 << 14 };

/* Scale and zero point NAMEs and NAMEz. */
static void add_step(struct onnx *b, const char *name, enum nn_type type, float scale, int zero)
{
    char text[32];
    uint8_t byte = (uint8_t)zero;
    snprintf(text, sizeof text, "%ss", name);
    onnx_floats(b, text, SCALAR, &scale);
    snprintf(text, sizeof text, "%sz", name);
    onnx_initializer(b, onnx_tensor(text, type, SCALAR, &byte, 1));
}

/* y = DQ(Q(x)), with a step of the same name as y. */
static void add_q(struct onnx *b, const char *x, const char *step, const char *y)
{
    char inputs[64];
    snprintf(inputs, sizeof inputs, "%s %ss %sz", x, step, step);
    onnx_node(b, "QuantizeLinear", inputs, y);
}

static void add_dq(struct onnx *b, const char *x, const char *step, const char *y)
{
    char inputs[64];
    snprintf(inputs, sizeof inputs, "%s %ss %sz", x, step, step);
    onnx_node(b, "DequantizeLinear", inputs, y);
}

/* Constant int8 weights `w8` of random numbers as floats `w`, a scale for each of `channels`
 * along `axis`. */
static void add_weights(struct onnx *b, struct onnx_dims dims, int axis, uint32_t *state)
{
    static int8_t w[MOST];
    float scale[256];
    for (size_t i = 0; i < onnx_dims_count(dims); i++)
        w[i] = (int8_t)net_pick(state, -127, 127);
    for (int i = 0; i < 256; i++)
        scale[i] = 0.002f * (float)net_pick(state, 1, 9);
    onnx_initializer(b, onnx_tensor("w8", NN_TYPE_INT8, dims, w, onnx_dims_count(dims)));
    onnx_floats(b, "ws", DIMS(dims.dim[axis]), scale);
    onnx_node(b, "DequantizeLinear", "w8 ws", "w");
    onnx_attribute_int(b, "axis", axis);
}

static void add_bias(struct onnx *b, int64_t channels, uint32_t *state)
{
    float bias[256];
    for (int i = 0; i < 256; i++)
        bias[i] = 0.01f * (float)net_pick(state, -300, 300);
    onnx_floats(b, "bias", DIMS(channels), bias);
}

/* A step of unsigned or signed bytes that covers about -size..size. */
static enum nn_type add_random_step(struct onnx *b, const char *name, float size,
                                    uint32_t *state)
{
    enum nn_type type = net_next(state) % 2 ? NN_TYPE_INT8 : NN_TYPE_UINT8;
    add_step(b, name, type, size / 128,
             (int)(type == NN_TYPE_INT8 ? net_pick(state, -40, 40) : net_pick(state, 90, 170)));
    return type;
}

static int number(const struct nn_tensor *t, int64_t i)
{
    return t->type == NN_TYPE_INT8 ? ((const int8_t *)t->data)[i]
                                   : ((const uint8_t *)t->data)[i];
}

static bool has_method(const struct nn_plan *plan, const char *op, const char *method)
{
    for (size_t i = 0; i < nn_plan_layer_count(plan); i++) {
        const struct nn_plan_layer *layer = nn_plan_layer(plan, i);
        if (strcmp(layer->op, op) == 0 && layer->method && strcmp(layer->method, method) == 0)
            return true;
    }
    return false;
}

/* Runs the model on random numbers with both kernels. Bytes may differ by `steps`, floats by
 * 1e-4. `op` must be done as `method` says with the best kernels (NULL: not asked). */
static void check(struct onnx *b, int steps, const char *op, const char *method, uint32_t seed)
{
    static float x[MOST];
    struct nn_model *model = net_load(b);
    struct net best = net_plan(nn_model_ref(model), NULL);
    struct nn_plan_options options = {.kernels = NN_KERNELS_REFERENCE, .time_axis = -1};
    struct net reference = net_plan(model, &options);
    net_fill(x, MOST, seed);
    ck_assert_msg(!op || has_method(best.plan, op, method), "seed %u: %s is not done as '%s'",
                  seed, op, method);
    for (size_t i = 0; i < nn_model_input_count(model); i++) {
        net_set(&best, i, x + 7 * i);
        net_set(&reference, i, x + 7 * i);
    }
    net_run(&best);
    net_run(&reference);
    for (size_t o = 0; o < nn_model_output_count(model); o++) {
        const struct nn_tensor *got = nn_session_output(best.session, o);
        const struct nn_tensor *want = nn_session_output(reference.session, o);
        ck_assert_int_eq(got->type, want->type);
        ck_assert(nn_shape_equal(&got->shape, &want->shape));
        for (int64_t i = 0; i < nn_shape_count(&got->shape); i++) {
            bool floats = got->type == NN_TYPE_FLOAT;
            double a = floats ? (double)((const float *)got->data)[i] : number(got, i);
            double c = floats ? (double)((const float *)want->data)[i] : number(want, i);
            double most = floats ? 1e-4 * fmax(1, fabs(c)) : steps;
            ck_assert_msg(fabs(a - c) <= most, "seed %u: output %zu, %lld is %g, not %g", seed,
                          o, (long long)i, a, c);
        }
    }
    net_free(&best);
    net_free(&reference);
}

/* --- products ----------------------------------------------------------------------------- */

static const char *const activations[] = {"",        "Relu",      "Clip", "LeakyRelu",
                                          "Sigmoid", "HardSwish", "Tanh"};

/* An activation of `x`; the name of what it makes. */
static const char *add_activation(struct onnx *b, const char *x, uint32_t *state)
{
    const char *type = activations[net_next(state) % 7];
    char inputs[64];
    if (!*type)
        return x;
    if (strcmp(type, "Clip") == 0) {
        onnx_floats(b, "least", SCALAR, (float[]){-0.4f});
        onnx_floats(b, "most", SCALAR, (float[]){2.1f});
    }
    snprintf(inputs, sizeof inputs, strcmp(type, "Clip") == 0 ? "%s least most" : "%s", x);
    onnx_node(b, type, inputs, "act");
    return "act";
}

START_TEST(a_convolution_differs_by_at_most_one_step)
{
    for (uint32_t seed = 1; seed <= 120; seed++) {
        uint32_t state = seed;
        int64_t groups = net_pick(&state, 0, 2) ? 1 : net_pick(&state, 2, 5);
        int64_t in = net_pick(&state, 1, 6), out = net_pick(&state, 1, 12),
                kernel = net_pick(&state, 1, 3);
        bool depthwise = net_next(&state) % 4 == 0, pooled = net_next(&state) % 3 == 0;
        bool floats = net_next(&state) % 5 == 0;
        if (depthwise) {
            groups = 6;
            in = out = 1;
        }
        struct onnx b = onnx_start(14);
        int64_t height = net_pick(&state, 6, 14), width = net_pick(&state, 6, 20);
        onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(1, groups * in, height, width));
        add_random_step(&b, "a", 1, &state);
        enum nn_type type = add_random_step(&b, "y", 3, &state);
        add_weights(&b, DIMS(groups * out, in, kernel, kernel), 0, &state);
        add_bias(&b, groups * out, &state);
        add_q(&b, "x", "a", "xq");
        add_dq(&b, "xq", "a", "xd");
        onnx_node(&b, "Conv", net_next(&state) % 3 ? "xd w bias" : "xd w", "c");
        onnx_attribute_int(&b, "group", groups);
        onnx_attribute_ints(&b, "pads", 4,
                            (int64_t[]){net_pick(&state, 0, 1), net_pick(&state, 0, 1),
                                        net_pick(&state, 0, 1), net_pick(&state, 0, 1)});
        onnx_attribute_ints(&b, "strides", 2,
                            net_next(&state) % 3 ? (int64_t[]){1, 1} : (int64_t[]){2, 2});
        const char *y = add_activation(&b, "c", &state);
        if (floats) {
            onnx_node(&b, "Identity", y, "out");
            onnx_output(&b, "out", NN_TYPE_FLOAT, DIMS(-1, -1, -1, -1));
        } else {
            add_q(&b, y, "y", pooled ? "q" : "out");
            if (pooled) { /* as quantisers write it: with its own DQ and Q */
                add_dq(&b, "q", "y", "qd");
                onnx_node(&b, "MaxPool", "qd", "p");
                onnx_attribute_ints(&b, "kernel_shape", 2, (int64_t[]){2, 2});
                onnx_attribute_ints(&b, "strides", 2, (int64_t[]){2, 2});
                add_q(&b, "p", "y", "out");
            }
            onnx_output(&b, "out", type, DIMS(-1, -1, -1, -1));
        }
        bool alone = in == 1 && groups > 1 && !(pooled && !floats && kernel > 1);
        check(&b, 1, "Conv", alone ? "bytes, depthwise" : "bytes", seed);
    }
}
END_TEST

START_TEST(a_dense_layer_differs_by_at_most_one_step)
{
    for (uint32_t seed = 1; seed <= 120; seed++) {
        uint32_t state = seed;
        int64_t m = net_pick(&state, 1, 5), k = net_pick(&state, 1, 90),
                n = net_pick(&state, 1, 100);
        bool gemm = net_next(&state) % 2, transposed = gemm && net_next(&state) % 2;
        struct onnx b = onnx_start(14);
        onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(m, k));
        add_random_step(&b, "a", 1, &state);
        enum nn_type type = add_random_step(&b, "y", 3, &state);
        add_weights(&b, transposed ? DIMS(n, k) : DIMS(k, n), transposed ? 0 : 1, &state);
        add_bias(&b, n, &state);
        add_q(&b, "x", "a", "xq");
        add_dq(&b, "xq", "a", "xd");
        onnx_node(&b, gemm ? "Gemm" : "MatMul", gemm ? "xd w bias" : "xd w", "c0");
        if (transposed)
            onnx_attribute_int(&b, "transB", 1);
        if (!gemm)
            onnx_node(&b, "Add", "bias c0", "c");
        const char *y = add_activation(&b, gemm ? "c0" : "c", &state);
        add_q(&b, y, "y", "out");
        onnx_output(&b, "out", type, DIMS(m, n));
        check(&b, 1, gemm ? "Gemm" : "MatMul", "bytes", seed);
    }
}
END_TEST

/* 70000 products of 255 · 127 are more than an int32 holds. */
START_TEST(sums_that_may_not_fit_stay_floats)
{
    enum { DEPTH = 70000 };
    static int8_t w[DEPTH];
    static float x[DEPTH];
    for (int i = 0; i < DEPTH; i++) {
        w[i] = 127;
        x[i] = 255;
    }
    struct onnx b = onnx_start(14);
    onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(1, DEPTH));
    add_step(&b, "a", NN_TYPE_UINT8, 1, 0);
    onnx_initializer(&b, onnx_tensor("w8", NN_TYPE_INT8, DIMS(DEPTH, 1), w, DEPTH));
    onnx_floats(&b, "ws", SCALAR, (float[]){1});
    onnx_node(&b, "DequantizeLinear", "w8 ws", "w");
    add_q(&b, "x", "a", "xq");
    add_dq(&b, "xq", "a", "xd");
    onnx_node(&b, "MatMul", "xd w", "y");
    onnx_output(&b, "y", NN_TYPE_FLOAT, DIMS(1, 1));
    struct net net = net_make(&b);
    net_set(&net, 0, x);
    net_run(&net);
    ck_assert_float_eq_tol(net_floats(&net, 0)[0], 255.0f * 127 * DEPTH, 1e6f);
    net_free(&net);
}
END_TEST

/* --- moves, tables, sums ------------------------------------------------------------------ */

START_TEST(bytes_are_moved_exactly_and_their_steps_meet)
{
    for (uint32_t seed = 1; seed <= 40; seed++) {
        uint32_t state = seed;
        struct onnx b = onnx_start(14);
        onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(1, 4, 6, 8));
        onnx_input(&b, "z", NN_TYPE_FLOAT, DIMS(1, 2, 6, 8));
        enum nn_type type = add_random_step(&b, "a", 1, &state);
        add_q(&b, "x", "a", "xq");
        add_dq(&b, "xq", "a", "xd");
        add_q(&b, "z", "a", "zq");
        add_dq(&b, "zq", "a", "zd");
        onnx_node(&b, "Concat", "xd zd", "c");
        onnx_attribute_int(&b, "axis", 1);
        add_q(&b, "c", "a", "cq");
        add_dq(&b, "cq", "a", "cd");
        onnx_node(&b, "MaxPool", "cd", "p");
        onnx_attribute_ints(&b, "kernel_shape", 2, (int64_t[]){3, 3});
        onnx_attribute_ints(&b, "pads", 4, (int64_t[]){1, 1, 1, 1});
        onnx_attribute_ints(&b, "strides", 2, (int64_t[]){net_pick(&state, 1, 2), 1});
        onnx_floats(&b, "scales", DIMS(4), (float[]){1, 1, 2, 2});
        onnx_node(&b, "Resize", "p - scales", "r");
        onnx_attribute_text(&b, "mode", "nearest");
        static const char *const modes[] = {"constant", "edge", "reflect"};
        static const char *const pad_inputs[] = {"r pads", "r pads nothing", "r pads one"};
        onnx_ints(&b, "pads", DIMS(8),
                  (int64_t[]){0, 0, 2, 1, 0, 0, 0, net_pick(&state, -2, 3)});
        onnx_floats(&b, "nothing", SCALAR, (float[]){0});
        onnx_floats(&b, "one", SCALAR, (float[]){0.01f});
        onnx_node(&b, "Pad", pad_inputs[seed % 3], "padded");
        onnx_attribute_text(&b, "mode", modes[net_next(&state) % 3]);
        onnx_node(&b, "Transpose", "padded", "t");
        onnx_attribute_ints(&b, "perm", 4, (int64_t[]){0, 2, 3, 1});
        onnx_node(&b, "Flatten", "t", "f");
        add_q(&b, "f", "a", "fq");
        onnx_output(&b, "fq", type, DIMS(1, -1));
        onnx_output(&b, "r", NN_TYPE_FLOAT, DIMS(1, 6, -1, -1));
        check(&b, 0, NULL, NULL, seed);
    }
}
END_TEST

/* What a Resize adds are floats: its bytes are not moved then. */
START_TEST(a_resize_that_adds_floats_has_no_bytes)
{
    for (int between = 0; between < 2; between++) {
        uint32_t state = 5;
        struct onnx b = onnx_start(14);
        onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(1, 4, 6, 8));
        onnx_input(&b, "z", NN_TYPE_FLOAT, DIMS(1, 4, 12, 16));
        add_random_step(&b, "a", 1, &state);
        add_q(&b, "x", "a", "xq");
        add_dq(&b, "xq", "a", "xd");
        onnx_node(&b, "MaxPool", "xd", "p");
        onnx_attribute_ints(&b, "kernel_shape", 2, (int64_t[]){3, 3});
        onnx_attribute_ints(&b, "pads", 4, (int64_t[]){1, 1, 1, 1});
        onnx_floats(&b, "scales", DIMS(4), (float[]){1, 1, 2, 2});
        onnx_node(&b, "Resize", between ? "p - scales" : "xd - scales", "r");
        onnx_node(&b, "Add", "r z", "y");
        onnx_output(&b, "p", NN_TYPE_FLOAT, SCALAR);
        onnx_output(&b, "y", NN_TYPE_FLOAT, SCALAR);
        check(&b, 0, NULL, NULL, 3);
    }
}
END_TEST

START_TEST(functions_are_tables_and_steps_change_by_one)
{
    for (uint32_t seed = 1; seed <= 40; seed++) {
        uint32_t state = seed;
        struct onnx b = onnx_start(14);
        onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(1, 4, 6, 8));
        add_random_step(&b, "a", 2, &state);
        add_random_step(&b, "c", 1, &state);
        enum nn_type type = add_random_step(&b, "d", 2, &state);
        add_q(&b, "x", "a", "xq");
        add_dq(&b, "xq", "a", "xd");
        const char *y = add_activation(&b, "xd", &state);
        add_q(&b, y, "c", "cq");
        add_dq(&b, "cq", "c", "cd");
        add_q(&b, "cd", "d", "dq");
        onnx_output(&b, "dq", type, DIMS(1, 4, 6, 8));
        check(&b, 1, strcmp(y, "act") == 0 ? NULL : "QuantizeLinear", "bytes, a table", seed);
    }
}
END_TEST

START_TEST(a_sum_differs_by_at_most_one_step)
{
    for (uint32_t seed = 1; seed <= 60; seed++) {
        uint32_t state = seed;
        struct onnx b = onnx_start(14);
        onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(1, 4, 6, 9));
        onnx_input(&b, "z", NN_TYPE_FLOAT, DIMS(1, 4, 6, 9));
        add_random_step(&b, "a", 1, &state);
        add_random_step(&b, "c", 1.5f, &state);
        enum nn_type type = add_random_step(&b, "y", 2, &state);
        add_q(&b, "x", "a", "xq");
        add_dq(&b, "xq", "a", "xd");
        add_q(&b, "z", "c", "zq");
        add_dq(&b, "zq", "c", "zd");
        onnx_node(&b, "Add", "xd zd", "s");
        if (seed % 2)
            onnx_node(&b, "Relu", "s", "r");
        add_q(&b, seed % 2 ? "r" : "s", "y", "out");
        onnx_output(&b, "out", type, DIMS(1, 4, 6, 9));
        check(&b, 1, "Add", "bytes", seed);
    }
}
END_TEST

/* --- what is left as it is ---------------------------------------------------------------- */

START_TEST(weights_that_do_not_fit_the_pattern_are_floats)
{
    for (int way = 0; way < 5; way++) {
        uint32_t state = (uint32_t)way + 1;
        static int16_t wide[64];
        struct onnx b = onnx_start(21);
        onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(4, 8));
        add_step(&b, "a", NN_TYPE_UINT8, 0.01f, 128);
        add_q(&b, "x", "a", "xq");
        add_dq(&b, "xq", "a", "xd");
        float scale[8];
        for (int i = 0; i < 64; i++)
            wide[i] = (int16_t)net_pick(&state, -99, 99);
        for (int i = 0; i < 8; i++)
            scale[i] = 0.01f * (float)(i + 1);
        if (way == 1) /* scales of the rows */
            onnx_initializer(&b, onnx_tensor("w8", NN_TYPE_INT8, DIMS(8, 8), wide, 64));
        else /* 16 bits */
            onnx_initializer(&b, onnx_tensor("w8", NN_TYPE_INT16, DIMS(8, 8), wide, 128));
        onnx_floats(&b, "ws", DIMS(8), scale);
        onnx_node(&b, "DequantizeLinear", "w8 ws", "w0");
        onnx_attribute_int(&b, "axis", way == 1 ? 0 : 1);
        if (way == 2) /* something lies between */
            onnx_node(&b, "Transpose", "w0", "w");
        else
            onnx_node(&b, "Identity", "w0", "w");
        onnx_node(&b, "MatMul", way == 3 ? "xd w0" : "xd w", "y");
        onnx_output(&b, "y", NN_TYPE_FLOAT, DIMS(4, 8));
        if (way == 4) /* the floats are an output, too */
            onnx_output(&b, "w0", NN_TYPE_FLOAT, DIMS(8, 8));
        check(&b, 0, NULL, NULL, (uint32_t)way);
    }
}
END_TEST

/* What is 0 as the graph is written is not 0 times infinity. */
START_TEST(scales_that_leave_float32_together_are_floats)
{
    for (int way = 0; way < 2; way++) {
        static const int8_t w[64] = {1, 2, -3};
        float step = way == 0 ? 1e25f : 1;
        struct onnx b = onnx_start(14);
        onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(4, 8));
        add_step(&b, "a", NN_TYPE_UINT8, step, 128);
        add_q(&b, "x", "a", "xq");
        add_dq(&b, "xq", "a", "xd");
        if (way == 0) {
            onnx_initializer(&b, onnx_tensor("w8", NN_TYPE_INT8, DIMS(8, 8), w, 64));
            onnx_floats(&b, "ws", SCALAR, (float[]){1e20f});
            onnx_node(&b, "DequantizeLinear", "w8 ws", "w");
            onnx_node(&b, "MatMul", "xd w", "y");
        } else {
            add_step(&b, "y", NN_TYPE_UINT8, 1e-39f, 128);
            onnx_node(&b, "Add", "xd xd", "z");
            add_q(&b, "z", "y", "y");
        }
        onnx_output(&b, "y", way == 0 ? NN_TYPE_FLOAT : NN_TYPE_UINT8, DIMS(4, 8));
        check(&b, 0, NULL, NULL, (uint32_t)way);
    }
}
END_TEST

START_TEST(constant_bytes_may_have_a_scale_that_a_run_decides)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(1, 2));
    onnx_input(&b, "scale", NN_TYPE_FLOAT, SCALAR);
    onnx_initializer(&b, onnx_tensor("w8", NN_TYPE_INT8, DIMS(2, 2), "\1\2\3\4", 4));
    onnx_node(&b, "DequantizeLinear", "w8 scale", "w");
    onnx_node(&b, "MatMul", "x w", "y");
    onnx_output(&b, "y", NN_TYPE_FLOAT, DIMS(1, 2));
    struct net net = net_make(&b);
    net_set(&net, 0, (float[]){1, 10});
    net_set(&net, 1, (float[]){0.5f});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1, 2), (float[]){15.5f, 21});
    net_free(&net);
}
END_TEST

START_TEST(what_several_read_is_quantised_for_each)
{
    uint32_t state = 3;
    struct onnx b = onnx_start(14);
    onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(2, 8));
    add_step(&b, "a", NN_TYPE_UINT8, 0.01f, 128);
    add_step(&b, "y", NN_TYPE_INT8, 0.02f, 3);
    add_weights(&b, DIMS(8, 8), 1, &state);
    add_q(&b, "x", "a", "xq");
    add_dq(&b, "xq", "a", "xd");
    onnx_node(&b, "MatMul", "xd w", "m");
    add_q(&b, "m", "y", "q");
    add_dq(&b, "q", "y", "d");
    onnx_node(&b, "MatMul", "d w", "n");
    onnx_node(&b, "Add", "n m", "s");
    onnx_output(&b, "m", NN_TYPE_FLOAT, DIMS(2, 8));
    onnx_output(&b, "q", NN_TYPE_INT8, DIMS(2, 8));
    onnx_output(&b, "xq", NN_TYPE_UINT8, DIMS(2, 8));
    check(&b, 1, "MatMul", "bytes", 5);
}
END_TEST

START_TEST(graphs_within_the_model_read_weights_that_waited)
{
    struct onnx yes = onnx_start(14), no = onnx_start(14), b = onnx_start(14);
    onnx_node(&yes, "MatMul", "x w", "m");
    onnx_output(&yes, "m", NN_TYPE_FLOAT, DIMS(2, 2));
    onnx_node(&no, "Identity", "w", "i");
    onnx_output(&no, "i", NN_TYPE_FLOAT, DIMS(2, 2));
    onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(2, 2));
    onnx_input(&b, "p", NN_TYPE_BOOL, SCALAR);
    onnx_initializer(&b, onnx_tensor("w8", NN_TYPE_INT8, DIMS(2, 2), "\1\2\3\4", 4));
    onnx_floats(&b, "ws", SCALAR, (float[]){0.5f});
    onnx_node(&b, "DequantizeLinear", "w8 ws", "w");
    onnx_node(&b, "If", "p", "y");
    onnx_attribute_graph(&b, "then_branch", &yes);
    onnx_attribute_graph(&b, "else_branch", &no);
    onnx_output(&b, "y", NN_TYPE_FLOAT, DIMS(2, 2));
    struct net net = net_make(&b);
    net_set(&net, 0, (float[]){1, 0, 0, 2});
    net_set(&net, 1, (uint8_t[]){0});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 2), (float[]){0.5f, 1, 1.5f, 2});
    net_set(&net, 1, (uint8_t[]){1});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 2), (float[]){0.5f, 1, 3, 4});
    net_free(&net);
}
END_TEST

/* A stream computes each frame once, and gives the bits of the whole window. */
START_TEST(steps_with_integers_run_per_frame)
{
    enum { FRAMES = 4, PIXELS = 3 * 8 * 8 };
    uint32_t state = 4;
    struct onnx b = onnx_start(14);
    static float x[FRAMES * PIXELS];
    onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(FRAMES, 3, 8, 8));
    add_step(&b, "a", NN_TYPE_UINT8, 0.01f, 128);
    add_step(&b, "y", NN_TYPE_INT8, 0.05f, 3);
    add_weights(&b, DIMS(6, 3, 3, 3), 0, &state);
    add_q(&b, "x", "a", "xq");
    add_dq(&b, "xq", "a", "xd");
    onnx_node(&b, "Conv", "xd w", "c");
    onnx_node(&b, "Sigmoid", "c", "g");
    add_q(&b, "g", "y", "q");
    add_dq(&b, "q", "y", "d");
    onnx_node(&b, "ReduceMean", "d", "m");
    onnx_attribute_ints(&b, "axes", 1, (int64_t[]){0});
    onnx_output(&b, "m", NN_TYPE_FLOAT, DIMS(1, 6, 6, 6));
    struct nn_model *model = net_load(&b);
    struct nn_plan_options options = {.time_axis = 0};
    struct net stream = net_plan(nn_model_ref(model), &options);
    struct net whole = net_plan(model, NULL);
    struct nn_plan_info info;
    nn_plan_describe(stream.plan, &info);
    ck_assert_msg(info.frame_nodes >= 2 && info.window_nodes <= 2,
                  "%d per frame, %d per window", (int)info.frame_nodes, (int)info.window_nodes);
    net_fill(x, FRAMES * PIXELS, 6);
    for (int i = 0; i < FRAMES; i++) {
        struct nn_error err = {{0}};
        memcpy(nn_session_frame_buffer(stream.session), x + i * PIXELS, PIXELS * sizeof *x);
        ck_assert_msg(nn_session_push_frame(stream.session, &err) == 0, "%s", err.text);
    }
    ck_assert_int_eq(nn_session_run_window(stream.session, NULL), 0);
    net_set(&whole, 0, x);
    net_run(&whole);
    ck_assert(memcmp(net_floats(&stream, 0), net_floats(&whole, 0), 216 * sizeof(float)) == 0);
    net_free(&stream);
    net_free(&whole);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("qdq");
    tcase_set_timeout(all, 120);
    tcase_add_test(all, a_convolution_differs_by_at_most_one_step);
    tcase_add_test(all, a_dense_layer_differs_by_at_most_one_step);
    tcase_add_test(all, sums_that_may_not_fit_stay_floats);
    tcase_add_test(all, bytes_are_moved_exactly_and_their_steps_meet);
    tcase_add_test(all, a_resize_that_adds_floats_has_no_bytes);
    tcase_add_test(all, functions_are_tables_and_steps_change_by_one);
    tcase_add_test(all, a_sum_differs_by_at_most_one_step);
    tcase_add_test(all, weights_that_do_not_fit_the_pattern_are_floats);
    tcase_add_test(all, scales_that_leave_float32_together_are_floats);
    tcase_add_test(all, constant_bytes_may_have_a_scale_that_a_run_decides);
    tcase_add_test(all, what_several_read_is_quantised_for_each);
    tcase_add_test(all, graphs_within_the_model_read_weights_that_waited);
    tcase_add_test(all, steps_with_integers_run_per_frame);
    return suite_run("nn/qdq", &all, 1);
}
