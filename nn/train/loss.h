/* Losses: how far what a network said is from what it should have said, as one number, and the
 * gradient of that number with respect to what it said.
 *
 * A prediction is [samples][rows][width]: width is the last axis (classes, or numbers of a
 * regression), rows are what lies between (steps of a sequence, pixels), 1 of a plain
 * classifier. Means are Keras's (`sum_over_batch_size`): over the width for those losses that
 * have a term for each element (binary, squared, absolute, Huber), then over samples * rows.
 *
 *     value = sum over samples and rows of weight * loss / (samples * rows)
 *
 * The weight of a row is its sample's times that of its class. What is divided by is how many
 * rows there are, as in Keras, and not the sum of their weights, as PyTorch has it: twice all
 * weights is twice the value. Classes for the class weights: the label; of targets over several
 * classes the largest (the first among equals); of binary_crossentropy each element's, 1 where
 * its target is over 0.5.
 *
 * Cross-entropies take logits, where the caller has cut off the network's last Softmax or
 * Sigmoid: exact for logits of any size. Or probabilities, for networks that do not end so:
 * those of a row are first divided by their sum (not by binary_crossentropy), then clipped to
 * TRAIN_LOSS_EPSILON .. 1 - TRAIN_LOSS_EPSILON, and what was clipped has no gradient; so does
 * Keras. Targets of categorical_crossentropy need not add up to 1.
 *
 * Label smoothing s takes targets t to t (1 - s) + s / classes, or + s / 2 for
 * binary_crossentropy. Keras has none for sparse labels; here it is the same for them.
 *
 * Not a number in the predictions gives one as value and in its row's gradient; so may an
 * infinity, but a logit of -INFINITY is a class ruled out.
 *
 * Within, all is double; sums are in the order of the rows.
 *
 * Source: keras/src/losses and keras/src/backend/numpy/nn.py of Keras 3.
 *
 * Thread: pure functions. */
#ifndef NN_TRAIN_LOSS_H
#define NN_TRAIN_LOSS_H

#include <stdbool.h>
#include <stdint.h>

#include "nn/tensor.h"

#define TRAIN_LOSS_EPSILON 1e-7

enum train_loss_kind {
    TRAIN_LOSS_CATEGORICAL, /* - sum t log p */
    TRAIN_LOSS_SPARSE,      /* the same, of labels */
    TRAIN_LOSS_BINARY,      /* - t log p - (1 - t) log (1 - p) */
    TRAIN_LOSS_SQUARED,     /* (p - t)^2 */
    TRAIN_LOSS_ABSOLUTE,    /* |p - t|; no gradient where they are equal */
    TRAIN_LOSS_HUBER,       /* (p - t)^2 / 2 up to delta, delta (|p - t| - delta / 2) beyond */
};

struct train_loss {
    enum train_loss_kind kind;
    bool logits;      /* of cross-entropies: not probabilities */
    double smoothing; /* of cross-entropies, 0..1 */
    double delta;     /* of Huber, > 0; Keras's is 1 */

    /* Of cross-entropies, one for each class, two for binary_crossentropy; finite and not
     * negative. Borrowed. NULL: all 1. */
    const double *class_weights;
    int class_count;
};

/* By Keras's name (categorical_crossentropy, sparse_categorical_crossentropy,
 * binary_crossentropy, mean_squared_error or mse, mean_absolute_error or mae, huber). -EINVAL
 * names those there are. */
int train_loss_find(const char *name, enum train_loss_kind *ret_kind, struct nn_error *err);
const char *train_loss_name(enum train_loss_kind kind);

/* Whether what the user asked for can be done for rows of this width; -EINVAL says why not. */
int train_loss_check(const struct train_loss *loss, int64_t width, struct nn_error *err);

struct train_loss_batch {
    int64_t samples, rows, width; /* each at least 1 */
    const int32_t *labels;        /* [samples][rows], of sparse labels */
    const float *targets;         /* [samples][rows][width], of all other losses */
    const float *weights;         /* [samples]; NULL: all 1 */

    /* These samples are a part of a batch of so many: values and gradients of its parts add up
     * to those of the whole. 0: they are all. */
    int64_t whole;
};

/* The loss of predictions [samples][rows][width] (checked: train_loss_check), and its gradient
 * of the same shape, or NULL; it may be the predictions' own memory. -EINVAL, before anything
 * is written: a label that is not one of 0..width-1. */
int train_loss_float(const struct train_loss *loss, const struct train_loss_batch *batch,
                     const float *predictions, float *ret_gradient, double *ret_value,
                     struct nn_error *err);
int train_loss_double(const struct train_loss *loss, const struct train_loss_batch *batch,
                      const double *predictions, double *ret_gradient, double *ret_value,
                      struct nn_error *err);

#endif
