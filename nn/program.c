#include "nn/program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nn/arena.h"
#include "nn/body.h"
#include "nn/constants.h"
#include "nn/plan.h"

enum { LATE_LEAST_BYTES = 4096 };

/* Steps from one that makes a part to the one that joins it. What is made longer before would
 * take up the place of the whole for as long. */
enum { JOIN_STEPS = 32 };

/* Where a value is made in another one, which it is joined to: its bytes there begin at `at`. */
struct join {
    int whole; /* NN_VALUE_NONE: nowhere */
    size_t at;
};

/* Several values may share bytes. The first of them is their root; it counts the reads left
 * of all of them, and its bytes are free when none is left. */
struct builder {
    const struct nn_program_parts *parts;
    struct nn_arena arena;
    int *root;
    int *left;
    int *maker; /* the node that makes each value, of those up to the one at hand; or -1 */
    struct join *joins;
    size_t late_bytes;                  /* the most that a late step prepared */
    struct nn_tensor *inputs, *outputs; /* of the node at hand */
};

static int fail_arena(const struct builder *b, int code)
{
    if (code == -E2BIG)
        return nn_error_set(b->parts->err, code,
                            "activations need more than %zu MiB; use smaller inputs",
                            b->parts->arena_limit_bytes >> 20);
    return nn_error_set(b->parts->err, code, "no memory for the plan");
}

static size_t value_bytes(const struct builder *b, int value)
{
    return nn_tensor_bytes(&b->parts->values[value].tensor);
}

static int place_in_arena(struct builder *b, int value)
{
    struct nn_place *place = &b->parts->values[value].place;
    int64_t count = nn_shape_count(&b->parts->values[value].tensor.shape);
    if (count < 0 || (size_t)count > b->parts->arena_limit_bytes)
        return fail_arena(b, -E2BIG);
    int r = nn_arena_take(&b->arena, value_bytes(b, value), &place->offset);
    if (r < 0)
        return fail_arena(b, r);
    place->kind = NN_PLACE_ARENA;
    return 0;
}

/* One read of a value is over; at the last one its bytes are free. */
static int finish_read(struct builder *b, int value)
{
    int root = b->root[value];
    const struct nn_place *place = &b->parts->values[root].place;
    if (b->left[root] != 0 || place->kind != NN_PLACE_ARENA)
        return 0;
    b->left[root] = -1; /* given back; a second input with the same root must not do it again */
    int r = nn_arena_give_back(&b->arena, place->offset, value_bytes(b, root));
    return r < 0 ? fail_arena(b, r) : 0;
}

static void share(struct builder *b, int value, int with)
{
    struct nn_plan_value *values = b->parts->values;
    int root = b->root[with];
    b->root[value] = root;
    b->left[root] += values[value].reads;
    values[value].place = values[with].place;
}

/* A view gets its input's bytes and needs no step. Not when a second output (Dropout's mask) is
 * read: then forward must run. */
static bool try_view(struct builder *b, const struct nn_plan_node *node)
{
    if (!(node->op->flags & NN_OP_VIEW))
        return false;
    enum nn_place_kind kind = b->parts->values[b->root[node->inputs[0]]].place.kind;
    if (kind != NN_PLACE_ARENA && kind != NN_PLACE_INPUT && kind != NN_PLACE_OUTSIDE)
        return false;
    for (int j = 1; j < node->output_count; j++)
        if (node->outputs[j] != NN_VALUE_NONE && b->parts->values[node->outputs[j]].reads > 0)
            return false;
    share(b, node->outputs[0], node->inputs[0]);
    return true;
}

/* Parts of an input that lie one behind the other get places within it, and need no step. */
static bool try_parts(struct builder *b, const struct nn_plan_node *node)
{
    struct nn_plan_value *values = b->parts->values;
    if (!(node->op->flags & NN_OP_PARTS) || nn_plan_node_is_late(node, values))
        return false;
    const struct nn_plan_value *in = &values[node->inputs[0]];
    if (in->place.kind != NN_PLACE_ARENA && in->place.kind != NN_PLACE_INPUT)
        return false;
    for (int j = 0; j < node->output_count; j++) {
        if (node->outputs[j] == NN_VALUE_NONE)
            return false;
        const struct nn_shape *part = &values[node->outputs[j]].tensor.shape;
        int axis = 0;
        while (axis < part->rank && part->dim[axis] == in->tensor.shape.dim[axis])
            axis++;
        if (axis < part->rank && nn_shape_extent(part, 0, axis) != 1)
            return false;
    }
    size_t offset = 0;
    for (int j = 0; j < node->output_count; j++) {
        share(b, node->outputs[j], node->inputs[0]);
        values[node->outputs[j]].place.offset += offset;
        offset += value_bytes(b, node->outputs[j]);
    }
    return true;
}

bool nn_plan_node_is_late(const struct nn_plan_node *node, const struct nn_plan_value *values)
{
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] != NN_VALUE_NONE && values[node->inputs[i]].tensor.late)
            return true;
    for (int j = 0; j < node->output_count; j++)
        if (node->outputs[j] != NN_VALUE_NONE && values[node->outputs[j]].tensor.late)
            return true;
    return false;
}

/* Shapes that are equal at their most may differ in a run, one operand be repeated for another
 * then. Not where the others are single elements. */
static bool operands_may_differ(const struct builder *b, const struct nn_plan_node *node,
                                int index)
{
    bool late = nn_plan_node_is_late(node, b->parts->values);
    for (int i = 0; i < node->input_count && late; i++) {
        if (i == index || node->inputs[i] == NN_VALUE_NONE)
            continue;
        const struct nn_tensor *t = &b->parts->values[node->inputs[i]].tensor;
        if (t->late || nn_shape_count(&t->shape) != 1)
            return true;
    }
    return false;
}

/* Whether another operand lies in some of the bytes of this one, but not in all of them one by
 * one: writing here would change what is still to be read there. */
static bool overlaps(const struct builder *b, const struct nn_plan_node *node, int value)
{
    const size_t at = b->parts->values[value].place.offset, bytes = value_bytes(b, value);
    for (int i = 0; i < node->input_count; i++) {
        int other = node->inputs[i];
        if (other == NN_VALUE_NONE || b->root[other] != b->root[value])
            continue;
        size_t from = b->parts->values[other].place.offset, length = value_bytes(b, other);
        if (from < at + bytes && at < from + length && (from != at || length != bytes))
            return true;
    }
    return false;
}

static bool try_in_place(struct builder *b, const struct nn_plan_node *node)
{
    if (!(node->op->flags & NN_OP_ELEMENTWISE))
        return false;
    if (b->joins[node->outputs[0]].whole != NN_VALUE_NONE)
        return false;
    const struct nn_tensor *out = &b->parts->values[node->outputs[0]].tensor;
    for (int i = 0; i < node->input_count; i++) {
        int value = node->inputs[i];
        if (value == NN_VALUE_NONE)
            continue;
        const struct nn_plan_value *in = &b->parts->values[value];
        if (in->place.kind == NN_PLACE_ARENA && b->left[b->root[value]] == 0 &&
            in->tensor.type == out->type && nn_shape_equal(&in->tensor.shape, &out->shape) &&
            !operands_may_differ(b, node, i) && !overlaps(b, node, value)) {
            share(b, node->outputs[0], value);
            return true;
        }
    }
    return false;
}

/* Whether the inputs of a node that joins lie one behind the other in its output. */
static bool lies_in_order(const struct nn_shape *part, const struct nn_shape *whole)
{
    for (int d = 0; d < whole->rank && part->dim[d] == whole->dim[d]; d++)
        if (whole->dim[d] > 1)
            return false;
    return true;
}

/* The value whose bytes an input of node `index` has, if it is worth making in the output. */
static int find_part(const struct builder *b, int index, int value)
{
    while (value != NN_VALUE_NONE && b->maker[value] >= 0 &&
           b->maker[value] >= index - JOIN_STEPS) {
        const struct nn_plan_node *node = b->parts->nodes[b->maker[value]];
        if (nn_plan_node_is_late(node, b->parts->values))
            break;
        if (node->op->flags & NN_OP_PARTS)
            break; /* it has its place in what it is a part of */
        if (!(node->op->flags & NN_OP_VIEW))
            return b->joins[value].whole == NN_VALUE_NONE ? value : NN_VALUE_NONE;
        value = node->inputs[0];
    }
    return NN_VALUE_NONE;
}

static void find_parts(struct builder *b, int index)
{
    const struct nn_program_parts *parts = b->parts;
    const struct nn_plan_node *node = parts->nodes[index];
    int whole = node->outputs[0];
    size_t at = 0;
    for (int j = 0; j < node->input_count; j++) {
        int part = find_part(b, index, node->inputs[j]);
        const struct nn_tensor *in = &parts->values[node->inputs[j]].tensor;
        if (part != NN_VALUE_NONE &&
            lies_in_order(&in->shape, &parts->values[whole].tensor.shape))
            b->joins[part] = (struct join){whole, at};
        at += nn_tensor_bytes(in);
    }
}

static void find_joins(struct builder *b)
{
    const struct nn_program_parts *parts = b->parts;
    for (int i = 0; i < parts->value_count; i++) {
        b->joins[i].whole = NN_VALUE_NONE;
        b->maker[i] = -1;
    }
    for (int i = 0; i < parts->node_count; i++) {
        const struct nn_plan_node *node = parts->nodes[i];
        for (int j = 0; j < node->output_count; j++)
            if (node->outputs[j] != NN_VALUE_NONE)
                b->maker[node->outputs[j]] = i;
        if ((node->op->flags & NN_OP_JOINS) && !nn_plan_node_is_late(node, parts->values))
            find_parts(b, i);
    }
}

/* A place in the arena, or in what the value is joined to, which has one from now on. */
static int place_value(struct builder *b, int value)
{
    struct nn_plan_value *values = b->parts->values;
    size_t at = 0;
    int whole = value;
    for (;
         b->joins[whole].whole != NN_VALUE_NONE && values[whole].place.kind == NN_PLACE_NOWHERE;
         whole = b->joins[whole].whole)
        at += b->joins[whole].at;
    int r = values[whole].place.kind == NN_PLACE_NOWHERE ? place_in_arena(b, whole) : 0;
    for (; r == 0 && value != whole; value = b->joins[value].whole) {
        share(b, value, whole);
        values[value].place.offset += at;
        at -= b->joins[value].at;
    }
    return r;
}

static int place_outputs(struct builder *b, const struct nn_plan_node *node)
{
    bool shared = try_in_place(b, node);
    for (int j = 0; j < node->output_count; j++) {
        int value = node->outputs[j];
        if (value == NN_VALUE_NONE || b->parts->values[value].reads == 0 ||
            (shared && j == 0) || b->parts->values[value].place.kind != NN_PLACE_NOWHERE)
            continue;
        int r = place_value(b, value);
        if (r < 0)
            return r;
    }
    return 0;
}

struct nn_op_call nn_plan_node_call(const struct nn_plan_node *node, int opset,
                                    const struct nn_kernels *kernels,
                                    const struct nn_tensor *inputs, struct nn_tensor *outputs,
                                    struct nn_pool *pool, struct nn_error *err)
{
    uint32_t constant = 0;
    for (int i = 0; i < node->input_count && i < 32; i++)
        constant |= inputs[i].data ? UINT32_C(1) << i : 0;
    return (struct nn_op_call){
        .op = node->op,
        .node = node->node,
        .opset = opset,
        .input_count = node->input_count,
        .inputs = inputs,
        .output_count = node->output_count,
        .outputs = outputs,
        .activation = node->activation,
        .activation_alpha = node->activation_alpha,
        .activation_beta = node->activation_beta,
        .pooled = node->pooled,
        .projected = node->projected,
        .constant_inputs = constant,
        .kernels = kernels,
        .threads = 1,
        .pool = pool,
        .err = err,
    };
}

bool nn_outputs_are_empty(const struct nn_tensor *outputs, int count)
{
    int wanted = 0;
    for (int j = 0; j < count; j++) {
        if (outputs[j].type == NN_TYPE_NONE)
            continue;
        if (outputs[j].late || nn_shape_count(&outputs[j].shape) != 0)
            return false;
        wanted++;
    }
    return wanted > 0;
}

int nn_plan_prepare(struct nn_op_call *call)
{
    int r = call->op->prepare ? call->op->prepare(call) : 0;
    if (r == -ENOMEM && call->constants && call->constants->missing)
        return nn_op_fail(call, -EINVAL, "its weights are not in the packed model");
    if (r == -ENOMEM && nn_pool_errno(call->pool) == -E2BIG)
        return nn_op_fail(call, -E2BIG, "its constants need too much memory");
    if (r == -ENOMEM)
        return nn_op_fail(call, r, "no memory");
    return r;
}

static int no_memory(const struct builder *b)
{
    return nn_error_set(b->parts->err, nn_pool_errno(b->parts->pool), "no memory for the plan");
}

/* Where the shapes of a late step's inputs come from. */
static int find_shapes(struct builder *b, const struct nn_plan_node *node, struct nn_step *step)
{
    step->made_by =
        nn_pool_array(b->parts->pool, (size_t)node->input_count, sizeof *step->made_by);
    if (!step->made_by)
        return no_memory(b);
    for (int i = 0; i < node->input_count; i++)
        step->made_by[i] =
            node->inputs[i] == NN_VALUE_NONE ? -1 : b->parts->values[node->inputs[i]].made_by;
    return 0;
}

/* Packs the weights that a late step keeps. What else it prepares now only tells how much that
 * takes. */
static int prepare_late(struct builder *b, struct nn_step *step)
{
    struct nn_pool *pool = b->parts->pool;
    step->call.kept = nn_pool_array(pool, NN_OP_SLOTS, sizeof *step->call.kept);
    if (!step->call.kept)
        return no_memory(b);
    struct nn_pool once;
    nn_pool_init(&once, pool->limit_bytes);
    step->call.pool = &once;
    int r = nn_plan_prepare(&step->call);
    if (once.used_bytes > b->late_bytes)
        b->late_bytes = once.used_bytes;
    nn_pool_finish(&once);
    step->call.state = NULL;
    return r;
}

/* The step's own copy of tensors and places, and what the operator prepares. 1: a step, 0:
 * there is nothing to do. */
static int make_step(struct builder *b, const struct nn_plan_node *node, bool late,
                     struct nn_step *step)
{
    const struct nn_program_parts *parts = b->parts;
    size_t count = (size_t)(node->input_count + node->output_count);
    struct nn_tensor *tensors = nn_pool_array(parts->pool, count, sizeof *tensors);
    step->places = nn_pool_array(parts->pool, count, sizeof *step->places);
    if (!tensors || !step->places)
        return no_memory(b);
    for (size_t i = 0; i < count; i++) {
        int value = i < (size_t)node->input_count
                        ? node->inputs[i]
                        : node->outputs[i - (size_t)node->input_count];
        if (value == NN_VALUE_NONE)
            continue;
        tensors[i] = parts->values[value].tensor;
        step->places[i] = parts->values[value].place;
    }
    if (!node->bodies && nn_outputs_are_empty(tensors + node->input_count, node->output_count))
        return 0;
    step->call = nn_plan_node_call(node, parts->opset, parts->kernels, tensors,
                                   tensors + node->input_count, parts->pool, parts->err);
    step->call.constants = parts->constants;
    step->call.precision = parts->precision;
    step->call.threads = parts->threads;
    /* What the planner made of a layer knows no other shapes. */
    if (late && !node->op->infer && !node->bodies)
        return nn_op_fail(&step->call, -ENOTSUP, "each run would decide its shape");
    size_t before = parts->pool->used_bytes;
    int r = late ? find_shapes(b, node, step) : 0;
    if (r == 0)
        r = node->bodies ? nn_body_prepare(parts, node, &step->call)
            : late       ? prepare_late(b, step)
                         : nn_plan_prepare(&step->call);
    if (node->layer >= 0) {
        parts->layers[node->layer].method = step->call.method;
        parts->layers[node->layer].packed_bytes = parts->pool->used_bytes - before;
    }
    step->call.pool = NULL;
    step->call.constants = NULL;
    step->call.err = NULL;
    return r < 0 ? r : 1;
}

static int build_step(struct builder *b, const struct nn_plan_node *node, bool late,
                      struct nn_program *program)
{
    struct nn_step *step = &program->steps[program->step_count];
    int r = make_step(b, node, late, step);
    if (r <= 0)
        return r;
    int tensor = program->tensor_count + node->input_count;
    program->tensor_count = tensor + node->output_count;
    program->step_count++;
    for (int j = 0; j < node->output_count && late; j++)
        if (node->outputs[j] != NN_VALUE_NONE)
            b->parts->values[node->outputs[j]].made_by = tensor + j;
    if (late && node->output_count > program->late_outputs)
        program->late_outputs = node->output_count;
    size_t bytes = step->call.workspace_bytes;
    r = bytes > 0 ? nn_arena_take(&b->arena, bytes, &step->workspace_offset) : 0;
    if (r == 0 && bytes > 0)
        r = nn_arena_give_back(&b->arena, step->workspace_offset, bytes);
    return r < 0 ? fail_arena(b, r) : 0;
}

static int build_node(struct builder *b, const struct nn_plan_node *node,
                      struct nn_program *program)
{
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] != NN_VALUE_NONE)
            b->left[b->root[node->inputs[i]]]--;
    bool late = nn_plan_node_is_late(node, b->parts->values), view = try_view(b, node);
    if ((view && !late) || try_parts(b, node))
        return 0;
    int r = view ? 0 : place_outputs(b, node);
    if (r == 0)
        r = build_step(b, node, late, program);
    for (int i = 0; i < node->input_count && r == 0; i++)
        if (node->inputs[i] != NN_VALUE_NONE)
            r = finish_read(b, node->inputs[i]);
    return r;
}

static int build_all(struct builder *b, struct nn_program *program)
{
    const struct nn_program_parts *parts = b->parts;
    for (int i = 0; i < parts->value_count; i++) {
        b->root[i] = i;
        b->left[i] = parts->values[i].reads;
        const struct nn_plan_value *value = &parts->values[i];
        bool given = value->place.kind == NN_PLACE_OUTSIDE && value->tensor.late;
        parts->values[i].made_by = given ? -2 - (int)value->place.offset : -1;
    }
    for (int i = 0; i < parts->source_count; i++) {
        int r = place_in_arena(b, parts->sources[i]);
        if (r < 0)
            return r;
    }
    find_joins(b);
    for (int i = 0; i < parts->node_count; i++) {
        int r = build_node(b, parts->nodes[i], program);
        if (r < 0)
            return r;
    }
    return 0;
}

int nn_program_build(const struct nn_program_parts *parts, struct nn_program *ret_program)
{
    struct builder b = {.parts = parts};
    struct nn_program program = {0};
    nn_arena_init(&b.arena, parts->arena_limit_bytes);
    b.root = calloc(3 * (size_t)parts->value_count + 1, sizeof *b.root);
    b.joins = calloc((size_t)parts->value_count + 1, sizeof *b.joins);
    program.steps =
        nn_pool_array(parts->pool, (size_t)parts->node_count, sizeof *program.steps);
    int r;
    if (b.root && b.joins && program.steps) {
        b.left = b.root + parts->value_count;
        b.maker = b.left + parts->value_count;
        r = build_all(&b, &program);
    } else {
        r = nn_error_set(parts->err, b.root && b.joins ? nn_pool_errno(parts->pool) : -ENOMEM,
                         "no memory for the plan");
    }
    program.arena_bytes = b.arena.peak;
    /* Shapes below the most may need a little more of something. */
    program.late_bytes = program.late_outputs > 0 ? 2 * b.late_bytes + LATE_LEAST_BYTES : 0;
    nn_arena_finish(&b.arena);
    free(b.root);
    free(b.joins);
    if (r == 0)
        *ret_program = program;
    return r;
}

void *nn_place_resolve(const struct nn_place *place, void *arena, void *inputs,
                       const struct nn_tensor *outside)
{
    switch (place->kind) {
    case NN_PLACE_CONSTANT:
        return (void *)(uintptr_t)place->constant; /* operators only read their inputs */
    case NN_PLACE_ARENA:
        return (char *)arena + place->offset;
    case NN_PLACE_INPUT:
        return (char *)inputs + place->offset;
    case NN_PLACE_OUTSIDE:
        return outside[place->offset].data;
    case NN_PLACE_NOWHERE:
        break;
    }
    return NULL;
}
