/* Pieces of ONNX messages, made in a pool: the writing side of nn/onnx.h. Private to nn/.
 *
 * Messages are made of what a pool holds and of what is borrowed from a file that was read;
 * nothing of them is ever freed apart. Where memory ends, makers return NULL and take NULL for
 * a name, so that a node may be put together first and be checked once.
 *
 * Thread: that of the pool. */
#ifndef NN_ONNX_WRITE_H
#define NN_ONNX_WRITE_H

#include "nn/onnx.h"
#include "nn/op.h"

/* The text's bytes, borrowed. */
ProtobufCBinaryData nn_onnx_bytes(const char *text);

bool nn_onnx_same_bytes(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b);
bool nn_onnx_bytes_are(const ProtobufCBinaryData *bytes, const char *text);

/* Sets an optional field of text, borrowed. */
void nn_onnx_set(ProtobufCBinaryData *field, protobuf_c_boolean *has, const char *text);

/* A tensor over `tensor`'s bytes, both borrowed. */
Onnx__TensorProto *nn_onnx_make_tensor(struct nn_pool *pool, const char *name,
                                       const struct nn_tensor *tensor);

/* A node without inputs and outputs, with room for that many; `name` is borrowed. */
Onnx__NodeProto *nn_onnx_make_node(struct nn_pool *pool, const char *op, const char *name,
                                   size_t inputs, size_t outputs, size_t attributes);

Onnx__AttributeProto *nn_onnx_make_int(struct nn_pool *pool, const char *name, int64_t value);
Onnx__AttributeProto *nn_onnx_make_ints(struct nn_pool *pool, const char *name,
                                        const int64_t *values, size_t count); /* copied */
Onnx__AttributeProto *nn_onnx_make_float(struct nn_pool *pool, const char *name, float value);
Onnx__AttributeProto *nn_onnx_make_text(struct nn_pool *pool, const char *name,
                                        const char *value);
Onnx__AttributeProto *nn_onnx_make_texts(struct nn_pool *pool, const char *name,
                                         const char *const *values, size_t count);
/* Over `tensor`'s bytes, borrowed. */
Onnx__AttributeProto *nn_onnx_make_tensor_attribute(struct nn_pool *pool, const char *name,
                                                    const struct nn_tensor *tensor);

/* What stands for one value at the edge of a graph, without type or shape. */
Onnx__ValueInfoProto *nn_onnx_make_value(struct nn_pool *pool, const ProtobufCBinaryData *name);

/* Gives it both; `batch` is the name of every dimension that is NN_DIM_DYNAMIC. false: no memory,
 * or value is NULL. */
bool nn_onnx_set_type(struct nn_pool *pool, Onnx__ValueInfoProto *value, enum nn_type type,
                      const struct nn_shape *shape, const char *batch);

/* The file's bytes; the caller frees them. 0, -E2BIG (over NN_MODEL_BYTES_MAX), -ENOMEM. */
int nn_onnx_pack(const Onnx__ModelProto *proto, void **ret_bytes, size_t *ret_size,
                 struct nn_error *err);

#endif
