#include "daemon/loglimit.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define MINUTE_MS 60000

/* FNV-1a of everything but digits; never 0. */
static uint32_t key_of(const char *text)
{
    uint32_t key = 2166136261u;
    for (; *text; text++)
        if (*text < '0' || *text > '9')
            key = (key ^ (unsigned char)*text) * 16777619u;
    return key ? key : 1;
}

/* The place of the line: its own, else a free one, else that of the line told longest ago. */
static size_t find_kind(const struct log_limit *limit, uint32_t key)
{
    size_t oldest = 0;
    for (size_t i = 0; i < LOG_LIMIT_KINDS; i++) {
        if (limit->kinds[i].key == key)
            return i;
        if (limit->kinds[oldest].key != 0 &&
            (limit->kinds[i].key == 0 ||
             limit->kinds[i].told_ms < limit->kinds[oldest].told_ms))
            oldest = i;
    }
    return oldest;
}

enum log_limit_verdict log_limit_ask(struct log_limit *limit, const char *text, uint64_t now_ms,
                                     int64_t *ret_repeats)
{
    uint32_t key = key_of(text);
    size_t i = find_kind(limit, key);
    bool known = limit->kinds[i].key == key;
    if (known && now_ms - limit->kinds[i].told_ms < LOG_LIMIT_AGAIN_MS) {
        limit->kinds[i].repeats++;
        limit->left_out++;
        return LOG_LIMIT_LEAVE_OUT;
    }
    if (limit->lines == 0 || now_ms - limit->minute_ms >= MINUTE_MS) {
        limit->minute_ms = now_ms;
        limit->lines = 0;
    }
    if (limit->lines >= LOG_LIMIT_LINES) {
        limit->left_out++;
        return LOG_LIMIT_LEAVE_OUT;
    }
    *ret_repeats = known ? limit->kinds[i].repeats : 0;
    limit->kinds[i].key = key;
    limit->kinds[i].told_ms = now_ms;
    limit->kinds[i].repeats = 0;
    return ++limit->lines == LOG_LIMIT_LINES ? LOG_LIMIT_TELL_LAST : LOG_LIMIT_TELL;
}

int64_t log_limit_forget(struct log_limit *limit)
{
    int64_t left_out = limit->left_out;
    limit->left_out = 0;
    memset(limit->kinds, 0, sizeof limit->kinds);
    return left_out;
}
