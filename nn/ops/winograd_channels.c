#include "nn/ops/winograd_channels.h"

#include <string.h>

#include "nn/ops/counts.h"

/* Floats of transformed tiles that are worked on together: half of a second-level cache of 1
 * MiB has them, and products of a panel. */
#define STRIP_FLOATS 65536

enum { STEP = NN_PANEL_STEP, WIDTH = NN_PANEL_COLUMNS };

/* How much is worked on together, and where it lies. */
struct layout {
    int64_t lines;         /* of tiles, in a strip */
    int64_t strips;        /* through the batch */
    size_t tiles;          /* of a strip */
    size_t depth;          /* channels, rounded up to STEP */
    size_t side;           /* outputs of a tile along an axis, as written */
    size_t in_step;        /* floats between rows of `in` */
    size_t v_step, p_step; /* floats between elements, and between those of products */
    size_t elements;       /* floats: (elements, tiles, depth) */
    size_t in;             /* floats: (rows of the image with pads, columns, STEP) */
    size_t products;       /* floats: (elements, tiles, WIDTH) */
    size_t out;            /* floats: (rows, columns, WIDTH) of outputs */
};

static double products_of(const struct nn_winograd *w)
{
    return (double)(w->tiles * w->channels) * (double)w->elements * (double)w->outputs;
}

static struct layout find_layout(const struct nn_winograd *w, int threads)
{
    struct layout l = {.depth = (size_t)nn_count_pieces(w->channels, STEP) * STEP,
                       .side = w->pool ? w->m / 2 : w->m};
    int64_t all = w->images * w->lines, m = (int64_t)w->m;
    int64_t line = (int64_t)w->elements * w->line_tiles * (int64_t)l.depth;
    l.lines = nn_count_least(STRIP_FLOATS / line > 1 ? STRIP_FLOATS / line : 1, all);
    /* Threads share panels, or strips where panels are too few, which read all weights each. */
    if (threads > 1 && w->panels < 2 * threads && products_of(w) > 4 * NN_OP_PARALLEL_COST)
        l.lines = nn_count_least(l.lines, nn_count_pieces(all, 2 * threads));
    /* Evenly: a short last one would read all weights for a few tiles. */
    l.lines = nn_count_pieces(all, nn_count_pieces(all, l.lines));
    l.strips = nn_count_pieces(all, l.lines);
    l.tiles = (size_t)(l.lines * w->line_tiles);
    l.v_step = l.tiles * l.depth + NN_WINOGRAD_APART;
    l.p_step = l.tiles * WIDTH + NN_WINOGRAD_APART;
    l.elements = w->elements * l.v_step;
    l.in_step = (size_t)(w->line_tiles * m + 2) * STEP;
    l.in = (size_t)(nn_count_least(l.lines, w->lines) * m + 2) * l.in_step;
    l.products = w->elements * l.p_step;
    l.out = (size_t)(nn_count_least(l.lines, w->lines) * w->columns) * l.side * WIDTH;
    return l;
}

/* Of one thread, behind the elements of its strip. */
static size_t scratch_floats(const struct layout *l)
{
    return l->in + l->products + (l->out + 15) / 16 * 16;
}

size_t nn_winograd_channels_workspace_floats(const struct nn_winograd *w, int threads)
{
    struct layout l = find_layout(w, threads);
    return (size_t)threads * (l.elements + scratch_floats(&l));
}

struct run {
    struct nn_winograd_job job;
    struct layout layout;
};

/* Lines of tiles of one image. */
struct piece {
    int64_t image, line, lines;
    size_t tile; /* the first one, in the strip */
};

struct strip {
    int64_t line, end; /* of tiles, through the batch */
    float *elements;   /* in the memory of the thread that has the strip */
    float *in, *products, *out;
};

static struct strip find_strip(const struct run *run, int64_t index, int from, int thread)
{
    const struct layout *l = &run->layout;
    size_t floats = l->elements + scratch_floats(l);
    struct strip s = {.line = index * l->lines,
                      .elements = run->job.workspace + (size_t)from * floats};
    s.end = nn_count_least(s.line + l->lines, run->job.w->images * run->job.w->lines);
    s.in = run->job.workspace + (size_t)thread * floats + l->elements;
    s.products = s.in + l->in;
    s.out = s.products + l->products;
    return s;
}

/* What of a strip begins at `line` and is of one image. */
static struct piece find_piece(const struct nn_winograd *w, const struct strip *s, int64_t line)
{
    struct piece p = {.image = line / w->lines,
                      .line = line % w->lines,
                      .tile = (size_t)((line - s->line) * w->line_tiles)};
    p.lines = nn_count_least(s->end - line, w->lines - p.line);
    return p;
}

/* STEP channels from x on as tiles read them: rows and columns the image lacks are zero. */
static void take_in(const struct run *run, const struct piece *p, const float *x,
                    int64_t channels, float *in)
{
    const struct nn_winograd *w = run->job.w;
    const struct layout *l = &run->layout;
    int64_t m = (int64_t)w->m, columns = w->line_tiles * m + 2;
    int64_t there = nn_count_least(w->width, columns - w->pad_left);
    size_t before = (size_t)w->pad_left * STEP, behind = (size_t)(w->pad_left + there) * STEP;
    for (int64_t r = 0; r < p->lines * m + 2; r++, in += l->in_step) {
        int64_t row = p->line * m + r - w->pad_top;
        if (row < 0 || row >= w->height) {
            memset(in, 0, l->in_step * sizeof *in);
            continue;
        }
        memset(in, 0, before * sizeof *in);
        run->job.call->kernels->transpose(in + before, STEP, x + row * w->width,
                                          (size_t)(w->height * w->width), (size_t)channels,
                                          (size_t)there);
        memset(in + behind, 0, (l->in_step - behind) * sizeof *in);
    }
}

/* Groups of STEP input channels, first..end-1. */
static void transform_strip(const struct run *run, const struct strip *s, int64_t first,
                            int64_t end)
{
    const struct nn_winograd *w = run->job.w;
    const struct layout *l = &run->layout;
    struct nn_winograd_tiles_in in = {.m = w->m,
                                      .x_step = l->in_step,
                                      .n = (size_t)w->line_tiles,
                                      .v_step = l->v_step,
                                      .tile_step = l->depth};
    for (; first < end; first++) {
        int64_t channel = first * STEP, channels = nn_count_least(w->channels - channel, STEP);
        struct piece p;
        for (int64_t line = s->line; line < s->end; line += p.lines) {
            p = find_piece(w, s, line);
            take_in(run, &p,
                    run->job.x + (p.image * w->channels + channel) * w->height * w->width,
                    channels, s->in);
            in.x = s->in;
            in.v = s->elements + p.tile * l->depth + channel;
            for (int64_t i = 0; i < p.lines; i++) {
                run->job.call->kernels->winograd_tiles_in(&in);
                in.x += w->m * l->in_step;
                in.v += in.n * l->depth;
            }
        }
    }
}

static void multiply_panel(const struct run *run, const struct strip *s, int64_t panel,
                           size_t columns)
{
    const struct nn_winograd *w = run->job.w;
    const struct layout *l = &run->layout;
    size_t depth = (size_t)w->channels, width = (columns + STEP - 1) / STEP * STEP;
    const float *weight = run->job.packed + (size_t)panel * WIDTH * depth * w->elements;
    struct nn_panel product = {.rows = (size_t)((s->end - s->line) * w->line_tiles),
                               .depth = depth,
                               .columns = width,
                               .x_step = l->depth,
                               .y_step = WIDTH,
                               .fresh = true};
    for (size_t e = 0; e < w->elements; e++) {
        product.x = s->elements + e * l->v_step;
        product.y = s->products + e * l->p_step;
        product.weight = weight + e * depth * width;
        run->job.call->kernels->panel(&product);
    }
}

/* Outputs of one piece from out to their planes. */
static void give_out(const struct run *run, const struct piece *p, const float *out,
                     int64_t channel, int64_t channels)
{
    const struct nn_winograd *w = run->job.w;
    int64_t side = (int64_t)run->layout.side, row = p->line * side,
            plane = w->rows * w->columns;
    size_t n = (size_t)(nn_count_least(p->lines * side, w->rows - row) * w->columns);
    float *y = run->job.y + (p->image * w->outputs + channel) * plane + row * w->columns;
    run->job.call->kernels->transpose(y, (size_t)plane, out, WIDTH, n, (size_t)channels);
    for (int64_t i = 0; run->job.activates && i < channels; i++, y += plane)
        nn_winograd_activate(&run->job, y, 1, n);
}

static void run_panel(const struct run *run, const struct strip *s, int64_t panel)
{
    const struct nn_winograd *w = run->job.w;
    const struct layout *l = &run->layout;
    int64_t channel = panel * WIDTH, channels = nn_count_least(w->outputs - channel, WIDTH);
    float bias[WIDTH] = {0};
    if (run->job.bias)
        memcpy(bias, run->job.bias + channel, (size_t)channels * sizeof *bias);
    struct nn_winograd_tiles_out out = {.m = w->m,
                                        .p_step = l->p_step,
                                        .tile_step = WIDTH,
                                        .n = (size_t)w->line_tiles,
                                        .low = run->job.low,
                                        .high = run->job.high,
                                        .pool = w->pool,
                                        .y_step = (size_t)w->columns * WIDTH,
                                        .column_step = WIDTH,
                                        .columns = (size_t)w->columns};
    multiply_panel(run, s, panel, (size_t)channels);
    struct piece p;
    for (int64_t line = s->line; line < s->end; line += p.lines) {
        p = find_piece(w, s, line);
        for (int64_t i = 0; i < p.lines; i++) {
            size_t row = (size_t)(p.line + i) * l->side, tile = p.tile + (size_t)i * out.n;
            out.rows = (size_t)w->rows - row;
            for (int64_t k = 0; k < channels; k += STEP) {
                out.p = s->products + tile * WIDTH + k;
                out.bias = bias + k;
                out.y = s->out + (size_t)i * l->side * out.y_step + k;
                run->job.call->kernels->winograd_tiles_out(&out);
            }
        }
        give_out(run, &p, s->out, channel, channels);
    }
}

/* Where strips are many: each is one thread's. */
static void run_strips(void *data, int64_t first, int64_t end, int thread)
{
    const struct run *run = data;
    const struct nn_winograd *w = run->job.w;
    for (; first < end; first++) {
        struct strip s = find_strip(run, first, thread, thread);
        transform_strip(run, &s, 0, nn_count_pieces(w->channels, STEP));
        for (int64_t panel = 0; panel < w->panels; panel++)
            run_panel(run, &s, panel);
    }
}

/* Where they are few, all threads work on one: on its input channels, then on the outputs. */
static void transform_part(void *data, int64_t first, int64_t end, int thread)
{
    const struct run *run = data;
    struct strip s = find_strip(run, run->job.shared, 0, thread);
    transform_strip(run, &s, first, end);
}

static void run_panels(void *data, int64_t first, int64_t end, int thread)
{
    const struct run *run = data;
    struct strip s = find_strip(run, run->job.shared, 0, thread);
    for (; first < end; first++)
        run_panel(run, &s, first);
}

void nn_winograd_channels_run(const struct nn_winograd_job *job)
{
    const struct nn_winograd *w = job->w;
    const struct nn_op_call *call = job->call;
    struct run run = {.job = *job, .layout = find_layout(w, call->threads)};
    const struct layout *l = &run.layout;
    double products = products_of(w);
    if (!call->helpers || l->strips >= 2 * call->threads) {
        nn_op_parallel(call, l->strips, products, run_strips, &run);
        return;
    }
    products /= (double)l->strips;
    for (run.job.shared = 0; run.job.shared < l->strips; run.job.shared++) {
        nn_op_parallel(call, nn_count_pieces(w->channels, STEP), (double)l->elements,
                       transform_part, &run);
        nn_op_parallel(call, w->panels, products, run_panels, &run);
    }
}
