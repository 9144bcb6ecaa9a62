/* vigil streams: what the daemon watches. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/output.h"
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
            char *fps =
                g_strdup_printf("%.1f", json_number_value(json_object_get(status, "fps")));
            g_ptr_array_add(made, fps);
            row[0] = string_member(stream, "name");
            row[1] = string_member(status, "state");
            row[2] = string_member(status, "reason");
            row[3] = fps;
            row[4] = string_member(stream, "model");
            row[5] = string_member(stream, "uri");
        }
        output_table(cells, count + 1, COLUMNS);
    }
    json_decref(answer);
    return CLI_OK;
}

/* Prints an object one member a line, nested ones as JSON. */
static void print_members(const json_t *object)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)object, key, value) {
        if (json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0))
            continue;
        char *encoded = json_is_string(value)
                            ? g_strdup(json_string_value(value))
                            : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        g_autofree char *text = output_printable(encoded ? encoded : "");
        printf("  %-16s %s\n", key, text);
        if (json_is_string(value))
            g_free(encoded);
        else
            free(encoded);
    }
}

static int show_stream(struct client *client, const char *name, bool as_json)
{
    g_autofree char *path = g_strconcat("/streams/", name, NULL);
    json_t *stream = NULL;
    int result = client_request(client, "GET", path, NULL, &stream);
    if (result != CLI_OK)
        return result;
    if (as_json) {
        output_json_line(stream);
    } else {
        json_t *status = json_incref(json_object_get(stream, "status"));
        json_object_del(stream, "status");
        print_members(stream);
        puts("status");
        print_members(status);
        json_decref(status);
    }
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

static int add_stream(struct client *client, const char *name, const char *uri,
                      const struct stream_options *options)
{
    char password[MESSAGE_CREDENTIAL_SIZE];
    g_strlcpy(password, options->password ? options->password : "", sizeof password);
    int result = options->password_file ? read_password(options->password_file, password) : 0;
    if (result != CLI_OK)
        return result;
    g_autofree char *path = g_strconcat("/streams/", name, NULL);
    json_t *config = json_pack("{s:s, s:b, s:b}", "uri", uri, "enabled", !options->disabled,
                               "loop", (int)options->loop);
    if (!config)
        return cli_fail(CLI_USAGE, "\"%s\" is not valid UTF-8", uri);
    if (options->model)
        json_object_set_new(config, "model", json_string(options->model));
    if (options->user)
        json_object_set_new(config, "user", json_string(options->user));
    if (*password)
        json_object_set_new(config, "password", json_string(password));
    result = client_request(client, "PUT", path, config, NULL);
    json_decref(config);
    return result;
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

static int dispatch(struct client *client, int argc, char **argv,
                    const struct stream_options *options)
{
    const char *action = argc > 1 ? argv[1] : "ls";
    if (strcmp(action, "ls") == 0 && argc <= 2)
        return list_streams(client, options->as_json);
    if (strcmp(action, "add") == 0 && argc == 4)
        return check_name(argv[2]) ?: add_stream(client, argv[2], argv[3], options);
    if (strcmp(action, "status") == 0 && argc == 3)
        return check_name(argv[2]) ?: show_stream(client, argv[2], options->as_json);
    if (strcmp(action, "rm") == 0 && argc == 3) {
        g_autofree char *path = g_strconcat("/streams/", argv[2], NULL);
        return check_name(argv[2]) ?: client_request(client, "DELETE", path, NULL, NULL);
    }
    return cli_fail(CLI_USAGE, "usage: vigil streams ls | add NAME URI | rm NAME | status NAME "
                               "(see: vigil streams --help)");
}

int cli_streams(int argc, char **argv)
{
    struct stream_options options = {NULL};
    const GOptionEntry entries[] = {
        {"model", 'm', 0, G_OPTION_ARG_STRING, &options.model, "add: the model (scene)",
         "NAME"},
        {"user", 'u', 0, G_OPTION_ARG_STRING, &options.user, "add: the camera's user", "USER"},
        {"password", 'p', 0, G_OPTION_ARG_STRING, &options.password,
         "add: the camera's password (others on this machine can read it in the process list)",
         "PASSWORD"},
        {"password-file", 0, 0, G_OPTION_ARG_FILENAME, &options.password_file,
         "add: the file whose first line is the password (-: standard input)", "FILE"},
        {"loop", 0, 0, G_OPTION_ARG_NONE, &options.loop, "add: a file starts again at its end",
         NULL},
        {"disabled", 0, 0, G_OPTION_ARG_NONE, &options.disabled, "add: do not start it yet",
         NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &options.as_json, "ls, status: JSON", NULL},
        {NULL}};
    int over = cli_parse(&argc, &argv, "ls | add NAME URI | rm NAME | status NAME",
                         "Lists, adds, removes and inspects the streams vigild watches.\n"
                         "URI: rtsp://, rtsps://, file:///path, scene://street?seed=1",
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
