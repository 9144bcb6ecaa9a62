/* What a job may be asked to do. */
#include "tests/suite.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/jobs/request.h"

static char *folder, *data, *models;

static void set_up(void)
{
    folder = g_dir_make_tmp("vigil-test-XXXXXX", NULL);
    data = g_build_filename(folder, "data", NULL);
    models = g_build_filename(folder, "models", NULL);
    g_mkdir(data, 0700);
    g_mkdir(models, 0700);
}

static void tear_down(void)
{
    const char *arguments[] = {"rm", "-rf", folder, NULL};
    g_spawn_sync(NULL, (char **)arguments, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL,
                 NULL, NULL);
    g_free(folder);
    g_free(data);
    g_free(models);
}

static int parse(const char *text, struct jobs_request *ret_request, struct jobs_error *err)
{
    json_t *json = json_loads(text, 0, NULL);
    ck_assert_ptr_nonnull(json);
    err->text[0] = '\0';
    int r = jobs_request_from_json(json, ret_request, err);
    json_decref(json);
    return r;
}

static struct jobs_request made(const char *text)
{
    struct jobs_request request;
    struct jobs_error err;
    ck_assert_msg(parse(text, &request, &err) == 0, "%s: %s", text, err.text);
    return request;
}

START_TEST(what_is_left_out_has_its_default)
{
    struct jobs_request request = made("{\"kind\":\"train\",\"recipe\":\"a/door.v2.recipe\"}");
    ck_assert_str_eq(request.out, "door.v2.onnx");
    ck_assert_str_eq(request.data, "");
    ck_assert_int_eq(request.threads, 1);
    ck_assert(!request.resume && !request.replace);
}
END_TEST

START_TEST(it_becomes_the_same_json_again)
{
    struct jobs_request request =
        made("{\"kind\":\"train\",\"recipe\":\"a\",\"data\":\"b/c\",\"out\":\"d.onnx\","
             "\"threads\":3,\"resume\":true,\"replace\":false}");
    json_t *json = jobs_request_to_json(&request);
    char *text = json_dumps(json, JSON_COMPACT);
    ck_assert_str_eq(text, "{\"kind\":\"train\",\"recipe\":\"a\",\"data\":\"b/c\","
                           "\"out\":\"d.onnx\",\"threads\":3,\"resume\":true,"
                           "\"replace\":false}");
    free(text);
    json_decref(json);
}
END_TEST

static const struct {
    const char *text, *word;
} bad[] = {
    {"{}", "kind"},
    {"[]", "object"},
    {"{\"kind\":\"shell\",\"recipe\":\"a\"}", "kind"},
    {"{\"kind\":\"train\"}", "recipe"},
    {"{\"kind\":\"train\",\"recipe\":\"\"}", "recipe"},
    {"{\"kind\":\"train\",\"recipe\":\"/a\"}", "recipe"},
    {"{\"kind\":\"train\",\"recipe\":\"a/\"}", "recipe"},
    {"{\"kind\":\"train\",\"recipe\":\"a/../../b\"}", "recipe"},
    {"{\"kind\":\"train\",\"recipe\":\"./a\"}", "recipe"},
    {"{\"kind\":\"train\",\"recipe\":\"a\\nb\"}", "recipe"},
    {"{\"kind\":\"train\",\"recipe\":\"a\\u007fb\"}", "recipe"},
    {"{\"kind\":\"train\",\"recipe\":\"--out\",\"data\":\".\"}", "data"},
    {"{\"kind\":\"train\",\"recipe\":\"a\",\"out\":\"a.txt\"}", ".onnx"},
    {"{\"kind\":\"train\",\"recipe\":\"a\",\"out\":\"x/.onnx\"}", "out"},
    {"{\"kind\":\"train\",\"recipe\":\"a\",\"threads\":0}", "threads"},
    {"{\"kind\":\"train\",\"recipe\":\"a\",\"threads\":65}", "threads"},
    {"{\"kind\":\"train\",\"recipe\":\"a\",\"threads\":1.5}", "threads"},
    {"{\"kind\":\"train\",\"recipe\":\"a\",\"replace\":1}", "replace"},
    {"{\"kind\":\"train\",\"recipe\":\"a\",\"replce\":true}", "did you mean replace"},
    {"{\"kind\":\"train\",\"recipe\":\"a\",\"replace\":true,\"resume\":true}", "one of them"},
    {"{\"kind\":\"train\",\"recipe\":\"a\",\"model\":\"m\"}",
     "kind train has no member \"model\""},
    {"{\"kind\":\"eval\",\"recipe\":\"a\"}", "needs \"model\""},
    {"{\"kind\":\"eval\",\"model\":\"m\"}", "needs a recipe"},
    {"{\"kind\":\"eval\",\"model\":\"m\",\"recipe\":\"a\",\"out\":\"m\"}", "no member \"out\""},
    {"{\"kind\":\"eval\",\"model\":\"m\",\"recipe\":\"a\",\"split\":\"tset\"}", "split"},
    {"{\"kind\":\"eval\",\"model\":\"m\",\"data\":\"a\",\"split\":\"test\"}", "one part"},
    {"{\"kind\":\"eval\",\"model\":\"m\",\"data\":\"a\",\"report\":\"../r\"}", "report"},
};

START_TEST(what_makes_no_sense_is_refused_by_name)
{
    struct jobs_request request;
    struct jobs_error err;
    ck_assert_int_eq(parse(bad[_i].text, &request, &err), -EINVAL);
    ck_assert_msg(strstr(err.text, bad[_i].word), "%s: %s", bad[_i].text, err.text);
}
END_TEST

START_TEST(a_path_has_as_much_room_as_is_said)
{
    struct jobs_request request;
    struct jobs_error err;
    for (int extra = 0; extra < 2; extra++) {
        g_autofree char *path = g_strnfill((gsize)(JOBS_PATH_SIZE - 1 + extra), 'a');
        g_autofree char *text =
            g_strdup_printf("{\"kind\":\"train\",\"recipe\":\"%s\",\"out\":\"x.onnx\"}", path);
        ck_assert_int_eq(parse(text, &request, &err), extra ? -EINVAL : 0);
    }
    /* The name made of the longest recipe fits, too. */
    g_autofree char *path = g_strnfill(JOBS_PATH_SIZE - 1, 'a');
    g_autofree char *text = g_strdup_printf("{\"kind\":\"train\",\"recipe\":\"%s\"}", path);
    ck_assert_int_eq(parse(text, &request, &err), 0);
    ck_assert(g_str_has_suffix(request.out, "a.onnx"));
}
END_TEST

static void write_in(const char *in, const char *name)
{
    g_autofree char *path = g_build_filename(in, name, NULL);
    ck_assert(g_file_set_contents(path, "x", 1, NULL));
}

static int check(const char *members, struct jobs_error *err)
{
    g_autofree char *text = g_strdup_printf("{\"kind\":\"train\",%s}", members);
    struct jobs_request request = made(text);
    err->text[0] = '\0';
    return jobs_request_check(&request, data, models, err);
}

START_TEST(what_it_names_must_be_there)
{
    struct jobs_error err;
    write_in(data, "a.recipe");
    ck_assert_int_eq(check("\"recipe\":\"a.recipe\"", &err), 0);
    ck_assert_int_eq(check("\"recipe\":\"b.recipe\"", &err), -ENOENT);
    ck_assert_ptr_nonnull(strstr(err.text, "b.recipe"));
    ck_assert_int_eq(check("\"recipe\":\"a.recipe\",\"data\":\"no\"", &err), -ENOENT);
    ck_assert_int_eq(check("\"recipe\":\"a.recipe\",\"data\":\"a.recipe\"", &err), -ENOENT);
    ck_assert_int_eq(check("\"recipe\":\"a.recipe\",\"out\":\"no/a.onnx\"", &err), -ENOENT);
    ck_assert_int_eq(g_rmdir(models), 0);
    ck_assert_int_eq(check("\"recipe\":\"a.recipe\"", &err), -ENOENT);
}
END_TEST

START_TEST(no_link_is_followed)
{
    struct jobs_error err;
    g_autofree char *link = g_build_filename(data, "link", NULL);
    g_autofree char *out = g_build_filename(models, "link", NULL);
    write_in(data, "a.recipe");
    write_in(folder, "outside.recipe");
    ck_assert_int_eq(symlink("..", link), 0);
    ck_assert_int_eq(symlink("..", out), 0);
    ck_assert_int_eq(check("\"recipe\":\"link/outside.recipe\",\"out\":\"a.onnx\"", &err),
                     -EXDEV);
    ck_assert_int_eq(check("\"recipe\":\"a.recipe\",\"data\":\"link\"", &err), -EXDEV);
    ck_assert_int_eq(check("\"recipe\":\"a.recipe\",\"out\":\"link/a.onnx\"", &err), -EXDEV);
}
END_TEST

START_TEST(what_is_there_is_lost_only_when_asked_for)
{
    struct jobs_error err;
    g_autofree char *dangling = g_build_filename(models, "link.onnx", NULL);
    write_in(data, "a.recipe");
    write_in(models, "a.onnx");
    write_in(models, "b.onnx.checkpoint");
    ck_assert_int_eq(symlink("/nowhere", dangling), 0);
    ck_assert_int_eq(check("\"recipe\":\"a.recipe\"", &err), -EEXIST);
    ck_assert_int_eq(check("\"recipe\":\"a.recipe\",\"resume\":true", &err), -EEXIST);
    ck_assert_int_eq(check("\"recipe\":\"a.recipe\",\"replace\":true", &err), 0);
    ck_assert_int_eq(check("\"recipe\":\"a.recipe\",\"out\":\"b.onnx\"", &err), -EEXIST);
    ck_assert_ptr_nonnull(strstr(err.text, "resume"));
    ck_assert_int_eq(check("\"recipe\":\"a.recipe\",\"out\":\"b.onnx\",\"resume\":true", &err),
                     0);
    ck_assert_int_eq(check("\"recipe\":\"a.recipe\",\"out\":\"b.onnx\",\"replace\":true", &err),
                     0);
    ck_assert_int_eq(
        check("\"recipe\":\"a.recipe\",\"out\":\"link.onnx\",\"replace\":true", &err), -EEXIST);
}
END_TEST

static int check_eval(const char *members, struct jobs_error *err)
{
    g_autofree char *text = g_strdup_printf("{\"kind\":\"eval\",%s}", members);
    struct jobs_request request = made(text);
    err->text[0] = '\0';
    return jobs_request_check(&request, data, models, err);
}

START_TEST(an_evaluation_reads_from_both_folders_and_writes_into_one)
{
    struct jobs_error err;
    g_autofree char *clips = g_build_filename(data, "clips", NULL);
    g_autofree char *link = g_build_filename(models, "link", NULL);
    ck_assert_int_eq(g_mkdir(clips, 0700), 0);
    ck_assert_int_eq(symlink("..", link), 0);
    write_in(data, "a.recipe");
    write_in(data, "table.csv");
    write_in(models, "a.onnx");
    ck_assert_int_eq(check_eval("\"model\":\"a.onnx\",\"recipe\":\"a.recipe\"", &err), 0);
    ck_assert_int_eq(check_eval("\"model\":\"a.onnx\",\"data\":\"clips\"", &err), 0);
    ck_assert_int_eq(check_eval("\"model\":\"a.onnx\",\"data\":\"table.csv\"", &err), 0);
    ck_assert_int_eq(check_eval("\"model\":\"b.onnx\",\"data\":\"clips\"", &err), -ENOENT);
    ck_assert_int_eq(check_eval("\"model\":\"a.onnx\",\"recipe\":\"a.recipe\","
                                "\"data\":\"table.csv\"",
                                &err),
                     -ENOENT);
    ck_assert_int_eq(
        check_eval("\"model\":\"a.onnx\",\"data\":\"clips\",\"report\":\"r\"", &err), 0);
    ck_assert_int_eq(
        check_eval("\"model\":\"a.onnx\",\"data\":\"clips\",\"report\":\"a.onnx\"", &err),
        -EEXIST);
    ck_assert_int_eq(
        check_eval("\"model\":\"a.onnx\",\"data\":\"clips\",\"report\":\"link\"", &err),
        -EEXIST);
    ck_assert_int_eq(
        check_eval("\"model\":\"a.onnx\",\"data\":\"clips\",\"report\":\"link/r\"", &err),
        -EXDEV);
}
END_TEST

START_TEST(the_program_is_told_all_of_it)
{
    struct jobs_request request =
        made("{\"kind\":\"train\",\"recipe\":\"--help\",\"data\":\"d\",\"out\":\"m/o.onnx\","
             "\"threads\":2,\"replace\":true}");
    g_auto(GStrv) arguments =
        jobs_request_arguments(&request, "/usr/bin/vigil", "/data", "/models", 42);
    g_autofree char *line = g_strjoinv(" ", arguments);
    ck_assert_str_eq(line, "/usr/bin/vigil train /data/--help --out /models/m/o.onnx "
                           "--json-lines --force --data /data/d --threads=2 --idle "
                           "--parent=42");
    struct jobs_request eval =
        made("{\"kind\":\"eval\",\"model\":\"m.onnx\",\"recipe\":\"r\",\"split\":\"all\","
             "\"report\":\"reports/m\"}");
    g_auto(GStrv) others = jobs_request_arguments(&eval, "vigil", "/data", "/models", 7);
    g_autofree char *other = g_strjoinv(" ", others);
    ck_assert_str_eq(other, "vigil eval /models/m.onnx --recipe /data/r --report "
                            "/models/reports/m --split=all --json --threads=1 --idle "
                            "--parent=7");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("request");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, what_is_left_out_has_its_default);
    tcase_add_test(tc, it_becomes_the_same_json_again);
    tcase_add_loop_test(tc, what_makes_no_sense_is_refused_by_name, 0, G_N_ELEMENTS(bad));
    tcase_add_test(tc, a_path_has_as_much_room_as_is_said);
    tcase_add_test(tc, what_it_names_must_be_there);
    tcase_add_test(tc, no_link_is_followed);
    tcase_add_test(tc, what_is_there_is_lost_only_when_asked_for);
    tcase_add_test(tc, an_evaluation_reads_from_both_folders_and_writes_into_one);
    tcase_add_test(tc, the_program_is_told_all_of_it);
    return suite_run("daemon/jobs/request", &tc, 1);
}
