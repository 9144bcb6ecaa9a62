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

static int score_file(const char *path, int label, struct samples *samples,
                      struct labelled_network *before, struct labelled_network *after,
                      struct labelled_score *score)
{
    struct nn_error err;
    samples_clear(samples);
    int result = samples_add(samples, path);
    if (result != CLI_OK)
        return result;
    int first = vote(before, samples, &err);
    int second = first < 0 ? first : vote(after, samples, &err);
    if (second < 0)
        return cli_fail(CLI_CONFIG, "%s: %s", path, err.text);
    score->files++;
    score->before += first == label;
    score->after += second == label;
    return CLI_OK;
}

int labelled_score(const char *table, struct samples *samples, struct labelled_network *before,
                   struct labelled_network *after, struct labelled_score *ret_score)
{
    g_autofree char *text = NULL, *folder = g_path_get_dirname(table);
    g_auto(GStrv) names = label_names(samples);
    struct labelled_score score = {0};
    size_t size;
    const struct nn_value_info *output = nn_plan_output(before->plan, 0);
    int r = file_read_path(table, TABLE_BYTES_MAX, &text, &size), result = CLI_OK;
    if (r < 0)
        return cli_fail(CLI_NO_INPUT, "cannot read %s: %s", table, file_error_text(r));
    if (output->type != NN_TYPE_FLOAT || nn_shape_count(&output->shape) < 1)
        return cli_fail(CLI_CONFIG, "--labels: output '%s' is no scores", output->name);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (int i = 0; lines[i] && result == CLI_OK; i++) {
        g_auto(GStrv) fields = g_strsplit(g_strstrip(lines[i]), ",", 3);
        if (!fields[0])
            continue;
        g_autofree char *path = g_canonicalize_filename(fields[0], folder);
        if (i == 0 && !g_file_test(path, G_FILE_TEST_EXISTS))
            continue;
        int label =
            fields[1] ? find_label(g_strstrip(fields[1]), names, nn_shape_count(&output->shape))
                      : -1;
        result = label < 0 ? cli_fail(CLI_NO_INPUT, "%s:%d: \"%s\" is no label of the model",
                                      table, i + 1, fields[1] ? fields[1] : "")
                           : score_file(path, label, samples, before, after, &score);
    }
    if (result == CLI_OK && score.files == 0)
        result = cli_fail(CLI_NO_INPUT, "%s: there is no file in it", table);
    *ret_score = score;
    return result;
}
