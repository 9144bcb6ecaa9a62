#include "record/histogram.h"

const double histogram_bounds[HISTOGRAM_BOUNDS] = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
    0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10,
};

#define SUM_MAX 1e15 /* seconds a message may say: far from where sums of sums overflow */

static void add(int64_t *count, int64_t more)
{
    if (__builtin_add_overflow(*count, more, count))
        *count = INT64_MAX;
}

void histogram_add(struct histogram *histogram, double seconds)
{
    seconds = seconds > 0 ? seconds : 0;
    int bucket = 0;
    while (bucket < HISTOGRAM_BOUNDS && seconds > histogram_bounds[bucket])
        bucket++;
    add(&histogram->counts[bucket], 1);
    histogram->sum_seconds += seconds;
}

int64_t histogram_count(const struct histogram *histogram)
{
    int64_t count = 0;
    for (int i = 0; i <= HISTOGRAM_BOUNDS; i++)
        add(&count, histogram->counts[i]);
    return count;
}

void histogram_merge(struct histogram *histogram, const struct histogram *from)
{
    for (int i = 0; i <= HISTOGRAM_BOUNDS; i++)
        add(&histogram->counts[i], from->counts[i]);
    histogram->sum_seconds += from->sum_seconds;
}

json_t *histogram_to_json(const struct histogram *histogram)
{
    json_t *counts = json_array();
    for (int i = 0; counts && i <= HISTOGRAM_BOUNDS; i++) {
        if (json_array_append_new(counts, json_integer(histogram->counts[i])) < 0) {
            json_decref(counts);
            return NULL;
        }
    }
    return json_pack("{s:o, s:o}", "counts", counts, "sum",
                     member_real_value(histogram->sum_seconds, 1e6));
}

void histogram_read(struct member_reader *reader, const char *name,
                    struct histogram *ret_histogram)
{
    const json_t *object = member_get(reader, name, MEMBER_OPTIONAL, JSON_OBJECT, "an object");
    if (!object)
        return;
    struct histogram histogram = {0};
    struct member_reader inner;
    member_reader_init(&inner, object, reader->err);
    const json_t *counts =
        member_array(&inner, "counts", MEMBER_REQUIRED, HISTOGRAM_BOUNDS + 1);
    if (counts && json_array_size(counts) != HISTOGRAM_BOUNDS + 1)
        member_fail(&inner, "counts", "not %d counts", HISTOGRAM_BOUNDS + 1);
    for (int i = 0; inner.status == 0 && i <= HISTOGRAM_BOUNDS; i++) {
        const json_t *count = json_array_get(counts, (size_t)i);
        if (!json_is_integer(count) || json_integer_value(count) < 0)
            member_fail(&inner, "counts", "element %d is not a count", i);
        else
            histogram.counts[i] = json_integer_value(count);
    }
    member_real(&inner, "sum", MEMBER_REQUIRED, 0, SUM_MAX, &histogram.sum_seconds);
    reader->status = inner.status;
    if (inner.status == 0)
        *ret_histogram = histogram;
}
