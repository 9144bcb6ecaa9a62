#include "cli/card.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/figures.h"
#include "cli/output.h"
#include "record/file.h"

/* How a card begins, by which it is known. */
#define MARK "<!-- A card of vigil train"

#define CARD_BYTES_MAX (4 << 20)
#define MATRIX_MAX     20 /* labels: a line of more is not read */
#define FEW_SAMPLES    30 /* of a label: less says little of it */
#define FEW_SOURCES    5
#define MENTIONED_MAX  5 /* labels in a sentence */

static void add(GString *text, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void add(GString *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_string_append_vprintf(text, format, arguments);
    va_end(arguments);
}

/* Markdown takes a backslash before any punctuation; a browser may take "<" for HTML still. */
static void add_name(GString *text, const char *name)
{
    g_autofree char *printable = output_printable(name);
    for (const char *at = printable; *at; at++) {
        if (*at == '<')
            g_string_append(text, "&lt;");
        else if (*at == '&')
            g_string_append(text, "&amp;");
        else if (g_ascii_ispunct(*at) && !strchr("-.,/:'()", *at))
            add(text, "\\%c", *at);
        else
            g_string_append_c(text, *at);
    }
}

static void add_number(GString *text, double value)
{
    if (isfinite(value))
        add(text, "%.4f", value);
    else
        g_string_append(text, "–");
}

static const struct train_dataset *data_of(const struct card *card)
{
    return card->learned->data;
}

/* --- what it is --------------------------------------------------------------------------- */

static void add_input(GString *text, const struct card *card)
{
    const struct nn_shape *shape = &data_of(card)->shape;
    const struct train_fit_options *options = &card->recipe->options;
    bool window = data_of(card)->pictures && shape->rank == 4;
    const int64_t *dim = shape->dim + window;
    if (data_of(card)->pictures) {
        add(text, "It takes ");
        if (window)
            add(text, "windows of %d pictures of ", (int)shape->dim[0]);
        else
            g_string_append(text, "pictures of ");
        add(text, "%d×%d pixels (width × height), %s", (int)dim[2], (int)dim[1],
            dim[0] == 1 ? "grey" : "RGB");
        if (card->recipe->fps > 0)
            add(text, ", at %g frames a second", card->recipe->fps);
    } else {
        g_string_append(text, "It takes blocks of numbers, ");
        for (int d = 0; d < shape->rank; d++)
            add(text, "%s%d", d > 0 ? "×" : "", (int)shape->dim[d]);
    }
    add(text, "; each value enters as (value − %g) × %g.\n", (double)options->mean,
        (double)options->scale);
}

static void add_top(GString *text, const struct card *card)
{
    const struct train_names *classes = &data_of(card)->classes;
    g_autofree char *name = g_path_get_basename(card->model);
    add(text, MARK ", which writes it anew with the model. -->\n\n# ");
    add_name(text, name);
    add(text, "\n\nA network of %d labels: ", classes->count);
    for (int c = 0; c < classes->count; c++) {
        g_string_append(text, c > 0 ? ", " : "");
        add_name(text, classes->names[c]);
    }
    g_string_append(text, ".\n");
    add_input(text, card);
}

/* --- data --------------------------------------------------------------------------------- */

static int count_class(const struct train_selection *selection, int class_number)
{
    int count = 0;
    for (int i = 0; i < selection->count; i++)
        count += selection->data->labels[selection->samples[i]] == class_number;
    return count;
}

static int count_sources(const struct train_selection *selection)
{
    g_autofree bool *seen = g_new0(bool, MAX(selection->data->group_count, 1));
    int count = 0;
    for (int i = 0; i < selection->count; i++) {
        bool *of = &seen[selection->data->groups[selection->samples[i]]];
        count += !*of;
        *of = true;
    }
    return count;
}

static bool knows_sources(const struct card *card)
{
    return data_of(card)->sources.count > 0;
}

static void add_part(GString *text, const struct card *card,
                     const struct train_selection *selection, const char *what)
{
    add(text, "%d samples %s", selection->count, what);
    if (knows_sources(card))
        add(text, ", of %d sources", count_sources(selection));
}

static void add_split(GString *text, const struct card *card)
{
    const struct recipe_validation *v = &card->recipe->validation;
    if (v->last > 0)
        add(text, "Held back were the last %d samples.", v->last);
    else if (v->share > 0)
        add(text, "Held back was a share of %g, %s, drawn from seed %" G_GUINT64_FORMAT ".",
            v->share,
            knows_sources(card) ? "whole sources at a time"
                                : "sample by sample (sources are not known)",
            (guint64)card->recipe->options.seed);
    else if (card->held->count > 0)
        g_string_append(text, "Held back was what the data names for it.");
    g_string_append(text, card->held->count > 0 ? "\n" : "");
}

static void add_data(GString *text, const struct card *card)
{
    const struct train_names *classes = &data_of(card)->classes;
    g_string_append(text, "\n## Data\n\n");
    add_part(text, card, card->learned, "to learn from");
    g_string_append(text, "; ");
    add_part(text, card, card->held, "held back");
    g_string_append(text, ".\n");
    add_split(text, card);
    add(text, "%d epochs were run. Digest of samples, labels and split: `%s`.\n\n",
        card->epochs, card->data_sha256);
    g_string_append(text, "| label | to learn from | held back |\n|---|---|---|\n");
    for (int c = 0; c < classes->count; c++) {
        g_string_append(text, "| ");
        add_name(text, classes->names[c]);
        add(text, " | %d | %d |\n", count_class(card->learned, c), count_class(card->held, c));
    }
}

/* --- figures ------------------------------------------------------------------------------ */

/* How often it would be right to say always what is most frequent. */
static double baseline(const struct figures *f, int *ret_label)
{
    *ret_label = 0;
    for (int c = 1; c < f->classes; c++)
        if (f->metrics.by_class[c].support > f->metrics.by_class[*ret_label].support)
            *ret_label = c;
    return (double)f->metrics.by_class[*ret_label].support / f->metrics.count;
}

static void add_accuracy(GString *text, const struct figures *f)
{
    int label;
    double always = baseline(f, &label);
    add(text, "Accuracy **%.4f** of %d samples", f->accuracy.mean, f->metrics.count);
    if (isfinite(f->accuracy.low))
        add(text, ", 95 %% interval %.4f to %.4f by %d %s", f->accuracy.low, f->accuracy.high,
            f->sources, f->sources < f->metrics.count ? "sources" : "samples");
    add(text, ". Who always says ");
    add_name(text, f->labels[label]);
    add(text, " is right in %.4f. Macro F1 %.4f, log loss %.4f, calibration error %.4f.\n\n",
        always, f->metrics.macro_f1, f->metrics.log_loss, f->metrics.calibration_error);
}

static void add_classes(GString *text, const struct figures *f)
{
    g_string_append(text, "| label | samples | precision | recall | F1 | AUC |\n"
                          "|---|---|---|---|---|---|\n");
    for (int c = 0; c < f->classes; c++) {
        const struct train_class_metrics *m = &f->metrics.by_class[c];
        const double cells[] = {m->precision, m->recall, m->f1, f->by_class[c].auc};
        g_string_append(text, "| ");
        add_name(text, f->labels[c]);
        add(text, " | %d", m->support);
        for (size_t i = 0; i < G_N_ELEMENTS(cells); i++) {
            g_string_append(text, " | ");
            add_number(text, cells[i]);
        }
        g_string_append(text, " |\n");
    }
}

static void add_matrix(GString *text, const struct figures *f)
{
    g_string_append(text, "\nRows: what it was. Columns: what the model said.\n\n| |");
    for (int c = 0; c < f->classes; c++) {
        g_string_append_c(text, ' ');
        add_name(text, f->labels[c]);
        g_string_append(text, " |");
    }
    g_string_append(text, "\n|---|");
    for (int c = 0; c < f->classes; c++)
        g_string_append(text, "---|");
    for (int c = 0; c < f->classes; c++) {
        const int *row = f->metrics.confusion + (size_t)c * (size_t)(f->classes + 1);
        g_string_append(text, "\n| ");
        add_name(text, f->labels[c]);
        g_string_append(text, " |");
        for (int a = 0; a < f->classes; a++)
            add(text, " %d |", row[a]);
    }
    g_string_append_c(text, '\n');
}

/* `f`: NULL where there are none. */
static void add_figures(GString *text, const struct card *card, const struct figures *f)
{
    g_string_append(text, "\n## Samples that it has not learned from\n\n");
    if (!f) {
        g_string_append(text, card->held->count > 0 ? "Its labels were not what it learned.\n"
                                                    : "None was held back: nothing is known of "
                                                      "how well it does on others.\n");
        return;
    }
    add_accuracy(text, f);
    add_classes(text, f);
    if (f->classes <= MATRIX_MAX)
        add_matrix(text, f);
}

/* --- how far to trust it ------------------------------------------------------------------ */

static void add_rare(GString *text, const struct figures *f)
{
    int rare = 0;
    for (int c = 0; c < f->classes; c++) {
        if (f->metrics.by_class[c].support >= FEW_SAMPLES)
            continue;
        if (rare < MENTIONED_MAX) {
            g_string_append(text, rare == 0 ? "* Little is known of " : ", ");
            add_name(text, f->labels[c]);
        }
        rare++;
    }
    if (rare > MENTIONED_MAX)
        add(text, " and %d others", rare - MENTIONED_MAX);
    if (rare > 0)
        add(text, ": fewer than %d samples of each were held back.\n", FEW_SAMPLES);
}

static void add_limits(GString *text, const struct card *card, const struct figures *f)
{
    int label, sources = count_sources(card->held);
    g_string_append(text, "\n## How far to trust it\n\n");
    if (f && !(f->accuracy.low > baseline(f, &label))) {
        g_string_append(text, "* It is not shown to be better than saying always ");
        add_name(text, f->labels[label]);
        g_string_append(text, ".\n");
    }
    if (f && f->accuracy.mean >= 1) /* the rule of three: (1 - 3/n)^n is about 0.05 */
        add(text,
            "* That none of %d %s was wrong leaves room for up to %.1f %% of others to be, "
            "which "
            "the interval does not show.\n",
            f->sources, f->sources < f->metrics.count ? "sources" : "samples",
            MIN(300.0 / f->sources, 100));
    if (f && card->recipe->options.keep_best)
        g_string_append(text, "* The samples held back chose the epoch that was kept "
                              "(`keep = best`): the figures flatter it a little.\n");
    if (f && !knows_sources(card))
        g_string_append(text,
                        "* Which samples come from one source is not known: what was held "
                        "back may be like what it learned from, and the figures better "
                        "than for another camera.\n");
    if (f && knows_sources(card) && sources < FEW_SOURCES)
        add(text, "* Held back were %d sources only: another camera may be another matter.\n",
            sources);
    if (f)
        add_rare(text, f);
    g_string_append(text, "* Whatever it is shown gets one of its labels, also what is none of "
                          "them.\n");
    if (f)
        g_string_append(text,
                        "* It was judged by samples like those that it learned from; try it "
                        "on recordings of the place where it is to work.\n");
}

/* Indented, each line by itself: nothing in it ends the block. */
static void add_recipe(GString *text, const struct card *card)
{
    g_auto(GStrv) lines = g_strsplit(card->recipe->text, "\n", -1);
    g_string_append(text, "\n## Recipe\n\n");
    for (char **line = lines; *line; line++) {
        g_autofree char *printable = output_printable(g_strchomp(*line));
        if (*printable)
            add(text, "    %s\n", printable);
        else if (line[1])
            g_string_append_c(text, '\n');
    }
}

static GString *make(const struct card *card, const struct figures *figures)
{
    GString *text = g_string_new(NULL);
    add_top(text, card);
    add_data(text, card);
    add_figures(text, card, figures);
    add_limits(text, card, figures);
    add_recipe(text, card);
    return text;
}

/* NULL with a line said. */
static GString *measure_and_make(const struct card *card)
{
    const struct train_dataset *data = data_of(card);
    const int count = card->held->count, classes = data->classes.count;
    g_autofree int *labels = g_new(int, MAX(count, 1)), *groups = g_new(int, MAX(count, 1));
    g_auto(GStrv) names = g_new0(char *, classes + 1);
    struct figures figures = {0};
    struct nn_error err = {{0}};
    for (int i = 0; i < count; i++) {
        labels[i] = data->labels[card->held->samples[i]];
        groups[i] = data->groups[card->held->samples[i]];
    }
    for (int c = 0; c < classes; c++)
        names[c] = g_utf8_make_valid(data->classes.names[c], -1);
    const struct figures_input input = {.answers = {.count = count,
                                                    .classes = classes,
                                                    .labels = labels,
                                                    .scores = card->scores},
                                        .labels = (const char *const *)names,
                                        .groups = groups,
                                        .group_count = data->group_count,
                                        .positive = 1};
    int r = card->scores ? figures_init(&figures, &input, &err) : 0;
    GString *text = r == 0 ? make(card, card->scores ? &figures : NULL) : NULL;
    if (!text)
        cli_fail(CLI_INTERNAL, "%s", err.text);
    figures_finish(&figures);
    return text;
}

/* --- the file ----------------------------------------------------------------------------- */

static bool is_card(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    bool is =
        file_read_path(path, CARD_BYTES_MAX, &text, &size) == 0 && g_str_has_prefix(text, MARK);
    free(text);
    return is;
}

int card_write(const struct card *card)
{
    const char *suffix = ".onnx";
    size_t length = strlen(card->model);
    bool has = g_str_has_suffix(card->model, suffix);
    g_autofree char *name = g_strndup(card->model, has ? length - strlen(suffix) : length);
    g_autofree char *path = g_strconcat(name, ".md", NULL);
    g_autoptr(GError) error = NULL;
    if (g_file_test(path, G_FILE_TEST_EXISTS) && !is_card(path)) {
        g_autofree char *shown = output_printable(path);
        fprintf(stderr, "%s is no card of vigil train: it stays as it is\n", shown);
        return CLI_OK;
    }
    GString *text = measure_and_make(card);
    if (!text)
        return CLI_INTERNAL;
    bool written = g_file_set_contents(path, text->str, (gssize)text->len, &error);
    g_string_free(text, TRUE);
    return written ? CLI_OK
                   : cli_fail(CLI_NO_INPUT, "cannot write %s: %s", path, cli_reason(error));
}
