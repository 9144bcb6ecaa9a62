/* ConvTranspose. With stride s, outputs whose places differ by a multiple of s are made by the
 * same taps: each such phase is a convolution of stride 1 with a few of the weights, over an
 * input padded once for all phases. So nothing is multiplied that does not count, nothing is
 * scattered and added up, and the inner loops are those of Conv (nn/ops/taps.h). */
#include <errno.h>
#include <string.h>

#include "nn/activation.h"
#include "nn/ops/counts.h"
#include "nn/ops/spatial.h"
#include "nn/ops/taps.h"

struct transpose {
    struct nn_spatial window; /* as the node has it; no phases, planes or layout */
    /* The input as laid out: one phase, stride 1. extent and pad_before say which inputs, with
     * how much of nothing around them, the outputs are made of. */
    struct nn_spatial plane;
    int64_t period[NN_SPATIAL_AXES]; /* taps this far apart are in one phase */
    int64_t batch, groups;
    int64_t in_channels, out_channels; /* of one group */
    bool covers;                       /* every output is in a phase; others have no tap */

    struct nn_taps taps; /* of a group; without what each phase has of its own, and the bias */
    int64_t phase_count;
    struct phase *phases;
    const float *packed; /* (groups, phases: (panels, taps, rows)); NULL: not constant */
};

/* Outputs first + i·stride, i < count, on each axis. */
struct phase {
    int64_t first[NN_SPATIAL_AXES], count[NN_SPATIAL_AXES];
    int64_t window;   /* taps of one channel */
    int32_t *numbers; /* (window) which of the weight's they are */
    int32_t *offsets; /* (in_channels, window) what output `first` reads of the planes */
    int64_t weight;   /* taps of the phases before it */
};

/* --- geometry ----------------------------------------------------------------------------- */

/* Extents and pads of the output, in the order in which they follow from each other. */
static int infer_output(const struct nn_op_call *call, struct nn_spatial *s)
{
    int64_t wanted[NN_SPATIAL_AXES], extra[NN_SPATIAL_AXES];
    const char *mode = nn_op_string(call, "auto_pad", "NOTSET");
    bool upper = strcmp(mode, "SAME_UPPER") == 0;
    bool same = upper || strcmp(mode, "SAME_LOWER") == 0, given = strcmp(mode, "NOTSET") == 0;
    if (!same && !given && strcmp(mode, "VALID") != 0)
        return nn_op_fail(call, -EINVAL, "auto_pad is '%.40s'", mode);
    int r = nn_spatial_list(call, "output_padding", s->axes, 0, 0, extra);
    if (r == 0)
        r = nn_spatial_list(call, "output_shape", s->axes, 1, 0, wanted);
    if (r == 0 && given)
        r = nn_spatial_pads(call, s->axes, s->pad_before, s->pad_after);
    for (int i = 0; i < NN_SPATIAL_AXES && r == 0; i++) {
        int64_t full =
            s->stride[i] * (s->in[i] - 1) + extra[i] + (s->kernel[i] - 1) * s->dilation[i] + 1;
        if (wanted[i] > 0)
            nn_spatial_pad_evenly(s, i, full - wanted[i], upper);
        else if (same)
            nn_spatial_pad_evenly(s, i, full - s->stride[i] * s->in[i], upper);
        s->out[i] = wanted[i] > 0 ? wanted[i] : full - s->pad_before[i] - s->pad_after[i];
        if (s->out[i] < 1 || s->out[i] > INT32_MAX)
            return nn_op_fail(call, s->out[i] < 1 ? -EINVAL : -E2BIG,
                              "spatial dimension %d of its output would be %lld",
                              i - NN_SPATIAL_AXES + s->axes, (long long)s->out[i]);
    }
    return r;
}

/* Output o and tap k meet at input (o + pad_before - k·dilation) / stride, where that divides.
 * The plane holds every input so found, and nothing where there is none. */
static int lay_out(const struct nn_op_call *call, struct transpose *c)
{
    struct nn_spatial *w = &c->window, *s = &c->plane;
    *s = (struct nn_spatial){.in_size = 1, .plane_size = 1, .direct = true};
    memcpy(s->in, w->in, sizeof s->in);
    w->out_size = w->window_size = 1;
    c->covers = true;
    bool fits = true;
    for (int i = 0; i < NN_SPATIAL_AXES; i++) {
        int64_t reach = (w->kernel[i] - 1) * w->dilation[i] / w->stride[i];
        int64_t lowest = w->pad_before[i] / w->stride[i] - reach;
        s->stride[i] = s->dilation[i] = s->phases[i] = 1;
        s->pad_before[i] = -lowest;
        s->extent[i] = (w->pad_before[i] + w->out[i] - 1) / w->stride[i] - lowest + 1;
        s->direct &= lowest == 0 && s->extent[i] == s->in[i];
        c->period[i] = nn_spatial_period(w, i);
        c->covers &= c->period[i] == w->stride[i] && w->kernel[i] >= w->stride[i];
        fits &= !__builtin_mul_overflow(s->in_size, s->in[i], &s->in_size) &&
                !__builtin_mul_overflow(s->plane_size, s->extent[i], &s->plane_size) &&
                !__builtin_mul_overflow(w->out_size, w->out[i], &w->out_size) &&
                !__builtin_mul_overflow(w->window_size, w->kernel[i], &w->window_size);
    }
    int64_t floats;
    if (!fits || __builtin_mul_overflow(s->plane_size, c->in_channels, &floats) ||
        floats > INT32_MAX)
        return nn_op_fail(call, -E2BIG, "its padded input is too large");
    return 0;
}

static int geometry(const struct nn_op_call *call, struct transpose *ret_transpose)
{
    struct transpose c = {0};
    const struct nn_shape *x = &call->inputs[0].shape, *w = &call->inputs[1].shape;
    if (w->rank < 3 || x->rank != w->rank)
        return nn_op_fail(call, -EINVAL, "its input has rank %d and its weight rank %d",
                          x->rank, w->rank);
    c.batch = x->dim[0];
    c.groups = nn_op_int(call, "group", 1);
    if (c.groups < 1 || w->dim[0] < 1 || w->dim[1] < 1 || x->dim[1] != w->dim[0] ||
        w->dim[0] % c.groups != 0 || w->dim[1] > INT32_MAX / c.groups)
        return nn_op_fail(call, -EINVAL,
                          "group %lld, a weight for %lld channels and %lld input channels do "
                          "not fit together",
                          (long long)c.groups, (long long)w->dim[0], (long long)x->dim[1]);
    c.in_channels = w->dim[0] / c.groups;
    c.out_channels = w->dim[1];
    int r = nn_spatial_window(call, w->dim + 2, w->rank - 2, &c.window);
    if (r == 0)
        r = infer_output(call, &c.window);
    if (r == 0)
        r = lay_out(call, &c);
    if (r == 0)
        *ret_transpose = c;
    return r;
}

static int infer(struct nn_op_call *call)
{
    struct transpose c = {0};
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
    nn_spatial_output(&c.window, c.batch, channels, &call->outputs[0].shape);
    return 0;
}

/* --- planning ----------------------------------------------------------------------------- */

/* Where the outputs of an axis' taps k, k + period, ... begin, and how many there are. */
static void find_outputs(const struct nn_spatial *w, int axis, int64_t k, struct phase *p)
{
    int64_t stride = w->stride[axis], out = w->out[axis];
    int64_t first = (k * w->dilation[axis] - w->pad_before[axis]) % stride;
    first = first < 0 ? first + stride : first;
    p->first[axis] = first;
    p->count[axis] = first < out ? (out - 1 - first) / stride + 1 : 0;
}

/* What the first outputs read through tap k of an axis, counted in the plane. */
static int64_t read_at(const struct transpose *c, int axis, int64_t first, int64_t k)
{
    const struct nn_spatial *w = &c->window;
    return (first + w->pad_before[axis] - k * w->dilation[axis]) / w->stride[axis] +
           c->plane.pad_before[axis];
}

/* A phase's taps, its first one `k`; numbers and offsets of one channel. */
static void list_taps(const struct transpose *c, const int64_t *k, struct phase *p)
{
    int64_t tap[NN_SPATIAL_AXES];
    for (tap[0] = k[0]; tap[0] < c->window.kernel[0]; tap[0] += c->period[0])
        for (tap[1] = k[1]; tap[1] < c->window.kernel[1]; tap[1] += c->period[1])
            for (tap[2] = k[2]; tap[2] < c->window.kernel[2]; tap[2] += c->period[2]) {
                int64_t number = 0, offset = 0;
                for (int i = 0; i < NN_SPATIAL_AXES; i++) {
                    number = number * c->window.kernel[i] + tap[i];
                    offset = offset * c->plane.extent[i] + read_at(c, i, p->first[i], tap[i]);
                }
                p->numbers[p->window] = (int32_t)number;
                p->offsets[p->window++] = (int32_t)offset;
            }
}

static int make_phases(struct nn_op_call *call, struct transpose *c)
{
    int64_t period[NN_SPATIAL_AXES], k[NN_SPATIAL_AXES], taps = 0;
    for (int i = 0; i < NN_SPATIAL_AXES; i++)
        period[i] = nn_count_least(c->period[i], c->window.kernel[i]);
    int64_t most = period[0] * period[1] * period[2];
    c->phases = nn_op_alloc(call, (size_t)most * sizeof *c->phases);
    int32_t *numbers = nn_op_alloc(call, (size_t)c->window.window_size * sizeof *numbers);
    int32_t *offsets =
        nn_op_alloc(call, (size_t)(c->window.window_size * c->in_channels) * sizeof *offsets);
    if (!c->phases || !numbers || !offsets)
        return -ENOMEM;
    for (k[0] = 0; k[0] < period[0]; k[0]++)
        for (k[1] = 0; k[1] < period[1]; k[1]++)
            for (k[2] = 0; k[2] < period[2]; k[2]++) {
                struct phase *p = &c->phases[c->phase_count++];
                *p = (struct phase){.numbers = numbers + taps,
                                    .offsets = offsets + taps * c->in_channels,
                                    .weight = taps * c->in_channels};
                for (int i = 0; i < NN_SPATIAL_AXES; i++)
                    find_outputs(&c->window, i, k[i], p);
                list_taps(c, k, p);
                for (int64_t t = p->window; t < p->window * c->in_channels; t++)
                    p->offsets[t] = p->offsets[t - p->window] + (int32_t)c->plane.plane_size;
                taps += p->window;
            }
    return 0;
}

static int64_t taps_of(const struct transpose *c, const struct phase *p)
{
    return p->window * c->in_channels;
}

static int64_t group_floats(const struct transpose *c)
{
    return c->taps.panels * c->taps.rows * c->in_channels * c->window.window_size;
}

/* One phase of one group: w (in_channels, out_channels, window) to panels (taps, rows), with
 * zeros for the rows that a last panel lacks. */
static float *pack_phase(const struct transpose *c, const struct phase *p, const float *w,
                         float *packed)
{
    for (int64_t panel = 0; panel < c->taps.panels; panel++)
        for (int64_t i = 0; i < c->in_channels; i++)
            for (int64_t t = 0; t < p->window; t++)
                for (int64_t r = 0; r < c->taps.rows; r++) {
                    int64_t channel = panel * c->taps.rows + r;
                    int64_t from =
                        (i * c->out_channels + channel) * c->window.window_size + p->numbers[t];
                    *packed++ = channel < c->out_channels ? w[from] : 0;
                }
    return packed;
}

static void pack(const struct transpose *c, const float *w, float *packed)
{
    int64_t group = c->in_channels * c->out_channels * c->window.window_size;
    for (int64_t g = 0; g < c->groups; g++, w += group)
        for (int64_t i = 0; i < c->phase_count; i++)
            packed = pack_phase(c, &c->phases[i], w, packed);
}

static int prepare(struct nn_op_call *call)
{
    struct transpose *c = nn_op_alloc(call, sizeof *c);
    if (!c)
        return -ENOMEM;
    int r = geometry(call, c);
    if (r == 0)
        r = make_phases(call, c);
    if (r < 0)
        return r;
    c->taps = nn_taps_init(call->kernels, c->out_channels);
    int64_t workspace = NN_TAPS_ALIGNED(c->taps.rows * NN_TAPS_CHUNK),
            packed_floats = c->groups * group_floats(c);
    if (!c->plane.direct)
        workspace += NN_TAPS_ALIGNED(c->in_channels * c->plane.plane_size);
    if (nn_op_is_constant(call, 1)) {
        bool fill;
        float *packed = nn_op_weights(call, 0, (size_t)packed_floats, &fill);
        if (!packed)
            return -ENOMEM;
        if (fill)
            pack(c, call->inputs[1].data, packed);
        c->packed = packed;
        call->packed_inputs = 1u << 1;
    } else {
        workspace += packed_floats;
    }
    call->workspace_bytes = (size_t)workspace * sizeof(float);
    call->state = c;
    return 0;
}

/* --- running ------------------------------------------------------------------------------ */

/* What one phase of one group of one image needs. */
struct group {
    const float *planes; /* (in_channels, plane_size) */
    struct nn_taps taps;
    float *out;  /* (out_channels, out_size) */
    float *sums; /* (rows, NN_TAPS_CHUNK) */
    bool clamps; /* the activation is clamping, which tiles do */
};

/* The outputs among positions first..first+count-1 of a depth, from sums to their places. */
static void store_chunk(const struct nn_op_call *call, const struct transpose *c,
                        const struct phase *p, const struct group *g, float *sums, float *out,
                        int64_t first, int64_t count)
{
    const int64_t line_step = c->plane.extent[2], stride = c->window.stride[2];
    if (!g->clamps)
        nn_activation_apply(call, sums, sums, (size_t)count);
    for (int64_t line = first / line_step; line * line_step < first + count; line++) {
        int64_t start = line * line_step > first ? line * line_step : first;
        int64_t end = nn_count_least(line * line_step + p->count[2], first + count);
        float *to =
            out + (p->first[1] + line * c->window.stride[1]) * c->window.out[2] + p->first[2];
        to += (start - line * line_step) * stride;
        for (int64_t i = start; i < end; i++, to += stride)
            *to = sums[i - first];
    }
}

static void run_chunk(const struct nn_op_call *call, const struct transpose *c,
                      const struct phase *p, const struct group *g, int64_t panel,
                      int64_t depth, int64_t first, int64_t count)
{
    const int64_t channels =
        nn_count_least(c->out_channels - panel * c->taps.rows, c->taps.rows);
    const float *from = g->planes + depth * c->plane.extent[1] * c->plane.extent[2] + first;
    nn_taps_sum(call->kernels, &g->taps, panel, panel + 1, from, g->sums, NN_TAPS_CHUNK,
                (size_t)count);
    int64_t slice =
        (p->first[0] + depth * c->window.stride[0]) * c->window.out[1] * c->window.out[2];
    for (int64_t r = 0; r < channels; r++)
        store_chunk(call, c, p, g, g->sums + r * NN_TAPS_CHUNK,
                    g->out + (panel * c->taps.rows + r) * c->window.out_size + slice, first,
                    count);
}

static void run_phase(const struct nn_op_call *call, const struct transpose *c,
                      const struct phase *p, const struct group *g)
{
    if (p->count[0] == 0 || p->count[1] == 0 || p->count[2] == 0)
        return;
    int64_t band = nn_taps_band(c->in_channels);
    int64_t positions = (p->count[1] - 1) * c->plane.extent[2] + p->count[2];
    for (int64_t depth = 0; depth < p->count[0]; depth++)
        for (int64_t start = 0; start < positions; start += band) {
            int64_t end = nn_count_least(start + band, positions);
            for (int64_t panel = 0; panel < c->taps.panels; panel++)
                for (int64_t first = start; first < end; first += NN_TAPS_CHUNK)
                    run_chunk(call, c, p, g, panel, depth, first,
                              nn_count_least(end - first, NN_TAPS_CHUNK));
        }
}

/* What outputs without any tap are: the bias. */
static void fill_channels(const struct nn_op_call *call, const struct transpose *c,
                          const struct group *g)
{
    for (int64_t m = 0; m < c->out_channels; m++) {
        float *y = g->out + m * c->window.out_size;
        for (int64_t i = 0; i < c->window.out_size; i++)
            y[i] = g->taps.bias ? g->taps.bias[m] : 0;
        nn_activation_apply(call, y, y, (size_t)c->window.out_size);
    }
}

static int forward(struct nn_op_call *call)
{
    const struct transpose *c = call->state;
    const struct nn_spatial *s = &c->plane;
    float *workspace = call->workspace;
    float *sums = workspace;
    workspace += NN_TAPS_ALIGNED(c->taps.rows * NN_TAPS_CHUNK);
    float *planes = workspace;
    workspace += s->direct ? 0 : NN_TAPS_ALIGNED(c->in_channels * s->plane_size);
    const float *packed = c->packed;
    if (!packed) {
        pack(c, call->inputs[1].data, workspace);
        packed = workspace;
    }
    const float *x = call->inputs[0].data;
    const float *bias = nn_op_has_input(call, 2) ? call->inputs[2].data : NULL;
    for (int64_t i = 0; i < c->batch * c->groups; i++) {
        int64_t group = i % c->groups;
        const float *image = x + i * c->in_channels * s->in_size;
        for (int64_t channel = 0; !s->direct && channel < c->in_channels; channel++)
            nn_spatial_lay_out(s, call->kernels, image + channel * s->in_size, 0,
                               planes + channel * s->plane_size);
        struct group g = {
            .planes = s->direct ? image : planes,
            .taps = c->taps,
            .out = (float *)call->outputs[0].data + i * c->out_channels * c->window.out_size,
            .sums = sums,
        };
        g.taps.bias = bias ? bias + group * c->out_channels : NULL;
        g.clamps = c->taps.rows > 1 && nn_activation_clamps(call, &g.taps.low, &g.taps.high);
        if (!c->covers)
            fill_channels(call, c, &g);
        for (int64_t p = 0; p < c->phase_count; p++) {
            const struct phase *phase = &c->phases[p];
            g.taps.count = taps_of(c, phase);
            g.taps.offsets = phase->offsets;
            g.taps.weight = packed + group * group_floats(c) +
                            phase->weight * c->taps.panels * c->taps.rows;
            run_phase(call, c, phase, &g);
        }
    }
    return 0;
}

static double macs(const struct nn_op_call *call)
{
    const struct nn_shape *w = &call->inputs[1].shape;
    return (double)nn_shape_count(&call->inputs[0].shape) *
           (double)nn_shape_extent(w, 1, w->rank);
}

static const struct nn_attribute_rule rules[] = {
    NN_SPATIAL_FILTER_RULES,
    {"output_padding", NN_ATTRIBUTE_INTS, 0, 0},
    {"output_shape", NN_ATTRIBUTE_INTS, 0, 0},
    {0},
};

const struct nn_op nn_op_conv_transpose = {
    .name = "ConvTranspose",
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_FUSES_ACTIVATION,
    .attributes = rules,
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .time = nn_op_time_batch,
    .macs = macs,
};
