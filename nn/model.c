/* ONNX messages to a validated graph.
 *
 * The loader reads in the order that lets each step trust the one before: names of everything
 * that is defined (inputs, initializers, node outputs) are collected and sorted, so duplicates
 * show at once and every later lookup is a binary search, whatever names a hostile file picks;
 * then nodes are read against the operator table; then the nodes are put in topological order.
 *
 * Shapes are not looked at here: they depend on the input size, which the plan knows. */
#include "nn/graph.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/onnx.h"

enum { MAX_OPSET = 25, MAX_VALUES = 1 << 20, MAX_METADATA = 4096 };
#define MAX_MODEL_BYTES ((size_t)1200 << 20) /* 1 GiB of weights and the graph around them */

struct definition {
    const char *name;
    int value;
};

struct loader {
    const Onnx__GraphProto *graph;
    struct nn_model *model;
    struct nn_error *err;
    struct definition *definitions; /* sorted by name */
    size_t definition_count;
    int *producer; /* of each value: node, or -1 */
};

static int no_memory(struct loader *l)
{
    return nn_error_set(l->err, nn_pool_errno(&l->model->pool),
                        "no memory for the model's graph");
}

static const char *read_name(struct loader *l, const ProtobufCBinaryData *bytes, int *ret_error)
{
    const char *name = nn_onnx_name(bytes, &l->model->pool, ret_error);
    if (name)
        return name;
    if (*ret_error == -EINVAL)
        nn_error_set(l->err, -EINVAL, "a name is not UTF-8 text of at most %d bytes",
                     NN_ONNX_MAX_NAME);
    else
        no_memory(l);
    return NULL;
}

static int read_opset(struct loader *l, const Onnx__ModelProto *proto)
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

static int read_metadata(struct loader *l, const Onnx__ModelProto *proto)
{
    struct nn_model *m = l->model;
    if (proto->n_metadata_props > MAX_METADATA)
        return nn_error_set(l->err, -E2BIG, "over %d metadata entries", MAX_METADATA);
    m->metadata = nn_pool_array(&m->pool, proto->n_metadata_props, sizeof *m->metadata);
    if (!m->metadata)
        return no_memory(l);
    for (size_t i = 0; i < proto->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *entry = proto->metadata_props[i];
        int r = 0;
        const char *key = read_name(l, &entry->key, &r);
        if (!key)
            return r;
        if (nn_model_metadata(m, key))
            return nn_error_set(l->err, -EINVAL, "metadata '%.80s' is given twice", key);
        const char *value = nn_onnx_text(&entry->value, &m->pool, &r);
        if (!value && r == -EINVAL)
            return nn_error_set(l->err, r, "metadata '%.80s' is not UTF-8 text", key);
        if (!value)
            return no_memory(l);
        m->metadata[m->metadata_count++] = (struct nn_metadata){key, value};
    }
    return 0;
}

/* --- Definitions ------------------------------------------------------------------------ */

static int compare_definitions(const void *a, const void *b)
{
    const struct definition *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->value > y->value) - (x->value < y->value);
}

/* The value of a name, NN_VALUE_NONE when nothing defines it. */
static int find_value(const struct loader *l, const ProtobufCBinaryData *bytes)
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

static int define(struct loader *l, const ProtobufCBinaryData *bytes)
{
    struct nn_model *m = l->model;
    int r = 0;
    const char *name = read_name(l, bytes, &r);
    if (!name)
        return r;
    int value = m->value_count++;
    m->values[value].name = name;
    l->definitions[l->definition_count++] = (struct definition){name, value};
    return value;
}

static int read_value_info(struct loader *l, const Onnx__ValueInfoProto *proto,
                           const char *name, struct nn_value_info *info)
{
    const Onnx__TypeProto__Tensor *tensor = proto->type ? proto->type->tensor_type : NULL;
    *info = (struct nn_value_info){.name = name, .shape.rank = -1};
    if (proto->type && !tensor)
        return nn_error_set(l->err, -ENOTSUP,
                            "'%.80s' is not a tensor; sequences, maps and optionals are not "
                            "supported",
                            name);
    if (!tensor)
        return 0;
    info->type = nn_onnx_type(tensor->elem_type);
    if (info->type == NN_TYPE_NONE)
        return nn_error_set(l->err, -ENOTSUP, "'%.80s' is %s, which is not supported", name,
                            nn_onnx_type_name(tensor->elem_type));
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
static int read_definitions(struct loader *l)
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
        return no_memory(l);
    memset(l->producer, -1, (total + 1) * sizeof *l->producer);

    for (size_t i = 0; i < g->n_initializer; i++) {
        int value = define(l, &g->initializer[i]->name);
        if (value < 0)
            return value;
        struct nn_tensor *tensor = &m->values[value].declared;
        int r =
            nn_onnx_tensor(g->initializer[i], m->values[value].name, &m->pool, tensor, l->err);
        if (r < 0)
            return r;
        m->parameter_count += nn_shape_count(&tensor->shape);
    }
    size_t initializers = l->definition_count;
    qsort(l->definitions, initializers, sizeof *l->definitions, compare_definitions);

    for (size_t i = 0; i < g->n_input; i++) {
        /* Files up to IR version 3 list every initializer as an input too; the value given in
         * the file is then the one that counts. */
        size_t all = l->definition_count;
        l->definition_count = initializers;
        bool given = find_value(l, &g->input[i]->name) != NN_VALUE_NONE;
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

    qsort(l->definitions, l->definition_count, sizeof *l->definitions, compare_definitions);
    for (size_t i = 0; i < l->definition_count; i++) {
        const char *name = l->definitions[i].name;
        if (name[0] == '\0')
            return nn_error_set(l->err, -EINVAL, "an input or initializer has no name");
        if (i > 0 && strcmp(l->definitions[i - 1].name, name) == 0)
            return nn_error_set(l->err, -EINVAL, "'%.80s' is defined twice", name);
    }
    return 0;
}

/* --- Nodes ------------------------------------------------------------------------------ */

static const struct nn_attribute_rule *find_rule(const struct nn_op *op, const char *name)
{
    for (const struct nn_attribute_rule *rule = op->attributes; rule && rule->name; rule++)
        if (strcmp(rule->name, name) == 0)
            return rule;
    return NULL;
}

/* Files before IR version 2 leave the type out. */
static int attribute_type(const Onnx__AttributeProto *proto)
{
    if (proto->type != 0)
        return proto->type;
    return proto->has_f       ? NN_ATTRIBUTE_FLOAT
           : proto->has_i     ? NN_ATTRIBUTE_INT
           : proto->has_s     ? NN_ATTRIBUTE_STRING
           : proto->t         ? NN_ATTRIBUTE_TENSOR
           : proto->n_floats  ? NN_ATTRIBUTE_FLOATS
           : proto->n_ints    ? NN_ATTRIBUTE_INTS
           : proto->n_strings ? NN_ATTRIBUTE_STRINGS
                              : NN_ATTRIBUTE_NONE;
}

static int read_strings(struct loader *l, const Onnx__AttributeProto *proto,
                        struct nn_attribute *a)
{
    const char **strings = nn_pool_array(&l->model->pool, proto->n_strings, sizeof *strings);
    if (!strings)
        return no_memory(l);
    for (size_t i = 0; i < proto->n_strings; i++) {
        int r = 0;
        strings[i] = read_name(l, &proto->strings[i], &r);
        if (!strings[i])
            return r;
    }
    a->strings = strings;
    a->count = (int)proto->n_strings;
    return 0;
}

static void *copy_array(struct loader *l, const void *from, size_t count, size_t size)
{
    void *copy = nn_pool_array(&l->model->pool, count, size);
    if (copy && count > 0)
        memcpy(copy, from, count * size);
    return copy;
}

/* The value of an attribute whose type is already the row's. */
static int read_attribute_value(struct loader *l, const struct nn_node *node,
                                const Onnx__AttributeProto *proto, struct nn_attribute *a)
{
    int r = 0;
    switch (a->type) {
    case NN_ATTRIBUTE_FLOAT:
        a->f = proto->f;
        return 0;
    case NN_ATTRIBUTE_INT:
        a->i = proto->i;
        return 0;
    case NN_ATTRIBUTE_STRING:
        a->s = read_name(l, &proto->s, &r);
        return r;
    case NN_ATTRIBUTE_TENSOR:
        if (!proto->t)
            return nn_error_set(l->err, -EINVAL, "node '%.80s' (%s): attribute '%s' is empty",
                                node->name, node->op->name, a->name);
        return nn_onnx_tensor(proto->t, node->name, &l->model->pool, &a->tensor, l->err);
    case NN_ATTRIBUTE_FLOATS:
        a->floats = copy_array(l, proto->floats, proto->n_floats, sizeof *a->floats);
        a->count = (int)proto->n_floats;
        return a->floats ? 0 : no_memory(l);
    case NN_ATTRIBUTE_INTS:
        a->ints = copy_array(l, proto->ints, proto->n_ints, sizeof *a->ints);
        a->count = (int)proto->n_ints;
        return a->ints ? 0 : no_memory(l);
    case NN_ATTRIBUTE_STRINGS:
        return read_strings(l, proto, a);
    case NN_ATTRIBUTE_NONE:
        break;
    }
    return nn_error_set(l->err, -EINVAL, "node '%.80s' (%s): attribute '%s' has no value",
                        node->name, node->op->name, a->name);
}

static int read_attribute(struct loader *l, struct nn_node *node,
                          const Onnx__AttributeProto *proto)
{
    int r = 0;
    const char *name = read_name(l, &proto->name, &r);
    if (!name)
        return r;
    const char *op = node->op->name;
    if (nn_node_attribute(node, name))
        return nn_error_set(l->err, -EINVAL, "node '%.80s' (%s): attribute '%.80s' twice",
                            node->name, op, name);
    if (proto->has_ref_attr_name || proto->has_g || proto->n_graphs > 0)
        return nn_error_set(l->err, -ENOTSUP,
                            "node '%.80s' (%s): attribute '%.80s' is a graph or a reference, "
                            "which are not supported",
                            node->name, op, name);
    const struct nn_attribute_rule *rule = find_rule(node->op, name);
    if (!rule)
        return nn_error_set(l->err, -ENOTSUP,
                            "node '%.80s' (%s): attribute '%.80s' is not supported", node->name,
                            op, name);
    int opset = l->model->opset;
    if (opset < rule->since || (rule->until != 0 && opset > rule->until))
        return nn_error_set(l->err, -EINVAL,
                            "node '%.80s' (%s): opset %d has no attribute '%.80s'", node->name,
                            op, opset, name);
    /* A list without elements may come without a type from exporters that guess it. */
    int type = attribute_type(proto);
    if (type == NN_ATTRIBUTE_NONE && rule->type >= NN_ATTRIBUTE_FLOATS)
        type = (int)rule->type;
    if (type != (int)rule->type)
        return nn_error_set(l->err, -EINVAL,
                            "node '%.80s' (%s): attribute '%.80s' is of type %d, not %d",
                            node->name, op, name, type, (int)rule->type);
    struct nn_attribute *a = &node->attributes[node->attribute_count];
    *a = (struct nn_attribute){.name = name, .type = rule->type};
    r = read_attribute_value(l, node, proto, a);
    if (r == 0)
        node->attribute_count++;
    return r;
}

static int read_arity(struct loader *l, const struct nn_node *node,
                      const Onnx__NodeProto *proto)
{
    const struct nn_op *op = node->op;
    if (proto->n_input < (size_t)op->min_inputs || proto->n_input > (size_t)op->max_inputs)
        return nn_error_set(
            l->err, -EINVAL, "node '%.80s' (%s): %zu inputs, the operator takes %d to %d",
            node->name, op->name, proto->n_input, op->min_inputs, op->max_inputs);
    if (proto->n_output < (size_t)op->min_outputs || proto->n_output > (size_t)op->max_outputs)
        return nn_error_set(
            l->err, -EINVAL, "node '%.80s' (%s): %zu outputs, the operator gives %d to %d",
            node->name, op->name, proto->n_output, op->min_outputs, op->max_outputs);
    return 0;
}

static int read_edges(struct loader *l, struct nn_node *node, const Onnx__NodeProto *proto)
{
    struct nn_model *m = l->model;
    node->inputs = nn_pool_array(&m->pool, proto->n_input, sizeof *node->inputs);
    node->outputs = nn_pool_array(&m->pool, proto->n_output, sizeof *node->outputs);
    if (!node->inputs || !node->outputs)
        return no_memory(l);
    for (size_t i = 0; i < proto->n_input; i++) {
        const ProtobufCBinaryData *name = &proto->input[i];
        bool required =
            i < (size_t)node->op->min_inputs || node->op->max_inputs == NN_OP_VARIADIC;
        if (name->len == 0 && required)
            return nn_error_set(l->err, -EINVAL, "node '%.80s' (%s): input %zu is missing",
                                node->name, node->op->name, i);
        node->inputs[i] = name->len == 0 ? NN_VALUE_NONE : find_value(l, name);
        if (name->len > 0 && node->inputs[i] == NN_VALUE_NONE)
            return nn_error_set(l->err, -EINVAL,
                                "node '%.80s' (%s): nothing produces its input %zu", node->name,
                                node->op->name, i);
        if (name->len > 0)
            node->input_count = (int)i + 1;
    }
    bool any = false;
    for (size_t i = 0; i < proto->n_output; i++) {
        const ProtobufCBinaryData *name = &proto->output[i];
        node->outputs[i] = name->len == 0 ? NN_VALUE_NONE : find_value(l, name);
        any |= name->len > 0;
    }
    node->output_count = (int)proto->n_output;
    if (!any)
        return nn_error_set(l->err, -EINVAL, "node '%.80s' (%s): no output has a name",
                            node->name, node->op->name);
    return 0;
}

static int read_node(struct loader *l, size_t index)
{
    const Onnx__NodeProto *proto = l->graph->node[index];
    struct nn_model *m = l->model;
    struct nn_node *node = &m->nodes[index];
    int r = 0;
    node->name = read_name(l, &proto->name, &r);
    if (node->name && !node->name[0]) {
        char *number = nn_pool_alloc(&m->pool, 24);
        if (number)
            snprintf(number, 24, "#%zu", index);
        node->name = number;
        if (!number)
            return no_memory(l);
    }
    const char *type = node->name ? read_name(l, &proto->op_type, &r) : NULL;
    const char *domain = type ? read_name(l, &proto->domain, &r) : NULL;
    if (!domain)
        return r;
    bool standard = !domain[0] || strcmp(domain, "ai.onnx") == 0;
    node->op = standard ? nn_op_find(type) : NULL;
    if (!node->op)
        return nn_error_set(l->err, -ENOTSUP,
                            "node '%.80s': operator %s%s%.80s is not supported", node->name,
                            standard ? "" : domain, standard ? "" : ".", type);
    r = read_arity(l, node, proto);
    if (r == 0)
        r = read_edges(l, node, proto);
    if (r < 0)
        return r;
    node->attributes = nn_pool_array(&m->pool, proto->n_attribute, sizeof *node->attributes);
    if (!node->attributes)
        return no_memory(l);
    for (size_t i = 0; i < proto->n_attribute && r == 0; i++)
        r = read_attribute(l, node, proto->attribute[i]);
    return r;
}

static int node_producer(const struct loader *l, const struct nn_node *node, int input)
{
    int value = node->inputs[input];
    return value == NN_VALUE_NONE ? -1 : l->producer[value];
}

static bool nodes_are_sorted(const struct loader *l)
{
    for (int i = 0; i < l->model->node_count; i++)
        for (int j = 0; j < l->model->nodes[i].input_count; j++)
            if (node_producer(l, &l->model->nodes[i], j) >= i)
                return false;
    return true;
}

/* Kahn's algorithm, for files that are not in order. waiting[i] counts the edges into node i
 * whose producer is not placed yet; consumers[first[i]..first[i + 1]) are the nodes that read
 * from node i. Returns how many nodes could be placed. */
static int kahn(struct loader *l, int *waiting, int *first, int *consumers, int *order)
{
    const struct nn_model *m = l->model;
    int n = m->node_count;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m->nodes[i].input_count; j++) {
            int p = node_producer(l, &m->nodes[i], j);
            if (p >= 0) {
                waiting[i]++;
                first[p]++;
            }
        }
    /* first[p] is made the end of p's list; filling from the back leaves it at the start. */
    for (int i = 1; i <= n; i++)
        first[i] += first[i - 1];
    for (int i = n - 1; i >= 0; i--)
        for (int j = 0; j < m->nodes[i].input_count; j++) {
            int p = node_producer(l, &m->nodes[i], j);
            if (p >= 0)
                consumers[--first[p]] = i;
        }
    int placed = 0;
    for (int i = 0; i < n; i++)
        if (waiting[i] == 0)
            order[placed++] = i;
    for (int done = 0; done < placed; done++)
        for (int e = first[order[done]]; e < first[order[done] + 1]; e++)
            if (--waiting[consumers[e]] == 0)
                order[placed++] = consumers[e];
    return placed;
}

static int sort_nodes(struct loader *l)
{
    struct nn_model *m = l->model;
    if (nodes_are_sorted(l))
        return 0;
    size_t n = (size_t)m->node_count, edges = 0;
    for (size_t i = 0; i < n; i++)
        edges += (size_t)m->nodes[i].input_count;
    struct nn_node *sorted = nn_pool_array(&m->pool, n, sizeof *sorted);
    int *scratch = calloc(3 * n + 1 + edges, sizeof *scratch);
    if (!sorted || !scratch) {
        free(scratch);
        return no_memory(l);
    }
    int *waiting = scratch, *order = waiting + n, *first = order + n;
    int *consumers = first + n + 1;
    int placed = kahn(l, waiting, first, consumers, order);
    for (int i = 0; i < placed; i++)
        sorted[i] = m->nodes[order[i]];
    int stuck = 0;
    while (stuck < m->node_count && waiting[stuck] == 0)
        stuck++;
    free(scratch);
    if (placed < m->node_count)
        return nn_error_set(l->err, -EINVAL, "node '%.80s' (%s) waits for itself: a cycle",
                            m->nodes[stuck].name, m->nodes[stuck].op->name);
    m->nodes = sorted;
    return 0;
}

/* --- Outputs ---------------------------------------------------------------------------- */

static int read_outputs(struct loader *l)
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
    int r = m->outputs && m->output_info && taken ? 0 : no_memory(l);
    for (size_t i = 0; i < g->n_output && r == 0; i++) {
        int value = find_value(l, &g->output[i]->name);
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

static int load_graph(struct loader *l, const Onnx__ModelProto *proto)
{
    struct nn_model *m = l->model;
    int r = read_opset(l, proto);
    if (r == 0)
        r = read_metadata(l, proto);
    if (r == 0)
        r = read_definitions(l);
    if (r < 0)
        return r;
    m->nodes = nn_pool_array(&m->pool, l->graph->n_node, sizeof *m->nodes);
    if (!m->nodes)
        return no_memory(l);
    for (size_t i = 0; i < l->graph->n_node; i++) {
        r = read_node(l, i);
        if (r < 0)
            return r;
        m->node_count++;
    }
    r = sort_nodes(l);
    return r < 0 ? r : read_outputs(l);
}

int nn_model_load(const void *data, size_t size, struct nn_model **ret_model,
                  struct nn_error *err)
{
    struct nn_onnx onnx;
    int r = nn_onnx_open(&onnx, data, size, err);
    if (r < 0)
        return r;
    struct loader l = {.graph = onnx.proto->graph, .err = err};
    l.model = calloc(1, sizeof *l.model);
    if (!l.model) {
        nn_onnx_close(&onnx);
        return nn_error_set(err, -ENOMEM, "no memory for a model");
    }
    atomic_init(&l.model->references, 1);
    nn_pool_init(&l.model->pool, MAX_MODEL_BYTES);
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

size_t nn_model_node_count(const struct nn_model *model)
{
    return (size_t)model->node_count;
}

int64_t nn_model_parameter_count(const struct nn_model *model)
{
    return model->parameter_count;
}
