#include "tests/suite.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/config/value.h"

static const struct config_key keys[] = {
    [CONFIG_TEXT] = {"text", CONFIG_TEXT},
    [CONFIG_NAME] = {"name", CONFIG_NAME},
    [CONFIG_PATH] = {"path", CONFIG_PATH},
    [CONFIG_FOLDERS] = {"folders", CONFIG_FOLDERS},
    [CONFIG_INTEGER] = {"integer", CONFIG_INTEGER, .min = -5, .max = 100},
    [CONFIG_BOOLEAN] = {"boolean", CONFIG_BOOLEAN},
    [CONFIG_SIZE] = {"size", CONFIG_SIZE, .min = 0, .max = INT64_C(1) << 50},
    [CONFIG_DURATION] = {"duration", CONFIG_DURATION, .min = 0, .max = 864000000},
};

static const struct {
    enum config_type type;
    const char *text;
    int64_t number;
    const char *shown;
} good[] = {
    {CONFIG_TEXT, "", 0, ""},
    {CONFIG_TEXT, "any thing", 0, "any thing"},
    {CONFIG_NAME, "front-door_2", 0, "front-door_2"},
    {CONFIG_PATH, "/srv/a b", 0, "/srv/a b"},
    {CONFIG_FOLDERS, "", 0, ""},
    {CONFIG_INTEGER, "100", 100, "100"},
    {CONFIG_INTEGER, "-5", -5, "-5"},
    {CONFIG_BOOLEAN, "true", 1, "true"},
    {CONFIG_BOOLEAN, "Yes", 1, "true"},
    {CONFIG_BOOLEAN, "on", 1, "true"},
    {CONFIG_BOOLEAN, "1", 1, "true"},
    {CONFIG_BOOLEAN, "FALSE", 0, "false"},
    {CONFIG_BOOLEAN, "no", 0, "false"},
    {CONFIG_BOOLEAN, "off", 0, "false"},
    {CONFIG_BOOLEAN, "0", 0, "false"},
    {CONFIG_SIZE, "0 B", 0, "0 B"},
    {CONFIG_SIZE, "512 MiB", INT64_C(512) << 20, "512 MiB"},
    {CONFIG_SIZE, "1024MiB", INT64_C(1) << 30, "1 GiB"},
    {CONFIG_SIZE, "1025 KiB", 1025 << 10, "1025 KiB"},
    {CONFIG_SIZE, "1024 TiB", INT64_C(1) << 50, "1024 TiB"},
    {CONFIG_DURATION, "90 s", 90000, "90 s"},
    {CONFIG_DURATION, "1500ms", 1500, "1500 ms"},
    {CONFIG_DURATION, "120 s", 120000, "2 min"},
    {CONFIG_DURATION, "36 h", 129600000, "36 h"},
    {CONFIG_DURATION, "10 d", 864000000, "10 d"},
};

START_TEST(a_value_is_read_and_shown_as_it_can_be_read_again)
{
    const struct config_key *key = &keys[good[_i].type];
    struct config_value value, again;
    struct config_error err;
    ck_assert_int_eq(config_value_parse(key, good[_i].text, &value, &err), 0);
    ck_assert_int_eq(value.number, good[_i].number);
    g_autofree char *shown = config_value_format(key, &value);
    ck_assert_str_eq(shown, good[_i].shown);
    ck_assert_int_eq(config_value_parse(key, shown, &again, &err), 0);
    ck_assert_int_eq(again.number, value.number);
}
END_TEST

static const struct {
    enum config_type type;
    const char *text, *says;
} bad[] = {
    {CONFIG_NAME, "Front Door", "name must be 1 to 64"},
    {CONFIG_NAME, "", "name must be 1 to 64"},
    {CONFIG_PATH, "", "path is empty"},
    {CONFIG_PATH, "/a\nb", "cannot be printed"},
    {CONFIG_FOLDERS, "/a\x1b", "cannot be printed"},
    {CONFIG_INTEGER, "", "from -5 to 100"},
    {CONFIG_INTEGER, "101", "from -5 to 100"},
    {CONFIG_INTEGER, "-6", "from -5 to 100"},
    {CONFIG_INTEGER, "5 days", "from -5 to 100"},
    {CONFIG_INTEGER, "0x10", "from -5 to 100"},
    {CONFIG_BOOLEAN, "maybe", "true or false"},
    {CONFIG_BOOLEAN, "", "true or false"},
    {CONFIG_BOOLEAN, "2", "true or false"},
    {CONFIG_SIZE, "512", "size with its unit, 0 B to 1024 TiB"},
    {CONFIG_SIZE, "512 MB", "size with its unit"},
    {CONFIG_SIZE, "1025 TiB", "size with its unit"},
    {CONFIG_SIZE, "16777216 TiB", "size with its unit"}, /* 2 to the 64 */
    {CONFIG_SIZE, "-1 B", "size with its unit"},
    {CONFIG_SIZE, "1.5 GiB", "size with its unit"},
    {CONFIG_DURATION, "s", "duration with its unit, 0 ms to 10 d"},
    {CONFIG_DURATION, "1 s 5 ms", "duration with its unit"},
    {CONFIG_DURATION, "11 d", "duration with its unit"},
};

START_TEST(a_value_that_does_not_fit_is_refused_with_what_would)
{
    const struct config_key *key = &keys[bad[_i].type];
    struct config_value value = {.number = 77};
    struct config_error err;
    ck_assert_int_eq(config_value_parse(key, bad[_i].text, &value, &err), -EINVAL);
    ck_assert_str_eq(err.key, key->name);
    ck_assert_msg(strstr(err.text, bad[_i].says), "\"%s\" does not say \"%s\"", err.text,
                  bad[_i].says);
    ck_assert_int_eq(value.number, 77);
}
END_TEST

/* The table itself: what the reference and the parser take for granted of every row. */
START_TEST(every_key_has_a_meaning_and_a_default_that_it_would_take)
{
    for (const struct config_section *section = config_sections; section->name; section++) {
        ck_assert(section->meaning && *section->meaning);
        for (const struct config_key *key = section->keys; key->name; key++) {
            struct config_value value;
            struct config_error err;
            g_autofree char *what = config_value_describe(key);
            ck_assert_msg(key->meaning && g_str_has_suffix(key->meaning, "."),
                          "[%s] %s: no sentence", section->name, key->name);
            ck_assert(*what);
            ck_assert_msg(!key->make_fallback || key->fallback_note, "[%s] %s", section->name,
                          key->name);
            if (key->fallback)
                ck_assert_msg(config_value_parse(key, key->fallback, &value, &err) == 0,
                              "[%s] %s", section->name, err.text);
            ck_assert_ptr_eq(config_key_find(section, key->name), key);
        }
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("config_value");
    tcase_add_loop_test(tests, a_value_is_read_and_shown_as_it_can_be_read_again, 0,
                        (int)G_N_ELEMENTS(good));
    tcase_add_loop_test(tests, a_value_that_does_not_fit_is_refused_with_what_would, 0,
                        (int)G_N_ELEMENTS(bad));
    tcase_add_test(tests, every_key_has_a_meaning_and_a_default_that_it_would_take);
    return suite_run("daemon/config/value", &tests, 1);
}
