#include "tests/suite.h"

#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/config/change.h"
#include "tests/daemon/records.h"

static char *folder;
static struct config running, next;
static struct config_error err;

static void write_text(const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    ck_assert(g_file_set_contents(path, text, -1, NULL));
}

static void load(const char *text, struct config *ret_config)
{
    g_autofree char *path = g_build_filename(folder, "vigil.conf", NULL);
    write_text("vigil.conf", text);
    struct config_options options = {.file = path};
    ck_assert_msg(config_load(&options, ret_config, &err) == 0, "%s", err.text);
}

static void setup(void)
{
    folder = g_dir_make_tmp("vigil-change-XXXXXX", NULL);
    memset(&running, 0, sizeof running);
    memset(&next, 0, sizeof next);
    write_text("m.onnx", "model");
    load("[server]\nnode = a\n[model m]\npath = m.onnx\nenter = 0.5\n"
         "[stream s]\nuri = scene://street\n[store]\nretention_days = 5\n",
         &running);
}

static void teardown(void)
{
    config_finish(&running);
    config_finish(&next);
    records_remove_tree(folder);
    g_free(folder);
}

/* What follows [server] node = a, and what is said of it; NULL: it may be taken. */
static const struct {
    const char *text, *says;
} changes[] = {
    {"", NULL},
    {"[stream t]\nuri = scene://room\n[model m]\npath = m.onnx\nexit = 0.1\n", NULL},
    {"[store]\nretention_days = 0\n[server]\nmedia_roots = /tmp\n", NULL},
    {"listen = 127.0.0.1:1\n", "vigil.conf:3: [server] listen cannot change"},
    {"[store]\npath = other.db\n", "vigil.conf:4: [store] path cannot change"},
    {"[worker]\nprogram = /bin/true\n", "vigil.conf:4: [worker] program cannot change"},
    {"[worker]\nready_timeout = 5 s\n", "vigil.conf:4: [worker] ready_timeout cannot change"},
    {"[worker]\ntls_ca = /ca.pem\n", "tls_ca cannot change while vigild runs (it is not set)"},
    {"[model m]\npath = gone.onnx\n", "vigil.conf:4: the file of model m cannot be opened"},
    {"[model n]\npath = gone.onnx\n", "vigil.conf:4: the file of model n cannot be opened"},
};

START_TEST(what_cannot_change_is_refused_by_name)
{
    g_autofree char *text = g_strconcat("[server]\nnode = a\n", changes[_i].text, NULL);
    load(text, &next);
    int r = config_check_change(&running, &next, &err);
    if (!changes[_i].says) {
        ck_assert_msg(r == 0, "%s", err.text);
        return;
    }
    ck_assert_int_eq(r, -EINVAL);
    ck_assert_msg(strstr(err.text, changes[_i].says), "\"%s\" does not say \"%s\"", err.text,
                  changes[_i].says);
}
END_TEST

START_TEST(a_fixed_key_that_falls_back_to_its_default_is_a_change_too)
{
    load("[stream s]\nuri = scene://street\n", &next);
    ck_assert_int_eq(config_check_change(&running, &next, &err), -EINVAL);
    ck_assert_msg(strstr(err.text, "default: [server] node cannot change"), "%s", err.text);
    ck_assert_ptr_nonnull(strstr(err.text, "it is a"));
}
END_TEST

START_TEST(a_fixed_key_without_a_default_cannot_be_taken_away)
{
    config_finish(&running);
    load("[server]\nnode = a\n[worker]\ntls_ca = /ca.pem\n", &running);
    load("[server]\nnode = a\n", &next);
    ck_assert_int_eq(config_check_change(&running, &next, &err), -EINVAL);
    ck_assert_msg(strstr(err.text, "default: [worker] tls_ca cannot change"), "%s", err.text);
    ck_assert_ptr_nonnull(strstr(err.text, "it is /ca.pem"));
}
END_TEST

START_TEST(a_default_that_only_the_machine_changed_is_none)
{
    struct config_setting *setting =
        (struct config_setting *)config_find_setting(&running, "store", "path");
    g_free(setting->value);
    setting->value = g_strdup("/another/state/vigil.db");
    load("[server]\nnode = a\n", &next);
    ck_assert_msg(config_check_change(&running, &next, &err) == 0, "%s", err.text);
}
END_TEST

START_TEST(a_model_that_was_missing_before_may_stay_so)
{
    config_finish(&running);
    load("[server]\nnode = a\n[model m]\npath = gone.onnx\n", &running);
    load("[server]\nnode = a\n\n[model m]\npath = gone.onnx\n", &next);
    ck_assert_msg(config_check_change(&running, &next, &err) == 0, "%s", err.text);
}
END_TEST

START_TEST(a_swap_changes_everything_but_the_fixed_keys)
{
    load("[server]\nnode = a\nmedia_roots = /tmp\n[store]\nretention_days = 9\n"
         "[stream t]\nuri = scene://room\n[stream u]\nuri = scene://room\n",
         &next);
    const char *node = running.node, *listen = running.listen, *database = running.database,
               *worker = running.worker;
    config_swap(&running, &next);
    ck_assert_ptr_eq(running.node, node);
    ck_assert_ptr_eq(running.listen, listen);
    ck_assert_ptr_eq(running.database, database);
    ck_assert_ptr_eq(running.worker, worker);
    ck_assert_int_eq(running.retention_days, 9);
    ck_assert_uint_eq(running.media_roots.count, 1);
    ck_assert_uint_eq(running.stream_count, 2);
    ck_assert_uint_eq(running.model_count, 1);
    ck_assert_int_eq(next.retention_days, 5);
    ck_assert_uint_eq(next.media_roots.count, 0);
    ck_assert_str_eq(next.streams[0].name, "s");
    ck_assert_ptr_nonnull(config_find_model(&next, "m"));
    ck_assert_str_eq(next.node, "a");
}
END_TEST

/* A backup makes links, an administrator corrects who may read: no stream need notice. */
START_TEST(a_model_stays_equal_when_only_its_mode_and_names_change)
{
    g_autofree char *path = g_build_filename(folder, "m.onnx", NULL);
    g_autofree char *backup = g_build_filename(folder, "m.onnx~", NULL);
    struct stat before, after;
    ck_assert_int_eq(stat(path, &before), 0);
    do { /* until the clock of the file system has moved on */
        ck_assert_int_eq(chmod(path, 0640), 0);
        ck_assert_int_eq(link(path, backup), 0);
        ck_assert_int_eq(unlink(backup), 0);
        ck_assert_int_eq(stat(path, &after), 0);
    } while (before.st_ctim.tv_sec == after.st_ctim.tv_sec &&
             before.st_ctim.tv_nsec == after.st_ctim.tv_nsec);
    load("[model m]\npath = m.onnx\nenter = 0.5\n", &next);
    ck_assert(
        config_model_equal(config_find_model(&running, "m"), config_find_model(&next, "m")));
}
END_TEST

START_TEST(a_model_is_equal_while_its_file_and_keys_are)
{
    static const char text[] = "[model m]\npath = m.onnx\nenter = 0.5\n";
    static const char *const others[] = {
        "[model m]\npath = m.onnx\nenter = 0.6\n", "[model m]\npath = m.onnx\nexit = 0.5\n",
        "[model m]\npath = m.onnx\n", "[model m]\npath = ./m.onnx\nenter = 0.5\n"};
    load(text, &next);
    const struct config_model *model = config_find_model(&running, "m");
    ck_assert(config_model_equal(model, config_find_model(&next, "m")));
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        config_finish(&next);
        load(others[i], &next);
        ck_assert_msg(!config_model_equal(model, config_find_model(&next, "m")), "%s",
                      others[i]);
    }
    config_finish(&next);
    write_text("m.onnx", "MODEL"); /* replaced by one of the same size */
    load(text, &next);
    ck_assert(!config_model_equal(model, config_find_model(&next, "m")));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("config_change");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, what_cannot_change_is_refused_by_name, 0,
                        (int)G_N_ELEMENTS(changes));
    tcase_add_test(tests, a_fixed_key_that_falls_back_to_its_default_is_a_change_too);
    tcase_add_test(tests, a_fixed_key_without_a_default_cannot_be_taken_away);
    tcase_add_test(tests, a_default_that_only_the_machine_changed_is_none);
    tcase_add_test(tests, a_model_that_was_missing_before_may_stay_so);
    tcase_add_test(tests, a_swap_changes_everything_but_the_fixed_keys);
    tcase_add_test(tests, a_model_is_equal_while_its_file_and_keys_are);
    tcase_add_test(tests, a_model_stays_equal_when_only_its_mode_and_names_change);
    return suite_run("daemon/config/change", &tests, 1);
}
