/* A training that can be continued: named numbers in one file, which is an ONNX message without
 * nodes, so that any ONNX tool can look into it. Floats are kept to the bit.
 *
 * Bytes are hostile, as those of any file: what does not fit is refused, and nothing is changed
 * then.
 *
 * Thread: any. */
#ifndef NN_TRAIN_CHECKPOINT_H
#define NN_TRAIN_CHECKPOINT_H

#include "nn/tensor.h"

/* Numbers of the caller, read when a checkpoint is packed and written when it is read. */
struct train_checkpoint_item {
    const char *name;
    enum nn_type type; /* NN_TYPE_FLOAT or NN_TYPE_INT64 */
    void *numbers;
    size_t count;
};

/* `identity`: what the training is of (its recipe and data, as a digest); another one's
 * checkpoint is refused. *ret_bytes is the caller's to free. 0, -E2BIG, -ENOMEM. */
int train_checkpoint_pack(const char *identity, const struct train_checkpoint_item *items,
                          size_t count, void **ret_bytes, size_t *ret_size,
                          struct nn_error *err);

/* 0, -EINVAL (no checkpoint, of another training, or items missing or of another size), -E2BIG,
 * -ENOMEM. */
int train_checkpoint_read(const void *bytes, size_t size, const char *identity,
                          const struct train_checkpoint_item *items, size_t count,
                          struct nn_error *err);

#endif
