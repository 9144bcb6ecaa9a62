/* What days, hours and megabytes mean at a given time. */
#include "daemon/retention.h"

#include <string.h>

#include "tests/suite.h"

#define DAY INT64_C(86400000)

START_TEST(a_stream_has_its_own_days_or_those_of_all)
{
    struct retention_stream streams[] = {{.name = "own", .days = 2},
                                         {.name = "all", .days = -1, .megabytes = 3},
                                         {.name = "ever"}};
    struct retention retention = {.days = 30,
                                  .megabytes = 1000000,
                                  .updates_hours = 24,
                                  .stream_count = 3,
                                  .streams = streams};
    struct store_stream_limit limits[3];
    struct store_retention at = retention_at(&retention, 100 * DAY, limits);
    ck_assert_int_eq(at.before_ms, 70 * DAY);
    ck_assert_int_eq(at.updates_before_ms, 99 * DAY);
    ck_assert_int_eq(at.file_bytes, INT64_C(1048576000000));
    ck_assert_uint_eq(at.stream_count, 3);
    ck_assert_ptr_eq(at.streams, limits);
    ck_assert_str_eq(limits[0].name, "own");
    ck_assert_int_eq(limits[0].before_ms, 98 * DAY);
    ck_assert_int_eq(limits[0].bytes, 0);
    ck_assert_int_eq(limits[1].before_ms, 70 * DAY);
    ck_assert_int_eq(limits[1].bytes, 3 * 1048576);
    ck_assert_int_eq(limits[2].before_ms, RECORD_NO_TIME);
}
END_TEST

START_TEST(nothing_told_is_no_limit)
{
    struct retention none = {0};
    struct store_retention at = retention_at(&none, 100 * DAY, NULL);
    ck_assert_int_eq(at.before_ms, RECORD_NO_TIME);
    ck_assert_int_eq(at.updates_before_ms, RECORD_NO_TIME);
    ck_assert_int_eq(at.file_bytes, 0);
}
END_TEST

START_TEST(any_difference_is_one)
{
    struct retention_stream own = {.name = "door", .days = 7}, other = own;
    const struct retention a = {.days = 1, .stream_count = 1, .streams = &own};
    struct retention b = a;
    b.streams = &other;
    ck_assert(retention_equal(&a, &b));
    other.days = 8;
    ck_assert(!retention_equal(&a, &b));
    other = own;
    other.megabytes = 1;
    ck_assert(!retention_equal(&a, &b));
    other = own;
    strcpy(other.name, "gate");
    ck_assert(!retention_equal(&a, &b));
    b.streams = &own;
    b.updates_hours = 1;
    ck_assert(!retention_equal(&a, &b));
    b = a;
    b.stream_count = 0;
    ck_assert(!retention_equal(&a, &b));
}
END_TEST

START_TEST(a_copy_is_its_own)
{
    struct retention_stream stream = {.name = "door", .days = 7};
    struct retention retention = {.stream_count = 1, .streams = &stream};
    struct retention copy = retention_copy(&retention);
    memset(&stream, 0, sizeof stream);
    ck_assert_str_eq(copy.streams[0].name, "door");
    ck_assert_int_eq(copy.streams[0].days, 7);
    retention_finish(&copy);
    ck_assert_uint_eq(copy.stream_count, 0);
    retention_finish(&copy);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("retention");
    tcase_add_test(tests, a_stream_has_its_own_days_or_those_of_all);
    tcase_add_test(tests, nothing_told_is_no_limit);
    tcase_add_test(tests, any_difference_is_one);
    tcase_add_test(tests, a_copy_is_its_own);
    return suite_run("daemon/retention", &tests, 1);
}
