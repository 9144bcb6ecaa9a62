/* The loops that take the time: the kernels of the inference core for float; for double, whose
 * speed nobody waits for, plain ones. */
#include <string.h>

#include "nn/kernels/kernels.h"
#include "nn/train/row.h"

#ifndef TRAIN_DOUBLE

void TRAIN_NAME(train_multiply)(const struct nn_op_call *call, const struct train_gemm *g)
{
    struct nn_gemm gemm = {.m = g->m,
                           .n = g->n,
                           .k = g->k,
                           .transpose_a = g->transpose_a,
                           .transpose_b = g->transpose_b,
                           .a = g->a,
                           .b = g->b,
                           .c = g->c,
                           .a_step = g->a_step,
                           .b_step = g->b_step,
                           .c_step = g->c_step,
                           .alpha = g->alpha,
                           .beta = g->beta};
    call->kernels->gemm(&gemm);
}

void TRAIN_NAME(train_relu)(const struct nn_op_call *call, real *y, const real *x, size_t n)
{
    call->kernels->relu(y, x, n);
}

void TRAIN_NAME(train_relu_gradient)(const struct nn_op_call *call, real *dx, const real *y,
                                     const real *dy, size_t n)
{
    call->kernels->relu_gradient(dx, y, dy, n);
}

void TRAIN_NAME(train_add)(const struct nn_op_call *call, real *y, const real *x, size_t n)
{
    call->kernels->add(y, y, x, n);
}

void TRAIN_NAME(train_product)(const struct nn_op_call *call, real *y, const real *a,
                               const real *b, size_t n)
{
    call->kernels->mul(y, a, b, n);
}

void TRAIN_NAME(train_affine)(const struct nn_op_call *call, real *y, const real *x, real scale,
                              real shift, size_t n)
{
    call->kernels->affine(y, x, scale, shift, n);
}

real TRAIN_NAME(train_total)(const struct nn_op_call *call, const real *x, size_t n)
{
    return call->kernels->sum(x, n);
}

real TRAIN_NAME(train_squares)(const struct nn_op_call *call, const real *x, real center,
                               size_t n)
{
    return call->kernels->sum_squares(x, center, n);
}

#else

void TRAIN_NAME(train_multiply)(const struct nn_op_call *call, const struct train_gemm *g)
{
    (void)call;
    for (size_t i = 0; i < g->m; i++)
        for (size_t j = 0; j < g->n; j++) {
            real sum = 0;
            for (size_t k = 0; k < g->k; k++)
                sum += g->a[g->transpose_a ? k * g->a_step + i : i * g->a_step + k] *
                       g->b[g->transpose_b ? j * g->b_step + k : k * g->b_step + j];
            real *c = g->c + i * g->c_step + j;
            *c = g->alpha * sum + (g->beta != 0 ? g->beta * *c : 0);
        }
}

void TRAIN_NAME(train_relu)(const struct nn_op_call *call, real *y, const real *x, size_t n)
{
    (void)call;
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? 0 : x[i];
}

void TRAIN_NAME(train_relu_gradient)(const struct nn_op_call *call, real *dx, const real *y,
                                     const real *dy, size_t n)
{
    (void)call;
    for (size_t i = 0; i < n; i++)
        dx[i] = y[i] > 0 ? dy[i] : 0;
}

void TRAIN_NAME(train_add)(const struct nn_op_call *call, real *y, const real *x, size_t n)
{
    (void)call;
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

void TRAIN_NAME(train_product)(const struct nn_op_call *call, real *y, const real *a,
                               const real *b, size_t n)
{
    (void)call;
    for (size_t i = 0; i < n; i++)
        y[i] = a[i] * b[i];
}

void TRAIN_NAME(train_affine)(const struct nn_op_call *call, real *y, const real *x, real scale,
                              real shift, size_t n)
{
    (void)call;
    for (size_t i = 0; i < n; i++)
        y[i] = scale * x[i] + shift;
}

real TRAIN_NAME(train_total)(const struct nn_op_call *call, const real *x, size_t n)
{
    real sum = 0;
    (void)call;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

real TRAIN_NAME(train_squares)(const struct nn_op_call *call, const real *x, real center,
                               size_t n)
{
    real sum = 0;
    (void)call;
    for (size_t i = 0; i < n; i++)
        sum += (x[i] - center) * (x[i] - center);
    return sum;
}

#endif

/* --- In either type ------------------------------------------------------------------------- */

struct shared {
    const struct nn_op_call *call;
    const struct train_gemm *g;
};

/* Parts are cut at whole vectors of the longer side of C. */
static void multiply_parts(void *data, int64_t first, int64_t end, int thread)
{
    const struct shared *s = data;
    (void)thread;
    for (; first < end; first++) {
        struct train_gemm g = *s->g;
        bool columns = g.n >= g.m;
        size_t whole = columns ? g.n : g.m, vectors = (whole + 15) / 16, part = (size_t)first;
        size_t from = vectors * part / TRAIN_BATCH_PARTS * 16;
        size_t to = vectors * (part + 1) / TRAIN_BATCH_PARTS * 16;
        to = to < whole ? to : whole;
        if (from >= to)
            continue;
        if (columns) {
            g.n = to - from;
            g.b += from * (g.transpose_b ? g.b_step : 1);
            g.c += from;
        } else {
            g.m = to - from;
            g.a += from * (g.transpose_a ? 1 : g.a_step);
            g.c += from * g.c_step;
        }
        TRAIN_NAME(train_multiply)(s->call, &g);
    }
}

void TRAIN_NAME(train_multiply_shared)(const struct nn_op_call *call,
                                       const struct train_gemm *g)
{
    struct shared s = {call, g};
    nn_op_parallel(call, TRAIN_BATCH_PARTS, (double)g->m * (double)g->n * (double)g->k,
                   multiply_parts, &s);
}

void TRAIN_NAME(train_sum_parts)(const struct nn_op_call *call, const real *parts, size_t count,
                                 real *y)
{
    memcpy(y, parts, count * sizeof *y);
    for (size_t p = 1; p < TRAIN_BATCH_PARTS; p++)
        TRAIN_NAME(train_add)(call, y, parts + p * count, count);
}
