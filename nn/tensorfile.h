/* A tensor in a file of its own: the serialized TensorProto that ONNX keeps the inputs and
 * outputs of a model's tests in (test_data_set_0/input_0.pb).
 *
 * Source: ONNX IR (TensorProto), ONNX backend tests.
 *
 * The bytes are hostile input, checked as a model's are (nn/model.h), under the same limit, and
 * float16 and float64 become float32 as they do there.
 *
 * Thread: immutable once loaded. */
#ifndef NN_TENSORFILE_H
#define NN_TENSORFILE_H

#include "nn/tensor.h"

struct nn_tensor_file;

/* Borrows `data` for the call only. `what` names it in messages. *ret_file is written only on
 * success. Returns 0, -EINVAL (not a valid tensor), -ENOTSUP (a type we lack, data in another
 * file), -E2BIG (over NN_MODEL_BYTES_MAX), -ENOMEM; err (may be NULL) then holds one line. */
int nn_tensor_file_load(const void *data, size_t size, const char *what,
                        struct nn_tensor_file **ret_file, struct nn_error *err);
void nn_tensor_file_destroy(struct nn_tensor_file *file); /* NULL is fine */

/* As long as the file. The name is "" where the file has none. */
const struct nn_tensor *nn_tensor_file_tensor(const struct nn_tensor_file *file);
const char *nn_tensor_file_name(const struct nn_tensor_file *file);

#endif
