/* pipeline/scene/scene.c: the renderer through its header. Rates are low where only
 * labels count. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pipeline/scene/scene.h"
#include "tests/suite.h"

#define MINUTE 60

static struct scene *scene_with(uint64_t seed, bool indoors, int width, int height, int fps,
                                double noise, unsigned features)
{
    struct scene_params params = {
        .seed = seed,
        .indoors = indoors,
        .width = width,
        .height = height,
        .fps_n = fps,
        .fps_d = 1,
        .noise = noise,
        .features = features,
    };
    struct scene *scene = NULL;
    ck_assert_int_eq(scene_create(&params, &scene), 0);
    return scene;
}

/* FNV-1a over the visible pixels of all planes. */
static uint64_t checksum(const struct scene_canvas *picture)
{
    uint64_t sum = 0xcbf29ce484222325u;
    for (int i = 0; i < 3; i++) {
        const struct scene_plane *plane = &picture->planes[i];
        for (int y = 0; y < plane->height; y++)
            for (int x = 0; x < plane->width; x++)
                sum = (sum ^ plane->data[y * plane->stride + x]) * 0x100000001b3u;
    }
    return sum;
}

static uint64_t checksum_of_frame(struct scene *scene, uint64_t index)
{
    const struct scene_canvas *picture;
    scene_render(scene, index, &picture, NULL);
    return checksum(picture);
}

/* A copy of the luma of one frame, tightly packed; *ret_truth may be NULL. */
static uint8_t *luma_of_frame(struct scene *scene, uint64_t index,
                              struct scene_truth *ret_truth)
{
    const struct scene_canvas *picture;
    scene_render(scene, index, &picture, ret_truth);
    const struct scene_plane *plane = &picture->planes[0];
    uint8_t *luma = malloc((size_t)(plane->width * plane->height));
    ck_assert_ptr_nonnull(luma);
    for (int y = 0; y < plane->height; y++)
        memcpy(luma + y * plane->width, plane->data + y * plane->stride, (size_t)plane->width);
    return luma;
}

static double mean_of(const uint8_t *luma, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += luma[i];
    return sum / count;
}

/* Mean step from pixel to pixel along rows: how much detail there is. */
static double detail_of(const uint8_t *luma, int width, int height)
{
    double sum = 0;
    for (int y = 0; y < height; y++)
        for (int x = 1; x < width; x++)
            sum += abs(luma[y * width + x] - luma[y * width + x - 1]);
    return sum / (width * height);
}

static int count_changed(const uint8_t *a, const uint8_t *b, int count, int threshold)
{
    int changed = 0;
    for (int i = 0; i < count; i++)
        changed += abs(a[i] - b[i]) > threshold;
    return changed;
}

/* The first of `count` frames from `from` on with the label; -1: none. */
static int frame_with(struct scene *scene, enum scene_label label, int from, int count)
{
    for (int i = from; i < from + count; i++) {
        struct scene_truth truth;
        scene_render(scene, (uint64_t)i, NULL, &truth);
        if (truth.labels & 1u << label)
            return i;
    }
    return -1;
}

START_TEST(the_same_seed_gives_the_same_bytes_in_any_order)
{
    static const struct {
        int width, height;
    } sizes[] = {{640, 360}, {161, 91}, {17, 240}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct scene *a =
            scene_with(_i, _i & 1, sizes[i].width, sizes[i].height, 2, 1.5, SCENE_FEATURES_ALL);
        struct scene *b =
            scene_with(_i, _i & 1, sizes[i].width, sizes[i].height, 2, 1.5, SCENE_FEATURES_ALL);
        uint64_t forward[130];
        for (int n = 0; n < 130; n++)
            forward[n] = checksum_of_frame(a, (uint64_t)n);
        for (int n = 129; n >= 0; n--)
            ck_assert_uint_eq(checksum_of_frame(b, (uint64_t)n), forward[n]);
        scene_destroy(a);
        scene_destroy(b);
    }
}
END_TEST

/* The sums were taken once; compilers, options and machines must agree with them. A change to
 * what is rendered changes them knowingly. */
START_TEST(pictures_are_the_same_bytes_on_every_machine)
{
    static const struct {
        uint64_t seed;
        bool indoors;
        int width, height;
        uint64_t frame, sum;
    } known[] = {
        {1, false, 640, 360, 333, UINT64_C(12583938087267247833)},
        {4, false, 321, 181, 777, UINT64_C(4584375379321153214)},
        {7, true, 128, 72, 100, UINT64_C(11624808109612940136)},
    };
    struct scene *scene = scene_with(known[_i].seed, known[_i].indoors, known[_i].width,
                                     known[_i].height, 15, 1.5, SCENE_FEATURES_ALL);
    ck_assert_uint_eq(checksum_of_frame(scene, known[_i].frame), known[_i].sum);
    scene_destroy(scene);
}
END_TEST

START_TEST(another_seed_gives_another_place)
{
    struct scene *a = scene_with(1, false, 320, 180, 10, 0, 0);
    struct scene *b = scene_with(2, false, 320, 180, 10, 0, 0);
    uint8_t *one = luma_of_frame(a, 0, NULL), *other = luma_of_frame(b, 0, NULL);
    ck_assert_int_gt(count_changed(one, other, 320 * 180, 8), 320 * 180 / 4);
    free(one);
    free(other);
    scene_destroy(a);
    scene_destroy(b);
}
END_TEST

START_TEST(one_seed_is_one_place_and_one_story_at_every_size)
{
    struct scene *small = scene_with(11, false, 160, 90, 4, 0, SCENE_FEATURES_ALL);
    struct scene *large = scene_with(11, false, 640, 360, 4, 0, SCENE_FEATURES_ALL);
    int agree = 0;
    for (uint64_t n = 0; n < 4 * MINUTE; n++) {
        struct scene_truth a, b;
        scene_render(small, n, NULL, &a);
        scene_render(large, n, NULL, &b);
        agree += a.labels == b.labels;
    }
    /* Figures at the edge may be just visible in one and not in the other. */
    ck_assert_int_ge(agree, 4 * MINUTE * 98 / 100);
    scene_destroy(small);
    scene_destroy(large);
}
END_TEST

START_TEST(nothing_changes_where_nothing_happens_and_the_sensor_is_clean)
{
    struct scene *scene = scene_with((uint64_t)_i, _i & 1, 320, 180, 5, 0, 0);
    uint64_t first = checksum_of_frame(scene, 0);
    for (uint64_t n = 1; n < 5 * MINUTE; n++)
        ck_assert_uint_eq(checksum_of_frame(scene, n), first);
    scene_destroy(scene);
}
END_TEST

START_TEST(people_who_stand_stand_still)
{
    struct scene *scene =
        scene_with((uint64_t)_i, true, 320, 180, 5, 0, SCENE_FEATURE_MOVEMENT);
    uint64_t last = 0;
    bool stood = false;
    int compared = 0, alike = 0;
    for (uint64_t n = 0; n < 5 * 4 * MINUTE; n++) {
        const struct scene_canvas *picture;
        struct scene_truth truth;
        scene_render(scene, n, &picture, &truth);
        bool stands = truth.labels == 1u << SCENE_LABEL_QUIET && truth.object_count > 0;
        uint64_t sum = checksum(picture);
        compared += stands && stood;
        alike += stands && stood && sum == last;
        stood = stands;
        last = sum;
    }
    /* The shadow of somebody else may be at the picture's edge now and then. */
    ck_assert_int_gt(compared, 20);
    ck_assert_int_ge(alike, compared * 9 / 10);
    scene_destroy(scene);
}
END_TEST

START_TEST(boxes_lie_in_the_picture_and_labels_agree_with_the_objects)
{
    struct scene *scene =
        scene_with((uint64_t)_i, _i & 1, 200, 120, 5, 1.0, SCENE_FEATURES_ALL);
    for (uint64_t n = 0; n < 5 * 4 * MINUTE; n++) {
        struct scene_truth truth;
        scene_render(scene, n, NULL, &truth);
        bool quiet = truth.labels & 1u << SCENE_LABEL_QUIET;
        ck_assert_uint_ne(truth.labels, 0);
        ck_assert(!quiet || truth.labels == 1u << SCENE_LABEL_QUIET);
        bool moving = false;
        for (size_t i = 0; i < truth.object_count; i++) {
            const struct scene_object *object = &truth.objects[i];
            ck_assert_uint_ne(object->id, 0);
            ck_assert(object->x >= 0 && object->y >= 0 && object->w > 0 && object->h > 0);
            ck_assert(object->x + object->w <= 1.0001f && object->y + object->h <= 1.0001f);
            ck_assert(!(_i & 1) || object->kind == SCENE_OBJECT_PERSON);
            moving |= object->moving;
            for (size_t k = 0; k < i; k++)
                ck_assert_uint_ne(object->id, truth.objects[k].id);
        }
        ck_assert_int_eq(moving, (truth.labels & 1u << SCENE_LABEL_MOVEMENT) != 0);
    }
    scene_destroy(scene);
}
END_TEST

/* How much a pixel may differ from the empty picture. Near an object all: shadows fall beside
 * the boxes. Above one somewhat: a lamp post is painted again over its whole height where
 * somebody passes behind it, which darkens its smooth edges. Elsewhere not at all. */
static int may_differ(const struct scene_truth *truth, float x, float y)
{
    int most = 0;
    for (size_t i = 0; i < truth->object_count; i++) {
        const struct scene_object *o = &truth->objects[i];
        float beside = 0.5f * (o->w > o->h ? o->w : o->h) + 0.03f;
        if (x < o->x - beside || x > o->x + o->w + beside || y > o->y + o->h + beside)
            continue;
        if (y > o->y - beside)
            return 255;
        most = 40;
    }
    return most;
}

START_TEST(what_moves_changes_pixels_in_its_box_and_nowhere_else)
{
    const int width = 640, height = 360;
    struct scene *scene =
        scene_with((uint64_t)_i, _i & 1, width, height, 5, 0, SCENE_FEATURE_MOVEMENT);
    uint8_t *empty = luma_of_frame(scene, 0, NULL);
    int seen = 0;
    for (uint64_t n = 0; n + 1 < 5 * MINUTE && seen < 60; n++) {
        struct scene_truth before, after;
        uint8_t *a = luma_of_frame(scene, n, &before), *b = luma_of_frame(scene, n + 1, &after);
        for (size_t i = 0; i < after.object_count; i++) {
            const struct scene_object *o = &after.objects[i];
            if (!o->moving || o->w * o->h < 0.002f)
                continue;
            seen++;
            int changed = 0;
            int x0 = (int)(o->x * (float)width), x1 = (int)((o->x + o->w) * (float)width);
            int y0 = (int)(o->y * (float)height), y1 = (int)((o->y + o->h) * (float)height);
            for (int y = y0; y < y1; y++)
                for (int x = x0; x < x1; x++)
                    changed += abs(a[y * width + x] - b[y * width + x]) > 1;
            ck_assert_int_gt(changed, (x1 - x0) * (y1 - y0) / 60);
        }
        for (int i = 0; i < width * height; i++) {
            float x = ((float)(i % width) + 0.5f) / (float)width;
            float y = ((float)(i / width) + 0.5f) / (float)height;
            /* Whoever is about to come in may cast a shadow before. */
            bool inside = x > 0.15f && x < 0.85f && y < 0.85f;
            if (a[i] != empty[i] && inside)
                ck_assert_msg(abs(a[i] - empty[i]) <= may_differ(&before, x, y),
                              "frame %d: a pixel changed at %.2f, %.2f", (int)n, x, y);
        }
        free(a);
        free(b);
    }
    ck_assert_int_gt(seen, 10);
    free(empty);
    scene_destroy(scene);
}
END_TEST

START_TEST(each_feature_brings_its_label_and_no_other)
{
    static const struct {
        unsigned feature;
        unsigned labels;
    } table[] = {
        {SCENE_FEATURE_MOVEMENT, 1u << SCENE_LABEL_MOVEMENT},
        {SCENE_FEATURE_LIGHTING, 1u << SCENE_LABEL_LIGHTING},
        {SCENE_FEATURE_WEATHER, 1u << SCENE_LABEL_WEATHER},
        {SCENE_FEATURE_INSECT, 0},
        {SCENE_FEATURE_COVERED, 1u << SCENE_LABEL_COVERED},
        {SCENE_FEATURE_MOVED, 1u << SCENE_LABEL_MOVED},
        {SCENE_FEATURE_DEFOCUSED, 1u << SCENE_LABEL_DEFOCUSED},
        {SCENE_FEATURE_FROZEN, 1u << SCENE_LABEL_FROZEN},
        {0, 0},
    };
    for (uint64_t seed = 0; seed < 4; seed++) {
        struct scene *scene = scene_with(seed, false, 96, 54, 10, 1.0, table[_i].feature);
        unsigned seen = 0;
        bool insect = false;
        for (uint64_t n = 0; n < 10 * MINUTE; n++) {
            struct scene_truth truth;
            scene_render(scene, n, NULL, &truth);
            seen |= truth.labels;
            insect |= truth.insect;
        }
        ck_assert_uint_eq(seen, table[_i].labels | 1u << SCENE_LABEL_QUIET);
        ck_assert_int_eq(insect, table[_i].feature == SCENE_FEATURE_INSECT);
        scene_destroy(scene);
    }
}
END_TEST

/* A scene with one feature, and a frame well inside an episode of its label. */
struct example {
    struct scene *scene;
    int frame;
    uint8_t *quiet, *at, *before; /* luma of frame 0, of `frame` and of the one before it */
};

#define EXAMPLE_WIDTH  320
#define EXAMPLE_HEIGHT 180
#define EXAMPLE_PIXELS (EXAMPLE_WIDTH * EXAMPLE_HEIGHT)

static struct example example_of(uint64_t seed, enum scene_feature feature,
                                 enum scene_label label, int frames_in)
{
    struct example example = {0};
    example.scene = scene_with(seed, false, EXAMPLE_WIDTH, EXAMPLE_HEIGHT, 10, 1.5, feature);
    int found = frame_with(example.scene, label, 0, 10 * MINUTE);
    ck_assert_int_gt(found, 0);
    example.frame = found + frames_in;
    example.quiet = luma_of_frame(example.scene, 0, NULL);
    example.at = luma_of_frame(example.scene, (uint64_t)example.frame, NULL);
    example.before = luma_of_frame(example.scene, (uint64_t)example.frame - 1, NULL);
    return example;
}

static void example_finish(struct example *example)
{
    free(example->quiet);
    free(example->at);
    free(example->before);
    scene_destroy(example->scene);
}

START_TEST(a_covered_lens_hides_the_place)
{
    struct example e = example_of((uint64_t)_i, SCENE_FEATURE_COVERED, SCENE_LABEL_COVERED, 15);
    struct scene_truth truth;
    scene_render(e.scene, (uint64_t)e.frame, NULL, &truth);
    ck_assert_uint_eq(truth.object_count, 0);
    int hidden = 0; /* edges of the place that are gone: noise alone stays below 12 */
    int edges = 0;
    for (int i = 1; i < EXAMPLE_PIXELS; i++) {
        if (i % EXAMPLE_WIDTH == 0 || abs(e.quiet[i] - e.quiet[i - 1]) < 25)
            continue;
        edges++;
        hidden += abs(e.at[i] - e.at[i - 1]) < 12;
    }
    ck_assert_int_gt(edges, 100);
    ck_assert_int_gt(hidden, edges * 98 / 100);
    example_finish(&e);
}
END_TEST

START_TEST(a_turned_camera_moves_the_whole_picture)
{
    struct example e = example_of((uint64_t)_i, SCENE_FEATURE_MOVED, SCENE_LABEL_MOVED, 4);
    ck_assert_int_gt(count_changed(e.at, e.before, EXAMPLE_PIXELS, 8), EXAMPLE_PIXELS / 20);
    example_finish(&e);
}
END_TEST

START_TEST(a_defocused_lens_loses_detail_but_not_light)
{
    struct example e =
        example_of((uint64_t)_i, SCENE_FEATURE_DEFOCUSED, SCENE_LABEL_DEFOCUSED, 15);
    /* Edges as noise would leave them are subtracted: 1.5 grey levels make a mean step of 1.7.
     */
    double sharp = detail_of(e.quiet, EXAMPLE_WIDTH, EXAMPLE_HEIGHT) - 1.7;
    double blurred = detail_of(e.at, EXAMPLE_WIDTH, EXAMPLE_HEIGHT) - 1.7;
    ck_assert_double_lt(blurred, 0.6 * sharp);
    ck_assert_double_eq_tol(mean_of(e.at, EXAMPLE_PIXELS), mean_of(e.quiet, EXAMPLE_PIXELS), 3);
    example_finish(&e);
}
END_TEST

START_TEST(a_frozen_picture_repeats_its_noise_and_a_quiet_one_does_not)
{
    struct example e = example_of((uint64_t)_i, SCENE_FEATURE_FROZEN, SCENE_LABEL_FROZEN, 3);
    ck_assert_int_eq(memcmp(e.at, e.before, EXAMPLE_PIXELS), 0);
    uint8_t *second = luma_of_frame(e.scene, 1, NULL);
    ck_assert_int_gt(count_changed(e.quiet, second, EXAMPLE_PIXELS, 0), EXAMPLE_PIXELS / 2);
    free(second);
    example_finish(&e);
}
END_TEST

START_TEST(weather_falls_everywhere)
{
    struct example e = example_of((uint64_t)_i, SCENE_FEATURE_WEATHER, SCENE_LABEL_WEATHER, 20);
    for (int part = 0; part < 8; part++) {
        int first = part * EXAMPLE_PIXELS / 8;
        ck_assert_int_gt(count_changed(e.at + first, e.before + first, EXAMPLE_PIXELS / 8, 14),
                         12);
    }
    example_finish(&e);
}
END_TEST

START_TEST(lighting_changes_the_brightness)
{
    struct scene *scene = scene_with((uint64_t)_i, true, EXAMPLE_WIDTH, EXAMPLE_HEIGHT, 10, 0,
                                     SCENE_FEATURE_LIGHTING);
    double lowest = 1e9, highest = 0;
    for (uint64_t n = 0; n < 10 * MINUTE; n += 3) {
        uint8_t *luma = luma_of_frame(scene, n, NULL);
        double mean = mean_of(luma, EXAMPLE_PIXELS);
        lowest = mean < lowest ? mean : lowest;
        highest = mean > highest ? mean : highest;
        free(luma);
    }
    ck_assert_double_gt(highest - 16, 1.15 * (lowest - 16));
    scene_destroy(scene);
}
END_TEST

START_TEST(an_insect_is_large_dark_and_restless)
{
    struct scene *scene = scene_with((uint64_t)_i, false, EXAMPLE_WIDTH, EXAMPLE_HEIGHT, 10, 0,
                                     SCENE_FEATURE_INSECT);
    int frames = 0;
    for (uint64_t n = 0; n < 10 * MINUTE; n++) {
        struct scene_truth truth;
        scene_render(scene, n, NULL, &truth);
        if (!truth.insect)
            continue;
        frames++;
        uint8_t *quiet = luma_of_frame(scene, 0, NULL), *luma = luma_of_frame(scene, n, NULL);
        ck_assert_int_gt(count_changed(quiet, luma, EXAMPLE_PIXELS, 0), EXAMPLE_PIXELS / 2000);
        free(quiet);
        free(luma);
    }
    ck_assert_int_gt(frames, 0);
    scene_destroy(scene);
}
END_TEST

START_TEST(noise_is_as_strong_as_asked)
{
    struct scene *scene = scene_with(1, false, EXAMPLE_WIDTH, EXAMPLE_HEIGHT, 10, 4.0, 0);
    struct scene *clean = scene_with(1, false, EXAMPLE_WIDTH, EXAMPLE_HEIGHT, 10, 0.0, 0);
    uint8_t *noisy = luma_of_frame(scene, 5, NULL), *plain = luma_of_frame(clean, 5, NULL);
    double squares = 0;
    for (int i = 0; i < EXAMPLE_PIXELS; i++)
        squares += (noisy[i] - plain[i]) * (noisy[i] - plain[i]);
    ck_assert_double_eq_tol(squares / EXAMPLE_PIXELS, 16.0, 1.0);
    free(noisy);
    free(plain);
    scene_destroy(scene);
    scene_destroy(clean);
}
END_TEST

START_TEST(a_camera_that_ran_for_years_still_renders)
{
    struct scene *scene = scene_with(3, false, 96, 54, 25, 1.0, SCENE_FEATURES_ALL);
    uint64_t years = UINT64_C(25) * 3600 * 24 * 3650 + 7;
    unsigned seen = 0;
    for (uint64_t n = 0; n < 25 * MINUTE; n++) {
        struct scene_truth truth;
        scene_render(scene, years + n, NULL, &truth);
        seen |= truth.labels;
    }
    ck_assert_uint_ne(seen & ~(1u << SCENE_LABEL_QUIET), 0);
    scene_destroy(scene);
}
END_TEST

START_TEST(parameters_out_of_range_are_refused)
{
    static const struct scene_params bad[] = {
        {.width = 15, .height = 90, .fps_n = 10, .fps_d = 1},
        {.width = 160, .height = 4097, .fps_n = 10, .fps_d = 1},
        {.width = 160, .height = 90, .fps_n = 0, .fps_d = 1},
        {.width = 160, .height = 90, .fps_n = 10, .fps_d = 0},
        {.width = 160, .height = 90, .fps_n = 241, .fps_d = 1},
        {.width = 160, .height = 90, .fps_n = 10, .fps_d = 1, .noise = -0.1},
        {.width = 160, .height = 90, .fps_n = 10, .fps_d = 1, .noise = 20.1},
        {.width = 160, .height = 90, .fps_n = 10, .fps_d = 1, .features = 1 << 8},
    };
    struct scene *scene = NULL;
    ck_assert_int_eq(scene_create(&bad[_i], &scene), -EINVAL);
    ck_assert_ptr_null(scene);
}
END_TEST

int main(void)
{
    TCase *picture = tcase_create("picture");
    tcase_set_timeout(picture, 120);
    tcase_add_loop_test(picture, the_same_seed_gives_the_same_bytes_in_any_order, 1, 3);
    tcase_add_loop_test(picture, pictures_are_the_same_bytes_on_every_machine, 0, 3);
    tcase_add_test(picture, another_seed_gives_another_place);
    tcase_add_test(picture, one_seed_is_one_place_and_one_story_at_every_size);
    tcase_add_loop_test(picture, nothing_changes_where_nothing_happens_and_the_sensor_is_clean,
                        0, 3);
    tcase_add_loop_test(picture, people_who_stand_stand_still, 0, 3);
    tcase_add_test(picture, a_camera_that_ran_for_years_still_renders);
    tcase_add_loop_test(picture, parameters_out_of_range_are_refused, 0, 8);

    TCase *truth = tcase_create("truth");
    tcase_set_timeout(truth, 120);
    tcase_add_loop_test(truth, boxes_lie_in_the_picture_and_labels_agree_with_the_objects, 0,
                        6);
    tcase_add_loop_test(truth, what_moves_changes_pixels_in_its_box_and_nowhere_else, 0, 8);
    tcase_add_loop_test(truth, each_feature_brings_its_label_and_no_other, 0, 9);

    TCase *effects = tcase_create("effects");
    tcase_set_timeout(effects, 120);
    tcase_add_loop_test(effects, a_covered_lens_hides_the_place, 0, 3);
    tcase_add_loop_test(effects, a_turned_camera_moves_the_whole_picture, 0, 3);
    tcase_add_loop_test(effects, a_defocused_lens_loses_detail_but_not_light, 0, 3);
    tcase_add_loop_test(effects, a_frozen_picture_repeats_its_noise_and_a_quiet_one_does_not, 0,
                        3);
    tcase_add_loop_test(effects, weather_falls_everywhere, 0, 3);
    tcase_add_loop_test(effects, lighting_changes_the_brightness, 0, 2);
    tcase_add_loop_test(effects, an_insect_is_large_dark_and_restless, 0, 3);
    tcase_add_test(effects, noise_is_as_strong_as_asked);

    TCase *cases[] = {picture, truth, effects};
    return suite_run("pipeline/scene", cases, 3);
}
