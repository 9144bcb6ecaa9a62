/* ConvTranspose against its definition: every input, times every weight, added to the output it
 * reaches. In double precision. */
#include <errno.h>
#include <math.h>

#include "tests/nn/windows.h"

struct transpose {
    int axes;
    int64_t in[3], kernel[3], stride[3], dilation[3], before[3], after[3], extra[3], out[3];
    int64_t batch, groups, in_channels, out_channels; /* channels of one group */
    const char *auto_pad;                             /* NULL: pads */
    bool shape;                                       /* output_shape is given */
    bool bias, constant;
};

/* ONNX Runtime and the specification since opset 11 agree on who gets the odd one. */
static void split(struct transpose *t, int i, int64_t total)
{
    bool upper = t->auto_pad && strcmp(t->auto_pad, "SAME_UPPER") == 0;
    total = total > 0 ? total : 0;
    t->before[i] = upper ? total / 2 : (total + 1) / 2;
    t->after[i] = total - t->before[i];
}

static struct transpose draw(uint32_t *seed)
{
    static const char *const modes[] = {NULL,    NULL,         "NOTSET",
                                        "VALID", "SAME_UPPER", "SAME_LOWER"};
    for (;;) {
        struct transpose t = {
            .axes = (int)net_pick(seed, 1, 3),
            .batch = net_pick(seed, 1, 2),
            .groups = net_pick(seed, 1, 3),
            .in_channels = net_pick(seed, 1, 5),
            .out_channels = net_pick(seed, 1, 11),
            .auto_pad = modes[net_pick(seed, 0, 5)],
            .shape = net_pick(seed, 0, 3) == 0,
            .bias = net_pick(seed, 0, 1),
            .constant = net_pick(seed, 0, 3) > 0,
        };
        bool pads = !t.auto_pad || strcmp(t.auto_pad, "NOTSET") == 0, fits = true;
        bool same = t.auto_pad && strncmp(t.auto_pad, "SAME", 4) == 0;
        for (int i = 0; i < t.axes; i++) {
            t.in[i] = net_pick(seed, 1, t.axes == 3 ? 4 : 9);
            t.kernel[i] = net_pick(seed, 1, 4);
            t.stride[i] = net_pick(seed, 1, 4);
            t.dilation[i] = net_pick(seed, 1, 3);
            t.extra[i] = net_pick(seed, 0, 1);
            t.before[i] = pads ? net_pick(seed, 0, 3) : 0;
            t.after[i] = pads ? net_pick(seed, 0, 3) : 0;
            int64_t full = t.stride[i] * (t.in[i] - 1) + t.extra[i] +
                           (t.kernel[i] - 1) * t.dilation[i] + 1;
            t.out[i] = t.shape ? net_pick(seed, 1, full + 2) : full;
            if (t.shape)
                split(&t, i, full - t.out[i]);
            else if (same)
                split(&t, i, full - t.stride[i] * t.in[i]);
            if (!t.shape)
                t.out[i] -= t.before[i] + t.after[i];
            fits &= t.out[i] > 0;
        }
        if (fits)
            return t;
    }
}

/* Adds one input element, times its group's weights, to what it reaches. */
static void spread(const struct transpose *t, double x, const float *w, int64_t at, double *y)
{
    int64_t window = windows_count(&(struct windows){.axes = t->axes}, t->kernel);
    int64_t size = windows_count(&(struct windows){.axes = t->axes}, t->out);
    for (int64_t k = 0; k < window; k++) {
        int64_t to = 0, step = 1, place = at, tap = k;
        bool inside = true;
        for (int i = t->axes - 1; i >= 0; i--) {
            int64_t o = place % t->in[i] * t->stride[i] + tap % t->kernel[i] * t->dilation[i] -
                        t->before[i];
            inside &= o >= 0 && o < t->out[i];
            to += o * step;
            step *= t->out[i];
            place /= t->in[i];
            tap /= t->kernel[i];
        }
        for (int64_t m = 0; inside && m < t->out_channels; m++)
            y[m * size + to] += x * w[m * window + k];
    }
}

static double *expected(const struct transpose *t, const float *x, const float *w,
                        const float *b)
{
    int64_t window = windows_count(&(struct windows){.axes = t->axes}, t->kernel);
    int64_t in = windows_count(&(struct windows){.axes = t->axes}, t->in);
    int64_t size = windows_count(&(struct windows){.axes = t->axes}, t->out);
    int64_t channels = t->groups * t->out_channels;
    double *y = malloc((size_t)(t->batch * channels * size) * sizeof *y);
    ck_assert_ptr_nonnull(y);
    for (int64_t i = 0; i < t->batch * channels * size; i++)
        y[i] = t->bias ? b[i / size % channels] : 0;
    for (int64_t c = 0; c < t->batch * t->groups * t->in_channels; c++) {
        int64_t own = c % (t->groups * t->in_channels), group = c / t->in_channels;
        for (int64_t i = 0; i < in; i++)
            spread(t, x[c * in + i], w + own * t->out_channels * window, i,
                   y + group * t->out_channels * size);
    }
    return y;
}

static void put_attributes(struct onnx *o, const struct transpose *t)
{
    int64_t pads[6];
    for (int i = 0; i < t->axes; i++) {
        pads[i] = t->before[i];
        pads[t->axes + i] = t->after[i];
    }
    onnx_attribute_ints(o, "kernel_shape", t->axes, t->kernel);
    onnx_attribute_ints(o, "strides", t->axes, t->stride);
    onnx_attribute_ints(o, "dilations", t->axes, t->dilation);
    onnx_attribute_ints(o, "output_padding", t->axes, t->extra);
    onnx_attribute_int(o, "group", t->groups);
    if (t->auto_pad)
        onnx_attribute_text(o, "auto_pad", t->auto_pad);
    if (t->shape)
        onnx_attribute_ints(o, "output_shape", t->axes, t->out);
    else if (!t->auto_pad || strcmp(t->auto_pad, "NOTSET") == 0)
        onnx_attribute_ints(o, "pads", 2 * t->axes, pads);
}

static void check(const struct transpose *t, enum nn_kernel_choice kernels)
{
    int64_t channels = t->groups * t->out_channels;
    struct onnx_dims x_dims =
        windows_dims(t->batch, t->groups * t->in_channels, t->axes, t->in);
    struct onnx_dims w_dims =
        windows_dims(t->groups * t->in_channels, t->out_channels, t->axes, t->kernel);
    float *x = net_draw(onnx_dims_count(x_dims), 1), *w = net_draw(onnx_dims_count(w_dims), 2);
    float *b = net_draw((size_t)channels, 3);
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, x_dims);
    if (t->constant)
        onnx_floats(&o, "w", w_dims, w);
    else
        onnx_input(&o, "w", 1, w_dims);
    onnx_floats(&o, "b", DIMS(channels), b);
    onnx_node(&o, "ConvTranspose", t->bias ? "x w b" : "x w", "y");
    put_attributes(&o, t);
    onnx_output(&o, "y", 1, SCALAR);
    struct net net =
        net_plan(net_load(&o), &(struct nn_plan_options){.kernels = kernels, .time_axis = -1});
    struct onnx_dims y_dims = windows_dims(t->batch, channels, t->axes, t->out);
    net_expect_shape(&net, 0, y_dims);
    net_set(&net, 0, x);
    if (!t->constant)
        net_set(&net, 1, w);
    net_run(&net);
    const float *y = net_floats(&net, 0);
    double *want = expected(t, x, w, b);
    double terms =
        (double)(t->in_channels * windows_count(&(struct windows){.axes = t->axes}, t->kernel));
    for (size_t i = 0; i < onnx_dims_count(y_dims); i++)
        if (!(fabs(y[i] - want[i]) <= 1e-7 * terms + 1e-6))
            ck_abort_msg("[%zu]: %.9g, not %.9g", i, y[i], want[i]);
    net_free(&net);
    free(want);
    free(x);
    free(w);
    free(b);
}

START_TEST(random_transposed_convolutions_equal_their_definition)
{
    uint32_t seed = (uint32_t)_i + 1;
    for (int n = 0; n < 60; n++) {
        struct transpose t = draw(&seed);
        check(&t, n % 4 == 0 ? NN_KERNELS_REFERENCE : NN_KERNELS_BEST);
    }
}
END_TEST

START_TEST(sizes_beyond_every_block_of_the_loops_are_right)
{
    /* in, kernel, stride, pad; channels in and out: more taps than are summed at once, more
     * positions than one chunk and one band, more channels than one panel. */
    static const int64_t cases[][6] = {
        {17, 4, 2, 1, 70, 17}, {40, 2, 2, 0, 8, 9}, {33, 3, 1, 1, 40, 8},
        {64, 4, 2, 1, 64, 3},  {9, 1, 3, 0, 2, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int64_t *c = cases[i];
        struct transpose t = {.axes = 2,
                              .batch = 1,
                              .groups = 1,
                              .in_channels = c[4],
                              .out_channels = c[5],
                              .bias = true,
                              .constant = true};
        for (int a = 0; a < 2; a++) {
            t.in[a] = c[0];
            t.kernel[a] = c[1];
            t.stride[a] = c[2];
            t.dilation[a] = 1;
            t.before[a] = t.after[a] = c[3];
            t.out[a] = c[2] * (c[0] - 1) + c[1] - 2 * c[3];
        }
        check(&t, NN_KERNELS_BEST);
    }
}
END_TEST

/* A stride beyond the kernel leaves outputs that no weight reaches. */
static struct onnx sparse(bool apart, const float *w)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, 2, 3, 3));
    onnx_floats(&o, "w", DIMS(2, 2, 2, 2), w);
    onnx_floats(&o, "b", DIMS(2), (float[]){-0.5f, 0.5f});
    onnx_output(&o, "y", 1, SCALAR);
    if (apart)
        onnx_output(&o, "c", 1, SCALAR);
    onnx_node(&o, "ConvTranspose", "x w b", "c");
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){3, 2});
    onnx_node(&o, "Sigmoid", "c", "y");
    return o;
}

START_TEST(a_following_activation_is_applied_once_and_everywhere)
{
    float w[16], x[18];
    net_fill(w, 16, 4);
    net_fill(x, 18, 5);
    struct net nets[2];
    for (int apart = 0; apart < 2; apart++) {
        struct onnx o = sparse(apart, w);
        nets[apart] = net_make(&o);
        net_expect_shape(&nets[apart], 0, DIMS(1, 2, 8, 6));
        net_set(&nets[apart], 0, x);
        net_run(&nets[apart]);
    }
    for (int i = 0; i < 96; i++)
        ck_assert_float_eq(net_floats(&nets[0], 0)[i], net_floats(&nets[1], 0)[i]);
    net_free(&nets[0]);
    net_free(&nets[1]);
}
END_TEST

/* With BatchNormalization merged into the weights, and kept apart by an output in between. */
START_TEST(a_following_normalization_becomes_part_of_the_weights)
{
    enum { GROUPS = 2, IN = 3, OUT = 2, CHANNELS = GROUPS * OUT };
    float w[GROUPS * IN * OUT * 9], x[GROUPS * IN * 25], p[4][CHANNELS];
    net_fill(w, sizeof w / sizeof *w, 6);
    net_fill(x, sizeof x / sizeof *x, 7);
    for (int i = 0; i < 4; i++)
        net_fill(p[i], CHANNELS, 8 + (uint32_t)i);
    for (int i = 0; i < CHANNELS; i++)
        p[3][i] = p[3][i] * p[3][i] + 0.1f; /* variance */
    struct net nets[2];
    for (int apart = 0; apart < 2; apart++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, DIMS(1, GROUPS * IN, 5, 5));
        onnx_floats(&o, "w", DIMS(GROUPS * IN, OUT, 3, 3), w);
        onnx_floats(&o, "scale", DIMS(CHANNELS), p[0]);
        onnx_floats(&o, "shift", DIMS(CHANNELS), p[1]);
        onnx_floats(&o, "mean", DIMS(CHANNELS), p[2]);
        onnx_floats(&o, "variance", DIMS(CHANNELS), p[3]);
        onnx_output(&o, "y", 1, SCALAR);
        if (apart)
            onnx_output(&o, "c", 1, SCALAR);
        onnx_node(&o, "ConvTranspose", "x w", "c");
        onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 2});
        onnx_attribute_int(&o, "group", GROUPS);
        onnx_node(&o, "BatchNormalization", "c scale shift mean variance", "n");
        onnx_node(&o, "Relu", "n", "y");
        nets[apart] = net_make(&o);
        net_set(&nets[apart], 0, x);
        net_run(&nets[apart]);
        struct nn_plan_info info;
        nn_plan_describe(nets[apart].plan, &info);
        ck_assert_int_eq(info.window_nodes, apart ? 2 : 1);
    }
    for (int i = 0; i < CHANNELS * 121; i++)
        ck_assert_float_eq_tol(net_floats(&nets[0], 0)[i], net_floats(&nets[1], 0)[i], 1e-5f);
    net_free(&nets[0]);
    net_free(&nets[1]);
}
END_TEST

static struct onnx plain(struct onnx_dims x, struct onnx_dims w)
{
    static const float zeros[1024];
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, x);
    onnx_floats(&o, "w", w, zeros);
    onnx_floats(&o, "b", DIMS(3), zeros);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, "ConvTranspose", "x w", "y");
    return o;
}

START_TEST(what_does_not_fit_is_refused_by_name)
{
    static const struct {
        struct onnx_dims x, w;
        const char *attribute;
        int64_t values[4];
        int count, code;
        const char *text;
    } cases[] = {
        {{4, {1, 2, 4, 4}}, {3, {2, 2, 3}}, NULL, {0}, 0, -EINVAL, "input has rank 4 and"},
        {{4, {1, 2, 4, 4}}, {4, {3, 2, 3, 3}}, NULL, {0}, 0, -EINVAL, "do not fit together"},
        {{4, {1, 2, 4, 4}}, {4, {2, 2, 3, 3}}, "group", {0}, -1, -EINVAL, "group 0"},
        {{4, {1, 2, 4, 4}}, {4, {2, 2, 3, 3}}, "group", {4}, -1, -EINVAL, "group 4"},
        {{4, {1, 2, 4, 4}},
         {4, {2, 2, 3, 3}},
         "kernel_shape",
         {3, 2},
         2,
         -EINVAL,
         "kernel_shape differs"},
        {{4, {1, 2, 4, 4}}, {4, {2, 2, 3, 3}}, "strides", {0, 1}, 2, -EINVAL, "the value 0"},
        {{4, {1, 2, 4, 4}},
         {4, {2, 2, 3, 3}},
         "pads",
         {-1, 1, 1, 1},
         4,
         -EINVAL,
         "pads has the value -1"},
        {{4, {1, 2, 4, 4}}, {4, {2, 2, 3, 3}}, "pads", {1, 1}, 2, -EINVAL, "pads has 2 values"},
        {{4, {1, 2, 4, 4}},
         {4, {2, 2, 3, 3}},
         "pads",
         {3, 3, 3, 3},
         4,
         -EINVAL,
         "spatial dimension 0 of its output would be 0"},
        {{4, {1, 2, 4, 4}},
         {4, {2, 2, 3, 3}},
         "output_shape",
         {8},
         1,
         -EINVAL,
         "output_shape has 1 values"},
        {{4, {1, 2, 1 << 20, 4}},
         {4, {2, 2, 3, 3}},
         "strides",
         {1 << 20, 1},
         2,
         -E2BIG,
         "would be"},
        {{4, {1, 2, 4, 4}},
         {4, {2, 2, 3, 3}},
         "strides",
         {1 << 20, 1 << 20},
         2,
         -E2BIG,
         "too large"},
        {{6, {1, 1, 2, 2, 2, 2}},
         {6, {1, 1, 1, 1, 1, 1}},
         NULL,
         {0},
         0,
         -ENOTSUP,
         "4 spatial dimensions"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct onnx o = plain(cases[i].x, cases[i].w);
        if (cases[i].count < 0)
            onnx_attribute_int(&o, cases[i].attribute, cases[i].values[0]);
        else if (cases[i].count > 0)
            onnx_attribute_ints(&o, cases[i].attribute, cases[i].count, cases[i].values);
        net_expect_refused(&o, cases[i].code, cases[i].text);
    }
    struct onnx o = plain(DIMS(1, 2, 4, 4), DIMS(2, 2, 3, 3));
    onnx_attribute_text(&o, "auto_pad", "SAME");
    net_expect_refused(&o, -EINVAL, "auto_pad is 'SAME'");
    o = plain(DIMS(1, 2, 4, 4), DIMS(2, 2, 3, 3));
    onnx_node(&o, "ConvTranspose", "x w b", "z");
    onnx_output(&o, "z", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "its bias must be a list of 2 numbers");
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("conv_transpose");
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, random_transposed_convolutions_equal_their_definition, 0, 8);
    tcase_add_test(all, sizes_beyond_every_block_of_the_loops_are_right);
    tcase_add_test(all, a_following_activation_is_applied_once_and_everywhere);
    tcase_add_test(all, a_following_normalization_becomes_part_of_the_weights);
    tcase_add_test(all, what_does_not_fit_is_refused_by_name);
    return suite_run("nn/conv_transpose", &all, 1);
}
