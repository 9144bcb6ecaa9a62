#include "cli/when.h"

#include <stdio.h>
#include <string.h>

#include "record/record.h"

/* The forms that a day may be written in, longest first, and where the time of day stands. */
static const struct {
    const char *pattern; /* 0: a digit, the rest as it is */
    int clock;           /* index of the hour; -1: midnight */
} days[] = {
    {"0000-00-00T00:00:00", 11}, {"0000-00-00 00:00:00", 11}, {"0000-00-00T00:00", 11},
    {"0000-00-00 00:00", 11},    {"0000-00-00", -1},
};

static bool looks_like(const char *text, const char *pattern)
{
    for (; *pattern && *text; pattern++, text++)
        if (*pattern == '0' ? !g_ascii_isdigit(*text) : *pattern != *text)
            return false;
    return !*pattern && !*text;
}

/* Hour, minute and second of a text that looks like 00:00 or 00:00:00. */
static void read_clock(const char *text, int ret_clock[3])
{
    ret_clock[2] = 0;
    sscanf(text, "%2d:%2d:%2d", &ret_clock[0], &ret_clock[1], &ret_clock[2]);
}

/* "90s" and its like: how long, in seconds; -1 for another text. */
static int64_t parse_span(const char *text)
{
    static const struct {
        char unit;
        int seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}};
    size_t digits = strspn(text, "0123456789");
    if (digits < 1 || digits > 9 || strlen(text) != digits + 1)
        return -1;
    for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
        if (text[digits] == units[i].unit)
            return g_ascii_strtoll(text, NULL, 10) * units[i].seconds;
    return -1;
}

static GDateTime *at_clock(GDateTime *day, const int clock[3])
{
    return g_date_time_new(g_date_time_get_timezone(day), g_date_time_get_year(day),
                           g_date_time_get_month(day), g_date_time_get_day_of_month(day),
                           clock[0], clock[1], clock[2]);
}

static GDateTime *parse_day(const char *text, GDateTime *now)
{
    for (size_t i = 0; i < G_N_ELEMENTS(days); i++) {
        if (!looks_like(text, days[i].pattern))
            continue;
        int year, month, day, clock[3] = {0};
        sscanf(text, "%4d-%2d-%2d", &year, &month, &day);
        if (days[i].clock >= 0)
            read_clock(text + days[i].clock, clock);
        return g_date_time_new(g_date_time_get_timezone(now), year, month, day, clock[0],
                               clock[1], clock[2]);
    }
    return NULL;
}

static GDateTime *parse_local(const char *text, GDateTime *now)
{
    static const int midnight[3] = {0};
    int clock[3];
    if (strcmp(text, "now") == 0)
        return g_date_time_ref(now);
    if (strcmp(text, "today") == 0)
        return at_clock(now, midnight);
    if (strcmp(text, "yesterday") == 0) {
        g_autoptr(GDateTime) before = g_date_time_add_days(now, -1);
        return before ? at_clock(before, midnight) : NULL;
    }
    if (looks_like(text, "00:00") || looks_like(text, "00:00:00")) {
        read_clock(text, clock);
        return at_clock(now, clock);
    }
    int64_t span = parse_span(text);
    return span >= 0 ? g_date_time_add_seconds(now, -(double)span) : parse_day(text, now);
}

char *when_parse(const char *text, GDateTime *now)
{
    int64_t ms;
    if (record_time_parse(text, &ms) < 0) {
        g_autoptr(GDateTime) time = parse_local(text, now);
        if (!time)
            return NULL;
        ms = g_date_time_to_unix(time) * 1000 + g_date_time_get_microsecond(time) / 1000;
    }
    if (ms < 0)
        return NULL;
    char *formatted = g_malloc(RECORD_TIME_SIZE);
    record_time_format(ms, formatted);
    return formatted;
}
