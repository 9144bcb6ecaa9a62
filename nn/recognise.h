/* What patterns of recognised operators are found and replaced with (nn/recognise.c). Private to
 * it and to recognise_attention.c.
 *
 * A pattern starts at its last node with no parts (part_count 0) and walks towards the inputs.
 * What it passes becomes a part; the parts go when the pattern is replaced. Until then nothing
 * in the graph has changed. */
#ifndef NN_RECOGNISE_H
#define NN_RECOGNISE_H

#include "nn/planner.h"

/* The most nodes that one pattern replaces. */
enum { NN_RECOGNISE_PARTS = 16 };

struct nn_recogniser {
    struct nn_planner *p;
    int *readers, *producer; /* nn_planner_edges */

    /* Of the pattern at hand: nodes inside it. */
    int parts[NN_RECOGNISE_PARTS];
    int part_count;
    bool failed; /* no memory for a note of what was read */
};

static inline const struct nn_tensor *nn_recognise_tensor(const struct nn_recogniser *r,
                                                          int value)
{
    return &r->p->values[value].tensor;
}

/* The node that makes a value, when it is of that kind and `readers` read the value: all of them
 * the pattern's. It becomes a part. NULL otherwise. */
struct nn_plan_node *nn_recognise_part(struct nn_recogniser *r, int value,
                                       const struct nn_op *op, int readers);

/* `value` = *ret_x · number, by a part that multiplies or divides; itself · 1 otherwise. */
void nn_recognise_factor(struct nn_recogniser *r, int value, int readers, int *ret_x,
                         double *ret_factor);

/* The operator that takes the place of a pattern. */
struct nn_replacement {
    const struct nn_op *op;
    int inputs[4], input_count;
    struct nn_attribute attributes[3];
    int attribute_count;
};

void nn_replacement_int(struct nn_replacement *n, const char *name, int64_t value);
void nn_replacement_float(struct nn_replacement *n, const char *name, float value);

/* A node of the plan with a node of the model's kind to read attributes from, both of which
 * live as long as the plan. It is called as `old` is. NULL: no memory. */
struct nn_plan_node *nn_recognise_node(struct nn_planner *p, const struct nn_replacement *n,
                                       const struct nn_plan_node *old, int output);

/* The node at `index` becomes the new one; the parts are gone. 0 or -ENOMEM. */
int nn_recognise_replace(struct nn_recogniser *r, int index, const struct nn_replacement *n);

/* An attention that ends at the node at `index` is replaced. 0 or a negative errno. */
int nn_recognise_attention(struct nn_recogniser *r, int index);

#endif
