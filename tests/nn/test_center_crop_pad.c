/* CenterCropPad, element by element. */
#include <errno.h>

#include "tests/nn/net.h"

/* The element of the input that is element `at` of the output along one axis; -1: none. */
static int64_t origin(int64_t in, int64_t out, int64_t at)
{
    int64_t from = in > out ? at + (in - out) / 2 : at - (out - in) / 2;
    return from >= 0 && from < in ? from : -1;
}

START_TEST(random_shapes_keep_their_middle)
{
    uint32_t seed = (uint32_t)_i + 1;
    for (int n = 0; n < 50; n++) {
        int rank = (int)net_pick(&seed, 1, 4);
        struct onnx_dims in = {.rank = rank}, out = {.rank = rank};
        for (int d = 0; d < rank; d++) {
            in.dim[d] = net_pick(&seed, 1, 7);
            out.dim[d] = net_pick(&seed, 0, 7);
        }
        struct onnx o = onnx_start(18);
        onnx_input(&o, "x", 5, in);
        onnx_ints(&o, "shape", DIMS(rank), out.dim);
        onnx_node(&o, "CenterCropPad", "x shape", "y");
        onnx_output(&o, "y", 5, SCALAR);
        struct net net = net_make(&o);
        net_expect_shape(&net, 0, out);
        int16_t *x = nn_session_input(net.session, 0)->data;
        for (size_t i = 0; i < onnx_dims_count(in); i++)
            x[i] = (int16_t)(i + 1);
        net_run(&net);
        const int16_t *y = nn_session_output(net.session, 0)->data;
        for (size_t i = 0; i < onnx_dims_count(out); i++) {
            int64_t from = 0, step = 1, rest = (int64_t)i;
            bool inside = true;
            for (int d = rank - 1; d >= 0; d--) {
                int64_t at = origin(in.dim[d], out.dim[d], rest % out.dim[d]);
                inside = inside && at >= 0;
                from += at * step;
                step *= in.dim[d];
                rest /= out.dim[d];
            }
            ck_assert_int_eq(y[i], inside ? x[from] : 0);
        }
        net_free(&net);
    }
}
END_TEST

START_TEST(named_axes_change_and_frames_on_others_stay_apart)
{
    for (int axis = 0; axis < 2; axis++) {
        struct onnx o = onnx_start(18);
        onnx_input(&o, "x", 1, DIMS(4, 3, 5));
        onnx_ints(&o, "shape", DIMS(2), (int64_t[]){2, 6});
        onnx_node(&o, "CenterCropPad", "x shape", "y");
        onnx_attribute_ints(&o, "axes", 2, (int64_t[]){-1, 1});
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_plan(net_load(&o), &(struct nn_plan_options){.time_axis = axis});
        net_expect_shape(&net, 0, DIMS(4, 6, 2));
        struct nn_plan_info info;
        nn_plan_describe(net.plan, &info);
        ck_assert_int_eq(info.frame_nodes, axis == 0);
        net_free(&net);
    }
}
END_TEST

START_TEST(what_does_not_fit_is_refused_by_name)
{
    static const struct {
        int64_t shape[2], axes[2];
        int count;
        const char *text;
    } cases[] = {
        {{2, 2}, {0, 2}, 2, "axis 2 is outside"},
        {{2, 2}, {1, -1}, 2, "axis 1 is named twice"},
        {{2, -2}, {0, 1}, 2, "shape is negative along axis 1"},
        {{2, 2}, {1}, 1, "shape has 2 numbers for 1 axes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct onnx o = onnx_start(18);
        onnx_input(&o, "x", 1, DIMS(3, 3));
        onnx_ints(&o, "shape", DIMS(2), cases[i].shape);
        onnx_output(&o, "y", 1, SCALAR);
        onnx_node(&o, "CenterCropPad", "x shape", "y");
        onnx_attribute_ints(&o, "axes", cases[i].count, cases[i].axes);
        net_expect_refused(&o, -EINVAL, cases[i].text);
    }
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("center_crop_pad");
    tcase_add_loop_test(all, random_shapes_keep_their_middle, 0, 4);
    tcase_add_test(all, named_axes_change_and_frames_on_others_stay_apart);
    tcase_add_test(all, what_does_not_fit_is_refused_by_name);
    return suite_run("nn/center_crop_pad", &all, 1);
}
