/* A straight line of operator calls over one arena: what a plan runs. Private to nn/.
 *
 * A plan has one program (whole run) or two (per frame, per window). Building it decides where
 * every value lives: views share their input's bytes, parts that lie one behind the other have
 * places in them, elementwise operators write over an input that nobody reads again, what is
 * joined soon is made at its place in the whole, and everything else gets a place in the arena
 * for as long as it is read.
 *
 * Late values (nn_tensor.late) have places for the most they can be. A step that reads or makes
 * one is late: whoever runs the program infers and prepares it again with the shapes of the run
 * (nn/run.h). */
#ifndef NN_PROGRAM_H
#define NN_PROGRAM_H

#include "nn/op.h"
#include "nn/pool.h"

enum nn_place_kind {
    NN_PLACE_NOWHERE = 0, /* not computed, or nobody reads it */
    NN_PLACE_CONSTANT,    /* bytes in the plan or the model */
    NN_PLACE_ARENA,       /* offset in the arena that the session's programs share */
    NN_PLACE_INPUT,       /* offset in the session's input buffer; never written by a program */
    NN_PLACE_OUTSIDE,     /* of a body: tensor number `offset` of what it is given */
};

struct nn_place {
    enum nn_place_kind kind;
    size_t offset;
    const void *constant;
};

struct nn_plan_node;

/* A value of a plan; model values keep their number, rewriting adds more. */
struct nn_plan_value {
    struct nn_tensor tensor; /* data: constants only */
    int reads;               /* by nodes of this program, and by whoever wants it at the end */
    struct nn_place place;
    /* While tracing: the DequantizeLinear of constants that makes it, not run and not yet among
     * the nodes, because its reader may want the integers. */
    struct nn_plan_node *waiting;
    /* After building, of a late value: the program's tensor that a run gives its shape; less
     * than -1: a body is given it, as tensor -2 - made_by. -1: neither. */
    int made_by;
};

/* A node as planned: the model's, or several fused into one. */
struct nn_plan_node {
    const struct nn_op *op;
    const struct nn_node *node;
    int input_count, output_count;
    int *inputs, *outputs; /* plan values or NN_VALUE_NONE */
    enum nn_activation activation;
    float activation_alpha, activation_beta;
    bool pooled, projected; /* see nn_op_call */
    int layer; /* which of the plan's layers it is; -1: none, the planner made it */

    /* Of the planner's own control nodes (nn/control.c), else none. */
    int body_count;
    struct nn_plan_body *bodies;
};

/* A graph within a node, to run when and as often as a run decides. Its values have numbers of
 * their own; those it is given, inputs first, have places outside. */
struct nn_plan_body {
    int node_count;
    struct nn_plan_node **nodes;
    int value_count;
    struct nn_plan_value *values;
    int input_count;
    int capture_count; /* what it reads of the graphs around it */
    int output_count;
    int *outputs;        /* values */
    int64_t most_rounds; /* of a loop's; INT64_MAX: nothing bounds them */
};

struct nn_step {
    struct nn_op_call call;  /* inputs, outputs: types and shapes; data is each session's */
    struct nn_place *places; /* of inputs, then outputs */
    size_t workspace_offset;
    int *made_by; /* late steps: of each input (nn_plan_value); NULL: all shapes are known */
};

struct nn_program {
    int step_count;
    int tensor_count; /* inputs and outputs of all steps */
    size_t arena_bytes;
    struct nn_step *steps;

    /* Of late steps, the most that any needs. */
    int late_outputs;
    size_t late_bytes; /* of what prepare makes in a run */
};

struct nn_plan_layer; /* nn/plan.h */

struct nn_program_parts {
    const struct nn_plan_node *const *nodes; /* in running order */
    int node_count;
    /* Values of the program, its own copy: shapes may be those of one frame. Those with a
     * place (constants, inputs) keep it. Values read at the end have one read too many. */
    struct nn_plan_value *values;
    int value_count;
    /* Values in the arena before the first step. */
    const int *sources;
    int source_count;
    int opset;
    const struct nn_kernels *kernels;
    enum nn_precision precision;
    int threads; /* that a run may use */
    struct nn_pool *pool;
    struct nn_constants *constants;
    struct nn_plan_layer *layers; /* told the method of each operator */
    size_t arena_limit_bytes;
    struct nn_error *err;
};

/* Places values, prepares every step. 0 or negative errno with err written. */
int nn_program_build(const struct nn_program_parts *parts, struct nn_program *ret_program);

/* Where a place is in a session. `outside`: what a body is given, else NULL. */
void *nn_place_resolve(const struct nn_place *place, void *arena, void *inputs,
                       const struct nn_tensor *outside);

/* Fills a call for one node over tensors given by the caller; infer, prepare, time and forward
 * of constant folding start from it. */
struct nn_op_call nn_plan_node_call(const struct nn_plan_node *node, int opset,
                                    const struct nn_kernels *kernels,
                                    const struct nn_tensor *inputs, struct nn_tensor *outputs,
                                    struct nn_pool *pool, struct nn_error *err);

/* Whether each run decides a shape that the node reads or makes. */
bool nn_plan_node_is_late(const struct nn_plan_node *node, const struct nn_plan_value *values);

/* Whether an operator that wrote these outputs would write nothing: each it is asked for has a
 * dimension of 0, whatever the run. What the others are may be anything, so that going through
 * them would take hours: such nodes are not run. */
bool nn_outputs_are_empty(const struct nn_tensor *outputs, int count);

/* The operator's prepare, if it has one, with a message where memory is short. */
int nn_plan_prepare(struct nn_op_call *call);

#endif
