/* How often something took how long: counts in fixed buckets, as Prometheus reads them.
 *
 * One set of bounds for all that is measured here, from half a millisecond to ten seconds, so
 * that histograms can be added up and compared.
 *
 * Thread: plain data. */
#ifndef RECORD_HISTOGRAM_H
#define RECORD_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BOUNDS 14
/* Upper bounds in seconds, ascending; what is above all of them falls into one more bucket. */
extern const double histogram_bounds[HISTOGRAM_BOUNDS];

struct histogram {
    int64_t counts[HISTOGRAM_BOUNDS + 1]; /* of each bucket alone, not of those below it */
    double sum_seconds;
};

void histogram_add(struct histogram *histogram, double seconds);

/* Of all buckets. */
int64_t histogram_count(const struct histogram *histogram);

#endif
