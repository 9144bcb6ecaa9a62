#include "pipeline/scene/sceneeffect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/scene/scenerandom.h"

/* The table is longer than its places to start by the widest picture's row. */
#define NOISE_TABLE   65536
#define NOISE_ROW_MAX 4096

#define DROPS  260
#define FLAKES 320

static uint8_t *row_of(const struct scene_plane *plane, int row)
{
    return plane->data + (size_t)row * (size_t)plane->stride;
}

void scene_effect_light(struct scene_canvas *canvas, float gain)
{
    for (int i = 0; i < 3; i++) {
        const struct scene_plane *plane = &canvas->planes[i];
        /* Brighter light washes colours out rather than strengthening them. */
        int zero = i ? 128 : 16, factor = (int)((i && gain > 1.0f ? 1.0f : gain) * 256.0f);
        for (int y = 0; y < plane->height; y++) {
            uint8_t *row = row_of(plane, y);
            for (int x = 0; x < plane->width; x++) {
                int value = zero + ((row[x] - zero) * factor >> 8);
                row[x] = (uint8_t)(value < 0 ? 0 : value > 240 ? 240 : value);
            }
        }
    }
}

/* Where falling thing `index` is: `fall` 0 (above the picture) .. 1 (below), with a new
 * `chance` each time it starts again. */
static float fall_of(uint64_t look, int index, float time, float seconds, uint64_t *ret_chance)
{
    uint64_t hash = scene_hash2(look, (uint64_t)index);
    float rounds = time / seconds + scene_hash_unit(hash);
    int whole = (int)rounds;
    *ret_chance = scene_hash2(hash, (uint64_t)whole);
    return rounds - (float)whole;
}

void scene_effect_rain(struct scene_canvas *canvas, uint64_t look, float time, float strength)
{
    struct scene_random random = {look};
    float width = (float)canvas->planes[0].width, height = (float)canvas->planes[0].height;
    float wind = scene_random_range(&random, -0.25f, 0.25f);
    struct scene_colour water = scene_colour_rgb(196, 204, 212);
    int count = (int)((float)DROPS * strength);
    for (int i = 0; i < count; i++) {
        uint64_t chance;
        float near = 0.4f + 0.6f * (float)(i % 7) / 6.0f; /* nearer drops: longer, faster */
        float fall = fall_of(look, i, time, 0.9f / near, &chance);
        float y = (fall * 1.3f - 0.15f) * height;
        float x = (scene_hash_unit(chance) * 1.4f - 0.2f) * width + wind * y;
        float length = 0.09f * near * height;
        float radius = 0.0016f * near * height;
        radius = radius < 0.45f ? 0.45f : radius;
        scene_canvas_limb(canvas, (struct scene_point){x, y}, radius,
                          (struct scene_point){x + wind * length, y + length}, radius, water,
                          0.25f + 0.25f * near);
    }
}

void scene_effect_snow(struct scene_canvas *canvas, uint64_t look, float time, float strength)
{
    struct scene_random random = {look};
    float width = (float)canvas->planes[0].width, height = (float)canvas->planes[0].height;
    float wind = scene_random_range(&random, -0.4f, 0.4f);
    struct scene_colour white = scene_colour_rgb(240, 242, 246);
    int count = (int)((float)FLAKES * strength);
    for (int i = 0; i < count; i++) {
        uint64_t chance;
        float near = 0.35f + 0.65f * (float)(i % 9) / 8.0f;
        float fall = fall_of(look, i, time, 2.6f / near, &chance);
        float y = (fall * 1.2f - 0.1f) * height;
        float sway = 0.012f * scene_sine(fall * 3.0f + scene_hash_unit(scene_hash(chance)));
        float x = (scene_hash_unit(chance) * 1.6f - 0.3f + sway) * width + wind * y;
        float radius = 0.0055f * near * height;
        scene_canvas_ellipse(canvas, (struct scene_point){x, y}, radius < 0.7f ? 0.7f : radius,
                             radius < 0.7f ? 0.7f : radius, 0.5f, white, 0.85f);
    }
}

void scene_effect_insect(struct scene_canvas *canvas, uint64_t look, float time)
{
    float width = (float)canvas->planes[0].width, height = (float)canvas->planes[0].height;
    float step = time / 0.4f;
    int leg = (int)step;
    struct scene_point at[2];
    for (int i = 0; i < 2; i++) {
        uint64_t hash = scene_hash2(look, (uint64_t)(leg + i));
        at[i] = (struct scene_point){scene_hash_unit(hash) * width,
                                     scene_hash_unit(scene_hash(hash)) * height};
    }
    float part = scene_ease(step - (float)leg, 0.0f, 0.6f); /* darts, then sits */
    struct scene_point body = {at[0].x + (at[1].x - at[0].x) * part,
                               at[0].y + (at[1].y - at[0].y) * part};
    float size = (0.035f + 0.03f * scene_hash_unit(scene_hash(look))) * height;
    float beat = 0.5f + 0.5f * scene_sine(time * 9.0f);
    struct scene_colour dark = scene_colour_rgb(24, 22, 20),
                        wing = scene_colour_rgb(110, 108, 104);
    for (int side = -1; side <= 1; side += 2)
        scene_canvas_ellipse(
            canvas, (struct scene_point){body.x + (float)side * size, body.y - size * 0.3f},
            size * (0.7f + 0.5f * beat), size * 0.5f, 0.9f, wing, 0.5f);
    scene_canvas_ellipse(canvas, body, size * 0.8f, size * 1.1f, 0.7f, dark, 0.9f);
}

void scene_effect_cover(struct scene_canvas *canvas, uint64_t look, float progress)
{
    struct scene_random random = {look};
    float angle = scene_random_range(&random, 0.0f, 1.0f);
    float dx = scene_cosine(angle), dy = scene_sine(angle), soft = 0.12f;
    int tone = scene_random_below(&random, 4) == 0 ? 150 + scene_random_below(&random, 70)
                                                   : 14 + scene_random_below(&random, 40);
    struct scene_colour colour = scene_colour_rgb(tone, tone * 15 / 16, tone * 7 / 8);
    /* The corner farthest along the direction lies at 0.71 of the unit square's middle. */
    float edge = -0.71f - soft + progress * 2.0f * (0.71f + soft);
    for (int i = 0; i < 3; i++) {
        const struct scene_plane *plane = &canvas->planes[i];
        float sx = dx / (float)plane->width, sy = dy / (float)plane->height;
        int value = i == 0 ? colour.y : i == 1 ? colour.u : colour.v;
        for (int y = 0; y < plane->height; y++) {
            uint8_t *row = row_of(plane, y);
            float base = sy * ((float)y + 0.5f) - 0.5f * (dx + dy);
            for (int x = 0; x < plane->width; x++) {
                float along = base + sx * ((float)x + 0.5f);
                float opacity = (edge - along) * (0.5f / soft) + 0.5f;
                opacity = opacity < 0.0f ? 0.0f : opacity > 1.0f ? 1.0f : opacity;
                /* Light still leaks in at the far side. */
                int leak = i ? 0 : (int)(10.0f * along);
                row[x] = (uint8_t)(row[x] +
                                   ((value + leak - row[x]) * (int)(opacity * 256.0f) >> 8));
            }
        }
    }
}

int scene_blur_init(struct scene_blur *blur, const struct scene_canvas *canvas)
{
    const struct scene_plane *luma = &canvas->planes[0];
    blur->copy = malloc((size_t)luma->stride * (size_t)luma->height);
    blur->sums = malloc((size_t)luma->width * sizeof *blur->sums);
    if (blur->copy && blur->sums)
        return 0;
    scene_blur_finish(blur);
    return -ENOMEM;
}

void scene_blur_finish(struct scene_blur *blur)
{
    free(blur->copy);
    free(blur->sums);
    *blur = (struct scene_blur){0};
}

static int within(int value, int last)
{
    return value < 0 ? 0 : value > last ? last : value;
}

/* sum / count, rounded, by a multiplication: exact enough and the same everywhere. */
static uint8_t mean_of(uint32_t sum, uint32_t reciprocal)
{
    return (uint8_t)((sum * reciprocal + 32768u) >> 16);
}

static void box_rows(const struct scene_plane *plane, uint8_t *copy, int radius)
{
    uint32_t reciprocal = 65536u / (uint32_t)(2 * radius + 1);
    int last = plane->width - 1;
    for (int y = 0; y < plane->height; y++) {
        uint8_t *row = row_of(plane, y);
        memcpy(copy, row, (size_t)plane->width);
        uint32_t sum = 0;
        for (int x = -radius; x <= radius; x++)
            sum += copy[within(x, last)];
        for (int x = 0; x <= last; x++) {
            row[x] = mean_of(sum, reciprocal);
            sum += copy[within(x + radius + 1, last)];
            sum -= copy[within(x - radius, last)];
        }
    }
}

static void box_columns(const struct scene_plane *plane, struct scene_blur *blur, int radius)
{
    uint32_t reciprocal = 65536u / (uint32_t)(2 * radius + 1);
    int last = plane->height - 1;
    size_t stride = (size_t)plane->stride;
    memcpy(blur->copy, plane->data, stride * (size_t)plane->height);
    memset(blur->sums, 0, (size_t)plane->width * sizeof *blur->sums);
    for (int y = -radius; y <= radius; y++)
        for (int x = 0; x < plane->width; x++)
            blur->sums[x] += blur->copy[(size_t)within(y, last) * stride + (size_t)x];
    for (int y = 0; y <= last; y++) {
        uint8_t *row = row_of(plane, y);
        const uint8_t *enters = blur->copy + (size_t)within(y + radius + 1, last) * stride;
        const uint8_t *leaves = blur->copy + (size_t)within(y - radius, last) * stride;
        for (int x = 0; x < plane->width; x++) {
            row[x] = mean_of(blur->sums[x], reciprocal);
            blur->sums[x] += enters[x];
            blur->sums[x] -= leaves[x];
        }
    }
}

void scene_effect_blur(struct scene_canvas *canvas, struct scene_blur *blur, int radius)
{
    for (int i = 0; i < 3; i++) {
        int of_plane = i ? radius / 2 : radius;
        for (int pass = 0; pass < 2 && of_plane > 0; pass++) {
            box_rows(&canvas->planes[i], blur->copy, of_plane);
            box_columns(&canvas->planes[i], blur, of_plane);
        }
    }
}

int scene_noise_init(struct scene_noise *noise, double deviation)
{
    noise->table = malloc(NOISE_TABLE + NOISE_ROW_MAX);
    if (!noise->table)
        return -ENOMEM;
    for (int i = 0; i < NOISE_TABLE + NOISE_ROW_MAX; i++) {
        uint64_t hash = scene_hash((uint64_t)i + 0x5eed);
        int sum = (int)(hash & 255) + (int)(hash >> 8 & 255) + (int)(hash >> 16 & 255) +
                  (int)(hash >> 24 & 255);
        /* Four bytes' sum is nearly normal, with a mean of 510 and a deviation of 147.8. */
        double value = (double)(sum - 510) * deviation / 147.8;
        value = value < -127.0 ? -127.0 : value > 127.0 ? 127.0 : value;
        noise->table[i] = (int8_t)(value < 0.0 ? value - 0.5 : value + 0.5);
    }
    return 0;
}

void scene_noise_finish(struct scene_noise *noise)
{
    free(noise->table);
    noise->table = NULL;
}

void scene_effect_noise(struct scene_canvas *canvas, const struct scene_noise *noise,
                        uint64_t frame)
{
    const struct scene_plane *luma = &canvas->planes[0];
    for (int y = 0; y < luma->height; y++) {
        uint8_t *restrict row = row_of(luma, y);
        const int8_t *restrict table =
            noise->table + (scene_hash2(frame, (uint64_t)y) & (NOISE_TABLE - 1));
        for (int x = 0; x < luma->width; x++) {
            int value = row[x] + table[x];
            row[x] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
        }
    }
}
