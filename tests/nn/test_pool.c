/* MaxPool and AveragePool against their definitions; GlobalAveragePool. */
#include <errno.h>
#include <math.h>

#include "tests/nn/windows.h"

struct pool {
    struct windows w;
    int64_t batch, channels;
    bool count_padding, columns;
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
                         .batch = windows_draw(&seed, 1, 2),
                         .channels = windows_draw(&seed, 1, 3),
                         .columns = windows_draw(&seed, 0, 1)};
        check_max(&p, n % 4 == 0 ? NN_KERNELS_REFERENCE : NN_KERNELS_BEST, n % 2);
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
                         .batch = windows_draw(&seed, 1, 2),
                         .channels = windows_draw(&seed, 1, 3),
                         .count_padding = windows_draw(&seed, 0, 1)};
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

START_TEST(global_average_pooling_gives_each_channel_its_mean)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(2, 3, 7, 11));
    onnx_node(&o, "GlobalAveragePool", "x", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    float *x = nn_session_input(net.session, 0)->data, want[6];
    net_fill(x, 6 * 77, 1);
    for (int c = 0; c < 6; c++) {
        double sum = 0;
        for (int i = 0; i < 77; i++)
            sum += x[c * 77 + i];
        want[c] = (float)(sum / 77);
    }
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 3, 1, 1), want);
    net_free(&net);
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
    tcase_add_test(all, the_first_of_equal_maxima_is_the_one_indexed);
    tcase_add_test(all, global_average_pooling_gives_each_channel_its_mean);
    tcase_add_test(all, what_does_not_fit_is_refused_by_name);
    tcase_add_test(
        all, pooling_runs_per_frame_unless_windows_reach_over_time_or_indices_count_frames);
    return suite_run("nn/pool", &all, 1);
}
