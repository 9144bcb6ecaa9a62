/* Operators that compute a function of each element: the floats' are in nn/activation.c, here
 * are their rows, the few that integers have too, IsNaN and IsInf. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/activation.h"
#include "nn/ops/integers.h"

/* Integers. The most negative number is its own opposite. */

enum integer_function { ABS, NEG, RELU, SIGN, NONE };

static enum integer_function integer_function(const struct nn_op *op)
{
    return op == &nn_op_abs    ? ABS
           : op == &nn_op_neg  ? NEG
           : op == &nn_op_relu ? RELU
           : op == &nn_op_sign ? SIGN
                               : NONE;
}

#define INTEGER_RUN(nn_type, type, is_signed)                                                  \
    static void run_##type(enum integer_function f, type *y, const type *x, size_t n)          \
    {                                                                                          \
        for (size_t i = 0; i < n; i++) {                                                       \
            type v = x[i], opposite = (type)(0 - (uint64_t)v);                                 \
            bool below = is_signed && v < (type)1 && v != 0;                                   \
            y[i] = f == ABS    ? (below ? opposite : v)                                        \
                   : f == NEG  ? opposite                                                      \
                   : f == RELU ? (below ? 0 : v)                                               \
                               : (type)((v != 0) - 2 * below);                                 \
        }                                                                                      \
    }
NN_INTEGER_TYPES(INTEGER_RUN)

/* Unsigned numbers have no Neg; their Relu would be themselves and is not in ONNX. */
static bool is_supported(const struct nn_op *op, enum nn_type type)
{
    enum integer_function f = integer_function(op);
    switch (type) {
    case NN_TYPE_FLOAT:
        return true;
#define SUPPORT(nn_type, type, is_signed)                                                      \
    case nn_type:                                                                              \
        return f != NONE && (is_signed || f == ABS || f == SIGN);
        NN_INTEGER_TYPES(SUPPORT)
    default:
        return false;
    }
}

static int infer(struct nn_op_call *call)
{
    enum nn_type type = call->inputs[0].type;
    if (!is_supported(call->op, type))
        return nn_op_fail(call, -ENOTSUP, "%s is not supported here", nn_type_name(type));
    call->outputs[0].type = type;
    call->outputs[0].shape = call->inputs[0].shape;
    return 0;
}

static size_t count(const struct nn_op_call *call)
{
    return (size_t)nn_shape_count(&call->outputs[0].shape);
}

static int forward(struct nn_op_call *call)
{
    enum integer_function f = integer_function(call->op);
    const void *x = call->inputs[0].data;
    void *y = call->outputs[0].data;
    size_t n = count(call);
    enum nn_activation activation;
    float alpha, beta;
    switch (call->inputs[0].type) {
#define RUN(nn_type, type, is_signed)                                                          \
    case nn_type:                                                                              \
        run_##type(f, y, x, n);                                                                \
        break;
        NN_INTEGER_TYPES(RUN)
    default:
        activation = nn_activation_of(call->op, call->node, &alpha, &beta);
        nn_function_run(&nn_functions[activation], call->kernels, alpha, beta, y, x, n);
        break;
    }
    return 0;
}

/* An unknown form of Gelu must not be taken for the known one. */
static int gelu_infer(struct nn_op_call *call)
{
    const char *form = nn_op_string(call, "approximate", "none");
    if (strcmp(form, "none") != 0 && strcmp(form, "tanh") != 0)
        return nn_op_fail(call, -EINVAL, "approximate is '%.40s', not 'none' or 'tanh'", form);
    return infer(call);
}

/* IsNaN and IsInf. */

static int test_infer(struct nn_op_call *call)
{
    int r = nn_op_require_type(call, 0, NN_TYPE_FLOAT);
    if (r < 0)
        return r;
    call->outputs[0].type = NN_TYPE_BOOL;
    call->outputs[0].shape = call->inputs[0].shape;
    return 0;
}

static int is_nan(struct nn_op_call *call)
{
    const float *x = call->inputs[0].data;
    uint8_t *y = call->outputs[0].data;
    for (size_t i = 0, n = count(call); i < n; i++)
        y[i] = isnan(x[i]) != 0;
    return 0;
}

static int is_inf(struct nn_op_call *call)
{
    bool below = nn_op_int(call, "detect_negative", 1) != 0;
    bool above = nn_op_int(call, "detect_positive", 1) != 0;
    const float *x = call->inputs[0].data;
    uint8_t *y = call->outputs[0].data;
    for (size_t i = 0, n = count(call); i < n; i++)
        y[i] = isinf(x[i]) && (x[i] < 0 ? below : above);
    return 0;
}

/* Before opset 6 a node could ask for in-place work; it changes no result. */
#define CONSUMED                                                                               \
    {                                                                                          \
        "consumed_inputs", NN_ATTRIBUTE_INTS, 0, 5                                             \
    }

static const struct nn_attribute_rule plain[] = {CONSUMED, {0}};
static const struct nn_attribute_rule alpha_rules[] = {
    {"alpha", NN_ATTRIBUTE_FLOAT, 0, 0}, CONSUMED, {0}};
static const struct nn_attribute_rule alpha_beta_rules[] = {
    {"alpha", NN_ATTRIBUTE_FLOAT, 0, 0}, {"beta", NN_ATTRIBUTE_FLOAT, 0, 0}, CONSUMED, {0}};
static const struct nn_attribute_rule selu_rules[] = {
    {"alpha", NN_ATTRIBUTE_FLOAT, 0, 0}, {"gamma", NN_ATTRIBUTE_FLOAT, 0, 0}, CONSUMED, {0}};
static const struct nn_attribute_rule shrink_rules[] = {
    {"bias", NN_ATTRIBUTE_FLOAT, 0, 0}, {"lambd", NN_ATTRIBUTE_FLOAT, 0, 0}, {0}};
static const struct nn_attribute_rule gelu_rules[] = {
    {"approximate", NN_ATTRIBUTE_STRING, 0, 0}, {0}};
static const struct nn_attribute_rule inf_rules[] = {
    {"detect_negative", NN_ATTRIBUTE_INT, 0, 0},
    {"detect_positive", NN_ATTRIBUTE_INT, 0, 0},
    {0}};

#define UNARY(row, op_type, rules, infer_function, index)                                      \
    const struct nn_op row = {                                                                 \
        .name = op_type,                                                                       \
        .variant = &nn_functions[NN_ACTIVATION_##index],                                       \
        .min_inputs = 1,                                                                       \
        .max_inputs = 1,                                                                       \
        .min_outputs = 1,                                                                      \
        .max_outputs = 1,                                                                      \
        .flags = NN_OP_ELEMENTWISE | NN_OP_IS_ACTIVATION,                                      \
        .attributes = rules,                                                                   \
        .infer = infer_function,                                                               \
        .forward = forward,                                                                    \
        .time = nn_op_time_same,                                                               \
    }

UNARY(nn_op_abs, "Abs", plain, infer, ABS);
UNARY(nn_op_acos, "Acos", plain, infer, ACOS);
UNARY(nn_op_acosh, "Acosh", plain, infer, ACOSH);
UNARY(nn_op_asin, "Asin", plain, infer, ASIN);
UNARY(nn_op_asinh, "Asinh", plain, infer, ASINH);
UNARY(nn_op_atan, "Atan", plain, infer, ATAN);
UNARY(nn_op_atanh, "Atanh", plain, infer, ATANH);
UNARY(nn_op_ceil, "Ceil", plain, infer, CEIL);
UNARY(nn_op_celu, "Celu", alpha_rules, infer, CELU);
UNARY(nn_op_cos, "Cos", plain, infer, COS);
UNARY(nn_op_cosh, "Cosh", plain, infer, COSH);
UNARY(nn_op_elu, "Elu", alpha_rules, infer, ELU);
UNARY(nn_op_erf, "Erf", plain, infer, ERF);
UNARY(nn_op_exp, "Exp", plain, infer, EXP);
UNARY(nn_op_floor, "Floor", plain, infer, FLOOR);
UNARY(nn_op_gelu, "Gelu", gelu_rules, gelu_infer, GELU);
UNARY(nn_op_hard_sigmoid, "HardSigmoid", alpha_beta_rules, infer, HARD_SIGMOID);
UNARY(nn_op_hard_swish, "HardSwish", plain, infer, HARD_SWISH);
UNARY(nn_op_leaky_relu, "LeakyRelu", alpha_rules, infer, LEAKY_RELU);
UNARY(nn_op_log, "Log", plain, infer, LOG);
UNARY(nn_op_mish, "Mish", plain, infer, MISH);
UNARY(nn_op_neg, "Neg", plain, infer, NEG);
UNARY(nn_op_reciprocal, "Reciprocal", plain, infer, RECIPROCAL);
UNARY(nn_op_relu, "Relu", plain, infer, RELU);
UNARY(nn_op_round, "Round", plain, infer, ROUND);
UNARY(nn_op_selu, "Selu", selu_rules, infer, SELU);
UNARY(nn_op_shrink, "Shrink", shrink_rules, infer, SHRINK);
UNARY(nn_op_sigmoid, "Sigmoid", plain, infer, SIGMOID);
UNARY(nn_op_sign, "Sign", plain, infer, SIGN);
UNARY(nn_op_sin, "Sin", plain, infer, SIN);
UNARY(nn_op_sinh, "Sinh", plain, infer, SINH);
UNARY(nn_op_softplus, "Softplus", plain, infer, SOFTPLUS);
UNARY(nn_op_softsign, "Softsign", plain, infer, SOFTSIGN);
UNARY(nn_op_sqrt, "Sqrt", plain, infer, SQRT);
UNARY(nn_op_swish, "Swish", alpha_rules, infer, SWISH);
UNARY(nn_op_tan, "Tan", plain, infer, TAN);
UNARY(nn_op_tanh, "Tanh", plain, infer, TANH);
UNARY(nn_op_thresholded_relu, "ThresholdedRelu", alpha_rules, infer, THRESHOLDED_RELU);

#define TEST(row, op_type, rules, function)                                                    \
    const struct nn_op row = {                                                                 \
        .name = op_type,                                                                       \
        .min_inputs = 1,                                                                       \
        .max_inputs = 1,                                                                       \
        .min_outputs = 1,                                                                      \
        .max_outputs = 1,                                                                      \
        .attributes = rules,                                                                   \
        .infer = test_infer,                                                                   \
        .forward = function,                                                                   \
        .time = nn_op_time_same,                                                               \
    }

TEST(nn_op_is_inf, "IsInf", inf_rules, is_inf);
TEST(nn_op_is_nan, "IsNaN", NULL, is_nan);
