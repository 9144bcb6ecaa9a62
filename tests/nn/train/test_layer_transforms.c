/* Layers that show a network its input otherwise, against their definitions as plain loops; what
 * is stacked, against its branches alone; and that none of them learns. */
#include <math.h>
#include <stdlib.h>

#include "nn/train/net.h"
#include "tests/nn/train/design.h"

enum { T = 5, H = 3, W = 4, C = 3, PLANE = H * W, FRAME = C * PLANE, WINDOW = T * FRAME };

static const float *run(struct net *net, uint32_t seed)
{
    design_run(net, seed);
    return nn_session_input(net->session, 0)->data;
}

static void expect_near(const struct net *net, const double *want, int count)
{
    ck_assert_int_eq(nn_shape_count(&nn_session_output(net->session, 0)->shape), count);
    for (int i = 0; i < count; i++)
        ck_assert_msg(fabs((double)net_floats(net, 0)[i] - want[i]) < 1e-6,
                      "%d: %.9g, not %.9g", i, (double)net_floats(net, 0)[i], want[i]);
}

/* --- values ------------------------------------------------------------------------------- */

START_TEST(grey_is_the_luma_of_bt601)
{
    struct net picture = design_net("3x4x3", "grey", 2),
               window = design_net("5x3x4x3", "grey", 1);
    net_expect_shape(&picture, 0, DIMS(2, 1, H, W));
    net_expect_shape(&window, 0, DIMS(1, T, 1, H, W));
    struct net *const nets[] = {&picture, &window};
    for (int n = 0; n < 2; n++) {
        const float *x = run(nets[n], 1);
        double want[T * PLANE];
        int pictures = n == 0 ? 2 : T;
        for (int i = 0; i < pictures * PLANE; i++) {
            const float *red = x + i / PLANE * FRAME + i % PLANE;
            want[i] = 0.299 * (double)red[0] + 0.587 * (double)red[PLANE] +
                      0.114 * (double)red[2 * PLANE];
        }
        expect_near(nets[n], want, pictures * PLANE);
        net_free(nets[n]);
    }
}
END_TEST

/* Batches, and axes that lie otherwise: `dense` leaves channels last. */
START_TEST(a_frame_is_less_the_one_before_it)
{
    struct net plain = design_net("5x3x4x3", "frame_difference", 2),
               behind = design_net("5x3x4x3", "dense 3; frame_difference", 2),
               dense = design_net("5x3x4x3", "dense 3", 2);
    struct net *const nets[] = {&plain, &behind};
    net_expect_shape(&plain, 0, DIMS(2, T, C, H, W));
    for (int n = 0; n < 2; n++) {
        run(nets[n], 2);
        run(&dense, 2);
        const float *x =
            n == 0 ? nn_session_input(plain.session, 0)->data : net_floats(&dense, 0);
        for (int i = 0; i < 2 * WINDOW; i++)
            ck_assert_float_le(fabsf(net_floats(nets[n], 0)[i] -
                                     (i % WINDOW < FRAME ? 0 : x[i] - x[i - FRAME])),
                               n == 0 ? 0 : 1e-6f);
        net_free(nets[n]);
    }
    net_free(&dense);
}
END_TEST

START_TEST(steps_of_sequences_have_differences_too)
{
    struct net plain = design_net("4x2", "frame_difference", 1),
               absolute = design_net("4x2", "frame_difference absolute", 1),
               background = design_net("4x2", "background_difference 0.5 absolute", 1);
    const float x[] = {1, 2, 4, 1, 4, 5, 0, 5};
    net_set(&plain, 0, x);
    net_set(&absolute, 0, x);
    net_set(&background, 0, x);
    net_run(&plain);
    net_run(&absolute);
    net_run(&background);
    net_expect_floats(&plain, 0, DIMS(1, 4, 2), (float[]){0, 0, 3, -1, 0, 4, -4, 0});
    net_expect_floats(&absolute, 0, DIMS(1, 4, 2), (float[]){0, 0, 3, 1, 0, 4, 4, 0});
    /* The averages: 1 2, 1 2, 2.5 1.5, 3.25 3.25. */
    net_expect_floats(&background, 0, DIMS(1, 4, 2),
                      (float[]){0, 0, 3, 1, 1.5f, 3.5f, 3.25f, 1.75f});
    net_free(&plain);
    net_free(&absolute);
    net_free(&background);
}
END_TEST

static const char *const rates[] = {"0", "0.05", "0.5", "0.99"};

/* The average as a camera would keep it, from frame to frame. */
START_TEST(the_background_is_an_average_that_runs)
{
    char text[64];
    double rate = strtod(rates[_i], NULL), want[2 * WINDOW];
    snprintf(text, sizeof text, "background_difference %s", rates[_i]);
    struct net net = design_net("5x3x4x3", text, 2);
    net_expect_shape(&net, 0, DIMS(2, T, C, H, W));
    const float *x = run(&net, 3);
    for (int i = 0; i < 2 * FRAME; i++) {
        int at = i / FRAME * WINDOW + i % FRAME;
        double average = (double)x[at];
        for (int t = 0; t < T; t++) {
            double now = (double)x[at + t * FRAME];
            want[at + t * FRAME] = now - average;
            average += t == 0 ? 0 : rate * (now - average);
        }
    }
    expect_near(&net, want, 2 * WINDOW);
    net_free(&net);
}
END_TEST

/* Of 255 levels, none is a hundred-thousandth off. */
START_TEST(nothing_is_seen_where_nothing_moves)
{
    struct net net = design_net("64x3", "background_difference 0.05", 1);
    float x[64 * 3];
    for (int i = 0; i < 64 * 3; i++)
        x[i] = (float[]){255, 37.25f, 0}[i % 3];
    net_set(&net, 0, x);
    net_run(&net);
    for (int i = 0; i < 64 * 3; i++)
        ck_assert_float_eq_tol(net_floats(&net, 0)[i], 0, 2e-4f);
    net_free(&net);
}
END_TEST

START_TEST(a_single_frame_has_no_past)
{
    static const char *const layers[] = {"frame_difference", "background_difference 0.1"};
    for (int i = 0; i < 2; i++) {
        struct net net = design_net("1x3x4x3", layers[i], 1);
        run(&net, 4);
        for (int j = 0; j < FRAME; j++)
            ck_assert_float_eq(net_floats(&net, 0)[j], 0);
        net_free(&net);
    }
}
END_TEST

/* --- stacked ------------------------------------------------------------------------------ */

/* First weights are drawn by their number in the file: those of the one branch that has any are
 * what they are in a net of its own. */
static const struct stack {
    const char *input, *branches[4];
} stacks[] = {
    {"5x3x4x3", {"identity", "grey", "frame_difference absolute", "background_difference .2"}},
    {"5x3x4x3", {"grey; frame_difference", "grey"}},
    {"5x3x4x3", {"identity", "time_distributed(conv2d 4 3 same relu)"}},
    /* The branches end with their channels in different places. */
    {"3x4x3", {"grey", "dense 2", "identity"}},
    {"3x4x3", {"dense 2", "identity;"}},
    {"6x4", {"lstm 3 return_sequences", "frame_difference", "identity"}},
    {"7", {"dense 3; dense 2 tanh", "identity"}},
};
enum { STACKS = sizeof stacks / sizeof stacks[0] };

/* (before, channels, behind): where channels lie in the graph. */
static void split(const struct nn_shape *shape, int64_t *before, int64_t *channels,
                  int64_t *behind)
{
    int axis = shape->rank == 5 ? 2 : shape->rank == 4 ? 1 : shape->rank - 1;
    *before = nn_shape_extent(shape, 0, axis);
    *channels = shape->dim[axis];
    *behind = nn_shape_extent(shape, axis + 1, shape->rank);
}

START_TEST(branches_stand_side_by_side)
{
    const struct stack *s = &stacks[_i];
    char text[256] = "stacked(";
    for (int i = 0; i < 4 && s->branches[i]; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i > 0 ? " | " : "",
                 s->branches[i]);
    strcat(text, ")");
    struct net whole = design_net(s->input, text, 2);
    run(&whole, 5);
    int64_t before, all, behind, at = 0;
    split(&nn_session_output(whole.session, 0)->shape, &before, &all, &behind);
    for (int i = 0; i < 4 && s->branches[i]; i++) {
        struct net branch = design_net(s->input, s->branches[i], 2);
        int64_t same_before, channels, same_behind;
        run(&branch, 5);
        split(&nn_session_output(branch.session, 0)->shape, &same_before, &channels,
              &same_behind);
        ck_assert(same_before == before && same_behind == behind && at + channels <= all);
        for (int64_t b = 0; b < before; b++)
            for (int64_t c = 0; c < channels * behind; c++)
                ck_assert_float_eq_tol(net_floats(&whole, 0)[(b * all + at) * behind + c],
                                       net_floats(&branch, 0)[b * channels * behind + c],
                                       1e-6f);
        at += channels;
        net_free(&branch);
    }
    ck_assert_int_eq(at, all);
    net_free(&whole);
}
END_TEST

/* Every branch begins with the words. */
START_TEST(words_are_embedded_in_each_branch)
{
    struct net net = design_net("6", "stacked(embedding 10 2 | embedding 10 3)", 1);
    const float *a = design_floats(net.model, "embedding.weight", DIMS(10, 2)),
                *b = design_floats(net.model, "embedding_1.weight", DIMS(10, 3));
    const int64_t words[] = {3, 0, 9, 9, 1, 5};
    net_set(&net, 0, words);
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(1, 6, 5));
    for (int i = 0; i < 30; i++)
        ck_assert_float_eq(net_floats(&net, 0)[i], i % 5 < 2 ? a[words[i / 5] * 2 + i % 5]
                                                             : b[words[i / 5] * 3 + i % 5 - 2]);
    net_free(&net);
}
END_TEST

START_TEST(the_summary_lists_branches_below_their_stack)
{
    struct train_design *design = design_make(
        "16x64x48x3", "stacked(identity | grey; frame_difference | background_difference 0.1)",
        1);
    static const struct {
        const char *name;
        int depth;
        int64_t channels;
    } want[] = {{"concatenate", 0, 7},
                {"identity", 1, 3},
                {"grey", 1, 1},
                {"frame_difference", 1, 1},
                {"background_difference", 1, 3}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        const struct train_design_row *row = train_design_row(design, i);
        ck_assert_str_eq(row->name, want[i].name);
        ck_assert_int_eq(row->depth, want[i].depth);
        ck_assert(
            nn_shape_equal(&row->shape, &(struct nn_shape){4, {16, 64, 48, want[i].channels}}));
        ck_assert_int_eq(row->trainable + row->statistics, 0);
    }
    train_design_destroy(design);
}
END_TEST

/* --- learning and use --------------------------------------------------------------------- */

#define MOTION                                                                                 \
    "stacked(identity | grey; frame_difference absolute | background_difference 0.1); "        \
    "time_distributed(conv2d 2 2 relu; flatten); "

/* What comes before the first thing that learns, and between others. */
static const char *const learning[] = {MOTION "lstm 3; dense 2",
                                       "time_distributed(conv2d 3 2; grey); frame_difference; "
                                       "background_difference 0.3; flatten; dense 2"};

/* A net that learns answers as a session does; only layers that have weights learn. */
START_TEST(what_is_learned_is_what_runs)
{
    struct train_design *design = design_make("5x3x4x3", learning[_i], 1);
    struct nn_model *model = design_load(design);
    struct nn_shape shape = {5, {2, T, C, H, W}};
    struct train_net *net = NULL;
    struct nn_error err = {{0}};
    int r =
        train_net_create(model, &(struct train_options){.input_shapes = &shape}, &net, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    size_t count = train_net_parameter_count(net);
    ck_assert_uint_ge(count, 4);
    for (size_t i = 0; i < count; i++) {
        const char *name = train_net_parameter(net, i)->name;
        ck_assert_msg(strncmp(name, "conv2d.", 7) == 0 || strncmp(name, "lstm.", 5) == 0 ||
                          strncmp(name, "dense.", 6) == 0,
                      "%s learns", name);
    }
    struct net used = design_plan(model, 2);
    design_run(&used, 6);
    memcpy(train_net_input(net, 0)->data, nn_session_input(used.session, 0)->data,
           2 * WINDOW * sizeof(float));
    ck_assert_int_eq(train_net_forward(net, true, 1, &err), 0);
    for (int i = 0; i < 4; i++)
        ck_assert_float_eq_tol(((const float *)train_net_output(net, 0)->data)[i],
                               net_floats(&used, 0)[i], 1e-6f);
    train_net_destroy(net);
    net_free(&used);
    train_design_destroy(design);
}
END_TEST

/* How far parameter i moves the sum of the outputs, both ways. */
static double slope(struct train_net *net, size_t i, size_t at)
{
    double *value = (double *)train_net_parameter(net, i)->value + at, kept = *value, sum = 0;
    for (int side = -1; side <= 1; side += 2) {
        *value = kept + side * 1e-5;
        ck_assert_int_eq(train_net_forward(net, true, 1, NULL), 0);
        const double *y = train_net_head(net)->values;
        sum += side * (y[0] + y[1]);
    }
    *value = kept;
    return sum / 2e-5;
}

START_TEST(what_is_before_them_learns_through_them)
{
    struct train_design *design = design_make("5x3x4x3", learning[1], 1);
    struct nn_model *model = design_load(design);
    struct train_net *net = NULL;
    ck_assert_int_eq(
        train_net_create(model, &(struct train_options){.doubles = true}, &net, NULL), 0);
    double *x = train_net_input(net, 0)->data;
    uint32_t seed = 7;
    for (int i = 0; i < WINDOW; i++)
        x[i] = (double)net_pick(&seed, -100, 100) / 100;
    ck_assert_int_eq(train_net_forward(net, true, 1, NULL), 0);
    double *gradient = train_net_head(net)->gradient;
    gradient[0] = gradient[1] = 1;
    train_net_backward(net);
    int moved = 0;
    for (size_t i = 0; i < train_net_parameter_count(net); i++) {
        const struct train_net_parameter *p = train_net_parameter(net, i);
        for (size_t j = 0; j < p->count; j++) {
            double found = ((const double *)p->gradient)[j];
            ck_assert_double_eq_tol(found, slope(net, i, j), 1e-7);
            moved += strcmp(p->name, "conv2d.weight") == 0 && fabs(found) > 1e-3;
        }
    }
    ck_assert_int_ge(moved, 10);
    train_net_destroy(net);
    nn_model_unref(model);
    train_design_destroy(design);
}
END_TEST

/* What only looks at one frame is done once for it; differences wait for the window. */
START_TEST(grey_is_made_once_for_each_frame)
{
    struct train_design *design =
        design_make("5x3x4x3", "grey; frame_difference; flatten; dense 2", 1);
    struct nn_model *model = design_load(design);
    struct net whole = design_plan(nn_model_ref(model), 1);
    struct net cut = net_plan(model, &(struct nn_plan_options){.time_axis = 1});
    struct nn_plan_info info;
    nn_plan_describe(cut.plan, &info);
    ck_assert_int_ge(info.frame_nodes, 1);
    ck_assert_int_ge(info.window_nodes, 3);
    const float *frames = run(&whole, 8);
    for (int t = 0; t < T; t++) {
        memcpy(nn_session_frame_buffer(cut.session), frames + t * FRAME, FRAME * sizeof(float));
        ck_assert_int_eq(nn_session_push_frame(cut.session, NULL), 0);
    }
    ck_assert_int_eq(nn_session_run_window(cut.session, NULL), 0);
    for (int i = 0; i < 2; i++)
        ck_assert_float_eq_tol(net_floats(&cut, 0)[i], net_floats(&whole, 0)[i], 1e-6f);
    net_free(&whole);
    net_free(&cut);
    train_design_destroy(design);
}
END_TEST

int main(void)
{
    TCase *values = tcase_create("values");
    tcase_add_test(values, grey_is_the_luma_of_bt601);
    tcase_add_test(values, a_frame_is_less_the_one_before_it);
    tcase_add_test(values, steps_of_sequences_have_differences_too);
    tcase_add_loop_test(values, the_background_is_an_average_that_runs, 0,
                        sizeof rates / sizeof rates[0]);
    tcase_add_test(values, nothing_is_seen_where_nothing_moves);
    tcase_add_test(values, a_single_frame_has_no_past);
    TCase *branches = tcase_create("stacked");
    tcase_add_loop_test(branches, branches_stand_side_by_side, 0, STACKS);
    tcase_add_test(branches, words_are_embedded_in_each_branch);
    tcase_add_test(branches, the_summary_lists_branches_below_their_stack);
    TCase *use = tcase_create("use");
    tcase_add_loop_test(use, what_is_learned_is_what_runs, 0, 2);
    tcase_add_test(use, what_is_before_them_learns_through_them);
    tcase_add_test(use, grey_is_made_once_for_each_frame);
    TCase *cases[] = {values, branches, use};
    return suite_run("nn/train/layer_transforms", cases, 3);
}
