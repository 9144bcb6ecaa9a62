/* Elementwise operators of several operands, with broadcasting.
 *
 * The result is worked on in blocks. An operand that is broadcast is laid out for a block as it is
 * read, and its gradient, found for every element of a block, is added up to where it came from:
 * the loops in between know nothing of shapes. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/train/row.h"
#include "nn/walk.h"

enum { BLOCK = 1024, DIRECT = 3 };

/* n ≤ BLOCK elements of the result. Sum and Mean, whose slopes are the same everywhere, have
 * any number of operands and none of them here; others at most DIRECT. */
struct piece {
    const struct nn_op_call *call;
    size_t n;
    const real *in[DIRECT];
    real *y;
    const real *dy;
    real *to; /* slopes: the gradient of operand `operand` */
    int operand;
};

struct function {
    const char *op;
    void (*values)(const struct piece *p); /* NULL: operands are added up */
    void (*slopes)(const struct piece *p);
    int most; /* operands; 0: any number */
};

/* --- The functions ------------------------------------------------------------------------ */

static void copy_gradient(const struct piece *p)
{
    memcpy(p->to, p->dy, p->n * sizeof *p->to);
}

static void mean_slopes(const struct piece *p)
{
    TRAIN_NAME(train_affine)(p->call, p->to, p->dy, 1 / (real)p->call->input_count, 0, p->n);
}

static void sub_values(const struct piece *p)
{
    const real *restrict a = p->in[0], *restrict b = p->in[1];
    for (size_t i = 0; i < p->n; i++)
        p->y[i] = a[i] - b[i];
}

static void sub_slopes(const struct piece *p)
{
    TRAIN_NAME(train_affine)(p->call, p->to, p->dy, p->operand == 0 ? 1 : -1, 0, p->n);
}

static void mul_values(const struct piece *p)
{
    TRAIN_NAME(train_product)(p->call, p->y, p->in[0], p->in[1], p->n);
}

static void mul_slopes(const struct piece *p)
{
    TRAIN_NAME(train_product)(p->call, p->to, p->dy, p->in[1 - p->operand], p->n);
}

static void div_values(const struct piece *p)
{
    const real *restrict a = p->in[0], *restrict b = p->in[1];
    for (size_t i = 0; i < p->n; i++)
        p->y[i] = a[i] / b[i];
}

static void div_slopes(const struct piece *p)
{
    const real *restrict b = p->in[1];
    for (size_t i = 0; i < p->n && p->operand == 0; i++)
        p->to[i] = p->dy[i] / b[i];
    for (size_t i = 0; i < p->n && p->operand == 1; i++)
        p->to[i] = -p->dy[i] * p->y[i] / b[i];
}

static real power(real base, real exponent)
{
    return exponent == 2   ? base * base
           : exponent == 1 ? base
           : exponent == 3 ? base * base * base
                           : (real)pow((double)base, (double)exponent);
}

static void pow_values(const struct piece *p)
{
    for (size_t i = 0; i < p->n; i++)
        p->y[i] = power(p->in[0][i], p->in[1][i]);
}

/* Of the exponent, only where there is one: of a positive base. */
static void pow_slopes(const struct piece *p)
{
    const real *a = p->in[0], *b = p->in[1];
    for (size_t i = 0; i < p->n && p->operand == 0; i++)
        p->to[i] = b[i] == 0 ? 0 : p->dy[i] * b[i] * power(a[i], b[i] - 1);
    for (size_t i = 0; i < p->n && p->operand == 1; i++)
        p->to[i] = a[i] > 0 ? p->dy[i] * p->y[i] * (real)log((double)a[i]) : 0;
}

/* Of equals, the first is the maximum or minimum. NaN stays NaN. */
#define EXTREME(name, sign)                                                                    \
    static void name##_values(const struct piece *p)                                           \
    {                                                                                          \
        const real *a = p->in[0], *b = p->in[1];                                               \
        for (size_t i = 0; i < p->n; i++)                                                      \
            p->y[i] = b[i] sign a[i] || b[i] != b[i] ? b[i] : a[i];                            \
    }                                                                                          \
                                                                                               \
    static void name##_slopes(const struct piece *p)                                           \
    {                                                                                          \
        const real *a = p->in[0], *b = p->in[1];                                               \
        bool second = p->operand == 1;                                                         \
        for (size_t i = 0; i < p->n; i++)                                                      \
            p->to[i] = (b[i] sign a[i]) == second ? p->dy[i] : 0;                              \
    }
EXTREME(max, >)
EXTREME(min, <)

static void where_values(const struct piece *p)
{
    for (size_t i = 0; i < p->n; i++)
        p->y[i] = p->in[0][i] != 0 ? p->in[1][i] : p->in[2][i];
}

static void where_slopes(const struct piece *p)
{
    for (size_t i = 0; i < p->n; i++)
        p->to[i] = (p->in[0][i] != 0) == (p->operand == 1) ? p->dy[i] : 0;
}

static void prelu_values(const struct piece *p)
{
    for (size_t i = 0; i < p->n; i++)
        p->y[i] = p->in[0][i] < 0 ? p->in[0][i] * p->in[1][i] : p->in[0][i];
}

static void prelu_slopes(const struct piece *p)
{
    const real *x = p->in[0], *slope = p->in[1];
    for (size_t i = 0; i < p->n && p->operand == 0; i++)
        p->to[i] = x[i] < 0 ? p->dy[i] * slope[i] : p->dy[i];
    for (size_t i = 0; i < p->n && p->operand == 1; i++)
        p->to[i] = x[i] < 0 ? p->dy[i] * x[i] : 0;
}

static const struct function functions[] = {
    {"Add", NULL, copy_gradient, 0},          {"Div", div_values, div_slopes, 2},
    {"Max", max_values, max_slopes, 2},       {"Mean", NULL, mean_slopes, 0},
    {"Min", min_values, min_slopes, 2},       {"Mul", mul_values, mul_slopes, 2},
    {"PRelu", prelu_values, prelu_slopes, 2}, {"Pow", pow_values, pow_slopes, 2},
    {"Sub", sub_values, sub_slopes, 2},       {"Sum", NULL, copy_gradient, 0},
    {"Where", where_values, where_slopes, 3},
};

/* --- Operands ----------------------------------------------------------------------------- */

struct operand {
    struct nn_walk walk; /* over the result; operand 0 is this one */
    bool whole;          /* has the result's shape */
    int64_t count;
    size_t parts; /* where the parts of its gradient are in the workspace; if not whole */
};

struct elementwise {
    const struct function *function;
    int64_t count;
    struct operand *operands;
    int operand_count;
};

static int check(const struct nn_op_call *op, const struct function *f)
{
    if (op->opset < 7)
        return nn_op_fail(op, -ENOTSUP, "the broadcasting of opset %d is not trained",
                          op->opset);
    if (f->most > 0 && op->input_count != f->most)
        return nn_op_fail(op, -ENOTSUP, "%d operands are not trained, only %d", op->input_count,
                          f->most);
    for (int k = 0; k < op->input_count; k++) {
        enum nn_type type = op->inputs[k].type;
        if (type != NN_TYPE_FLOAT && type != NN_TYPE_BOOL && type != NN_TYPE_INT32 &&
            type != NN_TYPE_INT64)
            return nn_op_fail(op, -ENOTSUP, "operands of %s are not trained",
                              nn_type_name(type));
    }
    return 0;
}

static int prepare(struct train_call *call)
{
    struct nn_op_call *op = &call->op;
    struct elementwise *e = nn_op_alloc(op, sizeof *e);
    if (!e)
        return -ENOMEM;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (strcmp(functions[i].op, op->op->name) == 0)
            e->function = &functions[i];
    int r = check(op, e->function);
    if (r < 0)
        return r;
    e->operand_count = op->input_count;
    e->operands = nn_op_alloc(op, (size_t)op->input_count * sizeof *e->operands);
    if (!e->operands)
        return -ENOMEM;
    e->count = train_count(&op->outputs[0]);
    size_t parts = 0;
    for (int k = 0; k < e->operand_count; k++) {
        struct operand *o = &e->operands[k];
        o->count = train_count(&op->inputs[k]);
        o->whole = o->count == e->count;
        nn_walk_broadcast(&o->walk, &op->outputs[0].shape, &op->inputs[k].shape, NULL);
        o->parts = parts;
        if (!o->whole && op->inputs[k].type == NN_TYPE_FLOAT)
            parts += TRAIN_BATCH_PARTS * (size_t)o->count;
    }
    op->state = e;
    op->workspace_bytes = parts * sizeof(real);
    return 0;
}

/* Where the walk is at element `at` of the result: the cursor of its row, and what is behind
 * that in the row. */
static int64_t seek(const struct nn_walk *w, int64_t at, struct nn_walk_cursor *cursor)
{
    int64_t row = at / w->inner;
    *cursor = (struct nn_walk_cursor){0};
    for (int d = w->rank - 1; d >= 0; d--) {
        cursor->index[d] = row % w->dim[d];
        cursor->at[0] += cursor->index[d] * w->step[d][0];
        row /= w->dim[d];
    }
    return at % w->inner;
}

static real number_at(const struct nn_tensor *t, int64_t i)
{
    return t->type == NN_TYPE_FLOAT   ? ((const real *)t->data)[i]
           : t->type == NN_TYPE_BOOL  ? (real)(((const uint8_t *)t->data)[i] != 0)
           : t->type == NN_TYPE_INT32 ? (real)((const int32_t *)t->data)[i]
                                      : (real)((const int64_t *)t->data)[i];
}

/* n numbers of a row of the walk. */
static void read_row(const struct nn_tensor *t, int64_t at, int64_t step, size_t n, real *to)
{
    if (t->type == NN_TYPE_FLOAT && step == 1) {
        memcpy(to, (const real *)t->data + at, n * sizeof *to);
        return;
    }
    for (size_t i = 0; i < n; i++)
        to[i] = number_at(t, at + (int64_t)i * step);
}

/* The operand as elements at..at + n - 1 of the result see it; in `room` if need be. */
static const real *read_operand(const struct operand *o, const struct nn_tensor *t, int64_t at,
                                size_t n, real *room)
{
    if (o->whole && t->type == NN_TYPE_FLOAT)
        return (const real *)t->data + at;
    struct nn_walk_cursor c;
    int64_t within = seek(&o->walk, at, &c), step = o->walk.inner_step[0];
    for (size_t done = 0; done < n; within = 0) {
        size_t left = (size_t)(o->walk.inner - within),
               take = n - done < left ? n - done : left;
        read_row(t, c.at[0] + within * step, step, take, room + done);
        done += take;
        nn_walk_next(&o->walk, &c);
    }
    return room;
}

/* The other way: what each of those elements has for it is added to `sums`. */
static void add_to_operand(const struct nn_op_call *call, const struct operand *o, int64_t at,
                           size_t n, const real *from, real *sums)
{
    struct nn_walk_cursor c;
    int64_t within = seek(&o->walk, at, &c), step = o->walk.inner_step[0];
    for (size_t done = 0; done < n; within = 0) {
        size_t left = (size_t)(o->walk.inner - within),
               take = n - done < left ? n - done : left;
        real *to = sums + c.at[0] + within * step;
        if (step == 0)
            *to += TRAIN_NAME(train_total)(call, from + done, take);
        else
            TRAIN_NAME(train_add)(call, to, from + done, take);
        done += take;
        nn_walk_next(&o->walk, &c);
    }
}

/* --- Running ------------------------------------------------------------------------------ */

static int64_t block_count(const struct elementwise *e)
{
    return (e->count + BLOCK - 1) / BLOCK;
}

static struct piece piece_at(const struct train_call *call, int64_t block)
{
    const struct elementwise *e = call->op.state;
    int64_t at = block * BLOCK, left = e->count - at;
    return (struct piece){.call = &call->op,
                          .n = (size_t)(left < BLOCK ? left : BLOCK),
                          .y = train_output(call, 0) + at};
}

static void read_operands(const struct train_call *call, struct piece *p, int64_t at,
                          real (*room)[BLOCK])
{
    const struct elementwise *e = call->op.state;
    for (int k = 0; k < e->operand_count && e->function->values; k++)
        p->in[k] = read_operand(&e->operands[k], &call->op.inputs[k], at, p->n, room[k]);
}

static void sum_operands(const struct train_call *call, const struct piece *p, int64_t at)
{
    const struct elementwise *e = call->op.state;
    real room[BLOCK];
    for (int k = 0; k < e->operand_count; k++) {
        const real *x = read_operand(&e->operands[k], &call->op.inputs[k], at, p->n, room);
        if (k == 0)
            memcpy(p->y, x, p->n * sizeof *x);
        else
            TRAIN_NAME(train_add)(&call->op, p->y, x, p->n);
    }
    if (e->function->slopes == mean_slopes)
        TRAIN_NAME(train_affine)
    (&call->op, p->y, p->y, 1 / (real)e->operand_count, 0, p->n);
}

static void forward_blocks(void *data, int64_t first, int64_t end, int thread)
{
    const struct train_call *call = data;
    const struct elementwise *e = call->op.state;
    real room[DIRECT][BLOCK];
    (void)thread;
    for (; first < end; first++) {
        struct piece p = piece_at(call, first);
        if (e->function->values) {
            read_operands(call, &p, first * BLOCK, room);
            e->function->values(&p);
        } else {
            sum_operands(call, &p, first * BLOCK);
        }
    }
}

static int forward(struct train_call *call)
{
    const struct elementwise *e = call->op.state;
    nn_op_parallel(&call->op, block_count(e), (double)(e->operand_count + 1) * (double)e->count,
                   forward_blocks, call);
    return 0;
}

static real *sums_of(const struct train_call *call, const struct operand *o, int64_t part)
{
    return (real *)call->op.workspace + o->parts + part * o->count;
}

static void backward_block(const struct train_call *call, int64_t block, int64_t part)
{
    const struct elementwise *e = call->op.state;
    int64_t at = block * BLOCK;
    real room[DIRECT][BLOCK], slopes[BLOCK];
    struct piece p = piece_at(call, block);
    p.dy = train_output_gradient(call, 0) + at;
    read_operands(call, &p, at, room);
    for (p.operand = 0; p.operand < e->operand_count; p.operand++) {
        const struct operand *o = &e->operands[p.operand];
        real *to = train_input_gradient(call, p.operand);
        if (!to)
            continue;
        p.to = o->whole ? to + at : slopes;
        e->function->slopes(&p);
        if (!o->whole)
            add_to_operand(&call->op, o, at, p.n, slopes, sums_of(call, o, part));
    }
}

static void backward_parts(void *data, int64_t first, int64_t end, int thread)
{
    const struct train_call *call = data;
    const struct elementwise *e = call->op.state;
    (void)thread;
    for (; first < end; first++) {
        for (int k = 0; k < e->operand_count; k++)
            if (!e->operands[k].whole && train_input_gradient(call, k))
                memset(sums_of(call, &e->operands[k], first), 0,
                       (size_t)e->operands[k].count * sizeof(real));
        int64_t blocks = block_count(e);
        for (int64_t b = train_batch_part(blocks, first);
             b < train_batch_part(blocks, first + 1); b++)
            backward_block(call, b, first);
    }
}

static void backward(struct train_call *call)
{
    const struct elementwise *e = call->op.state;
    nn_op_parallel(&call->op, TRAIN_BATCH_PARTS, 3 * (double)e->count, backward_parts, call);
    for (int k = 0; k < e->operand_count; k++)
        if (!e->operands[k].whole && train_input_gradient(call, k))
            TRAIN_NAME(train_sum_parts)
    (&call->op, sums_of(call, &e->operands[k], 0), (size_t)e->operands[k].count,
     train_input_gradient(call, k));
}

/* Biases and scales are learned, but not lone numbers. */
#define ROW(name, type, ...)                                                                   \
    const struct train_row TRAIN_NAME(train_row_##name) = {                                    \
        .op = type, .prepare = prepare, .forward = forward, .backward = backward, __VA_ARGS__}

ROW(add, "Add", .parameters = 3, .arrays = 3);
ROW(div, "Div", .parameters = 0);
ROW(max, "Max", .parameters = 0);
ROW(mean, "Mean", .parameters = 0);
ROW(min, "Min", .parameters = 0);
ROW(mul, "Mul", .parameters = 3, .arrays = 3);
ROW(pow, "Pow", .parameters = 0);
ROW(prelu, "PRelu", .parameters = 2);
ROW(sub, "Sub", .parameters = 0);
ROW(sum, "Sum", .parameters = 0);
ROW(where, "Where", .fixed = 1);
