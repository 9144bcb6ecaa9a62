/* A plan: a model made ready for one input size on this processor.
 *
 * Shapes are inferred, constants folded, Conv+BatchNormalization+activation fused, every
 * activation given an offset in one arena, weights packed for the chosen kernels, and the
 * graph cut on the time axis:
 *
 *     frame part   every node that treats frames independently, and what LSTM, GRU and RNN make
 *                  of one frame's input alone; runs once per frame
 *     window part  from where frames first mix (LSTM, GRU, RNN, a Slice, Concat, Reduce or
 *                  convolution over time); runs once per window over a ring of features
 *
 * The cut follows the time axis through Reshape (folding time into the batch and back, as
 * exporters of Keras' TimeDistributed do), Transpose, Flatten, elementwise operators and
 * per-frame convolutions. A model that mixes frames at once has an empty frame part: the ring
 * then holds its input frames. Either way the result equals the whole-window run to float
 * rounding.
 *
 * Thread: read-only after create; any number of sessions in any threads share it. It is
 * reference counted: sessions hold a reference. */
#ifndef NN_PLAN_H
#define NN_PLAN_H

#include <stdbool.h>

#include "nn/model.h"

struct nn_plan;

enum nn_kernel_choice {
    NN_KERNELS_BEST = 0,      /* the fastest set this processor has */
    NN_KERNELS_REFERENCE = 1, /* scalar, plain loops: what tests and --strict compare with */
};

enum { NN_PLAN_THREADS_MAX = 64 };

struct nn_plan_options {
    /* Shape of every input, in the model's order, without dynamic dimensions; the first (batch)
     * dimension may differ from what the model declares, no other may. NULL: take the model's
     * own, with NN_DIM_DYNAMIC in the first (batch) place read as 1. */
    const struct nn_shape *input_shapes;
    /* Inputs whose values are known already (shapes and axes some exporters feed from outside):
     * one tensor for each input, data NULL for those given at run time; NULL: all are. The
     * bytes are copied, and writing the session's input has no effect. */
    const struct nn_tensor *input_values;
    enum nn_kernel_choice kernels;
    /* The reference kernels always have float32 weights. */
    enum nn_precision precision;
    /* Threads that a run is split over, its own among them; 0 or 1: it is not. At most as many
     * as processors may be used are started, with the first session, and all sessions share
     * them (nn/threads.h): they make one run take less time, not many. Outputs are the same
     * bytes for any number. Up to NN_PLAN_THREADS_MAX. */
    int threads;
    /* Axis of input 0 that is time, or -1 for a plan that only runs whole. With an axis, the
     * input's extent there is the window length and its type must be float32. Batch should be
     * 1: where a graph folds time into a larger batch, frames are no longer apart in memory,
     * and the graph is cut there. */
    int time_axis;
    /* Frames in a window, in place of the extent that the time axis of input 0 has; 0: that
     * extent. Where the model's per-frame part spells its own number of frames out in a
     * Reshape, it is read as this one; all else runs as it is written. What fits the own number
     * only is refused: -EINVAL naming the node, -ENOTSUP naming an output whose shape would
     * change. */
    int window;
    /* Most bytes that the plan's constants may take, and most that the activations of a
     * session may take; 0: 1 GiB each. */
    size_t limit_bytes;
};

/* Returns 0, -EINVAL (shapes do not fit), -ENOTSUP (cannot be planned: the message names node,
 * operator and attribute), -E2BIG (over limit_bytes), -ENOMEM. The plan holds its own
 * reference to the model. options may be NULL: whole run, best kernels, the model's shapes. */
int nn_plan_create(struct nn_model *model, const struct nn_plan_options *options,
                   struct nn_plan **ret_plan, struct nn_error *err);

struct nn_plan *nn_plan_ref(struct nn_plan *plan);
void nn_plan_unref(struct nn_plan *plan); /* NULL is fine */

/* Concrete type and shape of inputs and outputs (of the whole run, one window). */
const struct nn_value_info *nn_plan_input(const struct nn_plan *plan, size_t index);
const struct nn_value_info *nn_plan_output(const struct nn_plan *plan, size_t index);

struct nn_plan_info {
    const char *kernels; /* "scalar", "avx2", ... (nn/kernels/kernels.h): for logs and bench */
    size_t arena_bytes;  /* all memory of one session: inputs, activations, rings, calls */
    size_t weight_bytes; /* packed and folded constants, shared by all sessions */
    double weight_error; /* the largest relative change of a layer's outputs by how its weights
                            * are stored, as measured (nn/ops/dense.h); 0: all are float32 */
    int threads;         /* that a run is split over: those asked for, or the processors */
    int64_t parameters;  /* of all layers: what was learnt, not shapes or indices */
    size_t parameter_bytes; /* that these take as loaded: 4 a float, 1 a quantised weight */
    int window;             /* frames in one window; 0 without a time axis */
    size_t frame_elements;  /* floats of one input frame; 0 without a time axis */
    int frame_nodes;        /* nodes before the cut */
    int window_nodes;       /* nodes after it (all of them, without a time axis) */
};
void nn_plan_describe(const struct nn_plan *plan, struct nn_plan_info *ret_info);

/* A node of the model that the plan runs, for people: what was computed beforehand, or is
 * needed by no output, is not listed. In running order. */
struct nn_plan_layer {
    const char *name, *op; /* as long as the plan */
    enum nn_type type;     /* of its first output; per frame: of one frame */
    struct nn_shape shape;
    /* Elements of the float constants and quantised weights it reads; what several nodes read
     * counts for the first. */
    int64_t parameters;
    size_t parameter_bytes;
    double macs;       /* multiply-accumulates of one run of it (nn/op.h) */
    double frame_macs; /* a recurrent layer behind the cut: those with one frame's input, which
                        * run once per frame and are not counted in macs; else 0 */
    bool per_frame;    /* before the cut: runs once per frame */
    /* How its operator does the work, where it has several ways; else NULL. Static text. */
    const char *method;
    size_t packed_bytes; /* of the plan's memory: its weights in the operator's own layout */
    int fused_into; /* the layer that does its work along with its own; -1: runs by itself */
};
size_t nn_plan_layer_count(const struct nn_plan *plan);
const struct nn_plan_layer *nn_plan_layer(const struct nn_plan *plan, size_t index);

#endif
