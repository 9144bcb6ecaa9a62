/* What a plan says of its layers. */
#include "tests/nn/cnn_lstm.h"

static const struct nn_plan_layer *layer_named(const struct nn_plan *plan, const char *name)
{
    for (size_t i = 0; i < nn_plan_layer_count(plan); i++)
        if (strcmp(nn_plan_layer(plan, i)->name, name) == 0)
            return nn_plan_layer(plan, i);
    ck_abort_msg("no layer %s", name);
    return NULL;
}

START_TEST(layers_tell_what_they_are_where_they_run_and_what_they_cost)
{
    struct net net = net_plan(cnn_lstm_make(4), &(struct nn_plan_options){.time_axis = 1});
    ck_assert_uint_eq(nn_plan_layer_count(net.plan), 6);
    const struct nn_plan_layer *conv = layer_named(net.plan, "b");
    ck_assert_str_eq(conv->op, "Conv");
    ck_assert(conv->per_frame);
    ck_assert_int_eq(conv->fused_into, -1);
    ck_assert_int_eq(conv->parameters, 18);
    ck_assert_int_eq(conv->shape.dim[0], 1); /* of one frame */
    ck_assert_int_eq(conv->shape.dim[1], 2);
    ck_assert_double_eq(conv->macs, 2 * 4 * 4 * 9);
    const struct nn_plan_layer *relu = layer_named(net.plan, "c");
    ck_assert(relu->per_frame);
    ck_assert_ptr_eq(nn_plan_layer(net.plan, (size_t)relu->fused_into), conv);
    ck_assert_double_eq(relu->macs, 0);
    ck_assert_int_eq(relu->shape.dim[0], 1);
    const struct nn_plan_layer *lstm = layer_named(net.plan, "-");
    ck_assert(!lstm->per_frame);
    ck_assert_int_eq(lstm->parameters, 16 * 32 + 16 * 4);
    ck_assert_double_eq(lstm->macs, 4 * 16 * 4);
    ck_assert_double_eq(lstm->frame_macs, 16 * 32);
    net_free(&net);
    net = net_plan(cnn_lstm_make(4), &(struct nn_plan_options){.time_axis = -1});
    lstm = layer_named(net.plan, "-");
    ck_assert_double_eq(lstm->macs, 4 * 16 * (32 + 4));
    ck_assert_double_eq(lstm->frame_macs, 0);
    net_free(&net);
}
END_TEST

START_TEST(weights_are_counted_and_indices_are_not)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(2, 3));
    onnx_floats(&o, "w", DIMS(3, 4), (float[12]){1});
    onnx_ints(&o, "shape", DIMS(2), (int64_t[]){4, 2});
    onnx_floats(&o, "unread", DIMS(5), (float[5]){1});
    onnx_node(&o, "MatMul", "x w", "a");
    onnx_node(&o, "Reshape", "a shape", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    struct nn_plan_info info;
    nn_plan_describe(net.plan, &info);
    ck_assert_int_eq(info.parameters, 12);
    net_free(&net);
}
END_TEST

START_TEST(a_weight_read_twice_is_counted_once)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(2, 3));
    onnx_floats(&o, "w", DIMS(3, 3), (float[9]){1});
    onnx_node(&o, "MatMul", "x w", "a");
    onnx_node(&o, "Gemm", "a w", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    ck_assert_int_eq(layer_named(net.plan, "a")->parameters, 9);
    ck_assert_int_eq(layer_named(net.plan, "y")->parameters, 0);
    ck_assert_double_eq(layer_named(net.plan, "a")->macs, 2 * 3 * 3);
    ck_assert_double_eq(layer_named(net.plan, "y")->macs, 2 * 3 * 3);
    net_free(&net);
}
END_TEST

static TCase *layers_case(void)
{
    TCase *c = tcase_create("layers");
    tcase_add_test(c, layers_tell_what_they_are_where_they_run_and_what_they_cost);
    tcase_add_test(c, weights_are_counted_and_indices_are_not);
    tcase_add_test(c, a_weight_read_twice_is_counted_once);
    return c;
}

int main(void)
{
    TCase *cases[] = {layers_case()};
    return suite_run("nn/layers", cases, 1);
}
