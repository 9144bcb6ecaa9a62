/* The canvas the scene renderer paints on: planar 4:2:0, 8 bit, with smooth-edged shapes.
 *
 * Coordinates are luma pixels as floats, y down, pixel (0, 0) covering 0..1 on both axes. A
 * shape may lie outside in part or whole. Opacity is 0..1. Every operation gives the same bytes
 * on every machine.
 *
 * Thread: one canvas belongs to one thread at a time. */
#ifndef PIPELINE_SCENECANVAS_H
#define PIPELINE_SCENECANVAS_H

#include <stdbool.h>
#include <stdint.h>

/* BT.601, limited range. */
struct scene_colour {
    uint8_t y, u, v;
};

struct scene_point {
    float x, y;
};

/* Left, top, right, bottom; empty while right < left. */
struct scene_extent {
    float x0, y0, x1, y1;
};

#define SCENE_EXTENT_EMPTY                                                                     \
    {                                                                                          \
        1e9f, 1e9f, -1e9f, -1e9f                                                               \
    }

struct scene_plane {
    uint8_t *data;
    int width, height, stride;
};

struct scene_canvas {
    struct scene_plane planes[3]; /* Y, U, V; U and V are half as large, rounded up */
    struct scene_extent *extent;  /* when set, grows around each shape painted */
};

/* 0 or -ENOMEM. The pixels are undefined. */
int scene_canvas_init(struct scene_canvas *canvas, int width, int height);
void scene_canvas_finish(struct scene_canvas *canvas); /* a zeroed canvas is fine */

struct scene_colour scene_colour_rgb(int red, int green, int blue);
/* The colour with its brightness multiplied; gain 1 leaves it. */
struct scene_colour scene_colour_lit(struct scene_colour colour, float gain);

/* A convex polygon of 3..SCENE_POLYGON_MAX corners, either way round. */
#define SCENE_POLYGON_MAX 8
void scene_canvas_polygon(struct scene_canvas *canvas, const struct scene_point *corners,
                          int count, struct scene_colour colour, float opacity);

/* A line with round ends whose radius goes from ra at a to rb at b. */
void scene_canvas_limb(struct scene_canvas *canvas, struct scene_point a, float ra,
                       struct scene_point b, float rb, struct scene_colour colour,
                       float opacity);

/* softness 0: a sharp edge; 1: fades from the centre out. */
void scene_canvas_ellipse(struct scene_canvas *canvas, struct scene_point centre, float rx,
                          float ry, float softness, struct scene_colour colour, float opacity);

/* Adds light (or takes it, amount < 0) in a soft ellipse; luma only. */
void scene_canvas_glow(struct scene_canvas *canvas, struct scene_point centre, float rx,
                       float ry, float amount);

/* Copies the part of `from` whose top left corner is (x, y), both even and inside. */
void scene_canvas_copy(struct scene_canvas *canvas, const struct scene_canvas *from, int x,
                       int y);

#endif
