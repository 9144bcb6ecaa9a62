/* Gemm: Y = alpha · A' · B' + beta · C, with what activation the net folded into it.
 *
 *     dA' = alpha · dY · B'ᵀ    dB' = alpha · A'ᵀ · dY    dC = beta · dY, summed where C repeats */
#include <string.h>

#include "nn/train/fused.h"
#include "nn/train/row.h"

struct sizes {
    size_t m, n, k;
    bool transpose_a, transpose_b;
    real alpha, beta;
};

static struct sizes sizes_of(const struct train_call *call)
{
    const struct nn_op_call *op = &call->op;
    struct sizes s = {.m = (size_t)op->outputs[0].shape.dim[0],
                      .n = (size_t)op->outputs[0].shape.dim[1],
                      .transpose_a = nn_op_int(op, "transA", 0) != 0,
                      .transpose_b = nn_op_int(op, "transB", 0) != 0,
                      .alpha = (real)nn_op_float(op, "alpha", 1),
                      .beta = (real)nn_op_float(op, "beta", 1)};
    s.k = (size_t)op->inputs[0].shape.dim[s.transpose_a ? 0 : 1];
    return s;
}

/* How far C goes with a row and with a column of Y: 0 where it repeats. */
static void bias_steps(const struct train_call *call, size_t *ret_row, size_t *ret_column)
{
    const struct nn_shape *c = &call->op.inputs[2].shape;
    int64_t columns = c->rank > 0 ? c->dim[c->rank - 1] : 1;
    int64_t rows = c->rank > 1 ? c->dim[c->rank - 2] : 1;
    *ret_column = columns > 1;
    *ret_row = rows > 1 ? (size_t)columns : 0;
}

static int prepare(struct train_call *call)
{
    /* The gradient before the activation. */
    call->op.workspace_bytes =
        (size_t)nn_shape_count(&call->op.outputs[0].shape) * sizeof(real);
    return 0;
}

static void start_with_bias(const struct train_call *call, const struct sizes *s)
{
    const real *c = train_input(call, 2);
    real *y = train_output(call, 0);
    size_t row, column;
    bias_steps(call, &row, &column);
    for (size_t i = 0; i < s->m; i++)
        for (size_t j = 0; j < s->n; j++)
            y[i * s->n + j] = s->beta * c[i * row + j * column];
}

static int forward(struct train_call *call)
{
    struct sizes s = sizes_of(call);
    bool bias = nn_op_has_input(&call->op, 2);
    if (bias)
        start_with_bias(call, &s);
    struct train_gemm g = {.m = s.m,
                           .n = s.n,
                           .k = s.k,
                           .transpose_a = s.transpose_a,
                           .transpose_b = s.transpose_b,
                           .a = train_input(call, 0),
                           .b = train_input(call, 1),
                           .c = train_output(call, 0),
                           .a_step = s.transpose_a ? s.m : s.k,
                           .b_step = s.transpose_b ? s.k : s.n,
                           .c_step = s.n,
                           .alpha = s.alpha,
                           .beta = bias};
    TRAIN_NAME(train_multiply_shared)(&call->op, &g);
    train_fused_forward(call, train_output(call, 0), s.m * s.n);
    return 0;
}

static void bias_gradient(const struct train_call *call, const struct sizes *s, const real *dy,
                          real *dc)
{
    size_t row, column;
    bias_steps(call, &row, &column);
    memset(dc, 0, (size_t)train_count(&call->op.inputs[2]) * sizeof *dc);
    for (size_t i = 0; i < s->m; i++)
        for (size_t j = 0; j < s->n; j++)
            dc[i * row + j * column] += s->beta * dy[i * s->n + j];
}

static void backward(struct train_call *call)
{
    struct sizes s = sizes_of(call);
    const real *a = train_input(call, 0), *b = train_input(call, 1);
    const real *dy = train_fused_backward(call, train_output_gradient(call, 0),
                                          call->op.workspace, s.m * s.n);
    real *da = train_input_gradient(call, 0), *db = train_input_gradient(call, 1);
    size_t a_step = s.transpose_a ? s.m : s.k, b_step = s.transpose_b ? s.k : s.n;
    /* What is stored is A or Aᵀ: (dA)ᵀ = B' · dYᵀ. */
    struct train_gemm to_a = {.m = s.m,
                              .n = s.k,
                              .k = s.n,
                              .transpose_b = !s.transpose_b,
                              .a = dy,
                              .b = b,
                              .c = da,
                              .a_step = s.n,
                              .b_step = b_step,
                              .c_step = a_step,
                              .alpha = s.alpha};
    if (s.transpose_a) {
        to_a.m = s.k;
        to_a.n = s.m;
        to_a.transpose_a = s.transpose_b;
        to_a.transpose_b = true;
        to_a.a = b;
        to_a.b = dy;
        to_a.a_step = b_step;
        to_a.b_step = s.n;
    }
    if (da)
        TRAIN_NAME(train_multiply_shared)(&call->op, &to_a);
    struct train_gemm to_b = {.m = s.k,
                              .n = s.n,
                              .k = s.m,
                              .transpose_a = !s.transpose_a,
                              .a = a,
                              .b = dy,
                              .c = db,
                              .a_step = a_step,
                              .b_step = s.n,
                              .c_step = b_step,
                              .alpha = s.alpha};
    if (s.transpose_b) {
        to_b.m = s.n;
        to_b.n = s.k;
        to_b.transpose_a = true;
        to_b.transpose_b = s.transpose_a;
        to_b.a = dy;
        to_b.b = a;
        to_b.a_step = s.n;
        to_b.b_step = a_step;
    }
    if (db)
        TRAIN_NAME(train_multiply_shared)(&call->op, &to_b);
    if (train_input_gradient(call, 2))
        bias_gradient(call, &s, dy, train_input_gradient(call, 2));
}

const struct train_row TRAIN_NAME(train_row_gemm) = {.op = "Gemm",
                                                     .parameters = 1 << 1 | 1 << 2,
                                                     .prepare = prepare,
                                                     .forward = forward,
                                                     .backward = backward};
