/* Normalizations, Softmax and its kin against their definitions in double precision. */
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

/* Its parameters constant or fed. */
static struct onnx norm(int64_t opset, struct onnx_dims dims, struct onnx_dims p_dims,
                        bool constant, const char *outputs)
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
    onnx_node(&o, "BatchNormalization", "x scale bias mean var", outputs);
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
        struct onnx o = norm(15, DIMS(3, 4, 5, 7), DIMS(4), constant, "y");
        check_norm(&o, DIMS(3, 4, 5, 7), 4, 35, constant);
        o = norm(9, DIMS(3, 35), DIMS(35), constant, "y");
        check_norm(&o, DIMS(3, 35), 35, 1, constant);
    }
}
END_TEST

START_TEST(old_batch_normalization_may_treat_each_value_of_a_channel)
{
    fill();
    struct onnx o = norm(7, DIMS(3, 4, 5), DIMS(4, 5), true, "y");
    onnx_attribute_int(&o, "spatial", 0);
    check_norm(&o, DIMS(3, 4, 5), 20, 1, true);
    o = norm(6, DIMS(3, 4, 5), DIMS(4), true, "y");
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
        struct onnx o = norm(15, DIMS(1, 4, 5), DIMS(4), true, "y");
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

/* Mean and variance of a channel of x (3, 4, 5). */
static void measure_channel(int channel, double *ret_mean, double *ret_variance)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < 60; i++)
        sum += i / 5 % 4 == channel ? x[i] : 0;
    for (int i = 0; i < 60; i++)
        squares += i / 5 % 4 == channel ? (x[i] - sum / 15) * (x[i] - sum / 15) : 0;
    *ret_mean = sum / 15;
    *ret_variance = squares / 15;
}

START_TEST(batch_normalization_may_go_by_the_batch_itself)
{
    fill();
    bool running = _i & 1, constant = _i & 2;
    struct onnx o = norm(15, DIMS(3, 4, 5), DIMS(4), constant, running ? "y m v" : "y");
    onnx_attribute_int(&o, "training_mode", 1);
    onnx_attribute_float(&o, "momentum", 0.75f);
    onnx_output(&o, "y", 1, SCALAR);
    if (running) {
        onnx_output(&o, "m", 1, SCALAR);
        onnx_output(&o, "v", 1, SCALAR);
    }
    struct net net = net_make(&o);
    net_set(&net, 0, x);
    for (size_t p = 0; !constant && p < 4; p++)
        net_set(&net, p + 1, parameters[p]);
    net_run(&net);
    for (int c = 0; c < 4; c++) {
        double mean, variance;
        measure_channel(c, &mean, &variance);
        for (int i = 0; i < 60; i++)
            if (i / 5 % 4 == c)
                ck_assert_double_eq_tol(net_floats(&net, 0)[i],
                                        (x[i] - mean) / sqrt(variance + 0.01) *
                                                parameters[SCALE][c] +
                                            parameters[BIAS][c],
                                        1e-5);
        if (!running)
            continue;
        ck_assert_double_eq_tol(net_floats(&net, 1)[c],
                                0.75 * parameters[MEAN][c] + 0.25 * mean, 1e-6);
        ck_assert_double_eq_tol(net_floats(&net, 2)[c],
                                0.75 * parameters[VAR][c] + 0.25 * variance, 1e-6);
    }
    net_free(&net);
}
END_TEST

START_TEST(batch_normalization_of_the_batch_itself_is_no_part_of_a_convolution)
{
    fill();
    static const float twice[] = {2, 0, 0, 2};
    struct onnx o = onnx_start(15);
    onnx_input(&o, "x", 1, DIMS(3, 2, 5));
    onnx_floats(&o, "w", DIMS(2, 2, 1), twice);
    static const char *const names[] = {"scale", "bias", "mean", "var"};
    for (int p = 0; p < 4; p++)
        onnx_floats(&o, names[p], DIMS(2), parameters[p]);
    onnx_node(&o, "Conv", "x w", "c");
    onnx_node(&o, "BatchNormalization", "c scale bias mean var", "y");
    onnx_attribute_int(&o, "training_mode", 1);
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, x);
    net_run(&net);
    for (int c = 0; c < 2; c++) {
        double sum = 0;
        for (int i = 0; i < 30; i++)
            sum += i / 5 % 2 == c ? net_floats(&net, 0)[i] : 0;
        ck_assert_double_eq_tol(sum / 15, parameters[BIAS][c], 1e-5);
    }
    net_free(&net);
}
END_TEST

START_TEST(training_of_old_opsets_is_refused_by_name)
{
    struct onnx o = norm(9, DIMS(3, 4, 5), DIMS(4), true, "y m");
    onnx_output(&o, "y", 1, SCALAR);
    onnx_output(&o, "m", 1, SCALAR);
    net_expect_refused(&o, -ENOTSUP, "output 1 exists in training only");
    o = norm(6, DIMS(3, 4, 5), DIMS(4), true, "y");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -ENOTSUP, "is_test");
    o = norm(15, DIMS(3, 4, 5), DIMS(5), true, "y");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "scale must have 4 values");
}
END_TEST

/* Normalizations of rows. */

enum { L0 = 3, L1 = 4, L2 = 5, L3 = 6, LAYERS = L0 * L1 * L2 * L3 };
static const int64_t layer_dims[] = {L0, L1, L2, L3};

/* mean and deviation of the stretch of n values around i. */
static void measure(const float *values, int i, int n, double epsilon, double *mean,
                    double *deviation)
{
    double sum = 0, squares = 0;
    for (int j = i / n * n; j < i / n * n + n; j++)
        sum += values[j];
    *mean = sum / n;
    for (int j = i / n * n; j < i / n * n + n; j++)
        squares += (values[j] - *mean) * (values[j] - *mean);
    *deviation = sqrt(squares / n + epsilon);
}

/* Element of a parameter of `shape` that is broadcast to the layer. */
static double parameter_at(const float *parameter, struct onnx_dims shape, int i)
{
    int at = 0, stride = 1;
    for (int d = 3, own = shape.rank - 1; own >= 0; d--, own--) {
        int64_t rest = i;
        for (int e = 3; e > d; e--)
            rest /= layer_dims[e];
        at += shape.dim[own] == 1 ? 0 : stride * (int)(rest % layer_dims[d]);
        stride *= (int)shape.dim[own];
    }
    return parameter[at];
}

static void check_layer(int64_t axis, struct onnx_dims scale, struct onnx_dims bias)
{
    static float values[LAYERS], scales[LAYERS], biases[LAYERS];
    net_fill(values, LAYERS, 1);
    net_fill(scales, LAYERS, 2);
    net_fill(biases, LAYERS, 3);
    for (int i = 0; i < LAYERS; i++)
        values[i] += 100; /* a variance that is lost when the mean is taken off too late */
    struct onnx o = onnx_start(17);
    onnx_input(&o, "x", 1, DIMS(L0, L1, L2, L3));
    onnx_floats(&o, "scale", scale, scales);
    onnx_floats(&o, "bias", bias, biases);
    onnx_node(&o, "LayerNormalization", "x scale bias", "y mean inverse");
    onnx_attribute_int(&o, "axis", axis);
    onnx_attribute_float(&o, "epsilon", 0.001f);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_output(&o, "mean", 1, SCALAR);
    onnx_output(&o, "inverse", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, values);
    net_run(&net);
    int n = 1;
    struct onnx_dims stats = DIMS(L0, L1, L2, L3);
    for (int64_t d = axis < 0 ? axis + 4 : axis; d < 4; d++) {
        n *= (int)layer_dims[d];
        stats.dim[d] = 1;
    }
    net_expect_shape(&net, 1, stats);
    net_expect_shape(&net, 2, stats);
    for (int i = 0; i < LAYERS; i++) {
        double mean, deviation;
        measure(values, i, n, 0.001, &mean, &deviation);
        double want = (values[i] - mean) / deviation * parameter_at(scales, scale, i) +
                      parameter_at(biases, bias, i);
        check(net_floats(&net, 0) + i, &want, 1, 5e-5);
        check(net_floats(&net, 1) + i / n, &mean, 1, 2e-5);
        want = 1 / deviation;
        check(net_floats(&net, 2) + i / n, &want, 1, 5e-5);
    }
    net_free(&net);
}

START_TEST(layer_normalization_takes_parameters_of_any_shape_that_broadcasts)
{
    check_layer(-1, DIMS(L3), DIMS(L3));
    check_layer(-1, DIMS(1, 1, L3), SCALAR);
    check_layer(2, DIMS(L2, L3), DIMS(L2, L3));
    check_layer(-2, DIMS(L3), DIMS(L2, L3));
    check_layer(1, DIMS(L1, L2, L3), DIMS(L1, 1, 1));
    check_layer(3, DIMS(L1, 1, L3), DIMS(L3));
    check_layer(0, DIMS(L0, L1, L2, L3), DIMS(1));
}
END_TEST

/* y has no place then. */
START_TEST(what_was_measured_may_be_all_that_is_wanted)
{
    fill();
    for (int layer = 0; layer < 2; layer++) {
        struct net nets[2];
        for (int apart = 0; apart < 2; apart++) {
            struct onnx o = norm(17, DIMS(3, 4, 5), DIMS(4), true, "u m v");
            onnx_attribute_int(&o, "training_mode", 1);
            onnx_floats(&o, "w", DIMS(5), parameters[SCALE]);
            onnx_node(&o, "LayerNormalization", "x w", "y middle inverse");
            onnx_output(&o, layer ? "middle" : "m", 1, SCALAR);
            onnx_output(&o, layer ? "inverse" : "v", 1, SCALAR);
            if (apart)
                onnx_output(&o, layer ? "y" : "u", 1, SCALAR);
            nets[apart] = net_make(&o);
            net_set(&nets[apart], 0, x);
            net_run(&nets[apart]);
        }
        for (size_t j = 0; j < 2; j++)
            for (int i = 0; i < (layer ? 12 : 4); i++)
                ck_assert_float_eq(net_floats(&nets[0], j)[i], net_floats(&nets[1], j)[i]);
        net_free(&nets[0]);
        net_free(&nets[1]);
    }
}
END_TEST

START_TEST(rms_normalization_leaves_the_mean)
{
    static float values[LAYERS], scales[L2 * L3];
    net_fill(values, LAYERS, 4);
    net_fill(scales, L2 * L3, 5);
    struct onnx o = onnx_start(23);
    onnx_input(&o, "x", 1, DIMS(L0, L1, L2, L3));
    onnx_floats(&o, "scale", DIMS(L2, 1), scales);
    onnx_node(&o, "RMSNormalization", "x scale", "y");
    onnx_attribute_int(&o, "axis", 2);
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, values);
    net_run(&net);
    for (int i = 0; i < LAYERS; i++) {
        double squares = 0;
        for (int j = i / 30 * 30; j < i / 30 * 30 + 30; j++)
            squares += (double)values[j] * values[j];
        double want = values[i] / sqrt(squares / 30 + 1e-5) * scales[i / L3 % L2];
        check(net_floats(&net, 0) + i, &want, 1, 2e-6);
    }
    net_free(&net);
}
END_TEST

/* groups 0: InstanceNormalization. */
static void check_group(int64_t opset, int groups)
{
    static float values[LAYERS];
    float scales[L1], biases[L1];
    net_fill(values, LAYERS, 6);
    net_fill(scales, L1, 7);
    net_fill(biases, L1, 8);
    int per_group = L1 / (groups ? groups : L1), count = groups && opset < 21 ? groups : L1;
    struct onnx o = onnx_start(opset);
    onnx_input(&o, "x", 1, DIMS(L0, L1, L2, L3));
    onnx_floats(&o, "scale", DIMS(count), scales);
    onnx_floats(&o, "bias", DIMS(count), biases);
    onnx_node(&o, groups ? "GroupNormalization" : "InstanceNormalization", "x scale bias", "y");
    if (groups)
        onnx_attribute_int(&o, "num_groups", groups);
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, values);
    net_run(&net);
    for (int i = 0; i < LAYERS; i++) {
        double mean, deviation;
        measure(values, i, per_group * L2 * L3, 1e-5, &mean, &deviation);
        int channel = i / (L2 * L3) % L1, at = count == L1 ? channel : channel / per_group;
        double want = (values[i] - mean) / deviation * scales[at] + biases[at];
        check(net_floats(&net, 0) + i, &want, 1, 5e-6);
    }
    net_free(&net);
}

START_TEST(groups_have_a_scale_each_and_since_opset_21_one_for_each_channel)
{
    check_group(6, 0);
    check_group(22, 0);
    check_group(18, 2);
    check_group(18, 4);
    check_group(21, 1);
    check_group(21, 2);
    struct onnx o = onnx_start(21);
    onnx_input(&o, "x", 1, DIMS(1, 4, 2));
    onnx_floats(&o, "scale", DIMS(4), x);
    onnx_node(&o, "GroupNormalization", "x scale scale", "y");
    onnx_attribute_int(&o, "num_groups", 3);
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "num_groups 3 does not divide 4 channels");
    o = onnx_start(18);
    onnx_input(&o, "x", 1, DIMS(1, 4, 2));
    onnx_floats(&o, "scale", DIMS(4), x);
    onnx_node(&o, "GroupNormalization", "x scale scale", "y");
    onnx_attribute_int(&o, "num_groups", 2);
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "scale must have 2 values");
}
END_TEST

/* Normalizations over any axes. */

/* Of "x" (LAYERS), over the axes of the mask: kind 0 mean and deviation, else the p-norm. */
static void check_axes(int mask, int kind)
{
    static float values[LAYERS];
    net_fill(values, LAYERS, 9);
    for (int i = 0; i < L2 * L3; i++)
        values[i * L1 % LAYERS] = 0;
    int64_t axes[4];
    int axis_count = 0;
    for (int d = 0; d < 4; d++)
        if (mask >> d & 1)
            axes[axis_count++] = d;
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(L0, L1, L2, L3));
    onnx_node(&o, kind ? "LpNormalization" : "MeanVarianceNormalization", "x", "y");
    if (kind) {
        onnx_attribute_int(&o, "axis", axes[0]);
        onnx_attribute_int(&o, "p", kind);
    } else {
        onnx_attribute_ints(&o, "axes", axis_count, axes);
    }
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, values);
    net_run(&net);
    for (int i = 0; i < LAYERS; i++) {
        double sum = 0, squares = 0, magnitudes = 0, count = 0;
        for (int j = 0; j < LAYERS; j++) {
            bool together = true;
            for (int d = 3, a = i, b = j; d >= 0; d--) {
                together &= mask >> d & 1 || a % layer_dims[d] == b % layer_dims[d];
                a /= (int)layer_dims[d];
                b /= (int)layer_dims[d];
            }
            count += together;
            sum += together ? values[j] : 0;
            squares += together ? (double)values[j] * values[j] : 0;
            magnitudes += together ? fabsf(values[j]) : 0;
        }
        double mean = kind ? 0 : sum / count;
        double spread = kind == 0   ? sqrt(squares / count - mean * mean)
                        : kind == 1 ? magnitudes
                                    : sqrt(squares);
        double want = spread == 0 ? 0 : (values[i] - mean) / spread;
        check(net_floats(&net, 0) + i, &want, 1, 5e-6);
    }
    net_free(&net);
}

START_TEST(mean_variance_and_lp_normalization_run_over_any_axes)
{
    for (int mask = 1; mask < 16; mask++)
        check_axes(mask, 0);
    for (int kind = 1; kind < 3; kind++)
        for (int d = 0; d < 4; d++)
            check_axes(1 << d, kind);
}
END_TEST

START_TEST(what_has_no_length_stays_zero)
{
    struct onnx o = onnx_start(22);
    onnx_input(&o, "x", 1, DIMS(2, 2));
    onnx_node(&o, "LpNormalization", "x", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){0, 0, 3, -4});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 2), (float[]){0, 0, 0.6f, -0.8f});
    net_free(&net);
}
END_TEST

START_TEST(lrn_looks_at_the_neighbouring_channels)
{
    enum { C = 5, INNER = 300 };
    static float values[2 * C * INNER];
    net_fill(values, 2 * C * INNER, 10);
    const struct {
        int64_t size;
        float beta;
    } cases[] = {{1, 0.75f}, {2, 0.75f}, {3, 0.5f}, {4, 1.25f}, {100, 0.75f}};
    for (size_t t = 0; t < sizeof cases / sizeof cases[0]; t++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, DIMS(2, C, INNER));
        onnx_node(&o, "LRN", "x", "y");
        onnx_attribute_int(&o, "size", cases[t].size);
        onnx_attribute_float(&o, "alpha", 0.5f);
        onnx_attribute_float(&o, "beta", cases[t].beta);
        onnx_attribute_float(&o, "bias", 2);
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, values);
        net_run(&net);
        for (int i = 0; i < 2 * C * INNER; i++) {
            int channel = i / INNER % C;
            double squares = 0, size = (double)cases[t].size;
            for (int c = 0; c < C; c++) {
                double v = values[i + (c - channel) * INNER];
                if (c >= channel - floor((size - 1) / 2) && c <= channel + ceil((size - 1) / 2))
                    squares += v * v;
            }
            double want = values[i] / pow(2 + 0.5 / size * squares, cases[t].beta);
            check(net_floats(&net, 0) + i, &want, 1, 1e-6);
        }
        net_free(&net);
    }
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(2, C));
    onnx_node(&o, "LRN", "x", "y");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "'size'");
}
END_TEST

/* Frames stay apart where no row or sum runs over time. */
static void check_frames(const char *op, const char *attribute, int64_t value, int time_axis,
                         bool scaled, bool per_frame)
{
    struct onnx o = onnx_start(22);
    onnx_input(&o, "x", 1, DIMS(8, 4, 8, 8));
    onnx_floats(&o, "p", op[0] == 'L' ? DIMS(8) : DIMS(4), x);
    onnx_node(&o, op, scaled ? "x p p" : "x", "y");
    if (attribute)
        onnx_attribute_int(&o, attribute, value);
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_plan(net_load(&o), &(struct nn_plan_options){.time_axis = time_axis});
    struct nn_plan_info info;
    nn_plan_describe(net.plan, &info);
    ck_assert_msg(info.frame_nodes == per_frame, "%s, time axis %d", op, time_axis);
    net_free(&net);
}

START_TEST(normalizations_run_per_frame_when_rows_stay_whole)
{
    check_frames("LayerNormalization", "axis", -1, 2, true, true);
    check_frames("LayerNormalization", "axis", -1, 3, true, false);
    check_frames("LayerNormalization", "axis", -1, 0, true, true);
    check_frames("GroupNormalization", "num_groups", 2, 0, true, true);
    check_frames("GroupNormalization", "num_groups", 2, 2, true, false);
    check_frames("InstanceNormalization", NULL, 0, 0, true, true);
    check_frames("InstanceNormalization", NULL, 0, 3, true, false);
    check_frames("MeanVarianceNormalization", NULL, 0, 0, false, false);
    check_frames("LpNormalization", "axis", 1, 2, false, true);
    check_frames("LpNormalization", "axis", 1, 1, false, false);
    check_frames("LRN", "size", 3, 2, false, true);
    check_frames("LRN", "size", 3, 1, false, false);
    check_frames("Hardmax", "axis", 2, 3, false, true);
    check_frames("Hardmax", "axis", 2, 2, false, false);
}
END_TEST

/* What Softmax, LogSoftmax and Hardmax make of one value of a row. */
static double share(const char *op, double value, double max, double sum)
{
    return op[0] == 'S' ? exp(value) / sum : op[0] == 'L' ? value - log(sum) : value == max;
}

static void check_softmax(const char *op, int64_t opset, struct onnx_dims dims, int64_t axis)
{
    struct onnx o = onnx_start(opset);
    onnx_input(&o, "x", 1, dims);
    onnx_node(&o, op, "x", "y");
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
        double sum = 0, max = -INFINITY;
        for (int64_t c = 0; c < count; c++) {
            sum += exp(x[first + c * inner]);
            max = fmax(max, x[first + c * inner]);
        }
        for (int64_t c = 0; c < count; c++) {
            double want = share(op, x[first + c * inner], max, sum);
            check(net_floats(&net, 0) + first + c * inner, &want, 1, 1e-6);
        }
    }
    net_free(&net);
}

START_TEST(softmax_sums_over_its_axis_or_before_opset_13_over_all_behind_it)
{
    fill();
    static const char *const ops[] = {"Softmax", "LogSoftmax", "Hardmax"};
    for (int i = 0; i < 6; i++) {
        const char *op = ops[i % 3];
        int64_t opset = 12 + i / 3;
        check_softmax(op, opset, DIMS(3, 4, 5, 7), INT64_MAX);
        for (int64_t axis = -4; axis < 4; axis++)
            check_softmax(op, opset, DIMS(3, 4, 5, 7), axis);
        check_softmax(op, opset, DIMS(35, 12), 1);
        check_softmax(op, opset, DIMS(1, 420), 1);
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
    tcase_add_loop_test(all, batch_normalization_may_go_by_the_batch_itself, 0, 4);
    tcase_add_test(all, batch_normalization_of_the_batch_itself_is_no_part_of_a_convolution);
    tcase_add_test(all, training_of_old_opsets_is_refused_by_name);
    tcase_add_test(all, layer_normalization_takes_parameters_of_any_shape_that_broadcasts);
    tcase_add_test(all, what_was_measured_may_be_all_that_is_wanted);
    tcase_add_test(all, rms_normalization_leaves_the_mean);
    tcase_add_test(all, groups_have_a_scale_each_and_since_opset_21_one_for_each_channel);
    tcase_add_test(all, mean_variance_and_lp_normalization_run_over_any_axes);
    tcase_add_test(all, what_has_no_length_stays_zero);
    tcase_add_test(all, lrn_looks_at_the_neighbouring_channels);
    tcase_add_test(all, normalizations_run_per_frame_when_rows_stay_whole);
    tcase_add_test(all, softmax_sums_over_its_axis_or_before_opset_13_over_all_behind_it);
    tcase_add_test(all, softmax_outside_the_tensor_is_refused);
    tcase_add_test(all, softmax_runs_per_frame_when_it_does_not_sum_over_time);
    return suite_run("nn/norm", &all, 1);
}
