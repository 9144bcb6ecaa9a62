/* How often something took how long: counts in fixed buckets, as Prometheus reads them.
 *
 * One set of bounds for all that is measured here, from a tenth of a millisecond to ten
 * seconds, so that histograms, also those of workers that follow one another, can be added up
 * and compared.
 *
 * Thread: plain data. */
#ifndef RECORD_HISTOGRAM_H
#define RECORD_HISTOGRAM_H

#include <stdint.h>

#include "record/member.h"

#define HISTOGRAM_BOUNDS 16
/* Upper bounds in seconds, ascending; what is above all of them falls into one more bucket. */
extern const double histogram_bounds[HISTOGRAM_BOUNDS];

struct histogram {
    int64_t counts[HISTOGRAM_BOUNDS + 1]; /* of each bucket alone, not of those below it */
    double sum_seconds;
};

/* A negative time (two clocks disagree) counts as none. */
void histogram_add(struct histogram *histogram, double seconds);

/* Of all buckets; at most INT64_MAX, whatever they hold. */
int64_t histogram_count(const struct histogram *histogram);

/* Adds `from`; a count beyond INT64_MAX stays there. */
void histogram_merge(struct histogram *histogram, const struct histogram *from);

/* {"counts": [17 integers], "sum": seconds}. Caller owns the reference; NULL without memory. */
json_t *histogram_to_json(const struct histogram *histogram);

/* The optional member of that name; nothing is written when it is absent. */
void histogram_read(struct member_reader *reader, const char *name,
                    struct histogram *ret_histogram);

#endif
