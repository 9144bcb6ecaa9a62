/* ONNX messages to a validated graph.
 *
 * The loader reads in the order that lets each step trust the one before: names of everything
 * that is defined (inputs, initializers, node outputs) are collected and sorted, so duplicates
 * show at once and every later lookup is a binary search, whatever names a hostile file picks;
 * then nodes are read against the operator table and put in topological order
 * (load_nodes.c); then the outputs find their values.
 *
 * Shapes are not looked at here: they depend on the input size, which the plan knows. */
#include "nn/loader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nn/packed_file.h"

enum { MAX_OPSET = 25, MAX_VALUES = 1 << 20, MAX_METADATA = 4096 };
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

/* --- Definitions ------------------------------------------------------------------------ */

static bool comes_before(const struct nn_definition *x, const struct nn_definition *y)
{
    int order = strcmp(x->name, y->name);
    return order ? order < 0 : x->value < y->value;
}

static void sift_down(struct nn_definition *heap, size_t at, size_t count)
{
    struct nn_definition sinking = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && comes_before(&heap[child], &heap[child + 1]))
            child++;
        if (!comes_before(&sinking, &heap[child]))
            break;
        heap[at] = heap[child];
    }
    heap[at] = sinking;
}

/* A heap sort rather than qsort: glibc's allocates beyond 1 KiB, asks the kernel how much memory
 * there is (sysinfo, which ends a sandboxed worker), and is quadratic where it cannot. */
static void sort_definitions(struct nn_definition *definitions, size_t count)
{
    for (size_t i = count / 2; i > 0; i--)
        sift_down(definitions, i - 1, count);
    for (size_t last = count; last > 1; last--) {
        struct nn_definition greatest = definitions[0];
        definitions[0] = definitions[last - 1];
        definitions[last - 1] = greatest;
        sift_down(definitions, 0, last - 1);
    }
}

int nn_loader_find(const struct nn_loader *l, const ProtobufCBinaryData *bytes)
{
    size_t low = 0, high = bytes->len > 0 ? l->definition_count : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *name = l->definitions[middle].name;
        size_t length = strlen(name);
        int order = memcmp(name, bytes->data, length < bytes->len ? length : bytes->len);
        if (order == 0)
            order = (length > bytes->len) - (length < bytes->len);
        if (order == 0)
            return l->definitions[middle].value;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NN_VALUE_NONE;
}

static int define(struct nn_loader *l, const ProtobufCBinaryData *bytes)
{
    struct nn_model *m = l->model;
    int r = 0;
    const char *name = nn_loader_name(l, bytes, &r);
    if (!name)
        return r;
    int value = m->value_count++;
    m->values[value].name = name;
    l->definitions[l->definition_count++] = (struct nn_definition){name, value};
    return value;
}

/* What a value is that is no tensor. */
static const char *other_kind(const Onnx__TypeProto *type)
{
    return type->has_sequence_type        ? "a sequence"
           : type->has_map_type           ? "a map"
           : type->has_optional_type      ? "an optional"
           : type->has_sparse_tensor_type ? "a sparse tensor"
                                          : "of a kind unknown here";
}

static int read_value_info(struct nn_loader *l, const Onnx__ValueInfoProto *proto,
                           const char *name, struct nn_value_info *info)
{
    const Onnx__TypeProto__Tensor *tensor = proto->type ? proto->type->tensor_type : NULL;
    *info = (struct nn_value_info){.name = name, .shape.rank = -1};
    if (proto->type && !tensor)
        return nn_error_set(l->err, -ENOTSUP,
                            "'%.80s' is %s, which is not supported: values are tensors", name,
                            other_kind(proto->type));
    if (!tensor)
        return 0;
    info->type = nn_type_from_onnx(tensor->elem_type);
    if (info->type == NN_TYPE_NONE)
        return nn_error_set(l->err, -ENOTSUP, "'%.80s' is %s, which is not supported", name,
                            nn_type_onnx_name(tensor->elem_type));
    if (!tensor->shape)
        return 0;
    if (tensor->shape->n_dim > NN_MAX_RANK)
        return nn_error_set(l->err, -ENOTSUP, "'%.80s' has %zu dimensions; %d are supported",
                            name, tensor->shape->n_dim, NN_MAX_RANK);
    info->shape.rank = (int)tensor->shape->n_dim;
    for (int i = 0; i < info->shape.rank; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = tensor->shape->dim[i];
        bool known = dim->has_dim_value && !dim->has_dim_param;
        /* Some exporters write -1 where they mean a name. */
        info->shape.dim[i] = known && dim->dim_value >= 0 ? dim->dim_value : NN_DIM_DYNAMIC;
    }
    return 0;
}

/* Numbers everything that is defined: initializers, graph inputs, node outputs. */
static int read_definitions(struct nn_loader *l)
{
    const Onnx__GraphProto *g = l->graph;
    struct nn_model *m = l->model;
    if (g->n_sparse_initializer > 0)
        return nn_error_set(l->err, -ENOTSUP, "sparse initializers are not supported");
    if (g->n_node > NN_MAX_NODES)
        return nn_error_set(l->err, -E2BIG, "%zu nodes; at most %d are supported", g->n_node,
                            NN_MAX_NODES);
    size_t total = g->n_input + g->n_initializer;
    for (size_t i = 0; i < g->n_node; i++)
        total += g->node[i]->n_output;
    if (total > MAX_VALUES)
        return nn_error_set(l->err, -E2BIG, "%zu values; at most %d are supported", total,
                            MAX_VALUES);
    m->values = nn_pool_array(&m->pool, total, sizeof *m->values);
    m->inputs = nn_pool_array(&m->pool, g->n_input, sizeof *m->inputs);
    m->input_info = nn_pool_array(&m->pool, g->n_input, sizeof *m->input_info);
    l->definitions = calloc(total + 1, sizeof *l->definitions);
    l->producer = malloc((total + 1) * sizeof *l->producer);
    if (!m->values || !m->inputs || !m->input_info || !l->definitions || !l->producer)
        return nn_loader_no_memory(l);
    memset(l->producer, -1, (total + 1) * sizeof *l->producer);

    for (size_t i = 0; i < g->n_initializer; i++) {
        int value = define(l, &g->initializer[i]->name);
        if (value < 0)
            return value;
        struct nn_tensor *tensor = &m->values[value].declared;
        int r = nn_loader_tensor(l, g->initializer[i], m->values[value].name, tensor);
        if (r < 0)
            return r;
    }
    size_t initializers = l->definition_count;
    sort_definitions(l->definitions, initializers);

    for (size_t i = 0; i < g->n_input; i++) {
        /* Files up to IR version 3 list every initializer as an input too; the value given in
         * the file is then the one that counts. */
        size_t all = l->definition_count;
        l->definition_count = initializers;
        bool given = nn_loader_find(l, &g->input[i]->name) != NN_VALUE_NONE;
        l->definition_count = all;
        if (given)
            continue;
        int value = define(l, &g->input[i]->name);
        if (value < 0)
            return value;
        struct nn_value_info *info = &m->input_info[m->input_count];
        int r = read_value_info(l, g->input[i], m->values[value].name, info);
        if (r < 0)
            return r;
        if (info->type == NN_TYPE_NONE || info->shape.rank < 0)
            return nn_error_set(l->err, -ENOTSUP, "input '%.80s' has no type or no shape",
                                info->name);
        m->values[value].declared.type = info->type;
        m->values[value].declared.shape = info->shape;
        m->inputs[m->input_count++] = value;
    }
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t j = 0; j < g->node[i]->n_output; j++) {
            if (g->node[i]->output[j].len == 0)
                continue;
            int value = define(l, &g->node[i]->output[j]);
            if (value < 0)
                return value;
            l->producer[value] = (int)i;
        }

    sort_definitions(l->definitions, l->definition_count);
    for (size_t i = 0; i < l->definition_count; i++) {
        const char *name = l->definitions[i].name;
        if (name[0] == '\0')
            return nn_error_set(l->err, -EINVAL, "an input or initializer has no name");
        if (i > 0 && strcmp(l->definitions[i - 1].name, name) == 0)
            return nn_error_set(l->err, -EINVAL, "'%.80s' is defined twice", name);
    }
    return 0;
}

/* --- Outputs ---------------------------------------------------------------------------- */

static int read_outputs(struct nn_loader *l)
{
    const Onnx__GraphProto *g = l->graph;
    struct nn_model *m = l->model;
    if (g->n_output == 0)
        return nn_error_set(l->err, -EINVAL, "the graph has no output");
    /* Each output is a value of its own, so this also bounds the loop below. */
    if (g->n_output > (size_t)m->value_count)
        return nn_error_set(l->err, -EINVAL, "the graph has more outputs than values");
    m->outputs = nn_pool_array(&m->pool, g->n_output, sizeof *m->outputs);
    m->output_info = nn_pool_array(&m->pool, g->n_output, sizeof *m->output_info);
    bool *taken = calloc((size_t)m->value_count, sizeof *taken);
    int r = m->outputs && m->output_info && taken ? 0 : nn_loader_no_memory(l);
    for (size_t i = 0; i < g->n_output && r == 0; i++) {
        int value = nn_loader_find(l, &g->output[i]->name);
        if (value == NN_VALUE_NONE)
            r = nn_error_set(l->err, -EINVAL, "nothing produces output %zu of the graph", i);
        else if (taken[value])
            r = nn_error_set(l->err, -EINVAL, "'%.80s' is an output twice",
                             m->values[value].name);
        if (r < 0)
            break;
        taken[value] = true;
        m->outputs[m->output_count] = value;
        r = read_value_info(l, g->output[i], m->values[value].name,
                            &m->output_info[m->output_count++]);
    }
    free(taken);
    return r;
}

static int load_graph(struct nn_loader *l, const Onnx__ModelProto *proto)
{
    int r = read_opset(l, proto);
    if (r == 0)
        r = read_metadata(l, proto);
    if (r == 0)
        r = read_definitions(l);
    if (r < 0)
        return r;
    r = nn_loader_nodes(l);
    return r < 0 ? r : read_outputs(l);
}

/* packed: NULL, or where the messages' external tensors are. */
static int load(const void *data, size_t size, struct nn_packed *packed,
                struct nn_model **ret_model, struct nn_error *err)
{
    struct nn_onnx onnx;
    int r = nn_onnx_open(&onnx, data, size, err);
    if (r < 0)
        return r;
    struct nn_loader l = {.graph = onnx.proto->graph, .err = err};
    l.model = calloc(1, sizeof *l.model);
    if (!l.model) {
        nn_onnx_close(&onnx);
        return nn_error_set(err, -ENOMEM, "no memory for a model");
    }
    atomic_init(&l.model->references, 1);
    nn_pool_init(&l.model->pool, MAX_MODEL_BYTES);
    l.model->packed = packed ? nn_packed_ref(packed) : NULL;
    r = load_graph(&l, onnx.proto);
    free(l.definitions);
    free(l.producer);
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
