#include "cli/crossvalidate.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/cli.h"
#include "cli/network.h"
#include "cli/output.h"
#include "cli/training.h"
#include "nn/train/random.h"
#include "nn/train/split.h"
#include "nn/train/statistics.h"

#define LEVEL     0.95
#define RESAMPLES 10000

struct protocol {
    const struct recipe *recipe;
    const struct train_dataset *data;
    int threads;
    bool json_lines;

    int *own_groups; /* each sample one of its own */
    bool *left_out;  /* samples of no fold */
    int *fold_of;    /* of the repeat at hand, by sample */
    int folds;
    double *right; /* by sample: in how many repeats it was told right */
};

/* One network: what it learns from, what chooses while it does, what judges it. */
struct trial {
    const struct recipe *recipe;
    struct train_selection learn, choose, judge;
    uint64_t seed;
    const char *name; /* "fold 3/5" */
};

struct verdict {
    int learned, chose; /* samples */
    int epochs;
    struct train_score score;
};

/* --- one network --------------------------------------------------------------------------- */

static int teach(const struct protocol *p, const struct trial *trial, struct train_fit *fit)
{
    g_autofree char *title = g_strconcat(trial->name, ", ", NULL);
    struct training_bar bar = {.shown = isatty(STDERR_FILENO) && !p->json_lines,
                               .title = title,
                               .epochs = trial->recipe->options.epochs};
    struct nn_error err = {{0}};
    int r = 0;
    while (r == 0 && !train_fit_ended(fit)) {
        struct train_epoch epoch;
        training_bar_start(&bar, train_fit_epochs(fit) + 1);
        r = train_fit_epoch(fit, training_bar_draw, &bar, &epoch, &err);
    }
    training_bar_clear(&bar);
    if (r == -ECANCELED)
        return cli_fail(CLI_CHECK_FAILED, "stopped in %s", trial->name);
    return r == 0 ? CLI_OK
                  : cli_fail(r == -EDOM ? CLI_CHECK_FAILED : CLI_CONFIG, "%s: %s", trial->name,
                             err.text);
}

/* Whether class `label` is what the probabilities say. */
static bool is_right(const float *probabilities, int classes, int label)
{
    int best = 0;
    for (int i = 1; i < classes; i++)
        best = probabilities[i] > probabilities[best] ? i : best;
    return best == label;
}

/* Adds 1 to right[sample] of those that were told right. */
static int judge(const struct trial *trial, struct train_fit *fit, struct verdict *verdict,
                 double *right)
{
    const struct train_dataset *data = trial->judge.data;
    const int classes = data->classes.count;
    g_autofree float *probabilities = g_new(float, (size_t)trial->judge.count *classes);
    struct nn_error err = {{0}};
    if (train_fit_score(fit, &trial->judge, &verdict->score, probabilities, &err) < 0)
        return cli_fail(CLI_INTERNAL, "%s: %s", trial->name, err.text);
    verdict->learned = trial->learn.count;
    verdict->chose = trial->choose.count;
    verdict->epochs = train_fit_epochs(fit);
    for (int i = 0; i < trial->judge.count; i++) {
        const int sample = trial->judge.samples[i];
        right[sample] +=
            is_right(probabilities + (size_t)i * classes, classes, data->labels[sample]);
    }
    return CLI_OK;
}

static int run_trial(const struct protocol *p, const struct trial *trial,
                     struct verdict *verdict, double *right)
{
    struct train_fit_options options =
        training_options(trial->recipe, trial->learn.count, p->threads);
    struct network network;
    struct train_fit *fit = NULL;
    struct nn_error err = {{0}};
    size_t size;
    int result = training_check_classes(trial->recipe, &trial->learn);
    if (result != CLI_OK)
        return result;
    options.seed = trial->seed;
    result = network_open(trial->recipe, trial->seed, &network);
    if (result == CLI_OK) {
        const void *bytes = network_bytes(&network, &size);
        if (train_fit_create(bytes, size, &options, &trial->learn, &trial->choose, &fit, &err) <
            0)
            result = cli_fail(CLI_CONFIG, "%s: %s", trial->recipe->path, err.text);
    }
    network_clear(&network);
    if (result != CLI_OK)
        return result;
    result = teach(p, trial, fit);
    if (result == CLI_OK)
        result = judge(trial, fit, verdict, right);
    train_fit_destroy(fit);
    return result;
}

/* --- folds --------------------------------------------------------------------------------- */

/* A seed of its own for what happens in a repeat: item 0 is its split, others are its networks. */
static uint64_t seed_of(const struct recipe *recipe, int repeat, int item)
{
    struct train_random random = train_random_fork(recipe->options.seed, TRAIN_RANDOM_SPLIT,
                                                   (uint64_t)repeat, (uint64_t)item);
    return train_random_next(&random);
}

static int split(struct protocol *p, int repeat)
{
    const struct recipe_evaluation *e = &p->recipe->evaluation;
    struct train_samples samples = train_samples_of(p->data);
    const uint64_t seed = seed_of(p->recipe, repeat, 0);
    struct nn_error err = {{0}};
    samples.left_out = p->left_out;
    int r = e->folds;
    switch (e->split) {
    case RECIPE_SPLIT_SAMPLES:
        samples.groups = p->own_groups;
        samples.group_count = samples.count;
        r = train_split_folds(&samples, e->folds, seed, p->fold_of, &err);
        break;
    case RECIPE_SPLIT_SOURCES:
        r = train_split_folds(&samples, e->folds, seed, p->fold_of, &err);
        break;
    case RECIPE_SPLIT_BLOCKS:
        r = train_split_blocks(&samples, e->folds, p->fold_of, &err);
        break;
    case RECIPE_SPLIT_EACH_SOURCE:
        r = train_split_groups(&samples, p->fold_of, &err);
    }
    if (r < 0)
        return cli_fail(CLI_CONFIG, "%s: [evaluation] split: %s", p->recipe->path, err.text);
    p->folds = e->split == RECIPE_SPLIT_EACH_SOURCE ? r : e->folds;
    return CLI_OK;
}

/* Whether anything in a training depends on validation samples. */
static bool chooses(const struct recipe *recipe)
{
    const struct train_fit_options *o = &recipe->options;
    return o->keep_best || o->patience > 0 || o->schedule.kind == TRAIN_SCHEDULE_PLATEAU;
}

/* The caller frees *ret_samples with g_free(). */
static struct train_selection select_part(const struct train_dataset *data,
                                          const enum train_part *parts, enum train_part part,
                                          int **ret_samples)
{
    struct train_selection selection = {.data = data};
    int *samples = *ret_samples = g_new(int, data->count);
    for (int i = 0; i < data->count; i++)
        if (parts[i] == part)
            samples[selection.count++] = i;
    selection.samples = samples;
    return selection;
}

/* Those of other folds teach, or a share of them chooses; those of the fold judge. */
static int part_samples(const struct protocol *p, int fold, uint64_t seed,
                        enum train_part *parts)
{
    const double share = p->recipe->validation.share;
    const int count = p->data->count;
    if (share > 0 && chooses(p->recipe)) {
        struct train_samples samples = train_samples_of(p->data);
        g_autofree bool *left_out = g_new(bool, count);
        struct nn_error err = {{0}};
        for (int i = 0; i < count; i++)
            left_out[i] = p->fold_of[i] == fold || p->fold_of[i] < 0;
        samples.left_out = left_out;
        if (p->recipe->evaluation.split == RECIPE_SPLIT_SAMPLES) {
            samples.groups = p->own_groups;
            samples.group_count = count;
        }
        if (train_split_parts(&samples, &(struct train_fractions){1 - share, share, 0}, seed,
                              parts, &err) < 0)
            return cli_fail(CLI_CONFIG, "%s: [data] validation: %s", p->recipe->path, err.text);
    } else {
        for (int i = 0; i < count; i++)
            parts[i] = p->fold_of[i] < 0 ? TRAIN_PART_NONE : TRAIN_PART_TRAIN;
    }
    for (int i = 0; i < count; i++)
        if (p->fold_of[i] == fold)
            parts[i] = TRAIN_PART_TEST;
    return CLI_OK;
}

static int run_fold(const struct protocol *p, int repeat, int fold, const char *name,
                    struct verdict *verdict)
{
    const struct train_dataset *data = p->data;
    const uint64_t seed = seed_of(p->recipe, repeat, 1 + fold);
    g_autofree enum train_part *parts = g_new0(enum train_part, data->count);
    g_autofree int *learn = NULL, *choose = NULL, *judged = NULL;
    int result = part_samples(p, fold, seed, parts);
    if (result != CLI_OK)
        return result;
    const struct trial trial = {
        .recipe = p->recipe,
        .learn = select_part(data, parts, TRAIN_PART_TRAIN, &learn),
        .choose = select_part(data, parts, TRAIN_PART_VALIDATION, &choose),
        .judge = select_part(data, parts, TRAIN_PART_TEST, &judged),
        .seed = seed,
        .name = name,
    };
    return run_trial(p, &trial, verdict, p->right);
}

/* --- what is told -------------------------------------------------------------------------- */

static void tell_fold(const struct protocol *p, int repeat, int fold, const char *name,
                      const struct verdict *v)
{
    if (p->json_lines) {
        json_t *line = json_pack(
            "{s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:f}", "repeat", repeat + 1, "fold", fold + 1,
            "learned", v->learned, "validation", v->chose, "epochs", v->epochs, "samples",
            v->score.count, "loss", v->score.loss, "accuracy", v->score.accuracy);
        output_json_line(line);
        json_decref(line);
        return;
    }
    printf("%s: accuracy %.4f of %d samples, learned from %d", name, v->score.accuracy,
           v->score.count, v->learned);
    if (v->chose > 0)
        printf(", %d to choose by", v->chose);
    printf(" in %d epochs\n", v->epochs);
    output_flush();
}

/* Of the samples in folds, how often each was told right, by source. Without an interval: its low
 * end is NAN. */
static struct train_interval interval_of(const struct protocol *p)
{
    const struct train_dataset *data = p->data;
    g_autofree double *values = g_new(double, data->count);
    g_autofree int *groups = g_new(int, data->count);
    int count = 0;
    for (int i = 0; i < data->count; i++) {
        if (p->fold_of[i] < 0)
            continue;
        values[count] = p->right[i] / p->recipe->evaluation.repeats;
        groups[count++] = data->groups[i];
    }
    const struct train_bootstrap options = {LEVEL, RESAMPLES, p->recipe->options.seed};
    struct train_interval interval = {.low = NAN, .high = NAN};
    struct nn_error err;
    if (train_bootstrap_mean(values, groups, count, data->group_count, &options, &interval,
                             &err) < 0)
        interval.mean = train_mean_of(values, count).mean;
    return interval;
}

/* means: of the folds, by repeat. deviation: over folds of one repeat, over repeats of more. */
static void tell_all(const struct protocol *p, const double *means, double deviation)
{
    const int repeats = p->recipe->evaluation.repeats;
    const struct train_interval interval = interval_of(p);
    const double mean = train_mean_of(means, repeats).mean;
    const bool sources = p->data->sources.count > 0, known = !isnan(interval.low);
    if (p->json_lines) {
        json_t *line =
            json_pack("{s:i, s:i, s:f, s:f, s:f}", "folds", p->folds, "repeats", repeats,
                      "mean", mean, "deviation", deviation, "accuracy", interval.mean);
        if (known)
            json_object_set_new(line, "interval",
                                json_pack("{s:f, s:f, s:f, s:i, s:b}", "level", LEVEL, "low",
                                          interval.low, "high", interval.high, "groups",
                                          interval.groups, "sources", sources));
        output_json_line(line);
        json_decref(line);
        return;
    }
    if (repeats > 1)
        printf("mean of %d repeats of %d folds %.4f, deviation of repeats %.4f\n", repeats,
               p->folds, mean, deviation);
    else
        printf("mean of %d folds %.4f, deviation of folds %.4f\n", p->folds, mean, deviation);
    printf("accuracy of all samples %.4f", interval.mean);
    if (known)
        printf("; %.0f %% interval %.4f to %.4f, by resampling %d %s", 100 * LEVEL,
               interval.low, interval.high, interval.groups, sources ? "sources" : "samples");
    putchar('\n');
}

/* --- all of them --------------------------------------------------------------------------- */

static int run_repeat(struct protocol *p, int repeat, struct train_mean *ret_mean)
{
    const int repeats = p->recipe->evaluation.repeats;
    int result = split(p, repeat);
    if (result != CLI_OK)
        return result;
    g_autofree double *accuracies = g_new(double, p->folds);
    for (int fold = 0; fold < p->folds; fold++) {
        struct verdict verdict;
        g_autoptr(GString) name = g_string_new(NULL);
        if (repeats > 1)
            g_string_append_printf(name, "repeat %d/%d ", repeat + 1, repeats);
        g_string_append_printf(name, "fold %d/%d", fold + 1, p->folds);
        result = run_fold(p, repeat, fold, name->str, &verdict);
        if (result != CLI_OK)
            return result;
        accuracies[fold] = verdict.score.accuracy;
        tell_fold(p, repeat, fold, name->str, &verdict);
    }
    *ret_mean = train_mean_of(accuracies, p->folds);
    if (repeats > 1 && !p->json_lines)
        printf("repeat %d/%d: mean of %d folds %.4f, deviation %.4f\n", repeat + 1, repeats,
               p->folds, ret_mean->mean, ret_mean->deviation);
    return CLI_OK;
}

static int run_repeats(struct protocol *p)
{
    const int repeats = p->recipe->evaluation.repeats;
    g_autofree double *means = g_new(double, repeats);
    struct train_mean mean = {0};
    training_catch_signals();
    for (int repeat = 0; repeat < repeats; repeat++) {
        int result = run_repeat(p, repeat, &mean);
        if (result != CLI_OK)
            return result;
        means[repeat] = mean.mean;
    }
    tell_all(p, means, repeats > 1 ? train_mean_of(means, repeats).deviation : mean.deviation);
    return CLI_OK;
}

static int check(const struct recipe *recipe)
{
    if (recipe->options.loss.kind >= TRAIN_LOSS_SQUARED)
        return cli_fail(CLI_CONFIG,
                        "%s: [training] loss: folds are judged by accuracy, which %s has none "
                        "of",
                        recipe->path, train_loss_name(recipe->options.loss.kind));
    if (recipe->validation.last > 0 && chooses(recipe))
        return cli_fail(CLI_CONFIG,
                        "%s: [data] validation: a cross-validation takes a share, as 0.2, of "
                        "each fold's samples, not the last %d; or keep = last, which chooses "
                        "nothing",
                        recipe->path, recipe->validation.last);
    return CLI_OK;
}

int crossvalidate(const struct recipe *recipe, const struct train_dataset *data, int threads,
                  bool json_lines)
{
    struct protocol p = {
        .recipe = recipe, .data = data, .threads = threads, .json_lines = json_lines};
    int result = check(recipe);
    if (result != CLI_OK)
        return result;
    p.own_groups = g_new(int, data->count);
    p.left_out = g_new(bool, data->count);
    p.fold_of = g_new(int, data->count);
    p.right = g_new0(double, data->count);
    for (int i = 0; i < data->count; i++) {
        p.own_groups[i] = i;
        p.left_out[i] = data->parts[i] == TRAIN_PART_TEST;
    }
    result = run_repeats(&p);
    g_free(p.own_groups);
    g_free(p.left_out);
    g_free(p.fold_of);
    g_free(p.right);
    return result;
}
