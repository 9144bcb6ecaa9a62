#include "nn/quantize/range.h"

#include <errno.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_EXPONENT (-100)

int nn_range_init(struct nn_range *range)
{
    *range = (struct nn_range){.exponent = LEAST_EXPONENT};
    range->bins = calloc(2 * NN_RANGE_BINS, sizeof *range->bins);
    return range->bins ? 0 : -ENOMEM;
}

void nn_range_finish(struct nn_range *range)
{
    free(range->bins);
    range->bins = NULL;
}

/* The bin of what was in `bin` when bins are 2^doublings as wide: of places counted from zero,
 * rounded towards minus infinity. */
static int wider_bin(int bin, int doublings)
{
    int place = bin - NN_RANGE_BINS;
    if (doublings >= (int)(sizeof place * CHAR_BIT - 1))
        return NN_RANGE_BINS - (place < 0);
    int divisor = 1 << doublings;
    int quotient = place / divisor;
    return NN_RANGE_BINS + quotient - (place % divisor < 0);
}

static void widen(struct nn_range *range, int exponent)
{
    int doublings = exponent - range->exponent;
    range->exponent = exponent;
    /* From the middle outwards, so that a bin is emptied before another is added to it. */
    for (int i = 0; i < NN_RANGE_BINS; i++) {
        const int from[] = {NN_RANGE_BINS + i, NN_RANGE_BINS - 1 - i};
        for (int side = 0; side < 2; side++) {
            uint64_t count = range->bins[from[side]];
            range->bins[from[side]] = 0;
            range->bins[wider_bin(from[side], doublings)] += count;
        }
    }
}

int nn_range_add(struct nn_range *range, const float *values, size_t count)
{
    float low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return -EINVAL;
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    if (count == 0)
        return 0;
    const float largest = fmaxf(-low, high);
    int exponent = LEAST_EXPONENT;
    if (largest > 0)
        frexpf(largest, &exponent); /* it is below 2^exponent */
    if (exponent > range->exponent)
        widen(range, exponent);
    const double bins_each = ldexp(NN_RANGE_BINS, -range->exponent);
    for (size_t i = 0; i < count; i++)
        range->bins[NN_RANGE_BINS + (int)floor(values[i] * bins_each)]++;
    range->low = range->count == 0 || low < range->low ? low : range->low;
    range->high = range->count == 0 || high > range->high ? high : range->high;
    range->count += (int64_t)count;
    return 0;
}

void nn_range_cut(const struct nn_range *range, double percentile, float *ret_low,
                  float *ret_high)
{
    const double width = ldexp(1, range->exponent) / NN_RANGE_BINS;
    const uint64_t skipped =
        (uint64_t)floor((double)range->count * (100 - percentile) / 200 + 1e-9);
    int first = 0, last = 2 * NN_RANGE_BINS - 1;
    *ret_low = *ret_high = 0;
    if (range->count == 0)
        return;
    for (uint64_t below = range->bins[first]; below <= skipped; below += range->bins[first])
        first++;
    for (uint64_t above = range->bins[last]; above <= skipped; above += range->bins[last])
        last--;
    *ret_low = fmaxf(range->low, (float)((first - NN_RANGE_BINS) * width));
    *ret_high = fminf(range->high, (float)((last + 1 - NN_RANGE_BINS) * width));
}

struct nn_scale nn_scale_of(float low, float high)
{
    double from = low < 0 ? low : 0, to = high > 0 ? high : 0;
    double scale = (to - from) / UINT8_MAX;
    if (scale < FLT_MIN)
        return (struct nn_scale){.scale = 1, .zero = from < 0 ? UINT8_MAX : 0};
    return (struct nn_scale){.scale = (float)scale, .zero = (uint8_t)nearbyint(-from / scale)};
}

void nn_scale_weights(const float *weights, size_t count, size_t channels, size_t inner,
                      float *scales, int8_t *ret_quantized)
{
    for (size_t i = 0; i < count; i++) {
        float *scale = &scales[i / inner % channels];
        *scale = fmaxf(*scale, fabsf(weights[i]) / INT8_MAX);
    }
    for (size_t c = 0; c < channels; c++)
        if (scales[c] < FLT_MIN)
            scales[c] = 1;
    for (size_t i = 0; i < count; i++) {
        float q = nearbyintf(weights[i] / scales[i / inner % channels]);
        ret_quantized[i] = (int8_t)fminf(fmaxf(q, -INT8_MAX), INT8_MAX);
    }
}
