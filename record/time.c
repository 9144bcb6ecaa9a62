/* RFC 3339 times. Own calendar arithmetic: libc's gmtime_r reads the time zone files on first
 * use, which a sandboxed worker may not. */
#include "record/record.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#define DAY_MS  (24 * 60 * 60 * (int64_t)1000)
#define LAST_MS INT64_C(253402300799999) /* 9999-12-31T23:59:59.999Z */

struct date {
    int year, month, day;
};

/* Days since 1970-01-01 and back, proleptic Gregorian (Howard Hinnant, "chrono-compatible
 * low-level date algorithms"): years start in March, so the leap day comes last. */
static int64_t days_from_date(struct date date)
{
    int64_t year = date.year - (date.month <= 2);
    int64_t era = year / 400;
    int64_t of_era = year % 400;
    int64_t of_year = (153 * ((date.month + 9) % 12) + 2) / 5 + date.day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static struct date date_from_days(int64_t days)
{
    days += 719468;
    int64_t era = days / 146097, of_era = days % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;
    struct date date = {
        .year = (int)(year + era * 400 + (month >= 10)),
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .day = (int)(of_year - (153 * month + 2) / 5 + 1),
    };
    return date;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

void record_time_format(int64_t ms, char ret_text[RECORD_TIME_SIZE])
{
    ms = ms < 0 ? 0 : ms > LAST_MS ? LAST_MS : ms;
    struct date date = date_from_days(ms / DAY_MS);
    unsigned of_day = (unsigned)(ms % DAY_MS);
    /* Wide enough for any int, which is what the compiler must assume. */
    char text[64];
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02u:%02u:%02u.%03uZ", date.year, date.month,
             date.day, of_day / 3600000, of_day / 60000 % 60, of_day / 1000 % 60,
             of_day % 1000);
    snprintf(ret_text, RECORD_TIME_SIZE, "%.*s", RECORD_TIME_SIZE - 1, text);
}

/* Exactly `digits` decimal digits; moves *text past them. -1 when there are fewer. */
static int read_digits(const char **text, int digits)
{
    int value = 0;
    for (int i = 0; i < digits; i++, (*text)++) {
        if (**text < '0' || **text > '9')
            return -1;
        value = value * 10 + (**text - '0');
    }
    return value;
}

static bool read_char(const char **text, const char *choices)
{
    for (; *choices; choices++) {
        if (**text == *choices) {
            (*text)++;
            return true;
        }
    }
    return false;
}

/* "." and one to nine digits, of which three count. -1 when malformed. */
static int read_fraction_ms(const char **text)
{
    if (!read_char(text, "."))
        return 0;
    int ms = 0, digits = 0;
    for (; **text >= '0' && **text <= '9'; (*text)++, digits++) {
        if (digits < 3)
            ms = ms * 10 + (**text - '0');
    }
    for (int i = digits; i < 3; i++)
        ms *= 10;
    return digits >= 1 && digits <= 9 ? ms : -1;
}

#define NO_OFFSET INT_MIN

/* "Z" or "+hh:mm": minutes east of UTC, NO_OFFSET when malformed. */
static int read_offset_minutes(const char **text)
{
    if (read_char(text, "Zz"))
        return 0;
    int sign = **text == '-' ? -1 : 1;
    if (!read_char(text, "+-"))
        return NO_OFFSET;
    int hours = read_digits(text, 2);
    bool colon = hours >= 0 && read_char(text, ":");
    int minutes = colon ? read_digits(text, 2) : -1;
    if (hours > 23 || minutes < 0 || minutes > 59)
        return NO_OFFSET;
    return sign * (hours * 60 + minutes);
}

int record_time_parse(const char *text, int64_t *ret_ms)
{
    struct date date;
    if ((date.year = read_digits(&text, 4)) < 0 || !read_char(&text, "-") ||
        (date.month = read_digits(&text, 2)) < 1 || date.month > 12 || !read_char(&text, "-") ||
        (date.day = read_digits(&text, 2)) < 1 ||
        date.day > days_in_month(date.year, date.month) || !read_char(&text, "Tt"))
        return -EINVAL;
    int hour, minute, second;
    if ((hour = read_digits(&text, 2)) < 0 || hour > 23 || !read_char(&text, ":") ||
        (minute = read_digits(&text, 2)) < 0 || minute > 59 || !read_char(&text, ":") ||
        (second = read_digits(&text, 2)) < 0 || second > 60)
        return -EINVAL; /* 60 is a leap second */
    int fraction = read_fraction_ms(&text);
    int offset = fraction < 0 ? NO_OFFSET : read_offset_minutes(&text);
    if (offset == NO_OFFSET || *text)
        return -EINVAL;
    int64_t seconds = (hour * 60 + minute - offset) * 60 + second;
    int64_t ms = days_from_date(date) * DAY_MS + seconds * 1000 + fraction;
    if (ms < 0 || ms > LAST_MS)
        return -EINVAL;
    *ret_ms = ms;
    return 0;
}
