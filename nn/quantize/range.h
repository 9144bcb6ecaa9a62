/* Which numbers a value takes, and the 8-bit scale that is made of it. Private to nn/.
 *
 * Numbers are counted in bins of one width, which doubles whenever one lies beyond the last:
 * two bins become one then, and no count is lost. So the result does not depend on the order in
 * which numbers come, and a value is looked at once, whatever its range will be.
 *
 * Thread: plain data. */
#ifndef NN_QUANTIZE_RANGE_H
#define NN_QUANTIZE_RANGE_H

#include <stddef.h>
#include <stdint.h>

/* Of each sign. The widest range that fits takes more than half of them. */
enum { NN_RANGE_BINS = 4096 };

struct nn_range {
    float low, high; /* the least and the greatest seen */
    int64_t count;
    int exponent;   /* the bins reach to ±2^exponent */
    uint64_t *bins; /* (2 * NN_RANGE_BINS), negative ones first */
};

int nn_range_init(struct nn_range *range); /* 0 or -ENOMEM */
void nn_range_finish(struct nn_range *range);

/* -EINVAL when one of them is no finite number; nothing is counted then. */
int nn_range_add(struct nn_range *range, const float *values, size_t count);

/* The limits between which `percentile` percent (50 to 100) of the numbers lie, half of the
 * others on either side; with 100, all. Precise to a bin. Both 0 when nothing was seen. */
void nn_range_cut(const struct nn_range *range, double percentile, float *ret_low,
                  float *ret_high);

/* x is about (q - zero) × scale, q in 0..255. Zero is exact. */
struct nn_scale {
    float scale;
    uint8_t zero;
};
struct nn_scale nn_scale_of(float low, float high);

/* Scales each of `channels` rows by its own largest number to -127..127: w is about q × scale.
 * Element i belongs to channel i / inner % channels. `scales` holds the least that
 * they may be. */
void nn_scale_weights(const float *weights, size_t count, size_t channels, size_t inner,
                      float *scales, int8_t *ret_quantized);

#endif
