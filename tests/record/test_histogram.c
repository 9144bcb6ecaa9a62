#include "record/histogram.h"

#include "tests/suite.h"

START_TEST(a_value_on_a_bound_belongs_below_it)
{
    struct histogram histogram = {0};
    for (int i = 0; i < HISTOGRAM_BOUNDS; i++) {
        histogram_add(&histogram, histogram_bounds[i]);
        ck_assert_int_eq(histogram.counts[i], 1);
        if (i > 0)
            ck_assert_double_gt(histogram_bounds[i], histogram_bounds[i - 1]);
    }
    histogram_add(&histogram, 0);
    histogram_add(&histogram, 0.0005001);
    histogram_add(&histogram, 10.001);
    histogram_add(&histogram, 1e9);
    ck_assert_int_eq(histogram.counts[0], 2);
    ck_assert_int_eq(histogram.counts[1], 2);
    ck_assert_int_eq(histogram.counts[HISTOGRAM_BOUNDS], 2);
    ck_assert_int_eq(histogram_count(&histogram), HISTOGRAM_BOUNDS + 4);
}
END_TEST

START_TEST(the_sum_is_of_the_values_themselves)
{
    struct histogram histogram = {0};
    histogram_add(&histogram, 0.25);
    histogram_add(&histogram, 20);
    ck_assert_double_eq(histogram.sum_seconds, 20.25);
}
END_TEST

int main(void)
{
    TCase *histogram = tcase_create("histogram");
    tcase_add_test(histogram, a_value_on_a_bound_belongs_below_it);
    tcase_add_test(histogram, the_sum_is_of_the_values_themselves);
    return suite_run("record/histogram", &histogram, 1);
}
