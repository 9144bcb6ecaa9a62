/* Layers with windows over pictures (H, W, C) and sequences (T, C): convolutions and pooling;
 * and those that change a picture's size. */
#include <errno.h>
#include <string.h>

#include "nn/train/layer_build.h"

/* A layer's windows over its input. */
struct windows {
    int axes;
    int64_t size[2], stride[2], dilation[2];
    int64_t pads[4]; /* before each axis, then after each */
    int64_t out[2];
};

/* Keras's rules, with pads spelled out. Channels lie first afterwards. */
static int read_windows(struct train_build *b, const struct train_layer *layer,
                        bool stride_is_size, struct windows *ret_windows)
{
    struct windows w = {.axes = layer->kind->axes};
    int r = train_want(b, w.axes + 1);
    if (r < 0)
        return r;
    for (int i = 0; i < w.axes; i++) {
        int64_t in = b->shape.dim[i];
        w.size[i] = layer->size[i];
        w.stride[i] = layer->stride[i] ? layer->stride[i] : stride_is_size ? w.size[i] : 1;
        w.dilation[i] = layer->dilation[i];
        int64_t reach = (w.size[i] - 1) * w.dilation[i] + 1;
        if (layer->same) {
            w.out[i] = (in + w.stride[i] - 1) / w.stride[i];
            int64_t pad = (w.out[i] - 1) * w.stride[i] + reach - in;
            w.pads[i] = pad > 0 ? pad / 2 : 0;
            w.pads[w.axes + i] = pad > 0 ? pad - pad / 2 : 0;
        } else if (reach > in) {
            return train_refuse(b,
                                "its windows reach over %lld places, its input has %lld: make "
                                "them smaller, or write 'same'",
                                (long long)reach, (long long)in);
        } else {
            w.out[i] = (in - reach) / w.stride[i] + 1;
        }
    }
    train_lay_channels_first(b);
    *ret_windows = w;
    return 0;
}

static void add_window_attributes(struct train_build *b, const struct windows *w)
{
    size_t axes = (size_t)w->axes;
    train_attribute_ints(b, "kernel_shape", w->size, axes);
    train_attribute_ints(b, "strides", w->stride, axes);
    train_attribute_ints(b, "pads", w->pads, 2 * axes);
}

/* The windows' outputs with so many channels, channels first. */
static int becomes(struct train_build *b, const struct windows *w, int64_t channels)
{
    struct nn_shape shape = {.rank = w->axes + 1};
    memcpy(shape.dim, w->out, sizeof w->out);
    shape.dim[w->axes] = channels;
    return train_becomes(b, shape, w->axes == 1 ? (int[]){1, 0} : (int[]){2, 0, 1});
}

/* (a, b, window...): the shape of a kernel. */
static struct nn_shape kernel_shape(const struct windows *w, int64_t a, int64_t b)
{
    struct nn_shape shape = {.rank = w->axes + 2, .dim = {a, b, w->size[0]}};
    if (w->axes == 2)
        shape.dim[3] = w->size[1];
    return shape;
}

static double window_size(const struct windows *w)
{
    return (double)w->size[0] * (double)(w->axes == 2 ? w->size[1] : 1);
}

/* bias: "" for none. */
static void emit_conv(struct train_build *b, const struct windows *w, const char *weight,
                      const char *bias, int64_t groups)
{
    const char *inputs[] = {b->value, weight, bias};
    train_emit(b, "Conv", inputs, bias && !*bias ? 2 : 3);
    add_window_attributes(b, w);
    train_attribute_ints(b, "dilations", w->dilation, (size_t)w->axes);
    train_attribute_int(b, "group", groups);
}

int train_build_conv(struct train_build *b, const struct train_layer *layer)
{
    struct windows w;
    int r = read_windows(b, layer, false, &w);
    if (r < 0)
        return r;
    int64_t filters = layer->units, channels = b->shape.dim[w.axes];
    if (channels % layer->groups != 0 || filters % layer->groups != 0)
        return train_refuse(b,
                            "%lld groups divide neither or only one of %lld channels and "
                            "%lld filters",
                            (long long)layer->groups, (long long)channels, (long long)filters);
    int64_t depth = channels / layer->groups;
    const char *weight =
        train_weight_glorot(b, "weight", kernel_shape(&w, filters, depth),
                            window_size(&w) * (double)depth, window_size(&w) * (double)filters);
    const char *bias = train_weight_filled(b, "bias", TRAIN_SHAPE(filters), 0);
    emit_conv(b, &w, weight, bias, layer->groups);
    train_build_function(b, &layer->function);
    return becomes(b, &w, filters);
}

/* depthwise_conv2d, and separable_conv2d: that, and a convolution of 1x1 behind it. */
int train_build_depthwise(struct train_build *b, const struct train_layer *layer)
{
    struct windows w;
    int r = read_windows(b, layer, false, &w);
    if (r < 0)
        return r;
    int64_t filters = layer->units, channels = b->shape.dim[2];
    bool separable = filters > 0;
    const char *weight = train_weight_glorot(
        b, separable ? "depthwise_weight" : "weight", kernel_shape(&w, channels, 1),
        window_size(&w) * (double)channels, window_size(&w));
    const char *bias =
        separable ? "" : train_weight_filled(b, "bias", TRAIN_SHAPE(channels), 0);
    emit_conv(b, &w, weight, bias, channels);
    if (separable) {
        struct windows point = {2, {1, 1}, {1, 1}, {1, 1}, {0}, {0}};
        weight =
            train_weight_glorot(b, "pointwise_weight", kernel_shape(&point, filters, channels),
                                (double)channels, (double)filters);
        bias = train_weight_filled(b, "bias", TRAIN_SHAPE(filters), 0);
        emit_conv(b, &point, weight, bias, 1);
    }
    train_build_function(b, &layer->function);
    return becomes(b, &w, separable ? filters : channels);
}

/* The other way round: its output is what a convolution with these windows would read. */
int train_build_conv_transpose(struct train_build *b, const struct train_layer *layer)
{
    struct windows w = {.axes = 2, .dilation = {1, 1}};
    int64_t extra[2]; /* places that no window reaches */
    int r = train_want(b, 3);
    if (r < 0)
        return r;
    for (int i = 0; i < 2; i++) {
        w.size[i] = layer->size[i];
        w.stride[i] = layer->stride[i] ? layer->stride[i] : 1;
        int64_t over = w.size[i] - w.stride[i];
        extra[i] = over < 0 ? -over : 0;
        over = over > 0 ? over : 0;
        w.out[i] = b->shape.dim[i] * w.stride[i] + (layer->same ? 0 : over);
        w.pads[i] = layer->same ? over / 2 : 0;
        w.pads[2 + i] = layer->same ? over - over / 2 : 0;
    }
    train_lay_channels_first(b);
    int64_t filters = layer->units, channels = b->shape.dim[2];
    const char *weight = train_weight_glorot(b, "weight", kernel_shape(&w, channels, filters),
                                             window_size(&w) * (double)filters,
                                             window_size(&w) * (double)channels);
    const char *bias = train_weight_filled(b, "bias", TRAIN_SHAPE(filters), 0);
    TRAIN_EMIT(b, "ConvTranspose", b->value, weight, bias);
    add_window_attributes(b, &w);
    if (extra[0] > 0 || extra[1] > 0)
        train_attribute_ints(b, "output_padding", extra, 2);
    train_build_function(b, &layer->function);
    return becomes(b, &w, filters);
}

/* The variant is the operator. What lies outside counts for nothing, in means as well. */
int train_build_pool(struct train_build *b, const struct train_layer *layer)
{
    struct windows w;
    int r = read_windows(b, layer, true, &w);
    if (r < 0)
        return r;
    TRAIN_EMIT(b, layer->kind->variant, b->value);
    add_window_attributes(b, &w);
    return becomes(b, &w, b->shape.dim[w.axes]);
}

int train_build_global_pool(struct train_build *b, const struct train_layer *layer)
{
    int axes = layer->kind->axes;
    int r = train_want(b, axes + 1);
    if (r < 0)
        return r;
    if (axes == 1) {
        int64_t time = b->order[0] == 0 ? 1 : 2;
        TRAIN_EMIT(b, layer->kind->variant, b->value);
        train_attribute_ints(b, "axes", &time, 1);
        train_attribute_int(b, "keepdims", 0);
    } else {
        train_lay_channels_first(b);
        TRAIN_EMIT(b, layer->kind->variant, b->value);
        TRAIN_EMIT(b, "Flatten", b->value);
    }
    return train_becomes(b, TRAIN_SHAPE(b->shape.dim[axes]), NULL);
}

int train_build_padding(struct train_build *b, const struct train_layer *layer)
{
    int r = train_want(b, 3);
    if (r < 0)
        return r;
    int64_t h = layer->size[0], w = layer->size[1];
    train_lay_channels_first(b);
    const char *x = b->value, *pads = train_ints(b, (int64_t[]){0, 0, h, w, 0, 0, h, w}, 8);
    TRAIN_EMIT(b, "Pad", x, pads);
    return train_becomes(
        b, TRAIN_SHAPE(b->shape.dim[0] + 2 * h, b->shape.dim[1] + 2 * w, b->shape.dim[2]),
        NULL);
}

/* Every pixel so many times. */
int train_build_upsampling(struct train_build *b, const struct train_layer *layer)
{
    int r = train_want(b, 3);
    if (r < 0)
        return r;
    int64_t h = layer->size[0], w = layer->size[1];
    train_lay_channels_first(b);
    const char *x = b->value;
    const char *scales = train_floats(b, (float[]){1, 1, (float)h, (float)w}, TRAIN_SHAPE(4));
    TRAIN_EMIT(b, "Resize", x, "", scales);
    train_attribute_text(b, "mode", "nearest");
    train_attribute_text(b, "coordinate_transformation_mode", "asymmetric");
    train_attribute_text(b, "nearest_mode", "floor");
    return train_becomes(
        b, TRAIN_SHAPE(b->shape.dim[0] * h, b->shape.dim[1] * w, b->shape.dim[2]), NULL);
}
