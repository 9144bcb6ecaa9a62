/* The families of /metrics that are of streams: rows of one table per kind. */
#include "daemon/app_private.h"

#include <glib.h>
#include <stddef.h>
#include <string.h>

#include "daemon/exposition.h"

#define TOTAL(member) offsetof(struct stream_totals, member)

static const struct {
    const char *name, *help;
    size_t offset; /* of an int64_t in struct stream_totals */
} counters[] = {
    {"vigil_stream_frames_received_total", "Frames received from the source.", TOTAL(received)},
    {"vigil_stream_frames_analysed_total", "Frames that went through the network.",
     TOTAL(analysed)},
    {"vigil_stream_frames_skipped_total", "Frames left out by sampling to the model's rate.",
     TOTAL(skipped)},
    {"vigil_stream_frames_dropped_total", "Frames dropped since analysis was behind.",
     TOTAL(dropped)},
    {"vigil_stream_frames_damaged_total", "Frames that were damaged.", TOTAL(damaged)},
    {"vigil_stream_windows_total", "Windows of frames that were scored.", TOTAL(windows)},
    {"vigil_stream_records_lost_total", "Records the worker could not hand on.",
     TOTAL(records_lost)},
    {"vigil_stream_connection_attempts_total", "Connections tried.", TOTAL(attempts)},
    {"vigil_stream_reconnects_total", "Sessions with pictures again after one was lost.",
     TOTAL(reconnects)},
};

static const struct {
    const char *name, *help;
    size_t offset; /* of a struct histogram there */
} histograms[] = {
    {"vigil_stream_decode_seconds", "Time in the decoder per picture.", TOTAL(decode)},
    {"vigil_stream_inference_seconds", "Time in the network per analysed frame.",
     TOTAL(inference)},
    {"vigil_stream_latency_seconds",
     "From capture to result of analysed frames, live sources only.", TOTAL(latency)},
};

static double live(const struct message_stream_status *status)
{
    return status->state == STREAM_LIVE;
}

static double degraded(const struct message_stream_status *status)
{
    return status->degraded;
}

static double overloaded(const struct message_stream_status *status)
{
    return status->overloaded;
}

static double fps(const struct message_stream_status *status)
{
    return status->fps;
}

static double bitrate(const struct message_stream_status *status)
{
    return status->bitrate_bps / 8;
}

static double key_interval(const struct message_stream_status *status)
{
    return status->gop.count > 0 ? status->gop.mean_seconds : -1;
}

static double last_frame(const struct message_stream_status *status)
{
    int64_t ms = status->last_frame_ms;
    return ms == RECORD_NO_TIME ? -1 : (double)ms / 1000;
}

static const struct {
    const char *name, *help;
    double (*value)(const struct message_stream_status *status); /* < 0: unknown, no sample */
} gauges[] = {
    {"vigil_stream_live", "1 while frames of the stream are being analysed.", live},
    {"vigil_stream_degraded", "1 while pictures are damaged.", degraded},
    {"vigil_stream_overloaded", "1 while frames are dropped since analysis is too slow.",
     overloaded},
    {"vigil_stream_frames_per_second", "Measured rate of the stream.", fps},
    {"vigil_stream_bytes_per_second", "Rate of the coded pictures.", bitrate},
    {"vigil_stream_key_frame_interval_seconds", "Mean time between key pictures.",
     key_interval},
    {"vigil_stream_last_frame_timestamp_seconds", "Unix time of the last frame.", last_frame},
};

static void append_states(struct app *app, GString *out)
{
    exposition_family(out, "vigil_streams", "gauge", "Streams by state.");
    for (int state = STREAM_CONNECTING; state <= STREAM_ENDED; state++) {
        int count = 0;
        for (size_t i = 0; i < streams_count(app->streams); i++)
            count += streams_at(app->streams, i)->status.state == (enum stream_state)state;
        exposition_labelled(out, "vigil_streams", "state",
                            stream_state_name((enum stream_state)state), count);
    }
}

/* One sample a stream, so that an alert on its state names the reason. */
static void append_state_of_each(struct app *app, GString *out, size_t count)
{
    const char *name = "vigil_stream_state";
    exposition_family(out, name, "gauge",
                      "1, with the stream's state and its reason as labels.");
    for (size_t i = 0; i < count; i++) {
        const struct stream_entry *entry = streams_at(app->streams, i);
        const struct exposition_label labels[] = {
            {"stream", entry->config.name},
            {"state", stream_state_name(entry->status.state)},
            {"reason", stream_reason_name(entry->status.reason)},
            {NULL, NULL}};
        exposition_sample(out, name, labels, 1);
    }
}

static void append_two_labels(GString *out, const char *name, const char *stream,
                              const char *label, const char *value, double number)
{
    const struct exposition_label labels[] = {{"stream", stream}, {label, value}, {NULL, NULL}};
    exposition_sample(out, name, labels, number);
}

/* Why sessions were lost: the reasons that have occurred. */
static void append_lost(GString *out, const char *const *names,
                        const struct stream_totals *totals, size_t count)
{
    const char *name = "vigil_stream_sessions_lost_total";
    exposition_family(out, name, "counter",
                      "Sessions with pictures that were lost, by reason.");
    for (size_t i = 0; i < count; i++) {
        for (int reason = 0; reason < REASON_COUNT; reason++) {
            if (totals[i].lost[reason] > 0)
                append_two_labels(out, name, names[i], "reason",
                                  stream_reason_name((enum stream_reason)reason),
                                  (double)totals[i].lost[reason]);
        }
    }
}

static void append_cpu(GString *out, const char *const *names,
                       const struct stream_totals *totals, size_t count)
{
    const char *name = "vigil_stream_cpu_seconds_total";
    exposition_family(out, name, "counter",
                      "Processor time of the stream, decoding and analysing it.");
    for (size_t i = 0; i < count; i++) {
        append_two_labels(out, name, names[i], "part", "decode",
                          totals[i].decode_cpu_ms / 1000);
        append_two_labels(out, name, names[i], "part", "analysis",
                          totals[i].analysis_cpu_ms / 1000);
    }
}

static void append_totals(GString *out, const char *const *names,
                          const struct stream_totals *totals, size_t count)
{
    for (size_t k = 0; k < G_N_ELEMENTS(counters); k++) {
        exposition_family(out, counters[k].name, "counter", counters[k].help);
        for (size_t i = 0; i < count; i++) {
            int64_t value;
            memcpy(&value, (const char *)&totals[i] + counters[k].offset, sizeof value);
            exposition_labelled(out, counters[k].name, "stream", names[i], (double)value);
        }
    }
    append_lost(out, names, totals, count);
    append_cpu(out, names, totals, count);
    for (size_t k = 0; k < G_N_ELEMENTS(histograms); k++) {
        exposition_family(out, histograms[k].name, "histogram", histograms[k].help);
        for (size_t i = 0; i < count; i++) {
            const struct exposition_label labels[] = {{"stream", names[i]}, {NULL, NULL}};
            const void *histogram = (const char *)&totals[i] + histograms[k].offset;
            exposition_histogram(out, histograms[k].name, labels, histogram);
        }
    }
}

static void append_gauges(struct app *app, GString *out, size_t count)
{
    for (size_t k = 0; k < G_N_ELEMENTS(gauges); k++) {
        exposition_family(out, gauges[k].name, "gauge", gauges[k].help);
        for (size_t i = 0; i < count; i++) {
            const struct stream_entry *entry = streams_at(app->streams, i);
            double value = gauges[k].value(&entry->status);
            if (value >= 0)
                exposition_labelled(out, gauges[k].name, "stream", entry->config.name, value);
        }
    }
}

static void append_deaths(struct app *app, GString *out, size_t count)
{
    const char *name = "vigil_stream_worker_deaths_total";
    exposition_family(out, name, "counter", "Workers of the stream that died.");
    for (size_t i = 0; i < count; i++) {
        const struct stream_entry *entry = streams_at(app->streams, i);
        exposition_labelled(out, name, "stream", entry->config.name, (double)entry->restarts);
    }
}

void app_metrics_streams(struct app *app, GString *out)
{
    size_t count = streams_count(app->streams);
    append_states(app, out);
    if (count == 0)
        return;
    g_autofree struct stream_totals *totals = g_new(struct stream_totals, count);
    g_autofree const char **names = g_new(const char *, count);
    for (size_t i = 0; i < count; i++) {
        const struct stream_entry *entry = streams_at(app->streams, i);
        totals[i] = stream_entry_totals(entry);
        names[i] = entry->config.name;
    }
    append_state_of_each(app, out, count);
    append_totals(out, names, totals, count);
    append_gauges(app, out, count);
    append_deaths(app, out, count);
}
