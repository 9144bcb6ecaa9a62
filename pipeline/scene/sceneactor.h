/* People and vehicles of the rendered scene: where each is at a time, and how it looks.
 *
 * An actor follows a polyline of places and times; two equal places with different times mean
 * it stands. Everything is a function of time alone: any moment can be painted in any order.
 *
 * Thread: read-only after it is made; painting belongs to the canvas's thread. */
#ifndef PIPELINE_SCENEACTOR_H
#define PIPELINE_SCENEACTOR_H

#include "pipeline/scene/sceneworld.h"

enum scene_actor_kind { SCENE_PERSON, SCENE_VEHICLE };

struct scene_waypoint {
    float time;     /* seconds of the chapter (sceneplan.h) */
    float x, depth; /* metres */
};

#define SCENE_WAYPOINTS_MAX 8

struct scene_actor {
    uint32_t id;
    enum scene_actor_kind kind;
    uint64_t look; /* clothes, build, body type */
    int count;     /* of waypoints, in order of time; absent before the first, after the last */
    struct scene_waypoint waypoints[SCENE_WAYPOINTS_MAX];
};

struct scene_pose {
    float x, depth;
    float heading_x, heading_depth; /* unit; the last one taken while standing */
    float speed;                    /* metres per second; 0 standing */
    float way;                      /* metres gone so far: the gait's phase */
};

/* False when the actor is not there at `time`. */
bool scene_actor_pose(const struct scene_actor *actor, float time, struct scene_pose *ret_pose);

/* Paints with its shadow, the canvas's (0, 0) at (view_x, view_y) of the world's picture.
 * *ret_extent: the figure without shadow, in canvas pixels, not clipped. */
void scene_actor_paint(const struct scene_actor *actor, const struct scene_pose *pose,
                       const struct scene_world *world, struct scene_canvas *canvas, int view_x,
                       int view_y, struct scene_extent *ret_extent);

#endif
