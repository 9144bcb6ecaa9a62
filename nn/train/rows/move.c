/* Operators that move elements of one input without computing: each output is an element of it, or
 * a constant.
 *
 * Where from is what the operator itself says: prepare runs it over numbers that count the input's
 * elements. So a row needs nothing of its own here, and attributes and opsets are read in one
 * place. What lies together and stays together is moved as one.
 *
 *     y[i] = x[source[i]]    dx[j] = Σ dy[i] over all i with source[i] = j, in their order */
#include <errno.h>
#include <string.h>

#include "nn/ops/counts.h"
#include "nn/pool.h"
#include "nn/train/row.h"

struct move {
    int64_t length; /* elements moved as one: a cell */
    int64_t in_cells, out_cells;
    int32_t *source;          /* (out_cells) a cell of the input, or CONSTANT */
    int32_t *first, *readers; /* readers[first[j]..first[j + 1] - 1]: where cell j goes */
    real constant;
};

enum { CONSTANT = -1 };

/* --- What the operator does --------------------------------------------------------------- */

/* An operator's own tensors of floats are floats, in double too. */
static int copy_constants(const struct train_call *call, struct nn_pool *pool,
                          struct nn_tensor *inputs)
{
    const struct nn_op_call *op = &call->op;
    for (int i = 1; i < op->input_count; i++) {
        inputs[i] = op->inputs[i];
        if (inputs[i].type != NN_TYPE_FLOAT)
            continue;
        int64_t count = nn_shape_count(&inputs[i].shape);
        float *numbers = nn_pool_array(pool, (size_t)count, sizeof *numbers);
        if (!numbers)
            return -ENOMEM;
        for (int64_t n = 0; n < count; n++)
            numbers[n] = (float)train_input(call, i)[n];
        inputs[i].data = numbers;
    }
    return 0;
}

/* y: where each element of the output is from; or, `marked`, UINT32_MAX for all of them, so that
 * what is something else is a constant. Tensors of four bytes are moved as they are. */
static int run_operator(const struct train_call *call, struct nn_pool *pool, bool marked,
                        uint32_t **ret_y)
{
    struct nn_op_call op = call->op;
    size_t in = (size_t)train_count(&op.inputs[0]), out = (size_t)train_count(&op.outputs[0]);
    struct nn_tensor *inputs = nn_pool_array(pool, (size_t)op.input_count, sizeof *inputs);
    uint32_t *x = nn_pool_array(pool, in, sizeof *x), *y = nn_pool_array(pool, out, sizeof *y);
    if (!inputs || !x || !y || copy_constants(call, pool, inputs) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < in; i++)
        x[i] = marked ? UINT32_MAX : (uint32_t)i;
    struct nn_tensor output = op.outputs[0];
    inputs[0] = op.inputs[0];
    inputs[0].data = x;
    output.data = y;
    op.inputs = inputs;
    op.outputs = &output;
    op.output_count = 1;
    op.pool = pool;
    op.threads = 1;
    op.helpers = NULL;
    int r = op.op->prepare ? op.op->prepare(&op) : 0;
    if (r < 0)
        return r;
    op.workspace = nn_pool_alloc(pool, op.workspace_bytes);
    *ret_y = y;
    return op.workspace ? op.op->forward(&op) : -ENOMEM;
}

/* --- Cells -------------------------------------------------------------------------------- */

static int64_t greatest_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* The length of cells: divides every stretch of the output that is one of the input, or
 * constant, and where in the input it begins. */
static int64_t cell_length(const uint32_t *from, const uint32_t *marks, int64_t out, int64_t in)
{
    int64_t length = in, begin = 0;
    for (int64_t i = 1; i <= out && length > 1; i++) {
        bool moved = i < out && marks[i] == UINT32_MAX, was = marks[i - 1] == UINT32_MAX;
        if (i < out && moved == was && (!moved || from[i] == from[i - 1] + 1))
            continue;
        length = greatest_divisor(length, i - begin);
        if (was)
            length = greatest_divisor(length, from[begin]);
        begin = i;
    }
    return length;
}

static int make_readers(struct nn_op_call *op, struct move *m)
{
    m->first = nn_op_alloc(op, (size_t)(m->in_cells + 2) * sizeof *m->first);
    m->readers = nn_op_alloc(op, (size_t)m->out_cells * sizeof *m->readers);
    if (!m->first || !m->readers)
        return -ENOMEM;
    /* Counted two places further on, so that filling moves every first to its own. */
    for (int64_t i = 0; i < m->out_cells; i++)
        if (m->source[i] != CONSTANT)
            m->first[m->source[i] + 2]++;
    for (int64_t j = 2; j < m->in_cells + 2; j++)
        m->first[j] += m->first[j - 1];
    for (int64_t i = 0; i < m->out_cells; i++)
        if (m->source[i] != CONSTANT)
            m->readers[m->first[m->source[i] + 1]++] = (int32_t)i;
    return 0;
}

static int make_cells(struct nn_op_call *op, struct move *m, const uint32_t *from,
                      const uint32_t *marks)
{
    int64_t in = train_count(&op->inputs[0]), out = train_count(&op->outputs[0]);
    m->length = cell_length(from, marks, out, in);
    m->in_cells = in / m->length;
    m->out_cells = out / m->length;
    m->source = nn_op_alloc(op, (size_t)m->out_cells * sizeof *m->source);
    if (!m->source)
        return -ENOMEM;
    for (int64_t i = 0; i < m->out_cells; i++) {
        int64_t at = i * m->length;
        bool constant = marks[at] != UINT32_MAX;
        if (!constant && from[at] >= in)
            return nn_op_fail(op, -ENOTSUP, "what it does is not trained");
        m->source[i] = constant ? CONSTANT : (int32_t)(from[at] / m->length);
        if (constant) {
            float value;
            memcpy(&value, &marks[at], sizeof value);
            m->constant = (real)value;
        }
    }
    return make_readers(op, m);
}

static int prepare(struct train_call *call)
{
    struct nn_op_call *op = &call->op;
    struct move *m = nn_op_alloc(op, sizeof *m);
    if (!m)
        return -ENOMEM;
    for (int i = 1; i < op->input_count; i++)
        if (nn_op_has_input(op, i) && !nn_op_is_constant(op, i))
            return nn_op_fail(op, -ENOTSUP, "input %d must be a constant to be trained", i);
    const char *mode = nn_op_string(op, "mode", "");
    if (strstr(mode, "linear") || strcmp(mode, "cubic") == 0)
        return nn_op_fail(op, -ENOTSUP, "mode '%.20s' is not trained", mode);
    int64_t in = train_count(&op->inputs[0]), out = train_count(&op->outputs[0]);
    if (in > INT32_MAX - 2 || out > INT32_MAX)
        return nn_op_fail(op, -E2BIG, "it moves too many numbers");
    if (in == 0)
        return nn_op_fail(op, -ENOTSUP, "nothing is learned from an empty tensor");
    struct nn_pool scratch;
    nn_pool_init(&scratch, SIZE_MAX / 2);
    uint32_t *from = NULL, *marks = NULL;
    int r = run_operator(call, &scratch, false, &from);
    if (r == 0)
        r = run_operator(call, &scratch, true, &marks);
    if (r == 0)
        r = make_cells(op, m, from, marks);
    nn_pool_finish(&scratch);
    op->state = m;
    return r;
}

/* --- Running ------------------------------------------------------------------------------ */

/* Cells of a share of work. */
static int64_t share_of(const struct move *m)
{
    return 4096 / m->length + 1;
}

static void forward_shares(void *data, int64_t first, int64_t end, int thread)
{
    const struct train_call *call = data;
    const struct move *m = call->op.state;
    const real *x = train_input(call, 0);
    int64_t last = nn_count_least(end * share_of(m), m->out_cells), length = m->length;
    (void)thread;
    for (int64_t i = first * share_of(m); i < last; i++) {
        real *y = train_output(call, 0) + i * length;
        int64_t from = m->source[i];
        if (from != CONSTANT && length == 1)
            *y = x[from];
        else if (from != CONSTANT)
            memcpy(y, x + from * length, (size_t)length * sizeof *y);
        else
            for (int64_t j = 0; j < length; j++)
                y[j] = m->constant;
    }
}

static void backward_shares(void *data, int64_t first, int64_t end, int thread)
{
    const struct train_call *call = data;
    const struct move *m = call->op.state;
    const real *dy = train_output_gradient(call, 0);
    int64_t last = nn_count_least(end * share_of(m), m->in_cells), length = m->length;
    (void)thread;
    for (int64_t i = first * share_of(m); i < last; i++) {
        real *dx = train_input_gradient(call, 0) + i * length;
        int32_t reader = m->first[i], readers = m->first[i + 1];
        if (length == 1) {
            *dx = reader < readers ? dy[m->readers[reader]] : 0;
            while (++reader < readers)
                *dx += dy[m->readers[reader]];
            continue;
        }
        if (reader == readers)
            memset(dx, 0, (size_t)length * sizeof *dx);
        else
            memcpy(dx, dy + m->readers[reader] * length, (size_t)length * sizeof *dx);
        while (++reader < readers)
            for (int64_t j = 0; j < length; j++)
                dx[j] += dy[m->readers[reader] * length + j];
    }
}

static int forward(struct train_call *call)
{
    const struct move *m = call->op.state;
    nn_op_parallel(&call->op, (m->out_cells + share_of(m) - 1) / share_of(m),
                   2 * (double)train_count(&call->op.outputs[0]), forward_shares, call);
    return 0;
}

static void backward(struct train_call *call)
{
    const struct move *m = call->op.state;
    nn_op_parallel(&call->op, (m->in_cells + share_of(m) - 1) / share_of(m),
                   2 * (double)train_count(&call->op.outputs[0]), backward_shares, call);
}

#define MOVE(name, type)                                                                       \
    const struct train_row TRAIN_NAME(train_row_##name) = {.op = type,                         \
                                                           .fixed = ~1u,                       \
                                                           .moves = true,                      \
                                                           .prepare = prepare,                 \
                                                           .forward = forward,                 \
                                                           .backward = backward}

MOVE(depth_to_space, "DepthToSpace");
MOVE(expand, "Expand");
MOVE(pad, "Pad");
MOVE(resize, "Resize");
MOVE(slice, "Slice");
MOVE(space_to_depth, "SpaceToDepth");
MOVE(tile, "Tile");
MOVE(transpose, "Transpose");
MOVE(upsample, "Upsample");
