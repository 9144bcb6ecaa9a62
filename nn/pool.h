/* Memory that is freed all at once: what a model or a plan is made of.
 *
 * Pieces are 64-byte aligned and zeroed. The pool counts what it gave and refuses beyond a
 * limit set at birth, so hostile input costs at most that.
 *
 * Thread: one at a time. */
#ifndef NN_POOL_H
#define NN_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nn_pool_chunk;

struct nn_pool {
    struct nn_pool_chunk *chunks;
    size_t limit_bytes;
    size_t used_bytes;
    bool full;   /* the limit refused a piece */
    void *fixed; /* the caller's memory, all there is; else NULL */
};

void nn_pool_init(struct nn_pool *pool, size_t limit_bytes);
void nn_pool_finish(struct nn_pool *pool); /* not for pools over the caller's memory */

/* A pool that allocates nothing: pieces come from `bytes` of 64-byte aligned memory, which is
 * borrowed. reset takes all of them back. */
void nn_pool_init_fixed(struct nn_pool *pool, void *memory, size_t bytes);
void nn_pool_reset(struct nn_pool *pool);

/* NULL: out of memory or over the limit (nn_pool_errno tells which). Zero bytes are one. */
void *nn_pool_alloc(struct nn_pool *pool, size_t bytes);

/* count * size bytes, NULL also when that overflows. */
void *nn_pool_array(struct nn_pool *pool, size_t count, size_t size);

/* A copy of `length` bytes with a NUL after them. */
char *nn_pool_string(struct nn_pool *pool, const void *bytes, size_t length);

/* Why a piece was refused: -E2BIG by the limit, -ENOMEM by the system. */
int nn_pool_errno(const struct nn_pool *pool);

#endif
