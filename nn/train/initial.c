#include "nn/train/initial.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

void train_initial_uniform(struct train_random *random, float *ret_values, size_t count,
                           double limit)
{
    for (size_t i = 0; i < count; i++)
        ret_values[i] = (float)((2 * train_random_uniform(random) - 1) * limit);
}

void train_initial_glorot(struct train_random *random, float *ret_values, size_t count,
                          double fan_in, double fan_out)
{
    train_initial_uniform(random, ret_values, count, sqrt(6 / (fan_in + fan_out)));
}

/* In eight sums, which the compiler keeps in vectors. */
static double dot(const double *a, const double *b, size_t count)
{
    double sums[8] = {0}, rest = 0;
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (size_t j = 0; j < 8; j++)
            sums[j] += a[i + j] * b[i + j];
    for (; i < count; i++)
        rest += a[i] * b[i];
    for (size_t j = 0; j < 8; j++)
        rest += sums[j];
    return rest;
}

/* Takes out of v what lies along any of `count` orthonormal vectors. */
static void take_out(const double *vectors, size_t count, double *v, size_t rows)
{
    for (size_t u = 0; u < count; u++) {
        const double *other = vectors + u * rows;
        double share = dot(other, v, rows);
        for (size_t i = 0; i < rows; i++)
            v[i] -= share * other[i];
    }
}

/* Gram and Schmidt's process over normal vectors, which have no direction that is more likely:
 * it gives what a QR decomposition with a positive diagonal of R does. Where little is left of
 * a vector, what rounding left in it is taken out, too. */
int train_initial_orthogonal(struct train_random *random, float *ret_values, size_t rows,
                             size_t columns)
{
    double *vectors = calloc(rows * columns, sizeof *vectors); /* (columns, rows) */
    if (!vectors)
        return -ENOMEM;
    for (size_t c = 0; c < columns; c++) {
        double *v = vectors + c * rows;
        for (size_t i = 0; i < rows; i++)
            v[i] = train_random_normal(random);
        double before, after = dot(v, v, rows);
        do {
            before = after;
            take_out(vectors, c, v, rows);
            after = dot(v, v, rows);
        } while (after < before / 2);
        double scale = 1 / sqrt(after);
        for (size_t i = 0; i < rows; i++) {
            v[i] *= scale;
            ret_values[i * columns + c] = (float)v[i];
        }
    }
    free(vectors);
    return 0;
}
