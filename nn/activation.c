#include "nn/activation.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "nn/graph.h"

/* What a function gets beside its elements. */
struct nn_function_call {
    const struct nn_kernels *k;
    float alpha, beta;
};

/* n ≤ BLOCK everywhere below: what is kept beside x and y stays in the cache. */
enum { BLOCK = 1024 };

static void copy(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    (void)c;
    if (y != x)
        memcpy(y, x, n * sizeof *y);
}

static void affine(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    c->k->affine(y, x, c->alpha, c->beta, n);
}

static void clip(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    c->k->clamp(y, x, c->alpha, c->beta, n);
}

static void error_function(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    c->k->erf(y, x, n);
}

static void exponential(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    c->k->exp(y, x, n);
}

static void hard_sigmoid(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    c->k->affine(y, x, c->alpha, c->beta, n);
    c->k->clamp(y, y, 0, 1, n);
}

static void hard_swish(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    float t[BLOCK];
    c->k->affine(t, x, 1.0f / 6, 0.5f, n);
    c->k->clamp(t, t, 0, 1, n);
    c->k->mul(y, x, t, n);
}

static void leaky_relu(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    c->k->leaky_relu(y, x, c->alpha, n);
}

static void relu(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    c->k->relu(y, x, n);
}

static void scaled_tanh(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    c->k->affine(y, x, c->beta, 0, n);
    c->k->tanh(y, y, n);
    c->k->affine(y, y, c->alpha, 0, n);
}

static void sigmoid(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    c->k->sigmoid(y, x, n);
}

static void swish(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    float t[BLOCK];
    c->k->affine(t, x, c->alpha, 0, n);
    c->k->sigmoid(t, t, n);
    c->k->mul(y, x, t, n);
}

static void tangent_hyperbolic(const struct nn_function_call *c, float *y, const float *x,
                               size_t n)
{
    c->k->tanh(y, x, n);
}

/* y = scale · x from zero on, scale · slope · (exp(x / width) - 1) below, where the exponential
 * neither overflows nor is missed. */
static void exponential_units(const struct nn_kernels *k, float *y, const float *x, size_t n,
                              float scale, float slope, float width)
{
    float t[BLOCK];
    k->clamp(t, x, -INFINITY, 0, n);
    k->affine(t, t, 1 / width, 0, n);
    k->exp(t, t, n);
    for (size_t i = 0; i < n; i++)
        y[i] = scale * (x[i] < 0 ? slope * (t[i] - 1) : x[i]);
}

static void celu(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    exponential_units(c->k, y, x, n, 1, c->alpha, c->alpha);
}

static void elu(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    exponential_units(c->k, y, x, n, 1, c->alpha, 1);
}

static void selu(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    exponential_units(c->k, y, x, n, c->beta, c->alpha, 1);
}

/* x · tanh(log(1 + e^x)) = x · w / (w + 2) with w = e^x · (e^x + 2), which is x from 20 on. */
static void mish(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    float t[BLOCK];
    c->k->clamp(t, x, -INFINITY, 20, n);
    c->k->exp(t, t, n);
    for (size_t i = 0; i < n; i++) {
        float w = t[i] * (t[i] + 2);
        y[i] = x[i] * (w / (w + 2));
    }
}

/* log(1 + e^x) without overflow. */
static void softplus(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    float t[BLOCK];
    memcpy(t, x, n * sizeof *t);
    for (size_t i = 0; i < n; i++)
        t[i] = -fabsf(t[i]);
    c->k->exp(t, t, n);
    for (size_t i = 0; i < n; i++)
        y[i] = (x[i] > 0 ? x[i] : 0) + log1pf(t[i]);
}

static void gelu(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    float t[BLOCK];
    c->k->affine(t, x, 0.707106781f, 0, n);
    c->k->erf(t, t, n);
    for (size_t i = 0; i < n; i++)
        y[i] = 0.5f * x[i] * (1 + t[i]);
}

static void gelu_tanh(const struct nn_function_call *c, float *y, const float *x, size_t n)
{
    float t[BLOCK];
    /* sqrt(2/π) · (x + 0.044715 x³) */
    c->k->mul(t, x, x, n);
    c->k->affine(t, t, 0.0356774081f, 0.797884561f, n);
    c->k->mul(t, t, x, n);
    c->k->tanh(t, t, n);
    for (size_t i = 0; i < n; i++)
        y[i] = 0.5f * x[i] * (1 + t[i]);
}

/* The rest: rare, or loops that compilers vectorise. v is an element. */
#define EACH(name, expression)                                                                 \
    static void name(const struct nn_function_call *c, float *y, const float *x, size_t n)     \
    {                                                                                          \
        (void)c;                                                                               \
        for (size_t i = 0; i < n; i++) {                                                       \
            float v = x[i];                                                                    \
            y[i] = (expression);                                                               \
        }                                                                                      \
    }

EACH(absolute, fabsf(v))
EACH(arc_cosine, acosf(v))
EACH(arc_cosine_hyperbolic, acoshf(v))
EACH(arc_sine, asinf(v))
EACH(arc_sine_hyperbolic, asinhf(v))
EACH(arc_tangent, atanf(v))
EACH(arc_tangent_hyperbolic, atanhf(v))
EACH(ceiling, ceilf(v))
EACH(cosine, cosf(v))
EACH(cosine_hyperbolic, coshf(v))
EACH(flooring, floorf(v))
EACH(logarithm, logf(v))
EACH(negative, -v)
EACH(reciprocal, 1 / v)
EACH(rounding, rintf(v)) /* halves to even */
EACH(shrink, -v > c->alpha ? v + c->beta : (v > c->alpha ? v - c->beta : 0))
EACH(sign, v > 0 ? 1 : (v < 0 ? -1 : v))
EACH(sine, sinf(v))
EACH(sine_hyperbolic, sinhf(v))
EACH(softsign, v / (1 + fabsf(v)))
EACH(square_root, sqrtf(v))
EACH(tangent, tanf(v))
EACH(thresholded_relu, v > c->alpha ? v : 0)

#define A(index) [NN_ACTIVATION_##index]
const struct nn_function nn_functions[NN_ACTIVATION_COUNT] = {
    A(NONE) = {"Identity", copy},
    A(ABS) = {"Abs", absolute},
    A(ACOS) = {"Acos", arc_cosine},
    A(ACOSH) = {"Acosh", arc_cosine_hyperbolic},
    A(AFFINE) = {"Affine", affine, "alpha", "beta", 1, 0, .cell = true},
    A(ASIN) = {"Asin", arc_sine},
    A(ASINH) = {"Asinh", arc_sine_hyperbolic},
    A(ATAN) = {"Atan", arc_tangent},
    A(ATANH) = {"Atanh", arc_tangent_hyperbolic},
    A(CEIL) = {"Ceil", ceiling},
    A(CELU) = {"Celu", celu, "alpha", NULL, 1},
    A(CLIP) = {"Clip", clip, "min", "max", -INFINITY, INFINITY},
    A(COS) = {"Cos", cosine},
    A(COSH) = {"Cosh", cosine_hyperbolic},
    A(ELU) = {"Elu", elu, "alpha", NULL, 1, .cell = true},
    A(ERF) = {"Erf", error_function},
    A(EXP) = {"Exp", exponential},
    A(FLOOR) = {"Floor", flooring},
    A(GELU) = {"Gelu", gelu},
    A(GELU_TANH) = {"Gelu", gelu_tanh},
    A(HARD_SIGMOID) = {"HardSigmoid", hard_sigmoid, "alpha", "beta", 0.2f, 0.5f, .cell = true},
    A(HARD_SWISH) = {"HardSwish", hard_swish},
    A(LEAKY_RELU) = {"LeakyRelu", leaky_relu, "alpha", NULL, 0.01f, .cell = true},
    A(LOG) = {"Log", logarithm},
    A(MISH) = {"Mish", mish},
    A(NEG) = {"Neg", negative},
    A(RECIPROCAL) = {"Reciprocal", reciprocal},
    A(RELU) = {"Relu", relu, .cell = true},
    A(ROUND) = {"Round", rounding},
    A(SCALED_TANH) = {"ScaledTanh", scaled_tanh, "alpha", "beta", 1, 1, .cell = true},
    A(SELU) = {"Selu", selu, "alpha", "gamma", 1.67326324f, 1.05070098f},
    A(SHRINK) = {"Shrink", shrink, "lambd", "bias", 0.5f, 0},
    A(SIGMOID) = {"Sigmoid", sigmoid, .cell = true},
    A(SIGN) = {"Sign", sign},
    A(SIN) = {"Sin", sine},
    A(SINH) = {"Sinh", sine_hyperbolic},
    A(SOFTPLUS) = {"Softplus", softplus, .cell = true},
    A(SOFTSIGN) = {"Softsign", softsign, .cell = true},
    A(SQRT) = {"Sqrt", square_root},
    A(SWISH) = {"Swish", swish, "alpha", NULL, 1},
    A(TAN) = {"Tan", tangent},
    A(TANH) = {"Tanh", tangent_hyperbolic, .cell = true},
    A(THRESHOLDED_RELU) = {"ThresholdedRelu", thresholded_relu, "alpha", NULL, 1, .cell = true},
};

enum nn_activation nn_activation_of(const struct nn_op *op, const struct nn_node *node,
                                    float *ret_alpha, float *ret_beta)
{
    const struct nn_function *f = op->variant;
    enum nn_activation activation = (enum nn_activation)(f - nn_functions);
    if (activation == NN_ACTIVATION_GELU &&
        strcmp(nn_node_string(node, "approximate", "none"), "tanh") == 0)
        activation = NN_ACTIVATION_GELU_TANH;
    *ret_alpha = f->alpha_name ? nn_node_float(node, f->alpha_name, f->alpha) : f->alpha;
    *ret_beta = f->beta_name ? nn_node_float(node, f->beta_name, f->beta) : f->beta;
    return activation;
}

void nn_function_run(const struct nn_function *f, const struct nn_kernels *k, float alpha,
                     float beta, float *y, const float *x, size_t n)
{
    const struct nn_function_call call = {k, alpha, beta};
    for (; n > BLOCK; n -= BLOCK, x += BLOCK, y += BLOCK)
        f->apply(&call, y, x, BLOCK);
    f->apply(&call, y, x, n);
}

void nn_activation_apply(const struct nn_op_call *call, float *y, const float *x, size_t n)
{
    nn_function_run(&nn_functions[call->activation], call->kernels, call->activation_alpha,
                    call->activation_beta, y, x, n);
}

bool nn_activation_clamps(const struct nn_op_call *call, float *ret_low, float *ret_high)
{
    bool clip = call->activation == NN_ACTIVATION_CLIP;
    *ret_low = call->activation == NN_ACTIVATION_RELU ? 0 : -INFINITY;
    *ret_high = INFINITY;
    if (clip) {
        *ret_low = call->activation_alpha;
        *ret_high = call->activation_beta;
    }
    return clip || call->activation == NN_ACTIVATION_NONE ||
           call->activation == NN_ACTIVATION_RELU;
}

int nn_cell_activation_find(const char *name, struct nn_cell_parameters *parameters,
                            struct nn_cell_activation *ret_activation)
{
    for (size_t i = 0; i < NN_ACTIVATION_COUNT; i++) {
        const struct nn_function *f = &nn_functions[i];
        if (!f->cell || strcasecmp(f->name, name) != 0)
            continue;
        struct nn_cell_activation found = {f, f->alpha, f->beta};
        if (f->alpha_name && parameters->alpha_count > 0) {
            found.alpha = *parameters->alphas++;
            parameters->alpha_count--;
        }
        if (f->beta_name && parameters->beta_count > 0) {
            found.beta = *parameters->betas++;
            parameters->beta_count--;
        }
        *ret_activation = found;
        return 0;
    }
    return -ENOTSUP;
}
