/* GET /metrics in Prometheus' text format: base units, _total for counters, one HELP and TYPE
 * per family. Those of streams: app_metrics_streams.c. */
#include "daemon/app_private.h"

#include <dirent.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "daemon/exposition.h"

static void append_retention(GString *out, const struct mailbox_stats *stats)
{
    static const char *const reasons[STORE_REASON_COUNT] = {
        [STORE_BY_AGE] = "age",
        [STORE_BY_STREAM_SIZE] = "stream_size",
        [STORE_BY_FILE_SIZE] = "file_size",
    };
    const char *expired = "vigil_store_detections_expired_total";
    exposition_family(out, expired, "counter", "Detections removed by retention, by reason.");
    for (int i = 0; i < STORE_REASON_COUNT; i++)
        exposition_labelled(out, expired, "reason", reasons[i], (double)stats->expired[i]);
    exposition_single(out, "vigil_store_records_expired_total", "counter",
                      "Records removed by retention, those of removed detections and old ones "
                      "of others.",
                      (double)stats->expired_records);
    exposition_single(out, "vigil_store_file_bytes", "gauge",
                      "Size of the database file when retention last looked.",
                      (double)stats->file_bytes);
    exposition_single(out, "vigil_store_free_bytes", "gauge",
                      "Free pages in the database file, for what comes next.",
                      (double)stats->free_bytes);
}

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
    append_retention(out, &stats);
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

/* By route and class of status: those that have occurred, of which there can be so many
 * only. */
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

static void append_jobs(struct app *app, GString *out)
{
    const char *now = "vigil_jobs", *ended = "vigil_jobs_ended_total";
    struct jobs_stats stats;
    jobs_get_stats(app->jobs, &stats);
    exposition_family(out, now, "gauge", "Jobs that wait or run.");
    exposition_labelled(out, now, "state", "queued", stats.waiting);
    exposition_labelled(out, now, "state", "running", stats.running);
    exposition_family(out, ended, "counter", "Jobs that have ended, by how they did.");
    for (int i = 0; i < JOBS_ENDS; i++)
        exposition_labelled(out, ended, "state", jobs_end_name(i), (double)stats.ended[i]);
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

/* Unix time at which this process began, to the hundredth of a second. */
static double start_time(void)
{
    unsigned long long ticks = 0;
    struct timespec now, since_boot;
    FILE *file = fopen("/proc/self/stat", "re");
    /* The second field is a name in brackets; ours has neither blank nor bracket. */
    if (file && fscanf(file,
                       "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
                       "%*d %*d %*d %*d %llu",
                       &ticks) != 1)
        ticks = 0;
    if (file)
        fclose(file);
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &since_boot);
    return (double)(now.tv_sec - since_boot.tv_sec) +
           (double)(now.tv_nsec - since_boot.tv_nsec) / 1e9 +
           (double)ticks / (double)sysconf(_SC_CLK_TCK);
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
    exposition_single(out, "process_start_time_seconds", "gauge",
                      "Unix time at which vigild began.", start_time());
    exposition_single(out, "process_open_fds", "gauge", "Open descriptors of vigild.",
                      count_descriptors());
}

char *app_metrics_text(struct app *app)
{
    GString *out = g_string_sized_new(16 * 1024);
    exposition_family(out, "vigil_build_info", "gauge", "1, with the version as a label.");
    exposition_labelled(out, "vigil_build_info", "version", app->options.version, 1);
    app_metrics_streams(app, out);
    append_store(app, out);
    append_workers(app, out);
    append_http(app, out);
    append_http_latency(app, out);
    append_reloads(app, out);
    append_jobs(app, out);
    append_process(out);
    /* The API frees with free(). */
    char *text = strdup(out->str);
    g_string_free(out, TRUE);
    return text;
}
