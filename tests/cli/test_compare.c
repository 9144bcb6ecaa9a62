#include "tests/suite.h"

#include <glib.h>
#include <math.h>

#include "cli/compare.h"
#include "cli/shape.h"

static struct nn_tensor list(enum nn_type type, void *values, int64_t count)
{
    return (struct nn_tensor){
        .type = type, .shape = {.rank = 1, .dim = {count}}, .data = values};
}

/* Each pair of floats with whether they are alike, loosely and strictly, at rtol 0.1, atol
 * 0.5. */
START_TEST(floats_are_alike_within_the_tolerance)
{
    static const struct {
        float got[2], want[2];
        bool loose, strict;
    } cases[] = {
        {{1, 2}, {1, 2}, true, true},
        {{1.59f, 0}, {1, 0}, true, true},
        {{1.61f, 0}, {1, 0}, false, false},
        {{0, 0.49f}, {0, 0}, true, true},
        {{0, 0.51f}, {0, 0}, false, false},
        {{100, 49}, {100, 0}, true, false}, /* atol × 100 */
        {{100, 51}, {100, 0}, false, false},
        {{NAN, 0}, {NAN, 0}, true, true},
        {{NAN, 0}, {0, 0}, false, false},
        {{0, 0}, {NAN, 0}, false, false},
        {{INFINITY, 0}, {INFINITY, 0}, true, true},
        {{INFINITY, 3}, {INFINITY, 0}, false, false}, /* infinity does not widen it */
        {{1, 0}, {INFINITY, 0}, false, false},
        {{-INFINITY, 0}, {INFINITY, 0}, false, false},
        {{-0.0f, 0}, {0, 0}, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct compare_difference d;
        struct nn_tensor got = list(NN_TYPE_FLOAT, (void *)(uintptr_t)cases[i].got, 2);
        struct nn_tensor want = list(NN_TYPE_FLOAT, (void *)(uintptr_t)cases[i].want, 2);
        struct compare_tolerance tolerance = {0.1, 0.5, false};
        bool loose = compare_tensors(&got, &want, &tolerance, &d);
        tolerance.strict = true;
        bool strict = compare_tensors(&got, &want, &tolerance, &d);
        ck_assert_msg(loose == cases[i].loose && strict == cases[i].strict,
                      "case %zu: %d and %d", i, loose, strict);
    }
}
END_TEST

START_TEST(the_largest_difference_is_told_with_its_place)
{
    float got[] = {0, 3, 0, -5, 1}, want[] = {0, 1, 0, 0, 1};
    struct nn_tensor a = list(NN_TYPE_FLOAT, got, 5), b = list(NN_TYPE_FLOAT, want, 5);
    const struct compare_tolerance tolerance = {0, 0.001, true};
    struct compare_difference d;
    ck_assert(!compare_tensors(&a, &b, &tolerance, &d));
    ck_assert(d.same_form);
    ck_assert_int_eq(d.count, 5);
    ck_assert_int_eq(d.outside, 2);
    ck_assert_int_eq(d.at, 3);
    ck_assert_double_eq(d.largest, 5);
    ck_assert_double_eq(d.got, -5);
    ck_assert_double_eq(d.want, 0);
}
END_TEST

START_TEST(whole_numbers_have_no_tolerance)
{
    int64_t big[] = {INT64_MAX - 1, INT64_MIN}, off[] = {INT64_MAX, INT64_MIN};
    struct nn_tensor a = list(NN_TYPE_INT64, big, 2), b = list(NN_TYPE_INT64, off, 2);
    const struct compare_tolerance wide = {1, 1e9, false};
    struct compare_difference d;
    ck_assert(compare_tensors(&a, &a, &wide, &d));
    ck_assert(!compare_tensors(&a, &b, &wide, &d));
    ck_assert_int_eq(d.outside, 1);
    uint8_t yes = 1, no = 0;
    a = list(NN_TYPE_BOOL, &yes, 1);
    b = list(NN_TYPE_BOOL, &no, 1);
    ck_assert(!compare_tensors(&a, &b, &wide, &d));
    uint64_t high = UINT64_MAX, low = 1;
    a = list(NN_TYPE_UINT64, &high, 1);
    b = list(NN_TYPE_UINT64, &low, 1);
    ck_assert(!compare_tensors(&a, &b, &wide, &d));
    ck_assert_double_eq(d.got, 0x1p64);
    int16_t minus = -3, plus = 3;
    a = list(NN_TYPE_INT16, &minus, 1);
    b = list(NN_TYPE_INT16, &plus, 1);
    ck_assert(!compare_tensors(&a, &b, &wide, &d));
    ck_assert_double_eq(d.largest, 6);
}
END_TEST

START_TEST(type_and_shape_belong_to_a_tensor)
{
    float values[2] = {1, 2};
    int32_t numbers[2] = {1, 2};
    const struct compare_tolerance tolerance = {1, 1, false};
    struct compare_difference d;
    struct nn_tensor a = list(NN_TYPE_FLOAT, values, 2), b = list(NN_TYPE_FLOAT, values, 1);
    ck_assert(!compare_tensors(&a, &b, &tolerance, &d));
    ck_assert(!d.same_form);
    b = list(NN_TYPE_INT32, numbers, 2);
    ck_assert(!compare_tensors(&a, &b, &tolerance, &d));
    ck_assert(!d.same_form);
    b = list(NN_TYPE_FLOAT, NULL, 0);
    ck_assert(compare_tensors(&b, &b, &tolerance, &d));
}
END_TEST

START_TEST(shapes_and_places_are_read_and_written)
{
    struct nn_shape shape = {0};
    ck_assert(shape_parse("2x3x4", &shape));
    g_autofree char *text = shape_text(&shape);
    ck_assert_str_eq(text, "[2, 3, 4]");
    const struct nn_shape place = shape_place(&shape, 1 * 12 + 2 * 4 + 3);
    g_autofree char *at = shape_text(&place);
    ck_assert_str_eq(at, "[1, 2, 3]");
    const struct nn_shape open = {.rank = 2, .dim = {NN_DIM_DYNAMIC, 0}};
    g_autofree char *dynamic = shape_text(&open);
    ck_assert_str_eq(dynamic, "[?, 0]");
    static const char *const bad[] = {
        "x", "1x", "-1", "1.5", "99999999999x1", "1x1x1x1x1x1x1x1x1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!shape_parse(bad[i], &shape), "%s", bad[i]);
    ck_assert_int_eq(shape.rank, 3);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("compare");
    tcase_add_test(c, floats_are_alike_within_the_tolerance);
    tcase_add_test(c, the_largest_difference_is_told_with_its_place);
    tcase_add_test(c, whole_numbers_have_no_tolerance);
    tcase_add_test(c, type_and_shape_belong_to_a_tensor);
    tcase_add_test(c, shapes_and_places_are_read_and_written);
    TCase *cases[] = {c};
    return suite_run("cli/compare", cases, 1);
}
