/* Functions of one element, Clip and PRelu: against the C library in double precision, folded
 * into the node before, on integers, and with limits of every opset. */
#include <errno.h>
#include <math.h>

#include "tests/nn/net.h"

static double relu(double x)
{
    return x < 0 ? 0 : x;
}

static double leaky_relu(double x)
{
    return x < 0 ? 0.01 * x : x;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double elu(double x)
{
    return x < 0 ? expm1(x) : x;
}

static double celu(double x)
{
    return fmax(0, x) + fmin(0, expm1(x));
}

static double selu(double x)
{
    return 1.05070098 * (x > 0 ? x : 1.67326324 * expm1(x));
}

static double gelu(double x)
{
    return 0.5 * x * (1 + erf(x / sqrt(2)));
}

static double hard_sigmoid(double x)
{
    return fmax(0, fmin(1, 0.2 * x + 0.5));
}

static double hard_swish(double x)
{
    return x * fmax(0, fmin(1, x / 6 + 0.5));
}

static double mish(double x)
{
    return x * tanh(log1p(exp(x)));
}

static double reciprocal(double x)
{
    return 1 / x;
}

static double shrink(double x)
{
    return fabs(x) <= 0.5 ? 0 : x;
}

static double sign(double x)
{
    return (x > 0) - (x < 0);
}

static double softplus(double x)
{
    return log1p(exp(x));
}

static double softsign(double x)
{
    return x / (1 + fabs(x));
}

static double swish(double x)
{
    return x * sigmoid(x);
}

static double thresholded_relu(double x)
{
    return x > 1 ? x : 0;
}

static double half_even(double x)
{
    return rint(x);
}

/* Over -reach..reach, or 0..reach, or 1..reach. */
static const struct function {
    const char *name;
    double (*exact)(double x);
    int opset;
    float low, high;
} functions[] = {
    {"Abs", fabs, 13, -9, 9},
    {"Acos", acos, 7, -1, 1},
    {"Acosh", acosh, 9, 1, 9},
    {"Asin", asin, 7, -1, 1},
    {"Asinh", asinh, 9, -9, 9},
    {"Atan", atan, 7, -9, 9},
    {"Atanh", atanh, 9, -0.99f, 0.99f},
    {"Ceil", ceil, 13, -9, 9},
    {"Celu", celu, 12, -9, 9},
    {"Cos", cos, 7, -9, 9},
    {"Cosh", cosh, 9, -9, 9},
    {"Elu", elu, 6, -20, 9},
    {"Erf", erf, 13, -5, 5},
    {"Exp", exp, 13, -20, 20},
    {"Floor", floor, 13, -9, 9},
    {"Gelu", gelu, 20, -9, 9},
    {"HardSigmoid", hard_sigmoid, 6, -9, 9},
    {"HardSwish", hard_swish, 14, -9, 9},
    {"LeakyRelu", leaky_relu, 6, -9, 9},
    {"Log", log, 13, 0.001f, 9},
    {"Mish", mish, 18, -40, 40},
    {"Reciprocal", reciprocal, 13, 0.01f, 9},
    {"Relu", relu, 14, -9, 9},
    {"Round", half_even, 11, -9.5f, 9.5f},
    {"Selu", selu, 6, -20, 9},
    {"Shrink", shrink, 9, -2, 2},
    {"Sigmoid", sigmoid, 13, -20, 20},
    {"Sign", sign, 13, -9, 9},
    {"Sin", sin, 7, -9, 9},
    {"Sinh", sinh, 9, -9, 9},
    {"Softplus", softplus, 1, -40, 40},
    {"Softsign", softsign, 1, -9, 9},
    {"Sqrt", sqrt, 13, 0, 9},
    {"Swish", swish, 24, -40, 40},
    {"Tan", tan, 7, -1.5f, 1.5f},
    {"Tanh", tanh, 13, -9, 9},
    {"ThresholdedRelu", thresholded_relu, 10, -9, 9},
};
enum { FUNCTIONS = sizeof functions / sizeof functions[0], N = 2 * 1024 + 8 };

static float x[N];

static void fill(float low, float high)
{
    for (int i = 0; i < N; i++)
        x[i] = low + (high - low) * (float)i / (N - 1);
}

static void check_function(const struct function *f, enum nn_kernel_choice kernels)
{
    struct onnx o = onnx_start(f->opset);
    onnx_input(&o, "x", 1, DIMS(N));
    onnx_node(&o, f->name, "x", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net =
        net_plan(net_load(&o), &(struct nn_plan_options){.kernels = kernels, .time_axis = -1});
    fill(f->low, f->high);
    net_set(&net, 0, x);
    net_run(&net);
    for (int i = 0; i < N; i++) {
        double want = f->exact(x[i]), got = net_floats(&net, 0)[i];
        ck_assert_msg(fabs(got - want) <= 1e-6 + 1e-7 * fabs(x[i]) + 2e-6 * fabs(want),
                      "%s(%.9g) is %.9g, not %.9g", f->name, x[i], got, want);
    }
    x[3] = NAN;
    net_set(&net, 0, x);
    net_run(&net);
    bool drops = strcmp(f->name, "Shrink") == 0 || strcmp(f->name, "ThresholdedRelu") == 0;
    ck_assert_msg(isnan(net_floats(&net, 0)[3]) != drops, "%s of NaN", f->name);
    net_free(&net);
}

START_TEST(every_function_is_the_c_librarys)
{
    for (int f = 0; f < FUNCTIONS; f++) {
        check_function(&functions[f], NN_KERNELS_BEST);
        check_function(&functions[f], NN_KERNELS_REFERENCE);
    }
}
END_TEST

START_TEST(halves_are_rounded_to_even)
{
    const float halves[] = {-2.5f, -1.5f, -0.5f, 0.5f, 1.5f, 2.5f, 8388609.0f};
    const float want[] = {-2, -2, 0, 0, 2, 2, 8388609.0f};
    struct onnx o = onnx_start(11);
    onnx_input(&o, "x", 1, DIMS(7));
    onnx_node(&o, "Round", "x", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, halves);
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(7), want);
    net_free(&net);
}
END_TEST

START_TEST(parameters_come_from_the_attributes)
{
    static const struct {
        const char *op, *first, *second;
        float alpha, beta, at, want;
    } cases[] = {
        {"HardSigmoid", "alpha", "beta", 0.5f, 0.25f, 1, 0.75f},
        {"Elu", "alpha", NULL, 2, 0, -1, -1.26424112f},
        {"Selu", "alpha", "gamma", 2, 3, -1, -3.79272336f},
        {"Celu", "alpha", NULL, 2, 0, -2, -1.26424112f},
        {"ThresholdedRelu", "alpha", NULL, 2, 0, 1.5f, 0},
        {"Shrink", "lambd", "bias", 1, 0.25f, -2, -1.75f},
        {"LeakyRelu", "alpha", NULL, 0.5f, 0, -2, -1},
        {"Swish", "alpha", NULL, 2, 0, 1, 0.880797f},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct onnx o = onnx_start(24);
        onnx_input(&o, "x", 1, DIMS(1));
        onnx_node(&o, cases[c].op, "x", "y");
        onnx_attribute_float(&o, cases[c].first, cases[c].alpha);
        if (cases[c].second)
            onnx_attribute_float(&o, cases[c].second, cases[c].beta);
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, &cases[c].at);
        net_run(&net);
        ck_assert_msg(fabsf(net_floats(&net, 0)[0] - cases[c].want) < 1e-5f, "%s: %.9g",
                      cases[c].op, net_floats(&net, 0)[0]);
        net_free(&net);
    }
}
END_TEST

START_TEST(an_unknown_form_of_gelu_is_refused)
{
    struct onnx o = onnx_start(20);
    onnx_input(&o, "x", 1, DIMS(1));
    onnx_node(&o, "Gelu", "x", "y");
    onnx_attribute_text(&o, "approximate", "sigmoid");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "'sigmoid'");
}
END_TEST

START_TEST(integers_keep_their_type_and_their_lowest_number)
{
    const int8_t values[] = {INT8_MIN, -1, 0, 1, INT8_MAX};
    const struct {
        const char *op;
        int8_t want[5];
    } cases[] = {{"Abs", {INT8_MIN, 1, 0, 1, INT8_MAX}},
                 {"Neg", {INT8_MIN, 1, 0, -1, -INT8_MAX}},
                 {"Relu", {0, 0, 0, 1, INT8_MAX}},
                 {"Sign", {-1, -1, 0, 1, 1}}};
    for (size_t c = 0; c < 4; c++) {
        struct onnx o = onnx_start(14);
        onnx_input(&o, "x", 3, DIMS(5));
        onnx_node(&o, cases[c].op, "x", "y");
        onnx_output(&o, "y", 3, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, values);
        net_run(&net);
        ck_assert_msg(memcmp(nn_session_output(net.session, 0)->data, cases[c].want, 5) == 0,
                      "%s", cases[c].op);
        net_free(&net);
    }
    struct onnx o = onnx_start(14);
    onnx_input(&o, "x", 2, DIMS(5));
    onnx_node(&o, "Neg", "x", "y");
    onnx_output(&o, "y", 2, SCALAR);
    net_expect_refused(&o, -ENOTSUP, "uint8");
}
END_TEST

START_TEST(infinities_and_nans_are_told)
{
    const float values[] = {-INFINITY, -1, NAN, INFINITY};
    struct onnx o = onnx_start(20);
    onnx_input(&o, "x", 1, DIMS(4));
    onnx_node(&o, "IsInf", "x", "above");
    onnx_attribute_int(&o, "detect_negative", 0);
    onnx_node(&o, "IsNaN", "x", "nan");
    onnx_output(&o, "above", 9, SCALAR);
    onnx_output(&o, "nan", 9, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, values);
    net_run(&net);
    ck_assert_mem_eq(nn_session_output(net.session, 0)->data, ((uint8_t[]){0, 0, 0, 1}), 4);
    ck_assert_mem_eq(nn_session_output(net.session, 1)->data, ((uint8_t[]){0, 0, 1, 0}), 4);
    net_free(&net);
}
END_TEST

/* Clip. */

START_TEST(clip_has_limits_by_attribute_by_constant_and_at_run_time)
{
    const float values[] = {-9, -0.5f, 0.5f, 9, NAN}, low = -1, high = 2;
    const float want[] = {-1, -0.5f, 0.5f, 2};
    for (int form = 0; form < 3; form++) {
        struct onnx o = onnx_start(form == 0 ? 6 : 13);
        onnx_input(&o, "x", 1, DIMS(5));
        if (form == 1) {
            onnx_floats(&o, "low", SCALAR, &low);
            onnx_floats(&o, "high", SCALAR, &high);
        } else if (form == 2) {
            onnx_input(&o, "low", 1, SCALAR);
            onnx_input(&o, "high", 1, SCALAR);
        }
        onnx_node(&o, "Clip", form == 0 ? "x" : "x low high", "y");
        if (form == 0) {
            onnx_attribute_float(&o, "min", low);
            onnx_attribute_float(&o, "max", high);
        }
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, values);
        if (form == 2) {
            net_set(&net, 1, &low);
            net_set(&net, 2, &high);
        }
        net_run(&net);
        for (int i = 0; i < 4; i++)
            ck_assert_float_eq(net_floats(&net, 0)[i], want[i]);
        ck_assert(isnan(net_floats(&net, 0)[4]));
        net_free(&net);
    }
}
END_TEST

START_TEST(clip_without_a_limit_has_the_types_own)
{
    const int64_t values[] = {INT64_MIN, 5, INT64_MAX}, limit = 3;
    for (int above = 0; above < 2; above++) {
        struct onnx o = onnx_start(12);
        onnx_input(&o, "x", 7, DIMS(3));
        onnx_ints(&o, "limit", SCALAR, &limit);
        onnx_node(&o, "Clip", above ? "x - limit" : "x limit", "y");
        onnx_output(&o, "y", 7, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, values);
        net_run(&net);
        const int64_t *y = nn_session_output(net.session, 0)->data;
        ck_assert(y[0] == (above ? INT64_MIN : 3) && y[1] == (above ? 3 : 5) &&
                  y[2] == (above ? 3 : INT64_MAX));
        net_free(&net);
    }
}
END_TEST

START_TEST(clip_refuses_limits_that_are_none)
{
    const float pair[2] = {0, 1};
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(3));
    onnx_floats(&o, "low", DIMS(2), pair);
    onnx_node(&o, "Clip", "x low", "y");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "min must be one float32");
    o = onnx_start(10);
    onnx_input(&o, "x", 1, DIMS(3));
    onnx_floats(&o, "low", SCALAR, pair);
    onnx_node(&o, "Clip", "x low", "y");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "no inputs min and max");
}
END_TEST

/* PRelu. */

static void check_prelu(int64_t opset, struct onnx_dims slope_dims, int channel_step)
{
    enum { COUNT = 2 * 3 * 5 };
    float values[COUNT], slopes[8] = {0.5f, -1, 2, 3, 4};
    net_fill(values, COUNT, 4);
    struct onnx o = onnx_start(opset);
    onnx_input(&o, "x", 1, DIMS(2, 3, 5));
    onnx_floats(&o, "slope", slope_dims, slopes);
    onnx_node(&o, "PRelu", "x slope", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, values);
    net_run(&net);
    size_t count = onnx_dims_count(slope_dims);
    for (int i = 0; i < COUNT; i++) {
        float slope = slopes[(size_t)(i / channel_step) % count];
        ck_assert_float_eq(net_floats(&net, 0)[i],
                           values[i] < 0 ? slope * values[i] : values[i]);
    }
    net_free(&net);
}

START_TEST(slopes_are_one_or_one_a_channel_or_broadcast)
{
    check_prelu(6, DIMS(1), 1);
    check_prelu(6, DIMS(3), 5);
    check_prelu(16, DIMS(3, 1), 5);
    check_prelu(16, DIMS(5), 1);
    check_prelu(16, SCALAR, 1);
    struct onnx o = onnx_start(16);
    onnx_input(&o, "x", 1, DIMS(2, 3, 5));
    onnx_floats(&o, "slope", DIMS(3), (float[]){1, 2, 3});
    onnx_node(&o, "PRelu", "x slope", "y");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "does not broadcast");
}
END_TEST

/* Folding. */

/* A product and a function behind it, kept apart when the product is an output too. */
static struct net folded(const struct function *f, bool clip, bool apart)
{
    static float weight[9 * 40];
    const float low = -0.25f, high = 0.5f;
    net_fill(weight, 9 * 40, 9);
    struct onnx o = onnx_start(clip ? 13 : f->opset > 13 ? f->opset : 13);
    onnx_input(&o, "x", 1, DIMS(6, 9));
    onnx_floats(&o, "w", DIMS(9, 40), weight);
    onnx_floats(&o, "low", SCALAR, &low);
    onnx_floats(&o, "high", SCALAR, &high);
    onnx_node(&o, "MatMul", "x w", "product");
    onnx_node(&o, clip ? "Clip" : f->name, clip ? "product low high" : "product", "y");
    onnx_output(&o, "y", 1, SCALAR);
    if (apart)
        onnx_output(&o, "product", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, x);
    net_run(&net);
    return net;
}

START_TEST(a_function_folded_into_a_product_gives_the_same)
{
    net_fill(x, N, 6);
    for (int f = 0; f <= FUNCTIONS; f++) {
        bool clip = f == FUNCTIONS;
        const struct function *function = clip ? NULL : &functions[f];
        struct net one = folded(function, clip, false), two = folded(function, clip, true);
        bool merged = false;
        for (size_t l = 0; l < nn_plan_layer_count(one.plan); l++)
            merged |= nn_plan_layer(one.plan, l)->fused_into >= 0;
        ck_assert_msg(merged, "%s is not folded", clip ? "Clip" : function->name);
        for (int i = 0; i < 240; i++) {
            float a = net_floats(&one, 0)[i], b = net_floats(&two, 0)[i];
            ck_assert_msg(a == b || (isnan(a) && isnan(b)), "%s: %g and %g",
                          clip ? "Clip" : function->name, a, b);
        }
        net_free(&one);
        net_free(&two);
    }
}
END_TEST

START_TEST(limits_from_outside_are_not_folded)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(2, 2));
    onnx_input(&o, "low", 1, SCALAR);
    onnx_floats(&o, "w", DIMS(2, 2), (float[]){1, 0, 0, 1});
    onnx_node(&o, "MatMul", "x w", "product");
    onnx_node(&o, "Clip", "product low", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){1, 2, 3, 4});
    for (int low = 0; low < 5; low += 2) {
        net_set(&net, 1, (float[]){(float)low});
        net_run(&net);
        for (int i = 0; i < 4; i++)
            ck_assert_float_eq(net_floats(&net, 0)[i], fmaxf((float)i + 1, (float)low));
    }
    net_free(&net);
}
END_TEST

int main(void)
{
    TCase *unary = tcase_create("unary");
    tcase_add_test(unary, every_function_is_the_c_librarys);
    tcase_add_test(unary, halves_are_rounded_to_even);
    tcase_add_test(unary, parameters_come_from_the_attributes);
    tcase_add_test(unary, an_unknown_form_of_gelu_is_refused);
    tcase_add_test(unary, integers_keep_their_type_and_their_lowest_number);
    tcase_add_test(unary, infinities_and_nans_are_told);
    TCase *limits = tcase_create("limits and slopes");
    tcase_add_test(limits, clip_has_limits_by_attribute_by_constant_and_at_run_time);
    tcase_add_test(limits, clip_without_a_limit_has_the_types_own);
    tcase_add_test(limits, clip_refuses_limits_that_are_none);
    tcase_add_test(limits, slopes_are_one_or_one_a_channel_or_broadcast);
    TCase *folding = tcase_create("folding");
    tcase_add_test(folding, a_function_folded_into_a_product_gives_the_same);
    tcase_add_test(folding, limits_from_outside_are_not_folded);
    TCase *cases[] = {unary, limits, folding};
    return suite_run("nn/unary", cases, 3);
}
