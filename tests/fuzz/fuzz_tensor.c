/* Any bytes as a tensor file: read, and every element looked at. Nothing is checked but that
 * nothing breaks. */
#include <stdint.h>

#include "nn/tensorfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nn_tensor_file *file = NULL;
    struct nn_error err;
    if (nn_tensor_file_load(data, size, "fuzz", &file, &err) < 0)
        return 0;
    const struct nn_tensor *t = nn_tensor_file_tensor(file);
    size_t bytes = (size_t)nn_shape_count(&t->shape) * nn_type_size(t->type);
    unsigned sum = (unsigned char)nn_tensor_file_name(file)[0];
    for (size_t i = 0; i < bytes; i++)
        sum += ((const uint8_t *)t->data)[i];
    volatile unsigned keep = sum;
    (void)keep;
    nn_tensor_file_destroy(file);
    return 0;
}
