/* Shapes of tensors, and places in them, as text.
 *
 * Thread: pure functions. */
#ifndef CLI_SHAPE_H
#define CLI_SHAPE_H

#include "nn/tensor.h"

/* "[1, 8, 3, 72, 128]", "?" for an open dimension. Caller frees with g_free(). */
char *shape_text(const struct nn_shape *shape);

/* Where element `at` of a tensor of this shape is, one index for each dimension. */
struct nn_shape shape_place(const struct nn_shape *shape, int64_t at);

/* "1x3x224x224"; false for what is no shape. */
bool shape_parse(const char *text, struct nn_shape *ret_shape);

#endif
