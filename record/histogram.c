#include "record/histogram.h"

const double histogram_bounds[HISTOGRAM_BOUNDS] = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
};

void histogram_add(struct histogram *histogram, double seconds)
{
    int bucket = 0;
    while (bucket < HISTOGRAM_BOUNDS && seconds > histogram_bounds[bucket])
        bucket++;
    histogram->counts[bucket]++;
    histogram->sum_seconds += seconds;
}

int64_t histogram_count(const struct histogram *histogram)
{
    int64_t count = 0;
    for (int i = 0; i <= HISTOGRAM_BOUNDS; i++)
        count += histogram->counts[i];
    return count;
}
