#include "cli/labelled.h"

#include <string.h>

#include "cli/cli.h"
#include "cli/shape.h"
#include "record/file.h"
#include "record/text.h"

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

/* Those of vigil.labels; none without. */
static char **label_names(const struct samples *samples)
{
    const char *text = g_hash_table_lookup(samples->overrides, "vigil.labels");
    if (!text)
        text = nn_model_metadata(samples->model, "vigil.labels");
    char **names = g_strsplit(text ? text : "", ",", -1);
    for (char **name = names; *name; name++)
        g_strstrip(*name);
    return names;
}

/* The number of a label; -1: it is none. Those without names are called as in a stream. */
static int find_label(const char *label, char **names, int64_t count)
{
    static const char unnamed[] = "class_";
    guint64 number;
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], label) == 0)
            return i < count ? i : -1;
    if (!names[0] && g_str_has_prefix(label, unnamed))
        label += strlen(unnamed);
    return g_ascii_string_to_unsigned(label, 10, 0, G_MAXINT32, &number, NULL) &&
                   (int64_t)number < count
               ? (int)number
               : -1;
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
    char **names; /* of labels */
    int64_t count;
};

/* A field, and *rest is what follows its comma; NULL: there was none. Within quotes, which
 * spreadsheets put around what has commas, a comma is none, and two quotes are one. */
static char *take_field(char **rest)
{
    char *from = *rest + strspn(*rest, " \t");
    bool quoted = *from == '"';
    from += quoted;
    char *field = from, *to = from;
    while (*from && (quoted || *from != ',')) {
        if (quoted && *from == '"' && *++from != '"')
            quoted = false;
        else
            *to++ = *from++;
    }
    *rest = *from == ',' ? from + 1 : NULL;
    *to = '\0';
    return g_strchomp(field);
}

static int refuse_label(const struct line *line, const char *given)
{
    const char *nearest = text_nearest(given, (const char *const *)line->names);
    return cli_fail(CLI_NO_INPUT,
                    "%s:%d: \"%s\" is no label of the model: %s 0 to %" G_GINT64_FORMAT
                    "%s%s%s",
                    line->table, line->number, given,
                    line->names[0] ? "give a name of vigil.labels, or" : "it names none, give",
                    line->count - 1, nearest ? "; did you mean " : "", nearest ? nearest : "",
                    nearest ? "?" : "");
}

static int read_line(const struct line *line, char *text, GArray *files)
{
    if (!*g_strstrip(text))
        return CLI_OK;
    const char *separator = strpbrk(text, ";\t"), *name = take_field(&text);
    if (!text)
        return cli_fail(CLI_NO_INPUT,
                        "%s:%d: there is no comma: a line is a file and its label with a comma "
                        "between, as a.mp4,%s%s",
                        line->table, line->number, line->names[0] ? line->names[0] : "0",
                        separator ? ", not a semicolon or tab" : "");
    const char *given = take_field(&text);
    if (!*name)
        return cli_fail(CLI_NO_INPUT, "%s:%d: no file is named before the comma", line->table,
                        line->number);
    g_autofree char *path =
        g_path_is_absolute(name) ? g_strdup(name) : g_build_filename(line->folder, name, NULL);
    int label = find_label(given, line->names, line->count), r = samples_find(path);
    if (line->number == 1 && r < 0 && label < 0)
        return CLI_OK;
    if (r < 0)
        return cli_fail(CLI_NO_INPUT, "%s:%d: cannot read %s: %s", line->table, line->number,
                        path, file_error_text(r));
    if (label < 0)
        return refuse_label(line, given);
    const struct labelled_file file = {g_steal_pointer(&path), label};
    g_array_append_val(files, file);
    return CLI_OK;
}

/* One score for each label: of a map or a list of boxes the greatest number says nothing. */
static int check_scores(const struct nn_value_info *output)
{
    int long_axes = 0;
    for (int d = 0; d < output->shape.rank; d++)
        long_axes += output->shape.dim[d] != 1;
    if (output->type == NN_TYPE_FLOAT && long_axes == 1 && nn_shape_count(&output->shape) > 1)
        return CLI_OK;
    g_autofree char *shape = shape_text(&output->shape);
    return cli_fail(
        CLI_CONFIG,
        "--labels: output '%s' is %s %s, not a score for each of two labels or more",
        output->name, nn_type_name(output->type), shape);
}

int labelled_read(const char *table, const struct samples *samples,
                  const struct labelled_network *network, GArray **ret_files)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    g_autofree char *text = NULL, *folder = g_path_get_dirname(table);
    size_t size;
    const struct nn_value_info *output = nn_plan_output(network->plan, 0);
    int r = file_read_path(table, TABLE_BYTES_MAX, &text, &size);
    if (r < 0)
        return cli_fail(CLI_NO_INPUT, "cannot read %s: %s", table, file_error_text(r));
    int result = check_scores(output);
    if (result != CLI_OK)
        return result;
    const int64_t count = nn_shape_count(&output->shape);
    g_auto(GStrv) names = label_names(samples);
    struct line line = {table, folder, 0, names, count};
    bool marked = g_str_has_prefix(text, byte_order_mark);
    g_auto(GStrv) lines = g_strsplit(text + (marked ? strlen(byte_order_mark) : 0), "\n", -1);
    g_autoptr(GArray) files = g_array_new(FALSE, FALSE, sizeof(struct labelled_file));
    g_array_set_clear_func(files, clear_file);
    while (lines[line.number] && result == CLI_OK) {
        char *content = lines[line.number++];
        result = read_line(&line, content, files);
    }
    if (result == CLI_OK && files->len == 0)
        result =
            cli_fail(CLI_NO_INPUT,
                     "%s: no line names a file and its label, with a comma between", table);
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
