#include "cli/trial.h"

#include <glib-unix.h>
#include <signal.h>
#include <string.h>

#include "cli/verdict.h"
#include "cli/worker.h"

#define QUIT_MS 1000 /* for the worker to exit when asked */

struct trial {
    struct input *input;
    struct worker *worker;
    GMainLoop *loop;
    double seconds;
    struct message_stream_status last;
    int failures; /* attempts, while it was never live */

    bool watching;
    int64_t since_us;
    struct message_stream_status first; /* when watching began */
    struct worker_usage used;

    bool over;
    int exit_code;
    char *why;
    struct findings *findings;
    guint deadline;
};

static gboolean kill_late(gpointer data)
{
    struct trial *trial = data;
    trial->deadline = 0;
    worker_kill(trial->worker, NULL, NULL);
    return G_SOURCE_REMOVE;
}

/* Nothing more is expected of the worker. Takes `why`. */
static void finish(struct trial *trial, int exit_code, char *why)
{
    if (trial->over) {
        g_free(why);
        return;
    }
    trial->over = true;
    trial->exit_code = exit_code;
    trial->why = why;
    struct message message = {.type = MESSAGE_QUIT};
    if (worker_send(trial->worker, &message, NULL, 0) < 0)
        worker_kill(trial->worker, NULL, NULL);
    else
        trial->deadline = g_timeout_add(QUIT_MS, kill_late, trial);
}

/* It answers and cannot be analysed: a check has failed. What does not answer is
 * unavailable. */
static int exit_code_of(enum stream_reason reason)
{
    switch (reason) {
    case REASON_UNSUPPORTED_CODEC:
    case REASON_TRANSPORT:
    case REASON_TOO_LARGE:
    case REASON_NO_PICTURE:
    case REASON_UNREADABLE:
        return CLI_CHECK_FAILED;
    default:
        return (int)verdict_exit_code(reason);
    }
}

static void give_up(struct trial *trial, const struct message_stream_status *status)
{
    const char *advice = verdict_advice(status->reason);
    const char *detail = input_model_detail(trial->input, status->detail);
    finish(trial, exit_code_of(status->reason),
           g_strdup_printf("%s: %s%s%s",
                           status->reason == REASON_MODEL ? trial->input->model_shown
                                                          : trial->input->shown,
                           *detail ? detail : stream_reason_name(status->reason),
                           advice ? "; " : "", advice ? advice : ""));
}

static void sum_up(struct trial *trial)
{
    struct findings *findings = trial->findings;
    const struct message_stream_status *first = &trial->first, *last = &trial->last;
    struct worker_usage used;
    const struct config_stream *stream = &trial->input->stream;
    *findings = (struct findings){
        .uri = trial->input->shown,
        .camera = stream->scheme == CONFIG_RTSP || stream->scheme == CONFIG_RTSPS,
        .encrypted = stream->scheme == CONFIG_RTSPS,
        .credentials = config_stream_has_credentials(stream),
        .seconds = (double)(g_get_monotonic_time() - trial->since_us) / 1e6,
        .status = *last,
        .cpu_ms = -1,
        .decode_cpu_ms = last->decode_cpu_ms - first->decode_cpu_ms,
        .analysis_cpu_ms = last->analysis_cpu_ms - first->analysis_cpu_ms,
        .frames = last->received - first->received,
        .dropped = last->dropped - first->dropped,
        .damaged = last->damaged - first->damaged,
        .analysed = last->analysed - first->analysed,
    };
    if (worker_use(trial->worker, &used) == 0) {
        findings->cpu_ms = (double)(used.cpu_ns - trial->used.cpu_ns) / 1e6;
        findings->resident_bytes = used.resident_bytes;
        findings->own_bytes = used.own_bytes;
    }
    finish(trial, CLI_OK, NULL);
}

/* --- what the worker says ----------------------------------------------------------------- */

static void start_stream(struct trial *trial, const struct message_ready *ready)
{
    if (trial->over)
        return;
    if (!ready->locked) {
        finish(trial, CLI_INTERNAL, g_strdup("the worker could not close its sandbox"));
        return;
    }
    struct message message = {.type = MESSAGE_STREAM_START, .start = trial->input->start};
    int r = worker_send(trial->worker, &message, trial->input->fds, trial->input->fd_count);
    if (r < 0)
        finish(trial, CLI_INTERNAL,
               g_strdup_printf("the worker does not take its work: %s", g_strerror(-r)));
}

static void take_status(struct trial *trial, const struct message_stream_status *status)
{
    if (trial->over)
        return;
    enum stream_state before = trial->last.state;
    trial->last = *status;
    if (status->state == STREAM_FAILED ||
        (!trial->watching &&
         verdict_is_hopeless(status, before, worker_address_count(trial->worker),
                             &trial->failures))) {
        give_up(trial, status);
    } else if (!trial->watching && status->state == STREAM_LIVE && status->received > 0) {
        trial->watching = true;
        trial->first = *status;
        trial->since_us = g_get_monotonic_time();
        if (worker_use(trial->worker, &trial->used) < 0)
            finish(trial, CLI_INTERNAL, g_strdup("the worker's use cannot be measured"));
    } else if (trial->watching &&
               (status->state == STREAM_ENDED ||
                (double)(g_get_monotonic_time() - trial->since_us) / 1e6 >= trial->seconds)) {
        sum_up(trial);
    }
}

static void take_message(void *owner, const struct message *message)
{
    struct trial *trial = owner;
    if (message->type == MESSAGE_READY)
        start_stream(trial, &message->ready);
    else if (message->type == MESSAGE_STREAM_STATUS)
        take_status(trial, &message->status);
    else if (message->type == MESSAGE_STREAM_DONE && !trial->over)
        finish(
            trial, CLI_CHECK_FAILED,
            g_strdup_printf("%s: it was over before it could be watched", trial->input->shown));
}

static void worker_gone(void *owner, const char *why)
{
    struct trial *trial = owner;
    if (!trial->over) {
        trial->over = true;
        trial->exit_code = CLI_INTERNAL;
        trial->why = g_strdup_printf("%s: %s", trial->input->shown, why);
    }
    g_main_loop_quit(trial->loop);
}

static gboolean interrupted(gpointer data)
{
    struct trial *trial = data;
    if (trial->over)
        worker_kill(trial->worker, NULL, NULL);
    else if (trial->watching)
        sum_up(trial);
    else
        finish(trial, 128 + SIGINT, NULL);
    return G_SOURCE_CONTINUE;
}

int trial_run(struct input *input, double seconds, struct findings *ret_findings,
              struct message_stream_status *ret_failure, char **ret_why)
{
    static const struct worker_listener listener = {take_message, worker_gone};
    struct trial trial = {.input = input, .seconds = seconds, .findings = ret_findings};
    message_status_init(&trial.last);
    g_autofree char *program = worker_find_program();
    int r =
        worker_start(program, input->tls_ca, &input->stream, &listener, &trial, &trial.worker);
    if (r < 0) {
        *ret_failure = trial.last;
        *ret_why = g_strdup_printf("cannot start %s: %s (VIGIL_WORKER says where it is)",
                                   program, g_strerror(-r));
        return CLI_INTERNAL;
    }
    trial.loop = g_main_loop_new(NULL, FALSE);
    guint interrupt = g_unix_signal_add(SIGINT, interrupted, &trial);
    guint terminate = g_unix_signal_add(SIGTERM, interrupted, &trial);
    g_main_loop_run(trial.loop);
    g_source_remove(interrupt);
    g_source_remove(terminate);
    if (trial.deadline)
        g_source_remove(trial.deadline);
    worker_destroy(trial.worker);
    g_main_loop_unref(trial.loop);
    *ret_failure = trial.last;
    *ret_why = trial.why;
    return trial.exit_code;
}
