/* What a graph may be that learns, beside what its rows compute (test_gradients.c). */
#include <errno.h>

#include "nn/train/net.h"
#include "tests/nn/net.h"

static const float four_by_four[16] = {1, -2, 3,  -4, 5, -6, 7,  -8,
                                       9, -1, 11, -3, 2, -5, 15, -7};

static int create(struct onnx *builder, const struct train_options *options,
                  struct train_net **ret_net, struct nn_error *err)
{
    struct nn_model *model = net_load(builder);
    int r = train_net_create(model, options, ret_net, err);
    nn_model_unref(model);
    return r;
}

static struct train_net *learn(struct onnx *builder)
{
    struct train_net *net = NULL;
    struct nn_error err = {{0}};
    int r = create(builder, NULL, &net, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    return net;
}

static void expect_refused(struct onnx *builder, const char *text)
{
    struct train_net *net = NULL;
    struct nn_error err = {{0}};
    int r = create(builder, NULL, &net, &err);
    ck_assert_msg(r == -ENOTSUP, "returned %d: %s", r, err.text);
    ck_assert_msg(strstr(err.text, text) != NULL, "'%s' does not say '%s'", err.text, text);
    ck_assert_ptr_null(net);
}

static void run(struct train_net *net)
{
    struct nn_error err = {{0}};
    ck_assert_msg(train_net_forward(net, true, 1, &err) == 0, "%s", err.text);
}

/* Forward and back, every gradient at the head 1. */
static void run_back(struct train_net *net)
{
    const struct train_head *head = train_net_head(net);
    run(net);
    for (int64_t i = 0; i < nn_shape_count(&head->shape); i++)
        ((float *)head->gradient)[i] = 1;
    train_net_backward(net);
}

static const struct train_net_parameter *parameter(const struct train_net *net,
                                                   const char *name)
{
    for (size_t i = 0; i < train_net_parameter_count(net); i++)
        if (strcmp(train_net_parameter(net, i)->name, name) == 0)
            return train_net_parameter(net, i);
    ck_abort_msg("there is no parameter '%s'", name);
}

static struct onnx start(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2, 4));
    onnx_floats(&b, "w", DIMS(4, 4), four_by_four);
    return b;
}

static void fill(const struct train_net *net)
{
    float *x = train_net_input(net, 0)->data;
    for (int i = 0; i < 8; i++)
        x[i] = (float)(i % 3) - 0.5f;
}

/* Values of a graph within a node are more than the model has of its own. */
START_TEST(the_branch_of_a_known_condition_learns)
{
    struct onnx b = start(), yes = onnx_start(13), no = onnx_start(13), plain = start();
    onnx_node(&plain, "Gemm", "x w", "y");
    onnx_output(&plain, "y", 1, DIMS(2, 4));
    onnx_node(&no, "Identity", "x", "n");
    onnx_output(&no, "n", 1, DIMS(2, 4));
    onnx_node(&yes, "Identity", "h", "y0");
    enum { CHAIN = 60 };
    for (int i = 0; i < CHAIN; i++) {
        char from[8], to[8];
        snprintf(from, sizeof from, "y%d", i);
        snprintf(to, sizeof to, "y%d", i + 1);
        onnx_node(&yes, "Identity", from, to);
    }
    onnx_output(&yes, "y60", 1, DIMS(2, 4));
    onnx_initializer(&b, onnx_tensor("p", 9, SCALAR, &(uint8_t){1}, 1));
    onnx_node(&b, "Gemm", "x w", "h");
    onnx_node(&b, "If", "p", "y");
    onnx_attribute_graph(&b, "then_branch", &yes);
    onnx_attribute_graph(&b, "else_branch", &no);
    onnx_output(&b, "y", 1, DIMS(2, 4));
    struct train_net *net = learn(&b), *same = learn(&plain);
    fill(net);
    fill(same);
    run_back(net);
    run_back(same);
    ck_assert_mem_eq(train_net_output(net, 0)->data, train_net_output(same, 0)->data,
                     8 * sizeof(float));
    ck_assert_mem_eq(parameter(net, "w")->gradient, parameter(same, "w")->gradient,
                     16 * sizeof(float));
    train_net_destroy(net);
    train_net_destroy(same);
}
END_TEST

START_TEST(what_only_a_run_knows_is_refused)
{
    struct onnx b = start(), yes = onnx_start(13), no = onnx_start(13);
    onnx_node(&yes, "Gemm", "x w", "t");
    onnx_output(&yes, "t", 1, DIMS(2, 4));
    onnx_node(&no, "Identity", "x", "n");
    onnx_output(&no, "n", 1, DIMS(2, 4));
    onnx_input(&b, "p", 9, SCALAR);
    onnx_node(&b, "If", "p", "y");
    onnx_attribute_graph(&b, "then_branch", &yes);
    onnx_attribute_graph(&b, "else_branch", &no);
    onnx_output(&b, "y", 1, DIMS(2, 4));
    expect_refused(&b, "node 'y' (If): what it does");

    struct onnx late = start();
    onnx_node(&late, "NonZero", "x", "z");
    onnx_node(&late, "Cast", "z", "f");
    onnx_attribute_int(&late, "to", 1);
    onnx_node(&late, "Transpose", "f", "t");
    onnx_floats(&late, "v", DIMS(2, 3), four_by_four);
    onnx_node(&late, "Gemm", "t v", "y");
    onnx_output(&late, "y", 1, DIMS(-1, 3));
    expect_refused(&late, "node 'z' (NonZero): what it does, or the size");
}
END_TEST

/* Rows are for floats: of bytes the operator's own way is gone. */
START_TEST(bytes_go_the_operators_own_way)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 2, DIMS(1, 1, 4, 4));
    onnx_floats(&b, "w", DIMS(4, 1), (const float[]){1, 10, 100, 1000});
    onnx_node(&b, "MaxPool", "x", "m");
    onnx_attribute_ints(&b, "kernel_shape", 2, (int64_t[]){2, 2});
    onnx_attribute_ints(&b, "strides", 2, (int64_t[]){2, 2});
    onnx_node(&b, "Cast", "m", "c");
    onnx_attribute_int(&b, "to", 1);
    onnx_node(&b, "Flatten", "c", "f");
    onnx_node(&b, "Gemm", "f w", "y");
    onnx_output(&b, "y", 1, DIMS(1, 1));
    struct train_net *net = learn(&b);
    uint8_t *x = train_net_input(net, 0)->data;
    for (int i = 0; i < 16; i++)
        x[i] = (uint8_t)i;
    run(net);
    ck_assert_float_eq(*(float *)train_net_output(net, 0)->data, 5 + 70 + 1300 + 15000);
    train_net_destroy(net);
}
END_TEST

START_TEST(nothing_is_learned_of_what_is_empty)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2, 4));
    onnx_floats(&b, "w", DIMS(4, 0), four_by_four);
    onnx_node(&b, "Gemm", "x w", "y");
    onnx_output(&b, "y", 1, DIMS(2, 0));
    expect_refused(&b, "node 'y' (Gemm): nothing can be learned of what is empty");
}
END_TEST

/* What is empty and does not learn is not run. */
START_TEST(what_is_empty_is_left_alone)
{
    struct onnx b = start();
    onnx_ints(&b, "none", DIMS(1), (int64_t[]){0});
    onnx_node(&b, "Slice", "x none none", "s");
    onnx_node(&b, "Concat", "s x", "c");
    onnx_attribute_int(&b, "axis", 0);
    onnx_node(&b, "Gemm", "c w", "y");
    onnx_output(&b, "y", 1, DIMS(2, 4));
    struct train_net *net = learn(&b);
    fill(net);
    run(net);
    /* -0.5 0.5 1.5 -0.5 · the first column */
    ck_assert_float_eq(*(float *)train_net_output(net, 0)->data, -0.5f + 2.5f + 13.5f - 1);
    train_net_destroy(net);
}
END_TEST

/* A case of gradients says nothing of planes that neither pass reaches. */
START_TEST(all_planes_of_a_volume_are_halved)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(1, 1, 3, 3, 2));
    onnx_node(&b, "MaxPool", "x", "y");
    onnx_attribute_ints(&b, "kernel_shape", 3, (int64_t[]){1, 2, 2});
    onnx_attribute_ints(&b, "strides", 3, (int64_t[]){1, 2, 2});
    onnx_output(&b, "y", 1, DIMS(1, 1, 3, 1, 1));
    const struct train_options options = {.input_gradients = true};
    struct train_net *net = NULL;
    struct nn_error err = {{0}};
    ck_assert_msg(create(&b, &options, &net, &err) == 0, "%s", err.text);
    float *x = train_net_input(net, 0)->data;
    for (int i = 0; i < 18; i++)
        x[i] = (float)i;
    run_back(net);
    for (int plane = 0; plane < 3; plane++)
        ck_assert_float_eq(((float *)train_net_output(net, 0)->data)[plane],
                           (float)(6 * plane + 3));
    for (int i = 0; i < 18; i++)
        ck_assert_float_eq(((const float *)train_net_input_gradient(net, 0))[i], i % 6 == 3);
    train_net_destroy(net);
}
END_TEST

/* The loss begins at the first output; what only others depend on has no gradient. */
START_TEST(of_several_outputs_the_first_is_learned)
{
    struct onnx b = start(), plain = start();
    onnx_node(&plain, "Gemm", "x w", "g");
    onnx_node(&plain, "Softmax", "g", "y");
    onnx_output(&plain, "y", 1, DIMS(2, 4));
    onnx_floats(&b, "v", DIMS(4, 4), four_by_four);
    onnx_node(&b, "Gemm", "x w", "g");
    onnx_node(&b, "Softmax", "g", "y");
    onnx_node(&b, "Gemm", "y v", "z");
    onnx_node(&b, "Relu", "g", "q");
    onnx_output(&b, "y", 1, DIMS(2, 4));
    onnx_output(&b, "z", 1, DIMS(2, 4));
    onnx_output(&b, "q", 1, DIMS(2, 4));
    const struct train_options options = {.head = TRAIN_HEAD_SOFTMAX};
    struct train_net *net = NULL, *same = NULL;
    struct nn_error err = {{0}};
    ck_assert_msg(create(&b, &options, &net, &err) == 0, "%s", err.text);
    ck_assert_msg(create(&plain, &options, &same, &err) == 0, "%s", err.text);
    ck_assert_int_eq(train_net_head(net)->kind, TRAIN_HEAD_SOFTMAX);
    for (int step = 0; step < 2; step++) {
        fill(net);
        fill(same);
        run_back(net);
        run_back(same);
        ck_assert_mem_eq(train_net_output(net, 0)->data, train_net_output(same, 0)->data,
                         8 * sizeof(float));
        ck_assert_mem_eq(parameter(net, "w")->gradient, parameter(same, "w")->gradient,
                         16 * sizeof(float));
        for (size_t i = 0; i < 16; i++)
            ck_assert_float_eq(((float *)parameter(net, "v")->gradient)[i], 0);
    }
    train_net_destroy(net);
    train_net_destroy(same);
}
END_TEST

/* A value that is an output is whole: ReLU is not folded over it. */
START_TEST(outputs_that_are_read_stay_what_they_are)
{
    struct onnx b = start();
    onnx_node(&b, "Gemm", "x w", "g");
    onnx_node(&b, "Relu", "g", "y");
    onnx_output(&b, "y", 1, DIMS(2, 4));
    onnx_output(&b, "g", 1, DIMS(2, 4));
    struct train_net *net = learn(&b);
    fill(net);
    run(net);
    const float *y = train_net_output(net, 0)->data, *g = train_net_output(net, 1)->data;
    bool below = false;
    for (int i = 0; i < 8; i++) {
        below |= g[i] < 0;
        ck_assert_float_eq(y[i], g[i] > 0 ? g[i] : 0);
    }
    ck_assert(below);
    train_net_destroy(net);
}
END_TEST

static enum train_head_kind head_of(const char *last, enum train_head_kind wanted)
{
    struct onnx b = start();
    struct train_net *net = NULL;
    struct nn_error err = {{0}};
    onnx_node(&b, "Gemm", "x w", last ? "g" : "y");
    if (last)
        onnx_node(&b, last, "g", "y");
    onnx_output(&b, "y", 1, DIMS(2, 4));
    ck_assert_msg(create(&b, &(struct train_options){.head = wanted}, &net, &err) == 0, "%s",
                  err.text);
    enum train_head_kind kind = train_net_head(net)->kind;
    bool whole = train_net_head(net)->values == train_net_output(net, 0)->data;
    ck_assert(whole == (kind == TRAIN_HEAD_PLAIN));
    train_net_destroy(net);
    return kind;
}

START_TEST(a_loss_gets_logits_where_it_wants_them_and_the_network_ends_so)
{
    ck_assert_int_eq(head_of("Softmax", TRAIN_HEAD_SOFTMAX), TRAIN_HEAD_SOFTMAX);
    ck_assert_int_eq(head_of("Softmax", TRAIN_HEAD_PLAIN), TRAIN_HEAD_PLAIN);
    ck_assert_int_eq(head_of("Softmax", TRAIN_HEAD_SIGMOID), TRAIN_HEAD_PLAIN);
    ck_assert_int_eq(head_of("Relu", TRAIN_HEAD_SOFTMAX), TRAIN_HEAD_PLAIN);
    ck_assert_int_eq(head_of(NULL, TRAIN_HEAD_SOFTMAX), TRAIN_HEAD_PLAIN);
}
END_TEST

/* What is computed with constants is so once, and freed with the net. */
START_TEST(what_computes_with_constants_is_computed_once)
{
    struct onnx b = start();
    onnx_ints(&b, "axes", DIMS(1), (int64_t[]){0});
    onnx_node(&b, "Shape", "x", "s");
    onnx_node(&b, "Identity", "s", "t");
    onnx_node(&b, "Reshape", "x t", "r");
    onnx_floats(&b, "c", DIMS(4), (const float[]){-1, 2, -3, 4});
    onnx_node(&b, "Relu", "c", "d");
    onnx_node(&b, "Gemm", "r w d", "y");
    onnx_output(&b, "y", 1, DIMS(2, 4));
    struct train_net *net = learn(&b);
    ck_assert_uint_eq(train_net_parameter_count(net), 1);
    fill(net);
    run(net);
    ck_assert_float_eq(*(float *)train_net_output(net, 0)->data, -0.5f + 2.5f + 13.5f - 1);
    train_net_destroy(net);
}
END_TEST

/* Two Dropouts of one run, and of the runs before and behind it: no two leave out the same. */
START_TEST(what_is_left_out_is_drawn_for_each_node_and_run)
{
    enum { WIDTH = 4096, RUNS = 4 };
    static float wide[4 * WIDTH], kept[RUNS][WIDTH];
    struct onnx b = start();
    for (int i = 0; i < 4 * WIDTH; i++)
        wide[i] = 1;
    onnx_floats(&b, "rate", SCALAR, (const float[]){0.5f});
    onnx_floats(&b, "wide", DIMS(4, WIDTH), wide);
    onnx_node(&b, "Gemm", "x wide", "g");
    onnx_node(&b, "Dropout", "g rate", "h");
    onnx_node(&b, "Dropout", "h rate", "y");
    onnx_output(&b, "y", 1, DIMS(2, WIDTH));
    struct train_net *net = learn(&b);
    fill(net);
    for (int r = 0; r < RUNS; r++) {
        /* What nodes would be apart by, were it only added to the seed. */
        uint64_t seed = 7 + (uint64_t)r * UINT64_C(0x9e3779b97f4a7c15);
        ck_assert_int_eq(train_net_forward(net, true, seed, NULL), 0);
        memcpy(kept[r], train_net_output(net, 0)->data, sizeof kept[r]);
    }
    for (int r = 0; r < RUNS; r++)
        for (int other = 0; other < r; other++) {
            int both = 0;
            for (int i = 0; i < WIDTH; i++)
                both += kept[r][i] != 0 && kept[other][i] != 0;
            /* A sixteenth of them, within six deviations. */
            ck_assert_int_le(abs(both - WIDTH / 16), 96);
        }
    train_net_destroy(net);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("net");
    tcase_add_test(all, the_branch_of_a_known_condition_learns);
    tcase_add_test(all, what_only_a_run_knows_is_refused);
    tcase_add_test(all, bytes_go_the_operators_own_way);
    tcase_add_test(all, nothing_is_learned_of_what_is_empty);
    tcase_add_test(all, what_is_empty_is_left_alone);
    tcase_add_test(all, all_planes_of_a_volume_are_halved);
    tcase_add_test(all, of_several_outputs_the_first_is_learned);
    tcase_add_test(all, outputs_that_are_read_stay_what_they_are);
    tcase_add_test(all, a_loss_gets_logits_where_it_wants_them_and_the_network_ends_so);
    tcase_add_test(all, what_computes_with_constants_is_computed_once);
    tcase_add_test(all, what_is_left_out_is_drawn_for_each_node_and_run);
    return suite_run("nn/train/net", &all, 1);
}
