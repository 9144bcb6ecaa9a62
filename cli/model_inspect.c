/* vigil model inspect: a model's layers, needs and costs, for people or as JSON. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/model_file.h"
#include "cli/model_verbs.h"
#include "cli/output.h"
#include "cli/shape.h"
#include "nn/op.h"

enum { COLUMNS = 5 };

/* A model and the plan of it that is described. */
struct subject {
    struct model_file file;
    struct nn_plan *plan;
    struct nn_plan_info info;
    double macs[2]; /* per window, per frame */
};

static int make_subject(struct subject *s)
{
    struct nn_plan_options options = {.input_shapes = s->file.shapes,
                                      .time_axis = s->file.time_axis};
    struct nn_error err;
    int r = nn_plan_create(s->file.model, &options, &s->plan, &err);
    if (r < 0)
        return model_file_fail(&s->file, r, &err);
    nn_plan_describe(s->plan, &s->info);
    for (size_t i = 0; i < nn_plan_layer_count(s->plan); i++) {
        const struct nn_plan_layer *layer = nn_plan_layer(s->plan, i);
        s->macs[layer->per_frame] += layer->macs;
        s->macs[true] += layer->frame_macs;
    }
    return CLI_OK;
}

/* How many layers each operator has, by its name; values are counts in pointers. */
static GHashTable *count_operators(const struct nn_plan *plan)
{
    GHashTable *counts = g_hash_table_new(g_str_hash, g_str_equal);
    for (size_t i = 0; i < nn_plan_layer_count(plan); i++) {
        const char *op = nn_plan_layer(plan, i)->op;
        int count = GPOINTER_TO_INT(g_hash_table_lookup(counts, op));
        g_hash_table_insert(counts, (gpointer)(guintptr)op, GINT_TO_POINTER(count + 1));
    }
    return counts;
}

static GList *sorted_operators(GHashTable *counts)
{
    return g_list_sort(g_hash_table_get_keys(counts), (GCompareFunc)strcmp);
}

/* --- for people --------------------------------------------------------------------------- */

static char *amount(double count)
{
    if (count < 1e6)
        return g_strdup_printf("%.0f", count);
    return count < 1e9 ? g_strdup_printf("%.2f M", count / 1e6)
                       : g_strdup_printf("%.2f G", count / 1e9);
}

static char *bytes_text(size_t bytes)
{
    return bytes < 1024 * 1024 ? g_strdup_printf("%.1f KiB", (double)bytes / 1024)
                               : g_strdup_printf("%.1f MiB", (double)bytes / (1024 * 1024));
}

static void add_row(GPtrArray *cells, char *a, char *b, char *c, char *d, char *e)
{
    char *const row[COLUMNS] = {a, b, c, d, e};
    for (int i = 0; i < COLUMNS; i++)
        g_ptr_array_add(cells, row[i]);
}

/* What is not to be expected of a layer where it stands; NULL: nothing. */
static char *remark(const struct nn_plan *plan, const struct nn_plan_layer *layer)
{
    if (layer->fused_into >= 0)
        return g_strdup_printf("in %s", nn_plan_layer(plan, (size_t)layer->fused_into)->name);
    if (layer->frame_macs <= 0)
        return NULL;
    g_autofree char *macs = amount(layer->frame_macs);
    return g_strdup_printf("and %s MACs once per frame, on its input", macs);
}

static void add_layers(GPtrArray *cells, const struct nn_plan *plan, bool per_frame)
{
    for (size_t i = 0; i < nn_plan_layer_count(plan); i++) {
        const struct nn_plan_layer *layer = nn_plan_layer(plan, i);
        if (layer->per_frame == per_frame)
            add_row(cells, g_strdup_printf("%s (%s)", layer->name, layer->op),
                    shape_text(&layer->shape),
                    g_strdup_printf("%" G_GINT64_FORMAT, layer->parameters),
                    layer->macs > 0 ? amount(layer->macs) : NULL, remark(plan, layer));
    }
}

static void print_layers(const struct subject *s)
{
    g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);
    add_row(cells, g_strdup("Layer (type)"), g_strdup("Output shape"), g_strdup("Params"),
            g_strdup("MACs"), g_strdup("Runs"));
    if (s->info.window > 0) {
        add_row(cells, g_strdup("-- once per frame:"), NULL, NULL, NULL, NULL);
        add_layers(cells, s->plan, true);
        add_row(cells, g_strdup_printf("-- once per window of %d frames:", s->info.window),
                NULL, NULL, NULL, NULL);
    }
    add_layers(cells, s->plan, false);
    output_table((const char *const *)cells->pdata, cells->len / COLUMNS, COLUMNS);
}

static void print_value(const char *what, const struct nn_value_info *value)
{
    g_autofree char *name = output_printable(value->name);
    g_autofree char *shape = shape_text(&value->shape);
    printf("%-8s %s  %s %s%s\n", what, name, nn_type_name(value->type), shape,
           value->late ? " at most, each run decides" : "");
}

static void print_macs(const char *what, double macs)
{
    g_autofree char *count = amount(macs), *operations = amount(2 * macs);
    printf("%-12s %s MACs, %s floating-point operations\n", what, count, operations);
}

/* What MACs are counted of, as the operators themselves say. */
static void print_counted_operators(void)
{
    enum { WIDTH = 80 };
    int column = printf("%-12s one MAC is a product that one of these adds up:", "");
    const char *separator = "";
    for (size_t i = 0; i < nn_op_count(); i++) {
        const struct nn_op *op = nn_op_at(i);
        if (!op->macs)
            continue;
        column += printf("%s", separator);
        if (column + (int)strlen(op->name) + 2 > WIDTH)
            column = printf("\n%-12s", "") - 1;
        column += printf(" %s", op->name);
        separator = ",";
    }
    putchar('\n');
}

static void print_totals(const struct subject *s)
{
    const struct nn_plan_info *info = &s->info;
    g_autofree char *arena = bytes_text(info->arena_bytes),
                    *own = bytes_text(info->weight_bytes);
    g_autofree char *stored = bytes_text(info->parameter_bytes);
    g_autoptr(GHashTable) counts = count_operators(s->plan);
    g_autoptr(GList) names = sorted_operators(counts);
    printf("\n%-12s %" G_GINT64_FORMAT " (%s)\n", "Parameters", info->parameters, stored);
    if (info->window > 0) {
        print_macs("Per frame", s->macs[true]);
        print_macs("Per window", s->macs[false]);
    } else {
        print_macs("Per run", s->macs[false]);
    }
    print_counted_operators();
    printf("%-12s %s for each stream, %s of packed weights and plan for all\n", "Memory", arena,
           own);
    printf("%-12s %s\n%-12s", "Kernels", info->kernels, "Operators");
    for (GList *at = names; at; at = at->next)
        printf(" %s %d%s", (const char *)at->data,
               GPOINTER_TO_INT(g_hash_table_lookup(counts, at->data)), at->next ? "," : "\n");
    if (!names)
        puts(" none");
}

static void print_metadata(const struct subject *s)
{
    size_t count = nn_model_metadata_count(s->file.model);
    if (count > 0)
        puts("\nMetadata");
    for (size_t i = 0; i < count; i++) {
        const char *key, *value;
        nn_model_metadata_at(s->file.model, i, &key, &value);
        g_autofree char *shown_key = output_printable(key), *shown = output_printable(value);
        printf("  %s = %s\n", shown_key, shown);
    }
    if (s->file.assumed->len > 0)
        puts("\nAssumed, since the model does not say");
    for (guint i = 0; i < s->file.assumed->len; i++) {
        g_autofree char *line = output_printable(s->file.assumed->pdata[i]);
        printf("  %s\n", line);
    }
    if (!s->file.info) {
        g_autofree char *reason = output_printable(s->file.no_stream.text);
        printf("\nNot for streams: %s\n", reason);
    }
}

static void print_all(const struct subject *s)
{
    g_autofree char *path = output_printable(s->file.path);
    printf("%s: %zu bytes, opset %d\n\n", path, g_bytes_get_size(s->file.bytes),
           nn_model_opset(s->file.model));
    for (size_t i = 0; i < nn_model_input_count(s->file.model); i++)
        print_value("Input", nn_plan_input(s->plan, i));
    for (size_t i = 0; i < nn_model_output_count(s->file.model); i++)
        print_value("Output", nn_plan_output(s->plan, i));
    putchar('\n');
    print_layers(s);
    print_totals(s);
    print_metadata(s);
}

/* --- for programs ------------------------------------------------------------------------- */

/* Paths and messages may hold anything; names and metadata were checked when they were read. */
static json_t *text_json(const char *text)
{
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    return json_string(valid);
}

static json_t *shape_json(const struct nn_shape *shape)
{
    json_t *dims = json_array();
    for (int d = 0; d < shape->rank; d++)
        json_array_append_new(dims, json_integer(shape->dim[d]));
    return dims;
}

static json_t *value_json(const struct nn_value_info *value)
{
    json_t *object = json_pack("{s:s, s:s, s:o}", "name", value->name, "type",
                               nn_type_name(value->type), "shape", shape_json(&value->shape));
    if (value->late)
        json_object_set_new(object, "late", json_true());
    return object;
}

static json_t *layers_json(const struct nn_plan *plan)
{
    json_t *layers = json_array();
    for (size_t i = 0; i < nn_plan_layer_count(plan); i++) {
        const struct nn_plan_layer *layer = nn_plan_layer(plan, i);
        json_t *object = json_pack(
            "{s:s, s:s, s:s, s:o, s:I, s:I, s:s}", "name", layer->name, "operator", layer->op,
            "type", nn_type_name(layer->type), "shape", shape_json(&layer->shape), "parameters",
            (json_int_t)layer->parameters, "macs", (json_int_t)layer->macs, "runs",
            layer->per_frame ? "frame" : "window");
        if (layer->frame_macs > 0)
            json_object_set_new(object, "frame_macs",
                                json_integer((json_int_t)layer->frame_macs));
        if (layer->fused_into >= 0)
            json_object_set_new(object, "fused_into", json_integer(layer->fused_into));
        json_array_append_new(layers, object);
    }
    return layers;
}

static json_t *metadata_json(const struct nn_model *model)
{
    json_t *metadata = json_object();
    for (size_t i = 0; i < nn_model_metadata_count(model); i++) {
        const char *key, *value;
        nn_model_metadata_at(model, i, &key, &value);
        json_object_set_new(metadata, key, json_string(value));
    }
    return metadata;
}

static void print_json(const struct subject *s)
{
    json_t *inputs = json_array(), *outputs = json_array(), *operators = json_object();
    json_t *assumed = json_array();
    g_autoptr(GHashTable) counts = count_operators(s->plan);
    g_autoptr(GList) names = sorted_operators(counts);
    for (size_t i = 0; i < nn_model_input_count(s->file.model); i++)
        json_array_append_new(inputs, value_json(nn_plan_input(s->plan, i)));
    for (size_t i = 0; i < nn_model_output_count(s->file.model); i++)
        json_array_append_new(outputs, value_json(nn_plan_output(s->plan, i)));
    for (GList *at = names; at; at = at->next)
        json_object_set_new(
            operators, at->data,
            json_integer(GPOINTER_TO_INT(g_hash_table_lookup(counts, at->data))));
    for (guint i = 0; i < s->file.assumed->len; i++)
        json_array_append_new(assumed, text_json(s->file.assumed->pdata[i]));
    json_t *object = json_pack("{s:o, s:I, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "file",
                               text_json(s->file.path), "file_bytes",
                               (json_int_t)g_bytes_get_size(s->file.bytes), "opset",
                               nn_model_opset(s->file.model), "inputs", inputs, "outputs",
                               outputs, "layers", layers_json(s->plan), "operators", operators,
                               "metadata", metadata_json(s->file.model), "assumed", assumed);
    json_object_set_new(object, "parameters", json_integer(s->info.parameters));
    json_object_set_new(object, "parameter_bytes",
                        json_integer((json_int_t)s->info.parameter_bytes));
    json_object_set_new(object, "window", json_integer(s->info.window));
    json_object_set_new(object, "macs_per_frame", json_integer((json_int_t)s->macs[true]));
    json_object_set_new(object, "macs_per_window", json_integer((json_int_t)s->macs[false]));
    json_object_set_new(object, "arena_bytes", json_integer((json_int_t)s->info.arena_bytes));
    json_object_set_new(object, "weight_bytes", json_integer((json_int_t)s->info.weight_bytes));
    json_object_set_new(object, "kernels", json_string(s->info.kernels));
    json_object_set_new(object, "streams", json_boolean(s->file.info != NULL));
    if (!s->file.info)
        json_object_set_new(object, "not_for_streams", text_json(s->file.no_stream.text));
    output_json_line(object);
    json_decref(object);
}

int model_inspect(int argc, char **argv)
{
    struct subject subject = {0};
    char **shapes = NULL;
    gboolean as_json = FALSE;
    struct model_file_options options = {.time_axis = MODEL_FILE_TIME_GIVEN_BY_MODEL};
    const GOptionEntry entries[] = {
        {"shape", 0, 0, G_OPTION_ARG_STRING_ARRAY, &shapes,
         "The shape of an input the model leaves open, as 1x3x224x224", "[INPUT=]SHAPE"},
        {"time-axis", 0, 0, G_OPTION_ARG_INT, &options.time_axis,
         "The axis of the first input that is time (-1: none; default: by the metadata)", "N"},
        {"json", 'j', 0, G_OPTION_ARG_NONE, &as_json, "One JSON object", NULL},
        {NULL}};
    int over =
        cli_parse(&argc, &argv, "FILE|NAME",
                  "Tells what a model is made of, what runs per frame and what per window, "
                  "what it costs "
                  "in memory and arithmetic, and what was assumed where it does not say.\n"
                  "A model that cannot be run is refused with what stands in the way.",
                  entries);
    int result = over - 1;
    if (!over && argc != 2) {
        result = cli_fail(CLI_USAGE, "give one ONNX file (see: vigil model inspect --help)");
    } else if (!over) {
        options.shapes = (const char *const *)shapes;
        cli_check_kernels();
        result = model_file_open(argv[1], &options, &subject.file);
        if (result == CLI_OK) {
            result = make_subject(&subject);
            if (result == CLI_OK && as_json)
                print_json(&subject);
            else if (result == CLI_OK)
                print_all(&subject);
            nn_plan_unref(subject.plan);
            model_file_finish(&subject.file);
        }
    }
    g_strfreev(shapes);
    return result;
}
