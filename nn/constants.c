#include "nn/constants.h"

#include <errno.h>
#include <stdlib.h>

#include "nn/packed_file.h"

void nn_constants_finish(struct nn_constants *constants)
{
    free(constants->noted);
    free(constants->reads);
    constants->noted = NULL;
    constants->reads = NULL;
    constants->count = constants->read_count = 0;
}

/* Room for one more; bounded by the nodes of the model and their edges. */
static int grow(void **list, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return 0;
    size_t wanted = *capacity ? *capacity * 2 : 32;
    void *larger = realloc(*list, wanted * size);
    if (!larger)
        return -ENOMEM;
    *list = larger;
    *capacity = wanted;
    return 0;
}

void *nn_constants_take(struct nn_constants *constants, const struct nn_node *node, int slot,
                        size_t bytes, bool is_value, bool *ret_fill)
{
    int index = node->number;
    *ret_fill = false;
    if (constants->packed) {
        /* Nobody writes: *ret_fill says so. */
        void *data = (void *)(uintptr_t)nn_packed_find(constants->packed, index, slot, bytes);
        constants->missing |= !data;
        return data;
    }
    void *noted = constants->noted;
    if (grow(&noted, constants->count, &constants->capacity, sizeof *constants->noted) < 0)
        return NULL;
    constants->noted = noted;
    void *data = nn_pool_alloc(constants->pool, bytes);
    if (!data)
        return NULL;
    constants->noted[constants->count++] = (struct nn_constant){
        .node = index, .slot = slot, .bytes = bytes, .data = data, .is_value = is_value};
    *ret_fill = true;
    return data;
}

int nn_constants_note_read(struct nn_constants *constants, const void *data)
{
    if (constants->packed)
        return 0;
    void *reads = constants->reads;
    if (grow(&reads, constants->read_count, &constants->read_capacity,
             sizeof *constants->reads) < 0)
        return -ENOMEM;
    constants->reads = reads;
    constants->reads[constants->read_count++] = data;
    return 0;
}
