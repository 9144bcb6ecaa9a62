/* vigil train: a recipe and data in, a model that has learned out. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/background.h"
#include "cli/card.h"
#include "cli/cli.h"
#include "cli/crossvalidate.h"
#include "cli/network.h"
#include "cli/outfile.h"
#include "cli/output.h"
#include "cli/recipe.h"
#include "cli/reportfolder.h"
#include "cli/training.h"
#include "cli/trainingdata.h"
#include "cli/trainreport.h"
#include "nn/plan.h"
#include "nn/train/layers.h"
#include "pipeline/modelinfo.h"
#include "record/file.h"

#define CHECKPOINT_BYTES_MAX NN_MODEL_BYTES_MAX

struct training {
    /* As asked for. */
    char *data_folder, *out, *report_folder;
    int threads;
    gboolean resume, force, json_lines, summary, layers, cross_validate;
    struct background background;

    struct recipe recipe;
    char *checkpoint; /* its path */
    char *identity;   /* what it belongs to */
    char *data_sha256;
    struct train_dataset *data;
    int *to_learn, *to_validate;
    struct train_selection learn, validate;
    struct network network;
    struct train_fit *fit;
    struct trainreport *report; /* NULL: none is asked for */
    struct training_bar bar;
};

/* --- data --------------------------------------------------------------------------------- */

static int open_data(struct training *t)
{
    size_t size;
    const void *network = network_bytes(&t->network, &size);
    int result = trainingdata_open(&t->recipe, t->data_folder, network, size, &t->data);
    if (result == CLI_OK)
        result = network_order_classes(&t->network, t->data);
    if (result != CLI_OK)
        return result;
    t->learn.data = t->validate.data = t->data;
    t->learn.samples = t->to_learn =
        trainingdata_select(t->data, TRAININGDATA_LEARN, &t->learn.count);
    t->validate.samples = t->to_validate =
        trainingdata_select(t->data, 1u << TRAIN_PART_VALIDATION, &t->validate.count);
    return trainingdata_digest(t->data, &t->data_sha256);
}

/* --- what is trained ---------------------------------------------------------------------- */

static int make_fit(struct training *t)
{
    struct train_fit_options options = training_options(&t->recipe, t->learn.count, t->threads);
    struct nn_error err = {{0}};
    size_t size;
    const void *bytes = network_bytes(&t->network, &size);
    int r = train_fit_create(bytes, size, &options, &t->learn, &t->validate, &t->fit, &err);
    return r < 0 ? cli_fail(CLI_CONFIG, "%s: %s", t->recipe.path, err.text) : CLI_OK;
}

/* What a checkpoint belongs to: this recipe, this data, this program; and the file that is
 * taught. */
static void find_identity(struct training *t)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_checksum_update(sum, (const guchar *)t->recipe.text, -1);
    g_checksum_update(sum, (const guchar *)t->data_sha256, -1);
    g_checksum_update(sum, (const guchar *)VIGIL_VERSION, -1);
    if (t->network.sha256)
        g_checksum_update(sum, (const guchar *)t->network.sha256, -1);
    t->identity = g_strdup(g_checksum_get_string(sum));
}

static int take_up(struct training *t)
{
    struct nn_error err = {{0}};
    char *bytes = NULL;
    size_t size = 0;
    bool there = g_file_test(t->checkpoint, G_FILE_TEST_EXISTS);
    if (there && !t->resume && !t->force)
        return cli_fail(
            CLI_USAGE,
            "%s is there, of a training that did not end: --resume goes on with it, "
            "--force begins anew",
            t->checkpoint);
    if (!t->resume || !there)
        return CLI_OK;
    int r = file_read_path(t->checkpoint, CHECKPOINT_BYTES_MAX, &bytes, &size);
    if (r < 0)
        return cli_fail(CLI_NO_INPUT, "cannot read %s: %s", t->checkpoint, file_error_text(r));
    r = train_fit_restore(t->fit, t->identity, bytes, size, &err);
    free(bytes);
    return r < 0 ? cli_fail(CLI_CONFIG, "%s: %s", t->checkpoint, err.text) : CLI_OK;
}

static int save_checkpoint(const struct training *t)
{
    struct nn_error err = {{0}};
    g_autoptr(GError) error = NULL;
    void *bytes = NULL;
    size_t size = 0;
    if (train_fit_pack(t->fit, t->identity, &bytes, &size, &err) < 0)
        return cli_fail(CLI_INTERNAL, "%s", err.text);
    bool written = g_file_set_contents_full(
        t->checkpoint, bytes, (gssize)size,
        G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0644, &error);
    free(bytes);
    return written ? CLI_OK
                   : cli_fail(CLI_NO_INPUT, "cannot write %s: %s", t->checkpoint,
                              cli_reason(error));
}

/* --- what is told ------------------------------------------------------------------------- */

static json_t *score_json(const struct train_score *score)
{
    json_t *json = json_pack("{s:i, s:f}", "samples", score->count, "loss", score->loss);
    if (!isnan(score->accuracy))
        json_object_set_new(json, "accuracy", json_real(score->accuracy));
    return json;
}

static void tell_epoch(const struct training *t, const struct train_epoch *e)
{
    training_bar_clear(&t->bar);
    if (t->json_lines) {
        json_t *line = json_pack("{s:i, s:i, s:o, s:f, s:f, s:b}", "epoch", e->epoch, "epochs",
                                 t->recipe.options.epochs, "train", score_json(&e->train),
                                 "rate", e->rate, "seconds", e->seconds, "best", e->best);
        if (e->validation.count > 0)
            json_object_set_new(line, "validation", score_json(&e->validation));
        output_json_line(line);
        json_decref(line);
        return;
    }
    printf("epoch %d/%d  loss %.4f", e->epoch, t->recipe.options.epochs, e->train.loss);
    if (!isnan(e->train.accuracy))
        printf("  accuracy %.4f", e->train.accuracy);
    if (e->validation.count > 0) {
        printf("  validation: loss %.4f", e->validation.loss);
        if (!isnan(e->validation.accuracy))
            printf("  accuracy %.4f", e->validation.accuracy);
    }
    printf("  %.0f samples/s%s\n", e->train.count / e->seconds, e->best ? "  *" : "");
    output_flush();
}

/* --- what comes out ----------------------------------------------------------------------- */

static char *metrics_text(const struct train_score *score)
{
    json_t *json =
        json_pack("{s:i, s:f}", "validation_samples", score->count, "loss", score->loss);
    if (!isnan(score->accuracy))
        json_object_set_new(json, "accuracy", json_real(round(score->accuracy * 1e4) / 1e4));
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(6));
    char *copy = g_strdup(text);
    free(text);
    json_decref(json);
    return copy;
}

static bool is_model(const char *path)
{
    struct nn_model *model = NULL;
    char *bytes = NULL;
    size_t size = 0;
    bool is = file_read_path(path, NN_MODEL_BYTES_MAX, &bytes, &size) == 0 &&
              nn_model_load(bytes, size, &model, NULL) == 0;
    nn_model_unref(model);
    free(bytes);
    return is;
}

static struct outfile out_file(const struct training *t)
{
    return (struct outfile){.option = "--out",
                            .path = t->out,
                            .source = t->recipe.path,
                            .force = t->force,
                            .kind = "an ONNX model",
                            .is_kind = is_model};
}

/* Keys of a model's metadata, each followed by its value, or by NULL: a file's own goes. */
static void say(GPtrArray *metadata, const char *key, char *value)
{
    g_ptr_array_add(metadata, g_strdup(key));
    g_ptr_array_add(metadata, value);
}

/* How pictures become input (docs/models.md). */
static void say_pictures(const struct training *t, GPtrArray *metadata)
{
    const struct recipe *recipe = &t->recipe;
    bool window = t->data->shape.rank == 4;
    if (!recipe->onnx) { /* a file says them itself, or does not need to */
        say(metadata, "vigil.task", g_strdup(window ? "classify-window" : "classify-frame"));
        say(metadata, "vigil.pixels",
            g_strdup(t->data->shape.dim[window] == 1 ? "GRAY" : "RGB"));
    }
    if (recipe->fps > 0)
        say(metadata, "vigil.fps", g_strdup_printf("%g", recipe->fps));
    if (recipe->stride > 0)
        say(metadata, "vigil.stride", g_strdup_printf("%d", recipe->stride));
    say(metadata, "vigil.resize", g_strdup(recipe->resize ? recipe->resize : "stretch"));
}

/* How scores are read, and when they are an event. */
static void say_events(const struct training *t, GPtrArray *metadata)
{
    enum train_loss_kind loss = t->recipe.options.loss.kind;
    if (loss == TRAIN_LOSS_CATEGORICAL || loss == TRAIN_LOSS_SPARSE)
        say(metadata, "vigil.head", g_strdup("scores"));
    for (int i = 0; i < RECIPE_EVENTS; i++)
        if (t->recipe.events[i]) {
            g_autofree char *key = g_strconcat("vigil.", recipe_event_names[i], NULL);
            say(metadata, key, g_strdup(t->recipe.events[i]));
        }
}

/* What a file may say by label. */
static void forget_labels(GPtrArray *metadata)
{
    static const char *const keys[] = {
        "vigil.enter",       "vigil.exit", "vigil.min_duration_ms",
        "vigil.cooldown_ms", "vigil.kind", "vigil.background"};
    for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
        say(metadata, keys[i], NULL);
}

static GPtrArray *make_metadata(const struct training *t, const struct train_score *score)
{
    GPtrArray *metadata = g_ptr_array_new_with_free_func(g_free);
    GString *labels = g_string_new(NULL);
    for (int i = 0; i < t->data->classes.count; i++)
        g_string_append_printf(labels, "%s%s", i > 0 ? "," : "", t->data->classes.names[i]);
    if (g_strcmp0(network_metadata(&t->network, "vigil.labels"), labels->str) != 0)
        forget_labels(metadata);
    say(metadata, "vigil.labels", g_string_free(labels, FALSE));
    if (t->data->pictures) {
        say_pictures(t, metadata);
        say_events(t, metadata);
    }
    say(metadata, "vigil.mean", g_strdup_printf("%.9g", (double)t->recipe.options.mean));
    say(metadata, "vigil.scale", g_strdup_printf("%.9g", (double)t->recipe.options.scale));
    say(metadata, "vigil.data_sha256", g_strdup(t->data_sha256));
    say(metadata, "vigil.metrics", score->count > 0 ? metrics_text(score) : NULL);
    return metadata;
}

/* What [events] says is refused before anything is learned, not when the model is used. */
static int check_events(const struct training *t)
{
    const struct train_score none = {.accuracy = NAN};
    g_autoptr(GPtrArray) metadata = make_metadata(t, &none);
    g_autoptr(GHashTable) overrides = modelkeys_overrides_new();
    struct nn_model *model = NULL;
    struct modelinfo *info = NULL;
    struct nn_error err = {{0}};
    bool said = false;
    size_t size;
    for (int i = 0; i < RECIPE_EVENTS; i++)
        said |= t->recipe.events[i] != NULL;
    if (!said)
        return CLI_OK;
    if (!t->data->pictures)
        return cli_fail(CLI_CONFIG,
                        "%s: [events]: are found in pictures, which these samples "
                        "are not",
                        t->recipe.path);
    for (guint i = 0; i + 1 < metadata->len; i += 2) {
        const char *key = metadata->pdata[i], *value = metadata->pdata[i + 1];
        if (modelkeys_check_name(key, NULL) != 0)
            continue;
        /* What goes with a file's labels cannot be thought away: it is seen when it is used. */
        if (!value && network_metadata(&t->network, key))
            return CLI_OK;
        if (value)
            modelkeys_overrides_add(overrides, key, value);
    }
    const void *bytes = network_bytes(&t->network, &size);
    int r = nn_model_load(bytes, size, &model, &err);
    if (r == 0)
        r = modelinfo_create(model, overrides, &info, &err);
    modelinfo_destroy(info);
    nn_model_unref(model);
    return r < 0 ? cli_fail(CLI_CONFIG, "%s: [events]: %s", t->recipe.path, err.text) : CLI_OK;
}

static void tell_model(const struct training *t, size_t size, const struct train_score *score)
{
    json_t *line = json_pack("{s:s, s:I}", "model", t->out, "bytes", (json_int_t)size);
    if (score->count > 0)
        json_object_set_new(line, "validation", score_json(score));
    output_json_line(line);
    json_decref(line);
}

/* Scores of what was kept back, if labels are what was learned; caller frees. */
static int score_kept(struct training *t, struct train_score *ret_score, float **ret_scores)
{
    struct nn_error err = {{0}};
    gsize count = (gsize)t->validate.count * (gsize)t->data->classes.count;
    bool labels = t->recipe.options.loss.kind < TRAIN_LOSS_SQUARED;
    *ret_scores = labels && count > 0 ? g_new(float, count) : NULL;
    return count == 0 ||
                   train_fit_score(t->fit, &t->validate, ret_score, *ret_scores, &err) == 0
               ? CLI_OK
               : cli_fail(CLI_INTERNAL, "%s", err.text);
}

/* `scores` may be NULL. */
static int write_card(const struct training *t, const float *scores)
{
    const struct card card = {.model = t->out,
                              .recipe = &t->recipe,
                              .learned = &t->learn,
                              .held = &t->validate,
                              .scores = scores,
                              .data_sha256 = t->data_sha256,
                              .epochs = train_fit_epochs(t->fit)};
    return card_write(&card);
}

static int export_model(struct training *t)
{
    struct train_score score = {.accuracy = NAN};
    struct nn_error err = {{0}};
    g_autofree float *scores = NULL;
    int result = score_kept(t, &score, &scores);
    if (result != CLI_OK)
        return result;
    g_autoptr(GPtrArray) metadata = make_metadata(t, &score);
    g_autofree struct train_metadata *list = g_new(struct train_metadata, metadata->len / 2);
    for (guint i = 0; i < metadata->len / 2; i++)
        list[i] = (struct train_metadata){metadata->pdata[2 * i], metadata->pdata[2 * i + 1]};
    void *bytes = NULL;
    size_t size = 0;
    if (train_fit_export(t->fit, list, metadata->len / 2, &bytes, &size, &err) < 0)
        return cli_fail(CLI_INTERNAL, "%s", err.text);
    struct outfile file = out_file(t);
    result = outfile_write(&file, bytes, size);
    free(bytes);
    if (result != CLI_OK)
        return result;
    unlink(t->checkpoint);
    result = write_card(t, scores);
    if (result != CLI_OK)
        return result;
    if (t->json_lines) {
        tell_model(t, size, &score);
        return CLI_OK;
    }
    printf("%s: %zu bytes", t->out, size);
    if (!isnan(score.accuracy))
        printf(", accuracy %.4f of %d validation samples", score.accuracy, score.count);
    putchar('\n');
    return CLI_OK;
}

/* How each layer of a recipe is written. */
static int list_layers(void)
{
    char text[512];
    const struct train_layer_kind *kind;
    for (size_t i = 0; (kind = train_layer_kind_at(i)); i++)
        printf("%s\n", train_layer_usage(kind, text, sizeof text));
    printf("\nActivations: %s\n", train_function_words(text, sizeof text));
    return CLI_OK;
}

/* --- the verb ----------------------------------------------------------------------------- */

static int run_epochs(struct training *t)
{
    struct nn_error err = {{0}};
    training_catch_signals();
    while (!train_fit_ended(t->fit)) {
        struct train_epoch epoch;
        training_bar_start(&t->bar, train_fit_epochs(t->fit) + 1);
        int r = train_fit_epoch(t->fit, training_bar_draw, &t->bar, &epoch, &err);
        if (t->bar.shown && r < 0)
            fputc('\n', stderr);
        if (r == -ECANCELED)
            return cli_fail(CLI_CHECK_FAILED,
                            "stopped; %d epochs are kept in %s, --resume goes on",
                            train_fit_epochs(t->fit), t->checkpoint);
        if (r < 0)
            return cli_fail(r == -EDOM ? CLI_CHECK_FAILED : CLI_CONFIG, "%s", err.text);
        /* What is told is kept, whatever happens next. */
        int result = save_checkpoint(t);
        if (result != CLI_OK)
            return result;
        tell_epoch(t, &epoch);
        result = t->report ? trainreport_add(t->report, &epoch) : CLI_OK;
        if (result != CLI_OK)
            return result;
    }
    return CLI_OK;
}

static int train(struct training *t, const char *path)
{
    int result = recipe_read(path, &t->recipe);
    if (result != CLI_OK)
        return result;
    if (!t->out) {
        g_autofree char *name = g_path_get_basename(path);
        char *dot = strrchr(name, '.');
        if (dot && dot != name)
            *dot = '\0';
        t->out = g_strconcat(name, ".onnx", NULL);
    }
    t->checkpoint = g_strconcat(t->out, ".checkpoint", NULL);
    t->bar = (struct training_bar){.shown = isatty(STDERR_FILENO) && !t->json_lines,
                                   .title = "",
                                   .epochs = t->recipe.options.epochs};
    result = t->json_lines ? CLI_OK : network_print(&t->recipe);
    if (result != CLI_OK || t->summary)
        return result;
    result = network_open(&t->recipe, t->recipe.options.seed, &t->network);
    if (result == CLI_OK)
        result = network_settle(&t->network, &t->recipe);
    if (result != CLI_OK)
        return result;
    if (t->cross_validate) {
        result = open_data(t);
        return result == CLI_OK ? crossvalidate(&t->recipe, t->data, t->threads, t->json_lines)
                                : result;
    }
    struct outfile file = out_file(t);
    result = outfile_check(&file);
    if (result == CLI_OK && t->report_folder)
        result = reportfolder_check(t->report_folder);
    if (result == CLI_OK)
        result = open_data(t);
    if (result == CLI_OK)
        result = training_check_classes(&t->recipe, &t->learn);
    if (result == CLI_OK)
        result = check_events(t);
    if (result == CLI_OK)
        result = make_fit(t);
    if (result == CLI_OK)
        find_identity(t);
    if (result == CLI_OK)
        result = take_up(t);
    if (result == CLI_OK && t->report_folder)
        result = trainreport_open(t->report_folder, train_fit_epochs(t->fit), &t->report);
    if (result == CLI_OK)
        result = run_epochs(t);
    return result == CLI_OK ? export_model(t) : result;
}

int cli_train(int argc, char **argv)
{
    struct training t = {.threads = 1};
    const GOptionEntry entries[] = {
        {"data", 'd', 0, G_OPTION_ARG_FILENAME, &t.data_folder,
         "Where the recipe's files are; else beside the recipe", "DIR"},
        {"out", 'o', 0, G_OPTION_ARG_FILENAME, &t.out,
         "The model to write, default NAME.onnx here for a recipe NAME.*", "FILE"},
        {"report", 0, 0, G_OPTION_ARG_FILENAME, &t.report_folder,
         "Tell each epoch to TensorBoard, too, by files in a folder", "DIR"},
        {"resume", 0, 0, G_OPTION_ARG_NONE, &t.resume,
         "Go on with the checkpoint of a training that was stopped", NULL},
        {"force", 'f', 0, G_OPTION_ARG_NONE, &t.force,
         "Replace a model that is there, and a checkpoint", NULL},
        {"threads", 't', 0, G_OPTION_ARG_INT, &t.threads, "Threads of a step, default 1", "N"},
        {"cross-validate", 0, 0, G_OPTION_ARG_NONE, &t.cross_validate,
         "Tell how well such networks do on what they have not seen; write no model", NULL},
        {"json-lines", 0, 0, G_OPTION_ARG_NONE, &t.json_lines,
         "Tell each epoch, or fold, and the model at the end, as a JSON object on a line",
         NULL},
        {"summary", 0, 0, G_OPTION_ARG_NONE, &t.summary,
         "Print the network's layers and parameters, and end", NULL},
        {"layers", 0, 0, G_OPTION_ARG_NONE, &t.layers,
         "List the layers that a recipe may have, and end", NULL},
        BACKGROUND_OPTIONS(&t.background),
        G_OPTION_ENTRY_NULL};
    int result =
        cli_parse(&argc, &argv, "RECIPE",
                  "Trains a model by a recipe (docs/training.md) and writes it as ONNX.\n"
                  "After each epoch what was learned is kept in FILE.checkpoint: a "
                  "training that was stopped, by Ctrl-C or by a failure of power, goes "
                  "on with --resume as if it had not been.",
                  entries);
    if (result != 0)
        return result - 1;
    if (t.layers)
        result = list_layers();
    else if (argc != 2)
        result = cli_fail(CLI_USAGE, "give one recipe (see: vigil train --help)");
    else if (t.threads < 1 || t.threads > NN_PLAN_THREADS_MAX)
        result = cli_fail(CLI_USAGE, "--threads %d: should be 1 to %d", t.threads,
                          NN_PLAN_THREADS_MAX);
    else if (t.cross_validate && (t.out || t.resume || t.force || t.report_folder))
        result =
            cli_fail(CLI_USAGE, "--cross-validate writes nothing: without --out, --resume, "
                                "--force and --report");
    else
        result = background_enter(&t.background);
    if (result == CLI_OK && !t.layers)
        result = train(&t, argv[1]);
    trainreport_close(t.report);
    train_fit_destroy(t.fit);
    network_clear(&t.network);
    train_dataset_destroy(t.data);
    recipe_clear(&t.recipe);
    g_free(t.to_learn);
    g_free(t.to_validate);
    g_free(t.data_folder);
    g_free(t.report_folder);
    g_free(t.out);
    g_free(t.checkpoint);
    g_free(t.identity);
    g_free(t.data_sha256);
    return result;
}
