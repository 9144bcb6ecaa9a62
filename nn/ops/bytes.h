/* What products of 8-bit integers share: QLinearConv, ConvInteger, QLinearMatMul,
 * MatMulInteger, and the steps that the planner makes of a Conv, Gemm or MatMul between
 * DequantizeLinear and QuantizeLinear (nn/qdq.c). Private to nn/.
 *
 *     y = Σ (x - x_zero) · (w - w_zero)                               int32, wrapping
 *     y = saturate(round(Σ · x_scale · w_scale / y_scale + bias) + y_zero)
 *
 * Kernels (nn/kernels/bytes.h) multiply unsigned bytes with signed ones, x' = x or x + 128 with
 * w' = w - w_zero. Where w' does not fit into a signed byte it is the sum of two or three that
 * do ("parts"), each of which meets x'. Of each output channel the sum of all w' is kept, and
 * its product with the zero point of x' subtracted:
 * Σ (x' - zero') · w' = Σ x' · w' - zero' · Σ w'.
 *
 * Thread: pure functions. */
#ifndef NN_OPS_BYTES_H
#define NN_OPS_BYTES_H

#include "nn/kernels/bytes.h"
#include "nn/kernels/kernels.h"
#include "nn/op.h"

/* Which input is what; -1: the row has no such input. The variant of such a row. */
struct nn_byte_roles {
    int x, x_scale, x_zero;
    int w, w_scale, w_zero;
    int y_scale, y_zero;
    int bias;
    /* The planner's: the bias is float32, in units of what y stands for, and without y_scale
     * the output is float32. */
    bool planned;
};

/* Those of a row whose variant they are. */
static inline const struct nn_byte_roles *nn_byte_roles_of(const struct nn_op_call *call)
{
    return call->op->variant;
}

/* The numbers of inputs that a QLinear operator and the planner's steps have. */
#define NN_BYTE_QLINEAR                                                                        \
    .x = 0, .x_scale = 1, .x_zero = 2, .w = 3, .w_scale = 4, .w_zero = 5, .y_scale = 6,        \
    .y_zero = 7
#define NN_BYTE_INTEGER                                                                        \
    .x = 0, .w = 1, .x_zero = 2, .w_zero = 3, .x_scale = -1, .w_scale = -1, .y_scale = -1,     \
    .y_zero = -1, .bias = -1

enum { NN_BYTE_PARTS = 3 };

/* Checks types, and that x and y have one scale and zero point, the weight one or `channels`;
 * x may have `rows` of them (0: it may not). Writes the type of output 0. */
int nn_byte_infer(struct nn_op_call *call, const struct nn_byte_roles *roles, int64_t rows,
                  int64_t channels);

/* 128 where x is int8, else 0. */
uint8_t nn_byte_flip(const struct nn_op_call *call, const struct nn_byte_roles *roles);

/* The zero point of x' (0..255), of a row where they have their own; y's. */
int32_t nn_byte_x_zero(const struct nn_op_call *call, const struct nn_byte_roles *roles,
                       int64_t row);

/* Weight `index` of channel `channel`, less its zero point. */
int nn_byte_weight(const struct nn_op_call *call, const struct nn_byte_roles *roles,
                   int64_t index, int64_t channel);

/* Part `part` of such a weight. */
int8_t nn_byte_part(int weight, int part);

/* Whether weights and their zero points are constant. */
bool nn_byte_is_constant(const struct nn_op_call *call, const struct nn_byte_roles *roles);

/* Whether every weight is its byte ^ *ret_flip as it stands, which is quicker to pack than what
 * nn_byte_weight and nn_byte_part tell. */
bool nn_byte_is_plain(const struct nn_op_call *call, const struct nn_byte_roles *roles,
                      uint8_t *ret_flip);

/* How many parts weights have: told from their values where they are constant. */
int nn_byte_parts(const struct nn_op_call *call, const struct nn_byte_roles *roles,
                  int64_t channels);

/* How sums end, for each output channel: arrays in the workspace. */
struct nn_byte_results {
    int32_t *start;
    float *scale, *shift;
    float low, high; /* of bytes, in their steps */
    int32_t zero;
    float y_scale;
    float *floats; /* NULL; room for values that meet an activation before they are bytes */
};

/* Bytes of workspace that results for `channels` need, with runs of `most` values. */
size_t nn_byte_results_bytes(const struct nn_op_call *call, int64_t channels, int64_t most);

/* Fills the arrays, at the start of `workspace`. `sums` (channels): of the weights. `row`: of
 * x, where rows have scales of their own. */
struct nn_byte_results nn_byte_results_make(const struct nn_op_call *call,
                                            const struct nn_byte_roles *roles,
                                            const int32_t *sums, int64_t channels, int64_t row,
                                            void *workspace);

/* y = the results of n sums, in the type of output 0: of one channel, or with `each` of n that
 * follow each other. */
void nn_byte_results_write(const struct nn_op_call *call, const struct nn_byte_results *results,
                           int64_t channel, bool each, const int32_t *sum, void *y, size_t n);

#endif
