#include "nn/activation.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <strings.h>

void nn_activation_apply(const struct nn_op_call *call, float *y, const float *x, size_t n)
{
    const struct nn_kernels *k = call->kernels;
    switch (call->activation) {
    case NN_ACTIVATION_NONE:
        if (y != x)
            memcpy(y, x, n * sizeof *y);
        break;
    case NN_ACTIVATION_RELU:
        k->relu(y, x, n);
        break;
    case NN_ACTIVATION_LEAKY_RELU:
        k->leaky_relu(y, x, call->activation_alpha, n);
        break;
    case NN_ACTIVATION_SIGMOID:
        k->sigmoid(y, x, n);
        break;
    case NN_ACTIVATION_TANH:
        k->tanh(y, x, n);
        break;
    }
}

static void cell_sigmoid(const struct nn_cell_activation *a, const struct nn_kernels *k,
                         float *x, size_t n)
{
    (void)a;
    k->sigmoid(x, x, n);
}

static void cell_tanh(const struct nn_cell_activation *a, const struct nn_kernels *k, float *x,
                      size_t n)
{
    (void)a;
    k->tanh(x, x, n);
}

static void cell_relu(const struct nn_cell_activation *a, const struct nn_kernels *k, float *x,
                      size_t n)
{
    (void)a;
    k->relu(x, x, n);
}

static void cell_leaky_relu(const struct nn_cell_activation *a, const struct nn_kernels *k,
                            float *x, size_t n)
{
    k->leaky_relu(x, x, a->alpha, n);
}

static void cell_affine(const struct nn_cell_activation *a, const struct nn_kernels *k,
                        float *x, size_t n)
{
    k->affine(x, x, a->alpha, a->beta, n);
}

static void cell_hard_sigmoid(const struct nn_cell_activation *a, const struct nn_kernels *k,
                              float *x, size_t n)
{
    k->affine(x, x, a->alpha, a->beta, n);
    k->clamp(x, x, 0, 1, n);
}

static void cell_scaled_tanh(const struct nn_cell_activation *a, const struct nn_kernels *k,
                             float *x, size_t n)
{
    k->affine(x, x, a->beta, 0, n);
    k->tanh(x, x, n);
    k->affine(x, x, a->alpha, 0, n);
}

/* The rest is rare enough for plain loops. */
static void cell_thresholded_relu(const struct nn_cell_activation *a,
                                  const struct nn_kernels *k, float *x, size_t n)
{
    (void)k;
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] <= a->alpha ? 0 : x[i];
}

static void cell_elu(const struct nn_cell_activation *a, const struct nn_kernels *k, float *x,
                     size_t n)
{
    (void)k;
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] < 0 ? a->alpha * expm1f(x[i]) : x[i];
}

static void cell_softsign(const struct nn_cell_activation *a, const struct nn_kernels *k,
                          float *x, size_t n)
{
    (void)a;
    (void)k;
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] / (1 + fabsf(x[i]));
}

static void cell_softplus(const struct nn_cell_activation *a, const struct nn_kernels *k,
                          float *x, size_t n)
{
    (void)a;
    (void)k;
    /* log(1 + exp(x)) without overflow. */
    for (size_t i = 0; i < n; i++)
        x[i] = (x[i] > 0 ? x[i] : 0) + log1pf(expf(-fabsf(x[i])));
}

static const struct {
    const char *name;
    bool has_alpha, has_beta;
    struct nn_cell_activation defaults;
} cell_activations[] = {
    {"Sigmoid", false, false, {cell_sigmoid, 0, 0}},
    {"Tanh", false, false, {cell_tanh, 0, 0}},
    {"Relu", false, false, {cell_relu, 0, 0}},
    {"LeakyRelu", true, false, {cell_leaky_relu, 0.01f, 0}},
    {"ThresholdedRelu", true, false, {cell_thresholded_relu, 1, 0}},
    {"ScaledTanh", true, true, {cell_scaled_tanh, 1, 1}},
    {"HardSigmoid", true, true, {cell_hard_sigmoid, 0.2f, 0.5f}},
    {"Affine", true, true, {cell_affine, 1, 0}},
    {"Elu", true, false, {cell_elu, 1, 0}},
    {"Softsign", false, false, {cell_softsign, 0, 0}},
    {"Softplus", false, false, {cell_softplus, 0, 0}},
};

int nn_cell_activation_find(const char *name, struct nn_cell_parameters *parameters,
                            struct nn_cell_activation *ret_activation)
{
    for (size_t i = 0; i < sizeof cell_activations / sizeof cell_activations[0]; i++) {
        if (strcasecmp(cell_activations[i].name, name) != 0)
            continue;
        struct nn_cell_activation found = cell_activations[i].defaults;
        if (cell_activations[i].has_alpha && parameters->alpha_count > 0) {
            found.alpha = *parameters->alphas++;
            parameters->alpha_count--;
        }
        if (cell_activations[i].has_beta && parameters->beta_count > 0) {
            found.beta = *parameters->betas++;
            parameters->beta_count--;
        }
        *ret_activation = found;
        return 0;
    }
    return -ENOTSUP;
}
