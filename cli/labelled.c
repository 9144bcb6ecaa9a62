#include "cli/labelled.h"

#include <string.h>

#include "cli/cli.h"
#include "record/file.h"

#define TABLE_BYTES_MAX (16 << 20)

int labelled_open(struct labelled_network *network, const void *data, size_t size,
                  const struct nn_shape *shapes, struct nn_error *err)
{
    const struct nn_plan_options options = {.input_shapes = shapes, .time_axis = -1};
    int r = nn_model_load(data, size, &network->model, err);
    if (r == 0)
        r = nn_plan_create(network->model, &options, &network->plan, err);
    return r < 0 ? r : nn_session_create(network->plan, &network->session, err);
}

void labelled_close(struct labelled_network *network)
{
    nn_session_destroy(network->session);
    nn_plan_unref(network->plan);
    nn_model_unref(network->model);
    *network = (struct labelled_network){0};
}

int labelled_run(struct labelled_network *network, const struct samples *samples, guint sample,
                 struct nn_error *err)
{
    for (size_t i = 0; i < nn_model_input_count(network->model); i++)
        samples_copy(samples, sample, i, nn_session_input(network->session, i));
    return nn_session_run(network->session, err);
}

/* The output that is the greatest over all samples; -1 with err. */
static int vote(struct labelled_network *network, const struct samples *samples,
                struct nn_error *err)
{
    int64_t count = nn_shape_count(&nn_plan_output(network->plan, 0)->shape);
    g_autofree double *sums = g_new0(double, count + 1);
    for (guint s = 0; s < samples->items->len; s++) {
        if (labelled_run(network, samples, s, err) < 0)
            return -1;
        const struct nn_tensor *output = nn_session_output(network->session, 0);
        for (int64_t i = 0; i < MIN(count, nn_shape_count(&output->shape)); i++)
            sums[i] += ((const float *)output->data)[i];
    }
    int best = 0;
    for (int64_t i = 1; i < count; i++)
        if (sums[i] > sums[best])
            best = (int)i;
    return best;
}

/* The number of a label; -1: it is none. */
static int find_label(const char *label, char **names, int64_t count)
{
    guint64 number;
    for (int i = 0; names && names[i]; i++)
        if (strcmp(g_strstrip(names[i]), label) == 0)
            return i < count ? i : -1;
    return g_ascii_string_to_unsigned(label, 10, 0, G_MAXINT32, &number, NULL) &&
                   (int64_t)number < count
               ? (int)number
               : -1;
}

static char **label_names(const struct samples *samples)
{
    const char *names = g_hash_table_lookup(samples->overrides, "vigil.labels");
    if (!names)
        names = nn_model_metadata(samples->model, "vigil.labels");
    return names ? g_strsplit(names, ",", -1) : NULL;
}

/* A line of a table. */
struct labelled_file {
    char *path;
    int label;
};

static void clear_file(gpointer file)
{
    g_free(((struct labelled_file *)file)->path);
}

/* One line of a table, and what it is held against. */
struct line {
    const char *table, *folder;
    int number;
    char **names; /* of labels; may be NULL */
    int64_t count;
};

static int read_line(const struct line *line, char *text, GArray *files)
{
    g_auto(GStrv) fields = g_strsplit(g_strstrip(text), ",", 3);
    if (!fields[0])
        return CLI_OK;
    const char *name = g_strstrip(fields[0]), *given = fields[1] ? g_strstrip(fields[1]) : "";
    g_autofree char *path =
        g_path_is_absolute(name) ? g_strdup(name) : g_build_filename(line->folder, name, NULL);
    int label = find_label(given, line->names, line->count), r = samples_find(path);
    if (line->number == 1 && r < 0 && label < 0)
        return CLI_OK;
    if (r < 0)
        return cli_fail(CLI_NO_INPUT, "%s:%d: cannot read %s: %s", line->table, line->number,
                        path, file_error_text(r));
    if (label < 0)
        return cli_fail(CLI_NO_INPUT, "%s:%d: \"%s\" is no label of the model", line->table,
                        line->number, given);
    const struct labelled_file file = {g_steal_pointer(&path), label};
    g_array_append_val(files, file);
    return CLI_OK;
}

int labelled_read(const char *table, const struct samples *samples,
                  const struct labelled_network *network, GArray **ret_files)
{
    g_autofree char *text = NULL, *folder = g_path_get_dirname(table);
    g_auto(GStrv) names = label_names(samples);
    size_t size;
    const struct nn_value_info *output = nn_plan_output(network->plan, 0);
    int r = file_read_path(table, TABLE_BYTES_MAX, &text, &size), result = CLI_OK;
    if (r < 0)
        return cli_fail(CLI_NO_INPUT, "cannot read %s: %s", table, file_error_text(r));
    if (output->type != NN_TYPE_FLOAT || nn_shape_count(&output->shape) < 1)
        return cli_fail(CLI_CONFIG, "--labels: output '%s' is no scores", output->name);
    struct line line = {table, folder, 0, names, nn_shape_count(&output->shape)};
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_autoptr(GArray) files = g_array_new(FALSE, FALSE, sizeof(struct labelled_file));
    g_array_set_clear_func(files, clear_file);
    while (lines[line.number] && result == CLI_OK) {
        char *content = lines[line.number++];
        result = read_line(&line, content, files);
    }
    if (result == CLI_OK && files->len == 0)
        result = cli_fail(CLI_NO_INPUT, "%s: no line names a file and its label", table);
    if (result == CLI_OK)
        *ret_files = g_steal_pointer(&files);
    return result;
}

static int score_file(const struct labelled_file *file, struct samples *samples,
                      struct labelled_network *before, struct labelled_network *after,
                      struct labelled_score *score)
{
    struct nn_error err;
    samples_clear(samples);
    int result = samples_add(samples, file->path);
    if (result != CLI_OK)
        return result;
    int first = vote(before, samples, &err);
    int second = first < 0 ? first : vote(after, samples, &err);
    if (second < 0)
        return cli_fail(CLI_CONFIG, "%s: %s", file->path, err.text);
    score->files++;
    score->before += first == file->label;
    score->after += second == file->label;
    return CLI_OK;
}

int labelled_score(const GArray *files, struct samples *samples,
                   struct labelled_network *before, struct labelled_network *after,
                   struct labelled_score *ret_score)
{
    struct labelled_score score = {0};
    int result = CLI_OK;
    for (guint i = 0; i < files->len && result == CLI_OK; i++)
        result = score_file(&g_array_index(files, struct labelled_file, i), samples, before,
                            after, &score);
    *ret_score = score;
    return result;
}
