#include "nn/ops/pool_bytes.h"

#include <string.h>

enum { MOST_TAPS = 64 };

/* The rows and columns that windows see, padding among them. */
static int64_t reach(const struct nn_spatial *s, int axis)
{
    return (s->out[axis] - 1) * s->stride[axis] + (s->kernel[axis] - 1) * s->dilation[axis] + 1;
}

bool nn_pool_suits_bytes(const struct nn_spatial *s, size_t scratch_bytes)
{
    int64_t plane, row = (s->out[2] - 1) * s->stride[2] + 1;
    return s->axes <= 2 && s->window_size <= MOST_TAPS &&
           !__builtin_mul_overflow(reach(s, 1), reach(s, 2), &plane) && plane <= INT32_MAX &&
           (size_t)(plane + row) <= scratch_bytes;
}

/* The image with 0 around it, int8 numbers as bytes 128 greater: 0 is the least number then. */
static void pad(const struct nn_spatial *s, const struct nn_byte_kernels *k, uint8_t flip,
                const uint8_t *x, uint8_t *plane)
{
    int64_t height = reach(s, 1), width = reach(s, 2), left = s->pad_before[2];
    int64_t above = s->pad_before[1] < height ? s->pad_before[1] : height;
    left = left < width ? left : width;
    int64_t count = s->in[2] < width - left ? s->in[2] : width - left;
    int64_t rows = s->in[1] < height - above ? s->in[1] : height - above;
    memset(plane, 0, (size_t)(height * width));
    k->copy(plane + above * width + left, (size_t)width, x, (size_t)s->in[2], flip,
            (size_t)rows, (size_t)count);
}

/* y[i] = x[i · stride] ^ flip */
static void thin(uint8_t *restrict y, const uint8_t *restrict x, int64_t stride, uint8_t flip,
                 int64_t n)
{
    if (stride == 2) { /* which compilers make vectors of */
        for (int64_t i = 0; i < n; i++)
            y[i] = x[2 * i] ^ flip;
        return;
    }
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i * stride] ^ flip;
}

void nn_pool_max_bytes(const struct nn_spatial *s, const struct nn_byte_kernels *k,
                       enum nn_type type, const uint8_t *x, uint8_t *y, void *scratch)
{
    const uint8_t flip = type == NN_TYPE_INT8 ? 128 : 0;
    int64_t width = reach(s, 2), columns = (s->out[2] - 1) * s->stride[2] + 1;
    uint8_t *plane = scratch, *row = plane + reach(s, 1) * width;
    int32_t offset[MOST_TAPS];
    for (int64_t t = 0; t < s->window_size; t++)
        offset[t] = (int32_t)(t / s->kernel[2] * s->dilation[1] * width +
                              t % s->kernel[2] * s->dilation[2]);
    pad(s, k, flip, x, plane);
    for (int64_t h = 0; h < s->out[1]; h++, y += s->out[2]) {
        k->tap_max(row, plane + h * s->stride[1] * width, offset, (size_t)s->window_size,
                   (size_t)columns);
        thin(y, row, s->stride[2], flip, s->out[2]);
    }
}
