/* What the API asks of streams and does to them. A change goes through the writer first and
 * takes effect once the store has it. */
#include "daemon/app_private.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config/patch.h"
#include "daemon/log.h"

#define CHANGES_MAX 64 /* under way and waiting */

static void reply_unknown_stream(struct api_request *request, const char *name)
{
    api_request_reply_problem(request, 404, "stream_unknown",
                              "there is no stream %s; GET /api/v1/streams lists them", name);
}

static json_t *entry_to_json(const struct app *app, const struct stream_entry *entry)
{
    return stream_entry_to_json(entry,
                                supervisor_stream_pid(app->supervisor, entry->config.name));
}

void app_list_streams(void *owner, struct api_request *request)
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

void app_get_stream(void *owner, struct api_request *request, const char *name)
{
    struct app *app = owner;
    const struct stream_entry *entry = streams_find(app->streams, name);
    if (!entry) {
        reply_unknown_stream(request, name);
        return;
    }
    api_request_set_etag(request, entry->etag);
    api_request_reply_json(request, 200, entry_to_json(app, entry));
}

/* --- changes ------------------------------------------------------------------------------ */

enum action { ACTION_PUT, ACTION_PATCH, ACTION_DELETE };

/* A change of a stream on its way through the store. Those of one stream are made one after the
 * other, so that each (its conditions, its patch) decides on what the one before has left. */
struct change {
    struct app *app;
    struct api_request *request;
    enum action action;
    bool under_way; /* its model is tried, or the store has it; else it waits for its turn */
    bool trying;    /* its model */
    char name[RECORD_NAME_SIZE];
    json_t *body;
    struct config_stream config;
};

static void change_free(struct change *change)
{
    g_queue_remove(&change->app->changes, change);
    json_decref(change->body);
    explicit_bzero(change, sizeof *change); /* it may hold a password */
    g_free(change);
}

static struct change *first_change(struct app *app, const char *name)
{
    for (GList *item = app->changes.head; item; item = item->next) {
        struct change *change = item->data;
        if (strcmp(change->name, name) == 0)
            return change;
    }
    return NULL;
}

static void decide(struct change *change);

/* Gives the next change of the stream its turn, unless one is under way. */
static void advance(struct app *app, const char *name)
{
    struct change *change;
    while ((change = first_change(app, name)) && !change->under_way)
        decide(change);
}

static void finish(struct change *change)
{
    struct app *app = change->app;
    char name[RECORD_NAME_SIZE];
    g_strlcpy(name, change->name, sizeof name);
    change_free(change);
    advance(app, name);
}

static bool change_failed(struct change *change, int result, const char *problem)
{
    if (result == 0 && change->app->phase == APP_RUNNING)
        return false;
    if (result < 0)
        api_request_reply_problem(change->request, 503, "store_failed",
                                  "the store did not take the change, nothing is changed: %s",
                                  problem);
    else /* kept by the store: it takes effect with the next start */
        app_reply_stopping(change->request);
    finish(change);
    return true;
}

/* The configuration may have been reloaded while the store took the change: then the store
 * keeps what the API was told, and it holds when the configuration allows it again. */
static bool change_overtaken(struct change *change)
{
    struct app *app = change->app;
    const struct stream_entry *entry = streams_find(app->streams, change->name);
    bool deletion = change->action == ACTION_DELETE;
    struct config_error why;
    if (entry && entry->from_file)
        api_request_reply_problem(change->request, 409, "stream_in_file",
                                  "stream %s belongs to a configuration file by now; change it "
                                  "there",
                                  change->name);
    else if (!deletion && config_check_stream(app->config, &change->config, &why) < 0)
        api_request_reply_problem(change->request, 422, "stream_invalid", "stream %s: %s",
                                  change->name, why.text);
    else if (!deletion && !entry && streams_count(app->streams) >= APP_STREAMS_MAX)
        api_request_reply_problem(change->request, 409, "streams_full",
                                  "there are %d streams by now, as many as there can be",
                                  APP_STREAMS_MAX);
    else
        return false;
    finish(change);
    return true;
}

static void reply_stream(struct app *app, struct api_request *request, int status,
                         const struct stream_entry *entry)
{
    api_request_set_etag(request, entry->etag);
    api_request_reply_json(request, status, entry_to_json(app, entry));
}

/* Whether what runs need only be told of another model. */
static bool changes_model(const struct stream_entry *entry, const struct config_stream *config)
{
    return entry && entry->config.enabled &&
           config_stream_same_source(&entry->config, config) &&
           strcmp(entry->config.model, config->model) != 0;
}

static void stream_stored(void *data, int result, const char *problem)
{
    struct change *change = data;
    struct app *app = change->app;
    if (change_failed(change, result, problem) || change_overtaken(change))
        return;
    struct stream_entry *entry = streams_find(app->streams, change->name);
    bool is_new = !entry;
    bool goes_on = entry && entry->status.state != STREAM_FAILED &&
                   config_stream_same_work(&entry->config, &change->config);
    bool swaps = changes_model(entry, &change->config) && entry->status.state == STREAM_LIVE;
    if (goes_on || swaps)
        streams_keep(app->streams, entry, &change->config, false);
    else
        entry = streams_put(app->streams, &change->config, false);
    log_stream(LOG_LEVEL_INFO, entry->config.name, "%s by the API",
               is_new ? "made" : "changed");
    if (swaps)
        supervisor_change_model(app->supervisor, entry->config.name);
    else if (!goes_on)
        app_apply_stream(app, entry);
    app_apply_retention(app);
    reply_stream(app, change->request, is_new ? 201 : 200, entry);
    finish(change);
}

static void stream_deleted(void *data, int result, const char *problem)
{
    struct change *change = data;
    struct app *app = change->app;
    if (change_failed(change, result == -ENOENT ? 0 : result, problem) ||
        change_overtaken(change))
        return;
    log_stream(LOG_LEVEL_INFO, change->name, "deleted by the API");
    supervisor_stop(app->supervisor, change->name);
    streams_remove(app->streams, change->name);
    resolver_forget(app->resolver, change->name);
    app_apply_retention(app);
    api_request_reply_empty(change->request, 204);
    finish(change);
}

/* `text`: what the store is to keep; NULL deletes. */
static void submit(struct change *change, const char *text)
{
    change->under_way = true;
    if (mailbox_put(change->app->mailbox, STORE_STREAMS, change->name, text,
                    text ? stream_stored : stream_deleted, change) == 0)
        return;
    api_request_reply_problem(change->request, 503, "store_busy",
                              "too many changes wait for the store; ask again");
    change_free(change);
}

/* Whether the API may change this name; answers when it may not. */
static bool may_change(struct app *app, struct api_request *request, const char *name)
{
    const struct stream_entry *entry = streams_find(app->streams, name);
    if (app->phase != APP_RUNNING)
        app_reply_stopping(request);
    else if (entry && entry->from_file)
        api_request_reply_problem(request, 409, "stream_in_file",
                                  "stream %s belongs to a configuration file; change it there",
                                  name);
    else
        return true;
    return false;
}

/* What the stream is to be; answers when that makes no sense. */
static bool make_config(struct change *change, const struct stream_entry *entry)
{
    const struct config *config = change->app->config;
    struct config_error why = {.text = ""};
    int r = change->action == ACTION_PATCH
                ? config_patch_apply(&entry->config, change->body, &config->media_roots,
                                     &change->config, &why)
                : config_stream_from_json(change->name, change->body, &config->media_roots,
                                          &change->config, &why);
    if (r == 0)
        r = config_check_stream(config, &change->config, &why);
    if (r < 0)
        api_request_reply_problem(change->request, 422, "stream_invalid", "stream %s: %s",
                                  change->name, why.text);
    return r == 0;
}

/* Streams there will be once what is under way is done. */
static size_t count_streams(struct app *app)
{
    size_t count = streams_count(app->streams);
    for (GList *item = app->changes.head; item; item = item->next) {
        const struct change *change = item->data;
        count += change->under_way && !streams_find(app->streams, change->name);
    }
    return count;
}

/* Answers and returns true when nothing has to be stored. */
static bool answer_at_once(struct change *change, struct stream_entry *entry)
{
    struct app *app = change->app;
    struct api_request *request = change->request;
    if (!entry && change->action != ACTION_PUT) {
        reply_unknown_stream(request, change->name);
        return true;
    }
    if (change->action != ACTION_DELETE && !make_config(change, entry))
        return true;
    if (!entry && count_streams(app) >= APP_STREAMS_MAX) {
        api_request_reply_problem(request, 409, "streams_full",
                                  "there are %d streams, as many as there can be; delete one",
                                  APP_STREAMS_MAX);
        return true;
    }
    if (!api_request_check_etag(request, entry ? entry->etag : NULL))
        return true;
    if (change->action == ACTION_DELETE || !entry ||
        !config_stream_equal(&entry->config, &change->config))
        return false;
    /* The same again changes nothing, but to a stream that waits for a person: here is one. */
    if (entry->status.state == STREAM_FAILED)
        app_apply_stream(app, entry);
    reply_stream(app, request, 200, entry);
    return true;
}

static void store_config(struct change *change)
{
    json_t *object = config_stream_to_json(&change->config, true);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (text) {
        submit(change, text);
    } else {
        api_request_reply_json(change->request, 500, NULL);
        change_free(change);
    }
    free(text);
}

/* The stream goes on with the model it has until the other is known to be of use. `r`: what
 * packs_get said of it. */
static void model_tried(struct change *change, int r, const char *problem)
{
    struct app *app = change->app;
    char name[RECORD_NAME_SIZE];
    g_strlcpy(name, change->name, sizeof name);
    change->trying = change->under_way = false;
    if (r == 0) {
        store_config(change);
        advance(app, name); /* it may be over: the store was full */
        return;
    }
    if (r == -EAGAIN || r == -ENOMEM || r == -ETIMEDOUT)
        api_request_reply_problem(change->request, 503, "models_busy",
                                  "model %s cannot be tried now: %s; ask again",
                                  change->config.model, problem);
    else
        api_request_reply_problem(change->request, 422, "stream_invalid",
                                  "stream %s keeps its model, since %s cannot be used: %s",
                                  change->name, change->config.model, problem);
    finish(change);
}

/* False while it is not known yet. */
static bool try_model(struct change *change)
{
    struct packs_pack pack;
    char problem[PACKS_PROBLEM_SIZE];
    int r = packs_get(change->app->packs, change->config.model, &pack, problem);
    if (r == -EINPROGRESS)
        return false;
    if (r == 0)
        close(pack.fd);
    model_tried(change, r, problem);
    return true;
}

void app_try_models(struct app *app)
{
    GList *item = app->changes.head;
    while (item) {
        struct change *change = item->data;
        /* Whatever it leads to, the list may be another afterwards. */
        item = change->trying && try_model(change) ? app->changes.head : item->next;
    }
}

void app_stop_changes(struct app *app)
{
    GList *item = app->changes.head;
    while (item) {
        struct change *change = item->data;
        item = item->next;
        if (!change->trying)
            continue;
        app_reply_stopping(change->request);
        finish(change);
        item = app->changes.head;
    }
}

/* Its turn has come: it is over when this returns, or under way. */
static void decide(struct change *change)
{
    struct app *app = change->app;
    struct stream_entry *entry = streams_find(app->streams, change->name);
    if (!may_change(app, change->request, change->name) || answer_at_once(change, entry)) {
        change_free(change);
        return;
    }
    if (change->action == ACTION_DELETE) {
        submit(change, NULL);
    } else if (changes_model(entry, &change->config)) {
        change->under_way = change->trying = true;
        try_model(change);
    } else {
        store_config(change);
    }
}

static void change_stream(struct app *app, struct api_request *request, enum action action,
                          const char *name, const json_t *body)
{
    if (app->changes.length >= CHANGES_MAX) {
        api_request_reply_problem(request, 503, "store_busy",
                                  "too many changes wait for the store; ask again");
        return;
    }
    struct change *change = g_new0(struct change, 1);
    change->app = app;
    change->request = request;
    change->action = action;
    g_strlcpy(change->name, name, sizeof change->name);
    change->body = json_incref((json_t *)body);
    g_queue_push_tail(&app->changes, change);
    advance(app, name);
}

void app_put_stream(void *owner, struct api_request *request, const char *name,
                    const json_t *body)
{
    change_stream(owner, request, ACTION_PUT, name, body);
}

void app_patch_stream(void *owner, struct api_request *request, const char *name,
                      const json_t *patch)
{
    change_stream(owner, request, ACTION_PATCH, name, patch);
}

void app_delete_stream(void *owner, struct api_request *request, const char *name)
{
    change_stream(owner, request, ACTION_DELETE, name, NULL);
}

/* --- without the store -------------------------------------------------------------------- */

void app_restart_stream(void *owner, struct api_request *request, const char *name)
{
    struct app *app = owner;
    struct stream_entry *entry = streams_find(app->streams, name);
    if (app->phase != APP_RUNNING) {
        app_reply_stopping(request);
    } else if (!entry) {
        reply_unknown_stream(request, name);
    } else if (!entry->config.enabled) {
        api_request_reply_problem(request, 409, "stream_disabled",
                                  "stream %s is disabled; enable it to start it", name);
    } else if (api_request_check_etag(request, entry->etag)) {
        log_stream(LOG_LEVEL_INFO, name, "restarted by the API");
        stream_entry_reset(entry);
        app_apply_stream(app, entry);
        reply_stream(app, request, 202, entry);
    }
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

void app_get_snapshot(void *owner, struct api_request *request, const char *name)
{
    struct app *app = owner;
    if (!streams_find(app->streams, name))
        reply_unknown_stream(request, name);
    else if (app->phase != APP_RUNNING)
        app_reply_stopping(request);
    else
        snapshots_take(app->snapshots, name, picture_taken, request);
}
