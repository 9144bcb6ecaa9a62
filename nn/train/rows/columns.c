#include "nn/train/columns.h"

#include <string.h>

/* One row of columns: what tap (d, r, q) of a channel sees at every output. */
static void lay_tap(const struct nn_spatial *s, const real *x, const int64_t *tap, real *to)
{
    for (int64_t d = 0; d < s->out[0]; d++)
        for (int64_t r = 0; r < s->out[1]; r++, to += s->out[2]) {
            int64_t z = d * s->stride[0] - s->pad_before[0] + tap[0] * s->dilation[0];
            int64_t y = r * s->stride[1] - s->pad_before[1] + tap[1] * s->dilation[1];
            int64_t first = tap[2] * s->dilation[2] - s->pad_before[2];
            if (z < 0 || z >= s->in[0] || y < 0 || y >= s->in[1]) {
                memset(to, 0, (size_t)s->out[2] * sizeof *to);
                continue;
            }
            const real *row = x + (z * s->in[1] + y) * s->in[2];
            if (s->stride[2] == 1 && first >= 0 && first + s->out[2] <= s->in[2]) {
                memcpy(to, row + first, (size_t)s->out[2] * sizeof *to);
                continue;
            }
            for (int64_t q = 0; q < s->out[2]; q++) {
                int64_t at = first + q * s->stride[2];
                to[q] = at < 0 || at >= s->in[2] ? 0 : row[at];
            }
        }
}

/* The other way: adds a row of columns to where it came from. */
static void add_tap(const struct nn_spatial *s, const real *from, const int64_t *tap, real *x)
{
    for (int64_t d = 0; d < s->out[0]; d++)
        for (int64_t r = 0; r < s->out[1]; r++, from += s->out[2]) {
            int64_t z = d * s->stride[0] - s->pad_before[0] + tap[0] * s->dilation[0];
            int64_t y = r * s->stride[1] - s->pad_before[1] + tap[1] * s->dilation[1];
            int64_t first = tap[2] * s->dilation[2] - s->pad_before[2];
            if (z < 0 || z >= s->in[0] || y < 0 || y >= s->in[1])
                continue;
            real *row = x + (z * s->in[1] + y) * s->in[2];
            for (int64_t q = 0; q < s->out[2]; q++) {
                int64_t at = first + q * s->stride[2];
                if (at >= 0 && at < s->in[2])
                    row[at] += from[q];
            }
        }
}

static void next_tap(const struct nn_spatial *s, int64_t *tap)
{
    for (int a = NN_SPATIAL_AXES - 1; a >= 0; a--) {
        if (++tap[a] < s->kernel[a])
            return;
        tap[a] = 0;
    }
}

void TRAIN_NAME(train_lay_columns)(const struct nn_spatial *s, int64_t channels, const real *x,
                                   int64_t image_step, int64_t images, real *columns)
{
    for (int64_t channel = 0; channel < channels; channel++, x += s->in_size) {
        int64_t tap[NN_SPATIAL_AXES] = {0};
        for (int64_t t = 0; t < s->window_size; t++, next_tap(s, tap))
            for (int64_t i = 0; i < images; i++, columns += s->out_size)
                lay_tap(s, x + i * image_step, tap, columns);
    }
}

void TRAIN_NAME(train_add_columns)(const struct nn_spatial *s, int64_t channels,
                                   const real *columns, int64_t image_step, int64_t images,
                                   real *x)
{
    for (int64_t channel = 0; channel < channels; channel++, x += s->in_size) {
        int64_t tap[NN_SPATIAL_AXES] = {0};
        for (int64_t t = 0; t < s->window_size; t++, next_tap(s, tap))
            for (int64_t i = 0; i < images; i++, columns += s->out_size)
                add_tap(s, columns, tap, x + i * image_step);
    }
}
