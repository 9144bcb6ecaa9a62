/* Changes models as models. libFuzzer changes bytes, which breaks the lengths that protobuf
 * nests, so that most of what it makes is refused before anything looks at a node. Here half of
 * all changes are another operator, edge, attribute, shape or number of a model that still
 * parses: those come to the planner and to the kernels. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "nn/onnx.h"
#include "nn/op.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

enum { HEAP_BYTES = 8 << 20, NAME_BYTES = 16 };

/* All memory of one mutation, let go at once. */
static _Alignas(16) uint8_t heap[HEAP_BYTES];
static size_t heap_used;

static void *take(void *data, size_t size)
{
    (void)data;
    size = (size + 15) & ~(size_t)15;
    if (size > HEAP_BYTES - heap_used)
        return NULL;
    heap_used += size;
    return heap + heap_used - size;
}

static void let_go(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

static ProtobufCAllocator allocator = {.alloc = take, .free = let_go};

static uint32_t state; /* of xorshift, never 0 */

static uint32_t below(size_t count)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return count ? state % (uint32_t)count : 0;
}

/* A copy of `count` items with room for one more, zeroed; the same items without memory. */
static void *with_room(void *items, size_t count, size_t size)
{
    uint8_t *grown = take(NULL, (count + 1) * size);
    if (!grown)
        return NULL;
    if (count > 0)
        memcpy(grown, items, count * size);
    memset(grown + count * size, 0, size);
    return grown;
}

static ProtobufCBinaryData text(const char *from)
{
    return (ProtobufCBinaryData){.len = strlen(from), .data = (uint8_t *)(uintptr_t)from};
}

static int64_t number(void)
{
    static const int64_t edges[] = {-1,        -2,        INT32_MIN, INT32_MAX,
                                    INT64_MIN, INT64_MAX, 64,        129};
    uint32_t i = below(24);
    return i < 8 ? edges[i] : (int64_t)i - 8;
}

/* A value that some node of the graph might read; empty: none. */
static ProtobufCBinaryData value(const Onnx__GraphProto *graph)
{
    switch (below(8)) {
    case 0:
        return text("");
    case 1:
    case 2:
        if (graph->n_input > 0)
            return graph->input[below(graph->n_input)]->name;
        break;
    case 3:
    case 4:
        if (graph->n_initializer > 0)
            return graph->initializer[below(graph->n_initializer)]->name;
        break;
    }
    const Onnx__NodeProto *node = graph->node[below(graph->n_node)];
    return node->n_output > 0 ? node->output[below(node->n_output)] : text("");
}

static const struct nn_op *operator_of(const Onnx__NodeProto *node)
{
    char name[64] = "";
    if (node->op_type.len > 0 && node->op_type.len < sizeof name)
        memcpy(name, node->op_type.data, node->op_type.len);
    return nn_op_find(name);
}

/* --- Changes of a node ------------------------------------------------------------------- */

static void change_operator(const Onnx__GraphProto *graph, Onnx__NodeProto *node)
{
    (void)graph;
    node->op_type = text(nn_op_at(below(nn_op_count()))->name);
}

static void change_input(const Onnx__GraphProto *graph, Onnx__NodeProto *node)
{
    if (node->n_input > 0)
        node->input[below(node->n_input)] = value(graph);
}

static void add_input(const Onnx__GraphProto *graph, Onnx__NodeProto *node)
{
    ProtobufCBinaryData *inputs = with_room(node->input, node->n_input, sizeof *inputs);
    if (!inputs)
        return;
    node->input = inputs;
    node->input[node->n_input++] = value(graph);
}

static void drop_input(const Onnx__GraphProto *graph, Onnx__NodeProto *node)
{
    (void)graph;
    node->n_input -= node->n_input > 0;
}

/* Of any model's strings, those that some operator knows. */
static ProtobufCBinaryData word(void)
{
    static const char *const words[] = {"SAME_UPPER",    "VALID",
                                        "linear",        "cubic",
                                        "nearest",       "reflect",
                                        "edge",          "wrap",
                                        "add",           "mul",
                                        "max",           "floor",
                                        "ceil",          "asymmetric",
                                        "half_pixel",    "border",
                                        "reverse",       "bidirectional",
                                        "align_corners", "Sigmoid",
                                        "DCR",           "avg",
                                        "tanh",          "ij,jk->ik",
                                        "...i->...",     "round_prefer_ceil",
                                        "none",          "stretch"};
    return text(words[below(sizeof words / sizeof *words)]);
}

static void fill_attribute(Onnx__AttributeProto *a, enum nn_attribute_type type)
{
    static int64_t ints[8];
    static float floats[4];
    a->has_type = 1;
    a->type = (int32_t)type;
    a->has_f = type == NN_ATTRIBUTE_FLOAT;
    a->f = (float)number() / 4;
    a->has_i = type == NN_ATTRIBUTE_INT;
    a->i = number();
    a->has_s = type == NN_ATTRIBUTE_STRING;
    a->s = word();
    for (size_t i = 0; i < 8; i++)
        ints[i] = number();
    for (size_t i = 0; i < 4; i++)
        floats[i] = (float)number() / 2;
    a->ints = ints;
    a->n_ints = type == NN_ATTRIBUTE_INTS ? below(7) : 0;
    a->floats = floats;
    a->n_floats = type == NN_ATTRIBUTE_FLOATS ? below(5) : 0;
}

/* Another value for an attribute, or one that the operator knows and the node lacks. */
static void change_attribute(const Onnx__GraphProto *graph, Onnx__NodeProto *node)
{
    (void)graph;
    const struct nn_op *op = operator_of(node);
    size_t known = 0;
    while (op && op->attributes && op->attributes[known].name)
        known++;
    if (known == 0)
        return;
    const struct nn_attribute_rule *rule = &op->attributes[below(known)];
    ProtobufCBinaryData name = text(rule->name);
    if (rule->type == NN_ATTRIBUTE_GRAPH || rule->type == NN_ATTRIBUTE_TENSOR)
        return;
    for (size_t i = 0; i < node->n_attribute; i++) {
        Onnx__AttributeProto *a = node->attribute[i];
        if (a->name.len == name.len && memcmp(a->name.data, name.data, name.len) == 0) {
            fill_attribute(a, rule->type);
            return;
        }
    }
    Onnx__AttributeProto **all = with_room(node->attribute, node->n_attribute, sizeof *all),
                         *added = take(NULL, sizeof *added);
    if (!all || !added)
        return;
    onnx__attribute_proto__init(added);
    added->has_name = 1;
    added->name = name;
    fill_attribute(added, rule->type);
    node->attribute = all;
    node->attribute[node->n_attribute++] = added;
}

static void drop_attribute(const Onnx__GraphProto *graph, Onnx__NodeProto *node)
{
    (void)graph;
    if (node->n_attribute == 0)
        return;
    uint32_t dropped = below(node->n_attribute);
    node->attribute[dropped] = node->attribute[--node->n_attribute];
}

/* --- Changes of a graph ------------------------------------------------------------------ */

static void change_node(Onnx__GraphProto *graph)
{
    static void (*const changes[])(const Onnx__GraphProto *, Onnx__NodeProto *) = {
        change_operator, change_input,     add_input,      drop_input,
        change_input,    change_attribute, drop_attribute, change_attribute};
    changes[below(sizeof changes / sizeof *changes)](graph, graph->node[below(graph->n_node)]);
}

static void drop_node(Onnx__GraphProto *graph)
{
    if (graph->n_node < 2)
        return;
    uint32_t dropped = below(graph->n_node);
    graph->node[dropped] = graph->node[--graph->n_node];
}

/* One like another, between a value and those who read its first output. */
static void insert_node(Onnx__GraphProto *graph)
{
    Onnx__NodeProto **nodes = with_room(graph->node, graph->n_node, sizeof *nodes),
                    *added = take(NULL, sizeof *added), *before;
    ProtobufCBinaryData *names = take(NULL, 2 * sizeof *names);
    char *fresh = take(NULL, NAME_BYTES);
    if (!nodes || !added || !names || !fresh)
        return;
    before = nodes[below(graph->n_node)];
    if (before->n_output == 0)
        return;
    *added = *nodes[below(graph->n_node)];
    if (below(2))
        change_operator(graph, added);
    snprintf(fresh, NAME_BYTES, "v%08x", (unsigned)(state ^ below(2)));
    added->output = &names[0];
    added->n_output = 1;
    names[0] = before->output[0];
    added->input = &names[1];
    added->n_input = 1;
    names[1] = before->output[0] = text(fresh);
    for (uint32_t more = below(3); more > 0; more--)
        add_input(graph, added);
    graph->node = nodes;
    graph->node[graph->n_node++] = added;
}

static void change_elements(Onnx__GraphProto *graph)
{
    if (graph->n_initializer == 0)
        return;
    Onnx__TensorProto *t = graph->initializer[below(graph->n_initializer)];
    if (t->has_raw_data && t->raw_data.len > 0 && below(3))
        LLVMFuzzerMutate(t->raw_data.data, t->raw_data.len, t->raw_data.len);
    else if (t->n_dims > 1 && below(2))
        t->n_dims--;
    else if (t->n_dims > 0)
        t->dims[below(t->n_dims)] = number();
}

/* Also where nothing but the order of an initializer's dimensions changes. */
static void swap_dimensions(Onnx__GraphProto *graph)
{
    if (graph->n_initializer == 0)
        return;
    Onnx__TensorProto *t = graph->initializer[below(graph->n_initializer)];
    uint32_t i = below(t->n_dims), j = below(t->n_dims);
    if (t->n_dims > 1) {
        int64_t dim = t->dims[i];
        t->dims[i] = t->dims[j];
        t->dims[j] = dim;
    }
}

static void change_input_shape(Onnx__GraphProto *graph)
{
    if (graph->n_input == 0)
        return;
    Onnx__ValueInfoProto *input = graph->input[below(graph->n_input)];
    if (!input->type || !input->type->tensor_type)
        return;
    Onnx__TypeProto__Tensor *type = input->type->tensor_type;
    if (below(8) == 0)
        type->elem_type = 1 + (int32_t)below(13);
    else if (type->shape && type->shape->n_dim > 0)
        type->shape->dim[below(type->shape->n_dim)]->dim_value = number();
}

static void change_output(Onnx__GraphProto *graph)
{
    if (graph->n_output > 0)
        graph->output[below(graph->n_output)]->name = value(graph);
}

static void change_graph(Onnx__GraphProto *graph);

/* A graph that is an attribute, if there is one. */
static void change_nested(Onnx__GraphProto *graph)
{
    Onnx__NodeProto *node = graph->node[below(graph->n_node)];
    for (size_t i = 0; i < node->n_attribute; i++) {
        Onnx__AttributeProto *a = node->attribute[i];
        if (!a->has_g || (i + 1 < node->n_attribute && below(2)))
            continue;
        Onnx__GraphProto *nested = onnx__graph_proto__unpack(&allocator, a->g.len, a->g.data);
        if (!nested)
            return;
        change_graph(nested);
        size_t size = onnx__graph_proto__get_packed_size(nested);
        uint8_t *packed = take(NULL, size);
        if (!packed)
            return;
        onnx__graph_proto__pack(nested, packed);
        a->g = (ProtobufCBinaryData){.len = size, .data = packed};
        return;
    }
}

static void change_graph(Onnx__GraphProto *graph)
{
    static void (*const changes[])(Onnx__GraphProto *) = {
        change_node,     change_node,        change_node,   change_node,   drop_node,
        change_elements, swap_dimensions,    insert_node,   change_nested, change_nested,
        insert_node,     change_input_shape, change_output,
    };
    if (graph->n_node > 0)
        changes[below(sizeof changes / sizeof *changes)](graph);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    state = seed * 2654435761u | 1;
    heap_used = 0;
    Onnx__ModelProto *model =
        below(2) ? onnx__model_proto__unpack(&allocator, size, data) : NULL;
    if (!model || !model->graph)
        return LLVMFuzzerMutate(data, size, max_size);
    for (uint32_t times = 1 + below(3); times > 0; times--)
        change_graph(model->graph);
    if (below(16) == 0 && model->n_opset_import > 0)
        model->opset_import[0]->version = 1 + below(25);
    size_t packed = onnx__model_proto__get_packed_size(model);
    return packed <= max_size ? onnx__model_proto__pack(model, data)
                              : LLVMFuzzerMutate(data, size, max_size);
}
