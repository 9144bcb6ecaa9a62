/* Means, deviations and bootstrap intervals. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/train/random.h"
#include "nn/train/statistics.h"
#include "tests/suite.h"

static const struct train_bootstrap usual = {.level = 0.95, .resamples = 2000, .seed = 3};

START_TEST(a_mean_has_the_deviation_of_a_sample)
{
    const double values[] = {2, 4, 4, 4, 5, 5, 7, 9};
    struct train_mean of = train_mean_of(values, 8);
    ck_assert_double_eq(of.mean, 5);
    ck_assert_double_eq_tol(of.deviation, sqrt(32 / 7.0), 1e-15);
    of = train_mean_of(values, 1);
    ck_assert_double_eq(of.mean, 2);
    ck_assert(isnan(of.deviation));
    of = train_mean_of(values, 0);
    ck_assert(isnan(of.mean) && isnan(of.deviation));
}
END_TEST

/* Of two sources, of which one holds three ones and one a zero, a resample is 1, 0.75 or 0, with
 * chances of 1/4, 1/2 and 1/4. */
START_TEST(whole_groups_are_drawn)
{
    const double values[] = {1, 0, 1, 1};
    const int groups[] = {4, 1, 4, 4};
    struct train_interval interval;
    ck_assert_int_eq(train_bootstrap_mean(values, groups, 4, 6, &usual, &interval, NULL), 0);
    ck_assert_int_eq(interval.groups, 2);
    ck_assert_double_eq(interval.mean, 0.75);
    ck_assert_double_eq(interval.low, 0);
    ck_assert_double_eq(interval.high, 1);
    struct train_bootstrap narrow = {.level = 0.4, .resamples = 2000, .seed = 3};
    ck_assert_int_eq(train_bootstrap_mean(values, groups, 4, 6, &narrow, &interval, NULL), 0);
    ck_assert_double_eq(interval.low, 0.75);
    ck_assert_double_eq(interval.high, 0.75);
}
END_TEST

/* One value a group: the interval is that of the mean, 1.96 deviations / sqrt(n). */
START_TEST(of_many_groups_it_is_the_interval_of_a_normal_mean)
{
    enum { COUNT = 400 };
    static double values[COUNT];
    static int groups[COUNT];
    struct train_random random = train_random_start(5);
    struct train_interval interval;
    for (int i = 0; i < COUNT; i++) {
        values[i] = train_random_normal(&random);
        groups[i] = i;
    }
    const struct train_mean of = train_mean_of(values, COUNT);
    ck_assert_int_eq(
        train_bootstrap_mean(values, groups, COUNT, COUNT, &usual, &interval, NULL), 0);
    const double half = 1.96 * of.deviation / sqrt(COUNT);
    ck_assert_double_eq(interval.mean, of.mean);
    ck_assert_double_eq_tol(interval.low, of.mean - half, half * 0.12);
    ck_assert_double_eq_tol(interval.high, of.mean + half, half * 0.12);

    /* The same values, each four times: no more is known when copies share a group, and seems to
     * be when they do not. */
    static double copies[4 * COUNT];
    static int together[4 * COUNT], apart[4 * COUNT];
    for (int i = 0; i < 4 * COUNT; i++) {
        copies[i] = values[i % COUNT];
        together[i] = i % COUNT;
        apart[i] = i;
    }
    struct train_interval of_copies;
    ck_assert_int_eq(
        train_bootstrap_mean(copies, together, 4 * COUNT, COUNT, &usual, &of_copies, NULL), 0);
    ck_assert_double_eq_tol(of_copies.low, interval.low, 1e-12);
    ck_assert_double_eq_tol(of_copies.high, interval.high, 1e-12);
    ck_assert_int_eq(
        train_bootstrap_mean(copies, apart, 4 * COUNT, 4 * COUNT, &usual, &of_copies, NULL), 0);
    ck_assert_double_eq_tol(of_copies.high - of_copies.low, half, half * 0.12);
}
END_TEST

START_TEST(a_seed_is_an_interval)
{
    const double values[] = {.2, .4, .1, .9, .7, .35, .6, .55};
    const int groups[] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct train_interval a, b, c;
    struct train_bootstrap other = usual;
    other.seed = 4;
    ck_assert_int_eq(train_bootstrap_mean(values, groups, 8, 8, &usual, &a, NULL), 0);
    ck_assert_int_eq(train_bootstrap_mean(values, groups, 8, 8, &usual, &b, NULL), 0);
    ck_assert_int_eq(train_bootstrap_mean(values, groups, 8, 8, &other, &c, NULL), 0);
    ck_assert(a.low == b.low && a.high == b.high);
    ck_assert(a.low != c.low || a.high != c.high);
    /* One resample is its own interval. */
    other.resamples = 1;
    ck_assert_int_eq(train_bootstrap_mean(values, groups, 8, 8, &other, &c, NULL), 0);
    ck_assert_double_eq(c.low, c.high);
}
END_TEST

START_TEST(what_has_no_interval_is_refused)
{
    const double values[] = {1, 2}, broken[] = {1, NAN};
    const int groups[] = {0, 1}, same[] = {1, 1};
    struct train_interval interval;
    struct nn_error err;
    ck_assert_int_eq(train_bootstrap_mean(values, same, 2, 2, &usual, &interval, &err),
                     -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "two of them, not 1"));
    ck_assert_int_eq(train_bootstrap_mean(values, same, 0, 0, &usual, &interval, &err),
                     -EINVAL);
    ck_assert_int_eq(train_bootstrap_mean(broken, groups, 2, 2, &usual, &interval, &err),
                     -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "value 2"));
    const struct train_bootstrap bad[] = {
        {0, 10, 0}, {1, 10, 0}, {NAN, 10, 0}, {.5, 0, 0}, {.5, TRAIN_RESAMPLES_MAX + 1, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_int_eq(train_bootstrap_mean(values, groups, 2, 2, &bad[i], &interval, &err),
                         -EINVAL);
}
END_TEST

int main(void)
{
    TCase *statistics = tcase_create("statistics");
    tcase_add_test(statistics, a_mean_has_the_deviation_of_a_sample);
    tcase_add_test(statistics, whole_groups_are_drawn);
    tcase_add_test(statistics, of_many_groups_it_is_the_interval_of_a_normal_mean);
    tcase_add_test(statistics, a_seed_is_an_interval);
    tcase_add_test(statistics, what_has_no_interval_is_refused);
    return suite_run("nn/train/statistics", &statistics, 1);
}
