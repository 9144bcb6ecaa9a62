#include "nn/train/formats.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*open)(const struct train_files *files, struct train_dataset **ret_data,
                struct nn_error *err);
} formats[] = {
    {"idx", train_idx_open},
    {"cifar", train_cifar_open},
    {"table", train_table_open},
};
enum { FORMATS = sizeof formats / sizeof formats[0] };

int train_dataset_open(const char *format, const struct train_files *files,
                       struct train_dataset **ret_data, struct nn_error *err)
{
    for (int i = 0; i < FORMATS; i++)
        if (strcmp(formats[i].name, format) == 0)
            return formats[i].open(files, ret_data, err);
    char names[128] = "";
    for (int i = 0, length = 0; i < FORMATS; i++)
        length += snprintf(names + length, sizeof names - (size_t)length, "%s%s", i ? ", " : "",
                           formats[i].name);
    return nn_error_set(err, -EINVAL, "there is no format '%.80s' of data; there are %s",
                        format, names);
}

int train_format_name_classes(struct train_dataset *data, const struct train_files *files,
                              int highest, struct nn_error *err)
{
    if (!files->classes) {
        int r = train_names_number(&data->classes, highest + 1);
        return r < 0 ? nn_error_set(err, r, "no memory for the classes of '%.160s'",
                                    files->samples)
                     : 0;
    }
    int r = train_names_read(files->classes, &data->classes, err);
    if (r == 0 && data->classes.count > TRAIN_CLASSES_MAX)
        r = nn_error_set(err, -E2BIG, "'%.160s' names %d classes; the most are %d",
                         files->classes, data->classes.count, TRAIN_CLASSES_MAX);
    return r;
}

int train_format_label(struct train_dataset *data, const struct train_files *files,
                       const struct train_label_bytes *labels, struct nn_error *err)
{
    int highest = 0;
    for (int i = 0; i < data->count; i++) {
        data->labels[i] = labels->bytes[labels->first + (size_t)i * labels->stride];
        data->parts[i] = files->part;
        highest = data->labels[i] > highest ? data->labels[i] : highest;
    }
    int r = train_format_name_classes(data, files, highest, err);
    for (int i = 0; r == 0 && i < data->count; i++)
        if (data->labels[i] >= data->classes.count)
            r = nn_error_set(err, -EINVAL,
                             "'%.120s': sample %d has label %d (byte %zu); "
                             "'%.60s' names classes 0 to %d",
                             labels->path, i + 1, data->labels[i],
                             labels->first + (size_t)i * labels->stride, files->classes,
                             data->classes.count - 1);
    return r;
}
