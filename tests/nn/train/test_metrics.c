/* Figures of a classifier against values worked out by hand and those of scikit-learn's own examples
 * (the docstrings of sklearn/metrics/_classification.py and _ranking.py, named at each). */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "nn/train/metrics.h"
#include "tests/suite.h"

enum { COUNT_MAX = 64 };

static const double close_to = 1e-7; /* scores are floats */

static struct train_metrics measure(const struct train_answers *answers)
{
    struct train_metrics metrics;
    struct nn_error err = {""};
    int r = train_metrics_init(&metrics, answers, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    return metrics;
}

/* Answers that are as sure as can be. */
static struct train_answers sure_answers(const int *labels, const int *answered, int count,
                                         int classes, float *ret_scores)
{
    memset(ret_scores, 0, (size_t)(count * classes) * sizeof *ret_scores);
    for (int i = 0; i < count; i++)
        ret_scores[i * classes + answered[i]] = 1;
    return (struct train_answers){count, classes, labels, ret_scores};
}

/* confusion_matrix: y_true [2, 0, 2, 2, 0, 1], y_pred [0, 0, 2, 2, 0, 2]. */
START_TEST(the_confusion_matrix_has_labels_down_and_answers_across)
{
    const int labels[] = {2, 0, 2, 2, 0, 1}, answered[] = {0, 0, 2, 2, 0, 2};
    const int expected[3][4] = {{2, 0, 0, 0}, {0, 0, 1, 0}, {1, 0, 2, 0}};
    float scores[COUNT_MAX];
    const struct train_answers answers = sure_answers(labels, answered, 6, 3, scores);
    struct train_metrics m = measure(&answers);
    ck_assert_mem_eq(m.confusion, expected, sizeof expected);
    ck_assert_int_eq(m.by_class[2].support, 3);
    ck_assert_int_eq(m.by_class[2].answered, 3);
    ck_assert_int_eq(m.by_class[2].right, 2);
    ck_assert_double_eq_tol(m.accuracy, 4 / 6.0, close_to);
    train_metrics_finish(&m);
}
END_TEST

/* f1_score, precision_score and recall_score: y_true [0, 1, 2, 0, 1, 2], y_pred [0, 2, 1, 0, 0, 1]:
 * macro 0.26..., 0.22..., 0.33...; by class [0.8, 0, 0], [0.66..., 0, 0], [1, 0, 0]. */
START_TEST(precision_recall_and_f1_are_those_of_the_examples)
{
    const int labels[] = {0, 1, 2, 0, 1, 2}, answered[] = {0, 2, 1, 0, 0, 1};
    float scores[COUNT_MAX];
    const struct train_answers answers = sure_answers(labels, answered, 6, 3, scores);
    struct train_metrics m = measure(&answers);
    ck_assert_double_eq_tol(m.macro_f1, 0.8 / 3, close_to);
    ck_assert_double_eq_tol(m.macro_precision, 2 / 9.0, close_to);
    ck_assert_double_eq_tol(m.macro_recall, 1 / 3.0, close_to);
    ck_assert_double_eq_tol(m.by_class[0].f1, 0.8, close_to);
    ck_assert_double_eq_tol(m.by_class[0].precision, 2 / 3.0, close_to);
    ck_assert_double_eq(m.by_class[0].recall, 1);
    ck_assert_double_eq(m.by_class[1].f1, 0);
    train_metrics_finish(&m);
}
END_TEST

/* log_loss: ["spam", "ham", "ham", "spam"], [[.1, .9], [.9, .1], [.8, .2], [.35, .65]]: 0.21616...
 * brier_score_loss: [0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3]: 0.037... */
START_TEST(losses_are_those_of_the_examples)
{
    const float spam[] = {.1f, .9f, .9f, .1f, .8f, .2f, .35f, .65f};
    const int spam_labels[] = {1, 0, 0, 1};
    struct train_metrics m = measure(&(struct train_answers){4, 2, spam_labels, spam});
    ck_assert_double_eq_tol(m.log_loss, 0.21616187468057912, 1e-7);
    train_metrics_finish(&m);

    const float rain[] = {.9f, .1f, .1f, .9f, .2f, .8f, .7f, .3f};
    const int rain_labels[] = {0, 1, 1, 0};
    m = measure(&(struct train_answers){4, 2, rain_labels, rain});
    ck_assert_double_eq_tol(m.brier, 0.0375, close_to);
    train_metrics_finish(&m);

    /* Of three classes all squares count: 0.5^2 + 0.2^2 + 0.3^2. */
    m = measure(&(struct train_answers){1, 3, (int[]){0}, (float[]){.5f, .2f, .3f}});
    ck_assert_double_eq_tol(m.brier, 0.38, close_to);
    ck_assert_double_eq_tol(m.log_loss, log(2), close_to);
    train_metrics_finish(&m);
}
END_TEST

START_TEST(what_was_sure_and_wrong_costs_much_but_no_infinity)
{
    struct train_metrics m =
        measure(&(struct train_answers){1, 2, (int[]){0}, (float[]){0, 1}});
    ck_assert_double_eq_tol(m.log_loss, 23 * log(2), 1e-9);
    train_metrics_finish(&m);
    m = measure(&(struct train_answers){1, 2, (int[]){1}, (float[]){0, 1}});
    ck_assert_double_eq_tol(m.log_loss, 0x1p-23, 1e-12);
    train_metrics_finish(&m);
}
END_TEST

/* top_k_accuracy_score: 0.75 with k = 2. */
START_TEST(the_label_is_looked_for_among_the_first)
{
    const float scores[] = {.5f, .2f, .2f, .3f, .4f, .2f, .2f, .4f, .3f, .7f, .2f, .1f};
    const struct train_answers answers = {4, 3, (int[]){0, 1, 2, 2}, scores};
    ck_assert_double_eq(train_answers_top(&answers, 1), 0.5);
    ck_assert_double_eq(train_answers_top(&answers, 2), 0.75);
    ck_assert_double_eq(train_answers_top(&answers, 3), 1);
}
END_TEST

START_TEST(of_equal_scores_the_first_class_wins)
{
    const float scores[] = {.4f, .4f, .2f, .4f, .4f, .2f, .25f, .5f, .25f};
    const struct train_answers answers = {3, 3, (int[]){0, 1, 2}, scores};
    ck_assert_int_eq(train_answers_class(&answers, 0), 0);
    ck_assert_int_eq(train_answers_class(&answers, 1), 0);
    ck_assert_double_eq(train_answers_top(&answers, 1), 1 / 3.0);
    ck_assert_double_eq(train_answers_top(&answers, 2), 2 / 3.0);
    struct train_metrics m = measure(&answers);
    ck_assert_double_eq(m.accuracy, 1 / 3.0);
    train_metrics_finish(&m);
}
END_TEST

/* Bins are closed above: 0.6 is 9 / 15 and in the ninth of them with what is below it. By hand:
 * four of 0.75, of which two are right, and one of 1 that is: (|2 - 3| + |1 - 1|) / 5. */
START_TEST(calibration_is_how_far_confidence_is_from_being_right)
{
    const float scores[] = {.75f, .25f, .75f, .25f, .75f, .25f, .25f, .75f, 1, 0};
    const int labels[] = {0, 0, 1, 0, 0};
    struct train_metrics m = measure(&(struct train_answers){5, 2, labels, scores});
    ck_assert_double_eq_tol(m.calibration_error, 0.2, close_to);
    const struct train_calibration_bin *bin = &m.calibration[11]; /* 0.733 to 0.8 */
    ck_assert_int_eq(bin->count, 4);
    ck_assert_double_eq_tol(bin->confidence, 0.75, close_to);
    ck_assert_double_eq_tol(bin->accuracy, 0.5, close_to);
    ck_assert_int_eq(m.calibration[14].count, 1);
    ck_assert_int_eq(m.calibration[10].count + m.calibration[12].count, 0);
    train_metrics_finish(&m);
    m = measure(&(struct train_answers){1, 1, (int[]){0}, (float[]){0}});
    ck_assert_int_eq(m.calibration[0].count, 1);
    train_metrics_finish(&m);
}
END_TEST

START_TEST(a_sample_without_a_number_is_wrong_and_counted)
{
    const float scores[] = {.9f, .1f, NAN, .1f, .2f, .8f, .3f, NAN};
    const int labels[] = {0, 0, 1, 1};
    const struct train_answers answers = {4, 2, labels, scores};
    struct train_metrics m = measure(&answers);
    const int expected[2][3] = {{1, 0, 1}, {0, 1, 1}};
    ck_assert_int_eq(m.unanswered, 2);
    ck_assert_double_eq(m.accuracy, 0.5);
    ck_assert_mem_eq(m.confusion, expected, sizeof expected);
    ck_assert_double_eq(m.by_class[0].precision, 1);
    ck_assert_double_eq(m.by_class[0].recall, 0.5);
    ck_assert_double_eq_tol(m.log_loss, -(log(.9) + log(.8)) / 2, close_to);
    ck_assert_double_eq_tol(m.brier, (.01 + .04) / 2, close_to);
    ck_assert_double_eq_tol(m.calibration_error, (.1 + .2) / 2, close_to);
    ck_assert_double_eq(train_answers_top(&answers, 2), 0.5);
    train_metrics_finish(&m);

    const float none[] = {NAN, NAN};
    m = measure(&(struct train_answers){1, 2, labels, none});
    ck_assert_double_eq(m.accuracy, 0);
    ck_assert(isnan(m.log_loss) && isnan(m.brier) && isnan(m.calibration_error));
    train_metrics_finish(&m);
}
END_TEST

/* Class 1 is answered and never there, 2 there and never answered, 3 neither. */
START_TEST(empty_classes_are_zero_and_leave_the_mean_when_nothing_is_of_them)
{
    const int labels[] = {0, 0, 2}, answered[] = {0, 1, 0};
    float scores[COUNT_MAX];
    const struct train_answers answers = sure_answers(labels, answered, 3, 4, scores);
    struct train_metrics m = measure(&answers);
    ck_assert_double_eq(m.by_class[1].precision, 0);
    ck_assert_double_eq(m.by_class[1].recall, 0);
    ck_assert_double_eq(m.by_class[2].precision, 0);
    ck_assert_double_eq(m.by_class[2].recall, 0);
    ck_assert_double_eq(m.by_class[3].f1, 0);
    ck_assert_double_eq_tol(m.macro_f1, 0.5 / 3, close_to);
    train_metrics_finish(&m);
}
END_TEST

START_TEST(one_class_only_is_measured)
{
    const int labels[] = {1, 1};
    const float scores[] = {.2f, .8f, .4f, .6f};
    struct train_metrics m = measure(&(struct train_answers){2, 2, labels, scores});
    ck_assert_double_eq(m.accuracy, 1);
    ck_assert_double_eq(m.macro_f1, 1);
    train_metrics_finish(&m);
}
END_TEST

START_TEST(what_cannot_be_measured_is_refused)
{
    const struct {
        struct train_answers answers;
        const char *word;
    } bad[] = {
        {{0, 2, (int[]){0}, (float[]){1, 0}}, "no samples"},
        {{2, 2, (int[]){0, 2}, (float[]){1, 0, 1, 0}}, "sample 2 has label 2"},
        {{1, 2, (int[]){-1}, (float[]){1, 0}}, "sample 1 has label -1"},
        {{1, 2, (int[]){0}, (float[]){3.5f, -2}}, "score of 3.5 for class 0"},
        {{1, 2, (int[]){0}, (float[]){INFINITY, 0}}, "score of inf"},
        {{1, 2, (int[]){0}, (float[]){0, -0.1f}}, "score of -0.1 for class 1"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct train_metrics m;
        struct nn_error err = {""};
        ck_assert_int_eq(train_metrics_init(&m, &bad[i].answers, &err), -EINVAL);
        ck_assert_msg(strstr(err.text, bad[i].word), "%s", err.text);
        train_metrics_finish(&m);
    }
}
END_TEST

int main(void)
{
    TCase *figures = tcase_create("figures"), *edges = tcase_create("edges");
    tcase_add_test(figures, the_confusion_matrix_has_labels_down_and_answers_across);
    tcase_add_test(figures, precision_recall_and_f1_are_those_of_the_examples);
    tcase_add_test(figures, losses_are_those_of_the_examples);
    tcase_add_test(figures, the_label_is_looked_for_among_the_first);
    tcase_add_test(figures, calibration_is_how_far_confidence_is_from_being_right);
    tcase_add_test(edges, what_was_sure_and_wrong_costs_much_but_no_infinity);
    tcase_add_test(edges, of_equal_scores_the_first_class_wins);
    tcase_add_test(edges, a_sample_without_a_number_is_wrong_and_counted);
    tcase_add_test(edges, empty_classes_are_zero_and_leave_the_mean_when_nothing_is_of_them);
    tcase_add_test(edges, one_class_only_is_measured);
    tcase_add_test(edges, what_cannot_be_measured_is_refused);
    TCase *cases[] = {figures, edges};
    return suite_run("nn/train/metrics", cases, 2);
}
