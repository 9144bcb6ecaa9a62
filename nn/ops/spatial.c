#include "nn/ops/spatial.h"

#include <errno.h>
#include <string.h>

/* Bounds that keep every product here far inside 64 bits; real models stay far below. */
enum { MAX_STEP = 1 << 20 };

int nn_spatial_list(const struct nn_op_call *call, const char *name, int axes, int64_t low,
                    int64_t otherwise, int64_t *values)
{
    int count;
    const int64_t *list = nn_op_ints(call, name, &count);
    for (int i = 0; i < NN_SPATIAL_AXES; i++)
        values[i] = otherwise;
    if (!list)
        return 0;
    if (count != axes)
        return nn_op_fail(call, -EINVAL, "%s has %d values for %d spatial dimensions", name,
                          count, axes);
    for (int i = 0; i < axes; i++) {
        if (list[i] < low || list[i] > MAX_STEP)
            return nn_op_fail(call, -EINVAL, "%s has the value %lld", name, (long long)list[i]);
        values[NN_SPATIAL_AXES - axes + i] = list[i];
    }
    return 0;
}

int nn_spatial_pads(const struct nn_op_call *call, int axes, int64_t *before, int64_t *after)
{
    int count;
    const int64_t *pads = nn_op_ints(call, "pads", &count);
    for (int i = 0; i < NN_SPATIAL_AXES; i++)
        before[i] = after[i] = 0;
    if (!pads)
        return 0;
    if (count != 2 * axes)
        return nn_op_fail(call, -EINVAL, "pads has %d values for %d spatial dimensions", count,
                          axes);
    for (int i = 0; i < count; i++) {
        if (pads[i] < 0 || pads[i] > MAX_STEP)
            return nn_op_fail(call, -EINVAL, "pads has the value %lld", (long long)pads[i]);
        int to = NN_SPATIAL_AXES - axes + i % axes;
        *(i < axes ? &before[to] : &after[to]) = pads[i];
    }
    return 0;
}

void nn_spatial_pad_evenly(struct nn_spatial *s, int axis, int64_t total, bool upper)
{
    total = total > 0 ? total : 0;
    s->pad_before[axis] = upper ? total / 2 : total - total / 2;
    s->pad_after[axis] = total - s->pad_before[axis];
}

/* Inputs one window spans along an axis. */
static int64_t span(const struct nn_spatial *s, int axis)
{
    return (s->kernel[axis] - 1) * s->dilation[axis] + 1;
}

static void pad_to_same(struct nn_spatial *s, bool upper)
{
    for (int i = 0; i < NN_SPATIAL_AXES; i++) {
        int64_t out = (s->in[i] + s->stride[i] - 1) / s->stride[i];
        nn_spatial_pad_evenly(s, i, (out - 1) * s->stride[i] + span(s, i) - s->in[i], upper);
    }
}

static int resolve_pads(const struct nn_op_call *call, struct nn_spatial *s)
{
    const char *mode = nn_op_string(call, "auto_pad", "NOTSET");
    if (strcmp(mode, "NOTSET") == 0)
        return nn_spatial_pads(call, s->axes, s->pad_before, s->pad_after);
    /* pads beside another mode means nothing; exporters write zeros there. */
    if (strcmp(mode, "SAME_UPPER") == 0)
        pad_to_same(s, true);
    else if (strcmp(mode, "SAME_LOWER") == 0)
        pad_to_same(s, false);
    else if (strcmp(mode, "VALID") != 0)
        return nn_op_fail(call, -EINVAL, "auto_pad is '%.40s'", mode);
    return 0;
}

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

int64_t nn_spatial_period(const struct nn_spatial *s, int axis)
{
    return s->stride[axis] / gcd(s->stride[axis], s->dilation[axis]);
}

static int infer_extents(const struct nn_op_call *call, int64_t channels, struct nn_spatial *s)
{
    bool ceil_mode = nn_op_int(call, "ceil_mode", 0) != 0;
    s->in_size = s->out_size = s->plane_size = s->window_size = 1;
    s->direct = true;
    for (int i = 0; i < NN_SPATIAL_AXES; i++) {
        int64_t room = s->in[i] + s->pad_before[i] + s->pad_after[i] - span(s, i);
        if (room < 0)
            return nn_op_fail(call, -EINVAL,
                              "a window of %lld does not fit into %lld with padding",
                              (long long)span(s, i), (long long)(room + span(s, i)));
        s->out[i] = (room + (ceil_mode ? s->stride[i] - 1 : 0)) / s->stride[i] + 1;
        /* Rounding up must not add a window that starts behind the input. */
        if (ceil_mode && (s->out[i] - 1) * s->stride[i] >= s->in[i] + s->pad_before[i])
            s->out[i]--;
        int64_t cycle = nn_spatial_period(s, i);
        s->phases[i] = cycle < s->kernel[i] ? cycle : s->kernel[i];
        s->extent[i] = s->out[i] + (s->kernel[i] - 1) * s->dilation[i] / s->stride[i];
        s->direct &= s->stride[i] == 1 && s->pad_before[i] == 0 && s->extent[i] == s->in[i];
        if (__builtin_mul_overflow(s->in_size, s->in[i], &s->in_size) ||
            __builtin_mul_overflow(s->out_size, s->out[i], &s->out_size) ||
            __builtin_mul_overflow(s->plane_size, s->phases[i], &s->plane_size) ||
            __builtin_mul_overflow(s->plane_size, s->extent[i], &s->plane_size) ||
            __builtin_mul_overflow(s->window_size, s->kernel[i], &s->window_size))
            return nn_op_fail(call, -E2BIG, "its padded input is too large");
    }
    int64_t floats, taps;
    if (__builtin_mul_overflow(s->plane_size, channels, &floats) || floats > INT32_MAX ||
        __builtin_mul_overflow(s->window_size, channels, &taps) || taps > INT32_MAX)
        return nn_op_fail(call, -E2BIG, "its padded input is too large");
    return 0;
}

int nn_spatial_window(const struct nn_op_call *call, const int64_t *kernel, int axes,
                      struct nn_spatial *ret_spatial)
{
    struct nn_spatial s = {.axes = axes};
    const struct nn_shape *in = &call->inputs[0].shape;
    if (axes > NN_SPATIAL_AXES)
        return nn_op_fail(call, -ENOTSUP, "%d spatial dimensions; at most 3 are supported",
                          axes);
    if (axes < 1 || in->rank != axes + 2)
        return nn_op_fail(call, -EINVAL, "a kernel of %d dimensions on an input of rank %d",
                          axes, in->rank);
    int count;
    const int64_t *given = nn_op_ints(call, "kernel_shape", &count);
    if (given && (count != axes || memcmp(given, kernel, (size_t)axes * sizeof *kernel) != 0))
        return nn_op_fail(call, -EINVAL, "kernel_shape differs from the shape of the weight");
    for (int i = 0; i < NN_SPATIAL_AXES; i++)
        s.in[i] = s.kernel[i] = 1;
    for (int i = 0; i < axes; i++) {
        int to = NN_SPATIAL_AXES - axes + i;
        s.in[to] = in->dim[2 + i];
        s.kernel[to] = kernel[i];
        if (s.in[to] < 1 || s.in[to] > INT32_MAX)
            return nn_op_fail(call, -EINVAL, "dimension %d of its input is %lld", 2 + i,
                              (long long)s.in[to]);
        if (kernel[i] < 1 || kernel[i] > MAX_STEP)
            return nn_op_fail(call, -EINVAL, "kernel_shape has the value %lld",
                              (long long)kernel[i]);
    }
    int r = nn_spatial_list(call, "strides", axes, 1, 1, s.stride);
    if (r == 0)
        r = nn_spatial_list(call, "dilations", axes, 1, 1, s.dilation);
    if (r == 0)
        *ret_spatial = s;
    return r;
}

int nn_spatial_infer(const struct nn_op_call *call, const int64_t *kernel, int axes,
                     int64_t channels, struct nn_spatial *ret_spatial)
{
    struct nn_spatial s;
    int r = nn_spatial_window(call, kernel, axes, &s);
    if (r == 0)
        r = resolve_pads(call, &s);
    if (r == 0)
        r = infer_extents(call, channels, &s);
    if (r == 0)
        *ret_spatial = s;
    return r;
}

int nn_spatial_filters(const struct nn_op_call *call, int weight, int64_t quantum,
                       struct nn_spatial_filters *ret_filters)
{
    struct nn_spatial_filters f = {0};
    const struct nn_shape *x = &call->inputs[0].shape, *w = &call->inputs[weight].shape;
    if (w->rank < 3 || x->rank != w->rank)
        return nn_op_fail(call, -EINVAL, "its input has rank %d and its weight rank %d",
                          x->rank, w->rank);
    f.batch = x->dim[0];
    f.groups = nn_op_int(call, "group", 1);
    f.in_channels = w->dim[1];
    int64_t channels;
    if (f.groups < 1 || w->dim[0] < 1 || w->dim[1] < 1 || w->dim[0] % f.groups != 0 ||
        __builtin_mul_overflow(f.groups, f.in_channels, &channels) || channels != x->dim[1])
        return nn_op_fail(
            call, -EINVAL,
            "group %lld, a weight for %lld of %lld channels and %lld input channels "
            "do not fit together",
            (long long)f.groups, (long long)w->dim[1], (long long)w->dim[0],
            (long long)x->dim[1]);
    f.out_channels = w->dim[0] / f.groups;
    int r = nn_spatial_infer(call, w->dim + 2, w->rank - 2, (f.in_channels - 1) / quantum + 1,
                             &f.spatial);
    if (r == 0)
        *ret_filters = f;
    return r;
}

double nn_spatial_macs(const struct nn_op_call *call, int weight)
{
    const struct nn_shape *w = &call->inputs[weight].shape;
    return (double)nn_shape_count(&call->outputs[0].shape) *
           (double)nn_shape_extent(w, 1, w->rank);
}

void nn_spatial_output(const struct nn_spatial *s, int64_t batch, int64_t channels,
                       struct nn_shape *ret_shape)
{
    ret_shape->rank = 2 + s->axes;
    ret_shape->dim[0] = batch;
    ret_shape->dim[1] = channels;
    for (int i = 0; i < s->axes; i++)
        ret_shape->dim[2 + i] = s->out[NN_SPATIAL_AXES - s->axes + i];
}

/* What a position of a phase reads along an axis, which may lie outside the input. */
static int64_t input_at(const struct nn_spatial *s, int axis, int64_t phase, int64_t position)
{
    return position * s->stride[axis] + phase * s->dilation[axis] % s->stride[axis] -
           s->pad_before[axis];
}

/* Positions first..last-1 of a line of a phase hold inputs; the others padding. */
struct filled {
    int64_t first, last;
    int64_t start; /* the input at position `first` */
};

static struct filled filled_part(const struct nn_spatial *s, int64_t phase)
{
    int64_t stride = s->stride[2], shift = input_at(s, 2, phase, 0);
    struct filled f;
    f.first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
    int64_t room = s->in[2] - shift;
    f.last = room <= 0 ? 0 : (room + stride - 1) / stride;
    if (f.last > s->extent[2])
        f.last = s->extent[2];
    if (f.first > f.last)
        f.first = f.last;
    f.start = f.first * stride + shift;
    return f;
}

static void fill_row(float *to, float value, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        to[i] = value;
}

static bool is_inside(const struct nn_spatial *s, int axis, int64_t at)
{
    return at >= 0 && at < s->in[axis];
}

/* One depth of the phases that read it. Lines in the order of the input, whichever phase they
 * belong to: memory that is read from one end to the other comes from far caches in time. */
static void lay_out_slice(const struct nn_spatial *s, const struct nn_spatial_source *source,
                          float fill, int64_t depth, int64_t phase, float *planes)
{
    struct filled w = filled_part(s, phase);
    int64_t volume = s->extent[0] * s->extent[1] * s->extent[2];
    for (int64_t j = 0; j < s->extent[1]; j++) {
        float *to = planes + j * s->extent[2];
        for (int64_t k = 0; k < s->phases[1]; k++, to += s->phases[2] * volume) {
            int64_t line = input_at(s, 1, k, j);
            if (!is_inside(s, 0, depth) || !is_inside(s, 1, line) || w.last == w.first) {
                fill_row(to, fill, s->extent[2]);
                continue;
            }
            fill_row(to, fill, w.first);
            source->copy(source, to + w.first, (depth * s->in[1] + line) * s->in[2] + w.start,
                         s->stride[2], w.last - w.first);
            fill_row(to + w.last, fill, s->extent[2] - w.last);
        }
    }
}

void nn_spatial_lay_out_from(const struct nn_spatial *s, const struct nn_spatial_source *source,
                             float fill, float *planes)
{
    int64_t slice = s->extent[1] * s->extent[2], volume = s->extent[0] * slice;
    for (int64_t i = 0; i < s->phases[0]; i++, planes += s->phases[1] * s->phases[2] * volume)
        for (int64_t j = 0; j < s->extent[0]; j++)
            for (int64_t k = 0; k < s->phases[2]; k++)
                lay_out_slice(s, source, fill, input_at(s, 0, i, j), k,
                              planes + k * volume + j * slice);
}

struct channel {
    struct nn_spatial_source source;
    const struct nn_kernels *k;
    const float *x;
};

static void copy_channel(const struct nn_spatial_source *source, float *to, int64_t from,
                         int64_t stride, int64_t count)
{
    const struct channel *c = (const struct channel *)source;
    c->k->gather(to, c->x + from, (size_t)stride, (size_t)count);
}

void nn_spatial_lay_out(const struct nn_spatial *s, const struct nn_kernels *k, const float *x,
                        float fill, float *planes)
{
    const struct channel channel = {{copy_channel}, k, x};
    nn_spatial_lay_out_from(s, &channel.source, fill, planes);
}

void nn_spatial_taps(const struct nn_spatial *s, int64_t channels, int32_t *offsets)
{
    int64_t tap[NN_SPATIAL_AXES];
    for (int64_t c = 0; c < channels; c++)
        for (tap[0] = 0; tap[0] < s->kernel[0]; tap[0]++)
            for (tap[1] = 0; tap[1] < s->kernel[1]; tap[1]++)
                for (tap[2] = 0; tap[2] < s->kernel[2]; tap[2]++) {
                    int64_t phase = 0, place = 0;
                    for (int i = 0; i < NN_SPATIAL_AXES; i++) {
                        phase = phase * s->phases[i] + tap[i] % nn_spatial_period(s, i);
                        place = place * s->extent[i] + tap[i] * s->dilation[i] / s->stride[i];
                    }
                    int64_t volume = s->extent[0] * s->extent[1] * s->extent[2];
                    *offsets++ = (int32_t)(c * s->plane_size + phase * volume + place);
                }
}

bool nn_spatial_time(const struct nn_op_call *call, const int *in, const struct nn_spatial *s,
                     int *out)
{
    if (in[0] == 0)
        return nn_op_time_batch(call, in, out);
    for (int i = 1; i < call->input_count; i++) {
        if (in[i] != NN_TIME_NONE)
            return false;
    }
    int axis = in[0] - 2 + NN_SPATIAL_AXES - s->axes;
    if (in[0] < 2 || s->kernel[axis] != 1 || s->stride[axis] != 1 || s->pad_before[axis] != 0 ||
        s->pad_after[axis] != 0)
        return false;
    for (int i = 0; i < call->output_count; i++)
        out[i] = in[0];
    return true;
}
