#include "nn/walk.h"

#include <string.h>

void nn_walk_make(struct nn_walk *walk, const struct nn_shape *shape, const int64_t step[][2])
{
    /* A dimension joins the one before it when, for both operands, stepping once there is the
     * same as walking all of this one. */
    int rank = 0;
    struct nn_walk w = {0};
    for (int d = 0; d < shape->rank; d++) {
        int64_t dim = shape->dim[d];
        if (dim == 1)
            continue;
        if (rank > 0 && w.step[rank - 1][0] == step[d][0] * dim &&
            w.step[rank - 1][1] == step[d][1] * dim) {
            w.dim[rank - 1] *= dim;
        } else {
            w.dim[rank++] = dim;
        }
        w.step[rank - 1][0] = step[d][0];
        w.step[rank - 1][1] = step[d][1];
    }
    bool empty = nn_shape_count(shape) == 0;
    if (rank == 0 || empty) {
        w.rank = 0;
        w.inner = empty ? 0 : 1;
    } else {
        w.rank = rank - 1;
        w.inner = w.dim[rank - 1];
        w.inner_step[0] = w.step[rank - 1][0];
        w.inner_step[1] = w.step[rank - 1][1];
    }
    *walk = w;
}

bool nn_walk_next(const struct nn_walk *walk, struct nn_walk_cursor *cursor)
{
    for (int d = walk->rank - 1; d >= 0; d--) {
        cursor->at[0] += walk->step[d][0];
        cursor->at[1] += walk->step[d][1];
        if (++cursor->index[d] < walk->dim[d])
            return true;
        cursor->at[0] -= walk->step[d][0] * walk->dim[d];
        cursor->at[1] -= walk->step[d][1] * walk->dim[d];
        cursor->index[d] = 0;
    }
    return false;
}

void nn_walk_broadcast(struct nn_walk *walk, const struct nn_shape *whole,
                       const struct nn_shape *a, const struct nn_shape *b)
{
    const struct nn_shape *shapes[] = {a, b};
    int64_t step[NN_MAX_RANK][2] = {{0}};
    for (int i = 0; i < (b ? 2 : 1); i++) {
        int64_t stride = 1;
        for (int d = whole->rank - 1, own = shapes[i]->rank - 1; own >= 0; d--, own--) {
            int64_t dim = shapes[i]->dim[own];
            step[d][i] = dim == 1 ? 0 : stride;
            stride *= dim;
        }
    }
    nn_walk_make(walk, whole, step);
}

/* Four-byte elements are copied as integers: copying a float must not quiet a NaN. */
#define COPY_LOOP(type)                                                                        \
    do {                                                                                       \
        type *to = y;                                                                          \
        const type *from = x;                                                                  \
        do {                                                                                   \
            const type *p = from + cursor.at[0];                                               \
            for (int64_t i = 0; i < walk->inner; i++)                                          \
                to[i] = p[i * walk->inner_step[0]];                                            \
            to += walk->inner;                                                                 \
        } while (nn_walk_next(walk, &cursor));                                                 \
    } while (0)

void nn_walk_copy(const struct nn_walk *walk, void *y, const void *x, size_t element_bytes)
{
    struct nn_walk_cursor cursor = {0};
    if (walk->inner == 0)
        return;
    if (walk->inner_step[0] == 1) {
        char *to = y;
        size_t bytes = (size_t)walk->inner * element_bytes;
        do {
            memcpy(to, (const char *)x + cursor.at[0] * (int64_t)element_bytes, bytes);
            to += bytes;
        } while (nn_walk_next(walk, &cursor));
    } else if (element_bytes == 8) {
        COPY_LOOP(uint64_t);
    } else if (element_bytes == 4) {
        COPY_LOOP(uint32_t);
    } else if (element_bytes == 2) {
        COPY_LOOP(uint16_t);
    } else {
        COPY_LOOP(uint8_t);
    }
}
