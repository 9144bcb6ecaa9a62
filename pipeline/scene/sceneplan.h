/* What happens when in a rendered scene: chapters of one minute, each planned from the seed and
 * its number alone, each beginning and ending quiet. Within a chapter one episode follows
 * another with pauses between; rain may have walkers in it.
 *
 * Thread: pure functions. */
#ifndef PIPELINE_SCENEPLAN_H
#define PIPELINE_SCENEPLAN_H

#include "pipeline/scene/scene.h"
#include "pipeline/scene/sceneactor.h"

#define SCENE_CHAPTER_SECONDS 60

enum scene_episode_kind {
    SCENE_WALK,
    SCENE_RUN,
    SCENE_DRIVE,
    SCENE_LOITER,
    SCENE_MEET,
    SCENE_CLOUD,      /* the light sinks, stays and comes back over seconds */
    SCENE_SWITCH,     /* the light jumps and the camera's exposure follows; then back */
    SCENE_HEADLIGHTS, /* a beam sweeps over the ground, its vehicle unseen */
    SCENE_RAIN,
    SCENE_SNOW,
    SCENE_INSECT, /* at the lens: large, dark, blurred, restless */
    SCENE_COVER,
    SCENE_TURN,  /* the camera is turned away, rests, is turned back */
    SCENE_KNOCK, /* it is hit and swings out */
    SCENE_DEFOCUS,
    SCENE_FREEZE, /* the same picture again and again, its noise included */
    SCENE_EPISODE_KINDS,
};

/* Times are seconds of the chapter. `look` seeds the episode's particulars. */
struct scene_episode {
    enum scene_episode_kind kind;
    float start, end;
    uint64_t look;
};

#define SCENE_EPISODES_MAX 24
#define SCENE_ACTORS_MAX   32

struct scene_chapter {
    uint64_t index;
    int episode_count, actor_count;
    struct scene_episode episodes[SCENE_EPISODES_MAX]; /* by start */
    struct scene_actor actors[SCENE_ACTORS_MAX];
};

/* `features`: or of enum scene_feature; with none of them the chapter is empty. */
void scene_chapter_plan(struct scene_chapter *chapter, const struct scene_world *world,
                        uint64_t seed, uint64_t index, unsigned features);

#endif
