#include "tests/suite.h"

#include <glib.h>

#include "cli/when.h"

/* 2026-11-20 15:04:05.500 in a zone two hours east of Greenwich. */
static GDateTime *now;

static void set_up(void)
{
    g_autoptr(GTimeZone) zone = g_time_zone_new_offset(2 * 3600);
    now = g_date_time_new(zone, 2026, 11, 20, 15, 4, 5.5);
}

static void tear_down(void)
{
    g_date_time_unref(now);
}

static const struct {
    const char *text, *expected;
} forms[] = {
    {"now", "2026-11-20T13:04:05.500Z"},
    {"90s", "2026-11-20T13:02:35.500Z"},
    {"30m", "2026-11-20T12:34:05.500Z"},
    {"2h", "2026-11-20T11:04:05.500Z"},
    {"3d", "2026-11-17T13:04:05.500Z"},
    {"1w", "2026-11-13T13:04:05.500Z"},
    {"0s", "2026-11-20T13:04:05.500Z"},
    {"today", "2026-11-19T22:00:00.000Z"},
    {"yesterday", "2026-11-18T22:00:00.000Z"},
    {"14:30", "2026-11-20T12:30:00.000Z"},
    {"14:30:05", "2026-11-20T12:30:05.000Z"},
    {"2026-11-18", "2026-11-17T22:00:00.000Z"},
    {"2026-11-18 14:30", "2026-11-18T12:30:00.000Z"},
    {"2026-11-18T14:30:05", "2026-11-18T12:30:05.000Z"},
    {"2026-11-18T14:30:05Z", "2026-11-18T14:30:05.000Z"},
    {"2026-11-18T14:30:05.250+01:00", "2026-11-18T13:30:05.250Z"},
};

START_TEST(a_form_becomes_a_time_of_the_api)
{
    g_autofree char *time = when_parse(forms[_i].text, now);
    ck_assert_str_eq(time, forms[_i].expected);
}
END_TEST

static const char *const refused[] = {
    "",
    "h",
    "2",
    "2 h",
    "-2h",
    "2y",
    "9999999999d",
    "999999999w",
    "24:00",
    "14:60",
    "4:30",
    "tomorrow",
    "2026-02-30",
    "2026-13-01",
    "2026-11-1",
    "2026-11-18 ",
    "2026-11-18T",
    "20.11.2026",
};

START_TEST(what_is_no_form_is_refused)
{
    ck_assert_ptr_null(when_parse(refused[_i], now));
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("when");
    tcase_add_checked_fixture(all, set_up, tear_down);
    tcase_add_loop_test(all, a_form_becomes_a_time_of_the_api, 0, G_N_ELEMENTS(forms));
    tcase_add_loop_test(all, what_is_no_form_is_refused, 0, G_N_ELEMENTS(refused));
    return suite_run("cli/when", &all, 1);
}
