/* vigil streams test: what a camera offers, what about it will hurt, and what it costs. No
 * daemon is needed: the worker is the one that would analyse it. */
#include "cli/streams_test.h"

#include <string.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/trial.h"

#define SECONDS_DEFAULT 10
#define SECONDS_MAX     3600

static void print_failure(const struct input *input,
                          const struct message_stream_status *failure, const char *why)
{
    json_t *object = json_pack("{s:s, s:b, s:s, s:o, s:s}", "uri", input->shown, "usable", 0,
                               "reason", stream_reason_name(failure->reason), "status",
                               message_status_to_json(failure), "problem", why);
    if (object)
        output_json_line(object);
    json_decref(object);
}

static void print_findings(const struct findings *findings)
{
    json_t *object = findings_to_json(findings);
    if (object && json_object_set_new(object, "usable", json_true()) == 0)
        output_json_line(object);
    json_decref(object);
}

static int test(struct input *input, int seconds, bool as_json)
{
    /* Everything is met as a camera is: in real time. */
    input->start.live = true;
    input->start.start_ms = g_get_real_time() / 1000;
    struct findings findings;
    struct message_stream_status failure;
    g_autofree char *why = NULL;
    int result = trial_run(input, seconds, &findings, &failure, &why);
    if (result == CLI_OK && as_json)
        print_findings(&findings);
    else if (result == CLI_OK)
        findings_print(&findings, stdout);
    else if (why && as_json)
        print_failure(input, &failure, why);
    return why ? cli_fail((enum cli_exit)result, "%s", why) : result;
}

int cli_streams_test(int argc, char **argv)
{
    char *model = NULL, *tls_ca = NULL;
    int seconds = SECONDS_DEFAULT;
    gboolean as_json = FALSE;
    const GOptionEntry entries[] = {
        {"seconds", 's', 0, G_OPTION_ARG_INT, &seconds,
         "How long to watch from the first picture on (10)", "N"},
        {"model", 'm', 0, G_OPTION_ARG_FILENAME, &model,
         "The model that will look at it (scene)", "FILE"},
        {"tls-ca", 0, 0, G_OPTION_ARG_FILENAME, &tls_ca, INPUT_TLS_CA_HELP, "FILE"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &as_json, "One JSON object", NULL},
        {NULL}};
    int over = cli_parse(
        &argc, &argv, "URI",
        "Connects to a camera as the daemon would, watches it for some seconds and tells what "
        "it offers (codec, size, rate, key pictures, sound, encryption), what analysing it "
        "costs, and warns of what will hurt. No daemon is needed.\n"
        "URI: rtsp://, rtsps:// (with user:password@ if need be), scene://street, or a "
        "path.\n\n"
        "Exit codes: 0 it can be analysed (warnings or not), 1 it answers but cannot be, 69 it "
        "does not answer or refuses.",
        entries);
    struct input input = {.fds = {-1, -1}};
    int result = over - 1;
    if (!over && argc != 2) {
        result = cli_fail(CLI_USAGE, "give one URI or path (see: vigil streams test --help)");
    } else if (!over && (seconds < 1 || seconds > SECONDS_MAX)) {
        result = cli_fail(CLI_USAGE, "--seconds %d: 1 to %d", seconds, SECONDS_MAX);
    } else if (!over) {
        const struct input_options options = {.uri = argv[1], .model = model, .tls_ca = tls_ca};
        result = input_init(&input, &options);
        if (result == CLI_OK)
            result = input_check_model(&input);
        if (result == CLI_OK)
            result = test(&input, seconds, as_json);
    }
    input_finish(&input);
    g_free(model);
    g_free(tls_ca);
    return result;
}
