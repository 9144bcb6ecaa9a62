/* One axis of Resize and Upsample: which inputs an output is made of, and in what shares.
 *
 * Source: ONNX operator Resize, opsets 10 to 19; the cubic is Keys', "Cubic Convolution
 * Interpolation for Digital Image Processing" (1981).
 *
 * Thread: plain data; functions are pure. */
#ifndef NN_OPS_RESAMPLE_H
#define NN_OPS_RESAMPLE_H

#include <stdbool.h>
#include <stdint.h>

enum nn_resample_mode { NN_RESAMPLE_NEAREST, NN_RESAMPLE_LINEAR, NN_RESAMPLE_CUBIC };

/* Where an output lies among the inputs. */
enum nn_resample_place {
    NN_RESAMPLE_HALF_PIXEL,
    NN_RESAMPLE_HALF_PIXEL_SYMMETRIC,
    NN_RESAMPLE_PYTORCH_HALF_PIXEL,
    NN_RESAMPLE_ALIGN_CORNERS,
    NN_RESAMPLE_ASYMMETRIC,
    NN_RESAMPLE_TF_HALF_PIXEL_FOR_NN,
    NN_RESAMPLE_TF_CROP_AND_RESIZE,
};

/* Which input is the nearest. */
enum nn_resample_rounding {
    NN_RESAMPLE_ROUND_PREFER_FLOOR,
    NN_RESAMPLE_ROUND_PREFER_CEIL,
    NN_RESAMPLE_FLOOR,
    NN_RESAMPLE_CEIL,
};

struct nn_resample {
    enum nn_resample_mode mode;
    enum nn_resample_place place;
    enum nn_resample_rounding rounding; /* nearest only */
    bool antialias;                     /* linear and cubic: widen the filter when shrinking */
    bool exclude_outside;               /* share out among the inputs that exist */
    double cubic_a;
};

struct nn_resample_axis {
    int64_t in, out; /* extents, at least 1 */
    double scale;    /* > 0; out/in, or what out was rounded down from */
    double from, to; /* the part that tf_crop_and_resize takes, of 0..1 */
};

/* Inputs that take part in one output. */
double nn_resample_taps(const struct nn_resample *r, const struct nn_resample_axis *axis);

/* Both of (out, taps): inputs 0..in-1 and their shares. index is -1 in the first tap of an
 * output that lies outside of the crop. */
void nn_resample_table(const struct nn_resample *r, const struct nn_resample_axis *axis,
                       int32_t *index, float *weight);

#endif
