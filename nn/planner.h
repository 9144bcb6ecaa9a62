/* The steps from a model's graph to a plan's programs. Private to nn/.
 *
 *   nn_trace          shapes of every value, constants folded, dead nodes left out
 *   nn_layers_list    what is left to run, listed for people
 *   nn_recognise      operators that exporters take apart put together again
 *   nn_fuse           Conv+BatchNormalization and activations merged into the node before
 *   nn_qdq            steps with integers where the model quantises; what they leave is fused
 *                     again
 *   nn_siblings_merge convolutions of one value that fill tiles together
 *   nn_cut_time       which nodes run per frame, which per window, and what crosses
 *   nn_project        the half of recurrent layers that looks at single frames, moved before
 *                     the cut (called by nn_cut_time, which then finds what crosses)
 *   nn_layers_settle  the list told where each ended
 *
 * All work on one struct nn_planner, in this order. */
#ifndef NN_PLANNER_H
#define NN_PLANNER_H

#include "nn/graph.h"
#include "nn/plan.h"
#include "nn/program.h"

struct nn_constants;
struct nn_rewindow; /* nn/rewindow.h */

struct nn_planner {
    const struct nn_model *model;
    const struct nn_kernels *kernels;
    enum nn_precision precision;
    int threads;
    struct nn_pool *pool; /* the plan's: folded constants, packed weights */
    struct nn_constants *constants;
    struct nn_pool scratch; /* freed when the plan is made */
    struct nn_error *err;

    struct nn_plan_value *values; /* room for value_capacity */
    int value_count, value_capacity;
    struct nn_plan_node **nodes; /* what is left to run, in order */
    int node_count, node_capacity;
    bool may_wait; /* while tracing: a node of the model's own graph, in a plan that rewrites */
    int instances; /* nodes of graphs within the model, each time one was traced */
    int traced;    /* the same, with those that were undone */
    int bodies;    /* such graphs that were left for runs to decide about */

    /* Nodes may be merged and moved. The reference kernels run the graph as it is written, so
     * that a comparison covers this too. */
    bool rewrites;
    const struct nn_rewindow *rewindow; /* NULL: the window is the model's own */

    struct nn_plan_layer *layers; /* the plan's */
    int layer_count;

    /* Of the time cut. */
    int64_t frames;
    int *axis;      /* of each value: time axis, or NN_TIME_NONE */
    bool *in_frame; /* of each node */
    int *crossing;  /* values made per frame and read per window or by the caller */
    int crossing_count;
};

/* The plan values of a graph within a node: values of the model's own graph, where there is no
 * scope, keep their numbers. */
struct nn_scope {
    const struct nn_graph *graph;
    int *ids; /* of each of its values */
    const struct nn_scope *outer;
};

/* values[i].tensor of graph inputs is set by the caller; all else is found here. Behind it
 * there is room for NN_PLANNER_ADDS values for each node, which the later steps may add: the
 * constants of a Conv with BatchNormalization, the keys turned for an attention. */
enum { NN_PLANNER_ADDS = 2 };
int nn_trace(struct nn_planner *p);

/* The parts of it that nn/control.c uses: a graph, all nodes that its outputs need; one node
 * over plan values; a node that is ready; one whose inputs are constants, run now; and the end,
 * where nodes from `first` on whose values nobody reads are left out. */
int nn_trace_graph(struct nn_planner *p, const struct nn_graph *graph,
                   const struct nn_scope *scope);
int nn_trace_node(struct nn_planner *p, const struct nn_node *node);
int nn_trace_add(struct nn_planner *p, struct nn_plan_node *node);
int nn_trace_fold(struct nn_planner *p, struct nn_plan_node *node);
int nn_trace_drop_unread(struct nn_planner *p, int first, const int *outputs, int output_count);

/* A node of a graph within a node, over plan values. If and Loop: traced by what is known of
 * them. */
int nn_nested_node(struct nn_planner *p, const struct nn_node *node,
                   const struct nn_scope *scope, const struct nn_node **ret_node);
bool nn_control_is(const struct nn_op *op);
int nn_control_node(struct nn_planner *p, const struct nn_node *node,
                    const struct nn_scope *scope);

int nn_layers_list(struct nn_planner *p);

/* Says in the list that `into` does the work of `node` from now on. */
void nn_layers_merge(struct nn_planner *p, const struct nn_plan_node *node,
                     const struct nn_plan_node *into);

int nn_recognise(struct nn_planner *p);

int nn_fuse(struct nn_planner *p);

/* The activation that a node is, with its parameters. 1; 0 when a run computes one of them. */
int nn_fuse_activation_of(struct nn_planner *p, const struct nn_plan_node *node,
                          enum nn_activation *ret_activation, float *ret_alpha,
                          float *ret_beta);

int nn_qdq(struct nn_planner *p);

int nn_siblings_merge(struct nn_planner *p);

/* `input` is the value that is fed frame by frame, `axis` its time axis. */
int nn_cut_time(struct nn_planner *p, int input, int axis);

int nn_project(struct nn_planner *p);

void nn_layers_settle(struct nn_planner *p);

/* A tensor's shape for one frame: its extent on the time axis divided by the frames. */
struct nn_tensor nn_planner_frame_tensor(const struct nn_planner *p, int value);

/* Room for `count` more values; p->values may move. */
int nn_planner_reserve(struct nn_planner *p, int count);

/* A new value of the plan, computed at run time or constant; NN_VALUE_NONE when value_capacity
 * is reached. */
int nn_planner_add_value(struct nn_planner *p, const struct nn_tensor *tensor);
int nn_planner_add_constant(struct nn_planner *p, const struct nn_tensor *tensor);

/* Tensors of a node's inputs, for calls. Written to `tensors`. */
void nn_planner_inputs(const struct nn_planner *p, const struct nn_plan_node *node,
                       struct nn_tensor *tensors);

/* Of each value up to value_capacity, how many read it (graph outputs count as one more), and
 * the index of the node that makes it, or -1. */
void nn_planner_edges(const struct nn_planner *p, int *readers, int *producer);

/* Closes the gaps where nodes were taken out (NULL). */
void nn_planner_compact(struct nn_planner *p);

/* The most inputs and outputs, together, that any node has; at least 1. */
size_t nn_planner_widest(const struct nn_planner *p);

int nn_planner_no_memory(struct nn_planner *p);

#endif
