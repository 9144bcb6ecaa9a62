/* Reductions along axes, those of global pooling among them. An extreme's gradient goes to the
 * first element that is it, which forward remembers. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/train/row.h"
#include "nn/walk.h"

enum kind { SUM, MEAN, SQUARES, LENGTH, MAX, MIN };

static const struct reduction {
    const char *op;
    enum kind kind;
    int axes_input_since; /* 0: all axes from 2 on, as of images */
} reductions[] = {
    {"GlobalAveragePool", MEAN, 0}, {"GlobalMaxPool", MAX, 0},        {"ReduceL2", LENGTH, 18},
    {"ReduceMax", MAX, 18},         {"ReduceMean", MEAN, 18},         {"ReduceMin", MIN, 18},
    {"ReduceSum", SUM, 13},         {"ReduceSumSquare", SQUARES, 18},
};

struct reduce {
    enum kind kind;
    struct nn_walk walk; /* over the input: operand 0 is it, 1 the output */
    int64_t outputs;
    real each; /* 1 / elements of one result */
};

static bool is_extreme(const struct reduce *s)
{
    return s->kind == MAX || s->kind == MIN;
}

static int read_axes(const struct nn_op_call *op, const struct reduction *r, bool *reduced)
{
    int rank = op->inputs[0].shape.rank;
    for (int d = 0; d < rank; d++)
        reduced[d] =
            r->axes_input_since == 0 ? d >= 2 : nn_op_int(op, "noop_with_empty_axes", 0) == 0;
    if (r->axes_input_since == 0)
        return 0;
    bool chosen[NN_MAX_RANK];
    int count = nn_op_axes(op, rank, r->axes_input_since, chosen);
    if (count > 0)
        memcpy(reduced, chosen, (size_t)rank * sizeof *reduced);
    return count < 0 ? count : 0;
}

static int prepare(struct train_call *call)
{
    struct nn_op_call *op = &call->op;
    const struct nn_shape *from = &op->inputs[0].shape;
    const struct reduction *row = reductions;
    struct reduce *s = nn_op_alloc(op, sizeof *s);
    if (!s)
        return -ENOMEM;
    while (strcmp(row->op, op->op->name) != 0)
        row++;
    bool reduced[NN_MAX_RANK];
    int r = read_axes(op, row, reduced);
    if (r < 0)
        return r;
    int64_t step[NN_MAX_RANK][2], in = 1, out = 1;
    for (int d = from->rank - 1; d >= 0; d--) {
        step[d][0] = in;
        step[d][1] = reduced[d] ? 0 : out;
        in *= from->dim[d];
        out *= reduced[d] ? 1 : from->dim[d];
    }
    nn_walk_make(&s->walk, from, step);
    s->kind = row->kind;
    s->outputs = out;
    s->each = (real)out / (real)in;
    op->state = s;
    if (is_extreme(s))
        call->saved_bytes = (size_t)out * sizeof(int64_t);
    return 0;
}

/* --- Stretches ---------------------------------------------------------------------------- */

/* The outermost loop's turns first..end - 1. */
struct job {
    const struct train_call *call;
    const struct reduce *s;
};

static struct nn_walk walk_of(const struct reduce *s, int64_t first, int64_t end,
                              struct nn_walk_cursor *cursor)
{
    struct nn_walk w = s->walk;
    *cursor = (struct nn_walk_cursor){0};
    for (int i = 0; i < 2; i++)
        cursor->at[i] = first * (w.rank > 0 ? w.step[0][i] : w.inner_step[i]);
    if (w.rank > 0)
        w.dim[0] = end - first;
    else
        w.inner = end - first;
    return w;
}

static int64_t turns(const struct reduce *s)
{
    return s->walk.rank > 0 ? s->walk.dim[0] : s->walk.inner;
}

/* Whether the turns of the outermost loop make outputs of their own. */
static bool is_apart(const struct reduce *s)
{
    return (s->walk.rank > 0 ? s->walk.step[0][1] : s->walk.inner_step[1]) != 0;
}

/* --- Forward ------------------------------------------------------------------------------ */

static void add_row(const struct train_call *call, const struct reduce *s, const real *x,
                    int64_t step, int64_t n, real *y)
{
    bool squares = s->kind == SQUARES || s->kind == LENGTH;
    if (step == 0)
        *y += squares ? TRAIN_NAME(train_squares)(&call->op, x, 0, (size_t)n)
                      : TRAIN_NAME(train_total)(&call->op, x, (size_t)n);
    else if (!squares)
        TRAIN_NAME(train_add)(&call->op, y, x, (size_t)n);
    else
        for (int64_t i = 0; i < n; i++)
            y[i] += x[i] * x[i];
}

/* y starts as the first element that is met; `best` knows where it is, -1 before. NaN wins. */
static void find_best(const struct reduce *s, const real *x, int64_t from, int64_t step,
                      int64_t n, real *y, int64_t *best)
{
    for (int64_t i = 0; i < n; i++) {
        real *to = y + i * step, v = x[from + i];
        bool better = s->kind == MAX ? v > *to : v < *to;
        if (best[i * step] < 0 || better || (v != v && *to == *to)) {
            *to = v;
            best[i * step] = from + i;
        }
    }
}

static void forward_turns(void *data, int64_t first, int64_t end, int thread)
{
    const struct job *job = data;
    const struct reduce *s = job->s;
    const real *x = train_input(job->call, 0);
    real *y = train_output(job->call, 0);
    int64_t *best = job->call->saved;
    struct nn_walk_cursor c;
    struct nn_walk w = walk_of(s, first, end, &c);
    (void)thread;
    do {
        if (is_extreme(s))
            find_best(s, x, c.at[0], w.inner_step[1], w.inner, y + c.at[1], best + c.at[1]);
        else
            add_row(job->call, s, x + c.at[0], w.inner_step[1], w.inner, y + c.at[1]);
    } while (nn_walk_next(&w, &c));
}

static int forward(struct train_call *call)
{
    const struct reduce *s = call->op.state;
    struct job job = {call, s};
    real *y = train_output(call, 0);
    memset(y, 0, (size_t)s->outputs * sizeof *y);
    if (is_extreme(s))
        memset(call->saved, -1, call->saved_bytes);
    if (is_apart(s))
        nn_op_parallel(&call->op, turns(s), (double)train_count(&call->op.inputs[0]),
                       forward_turns, &job);
    else
        forward_turns(&job, 0, turns(s), 0);
    for (int64_t i = 0; i < s->outputs && s->kind == LENGTH; i++)
        y[i] = (real)sqrt((double)y[i]);
    if (s->kind == MEAN)
        TRAIN_NAME(train_affine)(&call->op, y, y, s->each, 0, (size_t)s->outputs);
    return 0;
}

/* --- Backward ----------------------------------------------------------------------------- */

/* What an element gets: `share` of it, times itself where squares were added up. A vector of
 * length zero has no slope: 0. */
static real share(const struct reduce *s, real y, real dy)
{
    return s->kind == MEAN      ? dy * s->each
           : s->kind == SQUARES ? 2 * dy
           : s->kind == LENGTH  ? (y > 0 ? dy / y : 0)
                                : dy;
}

static void backward_turns(void *data, int64_t first, int64_t end, int thread)
{
    const struct job *job = data;
    const struct reduce *s = job->s;
    const real *x = train_input(job->call, 0), *y = train_output(job->call, 0);
    const real *dy = train_output_gradient(job->call, 0);
    real *dx = train_input_gradient(job->call, 0);
    bool times_x = s->kind == SQUARES || s->kind == LENGTH;
    struct nn_walk_cursor c;
    struct nn_walk w = walk_of(s, first, end, &c);
    (void)thread;
    do {
        real *to = dx + c.at[0];
        int64_t step = w.inner_step[1];
        const real *from = dy + c.at[1], *result = y + c.at[1];
        real one = share(s, *result, *from);
        for (int64_t i = 0; i < w.inner && step == 0; i++)
            to[i] = one;
        for (int64_t i = 0; i < w.inner && step != 0; i++)
            to[i] = share(s, result[i], from[i]);
        if (times_x)
            TRAIN_NAME(train_product)
        (&job->call->op, to, to, x + c.at[0], (size_t)w.inner);
    } while (nn_walk_next(&w, &c));
}

static void backward(struct train_call *call)
{
    const struct reduce *s = call->op.state;
    struct job job = {call, s};
    real *dx = train_input_gradient(call, 0);
    if (is_extreme(s)) {
        const int64_t *best = call->saved;
        memset(dx, 0, (size_t)train_count(&call->op.inputs[0]) * sizeof *dx);
        for (int64_t i = 0; i < s->outputs; i++)
            dx[best[i]] += train_output_gradient(call, 0)[i];
        return;
    }
    nn_op_parallel(&call->op, turns(s), (double)train_count(&call->op.inputs[0]),
                   backward_turns, &job);
}

#define REDUCTION(name, type)                                                                  \
    const struct train_row TRAIN_NAME(train_row_##name) = {.op = type,                         \
                                                           .fixed = 1 << 1,                    \
                                                           .prepare = prepare,                 \
                                                           .forward = forward,                 \
                                                           .backward = backward}

REDUCTION(global_average_pool, "GlobalAveragePool");
REDUCTION(global_max_pool, "GlobalMaxPool");
REDUCTION(reduce_l2, "ReduceL2");
REDUCTION(reduce_max, "ReduceMax");
REDUCTION(reduce_mean, "ReduceMean");
REDUCTION(reduce_min, "ReduceMin");
REDUCTION(reduce_sum, "ReduceSum");
REDUCTION(reduce_sum_square, "ReduceSumSquare");
