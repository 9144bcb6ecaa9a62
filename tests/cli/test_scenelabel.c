/* What windows of rendered scenes are called, and what is laid over them. */
#include "cli/scenelabel.h"

#include <math.h>
#include <string.h>

#include "cli/scenechange.h"
#include "tests/suite.h"

#define FRAMES 8
#define WIDTH  128
#define HEIGHT 72
#define PLANE  (WIDTH * HEIGHT)

static const struct scenelabel_view whole = {0, 0, 1, 1};

#define BIT(label) (1u << SCENE_LABEL_##label)

/* A truth with one thing in it. */
static struct scene_truth truth_of(unsigned labels, float x, float y, float w, float h,
                                   bool moving)
{
    return (struct scene_truth){
        .labels = labels,
        .object_count = w > 0,
        .objects = {{.x = x, .y = y, .w = w, .h = h, .moving = moving}}};
}

START_TEST(movement_is_what_is_seen_of_it)
{
    struct scene_truth truth = truth_of(BIT(MOVEMENT), 0.1f, 0.1f, 0.1f, 0.1f, true);
    ck_assert_uint_eq(scenelabel_frame(&truth, &whole), BIT(MOVEMENT));
    /* A quarter of the picture: a quarter of the thing is 4 % of it, a corner of it nothing to
     * speak of, and elsewhere there is nobody. */
    const struct scenelabel_view quarter = {0.15, 0.15, 0.5, 0.5};
    ck_assert_uint_eq(scenelabel_frame(&truth, &quarter), BIT(MOVEMENT));
    const struct scenelabel_view corner = {0.19, 0.19, 0.5, 0.5};
    ck_assert_uint_eq(scenelabel_frame(&truth, &corner), SCENELABEL_UNCLEAR);
    const struct scenelabel_view elsewhere = {0.5, 0.5, 0.5, 0.5};
    ck_assert_uint_eq(scenelabel_frame(&truth, &elsewhere), BIT(QUIET));
    /* Who stands still is quiet, however large. */
    truth = truth_of(BIT(QUIET), 0, 0, 0.5f, 0.5f, false);
    ck_assert_uint_eq(scenelabel_frame(&truth, &whole), BIT(QUIET));
}
END_TEST

START_TEST(other_states_are_the_whole_pictures)
{
    const struct scenelabel_view part = {0.6, 0.6, 0.3, 0.3};
    struct scene_truth truth =
        truth_of(BIT(MOVEMENT) | BIT(WEATHER), 0.1f, 0.1f, 0.1f, 0.1f, true);
    ck_assert_uint_eq(scenelabel_frame(&truth, &part), BIT(WEATHER));
    ck_assert_uint_eq(scenelabel_frame(&truth, &whole), BIT(WEATHER) | BIT(MOVEMENT));
    truth = truth_of(BIT(QUIET), 0, 0, 0, 0, false);
    truth.insect = true;
    ck_assert_uint_eq(scenelabel_frame(&truth, &whole), SCENELABEL_INSECT);
}
END_TEST

/* Eight frames by letters: q quiet, m movement, l lighting, w weather, M movement in weather,
 * c covered, t moved, d defocused, f frozen, i an insect, u unclear. */
static void spell(const char *text, uint32_t bits[FRAMES])
{
    static const struct {
        char letter;
        unsigned bits;
    } letters[] = {{'q', BIT(QUIET)},
                   {'m', BIT(MOVEMENT)},
                   {'l', BIT(LIGHTING)},
                   {'w', BIT(WEATHER)},
                   {'c', BIT(COVERED)},
                   {'t', BIT(MOVED)},
                   {'d', BIT(DEFOCUSED)},
                   {'f', BIT(FROZEN)},
                   {'i', SCENELABEL_INSECT},
                   {'u', SCENELABEL_UNCLEAR},
                   {'M', BIT(MOVEMENT) | BIT(WEATHER)}};
    for (int i = 0; i < FRAMES; i++) {
        bits[i] = 0;
        for (size_t k = 0; k < sizeof letters / sizeof *letters; k++)
            if (letters[k].letter == text[i])
                bits[i] = letters[k].bits;
        ck_assert_uint_ne(bits[i], 0);
    }
}

static const struct {
    const char *frames;
    bool still;
    int label;
} windows[] = {
    {"qqqqqqqq", false, SCENE_LABEL_QUIET},
    {"mmmmmmmm", false, SCENE_LABEL_MOVEMENT},
    {"qqqqmmmm", false, SCENE_LABEL_MOVEMENT},
    {"qqqqqmmm", false, -1},
    {"qqqqqqqm", false, -1},
    {"qqlllqqq", false, SCENE_LABEL_LIGHTING},
    {"qqllqqqq", false, -1},
    {"qqqwwwww", false, SCENE_LABEL_WEATHER},
    {"qqqqwwww", false, -1},
    {"cccccccc", false, SCENE_LABEL_COVERED},
    {"qqcccccc", false, SCENE_LABEL_COVERED},
    {"qqqccccc", false, -1},
    {"dddddddd", false, SCENE_LABEL_DEFOCUSED},
    {"qqqddddd", false, -1},
    {"qqqqqttt", false, SCENE_LABEL_MOVED},
    {"qqqqqqtt", false, -1},
    /* One hides another: who walks in the rain is what is told, and a camera that is turned says
     * nothing of who walks. */
    {"MMMMMMMM", false, SCENE_LABEL_MOVEMENT},
    {"wwwwwwwM", false, -1},
    {"mmmmmttt", false, SCENE_LABEL_MOVED},
    {"mmcccccc", false, SCENE_LABEL_COVERED},
    /* Who can tell? */
    {"qqqqqqqi", false, -1},
    {"mmmmmmmu", false, -1},
    {"iiiiiiii", true, -1},
    /* Nothing at all changes. */
    {"ffffffff", true, SCENE_LABEL_FROZEN},
    {"qqqqqqqq", true, SCENE_LABEL_FROZEN},
    {"mmmmmmmm", true, SCENE_LABEL_FROZEN},
    {"cccccccc", true, -1},
    {"dddddddd", true, -1},
    {"qqqqffff", false, -1},
    {"ffffffff", false, -1},
};

START_TEST(windows_are_called_what_most_of_them_shows)
{
    uint32_t bits[FRAMES];
    spell(windows[_i].frames, bits);
    int label = scenelabel_window(bits, FRAMES, windows[_i].still);
    ck_assert_msg(label == windows[_i].label, "%s: %d", windows[_i].frames, label);
}
END_TEST

START_TEST(shorter_and_longer_windows_go_by_the_same_shares)
{
    uint32_t bits[16];
    for (int i = 0; i < 16; i++)
        bits[i] = i < 8 ? BIT(MOVEMENT) : BIT(QUIET);
    ck_assert_int_eq(scenelabel_window(bits, 16, false), SCENE_LABEL_MOVEMENT);
    bits[7] = BIT(QUIET);
    ck_assert_int_eq(scenelabel_window(bits, 16, false), -1);
    ck_assert_int_eq(scenelabel_window(bits, 1, false), SCENE_LABEL_MOVEMENT);
}
END_TEST

/* --- what is laid over ---------------------------------------------------------------------- */

static float values[FRAMES * PLANE], before[FRAMES * PLANE], mask[2 * PLANE];

/* A grey picture with a gradient, the same in each frame. */
static struct scenechange_window picture(void)
{
    for (int i = 0; i < FRAMES * PLANE; i++)
        values[i] = before[i] = 60 + (float)(i % WIDTH) / 2 + (float)(i % PLANE / WIDTH);
    return (struct scenechange_window){FRAMES, 1, HEIGHT, WIDTH, values, mask};
}

START_TEST(what_is_no_quiet_and_no_movement_is_left_as_it_is)
{
    for (int label = SCENE_LABEL_LIGHTING; label < SCENE_LABELS; label++)
        for (uint64_t seed = 0; seed < 20; seed++) {
            struct scenechange_window window = picture();
            struct train_random random = train_random_start(seed);
            ck_assert_int_eq(scenechange_apply(&window, label, &random), label);
            ck_assert_mem_eq(values, before, sizeof values);
        }
}
END_TEST

/* The pixels that change by over ten levels between two frames. */
static int changed_between(int t)
{
    int changed = 0;
    for (int i = 0; i < PLANE; i++)
        changed += fabsf(values[t * PLANE + i] - values[(t - 1) * PLANE + i]) > 10;
    return changed;
}

START_TEST(what_moves_is_called_so_and_what_hardly_changes_stays_quiet)
{
    int moves = 0, quiet = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct scenechange_window window = picture();
        struct train_random random = train_random_start(seed);
        int label = scenechange_apply(&window, SCENE_LABEL_QUIET, &random), steps = 0;
        for (int t = 1; t < FRAMES; t++)
            steps += changed_between(t) >= 10;
        for (int i = 0; i < FRAMES * PLANE; i++)
            if (!(values[i] >= 0 && values[i] <= 255))
                ck_abort_msg("%g is no level", (double)values[i]);
        if (label == SCENE_LABEL_MOVEMENT) {
            ck_assert_int_ge(steps, 3);
            moves++;
        } else {
            ck_assert_int_eq(label, SCENE_LABEL_QUIET);
            ck_assert_int_eq(steps, 0);
            quiet++;
        }
    }
    ck_assert_int_gt(moves, 50);
    ck_assert_int_gt(quiet, 150);
}
END_TEST

START_TEST(movement_stays_movement)
{
    bool changed = false;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct scenechange_window window = picture();
        struct train_random random = train_random_start(seed);
        ck_assert_int_eq(scenechange_apply(&window, SCENE_LABEL_MOVEMENT, &random),
                         SCENE_LABEL_MOVEMENT);
        changed |= memcmp(values, before, sizeof values) != 0;
    }
    ck_assert(changed);
}
END_TEST

START_TEST(the_same_numbers_change_a_window_the_same_way)
{
    static float first[FRAMES * PLANE];
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct scenechange_window window = picture();
        struct train_random random = train_random_start(seed);
        int label = scenechange_apply(&window, SCENE_LABEL_QUIET, &random);
        memcpy(first, values, sizeof first);
        window = picture();
        memset(mask, 0x7f, sizeof mask);
        random = train_random_start(seed);
        ck_assert_int_eq(scenechange_apply(&window, SCENE_LABEL_QUIET, &random), label);
        ck_assert_mem_eq(values, first, sizeof first);
    }
}
END_TEST

int main(void)
{
    TCase *labels = tcase_create("labels");
    tcase_add_test(labels, movement_is_what_is_seen_of_it);
    tcase_add_test(labels, other_states_are_the_whole_pictures);
    tcase_add_loop_test(labels, windows_are_called_what_most_of_them_shows, 0,
                        (int)(sizeof windows / sizeof *windows));
    tcase_add_test(labels, shorter_and_longer_windows_go_by_the_same_shares);

    TCase *changes = tcase_create("changes");
    tcase_add_test(changes, what_is_no_quiet_and_no_movement_is_left_as_it_is);
    tcase_add_test(changes, what_moves_is_called_so_and_what_hardly_changes_stays_quiet);
    tcase_add_test(changes, movement_stays_movement);
    tcase_add_test(changes, the_same_numbers_change_a_window_the_same_way);

    TCase *cases[] = {labels, changes};
    return suite_run("cli/scenelabel", cases, 2);
}
