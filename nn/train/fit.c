#include "nn/train/fit.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nn/pool.h"
#include "nn/threads.h"
#include "nn/train/checkpoint.h"
#include "nn/train/net.h"
#include "nn/train/random.h"

/* What a checkpoint keeps besides weights and what the optimizer keeps; doubles by their bits. */
enum {
    DONE,      /* epochs */
    STEPS,     /* of all epochs */
    BEST,      /* the best epoch, 0: none yet */
    BEST_BITS, /* its metric */
    WAITED,    /* epochs without a better one */
    ENDED,
    PLATEAU_BEST,
    PLATEAU_SCALE,
    PLATEAU_STILL,
    PLATEAU_COOLING,
    NUMBERS,
};

struct train_fit {
    struct train_fit_options options;
    struct train_selection train, validation;
    struct nn_model *model;
    struct train_net *net;
    struct train_optimizer *optimizer;
    struct train_parameter *parameters;
    size_t parameter_count;
    void *onnx;
    size_t onnx_size;

    float *kept;       /* the parameters that will be the result, one behind the other */
    size_t kept_count; /* of floats */
    int64_t numbers[NUMBERS];
    struct train_plateau plateau;

    /* Of a batch. */
    struct train_loss_batch batch;
    int32_t *labels;
    float *targets, *weights;
    float *sample, *partner, *scratch; /* partner: NULL without mixup */
    int *order;
};

#define MIXUP_MAX 100.0

/* Of whole numbers that enter a network: up to here floats have all of them. */
#define INDEX_MAX 0x1p24f

static double double_of(int64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int64_t bits_of(double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* --- Making one ---------------------------------------------------------------------------- */

static bool is_regression(const struct train_fit *fit)
{
    return fit->options.loss.kind >= TRAIN_LOSS_SQUARED;
}

/* Whether targets are shares of classes. */
static bool has_shares(const struct train_fit *fit, bool learning)
{
    return learning && fit->options.mixup > 0 && fit->options.loss.kind == TRAIN_LOSS_SPARSE;
}

static enum train_head_kind wanted_head(enum train_loss_kind kind)
{
    return kind == TRAIN_LOSS_BINARY                                     ? TRAIN_HEAD_SIGMOID
           : kind == TRAIN_LOSS_CATEGORICAL || kind == TRAIN_LOSS_SPARSE ? TRAIN_HEAD_SOFTMAX
                                                                         : TRAIN_HEAD_PLAIN;
}

static int make_net(struct train_fit *fit, struct nn_error *err)
{
    int r = nn_model_load(fit->onnx, fit->onnx_size, &fit->model, err);
    if (r < 0)
        return r;
    const struct nn_shape *sample = &fit->train.data->shape;
    struct nn_shape shape = {.rank = sample->rank + 1, .dim = {fit->options.batch}};
    if (nn_model_input_count(fit->model) != 1)
        return nn_error_set(err, -ENOTSUP, "a network with one input is trained, not with %zu",
                            nn_model_input_count(fit->model));
    const struct nn_value_info *input = nn_model_input(fit->model, 0);
    if (input->type != NN_TYPE_FLOAT && input->type != NN_TYPE_INT64)
        return nn_error_set(err, -ENOTSUP,
                            "input '%.80s' takes %s: a network that takes float32 or int64 can "
                            "be trained",
                            input->name, nn_type_name(input->type));
    if (input->type == NN_TYPE_INT64 && fit->options.mixup > 0)
        return nn_error_set(
            err, -EINVAL,
            "input '%.80s' takes int64: mixup is for numbers that mean something "
            "between two of them",
            input->name);
    if (sample->rank >= NN_MAX_RANK)
        return nn_error_set(err, -EINVAL, "a sample has at most %d dimensions, not %d",
                            NN_MAX_RANK - 1, sample->rank);
    for (int d = 0; d < sample->rank; d++)
        shape.dim[d + 1] = sample->dim[d];
    struct train_options options = {.input_shapes = &shape,
                                    .freeze = fit->options.freeze,
                                    .threads = fit->options.threads,
                                    .head = wanted_head(fit->options.loss.kind)};
    return train_net_create(fit->model, &options, &fit->net, err);
}

/* What the loss compares: [samples][rows][width]. */
static int settle_loss(struct train_fit *fit, struct nn_error *err)
{
    const struct train_head *head = train_net_head(fit->net);
    const struct train_dataset *data = fit->train.data;
    struct train_loss *loss = &fit->options.loss;
    int64_t classes = data->classes.count;
    if (head->shape.rank < 2 || head->shape.dim[0] != fit->options.batch)
        return nn_error_set(err, -EINVAL,
                            "the network's output is not one row for each sample");
    loss->logits = head->kind != TRAIN_HEAD_PLAIN;
    fit->batch.width = head->shape.dim[head->shape.rank - 1];
    fit->batch.rows = nn_shape_count(&head->shape) / fit->options.batch / fit->batch.width;
    if (is_regression(fit)) {
        if (fit->batch.rows * fit->batch.width != nn_shape_count(&data->shape))
            return nn_error_set(err, -EINVAL,
                                "%s compares a network's output with its input: they must be "
                                "of one size",
                                train_loss_name(loss->kind));
        if (fit->options.monitor == TRAIN_MONITOR_ACCURACY)
            return nn_error_set(err, -EINVAL,
                                "%s has no accuracy that epochs could be judged by",
                                train_loss_name(loss->kind));
        return train_loss_check(loss, fit->batch.width, err);
    }
    bool binary = loss->kind == TRAIN_LOSS_BINARY;
    if (fit->batch.rows != 1 ||
        (binary ? fit->batch.width != 1 || classes != 2 : fit->batch.width != classes))
        return nn_error_set(err, -EINVAL,
                            "the network answers with %lld numbers; %s of %lld "
                            "classes takes %lld",
                            (long long)(fit->batch.rows * fit->batch.width),
                            train_loss_name(loss->kind), (long long)classes,
                            binary ? 1LL : (long long)classes);
    /* The targets are labels, whatever the loss is called. */
    if (loss->kind == TRAIN_LOSS_CATEGORICAL)
        loss->kind = TRAIN_LOSS_SPARSE;
    return train_loss_check(loss, fit->batch.width, err);
}

static int make_memory(struct train_fit *fit, struct nn_error *err)
{
    size_t batch = (size_t)fit->options.batch,
           sample = (size_t)nn_shape_count(&fit->train.data->shape);
    size_t targets = is_regression(fit)      ? sample
                     : has_shares(fit, true) ? (size_t)fit->batch.width
                                             : 1;
    bool mixes = fit->options.mixup > 0;
    fit->labels = calloc(batch, sizeof *fit->labels);
    fit->targets = calloc(batch * targets, sizeof *fit->targets);
    fit->weights = calloc(batch, sizeof *fit->weights);
    fit->sample = calloc(sample, sizeof *fit->sample);
    fit->scratch = calloc(sample, sizeof *fit->scratch);
    fit->partner = mixes ? calloc(sample, sizeof *fit->partner) : NULL;
    fit->order = calloc((size_t)fit->train.count, sizeof *fit->order);
    fit->kept = calloc(fit->kept_count + 1, sizeof *fit->kept);
    fit->batch.samples = fit->options.batch;
    fit->batch.labels = fit->labels;
    fit->batch.targets = fit->targets;
    fit->batch.weights = fit->weights;
    return fit->labels && fit->targets && fit->weights && fit->sample && fit->scratch &&
                   (fit->partner || !mixes) && fit->order && fit->kept
               ? 0
               : nn_error_set(err, -ENOMEM, "no memory for a training");
}

/* Kernels decay; biases, scales and their like do not. */
static int make_optimizer(struct train_fit *fit, struct nn_error *err)
{
    size_t count = fit->parameter_count = train_net_parameter_count(fit->net);
    fit->parameters = calloc(count, sizeof *fit->parameters);
    if (!fit->parameters)
        return nn_error_set(err, -ENOMEM, "no memory for a training");
    for (size_t i = 0; i < count; i++) {
        const struct train_net_parameter *p = train_net_parameter(fit->net, i);
        fit->parameters[i] = (struct train_parameter){.name = p->name,
                                                      .value = p->value,
                                                      .gradient = p->gradient,
                                                      .count = p->count,
                                                      .decays = p->shape.rank > 1};
        fit->kept_count += p->count;
    }
    return train_optimizer_create(&fit->options.optimizer, fit->parameters, count,
                                  &fit->optimizer, err);
}

/* Whether samples are such as the network learns. */
static int check_selection(const struct train_dataset *data,
                           const struct train_selection *selection, struct nn_error *err)
{
    if (!nn_shape_equal(&data->shape, &selection->data->shape))
        return nn_error_set(
            err, -EINVAL, "samples to judge by are of another shape than those to learn from");
    if (selection->data->classes.count > data->classes.count)
        return nn_error_set(err, -EINVAL,
                            "samples to judge by are of %d classes, those to learn from of %d",
                            selection->data->classes.count, data->classes.count);
    return 0;
}

static int check_options(const struct train_fit_options *o, const struct train_selection *train,
                         const struct train_selection *validation, struct nn_error *err)
{
    if (o->batch < 1 || o->batch > 65536)
        return nn_error_set(err, -EINVAL, "a batch has 1 to 65536 samples, not %d", o->batch);
    if (o->epochs < 1)
        return nn_error_set(err, -EINVAL, "a training has 1 epoch or more, not %d", o->epochs);
    if (train->count < 1)
        return nn_error_set(err, -EINVAL, "there are no samples to learn from");
    int r =
        validation && validation->count > 0 ? check_selection(train->data, validation, err) : 0;
    if (r < 0)
        return r;
    if (o->patience > 0 && (!validation || validation->count < 1))
        return nn_error_set(err, -EINVAL,
                            "stopping early needs validation samples, and there are none");
    if (!(o->mixup >= 0 && o->mixup <= MIXUP_MAX))
        return nn_error_set(err, -EINVAL, "mixup should be a number from 0 to %g", MIXUP_MAX);
    r = train_augment_check(&o->augment, &train->data->shape, err);
    return r < 0 ? r : train_schedule_check(&o->schedule, err);
}

static void keep_weights(struct train_fit *fit)
{
    float *to = fit->kept;
    for (size_t i = 0; i < fit->parameter_count; to += fit->parameters[i++].count)
        memcpy(to, fit->parameters[i].value, fit->parameters[i].count * sizeof *to);
}

int train_fit_create(const void *onnx, size_t size, const struct train_fit_options *options,
                     const struct train_selection *train,
                     const struct train_selection *validation, struct train_fit **ret_fit,
                     struct nn_error *err)
{
    struct train_fit_options o = *options;
    o.schedule.rate = o.optimizer.rate;
    o.schedule.higher_is_better = o.monitor == TRAIN_MONITOR_ACCURACY;
    int r = check_options(&o, train, validation, err);
    if (r < 0)
        return r;
    struct train_fit *fit = calloc(1, sizeof *fit);
    if (!fit || !(fit->onnx = malloc(size))) {
        free(fit);
        return nn_error_set(err, -ENOMEM, "no memory for a training");
    }
    memcpy(fit->onnx, onnx, size);
    fit->onnx_size = size;
    fit->options = o;
    fit->train = *train;
    if (validation)
        fit->validation = *validation;
    fit->plateau = train_plateau_start(&o.schedule);
    r = make_net(fit, err);
    if (r == 0)
        r = settle_loss(fit, err);
    if (r == 0)
        r = make_optimizer(fit, err);
    if (r == 0)
        r = make_memory(fit, err);
    if (r < 0) {
        train_fit_destroy(fit);
        return r;
    }
    keep_weights(fit);
    *ret_fit = fit;
    return 0;
}

void train_fit_destroy(struct train_fit *fit)
{
    if (!fit)
        return;
    train_optimizer_destroy(fit->optimizer);
    train_net_destroy(fit->net);
    nn_model_unref(fit->model);
    free(fit->parameters);
    free(fit->labels);
    free(fit->targets);
    free(fit->weights);
    free(fit->sample);
    free(fit->partner);
    free(fit->scratch);
    free(fit->order);
    free(fit->kept);
    free(fit->onnx);
    free(fit);
}

/* --- Batches ------------------------------------------------------------------------------- */

/* Sample `at` as it enters. `learning`: changed at random, by the epoch and which sample it is. */
static int read_sample(struct train_fit *fit, const struct train_dataset *data, int at,
                       bool learning, float *ret_values, struct nn_error *err)
{
    bool is_index = train_net_input(fit->net, 0)->type == NN_TYPE_INT64;
    size_t count = (size_t)nn_shape_count(&data->shape);
    int r = train_dataset_read(data, at, ret_values, err);
    if (r < 0)
        return r;
    if (learning && train_augment_is_on(&fit->options.augment)) {
        struct train_random random =
            train_random_fork(fit->options.seed, TRAIN_RANDOM_AUGMENT,
                              (uint64_t)fit->numbers[DONE], (uint64_t)at);
        train_augment_apply(&fit->options.augment, &random, &data->shape, ret_values,
                            fit->scratch);
    }
    for (size_t i = 0; i < count; i++) {
        float value = (ret_values[i] - fit->options.mean) * fit->options.scale;
        if (!isfinite(value))
            return nn_error_set(err, -EINVAL, "sample %d holds what is no number",
                                data->origins[at]);
        if (is_index && fabsf(value) > INDEX_MAX)
            return nn_error_set(err, -EINVAL, "sample %d holds %g, which is no index",
                                data->origins[at], (double)value);
        ret_values[i] = value;
    }
    return 0;
}

/* Whom a sample is mixed with, and how much is left of itself. */
struct mix {
    int partner;
    float share;
};

/* Mixes the sample at hand with another one of those that are learned. */
static int mix_sample(struct train_fit *fit, int at, struct mix *ret_mix, struct nn_error *err)
{
    const struct train_dataset *data = fit->train.data;
    size_t count = (size_t)nn_shape_count(&data->shape);
    struct train_random random = train_random_fork(fit->options.seed, TRAIN_RANDOM_MIX,
                                                   (uint64_t)fit->numbers[DONE], (uint64_t)at);
    uint64_t drawn = train_random_below(&random, (uint64_t)fit->train.count);
    struct mix mix = {fit->train.samples[drawn],
                      (float)train_random_beta(&random, fit->options.mixup)};
    int r = read_sample(fit, data, mix.partner, true, fit->partner, err);
    for (size_t i = 0; i < count && r == 0; i++)
        fit->sample[i] = mix.share * fit->sample[i] + (1 - mix.share) * fit->partner[i];
    *ret_mix = mix;
    return r;
}

/* What the row's sample should be taken for. */
static void write_target(struct train_fit *fit, int row, int own, int other, float share,
                         bool learning)
{
    fit->labels[row] = share < 0.5f ? other : own;
    if (has_shares(fit, learning)) {
        float *to = fit->targets + row * fit->batch.width;
        memset(to, 0, (size_t)fit->batch.width * sizeof *to);
        to[own] += share;
        to[other] += 1 - share;
    } else {
        fit->targets[row] = share * (float)own + (1 - share) * (float)other;
    }
}

/* Sample `at` of the data to row `row` of the net's input. */
static int take_sample(struct train_fit *fit, const struct train_dataset *data, int at, int row,
                       bool learning, struct nn_error *err)
{
    const struct nn_tensor *input = train_net_input(fit->net, 0);
    size_t count = (size_t)nn_shape_count(&data->shape);
    struct mix mix = {at, 1};
    int r = read_sample(fit, data, at, learning, fit->sample, err);
    if (r == 0 && learning && fit->options.mixup > 0)
        r = mix_sample(fit, at, &mix, err);
    if (r < 0)
        return r;
    if (input->type == NN_TYPE_INT64)
        for (size_t i = 0; i < count; i++)
            ((int64_t *)input->data)[(size_t)row * count + i] = (int64_t)fit->sample[i];
    else
        memcpy((float *)input->data + (size_t)row * count, fit->sample, count * sizeof(float));
    if (is_regression(fit))
        memcpy(fit->targets + (size_t)row * count, fit->sample, count * sizeof(float));
    else
        write_target(fit, row, data->labels[at], data->labels[mix.partner], mix.share,
                     learning);
    return 0;
}

/* `count` samples, in a batch that is filled up with the first of them, which do not count. */
static int take_batch(struct train_fit *fit, const struct train_dataset *data,
                      const int *samples, int count, bool learning, struct nn_error *err)
{
    int r = 0;
    for (int i = 0; i < fit->options.batch && r == 0; i++) {
        r = take_sample(fit, data, samples[i < count ? i : i % count], i, learning, err);
        fit->weights[i] = i < count ? 1 : 0;
    }
    fit->batch.whole = count;
    return r;
}

/* Whether the network's answer to a row of the batch is the label. */
static bool is_right(const struct train_fit *fit, int row)
{
    const struct train_head *head = train_net_head(fit->net);
    const float *y = (const float *)head->values + row * fit->batch.width;
    if (fit->options.loss.kind == TRAIN_LOSS_BINARY)
        return (y[0] > (fit->options.loss.logits ? 0 : 0.5f)) == (fit->labels[row] == 1);
    int64_t best = 0;
    for (int64_t i = 1; i < fit->batch.width; i++)
        best = y[i] > y[best] ? i : best;
    return best == fit->labels[row];
}

/* The loss of the batch at hand, added to a score; where it is learned, its gradient to the
 * head. */
static int judge(struct train_fit *fit, int count, bool learning, struct train_score *score,
                 struct nn_error *err)
{
    const struct train_head *head = train_net_head(fit->net);
    struct train_loss loss = fit->options.loss;
    double value;
    if (has_shares(fit, learning))
        loss.kind = TRAIN_LOSS_CATEGORICAL;
    int r = train_loss_float(&loss, &fit->batch, head->values, learning ? head->gradient : NULL,
                             &value, err);
    if (r < 0)
        return r;
    score->loss += value * count;
    for (int i = 0; i < count && !is_regression(fit); i++)
        score->accuracy += is_right(fit, i);
    score->count += count;
    return 0;
}

static void finish_score(const struct train_fit *fit, struct train_score *score)
{
    score->loss /= score->count;
    score->accuracy = is_regression(fit) ? NAN : score->accuracy / score->count;
}

/* --- Epochs -------------------------------------------------------------------------------- */

static int no_number(struct train_fit *fit, struct nn_error *err)
{
    struct nn_error cause = {{0}};
    train_net_backward(fit->net);
    int r = train_parameters_check(fit->parameters, fit->parameter_count, &cause);
    return nn_error_set(err, -EDOM,
                        "the loss is no number any more, at step %lld%s%.200s; a smaller "
                        "learning rate or clip_norm may help",
                        (long long)fit->numbers[STEPS] + 1, r < 0 ? ": " : "", cause.text);
}

static int train_step(struct train_fit *fit, const int *samples, int count,
                      struct train_score *score, double *ret_rate, struct nn_error *err)
{
    uint64_t step = (uint64_t)fit->numbers[STEPS];
    struct train_random random =
        train_random_fork(fit->options.seed, TRAIN_RANDOM_DROPOUT, step, 0);
    int r = take_batch(fit, fit->train.data, samples, count, true, err);
    if (r == 0)
        r = train_net_forward(fit->net, true, train_random_next(&random), err);
    double before = score->loss;
    if (r == 0)
        r = judge(fit, count, true, score, err);
    if (r < 0)
        return r;
    if (!isfinite(score->loss - before))
        return no_number(fit, err);
    train_net_backward(fit->net);
    *ret_rate = train_schedule_rate(&fit->options.schedule, step, &fit->plateau);
    struct nn_threads *threads = train_net_threads(fit->net);
    bool helped = threads && nn_threads_begin(threads);
    r = train_optimizer_step(fit->optimizer, *ret_rate, helped ? threads : NULL, err);
    if (threads)
        nn_threads_end(threads, helped);
    fit->numbers[STEPS]++;
    return r;
}

static int score_all(struct train_fit *fit, const struct train_selection *selection,
                     struct train_score *score, float *probabilities, struct nn_error *err)
{
    int batch = fit->options.batch, r = 0;
    int64_t width = fit->batch.width;
    bool binary = fit->options.loss.kind == TRAIN_LOSS_BINARY;
    *score = (struct train_score){0};
    for (int at = 0; at < selection->count && r == 0; at += batch) {
        int count = selection->count - at < batch ? selection->count - at : batch;
        r = take_batch(fit, selection->data, selection->samples + at, count, false, err);
        if (r == 0)
            r = train_net_forward(fit->net, false, 0, err);
        if (r == 0)
            r = judge(fit, count, false, score, err);
        const float *y = train_net_output(fit->net, 0)->data;
        for (int i = 0; i < count && probabilities && r == 0; i++) {
            float *to = probabilities + (size_t)(at + i) * (size_t)(binary ? 2 : width);
            if (binary) {
                to[0] = 1 - y[i];
                to[1] = y[i];
            } else {
                memcpy(to, y + i * width, (size_t)width * sizeof *to);
            }
        }
    }
    if (r == 0)
        finish_score(fit, score);
    return r;
}

/* What the epoch is judged by: higher is better. */
static double metric_of(const struct train_fit *fit, const struct train_score *score)
{
    return fit->options.monitor == TRAIN_MONITOR_ACCURACY ? score->accuracy : -score->loss;
}

static void finish_epoch(struct train_fit *fit, struct train_epoch *epoch)
{
    bool judged = epoch->validation.count > 0;
    const struct train_score *score = judged ? &epoch->validation : &epoch->train;
    double metric = metric_of(fit, score);
    bool higher = fit->options.schedule.higher_is_better;
    epoch->best =
        !judged || fit->numbers[BEST] == 0 || metric > double_of(fit->numbers[BEST_BITS]);
    fit->numbers[DONE]++;
    fit->numbers[WAITED] = epoch->best ? 0 : fit->numbers[WAITED] + 1;
    if (epoch->best) {
        fit->numbers[BEST] = fit->numbers[DONE];
        fit->numbers[BEST_BITS] = bits_of(metric);
    }
    if (epoch->best || !fit->options.keep_best)
        keep_weights(fit);
    train_plateau_epoch(&fit->plateau, &fit->options.schedule,
                        higher ? score->accuracy : score->loss);
    fit->numbers[ENDED] =
        fit->numbers[DONE] >= fit->options.epochs ||
        (fit->options.patience > 0 && fit->numbers[WAITED] >= fit->options.patience);
    epoch->epoch = (int)fit->numbers[DONE];
    epoch->ended = fit->numbers[ENDED] != 0;
}

/* The last step's weights have met no batch yet. */
static int check_weights(const struct train_fit *fit, struct nn_error *err)
{
    for (size_t i = 0; i < fit->parameter_count; i++)
        for (size_t j = 0; j < fit->parameters[i].count; j++)
            if (!isfinite(fit->parameters[i].value[j]))
                return nn_error_set(err, -EDOM,
                                    "%.150s is no number any more behind step %lld; a smaller "
                                    "learning rate or clip_norm may help",
                                    fit->parameters[i].name, (long long)fit->numbers[STEPS]);
    return 0;
}

static int validate(struct train_fit *fit, struct train_epoch *epoch, struct nn_error *err)
{
    if (fit->validation.count == 0)
        return 0;
    int r = score_all(fit, &fit->validation, &epoch->validation, NULL, err);
    if (r == 0 && !isfinite(epoch->validation.loss))
        r = nn_error_set(err, -EDOM,
                         "the loss of the validation samples is no number behind step %lld; a "
                         "smaller learning rate or clip_norm may help",
                         (long long)fit->numbers[STEPS]);
    return r;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int train_fit_epoch(struct train_fit *fit, train_progress *progress, void *data,
                    struct train_epoch *ret_epoch, struct nn_error *err)
{
    int batch = fit->options.batch, count = fit->train.count, r = 0;
    struct train_epoch epoch = {0};
    struct train_random random = train_random_fork(fit->options.seed, TRAIN_RANDOM_SHUFFLE,
                                                   (uint64_t)fit->numbers[DONE], 0);
    double start = now();
    memcpy(fit->order, fit->train.samples, (size_t)count * sizeof *fit->order);
    train_random_shuffle(&random, fit->order, (size_t)count);
    for (int at = 0; at < count && r == 0; at += batch) {
        int here = count - at < batch ? count - at : batch;
        r = train_step(fit, fit->order + at, here, &epoch.train, &epoch.rate, err);
        if (r == 0 && progress &&
            !progress(data, at + here, count, epoch.train.loss / epoch.train.count))
            r = -ECANCELED;
    }
    if (r == 0)
        r = check_weights(fit, err);
    if (r < 0)
        return r;
    finish_score(fit, &epoch.train);
    train_optimizer_swap(fit->optimizer);
    r = validate(fit, &epoch, err);
    if (r == 0)
        finish_epoch(fit, &epoch);
    train_optimizer_swap(fit->optimizer);
    epoch.seconds = now() - start;
    if (r == 0)
        *ret_epoch = epoch;
    return r;
}

int train_fit_epochs(const struct train_fit *fit)
{
    return (int)fit->numbers[DONE];
}

bool train_fit_ended(const struct train_fit *fit)
{
    return fit->numbers[ENDED] != 0;
}

/* Exchanges the parameters and those that are kept. */
static void swap_kept(struct train_fit *fit)
{
    float *kept = fit->kept;
    for (size_t i = 0; i < fit->parameter_count; kept += fit->parameters[i++].count)
        for (size_t j = 0; j < fit->parameters[i].count; j++) {
            float value = fit->parameters[i].value[j];
            fit->parameters[i].value[j] = kept[j];
            kept[j] = value;
        }
}

int train_fit_score(struct train_fit *fit, const struct train_selection *selection,
                    struct train_score *ret_score, float *ret_probabilities,
                    struct nn_error *err)
{
    int r = selection->count < 1
                ? nn_error_set(err, -EINVAL, "there are no samples to judge by")
                : check_selection(fit->train.data, selection, err);
    if (r < 0)
        return r;
    swap_kept(fit);
    r = score_all(fit, selection, ret_score, ret_probabilities, err);
    swap_kept(fit);
    return r;
}

int train_fit_export(struct train_fit *fit, const struct train_metadata *metadata,
                     size_t metadata_count, void **ret_bytes, size_t *ret_size,
                     struct nn_error *err)
{
    swap_kept(fit);
    int r = train_export(fit->net, fit->onnx, fit->onnx_size, metadata, metadata_count,
                         ret_bytes, ret_size, err);
    swap_kept(fit);
    return r;
}

/* --- Checkpoints --------------------------------------------------------------------------- */

struct items {
    struct nn_pool pool; /* of all that follows */
    struct train_checkpoint_item *list;
    size_t count;
};

/* Names begin with what it is, so that no parameter's name can be that of something else. */
static int add_item(struct items *items, const char *what, const char *name, float *numbers,
                    size_t count)
{
    size_t length = strlen(what) + 1 + strlen(name) + 1;
    char *whole = nn_pool_alloc(&items->pool, length);
    if (!whole)
        return -ENOMEM;
    snprintf(whole, length, "%s/%s", what, name);
    items->list[items->count++] =
        (struct train_checkpoint_item){whole, NN_TYPE_FLOAT, numbers, count};
    return 0;
}

/* Everything that later epochs depend on. The caller finishes the pool, on failure too. */
static int list_items(const struct train_fit *fit, int64_t *numbers, struct items *items,
                      struct nn_error *err)
{
    struct train_optimizer_state state = train_optimizer_state(fit->optimizer);
    size_t most = 2 * fit->parameter_count + state.count + 2;
    nn_pool_init(&items->pool, SIZE_MAX);
    items->count = 0;
    items->list = nn_pool_array(&items->pool, most, sizeof *items->list);
    int r = items->list ? 0 : -ENOMEM;
    float *kept = fit->kept;
    for (size_t i = 0; i < fit->parameter_count && r == 0; i++) {
        const struct train_parameter *p = &fit->parameters[i];
        r = add_item(items, "weights", p->name, p->value, p->count);
        if (r == 0)
            r = add_item(items, "kept", p->name, kept, p->count);
        kept += p->count;
    }
    for (size_t i = 0; i < state.count && r == 0; i++)
        r = add_item(items, "optimizer", state.arrays[i].name, state.arrays[i].data,
                     state.arrays[i].count);
    if (r < 0)
        return nn_error_set(err, r, "no memory for a checkpoint");
    items->list[items->count++] =
        (struct train_checkpoint_item){"steps", NN_TYPE_INT64, state.steps, 1};
    items->list[items->count++] =
        (struct train_checkpoint_item){"training", NN_TYPE_INT64, numbers, NUMBERS};
    return 0;
}

/* Whether numbers are such as epochs leave behind. */
static bool make_sense(const struct train_fit *fit, const int64_t *numbers)
{
    int64_t batch = fit->options.batch, done = numbers[DONE];
    double scale = double_of(numbers[PLATEAU_SCALE]);
    return done >= 0 && done <= fit->options.epochs &&
           numbers[STEPS] == done * ((fit->train.count + batch - 1) / batch) &&
           train_optimizer_steps(fit->optimizer) == (uint64_t)numbers[STEPS] &&
           numbers[BEST] >= 0 && numbers[BEST] <= done && numbers[WAITED] >= 0 &&
           numbers[WAITED] <= done && scale >= 0 && scale <= 1 && numbers[PLATEAU_STILL] >= 0 &&
           numbers[PLATEAU_STILL] <= done && numbers[PLATEAU_COOLING] >= 0 &&
           numbers[PLATEAU_COOLING] <= fit->options.schedule.cooldown;
}

int train_fit_pack(const struct train_fit *fit, const char *identity, void **ret_bytes,
                   size_t *ret_size, struct nn_error *err)
{
    int64_t numbers[NUMBERS];
    struct items items;
    memcpy(numbers, fit->numbers, sizeof numbers);
    numbers[PLATEAU_BEST] = bits_of(fit->plateau.best);
    numbers[PLATEAU_SCALE] = bits_of(fit->plateau.scale);
    numbers[PLATEAU_STILL] = fit->plateau.still;
    numbers[PLATEAU_COOLING] = fit->plateau.cooling;
    int r = list_items(fit, numbers, &items, err);
    if (r == 0)
        r = train_checkpoint_pack(identity, items.list, items.count, ret_bytes, ret_size, err);
    nn_pool_finish(&items.pool);
    return r;
}

int train_fit_restore(struct train_fit *fit, const char *identity, const void *bytes,
                      size_t size, struct nn_error *err)
{
    int64_t numbers[NUMBERS];
    struct items items;
    int r = list_items(fit, numbers, &items, err);
    if (r == 0)
        r = train_checkpoint_read(bytes, size, identity, items.list, items.count, err);
    nn_pool_finish(&items.pool);
    if (r == 0 && !make_sense(fit, numbers))
        r = nn_error_set(err, -EINVAL, "the checkpoint holds numbers that no training leaves");
    if (r < 0)
        return r;
    memcpy(fit->numbers, numbers, sizeof numbers);
    fit->plateau = (struct train_plateau){.best = double_of(numbers[PLATEAU_BEST]),
                                          .scale = double_of(numbers[PLATEAU_SCALE]),
                                          .still = (int32_t)numbers[PLATEAU_STILL],
                                          .cooling = (int32_t)numbers[PLATEAU_COOLING]};
    return 0;
}
