/* A real one-shot process (tests/daemon/puppet.c) that obeys the first word of the "model". */
#include "tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/models/packs.h"
#include "tests/daemon/loop.h"
#include "tests/daemon/records.h"

/* A packer that obeys is not hurried: with sanitizers on a busy machine its start takes long.
 * One that hangs is waited for SHORT_MS, in which another must be able to end well. */
#define DEADLINE_MS 15000
#define SHORT_MS    4000
#define THREADS     2

static uv_loop_t loop;
static struct config config;
static struct opener *opener;
static struct packs *packs;
static char *folder;
static int readies;
static uv_sem_t gate;
static int held;

/* As the last `ready` was answered. */
static struct {
    char model[RECORD_NAME_SIZE];
    int result;
    struct packs_pack pack;
    char problem[PACKS_PROBLEM_SIZE];
} last;

static void drop_last(void)
{
    if (last.pack.fd >= 0)
        close(last.pack.fd);
    last.pack.fd = -1;
}

static void ready(void *owner, const char *model)
{
    (void)owner;
    readies++;
    drop_last();
    *last.problem = '\0';
    g_strlcpy(last.model, model, sizeof last.model);
    last.result = packs_get(packs, model, &last.pack, last.problem);
}

static bool heard(void *data)
{
    return readies >= *(int *)data;
}

static void wait_for(int count)
{
    ck_assert(loop_until(&loop, heard, &count, 20000));
}

static bool at_rest(void *data)
{
    (void)data;
    return packs_stopped(packs);
}

static void write_model(const char *text)
{
    g_autofree char *path = g_build_filename(folder, "m.onnx", NULL);
    ck_assert(g_file_set_contents(path, text, -1, NULL));
}

static void create(int deadline_ms)
{
    struct packs_options options = {.loop = &loop,
                                    .config = &config,
                                    .opener = opener,
                                    .ready = ready,
                                    .deadline_ms = deadline_ms};
    ck_assert_int_eq(packs_create(&options, &packs), 0);
}

static void setup(void)
{
    g_autofree char *threads = g_strdup_printf("%d", THREADS);
    g_setenv("UV_THREADPOOL_SIZE", threads, TRUE);
    folder = g_dir_make_tmp("vigil-packs-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "vigil.conf", NULL);
    g_autofree char *runs = g_build_filename(folder, "m.onnx.runs", NULL);
    ck_assert(g_file_set_contents(runs, "", 0, NULL));
    g_autofree char *text = g_strdup_printf(
        "[worker]\nprogram = %s/tests/daemon/puppet\n[model m]\npath = m.onnx\nenter = 0.5\n"
        "[model other]\npath = m.onnx\n[model gone]\npath = missing.onnx\n",
        g_getenv("VIGIL_BUILD_ROOT"));
    ck_assert(g_file_set_contents(path, text, -1, NULL));
    struct config_options options = {.file = path};
    struct config_error err;
    ck_assert_msg(config_load(&options, &config, &err) == 0, "%s", err.text);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(opener_create(&loop, &opener), 0);
    create(DEADLINE_MS);
    readies = 0;
    last.pack.fd = -1;
}

static void teardown(void)
{
    packs_stop(packs);
    ck_assert(loop_until(&loop, at_rest, NULL, 15000));
    packs_destroy(packs);
    opener_close(opener);
    loop_finish(&loop);
    drop_last();
    config_finish(&config);
    records_remove_tree(folder);
    g_free(folder);
}

/* As the loop sees it: what it keeps for a time it keeps by this clock. */
static uint64_t loop_now(void)
{
    uv_update_time(&loop);
    return uv_now(&loop);
}

static void hold(uv_work_t *work)
{
    (void)work;
    uv_sem_wait(&gate);
}

static void released(uv_work_t *work, int status)
{
    (void)work;
    (void)status;
}

static void release_pool(void)
{
    for (; held > 0; held--)
        uv_sem_post(&gate);
}

/* A disk that does not answer: all threads are held. At exit they are let go, too: libuv waits
 * for them there, so a check that fails would hang instead. */
static void hold_pool(void)
{
    static uv_work_t work[THREADS];
    uv_sem_init(&gate, 0);
    atexit(release_pool);
    for (; held < THREADS; held++)
        uv_queue_work(&loop, &work[held], hold, released);
}

static int ask(const char *model)
{
    struct packs_pack pack;
    char problem[PACKS_PROBLEM_SIZE];
    return packs_get(packs, model, &pack, problem);
}

/* What is said of it now. */
static int get_result(const char *model)
{
    int before = readies;
    ck_assert_int_eq(ask(model), -EINPROGRESS);
    wait_for(before + 1);
    ck_assert_int_eq(readies, before + 1);
    ck_assert_str_eq(last.model, model);
    return last.result;
}

/* The pack, the caller's to close. */
static struct packs_pack get(const char *model)
{
    int r = get_result(model);
    ck_assert_msg(r == 0, "%s", last.problem);
    struct packs_pack pack = last.pack;
    last.pack.fd = -1;
    return pack;
}

static char *beside(const char *suffix)
{
    return g_strconcat(folder, "/m.onnx", suffix, NULL);
}

/* The puppet makes a mark for each. */
static int count_packers(void)
{
    g_autofree char *path = beside(".runs");
    struct stat status;
    return stat(path, &status) == 0 ? (int)status.st_size : 0;
}

/* A word to the puppet that nobody takes for a change of the file. */
static void make_better(void)
{
    g_autofree char *path = beside(".better");
    ck_assert(g_file_set_contents(path, "", 0, NULL));
}

START_TEST(a_pack_holds_what_the_packer_wrote_and_nobody_can_change_it)
{
    write_model("a model");
    struct packs_pack pack = get("m");
    char bytes[128] = "";
    ck_assert_int_gt(pread(pack.fd, bytes, sizeof bytes - 1, 0), 0);
    ck_assert_str_eq(bytes, "--set=vigil.enter=0.5a model");
    ck_assert_uint_eq(strlen(pack.sha256), 64);
    ck_assert_int_eq(fcntl(pack.fd, F_GET_SEALS),
                     F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
    ck_assert_int_eq(pwrite(pack.fd, "x", 1, 0), -1);
    ck_assert_int_eq(ftruncate(pack.fd, 0), -1);
    ck_assert_ptr_eq(mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, pack.fd, 0), MAP_FAILED);
    close(pack.fd);
}
END_TEST

START_TEST(a_pack_is_kept_until_the_file_or_an_override_changes)
{
    write_model("a model");
    struct packs_pack first = get("m"), same = get("m"), other = get("other");
    ck_assert_str_eq(first.sha256, same.sha256);
    ck_assert_str_ne(first.sha256, other.sha256); /* another process: other overrides */
    ck_assert_int_eq(readies, 3);
    ck_assert_int_eq(count_packers(), 2);
    write_model("another model");
    struct packs_pack changed = get("m");
    ck_assert_str_ne(first.sha256, changed.sha256);
    struct config_model *model = (struct config_model *)config_find_model(&config, "m");
    g_strlcpy(model->overrides[0].value, "0.6", sizeof model->overrides[0].value);
    struct packs_pack overridden = get("m");
    ck_assert_str_ne(changed.sha256, overridden.sha256);
    const int fds[] = {first.fd, same.fd, other.fd, changed.fd, overridden.fd};
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
        close(fds[i]);
}
END_TEST

static const struct {
    const char *model, *problem;
    int code, deadline_ms;
} broken[] = {
    {"bad", "not an ONNX file?[0m", -EINVAL, DEADLINE_MS},
    {"crash", "the worker that packed it died (try 1 of 5)", -EAGAIN, DEADLINE_MS},
    {"killed", "the worker that packed it was killed; is memory short?", -ENOMEM, DEADLINE_MS},
    {"hang", "it could not be packed in time (try 1 of 5)", -EAGAIN, SHORT_MS},
    {"empty", "the worker that packed it did not do as it should", -EINVAL, DEADLINE_MS},
    {"mumble", "the worker that packed it did not do as it should", -EINVAL, DEADLINE_MS},
};

START_TEST(what_cannot_be_packed_says_why_and_is_tried_again_when_it_changes)
{
    packs_destroy(packs);
    create(broken[_i].deadline_ms);
    write_model(broken[_i].model);
    ck_assert_int_eq(ask("m"), -EINPROGRESS);
    ck_assert_int_eq(get_result("m"), broken[_i].code);
    ck_assert_str_eq(last.problem, broken[_i].problem);
    ck_assert_int_eq(get_result("m"), broken[_i].code);
    ck_assert_str_eq(last.problem, broken[_i].problem);
    ck_assert_int_eq(count_packers(), 1);
    write_model("good again");
    struct packs_pack pack = get("m");
    close(pack.fd);
}
END_TEST

static const char *const passing[] = {"crash", "killed"};

START_TEST(what_may_pass_is_tried_again_without_a_change)
{
    write_model(passing[_i]);
    uint64_t begin = loop_now();
    ck_assert_int_lt(get_result("m"), 0);
    make_better();
    while (get_result("m") != 0)
        ck_assert_int_eq(count_packers(), 1);
    ck_assert_int_eq(count_packers(), 2);
    ck_assert_uint_ge(uv_now(&loop) - begin, 1000);
}
END_TEST

START_TEST(what_something_else_killed_is_never_held_against_the_model)
{
    g_autofree char *dies = beside(".dies");
    write_model("killed");
    ck_assert_int_eq(get_result("m"), -ENOMEM);
    ck_assert(g_file_set_contents(dies, "", 0, NULL));
    while (get_result("m") == -ENOMEM)
        ck_assert_int_eq(count_packers(), 1);
    ck_assert_int_eq(last.result, -EAGAIN);
    ck_assert_str_eq(last.problem, "the worker that packed it died (try 1 of 5)");
}
END_TEST

/* Asked all the time. */
START_TEST(a_model_that_kills_each_packer_is_tried_ever_more_rarely_and_then_given_up)
{
    uint64_t asked_at = 0; /* for the packer that died last */
    write_model("crash");
    int r, seen = 0;
    do {
        uint64_t before = loop_now();
        r = get_result("m");
        if (count_packers() == seen)
            continue;
        if (seen > 0)
            ck_assert_uint_ge(uv_now(&loop) - asked_at, (uint64_t)1000 << (seen - 1));
        asked_at = before;
        seen = count_packers();
    } while (r == -EAGAIN);
    ck_assert_int_eq(r, -EINVAL);
    ck_assert_str_eq(last.problem, "the worker that packed it died, 5 times; put the stream "
                                   "again to retry");
    ck_assert_int_eq(seen, PACKS_TRIES);
    /* Who puts the stream again is heard, after the moment it takes to do so. */
    make_better();
    while (get_result("m") != 0)
        ck_assert_int_eq(count_packers(), PACKS_TRIES);
}
END_TEST

static bool packer_runs(void *data)
{
    (void)data;
    return count_packers() > 0;
}

START_TEST(a_model_that_changes_while_it_is_packed_is_packed_anew)
{
    char bytes[64] = "";
    write_model("hang");
    ck_assert_int_eq(ask("other"), -EINPROGRESS);
    ck_assert(loop_until(&loop, packer_runs, NULL, 10000));
    write_model("the newer one");
    struct packs_pack pack = get("other");
    ck_assert_int_eq(readies, 1);
    ck_assert_int_gt(pread(pack.fd, bytes, sizeof bytes - 1, 0), 0);
    ck_assert_str_eq(bytes, "the newer one");
    close(pack.fd);
}
END_TEST

START_TEST(a_path_that_changes_while_its_file_is_looked_at_is_looked_at_anew)
{
    struct config_model *model = (struct config_model *)config_find_model(&config, "other");
    struct config_model *gone = (struct config_model *)config_find_model(&config, "gone");
    write_model("a model");
    ck_assert_int_eq(ask("gone"), -EINPROGRESS);
    char *path = gone->path;
    gone->path = model->path;
    if (_i == 0) /* asked once more, or not: a reload does not ask */
        ck_assert_int_eq(ask("gone"), -EINPROGRESS);
    wait_for(1);
    gone->path = path;
    ck_assert_msg(last.result == 0, "%s", last.problem);
    ck_assert_int_eq(readies, 1);
}
END_TEST

START_TEST(a_file_that_is_missing_or_no_file_is_told_and_an_unknown_model_at_once)
{
    g_autofree char *path = g_build_filename(folder, "missing.onnx", NULL);
    ck_assert_int_eq(get_result("gone"), -ENOENT);
    ck_assert_ptr_nonnull(strstr(last.problem, "No such file"));
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(get_result("gone"), -EMEDIUMTYPE);
    ck_assert_str_eq(last.problem, "its file cannot be opened: it is not a file");
    ck_assert_int_eq(ask("nobody"), -ENOENT);
    ck_assert_int_eq(readies, 2);
}
END_TEST

START_TEST(a_pack_outlives_a_folder_that_is_away_for_a_while)
{
    g_autofree char *away = g_strconcat(folder, "-away", NULL);
    write_model("a model");
    close(get("m").fd);
    ck_assert_int_eq(rename(folder, away), 0);
    ck_assert_int_eq(get_result("m"), -ENOENT);
    ck_assert_int_eq(rename(away, folder), 0);
    close(get("m").fd);
    ck_assert_int_eq(count_packers(), 1);
}
END_TEST

/* A stream that starts anew while its model's disk sleeps needs nothing of that disk. */
START_TEST(a_pack_is_given_while_the_disk_of_its_file_does_not_answer)
{
    struct config_model *model = (struct config_model *)config_find_model(&config, "m");
    g_autofree char *other = beside("-other");
    write_model("a model");
    close(get("m").fd);
    hold_pool();
    close(get("m").fd);
    /* What it would be with other overrides, or under another path, nobody knows. */
    g_strlcpy(model->overrides[0].value, "0.6", sizeof model->overrides[0].value);
    ck_assert_int_eq(get_result("m"), -ETIMEDOUT);
    g_strlcpy(model->overrides[0].value, "0.5", sizeof model->overrides[0].value);
    char *path = model->path;
    model->path = other;
    ck_assert_int_eq(get_result("m"), -ETIMEDOUT);
    model->path = path;
    release_pool();
    close(get("m").fd);
    ck_assert_int_eq(count_packers(), 1);
}
END_TEST

START_TEST(stopping_ends_the_packer_and_tells_nobody)
{
    write_model("hang");
    ask("m");
    ck_assert(loop_until(&loop, packer_runs, NULL, 10000));
    int64_t begin = g_get_monotonic_time();
    packs_stop(packs);
    ck_assert(loop_until(&loop, at_rest, NULL, 15000));
    ck_assert_int_lt(g_get_monotonic_time() - begin, (DEADLINE_MS - 5000) * 1000);
    ck_assert_int_eq(readies, 0);
}
END_TEST

START_TEST(a_model_that_leaves_the_configuration_while_it_is_packed_is_forgotten)
{
    struct config_model *model = (struct config_model *)config_find_model(&config, "m");
    write_model("hang");
    ask("m");
    ck_assert(loop_until(&loop, packer_runs, NULL, 10000));
    g_strlcpy(model->name, "renamed", sizeof model->name);
    packs_forget(packs);
    ck_assert(loop_until(&loop, at_rest, NULL, DEADLINE_MS - 5000));
    ck_assert_int_eq(readies, 0);
    write_model("a model");
    close(get("renamed").fd);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("packs");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_pack_holds_what_the_packer_wrote_and_nobody_can_change_it);
    tcase_add_test(tests, a_pack_is_kept_until_the_file_or_an_override_changes);
    tcase_add_loop_test(tests,
                        what_cannot_be_packed_says_why_and_is_tried_again_when_it_changes, 0,
                        (int)G_N_ELEMENTS(broken));
    tcase_add_test(tests, a_model_that_changes_while_it_is_packed_is_packed_anew);
    tcase_add_loop_test(tests, what_may_pass_is_tried_again_without_a_change, 0,
                        (int)G_N_ELEMENTS(passing));
    tcase_add_test(tests, what_something_else_killed_is_never_held_against_the_model);
    tcase_add_test(tests,
                   a_model_that_kills_each_packer_is_tried_ever_more_rarely_and_then_given_up);
    tcase_add_loop_test(
        tests, a_path_that_changes_while_its_file_is_looked_at_is_looked_at_anew, 0, 2);
    tcase_add_test(tests,
                   a_file_that_is_missing_or_no_file_is_told_and_an_unknown_model_at_once);
    tcase_add_test(tests, a_pack_outlives_a_folder_that_is_away_for_a_while);
    tcase_add_test(tests, a_pack_is_given_while_the_disk_of_its_file_does_not_answer);
    tcase_add_test(tests, stopping_ends_the_packer_and_tells_nobody);
    tcase_add_test(tests,
                   a_model_that_leaves_the_configuration_while_it_is_packed_is_forgotten);
    return suite_run("daemon/models/packs", &tests, 1);
}
