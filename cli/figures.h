/* All that is told of how well a classifier does: what nn/train/ measures, put together once for
 * the terminal, for JSON, for CSV and for a page (cli/figurespage.h).
 *
 * Where a figure has no meaning (a curve of a class that never occurs) it is NaN; JSON has null
 * and CSV nothing there.
 *
 * Thread: plain data. */
#ifndef CLI_FIGURES_H
#define CLI_FIGURES_H

#include <glib.h>
#include <jansson.h>

#include "nn/train/curve.h"
#include "nn/train/metrics.h"
#include "nn/train/statistics.h"

#define FIGURES_TOPS       3
#define FIGURES_THRESHOLDS 19 /* 0.05, 0.10, .. 0.95 */

/* What was judged, by what; borrowed. Text is valid UTF-8, of anybody. */
struct figures_about {
    const char *model, *model_sha256;
    const char *data, *data_sha256; /* the recipe, or the data itself */
    const char *split;              /* "validation" */
    bool learned_from;              /* the split is, or has, what a training learns from */
    /* "same": the model learned from this data and split; "other"; "unknown". */
    const char *training_data;
    bool labels_assumed; /* the model does not name them */
};

struct figures_input {
    struct train_answers answers;
    const char *const *labels; /* [classes], valid UTF-8; borrowed until figures_finish */
    const int *groups;         /* of samples: the sources they are of */
    int group_count;
    int positive; /* of two classes the one that is looked for; else not looked at */
};

/* A class against the rest as the threshold falls. */
struct figures_class {
    double auc, ap;
    /* Where F1 is highest; infinite of a class that never occurs. */
    double best_threshold, best_precision, best_recall, best_f1;
    struct train_curve
        curve; /* its points that differ by a thousandth or more, first and last */
};

struct figures_threshold {
    double threshold, precision, recall, f1, alarm_rate, accuracy;
};

struct figures {
    const char *const *labels;
    int classes;
    struct train_metrics metrics;
    struct train_interval accuracy; /* low and high are NaN of one source */
    int sources;                    /* that samples are of */
    int top_count, top_k[FIGURES_TOPS];
    double top[FIGURES_TOPS];
    struct figures_class *by_class;                     /* [classes] */
    double macro_auc, macro_ap;                         /* of classes that have one */
    int positive;                                       /* -1: there are not two classes */
    struct figures_threshold sweep[FIGURES_THRESHOLDS]; /* of two classes */
};

/* 0, or as train_metrics_init; finish is right after a failure, too. */
int figures_init(struct figures *figures, const struct figures_input *input,
                 struct nn_error *err);
void figures_finish(struct figures *figures);

/* The point after `at` that is `step` or more away from it in recall, precision or the rate of
 * false alarms; the last one where none is. */
int figures_next_point(const struct train_curve *curve, int at, double step);

/* Which class was taken for which. */
struct figures_confusion {
    int label, answer; /* answer = classes: none */
    int count;
};
/* Mistakes, the most frequent first, as many as there are or `most`. Caller frees with g_free(). */
struct figures_confusion *figures_confusions(const struct figures *figures, int most,
                                             int *ret_count);

/* Whether the model may have seen the samples before: a line for a person. NULL: it has not, or
 * nothing is known. */
const char *figures_warning(const struct figures_about *about);

/* The report's metrics.json. */
json_t *figures_json(const struct figures *figures, const struct figures_about *about);

/* Whether JSON is of figures_json. */
bool figures_is_json(const json_t *json);

/* The report's curves.csv: a line for each point of each class's curve. */
GString *figures_csv(const struct figures *figures);

#endif
