/* BatchNormalization and Softmax against their definitions in double precision. */
#include <errno.h>
#include <math.h>

#include "tests/nn/net.h"

static void check(const float *y, const double *want, size_t count, double tolerance)
{
    for (size_t i = 0; i < count; i++) {
        if (!(fabs(y[i] - want[i]) <= tolerance))
            ck_abort_msg("[%zu] of %zu: %.9g, not %.9g", i, count, y[i], want[i]);
    }
}

enum { SCALE, BIAS, MEAN, VAR, MOST = 3 * 4 * 35 };
static float parameters[4][MOST], x[MOST];

static void fill(void)
{
    net_fill(x, MOST, 1);
    for (int p = 0; p < 4; p++)
        net_fill(parameters[p], MOST, (uint32_t)p + 2);
    for (int i = 0; i < MOST; i++)
        parameters[VAR][i] = fabsf(parameters[VAR][i]) + 0.1f;
}

/* `count` parameters, constant or fed. */
static struct onnx norm(int64_t opset, struct onnx_dims dims, struct onnx_dims p_dims,
                        bool constant)
{
    static const char *const names[] = {"scale", "bias", "mean", "var"};
    struct onnx o = onnx_start(opset);
    onnx_input(&o, "x", 1, dims);
    for (int p = 0; p < 4; p++) {
        if (constant)
            onnx_floats(&o, names[p], p_dims, parameters[p]);
        else
            onnx_input(&o, names[p], 1, p_dims);
    }
    onnx_node(&o, "BatchNormalization", "x scale bias mean var", "y");
    onnx_attribute_float(&o, "epsilon", 0.01f);
    return o;
}

/* Finishes the model with "y" as its output. */
static void check_norm(struct onnx *o, struct onnx_dims dims, int64_t channels, int64_t inner,
                       bool constant)
{
    onnx_output(o, "y", 1, SCALAR);
    struct net net = net_make(o);
    net_set(&net, 0, x);
    for (size_t p = 0; !constant && p < 4; p++)
        net_set(&net, p + 1, parameters[p]);
    net_run(&net);
    size_t count = onnx_dims_count(dims);
    for (size_t i = 0; i < count; i++) {
        int64_t c = (int64_t)i / inner % channels;
        double want = (x[i] - (double)parameters[MEAN][c]) /
                          sqrt((double)parameters[VAR][c] + 0.01f) * parameters[SCALE][c] +
                      parameters[BIAS][c];
        check(net_floats(&net, 0) + i, &want, 1, 2e-6);
    }
    net_free(&net);
}

START_TEST(batch_normalization_treats_each_channel_by_its_own_numbers)
{
    fill();
    for (int constant = 0; constant <= 1; constant++) {
        struct onnx o = norm(15, DIMS(3, 4, 5, 7), DIMS(4), constant);
        check_norm(&o, DIMS(3, 4, 5, 7), 4, 35, constant);
        o = norm(9, DIMS(3, 35), DIMS(35), constant);
        check_norm(&o, DIMS(3, 35), 35, 1, constant);
    }
}
END_TEST

START_TEST(old_batch_normalization_may_treat_each_value_of_a_channel)
{
    fill();
    struct onnx o = norm(7, DIMS(3, 4, 5), DIMS(4, 5), true);
    onnx_attribute_int(&o, "spatial", 0);
    check_norm(&o, DIMS(3, 4, 5), 20, 1, true);
    o = norm(6, DIMS(3, 4, 5), DIMS(4), true);
    onnx_attribute_int(&o, "is_test", 1);
    check_norm(&o, DIMS(3, 4, 5), 4, 5, true);
}
END_TEST

START_TEST(an_activation_behind_batch_normalization_is_applied_once)
{
    fill();
    struct net nets[2];
    /* Fused, and kept apart by an output in between. */
    for (int apart = 0; apart < 2; apart++) {
        struct onnx o = norm(15, DIMS(1, 4, 5), DIMS(4), true);
        onnx_node(&o, "LeakyRelu", "y", "z");
        onnx_attribute_float(&o, "alpha", 0.5f);
        onnx_output(&o, "z", 1, SCALAR);
        if (apart)
            onnx_output(&o, "y", 1, SCALAR);
        nets[apart] = net_make(&o);
        net_set(&nets[apart], 0, x);
        net_run(&nets[apart]);
    }
    bool below = false;
    for (int i = 0; i < 20; i++) {
        float y = net_floats(&nets[1], 1)[i];
        below |= y < 0;
        ck_assert_float_eq(net_floats(&nets[0], 0)[i], y < 0 ? 0.5f * y : y);
    }
    ck_assert(below);
    net_free(&nets[0]);
    net_free(&nets[1]);
}
END_TEST

START_TEST(training_is_refused_by_name)
{
    struct onnx o = norm(15, DIMS(3, 4, 5), DIMS(4), true);
    onnx_attribute_int(&o, "training_mode", 1);
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -ENOTSUP, "training_mode");
    o = norm(6, DIMS(3, 4, 5), DIMS(4), true);
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -ENOTSUP, "is_test");
    o = norm(15, DIMS(3, 4, 5), DIMS(5), true);
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "scale must have 4 values");
}
END_TEST

static void check_softmax(int64_t opset, struct onnx_dims dims, int64_t axis)
{
    struct onnx o = onnx_start(opset);
    onnx_input(&o, "x", 1, dims);
    onnx_node(&o, "Softmax", "x", "y");
    if (axis != INT64_MAX)
        onnx_attribute_int(&o, "axis", axis);
    else
        axis = opset < 13 ? 1 : -1;
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, x);
    net_run(&net);
    if (axis < 0)
        axis += dims.rank;
    int64_t outer = 1, count = 1, inner = 1;
    for (int i = 0; i < dims.rank; i++) {
        if (i < axis)
            outer *= dims.dim[i];
        else if (i == axis || opset < 13)
            count *= dims.dim[i];
        else
            inner *= dims.dim[i];
    }
    for (int64_t i = 0; i < outer * inner; i++) {
        int64_t first = i / inner * count * inner + i % inner;
        double sum = 0;
        for (int64_t c = 0; c < count; c++)
            sum += exp(x[first + c * inner]);
        for (int64_t c = 0; c < count; c++) {
            double want = exp(x[first + c * inner]) / sum;
            check(net_floats(&net, 0) + first + c * inner, &want, 1, 1e-6);
        }
    }
    net_free(&net);
}

START_TEST(softmax_sums_over_its_axis_or_before_opset_13_over_all_behind_it)
{
    fill();
    for (int64_t opset = 12; opset <= 13; opset++) {
        check_softmax(opset, DIMS(3, 4, 5, 7), INT64_MAX);
        for (int64_t axis = -4; axis < 4; axis++)
            check_softmax(opset, DIMS(3, 4, 5, 7), axis);
        check_softmax(opset, DIMS(35, 12), 1);
    }
}
END_TEST

START_TEST(softmax_outside_the_tensor_is_refused)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(3, 4));
    onnx_node(&o, "Softmax", "x", "y");
    onnx_attribute_int(&o, "axis", 2);
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "axis 2");
}
END_TEST

START_TEST(softmax_runs_per_frame_when_it_does_not_sum_over_time)
{
    const struct {
        int64_t opset, axis;
        int time_axis;
        bool per_frame;
    } cases[] = {{13, 2, 1, true}, {13, 1, 1, false}, {13, 1, 2, true},
                 {12, 2, 1, true}, {12, 1, 1, false}, {12, 1, 2, false}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct onnx o = onnx_start(cases[c].opset);
        onnx_input(&o, "x", 1, DIMS(1, 8, 6));
        onnx_node(&o, "Softmax", "x", "y");
        onnx_attribute_int(&o, "axis", cases[c].axis);
        onnx_output(&o, "y", 1, SCALAR);
        struct net net =
            net_plan(net_load(&o), &(struct nn_plan_options){.time_axis = cases[c].time_axis});
        struct nn_plan_info info;
        nn_plan_describe(net.plan, &info);
        ck_assert_msg(info.frame_nodes == cases[c].per_frame, "case %zu", c);
        net_free(&net);
    }
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("norm");
    tcase_add_test(all, batch_normalization_treats_each_channel_by_its_own_numbers);
    tcase_add_test(all, old_batch_normalization_may_treat_each_value_of_a_channel);
    tcase_add_test(all, an_activation_behind_batch_normalization_is_applied_once);
    tcase_add_test(all, training_is_refused_by_name);
    tcase_add_test(all, softmax_sums_over_its_axis_or_before_opset_13_over_all_behind_it);
    tcase_add_test(all, softmax_outside_the_tensor_is_refused);
    tcase_add_test(all, softmax_runs_per_frame_when_it_does_not_sum_over_time);
    return suite_run("nn/norm", &all, 1);
}
