/* Graphs within a step: what If and Loop run when only a run can tell what there is to do.
 * Private to nn/.
 *
 * A body is planned as a program of its own (nn/control.c finds what is in it). Its arena and
 * its calls are a part of the step's workspace, and what it is given are the step's inputs: so
 * a body is bound and run within its step's forward, at whatever depth, and the session knows
 * nothing of it.
 *
 * Thread: as nn/op.h says of prepare and forward. */
#ifndef NN_BODY_H
#define NN_BODY_H

#include "nn/program.h"

/* Builds the programs of a control node's bodies; sets the call's state and workspace. */
int nn_body_prepare(const struct nn_program_parts *parts, const struct nn_plan_node *node,
                    struct nn_op_call *call);

/* The programs within a step, for those who look at all constants: NULL beyond the last. And
 * where the outputs of such a program are: NULL beyond the last. */
const struct nn_program *nn_body_program(const struct nn_op_call *call, int index);
const struct nn_place *nn_body_output(const struct nn_op_call *call, int index, int output);

/* Inputs: one bool, then what the first body is given, then what the second is. Runs the first
 * when it is true, the second otherwise; all its outputs are the step's. */
int nn_body_branch(struct nn_op_call *call);

/* ONNX's Loop. Inputs: the number of rounds (absent: no limit), whether to begin (absent: yes),
 * the values that go round, then what the body captures. The body is given the round's number,
 * true, and the values that go round; it gives whether to go on, those values again, and what
 * is stacked round by round. */
int nn_body_repeat(struct nn_op_call *call);

#endif
