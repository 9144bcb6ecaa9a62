#include "daemon/jobs/process.h"

#include <glib.h>
#include <signal.h>
#include <string.h>

#include "record/environment.h"
#include "record/text.h"

#define WORDS_MAX 400 /* of a line of stderr; what is beyond is left out */

/* Lines of a stream, one at a time. */
struct lines {
    uv_pipe_t pipe;
    char line[PROCESS_LINE_MAX];
    size_t length;
    bool too_long;
    bool over;
};

struct process {
    struct process_options options;
    uv_process_t process;
    uv_timer_t patience; /* from asked to killed */
    struct lines output, errors;
    int open_handles;
    bool exited, stopping, closing;
    struct process_exit how;
    char last_words[WORDS_MAX];
    char chunk[4096];
};

static void handle_closed(uv_handle_t *handle)
{
    struct process *process = handle->data;
    if (--process->open_handles > 0)
        return;
    process->how.last_words = process->last_words;
    if (process->exited)
        process->options.gone(process->options.owner, &process->how);
    g_free(process);
}

static void close_all(struct process *process)
{
    uv_handle_t *handles[] = {
        (uv_handle_t *)&process->process, (uv_handle_t *)&process->patience,
        (uv_handle_t *)&process->output.pipe, (uv_handle_t *)&process->errors.pipe};
    process->closing = true;
    for (size_t i = 0; i < G_N_ELEMENTS(handles); i++)
        uv_close(handles[i], handle_closed);
}

/* --- what it says ------------------------------------------------------------------------- */

static void take_output(struct process *process, const char *line, size_t length)
{
    json_t *json = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(json) && !process->stopping)
        process->options.line(process->options.owner, json);
    json_decref(json);
}

static void take_line(struct process *process, struct lines *lines)
{
    char text[PROCESS_LINE_MAX];
    if (lines == &process->output && !lines->too_long) {
        take_output(process, lines->line, lines->length);
    } else if (lines == &process->errors && lines->length > 0) {
        memcpy(text, lines->line, lines->length);
        text[MIN(lines->length, sizeof text - 1)] = '\0';
        text_copy_printable(process->last_words, sizeof process->last_words, text);
    }
    lines->length = 0;
    lines->too_long = false;
}

static void take_bytes(struct process *process, struct lines *lines, const char *bytes,
                       size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == '\n')
            take_line(process, lines);
        else if (lines->length < sizeof lines->line)
            lines->line[lines->length++] = bytes[i];
        else
            lines->too_long = true;
    }
}

static void get_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct process *process = handle->data;
    *buffer = uv_buf_init(process->chunk, sizeof process->chunk);
}

/* Whoever it left behind may hold the pipes for ever: one that was stopped is over when it is
 * reaped. */
static void finish(struct process *process)
{
    bool told = process->output.over && process->errors.over;
    if (process->exited && (told || process->stopping) && !process->closing)
        close_all(process);
}

static void bytes_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct process *process = stream->data;
    struct lines *lines =
        stream == (uv_stream_t *)&process->output.pipe ? &process->output : &process->errors;
    if (size >= 0) {
        take_bytes(process, lines, buffer->base, (size_t)size);
        return;
    }
    uv_read_stop(stream);
    take_line(process, lines);
    lines->over = true;
    finish(process);
}

/* --- life --------------------------------------------------------------------------------- */

static void process_exited(uv_process_t *handle, int64_t status, int signal_number)
{
    struct process *process = handle->data;
    process->exited = true;
    process->how.status = (int)status;
    process->how.signal = signal_number;
    uv_timer_stop(&process->patience);
    finish(process);
}

void process_kill(struct process *process)
{
    process->stopping = true;
    /* Once it is reaped its pid may be another's. */
    if (process->exited)
        finish(process);
    else
        uv_process_kill(&process->process, SIGKILL);
}

static void patience_over(uv_timer_t *timer)
{
    process_kill(timer->data);
}

void process_stop(struct process *process)
{
    if (process->stopping)
        return;
    process->stopping = true;
    if (process->exited) {
        finish(process);
        return;
    }
    uv_process_kill(&process->process, SIGTERM);
    uv_timer_start(&process->patience, patience_over, PROCESS_STOP_MS, 0);
}

/* Where windows of clips are kept: a service has no home. */
static char **make_environment(void)
{
    char **environment = environment_for_worker();
    const char *cache = g_getenv("CACHE_DIRECTORY");
    if (cache && !g_environ_getenv(environment, "XDG_CACHE_HOME"))
        environment = g_environ_setenv(environment, "XDG_CACHE_HOME", cache, TRUE);
    return environment;
}

int process_start(const struct process_options *options, struct process **ret_process)
{
    struct process *process = g_new0(struct process, 1);
    g_auto(GStrv) environment = make_environment();
    process->options = *options;
    process->process.data = process->patience.data = process->output.pipe.data =
        process->errors.pipe.data = process;
    /* None of these three can fail on Linux: they only fill in memory. */
    uv_pipe_init(options->loop, &process->output.pipe, 0);
    uv_pipe_init(options->loop, &process->errors.pipe, 0);
    uv_timer_init(options->loop, &process->patience);
    process->open_handles = 4;
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&process->output.pipe},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&process->errors.pipe},
    };
    uv_process_options_t what = {
        .exit_cb = process_exited,
        .file = options->arguments[0],
        .args = (char **)options->arguments,
        .env = environment,
        .cwd = "/",
        .stdio_count = G_N_ELEMENTS(stdio),
        .stdio = stdio,
        .flags = UV_PROCESS_DETACHED,
    };
    int r = uv_spawn(options->loop, &process->process, &what);
    if (r < 0) {
        close_all(process);
        return r;
    }
    uv_read_start((uv_stream_t *)&process->output.pipe, get_buffer, bytes_read);
    uv_read_start((uv_stream_t *)&process->errors.pipe, get_buffer, bytes_read);
    *ret_process = process;
    return 0;
}

int process_pid(const struct process *process)
{
    return process->process.pid;
}
