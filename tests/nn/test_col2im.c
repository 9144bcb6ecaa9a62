/* Col2Im: every element of the input, added where a convolution with the same window would have
 * taken it from. */
#include <errno.h>
#include <math.h>

#include "tests/nn/windows.h"

START_TEST(random_columns_are_added_up_as_defined)
{
    uint32_t seed = (uint32_t)_i + 1;
    for (int n = 0; n < 40; n++) {
        struct windows w = windows_random(&seed, 8, false);
        if (strncmp(w.auto_pad, "SAME", 4) == 0 || strcmp(w.auto_pad, "VALID") == 0)
            continue; /* Col2Im has pads only */
        int64_t window = windows_count(&w, w.kernel), places = windows_count(&w, w.out);
        int64_t size = windows_count(&w, w.in), pads[6], batch = 2, channels = 3;
        for (int i = 0; i < w.axes; i++) {
            pads[i] = w.before[i];
            pads[w.axes + i] = w.after[i];
        }
        struct onnx o = onnx_start(18);
        onnx_input(&o, "x", 1, DIMS(batch, channels * window, places));
        onnx_ints(&o, "image", DIMS(w.axes), w.in);
        onnx_ints(&o, "block", DIMS(w.axes), w.kernel);
        onnx_node(&o, "Col2Im", "x image block", "y");
        onnx_attribute_ints(&o, "strides", w.axes, w.stride);
        onnx_attribute_ints(&o, "dilations", w.axes, w.dilation);
        onnx_attribute_ints(&o, "pads", 2 * w.axes, pads);
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        struct onnx_dims dims = windows_dims(batch, channels, w.axes, w.in);
        net_expect_shape(&net, 0, dims);
        float *x = nn_session_input(net.session, 0)->data;
        net_fill(x, (size_t)(batch * channels * window * places), 1);
        net_run(&net);
        double *want = calloc(onnx_dims_count(dims), sizeof *want);
        ck_assert_ptr_nonnull(want);
        for (int64_t i = 0; i < batch * channels * window * places; i++) {
            bool declared;
            int64_t to = windows_tapped(&w, i % places, i / places % window, &declared);
            if (to >= 0)
                want[i / places / window * size + to] += x[i];
        }
        for (size_t i = 0; i < onnx_dims_count(dims); i++)
            if (!(fabs(net_floats(&net, 0)[i] - want[i]) <= 1e-5))
                ck_abort_msg("[%zu]: %.9g, not %.9g", i, net_floats(&net, 0)[i], want[i]);
        free(want);
        net_free(&net);
    }
}
END_TEST

START_TEST(what_does_not_fit_is_refused_by_name)
{
    static const struct {
        struct onnx_dims x;
        int64_t image[2], block[2];
        int code;
        const char *text;
    } cases[] = {
        {{3, {1, 5, 9}}, {4, 4}, {2, 2}, -EINVAL, "its input is 5×9 for blocks of 4"},
        {{3, {1, 4, 8}}, {4, 4}, {2, 2}, -EINVAL, "its input is 4×8 for blocks of 4"},
        {{3, {1, 4, 9}}, {4, 4}, {2, 5}, -EINVAL, "a block of 5 does not fit into 4"},
        {{3, {1, 4, 9}}, {4, 0}, {2, 2}, -EINVAL, "image_shape has the value 0"},
        {{3, {1, 4, 9}}, {4, 4}, {-2, 2}, -EINVAL, "block_shape has the value -2"},
        {{4, {1, 4, 3, 3}}, {4, 4}, {2, 2}, -EINVAL, "an input of rank 4"},
        {{3, {1, 1, 1}}, {INT32_MAX, INT32_MAX}, {1, 1}, -EINVAL, "its input is 1×1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct onnx o = onnx_start(18);
        onnx_input(&o, "x", 1, cases[i].x);
        onnx_ints(&o, "image", DIMS(2), cases[i].image);
        onnx_ints(&o, "block", DIMS(2), cases[i].block);
        onnx_node(&o, "Col2Im", "x image block", "y");
        onnx_output(&o, "y", 1, SCALAR);
        net_expect_refused(&o, cases[i].code, cases[i].text);
    }
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("col2im");
    tcase_add_loop_test(all, random_columns_are_added_up_as_defined, 0, 4);
    tcase_add_test(all, what_does_not_fit_is_refused_by_name);
    return suite_run("nn/col2im", &all, 1);
}
