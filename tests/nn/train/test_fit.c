/* Whole trainings of small networks on small samples made here. */
#include <errno.h>
#include <math.h>

#include "nn/train/fit.h"
#include "nn/train/row.h"
#include "tests/nn/train/design.h"

enum { CLASSES = 3, SIDE = 6, PIXELS = SIDE * SIDE, SAMPLES = 60 };

#define LAYERS "conv2d 4 3 relu; maxpool2d 2; flatten; dense 3 softmax"

/* Grey pictures: two bright rows at a place that the class says, in noise. */
static struct train_dataset *pictures(int count, int classes, uint32_t seed)
{
    uint8_t *block = malloc((size_t)count * PIXELS);
    ck_assert_ptr_nonnull(block);
    for (int i = 0; i < count * PIXELS; i++) {
        int label = i / PIXELS % classes, row = i % PIXELS / SIDE;
        block[i] = (uint8_t)((row / 2 == label ? 150 : 0) + (int)(net_next(&seed) % 90));
    }
    const struct train_memory memory = {.shape = {.rank = 3, .dim = {1, SIDE, SIDE}},
                                        .count = count,
                                        .type = NN_TYPE_UINT8,
                                        .block = block,
                                        .stride = PIXELS};
    struct train_dataset *data = NULL;
    struct nn_error err = {{0}};
    ck_assert_msg(train_dataset_create(&memory, "pictures", &data, &err) == 0, "%s", err.text);
    for (int i = 0; i < count; i++)
        data->labels[i] = i % classes;
    ck_assert_int_eq(train_names_number(&data->classes, classes), 0);
    return data;
}

/* Rows of numbers, as they are given. */
static struct train_dataset *rows(int count, int width, const float *values)
{
    size_t bytes = (size_t)(count * width) * sizeof(float);
    float *block = malloc(bytes);
    ck_assert_ptr_nonnull(block);
    memcpy(block, values, bytes);
    const struct train_memory memory = {.shape = {.rank = 1, .dim = {width}},
                                        .count = count,
                                        .type = NN_TYPE_FLOAT,
                                        .block = block,
                                        .stride = (size_t)width * sizeof(float)};
    struct train_dataset *data = NULL;
    struct nn_error err = {{0}};
    ck_assert_msg(train_dataset_create(&memory, "rows", &data, &err) == 0, "%s", err.text);
    return data;
}

/* 0, 1, 2, ... of a data set. */
static const int numbers[SAMPLES] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
    20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39,
    40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59};

static struct train_selection part(const struct train_dataset *data, int first, int count)
{
    return (struct train_selection){.data = data, .samples = numbers + first, .count = count};
}

static struct train_fit_options options_of(enum train_loss_kind loss,
                                           enum train_optimizer_kind optimizer)
{
    struct train_fit_options o = {.loss = {.kind = loss, .delta = 1},
                                  .optimizer = train_optimizer_defaults(optimizer),
                                  .schedule = train_schedule_defaults(TRAIN_SCHEDULE_CONSTANT),
                                  .batch = 16,
                                  .epochs = 6,
                                  .threads = 1,
                                  .seed = 3,
                                  .scale = 1.0f / 255};
    o.optimizer.rate = 0.01;
    return o;
}

static struct train_fit_options usual(void)
{
    return options_of(TRAIN_LOSS_SPARSE, TRAIN_OPTIMIZER_ADAM);
}

static int create_from(struct onnx_bytes file, const struct train_fit_options *options,
                       struct train_selection learn, struct train_selection judge,
                       struct train_fit **ret_fit, struct nn_error *err)
{
    int r = train_fit_create(file.data, file.size, options, &learn, &judge, ret_fit, err);
    free(file.data);
    return r;
}

static struct train_fit *create(const char *input, const char *layers,
                                const struct train_fit_options *options,
                                struct train_selection learn, struct train_selection judge)
{
    struct train_design *design = design_make(input, layers, 7);
    struct train_fit *fit = NULL;
    struct nn_error err = {{0}};
    size_t size;
    const void *bytes = train_design_bytes(design, &size);
    int r = train_fit_create(bytes, size, options, &learn, &judge, &fit, &err);
    train_design_destroy(design);
    ck_assert_msg(r == 0, "%s", err.text);
    return fit;
}

static struct train_fit *learn_pictures(const struct train_dataset *data, const char *layers,
                                        const struct train_fit_options *options)
{
    return create("6x6x1", layers, options, part(data, 0, 45), part(data, 45, 15));
}

static struct train_fit *of_pictures(const struct train_dataset *data,
                                     const struct train_fit_options *options)
{
    return learn_pictures(data, LAYERS, options);
}

static struct train_epoch epoch_of(struct train_fit *fit)
{
    struct train_epoch epoch;
    struct nn_error err = {{0}};
    ck_assert_msg(train_fit_epoch(fit, NULL, NULL, &epoch, &err) == 0, "%s", err.text);
    return epoch;
}

static struct train_epoch run_to_end(struct train_fit *fit)
{
    struct train_epoch epoch = {0};
    while (!train_fit_ended(fit))
        epoch = epoch_of(fit);
    return epoch;
}

static struct train_score score_of(struct train_fit *fit, struct train_selection selection,
                                   float *probabilities)
{
    struct train_score score;
    struct nn_error err = {{0}};
    int r = train_fit_score(fit, &selection, &score, probabilities, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    return score;
}

static struct onnx_bytes pack(const struct train_fit *fit)
{
    struct nn_error err = {{0}};
    void *bytes = NULL;
    size_t size = 0;
    ck_assert_msg(train_fit_pack(fit, "it", &bytes, &size, &err) == 0, "%s", err.text);
    return (struct onnx_bytes){.data = bytes, .size = size};
}

static struct onnx_bytes export(struct train_fit *fit)
{
    struct nn_error err = {{0}};
    void *bytes = NULL;
    size_t size = 0;
    ck_assert_msg(train_fit_export(fit, NULL, 0, &bytes, &size, &err) == 0, "%s", err.text);
    return (struct onnx_bytes){.data = bytes, .size = size};
}

static void expect_same(struct onnx_bytes a, struct onnx_bytes b, const char *what)
{
    bool same = a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
    free(a.data);
    free(b.data);
    ck_assert_msg(same, "%s: other bytes", what);
}

START_TEST(losses_fall_and_classes_are_told_apart)
{
    struct train_dataset *data = pictures(SAMPLES, CLASSES, 1);
    struct train_fit_options o = usual();
    o.epochs = 20;
    struct train_fit *fit = of_pictures(data, &o);
    struct train_epoch first = epoch_of(fit), last = run_to_end(fit);
    ck_assert_int_eq(first.epoch, 1);
    ck_assert_int_eq(last.epoch, 20);
    ck_assert(!first.ended && last.ended);
    ck_assert_int_eq(last.train.count, 45);
    ck_assert_int_eq(last.validation.count, 15);
    ck_assert_double_lt(last.train.loss, first.train.loss / 4);
    ck_assert_double_eq(last.validation.accuracy, 1);
    float probabilities[SAMPLES * CLASSES];
    struct train_score score = score_of(fit, part(data, 0, SAMPLES), probabilities);
    ck_assert_double_eq(score.accuracy, 1);
    for (int i = 0; i < SAMPLES; i++) {
        const float *p = probabilities + (ptrdiff_t)i * CLASSES;
        ck_assert_float_eq_tol(p[0] + p[1] + p[2], 1, 1e-5f);
        ck_assert_float_gt(p[i % CLASSES], 0.5f);
    }
    train_fit_destroy(fit);
    train_dataset_destroy(data);
}
END_TEST

/* Trainings of which a checkpoint must keep more than weights. */
static struct train_fit_options trainings(int index)
{
    struct train_fit_options o = usual();
    if (index == 0) {
        o = options_of(TRAIN_LOSS_SPARSE, TRAIN_OPTIMIZER_ADAMW);
        o.optimizer.average = 0.9;
        o.schedule = train_schedule_defaults(TRAIN_SCHEDULE_COSINE);
        o.schedule.steps = 18;
        o.schedule.warmup = 2;
        o.augment = (struct train_augment){.flip = 0.5, .noise = 9};
        o.keep_best = true;
    } else if (index == 1) {
        o = options_of(TRAIN_LOSS_SPARSE, TRAIN_OPTIMIZER_SGD);
        o.optimizer.rate = 0.6;
        o.optimizer.momentum = 0.9;
        o.schedule = train_schedule_defaults(TRAIN_SCHEDULE_PLATEAU);
        o.schedule.patience = 1;
        o.schedule.cooldown = 1;
        o.schedule.factor = 0.5;
        o.monitor = TRAIN_MONITOR_ACCURACY;
        o.patience = 3;
        o.epochs = 12;
        o.keep_best = true;
    } else {
        o.optimizer.clip_norm = 0.1;
        o.mixup = index == 3 ? 0.4 : 0;
    }
    return o;
}

/* The last with chance in its layers, and with what they remember of batches. */
static const char *const networks[] = {
    LAYERS, LAYERS, LAYERS,
    "conv2d 4 3; batchnorm; activation relu; flatten; dropout 0.3; dense 3 softmax"};

START_TEST(a_training_that_is_taken_up_anywhere_ends_with_the_same_bytes)
{
    struct train_dataset *data = pictures(SAMPLES, CLASSES, 1);
    struct train_fit_options o = trainings(_i);
    struct train_fit *whole = learn_pictures(data, networks[_i], &o);
    struct onnx_bytes checkpoints[16];
    int count = 0;
    checkpoints[count++] = pack(whole);
    while (!train_fit_ended(whole)) {
        epoch_of(whole);
        checkpoints[count++] = pack(whole);
    }
    ck_assert_int_gt(count, 4);
    for (int i = 0; i < count; i++) {
        struct train_fit *again = learn_pictures(data, networks[_i], &o);
        struct nn_error err = {{0}};
        int r = train_fit_restore(again, "it", checkpoints[i].data, checkpoints[i].size, &err);
        ck_assert_msg(r == 0, "%s", err.text);
        ck_assert_int_eq(train_fit_epochs(again), i);
        ck_assert_int_eq(train_fit_ended(again), i == count - 1);
        run_to_end(again);
        expect_same(pack(again), pack(whole), "checkpoint");
        expect_same(export(again), export(whole), "model");
        train_fit_destroy(again);
        free(checkpoints[i].data);
    }
    train_fit_destroy(whole);
    train_dataset_destroy(data);
}
END_TEST

START_TEST(any_number_of_threads_trains_to_the_same_bytes)
{
    struct train_dataset *data = pictures(SAMPLES, CLASSES, 1);
    for (int threads = 2; threads <= 3; threads++) {
        struct train_fit_options o = trainings(_i);
        struct train_fit *one = learn_pictures(data, networks[_i], &o);
        o.threads = threads;
        struct train_fit *several = learn_pictures(data, networks[_i], &o);
        run_to_end(one);
        run_to_end(several);
        expect_same(pack(one), pack(several), "threads");
        train_fit_destroy(one);
        train_fit_destroy(several);
    }
    train_dataset_destroy(data);
}
END_TEST

START_TEST(another_seed_is_another_training)
{
    struct train_dataset *data = pictures(SAMPLES, CLASSES, 1);
    struct train_fit_options o = usual();
    struct train_fit *one = of_pictures(data, &o);
    o.seed = 4;
    struct train_fit *other = of_pictures(data, &o);
    ck_assert_double_ne(epoch_of(one).train.loss, epoch_of(other).train.loss);
    train_fit_destroy(one);
    train_fit_destroy(other);
    train_dataset_destroy(data);
}
END_TEST

/* With a rate of 0 an epoch changes nothing: its figures are means of single samples'. */
START_TEST(what_fills_up_a_batch_does_not_count)
{
    const int batches[] = {1, 4, 7, 45, 64};
    struct train_dataset *data = pictures(SAMPLES, CLASSES, 1);
    double sums[2] = {0};
    for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
        struct train_fit_options o = usual();
        o.optimizer.rate = 0;
        o.batch = batches[b];
        struct train_fit *fit = of_pictures(data, &o);
        struct train_epoch epoch = epoch_of(fit);
        for (int i = 0; i < SAMPLES && b == 0; i++)
            sums[i >= 45] += score_of(fit, part(data, i, 1), NULL).loss;
        ck_assert_double_eq_tol(epoch.train.loss, sums[0] / 45, 1e-6);
        ck_assert_double_eq_tol(epoch.validation.loss, sums[1] / 15, 1e-6);
        ck_assert_double_eq_tol(epoch.validation.accuracy * 15,
                                round(epoch.validation.accuracy * 15), 1e-9);
        train_fit_destroy(fit);
    }
    train_dataset_destroy(data);
}
END_TEST

/* Two samples in a batch of two, and in one of five: the same step. */
START_TEST(what_fills_up_a_batch_teaches_nothing)
{
    struct train_dataset *data = pictures(SAMPLES, CLASSES, 1);
    struct train_fit_options o = options_of(TRAIN_LOSS_SPARSE, TRAIN_OPTIMIZER_SGD);
    double losses[2];
    for (int i = 0; i < 2; i++) {
        o.batch = i ? 5 : 2;
        o.optimizer.rate = 0.5;
        struct train_fit *fit =
            create("6x6x1", LAYERS, &o, part(data, 0, 2), part(data, 45, 15));
        epoch_of(fit);
        losses[i] = epoch_of(fit).validation.loss;
        train_fit_destroy(fit);
    }
    ck_assert_double_eq_tol(losses[0], losses[1], 1e-5);
    train_dataset_destroy(data);
}
END_TEST

START_TEST(a_sample_that_holds_no_number_is_named)
{
    float values[5 * 4];
    net_fill(values, 20, 3);
    values[3 * 4 + 1] = NAN;
    struct train_dataset *data = rows(5, 4, values);
    ck_assert_int_eq(train_names_number(&data->classes, 2), 0);
    struct train_fit_options o = usual();
    struct train_fit *fit =
        create("4", "dense 2 softmax", &o, part(data, 0, 5), part(data, 0, 0));
    struct train_epoch epoch;
    struct nn_error err = {{0}};
    ck_assert_int_eq(train_fit_epoch(fit, NULL, NULL, &epoch, &err), -EINVAL);
    ck_assert_str_eq(err.text, "sample 3 holds what is no number");
    train_fit_destroy(fit);
    train_dataset_destroy(data);
}
END_TEST

/* The loss compares with the input, entered as it is. */
START_TEST(an_autoencoder_learns_its_input)
{
    const enum train_loss_kind kinds[] = {TRAIN_LOSS_SQUARED, TRAIN_LOSS_ABSOLUTE,
                                          TRAIN_LOSS_HUBER};
    struct train_dataset *data = pictures(SAMPLES, CLASSES, 1);
    struct train_fit_options o = options_of(kinds[_i], TRAIN_OPTIMIZER_ADAM);
    o.epochs = 30;
    struct train_fit *fit = create("6x6x1", "flatten; dense 8 relu; dense 36", &o,
                                   part(data, 0, 45), part(data, 45, 15));
    struct train_epoch first = epoch_of(fit), last = run_to_end(fit);
    ck_assert_double_lt(last.validation.loss, 0.5 * first.validation.loss);
    ck_assert(isnan(last.train.accuracy) && isnan(last.validation.accuracy));
    train_fit_destroy(fit);
    train_dataset_destroy(data);
}
END_TEST

/* Networks whose last activation the loss wants, does not want, or misses: values by hand, and a
 * step that goes down the slope. */
static double by_hand(enum train_loss_kind loss, const float *y, const float *x, int label)
{
    double value = 0, sum = 0;
    for (int k = 0; k < 3; k++)
        sum += (double)y[k];
    if (loss == TRAIN_LOSS_SPARSE)
        return -log(fmin(fmax((double)y[label] / sum, 1e-7), 1 - 1e-7));
    for (int k = 0; k < 3; k++)
        value += ((double)y[k] - (double)x[k]) * ((double)y[k] - (double)x[k]) / 3;
    return value;
}

START_TEST(losses_meet_any_last_activation)
{
    const struct {
        const char *layers;
        enum train_loss_kind loss;
    } cases[] = {{"dense 3 softmax", TRAIN_LOSS_SPARSE},
                 {"dense 3 softmax", TRAIN_LOSS_CATEGORICAL},
                 {"dense 3 softmax", TRAIN_LOSS_SQUARED},
                 {"dense 3 relu", TRAIN_LOSS_SQUARED},
                 {"dense 3", TRAIN_LOSS_SQUARED},
                 {"dense 3 softmax; flatten", TRAIN_LOSS_SPARSE}};
    float values[9] = {0.9f, 0.3f, 0.2f, 0.1f, 0.7f, 0.4f, 0.3f, 0.2f, 0.8f}, y[9];
    struct train_dataset *data = rows(3, 3, values);
    for (int i = 0; i < 3; i++)
        data->labels[i] = i;
    ck_assert_int_eq(train_names_number(&data->classes, 3), 0);
    struct train_fit_options o = options_of(cases[_i].loss, TRAIN_OPTIMIZER_SGD);
    o.scale = 1;
    o.batch = 3;
    o.epochs = 2;
    o.optimizer.rate = 1e-3;
    struct train_fit *fit =
        create("3", cases[_i].layers, &o, part(data, 0, 3), part(data, 0, 0));
    double before = score_of(fit, part(data, 0, 3), y).loss, want = 0;
    bool classes = cases[_i].loss < TRAIN_LOSS_BINARY;
    for (int i = 0; i < 3; i++)
        want += by_hand(classes ? TRAIN_LOSS_SPARSE : TRAIN_LOSS_SQUARED, y + 3 * (ptrdiff_t)i,
                        values + 3 * (ptrdiff_t)i, i) /
                3;
    ck_assert_double_eq_tol(before, want, 1e-5);
    ck_assert_double_eq_tol(epoch_of(fit).train.loss, want, 1e-5);
    ck_assert_double_lt(epoch_of(fit).train.loss, before);
    train_fit_destroy(fit);
    train_dataset_destroy(data);
}
END_TEST

START_TEST(a_network_with_one_sigmoid_tells_two_classes_apart)
{
    struct train_dataset *data = pictures(SAMPLES, 2, 1);
    struct train_fit_options o = options_of(TRAIN_LOSS_BINARY, TRAIN_OPTIMIZER_ADAM);
    if (!train_row_find_float("Sigmoid")) {
        suite_skip("Sigmoid does not learn");
        train_dataset_destroy(data);
        return;
    }
    o.epochs = 30;
    struct train_fit *fit =
        create("6x6x1", "flatten; dense 1 sigmoid", &o, part(data, 0, 45), part(data, 45, 15));
    float p[SAMPLES * 2];
    double loss = 0;
    ck_assert_double_eq(run_to_end(fit).validation.accuracy, 1);
    double got = score_of(fit, part(data, 0, SAMPLES), p).loss;
    for (ptrdiff_t i = 0; i < SAMPLES; i++) {
        ck_assert_float_eq_tol(p[2 * i] + p[2 * i + 1], 1, 1e-6f);
        loss -= log((double)p[2 * i + i % 2]) / SAMPLES;
    }
    ck_assert_double_eq_tol(got, loss, 1e-4);
    train_fit_destroy(fit);
    train_dataset_destroy(data);
}
END_TEST

/* Samples to judge by that have wrong labels: the best epoch is not the last. */
START_TEST(what_is_kept_is_the_last_epoch_or_the_best)
{
    struct train_dataset *data = pictures(SAMPLES, CLASSES, 1);
    for (int i = 45; i < SAMPLES; i += 2)
        data->labels[i] = (i + 1) % CLASSES;
    for (int best = 0; best < 2; best++) {
        struct train_fit_options o = usual();
        o.epochs = 15;
        o.keep_best = best;
        struct train_fit *fit = of_pictures(data, &o);
        double least = INFINITY, last = 0;
        while (!train_fit_ended(fit)) {
            struct train_epoch epoch = epoch_of(fit);
            ck_assert_int_eq(epoch.best, epoch.validation.loss < least);
            last = epoch.validation.loss;
            least = last < least ? last : least;
        }
        ck_assert_double_ne(last, least);
        ck_assert_double_eq(score_of(fit, part(data, 45, 15), NULL).loss, best ? least : last);
        train_fit_destroy(fit);
    }
    train_dataset_destroy(data);
}
END_TEST

START_TEST(it_ends_early_where_nothing_becomes_better)
{
    struct train_dataset *data = pictures(SAMPLES, CLASSES, 1);
    struct train_fit_options o = usual();
    o.optimizer.rate = 0;
    o.epochs = 50;
    o.patience = 2;
    struct train_fit *fit = of_pictures(data, &o);
    ck_assert_int_eq(run_to_end(fit).epoch, 3);
    train_fit_destroy(fit);
    train_dataset_destroy(data);
}
END_TEST

/* The schedule begins with the optimizer's rate, and looks at what the monitor does. */
START_TEST(a_plateau_lowers_the_rate)
{
    struct train_dataset *data = pictures(SAMPLES, CLASSES, 1);
    for (int monitor = 0; monitor < 2; monitor++) {
        struct train_fit_options o = options_of(TRAIN_LOSS_SPARSE, TRAIN_OPTIMIZER_SGD);
        o.optimizer.rate = 1e-30;
        o.monitor = (enum train_monitor)monitor;
        o.schedule = train_schedule_defaults(TRAIN_SCHEDULE_PLATEAU);
        o.schedule.patience = 2;
        o.schedule.factor = 0.25;
        struct train_fit *fit = of_pictures(data, &o);
        double want[] = {1e-30, 1e-30, 1e-30, 0.25e-30, 0.25e-30, 0.0625e-30};
        for (int i = 0; i < 6; i++)
            ck_assert_double_eq_tol(epoch_of(fit).rate, want[i], 1e-36);
        train_fit_destroy(fit);
    }
    train_dataset_destroy(data);
}
END_TEST

/* The last step's weights meet no batch of their own. */
START_TEST(weights_that_are_no_numbers_end_it)
{
    struct train_dataset *data = pictures(SAMPLES, CLASSES, 1);
    struct train_fit_options o = options_of(TRAIN_LOSS_SPARSE, TRAIN_OPTIMIZER_SGD);
    struct train_epoch epoch;
    struct nn_error err = {{0}};
    o.optimizer.rate = 3e38;
    o.optimizer.momentum = 0.9;
    o.optimizer.weight_decay = 1e6;
    o.batch = 45;
    struct train_fit *fit = create("6x6x1", LAYERS, &o, part(data, 0, 45), part(data, 0, 0));
    ck_assert_int_eq(train_fit_epoch(fit, NULL, NULL, &epoch, &err), -EDOM);
    ck_assert_msg(strstr(err.text, "conv2d") && strstr(err.text, "step 1"), "%s", err.text);
    train_fit_destroy(fit);
    train_dataset_destroy(data);
}
END_TEST

struct watched {
    int calls, done, until;
};

static bool watch(void *data, int done, int whole, double loss)
{
    struct watched *w = data;
    w->calls++;
    w->done = done;
    ck_assert_int_eq(whole, 45);
    ck_assert(isfinite(loss));
    return w->calls < w->until;
}

START_TEST(progress_is_told_and_may_end_it)
{
    struct train_dataset *data = pictures(SAMPLES, CLASSES, 1);
    struct train_fit_options o = usual();
    struct train_fit *fit = of_pictures(data, &o);
    struct train_epoch epoch;
    struct nn_error err = {{0}};
    struct watched w = {.until = 100};
    ck_assert_int_eq(train_fit_epoch(fit, watch, &w, &epoch, &err), 0);
    ck_assert_int_eq(w.calls, 3);
    ck_assert_int_eq(w.done, 45);
    w = (struct watched){.until = 2};
    ck_assert_int_eq(train_fit_epoch(fit, watch, &w, &epoch, &err), -ECANCELED);
    ck_assert_int_eq(w.done, 32);
    ck_assert_int_eq(train_fit_epochs(fit), 1);
    train_fit_destroy(fit);
    train_dataset_destroy(data);
}
END_TEST

static void expect_not_restored(const struct train_dataset *data, const char *layers,
                                const struct train_fit_options *o, struct onnx_bytes bytes,
                                const char *identity, const char *text)
{
    struct train_fit *fit = create("6x6x1", layers, o, part(data, 0, 45), part(data, 45, 15));
    struct nn_error err = {{0}};
    int r = train_fit_restore(fit, identity, bytes.data, bytes.size, &err);
    ck_assert_msg(r == -EINVAL, "%d: %s", r, err.text);
    ck_assert_msg(strstr(err.text, text) != NULL, "'%s' does not say '%s'", err.text, text);
    train_fit_destroy(fit);
}

START_TEST(a_checkpoint_of_another_training_is_refused)
{
    struct train_dataset *data = pictures(SAMPLES, CLASSES, 1);
    struct train_fit_options o = usual(), other = usual();
    struct train_fit *fit = of_pictures(data, &o);
    epoch_of(fit);
    epoch_of(fit);
    struct onnx_bytes bytes = pack(fit);
    expect_not_restored(data, LAYERS, &o, bytes, "that", "another recipe");
    expect_not_restored(data, "flatten; dense 3 softmax", &o, bytes, "it",
                        "the checkpoint has");
    other.optimizer = train_optimizer_defaults(TRAIN_OPTIMIZER_RMSPROP);
    other.optimizer.momentum = 0.5;
    expect_not_restored(data, LAYERS, &other, bytes, "it", "the checkpoint has no");
    other = o;
    other.batch = 5; /* other steps in an epoch */
    expect_not_restored(data, LAYERS, &other, bytes, "it", "numbers that no training leaves");
    other = o;
    other.epochs = 1;
    expect_not_restored(data, LAYERS, &other, bytes, "it", "numbers that no training leaves");
    bytes.size /= 2;
    struct nn_error err = {{0}};
    ck_assert_int_lt(train_fit_restore(fit, "it", bytes.data, bytes.size, &err), 0);
    free(bytes.data);
    train_fit_destroy(fit);
    train_dataset_destroy(data);
}
END_TEST

/* A file may call one parameter what a checkpoint could call something of another's. */
static struct onnx_bytes named_model(void)
{
    struct onnx b = onnx_start(13);
    const float w[12] = {1, -1, 0.5f, 0.25f, -0.5f, 2, 1, -2, 0.3f, 0.2f, 0.1f, 0.7f};
    onnx_input(&b, "x", 1, DIMS(-1, 4));
    onnx_floats(&b, "a", DIMS(4, 3), w);
    onnx_floats(&b, "a/kept", DIMS(3, 4), w);
    onnx_floats(&b, "a/mean", DIMS(4, 3), w);
    onnx_floats(&b, "kept/a", DIMS(3), w);
    onnx_node(&b, "Gemm", "x a kept/a", "h");
    onnx_node(&b, "Gemm", "h a/kept", "i");
    onnx_node(&b, "Gemm", "i a/mean", "j");
    onnx_node(&b, "Softmax", "j", "y");
    onnx_output(&b, "y", 1, DIMS(-1, 3));
    return onnx_finish(&b);
}

START_TEST(names_of_parameters_do_not_meet_those_of_a_checkpoint)
{
    float values[6 * 4];
    net_fill(values, 24, 3);
    struct train_dataset *data = rows(6, 4, values);
    for (int i = 0; i < 6; i++)
        data->labels[i] = i % 3;
    ck_assert_int_eq(train_names_number(&data->classes, 3), 0);
    struct train_fit_options o = usual();
    struct train_fit *fits[2] = {0};
    struct nn_error err = {{0}};
    for (int i = 0; i < 2; i++)
        ck_assert_msg(create_from(named_model(), &o, part(data, 0, 6), part(data, 0, 0),
                                  &fits[i], &err) == 0,
                      "%s", err.text);
    epoch_of(fits[0]);
    struct onnx_bytes bytes = pack(fits[0]);
    int r = train_fit_restore(fits[1], "it", bytes.data, bytes.size, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    free(bytes.data);
    run_to_end(fits[0]);
    run_to_end(fits[1]);
    expect_same(pack(fits[0]), pack(fits[1]), "checkpoint");
    train_fit_destroy(fits[0]);
    train_fit_destroy(fits[1]);
    train_dataset_destroy(data);
}
END_TEST

/* x of a type through what makes floats of it. */
static struct onnx_bytes model_of(int type, int inputs)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", type, DIMS(-1, 4));
    if (inputs > 1)
        onnx_input(&b, "z", 1, DIMS(-1, 2));
    onnx_floats(&b, "w", DIMS(4, 2), (const float[]){1, -1, 0.5f, 0.25f, -0.5f, 2, 1, -2});
    onnx_node(&b, "Cast", "x", "f");
    onnx_attribute_int(&b, "to", 1);
    onnx_node(&b, "Gemm", inputs > 1 ? "f w z" : "f w", "g");
    onnx_node(&b, "Softmax", "g", "y");
    onnx_output(&b, "y", 1, DIMS(-1, 2));
    return onnx_finish(&b);
}

START_TEST(whole_numbers_enter_as_such)
{
    for (int large = 0; large < 2; large++) {
        float values[2 * 4] = {0, 1, 2, 3, 4, 5, 6, large ? 3e19f : 7};
        struct train_dataset *data = rows(2, 4, values);
        ck_assert_int_eq(train_names_number(&data->classes, 2), 0);
        struct train_fit_options o = usual();
        struct train_fit *fit = NULL;
        struct train_epoch epoch;
        struct nn_error err = {{0}};
        o.scale = 1;
        ck_assert_msg(create_from(model_of(NN_TYPE_INT64, 1), &o, part(data, 0, 2),
                                  part(data, 0, 0), &fit, &err) == 0,
                      "%s", err.text);
        int r = train_fit_epoch(fit, NULL, NULL, &epoch, &err);
        ck_assert_msg(r == (large ? -EINVAL : 0), "%s", err.text);
        ck_assert(!large || strstr(err.text, "sample 1 holds 3e+19"));
        train_fit_destroy(fit);
        train_dataset_destroy(data);
    }
}
END_TEST

static void expect_refused(struct onnx_bytes file, const struct train_fit_options *o,
                           struct train_selection learn, struct train_selection judge,
                           const char *text)
{
    struct train_fit *fit = NULL;
    struct nn_error err = {{0}};
    int r = create_from(file, o, learn, judge, &fit, &err);
    ck_assert_msg(r == -EINVAL || r == -ENOTSUP, "%d: %s", r, err.text);
    ck_assert_msg(strstr(err.text, text) != NULL, "'%s' does not say '%s'", err.text, text);
    ck_assert_ptr_null(fit);
}

START_TEST(what_makes_no_sense_is_refused_in_a_line)
{
    float values[4 * 4] = {0};
    struct train_dataset *data = rows(4, 4, values), *wide = rows(2, 8, values);
    struct train_dataset *more = rows(4, 4, values);
    struct train_selection learn = part(data, 0, 4), none = part(data, 0, 0);
    ck_assert_int_eq(train_names_number(&data->classes, 2), 0);
    ck_assert_int_eq(train_names_number(&more->classes, 3), 0);
    struct train_fit_options o = usual();
    expect_refused(model_of(NN_TYPE_UINT8, 1), &o, learn, none, "input 'x' takes uint8");
    expect_refused(model_of(NN_TYPE_FLOAT, 2), &o, learn, none, "one input is trained, not");
    expect_refused(model_of(NN_TYPE_FLOAT, 1), &o, none, none, "no samples to learn from");
    expect_refused(model_of(NN_TYPE_FLOAT, 1), &o, learn, part(wide, 0, 2), "another shape");
    expect_refused(model_of(NN_TYPE_FLOAT, 1), &o, learn, part(more, 0, 4), "of 3 classes");
    expect_refused(model_of(NN_TYPE_FLOAT, 1), &o, part(more, 0, 4), none,
                   "answers with 2 numbers");
    expect_refused(model_of(NN_TYPE_FLOAT, 1), &o, part(wide, 0, 2), none, "dimension 1");
    o.patience = 3;
    expect_refused(model_of(NN_TYPE_FLOAT, 1), &o, learn, none, "stopping early needs");
    o = options_of(TRAIN_LOSS_SQUARED, TRAIN_OPTIMIZER_ADAM);
    expect_refused(model_of(NN_TYPE_FLOAT, 1), &o, learn, none, "must be of one size");
    o = usual();
    o.batch = 0;
    expect_refused(model_of(NN_TYPE_FLOAT, 1), &o, learn, none, "a batch has 1 to");
    o = usual();
    o.augment.flip = 0.5;
    expect_refused(model_of(NN_TYPE_FLOAT, 1), &o, learn, none, "flip is for pictures");

    o = options_of(TRAIN_LOSS_SQUARED, TRAIN_OPTIMIZER_ADAM);
    o.monitor = TRAIN_MONITOR_ACCURACY;
    struct train_design *design = design_make("4", "dense 4", 1);
    size_t size;
    const void *bytes = train_design_bytes(design, &size);
    struct onnx_bytes copy = {.data = malloc(size), .size = size};
    ck_assert_ptr_nonnull(copy.data);
    memcpy(copy.data, bytes, size);
    train_design_destroy(design);
    expect_refused(copy, &o, learn, none, "has no accuracy");

    o = usual();
    struct train_fit *fit = NULL;
    struct train_score score;
    struct nn_error err = {{0}};
    ck_assert_int_eq(create_from(model_of(NN_TYPE_FLOAT, 1), &o, learn, none, &fit, &err), 0);
    const struct train_selection wrong[] = {part(wide, 0, 2), part(more, 0, 4), none};
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(train_fit_score(fit, &wrong[i], &score, NULL, &err), -EINVAL);
    train_fit_destroy(fit);
    train_dataset_destroy(data);
    train_dataset_destroy(wide);
    train_dataset_destroy(more);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("fit");
    tcase_set_timeout(all, 120);
    tcase_add_test(all, losses_fall_and_classes_are_told_apart);
    tcase_add_loop_test(all, a_training_that_is_taken_up_anywhere_ends_with_the_same_bytes, 0,
                        4);
    tcase_add_loop_test(all, any_number_of_threads_trains_to_the_same_bytes, 0, 4);
    tcase_add_test(all, another_seed_is_another_training);
    tcase_add_test(all, what_fills_up_a_batch_does_not_count);
    tcase_add_test(all, what_fills_up_a_batch_teaches_nothing);
    tcase_add_test(all, a_sample_that_holds_no_number_is_named);
    tcase_add_loop_test(all, an_autoencoder_learns_its_input, 0, 3);
    tcase_add_loop_test(all, losses_meet_any_last_activation, 0, 6);
    tcase_add_test(all, a_network_with_one_sigmoid_tells_two_classes_apart);
    tcase_add_test(all, what_is_kept_is_the_last_epoch_or_the_best);
    tcase_add_test(all, it_ends_early_where_nothing_becomes_better);
    tcase_add_test(all, a_plateau_lowers_the_rate);
    tcase_add_test(all, weights_that_are_no_numbers_end_it);
    tcase_add_test(all, progress_is_told_and_may_end_it);
    tcase_add_test(all, a_checkpoint_of_another_training_is_refused);
    tcase_add_test(all, names_of_parameters_do_not_meet_those_of_a_checkpoint);
    tcase_add_test(all, whole_numbers_enter_as_such);
    tcase_add_test(all, what_makes_no_sense_is_refused_in_a_line);
    return suite_run("nn/train/fit", &all, 1);
}
