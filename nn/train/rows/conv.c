/* Conv, as a product with what each output sees laid out in columns:
 *
 *     Y = W · columns(X) + b      dW = dY · columns(X)ᵀ    db = Σ dY    dX = uncolumns(Wᵀ · dY)
 *
 * for each group, with several images side by side where they are small. Windows of 3×3 that
 * move by one over many channels go Winograd's way instead (nn/train/conv_winograd.h), in
 * float. */
#include <errno.h>
#include <string.h>

#include "nn/ops/spatial.h"
#include "nn/train/columns.h"
#include "nn/train/conv_winograd.h"
#include "nn/train/fused.h"
#include "nn/train/row.h"

/* Positions that are worth a product of their own. */
enum { ENOUGH_POSITIONS = 512 };

/* Of all threads' columns: what counts of numbers can say, and more than memory has. */
#define NUMBERS_MAX 0x1p40

struct conv {
    struct nn_spatial_filters f;
    struct train_winograd *fast; /* NULL: none */
    int64_t together;            /* images in one product */
    size_t rows, positions;      /* of a group's columns: taps; outputs of an image */
    size_t scratch;              /* numbers of each thread */
    size_t weights;              /* numbers of all weights */
};

static int prepare(struct train_call *call)
{
    struct nn_op_call *op = &call->op;
    struct conv *c = nn_op_alloc(op, sizeof *c);
    if (!c)
        return -ENOMEM;
    int r = nn_spatial_filters(op, 1, 1, &c->f);
    if (r < 0)
        return r;
    op->state = c;
    const struct nn_spatial *s = &c->f.spatial;
    c->rows = (size_t)(c->f.in_channels * s->window_size);
    c->positions = (size_t)s->out_size;
    c->weights = (size_t)nn_shape_count(&op->inputs[1].shape);
    c->together = ENOUGH_POSITIONS / s->out_size + 1;
    if (c->together > c->f.batch / TRAIN_BATCH_PARTS)
        c->together = c->f.batch / TRAIN_BATCH_PARTS > 1 ? c->f.batch / TRAIN_BATCH_PARTS : 1;
    size_t columns = (size_t)c->together * c->positions;
    if ((double)columns * (double)(c->rows + (size_t)c->f.out_channels) * op->threads >
        NUMBERS_MAX)
        return nn_op_fail(op, -E2BIG, "its windows need too much memory");
    c->scratch = columns * (c->rows + (size_t)c->f.out_channels);
    size_t parts = TRAIN_BATCH_PARTS * (c->weights + (size_t)(c->f.groups * c->f.out_channels));
    size_t before_activation = (size_t)nn_shape_count(&op->outputs[0].shape);
    op->workspace_bytes =
        (parts + before_activation + (size_t)op->threads * c->scratch) * sizeof(real);
#ifndef TRAIN_DOUBLE
    return train_winograd_prepare(op, &c->f, &c->fast);
#else
    return 0;
#endif
}

struct job {
    const struct train_call *call;
    const struct conv *c;
    const real *dy; /* before the activation */
    real *weight_parts, *bias_parts, *scratch;
};

static struct job start(const struct train_call *call)
{
    const struct conv *c = call->op.state;
    struct job job = {.call = call, .c = c, .weight_parts = call->op.workspace};
    job.bias_parts = job.weight_parts + TRAIN_BATCH_PARTS * c->weights;
    real *masked =
        job.bias_parts + TRAIN_BATCH_PARTS * (size_t)(c->f.groups * c->f.out_channels);
    size_t count = (size_t)train_count(&call->op.outputs[0]);
    job.scratch = masked + count;
    if (call->output_gradients)
        job.dy = train_fused_backward(call, train_output_gradient(call, 0), masked, count);
    return job;
}

/* Images at..at + images - 1 of a group: where they are, and how they are laid out. */
struct piece {
    int64_t images, in_step, out_step; /* numbers from one image to the next */
    size_t columns;                    /* in all */
    int64_t x, y, weight, channel;     /* offsets; first output channel */
};

static struct piece piece_at(const struct conv *c, int64_t at, int64_t end, int64_t group)
{
    const struct nn_spatial *s = &c->f.spatial;
    struct piece p = {.images = end - at < c->together ? end - at : c->together,
                      .in_step = c->f.groups * c->f.in_channels * s->in_size,
                      .out_step = c->f.groups * c->f.out_channels * s->out_size,
                      .channel = group * c->f.out_channels};
    p.columns = (size_t)p.images * c->positions;
    p.x = at * p.in_step + group * c->f.in_channels * s->in_size;
    p.y = at * p.out_step + p.channel * s->out_size;
    p.weight = p.channel * (int64_t)c->rows;
    return p;
}

/* Output channels of a piece from one image after the other to columns, or back. */
static void gather_outputs(const struct conv *c, const struct piece *p, const real *y, real *to)
{
    for (int64_t o = 0; o < c->f.out_channels; o++)
        for (int64_t i = 0; i < p->images; i++, to += c->positions)
            memcpy(to, y + i * p->out_step + o * (int64_t)c->positions,
                   c->positions * sizeof *to);
}

static void scatter_outputs(const struct conv *c, const struct piece *p, const real *from,
                            real *y)
{
    for (int64_t o = 0; o < c->f.out_channels; o++)
        for (int64_t i = 0; i < p->images; i++, from += c->positions)
            memcpy(y + i * p->out_step + o * (int64_t)c->positions, from,
                   c->positions * sizeof *from);
}

static void forward_piece(const struct job *job, const struct piece *p, real *columns)
{
    const struct conv *c = job->c;
    const real *bias = train_input(job->call, 2);
    real *sums = columns + c->rows * p->columns, *y = train_output(job->call, 0) + p->y;
    TRAIN_NAME(train_lay_columns)
    (&c->f.spatial, c->f.in_channels, train_input(job->call, 0) + p->x, p->in_step, p->images,
     columns);
    real *into = p->images > 1 ? sums : y;
    struct train_gemm g = {.m = (size_t)c->f.out_channels,
                           .n = p->columns,
                           .k = c->rows,
                           .a = train_input(job->call, 1) + p->weight,
                           .b = columns,
                           .c = into,
                           .a_step = c->rows,
                           .b_step = p->columns,
                           .c_step = p->columns,
                           .alpha = 1};
    TRAIN_NAME(train_multiply)(&job->call->op, &g);
    for (size_t o = 0; o < g.m && bias; o++)
        for (size_t i = 0; i < g.n; i++)
            into[o * g.n + i] += bias[(size_t)p->channel + o];
    train_fused_forward(job->call, into, g.m * g.n);
    if (p->images > 1)
        scatter_outputs(c, p, sums, y);
}

static void forward_parts(void *data, int64_t first, int64_t end, int thread)
{
    const struct job *job = data;
    const struct conv *c = job->c;
    real *scratch = job->scratch + (size_t)thread * c->scratch;
    for (; first < end; first++) {
        int64_t to = train_batch_part(c->f.batch, first + 1);
        struct piece p;
        for (int64_t g = 0; g < c->f.groups; g++)
            for (int64_t at = train_batch_part(c->f.batch, first); at < to; at += p.images) {
                p = piece_at(c, at, to, g);
                forward_piece(job, &p, scratch);
            }
    }
}

static void backward_piece(const struct job *job, const struct piece *p, bool first, real *dw,
                           real *db, real *columns)
{
    const struct conv *c = job->c;
    const struct train_call *call = job->call;
    real *gathered = columns + c->rows * p->columns;
    const real *dy = job->dy + p->y;
    if (p->images > 1) {
        gather_outputs(c, p, dy, gathered);
        dy = gathered;
    }
    struct train_gemm g = {.m = (size_t)c->f.out_channels,
                           .n = c->rows,
                           .k = p->columns,
                           .transpose_b = true,
                           .a = dy,
                           .b = columns,
                           .c = dw + p->weight,
                           .a_step = p->columns,
                           .b_step = p->columns,
                           .c_step = c->rows,
                           .alpha = 1,
                           .beta = !first};
    if (train_input_gradient(call, 1)) {
        TRAIN_NAME(train_lay_columns)
        (&c->f.spatial, c->f.in_channels, train_input(call, 0) + p->x, p->in_step, p->images,
         columns);
        TRAIN_NAME(train_multiply)(&call->op, &g);
    }
    for (int64_t o = 0; o < c->f.out_channels && db; o++) {
        real sum = TRAIN_NAME(train_total)(&call->op, dy + (size_t)o * p->columns, p->columns);
        db[p->channel + o] = (first ? 0 : db[p->channel + o]) + sum;
    }
    if (!train_input_gradient(call, 0))
        return;
    struct train_gemm back = {.m = c->rows,
                              .n = p->columns,
                              .k = (size_t)c->f.out_channels,
                              .transpose_a = true,
                              .a = train_input(call, 1) + p->weight,
                              .b = dy,
                              .c = columns,
                              .a_step = c->rows,
                              .b_step = p->columns,
                              .c_step = p->columns,
                              .alpha = 1};
    TRAIN_NAME(train_multiply)(&call->op, &back);
    TRAIN_NAME(train_add_columns)
    (&c->f.spatial, c->f.in_channels, columns, p->in_step, p->images,
     train_input_gradient(call, 0) + p->x);
}

static void backward_parts(void *data, int64_t first, int64_t end, int thread)
{
    const struct job *job = data;
    const struct conv *c = job->c;
    size_t biases = (size_t)(c->f.groups * c->f.out_channels);
    real *scratch = job->scratch + (size_t)thread * c->scratch;
    for (; first < end; first++) {
        real *dw = job->weight_parts + (size_t)first * c->weights;
        real *db = job->bias_parts + (size_t)first * biases;
        int64_t from = train_batch_part(c->f.batch, first),
                to = train_batch_part(c->f.batch, first + 1);
        if (from == to) {
            memset(dw, 0, c->weights * sizeof *dw);
            memset(db, 0, biases * sizeof *db);
        }
        struct piece p;
        for (int64_t g = 0; g < c->f.groups; g++)
            for (int64_t at = from; at < to; at += p.images) {
                p = piece_at(c, at, to, g);
                backward_piece(job, &p, at == from, dw, db, scratch);
            }
    }
}

static double cost(const struct conv *c)
{
    return (double)c->f.batch * (double)c->positions * (double)c->weights;
}

static int forward(struct train_call *call)
{
    const struct conv *c = call->op.state;
    struct job job = start(call);
#ifndef TRAIN_DOUBLE
    if (c->fast) {
        train_winograd_forward(c->fast, call, job.scratch);
        return 0;
    }
#endif
    nn_op_parallel(&call->op, TRAIN_BATCH_PARTS, cost(c), forward_parts, &job);
    return 0;
}

static void backward(struct train_call *call)
{
    const struct conv *c = call->op.state;
    struct job job = start(call);
#ifndef TRAIN_DOUBLE
    if (c->fast) {
        train_winograd_backward(c->fast, call, job.dy, job.scratch);
        return;
    }
#endif
    if (train_input_gradient(call, 0))
        memset(train_input_gradient(call, 0), 0,
               (size_t)train_count(&call->op.inputs[0]) * sizeof(real));
    nn_op_parallel(&call->op, TRAIN_BATCH_PARTS, 3 * cost(c), backward_parts, &job);
    if (train_input_gradient(call, 1))
        TRAIN_NAME(train_sum_parts)
    (&call->op, job.weight_parts, c->weights, train_input_gradient(call, 1));
    if (train_input_gradient(call, 2))
        TRAIN_NAME(train_sum_parts)
    (&call->op, job.bias_parts, (size_t)(c->f.groups * c->f.out_channels),
     train_input_gradient(call, 2));
}

const struct train_row TRAIN_NAME(train_row_conv) = {.op = "Conv",
                                                     .parameters = 1 << 1 | 1 << 2,
                                                     .prepare = prepare,
                                                     .forward = forward,
                                                     .backward = backward};
