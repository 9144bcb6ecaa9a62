/* If and Loop: decided when the plan is made where that can be told, else by each run. */
#include <errno.h>

#include "tests/nn/net.h"
#include "tests/nn/packing.h"

static struct onnx graph(void)
{
    return onnx_start(13);
}

static void declare(struct onnx *g, const char *output)
{
    onnx_output(g, output, 1, SCALAR);
}

static int window_nodes(const struct net *net)
{
    struct nn_plan_info info;
    nn_plan_describe(net->plan, &info);
    return info.window_nodes;
}

/* --- If --------------------------------------------------------------------------------- */

static void add_if(struct onnx *o, const char *condition, const char *outputs,
                   struct onnx *then_branch, struct onnx *else_branch)
{
    onnx_node(o, "If", condition, outputs);
    onnx_attribute_graph(o, "then_branch", then_branch);
    onnx_attribute_graph(o, "else_branch", else_branch);
}

/* A branch of one node over values around it. */
static struct onnx branch(const char *op, const char *inputs)
{
    struct onnx g = graph();
    onnx_node(&g, op, inputs, "b");
    declare(&g, "b");
    return g;
}

static struct onnx condition_and_x(struct onnx_dims dims)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "p", 9, SCALAR);
    onnx_input(&o, "x", 1, dims);
    declare(&o, "y");
    return o;
}

static void set_condition(struct net *net, bool value)
{
    net_set(net, 0, (uint8_t[]){value});
}

START_TEST(a_known_condition_leaves_its_branch_in_the_place_of_the_if)
{
    for (int chosen = 0; chosen < 2; chosen++) {
        struct onnx o = onnx_start(13), yes = branch("Relu", "x"), no = branch("Neg", "x");
        onnx_input(&o, "x", 1, DIMS(3));
        declare(&o, "y");
        onnx_initializer(&o, onnx_tensor("p", 9, SCALAR, &(uint8_t){chosen == 0}, 1));
        add_if(&o, "p", "y", &yes, &no);
        struct net net = net_make(&o);
        ck_assert_int_le(window_nodes(&net), 2); /* the branch's node, and its name outside */
        ck_assert(!nn_plan_output(net.plan, 0)->late);
        net_set(&net, 0, (float[]){-1, 0, 2});
        net_run(&net);
        net_expect_floats(&net, 0, DIMS(3),
                          chosen == 0 ? (float[]){0, 0, 2} : (float[]){1, 0, -2});
        net_free(&net);
    }
}
END_TEST

START_TEST(a_branch_that_is_not_taken_need_not_fit)
{
    struct onnx o = onnx_start(13), yes = branch("Relu", "x"), no = branch("MatMul", "x x");
    onnx_input(&o, "x", 1, DIMS(2, 3));
    declare(&o, "y");
    onnx_ints(&o, "first", SCALAR, (int64_t[]){0});
    onnx_ints(&o, "two", SCALAR, (int64_t[]){2});
    onnx_node(&o, "Shape", "x", "s");
    onnx_node(&o, "Gather", "s first", "rows");
    onnx_node(&o, "Equal", "rows two", "p");
    add_if(&o, "p", "y", &yes, &no);
    struct net net = net_make(&o);
    net_expect_shape(&net, 0, DIMS(2, 3));
    net_free(&net);
}
END_TEST

START_TEST(a_run_decides_between_branches)
{
    struct onnx o = condition_and_x(DIMS(3)), yes = branch("Add", "r x"),
                no = branch("Neg", "r");
    onnx_node(&o, "Relu", "x", "r");
    add_if(&o, "p", "i", &yes, &no);
    onnx_node(&o, "Mul", "i r", "y"); /* r is read behind the branches, too */
    struct net net = net_make(&o);
    ck_assert(!nn_plan_output(net.plan, 0)->late);
    net_set(&net, 1, (float[]){-1, 2, 3});
    for (int round = 0; round < 2; round++) {
        set_condition(&net, true);
        net_run(&net);
        net_expect_floats(&net, 0, DIMS(3), (float[]){0, 8, 18});
        set_condition(&net, false);
        net_run(&net);
        net_expect_floats(&net, 0, DIMS(3), (float[]){0, -4, -9});
    }
    net_free(&net);
}
END_TEST

START_TEST(branches_of_other_extents_have_the_shape_of_the_run)
{
    struct onnx o = condition_and_x(DIMS(2, 2)), yes = branch("Identity", "x");
    struct onnx no = graph();
    onnx_ints(&no, "first", DIMS(1), (int64_t[]){0});
    onnx_node(&no, "Gather", "x first", "row");
    declare(&no, "row");
    add_if(&o, "p", "i", &yes, &no);
    onnx_node(&o, "Neg", "i", "y");
    struct net net = net_make(&o);
    ck_assert(nn_plan_output(net.plan, 0)->late);
    net_set(&net, 1, (float[]){1, 2, 3, 4});
    set_condition(&net, false);
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1, 2), (float[]){-1, -2});
    set_condition(&net, true);
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 2), (float[]){-1, -2, -3, -4});
    net_free(&net);
}
END_TEST

START_TEST(branches_within_branches_see_all_around_them)
{
    struct onnx o = condition_and_x(DIMS(2));
    onnx_input(&o, "q", 9, SCALAR);
    onnx_node(&o, "Neg", "x", "n");
    struct onnx inner_yes = branch("Add", "n m"), inner_no = branch("Sub", "x m");
    struct onnx yes = graph();
    onnx_node(&yes, "Mul", "x x", "m");
    add_if(&yes, "q", "inner", &inner_yes, &inner_no);
    declare(&yes, "inner");
    struct onnx no = graph();
    onnx_floats(&no, "c", DIMS(2), (float[]){7, 8});
    declare(&no, "c"); /* a constant of the branch */
    add_if(&o, "p", "y", &yes, &no);
    struct net net = net_make(&o);
    net_set(&net, 1, (float[]){2, 3});
    static const float want[3][2] = {{2, 6}, {-2, -6}, {7, 8}};
    for (int i = 0; i < 3; i++) {
        set_condition(&net, i < 2);
        net_set(&net, 2, (uint8_t[]){i == 0});
        net_run(&net);
        net_expect_floats(&net, 0, DIMS(2), want[i]);
    }
    net_free(&net);
}
END_TEST

START_TEST(a_branch_may_give_what_is_around_it)
{
    struct onnx o = condition_and_x(DIMS(2)), yes = graph(), no = graph();
    onnx_node(&o, "Neg", "x", "n");
    declare(&yes, "x");
    declare(&no, "n");
    add_if(&o, "p", "y", &yes, &no);
    struct net net = net_make(&o);
    net_set(&net, 1, (float[]){1, 2});
    set_condition(&net, true);
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2), (float[]){1, 2});
    set_condition(&net, false);
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2), (float[]){-1, -2});
    net_free(&net);
}
END_TEST

/* The branch stands before what it reads. */
START_TEST(a_file_out_of_order_is_sorted_by_what_graphs_read)
{
    struct onnx o = condition_and_x(DIMS(2)), yes = branch("Neg", "late"), no = graph();
    onnx_floats(&no, "c", DIMS(2), (float[]){7, 8});
    declare(&no, "c");
    add_if(&o, "p", "y", &yes, &no);
    onnx_node(&o, "Mul", "x x", "late");
    struct net net = net_make(&o);
    net_set(&net, 1, (float[]){2, 3});
    set_condition(&net, true);
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2), (float[]){-4, -9});
    net_free(&net);

    o = condition_and_x(DIMS(2));
    yes = branch("Neg", "y");
    no = branch("Neg", "x");
    add_if(&o, "p", "y", &yes, &no);
    net_expect_refused(&o, -EINVAL, "node 'y' (If) waits for itself");
}
END_TEST

START_TEST(impossible_ifs_are_refused)
{
    struct onnx o = condition_and_x(DIMS(2)), yes = branch("Neg", "x"), no = graph();
    onnx_node(&no, "Flatten", "x", "f");
    declare(&no, "f");
    add_if(&o, "p", "y", &yes, &no);
    net_expect_refused(&o, -ENOTSUP,
                       "node 'y' (If): its branches give another type or number of dimensions");

    o = condition_and_x(DIMS(2));
    yes = branch("Neg", "x");
    no = branch("Neg", "x");
    add_if(&o, "x", "y", &yes, &no);
    net_expect_refused(&o, -EINVAL, "node 'y' (If): its condition is not one bool");

    o = condition_and_x(DIMS(2));
    yes = branch("Neg", "nowhere");
    no = branch("Neg", "x");
    add_if(&o, "p", "y", &yes, &no);
    net_expect_refused(&o, -EINVAL, "node 'b' (Neg): nothing produces its input 0");

    o = condition_and_x(DIMS(2));
    yes = branch("Neg", "x");
    onnx_node(&o, "If", "p", "y");
    onnx_attribute_graph(&o, "then_branch", &yes);
    net_expect_refused(&o, -EINVAL, "node 'y' (If): a branch is missing");

    o = condition_and_x(DIMS(2));
    yes = branch("SequenceEmpty", "");
    no = branch("Neg", "x");
    add_if(&o, "p", "y", &yes, &no);
    net_expect_refused(&o, -ENOTSUP, "node 'b': operator SequenceEmpty is not supported");
}
END_TEST

/* Eight graphs within one another are read, nine are not. */
static struct onnx nested(int depth)
{
    struct onnx g = branch("Neg", "x");
    for (int i = 0; i < depth - 1; i++) {
        struct onnx around = graph(), other = branch("Neg", "x");
        add_if(&around, "p", "y", &g, &other);
        declare(&around, "y");
        g = around;
    }
    struct onnx o = condition_and_x(DIMS(1)), other = branch("Neg", "x");
    add_if(&o, "p", "y", &g, &other);
    return o;
}

START_TEST(graphs_are_read_to_a_depth)
{
    struct onnx o = nested(8);
    struct net net = net_make(&o);
    set_condition(&net, true);
    net_set(&net, 1, (float[]){5});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1), (float[]){-5});
    net_free(&net);
    o = nested(9);
    net_expect_refused(&o, -E2BIG, "more than 8 deep");
}
END_TEST

static struct onnx_bytes branch_of_weights(void)
{
    float w[6 * 4 * 3 * 3];
    net_fill(w, sizeof w / sizeof *w, 5);
    struct onnx o = condition_and_x(DIMS(1, 4, 6, 6)), yes = graph(), no = graph();
    onnx_node(&no, "Constant", "", "k"); /* gives a constant and nothing else */
    onnx_attribute_tensor(&no, "value", onnx_tensor("", 1, DIMS(1, 6, 4, 4), w, 96 * 4));
    declare(&no, "k");
    onnx_floats(&yes, "w", DIMS(6, 4, 3, 3), w);
    onnx_node(&yes, "Conv", "x w", "c");
    onnx_node(&yes, "Relu", "c", "r");
    declare(&yes, "r");
    add_if(&o, "p", "y", &yes, &no);
    return onnx_finish(&o);
}

START_TEST(weights_within_branches_are_packed_once)
{
    struct onnx_bytes bytes = branch_of_weights();
    struct nn_model *model = NULL, *packed = NULL;
    struct nn_error err = {{0}};
    ck_assert_int_eq(nn_model_load(bytes.data, bytes.size, &model, &err), 0);
    struct net direct = net_plan(model, NULL);
    ck_assert_msg(packing_reload(direct.plan, bytes.data, bytes.size, 64, &packed, &err) == 0,
                  "%s", err.text);
    struct net again = net_plan(packed, NULL);
    float x[4 * 36];
    net_fill(x, 4 * 36, 8);
    for (int chosen = 0; chosen < 2; chosen++) {
        set_condition(&direct, chosen);
        set_condition(&again, chosen);
        net_set(&direct, 1, x);
        net_set(&again, 1, x);
        net_run(&direct);
        net_run(&again);
        const struct nn_tensor *a = nn_session_output(direct.session, 0);
        const struct nn_tensor *b = nn_session_output(again.session, 0);
        ck_assert(nn_shape_equal(&a->shape, &b->shape));
        ck_assert_float_ne(((const float *)a->data)[0], 0);
        ck_assert_mem_eq(a->data, b->data, nn_tensor_bytes(a));
    }
    net_free(&direct);
    net_free(&again);
    free(bytes.data);
}
END_TEST

START_TEST(every_truncation_of_nested_graphs_is_refused)
{
    struct onnx_bytes bytes = branch_of_weights();
    for (size_t size = 0; size < bytes.size; size++) {
        struct nn_model *model = NULL;
        uint8_t *cut = malloc(size + 1);
        memcpy(cut, bytes.data, size);
        ck_assert_int_lt(nn_model_load(cut, size, &model, NULL), 0);
        free(cut);
    }
    free(bytes.data);
}
END_TEST

/* --- Loop ------------------------------------------------------------------------------- */

/* The body's inputs i, c and the values that go round, each float of `dims` or int64. */
static struct onnx body(int count, const char *const *names, struct onnx_dims dims)
{
    struct onnx g = graph();
    onnx_input(&g, "i", 7, SCALAR);
    onnx_input(&g, "c", 9, SCALAR);
    for (int k = 0; k < count; k++)
        onnx_input(&g, names[k], 1, dims);
    return g;
}

static void add_loop(struct onnx *o, const char *inputs, const char *outputs, struct onnx *body)
{
    onnx_node(o, "Loop", inputs, outputs);
    onnx_attribute_graph(o, "body", body);
}

/* a ← a + step, stacked before; goes on. */
static struct onnx adding_body(void)
{
    struct onnx g = body(1, (const char *const[]){"a"}, DIMS(2));
    onnx_node(&g, "Identity", "c", "on");
    onnx_node(&g, "Add", "a step", "b");
    onnx_node(&g, "Identity", "a", "seen");
    declare(&g, "on");
    declare(&g, "b");
    declare(&g, "seen");
    return g;
}

static struct onnx adding_loop(int64_t opset)
{
    struct onnx o = onnx_start(opset);
    onnx_input(&o, "x", 1, DIMS(2));
    onnx_input(&o, "step", 1, DIMS(2));
    declare(&o, "last");
    declare(&o, "all");
    return o;
}

START_TEST(a_known_number_of_rounds_is_laid_out)
{
    struct onnx o = adding_loop(11), g = adding_body();
    onnx_ints(&o, "n", SCALAR, (int64_t[]){3});
    add_loop(&o, "n - x", "last all", &g);
    struct net net = net_make(&o);
    ck_assert(!nn_plan_output(net.plan, 1)->late);
    net_set(&net, 0, (float[]){1, 2});
    net_set(&net, 1, (float[]){10, 20});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2), (float[]){31, 62});
    net_expect_floats(&net, 1, DIMS(3, 2), (float[]){1, 2, 11, 22, 21, 42});
    net_free(&net);
}
END_TEST

START_TEST(many_rounds_run_one_body)
{
    struct onnx o = adding_loop(11), g = adding_body();
    onnx_ints(&o, "n", SCALAR, (int64_t[]){1000});
    add_loop(&o, "n - x", "last all", &g);
    struct net net = net_make(&o);
    ck_assert_int_eq(window_nodes(&net), 1);
    ck_assert(!nn_plan_output(net.plan, 1)->late);
    net_set(&net, 0, (float[]){1, 2});
    net_set(&net, 1, (float[]){1, 2});
    for (int again = 0; again < 2; again++) {
        net_run(&net);
        net_expect_floats(&net, 0, DIMS(2), (float[]){1001, 2002});
        net_expect_shape(&net, 1, DIMS(1000, 2));
        for (int i = 0; i < 1000; i++)
            ck_assert_float_eq(net_floats(&net, 1)[2 * i + 1], (float)(2 + 2 * i));
    }
    net_free(&net);
}
END_TEST

START_TEST(a_number_of_rounds_may_come_with_the_run)
{
    struct onnx o = onnx_start(13), g = adding_body();
    onnx_input(&o, "x", 1, DIMS(2));
    onnx_input(&o, "step", 1, DIMS(2));
    onnx_input(&o, "n", 7, SCALAR);
    declare(&o, "last");
    add_loop(&o, "n - x", "last -", &g);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){1, 2});
    net_set(&net, 1, (float[]){1, 0});
    static const int64_t rounds[] = {5, 0, -3, 100};
    for (int i = 0; i < 4; i++) {
        net_set(&net, 2, &rounds[i]);
        net_run(&net);
        net_expect_floats(&net, 0, DIMS(2),
                          (float[]){1 + (float)(rounds[i] > 0 ? rounds[i] : 0), 2});
    }
    net_set(&net, 2, (int64_t[]){INT64_MAX});
    net_expect_run_fails(&net,
                         "node 'last' (Loop): round 1048576 is one more than a run may have");
    net_free(&net);

    o = adding_loop(13);
    g = adding_body();
    onnx_input(&o, "n", 7, SCALAR);
    add_loop(&o, "n - x", "last all", &g);
    net_expect_refused(&o, -ENOTSUP, "node 'last' (Loop): nothing bounds its number of rounds");
}
END_TEST

/* a doubles until its sum is over the limit, in at most 8 rounds. */
START_TEST(a_condition_of_the_run_ends_a_loop)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1));
    onnx_input(&o, "limit", 1, SCALAR);
    onnx_input(&o, "begin", 9, SCALAR);
    declare(&o, "last");
    declare(&o, "all");
    onnx_ints(&o, "n", SCALAR, (int64_t[]){8});
    struct onnx g = body(1, (const char *const[]){"a"}, DIMS(1));
    onnx_node(&g, "Add", "a a", "b");
    onnx_node(&g, "ReduceSum", "b", "s");
    onnx_attribute_int(&g, "keepdims", 0);
    onnx_node(&g, "Less", "s limit", "on");
    declare(&g, "on");
    declare(&g, "b");
    declare(&g, "b");
    add_loop(&o, "n begin x", "last all", &g);
    struct net net = net_make(&o);
    ck_assert(nn_plan_output(net.plan, 1)->late);
    net_set(&net, 0, (float[]){1});
    net_set(&net, 1, (float[]){10});
    net_set(&net, 2, (uint8_t[]){1});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1), (float[]){16});
    net_expect_floats(&net, 1, DIMS(4, 1), (float[]){2, 4, 8, 16});
    net_set(&net, 1, (float[]){1e9f});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1), (float[]){256});
    net_expect_shape(&net, 1, DIMS(8, 1));
    net_set(&net, 2, (uint8_t[]){0});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1), (float[]){1});
    net_expect_shape(&net, 1, DIMS(0, 1));
    net_free(&net);
}
END_TEST

START_TEST(values_may_change_places_as_they_go_round)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(2));
    onnx_input(&o, "z", 1, DIMS(2));
    onnx_input(&o, "n", 7, SCALAR);
    declare(&o, "p");
    declare(&o, "q");
    struct onnx g = body(2, (const char *const[]){"a", "b"}, DIMS(2));
    declare(&g, "c");
    declare(&g, "b");
    declare(&g, "a");
    add_loop(&o, "n - x z", "p q", &g);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){1, 2});
    net_set(&net, 1, (float[]){3, 4});
    for (int64_t n = 0; n < 4; n++) {
        net_set(&net, 2, &n);
        net_run(&net);
        net_expect_floats(&net, n % 2 ? 1 : 0, DIMS(2), (float[]){1, 2});
        net_expect_floats(&net, n % 2 ? 0 : 1, DIMS(2), (float[]){3, 4});
    }
    net_free(&net);
}
END_TEST

/* Each round leaves out the first of a, and so many as the run says. */
START_TEST(what_goes_round_may_become_smaller)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(5));
    onnx_input(&o, "n", 7, SCALAR);
    declare(&o, "y");
    struct onnx g = body(1, (const char *const[]){"a"}, DIMS(-1));
    onnx_ints(&g, "one", DIMS(1), (int64_t[]){1});
    onnx_ints(&g, "end", DIMS(1), (int64_t[]){INT64_MAX});
    onnx_node(&g, "Slice", "a one end", "b");
    onnx_node(&g, "Neg", "b", "d");
    declare(&g, "c");
    declare(&g, "d");
    add_loop(&o, "n - x", "y", &g);
    struct net net = net_make(&o);
    ck_assert(nn_plan_output(net.plan, 0)->late);
    net_expect_shape(&net, 0, DIMS(5));
    net_set(&net, 0, (float[]){1, 2, 3, 4, 5});
    net_set(&net, 1, (int64_t[]){3});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2), (float[]){-4, -5});
    net_set(&net, 1, (int64_t[]){9});
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(0));
    net_free(&net);
}
END_TEST

static struct onnx growing(struct onnx *o)
{
    *o = onnx_start(13);
    onnx_input(o, "x", 1, DIMS(1));
    declare(o, "y");
    struct onnx g = body(1, (const char *const[]){"a"}, DIMS(-1));
    onnx_node(&g, "Concat", "a a", "b");
    onnx_attribute_int(&g, "axis", 0);
    declare(&g, "c");
    declare(&g, "b");
    return g;
}

START_TEST(what_goes_round_may_grow_only_for_a_known_number_of_rounds)
{
    struct onnx o, g = growing(&o);
    onnx_ints(&o, "n", SCALAR, (int64_t[]){3});
    add_loop(&o, "n - x", "y", &g);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){7});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(8), (float[]){7, 7, 7, 7, 7, 7, 7, 7});
    net_free(&net);

    g = growing(&o);
    onnx_input(&o, "n", 7, SCALAR);
    add_loop(&o, "n - x", "y", &g);
    net_expect_refused(&o, -ENOTSUP, "node 'y' (Loop): a value that goes round becomes larger");
}
END_TEST

/* Σ over i < n of Σ over j < i + 1 of x, each round of a run. */
START_TEST(loops_run_within_loops)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1));
    onnx_input(&o, "n", 7, SCALAR);
    declare(&o, "y");
    onnx_ints(&o, "one", SCALAR, (int64_t[]){1});
    struct onnx inner = graph();
    onnx_input(&inner, "j", 7, SCALAR);
    onnx_input(&inner, "k", 9, SCALAR);
    onnx_input(&inner, "d", 1, DIMS(1));
    onnx_node(&inner, "Add", "d x", "e");
    declare(&inner, "k");
    declare(&inner, "e");
    struct onnx g = body(1, (const char *const[]){"a"}, DIMS(1));
    onnx_node(&g, "Add", "i one", "m");
    add_loop(&g, "m - a", "b", &inner);
    declare(&g, "c");
    declare(&g, "b");
    add_loop(&o, "n - x", "y", &g);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){2});
    net_set(&net, 1, (int64_t[]){4});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1), (float[]){2 + 2 * 10});
    net_free(&net);
}
END_TEST

/* Each round stacks how many of x are over the round's number, and as many as the last were. */
START_TEST(shapes_that_a_run_decides_work_within_a_body)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(4));
    onnx_input(&o, "n", 7, SCALAR);
    onnx_output(&o, "y", 7, SCALAR);
    struct onnx g = graph();
    onnx_input(&g, "i", 7, SCALAR);
    onnx_input(&g, "c", 9, SCALAR);
    onnx_input(&g, "a", 7, DIMS(1));
    onnx_ints(&g, "axis", DIMS(1), (int64_t[]){1});
    onnx_node(&g, "Cast", "i", "f");
    onnx_attribute_int(&g, "to", 1);
    onnx_node(&g, "Sub", "x f", "d");
    onnx_node(&g, "Relu", "d", "r");
    onnx_node(&g, "NonZero", "r", "z");
    onnx_node(&g, "Shape", "z", "s");
    onnx_node(&g, "Gather", "s axis", "count");
    onnx_node(&g, "Add", "a count", "b");
    declare(&g, "c");
    declare(&g, "b");
    onnx_ints(&o, "zero", DIMS(1), (int64_t[]){0});
    add_loop(&o, "n - zero", "y", &g);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){1, 2, 3, -1});
    net_set(&net, 1, (int64_t[]){3});
    net_run(&net);
    const struct nn_tensor *t = nn_session_output(net.session, 0);
    ck_assert_int_eq(((const int64_t *)t->data)[0], 3 + 2 + 1);
    net_free(&net);
}
END_TEST

/* What a round would have stacked is then not known, and no earlier run's. */
START_TEST(no_round_stacks_nothing_of_the_same_shape_in_every_run)
{
    struct onnx o = onnx_start(13), g = body(0, NULL, SCALAR);
    onnx_input(&o, "x", 1, DIMS(2));
    onnx_input(&o, "p", 9, SCALAR);
    onnx_output(&o, "y", 7, SCALAR);
    onnx_ints(&o, "three", SCALAR, (int64_t[]){3});
    onnx_node(&g, "NonZero", "x", "z");
    declare(&g, "c");
    declare(&g, "z");
    add_loop(&o, "three p", "y", &g);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){0, 1});
    for (int round = 0; round < 2; round++) {
        net_set(&net, 1, (uint8_t[]){0});
        net_run(&net);
        net_expect_shape(&net, 0, DIMS(0, 1, 2));
        net_set(&net, 1, (uint8_t[]){1});
        net_run(&net);
        net_expect_shape(&net, 0, DIMS(3, 1, 1));
    }
    net_free(&net);
}
END_TEST

START_TEST(impossible_loops_are_refused)
{
    struct onnx o = adding_loop(13), g = adding_body();
    onnx_ints(&o, "n", SCALAR, (int64_t[]){2});
    add_loop(&o, "n - x x", "last all", &g);
    net_expect_refused(&o, -EINVAL, "its body has other inputs or outputs than it needs");

    o = adding_loop(13);
    g = adding_body();
    add_loop(&o, "x - x", "last all", &g);
    net_expect_refused(&o, -EINVAL, "its number of rounds is not one int64");

    o = adding_loop(13);
    g = adding_body();
    onnx_ints(&o, "n", SCALAR, (int64_t[]){(int64_t)1 << 40});
    add_loop(&o, "n - x", "last all", &g);
    net_expect_refused(&o, -E2BIG, "node 'last' (Loop): it has too many rounds");

    o = adding_loop(13);
    onnx_ints(&o, "n", SCALAR, (int64_t[]){2});
    onnx_node(&o, "Loop", "n - x", "last all");
    net_expect_refused(&o, -EINVAL, "node 'last' (Loop): its body is missing");
}
END_TEST

/* Each of five levels loops 60 times over the next. */
START_TEST(loops_that_unfold_without_end_are_refused)
{
    struct onnx g = body(1, (const char *const[]){"a"}, DIMS(1));
    onnx_node(&g, "Add", "a x", "b");
    declare(&g, "c");
    declare(&g, "b");
    for (int level = 0; level < 5; level++) {
        struct onnx around = body(1, (const char *const[]){"a"}, DIMS(1));
        add_loop(&around, "n - a", "b", &g);
        declare(&around, "c");
        declare(&around, "b");
        g = around;
    }
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1));
    declare(&o, "y");
    onnx_ints(&o, "n", SCALAR, (int64_t[]){60});
    add_loop(&o, "n - x", "y", &g);
    net_expect_refused(&o, -E2BIG, "too many");
}
END_TEST

/* x is (1, frames, 2): per frame a Neg, then a run decides what to do with the window. */
START_TEST(frames_run_apart_up_to_what_a_run_decides)
{
    struct onnx o = onnx_start(13), yes = branch("Relu", "n"), no = branch("Identity", "n");
    onnx_input(&o, "x", 1, DIMS(1, 3, 2));
    onnx_input(&o, "p", 9, SCALAR);
    declare(&o, "y");
    onnx_node(&o, "Neg", "x", "n");
    add_if(&o, "p", "y", &yes, &no);
    struct net net = net_plan(net_load(&o), &(struct nn_plan_options){.time_axis = 1});
    struct nn_plan_info info;
    nn_plan_describe(net.plan, &info);
    ck_assert_int_eq(info.frame_nodes, 1);
    ck_assert_int_eq(info.window_nodes, 1);
    net_set(&net, 0, (float[]){1, -2, 3, -4, 5, -6});
    net_set(&net, 1, (uint8_t[]){1});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1, 3, 2), (float[]){0, 2, 0, 4, 0, 6});
    net_set(&net, 1, (uint8_t[]){0});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1, 3, 2), (float[]){-1, 2, -3, 4, -5, 6});
    net_free(&net);
}
END_TEST

int main(void)
{
    TCase *branches = tcase_create("If");
    tcase_add_test(branches, a_known_condition_leaves_its_branch_in_the_place_of_the_if);
    tcase_add_test(branches, a_branch_that_is_not_taken_need_not_fit);
    tcase_add_test(branches, a_run_decides_between_branches);
    tcase_add_test(branches, branches_of_other_extents_have_the_shape_of_the_run);
    tcase_add_test(branches, branches_within_branches_see_all_around_them);
    tcase_add_test(branches, a_branch_may_give_what_is_around_it);
    tcase_add_test(branches, a_file_out_of_order_is_sorted_by_what_graphs_read);
    tcase_add_test(branches, impossible_ifs_are_refused);
    tcase_add_test(branches, graphs_are_read_to_a_depth);
    tcase_add_test(branches, weights_within_branches_are_packed_once);
    tcase_add_test(branches, every_truncation_of_nested_graphs_is_refused);
    tcase_add_test(branches, frames_run_apart_up_to_what_a_run_decides);
    TCase *loops = tcase_create("Loop");
    tcase_set_timeout(loops, 60);
    tcase_add_test(loops, a_known_number_of_rounds_is_laid_out);
    tcase_add_test(loops, many_rounds_run_one_body);
    tcase_add_test(loops, a_number_of_rounds_may_come_with_the_run);
    tcase_add_test(loops, a_condition_of_the_run_ends_a_loop);
    tcase_add_test(loops, values_may_change_places_as_they_go_round);
    tcase_add_test(loops, what_goes_round_may_become_smaller);
    tcase_add_test(loops, what_goes_round_may_grow_only_for_a_known_number_of_rounds);
    tcase_add_test(loops, loops_run_within_loops);
    tcase_add_test(loops, shapes_that_a_run_decides_work_within_a_body);
    tcase_add_test(loops, no_round_stacks_nothing_of_the_same_shape_in_every_run);
    tcase_add_test(loops, impossible_loops_are_refused);
    tcase_add_test(loops, loops_that_unfold_without_end_are_refused);
    TCase *cases[] = {branches, loops};
    return suite_run("nn/control", cases, 2);
}
