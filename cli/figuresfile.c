/* Figures for programs: JSON and CSV. */
#include <math.h>
#include <string.h>

#include "cli/figures.h"

/* Of metrics.json; another number when what it has becomes something else. */
#define FORMAT "vigil-eval-1"

/* A matrix of more says nothing to a reader, and takes megabytes. */
#define MATRIX_MAX     256
#define CONFUSIONS_MAX 100

/* Six places: what is behind them is chance, and makes files differ. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(round(value * 1e6) / 1e6) : json_null();
}

static void set(json_t *object, const char *key, double value)
{
    json_object_set_new(object, key, number(value));
}

static json_t *about_json(const struct figures_about *about, const struct figures *figures)
{
    return json_pack("{s:s, s:{s:s, s:s, s:b}, s:{s:s, s:s, s:s, s:i, s:i, s:s}}", "format",
                     FORMAT, "model", "file", about->model, "sha256", about->model_sha256,
                     "labels_assumed", about->labels_assumed, "data", "name", about->data,
                     "sha256", about->data_sha256, "split", about->split, "samples",
                     figures->metrics.count, "sources", figures->sources, "learned_from",
                     about->training_data);
}

static void add_overall(json_t *json, const struct figures *figures)
{
    const struct train_metrics *m = &figures->metrics;
    json_object_set_new(json, "unanswered", json_integer(m->unanswered));
    set(json, "accuracy", m->accuracy);
    json_t *interval =
        json_pack("{s:o, s:o, s:o}", "level", number(0.95), "low",
                  number(figures->accuracy.low), "high", number(figures->accuracy.high));
    json_object_set_new(json, "accuracy_interval", interval);
    json_t *top = json_object();
    for (int i = 0; i < figures->top_count; i++) {
        char key[16];
        g_snprintf(key, sizeof key, "%d", figures->top_k[i]);
        set(top, key, figures->top[i]);
    }
    json_object_set_new(json, "top", top);
    set(json, "macro_precision", m->macro_precision);
    set(json, "macro_recall", m->macro_recall);
    set(json, "macro_f1", m->macro_f1);
    set(json, "macro_auc", figures->macro_auc);
    set(json, "macro_ap", figures->macro_ap);
    set(json, "log_loss", m->log_loss);
    set(json, "brier", m->brier);
    set(json, "calibration_error", m->calibration_error);
}

static json_t *classes_json(const struct figures *figures)
{
    json_t *list = json_array();
    for (int c = 0; c < figures->classes; c++) {
        const struct train_class_metrics *m = &figures->metrics.by_class[c];
        const struct figures_class *of = &figures->by_class[c];
        json_t *json = json_pack("{s:s, s:i, s:i, s:i}", "label", figures->labels[c], "samples",
                                 m->support, "answered", m->answered, "right", m->right);
        set(json, "precision", m->precision);
        set(json, "recall", m->recall);
        set(json, "f1", m->f1);
        set(json, "auc", of->auc);
        set(json, "ap", of->ap);
        json_t *best = json_object();
        set(best, "threshold", of->best_threshold);
        set(best, "precision", of->best_precision);
        set(best, "recall", of->best_recall);
        set(best, "f1", of->best_f1);
        json_object_set_new(json, "best", best);
        json_array_append_new(list, json);
    }
    return list;
}

static json_t *matrix_json(const struct figures *figures)
{
    const int columns = figures->classes + (figures->metrics.unanswered > 0);
    json_t *rows = json_array();
    for (int label = 0; label < figures->classes; label++) {
        const int *from = figures->metrics.confusion + (size_t)label * (figures->classes + 1);
        json_t *row = json_array();
        for (int answer = 0; answer < columns; answer++)
            json_array_append_new(row, json_integer(from[answer]));
        json_array_append_new(rows, row);
    }
    return rows;
}

static json_t *confusions_json(const struct figures *figures)
{
    int count;
    g_autofree struct figures_confusion *confusions =
        figures_confusions(figures, CONFUSIONS_MAX, &count);
    json_t *list = json_array();
    for (int i = 0; i < count; i++) {
        const struct figures_confusion *of = &confusions[i];
        json_t *json =
            json_pack("{s:s, s:i}", "label", figures->labels[of->label], "count", of->count);
        json_object_set_new(json, "answer",
                            of->answer < figures->classes
                                ? json_string(figures->labels[of->answer])
                                : json_null());
        json_array_append_new(list, json);
    }
    return list;
}

static json_t *calibration_json(const struct train_metrics *metrics)
{
    json_t *list = json_array();
    for (int i = 0; i < TRAIN_CALIBRATION_BINS; i++) {
        const struct train_calibration_bin *bin = &metrics->calibration[i];
        json_t *json = json_object();
        set(json, "from", (double)i / TRAIN_CALIBRATION_BINS);
        set(json, "to", (double)(i + 1) / TRAIN_CALIBRATION_BINS);
        json_object_set_new(json, "samples", json_integer(bin->count));
        set(json, "confidence", bin->count > 0 ? bin->confidence : NAN);
        set(json, "accuracy", bin->count > 0 ? bin->accuracy : NAN);
        json_array_append_new(list, json);
    }
    return list;
}

static json_t *sweep_json(const struct figures *figures)
{
    json_t *list = json_array();
    for (int i = 0; i < FIGURES_THRESHOLDS; i++) {
        const struct figures_threshold *of = &figures->sweep[i];
        json_t *json = json_object();
        set(json, "threshold", of->threshold);
        set(json, "precision", of->precision);
        set(json, "recall", of->recall);
        set(json, "f1", of->f1);
        set(json, "false_alarm_rate", of->alarm_rate);
        set(json, "accuracy", of->accuracy);
        json_array_append_new(list, json);
    }
    return list;
}

json_t *figures_json(const struct figures *figures, const struct figures_about *about)
{
    json_t *json = about_json(about, figures);
    add_overall(json, figures);
    json_object_set_new(json, "classes", classes_json(figures));
    if (figures->classes <= MATRIX_MAX)
        json_object_set_new(json, "confusion", matrix_json(figures));
    json_object_set_new(json, "confused", confusions_json(figures));
    json_object_set_new(json, "calibration", calibration_json(&figures->metrics));
    if (figures->positive >= 0) {
        json_object_set_new(json, "positive", json_string(figures->labels[figures->positive]));
        json_object_set_new(json, "thresholds", sweep_json(figures));
    }
    return json;
}

bool figures_is_json(const json_t *json)
{
    const char *format = json_string_value(json_object_get(json, "format"));
    return format && g_str_has_prefix(format, "vigil-eval-");
}

/* --- CSV ---------------------------------------------------------------------------------- */

/* In quotes, and quotes twice: a label may have commas and lines. */
static void append_quoted(GString *csv, const char *text)
{
    g_string_append_c(csv, '"');
    for (; *text; text++) {
        if (*text == '"')
            g_string_append_c(csv, '"');
        g_string_append_c(csv, *text);
    }
    g_string_append_c(csv, '"');
}

static void append_number(GString *csv, double value)
{
    g_string_append_c(csv, ',');
    if (isfinite(value))
        g_string_append_printf(csv, "%.6g", value);
}

GString *figures_csv(const struct figures *figures)
{
    GString *csv =
        g_string_new("label,threshold,precision,recall,false_alarm_rate,hits,false_alarms\n");
    for (int c = 0; c < figures->classes; c++) {
        const struct train_curve *curve = &figures->by_class[c].curve;
        for (int i = 0; i < curve->count; i++) {
            const struct train_curve_point *point = &curve->points[i];
            append_quoted(csv, figures->labels[c]);
            append_number(csv, point->threshold);
            append_number(csv, train_curve_precision(point));
            append_number(csv, train_curve_recall(curve, point));
            append_number(csv, train_curve_alarm_rate(curve, point));
            g_string_append_printf(csv, ",%d,%d\n", point->hits, point->alarms);
        }
    }
    return csv;
}
