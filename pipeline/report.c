#include "pipeline/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Over how long the rate of frames is measured. */
#define FPS_NS (2 * LIFECYCLE_SECOND)
/* How long after a damaged picture or a dropped frame the status still says so. */
#define FLAG_NS (5 * LIFECYCLE_SECOND)
#define LOST_NS (60 * LIFECYCLE_SECOND)

#define NEVER INT64_C(-1)

void report_init(struct report *report, const char *stream, int64_t now)
{
    memset(report, 0, sizeof *report);
    report->message.type = MESSAGE_STREAM_STATUS;
    message_status_init(&report->message.status);
    g_strlcpy(report->message.status.stream, stream, sizeof report->message.status.stream);
    report->last_damage = report->last_drop = report->lost_told_at = NEVER;
    report->counted_at = now;
}

/* GStreamer's sentences end in a full stop, ours do not: what follows may be advice. */
void report_explain(struct report *report, const char *detail)
{
    char *own = report->message.status.detail;
    size_t length = g_strlcpy(own, detail, sizeof report->message.status.detail);
    if (length > 0 && length < sizeof report->message.status.detail && own[length - 1] == '.')
        own[length - 1] = '\0';
}

void report_caution(struct report *report, const char *caution)
{
    g_strlcpy(report->caution, caution, sizeof report->caution);
}

void report_connect(struct report *report, int64_t now)
{
    report->unix_offset = g_get_real_time() * 1000 - now;
}

/* The same each time it is told. */
static int64_t unix_ms(const struct report *report, int64_t monotonic_ns)
{
    return monotonic_ns < 0 ? RECORD_NO_TIME : (monotonic_ns + report->unix_offset) / 1000000;
}

static void take_source(struct report *report, const struct connection_facts *facts)
{
    struct message_stream_status *status = &report->message.status;
    memcpy(status->codec, facts->codec, sizeof status->codec);
    memcpy(status->profile, facts->profile, sizeof status->profile);
    memcpy(status->audio, facts->audio, sizeof status->audio);
    status->width = facts->width;
    status->height = facts->height;
    status->bitrate_bps = facts->coded.bitrate_bps;
    status->timestamp_faults = facts->coded.timestamp_faults;
    status->gop = facts->coded.gop;
    status->connected_ms = unix_ms(report, facts->session);
    status->first_packet_ms = unix_ms(report, facts->first_packet);
    status->first_key_ms = unix_ms(report, facts->first_key);
    report->last_damage = MAX(report->last_damage, facts->last_damage);
}

void report_disconnect(struct report *report, const struct connection_facts *facts)
{
    /* All may have happened since the last message, and is not told later. */
    take_source(report, facts);
    report->damaged += facts->damaged;
    report->decode_cpu_ns += facts->decode_cpu_ns;
    histogram_merge(&report->decode, &facts->decode);
}

/* What adds up over connections. */
static void take_decoding(struct report *report, const struct connection_facts *facts)
{
    struct message_stream_status *status = &report->message.status;
    int64_t cpu_ns = report->decode_cpu_ns + (facts ? facts->decode_cpu_ns : 0);
    status->damaged = report->damaged + (facts ? facts->damaged : 0);
    status->decode = report->decode;
    if (facts)
        histogram_merge(&status->decode, &facts->decode);
    int64_t pictures = histogram_count(&status->decode);
    status->decode_ms = pictures > 0 ? status->decode.sum_seconds * 1e3 / (double)pictures : -1;
    status->decode_cpu_ms = (double)cpu_ns / 1e6;
}

static void take_analysis(struct report *report, const struct tail_counters *counters,
                          int64_t now)
{
    struct message_stream_status *status = &report->message.status;
    status->received = counters->received + status->damaged;
    status->analysed = counters->analysed;
    status->skipped = counters->skipped;
    status->dropped = counters->dropped;
    status->windows = counters->windows;
    status->records_lost = counters->records_lost;
    status->first_analysed_ms = counters->first_analysed_ms;
    status->last_frame_ms = counters->last_frame_ms;
    status->latency_ms = counters->latency_ms;
    status->latency_p50_ms = counters->latency_p50_ms;
    status->latency_p99_ms = counters->latency_p99_ms;
    status->analysis_cpu_ms = counters->cpu_ms;
    status->inference = counters->inference;
    status->latency = counters->latency;
    int64_t frames = histogram_count(&counters->inference);
    status->inference_ms =
        frames > 0 ? counters->inference.sum_seconds * 1e3 / (double)frames : -1;
    if (counters->dropped > report->dropped)
        report->last_drop = now;
    report->dropped = counters->dropped;
    int64_t span = now - report->counted_at;
    if (span >= FPS_NS) {
        status->fps = (double)(counters->received - report->counted) * 1e9 / (double)span;
        report->counted = counters->received;
        report->counted_at = now;
    }
}

static void say_lost(struct report *report, int64_t now)
{
    const struct message_stream_status *status = &report->message.status;
    bool recently = report->lost_told_at != NEVER && now - report->lost_told_at < LOST_NS;
    if (status->records_lost == report->lost_told || recently)
        return;
    fprintf(stderr, "worker: stream %s: %" PRId64 " records lost, since they are not taken\n",
            status->stream, status->records_lost - report->lost_told);
    report->lost_told = status->records_lost;
    report->lost_told_at = now;
}

void report_make(struct report *report, const struct lifecycle *life, enum stream_state state,
                 const struct connection_facts *facts, const struct tail_counters *counters,
                 int64_t now)
{
    struct message_stream_status *status = &report->message.status;
    if (status->since_ms == RECORD_NO_TIME || status->state != state)
        status->since_ms = g_get_real_time() / 1000;
    status->state = state;
    status->reason = life->reason;
    status->reconnects = life->reconnects;
    status->attempts = life->attempts;
    memcpy(status->lost, life->lost, sizeof status->lost);
    if (state == STREAM_LIVE || (state == STREAM_ENDED && life->reason == REASON_NONE))
        g_strlcpy(status->detail, report->caution, sizeof status->detail);
    if (facts)
        take_source(report, facts);
    take_decoding(report, facts);
    if (counters)
        take_analysis(report, counters, now);
    if (state != STREAM_LIVE)
        status->fps = 0;
    status->degraded = report->last_damage >= 0 && now - report->last_damage < FLAG_NS;
    status->overloaded = report->last_drop >= 0 && now - report->last_drop < FLAG_NS;
    say_lost(report, now);
}

bool report_is_due(const struct report *report, const struct lifecycle *life,
                   enum stream_state state, const struct connection_facts *facts)
{
    const struct message_stream_status *told = &report->message.status;
    if (told->state != state || told->reason != life->reason)
        return true;
    return facts && ((told->first_packet_ms == RECORD_NO_TIME && facts->first_packet >= 0) ||
                     (told->first_key_ms == RECORD_NO_TIME && facts->first_key >= 0));
}
