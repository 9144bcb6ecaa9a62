/* Products of matrices: those of the inference core for float; for double, whose speed nobody
 * waits for, plain loops. */
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

#endif

void TRAIN_NAME(train_sum_parts)(const real *parts, size_t count, real *y)
{
    memcpy(y, parts, count * sizeof *y);
    for (size_t p = 1; p < TRAIN_PARTS; p++)
        for (size_t i = 0; i < count; i++)
            y[i] += parts[p * count + i];
}
