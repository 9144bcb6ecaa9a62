/* The scene: a synthetic camera picture with its truth, rendered from a seed.
 *
 * A street (or a room) with people and vehicles that walk, run, drive, stop, loiter and meet;
 * nuisances (rain, snow, sensor noise, clouds, lights switched, headlights, an insect at the
 * lens); camera faults (covered, moved, defocused, frozen). The picture of frame n depends on
 * nothing but the parameters and n: the same bytes in any order, on any machine.
 *
 * Plain C, no GStreamer; the element around it is vigilscenesrc.
 *
 * Thread: one scene belongs to one thread at a time. Render allocates nothing. */
#ifndef PIPELINE_SCENE_H
#define PIPELINE_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/scene/scenecanvas.h"

/* The classes of models/scene.onnx, in its order. */
enum scene_label {
    SCENE_LABEL_QUIET,
    SCENE_LABEL_MOVEMENT,  /* a person or vehicle in the picture moves; standing ones do not */
    SCENE_LABEL_LIGHTING,  /* the light is changing */
    SCENE_LABEL_WEATHER,   /* rain or snow falls */
    SCENE_LABEL_COVERED,   /* most of the lens is covered, or being covered or uncovered */
    SCENE_LABEL_MOVED,     /* the camera is being turned or shaken */
    SCENE_LABEL_DEFOCUSED, /* the picture is out of focus */
    SCENE_LABEL_FROZEN,    /* the picture repeats the one before exactly */
    SCENE_LABELS,
};

/* "quiet", "movement", …; NULL beyond the last. */
const char *scene_label_name(enum scene_label label);

/* What may happen: bits. */
enum scene_feature {
    SCENE_FEATURE_MOVEMENT = 1 << 0,
    SCENE_FEATURE_LIGHTING = 1 << 1,
    SCENE_FEATURE_WEATHER = 1 << 2,
    SCENE_FEATURE_INSECT = 1 << 3,
    SCENE_FEATURE_COVERED = 1 << 4,
    SCENE_FEATURE_MOVED = 1 << 5,
    SCENE_FEATURE_DEFOCUSED = 1 << 6,
    SCENE_FEATURE_FROZEN = 1 << 7,
};
#define SCENE_FEATURES_NUISANCES                                                               \
    (SCENE_FEATURE_LIGHTING | SCENE_FEATURE_WEATHER | SCENE_FEATURE_INSECT)
#define SCENE_FEATURES_FAULTS                                                                  \
    (SCENE_FEATURE_COVERED | SCENE_FEATURE_MOVED | SCENE_FEATURE_DEFOCUSED |                   \
     SCENE_FEATURE_FROZEN)
#define SCENE_FEATURES_ALL                                                                     \
    (SCENE_FEATURE_MOVEMENT | SCENE_FEATURES_NUISANCES | SCENE_FEATURES_FAULTS)

#define SCENE_SIZE_MIN  16
#define SCENE_SIZE_MAX  4096
#define SCENE_NOISE_MAX 20.0

struct scene_params {
    uint64_t seed;
    bool indoors;      /* a room instead of a street: no vehicles, no weather */
    int width, height; /* SCENE_SIZE_MIN..SCENE_SIZE_MAX */
    int fps_n, fps_d;  /* > 0; at most 240 frames per second */
    double noise;      /* standard deviation of the sensor noise in grey levels; 0 none */
    unsigned features; /* or of enum scene_feature; 0: nothing ever happens */
};

enum scene_object_kind { SCENE_OBJECT_PERSON, SCENE_OBJECT_VEHICLE };

/* Somebody in the picture. Coordinates are parts of the picture, the box clipped to it. */
struct scene_object {
    uint32_t id; /* stays the same while it is there; never 0 */
    enum scene_object_kind kind;
    float x, y, w, h;
    bool moving;
};

#define SCENE_OBJECTS_MAX 32

/* What is true of one frame. Labels are bits 1u << enum scene_label; QUIET is set when no other
 * is. An insect sets no label (it is neither person, vehicle nor weather), only `insect`. */
struct scene_truth {
    unsigned labels;
    bool insect;
    size_t object_count; /* 0 while the lens is covered */
    struct scene_object objects[SCENE_OBJECTS_MAX];
};

struct scene;

/* 0, -EINVAL (a parameter is out of its range) or -ENOMEM. */
int scene_create(const struct scene_params *params, struct scene **ret_scene);
void scene_destroy(struct scene *scene); /* NULL is fine */

/* Renders frame `index` (its time: index * fps_d / fps_n seconds). The picture is the scene's,
 * valid until the next call. Both outputs may be NULL. */
void scene_render(struct scene *scene, uint64_t index, const struct scene_canvas **ret_picture,
                  struct scene_truth *ret_truth);

#endif
