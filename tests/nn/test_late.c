/* Shapes that only a run can tell, and all that follows from them. */
#include <errno.h>

#include "tests/nn/net.h"

static void expect_ints(const struct net *net, size_t output, struct onnx_dims dims,
                        const int64_t *want)
{
    const struct nn_tensor *t = nn_session_output(net->session, output);
    ck_assert_int_eq(t->type, NN_TYPE_INT64);
    net_expect_shape(net, output, dims);
    for (size_t i = 0; i < onnx_dims_count(dims); i++)
        ck_assert_int_eq(((const int64_t *)t->data)[i], want[i]);
}

START_TEST(nonzero_has_as_many_columns_as_the_run_finds)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(2, 3));
    onnx_output(&o, "y", 7, SCALAR);
    onnx_node(&o, "NonZero", "x", "y");
    struct net net = net_make(&o);
    ck_assert(nn_plan_output(net.plan, 0)->late);
    net_expect_shape(&net, 0, DIMS(2, 6)); /* the most it can be, until it has run */
    net_set(&net, 0, (float[]){0, 1, -0.0f, 3, 0, -1});
    net_run(&net);
    expect_ints(&net, 0, DIMS(2, 3), (int64_t[]){0, 1, 1, 1, 0, 2});
    net_set(&net, 0, (float[6]){0});
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(2, 0));
    net_set(&net, 0, (float[]){1, 1, 1, 1, 1, 1});
    net_run(&net);
    expect_ints(&net, 0, DIMS(2, 6), (int64_t[]){0, 0, 0, 1, 1, 1, 0, 1, 2, 0, 1, 2});
    net_free(&net);
}
END_TEST

START_TEST(nonzero_of_a_scalar_has_no_rows)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, SCALAR);
    onnx_output(&o, "y", 7, SCALAR);
    onnx_node(&o, "NonZero", "x", "y");
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){2});
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(0, 1));
    net_free(&net);
}
END_TEST

START_TEST(what_is_computed_from_constants_has_its_shape_at_once)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(2));
    onnx_output(&o, "y", 1, SCALAR);
    onnx_floats(&o, "c", DIMS(4), (float[]){0, 5, 0, 7});
    onnx_ints(&o, "zero", DIMS(1), (int64_t[]){0});
    onnx_node(&o, "NonZero", "c", "n");
    onnx_node(&o, "Squeeze", "n zero", "i");
    onnx_node(&o, "Gather", "c i", "g");
    onnx_node(&o, "Add", "g x", "y");
    struct net net = net_make(&o);
    ck_assert(!nn_plan_output(net.plan, 0)->late);
    net_set(&net, 0, (float[]){1, 2});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2), (float[]){6, 9});
    net_free(&net);
}
END_TEST

/* x (6) chooses rows of "rows": indices (n), n decided by each run. */
static struct onnx chosen_rows(struct onnx_dims rows)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(6));
    onnx_input(&o, "rows", 1, rows);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_ints(&o, "zero", DIMS(1), (int64_t[]){0});
    onnx_node(&o, "NonZero", "x", "n");
    onnx_node(&o, "Squeeze", "n zero", "i");
    onnx_node(&o, "Gather", "rows i", "g");
    return o;
}

static const float ROWS[] = {0, 1, 10, 11, 20, 21, 30, 31, 40, 41, 50, 51};

START_TEST(sizes_computed_from_such_shapes_are_those_of_the_run)
{
    struct onnx o = chosen_rows(DIMS(6, 2));
    onnx_ints(&o, "first", DIMS(1), (int64_t[]){0});
    onnx_ints(&o, "rest", DIMS(2), (int64_t[]){1, -1});
    onnx_node(&o, "Shape", "g", "s");
    onnx_node(&o, "Gather", "s first", "count");
    onnx_node(&o, "Concat", "rest count", "target"); /* 1, -1, n */
    onnx_attribute_int(&o, "axis", 0);
    onnx_node(&o, "Relu", "g", "r");
    onnx_node(&o, "Reshape", "r target", "t");
    onnx_node(&o, "Transpose", "t", "y");
    onnx_attribute_ints(&o, "perm", 3, (int64_t[]){0, 2, 1});
    struct net net = net_make(&o);
    net_set(&net, 1, ROWS);
    net_set(&net, 0, (float[]){0, 1, 0, 0, 1, 1});
    net_run(&net);
    /* (3, 2) as (1, 2, 3), then as (1, 3, 2). */
    net_expect_floats(&net, 0, DIMS(1, 3, 2), (float[]){10, 41, 11, 50, 40, 51});
    net_set(&net, 0, (float[]){1, 0, 0, 0, 0, 0});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1, 1, 2), (float[]){0, 1});
    net_free(&net);
}
END_TEST

START_TEST(a_convolution_over_chosen_images_keeps_its_packed_weights)
{
    float images[6 * 2 * 5 * 5], weights[3 * 2 * 3 * 3], whole[6 * 3 * 3 * 3];
    net_fill(images, sizeof images / sizeof *images, 1);
    net_fill(weights, sizeof weights / sizeof *weights, 2);
    struct onnx o = chosen_rows(DIMS(6, 2, 5, 5));
    onnx_floats(&o, "w", DIMS(3, 2, 3, 3), weights);
    onnx_node(&o, "Conv", "g w", "c");
    onnx_node(&o, "Relu", "c", "y");
    struct net net = net_make(&o);
    net_set(&net, 1, images);
    net_set(&net, 0, (float[]){1, 1, 1, 1, 1, 1});
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(6, 3, 3, 3));
    memcpy(whole, net_floats(&net, 0), sizeof whole);
    net_set(&net, 0, (float[]){0, 0, 1, 0, 0, 1});
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(2, 3, 3, 3));
    ck_assert_mem_eq(net_floats(&net, 0), whole + 2 * 27, 27 * sizeof *whole);
    ck_assert_mem_eq(net_floats(&net, 0) + 27, whole + 5 * 27, 27 * sizeof *whole);
    net_set(&net, 0, (float[6]){0});
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(0, 3, 3, 3));
    net_free(&net);
}
END_TEST

/* Each width has a way of its own through the same packed weights, and its scratch. */
START_TEST(a_convolution_over_images_of_any_width_has_room_for_each)
{
    enum { WIDEST = 60 };
    float image[2 * WIDEST], weights[8 * 3];
    net_fill(image, 2 * WIDEST, 1);
    net_fill(weights, 8 * 3, 2);
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, 1, 2, WIDEST));
    onnx_input(&o, "to", 7, DIMS(1));
    onnx_output(&o, "y", 1, SCALAR);
    onnx_ints(&o, "from", DIMS(1), (int64_t[]){0});
    onnx_ints(&o, "axis", DIMS(1), (int64_t[]){3});
    onnx_floats(&o, "w", DIMS(8, 1, 1, 3), weights);
    onnx_node(&o, "Slice", "x from to axis", "s");
    onnx_node(&o, "Conv", "s w", "y");
    onnx_attribute_ints(&o, "pads", 4, (int64_t[]){0, 1, 0, 1});
    struct net net = net_make(&o);
    net_set(&net, 0, image);
    for (int64_t width = 1; width <= WIDEST; width++) {
        net_set(&net, 1, &width);
        net_run(&net);
        net_expect_shape(&net, 0, DIMS(1, 8, 2, width));
        for (int64_t i = 0; i < 8 * 2 * width; i++) {
            const float *w = weights + i / (2 * width) * 3;
            const float *row = image + i / width % 2 * WIDEST;
            int64_t at = i % width;
            float sum = w[1] * row[at] + (at > 0 ? w[0] * row[at - 1] : 0) +
                        (at + 1 < width ? w[2] * row[at + 1] : 0);
            ck_assert_float_eq_tol(net_floats(&net, 0)[i], sum, 1e-6f);
        }
    }
    net_free(&net);
}
END_TEST

START_TEST(one_row_of_a_deep_product_has_room)
{
    enum { DEPTH = 9000, COLUMNS = 40 };
    float *rows = net_draw(6 * DEPTH, 1), *weights = net_draw(DEPTH * COLUMNS, 2);
    struct onnx o = chosen_rows(DIMS(6, DEPTH));
    onnx_floats(&o, "w", DIMS(DEPTH, COLUMNS), weights);
    onnx_node(&o, "MatMul", "g w", "y");
    struct net net = net_make(&o);
    float all[6 * COLUMNS];
    net_set(&net, 1, rows);
    net_set(&net, 0, (float[]){1, 1, 1, 1, 1, 1});
    net_run(&net);
    memcpy(all, net_floats(&net, 0), sizeof all);
    net_set(&net, 0, (float[]){0, 0, 0, 1, 0, 0});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1, COLUMNS), all + 3 * COLUMNS);
    net_free(&net);
    free(rows);
    free(weights);
}
END_TEST

/* The whole image is as large as the result, and goes through no pass at all. */
START_TEST(a_cut_out_part_of_an_image_has_room_to_be_resized)
{
    float image[20 * 32], part[10 * 24];
    net_fill(image, 20 * 32, 1);
    struct onnx o[2] = {onnx_start(13), onnx_start(13)};
    onnx_input(&o[0], "x", 1, DIMS(1, 1, 20, 32));
    onnx_input(&o[0], "to", 7, DIMS(2));
    onnx_ints(&o[0], "from", DIMS(2), (int64_t[]){0, 0});
    onnx_ints(&o[0], "axes", DIMS(2), (int64_t[]){2, 3});
    onnx_node(&o[0], "Slice", "x from to axes", "s");
    onnx_input(&o[1], "s", 1, DIMS(1, 1, 10, 24));
    for (int i = 0; i < 2; i++) {
        onnx_output(&o[i], "y", 1, SCALAR);
        onnx_ints(&o[i], "sizes", DIMS(4), (int64_t[]){1, 1, 20, 32});
        onnx_node(&o[i], "Resize", "s   sizes", "y");
        onnx_attribute_text(&o[i], "mode", "linear");
    }
    struct net late = net_make(&o[0]), fixed = net_make(&o[1]);
    net_set(&late, 0, image);
    net_set(&late, 1, (int64_t[]){20, 32});
    net_run(&late);
    net_expect_floats(&late, 0, DIMS(1, 1, 20, 32), image);
    net_set(&late, 1, (int64_t[]){10, 24});
    net_run(&late);
    for (int i = 0; i < 10; i++)
        memcpy(part + i * 24, image + i * 32, 24 * sizeof *part);
    net_set(&fixed, 0, part);
    net_run(&fixed);
    net_expect_floats(&late, 0, DIMS(1, 1, 20, 32), net_floats(&fixed, 0));
    net_free(&late);
    net_free(&fixed);
}
END_TEST

/* Of fewer keys, the scores of more queries are made at a time. */
START_TEST(attention_to_fewer_keys_has_room)
{
    enum { KEYS = 40000 };
    float *keys = net_draw(KEYS, 1), *values = malloc(KEYS * sizeof *values);
    for (int i = 0; i < KEYS; i++)
        values[i] = 3;
    struct onnx o = onnx_start(23);
    onnx_input(&o, "q", 1, DIMS(1, 1, 2, 1));
    onnx_input(&o, "k", 1, DIMS(1, 1, KEYS, 1));
    onnx_input(&o, "v", 1, DIMS(1, 1, KEYS, 1));
    onnx_input(&o, "to", 7, DIMS(1));
    onnx_output(&o, "y", 1, SCALAR);
    onnx_ints(&o, "from", DIMS(1), (int64_t[]){0});
    onnx_ints(&o, "axis", DIMS(1), (int64_t[]){2});
    onnx_node(&o, "Slice", "k from to axis", "keys");
    onnx_node(&o, "Slice", "v from to axis", "values");
    onnx_node(&o, "Attention", "q keys values", "y");
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){1, -1});
    net_set(&net, 1, keys);
    net_set(&net, 2, values);
    for (int64_t count = KEYS; count > 0; count -= 7000) {
        net_set(&net, 3, &count);
        net_run(&net);
        net_expect_floats(&net, 0, DIMS(1, 1, 2, 1), (float[]){3, 3});
    }
    net_free(&net);
    free(keys);
    free(values);
}
END_TEST

/* y = a sum of what two conditions keep of two lists. */
static struct net two_choices(void)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(4));
    onnx_input(&o, "p", 9, DIMS(4));
    onnx_input(&o, "q", 9, DIMS(4));
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, "Compress", "x p", "a");
    onnx_node(&o, "Compress", "x q", "b");
    onnx_node(&o, "Sub", "a b", "y");
    return net_make(&o);
}

START_TEST(operands_that_a_run_makes_one_element_are_repeated)
{
    struct net net = two_choices();
    net_set(&net, 0, (float[]){1, 2, 3, 4});
    net_set(&net, 1, (uint8_t[]){0, 1, 0, 0});
    net_set(&net, 2, (uint8_t[]){1, 1, 1, 1});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(4), (float[]){1, 0, -1, -2});
    net_set(&net, 1, (uint8_t[]){1, 0, 1, 1});
    net_set(&net, 2, (uint8_t[]){0, 0, 0, 1});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(3), (float[]){-3, -1, 0});
    net_free(&net);
}
END_TEST

START_TEST(shapes_that_do_not_fit_in_a_run_are_an_error_of_that_run)
{
    struct net net = two_choices();
    net_set(&net, 0, (float[]){1, 2, 3, 4});
    net_set(&net, 1, (uint8_t[]){0, 1, 1, 0});
    net_set(&net, 2, (uint8_t[]){1, 1, 1, 0});
    net_expect_run_fails(&net, "node 'y' (Sub): operand shapes do not broadcast");
    net_set(&net, 2, (uint8_t[]){1, 0, 1, 0});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2), (float[]){1, 0});
    net_free(&net);
}
END_TEST

START_TEST(compress_takes_an_axis_and_short_conditions)
{
    struct onnx o = onnx_start(11);
    onnx_input(&o, "x", 1, DIMS(2, 3));
    onnx_input(&o, "p", 9, DIMS(2));
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, "Compress", "x p", "y");
    onnx_attribute_int(&o, "axis", -1);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){1, 2, 3, 4, 5, 6});
    net_set(&net, 1, (uint8_t[]){0, 1});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 1), (float[]){2, 5});
    net_free(&net);

    o = onnx_start(11);
    onnx_input(&o, "x", 1, DIMS(2));
    onnx_input(&o, "p", 9, DIMS(3));
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, "Compress", "x p", "y");
    net = net_make(&o);
    net_set(&net, 0, (float[]){1, 2});
    net_set(&net, 1, (uint8_t[]){0, 1, 1});
    net_expect_run_fails(&net, "condition keeps element 2 of 2");
    net_set(&net, 1, (uint8_t[]){0, 1, 0});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1), (float[]){2});
    net_free(&net);
}
END_TEST

START_TEST(a_slice_between_computed_places_is_at_most_its_input)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(5));
    onnx_input(&o, "from", 7, DIMS(1));
    onnx_input(&o, "to", 7, DIMS(1));
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, "Slice", "x from to", "y");
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){1, 2, 3, 4, 5});
    net_set(&net, 1, (int64_t[]){1});
    net_set(&net, 2, (int64_t[]){-1});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(3), (float[]){2, 3, 4});
    net_set(&net, 1, (int64_t[]){INT64_MIN});
    net_set(&net, 2, (int64_t[]){INT64_MAX});
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(5));
    net_set(&net, 1, (int64_t[]){4});
    net_set(&net, 2, (int64_t[]){2});
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(0));
    net_free(&net);
}
END_TEST

/* The number of elements is known, how they are spread is not: the mean of the longer side was
 * planned to be one number. */
START_TEST(a_run_beyond_what_was_planned_is_refused)
{
    struct onnx o = chosen_rows(DIMS(6, 2));
    onnx_input(&o, "z", 1, DIMS(6));
    onnx_ints(&o, "open", DIMS(1), (int64_t[]){-1});
    onnx_ints(&o, "axis", DIMS(1), (int64_t[]){0});
    onnx_node(&o, "Shape", "i", "s");
    onnx_node(&o, "Concat", "s open", "target");
    onnx_attribute_int(&o, "axis", 0);
    onnx_node(&o, "Reshape", "z target", "t");
    onnx_node(&o, "ReduceMean", "t", "y");
    onnx_attribute_ints(&o, "axes", 1, (int64_t[]){0});
    onnx_attribute_int(&o, "keepdims", 0);
    struct net net = net_make(&o);
    net_set(&net, 1, ROWS);
    net_set(&net, 2, (float[]){1, 2, 3, 4, 5, 6});
    net_set(&net, 0, (float[]){1, 1, 1, 1, 1, 1});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1), (float[]){3.5f});
    net_set(&net, 0, (float[]){1, 1, 0, 0, 0, 0});
    net_expect_run_fails(&net,
                         "node 'y' (ReduceMean): output 0 has 3 elements in this run; it was "
                         "planned for 1");
    net_free(&net);
}
END_TEST

START_TEST(what_nothing_bounds_is_refused_by_name)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(6));
    onnx_input(&o, "s", 7, DIMS(2));
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, "Reshape", "x s", "y");
    net_expect_refused(
        &o, -ENOTSUP,
        "node 'y' (Reshape): shape is computed at run time and nothing bounds it");
}
END_TEST

/* x is (1, frames, 4): a product for each frame, then the frames' numbers that are left. */
START_TEST(frames_run_apart_up_to_where_a_run_decides_a_shape)
{
    float w[4 * 3];
    net_fill(w, 12, 9);
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, 5, 4));
    onnx_output(&o, "y", 7, SCALAR);
    onnx_floats(&o, "w", DIMS(4, 3), w);
    onnx_node(&o, "MatMul", "x w", "p");
    onnx_node(&o, "Relu", "p", "r");
    onnx_node(&o, "NonZero", "r", "y");
    struct nn_model *model = net_load(&o);
    struct net whole = net_plan(nn_model_ref(model), NULL);
    struct net cut = net_plan(model, &(struct nn_plan_options){.time_axis = 1});
    struct nn_plan_info info;
    nn_plan_describe(cut.plan, &info);
    ck_assert_int_gt(info.frame_nodes, 0);
    ck_assert_int_eq(info.window_nodes, 1);
    float x[20];
    net_fill(x, 20, 4);
    net_set(&whole, 0, x);
    net_set(&cut, 0, x);
    net_run(&whole);
    net_run(&cut);
    const struct nn_tensor *a = nn_session_output(whole.session, 0);
    const struct nn_tensor *b = nn_session_output(cut.session, 0);
    ck_assert(nn_shape_equal(&a->shape, &b->shape));
    ck_assert_int_gt(a->shape.dim[1], 0);
    ck_assert_int_lt(a->shape.dim[1], 15);
    ck_assert_mem_eq(a->data, b->data, nn_tensor_bytes(a));
    net_free(&whole);
    net_free(&cut);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("late shapes");
    tcase_add_test(c, nonzero_has_as_many_columns_as_the_run_finds);
    tcase_add_test(c, nonzero_of_a_scalar_has_no_rows);
    tcase_add_test(c, what_is_computed_from_constants_has_its_shape_at_once);
    tcase_add_test(c, sizes_computed_from_such_shapes_are_those_of_the_run);
    tcase_add_test(c, a_convolution_over_chosen_images_keeps_its_packed_weights);
    tcase_add_test(c, a_convolution_over_images_of_any_width_has_room_for_each);
    tcase_add_test(c, one_row_of_a_deep_product_has_room);
    tcase_add_test(c, a_cut_out_part_of_an_image_has_room_to_be_resized);
    tcase_add_test(c, attention_to_fewer_keys_has_room);
    tcase_add_test(c, operands_that_a_run_makes_one_element_are_repeated);
    tcase_add_test(c, shapes_that_do_not_fit_in_a_run_are_an_error_of_that_run);
    tcase_add_test(c, compress_takes_an_axis_and_short_conditions);
    tcase_add_test(c, a_slice_between_computed_places_is_at_most_its_input);
    tcase_add_test(c, a_run_beyond_what_was_planned_is_refused);
    tcase_add_test(c, what_nothing_bounds_is_refused_by_name);
    tcase_add_test(c, frames_run_apart_up_to_where_a_run_decides_a_shape);
    return suite_run("nn/late", &c, 1);
}
