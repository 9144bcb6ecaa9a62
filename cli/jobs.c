/* vigil jobs: what the daemon does beside the streams. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/output.h"
#include "record/record.h"

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* "3/10  loss 0.5132  accuracy 0.8367" of the samples that were kept back, else of the others;
 * "" before the first epoch. g_free(). */
static char *progress_text(const json_t *job)
{
    const json_t *progress = json_object_get(job, "progress");
    const json_t *score = json_object_get(progress, "validation");
    if (!json_is_object(progress))
        return g_strdup("");
    if (!score)
        score = json_object_get(progress, "train");
    GString *text = g_string_new(NULL);
    g_string_printf(text, "%lld/%lld  loss %.4f",
                    (long long)json_integer_value(json_object_get(progress, "epoch")),
                    (long long)json_integer_value(json_object_get(progress, "epochs")),
                    json_number_value(json_object_get(score, "loss")));
    if (json_object_get(score, "accuracy"))
        g_string_append_printf(text, "  accuracy %.4f",
                               json_number_value(json_object_get(score, "accuracy")));
    return g_string_free(text, FALSE);
}

static int list_jobs(struct client *client, bool as_json)
{
    enum { COLUMNS = 6 };
    json_t *answer = NULL, *job;
    int result = client_request(client, "GET", "/jobs", NULL, &answer);
    if (result != CLI_OK)
        return result;
    const json_t *jobs = json_object_get(answer, "jobs");
    size_t count = json_array_size(jobs), index;
    g_autoptr(GPtrArray) made = g_ptr_array_new_with_free_func(g_free);
    g_autofree const char **cells = g_new0(const char *, (count + 1) * COLUMNS);
    const char *heading[COLUMNS] = {"ID", "KIND", "STATE", "RECIPE", "MODEL", "EPOCH"};
    memcpy(cells, heading, sizeof heading);
    json_array_foreach (jobs, index, job) {
        const char **row = cells + (index + 1) * COLUMNS;
        char *progress = progress_text(job);
        g_ptr_array_add(made, progress);
        row[0] = text_of(job, "id");
        row[1] = text_of(job, "kind");
        row[2] = text_of(job, "state");
        row[3] = text_of(job, "recipe");
        row[4] = text_of(job, json_object_get(job, "model") ? "model" : "out");
        row[5] = progress;
        if (as_json)
            output_json_line(job);
    }
    if (!as_json)
        output_table(cells, count + 1, COLUMNS);
    json_decref(answer);
    return CLI_OK;
}

static void print_job(const json_t *job)
{
    static const char *const rows[] = {"id",      "kind",  "state",  "model", "recipe",
                                       "data",    "split", "report", "out",   "created",
                                       "started", "ended", "error"};
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = output_printable(text_of(job, rows[i]));
        if (*text)
            printf("%-10s %s\n", rows[i], text);
    }
    g_autofree char *progress = progress_text(job);
    if (*progress)
        printf("%-10s %s\n", "epoch", progress);
}

static int ask_job(struct client *client, const char *method, const char *id, bool as_json)
{
    g_autofree char *path = g_strconcat("/jobs/", id, NULL);
    json_t *job = NULL;
    if (!record_id_is_valid(id))
        return cli_fail(CLI_USAGE, "\"%s\" is no id of a job; vigil jobs ls lists them", id);
    int result = client_request(client, method, path, NULL, &job);
    if (result != CLI_OK || !job)
        return result;
    if (as_json)
        output_json_line(job);
    else
        print_job(job);
    json_decref(job);
    return CLI_OK;
}

static const struct action {
    const char *name;
    const char *method; /* of one job; NULL: all are listed */
} actions[] = {{"ls", NULL}, {"show", "GET"}, {"cancel", "DELETE"}};

static const struct action *find_action(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(actions); i++)
        if (strcmp(name, actions[i].name) == 0)
            return &actions[i];
    return NULL;
}

int cli_jobs(int argc, char **argv)
{
    gboolean as_json = FALSE;
    const GOptionEntry entries[] = {
        {"json", 0, 0, G_OPTION_ARG_NONE, &as_json, "A JSON object per line", NULL}, {NULL}};
    int over = cli_parse(&argc, &argv, "ls | show ID | cancel ID",
                         "Lists the trainings and evaluations that the daemon was asked for, "
                         "newest first, shows "
                         "one, or cancels it; one that has ended is then forgotten.",
                         entries);
    if (over)
        return over - 1;
    const struct action *action = argc > 1 ? find_action(argv[1]) : NULL;
    if (!action || argc != (action->method ? 3 : 2))
        return cli_fail(CLI_USAGE, "say ls, show ID or cancel ID (see: vigil jobs --help)");
    struct client *client = client_create();
    int result = !client           ? CLI_USAGE
                 : !action->method ? list_jobs(client, as_json)
                                   : ask_job(client, action->method, argv[2], as_json);
    client_destroy(client);
    return result;
}
