#include "daemon/models/models.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/models/filestate.h"
#include "daemon/models/modelcheck.h"
#include "daemon/workers/oneshot.h"

struct waiter {
    char model[RECORD_NAME_SIZE];
    models_answer *answer;
    void *data;
};

struct cached {
    struct file_state file;
    json_t *info;
    int failures;      /* in a row, of those that may pass by themselves */
    uint64_t retry_at; /* 0: it is kept until the file changes */
};

/* Under way: the file is opened, then inspected. */
struct inspection {
    char model[RECORD_NAME_SIZE];
    char *path; /* that is opened */
    struct file_state file;
    struct opening *opening;
    struct oneshot *process;
};

struct models {
    struct models_options options;
    GHashTable *cached; /* by name, struct cached; only of models that are configured */
    GQueue waiting;     /* struct waiter */
    struct inspection inspection;
    bool stopping;
};

static void advance(struct models *models);

static void cached_free(gpointer data)
{
    struct cached *cached = data;
    json_decref(cached->info);
    g_free(cached);
}

/* Takes info. */
static json_t *make_info(const char *name, json_t *info, const char *problem)
{
    json_t *object = json_object();
    if (!object || json_object_set_new(object, "name", json_string(name)) < 0 ||
        json_object_set_new(object, "problem",
                            problem ? json_stringn_nocheck(problem, strlen(problem))
                                    : json_null()) < 0 ||
        (info && json_object_update_missing(object, info) < 0))
        g_clear_pointer(&object, json_decref);
    json_decref(info);
    return object;
}

static void answer_waiters(struct models *models, const char *name, json_t *info)
{
    GList *following;
    for (GList *item = models->waiting.head; item; item = following) {
        struct waiter *waiter = item->data;
        following = item->next;
        if (strcmp(waiter->model, name) != 0)
            continue;
        g_queue_delete_link(&models->waiting, item);
        waiter->answer(waiter->data, info);
        g_free(waiter);
    }
}

/* Of what says nothing of the file: it is told and not kept. */
static void answer_problem(struct models *models, const char *name, const char *problem)
{
    json_t *info = make_info(name, NULL, problem);
    answer_waiters(models, name, info);
    json_decref(info);
}

/* When to try again after so many failures in a row. */
static uint64_t retry_time(const struct models *models, int failures)
{
    uint64_t wait = (uint64_t)models->options.retry_ms << MIN(failures - 1, 16);
    return uv_now(models->options.loop) + MIN(wait, (uint64_t)MODELS_RETRY_MAX);
}

/* Takes info. A model may have left the configuration while it was looked at. */
static void keep(struct models *models, const char *name, const struct file_state *file,
                 json_t *info, bool passing)
{
    const struct cached *before = g_hash_table_lookup(models->cached, name);
    struct cached *cached = g_new0(struct cached, 1);
    *cached = (struct cached){.file = *file, .info = info};
    if (passing) {
        bool again = before && file_state_equal(&before->file, file);
        cached->failures = 1 + (again ? before->failures : 0);
        cached->retry_at = retry_time(models, cached->failures);
    }
    json_incref(info); /* for the answers */
    if (config_find_model(models->options.config, name))
        g_hash_table_replace(models->cached, g_strdup(name), cached);
    else
        cached_free(cached);
    answer_waiters(models, name, info);
    json_decref(info);
}

/* --- the one-shot worker ------------------------------------------------------------------ */

/* NULL with the problem. */
static json_t *read_info(const struct oneshot_result *result, struct record_error *ret_problem)
{
    json_t *info = NULL;
    struct record_error why;
    json_t *said = json_loadb(result->text, result->size, JSON_REJECT_DUPLICATES, NULL);
    if (!said)
        snprintf(ret_problem->text, sizeof ret_problem->text,
                 "the worker that inspected the model did not answer with JSON");
    else if (modelcheck_copy(said, &info, &why) < 0)
        snprintf(ret_problem->text, sizeof ret_problem->text,
                 "what is said of the model cannot be shown: %.100s", why.text);
    json_decref(said);
    return info;
}

static void inspected(void *owner, const struct oneshot_result *result)
{
    struct models *models = owner;
    const struct inspection inspection = models->inspection;
    struct record_error why;
    json_t *info = NULL;
    const char *problem = NULL;
    models->inspection.process = NULL;
    if (models->stopping)
        return;
    if (result->taken_away) {
        answer_problem(models, inspection.model,
                       "the worker that inspected the model was killed; is memory short?");
        advance(models);
        return;
    }
    if (result->too_late) {
        problem = "the model could not be inspected in time";
    } else if (result->too_long) {
        problem = "the model has more to say than is accepted";
    } else if (result->status != 0) {
        problem =
            *result->problem ? result->problem : "the worker that inspected the model died";
    } else {
        info = read_info(result, &why);
        problem = info ? NULL : why.text;
    }
    bool died = result->status < 0 && !result->too_long;
    keep(models, inspection.model, &inspection.file, make_info(inspection.model, info, problem),
         result->too_late || died);
    advance(models);
}

static int inspect(struct models *models, const struct config_model *model, int fd,
                   const struct file_state *file)
{
    struct oneshot_options options = {
        .loop = models->options.loop,
        .program = models->options.config->worker,
        .verb = "--inspect",
        .model = model,
        .input = fd,
        .output = -1,
        .text_max = MODELS_OUTPUT_MAX,
        .deadline_ms = models->options.deadline_ms,
        .done = inspected,
        .owner = models,
    };
    models->inspection.file = *file;
    return oneshot_start(&options, &models->inspection.process);
}

/* --- questions ---------------------------------------------------------------------------- */

static void tell_unopened(struct models *models, const char *name, int error)
{
    g_autofree char *problem =
        g_strdup_printf("the file of the model cannot be opened: %s; see its path in the "
                        "configuration",
                        opener_error_text(error));
    answer_problem(models, name, problem);
}

/* Answers from what is kept, else starts the inspection. */
static void serve(struct models *models, const struct config_model *model, int fd,
                  const struct stat *status)
{
    const char *name = model->name;
    struct file_state file = file_state_of(status, model);
    const struct cached *cached = g_hash_table_lookup(models->cached, name);
    uint64_t now = uv_now(models->options.loop);
    if (cached && file_state_equal(&cached->file, &file) &&
        (cached->retry_at == 0 || now < cached->retry_at))
        answer_waiters(models, name, cached->info);
    else if (inspect(models, model, fd, &file) < 0)
        answer_problem(models, name, "the worker that inspects models does not start");
}

static void opened(void *owner, int fd, const struct stat *status)
{
    struct models *models = owner;
    const struct inspection *inspection = &models->inspection;
    const struct config_model *model =
        config_find_model(models->options.config, inspection->model);
    models->inspection.opening = NULL;
    /* One that has left, or lies elsewhere since, is turned to anew: who asked still waits. */
    if (model && strcmp(model->path, inspection->path) == 0) {
        if (fd >= 0)
            serve(models, model, fd, status);
        else
            tell_unopened(models, model->name, fd);
    }
    if (fd >= 0)
        close(fd);
    advance(models);
}

static void advance(struct models *models)
{
    struct inspection *inspection = &models->inspection;
    const struct waiter *waiter;
    while (!inspection->process && !inspection->opening &&
           (waiter = g_queue_peek_head(&models->waiting))) {
        const struct config_model *model =
            config_find_model(models->options.config, waiter->model);
        memcpy(inspection->model, waiter->model, sizeof inspection->model);
        if (!model) {
            answer_problem(models, inspection->model, "the model is no longer configured");
            continue;
        }
        g_free(inspection->path);
        inspection->path = g_strdup(model->path);
        inspection->opening = opener_open(models->options.opener, model->path, opened, models);
    }
}

int models_create(const struct models_options *options, struct models **ret_models)
{
    struct models *models = g_new0(struct models, 1);
    models->options = *options;
    models->options.deadline_ms =
        options->deadline_ms ? options->deadline_ms : MODELS_DEADLINE_MS;
    models->options.retry_ms = options->retry_ms ? options->retry_ms : MODELS_RETRY_MS;
    models->cached = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, cached_free);
    g_queue_init(&models->waiting);
    *ret_models = models;
    return 0;
}

int models_ask(struct models *models, const char *name, models_answer *answer, void *data)
{
    if (!config_find_model(models->options.config, name))
        return -ENOENT;
    if (models->stopping || models->waiting.length >= MODELS_WAITING_MAX)
        return -ENOBUFS;
    struct waiter *waiter = g_new0(struct waiter, 1);
    *waiter = (struct waiter){.answer = answer, .data = data};
    g_strlcpy(waiter->model, name, sizeof waiter->model);
    g_queue_push_tail(&models->waiting, waiter);
    advance(models);
    return 0;
}

static gboolean is_gone(gpointer name, gpointer cached, gpointer config)
{
    (void)cached;
    return !config_find_model(config, name);
}

void models_forget(struct models *models)
{
    g_hash_table_foreach_remove(models->cached, is_gone, (gpointer)models->options.config);
}

void models_stop(struct models *models)
{
    models->stopping = true;
    struct waiter *waiter;
    while ((waiter = g_queue_pop_head(&models->waiting))) {
        waiter->answer(waiter->data, NULL);
        g_free(waiter);
    }
    opening_cancel(g_steal_pointer(&models->inspection.opening));
    if (models->inspection.process)
        oneshot_kill(models->inspection.process);
}

bool models_stopped(const struct models *models)
{
    return !models->inspection.process;
}

void models_destroy(struct models *models)
{
    if (!models)
        return;
    g_hash_table_unref(models->cached);
    g_free(models->inspection.path);
    g_free(models);
}
