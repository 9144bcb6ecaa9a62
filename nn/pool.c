#include "nn/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nn/pages.h"

enum { ALIGNMENT = 64, CHUNK_BYTES = 32 * 1024 };

struct nn_pool_chunk {
    struct nn_pool_chunk *next;
    size_t size, used;
    _Alignas(ALIGNMENT) unsigned char bytes[];
};

void nn_pool_init(struct nn_pool *pool, size_t limit_bytes)
{
    *pool = (struct nn_pool){.limit_bytes = limit_bytes};
}

void nn_pool_finish(struct nn_pool *pool)
{
    while (pool->chunks) {
        struct nn_pool_chunk *next = pool->chunks->next;
        free(pool->chunks);
        pool->chunks = next;
    }
    pool->used_bytes = 0;
}

void nn_pool_init_fixed(struct nn_pool *pool, void *memory, size_t bytes)
{
    *pool = (struct nn_pool){.fixed = memory, .limit_bytes = bytes};
}

void nn_pool_reset(struct nn_pool *pool)
{
    pool->used_bytes = 0;
    pool->full = false;
}

/* From two huge pages on, a chunk has no others: less than a third of it is then wasted. */
static void *allocate(size_t bytes)
{
    if (bytes < 2 * NN_HUGE_PAGE || bytes > SIZE_MAX - NN_HUGE_PAGE)
        return aligned_alloc(ALIGNMENT, bytes);
    bytes = (bytes + NN_HUGE_PAGE - 1) & ~(NN_HUGE_PAGE - 1);
    void *memory = aligned_alloc(NN_HUGE_PAGE, bytes);
    if (memory)
        nn_pages_prefer_huge(memory, bytes);
    return memory;
}

void *nn_pool_alloc(struct nn_pool *pool, size_t bytes)
{
    if (bytes == 0)
        bytes = 1;
    size_t left = pool->limit_bytes - pool->used_bytes;
    if (bytes > left || left - bytes < ALIGNMENT) {
        pool->full = true;
        return NULL;
    }
    bytes = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (pool->fixed) {
        void *piece = (char *)pool->fixed + pool->used_bytes;
        pool->used_bytes += bytes;
        return memset(piece, 0, bytes);
    }

    struct nn_pool_chunk *chunk = pool->chunks;
    if (!chunk || chunk->size - chunk->used < bytes) {
        size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        struct nn_pool_chunk *fresh = allocate(sizeof *fresh + size);
        if (!fresh)
            return NULL;
        *fresh = (struct nn_pool_chunk){.size = size};
        /* A piece with its own chunk goes behind the first, whose rest stays in use. */
        if (chunk && bytes >= CHUNK_BYTES) {
            fresh->next = chunk->next;
            chunk->next = fresh;
        } else {
            fresh->next = chunk;
            pool->chunks = fresh;
        }
        chunk = fresh;
    }
    void *piece = chunk->bytes + chunk->used;
    chunk->used += bytes;
    pool->used_bytes += bytes;
    return memset(piece, 0, bytes);
}

void *nn_pool_array(struct nn_pool *pool, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX;
    return nn_pool_alloc(pool, bytes);
}

char *nn_pool_string(struct nn_pool *pool, const void *bytes, size_t length)
{
    char *copy = nn_pool_alloc(pool, length < SIZE_MAX ? length + 1 : length);
    if (copy && length > 0)
        memcpy(copy, bytes, length);
    return copy;
}

int nn_pool_errno(const struct nn_pool *pool)
{
    return pool->full ? -E2BIG : -ENOMEM;
}
