/* How sure a figure is: mean and deviation over repeats, and an interval from resampling sources.
 *
 * Samples of one source (a camera, a video) are alike: what was measured on them says less than
 * their number makes believe. The bootstrap here draws whole sources.
 *
 * Source: Efron and Tibshirani, "An introduction to the bootstrap" (percentile intervals,
 * clusters); percentiles by linear interpolation, as numpy.percentile does by default.
 *
 * Thread: any. */
#ifndef NN_TRAIN_STATISTICS_H
#define NN_TRAIN_STATISTICS_H

#include <stdint.h>

#include "nn/tensor.h"

#define TRAIN_RESAMPLES_MAX 1000000

/* Deviation is that of a sample (n - 1), NaN for one value; both NaN for none. */
struct train_mean {
    double mean, deviation;
};

struct train_mean train_mean_of(const double *values, int count);

struct train_interval {
    double mean, low, high;
    int groups; /* that have a value */
};

struct train_bootstrap {
    double level;  /* 0.95: of a hundred intervals 95 should hold the truth */
    int resamples; /* 1 .. TRAIN_RESAMPLES_MAX */
    uint64_t seed;
};

/* The mean of `values`, value i of group groups[i] (0 .. group_count - 1), with an interval from
 * drawing as many groups as there are, with replacement, each with all its values. Returns 0,
 * -EINVAL (a value that is not finite, fewer than two groups with values, options beyond their
 * bounds), -ENOMEM. */
int train_bootstrap_mean(const double *values, const int *groups, int count, int group_count,
                         const struct train_bootstrap *options,
                         struct train_interval *ret_interval, struct nn_error *err);

#endif
