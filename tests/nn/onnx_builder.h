/* Writes small ONNX models byte by byte, so that tests do not depend on the reader under test.
 *
 *     struct onnx b = onnx_start(13);
 *     onnx_input(&b, "x", 1, DIMS(1, 3, 8, 8));
 *     onnx_floats(&b, "w", DIMS(4, 3, 3, 3), weights);
 *     onnx_node(&b, "Conv", "x w", "y");
 *     onnx_attribute_ints(&b, "pads", 4, (int64_t[]){1, 1, 1, 1});
 *     onnx_output(&b, "y", 1, DIMS(1, 4, 8, 8));
 *     struct onnx_bytes model = onnx_finish(&b);      // free(model.data)
 *
 * Names of a node are separated by spaces; "-" is an input or output left out. Out of memory
 * aborts: these are tests. */
#ifndef TESTS_NN_ONNX_BUILDER_H
#define TESTS_NN_ONNX_BUILDER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct onnx_bytes {
    uint8_t *data;
    size_t size, capacity;
};

struct onnx {
    int64_t ir_version, opset; /* opset 0: none is written */
    struct onnx_bytes graph, node, metadata;
    bool in_node;
};

struct onnx_dims {
    int rank;
    int64_t dim[16];
};

/* A negative dimension is written as a name; SCALAR has none. */
#define DIMS(...)                                                                              \
    ((struct onnx_dims){(int)(sizeof(int64_t[]){__VA_ARGS__} / sizeof(int64_t)), {__VA_ARGS__}})
#define SCALAR ((struct onnx_dims){0})

static inline void onnx_put(struct onnx_bytes *b, const void *data, size_t size)
{
    if (b->size + size > b->capacity) {
        b->capacity = 2 * (b->size + size) + 64;
        b->data = realloc(b->data, b->capacity);
        if (!b->data)
            abort();
    }
    if (size > 0)
        memcpy(b->data + b->size, data, size);
    b->size += size;
}

static inline void onnx_varint(struct onnx_bytes *b, uint64_t value)
{
    do {
        uint8_t byte = (uint8_t)(value & 127) | (value > 127 ? 128 : 0);
        onnx_put(b, &byte, 1);
        value >>= 7;
    } while (value);
}

static inline void onnx_put_int(struct onnx_bytes *b, int field, int64_t value)
{
    onnx_varint(b, (uint64_t)field << 3);
    onnx_varint(b, (uint64_t)value);
}

static inline void onnx_put_bytes(struct onnx_bytes *b, int field, const void *data,
                                  size_t size)
{
    onnx_varint(b, (uint64_t)field << 3 | 2);
    onnx_varint(b, size);
    onnx_put(b, data, size);
}

static inline void onnx_put_text(struct onnx_bytes *b, int field, const char *text)
{
    onnx_put_bytes(b, field, text, strlen(text));
}

static inline void onnx_put_float(struct onnx_bytes *b, int field, float value)
{
    onnx_varint(b, (uint64_t)field << 3 | 5);
    onnx_put(b, &value, sizeof value);
}

/* Appends `part` as a submessage and empties it. */
static inline void onnx_put_message(struct onnx_bytes *b, int field, struct onnx_bytes *part)
{
    onnx_put_bytes(b, field, part->data, part->size);
    free(part->data);
    *part = (struct onnx_bytes){0};
}

static inline struct onnx onnx_start(int64_t opset)
{
    return (struct onnx){.ir_version = 8, .opset = opset};
}

static inline void onnx_end_node(struct onnx *o)
{
    if (o->in_node)
        onnx_put_message(&o->graph, 1, &o->node);
    o->in_node = false;
}

static inline void onnx_value(struct onnx *o, int field, const char *name, int type,
                              struct onnx_dims dims)
{
    struct onnx_bytes shape = {0}, tensor = {0}, kind = {0}, info = {0};
    onnx_end_node(o);
    for (int i = 0; i < dims.rank; i++) {
        struct onnx_bytes dim = {0};
        if (dims.dim[i] < 0)
            onnx_put_text(&dim, 2, "n");
        else
            onnx_put_int(&dim, 1, dims.dim[i]);
        onnx_put_message(&shape, 1, &dim);
    }
    onnx_put_int(&tensor, 1, type);
    onnx_put_message(&tensor, 2, &shape);
    onnx_put_message(&kind, 1, &tensor);
    onnx_put_text(&info, 1, name);
    onnx_put_message(&info, 2, &kind);
    onnx_put_message(&o->graph, field, &info);
}

static inline void onnx_input(struct onnx *o, const char *name, int type, struct onnx_dims dims)
{
    onnx_value(o, 11, name, type, dims);
}

static inline void onnx_output(struct onnx *o, const char *name, int type,
                               struct onnx_dims dims)
{
    onnx_value(o, 12, name, type, dims);
}

static inline struct onnx_bytes onnx_tensor(const char *name, int type, struct onnx_dims dims,
                                            const void *data, size_t size)
{
    struct onnx_bytes t = {0};
    for (int i = 0; i < dims.rank; i++)
        onnx_put_int(&t, 1, dims.dim[i]);
    onnx_put_int(&t, 2, type);
    onnx_put_text(&t, 8, name);
    onnx_put_bytes(&t, 9, data, size);
    return t;
}

static inline size_t onnx_dims_count(struct onnx_dims dims)
{
    size_t count = 1;
    for (int i = 0; i < dims.rank; i++)
        count *= (size_t)dims.dim[i];
    return count;
}

static inline void onnx_initializer(struct onnx *o, struct onnx_bytes tensor)
{
    onnx_end_node(o);
    onnx_put_message(&o->graph, 5, &tensor);
}

static inline void onnx_floats(struct onnx *o, const char *name, struct onnx_dims dims,
                               const float *values)
{
    onnx_initializer(
        o, onnx_tensor(name, 1, dims, values, onnx_dims_count(dims) * sizeof *values));
}

static inline void onnx_ints(struct onnx *o, const char *name, struct onnx_dims dims,
                             const int64_t *values)
{
    onnx_initializer(
        o, onnx_tensor(name, 7, dims, values, onnx_dims_count(dims) * sizeof *values));
}

static inline void onnx_names(struct onnx_bytes *b, int field, const char *names)
{
    while (*names) {
        size_t length = strcspn(names, " ");
        bool none = length == 1 && names[0] == '-';
        onnx_put_bytes(b, field, names, none ? 0 : length);
        names += length;
        names += *names == ' ';
    }
}

/* Attributes that follow belong to this node. It is named after its first output. */
static inline void onnx_node(struct onnx *o, const char *type, const char *inputs,
                             const char *outputs)
{
    onnx_end_node(o);
    o->in_node = true;
    onnx_names(&o->node, 1, inputs);
    onnx_names(&o->node, 2, outputs);
    onnx_put_bytes(&o->node, 3, outputs, strcspn(outputs, " "));
    onnx_put_text(&o->node, 4, type);
}

static inline void onnx_attribute(struct onnx *o, const char *name, int type,
                                  struct onnx_bytes value)
{
    struct onnx_bytes a = {0};
    onnx_put_text(&a, 1, name);
    onnx_put(&a, value.data, value.size);
    onnx_put_int(&a, 20, type);
    onnx_put_message(&o->node, 5, &a);
    free(value.data);
}

static inline void onnx_attribute_int(struct onnx *o, const char *name, int64_t value)
{
    struct onnx_bytes v = {0};
    onnx_put_int(&v, 3, value);
    onnx_attribute(o, name, 2, v);
}

static inline void onnx_attribute_float(struct onnx *o, const char *name, float value)
{
    struct onnx_bytes v = {0};
    onnx_put_float(&v, 2, value);
    onnx_attribute(o, name, 1, v);
}

static inline void onnx_attribute_text(struct onnx *o, const char *name, const char *value)
{
    struct onnx_bytes v = {0};
    onnx_put_text(&v, 4, value);
    onnx_attribute(o, name, 3, v);
}

static inline void onnx_attribute_ints(struct onnx *o, const char *name, int count,
                                       const int64_t *values)
{
    struct onnx_bytes v = {0};
    for (int i = 0; i < count; i++)
        onnx_put_int(&v, 8, values[i]);
    onnx_attribute(o, name, 7, v);
}

static inline void onnx_attribute_floats(struct onnx *o, const char *name, int count,
                                         const float *values)
{
    struct onnx_bytes v = {0};
    for (int i = 0; i < count; i++)
        onnx_put_float(&v, 7, values[i]);
    onnx_attribute(o, name, 6, v);
}

/* As many as there are before a NULL. */
static inline void onnx_attribute_texts(struct onnx *o, const char *name,
                                        const char *const *values)
{
    struct onnx_bytes v = {0};
    for (; *values; values++)
        onnx_put_text(&v, 9, *values);
    onnx_attribute(o, name, 8, v);
}

static inline void onnx_attribute_tensor(struct onnx *o, const char *name,
                                         struct onnx_bytes tensor)
{
    struct onnx_bytes v = {0};
    onnx_put_message(&v, 5, &tensor);
    onnx_attribute(o, name, 4, v);
}

/* A graph built like a model, without its opset and metadata. Takes it. */
static inline void onnx_attribute_graph(struct onnx *o, const char *name, struct onnx *graph)
{
    struct onnx_bytes v = {0};
    onnx_end_node(graph);
    onnx_put_message(&v, 6, &graph->graph);
    *graph = (struct onnx){0};
    onnx_attribute(o, name, 5, v);
}

static inline void onnx_metadata(struct onnx *o, const char *key, const char *value)
{
    struct onnx_bytes entry = {0};
    onnx_put_text(&entry, 1, key);
    onnx_put_text(&entry, 2, value);
    onnx_put_message(&o->metadata, 14, &entry);
}

/* The graph comes last: a file cut short anywhere is then cut short in its graph. */
static inline struct onnx_bytes onnx_finish(struct onnx *o)
{
    struct onnx_bytes model = {0};
    onnx_end_node(o);
    onnx_put_int(&model, 1, o->ir_version);
    if (o->opset) {
        struct onnx_bytes import = {0};
        onnx_put_text(&import, 1, "");
        onnx_put_int(&import, 2, o->opset);
        onnx_put_message(&model, 8, &import);
    }
    onnx_put(&model, o->metadata.data, o->metadata.size);
    free(o->metadata.data);
    onnx_put_message(&model, 7, &o->graph);
    *o = (struct onnx){0};
    return model;
}

#endif
