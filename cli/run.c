/* vigil run: no daemon. The parent of one worker with one stream, until its end or Ctrl-C.
 *
 * Records go to stdout, as JSON lines or for people; everything else (progress, a camera's
 * troubles) to stderr. */
#include <glib-unix.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/verdict.h"
#include "cli/worker.h"

#define STOP_MS 3000 /* for the worker to end its events after Ctrl-C */
#define QUIT_MS 1000 /* for it to exit when asked */

struct run {
    struct input input;
    struct worker *worker;
    GMainLoop *loop;
    bool json;
    bool progress; /* a line on stderr, rewritten in place */
    bool progress_shown;
    int exit_code;
    bool started;  /* the worker has its stream */
    bool stopping; /* after Ctrl-C */
    bool quitting; /* all is said: the worker is asked to exit */
    bool was_live;
    bool cautioned; /* told of what is odd in the analysis */
    int failures;   /* attempts, while it was never live */
    struct message_stream_status last;
    guint deadline;
};

/* A line for the user that is no failure: a camera that comes and goes. */
static void tell(const char *of, const char *what, const char *consequence)
{
    g_autofree char *subject = output_printable(of), *text = output_printable(what);
    fprintf(stderr, "vigil: %s: %s%s\n", subject, text, consequence);
}

static void clear_progress(struct run *run)
{
    if (run->progress_shown)
        fputs("\r\033[K", stderr);
    run->progress_shown = false;
}

static gboolean kill_late(gpointer data)
{
    struct run *run = data;
    run->deadline = 0;
    worker_kill(run->worker, run->quitting ? NULL : "the worker did not stop in time", NULL);
    return G_SOURCE_REMOVE;
}

static void set_deadline(struct run *run, guint ms)
{
    if (run->deadline)
        g_source_remove(run->deadline);
    run->deadline = g_timeout_add(ms, kill_late, run);
}

/* Nothing more is expected of the worker. */
static void quit(struct run *run, int exit_code)
{
    if (run->quitting)
        return;
    run->quitting = true;
    run->exit_code = exit_code;
    struct message message = {.type = MESSAGE_QUIT};
    if (worker_send(run->worker, &message, NULL, 0) < 0)
        worker_kill(run->worker, NULL, NULL);
    else
        set_deadline(run, QUIT_MS);
}

static void stop(struct run *run)
{
    run->stopping = true;
    struct message message = {.type = MESSAGE_STREAM_STOP};
    g_strlcpy(message.stop.stream, run->input.start.stream, sizeof message.stop.stream);
    if (worker_send(run->worker, &message, NULL, 0) < 0)
        worker_kill(run->worker, NULL, NULL);
    else
        set_deadline(run, STOP_MS);
}

static gboolean interrupted(gpointer data)
{
    struct run *run = data;
    if (!run->started && !run->quitting) {
        quit(run, CLI_OK);
    } else if (!run->stopping && !run->quitting) {
        stop(run);
    } else {
        run->exit_code = 128 + SIGINT;
        worker_kill(run->worker, NULL, NULL);
    }
    return G_SOURCE_CONTINUE;
}

/* --- what ends a run ---------------------------------------------------------------------- */

static void give_up(struct run *run, const struct message_stream_status *status)
{
    clear_progress(run);
    const char *what = run->input.shown, *advice = verdict_advice(status->reason);
    const char *detail = input_model_detail(&run->input, status->detail);
    enum cli_exit code = verdict_exit_code(status->reason);
    if (status->reason == REASON_MODEL) {
        what = run->input.model_shown;
    } else if (status->reason == REASON_NOT_FOUND && run->input.stream.scheme == CONFIG_SCENE) {
        /* Nothing is away: the command line names what does not exist. */
        code = CLI_USAGE;
        advice = "scene://street is one";
    }
    quit(run, cli_fail(code, "%s: %s%s%s", what,
                       *detail ? detail : stream_reason_name(status->reason),
                       advice ? "; " : "", advice ? advice : ""));
}

/* A stream that was live once is waited for. */
static bool is_hopeless(struct run *run, const struct message_stream_status *status)
{
    if (status->state != STREAM_FAILED && (run->was_live || run->stopping))
        return false;
    return verdict_is_hopeless(status, run->last.state, worker_address_count(run->worker),
                               &run->failures);
}

/* --- what the worker says ----------------------------------------------------------------- */

static void start_stream(struct run *run, const struct message_ready *ready)
{
    if (run->quitting)
        return;
    if (!ready->locked) {
        quit(run, cli_fail(CLI_INTERNAL, "the worker could not close its sandbox"));
        return;
    }
    struct message message = {.type = MESSAGE_STREAM_START, .start = run->input.start};
    int result = worker_send(run->worker, &message, run->input.fds, run->input.fd_count);
    run->started = true;
    if (result < 0)
        quit(run, cli_fail(CLI_INTERNAL, "the worker does not take its work: %s",
                           g_strerror(-result)));
}

/* How far the worker has read: the descriptor it was handed shares its position with ours. */
static void show_progress(struct run *run, const struct message_stream_status *status)
{
    if (status->received == 0)
        return;
    off_t position = lseek(run->input.fds[1], 0, SEEK_CUR);
    int64_t size = run->input.media_size;
    int percent = position > 0 && size > 0 ? (int)(100 * MIN(position, size) / size) : 0;
    fprintf(stderr, "\r%3d %%  %" PRId64 " frame%s, %" PRId64 " analysed\033[K", percent,
            status->received, status->received == 1 ? "" : "s", status->analysed);
    fflush(stderr);
    run->progress_shown = true;
}

/* A camera that was there once is waited for; that is told once per change, not per second. */
static void show_change(struct run *run, const struct message_stream_status *status)
{
    bool changed = status->state != run->last.state || status->reason != run->last.reason;
    bool away = status->state == STREAM_STALLED || status->state == STREAM_BACKOFF;
    bool was_away = run->last.state == STREAM_STALLED || run->last.state == STREAM_BACKOFF ||
                    run->last.state == STREAM_CONNECTING;
    if (away && changed)
        tell(run->input.shown,
             status->detail[0] ? status->detail : stream_reason_name(status->reason),
             "; trying again");
    else if (status->state == STREAM_LIVE && was_away)
        tell(run->input.shown, "live again", "");
}

/* What the worker has to say of the model of a stream that is well: how its scores are off. */
static void show_caution(struct run *run, const struct message_stream_status *status)
{
    const bool well = status->state == STREAM_LIVE || status->state == STREAM_ENDED;
    const char *caution = input_model_detail(&run->input, status->detail);
    if (!well || caution == status->detail || run->cautioned)
        return;
    run->cautioned = true;
    clear_progress(run);
    tell(run->input.model_shown, caution, " (--set head=softmax or sigmoid)");
}

static void take_status(struct run *run, const struct message_stream_status *status)
{
    if (run->quitting)
        return;
    if (is_hopeless(run, status)) {
        give_up(run, status);
        return;
    }
    if (run->progress && status->state == STREAM_LIVE)
        show_progress(run, status);
    if (run->was_live && !run->input.finite && !run->stopping)
        show_change(run, status);
    show_caution(run, status);
    run->was_live = run->was_live || status->state == STREAM_LIVE;
    run->last = *status;
}

static void take_record(struct run *run, const struct record *record)
{
    /* A line a second is for programs. */
    if (!run->json && record->phase == RECORD_UPDATED)
        return;
    clear_progress(run);
    if (!run->json) {
        output_record(record, run->input.start.live ? OUTPUT_TIME : OUTPUT_POSITION,
                      run->input.start.start_ms);
        return;
    }
    json_t *object = record_to_json(record);
    if (object)
        output_json_line(object);
    json_decref(object);
}

static void take_window(struct run *run, const struct message_window *window)
{
    clear_progress(run);
    if (!run->json) {
        output_window(window);
        return;
    }
    json_t *object = message_window_to_json(window);
    if (object)
        output_json_line(object);
    json_decref(object);
}

static void take_end(struct run *run)
{
    clear_progress(run);
    if (run->quitting)
        return;
    if (!run->stopping && run->last.state != STREAM_ENDED) {
        quit(run, cli_fail(CLI_INTERNAL, "%s: the worker gave it up", run->input.shown));
        return;
    }
    if (run->last.damaged > 0) {
        g_autofree char *what =
            g_strdup_printf("%" PRId64 " damaged picture%s", run->last.damaged,
                            run->last.damaged == 1 ? "" : "s");
        tell(run->input.shown, what, "");
    }
    quit(run, CLI_OK);
}

/* Whose message it is; NULL when it is no stream's. */
static const char *stream_of(const struct message *message)
{
    switch (message->type) {
    case MESSAGE_STREAM_STATUS:
        return message->status.stream;
    case MESSAGE_RECORD:
        return message->record.stream;
    case MESSAGE_WINDOW:
        return message->window.stream;
    case MESSAGE_STREAM_DONE:
        return message->stop.stream;
    default:
        return NULL;
    }
}

static void take_message(void *owner, const struct message *message)
{
    struct run *run = owner;
    const char *stream = stream_of(message);
    if (stream && strcmp(stream, run->input.start.stream) != 0) {
        worker_kill(run->worker, "the worker speaks of a stream it was not given",
                    WORKER_OTHER);
        return;
    }
    /* Whoever wanted the records has them no longer: main.c says why. */
    if (output_flush() < 0) {
        quit(run, CLI_OK);
        return;
    }
    if (message->type == MESSAGE_READY)
        start_stream(run, &message->ready);
    else if (message->type == MESSAGE_STREAM_STATUS)
        take_status(run, &message->status);
    else if (message->type == MESSAGE_RECORD)
        take_record(run, &message->record);
    else if (message->type == MESSAGE_WINDOW)
        take_window(run, &message->window);
    else if (message->type == MESSAGE_STREAM_DONE)
        take_end(run);
}

static void worker_gone(void *owner, const char *why)
{
    struct run *run = owner;
    clear_progress(run);
    if (!run->quitting && run->exit_code == CLI_OK)
        run->exit_code = cli_fail(CLI_INTERNAL, "%s: %s", run->input.shown, why);
    g_main_loop_quit(run->loop);
}

static int supervise(struct run *run)
{
    static const struct worker_listener listener = {take_message, worker_gone};
    g_autofree char *program = worker_find_program();
    int result = worker_start(program, run->input.tls_ca, &run->input.stream, &listener, run,
                              &run->worker);
    if (result < 0)
        return cli_fail(CLI_INTERNAL, "cannot start %s: %s (VIGIL_WORKER says where it is)",
                        program, g_strerror(-result));
    run->loop = g_main_loop_new(NULL, FALSE);
    guint interrupt = g_unix_signal_add(SIGINT, interrupted, run);
    guint terminate = g_unix_signal_add(SIGTERM, interrupted, run);
    g_main_loop_run(run->loop);
    g_source_remove(interrupt);
    g_source_remove(terminate);
    if (run->deadline)
        g_source_remove(run->deadline);
    worker_destroy(run->worker);
    g_main_loop_unref(run->loop);
    return run->exit_code;
}

int cli_run(int argc, char **argv)
{
    struct run run = {.input.fds = {-1, -1}};
    char *model = NULL, *name = NULL, *start_time = NULL, *tls_ca = NULL;
    char **set = NULL;
    gboolean json_lines = FALSE, windows = FALSE, loop = FALSE;
    const GOptionEntry entries[] = {
        {"model", 'm', 0, G_OPTION_ARG_FILENAME, &model,
         "An ONNX file or a model that comes with vigil (default: scene)", "FILE|NAME"},
        {"json-lines", 'j', 0, G_OPTION_ARG_NONE, &json_lines,
         "A JSON record per line, also on a terminal", NULL},
        {"windows", 'w', 0, G_OPTION_ARG_NONE, &windows,
         "Also print the scores of every window", NULL},
        {"name", 'n', 0, G_OPTION_ARG_STRING, &name,
         "The stream's name in the records (default: the file's base name)", "NAME"},
        {"start-time", 0, 0, G_OPTION_ARG_STRING, &start_time,
         "When a file begins (default: 1970-01-01T00:00:00Z)", "TIME"},
        {"loop", 0, 0, G_OPTION_ARG_NONE, &loop, "Start a file again at its end", NULL},
        {"tls-ca", 0, 0, G_OPTION_ARG_FILENAME, &tls_ca, INPUT_TLS_CA_HELP, "FILE"},
        {"set", 's', 0, G_OPTION_ARG_STRING_ARRAY, &set,
         "Replace a setting of the model, as enter=0.7", "KEY=VALUE"},
        {NULL}};
    int over = cli_parse(
        &argc, &argv, "URI",
        "Analyses a stream without a daemon and prints what happens.\n"
        "URI: a path, file:///path, rtsp://, rtsps:// (with user:password@ if need be), or "
        "scene://street?seed=1&width=640&height=360&fps=15&duration=60\n\n"
        "A file is read as fast as it can be, and gives the same output every time; with "
        "--loop it is played in real time, as a camera would. On a terminal each event is a "
        "line when it starts and one when it ends; elsewhere every record is a line of JSON.\n"
        "Settings of the model also come from the group [vigil] of MODEL.modelinfo. Ctrl-C "
        "ends "
        "the open events and stops.",
        entries);
    int result = over - 1;
    if (!over && argc != 2) {
        result = cli_fail(CLI_USAGE, "give one URI or path (see: vigil run --help)");
    } else if (!over) {
        const struct input_options options = {.uri = argv[1],
                                              .model = model,
                                              .name = name,
                                              .start_time = start_time,
                                              .tls_ca = tls_ca,
                                              .set = (const char *const *)set,
                                              .loop = loop,
                                              .windows = windows};
        result = input_init(&run.input, &options);
        if (result == CLI_OK)
            result = input_check_model(&run.input);
        if (result == CLI_OK) {
            cli_check_kernels();
            run.json = json_lines || !isatty(STDOUT_FILENO);
            run.progress =
                run.input.stream.scheme == CONFIG_FILE && !loop && isatty(STDERR_FILENO);
            result = supervise(&run);
        }
        input_finish(&run.input);
    }
    g_free(model);
    g_free(name);
    g_free(tls_ca);
    g_free(start_time);
    g_strfreev(set);
    return result;
}
