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

/* What a number of packed weights, and one of a part's sums, costs beside a product. */
#define PACK_COST   8
#define FINISH_COST 16

/* What dW is made of: tiles of inputs and of outputs' gradients, channels in the lanes. */
struct tiles {
    size_t m, elements;
    int64_t lines, line_tiles;  /* of an image; tiles of a line */
    size_t in_depth, out_depth; /* channels, rounded up to STEP */
    size_t strip;               /* lines that are multiplied together */
    size_t v_step, p_step;      /* floats between elements */
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
    size_t laid_lines = t.strip < (size_t)t.lines ? t.strip : (size_t)t.lines;
    size_t laid = (laid_lines * t.m + 2) * (size_t)(t.line_tiles * m + 2) * STEP;
    size_t filters = (9 + 3 * (t.m + 2)) * t.out_depth;
    t.scratch = t.elements * (t.v_step + t.p_step) + laid;
    t.scratch = t.scratch > filters ? t.scratch : filters;
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

/* --- Weights ------------------------------------------------------------------------------- */

struct packing {
    const struct nn_winograd *w;
    const float *weight; /* (outputs, channels, 3, 3); turned: (channels, outputs, 3, 3) */
    float *turned;       /* NULL: not to be turned; (outputs, channels, 3, 3) */
    float *packed;
};

/* Weights of outputs first..end-1 of dX: channels exchanged, each turned round. */
static void turn_weights(const struct packing *p, int64_t first, int64_t end)
{
    float *to = p->turned + first * p->w->channels * 9;
    for (int64_t o = first; o < end; o++)
        for (int64_t c = 0; c < p->w->channels; c++, to += 9)
            for (int64_t i = 0; i < 9; i++)
                to[i] = p->weight[(c * p->w->outputs + o) * 9 + 8 - i];
}

static void pack_groups(void *data, int64_t first, int64_t end, int thread)
{
    const struct packing *p = data;
    (void)thread;
    first *= STEP;
    end = nn_count_least(end * STEP, p->w->outputs);
    if (p->turned)
        turn_weights(p, first, end);
    nn_winograd_pack_part(p->w, p->turned ? p->turned : p->weight, first, end, p->packed);
}

static void pack(const struct nn_op_call *op, struct packing p)
{
    size_t floats = nn_winograd_weight_floats(p.w);
    memset(p.packed, 0, floats * sizeof *p.packed);
    nn_op_parallel(op, nn_count_pieces(p.w->outputs, STEP), PACK_COST * (double)floats,
                   pack_groups, &p);
}

void train_winograd_forward(const struct train_winograd *w, const struct train_call *call,
                            float *workspace)
{
    pack(&call->op, (struct packing){&w->forward, train_input(call, 1), NULL, workspace});
    nn_winograd_run(&w->forward, &call->op, train_input(call, 0), workspace,
                    train_input(call, 2), NULL, train_output(call, 0), workspace + w->weights);
}

/* --- dW ------------------------------------------------------------------------------------ */

/* What tiles are made of: inputs, or outputs' gradients. */
struct planes {
    const float *x;
    int64_t channels, height, width;
    int64_t pad_top, pad_left;
    int64_t overlap; /* rows that a tile has in common with the next */
    size_t depth, v_step;
    void (*transform)(const struct nn_winograd_tiles_in *in);
};

struct job {
    const struct train_winograd *w;
    const struct nn_kernels *k;
    struct planes x, dy;
    float *sums, *scratch; /* of the first part; of the first thread */
    float *dw;
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

/* Lines of tiles of one image, all channels. */
static void transform_lines(const struct job *job, const struct planes *p, int64_t image,
                            int64_t line, int64_t lines, float *laid, float *v)
{
    const struct tiles *t = &job->w->tiles;
    int64_t m = (int64_t)t->m, columns = t->line_tiles * m + p->overlap;
    struct nn_winograd_tiles_in in = {.m = t->m,
                                      .x_step = (size_t)columns * STEP,
                                      .n = (size_t)t->line_tiles,
                                      .v_step = p->v_step,
                                      .tile_step = p->depth};
    for (int64_t c = 0; c < p->channels; c += STEP) {
        lay_rows(job->k, p->x + (image * p->channels + c) * p->height * p->width, p->height,
                 p->width, line * m - p->pad_top, lines * m + p->overlap, p->pad_left, columns,
                 (size_t)nn_count_least(STEP, p->channels - c), laid);
        in.x = laid;
        in.v = v + c;
        for (int64_t i = 0; i < lines; i++) {
            p->transform(&in);
            in.x += t->m * in.x_step;
            in.v += in.n * p->depth;
        }
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
    int64_t line = batch * part / PARTS * t->lines, strip = (int64_t)t->strip;
    if (line == end)
        memset(sums, 0, t->sums * sizeof *sums);
    while (line < end) {
        int64_t lines = 0, some;
        for (; lines < strip && line < end; lines += some, line += some) {
            size_t tile = (size_t)(lines * t->line_tiles);
            some = nn_count_least(strip - lines, t->lines - line % t->lines);
            transform_lines(job, &job->x, line / t->lines, line % t->lines, some, laid,
                            v + tile * t->in_depth);
            transform_lines(job, &job->dy, line / t->lines, line % t->lines, some, laid,
                            p + tile * t->out_depth);
        }
        g.k = (size_t)(lines * t->line_tiles);
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

/* to += factor · from */
static void add_scaled(float *restrict to, float factor, const float *restrict from,
                       size_t count)
{
    for (size_t i = 0; i < count && factor != 0; i++)
        to[i] += factor * from[i];
}

/* Gᵀ u G for `count` outputs at once: from u, its elements `step` apart, to (3, 3, count) and,
 * before that, Gᵀ u, (3, m + 2, count). */
static void finish_filters(size_t m, const float *u, size_t step, size_t count, float *to,
                           float *half)
{
    const double(*g)[3] = nn_winograd_filter_transform(m);
    size_t side = m + 2;
    memset(half, 0, 3 * side * count * sizeof *half);
    memset(to, 0, 9 * count * sizeof *to);
    for (size_t r = 0; r < side; r++)
        for (size_t c = 0; c < side; c++)
            for (size_t i = 0; i < 3; i++)
                add_scaled(half + (i * side + c) * count, (float)g[r][i],
                           u + (r * side + c) * step, count);
    for (size_t i = 0; i < 3; i++)
        for (size_t c = 0; c < side; c++)
            for (size_t j = 0; j < 3; j++)
                add_scaled(to + (i * 3 + j) * count, (float)g[c][j],
                           half + (i * side + c) * count, count);
}

/* Of input channels: the sums of all parts, made weights. */
static void finish_channels(void *data, int64_t first, int64_t end, int thread)
{
    const struct job *job = data;
    const struct tiles *t = &job->w->tiles;
    const struct nn_spatial_filters *f = job->w->f;
    size_t outputs = (size_t)f->out_channels, step = t->in_depth * t->out_depth;
    float *filters = job->scratch + (size_t)thread * t->scratch, *half = filters + 9 * outputs;
    for (int64_t c = first; c < end; c++) {
        float *u = job->sums + (size_t)c * t->out_depth;
        for (size_t e = 0; e < t->elements; e++)
            for (size_t part = 1; part < PARTS; part++)
                job->k->add(u + e * step, u + e * step, u + e * step + part * t->sums, outputs);
        finish_filters(t->m, u, step, outputs, filters, half);
        for (size_t o = 0; o < outputs; o++)
            for (size_t i = 0; i < 9; i++)
                job->dw[(o * (size_t)f->in_channels + (size_t)c) * 9 + i] =
                    filters[i * outputs + o];
    }
}

static void find_weights(const struct nn_op_call *op, struct job *job)
{
    const struct tiles *t = &job->w->tiles;
    const struct nn_spatial_filters *f = job->w->f;
    double tiles = (double)f->batch * (double)(t->lines * t->line_tiles);
    nn_op_parallel(op, PARTS, tiles * (double)t->sums, add_parts, job);
    nn_op_parallel(op, f->in_channels, FINISH_COST * (double)t->sums, finish_channels, job);
}

/* --- db ------------------------------------------------------------------------------------ */

struct biases {
    const struct nn_spatial_filters *f;
    const struct nn_kernels *k;
    const float *dy;
    float *db;
};

static void sum_channels(void *data, int64_t first, int64_t end, int thread)
{
    const struct biases *b = data;
    const struct nn_spatial_filters *f = b->f;
    size_t size = (size_t)f->spatial.out_size;
    (void)thread;
    for (; first < end; first++) {
        float sum = 0;
        for (int64_t i = 0; i < f->batch; i++)
            sum += b->k->sum(b->dy + (size_t)(i * f->out_channels + first) * size, size);
        b->db[first] = sum;
    }
}

void train_winograd_backward(const struct train_winograd *w, const struct train_call *call,
                             const float *dy, float *workspace)
{
    const struct nn_spatial_filters *f = w->f;
    const struct nn_spatial *s = &f->spatial;
    const struct tiles *t = &w->tiles;
    struct nn_op_call op = call->op;
    float *dx = train_input_gradient(call, 0), *behind = workspace + w->weights;
    struct job job = {.w = w,
                      .k = op.kernels,
                      .x = {train_input(call, 0), f->in_channels, s->in[1], s->in[2],
                            s->pad_before[1], s->pad_before[2], 2, t->in_depth, t->v_step,
                            op.kernels->winograd_tiles_in},
                      .dy = {dy, f->out_channels, s->out[1], s->out[2], 0, 0, 0, t->out_depth,
                             t->p_step, op.kernels->winograd_tiles_gradient},
                      .sums = behind,
                      .scratch = behind + PARTS * t->sums,
                      .dw = train_input_gradient(call, 1)};
    struct biases biases = {f, op.kernels, dy, train_input_gradient(call, 2)};
    if (dx) {
        op.activation = NN_ACTIVATION_NONE;
        /* Turned where the products will be. */
        pack(&op, (struct packing){&w->backward, train_input(call, 1), behind, workspace});
        nn_winograd_run(&w->backward, &op, dy, workspace, NULL, NULL, dx, behind);
    }
    if (job.dw)
        find_weights(&op, &job);
    if (biases.db)
        nn_op_parallel(&op, f->out_channels, (double)train_count(&op.outputs[0]), sum_channels,
                       &biases);
}
