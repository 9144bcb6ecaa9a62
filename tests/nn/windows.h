/* Random windows over one to three spatial dimensions, and where their taps lie, straight from
 * the ONNX specification: what Conv and pooling are compared with. */
#ifndef TESTS_NN_WINDOWS_H
#define TESTS_NN_WINDOWS_H

#include "tests/nn/net.h"

struct windows {
    int axes;
    const char *auto_pad;
    int64_t in[3], kernel[3], stride[3], dilation[3], before[3], after[3], out[3];
    bool ceil_mode;
};

static inline int64_t windows_span(const struct windows *w, int i)
{
    return (w->kernel[i] - 1) * w->dilation[i] + 1;
}

static inline bool windows_measure(struct windows *w, int i)
{
    bool upper = strcmp(w->auto_pad, "SAME_UPPER") == 0;
    if (upper || strcmp(w->auto_pad, "SAME_LOWER") == 0) {
        int64_t out = (w->in[i] + w->stride[i] - 1) / w->stride[i];
        int64_t total = (out - 1) * w->stride[i] + windows_span(w, i) - w->in[i];
        total = total > 0 ? total : 0;
        w->before[i] = upper ? total / 2 : (total + 1) / 2;
        w->after[i] = total - w->before[i];
    }
    int64_t room = w->in[i] + w->before[i] + w->after[i] - windows_span(w, i);
    w->out[i] = room / w->stride[i] + 1;
    if (w->ceil_mode && room % w->stride[i] != 0 &&
        w->out[i] * w->stride[i] < w->in[i] + w->before[i])
        w->out[i]++;
    return room >= 0;
}

/* Every padding is smaller than the window, as pooling demands. */
static inline struct windows windows_random(uint32_t *seed, int64_t largest, bool pooling)
{
    static const char *const modes[] = {"NOTSET", "NOTSET",     "NOTSET",
                                        "VALID",  "SAME_UPPER", "SAME_LOWER"};
    for (;;) {
        struct windows w = {.axes = (int)net_pick(seed, 1, 3),
                            .auto_pad = modes[net_pick(seed, 0, 5)]};
        bool fits = true, pads = strcmp(w.auto_pad, "NOTSET") == 0;
        w.ceil_mode = pooling && net_pick(seed, 0, 1);
        for (int i = 0; i < w.axes; i++) {
            w.in[i] = net_pick(seed, 1, w.axes == 3 ? largest / 2 : largest);
            w.kernel[i] = net_pick(seed, 1, 4);
            w.stride[i] = net_pick(seed, 1, 4);
            w.dilation[i] = net_pick(seed, 1, 4);
            w.before[i] = pads ? net_pick(seed, 0, w.kernel[i] - 1) : 0;
            w.after[i] = pads ? net_pick(seed, 0, w.kernel[i] - 1) : 0;
            fits &= windows_measure(&w, i);
        }
        if (fits)
            return w;
    }
}

/* The attributes of the node under construction. */
static inline void windows_attributes(struct onnx *o, const struct windows *w)
{
    int64_t pads[6];
    memcpy(pads, w->before, (size_t)w->axes * sizeof *pads);
    memcpy(pads + w->axes, w->after, (size_t)w->axes * sizeof *pads);
    if (strcmp(w->auto_pad, "NOTSET") == 0)
        onnx_attribute_ints(o, "pads", 2 * w->axes, pads);
    else
        onnx_attribute_text(o, "auto_pad", w->auto_pad);
    onnx_attribute_ints(o, "kernel_shape", w->axes, w->kernel);
    onnx_attribute_ints(o, "strides", w->axes, w->stride);
    onnx_attribute_ints(o, "dilations", w->axes, w->dilation);
    if (w->ceil_mode)
        onnx_attribute_int(o, "ceil_mode", 1);
}

static inline struct onnx_dims windows_dims(int64_t a, int64_t b, int axes, const int64_t *more)
{
    struct onnx_dims dims = {2 + axes, {a, b}};
    memcpy(dims.dim + 2, more, (size_t)axes * sizeof *more);
    return dims;
}

static inline int64_t windows_count(const struct windows *w, const int64_t *extents)
{
    int64_t count = 1;
    for (int i = 0; i < w->axes; i++)
        count *= extents[i];
    return count;
}

/* Index, within one channel, of the input under tap `tap` of output `out`; -1 in padding. Both
 * count through their extents, last dimension fastest. *ret_declared: the place lies in the
 * input or in its declared padding. */
static inline int64_t windows_tapped(const struct windows *w, int64_t out, int64_t tap,
                                     bool *ret_declared)
{
    int64_t index = 0, step = 1;
    bool inside = true, declared = true;
    for (int i = w->axes - 1; i >= 0; i--) {
        int64_t at =
            out % w->out[i] * w->stride[i] + tap % w->kernel[i] * w->dilation[i] - w->before[i];
        inside &= at >= 0 && at < w->in[i];
        declared &= at < w->in[i] + w->after[i];
        index += at * step;
        step *= w->in[i];
        out /= w->out[i];
        tap /= w->kernel[i];
    }
    *ret_declared = declared;
    return inside ? index : -1;
}

#endif
