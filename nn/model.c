/* ONNX messages to a validated model: what belongs to the file, and around its graph
 * (load_graph.c). */
#include "nn/loader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nn/packed_file.h"

enum { MAX_OPSET = 25, MAX_METADATA = 4096 };
#define MAX_MODEL_BYTES ((size_t)1200 << 20) /* 1 GiB of weights and the graph around them */

int nn_loader_no_memory(struct nn_loader *l)
{
    return nn_error_set(l->err, nn_pool_errno(&l->model->pool),
                        "no memory for the model's graph");
}

const char *nn_loader_name(struct nn_loader *l, const ProtobufCBinaryData *bytes,
                           int *ret_error)
{
    const char *name = nn_onnx_name(bytes, &l->model->pool, ret_error);
    if (name)
        return name;
    if (*ret_error == -EINVAL)
        nn_error_set(l->err, -EINVAL, "a name is not UTF-8 text of at most %d bytes",
                     NN_ONNX_MAX_NAME);
    else
        nn_loader_no_memory(l);
    return NULL;
}

int nn_loader_tensor(struct nn_loader *l, const Onnx__TensorProto *proto, const char *what,
                     struct nn_tensor *ret_tensor)
{
    if (l->model->packed && proto->data_location != 0)
        return nn_packed_tensor(l->model->packed, proto, what, ret_tensor, l->err);
    return nn_onnx_tensor(proto, what, &l->model->pool, ret_tensor, l->err);
}

static int read_opset(struct nn_loader *l, const Onnx__ModelProto *proto)
{
    int64_t opset = 0;
    for (size_t i = 0; i < proto->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *id = proto->opset_import[i];
        bool standard = id->domain.len == 0 ||
                        (id->domain.len == 7 && memcmp(id->domain.data, "ai.onnx", 7) == 0);
        if (standard && opset != 0)
            return nn_error_set(l->err, -EINVAL, "the model imports two standard opsets");
        if (standard)
            opset = id->version;
        if (standard && opset < 1)
            return nn_error_set(l->err, -EINVAL, "opset %lld is not a version",
                                (long long)opset);
    }
    /* Files older than IR version 3 had no opset imports and meant version 1. */
    if (opset == 0 && proto->ir_version >= 3)
        return nn_error_set(l->err, -EINVAL, "the model does not say which opset it uses");
    if (opset > MAX_OPSET)
        return nn_error_set(l->err, -ENOTSUP,
                            "the model uses opset %lld; up to %d are supported: export it for "
                            "an older one",
                            (long long)opset, MAX_OPSET);
    l->model->opset = opset == 0 ? 1 : (int)opset;
    return 0;
}

static int read_metadata(struct nn_loader *l, const Onnx__ModelProto *proto)
{
    struct nn_model *m = l->model;
    if (proto->n_metadata_props > MAX_METADATA)
        return nn_error_set(l->err, -E2BIG, "over %d metadata entries", MAX_METADATA);
    m->metadata = nn_pool_array(&m->pool, proto->n_metadata_props, sizeof *m->metadata);
    if (!m->metadata)
        return nn_loader_no_memory(l);
    for (size_t i = 0; i < proto->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *entry = proto->metadata_props[i];
        int r = 0;
        const char *key = nn_loader_name(l, &entry->key, &r);
        if (!key)
            return r;
        if (nn_model_metadata(m, key))
            return nn_error_set(l->err, -EINVAL, "metadata '%.80s' is given twice", key);
        const char *value = nn_onnx_text(&entry->value, &m->pool, &r);
        if (!value && r == -EINVAL)
            return nn_error_set(l->err, r, "metadata '%.80s' is not UTF-8 text", key);
        if (!value)
            return nn_loader_no_memory(l);
        m->metadata[m->metadata_count++] = (struct nn_metadata){key, value};
    }
    return 0;
}

static int load_all(struct nn_loader *l, const Onnx__ModelProto *proto)
{
    int r = read_opset(l, proto);
    if (r == 0)
        r = read_metadata(l, proto);
    if (r == 0)
        r = nn_loader_graph(l);
    if (r < 0)
        return r;
    struct nn_model *m = l->model;
    const struct nn_graph *g = l->into;
    m->node_count = g->node_count;
    m->nodes = g->nodes;
    m->value_count = g->value_count;
    m->values = g->values;
    m->input_count = g->input_count;
    m->inputs = g->inputs;
    m->output_count = g->output_count;
    m->outputs = g->outputs;
    return 0;
}

/* packed: NULL, or where the messages' external tensors are. */
static int load(const void *data, size_t size, struct nn_packed *packed,
                struct nn_model **ret_model, struct nn_error *err)
{
    struct nn_onnx onnx;
    int r = nn_onnx_open(&onnx, data, size, err);
    if (r < 0)
        return r;
    struct nn_graph graph = {0};
    struct nn_loader l = {
        .onnx = &onnx, .graph = onnx.proto->graph, .into = &graph, .err = err};
    l.model = calloc(1, sizeof *l.model);
    if (!l.model) {
        nn_onnx_close(&onnx);
        return nn_error_set(err, -ENOMEM, "no memory for a model");
    }
    atomic_init(&l.model->references, 1);
    nn_pool_init(&l.model->pool, MAX_MODEL_BYTES);
    l.model->packed = packed ? nn_packed_ref(packed) : NULL;
    r = load_all(&l, onnx.proto);
    nn_loader_finish(&l);
    nn_onnx_close(&onnx);
    if (r < 0)
        nn_model_unref(l.model);
    else
        *ret_model = l.model;
    return r;
}

int nn_model_load(const void *data, size_t size, struct nn_model **ret_model,
                  struct nn_error *err)
{
    return load(data, size, NULL, ret_model, err);
}

int nn_model_load_packed(struct nn_packed *packed, struct nn_model **ret_model,
                         struct nn_error *err)
{
    const void *data;
    size_t size;
    nn_packed_graph(packed, &data, &size);
    return load(data, size, packed, ret_model, err);
}

struct nn_model *nn_model_ref(struct nn_model *model)
{
    atomic_fetch_add(&model->references, 1);
    return model;
}

void nn_model_unref(struct nn_model *model)
{
    if (!model || atomic_fetch_sub(&model->references, 1) > 1)
        return;
    nn_pool_finish(&model->pool);
    nn_packed_unref(model->packed);
    free(model);
}

size_t nn_model_input_count(const struct nn_model *model)
{
    return (size_t)model->input_count;
}

const struct nn_value_info *nn_model_input(const struct nn_model *model, size_t index)
{
    return &model->input_info[index];
}

size_t nn_model_output_count(const struct nn_model *model)
{
    return (size_t)model->output_count;
}

const struct nn_value_info *nn_model_output(const struct nn_model *model, size_t index)
{
    return &model->output_info[index];
}

static bool node_makes(const struct nn_node *node, int value)
{
    for (int j = 0; j < node->output_count; j++)
        if (node->outputs[j] == value)
            return true;
    return false;
}

void nn_model_output_source(const struct nn_model *model, size_t index, const char **ret_node,
                            const char **ret_op)
{
    int value = model->outputs[index];
    *ret_node = *ret_op = NULL;
    /* In topological order what a node reads is made before it. */
    for (int i = model->node_count - 1; i >= 0 && value != NN_VALUE_NONE; i--) {
        const struct nn_node *node = &model->nodes[i];
        if (!node_makes(node, value))
            continue;
        *ret_node = node->name;
        *ret_op = node->op->name;
        if (!(node->op->flags & NN_OP_VIEW) || node->outputs[0] != value)
            return;
        value = node->inputs[0];
    }
}

const char *nn_model_metadata(const struct nn_model *model, const char *key)
{
    for (int i = 0; i < model->metadata_count; i++)
        if (strcmp(model->metadata[i].key, key) == 0)
            return model->metadata[i].value;
    return NULL;
}

size_t nn_model_metadata_count(const struct nn_model *model)
{
    return (size_t)model->metadata_count;
}

void nn_model_metadata_at(const struct nn_model *model, size_t index, const char **ret_key,
                          const char **ret_value)
{
    *ret_key = model->metadata[index].key;
    *ret_value = model->metadata[index].value;
}

int nn_model_opset(const struct nn_model *model)
{
    return model->opset;
}

size_t nn_model_node_count(const struct nn_model *model)
{
    return (size_t)model->node_count;
}
