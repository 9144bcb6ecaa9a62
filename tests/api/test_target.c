#include <errno.h>
#include <string.h>

#include "api/target.h"
#include "tests/suite.h"

static struct api_target target;
static struct api_error err;

static void assert_segments(const char *raw, int count, const char *const *segments)
{
    ck_assert_msg(api_target_parse(raw, &target, &err) == 0, "%s: %s", raw, err.text);
    ck_assert_int_eq(target.segment_count, count);
    for (int i = 0; i < count; i++)
        ck_assert_str_eq(target.segments[i], segments[i]);
}

START_TEST(a_path_is_split_before_it_is_decoded)
{
    assert_segments("/", 1, (const char *[]){""});
    assert_segments("/livez", 1, (const char *[]){"livez"});
    assert_segments("/a/b/", 3, (const char *[]){"a", "b", ""});
    assert_segments("//a", 2, (const char *[]){"", "a"});
    assert_segments("/a%2fb/%2E%2e", 2, (const char *[]){"a/b", ".."});
    assert_segments("/a%252fb", 1, (const char *[]){"a%2fb"});
    assert_segments("/a+b", 1, (const char *[]){"a+b"});
    assert_segments("/%C3%A9", 1, (const char *[]){"\xc3\xa9"});
    assert_segments("/1/2/3/4/5/6/7/8", 8,
                    (const char *[]){"1", "2", "3", "4", "5", "6", "7", "8"});
}
END_TEST

START_TEST(a_query_becomes_names_and_values)
{
    ck_assert_int_eq(
        api_target_parse("/x?a=1&b=%26%3d+%2B&&c&d=&=e&a=2=3?&%61=x/y", &target, &err), 0);
    static const struct api_parameter expected[] = {{"a", "1"},  {"b", "&= +"}, {"c", ""},
                                                    {"d", ""},   {"", "e"},     {"a", "2=3?"},
                                                    {"a", "x/y"}};
    ck_assert_int_eq(target.parameter_count, 7);
    for (int i = 0; i < 7; i++) {
        ck_assert_str_eq(target.parameters[i].name, expected[i].name);
        ck_assert_str_eq(target.parameters[i].value, expected[i].value);
    }
    ck_assert_int_eq(api_target_parse("/x?", &target, &err), 0);
    ck_assert_int_eq(target.parameter_count, 0);
}
END_TEST

START_TEST(an_absolute_target_gives_its_authority)
{
    assert_segments("http://127.0.0.1:8470/a/b?c=d", 2, (const char *[]){"a", "b"});
    ck_assert_str_eq(target.authority, "127.0.0.1:8470");
    ck_assert_int_eq(target.parameter_count, 1);
    assert_segments("HTTP://h/", 1, (const char *[]){""});
    ck_assert_str_eq(target.authority, "h");
    assert_segments("http:///x", 1, (const char *[]){"x"});
    ck_assert_str_eq(target.authority, "");
    assert_segments("/http://h/", 4, (const char *[]){"http:", "", "h", ""});
    ck_assert_ptr_null(target.authority);
}
END_TEST

START_TEST(what_is_no_target_is_refused_with_a_reason)
{
    static const char *const refused[] = {
        "",
        "livez",
        "*",
        "?a=1",
        "http://h",
        "http://h?a",
        "https://h/",
        "/a b",
        "/a\tb",
        "/a\x7f",
        "/a\xff",
        "/a#b",
        "/%",
        "/%4",
        "/%zz",
        "/%4x",
        "/%00",
        "/a%00b",
        "/%0d%0a",
        "/%7f",
        "/%c2%80",
        "/%ff",
        "/%c0%af",
        "/%ed%a0%80",
        "/%e2%80%ae",
        "/x?a=%00",
        "/x?%0a=1",
        "/x?a=%",
        "/x?a=%f",
        "/x?a=%e9",
        "/1/2/3/4/5/6/7/8/9",
        "/x?&1&2&3&4&5&6&7&8&9&a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q&r&s&t&u&v&w&x",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        err.text[0] = '\0';
        ck_assert_msg(api_target_parse(refused[i], &target, &err) == -EINVAL, "%s", refused[i]);
        ck_assert_str_ne(err.text, "");
    }
}
END_TEST

START_TEST(a_target_longer_than_the_limit_is_told_apart)
{
    char raw[API_TARGET_MAX + 2];
    memset(raw, 'a', sizeof raw);
    raw[0] = '/';
    raw[API_TARGET_MAX] = '\0';
    ck_assert_int_eq(api_target_parse(raw, &target, &err), 0);
    ck_assert_uint_eq(strlen(target.segments[0]), API_TARGET_MAX - 1);
    raw[API_TARGET_MAX] = 'a';
    raw[API_TARGET_MAX + 1] = '\0';
    ck_assert_int_eq(api_target_parse(raw, &target, &err), -EMSGSIZE);
}
END_TEST

int main(void)
{
    TCase *cases[] = {tcase_create("target")};
    tcase_add_test(cases[0], a_path_is_split_before_it_is_decoded);
    tcase_add_test(cases[0], a_query_becomes_names_and_values);
    tcase_add_test(cases[0], an_absolute_target_gives_its_authority);
    tcase_add_test(cases[0], what_is_no_target_is_refused_with_a_reason);
    tcase_add_test(cases[0], a_target_longer_than_the_limit_is_told_apart);
    return suite_run("api/target", cases, 1);
}
