#include "cli/evaluation.h"

#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/trainingdata.h"
#include "record/text.h"

/* --- data --------------------------------------------------------------------------------- */

static const struct evaluation_split {
    const char *name;
    unsigned parts;
} splits[] = {
    {"test", 1u << TRAIN_PART_TEST},
    {"validation", 1u << TRAIN_PART_VALIDATION},
    {"train", TRAININGDATA_LEARN},
    {"all", TRAININGDATA_LEARN | 1u << TRAIN_PART_VALIDATION | 1u << TRAIN_PART_TEST},
};

static const struct evaluation_split *find_split(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(splits); i++)
        if (strcmp(splits[i].name, name) == 0)
            return &splits[i];
    return NULL;
}

int evaluation_check(const struct evaluation_options *o)
{
    if (!o->recipe && !o->data)
        return cli_fail(CLI_USAGE, "give --recipe FILE, which says what the data is, or --data "
                                   "PATH, a folder of a folder of clips for each label, or a "
                                   "table of clips");
    if (!o->recipe && o->split)
        return cli_fail(CLI_USAGE, "--split %s: without a recipe there is one part only",
                        o->split);
    if (o->split && !find_split(o->split)) {
        const char *names[G_N_ELEMENTS(splits) + 1] = {0};
        for (size_t i = 0; i < G_N_ELEMENTS(splits); i++)
            names[i] = splits[i].name;
        const char *nearest = text_nearest(o->split, names);
        return cli_fail(CLI_USAGE, "--split %s: should be test, validation, train or all%s%s%s",
                        o->split, nearest ? "; did you mean " : "", nearest ? nearest : "",
                        nearest ? "?" : "");
    }
    if (o->threads < 1 || o->threads > NN_PLAN_THREADS_MAX)
        return cli_fail(CLI_USAGE, "--threads %d: should be 1 to %d", o->threads,
                        NN_PLAN_THREADS_MAX);
    return CLI_OK;
}

void evaluation_clear(struct evaluation_options *options)
{
    g_free(options->recipe);
    g_free(options->data);
    g_free(options->split);
    g_free(options->positive);
}

static bool take_split(struct evaluation *e, const struct evaluation_split *split)
{
    g_free(e->samples);
    e->samples = trainingdata_select(e->dataset, split->parts, &e->selection.count);
    e->selection.data = e->dataset;
    e->selection.samples = e->samples;
    e->split = split;
    return e->selection.count > 0;
}

/* Those that are asked for; else those that nothing was learned from, which is all where no recipe
 * says otherwise. */
static int select_samples(struct evaluation *e)
{
    if (!e->options->recipe)
        return take_split(e, find_split("all"))
                   ? CLI_OK
                   : cli_fail(CLI_NO_INPUT, "%s: there are no samples", e->recipe.path);
    if (e->options->split)
        return take_split(e, find_split(e->options->split))
                   ? CLI_OK
                   : cli_fail(CLI_CONFIG, "%s: of %d samples none is for %s", e->recipe.path,
                              e->dataset->count, e->options->split);
    if (take_split(e, find_split("test")) || take_split(e, find_split("validation")))
        return CLI_OK;
    return cli_fail(CLI_CONFIG,
                    "%s: it keeps no samples back to judge by: say [data] validation in the "
                    "recipe, or --split all for those that were learned from",
                    e->recipe.path);
}

/* What a recipe would say of folders and tables of clips. */
static void assume_recipe(struct evaluation *e)
{
    e->recipe.path = g_strdup(e->options->data);
    e->recipe.format = g_strdup("clips");
    e->recipe.samples = g_new0(char *, 2);
    e->recipe.samples[0] = g_canonicalize_filename(e->options->data, NULL);
}

static int open_data(struct evaluation *e)
{
    gsize size;
    const void *network = g_bytes_get_data(e->judge.bytes, &size);
    judge_settle(&e->judge, &e->recipe);
    int result = trainingdata_open_for(&e->recipe, e->options->recipe ? e->options->data : NULL,
                                       network, size, e->judge.overrides, &e->dataset);
    if (result == CLI_OK)
        result = select_samples(e);
    if (result == CLI_OK)
        result = judge_match(&e->judge, e->dataset, trainingdata_is_decoded(&e->recipe));
    return result == CLI_OK ? trainingdata_digest(e->dataset, &e->data_sha256) : result;
}

/* --- judging ------------------------------------------------------------------------------ */

static int find_positive(const struct evaluation *e, int *ret_positive)
{
    const struct judge *judge = &e->judge;
    *ret_positive = judge->positive;
    const char *asked = e->options->positive;
    if (!asked)
        return CLI_OK;
    for (int i = 0; i < judge->label_count && judge->label_count == 2; i++)
        if (strcmp(judge->labels[i], asked) == 0) {
            *ret_positive = i;
            return CLI_OK;
        }
    g_autofree char *list = g_strjoinv(", ", judge->labels);
    return cli_fail(CLI_USAGE, "--positive %s: should be one of two labels, the model has %s",
                    asked, list);
}

static int measure(struct evaluation *e)
{
    const int count = e->selection.count;
    int positive, result = find_positive(e, &positive);
    if (result != CLI_OK)
        return result;
    e->labels = g_new(int, count);
    e->groups = g_new(int, count);
    e->scores = g_new(float, (gsize)count *(gsize)e->judge.label_count);
    for (int i = 0; i < count; i++)
        e->groups[i] = e->dataset->groups[e->samples[i]];
    gint64 start = g_get_monotonic_time();
    result = judge_run(&e->judge, &e->selection, e->options->threads, e->labels, e->scores);
    e->seconds = (double)(g_get_monotonic_time() - start) / G_USEC_PER_SEC;
    if (result != CLI_OK)
        return result;
    const struct figures_input input = {
        .answers = {.count = count,
                    .classes = e->judge.label_count,
                    .labels = e->labels,
                    .scores = e->scores},
        .labels = (const char *const *)e->judge.labels,
        .groups = e->groups,
        .group_count = e->dataset->group_count,
        .positive = positive,
    };
    struct nn_error err = {{0}};
    int r = figures_init(&e->figures, &input, &err);
    if (r == -EINVAL)
        return cli_fail(CLI_CONFIG,
                        "%s: %s; of a model that gives logits vigil.head (in its metadata, or "
                        "in MODEL.modelinfo beside it) should say softmax or sigmoid",
                        e->judge.path, err.text);
    return r < 0 ? cli_fail(CLI_INTERNAL, "%s", err.text) : CLI_OK;
}

/* What the model was taught by, and what that makes of the figures. */
static const char *training_data(const struct evaluation *e)
{
    const char *own = nn_model_metadata(e->judge.model, "vigil.data_sha256");
    return !own ? "unknown" : strcmp(own, e->data_sha256) == 0 ? "same" : "other";
}

static void describe(struct evaluation *e)
{
    e->model = g_utf8_make_valid(e->judge.path, -1);
    e->data = g_utf8_make_valid(e->recipe.path, -1);
    e->about = (struct figures_about){
        .model = e->model,
        .model_sha256 = e->judge.sha256,
        .data = e->data,
        .data_sha256 = e->data_sha256,
        .split = e->split->name,
        .learned_from = (e->split->parts & TRAININGDATA_LEARN) != 0,
        .training_data = training_data(e),
        .labels_assumed = e->judge.labels_assumed,
    };
}

int evaluation_run(struct evaluation *evaluation, const struct evaluation_options *options,
                   const char *model)
{
    struct evaluation *e = evaluation;
    *e = (struct evaluation){.options = options};
    int result = CLI_OK;
    if (options->recipe)
        result = recipe_read(options->recipe, &e->recipe);
    else
        assume_recipe(e);
    if (result == CLI_OK)
        result = judge_open(&e->judge, model);
    if (result == CLI_OK)
        result = open_data(e);
    if (result == CLI_OK)
        result = measure(e);
    if (result == CLI_OK)
        describe(e);
    return result;
}

void evaluation_finish(struct evaluation *evaluation)
{
    struct evaluation *e = evaluation;
    figures_finish(&e->figures);
    judge_finish(&e->judge);
    train_dataset_destroy(e->dataset);
    recipe_clear(&e->recipe);
    g_free(e->samples);
    g_free(e->labels);
    g_free(e->groups);
    g_free(e->scores);
    g_free(e->data_sha256);
    g_free(e->model);
    g_free(e->data);
}
