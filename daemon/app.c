#include "daemon/app_private.h"

#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/media.h"
#include "record/file.h"
#include "record/text.h"

#define TICK_MS       1000
#define SPARE_WORKERS 1 /* a worker takes longer to warm up than a camera may be left alone */

__attribute__((format(printf, 2, 3))) static void explain(struct app_error *err,
                                                          const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
}

/* --- detections --------------------------------------------------------------------------- */

static int post(void *owner, const struct record *record)
{
    struct app *app = owner;
    return mailbox_post(app->mailbox, record);
}

static void flush_ends(struct app *app)
{
    detections_flush(app->detections, post, app);
}

static void take_record(void *owner, const struct record *sent)
{
    struct app *app = owner;
    struct stream_entry *entry = streams_find(app->streams, sent->stream);
    struct record record = *sent;
    /* The worker says what it saw; who and where is ours to say. */
    g_strlcpy(record.node, app->config->node, sizeof record.node);
    record.seq = -1;
    /* The end of what is open was paid for by its start: it is never refused. */
    bool owed = record.phase == RECORD_ENDED && detections_has(app->detections, record.id);
    if (!owed && entry && !stream_entry_allows_record(entry, uv_now(app->loop))) {
        app->records_over_rate++;
        return;
    }
    int r = detections_apply(app->detections, &record);
    if (r < 0)
        app->records_refused++;
    else if (r > 0)
        flush_ends(app);
    else
        mailbox_post(app->mailbox, &record); /* refused: the mailbox counts it */
}

static void record_committed(void *owner, const struct record *record, const char *text)
{
    struct app *app = owner;
    if (app->server)
        api_server_publish(app->server, record->seq, text);
}

/* --- workers ------------------------------------------------------------------------------ */

/* What `journalctl -p warning` is to show: nobody sees what the camera sees. */
static bool is_blind(enum stream_state state)
{
    return state == STREAM_STALLED || state == STREAM_BACKOFF || state == STREAM_FAILED;
}

/* Once per state and reason until the stream is live again: a camera that stays away is tried
 * for ever. */
static void tell_status(struct stream_entry *entry, const struct message_stream_status *status)
{
    const struct log_about about = {
        .stream = status->stream,
        .state = stream_state_name(status->state),
        .reason = status->reason == REASON_NONE ? NULL : stream_reason_name(status->reason),
        .limit = &entry->log,
    };
    int64_t untold = status->state == STREAM_LIVE ? log_limit_forget(&entry->log) : 0;
    if (untold > 0)
        log_about(LOG_LEVEL_INFO, &about, "live, after %" PRId64 " lines that were left out",
                  untold);
    else
        log_about(is_blind(status->state) ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, &about,
                  "%s%s%s%s%s", about.state, about.reason ? " " : "",
                  about.reason ? about.reason : "", *status->detail ? ": " : "",
                  status->detail);
}

static void take_status(void *owner, const struct message_stream_status *status)
{
    struct app *app = owner;
    struct stream_entry *entry = streams_find(app->streams, status->stream);
    if (!entry || !entry->config.enabled)
        return; /* the last words of one that was deleted or disabled */
    bool changed =
        entry->status.state != status->state || entry->status.reason != status->reason;
    stream_entry_set_status(entry, status);
    /* What leads to a try is told, the try itself is not. */
    if (changed && status->state != STREAM_CONNECTING)
        tell_status(entry, status);
}

static int open_media(struct app *app, const struct config_stream *stream,
                      struct supervisor_failure *ret_why)
{
    size_t root;
    char below[MESSAGE_URI_SIZE];
    int r =
        config_stream_media(stream->uri, &app->config->media_roots, &root, below, sizeof below);
    if (r == 0)
        r = media_open_beneath(app->config->media_roots.paths[root], below);
    if (r < 0) {
        ret_why->reason = r == -ENOENT ? REASON_NOT_FOUND : REASON_UNREADABLE;
        snprintf(ret_why->detail, sizeof ret_why->detail,
                 "the file of the stream cannot be opened: %s",
                 r == -EXDEV || r == -ELOOP
                     ? "it is reached through a link or leaves its media "
                       "root"
                     : file_error_text(r));
    }
    return r;
}

/* Fills in what the worker must know and opens what it must read. */
static int prepare(void *owner, const char *name, struct message_stream_start *ret_start,
                   int ret_fds[2], int *ret_fd_count, struct supervisor_failure *ret_why)
{
    struct app *app = owner;
    const struct stream_entry *entry = streams_find(app->streams, name);
    if (!entry)
        return -ENOENT;
    const struct config_stream *stream = &entry->config;
    const struct config_model *model = config_find_model(app->config, stream->model);
    struct packs_pack pack;
    char problem[PACKS_PROBLEM_SIZE];
    int r = packs_get(app->packs, stream->model, &pack, problem);
    if (r < 0) {
        ret_why->reason = REASON_MODEL;
        snprintf(ret_why->detail, sizeof ret_why->detail, "model %s: %.160s", stream->model,
                 problem);
        return r;
    }
    ret_fds[0] = pack.fd;
    *ret_fd_count = 1;
    if (stream->scheme == CONFIG_FILE) {
        int fd = open_media(app, stream, ret_why);
        if (fd < 0) {
            close(ret_fds[0]);
            *ret_fd_count = 0;
            return fd;
        }
        ret_fds[(*ret_fd_count)++] = fd;
    }
    struct message_stream_start *start = ret_start;
    g_strlcpy(start->stream, name, sizeof start->stream);
    g_strlcpy(start->node, app->config->node, sizeof start->node);
    g_strlcpy(start->uri, stream->uri, sizeof start->uri);
    g_strlcpy(start->user, stream->user, sizeof start->user);
    g_strlcpy(start->password, stream->password, sizeof start->password);
    g_strlcpy(start->model, stream->model, sizeof start->model);
    g_strlcpy(start->model_sha256, pack.sha256, sizeof start->model_sha256);
    start->live = true;
    start->loop = stream->loop;
    start->start_ms = g_get_real_time() / 1000;
    start->override_count = model->override_count;
    for (int i = 0; i < model->override_count; i++)
        start->overrides[i] = model->overrides[i];
    return 0;
}

/* A folder of media on a disk that sleeps, or on the network, takes its time; that is no
 * hang. */
static int prepare_patiently(void *owner, const char *name,
                             struct message_stream_start *ret_start, int ret_fds[2],
                             int *ret_fd_count, struct supervisor_failure *ret_why)
{
    struct app *app = owner;
    pulse_expect(app->options.pulse, PULSE_DISK_MS, "opening the media file of a stream");
    int r = prepare(owner, name, ret_start, ret_fds, ret_fd_count, ret_why);
    pulse_expect(app->options.pulse, PULSE_TURN_MS, "in one turn");
    return r;
}

static void resolve(void *owner, const char *stream, uint64_t run, int64_t request,
                    const char *host)
{
    struct app *app = owner;
    struct resolver_question question = {.run = run, .request = request};
    g_strlcpy(question.stream, stream, sizeof question.stream);
    g_strlcpy(question.host, host, sizeof question.host);
    /* A worker may only have looked up what its stream's configuration names. */
    const struct stream_entry *entry = streams_find(app->streams, stream);
    bool own = entry && config_stream_names_host(&entry->config, host);
    if (!own || resolver_ask(app->resolver, &question) < 0) {
        struct message_resolved none = {.request = request};
        supervisor_resolved(app->supervisor, stream, run, &none);
    }
}

static void resolved(void *owner, const struct resolver_question *question,
                     const struct message_resolved *answer)
{
    struct app *app = owner;
    supervisor_resolved(app->supervisor, question->stream, question->run, answer);
}

static void snapshot_done(void *owner, const char *stream,
                          const struct message_snapshot_done *done)
{
    struct app *app = owner;
    snapshots_answered(app->snapshots, stream, done);
}

static void worker_gone(void *owner, const char *stream)
{
    struct app *app = owner;
    snapshots_worker_gone(app->snapshots, stream);
    detections_end_stream(app->detections, stream, g_get_real_time() / 1000);
    flush_ends(app);
}

static const struct supervisor_listener supervisor_listener = {
    .prepare = prepare_patiently,
    .status = take_status,
    .record = take_record,
    .resolve = resolve,
    .snapshot_done = snapshot_done,
    .worker_gone = worker_gone,
};

/* Those that waited for it go on, or fail with the reason. */
static void model_packed(void *owner, const char *model)
{
    struct app *app = owner;
    for (size_t i = 0; i < streams_count(app->streams); i++) {
        const struct stream_entry *entry = streams_at(app->streams, i);
        if (strcmp(entry->config.model, model) == 0)
            supervisor_prepared(app->supervisor, entry->config.name);
    }
    app_try_models(app);
}

/* So that a model is packed while workers warm up. */
static void pack_ahead(struct app *app, const char *model)
{
    struct packs_pack pack;
    char problem[PACKS_PROBLEM_SIZE];
    if (packs_get(app->packs, model, &pack, problem) == 0)
        close(pack.fd);
}

void app_apply_stream(struct app *app, const struct stream_entry *entry)
{
    if (entry->config.enabled) {
        pack_ahead(app, entry->config.model);
        supervisor_start(app->supervisor, entry->config.name);
    } else {
        supervisor_stop(app->supervisor, entry->config.name);
    }
}

void app_apply_retention(struct app *app)
{
    struct retention_stream streams[APP_STREAMS_MAX];
    struct retention retention = {.days = app->config->retention_days,
                                  .megabytes = app->config->retention_mb,
                                  .updates_hours = app->config->retention_updates_hours,
                                  .streams = streams};
    for (size_t i = 0; i < streams_count(app->streams); i++) {
        const struct config_stream *config = &streams_at(app->streams, i)->config;
        if (config->retention_days < 0 && config->retention_mb == 0)
            continue;
        struct retention_stream *stream = &streams[retention.stream_count++];
        g_strlcpy(stream->name, config->name, sizeof stream->name);
        stream->days = config->retention_days;
        stream->megabytes = config->retention_mb;
    }
    mailbox_set_retention(app->mailbox, &retention);
}

/* --- starting ----------------------------------------------------------------------------- */

/* "3 of 4 streams live, 1 backoff; the store fails: disk full" */
static void describe(struct app *app, char *ret_line, size_t size)
{
    int counts[STREAM_ENDED + 1] = {0};
    size_t total = streams_count(app->streams);
    struct mailbox_stats store;
    for (size_t i = 0; i < total; i++)
        counts[streams_at(app->streams, i)->status.state]++;
    g_autoptr(GString) line = g_string_new(NULL);
    g_string_printf(line, "%d of %zu streams live", counts[STREAM_LIVE], total);
    for (int state = 0; state <= STREAM_ENDED; state++)
        if (state != STREAM_LIVE && counts[state] > 0)
            g_string_append_printf(line, ", %d %s", counts[state],
                                   stream_state_name((enum stream_state)state));
    g_string_append_printf(line, "; listens on %s", app_url(app));
    mailbox_get_stats(app->mailbox, &store);
    if (*store.problem)
        g_string_append_printf(line, "; the store fails: %s", store.problem);
    text_copy_printable(ret_line, size, line->str);
}

static void tell_line(struct app *app)
{
    char line[sizeof app->status_line];
    describe(app, line, sizeof line);
    if (!app->options.status || strcmp(line, app->status_line) == 0)
        return;
    g_strlcpy(app->status_line, line, sizeof app->status_line);
    app->options.status(app->options.owner, line);
}

static void ticked(uv_timer_t *timer)
{
    struct app *app = timer->data;
    flush_ends(app); /* those the mailbox had no room for */
    if (app->phase == APP_RUNNING)
        tell_line(app);
}

/* Where a key was set, so that what it leads to can be put right. */
static const char *origin_of(const struct app *app, const char *section, const char *key)
{
    const char *origin = config_find_setting(app->config, section, key)->origin;
    return origin ? origin : "default";
}

static int listen_http(struct app *app, struct app_error *err)
{
    struct api_server_options options = {
        .listen = app->config->listen,
        .version = app->options.version,
        .backend = &app_backend,
        .app = app,
    };
    struct api_error why = {{0}};
    int r = api_server_create(&options, &app->server, &why);
    if (r == 0)
        r = http_create(app->loop, app->server, &app->http);
    if (r < 0)
        explain(err, "%s: %s", origin_of(app, "server", "listen"),
                *why.text ? why.text : g_strerror(-r));
    return r;
}

int app_create(const struct app_options *options, struct app **ret_app, struct app_error *err)
{
    struct app *app = g_new0(struct app, 1);
    app->options = *options;
    app->config = options->config;
    app->loop = options->loop;
    app->streams = streams_create();
    app->detections = detections_create();
    app->tick = g_new0(uv_timer_t, 1);
    app->finisher = g_new0(uv_prepare_t, 1);
    uv_timer_init(app->loop, app->tick);
    uv_prepare_init(app->loop, app->finisher);
    app->tick->data = app->finisher->data = app;

    struct mailbox_options mailbox = {
        .loop = app->loop,
        .path = app->config->database,
        .committed = record_committed,
        .owner = app,
        .pulse = watchdog_add(options->watchdog, "writer of the store"),
    };
    struct supervisor_options supervisor = {
        .loop = app->loop,
        .program = app->config->worker,
        .tls_ca = app->config->tls_ca,
        .listener = &supervisor_listener,
        .owner = app,
        .spares = SPARE_WORKERS,
        .streams_per_worker = (int)app->config->streams_per_worker,
        .ready_ms = (int)app->config->ready_timeout,
    };
    struct models_options models = {.loop = app->loop, .config = app->config};
    struct packs_options packs = {
        .loop = app->loop, .config = app->config, .ready = model_packed, .owner = app};
    struct store_error store = {{0}};
    /* The port first: a second vigild must not touch the first one's store. */
    int r = listen_http(app, err);
    if (r < 0)
        goto fail;
    r = mailbox_create(&mailbox, &app->mailbox, &store);
    if (r < 0) {
        explain(err, "%s: %s ([store] path or --database name another place)",
                origin_of(app, "store", "path"), store.text);
        r = r == -EINVAL ? -EIO : r; /* the store's trouble, not the configuration's */
        goto fail;
    }
    r = queries_create(app->loop, app->config->database, options->watchdog, &app->queries);
    if (r == 0)
        r = resolver_create(app->loop, resolved, app, &app->resolver);
    if (r == 0)
        r = supervisor_create(&supervisor, &app->supervisor);
    if (r == 0)
        r = snapshots_create(app->loop, app->supervisor, &app->snapshots);
    if (r == 0)
        r = opener_create(app->loop, &app->opener);
    models.opener = packs.opener = app->opener;
    if (r == 0)
        r = models_create(&models, &app->models);
    if (r == 0)
        r = packs_create(&packs, &app->packs);
    if (r < 0) {
        explain(err, "cannot start: %s", g_strerror(-r));
        goto fail;
    }
    const struct jobs_options jobs = {.loop = app->loop,
                                      .config = app->config,
                                      .mailbox = app->mailbox,
                                      .changed = app_job_changed,
                                      .owner = app};
    app->jobs = jobs_create(&jobs);
    uv_timer_start(app->tick, ticked, 0, TICK_MS);
    app_load_streams(app);
    *ret_app = app;
    return 0;

fail:
    app_destroy(app);
    return r;
}

const char *app_url(const struct app *app)
{
    return api_server_url(app->server);
}

/* --- stopping ----------------------------------------------------------------------------- */

static void store_closed(void *owner)
{
    struct app *app = owner;
    app->store_closed = true;
    app->phase = APP_DRAINING;
}

/* Workers, and jobs. What they leave behind is with the mailbox once both have stopped. */
static void part_stopped(void *owner)
{
    struct app *app = owner;
    struct mailbox_stats stats;
    if (--app->parts_running > 0)
        return;
    flush_ends(app);
    mailbox_get_stats(app->mailbox, &stats);
    if (*stats.problem)
        log_warning("stopping while the store fails: what waits may be lost (%d records)",
                    stats.waiting);
    app->phase = APP_CLOSING_STORE;
    mailbox_close(app->mailbox, store_closed);
}

/* Once a turn while stopping: everything asked must have been answered, and the answers sent,
 * before the server goes. */
static void check_finished(uv_prepare_t *prepare)
{
    struct app *app = prepare->data;
    if (app->phase != APP_DRAINING || queries_running(app->queries) > 0 || app->reload ||
        !models_stopped(app->models) || !packs_stopped(app->packs) ||
        api_server_pending(app->server) > 0)
        return;
    api_server_run(app->server);
    app->phase = APP_STOPPED;
    uv_prepare_stop(app->finisher);
    uv_timer_stop(app->tick);
    app->options.stopped(app->options.owner);
}

void app_stop(struct app *app)
{
    if (app->phase != APP_RUNNING) {
        supervisor_kill_all(app->supervisor);
        jobs_kill_all(app->jobs);
        return;
    }
    app->phase = APP_STOPPING_WORKERS;
    api_server_drain(app->server);
    models_stop(app->models);
    packs_stop(app->packs);
    app_stop_changes(app);
    app_stop_reload(app);
    /* A tick each 20 ms: answers of the pool's threads are waited for without a wake-up. */
    uv_timer_start(app->tick, ticked, 20, 20);
    uv_prepare_start(app->finisher, check_finished);
    app->parts_running = 2;
    jobs_stop(app->jobs, part_stopped);
    supervisor_stop_all(app->supervisor, part_stopped);
}

static void handle_closed(uv_handle_t *handle)
{
    g_free(handle);
}

void app_destroy(struct app *app)
{
    if (!app)
        return;
    snapshots_destroy(app->snapshots);
    resolver_close(app->resolver);
    supervisor_destroy(app->supervisor);
    models_destroy(app->models);
    packs_destroy(app->packs);
    jobs_destroy(app->jobs);
    opener_close(app->opener);
    http_destroy(app->http);
    api_server_destroy(app->server);
    queries_destroy(app->queries);
    mailbox_destroy(app->mailbox);
    detections_destroy(app->detections);
    streams_destroy(app->streams);
    uv_close((uv_handle_t *)app->tick, handle_closed);
    uv_close((uv_handle_t *)app->finisher, handle_closed);
    g_free(app);
}
