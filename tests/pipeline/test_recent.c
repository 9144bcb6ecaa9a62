/* pipeline/recent.c: quantiles of the last minute, held against a sorted list of everything. */
#include <stdlib.h>
#include <string.h>

#include "pipeline/recent.h"
#include "tests/suite.h"

#define MS INT64_C(1000000)
#define S  (1000 * MS)

static struct recent recent;

static void forget(void)
{
    memset(&recent, 0, sizeof recent);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

START_TEST(quantiles_are_within_five_percent_of_the_sorted_ones)
{
    enum { COUNT = 2000 };
    static int64_t all[COUNT];
    uint64_t random = 11 + (uint64_t)_i;
    for (int i = 0; i < COUNT; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        /* From 0.2 ms to 20 s, as many in each octave. */
        double exponent = (double)(random >> 40) / (1 << 24) * 16.6;
        all[i] = (int64_t)(2e5 * __builtin_exp2(exponent));
        recent_add(&recent, all[i], i * 20 * MS);
    }
    qsort(all, COUNT, sizeof *all, compare);
    static const double quantiles[] = {0.01, 0.1, 0.5, 0.9, 0.99, 1};
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        double exact = (double)all[(int)(quantiles[i] * COUNT + 0.5) - 1];
        double told = recent_quantile(&recent, quantiles[i], COUNT * 20 * MS);
        ck_assert_double_ge(told, exact * 0.95);
        ck_assert_double_le(told, exact * 1.05);
    }
}
END_TEST

START_TEST(what_is_older_than_a_minute_is_forgotten)
{
    for (int i = 0; i < 100; i++)
        recent_add(&recent, 500 * MS, 5 * S);
    recent_add(&recent, 2 * MS, 55 * S);
    ck_assert_double_gt(recent_quantile(&recent, 0.5, 55 * S), 450e6);
    ck_assert_double_lt(recent_quantile(&recent, 0.5, 65 * S), 3e6);
    ck_assert_double_lt(recent_quantile(&recent, 0.5, 115 * S), 0);
}
END_TEST

START_TEST(nothing_added_is_unknown)
{
    ck_assert_double_lt(recent_quantile(&recent, 0.5, 0), 0);
    ck_assert_double_lt(recent_quantile(&recent, 0.99, 1000000 * S), 0);
}
END_TEST

START_TEST(absurd_durations_end_in_the_outermost_steps)
{
    recent_add(&recent, INT64_MIN, 0);
    recent_add(&recent, INT64_MAX, 0);
    ck_assert_double_lt(recent_quantile(&recent, 0.5, 0), 1.2e5);
    ck_assert_double_gt(recent_quantile(&recent, 1, 0), 9e10);
}
END_TEST

START_TEST(slices_are_used_again_after_hours_of_silence)
{
    recent_add(&recent, 5 * MS, 3 * S);
    recent_add(&recent, 80 * MS, 7200 * S + 3 * S);
    double p50 = recent_quantile(&recent, 0.5, 7200 * S + 4 * S);
    ck_assert_double_gt(p50, 75e6);
    ck_assert_double_lt(p50, 85e6);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("recent");
    tcase_add_checked_fixture(all, forget, NULL);
    tcase_add_loop_test(all, quantiles_are_within_five_percent_of_the_sorted_ones, 0, 4);
    tcase_add_test(all, what_is_older_than_a_minute_is_forgotten);
    tcase_add_test(all, nothing_added_is_unknown);
    tcase_add_test(all, absurd_durations_end_in_the_outermost_steps);
    tcase_add_test(all, slices_are_used_again_after_hours_of_silence);
    return suite_run("pipeline/recent", &all, 1);
}
