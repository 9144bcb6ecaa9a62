#include "cli/compare.h"

#include <math.h>

static int64_t integer_at(const struct nn_tensor *t, int64_t i)
{
    switch (t->type) {
    case NN_TYPE_INT64:
        return ((const int64_t *)t->data)[i];
    case NN_TYPE_INT32:
        return ((const int32_t *)t->data)[i];
    case NN_TYPE_INT8:
        return ((const int8_t *)t->data)[i];
    default:
        return ((const uint8_t *)t->data)[i];
    }
}

/* One element beyond the tolerance. */
static void note(struct compare_difference *d, int64_t at, double got, double want,
                 double error)
{
    if (isnan(error))
        error = INFINITY;
    if (d->outside == 0 || error > d->largest) {
        d->largest = error;
        d->at = at;
        d->got = got;
        d->want = want;
    }
    d->outside++;
}

static double largest_magnitude(const float *values, int64_t count)
{
    double largest = 0;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(values[i]) && fabs((double)values[i]) > largest)
            largest = fabs((double)values[i]);
    return largest;
}

static void compare_floats(const float *got, const float *want,
                           const struct compare_tolerance *tolerance,
                           struct compare_difference *d)
{
    double scale = tolerance->strict ? 1 : fmax(1, largest_magnitude(want, d->count));
    for (int64_t i = 0; i < d->count; i++) {
        double a = got[i], b = want[i];
        if (a == b || (isnan(a) && isnan(b)))
            continue;
        double error = fabs(a - b);
        /* Not a number on one side makes this false, as it should; an infinite bound beside an
         * infinite b must not let everything through. */
        bool within =
            isfinite(b) && error <= tolerance->atol * scale + tolerance->rtol * fabs(b);
        if (!within)
            note(d, i, a, b, error);
    }
}

static void compare_integers(const struct nn_tensor *got, const struct nn_tensor *want,
                             struct compare_difference *d)
{
    for (int64_t i = 0; i < d->count; i++) {
        int64_t a = integer_at(got, i), b = integer_at(want, i);
        if (a != b)
            note(d, i, (double)a, (double)b, fabs((double)a - (double)b));
    }
}

bool compare_tensors(const struct nn_tensor *got, const struct nn_tensor *want,
                     const struct compare_tolerance *tolerance,
                     struct compare_difference *ret_difference)
{
    struct compare_difference d = {
        .same_form = got->type == want->type && nn_shape_equal(&got->shape, &want->shape),
    };
    if (d.same_form) {
        d.count = nn_shape_count(&want->shape);
        if (want->type == NN_TYPE_FLOAT)
            compare_floats(got->data, want->data, tolerance, &d);
        else
            compare_integers(got, want, &d);
    }
    *ret_difference = d;
    return d.same_form && d.outside == 0;
}
