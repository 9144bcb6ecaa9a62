/* Activations: what a planner folds into the node before, and what recurrent cells name.
 *
 * Thread: pure functions. */
#ifndef NN_ACTIVATION_H
#define NN_ACTIVATION_H

#include "nn/kernels/kernels.h"
#include "nn/op.h"

/* y = the call's folded activation of x; a copy without one. y may be x. */
void nn_activation_apply(const struct nn_op_call *call, float *y, const float *x, size_t n);

/* An activation that LSTM, GRU and RNN name, with its parameters. */
struct nn_cell_activation {
    void (*apply)(const struct nn_cell_activation *a, const struct nn_kernels *k, float *x,
                  size_t n); /* in place */
    float alpha, beta;
};

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
