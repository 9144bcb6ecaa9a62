/* QLinearConv, ConvInteger, and the convolution of 8-bit integers that the planner makes of a
 * Conv between DequantizeLinear and QuantizeLinear (nn/qdq.c).
 *
 * Images stay as ONNX has them, a plane of bytes for each channel. The four channels of a quad
 * are put side by side while they are laid out for taps (nn/ops/spatial.h), where padding and
 * strides have them copied anyway. Then it is the taps of Conv: the table's tile goes over
 * positions that are contiguous in the layout, those between two lines of outputs included, and
 * its sums become results while they are in the first-level cache.
 *
 * Depthwise convolution has no channels to add up: there, four columns of the window are a
 * quad, and the table's kernel reads the plane where it lies. */
#include <errno.h>
#include <string.h>

#include "nn/arena.h"
#include "nn/ops/bytes.h"
#include "nn/ops/spatial.h"

/* Positions of one chunk: a multiple of every table's tile width. */
enum { CHUNK = 192 };

enum { SLOT_WEIGHT, SLOT_SUMS };

struct conv {
    struct nn_spatial_filters f;
    int64_t channels; /* of the output */
    bool pooled;      /* maxima of 2×2 outputs are written */
    int64_t written;  /* outputs of a channel */
    int parts;
    bool constant;
    bool depthwise;

    /* Tiles. */
    int64_t quads;        /* of input channels of one group */
    int64_t taps;         /* parts × quads × window */
    int64_t rows, panels; /* output channels in a panel, panels in a group */
    int64_t width, lines, depths, line_step, depth_step,
        positions;     /* of outputs in the layout */
    int64_t sums_step; /* room for one row's sums */
    int32_t *offsets;  /* (taps) */

    /* Depthwise. */
    int64_t line_quads, plane_width, plane_height;

    const int8_t *packed; /* NULL when weights are computed at run time */
    const int32_t *sums;  /* (channels) */

    /* Places in the workspace. */
    size_t planes_at, row_at, sums_at, line_at, results_at, packed_at, packed_sums_at;
};

/* Whether maxima of 2×2 can be written. */
static int check_pooled(const struct nn_op_call *call, const struct nn_spatial *s)
{
    enum nn_type type = call->outputs[0].type;
    if (call->pooled &&
        (s->axes != 2 || s->out[1] < 2 || s->out[2] < 2 || nn_type_size(type) != 1))
        return nn_op_fail(call, -ENOTSUP, "its output has no 2×2 bytes to pool");
    return 0;
}

static int infer(struct nn_op_call *call)
{
    const struct nn_byte_roles *roles = nn_byte_roles_of(call);
    struct nn_spatial_filters f;
    int r = nn_spatial_filters(call, roles->w, 4, &f);
    if (r == 0)
        r = nn_byte_infer(call, roles, 0, f.groups * f.out_channels);
    if (r == 0)
        r = check_pooled(call, &f.spatial);
    if (r < 0)
        return r;
    struct nn_shape *y = &call->outputs[0].shape;
    nn_spatial_output(&f.spatial, f.batch, f.groups * f.out_channels, y);
    for (int i = 2; call->pooled && i < y->rank; i++)
        y->dim[i] /= 2;
    return 0;
}

/* Weights. */

static bool suits_depthwise(const struct conv *c)
{
    const struct nn_spatial *s = &c->f.spatial;
    return !c->pooled && c->constant && c->parts == 1 && c->f.in_channels == 1 &&
           c->f.groups > 1 && s->axes <= 2 && s->stride[2] <= 2 && s->dilation[2] == 1 &&
           (s->axes == 1 || (s->stride[1] == s->stride[2] && s->dilation[1] == 1));
}

static int64_t packed_bytes(const struct conv *c)
{
    return c->depthwise ? c->channels * c->f.spatial.kernel[1] * c->line_quads * 4
                        : c->f.groups * c->panels * c->taps * c->rows * 4;
}

/* Weight `element` of the window of input channel `in` and output channel `channel`. */
static int weight_at(const struct nn_op_call *call, const struct conv *c, int64_t channel,
                     int64_t in, int64_t element)
{
    int64_t window = c->f.spatial.window_size;
    return nn_byte_weight(call, nn_byte_roles_of(call),
                          (channel * c->f.in_channels + in) * window + element, channel);
}

static void pack_depthwise(const struct nn_op_call *call, const struct conv *c, int8_t *packed)
{
    const int64_t *kernel = c->f.spatial.kernel;
    for (int64_t channel = 0; channel < c->channels; channel++)
        for (int64_t k = 0; k < kernel[1]; k++)
            for (int64_t l = 0; l < 4 * c->line_quads; l++)
                *packed++ = l < kernel[2]
                                ? (int8_t)weight_at(call, c, channel, 0, k * kernel[2] + l)
                                : (int8_t)0;
}

/* One tap of a panel: (rows, 4). What the last panel and quad lack is zero. */
static void pack_tap(const struct nn_op_call *call, const struct conv *c, int64_t group,
                     int64_t panel, int64_t tap, int8_t *packed)
{
    int64_t window = c->f.spatial.window_size, each = c->quads * window;
    int part = (int)(tap / each);
    int64_t quad = tap % each / window, element = tap % window;
    for (int64_t r = 0; r < c->rows; r++) {
        int64_t own = panel * c->rows + r, channel = group * c->f.out_channels + own;
        for (int64_t in = 4 * quad; in < 4 * quad + 4; in++)
            *packed++ = own < c->f.out_channels && in < c->f.in_channels
                            ? nn_byte_part(weight_at(call, c, channel, in, element), part)
                            : (int8_t)0;
    }
}

static void pack(const struct nn_op_call *call, const struct conv *c, int8_t *packed,
                 int32_t *sums)
{
    if (c->depthwise)
        pack_depthwise(call, c, packed);
    for (int64_t g = 0; g < c->f.groups && !c->depthwise; g++)
        for (int64_t p = 0; p < c->panels; p++)
            for (int64_t t = 0; t < c->taps; t++, packed += 4 * c->rows)
                pack_tap(call, c, g, p, t, packed);
    for (int64_t channel = 0; channel < c->channels; channel++) {
        uint32_t sum = 0;
        for (int64_t in = 0; in < c->f.in_channels; in++)
            for (int64_t e = 0; e < c->f.spatial.window_size; e++)
                sum += (uint32_t)weight_at(call, c, channel, in, e);
        sums[channel] = (int32_t)sum;
    }
}

static size_t words(int64_t bytes)
{
    return (size_t)(bytes + 3) / 4;
}

/* The plan's weights, or room in the workspace for those of a run. */
static int prepare_weights(struct nn_op_call *call, struct conv *c, size_t *workspace)
{
    int64_t bytes = packed_bytes(c);
    if (!c->constant) {
        c->packed_at = *workspace;
        c->packed_sums_at = c->packed_at + nn_arena_aligned((size_t)bytes);
        *workspace =
            c->packed_sums_at + nn_arena_aligned((size_t)c->channels * sizeof(int32_t));
        return 0;
    }
    bool fill, fill_sums;
    void *packed = nn_op_weights(call, SLOT_WEIGHT, words(bytes), &fill);
    void *sums =
        packed ? nn_op_weights(call, SLOT_SUMS, (size_t)c->channels, &fill_sums) : NULL;
    if (!sums)
        return -ENOMEM;
    if (fill && fill_sums)
        pack(call, c, packed, sums);
    c->packed = packed;
    c->sums = sums;
    call->packed_inputs = 1u << nn_byte_roles_of(call)->w;
    return 0;
}

/* Geometry. */

static void find_runs(struct conv *c)
{
    const struct nn_spatial *s = &c->f.spatial;
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
    /* Lines that fill chunks go one by one: results go straight to their place. */
    int64_t rest = c->width % CHUNK;
    if (c->width < c->line_step && c->depths == 1 && !c->pooled &&
        (rest == 0 || rest >= CHUNK / 2)) {
        c->depths = c->lines;
        c->depth_step = c->line_step;
        c->lines = 1;
        c->line_step = c->positions = c->width;
    }
    c->sums_step = c->pooled ? (2 * c->line_step + 15) / 16 * 16 : CHUNK;
}

static int prepare_tiles(struct nn_op_call *call, struct conv *c)
{
    const struct nn_spatial *s = &c->f.spatial;
    int64_t window = s->window_size, most;
    c->quads = (c->f.in_channels + 3) / 4;
    c->rows = (int64_t)call->kernels->bytes->tile_rows;
    c->panels = (c->f.out_channels + c->rows - 1) / c->rows;
    if (__builtin_mul_overflow(c->quads * window, c->parts, &c->taps) ||
        __builtin_mul_overflow(c->taps, c->f.groups * c->panels * c->rows * 4, &most) ||
        most > INT32_MAX)
        return nn_op_fail(call, -E2BIG, "its weights are too large");
    c->offsets = nn_op_alloc(call, (size_t)c->taps * sizeof *c->offsets);
    if (!c->offsets)
        return -ENOMEM;
    nn_spatial_taps(s, c->quads, c->offsets);
    for (int part = 1; part < c->parts; part++)
        memcpy(c->offsets + part * c->quads * window, c->offsets,
               (size_t)(c->quads * window) * sizeof *c->offsets);
    find_runs(c);
    return 0;
}

/* A plane of bytes with its padding, wide enough for the last quad of the last window. */
static int prepare_depthwise(struct nn_op_call *call, struct conv *c)
{
    const struct nn_spatial *s = &c->f.spatial;
    int64_t size;
    c->line_quads = (s->kernel[2] + 3) / 4;
    c->plane_width = (s->out[2] - 1) * s->stride[2] + 4 * c->line_quads;
    c->plane_height = (s->out[1] - 1) * s->stride[1] + s->kernel[1];
    if (__builtin_mul_overflow(c->plane_width, c->plane_height, &size) || size > INT32_MAX)
        return nn_op_fail(call, -E2BIG, "its padded input is too large");
    return 0;
}

static int prepare(struct nn_op_call *call)
{
    const struct nn_byte_roles *roles = nn_byte_roles_of(call);
    struct conv *c = nn_op_alloc(call, sizeof *c);
    if (!c)
        return -ENOMEM;
    call->state = c;
    int r = nn_spatial_filters(call, roles->w, 4, &c->f);
    if (r < 0)
        return r;
    const struct nn_spatial *s = &c->f.spatial;
    c->channels = c->f.groups * c->f.out_channels;
    c->pooled = call->pooled;
    c->written = c->pooled ? (s->out[1] / 2) * (s->out[2] / 2) : s->out_size;
    c->constant = nn_byte_is_constant(call, roles);
    c->parts = nn_byte_parts(call, roles, c->channels);
    c->depthwise = suits_depthwise(c);
    call->method = c->depthwise ? "bytes, depthwise" : "bytes";
    r = c->depthwise ? prepare_depthwise(call, c) : prepare_tiles(call, c);
    if (r < 0)
        return r;
    int64_t most = c->depthwise ? s->out_size : c->sums_step;
    size_t planes = c->depthwise ? (size_t)(c->plane_width * c->plane_height)
                                 : (size_t)(c->quads * s->plane_size) * sizeof(float);
    size_t sums = (size_t)(c->depthwise ? most : c->rows * most) * sizeof(int32_t);
    size_t at = c->planes_at + nn_arena_aligned(planes);
    c->row_at = at;
    at += nn_arena_aligned((size_t)s->in[2] * sizeof(float));
    c->sums_at = at;
    at += nn_arena_aligned(sums);
    c->line_at = at;
    at += nn_arena_aligned((size_t)most * sizeof(float));
    c->results_at = at;
    at += nn_byte_results_bytes(call, c->channels, most);
    r = prepare_weights(call, c, &at);
    call->workspace_bytes = at;
    return r;
}

/* Running. */

struct run {
    const struct nn_op_call *call;
    const struct conv *c;
    struct nn_byte_results results;
    const int8_t *packed;
    uint8_t flip, zero; /* of the input: zero is the byte that stands for 0, after the flip */
    size_t element;     /* bytes of one output */
};

static void *workspace(const struct run *run, size_t at)
{
    return (char *)run->call->workspace + at;
}

/* Where outputs of a channel, counted through the whole output, begin. */
static char *output(const struct run *run, int64_t channel)
{
    return (char *)run->call->outputs[0].data +
           (size_t)(channel * run->c->written) * run->element;
}

/* The sums of positions first..first+count-1, `line_step` of them to a line whose first `width`
 * are outputs, to their place. */
static void finish(const struct run *run, int64_t channel, const int32_t *sums, char *out,
                   int64_t first, int64_t count, int64_t width, int64_t line_step)
{
    if (width == line_step) {
        nn_byte_results_write(run->call, &run->results, channel, false, sums,
                              out + (size_t)first * run->element, (size_t)count);
        return;
    }
    char *line = workspace(run, run->c->line_at);
    nn_byte_results_write(run->call, &run->results, channel, false, sums, line, (size_t)count);
    for (int64_t i = first / line_step; i * line_step < first + count; i++) {
        int64_t start = i * line_step, end = start + width;
        start = start < first ? first : start;
        end = end > first + count ? first + count : end;
        if (start < end)
            memcpy(out + (size_t)(i * width + start - i * line_step) * run->element,
                   line + (size_t)(start - first) * run->element,
                   (size_t)(end - start) * run->element);
    }
}

/* Four planes that are interleaved while they are laid out. */
struct quad {
    struct nn_spatial_source source;
    const struct nn_kernels *k;
    const uint8_t *x[4];
    uint8_t flip;
    float *row;
};

static void copy_quads(const struct nn_spatial_source *source, float *to, int64_t from,
                       int64_t stride, int64_t count)
{
    const struct quad *q = (const struct quad *)source;
    const uint8_t *const x[4] = {q->x[0] + from, q->x[1] + from, q->x[2] + from,
                                 q->x[3] + from};
    if (stride == 1) {
        q->k->bytes->interleave((uint8_t *)to, x, q->flip, (size_t)count);
        return;
    }
    q->k->bytes->interleave((uint8_t *)q->row, x, q->flip, (size_t)((count - 1) * stride + 1));
    q->k->gather(to, q->row, (size_t)stride, (size_t)count);
}

/* The channels of a group, from `x` on, in quads. Weights of channels that the last one lacks
 * are zero: any bytes do. */
static void lay_out(const struct run *run, const uint8_t *x)
{
    const struct conv *c = run->c;
    const struct nn_spatial *s = &c->f.spatial;
    const uint8_t zeros[4] = {run->zero, run->zero, run->zero, run->zero};
    float fill, *planes = workspace(run, c->planes_at);
    memcpy(&fill, zeros, sizeof fill);
    struct quad quad = {.source = {copy_quads},
                        .k = run->call->kernels,
                        .flip = run->flip,
                        .row = workspace(run, c->row_at)};
    for (int64_t q = 0; q < c->quads; q++, planes += s->plane_size) {
        for (int64_t k = 0; k < 4; k++) {
            int64_t channel = 4 * q + k < c->f.in_channels ? 4 * q + k : 4 * q;
            quad.x[k] = x + channel * s->in_size;
        }
        if (s->direct)
            quad.k->bytes->interleave((uint8_t *)planes, quad.x, quad.flip, (size_t)s->in_size);
        else
            nn_spatial_lay_out_from(s, &quad.source, fill, planes);
    }
}

/* The maxima of two lines of sums, `line_step` apart, to their place. */
static void finish_pooled(const struct run *run, int64_t channel, const int32_t *sums,
                          uint8_t *out)
{
    const struct conv *c = run->c;
    uint8_t *line = workspace(run, c->line_at);
    nn_byte_results_write(run->call, &run->results, channel, false, sums, line,
                          (size_t)(c->line_step + c->width));
    run->call->kernels->bytes->max_2x2(out, line, line + c->line_step,
                                       run->call->outputs[0].type == NN_TYPE_INT8 ? 128 : 0,
                                       (size_t)(c->width / 2));
}

/* One group of one image; `first` is its first output channel, counted through the output. */
static void run_tiles(const struct run *run, int64_t group, int64_t first)
{
    const struct conv *c = run->c;
    int32_t *sums = workspace(run, c->sums_at);
    const int8_t *packed = run->packed + group * c->panels * c->taps * c->rows * 4;
    int64_t chunk = c->pooled ? 2 * c->line_step : CHUNK;
    int64_t most = c->pooled ? c->line_step + c->width : CHUNK;
    struct nn_byte_tile t = {.y = sums,
                             .y_step = (size_t)c->sums_step,
                             .offset = c->offsets,
                             .taps = (size_t)c->taps};
    for (int64_t depth = 0; depth < c->depths; depth++) {
        int64_t before = depth * c->lines * c->width;
        for (int64_t at = 0; at < c->positions; at += chunk) {
            int64_t count = c->positions - at < most ? c->positions - at : most;
            if (c->pooled && count < most) /* the last line of an odd number */
                break;
            t.n = (size_t)count;
            t.x = (const uint8_t *)workspace(run, c->planes_at) +
                  (depth * c->depth_step + at) * 4;
            for (int64_t row = 0; row < c->f.out_channels; row++) {
                const int32_t *own = sums + row % c->rows * c->sums_step;
                char *out = output(run, first + row) + (size_t)before * run->element;
                t.weight = packed + row * c->taps * 4;
                if (row % c->rows == 0)
                    run->call->kernels->bytes->tile(&t);
                int64_t channel = group * c->f.out_channels + row;
                if (c->pooled)
                    finish_pooled(run, channel, own,
                                  (uint8_t *)out + at / chunk * (c->width / 2));
                else
                    finish(run, channel, own, out, at, count, c->width, c->line_step);
            }
        }
    }
}

/* One channel into a plane, with its padding. */
static void pad_plane(const struct run *run, const uint8_t *x)
{
    const struct conv *c = run->c;
    const struct nn_spatial *s = &c->f.spatial;
    uint8_t *to = workspace(run, c->planes_at);
    memset(to, run->zero, (size_t)(c->plane_width * c->plane_height));
    int64_t left = s->pad_before[2] < c->plane_width ? s->pad_before[2] : c->plane_width;
    int64_t above = s->pad_before[1] < c->plane_height ? s->pad_before[1] : c->plane_height;
    int64_t count = s->in[2] < c->plane_width - left ? s->in[2] : c->plane_width - left;
    int64_t rows = s->in[1] < c->plane_height - above ? s->in[1] : c->plane_height - above;
    run->call->kernels->bytes->copy(to + above * c->plane_width + left, (size_t)c->plane_width,
                                    x, (size_t)s->in[2], run->flip, (size_t)rows,
                                    (size_t)count);
}

static void run_depthwise(const struct run *run, int64_t channel, int64_t out)
{
    const struct conv *c = run->c;
    const struct nn_spatial *s = &c->f.spatial;
    int32_t *sums = workspace(run, c->sums_at);
    run->call->kernels->bytes->depthwise(&(struct nn_byte_depthwise){
        .y = sums,
        .x = workspace(run, c->planes_at),
        .x_step = (size_t)c->plane_width,
        .weight = run->packed + channel * s->kernel[1] * c->line_quads * 4,
        .lines = (size_t)s->kernel[1],
        .quads = (size_t)c->line_quads,
        .stride = (size_t)s->stride[2],
        .rows = (size_t)s->out[1],
        .columns = (size_t)s->out[2],
    });
    nn_byte_results_write(run->call, &run->results, channel, false, sums, output(run, out),
                          (size_t)s->out_size);
}

static int forward(struct nn_op_call *call)
{
    const struct nn_byte_roles *roles = nn_byte_roles_of(call);
    const struct conv *c = call->state;
    struct run run = {.call = call,
                      .c = c,
                      .packed = c->packed,
                      .flip = nn_byte_flip(call, roles),
                      .zero = (uint8_t)nn_byte_x_zero(call, roles, 0),
                      .element = nn_type_size(call->outputs[0].type)};
    const int32_t *sums = c->sums;
    if (!c->constant) {
        sums = workspace(&run, c->packed_sums_at);
        run.packed = workspace(&run, c->packed_at);
        pack(call, c, workspace(&run, c->packed_at), workspace(&run, c->packed_sums_at));
    }
    run.results =
        nn_byte_results_make(call, roles, sums, c->channels, 0, workspace(&run, c->results_at));
    const uint8_t *x = call->inputs[roles->x].data;
    for (int64_t i = 0; i < c->f.batch * c->f.groups; i++) {
        int64_t group = i % c->f.groups, first = i * c->f.out_channels;
        const uint8_t *image = x + i * c->f.in_channels * c->f.spatial.in_size;
        if (c->depthwise)
            pad_plane(&run, image);
        else
            lay_out(&run, image);
        if (!c->depthwise)
            run_tiles(&run, group, first);
        for (int64_t row = 0; row < c->f.out_channels && c->depthwise; row++)
            run_depthwise(&run, group * c->f.out_channels + row, first + row);
    }
    return 0;
}

static bool conv_time(const struct nn_op_call *call, const int *in, int *out)
{
    struct nn_spatial_filters f;
    return nn_spatial_filters(call, nn_byte_roles_of(call)->w, 4, &f) == 0 &&
           (in[0] == 0 || !call->pooled) && nn_spatial_time(call, in, &f.spatial, out);
}

static double conv_macs(const struct nn_op_call *call)
{
    return nn_spatial_macs(call, nn_byte_roles_of(call)->w);
}

static const struct nn_attribute_rule rules[] = {NN_SPATIAL_FILTER_RULES, {0}};

static const struct nn_byte_roles integer_roles = {NN_BYTE_INTEGER};
static const struct nn_byte_roles qlinear_roles = {NN_BYTE_QLINEAR, .bias = 8};
static const struct nn_byte_roles planned_roles = {NN_BYTE_QLINEAR, .bias = 8, .planned = true};

const struct nn_op nn_op_conv_integer = {
    .name = "ConvInteger",
    .min_inputs = 2,
    .max_inputs = 4,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = rules,
    .variant = &integer_roles,
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .time = conv_time,
    .macs = conv_macs,
};

const struct nn_op nn_op_qlinear_conv = {
    .name = "QLinearConv",
    .min_inputs = 8,
    .max_inputs = 9,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = rules,
    .variant = &qlinear_roles,
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .time = conv_time,
    .macs = conv_macs,
};

const struct nn_op nn_op_conv_bytes = {
    .name = "Conv",
    .min_inputs = 4,
    .max_inputs = 9,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_FUSES_ACTIVATION,
    .attributes = rules,
    .variant = &planned_roles,
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .time = conv_time,
    .macs = conv_macs,
};
