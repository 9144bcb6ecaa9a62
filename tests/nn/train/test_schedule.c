/* Learning rates: what each schedule says at its marks, and a plateau epoch by epoch. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/train/schedule.h"
#include "tests/suite.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

static double at(const struct train_schedule *schedule, uint64_t step)
{
    return train_schedule_rate(schedule, step, NULL);
}

START_TEST(a_constant_rate_stays)
{
    struct train_schedule s = train_schedule_defaults(TRAIN_SCHEDULE_CONSTANT);
    ck_assert_int_eq(train_schedule_check(&s, NULL), 0);
    ck_assert_double_eq(at(&s, 0), 0.001);
    ck_assert_double_eq(at(&s, UINT64_MAX), 0.001);
}
END_TEST

START_TEST(a_step_falls_by_its_factor_every_so_often)
{
    struct train_schedule s = {TRAIN_SCHEDULE_STEP, .rate = 0.8, .factor = 0.5, .every = 10};
    static const struct {
        uint64_t step;
        double rate;
    } marks[] = {{0, 0.8}, {9, 0.8}, {10, 0.4}, {19, 0.4}, {20, 0.2}, {100000, 0.0}};
    ck_assert_int_eq(train_schedule_check(&s, NULL), 0);
    for (int i = 0; i < COUNT(marks); i++)
        ck_assert_double_eq_tol(at(&s, marks[i].step), marks[i].rate, 1e-15);
}
END_TEST

START_TEST(a_cosine_goes_from_the_rate_to_its_minimum)
{
    struct train_schedule s = {TRAIN_SCHEDULE_COSINE, .rate = 1.0, .minimum = 0.2, .steps = 110,
                               .warmup = 10};
    static const struct {
        uint64_t step;
        double rate;
    } marks[] = {{0, 1.0 / 11}, {9, 10.0 / 11},
                 {10, 1.0},     {35, 0.6 + 0.4 * M_SQRT1_2},
                 {60, 0.6},     {85, 0.6 - 0.4 * M_SQRT1_2},
                 {110, 0.2},    {111, 0.2},
                 {1000000, 0.2}};
    ck_assert_int_eq(train_schedule_check(&s, NULL), 0);
    for (int i = 0; i < COUNT(marks); i++)
        ck_assert_double_eq_tol(at(&s, marks[i].step), marks[i].rate, 1e-9);
    for (uint64_t step = 10; step < 110; step++)
        ck_assert_double_lt(at(&s, step + 1), at(&s, step));
}
END_TEST

START_TEST(a_warm_up_is_a_share_of_what_the_schedule_says)
{
    struct train_schedule s = {TRAIN_SCHEDULE_STEP, .rate = 1.0, .factor = 0.5, .every = 2,
                               .warmup = 3};
    static const double want[] = {0.25, 0.5, 0.5 * 0.75, 0.5, 0.25};
    for (uint64_t step = 0; step < 5; step++)
        ck_assert_double_eq_tol(at(&s, step), want[step], 1e-15);
}
END_TEST

/* One epoch's metric, and the rate after it. */
struct epoch {
    double metric, rate;
};

static void run(const struct train_schedule *s, const struct epoch *epochs, int count)
{
    struct train_plateau plateau = train_plateau_start(s);
    double before = train_schedule_rate(s, 0, &plateau);
    ck_assert_double_eq(before, s->rate);
    for (int i = 0; i < count; i++) {
        bool fell = train_plateau_epoch(&plateau, s, epochs[i].metric);
        double rate = train_schedule_rate(s, 7, &plateau);
        if (fabs(rate - epochs[i].rate) > 1e-12 || fell != (rate < before))
            ck_abort_msg("epoch %d: %g, not %g", i, rate, epochs[i].rate);
        before = rate;
    }
}

START_TEST(a_plateau_falls_after_epochs_without_a_better_metric)
{
    struct train_schedule s = {TRAIN_SCHEDULE_PLATEAU, .rate = 1.0,  .factor = 0.5,
                               .minimum = 0.2,         .least = 0.1, .patience = 2};
    ck_assert_int_eq(train_schedule_check(&s, NULL), 0);
    static const struct epoch loss[] = {
        {5.0, 1.0},  {4.95, 1.0}, {4.92, 0.5}, /* neither by as much as 0.1 */
        {4.8, 0.5},  {4.8, 0.5},  {4.6, 0.5},  {4.6, 0.5}, {NAN, 0.25},
        {9.0, 0.25}, {9.0, 0.2},  {9.0, 0.2},  {9.0, 0.2}, {9.0, 0.2},
    };
    run(&s, loss, COUNT(loss));
    s.higher_is_better = true;
    static const struct epoch accuracy[] = {{0.1, 1.0}, {0.5, 1.0}, {0.55, 1.0}, {0.58, 0.5},
                                            {0.7, 0.5}, {0.1, 0.5}, {0.7, 0.25}};
    run(&s, accuracy, COUNT(accuracy));
}
END_TEST

START_TEST(a_cooling_plateau_does_not_count)
{
    struct train_schedule s = {TRAIN_SCHEDULE_PLATEAU, .rate = 1.0, .factor = 0.1,
                               .patience = 2, .cooldown = 3};
    /* As Keras counts: the third epoch of three is the first that counts again. */
    static const struct epoch loss[] = {{1.0, 1.0}, {1.0, 1.0}, {1.0, 0.1},  {1.0, 0.1},
                                        {1.0, 0.1}, {1.0, 0.1}, {1.0, 0.01}, {1.0, 0.01}};
    run(&s, loss, COUNT(loss));
}
END_TEST

START_TEST(only_the_plateau_listens_to_the_metric)
{
    struct train_schedule s = train_schedule_defaults(TRAIN_SCHEDULE_CONSTANT);
    s.patience = 1;
    struct train_plateau plateau = train_plateau_start(&s), before = plateau;
    for (int i = 0; i < 5; i++)
        ck_assert(!train_plateau_epoch(&plateau, &s, 1.0));
    ck_assert_double_eq(plateau.scale, before.scale);
    ck_assert_double_eq(train_schedule_rate(&s, 3, &plateau), 0.001);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused_by_name)
{
    static const struct {
        struct train_schedule schedule;
        const char *text;
    } cases[] = {
        {{TRAIN_SCHEDULE_CONSTANT, .rate = NAN}, "the rate is nan"},
        {{TRAIN_SCHEDULE_CONSTANT, .rate = -1}, "the rate is -1"},
        {{TRAIN_SCHEDULE_STEP, .rate = 1, .factor = 1, .every = 1}, "factor is 1"},
        {{TRAIN_SCHEDULE_STEP, .rate = 1, .factor = 0.1}, "every 0 steps"},
        {{TRAIN_SCHEDULE_COSINE, .rate = 1, .steps = 5, .warmup = 5}, "none left"},
        {{TRAIN_SCHEDULE_COSINE, .rate = 1, .steps = 5, .minimum = 2}, "lowest rate is 2"},
        {{TRAIN_SCHEDULE_PLATEAU, .rate = 1, .factor = NAN, .patience = 1}, "factor is nan"},
        {{TRAIN_SCHEDULE_PLATEAU, .rate = 1, .factor = 0.1}, "patience is 0 epochs: it is 1"},
        {{TRAIN_SCHEDULE_PLATEAU, .rate = 1, .factor = 0.1, .patience = 1, .cooldown = -1},
         "cooldown is -1 epochs: it is 0"},
        {{TRAIN_SCHEDULE_PLATEAU, .rate = 1, .factor = 0.1, .patience = 1, .least = -1},
         "least change is -1"},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        struct nn_error err = {""};
        ck_assert_int_eq(train_schedule_check(&cases[i].schedule, &err), -EINVAL);
        if (!strstr(err.text, cases[i].text))
            ck_abort_msg("case %d: %s", i, err.text);
    }

    enum train_schedule_kind kind;
    struct nn_error err;
    for (int i = 0; i <= TRAIN_SCHEDULE_PLATEAU; i++) {
        const char *name = train_schedule_name((enum train_schedule_kind)i);
        ck_assert_int_eq(train_schedule_find(name, &kind, &err), 0);
        ck_assert_int_eq(kind, i);
        ck_assert_int_eq(train_schedule_find("exponential", &kind, &err), -EINVAL);
        ck_assert_ptr_nonnull(strstr(err.text, name));
    }
}
END_TEST

int main(void)
{
    TCase *rates = tcase_create("rates"), *plateau = tcase_create("plateau");
    tcase_add_test(rates, a_constant_rate_stays);
    tcase_add_test(rates, a_step_falls_by_its_factor_every_so_often);
    tcase_add_test(rates, a_cosine_goes_from_the_rate_to_its_minimum);
    tcase_add_test(rates, a_warm_up_is_a_share_of_what_the_schedule_says);
    tcase_add_test(plateau, a_plateau_falls_after_epochs_without_a_better_metric);
    tcase_add_test(plateau, a_cooling_plateau_does_not_count);
    tcase_add_test(plateau, only_the_plateau_listens_to_the_metric);
    tcase_add_test(plateau, what_makes_no_sense_is_refused_by_name);
    TCase *cases[] = {rates, plateau};
    return suite_run("nn/train/schedule", cases, COUNT(cases));
}
