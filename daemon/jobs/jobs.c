#include "daemon/jobs/jobs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "daemon/jobs/process.h"
#include "daemon/log.h"

enum state { QUEUED, RUNNING, DONE, FAILED, CANCELLED, INTERRUPTED };
static const char *const states[] = {"queued", "running",   "done",
                                     "failed", "cancelled", "interrupted"};
#define STATE_COUNT ((int)G_N_ELEMENTS(states))
G_STATIC_ASSERT(G_N_ELEMENTS(states) == DONE + JOBS_ENDS);

struct event {
    int64_t number;
    const char *name;
    json_t *data;
};

struct job {
    struct jobs *jobs;
    char id[RECORD_ID_SIZE];
    struct jobs_request request;
    enum state state;
    bool stored; /* the store has it: from here on it exists for others */
    jobs_added *added;
    void *added_data;
    int64_t created_ms, started_ms, ended_ms; /* RECORD_NO_TIME: not yet */
    json_t *progress, *result;                /* what it said last; NULL: nothing */
    char error[400];                          /* why it did not end well; "": it did */
    GQueue events;
    int64_t last_event;
    struct process *process; /* running */
    bool cancelled;
};

struct jobs {
    struct jobs_options options;
    GQueue list; /* struct job, the oldest first */
    bool stopping;
    void (*stopped)(void *owner);
    struct jobs_stats stats;
};

const char *jobs_end_name(int end)
{
    return states[DONE + end];
}

static void event_free(gpointer data)
{
    struct event *event = data;
    json_decref(event->data);
    g_free(event);
}

static void job_free(gpointer data)
{
    struct job *job = data;
    json_decref(job->progress);
    json_decref(job->result);
    g_queue_clear_full(&job->events, event_free);
    g_free(job);
}

static int64_t now_ms(void)
{
    return g_get_real_time() / 1000;
}

/* --- as JSON ------------------------------------------------------------------------------ */

static json_t *time_json(int64_t ms)
{
    char text[RECORD_TIME_SIZE];
    if (ms == RECORD_NO_TIME)
        return json_null();
    record_time_format(ms, text);
    return json_string(text);
}

static json_t *or_null(json_t *json)
{
    return json ? json_incref(json) : json_null();
}

json_t *job_to_json(const struct job *job)
{
    json_t *json = json_pack("{s:s, s:s}", "id", job->id, "state", states[job->state]);
    json_t *request = jobs_request_to_json(&job->request);
    json_object_update(json, request);
    json_decref(request);
    json_object_set_new(json, "created", time_json(job->created_ms));
    json_object_set_new(json, "started", time_json(job->started_ms));
    json_object_set_new(json, "ended", time_json(job->ended_ms));
    json_object_set_new(json, "progress", or_null(job->progress));
    json_object_set_new(json, "result", or_null(job->result));
    json_object_set_new(json, "error", *job->error ? json_string(job->error) : json_null());
    return json;
}

/* As the store keeps it. */
static char *job_to_text(const struct job *job)
{
    json_t *json = json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:I}", "request",
                             jobs_request_to_json(&job->request), "state", states[job->state],
                             "created", time_json(job->created_ms), "started",
                             time_json(job->started_ms), "ended", time_json(job->ended_ms),
                             "progress", or_null(job->progress), "result", or_null(job->result),
                             "error", job->error, "event", (json_int_t)job->last_event);
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(json);
    return text;
}

static int64_t read_time(const json_t *json, const char *name)
{
    int64_t ms = RECORD_NO_TIME;
    const char *text = json_string_value(json_object_get(json, name));
    return text && record_time_parse(text, &ms) == 0 ? ms : RECORD_NO_TIME;
}

static json_t *read_object(const json_t *json, const char *name)
{
    json_t *value = json_object_get(json, name);
    return json_is_object(value) ? json_incref(value) : NULL;
}

/* NULL: it is none that this program wrote. */
static struct job *job_from_text(struct jobs *jobs, const struct store_text *row)
{
    json_t *json = json_loads(row->text, JSON_REJECT_DUPLICATES, NULL);
    const char *state = json_string_value(json_object_get(json, "state"));
    const char *error = json_string_value(json_object_get(json, "error"));
    struct jobs_request request;
    struct jobs_error err;
    int known = 0;
    while (known < STATE_COUNT && g_strcmp0(state, states[known]) != 0)
        known++;
    if (known == STATE_COUNT ||
        jobs_request_from_json(json_object_get(json, "request"), &request, &err) < 0) {
        json_decref(json);
        return NULL;
    }
    struct job *job = g_new0(struct job, 1);
    *job = (struct job){
        .jobs = jobs,
        .request = request,
        .state = (enum state)known,
        .stored = true,
        .created_ms = read_time(json, "created"),
        .started_ms = read_time(json, "started"),
        .ended_ms = read_time(json, "ended"),
        .progress = read_object(json, "progress"),
        .result = read_object(json, "result"),
        .last_event = json_integer_value(json_object_get(json, "event")),
    };
    g_strlcpy(job->id, row->name, sizeof job->id);
    g_strlcpy(job->error, error ? error : "", sizeof job->error);
    json_decref(json);
    return job;
}

json_t *jobs_to_json(const struct jobs *jobs)
{
    json_t *list = json_array();
    for (GList *item = jobs->list.tail; item; item = item->prev) {
        const struct job *job = item->data;
        if (job->stored)
            json_array_append_new(list, job_to_json(job));
    }
    return list;
}

/* --- events ------------------------------------------------------------------------------- */

/* Takes `data`. */
static void add_event(struct job *job, const char *name, json_t *data)
{
    struct event *event = g_new(struct event, 1);
    *event = (struct event){++job->last_event, name, data};
    g_queue_push_tail(&job->events, event);
    if (job->events.length > JOBS_EVENTS_MAX)
        event_free(g_queue_pop_head(&job->events));
    job->jobs->options.changed(job->jobs->options.owner, job->id);
}

json_t *jobs_events(const struct jobs *jobs, const char *id, int64_t after, int limit)
{
    const struct job *job = jobs_find(jobs, id);
    if (!job)
        return NULL;
    json_t *list = json_array();
    const GList *item = job->events.head;
    /* A number that was never given is another database's. */
    while (after <= job->last_event && item &&
           ((const struct event *)item->data)->number <= after)
        item = item->next;
    for (; item && json_array_size(list) < (size_t)limit; item = item->next) {
        const struct event *event = item->data;
        json_array_append_new(list,
                              json_pack("{s:I, s:s, s:O}", "id", (json_int_t)event->number,
                                        "event", event->name, "data", event->data));
    }
    return json_pack("{s:o, s:b}", "events", list, "over", job->state > RUNNING && !item);
}

/* --- the store ---------------------------------------------------------------------------- */

static void saved(void *data, int result, const char *problem)
{
    (void)data;
    if (result < 0 && result != -ENOENT)
        log_warning("the store did not take what became of a job: %s", problem);
}

static int put(struct job *job, mailbox_done *done, void *data)
{
    char *text = job_to_text(job);
    int r = text
                ? mailbox_put(job->jobs->options.mailbox, STORE_JOBS, job->id, text, done, data)
                : -ENOMEM;
    free(text);
    return r;
}

static void save(struct job *job)
{
    if (put(job, saved, NULL) < 0)
        log_warning("what became of job %s is not kept: too many changes wait for the store",
                    job->id);
}

/* --- states ------------------------------------------------------------------------------- */

static void schedule(struct jobs *jobs);

static void set_state(struct job *job, enum state state)
{
    job->state = state;
    if (state == RUNNING)
        job->started_ms = now_ms();
    if (state > RUNNING) {
        job->ended_ms = now_ms();
        job->jobs->stats.ended[state - DONE]++;
    }
    log_info("job %s (%s %s): %s%s%s", job->id, jobs_kind_name(job->request.kind),
             jobs_request_subject(&job->request), states[state], *job->error ? ": " : "",
             job->error);
    add_event(job, "job.state", job_to_json(job));
    save(job);
}

static void take_line(void *owner, const json_t *line)
{
    struct job *job = owner;
    if (!json_is_integer(json_object_get(line, "epoch"))) {
        json_decref(job->result);
        job->result = json_deep_copy(line);
        return;
    }
    json_decref(job->progress);
    job->progress = json_deep_copy(line);
    add_event(job, "job.progress", json_incref(job->progress));
}

static enum state judge(struct job *job, const struct process_exit *how)
{
    static const char prefix[] = "vigil: ";
    const char *words = how->last_words;
    if (how->signal == 0 && how->status == 0)
        return DONE;
    if (job->cancelled)
        return CANCELLED;
    if (job->jobs->stopping) {
        g_strlcpy(job->error,
                  "vigild stopped; a job with \"resume\": true goes on with what was kept",
                  sizeof job->error);
        return INTERRUPTED;
    }
    if (g_str_has_prefix(words, prefix))
        words += strlen(prefix);
    if (how->signal == SIGKILL)
        g_strlcpy(job->error, "it was killed: as a rule the machine was out of memory",
                  sizeof job->error);
    else if (how->signal)
        snprintf(job->error, sizeof job->error, "it died of signal %d (%s)", how->signal,
                 strsignal(how->signal));
    else if (*words)
        g_strlcpy(job->error, words, sizeof job->error);
    else
        snprintf(job->error, sizeof job->error, "it ended with status %d", how->status);
    return FAILED;
}

static void check_stopped(struct jobs *jobs)
{
    if (!jobs->stopped || jobs->stats.running > 0)
        return;
    void (*stopped)(void *) = jobs->stopped;
    jobs->stopped = NULL;
    stopped(jobs->options.owner);
}

static void process_gone(void *owner, const struct process_exit *how)
{
    struct job *job = owner;
    struct jobs *jobs = job->jobs;
    job->process = NULL;
    jobs->stats.running--;
    set_state(job, judge(job, how));
    schedule(jobs);
    check_stopped(jobs);
}

static int start_process(struct job *job)
{
    const struct config *config = job->jobs->options.config;
    if (!config->jobs_data || !config->jobs_models)
        return -ENOTDIR;
    g_auto(GStrv) arguments = jobs_request_arguments(
        &job->request, config->jobs_program, config->jobs_data, config->jobs_models, getpid());
    const struct process_options options = {
        .loop = job->jobs->options.loop,
        .arguments = arguments,
        .line = take_line,
        .gone = process_gone,
        .owner = job,
    };
    return process_start(&options, &job->process);
}

static void start(struct job *job)
{
    int r = start_process(job);
    job->jobs->stats.waiting--;
    if (r == 0) {
        job->jobs->stats.running++;
        set_state(job, RUNNING);
        return;
    }
    if (r == -ENOTDIR)
        g_strlcpy(job->error, "[jobs] data and models are not configured any more",
                  sizeof job->error);
    else
        snprintf(job->error, sizeof job->error, "%.300s cannot be started: %s",
                 job->jobs->options.config->jobs_program, uv_strerror(r));
    set_state(job, FAILED);
}

static void schedule(struct jobs *jobs)
{
    for (GList *item = jobs->list.head; item && !jobs->stopping; item = item->next) {
        struct job *job = item->data;
        if (jobs->stats.running >= (int)jobs->options.config->jobs_at_once)
            return;
        if (job->stored && job->state == QUEUED)
            start(job);
    }
}

/* --- coming and going --------------------------------------------------------------------- */

const struct job *jobs_find(const struct jobs *jobs, const char *id)
{
    for (GList *item = jobs->list.head; item; item = item->next) {
        const struct job *job = item->data;
        if (job->stored && strcmp(job->id, id) == 0)
            return job;
    }
    return NULL;
}

static void forget(struct jobs *jobs, struct job *job)
{
    char id[RECORD_ID_SIZE];
    g_strlcpy(id, job->id, sizeof id);
    if (mailbox_put(jobs->options.mailbox, STORE_JOBS, job->id, NULL, saved, NULL) < 0)
        log_warning(
            "job %s comes back with the next start: too many changes wait for the store", id);
    g_queue_remove(&jobs->list, job);
    job_free(job);
    jobs->options.changed(jobs->options.owner, id);
}

static void forget_oldest(struct jobs *jobs)
{
    struct job *oldest = NULL;
    int ended = 0;
    for (GList *item = jobs->list.tail; item; item = item->prev) {
        struct job *job = item->data;
        if (job->state > RUNNING) {
            ended++;
            oldest = job;
        }
    }
    if (ended > JOBS_ENDED_MAX)
        forget(jobs, oldest);
}

static void job_stored(void *data, int result, const char *problem)
{
    struct job *job = data;
    struct jobs *jobs = job->jobs;
    jobs_added *added = job->added;
    if (result < 0) {
        added(job->added_data, NULL, problem);
        jobs->stats.waiting--;
        g_queue_remove(&jobs->list, job);
        job_free(job);
        return;
    }
    job->stored = true;
    add_event(job, "job.state", job_to_json(job));
    schedule(jobs);
    added(job->added_data, job, NULL);
    forget_oldest(jobs);
}

static int check_room(const struct jobs *jobs, const struct jobs_request *request,
                      struct jobs_error *err)
{
    snprintf(err->text, sizeof err->text, "%d jobs wait already", jobs->stats.waiting);
    if (jobs->stats.waiting >= JOBS_WAITING_MAX || jobs->stopping)
        return -ENOBUFS;
    for (GList *item = jobs->list.head; item; item = item->next) {
        const struct job *job = item->data;
        if (job->state > RUNNING || !*request->out ||
            strcmp(job->request.out, request->out) != 0)
            continue;
        snprintf(err->text, sizeof err->text, "job %s writes %s, too; wait for it or cancel it",
                 job->id, request->out);
        return -EBUSY;
    }
    return 0;
}

int jobs_add(struct jobs *jobs, const struct jobs_request *request, jobs_added *added,
             void *data, struct jobs_error *err)
{
    uint8_t random[10] = {0};
    int r = check_room(jobs, request, err);
    if (r < 0)
        return r;
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return -ENOBUFS;
    struct job *job = g_new0(struct job, 1);
    *job = (struct job){.jobs = jobs,
                        .request = *request,
                        .added = added,
                        .added_data = data,
                        .created_ms = now_ms(),
                        .started_ms = RECORD_NO_TIME,
                        .ended_ms = RECORD_NO_TIME};
    record_id_format(job->created_ms, random, job->id);
    r = put(job, job_stored, job);
    if (r < 0) {
        g_strlcpy(err->text, "too many changes wait for the store", sizeof err->text);
        job_free(job);
        return -ENOBUFS;
    }
    jobs->stats.waiting++;
    g_queue_push_tail(&jobs->list, job);
    return 0;
}

bool jobs_remove(struct jobs *jobs, const struct job *found)
{
    struct job *job = (struct job *)found;
    if (job->state == QUEUED) {
        jobs->stats.waiting--;
        set_state(job, CANCELLED);
        return true;
    }
    if (job->state == RUNNING) {
        job->cancelled = true;
        process_stop(job->process);
        return true;
    }
    forget(jobs, job);
    return false;
}

void jobs_get_stats(const struct jobs *jobs, struct jobs_stats *ret_stats)
{
    *ret_stats = jobs->stats;
}

/* --- all of them -------------------------------------------------------------------------- */

/* Ids are in order of time, and so are rows. */
static void load(struct jobs *jobs)
{
    size_t count;
    const struct store_text *rows = mailbox_texts(jobs->options.mailbox, STORE_JOBS, &count);
    for (size_t i = 0; i < count; i++) {
        struct job *job = job_from_text(jobs, &rows[i]);
        if (!job) {
            log_warning("job %s in the store is left out: it is not one of this vigil's",
                        rows[i].name);
            continue;
        }
        g_queue_push_tail(&jobs->list, job);
        jobs->stats.waiting += job->state == QUEUED;
        if (job->state == RUNNING) {
            g_strlcpy(
                job->error,
                "vigild was killed; a job with \"resume\": true goes on with what was kept",
                sizeof job->error);
            set_state(job, INTERRUPTED);
        } else {
            job->last_event = MAX(job->last_event, 1) - 1;
            add_event(job, "job.state", job_to_json(job));
        }
    }
}

struct jobs *jobs_create(const struct jobs_options *options)
{
    struct jobs *jobs = g_new0(struct jobs, 1);
    jobs->options = *options;
    load(jobs);
    schedule(jobs);
    return jobs;
}

void jobs_stop(struct jobs *jobs, void (*stopped)(void *owner))
{
    jobs->stopping = true;
    jobs->stopped = stopped;
    for (GList *item = jobs->list.head; item; item = item->next) {
        struct job *job = item->data;
        if (job->process)
            process_stop(job->process);
    }
    check_stopped(jobs);
}

void jobs_kill_all(struct jobs *jobs)
{
    for (GList *item = jobs->list.head; item; item = item->next) {
        struct job *job = item->data;
        if (job->process)
            process_kill(job->process);
    }
}

void jobs_destroy(struct jobs *jobs)
{
    if (!jobs)
        return;
    g_queue_clear_full(&jobs->list, job_free);
    g_free(jobs);
}
