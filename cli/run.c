/* vigil run: no daemon. Starts a worker of its own and prints what it reports.
 *
 * Records go to stdout, as JSON lines or for people; everything else (progress, a camera's
 * troubles) to stderr. */
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/worker.h"

/* Time a worker is given to end its events after Ctrl-C before it is killed. */
#define STOP_MS 2000

struct run {
    GMainLoop *loop;
    struct worker *worker;
    struct input input;
    bool json_lines;
    bool progress; /* a line on stderr that is overwritten */
    bool progress_shown;
    bool stopping;
    bool over; /* the stream is done */
    struct message_stream_status last;
    int result;
};

/* --- what is shown ------------------------------------------------------------------------- */

static void clear_progress(struct run *run)
{
    if (run->progress_shown)
        fputs("\r\033[K", stderr);
    run->progress_shown = false;
}

static void show_progress(struct run *run, const struct message_stream_status *status)
{
    if (!run->progress || status->state != STREAM_LIVE)
        return;
    fprintf(stderr, "\r\033[K%s: %" G_GINT64_FORMAT " frames, %" G_GINT64_FORMAT " analysed",
            status->stream, status->received, status->analysed);
    if (status->fps > 0 && !run->input.start.live)
        fprintf(stderr, ", %.0f s", (double)status->received / status->fps);
    fflush(stderr);
    run->progress_shown = true;
}

/* A camera that comes and goes is told once per change, not once per second. */
static void show_change(struct run *run, const struct message_stream_status *status)
{
    bool changed = status->state != run->last.state || status->reason != run->last.reason;
    bool worth = status->state == STREAM_STALLED || status->state == STREAM_BACKOFF ||
                 status->state == STREAM_DISABLED ||
                 (status->state == STREAM_LIVE && run->last.reason != REASON_NONE);
    if (!changed || !worth)
        return;
    clear_progress(run);
    g_autofree char *detail = output_printable(status->detail);
    fprintf(stderr, "vigil: %s: %s%s%s\n", status->stream, stream_state_name(status->state),
            *detail ? ": " : "", detail);
}

static enum cli_exit exit_code_of(enum stream_reason reason)
{
    switch (reason) {
    case REASON_NONE:
        return CLI_OK;
    case REASON_UNREADABLE:
    case REASON_UNSUPPORTED_CODEC:
    case REASON_TOO_LARGE:
        return CLI_NO_INPUT;
    case REASON_MODEL:
        return CLI_CONFIG;
    case REASON_CRASHED:
    case REASON_INTERNAL:
        return CLI_INTERNAL;
    default:
        return CLI_UNAVAILABLE;
    }
}

static void take_status(struct run *run, const struct message_stream_status *status)
{
    show_change(run, status);
    show_progress(run, status);
    if (status->state == STREAM_FAILED && run->last.state != STREAM_FAILED) {
        clear_progress(run);
        run->result =
            cli_fail(exit_code_of(status->reason), "%s",
                     *status->detail ? status->detail : stream_reason_name(status->reason));
    }
    run->last = *status;
}

/* --- the worker ---------------------------------------------------------------------------- */

static void quit_worker(struct run *run)
{
    const struct message quit = {.type = MESSAGE_QUIT};
    worker_send(run->worker, &quit, NULL, 0);
}

static void on_message(void *context, const struct message *message)
{
    struct run *run = context;
    struct message start = {.type = MESSAGE_STREAM_START};
    json_t *object = NULL;
    switch (message->type) {
    case MESSAGE_READY:
        start.start = run->input.start;
        if (worker_send(run->worker, &start, run->input.fds, run->input.fd_count) < 0)
            run->result = cli_fail(CLI_INTERNAL, "the worker does not take its work");
        break;
    case MESSAGE_RECORD:
        clear_progress(run);
        if (run->json_lines)
            object = record_to_json(&message->record);
        else
            output_record(&message->record, false);
        break;
    case MESSAGE_WINDOW:
        clear_progress(run);
        object = message_window_to_json(&message->window);
        break;
    case MESSAGE_STREAM_STATUS:
        take_status(run, &message->status);
        break;
    case MESSAGE_STREAM_DONE:
        run->over = true;
        quit_worker(run);
        break;
    default:
        break;
    }
    if (object)
        output_json_line(object);
    json_decref(object);
}

static void on_exit_of_worker(void *context, int wait_status, const char *complaint)
{
    struct run *run = context;
    clear_progress(run);
    if (complaint)
        run->result = cli_fail(CLI_INTERNAL, "%s", complaint);
    else if (!run->over && run->result == CLI_OK && WIFSIGNALED(wait_status))
        run->result =
            cli_fail(CLI_INTERNAL, "the worker died: %s (a damaged input can do that)",
                     strsignal(WTERMSIG(wait_status)));
    else if (!run->over && run->result == CLI_OK && !run->stopping)
        run->result = cli_fail(CLI_INTERNAL, "the worker left early, with status %d",
                               WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1);
    g_main_loop_quit(run->loop);
}

static gboolean on_late_stop(gpointer data)
{
    struct run *run = data;
    g_main_loop_quit(run->loop);
    return G_SOURCE_REMOVE;
}

/* The first Ctrl-C lets open events end; the second does not wait. */
static gboolean on_stop(gpointer data)
{
    struct run *run = data;
    if (run->stopping) {
        g_main_loop_quit(run->loop);
        return G_SOURCE_CONTINUE;
    }
    run->stopping = true;
    struct message stop = {.type = MESSAGE_STREAM_STOP};
    g_strlcpy(stop.stop.stream, run->input.start.stream, sizeof stop.stop.stream);
    worker_send(run->worker, &stop, NULL, 0);
    g_timeout_add(STOP_MS, on_late_stop, run);
    return G_SOURCE_CONTINUE;
}

static int run_worker(struct run *run)
{
    const struct worker_callbacks callbacks = {on_message, on_exit_of_worker, run};
    g_autofree char *program = worker_find_program();
    run->worker = worker_start(program, &callbacks);
    if (!run->worker)
        return CLI_INTERNAL;
    run->loop = g_main_loop_new(NULL, FALSE);
    guint interrupt = g_unix_signal_add(SIGINT, on_stop, run);
    guint terminate = g_unix_signal_add(SIGTERM, on_stop, run);
    g_main_loop_run(run->loop);
    g_source_remove(interrupt);
    g_source_remove(terminate);
    worker_destroy(run->worker);
    g_main_loop_unref(run->loop);
    return run->result;
}

int cli_run(int argc, char **argv)
{
    struct run run = {.input.fds = {-1, -1}};
    char *model = NULL, *name = NULL, *start_time = NULL;
    char **set = NULL;
    gboolean json_lines = FALSE, windows = FALSE, loop = FALSE;
    const GOptionEntry entries[] = {
        {"model", 'm', 0, G_OPTION_ARG_FILENAME, &model,
         "An ONNX model (default: scene, which comes with vigil)", "FILE"},
        {"json-lines", 'j', 0, G_OPTION_ARG_NONE, &json_lines, "A JSON record per line", NULL},
        {"windows", 'w', 0, G_OPTION_ARG_NONE, &windows,
         "Also print the scores of every window, as JSON", NULL},
        {"name", 'n', 0, G_OPTION_ARG_STRING, &name, "The stream's name in the records",
         "NAME"},
        {"start-time", 0, 0, G_OPTION_ARG_STRING, &start_time,
         "When a file begins (default: 1970-01-01T00:00:00Z)", "TIME"},
        {"loop", 0, 0, G_OPTION_ARG_NONE, &loop, "Start a file again at its end", NULL},
        {"set", 's', 0, G_OPTION_ARG_STRING_ARRAY, &set,
         "Replace a setting of the model, as enter=0.7", "KEY=VALUE"},
        {NULL}};
    int over = cli_parse(&argc, &argv, "URI",
                         "Analyses a stream without a daemon and prints what happens.\n"
                         "URI: a path, rtsp://, rtsps://, or scene://street?seed=1&duration=60",
                         entries);
    int result = over - 1;
    if (!over && argc != 2) {
        result = cli_fail(CLI_USAGE, "give one URI or path (see: vigil run --help)");
    } else if (!over) {
        const struct input_options options = {.uri = argv[1],
                                              .model = model,
                                              .name = name,
                                              .start_time = start_time,
                                              .set = (const char *const *)set,
                                              .loop = loop,
                                              .windows = windows};
        run.json_lines = json_lines;
        run.progress = isatty(STDERR_FILENO);
        result = input_init(&run.input, &options);
        if (result == CLI_OK)
            result = run_worker(&run);
        input_finish(&run.input);
    }
    g_free(model);
    g_free(name);
    g_free(start_time);
    g_strfreev(set);
    return result;
}
