#include "tests/suite.h"

#include <string.h>

#include "daemon/loglimit.h"

#define HOUR LOG_LIMIT_AGAIN_MS

static struct log_limit limit;
static int64_t repeats;

static void setup(void)
{
    memset(&limit, 0, sizeof limit);
    repeats = -1;
}

static int ask(const char *text, uint64_t now_ms)
{
    return (int)log_limit_ask(&limit, text, now_ms, &repeats);
}

START_TEST(the_same_line_is_told_once_an_hour_with_its_number)
{
    ck_assert_int_eq(ask("refused", 10), LOG_LIMIT_TELL);
    ck_assert_int_eq(repeats, 0);
    for (int i = 1; i <= 119; i++)
        ck_assert_int_eq(ask("refused", 10 + (uint64_t)i * 30000), LOG_LIMIT_LEAVE_OUT);
    ck_assert_int_eq(ask("refused", 10 + HOUR), LOG_LIMIT_TELL);
    ck_assert_int_eq(repeats, 119);
    ck_assert_int_eq(ask("refused", 11 + HOUR), LOG_LIMIT_LEAVE_OUT);
    ck_assert_int_eq(ask("refused", 10 + 2 * (uint64_t)HOUR), LOG_LIMIT_TELL);
    ck_assert_int_eq(repeats, 1);
}
END_TEST

START_TEST(another_line_is_told_at_once)
{
    ck_assert_int_eq(ask("refused", 0), LOG_LIMIT_TELL);
    ck_assert_int_eq(ask("timeout", 1), LOG_LIMIT_TELL);
    ck_assert_int_eq(ask("refused", 2), LOG_LIMIT_LEAVE_OUT);
    ck_assert_int_eq(ask("timeout", 3), LOG_LIMIT_LEAVE_OUT);
}
END_TEST

START_TEST(digits_do_not_make_another_line)
{
    ck_assert_int_eq(ask("next try in 2 s", 0), LOG_LIMIT_TELL);
    ck_assert_int_eq(ask("next try in 16 s", 1), LOG_LIMIT_LEAVE_OUT);
    ck_assert_int_eq(ask("no try in 16 s", 2), LOG_LIMIT_TELL);
}
END_TEST

START_TEST(lines_that_all_differ_have_a_rate)
{
    char text[] = "a.";
    for (int i = 1; i < LOG_LIMIT_LINES; i++, text[0]++)
        ck_assert_int_eq(ask(text, 1000), LOG_LIMIT_TELL);
    ck_assert_int_eq(ask("last", 1001), LOG_LIMIT_TELL_LAST);
    ck_assert_int_eq(ask("more", 60999), LOG_LIMIT_LEAVE_OUT);
    ck_assert_int_eq(log_limit_forget(&limit), 1);
    /* What is forgotten may be told again, yet no faster. */
    ck_assert_int_eq(ask("more", 60999), LOG_LIMIT_LEAVE_OUT);
    ck_assert_int_eq(ask("more", 61000), LOG_LIMIT_TELL);
}
END_TEST

START_TEST(what_was_forgotten_is_news)
{
    ck_assert_int_eq(ask("refused", 0), LOG_LIMIT_TELL);
    ck_assert_int_eq(ask("refused", 1), LOG_LIMIT_LEAVE_OUT);
    ck_assert_int_eq(ask("refused", 2), LOG_LIMIT_LEAVE_OUT);
    ck_assert_int_eq(log_limit_forget(&limit), 2);
    ck_assert_int_eq(log_limit_forget(&limit), 0);
    ck_assert_int_eq(ask("refused", 3), LOG_LIMIT_TELL);
    ck_assert_int_eq(repeats, 0);
}
END_TEST

START_TEST(of_more_kinds_than_it_knows_the_oldest_is_told_again)
{
    char text[] = "a.";
    for (int i = 0; i < LOG_LIMIT_KINDS + 1; i++, text[0]++)
        ck_assert_int_eq(ask(text, (uint64_t)i + 1), LOG_LIMIT_TELL);
    ck_assert_int_eq(ask("b.", 100), LOG_LIMIT_LEAVE_OUT);
    ck_assert_int_eq(ask("a.", 101), LOG_LIMIT_TELL);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("loglimit");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, the_same_line_is_told_once_an_hour_with_its_number);
    tcase_add_test(tests, another_line_is_told_at_once);
    tcase_add_test(tests, digits_do_not_make_another_line);
    tcase_add_test(tests, lines_that_all_differ_have_a_rate);
    tcase_add_test(tests, what_was_forgotten_is_news);
    tcase_add_test(tests, of_more_kinds_than_it_knows_the_oldest_is_told_again);
    return suite_run("daemon/loglimit", &tests, 1);
}
