/* Windows of another length than a model was exported for. */
#include <errno.h>

#include "tests/nn/cnn_lstm.h"

/* Frames of 3 numbers, 4 to a window: x [1, 4, 3]. */
static struct onnx frames_of_three(void)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, 4, 3));
    return o;
}

START_TEST(a_model_for_short_windows_runs_long_ones_as_if_made_for_them)
{
    for (int wanted = 1; wanted <= 16; wanted += 5) {
        struct nn_model *model = cnn_lstm_make(4), *made = cnn_lstm_make(wanted);
        struct net a =
            net_plan(model, &(struct nn_plan_options){.time_axis = 1, .window = wanted});
        struct net b = net_plan(made, &(struct nn_plan_options){.time_axis = 1});
        struct nn_plan_info info, want;
        nn_plan_describe(a.plan, &info);
        nn_plan_describe(b.plan, &want);
        ck_assert_int_eq(info.window, wanted);
        ck_assert_int_eq(info.frame_nodes, want.frame_nodes);
        net_fill(nn_session_input(a.session, 0)->data, 36 * (size_t)wanted, 3);
        net_fill(nn_session_input(b.session, 0)->data, 36 * (size_t)wanted, 3);
        net_run(&a);
        net_run(&b);
        const float *got = net_floats(&a, 0), *expected = net_floats(&b, 0);
        for (int i = 0; i < 4; i++)
            ck_assert_float_eq(got[i], expected[i]);
        net_free(&a);
        net_free(&b);
    }
}
END_TEST

/* The plan must be refused with -ENOTSUP or -EINVAL and a text that holds `text`. */
static void expect_own_window_only(struct onnx *o, const char *text)
{
    struct nn_model *model = net_load(o);
    struct nn_plan *plan = NULL;
    struct nn_error err = {{0}};
    struct nn_plan_options options = {.time_axis = 1, .window = 8};
    int r = nn_plan_create(model, &options, &plan, &err);
    ck_assert_msg(r == -ENOTSUP || r == -EINVAL, "%d", r);
    ck_assert_ptr_null(plan);
    ck_assert_msg(strstr(err.text, text) != NULL, "'%s' does not say '%s'", err.text, text);
    options.window = 4;
    ck_assert_int_eq(nn_plan_create(model, &options, &plan, &err), 0);
    nn_plan_unref(plan);
    nn_model_unref(model);
}

START_TEST(a_model_that_means_its_own_number_of_frames_runs_no_other)
{
    float w[12] = {1};
    struct onnx o = frames_of_three(); /* all frames side by side, into a dense layer */
    onnx_floats(&o, "w", DIMS(12, 1), w);
    onnx_node(&o, "Flatten", "x", "f");
    onnx_node(&o, "MatMul", "f w", "y");
    onnx_output(&o, "y", 1, SCALAR);
    expect_own_window_only(&o, "node 'y' (MatMul)");

    o = frames_of_three(); /* two windows where there was one */
    onnx_ints(&o, "s", DIMS(3), (int64_t[]){-1, 4, 3});
    onnx_node(&o, "ReduceMean", "x", "m");
    onnx_attribute_ints(&o, "axes", 1, (int64_t[]){2});
    onnx_node(&o, "Concat", "x x", "b");
    onnx_attribute_int(&o, "axis", 1);
    onnx_node(&o, "Reshape", "b s", "y");
    onnx_output(&o, "y", 1, SCALAR);
    expect_own_window_only(&o, "output 'y' changes its shape");
}
END_TEST

START_TEST(an_output_for_every_frame_grows_with_the_window)
{
    struct onnx o = frames_of_three();
    onnx_node(&o, "Tanh", "x", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net =
        net_plan(net_load(&o), &(struct nn_plan_options){.time_axis = 1, .window = 7});
    net_expect_shape(&net, 0, DIMS(1, 7, 3));
    net_free(&net);
}
END_TEST

static TCase *windows_case(void)
{
    TCase *c = tcase_create("windows");
    tcase_add_test(c, a_model_for_short_windows_runs_long_ones_as_if_made_for_them);
    tcase_add_test(c, a_model_that_means_its_own_number_of_frames_runs_no_other);
    tcase_add_test(c, an_output_for_every_frame_grows_with_the_window);
    return c;
}

int main(void)
{
    TCase *cases[] = {windows_case()};
    return suite_run("nn/rewindow", cases, 1);
}
