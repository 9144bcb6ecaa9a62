/* What the API asks of streams and does to them. A change goes through the writer first and takes
 * effect once the store has it. */
#include "daemon/app_private.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>

#include "daemon/log.h"

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
        app_reply_stopping(change->request);
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
        app_reply_stopping(request);
    else if (entry && entry->from_file)
        api_request_reply_problem(request, 409, "stream_in_file",
                                  "stream %s belongs to a configuration file; change it there",
                                  name);
    else
        return true;
    return false;
}

void app_put_stream(void *owner, struct api_request *request, const char *name,
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

void app_delete_stream(void *owner, struct api_request *request, const char *name)
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
