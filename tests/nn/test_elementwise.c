/* Cast, comparisons, logic, Where, Max and its kin, Mod, Pow: what the ONNX suite does not
 * reach. Every type, the edges of types, old opsets, and what is refused. */
#include <errno.h>
#include <math.h>

#include "tests/nn/net.h"

/* Integers of each type at their bounds, as the lower bytes of 64 bits. */
static const struct {
    enum nn_type type;
    int64_t low, high;
} integers[] = {
    {NN_TYPE_INT8, INT8_MIN, INT8_MAX},    {NN_TYPE_UINT8, 0, UINT8_MAX},
    {NN_TYPE_INT16, INT16_MIN, INT16_MAX}, {NN_TYPE_UINT16, 0, UINT16_MAX},
    {NN_TYPE_INT32, INT32_MIN, INT32_MAX}, {NN_TYPE_UINT32, 0, UINT32_MAX},
    {NN_TYPE_INT64, INT64_MIN, INT64_MAX}, {NN_TYPE_UINT64, 0, -1},
};
enum { INTEGERS = sizeof integers / sizeof *integers };

static void put(void *to, const int64_t *values, int count, enum nn_type type)
{
    size_t bytes = nn_type_size(type);
    for (int i = 0; i < count; i++)
        memcpy((char *)to + (size_t)i * bytes, &values[i], bytes);
}

static void set_integers(struct net *net, size_t input, const int64_t *values)
{
    const struct nn_tensor *t = nn_session_input(net->session, input);
    put(t->data, values, (int)nn_shape_count(&t->shape), t->type);
}

static void expect_integers(const struct net *net, const int64_t *want)
{
    const struct nn_tensor *t = nn_session_output(net->session, 0);
    char bytes[256];
    int count = (int)nn_shape_count(&t->shape);
    put(bytes, want, count, t->type);
    for (int i = 0; i < count; i++)
        ck_assert_msg(
            memcmp((char *)t->data + (size_t)i * nn_type_size(t->type),
                   bytes + (size_t)i * nn_type_size(t->type), nn_type_size(t->type)) == 0,
            "element %d is not %lld as %s", i, (long long)want[i], nn_type_name(t->type));
}

/* One node over inputs "a", "b", ... of `count` elements each, as many as `types` has. */
static struct onnx node_of(int opset, const char *op, const char *inputs, const int *types,
                           int count)
{
    struct onnx o = onnx_start(opset);
    for (size_t i = 0; i < (strlen(inputs) + 1) / 2; i++)
        onnx_input(&o, (char[]){inputs[2 * i], 0}, types[i], DIMS(count));
    onnx_output(&o, "y", types[0], SCALAR);
    onnx_node(&o, op, inputs, "y");
    return o;
}

/* --- Cast ------------------------------------------------------------------------------- */

static struct net cast_net(int from, int to, int count)
{
    struct onnx o = node_of(13, "Cast", "a", &from, count);
    onnx_attribute_int(&o, "to", to);
    return net_make(&o);
}

START_TEST(integers_keep_their_lower_bits)
{
    for (int to = 0; to < INTEGERS; to++) {
        int64_t values[] = {integers[_i].low, integers[_i].high, 1, 0};
        struct net net = cast_net((int)integers[_i].type, (int)integers[to].type, 4);
        set_integers(&net, 0, values);
        net_run(&net);
        expect_integers(&net, values);
        net_free(&net);
    }
}
END_TEST

START_TEST(integers_become_the_nearest_float_and_true_unless_zero)
{
    int64_t values[] = {integers[_i].low, integers[_i].high, 1, 0};
    bool is_uint64 = integers[_i].type == NN_TYPE_UINT64;
    struct net net = cast_net((int)integers[_i].type, NN_TYPE_FLOAT, 4);
    set_integers(&net, 0, values);
    net_run(&net);
    const float *y = net_floats(&net, 0);
    ck_assert_float_eq(y[0], (float)values[0]);
    ck_assert_float_eq(y[1], is_uint64 ? 0x1p64f : (float)values[1]);
    ck_assert_float_eq(y[2], 1);
    net_free(&net);
    net = cast_net((int)integers[_i].type, NN_TYPE_BOOL, 4);
    set_integers(&net, 0, values);
    net_run(&net);
    expect_integers(&net, (int64_t[]){values[0] != 0, 1, 1, 0});
    net_free(&net);
    net = cast_net(NN_TYPE_BOOL, (int)integers[_i].type, 2);
    set_integers(&net, 0, (int64_t[]){1, 0});
    net_run(&net);
    expect_integers(&net, (int64_t[]){1, 0});
    net_free(&net);
}
END_TEST

/* The integer part, cut to the type: the same for all of them, beyond 64 bits -2^63. */
START_TEST(floats_lose_their_fraction)
{
    const float values[] = {1.9f,    -1.9f, 127.5f, 255.99f,  300,        -129,
                            70000,   3e9f,  -3e9f,  0x1p40f,  -0x1.8p62f, 0.99f,
                            0x1p63f, 1e30f, NAN,    -INFINITY};
    int64_t want[] = {1,
                      -1,
                      127,
                      255,
                      300,
                      -129,
                      70000,
                      3000000000,
                      -3000000000,
                      INT64_C(1) << 40,
                      -INT64_C(0x6000000000000000),
                      0,
                      INT64_MIN,
                      INT64_MIN,
                      INT64_MIN,
                      INT64_MIN};
    struct net net = cast_net(NN_TYPE_FLOAT, (int)integers[_i].type, 16);
    net_set(&net, 0, values);
    net_run(&net);
    expect_integers(&net, want);
    net_free(&net);
}
END_TEST

START_TEST(anything_but_zero_is_true)
{
    struct net net = cast_net(NN_TYPE_FLOAT, NN_TYPE_BOOL, 5);
    net_set(&net, 0, (float[]){0, -0.f, 1e-40f, NAN, -3});
    net_run(&net);
    expect_integers(&net, (int64_t[]){0, 0, 1, 1, 1});
    net_free(&net);
}
END_TEST

START_TEST(a_cast_to_float16_rounds_and_one_to_float64_does_not)
{
    const float values[] = {1 + 0x1p-11f, 1 + 0x1.8p-11f, 65519, 65520, -1e9f, 0x1p-25f};
    struct net net = cast_net(NN_TYPE_FLOAT, 10, 6);
    net_set(&net, 0, values);
    net_run(&net);
    const float want[] = {1, 1 + 0x1p-10f, 65504, INFINITY, -INFINITY, 0};
    ck_assert_mem_eq(net_floats(&net, 0), want, sizeof want);
    net_free(&net);
    net = cast_net(NN_TYPE_FLOAT, 11, 6);
    net_set(&net, 0, values);
    net_run(&net);
    ck_assert_mem_eq(net_floats(&net, 0), values, sizeof values);
    net_free(&net);
    net = cast_net(NN_TYPE_INT32, 10, 2);
    net_set(&net, 0, (int32_t[]){2049, 70000});
    net_run(&net);
    ck_assert_mem_eq(net_floats(&net, 0), ((float[]){2048, INFINITY}), 8);
    net_free(&net);
}
END_TEST

START_TEST(old_opsets_spell_the_type)
{
    struct onnx o = node_of(5, "Cast", "a", (int[]){NN_TYPE_FLOAT}, 2);
    onnx_attribute_text(&o, "to", "INT16");
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){-2.5f, 7});
    net_run(&net);
    ck_assert_int_eq(nn_session_output(net.session, 0)->type, NN_TYPE_INT16);
    expect_integers(&net, (int64_t[]){-2, 7});
    net_free(&net);
    o = node_of(5, "Cast", "a", (int[]){NN_TYPE_FLOAT}, 2);
    onnx_attribute_int(&o, "to", 1);
    net_expect_refused(&o, -EINVAL, "attribute 'to' is of type 2, not 3");
    o = node_of(6, "Cast", "a", (int[]){NN_TYPE_FLOAT}, 2);
    onnx_attribute_text(&o, "to", "FLOAT");
    net_expect_refused(&o, -EINVAL, "attribute 'to' is of type 3, not 2");
}
END_TEST

START_TEST(a_type_to_cast_to_that_we_lack_is_named)
{
    static const struct {
        int64_t to;
        const char *name;
    } cases[] = {{17, "float8e4m3fn"}, {16, "bfloat16"},        {8, "string"},
                 {0, "undefined"},     {-7, "an unknown type"}, {INT64_MAX, "an unknown type"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct onnx o = node_of(19, "Cast", "a", (int[]){NN_TYPE_FLOAT}, 1);
        char text[80];
        snprintf(text, sizeof text, "node 'y' (Cast): casting to %s", cases[i].name);
        onnx_attribute_int(&o, "to", cases[i].to);
        net_expect_refused(&o, -ENOTSUP, text);
    }
    struct onnx o = node_of(19, "Cast", "a", (int[]){NN_TYPE_FLOAT}, 1);
    net_expect_refused(&o, -EINVAL, "attribute 'to' is missing");
}
END_TEST

/* --- Comparisons and logic -------------------------------------------------------------- */

START_TEST(numbers_are_in_order_in_every_type)
{
    static const struct {
        const char *op;
        int64_t want[3]; /* low ? high, high ? low, high ? high */
    } cases[] = {{"Equal", {0, 0, 1}},
                 {"Less", {1, 0, 0}},
                 {"LessOrEqual", {1, 0, 1}},
                 {"Greater", {0, 1, 0}},
                 {"GreaterOrEqual", {0, 1, 1}}};
    int64_t low = integers[_i].low, high = integers[_i].high;
    int types[2] = {(int)integers[_i].type, (int)integers[_i].type};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct onnx o = node_of(16, cases[i].op, "a b", types, 3);
        struct net net = net_make(&o);
        set_integers(&net, 0, (int64_t[]){low, high, high});
        set_integers(&net, 1, (int64_t[]){high, low, high});
        net_run(&net);
        ck_assert_int_eq(nn_session_output(net.session, 0)->type, NN_TYPE_BOOL);
        expect_integers(&net, cases[i].want);
        net_free(&net);
    }
}
END_TEST

START_TEST(a_nan_is_in_no_order)
{
    static const char *const ops[] = {"Equal", "Less", "LessOrEqual", "Greater",
                                      "GreaterOrEqual"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        struct onnx o = node_of(16, ops[i], "a b", (int[]){1, 1}, 3);
        struct net net = net_make(&o);
        net_set(&net, 0, (float[]){NAN, 1, NAN});
        net_set(&net, 1, (float[]){1, NAN, NAN});
        net_run(&net);
        expect_integers(&net, (int64_t[]){0, 0, 0});
        net_free(&net);
    }
}
END_TEST

START_TEST(logic_broadcasts_and_works_in_place)
{
    static const struct {
        const char *op;
        uint8_t want[4]; /* of not (a op b) */
    } cases[] = {{"And", {1, 1, 1, 0}}, {"Or", {1, 0, 0, 0}}, {"Xor", {1, 0, 0, 1}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "a", 9, DIMS(2, 1));
        onnx_input(&o, "b", 9, DIMS(2));
        onnx_node(&o, cases[i].op, "a b", "c");
        onnx_node(&o, "Not", "c", "y");
        onnx_output(&o, "y", 9, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, (uint8_t[]){0, 1});
        net_set(&net, 1, (uint8_t[]){0, 1});
        net_run(&net);
        net_expect_shape(&net, 0, DIMS(2, 2));
        ck_assert_mem_eq(nn_session_output(net.session, 0)->data, cases[i].want, 4);
        net_free(&net);
    }
}
END_TEST

START_TEST(old_opsets_align_the_second_operand_at_axis)
{
    struct onnx o = onnx_start(6);
    onnx_input(&o, "a", 7, DIMS(2, 3));
    onnx_input(&o, "b", 7, DIMS(2));
    onnx_node(&o, "Equal", "a b", "y");
    onnx_attribute_int(&o, "broadcast", 1);
    onnx_attribute_int(&o, "axis", 0);
    onnx_output(&o, "y", 9, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, (int64_t[]){1, 2, 3, 1, 2, 3});
    net_set(&net, 1, (int64_t[]){1, 2});
    net_run(&net);
    ck_assert_mem_eq(nn_session_output(net.session, 0)->data, "\1\0\0\0\1\0", 6);
    net_free(&net);
}
END_TEST

START_TEST(an_axis_that_no_operand_fits_is_refused)
{
    static const int64_t axes[] = {INT64_MAX, INT64_MAX - 3, INT64_MIN, 8, -9};
    for (size_t i = 0; i < sizeof axes / sizeof *axes; i++) {
        struct onnx o = onnx_start(6);
        onnx_input(&o, "a", 1, DIMS(1, 1, 1, 1, 1, 1, 1, 2));
        onnx_input(&o, "b", 1, DIMS(2));
        onnx_node(&o, "Add", "a b", "y");
        onnx_attribute_int(&o, "broadcast", 1);
        onnx_attribute_int(&o, "axis", axes[i]);
        onnx_output(&o, "y", 1, SCALAR);
        net_expect_refused(&o, -EINVAL, "does not fit the shapes");
    }
}
END_TEST

START_TEST(operands_that_do_not_belong_together_are_refused)
{
    static const struct {
        const char *op, *inputs, *text;
        int types[3];
    } cases[] = {
        {"Less", "a b", "operands are float32 and int64", {1, 7}},
        {"Less", "a b", "bools have no order", {9, 9}},
        {"And", "a b", "operands are int64, not bool", {7, 7}},
        {"And", "a b", "operands are bool and int64", {9, 7}},
        {"Not", "a", "the operand is float32, not bool", {1}},
        {"Where", "a b c", "the condition is int64, not bool", {7, 1, 1}},
        {"Where", "a b c", "operands are float32 and int32", {9, 1, 6}},
        {"Max", "a b", "input 1 is int64, not float32", {1, 7}},
        {"Min", "a b", "operands are bool", {9, 9}},
        {"Mod", "a b", "float32 needs fmod=1", {1, 1}},
        {"Mod", "a b", "operands are bool", {9, 9}},
        {"Pow", "a b", "operands are bool", {1, 9}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct onnx o = node_of(15, cases[i].op, cases[i].inputs, cases[i].types, 2);
        net_expect_refused(&o, -EINVAL, cases[i].text);
    }
    struct onnx sum = node_of(13, "Sum", "a", (int[]){7}, 2);
    net_expect_refused(&sum, -ENOTSUP, "input 0 is int64; only float32");
}
END_TEST

/* --- Where ------------------------------------------------------------------------------ */

START_TEST(where_picks_elements_of_every_size_with_broadcasting)
{
    static const enum nn_type types[] = {NN_TYPE_BOOL, NN_TYPE_UINT16, NN_TYPE_FLOAT,
                                         NN_TYPE_INT64};
    for (size_t i = 0; i < 4; i++) {
        struct onnx o = onnx_start(16);
        onnx_input(&o, "c", 9, DIMS(2, 1));
        onnx_input(&o, "a", (int)types[i], DIMS(3));
        onnx_input(&o, "b", (int)types[i], SCALAR);
        onnx_node(&o, "Where", "c a b", "y");
        onnx_output(&o, "y", (int)types[i], SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, (uint8_t[]){1, 0});
        set_integers(&net, 1, (int64_t[]){1, 0, 1});
        set_integers(&net, 2, (int64_t[]){1});
        net_run(&net);
        net_expect_shape(&net, 0, DIMS(2, 3));
        expect_integers(&net, (int64_t[]){1, 0, 1, 1, 1, 1});
        net_free(&net);
    }
}
END_TEST

START_TEST(where_leaves_its_operands_to_whoever_reads_them)
{
    struct onnx o = onnx_start(16);
    onnx_input(&o, "x", 1, DIMS(3));
    onnx_floats(&o, "zero", DIMS(1), (float[]){0});
    onnx_node(&o, "Relu", "x", "a");
    onnx_node(&o, "Greater", "x zero", "c");
    onnx_node(&o, "Where", "c x a", "w");
    onnx_node(&o, "Add", "w a", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){-1, 0, 2});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(3), (float[]){0, 0, 4});
    net_free(&net);
}
END_TEST

/* --- Max, Min, Sum, Mean ---------------------------------------------------------------- */

START_TEST(the_greatest_and_least_are_found_in_every_type)
{
    int64_t low = integers[_i].low, high = integers[_i].high;
    int types[] = {(int)integers[_i].type, (int)integers[_i].type, (int)integers[_i].type};
    for (int max = 0; max < 2; max++) {
        struct onnx o = node_of(13, max ? "Max" : "Min", "a b c", types, 3);
        struct net net = net_make(&o);
        set_integers(&net, 0, (int64_t[]){low, high, 3});
        set_integers(&net, 1, (int64_t[]){high, high, 2});
        set_integers(&net, 2, (int64_t[]){1, high, 4});
        net_run(&net);
        expect_integers(&net, max ? (int64_t[]){high, high, 4} : (int64_t[]){low, high, 2});
        net_free(&net);
    }
}
END_TEST

START_TEST(a_nan_among_the_operands_is_the_result)
{
    for (int max = 0; max < 2; max++) {
        struct onnx o = node_of(13, max ? "Max" : "Min", "a b c", (int[]){1, 1, 1}, 4);
        struct net net = net_make(&o);
        net_set(&net, 0, (float[]){NAN, 1, 1, 1});
        net_set(&net, 1, (float[]){1, NAN, 1, INFINITY});
        net_set(&net, 2, (float[]){1, 1, NAN, -INFINITY});
        net_run(&net);
        const float *y = net_floats(&net, 0);
        ck_assert(isnan(y[0]) && isnan(y[1]) && isnan(y[2]));
        ck_assert_float_eq(y[3], max ? INFINITY : -INFINITY);
        net_free(&net);
    }
}
END_TEST

START_TEST(an_operand_may_come_twice_and_none_is_lost)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(2, 2));
    onnx_input(&o, "z", 1, DIMS(2));
    onnx_node(&o, "Relu", "x", "a");
    onnx_node(&o, "Sum", "a z a", "s");
    onnx_node(&o, "Mean", "z s a", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){1, 2, 3, 4});
    net_set(&net, 1, (float[]){10, 20});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 2), (float[]){23 / 3.f, 46 / 3.f, 29 / 3.f, 52 / 3.f});
    net_free(&net);
}
END_TEST

START_TEST(one_operand_is_the_result_and_old_opsets_do_not_broadcast)
{
    struct onnx o = node_of(8, "Mean", "a", (int[]){1}, 2);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){3, -4});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2), (float[]){3, -4});
    net_free(&net);
    o = onnx_start(7);
    onnx_input(&o, "a", 1, DIMS(2, 2));
    onnx_input(&o, "b", 1, DIMS(2));
    onnx_node(&o, "Max", "a b", "y");
    onnx_output(&o, "y", 1, SCALAR);
    net_expect_refused(&o, -EINVAL, "the shape of input 1 does not fit");
}
END_TEST

/* --- Mod, Pow --------------------------------------------------------------------------- */

START_TEST(a_remainder_has_the_sign_that_fmod_says)
{
    int64_t low = integers[_i].low, high = integers[_i].high;
    int types[] = {(int)integers[_i].type, (int)integers[_i].type};
    bool is_signed = low < 0;
    int64_t a[] = {7, is_signed ? -7 : 9, 7, low, high};
    int64_t b[] = {3, 3, is_signed ? -3 : 3, is_signed ? -1 : 1, high};
    int64_t want[2][5] = {{1, is_signed ? 2 : 0, is_signed ? -2 : 1, 0, 0},
                          {1, is_signed ? -1 : 0, 1, 0, 0}};
    for (int fmod = 0; fmod < 2; fmod++) {
        struct onnx o = node_of(13, "Mod", "a b", types, 5);
        struct nn_error err = {{0}};
        onnx_attribute_int(&o, "fmod", fmod);
        struct net net = net_make(&o);
        set_integers(&net, 0, a);
        set_integers(&net, 1, b);
        net_run(&net);
        expect_integers(&net, want[fmod]);
        set_integers(&net, 1, (int64_t[]){1, 0, 1, 1, 1});
        ck_assert_int_eq(nn_session_run(net.session, &err), -EINVAL);
        ck_assert_str_eq(err.text, "node 'y' (Mod): division by zero");
        net_free(&net);
    }
}
END_TEST

START_TEST(integers_are_raised_to_powers_and_wrap)
{
    int types[] = {(int)integers[_i].type, NN_TYPE_INT32};
    bool is_signed = integers[_i].low < 0;
    struct onnx o = node_of(15, "Pow", "a b", types, 8);
    struct nn_error err = {{0}};
    struct net net = net_make(&o);
    set_integers(&net, 0,
                 (int64_t[]){2, 3, is_signed ? -3 : 3, 2, is_signed ? -1 : 1, 5, 3, 0});
    set_integers(&net, 1, (int64_t[]){6, 3, 3, 100, -3, 0, 41, 0});
    net_run(&net);
    uint64_t third = 1;
    for (int i = 0; i < 41; i++)
        third *= 3;
    expect_integers(&net, (int64_t[]){64, 27, is_signed ? -27 : 27, 0, is_signed ? -1 : 1, 1,
                                      (int64_t)third, 1});
    set_integers(&net, 1, (int64_t[]){-1, -2, -3, 1, 1, 1, 1, 1});
    net_run(&net);
    expect_integers(&net, (int64_t[]){0, 0, 0, 2, is_signed ? -1 : 1, 5, 3, 0});
    set_integers(&net, 1, (int64_t[]){1, 1, 1, 1, 1, 1, 1, -1});
    ck_assert_int_eq(nn_session_run(net.session, &err), -EINVAL);
    ck_assert_str_eq(err.text, "node 'y' (Pow): zero to a negative power");
    net_free(&net);
}
END_TEST

START_TEST(base_and_exponent_may_differ_in_type)
{
    struct onnx o = node_of(15, "Pow", "a b", (int[]){NN_TYPE_FLOAT, NN_TYPE_INT64}, 3);
    struct net net = net_make(&o);
    net_set(&net, 0, (float[]){2, -2, 1.5f});
    net_set(&net, 1, (int64_t[]){-1, 3, 2});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(3), (float[]){0.5f, -8, 2.25f});
    net_free(&net);
    o = node_of(15, "Pow", "a b", (int[]){NN_TYPE_INT32, NN_TYPE_FLOAT}, 3);
    net = net_make(&o);
    net_set(&net, 0, (int32_t[]){2, 9, 7});
    net_set(&net, 1, (float[]){3.5f, 0.5f, -1});
    net_run(&net);
    expect_integers(&net, (int64_t[]){11, 3, 0});
    net_free(&net);
}
END_TEST

/* A constant exponent takes another path than one for each element. */
START_TEST(a_repeated_exponent_gives_what_single_ones_give)
{
    const float exponents[] = {2, 3, 0.5f, -1.5f, 0};
    for (size_t i = 0; i < sizeof exponents / sizeof *exponents; i++) {
        struct onnx o = onnx_start(13);
        float p = exponents[i], x[] = {0.25f, 1, 3, 10, 1e-3f};
        onnx_input(&o, "x", 1, DIMS(5));
        onnx_floats(&o, "p", SCALAR, &p);
        onnx_floats(&o, "each", DIMS(5), (float[]){p, p, p, p, p});
        onnx_node(&o, "Pow", "x p", "y");
        onnx_node(&o, "Pow", "x each", "z");
        onnx_output(&o, "y", 1, SCALAR);
        onnx_output(&o, "z", 1, SCALAR);
        struct net net = net_make(&o);
        net_set(&net, 0, x);
        net_run(&net);
        for (int j = 0; j < 5; j++) {
            float want = powf(x[j], p);
            ck_assert_float_eq_tol(net_floats(&net, 0)[j], want, 3e-7f * want);
            ck_assert_float_eq_tol(net_floats(&net, 1)[j], want, 3e-7f * want);
        }
        net_free(&net);
    }
}
END_TEST

static TCase *cast_case(void)
{
    TCase *c = tcase_create("cast");
    tcase_add_loop_test(c, integers_keep_their_lower_bits, 0, INTEGERS);
    tcase_add_loop_test(c, integers_become_the_nearest_float_and_true_unless_zero, 0, INTEGERS);
    tcase_add_loop_test(c, floats_lose_their_fraction, 0, INTEGERS);
    tcase_add_test(c, anything_but_zero_is_true);
    tcase_add_test(c, a_cast_to_float16_rounds_and_one_to_float64_does_not);
    tcase_add_test(c, old_opsets_spell_the_type);
    tcase_add_test(c, a_type_to_cast_to_that_we_lack_is_named);
    return c;
}

static TCase *logic_case(void)
{
    TCase *c = tcase_create("logic");
    tcase_add_loop_test(c, numbers_are_in_order_in_every_type, 0, INTEGERS);
    tcase_add_test(c, a_nan_is_in_no_order);
    tcase_add_test(c, logic_broadcasts_and_works_in_place);
    tcase_add_test(c, old_opsets_align_the_second_operand_at_axis);
    tcase_add_test(c, an_axis_that_no_operand_fits_is_refused);
    tcase_add_test(c, operands_that_do_not_belong_together_are_refused);
    tcase_add_test(c, where_picks_elements_of_every_size_with_broadcasting);
    tcase_add_test(c, where_leaves_its_operands_to_whoever_reads_them);
    return c;
}

static TCase *numbers_case(void)
{
    TCase *c = tcase_create("numbers");
    tcase_add_loop_test(c, the_greatest_and_least_are_found_in_every_type, 0, INTEGERS);
    tcase_add_test(c, a_nan_among_the_operands_is_the_result);
    tcase_add_test(c, an_operand_may_come_twice_and_none_is_lost);
    tcase_add_test(c, one_operand_is_the_result_and_old_opsets_do_not_broadcast);
    tcase_add_loop_test(c, a_remainder_has_the_sign_that_fmod_says, 0, INTEGERS);
    tcase_add_loop_test(c, integers_are_raised_to_powers_and_wrap, 0, INTEGERS);
    tcase_add_test(c, base_and_exponent_may_differ_in_type);
    tcase_add_test(c, a_repeated_exponent_gives_what_single_ones_give);
    return c;
}

int main(void)
{
    TCase *cases[] = {cast_case(), logic_case(), numbers_case()};
    return suite_run("nn/elementwise", cases, 3);
}
