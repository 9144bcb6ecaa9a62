/* A real one-shot process (tests/daemon/puppet.c) that obeys the first word of the "model". */
#include "tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/models/models.h"
#include "tests/daemon/loop.h"
#include "tests/daemon/records.h"

#define RETRY_MS 700

static uv_loop_t loop;
static struct config config;
static struct opener *opener;
static struct models *models;
static char *folder;
static int answers, empty;
static json_t *last;

static void answer(void *data, json_t *model)
{
    (void)data;
    answers++;
    empty += model == NULL;
    json_decref(last);
    last = json_incref(model);
}

static bool answered(void *data)
{
    return answers >= *(int *)data;
}

static void wait_for(int count)
{
    ck_assert(loop_until(&loop, answered, &count, 20000));
}

/* As the loop sees it: what it keeps for a time it keeps by this clock. */
static uint64_t loop_now(void)
{
    uv_update_time(&loop);
    return uv_now(&loop);
}

static bool at_rest(void *data)
{
    (void)data;
    return models_stopped(models);
}

/* A word to the puppet that nobody takes for a change of the file. */
static void make_better(void)
{
    g_autofree char *path = g_build_filename(folder, "m.onnx.better", NULL);
    ck_assert(g_file_set_contents(path, "", 0, NULL));
}

/* The puppet makes a mark for each. */
static int count_inspections(void)
{
    g_autofree char *path = g_build_filename(folder, "m.onnx.runs", NULL);
    struct stat status;
    return stat(path, &status) == 0 ? (int)status.st_size : 0;
}

static void write_model(const char *text)
{
    g_autofree char *path = g_build_filename(folder, "m.onnx", NULL);
    ck_assert(g_file_set_contents(path, text, -1, NULL));
}

/* deadline_ms: 0 as always. */
static void create(int deadline_ms)
{
    struct models_options options = {.loop = &loop,
                                     .config = &config,
                                     .opener = opener,
                                     .deadline_ms = deadline_ms,
                                     .retry_ms = RETRY_MS};
    ck_assert_int_eq(models_create(&options, &models), 0);
}

static void setup(void)
{
    folder = g_dir_make_tmp("vigil-models-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "vigil.conf", NULL);
    g_autofree char *runs = g_build_filename(folder, "m.onnx.runs", NULL);
    ck_assert(g_file_set_contents(runs, "", 0, NULL));
    g_autofree char *text =
        g_strdup_printf("[worker]\nprogram = %s/tests/daemon/puppet\n[model m]\npath = m.onnx\n"
                        "[model gone]\npath = missing.onnx\n",
                        g_getenv("VIGIL_BUILD_ROOT"));
    ck_assert(g_file_set_contents(path, text, -1, NULL));
    struct config_options options = {.file = path};
    struct config_error err;
    ck_assert_msg(config_load(&options, &config, &err) == 0, "%s", err.text);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(opener_create(&loop, &opener), 0);
    create(0);
    answers = empty = 0;
    last = NULL;
}

static void teardown(void)
{
    models_stop(models);
    ck_assert(loop_until(&loop, at_rest, NULL, 15000));
    models_destroy(models);
    opener_close(opener);
    loop_finish(&loop);
    config_finish(&config);
    json_decref(last);
    records_remove_tree(folder);
    g_free(folder);
}

static const char *text_of(const char *member)
{
    return json_string_value(json_object_get(last, member));
}

START_TEST(a_good_model_is_described_under_the_configurations_name)
{
    write_model("good");
    ck_assert_int_eq(models_ask(models, "m", answer, NULL), 0);
    wait_for(1);
    ck_assert_str_eq(text_of("name"), "m");
    ck_assert(json_is_null(json_object_get(last, "problem")));
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(last, "labels"), 0)),
                     "a");
    ck_assert_ptr_null(json_object_get(last, "password")); /* nothing that is not known */
}
END_TEST

START_TEST(what_a_worker_says_is_checked_before_it_is_believed)
{
    write_model("liar");
    models_ask(models, "m", answer, NULL);
    wait_for(1);
    ck_assert_ptr_nonnull(strstr(text_of("problem"), "labels is not a text"));
    ck_assert_ptr_null(json_object_get(last, "labels"));
}
END_TEST

START_TEST(what_is_configured_goes_to_the_inspection_and_a_change_of_it_is_noticed)
{
    struct config_model *model = (struct config_model *)config_find_model(&config, "m");
    struct message_override override = {.key = "vigil.enter", .value = "0.9"};
    struct message_override *own = model->overrides;
    write_model("echo");
    model->overrides = &override;
    model->override_count = 1;
    models_ask(models, "m", answer, NULL);
    wait_for(1);
    ck_assert_str_eq(text_of("task"), "--set=vigil.enter=0.9");
    g_strlcpy(override.value, "0.7", sizeof override.value);
    models_ask(models, "m", answer, NULL);
    wait_for(2);
    ck_assert_str_eq(text_of("task"), "--set=vigil.enter=0.7");
    model->overrides = own;
    model->override_count = 0;
}
END_TEST

START_TEST(an_answer_is_kept_until_the_file_changes)
{
    write_model("good");
    models_ask(models, "m", answer, NULL);
    models_ask(models, "m", answer, NULL); /* shares the first one's inspection */
    wait_for(2);
    json_int_t nodes = json_integer_value(json_object_get(last, "nodes"));
    ck_assert_int_gt(nodes, 0);
    models_ask(models, "m", answer, NULL);
    wait_for(3);
    ck_assert_int_eq(json_integer_value(json_object_get(last, "nodes")), nodes);
    write_model("good and longer");
    models_ask(models, "m", answer, NULL);
    wait_for(4);
    ck_assert_int_ne(json_integer_value(json_object_get(last, "nodes")), nodes);
}
END_TEST

static const struct {
    const char *model, *problem;
} broken[] = {
    {"bad", "not an ONNX file?[0m"},
    {"crash", "the worker that inspected the model died"},
    {"junk", "the worker that inspected the model did not answer with JSON"},
    {"huge", "the model has more to say than is accepted"},
    {"hang", "the model could not be inspected in time"},
};

START_TEST(a_bad_model_has_a_problem_and_harms_nothing)
{
    write_model(broken[_i].model);
    models_ask(models, "m", answer, NULL);
    wait_for(1);
    ck_assert_str_eq(text_of("name"), "m");
    ck_assert_str_eq(text_of("problem"), broken[_i].problem);
    write_model("good now");
    models_ask(models, "m", answer, NULL);
    wait_for(2);
    ck_assert(json_is_null(json_object_get(last, "problem")));
}
END_TEST

START_TEST(an_inspection_that_the_machine_ended_is_made_again)
{
    write_model("killed");
    models_ask(models, "m", answer, NULL);
    wait_for(1);
    ck_assert_ptr_nonnull(strstr(text_of("problem"), "was killed"));
    make_better();
    models_ask(models, "m", answer, NULL);
    wait_for(2);
    ck_assert(json_is_null(json_object_get(last, "problem")));
}
END_TEST

static const struct {
    const char *model, *problem;
    int deadline_ms;
} passing[] = {
    {"hang", "the model could not be inspected in time", 300},
    {"crash", "the worker that inspected the model died", 0},
};

/* Asks without a pause until the answer is another one. */
START_TEST(an_inspection_that_may_go_well_another_time_is_made_again_but_not_at_once)
{
    models_destroy(models);
    create(passing[_i].deadline_ms);
    write_model(passing[_i].model);
    uint64_t begin = loop_now();
    models_ask(models, "m", answer, NULL);
    wait_for(1);
    ck_assert_str_eq(text_of("problem"), passing[_i].problem);
    make_better();
    int asked = 1;
    do {
        models_ask(models, "m", answer, NULL);
        wait_for(++asked);
    } while (text_of("problem"));
    ck_assert_uint_ge(uv_now(&loop) - begin, RETRY_MS);
}
END_TEST

START_TEST(each_further_failure_of_that_kind_is_kept_twice_as_long)
{
    write_model("crash");
    uint64_t asked_at = loop_now(); /* for the inspection that failed last */
    models_ask(models, "m", answer, NULL);
    wait_for(1);
    int asked = 1;
    for (int i = 0; i < 2; i++) {
        uint64_t before;
        int runs = count_inspections();
        do {
            before = loop_now();
            models_ask(models, "m", answer, NULL);
            wait_for(++asked);
        } while (count_inspections() == runs);
        ck_assert_uint_ge(uv_now(&loop) - asked_at, (uint64_t)RETRY_MS << i);
        asked_at = before;
    }
}
END_TEST

START_TEST(the_deadline_ends_an_inspection_whose_pipes_are_held_by_others)
{
    models_destroy(models);
    create(500);
    write_model("heir");
    int64_t begin = g_get_monotonic_time();
    models_ask(models, "m", answer, NULL);
    wait_for(1);
    ck_assert_str_eq(text_of("problem"), "the model could not be inspected in time");
    ck_assert_int_lt(g_get_monotonic_time() - begin, 10000000);
}
END_TEST

START_TEST(a_change_that_hides_behind_an_old_date_is_noticed)
{
    g_autofree char *path = g_build_filename(folder, "m.onnx", NULL);
    struct stat before;
    write_model("good 1");
    ck_assert_int_eq(stat(path, &before), 0);
    models_ask(models, "m", answer, NULL);
    wait_for(1);
    json_int_t first = json_integer_value(json_object_get(last, "nodes"));
    /* In place, as long, and then as touch -r does. */
    int fd = open(path, O_WRONLY);
    ck_assert_int_eq(pwrite(fd, "good 2", 6, 0), 6);
    const struct timespec times[] = {before.st_atim, before.st_mtim};
    ck_assert_int_eq(futimens(fd, times), 0);
    close(fd);
    models_ask(models, "m", answer, NULL);
    wait_for(2);
    ck_assert_int_ne(json_integer_value(json_object_get(last, "nodes")), first);
}
END_TEST

START_TEST(what_is_known_of_a_model_outlives_a_folder_that_is_away_for_a_while)
{
    g_autofree char *away = g_strconcat(folder, "-away", NULL);
    write_model("good");
    models_ask(models, "m", answer, NULL);
    wait_for(1);
    json_int_t nodes = json_integer_value(json_object_get(last, "nodes"));
    ck_assert_int_eq(rename(folder, away), 0);
    models_ask(models, "m", answer, NULL);
    wait_for(2);
    ck_assert_ptr_nonnull(strstr(text_of("problem"), "cannot be opened"));
    ck_assert_int_eq(rename(away, folder), 0);
    models_ask(models, "m", answer, NULL);
    wait_for(3);
    ck_assert(json_is_null(json_object_get(last, "problem")));
    ck_assert_int_eq(json_integer_value(json_object_get(last, "nodes")), nodes);
    ck_assert_int_eq(count_inspections(), 1);
}
END_TEST

START_TEST(a_path_that_changes_while_its_file_is_opened_is_opened_anew)
{
    g_autofree char *newer = g_build_filename(folder, "newer.onnx", NULL);
    struct config_model *model = (struct config_model *)config_find_model(&config, "m");
    char *path = model->path;
    write_model("bad");
    ck_assert(g_file_set_contents(newer, "good", -1, NULL));
    models_ask(models, "m", answer, NULL);
    model->path = newer;
    wait_for(1);
    model->path = path;
    ck_assert(json_is_null(json_object_get(last, "problem")));
    ck_assert_int_eq(count_inspections(), 0); /* of the file it was */
}
END_TEST

START_TEST(a_file_that_does_not_open_says_why_and_holds_nobody_up)
{
    g_autofree char *path = g_build_filename(folder, "missing.onnx", NULL);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    write_model("good");
    models_ask(models, "gone", answer, NULL);
    wait_for(1);
    ck_assert_ptr_nonnull(strstr(text_of("problem"), "cannot be opened: it is not a file"));
    models_ask(models, "m", answer, NULL);
    wait_for(2);
    ck_assert(json_is_null(json_object_get(last, "problem")));
}
END_TEST

START_TEST(a_missing_file_is_a_problem_and_an_unknown_name_an_error)
{
    ck_assert_int_eq(models_ask(models, "gone", answer, NULL), 0);
    wait_for(1);
    ck_assert_ptr_nonnull(strstr(text_of("problem"), "cannot be opened"));
    ck_assert_int_eq(models_ask(models, "nobody", answer, NULL), -ENOENT);
    ck_assert_int_eq(answers, 1);
}
END_TEST

START_TEST(a_model_that_leaves_the_configuration_meanwhile_is_answered_and_forgotten)
{
    struct config_model *model = (struct config_model *)config_find_model(&config, "m");
    write_model("hang");
    ck_assert_int_eq(models_ask(models, "m", answer, NULL), 0);
    ck_assert_int_eq(models_ask(models, "gone", answer, NULL), 0); /* waits its turn */
    g_strlcpy(model->name, "other", sizeof model->name);
    model = (struct config_model *)config_find_model(&config, "gone");
    g_strlcpy(model->name, "more", sizeof model->name);
    models_forget(models);
    wait_for(2);
    ck_assert_str_eq(text_of("name"), "gone");
    ck_assert_str_eq(text_of("problem"), "the model is no longer configured");
    ck_assert_int_eq(models_ask(models, "m", answer, NULL), -ENOENT);
    /* Under its new name it is looked at anew. */
    write_model("good");
    ck_assert_int_eq(models_ask(models, "other", answer, NULL), 0);
    wait_for(3);
    ck_assert_str_eq(text_of("name"), "other");
    ck_assert(json_is_null(json_object_get(last, "problem")));
}
END_TEST

START_TEST(stopping_answers_those_that_wait_and_ends_the_process)
{
    write_model("hang");
    models_ask(models, "m", answer, NULL);
    models_ask(models, "gone", answer, NULL);
    int64_t begin = g_get_monotonic_time();
    models_stop(models);
    ck_assert_int_eq(answers, 2);
    ck_assert_int_eq(empty, 2);
    ck_assert(loop_until(&loop, at_rest, NULL, 15000));
    ck_assert_int_lt(g_get_monotonic_time() - begin, 3000000);
    ck_assert_int_eq(models_ask(models, "m", answer, NULL), -ENOBUFS);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("models");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_good_model_is_described_under_the_configurations_name);
    tcase_add_test(tests, what_a_worker_says_is_checked_before_it_is_believed);
    tcase_add_test(tests,
                   what_is_configured_goes_to_the_inspection_and_a_change_of_it_is_noticed);
    tcase_add_test(tests, an_answer_is_kept_until_the_file_changes);
    tcase_add_loop_test(tests, a_bad_model_has_a_problem_and_harms_nothing, 0,
                        (int)G_N_ELEMENTS(broken));
    tcase_add_test(tests, an_inspection_that_the_machine_ended_is_made_again);
    tcase_add_loop_test(
        tests, an_inspection_that_may_go_well_another_time_is_made_again_but_not_at_once, 0,
        (int)G_N_ELEMENTS(passing));
    tcase_add_test(tests, each_further_failure_of_that_kind_is_kept_twice_as_long);
    tcase_add_test(tests, the_deadline_ends_an_inspection_whose_pipes_are_held_by_others);
    tcase_add_test(tests, a_change_that_hides_behind_an_old_date_is_noticed);
    tcase_add_test(tests, what_is_known_of_a_model_outlives_a_folder_that_is_away_for_a_while);
    tcase_add_test(tests, a_path_that_changes_while_its_file_is_opened_is_opened_anew);
    tcase_add_test(tests, a_file_that_does_not_open_says_why_and_holds_nobody_up);
    tcase_add_test(tests, a_missing_file_is_a_problem_and_an_unknown_name_an_error);
    tcase_add_test(tests,
                   a_model_that_leaves_the_configuration_meanwhile_is_answered_and_forgotten);
    tcase_add_test(tests, stopping_answers_those_that_wait_and_ends_the_process);
    return suite_run("daemon/models/models", &tests, 1);
}
