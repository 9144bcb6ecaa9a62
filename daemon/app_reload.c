/* SIGHUP. A thread of the pool loads the configuration again, beside the one in force; models
 * that are new or changed are tried by one-shot workers; then, in one turn of the loop, it is
 * refused as a whole or taken over as a whole. Whatever can fail has been done by then: the
 * files are read and checked, the streams of the files and of the store are laid out for the
 * new configuration (struct plan), and taking it over only moves pointers and starts and stops
 * workers. A stream whose configuration and model are what they were is not touched, so its
 * worker does not notice. */
#include "daemon/app_private.h"

#include <assert.h>
#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config/change.h"
#include "daemon/log.h"
#include "daemon/models/modeltrial.h"

/* The streams that are to be, in no order. */
struct plan {
    size_t count;
    struct config_stream *streams; /* APP_STREAMS_MAX */
    bool from_file[APP_STREAMS_MAX];
    char refused[RECORD_NAME_SIZE]; /* the one for which there can be none, else "" */
};

struct app_reload {
    uv_work_t work;
    struct app *app;
    struct config next;
    struct config_error err;
    char stream[RECORD_NAME_SIZE]; /* of which err speaks, else "" */
    int result;                    /* of loading it */
    struct model_trial *trial;
};

struct changes {
    int added, removed, changed, unchanged;
};

/* --- which streams there are to be -------------------------------------------------------- */

static size_t plan_find(const struct plan *plan, const char *name)
{
    size_t i = 0;
    while (i < plan->count && strcmp(plan->streams[i].name, name) != 0)
        i++;
    return i;
}

/* A stream the API was told, as far as this configuration allows it. */
static int read_row(const struct store_text *row, const struct config *config,
                    struct config_stream *ret_stream, struct config_error *err)
{
    json_t *object = json_loads(row->text, JSON_REJECT_DUPLICATES, NULL);
    g_strlcpy(err->text, "its row is not valid JSON", sizeof err->text);
    int r = object ? config_stream_from_json(row->name, object, &config->media_roots,
                                             ret_stream, err)
                   : -EINVAL;
    json_decref(object);
    return r == 0 ? config_check_stream(config, ret_stream, err) : r;
}

/* Streams of the files, then those of the store: a section in a file wins. A row that the
 * configuration does not allow is left out and said, unless the stream runs: losing it would be
 * a surprise. */
static int plan_make(struct app *app, const struct config *config, struct plan *plan,
                     struct config_error *err)
{
    size_t row_count;
    const struct store_text *rows = mailbox_texts(app->mailbox, STORE_STREAMS, &row_count);
    plan->streams = g_new(struct config_stream, APP_STREAMS_MAX);
    for (; plan->count < config->stream_count; plan->count++) {
        plan->streams[plan->count] = config->streams[plan->count];
        plan->from_file[plan->count] = true;
    }
    for (size_t i = 0; i < row_count; i++) {
        const char *name = rows[i].name;
        const struct stream_entry *entry = streams_find(app->streams, name);
        struct config_error why = {{0}};
        if (plan_find(plan, name) < plan->count) {
            if (!entry || !entry->from_file)
                log_stream(LOG_LEVEL_WARNING, name,
                           "the configuration file replaces what the API was told");
            continue;
        }
        bool full = plan->count == APP_STREAMS_MAX;
        if (full)
            snprintf(why.text, sizeof why.text, "there are more than %d streams",
                     APP_STREAMS_MAX);
        if (!full && read_row(&rows[i], config, &plan->streams[plan->count], &why) == 0) {
            plan->count++;
        } else if (entry && !entry->from_file) {
            snprintf(
                err->text, sizeof err->text,
                "the API made it, and it could not go on: %.300s; change or delete it first",
                why.text);
            g_strlcpy(plan->refused, name, sizeof plan->refused);
            return -EINVAL;
        } else {
            log_stream(LOG_LEVEL_WARNING, name, "left out, as the store has it: %s", why.text);
        }
    }
    return 0;
}

static void plan_finish(struct plan *plan)
{
    if (plan->streams) /* passwords */
        explicit_bzero(plan->streams, APP_STREAMS_MAX * sizeof *plan->streams);
    g_free(plan->streams);
}

/* --- taking it over ----------------------------------------------------------------------- */

/* Whether its worker need not notice. */
static bool is_unchanged(struct app *app, const struct config *before,
                         const struct stream_entry *entry, const struct config_stream *planned)
{
    const struct config_model *now = config_find_model(app->config, planned->model);
    const struct config_model *was = config_find_model(before, planned->model);
    return config_stream_same_work(&entry->config, planned) && was && now &&
           config_model_equal(was, now);
}

/* `before` is what held until now, app->config what holds from now on. */
static struct changes take_over(struct app *app, const struct plan *plan,
                                const struct config *before)
{
    struct changes changes = {0};
    for (size_t i = streams_count(app->streams); i-- > 0;) {
        char name[RECORD_NAME_SIZE];
        g_strlcpy(name, streams_at(app->streams, i)->config.name, sizeof name);
        if (plan_find(plan, name) < plan->count)
            continue;
        log_stream(LOG_LEVEL_INFO, name, "removed by the reload");
        supervisor_stop(app->supervisor, name);
        streams_remove(app->streams, name);
        resolver_forget(app->resolver, name);
        changes.removed++;
    }
    for (size_t i = 0; i < plan->count; i++) {
        struct stream_entry *entry = streams_find(app->streams, plan->streams[i].name);
        if (entry && is_unchanged(app, before, entry, &plan->streams[i])) {
            bool equal = config_stream_equal(&entry->config, &plan->streams[i]);
            streams_keep(app->streams, entry, &plan->streams[i], plan->from_file[i]);
            changes.unchanged += equal;
            changes.changed += !equal;
            if (!equal)
                log_stream(LOG_LEVEL_INFO, entry->config.name,
                           "changed by the reload, and goes on");
            /* It waits for a person, and here is one. */
            if (entry->status.state == STREAM_FAILED)
                app_apply_stream(app, entry);
            continue;
        }
        changes.added += !entry;
        changes.changed += entry != NULL;
        if (before != app->config) /* else this is the start */
            log_stream(LOG_LEVEL_INFO, plan->streams[i].name,
                       entry ? "changed by the reload, and starts anew"
                             : "added by the reload");
        entry = streams_put(app->streams, &plan->streams[i], plan->from_file[i]);
        app_apply_stream(app, entry);
    }
    app_apply_retention(app);
    return changes;
}

void app_load_streams(struct app *app)
{
    struct plan plan = {0};
    struct config_error err;
    int r = plan_make(app, app->config, &plan, &err);
    assert(r == 0); /* nothing runs yet that could be lost */
    take_over(app, &plan, app->config);
    plan_finish(&plan);
}

static int take(struct app_reload *reload)
{
    struct app *app = reload->app;
    struct config *next = &reload->next;
    struct plan plan = {0};
    int r = plan_make(app, next, &plan, &reload->err);
    memcpy(reload->stream, plan.refused, sizeof reload->stream);
    if (r == 0) {
        config_swap(app->config, next);
        models_forget(app->models);
        packs_forget(app->packs);
        struct changes changes = take_over(app, &plan, next);
        app_try_models(app);
        log_info("reloaded: %d added, %d removed, %d changed, %d unchanged", changes.added,
                 changes.removed, changes.changed, changes.unchanged);
    }
    plan_finish(&plan);
    return r;
}

/* --- one reload, step by step ------------------------------------------------------------- */

static void finish(struct app_reload *reload, int result)
{
    struct app *app = reload->app;
    app->reload = NULL;
    if (app->phase == APP_RUNNING) {
        if (result == 0) {
            app->reloads_taken++;
        } else {
            app->reloads_refused++;
            log_stream(LOG_LEVEL_ERROR, *reload->stream ? reload->stream : NULL,
                       "not reloaded, nothing is changed: %s", reload->err.text);
        }
        app->reload_failed = result < 0;
        if (app->options.reloading)
            app->options.reloading(app->options.owner, false);
    }
    config_finish(&reload->next);
    g_free(reload);
    if (app->reload_again) {
        app->reload_again = false;
        app_reload(app);
    }
}

static void models_tried(void *owner, const struct config_error *err)
{
    struct app_reload *reload = owner;
    struct app *app = reload->app;
    reload->trial = NULL;
    if (err)
        reload->err = *err;
    bool goes_on = !err && app->phase == APP_RUNNING;
    finish(reload, goes_on ? take(reload) : -EINVAL);
}

static void load(uv_work_t *work)
{
    struct app_reload *reload = work->data;
    reload->result =
        config_load(reload->app->options.config_options, &reload->next, &reload->err);
}

static void loaded(uv_work_t *work, int status)
{
    struct app_reload *reload = work->data;
    struct app *app = reload->app;
    struct model_trial_options trial = {
        .loop = app->loop,
        .running = app->config,
        .next = &reload->next,
        .opener = app->opener,
        .done = models_tried,
        .owner = reload,
    };
    (void)status; /* nobody cancels it */
    int r = app->phase == APP_RUNNING ? reload->result : -ESHUTDOWN;
    for (guint i = 0; r == 0 && i < reload->next.warnings->len; i++)
        log_warning("%s", (const char *)reload->next.warnings->pdata[i]);
    if (r == 0)
        r = config_check_change(app->config, &reload->next, &reload->err);
    if (r == 0)
        r = model_trial_start(&trial, &reload->trial);
    if (r == 1)
        return;
    finish(reload, r == 0 ? take(reload) : r);
}

void app_reload(struct app *app)
{
    if (app->phase != APP_RUNNING)
        return;
    if (app->reload) {
        app->reload_again = true;
        return;
    }
    struct app_reload *reload = g_new0(struct app_reload, 1);
    reload->app = app;
    reload->work.data = reload;
    app->reload = reload;
    if (app->options.reloading)
        app->options.reloading(app->options.owner, true);
    /* With a callback for its end it cannot fail. */
    uv_queue_work(app->loop, &reload->work, load, loaded);
}

void app_stop_reload(struct app *app)
{
    if (app->reload && app->reload->trial)
        model_trial_stop(app->reload->trial);
}
