#include "nn/run.h"

#include <errno.h>

#include "nn/arena.h"

static size_t calls_bytes(const struct nn_program *program)
{
    return nn_arena_aligned((size_t)program->step_count * sizeof(struct nn_op_call));
}

static size_t tensors_bytes(const struct nn_program *program)
{
    return nn_arena_aligned((size_t)program->tensor_count * sizeof(struct nn_tensor));
}

static size_t inferred_bytes(const struct nn_program *program)
{
    return nn_arena_aligned((size_t)program->late_outputs * sizeof(struct nn_tensor));
}

size_t nn_run_bytes(const struct nn_program *program)
{
    return calls_bytes(program) + tensors_bytes(program) + inferred_bytes(program) +
           nn_arena_aligned(program->late_bytes);
}

static void bind_step(const struct nn_step *step, struct nn_op_call *call,
                      struct nn_tensor *tensors, void *arena, void *inputs,
                      const struct nn_tensor *outside)
{
    *call = step->call;
    for (int i = 0; i < call->input_count + call->output_count; i++) {
        tensors[i] = i < call->input_count ? step->call.inputs[i]
                                           : step->call.outputs[i - call->input_count];
        tensors[i].data = nn_place_resolve(&step->places[i], arena, inputs, outside);
        /* In a run every shape is known before it is read. */
        tensors[i].late = false;
        tensors[i].most = NULL;
    }
    call->inputs = tensors;
    call->outputs = tensors + call->input_count;
    call->workspace = (char *)arena + step->workspace_offset;
}

void nn_run_bind(struct nn_run *run, const struct nn_program *program, void *memory,
                 void *arena, void *inputs, const struct nn_tensor *outside)
{
    char *at = memory;
    run->program = program;
    run->outside = outside;
    run->rounds = NULL;
    run->threads = NULL;
    run->calls = (void *)at;
    at += calls_bytes(program);
    run->tensors = (void *)at;
    at += tensors_bytes(program);
    run->inferred = (void *)at;
    at += inferred_bytes(program);
    nn_pool_init_fixed(&run->late, at, program->late_bytes);
    struct nn_tensor *tensors = run->tensors;
    for (int s = 0; s < program->step_count; s++) {
        bind_step(&program->steps[s], &run->calls[s], tensors, arena, inputs, outside);
        tensors += run->calls[s].input_count + run->calls[s].output_count;
    }
}

/* Whether output `index` fits where the plan put it: its type and bytes. */
static int check_room(const struct nn_op_call *call, const struct nn_step *step, int index,
                      const struct nn_tensor *made)
{
    const struct nn_tensor *planned = &step->call.outputs[index];
    int64_t count = nn_shape_count(&made->shape), most = nn_shape_count(&planned->shape);
    if (made->type == planned->type && made->shape.rank == planned->shape.rank && count >= 0 &&
        count <= most)
        return 0;
    return nn_op_fail(call, -EINVAL,
                      "output %d has %lld elements in this run; it was planned for %lld", index,
                      (long long)count, (long long)most);
}

/* The output shapes of this run, from its input shapes. */
static int infer_late(struct nn_run *run, const struct nn_step *step, struct nn_op_call *call)
{
    struct nn_tensor *outputs = call->outputs;
    for (int j = 0; j < call->output_count; j++)
        run->inferred[j] = (struct nn_tensor){0};
    call->outputs = run->inferred;
    int r = call->op->infer(call);
    call->outputs = outputs;
    for (int j = 0; j < call->output_count && r == 0; j++) {
        if (!nn_op_wants_output(call, j))
            continue;
        r = check_room(call, step, j, &run->inferred[j]);
        outputs[j].shape = run->inferred[j].shape;
    }
    return r;
}

static int prepare_late(struct nn_run *run, const struct nn_step *step, struct nn_op_call *call)
{
    nn_pool_reset(&run->late);
    call->pool = &run->late;
    call->state = NULL;
    call->workspace_bytes = 0;
    int r = nn_plan_prepare(call);
    call->pool = NULL;
    if (r == 0 && call->workspace_bytes > step->call.workspace_bytes)
        r = nn_op_fail(call, -EINVAL, "needs %zu bytes of scratch in this run; %zu are planned",
                       call->workspace_bytes, step->call.workspace_bytes);
    return r;
}

/* A view whose bytes are its input's has only a shape to get. */
static bool is_shared_view(const struct nn_op_call *call)
{
    if (!(call->op->flags & NN_OP_VIEW) || call->outputs[0].data != call->inputs[0].data)
        return false;
    for (int j = 1; j < call->output_count; j++)
        if (call->outputs[j].data)
            return false;
    return true;
}

struct nn_shape nn_run_shape(const struct nn_run *run, int made_by)
{
    return made_by >= 0 ? run->tensors[made_by].shape : run->outside[-2 - made_by].shape;
}

static int run_late(struct nn_run *run, int index)
{
    const struct nn_step *step = &run->program->steps[index];
    struct nn_op_call *call = &run->calls[index];
    /* call->inputs is a part of run->tensors. */
    struct nn_tensor *inputs = run->tensors + (call->inputs - run->tensors);
    for (int i = 0; i < call->input_count; i++)
        if (step->made_by[i] != -1)
            inputs[i].shape = nn_run_shape(run, step->made_by[i]);
    int r = call->op->infer ? infer_late(run, step, call) : 0;
    if (r == 0 && call->op->infer && nn_outputs_are_empty(run->inferred, call->output_count))
        return 0;
    if (r == 0 && call->op->infer)
        r = prepare_late(run, step, call);
    /* What runs bodies has its shapes from them; where none runs, they are the plan's. */
    for (int j = 0; j < call->output_count && !call->op->infer; j++)
        call->outputs[j].shape = step->call.outputs[j].shape;
    if (r < 0 || is_shared_view(call))
        return r;
    r = call->op->forward(call);
    for (int j = 0; j < call->output_count && r == 0; j++)
        if (nn_op_wants_output(call, j))
            r = check_room(call, step, j, &call->outputs[j]);
    return r;
}

int nn_run_all(struct nn_run *run, struct nn_error *err)
{
    int64_t rounds = NN_RUN_ROUNDS;
    for (int i = 0; i < run->program->step_count; i++) {
        struct nn_op_call *call = &run->calls[i];
        call->err = err;
        call->rounds = run->rounds ? run->rounds : &rounds;
        call->helpers = run->threads;
        int r = run->program->steps[i].made_by ? run_late(run, i) : call->op->forward(call);
        call->err = NULL;
        call->rounds = NULL;
        if (r < 0)
            return r;
    }
    return 0;
}
