/* What layers compute, against plain loops over Keras's definitions with the network's own
 * first weights; and in which order they put it. */
#include <math.h>

#include "tests/nn/train/design.h"

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* Runs over inputs of net_fill's and returns them. */
static const float *run(struct net *net, uint32_t seed)
{
    design_run(net, seed);
    return nn_session_input(net->session, 0)->data;
}

static void expect_near(const struct net *net, const double *want, int count)
{
    ck_assert_int_eq(nn_shape_count(&nn_session_output(net->session, 0)->shape), count);
    for (int i = 0; i < count; i++)
        ck_assert_msg(fabs((double)net_floats(net, 0)[i] - want[i]) < 2e-6, "%d: %g, not %g", i,
                      (double)net_floats(net, 0)[i], want[i]);
}

/* --- order -------------------------------------------------------------------------------- */

START_TEST(flatten_keeps_the_order_of_channels_rows_columns)
{
    struct net net = design_net("2x3x4", "flatten", 2); /* H, W, C */
    net_expect_shape(&net, 0, DIMS(2, 24));
    ck_assert_int_eq(nn_model_input(net.model, 0)->shape.dim[1], 4);
    const float *x = run(&net, 1);
    for (int i = 0; i < 48; i++)
        ck_assert_float_eq(net_floats(&net, 0)[i], x[i]);
    net_free(&net);
}
END_TEST

START_TEST(a_vector_becomes_the_picture_that_flatten_makes_it_of)
{
    struct net net = design_net("2x3x4", "flatten; reshape 2x3x4", 1);
    net_expect_shape(&net, 0, DIMS(1, 4, 2, 3));
    const float *x = run(&net, 1);
    for (int i = 0; i < 24; i++)
        ck_assert_float_eq(net_floats(&net, 0)[i], x[i]);
    net_free(&net);
}
END_TEST

START_TEST(a_picture_becomes_the_sequence_of_its_pixels)
{
    struct net net = design_net("2x3x4", "reshape -1x4", 1);
    net_expect_shape(&net, 0, DIMS(1, 6, 4));
    const float *x = run(&net, 1);
    for (int pixel = 0; pixel < 6; pixel++)
        for (int c = 0; c < 4; c++)
            ck_assert_float_eq(net_floats(&net, 0)[pixel * 4 + c], x[c * 6 + pixel]);
    net_free(&net);
}
END_TEST

START_TEST(permute_moves_the_axes_of_keras)
{
    struct net net = design_net("2x3x4", "permute 3x1x2", 1); /* C, H, W are now called so */
    net_expect_shape(&net, 0, DIMS(1, 3, 4, 2));              /* of 4x2x3, as pictures lie */
    const float *x = run(&net, 1);
    for (int c = 0; c < 4; c++)
        for (int h = 0; h < 2; h++)
            for (int w = 0; w < 3; w++) /* y[c][h][w] = x[h][w][c] in Keras's order */
                ck_assert_float_eq(net_floats(&net, 0)[(w * 4 + c) * 2 + h],
                                   x[(c * 2 + h) * 3 + w]);
    net_free(&net);
}
END_TEST

START_TEST(time_distributed_is_the_layers_on_every_step)
{
    static const char *const inner[] = {"conv2d 2 3; flatten; dense 3", "conv2d 2 3",
                                        "reshape -1x2; lstm 4", "reshape 8x6; conv1d 3 2"};
    for (int i = 0; i < 4; i++) {
        char text[128];
        snprintf(text, sizeof text, "time_distributed(%s)", inner[i]);
        struct net whole = design_net("3x4x4x3", text, 2),
                   one = design_net("4x4x3", inner[i], 1);
        const float *x = run(&whole, 2);
        int64_t count = nn_shape_count(&nn_session_output(one.session, 0)->shape);
        bool picture = nn_session_output(whole.session, 0)->shape.rank == 4;
        for (int step = 0; step < 6; step++) {
            net_set(&one, 0, x + 48 * step);
            net_run(&one);
            const struct nn_shape *s = &nn_session_output(one.session, 0)->shape;
            for (int j = 0; j < count; j++) {
                /* Of three axes with time, the last lies first: (n, C, T, length). */
                int64_t at = step * count + j;
                if (picture)
                    at = ((step / 3 * s->dim[2] + j % s->dim[2]) * 3 + step % 3) * s->dim[1] +
                         j / s->dim[2];
                ck_assert_float_eq_tol(net_floats(&whole, 0)[at], net_floats(&one, 0)[j],
                                       1e-6f);
            }
        }
        net_free(&whole);
        net_free(&one);
    }
}
END_TEST

/* Three axes lie as a picture's, (C, T, S), whatever they are. */
START_TEST(steps_of_sequences_are_found_within_a_picture)
{
    struct net whole = design_net("3x5x2", "time_distributed(lstm 4)", 1),
               one = design_net("5x2", "lstm 4", 1);
    const float *x = run(&whole, 2);
    for (int t = 0; t < 3; t++) {
        float step[10];
        for (int i = 0; i < 10; i++)
            step[i] = x[(i % 2 * 3 + t) * 5 + i / 2];
        net_set(&one, 0, step);
        net_run(&one);
        for (int i = 0; i < 4; i++)
            ck_assert_float_eq_tol(net_floats(&whole, 0)[4 * t + i], net_floats(&one, 0)[i],
                                   1e-6f);
    }
    net_free(&whole);
    net_free(&one);
}
END_TEST

/* --- dense, convolutions ------------------------------------------------------------------ */

START_TEST(dense_is_a_product_over_the_last_axis)
{
    static const char *const inputs[] = {"5", "3x5", "2x3x5"};
    for (int rank = 1; rank <= 3; rank++) {
        struct net net = design_net(inputs[rank - 1], "dense 2 sigmoid", 1);
        const float *w = design_floats(net.model, "dense.weight", DIMS(5, 2));
        const float *x = run(&net, 3);
        int pixels = rank == 1 ? 1 : rank == 2 ? 3 : 6;
        double want[12];
        for (int p = 0; p < pixels; p++)
            for (int u = 0; u < 2; u++) {
                double sum = 0;
                for (int c = 0; c < 5; c++)
                    sum += (double)x[rank == 3 ? c * 6 + p : p * 5 + c] * (double)w[c * 2 + u];
                want[rank == 3 ? u * 6 + p : p * 2 + u] = sigmoid(sum);
            }
        expect_near(&net, want, 2 * pixels);
        net_free(&net);
    }
}
END_TEST

/* Picture (channels, 5, 4) with one filter bank, padding as Keras's `same` with stride 2. */
START_TEST(conv2d_pads_and_strides_as_keras)
{
    struct net net = design_net("5x4x2", "conv2d 3 3x2 stride 2 same relu", 1);
    const float *w = design_floats(net.model, "conv2d.weight", DIMS(3, 2, 3, 2));
    const float *x = run(&net, 4);
    net_expect_shape(&net, 0, DIMS(1, 3, 3, 2));
    double want[18];
    for (int f = 0; f < 3; f++)
        for (int oy = 0; oy < 3; oy++)
            for (int ox = 0; ox < 2; ox++) {
                double sum = 0; /* rows: (3-1)·2+3-5 = 2 of padding, 1 before; columns none */
                for (int c = 0; c < 2; c++)
                    for (int ky = 0; ky < 3; ky++)
                        for (int kx = 0; kx < 2; kx++) {
                            int y = oy * 2 + ky - 1;
                            if (y >= 0 && y < 5)
                                sum += (double)x[(c * 5 + y) * 4 + ox * 2 + kx] *
                                       (double)w[((f * 2 + c) * 3 + ky) * 2 + kx];
                        }
                want[(f * 3 + oy) * 2 + ox] = fmax(sum, 0);
            }
    expect_near(&net, want, 18);
    net_free(&net);
}
END_TEST

START_TEST(conv1d_runs_over_time)
{
    struct net net = design_net("7x3", "conv1d 2 3 dilation 2", 1);
    const float *w = design_floats(net.model, "conv1d.weight", DIMS(2, 3, 3));
    const float *x = run(&net, 5);
    net_expect_shape(&net, 0, DIMS(1, 3, 2));
    double want[6];
    for (int t = 0; t < 3; t++)
        for (int f = 0; f < 2; f++) {
            want[t * 2 + f] = 0;
            for (int c = 0; c < 3; c++)
                for (int k = 0; k < 3; k++)
                    want[t * 2 + f] +=
                        (double)x[(t + 2 * k) * 3 + c] * (double)w[(f * 3 + c) * 3 + k];
        }
    expect_near(&net, want, 6);
    net_free(&net);
}
END_TEST

START_TEST(separable_is_depthwise_and_pointwise)
{
    struct net net = design_net("4x4x2", "separable_conv2d 3 3", 1);
    const float *d =
        design_floats(net.model, "separable_conv2d.depthwise_weight", DIMS(2, 1, 3, 3));
    const float *p =
        design_floats(net.model, "separable_conv2d.pointwise_weight", DIMS(3, 2, 1, 1));
    const float *x = run(&net, 6);
    double want[12] = {0};
    for (int o = 0; o < 12; o++)
        for (int c = 0; c < 2; c++)
            for (int k = 0; k < 9; k++) {
                int y = o % 4 / 2 + k / 3, column = o % 2 + k % 3;
                want[o] += (double)p[o / 4 * 2 + c] * (double)d[c * 9 + k] *
                           (double)x[(c * 4 + y) * 4 + column];
            }
    expect_near(&net, want, 12);
    net_free(&net);
}
END_TEST

/* Every input adds its window; `same` cuts what a convolution would have padded: of 3 places 1
 * before and 2 behind. */
START_TEST(conv2d_transpose_adds_windows)
{
    struct net net = design_net("2x3x2", "conv2d_transpose 1 5 stride 2 same", 1);
    const float *w = design_floats(net.model, "conv2d_transpose.weight", DIMS(2, 1, 5, 5));
    const float *x = run(&net, 7);
    net_expect_shape(&net, 0, DIMS(1, 1, 4, 6));
    double want[24] = {0};
    for (int c = 0; c < 2; c++)
        for (int i = 0; i < 6; i++)
            for (int k = 0; k < 25; k++) {
                int y = i / 3 * 2 + k / 5 - 1, column = i % 3 * 2 + k % 5 - 1;
                if (y >= 0 && y < 4 && column >= 0 && column < 6)
                    want[y * 6 + column] += (double)x[c * 6 + i] * (double)w[c * 25 + k];
            }
    expect_near(&net, want, 24);
    net_free(&net);
}
END_TEST

/* Keras's output shapes, in its order. */
START_TEST(windows_make_the_shapes_of_keras)
{
    static const struct {
        const char *input, *layer;
        int64_t h, w, c;
    } cases[] = {
        {"7x8x3", "maxpool2d 2", 3, 4, 3},
        {"7x8x3", "maxpool2d 2 same", 4, 4, 3},
        {"7x8x3", "maxpool2d 3 stride 2", 3, 3, 3},
        {"7x8x3", "averagepool2d 3x1 stride 1", 5, 8, 3},
        {"7x8x3", "conv2d 4 3 stride 3 same", 3, 3, 4},
        {"7x8x3", "conv2d 4 3 dilation 2x3", 3, 2, 4},
        {"7x8x3", "conv2d_transpose 4 3 stride 2", 15, 17, 4},
        {"7x8x3", "conv2d_transpose 4 3 stride 2 same", 14, 16, 4},
        {"7x8x3", "conv2d_transpose 4 2 stride 3", 21, 24, 4},
        {"7x8x3", "conv2d_transpose 4 2 stride 3 same", 21, 24, 4},
        {"7x8x3", "conv2d_transpose 4 5", 11, 12, 4},
        {"7x8x3", "depthwise_conv2d 3 stride 2 same", 4, 4, 3},
        {"7x8x3", "zero_padding2d 1x2", 9, 12, 3},
        {"7x8x3", "upsampling2d 2x3", 14, 24, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct net net = design_net(cases[i].input, cases[i].layer, 1);
        design_run(&net, 1);
        const struct nn_shape *s = &nn_session_output(net.session, 0)->shape;
        ck_assert_msg(s->dim[1] == cases[i].c && s->dim[2] == cases[i].h &&
                          s->dim[3] == cases[i].w,
                      "%s: %lldx%lldx%lld", cases[i].layer, (long long)s->dim[2],
                      (long long)s->dim[3], (long long)s->dim[1]);
        net_free(&net);
    }
}
END_TEST

START_TEST(means_at_the_edge_count_what_is_there)
{
    struct net net = design_net("2x1x1", "averagepool2d 2 stride 1 same", 1);
    net_set(&net, 0, (float[]){1, 5});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1, 1, 2, 1), (float[]){3, 5});
    net_free(&net);
}
END_TEST

START_TEST(pixels_are_repeated_and_surrounded_by_zeros)
{
    struct net net = design_net("1x2x1", "upsampling2d 2x3; zero_padding2d 1", 1);
    net_set(&net, 0, (float[]){5, 7});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1, 1, 4, 8),
                      (float[]){0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 5, 5, 7, 7, 7, 0,
                                0, 5, 5, 5, 7, 7, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    net_free(&net);
}
END_TEST

/* --- recurrent ---------------------------------------------------------------------------- */

enum { STEPS = 4, IN = 3, UNITS = 2 };

/* The gate's sum at a step: W x + R h + both biases. `bias` has one of each gate and unit. */
static double gate(const float *w, const float *r, const float *bias, const float *x,
                   const double *h, int number, int unit)
{
    int row = number * UNITS + unit;
    double sum = (double)bias[row];
    for (int i = 0; i < IN; i++)
        sum += (double)w[row * IN + i] * (double)x[i];
    for (int i = 0; h && i < UNITS; i++)
        sum += (double)r[row * UNITS + i] * h[i];
    return sum;
}

/* h of all steps, by time; `p` NULL without peepholes. Gates i o f c. */
static void plain_lstm(const float *w, const float *r, const float *bias, const float *p,
                       const float *x, bool backwards, bool relu, double out[STEPS][UNITS])
{
    double h[UNITS] = {0}, c[UNITS] = {0};
    for (int s = 0; s < STEPS; s++) {
        int t = backwards ? STEPS - 1 - s : s;
        double next[UNITS];
        for (int u = 0; u < UNITS; u++) {
            const float *now = x + t * IN;
            double i = gate(w, r, bias, now, h, 0, u), o = gate(w, r, bias, now, h, 1, u);
            double f = gate(w, r, bias, now, h, 2, u), g = gate(w, r, bias, now, h, 3, u);
            i = sigmoid(i + (p ? (double)p[u] * c[u] : 0));
            f = sigmoid(f + (p ? (double)p[2 * UNITS + u] * c[u] : 0));
            c[u] = f * c[u] + i * (relu ? fmax(g, 0) : tanh(g));
            o = sigmoid(o + (p ? (double)p[UNITS + u] * c[u] : 0));
            next[u] = o * (relu ? fmax(c[u], 0) : tanh(c[u]));
        }
        memcpy(h, next, sizeof h);
        memcpy(out[t], h, sizeof h);
    }
}

static const struct {
    const char *layer;
    bool relu, peepholes;
} lstms[] = {
    {"lstm 2", false, false}, {"lstm 2 relu", true, false}, {"lstm 2 peepholes", false, true}};

START_TEST(lstm_is_that_of_keras)
{
    double all[STEPS][UNITS];
    char sequences[64];
    snprintf(sequences, sizeof sequences, "%s return_sequences", lstms[_i].layer);
    struct net last = design_net("4x3", lstms[_i].layer, 1),
               every = design_net("4x3", sequences, 1);
    const float *w = design_floats(last.model, "lstm.weight", DIMS(1, 8, 3));
    const float *r = design_floats(last.model, "lstm.recurrent_weight", DIMS(1, 8, 2));
    const float *bias = design_floats(last.model, "lstm.bias", DIMS(1, 8));
    const float *p =
        lstms[_i].peepholes ? design_floats(last.model, "lstm.peephole", DIMS(1, 6)) : NULL;
    plain_lstm(w, r, bias, p, run(&last, 8), false, lstms[_i].relu, all);
    run(&every, 8);
    expect_near(&last, all[STEPS - 1], UNITS);
    expect_near(&every, all[0], STEPS * UNITS);
    net_free(&last);
    net_free(&every);
}
END_TEST

START_TEST(both_directions_stand_side_by_side)
{
    double ahead[STEPS][UNITS], back[STEPS][UNITS], want[STEPS][2][UNITS], end[2][UNITS];
    struct net last = design_net("4x3", "bidirectional(lstm 2)", 1),
               every = design_net("4x3", "bidirectional(lstm 2 return_sequences)", 1);
    const float *w = design_floats(last.model, "bidirectional.weight", DIMS(2, 8, 3));
    const float *r = design_floats(last.model, "bidirectional.recurrent_weight", DIMS(2, 8, 2));
    const float *bias = design_floats(last.model, "bidirectional.bias", DIMS(2, 8));
    const float *x = run(&last, 9);
    run(&every, 9);
    plain_lstm(w, r, bias, NULL, x, false, false, ahead);
    plain_lstm(w + 24, r + 16, bias + 8, NULL, x, true, false, back);
    for (int t = 0; t < STEPS; t++) {
        memcpy(want[t][0], ahead[t], sizeof ahead[t]);
        memcpy(want[t][1], back[t], sizeof back[t]);
    }
    /* Without return_sequences, what each direction says last: backwards, that is of step 0. */
    memcpy(end[0], ahead[STEPS - 1], sizeof end[0]);
    memcpy(end[1], back[0], sizeof end[1]);
    expect_near(&every, want[0][0], STEPS * 2 * UNITS);
    expect_near(&last, end[0], 2 * UNITS);
    net_free(&last);
    net_free(&every);
}
END_TEST

/* reset_after: the reset gate scales the product with the state and its bias. Gates z r h. */
START_TEST(gru_resets_after_the_product)
{
    struct net net = design_net("4x3", "gru 2", 1);
    const float *w = design_floats(net.model, "gru.weight", DIMS(1, 6, 3));
    const float *r = design_floats(net.model, "gru.recurrent_weight", DIMS(1, 6, 2));
    const float *x = run(&net, 10), zeros[6] = {0};
    double h[UNITS] = {0};
    for (int t = 0; t < STEPS; t++) {
        double next[UNITS];
        for (int u = 0; u < UNITS; u++) {
            double z = sigmoid(gate(w, r, zeros, x + t * IN, h, 0, u));
            double reset = sigmoid(gate(w, r, zeros, x + t * IN, h, 1, u));
            double own = gate(w, r, zeros, x + t * IN, NULL, 2, u);
            double state = gate(w, r, zeros, x + t * IN, h, 2, u) - own;
            next[u] = z * h[u] + (1 - z) * tanh(own + reset * state);
        }
        memcpy(h, next, sizeof h);
    }
    expect_near(&net, h, UNITS);
    net_free(&net);
}
END_TEST

START_TEST(simple_rnn_is_tanh_of_both_products)
{
    struct net net = design_net("4x3", "simple_rnn 2", 1);
    const float *w = design_floats(net.model, "simple_rnn.weight", DIMS(1, 2, 3));
    const float *r = design_floats(net.model, "simple_rnn.recurrent_weight", DIMS(1, 2, 2));
    const float *x = run(&net, 11), zeros[2] = {0};
    double h[UNITS] = {0};
    for (int t = 0; t < STEPS; t++) {
        double next[UNITS];
        for (int u = 0; u < UNITS; u++)
            next[u] = tanh(gate(w, r, zeros, x + t * IN, h, 0, u));
        memcpy(h, next, sizeof h);
    }
    expect_near(&net, h, UNITS);
    net_free(&net);
}
END_TEST

/* --- attention, embedding ----------------------------------------------------------------- */

/* x (steps, in) · w (in, out) */
static void product(const double *x, const float *w, int steps, int in, int out, double *y)
{
    for (int t = 0; t < steps; t++)
        for (int o = 0; o < out; o++) {
            y[t * out + o] = 0;
            for (int i = 0; i < in; i++)
                y[t * out + o] += x[t * in + i] * (double)w[i * out + o];
        }
}

START_TEST(attention_is_softmax_of_queries_and_keys_over_values)
{
    enum { T = 3, C = 4, HEADS = 2, WIDTH = 3, ALL = HEADS * WIDTH };
    struct net net = design_net("3x4", "multi_head_attention 2 3", 1);
    const char *names[] = {"multi_head_attention.query_weight",
                           "multi_head_attention.key_weight",
                           "multi_head_attention.value_weight"};
    const float *input = run(&net, 12);
    double x[T * C], qkv[3][T * ALL], joined[T * ALL] = {0}, want[T * C];
    for (int i = 0; i < T * C; i++)
        x[i] = (double)input[i];
    for (int i = 0; i < 3; i++)
        product(x, design_floats(net.model, names[i], DIMS(C, ALL)), T, C, ALL, qkv[i]);
    for (int head = 0; head < HEADS; head++)
        for (int t = 0; t < T; t++) {
            double share[T], sum = 0;
            for (int s = 0; s < T; s++) {
                double score = 0;
                for (int i = head * WIDTH; i < (head + 1) * WIDTH; i++)
                    score += qkv[0][t * ALL + i] * qkv[1][s * ALL + i];
                sum += share[s] = exp(score / sqrt(WIDTH));
            }
            for (int s = 0; s < T; s++)
                for (int i = head * WIDTH; i < (head + 1) * WIDTH; i++)
                    joined[t * ALL + i] += share[s] / sum * qkv[2][s * ALL + i];
        }
    product(joined,
            design_floats(net.model, "multi_head_attention.output_weight", DIMS(ALL, C)), T,
            ALL, C, want);
    expect_near(&net, want, T * C);
    net_free(&net);
}
END_TEST

START_TEST(words_become_rows_and_know_their_place)
{
    struct net net = design_net("3", "embedding 5 4; positional_encoding", 1);
    const float *w = design_floats(net.model, "embedding.weight", DIMS(5, 4));
    ck_assert_int_eq(nn_model_input(net.model, 0)->type, NN_TYPE_INT64);
    const int64_t words[] = {4, 0, 4};
    net_set(&net, 0, words);
    net_run(&net);
    double want[12];
    for (int t = 0; t < 3; t++)
        for (int c = 0; c < 4; c++) {
            double angle = c < 2 ? t : t / 100.0; /* 10000^(2/4) */
            want[t * 4 + c] =
                (double)w[words[t] * 4 + c] + (c % 2 == 0 ? sin(angle) : cos(angle));
        }
    expect_near(&net, want, 12);
    net_set(&net, 0, (int64_t[]){1, 5, 1});
    net_expect_run_fails(&net, "embedding");
    net_free(&net);
}
END_TEST

/* Behind something that gives floats, they are cast. */
START_TEST(tokens_may_come_as_floats)
{
    struct net net = design_net("2", "activation relu; embedding 5 3", 1);
    const float *w = design_floats(net.model, "embedding.weight", DIMS(5, 3));
    net_set(&net, 0, (float[]){3, -2});
    net_run(&net);
    for (int i = 0; i < 3; i++) {
        ck_assert_float_eq(net_floats(&net, 0)[i], w[9 + i]);
        ck_assert_float_eq(net_floats(&net, 0)[3 + i], w[i]);
    }
    net_free(&net);
}
END_TEST

/* --- the others --------------------------------------------------------------------------- */

static double erf_gelu(double x)
{
    return x * 0.5 * (1 + erf(x / sqrt(2)));
}

START_TEST(functions_are_those_of_keras)
{
    static const struct {
        const char *text;
        double at[3]; /* of -4, -0.5, 1 */
    } cases[] = {
        {"relu", {0, 0, 1}},
        {"leaky_relu", {-1.2, -0.15, 1}},
        {"leaky_relu 0.2", {-0.8, -0.1, 1}},
        {"elu", {-0.98168436, -0.39346934, 1}},
        {"elu 2", {-1.96336872, -0.78693868, 1}},
        {"selu", {-1.72589887, -0.69175819, 1.05070099}},
        {"sigmoid", {0.01798621, 0.37754067, 0.73105858}},
        {"tanh", {-0.99932930, -0.46211716, 0.76159416}},
        {"swish", {-0.07194484, -0.18877033, 0.73105858}},
        {"hard_sigmoid", {0, 0.4, 0.7}},
        {"softplus", {0.01814993, 0.47407698, 1.31326169}},
        {"softmax", {0.00547859, 0.18142609, 0.81309532}},
        {"gelu", {0}}, /* by erf */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static const float x[] = {-4, -0.5f, 1};
        char text[64];
        double want[3];
        snprintf(text, sizeof text, "activation %s", cases[i].text);
        struct net net = design_net("3", text, 1);
        net_set(&net, 0, x);
        net_run(&net);
        for (int j = 0; j < 3; j++)
            want[j] =
                strcmp(cases[i].text, "gelu") == 0 ? erf_gelu((double)x[j]) : cases[i].at[j];
        expect_near(&net, want, 3);
        net_free(&net);
    }
}
END_TEST

/* Over the channels of each pixel, wherever they lie. */
START_TEST(softmax_and_layernorm_are_over_channels)
{
    struct net soft = design_net("2x2x3", "activation softmax", 1),
               norm = design_net("2x2x3", "layernorm", 1),
               conv = design_net("2x2x3", "conv2d 3 1 softmax", 1);
    const float *x = run(&soft, 13);
    run(&norm, 13);
    run(&conv, 13);
    double softmax[12], normal[12];
    for (int p = 0; p < 4; p++) {
        double sum = 0, mean = 0, square = 0, sums = 0;
        for (int c = 0; c < 3; c++) {
            sum += exp((double)x[c * 4 + p]);
            mean += (double)x[c * 4 + p] / 3;
            square += (double)x[c * 4 + p] * (double)x[c * 4 + p] / 3;
            sums += (double)net_floats(&conv, 0)[c * 4 + p];
        }
        for (int c = 0; c < 3; c++) {
            softmax[c * 4 + p] = exp((double)x[c * 4 + p]) / sum;
            normal[c * 4 + p] =
                ((double)x[c * 4 + p] - mean) / sqrt(square - mean * mean + 1e-3);
        }
        ck_assert_double_eq_tol(sums, 1, 1e-6);
    }
    expect_near(&soft, softmax, 12);
    expect_near(&norm, normal, 12);
    net_free(&soft);
    net_free(&norm);
    net_free(&conv);
}
END_TEST

START_TEST(batchnorm_begins_by_changing_almost_nothing)
{
    static const char *const inputs[] = {"4", "3x4", "2x2x4", "2x2x2x4"};
    for (int i = 0; i < 4; i++) {
        struct net net = design_net(inputs[i], "batchnorm", 2);
        const float *x = run(&net, 14);
        int64_t count = nn_shape_count(&nn_session_output(net.session, 0)->shape);
        for (int j = 0; j < count; j++)
            ck_assert_float_eq_tol(net_floats(&net, 0)[j], x[j] / sqrtf(1.001f), 1e-6f);
        net_free(&net);
    }
}
END_TEST

START_TEST(residual_adds_what_it_read)
{
    /* The second leaves its axes in another order than it found them in. */
    static const char *const inner[] = {"conv2d 3 3 same; dropout 0.3", "dense 3"};
    for (int layers = 0; layers < 2; layers++) {
        char text[64];
        snprintf(text, sizeof text, "residual(%s)", inner[layers]);
        struct net with = design_net("4x4x3", text, 2),
                   without = design_net("4x4x3", inner[layers], 2);
        const float *x = run(&with, 15);
        run(&without, 15);
        for (int i = 0; i < 96; i++)
            ck_assert_float_eq_tol(net_floats(&with, 0)[i], net_floats(&without, 0)[i] + x[i],
                                   1e-6f);
        net_free(&with);
        net_free(&without);
    }
}
END_TEST

START_TEST(means_and_maxima_of_all_places)
{
    struct net time = design_net("2x3", "global_averagepool1d", 1),
               mean = design_net("2x1x2", "global_averagepool2d", 1),
               most = design_net("2x1x2", "global_maxpool2d", 1);
    net_set(&time, 0, (float[]){1, 2, 3, 5, 6, 7});
    net_set(&mean, 0, (float[]){1, 2, 3, 5});
    net_set(&most, 0, (float[]){1, 2, 3, 5});
    net_run(&time);
    net_run(&mean);
    net_run(&most);
    net_expect_floats(&time, 0, DIMS(1, 3), (float[]){3, 4, 5});
    net_expect_floats(&mean, 0, DIMS(1, 2), (float[]){1.5f, 4});
    net_expect_floats(&most, 0, DIMS(1, 2), (float[]){2, 5});
    net_free(&time);
    net_free(&mean);
    net_free(&most);
}
END_TEST

int main(void)
{
    TCase *order = tcase_create("order");
    tcase_add_test(order, flatten_keeps_the_order_of_channels_rows_columns);
    tcase_add_test(order, a_vector_becomes_the_picture_that_flatten_makes_it_of);
    tcase_add_test(order, a_picture_becomes_the_sequence_of_its_pixels);
    tcase_add_test(order, permute_moves_the_axes_of_keras);
    tcase_add_test(order, time_distributed_is_the_layers_on_every_step);
    tcase_add_test(order, steps_of_sequences_are_found_within_a_picture);
    TCase *windows = tcase_create("windows");
    tcase_add_test(windows, dense_is_a_product_over_the_last_axis);
    tcase_add_test(windows, conv2d_pads_and_strides_as_keras);
    tcase_add_test(windows, conv1d_runs_over_time);
    tcase_add_test(windows, separable_is_depthwise_and_pointwise);
    tcase_add_test(windows, conv2d_transpose_adds_windows);
    tcase_add_test(windows, windows_make_the_shapes_of_keras);
    tcase_add_test(windows, means_at_the_edge_count_what_is_there);
    tcase_add_test(windows, pixels_are_repeated_and_surrounded_by_zeros);
    TCase *sequences = tcase_create("sequences");
    tcase_add_loop_test(sequences, lstm_is_that_of_keras, 0, 3);
    tcase_add_test(sequences, both_directions_stand_side_by_side);
    tcase_add_test(sequences, gru_resets_after_the_product);
    tcase_add_test(sequences, simple_rnn_is_tanh_of_both_products);
    tcase_add_test(sequences, attention_is_softmax_of_queries_and_keys_over_values);
    tcase_add_test(sequences, words_become_rows_and_know_their_place);
    tcase_add_test(sequences, tokens_may_come_as_floats);
    TCase *others = tcase_create("others");
    tcase_add_test(others, functions_are_those_of_keras);
    tcase_add_test(others, softmax_and_layernorm_are_over_channels);
    tcase_add_test(others, batchnorm_begins_by_changing_almost_nothing);
    tcase_add_test(others, residual_adds_what_it_read);
    tcase_add_test(others, means_and_maxima_of_all_places);
    TCase *cases[] = {order, windows, sequences, others};
    return suite_run("nn/train/layer_values", cases, 4);
}
