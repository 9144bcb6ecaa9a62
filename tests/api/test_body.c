#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/body.h"
#include "tests/suite.h"

static struct api_error err;

static int parse(const char *text, size_t size)
{
    json_t *body = NULL;
    /* A copy of exactly the size, so that a sanitizer sees a read beyond it. */
    char *copy = malloc(size ? size : 1);
    memcpy(copy, text, size);
    int status = api_body_parse(copy, size, &body, &err);
    ck_assert((status == 0) == (body != NULL));
    json_decref(body);
    free(copy);
    return status;
}

/* After the sections of RFC 8259. */
START_TEST(what_the_grammar_allows_is_accepted)
{
    static const char *const texts[] = {
        "{}",
        " \t\r\n{ \"a\" : 1 } \n",
        "{\"a\":[1,-1,0,-0,1.5,1e5,1E+5,1e-5,123456789012345678]}",
        "{\"a\":{\"b\":{\"c\":[[],{}]}},\"b\":[true,false,null]}",
        "{\"\":\"\"}",
        "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"}",
        "{\"\xc3\xa9\":\"\xf0\x9f\x98\x80\"}",
        "{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}",
        "{\"a\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}",
        "{\"a\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ck_assert_msg(parse(texts[i], strlen(texts[i])) == 0, "%s: %s", texts[i], err.text);
}
END_TEST

START_TEST(what_it_does_not_allow_is_refused_and_the_place_is_told)
{
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "}",
        "{]",
        "[]",
        "1",
        "\"a\"",
        "null",
        "nul",
        "{}{}",
        "{} x",
        "{a:1}",
        "{'a':1}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":[1,]}",
        "{\"a\":[1 2]}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":0x1}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":1e999}",
        "{\"a\":99999999999999999999}",
        "{\"a\":True}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\uD800\"}",
        "{\"a\":\"\\uDC00\\uD800\"}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\\u0000b\":1}",
        "{\"a\":\"",
        "{\"a\":\"\\",
        "{\"a\":\"\xff\"}",
        "{\"a\":\"\xc3\"}",
        "{\"a\":\"\xc0\xaf\"}",
        "{\"a\":\"\xed\xa0\x80\"}",
        "{\"a\":\"\xf4\x90\x80\x80\"}",
        "\xef\xbb\xbf{}",
        "// x\n{}",
        "{/**/}",
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"\\u0061\":1}",
        "{\"a\":{\"b\":1,\"b\":2}}",
        "{\"a\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        err.text[0] = '\0';
        ck_assert_msg(parse(texts[i], strlen(texts[i])) == -EINVAL, "%s", texts[i]);
        ck_assert_msg(strstr(err.text, "at byte "), "%s: %s", texts[i], err.text);
    }
    ck_assert_int_eq(parse("{}\0", 3), -EINVAL);
}
END_TEST

START_TEST(the_place_is_where_it_went_wrong)
{
    parse("{\"a\":1,!}", 9);
    ck_assert_msg(strstr(err.text, "at byte 8"), "%s", err.text);
    parse("{\"a\":[[[[[[[[[[[[[[[[", 21);
    ck_assert_msg(strstr(err.text, "at byte 20"), "%s", err.text);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
    static const char text[] =
        "{\"a\":[1,-2.5e3,{\"b\":\"\\u00e9\xc3\xa9\\n\"},null,true],\"c\":{\"d\":[[]]}}";
    ck_assert_int_eq(parse(text, sizeof text - 1), 0);
    for (size_t size = 0; size < sizeof text - 1; size++)
        ck_assert_msg(parse(text, size) == -EINVAL, "%zu bytes", size);
}
END_TEST

START_TEST(depth_and_size_have_a_maximum)
{
    size_t size = API_BODY_MAX + 1;
    char *text = malloc(size);
    memset(text, '[', size);
    ck_assert_int_eq(parse(text, size - 1), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "levels"));
    memset(text, ' ', size);
    memcpy(text, "{}", 2);
    ck_assert_int_eq(parse(text, size - 1), 0);
    ck_assert_int_eq(parse(text, size), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "larger"));
    free(text);
}
END_TEST

int main(void)
{
    TCase *cases[] = {tcase_create("body")};
    tcase_add_test(cases[0], what_the_grammar_allows_is_accepted);
    tcase_add_test(cases[0], what_it_does_not_allow_is_refused_and_the_place_is_told);
    tcase_add_test(cases[0], the_place_is_where_it_went_wrong);
    tcase_add_test(cases[0], every_truncation_is_refused);
    tcase_add_test(cases[0], depth_and_size_have_a_maximum);
    return suite_run("api/body", cases, 1);
}
