/* What was learned, as an ONNX file: the file the net was made from, with the parameters' numbers
 * of now and more metadata. Nodes, names and shapes are those of that file, so what was trained
 * is what runs.
 *
 * Thread: that of the net. */
#ifndef NN_TRAIN_EXPORT_H
#define NN_TRAIN_EXPORT_H

#include "nn/train/net.h"

struct train_metadata {
    const char *key, *value; /* value NULL: the file's own is left out */
};

/* `onnx`: the bytes that the net's model was loaded from. A key that the file has gets the new
 * value. *ret_bytes is the caller's to free. 0, -EINVAL (other bytes), -E2BIG, -ENOMEM. */
int train_export(const struct train_net *net, const void *onnx, size_t size,
                 const struct train_metadata *metadata, size_t metadata_count, void **ret_bytes,
                 size_t *ret_size, struct nn_error *err);

#endif
