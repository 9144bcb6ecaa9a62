#include "cli/figurespage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/chart.h"
#include "cli/output.h"

#define MATRIX_MAX     30 /* a reader takes in no larger one */
#define MATRIX_WIDTH   90 /* letters, of which a page shows so many in a row */
#define CONFUSIONS_MAX 30
#define CURVE_STEP     (1 / 150.0) /* two pixels */

static const char style[] =
    ":root{color-scheme:light dark;--back:#fff;--ink:#1b1f24;--soft:#5b6570;--rule:#d9dee4;"
    "--panel:#f5f7f9;--good:37,99,184;--bad:194,65,12;--c1:#2563b8;--c2:#c2410c;--c3:#15803d;"
    "--c4:#9333ea;--c5:#a16207;--c6:#0e7490;--c7:#be185d;--c8:#57534e}\n"
    "@media(prefers-color-scheme:dark){:root{--back:#14171b;--ink:#e6e9ed;--soft:#9aa5b1;"
    "--rule:#343b44;--panel:#1c2127;--good:124,176,255;--bad:255,157,107;--c1:#7cb0ff;"
    "--c2:#ff9d6b;--c3:#6fd694;--c4:#c99bff;--c5:#f0c05a;--c6:#5fd4e6;--c7:#ff8fbf;"
    "--c8:#b8b2ad}}\n"
    "*{box-sizing:border-box}body{margin:0 auto;max-width:1100px;padding:20px 16px 40px;"
    "background:var(--back);color:var(--ink);font:15px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:22px;margin:0;overflow-wrap:anywhere}h2{font-size:17px;margin:32px 0 8px}"
    "p{margin:6px 0;color:var(--soft);overflow-wrap:anywhere}p.note{color:var(--ink);"
    "border-left:3px solid rgb(var(--bad));padding-left:10px}\n"
    "dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:10px;"
    "margin:18px 0}dl div{background:var(--panel);border-radius:8px;padding:10px 12px}"
    "dt{color:var(--soft);font-size:13px}dd{margin:0;font-size:22px;line-height:1.3}"
    "dd small{display:block;font-size:12px;color:var(--soft)}\n"
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(290px,1fr));gap:24px}"
    "figure{margin:0}figcaption{font-size:13px;color:var(--soft)}figcaption b{display:block;"
    "color:var(--ink);font-size:14px}svg{display:block;width:100%;max-width:460px}\n"
    ".grid{stroke:var(--rule);fill:none}.axis{fill:var(--soft);font-size:11px}"
    ".name{font-size:12px}.guide{stroke:var(--soft);stroke-dasharray:4 4;fill:none}"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round}.bar{fill:rgba(var(--good),.75)}"
    ".count{fill:var(--soft)}\n"
    "ul{list-style:none;display:flex;flex-wrap:wrap;gap:2px 14px;padding:0;margin:4px 0;"
    "font-size:13px}ul i{display:inline-block;width:14px;height:3px;vertical-align:middle;"
    "margin-right:5px}li{max-width:100%;overflow-wrap:anywhere}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-size:14px;"
    "font-variant-numeric:tabular-nums}th,td{padding:4px 10px;text-align:right;"
    "border-bottom:1px solid var(--rule)}th{color:var(--soft);font-weight:500;"
    "white-space:nowrap}th[scope=row],th:first-child{text-align:left;color:var(--ink);"
    "max-width:18em;overflow:hidden;text-overflow:ellipsis}\n"
    ".matrix th{max-width:8em;overflow:hidden;text-overflow:ellipsis}.matrix td{"
    "border:1px solid var(--back);min-width:3em;text-align:center}.matrix .zero{"
    "color:var(--soft);opacity:.6}.matrix th[scope=row]{position:sticky;left:0;"
    "background:var(--back)}.tight td{padding:4px 2px;min-width:2.1em}.tight thead th{"
    "padding:4px 2px;text-align:left;vertical-align:bottom;max-width:none;line-height:1}"
    ".tight thead span{display:block;writing-mode:vertical-rl;transform:rotate(180deg);"
    "max-height:9em;margin:auto;overflow:hidden;text-overflow:ellipsis}\n"
    "@media(prefers-color-scheme:light){.h8,.h9{color:#fff}}"
    "@media(prefers-color-scheme:dark){.h6,.h7,.h8,.h9{color:#0b1220}}\n";

/* --- text --------------------------------------------------------------------------------- */

static void add(GString *page, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void add(GString *page, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    g_string_append_vprintf(page, format, arguments);
    va_end(arguments);
}

static char *escape(const char *text)
{
    g_autofree char *printable = output_printable(text);
    return g_markup_escape_text(printable, -1);
}

/* Isolated: a name that is read from the right must not turn what is beside it. */
static void add_name(GString *page, const char *name)
{
    g_autofree char *text = escape(name);
    add(page, "<bdi>%s</bdi>", text);
}

static void add_number(GString *page, double value)
{
    if (isfinite(value))
        add(page, "%.4f", value);
    else
        g_string_append(page, "–");
}

static void add_cell(GString *page, double value)
{
    g_string_append(page, "<td>");
    add_number(page, value);
    g_string_append(page, "</td>");
}

static void add_row_name(GString *page, const char *name)
{
    g_autofree char *title = escape(name);
    add(page, "<tr><th scope=\"row\" title=\"%s\">", title);
    add_name(page, name);
    g_string_append(page, "</th>");
}

static void add_heading(GString *page, const char *const *names)
{
    g_string_append(page, "<div class=\"wide\"><table><thead><tr>");
    for (; *names; names++)
        add(page, "<th>%s</th>", *names);
    g_string_append(page, "</tr></thead><tbody>\n");
}

static void end_table(GString *page)
{
    g_string_append(page, "</tbody></table></div>\n");
}

/* --- the top ------------------------------------------------------------------------------ */

static void begin_tile(GString *page, const char *name, double value)
{
    add(page, "<div><dt>%s</dt><dd>", name);
    add_number(page, value);
}

static void add_tile(GString *page, const char *name, double value, const char *below)
{
    begin_tile(page, name, value);
    add(page, "<small>%s</small></dd></div>\n", below);
}

static void add_tiles(GString *page, const struct figures *f)
{
    const struct train_metrics *m = &f->metrics;
    char name[16], below[64];
    g_string_append(page, "<dl>\n");
    begin_tile(page, "Accuracy", f->accuracy.mean);
    if (isfinite(f->accuracy.low))
        add(page, "<small>95 %% interval %.4f to %.4f</small>", f->accuracy.low,
            f->accuracy.high);
    g_string_append(page, "</dd></div>\n");
    for (int i = 0; i < f->top_count; i++) {
        g_snprintf(name, sizeof name, "Top-%d", f->top_k[i]);
        add_tile(page, name, f->top[i], "its label is among them");
    }
    g_snprintf(below, sizeof below, "precision %.4f, recall %.4f", m->macro_precision,
               m->macro_recall);
    add_tile(page, "Macro F1", m->macro_f1, below);
    add_tile(page, "Macro AUC", f->macro_auc, "area below ROC");
    add_tile(page, "Macro AP", f->macro_ap, "average precision");
    add_tile(page, "Calibration error", m->calibration_error, "ECE, 15 bins");
    add_tile(page, "Log loss", m->log_loss, "natural logarithm");
    add_tile(page, "Brier score", m->brier, "0 is best");
    g_string_append(page, "</dl>\n");
}

static void add_top(GString *page, const struct figures *f, const struct figures_about *about)
{
    g_autofree char *file = g_path_get_basename(about->model);
    g_autofree char *title = escape(file);
    add(page,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" "
        "content=\"default-src 'none';style-src 'unsafe-inline'\">\n"
        "<title>%s: how well it does</title>\n<style>\n%s</style></head><body>\n"
        "<h1>How well <bdi>%s</bdi> does</h1>\n<p>%d samples (%s) of ",
        title, style, title, f->metrics.count, about->split);
    add_name(page, about->data);
    if (f->sources < f->metrics.count)
        add(page, ", from %d sources", f->sources);
    add(page, ". Model %.12s…, data %.12s….</p>\n", about->model_sha256, about->data_sha256);
    const char *warning = figures_warning(about);
    if (warning)
        add(page, "<p class=\"note\">%s</p>\n", warning);
    if (about->labels_assumed)
        g_string_append(page, "<p class=\"note\">The model does not name its labels: the "
                              "data's classes are taken in their order.</p>\n");
    if (f->metrics.unanswered > 0)
        add(page,
            "<p class=\"note\">%d samples have a score that is not a number: they count as "
            "wrong.</p>\n",
            f->metrics.unanswered);
    add_tiles(page, f);
}

/* --- charts ------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* The classes whose curves are drawn: of two the positive one, of many those that do worst. */
static int choose_curves(const struct figures *f, int chosen[CHART_COLOURS])
{
    int count = 0;
    for (int c = 0; c < f->classes; c++) {
        double ap = f->by_class[c].ap;
        if (isnan(f->by_class[c].auc) || (f->positive >= 0 && c != f->positive))
            continue;
        int at = count < CHART_COLOURS ? count++ : CHART_COLOURS;
        for (; at > 0 && ap < f->by_class[chosen[at - 1]].ap; at--)
            if (at < CHART_COLOURS)
                chosen[at] = chosen[at - 1];
        if (at < CHART_COLOURS)
            chosen[at] = c;
    }
    qsort(chosen, (size_t)count, sizeof *chosen, by_number);
    return count;
}

static void add_legend(GString *page, const struct figures *f, const int *chosen, int count,
                       bool roc)
{
    g_string_append(page, "<ul>");
    for (int i = 0; i < count; i++) {
        const struct figures_class *of = &f->by_class[chosen[i]];
        add(page, "<li><i style=\"background:var(--c%d)\"></i>", i + 1);
        add_name(page, f->labels[chosen[i]]);
        add(page, " %.4f</li>", roc ? of->auc : of->ap);
    }
    g_string_append(page, "</ul></figure>\n");
}

static void add_roc(GString *page, const struct figures *f, const int *chosen, int count)
{
    struct chart chart;
    g_string_append(page, "<figure><figcaption><b>ROC</b>Hits and false alarms as the "
                          "threshold falls; the area below (AUC).</figcaption>\n");
    chart_begin(&chart, page, "ROC curves", "false-alarm rate", "recall", false);
    chart_guide(&chart);
    for (int i = count - 1; i >= 0; i--) {
        const struct train_curve *curve = &f->by_class[chosen[i]].curve;
        chart_line_begin(&chart, i);
        for (int at = 0; at < curve->count; at = figures_next_point(curve, at, CURVE_STEP)) {
            const struct train_curve_point *point = &curve->points[at];
            chart_line_to(&chart, train_curve_alarm_rate(curve, point),
                          train_curve_recall(curve, point));
        }
        chart_line_end(&chart);
    }
    chart_end(&chart);
    add_legend(page, f, chosen, count, true);
}

static void add_pr(GString *page, const struct figures *f, const int *chosen, int count)
{
    struct chart chart;
    char title[80];
    g_string_append(page, "<figure><figcaption><b>Precision and recall</b>as the threshold "
                          "falls; average precision (AP). Dots: the best F1.</figcaption>\n");
    chart_begin(&chart, page, "precision-recall curves", "recall", "precision", false);
    for (int i = count - 1; i >= 0; i--) {
        const struct figures_class *of = &f->by_class[chosen[i]];
        const struct train_curve *curve = &of->curve;
        chart_line_begin(&chart, i);
        for (int at = 0; at < curve->count; at = figures_next_point(curve, at, CURVE_STEP)) {
            const struct train_curve_point *point = &curve->points[at];
            chart_step_to(&chart, train_curve_recall(curve, point),
                          train_curve_precision(point));
        }
        chart_line_end(&chart);
        g_snprintf(title, sizeof title, "F1 %.4f at a threshold of %.4f", of->best_f1,
                   of->best_threshold);
        chart_dot(&chart, i, of->best_recall, of->best_precision, title);
    }
    chart_end(&chart);
    add_legend(page, f, chosen, count, false);
}

static void add_reliability(GString *page, const struct train_metrics *m)
{
    struct chart chart;
    int most = 1;
    g_string_append(page, "<figure><figcaption><b>Reliability</b>How often it is right when it "
                          "is so sure; below, how many samples.</figcaption>\n");
    chart_begin(&chart, page, "reliability diagram", "highest score", "accuracy", true);
    for (int i = 0; i < TRAIN_CALIBRATION_BINS; i++)
        most = MAX(most, m->calibration[i].count);
    for (int i = 0; i < TRAIN_CALIBRATION_BINS; i++) {
        const struct train_calibration_bin *bin = &m->calibration[i];
        double from = (double)i / TRAIN_CALIBRATION_BINS,
               to = (double)(i + 1) / TRAIN_CALIBRATION_BINS;
        char title[96];
        if (bin->count == 0)
            continue;
        g_snprintf(title, sizeof title, "%d samples: mean score %.3f, right %.3f", bin->count,
                   bin->confidence, bin->accuracy);
        chart_bar(&chart, from, to, bin->accuracy, title);
        chart_count(&chart, from, to, (double)bin->count / most);
    }
    chart_guide(&chart);
    chart_end(&chart);
    g_string_append(page, "</figure>\n");
}

static void add_charts(GString *page, const struct figures *f)
{
    int chosen[CHART_COLOURS], with_curve = 0, count = choose_curves(f, chosen);
    for (int c = 0; c < f->classes; c++)
        with_curve += !isnan(f->by_class[c].auc);
    g_string_append(page, "<h2>Curves</h2>\n");
    if (f->positive < 0 && count < with_curve)
        add(page,
            "<p>The %d of %d classes with the lowest average precision; all are in "
            "curves.csv.</p>\n",
            count, with_curve);
    if (count == 0)
        g_string_append(page, "<p>No class has samples and others beside them: there are no "
                              "curves.</p>\n");
    g_string_append(page, "<div class=\"charts\">\n");
    if (count > 0) {
        add_roc(page, f, chosen, count);
        add_pr(page, f, chosen, count);
    }
    add_reliability(page, &f->metrics);
    g_string_append(page, "</div>\n");
}

/* --- tables ------------------------------------------------------------------------------- */

static void add_matrix_cell(GString *page, int count, int whole, bool right)
{
    if (count == 0) {
        g_string_append(page, "<td class=\"zero\">0</td>");
        return;
    }
    double share = (double)count / whole;
    int level = MIN((int)(share * 10), 9);
    add(page,
        "<td class=\"h%d\" style=\"background:rgba(var(--%s),.%d5)\" title=\"%.1f %%\">%d</td>",
        level, right ? "good" : "bad", level, share * 100, count);
}

/* Whether names of columns have room side by side; else they stand. */
static bool is_wide(const struct figures *f)
{
    glong letters = 0;
    for (int c = 0; c < f->classes; c++)
        letters += 4 + g_utf8_strlen(f->labels[c], -1);
    return letters > MATRIX_WIDTH;
}

static void add_matrix(GString *page, const struct figures *f)
{
    const int columns = f->classes + (f->metrics.unanswered > 0);
    g_string_append(page, "<h2>Confusion matrix</h2>\n<p>Rows: what it is. Columns: what was "
                          "said. Colour: the share of the row.</p>\n");
    add(page, "<div class=\"wide\"><table class=\"matrix%s\"><thead><tr><th></th>",
        is_wide(f) ? " tight" : "");
    for (int c = 0; c < columns; c++) {
        const char *name = c < f->classes ? f->labels[c] : "(none)";
        g_autofree char *title = escape(name);
        add(page, "<th title=\"%s\"><span>", title);
        add_name(page, name);
        g_string_append(page, "</span></th>");
    }
    g_string_append(page, "</tr></thead><tbody>\n");
    for (int c = 0; c < f->classes; c++) {
        const int *row = f->metrics.confusion + (size_t)c * (size_t)(f->classes + 1);
        add_row_name(page, f->labels[c]);
        for (int a = 0; a < columns; a++)
            add_matrix_cell(page, row[a], f->metrics.by_class[c].support, a == c);
        g_string_append(page, "</tr>\n");
    }
    end_table(page);
}

static void add_confusions(GString *page, const struct figures *f)
{
    static const char *const heading[] = {"It is", "Said", "Samples", NULL};
    int count;
    g_autofree struct figures_confusion *confusions =
        figures_confusions(f, CONFUSIONS_MAX, &count);
    g_string_append(page, "<h2>Mistaken most often</h2>\n");
    add_heading(page, heading);
    for (int i = 0; i < count; i++) {
        const struct figures_confusion *of = &confusions[i];
        add_row_name(page, f->labels[of->label]);
        g_string_append(page, "<td>");
        add_name(page, of->answer < f->classes ? f->labels[of->answer] : "(none)");
        add(page, "</td><td>%d</td></tr>\n", of->count);
    }
    end_table(page);
}

static void add_classes(GString *page, const struct figures *f)
{
    static const char *const heading[] = {"Label", "Samples", "Precision", "Recall", "F1",
                                          "AUC",   "AP",      "Best F1",   "at",     NULL};
    g_string_append(page, "<h2>Classes</h2>\n<p>Best F1: of the class against all others, when "
                          "its score is at or above a threshold of its own.</p>\n");
    add_heading(page, heading);
    for (int c = 0; c < f->classes; c++) {
        const struct train_class_metrics *m = &f->metrics.by_class[c];
        const struct figures_class *of = &f->by_class[c];
        add_row_name(page, f->labels[c]);
        add(page, "<td>%d</td>", m->support);
        const double cells[] = {m->precision, m->recall,         m->f1, of->auc, of->ap,
                                of->best_f1,  of->best_threshold};
        for (size_t i = 0; i < G_N_ELEMENTS(cells); i++)
            add_cell(page, cells[i]);
        g_string_append(page, "</tr>\n");
    }
    end_table(page);
}

static void add_sweep(GString *page, const struct figures *f)
{
    static const char *const heading[] = {"Threshold",    "Precision", "Recall", "F1",
                                          "False alarms", "Accuracy",  NULL};
    const struct figures_class *of = &f->by_class[f->positive];
    g_string_append(page, "<h2>Thresholds</h2>\n<p>What is told when ");
    add_name(page, f->labels[f->positive]);
    g_string_append(page, " counts at or above a threshold.");
    if (isfinite(of->best_threshold))
        add(page, " F1 is best, %.4f, at %.4f.", of->best_f1, of->best_threshold);
    g_string_append(page, "</p>\n");
    add_heading(page, heading);
    for (int i = 0; i < FIGURES_THRESHOLDS; i++) {
        const struct figures_threshold *at = &f->sweep[i];
        add(page, "<tr><th scope=\"row\">%.2f</th>", at->threshold);
        const double cells[] = {at->precision, at->recall, at->f1, at->alarm_rate,
                                at->accuracy};
        for (size_t c = 0; c < G_N_ELEMENTS(cells); c++)
            add_cell(page, cells[c]);
        g_string_append(page, "</tr>\n");
    }
    end_table(page);
}

GString *figurespage_make(const struct figures *figures, const struct figures_about *about)
{
    GString *page = g_string_new(NULL);
    add_top(page, figures, about);
    if (figures->classes <= MATRIX_MAX)
        add_matrix(page, figures);
    else
        add_confusions(page, figures);
    add_charts(page, figures);
    add_classes(page, figures);
    if (figures->positive >= 0)
        add_sweep(page, figures);
    g_string_append(page, "</body></html>\n");
    return page;
}
