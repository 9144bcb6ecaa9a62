#include "daemon/retention.h"

#include <glib.h>
#include <string.h>

#define HOUR_MS INT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)

struct retention retention_copy(const struct retention *retention)
{
    struct retention copy = *retention;
    copy.streams =
        g_memdup2(retention->streams, retention->stream_count * sizeof *retention->streams);
    return copy;
}

void retention_finish(struct retention *retention)
{
    g_free(retention->streams);
    memset(retention, 0, sizeof *retention);
}

bool retention_equal(const struct retention *a, const struct retention *b)
{
    if (a->days != b->days || a->megabytes != b->megabytes ||
        a->updates_hours != b->updates_hours || a->stream_count != b->stream_count)
        return false;
    for (size_t i = 0; i < a->stream_count; i++)
        if (strcmp(a->streams[i].name, b->streams[i].name) != 0 ||
            a->streams[i].days != b->streams[i].days ||
            a->streams[i].megabytes != b->streams[i].megabytes)
            return false;
    return true;
}

static int64_t time_before(int64_t now_ms, int64_t count, int64_t unit_ms)
{
    return count > 0 ? now_ms - count * unit_ms : RECORD_NO_TIME;
}

struct store_retention retention_at(const struct retention *retention, int64_t now_ms,
                                    struct store_stream_limit *limits)
{
    for (size_t i = 0; i < retention->stream_count; i++) {
        const struct retention_stream *stream = &retention->streams[i];
        int64_t days = stream->days < 0 ? retention->days : stream->days;
        g_strlcpy(limits[i].name, stream->name, sizeof limits[i].name);
        limits[i].before_ms = time_before(now_ms, days, DAY_MS);
        limits[i].bytes = stream->megabytes * RETENTION_MB;
    }
    return (struct store_retention){
        .before_ms = time_before(now_ms, retention->days, DAY_MS),
        .updates_before_ms = time_before(now_ms, retention->updates_hours, HOUR_MS),
        .file_bytes = retention->megabytes * RETENTION_MB,
        .stream_count = retention->stream_count,
        .streams = limits,
    };
}
