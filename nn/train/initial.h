/* What weights are before they have learned anything: Keras's initializers.
 *
 * Sources: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
 * networks", 2010; Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of
 * learning in deep linear neural networks", 2013.
 *
 * Thread: plain functions. */
#ifndef NN_TRAIN_INITIAL_H
#define NN_TRAIN_INITIAL_H

#include "nn/train/random.h"

/* Uniform within ±limit. Nothing is drawn for a count of 0. */
void train_initial_uniform(struct train_random *random, float *ret_values, size_t count,
                           double limit);

/* Uniform within ±sqrt(6 / (fan_in + fan_out)). */
void train_initial_glorot(struct train_random *random, float *ret_values, size_t count,
                          double fan_in, double fan_out);

/* A matrix (rows, columns), rows >= columns, whose columns are orthonormal: any such with the
 * same likelihood. 0 or -ENOMEM. */
int train_initial_orthogonal(struct train_random *random, float *ret_values, size_t rows,
                             size_t columns);

#endif
