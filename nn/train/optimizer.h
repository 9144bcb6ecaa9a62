/* Optimizers: from gradients to the next weights, in place.
 *
 * Definitions are PyTorch 1.13's, defaults Keras's. With g the gradient, after clipping, of a
 * parameter x, step t = 1, 2, ..., and rate r (they are named as in the options):
 *
 *     sgd      b = momentum b + g;  x -= r b, or nesterov: x -= r (g + momentum b)
 *     rmsprop  v = rho v + (1 - rho) g^2;  d = g / (sqrt(v) + epsilon);  x -= r d,
 *              or with momentum: b = momentum b + d;  x -= r b
 *     adam     m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
 *              x -= r m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)
 *     adamw    adam
 *
 * b, m and v begin at 0: the first b of sgd is the gradient. Weight decay w, of parameters that
 * decay, adds w x to g after clipping; only adamw has it apart from g: x is first multiplied by
 * 1 - r w.
 *
 * Clipping is by the norm of all gradients together, which are multiplied by
 * min(1, clip_norm / (norm + 1e-6)), or of each element to -clip_value .. clip_value.
 *
 * Averages: beside each parameter its exponential moving average, which begins at what it is
 * when the optimizer is made and follows after each step with
 * min(average, (1 + t) / (10 + t)) of itself, so that short trainings do not keep their
 * beginning (as TensorFlow's ExponentialMovingAverage with num_updates).
 * train_optimizer_swap puts the averages where the parameters are, to be evaluated.
 *
 * Every 16 steps, what is below the smallest normal float in b, m and v becomes 0: processors
 * are slow at such numbers, and the moments of weights without gradient would stay among them.
 *
 * Results are the same bytes for any number of threads.
 *
 * Source: Kingma and Ba, "Adam: a method for stochastic optimization"; Loshchilov and Hutter,
 * "Decoupled weight decay regularization"; torch/optim and torch/nn/utils/clip_grad.py of
 * PyTorch 1.13.
 *
 * Thread: one at a time, and nobody else at the parameters meanwhile. */
#ifndef NN_TRAIN_OPTIMIZER_H
#define NN_TRAIN_OPTIMIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nn/tensor.h"

struct nn_threads;
struct train_optimizer;

enum train_optimizer_kind {
    TRAIN_OPTIMIZER_SGD,
    TRAIN_OPTIMIZER_RMSPROP,
    TRAIN_OPTIMIZER_ADAM,
    TRAIN_OPTIMIZER_ADAMW,
};

struct train_optimizer_options {
    enum train_optimizer_kind kind;
    double rate;         /* where a schedule begins; a step is told its own */
    double momentum;     /* of sgd and rmsprop, 0 <= momentum < 1; 0: none */
    bool nesterov;       /* of sgd with momentum */
    double rho;          /* of rmsprop, 0..1 without 1, as the betas */
    double beta1, beta2; /* of adam and adamw */
    double epsilon;      /* > 0 */
    double weight_decay; /* 0: none */
    double clip_norm;    /* 0: none; at most one of these two */
    double clip_value;
    double average; /* 0 <= average < 1; 0: no averages */
};

/* What Keras takes where nothing is said: rate 0.01 for sgd and else 0.001, rho and beta1 0.9,
 * beta2 0.999, epsilon 1e-7, weight decay 0.004 for adamw; no momentum, clipping, averages. */
struct train_optimizer_options train_optimizer_defaults(enum train_optimizer_kind kind);

/* "sgd", "rmsprop", "adam", "adamw"; -EINVAL names them. */
int train_optimizer_find(const char *name, enum train_optimizer_kind *ret_kind,
                         struct nn_error *err);
const char *train_optimizer_name(enum train_optimizer_kind kind);

/* One of those of a net (nn/train/net.h). */
struct train_parameter {
    const char *name; /* that of the tensor, its own */
    float *value;     /* [count] */

    /* [count]; NULL: a statistic, which steps leave alone and averages follow. */
    const float *gradient;
    size_t count;
    bool decays; /* as a rule what has two dimensions or more: kernels, not biases and scales */
};

/* Borrows names, values and gradients, copies the list. -EINVAL: options that make no sense. */
int train_optimizer_create(const struct train_optimizer_options *options,
                           const struct train_parameter *parameters, size_t count,
                           struct train_optimizer **ret_optimizer, struct nn_error *err);
void train_optimizer_destroy(struct train_optimizer *optimizer); /* NULL is fine */

/* One step. threads: those that the caller has (between nn_threads_begin and _end), or NULL.
 * Allocates nothing. Where clipping is by norm and the norm is not finite: -EDOM names the
 * step and the first parameter at fault, and nothing has changed. Without, nobody looks: see
 * train_parameters_check. Not while averages are swapped in. */
int train_optimizer_step(struct train_optimizer *optimizer, double rate,
                         struct nn_threads *threads, struct nn_error *err);

/* Steps that were done. */
uint64_t train_optimizer_steps(const struct train_optimizer *optimizer);

/* Of the last step's gradients, before clipping; NAN where clipping is not by norm. */
double train_optimizer_norm(const struct train_optimizer *optimizer);

/* Exchanges parameters and averages; once more, and they are back. Nothing without averages. */
void train_optimizer_swap(struct train_optimizer *optimizer);

/* Whether all values and gradients are finite; -EDOM names the first parameter of which one is
 * not: for who saw a loss that is not a number. */
int train_parameters_check(const struct train_parameter *parameters, size_t count,
                           struct nn_error *err);

struct train_array {
    const char *name; /* the parameter's and which: "conv2d_1.weight/square" */
    float *data;
    size_t count;
};

/* All that an optimizer knows besides its options and parameters, to be read into a checkpoint
 * and written from one: an optimizer of the same options and parameters goes on with the same
 * bytes. Not while averages are swapped in. */
struct train_optimizer_state {
    const struct train_array *arrays;
    size_t count;
    uint64_t *steps;
};

/* Lives as long as the optimizer. */
struct train_optimizer_state train_optimizer_state(struct train_optimizer *optimizer);

#endif
