#include "cli/scenedata.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/scenechange.h"
#include "cli/sceneclip.h"
#include "cli/scenelabel.h"

/* To teach, every so manieth window of a label is taken: there is a window for each frame, and of
 * quiet about twenty times as many as of a camera that is turned. */
static const int thinned[SCENE_LABELS] = {
    [SCENE_LABEL_QUIET] = 6,     [SCENE_LABEL_MOVEMENT] = 6, [SCENE_LABEL_LIGHTING] = 1,
    [SCENE_LABEL_WEATHER] = 2,   [SCENE_LABEL_COVERED] = 2,  [SCENE_LABEL_MOVED] = 1,
    [SCENE_LABEL_DEFOCUSED] = 1, [SCENE_LABEL_FROZEN] = 2,
};

/* A sample: a window of a clip, which may be changed. */
struct place {
    int clip, frame;
    bool taught;
};

struct scenes {
    struct train_dataset base;
    GArray *clips;                    /* of struct sceneclip */
    GArray *places;                   /* of struct place, for each sample */
    GArray *seeds;                    /* of uint64_t, for each clip */
    struct scenechange_window window; /* without memory */
};

/* What is gathered before the number of samples is known. */
struct gathering {
    const struct scenedata *what;
    struct clipreader reader;
    struct scenes *scenes;
    GArray *labels, *groups, *parts; /* of int, for each sample */
    float *values;                   /* of one sample */
    int opened, all;                 /* seeds */
};

static const struct sceneclip *clip_at(const struct scenes *s, int at)
{
    return &g_array_index(s->clips, struct sceneclip, (guint)at);
}

/* --- one sample ----------------------------------------------------------------------------- */

static void read_window(const struct scenes *s, const struct place *place, float *ret_values)
{
    const struct sceneclip *clip = clip_at(s, place->clip);
    for (int t = 0; t < s->window.frames; t++) {
        const uint16_t *from = sceneclip_frame(clip, place->frame + t);
        for (size_t i = 0; i < clip->pixels; i++)
            *ret_values++ = from[i] * (1 / 256.0f);
    }
}

/* Returns the label that the sample has then. */
static int change(const struct scenes *s, const struct place *place, int label, float *values)
{
    struct scenechange_window window = s->window;
    g_autofree float *mask = g_new(float, 2 * (size_t)window.height * (size_t)window.width);
    struct train_random random =
        train_random_fork(g_array_index(s->seeds, uint64_t, (guint)place->clip),
                          TRAIN_RANDOM_AUGMENT, 0, (uint64_t)place->frame);
    window.values = values;
    window.mask = mask;
    return place->taught ? scenechange_apply(&window, label, &random) : label;
}

/* As it was labelled before it was changed: what a thing was laid over was quiet. */
static int label_of(const struct scenes *s, const struct place *place)
{
    const struct sceneclip *clip = clip_at(s, place->clip);
    uint32_t bits[MODELINFO_WINDOW_MAX];
    bool still = true;
    for (int t = 0; t < s->window.frames; t++) {
        bits[t] = sceneclip_bits(clip, place->frame + t);
        still &= t == 0 || memcmp(sceneclip_frame(clip, place->frame + t),
                                  sceneclip_frame(clip, place->frame + t - 1),
                                  clip->pixels * sizeof(uint16_t)) == 0;
    }
    return scenelabel_window(bits, s->window.frames, still && s->window.frames > 1);
}

static int read_sample(const struct train_dataset *data, int origin, float *ret_values,
                       struct nn_error *err)
{
    const struct scenes *s = (const struct scenes *)data;
    const struct place *place = &g_array_index(s->places, struct place, (guint)origin);
    (void)err;
    read_window(s, place, ret_values);
    change(s, place, label_of(s, place), ret_values);
    return 0;
}

static void destroy(struct train_dataset *data)
{
    struct scenes *s = (struct scenes *)data;
    for (guint i = 0; i < s->clips->len; i++)
        sceneclip_close(&g_array_index(s->clips, struct sceneclip, i));
    g_array_unref(s->clips);
    g_array_unref(s->places);
    g_array_unref(s->seeds);
    free(s);
}

static const struct train_dataset_ops ops = {read_sample, destroy};

/* --- all of them ---------------------------------------------------------------------------- */

static void add_sample(struct gathering *g, const struct place *place, int label, int part)
{
    if (place->taught) {
        read_window(g->scenes, place, g->values);
        label = change(g->scenes, place, label, g->values);
    }
    g_array_append_val(g->scenes->places, *place);
    g_array_append_val(g->labels, label);
    g_array_append_val(g->groups, place->clip);
    g_array_append_val(g->parts, part);
}

/* The windows of the clip that was added last. */
static void add_windows(struct gathering *g, int part)
{
    const struct scenes *s = g->scenes;
    bool taught = part == TRAIN_PART_TRAIN;
    int window = s->window.frames, seen[SCENE_LABELS] = {0};
    int stride = g->reader.info->stride;
    struct place place = {.clip = (int)s->clips->len - 1, .taught = taught};
    int count = clip_at(s, place.clip)->count;
    for (; place.frame + window <= count; place.frame += taught ? 1 : stride) {
        int label = label_of(s, &place);
        if (label < 0 || (taught && seen[label]++ % thinned[label] != 0))
            continue;
        add_sample(g, &place, label, part);
    }
}

static int open_seed(struct gathering *g, uint64_t seed, int part)
{
    struct sceneclip clip;
    bool terminal = isatty(STDERR_FILENO);
    if (terminal)
        fprintf(stderr, "\rscene %d of %d\033[K", ++g->opened, g->all);
    int result = sceneclip_open(&g->reader, seed, &clip);
    if (terminal)
        fputs("\r\033[K", stderr);
    if (result != CLI_OK)
        return result;
    g_array_append_val(g->scenes->clips, clip);
    g_array_append_val(g->scenes->seeds, seed);
    add_windows(g, part);
    return CLI_OK;
}

static int open_seeds(struct gathering *g)
{
    const struct scenedata_seeds *seeds = g->what->seeds;
    int result = CLI_OK;
    for (int part = 0; part < TRAIN_PARTS; part++)
        g->all += seeds[part].last > 0 ? (int)(seeds[part].last - seeds[part].first + 1) : 0;
    for (int part = 0; part < TRAIN_PARTS; part++)
        for (uint64_t seed = seeds[part].first;
             result == CLI_OK && seeds[part].last > 0 && seed <= seeds[part].last; seed++)
            result = open_seed(g, seed, part);
    return result == CLI_OK && g->labels->len == 0
               ? cli_fail(CLI_CONFIG, "the seeds gave no window that has a label")
               : result;
}

/* A seed for one purpose. */
static int check_seeds(const struct scenedata_seeds *seeds)
{
    for (int a = 0; a < TRAIN_PARTS; a++)
        for (int b = a + 1; b < TRAIN_PARTS; b++)
            if (seeds[a].last > 0 && seeds[b].last > 0 && seeds[a].first <= seeds[b].last &&
                seeds[b].first <= seeds[a].last)
                return cli_fail(CLI_CONFIG,
                                "[data]: seeds of %s are among those of %s: what taught cannot "
                                "judge",
                                train_part_names[a], train_part_names[b]);
    return CLI_OK;
}

/* Labels, parts and names: every label there is, whether or not these seeds have it. */
static int describe(struct gathering *g)
{
    struct train_dataset *data = &g->scenes->base;
    struct nn_error err = {{0}};
    struct nn_shape shape = {.rank = g->reader.info->input.rank - 1};
    memcpy(shape.dim, g->reader.info->input.dim + 1, (size_t)shape.rank * sizeof *shape.dim);
    int r = train_dataset_init(data, &ops, &shape, (int)g->labels->len, "scenes", &err);
    if (r < 0)
        return cli_fail(CLI_INTERNAL, "%s", err.text);
    data->pictures = true;
    for (int i = 0; i < data->count; i++) {
        data->labels[i] = g_array_index(g->labels, int, (guint)i);
        data->groups[i] = g_array_index(g->groups, int, (guint)i);
        data->parts[i] = (enum train_part)g_array_index(g->parts, int, (guint)i);
    }
    data->group_count = (int)g->scenes->clips->len;
    bool named = true;
    for (int label = 0; label < SCENE_LABELS; label++) {
        const char *name = scene_label_name((enum scene_label)label);
        named &= train_names_add(&data->classes, name, strlen(name)) >= 0;
    }
    for (guint i = 0; i < g->scenes->seeds->len; i++) {
        g_autofree char *name = g_strdup_printf("scene %" G_GUINT64_FORMAT,
                                                g_array_index(g->scenes->seeds, uint64_t, i));
        named &= train_names_add(&data->sources, name, strlen(name)) >= 0;
    }
    return named ? CLI_OK : cli_fail(CLI_CONFIG, "[data]: these are too many seeds");
}

static int gather(struct gathering *g)
{
    int result = clipreader_open(&g->reader);
    if (result != CLI_OK)
        return result;
    const struct modelinfo *info = g->reader.info;
    struct scenes *s = g->scenes;
    s->window = (struct scenechange_window){.frames = info->window,
                                            .channels = info->channels,
                                            .height = info->height,
                                            .width = info->width};
    g->values = g_new(float, g->reader.frame *(size_t)info->window);
    result = open_seeds(g);
    return result == CLI_OK ? describe(g) : result;
}

int scenedata_open(const struct scenedata *what, struct train_dataset **ret_data)
{
    struct gathering g = {.what = what,
                          .reader = what->reader,
                          .labels = g_array_new(FALSE, FALSE, sizeof(int)),
                          .groups = g_array_new(FALSE, FALSE, sizeof(int)),
                          .parts = g_array_new(FALSE, FALSE, sizeof(int))};
    struct scenes *s = calloc(1, sizeof *s);
    if (!s)
        return cli_fail(CLI_INTERNAL, "no memory");
    *s = (struct scenes){.base.ops = &ops,
                         .clips = g_array_new(FALSE, FALSE, sizeof(struct sceneclip)),
                         .places = g_array_new(FALSE, FALSE, sizeof(struct place)),
                         .seeds = g_array_new(FALSE, FALSE, sizeof(uint64_t))};
    g.scenes = s;
    int result = check_seeds(what->seeds);
    if (result == CLI_OK)
        result = gather(&g);
    clipreader_close(&g.reader);
    g_array_unref(g.labels);
    g_array_unref(g.groups);
    g_array_unref(g.parts);
    g_free(g.values);
    if (result == CLI_OK)
        *ret_data = &s->base;
    else
        train_dataset_destroy(&s->base);
    return result;
}
