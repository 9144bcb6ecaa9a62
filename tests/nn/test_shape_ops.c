/* Operators that compute element by element, move elements, or only change shapes. The ONNX
 * suite covers the usual; these are the edges: old opsets, empty tensors, integers, errors. */
#include <errno.h>
#include <math.h>

#include "tests/nn/net.h"

/* One node over float inputs "a" and "b". */
static struct onnx two(int opset, const char *op, struct onnx_dims a, struct onnx_dims b)
{
    struct onnx o = onnx_start(opset);
    onnx_input(&o, "a", 1, a);
    onnx_input(&o, "b", 1, b);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, op, "a b", "y");
    return o;
}

static struct onnx one(int opset, const char *op, struct onnx_dims a)
{
    struct onnx o = onnx_start(opset);
    onnx_input(&o, "a", 1, a);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, op, "a", "y");
    return o;
}

/* --- Arithmetic ------------------------------------------------------------------------- */

START_TEST(broadcasting_agrees_with_plain_loops_for_every_pattern)
{
    /* Every combination of 1 and full extents of two rank-3 operands, and lower ranks. */
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div"};
    const int64_t full[] = {2, 3, 5};
    for (int pattern = 0; pattern < 64; pattern++)
        for (int rank = 1; rank <= 3; rank++) {
            struct onnx_dims a = {.rank = 3}, b = {.rank = rank};
            for (int d = 0; d < 3; d++)
                a.dim[d] = pattern & 1 << d ? full[d] : 1;
            for (int d = 0; d < rank; d++)
                b.dim[d] = pattern & 8 << d ? full[3 - rank + d] : 1;
            const char *op = ops[(pattern + rank) % 4];
            struct onnx o = two(13, op, a, b);
            struct net net = net_make(&o);
            float *x = nn_session_input(net.session, 0)->data;
            float *z = nn_session_input(net.session, 1)->data;
            net_fill(x, onnx_dims_count(a), 1);
            net_fill(z, onnx_dims_count(b), 2);
            net_run(&net);
            const struct nn_tensor *y = nn_session_output(net.session, 0);
            int64_t at = 0;
            for (int64_t i = 0; i < y->shape.dim[0]; i++)
                for (int64_t j = 0; j < y->shape.dim[1]; j++)
                    for (int64_t k = 0; k < y->shape.dim[2]; k++) {
                        int64_t index[] = {i, j, k}, p = 0, q = 0;
                        for (int d = 0; d < 3; d++)
                            p = p * a.dim[d] + (a.dim[d] == 1 ? 0 : index[d]);
                        for (int d = 0; d < rank; d++)
                            q = q * b.dim[d] + (b.dim[d] == 1 ? 0 : index[3 - rank + d]);
                        float want = *op == 'A'   ? x[p] + z[q]
                                     : *op == 'S' ? x[p] - z[q]
                                     : *op == 'M' ? x[p] * z[q]
                                                  : x[p] / z[q];
                        ck_assert_float_eq_tol(((float *)y->data)[at++], want,
                                               1e-6f * (1 + fabsf(want)));
                    }
            ck_assert_int_eq(at, nn_shape_count(&y->shape));
            net_free(&net);
        }
}
END_TEST

START_TEST(the_second_operand_of_old_opsets_is_aligned_at_axis)
{
    struct onnx o = two(6, "Add", DIMS(1, 2, 3), DIMS(2));
    onnx_attribute_int(&o, "broadcast", 1);
    onnx_attribute_int(&o, "axis", 1);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){1, 2, 3, 4, 5, 6});
    net_set(&net, 1, (float[]){10, 20});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1, 2, 3), (float[]){11, 12, 13, 24, 25, 26});
    net_free(&net);
}
END_TEST

START_TEST(old_opsets_do_not_broadcast_unasked)
{
    struct onnx o = two(6, "Add", DIMS(2, 3), DIMS(3));
    net_expect_refused(&o, -EINVAL, "broadcast is not set");
    o = two(6, "Mul", DIMS(2, 3), DIMS(3));
    onnx_attribute_int(&o, "broadcast", 1);
    onnx_attribute_int(&o, "axis", 2);
    net_expect_refused(&o, -EINVAL, "axis 2 does not fit");
}
END_TEST

START_TEST(shapes_that_do_not_broadcast_are_refused)
{
    struct onnx o = two(13, "Add", DIMS(2, 3), DIMS(2));
    net_expect_refused(&o, -EINVAL, "node 'y' (Add): operand shapes do not broadcast");
}
END_TEST

START_TEST(an_empty_operand_gives_an_empty_result)
{
    struct onnx o = two(13, "Add", DIMS(2, 0, 3), DIMS(3));
    struct net net = net_make(&o);
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(2, 0, 3));
    net_free(&net);
}
END_TEST

static struct onnx integers(const char *op, int type)
{
    struct onnx o = onnx_start(14);
    onnx_input(&o, "a", type, DIMS(3));
    onnx_input(&o, "b", type, DIMS(3));
    onnx_output(&o, "y", type, DIMS(3));
    onnx_node(&o, op, "a b", "y");
    return o;
}

START_TEST(integers_wrap_and_divide_towards_zero)
{
    struct onnx o = integers("Add", 7);
    struct net net = net_make(&o);
    net_set(&net, 0, (int64_t[]){INT64_MAX, -5, 7});
    net_set(&net, 1, (int64_t[]){1, 3, 1});
    net_run(&net);
    const int64_t *y = nn_session_output(net.session, 0)->data;
    ck_assert_int_eq(y[0], INT64_MIN);
    ck_assert_int_eq(y[1], -2);
    net_free(&net);

    o = integers("Div", 6);
    net = net_make(&o);
    net_set(&net, 0, (int32_t[]){INT32_MIN, -7, 7});
    net_set(&net, 1, (int32_t[]){-1, 2, -2});
    net_run(&net);
    const int32_t *q = nn_session_output(net.session, 0)->data;
    ck_assert_int_eq(q[0], INT32_MIN);
    ck_assert_int_eq(q[1], -3);
    ck_assert_int_eq(q[2], -3);
    net_free(&net);

    o = integers("Mul", 3);
    net = net_make(&o);
    net_set(&net, 0, (int8_t[]){100, -128, 3});
    net_set(&net, 1, (int8_t[]){3, -1, -4});
    net_run(&net);
    const int8_t *p = nn_session_output(net.session, 0)->data;
    ck_assert_int_eq(p[0], 44);
    ck_assert_int_eq(p[1], -128);
    ck_assert_int_eq(p[2], -12);
    net_free(&net);

    o = integers("Sub", 2);
    net = net_make(&o);
    net_set(&net, 0, (uint8_t[]){3, 200, 0});
    net_set(&net, 1, (uint8_t[]){4, 100, 0});
    net_run(&net);
    const uint8_t *d = nn_session_output(net.session, 0)->data;
    ck_assert_int_eq(d[0], 255);
    ck_assert_int_eq(d[1], 100);
    net_free(&net);
}
END_TEST

START_TEST(dividing_an_integer_by_zero_fails_the_run)
{
    static const int types[] = {2, 3, 6, 7};
    for (size_t i = 0; i < 4; i++) {
        struct onnx o = integers("Div", types[i]);
        struct net net = net_make(&o);
        struct nn_error err = {{0}};
        ck_assert_int_eq(nn_session_run(net.session, &err), -EINVAL);
        ck_assert_str_eq(err.text, "node 'y' (Div): division by zero");
        net_free(&net);
    }
}
END_TEST

START_TEST(operands_of_two_types_are_refused)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "a", 1, DIMS(2));
    onnx_input(&o, "b", 7, DIMS(2));
    onnx_output(&o, "y", 1, DIMS(2));
    onnx_node(&o, "Add", "a b", "y");
    net_expect_refused(&o, -EINVAL, "operands are float32 and int64");
}
END_TEST

START_TEST(activations_of_extremes_are_finite)
{
    static const float x[] = {-1e30f, -100, -1, 0, 1, 100, 1e30f, NAN};
    struct {
        const char *op;
        float want[7];
    } cases[] = {
        {"Relu", {0, 0, 0, 0, 1, 100, 1e30f}},
        {"LeakyRelu", {-1e28f, -1, -0.01f, 0, 1, 100, 1e30f}},
        {"Sigmoid", {0, 0, 0.26894142f, 0.5f, 0.73105858f, 1, 1}},
        {"Tanh", {-1, -1, -0.76159416f, 0, 0.76159416f, 1, 1}},
    };
    for (size_t i = 0; i < 4; i++) {
        struct onnx o = one(13, cases[i].op, DIMS(8));
        struct net net = net_make(&o);
        net_set(&net, 0, x);
        net_run(&net);
        const float *y = net_floats(&net, 0);
        for (int j = 0; j < 7; j++)
            ck_assert_float_eq_tol(y[j], cases[i].want[j], 1e-6f * (1 + fabsf(y[j])));
        ck_assert(isnan(y[7]));
        net_free(&net);
    }
}
END_TEST

/* --- Shapes ----------------------------------------------------------------------------- */

static struct onnx with_shape(int opset, const char *op, struct onnx_dims a, int count,
                              const int64_t *values)
{
    struct onnx o = onnx_start(opset);
    onnx_input(&o, "a", 1, a);
    onnx_ints(&o, "s", DIMS(count), values);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, op, "a s", "y");
    return o;
}

START_TEST(reshape_copies_zeros_and_solves_for_minus_one)
{
    struct onnx o = with_shape(13, "Reshape", DIMS(2, 3, 4), 3, (int64_t[]){0, -1, 2});
    struct net net = net_make(&o);
    net_expect_shape(&net, 0, DIMS(2, 6, 2));
    net_free(&net);
    o = with_shape(14, "Reshape", DIMS(0, 3), 2, (int64_t[]){3, 0});
    onnx_attribute_int(&o, "allowzero", 1);
    net = net_make(&o);
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(3, 0));
    net_free(&net);
    o = one(1, "Reshape", DIMS(2, 3));
    onnx_attribute_ints(&o, "shape", 1, (int64_t[]){-1});
    net = net_make(&o);
    net_expect_shape(&net, 0, DIMS(6));
    net_free(&net);
}
END_TEST

START_TEST(impossible_reshapes_are_refused)
{
    static const struct {
        int count;
        int64_t values[9];
        const char *text;
    } cases[] = {
        {2, {2, 4}, "does not hold the input's 6"},
        {2, {-1, 4}, "do not divide"},
        {2, {-1, -1}, "impossible dimension"},
        {2, {-2, 3}, "impossible dimension"},
        {3, {2, 3, 0}, "copies dimension 2"},
        {2, {INT64_MAX, INT64_MAX}, "does not hold"},
        {9, {6, 1, 1, 1, 1, 1, 1, 1, 1}, "at most 8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct onnx o = with_shape(13, "Reshape", DIMS(2, 3), cases[i].count, cases[i].values);
        net_expect_refused(&o, -EINVAL, cases[i].text);
    }
}
END_TEST

START_TEST(a_shape_computed_at_run_time_is_refused_unless_given)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "a", 1, DIMS(6));
    onnx_input(&o, "s", 7, DIMS(2));
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, "Reshape", "a s", "y");
    struct nn_model *model = net_load(&o);
    struct nn_plan *plan = NULL;
    struct nn_error err = {{0}};
    ck_assert_int_eq(nn_plan_create(model, NULL, &plan, &err), -ENOTSUP);
    ck_assert_str_eq(err.text,
                     "node 'y' (Reshape): shape is computed at run time and nothing bounds it");
    int64_t shape[] = {3, 2};
    struct nn_tensor values[] = {
        {0}, {.type = NN_TYPE_INT64, .shape = {.rank = 1, .dim = {2}}, .data = shape}};
    struct net net =
        net_plan(model, &(struct nn_plan_options){.time_axis = -1, .input_values = values});
    shape[0] = 77; /* copied */
    net_set(&net, 0, (float[]){1, 2, 3, 4, 5, 6});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(3, 2), (float[]){1, 2, 3, 4, 5, 6});
    net_free(&net);
}
END_TEST

START_TEST(squeeze_and_unsqueeze_know_both_ways_of_naming_axes)
{
    struct onnx o = one(11, "Squeeze", DIMS(1, 3, 1));
    onnx_attribute_ints(&o, "axes", 1, (int64_t[]){-1});
    struct net net = net_make(&o);
    net_expect_shape(&net, 0, DIMS(1, 3));
    net_free(&net);
    o = one(13, "Squeeze", DIMS(1, 3, 1));
    net = net_make(&o);
    net_expect_shape(&net, 0, DIMS(3));
    net_free(&net);
    o = with_shape(13, "Unsqueeze", DIMS(3), 2, (int64_t[]){-1, 0});
    net = net_make(&o);
    net_expect_shape(&net, 0, DIMS(1, 3, 1));
    net_free(&net);
    o = one(11, "Unsqueeze", DIMS(3));
    onnx_attribute_ints(&o, "axes", 1, (int64_t[]){1});
    net = net_make(&o);
    net_expect_shape(&net, 0, DIMS(3, 1));
    net_free(&net);

    o = with_shape(13, "Squeeze", DIMS(1, 3), 1, (int64_t[]){1});
    net_expect_refused(&o, -EINVAL, "axis 1 has extent 3");
    o = with_shape(13, "Unsqueeze", DIMS(3), 2, (int64_t[]){0, -3});
    net_expect_refused(&o, -EINVAL, "axis 0 is named twice");
    o = with_shape(13, "Unsqueeze", DIMS(3), 1, (int64_t[]){5});
    net_expect_refused(&o, -EINVAL, "axis 5 is outside");
    o = with_shape(13, "Unsqueeze", DIMS(1, 1, 1, 1, 1, 1, 1), 2, (int64_t[]){0, 1});
    net_expect_refused(&o, -ENOTSUP, "over 8 dimensions");
    o = with_shape(11, "Squeeze", DIMS(1, 3), 1, (int64_t[]){0});
    net_expect_refused(&o, -EINVAL, "opset 11 has no input 'axes'");
}
END_TEST

START_TEST(flatten_at_either_end_keeps_all_elements)
{
    struct onnx o = one(13, "Flatten", DIMS(2, 3));
    onnx_attribute_int(&o, "axis", 0);
    struct net net = net_make(&o);
    net_expect_shape(&net, 0, DIMS(1, 6));
    net_free(&net);
    o = one(13, "Flatten", DIMS(2, 3));
    onnx_attribute_int(&o, "axis", 2);
    net = net_make(&o);
    net_expect_shape(&net, 0, DIMS(6, 1));
    net_free(&net);
    o = one(13, "Flatten", DIMS(2, 3));
    onnx_attribute_int(&o, "axis", 3);
    net_expect_refused(&o, -EINVAL, "axis 3");
}
END_TEST

START_TEST(dropout_of_a_trained_network_does_nothing)
{
    struct onnx o = onnx_start(9);
    onnx_input(&o, "a", 1, DIMS(3));
    onnx_output(&o, "y", 1, DIMS(3));
    onnx_output(&o, "mask", 1, DIMS(3));
    onnx_node(&o, "Dropout", "a", "y mask");
    onnx_attribute_float(&o, "ratio", 0.9f);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){1, 2, 3});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(3), (float[]){1, 2, 3});
    net_expect_floats(&net, 1, DIMS(3), (float[]){1, 1, 1});
    net_free(&net);

    o = onnx_start(13);
    onnx_input(&o, "a", 1, DIMS(3));
    onnx_floats(&o, "ratio", SCALAR, (float[]){0.5f});
    onnx_initializer(&o, onnx_tensor("training", 9, SCALAR, "\1", 1));
    onnx_output(&o, "y", 1, DIMS(3));
    onnx_node(&o, "Dropout", "a ratio training", "y");
    net_expect_refused(&o, -ENOTSUP, "node 'y' (Dropout): training_mode");
}
END_TEST

/* --- Moving ----------------------------------------------------------------------------- */

static void check_transpose(const int64_t *dims, const int64_t *perm)
{
    struct onnx_dims shape = DIMS(dims[0], dims[1], dims[2], dims[3]);
    int64_t back[4], stride[4] = {0, 0, 0, 1};
    for (int d = 0; d < 4; d++)
        back[perm[d]] = d;
    for (int d = 2; d >= 0; d--)
        stride[d] = stride[d + 1] * dims[d + 1];
    struct onnx o = onnx_start(13);
    onnx_input(&o, "a", 1, shape);
    onnx_node(&o, "Transpose", "a", "t");
    onnx_attribute_ints(&o, "perm", 4, perm);
    onnx_node(&o, "Transpose", "t", "y");
    onnx_attribute_ints(&o, "perm", 4, back);
    onnx_output(&o, "t", 1, SCALAR);
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    uint32_t *a = nn_session_input(net.session, 0)->data;
    net_fill((float *)a, onnx_dims_count(shape), 3);
    a[1] = 0x7f800001; /* a signalling NaN stays one */
    net_run(&net);
    ck_assert_mem_eq(net_floats(&net, 1), a, onnx_dims_count(shape) * sizeof *a);
    /* And the one in between is where perm says. */
    const struct nn_tensor *t = nn_session_output(net.session, 0);
    const uint32_t *got = t->data;
    int64_t i[4];
    for (i[0] = 0; i[0] < t->shape.dim[0]; i[0]++)
        for (i[1] = 0; i[1] < t->shape.dim[1]; i[1]++)
            for (i[2] = 0; i[2] < t->shape.dim[2]; i[2]++)
                for (i[3] = 0; i[3] < t->shape.dim[3]; i[3]++) {
                    int64_t from = 0;
                    for (int d = 0; d < 4; d++)
                        from += i[d] * stride[perm[d]];
                    ck_assert_uint_eq(*got++, a[from]);
                }
    net_free(&net);
}

START_TEST(transposing_there_and_back_is_the_identity)
{
    static const int64_t perms[][4] = {{0, 2, 3, 1}, {3, 0, 1, 2}, {1, 0, 3, 2}, {3, 2, 1, 0},
                                       {0, 1, 3, 2}, {2, 3, 0, 1}, {0, 1, 2, 3}};
    static const int64_t shapes[][4] = {
        {2, 3, 4, 5}, {3, 2, 19, 34}, {4, 17, 16, 3}, {1, 10, 9, 8}};
    for (size_t p = 0; p < sizeof perms / sizeof perms[0]; p++)
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
            check_transpose(shapes[s], perms[p]);
    struct onnx o = one(13, "Transpose", DIMS(2, 3));
    onnx_attribute_ints(&o, "perm", 2, (int64_t[]){1, 1});
    net_expect_refused(&o, -EINVAL, "axis 1 is named twice");
    o = one(13, "Transpose", DIMS(2, 3));
    onnx_attribute_ints(&o, "perm", 3, (int64_t[]){0, 1, 2});
    net_expect_refused(&o, -EINVAL, "perm has 3 entries");
}
END_TEST

START_TEST(every_element_size_is_transposed)
{
    static const int types[] = {9, 1, 7};
    static const uint8_t bools[] = {1, 0, 0, 0, 1, 1}, bools_t[] = {1, 0, 0, 1, 0, 1};
    static const float floats[] = {1, 2, 3, 4, 5, 6}, floats_t[] = {1, 4, 2, 5, 3, 6};
    static const int64_t ints[] = {1, 2, 3, 4, 5, 6}, ints_t[] = {1, 4, 2, 5, 3, 6};
    const void *in[] = {bools, floats, ints}, *want[] = {bools_t, floats_t, ints_t};
    for (size_t i = 0; i < 3; i++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "a", types[i], DIMS(2, 3));
        onnx_node(&o, "Transpose", "a", "y");
        onnx_output(&o, "y", types[i], SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, in[i]);
        net_run(&net);
        const struct nn_tensor *y = nn_session_output(net.session, 0);
        ck_assert_int_eq(y->type, types[i]);
        ck_assert_mem_eq(y->data, want[i], nn_tensor_bytes(y));
        net_free(&net);
    }
}
END_TEST

START_TEST(concat_joins_any_number_of_parts)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "a", 1, DIMS(2, 1));
    onnx_input(&o, "b", 1, DIMS(2, 0));
    onnx_input(&o, "c", 1, DIMS(2, 2));
    onnx_node(&o, "Concat", "a b c a", "y");
    onnx_attribute_int(&o, "axis", -1);
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){1, 2});
    net_set(&net, 2, (float[]){3, 4, 5, 6});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 4), (float[]){1, 3, 4, 1, 2, 5, 6, 2});
    net_free(&net);
    o = two(13, "Concat", DIMS(2, 3), DIMS(3, 3));
    onnx_attribute_int(&o, "axis", 1);
    net_expect_refused(&o, -EINVAL, "input 1 has another shape");
    o = two(13, "Concat", DIMS(2, 3), DIMS(2, 3));
    net_expect_refused(&o, -EINVAL, "attribute 'axis' is missing");
    o = two(13, "Concat", DIMS(2, 3), DIMS(3));
    onnx_attribute_int(&o, "axis", 0);
    net_expect_refused(&o, -EINVAL, "input 1 has another shape");
}
END_TEST

START_TEST(slices_clamp_count_back_and_step)
{
    static const struct {
        int64_t start, end, step;
        int count;
        float want[6];
    } cases[] = {
        {0, 6, 1, 6, {0, 1, 2, 3, 4, 5}},
        {1, 4, 1, 3, {1, 2, 3}},
        {-2, INT64_MAX, 1, 2, {4, 5}},
        {INT64_MIN, 2, 1, 2, {0, 1}},
        {4, 2, 1, 0, {0}},
        {7, 9, 1, 0, {0}},
        {0, 6, 4, 2, {0, 4}},
        {1, 6, INT64_MAX, 1, {1}},
        {5, INT64_MIN, -1, 6, {5, 4, 3, 2, 1, 0}},
        {INT64_MAX, INT64_MIN, -2, 3, {5, 3, 1}},
        {-1, 0, -3, 2, {5, 2}},
        {2, 4, -1, 0, {0}},
        {3, INT64_MIN, INT64_MIN, 1, {3}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "a", 1, DIMS(6));
        onnx_ints(&o, "s", DIMS(1), &cases[i].start);
        onnx_ints(&o, "e", DIMS(1), &cases[i].end);
        onnx_ints(&o, "p", DIMS(1), &cases[i].step);
        onnx_node(&o, "Slice", "a s e - p", "y");
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, (float[]){0, 1, 2, 3, 4, 5});
        net_run(&net);
        net_expect_floats(&net, 0, DIMS(cases[i].count), cases[i].want);
        net_free(&net);
    }
}
END_TEST

START_TEST(a_slice_of_several_axes_is_cut_from_all)
{
    struct onnx o = one(9, "Slice", DIMS(3, 4));
    onnx_attribute_ints(&o, "starts", 2, (int64_t[]){1, -3});
    onnx_attribute_ints(&o, "ends", 2, (int64_t[]){99, -1});
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 2), (float[]){5, 6, 9, 10});
    net_free(&net);
}
END_TEST

START_TEST(a_slice_of_an_empty_axis_is_empty)
{
    static const int64_t starts[] = {-1, 0, 1, INT64_MAX}, steps[] = {1, -1, -2};
    for (int i = 0; i < 12; i++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "a", 1, DIMS(0, 100000));
        onnx_ints(&o, "s", DIMS(1), &starts[i / 3]);
        onnx_ints(&o, "e", DIMS(1), (int64_t[]){steps[i % 3] > 0 ? INT64_MAX : INT64_MIN});
        onnx_ints(&o, "x", DIMS(1), (int64_t[]){0});
        onnx_ints(&o, "p", DIMS(1), &steps[i % 3]);
        onnx_node(&o, "Slice", "a s e x p", "y");
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_expect_shape(&net, 0, DIMS(0, 100000));
        net_run(&net);
        net_free(&net);
    }
}
END_TEST

/* Nothing times anything is nothing, but strides and loops count the other dimensions. */
START_TEST(an_empty_shape_with_enormous_sides_is_refused)
{
    static const char *const ops[] = {"Flatten", "Identity", "Transpose", "Softmax"};
    const int64_t huge = INT64_C(1) << 40;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        struct onnx o = one(13, ops[i], DIMS(0, huge, huge));
        net_expect_refused(&o, -E2BIG, "too large");
        o = one(13, ops[i], DIMS(huge, 0));
        net_expect_refused(&o, -E2BIG, "too large");
    }
}
END_TEST

START_TEST(impossible_slices_are_refused)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "a", 1, DIMS(6));
    onnx_ints(&o, "s", DIMS(1), (int64_t[]){0});
    onnx_node(&o, "Slice", "a s s - s", "y");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "steps has a zero");
    o = one(9, "Slice", DIMS(3, 4));
    onnx_attribute_ints(&o, "starts", 2, (int64_t[]){1, 1});
    onnx_attribute_ints(&o, "ends", 2, (int64_t[]){2, 2});
    onnx_attribute_ints(&o, "axes", 2, (int64_t[]){1, -1});
    net_expect_refused(&o, -EINVAL, "axis 1 is named twice");
    o = one(9, "Slice", DIMS(3, 4));
    onnx_attribute_ints(&o, "starts", 2, (int64_t[]){1, 1});
    onnx_attribute_ints(&o, "ends", 1, (int64_t[]){2});
    net_expect_refused(&o, -EINVAL, "do not match");
}
END_TEST

START_TEST(gather_takes_indices_computed_at_run_time)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "a", 1, DIMS(2, 3));
    onnx_input(&o, "i", 6, DIMS(2, 1));
    onnx_node(&o, "Gather", "a i", "y");
    onnx_attribute_int(&o, "axis", 1);
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){0, 1, 2, 3, 4, 5});
    net_set(&net, 1, (int32_t[]){-1, 1});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 2, 1), (float[]){2, 1, 5, 4});
    struct nn_error err = {{0}};
    net_set(&net, 1, (int32_t[]){0, 3});
    ck_assert_int_eq(nn_session_run(net.session, &err), -EINVAL);
    ck_assert_str_eq(err.text, "node 'y' (Gather): index 3 is outside an axis of extent 3");
    net_set(&net, 1, (int32_t[]){-4, 0});
    ck_assert_int_eq(nn_session_run(net.session, NULL), -EINVAL);
    net_free(&net);
}
END_TEST

/* --- Constants and reduction ------------------------------------------------------------ */

START_TEST(a_constant_may_be_given_five_ways)
{
    struct onnx o = onnx_start(13);
    onnx_node(&o, "Constant", "", "a");
    onnx_attribute_tensor(&o, "value", onnx_tensor("", 1, DIMS(1, 2), (float[]){1, 2}, 8));
    onnx_node(&o, "Constant", "", "b");
    onnx_attribute_float(&o, "value_float", 7);
    onnx_node(&o, "Constant", "", "c");
    onnx_attribute_floats(&o, "value_floats", 2, (float[]){3, 4});
    onnx_node(&o, "Constant", "", "d");
    onnx_attribute_int(&o, "value_int", -9);
    onnx_node(&o, "Constant", "", "e");
    onnx_attribute_ints(&o, "value_ints", 2, (int64_t[]){5, 6});
    onnx_output(&o, "a", 1, SCALAR);
    onnx_output(&o, "b", 1, SCALAR);
    onnx_output(&o, "c", 1, SCALAR);
    onnx_output(&o, "d", 7, SCALAR);
    onnx_output(&o, "e", 7, SCALAR);
    struct net net = net_make(&o);
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1, 2), (float[]){1, 2});
    net_expect_floats(&net, 1, SCALAR, (float[]){7});
    net_expect_floats(&net, 2, DIMS(2), (float[]){3, 4});
    net_expect_shape(&net, 3, SCALAR);
    ck_assert_int_eq(*(const int64_t *)nn_session_output(net.session, 3)->data, -9);
    net_expect_shape(&net, 4, DIMS(2));
    ck_assert_int_eq(((const int64_t *)nn_session_output(net.session, 4)->data)[1], 6);
    net_free(&net);
    o = onnx_start(13);
    onnx_node(&o, "Constant", "", "a");
    onnx_output(&o, "a", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "0 values; a constant has one");
}
END_TEST

START_TEST(shape_arithmetic_is_folded_away)
{
    /* What PyTorch writes for x.view(x.size(0), -1). */
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(2, 3, 4));
    onnx_ints(&o, "zero", SCALAR, (int64_t[]){0});
    onnx_ints(&o, "axes", DIMS(1), (int64_t[]){0});
    onnx_ints(&o, "open", DIMS(1), (int64_t[]){-1});
    onnx_node(&o, "Tanh", "x", "t"); /* only its shape is asked for */
    onnx_node(&o, "Shape", "t", "shape");
    onnx_node(&o, "Gather", "shape zero", "batch");
    onnx_node(&o, "Unsqueeze", "batch axes", "list");
    onnx_node(&o, "Concat", "list open", "target");
    onnx_attribute_int(&o, "axis", 0);
    onnx_node(&o, "Reshape", "x target", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_expect_shape(&net, 0, DIMS(2, 12));
    struct nn_plan_info info;
    nn_plan_describe(net.plan, &info);
    ck_assert_int_eq(info.window_nodes, 1);
    net_free(&net);
}
END_TEST

START_TEST(means_over_every_choice_of_axes_agree_with_plain_loops)
{
    for (int choice = 1; choice < 16; choice++)
        for (int keep = 0; keep < 2; keep++) {
            int64_t axes[4], stride[] = {60, 20, 5, 1}, dims[] = {2, 3, 4, 5};
            int count = 0;
            for (int d = 0; d < 4; d++)
                if (choice & 1 << d)
                    axes[count++] = d % 2 ? d : d - 4;
            struct onnx o = one(13, "ReduceMean", DIMS(2, 3, 4, 5));
            onnx_attribute_ints(&o, "axes", count, axes);
            onnx_attribute_int(&o, "keepdims", keep);
            struct net net = net_make(&o);
            float *x = nn_session_input(net.session, 0)->data;
            net_fill(x, 120, (uint32_t)choice);
            net_run(&net);
            double want[120] = {0};
            int64_t members = 1, results = 1;
            for (int d = 0; d < 4; d++) {
                members *= choice & 1 << d ? dims[d] : 1;
                results *= choice & 1 << d ? 1 : dims[d];
            }
            for (int64_t i = 0; i < 120; i++) {
                int64_t at = 0;
                for (int d = 0; d < 4; d++)
                    if (!(choice & 1 << d))
                        at = at * dims[d] + i / stride[d] % dims[d];
                want[at] += x[i];
            }
            const struct nn_tensor *y = nn_session_output(net.session, 0);
            ck_assert_int_eq(y->shape.rank, keep ? 4 : 4 - count);
            ck_assert_int_eq(nn_shape_count(&y->shape), results);
            for (int64_t i = 0; i < results; i++)
                ck_assert_double_eq_tol(((float *)y->data)[i], want[i] / (double)members, 1e-6);
            net_free(&net);
        }
}
END_TEST

START_TEST(a_mean_of_no_axes_is_the_input_when_asked)
{
    struct onnx o = one(18, "ReduceMean", DIMS(3));
    onnx_attribute_int(&o, "noop_with_empty_axes", 1);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){1, 2, 6});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(3), (float[]){1, 2, 6});
    net_free(&net);
    o = one(18, "ReduceMean", DIMS(3));
    net = net_make(&o);
    net_set(&net, 0, (float[]){1, 2, 6});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1), (float[]){3});
    net_free(&net);
    o = with_shape(18, "ReduceMean", DIMS(2, 3), 2, (int64_t[]){0, -2});
    net_expect_refused(&o, -EINVAL, "axis 0 is named twice");
}
END_TEST

static TCase *arithmetic_case(void)
{
    TCase *c = tcase_create("arithmetic");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, broadcasting_agrees_with_plain_loops_for_every_pattern);
    tcase_add_test(c, the_second_operand_of_old_opsets_is_aligned_at_axis);
    tcase_add_test(c, old_opsets_do_not_broadcast_unasked);
    tcase_add_test(c, shapes_that_do_not_broadcast_are_refused);
    tcase_add_test(c, an_empty_operand_gives_an_empty_result);
    tcase_add_test(c, integers_wrap_and_divide_towards_zero);
    tcase_add_test(c, dividing_an_integer_by_zero_fails_the_run);
    tcase_add_test(c, operands_of_two_types_are_refused);
    tcase_add_test(c, activations_of_extremes_are_finite);
    return c;
}

static TCase *shapes_case(void)
{
    TCase *c = tcase_create("shapes");
    tcase_add_test(c, reshape_copies_zeros_and_solves_for_minus_one);
    tcase_add_test(c, impossible_reshapes_are_refused);
    tcase_add_test(c, a_shape_computed_at_run_time_is_refused_unless_given);
    tcase_add_test(c, squeeze_and_unsqueeze_know_both_ways_of_naming_axes);
    tcase_add_test(c, flatten_at_either_end_keeps_all_elements);
    tcase_add_test(c, dropout_of_a_trained_network_does_nothing);
    return c;
}

static TCase *moving_case(void)
{
    TCase *c = tcase_create("moving");
    tcase_add_test(c, transposing_there_and_back_is_the_identity);
    tcase_add_test(c, every_element_size_is_transposed);
    tcase_add_test(c, concat_joins_any_number_of_parts);
    tcase_add_test(c, slices_clamp_count_back_and_step);
    tcase_add_test(c, a_slice_of_several_axes_is_cut_from_all);
    tcase_add_test(c, a_slice_of_an_empty_axis_is_empty);
    tcase_add_test(c, an_empty_shape_with_enormous_sides_is_refused);
    tcase_add_test(c, impossible_slices_are_refused);
    tcase_add_test(c, gather_takes_indices_computed_at_run_time);
    return c;
}

static TCase *constants_case(void)
{
    TCase *c = tcase_create("constants and reduction");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_constant_may_be_given_five_ways);
    tcase_add_test(c, shape_arithmetic_is_folded_away);
    tcase_add_test(c, means_over_every_choice_of_axes_agree_with_plain_loops);
    tcase_add_test(c, a_mean_of_no_axes_is_the_input_when_asked);
    return c;
}

int main(void)
{
    TCase *cases[] = {arithmetic_case(), shapes_case(), moving_case(), constants_case()};
    return suite_run("nn/shape_ops", cases, 4);
}
