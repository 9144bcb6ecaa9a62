/* Windows sliding over an image (a line, a volume): the geometry of Conv and pooling.
 *
 * One, two or three spatial dimensions are handled as three; missing ones stand in front with
 * extent 1. Inputs are laid out so that the kernels' taps work (nn/kernels/kernels.h): each
 * channel becomes a block of padded planes, split by phase. With stride s, position i of phase
 * r holds padded input i·s + r, so outputs that are neighbours read inputs that are
 * neighbours. Only phases that some tap reads exist. With stride 1 and no padding the input
 * already has that layout and nothing is copied.
 *
 * Source: ONNX operators Conv, MaxPool, AveragePool.
 *
 * Thread: plain data; functions are pure. */
#ifndef NN_OPS_SPATIAL_H
#define NN_OPS_SPATIAL_H

#include "nn/kernels/kernels.h"
#include "nn/op.h"

enum { NN_SPATIAL_AXES = 3 };

struct nn_spatial {
    int axes; /* spatial dimensions of the model: 1..3, the last ones of the arrays */
    /* depth, height, width */
    int64_t in[NN_SPATIAL_AXES], out[NN_SPATIAL_AXES];
    int64_t kernel[NN_SPATIAL_AXES], stride[NN_SPATIAL_AXES], dilation[NN_SPATIAL_AXES];
    int64_t pad_before[NN_SPATIAL_AXES], pad_after[NN_SPATIAL_AXES];

    int64_t phases[NN_SPATIAL_AXES]; /* planes kept of the `stride` possible ones */
    int64_t extent[NN_SPATIAL_AXES]; /* of one phase */
    int64_t in_size, out_size;       /* floats of one channel */
    int64_t plane_size;              /* floats of one channel laid out: phases × extents */
    int64_t window_size;             /* taps of one channel: the kernel's elements */
    bool direct;                     /* the input is its own layout */
};

/* The node's window over input 0 (N, C, spatial...): in, kernel, stride and dilation, for a
 * kernel of `axes` extents, which kernel_shape must be where it is given; all else is 0.
 * Returns 0, or -EINVAL or -ENOTSUP by name. */
int nn_spatial_window(const struct nn_op_call *call, const int64_t *kernel, int axes,
                      struct nn_spatial *ret_spatial);

/* The same, with pads, auto_pad and, for pooling, ceil_mode, and all that follows. -E2BIG for a
 * layout of more than INT32_MAX floats in `channels` channels. */
int nn_spatial_infer(const struct nn_op_call *call, const int64_t *kernel, int axes,
                     int64_t channels, struct nn_spatial *ret_spatial);

/* An integer list attribute, one number for each spatial dimension and none below `low`, into
 * the last `axes` of NN_SPATIAL_AXES values; `otherwise` in the others, and when absent. */
int nn_spatial_list(const struct nn_op_call *call, const char *name, int axes, int64_t low,
                    int64_t otherwise, int64_t *values);

/* The attribute pads, likewise; 0 when absent. */
int nn_spatial_pads(const struct nn_op_call *call, int axes, int64_t *before, int64_t *after);

/* Pads an axis with `total` in all, half of it on each side; the odd one behind it (SAME_UPPER)
 * or before it. */
void nn_spatial_pad_evenly(struct nn_spatial *s, int axis, int64_t total, bool upper);

/* Taps of an axis that are this far apart read one phase. */
int64_t nn_spatial_period(const struct nn_spatial *s, int axis);

/* What a convolution's input 0 and weight (out, in / groups, spatial...) settle. */
struct nn_spatial_filters {
    struct nn_spatial spatial;
    int64_t batch, groups;
    int64_t in_channels, out_channels; /* of one group */
};

/* Checks the two against each other and the node's attributes. `quantum` input channels are
 * laid out as one. As nn_spatial_infer. */
int nn_spatial_filters(const struct nn_op_call *call, int weight, int64_t quantum,
                       struct nn_spatial_filters *ret_filters);

/* The attributes of a convolution, for its row's table. */
#define NN_SPATIAL_FILTER_RULES                                                                \
    {"auto_pad", NN_ATTRIBUTE_STRING, 0, 0}, {"dilations", NN_ATTRIBUTE_INTS, 0, 0},           \
        {"group", NN_ATTRIBUTE_INT, 0, 0}, {"kernel_shape", NN_ATTRIBUTE_INTS, 0, 0},          \
        {"pads", NN_ATTRIBUTE_INTS, 0, 0},                                                     \
    {                                                                                          \
        "strides", NN_ATTRIBUTE_INTS, 0, 0                                                     \
    }

/* nn_op.macs of a convolution with this weight input. */
double nn_spatial_macs(const struct nn_op_call *call, int weight);

/* The shape of output 0: batch, channels, and out. */
void nn_spatial_output(const struct nn_spatial *s, int64_t batch, int64_t channels,
                       struct nn_shape *ret_shape);

/* One channel into its planes, `fill` where there is padding. planes: plane_size floats. */
void nn_spatial_lay_out(const struct nn_spatial *s, const struct nn_kernels *k, const float *x,
                        float fill, float *planes);

/* The same for what is no row of floats but as large: `copy` writes `count` elements, the first
 * one number `from` of the channel and the others each `stride` behind. */
struct nn_spatial_source {
    void (*copy)(const struct nn_spatial_source *source, float *to, int64_t from,
                 int64_t stride, int64_t count);
};
void nn_spatial_lay_out_from(const struct nn_spatial *s, const struct nn_spatial_source *source,
                             float fill, float *planes);

/* Where each tap of `channels` channels lies in their planes, relative to an output's place in
 * phase 0; in the order of a weight (channel, depth, height, width). */
void nn_spatial_taps(const struct nn_spatial *s, int64_t channels, int32_t *offsets);

/* Conv and pooling run frame by frame when time is the batch, or a spatial axis along which
 * the window is one element wide and moves by one. */
bool nn_spatial_time(const struct nn_op_call *call, const int *in, const struct nn_spatial *s,
                     int *out);

#endif
