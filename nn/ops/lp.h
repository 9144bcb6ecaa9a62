/* Lp norms, for LpPool and GlobalLpPool. p is positive. Private to nn/ops/.
 *
 * Thread: pure functions. */
#ifndef NN_OPS_LP_H
#define NN_OPS_LP_H

#include <errno.h>
#include <math.h>
#include <stddef.h>

#include "nn/kernels/kernels.h"
#include "nn/op.h"

/* The attribute; an integer since opset 2. */
static inline float nn_lp_power(const struct nn_op_call *call)
{
    return call->opset < 2 ? nn_op_float(call, "p", 2) : (float)nn_op_int(call, "p", 2);
}

/* 0, or -EINVAL by name when p is not positive. */
static inline int nn_lp_check(const struct nn_op_call *call)
{
    float p = nn_lp_power(call);
    return p > 0 ? 0 : nn_op_fail(call, -EINVAL, "p is %g", (double)p);
}

/* y = |x|^p. y may be x. */
static inline void nn_lp_raise(const struct nn_kernels *k, float *y, const float *x, float p,
                               size_t n)
{
    if (p == 2) {
        k->mul(y, x, x, n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        y[i] = p == 1 ? fabsf(x[i]) : powf(fabsf(x[i]), p);
}

/* y = y^(1/p) */
static inline void nn_lp_root(float *y, float p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = p == 1 ? y[i] : p == 2 ? sqrtf(y[i]) : powf(y[i], 1 / p);
}

#endif
