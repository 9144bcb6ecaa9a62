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
#include "cli/outfile.h"
#include "cli/output.h"
#include "cli/samples.h"
#include "nn/quantize/quantize.h"
#include "pipeline/modelfile.h"
#include "record/file.h"

#define COMPARED_MAX 8  /* samples that layers are compared on */
#define NOISY_DB     10 /* below, what is off is a third of the signal and more */

struct quantize {
    /* As asked for. */
    char **calibrate, **keep, **set, **shapes;
    char *out, *labels;
    double percentile;
    int samples_each;
    gboolean force, verbose;

    char *model_path; /* as it is found, before it is opened */
    struct model_file file;
    struct modelinfo *info; /* how pictures become input; NULL: they do not */
    struct nn_error no_pictures;
    struct samples samples;
    GArray *labelled; /* cli/labelled.h; NULL without --labels */
    struct nn_quantizer *quantizer;
    void *bytes; /* of the quantised model */
    size_t size;
    struct labelled_network before, after;
};

static int model_error(const struct quantize *q, int r, const struct nn_error *err)
{
    return model_file_fail(&q->file, r, err);
}

/* --- what goes in ------------------------------------------------------------------------- */

/* --set comes before the sidecar, so what is no key is of --set when it is looked for here. */
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
    const struct modelkeys keys = {.overrides = q->samples.overrides, .err = &err};
    if (modelkeys_check(&keys) < 0)
        return cli_fail(CLI_USAGE, "--set: %s", err.text);
    int r = modelfile_read_sidecar(q->file.path, q->samples.overrides, &err);
    return r < 0 ? cli_fail(r == -EINVAL ? CLI_CONFIG : CLI_NO_INPUT, "%s", err.text) : CLI_OK;
}

static int blame_settings(const struct quantize *q)
{
    for (char **set = q->set; set && *set; set++) {
        const char *equals = strchr(*set, '=');
        g_autofree char *key = g_strndup(*set, (gsize)(equals - *set));
        g_autofree char *refused = cli_refused_setting(key, equals + 1, q->no_pictures.text);
        if (refused)
            return cli_fail(CLI_USAGE, "%s", refused);
    }
    return CLI_OK;
}

/* A worker knows of the model and the overrides only, not of --shape. */
static void pass_on_shape(struct quantize *q)
{
    g_autofree char *size = g_strdup_printf("%dx%d", q->info->width, q->info->height);
    g_autofree char *window = g_strdup_printf("%d", q->info->window);
    modelkeys_overrides_add(q->samples.overrides, "size", size);
    if (q->info->time_axis >= 0)
        modelkeys_overrides_add(q->samples.overrides, "window", window);
}

/* What a picture has to become; a model that takes none may still have tensors to be shown. */
static int read_info(struct quantize *q)
{
    if (modelinfo_create_input(q->file.model, q->shapes ? q->file.shapes : NULL,
                               q->samples.overrides, &q->info, &q->no_pictures) < 0)
        return blame_settings(q);
    if (!q->shapes)
        q->file.shapes[0] = q->info->input;
    else
        pass_on_shape(q);
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

/* Before the first of them is decoded, which takes long. `more`: what follows FILE, to the same
 * end. */
static int find_samples(const struct quantize *q, char **more)
{
    char **const lists[] = {q->calibrate, more};
    for (size_t i = 0; i < G_N_ELEMENTS(lists); i++)
        for (char **path = lists[i]; path && *path; path++) {
            int r = samples_find(*path);
            if (r < 0)
                return cli_fail(CLI_NO_INPUT, "cannot read %s: %s", *path, file_error_text(r));
        }
    return CLI_OK;
}

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

/* What could stand in the way and needs no sample. */
static int prepare(struct quantize *q)
{
    const struct nn_quantize_options options = {.percentile = q->percentile,
                                                .keep = (const char *const *)q->keep,
                                                .input_shapes = q->file.shapes};
    struct nn_error err;
    gsize size;
    const void *data = g_bytes_get_data(q->file.bytes, &size);
    int r = nn_quantizer_create(data, size, &options, &q->quantizer, &err);
    if (r == 0)
        r = labelled_open(&q->before, data, size, q->file.shapes, &err);
    if (r < 0)
        return model_error(q, r, &err);
    return q->labels ? labelled_read(q->labels, &q->samples, &q->before, &q->labelled) : CLI_OK;
}

static void feed(struct quantize *q, guint sample)
{
    for (size_t i = 0; i < nn_quantizer_input_count(q->quantizer); i++)
        samples_copy(&q->samples, sample, i, nn_quantizer_input(q->quantizer, i));
}

static int quantize(struct quantize *q)
{
    struct nn_error err;
    int r = 0;
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

static bool is_noisy(double signal, double noise)
{
    return signal > 0 && 10 * log10(signal / noise) < NOISY_DB;
}

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

/* Noise is handed on from layer to layer: where it begins is where something can be done. */
static void print_first_noisy(const struct quantize *q)
{
    for (size_t i = 0; i < nn_quantizer_layer_count(q->quantizer); i++) {
        const struct nn_quantize_layer *layer = nn_quantizer_layer(q->quantizer, i);
        if (!is_noisy(layer->signal, layer->noise))
            continue;
        g_autofree char *name = output_printable(layer->name);
        printf("Hint        %s is the first layer below %d dB: try --keep with it or those "
               "before it\n",
               name, NOISY_DB);
        return;
    }
}

static void append_numbers(GString *text, const float *numbers, int count)
{
    bool same = true;
    for (int c = 1; c < count; c++)
        same = same && numbers[c] == numbers[0];
    for (int c = 0; c < (same ? 1 : count); c++)
        if (numbers[c] == 1.0f / 255)
            g_string_append_printf(text, "%s1/255", c ? "," : "");
        else
            g_string_append_printf(text, "%s%g", c ? "," : "", numbers[c]);
}

/* How pictures became input: what is wrong here spoils ranges that look as good as any. */
static void print_input(const struct modelinfo *info)
{
    static const char *const keys[] = {"vigil.pixels", "vigil.mean", "vigil.scale",
                                       "vigil.resize"};
    static const char *const how[] = {"stretched", "letterboxed", "cropped"};
    g_autoptr(GString) line = g_string_new(modelinfo_pixels_name(info->pixels));
    g_autoptr(GString) assumed = g_string_new(NULL);
    g_string_append(line, ", less ");
    append_numbers(line, info->mean, info->channels);
    g_string_append(line, " and times ");
    append_numbers(line, info->scale, info->channels);
    g_string_append_printf(line, ", %s to %dx%d", how[info->resize], info->width, info->height);
    for (char **said = info->assumed; said && *said; said++)
        for (size_t k = 0; k < G_N_ELEMENTS(keys); k++)
            if (g_str_has_prefix(*said, keys[k]))
                g_string_append_printf(assumed, "%s%s", assumed->len ? ", " : "",
                                       keys[k] + strlen("vigil."));
    printf("Input       %s", line->str);
    if (assumed->len > 0)
        printf(" (assumed: %s; --set or MODEL.modelinfo says otherwise)", assumed->str);
    putchar('\n');
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
    if (q->samples.folders > 0)
        printf("            %d folder%s within %s not entered: name what lies there, too\n",
               q->samples.folders, q->samples.folders == 1 ? "" : "s",
               q->samples.folders == 1 ? "was" : "were");
    if (q->samples.foreign > 0) {
        g_autofree char *name = output_printable(q->samples.first_foreign);
        printf("            %d clip%s passed over, as %s: not " SAMPLES_CLIPS "\n",
               q->samples.foreign, q->samples.foreign == 1 ? " was" : "s were", name);
    }
    if (q->samples.clips > 0)
        print_input(q->info);
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
    bool noisy = false;
    for (size_t o = 0; o < outputs; o++) {
        print_difference(nn_plan_output(q->before.plan, o), &differences[o]);
        noisy = noisy || is_noisy(differences[o].signal, differences[o].noise);
    }
    if (noisy)
        printf("Hint        below %d dB a third of what comes out is noise: hold it against "
               "--labels, try --percentile 100%s\n",
               NOISY_DB, q->verbose ? "" : ", and let --verbose say which layers to --keep");
    if (q->verbose)
        print_first_noisy(q);
    return CLI_OK;
}

static int compare(struct quantize *q)
{
    struct nn_error err;
    int r = labelled_open(&q->after, q->bytes, q->size, q->file.shapes, &err);
    if (r < 0)
        return model_error(q, r, &err);
    int result = compare_outputs(q);
    struct labelled_score score = {0};
    if (result == CLI_OK && q->labelled)
        result = labelled_score(q->labelled, &q->samples, &q->before, &q->after, &score);
    if (result == CLI_OK && q->labelled)
        printf("Accuracy    %.1f %% before, %.1f %% after, on %d labelled file%s\n",
               100.0 * score.before / score.files, 100.0 * score.after / score.files,
               score.files, score.files == 1 ? "" : "s");
    return result;
}

/* --- the verb ----------------------------------------------------------------------------- */

static bool is_model(const char *path)
{
    g_autofree char *data = NULL;
    gsize size;
    struct nn_model *model = NULL;
    if (!g_file_get_contents(path, &data, &size, NULL))
        return false;
    int r = nn_model_load(data, size, &model, NULL);
    nn_model_unref(model);
    return r == 0;
}

static struct outfile outfile_of(const struct quantize *q)
{
    return (struct outfile){.option = "--out",
                            .path = q->out,
                            .source = q->model_path,
                            .force = q->force,
                            .kind = "an ONNX model",
                            .is_kind = is_model};
}

static int check_arguments(struct quantize *q, int argc, char **argv)
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
    q->model_path = cli_find_model(argv[1]);
    const struct outfile out = outfile_of(q);
    return outfile_check(&out);
}

static int run(struct quantize *q, char **argv)
{
    int result = open_model(q, argv[1]);
    if (result == CLI_OK)
        result = find_samples(q, argv + 2);
    if (result == CLI_OK)
        result = prepare(q);
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
    const struct outfile out = outfile_of(q);
    return result == CLI_OK ? outfile_write(&out, q->bytes, q->size) : result;
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
    g_clear_pointer(&q->labelled, g_array_unref);
    g_free(q->model_path);
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
         "How much of a value's numbers its range holds; 100: all (default: 99.995)", "P"},
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
        {"force", 'f', 0, G_OPTION_ARG_NONE, &q.force,
         "Replace a model that is there (a link itself, not what it leads to)", NULL},
        {"verbose", 'v', 0, G_OPTION_ARG_NONE, &q.verbose, "Also tell each layer", NULL},
        {NULL}};
    samples_init(&q.samples);
    int over = cli_parse(
        &argc, &argv, "FILE --calibrate CLIP... --out FILE",
        "Makes a model of 8-bit weights and activations out of a float one.\n"
        "The model is shown clips like those it will see, to learn how far its values reach. A "
        "clip is decoded as a stream would be; what pictures become says the model's metadata, "
        "MODEL.modelinfo or --set. A folder stands for the clips and tensors in it (other "
        "folders in "
        "it are not entered), a folder with input_0.pb for a sample of its own; clips may also "
        "stand behind FILE.\n\n"
        "Weights of Conv, ConvTranspose, Gemm and MatMul get a scale for each output channel, "
        "activations one for each value. What leads to the outputs stays float. The result is "
        "an ONNX file of QuantizeLinear and DequantizeLinear that any runtime understands.\n"
        "A table for --labels has a file and its label in each line, with a comma between; "
        "files are looked for beside it, labels are names or numbers of the model's. A first "
        "line that has neither is a heading.",
        entries);
    int result = over - 1;
    if (!over)
        result = check_arguments(&q, argc, argv);
    if (!over && result == CLI_OK)
        result = run(&q, argv);
    finish(&q);
    return result;
}
