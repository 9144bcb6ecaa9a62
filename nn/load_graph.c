/* One graph, the model's own or an attribute of a node: its names, initializers, inputs and
 * outputs.
 *
 * The loader reads in the order that lets each step trust the one before: names of everything
 * that is defined (inputs, initializers, node outputs) are collected and sorted, so duplicates
 * show at once and every later lookup is a binary search, whatever names a hostile file picks;
 * then nodes are read against the operator table and put in topological order
 * (load_nodes.c); then the outputs find their values.
 *
 * A graph that is an attribute may read what the graphs around it define. Values have numbers
 * of their own throughout the model, and a node says which of the values around it its graphs
 * read, as if they were inputs: what comes before what is then clear.
 *
 * Shapes are not looked at here: they depend on the input size, which the plan knows. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nn/loader.h"

enum { MAX_VALUES = 1 << 20, MAX_CAPTURES = 1 << 20, MAX_DEPTH = 8 };

/* --- Names ------------------------------------------------------------------------------ */

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

/* A heap sort rather than qsort: glibc's allocates beyond 1 KiB, asks the kernel how much
 * memory there is (sysinfo, which ends a sandboxed worker), and is quadratic where it
 * cannot. */
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

static int find_own(const struct nn_loader *l, const ProtobufCBinaryData *bytes)
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

static int note_capture(struct nn_loader *l, struct nn_captures *captures, int value)
{
    if (captures->count == MAX_CAPTURES)
        return nn_error_set(l->err, -E2BIG, "a graph reads those around it over %d times",
                            MAX_CAPTURES);
    if (captures->count == captures->capacity) {
        size_t capacity = captures->capacity ? 2 * captures->capacity : 16;
        struct nn_definition *items = realloc(captures->items, capacity * sizeof *items);
        if (!items)
            return nn_error_set(l->err, -ENOMEM, "no memory for the model's graph");
        captures->items = items;
        captures->capacity = capacity;
    }
    captures->items[captures->count++] = (struct nn_definition){"", value};
    return 0;
}

int nn_loader_find(struct nn_loader *l, const ProtobufCBinaryData *bytes, int *ret_value)
{
    int value = find_own(l, bytes), r = 0;
    if (value == NN_VALUE_NONE && l->outer) {
        r = nn_loader_find(l->outer, bytes, &value);
        if (r == 0 && value != NN_VALUE_NONE)
            r = note_capture(l, &l->captures, value);
    }
    if (r == 0)
        *ret_value = value;
    return r;
}

/* What an inner graph reads, each value once, is read by the node it belongs to. */
static int pass_captures(struct nn_loader *l, struct nn_captures *captures)
{
    sort_definitions(captures->items, captures->count);
    for (size_t i = 0; i < captures->count; i++) {
        int value = captures->items[i].value;
        int r = i > 0 && captures->items[i - 1].value == value
                    ? 0
                    : note_capture(l, &l->within, value);
        if (r < 0)
            return r;
    }
    return 0;
}

static int define(struct nn_loader *l, const ProtobufCBinaryData *bytes)
{
    int r = 0;
    const char *name = nn_loader_name(l, bytes, &r);
    if (!name)
        return r;
    struct nn_graph *g = l->into;
    int value = g->first_value + g->value_count;
    g->values[g->value_count++].name = name;
    l->definitions[l->definition_count++] = (struct nn_definition){name, value};
    return value;
}

/* --- Definitions ------------------------------------------------------------------------ */

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

static int allocate(struct nn_loader *l, size_t total)
{
    const Onnx__GraphProto *proto = l->graph;
    struct nn_graph *g = l->into;
    struct nn_model *m = l->model;
    g->values = nn_pool_array(&m->pool, total, sizeof *g->values);
    g->inputs = nn_pool_array(&m->pool, proto->n_input, sizeof *g->inputs);
    g->outputs = nn_pool_array(&m->pool, proto->n_output, sizeof *g->outputs);
    if (!l->outer) {
        m->input_info = nn_pool_array(&m->pool, proto->n_input, sizeof *m->input_info);
        m->output_info = nn_pool_array(&m->pool, proto->n_output, sizeof *m->output_info);
    }
    l->definitions = calloc(total + 1, sizeof *l->definitions);
    l->producer = malloc((total + 1) * sizeof *l->producer);
    if (!g->values || !g->inputs || !g->outputs || !m->input_info || !m->output_info ||
        !l->definitions || !l->producer)
        return nn_loader_no_memory(l);
    memset(l->producer, -1, (total + 1) * sizeof *l->producer);
    return 0;
}

/* Takes its share of what the whole model may have. */
static int reserve(struct nn_loader *l)
{
    const Onnx__GraphProto *proto = l->graph;
    struct nn_model *m = l->model;
    if (proto->n_sparse_initializer > 0)
        return nn_error_set(l->err, -ENOTSUP, "sparse initializers are not supported");
    if (proto->n_node > (size_t)(NN_MAX_NODES - m->node_total))
        return nn_error_set(l->err, -E2BIG, "over %d nodes, the most that are supported",
                            NN_MAX_NODES);
    size_t total = proto->n_input + proto->n_initializer;
    for (size_t i = 0; i < proto->n_node; i++)
        total += proto->node[i]->n_output;
    if (total > (size_t)(MAX_VALUES - m->value_total))
        return nn_error_set(l->err, -E2BIG, "over %d values, the most that are supported",
                            MAX_VALUES);
    l->into->first_value = m->value_total;
    l->into->first_node = m->node_total;
    m->node_total += (int)proto->n_node;
    m->value_total += (int)total;
    return allocate(l, total);
}

static int read_initializers(struct nn_loader *l)
{
    for (size_t i = 0; i < l->graph->n_initializer; i++) {
        int value = define(l, &l->graph->initializer[i]->name);
        if (value < 0)
            return value;
        struct nn_value *own = &l->into->values[value - l->into->first_value];
        int r = nn_loader_tensor(l, l->graph->initializer[i], own->name, &own->declared);
        if (r < 0)
            return r;
    }
    sort_definitions(l->definitions, l->definition_count);
    return 0;
}

/* Of the model's own graph: an input must say what it is. */
static int read_input_info(struct nn_loader *l, const Onnx__ValueInfoProto *proto,
                           struct nn_value *value)
{
    struct nn_value_info *info = &l->model->input_info[l->into->input_count];
    int r = read_value_info(l, proto, value->name, info);
    if (r < 0)
        return r;
    if (info->type == NN_TYPE_NONE || info->shape.rank < 0)
        return nn_error_set(l->err, -ENOTSUP, "input '%.80s' has no type or no shape",
                            info->name);
    value->declared.type = info->type;
    value->declared.shape = info->shape;
    return 0;
}

static int read_inputs(struct nn_loader *l)
{
    struct nn_graph *g = l->into;
    size_t initializers = l->definition_count;
    for (size_t i = 0; i < l->graph->n_input; i++) {
        /* Files up to IR version 3 list every initializer as an input too; the value given in
         * the file is then the one that counts. */
        size_t all = l->definition_count;
        l->definition_count = initializers;
        bool given = find_own(l, &l->graph->input[i]->name) != NN_VALUE_NONE;
        l->definition_count = all;
        if (given)
            continue;
        int value = define(l, &l->graph->input[i]->name);
        if (value < 0)
            return value;
        struct nn_value *own = &g->values[value - g->first_value];
        int r = l->outer ? 0 : read_input_info(l, l->graph->input[i], own);
        if (r < 0)
            return r;
        g->inputs[g->input_count++] = value;
    }
    return 0;
}

/* Numbers everything that is defined: initializers, graph inputs, node outputs. */
static int read_definitions(struct nn_loader *l)
{
    const Onnx__GraphProto *proto = l->graph;
    int r = reserve(l);
    if (r == 0)
        r = read_initializers(l);
    if (r == 0)
        r = read_inputs(l);
    if (r < 0)
        return r;
    for (size_t i = 0; i < proto->n_node; i++)
        for (size_t j = 0; j < proto->node[i]->n_output; j++) {
            if (proto->node[i]->output[j].len == 0)
                continue;
            int value = define(l, &proto->node[i]->output[j]);
            if (value < 0)
                return value;
            l->producer[value - l->into->first_value] = (int)i;
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

/* An output of the model's own graph is a value of its own, named once. */
static int read_output_info(struct nn_loader *l, size_t index, int value, bool *taken)
{
    const char *name = l->into->values[value].name;
    if (taken[value])
        return nn_error_set(l->err, -EINVAL, "'%.80s' is an output twice", name);
    taken[value] = true;
    return read_value_info(l, l->graph->output[index], name, &l->model->output_info[index]);
}

static int read_outputs(struct nn_loader *l)
{
    const Onnx__GraphProto *proto = l->graph;
    struct nn_graph *g = l->into;
    if (proto->n_output == 0)
        return nn_error_set(l->err, -EINVAL, "the graph has no output");
    bool *taken = calloc((size_t)g->value_count + 1, sizeof *taken);
    int r = taken ? 0 : nn_loader_no_memory(l);
    for (size_t i = 0; i < proto->n_output && r == 0; i++) {
        int value = NN_VALUE_NONE;
        r = nn_loader_find(l, &proto->output[i]->name, &value);
        if (r == 0 && value == NN_VALUE_NONE)
            r = nn_error_set(l->err, -EINVAL, "nothing produces output %zu of the graph", i);
        if (r == 0 && !l->outer)
            r = read_output_info(l, i, value, taken);
        g->outputs[g->output_count++] = value;
    }
    free(taken);
    return r;
}

/* --- The whole -------------------------------------------------------------------------- */

int nn_loader_graph(struct nn_loader *l)
{
    int r = read_definitions(l);
    if (r == 0)
        r = nn_loader_nodes(l);
    return r < 0 ? r : read_outputs(l);
}

void nn_loader_finish(struct nn_loader *l)
{
    free(l->definitions);
    free(l->producer);
    free(l->captures.items);
    free(l->within.items);
}

int nn_loader_inner_graph(struct nn_loader *l, const struct nn_node *node,
                          const ProtobufCBinaryData *bytes, const struct nn_graph **ret_graph)
{
    if (l->depth == MAX_DEPTH)
        return nn_error_set(l->err, -E2BIG,
                            "node '%.80s' (%s): graphs within graphs more than %d deep",
                            node->name, node->op->name, MAX_DEPTH);
    struct nn_graph *graph = nn_pool_alloc(&l->model->pool, sizeof *graph);
    if (!graph)
        return nn_loader_no_memory(l);
    Onnx__GraphProto *proto;
    int r = nn_onnx_graph(l->onnx, bytes, &proto, l->err);
    if (r < 0)
        return r;
    struct nn_loader inner = {.graph = proto,
                              .into = graph,
                              .outer = l,
                              .depth = l->depth + 1,
                              .onnx = l->onnx,
                              .model = l->model,
                              .err = l->err};
    r = nn_loader_graph(&inner);
    if (r == 0)
        r = pass_captures(l, &inner.captures);
    nn_loader_finish(&inner);
    onnx__graph_proto__free_unpacked(proto, &l->onnx->allocator);
    if (r == 0)
        *ret_graph = graph;
    return r;
}
