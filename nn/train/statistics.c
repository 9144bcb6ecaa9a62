#include "nn/train/statistics.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "nn/train/random.h"

struct train_mean train_mean_of(const double *values, int count)
{
    struct train_mean of = {NAN, NAN};
    double sum = 0, squares = 0;
    for (int i = 0; i < count; i++)
        sum += values[i];
    if (count > 0)
        of.mean = sum / count;
    for (int i = 0; i < count; i++)
        squares += (values[i] - of.mean) * (values[i] - of.mean);
    if (count > 1)
        of.deviation = sqrt(squares / (count - 1));
    return of;
}

struct group {
    double sum;
    int count;
};

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const double *sorted, int count, double fraction)
{
    const double at = fraction * (count - 1);
    const int below = (int)at, above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

/* Sums by group, those without values left out; how many there are. */
static int sum_groups(const double *values, const int *groups, int count, int group_count,
                      struct group *sums)
{
    for (int i = 0; i < count; i++) {
        sums[groups[i]].sum += values[i];
        sums[groups[i]].count++;
    }
    int kept = 0;
    for (int g = 0; g < group_count; g++)
        if (sums[g].count > 0)
            sums[kept++] = sums[g];
    return kept;
}

static double resample(const struct group *sums, int count, uint64_t seed, int number)
{
    struct train_random random =
        train_random_fork(seed, TRAIN_RANDOM_BOOTSTRAP, 0, (uint64_t)number);
    double sum = 0, values = 0;
    for (int i = 0; i < count; i++) {
        const struct group *drawn = &sums[train_random_below(&random, (uint64_t)count)];
        sum += drawn->sum;
        values += drawn->count;
    }
    return sum / values;
}

int train_bootstrap_mean(const double *values, const int *groups, int count, int group_count,
                         const struct train_bootstrap *options,
                         struct train_interval *ret_interval, struct nn_error *err)
{
    if (!(options->level > 0 && options->level < 1) || options->resamples < 1 ||
        options->resamples > TRAIN_RESAMPLES_MAX)
        return nn_error_set(err, -EINVAL,
                            "a bootstrap has a level between 0 and 1 and 1 to %d resamples",
                            TRAIN_RESAMPLES_MAX);
    for (int i = 0; i < count; i++)
        if (!isfinite(values[i]))
            return nn_error_set(err, -EINVAL, "value %d of the bootstrap is not finite", i + 1);
    struct group *sums = calloc((size_t)group_count + 1, sizeof *sums);
    double *means = calloc((size_t)options->resamples, sizeof *means);
    int r = 0;
    if (!sums || !means) {
        r = nn_error_set(err, -ENOMEM, "no memory for %d resamples", options->resamples);
        goto out;
    }
    const int kept = sum_groups(values, groups, count, group_count, sums);
    if (kept < 2) {
        r = nn_error_set(err, -EINVAL, "an interval over sources needs two of them, not %d",
                         kept);
        goto out;
    }
    for (int i = 0; i < options->resamples; i++)
        means[i] = resample(sums, kept, options->seed, i);
    qsort(means, (size_t)options->resamples, sizeof *means, by_value);
    const double outside = (1 - options->level) / 2;
    *ret_interval = (struct train_interval){
        .mean = train_mean_of(values, count).mean,
        .low = percentile(means, options->resamples, outside),
        .high = percentile(means, options->resamples, 1 - outside),
        .groups = kept,
    };
out:
    free(sums);
    free(means);
    return r;
}
