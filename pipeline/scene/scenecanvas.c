/* Coverage of a pixel is taken from its distance to the shape's outline, clamped to half a
 * pixel on either side: smooth edges for the price of one distance, and the same expression
 * serves the chroma planes at half the coordinates. */
#include "pipeline/scene/scenecanvas.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/scene/scenerandom.h"

int scene_canvas_init(struct scene_canvas *canvas, int width, int height)
{
    *canvas = (struct scene_canvas){0};
    for (int i = 0; i < 3; i++) {
        struct scene_plane *plane = &canvas->planes[i];
        plane->width = i ? (width + 1) / 2 : width;
        plane->height = i ? (height + 1) / 2 : height;
        plane->stride = (plane->width + 31) & ~31;
        plane->data = malloc((size_t)plane->stride * (size_t)plane->height);
        if (!plane->data) {
            scene_canvas_finish(canvas);
            return -ENOMEM;
        }
    }
    return 0;
}

void scene_canvas_finish(struct scene_canvas *canvas)
{
    for (int i = 0; i < 3; i++)
        free(canvas->planes[i].data);
    *canvas = (struct scene_canvas){0};
}

static uint8_t to_byte(int value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

struct scene_colour scene_colour_rgb(int red, int green, int blue)
{
    return (struct scene_colour){
        .y = to_byte((66 * red + 129 * green + 25 * blue + 128 + 4096) >> 8),
        .u = to_byte((-38 * red - 74 * green + 112 * blue + 128 + 32768) >> 8),
        .v = to_byte((112 * red - 94 * green - 18 * blue + 128 + 32768) >> 8),
    };
}

struct scene_colour scene_colour_lit(struct scene_colour colour, float gain)
{
    /* Brighter keeps its chroma: multiplying that as well would make lit walls garish. */
    float chroma = gain < 1.0f ? gain : 1.0f;
    return (struct scene_colour){
        .y = to_byte(16 + (int)((float)(colour.y - 16) * gain)),
        .u = to_byte(128 + (int)((float)(colour.u - 128) * chroma)),
        .v = to_byte(128 + (int)((float)(colour.v - 128) * chroma)),
    };
}

/* The whole pixels of `plane` that a shape within `extent` can touch. False: none. */
struct pixel_range {
    int x0, y0, x1, y1;
};

static bool pixels_within(const struct scene_plane *plane, const struct scene_extent *extent,
                          struct pixel_range *ret_range)
{
    /* Clamped as floats first: converting a float beyond int's range is undefined. */
    float x0 = scene_clamp(extent->x0 - 1.0f, 0.0f, (float)plane->width);
    float y0 = scene_clamp(extent->y0 - 1.0f, 0.0f, (float)plane->height);
    float x1 = scene_clamp(extent->x1 + 2.0f, 0.0f, (float)plane->width);
    float y1 = scene_clamp(extent->y1 + 2.0f, 0.0f, (float)plane->height);
    *ret_range = (struct pixel_range){(int)x0, (int)y0, (int)x1, (int)y1};
    return ret_range->x0 < ret_range->x1 && ret_range->y0 < ret_range->y1;
}

static void extent_grow(struct scene_canvas *canvas, const struct scene_extent *by)
{
    struct scene_extent *extent = canvas->extent;
    if (!extent)
        return;
    extent->x0 = by->x0 < extent->x0 ? by->x0 : extent->x0;
    extent->y0 = by->y0 < extent->y0 ? by->y0 : extent->y0;
    extent->x1 = by->x1 > extent->x1 ? by->x1 : extent->x1;
    extent->y1 = by->y1 > extent->y1 ? by->y1 : extent->y1;
}

static struct scene_extent extent_scaled(struct scene_extent extent, float scale)
{
    return (struct scene_extent){extent.x0 * scale, extent.y0 * scale, extent.x1 * scale,
                                 extent.y1 * scale};
}

/* Moves `pixel` towards `value` by the part of it that a shape at signed `distance` covers. */
static inline uint8_t blend(uint8_t pixel, int value, float distance, float opacity256)
{
    float coverage = 0.5f - distance;
    coverage = coverage < 0.0f ? 0.0f : coverage > 1.0f ? 1.0f : coverage;
    int weight = (int)(coverage * opacity256);
    return (uint8_t)(pixel + ((value - pixel) * weight >> 8));
}

static int colour_of_plane(struct scene_colour colour, int plane)
{
    return plane == 0 ? colour.y : plane == 1 ? colour.u : colour.v;
}

struct edge {
    float nx, ny, c; /* outward unit normal; distance = nx * x + ny * y + c */
};

void scene_canvas_polygon(struct scene_canvas *canvas, const struct scene_point *corners,
                          int count, struct scene_colour colour, float opacity)
{
    struct scene_extent extent = SCENE_EXTENT_EMPTY;
    float twice_area = 0.0f;
    for (int i = 0; i < count; i++) {
        const struct scene_point *p = &corners[i], *q = &corners[(i + 1) % count];
        twice_area += p->x * q->y - q->x * p->y;
        extent.x0 = p->x < extent.x0 ? p->x : extent.x0;
        extent.y0 = p->y < extent.y0 ? p->y : extent.y0;
        extent.x1 = p->x > extent.x1 ? p->x : extent.x1;
        extent.y1 = p->y > extent.y1 ? p->y : extent.y1;
    }
    extent_grow(canvas, &extent);

    float sign = twice_area < 0.0f ? -1.0f : 1.0f;
    struct edge edges[SCENE_POLYGON_MAX];
    int edge_count = 0;
    for (int i = 0; i < count; i++) {
        const struct scene_point *p = &corners[i], *q = &corners[(i + 1) % count];
        float dx = q->x - p->x, dy = q->y - p->y;
        float length = sqrtf(dx * dx + dy * dy);
        if (length < 1e-4f)
            continue;
        struct edge *edge = &edges[edge_count++];
        edge->nx = sign * dy / length;
        edge->ny = -sign * dx / length;
        edge->c = -(edge->nx * p->x + edge->ny * p->y);
    }
    if (edge_count < 3)
        return;

    for (int i = 0; i < 3; i++) {
        struct scene_plane *plane = &canvas->planes[i];
        float scale = i ? 0.5f : 1.0f;
        struct scene_extent scaled = extent_scaled(extent, scale);
        struct pixel_range range;
        if (!pixels_within(plane, &scaled, &range))
            continue;
        int value = colour_of_plane(colour, i);
        for (int y = range.y0; y < range.y1; y++) {
            uint8_t *row = plane->data + (size_t)y * (size_t)plane->stride;
            for (int x = range.x0; x < range.x1; x++) {
                float px = (float)x + 0.5f, py = (float)y + 0.5f;
                float distance = -1e9f;
                for (int e = 0; e < edge_count; e++) {
                    float d = edges[e].nx * px + edges[e].ny * py + edges[e].c * scale;
                    distance = d > distance ? d : distance;
                }
                row[x] = blend(row[x], value, distance, opacity * 256.0f);
            }
        }
    }
}

void scene_canvas_limb(struct scene_canvas *canvas, struct scene_point a, float ra,
                       struct scene_point b, float rb, struct scene_colour colour,
                       float opacity)
{
    float r = ra > rb ? ra : rb;
    struct scene_extent extent = {(a.x < b.x ? a.x : b.x) - r, (a.y < b.y ? a.y : b.y) - r,
                                  (a.x > b.x ? a.x : b.x) + r, (a.y > b.y ? a.y : b.y) + r};
    extent_grow(canvas, &extent);
    for (int i = 0; i < 3; i++) {
        struct scene_plane *plane = &canvas->planes[i];
        float scale = i ? 0.5f : 1.0f;
        struct scene_extent scaled = extent_scaled(extent, scale);
        struct pixel_range range;
        if (!pixels_within(plane, &scaled, &range))
            continue;
        int value = colour_of_plane(colour, i);
        float ax = a.x * scale, ay = a.y * scale;
        float bx = (b.x - a.x) * scale, by = (b.y - a.y) * scale;
        float squared = bx * bx + by * by;
        float inverse = squared > 1e-6f ? 1.0f / squared : 0.0f;
        for (int y = range.y0; y < range.y1; y++) {
            uint8_t *row = plane->data + (size_t)y * (size_t)plane->stride;
            for (int x = range.x0; x < range.x1; x++) {
                float px = (float)x + 0.5f - ax, py = (float)y + 0.5f - ay;
                float t = scene_clamp((px * bx + py * by) * inverse, 0.0f, 1.0f);
                float dx = px - t * bx, dy = py - t * by;
                float distance = sqrtf(dx * dx + dy * dy) - (ra + (rb - ra) * t) * scale;
                row[x] = blend(row[x], value, distance, opacity * 256.0f);
            }
        }
    }
}

void scene_canvas_ellipse(struct scene_canvas *canvas, struct scene_point centre, float rx,
                          float ry, float softness, struct scene_colour colour, float opacity)
{
    struct scene_extent extent = {centre.x - rx, centre.y - ry, centre.x + rx, centre.y + ry};
    extent_grow(canvas, &extent);
    for (int i = 0; i < 3; i++) {
        struct scene_plane *plane = &canvas->planes[i];
        float scale = i ? 0.5f : 1.0f;
        struct scene_extent scaled = extent_scaled(extent, scale);
        struct pixel_range range;
        if (!pixels_within(plane, &scaled, &range))
            continue;
        int value = colour_of_plane(colour, i);
        float radius = (rx < ry ? rx : ry) * scale;
        float fade = softness * radius > 1.0f ? softness * radius : 1.0f;
        for (int y = range.y0; y < range.y1; y++) {
            uint8_t *row = plane->data + (size_t)y * (size_t)plane->stride;
            float ny = ((float)y + 0.5f - centre.y * scale) / (ry * scale);
            for (int x = range.x0; x < range.x1; x++) {
                float nx = ((float)x + 0.5f - centre.x * scale) / (rx * scale);
                float distance = (sqrtf(nx * nx + ny * ny) - 1.0f) * radius / fade;
                if (fade > 1.0f)
                    distance += 0.5f; /* the soft edge lies inside the outline */
                row[x] = blend(row[x], value, distance, opacity * 256.0f);
            }
        }
    }
}

void scene_canvas_glow(struct scene_canvas *canvas, struct scene_point centre, float rx,
                       float ry, float amount)
{
    struct scene_plane *plane = &canvas->planes[0];
    struct scene_extent extent = {centre.x - rx, centre.y - ry, centre.x + rx, centre.y + ry};
    struct pixel_range range;
    if (!pixels_within(plane, &extent, &range))
        return;
    for (int y = range.y0; y < range.y1; y++) {
        uint8_t *row = plane->data + (size_t)y * (size_t)plane->stride;
        float ny = ((float)y + 0.5f - centre.y) / ry;
        for (int x = range.x0; x < range.x1; x++) {
            float nx = ((float)x + 0.5f - centre.x) / rx;
            float near = 1.0f - (nx * nx + ny * ny);
            near = near < 0.0f ? 0.0f : near;
            int value = row[x] + (int)(near * near * amount);
            row[x] = (uint8_t)(value < 16 ? 16 : value > 235 ? 235 : value);
        }
    }
}

void scene_canvas_copy(struct scene_canvas *canvas, const struct scene_canvas *from, int x,
                       int y)
{
    for (int i = 0; i < 3; i++) {
        struct scene_plane *plane = &canvas->planes[i];
        const struct scene_plane *source = &from->planes[i];
        int left = i ? x / 2 : x, top = i ? y / 2 : y;
        for (int row = 0; row < plane->height; row++)
            memcpy(plane->data + (size_t)row * (size_t)plane->stride,
                   source->data + (size_t)(top + row) * (size_t)source->stride + left,
                   (size_t)plane->width);
    }
}
