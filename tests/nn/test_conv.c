/* Conv against the sum that defines it, in double precision. */
#include <errno.h>
#include <math.h>

#include "nn/kernels/kernels.h"
#include "tests/nn/windows.h"

struct conv {
    struct windows w;
    int64_t batch, groups, in, out; /* channels of one group */
    bool bias, constant;            /* constant: weight and bias are initializers */
};

static double expected(const struct conv *c, const float *x, const float *w, const float *b,
                       int64_t image, int64_t channel, int64_t at)
{
    int64_t taps = windows_count(&c->w, c->w.kernel), size = windows_count(&c->w, c->w.in);
    int64_t group = channel / c->out;
    double sum = c->bias ? b[channel] : 0;
    for (int64_t i = 0; i < c->in; i++) {
        for (int64_t t = 0; t < taps; t++) {
            bool declared;
            int64_t from = windows_tapped(&c->w, at, t, &declared);
            if (from >= 0)
                sum += (double)w[(channel * c->in + i) * taps + t] *
                       x[((image * c->groups + group) * c->in + i) * size + from];
        }
    }
    return sum;
}

static void check_conv(const struct conv *c, enum nn_kernel_choice kernels)
{
    int64_t channels = c->groups * c->out;
    struct onnx_dims x_dims = windows_dims(c->batch, c->groups * c->in, c->w.axes, c->w.in);
    struct onnx_dims w_dims = windows_dims(channels, c->in, c->w.axes, c->w.kernel);
    float *x = net_draw(onnx_dims_count(x_dims), 1);
    float *w = net_draw(onnx_dims_count(w_dims), 2);
    float *b = net_draw((size_t)channels, 3);

    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, x_dims);
    if (c->constant) {
        onnx_floats(&o, "w", w_dims, w);
        onnx_floats(&o, "b", DIMS(channels), b);
    } else {
        onnx_input(&o, "w", 1, w_dims);
        onnx_input(&o, "b", 1, DIMS(channels));
    }
    onnx_node(&o, "Conv", c->bias ? "x w b" : "x w", "y");
    windows_attributes(&o, &c->w);
    onnx_attribute_int(&o, "group", c->groups);
    onnx_output(&o, "y", 1, SCALAR);
    struct net net =
        net_plan(net_load(&o), &(struct nn_plan_options){.kernels = kernels, .time_axis = -1});
    net_expect_shape(&net, 0, windows_dims(c->batch, channels, c->w.axes, c->w.out));
    net_set(&net, 0, x);
    if (!c->constant) {
        net_set(&net, 1, w);
        net_set(&net, 2, b);
    }
    net_run(&net);

    const float *y = net_floats(&net, 0);
    int64_t size = windows_count(&c->w, c->w.out);
    double terms = (double)(c->in * windows_count(&c->w, c->w.kernel) + 1);
    for (int64_t i = 0; i < c->batch * channels * size; i++) {
        double want = expected(c, x, w, b, i / size / channels, i / size % channels, i % size);
        if (!(fabs(y[i] - want) <= 1e-7 * terms + 1e-6))
            ck_abort_msg("[%d] of %d: %.9g, not %.9g", (int)i,
                         (int)(c->batch * channels * size), y[i], want);
    }
    net_free(&net);
    free(x);
    free(w);
    free(b);
}

START_TEST(random_convolutions_equal_their_definition)
{
    uint32_t seed = (uint32_t)_i + 1;
    for (int n = 0; n < 60; n++) {
        struct conv c = {
            .w = windows_random(&seed, 14, false),
            .batch = net_pick(&seed, 1, 2),
            .groups = net_pick(&seed, 1, 3),
            .in = net_pick(&seed, 1, 5),
            .out = net_pick(&seed, 1, 11),
            .bias = net_pick(&seed, 0, 1),
            .constant = net_pick(&seed, 0, 3) > 0,
        };
        check_conv(&c, n % 4 == 0 ? NN_KERNELS_REFERENCE : NN_KERNELS_BEST);
    }
}
END_TEST

static struct windows square(int64_t in, int64_t kernel, int64_t stride, int64_t pad)
{
    struct windows w = {.axes = 2, .auto_pad = "NOTSET"};
    for (int i = 0; i < 2; i++) {
        w.in[i] = in;
        w.kernel[i] = kernel;
        w.stride[i] = stride;
        w.dilation[i] = 1;
        w.before[i] = w.after[i] = pad;
        windows_measure(&w, i);
    }
    return w;
}

START_TEST(sizes_beyond_every_block_of_the_loops_are_right)
{
    /* More taps than are summed at once, more positions than one chunk, more input than one
     * band or strip, more channels than one panel. */
    const struct conv cases[] = {
        {square(9, 3, 1, 1), 1, 1, 70, 17, true, true},
        {square(40, 3, 1, 1), 1, 1, 8, 9, true, true},
        {square(40, 1, 1, 0), 1, 1, 160, 9, false, true},
        {square(96, 3, 2, 1), 1, 1, 32, 8, true, true},
        {square(123, 3, 2, 1), 2, 1, 3, 17, true, true},
        {square(170, 5, 3, 2), 1, 2, 4, 9, false, true},
        {square(14, 1, 1, 0), 1, 1, 300, 40, true, true},
        {square(57, 5, 1, 2), 2, 24, 1, 1, true, true},
        {square(30, 3, 2, 0), 1, 16, 1, 2, false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_conv(&cases[i], NN_KERNELS_BEST);
}
END_TEST

START_TEST(depthwise_convolutions_of_every_size_are_right)
{
    for (int64_t size = 1; size <= 40; size++) {
        for (int64_t kernel = 3; kernel <= 5; kernel += 2) {
            for (int64_t stride = 1; stride <= 3; stride++) {
                struct windows w = square(size, kernel, stride, (size + stride) % 3);
                w.in[1] = 41 - size;
                w.before[1] = kernel - 1;
                windows_measure(&w, 1);
                if (w.out[0] < 1 || w.in[0] + 2 * w.before[0] < kernel)
                    continue;
                struct conv c = {
                    w, 1 + size % 2, 1 + size % 4, 1, 1 + size % 2, size % 4 > 0, size % 5 > 0};
                check_conv(&c, NN_KERNELS_BEST);
            }
        }
    }
}
END_TEST

START_TEST(lines_of_every_length_are_right)
{
    /* Written straight to their place, in all widths of a last tile. */
    for (int64_t width = 40; width <= 120; width++) {
        struct windows w = square(3, 1, 1, 0);
        w.in[1] = width;
        windows_measure(&w, 1);
        check_conv(&(struct conv){w, 1, 1, 5, 11, true, true}, NN_KERNELS_BEST);
        w = square(5, 3, 2, 1);
        w.in[1] = 2 * width;
        windows_measure(&w, 1);
        check_conv(&(struct conv){w, 1, 1, 30, 7, width % 2, true}, NN_KERNELS_BEST);
    }
}
END_TEST

START_TEST(a_following_activation_is_applied_once)
{
    static const char *const activations[] = {"Relu", "LeakyRelu", "Sigmoid", "Tanh"};
    for (int a = 0; a < 4; a++) {
        float w[2 * 3 * 3 * 3], x[3 * 7 * 7];
        net_fill(w, 54, 4);
        net_fill(x, 147, 5);
        const float *results[2];
        struct net nets[2];
        /* With the activation fused, and with it kept apart by an output in between. */
        for (int apart = 0; apart < 2; apart++) {
            struct onnx o = onnx_start(13);
            onnx_input(&o, "x", 1, DIMS(1, 3, 7, 7));
            onnx_floats(&o, "w", DIMS(2, 3, 3, 3), w);
            onnx_node(&o, "Conv", "x w", "c");
            onnx_node(&o, activations[a], "c", "y");
            onnx_output(&o, "y", 1, SCALAR);
            if (apart)
                onnx_output(&o, "c", 1, SCALAR);
            nets[apart] = net_make(&o);
            net_set(&nets[apart], 0, x);
            net_run(&nets[apart]);
            results[apart] = net_floats(&nets[apart], 0);
        }
        for (int i = 0; i < 50; i++)
            ck_assert_float_eq(results[0][i], results[1][i]);
        net_free(&nets[0]);
        net_free(&nets[1]);
    }
}
END_TEST

static const struct pooling {
    const char *activation;
    float slope;
    int64_t size, kernel, groups; /* of the image, of Conv */
    const char *auto_pad;         /* of MaxPool */
    bool ceils, wide;             /* its ceil_mode, and 3×3 instead of 2×2 */
    int fused;                    /* layers that others do: the activation, MaxPool */
} poolings[] = {
    {"Relu", 0, 20, 3, 1, "NOTSET", false, false, 2},
    {"Relu", 0, 21, 3, 1, "VALID", false, false, 2},
    {"Relu", 0, 21, 5, 1, "NOTSET", false, false, 2},
    {"Relu", 0, 60, 3, 1, "NOTSET", false, false, 2},
    {"Relu", 0, 9, 1, 1, "NOTSET", false, false, 1},
    {"Sigmoid", 0, 21, 3, 1, "NOTSET", false, false, 2},
    {"LeakyRelu", 0.1f, 22, 3, 1, "NOTSET", false, false, 2},
    {"LeakyRelu", -0.5f, 22, 3, 1, "NOTSET", false, false, 1},
    {"Relu", 0, 22, 3, 1, "NOTSET", false, true, 1},
    {"Relu", 0, 21, 3, 1, "NOTSET", true, false, 1},
    {"Relu", 0, 21, 3, 1, "SAME_UPPER", false, false, 1},
    {"Relu", 0, 21, 3, 6, "NOTSET", false, false, 2}, /* depthwise */
    {"Sigmoid", 0, 40, 5, 6, "NOTSET", false, false, 2},
    {"LeakyRelu", 0.1f, 37, 3, 6, "NOTSET", false, false, 2},
};

static struct onnx pooled_conv(int variant)
{
    const struct pooling *p = &poolings[variant];
    static float w[12 * 6 * 25];
    net_fill(w, sizeof w / sizeof w[0], 11);
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(2, 6, p->size, p->size + 3));
    onnx_floats(&o, "w", DIMS(12, 6 / p->groups, p->kernel, p->kernel), w);
    onnx_node(&o, "Conv", "x w", "c");
    onnx_attribute_int(&o, "group", p->groups);
    onnx_node(&o, p->activation, "c", "a");
    if (p->slope != 0)
        onnx_attribute_float(&o, "alpha", p->slope);
    onnx_node(&o, "MaxPool", "a", "y");
    onnx_attribute_ints(&o, "kernel_shape", 2, p->wide ? (int64_t[]){3, 3} : (int64_t[]){2, 2});
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 2});
    onnx_attribute_text(&o, "auto_pad", p->auto_pad);
    onnx_attribute_int(&o, "ceil_mode", p->ceils);
    onnx_output(&o, "y", 1, SCALAR);
    return o;
}

static int fused_layers(const struct nn_plan *plan)
{
    int fused = 0;
    for (size_t i = 0; i < nn_plan_layer_count(plan); i++)
        fused += nn_plan_layer(plan, i)->fused_into >= 0;
    return fused;
}

/* Best kernels against the reference, which fuses nothing; says how many layers others do. */
static int compare_with_reference(struct onnx (*build)(int variant), int variant)
{
    struct net nets[2];
    for (int k = 0; k < 2; k++) {
        struct onnx o = build(variant);
        struct nn_plan_options options = {.kernels = k ? NN_KERNELS_REFERENCE : NN_KERNELS_BEST,
                                          .time_axis = -1};
        nets[k] = net_plan(net_load(&o), &options);
        const struct nn_tensor *x = nn_session_input(nets[k].session, 0);
        net_fill(x->data, (size_t)nn_shape_count(&x->shape), 12);
        net_run(&nets[k]);
    }
    const struct nn_tensor *y = nn_session_output(nets[1].session, 0);
    ck_assert(nn_shape_equal(&nn_session_output(nets[0].session, 0)->shape, &y->shape));
    for (int64_t j = 0; j < nn_shape_count(&y->shape); j++)
        if (!(fabsf(net_floats(&nets[0], 0)[j] - net_floats(&nets[1], 0)[j]) <= 1e-4f))
            ck_abort_msg("variant %d: [%d] is %.9g, not %.9g", variant, (int)j,
                         net_floats(&nets[0], 0)[j], net_floats(&nets[1], 0)[j]);
    int fused = fused_layers(nets[0].plan);
    net_free(&nets[0]);
    net_free(&nets[1]);
    return fused;
}

START_TEST(pooling_is_folded_into_conv_where_that_changes_nothing)
{
    for (int i = 0; i < (int)(sizeof poolings / sizeof poolings[0]); i++) {
        int fused = compare_with_reference(pooled_conv, i);
        ck_assert_msg(fused == poolings[i].fused, "variant %d: %d fused", i, fused);
    }
}
END_TEST

static const struct residual {
    int64_t kernel, groups, size;
    const char *sum, *after;
    int fused;
} residuals[] = {
    {3, 1, 30, "c x", "Relu", 2},      /* Winograd */
    {3, 1, 4, "x c", "Sigmoid", 2},    /* taps, by sums */
    {1, 1, 20, "c x", "Clip", 2},      /* taps, straight */
    {3, 8, 20, "c x", "HardSwish", 2}, /* depthwise */
    {1, 8, 20, "x c", "Relu", 2},      /* taps, by channel */
    {3, 1, 20, "c w2", "Relu", 0},     /* a constant is no residual */
    {3, 1, 20, "c c", "Relu", 0},
};

static struct onnx residual_net(int variant)
{
    const struct residual *r = &residuals[variant];
    static float w[8 * 8 * 9], constant[8];
    net_fill(w, sizeof w / sizeof w[0], 11);
    net_fill(constant, 8, 12);
    struct onnx o = onnx_start(14);
    onnx_input(&o, "x", 1, DIMS(2, 8, r->size, r->size + 1));
    onnx_floats(&o, "w", DIMS(8, 8 / r->groups, r->kernel, r->kernel), w);
    onnx_floats(&o, "w2", DIMS(8, 1, 1), constant);
    onnx_node(&o, "Conv", "x w", "c");
    onnx_attribute_int(&o, "group", r->groups);
    onnx_attribute_text(&o, "auto_pad", "SAME_UPPER");
    onnx_node(&o, "Add", r->sum, "s");
    onnx_node(&o, r->after, "s", "y");
    onnx_output(&o, "y", 1, SCALAR);
    return o;
}

START_TEST(a_residual_is_added_by_the_conv_before_it)
{
    for (int i = 0; i < (int)(sizeof residuals / sizeof residuals[0]); i++) {
        int fused = compare_with_reference(residual_net, i);
        ck_assert_msg(fused == residuals[i].fused, "variant %d: %d fused", i, fused);
    }
}
END_TEST

static struct onnx two_branches(int variant)
{
    static float w[8 * 8 * 9];
    net_fill(w, sizeof w / sizeof w[0], 11);
    struct onnx o = onnx_start(14);
    onnx_input(&o, "x", 1, DIMS(1, 8, 18, 18));
    onnx_floats(&o, "w", DIMS(8, 8, 3, 3), w);
    onnx_node(&o, "Conv", "x w", "a");
    onnx_node(&o, "Conv", "x w", "b");
    onnx_node(&o, "Add", variant ? "b a" : "a b", "s");
    onnx_node(&o, "MaxPool", "s", "y");
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){2, 2});
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 2});
    onnx_output(&o, "y", 1, SCALAR);
    return o;
}

START_TEST(of_two_convs_the_later_adds_what_the_earlier_made)
{
    for (int variant = 0; variant < 2; variant++)
        ck_assert_int_eq(compare_with_reference(two_branches, variant), 1);
}
END_TEST

START_TEST(a_pooled_convolution_still_runs_once_per_frame)
{
    static float w[4 * 3 * 9];
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(6, 3, 20, 20));
    onnx_floats(&o, "w", DIMS(4, 3, 3, 3), w);
    onnx_node(&o, "Conv", "x w", "c");
    onnx_node(&o, "MaxPool", "c", "y");
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){2, 2});
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 2});
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_plan(net_load(&o), &(struct nn_plan_options){.time_axis = 0});
    struct nn_plan_info info;
    nn_plan_describe(net.plan, &info);
    ck_assert_int_eq(info.frame_nodes, 1);
    ck_assert_int_eq(info.window_nodes, 0);
    net_expect_shape(&net, 0, DIMS(6, 4, 9, 9));
    net_free(&net);
}
END_TEST

START_TEST(the_best_kernels_repeat_their_bits_in_a_batch_and_alone)
{
    enum { IMAGE = 5 * 23 * 23, OUT = 12 * 12 * 12 };
    static float w[12 * 5 * 9], x[3 * IMAGE], first[OUT];
    net_fill(w, 12 * 5 * 9, 6);
    net_fill(x, IMAGE, 7);
    memcpy(x + IMAGE, x, IMAGE * sizeof *x);
    memcpy(x + 2 * IMAGE, x, IMAGE * sizeof *x);
    for (int64_t batch = 1; batch <= 3; batch += 2) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, DIMS(batch, 5, 23, 23));
        onnx_floats(&o, "w", DIMS(12, 5, 3, 3), w);
        onnx_node(&o, "Conv", "x w", "y");
        onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 2});
        onnx_attribute_ints(&o, "pads", 4, (int64_t[]){1, 1, 1, 1});
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, x);
        net_run(&net);
        if (batch == 1)
            memcpy(first, net_floats(&net, 0), sizeof first);
        for (int64_t i = 0; i < batch; i++)
            ck_assert_mem_eq(net_floats(&net, 0) + i * OUT, first, sizeof first);
        net_free(&net);
    }
}
END_TEST

static struct onnx plain(struct onnx_dims x, struct onnx_dims w)
{
    static const float zeros[1024];
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, x);
    onnx_floats(&o, "w", w, zeros);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, "Conv", "x w", "y");
    return o;
}

START_TEST(one_channel_that_makes_one_is_depthwise_where_threads_would_not_share_it)
{
    static const struct {
        int64_t size, kernel, out;
        bool depthwise;
    } cases[] = {{40, 3, 1, true},   {40, 5, 1, true},  {237, 3, 1, true},
                 {238, 3, 1, false}, {40, 3, 2, false}, {40, 7, 1, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct onnx o = plain(DIMS(1, 1, cases[i].size, cases[i].size),
                              DIMS(cases[i].out, 1, cases[i].kernel, cases[i].kernel));
        struct net net = net_make(&o);
        const char *method = nn_plan_layer(net.plan, 0)->method;
        ck_assert_msg(!nn_kernels_best()->depthwise ||
                          (strcmp(method, "depthwise") == 0) == cases[i].depthwise,
                      "case %d: %s", (int)i, method);
        net_free(&net);
    }
}
END_TEST

START_TEST(what_does_not_fit_is_refused_by_name)
{
    struct onnx o = plain(DIMS(1, 3, 4, 4), DIMS(2, 3, 5, 3));
    net_expect_refused(&o, -EINVAL, "a window of 5 does not fit into 4");
    o = plain(DIMS(1, 4, 4, 4), DIMS(2, 3, 3, 3));
    net_expect_refused(&o, -EINVAL, "4 input channels");
    o = plain(DIMS(1, 4, 4, 4), DIMS(3, 2, 3, 3));
    onnx_attribute_int(&o, "group", 2);
    net_expect_refused(&o, -EINVAL, "group 2");
    o = plain(DIMS(1, 4, 4, 4), DIMS(3, 4, 3, 3));
    onnx_attribute_int(&o, "group", 0);
    net_expect_refused(&o, -EINVAL, "group 0");
    o = plain(DIMS(1, 3, 4, 4), DIMS(2, 3, 3, 3));
    onnx_attribute_ints(&o, "pads", 4, (int64_t[]){0, 0, -1, 0});
    net_expect_refused(&o, -EINVAL, "pads has the value -1");
    o = plain(DIMS(1, 3, 4, 4), DIMS(2, 3, 3, 3));
    onnx_attribute_ints(&o, "pads", 2, (int64_t[]){1, 1});
    net_expect_refused(&o, -EINVAL, "pads has 2 values");
    o = plain(DIMS(1, 3, 4, 4), DIMS(2, 3, 3, 3));
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){0, 1});
    net_expect_refused(&o, -EINVAL, "strides has the value 0");
    o = plain(DIMS(1, 3, 4, 4), DIMS(2, 3, 3, 3));
    onnx_attribute_ints(&o, "dilations", 3, (int64_t[]){1, 1, 1});
    net_expect_refused(&o, -EINVAL, "dilations has 3 values");
    o = plain(DIMS(1, 3, 4, 4), DIMS(2, 3, 3, 3));
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){3, 1});
    net_expect_refused(&o, -EINVAL, "kernel_shape");
    o = plain(DIMS(1, 3, 4, 4), DIMS(2, 3, 3, 3));
    onnx_attribute_text(&o, "auto_pad", "SOME");
    net_expect_refused(&o, -EINVAL, "auto_pad is 'SOME'");
    o = plain(DIMS(1, 1, 2, 2, 2, 2), DIMS(1, 1, 1, 1, 1, 1));
    net_expect_refused(&o, -ENOTSUP, "4 spatial dimensions");
    o = plain(DIMS(1, 3, 4), DIMS(2, 3, 3, 3));
    net_expect_refused(&o, -EINVAL, "rank 3");
}
END_TEST

START_TEST(padding_beyond_all_memory_is_refused_before_it_is_asked_for)
{
    struct onnx o = plain(DIMS(1, 3, 4, 4), DIMS(2, 3, 3, 3));
    onnx_attribute_ints(&o, "pads", 4, (int64_t[]){1 << 20, 1 << 20, 1 << 20, 1 << 20});
    net_expect_refused(&o, -E2BIG, "too large");
    o = plain(DIMS(1, 3, 4, 4), DIMS(2, 3, 3, 3));
    onnx_attribute_ints(&o, "pads", 4, (int64_t[]){1 << 13, 1 << 13, 1 << 13, 1 << 13});
    net_expect_refused(&o, -E2BIG, "");
}
END_TEST

START_TEST(convolution_that_keeps_time_apart_runs_once_per_frame)
{
    static float w[2 * 3 * 3 * 9];
    for (int64_t depth = 1; depth <= 3; depth += 2) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, DIMS(1, 3, 8, 6, 6));
        onnx_floats(&o, "w", DIMS(2, 3, depth, 3, 3), w);
        onnx_node(&o, "Conv", "x w", "y");
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_plan(net_load(&o), &(struct nn_plan_options){.time_axis = 2});
        struct nn_plan_info info;
        nn_plan_describe(net.plan, &info);
        ck_assert_int_eq(info.frame_nodes, depth == 1);
        ck_assert_int_eq(info.window_nodes, depth != 1);
        net_free(&net);
    }
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("conv");
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, random_convolutions_equal_their_definition, 0, 8);
    tcase_add_test(all, sizes_beyond_every_block_of_the_loops_are_right);
    tcase_add_test(all, depthwise_convolutions_of_every_size_are_right);
    tcase_add_test(all, lines_of_every_length_are_right);
    tcase_add_test(all, a_following_activation_is_applied_once);
    tcase_add_test(all, pooling_is_folded_into_conv_where_that_changes_nothing);
    tcase_add_test(all, a_residual_is_added_by_the_conv_before_it);
    tcase_add_test(all, of_two_convs_the_later_adds_what_the_earlier_made);
    tcase_add_test(all, a_pooled_convolution_still_runs_once_per_frame);
    tcase_add_test(all, the_best_kernels_repeat_their_bits_in_a_batch_and_alone);
    tcase_add_test(all,
                   one_channel_that_makes_one_is_depthwise_where_threads_would_not_share_it);
    tcase_add_test(all, what_does_not_fit_is_refused_by_name);
    tcase_add_test(all, padding_beyond_all_memory_is_refused_before_it_is_asked_for);
    tcase_add_test(all, convolution_that_keeps_time_apart_runs_once_per_frame);
    return suite_run("nn/conv", &all, 1);
}
