/* A training, epoch by epoch: batches of shuffled samples through a net, its loss, the optimizer,
 * then the validation samples.
 *
 * One seed makes everything that is random. The same recipe gives the same bytes for any number
 * of threads, and whether it ran through or was continued from a checkpoint.
 *
 * An epoch is every sample once. The last batch is filled up with its own samples again, which do
 * not count: its loss and gradients are those of each once. Only what a layer finds out about the
 * whole batch (BatchNormalization's mean and variance) is made of all of them.
 *
 * Validation runs the net as it will be used, with the optimizer's averages if it keeps any. What
 * is kept at the end is the last epoch, or the best by the validation samples (their loss, or
 * accuracy): figures of samples that chose an epoch are better than those of samples that did not.
 *
 * Thread: one at a time. */
#ifndef NN_TRAIN_FIT_H
#define NN_TRAIN_FIT_H

#include "nn/model.h"
#include "nn/train/augment.h"
#include "nn/train/dataset.h"
#include "nn/train/export.h"
#include "nn/train/loss.h"
#include "nn/train/optimizer.h"
#include "nn/train/schedule.h"

struct train_fit;

enum train_monitor { TRAIN_MONITOR_LOSS, TRAIN_MONITOR_ACCURACY };

struct train_fit_options {
    struct train_loss loss; /* logits is found from the graph */
    struct train_optimizer_options optimizer;
    /* Its rate is the optimizer's, and what is better the monitor's to say: neither is read. */
    struct train_schedule schedule;
    int batch, epochs;
    int threads;
    uint64_t seed;
    enum train_monitor monitor; /* accuracy: of classes only */
    bool keep_best;
    int patience; /* epochs without a better one before it ends; 0: it does not */
    /* Samples enter as (value - mean) · scale. */
    float mean, scale;
    struct train_augment augment; /* of samples to learn from */
    /* Mixup, of samples to learn from: 0: none; else each is mixed with another one of them by a
     * share of Beta(mixup, mixup), and so are their targets. Its accuracy while learning is that of
     * the label with the larger share. Zhang et al., "mixup: Beyond Empirical Risk Minimization". */
    double mixup;
    const char *freeze; /* as in nn/train/net.h; borrowed for train_fit_create */
};

/* Which samples of a data set; borrowed, as the data. */
struct train_selection {
    const struct train_dataset *data;
    const int *samples;
    int count;
};

struct train_score {
    int count;
    double loss;
    double accuracy; /* of classes; NAN for losses that have none */
};

struct train_epoch {
    int epoch;                            /* from 1 */
    struct train_score train, validation; /* validation.count 0: there are none */
    double rate;                          /* of its last step */
    double seconds;
    bool best;  /* so far */
    bool ended; /* the last epoch, or none was better for too long */
};

/* Called after each batch: samples done, and their mean loss. False stops the training. */
typedef bool train_progress(void *data, int done, int whole, double loss);

/* `onnx`: the network, with its first weights; copied. 0, or -EINVAL, -ENOTSUP, -E2BIG, -ENOMEM
 * with one line: a graph that cannot be learned, samples of another shape than its input, labels
 * that its output has no place for. */
int train_fit_create(const void *onnx, size_t size, const struct train_fit_options *options,
                     const struct train_selection *train,
                     const struct train_selection *validation, struct train_fit **ret_fit,
                     struct nn_error *err);
void train_fit_destroy(struct train_fit *fit); /* NULL is fine */

/* One epoch. -EDOM: the loss or a weight is no number any more, with the step and what is at fault;
 * -ECANCELED: progress said so; what a data set says of a sample that cannot be read. After a
 * failure the training can only be destroyed, and be continued from a checkpoint. */
int train_fit_epoch(struct train_fit *fit, train_progress *progress, void *data,
                    struct train_epoch *ret_epoch, struct nn_error *err);

/* All that the epochs behind have left, between two of them. `identity`: nn/train/checkpoint.h. */
int train_fit_pack(const struct train_fit *fit, const char *identity, void **ret_bytes,
                   size_t *ret_size, struct nn_error *err);
/* Of a fit of the same options and data: it goes on as that one would. -EINVAL, -E2BIG, -ENOMEM:
 * it cannot, and can only be destroyed. */
int train_fit_restore(struct train_fit *fit, const char *identity, const void *bytes,
                      size_t size, struct nn_error *err);

/* Epochs that are done, and whether there are no more. */
int train_fit_epochs(const struct train_fit *fit);
bool train_fit_ended(const struct train_fit *fit);

/* Scores of samples by the weights that are kept. probabilities: [count][classes] of classes, two
 * of binary_crossentropy; or NULL. -EINVAL: no samples, or such as the network does not know. */
int train_fit_score(struct train_fit *fit, const struct train_selection *selection,
                    struct train_score *ret_score, float *ret_probabilities,
                    struct nn_error *err);

/* The weights that are kept, as an ONNX file (nn/train/export.h). */
int train_fit_export(struct train_fit *fit, const struct train_metadata *metadata,
                     size_t metadata_count, void **ret_bytes, size_t *ret_size,
                     struct nn_error *err);

#endif
