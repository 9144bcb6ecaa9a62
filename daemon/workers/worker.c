#include "daemon/workers/worker.h"

#include <errno.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "record/channel.h"
#include "record/environment.h"

#define MESSAGES_PER_WAKE 64 /* then other handles have their turn */
#define LINE_SIZE         400
#define LAST_WORDS_MAX    (64 * 1024) /* read from stderr after the death */

struct worker {
    struct worker_options options;
    uv_process_t process;
    uv_poll_t control;
    uv_pipe_t errors; /* its stderr */
    int control_fd;
    int open_handles;
    bool ready, exited, malformed, hung_up;
    char stream[RECORD_NAME_SIZE]; /* it works for; "": none, or several */
    char why[160];                 /* why we killed it; "" while we have not */

    char line[LINE_SIZE];
    size_t line_length;
    struct log_limit log; /* of those lines */
    char chunk[2048];
};

static void handle_closed(uv_handle_t *handle)
{
    struct worker *worker = handle->data;
    if (--worker->open_handles > 0)
        return;
    if (worker->control_fd >= 0)
        close(worker->control_fd);
    g_free(worker);
}

static void close_handle(struct worker *worker, uv_handle_t *handle)
{
    handle->data = worker;
    if (!uv_is_closing(handle))
        uv_close(handle, handle_closed);
}

/* --- stderr ---------------------------------------------------------------------------- */

static void flush_line(struct worker *worker)
{
    worker->line[worker->line_length] = '\0';
    const struct log_about about = {
        .stream = worker->stream[0] ? worker->stream : NULL,
        .limit = &worker->log,
    };
    if (worker->line_length > 0)
        log_about(LOG_LEVEL_WARNING, &about, "worker %d says: %s", worker->process.pid,
                  worker->line);
    worker->line_length = 0;
}

static void take_errors(struct worker *worker, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n' || worker->line_length == LINE_SIZE - 1)
            flush_line(worker);
        if (bytes[i] != '\n')
            worker->line[worker->line_length++] = bytes[i];
    }
}

static void errors_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct worker *worker = handle->data;
    *buffer = uv_buf_init(worker->chunk, sizeof worker->chunk);
}

static void errors_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    if (size > 0)
        take_errors(stream->data, buffer->base, (size_t)size);
    else if (size < 0)
        uv_read_stop(stream);
}

static void read_last_words(struct worker *worker)
{
    uv_os_fd_t fd;
    size_t total = 0;
    ssize_t size;
    if (uv_fileno((uv_handle_t *)&worker->errors, &fd) < 0)
        return;
    while (total < LAST_WORDS_MAX &&
           (size = read(fd, worker->chunk, sizeof worker->chunk)) > 0) {
        take_errors(worker, worker->chunk, (size_t)size);
        total += (size_t)size;
    }
    flush_line(worker);
}

/* --- the control socket ----------------------------------------------------------------- */

static void refuse(struct worker *worker, const char *why)
{
    worker->malformed = worker->malformed || !*worker->why;
    worker_kill(worker, why);
}

static void take_message(struct worker *worker, const struct message *message)
{
    const struct worker_listener *listener = worker->options.listener;
    if (message->type < MESSAGE_READY) {
        refuse(worker, "it sent a message only its parent may send");
    } else if ((message->type == MESSAGE_READY) == worker->ready) {
        refuse(worker, worker->ready ? "it said ready twice" : "it spoke before it was ready");
    } else if (message->type == MESSAGE_READY && !message->ready.locked) {
        refuse(worker, "its sandbox is not closed");
    } else if (message->type == MESSAGE_READY) {
        worker->ready = true;
        listener->ready(worker->options.owner, worker);
    } else {
        listener->message(worker->options.owner, worker, message);
    }
}

/* Delivers up to `limit` waiting messages. False once nothing more can come. */
static bool read_messages(struct worker *worker, int limit)
{
    for (int i = 0; i < limit && !worker->malformed; i++) {
        struct message message;
        int fds[CHANNEL_FDS_MAX];
        int fd_count = 0;
        struct record_error err = {{0}};
        int r = channel_receive(worker->control_fd, &message, fds, &fd_count, &err);
        if (r == -EAGAIN)
            return true;
        if (r == -EINTR)
            continue;
        if (r == 0)
            return false;
        if (r < 0) {
            char why[sizeof worker->why];
            snprintf(why, sizeof why, "it sent a message that is not valid: %s",
                     r == -EINVAL ? err.text : g_strerror(-r));
            refuse(worker, why);
            return true;
        }
        for (int k = 0; k < fd_count; k++)
            close(fds[k]);
        if (fd_count > 0)
            refuse(worker, "it sent a descriptor");
        else
            take_message(worker, &message);
    }
    return true;
}

static void control_readable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct worker *worker = poll->data;
    if (status < 0 || !read_messages(worker, MESSAGES_PER_WAKE)) {
        /* Usually it is exiting, and has its own status; what lives on is of no use. */
        uv_poll_stop(poll);
        worker->hung_up = true;
        uv_process_kill(&worker->process, SIGKILL);
    } else if (worker->malformed) {
        uv_poll_stop(poll);
    }
}

/* --- life ------------------------------------------------------------------------------- */

static void describe_exit(const struct worker *worker, int status, int signal_number,
                          char *ret_text, size_t size)
{
    if (*worker->why)
        snprintf(ret_text, size, "killed: %s", worker->why);
    else if (signal_number == SIGKILL && worker->hung_up)
        snprintf(ret_text, size, "killed: it closed its control socket");
    else if (signal_number)
        snprintf(ret_text, size, "died of signal %d (%s)", signal_number,
                 strsignal(signal_number));
    else
        snprintf(ret_text, size, "exited with status %d", status);
}

static void process_exited(uv_process_t *process, int64_t status, int signal_number)
{
    struct worker *worker = process->data;
    char text[200];
    worker->exited = true;
    uv_poll_stop(&worker->control);
    /* Records it sent before dying are as good as any; the bound only guards against a socket
     * that someone else still writes to. */
    read_messages(worker, 100000);
    read_last_words(worker);
    describe_exit(worker, (int)status, signal_number, text, sizeof text);
    struct worker_exit how = {
        .status = (int)status,
        .signal = signal_number,
        .malformed = worker->malformed,
        .text = text,
    };
    log_debug("worker %d: %s", process->pid, text);
    worker->options.listener->gone(worker->options.owner, worker, &how);
    close_handle(worker, (uv_handle_t *)&worker->process);
    close_handle(worker, (uv_handle_t *)&worker->control);
    close_handle(worker, (uv_handle_t *)&worker->errors);
}

int worker_spawn(const struct worker_options *options, struct worker **ret_worker)
{
    int fds[2];
    g_auto(GStrv) environment = environment_for_worker();
    g_autofree char *trust =
        options->tls_ca ? g_strconcat("--tls-ca=", options->tls_ca, NULL) : NULL;
    int r = channel_pair(fds);
    if (r < 0)
        return r;
    struct worker *worker = g_new0(struct worker, 1);
    worker->options = *options;
    worker->control_fd = fds[0];
    worker->process.data = worker->control.data = worker->errors.data = worker;
    r = uv_pipe_init(options->loop, &worker->errors, 0);
    if (r < 0) {
        close(fds[0]);
        close(fds[1]);
        g_free(worker);
        return r;
    }
    worker->open_handles = 1;
    r = uv_poll_init(options->loop, &worker->control, fds[0]); /* makes it non-blocking */
    if (r < 0)
        goto fail;
    worker->open_handles++;
    char streams[32];
    snprintf(streams, sizeof streams, "--streams=%d", MAX(1, options->streams));
    char *arguments[] = {(char *)options->program, (char *)"--control-fd=3", streams, trust,
                         NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&worker->errors},
        {.flags = UV_INHERIT_FD, .data.fd = fds[1]},
    };
    uv_process_options_t process = {
        .exit_cb = process_exited,
        .file = options->program,
        .args = arguments,
        .env = environment,
        .stdio_count = G_N_ELEMENTS(stdio),
        .stdio = stdio,
        /* A session of its own: Ctrl-C is for us, and we stop workers in order. */
        .flags = UV_PROCESS_DETACHED,
    };
    worker->open_handles++; /* uv_spawn initialises its handle also when it fails */
    r = uv_spawn(options->loop, &worker->process, &process);
    if (r < 0)
        goto fail;
    close(fds[1]);
    uv_read_start((uv_stream_t *)&worker->errors, errors_buffer, errors_read);
    uv_poll_start(&worker->control, UV_READABLE, control_readable);
    *ret_worker = worker;
    log_debug("worker %d: started", worker->process.pid);
    return 0;

fail:
    close(fds[1]);
    if (worker->open_handles > 2)
        close_handle(worker, (uv_handle_t *)&worker->process);
    if (worker->open_handles > 1)
        close_handle(worker, (uv_handle_t *)&worker->control);
    close_handle(worker, (uv_handle_t *)&worker->errors);
    return r;
}

int worker_send(struct worker *worker, const struct message *message, const int *fds,
                int fd_count)
{
    return worker->exited ? -EPIPE : channel_send(worker->control_fd, message, fds, fd_count);
}

void worker_kill(struct worker *worker, const char *why)
{
    if (worker->exited)
        return;
    if (!*worker->why)
        g_strlcpy(worker->why, why, sizeof worker->why);
    uv_process_kill(&worker->process, SIGKILL);
}

int worker_pid(const struct worker *worker)
{
    return worker->process.pid;
}

void worker_set_stream(struct worker *worker, const char *stream)
{
    g_strlcpy(worker->stream, stream, sizeof worker->stream);
}
