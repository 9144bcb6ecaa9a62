/* vigil streams: what the daemon watches. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/output.h"
#include "cli/streams_status.h"
#include "cli/streams_test.h"
#include "record/message.h"

static const char *string_member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static int list_streams(struct client *client, bool as_json)
{
    json_t *answer = NULL;
    int result = client_request(client, "GET", "/streams", NULL, &answer);
    if (result != CLI_OK)
        return result;
    const json_t *streams = json_object_get(answer, "streams");
    size_t count = json_array_size(streams), index;
    json_t *stream;
    if (as_json) {
        json_array_foreach (streams, index, stream)
            output_json_line(stream);
    } else {
        enum { COLUMNS = 6 };
        g_autoptr(GPtrArray) made = g_ptr_array_new_with_free_func(g_free);
        g_autofree const char **cells = g_new0(const char *, (count + 1) * COLUMNS);
        const char *heading[COLUMNS] = {"NAME", "STATE", "REASON", "FPS", "MODEL", "URI"};
        memcpy(cells, heading, sizeof heading);
        json_array_foreach (streams, index, stream) {
            const json_t *status = json_object_get(stream, "status");
            const char **row = cells + (index + 1) * COLUMNS;
            double rate = json_number_value(json_object_get(status, "fps"));
            const char *reason = string_member(status, "reason");
            char *fps = rate > 0 ? g_strdup_printf("%.1f", rate) : g_strdup("-");
            g_ptr_array_add(made, fps);
            row[0] = string_member(stream, "name");
            row[1] = string_member(status, "state");
            row[2] = strcmp(reason, "none") == 0 ? "-" : reason;
            row[3] = fps;
            row[4] = string_member(stream, "model");
            row[5] = string_member(stream, "uri");
        }
        output_table(cells, count + 1, COLUMNS);
    }
    json_decref(answer);
    return CLI_OK;
}

static int show_stream(struct client *client, const char *name, bool as_json)
{
    g_autofree char *path = g_strconcat("/streams/", name, NULL);
    json_t *stream = NULL;
    int result = client_request(client, "GET", path, NULL, &stream);
    if (result != CLI_OK)
        return result;
    if (as_json)
        output_json_line(stream);
    else
        streams_status_print(stream);
    json_decref(stream);
    return CLI_OK;
}

struct stream_options {
    char *model, *user, *password, *password_file;
    gboolean loop, disabled, as_json;
};

/* The first line of a file, "-" being standard input: arguments can be read by everyone on this
 * machine. 0, or an exit code. */
static int read_password(const char *path, char ret_password[MESSAGE_CREDENTIAL_SIZE])
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    bool read = file && fgets(ret_password, MESSAGE_CREDENTIAL_SIZE, file);
    int reason = errno;
    if (file && file != stdin)
        fclose(file);
    if (!read)
        return cli_fail(CLI_NO_INPUT, "cannot read a password from %s: %s", path,
                        file ? "it is empty" : g_strerror(reason));
    if (strlen(ret_password) == MESSAGE_CREDENTIAL_SIZE - 1)
        return cli_fail(CLI_USAGE, "the password in %s is too long", path);
    ret_password[strcspn(ret_password, "\r\n")] = '\0';
    return CLI_OK;
}

/* The address of an argument that may be a plain path. NULL, having said why, when it is
 * neither; caller frees with g_free(). */
static char *make_address(const char *text, int *ret_result)
{
    g_autoptr(GError) error = NULL;
    if (strstr(text, "://"))
        return g_strdup(text);
    if (!g_file_test(text, G_FILE_TEST_EXISTS)) {
        *ret_result = cli_fail(CLI_NO_INPUT,
                               "\"%s\" is no file here, and no address: those begin with "
                               "rtsp://, rtsps://, file:// or scene://",
                               text);
        return NULL;
    }
    g_autofree char *path = g_canonicalize_filename(text, NULL);
    char *uri = g_filename_to_uri(path, NULL, &error);
    if (!uri)
        *ret_result = cli_fail(CLI_USAGE, "%s: %s", text, error->message);
    return uri;
}

static int check_name(const char *name)
{
    if (record_name_is_valid(name))
        return CLI_OK;
    return cli_fail(CLI_USAGE,
                    "\"%s\" is no stream name: a-z, 0-9, - and _, at most 64, first a letter "
                    "or digit",
                    name);
}

static int take_password(const struct stream_options *options, json_t *config)
{
    char password[MESSAGE_CREDENTIAL_SIZE];
    int result = options->password_file ? read_password(options->password_file, password) : 0;
    if (result == CLI_OK && options->password_file)
        json_object_set_new(config, "password", json_string(password));
    return result;
}

/* One request about one stream; says what has happened when it succeeded. */
static int change_stream(struct client *client, const char *method, const char *name,
                         const char *verb, const json_t *body, const char *happened)
{
    g_autofree char *path = g_strconcat("/streams/", name, verb, NULL);
    int result = client_request(client, method, path, body, NULL);
    if (result == CLI_OK)
        printf("%s: %s\n", name, client_status(client) == 201 ? "added" : happened);
    return result;
}

static int add_stream(struct client *client, char **argv, const struct stream_options *options)
{
    int result = CLI_OK;
    g_autofree char *uri = make_address(argv[1], &result);
    if (!uri)
        return result;
    json_t *config = json_pack("{s:s, s:b, s:b}", "uri", uri, "enabled", !options->disabled,
                               "loop", (int)options->loop);
    if (!config)
        return cli_fail(CLI_USAGE, "\"%s\" is not valid UTF-8", uri);
    if (options->model)
        json_object_set_new(config, "model", json_string(options->model));
    if (options->user)
        json_object_set_new(config, "user", json_string(options->user));
    if (options->password)
        json_object_set_new(config, "password", json_string(options->password));
    result = take_password(options, config);
    if (result == CLI_OK)
        result = change_stream(client, "PUT", argv[0], "", config, "replaced");
    json_decref(config);
    return result;
}

/* What a member's text stands for. "" takes the member away. */
static json_t *read_value(const char *key, const char *text)
{
    static const char *const texts[] = {"uri", "user", "password", "model", NULL};
    static const char *const yes[] = {"true", "yes", "on", NULL};
    static const char *const no[] = {"false", "no", "off", NULL};
    gint64 number;
    if (!*text)
        return json_null();
    if (g_strv_contains(texts, key))
        return json_string(text);
    if (g_strv_contains(yes, text))
        return json_true();
    if (g_strv_contains(no, text))
        return json_false();
    if (g_ascii_string_to_signed(text, 10, INT64_MIN, INT64_MAX, &number, NULL))
        return json_integer(number);
    return json_string(text);
}

static int read_member(const char *argument, json_t *patch)
{
    const char *equals = strchr(argument, '=');
    if (!equals)
        return cli_fail(CLI_USAGE, "\"%s\" is not key=value, such as enabled=false", argument);
    g_autofree char *key = g_strndup(argument, (gsize)(equals - argument));
    g_autofree char *address = NULL;
    const char *text = equals + 1;
    if (strcmp(key, "uri") == 0 && *text) {
        int result = CLI_OK;
        text = address = make_address(text, &result);
        if (!address)
            return result;
    }
    if (json_object_set_new(patch, key, read_value(key, text)) < 0)
        return cli_fail(CLI_USAGE, "\"%s\" is not valid UTF-8", argument);
    return CLI_OK;
}

static int set_stream(struct client *client, char **argv, const struct stream_options *options)
{
    json_t *patch = json_object();
    int result = take_password(options, patch);
    for (char **argument = argv + 1; *argument && result == CLI_OK; argument++)
        result = read_member(*argument, patch);
    if (result == CLI_OK && json_object_size(patch) == 0)
        result =
            cli_fail(CLI_USAGE, "say what to set: vigil streams set %s enabled=false", argv[0]);
    if (result == CLI_OK)
        result = change_stream(client, "PATCH", argv[0], "", patch, "set");
    json_decref(patch);
    return result;
}

static int remove_stream(struct client *client, char **argv,
                         const struct stream_options *options)
{
    (void)options;
    return change_stream(client, "DELETE", argv[0], "", NULL, "removed");
}

static int restart_stream(struct client *client, char **argv,
                          const struct stream_options *options)
{
    (void)options;
    json_t *nothing = json_object();
    int result = change_stream(client, "POST", argv[0], ":restart", nothing, "restarting");
    json_decref(nothing);
    return result;
}

static int show_status(struct client *client, char **argv, const struct stream_options *options)
{
    return show_stream(client, argv[0], options->as_json);
}

/* What can be done with one stream: its name and so many more arguments. */
static const struct {
    const char *name;
    int least, most;
    int (*run)(struct client *client, char **argv, const struct stream_options *options);
} actions[] = {
    {"add", 1, 1, add_stream},         {"set", 0, 16, set_stream},
    {"rm", 0, 0, remove_stream},       {"status", 0, 0, show_status},
    {"restart", 0, 0, restart_stream},
};

static int dispatch(struct client *client, int argc, char **argv,
                    const struct stream_options *options)
{
    const char *name = argc > 1 ? argv[1] : "ls";
    if (strcmp(name, "ls") == 0 && argc <= 2)
        return list_streams(client, options->as_json);
    for (size_t i = 0; i < G_N_ELEMENTS(actions); i++) {
        int more = argc - 3;
        if (strcmp(actions[i].name, name) == 0 && more >= actions[i].least &&
            more <= actions[i].most)
            return check_name(argv[2]) ?: actions[i].run(client, argv + 2, options);
    }
    return cli_fail(
        CLI_USAGE,
        "usage: vigil streams ls | add NAME URI | set NAME KEY=VALUE... | "
        "restart NAME | status NAME | rm NAME | test URI (see: vigil streams --help)");
}

int cli_streams(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "test") == 0) {
        g_set_prgname("vigil streams test");
        return cli_streams_test(argc - 1, argv + 1);
    }
    struct stream_options options = {NULL};
    const GOptionEntry entries[] = {
        {"model", 'm', 0, G_OPTION_ARG_STRING, &options.model, "add: the model (scene)",
         "NAME"},
        {"user", 'u', 0, G_OPTION_ARG_STRING, &options.user, "add: the camera's user", "USER"},
        {"password", 'p', 0, G_OPTION_ARG_STRING, &options.password,
         "add: the camera's password (others on this machine can read it in the process list)",
         "PASSWORD"},
        {"password-file", 0, 0, G_OPTION_ARG_FILENAME, &options.password_file,
         "add, set: the file whose first line is the password (-: standard input)", "FILE"},
        {"loop", 0, 0, G_OPTION_ARG_NONE, &options.loop, "add: a file starts again at its end",
         NULL},
        {"disabled", 0, 0, G_OPTION_ARG_NONE, &options.disabled, "add: do not start it yet",
         NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &options.as_json,
         "ls: a JSON object per line; status: one", NULL},
        {NULL}};
    int over = cli_parse(
        &argc, &argv,
        "ls | add NAME URI | set NAME KEY=VALUE... |\n"
        "  restart NAME | status NAME | rm NAME | test URI",
        "Lists, adds, changes, restarts, inspects and removes the streams vigild watches.\n"
        "URI: rtsp://, rtsps://, file:///path, scene://street?seed=1, or the path of a file "
        "below one of vigild's media roots.\n"
        "KEY: uri, user, password, model, enabled, loop, retention_days, retention_mb; what "
        "set does not name stays, KEY= "
        "without a value gives the default.\n"
        "test looks at a camera without a daemon (see: vigil streams test --help).",
        entries);
    int result = over - 1;
    if (!over) {
        struct client *client = client_create();
        result = client ? dispatch(client, argc, argv, &options) : CLI_USAGE;
        client_destroy(client);
    }
    g_free(options.model);
    g_free(options.user);
    g_free(options.password);
    g_free(options.password_file);
    return result;
}
