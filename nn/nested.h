/* Graphs within nodes, for nn/control.c: traced into the plan, or taken out of it again as
 * bodies. Private to nn/.
 *
 * Each time a graph is traced, its values become plan values of their own (struct nn_scope).
 * Nodes over plan values are made for it, with numbers of their own. All functions return 0 or
 * a negative errno with p->err written, unless they say otherwise. */
#ifndef NN_NESTED_H
#define NN_NESTED_H

#include "nn/planner.h"

/* What tracing changes, to undo it. */
struct nn_nested_mark {
    int values, nodes, instances;
    size_t constants, reads;
};

struct nn_nested_mark nn_nested_mark(const struct nn_planner *p);
void nn_nested_undo(struct nn_planner *p, const struct nn_nested_mark *mark);

/* Writes "node 'NAME' (OP): WHAT" and returns code. */
int nn_nested_fail(const struct nn_planner *p, const struct nn_node *node, int code,
                   const char *what);

/* The plan value of a value that a graph in `scope` names. */
int nn_nested_resolve(const struct nn_scope *scope, int value);

/* Plan values for all values of a graph. */
int nn_nested_open(struct nn_planner *p, const struct nn_graph *graph,
                   const struct nn_scope *outer, struct nn_scope *ret_scope);

/* A node like `node` with edges of its own, to be filled. NULL without memory. */
struct nn_node *nn_nested_instance(struct nn_planner *p, const struct nn_node *node, int inputs,
                                   int outputs);

/* Plan value `to`, an output of the node, is what `from` is. */
int nn_nested_hand_on(struct nn_planner *p, const struct nn_node *node, int from, int to);

/* Traces a graph that becomes a body; types and shapes of its inputs are there already.
 * `before` is where all that belongs to it begins. */
int nn_nested_trace(struct nn_planner *p, const struct nn_node *node,
                    const struct nn_scope *scope, const struct nn_nested_mark *before);

/* Takes what was traced out of the plan, as a body. *ret_captures: the plan values that it
 * reads besides its inputs. */
int nn_nested_take(struct nn_planner *p, const struct nn_scope *scope,
                   const struct nn_nested_mark *before, struct nn_plan_body *body,
                   int **ret_captures);

/* The planner's own node that runs `bodies`, over `inputs` and then their captures. The tensors
 * of node's outputs are set by the caller. */
int nn_nested_add(struct nn_planner *p, const struct nn_node *node, const struct nn_op *op,
                  const int *inputs, int input_count, struct nn_plan_body *bodies,
                  int body_count, int *const *captures);

#endif
