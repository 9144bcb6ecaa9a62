/* Functions of one element, and of several with broadcasting. */
#include "tests/nn/train/cases.h"

/* x times `scale`, or its magnitude where that is 0, through the function. */
static struct onnx unary(const char *op, float scale)
{
    struct onnx b = onnx_start(20);
    onnx_input(&b, "x", 1, DIMS(3, 7));
    onnx_floats(&b, "scale", SCALAR, &scale);
    if (scale != 0)
        onnx_node(&b, "Mul", "x scale", "a");
    else
        onnx_node(&b, "Abs", "x", "a");
    onnx_node(&b, op, "a", "f");
    return b;
}

static struct onnx end(struct onnx b)
{
    onnx_node(&b, "Identity", "f", "y");
    onnx_output(&b, "y", 1, DIMS(3, 7));
    return b;
}

#define UNARY(name, op, scale)                                                                 \
    static struct onnx name(void)                                                              \
    {                                                                                          \
        return end(unary(op, scale));                                                          \
    }
UNARY(unary_abs, "Abs", 1)
UNARY(unary_cos, "Cos", 2)
UNARY(unary_erf, "Erf", 2)
UNARY(unary_exp, "Exp", 2)
UNARY(unary_gelu, "Gelu", 3)
UNARY(unary_hard_sigmoid, "HardSigmoid", 5)
UNARY(unary_hard_swish, "HardSwish", 5)
UNARY(unary_log, "Log", 0)
UNARY(unary_mish, "Mish", 4)
UNARY(unary_neg, "Neg", 1)
UNARY(unary_reciprocal, "Reciprocal", 1)
UNARY(unary_selu, "Selu", 2)
UNARY(unary_sigmoid, "Sigmoid", 5)
UNARY(unary_sin, "Sin", 2)
UNARY(unary_softplus, "Softplus", 9)
UNARY(unary_softsign, "Softsign", 3)
UNARY(unary_sqrt, "Sqrt", 0)
UNARY(unary_tanh, "Tanh", 3)

static struct onnx with_alpha(const char *op, float alpha)
{
    struct onnx b = unary(op, 2);
    onnx_attribute_float(&b, "alpha", alpha);
    return end(b);
}

static struct onnx unary_celu(void)
{
    return with_alpha("Celu", 0.7f);
}

static struct onnx unary_elu(void)
{
    return with_alpha("Elu", 0.6f);
}

static struct onnx unary_leaky_relu(void)
{
    return with_alpha("LeakyRelu", 0.2f);
}

static struct onnx unary_gelu_tanh(void)
{
    struct onnx b = unary("Gelu", 3);
    onnx_attribute_text(&b, "approximate", "tanh");
    return end(b);
}

static struct onnx unary_hard_sigmoid_own(void)
{
    struct onnx b = unary("HardSigmoid", 1);
    onnx_attribute_float(&b, "alpha", 0.9f);
    onnx_attribute_float(&b, "beta", 0.35f);
    return end(b);
}

/* Swish has a row of its own since opset 24. */
static struct onnx unary_swish(void)
{
    struct onnx b = with_alpha("Swish", 1.5f);
    b.opset = 24;
    return b;
}

static struct onnx unary_clip(void)
{
    const float limits[] = {-0.4f, 0.55f};
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(3, 7));
    onnx_floats(&b, "low", SCALAR, &limits[0]);
    onnx_floats(&b, "high", SCALAR, &limits[1]);
    onnx_node(&b, "Clip", "x low high", "f");
    return end(b);
}

static struct onnx unary_clip_above(void)
{
    struct onnx b = onnx_start(10);
    onnx_input(&b, "x", 1, DIMS(3, 7));
    onnx_node(&b, "Clip", "x", "f");
    onnx_attribute_float(&b, "max", 0.3f);
    return end(b);
}

/* More than one block of work. */
static struct onnx unary_large(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(40, 3000));
    onnx_node(&b, "Tanh", "x", "y");
    onnx_output(&b, "y", 1, DIMS(40, 3000));
    return b;
}

/* --- Several operands --------------------------------------------------------------------- */

static struct onnx binary(const char *op, struct onnx_dims a, struct onnx_dims c)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, a);
    onnx_input(&b, "z", 1, c);
    onnx_node(&b, op, "x z", "y");
    onnx_output(&b, "y", 1, a.rank > c.rank ? a : c);
    return b;
}

#define BINARY(name, op, a, b)                                                                 \
    static struct onnx name(void)                                                              \
    {                                                                                          \
        return binary(op, a, b);                                                               \
    }
BINARY(add_alike, "Add", DIMS(3, 4), DIMS(3, 4))
BINARY(add_row, "Add", DIMS(2, 3, 4), DIMS(4))
BINARY(add_to_number, "Add", SCALAR, DIMS(2, 3))
BINARY(sub_column, "Sub", DIMS(2, 3, 4), DIMS(3, 1))
BINARY(sub_from_row, "Sub", DIMS(4), DIMS(2, 3, 4))
BINARY(mul_middle, "Mul", DIMS(2, 3, 4), DIMS(2, 1, 4))
BINARY(mul_outer, "Mul", DIMS(5, 1), DIMS(1, 5, 7))
BINARY(div_row, "Div", DIMS(2, 3, 4), DIMS(1, 4))
BINARY(max_row, "Max", DIMS(2, 3, 4), DIMS(4))
BINARY(min_alike, "Min", DIMS(5, 4), DIMS(5, 4))
BINARY(mean_row, "Mean", DIMS(5, 4), DIMS(4))

/* The parts of a sum over several blocks. */
static struct onnx add_large(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(8, 6, 40, 40));
    weights(&b, "scale", DIMS(6, 1, 1));
    weights(&b, "bias", DIMS(40));
    onnx_node(&b, "Mul", "x scale", "a");
    onnx_node(&b, "Add", "bias a", "y");
    onnx_output(&b, "y", 1, DIMS(8, 6, 40, 40));
    return b;
}

static struct onnx sum_all(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2, 3));
    onnx_input(&b, "z", 1, DIMS(3));
    onnx_node(&b, "Sum", "x z x", "s");
    onnx_node(&b, "Sum", "s", "y");
    onnx_output(&b, "y", 1, DIMS(2, 3));
    return b;
}

static struct onnx power(float exponent)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(4, 5));
    onnx_floats(&b, "e", SCALAR, &exponent);
    onnx_node(&b, "Abs", "x", "a");
    onnx_node(&b, "Pow", "a e", "y");
    onnx_output(&b, "y", 1, DIMS(4, 5));
    return b;
}

static struct onnx pow_square(void)
{
    return power(2);
}

static struct onnx pow_fraction(void)
{
    return power(1.5f);
}

static struct onnx pow_integer(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(4, 5));
    onnx_ints(&b, "e", DIMS(1), (int64_t[]){3});
    onnx_node(&b, "Pow", "x e", "y");
    onnx_output(&b, "y", 1, DIMS(4, 5));
    return b;
}

static struct onnx pow_of_any(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(4, 5));
    onnx_input(&b, "z", 1, DIMS(5));
    onnx_node(&b, "Abs", "x", "a");
    onnx_node(&b, "Pow", "a z", "y");
    onnx_output(&b, "y", 1, DIMS(4, 5));
    return b;
}

static struct onnx where(void)
{
    struct onnx b = onnx_start(16);
    const uint8_t condition[] = {1, 0, 1};
    onnx_input(&b, "x", 1, DIMS(2, 3, 4));
    onnx_input(&b, "z", 1, DIMS(4));
    onnx_initializer(&b, onnx_tensor("c", 9, DIMS(3, 1), condition, sizeof condition));
    onnx_node(&b, "Where", "c x z", "y");
    onnx_output(&b, "y", 1, DIMS(2, 3, 4));
    return b;
}

static struct onnx prelu(void)
{
    struct onnx b = onnx_start(16);
    onnx_input(&b, "x", 1, DIMS(2, 3, 4, 5));
    weights(&b, "slope", DIMS(3, 1, 1));
    onnx_node(&b, "PRelu", "x slope", "y");
    onnx_output(&b, "y", 1, DIMS(2, 3, 4, 5));
    return b;
}

const struct gradient_case gradient_cases_elementwise[] = {
    {"abs", unary_abs, false},
    {"celu", unary_celu, false},
    {"clip", unary_clip, false},
    {"clip above", unary_clip_above, false},
    {"cos", unary_cos, false},
    {"elu", unary_elu, false},
    {"erf", unary_erf, false},
    {"exp", unary_exp, false},
    {"gelu", unary_gelu, false},
    {"gelu by tanh", unary_gelu_tanh, false},
    {"hard sigmoid", unary_hard_sigmoid, false},
    {"hard sigmoid, alpha and beta", unary_hard_sigmoid_own, false},
    {"hard swish", unary_hard_swish, false},
    {"leaky relu", unary_leaky_relu, false},
    {"log", unary_log, false},
    {"mish", unary_mish, false},
    {"neg", unary_neg, false},
    {"reciprocal", unary_reciprocal, false},
    {"selu", unary_selu, false},
    {"sigmoid", unary_sigmoid, false},
    {"sin", unary_sin, false},
    {"softplus", unary_softplus, false},
    {"softsign", unary_softsign, false},
    {"sqrt", unary_sqrt, false},
    {"swish", unary_swish, false},
    {"tanh", unary_tanh, false},
    {"tanh of many", unary_large, false},
    {"add", add_alike, false},
    {"add a row", add_row, false},
    {"add to a number", add_to_number, false},
    {"mul and add many", add_large, false},
    {"sub a column", sub_column, false},
    {"sub from a row", sub_from_row, false},
    {"mul along the middle", mul_middle, false},
    {"mul of a column and rows", mul_outer, false},
    {"div by a row", div_row, false},
    {"max", max_row, false},
    {"min", min_alike, false},
    {"mean", mean_row, false},
    {"sum", sum_all, false},
    {"pow 2", pow_square, false},
    {"pow 1.5", pow_fraction, false},
    {"pow 3, an integer", pow_integer, false},
    {"pow of any", pow_of_any, false},
    {"where", where, false},
    {"prelu", prelu, false},
    {NULL, NULL, false},
};
