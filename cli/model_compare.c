/* vigil model compare: two models and the same labelled samples in, which does better out. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/evaluation.h"
#include "cli/model_verbs.h"
#include "cli/output.h"
#include "nn/train/statistics.h"

#define FORMAT "vigil-compare-1"

/* Samples whose answers differ, of which so many are told. */
#define PRINTED_MAX 20
#define LISTED_MAX  10000

/* The accuracy of the second less that of the first. */
struct difference {
    struct train_interval accuracy; /* low and high are NaN of one source */
    int right[2][2];                /* [first is right][second is right] */
    int changed;                    /* answers that differ */
};

/* --- comparing ---------------------------------------------------------------------------- */

/* The label that a model gives a sample; "(none)" for scores that are no numbers. */
static const char *answer_of(const struct evaluation *e, int at)
{
    const struct train_answers answers = {.count = e->selection.count,
                                          .classes = e->judge.label_count,
                                          .labels = e->labels,
                                          .scores = e->scores};
    int answer = train_answers_class(&answers, at);
    return answer < 0 ? "(none)" : e->judge.labels[answer];
}

static const char *label_of(const struct evaluation *e, int at)
{
    return e->judge.labels[e->labels[at]];
}

/* "": sources are not known. */
static const char *source_of(const struct evaluation *e, int at)
{
    const struct train_names *sources = &e->dataset->sources;
    return sources->count > 0 ? sources->names[e->groups[at]] : "";
}

/* Clips are decoded for each model by itself: windows may differ in number and place. */
static int check_same(const struct evaluation *a, const struct evaluation *b)
{
    bool same = a->selection.count == b->selection.count;
    for (int i = 0; same && i < a->selection.count; i++)
        same = strcmp(label_of(a, i), label_of(b, i)) == 0 &&
               strcmp(source_of(a, i), source_of(b, i)) == 0;
    return same
               ? CLI_OK
               : cli_fail(CLI_CONFIG,
                          "%s and %s do not see the same samples (%d and %d): their windows, "
                          "strides or frame rates differ",
                          a->judge.path, b->judge.path, a->selection.count, b->selection.count);
}

static int compare(const struct evaluation *a, const struct evaluation *b,
                   struct difference *ret_difference)
{
    const struct train_bootstrap bootstrap = {.level = 0.95, .resamples = 1000, .seed = 1};
    const int count = a->selection.count;
    g_autofree double *gains = g_new(double, MAX(count, 1));
    struct difference d = {.accuracy = {.low = NAN, .high = NAN}};
    struct nn_error err = {{0}};
    for (int i = 0; i < count; i++) {
        const char *label = label_of(a, i), *first = answer_of(a, i), *second = answer_of(b, i);
        bool a_right = strcmp(first, label) == 0, b_right = strcmp(second, label) == 0;
        d.right[a_right][b_right]++;
        d.changed += strcmp(first, second) != 0;
        gains[i] = b_right - a_right;
    }
    int r = a->figures.sources < 2
                ? 0
                : train_bootstrap_mean(gains, a->groups, count, a->dataset->group_count,
                                       &bootstrap, &d.accuracy, &err);
    if (r < 0)
        return cli_fail(CLI_INTERNAL, "%s", err.text);
    d.accuracy.mean = train_mean_of(gains, count).mean;
    *ret_difference = d;
    return CLI_OK;
}

/* --- what is told ------------------------------------------------------------------------- */

static void cell(GPtrArray *cells, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void cell(GPtrArray *cells, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_ptr_array_add(cells, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

static void print_table(GPtrArray *cells, size_t columns)
{
    output_table((const char *const *)cells->pdata, cells->len / columns, columns);
    g_ptr_array_set_size(cells, 0);
}

static void row(GPtrArray *cells, const char *name, double a, double b)
{
    const double values[] = {a, b, b - a};
    cell(cells, "%s", name);
    for (size_t i = 0; i < G_N_ELEMENTS(values); i++)
        if (isfinite(values[i]))
            cell(cells, i == 2 ? "%+.4f" : "%.4f", values[i]);
        else
            cell(cells, "-");
}

static void print_figures(const struct evaluation *a, const struct evaluation *b,
                          GPtrArray *cells)
{
    const struct train_metrics *x = &a->figures.metrics, *y = &b->figures.metrics;
    cell(cells, "%s", "");
    cell(cells, "A");
    cell(cells, "B");
    cell(cells, "difference");
    row(cells, "accuracy", x->accuracy, y->accuracy);
    row(cells, "macro F1", x->macro_f1, y->macro_f1);
    row(cells, "macro AUC", a->figures.macro_auc, b->figures.macro_auc);
    row(cells, "log loss", x->log_loss, y->log_loss);
    row(cells, "Brier", x->brier, y->brier);
    row(cells, "calibration error", x->calibration_error, y->calibration_error);
    print_table(cells, 4);
}

static void print_verdict(const struct evaluation *a, const struct difference *d)
{
    const struct train_interval *gain = &d->accuracy;
    if (!isfinite(gain->low)) {
        puts("\nAll samples are of one source: whether the difference is chance cannot be "
             "told.");
        return;
    }
    printf(
        "\nThe accuracy of B less that of A is %+.4f, 95 %% interval %+.4f to %+.4f by %d %s: "
        "%s\n",
        gain->mean, gain->low, gain->high, a->figures.sources,
        a->figures.sources < a->selection.count ? "sources" : "samples",
        gain->low > 0    ? "B is right more often."
        : gain->high < 0 ? "A is right more often."
                         : "it may be chance.");
}

static void print_right(const struct difference *d, GPtrArray *cells)
{
    cell(cells, "%s", "");
    cell(cells, "B right");
    cell(cells, "B wrong");
    cell(cells, "A right");
    cell(cells, "%d", d->right[1][1]);
    cell(cells, "%d", d->right[1][0]);
    cell(cells, "A wrong");
    cell(cells, "%d", d->right[0][1]);
    cell(cells, "%d", d->right[0][0]);
    putchar('\n');
    print_table(cells, 3);
}

static void print_changed(const struct evaluation *a, const struct evaluation *b,
                          const struct difference *d, GPtrArray *cells)
{
    static const char *const heading[] = {"sample", "is", "A says", "B says", "source"};
    const bool sources = a->dataset->sources.count > 0;
    const size_t columns = sources ? 5 : 4;
    int told = 0;
    if (d->changed == 0)
        return;
    for (size_t i = 0; i < columns; i++)
        cell(cells, "%s", heading[i]);
    for (int i = 0; i < a->selection.count && told < PRINTED_MAX; i++) {
        const char *first = answer_of(a, i), *second = answer_of(b, i);
        if (strcmp(first, second) == 0)
            continue;
        cell(cells, "%d", a->samples[i] + 1);
        cell(cells, "%s", label_of(a, i));
        cell(cells, "%s", first);
        cell(cells, "%s", second);
        if (sources)
            cell(cells, "%s", source_of(a, i));
        told++;
    }
    printf("\n%d answers differ", d->changed);
    if (d->changed > told)
        printf("; the first %d", told);
    puts(":");
    print_table(cells, columns);
}

static void print_model(const char *letter, const struct evaluation *e)
{
    g_autofree char *model = output_printable(e->about.model);
    const char *warning = figures_warning(&e->about);
    printf("%s  %s%s%s\n", letter, model, warning ? ". " : "", warning ? warning : "");
}

static void print(const struct evaluation *a, const struct evaluation *b,
                  const struct difference *d)
{
    g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *data = output_printable(a->about.data);
    print_model("A", a);
    print_model("B", b);
    printf("%d samples (%s) of %s\n\n", a->selection.count, a->about.split, data);
    print_figures(a, b, cells);
    print_verdict(a, d);
    print_right(d, cells);
    print_changed(a, b, d, cells);
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(round(value * 1e6) / 1e6) : json_null();
}

static json_t *model_json(const struct evaluation *e)
{
    const struct train_metrics *m = &e->figures.metrics;
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "file", e->about.model,
                     "sha256", e->judge.sha256, "learned_from", e->about.training_data,
                     "accuracy", number(m->accuracy), "macro_f1", number(m->macro_f1),
                     "macro_auc", number(e->figures.macro_auc), "log_loss", number(m->log_loss),
                     "brier", number(m->brier), "calibration_error",
                     number(m->calibration_error));
}

static json_t *changed_json(const struct evaluation *a, const struct evaluation *b)
{
    json_t *list = json_array();
    for (int i = 0; i < a->selection.count && json_array_size(list) < LISTED_MAX; i++) {
        const char *first = answer_of(a, i), *second = answer_of(b, i);
        if (strcmp(first, second) == 0)
            continue;
        g_autofree char *source = g_utf8_make_valid(source_of(a, i), -1);
        json_t *json = json_pack("{s:i, s:s, s:s, s:s}", "sample", a->samples[i] + 1, "label",
                                 label_of(a, i), "a", first, "b", second);
        if (*source)
            json_object_set_new(json, "source", json_string(source));
        json_array_append_new(list, json);
    }
    return list;
}

static void print_json(const struct evaluation *a, const struct evaluation *b,
                       const struct difference *d)
{
    json_t *data =
        json_pack("{s:s, s:s, s:i, s:i}", "name", a->about.data, "split", a->about.split,
                  "samples", a->selection.count, "sources", a->figures.sources);
    json_t *gain =
        json_pack("{s:o, s:f, s:o, s:o}", "accuracy", number(d->accuracy.mean), "level", 0.95,
                  "low", number(d->accuracy.low), "high", number(d->accuracy.high));
    json_t *json =
        json_pack("{s:s, s:o, s:o, s:o, s:o, s:i, s:i, s:i, s:i, s:i, s:o}", "format", FORMAT,
                  "data", data, "a", model_json(a), "b", model_json(b), "difference", gain,
                  "both_right", d->right[1][1], "only_a_right", d->right[1][0], "only_b_right",
                  d->right[0][1], "both_wrong", d->right[0][0], "changed_count", d->changed,
                  "changed", changed_json(a, b));
    output_json_line(json);
    json_decref(json);
}

/* --- the verb ----------------------------------------------------------------------------- */

static int run(const struct evaluation_options *options, char **models, bool json)
{
    struct evaluation a = {0}, b = {0};
    struct difference difference = {0};
    int result = evaluation_run(&a, options, models[0]);
    if (result == CLI_OK)
        result = evaluation_run(&b, options, models[1]);
    if (result == CLI_OK)
        result = check_same(&a, &b);
    if (result == CLI_OK)
        result = compare(&a, &b, &difference);
    if (result == CLI_OK && json)
        print_json(&a, &b, &difference);
    else if (result == CLI_OK)
        print(&a, &b, &difference);
    evaluation_finish(&a);
    evaluation_finish(&b);
    return result;
}

int model_compare(int argc, char **argv)
{
    struct evaluation_options o = {.threads = 1};
    gboolean json = FALSE;
    const GOptionEntry entries[] = {
        {"recipe", 'r', 0, G_OPTION_ARG_FILENAME, &o.recipe,
         "The recipe whose [data] names the samples and splits them", "FILE"},
        {"data", 'd', 0, G_OPTION_ARG_FILENAME, &o.data,
         "Where the recipe's files are; else beside the recipe. Without a recipe: a folder "
         "with a folder of clips for each label, or a table of clips",
         "PATH"},
        {"split", 's', 0, G_OPTION_ARG_STRING, &o.split,
         "test, validation, train or all; else test where there is one, or validation", "PART"},
        {"threads", 't', 0, G_OPTION_ARG_INT, &o.threads, "Samples at a time, default 1", "N"},
        {"json", 'j', 0, G_OPTION_ARG_NONE, &json, "One JSON object", NULL},
        G_OPTION_ENTRY_NULL};
    int result =
        cli_parse(&argc, &argv, "A B",
                  "Runs two classifiers on the same labelled samples, as vigil eval does, and "
                  "tells which is right more often, whether that may be chance, and where "
                  "they differ.",
                  entries);
    if (result != 0)
        return result - 1;
    if (argc != 3)
        result = cli_fail(CLI_USAGE, "give two models (see: vigil model compare --help)");
    else
        result = evaluation_check(&o);
    if (result == CLI_OK)
        result = run(&o, argv + 1, json);
    evaluation_clear(&o);
    return result;
}
