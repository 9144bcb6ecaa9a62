/* vigil eval: a model and labelled samples in, how well it does out. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/evalreport.h"
#include "cli/figures.h"
#include "cli/judge.h"
#include "cli/output.h"
#include "cli/recipe.h"
#include "cli/reportfolder.h"
#include "cli/trainingdata.h"
#include "record/text.h"

/* What is printed at most: a terminal is no wider. */
#define PRINTED_MATRIX_MAX     12
#define PRINTED_HEADING_MAX    12
#define PRINTED_CONFUSIONS_MAX 10

struct evaluation {
    /* As asked for. */
    char *model, *recipe_path, *data, *split, *report, *positive;
    int threads;
    gboolean json;

    struct recipe recipe;
    struct train_dataset *dataset;
    int *samples;
    struct train_selection selection;
    const struct split *part; /* what the samples are */
    char *data_sha256;
    struct judge judge;
    int *labels, *groups; /* of the samples */
    float *scores;
    struct figures figures;
    double seconds; /* that running took */
};

/* --- data --------------------------------------------------------------------------------- */

static const struct split {
    const char *name;
    unsigned parts;
} splits[] = {
    {"test", 1u << TRAIN_PART_TEST},
    {"validation", 1u << TRAIN_PART_VALIDATION},
    {"train", TRAININGDATA_LEARN},
    {"all", TRAININGDATA_LEARN | 1u << TRAIN_PART_VALIDATION | 1u << TRAIN_PART_TEST},
};

static const struct split *find_split(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(splits); i++)
        if (strcmp(splits[i].name, name) == 0)
            return &splits[i];
    return NULL;
}

static bool take_split(struct evaluation *e, const struct split *split)
{
    g_free(e->samples);
    e->samples = trainingdata_select(e->dataset, split->parts, &e->selection.count);
    e->selection.data = e->dataset;
    e->selection.samples = e->samples;
    e->part = split;
    return e->selection.count > 0;
}

/* Those that are asked for; else those that nothing was learned from, which is all where no recipe
 * says otherwise. */
static int select_samples(struct evaluation *e)
{
    if (!e->recipe_path)
        return take_split(e, find_split("all"))
                   ? CLI_OK
                   : cli_fail(CLI_NO_INPUT, "%s: there are no samples", e->recipe.path);
    if (e->split)
        return take_split(e, find_split(e->split))
                   ? CLI_OK
                   : cli_fail(CLI_CONFIG, "%s: of %d samples none is for %s", e->recipe.path,
                              e->dataset->count, e->split);
    if (take_split(e, find_split("test")) || take_split(e, find_split("validation")))
        return CLI_OK;
    return cli_fail(CLI_CONFIG,
                    "%s: it keeps no samples back to judge by: say [data] validation in the "
                    "recipe, or --split all for those that were learned from",
                    e->recipe.path);
}

/* --- judging ------------------------------------------------------------------------------ */

static int find_positive(const struct evaluation *e, int *ret_positive)
{
    const struct judge *judge = &e->judge;
    *ret_positive = judge->positive;
    if (!e->positive)
        return CLI_OK;
    for (int i = 0; i < judge->label_count && judge->label_count == 2; i++)
        if (strcmp(judge->labels[i], e->positive) == 0) {
            *ret_positive = i;
            return CLI_OK;
        }
    g_autofree char *list = g_strjoinv(", ", judge->labels);
    return cli_fail(CLI_USAGE, "--positive %s: should be one of two labels, the model has %s",
                    e->positive, list);
}

static int measure(struct evaluation *e)
{
    const int count = e->selection.count;
    int positive, result = find_positive(e, &positive);
    if (result != CLI_OK)
        return result;
    e->labels = g_new(int, count);
    e->groups = g_new(int, count);
    e->scores = g_new(float, (gsize)count *(gsize)e->judge.label_count);
    for (int i = 0; i < count; i++)
        e->groups[i] = e->dataset->groups[e->samples[i]];
    gint64 start = g_get_monotonic_time();
    result = judge_run(&e->judge, &e->selection, e->threads, e->labels, e->scores);
    e->seconds = (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;
    if (result != CLI_OK)
        return result;
    const struct figures_input input = {
        .answers = {.count = count,
                    .classes = e->judge.label_count,
                    .labels = e->labels,
                    .scores = e->scores},
        .labels = (const char *const *)e->judge.labels,
        .groups = e->groups,
        .group_count = e->dataset->group_count,
        .positive = positive,
    };
    struct nn_error err = {{0}};
    int r = figures_init(&e->figures, &input, &err);
    if (r == -EINVAL)
        return cli_fail(CLI_CONFIG,
                        "%s: %s; of a model that gives logits vigil.head (in its metadata, or "
                        "in MODEL.modelinfo beside it) should say softmax or sigmoid",
                        e->judge.path, err.text);
    return r < 0 ? cli_fail(CLI_INTERNAL, "%s", err.text) : CLI_OK;
}

/* What the model was taught by, and what that makes of the figures. */
static const char *training_data(const struct evaluation *e)
{
    const char *own = nn_model_metadata(e->judge.model, "vigil.data_sha256");
    return !own ? "unknown" : strcmp(own, e->data_sha256) == 0 ? "same" : "other";
}

/* --- what is told ------------------------------------------------------------------------- */

/* Rows of a table, cell by cell. */
static void cell(GPtrArray *cells, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void cell(GPtrArray *cells, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_ptr_array_add(cells, g_strdup_vprintf(format, arguments));
    va_end(arguments);
}

static void number(GPtrArray *cells, double value)
{
    if (isfinite(value))
        cell(cells, "%.4f", value);
    else
        cell(cells, "-");
}

static void print_table(GPtrArray *cells, size_t columns)
{
    output_table((const char *const *)cells->pdata, cells->len / columns, columns);
    g_ptr_array_set_size(cells, 0);
}

static void row(GPtrArray *cells, const char *name, double value)
{
    cell(cells, "%s", name);
    number(cells, value);
}

static void print_overall(const struct figures *f, GPtrArray *cells)
{
    const struct train_metrics *m = &f->metrics;
    row(cells, "accuracy", f->accuracy.mean);
    cell(cells, "95 %% interval");
    if (isfinite(f->accuracy.low))
        cell(cells, "%.4f to %.4f, by %d %s", f->accuracy.low, f->accuracy.high, f->sources,
             f->sources < m->count ? "sources" : "samples");
    else
        cell(cells, "none: all samples are of one source");
    for (int i = 0; i < f->top_count; i++) {
        char name[16];
        g_snprintf(name, sizeof name, "top-%d", f->top_k[i]);
        row(cells, name, f->top[i]);
    }
    row(cells, "macro F1", m->macro_f1);
    row(cells, "macro AUC", f->macro_auc);
    row(cells, "macro AP", f->macro_ap);
    row(cells, "log loss", m->log_loss);
    row(cells, "Brier", m->brier);
    row(cells, "calibration error", m->calibration_error);
    print_table(cells, 2);
    if (m->unanswered > 0)
        printf("%d samples have a score that is not a number: they count as wrong.\n",
               m->unanswered);
}

static void print_classes(const struct figures *f, GPtrArray *cells)
{
    static const char *const heading[] = {"label", "samples", "precision", "recall",
                                          "F1",    "AUC",     "AP"};
    for (size_t i = 0; i < G_N_ELEMENTS(heading); i++)
        cell(cells, "%s", heading[i]);
    for (int c = 0; c < f->classes; c++) {
        const struct train_class_metrics *m = &f->metrics.by_class[c];
        cell(cells, "%s", f->labels[c]);
        cell(cells, "%d", m->support);
        number(cells, m->precision);
        number(cells, m->recall);
        number(cells, m->f1);
        number(cells, f->by_class[c].auc);
        number(cells, f->by_class[c].ap);
    }
    putchar('\n');
    print_table(cells, G_N_ELEMENTS(heading));
}

static void print_matrix(const struct figures *f, GPtrArray *cells)
{
    const int columns = f->classes + (f->metrics.unanswered > 0);
    cell(cells, "is \\ said");
    for (int c = 0; c < columns; c++) {
        const char *name = c < f->classes ? f->labels[c] : "(none)";
        bool fits = g_utf8_strlen(name, -1) <= PRINTED_HEADING_MAX;
        g_autofree char *begin = g_utf8_substring(name, 0, fits ? -1 : PRINTED_HEADING_MAX - 1);
        cell(cells, "%s%s", begin, fits ? "" : "…");
    }
    for (int c = 0; c < f->classes; c++) {
        const int *from = f->metrics.confusion + (size_t)c * (size_t)(f->classes + 1);
        cell(cells, "%s", f->labels[c]);
        for (int a = 0; a < columns; a++)
            cell(cells, "%d", from[a]);
    }
    putchar('\n');
    print_table(cells, (size_t)columns + 1);
}

static void print_confusions(const struct figures *f, GPtrArray *cells)
{
    int count;
    g_autofree struct figures_confusion *confusions =
        figures_confusions(f, PRINTED_CONFUSIONS_MAX, &count);
    if (count == 0)
        return;
    cell(cells, "is");
    cell(cells, "said");
    cell(cells, "samples");
    for (int i = 0; i < count; i++) {
        cell(cells, "%s", f->labels[confusions[i].label]);
        cell(cells, "%s",
             confusions[i].answer < f->classes ? f->labels[confusions[i].answer] : "(none)");
        cell(cells, "%d", confusions[i].count);
    }
    puts("\nMistaken most often:");
    print_table(cells, 3);
}

static void print_sweep(const struct figures *f, GPtrArray *cells)
{
    static const char *const heading[] = {"threshold", "precision",    "recall",
                                          "F1",        "false alarms", "accuracy"};
    const struct figures_class *positive = &f->by_class[f->positive];
    g_autofree char *label = output_printable(f->labels[f->positive]);
    for (size_t i = 0; i < G_N_ELEMENTS(heading); i++)
        cell(cells, "%s", heading[i]);
    for (int i = 1; i < FIGURES_THRESHOLDS; i += 2) {
        const struct figures_threshold *at = &f->sweep[i];
        cell(cells, "%.1f", at->threshold);
        number(cells, at->precision);
        number(cells, at->recall);
        number(cells, at->f1);
        number(cells, at->alarm_rate);
        number(cells, at->accuracy);
    }
    printf("\n\"%s\" when its score is at or above a threshold", label);
    if (isfinite(positive->best_threshold))
        printf("; F1 is best, %.4f, at %.4f", positive->best_f1, positive->best_threshold);
    puts(":");
    print_table(cells, G_N_ELEMENTS(heading));
}

static void print(const struct evaluation *e, const struct figures_about *about)
{
    const struct figures *f = &e->figures;
    g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *model = output_printable(about->model);
    g_autofree char *data = output_printable(about->data);
    printf("%s: %d samples (%s) of %s in %.2f s\n", model, f->metrics.count, about->split, data,
           e->seconds);
    const char *warning = figures_warning(about);
    if (warning)
        puts(warning);
    if (about->labels_assumed)
        puts("The model does not name its labels: the data's classes are taken in their "
             "order.");
    putchar('\n');
    print_overall(f, cells);
    print_classes(f, cells);
    if (f->classes <= PRINTED_MATRIX_MAX)
        print_matrix(f, cells);
    else
        print_confusions(f, cells);
    if (f->positive >= 0)
        print_sweep(f, cells);
}

static int tell(const struct evaluation *e)
{
    g_autofree char *model = g_utf8_make_valid(e->judge.path, -1);
    g_autofree char *data = g_utf8_make_valid(e->recipe.path, -1);
    const struct figures_about about = {
        .model = model,
        .model_sha256 = e->judge.sha256,
        .data = data,
        .data_sha256 = e->data_sha256,
        .split = e->part->name,
        .learned_from = (e->part->parts & TRAININGDATA_LEARN) != 0,
        .training_data = training_data(e),
        .labels_assumed = e->judge.labels_assumed,
    };
    int result = e->report ? evalreport_write(e->report, &e->figures, &about) : CLI_OK;
    if (result != CLI_OK)
        return result;
    if (e->json) {
        json_t *json = figures_json(&e->figures, &about);
        output_json_line(json);
        json_decref(json);
    } else {
        print(e, &about);
    }
    return CLI_OK;
}

/* --- the verb ----------------------------------------------------------------------------- */

/* What a recipe would say of folders and tables of clips. */
static void assume_recipe(struct evaluation *e)
{
    e->recipe.path = g_strdup(e->data);
    e->recipe.format = g_strdup("clips");
    e->recipe.samples = g_new0(char *, 2);
    e->recipe.samples[0] = g_canonicalize_filename(e->data, NULL);
}

static int open_data(struct evaluation *e)
{
    gsize size;
    const void *network = g_bytes_get_data(e->judge.bytes, &size);
    judge_settle(&e->judge, &e->recipe);
    int result = trainingdata_open_for(&e->recipe, e->recipe_path ? e->data : NULL, network,
                                       size, e->judge.overrides, &e->dataset);
    if (result == CLI_OK)
        result = select_samples(e);
    if (result == CLI_OK)
        result = judge_match(&e->judge, e->dataset, trainingdata_is_decoded(&e->recipe));
    return result == CLI_OK ? trainingdata_digest(e->dataset, &e->data_sha256) : result;
}

static int evaluate(struct evaluation *e)
{
    int result = e->report ? reportfolder_check(e->report) : CLI_OK;
    if (result != CLI_OK)
        return result;
    if (e->recipe_path)
        result = recipe_read(e->recipe_path, &e->recipe);
    else
        assume_recipe(e);
    if (result == CLI_OK)
        result = judge_open(&e->judge, e->model);
    if (result == CLI_OK)
        result = open_data(e);
    if (result == CLI_OK)
        result = measure(e);
    return result == CLI_OK ? tell(e) : result;
}

static int check_options(const struct evaluation *e)
{
    if (!e->recipe_path && !e->data)
        return cli_fail(CLI_USAGE, "give --recipe FILE, which says what the data is, or --data "
                                   "PATH, a folder of a folder of clips for each label, or a "
                                   "table of clips");
    if (!e->recipe_path && e->split)
        return cli_fail(CLI_USAGE, "--split %s: without a recipe there is one part only",
                        e->split);
    if (e->split && !find_split(e->split)) {
        const char *names[G_N_ELEMENTS(splits) + 1] = {0};
        for (size_t i = 0; i < G_N_ELEMENTS(splits); i++)
            names[i] = splits[i].name;
        const char *nearest = text_nearest(e->split, names);
        return cli_fail(CLI_USAGE, "--split %s: should be test, validation, train or all%s%s%s",
                        e->split, nearest ? "; did you mean " : "", nearest ? nearest : "",
                        nearest ? "?" : "");
    }
    if (e->threads < 1 || e->threads > NN_PLAN_THREADS_MAX)
        return cli_fail(CLI_USAGE, "--threads %d: should be 1 to %d", e->threads,
                        NN_PLAN_THREADS_MAX);
    return CLI_OK;
}

int cli_eval(int argc, char **argv)
{
    struct evaluation e = {.threads = 1};
    const GOptionEntry entries[] = {
        {"recipe", 'r', 0, G_OPTION_ARG_FILENAME, &e.recipe_path,
         "The recipe whose [data] names the samples and splits them", "FILE"},
        {"data", 'd', 0, G_OPTION_ARG_FILENAME, &e.data,
         "Where the recipe's files are; else beside the recipe. Without a recipe: a folder "
         "with a folder of clips for each label, or a table of clips",
         "PATH"},
        {"split", 's', 0, G_OPTION_ARG_STRING, &e.split,
         "test, validation, train or all; else test where there is one, or validation", "PART"},
        {"report", 'o', 0, G_OPTION_ARG_FILENAME, &e.report,
         "Write metrics.json, curves.csv, report.html and TensorBoard's events into a folder",
         "DIR"},
        {"positive", 'p', 0, G_OPTION_ARG_STRING, &e.positive,
         "Of two labels, the one that thresholds are told for; else the one that is not "
         "vigil.background, or the second",
         "LABEL"},
        {"threads", 't', 0, G_OPTION_ARG_INT, &e.threads, "Samples at a time, default 1", "N"},
        {"json", 'j', 0, G_OPTION_ARG_NONE, &e.json, "One JSON object, that of metrics.json",
         NULL},
        G_OPTION_ENTRY_NULL};
    int result =
        cli_parse(&argc, &argv, "FILE | NAME",
                  "Tells how well a classifier does on labelled samples, by default on those "
                  "that its recipe kept back from learning (docs/training.md). Each is run as "
                  "a stream would run "
                  "it, prepared as the model's metadata says.",
                  entries);
    if (result != 0)
        return result - 1;
    if (argc != 2)
        result = cli_fail(CLI_USAGE, "give one model (see: vigil eval --help)");
    else
        result = check_options(&e);
    if (result == CLI_OK) {
        e.model = argv[1];
        result = evaluate(&e);
    }
    figures_finish(&e.figures);
    judge_finish(&e.judge);
    train_dataset_destroy(e.dataset);
    recipe_clear(&e.recipe);
    g_free(e.samples);
    g_free(e.labels);
    g_free(e.groups);
    g_free(e.scores);
    g_free(e.data_sha256);
    g_free(e.recipe_path);
    g_free(e.data);
    g_free(e.split);
    g_free(e.report);
    g_free(e.positive);
    return result;
}
