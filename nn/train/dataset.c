#include "nn/train/dataset.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const train_part_names[TRAIN_PARTS] = {"", "train", "validation", "test"};

int train_dataset_init(struct train_dataset *data, const struct train_dataset_ops *ops,
                       const struct nn_shape *shape, int count, const char *what,
                       struct nn_error *err)
{
    *data = (struct train_dataset){.ops = ops, .shape = *shape};
    const int64_t size = nn_shape_count(shape);
    if (count < 1)
        return nn_error_set(err, -EINVAL, "'%.160s' has no samples", what);
    if (size < 1 || size > TRAIN_SAMPLE_MAX)
        return nn_error_set(err, -EINVAL, "'%.160s': a sample has 1 to %d numbers", what,
                            TRAIN_SAMPLE_MAX);
    data->labels = calloc((size_t)count, sizeof *data->labels);
    data->groups = calloc((size_t)count, sizeof *data->groups);
    data->origins = calloc((size_t)count, sizeof *data->origins);
    data->parts = calloc((size_t)count, sizeof *data->parts);
    if (!data->labels || !data->groups || !data->origins || !data->parts)
        return nn_error_set(err, -ENOMEM, "no memory for the %d samples of '%.160s'", count,
                            what);
    for (int i = 0; i < count; i++)
        data->groups[i] = data->origins[i] = i;
    data->count = data->group_count = count;
    return 0;
}

void train_dataset_finish(struct train_dataset *data)
{
    free(data->labels);
    free(data->groups);
    free(data->origins);
    free(data->parts);
    train_names_finish(&data->classes);
    train_names_finish(&data->sources);
}

void train_dataset_destroy(struct train_dataset *data)
{
    if (!data)
        return;
    train_dataset_finish(data);
    data->ops->destroy(data);
}

int train_dataset_read(const struct train_dataset *data, int at, float *ret_values,
                       struct nn_error *err)
{
    assert(at >= 0 && at < data->count);
    return data->ops->read(data, data->origins[at], ret_values, err);
}

void train_dataset_drop(struct train_dataset *data, const bool *marked)
{
    int kept = 0;
    for (int i = 0; i < data->count; i++) {
        if (marked[i])
            continue;
        data->labels[kept] = data->labels[i];
        data->groups[kept] = data->groups[i];
        data->origins[kept] = data->origins[i];
        data->parts[kept] = data->parts[i];
        kept++;
    }
    data->count = kept;
}

/* FNV-1a over what the numbers are: 0 and -0 are the same one. */
static uint64_t hash_values(float *values, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++) {
        uint32_t bits;
        values[i] += 0.0f;
        memcpy(&bits, &values[i], sizeof bits);
        hash = (hash ^ bits) * 0x100000001b3u;
        hash ^= hash >> 32;
    }
    return hash;
}

/* An open table of sample numbers, by hash. */
struct seen {
    const struct train_dataset *data;
    size_t size, mask;
    uint64_t *hashes; /* of every sample */
    int *slots;       /* samples, -1 where there is none */
    float *values, *others;
};

/* The sample whose values are those of `at`: an earlier one or itself. */
static int find_first(struct seen *seen, int at, int *ret_first, struct nn_error *err)
{
    int r = train_dataset_read(seen->data, at, seen->values, err);
    if (r < 0)
        return r;
    seen->hashes[at] = hash_values(seen->values, seen->size);
    size_t slot = seen->hashes[at] & seen->mask;
    for (; seen->slots[slot] >= 0; slot = (slot + 1) & seen->mask) {
        const int other = seen->slots[slot];
        if (seen->hashes[other] != seen->hashes[at])
            continue;
        r = train_dataset_read(seen->data, other, seen->others, err);
        if (r < 0)
            return r;
        hash_values(seen->others, seen->size);
        if (memcmp(seen->values, seen->others, seen->size * sizeof *seen->values) == 0) {
            *ret_first = other;
            return 0;
        }
    }
    seen->slots[slot] = *ret_first = at;
    return 0;
}

int train_dataset_duplicates(const struct train_dataset *data, int *ret_first,
                             struct nn_error *err)
{
    struct seen seen = {.data = data, .size = (size_t)nn_shape_count(&data->shape), .mask = 15};
    while (seen.mask < 2 * (size_t)data->count)
        seen.mask = 2 * seen.mask + 1;
    seen.hashes = calloc((size_t)data->count + 1, sizeof *seen.hashes);
    seen.slots = malloc((seen.mask + 1) * sizeof *seen.slots);
    seen.values = malloc(seen.size * sizeof *seen.values);
    seen.others = malloc(seen.size * sizeof *seen.others);
    int r = 0, repeated = 0;
    if (!seen.hashes || !seen.slots || !seen.values || !seen.others)
        r = nn_error_set(err, -ENOMEM, "no memory to look for samples that are there twice");
    for (size_t i = 0; r == 0 && i <= seen.mask; i++)
        seen.slots[i] = -1;
    for (int i = 0; r == 0 && i < data->count; i++) {
        r = find_first(&seen, i, &ret_first[i], err);
        repeated += r == 0 && ret_first[i] != i;
    }
    free(seen.hashes);
    free(seen.slots);
    free(seen.values);
    free(seen.others);
    return r < 0 ? r : repeated;
}

struct memory {
    struct train_dataset base;
    struct train_memory memory;
};

static int memory_read(const struct train_dataset *data, int origin, float *ret_values,
                       struct nn_error *err)
{
    const struct train_memory *m = &((const struct memory *)data)->memory;
    const uint8_t *from = (const uint8_t *)m->block + m->first + (size_t)origin * m->stride;
    const size_t size = (size_t)nn_shape_count(&data->shape);
    (void)err;
    if (m->type == NN_TYPE_FLOAT)
        memcpy(ret_values, from, size * sizeof *ret_values);
    else
        for (size_t i = 0; i < size; i++)
            ret_values[i] = from[i];
    return 0;
}

static void memory_destroy(struct train_dataset *data)
{
    struct memory *m = (struct memory *)data;
    free(m->memory.block);
    free(m);
}

static const struct train_dataset_ops memory_ops = {memory_read, memory_destroy};

int train_dataset_create(const struct train_memory *memory, const char *what,
                         struct train_dataset **ret_data, struct nn_error *err)
{
    struct memory *m = calloc(1, sizeof *m);
    if (!m) {
        free(memory->block);
        return nn_error_set(err, -ENOMEM, "no memory for '%.160s'", what);
    }
    m->memory = *memory;
    int r = train_dataset_init(&m->base, &memory_ops, &memory->shape, memory->count, what, err);
    if (r < 0) {
        train_dataset_destroy(&m->base);
        return r;
    }
    m->base.pictures = memory->type == NN_TYPE_UINT8;
    *ret_data = &m->base;
    return 0;
}
