/* Element types: how each is kept in a file, what it becomes, and that the rest is named. */
#include <errno.h>
#include <math.h>

#include "nn/half.h"
#include "nn/tensorfile.h"
#include "tests/nn/net.h"
#include "tests/nn/packing.h"

/* --- half precision ----------------------------------------------------------------------- */

static double half_value(uint16_t half)
{
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    if (exponent == 31)
        size = fraction ? NAN : INFINITY;
    return half & 0x8000 ? -size : size;
}

START_TEST(every_half_is_read_exactly_and_written_back)
{
    for (uint32_t bits = 0; bits <= UINT16_MAX; bits++) {
        float value = nn_half_to_float((uint16_t)bits);
        double want = half_value((uint16_t)bits);
        if (isnan(want)) {
            ck_assert(isnan(value));
            ck_assert(isnan(nn_half_to_float(nn_half_from_float(value))));
            continue;
        }
        ck_assert_msg(value == want && !signbit(value) == !signbit(want), "0x%x: %g, not %g",
                      bits, (double)value, want);
        ck_assert_uint_eq(nn_half_from_float(value), bits);
    }
}
END_TEST

START_TEST(a_number_between_two_halves_goes_to_the_nearer_and_ties_to_even)
{
    for (uint16_t bits = 0; bits < 0x7bff; bits++) {
        float low = (float)half_value(bits), high = (float)half_value(bits + 1);
        float middle = low + (high - low) / 2;
        uint16_t even = bits + (bits & 1);
        ck_assert_uint_eq(nn_half_from_float(middle), even);
        ck_assert_uint_eq(nn_half_from_float(nextafterf(middle, 0)), bits);
        ck_assert_uint_eq(nn_half_from_float(nextafterf(middle, INFINITY)), bits + 1);
        ck_assert_uint_eq(nn_half_from_float(-middle), even | 0x8000);
    }
    ck_assert_uint_eq(nn_half_from_float(nextafterf(65520, 0)), 0x7bff);
    ck_assert_uint_eq(nn_half_from_float(65520), 0x7c00);
    ck_assert_uint_eq(nn_half_from_float(-3e38f), 0xfc00);
    ck_assert_uint_eq(nn_half_from_float(1e-30f), 0);
}
END_TEST

/* --- tensors in files --------------------------------------------------------------------- */

/* A tensor whose elements are numbers of a field: varints, or doubles in field 10. */
static struct onnx_bytes in_field(int data_type, int field, const int64_t *values, int count)
{
    struct onnx_bytes t = {0};
    onnx_put_int(&t, 1, count);
    onnx_put_int(&t, 2, data_type);
    for (int i = 0; i < count; i++) {
        double value = (double)values[i];
        onnx_varint(&t, (uint64_t)field << 3 | (field == 10 ? 1 : 0));
        if (field == 10)
            onnx_put(&t, &value, sizeof value);
        else
            onnx_varint(&t, (uint64_t)values[i]);
    }
    return t;
}

static struct nn_tensor_file *load(struct onnx_bytes bytes)
{
    struct nn_tensor_file *file = NULL;
    struct nn_error err = {{0}};
    int r = nn_tensor_file_load(bytes.data, bytes.size, "t", &file, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    free(bytes.data);
    return file;
}

static void expect_refused(struct onnx_bytes bytes, int code, const char *text)
{
    struct nn_tensor_file *file = NULL;
    struct nn_error err = {{0}};
    ck_assert_int_eq(nn_tensor_file_load(bytes.data, bytes.size, "t", &file, &err), code);
    ck_assert_msg(strstr(err.text, text) != NULL, "'%s' does not say '%s'", err.text, text);
    free(bytes.data);
}

/* Each integer type: the field its elements are kept in, and its bounds. */
static const struct {
    const char *name;
    int type, field;
    size_t bytes;
    int64_t low, high;
} integers[] = {
    {"int8", 3, 5, 1, INT8_MIN, INT8_MAX},    {"uint8", 2, 5, 1, 0, UINT8_MAX},
    {"int16", 5, 5, 2, INT16_MIN, INT16_MAX}, {"uint16", 4, 5, 2, 0, UINT16_MAX},
    {"int32", 6, 5, 4, INT32_MIN, INT32_MAX}, {"uint32", 12, 11, 4, 0, UINT32_MAX},
    {"int64", 7, 7, 8, INT64_MIN, INT64_MAX}, {"uint64", 13, 11, 8, 0, -1},
};

START_TEST(integers_come_from_raw_bytes_and_from_their_field)
{
    int64_t bounds[2] = {integers[_i].low, integers[_i].high};
    size_t bytes = integers[_i].bytes;
    char raw[16];
    memcpy(raw, &bounds[0], bytes); /* little endian: the lower bytes come first */
    memcpy(raw + bytes, &bounds[1], bytes);
    struct nn_tensor_file *files[2] = {
        load(onnx_tensor("t", integers[_i].type, DIMS(2), raw, 2 * bytes)),
        load(in_field(integers[_i].type, integers[_i].field, bounds, 2))};
    for (int f = 0; f < 2; f++) {
        const struct nn_tensor *t = nn_tensor_file_tensor(files[f]);
        ck_assert_str_eq(nn_type_name(t->type), integers[_i].name);
        ck_assert_uint_eq(nn_type_size(t->type), bytes);
        ck_assert_mem_eq(t->data, raw, 2 * bytes);
        nn_tensor_file_destroy(files[f]);
    }
}
END_TEST

START_TEST(a_field_with_a_number_outside_the_type_is_refused)
{
    if (integers[_i].bytes * 8 >= 32 && integers[_i].type != NN_TYPE_UINT32)
        return; /* the field is as wide as the type */
    int64_t below = integers[_i].low - 1, above = integers[_i].high + 1;
    char text[64];
    snprintf(text, sizeof text, "elements outside %s", integers[_i].name);
    expect_refused(in_field(integers[_i].type, integers[_i].field, &below, 1), -EINVAL, text);
    expect_refused(in_field(integers[_i].type, integers[_i].field, &above, 1), -EINVAL, text);
}
END_TEST

START_TEST(halves_and_doubles_become_floats)
{
    const uint16_t halves[] = {0x3c00, 0xc100, 0x0001, 0x7c00};
    const double doubles[] = {1, -2.5, 0x1p-24, 1e300};
    const float want[] = {1, -2.5f, 0x1p-24f, INFINITY};
    struct nn_tensor_file *files[] = {
        load(onnx_tensor("t", 10, DIMS(4), halves, sizeof halves)),
        load(in_field(10, 5, (int64_t[]){0x3c00, 0xc100, 1, 0x7c00}, 4)),
        load(onnx_tensor("t", 11, DIMS(4), doubles, sizeof doubles))};
    for (int f = 0; f < 3; f++) {
        const struct nn_tensor *t = nn_tensor_file_tensor(files[f]);
        ck_assert_int_eq(t->type, NN_TYPE_FLOAT);
        ck_assert_mem_eq(t->data, want, sizeof want);
        nn_tensor_file_destroy(files[f]);
    }
    struct nn_tensor_file *field = load(in_field(11, 10, (int64_t[]){3, -4}, 2));
    ck_assert_mem_eq(nn_tensor_file_tensor(field)->data, ((float[]){3, -4}), 8);
    nn_tensor_file_destroy(field);
    expect_refused(in_field(10, 5, (int64_t[]){65536}, 1), -EINVAL, "outside float16");
}
END_TEST

START_TEST(a_type_we_lack_is_named)
{
    static const struct {
        int type;
        const char *name;
    } cases[] = {{0, "undefined"},        {8, "string"},          {14, "complex64"},
                 {16, "bfloat16"},        {17, "float8e4m3fn"},   {20, "float8e5m2fnuz"},
                 {21, "uint4"},           {22, "int4"},           {23, "float4e2m1"},
                 {24, "float8e8m0"},      {25, "uint2"},          {26, "int2"},
                 {27, "an unknown type"}, {-1, "an unknown type"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        snprintf(text, sizeof text, "is %s, which is not supported", cases[i].name);
        expect_refused(onnx_tensor("t", cases[i].type, DIMS(1), "12345678", 8), -ENOTSUP, text);
        struct onnx b = onnx_start(25);
        onnx_input(&b, "x", cases[i].type, DIMS(1));
        onnx_node(&b, "Identity", "x", "y");
        onnx_output(&b, "y", cases[i].type, DIMS(1));
        net_expect_refused(&b, -ENOTSUP, text);
    }
}
END_TEST

START_TEST(a_value_that_is_no_tensor_is_named)
{
    static const struct {
        int field; /* of TypeProto */
        const char *name;
    } cases[] = {{4, "a sequence"}, {5, "a map"}, {8, "a sparse tensor"}, {9, "an optional"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct onnx b = onnx_start(17);
        struct onnx_bytes kind = {0}, info = {0};
        onnx_put_text(&kind, cases[i].field, "");
        onnx_put_text(&info, 1, "x");
        onnx_put_message(&info, 2, &kind);
        onnx_put_message(&b.graph, 11, &info);
        onnx_node(&b, "Identity", "x", "y");
        onnx_output(&b, "y", 1, DIMS(1));
        net_expect_refused(&b, -ENOTSUP, cases[i].name);
    }
}
END_TEST

/* --- in a graph --------------------------------------------------------------------------- */

/* y = (x + c) · w, everything declared as `type`. */
static struct onnx_bytes declared_as(int type, const void *c, const void *w, size_t element)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", type, DIMS(1, 2));
    onnx_initializer(&b, onnx_tensor("w", type, DIMS(2, 2), w, 4 * element));
    onnx_node(&b, "Constant", "", "c");
    onnx_attribute_tensor(&b, "value", onnx_tensor("", type, DIMS(2), c, 2 * element));
    onnx_node(&b, "Add", "x c", "s");
    onnx_node(&b, "MatMul", "s w", "y");
    onnx_output(&b, "y", type, DIMS(1, 2));
    return onnx_finish(&b);
}

static struct nn_model *load_model(const struct onnx_bytes *bytes)
{
    struct nn_model *model = NULL;
    struct nn_error err = {{0}};
    int r = nn_model_load(bytes->data, bytes->size, &model, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    return model;
}

/* Takes the model. */
static void expect_sums(struct nn_model *model)
{
    struct net net = net_plan(model, NULL);
    ck_assert_int_eq(nn_plan_input(net.plan, 0)->type, NN_TYPE_FLOAT);
    net_set(&net, 0, (float[]){1, 2});
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1, 2), (float[]){1.5f * 1 + 4 * 3, 1.5f * 2 + 4 * -4});
    net_free(&net);
}

START_TEST(a_model_of_halves_or_doubles_runs_in_float32_packed_or_not)
{
    const uint16_t half_c[] = {0x3800, 0x4000}, half_w[] = {0x3c00, 0x4000, 0x4200, 0xc400};
    const double double_c[] = {0.5, 2}, double_w[] = {1, 2, 3, -4};
    struct onnx_bytes files[] = {declared_as(10, half_c, half_w, 2),
                                 declared_as(11, double_c, double_w, 8)};
    for (int i = 0; i < 2; i++) {
        struct nn_model *model = load_model(&files[i]), *packed = NULL;
        struct nn_plan *plan = NULL;
        struct nn_error err = {{0}};
        ck_assert_int_eq(nn_model_input(model, 0)->type, NN_TYPE_FLOAT);
        ck_assert_int_eq(nn_model_output(model, 0)->type, NN_TYPE_FLOAT);
        ck_assert_int_eq(nn_plan_create(model, NULL, &plan, &err), 0);
        /* Everything that is 4 bytes or more leaves the graph. */
        int r = packing_reload(plan, files[i].data, files[i].size, 4, &packed, &err);
        ck_assert_msg(r == 0, "%s", err.text);
        expect_sums(packed);
        expect_sums(model);
        nn_plan_unref(plan);
        free(files[i].data);
    }
}
END_TEST

/* The lower `bytes` of each number, one behind the other. */
static void put(char *to, const int64_t *values, int count, size_t bytes)
{
    for (int i = 0; i < count; i++)
        memcpy(to + (size_t)i * bytes, &values[i], bytes);
}

START_TEST(integer_arithmetic_wraps_in_every_type)
{
    static const char *const ops[] = {"Add", "Sub", "Mul", "Div"};
    int64_t low = integers[_i].low, high = integers[_i].high;
    bool is_signed = low < 0;
    size_t bytes = integers[_i].bytes;
    int64_t a[] = {high, low, 7, low}, b[] = {2, 1, 2, is_signed ? -1 : 1};
    int64_t half = high < 0 ? INT64_MAX : high / 2; /* the highest uint64 is written as -1 */
    const int64_t want[4][4] = {
        {(int64_t)((uint64_t)high + 2), low + 1, 9, is_signed ? high : 1},
        {high - 2, is_signed ? high : -1, 5, is_signed ? (int64_t)((uint64_t)low + 1) : -1},
        {(int64_t)((uint64_t)high * 2), low, 14, low},
        {half, low, 3, low}};
    for (int o = 0; o < 4; o++) {
        struct onnx m = onnx_start(14);
        char raw[32], expected[32];
        onnx_input(&m, "a", integers[_i].type, DIMS(4));
        onnx_input(&m, "b", integers[_i].type, DIMS(4));
        onnx_node(&m, ops[o], "a b", "y");
        onnx_output(&m, "y", integers[_i].type, DIMS(4));
        struct net net = net_make(&m);
        put(raw, a, 4, bytes);
        net_set(&net, 0, raw);
        put(raw, b, 4, bytes);
        net_set(&net, 1, raw);
        net_run(&net);
        put(expected, want[o], 4, bytes);
        ck_assert_msg(memcmp(nn_session_output(net.session, 0)->data, expected, 4 * bytes) == 0,
                      "%s of %s", ops[o], integers[_i].name);
        net_free(&net);
    }
}
END_TEST

START_TEST(integer_division_by_zero_ends_the_run)
{
    struct onnx m = onnx_start(14);
    onnx_input(&m, "a", integers[_i].type, DIMS(1));
    onnx_input(&m, "b", integers[_i].type, DIMS(1));
    onnx_node(&m, "Div", "a b", "y");
    onnx_output(&m, "y", integers[_i].type, DIMS(1));
    struct net net = net_make(&m);
    struct nn_error err = {{0}};
    net_set(&net, 0, "\1\0\0\0\0\0\0");
    net_set(&net, 1, "\0\0\0\0\0\0\0");
    ck_assert_int_eq(nn_session_run(net.session, &err), -EINVAL);
    ck_assert_str_eq(err.text, "node 'y' (Div): division by zero");
    net_free(&net);
}
END_TEST

START_TEST(every_size_of_element_is_transposed)
{
    static const int types[] = {NN_TYPE_UINT8, NN_TYPE_UINT16, NN_TYPE_UINT32, NN_TYPE_UINT64};
    size_t bytes = nn_type_size((enum nn_type)types[_i]);
    struct onnx m = onnx_start(13);
    char raw[48], expected[48];
    onnx_input(&m, "x", types[_i], DIMS(2, 3));
    onnx_node(&m, "Transpose", "x", "y");
    onnx_output(&m, "y", types[_i], DIMS(3, 2));
    struct net net = net_make(&m);
    put(raw, (int64_t[]){1, 2, 3, 4, 5, -6}, 6, bytes);
    put(expected, (int64_t[]){1, 4, 2, 5, 3, -6}, 6, bytes);
    net_set(&net, 0, raw);
    net_run(&net);
    ck_assert_mem_eq(nn_session_output(net.session, 0)->data, expected, 6 * bytes);
    net_free(&net);
}
END_TEST

static TCase *types_case(void)
{
    TCase *c = tcase_create("types");
    const int count = sizeof integers / sizeof *integers;
    tcase_add_test(c, every_half_is_read_exactly_and_written_back);
    tcase_add_test(c, a_number_between_two_halves_goes_to_the_nearer_and_ties_to_even);
    tcase_add_loop_test(c, integers_come_from_raw_bytes_and_from_their_field, 0, count);
    tcase_add_loop_test(c, a_field_with_a_number_outside_the_type_is_refused, 0, count);
    tcase_add_test(c, halves_and_doubles_become_floats);
    tcase_add_test(c, a_type_we_lack_is_named);
    tcase_add_test(c, a_value_that_is_no_tensor_is_named);
    tcase_add_test(c, a_model_of_halves_or_doubles_runs_in_float32_packed_or_not);
    tcase_add_loop_test(c, integer_arithmetic_wraps_in_every_type, 0, count);
    tcase_add_loop_test(c, integer_division_by_zero_ends_the_run, 0, count);
    tcase_add_loop_test(c, every_size_of_element_is_transposed, 0, 4);
    return c;
}

int main(void)
{
    TCase *cases[] = {types_case()};
    return suite_run("nn/types", cases, 1);
}
