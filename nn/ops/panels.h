/* A matrix of weights packed for products with few rows (nn/kernels/kernels.h): what recurrent
 * and dense layers multiply with. OpenBLAS would pack it anew in every run, which for few rows
 * costs more than the product. Private to nn/.
 *
 * Every row of a product gets the same bits in whatever company it stands.
 *
 * Thread: pure functions. */
#ifndef NN_OPS_PANELS_H
#define NN_OPS_PANELS_H

#include "nn/kernels/kernels.h"

struct nn_panels {
    enum nn_weight_format format;
    int64_t depth, columns;
    const void *weight;
    const float *scale; /* (columns); NULL for NN_WEIGHT_FLOAT */
    /* Panels from the last to the first, which changes no result: the steps of a recurrence
     * take turns, so that each begins with what the one before has left in the first cache. */
    bool backwards;
};

/* A matrix as it comes: element (d, j) at values[d · depth_step + j · column_step]. */
struct nn_matrix {
    const float *values;
    int64_t depth, columns;
    int64_t depth_step, column_step;
};

/* Floats that the packed weights take, whatever their format; negative when that overflows. */
int64_t nn_panels_floats(enum nn_weight_format format, int64_t depth, int64_t columns);

/* Packs the matrix into `weight`, which has nn_panels_floats of room. `scale` (columns) is
 * written for the formats that have one. */
void nn_panels_pack(const struct nn_matrix *from, enum nn_weight_format format, void *weight,
                    float *scale);

/* out[row · out_step + j] += Σ_d in[row · in_step + d] · weight(d, j) */
void nn_panels_multiply(const struct nn_kernels *k, const struct nn_panels *panels,
                        const float *in, int64_t rows, int64_t in_step, float *out,
                        int64_t out_step);

/* A part of it: of one panel, the products of inputs first..end-1. Pieces of a panel
 * that start at multiples of NN_PANEL_DEPTH and are made one after the other give the
 * bits of the whole. */
struct nn_panels_piece {
    int64_t panel, first, end;
};
int64_t nn_panels_count(const struct nn_panels *panels);
void nn_panels_multiply_piece(const struct nn_kernels *k, const struct nn_panels *panels,
                              const struct nn_panels_piece *piece, const float *in,
                              int64_t rows, int64_t in_step, float *out, int64_t out_step);

#endif
