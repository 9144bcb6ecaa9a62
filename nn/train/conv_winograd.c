#include "nn/train/conv_winograd.h"

#include <errno.h>
#include <string.h>

#include "nn/arena.h"
#include "nn/ops/counts.h"
#include "nn/ops/winograd.h"

enum { STEP = NN_PANEL_STEP };

/* Parts of a batch that add up a gradient each: few, since each is four times the weights. */
enum { PARTS = 4 };

/* Floats of transformed tiles that are multiplied together: more make products longer, fewer
 * leave them in the second-level cache. */
#define STRIP_FLOATS 393216

/* What dW is made of: tiles of inputs and of outputs' gradients, channels in the lanes. */
struct tiles {
    size_t m, elements;
    int64_t lines, line_tiles;  /* of an image; tiles of a line */
    size_t in_depth, out_depth; /* channels, rounded up to STEP */
    size_t strip;               /* lines that are multiplied together */
    size_t v_step, p_step;      /* floats between elements */
    size_t line;                /* floats of a line laid out */
    size_t scratch, sums;       /* floats of a thread; of a part */
};

struct train_winograd {
    const struct nn_spatial_filters *f;
    struct nn_winograd forward, backward;
    struct tiles tiles;
    size_t weights; /* floats, the larger of both directions */
    size_t work;    /* floats of nn_winograd_run, likewise */
};

/* dY's geometry: the convolution that gives dX. */
static struct nn_spatial turn(const struct nn_spatial *s)
{
    struct nn_spatial t = *s;
    for (int a = 0; a < NN_SPATIAL_AXES; a++) {
        t.in[a] = s->out[a];
        t.out[a] = s->in[a];
        t.pad_before[a] = s->kernel[a] - 1 - s->pad_before[a];
        t.pad_after[a] = s->kernel[a] - 1 - s->pad_after[a];
    }
    t.in_size = s->out_size;
    t.out_size = s->in_size;
    return t;
}

static struct tiles find_tiles(const struct nn_spatial_filters *f)
{
    const struct nn_spatial *s = &f->spatial;
    struct tiles t = {.m = s->out[1] <= 2 && s->out[2] <= 2 ? 2 : 4};
    int64_t m = (int64_t)t.m;
    t.elements = (t.m + 2) * (t.m + 2);
    t.lines = nn_count_pieces(s->out[1], m);
    t.line_tiles = nn_count_pieces(s->out[2], m);
    t.in_depth = (size_t)nn_count_pieces(f->in_channels, STEP) * STEP;
    t.out_depth = (size_t)nn_count_pieces(f->out_channels, STEP) * STEP;
    size_t floats = t.elements * (size_t)t.line_tiles * (t.in_depth + t.out_depth);
    t.strip = STRIP_FLOATS / floats > 1 ? STRIP_FLOATS / floats : 1;
    t.v_step = t.strip * (size_t)t.line_tiles * t.in_depth + STEP;
    t.p_step = t.strip * (size_t)t.line_tiles * t.out_depth + STEP;
    t.line = (t.m + 2) * (size_t)(t.line_tiles * m + 2) * STEP;
    t.scratch = t.elements * (t.v_step + t.p_step) + t.line;
    t.sums = t.elements * t.in_depth * t.out_depth;
    return t;
}

int train_winograd_prepare(struct nn_op_call *op, const struct nn_spatial_filters *f,
                           struct train_winograd **ret_fast)
{
    const struct nn_spatial *s = &f->spatial;
    *ret_fast = NULL;
    if (!op->kernels->winograd_tiles_gradient || f->groups != 1 || s->axes != 2 ||
        f->in_channels < STEP || f->out_channels < STEP)
        return 0;
    for (int a = 1; a < NN_SPATIAL_AXES; a++)
        if (s->kernel[a] != 3 || s->stride[a] != 1 || s->dilation[a] != 1 ||
            s->pad_before[a] > 2 || s->pad_after[a] > 2)
            return 0;
    struct nn_spatial t = turn(s);
    struct nn_winograd_way there =
        nn_winograd_choose(op->kernels, s, f->in_channels, f->out_channels, false);
    struct nn_winograd_way back =
        nn_winograd_choose(op->kernels, &t, f->out_channels, f->in_channels, false);
    if (there.m == 0 || back.m == 0)
        return 0;
    struct train_winograd *w = nn_op_alloc(op, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->f = f;
    w->forward = nn_winograd_init(there, op->kernels, s, f->batch, f->in_channels,
                                  f->out_channels, false);
    w->backward = nn_winograd_init(back, op->kernels, &t, f->batch, f->out_channels,
                                   f->in_channels, false);
    w->tiles = find_tiles(f);
    size_t a = nn_winograd_weight_floats(&w->forward);
    size_t b = nn_winograd_weight_floats(&w->backward);
    w->weights = nn_arena_aligned((a > b ? a : b) * sizeof(float)) / sizeof(float);
    a = nn_winograd_workspace_floats(&w->forward, op->kernels, op->threads);
    b = nn_winograd_workspace_floats(&w->backward, op->kernels, op->threads);
    w->work = a > b ? a : b;
    a = (size_t)op->threads * w->tiles.scratch + PARTS * w->tiles.sums;
    op->workspace_bytes += (w->weights + (w->work > a ? w->work : a)) * sizeof(float);
    *ret_fast = w;
    return 0;
}

void train_winograd_forward(const struct train_winograd *w, const struct train_call *call,
                            float *workspace)
{
    nn_winograd_pack(&w->forward, train_input(call, 1), workspace);
    nn_winograd_run(&w->forward, &call->op, train_input(call, 0), workspace,
                    train_input(call, 2), NULL, train_output(call, 0), workspace + w->weights);
}

/* --- dX ------------------------------------------------------------------------------------ */

/* Weight (out, in, 3, 3) to (in, out, 3, 3), each turned round. */
static void turn_weights(const struct nn_spatial_filters *f, const float *weight, float *turned)
{
    for (int64_t c = 0; c < f->in_channels; c++)
        for (int64_t o = 0; o < f->out_channels; o++, turned += 9)
            for (int64_t i = 0; i < 9; i++)
                turned[i] = weight[(o * f->in_channels + c) * 9 + 8 - i];
}

/* --- dW ------------------------------------------------------------------------------------ */

struct job {
    const struct train_winograd *w;
    const struct nn_kernels *k;
    const float *x, *dy;
    float *sums, *scratch; /* of the first part; of the first thread */
};

/* STEP channels of some rows of an image, with `before` columns of zeros at the left, zeros for
 * rows that are not there, and zeros to the end of each row. */
static void lay_rows(const struct nn_kernels *k, const float *x, int64_t height, int64_t width,
                     int64_t row, int64_t rows, int64_t before, int64_t columns,
                     size_t channels, float *to)
{
    int64_t there = nn_count_least(width, columns - before);
    for (int64_t end = row + rows; row < end; row++, to += columns * STEP) {
        if (row < 0 || row >= height) {
            memset(to, 0, (size_t)(columns * STEP) * sizeof *to);
            continue;
        }
        memset(to, 0, (size_t)(before * STEP) * sizeof *to);
        k->transpose(to + before * STEP, STEP, x + row * width, (size_t)(height * width),
                     channels, (size_t)there);
        memset(to + (before + there) * STEP, 0,
               (size_t)((columns - before - there) * STEP) * sizeof *to);
    }
}

/* One line of tiles of X, all channels. */
static void transform_inputs(const struct job *job, int64_t image, int64_t line, float *laid,
                             float *v)
{
    const struct tiles *t = &job->w->tiles;
    const struct nn_spatial_filters *f = job->w->f;
    const struct nn_spatial *s = &f->spatial;
    int64_t m = (int64_t)t->m, columns = t->line_tiles * m + 2;
    struct nn_winograd_tiles_in in = {.m = t->m,
                                      .x = laid,
                                      .x_step = (size_t)columns * STEP,
                                      .n = (size_t)t->line_tiles,
                                      .v_step = t->v_step,
                                      .tile_step = t->in_depth};
    for (int64_t c = 0; c < f->in_channels; c += STEP) {
        lay_rows(job->k, job->x + (image * f->in_channels + c) * s->in_size, s->in[1], s->in[2],
                 line * m - s->pad_before[1], m + 2, s->pad_before[2], columns,
                 (size_t)nn_count_least(STEP, f->in_channels - c), laid);
        in.v = v + c;
        job->k->winograd_tiles_in(&in);
    }
}

static void transform_gradients(const struct job *job, int64_t image, int64_t line, float *laid,
                                float *p)
{
    const struct tiles *t = &job->w->tiles;
    const struct nn_spatial_filters *f = job->w->f;
    const struct nn_spatial *s = &f->spatial;
    int64_t m = (int64_t)t->m, columns = t->line_tiles * m;
    struct nn_winograd_tiles_in in = {.m = t->m,
                                      .x = laid,
                                      .x_step = (size_t)columns * STEP,
                                      .n = (size_t)t->line_tiles,
                                      .v_step = t->p_step,
                                      .tile_step = t->out_depth};
    for (int64_t c = 0; c < f->out_channels; c += STEP) {
        lay_rows(job->k, job->dy + (image * f->out_channels + c) * s->out_size, s->out[1],
                 s->out[2], line * m, m, 0, columns,
                 (size_t)nn_count_least(STEP, f->out_channels - c), laid);
        in.v = p + c;
        job->k->winograd_tiles_gradient(&in);
    }
}

/* Σ over the tiles of a part, (elements, in_depth, out_depth). */
static void add_part(const struct job *job, int64_t part, float *scratch)
{
    const struct tiles *t = &job->w->tiles;
    int64_t batch = job->w->f->batch, end = batch * (part + 1) / PARTS * t->lines;
    float *sums = job->sums + (size_t)part * t->sums;
    float *v = scratch, *p = v + t->elements * t->v_step, *laid = p + t->elements * t->p_step;
    struct nn_gemm g = {.m = t->in_depth,
                        .n = t->out_depth,
                        .transpose_a = true,
                        .a_step = t->in_depth,
                        .b_step = t->out_depth,
                        .c_step = t->out_depth,
                        .alpha = 1};
    int64_t line = batch * part / PARTS * t->lines;
    if (line == end)
        memset(sums, 0, t->sums * sizeof *sums);
    while (line < end) {
        size_t lines = 0;
        for (; lines < t->strip && line < end; lines++, line++) {
            size_t tile = lines * (size_t)t->line_tiles;
            transform_inputs(job, line / t->lines, line % t->lines, laid,
                             v + tile * t->in_depth);
            transform_gradients(job, line / t->lines, line % t->lines, laid,
                                p + tile * t->out_depth);
        }
        g.k = lines * (size_t)t->line_tiles;
        for (size_t e = 0; e < t->elements; e++) {
            g.a = v + e * t->v_step;
            g.b = p + e * t->p_step;
            g.c = sums + e * t->in_depth * t->out_depth;
            job->k->gemm(&g);
        }
        g.beta = 1;
    }
}

static void add_parts(void *data, int64_t first, int64_t end, int thread)
{
    const struct job *job = data;
    for (; first < end; first++)
        add_part(job, first, job->scratch + (size_t)thread * job->w->tiles.scratch);
}

/* Gᵀ u G of the sums of all parts, for `count` outputs at once: to (3, 3, count). */
static void finish_filters(const struct tiles *t, const float *sums, size_t count, float *to)
{
    const double(*g)[3] = nn_winograd_filter_transform(t->m);
    size_t side = t->m + 2, element = t->in_depth * t->out_depth;
    memset(to, 0, 9 * count * sizeof *to);
    for (size_t r = 0; r < side; r++)
        for (size_t c = 0; c < side; c++) {
            const float *from = sums + (r * side + c) * element;
            for (size_t i = 0; i < 3; i++)
                for (size_t j = 0; j < 3; j++) {
                    float factor = (float)(g[r][i] * g[c][j]);
                    float *sum = to + (i * 3 + j) * count;
                    for (size_t o = 0; o < count && factor != 0; o++)
                        sum[o] += factor * from[o];
                }
        }
}

static void finish_weights(const struct job *job, float *dw)
{
    const struct tiles *t = &job->w->tiles;
    const struct nn_spatial_filters *f = job->w->f;
    for (size_t part = 1; part < PARTS; part++)
        job->k->add(job->sums, job->sums, job->sums + part * t->sums, t->sums);
    float *filters = job->scratch;
    size_t outputs = (size_t)f->out_channels;
    for (int64_t c = 0; c < f->in_channels; c++) {
        finish_filters(t, job->sums + (size_t)c * t->out_depth, outputs, filters);
        for (size_t o = 0; o < outputs; o++)
            for (size_t i = 0; i < 9; i++)
                dw[(o * (size_t)f->in_channels + (size_t)c) * 9 + i] = filters[i * outputs + o];
    }
}

static void bias_gradient(const struct train_winograd *w, const struct nn_kernels *k,
                          const float *dy, float *db)
{
    const struct nn_spatial_filters *f = w->f;
    memset(db, 0, (size_t)f->out_channels * sizeof *db);
    for (int64_t i = 0; i < f->batch; i++)
        for (int64_t o = 0; o < f->out_channels; o++, dy += f->spatial.out_size)
            db[o] += k->sum(dy, (size_t)f->spatial.out_size);
}

void train_winograd_backward(const struct train_winograd *w, const struct train_call *call,
                             const float *dy, float *workspace)
{
    const struct nn_spatial_filters *f = w->f;
    struct nn_op_call op = call->op;
    float *dx = train_input_gradient(call, 0), *dw = train_input_gradient(call, 1);
    if (dx) {
        /* Where the products will be, until they are packed. */
        float *turned = workspace + w->weights;
        op.activation = NN_ACTIVATION_NONE;
        turn_weights(f, train_input(call, 1), turned);
        nn_winograd_pack(&w->backward, turned, workspace);
        nn_winograd_run(&w->backward, &op, dy, workspace, NULL, NULL, dx,
                        workspace + w->weights);
    }
    struct job job = {.w = w,
                      .k = op.kernels,
                      .x = train_input(call, 0),
                      .dy = dy,
                      .sums = workspace + w->weights};
    job.scratch = job.sums + PARTS * w->tiles.sums;
    double products = (double)f->batch * (double)(w->tiles.lines * w->tiles.line_tiles) *
                      (double)w->tiles.sums;
    if (dw) {
        nn_op_parallel(&op, PARTS, products, add_parts, &job);
        finish_weights(&job, dw);
    }
    if (train_input_gradient(call, 2))
        bias_gradient(w, op.kernels, dy, train_input_gradient(call, 2));
}
