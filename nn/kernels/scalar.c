/* The reference: what every other table is held against. Kept plain on purpose. Sums over
 * taps, sigmoid and tanh round like the vector tables, operation by operation, because
 * recurrent networks may amplify what differs (nn/ops/recurrent.c). */
#include "nn/kernels/tables.h"

#include <math.h>

#include "nn/half.h"

const float nn_sigmoid_upper[SIGMOID_UPPER] = {4.37031012579801e-11f, 1.15627324459942e-07f,
                                               6.08574864600143e-05f, 8.51377133304701e-03f,
                                               2.48287947061529e-01f};
const float nn_sigmoid_lower[SIGMOID_LOWER] = {6.10247389755681e-13f, 5.76102136993427e-09f,
                                               6.29106785017040e-06f, 1.70198817374094e-03f,
                                               1.16817656904453e-01f, 9.93151921023180e-01f};
const float nn_tanh_upper[TANH_UPPER] = {-2.76076847742355e-16f, 2.00018790482477e-13f,
                                         -8.60467152213735e-11f, 5.12229709037114e-08f,
                                         1.48572235717979e-05f,  6.37261928875436e-04f,
                                         4.89352455891786e-03f};
const float nn_tanh_lower[TANH_LOWER] = {1.19825839466702e-06f, 1.18534705686654e-04f,
                                         2.26843463243900e-03f, 4.89352518554385e-03f};
const float nn_erf_upper[ERF_UPPER] = {-2.72614225801306e-10f, 2.77068142495902e-08f,
                                       -2.10102402082508e-06f, -5.69250639462346e-05f,
                                       -7.34990630326855e-04f, -2.95459980854025e-03f,
                                       -1.60960333262415e-02f};
const float nn_erf_lower[ERF_LOWER] = {-1.45660718464996e-05f, -2.13374055278905e-04f,
                                       -1.68282697438203e-03f, -7.37332916720468e-03f,
                                       -1.42647390514189e-02f};

/* a · b + c rounded as one operation: the product of two floats is exact in double. */
static float fused(float a, float b, float c)
{
    return (float)((double)a * b + c);
}

static void scalar_gemm(const struct nn_gemm *g)
{
    for (size_t i = 0; i < g->m; i++) {
        for (size_t j = 0; j < g->n; j++) {
            float sum = 0;
            for (size_t p = 0; p < g->k; p++) {
                float a = g->transpose_a ? g->a[p * g->a_step + i] : g->a[i * g->a_step + p];
                float b = g->transpose_b ? g->b[j * g->b_step + p] : g->b[p * g->b_step + j];
                sum += a * b;
            }
            float *c = &g->c[i * g->c_step + j];
            *c = g->alpha * sum + (g->beta != 0 ? g->beta * *c : 0);
        }
    }
}

static float weight_at(const struct nn_panel *p, size_t index)
{
    switch (p->format) {
    case NN_WEIGHT_HALF:
        return nn_half_to_float(((const uint16_t *)p->weight)[index]);
    case NN_WEIGHT_INT8:
        return ((const int8_t *)p->weight)[index];
    case NN_WEIGHT_FLOAT:
        break;
    }
    return ((const float *)p->weight)[index];
}

static void scalar_panel(const struct nn_panel *p)
{
    size_t width = (p->columns + NN_PANEL_STEP - 1) / NN_PANEL_STEP * NN_PANEL_STEP;
    for (size_t r = 0; r < p->rows; r++) {
        for (size_t j = 0; j < p->columns; j++) {
            float *y = &p->y[r * p->y_step + j];
            if (p->fresh)
                *y = 0;
            for (size_t start = 0; start < p->depth; start += NN_PANEL_DEPTH) {
                float sum = 0;
                for (size_t d = start; d < p->depth && d < start + NN_PANEL_DEPTH; d++)
                    sum = fused(p->x[r * p->x_step + d], weight_at(p, d * width + j), sum);
                *y = p->scale ? fused(p->scale[j], sum, *y) : *y + sum;
            }
        }
    }
}

#define SCALAR_TILE_ROWS 4

static void scalar_tap_sum(float *y, const float *x, const int32_t *offset, const float *weight,
                           size_t taps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float sum = 0;
        for (size_t t = 0; t < taps; t++)
            sum = fused(weight[t], x[offset[t] + (ptrdiff_t)i], sum);
        y[i] += sum;
    }
}

static float clamped(float x, float low, float high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

static void scalar_tile(float *y, size_t y_step, const float *x, const int32_t *offset,
                        const float *weight, size_t taps, size_t n,
                        const struct nn_tile_end *end)
{
    for (size_t r = 0; r < end->rows; r++) {
        for (size_t i = 0; i < n; i++) {
            float sum = 0, *to = &y[r * y_step + i];
            for (size_t t = 0; t < taps; t++)
                sum = fused(weight[t * SCALAR_TILE_ROWS + r], x[offset[t] + (ptrdiff_t)i], sum);
            *to = clamped((end->bias ? end->bias[r] : *to) + sum, end->low, end->high);
        }
    }
}

static void scalar_tap_max(float *y, const float *x, const int32_t *offset, size_t taps,
                           size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float max = -INFINITY;
        for (size_t t = 0; t < taps; t++) {
            float value = x[offset[t] + (ptrdiff_t)i];
            max = value > max ? value : max;
        }
        y[i] = max;
    }
}

static void scalar_max_2x2(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float values[] = {a[2 * i], a[2 * i + 1], b[2 * i], b[2 * i + 1]};
        float max = -INFINITY;
        for (size_t j = 0; j < 4; j++)
            max = values[j] > max ? values[j] : max;
        y[i] = max;
    }
}

static void scalar_relu_gradient(float *dx, const float *y, const float *dy, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dx[i] = y[i] > 0 ? dy[i] : 0;
}

static void scalar_max_2x2_gradient(const struct nn_max_gradient *g)
{
    for (size_t i = 0; i < g->n; i++) {
        const float x[] = {g->a[2 * i], g->a[2 * i + 1], g->b[2 * i], g->b[2 * i + 1]};
        float *const to[] = {&g->da[2 * i], &g->da[2 * i + 1], &g->db[2 * i],
                             &g->db[2 * i + 1]};
        float left = !g->positive || g->y[i] > 0 ? g->dy[i] : 0;
        for (size_t j = 0; j < 4; j++) {
            bool takes = !(x[j] < g->y[i]);
            *to[j] = takes ? left : 0;
            left = takes ? 0 : left;
        }
    }
}

static void scalar_twice(float *y, const float *x, const float *more, size_t n)
{
    for (size_t i = 0; i < 2 * n; i++)
        y[i] = more ? x[i / 2] + more[i] : x[i / 2];
}

static void scalar_transpose(float *y, size_t y_step, const float *x, size_t x_step,
                             size_t rows, size_t columns)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            y[j * y_step + i] = x[i * x_step + j];
}

static void scalar_max_3x3(float *y, const float *a, const float *b, const float *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float max = -INFINITY;
        for (size_t j = 2 * i; j < 2 * i + 3; j++) {
            max = a[j] > max ? a[j] : max;
            max = b[j] > max ? b[j] : max;
            max = c[j] > max ? c[j] : max;
        }
        y[i] = max;
    }
}

static void scalar_gather(float *y, const float *x, size_t stride, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i * stride];
}

static void scalar_pick(float *y, const float *x, const int32_t *index, const float *weight,
                        size_t taps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float sum = 0;
        for (size_t t = 0; t < taps; t++)
            sum = fused(weight[t * n + i], x[index[t * n + i]], sum);
        y[i] = sum;
    }
}

static void scalar_add(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

static void scalar_sub(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] - b[i];
}

static void scalar_mul(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] * b[i];
}

static void scalar_div(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] / b[i];
}

static void scalar_mul_add(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a[i] * b[i];
}

static void scalar_affine(float *y, const float *x, float scale, float shift, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * scale + shift;
}

static void scalar_relu(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? 0 : x[i];
}

static void scalar_leaky_relu(float *y, const float *x, float slope, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? slope * x[i] : x[i];
}

static float polynomial(float q, const float *coefficient, size_t count)
{
    float sum = coefficient[0];
    for (size_t i = 1; i < count; i++)
        sum = fused(sum, q, coefficient[i]);
    return sum;
}

static void scalar_clamp(float *y, const float *x, float low, float high, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = clamped(x[i], low, high);
}

static void scalar_sigmoid(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float value = clamped(x[i], -SIGMOID_LIMIT, SIGMOID_LIMIT), q = value * value;
        float upper = polynomial(q, nn_sigmoid_upper, SIGMOID_UPPER) * value;
        y[i] = clamped(upper / polynomial(q, nn_sigmoid_lower, SIGMOID_LOWER) + 0.5f, 0, 1);
    }
}

static void scalar_tanh(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float value = clamped(x[i], -TANH_LIMIT, TANH_LIMIT), q = value * value;
        float upper = polynomial(q, nn_tanh_upper, TANH_UPPER) * value;
        y[i] = upper / polynomial(q, nn_tanh_lower, TANH_LOWER);
    }
}

static void scalar_exp(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = expf(x[i]);
}

static void scalar_erf(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = erff(x[i]);
}

/* Sums of unbounded length are kept in double: one running float would lose digits that the
 * many partial sums of the vector tables keep. */
static float scalar_sum(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return (float)sum;
}

static float scalar_sum_squares(const float *x, float center, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double distance = (double)x[i] - center;
        sum += distance * distance;
    }
    return (float)sum;
}

static void scalar_softmax(float *y, const float *x, size_t n)
{
    float max = -INFINITY;
    for (size_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (size_t i = 0; i < n; i++)
        y[i] = expf(x[i] - max);
    float sum = scalar_sum(y, n);
    for (size_t i = 0; i < n; i++)
        y[i] /= sum;
}

const struct nn_kernels nn_kernels_table_scalar = {
    .name = "scalar",
    .gemm = scalar_gemm,
    .panel = scalar_panel,
    .tile_rows = SCALAR_TILE_ROWS,
    .tile = scalar_tile,
    .tap_sum = scalar_tap_sum,
    .tap_max = scalar_tap_max,
    .max_2x2 = scalar_max_2x2,
    .max_3x3 = scalar_max_3x3,
    .relu_gradient = scalar_relu_gradient,
    .max_2x2_gradient = scalar_max_2x2_gradient,
    .registers = 16,
    .lanes = 1,
    .tile_width = 32,
    .twice = scalar_twice,
    .transpose = scalar_transpose,
    .gather = scalar_gather,
    .pick = scalar_pick,
    .add = scalar_add,
    .sub = scalar_sub,
    .mul = scalar_mul,
    .div = scalar_div,
    .mul_add = scalar_mul_add,
    .affine = scalar_affine,
    .clamp = scalar_clamp,
    .relu = scalar_relu,
    .leaky_relu = scalar_leaky_relu,
    .sigmoid = scalar_sigmoid,
    .tanh = scalar_tanh,
    .exp = scalar_exp,
    .erf = scalar_erf,
    .sum = scalar_sum,
    .sum_squares = scalar_sum_squares,
    .softmax = scalar_softmax,
    .bytes = &nn_byte_table_scalar,
};
