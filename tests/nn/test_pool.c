/* MaxPool, AveragePool and LpPool against their definitions, and the global ones. */
#include <errno.h>
#include <math.h>

#include "tests/nn/windows.h"

struct pool {
    struct windows w;
    int64_t batch, channels;
    bool count_padding, columns;
    int p; /* LpPool */
};

static struct net make(const struct pool *p, const char *op, const char *outputs,
                       enum nn_kernel_choice kernels)
{
    struct onnx o = onnx_start(19);
    onnx_input(&o, "x", 1, windows_dims(p->batch, p->channels, p->w.axes, p->w.in));
    onnx_node(&o, op, "x", outputs);
    windows_attributes(&o, &p->w);
    if (p->count_padding)
        onnx_attribute_int(&o, "count_include_pad", 1);
    if (p->columns)
        onnx_attribute_int(&o, "storage_order", 1);
    if (p->p)
        onnx_attribute_int(&o, "p", p->p);
    onnx_output(&o, "y", 1, SCALAR);
    if (strchr(outputs, ' '))
        onnx_output(&o, "i", 7, SCALAR);
    struct net net =
        net_plan(net_load(&o), &(struct nn_plan_options){.kernels = kernels, .time_axis = -1});
    net_expect_shape(&net, 0, windows_dims(p->batch, p->channels, p->w.axes, p->w.out));
    return net;
}

/* Where a place of one channel is found when the first dimension is the fastest. */
static int64_t by_columns(const struct windows *w, int64_t index)
{
    int64_t at[3], result = 0;
    for (int i = w->axes - 1; i >= 0; i--) {
        at[i] = index % w->in[i];
        index /= w->in[i];
    }
    for (int i = w->axes - 1; i >= 0; i--)
        result = result * w->in[i] + at[i];
    return result;
}

static void check_max(const struct pool *p, enum nn_kernel_choice kernels, bool indices)
{
    struct net net = make(p, "MaxPool", indices ? "y i" : "y", kernels);
    const struct nn_tensor *x = nn_session_input(net.session, 0);
    net_fill(x->data, (size_t)nn_shape_count(&x->shape), 1);
    net_run(&net);
    const float *in = x->data, *y = net_floats(&net, 0);
    const int64_t *found = indices ? nn_session_output(net.session, 1)->data : NULL;
    int64_t size = windows_count(&p->w, p->w.in), outputs = windows_count(&p->w, p->w.out);
    for (int64_t i = 0; i < p->batch * p->channels * outputs; i++) {
        int64_t channel = i / outputs, best = -1;
        for (int64_t t = 0; t < windows_count(&p->w, p->w.kernel); t++) {
            bool declared;
            int64_t from = windows_tapped(&p->w, i % outputs, t, &declared);
            if (from >= 0 &&
                (best < 0 || in[channel * size + from] > in[channel * size + best]))
                best = from;
        }
        float want = best < 0 ? -INFINITY : in[channel * size + best];
        if (y[i] != want)
            ck_abort_msg("[%d]: %g, not %g", (int)i, y[i], want);
        if (indices && best >= 0)
            ck_assert_int_eq(found[i],
                             channel * size + (p->columns ? by_columns(&p->w, best) : best));
    }
    net_free(&net);
}

START_TEST(random_max_pooling_equals_its_definition)
{
    uint32_t seed = (uint32_t)_i + 1;
    for (int n = 0; n < 80; n++) {
        struct pool p = {.w = windows_random(&seed, 40, true),
                         .batch = net_pick(&seed, 1, 2),
                         .channels = net_pick(&seed, 1, 3),
                         .columns = net_pick(&seed, 0, 1)};
        check_max(&p, n % 4 == 0 ? NN_KERNELS_REFERENCE : NN_KERNELS_BEST, n % 2);
    }
}
END_TEST

START_TEST(windows_that_move_by_two_are_right_at_every_edge)
{
    for (int64_t size = 1; size <= 70; size++)
        for (int64_t kernel = 2; kernel <= 3; kernel++)
            for (int64_t pad = 0; pad < 9; pad++) {
                struct pool p = {
                    .w = {.axes = 2, .auto_pad = "NOTSET"}, .batch = 1, .channels = 2};
                for (int i = 0; i < 2; i++) {
                    p.w.in[i] = i ? size : 1 + size % 7;
                    p.w.kernel[i] = kernel;
                    p.w.stride[i] = 2;
                    p.w.dilation[i] = 1;
                    p.w.before[i] = pad / 3;
                    p.w.after[i] = pad % 3;
                    windows_measure(&p.w, i);
                }
                if (p.w.in[0] + pad / 3 + pad % 3 >= kernel &&
                    p.w.in[1] + pad / 3 + pad % 3 >= kernel)
                    check_max(&p, NN_KERNELS_BEST, false);
            }
}
END_TEST

START_TEST(the_first_of_equal_maxima_is_the_one_indexed)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, 1, 2, 4));
    onnx_node(&o, "MaxPool", "x", "y i");
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){2, 2});
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 2});
    onnx_output(&o, "y", 1, SCALAR);
    onnx_output(&o, "i", 7, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){3, 3, 1, 2, 3, 0, 2, 2});
    net_run(&net);
    const int64_t *found = nn_session_output(net.session, 1)->data;
    ck_assert_int_eq(found[0], 0);
    ck_assert_int_eq(found[1], 3);
    net_free(&net);
}
END_TEST

START_TEST(random_average_pooling_equals_its_definition)
{
    uint32_t seed = (uint32_t)_i + 1;
    for (int n = 0; n < 80; n++) {
        struct pool p = {.w = windows_random(&seed, 40, true),
                         .batch = net_pick(&seed, 1, 2),
                         .channels = net_pick(&seed, 1, 3),
                         .count_padding = net_pick(&seed, 0, 1)};
        struct net net =
            make(&p, "AveragePool", "y", n % 4 == 0 ? NN_KERNELS_REFERENCE : NN_KERNELS_BEST);
        const struct nn_tensor *x = nn_session_input(net.session, 0);
        net_fill(x->data, (size_t)nn_shape_count(&x->shape), 1);
        net_run(&net);
        const float *in = x->data, *y = net_floats(&net, 0);
        int64_t size = windows_count(&p.w, p.w.in), outputs = windows_count(&p.w, p.w.out);
        for (int64_t i = 0; i < p.batch * p.channels * outputs; i++) {
            double sum = 0, count = 0;
            for (int64_t t = 0; t < windows_count(&p.w, p.w.kernel); t++) {
                bool declared;
                int64_t from = windows_tapped(&p.w, i % outputs, t, &declared);
                if (from >= 0)
                    sum += in[i / outputs * size + from];
                count += from >= 0 || (p.count_padding && declared);
            }
            double want = count > 0 ? sum / count : 0;
            if (!(fabs(y[i] - want) <= 1e-6))
                ck_abort_msg("[%d]: %.9g, not %.9g", (int)i, y[i], want);
        }
        net_free(&net);
    }
}
END_TEST

START_TEST(random_lp_pooling_equals_its_definition)
{
    uint32_t seed = (uint32_t)_i + 1;
    for (int n = 0; n < 40; n++) {
        struct pool p = {.w = windows_random(&seed, 30, true),
                         .batch = net_pick(&seed, 1, 2),
                         .channels = net_pick(&seed, 1, 3),
                         .p = (int)net_pick(&seed, 1, 4)};
        struct net net =
            make(&p, "LpPool", "y", n % 4 == 0 ? NN_KERNELS_REFERENCE : NN_KERNELS_BEST);
        const struct nn_tensor *x = nn_session_input(net.session, 0);
        net_fill(x->data, (size_t)nn_shape_count(&x->shape), 1);
        net_run(&net);
        const float *in = x->data, *y = net_floats(&net, 0);
        int64_t size = windows_count(&p.w, p.w.in), outputs = windows_count(&p.w, p.w.out);
        for (int64_t i = 0; i < p.batch * p.channels * outputs; i++) {
            double sum = 0;
            for (int64_t t = 0; t < windows_count(&p.w, p.w.kernel); t++) {
                bool declared;
                int64_t from = windows_tapped(&p.w, i % outputs, t, &declared);
                if (from >= 0)
                    sum += pow(fabs(in[i / outputs * size + from]), p.p);
            }
            double want = pow(sum, 1.0 / p.p);
            if (!(fabs(y[i] - want) <= 2e-6 * (1 + want)))
                ck_abort_msg("p %d [%d]: %.9g, not %.9g", p.p, (int)i, y[i], want);
        }
        net_free(&net);
    }
}
END_TEST

/* Bytes have the maxima of the same numbers as floats. */
START_TEST(bytes_are_pooled_like_floats)
{
    uint32_t seed = 3;
    for (int n = 0; n < 20; n++) {
        struct windows w = windows_random(&seed, 12, true);
        struct onnx_dims dims = windows_dims(2, 3, w.axes, w.in);
        for (int type = 2; type <= 3; type++) {
            struct net nets[2];
            for (int as_bytes = 0; as_bytes < 2; as_bytes++) {
                struct onnx o = onnx_start(12);
                onnx_input(&o, "x", as_bytes ? type : 1, dims);
                onnx_node(&o, "MaxPool", "x", "y i");
                windows_attributes(&o, &w);
                onnx_output(&o, "y", as_bytes ? type : 1, SCALAR);
                onnx_output(&o, "i", 7, SCALAR);
                nets[as_bytes] = net_make(&o);
            }
            float *x = nn_session_input(nets[0].session, 0)->data;
            uint8_t *bytes = nn_session_input(nets[1].session, 0)->data;
            for (size_t i = 0; i < onnx_dims_count(dims); i++) {
                bytes[i] = (uint8_t)net_pick(&seed, 0, 255);
                x[i] = type == 2 ? bytes[i] : (int8_t)bytes[i];
            }
            net_run(&nets[0]);
            net_run(&nets[1]);
            const struct nn_tensor *y = nn_session_output(nets[1].session, 0);
            const int64_t *floats_at = nn_session_output(nets[0].session, 1)->data,
                          *bytes_at = nn_session_output(nets[1].session, 1)->data;
            for (int64_t i = 0; i < nn_shape_count(&y->shape); i++) {
                ck_assert_int_eq(bytes_at[i], floats_at[i]);
                float got = type == 2 ? ((uint8_t *)y->data)[i] : ((int8_t *)y->data)[i];
                if (floats_at[i] >= 0)
                    ck_assert_float_eq(got, net_floats(&nets[0], 0)[i]);
            }
            net_free(&nets[0]);
            net_free(&nets[1]);
        }
    }
}
END_TEST

START_TEST(global_pooling_makes_one_number_of_each_channel)
{
    static const char *const ops[] = {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool",
                                      "GlobalLpPool"};
    for (int64_t width = 1; width <= 31; width += 10)
        for (int which = 0; which < 4; which++) {
            struct onnx o = onnx_start(13);
            onnx_input(&o, "x", 1, DIMS(2, 3, 7, width));
            onnx_node(&o, ops[which], "x", "y");
            if (which == 3)
                onnx_attribute_int(&o, "p", 3);
            onnx_output(&o, "y", 1, SCALAR);
            struct net net = net_make(&o);
            const int64_t size = 7 * width;
            float *x = nn_session_input(net.session, 0)->data, want[6];
            net_fill(x, (size_t)(6 * size), 1);
            for (int64_t c = 0; c < 6; c++) {
                double sum = 0, max = -INFINITY, powers = 0;
                for (int64_t i = c * size; i < (c + 1) * size; i++) {
                    sum += x[i];
                    max = fmax(max, x[i]);
                    powers += pow(fabs(x[i]), which == 3 ? 3 : 2);
                }
                want[c] = (float)(which == 0   ? sum / (double)size
                                  : which == 1 ? max
                                               : pow(powers, which == 3 ? 1 / 3.0 : 0.5));
            }
            net_run(&net);
            net_expect_floats(&net, 0, DIMS(2, 3, 1, 1), want);
            net_free(&net);
        }
}
END_TEST

static struct onnx plain(int64_t opset, const char *op, struct onnx_dims x)
{
    struct onnx o = onnx_start(opset);
    onnx_input(&o, "x", 1, x);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, op, "x", "y");
    return o;
}

START_TEST(what_does_not_fit_is_refused_by_name)
{
    struct onnx o = plain(13, "MaxPool", DIMS(1, 3, 4, 4));
    net_expect_refused(&o, -EINVAL, "kernel_shape is missing");
    o = plain(13, "MaxPool", DIMS(1, 3, 4, 4));
    onnx_attribute_ints(&o, "kernel_shape", 3, (int64_t[]){2, 2, 2});
    net_expect_refused(&o, -EINVAL, "a kernel of 3 dimensions on an input of rank 4");
    o = plain(13, "AveragePool", DIMS(1, 3, 4, 4));
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){2, 5});
    net_expect_refused(&o, -EINVAL, "a window of 5 does not fit into 4");
    o = plain(13, "AveragePool", DIMS(1, 3, 4, 4));
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){2, 0});
    net_expect_refused(&o, -EINVAL, "kernel_shape has the value 0");
    o = plain(13, "AveragePool", DIMS(1, 3, 4, 4));
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){2, 2});
    onnx_attribute_ints(&o, "dilations", 2, (int64_t[]){2, 2});
    net_expect_refused(&o, -EINVAL, "no attribute 'dilations'"); /* which came in opset 19 */
    o = plain(13, "GlobalAveragePool", DIMS(1, 3));
    net_expect_refused(&o, -EINVAL, "rank 2");
    o = plain(13, "GlobalMaxPool", DIMS(1, 3, 0, 2));
    net_expect_refused(&o, -EINVAL, "it would pool nothing");
    o = plain(13, "GlobalLpPool", DIMS(1, 3, 2));
    onnx_attribute_int(&o, "p", 0);
    net_expect_refused(&o, -EINVAL, "p is 0");
    o = plain(13, "LpPool", DIMS(1, 3, 4, 4));
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){2, 2});
    onnx_attribute_int(&o, "p", -1);
    net_expect_refused(&o, -EINVAL, "p is -1");
}
END_TEST

START_TEST(pooling_runs_per_frame_unless_windows_reach_over_time_or_indices_count_frames)
{
    static const struct {
        int64_t depth;
        bool indices;
        int time_axis, frame_nodes;
    } cases[] = {{1, false, 2, 1}, {2, false, 2, 0}, {1, true, 2, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, DIMS(1, 3, 8, 6, 6));
        onnx_node(&o, "MaxPool", "x", cases[i].indices ? "y i" : "y");
        onnx_attribute_ints(&o, "kernel_shape", 3, (int64_t[]){cases[i].depth, 2, 2});
        onnx_output(&o, "y", 1, SCALAR);
        if (cases[i].indices)
            onnx_output(&o, "i", 7, SCALAR);
        struct net net =
            net_plan(net_load(&o), &(struct nn_plan_options){.time_axis = cases[i].time_axis});
        struct nn_plan_info info;
        nn_plan_describe(net.plan, &info);
        ck_assert_int_eq(info.frame_nodes, cases[i].frame_nodes);
        net_free(&net);
    }
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("pool");
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, random_max_pooling_equals_its_definition, 0, 4);
    tcase_add_loop_test(all, random_average_pooling_equals_its_definition, 0, 4);
    tcase_add_test(all, windows_that_move_by_two_are_right_at_every_edge);
    tcase_add_test(all, the_first_of_equal_maxima_is_the_one_indexed);
    tcase_add_loop_test(all, random_lp_pooling_equals_its_definition, 0, 4);
    tcase_add_test(all, bytes_are_pooled_like_floats);
    tcase_add_test(all, global_pooling_makes_one_number_of_each_channel);
    tcase_add_test(all, what_does_not_fit_is_refused_by_name);
    tcase_add_test(
        all, pooling_runs_per_frame_unless_windows_reach_over_time_or_indices_count_frames);
    return suite_run("nn/pool", &all, 1);
}
