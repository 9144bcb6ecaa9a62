/* A video frame to a network's input picture: crop, colour, size and normalisation in one pass.
 *
 *   region    the part of the frame looked at, normalised; fractions of a pixel count
 *   resize    stretch: the region fills the picture; letterbox: it fits inside, the rest is the
 *             mean (0 after normalisation); crop: its middle fills the picture. The latter two
 *             keep the shape as displayed (pixel aspect ratio)
 *   sampling  per axis: exact area average when shrinking, bilinear between pixel centres when
 *             growing, a copy at 1:1. Nothing outside the region's pixels is read
 *   colour    by the frame's colorimetry (matrix and range), clipped to 0..255. GRAY from a YUV
 *             frame is its luma as stored, range not expanded; from RGB it is BT.601 luma.
 *             Chroma samples count as centred on the pixels they stand for
 *   value     (pixel - mean) x scale
 *
 * Everything is decided at create, in tables per axis and plane.
 * No allocation per frame. Same frame, same tables: same floats, bit for bit.
 *
 * Thread: one thread at a time (scratch rows). */
#ifndef PIPELINE_CONVERT_H
#define PIPELINE_CONVERT_H

#include <gst/video/video.h>

#include "pipeline/modelinfo.h"

/* Frame formats accepted: what vigilanalyze negotiates. */
#define CONVERT_FORMATS "{ NV12, I420, RGB, GRAY8 }"

struct convert_region {
    double x, y, width, height; /* normalised, inside 0..1, width and height above 0 */
};

struct convert_target {
    int width, height;
    enum modelinfo_pixels pixels;
    bool interleaved; /* channels last, else one plane after the other */
    enum modelinfo_resize resize;
    float mean[3], scale[3]; /* in the order of pixels; [0] alone for GRAY */
};

/* What a model takes. */
void convert_target_of(const struct modelinfo *info, struct convert_target *ret_target);

struct convert;

/* Inside 0..1 (but for rounding) and not empty. */
bool convert_region_is_valid(const struct convert_region *region);

/* Returns 0, -ENOTSUP for another format, -EINVAL for a region or size outside its limits,
 * -ENOMEM. */
int convert_create(const GstVideoInfo *source, const struct convert_region *region,
                   const struct convert_target *target, struct convert **ret_convert);
void convert_destroy(struct convert *convert); /* NULL is fine */

/* frame: mapped for reading, of the source's format and size. Writes width x height x channels
 * floats. */
void convert_frame(struct convert *convert, const GstVideoFrame *frame, float *out);

#endif
