/* ONNX bytes to checked pieces: the only part of nn that touches protobuf. Private to nn/.
 *
 * The bytes are hostile. The schema (nn/onnx.proto) bounds the depth of parsing; an allocator
 * that counts bounds what parsing may cost, to a small multiple of the file. */
#ifndef NN_ONNX_H
#define NN_ONNX_H

#include "nn/model.h"
#include "nn/pool.h"
#include "onnx.pb-c.h"

enum { NN_ONNX_MAX_NAME = 1024 };

struct nn_onnx_budget {
    size_t left_bytes;
    bool over;            /* an allocation was refused by the budget */
    bool short_of_memory; /* ... by the system */
};

struct nn_onnx {
    struct nn_onnx_budget budget;
    ProtobufCAllocator allocator; /* points at budget: do not move */
    Onnx__ModelProto *proto;
};

/* 0, -EINVAL (not protobuf, or no graph), -E2BIG, -ENOMEM. Close what was opened. */
int nn_onnx_open(struct nn_onnx *onnx, const void *data, size_t size, struct nn_error *err);
void nn_onnx_close(struct nn_onnx *onnx);

/* A graph that is an attribute, which the schema leaves as bytes; out of the same budget. Free
 * it with onnx->allocator. */
int nn_onnx_graph(struct nn_onnx *onnx, const ProtobufCBinaryData *bytes,
                  Onnx__GraphProto **ret_graph, struct nn_error *err);

/* A NUL-terminated copy of a name. NULL with *ret_error -EINVAL when it is over
 * NN_ONNX_MAX_NAME bytes, not UTF-8, or holds control characters; -ENOMEM or -E2BIG else. */
const char *nn_onnx_name(const ProtobufCBinaryData *bytes, struct nn_pool *pool,
                         int *ret_error);

/* The same for free text, of any length and with line breaks. */
const char *nn_onnx_text(const ProtobufCBinaryData *bytes, struct nn_pool *pool,
                         int *ret_error);

/* A tensor's type, shape and elements, copied into the pool. `what` names it in messages.
 * Bool elements come out as 0 or 1, float16 and float64 as float32. */
int nn_onnx_tensor(const Onnx__TensorProto *proto, const char *what, struct nn_pool *pool,
                   struct nn_tensor *ret_tensor, struct nn_error *err);

/* A TensorProto that is a file of its own: its name ("" without one) and the tensor, in the
 * pool. -EINVAL, -ENOTSUP, -E2BIG, -ENOMEM. */
int nn_onnx_read_tensor(const void *data, size_t size, const char *what, struct nn_pool *pool,
                        const char **ret_name, struct nn_tensor *ret_tensor,
                        struct nn_error *err);

#endif
