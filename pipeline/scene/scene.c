/* One frame: find the moment's chapter, say what each episode does at this time, paint world
 * and actors back to front, then light, lens and sensor in the order a camera has them. */
#include "pipeline/scene/scene.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/scene/sceneactor.h"
#include "pipeline/scene/sceneeffect.h"
#include "pipeline/scene/sceneplan.h"
#include "pipeline/scene/scenerandom.h"
#include "pipeline/scene/sceneworld.h"

/* A figure smaller than this part of the picture, or with less of it visible, is not there. */
#define VISIBLE_AREA_MIN 0.0004f
/* From here on more of the lens is covered than not worth speaking of. */
#define COVERED_MIN 0.35f

struct scene {
    struct scene_params params;
    struct scene_world world;
    struct scene_canvas canvas;
    struct scene_blur blur;
    struct scene_noise noise;
    struct scene_chapter chapter;
    bool has_chapter;
};

/* What the episodes make of one moment. */
struct moment {
    unsigned labels;
    bool insect;
    float gain, covered, blur; /* blur: radius as a part of the width */
    float rain, snow;
    int view_x, view_y; /* even */
    struct scene_point beam;
    bool has_beam;
    const struct scene_episode *wet, *cover, *bug;
};

static const char *const label_names[SCENE_LABELS] = {
    [SCENE_LABEL_QUIET] = "quiet",         [SCENE_LABEL_MOVEMENT] = "movement",
    [SCENE_LABEL_LIGHTING] = "lighting",   [SCENE_LABEL_WEATHER] = "weather",
    [SCENE_LABEL_COVERED] = "covered",     [SCENE_LABEL_MOVED] = "moved",
    [SCENE_LABEL_DEFOCUSED] = "defocused", [SCENE_LABEL_FROZEN] = "frozen",
};

const char *scene_label_name(enum scene_label label)
{
    return (unsigned)label < SCENE_LABELS ? label_names[label] : NULL;
}

int scene_create(const struct scene_params *params, struct scene **ret_scene)
{
    bool fits = params->width >= SCENE_SIZE_MIN && params->width <= SCENE_SIZE_MAX &&
                params->height >= SCENE_SIZE_MIN && params->height <= SCENE_SIZE_MAX &&
                params->fps_n > 0 && params->fps_d > 0 &&
                params->fps_n / params->fps_d <= 240 && params->noise >= 0.0 &&
                params->noise <= SCENE_NOISE_MAX && !(params->features & ~SCENE_FEATURES_ALL);
    if (!fits)
        return -EINVAL;
    struct scene *scene = calloc(1, sizeof *scene);
    if (!scene)
        return -ENOMEM;
    scene->params = *params;
    int error = scene_world_init(&scene->world, params->seed, params->indoors, params->width,
                                 params->height);
    if (!error)
        error = scene_canvas_init(&scene->canvas, params->width, params->height);
    if (!error)
        error = scene_blur_init(&scene->blur, &scene->canvas);
    if (!error)
        error = scene_noise_init(&scene->noise, params->noise);
    if (error) {
        scene_destroy(scene);
        return error;
    }
    *ret_scene = scene;
    return 0;
}

void scene_destroy(struct scene *scene)
{
    if (!scene)
        return;
    scene_noise_finish(&scene->noise);
    scene_blur_finish(&scene->blur);
    scene_canvas_finish(&scene->canvas);
    scene_world_finish(&scene->world);
    free(scene);
}

/* The chapter of frame `index` and the time in it. Whole seconds are taken off as integers:
 * after a year a float would no longer tell one frame from the next. */
static uint64_t chapter_of(const struct scene_params *params, uint64_t index, float *ret_time)
{
    uint64_t ticks = index * (uint64_t)params->fps_d, rate = (uint64_t)params->fps_n;
    uint64_t seconds = ticks / rate;
    float rest = (float)(ticks % rate) / (float)rate;
    *ret_time = (float)(seconds % SCENE_CHAPTER_SECONDS) + rest;
    return seconds / SCENE_CHAPTER_SECONDS;
}

static bool is_between(float time, float from, float to)
{
    return time >= from && time < to;
}

static void add_lighting(const struct scene_episode *episode, float time, struct moment *moment)
{
    struct scene_random random = {episode->look};
    bool darker = scene_random_below(&random, 3) > 0;
    if (episode->kind == SCENE_CLOUD) {
        float to = darker ? scene_random_range(&random, 0.5f, 0.75f)
                          : scene_random_range(&random, 1.2f, 1.4f);
        float lasts = scene_random_range(&random, 1.5f, 2.8f);
        float part = scene_ease(time, episode->start, episode->start + lasts) -
                     scene_ease(time, episode->end - lasts, episode->end);
        moment->gain *= 1.0f + (to - 1.0f) * part;
        if (time < episode->start + lasts || time >= episode->end - lasts)
            moment->labels |= 1u << SCENE_LABEL_LIGHTING;
    } else if (episode->kind == SCENE_SWITCH) {
        float to = darker ? scene_random_range(&random, 0.35f, 0.65f)
                          : scene_random_range(&random, 1.3f, 1.6f);
        float settles = 1.2f, back = episode->end - settles;
        float rest = 1.0f + (to - 1.0f) * 0.4f; /* what the exposure cannot make good */
        if (time < back)
            moment->gain *=
                to + (rest - to) * scene_ease(time, episode->start, episode->start + settles);
        else
            moment->gain *=
                1.0f + (rest / to - 1.0f) * (1.0f - scene_ease(time, back, episode->end));
        if (time < episode->start + settles || time >= back)
            moment->labels |= 1u << SCENE_LABEL_LIGHTING;
    } else {
        float side = scene_random_below(&random, 2) ? 1.0f : -1.0f;
        float part = (time - episode->start) / (episode->end - episode->start);
        moment->beam = (struct scene_point){0.5f + side * (part * 1.6f - 0.8f),
                                            scene_random_range(&random, 0.55f, 0.85f)};
        moment->has_beam = true;
        moment->labels |= 1u << SCENE_LABEL_LIGHTING;
    }
}

static void add_motion_of_camera(const struct scene *scene, const struct scene_episode *episode,
                                 float time, struct moment *moment)
{
    struct scene_random random = {episode->look};
    float side = scene_random_below(&random, 2) ? 1.0f : -1.0f;
    float x = 0.0f, y = 0.0f;
    bool moves;
    if (episode->kind == SCENE_TURN) {
        float lasts = scene_random_range(&random, 0.8f, 1.8f);
        float part = scene_ease(time, episode->start, episode->start + lasts) -
                     scene_ease(time, episode->end - lasts, episode->end);
        x = side * scene_random_range(&random, 0.5f, 1.0f) * (float)scene->world.margin_x *
            part;
        y = scene_random_range(&random, -0.8f, 0.8f) * (float)scene->world.margin_y * part;
        moves = time < episode->start + lasts || time >= episode->end - lasts;
    } else {
        float part = (time - episode->start) / (episode->end - episode->start);
        float swing = (1.0f - part) * (1.0f - part);
        float rate = scene_random_range(&random, 2.5f, 4.5f);
        float phase = rate * (time - episode->start);
        x = side * swing * 0.07f * (float)scene->params.width * scene_sine(phase);
        y = swing * 0.05f * (float)scene->params.height * scene_sine(phase * 1.3f);
        moves = swing > 0.15f;
    }
    moment->view_x = ((int)x / 2) * 2;
    moment->view_y = ((int)y / 2) * 2;
    if (moves)
        moment->labels |= 1u << SCENE_LABEL_MOVED;
}

static void add_lens(const struct scene_episode *episode, float time, struct moment *moment)
{
    struct scene_random random = {episode->look};
    float lasts = scene_random_range(&random, 0.4f, 1.0f);
    float part = scene_ease(time, episode->start, episode->start + lasts) -
                 scene_ease(time, episode->end - lasts, episode->end);
    if (episode->kind == SCENE_COVER) {
        moment->covered = part;
        moment->cover = episode;
        if (part > COVERED_MIN)
            moment->labels |= 1u << SCENE_LABEL_COVERED;
    } else {
        moment->blur = part * scene_random_range(&random, 0.02f, 0.045f);
        if (moment->blur > 0.012f)
            moment->labels |= 1u << SCENE_LABEL_DEFOCUSED;
    }
}

static struct moment moment_at(const struct scene *scene, float time)
{
    struct moment moment = {.gain = 1.0f};
    for (int i = 0; i < scene->chapter.episode_count; i++) {
        const struct scene_episode *episode = &scene->chapter.episodes[i];
        if (!is_between(time, episode->start, episode->end))
            continue;
        float fades = scene_ease(time, episode->start, episode->start + 1.0f) -
                      scene_ease(time, episode->end - 1.0f, episode->end);
        switch (episode->kind) {
        case SCENE_CLOUD:
        case SCENE_SWITCH:
        case SCENE_HEADLIGHTS:
            add_lighting(episode, time, &moment);
            break;
        case SCENE_RAIN:
        case SCENE_SNOW:
            *(episode->kind == SCENE_RAIN ? &moment.rain : &moment.snow) = fades;
            moment.wet = episode;
            if (fades > 0.15f)
                moment.labels |= 1u << SCENE_LABEL_WEATHER;
            break;
        case SCENE_INSECT:
            moment.insect = true;
            moment.bug = episode;
            break;
        case SCENE_TURN:
        case SCENE_KNOCK:
            add_motion_of_camera(scene, episode, time, &moment);
            break;
        case SCENE_COVER:
        case SCENE_DEFOCUS:
            add_lens(episode, time, &moment);
            break;
        default: /* people and vehicles paint themselves; a freeze is no other moment */
            break;
        }
    }
    return moment;
}

static float clipped(float value, float size)
{
    return scene_clamp(value, 0.0f, size) / size;
}

static void note_object(const struct scene *scene, const struct scene_actor *actor,
                        const struct scene_pose *pose, const struct scene_extent *extent,
                        struct scene_truth *truth)
{
    float width = (float)scene->params.width, height = (float)scene->params.height;
    float x0 = clipped(extent->x0, width), x1 = clipped(extent->x1, width);
    float y0 = clipped(extent->y0, height), y1 = clipped(extent->y1, height);
    if ((x1 - x0) * (y1 - y0) < VISIBLE_AREA_MIN || truth->object_count == SCENE_OBJECTS_MAX)
        return;
    truth->objects[truth->object_count++] = (struct scene_object){
        .id = actor->id,
        .kind = actor->kind == SCENE_PERSON ? SCENE_OBJECT_PERSON : SCENE_OBJECT_VEHICLE,
        .x = x0,
        .y = y0,
        .w = x1 - x0,
        .h = y1 - y0,
        .moving = pose->speed > 0.0f,
    };
    if (pose->speed > 0.0f)
        truth->labels |= 1u << SCENE_LABEL_MOVEMENT;
}

/* Actors, farthest first, so that the near hide the far. A post is painted again where it
 * stands before somebody, and only there: its smooth edges would grow darker each time. */
static void paint_actors(struct scene *scene, float time, const struct moment *moment,
                         struct scene_truth *truth)
{
    struct {
        const struct scene_actor *actor;
        struct scene_pose pose;
        struct scene_extent extent;
    } row[SCENE_ACTORS_MAX], key;
    int count = 0;
    for (int i = 0; i < scene->chapter.actor_count; i++) {
        row[count].actor = &scene->chapter.actors[i];
        count += scene_actor_pose(row[count].actor, time, &row[count].pose);
    }
    for (int i = 1; i < count; i++) {
        key = row[i];
        int at = i;
        for (; at > 0 && row[at - 1].pose.depth < key.pose.depth; at--)
            row[at] = row[at - 1];
        row[at] = key;
    }
    for (int i = 0; i < count; i++) {
        scene_actor_paint(row[i].actor, &row[i].pose, &scene->world, &scene->canvas,
                          moment->view_x, moment->view_y, &row[i].extent);
        note_object(scene, row[i].actor, &row[i].pose, &row[i].extent, truth);
        float nearer = i + 1 < count ? row[i + 1].pose.depth : 0.0f;
        for (int k = 0; k < scene->world.post_count; k++) {
            const struct scene_post *post = &scene->world.posts[k];
            if (post->depth >= row[i].pose.depth || post->depth < nearer)
                continue;
            struct scene_extent stands =
                scene_world_post_extent(&scene->world, post, moment->view_x, moment->view_y);
            bool hides = false;
            for (int behind = 0; behind <= i; behind++)
                hides |= stands.x0 < row[behind].extent.x1 && stands.x1 > row[behind].extent.x0;
            if (hides)
                scene_world_paint_post(&scene->world, post, &scene->canvas, moment->view_x,
                                       moment->view_y);
        }
    }
}

static void paint(struct scene *scene, uint64_t index, float time, struct scene_truth *truth)
{
    struct scene_canvas *canvas = &scene->canvas;
    struct scene_world *world = &scene->world;
    float width = (float)scene->params.width, height = (float)scene->params.height;
    struct moment moment = moment_at(scene, time);
    truth->labels = moment.labels;
    truth->insect = moment.insect;
    truth->object_count = 0;

    scene_canvas_copy(canvas, &world->backdrop, world->margin_x + moment.view_x,
                      world->margin_y + moment.view_y);
    paint_actors(scene, time, &moment, truth);
    if (moment.has_beam)
        scene_canvas_glow(canvas,
                          (struct scene_point){moment.beam.x * width, moment.beam.y * height},
                          0.22f * width, 0.12f * height, 150.0f - 90.0f * world->light);
    if (moment.rain > 0.0f)
        scene_effect_rain(canvas, moment.wet->look, time, moment.rain);
    if (moment.snow > 0.0f)
        scene_effect_snow(canvas, moment.wet->look, time, moment.snow);
    if (moment.gain < 0.999f || moment.gain > 1.001f)
        scene_effect_light(canvas, moment.gain);
    if (moment.bug)
        scene_effect_insect(canvas, moment.bug->look, time - moment.bug->start);
    if (moment.covered > 0.0f)
        scene_effect_cover(canvas, moment.cover->look, moment.covered);
    int radius = (int)(moment.blur * width + 0.5f);
    if (radius > 0)
        scene_effect_blur(canvas, &scene->blur, radius);
    if (scene->params.noise > 0.0)
        scene_effect_noise(canvas, &scene->noise, scene_hash2(scene->params.seed, index));

    if (moment.labels & 1u << SCENE_LABEL_COVERED) {
        truth->object_count = 0;
        truth->labels = 1u << SCENE_LABEL_COVERED;
    }
    if (truth->labels == 0)
        truth->labels = 1u << SCENE_LABEL_QUIET;
}

/* The frame shown in place of frame `index`: while frozen, the first one of the freeze. */
static uint64_t frame_shown(const struct scene *scene, uint64_t index, uint64_t chapter,
                            float time)
{
    const struct scene_params *params = &scene->params;
    for (int i = 0; i < scene->chapter.episode_count; i++) {
        const struct scene_episode *episode = &scene->chapter.episodes[i];
        if (episode->kind != SCENE_FREEZE || !is_between(time, episode->start, episode->end))
            continue;
        double start = (double)(chapter * SCENE_CHAPTER_SECONDS) + (double)episode->start;
        uint64_t first = (uint64_t)(start * params->fps_n / params->fps_d);
        /* The product above may round to either side of a frame: settle it by the same test
         * that found this frame to be in the episode. */
        for (first = first > 1 ? first - 1 : 0; first < index; first++) {
            float first_time;
            if (chapter_of(params, first, &first_time) == chapter &&
                first_time >= episode->start)
                break;
        }
        return first;
    }
    return index;
}

void scene_render(struct scene *scene, uint64_t index, const struct scene_canvas **ret_picture,
                  struct scene_truth *ret_truth)
{
    float time;
    uint64_t chapter = chapter_of(&scene->params, index, &time);
    if (!scene->has_chapter || scene->chapter.index != chapter) {
        scene_chapter_plan(&scene->chapter, &scene->world, scene->params.seed, chapter,
                           scene->params.features);
        scene->has_chapter = true;
    }
    uint64_t shown = frame_shown(scene, index, chapter, time);
    float shown_time = time;
    if (shown != index)
        chapter_of(&scene->params, shown, &shown_time);

    struct scene_truth truth;
    paint(scene, shown, shown_time, &truth);
    if (shown != index) {
        truth.labels = 1u << SCENE_LABEL_FROZEN;
        for (size_t i = 0; i < truth.object_count; i++)
            truth.objects[i].moving = false;
    }
    if (ret_picture)
        *ret_picture = &scene->canvas;
    if (ret_truth)
        *ret_truth = truth;
}
