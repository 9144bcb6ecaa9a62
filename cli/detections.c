/* vigil detections: what the daemon has recorded, or how many of what. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/known.h"
#include "cli/output.h"
#include "cli/when.h"
#include "record/summary.h"

struct filters {
    char *stream, *kind, *label, *zone, *min_score, *since, *until, *state;
    char *by; /* NULL: no summary, the detections themselves */
    gboolean oldest_first, as_json;
    int limit; /* 0: all; LIMIT_NONE: not given */
};

#define LIMIT_NONE (-1)

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

/* Nothing was found: unless what was asked for can be there, that is said and fails. */
static int explain_nothing(struct client *client, const struct filters *filters)
{
    return known_check(client, filters->stream, filters->label, false);
}

/* Follows the cursor until `limit` rows are printed or there are no more. */
static int print_pages(struct client *client, const struct filters *filters)
{
    g_autofree char *cursor = NULL;
    int limit = filters->limit == LIMIT_NONE ? RECORD_PAGE_DEFAULT : filters->limit;
    int left = limit > 0 ? limit : G_MAXINT, all = left;
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
        if (!cursor || output_flush() < 0)
            break;
    }
    return left == all ? explain_nothing(client, filters) : CLI_OK;
}

/* When a group begins: hours as it is here, days as they are in UTC. */
static char *format_time(const char *text, bool by_day)
{
    int64_t ms;
    if (record_time_parse(text, &ms) < 0)
        return g_strdup("?");
    g_autoptr(GDateTime) time = by_day ? g_date_time_new_from_unix_utc(ms / 1000)
                                       : g_date_time_new_from_unix_local(ms / 1000);
    return time ? g_date_time_format(time, by_day ? "%Y-%m-%d" : "%Y-%m-%d %H:%M")
                : g_strdup("?");
}

/* A column for each thing that was counted by, then the count; the total below. */
static void print_groups(const json_t *answer, unsigned by)
{
    static const struct {
        unsigned by;
        const char *member, *heading;
    } columns[] = {{RECORD_BY_HOUR, "time", "HOUR"},
                   {RECORD_BY_DAY, "time", "DAY (UTC)"},
                   {RECORD_BY_STREAM, "stream", "STREAM"},
                   {RECORD_BY_LABEL, "label", "LABEL"}};
    g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);
    const json_t *groups = json_object_get(answer, "groups");
    json_int_t total = json_integer_value(json_object_get(answer, "total"));
    size_t rows = json_array_size(groups) + 2, used = 0;
    for (size_t row = 0; row < rows; row++) {
        const json_t *group = row > 0 ? json_array_get(groups, row - 1) : NULL;
        used = 0;
        for (size_t i = 0; i < G_N_ELEMENTS(columns); i++) {
            if (!(by & columns[i].by))
                continue;
            const char *text = json_string_value(json_object_get(group, columns[i].member));
            bool time = columns[i].by & (RECORD_BY_HOUR | RECORD_BY_DAY);
            g_ptr_array_add(cells, row == 0          ? g_strdup(columns[i].heading)
                                   : row == rows - 1 ? g_strdup(used == 0 ? "total" : "")
                                   : time ? format_time(text ? text : "", by & RECORD_BY_DAY)
                                          : g_strdup(text));
            used++;
        }
        json_int_t count =
            row == rows - 1 ? total : json_integer_value(json_object_get(group, "count"));
        g_ptr_array_add(cells, row == 0 ? g_strdup("COUNT")
                                        : g_strdup_printf("%" JSON_INTEGER_FORMAT, count));
    }
    output_table((const char *const *)cells->pdata, rows, used + 1);
}

static int print_summary(struct client *client, const struct filters *filters)
{
    unsigned by;
    if (record_by_parse(filters->by, &by) < 0)
        return cli_fail(CLI_USAGE,
                        "--summary \"%s\": write stream, label, and hour or day, with commas "
                        "between",
                        filters->by);
    if (filters->oldest_first || filters->limit != LIMIT_NONE)
        return cli_fail(CLI_USAGE,
                        "--summary counts all; leave --limit and --oldest-first out");
    g_autofree char *query = client_query(
        "by", filters->by, "stream", filters->stream, "kind", filters->kind, "label",
        filters->label, "zone", filters->zone, "min_score", filters->min_score, "since",
        filters->since, "until", filters->until, "state", filters->state, NULL);
    g_autofree char *path = g_strconcat("/detections/summary", query, NULL);
    json_t *answer = NULL;
    int result = client_request(client, "GET", path, NULL, &answer);
    if (result != CLI_OK)
        return result;
    if (filters->as_json)
        output_json_line(answer);
    else
        print_groups(answer, by);
    if (json_integer_value(json_object_get(answer, "total")) == 0)
        result = explain_nothing(client, filters);
    json_decref(answer);
    return result;
}

/* Makes of what was typed what the API takes. */
static int read_time(const char *option, char **text, GDateTime *now)
{
    if (!*text)
        return CLI_OK;
    char *time = when_parse(*text, now);
    if (!time)
        return cli_fail(CLI_USAGE, "%s \"%s\": write %s", option, *text, WHEN_FORMS);
    g_free(*text);
    *text = time;
    return CLI_OK;
}

static int list_detections(struct filters *filters)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_local();
    if (read_time("--since", &filters->since, now) != CLI_OK ||
        read_time("--until", &filters->until, now) != CLI_OK)
        return CLI_USAGE;
    struct client *client = client_create();
    int result = !client       ? CLI_USAGE
                 : filters->by ? print_summary(client, filters)
                               : print_pages(client, filters);
    client_destroy(client);
    return result;
}

int cli_detections(int argc, char **argv)
{
    struct filters filters = {.limit = LIMIT_NONE};
    const GOptionEntry entries[] = {
        {"stream", 's', 0, G_OPTION_ARG_STRING, &filters.stream, "Only of this stream", "NAME"},
        {"kind", 'k', 0, G_OPTION_ARG_STRING, &filters.kind,
         "Only activity, object, motion, anomaly, sound or stream", "KIND"},
        {"label", 'l', 0, G_OPTION_ARG_STRING, &filters.label, "Only with this label", "LABEL"},
        {"zone", 'z', 0, G_OPTION_ARG_STRING, &filters.zone, "Only in this zone", "NAME"},
        {"min-score", 0, 0, G_OPTION_ARG_STRING, &filters.min_score,
         "Only from this best score", "0..1"},
        {"since", 0, 0, G_OPTION_ARG_STRING, &filters.since, "Started at or after: " WHEN_FORMS,
         "TIME"},
        {"until", 0, 0, G_OPTION_ARG_STRING, &filters.until,
         "Started before; written as --since", "TIME"},
        {"state", 0, 0, G_OPTION_ARG_STRING, &filters.state, "Only active or ended", "STATE"},
        {"limit", 'n', 0, G_OPTION_ARG_INT, &filters.limit, "At most so many (50; 0: all)",
         "N"},
        {"oldest-first", 'r', 0, G_OPTION_ARG_NONE, &filters.oldest_first,
         "Oldest first instead of newest", NULL},
        {"summary", 0, 0, G_OPTION_ARG_STRING, &filters.by,
         "Count instead, by stream, label, and hour or day (stream,day)", "BY"},
        {"json", 0, 0, G_OPTION_ARG_NONE, &filters.as_json, "A JSON object per line", NULL},
        {NULL}};
    int over = cli_parse(&argc, &argv, NULL,
                         "Lists detections, newest first, or counts them.\n"
                         "Exit code 1: none was found, and a stream or label was named that "
                         "is not there.",
                         entries);
    int result = over - 1;
    if (!over && argc > 1) {
        result = cli_fail(CLI_USAGE, "\"%s\" is not an option (see: vigil detections --help)",
                          argv[1]);
    } else if (!over) {
        result = list_detections(&filters);
    }
    char *const texts[] = {filters.stream, filters.kind,      filters.label,
                           filters.zone,   filters.min_score, filters.since,
                           filters.until,  filters.state,     filters.by};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++)
        g_free(texts[i]);
    return result;
}
