/* CIFAR-10's binary version: records of a label and the red, green and blue planes of a picture. */
#include <errno.h>
#include <stdlib.h>

#include "nn/train/file.h"
#include "nn/train/formats.h"

enum { CHANNELS = 3, SIDE = 32, RECORD = 1 + CHANNELS * SIDE * SIDE };

int train_cifar_open(const struct train_files *files, struct train_dataset **ret_data,
                     struct nn_error *err)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    int r = train_file_read(files->samples, &bytes, &size, err);
    if (r < 0)
        return r;
    if (size % RECORD != 0) {
        free(bytes);
        return nn_error_set(err, -EINVAL,
                            "'%.160s' has %zu bytes, which are %zu records of %d and "
                            "%zu more: it is cut, or not CIFAR-10's binary version",
                            files->samples, size, size / RECORD, RECORD, size % RECORD);
    }
    const struct train_memory memory = {
        .shape = {3, {CHANNELS, SIDE, SIDE}},
        .count = (int)(size / RECORD),
        .type = NN_TYPE_UINT8,
        .block = bytes,
        .first = 1,
        .stride = RECORD,
    };
    struct train_dataset *data = NULL;
    r = train_dataset_create(&memory, files->samples, &data, err);
    if (r == 0)
        r = train_format_label(
            data, files, &(struct train_label_bytes){files->samples, bytes, 0, RECORD}, err);
    if (r < 0)
        train_dataset_destroy(data);
    else
        *ret_data = data;
    return r;
}
