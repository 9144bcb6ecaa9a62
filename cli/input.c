#include "cli/input.h"

#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "daemon/config/model.h"
#include "pipeline/modelfile.h"
#include "pipeline/modelinfo.h"
#include "record/file.h"

/* Only regular files: demuxers and the model reader go back and forth. */
static int open_input(const char *what, const char *path, int64_t *ret_size, int *ret_fd)
{
    struct stat status;
    int fd = file_open(path);
    if (fd >= 0 && fstat(fd, &status) < 0) {
        int r = -errno;
        close(fd);
        fd = r;
    }
    if (fd < 0)
        return cli_fail(CLI_NO_INPUT, "cannot read %s %s: %s", what, path, file_error_text(fd));
    *ret_size = status.st_size;
    *ret_fd = fd;
    return CLI_OK;
}

/* A stream name made of any text: what does not fit becomes "-". */
static void make_name(const char *text, size_t size, char ret_name[RECORD_NAME_SIZE])
{
    size_t length = 0;
    for (size_t i = 0; i < size && length < RECORD_NAME_SIZE - 1; i++) {
        char letter = g_ascii_tolower(text[i]);
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

/* /a/Front Door.mp4 -> front-door */
static void name_after_file(const char *path, char ret_name[RECORD_NAME_SIZE])
{
    g_autofree char *base = g_path_get_basename(path);
    const char *dot = strrchr(base, '.');
    make_name(base, dot && dot != base ? (size_t)(dot - base) : strlen(base), ret_name);
}

/* rtsp://10.0.0.4/x -> 10-0-0-4, scene://street -> street */
static void name_after_address(const char *uri, char ret_name[RECORD_NAME_SIZE])
{
    const char *host = strstr(uri, "://") + 3;
    const char *at = memrchr(host, '@', strcspn(host, "/?"));
    host = at ? at + 1 : host;
    make_name(host, strcspn(host, ":/?"), ret_name);
}

/* A file needs no address that stands checks: it is handed over as a descriptor. */
static int open_media(const char *path, struct input *input)
{
    int result = open_input("file", path, &input->media_size, &input->fds[1]);
    if (result != CLI_OK)
        return result;
    input->fd_count = 2;
    input->finite = true;
    input->stream.scheme = CONFIG_FILE;
    name_after_file(path, input->stream.name);
    g_autofree char *absolute = g_canonicalize_filename(path, NULL);
    g_autofree char *uri = g_filename_to_uri(absolute, NULL, NULL);
    if (!uri || g_strlcpy(input->stream.uri, uri, MESSAGE_URI_SIZE) >= MESSAGE_URI_SIZE)
        return cli_fail(CLI_NO_INPUT, "the path %s is too long", path);
    return CLI_OK;
}

static int check_address(const char *uri, struct input *input)
{
    char name[RECORD_NAME_SIZE];
    name_after_address(uri, name);
    struct config_stream_fields fields = CONFIG_STREAM_FIELDS_NONE;
    fields.uri = uri;
    const struct config_roots no_roots = {0};
    struct config_error err;
    if (config_stream_make(name, &fields, &no_roots, &input->stream, &err) < 0)
        return cli_fail(CLI_USAGE, "%s", err.text);
    /* A scene that never ends is a camera; one with a duration is read like a file. */
    const char *query = strchr(input->stream.uri, '?');
    input->finite = input->stream.scheme == CONFIG_SCENE && query && strstr(query, "duration=");
    return CLI_OK;
}

static int open_stream(const char *uri, struct input *input)
{
    if (g_ascii_strncasecmp(uri, "file:", strlen("file:")) == 0) {
        g_autofree char *path = g_filename_from_uri(uri, NULL, NULL);
        if (!path)
            return cli_fail(CLI_USAGE, "%s: give file:///absolute/path, or the path", uri);
        input->shown = g_strdup(path);
        return open_media(path, input);
    }
    if (strstr(uri, "://")) {
        int result = check_address(uri, input);
        input->shown = g_strdup(input->stream.uri);
        return result;
    }
    input->shown = g_strdup(uri);
    return open_media(uri, input);
}

/* --- the model ---------------------------------------------------------------------------- */

static int take_settings(const char *const *set, struct message_stream_start *start)
{
    for (; set && *set; set++) {
        const char *equals = strchr(*set, '=');
        if (!equals || equals == *set)
            return cli_fail(CLI_USAGE, "--set %s: give KEY=VALUE, as enter=0.7", *set);
        g_autofree char *key = g_strndup(*set, (gsize)(equals - *set));
        struct config_error why;
        if (config_override_add(start->overrides, &start->override_count, key, equals + 1,
                                &why) < 0)
            return cli_fail(CLI_USAGE, "--set %s: %s", *set, why.text);
    }
    return CLI_OK;
}

/* The model's own name is its file's, without the ending. */
static int open_model(const char *given, struct input *input)
{
    input->model_shown = cli_find_model(given);
    int64_t size;
    int result = cli_check_model(given, input->model_shown);
    if (result == CLI_OK)
        result = open_input("model", input->model_shown, &size, &input->fds[0]);
    if (result != CLI_OK)
        return result;
    name_after_file(input->model_shown, input->start.model);
    input->set_count = input->start.override_count;
    struct config_error why;
    int r = config_sidecar_read(input->model_shown, input->start.overrides,
                                &input->start.override_count, &why);
    return r == 0 ? CLI_OK : cli_fail(r == -EINVAL ? CLI_CONFIG : CLI_NO_INPUT, "%s", why.text);
}

/* What is wrong with a value of --set, as the command line has it; NULL: it is not about
 * one. */
static char *refused_setting(const struct input *input, const char *why)
{
    for (int i = 0; i < input->set_count; i++) {
        const struct message_override *set = &input->start.overrides[i];
        char *refused = cli_refused_setting(set->key, set->value, why);
        if (refused)
            return refused;
    }
    return NULL;
}

/* As pipeline/vigilanalyze.c does it in the worker. */
static int try_model(const struct input *input, GBytes *bytes, struct nn_error *err)
{
    g_autoptr(GHashTable) overrides = modelkeys_overrides_new();
    for (int i = 0; i < input->start.override_count; i++)
        modelkeys_overrides_add(overrides, input->start.overrides[i].key,
                                input->start.overrides[i].value);
    struct nn_model *model = NULL;
    struct nn_plan *plan = NULL;
    struct modelinfo *info = NULL;
    int r = modelfile_load(bytes, &model, err);
    if (r == 0)
        r = modelinfo_create(model, overrides, &info, err);
    if (r == 0)
        r = modelinfo_plan(info, model, NN_KERNELS_BEST, &plan, err);
    nn_plan_unref(plan);
    modelinfo_destroy(info);
    nn_model_unref(model);
    return r;
}

int input_check_model(const struct input *input)
{
    g_autoptr(GBytes) bytes = NULL;
    struct nn_error err = {"out of memory"};
    if (modelfile_read(input->model_shown, &bytes, &err) < 0)
        return cli_fail(CLI_NO_INPUT, "cannot read model %s", err.text);
    int r = try_model(input, bytes, &err);
    if (r == 0)
        return CLI_OK;
    g_autofree char *setting = refused_setting(input, err.text);
    if (setting)
        return cli_fail(CLI_USAGE, "%s", setting);
    return cli_fail(r == -ENOMEM ? CLI_INTERNAL : CLI_CONFIG, "%s: %s", input->model_shown,
                    err.text);
}

const char *input_model_detail(const struct input *input, const char *detail)
{
    g_autofree char *named = g_strdup_printf("model %s: ", input->start.model);
    return g_str_has_prefix(detail, named) ? detail + strlen(named) : detail;
}

/* --- both --------------------------------------------------------------------------------- */

static int check_options(const struct input_options *options, const struct input *input)
{
    if (options->name && !record_name_is_valid(options->name))
        return cli_fail(CLI_USAGE, "--name %s: a-z, 0-9, - and _, at most 64", options->name);
    if (options->start_time && !input->finite)
        return cli_fail(CLI_USAGE, "--start-time is for files: %s is live", input->shown);
    if (options->loop && input->stream.scheme != CONFIG_FILE &&
        input->stream.scheme != CONFIG_SCENE)
        return cli_fail(CLI_USAGE, "--loop is for files and scenes: %s is a camera",
                        input->shown);
    return CLI_OK;
}

int input_init(struct input *input, const struct input_options *options)
{
    *input = (struct input){.fds = {-1, -1}, .fd_count = 1};
    struct message_stream_start *start = &input->start;
    int result = CLI_OK;
    input->tls_ca = options->tls_ca ? g_canonicalize_filename(options->tls_ca, NULL) : NULL;
    if (input->tls_ca && access(input->tls_ca, R_OK) < 0)
        result = cli_fail(CLI_NO_INPUT, "cannot read --tls-ca %s: %s", options->tls_ca,
                          g_strerror(errno));
    if (result == CLI_OK && options->start_time &&
        record_time_parse(options->start_time, &start->start_ms) < 0)
        result = cli_fail(CLI_USAGE, "--start-time %s: give 2026-11-20T12:00:00Z",
                          options->start_time);
    if (result == CLI_OK)
        result = take_settings(options->set, start);
    if (result == CLI_OK)
        result = open_stream(options->uri, input);
    if (result == CLI_OK)
        result = check_options(options, input);
    if (result == CLI_OK)
        result = open_model(options->model, input);
    if (result != CLI_OK) {
        input_finish(input);
        return result;
    }
    g_strlcpy(start->stream, options->name ? options->name : input->stream.name,
              sizeof start->stream);
    memcpy(start->uri, input->stream.uri, sizeof start->uri);
    memcpy(start->user, input->stream.user, sizeof start->user);
    memcpy(start->password, input->stream.password, sizeof start->password);
    start->loop = options->loop;
    start->windows = options->windows;
    /* A loop is played as a camera would; what is live begins now. */
    start->live = !input->finite || options->loop;
    if (start->live && !options->start_time)
        start->start_ms = g_get_real_time() / 1000;
    return CLI_OK;
}

void input_finish(struct input *input)
{
    for (size_t i = 0; i < G_N_ELEMENTS(input->fds); i++)
        if (input->fds[i] >= 0)
            close(input->fds[i]);
    input->fds[0] = input->fds[1] = -1;
    g_clear_pointer(&input->shown, g_free);
    g_clear_pointer(&input->model_shown, g_free);
    g_clear_pointer(&input->tls_ca, g_free);
}
