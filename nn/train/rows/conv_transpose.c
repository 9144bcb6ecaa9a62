/* ConvTranspose: what is backward in Conv is forward here, and the other way round. Columns are
 * those of the output, which windows slide over so that each sees one place of the input:
 *
 *     Y = uncolumns(Wᵀ · X) + b    dX = W · columns(dY)    dW = X · columns(dY)ᵀ    db = Σ dY
 *
 * for each group of each image. */
#include <errno.h>
#include <string.h>

#include "nn/train/columns.h"
#include "nn/train/row.h"

/* Of all threads' columns: what counts of numbers can say, and more than memory has. */
#define NUMBERS_MAX 0x1p40

struct transpose {
    struct nn_spatial s; /* `in` is the output's extents, `out` the input's */
    int64_t batch, groups;
    int64_t in_channels, out_channels; /* of one group */
    size_t rows, positions;            /* of a group's columns */
    size_t weights;                    /* numbers of all weights */
};

/* Pads as the extents of the output, which infer settled, leave them. */
static int read_pads(const struct nn_op_call *op, struct nn_spatial *s)
{
    int64_t extra[NN_SPATIAL_AXES];
    const char *mode = nn_op_string(op, "auto_pad", "NOTSET");
    int r = nn_spatial_list(op, "output_padding", s->axes, 0, 0, extra);
    if (r == 0 && strcmp(mode, "NOTSET") == 0)
        r = nn_spatial_pads(op, s->axes, s->pad_before, s->pad_after);
    bool same = strncmp(mode, "SAME", 4) == 0 || nn_op_has(op, "output_shape");
    for (int i = 0; i < NN_SPATIAL_AXES && r == 0 && same; i++) {
        int64_t full =
            s->stride[i] * (s->out[i] - 1) + extra[i] + (s->kernel[i] - 1) * s->dilation[i] + 1;
        nn_spatial_pad_evenly(s, i, full - s->in[i], strcmp(mode, "SAME_UPPER") == 0);
    }
    return r;
}

static int prepare(struct train_call *call)
{
    struct nn_op_call *op = &call->op;
    const struct nn_shape *x = &op->inputs[0].shape, *w = &op->inputs[1].shape;
    const struct nn_shape *y = &op->outputs[0].shape;
    struct transpose *c = nn_op_alloc(op, sizeof *c);
    if (!c)
        return -ENOMEM;
    struct nn_spatial *s = &c->s;
    int r = nn_spatial_window(op, w->dim + 2, w->rank - 2, s);
    if (r < 0)
        return r;
    s->in_size = s->out_size = s->window_size = 1;
    for (int i = 0; i < NN_SPATIAL_AXES; i++) {
        int d = i - NN_SPATIAL_AXES + s->axes;
        s->out[i] = s->in[i];
        s->in[i] = d < 0 ? 1 : y->dim[2 + d];
        s->in_size *= s->in[i];
        s->out_size *= s->out[i];
        s->window_size *= s->kernel[i];
    }
    r = read_pads(op, s);
    if (r < 0)
        return r;
    c->batch = x->dim[0];
    c->groups = nn_op_int(op, "group", 1);
    c->in_channels = w->dim[0] / c->groups;
    c->out_channels = w->dim[1];
    c->rows = (size_t)(c->out_channels * s->window_size);
    c->positions = (size_t)s->out_size;
    c->weights = (size_t)nn_shape_count(w);
    if ((double)c->rows * (double)c->positions * op->threads > NUMBERS_MAX)
        return nn_op_fail(op, -E2BIG, "its windows need too much memory");
    size_t parts = TRAIN_BATCH_PARTS * (c->weights + (size_t)y->dim[1]);
    op->workspace_bytes = (parts + (size_t)op->threads * c->rows * c->positions) * sizeof(real);
    op->state = c;
    return 0;
}

/* --- Forward ------------------------------------------------------------------------------ */

struct job {
    const struct train_call *call;
    const struct transpose *c;
    real *weight_parts, *bias_parts, *columns; /* columns: of each thread */
};

static struct job start(const struct train_call *call)
{
    const struct transpose *c = call->op.state;
    struct job job = {.call = call, .c = c, .weight_parts = call->op.workspace};
    job.bias_parts = job.weight_parts + TRAIN_BATCH_PARTS * c->weights;
    job.columns = job.bias_parts + TRAIN_BATCH_PARTS * (size_t)(c->groups * c->out_channels);
    return job;
}

/* Where group g of an image is: offsets. */
struct place {
    int64_t x, y, weight, channel;
};

static struct place place_of(const struct transpose *c, int64_t image, int64_t g)
{
    int64_t group = image * c->groups + g;
    return (struct place){.x = group * c->in_channels * c->s.out_size,
                          .y = group * c->out_channels * c->s.in_size,
                          .weight = g * c->in_channels * (int64_t)c->rows,
                          .channel = g * c->out_channels};
}

static void forward_group(const struct job *job, const struct place *p, real *columns)
{
    const struct transpose *c = job->c;
    const real *bias = train_input(job->call, 2);
    real *y = train_output(job->call, 0) + p->y;
    struct train_gemm g = {.m = c->rows,
                           .n = c->positions,
                           .k = (size_t)c->in_channels,
                           .transpose_a = true,
                           .a = train_input(job->call, 1) + p->weight,
                           .b = train_input(job->call, 0) + p->x,
                           .c = columns,
                           .a_step = c->rows,
                           .b_step = c->positions,
                           .c_step = c->positions,
                           .alpha = 1};
    TRAIN_NAME(train_multiply)(&job->call->op, &g);
    for (int64_t o = 0; o < c->out_channels; o++)
        for (int64_t i = 0; i < c->s.in_size; i++)
            y[o * c->s.in_size + i] = bias ? bias[p->channel + o] : 0;
    TRAIN_NAME(train_add_columns)(&c->s, c->out_channels, columns, 0, 1, y);
}

static void forward_images(void *data, int64_t first, int64_t end, int thread)
{
    const struct job *job = data;
    real *columns = job->columns + (size_t)thread * job->c->rows * job->c->positions;
    for (; first < end; first++)
        for (int64_t g = 0; g < job->c->groups; g++) {
            struct place p = place_of(job->c, first, g);
            forward_group(job, &p, columns);
        }
}

static double cost(const struct transpose *c)
{
    return (double)c->batch * (double)c->positions * (double)c->weights;
}

static int forward(struct train_call *call)
{
    struct job job = start(call);
    nn_op_parallel(&call->op, job.c->batch, cost(job.c), forward_images, &job);
    return 0;
}

/* --- Backward ----------------------------------------------------------------------------- */

/* dw and db have what came before. */
static void backward_group(const struct job *job, const struct place *p, real *dw, real *db,
                           real *columns)
{
    const struct transpose *c = job->c;
    const struct train_call *call = job->call;
    const real *dy = train_output_gradient(call, 0) + p->y;
    for (int64_t o = 0; o < c->out_channels; o++)
        db[p->channel + o] +=
            TRAIN_NAME(train_total)(&call->op, dy + o * c->s.in_size, (size_t)c->s.in_size);
    TRAIN_NAME(train_lay_columns)(&c->s, c->out_channels, dy, 0, 1, columns);
    struct train_gemm to_w = {.m = (size_t)c->in_channels,
                              .n = c->rows,
                              .k = c->positions,
                              .transpose_b = true,
                              .a = train_input(call, 0) + p->x,
                              .b = columns,
                              .c = dw + p->weight,
                              .a_step = c->positions,
                              .b_step = c->positions,
                              .c_step = c->rows,
                              .alpha = 1,
                              .beta = 1};
    if (train_input_gradient(call, 1))
        TRAIN_NAME(train_multiply)(&call->op, &to_w);
    if (!train_input_gradient(call, 0))
        return;
    struct train_gemm to_x = {.m = (size_t)c->in_channels,
                              .n = c->positions,
                              .k = c->rows,
                              .a = train_input(call, 1) + p->weight,
                              .b = columns,
                              .c = train_input_gradient(call, 0) + p->x,
                              .a_step = c->rows,
                              .b_step = c->positions,
                              .c_step = c->positions,
                              .alpha = 1};
    TRAIN_NAME(train_multiply)(&call->op, &to_x);
}

static void backward_parts(void *data, int64_t first, int64_t end, int thread)
{
    const struct job *job = data;
    const struct transpose *c = job->c;
    size_t biases = (size_t)(c->groups * c->out_channels);
    real *columns = job->columns + (size_t)thread * c->rows * c->positions;
    for (; first < end; first++) {
        real *dw = job->weight_parts + (size_t)first * c->weights;
        real *db = job->bias_parts + (size_t)first * biases;
        memset(dw, 0, c->weights * sizeof *dw);
        memset(db, 0, biases * sizeof *db);
        int64_t last = train_batch_part(c->batch, first + 1);
        for (int64_t i = train_batch_part(c->batch, first); i < last; i++)
            for (int64_t g = 0; g < c->groups; g++) {
                struct place p = place_of(c, i, g);
                backward_group(job, &p, dw, db, columns);
            }
    }
}

static void backward(struct train_call *call)
{
    struct job job = start(call);
    const struct transpose *c = job.c;
    nn_op_parallel(&call->op, TRAIN_BATCH_PARTS, 2 * cost(c), backward_parts, &job);
    if (train_input_gradient(call, 1))
        TRAIN_NAME(train_sum_parts)
    (&call->op, job.weight_parts, c->weights, train_input_gradient(call, 1));
    if (train_input_gradient(call, 2))
        TRAIN_NAME(train_sum_parts)
    (&call->op, job.bias_parts, (size_t)(c->groups * c->out_channels),
     train_input_gradient(call, 2));
}

const struct train_row TRAIN_NAME(train_row_conv_transpose) = {.op = "ConvTranspose",
                                                               .parameters = 1 << 1 | 1 << 2,
                                                               .prepare = prepare,
                                                               .forward = forward,
                                                               .backward = backward};
