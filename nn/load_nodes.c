/* Nodes: each read against its row of the operator table, then all put in topological order. */
#include "nn/loader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool rule_holds(const struct nn_attribute_rule *rule, int opset)
{
    return opset >= rule->since && (rule->until == 0 || opset <= rule->until);
}

/* The rule of the opset; a rule of another opset where there is no such. */
static const struct nn_attribute_rule *find_rule(const struct nn_op *op, const char *name,
                                                 int opset)
{
    const struct nn_attribute_rule *found = NULL;
    for (const struct nn_attribute_rule *rule = op->attributes; rule && rule->name; rule++)
        if (strcmp(rule->name, name) == 0 && (!found || rule_holds(rule, opset)))
            found = rule;
    return found;
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
           : proto->has_g     ? NN_ATTRIBUTE_GRAPH
           : proto->n_floats  ? NN_ATTRIBUTE_FLOATS
           : proto->n_ints    ? NN_ATTRIBUTE_INTS
           : proto->n_strings ? NN_ATTRIBUTE_STRINGS
                              : NN_ATTRIBUTE_NONE;
}

static int read_strings(struct nn_loader *l, const Onnx__AttributeProto *proto,
                        struct nn_attribute *a)
{
    const char **strings = nn_pool_array(&l->model->pool, proto->n_strings, sizeof *strings);
    if (!strings)
        return nn_loader_no_memory(l);
    for (size_t i = 0; i < proto->n_strings; i++) {
        int r = 0;
        strings[i] = nn_loader_name(l, &proto->strings[i], &r);
        if (!strings[i])
            return r;
    }
    a->strings = strings;
    a->count = (int)proto->n_strings;
    return 0;
}

static void *copy_array(struct nn_loader *l, const void *from, size_t count, size_t size)
{
    void *copy = nn_pool_array(&l->model->pool, count, size);
    if (copy && count > 0)
        memcpy(copy, from, count * size);
    return copy;
}

/* The value of an attribute whose type is already the row's. */
static int read_attribute_value(struct nn_loader *l, const struct nn_node *node,
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
        a->s = nn_loader_name(l, &proto->s, &r);
        return r;
    case NN_ATTRIBUTE_TENSOR:
        if (!proto->t)
            return nn_error_set(l->err, -EINVAL, "node '%.80s' (%s): attribute '%s' is empty",
                                node->name, node->op->name, a->name);
        return nn_loader_tensor(l, proto->t, node->name, &a->tensor);
    case NN_ATTRIBUTE_GRAPH:
        return nn_loader_inner_graph(l, node, &proto->g, &a->graph);
    case NN_ATTRIBUTE_FLOATS:
        a->floats = copy_array(l, proto->floats, proto->n_floats, sizeof *a->floats);
        a->count = (int)proto->n_floats;
        return a->floats ? 0 : nn_loader_no_memory(l);
    case NN_ATTRIBUTE_INTS:
        a->ints = copy_array(l, proto->ints, proto->n_ints, sizeof *a->ints);
        a->count = (int)proto->n_ints;
        return a->ints ? 0 : nn_loader_no_memory(l);
    case NN_ATTRIBUTE_STRINGS:
        return read_strings(l, proto, a);
    case NN_ATTRIBUTE_NONE:
        break;
    }
    return nn_error_set(l->err, -EINVAL, "node '%.80s' (%s): attribute '%s' has no value",
                        node->name, node->op->name, a->name);
}

static int read_attribute(struct nn_loader *l, struct nn_node *node,
                          const Onnx__AttributeProto *proto)
{
    int r = 0;
    const char *name = nn_loader_name(l, &proto->name, &r);
    if (!name)
        return r;
    const char *op = node->op->name;
    if (nn_node_attribute(node, name))
        return nn_error_set(l->err, -EINVAL, "node '%.80s' (%s): attribute '%.80s' twice",
                            node->name, op, name);
    int opset = l->model->opset;
    const struct nn_attribute_rule *rule = find_rule(node->op, name, opset);
    bool graph = rule && rule->type == NN_ATTRIBUTE_GRAPH;
    if (proto->has_ref_attr_name || proto->n_graphs > 0 || (proto->has_g && !graph))
        return nn_error_set(l->err, -ENOTSUP,
                            "node '%.80s' (%s): attribute '%.80s' is a graph or a reference, "
                            "which are not supported there",
                            node->name, op, name);
    if (!rule)
        return nn_error_set(l->err, -ENOTSUP,
                            "node '%.80s' (%s): attribute '%.80s' is not supported", node->name,
                            op, name);
    if (!rule_holds(rule, opset))
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

static int read_arity(struct nn_loader *l, const struct nn_node *node,
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

static int read_edges(struct nn_loader *l, struct nn_node *node, const Onnx__NodeProto *proto)
{
    struct nn_model *m = l->model;
    node->inputs = nn_pool_array(&m->pool, proto->n_input, sizeof *node->inputs);
    node->outputs = nn_pool_array(&m->pool, proto->n_output, sizeof *node->outputs);
    if (!node->inputs || !node->outputs)
        return nn_loader_no_memory(l);
    for (size_t i = 0; i < proto->n_input; i++) {
        const ProtobufCBinaryData *name = &proto->input[i];
        bool required =
            i < (size_t)node->op->min_inputs || node->op->max_inputs == NN_OP_VARIADIC;
        if (name->len == 0 && required)
            return nn_error_set(l->err, -EINVAL, "node '%.80s' (%s): input %zu is missing",
                                node->name, node->op->name, i);
        node->inputs[i] = NN_VALUE_NONE;
        int r = name->len == 0 ? 0 : nn_loader_find(l, name, &node->inputs[i]);
        if (r < 0)
            return r;
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
        node->outputs[i] = NN_VALUE_NONE;
        int r = name->len == 0 ? 0 : nn_loader_find(l, name, &node->outputs[i]);
        if (r < 0)
            return r;
        any |= name->len > 0;
    }
    node->output_count = (int)proto->n_output;
    if (!any)
        return nn_error_set(l->err, -EINVAL, "node '%.80s' (%s): no output has a name",
                            node->name, node->op->name);
    return 0;
}

/* Operators of later nodes that are not supported either, so that a person learns at once what
 * a model needs: "; also missing: Clip, Resize". Names that are no identifiers are left out. */
enum { MAX_ALSO = 6, MAX_ALSO_NAME = 24 };

static bool is_identifier(const ProtobufCBinaryData *bytes)
{
    for (size_t i = 0; i < bytes->len; i++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_",
                    bytes->data[i] ? bytes->data[i] : ' '))
            return false;
    return bytes->len > 0 && bytes->len < MAX_ALSO_NAME;
}

static void list_also_missing(const struct nn_loader *l, size_t index, const char *first,
                              char *text, size_t size)
{
    char names[MAX_ALSO][MAX_ALSO_NAME];
    int count = 0;
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = index + 1; i < l->graph->n_node && count < MAX_ALSO; i++) {
        const ProtobufCBinaryData *type = &l->graph->node[i]->op_type;
        if (!is_identifier(type))
            continue;
        char *name = names[count];
        memcpy(name, type->data, type->len);
        name[type->len] = '\0';
        bool known = strcmp(name, first) == 0 || nn_op_find(name);
        for (int j = 0; j < count && !known; j++)
            known = strcmp(names[j], name) == 0;
        if (known)
            continue;
        used += (size_t)snprintf(text + used, size - used, "%s%s",
                                 count ? ", " : "; also missing: ", name);
        count++;
    }
}

static int refuse_operator(struct nn_loader *l, size_t index, const char *domain,
                           const char *type)
{
    char also[MAX_ALSO * (MAX_ALSO_NAME + 2) + 16];
    list_also_missing(l, index, type, also, sizeof also);
    return nn_error_set(l->err, -ENOTSUP,
                        "node '%.80s': operator %.40s%s%.40s is not supported%s",
                        l->into->nodes[index].name, domain, *domain ? "." : "", type, also);
}

/* What the node's graphs read, after what it reads itself. */
static int add_captures(struct nn_loader *l, struct nn_node *node)
{
    if (l->within.count == 0)
        return 0;
    size_t own = (size_t)node->input_count;
    int *all = nn_pool_array(&l->model->pool, own + l->within.count, sizeof *all);
    if (!all)
        return nn_loader_no_memory(l);
    if (own > 0)
        memcpy(all, node->inputs, own * sizeof *all);
    for (size_t i = 0; i < l->within.count; i++)
        all[own + i] = l->within.items[i].value;
    node->inputs = all;
    node->capture_count = (int)l->within.count;
    return 0;
}

static int read_node(struct nn_loader *l, size_t index)
{
    const Onnx__NodeProto *proto = l->graph->node[index];
    struct nn_model *m = l->model;
    struct nn_node *node = &l->into->nodes[index];
    int r = 0;
    node->name = nn_loader_name(l, &proto->name, &r);
    if (node->name && !node->name[0]) {
        char *number = nn_pool_alloc(&m->pool, 24);
        if (number)
            snprintf(number, 24, "#%zu", index);
        node->name = number;
        if (!number)
            return nn_loader_no_memory(l);
    }
    const char *type = node->name ? nn_loader_name(l, &proto->op_type, &r) : NULL;
    const char *domain = type ? nn_loader_name(l, &proto->domain, &r) : NULL;
    if (!domain)
        return r;
    bool standard = !domain[0] || strcmp(domain, "ai.onnx") == 0;
    node->op = standard ? nn_op_find(type) : NULL;
    if (!node->op)
        return refuse_operator(l, index, standard ? "" : domain, type);
    r = read_arity(l, node, proto);
    if (r == 0)
        r = read_edges(l, node, proto);
    if (r < 0)
        return r;
    node->attributes = nn_pool_array(&m->pool, proto->n_attribute, sizeof *node->attributes);
    if (!node->attributes)
        return nn_loader_no_memory(l);
    l->within.count = 0;
    for (size_t i = 0; i < proto->n_attribute && r == 0; i++)
        r = read_attribute(l, node, proto->attribute[i]);
    return r < 0 ? r : add_captures(l, node);
}

/* What must be there before the node runs. */
static int read_count(const struct nn_node *node)
{
    return node->input_count + node->capture_count;
}

/* The node of this graph that makes what `node` reads; -1: it is there already. */
static int node_producer(const struct nn_loader *l, const struct nn_node *node, int read)
{
    int own = node->inputs[read] - l->into->first_value;
    return node->inputs[read] == NN_VALUE_NONE || own < 0 || own >= l->into->value_count
               ? -1
               : l->producer[own];
}

static bool nodes_are_sorted(const struct nn_loader *l)
{
    for (int i = 0; i < l->into->node_count; i++)
        for (int j = 0; j < read_count(&l->into->nodes[i]); j++)
            if (node_producer(l, &l->into->nodes[i], j) >= i)
                return false;
    return true;
}

/* Kahn's algorithm, for files that are not in order. waiting[i] counts the edges into node i
 * whose producer is not placed yet; consumers[first[i]..first[i + 1]) are the nodes that read
 * from node i. Returns how many nodes could be placed. */
static int kahn(struct nn_loader *l, int *waiting, int *first, int *consumers, int *order)
{
    const struct nn_graph *g = l->into;
    int n = g->node_count;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < read_count(&g->nodes[i]); j++) {
            int p = node_producer(l, &g->nodes[i], j);
            if (p >= 0) {
                waiting[i]++;
                first[p]++;
            }
        }
    /* first[p] is made the end of p's list; filling from the back leaves it at the start. */
    for (int i = 1; i <= n; i++)
        first[i] += first[i - 1];
    for (int i = n - 1; i >= 0; i--)
        for (int j = 0; j < read_count(&g->nodes[i]); j++) {
            int p = node_producer(l, &g->nodes[i], j);
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

static int sort_nodes(struct nn_loader *l)
{
    struct nn_graph *g = l->into;
    if (nodes_are_sorted(l))
        return 0;
    size_t n = (size_t)g->node_count, edges = 0;
    for (size_t i = 0; i < n; i++)
        edges += (size_t)read_count(&g->nodes[i]);
    struct nn_node *sorted = nn_pool_array(&l->model->pool, n, sizeof *sorted);
    int *scratch = calloc(3 * n + 1 + edges, sizeof *scratch);
    if (!sorted || !scratch) {
        free(scratch);
        return nn_loader_no_memory(l);
    }
    int *waiting = scratch, *order = waiting + n, *first = order + n;
    int *consumers = first + n + 1;
    int placed = kahn(l, waiting, first, consumers, order);
    for (int i = 0; i < placed; i++)
        sorted[i] = g->nodes[order[i]];
    int stuck = 0;
    while (stuck < g->node_count && waiting[stuck] == 0)
        stuck++;
    free(scratch);
    if (placed < g->node_count)
        return nn_error_set(l->err, -EINVAL, "node '%.80s' (%s) waits for itself: a cycle",
                            g->nodes[stuck].name, g->nodes[stuck].op->name);
    g->nodes = sorted;
    return 0;
}

int nn_loader_nodes(struct nn_loader *l)
{
    struct nn_graph *g = l->into;
    g->nodes = nn_pool_array(&l->model->pool, l->graph->n_node, sizeof *g->nodes);
    if (!g->nodes)
        return nn_loader_no_memory(l);
    for (size_t i = 0; i < l->graph->n_node; i++) {
        int r = read_node(l, i);
        if (r < 0)
            return r;
        g->node_count++;
    }
    int r = sort_nodes(l);
    for (int i = 0; i < g->node_count && r == 0; i++)
        g->nodes[i].number = g->first_node + i;
    return r;
}
