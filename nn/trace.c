/* Walks the graph once in order, giving every value its type and shape. A node whose inputs
 * are all constants is run on the spot and its outputs become constants, so that what exporters
 * compute with Shape, Gather, Concat and the like is gone before anything is planned.
 *
 * Where a run decides a shape, such chains remain. Of them it is found out what they give for
 * the largest shapes: the sizes that are computed from sizes are planned by that. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nn/constants.h"
#include "nn/rewindow.h"

enum { MAX_VALUES = 1 << 21 };

int nn_planner_no_memory(struct nn_planner *p)
{
    if (p->constants->missing)
        return nn_error_set(p->err, -EINVAL, "weights are missing in the packed model");
    bool full = p->pool->full || p->scratch.full;
    return nn_error_set(p->err, full ? -E2BIG : -ENOMEM,
                        full ? "the plan's constants need too much memory"
                             : "no memory for the plan");
}

int nn_planner_add_value(struct nn_planner *p, const struct nn_tensor *tensor)
{
    if (p->value_count == p->value_capacity)
        return NN_VALUE_NONE;
    p->values[p->value_count] = (struct nn_plan_value){.tensor = *tensor};
    return p->value_count++;
}

int nn_planner_reserve(struct nn_planner *p, int count)
{
    if (count <= p->value_capacity - p->value_count)
        return 0;
    if (count > MAX_VALUES - p->value_count)
        return nn_error_set(p->err, -E2BIG,
                            "the graphs within the model unfold to too many "
                            "values");
    int capacity = 2 * p->value_capacity;
    if (capacity < p->value_count + count)
        capacity = p->value_count + count;
    struct nn_plan_value *values = nn_pool_array(&p->scratch, (size_t)capacity, sizeof *values);
    if (!values)
        return nn_planner_no_memory(p);
    if (p->value_count > 0)
        memcpy(values, p->values, (size_t)p->value_count * sizeof *values);
    p->values = values;
    p->value_capacity = capacity;
    return 0;
}

int nn_planner_add_constant(struct nn_planner *p, const struct nn_tensor *tensor)
{
    int value = nn_planner_add_value(p, tensor);
    if (value != NN_VALUE_NONE)
        p->values[value].place =
            (struct nn_place){.kind = NN_PLACE_CONSTANT, .constant = tensor->data};
    return value;
}

void nn_planner_inputs(const struct nn_planner *p, const struct nn_plan_node *node,
                       struct nn_tensor *tensors)
{
    for (int i = 0; i < node->input_count; i++)
        tensors[i] = node->inputs[i] == NN_VALUE_NONE ? (struct nn_tensor){0}
                                                      : p->values[node->inputs[i]].tensor;
}

size_t nn_planner_widest(const struct nn_planner *p)
{
    size_t widest = 1;
    for (int i = 0; i < p->node_count; i++) {
        size_t count = (size_t)(p->nodes[i]->input_count + p->nodes[i]->output_count);
        widest = count > widest ? count : widest;
    }
    return widest;
}

void nn_planner_edges(const struct nn_planner *p, int *readers, int *producer)
{
    for (int i = 0; i < p->value_capacity; i++) {
        readers[i] = 0;
        producer[i] = -1;
    }
    for (int i = 0; i < p->model->output_count; i++)
        readers[p->model->outputs[i]]++;
    for (int i = 0; i < p->node_count; i++) {
        const struct nn_plan_node *node = p->nodes[i];
        for (int j = 0; j < node->input_count; j++)
            if (node->inputs[j] != NN_VALUE_NONE)
                readers[node->inputs[j]]++;
        for (int j = 0; j < node->output_count; j++)
            if (node->outputs[j] != NN_VALUE_NONE)
                producer[node->outputs[j]] = i;
    }
}

void nn_planner_compact(struct nn_planner *p)
{
    int kept = 0;
    for (int i = 0; i < p->node_count; i++)
        if (p->nodes[i])
            p->nodes[kept++] = p->nodes[i];
    p->node_count = kept;
}

/* Nodes of a graph that some output of it depends on. */
static int mark_live(const struct nn_graph *g, bool *live)
{
    bool *wanted = calloc((size_t)g->value_count + 1, sizeof *wanted);
    if (!wanted)
        return -ENOMEM;
    int first = g->first_value, end = first + g->value_count;
    for (int i = 0; i < g->output_count; i++)
        if (g->outputs[i] >= first && g->outputs[i] < end)
            wanted[g->outputs[i] - first] = true;
    for (int i = g->node_count - 1; i >= 0; i--) {
        const struct nn_node *node = &g->nodes[i];
        for (int j = 0; j < node->output_count; j++)
            live[i] |= node->outputs[j] != NN_VALUE_NONE && wanted[node->outputs[j] - first];
        for (int j = 0; live[i] && j < node->input_count + node->capture_count; j++)
            if (node->inputs[j] >= first && node->inputs[j] < end)
                wanted[node->inputs[j] - first] = true;
    }
    free(wanted);
    return 0;
}

static bool any_late(const struct nn_op_call *call)
{
    for (int i = 0; i < call->input_count; i++)
        if (call->inputs[i].late)
            return true;
    return false;
}

static bool foldable(const struct nn_op_call *call)
{
    if (call->op->flags & NN_OP_SHAPE_ONLY)
        return !any_late(call);
    for (int i = 0; i < call->input_count; i++)
        if (nn_op_has_input(call, i) && !call->inputs[i].data)
            return false;
    return true;
}

/* Whether the folded node's values are kept as constants of their own (nn/constants.h). */
static bool is_kept(const struct nn_op_call *call, const struct nn_plan_node *node)
{
    for (int j = 0; j < node->output_count; j++)
        if (node->outputs[j] != NN_VALUE_NONE &&
            (call->outputs[j].type != NN_TYPE_FLOAT || call->outputs[j].late))
            return false;
    return true;
}

static void *fold_output(struct nn_planner *p, const struct nn_plan_node *node, int index,
                         size_t bytes, bool kept, bool *ret_fill)
{
    *ret_fill = true;
    return kept ? nn_constants_take(p->constants, node->node, NN_SLOT_OUTPUT + index, bytes,
                                    true, ret_fill)
                : nn_pool_alloc(p->pool, bytes);
}

/* Gives every output its bytes. 1 when they hold their values already, else 0. */
static int make_outputs(struct nn_planner *p, struct nn_op_call *call,
                        const struct nn_plan_node *node, bool kept)
{
    bool there = kept;
    for (int j = 0; j < node->output_count; j++) {
        struct nn_tensor *out = &call->outputs[j];
        if (node->outputs[j] == NN_VALUE_NONE)
            continue;
        bool fill;
        out->data = fold_output(p, node, j, nn_tensor_bytes(out), kept, &fill);
        if (!out->data)
            return nn_planner_no_memory(p);
        there &= !fill;
    }
    return there;
}

/* prepare and forward, over tensors that all have bytes; what is prepared is not kept. */
static int run_now(struct nn_planner *p, struct nn_op_call *call)
{
    struct nn_pool temporary;
    nn_pool_init(&temporary, p->pool->limit_bytes);
    call->pool = &temporary;
    int r = nn_plan_prepare(call);
    if (r == 0) {
        call->workspace = nn_pool_alloc(&temporary, call->workspace_bytes);
        p->scratch.full |= temporary.full;
        if (!call->workspace)
            r = nn_planner_no_memory(p);
    }
    if (r == 0)
        r = call->op->forward(call);
    nn_pool_finish(&temporary);
    return r;
}

static void settle(struct nn_planner *p, int value, const struct nn_tensor *tensor,
                   bool constant)
{
    p->values[value].tensor = *tensor;
    if (constant)
        p->values[value].place =
            (struct nn_place){.kind = NN_PLACE_CONSTANT, .constant = tensor->data};
}

/* Runs the node now: its outputs are constants. */
static int fold(struct nn_planner *p, struct nn_op_call *call, const struct nn_plan_node *node)
{
    bool kept = is_kept(call, node);
    int r = make_outputs(p, call, node, kept);
    if (r != 0)
        return r < 0 ? r : 0;
    bool reads = !kept && !(call->op->flags & NN_OP_SHAPE_ONLY);
    for (int i = 0; i < call->input_count && reads; i++)
        if (call->inputs[i].data &&
            nn_constants_note_read(p->constants, call->inputs[i].data) < 0)
            return nn_planner_no_memory(p);
    r = nn_outputs_are_empty(call->outputs, call->output_count) ? 0 : run_now(p, call);
    for (int j = 0; j < node->output_count; j++)
        call->outputs[j].late = false;
    return r;
}

int nn_trace_fold(struct nn_planner *p, struct nn_plan_node *node)
{
    size_t count = (size_t)(node->input_count + node->output_count);
    struct nn_tensor *tensors = nn_pool_array(&p->scratch, count, sizeof *tensors);
    if (!tensors)
        return nn_planner_no_memory(p);
    struct nn_tensor *outputs = tensors + node->input_count;
    nn_planner_inputs(p, node, tensors);
    for (int j = 0; j < node->output_count; j++)
        if (node->outputs[j] != NN_VALUE_NONE)
            outputs[j] = p->values[node->outputs[j]].tensor;
    struct nn_op_call call =
        nn_plan_node_call(node, p->model->opset, p->kernels, tensors, outputs, p->pool, p->err);
    int r = fold(p, &call, node);
    for (int j = 0; j < node->output_count && r == 0; j++)
        if (node->outputs[j] != NN_VALUE_NONE)
            settle(p, node->outputs[j], &outputs[j], true);
    return r;
}

/* Weights of these may be what integers stand for; others are told what they are now. */
static bool takes_integers(const struct nn_op *op, int input)
{
    return input == 1 && (op == &nn_op_conv || op == &nn_op_gemm || op == &nn_op_matmul);
}

/* A value that waits is needed: as integers, its node is one of the plan's; else it is run. */
static int wait_no_more(struct nn_planner *p, int value, bool integers)
{
    struct nn_plan_node *waiting = value == NN_VALUE_NONE ? NULL : p->values[value].waiting;
    if (!waiting)
        return 0;
    p->values[value].waiting = NULL;
    return integers ? nn_trace_add(p, waiting) : nn_trace_fold(p, waiting);
}

/* Whether the greatest that is known of input values gives the greatest output values. */
static bool passes_bounds(const struct nn_op_call *call)
{
    unsigned flags = call->op->flags;
    if (flags & NN_OP_SHAPE_ONLY)
        return any_late(call);
    bool any = false;
    for (int i = 0; i < call->input_count; i++) {
        const struct nn_tensor *in = &call->inputs[i];
        if (!nn_op_has_input(call, i) || in->data)
            continue;
        if (!in->most || !(flags & NN_OP_GROWS_ALL || (flags & NN_OP_GROWS && i == 0)))
            return false;
        any = true;
    }
    return any;
}

/* Sizes, for whose sake this is done, are integers and few. */
static bool may_be_sizes(const struct nn_tensor *t)
{
    enum { MOST_SIZES = 64 };
    return !t->late && (t->type == NN_TYPE_INT64 || t->type == NN_TYPE_INT32) &&
           nn_shape_count(&t->shape) <= MOST_SIZES;
}

/* Of a node that is left to run: the most its output can be, where that can be told. It is told
 * by running the node over the most that its inputs can be. `inputs` are the call's. */
static int bound_output(struct nn_planner *p, const struct nn_op_call *call,
                        struct nn_tensor *inputs)
{
    if (!passes_bounds(call) || call->output_count != 1 || !may_be_sizes(&call->outputs[0]))
        return 0;
    struct nn_tensor out = call->outputs[0];
    out.data = nn_pool_array(p->pool, (size_t)nn_shape_count(&out.shape), sizeof(int64_t));
    if (!out.data)
        return nn_planner_no_memory(p);
    struct nn_op_call most = *call;
    most.outputs = &out;
    most.err = NULL;
    for (int i = 0; i < call->input_count; i++)
        if (!inputs[i].data)
            inputs[i].data = (void *)(uintptr_t)inputs[i].most; /* only read */
    if (run_now(p, &most) == 0)
        call->outputs[0].most = out.data;
    return 0;
}

static int check_outputs(const struct nn_op_call *call, const struct nn_plan_node *node)
{
    for (int j = 0; j < node->output_count; j++) {
        const struct nn_tensor *out = &call->outputs[j];
        if (node->outputs[j] == NN_VALUE_NONE)
            continue;
        int64_t count = nn_shape_count(&out->shape);
        if (out->type == NN_TYPE_NONE || count < 0 || count > INT32_MAX)
            return nn_op_fail(call, -E2BIG, "output %d would be too large", j);
    }
    return 0;
}

int nn_trace_add(struct nn_planner *p, struct nn_plan_node *node)
{
    if (p->node_count == p->node_capacity) {
        int capacity = p->node_capacity ? 2 * p->node_capacity : 64;
        struct nn_plan_node **nodes =
            nn_pool_array(&p->scratch, (size_t)capacity, sizeof *nodes);
        if (!nodes)
            return nn_planner_no_memory(p);
        if (p->node_count > 0)
            memcpy(nodes, p->nodes, (size_t)p->node_count * sizeof *nodes);
        p->nodes = nodes;
        p->node_capacity = capacity;
    }
    p->nodes[p->node_count++] = node;
    return 0;
}

int nn_trace_node(struct nn_planner *p, const struct nn_node *model_node)
{
    struct nn_plan_node *node = nn_pool_alloc(&p->scratch, sizeof *node);
    size_t count = (size_t)(model_node->input_count + model_node->output_count);
    int *edges = nn_pool_array(&p->scratch, count, sizeof *edges);
    struct nn_tensor *tensors = nn_pool_array(&p->scratch, count, sizeof *tensors);
    if (!node || !edges || !tensors)
        return nn_planner_no_memory(p);
    *node = (struct nn_plan_node){
        .op = model_node->op,
        .node = model_node,
        .input_count = model_node->input_count,
        .output_count = model_node->output_count,
        .inputs = edges,
        .outputs = edges + model_node->input_count,
    };
    for (int i = 0; i < node->input_count; i++)
        node->inputs[i] = model_node->inputs[i];
    for (int j = 0; j < node->output_count; j++)
        node->outputs[j] = model_node->outputs[j];
    int r = p->rewindow ? nn_rewindow_apply(p->rewindow, p, node) : 0;
    for (int i = 0; i < node->input_count && r == 0; i++)
        r = wait_no_more(p, node->inputs[i], p->may_wait && takes_integers(node->op, i));
    if (r < 0)
        return r;

    nn_planner_inputs(p, node, tensors);
    struct nn_op_call call = nn_plan_node_call(node, p->model->opset, p->kernels, tensors,
                                               tensors + node->input_count, p->pool, p->err);
    r = node->op->infer(&call);
    for (int j = 0; j < node->output_count; j++)
        call.outputs[j].late |= any_late(&call) && !(node->op->flags & NN_OP_SHAPE_ONLY);
    if (r == 0)
        r = check_outputs(&call, node);
    bool constant = r == 0 && foldable(&call);
    bool waits = constant && p->may_wait && node->op == &nn_op_dequantize_linear;
    constant &= !waits;
    if (constant)
        r = fold(p, &call, node);
    else if (r == 0 && !waits)
        r = bound_output(p, &call, tensors);
    if (r < 0)
        return r;
    for (int j = 0; j < node->output_count; j++) {
        if (node->outputs[j] == NN_VALUE_NONE)
            continue;
        settle(p, node->outputs[j], &call.outputs[j], constant);
        p->values[node->outputs[j]].waiting = waits ? node : NULL;
    }
    return constant || waits ? 0 : nn_trace_add(p, node);
}

int nn_trace_drop_unread(struct nn_planner *p, int first, const int *outputs, int output_count)
{
    bool *wanted = calloc((size_t)p->value_count + 1, sizeof *wanted);
    if (!wanted)
        return nn_planner_no_memory(p);
    for (int i = 0; i < output_count; i++)
        wanted[outputs[i]] = true;
    int kept = p->node_count;
    for (int i = p->node_count - 1; i >= first; i--) {
        struct nn_plan_node *node = p->nodes[i];
        bool live = false;
        for (int j = 0; j < node->output_count; j++)
            live |= node->outputs[j] != NN_VALUE_NONE && wanted[node->outputs[j]];
        for (int j = 0; live && j < node->input_count; j++)
            if (node->inputs[j] != NN_VALUE_NONE)
                wanted[node->inputs[j]] = true;
        if (live)
            p->nodes[--kept] = node;
    }
    if (kept < p->node_count)
        memmove(p->nodes + first, p->nodes + kept,
                (size_t)(p->node_count - kept) * sizeof *p->nodes);
    p->node_count -= kept - first;
    free(wanted);
    return 0;
}

/* A node as the plan has it: of the model's own graph it is the model's. */
static int trace_any(struct nn_planner *p, const struct nn_node *node,
                     const struct nn_scope *scope)
{
    int r = scope ? nn_nested_node(p, node, scope, &node) : 0;
    if (r < 0)
        return r;
    p->may_wait = p->rewrites && !scope;
    if (!nn_control_is(node->op))
        return nn_trace_node(p, node);
    for (int i = 0; i < node->input_count + node->capture_count && r == 0; i++)
        r = wait_no_more(p, node->inputs[i], false);
    return r < 0 ? r : nn_control_node(p, node, scope);
}

int nn_trace_graph(struct nn_planner *p, const struct nn_graph *graph,
                   const struct nn_scope *scope)
{
    bool *live = calloc((size_t)graph->node_count + 1, sizeof *live);
    int r = live && mark_live(graph, live) == 0 ? 0 : nn_planner_no_memory(p);
    for (int i = 0; i < graph->node_count && r == 0; i++)
        if (live[i])
            r = trace_any(p, &graph->nodes[i], scope);
    free(live);
    return r;
}

int nn_trace(struct nn_planner *p)
{
    const struct nn_model *m = p->model;
    struct nn_graph graph = {.node_count = m->node_count,
                             .nodes = m->nodes,
                             .value_count = m->value_count,
                             .values = m->values,
                             .output_count = m->output_count,
                             .outputs = m->outputs};
    int r = nn_trace_graph(p, &graph, NULL);
    for (int i = 0; i < m->output_count && r == 0; i++)
        r = wait_no_more(p, m->outputs[i], false);
    /* After folding, nodes that only fed folded ones (Shape of a value) are dead, too. */
    if (r == 0)
        r = nn_trace_drop_unread(p, 0, m->outputs, m->output_count);
    return r < 0 ? r : nn_planner_reserve(p, NN_PLANNER_ADDS * p->node_count);
}
