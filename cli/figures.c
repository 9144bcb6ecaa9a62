#include "cli/figures.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CURVE_STEP 1e-3

/* --- curves ------------------------------------------------------------------------------- */

static bool is_far(double a, double b, double step)
{
    return fabs(a - b) >= step;
}

int figures_next_point(const struct train_curve *curve, int at, double step)
{
    const struct train_curve_point *from = &curve->points[at];
    int next = at + 1;
    for (; next < curve->count - 1; next++) {
        const struct train_curve_point *to = &curve->points[next];
        if (is_far(train_curve_recall(curve, from), train_curve_recall(curve, to), step) ||
            is_far(train_curve_alarm_rate(curve, from), train_curve_alarm_rate(curve, to),
                   step) ||
            is_far(train_curve_precision(from), train_curve_precision(to), step))
            break;
    }
    return next;
}

/* In place: what is kept never goes behind what is still to be read. */
static void thin(struct train_curve *curve)
{
    int kept = 1;
    for (int at = 0; at < curve->count - 1;) {
        at = figures_next_point(curve, at, CURVE_STEP);
        curve->points[kept++] = curve->points[at];
    }
    curve->count = kept;
}

static int measure_class(struct figures *figures, const struct train_answers *answers,
                         int class_number, struct nn_error *err)
{
    struct figures_class *of = &figures->by_class[class_number];
    int r = train_curve_init_class(&of->curve, answers, class_number, err);
    if (r < 0)
        return r;
    const struct train_curve_point *best = train_curve_best(&of->curve);
    of->auc = train_curve_auc(&of->curve);
    of->ap = train_curve_ap(&of->curve);
    of->best_threshold = best->threshold;
    of->best_precision = train_curve_precision(best);
    of->best_recall = train_curve_recall(&of->curve, best);
    of->best_f1 = train_curve_f1(&of->curve, best);
    return 0;
}

static void sweep(struct figures *figures)
{
    const struct train_curve *curve = &figures->by_class[figures->positive].curve;
    for (int i = 0; i < FIGURES_THRESHOLDS; i++) {
        struct figures_threshold *to = &figures->sweep[i];
        to->threshold = (i + 1) / (FIGURES_THRESHOLDS + 1.0);
        const struct train_curve_point *point = train_curve_at(curve, to->threshold);
        int rejected = curve->negatives - point->alarms;
        to->precision = train_curve_precision(point);
        to->recall = train_curve_recall(curve, point);
        to->f1 = train_curve_f1(curve, point);
        to->alarm_rate = train_curve_alarm_rate(curve, point);
        to->accuracy = (double)(point->hits + rejected) / (curve->positives + curve->negatives);
    }
}

/* The mean of those that are numbers. */
static double mean_of(const struct figures *figures, size_t offset)
{
    double sum = 0;
    int count = 0;
    for (int c = 0; c < figures->classes; c++) {
        double value = G_STRUCT_MEMBER(double, &figures->by_class[c], offset);
        if (isnan(value))
            continue;
        sum += value;
        count++;
    }
    return count > 0 ? sum / count : NAN;
}

static int measure_curves(struct figures *figures, const struct train_answers *answers,
                          struct nn_error *err)
{
    for (int c = 0; c < figures->classes; c++) {
        int r = measure_class(figures, answers, c, err);
        if (r < 0)
            return r;
        if (c == figures->positive)
            sweep(figures);
        thin(&figures->by_class[c].curve);
    }
    figures->macro_auc = mean_of(figures, G_STRUCT_OFFSET(struct figures_class, auc));
    figures->macro_ap = mean_of(figures, G_STRUCT_OFFSET(struct figures_class, ap));
    return 0;
}

/* --- all of it ---------------------------------------------------------------------------- */

static int measure_accuracy(struct figures *figures, const struct figures_input *input,
                            struct nn_error *err)
{
    static const int tops[FIGURES_TOPS] = {2, 3, 5};
    const struct train_bootstrap bootstrap = {.level = 0.95, .resamples = 1000, .seed = 1};
    const struct train_answers *answers = &input->answers;
    g_autofree double *right = g_new(double, answers->count);
    g_autofree bool *seen = g_new0(bool, MAX(input->group_count, 1));
    for (int i = 0; i < answers->count; i++) {
        right[i] = train_answers_class(answers, i) == answers->labels[i];
        figures->sources += !seen[input->groups[i]];
        seen[input->groups[i]] = true;
    }
    for (int i = 0; i < FIGURES_TOPS && tops[i] < figures->classes; i++) {
        figures->top_k[i] = tops[i];
        figures->top[i] = train_answers_top(answers, tops[i]);
        figures->top_count++;
    }
    figures->accuracy = (struct train_interval){figures->metrics.accuracy, NAN, NAN, 1};
    return figures->sources < 2
               ? 0
               : train_bootstrap_mean(right, input->groups, answers->count, input->group_count,
                                      &bootstrap, &figures->accuracy, err);
}

int figures_init(struct figures *figures, const struct figures_input *input,
                 struct nn_error *err)
{
    *figures = (struct figures){.labels = input->labels,
                                .classes = input->answers.classes,
                                .positive = input->answers.classes == 2 ? input->positive : -1};
    int r = train_metrics_init(&figures->metrics, &input->answers, err);
    if (r < 0)
        return r;
    figures->by_class = g_new0(struct figures_class, figures->classes);
    r = measure_curves(figures, &input->answers, err);
    return r < 0 ? r : measure_accuracy(figures, input, err);
}

void figures_finish(struct figures *figures)
{
    for (int c = 0; c < figures->classes && figures->by_class; c++)
        train_curve_finish(&figures->by_class[c].curve);
    g_clear_pointer(&figures->by_class, g_free);
    train_metrics_finish(&figures->metrics);
}

const char *figures_warning(const struct figures_about *about)
{
    if (strcmp(about->training_data, "other") == 0)
        return "The model was trained with other data, or another split of it: it may have "
               "learned from some of these samples.";
    return about->learned_from && strcmp(about->training_data, "same") == 0
               ? "The model learned from these samples, or from some of them: the figures "
                 "flatter it."
               : NULL;
}

static int by_count(const void *a, const void *b)
{
    const struct figures_confusion *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return x->label != y->label ? x->label - y->label : x->answer - y->answer;
}

struct figures_confusion *figures_confusions(const struct figures *figures, int most,
                                             int *ret_count)
{
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(struct figures_confusion));
    const int *confusion = figures->metrics.confusion;
    for (int label = 0; label < figures->classes; label++)
        for (int answer = 0; answer <= figures->classes; answer++, confusion++)
            if (answer != label && *confusion > 0)
                g_array_append_val(found,
                                   ((struct figures_confusion){label, answer, *confusion}));
    g_array_sort(found, by_count);
    *ret_count = MIN((int)found->len, most);
    return (struct figures_confusion *)(gpointer)g_array_steal(found, NULL);
}
