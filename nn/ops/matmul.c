#include "nn/ops/matmul.h"

#include <errno.h>

/* OpenBLAS counts with 32 bits. */
int nn_matmul_check(const struct nn_op_call *call, int64_t m, int64_t n, int64_t k)
{
    if (m > INT32_MAX || n > INT32_MAX || k > INT32_MAX)
        return nn_op_fail(call, -E2BIG, "a product of %lldx%lld by %lldx%lld is too large",
                          (long long)m, (long long)k, (long long)k, (long long)n);
    return 0;
}

int nn_matmul_init(const struct nn_op_call *call, int a_input, int b_input,
                   struct nn_matmul *ret_matmul, struct nn_shape *ret_shape)
{
    struct nn_shape a = call->inputs[a_input].shape, b = call->inputs[b_input].shape;
    bool a_vector = a.rank == 1, b_vector = b.rank == 1;
    if (a.rank < 1 || b.rank < 1)
        return nn_op_fail(call, -EINVAL, "a number has no rows to multiply");
    if (a_vector)
        a = (struct nn_shape){.rank = 2, .dim = {1, a.dim[0]}};
    if (b_vector)
        b = (struct nn_shape){.rank = 2, .dim = {b.dim[0], 1}};
    int64_t m = a.dim[a.rank - 2], k = a.dim[a.rank - 1], n = b.dim[b.rank - 1];
    if (b.dim[b.rank - 2] != k)
        return nn_op_fail(call, -EINVAL, "its inputs have %lld columns and %lld rows",
                          (long long)k, (long long)b.dim[b.rank - 2]);
    struct nn_matmul mm = {.batch_rank = (a.rank > b.rank ? a.rank : b.rank) - 2};
    struct nn_shape shape = {.rank = mm.batch_rank};
    int64_t a_size = m * k, b_size = k * n;
    for (int i = mm.batch_rank - 1; i >= 0; i--) {
        int ai = i - mm.batch_rank + a.rank - 2, bi = i - mm.batch_rank + b.rank - 2;
        int64_t da = ai < 0 ? 1 : a.dim[ai], db = bi < 0 ? 1 : b.dim[bi];
        if (da != db && da != 1 && db != 1)
            return nn_op_fail(call, -EINVAL, "dimensions %lld and %lld do not broadcast",
                              (long long)da, (long long)db);
        mm.batch[i] = shape.dim[i] = da == 1 ? db : da;
        mm.a_step[i] = da == 1 ? 0 : a_size;
        mm.b_step[i] = db == 1 ? 0 : b_size;
        a_size *= da;
        b_size *= db;
    }
    if (!a_vector)
        shape.dim[shape.rank++] = m;
    if (!b_vector)
        shape.dim[shape.rank++] = n;
    if (b.rank == 2) {
        m = nn_shape_extent(&a, 0, a.rank - 1);
        mm.batch_rank = 0;
    }
    int r = nn_matmul_check(call, m, n, k);
    if (r < 0)
        return r;
    mm.m = m;
    mm.n = n;
    mm.k = k;
    *ret_matmul = mm;
    *ret_shape = shape;
    return 0;
}

int64_t nn_matmul_count(const struct nn_matmul *m)
{
    int64_t count = 1;
    for (int i = 0; i < m->batch_rank; i++)
        count *= m->batch[i];
    return count;
}

void nn_matmul_at(const struct nn_matmul *m, int64_t product, int64_t ret_at[2])
{
    ret_at[0] = ret_at[1] = 0;
    for (int axis = m->batch_rank - 1; axis >= 0; axis--) {
        int64_t at = product % m->batch[axis];
        product /= m->batch[axis];
        ret_at[0] += at * m->a_step[axis];
        ret_at[1] += at * m->b_step[axis];
    }
}

/* Time may be any axis of A but the summed one. Where it is a batch axis, B either has it too,
 * or does not vary along it. */
bool nn_matmul_time(const struct nn_op_call *call, int a_input, int b_input, const int *in,
                    int *out)
{
    const struct nn_shape *a = &call->inputs[a_input].shape;
    const struct nn_shape *b = &call->inputs[b_input].shape;
    int a_time = in[a_input], b_time = in[b_input];
    for (int i = 0; i < call->input_count; i++)
        if (i != a_input && i != b_input && in[i] != NN_TIME_NONE)
            return false;
    if (a_time == NN_TIME_NONE || a_time == a->rank - 1)
        return false;
    bool rows = a_time == a->rank - 2;
    int wider = b->rank > a->rank ? b->rank - a->rank : 0;
    int b_axis = a_time + b->rank - a->rank; /* of B, that meets A's time */
    if (b_time != NN_TIME_NONE) {
        if (b_time != b_axis || b_time >= b->rank - 2 || a->dim[a_time] != b->dim[b_time])
            return false;
    } else if (!rows && b->rank > 2 && b_axis >= 0 && b->dim[b_axis] != 1) {
        return false;
    }
    out[0] = a_time + wider;
    return true;
}
