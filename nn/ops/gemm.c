/* Gemm and MatMul. */
#include <errno.h>
#include <string.h>

#include "nn/activation.h"
#include "nn/ops/dense.h"
#include "nn/ops/matmul.h"

/* Weights in the form the plan wants them in, if that is another than their own. */
static int prepare_dense(struct nn_op_call *call, const struct nn_gemm *g,
                         struct nn_panels *ret_dense)
{
    const struct nn_matrix matrix = {.values = call->inputs[1].data,
                                     .depth = (int64_t)g->k,
                                     .columns = (int64_t)g->n,
                                     .depth_step = g->transpose_b ? 1 : (int64_t)g->b_step,
                                     .column_step = g->transpose_b ? (int64_t)g->b_step : 1};
    return nn_dense_prepare(call, &matrix, (int64_t)g->m, ret_dense);
}

/* Gemm. */

struct gemm {
    struct nn_gemm product;      /* without the pointers */
    struct nn_panels dense;      /* has weights: they stand for input 1 */
    int64_t bias_row, bias_step; /* steps of C between rows and columns; 0: broadcast */
};

static int gemm_geometry(const struct nn_op_call *call, struct gemm *ret_gemm)
{
    const struct nn_shape *a = &call->inputs[0].shape, *b = &call->inputs[1].shape;
    if (a->rank != 2 || b->rank != 2)
        return nn_op_fail(call, -EINVAL, "its inputs have ranks %d and %d, not 2", a->rank,
                          b->rank);
    bool ta = nn_op_int(call, "transA", 0) != 0, tb = nn_op_int(call, "transB", 0) != 0;
    int64_t m = a->dim[ta], k = a->dim[!ta], n = b->dim[!tb];
    if (b->dim[tb] != k)
        return nn_op_fail(call, -EINVAL, "its inputs have %lld columns and %lld rows",
                          (long long)k, (long long)b->dim[tb]);
    int r = nn_matmul_check(call, m, n, k);
    if (r < 0)
        return r;
    struct gemm g = {
        .product = {.m = (size_t)m,
                    .n = (size_t)n,
                    .k = (size_t)k,
                    .transpose_a = ta,
                    .transpose_b = tb,
                    .a_step = (size_t)a->dim[1],
                    .b_step = (size_t)b->dim[1],
                    .c_step = (size_t)n,
                    .alpha = nn_op_float(call, "alpha", 1),
                    .beta = nn_op_float(call, "beta", 1)},
    };
    if (nn_op_has_input(call, 2)) {
        const struct nn_shape *c = &call->inputs[2].shape;
        int64_t rows = c->rank < 2 ? 1 : c->dim[0];
        int64_t columns = c->rank < 1 ? 1 : c->dim[c->rank - 1];
        bool whole = c->rank == 2 && rows == m && columns == n;
        bool broadcast = call->opset >= 7 || nn_op_int(call, "broadcast", 0) != 0;
        if (!whole && (!broadcast || c->rank > 2 || (rows != 1 && rows != m) ||
                       (columns != 1 && columns != n)))
            return nn_op_fail(call, -EINVAL, "its third input does not broadcast to %lldx%lld",
                              (long long)m, (long long)n);
        g.bias_row = rows == 1 ? 0 : columns;
        g.bias_step = columns == 1 ? 0 : 1;
    }
    *ret_gemm = g;
    return 0;
}

static int gemm_infer(struct nn_op_call *call)
{
    struct gemm g = {0};
    int r = nn_op_require_floats(call);
    if (r == 0)
        r = gemm_geometry(call, &g);
    if (r < 0)
        return r;
    call->outputs[0].type = NN_TYPE_FLOAT;
    call->outputs[0].shape =
        (struct nn_shape){.rank = 2, .dim = {(int64_t)g.product.m, (int64_t)g.product.n}};
    return 0;
}

static int gemm_prepare(struct nn_op_call *call)
{
    struct gemm *g = nn_op_alloc(call, sizeof *g);
    if (!g)
        return -ENOMEM;
    call->state = g;
    int r = gemm_geometry(call, g);
    const struct nn_gemm *p = &g->product;
    /* One row or one column lies the same way transposed. */
    if (r == 0 && (!p->transpose_a || p->m <= 1 || p->k <= 1) && p->alpha == 1)
        r = prepare_dense(call, p, &g->dense);
    call->workspace_bytes = r == 0 ? nn_dense_workspace_bytes(call, &g->dense, p) : 0;
    return r;
}

static void set_bias(const struct nn_op_call *call, const struct gemm *state, float *c)
{
    size_t m = state->product.m, n = state->product.n;
    if (!nn_op_has_input(call, 2)) {
        memset(c, 0, m * n * sizeof *c);
        return;
    }
    for (size_t i = 0; i < m; i++, c += n) {
        const float *bias = (const float *)call->inputs[2].data + (int64_t)i * state->bias_row;
        if (state->bias_step == 1)
            memcpy(c, bias, n * sizeof *c);
        for (size_t j = 0; j < n && state->bias_step == 0; j++)
            c[j] = *bias;
    }
}

static int gemm_forward(struct nn_op_call *call)
{
    const struct gemm *state = call->state;
    struct nn_gemm g = state->product;
    g.a = call->inputs[0].data;
    g.b = call->inputs[1].data;
    g.c = call->outputs[0].data;
    if (!nn_op_has_input(call, 2))
        g.beta = 0;
    set_bias(call, state, g.c);
    nn_dense_multiply(call, &state->dense, &g);
    if (call->activation != NN_ACTIVATION_NONE)
        nn_activation_apply(call, g.c, g.c, g.m * g.n);
    return 0;
}

/* Rows of the result are independent: A's rows may be frames when nothing else varies. */
static bool gemm_time(const struct nn_op_call *call, const int *in, int *out)
{
    struct gemm g = {0};
    if (gemm_geometry(call, &g) < 0 || in[0] != (g.product.transpose_a ? 1 : 0) ||
        in[1] != NN_TIME_NONE)
        return false;
    if (nn_op_has_input(call, 2) && (in[2] != NN_TIME_NONE || g.bias_row != 0))
        return false;
    out[0] = 0;
    return true;
}

static double gemm_macs(const struct nn_op_call *call)
{
    const struct nn_shape *a = &call->inputs[0].shape;
    bool transposed = nn_op_int(call, "transA", 0) != 0;
    return (double)nn_shape_count(&call->outputs[0].shape) * (double)a->dim[!transposed];
}

/* MatMul. */

struct matmul {
    struct nn_matmul shape;
    struct nn_gemm product; /* without the pointers */
    struct nn_panels dense; /* as for Gemm */
};

static int matmul_geometry(const struct nn_op_call *call, struct matmul *ret_matmul,
                           struct nn_shape *ret_shape)
{
    struct matmul mm = {0};
    int r = nn_matmul_init(call, 0, 1, &mm.shape, ret_shape);
    if (r < 0)
        return r;
    mm.product = (struct nn_gemm){.m = (size_t)mm.shape.m,
                                  .n = (size_t)mm.shape.n,
                                  .k = (size_t)mm.shape.k,
                                  .a_step = (size_t)mm.shape.k,
                                  .b_step = (size_t)mm.shape.n,
                                  .c_step = (size_t)mm.shape.n,
                                  .alpha = 1};
    *ret_matmul = mm;
    return 0;
}

static int matmul_infer(struct nn_op_call *call)
{
    struct matmul mm = {0};
    struct nn_shape shape;
    int r = nn_op_require_floats(call);
    if (r == 0)
        r = matmul_geometry(call, &mm, &shape);
    if (r < 0)
        return r;
    call->outputs[0].type = NN_TYPE_FLOAT;
    call->outputs[0].shape = shape;
    return 0;
}

static int matmul_prepare(struct nn_op_call *call)
{
    struct matmul *mm = nn_op_alloc(call, sizeof *mm);
    struct nn_shape shape;
    if (!mm)
        return -ENOMEM;
    call->state = mm;
    int r = matmul_geometry(call, mm, &shape);
    if (r == 0 && mm->shape.batch_rank == 0)
        r = prepare_dense(call, &mm->product, &mm->dense);
    call->workspace_bytes =
        r == 0 ? nn_dense_workspace_bytes(call, &mm->dense, &mm->product) : 0;
    return r;
}

static int matmul_forward(struct nn_op_call *call)
{
    const struct matmul *mm = call->state;
    struct nn_gemm g = mm->product;
    const float *a = call->inputs[0].data, *b = call->inputs[1].data;
    int64_t count = nn_matmul_count(&mm->shape);
    g.c = call->outputs[0].data;
    /* Not in ONNX: a row to add, which the planner folded in (nn/fuse.c). */
    if (nn_op_has_input(call, 2)) {
        for (size_t row = 0; row < (size_t)count * g.m; row++)
            memcpy(g.c + row * g.n, call->inputs[2].data, g.n * sizeof *g.c);
        g.beta = 1;
    }
    for (int64_t i = 0; i < count; i++, g.c += g.m * g.n) {
        int64_t at[2];
        nn_matmul_at(&mm->shape, i, at);
        g.a = a + at[0];
        g.b = b + at[1];
        nn_dense_multiply(call, &mm->dense, &g);
    }
    if (call->activation != NN_ACTIVATION_NONE) {
        float *y = call->outputs[0].data;
        nn_activation_apply(call, y, y, (size_t)count * g.m * g.n);
    }
    return 0;
}

static bool matmul_time(const struct nn_op_call *call, const int *in, int *out)
{
    return nn_matmul_time(call, 0, 1, in, out);
}

static double matmul_macs(const struct nn_op_call *call)
{
    const struct nn_shape *a = &call->inputs[0].shape;
    return (double)nn_shape_count(&call->outputs[0].shape) * (double)a->dim[a->rank - 1];
}

static const struct nn_attribute_rule gemm_attributes[] = {
    {"alpha", NN_ATTRIBUTE_FLOAT, 0, 0},   {"beta", NN_ATTRIBUTE_FLOAT, 0, 0},
    {"broadcast", NN_ATTRIBUTE_INT, 0, 6}, {"transA", NN_ATTRIBUTE_INT, 0, 0},
    {"transB", NN_ATTRIBUTE_INT, 0, 0},    {0},
};

const struct nn_op nn_op_gemm = {
    .name = "Gemm",
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_FUSES_ACTIVATION,
    .attributes = gemm_attributes,
    .infer = gemm_infer,
    .prepare = gemm_prepare,
    .forward = gemm_forward,
    .time = gemm_time,
    .macs = gemm_macs,
};

const struct nn_op nn_op_matmul = {
    .name = "MatMul",
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_FUSES_ACTIVATION,
    .infer = matmul_infer,
    .prepare = matmul_prepare,
    .forward = matmul_forward,
    .time = matmul_time,
    .macs = matmul_macs,
};
