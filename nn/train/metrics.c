#include "nn/train/metrics.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static const float *scores_of(const struct train_answers *answers, int at)
{
    return answers->scores + (size_t)at * (size_t)answers->classes;
}

int train_answers_class(const struct train_answers *answers, int at)
{
    const float *scores = scores_of(answers, at);
    int best = 0;
    for (int c = 0; c < answers->classes; c++) {
        if (isnan(scores[c]))
            return -1;
        if (scores[c] > scores[best])
            best = c;
    }
    return best;
}

double train_answers_top(const struct train_answers *answers, int k)
{
    int right = 0;
    for (int i = 0; i < answers->count; i++) {
        const float *scores = scores_of(answers, i);
        const int label = answers->labels[i];
        int before = 0;
        for (int c = 0; c < answers->classes; c++)
            before += scores[c] > scores[label] || (scores[c] == scores[label] && c < label);
        right += before < k && train_answers_class(answers, i) >= 0;
    }
    return (double)right / answers->count;
}

static int check(const struct train_answers *answers, struct nn_error *err)
{
    if (answers->count < 1 || answers->classes < 1)
        return nn_error_set(err, -EINVAL, "there are no samples to measure");
    for (int i = 0; i < answers->count; i++) {
        const float *scores = scores_of(answers, i);
        if (answers->labels[i] < 0 || answers->labels[i] >= answers->classes)
            return nn_error_set(err, -EINVAL,
                                "sample %d has label %d; the scores are of classes "
                                "0 to %d",
                                i + 1, answers->labels[i], answers->classes - 1);
        if (train_answers_class(answers, i) < 0)
            continue;
        for (int c = 0; c < answers->classes; c++)
            if (scores[c] < 0 || scores[c] > 1 + 1e-5f)
                return nn_error_set(err, -EINVAL,
                                    "sample %d has a score of %g for class %d; "
                                    "probabilities are 0 to 1",
                                    i + 1, (double)scores[c], c);
    }
    return 0;
}

static double clipped_log(double p)
{
    return log(fmin(fmax(p, FLT_EPSILON), 1 - FLT_EPSILON));
}

static double brier_of(const float *scores, int classes, int label)
{
    double sum = 0;
    for (int c = 0; c < classes; c++) {
        const double off = (double)scores[c] - (c == label);
        sum += classes == 2 && c == 0 ? 0 : off * off;
    }
    return sum;
}

/* The figures that look at scores, of one sample that was answered. */
static void add_scores(struct train_metrics *m, const float *scores, int label, int answer)
{
    m->log_loss -= clipped_log(scores[label]);
    m->brier += brier_of(scores, m->classes, label);
    const double confidence = scores[answer];
    int bin = (int)ceil(confidence * TRAIN_CALIBRATION_BINS) - 1;
    bin = bin < 0 ? 0 : bin < TRAIN_CALIBRATION_BINS ? bin : TRAIN_CALIBRATION_BINS - 1;
    m->calibration[bin].count++;
    m->calibration[bin].confidence += confidence;
    m->calibration[bin].accuracy += answer == label;
}

/* From sums to means. */
static void settle_scores(struct train_metrics *m)
{
    const int answered = m->count - m->unanswered;
    double error = 0;
    for (int i = 0; i < TRAIN_CALIBRATION_BINS; i++) {
        struct train_calibration_bin *bin = &m->calibration[i];
        error += fabs(bin->accuracy - bin->confidence);
        if (bin->count > 0) {
            bin->confidence /= bin->count;
            bin->accuracy /= bin->count;
        }
    }
    m->log_loss = answered ? m->log_loss / answered : NAN;
    m->brier = answered ? m->brier / answered : NAN;
    m->calibration_error = answered ? error / answered : NAN;
}

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : 0;
}

static void settle_classes(struct train_metrics *m)
{
    int present = 0, right = 0;
    for (int c = 0; c < m->classes; c++) {
        struct train_class_metrics *of = &m->by_class[c];
        of->precision = ratio(of->right, of->answered);
        of->recall = ratio(of->right, of->support);
        of->f1 = ratio(2.0 * of->right, (double)of->answered + of->support);
        right += of->right;
        present += of->support + of->answered > 0;
        m->macro_precision += of->precision;
        m->macro_recall += of->recall;
        m->macro_f1 += of->f1;
    }
    m->accuracy = (double)right / m->count;
    m->macro_precision /= present;
    m->macro_recall /= present;
    m->macro_f1 /= present;
}

int train_metrics_init(struct train_metrics *metrics, const struct train_answers *answers,
                       struct nn_error *err)
{
    *metrics = (struct train_metrics){.count = answers->count, .classes = answers->classes};
    int r = check(answers, err);
    if (r < 0)
        return r;
    const size_t classes = (size_t)answers->classes;
    metrics->by_class = calloc(classes, sizeof *metrics->by_class);
    metrics->confusion = calloc(classes * (classes + 1), sizeof *metrics->confusion);
    if (!metrics->by_class || !metrics->confusion)
        return nn_error_set(err, -ENOMEM, "no memory to measure %d classes", answers->classes);
    for (int i = 0; i < answers->count; i++) {
        const int label = answers->labels[i], answer = train_answers_class(answers, i);
        metrics->by_class[label].support++;
        metrics->confusion[(size_t)label * (classes + 1) +
                           (answer < 0 ? classes : (size_t)answer)]++;
        if (answer < 0) {
            metrics->unanswered++;
            continue;
        }
        metrics->by_class[answer].answered++;
        metrics->by_class[label].right += answer == label;
        add_scores(metrics, scores_of(answers, i), label, answer);
    }
    settle_classes(metrics);
    settle_scores(metrics);
    return 0;
}

void train_metrics_finish(struct train_metrics *metrics)
{
    free(metrics->by_class);
    free(metrics->confusion);
    metrics->by_class = NULL;
    metrics->confusion = NULL;
}
