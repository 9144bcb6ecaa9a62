#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "daemon/config_stream.h"

/* The model that comes with vigil: in a build tree its source, else where it was installed. */
static char *find_default_model(void)
{
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = self ? g_path_get_dirname(self) : NULL;
    g_autofree char *built =
        folder ? g_build_filename(folder, "../models/scene.onnx", NULL) : NULL;
    if (built && g_file_test(built, G_FILE_TEST_EXISTS))
        return g_steal_pointer(&built);
    return g_strdup(VIGIL_DATADIR "/models/scene.onnx");
}

static int open_file(const char *path, const char *what, int *ret_fd)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return cli_fail(CLI_NO_INPUT, "cannot read %s %s: %s", what, path, g_strerror(errno));
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        close(fd);
        return cli_fail(CLI_NO_INPUT, "%s %s is not a file", what, path);
    }
    *ret_fd = fd;
    return CLI_OK;
}

/* A stream name made of any text: what does not fit becomes "-". */
static void make_name(const char *text, char ret_name[RECORD_NAME_SIZE])
{
    size_t length = 0;
    for (; *text && length < RECORD_NAME_SIZE - 1; text++) {
        char letter = g_ascii_tolower(*text);
        bool fits = g_ascii_isalnum(letter) || (length > 0 && (letter == '-' || letter == '_'));
        if (fits)
            ret_name[length++] = letter;
        else if (length > 0 && ret_name[length - 1] != '-')
            ret_name[length++] = '-';
    }
    while (length > 0 && ret_name[length - 1] == '-')
        length--;
    ret_name[length] = '\0';
    if (length == 0)
        g_strlcpy(ret_name, "stream", RECORD_NAME_SIZE);
}

/* file:///a/b.mp4 -> b, rtsp://10.0.0.4/x -> 10-0-0-4, scene://street -> street */
static void name_after(const struct config_stream *stream, const char *path,
                       char ret_name[RECORD_NAME_SIZE])
{
    if (path) {
        g_autofree char *base = g_path_get_basename(path);
        char *dot = strrchr(base, '.');
        if (dot && dot != base)
            *dot = '\0';
        make_name(base, ret_name);
        return;
    }
    const char *host = strstr(stream->uri, "://") + 3;
    g_autofree char *authority = g_strndup(host, strcspn(host, "/?#"));
    make_name(authority, ret_name);
}

static int check_address(const char *uri, const char *path, struct config_stream *ret_stream)
{
    struct config_stream_fields fields = {.uri = uri, .enabled = -1, .loop = -1};
    struct config_error err;
    g_autofree char *folder = path ? g_path_get_dirname(path) : NULL;
    struct config_roots roots = {.count = path ? 1 : 0, .paths = {folder}};
    if (config_stream_make("input", &fields, &roots, ret_stream, &err) < 0)
        return cli_fail(CLI_USAGE, "%s", err.text);
    return CLI_OK;
}

static int take_settings(const char *const *set, struct message_stream_start *start)
{
    for (; set && *set; set++) {
        const char *equals = strchr(*set, '=');
        if (!equals || equals == *set)
            return cli_fail(CLI_USAGE, "--set %s: give KEY=VALUE, as enter=0.7", *set);
        if (start->override_count == MESSAGE_OVERRIDES_MAX)
            return cli_fail(CLI_USAGE, "--set: at most %d settings", MESSAGE_OVERRIDES_MAX);
        g_autofree char *bare = g_strndup(*set, (gsize)(equals - *set));
        g_autofree char *key = g_str_has_prefix(bare, "vigil.")
                                   ? g_strdup(bare)
                                   : g_strconcat("vigil.", bare, NULL);
        char *to_key = start->overrides[start->override_count].key;
        char *to_value = start->overrides[start->override_count].value;
        if (g_strlcpy(to_key, key, sizeof start->overrides[0].key) >=
                sizeof start->overrides[0].key ||
            g_strlcpy(to_value, equals + 1, sizeof start->overrides[0].value) >=
                sizeof start->overrides[0].value)
            return cli_fail(CLI_USAGE, "--set %s is too long", *set);
        start->override_count++;
    }
    return CLI_OK;
}

/* The model's own name is its file's, without the ending. */
static int open_model(const char *given, struct input *input)
{
    g_autofree char *path = given ? g_strdup(given) : find_default_model();
    g_autofree char *base = g_path_get_basename(path);
    char *dot = strrchr(base, '.');
    if (dot && dot != base)
        *dot = '\0';
    make_name(base, input->start.model);
    int result = open_file(path, "model", &input->fds[0]);
    if (result == CLI_OK)
        input->fd_count = 1;
    return result;
}

int input_init(struct input *input, const struct input_options *options)
{
    *input = (struct input){.fds = {-1, -1}};
    struct message_stream_start *start = &input->start;
    g_autofree char *path = NULL, *uri = NULL;
    struct config_stream stream;

    if (!strstr(options->uri, "://")) {
        path = g_canonicalize_filename(options->uri, NULL);
        uri = g_filename_to_uri(path, NULL, NULL);
    } else {
        uri = g_strdup(options->uri);
        path = g_filename_from_uri(uri, NULL, NULL);
    }
    int result = check_address(uri, path, &stream);
    if (result == CLI_OK && options->name && !record_name_is_valid(options->name))
        result = cli_fail(CLI_USAGE, "--name %s: a-z, 0-9, - and _, at most 64", options->name);
    if (result == CLI_OK && options->start_time &&
        record_time_parse(options->start_time, &start->start_ms) < 0)
        result = cli_fail(CLI_USAGE, "--start-time %s: give 2026-11-20T12:00:00Z",
                          options->start_time);
    if (result == CLI_OK)
        result = take_settings(options->set, start);
    if (result == CLI_OK)
        result = open_model(options->model, input);
    if (result == CLI_OK && path) {
        result = open_file(path, "file", &input->fds[1]);
        if (result == CLI_OK)
            input->fd_count = 2;
    }
    if (result != CLI_OK) {
        input_finish(input);
        return result;
    }
    if (options->name)
        g_strlcpy(start->stream, options->name, sizeof start->stream);
    else
        name_after(&stream, path, start->stream);
    memcpy(start->uri, stream.uri, sizeof start->uri);
    memcpy(start->user, stream.user, sizeof start->user);
    memcpy(start->password, stream.password, sizeof start->password);
    start->loop = options->loop;
    start->windows = options->windows;
    /* A scene that never ends is a camera; one with a duration is read like a file. */
    start->live = stream.scheme == CONFIG_RTSP || stream.scheme == CONFIG_RTSPS ||
                  (stream.scheme == CONFIG_SCENE && !strstr(stream.uri, "duration="));
    return CLI_OK;
}

void input_finish(struct input *input)
{
    for (size_t i = 0; i < G_N_ELEMENTS(input->fds); i++)
        if (input->fds[i] >= 0)
            close(input->fds[i]);
    input->fds[0] = input->fds[1] = -1;
}
