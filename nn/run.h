/* Running a program: its calls over the memory of one session. Private to nn/.
 *
 * Steps whose shapes are known are called as they were prepared. A late step is inferred with
 * the shapes of this run, held against the room the plan gave it, prepared with memory from the
 * session, and then called.
 *
 * Nothing here allocates, locks or logs. Thread: one at a time. */
#ifndef NN_RUN_H
#define NN_RUN_H

#include "nn/program.h"

/* Most rounds that all loops of a run have together. */
#define NN_RUN_ROUNDS ((int64_t)1 << 20)

struct nn_run {
    const struct nn_program *program;
    struct nn_op_call *calls;        /* one for each step */
    struct nn_tensor *tensors;       /* of all calls: inputs, then outputs, call by call */
    struct nn_tensor *inferred;      /* outputs of the late step at hand */
    struct nn_pool late;             /* what it prepares */
    int64_t *rounds;                 /* that are left; NULL: this is not within a loop's run */
    struct nn_threads *threads;      /* that help with this run; NULL: none */
    const struct nn_tensor *outside; /* of a body: what it is given */
};

/* Memory that nn_run_bind wants, 64-byte aligned, beside the arena and the inputs. */
size_t nn_run_bytes(const struct nn_program *program);

/* Resolves every place. The memory is borrowed for as long as the run is used, and so is
 * `outside`, what a body is given: its data must not move, its shapes may change between runs
 * as far as they are late. NULL for others. */
void nn_run_bind(struct nn_run *run, const struct nn_program *program, void *memory,
                 void *arena, void *inputs, const struct nn_tensor *outside);

/* The shape that the last run gave a late value (nn_plan_value.made_by, not -1). */
struct nn_shape nn_run_shape(const struct nn_run *run, int made_by);

/* All steps in order. 0, or -EINVAL with err written: a value computed on the way is
 * impossible, or larger than the plan has room for. */
int nn_run_all(struct nn_run *run, struct nn_error *err);

#endif
