/* What the planner makes of If and Loop (nn/control.c). Private to nn/. */
#ifndef NN_OPS_CONTROL_H
#define NN_OPS_CONTROL_H

#include "nn/op.h"

/* Inputs of Loop, and of its body. */
enum { NN_LOOP_ROUND, NN_LOOP_GO_ON, NN_LOOP_CARRIED };

/* Not in the table, since no file can name them. branch and repeat run bodies (nn/body.h);
 * their shapes are the planner's. stack puts tensors of one shape along a new first axis. */
extern const struct nn_op nn_op_branch;
extern const struct nn_op nn_op_repeat;
extern const struct nn_op nn_op_stack;

#endif
