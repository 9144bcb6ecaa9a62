/* Figures are built from limbs and polygons in a frame of their own: origin at the feet, one
 * unit a metre, `side` along the heading as far as we see it from the side, up. Seen from the
 * front a stride is foreshortened to nothing and the legs lift instead. */
#include "pipeline/scene/sceneactor.h"

#include <math.h>
#include <stddef.h>

#include "pipeline/scene/scenerandom.h"

bool scene_actor_pose(const struct scene_actor *actor, float time, struct scene_pose *ret_pose)
{
    if (actor->count < 2 || time < actor->waypoints[0].time ||
        time >= actor->waypoints[actor->count - 1].time)
        return false;
    struct scene_pose pose = {.heading_x = 1.0f};
    for (int i = 0; i + 1 < actor->count; i++) {
        const struct scene_waypoint *from = &actor->waypoints[i], *to = from + 1;
        float dx = to->x - from->x, dd = to->depth - from->depth;
        float length = sqrtf(dx * dx + dd * dd), lasts = to->time - from->time;
        if (length > 0.01f) {
            pose.heading_x = dx / length;
            pose.heading_depth = dd / length;
        }
        if (time >= to->time) {
            pose.way += length;
            continue;
        }
        float part = (time - from->time) / lasts;
        pose.x = from->x + dx * part;
        pose.depth = from->depth + dd * part;
        pose.way += length * part;
        pose.speed = length > 0.01f ? length / lasts : 0.0f;
        break;
    }
    *ret_pose = pose;
    return true;
}

/* The figure's frame on the canvas. */
struct figure {
    struct scene_canvas *canvas;
    struct scene_point foot;
    float metre;  /* pixels */
    float facing; /* +1 looks right, -1 left */
    float light;
};

static struct scene_point figure_point(const struct figure *figure, float side, float up)
{
    return (struct scene_point){figure->foot.x + figure->facing * side * figure->metre,
                                figure->foot.y - up * figure->metre};
}

static void figure_limb(const struct figure *figure, float side0, float up0, float r0,
                        float side1, float up1, float r1, struct scene_colour colour)
{
    scene_canvas_limb(figure->canvas, figure_point(figure, side0, up0), r0 * figure->metre,
                      figure_point(figure, side1, up1), r1 * figure->metre,
                      scene_colour_lit(colour, figure->light), 1.0f);
}

static void figure_polygon(const struct figure *figure, const struct scene_point *corners,
                           int count, struct scene_colour colour)
{
    struct scene_point points[SCENE_POLYGON_MAX];
    for (int i = 0; i < count; i++)
        points[i] = figure_point(figure, corners[i].x, corners[i].y);
    scene_canvas_polygon(figure->canvas, points, count, scene_colour_lit(colour, figure->light),
                         1.0f);
}

static void figure_disc(const struct figure *figure, float side, float up, float radius,
                        struct scene_colour colour)
{
    figure_limb(figure, side, up, radius, side, up, radius, colour);
}

static struct scene_colour cloth(struct scene_random *random)
{
    static const uint8_t dyes[][3] = {{25, 27, 34},    {52, 60, 82},    {120, 36, 40},
                                      {196, 190, 180}, {70, 88, 60},    {180, 140, 60},
                                      {92, 92, 98},    {230, 228, 222}, {60, 42, 34},
                                      {34, 84, 120},   {150, 80, 110},  {210, 110, 50}};
    const uint8_t *dye = dyes[scene_random_below(random, (int)(sizeof dyes / sizeof dyes[0]))];
    return scene_colour_rgb(dye[0], dye[1], dye[2]);
}

/* One leg of a stride: thigh swings about the hip, the knee bends while it comes forward. */
static void paint_leg(const struct figure *figure, float phase, float swing, float lift,
                      float apart, float hip, float build, struct scene_colour trousers,
                      struct scene_colour shoe)
{
    float forward = scene_sine(phase);
    float bend = scene_cosine(phase); /* > 0 while the leg comes forward */
    bend = bend > 0.0f ? bend : 0.0f;
    float half = 0.5f * hip;
    float knee = apart + half * swing * forward;
    float knee_up = half + 0.06f * lift * bend;
    float foot = apart + hip * swing * forward - 0.25f * hip * swing * bend * 2.0f;
    float foot_up = 0.05f + 0.22f * lift * bend;
    figure_limb(figure, apart * 0.7f, hip, 0.085f * build, knee, knee_up, 0.065f * build,
                trousers);
    figure_limb(figure, knee, knee_up, 0.062f * build, foot, foot_up, 0.045f * build, trousers);
    figure_limb(figure, foot, foot_up - 0.01f, 0.045f, foot + 0.12f * (0.3f + swing),
                foot_up - 0.015f, 0.035f, shoe);
}

static void paint_arm(const struct figure *figure, float phase, float swing, float apart,
                      float shoulder, float build, struct scene_colour sleeve,
                      struct scene_colour skin)
{
    float forward = scene_sine(phase) * swing;
    float elbow = apart + 0.26f * forward, elbow_up = shoulder - 0.3f;
    float hand = elbow + 0.1f * swing + 0.22f * forward;
    float hand_up = elbow_up - 0.24f + 0.1f * swing;
    figure_limb(figure, apart * 0.9f, shoulder, 0.06f * build, elbow, elbow_up, 0.05f * build,
                sleeve);
    figure_limb(figure, elbow, elbow_up, 0.048f * build, hand, hand_up, 0.038f * build, sleeve);
    figure_disc(figure, hand, hand_up, 0.045f, skin);
}

static void paint_person(const struct figure *figure, const struct scene_pose *pose,
                         uint64_t look)
{
    struct scene_random random = {look};
    float tall = scene_random_range(&random, 0.86f, 1.08f);
    float build = scene_random_range(&random, 0.85f, 1.3f);
    struct scene_colour coat = cloth(&random), trousers = cloth(&random), shoe = cloth(&random);
    struct scene_colour skin, hair;
    int tone = scene_random_below(&random, 3);
    skin = tone == 0   ? scene_colour_rgb(224, 182, 156)
           : tone == 1 ? scene_colour_rgb(176, 124, 92)
                       : scene_colour_rgb(104, 70, 52);
    int grey = 20 + scene_random_below(&random, 150);
    hair = scene_random_below(&random, 2) ? scene_colour_rgb(grey, grey * 3 / 4, grey / 2)
                                          : scene_colour_rgb(24, 20, 18);
    bool long_coat = scene_random_below(&random, 3) == 0;
    bool long_hair = scene_random_below(&random, 3) == 0;
    bool bag = scene_random_below(&random, 3) == 0;

    struct figure scaled = *figure;
    scaled.metre *= tall;
    float lateral = pose->heading_x < 0.0f ? -pose->heading_x : pose->heading_x;
    bool moving = pose->speed > 0.0f;
    float pace = moving ? scene_clamp(pose->speed / 1.4f, 0.6f, 1.7f) : 0.0f;
    float phase = pose->way / (0.75f + 0.5f * pace); /* a double step grows with the pace */
    float swing = 0.42f * pace * lateral + (moving ? 0.0f : 0.04f);
    float lift = moving ? 0.5f + 0.6f * pace : 0.0f;
    float hips = 0.09f * (1.0f - 0.6f * lateral) * build; /* legs side by side seen in front */
    float bob = moving ? 0.025f * pace * scene_cosine(2.0f * phase) : 0.0f;
    float hip = 0.88f + bob, shoulder = 1.42f + bob;
    float width = (0.13f + 0.09f * (1.0f - lateral)) * build;
    float lean = 0.05f * pace * lateral;

    paint_arm(&scaled, phase, 0.8f * pace * lateral, lean - width * (1.0f - lateral), shoulder,
              build, scene_colour_lit(coat, 0.8f), skin);
    paint_leg(&scaled, phase + 0.5f, swing, lift, -hips, hip, build,
              scene_colour_lit(trousers, 0.8f), shoe);
    paint_leg(&scaled, phase, swing, lift, hips, hip, build, trousers, shoe);
    float hem = long_coat ? 0.5f : hip - 0.06f;
    figure_limb(&scaled, lean, shoulder - 0.06f, width, 0.0f, hip, width * 0.85f, coat);
    struct scene_point skirt[4] = {{-width * 0.85f, hip + 0.05f},
                                   {width * 0.85f, hip + 0.05f},
                                   {width * (long_coat ? 1.2f : 0.9f), hem},
                                   {-width * (long_coat ? 1.2f : 0.9f), hem}};
    figure_polygon(&scaled, skirt, 4, coat);
    paint_arm(&scaled, phase + 0.5f, 0.8f * pace * lateral, lean + width * (1.0f - lateral),
              shoulder, build, scene_colour_lit(coat, 1.1f), skin);
    if (bag)
        figure_limb(&scaled, lean - width - 0.04f, shoulder - 0.15f, 0.1f, lean - width - 0.04f,
                    hip + 0.15f, 0.12f, shoe);
    figure_limb(&scaled, lean, shoulder, 0.055f, lean * 1.3f, shoulder + 0.12f, 0.05f, skin);
    float head = shoulder + 0.24f;
    figure_limb(&scaled, lean * 1.4f + 0.01f, head, 0.098f, lean * 1.4f + 0.015f, head - 0.05f,
                0.08f, skin);
    bool from_behind = pose->heading_depth > 0.3f;
    figure_limb(&scaled, lean * 1.4f - 0.025f, head + 0.03f, 0.1f,
                lean * 1.4f - (from_behind ? 0.0f : 0.06f * lateral),
                head - (from_behind ? 0.05f : 0.0f), 0.085f, hair);
    if (long_hair)
        figure_limb(&scaled, lean * 1.4f - 0.05f, head, 0.08f, lean - 0.08f * lateral,
                    shoulder - 0.08f, 0.06f, hair);
}

static void paint_wheel(const struct figure *figure, float side, float radius, float turned)
{
    figure_disc(figure, side, radius, radius, scene_colour_rgb(22, 22, 24));
    figure_disc(figure, side, radius, radius * 0.6f, scene_colour_rgb(130, 132, 136));
    for (int i = 0; i < 3; i++) { /* spokes, so that turning shows */
        float angle = turned + (float)i / 3.0f;
        figure_limb(figure, side, radius, radius * 0.1f,
                    side + radius * 0.5f * scene_cosine(angle),
                    radius - radius * 0.5f * scene_sine(angle), radius * 0.1f,
                    scene_colour_rgb(50, 50, 54));
    }
}

enum body { BODY_CAR, BODY_ESTATE, BODY_VAN, BODY_BUS };

struct body_size {
    float length, height, wheel, wide;
};

static const struct body_size bodies[] = {
    [BODY_CAR] = {4.3f, 1.45f, 0.32f, 1.75f},
    [BODY_ESTATE] = {4.6f, 1.5f, 0.33f, 1.8f},
    [BODY_VAN] = {5.4f, 2.3f, 0.36f, 2.0f},
    [BODY_BUS] = {9.0f, 3.0f, 0.46f, 2.5f},
};

static void paint_vehicle_side(const struct figure *figure, const struct scene_pose *pose,
                               enum body body, struct scene_colour colour)
{
    const struct body_size *size = &bodies[body];
    float half = size->length * 0.5f, sill = 0.25f,
          waist = body < BODY_VAN ? 0.9f : size->height;
    struct scene_colour glass = scene_colour_rgb(50, 62, 74),
                        dark = scene_colour_lit(colour, 0.6f);
    struct scene_point hull[6] = {{-half, sill},         {-half, waist - 0.08f},
                                  {-half + 0.1f, waist}, {half - 0.25f, waist - 0.06f},
                                  {half, waist - 0.3f},  {half, sill}};
    figure_polygon(figure, hull, 6, colour);
    if (body < BODY_VAN) {
        float back = body == BODY_ESTATE ? -half + 0.05f : -half + 0.7f;
        float roof_back = body == BODY_ESTATE ? -half + 0.25f : -half + 1.25f;
        struct scene_point cabin[4] = {{back, waist - 0.02f},
                                       {roof_back, size->height},
                                       {0.55f, size->height},
                                       {half - 1.1f, waist - 0.05f}};
        struct scene_point window[4] = {{back + 0.25f, waist},
                                        {roof_back + 0.1f, size->height - 0.1f},
                                        {0.48f, size->height - 0.1f},
                                        {half - 1.4f, waist}};
        figure_polygon(figure, cabin, 4, colour);
        figure_polygon(figure, window, 4, glass);
        figure_limb(figure, -0.35f, waist, 0.04f, -0.35f, size->height - 0.1f, 0.04f, colour);
    } else {
        int panes = body == BODY_BUS ? 6 : 1;
        for (int i = 0; i < panes; i++) {
            float right = half - 0.2f - 1.4f * (float)i, low = 0.5f * size->height;
            struct scene_point pane[4] = {{right - 1.2f, low},
                                          {right - 1.2f, size->height - 0.35f},
                                          {right - 0.1f, size->height - 0.35f},
                                          {right, low}};
            figure_polygon(figure, pane, 4, glass);
        }
    }
    struct scene_point skirt[4] = {
        {-half, sill}, {-half, sill + 0.18f}, {half, sill + 0.18f}, {half, sill}};
    figure_polygon(figure, skirt, 4, dark);
    figure_disc(figure, half - 0.08f, 0.62f, 0.09f, scene_colour_rgb(250, 246, 220));
    figure_disc(figure, -half + 0.06f, 0.66f, 0.08f, scene_colour_rgb(190, 30, 26));
    float turned = pose->way / (6.2832f * size->wheel);
    paint_wheel(figure, -half * 0.62f, size->wheel, turned);
    paint_wheel(figure, half * 0.64f, size->wheel, turned);
}

static void paint_vehicle_end(const struct figure *figure, enum body body,
                              struct scene_colour colour, bool approaching)
{
    const struct body_size *size = &bodies[body];
    float half = size->wide * 0.5f, waist = body < BODY_VAN ? 0.9f : size->height * 0.45f;
    struct scene_colour lamp =
        approaching ? scene_colour_rgb(252, 248, 225) : scene_colour_rgb(200, 34, 28);
    for (int side = -1; side <= 1; side += 2)
        figure_limb(figure, (float)side * (half - 0.2f), 0.15f, 0.15f,
                    (float)side * (half - 0.2f), 0.4f, 0.15f, scene_colour_rgb(22, 22, 24));
    struct scene_point hull[6] = {{-half, 0.25f},
                                  {-half, waist},
                                  {-half + 0.1f, waist + 0.05f},
                                  {half - 0.1f, waist + 0.05f},
                                  {half, waist},
                                  {half, 0.25f}};
    struct scene_point cabin[4] = {{-half + 0.02f, waist},
                                   {-half + 0.22f, size->height},
                                   {half - 0.22f, size->height},
                                   {half - 0.02f, waist}};
    struct scene_point screen[4] = {{-half + 0.14f, waist + 0.04f},
                                    {-half + 0.3f, size->height - 0.1f},
                                    {half - 0.3f, size->height - 0.1f},
                                    {half - 0.14f, waist + 0.04f}};
    figure_polygon(figure, hull, 6, colour);
    figure_polygon(figure, cabin, 4, colour);
    figure_polygon(figure, screen, 4, scene_colour_rgb(46, 56, 68));
    struct scene_point bumper[4] = {
        {-half, 0.25f}, {-half, 0.45f}, {half, 0.45f}, {half, 0.25f}};
    figure_polygon(figure, bumper, 4, scene_colour_lit(colour, 0.55f));
    figure_disc(figure, -half + 0.2f, 0.68f, 0.12f, lamp);
    figure_disc(figure, half - 0.2f, 0.68f, 0.12f, lamp);
}

void scene_actor_paint(const struct scene_actor *actor, const struct scene_pose *pose,
                       const struct scene_world *world, struct scene_canvas *canvas, int view_x,
                       int view_y, struct scene_extent *ret_extent)
{
    struct scene_point foot = scene_camera_project(&world->camera, pose->x, 0.0f, pose->depth);
    struct figure figure = {
        .canvas = canvas,
        .foot = {foot.x - (float)view_x, foot.y - (float)view_y},
        .metre = world->camera.focal / pose->depth,
        .facing = pose->heading_x < 0.0f ? -1.0f : 1.0f,
        .light = world->light,
    };
    struct scene_extent extent = SCENE_EXTENT_EMPTY;
    float lateral = pose->heading_x < 0.0f ? -pose->heading_x : pose->heading_x;
    uint64_t choice = scene_hash(actor->look) % 8;
    enum body body = choice > BODY_BUS ? BODY_CAR : (enum body)choice; /* most are cars */

    float long_half = actor->kind == SCENE_PERSON ? 0.45f
                      : lateral > 0.5f            ? bodies[body].length * 0.55f
                                                  : bodies[body].wide * 0.6f;
    scene_canvas_ellipse(
        canvas, (struct scene_point){figure.foot.x + 0.15f * figure.metre, figure.foot.y},
        long_half * figure.metre, (actor->kind == SCENE_PERSON ? 0.12f : 0.35f) * figure.metre,
        1.0f, scene_colour_rgb(16, 16, 18), 0.55f);

    canvas->extent = &extent;
    if (actor->kind == SCENE_PERSON) {
        paint_person(&figure, pose, actor->look);
    } else {
        struct scene_random random = {actor->look};
        struct scene_colour colour = cloth(&random);
        if (lateral > 0.5f)
            paint_vehicle_side(&figure, pose, body, colour);
        else
            paint_vehicle_end(&figure, body, colour, pose->heading_depth < 0.0f);
    }
    canvas->extent = NULL;
    *ret_extent = extent;
}
