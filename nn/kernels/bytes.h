/* The inner loops of networks that compute with integers of 8 bits: a table of functions per
 * instruction set, found through nn_kernels.bytes.
 *
 * What is multiplied is an unsigned byte (a value of the network) and a signed one (a weight);
 * int8 values become unsigned by adding 128, uint8 weights signed by subtracting it, and what
 * that changes is in the sums that start from (nn/ops/integer.h). Sums are int32 and wrap. So
 * every result here is exact, and all tables agree to the bit, floats included: each product
 * and sum of floats is rounded as one operation, ties go to even.
 *
 * Four bytes that are multiplied and added up together are a quad: four channels at one place
 * of an image, four numbers of a row, four columns of a window. Quads of an image lie side by
 * side as its numbers do, which makes one as large as a float: nn_spatial_lay_out moves them.
 *
 * Buffers: any alignment. Where nothing else is said outputs overlap no inputs.
 * Counts may be 0.
 *
 * Thread: the tables are constant; any thread. Nothing is allocated. */
#ifndef NN_KERNELS_BYTES_H
#define NN_KERNELS_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As many outputs (channels) as a table's tile has rows, at n positions, sharing
 * what they read:
 *     y[r·y_step + i] = Σ_t Σ_k weight[(t·rows + r)·4 + k] · x[(offset[t] + i)·4 + k] */
struct nn_byte_tile {
    int32_t *y;
    size_t y_step;
    const uint8_t *x;
    const int32_t *offset; /* (taps), in quads */
    const int8_t *weight;  /* (taps, rows, 4) */
    size_t taps, n;
};

/* Rows that meet a matrix, which is cut into panels of NN_PANEL_COLUMNS columns as float
 * weights are (nn/kernels/kernels.h), the numbers of four rows side by side. One panel:
 *     y[r·y_step + j] = Σ_q Σ_k x[r·x_step + 4q + k] · weight[(q·width + j)·4 + k]
 * for `columns` j, width being columns rounded up to NN_PANEL_STEP. */
struct nn_byte_panel {
    int32_t *y;
    size_t y_step;
    const uint8_t *x;
    size_t x_step;
    const int8_t *weight;
    size_t rows, quads, columns;
};

/* One channel of a depthwise convolution that moves by one or two, in both directions:
 *     y[r·columns + i] = Σ_k Σ_l weight[(k·quads + l/4)·4 + l%4]
 *                                · x[(r·stride + k)·x_step + i·stride + l]
 * for l < 4·quads. Reads nothing behind l = 4·quads - 1 of the last column of a line. */
struct nn_byte_depthwise {
    int32_t *y; /* (rows, columns) */
    const uint8_t *x;
    size_t x_step;
    const int8_t *weight; /* (lines, quads, 4) */
    size_t lines, quads, stride, rows, columns;
};

/* How sums become results: value = (sum + start) · scale + shift, rounded once. */
struct nn_byte_end {
    const int32_t *sum;
    size_t n;
    bool each; /* start, scale and shift have n numbers; else one for all */
    const int32_t *start;
    const float *scale, *shift;
    /* Of bytes: min(high, max(low, value)), NaN becomes low, is rounded, zero is added, and the
     * lowest 8 bits of that are the result. */
    float low, high;
    int32_t zero;
};

/* value = (a ^ flip[0]) · scale[0] + ((b ^ flip[1]) · scale[1] + shift); from there on as
 * nn_byte_end. */
struct nn_byte_add {
    const uint8_t *a, *b;
    size_t n;
    uint8_t flip[2]; /* 128 for int8, whose bytes are then 128 more than their numbers */
    float scale[2], shift;
    float low, high;
    int32_t zero;
};

struct nn_byte_kernels {
    const char *name;             /* "scalar", "avx2", "avx512", "vnni" */
    size_t tile_rows, tile_width; /* rows, and positions that fill a tile */
    void (*tile)(const struct nn_byte_tile *t);
    void (*panel)(const struct nn_byte_panel *p);
    void (*depthwise)(const struct nn_byte_depthwise *d);

    /* y[r·y_step + i] = x[r·x_step + i] ^ flip, n of each row. */
    void (*copy)(uint8_t *y, size_t y_step, const uint8_t *x, size_t x_step, uint8_t flip,
                 size_t rows, size_t n);
    /* y[4i + k] = x[k][i] ^ flip */
    void (*interleave)(uint8_t *y, const uint8_t *const x[4], uint8_t flip, size_t n);

    void (*end)(uint8_t *y, const struct nn_byte_end *e);
    void (*end_floats)(float *y, const struct nn_byte_end *e); /* y = value */

    void (*add)(uint8_t *y, const struct nn_byte_add *s); /* y may be a or b */
    /* y[i] = max_t x[offset[t] + i], 0 without taps. */
    void (*tap_max)(uint8_t *y, const uint8_t *x, const int32_t *offset, size_t taps, size_t n);
    /* y[i] = max(a[2i], a[2i+1], b[2i], b[2i+1]) of numbers that are bytes ^ flip. */
    void (*max_2x2)(uint8_t *y, const uint8_t *a, const uint8_t *b, uint8_t flip, size_t n);

    /* value = x / scale, as nn_byte_end from there. */
    void (*quantize)(uint8_t *y, const float *x, float scale, float low, float high,
                     int32_t zero, size_t n);
    /* y = ((x ^ flip) - zero) · scale */
    void (*dequantize)(float *y, const uint8_t *x, uint8_t flip, int32_t zero, float scale,
                       size_t n);
};

#endif
