/* Several data sets as one. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "nn/train/dataset.h"

struct joined {
    struct train_dataset base;
    int part_count;
    struct train_dataset **parts;
};

static int joined_read(const struct train_dataset *data, int origin, float *ret_values,
                       struct nn_error *err)
{
    const struct joined *joined = (const struct joined *)data;
    int part = 0;
    for (; origin >= joined->parts[part]->count; part++)
        origin -= joined->parts[part]->count;
    return train_dataset_read(joined->parts[part], origin, ret_values, err);
}

static void joined_destroy(struct train_dataset *data)
{
    struct joined *joined = (struct joined *)data;
    for (int i = 0; i < joined->part_count; i++)
        train_dataset_destroy(joined->parts[i]);
    free(joined->parts);
    free(joined);
}

static const struct train_dataset_ops joined_ops = {joined_read, joined_destroy};

static int check(struct train_dataset *const *parts, int count, int *ret_samples,
                 struct nn_error *err)
{
    *ret_samples = 0;
    for (int i = 0; i < count; i++) {
        const struct train_dataset *a = parts[0], *b = parts[i];
        if (!nn_shape_equal(&a->shape, &b->shape) || a->pictures != b->pictures)
            return nn_error_set(err, -EINVAL,
                                "data sets 1 and %d cannot be joined: their samples "
                                "differ in shape or kind",
                                i + 1);
        if (!train_names_agree(&a->classes, &b->classes))
            return nn_error_set(err, -EINVAL,
                                "data sets 1 and %d cannot be joined: they name "
                                "their classes differently",
                                i + 1);
        if ((a->sources.count > 0) != (b->sources.count > 0))
            return nn_error_set(err, -EINVAL,
                                "data sets 1 and %d cannot be joined: only one of "
                                "them knows the sources of its samples",
                                i + 1);
        if (__builtin_add_overflow(*ret_samples, b->count, ret_samples))
            return nn_error_set(err, -E2BIG, "the data sets have more than %d samples",
                                INT_MAX);
    }
    return 0;
}

static int add_names(struct train_names *names, const struct train_names *more)
{
    for (int i = 0; i < more->count; i++) {
        int r = train_names_add(names, more->names[i], strlen(more->names[i]));
        if (r < 0)
            return r;
    }
    return 0;
}

/* The samples of `part` go to `first` and behind. */
static int append(struct train_dataset *data, const struct train_dataset *part, int first)
{
    int r = add_names(&data->classes, &part->classes);
    if (r == 0)
        r = add_names(&data->sources, &part->sources);
    if (r < 0)
        return r;
    for (int i = 0; i < part->count; i++) {
        const int group = part->groups[i];
        data->labels[first + i] = part->labels[i];
        data->parts[first + i] = part->parts[i];
        if (part->sources.count == 0)
            continue; /* a group of its own, as every sample begins */
        const char *source = part->sources.names[group];
        data->groups[first + i] = train_names_find(&data->sources, source, strlen(source));
    }
    if (data->sources.count > 0)
        data->group_count = data->sources.count;
    return 0;
}

int train_dataset_join(struct train_dataset **parts, int count, struct train_dataset **ret_data,
                       struct nn_error *err)
{
    if (count < 1)
        return nn_error_set(err, -EINVAL, "there are no data sets to join");
    struct joined *joined = calloc(1, sizeof *joined);
    struct train_dataset **kept = calloc((size_t)count, sizeof *kept);
    if (!joined || !kept) {
        for (int i = 0; i < count; i++)
            train_dataset_destroy(parts[i]);
        free(joined);
        free(kept);
        return nn_error_set(err, -ENOMEM, "no memory to join %d data sets", count);
    }
    memcpy(kept, parts, (size_t)count * sizeof *kept);
    joined->part_count = count;
    joined->parts = kept;
    joined->base.ops = &joined_ops;
    int samples = 0, r = check(kept, count, &samples, err);
    if (r == 0)
        r = train_dataset_init(&joined->base, &joined_ops, &kept[0]->shape, samples,
                               "joined data", err);
    joined->base.pictures = kept[0]->pictures;
    for (int i = 0, first = 0; r == 0 && i < count; first += kept[i++]->count) {
        r = append(&joined->base, kept[i], first);
        if (r < 0)
            nn_error_set(err, r, "no memory to join %d data sets, or too many names", count);
    }
    if (r < 0) {
        train_dataset_destroy(&joined->base);
        return r;
    }
    *ret_data = &joined->base;
    return 0;
}
