#include "cli/clips.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/clipcache.h"
#include "cli/clipreader.h"
#include "cli/recordings.h"

struct reading {
    struct clips *clips;
    GPtrArray *list; /* of struct recording */
    struct clipreader reader;
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
        .no_times = r->reader.info->fps > 0
                        ? NULL
                        : "the recipe, or the model, must say the clips' fps"};
    int result = recordings_list(paths, &kind, &r->list);
    return result == CLI_OK ? recordings_name_classes(r->list, &r->classes) : result;
}

/* --- windows ------------------------------------------------------------------------------- */

/* All frames of a clip as bytes; NULL with a line said. */
static GBytes *decode(struct reading *r, const struct recording *clip)
{
    gsize size;
    g_autoptr(GBytes) frames = clipreader_read(&r->reader, clip->path);
    if (!frames)
        return NULL;
    const float *values = g_bytes_get_data(frames, &size);
    size_t count = size / sizeof *values;
    guint8 *bytes = g_malloc(count);
    for (size_t i = 0; i < count; i++)
        bytes[i] = (guint8)lrintf(CLAMP(values[i], 0, 255));
    return g_bytes_new_take(bytes, count);
}

static GBytes *find_frames(struct reading *r, const struct recording *clip)
{
    size_t frame = r->reader.frame, window = frame * (size_t)r->reader.window;
    g_autofree char *key = clipcache_key(clip->path, r->reader.how);
    g_autoptr(GBytes) bytes = key ? clipcache_get(key, frame) : NULL;
    if (!bytes) {
        bytes = decode(r, clip);
        if (bytes && key)
            clipcache_put(key, frame, g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes));
    }
    if (bytes && g_bytes_get_size(bytes) < window) {
        cli_fail(CLI_NO_INPUT, "%s: it is shorter than one window of %d frames", clip->path,
                 r->reader.window);
        return NULL;
    }
    return g_steal_pointer(&bytes);
}

/* Windows that lie within the clip's times, if it has any. */
static int take_windows(struct reading *r, const struct recording *clip, GBytes *bytes)
{
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    size_t frame = r->reader.frame, window = frame * (size_t)r->reader.window;
    double fps = r->reader.info->fps;
    int label = train_names_find(&r->classes, clip->label, strlen(clip->label));
    int group = train_names_add(&r->sources, clip->source, strlen(clip->source));
    if (group < 0)
        return cli_fail(CLI_CONFIG,
                        "%s: its source '%.80s' is one too many, or too long a name",
                        clip->path, clip->source);
    for (gsize at = 0; (at * frame) + window <= size; at += (gsize)r->reader.info->stride) {
        double start = (double)at / fps, end = start + r->reader.window / fps;
        if (clip->timed && (start < clip->start || end > clip->end + 0.5 / fps))
            continue;
        if (r->bytes->len + window > CLIPS_BYTES_MAX)
            return cli_fail(CLI_NO_INPUT,
                            "over %zu MiB of windows: take a larger stride, fewer frames a "
                            "second or smaller pictures",
                            CLIPS_BYTES_MAX >> 20);
        g_byte_array_append(r->bytes, data + at * frame, (guint)window);
        g_array_append_val(r->labels, label);
        g_array_append_val(r->groups, group);
    }
    return CLI_OK;
}

static int read_clips(struct reading *r)
{
    int result = CLI_OK;
    for (guint i = 0; i < r->list->len && result == CLI_OK; i++) {
        g_autoptr(GBytes) bytes = find_frames(r, r->list->pdata[i]);
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
    struct train_memory memory = {.type = NN_TYPE_UINT8,
                                  .count = (int)r->labels->len,
                                  .stride = r->reader.frame * (size_t)r->reader.window};
    struct nn_error err;
    const struct nn_shape *input = &r->reader.info->input;
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
                        .reader = {.onnx = clips->onnx,
                                   .size = clips->size,
                                   .overrides = clips->overrides,
                                   .fps = clips->fps,
                                   .stride = clips->stride,
                                   .resize = clips->resize},
                        .bytes = g_byte_array_new(),
                        .labels = g_array_new(FALSE, FALSE, sizeof(int)),
                        .groups = g_array_new(FALSE, FALSE, sizeof(int))};
    int result = clipreader_open(&r.reader);
    if (result == CLI_OK)
        result = list_clips(&r, paths);
    clips->used = clips->skipped = 0;
    if (result == CLI_OK)
        result = read_clips(&r);
    if (result == CLI_OK)
        result = make_dataset(&r, ret_data);
    clipreader_close(&r.reader);
    g_clear_pointer(&r.bytes, g_byte_array_unref);
    g_array_unref(r.labels);
    g_array_unref(r.groups);
    g_clear_pointer(&r.list, g_ptr_array_unref);
    train_names_finish(&r.classes);
    train_names_finish(&r.sources);
    return result;
}
