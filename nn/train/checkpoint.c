#include "nn/train/checkpoint.h"

#include <errno.h>
#include <string.h>

#include "nn/onnx_write.h"

#define LIMIT_BYTES ((size_t)4 << 30)
#define IDENTITY    "vigil.training"

int train_checkpoint_pack(const char *identity, const struct train_checkpoint_item *items,
                          size_t count, void **ret_bytes, size_t *ret_size,
                          struct nn_error *err)
{
    struct nn_pool pool;
    Onnx__ModelProto proto = ONNX__MODEL_PROTO__INIT;
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    Onnx__StringStringEntryProto entry = ONNX__STRING_STRING_ENTRY_PROTO__INIT;
    Onnx__StringStringEntryProto *entries[] = {&entry};
    nn_pool_init(&pool, LIMIT_BYTES);
    proto.has_ir_version = 1;
    proto.ir_version = 8;
    proto.graph = &graph;
    proto.n_metadata_props = 1;
    proto.metadata_props = entries;
    nn_onnx_set(&entry.key, &entry.has_key, IDENTITY);
    nn_onnx_set(&entry.value, &entry.has_value, identity);
    graph.n_initializer = count;
    graph.initializer = nn_pool_array(&pool, count, sizeof *graph.initializer);
    bool whole = graph.initializer != NULL;
    for (size_t i = 0; i < count && whole; i++) {
        struct nn_tensor tensor = {.type = items[i].type,
                                   .shape = {.rank = 1, .dim = {(int64_t)items[i].count}},
                                   .data = items[i].numbers};
        graph.initializer[i] = nn_onnx_make_tensor(&pool, items[i].name, &tensor);
        whole = graph.initializer[i] != NULL;
    }
    int r = whole ? nn_onnx_pack(&proto, ret_bytes, ret_size, err)
                  : nn_error_set(err, -ENOMEM, "no memory for a checkpoint");
    nn_pool_finish(&pool);
    return r;
}

static int check_identity(const Onnx__ModelProto *proto, const char *identity,
                          struct nn_error *err)
{
    for (size_t i = 0; i < proto->n_metadata_props; i++)
        if (nn_onnx_bytes_are(&proto->metadata_props[i]->key, IDENTITY))
            return nn_onnx_bytes_are(&proto->metadata_props[i]->value, identity)
                       ? 0
                       : nn_error_set(err, -EINVAL,
                                      "the checkpoint is of another recipe or other data");
    return nn_error_set(err, -EINVAL, "this is no checkpoint of a training");
}

/* The tensor of an item, in the pool. */
static int find_item(const Onnx__GraphProto *graph, const struct train_checkpoint_item *item,
                     struct nn_pool *pool, struct nn_tensor *ret_tensor, struct nn_error *err)
{
    for (size_t i = 0; i < graph->n_initializer; i++) {
        if (!nn_onnx_bytes_are(&graph->initializer[i]->name, item->name))
            continue;
        int r = nn_onnx_tensor(graph->initializer[i], item->name, pool, ret_tensor, err);
        if (r < 0)
            return r;
        if (ret_tensor->type != item->type ||
            nn_shape_count(&ret_tensor->shape) != (int64_t)item->count)
            return nn_error_set(err, -EINVAL, "the checkpoint has another '%.80s'", item->name);
        return 0;
    }
    return nn_error_set(err, -EINVAL, "the checkpoint has no '%.80s'", item->name);
}

/* All are found before the first is changed. */
static int read_items(const Onnx__GraphProto *graph, const struct train_checkpoint_item *items,
                      size_t count, struct nn_pool *pool, struct nn_error *err)
{
    struct nn_tensor *tensors = nn_pool_array(pool, count, sizeof *tensors);
    if (!tensors)
        return nn_error_set(err, -ENOMEM, "no memory to read a checkpoint");
    for (size_t i = 0; i < count; i++) {
        int r = find_item(graph, &items[i], pool, &tensors[i], err);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < count; i++)
        if (items[i].count > 0)
            memcpy(items[i].numbers, tensors[i].data, nn_tensor_bytes(&tensors[i]));
    return 0;
}

int train_checkpoint_read(const void *bytes, size_t size, const char *identity,
                          const struct train_checkpoint_item *items, size_t count,
                          struct nn_error *err)
{
    struct nn_onnx file;
    int r = nn_onnx_open(&file, bytes, size, err);
    if (r < 0)
        return r;
    struct nn_pool pool;
    nn_pool_init(&pool, LIMIT_BYTES);
    r = check_identity(file.proto, identity, err);
    if (r == 0)
        r = read_items(file.proto->graph, items, count, &pool, err);
    nn_pool_finish(&pool);
    nn_onnx_close(&file);
    return r;
}
