#include "api/etag.h"

#include "tests/suite.h"

START_TEST(only_lists_of_quoted_tags_are_lists)
{
    static const char *const good[] = {"*",           "\"\"",           "\"a\"",
                                       "W/\"a\"",     "\"a\", W/\"b\"", " , \"a\",\t,\"b,c\" ,",
                                       "\"\xc3\xa9\""};
    static const char *const bad[] = {"",          " ",        ",",           "a",
                                      "\"a",       "a\"",      "\"a\" \"b\"", "\"a\"b",
                                      "w/\"a\"",   "W/ \"a\"", "*, \"a\"",    "\"a b\"",
                                      "\"a\";q=1", "\"\x7f\"", "W/",          "W/*"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(api_etag_list_is_valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!api_etag_list_is_valid(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(a_tag_is_found_whole_and_a_weak_one_only_weakly)
{
    static const struct {
        const char *list;
        bool strong, weak;
    } rows[] = {{"*", true, true},
                {"\"ab\"", true, true},
                {"\"x\" , \"ab\"", true, true},
                {"W/\"ab\"", false, true},
                {"W/\"ab\", \"ab\"", true, true},
                {"\"abc\"", false, false},
                {"\"a\"", false, false},
                {"\"AB\"", false, false},
                {"\"x,ab\"", false, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ck_assert_msg(api_etag_list_has(rows[i].list, "\"ab\"", false) == rows[i].strong, "%s",
                      rows[i].list);
        ck_assert_msg(api_etag_list_has(rows[i].list, "\"ab\"", true) == rows[i].weak, "%s",
                      rows[i].list);
    }
}
END_TEST

/* RFC 9110 section 13.2.2. */
START_TEST(conditions_are_judged_in_order)
{
    static const struct {
        const char *match, *none_match, *tag;
        bool reading;
        enum api_etag_verdict verdict;
    } rows[] = {
        {NULL, NULL, NULL, false, API_ETAG_GO_ON},
        {NULL, NULL, "\"a\"", true, API_ETAG_GO_ON},
        {"*", NULL, NULL, false, API_ETAG_FAILED},
        {"*", NULL, "\"a\"", false, API_ETAG_GO_ON},
        {NULL, "*", NULL, false, API_ETAG_GO_ON},
        {NULL, "*", "\"a\"", false, API_ETAG_FAILED},
        {NULL, "*", "\"a\"", true, API_ETAG_UNCHANGED},
        {"\"b\"", "\"a\"", "\"a\"", true, API_ETAG_FAILED},
        {"\"a\"", "\"a\"", "\"a\"", true, API_ETAG_UNCHANGED},
        {"\"a\"", "\"b\"", "\"a\"", false, API_ETAG_GO_ON},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ck_assert_msg(api_etag_judge(rows[i].match, rows[i].none_match, rows[i].tag,
                                     rows[i].reading) == rows[i].verdict,
                      "row %zu", i);
}
END_TEST

int main(void)
{
    TCase *etag = tcase_create("etag");
    tcase_add_test(etag, only_lists_of_quoted_tags_are_lists);
    tcase_add_test(etag, a_tag_is_found_whole_and_a_weak_one_only_weakly);
    tcase_add_test(etag, conditions_are_judged_in_order);
    return suite_run("api/etag", &etag, 1);
}
