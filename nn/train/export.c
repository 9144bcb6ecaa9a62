#include "nn/train/export.h"

#include <errno.h>
#include <string.h>

#include "nn/onnx_write.h"

#define LIMIT_BYTES ((size_t)1 << 30)

/* The file's message, some pieces of which are exchanged while it is packed: the parser must find
 * its own when it frees them. */
struct exchange {
    struct nn_pool pool;
    Onnx__ModelProto *proto;
    Onnx__TensorProto **tensors; /* the file's own */
    Onnx__StringStringEntryProto **metadata;
    size_t metadata_count;
};

static int find_parameter(const struct train_net *net, const ProtobufCBinaryData *name,
                          struct nn_tensor *ret_tensor)
{
    for (size_t i = 0; i < train_net_parameter_count(net); i++) {
        const struct train_net_parameter *p = train_net_parameter(net, i);
        if (!nn_onnx_bytes_are(name, p->name))
            continue;
        *ret_tensor =
            (struct nn_tensor){.type = NN_TYPE_FLOAT, .shape = p->shape, .data = p->value};
        return (int)i;
    }
    return -1;
}

/* Initializers whose numbers were learned. Each parameter must be among them. */
static int exchange_tensors(struct exchange *x, const struct train_net *net,
                            struct nn_error *err)
{
    Onnx__GraphProto *graph = x->proto->graph;
    size_t bytes = graph->n_initializer * sizeof *x->tensors, found = 0;
    x->tensors = nn_pool_alloc(&x->pool, bytes);
    if (!x->tensors)
        return -ENOMEM;
    for (size_t i = 0; i < graph->n_initializer; i++) {
        struct nn_tensor tensor;
        x->tensors[i] = graph->initializer[i];
        int p = find_parameter(net, &graph->initializer[i]->name, &tensor);
        if (p < 0)
            continue;
        graph->initializer[i] =
            nn_onnx_make_tensor(&x->pool, train_net_parameter(net, (size_t)p)->name, &tensor);
        if (!graph->initializer[i])
            return -ENOMEM;
        found++;
    }
    return found == train_net_parameter_count(net)
               ? 0
               : nn_error_set(err, -EINVAL,
                              "this is not the file that the network was made from");
}

static Onnx__StringStringEntryProto *make_entry(struct exchange *x,
                                                const struct train_metadata *m)
{
    Onnx__StringStringEntryProto *entry = nn_pool_alloc(&x->pool, sizeof *entry);
    if (!entry)
        return NULL;
    onnx__string_string_entry_proto__init(entry);
    nn_onnx_set(&entry->key, &entry->has_key, m->key);
    nn_onnx_set(&entry->value, &entry->has_value, m->value);
    return entry;
}

static int exchange_metadata(struct exchange *x, const struct train_metadata *metadata,
                             size_t count)
{
    Onnx__ModelProto *proto = x->proto;
    Onnx__StringStringEntryProto **list =
        nn_pool_array(&x->pool, proto->n_metadata_props + count, sizeof *list);
    if (!list)
        return -ENOMEM;
    if (x->metadata_count > 0)
        memcpy(list, x->metadata, x->metadata_count * sizeof *list);
    proto->metadata_props = list;
    for (size_t i = 0; i < count; i++) {
        size_t at = 0;
        while (at < proto->n_metadata_props &&
               !nn_onnx_bytes_are(&list[at]->key, metadata[i].key))
            at++;
        bool there = at < proto->n_metadata_props;
        if (!metadata[i].value) {
            for (; there && at + 1 < proto->n_metadata_props; at++)
                list[at] = list[at + 1];
            proto->n_metadata_props -= there;
            continue;
        }
        list[at] = make_entry(x, &metadata[i]);
        if (!list[at])
            return -ENOMEM;
        proto->n_metadata_props += !there;
    }
    return 0;
}

int train_export(const struct train_net *net, const void *onnx, size_t size,
                 const struct train_metadata *metadata, size_t metadata_count, void **ret_bytes,
                 size_t *ret_size, struct nn_error *err)
{
    struct nn_onnx file;
    int r = nn_onnx_open(&file, onnx, size, err);
    if (r < 0)
        return r;
    struct exchange x = {.proto = file.proto,
                         .metadata = file.proto->metadata_props,
                         .metadata_count = file.proto->n_metadata_props};
    nn_pool_init(&x.pool, LIMIT_BYTES);
    r = exchange_tensors(&x, net, err);
    if (r == 0)
        r = exchange_metadata(&x, metadata, metadata_count);
    if (r == -ENOMEM)
        nn_error_set(err, r, "no memory to write the model");
    if (r == 0)
        r = nn_onnx_pack(file.proto, ret_bytes, ret_size, err);
    for (size_t i = 0; x.tensors && i < file.proto->graph->n_initializer; i++)
        file.proto->graph->initializer[i] = x.tensors[i];
    file.proto->metadata_props = x.metadata;
    file.proto->n_metadata_props = x.metadata_count;
    nn_pool_finish(&x.pool);
    nn_onnx_close(&file);
    return r;
}
