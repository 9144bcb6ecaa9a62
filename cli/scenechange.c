#include "cli/scenechange.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "pipeline/scene/scene.h"

/* How often each is done. */
#define TREMBLES 0.25
#define DRIFTS   0.4
#define SHADOWS  0.25
#define MOVES    0.35

/* A thing is seen to move when so much of the picture changes by so many levels from one frame to
 * the next, in at least half of them. */
#define CHANGED_LEVELS 10.0f
#define CHANGED_SHARE  0.0015

static double range(struct train_random *random, double low, double high)
{
    return low + (high - low) * train_random_uniform(random);
}

/* --- the whole picture ---------------------------------------------------------------------- */

/* A fraction of a pixel right and down, and what was at the edge stays. */
static void nudge(const struct scenechange_window *w, float *plane, float right, float down)
{
    for (int y = w->height - 1; y >= 0; y--) {
        float *row = plane + (size_t)y * (size_t)w->width;
        const float *above = y > 0 ? row - w->width : row;
        for (int x = w->width - 1; x > 0; x--)
            row[x] += right * (row[x - 1] - row[x]);
        /* The line above is moved right only when its turn comes. */
        for (int x = w->width - 1; x >= 0; x--) {
            float moved = x > 0 ? above[x] + right * (above[x - 1] - above[x]) : above[0];
            row[x] += y > 0 ? down * (moved - row[x]) : 0;
        }
    }
}

static void tremble(const struct scenechange_window *w, struct train_random *random)
{
    size_t plane = (size_t)w->height * (size_t)w->width;
    for (int t = 0; t < w->frames; t++) {
        float right = (float)range(random, 0, 0.12), down = (float)range(random, 0, 0.12);
        for (int c = 0; c < w->channels; c++)
            nudge(w, w->values + (size_t)(t * w->channels + c) * plane, right, down);
    }
}

/* Less than a change of light, and no movement. */
static void drift(const struct scenechange_window *w, struct train_random *random)
{
    size_t frame = (size_t)w->channels * (size_t)w->height * (size_t)w->width;
    double bend = range(random, 0.4, 2.5), most = range(random, -0.04, 0.04);
    for (int t = 0; t < w->frames; t++) {
        float gain = (float)(1 + most * pow((double)t / (w->frames - 1), bend));
        for (size_t i = 0; i < frame; i++)
            w->values[(size_t)t * frame + i] *= gain;
    }
}

/* --- something that moves ------------------------------------------------------------------- */

/* An ellipse on its way. Sizes are pixels of a picture 128 wide; in others they are scaled. */
struct thing {
    double x, y, dx, dy; /* centre, and its step from frame to frame */
    double size, aspect, cosine, sine, pulse, softness;
};

static struct thing draw_thing(const struct scenechange_window *w, double softness,
                               struct train_random *random)
{
    double scale = w->width / 128.0, size = exp(range(random, log(3), log(34)));
    double angle = range(random, 0, M_PI), way = range(random, 0, 2 * M_PI);
    double speed = range(random, 0.5, fmax(1, 0.35 * size)) + 0.3;
    return (struct thing){.x = range(random, -0.1, 1.1) * w->width,
                          .y = range(random, -0.1, 1.1) * w->height,
                          .dx = speed * scale * cos(way),
                          .dy = speed * scale * sin(way),
                          .size = size * scale,
                          .aspect = range(random, 0.35, 2.5),
                          .cosine = cos(angle),
                          .sine = sin(angle),
                          .pulse = range(random, 0, 0.15),
                          .softness = softness};
}

/* How opaque it is over each pixel of frame `t`, into w->mask. */
static void mask_thing(const struct scenechange_window *w, const struct thing *thing, int t)
{
    double x0 = thing->x + thing->dx * t, y0 = thing->y + thing->dy * t;
    float size = (float)(thing->size * (1 + thing->pulse * sin(2.1 * t)));
    float cosine = (float)thing->cosine / size, sine = (float)thing->sine / size;
    float aspect = 1 / (float)thing->aspect, sharp = 1 / (float)thing->softness;
    for (int y = 0; y < w->height; y++) {
        float *row = w->mask + (size_t)y * (size_t)w->width, dy = (float)(y - y0);
        for (int x = 0; x < w->width; x++) {
            float dx = (float)(x - x0);
            float u = dx * cosine + dy * sine, v = (dy * cosine - dx * sine) * aspect;
            float opaque = (1 - sqrtf(u * u + v * v)) * sharp;
            row[x] = opaque < 0 ? 0 : opaque > 1 ? 1 : opaque;
        }
    }
}

static void add_shadow(const struct scenechange_window *w, struct train_random *random)
{
    size_t plane = (size_t)w->height * (size_t)w->width;
    struct thing thing = draw_thing(w, 1, random);
    float levels = (float)range(random, -9, 4);
    for (int t = 0; t < w->frames; t++) {
        mask_thing(w, &thing, t);
        for (int c = 0; c < w->channels; c++)
            for (size_t i = 0; i < plane; i++)
                w->values[(size_t)(t * w->channels + c) * plane + i] += levels * w->mask[i];
    }
}

/* What a thing is painted with, at a pixel: a grey, and a grain that stays where the picture is
 * (it is seen through the thing's shape). */
struct paint {
    float grey, grain;
    uint64_t seed;
};

/* -1.7 to 1.7, of deviation 1. */
static float grain_at(const struct paint *paint, size_t i)
{
    uint64_t x = (paint->seed + i) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93u;
    return ((float)(x >> 40) * 0x1p-23f - 1) * 1.732f;
}

static float painted(const struct scenechange_window *w, const struct paint *paint, float value,
                     size_t i)
{
    return value + w->mask[i] * (paint->grey + paint->grain * grain_at(paint, i) - value);
}

/* Whether the thing is seen: it changes enough of the picture by itself. Sensor noise and what
 * else moves are in both and do not count. */
static bool is_seen(const struct scenechange_window *w, const struct thing *thing,
                    const struct paint *paint)
{
    size_t plane = (size_t)w->height * (size_t)w->width;
    size_t frame = plane * (size_t)w->channels;
    int seen = 0;
    float *before = w->mask + plane;
    for (int t = 0; t < w->frames; t++) {
        int changed = 0;
        mask_thing(w, thing, t);
        for (size_t i = 0; i < plane; i++) {
            float value = w->values[(size_t)t * frame + i];
            float added = painted(w, paint, value, i) - value;
            changed += t > 0 && fabsf(added - before[i]) > CHANGED_LEVELS;
            before[i] = added;
        }
        seen += changed >= CHANGED_SHARE * (double)plane;
    }
    return 2 * seen >= w->frames;
}

static bool add_thing(const struct scenechange_window *w, struct train_random *random)
{
    size_t plane = (size_t)w->height * (size_t)w->width;
    struct thing thing = draw_thing(w, range(random, 0.08, 0.5), random);
    const struct paint paint = {.grey = (float)range(random, 10, 240),
                                .grain = (float)range(random, 0, 30),
                                .seed = train_random_next(random)};
    if (!is_seen(w, &thing, &paint))
        return false;
    for (int t = 0; t < w->frames; t++) {
        mask_thing(w, &thing, t);
        for (int c = 0; c < w->channels; c++) {
            float *values = w->values + (size_t)(t * w->channels + c) * plane;
            for (size_t i = 0; i < plane; i++)
                values[i] = painted(w, &paint, values[i], i);
        }
    }
    return true;
}

int scenechange_apply(const struct scenechange_window *w, int label,
                      struct train_random *random)
{
    if (label != SCENE_LABEL_QUIET && label != SCENE_LABEL_MOVEMENT)
        return label;
    if (train_random_uniform(random) < TREMBLES)
        tremble(w, random);
    if (train_random_uniform(random) < DRIFTS && w->frames > 1)
        drift(w, random);
    if (train_random_uniform(random) < SHADOWS)
        add_shadow(w, random);
    if (label == SCENE_LABEL_QUIET && train_random_uniform(random) < MOVES &&
        add_thing(w, random))
        label = SCENE_LABEL_MOVEMENT;
    size_t all = (size_t)w->frames * (size_t)w->channels * (size_t)w->height * (size_t)w->width;
    for (size_t i = 0; i < all; i++)
        w->values[i] = fminf(fmaxf(w->values[i], 0), 255);
    return label;
}
