/* How well a classifier does: figures from the scores it gave and the labels there should be.
 *
 * Definitions are scikit-learn's where it has them. The label of a sample is that of its highest
 * score, the first of equal ones. Scores are the classes' probabilities: a network with one
 * sigmoid p is given as the two columns 1 - p and p.
 *
 * No answer. A sample with a score that is not a number has none: it counts as wrong (accuracy,
 * top-k, a miss of its class, its own column of the confusion matrix) and is left out of what
 * looks at scores (log loss, Brier, calibration, curves). `unanswered` says how many there were.
 *
 * Empty classes. Precision of a class never answered, recall of one that never occurs and F1 of
 * one that does neither are 0, as scikit-learn's zero_division; classes that neither occur nor are
 * answered are left out of the macro means. One class only is no error here; its curves have no
 * area (nn/train/curve.h).
 *
 * Thread: any. */
#ifndef NN_TRAIN_METRICS_H
#define NN_TRAIN_METRICS_H

#include "nn/tensor.h"

#define TRAIN_CALIBRATION_BINS 15

/* What was asked and answered; all borrowed. */
struct train_answers {
    int count, classes;
    const int *labels;   /* [count] */
    const float *scores; /* [count][classes] */
};

struct train_class_metrics {
    int support;  /* samples of this class */
    int answered; /* samples that were said to be */
    int right;    /* both */
    double precision, recall, f1;
};

/* Of samples whose highest score is in ((i) / 15, (i + 1) / 15]. Means are 0 of none. */
struct train_calibration_bin {
    int count;
    double confidence; /* mean highest score */
    double accuracy;
};

struct train_metrics {
    int count, classes, unanswered;
    double accuracy;
    double macro_precision, macro_recall, macro_f1;
    double log_loss; /* natural logarithm; scores clipped to 2^-23 .. 1 - 2^-23 */
    double brier; /* of two classes (p1 - y1)^2, else the sum over classes; mean of samples */
    double
        calibration_error; /* ECE: bins' |accuracy - confidence|, by their share of samples */
    struct train_calibration_bin calibration[TRAIN_CALIBRATION_BINS];
    struct train_class_metrics *by_class; /* [classes] */
    int *confusion; /* [classes][classes + 1]: label, answer; the last column: none */
};

/* Returns 0, -EINVAL (no samples, a label that is no class, an answered score outside 0..1),
 * -ENOMEM. What looks at scores is NaN when no sample was answered. */
int train_metrics_init(struct train_metrics *metrics, const struct train_answers *answers,
                       struct nn_error *err);
void train_metrics_finish(struct train_metrics *metrics); /* also of {0} and after a failure */

/* The class answered for sample `at`, -1 for none. Also for scores that are no probabilities. */
int train_answers_class(const struct train_answers *answers, int at);

/* The share of samples whose label is among the k highest scores (of equal ones, the first
 * classes). k of 1 is the accuracy. */
double train_answers_top(const struct train_answers *answers, int k);

#endif
