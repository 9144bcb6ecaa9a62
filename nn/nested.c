/* Graphs within nodes as plan values and plan nodes: traced into the plan, or taken out of it
 * again as bodies. */
#include "nn/nested.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nn/constants.h"

enum {
    MAX_BODIES = 1024,    /* of a plan */
    MAX_TRACED = 1 << 18, /* nodes of graphs within nodes, each time */
};

struct nn_nested_mark nn_nested_mark(const struct nn_planner *p)
{
    return (struct nn_nested_mark){p->value_count, p->node_count, p->instances,
                                   p->constants->count, p->constants->read_count};
}

void nn_nested_undo(struct nn_planner *p, const struct nn_nested_mark *mark)
{
    p->value_count = mark->values;
    p->node_count = mark->nodes;
    p->instances = mark->instances;
    p->constants->count = mark->constants;
    p->constants->read_count = mark->reads;
}

int nn_nested_fail(const struct nn_planner *p, const struct nn_node *node, int code,
                   const char *what)
{
    return nn_error_set(p->err, code, "node '%.80s' (%s): %s", node->name, node->op->name,
                        what);
}

int nn_nested_resolve(const struct nn_scope *scope, int value)
{
    for (; scope; scope = scope->outer) {
        int own = value - scope->graph->first_value;
        if (own >= 0 && own < scope->graph->value_count)
            return scope->ids[own];
    }
    return value;
}

int nn_nested_open(struct nn_planner *p, const struct nn_graph *graph,
                   const struct nn_scope *outer, struct nn_scope *ret_scope)
{
    int r = nn_planner_reserve(p, graph->value_count);
    if (r < 0)
        return r;
    int *ids = nn_pool_array(&p->scratch, (size_t)graph->value_count, sizeof *ids);
    if (!ids)
        return nn_planner_no_memory(p);
    for (int i = 0; i < graph->value_count; i++) {
        const struct nn_tensor *declared = &graph->values[i].declared;
        ids[i] = declared->data ? nn_planner_add_constant(p, declared)
                                : nn_planner_add_value(p, &(struct nn_tensor){0});
    }
    *ret_scope = (struct nn_scope){.graph = graph, .ids = ids, .outer = outer};
    return 0;
}

struct nn_node *nn_nested_instance(struct nn_planner *p, const struct nn_node *node, int inputs,
                                   int outputs)
{
    struct nn_node *own = nn_pool_alloc(p->pool, sizeof *own);
    int *edges = nn_pool_array(p->pool, (size_t)(inputs + outputs), sizeof *edges);
    if (!own || !edges)
        return NULL;
    *own = *node;
    own->inputs = edges;
    own->outputs = edges + inputs;
    own->input_count = inputs;
    own->output_count = outputs;
    own->capture_count = 0;
    own->number = p->model->node_total + p->instances++;
    return own;
}

int nn_nested_node(struct nn_planner *p, const struct nn_node *node,
                   const struct nn_scope *scope, const struct nn_node **ret_node)
{
    /* Counted also where it is undone: that takes time, too. */
    if (++p->traced > MAX_TRACED)
        return nn_nested_fail(p, node, -E2BIG,
                              "the graphs within the model unfold to too many nodes");
    struct nn_node *own = nn_nested_instance(p, node, node->input_count, node->output_count);
    if (!own)
        return nn_planner_no_memory(p);
    for (int i = 0; i < node->input_count; i++)
        own->inputs[i] = node->inputs[i] == NN_VALUE_NONE
                             ? NN_VALUE_NONE
                             : nn_nested_resolve(scope, node->inputs[i]);
    for (int j = 0; j < node->output_count; j++)
        own->outputs[j] = node->outputs[j] == NN_VALUE_NONE
                              ? NN_VALUE_NONE
                              : nn_nested_resolve(scope, node->outputs[j]);
    *ret_node = own;
    return 0;
}

int nn_nested_hand_on(struct nn_planner *p, const struct nn_node *node, int from, int to)
{
    if (p->values[from].place.kind == NN_PLACE_CONSTANT) {
        p->values[to] = p->values[from];
        return 0;
    }
    struct nn_node *identity = nn_nested_instance(p, node, 1, 1);
    if (!identity)
        return nn_planner_no_memory(p);
    identity->op = &nn_op_identity;
    identity->attribute_count = 0;
    identity->inputs[0] = from;
    identity->outputs[0] = to;
    return nn_trace_node(p, identity);
}

/* --- Bodies ----------------------------------------------------------------------------- */

/* Numbers a body's values from 0. */
struct numbering {
    struct nn_planner *p;
    struct nn_plan_body *body;
    int *local;    /* of each plan value: its number in the body, plus 1 */
    int *captures; /* plan values */
    int start;     /* the first plan value that is the body's */
};

static int number(struct numbering *n, int value)
{
    if (value == NN_VALUE_NONE)
        return NN_VALUE_NONE;
    if (n->local[value] > 0)
        return n->local[value] - 1;
    struct nn_plan_body *body = n->body;
    struct nn_plan_value own = n->p->values[value];
    if (own.place.kind != NN_PLACE_CONSTANT)
        own.place = (struct nn_place){0};
    if (own.place.kind != NN_PLACE_CONSTANT && value < n->start) {
        own.place.kind = NN_PLACE_OUTSIDE;
        own.place.offset = (size_t)(body->input_count + body->capture_count);
        n->captures[body->capture_count++] = value;
    }
    body->values[body->value_count++] = own;
    n->local[value] = body->value_count;
    return body->value_count - 1;
}

static void number_all(struct numbering *n, const struct nn_scope *scope)
{
    struct nn_plan_body *body = n->body;
    for (int i = 0; i < scope->graph->input_count; i++) {
        int own = number(n, nn_nested_resolve(scope, scope->graph->inputs[i]));
        if (body->values[own].place.kind != NN_PLACE_CONSTANT)
            body->values[own].place =
                (struct nn_place){.kind = NN_PLACE_OUTSIDE, .offset = (size_t)i};
    }
    for (int i = 0; i < body->node_count; i++) {
        struct nn_plan_node *node = body->nodes[i];
        node->layer = -1;
        for (int j = 0; j < node->input_count; j++)
            node->inputs[j] = number(n, node->inputs[j]);
        for (int j = 0; j < node->output_count; j++)
            node->outputs[j] = number(n, node->outputs[j]);
    }
    for (int j = 0; j < body->output_count; j++)
        body->outputs[j] = number(n, nn_nested_resolve(scope, scope->graph->outputs[j]));
}

int nn_nested_take(struct nn_planner *p, const struct nn_scope *scope,
                   const struct nn_nested_mark *before, struct nn_plan_body *body,
                   int **ret_captures)
{
    const struct nn_graph *g = scope->graph;
    *body = (struct nn_plan_body){.node_count = p->node_count - before->nodes,
                                  .input_count = g->input_count,
                                  .output_count = g->output_count};
    size_t most = (size_t)(g->input_count + g->output_count);
    for (int i = before->nodes; i < p->node_count; i++)
        most += (size_t)(p->nodes[i]->input_count + p->nodes[i]->output_count);
    body->nodes = nn_pool_array(&p->scratch, (size_t)body->node_count, sizeof *body->nodes);
    body->values = nn_pool_array(&p->scratch, most, sizeof *body->values);
    body->outputs = nn_pool_array(&p->scratch, (size_t)g->output_count, sizeof *body->outputs);
    int *captures = nn_pool_array(&p->scratch, most, sizeof *captures);
    int *local = calloc((size_t)p->value_count + 1, sizeof *local);
    int r = body->nodes && body->values && body->outputs && captures && local
                ? 0
                : nn_planner_no_memory(p);
    if (r == 0) {
        if (body->node_count > 0)
            memcpy(body->nodes, p->nodes + before->nodes,
                   (size_t)body->node_count * sizeof *body->nodes);
        p->node_count = before->nodes;
        struct numbering n = {.p = p,
                              .body = body,
                              .local = local,
                              .captures = captures,
                              .start = before->values};
        number_all(&n, scope);
        *ret_captures = captures;
    }
    free(local);
    return r;
}

int nn_nested_trace(struct nn_planner *p, const struct nn_node *node,
                    const struct nn_scope *scope, const struct nn_nested_mark *before)
{
    if (++p->bodies > MAX_BODIES)
        return nn_nested_fail(p, node, -E2BIG, "too many graphs that only a run decides about");
    int r = nn_trace_graph(p, scope->graph, scope);
    if (r < 0)
        return r;
    int *outputs =
        nn_pool_array(&p->scratch, (size_t)scope->graph->output_count, sizeof *outputs);
    if (!outputs)
        return nn_planner_no_memory(p);
    for (int j = 0; j < scope->graph->output_count; j++)
        outputs[j] = nn_nested_resolve(scope, scope->graph->outputs[j]);
    return nn_trace_drop_unread(p, before->nodes, outputs, scope->graph->output_count);
}

int nn_nested_add(struct nn_planner *p, const struct nn_node *node, const struct nn_op *op,
                  const int *inputs, int input_count, struct nn_plan_body *bodies,
                  int body_count, int *const *captures)
{
    int total = input_count;
    for (int b = 0; b < body_count; b++)
        total += bodies[b].capture_count;
    struct nn_plan_node *own = nn_pool_alloc(&p->scratch, sizeof *own);
    size_t edge_count = (size_t)total + (size_t)node->output_count;
    int *edges = nn_pool_array(&p->scratch, edge_count, sizeof *edges);
    if (!own || !edges)
        return nn_planner_no_memory(p);
    int used = 0;
    for (int i = 0; i < input_count; i++)
        edges[used++] = inputs[i];
    for (int b = 0; b < body_count; b++)
        for (int i = 0; i < bodies[b].capture_count; i++)
            edges[used++] = captures[b][i];
    for (int j = 0; j < node->output_count; j++)
        edges[total + j] = node->outputs[j];
    *own = (struct nn_plan_node){.op = op,
                                 .node = node,
                                 .input_count = total,
                                 .output_count = node->output_count,
                                 .inputs = edges,
                                 .outputs = edges + total,
                                 .body_count = body_count,
                                 .bodies = bodies};
    return nn_trace_add(p, own);
}
