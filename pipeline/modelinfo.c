#include "pipeline/modelinfo.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static const char *const task_names[] = {"classify-window", "classify-frame", NULL};
static const char *const pixels_names[] = {"RGB", "BGR", "GRAY", NULL};
static const char *const resize_names[] = {"stretch", "letterbox", "crop", NULL};
static const char *const head_names[] = {"scores", "softmax", "sigmoid", NULL};

/* Axes of the input; time is axis 1 where there is any. */
static const struct layout {
    const char *name;
    enum modelinfo_task task;
    int rank, channel, height, width;
} layouts[] = {
    {"NTCHW", MODELINFO_CLASSIFY_WINDOW, 5, 2, 3, 4},
    {"NTHWC", MODELINFO_CLASSIFY_WINDOW, 5, 4, 2, 3},
    {"NCHW", MODELINFO_CLASSIFY_FRAME, 4, 1, 2, 3},
    {"NHWC", MODELINFO_CLASSIFY_FRAME, 4, 3, 1, 2},
};

/* A modelinfo being made. */
struct reader {
    struct modelkeys keys;
    const struct nn_value_info *input;
    const struct nn_value_info *output;
    const struct nn_shape *given; /* of the input, where it is open; may be NULL */
    struct nn_shape shape;        /* of the input, by both */
    const struct layout *layout;
    struct modelinfo *info;
    bool input_only;
};

static int check_signature(struct reader *reader)
{
    const struct nn_model *model = reader->keys.model;
    if (nn_model_input_count(model) != 1 || nn_model_output_count(model) < 1)
        return modelkeys_refuse(&reader->keys, -ENOTSUP,
                                "the model has %zu inputs and %zu outputs: one input, and "
                                "scores as its first output, are supported",
                                nn_model_input_count(model), nn_model_output_count(model));
    reader->input = nn_model_input(model, 0);
    reader->output = nn_model_output(model, 0);
    if (reader->input->type != NN_TYPE_FLOAT)
        return modelkeys_refuse(&reader->keys, -ENOTSUP,
                                "the model's input is %s: float32 is supported",
                                nn_type_name(reader->input->type));
    reader->shape = reader->input->shape;
    for (int d = 0; reader->given && d < reader->shape.rank && d < reader->given->rank; d++)
        if (reader->shape.dim[d] == NN_DIM_DYNAMIC)
            reader->shape.dim[d] = reader->given->dim[d];
    return 0;
}

static int read_task(struct reader *reader)
{
    static const char *const later[] = {"detect", "embed", "reconstruct", "audio", NULL};
    const char *text = modelkeys_text(&reader->keys, MODELKEY_TASK);
    bool other = text && g_strv_contains(later, text);
    if (other && !reader->input_only)
        return modelkeys_refuse(&reader->keys, -ENOTSUP,
                                "vigil.task \"%s\" is not supported: classify-window and "
                                "classify-frame are",
                                text);
    int rank = reader->shape.rank;
    int task = rank == 4 ? MODELINFO_CLASSIFY_FRAME : MODELINFO_CLASSIFY_WINDOW;
    int r = other ? 0 : modelkeys_choice(&reader->keys, MODELKEY_TASK, task_names, &task);
    if (r < 0)
        return r;
    reader->info->task = task;
    int wanted = task == MODELINFO_CLASSIFY_WINDOW ? 5 : 4;
    if (rank != wanted)
        return modelkeys_refuse(&reader->keys, -ENOTSUP,
                                "vigil.task %s takes an input of rank %d; the model's has %d",
                                task_names[task], wanted, rank);
    if (!text)
        modelkeys_assume(&reader->keys, MODELKEY_TASK, "%s, for an input of rank %d",
                         task_names[task], rank);
    return 0;
}

static bool is_channel_count(int64_t extent)
{
    return extent == 1 || extent == 3;
}

static int guess_layout(struct reader *reader)
{
    const struct layout *found = NULL;
    for (size_t i = 0; i < G_N_ELEMENTS(layouts); i++) {
        const struct layout *layout = &layouts[i];
        if (layout->task != reader->info->task ||
            !is_channel_count(reader->shape.dim[layout->channel]))
            continue;
        if (found)
            return modelkeys_refuse(&reader->keys, -EINVAL,
                                    "the input's shape fits both %s and %s: set vigil.layout",
                                    found->name, layout->name);
        found = layout;
    }
    if (!found)
        return modelkeys_refuse(&reader->keys, -EINVAL,
                                "no axis of the input holds 1 or 3 channels: it is no picture");
    modelkeys_assume(&reader->keys, MODELKEY_LAYOUT, "%s, from the input's shape", found->name);
    reader->layout = found;
    return 0;
}

static int read_layout(struct reader *reader)
{
    const char *text = modelkeys_text(&reader->keys, MODELKEY_LAYOUT);
    if (!text)
        return guess_layout(reader);
    for (size_t i = 0; i < G_N_ELEMENTS(layouts); i++)
        if (g_str_equal(text, layouts[i].name) && layouts[i].task == reader->info->task) {
            reader->layout = &layouts[i];
            break;
        }
    if (!reader->layout)
        return modelkeys_refuse_value(&reader->keys, MODELKEY_LAYOUT, text,
                                      reader->info->task == MODELINFO_CLASSIFY_WINDOW
                                          ? "should be NTCHW or NTHWC for classify-window"
                                          : "should be NCHW or NHWC for classify-frame");
    int64_t channels = reader->shape.dim[reader->layout->channel];
    if (!is_channel_count(channels))
        return modelkeys_refuse(&reader->keys, -ENOTSUP,
                                "vigil.layout %s: the channel axis holds %d values, not 1 or 3",
                                text, (int)CLAMP(channels, -1, G_MAXINT));
    return 0;
}

/* An extent is fixed by the model, or left open and then `given` by a key (0: it is not). */
static int settle(struct reader *reader, const char *axis, const char *key, int64_t fixed,
                  int given, int max, int *ret_extent)
{
    int64_t extent = fixed == NN_DIM_DYNAMIC ? given : fixed;
    if (extent == 0)
        return modelkeys_refuse(&reader->keys, -EINVAL, "the model leaves its %s open: set %s",
                                axis, key);
    if (extent < 1 || extent > max)
        return modelkeys_refuse(&reader->keys, -ENOTSUP, "a %s of %d is not in 1 to %d", axis,
                                (int)CLAMP(extent, -1, G_MAXINT), max);
    if (given && given != extent)
        return modelkeys_refuse(&reader->keys, -EINVAL, "%s %d: the model's %s is %d", key,
                                given, axis, (int)extent);
    *ret_extent = (int)extent;
    return 0;
}

static int read_extents(struct reader *reader)
{
    struct modelinfo *info = reader->info;
    const struct layout *layout = reader->layout;
    const int64_t *dim = reader->shape.dim;
    int width = 0, height = 0, r;
    double window = 0;
    if ((r = modelkeys_size(&reader->keys, MODELKEY_SIZE, MODELINFO_SIDE_MAX, &width,
                            &height)) < 0 ||
        (r = modelkeys_number(&reader->keys, MODELKEY_WINDOW, 1, MODELINFO_WINDOW_MAX, true,
                              &window)) < 0)
        return r;
    info->time_axis = info->task == MODELINFO_CLASSIFY_WINDOW ? 1 : -1;
    if ((r = settle(reader, "window", "vigil.window", info->time_axis < 0 ? 1 : dim[1],
                    (int)window, MODELINFO_WINDOW_MAX, &info->window)) < 0 ||
        (r = settle(reader, "width", "vigil.size", dim[layout->width], width,
                    MODELINFO_SIDE_MAX, &info->width)) < 0 ||
        (r = settle(reader, "height", "vigil.size", dim[layout->height], height,
                    MODELINFO_SIDE_MAX, &info->height)) < 0)
        return r;
    if (dim[0] != NN_DIM_DYNAMIC && dim[0] != 1)
        return modelkeys_refuse(&reader->keys, -ENOTSUP,
                                "the model's batch is fixed to %d; 1 is supported",
                                (int)CLAMP(dim[0], 0, G_MAXINT));
    info->channels = (int)dim[layout->channel];
    info->interleaved = layout->channel == layout->rank - 1;
    info->input.rank = layout->rank;
    info->input.dim[0] = 1;
    if (info->time_axis >= 0)
        info->input.dim[info->time_axis] = info->window;
    info->input.dim[layout->channel] = info->channels;
    info->input.dim[layout->height] = info->height;
    info->input.dim[layout->width] = info->width;
    return 0;
}

static int read_pixels(struct reader *reader)
{
    struct modelinfo *info = reader->info;
    struct modelkeys *keys = &reader->keys;
    int pixels = info->channels == 1 ? MODELINFO_GRAY : MODELINFO_RGB;
    int resize = MODELINFO_STRETCH, r;
    for (int c = 0; c < info->channels; c++)
        info->scale[c] = 1.0f / 255;
    if ((r = modelkeys_choice(keys, MODELKEY_PIXELS, pixels_names, &pixels)) < 0 ||
        (r = modelkeys_choice(keys, MODELKEY_RESIZE, resize_names, &resize)) < 0 ||
        (r = modelkeys_numbers(keys, MODELKEY_MEAN, info->channels, 0, 255, info->mean)) < 0 ||
        (r = modelkeys_numbers(keys, MODELKEY_SCALE, info->channels, -1000, 1000,
                               info->scale)) < 0)
        return r;
    if ((pixels == MODELINFO_GRAY) != (info->channels == 1))
        return modelkeys_refuse(keys, -EINVAL, "vigil.pixels \"%s\": the model has %d channels",
                                pixels_names[pixels], info->channels);
    info->pixels = pixels;
    info->resize = resize;
    if (!modelkeys_text(keys, MODELKEY_PIXELS))
        modelkeys_assume(keys, MODELKEY_PIXELS, "%s", pixels_names[pixels]);
    if (!modelkeys_text(keys, MODELKEY_MEAN))
        modelkeys_assume(keys, MODELKEY_MEAN, "0");
    if (!modelkeys_text(keys, MODELKEY_SCALE))
        modelkeys_assume(keys, MODELKEY_SCALE, "1/255");
    if (!modelkeys_text(keys, MODELKEY_RESIZE))
        modelkeys_assume(keys, MODELKEY_RESIZE, "%s", resize_names[resize]);
    return 0;
}

static int read_pace(struct reader *reader)
{
    struct modelinfo *info = reader->info;
    struct modelkeys *keys = &reader->keys;
    double stride = MAX(1, info->window / 2), threads = 1;
    int head = MODELINFO_SCORES, precision = NN_PRECISION_FP32, r;
    if ((r = modelkeys_number(keys, MODELKEY_FPS, 0, 240, false, &info->fps)) < 0 ||
        (r = modelkeys_number(keys, MODELKEY_STRIDE, 1, MODELINFO_WINDOW_MAX, true, &stride)) <
            0 ||
        (r = modelkeys_choice(keys, MODELKEY_PRECISION, nn_precision_names, &precision)) < 0 ||
        (r = modelkeys_number(keys, MODELKEY_THREADS, 1, NN_PLAN_THREADS_MAX, true, &threads)) <
            0 ||
        (r = modelkeys_choice(keys, MODELKEY_HEAD, head_names, &head)) < 0)
        return r;
    info->stride = (int)stride;
    info->precision = precision;
    info->threads = (int)threads;
    info->head = head;
    if (!modelkeys_text(keys, MODELKEY_FPS))
        modelkeys_assume(keys, MODELKEY_FPS, "every frame");
    if (!modelkeys_text(keys, MODELKEY_STRIDE))
        modelkeys_assume(keys, MODELKEY_STRIDE, "%d", info->stride);
    if (!modelkeys_text(keys, MODELKEY_HEAD))
        modelkeys_assume(keys, MODELKEY_HEAD, "%s", head_names[head]);
    return 0;
}

static int find_label(const struct modelinfo *info, const char *name)
{
    for (int i = 0; i < info->label_count; i++)
        if (g_str_equal(info->labels[i].name, name))
            return i;
    return -ENOENT;
}

static bool is_label(const char *text)
{
    if (!*text || strlen(text) >= RECORD_LABEL_SIZE || !g_utf8_validate(text, -1, NULL))
        return false;
    for (; *text; text = g_utf8_next_char(text))
        if (g_unichar_iscntrl(g_utf8_get_char(text)))
            return false;
    return true;
}

static int name_labels(struct reader *reader, const char *text)
{
    struct modelinfo *info = reader->info;
    g_auto(GStrv) names = g_strsplit(text, ",", MODELINFO_LABELS_MAX + 1);
    guint count = g_strv_length(names);
    if (count > MODELINFO_LABELS_MAX)
        return modelkeys_refuse_value(&reader->keys, MODELKEY_LABELS, text,
                                      "more than 256 labels");
    info->labels = g_new0(struct modelinfo_label, MAX(count, 1));
    for (guint i = 0; i < count; i++) {
        const char *name = g_strstrip(names[i]);
        if (!is_label(name))
            return modelkeys_refuse_value(&reader->keys, MODELKEY_LABELS, name,
                                          "a label is 1 to 64 bytes of printable UTF-8");
        if (find_label(info, name) >= 0)
            return modelkeys_refuse_value(&reader->keys, MODELKEY_LABELS, name,
                                          "a label stands there twice");
        g_strlcpy(info->labels[i].name, name, RECORD_LABEL_SIZE);
        info->label_count++;
    }
    return 0;
}

/* More numbers than there may be labels: too many classes, or what no threshold is for. */
static int refuse_output(const struct modelkeys *keys, const struct nn_model *model,
                         const struct nn_shape *shape)
{
    int long_axes = 0, count = (int)CLAMP(nn_shape_count(shape), 0, G_MAXINT);
    for (int d = 0; d < shape->rank; d++)
        long_axes += shape->dim[d] != 1;
    if (long_axes == 1 && nn_model_output_count(model) == 1)
        return modelkeys_refuse(keys, -ENOTSUP,
                                "the model gives %d scores; at most 256 are supported: export "
                                "it with those that are wanted",
                                count);
    return modelkeys_refuse(
        keys, -ENOTSUP,
        "the model's %d numbers are no score for each label: boxes and maps "
        "are not read from streams yet (vigil bench, model verify and model "
        "quantize run it)",
        count);
}

static int read_labels(struct reader *reader)
{
    struct modelinfo *info = reader->info;
    const char *text = modelkeys_text(&reader->keys, MODELKEY_LABELS);
    if (text)
        return *text ? name_labels(reader, text)
                     : modelkeys_refuse_value(&reader->keys, MODELKEY_LABELS, text,
                                              "should name at least one label");
    /* One window, so what follows the batch is labels: [1, L], [1, L, 1, 1], or [L] alone. */
    struct nn_shape shape = reader->output->shape;
    if (shape.rank > 1)
        shape.dim[0] = 1;
    int64_t count = shape.rank > 0 ? nn_shape_count(&shape) : -1;
    if (count < 1)
        return modelkeys_refuse(&reader->keys, -EINVAL,
                                "the model's output does not say how many labels there are: "
                                "set vigil.labels");
    if (count > MODELINFO_LABELS_MAX)
        return refuse_output(&reader->keys, reader->keys.model, &shape);
    info->labels = g_new0(struct modelinfo_label, count);
    info->label_count = (int)count;
    for (int i = 0; i < info->label_count; i++)
        g_snprintf(info->labels[i].name, RECORD_LABEL_SIZE, "class_%d", i);
    modelkeys_assume(&reader->keys, MODELKEY_LABELS, "class_0 to class_%d",
                     info->label_count - 1);
    return 0;
}

/* Sets one value of a label; false when the text is not good for it. */
typedef bool (*label_setter)(struct modelinfo_label *label, const char *text);

/* One part of a value by label: "TEXT" is for all labels, "LABEL:TEXT" for one. */
static int set_part(struct reader *reader, enum modelkey key, char *part, label_setter set,
                    const char *wanted)
{
    struct modelinfo *info = reader->info;
    char *colon = strrchr(part, ':'); /* the last one: a label may hold others */
    if (!colon) {
        for (int i = 0; i < info->label_count; i++)
            if (!set(&info->labels[i], part))
                return modelkeys_refuse_value(&reader->keys, key, part, wanted);
        return 0;
    }
    *colon = 0;
    int label = find_label(info, g_strstrip(part));
    if (label < 0)
        return modelkeys_refuse_value(&reader->keys, key, part, "is no label of this model");
    if (!set(&info->labels[label], g_strstrip(colon + 1)))
        return modelkeys_refuse_value(&reader->keys, key, colon + 1, wanted);
    return 0;
}

/* Parts for all labels first, wherever they stand: order means nothing in such a list. */
static int read_by_label(struct reader *reader, enum modelkey key, label_setter set,
                         const char *wanted)
{
    const char *text = modelkeys_text(&reader->keys, key);
    if (!text)
        return 0;
    g_auto(GStrv) parts = g_strsplit(text, ",", MODELINFO_LABELS_MAX + 2);
    for (int named = 0; named < 2; named++)
        for (int i = 0; parts[i]; i++) {
            if ((strchr(parts[i], ':') != NULL) != named)
                continue;
            char *part = g_strstrip(parts[i]);
            int r = set_part(reader, key, part, set, wanted);
            if (r < 0)
                return r;
        }
    return 0;
}

static bool parse_share(const char *text, double *share)
{
    return modelkeys_parse_number(text, share) && *share > 0 && *share <= 1;
}

static bool set_enter(struct modelinfo_label *label, const char *text)
{
    if (!parse_share(text, &label->enter))
        return false;
    label->exit = label->enter * 2 / 3;
    return true;
}

static bool set_exit(struct modelinfo_label *label, const char *text)
{
    return parse_share(text, &label->exit);
}

static bool parse_ms(const char *text, int64_t *ns)
{
    double ms;
    if (!modelkeys_parse_number(text, &ms) || ms < 0 || ms > 3600000)
        return false;
    *ns = (int64_t)(ms * 1e6);
    return true;
}

static bool set_min_duration(struct modelinfo_label *label, const char *text)
{
    return parse_ms(text, &label->min_duration_ns);
}

static bool set_cooldown(struct modelinfo_label *label, const char *text)
{
    return parse_ms(text, &label->cooldown_ns);
}

static bool set_kind(struct modelinfo_label *label, const char *text)
{
    int kind = record_kind_from_name(text);
    if (kind >= 0)
        label->kind = kind;
    return kind >= 0;
}

static int read_background(struct reader *reader)
{
    struct modelinfo *info = reader->info;
    const char *text = modelkeys_text(&reader->keys, MODELKEY_BACKGROUND);
    if (!text) {
        int quiet = find_label(info, "quiet");
        if (quiet >= 0)
            info->labels[quiet].background = true;
        return 0;
    }
    g_auto(GStrv) names = g_strsplit(text, ",", MODELINFO_LABELS_MAX + 1);
    for (int i = 0; names[i]; i++) {
        const char *name = g_strstrip(names[i]);
        int label = find_label(info, name);
        if (label < 0)
            return modelkeys_refuse_value(&reader->keys, MODELKEY_BACKGROUND, name,
                                          "is no label of this model");
        info->labels[label].background = true;
    }
    return 0; /* an empty value: every label makes events */
}

static int read_rules(struct reader *reader)
{
    static const char *const faults[] = {"covered", "moved", "defocused", "frozen", NULL};
    static const struct {
        enum modelkey key;
        label_setter set;
        const char *wanted;
        const char *assumed;
    } rules[] = {
        {MODELKEY_ENTER, set_enter, "should be above 0, at most 1", "0.6"},
        {MODELKEY_EXIT, set_exit, "should be above 0, at most 1", "two thirds of enter"},
        {MODELKEY_MIN_DURATION, set_min_duration, "should be 0 to 3600000", "0"},
        {MODELKEY_COOLDOWN, set_cooldown, "should be 0 to 3600000", "1000"},
        {MODELKEY_KIND, set_kind, "should be activity, object, motion, anomaly, sound, stream",
         NULL},
    };
    struct modelinfo *info = reader->info;
    struct modelkeys *keys = &reader->keys;
    for (int i = 0; i < info->label_count; i++) {
        struct modelinfo_label *label = &info->labels[i];
        label->kind = g_strv_contains(faults, label->name) ? RECORD_STREAM : RECORD_ACTIVITY;
        set_enter(label, "0.6");
        set_cooldown(label, "1000");
    }
    for (size_t i = 0; i < G_N_ELEMENTS(rules); i++) {
        int r = read_by_label(reader, rules[i].key, rules[i].set, rules[i].wanted);
        if (r < 0)
            return r;
        if (rules[i].assumed && !modelkeys_text(keys, rules[i].key))
            modelkeys_assume(keys, rules[i].key, "%s", rules[i].assumed);
    }
    for (int i = 0; i < info->label_count; i++) {
        struct modelinfo_label *label = &info->labels[i];
        char shown[MODELKEYS_SHOWN_SIZE];
        if (label->exit <= label->enter)
            continue;
        /* Who lowers enter alone should not have to know the model's exit. */
        if (modelkeys_is_overridden(keys, MODELKEY_ENTER) &&
            !modelkeys_is_overridden(keys, MODELKEY_EXIT))
            label->exit = label->enter * 2 / 3;
        else
            return modelkeys_refuse(
                keys, -EINVAL, "vigil.exit %g is above vigil.enter %g (label %s)", label->exit,
                label->enter, modelkeys_show(label->name, shown));
    }
    return read_background(reader);
}

static int create(const struct nn_model *model, const struct nn_shape *shape,
                  GHashTable *overrides, bool input_only, struct modelinfo **ret_info,
                  struct nn_error *err)
{
    static int (*const of_input[])(struct reader *) = {
        check_signature, read_task, read_layout, read_extents, read_pixels, read_pace,
    };
    static int (*const of_output[])(struct reader *) = {read_labels, read_rules};
    g_autoptr(GPtrArray) assumed = g_ptr_array_new_with_free_func(g_free);
    struct reader reader = {
        .keys = {.model = model, .overrides = overrides, .assumed = assumed, .err = err},
        .info = g_new0(struct modelinfo, 1),
        .given = shape,
        .input_only = input_only,
    };
    int r = modelkeys_check(&reader.keys);
    for (size_t i = 0; r == 0 && i < G_N_ELEMENTS(of_input); i++)
        r = of_input[i](&reader);
    for (size_t i = 0; r == 0 && !input_only && i < G_N_ELEMENTS(of_output); i++)
        r = of_output[i](&reader);
    if (r < 0) {
        modelinfo_destroy(reader.info);
        return r;
    }
    g_ptr_array_add(assumed, NULL);
    reader.info->assumed = (GStrv)g_ptr_array_steal(assumed, NULL);
    *ret_info = reader.info;
    return 0;
}

int modelinfo_create(const struct nn_model *model, GHashTable *overrides,
                     struct modelinfo **ret_info, struct nn_error *err)
{
    return create(model, NULL, overrides, false, ret_info, err);
}

int modelinfo_create_input(const struct nn_model *model, const struct nn_shape *shape,
                           GHashTable *overrides, struct modelinfo **ret_info,
                           struct nn_error *err)
{
    return create(model, shape, overrides, true, ret_info, err);
}

void modelinfo_destroy(struct modelinfo *info)
{
    if (!info)
        return;
    g_free(info->labels);
    g_strfreev(info->assumed);
    g_free(info);
}

int modelinfo_plan(const struct modelinfo *info, struct nn_model *model,
                   enum nn_kernel_choice kernels, struct nn_plan **ret_plan,
                   struct nn_error *err)
{
    struct nn_plan_options options = {.input_shapes = &info->input,
                                      .kernels = kernels,
                                      .precision = info->precision,
                                      .threads = info->threads,
                                      .time_axis = info->time_axis};
    struct modelkeys keys = {.err = err};
    struct nn_plan *plan;
    int r = nn_plan_create(model, &options, &plan, err);
    if (r < 0)
        return r;
    const struct nn_value_info *output = nn_plan_output(plan, 0);
    int64_t count = nn_shape_count(&output->shape);
    if (output->type != NN_TYPE_FLOAT)
        r = modelkeys_refuse(&keys, -ENOTSUP, "the model's output is %s: float32 is supported",
                             nn_type_name(output->type));
    else if (count > MODELINFO_LABELS_MAX)
        r = refuse_output(&keys, model, &output->shape);
    else if (count != info->label_count)
        r = modelkeys_refuse(&keys, -EINVAL,
                             "vigil.labels: %d labels, but the model gives %d scores at a time",
                             info->label_count, (int)CLAMP(count, 0, G_MAXINT));
    if (r < 0) {
        nn_plan_unref(plan);
        return r;
    }
    *ret_plan = plan;
    return 0;
}

void modelinfo_scores(const struct modelinfo *info, const struct nn_tensor *output,
                      float *ret_scores)
{
    const float *values = output->data;
    int count = info->label_count;
    switch (info->head) {
    case MODELINFO_SCORES:
        memcpy(ret_scores, values, (size_t)count * sizeof *values);
        return;
    case MODELINFO_SIGMOID:
        for (int i = 0; i < count; i++)
            ret_scores[i] = 1 / (1 + expf(-values[i]));
        return;
    case MODELINFO_SOFTMAX: {
        float top = values[0], sum = 0;
        for (int i = 1; i < count; i++)
            top = fmaxf(top, values[i]);
        for (int i = 0; i < count; i++)
            sum += ret_scores[i] = expf(values[i] - top);
        for (int i = 0; i < count; i++)
            ret_scores[i] /= sum;
        return;
    }
    }
}

const char *modelinfo_task_name(enum modelinfo_task task)
{
    return task_names[task];
}

const char *modelinfo_pixels_name(enum modelinfo_pixels pixels)
{
    return pixels_names[pixels];
}

const char *modelinfo_resize_name(enum modelinfo_resize resize)
{
    return resize_names[resize];
}

const char *modelinfo_head_name(enum modelinfo_head head)
{
    return head_names[head];
}

const char *modelinfo_layout_name(const struct modelinfo *info)
{
    static const char *const names[2][2] = {{"NCHW", "NHWC"}, {"NTCHW", "NTHWC"}};
    return names[info->task == MODELINFO_CLASSIFY_WINDOW][info->interleaved];
}
