#include "nn/body.h"

#include <errno.h>
#include <string.h>

#include "nn/arena.h"
#include "nn/graph.h"
#include "nn/ops/control.h"
#include "nn/run.h"

struct output {
    struct nn_tensor tensor; /* data: constants only */
    struct nn_place place;
    int made_by;
};

struct body {
    struct nn_program program;
    int input_count, capture_count, output_count;
    struct output *outputs;
};

/* What forward reads. Offsets are into the workspace. */
struct control {
    int count;
    struct body bodies[2];
    size_t run, arena; /* of whichever body runs */

    /* Of nn_body_repeat. */
    int carried;
    size_t outside;  /* the tensors that the body is given */
    size_t next;     /* the values that go round, as the body gave them */
    size_t *buffers; /* of each input of the body, then of each value in `next` */
    int64_t most;    /* rounds that are planned */
};

/* --- Planning --------------------------------------------------------------------------- */

static void count_reads(const struct nn_plan_body *from)
{
    for (int i = 0; i < from->node_count; i++)
        for (int j = 0; j < from->nodes[i]->input_count; j++)
            if (from->nodes[i]->inputs[j] != NN_VALUE_NONE)
                from->values[from->nodes[i]->inputs[j]].reads++;
    for (int j = 0; j < from->output_count; j++)
        from->values[from->outputs[j]].reads++;
}

static int build_body(const struct nn_program_parts *parts, const struct nn_plan_body *from,
                      struct body *body)
{
    count_reads(from);
    struct nn_program_parts inner = {
        .nodes = (const struct nn_plan_node *const *)from->nodes,
        .node_count = from->node_count,
        .values = from->values,
        .value_count = from->value_count,
        .opset = parts->opset,
        .kernels = parts->kernels,
        .precision = parts->precision,
        .threads = parts->threads,
        .pool = parts->pool,
        .constants = parts->constants,
        .arena_limit_bytes = parts->arena_limit_bytes,
        .err = parts->err,
    };
    int r = nn_program_build(&inner, &body->program);
    body->input_count = from->input_count;
    body->capture_count = from->capture_count;
    body->output_count = from->output_count;
    body->outputs =
        nn_pool_array(parts->pool, (size_t)from->output_count, sizeof *body->outputs);
    if (r == 0 && !body->outputs)
        r = nn_error_set(parts->err, nn_pool_errno(parts->pool), "no memory for the plan");
    for (int j = 0; j < from->output_count && r == 0; j++) {
        const struct nn_plan_value *value = &from->values[from->outputs[j]];
        body->outputs[j] = (struct output){value->tensor, value->place, value->made_by};
    }
    return r;
}

/* A piece at the end of the workspace. */
static size_t take(size_t *used, size_t bytes)
{
    size_t at = *used;
    *used = nn_arena_aligned(at + bytes);
    return at;
}

/* The workspace of a loop: what the body is given, which it must not write, and what it gives,
 * which may lie in what it is given. */
static int lay_out_loop(struct control *c, const struct nn_plan_body *from,
                        const struct nn_program_parts *parts, struct nn_op_call *call,
                        size_t *used)
{
    size_t given = (size_t)(from->input_count + from->capture_count);
    c->carried = from->input_count - NN_LOOP_CARRIED;
    c->buffers = nn_pool_array(parts->pool, (size_t)(from->input_count + c->carried),
                               sizeof *c->buffers);
    if (!c->buffers)
        return nn_error_set(parts->err, nn_pool_errno(parts->pool), "no memory for the plan");
    c->outside = take(used, given * sizeof(struct nn_tensor));
    c->next = take(used, (size_t)c->carried * sizeof(struct nn_tensor));
    for (int i = 0; i < from->input_count; i++)
        c->buffers[i] = take(used, nn_tensor_bytes(&from->values[i].tensor));
    for (int i = 0; i < c->carried; i++)
        c->buffers[from->input_count + i] =
            take(used, nn_tensor_bytes(&from->values[NN_LOOP_CARRIED + i].tensor));
    c->most = from->most_rounds;
    if (*used > parts->arena_limit_bytes)
        return nn_op_fail(call, -E2BIG, "what goes round needs too much memory");
    return 0;
}

int nn_body_prepare(const struct nn_program_parts *parts, const struct nn_plan_node *node,
                    struct nn_op_call *call)
{
    struct control *c = nn_pool_alloc(parts->pool, sizeof *c);
    if (!c)
        return nn_error_set(parts->err, nn_pool_errno(parts->pool), "no memory for the plan");
    size_t used = 0, run = 0, arena = 0;
    int r = 0;
    c->count = node->body_count;
    for (int i = 0; i < c->count && r == 0; i++) {
        r = build_body(parts, &node->bodies[i], &c->bodies[i]);
        size_t bytes = nn_run_bytes(&c->bodies[i].program);
        run = bytes > run ? bytes : run;
        bytes = c->bodies[i].program.arena_bytes;
        arena = bytes > arena ? bytes : arena;
    }
    if (r == 0 && call->op == &nn_op_repeat)
        r = lay_out_loop(c, &node->bodies[0], parts, call, &used);
    c->run = take(&used, run);
    c->arena = take(&used, arena);
    call->state = c;
    call->workspace_bytes = used;
    return r;
}

const struct nn_program *nn_body_program(const struct nn_op_call *call, int index)
{
    const struct control *c = call->state;
    bool control = call->op == &nn_op_branch || call->op == &nn_op_repeat;
    return control && index < c->count ? &c->bodies[index].program : NULL;
}

const struct nn_place *nn_body_output(const struct nn_op_call *call, int index, int output)
{
    const struct body *body = &((const struct control *)call->state)->bodies[index];
    return output < body->output_count ? &body->outputs[output].place : NULL;
}

/* --- Running ---------------------------------------------------------------------------- */

static void bind(const struct nn_op_call *call, const struct body *body, struct nn_run *run,
                 const struct nn_tensor *outside)
{
    const struct control *c = call->state;
    char *workspace = call->workspace;
    nn_run_bind(run, &body->program, workspace + c->run, workspace + c->arena, NULL, outside);
    run->rounds = call->rounds;
    run->threads = call->helpers;
}

/* What the body gave. */
static struct nn_tensor result(const struct nn_op_call *call, const struct body *body,
                               const struct nn_run *run, int index)
{
    const struct control *c = call->state;
    const struct output *from = &body->outputs[index];
    struct nn_tensor t = from->tensor;
    if (from->made_by != -1)
        t.shape = nn_run_shape(run, from->made_by);
    t.data =
        nn_place_resolve(&from->place, (char *)call->workspace + c->arena, NULL, run->outside);
    return t;
}

static void copy(struct nn_tensor *to, const struct nn_tensor *from)
{
    size_t bytes = nn_tensor_bytes(from);
    to->shape = from->shape;
    if (bytes > 0)
        memcpy(to->data, from->data, bytes);
}

int nn_body_branch(struct nn_op_call *call)
{
    const struct control *c = call->state;
    int chosen = *(const uint8_t *)call->inputs[0].data ? 0 : 1;
    const struct body *body = &c->bodies[chosen];
    struct nn_run run;
    bind(call, body, &run, call->inputs + 1 + (chosen ? c->bodies[0].capture_count : 0));
    int r = nn_run_all(&run, call->err);
    for (int j = 0; j < call->output_count && r == 0; j++) {
        struct nn_tensor from = result(call, body, &run, j);
        /* The planner made room for the larger of both. */
        if (call->outputs[j].data)
            copy(&call->outputs[j], &from);
    }
    return r;
}

/* The first round's inputs. */
static struct nn_tensor *begin(const struct nn_op_call *call, const struct body *body)
{
    const struct control *c = call->state;
    char *workspace = call->workspace;
    struct nn_tensor *outside = (void *)(workspace + c->outside);
    struct nn_tensor *next = (void *)(workspace + c->next);
    outside[NN_LOOP_ROUND] = (struct nn_tensor){.type = NN_TYPE_INT64};
    outside[NN_LOOP_GO_ON] = (struct nn_tensor){.type = NN_TYPE_BOOL};
    for (int i = 0; i < body->input_count + body->capture_count; i++) {
        if (i >= NN_LOOP_CARRIED)
            outside[i] = call->inputs[i];
        if (i >= body->input_count)
            continue;
        outside[i].data = workspace + c->buffers[i];
        if (i < NN_LOOP_CARRIED)
            continue;
        copy(&outside[i], &call->inputs[i]);
        next[i - NN_LOOP_CARRIED] = outside[i];
        next[i - NN_LOOP_CARRIED].data =
            workspace + c->buffers[body->input_count + i - NN_LOOP_CARRIED];
    }
    *(uint8_t *)outside[NN_LOOP_GO_ON].data = 1;
    return outside;
}

/* Adds what a round gave to what is stacked. */
static int stack(struct nn_op_call *call, int index, int64_t round,
                 const struct nn_tensor *piece)
{
    struct nn_tensor *to = &call->outputs[index];
    struct nn_shape whole = {.rank = piece->shape.rank + 1, .dim = {round + 1}};
    memcpy(whole.dim + 1, piece->shape.dim, (size_t)piece->shape.rank * sizeof *whole.dim);
    for (int d = 1; d < whole.rank && round > 0; d++)
        if (whole.dim[d] != to->shape.dim[d])
            return nn_op_fail(call, -EINVAL, "output %d has another shape in round %lld", index,
                              (long long)round);
    to->shape = whole;
    size_t bytes = nn_tensor_bytes(piece);
    if (bytes > 0)
        memcpy((char *)to->data + (size_t)round * bytes, piece->data, bytes);
    return 0;
}

static int end_round(struct nn_op_call *call, const struct body *body, const struct nn_run *run,
                     struct nn_tensor *outside, int64_t round, bool *ret_go_on)
{
    const struct control *c = call->state;
    struct nn_tensor *next = (void *)((char *)call->workspace + c->next);
    *ret_go_on = *(const uint8_t *)result(call, body, run, 0).data != 0;
    for (int j = 1 + c->carried; j < body->output_count; j++) {
        struct nn_tensor piece = result(call, body, run, j);
        int r = j - 1 < call->output_count && call->outputs[j - 1].data
                    ? stack(call, j - 1, round, &piece)
                    : 0;
        if (r < 0)
            return r;
    }
    /* In two steps: a value may come back in the place of another. */
    for (int i = 0; i < c->carried; i++) {
        struct nn_tensor from = result(call, body, run, 1 + i);
        copy(&next[i], &from);
    }
    for (int i = 0; i < c->carried; i++)
        copy(&outside[NN_LOOP_CARRIED + i], &next[i]);
    return 0;
}

int nn_body_repeat(struct nn_op_call *call)
{
    const struct control *c = call->state;
    const struct body *body = &c->bodies[0];
    int64_t rounds = INT64_MAX, round = 0;
    bool go_on = true;
    if (nn_op_has_input(call, NN_LOOP_ROUND))
        rounds = *(const int64_t *)call->inputs[NN_LOOP_ROUND].data;
    if (nn_op_has_input(call, NN_LOOP_GO_ON))
        go_on = *(const uint8_t *)call->inputs[NN_LOOP_GO_ON].data != 0;
    struct nn_tensor *outside = begin(call, body);
    struct nn_run run;
    bind(call, body, &run, outside);
    for (int j = c->carried; j < call->output_count; j++)
        call->outputs[j].shape.dim[0] = 0;
    for (; round < rounds && go_on; round++) {
        if (round == c->most || *call->rounds == 0)
            return nn_op_fail(call, -EINVAL, "round %lld is one more than %s", (long long)round,
                              round == c->most ? "was planned" : "a run may have");
        --*call->rounds;
        *(int64_t *)outside[NN_LOOP_ROUND].data = round;
        int r = nn_run_all(&run, call->err);
        if (r == 0)
            r = end_round(call, body, &run, outside, round, &go_on);
        if (r < 0)
            return r;
    }
    for (int i = 0; i < c->carried && i < call->output_count; i++)
        if (call->outputs[i].data)
            copy(&call->outputs[i], &outside[NN_LOOP_CARRIED + i]);
    return 0;
}
