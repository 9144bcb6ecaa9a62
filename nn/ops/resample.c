#include "nn/ops/resample.h"

#include <math.h>

/* Scales are float32: what was meant to fall on an input, or halfway between two, comes out
 * beside it. Without this, 9 · (1/3) shrinks to every input but the right one. */
static double snapped(double x)
{
    double half = nearbyint(2 * x);
    return fabs(2 * x - half) <= 0x1p-21 * (1 + fabs(2 * x)) ? half / 2 : x;
}

/* Output o among the inputs, which lie at 0, 1, ... in-1. */
static double place_of(enum nn_resample_place place, const struct nn_resample_axis *a,
                       int64_t o)
{
    double last = (double)(a->in - 1), middle = ((double)o + 0.5) / a->scale - 0.5;
    switch (place) {
    case NN_RESAMPLE_HALF_PIXEL:
        break;
    case NN_RESAMPLE_HALF_PIXEL_SYMMETRIC:
        /* The middle of the input in the middle of the output, though the output was cut to a
         * whole number of pixels. */
        return middle + (double)a->in / 2 * (1 - (double)a->out / (a->scale * (double)a->in));
    case NN_RESAMPLE_PYTORCH_HALF_PIXEL:
        return a->out > 1 ? middle : 0;
    case NN_RESAMPLE_ALIGN_CORNERS:
        return a->out > 1 ? (double)o * last / (double)(a->out - 1) : 0;
    case NN_RESAMPLE_ASYMMETRIC:
        return (double)o / a->scale;
    case NN_RESAMPLE_TF_HALF_PIXEL_FOR_NN:
        return ((double)o + 0.5) / a->scale;
    case NN_RESAMPLE_TF_CROP_AND_RESIZE:
        return last * (a->out > 1
                           ? a->from + (double)o * (a->to - a->from) / (double)(a->out - 1)
                           : (a->from + a->to) / 2);
    }
    return middle;
}

static double rounded(enum nn_resample_rounding rounding, double x)
{
    switch (rounding) {
    case NN_RESAMPLE_ROUND_PREFER_FLOOR:
        return ceil(x - 0.5);
    case NN_RESAMPLE_ROUND_PREFER_CEIL:
        return floor(x + 0.5);
    case NN_RESAMPLE_FLOOR:
        return floor(x);
    case NN_RESAMPLE_CEIL:
        break;
    }
    return ceil(x);
}

/* The filter, at a distance from the output. */
static double share(const struct nn_resample *r, double distance)
{
    double x = fabs(distance), a = r->cubic_a;
    if (r->mode == NN_RESAMPLE_LINEAR)
        return x < 1 ? 1 - x : 0;
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* What the filter is squeezed by: inputs are 1 apart, outputs of a smaller image more. */
static double squeeze(const struct nn_resample *r, const struct nn_resample_axis *a)
{
    return r->antialias && a->scale < 1 ? a->scale : 1;
}

/* Inputs on either side of an output that the filter reaches. */
static double reach(const struct nn_resample *r, const struct nn_resample_axis *a)
{
    return ceil((r->mode == NN_RESAMPLE_LINEAR ? 1 : 2) / squeeze(r, a));
}

double nn_resample_taps(const struct nn_resample *r, const struct nn_resample_axis *axis)
{
    return r->mode == NN_RESAMPLE_NEAREST ? 1 : 2 * reach(r, axis);
}

static int64_t clamped(double x, int64_t in)
{
    return x >= (double)in ? in - 1 : x > 0 ? (int64_t)x : 0;
}

/* One output of a filter. What lies outside is the input at the border, or nothing. */
static void spread(const struct nn_resample *r, const struct nn_resample_axis *a, double place,
                   int64_t taps, int32_t *index, float *weight)
{
    double start = floor(place) + 1 - (double)(taps / 2), narrow = squeeze(r, a), sum = 0;
    /* An output beyond every input has nothing but the border to be made of. */
    bool exclude = r->exclude_outside && place > -1 && place < (double)a->in;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t t = 0; t < taps; t++) {
            double input = start + (double)t;
            bool outside = input < 0 || input >= (double)a->in;
            double w = exclude && outside ? 0 : share(r, narrow * (input - place));
            index[t] = (int32_t)clamped(input, a->in);
            if (pass == 0)
                sum += w;
            else
                weight[t] = (float)(w / sum);
        }
    }
}

void nn_resample_table(const struct nn_resample *r, const struct nn_resample_axis *axis,
                       int32_t *index, float *weight)
{
    int64_t taps = (int64_t)nn_resample_taps(r, axis);
    for (int64_t o = 0; o < axis->out; o++, index += taps, weight += taps) {
        double place = snapped(place_of(r->place, axis, o));
        if (r->mode == NN_RESAMPLE_NEAREST) {
            *index = (int32_t)clamped(rounded(r->rounding, place), axis->in);
            *weight = 1;
        } else {
            spread(r, axis, place, taps, index, weight);
        }
        if (r->place == NN_RESAMPLE_TF_CROP_AND_RESIZE &&
            (place < 0 || place > (double)(axis->in - 1)))
            *index = -1;
    }
}
