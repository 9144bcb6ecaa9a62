#include "nn/train/loss.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

#include "nn/train/real.h"

/* One row of a batch. */
struct row {
    const struct train_loss *loss;
    int64_t width;
    double scale;        /* its sample's weight over all rows of the batch */
    const real *x;       /* [width] */
    const float *target; /* [width], or NULL: a label */
    int32_t label;
    real *gradient; /* [width], or NULL */
};

/* Those below return a row's share of the loss and write the gradient of that. */

static double class_weight(const struct row *r)
{
    if (!r->loss->class_weights)
        return 1.0;
    int64_t class = r->label;
    if (r->target) {
        class = 0;
        for (int64_t k = 1; k < r->width; k++)
            if (r->target[k] > r->target[class])
                class = k;
    }
    return r->loss->class_weights[class];
}

/* What class k should be, smoothed. */
static double target_of(const struct row *r, int64_t k)
{
    double target = r->target ? (double)r->target[k] : k == r->label ? 1.0 : 0.0;
    return target * (1.0 - r->loss->smoothing) + r->loss->smoothing / (double)r->width;
}

static double softmax_row(const struct row *r)
{
    double scale = r->scale * class_weight(r);
    double top = -INFINITY, sum = 0.0, value = 0.0, targets = 0.0;
    for (int64_t k = 0; k < r->width; k++)
        if ((double)r->x[k] > top)
            top = (double)r->x[k];
    for (int64_t k = 0; k < r->width; k++)
        sum += exp((double)r->x[k] - top);
    double log_sum = log(sum);
    for (int64_t k = 0; k < r->width; k++) {
        double target = target_of(r, k);
        targets += target;
        /* A class that is ruled out and not meant is no part of the loss, whose term would be
         * 0 * INFINITY. Not a number comes in by the sum. */
        if (target != 0.0)
            value += target * (top - (double)r->x[k] + log_sum);
    }
    if (isnan(sum))
        value = NAN;
    for (int64_t k = 0; r->gradient && k < r->width; k++) {
        double p = exp((double)r->x[k] - top) / sum;
        r->gradient[k] = (real)(scale * (targets * p - target_of(r, k)));
    }
    return scale * value;
}

/* Not a number stays what it is. */
static double clip(double p)
{
    return p < TRAIN_LOSS_EPSILON         ? TRAIN_LOSS_EPSILON
           : p > 1.0 - TRAIN_LOSS_EPSILON ? 1.0 - TRAIN_LOSS_EPSILON
                                          : p;
}

/* With q = x / sum(x) and g = dL/dq, dL/dx is (g - sum(g q)) / sum(x). */
static double probability_row(const struct row *r)
{
    double scale = r->scale * class_weight(r), sum = 0.0, value = 0.0, inner = 0.0;
    for (int64_t k = 0; k < r->width; k++)
        sum += (double)r->x[k];
    for (int64_t k = 0; k < r->width; k++) {
        double q = (double)r->x[k] / sum, target = target_of(r, k);
        value -= target * log(clip(q));
        if (clip(q) == q)
            inner -= target;
    }
    for (int64_t k = 0; r->gradient && k < r->width; k++) {
        double q = (double)r->x[k] / sum;
        double g = q < clip(q) || q > clip(q) ? 0.0 : -target_of(r, k) / q;
        r->gradient[k] = (real)(scale * (g - inner) / sum);
    }
    return scale * value;
}

static double binary_row(const struct row *r)
{
    const struct train_loss *loss = r->loss;
    double value = 0.0;
    for (int64_t k = 0; k < r->width; k++) {
        double x = (double)r->x[k], given = (double)r->target[k], term, g;
        double target = given * (1.0 - loss->smoothing) + 0.5 * loss->smoothing;
        double scale = r->scale / (double)r->width;
        if (loss->class_weights)
            scale *= loss->class_weights[given > 0.5];
        if (loss->logits) {
            double e = exp(-fabs(x));
            term = (x > 0.0 ? x : 0.0) - x * target + log1p(e);
            g = (x > 0.0 ? 1.0 : e) / (1.0 + e) - target;
        } else {
            double p = clip(x);
            term = -target * log(p) - (1.0 - target) * log1p(-p);
            g = x < p || x > p ? 0.0 : (p - target) / (p * (1.0 - p));
        }
        value += scale * term;
        if (r->gradient)
            r->gradient[k] = (real)(scale * g);
    }
    return value;
}

static double squared_row(const struct row *r)
{
    double value = 0.0, scale = r->scale / (double)r->width;
    for (int64_t k = 0; k < r->width; k++) {
        double d = (double)r->x[k] - (double)r->target[k];
        value += d * d;
        if (r->gradient)
            r->gradient[k] = (real)(scale * 2.0 * d);
    }
    return scale * value;
}

/* Not a number stays what it is, and so does 0. */
static double limit(double d, double most)
{
    return d > most ? most : d < -most ? -most : d;
}

static double absolute_row(const struct row *r)
{
    double value = 0.0, scale = r->scale / (double)r->width;
    for (int64_t k = 0; k < r->width; k++) {
        double d = (double)r->x[k] - (double)r->target[k];
        value += fabs(d);
        if (r->gradient)
            r->gradient[k] = (real)(d > 0.0 ? scale : d < 0.0 ? -scale : scale * d);
    }
    return scale * value;
}

static double huber_row(const struct row *r)
{
    double value = 0.0, scale = r->scale / (double)r->width;
    for (int64_t k = 0; k < r->width; k++) {
        double d = (double)r->x[k] - (double)r->target[k];
        double inner = limit(d, r->loss->delta);
        value += inner * (d - 0.5 * inner); /* d^2 / 2 where inner is d */
        if (r->gradient)
            r->gradient[k] = (real)(scale * inner);
    }
    return scale * value;
}

/* Of probabilities and of logits. */
static double (*const shares[][2])(const struct row *) = {
    [TRAIN_LOSS_CATEGORICAL] = {probability_row, softmax_row},
    [TRAIN_LOSS_SPARSE] = {probability_row, softmax_row},
    [TRAIN_LOSS_BINARY] = {binary_row, binary_row},
    [TRAIN_LOSS_SQUARED] = {squared_row},
    [TRAIN_LOSS_ABSOLUTE] = {absolute_row},
    [TRAIN_LOSS_HUBER] = {huber_row},
};

static int check_labels(const struct train_loss_batch *b, struct nn_error *err)
{
    for (int64_t i = 0; i < b->samples * b->rows; i++)
        if (b->labels[i] < 0 || b->labels[i] >= b->width)
            return nn_error_set(err, -EINVAL,
                                "sample %lld of the batch has label %d, and the network %lld "
                                "outputs, for labels from 0: either has to change",
                                (long long)(i / b->rows), b->labels[i], (long long)b->width);
    return 0;
}

int TRAIN_NAME(train_loss)(const struct train_loss *loss, const struct train_loss_batch *batch,
                           const real *predictions, real *ret_gradient, double *ret_value,
                           struct nn_error *err)
{
    assert(batch->samples > 0 && batch->rows > 0 && batch->width > 0);
    bool sparse = loss->kind == TRAIN_LOSS_SPARSE;
    assert(sparse ? batch->labels != NULL : batch->targets != NULL);
    int r = sparse ? check_labels(batch, err) : 0;
    if (r < 0)
        return r;

    int64_t whole = batch->whole ? batch->whole : batch->samples;
    double value = 0.0, each = 1.0 / ((double)whole * (double)batch->rows);
    for (int64_t i = 0; i < batch->samples * batch->rows; i++) {
        int64_t at = i * batch->width;
        struct row row = {
            .loss = loss,
            .width = batch->width,
            .scale = each * (batch->weights ? (double)batch->weights[i / batch->rows] : 1.0),
            .x = predictions + at,
            .target = sparse ? NULL : batch->targets + at,
            .label = sparse ? batch->labels[i] : 0,
            .gradient = ret_gradient ? ret_gradient + at : NULL,
        };
        value += shares[loss->kind][loss->logits](&row);
    }
    *ret_value = value;
    return 0;
}
