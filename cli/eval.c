/* vigil eval: a model and labelled samples in, how well it does out. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/background.h"
#include "cli/cli.h"
#include "cli/evalreport.h"
#include "cli/evaluation.h"
#include "cli/output.h"
#include "cli/reportfolder.h"

/* What is printed at most: a terminal is no wider. */
#define PRINTED_MATRIX_MAX     12
#define PRINTED_HEADING_MAX    12
#define PRINTED_CONFUSIONS_MAX 10

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

static void print(const struct evaluation *e)
{
    const struct figures *f = &e->figures;
    const struct figures_about *about = &e->about;
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

static void print_json(const struct evaluation *e)
{
    json_t *json = figures_json(&e->figures, &e->about);
    output_json_line(json);
    json_decref(json);
}

int cli_eval(int argc, char **argv)
{
    struct evaluation_options o = {.threads = 1};
    struct evaluation e = {0};
    char *report = NULL;
    gboolean json = FALSE;
    struct background background = {0};
    const GOptionEntry entries[] = {
        {"recipe", 'r', 0, G_OPTION_ARG_FILENAME, &o.recipe,
         "The recipe whose [data] names the samples and splits them", "FILE"},
        {"data", 'd', 0, G_OPTION_ARG_FILENAME, &o.data,
         "Where the recipe's files are; else beside the recipe. Without a recipe: a folder "
         "with a folder of clips for each label, or a table of clips",
         "PATH"},
        {"split", 's', 0, G_OPTION_ARG_STRING, &o.split,
         "test, validation, train or all; else test where there is one, or validation", "PART"},
        {"report", 'o', 0, G_OPTION_ARG_FILENAME, &report,
         "Write metrics.json, curves.csv, report.html and TensorBoard's events into a folder",
         "DIR"},
        {"positive", 'p', 0, G_OPTION_ARG_STRING, &o.positive,
         "Of two labels, the one that thresholds are told for; else the one that is not "
         "vigil.background, or the second",
         "LABEL"},
        {"threads", 't', 0, G_OPTION_ARG_INT, &o.threads, "Samples at a time, default 1", "N"},
        {"json", 'j', 0, G_OPTION_ARG_NONE, &json, "One JSON object, that of metrics.json",
         NULL},
        BACKGROUND_OPTIONS(&background),
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
        result = evaluation_check(&o);
    if (result == CLI_OK)
        result = background_enter(&background);
    if (result == CLI_OK && report)
        result = reportfolder_check(report);
    if (result == CLI_OK)
        result = evaluation_run(&e, &o, argv[1]);
    if (result == CLI_OK && report)
        result = evalreport_write(report, &e.figures, &e.about);
    if (result == CLI_OK && json)
        print_json(&e);
    else if (result == CLI_OK)
        print(&e);
    evaluation_finish(&e);
    evaluation_clear(&o);
    g_free(report);
    return result;
}
