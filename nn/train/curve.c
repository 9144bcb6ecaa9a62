#include "nn/train/curve.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

struct scored {
    float score;
    bool positive;
};

static int by_score_down(const void *a, const void *b)
{
    const float x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;
    return (x < y) - (x > y);
}

/* Takes `scored`, of which `count` have numbers. */
static int make(struct train_curve *curve, struct scored *scored, int count,
                struct nn_error *err)
{
    curve->points = scored ? malloc(((size_t)count + 1) * sizeof *curve->points) : NULL;
    if (!curve->points) {
        free(scored);
        return nn_error_set(err, -ENOMEM, "no memory for a curve of %d scores", count);
    }
    qsort(scored, (size_t)count, sizeof *scored, by_score_down);
    struct train_curve_point point = {.threshold = INFINITY};
    curve->points[curve->count++] = point;
    for (int i = 0; i < count; i++) {
        if (i == 0 || scored[i].score != scored[i - 1].score)
            curve->count++;
        point.threshold = scored[i].score;
        point.hits += scored[i].positive;
        point.alarms += !scored[i].positive;
        curve->points[curve->count - 1] = point;
    }
    curve->positives = point.hits;
    curve->negatives = point.alarms;
    free(scored);
    return 0;
}

int train_curve_init(struct train_curve *curve, const float *scores, const bool *positive,
                     int count, struct nn_error *err)
{
    struct scored *scored = malloc(((size_t)count + 1) * sizeof *scored);
    *curve = (struct train_curve){0};
    int kept = 0;
    for (int i = 0; scored && i < count; i++)
        if (!isnan(scores[i]))
            scored[kept++] = (struct scored){scores[i], positive[i]};
    curve->unanswered = count - kept;
    return make(curve, scored, kept, err);
}

int train_curve_init_class(struct train_curve *curve, const struct train_answers *answers,
                           int class_number, struct nn_error *err)
{
    struct scored *scored = malloc(((size_t)answers->count + 1) * sizeof *scored);
    *curve = (struct train_curve){0};
    int kept = 0;
    for (int i = 0; scored && i < answers->count; i++) {
        const float *scores = answers->scores + (size_t)i * (size_t)answers->classes;
        if (train_answers_class(answers, i) >= 0)
            scored[kept++] =
                (struct scored){scores[class_number], answers->labels[i] == class_number};
    }
    curve->unanswered = answers->count - kept;
    return make(curve, scored, kept, err);
}

void train_curve_finish(struct train_curve *curve)
{
    free(curve->points);
    curve->points = NULL;
    curve->count = 0;
}

double train_curve_auc(const struct train_curve *curve)
{
    double twice = 0; /* of whole numbers, and exact */
    for (int i = 1; i < curve->count; i++) {
        const struct train_curve_point *a = &curve->points[i - 1], *b = &curve->points[i];
        twice += ((double)b->alarms - a->alarms) * ((double)a->hits + b->hits);
    }
    const double all = (double)curve->positives * curve->negatives;
    return all > 0 ? twice / 2 / all : NAN;
}

double train_curve_ap(const struct train_curve *curve)
{
    double sum = 0;
    for (int i = 1; i < curve->count; i++) {
        const struct train_curve_point *a = &curve->points[i - 1], *b = &curve->points[i];
        sum += (b->hits - a->hits) * train_curve_precision(b);
    }
    return curve->positives > 0 ? sum / curve->positives : NAN;
}

const struct train_curve_point *train_curve_at(const struct train_curve *curve,
                                               double threshold)
{
    int low = 0, high = curve->count; /* the first below it is in low + 1 .. high */
    while (high - low > 1) {
        const int middle = low + (high - low) / 2;
        if (curve->points[middle].threshold >= threshold)
            low = middle;
        else
            high = middle;
    }
    return &curve->points[low];
}

const struct train_curve_point *train_curve_best(const struct train_curve *curve)
{
    const struct train_curve_point *best = &curve->points[0];
    for (int i = 1; i < curve->count; i++)
        if (train_curve_f1(curve, &curve->points[i]) > train_curve_f1(curve, best))
            best = &curve->points[i];
    return best;
}

double train_curve_precision(const struct train_curve_point *point)
{
    const double taken = (double)point->hits + point->alarms;
    return taken > 0 ? point->hits / taken : 1;
}

double train_curve_recall(const struct train_curve *curve,
                          const struct train_curve_point *point)
{
    return curve->positives > 0 ? (double)point->hits / curve->positives : NAN;
}

double train_curve_alarm_rate(const struct train_curve *curve,
                              const struct train_curve_point *point)
{
    return curve->negatives > 0 ? (double)point->alarms / curve->negatives : NAN;
}

double train_curve_f1(const struct train_curve *curve, const struct train_curve_point *point)
{
    const double of = (double)point->hits + point->alarms + curve->positives;
    return of > 0 ? 2.0 * point->hits / of : 0;
}
