#include "nn/onnx_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

ProtobufCBinaryData nn_onnx_bytes(const char *text)
{
    return (ProtobufCBinaryData){.len = text ? strlen(text) : 0,
                                 .data = (uint8_t *)(uintptr_t)text};
}

bool nn_onnx_same_bytes(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

bool nn_onnx_bytes_are(const ProtobufCBinaryData *bytes, const char *text)
{
    ProtobufCBinaryData other = nn_onnx_bytes(text);
    return nn_onnx_same_bytes(bytes, &other);
}

void nn_onnx_set(ProtobufCBinaryData *field, protobuf_c_boolean *has, const char *text)
{
    *field = nn_onnx_bytes(text);
    *has = 1;
}

Onnx__TensorProto *nn_onnx_make_tensor(struct nn_pool *pool, const char *name,
                                       const struct nn_tensor *tensor)
{
    Onnx__TensorProto *proto = nn_pool_alloc(pool, sizeof *proto);
    int64_t *dims = nn_pool_array(pool, (size_t)tensor->shape.rank, sizeof *dims);
    if (!proto || !dims || !name || !tensor->data)
        return NULL;
    onnx__tensor_proto__init(proto);
    for (int d = 0; d < tensor->shape.rank; d++)
        dims[d] = tensor->shape.dim[d];
    proto->dims = dims;
    proto->n_dims = (size_t)tensor->shape.rank;
    proto->has_data_type = 1;
    proto->data_type = (int32_t)tensor->type;
    nn_onnx_set(&proto->name, &proto->has_name, name);
    proto->has_raw_data = 1;
    proto->raw_data.data = tensor->data;
    proto->raw_data.len = nn_tensor_bytes(tensor);
    return proto;
}

Onnx__NodeProto *nn_onnx_make_node(struct nn_pool *pool, const char *op, const char *name,
                                   size_t inputs, size_t outputs, size_t attributes)
{
    Onnx__NodeProto *node = nn_pool_alloc(pool, sizeof *node);
    ProtobufCBinaryData *edges = nn_pool_array(pool, inputs + outputs, sizeof *edges);
    Onnx__AttributeProto **list = nn_pool_array(pool, attributes, sizeof *list);
    if (!node || !edges || !list || !name)
        return NULL;
    onnx__node_proto__init(node);
    nn_onnx_set(&node->op_type, &node->has_op_type, op);
    nn_onnx_set(&node->name, &node->has_name, name);
    node->input = edges;
    node->n_input = inputs;
    node->output = edges + inputs;
    node->n_output = outputs;
    node->attribute = list;
    return node;
}

static Onnx__AttributeProto *make_attribute(struct nn_pool *pool, const char *name,
                                            enum nn_attribute_type type)
{
    Onnx__AttributeProto *attribute = nn_pool_alloc(pool, sizeof *attribute);
    if (!attribute)
        return NULL;
    onnx__attribute_proto__init(attribute);
    nn_onnx_set(&attribute->name, &attribute->has_name, name);
    attribute->has_type = 1;
    attribute->type = (int32_t)type;
    return attribute;
}

Onnx__AttributeProto *nn_onnx_make_int(struct nn_pool *pool, const char *name, int64_t value)
{
    Onnx__AttributeProto *attribute = make_attribute(pool, name, NN_ATTRIBUTE_INT);
    if (!attribute)
        return NULL;
    attribute->has_i = 1;
    attribute->i = value;
    return attribute;
}

Onnx__AttributeProto *nn_onnx_make_ints(struct nn_pool *pool, const char *name,
                                        const int64_t *values, size_t count)
{
    Onnx__AttributeProto *attribute = make_attribute(pool, name, NN_ATTRIBUTE_INTS);
    int64_t *copy = nn_pool_array(pool, count, sizeof *copy);
    if (!attribute || !copy)
        return NULL;
    if (count > 0)
        memcpy(copy, values, count * sizeof *copy);
    attribute->ints = copy;
    attribute->n_ints = count;
    return attribute;
}

Onnx__AttributeProto *nn_onnx_make_float(struct nn_pool *pool, const char *name, float value)
{
    Onnx__AttributeProto *attribute = make_attribute(pool, name, NN_ATTRIBUTE_FLOAT);
    if (!attribute)
        return NULL;
    attribute->has_f = 1;
    attribute->f = value;
    return attribute;
}

Onnx__AttributeProto *nn_onnx_make_text(struct nn_pool *pool, const char *name,
                                        const char *value)
{
    Onnx__AttributeProto *attribute = make_attribute(pool, name, NN_ATTRIBUTE_STRING);
    if (attribute)
        nn_onnx_set(&attribute->s, &attribute->has_s, value);
    return attribute;
}

Onnx__AttributeProto *nn_onnx_make_texts(struct nn_pool *pool, const char *name,
                                         const char *const *values, size_t count)
{
    Onnx__AttributeProto *attribute = make_attribute(pool, name, NN_ATTRIBUTE_STRINGS);
    ProtobufCBinaryData *texts = nn_pool_array(pool, count, sizeof *texts);
    if (!attribute || !texts)
        return NULL;
    for (size_t i = 0; i < count; i++)
        texts[i] = nn_onnx_bytes(values[i]);
    attribute->strings = texts;
    attribute->n_strings = count;
    return attribute;
}

Onnx__AttributeProto *nn_onnx_make_tensor_attribute(struct nn_pool *pool, const char *name,
                                                    const struct nn_tensor *tensor)
{
    Onnx__AttributeProto *attribute = make_attribute(pool, name, NN_ATTRIBUTE_TENSOR);
    Onnx__TensorProto *proto = nn_onnx_make_tensor(pool, "", tensor);
    if (!attribute || !proto)
        return NULL;
    attribute->t = proto;
    return attribute;
}

Onnx__ValueInfoProto *nn_onnx_make_value(struct nn_pool *pool, const ProtobufCBinaryData *name)
{
    Onnx__ValueInfoProto *value = nn_pool_alloc(pool, sizeof *value);
    if (!value)
        return NULL;
    onnx__value_info_proto__init(value);
    value->has_name = 1;
    value->name = *name;
    return value;
}

bool nn_onnx_set_type(struct nn_pool *pool, Onnx__ValueInfoProto *value, enum nn_type type,
                      const struct nn_shape *shape, const char *batch)
{
    size_t rank = (size_t)shape->rank;
    struct {
        Onnx__TypeProto type;
        Onnx__TypeProto__Tensor tensor;
        Onnx__TensorShapeProto shape;
    } *made = nn_pool_alloc(pool, sizeof *made);
    Onnx__TensorShapeProto__Dimension *dims = nn_pool_array(pool, rank, sizeof *dims);
    Onnx__TensorShapeProto__Dimension **list = nn_pool_array(pool, rank, sizeof *list);
    if (!value || !made || !dims || !list)
        return false;
    for (size_t d = 0; d < rank; d++) {
        onnx__tensor_shape_proto__dimension__init(list[d] = &dims[d]);
        if (shape->dim[d] == NN_DIM_DYNAMIC) {
            nn_onnx_set(&dims[d].dim_param, &dims[d].has_dim_param, batch);
        } else {
            dims[d].has_dim_value = 1;
            dims[d].dim_value = shape->dim[d];
        }
    }
    onnx__type_proto__init(&made->type);
    onnx__type_proto__tensor__init(&made->tensor);
    onnx__tensor_shape_proto__init(&made->shape);
    made->shape.dim = list;
    made->shape.n_dim = rank;
    made->tensor.has_elem_type = 1;
    made->tensor.elem_type = (int32_t)type;
    made->tensor.shape = &made->shape;
    made->type.tensor_type = &made->tensor;
    value->type = &made->type;
    return true;
}

int nn_onnx_pack(const Onnx__ModelProto *proto, void **ret_bytes, size_t *ret_size,
                 struct nn_error *err)
{
    size_t size = onnx__model_proto__get_packed_size(proto);
    if (size > NN_MODEL_BYTES_MAX)
        return nn_error_set(err, -E2BIG, "the model would be over %zu MiB",
                            NN_MODEL_BYTES_MAX >> 20);
    void *bytes = malloc(size + 1);
    if (!bytes)
        return nn_error_set(err, -ENOMEM, "no memory for the model's bytes");
    *ret_size = onnx__model_proto__pack(proto, bytes);
    *ret_bytes = bytes;
    return 0;
}
