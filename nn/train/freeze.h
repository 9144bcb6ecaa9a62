/* What a tensor of a model is made of: the part that stays as it is while the rest learns.
 * Private to nn/train.
 *
 * Thread: pure. */
#ifndef NN_TRAIN_FREEZE_H
#define NN_TRAIN_FREEZE_H

#include "nn/planner.h"

/* Marks the tensor, or what the node of that name makes, and every value of the model's own graph
 * that it depends on; ret_frozen has model->value_count places and is all false. -EINVAL: there is
 * neither. */
int train_freeze(const struct nn_model *model, const char *tensor, bool *ret_frozen,
                 struct nn_error *err);

/* Whether what is marked depends on what the node makes. */
bool train_freeze_has(const struct nn_plan_node *node, const bool *frozen);

/* Marks what the marked values depend on among the nodes of a plan, those of graphs within nodes
 * as well; p->value_count places. */
void train_freeze_nodes(const struct nn_planner *p, bool *frozen);

#endif
