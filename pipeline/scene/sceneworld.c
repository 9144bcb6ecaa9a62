/* Painting the place: ground pixel by pixel from its ground coordinates, everything upright as
 * quadrilaterals projected by the camera, farthest first. Surfaces get grain from noise over
 * metres, not pixels, so that a seed is one place whatever the picture's size. */
#include "pipeline/scene/sceneworld.h"

#include <math.h>
#include <stddef.h>

#include "pipeline/scene/scenerandom.h"

/* The view may turn by these parts of the picture to each side. */
#define MARGIN_X 0.25f
#define MARGIN_Y 0.15f

/* What is being painted: the world's canvas is offset against the visible picture. */
struct painter {
    const struct scene_world *world;
    struct scene_canvas *canvas;
    float left, top;
    struct scene_random random;
    uint64_t grain;
};

struct scene_point scene_camera_project(const struct scene_camera *camera, float x, float up,
                                        float depth)
{
    float scale = camera->focal / depth;
    return (struct scene_point){camera->centre_x + x * scale,
                                camera->horizon + (camera->height - up) * scale};
}

float scene_world_reach(const struct scene_world *world, float depth)
{
    return 0.5f * (float)world->width * depth / world->camera.focal;
}

static struct scene_point place(const struct painter *painter, float x, float up, float depth)
{
    struct scene_point p = scene_camera_project(&painter->world->camera, x, up, depth);
    return (struct scene_point){p.x + painter->left, p.y + painter->top};
}

/* Smooth noise, -0.5..0.5, of features about one unit large. */
static float noise_at(float x, float y, uint64_t seed)
{
    float fx = floorf(x), fy = floorf(y);
    int64_t ix = (int64_t)fx, iy = (int64_t)fy;
    float corner[4];
    for (int i = 0; i < 4; i++) {
        uint64_t cell = (uint64_t)(ix + (i & 1)) * 0x1f123bb5u ^ (uint64_t)(iy + (i >> 1))
                                                                     << 20;
        corner[i] = scene_hash_unit(scene_hash(cell ^ seed));
    }
    float u = x - fx, v = y - fy;
    float upper = corner[0] + (corner[1] - corner[0]) * u;
    float lower = corner[2] + (corner[3] - corner[2]) * u;
    return upper + (lower - upper) * v - 0.5f;
}

static float part_of(float value, float period)
{
    float t = value / period;
    return t - floorf(t);
}

struct surfaces {
    struct scene_colour pavement, road, marking, kerb, board[3];
    float plank, grain, crossing; /* crossing: where the zebra lies */
    bool boards, tiles;
};

/* How much of a line `width` metres wide shows where a metre is `scale` pixels. */
static float line_strength(float width, float scale)
{
    return scene_clamp(width * scale, 0.0f, 1.0f);
}

static struct scene_colour street_ground(const struct painter *painter,
                                         const struct surfaces *surfaces, float x, float depth,
                                         float *ret_gain)
{
    const struct scene_world *world = painter->world;
    bool across = world->view == SCENE_VIEW_ACROSS;
    float to_side = across ? depth : (x < 0.0f ? -x : x);
    float lengthwise = across ? x : depth;
    float scale = world->camera.focal / depth;
    float grain =
        surfaces->grain *
        (noise_at(x * 1.3f, depth * 1.3f, painter->grain) +
         line_strength(0.1f, scale) * noise_at(x * 14.0f, depth * 14.0f, painter->grain + 1));
    *ret_gain = 1.0f + grain;

    float near = across ? world->road_near : 0.0f, far = world->road_far;
    if (to_side > near && to_side < far) {
        float middle = across ? 0.5f * (near + far) : 0.0f;
        float off = to_side - middle;
        bool on_crossing =
            lengthwise > surfaces->crossing && lengthwise < surfaces->crossing + 3;
        if (on_crossing && part_of(across ? depth : x, 1.0f) < 0.5f)
            return surfaces->marking;
        if (!on_crossing && off > -0.08f && off < 0.08f && part_of(lengthwise, 4.0f) < 0.5f)
            return surfaces->marking;
        return surfaces->road;
    }
    float to_kerb = to_side < far ? near - to_side : to_side - far;
    if (to_kerb < 0.25f)
        return surfaces->kerb;
    if (part_of(lengthwise, 1.2f) < 0.04f || part_of(to_side, 1.2f) < 0.04f)
        *ret_gain -= 0.25f * line_strength(0.05f, scale);
    return surfaces->pavement;
}

static struct scene_colour room_ground(const struct painter *painter,
                                       const struct surfaces *surfaces, float x, float depth,
                                       float *ret_gain)
{
    float scale = painter->world->camera.focal / depth;
    *ret_gain = 1.0f + surfaces->grain * noise_at(x * 2.0f, depth * 2.0f, painter->grain);
    if (surfaces->boards) {
        float plank = floorf(x / surfaces->plank);
        uint64_t hash = scene_hash2((uint64_t)(int64_t)plank, painter->grain);
        float joint = depth + 2.0f * scene_hash_unit(hash);
        if (part_of(x, surfaces->plank) < 0.06f || part_of(joint, 2.4f) < 0.01f)
            *ret_gain -= 0.3f * line_strength(0.03f, scale);
        *ret_gain += 0.5f * surfaces->grain * noise_at(x * 40.0f, joint * 2.0f, painter->grain);
        return surfaces->board[hash % 3];
    }
    if (surfaces->tiles && (part_of(x, surfaces->plank * 4.0f) < 0.03f ||
                            part_of(depth, surfaces->plank * 4.0f) < 0.03f))
        *ret_gain -= 0.25f * line_strength(0.03f, scale);
    return surfaces->board[0];
}

static void paint_ground(struct painter *painter, const struct surfaces *surfaces)
{
    const struct scene_camera *camera = &painter->world->camera;
    struct scene_plane *luma = &painter->canvas->planes[0];
    struct scene_plane *u = &painter->canvas->planes[1], *v = &painter->canvas->planes[2];
    for (int row = 0; row < luma->height; row++) {
        float below = (float)row + 0.5f - painter->top - camera->horizon;
        float depth = camera->height * camera->focal / (below < 0.5f ? 0.5f : below);
        if (below < 0.0f || depth > 400.0f)
            continue;
        for (int column = 0; column < luma->width; column++) {
            float x = ((float)column + 0.5f - painter->left - camera->centre_x) * depth /
                      camera->focal;
            float gain;
            struct scene_colour colour =
                painter->world->view == SCENE_VIEW_ROOM
                    ? room_ground(painter, surfaces, x, depth, &gain)
                    : street_ground(painter, surfaces, x, depth, &gain);
            colour = scene_colour_lit(colour, gain);
            luma->data[row * luma->stride + column] = colour.y;
            u->data[row / 2 * u->stride + column / 2] = colour.u;
            v->data[row / 2 * v->stride + column / 2] = colour.v;
        }
    }
}

static void paint_sky(struct painter *painter, int red, int green, int blue)
{
    float horizon = painter->world->camera.horizon + painter->top;
    for (int i = 0; i < 3; i++) {
        struct scene_plane *plane = &painter->canvas->planes[i];
        for (int row = 0; row < plane->height; row++) {
            float height = scene_clamp(1.0f - (float)(i ? row * 2 : row) / horizon, 0.0f, 1.0f);
            int paler = (int)(40.0f * (1.0f - height));
            struct scene_colour colour =
                scene_colour_rgb(red + paler > 250 ? 250 : red + paler,
                                 green + paler > 250 ? 250 : green + paler, blue);
            uint8_t value = i == 0 ? colour.y : i == 1 ? colour.u : colour.v;
            uint8_t *data = plane->data + (size_t)row * (size_t)plane->stride;
            for (int column = 0; column < plane->width; column++)
                data[column] = value;
        }
    }
}

/* An upright wall whose foot runs from (x0, d0) to (x1, d1). */
struct wall {
    float x0, d0, x1, d1, length;
};

/* The rectangle from `left` to `right` metres along the wall, `low` to `high` over ground. */
static void paint_on_wall(const struct painter *painter, const struct wall *wall, float left,
                          float right, float low, float high, struct scene_colour colour,
                          float opacity)
{
    float a = left / wall->length, b = right / wall->length;
    float xa = wall->x0 + (wall->x1 - wall->x0) * a, da = wall->d0 + (wall->d1 - wall->d0) * a;
    float xb = wall->x0 + (wall->x1 - wall->x0) * b, db = wall->d0 + (wall->d1 - wall->d0) * b;
    struct scene_point corners[4] = {place(painter, xa, low, da), place(painter, xa, high, da),
                                     place(painter, xb, high, db), place(painter, xb, low, db)};
    scene_canvas_polygon(painter->canvas, corners, 4, colour, opacity);
}

static struct scene_colour random_colour(struct scene_random *random, int low, int high,
                                         int tint)
{
    int base = low + scene_random_below(random, high - low);
    int red = base + scene_random_below(random, 2 * tint + 1) - tint / 2;
    int green = base + scene_random_below(random, 2 * tint + 1) - tint;
    int blue = base + scene_random_below(random, 2 * tint + 1) - tint - tint / 2;
    return scene_colour_rgb(red < 0 ? 0 : red, green < 0 ? 0 : green, blue < 0 ? 0 : blue);
}

static void paint_house(struct painter *painter, const struct wall *wall, float height,
                        float shade)
{
    struct scene_random *random = &painter->random;
    struct scene_colour plaster = scene_colour_lit(random_colour(random, 90, 200, 30), shade);
    struct scene_colour dark = scene_colour_lit(plaster, 0.55f);
    struct scene_colour pale = scene_colour_lit(plaster, 1.2f);
    struct scene_colour glass = scene_colour_lit(scene_colour_rgb(60, 72, 88), shade);
    struct scene_colour lit = scene_colour_rgb(250, 220, 150);
    float length = wall->length;
    paint_on_wall(painter, wall, 0.0f, length, 0.0f, height, plaster, 1.0f);

    bool brick = scene_random_below(random, 2) == 0;
    for (float up = 0.4f; brick && up < height; up += 0.4f)
        paint_on_wall(painter, wall, 0.0f, length, up, up + 0.06f, dark, 0.3f);

    float storey = scene_random_range(random, 2.8f, 3.6f);
    float bay = scene_random_range(random, 1.8f, 3.2f);
    float window = bay * scene_random_range(random, 0.4f, 0.65f);
    int bays = (int)((length - 0.8f) / bay);
    float margin = 0.5f * (length - (float)bays * bay);
    for (float floor = storey; floor + storey < height + 0.8f; floor += storey) {
        for (int i = 0; i < bays; i++) {
            float left = margin + (float)i * bay + 0.5f * (bay - window), right = left + window;
            float low = floor + 0.9f, high = floor + storey - 0.5f;
            bool is_lit = painter->world->light < 0.7f && scene_random_below(random, 3) == 0;
            paint_on_wall(painter, wall, left - 0.1f, right + 0.1f, low - 0.15f, high + 0.1f,
                          pale, 1.0f);
            paint_on_wall(painter, wall, left, right, low, high, is_lit ? lit : glass, 1.0f);
            paint_on_wall(painter, wall, left + 0.48f * window, left + 0.54f * window, low,
                          high, pale, 1.0f);
        }
    }
    /* The ground floor: a door, and shop windows under an awning or plain windows. */
    float door = margin + scene_random_range(random, 0.0f, length - 2.0f * margin - 1.2f);
    struct scene_colour awning = scene_colour_lit(random_colour(random, 70, 150, 45), shade);
    bool shop = scene_random_below(random, 2) == 0;
    if (shop) {
        paint_on_wall(painter, wall, 0.4f, length - 0.4f, 0.5f, 2.3f, glass, 1.0f);
        for (float at = 0.4f; at < length - 0.4f; at += bay)
            paint_on_wall(painter, wall, at, at + 0.12f, 0.5f, 2.3f, pale, 1.0f);
        paint_on_wall(painter, wall, 0.2f, length - 0.2f, 2.3f, 2.9f, awning, 1.0f);
    } else {
        for (int i = 0; i < bays; i++) {
            float left = margin + (float)i * bay + 0.5f * (bay - window);
            paint_on_wall(painter, wall, left, left + window, 1.0f, 2.3f, glass, 1.0f);
        }
    }
    paint_on_wall(painter, wall, door, door + 1.1f, 0.0f, 2.2f, dark, 1.0f);
    paint_on_wall(painter, wall, 0.0f, length, height - 0.4f, height, dark, 1.0f);
    paint_on_wall(painter, wall, length - 0.15f, length, 0.0f, height, dark, 0.5f);
}

static void paint_tree(struct painter *painter, float x, float depth, float up)
{
    struct scene_random *random = &painter->random;
    float metre = painter->world->camera.focal / depth;
    struct scene_point foot = place(painter, x, 0.0f, depth);
    struct scene_point crown = place(painter, x, up * 0.7f, depth);
    struct scene_colour bark = scene_colour_rgb(78, 62, 50);
    int leaf = 70 + scene_random_below(random, 50);
    scene_canvas_limb(painter->canvas, foot, 0.16f * metre, crown, 0.08f * metre, bark, 1.0f);
    for (int i = 0; i < 60; i++) {
        float angle = scene_random_range(random, 0.0f, 1.0f);
        float out = up * 0.3f * sqrtf(scene_random_range(random, 0.0f, 1.0f));
        float side = out * scene_sine(angle), rise = out * scene_cosine(angle);
        int tone = leaf + scene_random_below(random, 40) - (rise < 0.0f ? 30 : 5);
        struct scene_colour green = scene_colour_rgb(tone * 3 / 4, tone, tone / 2);
        float size = up * scene_random_range(random, 0.03f, 0.09f) * metre;
        scene_canvas_ellipse(
            painter->canvas,
            (struct scene_point){crown.x + side * metre, crown.y - rise * metre}, size * 1.3f,
            size, 0.0f, green, 0.9f);
    }
}

static void add_post(struct scene_world *world, float x, float depth, float up, float radius,
                     struct scene_colour colour)
{
    if (world->post_count < SCENE_POSTS_MAX)
        world->posts[world->post_count++] = (struct scene_post){x, depth, up, radius, colour};
}

struct scene_extent scene_world_post_extent(const struct scene_world *world,
                                            const struct scene_post *post, int view_x,
                                            int view_y)
{
    float radius = post->radius * world->camera.focal / post->depth;
    struct scene_point foot = scene_camera_project(&world->camera, post->x, 0.0f, post->depth);
    struct scene_point head =
        scene_camera_project(&world->camera, post->x, post->up, post->depth);
    float x = foot.x - (float)view_x;
    return (struct scene_extent){x - radius, head.y - (float)view_y, x + radius,
                                 foot.y - (float)view_y};
}

void scene_world_paint_post(const struct scene_world *world, const struct scene_post *post,
                            struct scene_canvas *canvas, int view_x, int view_y)
{
    struct scene_extent stands = scene_world_post_extent(world, post, view_x, view_y);
    float x = 0.5f * (stands.x0 + stands.x1), radius = 0.5f * (stands.x1 - stands.x0);
    scene_canvas_limb(canvas, (struct scene_point){x, stands.y1}, radius,
                      (struct scene_point){x, stands.y0}, 0.7f * radius, post->colour, 1.0f);
}

/* Each draw is a statement of its own, here and everywhere: C leaves the order open in which
 * arguments and initializers are evaluated, and compilers differ. */
static struct surfaces street_surfaces(struct scene_random *random)
{
    int asphalt = 58 + scene_random_below(random, 50);
    struct surfaces surfaces = {
        .road = scene_colour_rgb(asphalt, asphalt, asphalt + 4),
        .marking = scene_colour_rgb(225, 225, 215),
        .kerb = scene_colour_rgb(180, 180, 176),
    };
    surfaces.pavement = random_colour(random, 120, 185, 3);
    surfaces.grain = scene_random_range(random, 0.08f, 0.35f);
    surfaces.crossing = scene_random_range(random, -6.0f, 18.0f);
    return surfaces;
}

static void paint_street_across(struct painter *painter, struct scene_world *world)
{
    struct scene_random *random = &painter->random;
    struct surfaces surfaces = street_surfaces(random);
    paint_ground(painter, &surfaces);

    float reach = 1.7f * scene_world_reach(world, world->far_edge);
    for (float x = -reach; x < reach;) {
        float length = scene_random_range(random, 6.0f, 13.0f);
        float height = scene_random_range(random, 6.0f, 17.0f);
        struct wall wall = {x, world->far_edge, x + length, world->far_edge, length};
        if (scene_random_below(random, 7) == 0)
            paint_tree(painter, x + 0.5f * length, world->far_edge + 2.0f, 8.0f);
        else
            paint_house(painter, &wall, height, 1.0f);
        x += length;
    }
    float edge = world->road_far + 0.8f;
    for (float x = -reach + scene_random_range(random, 0.0f, 6.0f); x < reach;
         x += scene_random_range(random, 7.0f, 16.0f)) {
        if (scene_random_below(random, 2) == 0) {
            paint_tree(painter, x, edge, scene_random_range(random, 4.0f, 7.0f));
            add_post(world, x, edge, 2.0f, 0.14f, scene_colour_rgb(78, 62, 50));
        } else {
            add_post(world, x, edge, 5.5f, 0.07f, scene_colour_rgb(66, 70, 72));
        }
    }
}

static void paint_street_along(struct painter *painter, struct scene_world *world)
{
    struct scene_random *random = &painter->random;
    struct surfaces surfaces = street_surfaces(random);
    paint_ground(painter, &surfaces);

    struct wall end = {-12.0f, 110.0f, 12.0f, 110.0f, 24.0f};
    paint_house(painter, &end, 14.0f, 0.9f);
    float sun = scene_random_range(random, 0.65f, 1.0f);
    for (int side = -1; side <= 1; side += 2) {
        float x = (float)side * world->far_edge;
        for (float depth = 100.0f; depth > 2.0f;) {
            float length = scene_random_range(random, 7.0f, 14.0f);
            float height = scene_random_range(random, 7.0f, 16.0f);
            float next = depth - length < 2.0f ? 1.5f : depth - length;
            struct wall wall = {x, depth, x, next, depth - next};
            if (wall.length > 3.0f)
                paint_house(painter, &wall, height, side < 0 ? sun : 1.65f - sun);
            depth = next;
        }
        float edge = (float)side * (world->road_far + 0.5f);
        for (float depth = 60.0f; depth > 9.0f;
             depth -= scene_random_range(random, 12.0f, 20.0f)) {
            if (scene_random_below(random, 3) == 0)
                paint_tree(painter, edge, depth, scene_random_range(random, 4.0f, 6.0f));
            add_post(world, edge, depth, 5.5f, 0.08f, scene_colour_rgb(66, 70, 72));
        }
    }
}

static void paint_table(struct painter *painter, float x, float depth, struct scene_colour top)
{
    struct scene_canvas *canvas = painter->canvas;
    float metre = painter->world->camera.focal / depth;
    struct scene_point foot = place(painter, x, 0.0f, depth),
                       head = place(painter, x, 1.05f, depth);
    struct scene_colour steel = scene_colour_rgb(120, 120, 124);
    scene_canvas_ellipse(canvas, foot, 0.4f * metre, 0.12f * metre, 1.0f,
                         scene_colour_rgb(20, 20, 20), 0.5f);
    scene_canvas_limb(canvas, foot, 0.04f * metre, head, 0.04f * metre, steel, 1.0f);
    for (int side = -1; side <= 1; side += 2)
        scene_canvas_limb(canvas, (struct scene_point){foot.x, foot.y - 0.08f * metre},
                          0.03f * metre,
                          (struct scene_point){foot.x + (float)side * 0.3f * metre, foot.y},
                          0.02f * metre, steel, 1.0f);
    scene_canvas_ellipse(canvas, head, 0.42f * metre, 0.16f * metre, 0.0f, top, 1.0f);
}

static void paint_room(struct painter *painter, struct scene_world *world)
{
    struct scene_random *random = &painter->random;
    int wood = 70 + scene_random_below(random, 100);
    struct surfaces surfaces = {.boards = scene_random_below(random, 2) == 0};
    surfaces.tiles = scene_random_below(random, 2) == 0;
    surfaces.grain = scene_random_range(random, 0.02f, 0.3f);
    surfaces.plank = scene_random_range(random, 0.08f, 0.2f);
    for (int i = 0; i < 3; i++) {
        int tone = wood + (surfaces.boards ? scene_random_below(random, 30) : 0);
        surfaces.board[i] = scene_colour_rgb(tone, tone * 9 / 10, tone * 3 / 4);
    }
    paint_ground(painter, &surfaces);

    struct scene_colour paint = random_colour(random, 110, 225, 14);
    float side = world->half_width, back = world->far_edge;
    struct wall walls[3] = {{-side, back, side, back, 2.0f * side},
                            {-side, 0.7f, -side, back, back - 0.7f},
                            {side, 0.7f, side, back, back - 0.7f}};
    for (int i = 0; i < 3; i++) {
        float shade = i == 0 ? 1.0f : scene_random_range(random, 0.75f, 1.05f);
        struct scene_colour colour = scene_colour_lit(paint, shade);
        paint_on_wall(painter, &walls[i], 0.0f, walls[i].length, 0.0f, 4.5f, colour, 1.0f);
        paint_on_wall(painter, &walls[i], 0.0f, walls[i].length, 0.0f, 0.12f,
                      scene_colour_lit(colour, 0.45f), 1.0f);
    }
    for (float at = 0.4f; at + 1.6f < walls[0].length;) {
        float width = scene_random_range(random, 0.7f, 1.8f);
        struct scene_colour thing = random_colour(random, 20, 190, 40);
        int what = scene_random_below(random, 4);
        if (what == 0) { /* a door */
            paint_on_wall(painter, &walls[0], at, at + 1.0f, 0.0f, 2.1f,
                          scene_colour_lit(thing, 0.6f), 1.0f);
            paint_on_wall(painter, &walls[0], at + 0.08f, at + 0.92f, 0.0f, 2.02f, thing, 1.0f);
        } else if (what == 1) { /* a picture or screen */
            paint_on_wall(painter, &walls[0], at, at + width, 1.2f, 1.2f + 0.6f * width,
                          scene_colour_rgb(30, 30, 32), 1.0f);
            paint_on_wall(painter, &walls[0], at + 0.08f, at + width - 0.08f, 1.28f,
                          1.12f + 0.6f * width, thing, 1.0f);
        } else if (what == 2) { /* a cabinet */
            paint_on_wall(painter, &walls[0], at, at + width, 0.0f, 0.9f, thing, 1.0f);
            paint_on_wall(painter, &walls[0], at, at + width, 0.86f, 0.92f,
                          scene_colour_lit(thing, 1.4f), 1.0f);
        }
        at += width + scene_random_range(random, 0.3f, 2.0f);
    }
    if (scene_random_below(random, 2) == 0) {
        float x = scene_random_range(random, -0.6f, 0.6f) * side;
        float depth = scene_random_range(random, 0.7f, 0.9f) * back;
        struct scene_colour top = random_colour(random, 60, 230, 20);
        paint_table(painter, x, depth, top);
    }
}

/* A last pass: the hour's light and a contrast of its own for each place. */
static void light_canvas(struct scene_canvas *canvas, float light, float contrast)
{
    uint8_t table[256];
    for (int i = 0; i < 256; i++) {
        float value = 120.0f + ((float)i - 120.0f) * contrast;
        value = 16.0f + (value - 16.0f) * light;
        table[i] = (uint8_t)scene_clamp(value, 16.0f, 235.0f);
    }
    for (int i = 0; i < 3; i++) {
        struct scene_plane *plane = &canvas->planes[i];
        size_t size = (size_t)plane->stride * (size_t)plane->height;
        for (size_t k = 0; k < size; k++)
            plane->data[k] = i ? (uint8_t)(128.0f + ((float)plane->data[k] - 128.0f) * light)
                               : table[plane->data[k]];
    }
}

int scene_world_init(struct scene_world *world, uint64_t seed, bool indoors, int width,
                     int height)
{
    struct scene_random random = {scene_hash2(seed, 1)};
    bool along = scene_random_below(&random, 5) < 2;
    float tall = (float)height;
    *world = (struct scene_world){
        .view = indoors ? SCENE_VIEW_ROOM
                : along ? SCENE_VIEW_ALONG
                        : SCENE_VIEW_ACROSS,
        .width = width,
        .height = height,
        .margin_x = (int)((float)width * MARGIN_X) & ~1,
        .margin_y = (int)((float)height * MARGIN_Y) & ~1,
        .light = scene_random_below(&random, 4) == 0 ? scene_random_range(&random, 0.4f, 0.65f)
                                                     : scene_random_range(&random, 0.75f, 1.0f),
    };
    /* The row in brackets keeps one street at any aspect ratio: all is measured in heights. */
    struct scene_camera *camera = &world->camera;
    camera->centre_x =
        (float)width * (along ? scene_random_range(&random, 0.38f, 0.62f) : 0.5f);
    if (indoors) {
        camera->horizon = tall * scene_random_range(&random, -0.05f, 0.25f);
        camera->focal = tall * scene_random_range(&random, 0.8f, 1.2f);
        camera->height = scene_random_range(&random, 2.1f, 2.8f);
        world->near_edge = camera->height * camera->focal / (tall - camera->horizon);
        world->far_edge = world->near_edge + scene_random_range(&random, 3.0f, 6.0f);
        world->half_width =
            scene_world_reach(world, world->far_edge) * scene_random_range(&random, 0.8f, 1.3f);
    } else {
        camera->horizon = tall * (along ? scene_random_range(&random, 0.28f, 0.42f)
                                        : scene_random_range(&random, 0.2f, 0.36f));
        camera->focal = tall * scene_random_range(&random, 0.95f, 1.3f);
        camera->height = along ? scene_random_range(&random, 3.0f, 5.0f)
                               : scene_random_range(&random, 3.4f, 6.0f);
        world->near_edge = camera->height * camera->focal / (tall - camera->horizon);
        if (along) {
            world->road_far = scene_random_range(&random, 3.2f, 4.5f);
            world->far_edge = world->road_far + scene_random_range(&random, 2.5f, 4.0f);
        } else {
            world->road_near = world->near_edge + scene_random_range(&random, 1.5f, 3.5f);
            world->road_far = world->road_near + scene_random_range(&random, 6.5f, 8.5f);
            world->far_edge = world->road_far + scene_random_range(&random, 3.0f, 4.5f);
        }
    }
    int error = scene_canvas_init(&world->backdrop, width + 2 * world->margin_x,
                                  height + 2 * world->margin_y);
    if (error)
        return error;

    struct painter painter = {world,
                              &world->backdrop,
                              (float)world->margin_x,
                              (float)world->margin_y,
                              {scene_hash2(seed, 2)},
                              scene_hash2(seed, 3)};
    int blue = 150 + scene_random_below(&random, 90);
    paint_sky(&painter, blue - 50, blue - 20, blue);
    if (indoors)
        paint_room(&painter, world);
    else if (along)
        paint_street_along(&painter, world);
    else
        paint_street_across(&painter, world);
    light_canvas(&world->backdrop, world->light, scene_random_range(&random, 0.65f, 1.05f));
    for (int i = 0; i < world->post_count; i++) {
        world->posts[i].colour = scene_colour_lit(world->posts[i].colour, world->light);
        scene_world_paint_post(world, &world->posts[i], &world->backdrop, -world->margin_x,
                               -world->margin_y);
    }
    return 0;
}

void scene_world_finish(struct scene_world *world)
{
    scene_canvas_finish(&world->backdrop);
}
