#include "pipeline/detection.h"

#include <stdio.h>
#include <string.h>

#include <glib.h>

#define NS_PER_MS 1000000

void detection_init(struct detection *detection, const struct message_stream_start *start,
                    const char *sha256_hex, bool by_clock)
{
    memset(detection, 0, sizeof *detection);
    g_strlcpy(detection->node, start->node, sizeof detection->node);
    g_strlcpy(detection->stream, start->stream, sizeof detection->stream);
    g_snprintf(detection->model, sizeof detection->model, "%s@%.8s", start->model, sha256_hex);
    detection->by_clock = by_clock;
    detection->live = start->live;
    detection->start_ms = start->start_ms;
}

void detection_restart(struct detection *detection, int64_t shift_ns)
{
    detection->shift_ns = shift_ns;
    detection->anchored = false;
    detection->on = 0;
}

static void identify(const struct detection *detection, const struct vigilmessage_event *event,
                     int64_t start_pts, int64_t start_ms, char ret_id[RECORD_ID_SIZE])
{
    /* NUL between the parts: none of them can hold one. */
    char pts[24];
    snprintf(pts, sizeof pts, "%lld", (long long)start_pts);
    const char *parts[] = {detection->stream, detection->model, record_kind_name(event->kind),
                           event->label, pts};
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
        g_checksum_update(checksum, (const guchar *)parts[i], (gssize)strlen(parts[i]) + 1);
    uint8_t digest[32];
    gsize size = sizeof digest;
    g_checksum_get_digest(checksum, digest, &size);
    record_id_format(start_ms, digest, ret_id);
}

static int64_t shifted(const struct detection *detection, GstClockTime pts)
{
    return GST_CLOCK_TIME_IS_VALID(pts) ? (int64_t)pts + detection->shift_ns : RECORD_NO_TIME;
}

static int64_t wall(const struct detection *detection, int64_t pts)
{
    if (pts == RECORD_NO_TIME)
        return RECORD_NO_TIME;
    return (detection->by_clock ? detection->anchor_ms : detection->start_ms) + pts / NS_PER_MS;
}

void detection_record(struct detection *detection, const struct vigilmessage_event *event,
                      const struct detection_now *now, struct record *ret_record)
{
    bool timed = GST_CLOCK_TIME_IS_VALID(event->running_time);
    int64_t age_ns = timed ? now->running_ns - (int64_t)event->running_time : 0;
    int64_t pts = shifted(detection, event->pts);
    if (event->phase == RECORD_STARTED && detection->on++ == 0)
        detection->anchored = false;
    if (event->phase == RECORD_ENDED && detection->on > 0)
        detection->on--;
    if (detection->by_clock && !detection->anchored) {
        detection->anchor_ms = now->unix_ms - (age_ns + pts) / NS_PER_MS;
        detection->anchored = true;
    }
    struct record record;
    record_init(&record);
    record.phase = event->phase;
    g_strlcpy(record.node, detection->node, sizeof record.node);
    g_strlcpy(record.stream, detection->stream, sizeof record.stream);
    g_strlcpy(record.model, detection->model, sizeof record.model);
    record.kind = event->kind;
    g_strlcpy(record.label, event->label, sizeof record.label);
    record.score = CLAMP(event->score, 0.0, 1.0);
    record.pts_ns = pts;
    record.time_ms = wall(detection, pts);
    int64_t start = shifted(detection, event->start);
    record.start_ms = wall(detection, start);
    if (event->phase == RECORD_ENDED)
        record.end_ms = wall(detection, shifted(detection, event->end));
    record.window_first_pts_ns = shifted(detection, event->first_pts);
    record.window_last_pts_ns = shifted(detection, event->last_pts);
    record.window_frames = event->frames;
    if (detection->live && timed && age_ns >= 0)
        record.latency_ms = (double)age_ns / NS_PER_MS;
    identify(detection, event, start, record.start_ms, record.id);
    *ret_record = record;
}

void detection_window(const struct detection *detection,
                      const struct vigilmessage_window *window,
                      struct message_window *ret_window)
{
    memset(ret_window, 0, sizeof *ret_window);
    g_strlcpy(ret_window->stream, detection->stream, sizeof ret_window->stream);
    ret_window->first_pts_ns = shifted(detection, window->first_pts);
    ret_window->last_pts_ns = shifted(detection, window->last_pts);
    ret_window->frames = window->frames;
    ret_window->score_count = MIN(window->score_count, MESSAGE_LABELS_MAX);
    for (int i = 0; i < ret_window->score_count; i++) {
        g_strlcpy(ret_window->labels[i], window->labels[i], sizeof ret_window->labels[i]);
        ret_window->scores[i] = window->scores[i];
    }
}
