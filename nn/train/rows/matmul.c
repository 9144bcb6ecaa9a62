/* MatMul: Y = A · B for every pair that the leading dimensions, broadcast together, make.
 *
 *     dA = dY · Bᵀ    dB = Aᵀ · dY
 *
 * What is broadcast gets the sum over all that it meets, in their order. Where many rows meet one
 * small B, as those of a batch meet weights, dB is made in parts of the rows. */
#include <errno.h>
#include <string.h>

#include "nn/ops/matmul.h"
#include "nn/train/row.h"

static bool has_parts(const struct nn_matmul *m)
{
    return nn_matmul_count(m) == 1 && m->m / TRAIN_BATCH_PARTS >= m->k;
}

static int prepare(struct train_call *call)
{
    struct nn_shape shape;
    struct nn_matmul *m = nn_op_alloc(&call->op, sizeof *m);
    if (!m)
        return -ENOMEM;
    call->op.state = m;
    int r = nn_matmul_init(&call->op, 0, 1, m, &shape);
    if (r == 0 && has_parts(m))
        call->op.workspace_bytes = TRAIN_BATCH_PARTS * (size_t)(m->k * m->n) * sizeof(real);
    return r;
}

struct job {
    const struct train_call *call;
    const struct nn_matmul *m;
    int to; /* backward: the input whose gradient is made */
};

static struct train_gemm forward_of(const struct job *job, int64_t product)
{
    const struct nn_matmul *m = job->m;
    int64_t at[2];
    nn_matmul_at(m, product, at);
    return (struct train_gemm){.m = (size_t)m->m,
                               .n = (size_t)m->n,
                               .k = (size_t)m->k,
                               .a = train_input(job->call, 0) + at[0],
                               .b = train_input(job->call, 1) + at[1],
                               .c = train_output(job->call, 0) + product * m->m * m->n,
                               .a_step = (size_t)m->k,
                               .b_step = (size_t)m->n,
                               .c_step = (size_t)m->n,
                               .alpha = 1};
}

/* beta 1 where the gradient is a sum. */
static struct train_gemm backward_of(const struct job *job, int64_t product, real beta)
{
    const struct nn_matmul *m = job->m;
    const real *dy = train_output_gradient(job->call, 0) + product * m->m * m->n;
    real *to = train_input_gradient(job->call, job->to);
    int64_t at[2];
    nn_matmul_at(m, product, at);
    struct train_gemm g = {.alpha = 1, .beta = beta, .c = to + at[job->to]};
    if (job->to == 0) {
        g.m = (size_t)m->m;
        g.n = (size_t)m->k;
        g.k = (size_t)m->n;
        g.a = dy;
        g.b = train_input(job->call, 1) + at[1];
        g.transpose_b = true;
    } else {
        g.m = (size_t)m->k;
        g.n = (size_t)m->n;
        g.k = (size_t)m->m;
        g.a = train_input(job->call, 0) + at[0];
        g.b = dy;
        g.transpose_a = true;
    }
    g.a_step = job->to == 0 ? (size_t)m->n : (size_t)m->k;
    g.b_step = (size_t)m->n;
    g.c_step = g.n;
    return g;
}

static void forward_products(void *data, int64_t first, int64_t end, int thread)
{
    const struct job *job = data;
    (void)thread;
    for (; first < end; first++) {
        struct train_gemm g = forward_of(job, first);
        TRAIN_NAME(train_multiply)(&job->call->op, &g);
    }
}

static void backward_products(void *data, int64_t first, int64_t end, int thread)
{
    const struct job *job = data;
    (void)thread;
    for (; first < end; first++) {
        struct train_gemm g = backward_of(job, first, 0);
        TRAIN_NAME(train_multiply)(&job->call->op, &g);
    }
}

/* dB of parts of A's rows. */
static void backward_parts(void *data, int64_t first, int64_t end, int thread)
{
    const struct job *job = data;
    (void)thread;
    for (; first < end; first++) {
        struct train_gemm g = backward_of(job, 0, 0);
        int64_t row = train_batch_part(job->m->m, first);
        g.k = (size_t)(train_batch_part(job->m->m, first + 1) - row);
        g.a += row * job->m->k;
        g.b += row * job->m->n;
        g.c = (real *)job->call->op.workspace + first * job->m->k * job->m->n;
        TRAIN_NAME(train_multiply)(&job->call->op, &g);
    }
}

static double cost(const struct nn_matmul *m)
{
    return (double)nn_matmul_count(m) * (double)m->m * (double)m->n * (double)m->k;
}

static int forward(struct train_call *call)
{
    const struct nn_matmul *m = call->op.state;
    struct job job = {.call = call, .m = m};
    if (nn_matmul_count(m) == 1) {
        struct train_gemm g = forward_of(&job, 0);
        TRAIN_NAME(train_multiply_shared)(&call->op, &g);
    } else {
        nn_op_parallel(&call->op, nn_matmul_count(m), cost(m), forward_products, &job);
    }
    return 0;
}

/* Whether each product has a part of that input to itself. */
static bool is_apart(const struct train_call *call, const struct nn_matmul *m, int input)
{
    int64_t size = input == 0 ? m->m * m->k : m->k * m->n;
    return train_count(&call->op.inputs[input]) == nn_matmul_count(m) * size;
}

static void backward_to(const struct train_call *call, int input)
{
    const struct nn_matmul *m = call->op.state;
    struct job job = {call, m, input};
    int64_t products = nn_matmul_count(m);
    if (products > 1 && is_apart(call, m, input)) {
        nn_op_parallel(&call->op, products, cost(m), backward_products, &job);
        return;
    }
    if (input == 1 && has_parts(m)) {
        nn_op_parallel(&call->op, TRAIN_BATCH_PARTS, cost(m), backward_parts, &job);
        TRAIN_NAME(train_sum_parts)
        (&call->op, call->op.workspace, (size_t)(m->k * m->n), train_input_gradient(call, 1));
        return;
    }
    if (products > 1)
        memset(train_input_gradient(call, input), 0,
               (size_t)train_count(&call->op.inputs[input]) * sizeof(real));
    for (int64_t p = 0; p < products; p++) {
        struct train_gemm g = backward_of(&job, p, products > 1);
        TRAIN_NAME(train_multiply_shared)(&call->op, &g);
    }
}

static void backward(struct train_call *call)
{
    for (int input = 0; input < 2; input++)
        if (train_input_gradient(call, input))
            backward_to(call, input);
}

const struct train_row TRAIN_NAME(train_row_matmul) = {.op = "MatMul",
                                                       .parameters = 3,
                                                       .prepare = prepare,
                                                       .forward = forward,
                                                       .backward = backward};
