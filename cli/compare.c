#include "cli/compare.h"

#include <math.h>

/* Modulo 2^64: enough to tell whether two of one type are the same. */
static uint64_t integer_at(const struct nn_tensor *t, int64_t i)
{
    switch (t->type) {
    case NN_TYPE_INT64:
    case NN_TYPE_UINT64:
        return ((const uint64_t *)t->data)[i];
    case NN_TYPE_INT32:
        return (uint64_t)((const int32_t *)t->data)[i];
    case NN_TYPE_UINT32:
        return ((const uint32_t *)t->data)[i];
    case NN_TYPE_INT16:
        return (uint64_t)((const int16_t *)t->data)[i];
    case NN_TYPE_UINT16:
        return ((const uint16_t *)t->data)[i];
    case NN_TYPE_INT8:
        return (uint64_t)((const int8_t *)t->data)[i];
    default:
        return ((const uint8_t *)t->data)[i];
    }
}

static double integer_value(uint64_t bits, enum nn_type type)
{
    return type == NN_TYPE_UINT64 ? (double)bits : (double)(int64_t)bits;
}

/* One element that is not the same. */
static void note(struct compare_difference *d, int64_t at, double got, double want, bool within)
{
    double error = fabs(got - want);
    if (isnan(error))
        error = INFINITY;
    d->most = fmax(d->most, error);
    if (within)
        return;
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
        /* Not a number on one side makes this false, as it should; an infinite bound beside an
         * infinite b must not let everything through. */
        bool within =
            isfinite(b) && fabs(a - b) <= tolerance->atol * scale + tolerance->rtol * fabs(b);
        note(d, i, a, b, within);
    }
}

static void compare_integers(const struct nn_tensor *got, const struct nn_tensor *want,
                             struct compare_difference *d)
{
    for (int64_t i = 0; i < d->count; i++) {
        uint64_t a = integer_at(got, i), b = integer_at(want, i);
        double x = integer_value(a, want->type), y = integer_value(b, want->type);
        if (a != b)
            note(d, i, x, y, false);
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
