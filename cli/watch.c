/* vigil watch: detections as they happen, over the daemon's event stream. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/known.h"
#include "cli/output.h"
#include "record/record.h"

struct watch {
    gboolean as_json;
    int count; /* records still to print; 0: without end */
    int printed;
};

static bool print_record(void *context, const json_t *object)
{
    struct watch *watch = context;
    struct record record;
    struct record_error err;
    if (watch->as_json)
        output_json_line(object);
    else if (record_from_json(object, &record, &err) < 0)
        cli_fail(CLI_UNAVAILABLE, "a record of the daemon is not valid: %s", err.text);
    else if (record.phase == RECORD_UPDATED)
        return true; /* a line a second is for programs */
    else
        output_record(&record, OUTPUT_TIME, 0);
    watch->printed++;
    if (output_flush() < 0)
        return false;
    return watch->count == 0 || watch->printed < watch->count;
}

int cli_watch(int argc, char **argv)
{
    struct watch watch = {0};
    char *stream = NULL, *kind = NULL, *label = NULL;
    gint64 since = -1;
    const GOptionEntry entries[] = {
        {"stream", 's', 0, G_OPTION_ARG_STRING, &stream, "Only of this stream", "NAME"},
        {"kind", 'k', 0, G_OPTION_ARG_STRING, &kind, "Only of this kind", "KIND"},
        {"label", 'l', 0, G_OPTION_ARG_STRING, &label, "Only with this label", "LABEL"},
        {"since-seq", 0, 0, G_OPTION_ARG_INT64, &since,
         "First everything recorded after this seq (0: all that is kept)", "SEQ"},
        {"count", 'n', 0, G_OPTION_ARG_INT, &watch.count, "Stop after so many records", "N"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &watch.as_json, "A JSON object per line", NULL},
        {NULL}};
    int over =
        cli_parse(&argc, &argv, NULL,
                  "Prints detections as they start and end (with --json also as they "
                  "change), until stopped. A broken connection is resumed without loss.\n"
                  "Exit code 1: a stream or label was named that is not there.",
                  entries);
    int result = over - 1;
    if (!over && argc > 1) {
        result =
            cli_fail(CLI_USAGE, "\"%s\" is not an option (see: vigil watch --help)", argv[1]);
    } else if (!over) {
        struct client *client = client_create();
        g_autofree char *query =
            client_query("stream", stream, "kind", kind, "label", label, NULL);
        result = client ? known_check(client, stream, label, true) : CLI_USAGE;
        if (result == CLI_OK)
            result = client_follow(client, query, since, print_record, &watch);
        client_destroy(client);
    }
    g_free(stream);
    g_free(kind);
    g_free(label);
    return result;
}
