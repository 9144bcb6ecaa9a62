/* LSTM, GRU and RNN against the equations of the ONNX specification, in double precision. */
#include <errno.h>
#include <math.h>

#include "tests/nn/net.h"

enum { T = 5, N = 3, I = 7, MOST_H = 21, MOST = 2 * 4 * MOST_H * MOST_H };

struct function {
    const char *name;
    double alpha, beta;
    bool has_alpha, has_beta; /* its parameters are listed in the attributes */
};

struct cell {
    const char *op;
    int gates, functions;
    struct function defaults[3];
};

static const struct cell cells[] = {
    {"LSTM", 4, 3, {{.name = "Sigmoid"}, {.name = "Tanh"}, {.name = "Tanh"}}},
    {"GRU", 3, 2, {{.name = "Sigmoid"}, {.name = "Tanh"}}},
    {"RNN", 1, 1, {{.name = "Tanh"}}},
};

struct recurrent {
    const struct cell *cell;
    const char *direction;
    int hidden, batch;
    bool layout, bias, lengths, h0, c0, peepholes, input_forget, linear_before_reset, fed;
    float clip;
    const struct function *functions; /* directions × cell->functions, or NULL */
};

static float x[T * N * I], w[MOST], r[MOST], b[MOST], h0[2 * N * MOST_H], c0[2 * N * MOST_H],
    p[2 * 3 * MOST_H];
static const int32_t lengths[N] = {T, 2, 4};
static double want_y[T * 2 * N * MOST_H], want_h[2 * N * MOST_H], want_c[2 * N * MOST_H];

static void fill(uint32_t seed)
{
    net_fill(x, T * N * I, seed);
    net_fill(w, MOST, seed + 1);
    net_fill(r, MOST, seed + 2);
    net_fill(b, MOST, seed + 3);
    net_fill(h0, 2 * N * MOST_H, seed + 4);
    net_fill(c0, 2 * N * MOST_H, seed + 5);
    net_fill(p, 2 * 3 * MOST_H, seed + 6);
}

static double apply(const struct function *f, double v)
{
    if (strcmp(f->name, "Sigmoid") == 0)
        return 1 / (1 + exp(-v));
    if (strcmp(f->name, "Tanh") == 0)
        return tanh(v);
    if (strcmp(f->name, "Relu") == 0)
        return v > 0 ? v : 0;
    if (strcmp(f->name, "LeakyRelu") == 0)
        return v >= 0 ? v : f->alpha * v;
    if (strcmp(f->name, "ThresholdedRelu") == 0)
        return v > f->alpha ? v : 0;
    if (strcmp(f->name, "ScaledTanh") == 0)
        return f->alpha * tanh(f->beta * v);
    if (strcmp(f->name, "HardSigmoid") == 0)
        return fmin(fmax(f->alpha * v + f->beta, 0), 1);
    if (strcmp(f->name, "Affine") == 0)
        return f->alpha * v + f->beta;
    if (strcmp(f->name, "Elu") == 0)
        return v >= 0 ? v : f->alpha * (exp(v) - 1);
    if (strcmp(f->name, "Softsign") == 0)
        return v / (1 + fabs(v));
    ck_assert_str_eq(f->name, "Softplus");
    return log(1 + exp(v));
}

static double clipped(const struct recurrent *c, double v)
{
    return c->clip > 0 ? fmin(fmax(v, -c->clip), c->clip) : v;
}

static int directions(const struct recurrent *c)
{
    return strcmp(c->direction, "bidirectional") == 0 ? 2 : 1;
}

/* Row `gate` of one direction's weights times a vector. */
static double weighted(const float *weights, int d, int rows, int gate, int depth,
                       const double *v)
{
    double sum = 0;
    for (int k = 0; k < depth; k++)
        sum += weights[(d * rows + gate) * depth + k] * v[k];
    return sum;
}

/* One step of one sequence: h and c become the new state. */
static void step(const struct recurrent *c, int d, const double *in, double *h, double *cell)
{
    const int H = c->hidden, rows = c->cell->gates * H;
    const struct function *f =
        c->functions ? c->functions + d * c->cell->functions : c->cell->defaults;
    double xw[4 * MOST_H], hr[4 * MOST_H], wb[4 * MOST_H], rb[4 * MOST_H], next[MOST_H];
    for (int g = 0; g < rows; g++) {
        xw[g] = weighted(w, d, rows, g, I, in);
        hr[g] = weighted(r, d, rows, g, H, h);
        wb[g] = c->bias ? b[d * 2 * rows + g] : 0;
        rb[g] = c->bias ? b[d * 2 * rows + rows + g] : 0;
    }
    if (c->cell->gates == 1) {
        for (int j = 0; j < H; j++)
            h[j] = apply(&f[0], clipped(c, xw[j] + hr[j] + wb[j] + rb[j]));
        return;
    }
    if (c->cell->gates == 4) {
        for (int j = 0; j < H; j++) {
            double gate[4];
            for (int g = 0; g < 4; g++)
                gate[g] = xw[g * H + j] + hr[g * H + j] + wb[g * H + j] + rb[g * H + j];
            const float *peep = p + d * 3 * H + j;
            double pi = c->peepholes ? peep[0] : 0, po = c->peepholes ? peep[H] : 0,
                   pf = c->peepholes ? peep[2 * H] : 0;
            double i = apply(&f[0], clipped(c, gate[0] + pi * cell[j]));
            double forget = apply(&f[0], clipped(c, gate[2] + pf * cell[j]));
            if (c->input_forget)
                forget = 1 - i;
            cell[j] = forget * cell[j] + i * apply(&f[1], clipped(c, gate[3]));
            double o = apply(&f[0], clipped(c, gate[1] + po * cell[j]));
            h[j] = o * apply(&f[2], cell[j]);
        }
        return;
    }
    double z[MOST_H], reset[MOST_H], scaled[MOST_H];
    for (int j = 0; j < H; j++) {
        z[j] = apply(&f[0], clipped(c, xw[j] + hr[j] + wb[j] + rb[j]));
        reset[j] = apply(&f[0], clipped(c, xw[H + j] + hr[H + j] + wb[H + j] + rb[H + j]));
        scaled[j] = reset[j] * h[j];
    }
    for (int j = 0; j < H; j++) {
        int g = 2 * H + j;
        double candidate = xw[g] + wb[g];
        if (c->linear_before_reset)
            candidate += reset[j] * (hr[g] + rb[g]);
        else
            candidate += weighted(r, d, rows, g, H, scaled) + rb[g];
        candidate = apply(&f[1], clipped(c, candidate));
        next[j] = (1 - z[j]) * candidate + z[j] * h[j];
    }
    memcpy(h, next, (size_t)H * sizeof *h);
}

static void expect(const struct recurrent *c)
{
    const int H = c->hidden, D = directions(c), B = c->batch;
    memset(want_y, 0, sizeof want_y);
    for (int d = 0; d < D; d++) {
        bool reverse = d == 1 || strcmp(c->direction, "reverse") == 0;
        for (int n = 0; n < B; n++) {
            double h[MOST_H] = {0}, cell[MOST_H] = {0};
            int state = (c->layout ? n * D + d : d * B + n) * H;
            for (int j = 0; j < H; j++) {
                h[j] = c->h0 ? h0[state + j] : 0;
                cell[j] = c->c0 ? c0[state + j] : 0;
            }
            int length = c->lengths ? lengths[n] : T;
            for (int s = 0; s < length; s++) {
                int t = reverse ? length - 1 - s : s;
                double in[I];
                for (int k = 0; k < I; k++)
                    in[k] = x[(c->layout ? n * T + t : t * B + n) * I + k];
                step(c, d, in, h, cell);
                int row = c->layout ? (n * T + t) * D + d : (t * D + d) * B + n;
                memcpy(want_y + row * H, h, (size_t)H * sizeof *h);
            }
            memcpy(want_h + state, h, (size_t)H * sizeof *h);
            memcpy(want_c + state, cell, (size_t)H * sizeof *h);
        }
    }
}

static void texts(struct onnx *o, const char *name, int count, const struct function *f)
{
    struct onnx_bytes v = {0};
    for (int i = 0; i < count; i++)
        onnx_put_text(&v, 9, f[i].name);
    onnx_attribute(o, name, 8, v);
}

static void attributes(struct onnx *o, const struct recurrent *c)
{
    onnx_attribute_text(o, "direction", c->direction);
    onnx_attribute_int(o, "hidden_size", c->hidden);
    if (c->layout)
        onnx_attribute_int(o, "layout", 1);
    if (c->clip > 0)
        onnx_attribute_float(o, "clip", c->clip);
    if (c->input_forget)
        onnx_attribute_int(o, "input_forget", 1);
    if (c->linear_before_reset)
        onnx_attribute_int(o, "linear_before_reset", 1);
    if (!c->functions)
        return;
    int count = directions(c) * c->cell->functions, alphas = 0, betas = 0;
    float alpha[6], beta[6];
    for (int i = 0; i < count; i++) {
        if (c->functions[i].has_alpha)
            alpha[alphas++] = (float)c->functions[i].alpha;
        if (c->functions[i].has_beta)
            beta[betas++] = (float)c->functions[i].beta;
    }
    texts(o, "activations", count, c->functions);
    if (alphas)
        onnx_attribute_floats(o, "activation_alpha", alphas, alpha);
    if (betas)
        onnx_attribute_floats(o, "activation_beta", betas, beta);
}

static struct onnx model(const struct recurrent *c, const char *outputs)
{
    const int H = c->hidden, D = directions(c), rows = c->cell->gates * H, B = c->batch;
    struct onnx_dims state = c->layout ? DIMS(B, D, H) : DIMS(D, B, H);
    struct onnx o = onnx_start(14);
    onnx_input(&o, "x", 1, c->layout ? DIMS(B, T, I) : DIMS(T, B, I));
    if (c->fed) {
        onnx_input(&o, "w", 1, DIMS(D, rows, I));
        onnx_input(&o, "r", 1, DIMS(D, rows, H));
    } else {
        onnx_floats(&o, "w", DIMS(D, rows, I), w);
        onnx_floats(&o, "r", DIMS(D, rows, H), r);
    }
    if (c->bias)
        onnx_floats(&o, "b", DIMS(D, 2 * rows), b);
    if (c->lengths)
        onnx_initializer(
            &o, onnx_tensor("lengths", 6, DIMS(B), lengths, (size_t)B * sizeof *lengths));
    if (c->h0)
        onnx_floats(&o, "h0", state, h0);
    if (c->c0)
        onnx_floats(&o, "c0", state, c0);
    if (c->peepholes)
        onnx_floats(&o, "p", DIMS(D, 3 * H), p);
    char inputs[64];
    snprintf(inputs, sizeof inputs, "x w r %s %s %s", c->bias ? "b" : "-",
             c->lengths ? "lengths" : "-", c->h0 ? "h0" : "-");
    if (c->cell->gates == 4)
        snprintf(inputs + strlen(inputs), sizeof inputs - strlen(inputs), " %s %s",
                 c->c0 ? "c0" : "-", c->peepholes ? "p" : "-");
    onnx_node(&o, c->cell->op, inputs, outputs);
    attributes(&o, c);
    return o;
}

static void check(const struct recurrent *c, const char *what, const float *got,
                  const double *want, int count)
{
    for (int i = 0; i < count; i++) {
        if (!(fabs(got[i] - want[i]) <= 1e-5 * fmax(1, fabs(want[i]))))
            ck_abort_msg("%s %s%s, %s: [%d] of %d is %.9g, not %.9g", c->direction, c->cell->op,
                         c->layout ? " layout 1" : "", what, i, count, got[i], want[i]);
    }
}

static void check_recurrent(const struct recurrent *c, enum nn_kernel_choice kernels)
{
    const int H = c->hidden, D = directions(c), B = c->batch;
    bool lstm = c->cell->gates == 4;
    struct onnx o = model(c, lstm ? "y y_h y_c" : "y y_h");
    onnx_output(&o, "y", 1, SCALAR);
    onnx_output(&o, "y_h", 1, SCALAR);
    if (lstm)
        onnx_output(&o, "y_c", 1, SCALAR);
    struct net net =
        net_plan(net_load(&o), &(struct nn_plan_options){.kernels = kernels, .time_axis = -1});
    net_set(&net, 0, x);
    if (c->fed) {
        net_set(&net, 1, w);
        net_set(&net, 2, r);
    }
    expect(c);
    for (int run = 0; run < 2; run++) { /* a second run starts anew */
        net_run(&net);
        net_expect_shape(&net, 0, c->layout ? DIMS(B, T, D, H) : DIMS(T, D, B, H));
        net_expect_shape(&net, 1, c->layout ? DIMS(B, D, H) : DIMS(D, B, H));
        check(c, "Y", net_floats(&net, 0), want_y, T * D * B * H);
        check(c, "Y_h", net_floats(&net, 1), want_h, D * B * H);
        if (lstm)
            check(c, "Y_c", net_floats(&net, 2), want_c, D * B * H);
    }
    net_free(&net);
}

static const char *const all_directions[] = {"forward", "reverse", "bidirectional"};

START_TEST(cells_in_every_form_follow_their_equations)
{
    static const int sizes[] = {1, 8, 21};
    for (int n = 0; n < 3 * 3 * 256; n += 5) {
        int bits = n / 9;
        struct recurrent c = {
            .cell = &cells[n % 3],
            .direction = all_directions[n / 3 % 3],
            .hidden = sizes[n % 7 % 3],
            .batch = bits & 1 ? N : 1,
            .layout = bits & 2,
            .bias = bits & 4,
            .lengths = bits & 8,
            .h0 = bits & 16,
            .clip = bits & 32 ? 0.3f : 0,
            .fed = n % 11 == 0,
        };
        c.c0 = c.cell->gates == 4 && bits & 64;
        c.peepholes = c.cell->gates == 4 && bits & 128;
        c.input_forget = c.cell->gates == 4 && n % 4 == 0;
        c.linear_before_reset = c.cell->gates == 3 && bits & 64;
        fill((uint32_t)n);
        check_recurrent(&c, n % 4 == 0 ? NN_KERNELS_REFERENCE : NN_KERNELS_BEST);
    }
}
END_TEST

START_TEST(activations_take_their_parameters_in_order)
{
    static const struct function lstm[] = {
        {"HardSigmoid", 0.3, 0.4, true, true}, {"LeakyRelu", 0.2, 0, true, false},
        {"Softsign", 0, 0, false, false},      {"Affine", 0.5, 0.1, true, true},
        {"ScaledTanh", 0.7, 0.6, true, true},  {"Elu", 0.9, 0, true, false},
    };
    static const struct function gru[] = {
        {"Sigmoid", 0, 0, false, false},
        {"ThresholdedRelu", 0.05, 0, true, false},
        {"HardSigmoid", 0.25, 0.45, true, true},
        {"Softplus", 0, 0, false, false},
    };
    /* Nothing listed: the defaults of the specification. */
    static const struct function defaults[] = {
        {"HardSigmoid", 0.2, 0.5, false, false}, {"LeakyRelu", 0.01, 0, false, false},
        {"ScaledTanh", 1, 1, false, false},      {"HardSigmoid", 0.2, 0.5, false, false},
        {"ThresholdedRelu", 1, 0, false, false}, {"Elu", 1, 0, false, false},
    };
    static const struct function rnn[] = {{"Relu", 0, 0, false, false},
                                          {"Affine", 1, 0, false, false}};
    /* A list that is used up leaves the default to the others. */
    static const struct function partly[] = {{"LeakyRelu", 0.3, 0, true, false},
                                             {"LeakyRelu", 0.01, 0, false, false}};
    const struct recurrent cases[] = {
        {&cells[2], "bidirectional", 8, N, .functions = partly},
        {&cells[0], "bidirectional", 8, N, .bias = true, .functions = lstm},
        {&cells[0], "bidirectional", 8, 1, .functions = defaults},
        {&cells[1], "bidirectional", 8, N, .bias = true, .functions = gru},
        {&cells[2], "bidirectional", 8, N, .functions = rnn},
        {&cells[2], "forward", 8, N, .functions = rnn + 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fill((uint32_t)i);
        check_recurrent(&cases[i], NN_KERNELS_BEST);
    }
}
END_TEST

START_TEST(inputs_and_states_of_many_hundred_values_are_summed_completely)
{
    enum { DEEP = 300, WIDE = 140, STEPS = 2 };
    static float deep_x[STEPS * DEEP], deep_w[WIDE * DEEP], deep_r[WIDE * WIDE];
    net_fill(deep_x, STEPS * DEEP, 1);
    net_fill(deep_w, WIDE * DEEP, 2);
    net_fill(deep_r, WIDE * WIDE, 3);
    struct onnx o = onnx_start(14);
    onnx_input(&o, "x", 1, DIMS(STEPS, 1, DEEP));
    onnx_floats(&o, "w", DIMS(1, WIDE, DEEP), deep_w);
    onnx_floats(&o, "r", DIMS(1, WIDE, WIDE), deep_r);
    onnx_node(&o, "RNN", "x w r", "y");
    texts(&o, "activations", 1, &(struct function){.name = "Affine"});
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, deep_x);
    net_run(&net);
    double h[WIDE] = {0}, next[WIDE];
    for (int t = 0; t < STEPS; t++) {
        for (int j = 0; j < WIDE; j++) {
            next[j] = 0;
            for (int k = 0; k < DEEP; k++)
                next[j] += (double)deep_w[j * DEEP + k] * deep_x[t * DEEP + k];
            for (int k = 0; k < WIDE; k++)
                next[j] += deep_r[j * WIDE + k] * h[k];
        }
        memcpy(h, next, sizeof h);
        for (int j = 0; j < WIDE; j++)
            ck_assert_double_eq_tol(net_floats(&net, 0)[t * WIDE + j], h[j], 1e-4);
    }
    net_free(&net);
}
END_TEST

START_TEST(each_output_alone_is_enough)
{
    static const char *const outputs[] = {"y - -", "- y -", "- - y"};
    for (int i = 0; i < 3; i++) {
        struct recurrent c = {&cells[0], "bidirectional", 8, N, .bias = true, .lengths = true};
        fill(3);
        expect(&c);
        struct onnx o = model(&c, outputs[i]);
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, x);
        net_run(&net);
        check(&c, outputs[i], net_floats(&net, 0),
              i == 0   ? want_y
              : i == 1 ? want_h
                       : want_c,
              (i == 0 ? T : 1) * 2 * N * 8);
        net_free(&net);
    }
}
END_TEST

START_TEST(a_sequence_gets_the_same_bits_alone_as_in_a_batch)
{
    enum { H = 21, MANY = 19 };
    static float many[T * MANY * I];
    for (int kind = 0; kind < 3; kind++) {
        float alone[T * H];
        for (int batch = 1; batch <= MANY; batch += MANY - 1) {
            struct recurrent c = {&cells[kind], "forward",      H,
                                  batch,        .layout = true, .bias = true};
            fill(5);
            for (int n = 0; n < MANY; n++)
                memcpy(many + n * T * I, x, T * I * sizeof *x);
            struct onnx o = model(&c, "y");
            onnx_output(&o, "y", 1, SCALAR);
            struct net net = net_make(&o);
            net_set(&net, 0, many);
            net_run(&net);
            if (batch == 1)
                memcpy(alone, net_floats(&net, 0), sizeof alone);
            for (int n = 0; n < batch; n++)
                ck_assert_mem_eq(net_floats(&net, 0) + n * T * H, alone, sizeof alone);
            net_free(&net);
        }
    }
}
END_TEST

START_TEST(a_length_beyond_the_steps_is_an_error_at_run_time)
{
    static const int32_t wrong[] = {-1, T + 1};
    for (int i = 0; i < 2; i++) {
        struct onnx o = onnx_start(14);
        onnx_input(&o, "x", 1, DIMS(T, 1, I));
        onnx_input(&o, "lengths", 6, DIMS(1));
        fill(1);
        onnx_floats(&o, "w", DIMS(1, 2, I), w);
        onnx_floats(&o, "r", DIMS(1, 2, 2), r);
        onnx_node(&o, "RNN", "x w r - lengths", "y");
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, x);
        net_set(&net, 1, &wrong[i]);
        net_expect_run_fails(&net, "sequence_lens");
        net_free(&net);
    }
}
END_TEST

START_TEST(an_empty_sequence_keeps_its_initial_state)
{
    struct onnx o = onnx_start(14);
    onnx_input(&o, "x", 1, DIMS(T, 1, I));
    onnx_input(&o, "lengths", 6, DIMS(1));
    fill(1);
    onnx_floats(&o, "w", DIMS(1, 2, I), w);
    onnx_floats(&o, "r", DIMS(1, 2, 2), r);
    onnx_floats(&o, "h", DIMS(1, 1, 2), (float[]){0.25f, -0.5f});
    onnx_node(&o, "RNN", "x w r - lengths h", "y y_h");
    onnx_output(&o, "y", 1, SCALAR);
    onnx_output(&o, "y_h", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, x);
    net_set(&net, 1, &(int32_t){0});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(T, 1, 1, 2), (float[T * 2]){0});
    net_expect_floats(&net, 1, DIMS(1, 1, 2), (float[]){0.25f, -0.5f});
    net_free(&net);
}
END_TEST

static struct onnx plain(const struct cell *cell, struct onnx_dims input)
{
    const struct recurrent c = {cell, "forward", 2, 1};
    struct onnx o = onnx_start(14);
    fill(1);
    onnx_input(&o, "x", 1, input);
    onnx_floats(&o, "w", DIMS(1, cell->gates * 2, I), w);
    onnx_floats(&o, "r", DIMS(1, cell->gates * 2, 2), r);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, c.cell->op, "x w r", "y");
    return o;
}

START_TEST(what_does_not_fit_is_refused_by_name)
{
    struct onnx o = plain(&cells[0], DIMS(T, 1, I + 1));
    net_expect_refused(&o, -EINVAL, "W must have the shape 1x8x8");
    o = plain(&cells[1], DIMS(T, I));
    net_expect_refused(&o, -EINVAL, "ranks 2 and 3");
    o = plain(&cells[0], DIMS(T, 1, I));
    onnx_attribute_int(&o, "hidden_size", 3);
    net_expect_refused(&o, -EINVAL, "hidden_size");
    o = plain(&cells[0], DIMS(T, 1, I));
    onnx_attribute_text(&o, "direction", "sideways");
    net_expect_refused(&o, -EINVAL, "direction is 'sideways'");
    o = plain(&cells[0], DIMS(T, 1, I));
    onnx_attribute_text(&o, "direction", "bidirectional");
    net_expect_refused(&o, -EINVAL, "W must have the shape 2x8x7");
    o = plain(&cells[2], DIMS(T, 1, I));
    onnx_attribute_int(&o, "layout", 2);
    net_expect_refused(&o, -EINVAL, "layout is 2");
    o = plain(&cells[2], DIMS(T, 1, I));
    onnx_attribute_float(&o, "clip", -1);
    net_expect_refused(&o, -EINVAL, "clip is -1");
    o = plain(&cells[2], DIMS(T, 1, I));
    texts(&o, "activations", 1, &(struct function){.name = "Swish"});
    net_expect_refused(&o, -ENOTSUP, "activation 'Swish'");
    o = plain(&cells[1], DIMS(T, 1, I));
    texts(&o, "activations", 1, &(struct function){.name = "Tanh"});
    net_expect_refused(&o, -EINVAL, "activations has 1 names, not 2");
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("recurrent");
    tcase_set_timeout(all, 120);
    tcase_add_test(all, cells_in_every_form_follow_their_equations);
    tcase_add_test(all, activations_take_their_parameters_in_order);
    tcase_add_test(all, inputs_and_states_of_many_hundred_values_are_summed_completely);
    tcase_add_test(all, each_output_alone_is_enough);
    tcase_add_test(all, a_sequence_gets_the_same_bits_alone_as_in_a_batch);
    tcase_add_test(all, a_length_beyond_the_steps_is_an_error_at_run_time);
    tcase_add_test(all, an_empty_sequence_keeps_its_initial_state);
    tcase_add_test(all, what_does_not_fit_is_refused_by_name);
    return suite_run("nn/recurrent", &all, 1);
}
