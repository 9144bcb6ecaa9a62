#include "cli/trainingdata.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/clips.h"
#include "cli/scenedata.h"
#include "cli/sounds.h"
#include "nn/train/split.h"

static char *find_file(const struct recipe *recipe, const char *folder, const char *name)
{
    g_autofree char *beside = g_path_get_dirname(recipe->path);
    g_autofree char *within = g_canonicalize_filename(folder ? folder : beside, NULL);
    return name ? g_canonicalize_filename(name, within) : NULL;
}

static int open_files(const struct recipe *recipe, const char *folder,
                      struct train_dataset **ret_data)
{
    size_t count = g_strv_length(recipe->samples), opened = 0;
    g_autofree struct train_dataset **parts = g_new0(struct train_dataset *, count);
    g_autofree char *labels = find_file(recipe, folder, recipe->labels);
    g_autofree char *classes = find_file(recipe, folder, recipe->classes);
    struct nn_error err = {{0}};
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        g_autofree char *samples = find_file(recipe, folder, recipe->samples[i]);
        const struct train_files files = {.samples = samples,
                                          .labels = labels,
                                          .classes = classes,
                                          .numbers = recipe->numbers};
        r = train_dataset_open(recipe->format, &files, &parts[i], &err);
        opened += r == 0;
    }
    if (r == 0)
        r = train_dataset_join(parts, (int)count, ret_data, &err);
    else
        for (size_t i = 0; i < opened; i++)
            train_dataset_destroy(parts[i]);
    return r < 0 ? cli_fail(r == -EINVAL ? CLI_CONFIG : CLI_NO_INPUT, "%s", err.text) : CLI_OK;
}

/* Of its samples, NULL at the end. */
static GPtrArray *find_files(const struct recipe *recipe, const char *folder)
{
    GPtrArray *paths = g_ptr_array_new_with_free_func(g_free);
    for (char **name = recipe->samples; *name; name++)
        g_ptr_array_add(paths, find_file(recipe, folder, *name));
    g_ptr_array_add(paths, NULL);
    return paths;
}

/* Folders and tables of clips, which are decoded as the network wants them. */
static int open_clips(const struct recipe *recipe, const char *folder, struct clips *clips,
                      struct train_dataset **ret_data)
{
    g_autoptr(GPtrArray) paths = find_files(recipe, folder);
    int result = clips_open(clips, (char *const *)paths->pdata, ret_data);
    if (result == CLI_OK)
        fprintf(stderr, "%d windows of %d clips, %d classes, %d sources; %d clips left out%s\n",
                (*ret_data)->count, clips->used, (*ret_data)->classes.count,
                (*ret_data)->group_count, clips->skipped,
                clips->skipped > 0 ? ", which are named above" : "");
    return result;
}

/* Scenes, rendered as the network wants them. */
static int open_scenes(const struct recipe *recipe, const struct clips *as,
                       struct train_dataset **ret_data)
{
    struct scenedata scenes = {.reader = {.onnx = as->onnx,
                                          .size = as->size,
                                          .overrides = as->overrides,
                                          .fps = as->fps,
                                          .stride = as->stride,
                                          .resize = as->resize}};
    for (int part = 0; part < TRAIN_PARTS; part++)
        scenes.seeds[part] =
            (struct scenedata_seeds){recipe->seeds[part].first, recipe->seeds[part].last};
    int result = scenedata_open(&scenes, ret_data);
    if (result == CLI_OK)
        fprintf(stderr, "%d windows of %d rendered minutes\n", (*ret_data)->count,
                (*ret_data)->group_count);
    return result;
}

/* Samples that repeat an earlier one tell nothing new, and one of them may judge what another has
 * taught. */
static int drop_duplicates(struct train_dataset *data)
{
    const int before = data->count;
    g_autofree int *first = g_new(int, before);
    g_autofree bool *marked = g_new(bool, before);
    struct nn_error err = {{0}};
    int differ = 0, repeated = train_dataset_duplicates(data, first, &err);
    if (repeated < 0)
        return cli_fail(CLI_NO_INPUT, "%s", err.text);
    for (int i = 0; i < before; i++) {
        marked[i] = first[i] != i;
        differ += data->labels[first[i]] != data->labels[i];
    }
    train_dataset_drop(data, marked);
    if (repeated > 0)
        fprintf(stderr, "%d of %d samples repeat an earlier one and are left out", repeated,
                before);
    if (differ > 0)
        fprintf(stderr, "; the class of %d of them is another", differ);
    if (repeated > 0)
        fputc('\n', stderr);
    return CLI_OK;
}

static int open_sounds(const struct recipe *recipe, const char *folder, struct sounds *sounds,
                       struct train_dataset **ret_data)
{
    g_autoptr(GPtrArray) paths = find_files(recipe, folder);
    if (sounds->rate == 0)
        return cli_fail(CLI_CONFIG,
                        "%s: [data] rate: is missing: samples a second of the sounds",
                        recipe->path);
    int result = sounds_open(sounds, (char *const *)paths->pdata, ret_data);
    if (result == CLI_OK)
        fprintf(stderr, "%d sounds, %d classes, %d sources; %d cut, %d left out%s\n",
                sounds->used, (*ret_data)->classes.count, (*ret_data)->group_count, sounds->cut,
                sounds->skipped, sounds->skipped > 0 ? ", which are named above" : "");
    return result;
}

/* What is kept back from learning. */
static int split(const struct recipe *recipe, struct train_dataset *data)
{
    const struct recipe_validation *v = &recipe->validation;
    struct nn_error err = {{0}};
    if (v->last >= data->count)
        return cli_fail(CLI_CONFIG,
                        "%s: [data] validation: the last %d of %d samples leave none to learn "
                        "from",
                        recipe->path, v->last, data->count);
    for (int i = 0; i < data->count && v->last > 0; i++)
        data->parts[i] = i < data->count - v->last ? TRAIN_PART_TRAIN : TRAIN_PART_VALIDATION;
    if (v->share > 0) {
        struct train_samples samples = train_samples_of(data);
        struct train_fractions shares = {1 - v->share, v->share, 0};
        if (train_split_parts(&samples, &shares, recipe->options.seed, data->parts, &err) < 0)
            return cli_fail(CLI_CONFIG, "%s: [data] validation: %s", recipe->path, err.text);
    }
    return CLI_OK;
}

bool trainingdata_is_decoded(const struct recipe *recipe)
{
    return strcmp(recipe->format, "clips") == 0 || strcmp(recipe->format, "scene") == 0;
}

int trainingdata_open(const struct recipe *recipe, const char *folder, const void *network,
                      size_t size, struct train_dataset **ret_data)
{
    return trainingdata_open_for(recipe, folder, network, size, NULL, ret_data);
}

int trainingdata_open_for(const struct recipe *recipe, const char *folder, const void *network,
                          size_t size, GHashTable *overrides, struct train_dataset **ret_data)
{
    struct train_dataset *data = NULL;
    struct clips clips = {.onnx = network,
                          .size = size,
                          .overrides = overrides,
                          .fps = recipe->fps,
                          .stride = recipe->stride,
                          .resize = recipe->resize,
                          .pattern = recipe->pattern};
    struct sounds sounds = {
        .onnx = network, .size = size, .rate = recipe->rate, .pattern = recipe->pattern};
    const char *format = recipe->format;
    int result = strcmp(format, "clips") == 0   ? open_clips(recipe, folder, &clips, &data)
                 : strcmp(format, "scene") == 0 ? open_scenes(recipe, &clips, &data)
                 : strcmp(format, "wav") == 0   ? open_sounds(recipe, folder, &sounds, &data)
                                                : open_files(recipe, folder, &data);
    if (result == CLI_OK && recipe->duplicates == RECIPE_DUPLICATES_DROP)
        result = drop_duplicates(data);
    if (result == CLI_OK)
        result = split(recipe, data);
    if (result == CLI_OK)
        *ret_data = data;
    else
        train_dataset_destroy(data);
    return result;
}

int *trainingdata_select(const struct train_dataset *data, unsigned parts, int *ret_count)
{
    int *samples = g_new(int, data->count), count = 0;
    for (int i = 0; i < data->count; i++)
        if (parts & 1u << data->parts[i])
            samples[count++] = i;
    *ret_count = count;
    return samples;
}

int trainingdata_digest(const struct train_dataset *data, char **ret_digest)
{
    size_t floats = (size_t)nn_shape_count(&data->shape);
    g_autofree float *values = g_new(float, floats);
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    struct nn_error err = {{0}};
    for (int i = 0; i < data->count; i++) {
        gint32 about[2] = {GINT32_TO_LE(data->labels[i]), GINT32_TO_LE(data->parts[i])};
        int r = train_dataset_read(data, i, values, &err);
        if (r < 0)
            return cli_fail(CLI_NO_INPUT, "%s", err.text);
        g_checksum_update(sum, (const guchar *)about, sizeof about);
        g_checksum_update(sum, (const guchar *)values, (gssize)(floats * sizeof *values));
    }
    *ret_digest = g_strdup(g_checksum_get_string(sum));
    return CLI_OK;
}
