/* Schedules: the learning rate of each step.
 *
 * A rate is a function of the step alone, counted from 0 over the whole training, so that a
 * resumed training goes on as if it had not stopped. Only the plateau looks at how training
 * goes; what it knows is a small struct that a checkpoint can keep.
 *
 *     constant  rate
 *     step      rate * factor^(step / every, rounded down)
 *     cosine    from rate to minimum: minimum + (rate - minimum) (1 + cos(pi p)) / 2, where p
 *               goes from 0 at the end of the warm-up to 1 at `steps`, and stays there
 *     plateau   rate * factor for each time that a metric stood still, and not below minimum
 *
 * Each may begin with a warm-up: step s of the first `warmup` takes (s + 1) / (warmup + 1) of
 * what the schedule says, so that the first step moves already, and the first after the warm-up
 * has all of it.
 *
 * The plateau is Keras's ReduceLROnPlateau.
 *
 * Source: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", one
 * cycle; keras/src/callbacks/reduce_lr_on_plateau.py of Keras 3.
 *
 * Thread: pure functions. */
#ifndef NN_TRAIN_SCHEDULE_H
#define NN_TRAIN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "nn/tensor.h"

enum train_schedule_kind {
    TRAIN_SCHEDULE_CONSTANT,
    TRAIN_SCHEDULE_STEP,
    TRAIN_SCHEDULE_COSINE,
    TRAIN_SCHEDULE_PLATEAU,
};

struct train_schedule {
    enum train_schedule_kind kind;
    double rate;     /* 0 or more */
    uint64_t warmup; /* steps; 0: none */
    double factor;   /* of step and plateau, over 0 and less than 1 */
    uint64_t every;  /* of step: steps, at least 1 */
    uint64_t steps;  /* of cosine: those of the whole training, more than warmup */
    double minimum;  /* of cosine and plateau, 0..rate */

    /* Of plateau, which looks once an epoch: */
    bool higher_is_better; /* accuracy, not loss */
    double least;          /* a smaller change for the better is none; 0 or more */
    int patience;          /* epochs without a better one before the rate falls; 1 or more */
    int cooldown;          /* epochs after that before they count again; 0 or more */
};

/* What Keras takes where nothing is said: factor 0.1, least 1e-4, patience 10; every and steps
 * are the training's to say, 0 here. */
struct train_schedule train_schedule_defaults(enum train_schedule_kind kind);

/* "constant", "step", "cosine", "plateau"; -EINVAL names them. */
int train_schedule_find(const char *name, enum train_schedule_kind *ret_kind,
                        struct nn_error *err);
const char *train_schedule_name(enum train_schedule_kind kind);

/* Whether the numbers above are what they have to be; -EINVAL says which is not. */
int train_schedule_check(const struct train_schedule *schedule, struct nn_error *err);

/* What is known of the metric. Begins as train_plateau_start gives it. */
struct train_plateau {
    double best;
    double scale;  /* what the rate has fallen to, of 1 */
    int32_t still; /* epochs since best, that count */
    int32_t cooling;
};

struct train_plateau train_plateau_start(const struct train_schedule *schedule);

/* Once after each epoch, for every kind: only the plateau listens. A metric that is not a number
 * is no better than any. True: the rate falls from here on. */
bool train_plateau_epoch(struct train_plateau *plateau, const struct train_schedule *schedule,
                         double metric);

/* The rate of a step; plateau may be NULL for all other kinds. */
double train_schedule_rate(const struct train_schedule *schedule, uint64_t step,
                           const struct train_plateau *plateau);

#endif
