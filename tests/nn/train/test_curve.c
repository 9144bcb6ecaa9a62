/* Curves against the examples of scikit-learn's docstrings (sklearn/metrics/_ranking.py), and against
 * their definitions over random scores with many ties. */
#include <math.h>
#include <stdbool.h>

#include "nn/train/curve.h"
#include "nn/train/random.h"
#include "tests/suite.h"

enum { COUNT = 60 };

static const double close_to = 1e-12;

/* y_true [0, 0, 1, 1], y_score [0.1, 0.4, 0.35, 0.8]. roc_curve: fpr [0, 0, .5, .5, 1], tpr [0, .5, .5,
 * 1, 1], thresholds [inf, .8, .4, .35, .1]; precision_recall_curve: precision [.5, .66666667, .5, 1, 1]
 * backwards; roc_auc_score 0.75; average_precision_score 0.83... */
START_TEST(curves_are_those_of_the_example)
{
    static const float scores[] = {.1f, .4f, .35f, .8f};
    static const bool positive[] = {false, false, true, true};
    static const double alarm_rates[] = {0, 0, .5, .5, 1}, recalls[] = {0, .5, .5, 1, 1},
                        precisions[] = {1, 1, .5, 2 / 3.0, .5};
    static const float thresholds[] = {INFINITY, .8f, .4f, .35f, .1f};
    struct train_curve curve;
    ck_assert_int_eq(train_curve_init(&curve, scores, positive, 4, NULL), 0);
    ck_assert_int_eq(curve.count, 5);
    for (int i = 0; i < 5; i++) {
        const struct train_curve_point *point = &curve.points[i];
        ck_assert(point->threshold == thresholds[i]);
        ck_assert_double_eq(train_curve_alarm_rate(&curve, point), alarm_rates[i]);
        ck_assert_double_eq(train_curve_recall(&curve, point), recalls[i]);
        ck_assert_double_eq_tol(train_curve_precision(point), precisions[i], close_to);
    }
    ck_assert_double_eq(train_curve_auc(&curve), 0.75);
    ck_assert_double_eq_tol(train_curve_ap(&curve), 0.5 * 1 + 0.5 * 2 / 3, close_to);
    /* F1 at .35 is 2 * 2 / (3 + 2). */
    ck_assert_ptr_eq(train_curve_best(&curve), &curve.points[3]);
    ck_assert_double_eq_tol(train_curve_f1(&curve, &curve.points[3]), 0.8, close_to);
    train_curve_finish(&curve);
}
END_TEST

/* average_precision_score of three classes: their mean is 0.77..., by hand (5/6 + 3/4 + 3/4) / 3. */
START_TEST(each_class_has_a_curve_against_the_rest)
{
    static const int labels[] = {0, 0, 1, 1, 2, 2};
    static const float scores[] = {.7f, .2f, .1f, .4f, .3f, .3f, .1f, .8f, .1f,
                                   .2f, .3f, .5f, .4f, .4f, .2f, .1f, .2f, .7f};
    const struct train_answers answers = {6, 3, labels, scores};
    double sum = 0;
    for (int c = 0; c < 3; c++) {
        struct train_curve curve;
        ck_assert_int_eq(train_curve_init_class(&curve, &answers, c, NULL), 0);
        ck_assert_int_eq(curve.positives, 2);
        ck_assert_int_eq(curve.negatives, 4);
        sum += train_curve_ap(&curve);
        train_curve_finish(&curve);
    }
    ck_assert_double_eq_tol(sum / 3, 7 / 9.0, close_to);
}
END_TEST

START_TEST(ties_go_together)
{
    static const float scores[] = {.5f, .5f, .5f, .5f};
    static const bool positive[] = {true, false, false, true};
    struct train_curve curve;
    ck_assert_int_eq(train_curve_init(&curve, scores, positive, 4, NULL), 0);
    ck_assert_int_eq(curve.count, 2);
    ck_assert_double_eq(train_curve_auc(&curve), 0.5);
    ck_assert_double_eq(train_curve_ap(&curve), 0.5);
    train_curve_finish(&curve);
}
END_TEST

/* The area is how often a positive is above a negative, ties being half. */
static double pairs_in_order(const float *scores, const bool *positive)
{
    double in_order = 0, pairs = 0;
    for (int a = 0; a < COUNT; a++)
        for (int b = 0; b < COUNT; b++)
            if (positive[a] && !positive[b]) {
                in_order += scores[a] > scores[b] ? 1 : scores[a] == scores[b] ? 0.5 : 0;
                pairs++;
            }
    return in_order / pairs;
}

/* Sum of precision times growth of recall, counted anew at each score. */
static double average_precision(const float *scores, const bool *positive)
{
    double sum = 0, all = 0;
    for (int i = 0; i < COUNT; i++) {
        int taken = 0, hits = 0;
        for (int k = 0; k < COUNT; k++) {
            taken += scores[k] >= scores[i];
            hits += scores[k] >= scores[i] && positive[k];
        }
        if (positive[i])
            sum += (double)hits / taken;
        all += positive[i];
    }
    return sum / all;
}

START_TEST(areas_are_what_they_are_defined_to_be)
{
    struct train_random random = train_random_start(11);
    for (int i = 0; i < 200; i++) {
        float scores[COUNT];
        bool positive[COUNT];
        struct train_curve curve;
        for (int k = 0; k < COUNT; k++) {
            positive[k] = k == 0 || (k > 1 && train_random_below(&random, 3) == 0);
            scores[k] = (float)(train_random_below(&random, 12) + positive[k]) / 12;
        }
        ck_assert_int_eq(train_curve_init(&curve, scores, positive, COUNT, NULL), 0);
        ck_assert_double_eq_tol(train_curve_auc(&curve), pairs_in_order(scores, positive),
                                close_to);
        ck_assert_double_eq_tol(train_curve_ap(&curve), average_precision(scores, positive),
                                close_to);
        for (double threshold = -0.05; threshold < 1.1; threshold += 0.04) {
            int hits = 0, alarms = 0;
            for (int k = 0; k < COUNT; k++) {
                hits += scores[k] >= threshold && positive[k];
                alarms += scores[k] >= threshold && !positive[k];
            }
            const struct train_curve_point *point = train_curve_at(&curve, threshold);
            ck_assert_int_eq(point->hits, hits);
            ck_assert_int_eq(point->alarms, alarms);
            ck_assert(train_curve_f1(&curve, point) <=
                      train_curve_f1(&curve, train_curve_best(&curve)));
        }
        train_curve_finish(&curve);
    }
}
END_TEST

START_TEST(without_one_side_there_is_no_area)
{
    static const float scores[] = {.1f, .9f};
    struct train_curve curve;
    ck_assert_int_eq(train_curve_init(&curve, scores, (bool[]){true, true}, 2, NULL), 0);
    ck_assert(isnan(train_curve_auc(&curve)));
    ck_assert_double_eq(train_curve_ap(&curve), 1);
    ck_assert(isnan(train_curve_alarm_rate(&curve, &curve.points[1])));
    train_curve_finish(&curve);
    ck_assert_int_eq(train_curve_init(&curve, scores, (bool[]){false, false}, 2, NULL), 0);
    ck_assert(isnan(train_curve_auc(&curve)));
    ck_assert(isnan(train_curve_ap(&curve)));
    ck_assert(isnan(train_curve_recall(&curve, &curve.points[1])));
    ck_assert(isinf(train_curve_best(&curve)->threshold));
    train_curve_finish(&curve);
    ck_assert_int_eq(train_curve_init(&curve, NULL, NULL, 0, NULL), 0);
    ck_assert_int_eq(curve.count, 1);
    ck_assert(isnan(train_curve_auc(&curve)));
    ck_assert_int_eq(train_curve_at(&curve, 0)->hits, 0);
    train_curve_finish(&curve);
}
END_TEST

START_TEST(scores_that_are_no_numbers_are_left_out_and_infinite_ones_are_not)
{
    static const float scores[] = {.1f, NAN, INFINITY, -INFINITY, NAN};
    static const bool positive[] = {false, true, true, false, false};
    struct train_curve curve;
    ck_assert_int_eq(train_curve_init(&curve, scores, positive, 5, NULL), 0);
    ck_assert_int_eq(curve.unanswered, 2);
    ck_assert_int_eq(curve.positives, 1);
    ck_assert_int_eq(curve.negatives, 2);
    ck_assert_double_eq(train_curve_auc(&curve), 1);
    ck_assert_int_eq(train_curve_at(&curve, INFINITY)->hits, 1);
    train_curve_finish(&curve);

    const struct train_answers answers = {2, 2, (int[]){0, 1}, (float[]){.5f, .5f, NAN, .9f}};
    ck_assert_int_eq(train_curve_init_class(&curve, &answers, 1, NULL), 0);
    ck_assert_int_eq(curve.unanswered, 1);
    ck_assert_int_eq(curve.positives, 0);
    train_curve_finish(&curve);
}
END_TEST

int main(void)
{
    TCase *curves = tcase_create("curves");
    tcase_add_test(curves, curves_are_those_of_the_example);
    tcase_add_test(curves, each_class_has_a_curve_against_the_rest);
    tcase_add_test(curves, ties_go_together);
    tcase_add_test(curves, areas_are_what_they_are_defined_to_be);
    tcase_add_test(curves, without_one_side_there_is_no_area);
    tcase_add_test(curves, scores_that_are_no_numbers_are_left_out_and_infinite_ones_are_not);
    return suite_run("nn/train/curve", &curves, 1);
}
