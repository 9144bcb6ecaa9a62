/* How durations of the last minute were distributed: quantiles to within 5 %, in memory that
 * does not grow. Six counting histograms of ten seconds each, the oldest of which is thrown
 * away for the next.
 *
 * Thread: one at a time. */
#ifndef PIPELINE_RECENT_H
#define PIPELINE_RECENT_H

#include <stdint.h>

#define RECENT_SLICES   6
#define RECENT_SLICE_NS INT64_C(10000000000)
/* From 100 us to 100 s in steps of 10 %: a quantile is told as the middle of its step. */
#define RECENT_STEPS    146
#define RECENT_FIRST_NS 1e5
#define RECENT_STEP     1.1

struct recent {
    struct {
        int64_t number; /* of the ten seconds it counts, 0: of none */
        uint32_t counts[RECENT_STEPS];
    } slices[RECENT_SLICES];
};

/* All zero is empty. now_ns: of a monotonic clock, at least 0. */
void recent_add(struct recent *recent, int64_t ns, int64_t now_ns);

/* The quantile (0..1) in nanoseconds; -1 when nothing was added in the last minute. */
double recent_quantile(const struct recent *recent, double quantile, int64_t now_ns);

#endif
