/* What happens as a threshold falls: ROC and precision-recall curves, their areas, and the best
 * threshold. All of them are one list of points.
 *
 * A sample is taken for positive when its score is at or above the threshold. There is one point
 * for each distinct score, from the highest down, behind a first one at infinity that takes
 * nothing: equal scores go together, so no order of theirs is rewarded. Definitions are
 * scikit-learn's (roc_curve without drop_intermediate, roc_auc_score, precision_recall_curve,
 * average_precision_score).
 *
 * Samples without a number for a score are left out and counted.
 *
 * Thread: immutable once made. */
#ifndef NN_TRAIN_CURVE_H
#define NN_TRAIN_CURVE_H

#include <stdbool.h>

#include "nn/train/metrics.h"

struct train_curve_point {
    double threshold;
    int hits;   /* positives at or above it */
    int alarms; /* negatives at or above it */
};

struct train_curve {
    int positives, negatives, unanswered;
    int count; /* of points; at least 1 */
    struct train_curve_point *points;
};

/* Of `count` scores, any numbers, infinite ones too. 0, -ENOMEM. */
int train_curve_init(struct train_curve *curve, const float *scores, const bool *positive,
                     int count, struct nn_error *err);
/* One class against the rest. */
int train_curve_init_class(struct train_curve *curve, const struct train_answers *answers,
                           int class_number, struct nn_error *err);
void train_curve_finish(struct train_curve *curve); /* also of {0} */

/* NaN without positives or without negatives. */
double train_curve_auc(const struct train_curve *curve);

/* Average precision: precision at each point, by how much recall grew there. NaN without
 * positives, where scikit-learn says 0. */
double train_curve_ap(const struct train_curve *curve);

/* The point that holds at a threshold: the last at or above it. Not for NaN. */
const struct train_curve_point *train_curve_at(const struct train_curve *curve,
                                               double threshold);

/* The point with the highest F1, the highest threshold of equal ones. Its threshold is infinite
 * without positives. */
const struct train_curve_point *train_curve_best(const struct train_curve *curve);

/* Of a point. Precision is 1 where nothing is taken (scikit-learn's last point), recall and
 * false-positive rate are NaN where there is nothing to take, F1 is 0 without positives. */
double train_curve_precision(const struct train_curve_point *point);
double train_curve_recall(const struct train_curve *curve,
                          const struct train_curve_point *point);
double train_curve_alarm_rate(const struct train_curve *curve,
                              const struct train_curve_point *point);
double train_curve_f1(const struct train_curve *curve, const struct train_curve_point *point);

#endif
