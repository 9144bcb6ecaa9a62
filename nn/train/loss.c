/* What losses are called and may be asked for; what they compute is in rows/loss.c. */
#include "nn/train/loss.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static const struct {
    const char *name, *other;
    bool classes; /* of probabilities */
} losses[] = {
    [TRAIN_LOSS_CATEGORICAL] = {"categorical_crossentropy", NULL, true},
    [TRAIN_LOSS_SPARSE] = {"sparse_categorical_crossentropy", NULL, true},
    [TRAIN_LOSS_BINARY] = {"binary_crossentropy", NULL, true},
    [TRAIN_LOSS_SQUARED] = {"mean_squared_error", "mse", false},
    [TRAIN_LOSS_ABSOLUTE] = {"mean_absolute_error", "mae", false},
    [TRAIN_LOSS_HUBER] = {"huber", NULL, false},
};
enum { LOSS_COUNT = sizeof losses / sizeof *losses };

int train_loss_find(const char *name, enum train_loss_kind *ret_kind, struct nn_error *err)
{
    for (int i = 0; i < LOSS_COUNT; i++)
        if (!strcmp(name, losses[i].name) ||
            (losses[i].other && !strcmp(name, losses[i].other))) {
            *ret_kind = (enum train_loss_kind)i;
            return 0;
        }
    return nn_error_set(err, -EINVAL,
                        "there is no loss \"%.40s\": it is one of categorical_crossentropy, "
                        "sparse_categorical_crossentropy, binary_crossentropy, "
                        "mean_squared_error, mean_absolute_error, huber",
                        name);
}

const char *train_loss_name(enum train_loss_kind kind)
{
    return losses[kind].name;
}

static int check_class_weights(const struct train_loss *loss, int64_t width,
                               struct nn_error *err)
{
    const char *name = losses[loss->kind].name;
    if (!losses[loss->kind].classes)
        return nn_error_set(err, -EINVAL, "%s has no classes to give class weights to", name);
    int64_t classes = loss->kind == TRAIN_LOSS_BINARY ? 2 : width;
    if (loss->class_count != classes)
        return nn_error_set(err, -EINVAL,
                            "%d class weights, but %lld classes: %s takes one for each",
                            loss->class_count, (long long)classes, name);
    for (int i = 0; i < loss->class_count; i++)
        if (!(loss->class_weights[i] >= 0.0 && isfinite(loss->class_weights[i])))
            return nn_error_set(err, -EINVAL,
                                "class weight %d is %g: weights are finite and 0 or more", i,
                                loss->class_weights[i]);
    return 0;
}

int train_loss_check(const struct train_loss *loss, int64_t width, struct nn_error *err)
{
    const char *name = losses[loss->kind].name;
    bool softmax = loss->kind == TRAIN_LOSS_CATEGORICAL || loss->kind == TRAIN_LOSS_SPARSE;
    if (softmax && width < 2)
        return nn_error_set(err, -EINVAL,
                            "%s needs 2 classes or more, and the network ends in 1 output: "
                            "binary_crossentropy is for that",
                            name);
    if (!losses[loss->kind].classes && (loss->logits || loss->smoothing != 0.0))
        return nn_error_set(err, -EINVAL, "%s has no %s: cross-entropies have", name,
                            loss->logits ? "logits" : "label smoothing");
    if (!(loss->smoothing >= 0.0 && loss->smoothing <= 1.0))
        return nn_error_set(err, -EINVAL, "label smoothing is %g: it is from 0 to 1",
                            loss->smoothing);
    if (loss->kind == TRAIN_LOSS_HUBER && !(loss->delta > 0.0 && isfinite(loss->delta)))
        return nn_error_set(err, -EINVAL, "delta of huber is %g: it is finite and over 0",
                            loss->delta);
    return loss->class_weights ? check_class_weights(loss, width, err) : 0;
}
