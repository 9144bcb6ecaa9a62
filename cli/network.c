#include "cli/network.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "nn/train/design.h"
#include "nn/train/last_layer.h"
#include "nn/train/layers.h"
#include "nn/train/net.h"
#include "record/file.h"

/* --- a file -------------------------------------------------------------------------------- */

/* Beside the recipe, as it is said. */
static char *find_path(const struct recipe *recipe)
{
    g_autofree char *beside = g_path_get_dirname(recipe->path);
    g_autofree char *within = g_canonicalize_filename(beside, NULL);
    return g_canonicalize_filename(recipe->onnx, within);
}

static int open_file(const struct recipe *recipe, uint64_t seed, struct network *network)
{
    g_autofree char *path = find_path(recipe);
    struct nn_error err = {{0}};
    int r = file_read_path(path, NN_MODEL_BYTES_MAX, &network->bytes, &network->size);
    if (r < 0)
        return cli_fail(CLI_NO_INPUT, "%s: [model] onnx: cannot read %s: %s", recipe->path,
                        path, file_error_text(r));
    network->sha256 = g_compute_checksum_for_data(
        G_CHECKSUM_SHA256, (const guchar *)network->bytes, network->size);
    if (recipe->outputs > 0)
        r = train_last_layer_renew(network->bytes, network->size, recipe->outputs, seed,
                                   &network->renewed, &network->size, &err);
    if (r == 0)
        r = nn_model_load(network_bytes(network, &network->size), network->size,
                          &network->model, &err);
    if (r < 0)
        return cli_fail(CLI_CONFIG, "%s: [model] onnx: %s: %s", recipe->path, path, err.text);
    const char *labels = network_metadata(network, "vigil.labels");
    if (labels && recipe->outputs == 0) {
        network->labels = g_strsplit(labels, ",", -1);
        for (char **label = network->labels; *label; label++)
            g_strstrip(*label);
    }
    return CLI_OK;
}

int network_open(const struct recipe *recipe, uint64_t seed, struct network *ret_network)
{
    struct nn_error err = {{0}};
    *ret_network = (struct network){0};
    if (recipe->onnx)
        return open_file(recipe, seed, ret_network);
    int r =
        train_design_create(recipe->input, recipe->layers, seed, &ret_network->design, &err);
    return r < 0 ? cli_fail(CLI_CONFIG, "%s: [model] %s", recipe->path, err.text) : CLI_OK;
}

void network_clear(struct network *network)
{
    train_design_destroy(network->design);
    nn_model_unref(network->model);
    free(network->renewed);
    free(network->bytes);
    g_free(network->sha256);
    g_strfreev(network->labels);
    *network = (struct network){0};
}

const void *network_bytes(const struct network *network, size_t *ret_size)
{
    if (network->design)
        return train_design_bytes(network->design, ret_size);
    *ret_size = network->size;
    return network->renewed ? network->renewed : network->bytes;
}

const char *network_metadata(const struct network *network, const char *key)
{
    return network->model ? nn_model_metadata(network->model, key) : NULL;
}

/* --- what it says -------------------------------------------------------------------------- */

static int print_layers(const struct recipe *recipe)
{
    struct train_design *design = NULL;
    struct nn_error err = {{0}};
    if (train_design_describe(recipe->input, recipe->layers, &design, &err) < 0)
        return cli_fail(CLI_CONFIG, "%s: [model] %s", recipe->path, err.text);
    char *summary = train_design_summary(design);
    train_design_destroy(design);
    if (!summary)
        return cli_fail(CLI_INTERNAL, "no memory");
    output_text(summary);
    free(summary);
    return CLI_OK;
}

/* Weights by name. */
static int print_file(const struct recipe *recipe)
{
    struct network network;
    struct train_net *net = NULL;
    struct nn_error err = {{0}};
    int result = network_open(recipe, recipe->options.seed, &network);
    if (result == CLI_OK) {
        const struct train_options options = {.freeze = recipe->freeze};
        if (train_net_create(network.model, &options, &net, &err) < 0)
            result = cli_fail(CLI_CONFIG, "%s: [model] onnx: %s", recipe->path, err.text);
    }
    size_t count = net ? train_net_parameter_count(net) : 0, learned = 0;
    for (size_t i = 0; i < count; i++) {
        const struct train_net_parameter *p = train_net_parameter(net, i);
        char shape[128];
        g_autofree char *name = output_printable(p->name);
        printf("%-32s %-16s %zu%s\n", name, train_shape_text(&p->shape, shape, sizeof shape),
               p->count, p->gradient ? "" : " (measured)");
        learned += p->gradient ? p->count : 0;
    }
    if (net)
        printf("%zu numbers learn; all others of the file stay\n", learned);
    train_net_destroy(net);
    network_clear(&network);
    return result;
}

int network_print(const struct recipe *recipe)
{
    return recipe->onnx ? print_file(recipe) : print_layers(recipe);
}

/* One number, or several that are the same. */
static bool read_one(const char *text, float *ret_number)
{
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    for (char **part = parts; *part; part++) {
        char *end;
        double number = g_ascii_strtod(*part, &end);
        if (end != *part && *end == '/')
            number /= g_ascii_strtod(end + 1, &end);
        if (!isfinite(number) || end == *part || *g_strstrip(end) ||
            (part != parts && (float)number != *ret_number))
            return false;
        *ret_number = (float)number;
    }
    return *parts != NULL;
}

static int settle(const struct network *network, const struct recipe *recipe, const char *key,
                  float otherwise, float *number)
{
    g_autofree char *whole = g_strconcat("vigil.", key, NULL);
    const char *said = network_metadata(network, whole);
    if (!isnan(*number))
        return CLI_OK;
    *number = otherwise;
    return !said || read_one(said, number)
               ? CLI_OK
               : cli_fail(CLI_CONFIG,
                          "%s: [data] %s: the model's, %s, is not one number: say it here",
                          recipe->path, key, said);
}

int network_settle(const struct network *network, struct recipe *recipe)
{
    bool pictures = network->model && nn_model_input_count(network->model) > 0 &&
                    nn_model_input(network->model, 0)->shape.rank >= 4;
    int result = settle(network, recipe, "mean", 0, &recipe->options.mean);
    return result == CLI_OK ? settle(network, recipe, "scale", pictures ? 1.0f / 255 : 1,
                                     &recipe->options.scale)
                            : result;
}

int network_order_classes(const struct network *network, struct train_dataset *data)
{
    struct train_names names = {0};
    g_autofree int *numbers = g_new(int, data->classes.count);
    bool known = network->labels != NULL;
    int r = 0;
    for (char **label = network->labels; known && *label && r >= 0; label++)
        r = train_names_add(&names, *label, strlen(*label));
    for (int i = 0; i < data->classes.count && known && r >= 0; i++) {
        const char *name = data->classes.names[i];
        numbers[i] = train_names_find(&names, name, strlen(name));
        known = numbers[i] >= 0;
    }
    if (!known || r < 0) {
        train_names_finish(&names);
        return r < 0 ? cli_fail(CLI_CONFIG, "[model] onnx: its labels are too many or too long")
                     : CLI_OK;
    }
    for (int i = 0; i < data->count; i++)
        data->labels[i] = numbers[data->labels[i]];
    train_names_finish(&data->classes);
    data->classes = names;
    return CLI_OK;
}
