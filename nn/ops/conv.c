/* Conv, in one of three ways that are chosen when it is prepared:
 *
 *   Winograd   3×3 windows that move by one, where nn/ops/winograd.h says that it pays
 *   depthwise  one input channel to a group, 3×3 or 5×5: the table's kernel for whole images
 *   taps       every other shape, and all with the reference kernels
 *
 * Taps: inputs are laid out for them (nn/ops/spatial.h), weights packed in panels of tile_rows
 * output channels, and the table's tile goes over positions that are contiguous in the layout.
 * It writes to the output itself where lines are at least a tile long; there inputs are laid
 * out a strip of lines at a time, which is in the cache when it reads them. In smaller images
 * whole planes are gone over, through sums: positions between the end of one output row and the
 * start of the next are computed too and dropped, which with the few columns that padding adds
 * is cheaper than short rows. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/activation.h"
#include "nn/ops/spatial.h"
#include "nn/ops/taps.h"
#include "nn/ops/winograd.h"

/* The input that the planner gives it besides ONNX's three: added to the output before the
 * activation (nn/fuse.c). */
#define RESIDUAL 3

struct conv {
    struct nn_spatial spatial;
    int64_t batch, groups;
    int64_t in_channels, out_channels; /* of one group */
    struct nn_taps taps;               /* of a group; without its weight and bias */
    /* Contiguous runs of outputs in the layout: `lines` per depth, `width` outputs each. */
    int64_t depths, lines, width, line_step, depth_step;
    int64_t positions;   /* of one depth, from the first output to the last */
    bool pooled;         /* maxima of 2×2 outputs are written */
    int64_t sums_step;   /* positions of a chunk, room for */
    bool straight;       /* lines are long enough for tiles that write to their place */
    int64_t written;     /* floats of an output channel */
    int64_t band, bands; /* nn_taps_band, and how many there are in a depth */
    int64_t chunks;      /* of a line, where tiles write to their place */
    int64_t items;       /* what a group is made of: pieces of its outputs, panel by panel */
    /* What is laid out at a time: the image or, of one that tiles write to straight, a strip of
     * its lines, which is in the cache when tiles read it. */
    struct nn_spatial laid;
    int64_t strip, strips; /* lines of a strip; how many make an image */
    bool apart; /* images and groups, or strips, are so many that each is one thread's */
    int64_t sums_floats;   /* of workspace, for each thread: sums of a chunk */
    int64_t planes_floats; /* where all that is laid out: if `apart`, for each thread */
    bool depthwise;        /* nn_kernels.depthwise does it, with weights as they are */
    bool winograd;
    struct nn_winograd fast;
    /* (groups: nn_taps.weight) or nn_winograd_pack's, NULL when the weight is not constant. */
    const float *packed;
};

static int geometry(const struct nn_op_call *call, struct conv *ret_conv)
{
    struct nn_spatial_filters f;
    int r = nn_spatial_filters(call, 1, 1, &f);
    if (r < 0)
        return r;
    struct conv c = {.spatial = f.spatial,
                     .batch = f.batch,
                     .groups = f.groups,
                     .in_channels = f.in_channels,
                     .out_channels = f.out_channels};
    c.pooled = call->pooled;
    const int64_t *out = c.spatial.out;
    if (c.pooled && (c.spatial.axes != 2 || out[1] < 2 || out[2] < 2))
        return nn_op_fail(call, -EINVAL, "its output has no 2×2 to pool");
    c.written = c.pooled ? (out[1] / 2) * (out[2] / 2) : c.spatial.out_size;
    *ret_conv = c;
    return 0;
}

static int conv_infer(struct nn_op_call *call)
{
    struct conv c = {0};
    int r = nn_op_require_floats(call);
    if (r == 0)
        r = geometry(call, &c);
    if (r < 0)
        return r;
    int64_t channels = c.groups * c.out_channels;
    if (nn_op_has_input(call, 2) &&
        (call->inputs[2].shape.rank != 1 || call->inputs[2].shape.dim[0] != channels))
        return nn_op_fail(call, -EINVAL, "its bias must be a list of %lld numbers",
                          (long long)channels);
    call->outputs[0].type = NN_TYPE_FLOAT;
    struct nn_shape *y = &call->outputs[0].shape;
    nn_spatial_output(&c.spatial, c.batch, channels, y);
    for (int i = 2; c.pooled && i < y->rank; i++)
        y->dim[i] /= 2;
    if (nn_op_has_input(call, RESIDUAL) && !nn_shape_equal(y, &call->inputs[RESIDUAL].shape))
        return nn_op_fail(call, -EINVAL, "what is added to its output has another shape");
    return 0;
}

/* w (groups · out_channels, taps) to panels; the rows that a last panel lacks are zero. */
static void pack(const struct conv *c, const float *w, float *packed)
{
    for (int64_t g = 0; g < c->groups; g++) {
        for (int64_t p = 0; p < c->taps.panels; p++) {
            for (int64_t t = 0; t < c->taps.count; t++) {
                for (int64_t r = 0; r < c->taps.rows; r++) {
                    int64_t channel = p * c->taps.rows + r;
                    *packed++ = channel < c->out_channels
                                    ? w[(g * c->out_channels + channel) * c->taps.count + t]
                                    : 0;
                }
            }
        }
    }
}

/* Of the packed weights of a group. */
static int64_t group_floats(const struct conv *c)
{
    return c->taps.panels * c->taps.rows * c->taps.count;
}

static void find_runs(struct conv *c)
{
    const struct nn_spatial *s = &c->spatial;
    c->depths = s->out[0];
    c->lines = s->out[1];
    c->width = s->out[2];
    c->line_step = s->extent[2];
    c->depth_step = s->extent[1] * s->extent[2];
    if (c->width == c->line_step && !c->pooled) {
        c->width *= c->lines;
        c->lines = 1;
        c->line_step = c->width;
    }
    c->positions = (c->lines - 1) * c->line_step + c->width;
    c->sums_step = c->pooled ? NN_TAPS_ALIGNED(2 * c->line_step) : NN_TAPS_CHUNK;
}

/* Packed weights; the plan's when they are constant. */
static int prepare_weights(struct nn_op_call *call, struct conv *c, int64_t *workspace)
{
    int64_t floats = c->winograd ? (int64_t)nn_winograd_weight_floats(&c->fast)
                                 : c->groups * group_floats(c);
    if (!nn_op_is_constant(call, 1)) {
        *workspace += NN_TAPS_ALIGNED(floats);
        return 0;
    }
    bool fill;
    float *packed = nn_op_weights(call, 0, (size_t)floats, &fill);
    if (!packed)
        return -ENOMEM;
    if (fill && c->winograd)
        nn_winograd_pack(&c->fast, call->inputs[1].data, packed);
    else if (fill)
        pack(c, call->inputs[1].data, packed);
    c->packed = packed;
    call->packed_inputs = 1u << 1;
    return 0;
}

/* Strips are an eighth of the second-level cache, but as many lines as make up for those that
 * two of them share. Late nodes do without: smaller images must not need more scratch. */
static void choose_strips(const struct nn_op_call *call, struct conv *c)
{
    enum { STRIP_FLOATS = 32768, FEWEST_LINES = 4 };
    const struct nn_spatial *s = &c->spatial;
    int64_t lines =
        STRIP_FLOATS / (c->in_channels * s->phases[1] * s->phases[2] * s->extent[2]);
    lines = lines < FEWEST_LINES ? FEWEST_LINES : lines;
    c->laid = *s;
    c->strip = c->lines;
    c->strips = 1;
    if (!c->straight || s->direct || s->axes != 2 || call->kept || lines >= c->lines)
        return;
    /* As many for each thread. */
    int64_t turns = ((c->lines + lines - 1) / lines + call->threads - 1) / call->threads;
    c->strip = (c->lines + turns * call->threads - 1) / (turns * call->threads);
    c->strips = (c->lines + c->strip - 1) / c->strip;
    c->laid.out[1] = c->strip;
    c->laid.extent[1] += c->strip - c->lines;
    c->laid.plane_size = s->plane_size / s->extent[1] * c->laid.extent[1];
}

/* Whether tiles write to the output or to sums. */
static void choose_loops(struct nn_op_call *call, struct conv *c)
{
    int64_t width = (int64_t)call->kernels->tile_width;
    c->straight = c->taps.rows > 1 && !c->pooled && (c->lines == 1 || c->width >= width);
    call->method = c->straight        ? "taps"
                   : c->taps.rows > 1 ? "taps, by sums"
                                      : "taps, by channel";
    /* Late nodes may be narrower in a run, and not straight. */
    c->sums_floats =
        c->straight && !call->kept ? 0 : NN_TAPS_ALIGNED(c->taps.rows * c->sums_step);
    choose_strips(call, c);
    c->planes_floats =
        c->laid.direct ? 0 : NN_TAPS_ALIGNED(c->in_channels * c->laid.plane_size);
    c->chunks = (c->width + NN_TAPS_CHUNK - 1) / NN_TAPS_CHUNK;
    c->band = nn_taps_band(c->in_channels);
    c->bands = (c->positions + c->band - 1) / c->band;
    c->items = c->taps.panels * (c->straight ? c->depths * c->lines * c->chunks
                                 : c->pooled ? c->lines / 2
                                             : c->depths * c->bands);
    c->apart = c->strips > 1 || c->batch * c->groups >= 2 * call->threads;
}

/* Where the weight is read as it is, so that it may be computed at run time. Of one group: one
 * channel that makes one, unless its image is worth more than the one thread it would get. */
static bool suits_depthwise(const struct nn_op_call *call, const struct conv *c)
{
    const struct nn_spatial *s = &c->spatial;
    bool single = c->out_channels == 1 && !call->kept &&
                  (double)(s->window_size * s->out_size) < NN_OP_PARALLEL_COST;
    return call->kernels->depthwise && s->axes == 2 && c->in_channels == 1 &&
           (c->groups > 1 || single) && (s->kernel[1] == 3 || s->kernel[1] == 5) &&
           s->kernel[1] == s->kernel[2] && s->stride[1] == s->stride[2] && s->stride[1] <= 2 &&
           s->dilation[1] == 1 && s->dilation[2] == 1;
}

static int conv_prepare(struct nn_op_call *call)
{
    struct conv *c = nn_op_alloc(call, sizeof *c);
    if (!c)
        return -ENOMEM;
    int r = geometry(call, c);
    if (r < 0)
        return r;
    call->state = c;
    c->depthwise = suits_depthwise(call, c);
    if (c->depthwise) {
        call->method = "depthwise";
        return 0;
    }
    int64_t workspace;
    /* Weights of run time would have to be transformed in every run; those of a late node have
     * one layout for all shapes, and this choice depends on them. */
    struct nn_winograd_way way = {0};
    if (nn_op_is_constant(call, 1) && !call->kept && c->groups == 1)
        way = nn_winograd_choose(call->kernels, &c->spatial, c->in_channels, c->out_channels,
                                 c->pooled);
    c->winograd = way.m > 0;
    if (c->winograd) {
        c->fast = nn_winograd_init(way, call->kernels, &c->spatial, c->batch, c->in_channels,
                                   c->out_channels, c->pooled);
        call->method = nn_winograd_name(way);
        workspace =
            (int64_t)nn_winograd_workspace_floats(&c->fast, call->kernels, call->threads);
        call->workspace_bytes = (size_t)workspace * sizeof(float);
        return prepare_weights(call, c, &workspace);
    }
    find_runs(c);
    c->taps = nn_taps_init(call->kernels, c->out_channels);
    c->taps.count = c->in_channels * c->spatial.window_size;
    int32_t *offsets = nn_op_alloc(call, (size_t)c->taps.count * sizeof *offsets);
    if (!offsets)
        return -ENOMEM;
    choose_loops(call, c);
    nn_spatial_taps(&c->laid, c->in_channels, offsets);
    c->taps.offsets = offsets;
    workspace =
        call->threads * c->sums_floats + (c->apart ? call->threads : 1) * c->planes_floats;
    r = prepare_weights(call, c, &workspace);
    call->workspace_bytes = (size_t)workspace * sizeof(float);
    return r;
}

/* What a run needs. */
struct run {
    const struct nn_op_call *call;
    const struct conv *c;
    const float *x, *packed, *bias, *residual;
    float *y;
    float *sums, *planes; /* of the first thread */
    bool clamps;          /* the activation is clamping, which tiles do */
    float low, high;
};

/* What one group of one image needs. */
struct group {
    const struct run *run;
    const float *planes; /* (in_channels, laid.plane_size) */
    int64_t line;        /* of outputs, the first whose inputs these are */
    struct nn_taps taps;
    float *out;            /* (out_channels, written) */
    const float *residual; /* of `out`, or NULL */
};

/* y, a part of g->out, = what x lacks: the residual and the activation, as far as tiles have
 * not done it. */
static void finish(const struct nn_op_call *call, const struct group *g, float *y,
                   const float *x, size_t n)
{
    if (g->residual) {
        call->kernels->add(y, x, g->residual + (y - g->out), n);
        nn_activation_apply(call, y, y, n);
    } else if (!g->run->clamps) {
        nn_activation_apply(call, y, x, n);
    } else if (y != x) {
        memcpy(y, x, n * sizeof *y);
    }
}

/* The outputs among positions first..first+count-1, from sums to their place. */
static void store_chunk(const struct nn_op_call *call, const struct conv *c,
                        const struct group *g, const float *sums, float *out, int64_t first,
                        int64_t count)
{
    for (int64_t line = first / c->line_step; line * c->line_step < first + count; line++) {
        int64_t start = line * c->line_step, end = start + c->width;
        start = start < first ? first : start;
        end = end > first + count ? first + count : end;
        if (start < end)
            finish(call, g, out + line * c->width + (start - line * c->line_step),
                   sums + (start - first), (size_t)(end - start));
    }
}

/* Maxima of the two rows of outputs in sums. */
static void store_pooled(const struct nn_op_call *call, const struct conv *c,
                         const struct group *g, const float *sums, float *out, int64_t first)
{
    size_t columns = (size_t)(c->width / 2);
    out += first / c->line_step / 2 * (int64_t)columns;
    call->kernels->max_2x2(out, sums, sums + c->line_step, columns);
    finish(call, g, out, out, columns);
}

static void run_chunk(const struct nn_op_call *call, const struct conv *c,
                      const struct group *g, float *sums, int64_t panel, int64_t depth,
                      int64_t first, int64_t count)
{
    int64_t channels = c->out_channels - panel * c->taps.rows, step = c->sums_step;
    const float *from = g->planes + depth * c->depth_step + first;
    nn_taps_sum(call->kernels, &g->taps, panel, panel + 1, from, sums, (size_t)step,
                (size_t)count);
    for (int64_t r = 0; r < c->taps.rows && r < channels; r++) {
        float *out = g->out + (panel * c->taps.rows + r) * c->written;
        if (c->pooled)
            store_pooled(call, c, g, sums + r * step, out, first);
        else
            store_chunk(call, c, g, sums + r * step, out + depth * c->lines * c->width, first,
                        count);
    }
}

/* The channels of some panels, straight to their place: of a line of what is laid out, the
 * chunk from `first` on. */
static void run_straight(const struct nn_op_call *call, const struct conv *c,
                         const struct group *g, int64_t panel, int64_t end, int64_t line,
                         int64_t first)
{
    int64_t left = c->width - first;
    int64_t channel = panel * c->taps.rows, last = end * c->taps.rows;
    size_t n = (size_t)(left < NN_TAPS_CHUNK ? left : NN_TAPS_CHUNK);
    const float *from =
        g->planes + line / c->lines * c->depth_step + line % c->lines * c->line_step + first;
    float *out = g->out + channel * c->written + (g->line + line) * c->width + first;
    nn_taps_sum(call->kernels, &g->taps, panel, end, from, out, (size_t)c->written, n);
    for (; channel < last && channel < c->out_channels; channel++, out += c->written)
        finish(call, g, out, out, n);
}

static void run_band(const struct nn_op_call *call, const struct conv *c, const struct group *g,
                     float *sums, int64_t panel, int64_t depth, int64_t start)
{
    int64_t end = start + c->band < c->positions ? start + c->band : c->positions;
    for (int64_t first = start; first < end; first += NN_TAPS_CHUNK)
        run_chunk(call, c, g, sums, panel, depth, first,
                  end - first < NN_TAPS_CHUNK ? end - first : NN_TAPS_CHUNK);
}

/* Items of a group: all panels over what they read, then over what is next. */
static void run_items(void *data, int64_t item, int64_t end, int thread)
{
    const struct group *g = data;
    const struct conv *c = g->run->c;
    const struct nn_op_call *call = g->run->call;
    float *sums = g->run->sums + thread * c->sums_floats;
    while (item < end) {
        int64_t panel = item % c->taps.panels, at = item / c->taps.panels;
        int64_t next = c->straight ? (at + 1) * c->taps.panels : item + 1;
        next = next < end ? next : end;
        if (c->straight)
            run_straight(call, c, g, panel, panel + next - item, at / c->chunks,
                         at % c->chunks * NN_TAPS_CHUNK);
        else if (c->pooled) /* two rows of outputs at a time */
            run_chunk(call, c, g, sums, panel, 0, 2 * at * c->line_step,
                      c->line_step + c->width);
        else
            run_band(call, c, g, sums, panel, at / c->bands, at % c->bands * c->band);
        item = next;
    }
}

/* Group `index`, counted through the batch, whose input is laid out in `planes`. */
static struct group find_group(const struct run *run, int64_t index, const float *planes)
{
    const struct conv *c = run->c;
    int64_t group = index % c->groups, at = index * c->out_channels * c->written;
    struct group g = {
        .run = run,
        .planes =
            c->spatial.direct ? run->x + index * c->in_channels * c->spatial.in_size : planes,
        .taps = c->taps,
        .out = run->y + at,
        .residual = run->residual ? run->residual + at : NULL,
    };
    g.taps.weight = run->packed + group * group_floats(c);
    g.taps.bias = run->bias ? run->bias + group * c->out_channels : NULL;
    g.taps.low = run->low;
    g.taps.high = run->high;
    return g;
}

/* Lines from `line` on of input channels first..end-1, counted through the batch; `planes` is
 * for the first. */
static void lay_out(const struct run *run, int64_t line, int64_t first, int64_t end,
                    float *planes)
{
    struct nn_spatial s = run->c->laid;
    s.pad_before[1] -= line * s.stride[1]; /* less than none, where the image goes on */
    for (; first < end && !s.direct; first++, planes += s.plane_size)
        nn_spatial_lay_out(&s, run->call->kernels, run->x + first * s.in_size, 0, planes);
}

/* Strips of groups that are one thread's each. */
static void run_strips(void *data, int64_t index, int64_t end, int thread)
{
    const struct run *run = data;
    const struct conv *c = run->c;
    float *planes = run->planes + thread * c->planes_floats;
    for (; index < end; index++) {
        int64_t group = index / c->strips, line = index % c->strips * c->strip;
        int64_t lines = c->lines - line < c->strip ? c->lines - line : c->strip;
        struct group g = find_group(run, group, planes);
        g.line = line;
        lay_out(run, line, group * c->in_channels, (group + 1) * c->in_channels, planes);
        run_items(&g, 0, c->strips > 1 ? c->items / c->lines * lines : c->items, thread);
    }
}

/* The group whose channels are to be laid out by all threads. */
struct layout {
    const struct run *run;
    int64_t group;
};

static void lay_out_part(void *data, int64_t first, int64_t end, int thread)
{
    const struct layout *l = data;
    const struct conv *c = l->run->c;
    int64_t before = l->group * c->in_channels;
    (void)thread;
    lay_out(l->run, 0, before + first, before + end,
            l->run->planes + first * c->laid.plane_size);
}

static void run_taps(struct run *run)
{
    const struct conv *c = run->c;
    int64_t count = c->batch * c->groups;
    double planes = (double)(c->in_channels * c->spatial.plane_size);
    double cost = (double)(c->taps.count * c->out_channels) * (double)c->spatial.out_size;
    if (c->apart) {
        nn_op_parallel(run->call, count * c->strips, (double)count * cost, run_strips, run);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        struct group g = find_group(run, i, run->planes);
        if (!c->spatial.direct)
            nn_op_parallel(run->call, c->in_channels, planes, lay_out_part,
                           &(struct layout){run, i});
        nn_op_parallel(run->call, c->items, cost, run_items, &g);
    }
}

/* Channels first..end-1, counted through the batch. */
static void run_depthwise(void *data, int64_t first, int64_t end, int thread)
{
    const struct run *run = data;
    const struct nn_op_call *call = run->call;
    const struct conv *c = run->c;
    const struct nn_spatial *s = &c->spatial;
    int64_t channels = c->groups * c->out_channels;
    struct nn_depthwise d = {
        .kernel = (size_t)s->kernel[1],
        .stride = (size_t)s->stride[1],
        .pool = c->pooled,
        .height = (ptrdiff_t)s->in[1],
        .width = (ptrdiff_t)s->in[2],
        .pad_top = (ptrdiff_t)s->pad_before[1],
        .pad_left = (ptrdiff_t)s->pad_before[2],
        .low = run->low,
        .high = run->high,
        .rows = (size_t)s->out[1],
        .columns = (size_t)s->out[2],
        .y = run->y + first * c->written,
    };
    (void)thread;
    for (int64_t i = first; i < end; i++, d.y += c->written) {
        int64_t channel = i % channels;
        d.x = run->x + i / c->out_channels * s->in_size;
        d.weight = run->packed + channel * s->window_size;
        d.bias = run->bias ? run->bias[channel] : 0;
        call->kernels->depthwise(&d);
        if (run->residual)
            call->kernels->add(d.y, d.y, run->residual + i * c->written, (size_t)c->written);
        if (!run->clamps)
            nn_activation_apply(call, d.y, d.y, (size_t)c->written);
    }
}

static int conv_forward(struct nn_op_call *call)
{
    const struct conv *c = call->state;
    struct run run = {
        .call = call,
        .c = c,
        .x = call->inputs[0].data,
        .packed = c->depthwise ? call->inputs[1].data : c->packed,
        .bias = nn_op_has_input(call, 2) ? call->inputs[2].data : NULL,
        .residual = nn_op_has_input(call, RESIDUAL) ? call->inputs[RESIDUAL].data : NULL,
        .y = call->outputs[0].data,
        .sums = call->workspace,
    };
    if (c->winograd) {
        nn_winograd_run(&c->fast, call, run.x, c->packed, run.bias, run.residual, run.y,
                        call->workspace);
        return 0;
    }
    run.clamps = nn_activation_clamps(call, &run.low, &run.high) && !run.residual &&
                 (c->depthwise || c->taps.rows > 1);
    if (!run.clamps) {
        run.low = -INFINITY;
        run.high = INFINITY;
    }
    if (c->depthwise) {
        int64_t channels = c->batch * c->groups * c->out_channels;
        double cost = (double)(channels * c->spatial.window_size) * (double)c->spatial.out_size;
        nn_op_parallel(call, channels, cost, run_depthwise, &run);
        return 0;
    }
    run.planes = run.sums + call->threads * c->sums_floats;
    if (!run.packed) {
        float *packed = run.planes + (c->apart ? call->threads : 1) * c->planes_floats;
        pack(c, call->inputs[1].data, packed);
        run.packed = packed;
    }
    run_taps(&run);
    return 0;
}

static bool conv_time(const struct nn_op_call *call, const int *in, int *out)
{
    struct conv c;
    return geometry(call, &c) == 0 && (in[0] == 0 || !c.pooled) &&
           !nn_op_has_input(call, RESIDUAL) && nn_spatial_time(call, in, &c.spatial, out);
}

static double conv_macs(const struct nn_op_call *call)
{
    return nn_spatial_macs(call, 1);
}

static const struct nn_attribute_rule rules[] = {NN_SPATIAL_FILTER_RULES, {0}};

const struct nn_op nn_op_conv = {
    .name = "Conv",
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_FUSES_ACTIVATION,
    .attributes = rules,
    .infer = conv_infer,
    .prepare = conv_prepare,
    .forward = conv_forward,
    .time = conv_time,
    .macs = conv_macs,
};
