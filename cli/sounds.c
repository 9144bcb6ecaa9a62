#include "cli/sounds.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/recordings.h"
#include "nn/model.h"
#include "nn/train/wav.h"

#define SUFFIX ".wav"

struct reading {
    struct sounds *sounds;
    GPtrArray *list; /* of struct recording */
    size_t length;   /* of a sample */
    /* What comes out. */
    float *values;
    GArray *labels, *groups; /* of int, for each sample */
    struct train_names classes, sources;
};

static bool is_sound(const char *path)
{
    const size_t length = strlen(path), suffix = strlen(SUFFIX);
    return length > suffix && g_ascii_strcasecmp(path + length - suffix, SUFFIX) == 0;
}

/* How long the network hears. */
static int find_length(struct reading *r)
{
    struct nn_model *model = NULL;
    struct nn_error err;
    if (nn_model_load(r->sounds->onnx, r->sounds->size, &model, &err) < 0)
        return cli_fail(CLI_CONFIG, "%s", err.text);
    const struct nn_shape input = nn_model_input(model, 0)->shape;
    nn_model_unref(model);
    if (input.rank != 3 || input.dim[1] < 1 || input.dim[2] != 1)
        return cli_fail(CLI_CONFIG, "[model] input: sounds are as many numbers as there are "
                                    "samples, as 8000x1");
    r->length = (size_t)input.dim[1];
    if (r->length > SOUNDS_BYTES_MAX / sizeof(float) / r->list->len)
        return cli_fail(CLI_NO_INPUT, "%u sounds of %zu samples are over %zu MiB", r->list->len,
                        r->length, SOUNDS_BYTES_MAX >> 20);
    return CLI_OK;
}

static int check_rate(const struct reading *r, const struct recording *sound,
                      const struct train_wav *wav)
{
    return wav->rate == r->sounds->rate
               ? CLI_OK
               : cli_fail(
                     CLI_CONFIG,
                     "%s has %d samples a second, the recipe says %d ([data] rate): sounds "
                     "are not resampled",
                     sound->path, wav->rate, r->sounds->rate);
}

/* The first numbers of what is meant of it. */
static int take(struct reading *r, const struct recording *sound, const struct train_wav *wav)
{
    const double rate = wav->rate, count = (double)wav->count;
    const size_t start = (size_t)MIN(sound->start * rate, count),
                 end = (size_t)MIN(sound->end * rate, count), length = end - start;
    const int label = train_names_find(&r->classes, sound->label, strlen(sound->label));
    const int group = train_names_add(&r->sources, sound->source, strlen(sound->source));
    if (group < 0)
        return cli_fail(CLI_CONFIG,
                        "%s: its source '%.80s' is one too many, or too long a name",
                        sound->path, sound->source);
    float *to = r->values + (size_t)r->sounds->used * r->length;
    memcpy(to, wav->frames + start, MIN(length, r->length) * sizeof *to);
    r->sounds->cut += length > r->length;
    r->sounds->used++;
    g_array_append_val(r->labels, label);
    g_array_append_val(r->groups, group);
    return CLI_OK;
}

static int read_sounds(struct reading *r)
{
    int result = CLI_OK;
    r->values = calloc(r->list->len * r->length, sizeof *r->values);
    if (!r->values)
        return cli_fail(CLI_INTERNAL, "no memory for %u sounds", r->list->len);
    for (guint i = 0; i < r->list->len && result == CLI_OK; i++) {
        const struct recording *sound = r->list->pdata[i];
        struct train_wav wav;
        struct nn_error err;
        if (train_wav_read(sound->path, &wav, &err) < 0) {
            cli_fail(CLI_NO_INPUT, "%s", err.text);
            r->sounds->skipped++;
            continue;
        }
        result = check_rate(r, sound, &wav);
        if (result == CLI_OK)
            result = take(r, sound, &wav);
        free(wav.frames);
    }
    if (result == CLI_OK && r->sounds->used == 0)
        return cli_fail(CLI_NO_INPUT, "no sound could be read");
    return result;
}

static int make_dataset(struct reading *r, struct train_dataset **ret_data)
{
    const struct train_memory memory = {.shape = {2, {(int64_t)r->length, 1}},
                                        .count = r->sounds->used,
                                        .type = NN_TYPE_FLOAT,
                                        .block = r->values,
                                        .stride = r->length * sizeof(float)};
    struct nn_error err;
    r->values = NULL;
    if (train_dataset_create(&memory, "sounds", ret_data, &err) < 0)
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

int sounds_open(struct sounds *sounds, char *const *paths, struct train_dataset **ret_data)
{
    struct reading r = {.sounds = sounds,
                        .labels = g_array_new(FALSE, FALSE, sizeof(int)),
                        .groups = g_array_new(FALSE, FALSE, sizeof(int))};
    const struct recordings_kind kind = {
        .word = "sound", .suffixes = SUFFIX, .is_one = is_sound, .pattern = sounds->pattern};
    sounds->used = sounds->cut = sounds->skipped = 0;
    int result = recordings_list(paths, &kind, &r.list);
    if (result == CLI_OK)
        result = recordings_name_classes(r.list, &r.classes);
    if (result == CLI_OK)
        result = find_length(&r);
    if (result == CLI_OK)
        result = read_sounds(&r);
    if (result == CLI_OK)
        result = make_dataset(&r, ret_data);
    free(r.values);
    g_array_unref(r.labels);
    g_array_unref(r.groups);
    g_clear_pointer(&r.list, g_ptr_array_unref);
    train_names_finish(&r.classes);
    train_names_finish(&r.sources);
    return result;
}
