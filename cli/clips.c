#include "cli/clips.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "cli/cli.h"
#include "cli/clipcache.h"
#include "cli/recordings.h"
#include "cli/samples.h"

struct reading {
    struct clips *clips;
    GPtrArray *list; /* of struct recording */
    /* How clips are decoded: the network in a file of its own, and its keys. */
    char *model_path;
    struct nn_model *model;
    struct modelinfo *info;
    struct samples samples;
    char *how;
    size_t window; /* bytes */
    int frames;    /* of a window */
    /* What comes out. */
    GByteArray *bytes;
    GArray *labels, *groups; /* of int, for each window */
    struct train_names classes, sources;
};

/* --- which clips --------------------------------------------------------------------------- */

static int list_clips(struct reading *r, char *const *paths)
{
    const struct recordings_kind kind = {
        .word = "clip",
        .suffixes = SAMPLES_CLIPS,
        .is_one = samples_is_clip,
        .pattern = r->clips->pattern,
        .no_times =
            r->info->fps > 0 ? NULL : "the recipe, or the model, must say the clips' fps"};
    int result = recordings_list(paths, &kind, &r->list);
    return result == CLI_OK ? recordings_name_classes(r->list, &r->classes) : result;
}

/* --- how they are decoded ------------------------------------------------------------------ */

/* The worker is given a file. */
static int write_model(struct reading *r)
{
    g_autoptr(GError) error = NULL;
    int fd = g_file_open_tmp("vigil-network-XXXXXX", &r->model_path, &error);
    if (fd < 0)
        return cli_fail(CLI_INTERNAL, "%s", cli_reason(error));
    close(fd);
    return g_file_set_contents(r->model_path, r->clips->onnx, (gssize)r->clips->size, &error)
               ? CLI_OK
               : cli_fail(CLI_INTERNAL, "cannot write %s: %s", r->model_path,
                          cli_reason(error));
}

static void set(struct reading *r, const char *key, const char *value)
{
    modelkeys_overrides_add(r->samples.overrides, key, value);
}

/* What was set stays. */
static void set_others(struct reading *r, GHashTable *overrides)
{
    GHashTableIter iter;
    gpointer key, value;
    g_hash_table_iter_init(&iter, overrides);
    while (g_hash_table_iter_next(&iter, &key, &value))
        set(r, key, value);
}

/* Pixels as they are: what mean and scale make of them is the training's to do. */
static int settle_input(struct reading *r)
{
    const struct clips *clips = r->clips;
    const struct nn_shape *input = &nn_model_input(r->model, 0)->shape;
    bool window = input->rank == 5;
    struct nn_error err;
    if (input->rank != 4 && !window)
        return cli_fail(CLI_CONFIG, "the network's input: clips are windows of pictures, as "
                                    "16x64x64x3, or pictures, as 64x64x3");
    g_autofree char *fps = g_strdup_printf("%g", clips->fps);
    g_autofree char *stride = g_strdup_printf("%d", clips->stride);
    set(r, "mean", "0");
    set(r, "scale", "1");
    if (clips->fps > 0)
        set(r, "fps", fps);
    if (clips->resize)
        set(r, "resize", clips->resize);
    if (window && clips->stride > 0)
        set(r, "stride", stride);
    if (clips->overrides)
        set_others(r, clips->overrides);
    if (modelinfo_create_input(r->model, NULL, r->samples.overrides, &r->info, &err) < 0)
        return cli_fail(CLI_CONFIG, "[data]: %s", err.text);
    r->frames = r->info->window;
    r->window = (size_t)nn_shape_count(&r->info->input);
    r->how =
        g_strdup_printf("%dx%dx%dx%d fps=%g stride=%d resize=%s pixels=%s layout=%s", r->frames,
                        r->info->height, r->info->width, r->info->channels, r->info->fps,
                        r->info->stride, modelinfo_resize_name(r->info->resize),
                        modelinfo_pixels_name(r->info->pixels), modelinfo_layout_name(r->info));
    return CLI_OK;
}

static int prepare(struct reading *r)
{
    struct nn_error err;
    int result = write_model(r);
    if (result != CLI_OK)
        return result;
    if (nn_model_load(r->clips->onnx, r->clips->size, &r->model, &err) < 0)
        return cli_fail(CLI_CONFIG, "%s", err.text);
    samples_init(&r->samples);
    r->samples.overrides = modelkeys_overrides_new();
    result = settle_input(r);
    if (result != CLI_OK)
        return result;
    r->samples.model_path = r->model_path;
    r->samples.model = r->model;
    r->samples.shapes = &r->info->input;
    r->samples.info = r->info;
    r->samples.most = INT_MAX / 4;
    return CLI_OK;
}

/* --- windows ------------------------------------------------------------------------------- */

/* All windows of a clip as bytes; NULL with a line said. */
static GBytes *decode(struct reading *r, const struct recording *clip)
{
    samples_clear(&r->samples);
    if (samples_add(&r->samples, clip->path) != CLI_OK)
        return NULL;
    GByteArray *bytes = g_byte_array_new();
    g_autofree guint8 *window = g_malloc(r->window);
    for (guint i = 0; i < r->samples.items->len; i++) {
        GBytes **sample = r->samples.items->pdata[i];
        const float *values = g_bytes_get_data(sample[0], NULL);
        for (size_t j = 0; j < r->window; j++)
            window[j] = (guint8)lrintf(CLAMP(values[j], 0, 255));
        g_byte_array_append(bytes, window, (guint)r->window);
    }
    samples_clear(&r->samples);
    return g_byte_array_free_to_bytes(bytes);
}

static GBytes *find_windows(struct reading *r, const struct recording *clip)
{
    g_autofree char *key = clipcache_key(clip->path, r->how);
    GBytes *bytes = key ? clipcache_get(key, r->window) : NULL;
    if (bytes)
        return bytes;
    bytes = decode(r, clip);
    if (bytes && key)
        clipcache_put(key, r->window, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    return bytes;
}

/* Windows that lie within the clip's times, if it has any. */
static int take_windows(struct reading *r, const struct recording *clip, GBytes *bytes)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    double fps = r->info->fps;
    int label = train_names_find(&r->classes, clip->label, strlen(clip->label));
    int group = train_names_add(&r->sources, clip->source, strlen(clip->source));
    if (group < 0)
        return cli_fail(CLI_CONFIG,
                        "%s: its source '%.80s' is one too many, or too long a name",
                        clip->path, clip->source);
    for (gsize i = 0; i < size / r->window; i++) {
        double start = (double)i * r->info->stride / fps, end = start + r->frames / fps;
        if (clip->timed && (start < clip->start || end > clip->end + 0.5 / fps))
            continue;
        if (r->bytes->len + r->window > CLIPS_BYTES_MAX)
            return cli_fail(CLI_NO_INPUT,
                            "over %zu MiB of windows: take a larger stride, fewer frames a "
                            "second or smaller pictures",
                            CLIPS_BYTES_MAX >> 20);
        g_byte_array_append(r->bytes, data + i * r->window, (guint)r->window);
        g_array_append_val(r->labels, label);
        g_array_append_val(r->groups, group);
    }
    return CLI_OK;
}

static int read_clips(struct reading *r)
{
    int result = CLI_OK;
    for (guint i = 0; i < r->list->len && result == CLI_OK; i++) {
        g_autoptr(GBytes) bytes = find_windows(r, r->list->pdata[i]);
        r->clips->skipped += !bytes;
        r->clips->used += bytes != NULL;
        if (bytes)
            result = take_windows(r, r->list->pdata[i], bytes);
    }
    if (result == CLI_OK && r->labels->len == 0)
        return cli_fail(CLI_NO_INPUT, "no clip gave a window");
    return result;
}

static int make_dataset(struct reading *r, struct train_dataset **ret_data)
{
    struct train_memory memory = {
        .type = NN_TYPE_UINT8, .count = (int)r->labels->len, .stride = r->window};
    struct nn_error err;
    const struct nn_shape *input = &r->info->input;
    memory.shape.rank = input->rank - 1;
    for (int d = 1; d < input->rank; d++)
        memory.shape.dim[d - 1] = input->dim[d];
    memory.block = g_byte_array_free(g_steal_pointer(&r->bytes), FALSE);
    int e = train_dataset_create(&memory, "clips", ret_data, &err);
    if (e < 0)
        return cli_fail(CLI_INTERNAL, "%s", err.text);
    struct train_dataset *data = *ret_data;
    memcpy(data->labels, r->labels->data, (size_t)data->count * sizeof *data->labels);
    memcpy(data->groups, r->groups->data, (size_t)data->count * sizeof *data->groups);
    train_names_finish(&data->classes);
    train_names_finish(&data->sources);
    data->classes = r->classes;
    data->sources = r->sources;
    data->group_count = r->sources.count;
    r->classes = r->sources = (struct train_names){0};
    return CLI_OK;
}

int clips_open(struct clips *clips, char *const *paths, struct train_dataset **ret_data)
{
    struct reading r = {.clips = clips,
                        .bytes = g_byte_array_new(),
                        .labels = g_array_new(FALSE, FALSE, sizeof(int)),
                        .groups = g_array_new(FALSE, FALSE, sizeof(int))};
    int result = prepare(&r);
    if (result == CLI_OK)
        result = list_clips(&r, paths);
    clips->used = clips->skipped = 0;
    if (result == CLI_OK)
        result = read_clips(&r);
    if (result == CLI_OK)
        result = make_dataset(&r, ret_data);
    if (r.model_path)
        g_unlink(r.model_path);
    g_free(r.model_path);
    g_free(r.how);
    modelinfo_destroy(r.info);
    nn_model_unref(r.model);
    if (r.samples.overrides) {
        g_hash_table_unref(r.samples.overrides);
        samples_finish(&r.samples);
    }
    g_clear_pointer(&r.bytes, g_byte_array_unref);
    g_array_unref(r.labels);
    g_array_unref(r.groups);
    g_clear_pointer(&r.list, g_ptr_array_unref);
    train_names_finish(&r.classes);
    train_names_finish(&r.sources);
    return result;
}
