#include "daemon/models.h"

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/modelcheck.h"
#include "daemon/worker.h"
#include "record/file.h"

#define PROBLEM_MAX 512 /* bytes of stderr that are looked at */

struct waiter {
    char model[RECORD_NAME_SIZE];
    models_answer *answer;
    void *data;
};

/* What an answer was made of. */
struct file_state {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
    guint settings; /* a hash of what the configuration says instead of the file */
};

struct cached {
    struct file_state file;
    json_t *info;
};

/* A one-shot worker. */
struct inspection {
    struct models *models;
    char model[RECORD_NAME_SIZE];
    struct file_state file;
    uv_process_t process;
    uv_pipe_t output, errors;
    uv_timer_t deadline;
    int open_handles, unfinished; /* unfinished: the exit and two ends of file */
    GString *text, *problem;
    bool too_late, too_long;
    int64_t status;
    char chunk[4096];
};

struct models {
    uv_loop_t *loop;
    const struct config *config;
    GHashTable *cached; /* by name, struct cached; only of models that are configured */
    GQueue waiting;     /* struct waiter */
    struct inspection *inspection;
    bool stopping;
};

static void advance(struct models *models);

static void cached_free(gpointer data)
{
    struct cached *cached = data;
    json_decref(cached->info);
    g_free(cached);
}

static struct file_state state_of(const struct stat *status, const struct config_model *model)
{
    guint settings = 0;
    for (int i = 0; i < model->override_count; i++)
        settings = 31 * (31 * settings + g_str_hash(model->overrides[i].key)) +
                   g_str_hash(model->overrides[i].value);
    return (struct file_state){status->st_dev, status->st_ino, status->st_size, status->st_mtim,
                               settings};
}

static bool state_equal(const struct file_state *a, const struct file_state *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->settings == b->settings && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
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

/* Takes info. A model may have left the configuration while it was looked at. */
static void keep(struct models *models, const char *name, const struct file_state *file,
                 json_t *info)
{
    struct cached *cached = g_new0(struct cached, 1);
    *cached = (struct cached){*file, info};
    json_incref(info); /* for the answers */
    if (config_find_model(models->config, name))
        g_hash_table_replace(models->cached, g_strdup(name), cached);
    else
        cached_free(cached);
    answer_waiters(models, name, info);
    json_decref(info);
}

/* --- the one-shot worker ------------------------------------------------------------------ */

static void handle_closed(uv_handle_t *handle)
{
    struct inspection *inspection = handle->data;
    if (--inspection->open_handles > 0)
        return;
    struct models *models = inspection->models;
    g_string_free(inspection->text, TRUE);
    g_string_free(inspection->problem, TRUE);
    g_free(inspection);
    models->inspection = NULL;
    advance(models);
}

static void close_all(struct inspection *inspection)
{
    uv_handle_t *handles[] = {
        (uv_handle_t *)&inspection->process, (uv_handle_t *)&inspection->output,
        (uv_handle_t *)&inspection->errors, (uv_handle_t *)&inspection->deadline};
    for (size_t i = 0; i < G_N_ELEMENTS(handles); i++)
        uv_close(handles[i], handle_closed);
}

/* Printable, one line: a hostile file had a hand in it. */
static void clean_line(GString *text)
{
    g_strstrip(text->str);
    text->str[strcspn(text->str, "\n")] = '\0';
    for (char *p = text->str; *p; p++)
        if (g_ascii_iscntrl(*p))
            *p = '?';
    if (!g_utf8_validate(text->str, -1, NULL)) {
        g_autofree char *valid = g_utf8_make_valid(text->str, -1);
        g_string_assign(text, valid);
    }
}

/* NULL with the problem. */
static json_t *read_info(const GString *text, struct record_error *ret_problem)
{
    json_t *info = NULL;
    struct record_error why;
    json_t *said = json_loadb(text->str, text->len, JSON_REJECT_DUPLICATES, NULL);
    if (!said)
        snprintf(ret_problem->text, sizeof ret_problem->text,
                 "the worker that inspected the model did not answer with JSON");
    else if (modelcheck_copy(said, &info, &why) < 0)
        snprintf(ret_problem->text, sizeof ret_problem->text,
                 "what is said of the model cannot be shown: %.100s", why.text);
    json_decref(said);
    return info;
}

static void finish(struct inspection *inspection)
{
    struct models *models = inspection->models;
    struct record_error why;
    json_t *info = NULL;
    const char *problem = NULL;
    clean_line(inspection->problem);
    if (inspection->too_late) {
        problem = "the model could not be inspected in time";
    } else if (inspection->too_long) {
        problem = "the model has more to say than is accepted";
    } else if (inspection->status != 0) {
        problem = *inspection->problem->str ? inspection->problem->str
                                            : "the worker that inspected the model died";
    } else {
        info = read_info(inspection->text, &why);
        problem = info ? NULL : why.text;
    }
    if (!models->stopping)
        keep(models, inspection->model, &inspection->file,
             make_info(inspection->model, info, problem));
    else
        json_decref(info);
    close_all(inspection);
}

static void part_finished(struct inspection *inspection)
{
    if (--inspection->unfinished == 0)
        finish(inspection);
}

static void process_exited(uv_process_t *process, int64_t status, int signal_number)
{
    struct inspection *inspection = process->data;
    inspection->status = signal_number ? -1 : status;
    part_finished(inspection);
}

static void deadline_passed(uv_timer_t *timer)
{
    struct inspection *inspection = timer->data;
    inspection->too_late = true;
    uv_process_kill(&inspection->process, SIGKILL);
}

static void get_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct inspection *inspection = handle->data;
    *buffer = uv_buf_init(inspection->chunk, sizeof inspection->chunk);
}

static void part_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct inspection *inspection = stream->data;
    bool output = stream == (uv_stream_t *)&inspection->output;
    GString *text = output ? inspection->text : inspection->problem;
    size_t room = (output ? MODELS_OUTPUT_MAX : PROBLEM_MAX) - text->len;
    if (size < 0) {
        uv_read_stop(stream);
        part_finished(inspection);
        return;
    }
    g_string_append_len(text, buffer->base, (gssize)MIN((size_t)size, room));
    if (output && (size_t)size > room) {
        inspection->too_long = true;
        uv_process_kill(&inspection->process, SIGKILL);
    }
}

static GPtrArray *make_arguments(const struct config *config, const struct config_model *model)
{
    GPtrArray *arguments = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(arguments, g_strdup(config->worker));
    g_ptr_array_add(arguments, g_strdup("--inspect"));
    for (int i = 0; i < model->override_count; i++)
        g_ptr_array_add(arguments, g_strdup_printf("--set=%s=%s", model->overrides[i].key,
                                                   model->overrides[i].value));
    g_ptr_array_add(arguments, NULL);
    return arguments;
}

static int inspect(struct models *models, const struct config_model *model, int fd,
                   const struct file_state *file)
{
    struct inspection *inspection = g_new0(struct inspection, 1);
    inspection->models = models;
    g_strlcpy(inspection->model, model->name, sizeof inspection->model);
    inspection->file = *file;
    inspection->text = g_string_new(NULL);
    inspection->problem = g_string_new(NULL);
    inspection->process.data = inspection->output.data = inspection->errors.data =
        inspection->deadline.data = inspection;
    /* None of these three can fail on Linux: they only fill in memory. */
    uv_pipe_init(models->loop, &inspection->output, 0);
    uv_pipe_init(models->loop, &inspection->errors, 0);
    uv_timer_init(models->loop, &inspection->deadline);
    inspection->open_handles = 4;
    inspection->unfinished = 3;
    models->inspection = inspection;
    g_autoptr(GPtrArray) arguments = make_arguments(models->config, model);
    uv_stdio_container_t stdio[] = {
        {.flags = UV_INHERIT_FD, .data.fd = fd},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&inspection->output},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&inspection->errors},
    };
    g_auto(GStrv) environment = worker_environment();
    uv_process_options_t process = {
        .exit_cb = process_exited,
        .file = models->config->worker,
        .args = (char **)arguments->pdata,
        .env = environment,
        .stdio_count = G_N_ELEMENTS(stdio),
        .stdio = stdio,
        .flags = UV_PROCESS_DETACHED,
    };
    int r = uv_spawn(models->loop, &inspection->process, &process);
    if (r < 0) {
        close_all(inspection);
        return r;
    }
    uv_read_start((uv_stream_t *)&inspection->output, get_buffer, part_read);
    uv_read_start((uv_stream_t *)&inspection->errors, get_buffer, part_read);
    uv_timer_start(&inspection->deadline, deadline_passed, MODELS_DEADLINE_MS, 0);
    return 0;
}

/* --- questions ---------------------------------------------------------------------------- */

/* Answers from what is kept or from the file's failure, else starts the inspection. */
static void serve(struct models *models, const char *name)
{
    const struct config_model *model = config_find_model(models->config, name);
    struct file_state none = {0};
    int fd = model ? file_open(model->path) : -ENOENT;
    struct stat status;
    if (!model) {
        keep(models, name, &none, make_info(name, NULL, "the model is no longer configured"));
    } else if (fd < 0 || fstat(fd, &status) < 0) {
        keep(models, name, &none,
             make_info(name, NULL,
                       "the file of the model cannot be opened; see its path in the "
                       "configuration"));
    } else {
        struct file_state file = state_of(&status, model);
        const struct cached *cached = g_hash_table_lookup(models->cached, name);
        if (cached && state_equal(&cached->file, &file))
            answer_waiters(models, name, cached->info);
        else if (inspect(models, model, fd, &file) < 0)
            keep(models, name, &none,
                 make_info(name, NULL, "the worker that inspects models does not start"));
    }
    if (fd >= 0)
        close(fd);
}

static void advance(struct models *models)
{
    const struct waiter *waiter;
    while (!models->inspection && (waiter = g_queue_peek_head(&models->waiting))) {
        char name[RECORD_NAME_SIZE];
        memcpy(name, waiter->model, sizeof name); /* the waiter goes with its answer */
        serve(models, name);
    }
}

int models_create(uv_loop_t *loop, const struct config *config, struct models **ret_models)
{
    struct models *models = g_new0(struct models, 1);
    models->loop = loop;
    models->config = config;
    models->cached = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, cached_free);
    g_queue_init(&models->waiting);
    *ret_models = models;
    return 0;
}

int models_ask(struct models *models, const char *name, models_answer *answer, void *data)
{
    if (!config_find_model(models->config, name))
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
    g_hash_table_foreach_remove(models->cached, is_gone, (gpointer)models->config);
}

void models_stop(struct models *models)
{
    models->stopping = true;
    struct waiter *waiter;
    while ((waiter = g_queue_pop_head(&models->waiting))) {
        waiter->answer(waiter->data, NULL);
        g_free(waiter);
    }
    if (models->inspection && models->inspection->unfinished > 0)
        uv_process_kill(&models->inspection->process, SIGKILL);
}

bool models_stopped(const struct models *models)
{
    return !models->inspection;
}

void models_destroy(struct models *models)
{
    if (!models)
        return;
    g_hash_table_unref(models->cached);
    g_free(models);
}
