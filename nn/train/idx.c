/* MNIST's format. A header of big-endian numbers: two zero bytes, the type of the elements, how many
 * dimensions there are, each dimension; then the elements. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "nn/train/file.h"
#include "nn/train/formats.h"

enum { UNSIGNED_BYTE = 8, RANK_MAX = 3 };

struct idx {
    uint8_t *data;
    size_t header;
    uint32_t dim[RANK_MAX];
};

static uint32_t big_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
           bytes[3];
}

static int check_header(const char *path, const uint8_t *data, size_t size, int rank,
                        struct nn_error *err)
{
    if (size < 4 || data[0] != 0 || data[1] != 0)
        return nn_error_set(err, -EINVAL,
                            "'%.160s' is no idx file: it does not begin with two "
                            "bytes of 0, a type and a number of dimensions",
                            path);
    if (data[2] != UNSIGNED_BYTE)
        return nn_error_set(err, -EINVAL,
                            "'%.160s' has elements of type 0x%02x; only unsigned "
                            "bytes, 0x%02x, are read",
                            path, data[2], UNSIGNED_BYTE);
    if (data[3] != rank)
        return nn_error_set(err, -EINVAL, "'%.160s' has %d dimensions; %s", path, data[3],
                            rank == 1 ? "labels have 1"
                                      : "pictures have 3 (number, rows, columns)");
    if (size < 4 + 4 * (size_t)rank)
        return nn_error_set(err, -EINVAL,
                            "'%.160s' ends within its header, after %zu bytes of %d", path,
                            size, 4 + 4 * rank);
    return 0;
}

/* Gives idx->data only on success. */
static int read_idx(const char *path, int rank, struct idx *idx, struct nn_error *err)
{
    uint8_t *data = NULL;
    size_t size = 0;
    int r = train_file_read(path, &data, &size, err);
    if (r < 0)
        return r;
    r = check_header(path, data, size, rank, err);
    uint64_t each = 1, all = 0;
    idx->header = 4 + 4 * (size_t)rank;
    for (int i = 0; r == 0 && i < rank; i++) {
        idx->dim[i] = big_endian(data + 4 + 4 * i);
        each *= i > 0 ? idx->dim[i] : 1;
    }
    if (r == 0 &&
        (__builtin_mul_overflow(each, idx->dim[0], &all) || all != size - idx->header))
        r = nn_error_set(err, -EINVAL,
                         "'%.160s' promises %u %s of %" PRIu64 " bytes; %zu bytes "
                         "follow its header",
                         path, idx->dim[0], rank == 1 ? "labels" : "pictures", each,
                         size - idx->header);
    if (r < 0)
        free(data);
    else
        idx->data = data;
    return r;
}

int train_idx_open(const struct train_files *files, struct train_dataset **ret_data,
                   struct nn_error *err)
{
    struct idx pictures = {0}, labels = {0};
    struct train_dataset *data = NULL;
    if (!files->labels)
        return nn_error_set(err, -EINVAL, "'%.160s' needs a file of labels beside it",
                            files->samples);
    int r = read_idx(files->labels, 1, &labels, err);
    if (r == 0)
        r = read_idx(files->samples, 3, &pictures, err);
    if (r < 0)
        goto out;
    const struct train_memory memory = {
        .shape = {3, {1, pictures.dim[1], pictures.dim[2]}},
        .count = (int)pictures.dim[0],
        .type = NN_TYPE_UINT8,
        .block = pictures.data,
        .first = pictures.header,
        .stride = (size_t)pictures.dim[1] * pictures.dim[2],
    };
    r = train_dataset_create(&memory, files->samples, &data, err);
    if (r == 0 && labels.dim[0] != pictures.dim[0])
        r = nn_error_set(err, -EINVAL, "'%.120s' has %u labels, '%.120s' %u pictures",
                         files->labels, labels.dim[0], files->samples, pictures.dim[0]);
    if (r == 0)
        r = train_format_label(
            data, files,
            &(struct train_label_bytes){files->labels, labels.data, labels.header, 1}, err);
    if (r < 0)
        train_dataset_destroy(data);
    else
        *ret_data = data;
out:
    free(labels.data);
    return r;
}
