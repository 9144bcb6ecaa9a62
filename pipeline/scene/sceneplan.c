#include "pipeline/scene/sceneplan.h"

#include <math.h>
#include <string.h>

#include "pipeline/scene/scenerandom.h"

/* Ways in and out of the picture are this far beyond its edge, metres. */
#define PERSON_CLEARANCE  0.9f
#define VEHICLE_CLEARANCE 6.0f

/* A plan in the making. */
struct planner {
    struct scene_chapter *chapter;
    const struct scene_world *world;
    struct scene_random random;
};

static float range(struct planner *planner, float low, float high)
{
    return scene_random_range(&planner->random, low, high);
}

static int below(struct planner *planner, int count)
{
    return scene_random_below(&planner->random, count);
}

static float either_side(struct planner *planner)
{
    return below(planner, 2) ? 1.0f : -1.0f;
}

/* NULL when the chapter has no room for one more. */
static struct scene_actor *actor_add(struct planner *planner, enum scene_actor_kind kind,
                                     float time, float x, float depth)
{
    struct scene_chapter *chapter = planner->chapter;
    if (chapter->actor_count == SCENE_ACTORS_MAX)
        return NULL;
    struct scene_actor *actor = &chapter->actors[chapter->actor_count];
    *actor = (struct scene_actor){
        .id =
            (uint32_t)(chapter->index * SCENE_ACTORS_MAX) + (uint32_t)chapter->actor_count + 1,
        .kind = kind,
        .look = scene_random_next(&planner->random),
        .count = 1,
        .waypoints = {{time, x, depth}},
    };
    chapter->actor_count++;
    return actor;
}

static float actor_end(const struct scene_actor *actor)
{
    return actor->waypoints[actor->count - 1].time;
}

static void actor_go(struct scene_actor *actor, float x, float depth, float speed)
{
    const struct scene_waypoint *last = &actor->waypoints[actor->count - 1];
    float dx = x - last->x, dd = depth - last->depth;
    float seconds = sqrtf(dx * dx + dd * dd) / speed;
    if (actor->count < SCENE_WAYPOINTS_MAX && seconds > 0.05f)
        actor->waypoints[actor->count++] =
            (struct scene_waypoint){last->time + seconds, x, depth};
}

static void actor_stand(struct scene_actor *actor, float seconds)
{
    struct scene_waypoint next = actor->waypoints[actor->count - 1];
    next.time += seconds;
    if (actor->count < SCENE_WAYPOINTS_MAX)
        actor->waypoints[actor->count++] = next;
}

/* Nearer than this a standing figure of `up` metres is below the picture's edge. */
static float unseen_depth(const struct scene_world *world, float up)
{
    float part = (world->camera.height - up) / world->camera.height;
    return world->near_edge * scene_clamp(part, 0.12f, 1.0f) * 0.92f;
}

struct spot {
    float x, depth;
};

/* A place on the ground where people walk or stand, in the picture. */
static struct spot spot_inside(struct planner *planner)
{
    const struct scene_world *world = planner->world;
    float depth, x;
    switch (world->view) {
    case SCENE_VIEW_ACROSS:
        depth = below(planner, 2)
                    ? range(planner, world->road_far + 1.2f, world->far_edge - 0.5f)
                    : range(planner, world->near_edge * 1.08f, world->road_near);
        return (struct spot){scene_world_reach(world, depth) * range(planner, -0.8f, 0.8f),
                             depth};
    case SCENE_VIEW_ALONG:
        x = either_side(planner) *
            range(planner, world->road_far + 0.8f, world->far_edge - 0.5f);
        depth = range(planner, world->near_edge * 1.2f, 20.0f);
        while (scene_world_reach(world, depth) < (x < 0.0f ? -x : x) + 0.5f)
            depth += 1.0f;
        return (struct spot){x, depth};
    default:
        depth = range(planner, world->near_edge * 1.05f, world->far_edge - 0.5f);
        x = scene_world_reach(world, depth);
        x = x < world->half_width - 0.4f ? x : world->half_width - 0.4f;
        return (struct spot){x * range(planner, -0.85f, 0.85f), depth};
    }
}

/* A place out of sight from which `to` can be reached without passing through a wall. */
static struct spot spot_outside(struct planner *planner, struct spot to)
{
    const struct scene_world *world = planner->world;
    float side = to.x + either_side(planner) * 3.0f < 0.0f ? -1.0f : 1.0f;
    float edge = scene_world_reach(world, to.depth) + PERSON_CLEARANCE;
    bool sideways = world->view == SCENE_VIEW_ACROSS || edge < world->half_width;
    if (sideways && below(planner, 4) > 0)
        return (struct spot){side * edge, to.depth};
    if (world->view == SCENE_VIEW_ALONG && below(planner, 2))
        return (struct spot){to.x < 0.0f ? -world->far_edge : world->far_edge, to.depth};
    /* From below: heads come into the picture first. */
    bool on_far_pavement = world->view == SCENE_VIEW_ACROSS && to.depth > world->road_near;
    if (on_far_pavement)
        return (struct spot){side * edge, to.depth};
    float depth = unseen_depth(world, 1.95f);
    return (struct spot){to.x * depth / to.depth, depth};
}

static float walking_pace(struct planner *planner)
{
    return range(planner, 1.0f, 1.7f);
}

static float plan_passing(struct planner *planner, float start, float speed)
{
    struct spot to = spot_inside(planner);
    struct spot from = spot_outside(planner, to);
    struct scene_actor *actor = actor_add(planner, SCENE_PERSON, start, from.x, from.depth);
    if (!actor)
        return start;
    actor_go(actor, to.x, to.depth, speed);
    if (planner->world->view == SCENE_VIEW_ACROSS && from.depth == to.depth) {
        actor_go(actor, -from.x, from.depth, speed);
    } else {
        struct spot out = spot_outside(planner, to);
        if (out.x == from.x && out.depth == from.depth)
            actor_stand(actor, 1.5f); /* the same way back: pause before turning round */
        actor_go(actor, out.x, out.depth, speed);
    }
    return actor_end(actor);
}

static float plan_walk(struct planner *planner, float start)
{
    float end = start;
    int ticket = below(planner, 9);
    int people = ticket < 4 ? 1 : ticket < 8 ? 2 : 3;
    for (int i = 0; i < people; i++) {
        float later = range(planner, 0.0f, 3.0f) * (float)i;
        float ends = plan_passing(planner, start + later, walking_pace(planner));
        end = ends > end ? ends : end;
    }
    return end;
}

static float plan_run(struct planner *planner, float start)
{
    return plan_passing(planner, start, range(planner, 2.6f, 4.5f));
}

static float plan_drive(struct planner *planner, float start)
{
    const struct scene_world *world = planner->world;
    float side = either_side(planner), speed = range(planner, 5.0f, 11.0f);
    struct spot from, stop, to;
    if (world->view == SCENE_VIEW_ALONG) { /* on the right, as seen by the driver */
        float near = unseen_depth(world, 2.4f), x = side * 0.5f * world->road_far;
        from = (struct spot){x, side > 0.0f ? near : 85.0f};
        to = (struct spot){x, side > 0.0f ? 85.0f : near};
        stop = (struct spot){side * (world->road_far - 1.0f), 16.0f};
    } else {
        float quarter = 0.25f * (world->road_far - world->road_near);
        float depth = 0.5f * (world->road_near + world->road_far) - side * quarter;
        float edge = scene_world_reach(world, depth) + VEHICLE_CLEARANCE;
        from = (struct spot){-side * edge, depth};
        to = (struct spot){side * edge, depth};
        stop = (struct spot){range(planner, -0.4f, 0.4f) * edge, depth};
    }
    struct scene_actor *actor = actor_add(planner, SCENE_VEHICLE, start, from.x, from.depth);
    if (!actor)
        return start;
    if (below(planner, 3) == 0) {
        actor_go(actor, stop.x, stop.depth, speed * 0.6f);
        actor_stand(actor, range(planner, 2.5f, 6.0f));
        speed *= 0.6f;
    }
    actor_go(actor, to.x, to.depth, speed);
    return actor_end(actor);
}

static float plan_loiter(struct planner *planner, float start)
{
    struct spot at = spot_inside(planner), from = spot_outside(planner, at);
    struct scene_actor *actor = actor_add(planner, SCENE_PERSON, start, from.x, from.depth);
    if (!actor)
        return start;
    float pace = walking_pace(planner);
    actor_go(actor, at.x, at.depth, pace);
    int rounds = 1 + below(planner, 2);
    for (int i = 0; i < rounds; i++) {
        actor_stand(actor, range(planner, 2.0f, 6.0f));
        float x = at.x + range(planner, -2.5f, 2.5f);
        float reach = scene_world_reach(planner->world, at.depth);
        if (planner->world->view == SCENE_VIEW_ALONG)
            actor_go(actor, at.x, at.depth + range(planner, 0.5f, 2.5f), pace * 0.7f);
        else
            actor_go(actor, scene_clamp(x, -reach, reach), at.depth, pace * 0.7f);
    }
    actor_stand(actor, range(planner, 1.5f, 4.0f));
    actor_go(actor, from.x, from.depth, pace);
    return actor_end(actor);
}

static float plan_meet(struct planner *planner, float start)
{
    struct spot at = spot_inside(planner);
    struct spot ways[2];
    ways[0] = spot_outside(planner, at);
    ways[1] = spot_outside(planner, at);
    float end = start, met = start;
    struct scene_actor *pair[2];
    for (int i = 0; i < 2; i++) {
        struct spot beside = {at.x + (i ? 0.45f : -0.45f), at.depth + (i ? 0.2f : 0.0f)};
        pair[i] =
            actor_add(planner, SCENE_PERSON, start + 1.5f * (float)i, ways[i].x, ways[i].depth);
        if (!pair[i])
            return end;
        actor_go(pair[i], beside.x, beside.depth, walking_pace(planner));
        met = actor_end(pair[i]) > met ? actor_end(pair[i]) : met;
        end = met;
    }
    float talk = range(planner, 2.5f, 6.0f);
    for (int i = 0; i < 2; i++) {
        actor_stand(pair[i], met - actor_end(pair[i]) + talk);
        actor_go(pair[i], ways[1 - i].x, ways[1 - i].depth, walking_pace(planner));
        end = actor_end(pair[i]) > end ? actor_end(pair[i]) : end;
    }
    return end;
}

/* One row an episode kind: what enables it, how often it is drawn, how it is planned (NULL:
 * nothing but its duration), and how long it lasts in that case. */
static const struct {
    unsigned feature;
    int weight;
    bool outdoors_only;
    float (*plan)(struct planner *planner, float start);
    float shortest, longest;
} kinds[SCENE_EPISODE_KINDS] = {
    [SCENE_WALK] = {SCENE_FEATURE_MOVEMENT, 9, false, plan_walk},
    [SCENE_RUN] = {SCENE_FEATURE_MOVEMENT, 3, false, plan_run},
    [SCENE_DRIVE] = {SCENE_FEATURE_MOVEMENT, 7, true, plan_drive},
    [SCENE_LOITER] = {SCENE_FEATURE_MOVEMENT, 4, false, plan_loiter},
    [SCENE_MEET] = {SCENE_FEATURE_MOVEMENT, 3, false, plan_meet},
    [SCENE_CLOUD] = {SCENE_FEATURE_LIGHTING, 2, false, NULL, 6.0f, 10.0f},
    [SCENE_SWITCH] = {SCENE_FEATURE_LIGHTING, 2, false, NULL, 5.0f, 8.0f},
    [SCENE_HEADLIGHTS] = {SCENE_FEATURE_LIGHTING, 1, true, NULL, 2.5f, 5.0f},
    [SCENE_RAIN] = {SCENE_FEATURE_WEATHER, 3, true, NULL, 8.0f, 14.0f},
    [SCENE_SNOW] = {SCENE_FEATURE_WEATHER, 2, true, NULL, 8.0f, 14.0f},
    [SCENE_INSECT] = {SCENE_FEATURE_INSECT, 1, false, NULL, 2.0f, 5.0f},
    [SCENE_COVER] = {SCENE_FEATURE_COVERED, 2, false, NULL, 6.0f, 9.0f},
    [SCENE_TURN] = {SCENE_FEATURE_MOVED, 1, false, NULL, 7.0f, 11.0f},
    [SCENE_KNOCK] = {SCENE_FEATURE_MOVED, 1, false, NULL, 2.0f, 3.5f},
    [SCENE_DEFOCUS] = {SCENE_FEATURE_DEFOCUSED, 2, false, NULL, 7.0f, 10.0f},
    [SCENE_FREEZE] = {SCENE_FEATURE_FROZEN, 2, false, NULL, 9.0f, 13.0f},
};

static int weight_of(const struct planner *planner, int kind, unsigned features)
{
    if (!(kinds[kind].feature & features))
        return 0;
    if (kinds[kind].outdoors_only && planner->world->view == SCENE_VIEW_ROOM)
        return 0;
    return kinds[kind].weight;
}

/* -1: nothing is enabled. */
static int draw_kind(struct planner *planner, unsigned features)
{
    int total = 0;
    for (int kind = 0; kind < SCENE_EPISODE_KINDS; kind++)
        total += weight_of(planner, kind, features);
    if (total == 0)
        return -1;
    int ticket = below(planner, total);
    for (int kind = 0;; kind++) {
        ticket -= weight_of(planner, kind, features);
        if (ticket < 0)
            return kind;
    }
}

void scene_chapter_plan(struct scene_chapter *chapter, const struct scene_world *world,
                        uint64_t seed, uint64_t index, unsigned features)
{
    chapter->index = index;
    chapter->episode_count = 0;
    chapter->actor_count = 0;
    struct planner planner = {chapter, world, {scene_hash2(scene_hash2(seed, 4), index)}};
    float time = range(&planner, 2.0f, 4.0f);
    /* A draw that does not fit in what is left of the minute is thrown away and drawn again a
     * few times: short kinds then fill the end. */
    for (int misses = 0; misses < 6 && chapter->episode_count < SCENE_EPISODES_MAX;) {
        int kind = draw_kind(&planner, features);
        if (kind < 0)
            return;
        int actors = chapter->actor_count;
        struct scene_episode episode = {(enum scene_episode_kind)kind, time, time,
                                        scene_random_next(&planner.random)};
        if (kinds[kind].plan)
            episode.end = kinds[kind].plan(&planner, time);
        else
            episode.end = time + range(&planner, kinds[kind].shortest, kinds[kind].longest);
        bool wet = kind == SCENE_RAIN || kind == SCENE_SNOW;
        if (wet && (features & SCENE_FEATURE_MOVEMENT) && below(&planner, 3) == 0) {
            float ends = plan_walk(&planner, time + 2.0f);
            episode.end = ends > episode.end ? ends : episode.end;
        }
        if (episode.end > (float)SCENE_CHAPTER_SECONDS - 1.0f || episode.end <= episode.start) {
            chapter->actor_count = actors;
            misses++;
            continue;
        }
        chapter->episodes[chapter->episode_count++] = episode;
        time = episode.end + range(&planner, 2.5f, 5.0f);
    }
}
