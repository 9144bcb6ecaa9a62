/* Mixup: what samples are mixed to, against the same draws worked out here; and of what it is not. */
#include <errno.h>
#include <math.h>

#include "nn/train/fit.h"
#include "tests/nn/train/design.h"

enum { SAMPLES = 13, LEARNED = 9, WIDTH = 4 };

/* 0, 2, 4, ... are learned: places in the selection are not those in the data. */
static const int learned[LEARNED] = {0, 2, 4, 6, 8, 10, 12, 1, 3}, judged[] = {5, 7, 9, 11};

static struct train_dataset *samples(int classes)
{
    size_t bytes = SAMPLES * WIDTH * sizeof(float);
    float *block = malloc(bytes);
    ck_assert_ptr_nonnull(block);
    net_fill(block, SAMPLES * WIDTH, 9);
    const struct train_memory memory = {.shape = {.rank = 1, .dim = {WIDTH}},
                                        .count = SAMPLES,
                                        .type = NN_TYPE_FLOAT,
                                        .block = block,
                                        .stride = WIDTH * sizeof(float)};
    struct train_dataset *data = NULL;
    struct nn_error err = {{0}};
    ck_assert_msg(train_dataset_create(&memory, "rows", &data, &err) == 0, "%s", err.text);
    for (int i = 0; i < SAMPLES; i++)
        data->labels[i] = i % classes;
    ck_assert_int_eq(train_names_number(&data->classes, classes), 0);
    return data;
}

/* Nothing is learned: losses are those of the first weights. */
static struct train_fit_options options_of(enum train_loss_kind loss, double mixup)
{
    struct train_fit_options o = {.loss = {.kind = loss, .delta = 1},
                                  .optimizer = train_optimizer_defaults(TRAIN_OPTIMIZER_SGD),
                                  .schedule = train_schedule_defaults(TRAIN_SCHEDULE_CONSTANT),
                                  .batch = 4,
                                  .epochs = 2,
                                  .threads = 1,
                                  .seed = 3,
                                  .mean = 0.25f,
                                  .scale = 2,
                                  .mixup = mixup};
    o.optimizer.rate = 0;
    return o;
}

static const struct task {
    enum train_loss_kind loss;
    int classes;
    const char *layers;
    double smoothing;
} tasks[] = {
    {TRAIN_LOSS_SPARSE, 3, "dense 3 softmax", 0},
    {TRAIN_LOSS_CATEGORICAL, 3, "dense 3 softmax", 0.2},
    {TRAIN_LOSS_BINARY, 2, "dense 1 sigmoid", 0.2},
    {TRAIN_LOSS_SQUARED, 3, "dense 4", 0},
};
enum { TASKS = sizeof tasks / sizeof tasks[0] };

static struct train_fit *create(const struct task *task, const struct train_dataset *data,
                                const struct train_fit_options *options)
{
    struct train_design *design = design_make("4", task->layers, 7);
    struct train_fit *fit = NULL;
    struct nn_error err = {{0}};
    size_t size;
    const void *bytes = train_design_bytes(design, &size);
    int r = train_fit_create(bytes, size, options,
                             &(struct train_selection){data, learned, LEARNED},
                             &(struct train_selection){data, judged, 4}, &fit, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    train_design_destroy(design);
    return fit;
}

static const float *row(const struct train_dataset *data, int at)
{
    static float values[2][WIDTH];
    static int turn;
    turn = 1 - turn;
    ck_assert_int_eq(train_dataset_read(data, at, values[turn], NULL), 0);
    return values[turn];
}

/* The loss of what the net says of x, by the shares of two labels. */
static double loss_of(const struct task *task, const float *x, const float *y, int own,
                      int other, double share)
{
    double sum = 0;
    if (task->loss == TRAIN_LOSS_SQUARED) {
        for (int i = 0; i < WIDTH; i++)
            sum += (double)(y[i] - x[i]) * (double)(y[i] - x[i]) / WIDTH;
        return sum;
    }
    for (int c = 0; c < task->classes; c++) {
        bool binary = task->loss == TRAIN_LOSS_BINARY;
        double target = (c == own ? share : 0) + (c == other ? 1 - share : 0);
        double said = !binary ? (double)y[c] : c == 1 ? (double)y[0] : 1 - (double)y[0];
        target = target * (1 - task->smoothing) + task->smoothing / task->classes;
        sum -= target * log(said);
    }
    return sum;
}

START_TEST(samples_and_what_they_are_taken_for_are_mixed_alike)
{
    const struct task *task = &tasks[_i];
    struct train_dataset *data = samples(task->classes);
    struct train_fit_options o = options_of(task->loss, 0.7);
    o.loss.smoothing = task->smoothing;
    struct train_fit *fit = create(task, data, &o);
    struct train_design *design = design_make("4", task->layers, 7);
    struct net net = design_plan(design_load(design), 1);
    for (uint64_t epoch = 0; epoch < 2; epoch++) {
        struct train_epoch told;
        double want = 0;
        int right = 0;
        ck_assert_int_eq(train_fit_epoch(fit, NULL, NULL, &told, NULL), 0);
        for (int i = 0; i < LEARNED; i++) {
            struct train_random random =
                train_random_fork(o.seed, TRAIN_RANDOM_MIX, epoch, (uint64_t)learned[i]);
            int partner = learned[train_random_below(&random, LEARNED)];
            double share = train_random_beta(&random, o.mixup);
            const float *a = row(data, learned[i]), *b = row(data, partner);
            float x[WIDTH];
            for (int j = 0; j < WIDTH; j++)
                x[j] = (float)(2 * (share * (double)a[j] + (1 - share) * (double)b[j] - 0.25));
            net_set(&net, 0, x);
            net_run(&net);
            const float *y = net_floats(&net, 0);
            int own = data->labels[learned[i]], other = data->labels[partner], best = 0;
            want += loss_of(task, x, y, own, other, share) / LEARNED;
            for (int c = 1; c < task->classes && task->loss != TRAIN_LOSS_BINARY; c++)
                best = y[c] > y[best] ? c : best;
            if (task->loss == TRAIN_LOSS_BINARY)
                best = y[0] > 0.5f;
            right += best == (share < 0.5 ? other : own);
        }
        ck_assert_double_eq_tol(told.train.loss, want, 1e-5);
        if (task->loss != TRAIN_LOSS_SQUARED)
            ck_assert_double_eq_tol(told.train.accuracy, (double)right / LEARNED, 1e-9);
    }
    net_free(&net);
    train_design_destroy(design);
    train_fit_destroy(fit);
    train_dataset_destroy(data);
}
END_TEST

START_TEST(samples_to_judge_by_stay_whole)
{
    const struct task *task = &tasks[_i];
    struct train_dataset *data = samples(task->classes);
    struct train_epoch told[2];
    for (int mixed = 0; mixed < 2; mixed++) {
        struct train_fit_options o = options_of(task->loss, mixed ? 0.7 : 0);
        struct train_fit *fit = create(task, data, &o);
        ck_assert_int_eq(train_fit_epoch(fit, NULL, NULL, &told[mixed], NULL), 0);
        train_fit_destroy(fit);
    }
    ck_assert_double_ne(told[0].train.loss, told[1].train.loss);
    ck_assert_double_eq(told[0].validation.loss, told[1].validation.loss);
    train_dataset_destroy(data);
}
END_TEST

START_TEST(whole_numbers_and_shapes_that_are_none_are_refused)
{
    struct train_dataset *data = samples(2);
    static const double wrong[] = {-0.1, NAN, 101, INFINITY};
    struct train_fit *fit = NULL;
    struct nn_error err = {{0}};
    for (int i = 0; i < 5; i++) {
        struct train_design *design =
            design_make("4", i < 4 ? "dense 2 softmax" : "embedding 9 2; flatten; dense 2", 1);
        struct train_fit_options o = options_of(TRAIN_LOSS_SPARSE, i < 4 ? wrong[i] : 0.2);
        size_t size;
        const void *bytes = train_design_bytes(design, &size);
        const struct train_selection learn = {data, learned, LEARNED};
        ck_assert_int_eq(train_fit_create(bytes, size, &o, &learn, NULL, &fit, &err), -EINVAL);
        ck_assert_msg(strstr(err.text, i < 4 ? "mixup should be a number from 0 to 100"
                                             : "takes int64: mixup is for numbers"),
                      "%s", err.text);
        train_design_destroy(design);
    }
    train_dataset_destroy(data);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("mixup");
    tcase_add_loop_test(all, samples_and_what_they_are_taken_for_are_mixed_alike, 0, TASKS);
    tcase_add_loop_test(all, samples_to_judge_by_stay_whole, 0, TASKS);
    tcase_add_test(all, whole_numbers_and_shapes_that_are_none_are_refused);
    return suite_run("nn/train/mixup", &all, 1);
}
