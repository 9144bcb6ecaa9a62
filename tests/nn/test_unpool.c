/* MaxUnpool: back to where MaxPool took it from. */
#include <errno.h>

#include "tests/nn/net.h"

START_TEST(pooling_and_back_leaves_the_maxima)
{
    struct onnx o = onnx_start(22);
    onnx_input(&o, "x", 1, DIMS(2, 3, 6, 9));
    onnx_node(&o, "MaxPool", "x", "p i");
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){2, 3});
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 3});
    onnx_node(&o, "MaxUnpool", "p i", "y");
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){2, 3});
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 3});
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    float x[324], want[324];
    net_fill(x, 324, 1);
    for (int i = 0; i < 324; i++) {
        int corner = i - i % 9 % 3 - i / 9 % 2 * 9, best = corner;
        for (int k = 0; k < 6; k++)
            best = x[corner + k / 3 * 9 + k % 3] > x[best] ? corner + k / 3 * 9 + k % 3 : best;
        want[i] = i == best ? x[i] : 0;
    }
    net_set(&net, 0, x);
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 3, 6, 9), want);
    net_free(&net);
}
END_TEST

static struct onnx build(struct onnx_dims indices, const int64_t *shape)
{
    struct onnx o = onnx_start(22);
    onnx_input(&o, "x", 1, DIMS(1, 1, 2, 2));
    onnx_input(&o, "i", 7, indices);
    onnx_ints(&o, "shape", DIMS(4), shape);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, "MaxUnpool", "x i shape", "y");
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){2, 2});
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 2});
    return o;
}

START_TEST(an_index_outside_is_an_error_of_the_run)
{
    static const int64_t wrong[] = {16, -1, INT64_MAX, INT64_MIN};
    struct onnx o = build(DIMS(1, 1, 2, 2), (int64_t[]){1, 1, 4, 4});
    struct net net = net_make(&o);
    for (int i = 0; i < 4; i++) {
        memcpy(nn_session_input(net.session, 1)->data, (int64_t[]){0, 1, 2, wrong[i]}, 32);
        net_expect_run_fails(&net, "outside an output of 16 elements");
    }
    net_free(&net);
}
END_TEST

START_TEST(what_does_not_fit_is_refused_by_name)
{
    struct onnx o = build(DIMS(1, 1, 2, 3), (int64_t[]){1, 1, 4, 4});
    net_expect_refused(&o, -EINVAL, "its indices must be int64, one for each element");
    o = build(DIMS(1, 1, 2, 2), (int64_t[]){1, 1, 5, 5});
    net_expect_refused(&o, -ENOTSUP, "are read in two ways");
    o = build(DIMS(1, 1, 2, 2), (int64_t[]){1, 1, 4, 4});
    onnx_attribute_ints(&o, "pads", 4, (int64_t[]){2, 0, 2, 0});
    net_expect_refused(&o, -EINVAL, "spatial dimension 0 of its output would be 0");
    o = build(DIMS(1, 1, 2, 2), (int64_t[]){1, 1, 4, 4});
    onnx_attribute_ints(&o, "pads", 2, (int64_t[]){1, 0});
    net_expect_refused(&o, -EINVAL, "pads has 2 values");
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("unpool");
    tcase_add_test(all, pooling_and_back_leaves_the_maxima);
    tcase_add_test(all, an_index_outside_is_an_error_of_the_run);
    tcase_add_test(all, what_does_not_fit_is_refused_by_name);
    return suite_run("nn/unpool", &all, 1);
}
