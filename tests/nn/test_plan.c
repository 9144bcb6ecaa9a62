/* Plans and sessions: shapes, fusing, where values live, limits, lifetimes, determinism. */
#include <errno.h>
#include <math.h>

#include "nn/arena.h"
#include "nn/plan_parts.h"
#include "tests/nn/net.h"

/* --- Shapes ----------------------------------------------------------------------------- */

static struct onnx open_batch(void)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(-1, 2));
    onnx_node(&o, "Relu", "x", "y");
    onnx_output(&o, "y", 1, DIMS(-1, 2));
    return o;
}

START_TEST(an_open_batch_is_one_unless_given)
{
    struct onnx o = open_batch();
    struct nn_model *model = net_load(&o);
    struct net net = net_plan(nn_model_ref(model), NULL);
    ck_assert_int_eq(nn_plan_input(net.plan, 0)->shape.dim[0], 1);
    ck_assert_int_eq(nn_plan_output(net.plan, 0)->shape.dim[0], 1);
    ck_assert_str_eq(nn_plan_output(net.plan, 0)->name, "y");
    net_free(&net);
    struct nn_shape shape = {.rank = 2, .dim = {5, 2}};
    net = net_plan(model, &(struct nn_plan_options){.input_shapes = &shape, .time_axis = -1});
    ck_assert_int_eq(nn_plan_output(net.plan, 0)->shape.dim[0], 5);
    net_free(&net);
}
END_TEST

static void expect_bad_shape(struct nn_model *model, struct nn_shape shape, const char *text)
{
    struct nn_plan *plan = NULL;
    struct nn_error err = {{0}};
    struct nn_plan_options options = {.input_shapes = &shape, .time_axis = -1};
    ck_assert_int_eq(nn_plan_create(model, &options, &plan, &err), -EINVAL);
    ck_assert_ptr_null(plan);
    ck_assert_str_eq(err.text, text);
}

START_TEST(shapes_that_do_not_fit_the_model_are_refused)
{
    struct onnx o = open_batch();
    struct nn_model *model = net_load(&o);
    expect_bad_shape(model, (struct nn_shape){.rank = 1, .dim = {5}},
                     "input 'x' has 2 dimensions, not 1");
    expect_bad_shape(model, (struct nn_shape){.rank = 2, .dim = {1, 3}},
                     "input 'x': dimension 1 is 2 in the model, not 3");
    expect_bad_shape(model, (struct nn_shape){.rank = 2, .dim = {-1, 2}},
                     "input 'x': dimension 0 is open, give a shape");
    nn_model_unref(model);

    o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, -1));
    onnx_node(&o, "Relu", "x", "y");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "input 'x': dimension 1 is open, give a shape");
}
END_TEST

START_TEST(more_memory_than_allowed_is_refused)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1000, 1));
    onnx_input(&o, "z", 1, DIMS(1, 1000));
    onnx_node(&o, "Add", "x z", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct nn_model *model = net_load(&o);
    struct nn_plan *plan = NULL;
    struct nn_error err = {{0}};
    struct nn_plan_options options = {.time_axis = -1, .limit_bytes = 3 << 20};
    ck_assert_int_eq(nn_plan_create(model, &options, &plan, &err), -E2BIG);
    ck_assert_msg(strstr(err.text, "over 3 MiB") || strstr(err.text, "more than 3 MiB"), "%s",
                  err.text);
    options.limit_bytes = 5 << 20;
    ck_assert_int_eq(nn_plan_create(model, &options, &plan, &err), 0);
    nn_plan_unref(plan);
    nn_model_unref(model);

    /* The same by folding: constants are bounded too. */
    o = onnx_start(13);
    static float many[1000];
    onnx_floats(&o, "x", DIMS(1000, 1), many);
    onnx_floats(&o, "z", DIMS(1, 1000), many);
    onnx_node(&o, "Add", "x z", "y");
    onnx_output(&o, "y", 1, SCALAR);
    model = net_load(&o);
    options.limit_bytes = 3 << 20;
    ck_assert_int_eq(nn_plan_create(model, &options, &plan, &err), -E2BIG);
    nn_model_unref(model);

    /* And what cannot be counted in 31 bits is refused before anything is multiplied by it. */
    o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(INT64_C(1) << 40, 4));
    onnx_node(&o, "Relu", "x", "y");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -E2BIG, "input 'x' is too large");
}
END_TEST

/* --- Fusing ----------------------------------------------------------------------------- */

static void convolution_block(struct onnx *o, const char *activation, bool bias)
{
    float weights[4 * 3 * 9], per_channel[4];
    net_fill(weights, 108, 1);
    onnx_input(o, "x", 1, DIMS(1, 3, 7, 6));
    onnx_floats(o, "w", DIMS(4, 3, 3, 3), weights);
    for (int i = 0; i < 5; i++) {
        char name[8];
        snprintf(name, sizeof name, "p%d", i);
        net_fill(per_channel, 4, (uint32_t)i + 2);
        for (int c = 0; c < 4 && i == 4; c++)
            per_channel[c] = fabsf(per_channel[c]) + 0.1f; /* a variance */
        onnx_floats(o, name, DIMS(4), per_channel);
    }
    onnx_node(o, "Conv", bias ? "x w p0" : "x w", "c");
    onnx_node(o, "BatchNormalization", "c p1 p2 p3 p4", "n");
    onnx_attribute_float(o, "epsilon", 0.01f);
    onnx_node(o, activation, "n", "y");
    if (strcmp(activation, "LeakyRelu") == 0)
        onnx_attribute_float(o, "alpha", 0.3f);
}

START_TEST(a_convolution_takes_in_what_follows_it)
{
    static const char *const activations[] = {"Relu", "LeakyRelu", "Sigmoid", "Tanh"};
    for (int i = 0; i < 8; i++) {
        struct onnx o = onnx_start(13);
        convolution_block(&o, activations[i % 4], i / 4);
        onnx_output(&o, "y", 1, SCALAR);
        struct nn_model *model = net_load(&o);
        struct net fused = net_plan(nn_model_ref(model), NULL);
        struct net plain = net_plan(
            model, &(struct nn_plan_options){.kernels = NN_KERNELS_REFERENCE, .time_axis = -1});
        struct nn_plan_info info;
        nn_plan_describe(fused.plan, &info);
        ck_assert_int_eq(info.window_nodes, 1);
        nn_plan_describe(plain.plan, &info);
        ck_assert_int_eq(info.window_nodes, 3);
        ck_assert_str_eq(info.kernels, "scalar");
        float x[3 * 7 * 6];
        net_fill(x, 126, 9);
        net_set(&fused, 0, x);
        net_set(&plain, 0, x);
        net_run(&fused);
        net_run(&plain);
        net_expect_floats(&fused, 0, DIMS(1, 4, 5, 4), net_floats(&plain, 0));
        net_free(&fused);
        net_free(&plain);
    }
}
END_TEST

START_TEST(what_others_read_is_not_fused_away)
{
    struct onnx o = onnx_start(13);
    convolution_block(&o, "Relu", true);
    onnx_node(&o, "Tanh", "c", "z"); /* a second reader of the convolution */
    onnx_output(&o, "y", 1, SCALAR);
    onnx_output(&o, "n", 1, SCALAR); /* and the caller reads the normalization */
    onnx_output(&o, "z", 1, SCALAR);
    struct nn_model *model = net_load(&o);
    struct net best = net_plan(nn_model_ref(model), NULL);
    struct net plain = net_plan(
        model, &(struct nn_plan_options){.kernels = NN_KERNELS_REFERENCE, .time_axis = -1});
    struct nn_plan_info info;
    nn_plan_describe(best.plan, &info);
    ck_assert_int_eq(info.window_nodes, 4);
    float x[3 * 7 * 6];
    net_fill(x, 126, 9);
    net_set(&best, 0, x);
    net_set(&plain, 0, x);
    net_run(&best);
    net_run(&plain);
    for (size_t i = 0; i < 3; i++)
        net_expect_floats(&best, i, DIMS(1, 4, 5, 4), net_floats(&plain, i));
    net_free(&best);
    net_free(&plain);
}
END_TEST

/* --- Where values live ------------------------------------------------------------------ */

START_TEST(a_value_read_later_is_not_written_over)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(4));
    onnx_node(&o, "Identity", "x", "alias");
    onnx_node(&o, "Relu", "alias", "a"); /* must not write over the input */
    onnx_node(&o, "Add", "a x", "b");    /* may write over nothing: a is read again */
    onnx_node(&o, "Mul", "a b", "c");
    onnx_node(&o, "Sub", "c c", "zero"); /* one value twice */
    onnx_node(&o, "Add", "b x", "d");    /* an output stays */
    onnx_output(&o, "b", 1, SCALAR);
    onnx_output(&o, "c", 1, SCALAR);
    onnx_output(&o, "zero", 1, SCALAR);
    onnx_output(&o, "d", 1, SCALAR);
    struct net net = net_make(&o);
    float x[] = {-2, -1, 1, 3};
    for (int again = 0; again < 2; again++) {
        if (again == 0)
            net_set(&net, 0, x);
        net_run(&net); /* the second time on what is still there */
        ck_assert_mem_eq(nn_session_input(net.session, 0)->data, x, sizeof x);
        net_expect_floats(&net, 0, DIMS(4), (float[]){-2, -1, 2, 6});
        net_expect_floats(&net, 1, DIMS(4), (float[]){0, 0, 2, 18});
        net_expect_floats(&net, 2, DIMS(4), (float[]){0, 0, 0, 0});
        net_expect_floats(&net, 3, DIMS(4), (float[]){-4, -2, 3, 9});
    }
    net_free(&net);
}
END_TEST

START_TEST(an_output_may_be_an_input_or_a_constant)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(2));
    onnx_floats(&o, "k", DIMS(2), (float[]){5, 6});
    onnx_node(&o, "Identity", "x", "y");
    onnx_node(&o, "Identity", "k", "z");
    onnx_output(&o, "x", 1, SCALAR);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_output(&o, "z", 1, SCALAR);
    onnx_output(&o, "k", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){1, 2});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2), (float[]){1, 2});
    net_expect_floats(&net, 1, DIMS(2), (float[]){1, 2});
    net_expect_floats(&net, 2, DIMS(2), (float[]){5, 6});
    net_expect_floats(&net, 3, DIMS(2), (float[]){5, 6});
    net_free(&net);
}
END_TEST

START_TEST(a_broadcast_result_is_not_written_over_a_smaller_operand)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(40, 1));
    onnx_input(&o, "z", 1, DIMS(1, 40));
    onnx_node(&o, "Relu", "x", "a");
    onnx_node(&o, "Relu", "z", "b");
    onnx_node(&o, "Add", "a b", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    float x[40], z[40];
    for (int i = 0; i < 40; i++) {
        x[i] = (float)i;
        z[i] = 100 * (float)i;
    }
    net_set(&net, 0, x);
    net_set(&net, 1, z);
    net_run(&net);
    for (int i = 0; i < 40; i++)
        for (int j = 0; j < 40; j++)
            ck_assert_float_eq(net_floats(&net, 0)[i * 40 + j], x[i] + z[j]);
    net_free(&net);
}
END_TEST

/* Steps of an operator in the plan. */
static int steps_of(const struct nn_plan *plan, const char *op)
{
    int count = 0;
    for (int s = 0; s < plan->window.step_count; s++)
        count += strcmp(plan->window.steps[s].call.op->name, op) == 0;
    return count;
}

/* Of one image; of two the parts of each lie apart. The second time, parts are of the input,
 * which must stay as it is. */
START_TEST(parts_that_lie_one_behind_the_other_are_not_copied)
{
    for (int variant = 0; variant < 3; variant++) {
        int64_t images = variant == 1 ? 2 : 1, count = images * 6 * 5;
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, DIMS(images, 6, 5));
        onnx_ints(&o, "list", DIMS(3), (int64_t[]){1, 3, 2});
        onnx_node(&o, "Neg", "x", "n");
        onnx_node(&o, "Split", variant == 2 ? "x list" : "n list", "a b c");
        onnx_attribute_int(&o, "axis", 1);
        onnx_node(&o, "Exp", "b", "e"); /* where b was, when nobody reads any part */
        onnx_node(&o, "Concat", "c a", "d");
        onnx_attribute_int(&o, "axis", 1);
        onnx_node(&o, "Exp", "c", "f");
        onnx_output(&o, "e", 1, SCALAR);
        onnx_output(&o, "d", 1, SCALAR);
        onnx_output(&o, "f", 1, SCALAR);
        onnx_output(&o, "a", 1, SCALAR);
        struct net net = net_make(&o);
        ck_assert_int_eq(steps_of(net.plan, "Split"), images > 1);
        float x[60], want[4][60];
        net_fill(x, 60, 3);
        net_set(&net, 0, x);
        for (int64_t i = 0; i < count; i++) {
            int64_t image = i / 30, channel = i / 5 % 6, at = i % 5;
            float value = variant == 2 ? x[i] : -x[i];
            if (channel == 0) {
                want[1][image * 15 + 10 + at] = want[3][image * 5 + at] = value;
            } else if (channel < 4) {
                want[0][image * 15 + (channel - 1) * 5 + at] = expf(value);
            } else {
                want[1][image * 15 + (channel - 4) * 5 + at] = value;
                want[2][image * 10 + (channel - 4) * 5 + at] = expf(value);
            }
        }
        for (int again = 0; again < 2; again++) {
            net_run(&net);
            ck_assert_mem_eq(nn_session_input(net.session, 0)->data, x,
                             (size_t)count * sizeof *x);
            net_expect_floats(&net, 0, DIMS(images, 3, 5), want[0]);
            net_expect_floats(&net, 1, DIMS(images, 3, 5), want[1]);
            net_expect_floats(&net, 2, DIMS(images, 2, 5), want[2]);
            net_expect_floats(&net, 3, DIMS(images, 1, 5), want[3]);
        }
        net_free(&net);
    }
}
END_TEST

/* Of six rows in one place, those of one operand are rows 1 to 3, of the other 0 to 2. */
START_TEST(parts_that_overlap_are_not_written_over)
{
    enum { COLUMNS = 100 };
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, COLUMNS));
    onnx_input(&o, "y", 1, DIMS(3, COLUMNS));
    onnx_input(&o, "z", 1, DIMS(2, COLUMNS));
    onnx_node(&o, "Neg", "x", "a");
    onnx_node(&o, "Neg", "y", "b");
    onnx_node(&o, "Neg", "z", "c");
    onnx_node(&o, "Concat", "a b c", "all");
    onnx_attribute_int(&o, "axis", 0);
    onnx_node(&o, "Split", "all", "d e");
    onnx_node(&o, "Add", "b d", "sum");
    onnx_output(&o, "sum", 1, SCALAR);
    struct net net = net_make(&o);
    float all[6 * COLUMNS], want[3 * COLUMNS];
    net_fill(all, 6 * COLUMNS, 5);
    net_set(&net, 0, all);
    net_set(&net, 1, all + COLUMNS);
    net_set(&net, 2, all + 4 * COLUMNS);
    net_run(&net);
    for (int i = 0; i < 3 * COLUMNS; i++)
        want[i] = -all[i] - all[COLUMNS + i];
    net_expect_floats(&net, 0, DIMS(3, COLUMNS), want);
    net_free(&net);
}
END_TEST

START_TEST(a_part_that_is_repeated_is_not_written_over)
{
    for (int order = 0; order < 2; order++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, DIMS(3, 2));
        onnx_node(&o, "Neg", "x", "n");
        onnx_node(&o, "Split", "n", "a b c");
        onnx_node(&o, "Add", order ? "n b" : "a n", "y");
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, (float[]){1, 2, 3, 4, 5, 6});
        net_run(&net);
        const float want[2][6] = {{-2, -4, -4, -6, -6, -8}, {-4, -6, -6, -8, -8, -10}};
        net_expect_floats(&net, 0, DIMS(3, 2), want[order]);
        net_free(&net);
    }
}
END_TEST

START_TEST(a_value_read_twice_by_its_last_reader_is_freed_once)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(20, 20));
    onnx_node(&o, "Transpose", "x", "t"); /* columns: nothing is made in its place */
    onnx_node(&o, "Concat", "t t", "c");
    onnx_attribute_int(&o, "axis", 1);
    onnx_node(&o, "Transpose", "x", "u");
    onnx_node(&o, "Slice", "x", "v"); /* from here on u and v live beside each other */
    onnx_attribute_ints(&o, "starts", 1, (int64_t[]){0});
    onnx_attribute_ints(&o, "ends", 1, (int64_t[]){20});
    onnx_node(&o, "Concat", "c u v", "y");
    onnx_attribute_int(&o, "axis", 1);
    onnx_output(&o, "y", 1, SCALAR);
    o.opset = 9;
    struct net net = net_make(&o);
    float x[400];
    net_fill(x, 400, 3);
    net_set(&net, 0, x);
    net_run(&net);
    for (int part = 0; part < 4; part++)
        for (int i = 0; i < 400; i++)
            ck_assert_float_eq(net_floats(&net, 0)[i / 20 * 80 + part * 20 + i % 20],
                               part == 3 ? x[i] : x[i % 20 * 20 + i / 20]);
    net_free(&net);
}
END_TEST

START_TEST(a_chain_takes_the_room_of_two_values)
{
    /* Transposes cannot work in place; 40 of them need two buffers, not 41. */
    struct onnx o = onnx_start(13);
    onnx_input(&o, "v0", 1, DIMS(100, 50));
    for (int i = 0; i < 40; i++) {
        char from[8], to[8];
        snprintf(from, sizeof from, "v%d", i);
        snprintf(to, sizeof to, "v%d", i + 1);
        onnx_node(&o, "Transpose", from, to);
    }
    onnx_output(&o, "v40", 1, SCALAR);
    struct net net = net_make(&o);
    ck_assert_uint_le(net.plan->arena_bytes, 2 * 20032);
    net_free(&net);

    /* And elementwise operators need one. */
    o = onnx_start(13);
    onnx_input(&o, "v0", 1, DIMS(100, 50));
    for (int i = 0; i < 40; i++) {
        char from[8], to[8];
        snprintf(from, sizeof from, "v%d", i);
        snprintf(to, sizeof to, "v%d", i + 1);
        onnx_node(&o, i % 2 ? "Tanh" : "Relu", from, to);
    }
    onnx_output(&o, "v40", 1, SCALAR);
    net = net_make(&o);
    ck_assert_uint_le(net.plan->arena_bytes, 20032);
    net_free(&net);
}
END_TEST

/* --- What is joined --------------------------------------------------------------------- */

/* Inputs of the steps of a program that lie where their Concat would copy them to. */
static int parts_in_place(const struct nn_program *program)
{
    int count = 0;
    for (int s = 0; s < program->step_count; s++) {
        const struct nn_step *step = &program->steps[s];
        int inputs = step->call.input_count;
        size_t at = step->places[inputs].offset;
        for (int i = 0; i < inputs && strcmp(step->call.op->name, "Concat") == 0; i++) {
            count += step->places[i].kind == NN_PLACE_ARENA && step->places[i].offset == at;
            at += nn_tensor_bytes(&step->call.inputs[i]);
        }
    }
    return count;
}

START_TEST(what_is_joined_is_made_where_it_belongs)
{
    static const struct {
        int64_t axis, batch;
        const char *parts;
        int in_place;
    } cases[] = {
        {1, 1, "a b", 2},    {1, 2, "a b", 0}, /* two pieces of each, not one */
        {0, 2, "a b", 2},    {1, 1, "a a", 1}, {1, 1, "x b", 1}, /* nobody writes over inputs */
        {1, 1, "k a b", 2},                                      /* or constants */
        {1, 1, "b view", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, DIMS(cases[i].batch, 3, 5));
        onnx_floats(&o, "k", DIMS(1, 3, 5), (float[15]){1});
        onnx_node(&o, "Neg", "x", "a");
        onnx_node(&o, "Abs", "a", "b");
        onnx_node(&o, "Identity", "a", "view");
        onnx_node(&o, "Concat", cases[i].parts, "y");
        onnx_attribute_int(&o, "axis", cases[i].axis);
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        ck_assert_msg(parts_in_place(&net.plan->window) == cases[i].in_place, "case %d: %d",
                      (int)i, parts_in_place(&net.plan->window));
        net_free(&net);
    }
}
END_TEST

/* What was made long before is copied: its place in the whole would be taken all the while. */
START_TEST(a_part_made_long_before_does_not_hold_the_whole)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "v0", 1, DIMS(1, 100, 50));
    for (int i = 0; i < 40; i++) {
        char from[8], to[8];
        snprintf(from, sizeof from, "v%d", i);
        snprintf(to, sizeof to, "v%d", i + 1);
        onnx_node(&o, "Transpose", from, to);
        onnx_attribute_ints(&o, "perm", 3, (int64_t[]){0, 2, 1});
    }
    onnx_node(&o, "Concat", "v2 v40", "y");
    onnx_attribute_int(&o, "axis", 1);
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    ck_assert_int_eq(parts_in_place(&net.plan->window), 1);
    net_free(&net);
}
END_TEST

enum { JOINED_VALUES = 40, JOINED_MOST = 4000 };

struct joined {
    int64_t rows, columns; /* of a shape (1, rows, columns) */
    float data[JOINED_MOST];
};

/* One of 0..count-1. */
static int one_of(uint32_t *random, int count)
{
    net_random(random);
    return (int)((*random >> 8) % (uint32_t)count);
}

/* The value `to` as Concat of random ones that fit, by `axis` 1 or 2. Returns the node's
 * inputs. */
static const char *join_some(struct joined *values, int to, int axis, uint32_t *random)
{
    static char names[64];
    struct joined *y = &values[to];
    int parts[4], count = 0, first = one_of(random, to);
    *y = (struct joined){
        axis == 1 ? 0 : values[first].rows, axis == 2 ? 0 : values[first].columns, {0}};
    names[0] = 0;
    for (int tries = 0; tries < 12 && count < 4; tries++) {
        int v = tries == 0 ? first : one_of(random, to);
        const struct joined *x = &values[v];
        if (axis == 1 ? x->columns != y->columns : x->rows != y->rows)
            continue;
        int64_t rows = axis == 1 ? y->rows + x->rows : y->rows,
                columns = axis == 2 ? y->columns + x->columns : y->columns;
        if (rows * columns > JOINED_MOST)
            continue;
        y->rows = rows;
        y->columns = columns;
        parts[count++] = v;
        snprintf(names + strlen(names), 8, " v%d", v);
    }
    for (int64_t i = 0, at = 0; i < count;
         at += axis == 1 ? values[parts[i]].rows : values[parts[i]].columns, i++)
        for (int64_t r = 0; r < values[parts[i]].rows; r++)
            memcpy(y->data + (axis == 1 ? (at + r) * y->columns : r * y->columns + at),
                   values[parts[i]].data + r * values[parts[i]].columns,
                   (size_t)values[parts[i]].columns * sizeof(float));
    return count ? names + 1 : "";
}

/* The value `to` as one of two parts of another's rows. */
static void take_part(struct onnx *o, struct joined *values, int to, int from, uint32_t *random)
{
    const struct joined *x = &values[from];
    int64_t first = 1 + one_of(random, (int)x->rows - 1);
    bool rest = one_of(random, 2) == 1;
    char list[16], inputs[32], outputs[32];
    snprintf(list, sizeof list, "l%d", to);
    snprintf(inputs, sizeof inputs, "v%d l%d", from, to);
    snprintf(outputs, sizeof outputs, rest ? "other%d v%d" : "v%d other%d", to, to);
    onnx_ints(o, list, DIMS(2), (int64_t[]){first, x->rows - first});
    onnx_node(o, "Split", inputs, outputs);
    onnx_attribute_int(o, "axis", 1);
    values[to] = (struct joined){rest ? x->rows - first : first, x->columns, {0}};
    memcpy(values[to].data, x->data + (rest ? first * x->columns : 0),
           (size_t)(values[to].rows * x->columns) * sizeof *x->data);
}

/* The value `to` as a sum of two, of which one row may be added to many. False: they do not fit.
 */
static bool add_two(struct onnx *o, struct joined *values, int to, int a, int b)
{
    const struct joined *x = &values[a], *z = &values[b];
    if (x->columns != z->columns || (x->rows != z->rows && x->rows != 1 && z->rows != 1))
        return false;
    struct joined *y = &values[to];
    *y = (struct joined){x->rows > z->rows ? x->rows : z->rows, x->columns, {0}};
    for (int64_t i = 0; i < y->rows * y->columns; i++)
        y->data[i] = x->data[i % (x->rows * x->columns)] + z->data[i % (z->rows * z->columns)];
    char inputs[32], output[16];
    snprintf(inputs, sizeof inputs, "v%d v%d", a, b);
    snprintf(output, sizeof output, "v%d", to);
    onnx_node(o, "Add", inputs, output);
    return true;
}

START_TEST(joined_values_and_parts_are_right_whoever_else_reads_them)
{
    static struct joined values[JOINED_VALUES];
    int in_place = 0;
    for (uint32_t seed = 1; seed <= 300; seed++) {
        uint32_t random = seed;
        struct onnx o = onnx_start(13);
        values[0] = (struct joined){2, 3, {0}};
        net_fill(values[0].data, 6, seed);
        onnx_input(&o, "v0", 1, DIMS(1, 2, 3));
        int outputs[JOINED_VALUES], output_count = 0;
        for (int i = 1; i < JOINED_VALUES; i++) {
            char name[8], from[8];
            int v = one_of(&random, i), kind = one_of(&random, 8);
            snprintf(name, sizeof name, "v%d", i);
            snprintf(from, sizeof from, "v%d", v);
            const char *parts =
                kind < 2 ? join_some(values, i, kind == 0 ? 1 : 2, &random) : "";
            if (parts[0]) {
                onnx_node(&o, "Concat", parts, name);
                onnx_attribute_int(&o, "axis", kind == 0 ? 1 : 2);
            } else if (kind == 5 && values[v].rows > 1) {
                take_part(&o, values, i, v, &random);
            } else if (kind < 6 || !add_two(&o, values, i, v, one_of(&random, i))) {
                onnx_node(&o, kind == 2 ? "Identity" : "Neg", from, name);
                values[i] = values[v];
                for (int64_t e = 0; e < values[v].rows * values[v].columns && kind != 2; e++)
                    values[i].data[e] = -values[v].data[e];
            }
            if (i == JOINED_VALUES - 1 || one_of(&random, 8) == 0) {
                outputs[output_count++] = i;
                onnx_output(&o, name, 1, SCALAR);
            }
        }
        struct net net = net_make(&o);
        net_set(&net, 0, values[0].data);
        for (int again = 0; again < 2; again++) {
            net_run(&net);
            for (int i = 0; i < output_count; i++)
                net_expect_floats(&net, (size_t)i,
                                  DIMS(1, values[outputs[i]].rows, values[outputs[i]].columns),
                                  values[outputs[i]].data);
        }
        in_place += parts_in_place(&net.plan->window);
        net_free(&net);
    }
    ck_assert_int_gt(in_place, 1000);
}
END_TEST

START_TEST(dead_nodes_are_not_planned)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(2, 3));
    onnx_node(&o, "Relu", "x", "y");
    onnx_node(&o, "Tanh", "x", "dead");
    onnx_node(&o, "Tanh", "dead", "deader");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    struct nn_plan_info info;
    nn_plan_describe(net.plan, &info);
    ck_assert_int_eq(info.window_nodes, 1);
    ck_assert_uint_eq(nn_model_node_count(net.model), 3);
    net_free(&net);
}
END_TEST

enum { PIECES = 40, LIMIT = 64 * 1024 };

/* Random takes and returns in a fresh arena, against a map of bytes in use. Returns how many
 * bytes were given twice. */
static int use_arena(uint32_t random, int *given, int *refused)
{
    static uint8_t owner[LIMIT];
    struct {
        size_t offset, bytes;
    } pieces[PIECES] = {{0}};
    struct nn_arena arena;
    int stolen = 0;
    memset(owner, 0, sizeof owner);
    nn_arena_init(&arena, LIMIT);
    for (int step = 0; step < 300; step++) {
        random = random * 1664525u + 1013904223u;
        size_t i = (random >> 8) % PIECES;
        if (pieces[i].bytes) {
            for (size_t b = 0; b < pieces[i].bytes; b++) {
                stolen += owner[pieces[i].offset + b] != i + 1;
                owner[pieces[i].offset + b] = 0;
            }
            ck_assert_int_eq(nn_arena_give_back(&arena, pieces[i].offset, pieces[i].bytes), 0);
            pieces[i].bytes = 0;
            continue;
        }
        size_t bytes = 1 + (random >> 16) % 5000;
        if (nn_arena_take(&arena, bytes, &pieces[i].offset) < 0) {
            ++*refused;
            continue;
        }
        ++*given;
        pieces[i].bytes = bytes;
        ck_assert_uint_eq(pieces[i].offset % NN_ARENA_ALIGNMENT, 0);
        ck_assert_uint_le(pieces[i].offset + bytes, arena.peak);
        ck_assert_uint_le(arena.peak, LIMIT);
        for (size_t b = 0; b < bytes; b++) {
            stolen += owner[pieces[i].offset + b] != 0;
            owner[pieces[i].offset + b] = (uint8_t)(i + 1);
        }
    }
    /* All back: one hole, and the whole arena can be had in one piece. */
    for (size_t i = 0; i < PIECES; i++)
        if (pieces[i].bytes)
            nn_arena_give_back(&arena, pieces[i].offset, pieces[i].bytes);
    ck_assert_uint_eq(arena.hole_count, 1);
    size_t offset;
    ck_assert_int_eq(nn_arena_take(&arena, LIMIT, &offset), 0);
    ck_assert_uint_eq(offset, 0);
    nn_arena_finish(&arena);
    return stolen;
}

/* Many times two thousand million rows of no element: known beforehand, folded, and of a
 * run. */
START_TEST(what_makes_nothing_takes_no_time)
{
    const int64_t rows = INT32_MAX / 4;
    struct onnx o = onnx_start(13);
    char from[16] = "x", to[16], both[40];
    onnx_input(&o, "x", 1, DIMS(rows, 4, 0));
    onnx_input(&o, "p", 9, DIMS(4));
    onnx_ints(&o, "shape", DIMS(3), (int64_t[]){rows, 4, 0});
    onnx_node(&o, "ConstantOfShape", "shape", "none");
    for (int i = 0; i < 100; i++) {
        snprintf(to, sizeof to, "a%d", i);
        onnx_node(&o, "Softmax", i < 50 ? from : "none", to);
        onnx_attribute_int(&o, "axis", 1);
        snprintf(both, sizeof both, "%s %s", to, i < 50 ? to : from);
        snprintf(from, sizeof from, "y%d", i);
        onnx_node(&o, "Sub", both, from);
    }
    onnx_node(&o, "Identity", from, "y");
    snprintf(both, sizeof both, "%s p", from);
    onnx_node(&o, "Compress", both, "z");
    onnx_attribute_int(&o, "axis", 1);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_output(&o, "z", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 1, (bool[]){true, false, true, true});
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(rows, 4, 0));
    net_expect_shape(&net, 1, DIMS(rows, 3, 0));
    net_free(&net);
}
END_TEST

START_TEST(the_arena_never_gives_a_byte_twice)
{
    int given = 0, refused = 0;
    for (uint32_t round = 0; round < 200; round++)
        ck_assert_int_eq(use_arena(round * 2654435761u, &given, &refused), 0);
    ck_assert_int_gt(given, 10000);
    ck_assert_int_gt(refused, 0);
}
END_TEST

/* --- Sessions --------------------------------------------------------------------------- */

static struct onnx small_network(void)
{
    struct onnx o = onnx_start(13);
    convolution_block(&o, "Tanh", true);
    onnx_node(&o, "Flatten", "y", "f");
    float weights[80 * 5];
    net_fill(weights, 400, 4);
    onnx_floats(&o, "head", DIMS(80, 5), weights);
    onnx_node(&o, "Gemm", "f head", "g");
    onnx_node(&o, "Softmax", "g", "s");
    onnx_output(&o, "s", 1, SCALAR);
    return o;
}

START_TEST(the_same_input_gives_the_same_bytes)
{
    struct onnx o = small_network();
    struct nn_model *model = net_load(&o);
    struct net a = net_plan(nn_model_ref(model), NULL), b = net_plan(model, NULL);
    struct nn_session *second = NULL;
    ck_assert_int_eq(nn_session_create(a.plan, &second, NULL), 0);
    float x[126];
    net_fill(x, 126, 5);
    net_set(&a, 0, x);
    net_set(&b, 0, x);
    memcpy(nn_session_input(second, 0)->data, x, sizeof x);
    net_run(&a);
    float first[5];
    memcpy(first, net_floats(&a, 0), sizeof first);
    net_run(&a);
    ck_assert_mem_eq(net_floats(&a, 0), first, sizeof first);
    net_run(&b);
    ck_assert_mem_eq(net_floats(&b, 0), first, sizeof first);
    ck_assert_int_eq(nn_session_run(second, NULL), 0);
    ck_assert_mem_eq(nn_session_output(second, 0)->data, first, sizeof first);
    nn_session_destroy(second);
    net_free(&a);
    net_free(&b);
}
END_TEST

START_TEST(a_session_keeps_its_plan_and_model_alive)
{
    struct onnx o = small_network();
    struct net net = net_make(&o);
    nn_model_unref(net.model);
    nn_plan_unref(nn_plan_ref(net.plan));
    nn_plan_unref(net.plan);
    net_run(&net);
    ck_assert_float_eq_tol(net_floats(&net, 0)[0] + net_floats(&net, 0)[1] +
                               net_floats(&net, 0)[2] + net_floats(&net, 0)[3] +
                               net_floats(&net, 0)[4],
                           1, 1e-5f);
    nn_session_destroy(net.session);
    nn_session_destroy(NULL);
    nn_plan_unref(NULL);
    nn_model_unref(NULL);
}
END_TEST

static TCase *shapes_case(void)
{
    TCase *c = tcase_create("shapes");
    tcase_add_test(c, an_open_batch_is_one_unless_given);
    tcase_add_test(c, shapes_that_do_not_fit_the_model_are_refused);
    tcase_add_test(c, more_memory_than_allowed_is_refused);
    return c;
}

static TCase *fusing_case(void)
{
    TCase *c = tcase_create("fusing");
    tcase_add_test(c, a_convolution_takes_in_what_follows_it);
    tcase_add_test(c, what_others_read_is_not_fused_away);
    return c;
}

static TCase *places_case(void)
{
    TCase *c = tcase_create("places");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_value_read_later_is_not_written_over);
    tcase_add_test(c, an_output_may_be_an_input_or_a_constant);
    tcase_add_test(c, a_broadcast_result_is_not_written_over_a_smaller_operand);
    tcase_add_test(c, parts_that_lie_one_behind_the_other_are_not_copied);
    tcase_add_test(c, parts_that_overlap_are_not_written_over);
    tcase_add_test(c, a_part_that_is_repeated_is_not_written_over);
    tcase_add_test(c, a_value_read_twice_by_its_last_reader_is_freed_once);
    tcase_add_test(c, a_chain_takes_the_room_of_two_values);
    tcase_add_test(c, what_is_joined_is_made_where_it_belongs);
    tcase_add_test(c, a_part_made_long_before_does_not_hold_the_whole);
    tcase_add_test(c, joined_values_and_parts_are_right_whoever_else_reads_them);
    tcase_add_test(c, dead_nodes_are_not_planned);
    tcase_add_test(c, what_makes_nothing_takes_no_time);
    tcase_add_test(c, the_arena_never_gives_a_byte_twice);
    return c;
}

static TCase *sessions_case(void)
{
    TCase *c = tcase_create("sessions");
    tcase_add_test(c, the_same_input_gives_the_same_bytes);
    tcase_add_test(c, a_session_keeps_its_plan_and_model_alive);
    return c;
}

int main(void)
{
    TCase *cases[] = {shapes_case(), fusing_case(), places_case(), sessions_case()};
    return suite_run("nn/plan", cases, 4);
}
