/* vigil model quantize: a float model in, one of 8-bit weights and activations out. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/labelled.h"
#include "cli/model_file.h"
#include "cli/model_verbs.h"
#include "cli/output.h"
#include "cli/samples.h"
#include "nn/quantize/quantize.h"
#include "pipeline/modelfile.h"

#define COMPARED_MAX 8 /* samples that layers are compared on */

struct quantize {
    /* As asked for. */
    char **calibrate, **keep, **set, **shapes;
    char *out, *labels;
    double percentile;
    int samples_each;
    gboolean force, verbose;

    struct model_file file;
    struct modelinfo *info; /* how pictures become input; NULL: they do not */
    struct nn_error no_pictures;
    struct samples samples;
    struct nn_quantizer *quantizer;
    void *bytes; /* of the quantised model */
    size_t size;
    struct labelled_network before, after;
};

static int model_error(const struct quantize *q, int r, const struct nn_error *err)
{
    return cli_fail(r == -ENOMEM ? CLI_INTERNAL : CLI_CONFIG, "%s: %s", q->file.path,
                    err->text);
}

/* --- what goes in ------------------------------------------------------------------------- */

/* --set comes before the sidecar. */
static int read_overrides(struct quantize *q)
{
    struct nn_error err;
    q->samples.overrides = modelkeys_overrides_new();
    for (char **set = q->set; set && *set; set++) {
        const char *equals = strchr(*set, '=');
        if (!equals || equals == *set)
            return cli_fail(CLI_USAGE, "--set %s: give KEY=VALUE, as pixels=BGR", *set);
        g_autofree char *key = g_strndup(*set, (gsize)(equals - *set));
        modelkeys_overrides_add(q->samples.overrides, key, equals + 1);
    }
    int r = modelfile_read_sidecar(q->file.path, q->samples.overrides, &err);
    return r < 0 ? cli_fail(r == -EINVAL ? CLI_CONFIG : CLI_NO_INPUT, "%s", err.text) : CLI_OK;
}

/* What a picture has to become; a model that takes none may still have tensors to be shown. */
static int read_info(struct quantize *q)
{
    const struct modelkeys keys = {.overrides = q->samples.overrides, .err = &q->no_pictures};
    if (modelkeys_check(&keys) < 0)
        return cli_fail(CLI_USAGE, "--set: %s", q->no_pictures.text);
    if (modelinfo_create_input(q->file.model, q->samples.overrides, &q->info, &q->no_pictures) <
        0)
        return CLI_OK;
    if (!q->shapes)
        q->file.shapes[0] = q->info->input;
    if (nn_shape_equal(&q->file.shapes[0], &q->info->input))
        return CLI_OK;
    modelinfo_destroy(q->info);
    q->info = NULL;
    g_strlcpy(q->no_pictures.text, "--shape asks for another input than its pictures make",
              sizeof q->no_pictures.text);
    return CLI_OK;
}

static int open_model(struct quantize *q, const char *given)
{
    const struct model_file_options options = {.shapes = (const char *const *)q->shapes,
                                               .time_axis = -1};
    int result = model_file_open(given, &options, &q->file);
    if (result == CLI_OK)
        result = read_overrides(q);
    if (result == CLI_OK)
        result = read_info(q);
    q->samples.model_path = q->file.path;
    q->samples.model = q->file.model;
    q->samples.shapes = q->file.shapes;
    q->samples.info = q->info;
    q->samples.no_pictures = q->no_pictures.text;
    q->samples.most = q->samples_each;
    return result;
}

/* `more`: what follows FILE, to the same end. */
static int gather(struct quantize *q, char **more)
{
    int result = CLI_OK;
    for (char **path = q->calibrate; path && *path && result == CLI_OK; path++)
        result = samples_add(&q->samples, *path);
    for (; *more && result == CLI_OK; more++)
        result = samples_add(&q->samples, *more);
    return result;
}

/* --- the work ----------------------------------------------------------------------------- */

static void feed(struct quantize *q, guint sample)
{
    for (size_t i = 0; i < nn_quantizer_input_count(q->quantizer); i++)
        samples_copy(&q->samples, sample, i, nn_quantizer_input(q->quantizer, i));
}

static int quantize(struct quantize *q)
{
    const struct nn_quantize_options options = {.percentile = q->percentile,
                                                .keep = (const char *const *)q->keep,
                                                .input_shapes = q->file.shapes};
    struct nn_error err;
    gsize size;
    const void *data = g_bytes_get_data(q->file.bytes, &size);
    int r = nn_quantizer_create(data, size, &options, &q->quantizer, &err);
    for (guint i = 0; i < q->samples.items->len && r == 0; i++) {
        feed(q, i);
        r = nn_quantizer_observe(q->quantizer, &err);
    }
    if (r == 0)
        r = nn_quantizer_write(q->quantizer, &q->bytes, &q->size, &err);
    /* Of few samples: two networks run that show the outputs of all layers. */
    guint count = q->samples.items->len, compared = MIN(count, COMPARED_MAX);
    for (guint i = 0; i < compared && r == 0 && q->verbose; i++) {
        feed(q, i * count / compared);
        r = nn_quantizer_compare(q->quantizer, &err);
    }
    return r < 0 ? model_error(q, r, &err) : CLI_OK;
}

/* --- what came of it ---------------------------------------------------------------------- */

static char *decibels(double signal, double noise)
{
    return noise > 0 && signal > 0 ? g_strdup_printf("%.1f dB", 10 * log10(signal / noise))
                                   : g_strdup(signal > 0 ? "exact" : "-");
}

static void print_layers(const struct quantize *q)
{
    size_t count = nn_quantizer_layer_count(q->quantizer);
    g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);
    static const char *const heading[] = {"Layer", "Operator", "Numbers", "Signal to noise"};
    for (size_t i = 0; i < G_N_ELEMENTS(heading); i++)
        g_ptr_array_add(cells, g_strdup(heading[i]));
    for (size_t i = 0; i < count; i++) {
        const struct nn_quantize_layer *layer = nn_quantizer_layer(q->quantizer, i);
        g_ptr_array_add(cells, output_printable(layer->name));
        g_ptr_array_add(cells, g_strdup(layer->op));
        g_ptr_array_add(cells, layer->kept ? g_strdup_printf("float, %s", layer->kept)
                                           : g_strdup("8 bits"));
        g_ptr_array_add(cells, decibels(layer->signal, layer->noise));
    }
    output_table((const char *const *)cells->pdata, count + 1, G_N_ELEMENTS(heading));
}

static void print_summary(const struct quantize *q)
{
    size_t layers = nn_quantizer_layer_count(q->quantizer), quantized = 0;
    int from, to;
    for (size_t i = 0; i < layers; i++)
        quantized += !nn_quantizer_layer(q->quantizer, i)->kept;
    nn_quantizer_opset(q->quantizer, &from, &to);
    printf("Calibrated  %u sample%s of %d file%s, %g %% of each range\n", q->samples.items->len,
           q->samples.items->len == 1 ? "" : "s", q->samples.files,
           q->samples.files == 1 ? "" : "s", q->percentile);
    printf("Layers      %zu of %zu in 8 bits\n", quantized, layers);
    printf("File        %zu bytes before, %zu after%s", (size_t)g_bytes_get_size(q->file.bytes),
           q->size, from == to ? "\n" : "");
    if (from != to)
        printf(", opset %d instead of %d\n", to, from);
}

/* --- before and after --------------------------------------------------------------------- */

struct difference {
    double most, sum, signal, noise;
    int64_t count;
};

static void add_difference(struct difference *d, const struct nn_tensor *a,
                           const struct nn_tensor *b)
{
    if (a->type != NN_TYPE_FLOAT || b->type != a->type || !nn_shape_equal(&a->shape, &b->shape))
        return;
    const float *x = a->data, *y = b->data;
    for (int64_t i = 0; i < nn_shape_count(&a->shape); i++) {
        double off = fabs((double)x[i] - y[i]);
        d->most = MAX(d->most, off);
        d->sum += off;
        d->signal += (double)x[i] * x[i];
        d->noise += off * off;
    }
    d->count += nn_shape_count(&a->shape);
}

static void print_difference(const struct nn_value_info *output, const struct difference *d)
{
    g_autofree char *name = output_printable(output->name);
    g_autofree char *ratio = decibels(d->signal, d->noise);
    if (output->type != NN_TYPE_FLOAT || d->count == 0)
        return;
    if (d->most > 0)
        printf("Output      %s: signal to noise %s, off by %.3g at most, %.3g in the mean\n",
               name, ratio, d->most, d->sum / (double)d->count);
    else
        printf("Output      %s: the same\n", name);
}

static int run_both(struct quantize *q, guint sample, struct nn_error *err)
{
    int r = labelled_run(&q->before, &q->samples, sample, err);
    return r < 0 ? r : labelled_run(&q->after, &q->samples, sample, err);
}

static int compare_outputs(struct quantize *q)
{
    size_t outputs = nn_model_output_count(q->file.model);
    g_autofree struct difference *differences = g_new0(struct difference, outputs + 1);
    struct nn_error err;
    int r = 0;
    for (guint i = 0; i < q->samples.items->len && r == 0; i++) {
        r = run_both(q, i, &err);
        for (size_t o = 0; o < outputs && r == 0; o++)
            add_difference(&differences[o], nn_session_output(q->before.session, o),
                           nn_session_output(q->after.session, o));
    }
    if (r < 0)
        return model_error(q, r, &err);
    for (size_t o = 0; o < outputs; o++)
        print_difference(nn_plan_output(q->before.plan, o), &differences[o]);
    return CLI_OK;
}

static int open_networks(struct quantize *q)
{
    struct nn_error err;
    gsize size;
    const void *data = g_bytes_get_data(q->file.bytes, &size);
    int r = labelled_open(&q->before, data, size, q->file.shapes, &err);
    if (r == 0)
        r = labelled_open(&q->after, q->bytes, q->size, q->file.shapes, &err);
    return r < 0 ? model_error(q, r, &err) : CLI_OK;
}

static int compare(struct quantize *q)
{
    int result = open_networks(q);
    if (result == CLI_OK)
        result = compare_outputs(q);
    struct labelled_score score = {0};
    if (result == CLI_OK && q->labels)
        result = labelled_score(q->labels, &q->samples, &q->before, &q->after, &score);
    if (result == CLI_OK && q->labels)
        printf("Accuracy    %.1f %% before, %.1f %% after, on %d labelled file%s\n",
               100.0 * score.before / score.files, 100.0 * score.after / score.files,
               score.files, score.files == 1 ? "" : "s");
    return result;
}

/* --- the verb ----------------------------------------------------------------------------- */

static int write_out(const struct quantize *q)
{
    g_autoptr(GError) error = NULL;
    if (!g_file_set_contents(q->out, q->bytes, (gssize)q->size, &error))
        return cli_fail(CLI_NO_INPUT, "%s", error->message);
    return CLI_OK;
}

static int check_arguments(const struct quantize *q, int argc)
{
    if (argc < 2)
        return cli_fail(CLI_USAGE, "give a model (see: vigil model quantize --help)");
    if (!q->calibrate)
        return cli_fail(CLI_USAGE, "--calibrate: give clips like those the model will see");
    if (!q->out)
        return cli_fail(CLI_USAGE, "--out: say where the quantised model goes");
    if (!(q->percentile >= 50 && q->percentile <= 100))
        return cli_fail(CLI_USAGE, "--percentile is a number from 50 to 100");
    if (q->samples_each < 1 || q->samples_each > 10000)
        return cli_fail(CLI_USAGE, "--samples is a number from 1 to 10000");
    if (!q->force && g_file_test(q->out, G_FILE_TEST_EXISTS))
        return cli_fail(CLI_USAGE, "%s is there already (--force replaces it)", q->out);
    return CLI_OK;
}

static int run(struct quantize *q, char **argv)
{
    int result = open_model(q, argv[1]);
    if (result == CLI_OK)
        result = gather(q, argv + 2);
    if (result == CLI_OK)
        result = quantize(q);
    if (result == CLI_OK && q->verbose)
        print_layers(q);
    if (result == CLI_OK)
        print_summary(q);
    if (result == CLI_OK)
        result = compare(q);
    return result == CLI_OK ? write_out(q) : result;
}

static void finish(struct quantize *q)
{
    labelled_close(&q->before);
    labelled_close(&q->after);
    nn_quantizer_destroy(q->quantizer);
    samples_finish(&q->samples);
    g_clear_pointer(&q->samples.overrides, g_hash_table_unref);
    modelinfo_destroy(q->info);
    if (q->file.model)
        model_file_finish(&q->file);
    free(q->bytes);
    g_strfreev(q->calibrate);
    g_strfreev(q->keep);
    g_strfreev(q->set);
    g_strfreev(q->shapes);
    g_free(q->out);
    g_free(q->labels);
}

int model_quantize(int argc, char **argv)
{
    struct quantize q = {.percentile = NN_QUANTIZE_PERCENTILE, .samples_each = 24};
    const GOptionEntry entries[] = {
        {"calibrate", 'c', 0, G_OPTION_ARG_FILENAME_ARRAY, &q.calibrate,
         "What to take ranges from; may be given several times", "CLIP|FOLDER|TENSOR"},
        {"out", 'o', 0, G_OPTION_ARG_FILENAME, &q.out, "Where the quantised model goes",
         "FILE"},
        {"percentile", 'p', 0, G_OPTION_ARG_DOUBLE, &q.percentile,
         "How much of a value's numbers its range holds; 100: all (default: 99.99)", "P"},
        {"samples", 'n', 0, G_OPTION_ARG_INT, &q.samples_each,
         "Frames or windows of each clip at most, spread over it (default: 24)", "N"},
        {"keep", 'k', 0, G_OPTION_ARG_STRING_ARRAY, &q.keep,
         "Leave a node in float; * and ? stand for any letters", "NODE"},
        {"labels", 'l', 0, G_OPTION_ARG_FILENAME, &q.labels,
         "Tell the accuracy before and after, on the files of a table", "FILE.csv"},
        {"set", 's', 0, G_OPTION_ARG_STRING_ARRAY, &q.set,
         "Replace a setting of the model, as pixels=BGR", "KEY=VALUE"},
        {"shape", 0, 0, G_OPTION_ARG_STRING_ARRAY, &q.shapes,
         "Shape of an input the model leaves open", "[INPUT=]SHAPE"},
        {"force", 'f', 0, G_OPTION_ARG_NONE, &q.force, "Replace a file that is there", NULL},
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &q.verbose, "Also tell each layer", NULL},
        {NULL}};
    samples_init(&q.samples);
    int over = cli_parse(
        &argc, &argv, "FILE --calibrate CLIP... --out FILE",
        "Makes a model of 8-bit weights and activations out of a float one.\n"
        "The model is shown clips like those it will see, to learn how far its values reach. A "
        "clip is decoded as a stream would be; what pictures become says the model's metadata, "
        "MODEL.modelinfo or --set. A folder stands for the clips and tensors in it, a folder "
        "with input_0.pb for a sample of its own; clips may also stand behind FILE.\n\n"
        "Weights of Conv, ConvTranspose, Gemm and MatMul get a scale for each output channel, "
        "activations one for each value. What leads to the outputs stays float. The result is "
        "an ONNX file of QuantizeLinear and DequantizeLinear that any runtime understands.\n"
        "A table for --labels has a file and its label in each line, with a comma between; "
        "files "
        "are looked for beside it, labels are names or numbers of the model's.",
        entries);
    int result = over - 1;
    if (!over)
        result = check_arguments(&q, argc);
    if (!over && result == CLI_OK)
        result = run(&q, argv);
    finish(&q);
    return result;
}
