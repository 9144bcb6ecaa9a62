/* vigil detections: what the daemon has recorded, or how many of what. */
#include <stdio.h>
#include <string.h>

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

/* What can be counted by, in a table. */
struct column {
    const char *by, *member, *heading;
};

/* The columns that were asked for, in that order; NULL-terminated, at most `size` with that.
 * `by` has passed record_by_parse. */
static void find_columns(const char *by, const struct column **ret_columns, size_t size)
{
    static const struct column all[] = {{"hour", "time", "HOUR"},
                                        {"day", "time", "DAY (UTC)"},
                                        {"stream", "stream", "STREAM"},
                                        {"label", "label", "LABEL"}};
    g_auto(GStrv) names = g_strsplit(by, ",", 0);
    size_t used = 0;
    for (char **name = names; *name; name++)
        for (size_t i = 0; i < G_N_ELEMENTS(all) && used + 1 < size; i++)
            if (strcmp(all[i].by, *name) == 0)
                ret_columns[used++] = &all[i];
    ret_columns[used] = NULL;
}

static const char *cell(const json_t *group, const struct column *column)
{
    const char *text = json_string_value(json_object_get(group, column->member));
    return text ? text : "";
}

/* By the first column, then the next; all times are written alike. */
static gint compare_groups(gconstpointer a, gconstpointer b, gpointer data)
{
    const struct column *const *columns = data;
    int order = 0;
    for (; *columns && order == 0; columns++)
        order = strcmp(cell(*(const json_t *const *)a, *columns),
                       cell(*(const json_t *const *)b, *columns));
    return order;
}

/* A column for each thing that was counted by, as it was asked for, then the count; the total
 * below. */
static void print_groups(const json_t *answer, const char *by)
{
    const struct column *columns[4];
    g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) groups = g_ptr_array_new();
    size_t index, used = 0;
    json_t *group;
    find_columns(by, columns, G_N_ELEMENTS(columns));
    json_array_foreach (json_object_get(answer, "groups"), index, group)
        g_ptr_array_add(groups, group);
    g_ptr_array_sort_with_data(groups, compare_groups, columns);

    for (; columns[used]; used++)
        g_ptr_array_add(cells, g_strdup(columns[used]->heading));
    g_ptr_array_add(cells, g_strdup("COUNT"));
    for (guint row = 0; row < groups->len; row++) {
        const json_t *found = groups->pdata[row];
        for (size_t i = 0; i < used; i++) {
            const char *text = cell(found, columns[i]);
            bool is_time = strcmp(columns[i]->member, "time") == 0;
            g_ptr_array_add(cells, is_time
                                       ? format_time(text, strcmp(columns[i]->by, "day") == 0)
                                       : g_strdup(text));
        }
        json_int_t count = json_integer_value(json_object_get(found, "count"));
        g_ptr_array_add(cells, g_strdup_printf("%" JSON_INTEGER_FORMAT, count));
    }
    json_int_t total = json_integer_value(json_object_get(answer, "total"));
    for (size_t i = 0; i < used; i++)
        g_ptr_array_add(cells, g_strdup(i == 0 ? "total" : ""));
    g_ptr_array_add(cells, g_strdup_printf("%" JSON_INTEGER_FORMAT, total));
    output_table((const char *const *)cells->pdata, groups->len + 2, used + 1);
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
        print_groups(answer, filters->by);
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
         "Count instead: by a list of stream, label, and hour or day, as the table is to be "
         "ordered (stream,day)",
         "BY"},
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
