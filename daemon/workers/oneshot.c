#include "daemon/workers/oneshot.h"

#include <glib.h>
#include <signal.h>
#include <string.h>

#include "record/environment.h"

#define PROBLEM_MAX 512 /* bytes of stderr that are looked at */

struct oneshot {
    struct oneshot_options options;
    uv_process_t process;
    uv_pipe_t output, errors;
    uv_timer_t deadline;
    int open_handles, unfinished; /* unfinished: the exit and two ends of file */
    GString *text, *problem;
    bool started, exited, killed, taken_away, too_late, too_long, closing;
    int status;
    char chunk[4096];
};

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

static void handle_closed(uv_handle_t *handle)
{
    struct oneshot *oneshot = handle->data;
    if (--oneshot->open_handles > 0)
        return;
    if (oneshot->started) {
        clean_line(oneshot->problem);
        struct oneshot_result result = {
            .status = oneshot->status,
            .too_late = oneshot->too_late,
            .too_long = oneshot->too_long,
            .taken_away = oneshot->taken_away,
            .text = oneshot->text->str,
            .size = oneshot->text->len,
            .problem = oneshot->problem->str,
        };
        oneshot->options.done(oneshot->options.owner, &result);
    }
    g_string_free(oneshot->text, TRUE);
    g_string_free(oneshot->problem, TRUE);
    g_free(oneshot);
}

static void close_all(struct oneshot *oneshot)
{
    uv_handle_t *handles[] = {(uv_handle_t *)&oneshot->process, (uv_handle_t *)&oneshot->output,
                              (uv_handle_t *)&oneshot->errors,
                              (uv_handle_t *)&oneshot->deadline};
    oneshot->closing = true;
    for (size_t i = 0; i < G_N_ELEMENTS(handles); i++)
        uv_close(handles[i], handle_closed);
}

/* A process of its own that it left behind may hold the pipes for ever: nothing of one that was
 * killed, or is too late, is waited for. */
static void finish_early(struct oneshot *oneshot)
{
    if (oneshot->exited && (oneshot->killed || oneshot->too_late) && !oneshot->closing)
        close_all(oneshot);
}

static void part_finished(struct oneshot *oneshot)
{
    if (--oneshot->unfinished == 0 && !oneshot->closing)
        close_all(oneshot);
}

static void process_exited(uv_process_t *process, int64_t status, int signal_number)
{
    struct oneshot *oneshot = process->data;
    oneshot->exited = true;
    oneshot->taken_away = signal_number == SIGKILL && !oneshot->killed;
    oneshot->status = signal_number ? -1 : (int)status;
    part_finished(oneshot);
    finish_early(oneshot);
}

void oneshot_kill(struct oneshot *oneshot)
{
    oneshot->killed = true;
    /* Once it is reaped its pid may be another's, also while its last words are still read. */
    if (oneshot->exited)
        finish_early(oneshot);
    else
        uv_process_kill(&oneshot->process, SIGKILL);
}

static void deadline_passed(uv_timer_t *timer)
{
    struct oneshot *oneshot = timer->data;
    oneshot->too_late = true;
    oneshot_kill(oneshot);
}

static void get_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct oneshot *oneshot = handle->data;
    *buffer = uv_buf_init(oneshot->chunk, sizeof oneshot->chunk);
}

static void part_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct oneshot *oneshot = stream->data;
    bool output = stream == (uv_stream_t *)&oneshot->output;
    GString *text = output ? oneshot->text : oneshot->problem;
    size_t room = (output ? oneshot->options.text_max : PROBLEM_MAX) - text->len;
    if (size < 0) {
        uv_read_stop(stream);
        part_finished(oneshot);
        return;
    }
    g_string_append_len(text, buffer->base, (gssize)MIN((size_t)size, room));
    if (output && (size_t)size > room) {
        oneshot->too_long = true;
        oneshot_kill(oneshot);
    }
}

static GPtrArray *make_arguments(const struct oneshot_options *options)
{
    const struct config_model *model = options->model;
    GPtrArray *arguments = g_ptr_array_new_with_free_func(g_free);
    g_ptr_array_add(arguments, g_strdup(options->program));
    g_ptr_array_add(arguments, g_strdup(options->verb));
    for (int i = 0; i < model->override_count; i++)
        g_ptr_array_add(arguments, g_strdup_printf("--set=%s=%s", model->overrides[i].key,
                                                   model->overrides[i].value));
    g_ptr_array_add(arguments, NULL);
    return arguments;
}

static int spawn(struct oneshot *oneshot)
{
    const struct oneshot_options *options = &oneshot->options;
    g_autoptr(GPtrArray) arguments = make_arguments(options);
    uv_stdio_container_t stdio[] = {
        {.flags = UV_INHERIT_FD, .data.fd = options->input},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&oneshot->output},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&oneshot->errors},
        {.flags = UV_INHERIT_FD, .data.fd = options->output},
    };
    g_auto(GStrv) environment = environment_for_worker();
    uv_process_options_t process = {
        .exit_cb = process_exited,
        .file = options->program,
        .args = (char **)arguments->pdata,
        .env = environment,
        .stdio_count = options->output < 0 ? 3 : 4,
        .stdio = stdio,
        .flags = UV_PROCESS_DETACHED,
    };
    return uv_spawn(options->loop, &oneshot->process, &process);
}

int oneshot_start(const struct oneshot_options *options, struct oneshot **ret_oneshot)
{
    struct oneshot *oneshot = g_new0(struct oneshot, 1);
    oneshot->options = *options;
    oneshot->text = g_string_new(NULL);
    oneshot->problem = g_string_new(NULL);
    oneshot->process.data = oneshot->output.data = oneshot->errors.data =
        oneshot->deadline.data = oneshot;
    /* None of these three can fail on Linux: they only fill in memory. */
    uv_pipe_init(options->loop, &oneshot->output, 0);
    uv_pipe_init(options->loop, &oneshot->errors, 0);
    uv_timer_init(options->loop, &oneshot->deadline);
    oneshot->open_handles = 4;
    oneshot->unfinished = 3;
    int r = spawn(oneshot);
    oneshot->started = r == 0;
    if (r < 0) {
        close_all(oneshot);
        return r;
    }
    uv_read_start((uv_stream_t *)&oneshot->output, get_buffer, part_read);
    uv_read_start((uv_stream_t *)&oneshot->errors, get_buffer, part_read);
    uv_timer_start(&oneshot->deadline, deadline_passed, (uint64_t)options->deadline_ms, 0);
    *ret_oneshot = oneshot;
    return 0;
}
