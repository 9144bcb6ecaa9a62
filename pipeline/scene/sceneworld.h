/* The place a scene happens in: a camera over flat ground, and everything that stands still,
 * painted once.
 *
 * Ground coordinates are metres: x to the right of the camera's axis, depth away from it. The
 * camera looks level, its picture shifted so that the horizon lies where `horizon` says: a
 * point `up` metres over the ground at (x, depth) is seen at
 *     (centre_x + x * focal / depth, horizon + (camera_height - up) * focal / depth)
 * The same seed gives the same place at every picture size.
 *
 * Thread: read-only after init. */
#ifndef PIPELINE_SCENEWORLD_H
#define PIPELINE_SCENEWORLD_H

#include "pipeline/scene/scenecanvas.h"

struct scene_camera {
    float centre_x, horizon; /* pixels */
    float focal;             /* pixels */
    float height;            /* metres */
};

enum scene_view {
    SCENE_VIEW_ACROSS, /* a street seen from a house: road and pavements run left to right */
    SCENE_VIEW_ALONG,  /* a street seen lengthwise: road and pavements run away from us */
    SCENE_VIEW_ROOM,   /* indoors: a floor, a back wall, furniture; no vehicles */
};

/* A lamp post or tree trunk, painted again over whoever passes behind it. */
struct scene_post {
    float x, depth, up, radius; /* metres */
    struct scene_colour colour;
};

#define SCENE_POSTS_MAX 6

struct scene_world {
    enum scene_view view;
    struct scene_camera camera;
    int width, height;            /* of the visible picture */
    struct scene_canvas backdrop; /* larger by the margins on each side, so the view can turn */
    int margin_x, margin_y;       /* even */
    float light;                  /* 0.4 dusk .. 1 noon; colours are multiplied by it */
    /* Where one may be. ACROSS: depths; ALONG: |x|; ROOM: the floor reaches from near_edge to
     * far_edge in depth and half_width to the sides. */
    float near_edge, road_near, road_far, far_edge, half_width;
    struct scene_post posts[SCENE_POSTS_MAX];
    int post_count;
};

/* 0 or -ENOMEM. `indoors` chooses a room, else the seed chooses how the street is seen. */
int scene_world_init(struct scene_world *world, uint64_t seed, bool indoors, int width,
                     int height);
void scene_world_finish(struct scene_world *world); /* a zeroed world is fine */

struct scene_point scene_camera_project(const struct scene_camera *camera, float x, float up,
                                        float depth);

/* How far to the side, in metres, the picture's edge lies at a depth. */
float scene_world_reach(const struct scene_world *world, float depth);

/* Where a post is on a canvas whose (0, 0) is at (view_x, view_y) of the world's picture. */
struct scene_extent scene_world_post_extent(const struct scene_world *world,
                                            const struct scene_post *post, int view_x,
                                            int view_y);
void scene_world_paint_post(const struct scene_world *world, const struct scene_post *post,
                            struct scene_canvas *canvas, int view_x, int view_y);

#endif
