/* The API's questions, answered from the loop's state at once, or later by the writer
 * (streams), the pool (detections), a worker (pictures) or a one-shot worker (models). */
#include "daemon/app_private.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"

static void reply_unknown_stream(struct api_request *request, const char *name)
{
    api_request_reply_problem(request, 404, "stream_unknown",
                              "there is no stream %s; GET /api/v1/streams lists them", name);
}

static void reply_stopping(struct api_request *request)
{
    api_request_reply_problem(request, 503, "stopping", "vigild is stopping; ask again later");
}

static json_t *entry_to_json(const struct app *app, const struct stream_entry *entry)
{
    return stream_entry_to_json(entry,
                                supervisor_stream_pid(app->supervisor, entry->config.name));
}

/* --- streams ------------------------------------------------------------------------------ */

static void list_streams(void *owner, struct api_request *request)
{
    struct app *app = owner;
    json_t *list = json_array();
    bool complete = list != NULL;
    for (size_t i = 0; complete && i < streams_count(app->streams); i++)
        complete =
            json_array_append_new(list, entry_to_json(app, streams_at(app->streams, i))) == 0;
    json_t *body = complete ? json_pack("{s:O}", "streams", list) : NULL;
    json_decref(list);
    api_request_reply_json(request, 200, body);
}

static void get_stream(void *owner, struct api_request *request, const char *name)
{
    struct app *app = owner;
    const struct stream_entry *entry = streams_find(app->streams, name);
    if (entry)
        api_request_reply_json(request, 200, entry_to_json(app, entry));
    else
        reply_unknown_stream(request, name);
}

/* A change of a stream on its way through the store. */
struct change {
    struct app *app;
    struct api_request *request;
    struct config_stream config; /* for a deletion only its name */
};

static void change_free(struct change *change)
{
    explicit_bzero(change, sizeof *change); /* it may hold a password */
    g_free(change);
}

static bool change_failed(struct change *change, int result, const char *problem)
{
    change->app->pending_puts--;
    if (result == 0 && change->app->phase == APP_RUNNING)
        return false;
    if (result < 0)
        api_request_reply_problem(change->request, 503, "store_failed",
                                  "the store did not take the change, nothing is changed: %s",
                                  problem);
    else /* kept by the store: it takes effect with the next start */
        reply_stopping(change->request);
    change_free(change);
    return true;
}

static void stream_stored(void *data, int result, const char *problem)
{
    struct change *change = data;
    struct app *app = change->app;
    if (change_failed(change, result, problem))
        return;
    bool is_new = !streams_find(app->streams, change->config.name);
    struct stream_entry *entry = streams_put(app->streams, &change->config, false);
    log_info("stream %s: %s by the API", entry->config.name, is_new ? "made" : "changed");
    app_apply_stream(app, entry);
    api_request_reply_json(change->request, is_new ? 201 : 200, entry_to_json(app, entry));
    change_free(change);
}

static void stream_deleted(void *data, int result, const char *problem)
{
    struct change *change = data;
    struct app *app = change->app;
    if (change_failed(change, result == -ENOENT ? 0 : result, problem))
        return;
    log_info("stream %s: deleted by the API", change->config.name);
    supervisor_stop(app->supervisor, change->config.name);
    streams_remove(app->streams, change->config.name);
    api_request_reply_empty(change->request, 204);
    change_free(change);
}

static void submit_change(struct app *app, struct api_request *request,
                          const struct config_stream *config, const char *text,
                          mailbox_done *done)
{
    struct change *change = g_new0(struct change, 1);
    *change = (struct change){app, request, *config};
    app->pending_puts++;
    if (mailbox_put_stream(app->mailbox, config->name, text, done, change) == 0)
        return;
    app->pending_puts--;
    change_free(change);
    api_request_reply_problem(request, 503, "store_busy",
                              "too many changes wait for the store; ask again");
}

/* Whether the API may change this name; answers when it may not. */
static bool may_change(struct app *app, struct api_request *request, const char *name)
{
    const struct stream_entry *entry = streams_find(app->streams, name);
    if (app->phase != APP_RUNNING)
        reply_stopping(request);
    else if (entry && entry->from_file)
        api_request_reply_problem(request, 409, "stream_in_file",
                                  "stream %s belongs to a configuration file; change it there",
                                  name);
    else
        return true;
    return false;
}

static void put_stream(void *owner, struct api_request *request, const char *name,
                       const json_t *body)
{
    struct app *app = owner;
    struct config_stream config;
    struct config_error why = {{0}};
    const struct stream_entry *entry = streams_find(app->streams, name);
    if (!may_change(app, request, name))
        return;
    if (config_stream_from_json(name, body, &app->config->media_roots, &config, &why) < 0 ||
        config_check_stream(app->config, &config, &why) < 0) {
        api_request_reply_problem(request, 422, "stream_invalid", "stream %s: %s", name,
                                  why.text);
        return;
    }
    /* The same again changes nothing, but to a stream that waits for a person, here is one. */
    if (entry && app->pending_puts == 0 && config_stream_equal(&entry->config, &config)) {
        if (entry->status.state == STREAM_FAILED)
            app_apply_stream(app, entry);
        api_request_reply_json(request, 200, entry_to_json(app, entry));
        return;
    }
    if (!entry && streams_count(app->streams) + (size_t)app->pending_puts >= APP_STREAMS_MAX) {
        api_request_reply_problem(request, 409, "streams_full",
                                  "there are %d streams, as many as there can be; delete one",
                                  APP_STREAMS_MAX);
        return;
    }
    json_t *object = config_stream_to_json(&config, true);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (text)
        submit_change(app, request, &config, text, stream_stored);
    else
        api_request_reply_json(request, 500, NULL);
    free(text);
}

static void delete_stream(void *owner, struct api_request *request, const char *name)
{
    struct app *app = owner;
    struct config_stream config = {0};
    if (!may_change(app, request, name))
        return;
    if (!streams_find(app->streams, name)) {
        reply_unknown_stream(request, name);
        return;
    }
    g_strlcpy(config.name, name, sizeof config.name);
    submit_change(app, request, &config, NULL, stream_deleted);
}

static void picture_taken(void *data, unsigned char *jpeg, size_t size, const char *problem)
{
    struct api_request *request = data;
    if (jpeg)
        api_request_reply_data(request, 200, "image/jpeg", jpeg, size);
    else
        api_request_reply_problem(request, 503, "no_picture", "there is no picture: %s",
                                  problem);
}

static void get_snapshot(void *owner, struct api_request *request, const char *name)
{
    struct app *app = owner;
    if (!streams_find(app->streams, name))
        reply_unknown_stream(request, name);
    else if (app->phase != APP_RUNNING)
        reply_stopping(request);
    else
        snapshots_take(app->snapshots, name, picture_taken, request);
}

/* --- detections --------------------------------------------------------------------------- */

enum asked { ASKED_LIST, ASKED_ONE, ASKED_AFTER };

struct detection_query {
    struct query query;
    struct api_request *request;
    enum asked asked;
    struct record_query filter;
    char id[RECORD_ID_SIZE];
    int64_t after;
    int limit;
    struct record_page page;
    char *text;
};

static int query_work(struct query *base, struct store *reader, struct store_error *err)
{
    struct detection_query *query = (struct detection_query *)base;
    switch (query->asked) {
    case ASKED_LIST:
        return store_query_detections(reader, &query->filter, &query->page, err);
    case ASKED_ONE:
        return store_get_detection(reader, query->id, &query->text, err);
    case ASKED_AFTER:
        return store_records_after(reader, query->after, query->limit, &query->page, err);
    }
    return -EINVAL;
}

static void reply_query_problem(const struct detection_query *query, int result,
                                const struct store_error *err)
{
    struct api_request *request = query->request;
    if (result == -ENOENT && query->asked == ASKED_ONE)
        api_request_reply_problem(request, 404, "detection_unknown", "there is no detection %s",
                                  query->id);
    else if (result == -EINVAL && query->asked == ASKED_LIST)
        api_request_reply_problem(
            request, 400, "cursor_invalid",
            "the cursor does not belong to this query; start without one");
    else if (result == -ETIMEDOUT)
        api_request_reply_problem(
            request, 503, "store_busy",
            "the query took longer than %d ms; narrow it by stream or time", QUERIES_CAP_MS);
    else
        api_request_reply_problem(request, 503, "store_failed", "the store cannot be read: %s",
                                  err->text);
}

static void query_done(struct query *base, int result, const struct store_error *err)
{
    struct detection_query *query = (struct detection_query *)base;
    if (result < 0) {
        reply_query_problem(query, result, err);
    } else if (query->asked == ASKED_ONE) {
        api_request_reply_json(query->request, 200, json_loads(query->text, 0, NULL));
    } else {
        api_request_reply_page(query->request, &query->page);
    }
    free(query->text);
    record_page_finish(&query->page);
    g_free(query);
}

static struct detection_query *query_new(struct api_request *request, enum asked asked)
{
    struct detection_query *query = g_new0(struct detection_query, 1);
    query->query.work = query_work;
    query->query.done = query_done;
    query->request = request;
    query->asked = asked;
    return query;
}

static void query_submit(struct app *app, struct detection_query *query)
{
    struct api_request *request = query->request;
    if (app->phase == APP_RUNNING && queries_ask(app->queries, &query->query) == 0)
        return;
    g_free(query);
    if (app->phase != APP_RUNNING)
        reply_stopping(request);
    else
        api_request_reply_problem(request, 503, "store_busy",
                                  "too many queries wait for the store; ask again");
}

static void list_detections(void *owner, struct api_request *request,
                            const struct record_query *filter)
{
    struct detection_query *query = query_new(request, ASKED_LIST);
    query->filter = *filter;
    query_submit(owner, query);
}

static void get_detection(void *owner, struct api_request *request, const char *id)
{
    struct detection_query *query = query_new(request, ASKED_ONE);
    g_strlcpy(query->id, id, sizeof query->id);
    query_submit(owner, query);
}

static void records_after(void *owner, struct api_request *request, int64_t after, int limit)
{
    struct detection_query *query = query_new(request, ASKED_AFTER);
    query->after = after;
    query->limit = limit;
    query_submit(owner, query);
}

/* --- models ------------------------------------------------------------------------------- */

static void reply_models_busy(struct api_request *request)
{
    api_request_reply_problem(request, 503, "models_busy",
                              "too many models are being inspected; ask again");
}

/* One answer made of one question per model. */
struct model_list {
    struct api_request *request;
    json_t *models;
    size_t missing;
    bool failed;
};

static void model_listed(void *data, json_t *model)
{
    struct model_list *list = data;
    if (!model || json_array_append(list->models, model) < 0)
        list->failed = true;
    if (--list->missing > 0)
        return;
    if (list->failed)
        reply_models_busy(list->request);
    else
        api_request_reply_json(list->request, 200, json_pack("{s:O}", "models", list->models));
    json_decref(list->models);
    g_free(list);
}

static void list_models(void *owner, struct api_request *request)
{
    struct app *app = owner;
    struct model_list *list = g_new0(struct model_list, 1);
    list->request = request;
    list->models = json_array();
    list->missing = app->config->model_count;
    for (size_t i = 0; i < app->config->model_count; i++)
        if (models_ask(app->models, app->config->models[i].name, model_listed, list) < 0)
            model_listed(list, NULL);
}

static void model_inspected(void *data, json_t *model)
{
    struct api_request *request = data;
    if (model)
        api_request_reply_json(request, 200, json_incref(model));
    else
        reply_models_busy(request);
}

static void get_model(void *owner, struct api_request *request, const char *name)
{
    struct app *app = owner;
    int r = models_ask(app->models, name, model_inspected, request);
    if (r == -ENOENT)
        api_request_reply_problem(request, 404, "model_unknown",
                                  "there is no model %s; GET /api/v1/models lists them", name);
    else if (r < 0)
        reply_models_busy(request);
}

/* --- health ------------------------------------------------------------------------------- */

static void get_readiness(void *owner, struct api_request *request)
{
    struct app *app = owner;
    struct mailbox_stats store;
    struct supervisor_stats workers;
    mailbox_get_stats(app->mailbox, &store);
    supervisor_get_stats(app->supervisor, &workers);
    bool starting = workers.spawned > 0 && workers.warmup_seconds == 0 && workers.workers_start;
    bool degraded = *store.problem || !workers.workers_start || app->phase != APP_RUNNING;
    const char *status = degraded ? "degraded" : starting ? "starting" : "ready";
    json_t *body = json_pack("{s:s, s:{s:s, s:s}}", "status", status, "checks", "store",
                             *store.problem ? store.problem : "ok", "workers",
                             !workers.workers_start ? workers.start_problem
                             : starting             ? "starting"
                                                    : "ok");
    api_request_reply_json(request, strcmp(status, "ready") == 0 ? 200 : 503, body);
}

static void get_metrics(void *owner, struct api_request *request)
{
    char *text = app_metrics_text(owner);
    if (text)
        api_request_reply_data(request, 200, "text/plain; version=0.0.4; charset=utf-8", text,
                               strlen(text));
    else
        api_request_reply_json(request, 500, NULL);
}

const struct api_backend app_backend = {
    .list_streams = list_streams,
    .get_stream = get_stream,
    .put_stream = put_stream,
    .delete_stream = delete_stream,
    .get_snapshot = get_snapshot,
    .list_detections = list_detections,
    .get_detection = get_detection,
    .records_after = records_after,
    .list_models = list_models,
    .get_model = get_model,
    .get_readiness = get_readiness,
    .get_metrics = get_metrics,
};
