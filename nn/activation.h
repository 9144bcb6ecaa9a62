/* Elementwise functions of one float: what Relu, Exp and their like compute, what a planner
 * folds into the node before, and what recurrent cells name. One table for all three.
 *
 * Source: ONNX operators of the same names.
 *
 * Thread: pure functions. */
#ifndef NN_ACTIVATION_H
#define NN_ACTIVATION_H

#include "nn/kernels/kernels.h"
#include "nn/op.h"

struct nn_function_call; /* nn/activation.c */

struct nn_function {
    const char *name; /* ONNX op_type */
    void (*apply)(const struct nn_function_call *c, float *y, const float *x, size_t n);
    const char *alpha_name, *beta_name; /* attributes; NULL: has none */
    float alpha, beta;                  /* when the attribute is absent */
    bool cell;                          /* LSTM, GRU and RNN may name it */
};

/* Indexed by enum nn_activation; [NN_ACTIVATION_NONE] copies. */
extern const struct nn_function nn_functions[NN_ACTIVATION_COUNT];

/* y = f(x), element by element; y may be x. */
void nn_function_run(const struct nn_function *f, const struct nn_kernels *k, float alpha,
                     float beta, float *y, const float *x, size_t n);

/* The function that a node of a row with NN_OP_IS_ACTIVATION computes: the row's variant is its
 * entry in nn_functions. Clip's limits may be inputs instead: not read here. */
enum nn_activation nn_activation_of(const struct nn_op *op, const struct nn_node *node,
                                    float *ret_alpha, float *ret_beta);

/* y = the call's folded activation of x; a copy without one. y may be x. */
void nn_activation_apply(const struct nn_op_call *call, float *y, const float *x, size_t n);

/* Whether the call's activation is no more than min(high, max(low, x)), as those kernels can do
 * that write results; the limits are infinite where there is none. */
bool nn_activation_clamps(const struct nn_op_call *call, float *ret_low, float *ret_high);

/* An activation that LSTM, GRU and RNN name, with its parameters. */
struct nn_cell_activation {
    const struct nn_function *function;
    float alpha, beta;
};

/* In place. */
static inline void nn_cell_activation_apply(const struct nn_cell_activation *a,
                                            const struct nn_kernels *k, float *x, size_t n)
{
    nn_function_run(a->function, k, a->alpha, a->beta, x, x, n);
}

/* What is left of the attributes activation_alpha and activation_beta: the activations of a
 * node consume them in order. */
struct nn_cell_parameters {
    const float *alphas, *betas;
    int alpha_count, beta_count;
};

/* Looks up an activation by ONNX name, in any case. Takes the next alpha and beta when the
 * activation has them and the list is not used up; ONNX's default otherwise.
 * 0, or -ENOTSUP for an unknown name. */
int nn_cell_activation_find(const char *name, struct nn_cell_parameters *parameters,
                            struct nn_cell_activation *ret_activation);

#endif
