/* Nested loops over a shape with two operands at strides of their own: what broadcasting,
 * transposing, slicing and reducing have in common. Private to nn/.
 *
 *     struct nn_walk_cursor c = {0};
 *     do
 *         inner(y, a + c.at[0], b + c.at[1], w.inner, w.inner_step);
 *     while (nn_walk_next(&w, &c));
 *
 * Dimensions that can be walked as one are merged, so the inner loop is as long as it can be.
 */
#ifndef NN_WALK_H
#define NN_WALK_H

#include "nn/tensor.h"

struct nn_walk {
    int rank; /* of the outer loops */
    int64_t dim[NN_MAX_RANK];
    int64_t step[NN_MAX_RANK][2]; /* in elements; 0 repeats, negative runs backwards */
    int64_t inner;                /* length of the inner loop; 0: nothing to walk at all */
    int64_t inner_step[2];
};

struct nn_walk_cursor {
    int64_t at[2]; /* where each operand is */
    int64_t index[NN_MAX_RANK];
};

/* Steps of each dimension in elements of the operands. */
void nn_walk_make(struct nn_walk *walk, const struct nn_shape *shape, const int64_t step[][2]);

/* To the next inner loop; false, with the cursor back at the start, when all are done. */
bool nn_walk_next(const struct nn_walk *walk, struct nn_walk_cursor *cursor);

/* A walk over `whole` with operands of shapes that broadcast to it (NumPy's alignment at the
 * right). Without b, operand 1 stays where it is. */
void nn_walk_broadcast(struct nn_walk *walk, const struct nn_shape *whole,
                       const struct nn_shape *a, const struct nn_shape *b);

/* y[i] = x at operand 0 of the walk, for elements of 1, 2, 4 or 8 bytes. y is dense. */
void nn_walk_copy(const struct nn_walk *walk, void *y, const void *x, size_t element_bytes);

#endif
