/* What rows do that gradients do not show: what is random, what is kept from step to step, what
 * counts as a parameter, and what is refused. */
#include <math.h>

#include "nn/train/net.h"
#include "tests/nn/net.h"

static struct train_net *make(struct onnx builder)
{
    struct nn_model *model = net_load(&builder);
    struct train_options options = {.input_gradients = true, .threads = 2};
    struct train_net *net = NULL;
    struct nn_error err = {{0}};
    ck_assert_msg(train_net_create(model, &options, &net, &err) == 0, "%s", err.text);
    nn_model_unref(model);
    return net;
}

static void expect_refused(struct onnx builder, const char *text)
{
    struct nn_model *model = net_load(&builder);
    struct train_options options = {.input_gradients = true};
    struct train_net *net = NULL;
    struct nn_error err = {{0}};
    int r = train_net_create(model, &options, &net, &err);
    ck_assert_msg(r == -ENOTSUP, "returned %d (%s)", r, err.text);
    ck_assert_msg(strstr(err.text, text) != NULL, "'%s' does not say '%s'", err.text, text);
    nn_model_unref(model);
}

static const float *forward(struct train_net *net, bool training, uint64_t seed)
{
    struct nn_error err = {{0}};
    ck_assert_msg(train_net_forward(net, training, seed, &err) == 0, "%s", err.text);
    return train_net_output(net, 0)->data;
}

/* --- Dropout ------------------------------------------------------------------------------ */

enum { MANY = 100001 };

/* Two of them, one behind the other. */
static struct train_net *dropout(float ratio)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(MANY));
    onnx_floats(&b, "ratio", SCALAR, &ratio);
    onnx_node(&b, "Dropout", "x ratio", "a");
    onnx_node(&b, "Dropout", "a ratio", "y");
    onnx_output(&b, "y", 1, DIMS(MANY));
    struct train_net *net = make(b);
    for (int i = 0; i < MANY; i++)
        ((float *)train_net_input(net, 0)->data)[i] = 1;
    return net;
}

START_TEST(dropout_leaves_out_the_share_that_it_should_and_keeps_the_mean)
{
    struct train_net *net = dropout(0.2f);
    const float *y = forward(net, true, 1);
    int kept = 0;
    for (int i = 0; i < MANY; i++) {
        ck_assert(y[i] == 0 || fabsf(y[i] - 1 / 0.64f) < 1e-5f);
        kept += y[i] != 0;
    }
    /* Of two layers that drew the same, 80 % would be left; the deviation of 64 % is 0.15 %. */
    ck_assert_msg(fabs(kept / (double)MANY - 0.64) < 0.008, "%d of %d are left", kept, MANY);
    train_net_destroy(net);
}
END_TEST

/* How many elements are left in both of two masks, of `MANY`. */
static double both(const float *a, const float *b)
{
    int count = 0;
    for (int i = 0; i < MANY; i++)
        count += a[i] != 0 && b[i] != 0;
    return count / (double)MANY;
}

START_TEST(each_step_leaves_out_others_and_one_seed_the_same)
{
    static const uint64_t seeds[] = {8, 1, UINT64_C(7) << 32};
    struct train_net *net = dropout(0.5f);
    float *first = malloc(MANY * sizeof *first);
    ck_assert_ptr_nonnull(first);
    memcpy(first, forward(net, true, 7), MANY * sizeof *first);
    for (size_t s = 0; s < sizeof seeds / sizeof *seeds; s++) {
        double share = both(first, forward(net, true, seeds[s]));
        ck_assert_msg(fabs(share - 0.0625) < 0.005, "%.4f are left in both", share);
    }
    ck_assert_mem_eq(first, forward(net, true, 7), MANY * sizeof *first);
    free(first);
    train_net_destroy(net);
}
END_TEST

START_TEST(neighbours_are_left_out_apart_from_each_other)
{
    struct train_net *net = dropout(0.5f);
    const float *y = forward(net, true, 3);
    for (int lag = 1; lag <= 4; lag++) {
        int count = 0;
        for (int i = 0; i + lag < MANY; i++)
            count += y[i] != 0 && y[i + lag] != 0;
        ck_assert_msg(abs(count - MANY / 16) < 500, "%d pairs at distance %d", count, lag);
    }
    train_net_destroy(net);
}
END_TEST

START_TEST(dropout_does_nothing_in_use)
{
    struct train_net *net = dropout(0.5f);
    ck_assert_mem_eq(forward(net, false, 1), train_net_input(net, 0)->data,
                     MANY * sizeof(float));
    struct train_net *none = dropout(0), *all = dropout(1);
    ck_assert_mem_eq(forward(none, true, 1), train_net_input(none, 0)->data,
                     MANY * sizeof(float));
    const float *y = forward(all, true, 1);
    for (int i = 0; i < MANY; i++)
        ck_assert(y[i] == 0);
    train_net_destroy(net);
    train_net_destroy(none);
    train_net_destroy(all);
}
END_TEST

/* --- BatchNormalization ------------------------------------------------------------------- */

static struct onnx batch_norm(const char *outputs)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2, 2, 2));
    onnx_floats(&b, "scale", DIMS(2), (float[]){1, 2});
    onnx_floats(&b, "b", DIMS(2), (float[]){0, 1});
    onnx_floats(&b, "mean", DIMS(2), (float[]){10, 20});
    onnx_floats(&b, "var", DIMS(2), (float[]){1, 4});
    onnx_node(&b, "BatchNormalization", "x scale b mean var", outputs);
    onnx_attribute_float(&b, "momentum", 0.75f);
    onnx_attribute_float(&b, "epsilon", 0);
    onnx_output(&b, "y", 1, DIMS(2, 2, 2));
    return b;
}

static const struct train_net_parameter *find(const struct train_net *net, const char *name)
{
    for (size_t i = 0; i < train_net_parameter_count(net); i++)
        if (strcmp(train_net_parameter(net, i)->name, name) == 0)
            return train_net_parameter(net, i);
    return NULL;
}

static void expect(const void *got, size_t count, const float *want)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_float_eq_tol(((const float *)got)[i], want[i], 1e-5f);
}

/* Channel 0 has 1, 3, 5, 7: mean 4, variance 5; channel 1 four times 2. */
START_TEST(running_moments_move_towards_those_of_the_batch)
{
    static const float x[] = {1, 3, 2, 2, 5, 7, 2, 2};
    struct train_net *net = make(batch_norm("y"));
    const struct train_net_parameter *mean = find(net, "mean"), *variance = find(net, "var");
    memcpy(train_net_input(net, 0)->data, x, sizeof x);
    ck_assert_ptr_null(mean->gradient);
    ck_assert_ptr_nonnull(find(net, "scale")->gradient);
    forward(net, false, 0);
    expect(mean->value, 2, (float[]){10, 20});
    forward(net, true, 0);
    expect(mean->value, 2, (float[]){0.75f * 10 + 0.25f * 4, 0.75f * 20 + 0.25f * 2});
    expect(variance->value, 2, (float[]){0.75f * 1 + 0.25f * 5, 0.75f * 4});
    train_net_destroy(net);
}
END_TEST

START_TEST(in_use_the_running_moments_are_used_and_learned_past)
{
    static const float x[] = {11, 12, 20, 24, 9, 8, 16, 22};
    struct train_net *net = make(batch_norm("y"));
    memcpy(train_net_input(net, 0)->data, x, sizeof x);
    expect(forward(net, false, 0), 8, (float[]){1, 2, 1, 5, -1, -2, -3, 3});
    float *dy = train_net_head(net)->gradient;
    for (int i = 0; i < 8; i++)
        dy[i] = (float)i;
    train_net_backward(net);
    expect(train_net_input_gradient(net, 0), 8, (float[]){0, 1, 2, 3, 4, 5, 6, 7});
    expect(find(net, "b")->gradient, 2, (float[]){10, 18});
    expect(find(net, "scale")->gradient, 2, (float[]){2 - 4 - 10, 6 - 12 + 7});
    train_net_destroy(net);
}
END_TEST

/* --- Parameters --------------------------------------------------------------------------- */

START_TEST(biases_and_scales_are_learned_but_lone_numbers_are_not)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2, 3));
    onnx_floats(&b, "half", SCALAR, &(float){0.5f});
    onnx_floats(&b, "one", DIMS(1), &(float){1});
    onnx_floats(&b, "scale", DIMS(3), (float[]){1, 2, 3});
    onnx_floats(&b, "bias", DIMS(2, 1), (float[]){1, 2});
    onnx_floats(&b, "means", DIMS(3), (float[]){1, 2, 3});
    onnx_floats(&b, "w", DIMS(3, 1), (float[]){1, 2, 3});
    onnx_floats(&b, "v", DIMS(1, 1), &(float){1});
    onnx_floats(&b, "b", DIMS(1), &(float){1});
    onnx_node(&b, "Sub", "x means", "m");
    onnx_node(&b, "Mul", "m half", "a");
    onnx_node(&b, "Mul", "scale a", "c");
    onnx_node(&b, "Add", "c bias", "d");
    onnx_node(&b, "Add", "d one", "e");
    onnx_node(&b, "MatMul", "e w", "f");
    onnx_node(&b, "MatMul", "f v", "g");
    onnx_node(&b, "Add", "b g", "y");
    onnx_output(&b, "y", 1, DIMS(2, 1));
    struct train_net *net = make(b);
    ck_assert_uint_eq(train_net_parameter_count(net), 5);
    ck_assert(find(net, "scale") && find(net, "bias"));
    ck_assert(find(net, "w") && find(net, "v") && find(net, "b"));
    train_net_destroy(net);
}
END_TEST

/* --- Refusals ----------------------------------------------------------------------------- */

START_TEST(what_cannot_be_learned_is_refused_by_name)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(1, 1, 2, 2));
    onnx_floats(&b, "scales", DIMS(4), (float[]){1, 1, 2, 2});
    onnx_node(&b, "Resize", "x - scales", "y");
    onnx_attribute_text(&b, "mode", "linear");
    onnx_output(&b, "y", 1, DIMS(1, 1, 4, 4));
    expect_refused(b, "mode 'linear'");

    b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2, 2));
    onnx_node(&b, "Max", "x x x", "y");
    onnx_output(&b, "y", 1, DIMS(2, 2));
    expect_refused(b, "3 operands");

    b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2, 2));
    onnx_node(&b, "Dropout", "x", "y mask");
    onnx_output(&b, "y", 1, DIMS(2, 2));
    onnx_output(&b, "mask", 9, DIMS(2, 2));
    expect_refused(b, "mask");

    b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(4));
    onnx_node(&b, "CumSum", "x axis", "y");
    onnx_ints(&b, "axis", SCALAR, (int64_t[]){0});
    onnx_output(&b, "y", 1, DIMS(4));
    expect_refused(b, "CumSum");
}
END_TEST

START_TEST(an_index_outside_ends_the_step_by_name)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "i", 7, DIMS(2));
    onnx_floats(&b, "table", DIMS(3, 2), (float[]){1, 2, 3, 4, 5, 6});
    onnx_node(&b, "Gather", "table i", "y");
    onnx_output(&b, "y", 1, DIMS(2, 2));
    struct train_net *net = make(b);
    struct nn_error err = {{0}};
    int64_t *indices = train_net_input(net, 0)->data;
    indices[0] = -3;
    indices[1] = 3;
    ck_assert_int_eq(train_net_forward(net, true, 0, &err), -EINVAL);
    ck_assert_msg(strstr(err.text, "index 3") && strstr(err.text, "Gather"), "%s", err.text);
    train_net_destroy(net);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("rows");
    tcase_add_test(all, dropout_leaves_out_the_share_that_it_should_and_keeps_the_mean);
    tcase_add_test(all, each_step_leaves_out_others_and_one_seed_the_same);
    tcase_add_test(all, neighbours_are_left_out_apart_from_each_other);
    tcase_add_test(all, dropout_does_nothing_in_use);
    tcase_add_test(all, running_moments_move_towards_those_of_the_batch);
    tcase_add_test(all, in_use_the_running_moments_are_used_and_learned_past);
    tcase_add_test(all, biases_and_scales_are_learned_but_lone_numbers_are_not);
    tcase_add_test(all, what_cannot_be_learned_is_refused_by_name);
    tcase_add_test(all, an_index_outside_ends_the_step_by_name);
    return suite_run("nn/train/rows", &all, 1);
}
