/* Another window length than the one a model was exported for. Private to nn/.
 *
 * An exporter that knows the number of frames writes it into the Reshapes around a per-frame
 * CNN, (-1, 8, 432) where 8 is time. Planned at the model's own length, the time cut says which
 * of a Reshape's numbers are time; planned again, these are replaced. All else runs as it is
 * written, and every output must come out in the shape it had (its time axis longer or shorter
 * where it has one): a graph that means its own length elsewhere is refused. */
#ifndef NN_REWINDOW_H
#define NN_REWINDOW_H

#include "nn/planner.h"

struct nn_rewindow {
    struct nn_pool pool;
    int64_t frames; /* wanted */
    int64_t own;    /* of the model */
    /* For each node of the model: the shape to use in place of input 1, rank 0: its own. */
    struct nn_shape *targets;
    struct nn_shape *outputs; /* for each output of the model */
};

/* From a planner after nn_cut_time at the model's own length. 0, or negative errno with its err
 * written; finish in either case. */
int nn_rewindow_init(struct nn_rewindow *rewindow, int64_t frames, struct nn_planner *survey);
void nn_rewindow_finish(struct nn_rewindow *rewindow);

/* Puts the new target into a node that nn_trace is about to infer. */
int nn_rewindow_apply(const struct nn_rewindow *rewindow, struct nn_planner *p,
                      struct nn_plan_node *node);

/* After nn_trace: do the outputs keep their shapes? -ENOTSUP by name when not. */
int nn_rewindow_check(const struct nn_rewindow *rewindow, struct nn_planner *p);

#endif
