#include "nn/ops/panels.h"

#include <math.h>
#include <string.h>

#include "nn/half.h"

/* The largest weight of a column, as stored: halves keep their full precision down to 2^-24 of
 * it, and their sums of products stay far from the end of their range. */
enum { HALF_LARGEST = 1024, INT8_LARGEST = 127 };

enum { PACK_DEPTH = 32 };

static size_t element_bytes(enum nn_weight_format format)
{
    switch (format) {
    case NN_WEIGHT_HALF:
        return sizeof(uint16_t);
    case NN_WEIGHT_INT8:
        return sizeof(int8_t);
    case NN_WEIGHT_FLOAT:
        break;
    }
    return sizeof(float);
}

/* Columns as they lie in panels: every panel but the last is full. */
static int64_t padded(int64_t columns)
{
    return (columns + NN_PANEL_STEP - 1) / NN_PANEL_STEP * NN_PANEL_STEP;
}

int64_t nn_panels_floats(enum nn_weight_format format, int64_t depth, int64_t columns)
{
    int64_t bytes;
    if (columns > INT64_MAX - NN_PANEL_STEP ||
        __builtin_mul_overflow(padded(columns), depth, &bytes) ||
        __builtin_mul_overflow(bytes, (int64_t)element_bytes(format), &bytes))
        return -1;
    return bytes / (int64_t)sizeof(float); /* NN_PANEL_STEP elements of any are whole floats */
}

static float column_scale(const struct nn_matrix *from, int64_t column, float largest)
{
    float most = 0;
    for (int64_t d = 0; d < from->depth; d++) {
        float size = fabsf(from->values[d * from->depth_step + column * from->column_step]);
        most = size > most ? size : most;
    }
    return most > 0 ? most / largest : 1;
}

static void store(enum nn_weight_format format, void *to, int64_t index, float value)
{
    switch (format) {
    case NN_WEIGHT_FLOAT:
        ((float *)to)[index] = value;
        break;
    case NN_WEIGHT_HALF:
        ((uint16_t *)to)[index] = nn_half_from_float(value);
        break;
    case NN_WEIGHT_INT8: /* what is not finite is not stored: comparing with float32 shows it */
        ((int8_t *)to)[index] =
            fabsf(value) <= INT8_LARGEST + 1 ? (int8_t)lrintf(value) : (int8_t)0;
        break;
    }
}

/* The panel of columns first and up. */
static void pack_panel(const struct nn_matrix *from, enum nn_weight_format format,
                       int64_t first, void *weight, float *scale)
{
    int64_t left = padded(from->columns) - first;
    int64_t width = left < NN_PANEL_COLUMNS ? left : NN_PANEL_COLUMNS;
    char *to = (char *)weight + (size_t)(first * from->depth) * element_bytes(format);
    float factor[NN_PANEL_COLUMNS];
    for (int64_t j = 0; j < width; j++) {
        factor[j] = 1;
        if (format == NN_WEIGHT_FLOAT || first + j >= from->columns)
            continue;
        scale[first + j] = column_scale(from, first + j,
                                        format == NN_WEIGHT_HALF ? HALF_LARGEST : INT8_LARGEST);
        factor[j] = 1 / scale[first + j];
    }
    /* In blocks that stay in the first cache, whichever way the matrix lies. */
    for (int64_t start = 0; start < from->depth; start += PACK_DEPTH) {
        int64_t end = from->depth - start < PACK_DEPTH ? from->depth : start + PACK_DEPTH;
        for (int64_t j = 0; j < width; j++) {
            bool there = first + j < from->columns;
            const float *values = from->values + (there ? (first + j) * from->column_step : 0);
            for (int64_t d = start; d < end; d++)
                store(format, to, d * width + j,
                      there ? values[d * from->depth_step] * factor[j] : 0);
        }
    }
}

void nn_panels_pack(const struct nn_matrix *from, enum nn_weight_format format, void *weight,
                    float *scale)
{
    for (int64_t first = 0; first < from->columns; first += NN_PANEL_COLUMNS)
        pack_panel(from, format, first, weight, scale);
}

int64_t nn_panels_count(const struct nn_panels *panels)
{
    return (panels->columns + NN_PANEL_COLUMNS - 1) / NN_PANEL_COLUMNS;
}

void nn_panels_multiply_piece(const struct nn_kernels *k, const struct nn_panels *panels,
                              const struct nn_panels_piece *piece, const float *in,
                              int64_t rows, int64_t in_step, float *out, int64_t out_step)
{
    int64_t column = piece->panel * NN_PANEL_COLUMNS, left = panels->columns - column;
    int64_t columns = left < NN_PANEL_COLUMNS ? left : NN_PANEL_COLUMNS;
    int64_t at = column * panels->depth + piece->first * padded(columns);
    k->panel(&(struct nn_panel){.y = out + column,
                                .x = in + piece->first,
                                .weight = (const char *)panels->weight +
                                          (size_t)at * element_bytes(panels->format),
                                .scale = panels->scale ? panels->scale + column : NULL,
                                .format = panels->format,
                                .rows = (size_t)rows,
                                .depth = (size_t)(piece->end - piece->first),
                                .columns = (size_t)columns,
                                .x_step = (size_t)in_step,
                                .y_step = (size_t)out_step});
}

void nn_panels_multiply(const struct nn_kernels *k, const struct nn_panels *panels,
                        const float *in, int64_t rows, int64_t in_step, float *out,
                        int64_t out_step)
{
    int64_t count = nn_panels_count(panels);
    struct nn_panels_piece piece = {.end = panels->depth};
    for (int64_t i = 0; i < count; i++) {
        piece.panel = panels->backwards ? count - 1 - i : i;
        nn_panels_multiply_piece(k, panels, &piece, in, rows, in_step, out, out_step);
    }
}
