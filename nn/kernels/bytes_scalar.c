/* The reference of nn/kernels/bytes.h, and the table of processors that have no other. */
#include <math.h>

#include "nn/kernels/tables.h"

enum { TILE_ROWS = 4 };

/* Sums wrap, which signed integers must not. */
static uint32_t dot(const uint8_t *x, const int8_t *weight)
{
    uint32_t sum = 0;
    for (size_t k = 0; k < 4; k++)
        sum += (uint32_t)(x[k] * weight[k]);
    return sum;
}

static void tile(const struct nn_byte_tile *t)
{
    for (size_t r = 0; r < TILE_ROWS; r++) {
        for (size_t i = 0; i < t->n; i++) {
            uint32_t sum = 0;
            for (size_t at = 0; at < t->taps; at++)
                sum += dot(t->x + (t->offset[at] + (ptrdiff_t)i) * 4,
                           t->weight + (at * TILE_ROWS + r) * 4);
            t->y[r * t->y_step + i] = (int32_t)sum;
        }
    }
}

static void panel(const struct nn_byte_panel *p)
{
    size_t width = (p->columns + NN_PANEL_STEP - 1) / NN_PANEL_STEP * NN_PANEL_STEP;
    for (size_t r = 0; r < p->rows; r++) {
        for (size_t j = 0; j < p->columns; j++) {
            uint32_t sum = 0;
            for (size_t q = 0; q < p->quads; q++)
                sum += dot(p->x + r * p->x_step + 4 * q, p->weight + (q * width + j) * 4);
            p->y[r * p->y_step + j] = (int32_t)sum;
        }
    }
}

static void depthwise(const struct nn_byte_depthwise *d)
{
    for (size_t r = 0; r < d->rows; r++) {
        for (size_t i = 0; i < d->columns; i++) {
            uint32_t sum = 0;
            for (size_t k = 0; k < d->lines; k++)
                for (size_t q = 0; q < d->quads; q++)
                    sum += dot(d->x + (r * d->stride + k) * d->x_step + i * d->stride + 4 * q,
                               d->weight + (k * d->quads + q) * 4);
            d->y[r * d->columns + i] = (int32_t)sum;
        }
    }
}

static void copy(uint8_t *y, size_t y_step, const uint8_t *x, size_t x_step, uint8_t flip,
                 size_t rows, size_t n)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < n; i++)
            y[r * y_step + i] = x[r * x_step + i] ^ flip;
}

static void interleave(uint8_t *y, const uint8_t *const x[4], uint8_t flip, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 4; k++)
            y[4 * i + k] = x[k][i] ^ flip;
}

static float value(const struct nn_byte_end *e, size_t i)
{
    size_t at = e->each ? i : 0;
    int32_t sum = (int32_t)((uint32_t)e->sum[i] + (uint32_t)e->start[at]);
    return fmaf((float)sum, e->scale[at], e->shift[at]);
}

static uint8_t byte(float x, float low, float high, int32_t zero)
{
    x = x > low ? x : low;
    x = x < high ? x : high;
    return (uint8_t)((int32_t)rintf(x) + zero);
}

static void end(uint8_t *y, const struct nn_byte_end *e)
{
    for (size_t i = 0; i < e->n; i++)
        y[i] = byte(value(e, i), e->low, e->high, e->zero);
}

static void end_floats(float *y, const struct nn_byte_end *e)
{
    for (size_t i = 0; i < e->n; i++)
        y[i] = value(e, i);
}

static void add(uint8_t *y, const struct nn_byte_add *s)
{
    for (size_t i = 0; i < s->n; i++) {
        float b = fmaf((float)(s->b[i] ^ s->flip[1]), s->scale[1], s->shift);
        y[i] =
            byte(fmaf((float)(s->a[i] ^ s->flip[0]), s->scale[0], b), s->low, s->high, s->zero);
    }
}

static void tap_max(uint8_t *y, const uint8_t *x, const int32_t *offset, size_t taps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t max = 0;
        for (size_t t = 0; t < taps; t++) {
            uint8_t value = x[offset[t] + (ptrdiff_t)i];
            max = value > max ? value : max;
        }
        y[i] = max;
    }
}

static void max_2x2(uint8_t *y, const uint8_t *a, const uint8_t *b, uint8_t flip, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t values[] = {a[2 * i], a[2 * i + 1], b[2 * i], b[2 * i + 1]};
        uint8_t max = 0;
        for (size_t j = 0; j < 4; j++)
            max = (values[j] ^ flip) > max ? values[j] ^ flip : max;
        y[i] = max ^ flip;
    }
}

static void quantize(uint8_t *y, const float *x, float scale, float low, float high,
                     int32_t zero, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = byte(x[i] / scale, low, high, zero);
}

static void dequantize(float *y, const uint8_t *x, uint8_t flip, int32_t zero, float scale,
                       size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (float)((x[i] ^ flip) - zero) * scale;
}

const struct nn_byte_kernels nn_byte_table_scalar = {
    .name = "scalar",
    .tile_rows = TILE_ROWS,
    .tile_width = 32,
    .tile = tile,
    .panel = panel,
    .depthwise = depthwise,
    .copy = copy,
    .interleave = interleave,
    .end = end,
    .end_floats = end_floats,
    .add = add,
    .tap_max = tap_max,
    .max_2x2 = max_2x2,
    .quantize = quantize,
    .dequantize = dequantize,
};
