/* A loaded model as a rewriter looks at it: who makes a value, who reads it, what is constant.
 * Private to nn/.
 *
 * Thread: plain data. */
#ifndef NN_QUANTIZE_VIEW_H
#define NN_QUANTIZE_VIEW_H

#include "nn/graph.h"

struct nn_view {
    const struct nn_model *model; /* borrowed */
    int *readers;  /* of each value: nodes, graphs within nodes, and the caller for outputs */
    int *producer; /* node, or -1 */
};

int nn_view_init(struct nn_view *view, const struct nn_model *model); /* 0 or -ENOMEM */
void nn_view_finish(struct nn_view *view);

/* An initializer, or what a Constant node holds; NULL for what is computed. */
const struct nn_tensor *nn_view_constant(const struct nn_view *view, int value);

/* The same of a node's input, of float32; NULL too where the node has none. */
const struct nn_tensor *nn_view_floats(const struct nn_view *view, const struct nn_node *node,
                                       int input);

/* The node's input, NN_VALUE_NONE where it has none. */
int nn_view_input(const struct nn_node *node, int input);

/* The node that makes the value, when nothing but one node reads it; else NULL. */
const struct nn_node *nn_view_sole_producer(const struct nn_view *view, int value);

#endif
