#include "tests/suite.h"

#include <string.h>

#include "record/text.h"

static const struct {
    const char *text;
    bool printable;
    const char *copied;
} texts[] = {
    {"", true, ""},
    {"plain text, 100 %", true, "plain text, 100 %"},
    {"Straße – 東京 \xf0\x9f\x9a\x97", true, "Straße – 東京 \xf0\x9f\x9a\x97"},
    {"\x1b[2Jgone", false, "?[2Jgone"},
    {"two\nlines", false, "two?lines"},
    {"\x7f", false, "?"},
    {"\xc2\x9b"
     "31m",
     false, "?31m"},                               /* C1 control sequence introducer */
    {"a\xe2\x80\xa8z", false, "a?z"},              /* line separator */
    {"exe\xe2\x80\xaegpj", false, "exe?gpj"},      /* right-to-left override */
    {"\xc0\xaf", false, "??"},                     /* overlong slash */
    {"\xe0\x80\xaf", false, "???"},                /* overlong, three bytes */
    {"\xed\xa0\x80", false, "???"},                /* surrogate */
    {"\xf4\x90\x80\x80", false, "????"},           /* beyond U+10FFFF */
    {"\xf0\x9f\x9a", false, "???"},                /* cut short */
    {"\xffok\xc3\xa9\x80", false, "?ok\xc3\xa9?"}, /* good characters among bad bytes */
};

START_TEST(only_utf8_that_cannot_move_a_cursor_is_printable)
{
    const char *text = texts[_i].text;
    ck_assert_int_eq(text_is_printable(text, strlen(text)), texts[_i].printable);
}
END_TEST

START_TEST(a_copy_has_a_mark_for_each_thing_that_cannot_be_printed)
{
    char copy[64];
    ck_assert_uint_eq(text_copy_printable(copy, sizeof copy, texts[_i].text),
                      strlen(texts[_i].copied));
    ck_assert_str_eq(copy, texts[_i].copied);
    ck_assert(text_is_printable(copy, strlen(copy)));
}
END_TEST

START_TEST(a_copy_never_ends_in_half_a_character)
{
    const char *text = "a\xc3\xa9\xe6\x9d\xb1\xf0\x9f\x9a\x97z"; /* 1 + 2 + 3 + 4 + 1 bytes */
    static const size_t fits[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
    for (size_t size = 1; size <= 12; size++) {
        char copy[16];
        memset(copy, 'x', sizeof copy);
        ck_assert_uint_eq(text_copy_printable(copy, size, text), fits[size - 1]);
        ck_assert_int_eq(memcmp(copy, text, fits[size - 1]), 0);
        ck_assert_int_eq(copy[fits[size - 1]], 0);
        ck_assert_int_eq(copy[size], 'x');
    }
}
END_TEST

START_TEST(a_nul_inside_is_not_printable)
{
    ck_assert(!text_is_printable("a\0b", 3));
}
END_TEST

START_TEST(the_nearest_name_is_what_was_probably_meant)
{
    static const char *const names[] = {"uri",   "user",  "password", "model",
                                        "label", "limit", NULL};
    static const struct {
        const char *name, *nearest;
    } rows[] = {
        {"url", "uri"},
        {"usr", "user"},
        {"pasword", "password"},
        {"passwort", "password"},
        {"Model", "model"},
        {"labels", "label"},
        {"limit", "limit"},
        {"callback", NULL},
        {"x", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ck_assert_pstr_eq(text_nearest(rows[i].name, names), rows[i].nearest);
    /* Longer than any name there is: not even to itself. */
    char name[34];
    memset(name, 'a', 33);
    name[33] = 0;
    const char *const itself[] = {name, NULL};
    ck_assert_ptr_null(text_nearest(name, itself));
    name[32] = 0;
    ck_assert_ptr_eq(text_nearest(name, itself), name);
    const char *const none[] = {NULL};
    ck_assert_ptr_null(text_nearest("a", none));
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("text");
    int count = sizeof texts / sizeof texts[0];
    tcase_add_loop_test(all, only_utf8_that_cannot_move_a_cursor_is_printable, 0, count);
    tcase_add_loop_test(all, a_copy_has_a_mark_for_each_thing_that_cannot_be_printed, 0, count);
    tcase_add_test(all, a_copy_never_ends_in_half_a_character);
    tcase_add_test(all, a_nul_inside_is_not_printable);
    tcase_add_test(all, the_nearest_name_is_what_was_probably_meant);
    return suite_run("record/text", &all, 1);
}
