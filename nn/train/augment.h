/* Samples as they might have been: pictures, windows and sounds changed at random while learning, so that
 * what is learned does not hang on what is by chance alike in few recordings.
 *
 * One draw is for all frames of a window: a camera does not jump between them. Only sensor noise
 * is drawn for each pixel of each frame, as it is there.
 *
 * Values are those of the data set, before mean and scale: pixels, 0 to 255. What an operation
 * moves in from outside a picture is the picture's edge. Operations come in this order: frames
 * (stretch, shift, reverse, drop), geometry (flip, rotation, scale, shift, in one resampling),
 * light (saturation, contrast, brightness), blur, occlusion, noise; values are not clipped in
 * between, but to 0..255 at the end where light or noise may have left it.
 *
 * A sound, [T, 1], is played faster or slower, which shifts its pitch as well, as other voices would
 * (Ko et al., "Audio augmentation for speech recognition"), earlier or later, louder or softer, in
 * one resampling by straight lines; what moves in at its ends is silence. Noise comes last.
 *
 * The same seed gives the same sample, on any machine whose libm rounds alike.
 *
 * Thread: plain data; apply uses the caller's memory only. */
#ifndef NN_TRAIN_AUGMENT_H
#define NN_TRAIN_AUGMENT_H

#include "nn/tensor.h"
#include "nn/train/random.h"

/* All zero: nothing is changed. Ranges are uniform. */
struct train_augment {
    double flip;          /* chance of left and right exchanged */
    double flip_vertical; /* of top and bottom */
    double shift;         /* up to this share of width and height, either way */
    double scale;         /* by 1 / (1 + scale) to 1 + scale, evenly in its logarithm */
    double rotation;      /* degrees, up to, either way */
    double brightness;    /* up to this share of 255 added, either way */
    double contrast;      /* times 1 - contrast to 1 + contrast, about the mean */
    double saturation;    /* the same, about each pixel's grey; of three channels */
    double noise;         /* standard deviation, levels, from 0 up to this; of sounds, shares of
                             the root of their mean square */
    double blur;          /* standard deviation, pixels, from 0 up to this */
    double occlusion; /* side of a rectangle of one grey, up to this share of the picture's */

    /* Of windows; shift and stretch of sounds too, in samples. */
    double reverse;      /* chance of frames from last to first */
    double time_shift;   /* frames, up to, either way; the first or last one stays */
    double time_stretch; /* as scale, of time */
    double drop;         /* chance of each frame to be the one before it instead */

    double gain; /* of sounds: decibels, up to, either way */
};

/* -EINVAL names what is out of range, or cannot be done with samples of this shape ([C, H, W]
 * for pictures, [T, C, H, W] for windows, [T, 1] for sounds). */
int train_augment_check(const struct train_augment *a, const struct nn_shape *shape,
                        struct nn_error *err);

/* Whether it changes anything. */
bool train_augment_is_on(const struct train_augment *a);

/* Changes one sample. `scratch` holds as many floats as the sample. */
void train_augment_apply(const struct train_augment *a, struct train_random *random,
                         const struct nn_shape *shape, float *values, float *scratch);

#endif
