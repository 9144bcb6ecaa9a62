/* GET /metrics in Prometheus' text format: base units, _total for counters, one HELP and TYPE
 * per family. Per-stream families are rows of one table. */
#include "daemon/app_private.h"

#include <dirent.h>
#include <glib.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/exposition.h"

/* --- streams ------------------------------------------------------------------------------ */

static const struct {
    const char *name, *help;
    size_t offset;
} stream_counters[] = {
    {"vigil_stream_frames_received_total", "Frames received from the source.",
     offsetof(struct stream_totals, received)},
    {"vigil_stream_frames_analysed_total", "Frames that went through the network.",
     offsetof(struct stream_totals, analysed)},
    {"vigil_stream_frames_skipped_total", "Frames left out by sampling to the model's rate.",
     offsetof(struct stream_totals, skipped)},
    {"vigil_stream_frames_dropped_total", "Frames dropped since analysis was behind.",
     offsetof(struct stream_totals, dropped)},
    {"vigil_stream_frames_damaged_total", "Frames that were damaged.",
     offsetof(struct stream_totals, damaged)},
    {"vigil_stream_windows_total", "Windows of frames that were scored.",
     offsetof(struct stream_totals, windows)},
    {"vigil_stream_reconnects_total", "Connections made again after one was lost.",
     offsetof(struct stream_totals, reconnects)},
};

static double live(const struct stream_entry *entry)
{
    return entry->status.state == STREAM_LIVE;
}

static double fps(const struct stream_entry *entry)
{
    return entry->status.fps;
}

static double latency(const struct stream_entry *entry)
{
    return entry->status.latency_ms < 0 ? -1 : entry->status.latency_ms / 1000;
}

static double inference(const struct stream_entry *entry)
{
    return entry->status.inference_ms < 0 ? -1 : entry->status.inference_ms / 1000;
}

static double last_frame(const struct stream_entry *entry)
{
    int64_t ms = entry->status.last_frame_ms;
    return ms == RECORD_NO_TIME ? -1 : (double)ms / 1000;
}

static const struct {
    const char *name, *help;
    double (*value)(const struct stream_entry *entry); /* negative: unknown, no sample */
} stream_gauges[] = {
    {"vigil_stream_live", "1 while frames of the stream are being analysed.", live},
    {"vigil_stream_frames_per_second", "Measured rate of the stream.", fps},
    {"vigil_stream_latency_seconds", "From capture to result, last window.", latency},
    {"vigil_stream_inference_seconds", "Mean time in the network per analysed frame.",
     inference},
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

static void append_streams(struct app *app, GString *out)
{
    append_states(app, out);
    size_t count = streams_count(app->streams);
    for (size_t k = 0; k < G_N_ELEMENTS(stream_counters) && count > 0; k++) {
        exposition_family(out, stream_counters[k].name, "counter", stream_counters[k].help);
        for (size_t i = 0; i < count; i++) {
            const struct stream_entry *entry = streams_at(app->streams, i);
            struct stream_totals totals = stream_entry_totals(entry);
            int64_t value;
            memcpy(&value, (char *)&totals + stream_counters[k].offset, sizeof value);
            exposition_labelled(out, stream_counters[k].name, "stream", entry->config.name,
                                (double)value);
        }
    }
    for (size_t k = 0; k < G_N_ELEMENTS(stream_gauges) && count > 0; k++) {
        exposition_family(out, stream_gauges[k].name, "gauge", stream_gauges[k].help);
        for (size_t i = 0; i < count; i++) {
            const struct stream_entry *entry = streams_at(app->streams, i);
            double value = stream_gauges[k].value(entry);
            if (value >= 0)
                exposition_labelled(out, stream_gauges[k].name, "stream", entry->config.name,
                                    value);
        }
    }
    if (count > 0)
        exposition_family(out, "vigil_stream_worker_deaths_total", "counter",
                          "Workers of the stream that died.");
    for (size_t i = 0; i < count; i++) {
        const struct stream_entry *entry = streams_at(app->streams, i);
        exposition_labelled(out, "vigil_stream_worker_deaths_total", "stream",
                            entry->config.name, (double)entry->restarts);
    }
}

/* --- the rest ----------------------------------------------------------------------------- */

static void append_store(struct app *app, GString *out)
{
    struct mailbox_stats stats;
    mailbox_get_stats(app->mailbox, &stats);
    exposition_single(out, "vigil_store_ok", "gauge", "0 while commits fail.", !*stats.problem);
    exposition_single(out, "vigil_store_records_committed_total", "counter",
                      "Records committed.", (double)stats.committed);
    exposition_single(out, "vigil_store_records_waiting", "gauge", "Records not yet committed.",
                      stats.waiting);
    exposition_single(out, "vigil_store_commit_failures_total", "counter",
                      "Commits that failed and were tried again.", (double)stats.failures);
    exposition_single(out, "vigil_store_detections_expired_total", "counter",
                      "Detections removed after their retention.", (double)stats.expired);
    const char *commit = "vigil_store_commit_seconds";
    exposition_family(out, commit, "histogram", "Time a commit of records took.");
    exposition_histogram(out, commit, NULL, &stats.commit);
    const char *lost = "vigil_records_dropped_total";
    exposition_family(out, lost, "counter", "Records that were not kept, by reason.");
    exposition_labelled(out, lost, "reason", "queue_full", (double)stats.dropped);
    exposition_labelled(out, lost, "reason", "store_refused", (double)stats.refused);
    exposition_labelled(out, lost, "reason", "over_rate", (double)app->records_over_rate);
    exposition_labelled(out, lost, "reason", "invalid", (double)app->records_refused);
    exposition_single(out, "vigil_detections_open", "gauge", "Detections that have not ended.",
                      (double)detections_open(app->detections));
}

static void append_workers(struct app *app, GString *out)
{
    struct supervisor_stats stats;
    supervisor_get_stats(app->supervisor, &stats);
    exposition_single(out, "vigil_workers", "gauge", "Worker processes.", stats.workers);
    exposition_single(out, "vigil_workers_spare", "gauge", "Warm workers without a stream.",
                      stats.spares);
    exposition_single(out, "vigil_workers_started_total", "counter",
                      "Worker processes started.", (double)stats.spawned);
    exposition_single(out, "vigil_workers_crashed_total", "counter",
                      "Workers that died while serving a stream.", (double)stats.crashed);
    exposition_single(out, "vigil_worker_warmup_seconds", "gauge",
                      "From start to ready of the last worker.", stats.warmup_seconds);
    const char *killed = "vigil_workers_killed_total";
    exposition_family(out, killed, "counter", "Workers killed, by reason.");
    exposition_labelled(out, killed, "reason", "silent", (double)stats.killed_silent);
    exposition_labelled(out, killed, "reason", "malformed", (double)stats.killed_malformed);
    exposition_labelled(out, killed, "reason", "flooding", (double)stats.killed_flooding);
    exposition_labelled(out, killed, "reason", "stopping", (double)stats.killed_stopping);
}

/* By route and class of status: those that have occurred, of which there can be so many only. */
static void append_http_latency(struct app *app, GString *out)
{
    static const char *const classes[] = {"", "1xx", "2xx", "3xx", "4xx", "5xx"};
    const char *name = "vigil_http_request_duration_seconds";
    const struct histogram *histogram;
    exposition_family(out, name, "histogram",
                      "From the request line to the answer, which for streams is its head.");
    for (size_t i = 0; api_server_get_latency(app->server, i, 2); i++) {
        struct api_route_info route = {.method = "none", .path = "none"};
        api_server_get_route(i, &route);
        for (int class = 1; class <= 5; class ++) {
            histogram = api_server_get_latency(app->server, i, class);
            const struct exposition_label labels[] = {{"method", route.method},
                                                      {"route", route.path},
                                                      {"class", classes[class]},
                                                      {NULL, NULL}};
            if (histogram_count(histogram) > 0)
                exposition_histogram(out, name, labels, histogram);
        }
    }
}

static void append_http(struct app *app, GString *out)
{
    static const char *const classes[] = {"", "1xx", "2xx", "3xx", "4xx", "5xx"};
    struct api_server_stats stats;
    api_server_get_stats(app->server, &stats);
    exposition_single(out, "vigil_http_requests_total", "counter", "HTTP requests.",
                      (double)stats.requests);
    exposition_family(out, "vigil_http_responses_total", "counter",
                      "HTTP responses by class of status.");
    for (size_t i = 1; i < G_N_ELEMENTS(classes); i++)
        exposition_labelled(out, "vigil_http_responses_total", "class", classes[i],
                            (double)stats.responses[i]);
    exposition_single(out, "vigil_http_connections", "gauge", "Open HTTP connections.",
                      (double)stats.connections);
    exposition_single(out, "vigil_http_subscribers", "gauge", "Clients of the event stream.",
                      (double)stats.subscribers);
    exposition_single(out, "vigil_http_viewers", "gauge", "Viewers of live pictures.",
                      (double)stats.viewers);
    exposition_single(out, "vigil_http_live_pictures_total", "counter",
                      "Pictures taken for viewers of live pictures.", (double)stats.pictures);
    exposition_single(out, "vigil_http_deadline_closed_total", "counter",
                      "Connections closed since a request took too long.",
                      (double)stats.deadline_closed);
}

static void append_reloads(struct app *app, GString *out)
{
    const char *reloads = "vigil_config_reloads_total";
    exposition_family(out, reloads, "counter", "Reloads of the configuration, by result.");
    exposition_labelled(out, reloads, "result", "taken", (double)app->reloads_taken);
    exposition_labelled(out, reloads, "result", "refused", (double)app->reloads_refused);
    exposition_single(out, "vigil_config_last_reload_successful", "gauge",
                      "0 while the last reload of the configuration was refused.",
                      !app->reload_failed);
}

static int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = -3; /* ".", ".." and the folder's own */
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return MAX(count, 0);
}

static void append_process(GString *out)
{
    struct rusage usage;
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%*d %ld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    getrusage(RUSAGE_SELF, &usage);
    exposition_single(out, "process_cpu_seconds_total", "counter",
                      "User and system time of vigild.",
                      (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                          (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    exposition_single(out, "process_resident_memory_bytes", "gauge",
                      "Resident memory of vigild.",
                      (double)pages * (double)sysconf(_SC_PAGESIZE));
    exposition_single(out, "process_open_fds", "gauge", "Open descriptors of vigild.",
                      count_descriptors());
}

char *app_metrics_text(struct app *app)
{
    GString *out = g_string_sized_new(16 * 1024);
    exposition_family(out, "vigil_build_info", "gauge", "1, with the version as a label.");
    exposition_labelled(out, "vigil_build_info", "version", app->options.version, 1);
    append_streams(app, out);
    append_store(app, out);
    append_workers(app, out);
    append_http(app, out);
    append_http_latency(app, out);
    append_reloads(app, out);
    append_process(out);
    /* The API frees with free(). */
    char *text = strdup(out->str);
    g_string_free(out, TRUE);
    return text;
}
