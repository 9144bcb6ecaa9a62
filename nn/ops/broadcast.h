/* What operators of two operands that broadcast share. Private to nn/ops/.
 *
 * Since opset 7 shapes are aligned at the right (NumPy's rule). Before, broadcasting had to be
 * asked for (broadcast=1), and the second operand was aligned at `axis` of the first, which
 * alone gave the result its shape.
 *
 * Source: ONNX, docs/Broadcasting.md; Changelog of Add-1, Add-6, Add-7. */
#ifndef NN_OPS_BROADCAST_H
#define NN_OPS_BROADCAST_H

#include "nn/op.h"
#include "nn/walk.h"

/* The attributes of old opsets; ends with a NULL name. */
extern const struct nn_attribute_rule nn_broadcast_rules[];

/* Writes the shape of output 0. -EINVAL by name when the operands do not broadcast. */
int nn_broadcast_infer(struct nn_op_call *call);

/* The same, and refuses operands of two types. */
int nn_broadcast_infer_alike(struct nn_op_call *call);

/* call->state: a struct nn_walk over output 0 with both operands. */
int nn_broadcast_prepare(struct nn_op_call *call);

bool nn_broadcast_time(const struct nn_op_call *call, const int *in, int *out);

#endif
