#include "record/histogram.h"

#include <errno.h>
#include <string.h>

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
    histogram_add(&histogram, 0.0001001);
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

START_TEST(a_negative_time_is_none)
{
    struct histogram histogram = {0};
    histogram_add(&histogram, -5e-9);
    ck_assert_int_eq(histogram.counts[0], 1);
    ck_assert_double_eq(histogram.sum_seconds, 0);
}
END_TEST

START_TEST(merged_counts_add_up_and_stay_at_the_top)
{
    struct histogram all = {0}, more = {0};
    histogram_add(&all, 0.001);
    histogram_add(&more, 0.001);
    histogram_add(&more, 2);
    histogram_merge(&all, &more);
    ck_assert_int_eq(histogram_count(&all), 3);
    ck_assert_double_eq_tol(all.sum_seconds, 2.002, 1e-9);
    more.counts[0] = INT64_MAX;
    histogram_merge(&all, &more);
    histogram_merge(&all, &more);
    ck_assert_int_eq(all.counts[0], INT64_MAX);
    ck_assert_int_eq(histogram_count(&all), INT64_MAX);
}
END_TEST

/* Reads {"h": text}; the reader's status. */
static int read_text(const char *text, struct histogram *histogram, struct record_error *err)
{
    char whole[1024];
    snprintf(whole, sizeof whole, "{\"h\":%s}", text);
    json_t *object = member_parse(whole, strlen(whole), sizeof whole, err);
    ck_assert_ptr_nonnull(object);
    struct member_reader reader;
    member_reader_init(&reader, object, err);
    histogram_read(&reader, "h", histogram);
    json_decref(object);
    return reader.status;
}

START_TEST(what_is_written_is_read_again)
{
    struct histogram histogram = {0}, again = {0};
    for (double seconds = 1e-6; seconds < 20; seconds *= 3)
        histogram_add(&histogram, seconds);
    json_t *object = histogram_to_json(&histogram);
    char *text = json_dumps(object, JSON_COMPACT);
    ck_assert_int_eq(read_text(text, &again, NULL), 0);
    ck_assert_mem_eq(again.counts, histogram.counts, sizeof again.counts);
    ck_assert_double_eq_tol(again.sum_seconds, histogram.sum_seconds, 1e-6);
    free(text);
    json_decref(object);
}
END_TEST

static const struct {
    const char *text, *says;
} bad[] = {
    {"[]", "\"h\": not an object"},
    {"{}", "\"counts\": missing"},
    {"{\"counts\":[],\"sum\":0}", "\"counts\": not 17"},
    {"{\"counts\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],\"sum\":0}", "more than 17"},
    {"{\"counts\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-1],\"sum\":0}", "element 16"},
    {"{\"counts\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1.5],\"sum\":0}", "element 16"},
    {"{\"counts\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}", "\"sum\": missing"},
    {"{\"counts\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],\"sum\":-1}", "\"sum\": not within"},
    {"{\"counts\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],\"sum\":1e300}", "\"sum\": not within"},
};

START_TEST(what_is_no_histogram_is_refused_and_nothing_is_written)
{
    struct histogram histogram = {.sum_seconds = 7};
    struct record_error err = {""};
    ck_assert_int_eq(read_text(bad[_i].text, &histogram, &err), -EINVAL);
    ck_assert_msg(strstr(err.text, bad[_i].says), "%s says %s", bad[_i].text, err.text);
    ck_assert_double_eq(histogram.sum_seconds, 7);
}
END_TEST

START_TEST(an_absent_histogram_is_left_as_it_was)
{
    struct histogram histogram = {.sum_seconds = 7};
    ck_assert_int_eq(read_text("null", &histogram, NULL), 0);
    ck_assert_double_eq(histogram.sum_seconds, 7);
}
END_TEST

int main(void)
{
    TCase *histogram = tcase_create("histogram");
    tcase_add_test(histogram, a_value_on_a_bound_belongs_below_it);
    tcase_add_test(histogram, the_sum_is_of_the_values_themselves);
    tcase_add_test(histogram, a_negative_time_is_none);
    tcase_add_test(histogram, merged_counts_add_up_and_stay_at_the_top);
    tcase_add_test(histogram, what_is_written_is_read_again);
    tcase_add_loop_test(histogram, what_is_no_histogram_is_refused_and_nothing_is_written, 0,
                        sizeof bad / sizeof *bad);
    tcase_add_test(histogram, an_absent_histogram_is_left_as_it_was);
    return suite_run("record/histogram", &histogram, 1);
}
