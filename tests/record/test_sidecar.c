#include "tests/suite.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "record/sidecar.h"

static char *folder, *model, *sidecar;
static GString *taken; /* key=value; of all keys */

static void setup(void)
{
    folder = g_dir_make_tmp("vigil-sidecar-XXXXXX", NULL);
    model = g_build_filename(folder, "m.onnx", NULL);
    sidecar = g_strconcat(model, ".modelinfo", NULL);
    taken = g_string_new(NULL);
}

static void teardown(void)
{
    g_unlink(sidecar);
    g_rmdir(folder);
    g_free(folder);
    g_free(model);
    g_free(sidecar);
    g_string_free(taken, TRUE);
}

static int take(void *data, const char *key, const char *value, struct sidecar_error *err)
{
    g_string_append_printf(data, "%s=%s;", key, value);
    if (strcmp(key, "bad") != 0)
        return 0;
    g_strlcpy(err->text, "bad is no key", sizeof err->text);
    return -EDOM;
}

START_TEST(the_keys_of_the_group_are_handed_over_in_order)
{
    struct sidecar_error err;
    ck_assert_int_eq(sidecar_read(model, take, taken, &err), 0); /* there is none */
    ck_assert(g_file_set_contents(
        sidecar, "# note\n[other]\nx=1\n[vigil]\nfps = 8\nvigil.labels=a, b\n", -1, NULL));
    ck_assert_int_eq(sidecar_read(model, take, taken, &err), 0);
    ck_assert_str_eq(taken->str, "fps=8;vigil.labels=a, b;");
}
END_TEST

START_TEST(what_is_no_such_text_is_refused_by_name)
{
    static const char *const bad[] = {"fps=8\n", "[other]\nfps=8\n", "[vigil]\nfps 8\n",
                                      "[vigil]\nlabels=\xff\xfe\n", ""};
    struct sidecar_error err;
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        ck_assert(g_file_set_contents(sidecar, bad[i], -1, NULL));
        ck_assert_int_eq(sidecar_read(model, take, taken, &err), -EINVAL);
        ck_assert_msg(g_str_has_prefix(err.text, sidecar), "%s", err.text);
    }
    g_autofree char *large = g_strnfill(SIDECAR_BYTES_MAX + 1, '#');
    ck_assert(g_file_set_contents(sidecar, large, -1, NULL));
    ck_assert_int_eq(sidecar_read(model, take, taken, &err), -EFBIG);
    g_unlink(sidecar);
    ck_assert_int_eq(mkfifo(sidecar, 0600), 0);
    ck_assert_int_eq(sidecar_read(model, take, taken, &err), -EMEDIUMTYPE);
    ck_assert_str_eq(taken->str, "");
}
END_TEST

START_TEST(a_refused_key_ends_the_reading_with_its_reason_and_the_files_name)
{
    struct sidecar_error err;
    ck_assert(g_file_set_contents(sidecar, "[vigil]\nfps=8\nbad=1\nenter=2\n", -1, NULL));
    ck_assert_int_eq(sidecar_read(model, take, taken, &err), -EDOM);
    g_autofree char *expected = g_strconcat(sidecar, ": bad is no key", NULL);
    ck_assert_str_eq(err.text, expected);
    ck_assert_str_eq(taken->str, "fps=8;bad=1;");
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("sidecar");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, the_keys_of_the_group_are_handed_over_in_order);
    tcase_add_test(tests, what_is_no_such_text_is_refused_by_name);
    tcase_add_test(tests, a_refused_key_ends_the_reading_with_its_reason_and_the_files_name);
    return suite_run("record/sidecar", &tests, 1);
}
