#include "cli/model_file.h"

#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/shape.h"
#include "pipeline/modelfile.h"
#include "pipeline/modelkeys.h"

/* --- shapes ------------------------------------------------------------------------------- */

static int find_input(const struct nn_model *model, const char *name, size_t length)
{
    for (size_t i = 0; i < nn_model_input_count(model); i++) {
        const char *own = nn_model_input(model, i)->name;
        if (strlen(own) == length && memcmp(own, name, length) == 0)
            return (int)i;
    }
    return -1;
}

static int take_shapes(struct model_file *file, const char *const *shapes, bool *given)
{
    for (; shapes && *shapes; shapes++) {
        const char *equals = strrchr(*shapes, '=');
        int input = equals ? find_input(file->model, *shapes, (size_t)(equals - *shapes))
                    : nn_model_input_count(file->model) > 0 ? 0
                                                            : -1;
        if (input < 0)
            return cli_fail(CLI_USAGE, "--shape %s: the model has no such input", *shapes);
        if (!shape_parse(equals ? equals + 1 : *shapes, &file->shapes[input]))
            return cli_fail(CLI_USAGE, "--shape %s: give [INPUT=]NxNx..., as 1x3x224x224",
                            *shapes);
        given[input] = true;
    }
    return CLI_OK;
}

static void assume(struct model_file *file, size_t input, int dimension, int64_t extent)
{
    g_ptr_array_add(
        file->assumed,
        g_strdup_printf("input '%s': dimension %d is open, taken as %" G_GINT64_FORMAT
                        " (--shape says otherwise)",
                        nn_model_input(file->model, input)->name, dimension, extent));
}

static void set_batch(struct model_file *file, int batch, const bool *given)
{
    int64_t own = file->shapes[0].rank > 0 ? file->shapes[0].dim[0] : NN_DIM_DYNAMIC;
    if (own >= 0 && own != batch && !given[0])
        file->rebatched = g_strdup_printf("--batch %d: the model says %" G_GINT64_FORMAT
                                          ", and may be made for no other",
                                          batch, own);
    for (size_t i = 0; i < nn_model_input_count(file->model); i++) {
        struct nn_shape *shape = &file->shapes[i];
        if (!given[i] && shape->rank > 0 &&
            (shape->dim[0] == own || shape->dim[0] == NN_DIM_DYNAMIC))
            shape->dim[0] = batch;
    }
}

/* "input 'x' is [1, 3, ?, ?]", and " --shape x=1x3xNxN". */
static void describe_open(const struct nn_value_info *input, const struct nn_shape *settled,
                          GString *inputs, GString *options)
{
    g_autofree char *shape = shape_text(&input->shape);
    g_string_append_printf(inputs, "%sinput '%s' is %s", inputs->len ? ", " : "", input->name,
                           shape);
    g_string_append_printf(options, " --shape %s=", input->name);
    for (int d = 0; d < input->shape.rank; d++) {
        g_string_append(options, d ? "x" : "");
        if (d > 0 && input->shape.dim[d] < 0)
            g_string_append_c(options, 'N');
        else
            g_string_append_printf(options, "%" G_GINT64_FORMAT, settled->dim[d]);
    }
}

/* Whatever is still open is 1: the least that runs. */
static void settle_shapes(struct model_file *file)
{
    g_autoptr(GString) inputs = g_string_new(NULL);
    g_autoptr(GString) options = g_string_new(NULL);
    for (size_t i = 0; i < nn_model_input_count(file->model); i++) {
        struct nn_shape *shape = &file->shapes[i];
        bool open = false;
        for (int d = 0; d < shape->rank; d++) {
            if (shape->dim[d] >= 0)
                continue;
            shape->dim[d] = 1;
            open = open || d > 0;
            if (d > 0)
                assume(file, i, d, 1);
        }
        if (open)
            describe_open(nn_model_input(file->model, i), shape, inputs, options);
    }
    if (inputs->len > 0)
        file->guessed =
            g_strdup_printf("open dimensions were taken as 1: %s; give%s with numbers for N",
                            inputs->str, options->str);
}

static int make_shapes(struct model_file *file, const struct model_file_options *options)
{
    g_autofree bool *given = g_new0(bool, nn_model_input_count(file->model) + 1);
    int result = take_shapes(file, options->shapes, given);
    if (result != CLI_OK)
        return result;
    if (options->batch > 0)
        set_batch(file, options->batch, given);
    settle_shapes(file);
    return CLI_OK;
}

/* --- the model ---------------------------------------------------------------------------- */

static int load(struct model_file *file)
{
    struct nn_error err;
    gsize size;
    if (modelfile_read(file->path, &file->bytes, &err) < 0)
        return cli_fail(CLI_NO_INPUT, "%s", err.text);
    const void *data = g_bytes_get_data(file->bytes, &size);
    int r = nn_model_load(data, size, &file->model, &err);
    if (r < 0)
        return cli_fail(r == -ENOMEM ? CLI_INTERNAL : CLI_CONFIG, "%s: %s", file->path,
                        err.text);
    return CLI_OK;
}

/* What a stream would make of it; that it cannot is no failure here. */
static int read_info(struct model_file *file)
{
    g_autoptr(GHashTable) overrides = modelkeys_overrides_new();
    struct nn_error err;
    int r = modelfile_read_sidecar(file->path, overrides, &err);
    if (r < 0)
        return cli_fail(r == -EINVAL ? CLI_CONFIG : CLI_NO_INPUT, "%s", err.text);
    if (modelinfo_create(file->model, overrides, &file->info, &file->no_stream) < 0)
        return CLI_OK;
    struct nn_plan *plan = NULL;
    if (modelinfo_plan(file->info, file->model, NN_KERNELS_BEST, &plan, &file->no_stream) < 0) {
        modelinfo_destroy(file->info);
        file->info = NULL;
        return CLI_OK;
    }
    nn_plan_unref(plan);
    file->shapes[0] = file->info->input;
    file->time_axis = file->info->time_axis;
    for (char **line = file->info->assumed; line && *line; line++)
        g_ptr_array_add(file->assumed, g_strdup(*line));
    return CLI_OK;
}

int model_file_open(const char *given, const struct model_file_options *options,
                    struct model_file *ret_file)
{
    struct model_file file = {.path = cli_find_model(given), .time_axis = -1};
    file.assumed = g_ptr_array_new_with_free_func(g_free);
    int result = cli_check_model(given, file.path);
    if (result == CLI_OK)
        result = load(&file);
    if (result == CLI_OK) {
        size_t inputs = nn_model_input_count(file.model);
        file.shapes = g_new0(struct nn_shape, inputs + 1);
        for (size_t i = 0; i < inputs; i++)
            file.shapes[i] = nn_model_input(file.model, i)->shape;
        result = read_info(&file);
    }
    if (result == CLI_OK)
        result = make_shapes(&file, options);
    if (result != CLI_OK) {
        model_file_finish(&file);
        return result;
    }
    if (options->time_axis != MODEL_FILE_TIME_GIVEN_BY_MODEL)
        file.time_axis = options->time_axis;
    *ret_file = file;
    return CLI_OK;
}

int model_file_fail(const struct model_file *file, int r, const struct nn_error *err)
{
    const char *hint = file->guessed ? file->guessed : file->rebatched;
    return cli_fail(r == -ENOMEM ? CLI_INTERNAL : CLI_CONFIG, "%s: %s%s%s%s", file->path,
                    err->text, hint ? " (" : "", hint ? hint : "", hint ? ")" : "");
}

void model_file_finish(struct model_file *file)
{
    modelinfo_destroy(file->info);
    nn_model_unref(file->model);
    g_clear_pointer(&file->bytes, g_bytes_unref);
    g_clear_pointer(&file->assumed, g_ptr_array_unref);
    g_free(file->shapes);
    g_free(file->guessed);
    g_free(file->rebatched);
    g_free(file->path);
    *file = (struct model_file){0};
}
