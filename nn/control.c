/* If and Loop. What is known when the plan is made is decided then: the chosen branch stands
 * where the If was, and a loop's rounds stand one after the other, so that everything else of
 * the planner sees a plain graph. What only a run can tell becomes a node of the planner's own
 * that runs bodies (nn/body.h).
 *
 * A graph within a node is traced with values of its own each time; its scope says which plan
 * value each of its values is. */
#include <errno.h>
#include <string.h>

#include "nn/nested.h"
#include "nn/ops/control.h"
#include "nn/run.h"

enum {
    MAX_UNROLLED = 64, /* rounds that are laid out one after the other */
    MAX_UNROLLED_NODES = 4096,
    MAX_ATTEMPTS = 4, /* at the shapes of what goes round */
};

static const struct nn_graph *graph_of(const struct nn_node *node, const char *name)
{
    const struct nn_attribute *attribute = nn_node_attribute(node, name);
    return attribute ? attribute->graph : NULL;
}

static bool is_one(const struct nn_tensor *t, enum nn_type type)
{
    return t->type == type && !t->late && nn_shape_count(&t->shape) == 1;
}

/* Makes `most` what both can be; false when they differ in more than extents. */
static bool widen(struct nn_tensor *most, const struct nn_tensor *other)
{
    if (most->type != other->type || most->shape.rank != other->shape.rank)
        return false;
    most->late |= other->late || !nn_shape_equal(&most->shape, &other->shape);
    for (int d = 0; d < most->shape.rank; d++)
        if (most->shape.dim[d] < other->shape.dim[d])
            most->shape.dim[d] = other->shape.dim[d];
    return true;
}

static int set_output(struct nn_planner *p, const struct nn_node *node, int index,
                      const struct nn_tensor *tensor)
{
    int64_t count = nn_shape_count(&tensor->shape);
    if (tensor->type == NN_TYPE_NONE || count < 0 || count > INT32_MAX)
        return nn_nested_fail(p, node, -E2BIG, "an output would be too large");
    struct nn_plan_value *value = &p->values[node->outputs[index]];
    value->tensor = *tensor;
    value->tensor.data = NULL;
    value->tensor.most = NULL;
    return 0;
}

/* --- If --------------------------------------------------------------------------------- */

static int branch_now(struct nn_planner *p, const struct nn_node *node,
                      const struct nn_graph *graph, const struct nn_scope *outer)
{
    struct nn_scope scope;
    int r = nn_nested_open(p, graph, outer, &scope);
    if (r == 0)
        r = nn_trace_graph(p, graph, &scope);
    for (int j = 0; j < node->output_count && r == 0; j++)
        if (node->outputs[j] != NN_VALUE_NONE)
            r = nn_nested_hand_on(p, node, nn_nested_resolve(&scope, graph->outputs[j]),
                                  node->outputs[j]);
    return r;
}

static int branch_later(struct nn_planner *p, const struct nn_node *node,
                        const struct nn_graph *const *graphs, const struct nn_scope *outer)
{
    struct nn_plan_body *bodies = nn_pool_array(&p->scratch, 2, sizeof *bodies);
    int *captures[2];
    if (!bodies)
        return nn_planner_no_memory(p);
    for (int b = 0; b < 2; b++) {
        struct nn_nested_mark before = nn_nested_mark(p);
        struct nn_scope scope;
        int r = nn_nested_open(p, graphs[b], outer, &scope);
        if (r == 0)
            r = nn_nested_trace(p, node, &scope, &before);
        if (r == 0)
            r = nn_nested_take(p, &scope, &before, &bodies[b], &captures[b]);
        if (r < 0)
            return r;
    }
    for (int j = 0; j < node->output_count; j++) {
        if (node->outputs[j] == NN_VALUE_NONE)
            continue;
        struct nn_tensor most = bodies[0].values[bodies[0].outputs[j]].tensor;
        if (!widen(&most, &bodies[1].values[bodies[1].outputs[j]].tensor))
            return nn_nested_fail(
                p, node, -ENOTSUP,
                "its branches give another type or number of dimensions, and only a "
                "run decides between them");
        int r = set_output(p, node, j, &most);
        if (r < 0)
            return r;
    }
    return nn_nested_add(p, node, &nn_op_branch, node->inputs, 1, bodies, 2, captures);
}

static int trace_if(struct nn_planner *p, const struct nn_node *node,
                    const struct nn_scope *outer)
{
    const struct nn_graph *graphs[] = {graph_of(node, "then_branch"),
                                       graph_of(node, "else_branch")};
    for (int b = 0; b < 2; b++) {
        if (!graphs[b])
            return nn_nested_fail(p, node, -EINVAL, "a branch is missing");
        if (graphs[b]->input_count > 0 || graphs[b]->output_count < node->output_count)
            return nn_nested_fail(p, node, -EINVAL, "a branch has inputs, or too few outputs");
    }
    const struct nn_tensor *condition = &p->values[node->inputs[0]].tensor;
    if (!is_one(condition, NN_TYPE_BOOL))
        return nn_nested_fail(p, node, -EINVAL, "its condition is not one bool");
    if (!condition->data)
        return branch_later(p, node, graphs, outer);
    return branch_now(p, node, graphs[*(const uint8_t *)condition->data ? 0 : 1], outer);
}

/* --- Loop ------------------------------------------------------------------------------- */

struct loop {
    const struct nn_node *node;
    const struct nn_graph *body;
    const struct nn_scope *outer;
    int carried, stacked;
    bool counted; /* a number of rounds is given, ... */
    bool known;   /* ... and known already */
    int64_t most; /* that number, or what bounds it; INT64_MAX: nothing does */
    int begins;   /* 1 or 0; -1: a run decides */
};

static int read_loop(struct nn_planner *p, struct loop *l)
{
    const struct nn_node *node = l->node;
    l->body = graph_of(node, "body");
    if (!l->body)
        return nn_nested_fail(p, node, -EINVAL, "its body is missing");
    l->carried = node->input_count > NN_LOOP_CARRIED ? node->input_count - NN_LOOP_CARRIED : 0;
    l->stacked = l->body->output_count - 1 - l->carried;
    if (l->body->input_count != NN_LOOP_CARRIED + l->carried || l->stacked < 0 ||
        node->output_count > l->carried + l->stacked)
        return nn_nested_fail(p, node, -EINVAL,
                              "its body has other inputs or outputs than it needs");
    for (int i = 0; i < l->carried; i++)
        if (node->inputs[NN_LOOP_CARRIED + i] == NN_VALUE_NONE)
            return nn_nested_fail(p, node, -EINVAL, "a value that goes round is missing");
    l->most = INT64_MAX;
    l->begins = 1;
    int rounds = node->input_count > 0 ? node->inputs[NN_LOOP_ROUND] : NN_VALUE_NONE;
    int begins = node->input_count > 1 ? node->inputs[NN_LOOP_GO_ON] : NN_VALUE_NONE;
    if (rounds != NN_VALUE_NONE) {
        const struct nn_tensor *t = &p->values[rounds].tensor;
        if (!is_one(t, NN_TYPE_INT64))
            return nn_nested_fail(p, node, -EINVAL, "its number of rounds is not one int64");
        const int64_t *most = t->data ? t->data : t->most;
        l->counted = true;
        l->known = t->data != NULL;
        l->most = most ? (*most > 0 ? *most : 0) : INT64_MAX;
    }
    if (begins != NN_VALUE_NONE) {
        const struct nn_tensor *t = &p->values[begins].tensor;
        if (!is_one(t, NN_TYPE_BOOL))
            return nn_nested_fail(p, node, -EINVAL, "its condition is not one bool");
        l->begins = t->data ? *(const uint8_t *)t->data != 0 : -1;
    }
    return 0;
}

static void *one_number(struct nn_planner *p, enum nn_type type, int64_t number)
{
    int64_t *bytes = nn_pool_alloc(p->pool, sizeof *bytes);
    if (bytes && type == NN_TYPE_BOOL)
        *(uint8_t *)bytes = number != 0;
    else if (bytes)
        *bytes = number;
    return bytes;
}

/* A plan value that is a constant of one element. */
static int add_number(struct nn_planner *p, enum nn_type type, int64_t number)
{
    void *bytes = one_number(p, type, number);
    return bytes ? nn_planner_add_constant(p, &(struct nn_tensor){.type = type, .data = bytes})
                 : NN_VALUE_NONE;
}

/* The scope of a round. `carried` are plan values. */
static int open_round(struct nn_planner *p, const struct loop *l, int64_t round,
                      const int *carried, struct nn_scope *scope)
{
    int r = nn_nested_open(p, l->body, l->outer, scope);
    if (r == 0)
        r = nn_planner_reserve(p, 2);
    if (r < 0)
        return r;
    for (int i = 0; i < l->body->input_count; i++) {
        int id = i == NN_LOOP_ROUND   ? add_number(p, NN_TYPE_INT64, round)
                 : i == NN_LOOP_GO_ON ? add_number(p, NN_TYPE_BOOL, 1)
                                      : carried[i - NN_LOOP_CARRIED];
        if (id == NN_VALUE_NONE)
            return nn_planner_no_memory(p);
        scope->ids[l->body->inputs[i] - l->body->first_value] = id;
    }
    return 0;
}

/* Lays rounds out one after the other. 1 when that is done; 0 when only a run can tell how many
 * there are, or there are many. carried: plan values, at the end those of the last round.
 * pieces: of each stacked output, a plan value for each round. */
static int unroll(struct nn_planner *p, const struct loop *l, int *carried, int *pieces,
                  int *ret_rounds)
{
    bool go_on = l->begins == 1;
    int round = 0, before = p->instances;
    for (; round < l->most && go_on; round++) {
        if (round == MAX_UNROLLED || p->instances - before > MAX_UNROLLED_NODES)
            return 0;
        struct nn_scope scope;
        int r = open_round(p, l, round, carried, &scope);
        if (r == 0)
            r = nn_trace_graph(p, l->body, &scope);
        if (r < 0)
            return r;
        const int *outputs = l->body->outputs;
        const struct nn_tensor *condition =
            &p->values[nn_nested_resolve(&scope, outputs[0])].tensor;
        if (!is_one(condition, NN_TYPE_BOOL))
            return nn_nested_fail(p, l->node, -EINVAL, "its condition is not one bool");
        if (!condition->data)
            return 0;
        go_on = *(const uint8_t *)condition->data != 0;
        for (int i = 0; i < l->carried; i++)
            carried[i] = nn_nested_resolve(&scope, outputs[1 + i]);
        for (int k = 0; k < l->stacked; k++)
            pieces[k * MAX_UNROLLED + round] =
                nn_nested_resolve(&scope, outputs[1 + l->carried + k]);
    }
    *ret_rounds = round;
    return round > 0 || l->stacked == 0;
}

static int stack_pieces(struct nn_planner *p, const struct loop *l, const int *pieces,
                        int rounds, int to)
{
    struct nn_node *node = nn_nested_instance(p, l->node, rounds, 1);
    if (!node)
        return nn_planner_no_memory(p);
    node->op = &nn_op_stack;
    node->attribute_count = 0;
    memcpy(node->inputs, pieces, (size_t)rounds * sizeof *pieces);
    node->outputs[0] = to;
    return nn_trace_node(p, node);
}

/* 1: done. 0: a run must do it. */
static int loop_now(struct nn_planner *p, const struct loop *l)
{
    const struct nn_node *node = l->node;
    if (l->begins < 0 || (l->counted && (!l->known || l->most > MAX_UNROLLED)))
        return 0;
    struct nn_nested_mark before = nn_nested_mark(p);
    int rounds = 0;
    int *carried = nn_pool_array(&p->scratch, (size_t)l->carried, sizeof *carried);
    int *pieces = nn_pool_array(&p->scratch, (size_t)l->stacked * MAX_UNROLLED, sizeof *pieces);
    if (!carried || !pieces)
        return nn_planner_no_memory(p);
    for (int i = 0; i < l->carried; i++)
        carried[i] = node->inputs[NN_LOOP_CARRIED + i];
    int r = unroll(p, l, carried, pieces, &rounds);
    if (r == 0)
        nn_nested_undo(p, &before);
    if (r <= 0)
        return r;
    for (int j = 0; j < node->output_count && r >= 0; j++) {
        if (node->outputs[j] == NN_VALUE_NONE)
            continue;
        r = j < l->carried ? nn_nested_hand_on(p, node, carried[j], node->outputs[j])
                           : stack_pieces(p, l, pieces + (j - l->carried) * MAX_UNROLLED,
                                          rounds, node->outputs[j]);
    }
    return r < 0 ? r : 1;
}

/* Traces the body once, for any round; `most` are what goes round, as large as it was seen. 1:
 * no round makes it larger. 0: `most` has grown. */
static int trace_any_round(struct nn_planner *p, const struct loop *l, struct nn_tensor *most,
                           struct nn_scope *scope, const struct nn_nested_mark *before)
{
    int *carried = nn_pool_array(&p->scratch, (size_t)l->carried, sizeof *carried);
    int r = carried ? nn_planner_reserve(p, l->carried) : nn_planner_no_memory(p);
    if (r < 0)
        return r;
    for (int i = 0; i < l->carried; i++)
        carried[i] = nn_planner_add_value(p, &most[i]);
    r = open_round(p, l, 0, carried, scope);
    if (r < 0)
        return r;
    /* Which round it is, a run tells. */
    struct nn_tensor round = {.type = NN_TYPE_INT64};
    if (l->most != INT64_MAX) {
        round.most = one_number(p, NN_TYPE_INT64, l->most > 0 ? l->most - 1 : 0);
        if (!round.most)
            return nn_planner_no_memory(p);
    }
    int id = scope->ids[l->body->inputs[NN_LOOP_ROUND] - l->body->first_value];
    p->values[id] = (struct nn_plan_value){.tensor = round};
    r = nn_nested_trace(p, l->node, scope, before);
    if (r < 0)
        return r;
    if (!is_one(&p->values[nn_nested_resolve(scope, l->body->outputs[0])].tensor, NN_TYPE_BOOL))
        return nn_nested_fail(p, l->node, -EINVAL, "its condition is not one bool");
    bool stable = true;
    for (int i = 0; i < l->carried; i++) {
        struct nn_tensor was = most[i];
        if (!widen(&most[i],
                   &p->values[nn_nested_resolve(scope, l->body->outputs[1 + i])].tensor))
            return nn_nested_fail(
                p, l->node, -ENOTSUP,
                "a value that goes round changes its type or number of dimensions");
        stable &= was.late == most[i].late && nn_shape_equal(&was.shape, &most[i].shape);
    }
    return stable;
}

/* Types and shapes of what the loop gives. */
static int set_loop_outputs(struct nn_planner *p, const struct loop *l,
                            const struct nn_plan_body *body, const struct nn_tensor *carried)
{
    const struct nn_tensor *go_on = &body->values[body->outputs[0]].tensor;
    bool exact = l->known && l->begins == 1 && go_on->data && *(const uint8_t *)go_on->data;
    for (int j = 0; j < l->node->output_count; j++) {
        if (l->node->outputs[j] == NN_VALUE_NONE)
            continue;
        struct nn_tensor whole;
        if (j < l->carried) {
            whole = carried[j];
        } else {
            const struct nn_tensor *piece = &body->values[body->outputs[1 + j]].tensor;
            if (l->most == INT64_MAX)
                return nn_nested_fail(
                    p, l->node, -ENOTSUP,
                    "nothing bounds its number of rounds, nor what it stacks");
            if (piece->shape.rank == NN_MAX_RANK)
                return nn_nested_fail(p, l->node, -ENOTSUP,
                                      "an output has too many dimensions");
            whole =
                (struct nn_tensor){.type = piece->type,
                                   .shape = {.rank = piece->shape.rank + 1, .dim = {l->most}},
                                   .late = piece->late || !exact};
            memcpy(whole.shape.dim + 1, piece->shape.dim,
                   (size_t)piece->shape.rank * sizeof *whole.shape.dim);
        }
        int r = set_output(p, l->node, j, &whole);
        if (r < 0)
            return r;
    }
    return 0;
}

static int loop_later(struct nn_planner *p, const struct loop *l)
{
    const struct nn_node *node = l->node;
    struct nn_tensor *carried = nn_pool_array(&p->scratch, (size_t)l->carried, sizeof *carried);
    struct nn_plan_body *body = nn_pool_alloc(&p->scratch, sizeof *body);
    if (!carried || !body)
        return nn_planner_no_memory(p);
    for (int i = 0; i < l->carried; i++) {
        carried[i] = p->values[node->inputs[NN_LOOP_CARRIED + i]].tensor;
        carried[i].data = NULL;
        carried[i].most = NULL;
    }
    struct nn_nested_mark before = nn_nested_mark(p);
    struct nn_scope scope;
    int *captures, r = 0;
    for (int attempt = 0; r == 0; attempt++) {
        if (attempt == MAX_ATTEMPTS)
            return nn_nested_fail(
                p, node, -ENOTSUP,
                "a value that goes round becomes larger, and nothing bounds it");
        nn_nested_undo(p, &before);
        r = trace_any_round(p, l, carried, &scope, &before);
    }
    if (r > 0)
        r = nn_nested_take(p, &scope, &before, body, &captures);
    if (r < 0)
        return r;
    if (l->known && l->most > NN_RUN_ROUNDS)
        return nn_nested_fail(p, node, -E2BIG, "it has too many rounds");
    body->most_rounds = l->most;
    r = set_loop_outputs(p, l, body, carried);
    int inputs = NN_LOOP_CARRIED + l->carried;
    int *edges = nn_pool_array(&p->scratch, (size_t)inputs, sizeof *edges);
    if (r == 0 && !edges)
        r = nn_planner_no_memory(p);
    for (int i = 0; i < inputs && r == 0; i++)
        edges[i] = i < node->input_count ? node->inputs[i] : NN_VALUE_NONE;
    return r < 0 ? r : nn_nested_add(p, node, &nn_op_repeat, edges, inputs, body, 1, &captures);
}

static int trace_loop(struct nn_planner *p, const struct nn_node *node,
                      const struct nn_scope *outer)
{
    struct loop l = {.node = node, .outer = outer};
    int r = read_loop(p, &l);
    if (r == 0)
        r = loop_now(p, &l);
    return r != 0 ? (r < 0 ? r : 0) : loop_later(p, &l);
}

bool nn_control_is(const struct nn_op *op)
{
    return op == &nn_op_if || op == &nn_op_loop;
}

int nn_control_node(struct nn_planner *p, const struct nn_node *node,
                    const struct nn_scope *scope)
{
    return node->op == &nn_op_if ? trace_if(p, node, scope) : trace_loop(p, node, scope);
}
