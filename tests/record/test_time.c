#include "tests/suite.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "record/record.h"

static const struct {
    const char *text;
    int64_t ms;
} good[] = {
    {"1970-01-01T00:00:00.000Z", 0},
    {"2026-11-20T12:00:01.240Z", 1795176001240},
    {"2026-11-20t12:00:01.240z", 1795176001240},
    {"2026-11-20T12:00:01Z", 1795176001000},
    {"2026-11-20T12:00:01.2Z", 1795176001200},
    {"2026-11-20T12:00:01.240999999Z", 1795176001240},
    {"2026-11-20T14:30:01.240+02:30", 1795176001240},
    {"2026-11-20T07:00:01.240-05:00", 1795176001240},
    {"2024-02-29T00:00:00Z", 1709164800000},
    {"2000-02-29T00:00:00Z", 951782400000},
    {"2016-12-31T23:59:60Z", 1483228800000}, /* a leap second is the next second */
    {"9999-12-31T23:59:59.999Z", 253402300799999},
};

static const char *const bad[] = {
    "",
    "2026",
    "2026-11-20",
    "2026-11-20T12:00Z",
    "2026-11-20 12:00:01Z",
    "2026-11-20T12:00:01",
    "2026-11-20T12:00:01.Z",
    "2026-11-20T12:00:01.1234567890Z",
    "2026-11-20T12:00:01Zx",
    "2026-11-20T12:00:01+0200",
    "2026-11-20T12:00:01+24:00",
    "2026-11-20T12:00:01+02:60",
    "2026-13-20T12:00:01Z",
    "2026-00-20T12:00:01Z",
    "2026-11-31T12:00:01Z",
    "2026-11-00T12:00:01Z",
    "2023-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z",
    "2026-11-20T24:00:01Z",
    "2026-11-20T12:60:01Z",
    "2026-11-20T12:00:61Z",
    "1969-12-31T23:59:59Z",
    "1970-01-01T00:59:59+01:00",
    "9999-12-31T23:59:59-00:01",
    "+026-11-20T12:00:01Z",
    "2026-11-2\xd9\xa0T12:00:01Z",
};

START_TEST(the_forms_of_rfc_3339_are_read)
{
    int64_t ms = -1;
    ck_assert_msg(record_time_parse(good[_i].text, &ms) == 0, "%s", good[_i].text);
    ck_assert_msg(ms == good[_i].ms, "%s: %lld", good[_i].text, (long long)ms);
}
END_TEST

START_TEST(anything_else_is_refused_and_writes_nothing)
{
    int64_t ms = 42;
    ck_assert_msg(record_time_parse(bad[_i], &ms) == -EINVAL, "%s", bad[_i]);
    ck_assert_int_eq(ms, 42);
}
END_TEST

START_TEST(every_day_agrees_with_the_c_library_and_is_read_back)
{
    for (int64_t day = 0; day <= 2932896; day += 97) {
        int64_t ms = day * 86400000 + day * 7919 % 86400000;
        char text[RECORD_TIME_SIZE], expected[64];
        record_time_format(ms, text);
        time_t seconds = (time_t)(ms / 1000);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        size_t length = strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(expected + length, sizeof expected - length, ".%03dZ", (int)(ms % 1000));
        ck_assert_str_eq(text, expected);
        int64_t back = -1;
        ck_assert_int_eq(record_time_parse(text, &back), 0);
        ck_assert_int_eq(back, ms);
    }
}
END_TEST

START_TEST(times_outside_the_four_digit_years_become_the_nearest_within)
{
    char text[RECORD_TIME_SIZE];
    record_time_format(-1, text);
    ck_assert_str_eq(text, "1970-01-01T00:00:00.000Z");
    record_time_format(INT64_MAX, text);
    ck_assert_str_eq(text, "9999-12-31T23:59:59.999Z");
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("time");
    tcase_set_timeout(all, 30);
    tcase_add_loop_test(all, the_forms_of_rfc_3339_are_read, 0, sizeof good / sizeof good[0]);
    tcase_add_loop_test(all, anything_else_is_refused_and_writes_nothing, 0,
                        sizeof bad / sizeof bad[0]);
    tcase_add_test(all, every_day_agrees_with_the_c_library_and_is_read_back);
    tcase_add_test(all, times_outside_the_four_digit_years_become_the_nearest_within);
    return suite_run("record/time", &all, 1);
}
