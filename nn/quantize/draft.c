#include "nn/quantize/draft.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/graph.h"

#define POOL_BYTES ((size_t)1200 << 20) /* the weights, once more */

enum { LEAST_IR = 7 }; /* of opset 13 */

int nn_draft_no_memory(const struct nn_draft *draft, struct nn_error *err)
{
    return nn_error_set(err, nn_pool_errno(&draft->pool), "no memory to rewrite the model");
}

/* --- lists -------------------------------------------------------------------------------- */

static bool reserve(struct nn_draft *draft, struct nn_draft_list *list, size_t capacity)
{
    void **items = nn_pool_array(&draft->pool, capacity, sizeof *items);
    if (!items)
        return false;
    if (list->count > 0)
        memcpy(items, list->items, list->count * sizeof *items);
    list->items = items;
    list->capacity = capacity;
    return true;
}

bool nn_draft_push(struct nn_draft *draft, struct nn_draft_list *list, void *item)
{
    if (list->count == list->capacity && !reserve(draft, list, 2 * list->capacity + 16))
        return false;
    list->items[list->count++] = item;
    return item != NULL;
}

static bool take_list(struct nn_draft *draft, struct nn_draft_list *list, void *items,
                      size_t count)
{
    if (!reserve(draft, list, count + 16))
        return false;
    if (count > 0)
        memcpy(list->items, items, count * sizeof *list->items);
    list->count = count;
    return true;
}

Onnx__NodeProto *nn_draft_node(const struct nn_draft *draft, size_t index)
{
    return draft->nodes.items[index];
}

Onnx__TensorProto *nn_draft_initializer(const struct nn_draft *draft, size_t index)
{
    return draft->initializers.items[index];
}

/* --- names -------------------------------------------------------------------------------- */

static int order_of_names(const void *a, const void *b)
{
    const ProtobufCBinaryData *x = a, *y = b;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return x->len ? memcmp(x->data, y->data, x->len) : 0;
}

/* What names that are made end in, before the tail; none is the end of another. The first two
 * are followed by others: only values that are computed would be in their way. */
static const char *const endings[] = {
    "_weight",     "_bias",   "_quantized", "_dequantized", "_scale",
    "_zero_point", "_folded", "_spelled",   "_requantized", "_rescaled"};
enum { COMPUTED_ONLY = 2 };

/* Marks the number behind one of the endings that a name ends in, as far as there are `count`: 0
 * for none. Numbers are written as find_tail writes them. */
static void mark_tail(const ProtobufCBinaryData *name, bool computed, bool *taken, size_t count)
{
    size_t body = name->len, number = 0, unit = 1;
    while (body > 0 && name->data[body - 1] >= '0' && name->data[body - 1] <= '9' &&
           unit <= count) {
        number += unit * (size_t)(name->data[--body] - '0');
        unit *= 10;
    }
    if (body == name->len)
        number = 0;
    else if (body == 0 || name->data[body] == '0' || name->data[--body] != '_')
        return;
    for (size_t e = computed ? 0 : COMPUTED_ONLY; e < sizeof endings / sizeof *endings; e++) {
        size_t length = strlen(endings[e]);
        if (number < count && body >= length &&
            memcmp(name->data + body - length, endings[e], length) == 0)
            taken[number] = true;
    }
}

static size_t count_names(const struct nn_draft *draft)
{
    size_t count = draft->nodes.count + draft->initializers.count + draft->inputs.count;
    for (size_t i = 0; i < draft->nodes.count; i++)
        count += nn_draft_node(draft, i)->n_output;
    return count;
}

/* A number from 2 on that no name of the file ends in behind one of the endings; mostly none. */
static int find_tail(struct nn_draft *draft, struct nn_error *err)
{
    const size_t count = count_names(draft) + 3; /* one of them is free */
    bool *taken = calloc(count, sizeof *taken);
    if (!taken)
        return nn_error_set(err, -ENOMEM, "no memory to rewrite the model");
    for (size_t i = 0; i < draft->nodes.count; i++) {
        const Onnx__NodeProto *node = nn_draft_node(draft, i);
        mark_tail(&node->name, false, taken, count);
        for (size_t j = 0; j < node->n_output; j++)
            mark_tail(&node->output[j], true, taken, count);
    }
    for (size_t i = 0; i < draft->initializers.count; i++)
        mark_tail(&nn_draft_initializer(draft, i)->name, false, taken, count);
    for (size_t i = 0; i < draft->inputs.count; i++)
        mark_tail(&((Onnx__ValueInfoProto *)draft->inputs.items[i])->name, true, taken, count);
    size_t number = 2;
    while (taken[0] && taken[number])
        number++;
    if (taken[0])
        snprintf(draft->tail, sizeof draft->tail, "_%zu", number);
    free(taken);
    return 0;
}

const char *nn_draft_name(struct nn_draft *draft, const char *stem, const char *what)
{
    size_t size = strlen(stem) + strlen(what) + sizeof draft->tail;
    char *name = nn_pool_alloc(&draft->pool, size);
    if (name)
        snprintf(name, size, "%s%s%s", stem, what, draft->tail);
    return name;
}

const char *nn_draft_constant(struct nn_draft *draft, const char *name,
                              const struct nn_tensor *tensor)
{
    size_t bytes = nn_tensor_bytes(tensor);
    struct nn_tensor copy = *tensor;
    copy.data = nn_pool_alloc(&draft->pool, bytes);
    if (copy.data && bytes > 0)
        memcpy(copy.data, tensor->data, bytes);
    Onnx__TensorProto *proto = nn_onnx_make_tensor(&draft->pool, name, &copy);
    return nn_draft_push(draft, &draft->initializers, proto) ? name : NULL;
}

/* --- opening ------------------------------------------------------------------------------ */

struct nn_draft_index {
    size_t count;
    const Onnx__TensorProto *initializers[];
};

static int order_of_initializers(const void *a, const void *b)
{
    const Onnx__TensorProto *const *x = a, *const *y = b;
    return order_of_names(&(*x)->name, &(*y)->name);
}

struct nn_draft_index *nn_draft_index(const struct nn_draft *draft)
{
    size_t count = draft->initializers.count;
    struct nn_draft_index *index = malloc(sizeof *index + count * sizeof *index->initializers);
    if (!index)
        return NULL;
    index->count = count;
    for (size_t i = 0; i < count; i++)
        index->initializers[i] = nn_draft_initializer(draft, i);
    qsort(index->initializers, count, sizeof *index->initializers, order_of_initializers);
    return index;
}

const Onnx__TensorProto *nn_draft_find(const struct nn_draft_index *index,
                                       const ProtobufCBinaryData *name)
{
    const Onnx__TensorProto wanted = {.name = *name}, *key = &wanted;
    const Onnx__TensorProto *const *found =
        bsearch(&key, index->initializers, index->count, sizeof *index->initializers,
                order_of_initializers);
    return found ? *found : NULL;
}

/* Files before IR version 4 list initializers as inputs, which since then says that they are
 * mere defaults. */
static int drop_defaults(struct nn_draft *draft, struct nn_error *err)
{
    size_t kept = 0;
    struct nn_draft_index *index = nn_draft_index(draft);
    if (!index)
        return nn_error_set(err, -ENOMEM, "no memory to rewrite the model");
    for (size_t i = 0; i < draft->inputs.count; i++) {
        Onnx__ValueInfoProto *input = draft->inputs.items[i];
        if (!nn_draft_find(index, &input->name))
            draft->inputs.items[kept++] = input;
    }
    draft->inputs.count = kept;
    free(index);
    return 0;
}

/* The file's standard opset, in a list of our own. The loader has checked that there is one. */
static bool take_opset(struct nn_draft *draft)
{
    Onnx__ModelProto *model = &draft->model;
    Onnx__OperatorSetIdProto **list =
        nn_pool_array(&draft->pool, model->n_opset_import, sizeof *list);
    if (!list)
        return false;
    for (size_t i = 0; i < model->n_opset_import; i++) {
        list[i] = nn_pool_alloc(&draft->pool, sizeof **list);
        if (!list[i])
            return false;
        *list[i] = *model->opset_import[i];
        if (list[i]->domain.len == 0 || nn_onnx_bytes_are(&list[i]->domain, "ai.onnx"))
            draft->opset = (int)list[i]->version;
    }
    model->opset_import = list;
    return true;
}

static int take(struct nn_draft *draft, const Onnx__ModelProto *model,
                const struct nn_draft_list lists[4], struct nn_error *err)
{
    draft->model = *model;
    draft->graph = *model->graph;
    draft->model.graph = &draft->graph;
    struct nn_draft_list *const own[] = {&draft->nodes, &draft->initializers, &draft->inputs,
                                         &draft->outputs};
    bool room = take_opset(draft);
    for (int i = 0; i < 4; i++)
        room = room && take_list(draft, own[i], lists[i].items, lists[i].count);
    return room ? 0 : nn_draft_no_memory(draft, err);
}

int nn_draft_open(struct nn_draft *draft, const void *data, size_t size, struct nn_error *err)
{
    *draft = (struct nn_draft){.tail = ""};
    nn_pool_init(&draft->pool, POOL_BYTES);
    int r = nn_onnx_open(&draft->file, data, size, err);
    if (r < 0)
        return r;
    Onnx__GraphProto *graph = draft->file.proto->graph;
    const struct nn_draft_list lists[] = {
        {.items = (void **)graph->node, .count = graph->n_node},
        {.items = (void **)graph->initializer, .count = graph->n_initializer},
        {.items = (void **)graph->input, .count = graph->n_input},
        {.items = (void **)graph->output, .count = graph->n_output}};
    r = take(draft, draft->file.proto, lists, err);
    if (r < 0)
        return r;
    if (draft->model.ir_version < LEAST_IR) {
        r = drop_defaults(draft, err);
        if (r < 0)
            return r;
        draft->model.has_ir_version = 1;
        draft->model.ir_version = LEAST_IR;
    }
    return find_tail(draft, err);
}

int nn_draft_copy(struct nn_draft *draft, const struct nn_draft *from, struct nn_error *err)
{
    *draft = (struct nn_draft){.limit_bytes = from->limit_bytes};
    memcpy(draft->tail, from->tail, sizeof draft->tail);
    nn_pool_init(&draft->pool, POOL_BYTES);
    const struct nn_draft_list lists[] = {from->nodes, from->initializers, from->inputs,
                                          from->outputs};
    return take(draft, &from->model, lists, err);
}

void nn_draft_finish(struct nn_draft *draft)
{
    nn_onnx_close(&draft->file);
    nn_pool_finish(&draft->pool);
}

/* --- nodes -------------------------------------------------------------------------------- */

Onnx__NodeProto *nn_draft_edit(struct nn_draft *draft, const Onnx__NodeProto *node,
                               size_t inputs)
{
    size_t room = node->n_input > inputs ? node->n_input : inputs;
    Onnx__NodeProto *copy = nn_pool_alloc(&draft->pool, sizeof *copy);
    ProtobufCBinaryData *edges = nn_pool_array(&draft->pool, room, sizeof *edges);
    Onnx__AttributeProto **list =
        nn_pool_array(&draft->pool, node->n_attribute + 1, sizeof *list);
    if (!copy || !edges || !list)
        return NULL;
    *copy = *node;
    if (node->n_input > 0)
        memcpy(edges, node->input, node->n_input * sizeof *edges);
    if (node->n_attribute > 0)
        memcpy(list, node->attribute, node->n_attribute * sizeof *list);
    copy->input = edges;
    copy->attribute = list;
    return copy;
}

const ProtobufCBinaryData *nn_draft_first_output(const Onnx__NodeProto *node)
{
    size_t i = 0;
    while (i + 1 < node->n_output && node->output[i].len == 0)
        i++;
    return &node->output[i];
}

const Onnx__AttributeProto *nn_draft_attribute(const Onnx__NodeProto *node, const char *name)
{
    for (size_t i = 0; i < node->n_attribute; i++)
        if (nn_onnx_bytes_are(&node->attribute[i]->name, name))
            return node->attribute[i];
    return NULL;
}

void nn_draft_drop_attribute(Onnx__NodeProto *node, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < node->n_attribute; i++)
        if (!nn_onnx_bytes_are(&node->attribute[i]->name, name))
            node->attribute[kept++] = node->attribute[i];
    node->n_attribute = kept;
}

bool nn_draft_add_attribute(struct nn_draft *draft, Onnx__NodeProto *node,
                            Onnx__AttributeProto *attribute)
{
    Onnx__AttributeProto **list =
        nn_pool_array(&draft->pool, node->n_attribute + 1, sizeof *list);
    if (!list || !attribute)
        return false;
    if (node->n_attribute > 0)
        memcpy(list, node->attribute, node->n_attribute * sizeof *list);
    list[node->n_attribute++] = attribute;
    node->attribute = list;
    return true;
}

struct made {
    ProtobufCBinaryData name;
    Onnx__NodeProto *node;
};

static int order_of_made(const void *a, const void *b)
{
    return order_of_names(&((const struct made *)a)->name, &((const struct made *)b)->name);
}

int nn_draft_sort(struct nn_draft *draft, const struct nn_model *model, struct nn_error *err)
{
    size_t count = draft->nodes.count;
    struct made *made = calloc(count + 1, sizeof *made);
    if (!made)
        return nn_error_set(err, -ENOMEM, "no memory to rewrite the model");
    for (size_t i = 0; i < count; i++)
        made[i] = (struct made){*nn_draft_first_output(nn_draft_node(draft, i)),
                                nn_draft_node(draft, i)};
    qsort(made, count, sizeof *made, order_of_made);
    for (size_t i = 0; i < count; i++) {
        const struct nn_node *node = &model->nodes[i];
        int j = 0;
        while (node->outputs[j] == NN_VALUE_NONE)
            j++;
        const struct made wanted = {nn_onnx_bytes(model->values[node->outputs[j]].name), NULL};
        const struct made *found = bsearch(&wanted, made, count, sizeof *made, order_of_made);
        draft->nodes.items[i] = found->node;
    }
    free(made);
    return 0;
}

/* --- what comes of it --------------------------------------------------------------------- */

/* Graphs within nodes may read any of them: their bytes are not looked into. */
static bool has_graphs(const struct nn_draft *draft)
{
    for (size_t i = 0; i < draft->nodes.count; i++)
        for (size_t a = 0; a < nn_draft_node(draft, i)->n_attribute; a++)
            if (nn_draft_node(draft, i)->attribute[a]->has_g)
                return true;
    return false;
}

int nn_draft_sweep(struct nn_draft *draft, struct nn_error *err)
{
    if (has_graphs(draft))
        return 0;
    size_t count = draft->outputs.count, at = 0;
    for (size_t i = 0; i < draft->nodes.count; i++)
        count += nn_draft_node(draft, i)->n_input;
    ProtobufCBinaryData *read = calloc(count + 1, sizeof *read);
    if (!read)
        return nn_error_set(err, -ENOMEM, "no memory to rewrite the model");
    for (size_t i = 0; i < draft->outputs.count; i++)
        read[at++] = ((Onnx__ValueInfoProto *)draft->outputs.items[i])->name;
    for (size_t i = 0; i < draft->nodes.count; i++)
        for (size_t j = 0; j < nn_draft_node(draft, i)->n_input; j++)
            read[at++] = nn_draft_node(draft, i)->input[j];
    qsort(read, count, sizeof *read, order_of_names);
    size_t kept = 0;
    for (size_t i = 0; i < draft->initializers.count; i++)
        if (bsearch(&nn_draft_initializer(draft, i)->name, read, count, sizeof *read,
                    order_of_names))
            draft->initializers.items[kept++] = draft->initializers.items[i];
    draft->initializers.count = kept;
    free(read);
    return 0;
}

int nn_draft_pack(struct nn_draft *draft, void **ret_data, size_t *ret_size,
                  struct nn_error *err)
{
    Onnx__GraphProto *graph = &draft->graph;
    graph->node = (Onnx__NodeProto **)draft->nodes.items;
    graph->n_node = draft->nodes.count;
    graph->initializer = (Onnx__TensorProto **)draft->initializers.items;
    graph->n_initializer = draft->initializers.count;
    graph->input = (Onnx__ValueInfoProto **)draft->inputs.items;
    graph->n_input = draft->inputs.count;
    graph->output = (Onnx__ValueInfoProto **)draft->outputs.items;
    graph->n_output = draft->outputs.count;
    for (size_t i = 0; i < draft->model.n_opset_import; i++) {
        Onnx__OperatorSetIdProto *id = draft->model.opset_import[i];
        if (id->domain.len == 0 || nn_onnx_bytes_are(&id->domain, "ai.onnx"))
            id->version = draft->opset;
    }
    return nn_onnx_pack(&draft->model, ret_data, ret_size, err);
}

/* A value to be an output: one that is, or one of `extra`. */
struct given {
    ProtobufCBinaryData name;
    size_t output; /* SIZE_MAX: it is none yet */
    size_t extra;
};

/* By name, outputs first. */
static int order_of_given(const void *a, const void *b)
{
    const struct given *x = a, *y = b;
    int order = order_of_names(&x->name, &y->name);
    return order ? order : (x->output > y->output) - (x->output < y->output);
}

/* Which of the outputs each is, which it becomes if it is none. */
static int give(struct nn_draft *draft, const ProtobufCBinaryData *extra, size_t count,
                size_t *ret_index, struct nn_error *err)
{
    const size_t outputs = draft->outputs.count;
    struct given *given = calloc(outputs + count + 1, sizeof *given);
    if (!given)
        return nn_error_set(err, -ENOMEM, "no memory to rewrite the model");
    for (size_t i = 0; i < outputs; i++)
        given[i] =
            (struct given){((Onnx__ValueInfoProto *)draft->outputs.items[i])->name, i, 0};
    for (size_t i = 0; i < count; i++)
        given[outputs + i] = (struct given){extra[i], SIZE_MAX, i};
    qsort(given, outputs + count, sizeof *given, order_of_given);
    bool room = true;
    for (size_t i = 0; i < outputs + count && room; i++) {
        struct given *g = &given[i];
        if (g->output != SIZE_MAX)
            continue;
        if (i > 0 && nn_onnx_same_bytes(&g->name, &given[i - 1].name)) {
            g->output = given[i - 1].output;
        } else {
            g->output = draft->outputs.count;
            room = nn_draft_push(draft, &draft->outputs,
                                 nn_onnx_make_value(&draft->pool, &g->name));
        }
        ret_index[g->extra] = g->output;
    }
    free(given);
    return room ? 0 : nn_draft_no_memory(draft, err);
}

int nn_draft_plan(const struct nn_draft *draft, const ProtobufCBinaryData *extra, size_t count,
                  const struct nn_shape *shapes, size_t *ret_index, struct nn_plan **ret_plan,
                  struct nn_error *err)
{
    struct nn_draft more;
    struct nn_model *model = NULL;
    void *data = NULL;
    size_t size = 0;
    int r = nn_draft_copy(&more, draft, err);
    if (r == 0)
        r = give(&more, extra, count, ret_index, err);
    if (r == 0)
        r = nn_draft_pack(&more, &data, &size, err);
    nn_draft_finish(&more);
    if (r == 0)
        r = nn_model_load(data, size, &model, err);
    free(data);
    struct nn_plan_options options = {
        .input_shapes = shapes, .time_axis = -1, .limit_bytes = draft->limit_bytes};
    if (r == 0)
        r = nn_plan_create(model, &options, ret_plan, err);
    nn_model_unref(model);
    return r;
}
