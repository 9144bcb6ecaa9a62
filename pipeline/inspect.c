#include "pipeline/inspect.h"

#include <errno.h>

#include "nn/model.h"
#include "nn/plan.h"
#include "pipeline/modelinfo.h"

static json_t *shape_to_json(const struct nn_shape *shape)
{
    json_t *dims = json_array();
    for (int i = 0; i < shape->rank; i++)
        json_array_append_new(dims, json_integer(shape->dim[i]));
    return dims;
}

/* Text of a model may be anything: what is not UTF-8 is escaped. */
static json_t *text(const char *string)
{
    g_autofree char *valid = g_utf8_make_valid(string, -1);
    return json_string(valid);
}

static json_t *value_to_json(const struct nn_value_info *value)
{
    json_t *object = json_object();
    json_object_set_new(object, "name", text(value->name));
    json_object_set_new(object, "type", json_string(nn_type_name(value->type)));
    json_object_set_new(object, "shape", shape_to_json(&value->shape));
    return object;
}

static void add_values(json_t *object, const struct nn_model *model)
{
    json_t *inputs = json_array(), *outputs = json_array();
    for (size_t i = 0; i < nn_model_input_count(model); i++)
        json_array_append_new(inputs, value_to_json(nn_model_input(model, i)));
    for (size_t i = 0; i < nn_model_output_count(model); i++)
        json_array_append_new(outputs, value_to_json(nn_model_output(model, i)));
    json_object_set_new(object, "inputs", inputs);
    json_object_set_new(object, "outputs", outputs);
}

static void add_metadata(json_t *object, const struct nn_model *model)
{
    json_t *metadata = json_object();
    for (size_t i = 0; i < nn_model_metadata_count(model); i++) {
        const char *key, *value;
        nn_model_metadata_at(model, i, &key, &value);
        g_autofree char *valid = g_utf8_make_valid(key, -1);
        json_object_set_new(metadata, valid, text(value));
    }
    json_object_set_new(object, "metadata", metadata);
}

static json_t *reals_to_json(const float *values, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_real(values[i]));
    return list;
}

/* How a picture becomes input, and what is made of the output. */
static void add_processing(json_t *object, const struct modelinfo *info)
{
    json_object_set_new(object, "layout", json_string(modelinfo_layout_name(info)));
    json_object_set_new(object, "resize", json_string(modelinfo_resize_name(info->resize)));
    json_object_set_new(object, "mean", reals_to_json(info->mean, info->channels));
    json_object_set_new(object, "scale", reals_to_json(info->scale, info->channels));
    json_object_set_new(object, "head", json_string(modelinfo_head_name(info->head)));
    json_object_set_new(object, "precision", json_string(nn_precision_names[info->precision]));
    json_object_set_new(object, "threads", json_integer(info->threads));
}

/* When scores are an event, label by label. */
static void add_thresholds(json_t *object, const struct modelinfo *info)
{
    json_t *thresholds = json_array();
    for (int i = 0; i < info->label_count; i++) {
        const struct modelinfo_label *label = &info->labels[i];
        json_t *row = json_object();
        json_object_set_new(row, "label", text(label->name));
        json_object_set_new(row, "kind", json_string(record_kind_name(label->kind)));
        json_object_set_new(row, "background", json_boolean(label->background));
        json_object_set_new(row, "enter", json_real(label->enter));
        json_object_set_new(row, "exit", json_real(label->exit));
        json_object_set_new(row, "min_duration_ms",
                            json_integer(label->min_duration_ns / 1000000));
        json_object_set_new(row, "cooldown_ms", json_integer(label->cooldown_ns / 1000000));
        json_array_append_new(thresholds, row);
    }
    json_object_set_new(object, "thresholds", thresholds);
}

static void add_size(json_t *object, const struct nn_plan *plan)
{
    struct nn_plan_info info;
    nn_plan_describe(plan, &info);
    json_object_set_new(object, "arena_bytes", json_integer((json_int_t)info.arena_bytes));
    json_object_set_new(object, "weight_bytes", json_integer((json_int_t)info.weight_bytes));
    json_object_set_new(object, "parameters", json_integer(info.parameters));
}

static json_t *describe(GBytes *bytes, const struct nn_model *model,
                        const struct modelinfo *info, const struct nn_plan *plan)
{
    json_t *object = json_object(), *labels = json_array(), *assumed = json_array();
    g_autofree char *hash = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, bytes);
    for (int i = 0; i < info->label_count; i++)
        json_array_append_new(labels, text(info->labels[i].name));
    for (char **line = info->assumed; line && *line; line++)
        json_array_append_new(assumed, text(*line));
    json_object_set_new(object, "sha256", json_string(hash));
    json_object_set_new(object, "file_bytes",
                        json_integer((json_int_t)g_bytes_get_size(bytes)));
    json_object_set_new(object, "task", json_string(modelinfo_task_name(info->task)));
    json_object_set_new(object, "labels", labels);
    json_object_set_new(object, "pixels", json_string(modelinfo_pixels_name(info->pixels)));
    json_object_set_new(object, "width", json_integer(info->width));
    json_object_set_new(object, "height", json_integer(info->height));
    json_object_set_new(object, "channels", json_integer(info->channels));
    json_object_set_new(object, "window", json_integer(info->window));
    json_object_set_new(object, "fps", json_real(info->fps));
    json_object_set_new(object, "stride", json_integer(info->stride));
    add_processing(object, info);
    add_thresholds(object, info);
    add_size(object, plan);
    add_values(object, model);
    json_object_set_new(object, "nodes", json_integer((json_int_t)nn_model_node_count(model)));
    add_metadata(object, model);
    json_object_set_new(object, "assumed", assumed);
    return object;
}

int inspect_model(GBytes *bytes, GHashTable *overrides, json_t **ret_object,
                  struct nn_error *err)
{
    struct nn_model *model = NULL;
    struct modelinfo *info = NULL;
    struct nn_plan *plan = NULL;
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    int r = nn_model_load(data, size, &model, err);
    if (r == 0)
        r = modelinfo_create(model, overrides, &info, err);
    if (r == 0)
        r = modelinfo_plan(info, model, NN_KERNELS_BEST, &plan, err);
    if (r == 0) {
        *ret_object = describe(bytes, model, info, plan);
        r = *ret_object ? 0 : -ENOMEM;
    }
    nn_plan_unref(plan);
    modelinfo_destroy(info);
    nn_model_unref(model);
    return r;
}
