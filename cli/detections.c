/* vigil detections: what the daemon has recorded. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/output.h"
#include "record/query.h"

struct filters {
    char *stream, *kind, *label, *zone, *min_score, *since, *until, *state;
    gboolean oldest_first, as_json;
    int limit; /* 0: all */
};

static void print_row(const json_t *row, bool as_json)
{
    struct record record;
    struct record_error err;
    if (as_json)
        output_json_line(row);
    else if (record_from_json(row, &record, &err) == 0)
        output_detection(&record);
    else
        cli_fail(CLI_UNAVAILABLE, "a record of the daemon is not valid: %s", err.text);
}

/* Follows the cursor until `limit` rows are printed or there are no more. */
static int print_pages(struct client *client, const struct filters *filters)
{
    g_autofree char *cursor = NULL;
    int left = filters->limit > 0 ? filters->limit : G_MAXINT;
    while (left > 0) {
        g_autofree char *page_size = g_strdup_printf("%d", MIN(left, RECORD_PAGE_MAX));
        g_autofree char *query = client_query(
            "stream", filters->stream, "kind", filters->kind, "label", filters->label, "zone",
            filters->zone, "min_score", filters->min_score, "since", filters->since, "until",
            filters->until, "state", filters->state, "order",
            filters->oldest_first ? "asc" : "desc", "limit", page_size, "cursor", cursor, NULL);
        g_autofree char *path = g_strconcat("/detections", query, NULL);
        json_t *answer = NULL, *row;
        int result = client_request(client, "GET", path, NULL, &answer);
        if (result != CLI_OK)
            return result;
        size_t index;
        json_array_foreach (json_object_get(answer, "detections"), index, row) {
            print_row(row, filters->as_json);
            left--;
        }
        g_free(cursor);
        cursor = g_strdup(json_string_value(json_object_get(answer, "next")));
        json_decref(answer);
        if (!cursor)
            break;
    }
    return CLI_OK;
}

int cli_detections(int argc, char **argv)
{
    struct filters filters = {.limit = RECORD_PAGE_DEFAULT};
    const GOptionEntry entries[] = {
        {"stream", 's', 0, G_OPTION_ARG_STRING, &filters.stream, "Only of this stream", "NAME"},
        {"kind", 'k', 0, G_OPTION_ARG_STRING, &filters.kind,
         "Only activity, object, motion, anomaly, sound or stream", "KIND"},
        {"label", 'l', 0, G_OPTION_ARG_STRING, &filters.label, "Only with this label", "LABEL"},
        {"zone", 'z', 0, G_OPTION_ARG_STRING, &filters.zone, "Only in this zone", "NAME"},
        {"min-score", 0, 0, G_OPTION_ARG_STRING, &filters.min_score,
         "Only from this best score", "0..1"},
        {"since", 0, 0, G_OPTION_ARG_STRING, &filters.since,
         "Started at or after, 2026-11-20T12:00:00Z", "TIME"},
        {"until", 0, 0, G_OPTION_ARG_STRING, &filters.until, "Started before", "TIME"},
        {"state", 0, 0, G_OPTION_ARG_STRING, &filters.state, "Only active or ended", "STATE"},
        {"limit", 'n', 0, G_OPTION_ARG_INT, &filters.limit, "At most so many (50; 0: all)",
         "N"},
        {"oldest-first", 'r', 0, G_OPTION_ARG_NONE, &filters.oldest_first,
         "Oldest first instead of newest", NULL},
        {"json", 0, 0, G_OPTION_ARG_NONE, &filters.as_json, "A JSON object per line", NULL},
        {NULL}};
    int over = cli_parse(&argc, &argv, NULL, "Lists detections, newest first.", entries);
    int result = over - 1;
    if (!over && argc > 1) {
        result = cli_fail(CLI_USAGE, "\"%s\" is not an option (see: vigil detections --help)",
                          argv[1]);
    } else if (!over) {
        struct client *client = client_create();
        result = client ? print_pages(client, &filters) : CLI_USAGE;
        client_destroy(client);
    }
    char *const texts[] = {filters.stream,    filters.kind,  filters.label, filters.zone,
                           filters.min_score, filters.since, filters.until, filters.state};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(texts[i]);
    return result;
}
