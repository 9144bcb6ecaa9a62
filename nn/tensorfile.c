#include "nn/tensorfile.h"

#include <errno.h>
#include <stdlib.h>

#include "nn/onnx.h"

/* Elements (halves are widened), name and what the pool adds. */
#define MAX_BYTES (2 * NN_MODEL_BYTES_MAX + ((size_t)1 << 20))

struct nn_tensor_file {
    struct nn_pool pool;
    struct nn_tensor tensor;
    const char *name;
};

int nn_tensor_file_load(const void *data, size_t size, const char *what,
                        struct nn_tensor_file **ret_file, struct nn_error *err)
{
    struct nn_tensor_file *file = calloc(1, sizeof *file);
    if (!file)
        return nn_error_set(err, -ENOMEM, "no memory to read '%.80s'", what);
    nn_pool_init(&file->pool, MAX_BYTES);
    int r = nn_onnx_read_tensor(data, size, what, &file->pool, &file->name, &file->tensor, err);
    if (r < 0)
        nn_tensor_file_destroy(file);
    else
        *ret_file = file;
    return r;
}

void nn_tensor_file_destroy(struct nn_tensor_file *file)
{
    if (!file)
        return;
    nn_pool_finish(&file->pool);
    free(file);
}

const struct nn_tensor *nn_tensor_file_tensor(const struct nn_tensor_file *file)
{
    return &file->tensor;
}

const char *nn_tensor_file_name(const struct nn_tensor_file *file)
{
    return file->name;
}
