#include "nn/arena.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void nn_arena_init(struct nn_arena *arena, size_t limit_bytes)
{
    *arena = (struct nn_arena){.limit = limit_bytes};
}

void nn_arena_finish(struct nn_arena *arena)
{
    free(arena->holes);
    arena->holes = NULL;
}

static size_t rounded(size_t bytes)
{
    size_t least = bytes ? bytes : 1;
    return nn_arena_aligned(least);
}

static void remove_hole(struct nn_arena *arena, size_t index)
{
    arena->hole_count--;
    memmove(&arena->holes[index], &arena->holes[index + 1],
            (arena->hole_count - index) * sizeof *arena->holes);
}

int nn_arena_take(struct nn_arena *arena, size_t bytes, size_t *ret_offset)
{
    if (bytes > arena->limit)
        return -E2BIG;
    bytes = rounded(bytes);
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < arena->hole_count; i++)
        if (arena->holes[i].bytes >= bytes &&
            (best == SIZE_MAX || arena->holes[i].bytes < arena->holes[best].bytes))
            best = i;
    if (best != SIZE_MAX) {
        struct nn_arena_hole *hole = &arena->holes[best];
        *ret_offset = hole->offset;
        hole->offset += bytes;
        hole->bytes -= bytes;
        if (hole->bytes == 0)
            remove_hole(arena, best);
        return 0;
    }
    /* Nothing fits: grow at the end, over a hole that touches it. */
    struct nn_arena_hole *last =
        arena->hole_count ? &arena->holes[arena->hole_count - 1] : NULL;
    size_t offset = arena->end;
    if (last && last->offset + last->bytes == arena->end)
        offset = last->offset;
    if (bytes > arena->limit - offset)
        return -E2BIG;
    if (offset != arena->end)
        arena->hole_count--;
    arena->end = offset + bytes;
    if (arena->peak < arena->end)
        arena->peak = arena->end;
    *ret_offset = offset;
    return 0;
}

int nn_arena_give_back(struct nn_arena *arena, size_t offset, size_t bytes)
{
    bytes = rounded(bytes);
    size_t at = 0;
    while (at < arena->hole_count && arena->holes[at].offset < offset)
        at++;
    struct nn_arena_hole *before = at > 0 ? &arena->holes[at - 1] : NULL;
    struct nn_arena_hole *after = at < arena->hole_count ? &arena->holes[at] : NULL;
    bool joins_before = before && before->offset + before->bytes == offset;
    bool joins_after = after && offset + bytes == after->offset;
    if (joins_before) {
        before->bytes += bytes + (joins_after ? after->bytes : 0);
        if (joins_after)
            remove_hole(arena, at);
        return 0;
    }
    if (joins_after) {
        after->offset = offset;
        after->bytes += bytes;
        return 0;
    }
    if (arena->hole_count == arena->hole_capacity) {
        size_t capacity = arena->hole_capacity ? arena->hole_capacity * 2 : 16;
        struct nn_arena_hole *holes = realloc(arena->holes, capacity * sizeof *holes);
        if (!holes)
            return -ENOMEM;
        arena->holes = holes;
        arena->hole_capacity = capacity;
    }
    memmove(&arena->holes[at + 1], &arena->holes[at],
            (arena->hole_count - at) * sizeof *arena->holes);
    arena->holes[at] = (struct nn_arena_hole){offset, bytes};
    arena->hole_count++;
    return 0;
}
