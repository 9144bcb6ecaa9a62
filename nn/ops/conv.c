/* Conv. One path for every shape: inputs laid out for taps (nn/ops/spatial.h), weights packed in
 * panels of tile_rows output channels, and the table's tile over positions that are
 * contiguous in the layout. Positions between the end of one output row and the start of the
 * next are computed too and dropped: with the few columns that padding adds, that is cheaper
 * than short rows. */
#include <errno.h>
#include <string.h>

#include "nn/activation.h"
#include "nn/ops/spatial.h"

/* Positions of one chunk: a multiple of every table's tile width, small enough that its sums
 * stay in the first-level cache. */
#define CHUNK 192
/* Taps summed at a time: their weights and input rows stay in the first-level cache, and
 * partial sums keep rounding errors of deep convolutions apart. */
#define TAP_BLOCK 256
/* Floats of input that all panels go over before the next ones are read: half of a
 * second-level cache of 1 MiB. */
#define BAND_FLOATS 131072

/* Floats in a workspace are counted so that each piece starts on a cache line. */
#define ALIGNED(floats) (((floats) + 15) / 16 * 16)

struct conv {
    struct nn_spatial spatial;
    int64_t batch, groups;
    int64_t in_channels, out_channels; /* of one group */
    int64_t taps;                      /* in_channels × window */
    int64_t rows, panels;              /* output channels in a panel, panels in a group */
    /* Contiguous runs of outputs in the layout: `lines` per depth, `width` outputs each. */
    int64_t depths, lines, width, line_step, depth_step;
    int64_t positions; /* of one depth, from the first output to the last */
    int32_t *offsets;  /* (taps) */
    const float
        *packed; /* (groups, panels, taps, rows), NULL when the weight is not constant */
};

static int geometry(const struct nn_op_call *call, struct conv *ret_conv)
{
    struct conv c = {0};
    const struct nn_shape *x = &call->inputs[0].shape, *w = &call->inputs[1].shape;
    if (w->rank < 3 || x->rank != w->rank)
        return nn_op_fail(call, -EINVAL, "its input has rank %d and its weight rank %d",
                          x->rank, w->rank);
    c.batch = x->dim[0];
    c.groups = nn_op_int(call, "group", 1);
    c.in_channels = w->dim[1];
    int64_t channels;
    if (c.groups < 1 || w->dim[0] < 1 || w->dim[1] < 1 || w->dim[0] % c.groups != 0 ||
        __builtin_mul_overflow(c.groups, c.in_channels, &channels) || channels != x->dim[1])
        return nn_op_fail(
            call, -EINVAL,
            "group %lld, a weight for %lld of %lld channels and %lld input channels "
            "do not fit together",
            (long long)c.groups, (long long)w->dim[1], (long long)w->dim[0],
            (long long)x->dim[1]);
    c.out_channels = w->dim[0] / c.groups;
    int count;
    const int64_t *kernel = nn_op_ints(call, "kernel_shape", &count);
    if (kernel && (count != w->rank - 2 ||
                   memcmp(kernel, w->dim + 2, (size_t)count * sizeof *kernel) != 0))
        return nn_op_fail(call, -EINVAL, "kernel_shape differs from the shape of the weight");
    int r = nn_spatial_infer(call, w->dim + 2, w->rank - 2, c.in_channels, &c.spatial);
    if (r == 0)
        *ret_conv = c;
    return r;
}

static int conv_infer(struct nn_op_call *call)
{
    struct conv c;
    for (int i = 0; i < call->input_count; i++) {
        if (!nn_op_has_input(call, i))
            continue;
        int r = nn_op_require_type(call, i, NN_TYPE_FLOAT);
        if (r < 0)
            return r;
    }
    int r = geometry(call, &c);
    if (r < 0)
        return r;
    int64_t channels = c.groups * c.out_channels;
    if (nn_op_has_input(call, 2) &&
        (call->inputs[2].shape.rank != 1 || call->inputs[2].shape.dim[0] != channels))
        return nn_op_fail(call, -EINVAL, "its bias must be a list of %lld numbers",
                          (long long)channels);
    call->outputs[0].type = NN_TYPE_FLOAT;
    nn_spatial_output(&c.spatial, c.batch, channels, &call->outputs[0].shape);
    return 0;
}

/* w (groups · out_channels, taps) to panels; the rows that a last panel lacks are zero. */
static void pack(const struct conv *c, const float *w, float *packed)
{
    for (int64_t g = 0; g < c->groups; g++) {
        for (int64_t p = 0; p < c->panels; p++) {
            for (int64_t t = 0; t < c->taps; t++) {
                for (int64_t r = 0; r < c->rows; r++) {
                    int64_t channel = p * c->rows + r;
                    *packed++ = channel < c->out_channels
                                    ? w[(g * c->out_channels + channel) * c->taps + t]
                                    : 0;
                }
            }
        }
    }
}

static int64_t packed_floats(const struct conv *c)
{
    return c->groups * c->panels * c->rows * c->taps;
}

static void find_runs(struct conv *c)
{
    const struct nn_spatial *s = &c->spatial;
    c->depths = s->out[0];
    c->lines = s->out[1];
    c->width = s->out[2];
    c->line_step = s->extent[2];
    c->depth_step = s->extent[1] * s->extent[2];
    if (c->width == c->line_step) {
        c->width *= c->lines;
        c->lines = 1;
        c->line_step = c->width;
    }
    c->positions = (c->lines - 1) * c->line_step + c->width;
}

static int conv_prepare(struct nn_op_call *call)
{
    struct conv *c = nn_op_alloc(call, sizeof *c);
    if (!c)
        return -ENOMEM;
    int r = geometry(call, c);
    if (r < 0)
        return r;
    find_runs(c);
    c->taps = c->in_channels * c->spatial.window_size;
    /* A panel mostly of zeros, as depthwise convolution would have, is slower than rows. */
    int64_t tile_rows = (int64_t)call->kernels->tile_rows;
    c->rows = 2 * c->out_channels >= tile_rows ? tile_rows : 1;
    c->panels = (c->out_channels + c->rows - 1) / c->rows;
    c->offsets = nn_op_alloc(call, (size_t)c->taps * sizeof *c->offsets);
    if (!c->offsets)
        return -ENOMEM;
    nn_spatial_taps(&c->spatial, c->in_channels, c->offsets);
    int64_t workspace = ALIGNED(c->rows * CHUNK);
    if (!c->spatial.direct)
        workspace += ALIGNED(c->in_channels * c->spatial.plane_size);
    if (nn_op_is_constant(call, 1)) {
        bool fill;
        float *packed = nn_op_weights(call, 0, (size_t)packed_floats(c), &fill);
        if (!packed)
            return -ENOMEM;
        if (fill)
            pack(c, call->inputs[1].data, packed);
        c->packed = packed;
        call->packed_inputs = 1u << 1;
    } else {
        workspace += packed_floats(c);
    }
    call->workspace_bytes = (size_t)workspace * sizeof(float);
    call->state = c;
    return 0;
}

/* What one group of one image needs. */
struct group {
    const float *planes; /* (in_channels, plane_size) */
    const float *packed; /* (panels, taps, rows) */
    const float *bias;   /* (out_channels) or NULL */
    float *out;          /* (out_channels, out_size) */
    float *sums;         /* (rows, CHUNK) */
};

/* The outputs among positions first..first+count-1, from sums to their place. */
static void store_chunk(const struct nn_op_call *call, const struct conv *c, const float *sums,
                        float *out, int64_t first, int64_t count)
{
    for (int64_t line = first / c->line_step; line * c->line_step < first + count; line++) {
        int64_t start = line * c->line_step, end = start + c->width;
        start = start < first ? first : start;
        end = end > first + count ? first + count : end;
        if (start < end)
            nn_activation_apply(call, out + line * c->width + (start - line * c->line_step),
                                sums + (start - first), (size_t)(end - start));
    }
}

static void run_chunk(const struct nn_op_call *call, const struct conv *c,
                      const struct group *g, int64_t panel, int64_t depth, int64_t first,
                      int64_t count)
{
    int64_t channels = c->out_channels - panel * c->rows;
    channels = channels < c->rows ? channels : c->rows;
    for (int64_t r = 0; r < c->rows; r++) {
        float bias = g->bias && r < channels ? g->bias[panel * c->rows + r] : 0;
        for (int64_t i = 0; i < count; i++)
            g->sums[r * CHUNK + i] = bias;
    }
    const float *from = g->planes + depth * c->depth_step + first;
    const float *weight = g->packed + panel * c->taps * c->rows;
    for (int64_t t = 0; t < c->taps; t += TAP_BLOCK) {
        size_t taps = (size_t)(c->taps - t < TAP_BLOCK ? c->taps - t : TAP_BLOCK);
        if (c->rows == 1)
            call->kernels->tap_sum(g->sums, from, c->offsets + t, weight + t, taps,
                                   (size_t)count);
        else
            call->kernels->tile(g->sums, CHUNK, from, c->offsets + t, weight + t * c->rows,
                                taps, (size_t)count);
    }
    for (int64_t r = 0; r < channels; r++) {
        float *out = g->out + (panel * c->rows + r) * c->spatial.out_size;
        store_chunk(call, c, g->sums + r * CHUNK, out + depth * c->lines * c->width, first,
                    count);
    }
}

static void run_group(const struct nn_op_call *call, const struct conv *c,
                      const struct group *g)
{
    int64_t band = BAND_FLOATS / c->in_channels / CHUNK * CHUNK;
    band = band < CHUNK ? CHUNK : band;
    for (int64_t depth = 0; depth < c->depths; depth++) {
        for (int64_t start = 0; start < c->positions; start += band) {
            int64_t end = start + band < c->positions ? start + band : c->positions;
            for (int64_t panel = 0; panel < c->panels; panel++) {
                for (int64_t first = start; first < end; first += CHUNK)
                    run_chunk(call, c, g, panel, depth, first,
                              end - first < CHUNK ? end - first : CHUNK);
            }
        }
    }
}

static int conv_forward(struct nn_op_call *call)
{
    const struct conv *c = call->state;
    const struct nn_spatial *s = &c->spatial;
    float *workspace = call->workspace;
    float *sums = workspace;
    workspace += ALIGNED(c->rows * CHUNK);
    float *planes = workspace;
    workspace += s->direct ? 0 : ALIGNED(c->in_channels * s->plane_size);
    const float *packed = c->packed;
    if (!packed) {
        pack(c, call->inputs[1].data, workspace);
        packed = workspace;
    }
    const float *x = call->inputs[0].data;
    const float *bias = nn_op_has_input(call, 2) ? call->inputs[2].data : NULL;
    float *y = call->outputs[0].data;
    for (int64_t i = 0; i < c->batch * c->groups; i++) {
        int64_t group = i % c->groups;
        const float *image = x + i * c->in_channels * s->in_size;
        for (int64_t channel = 0; !s->direct && channel < c->in_channels; channel++)
            nn_spatial_lay_out(s, call->kernels, image + channel * s->in_size, 0,
                               planes + channel * s->plane_size);
        struct group g = {
            .planes = s->direct ? image : planes,
            .packed = packed + group * c->panels * c->rows * c->taps,
            .bias = bias ? bias + group * c->out_channels : NULL,
            .out = y + i * c->out_channels * s->out_size,
            .sums = sums,
        };
        run_group(call, c, &g);
    }
    return 0;
}

static bool conv_time(const struct nn_op_call *call, const int *in, int *out)
{
    struct conv c;
    return geometry(call, &c) == 0 && nn_spatial_time(call, in, &c.spatial, out);
}

static double conv_macs(const struct nn_op_call *call)
{
    const struct nn_shape *w = &call->inputs[1].shape;
    return (double)nn_shape_count(&call->outputs[0].shape) *
           (double)nn_shape_extent(w, 1, w->rank);
}

static const struct nn_attribute_rule conv_attributes[] = {
    {"auto_pad", NN_ATTRIBUTE_STRING, 0, 0},
    {"dilations", NN_ATTRIBUTE_INTS, 0, 0},
    {"group", NN_ATTRIBUTE_INT, 0, 0},
    {"kernel_shape", NN_ATTRIBUTE_INTS, 0, 0},
    {"pads", NN_ATTRIBUTE_INTS, 0, 0},
    {"strides", NN_ATTRIBUTE_INTS, 0, 0},
    {0},
};

const struct nn_op nn_op_conv = {
    .name = "Conv",
    .min_inputs = 2,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .flags = NN_OP_FUSES_ACTIVATION,
    .attributes = conv_attributes,
    .infer = conv_infer,
    .prepare = conv_prepare,
    .forward = conv_forward,
    .time = conv_time,
    .macs = conv_macs,
};
