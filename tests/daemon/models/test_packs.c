/* A real one-shot process (tests/daemon/puppet.c) that obeys the first word of the "model". */
#include "tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/models/packs.h"
#include "tests/daemon/loop.h"
#include "tests/daemon/records.h"

static uv_loop_t loop;
static struct config config;
static struct packs *packs;
static char *folder;
static int readies;
static char ready_model[RECORD_NAME_SIZE];

static void ready(void *owner, const char *model)
{
    (void)owner;
    readies++;
    g_strlcpy(ready_model, model, sizeof ready_model);
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

static void setup(void)
{
    folder = g_dir_make_tmp("vigil-packs-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "vigil.conf", NULL);
    g_autofree char *text = g_strdup_printf(
        "[worker]\nprogram = %s/tests/daemon/puppet\n[model m]\npath = m.onnx\nenter = 0.5\n"
        "[model other]\npath = m.onnx\n[model gone]\npath = missing.onnx\n",
        g_getenv("VIGIL_BUILD_ROOT"));
    ck_assert(g_file_set_contents(path, text, -1, NULL));
    struct config_options options = {.file = path};
    struct config_error err;
    ck_assert_msg(config_load(&options, &config, &err) == 0, "%s", err.text);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    struct packs_options packs_options = {
        .loop = &loop, .config = &config, .ready = ready, .deadline_ms = 1500};
    ck_assert_int_eq(packs_create(&packs_options, &packs), 0);
    readies = 0;
}

static void teardown(void)
{
    packs_stop(packs);
    ck_assert(loop_until(&loop, at_rest, NULL, 15000));
    packs_destroy(packs);
    loop_finish(&loop);
    config_finish(&config);
    records_remove_tree(folder);
    g_free(folder);
}

/* The pack, once it is made. */
static struct packs_pack get(const char *model)
{
    struct packs_pack pack = {.fd = -1};
    char problem[PACKS_PROBLEM_SIZE] = "";
    int r = packs_get(packs, model, &pack, problem);
    if (r == -EINPROGRESS) {
        int before = readies;
        wait_for(before + 1);
        ck_assert_str_eq(ready_model, model);
        r = packs_get(packs, model, &pack, problem);
    }
    ck_assert_msg(r == 0, "%s", problem);
    return pack;
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
    ck_assert_int_eq(readies, 2);
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
    int code;
} broken[] = {
    {"bad", "not an ONNX file?[0m", -EINVAL},
    {"crash", "the worker that packed it died", -EINVAL},
    {"killed", "the worker that packed it was killed; is memory short?", -ENOMEM},
    {"hang", "it could not be packed in time", -EINVAL},
    {"empty", "the worker that packed it did not do as it should", -EINVAL},
    {"mumble", "the worker that packed it did not do as it should", -EINVAL},
};

START_TEST(what_cannot_be_packed_says_why_and_is_tried_again_when_it_changes)
{
    struct packs_pack pack;
    char problem[PACKS_PROBLEM_SIZE];
    write_model(broken[_i].model);
    ck_assert_int_eq(packs_get(packs, "m", &pack, problem), -EINPROGRESS);
    ck_assert_int_eq(packs_get(packs, "m", &pack, problem), -EINPROGRESS);
    wait_for(1);
    ck_assert_int_eq(packs_get(packs, "m", &pack, problem), broken[_i].code);
    ck_assert_str_eq(problem, broken[_i].problem);
    ck_assert_int_eq(packs_get(packs, "m", &pack, problem), broken[_i].code);
    ck_assert_int_eq(readies, 1);
    write_model("good again");
    pack = get("m");
    close(pack.fd);
}
END_TEST

START_TEST(a_model_that_changes_while_it_is_packed_is_packed_anew)
{
    struct packs_pack pack;
    char problem[PACKS_PROBLEM_SIZE], bytes[64] = "";
    write_model("hang");
    ck_assert_int_eq(packs_get(packs, "other", &pack, problem), -EINPROGRESS);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert(!packs_stopped(packs)); /* it runs */
    write_model("the newer one");
    pack = get("other");
    ck_assert_int_eq(readies, 1);
    ck_assert_int_gt(pread(pack.fd, bytes, sizeof bytes - 1, 0), 0);
    ck_assert_str_eq(bytes, "the newer one");
    close(pack.fd);
}
END_TEST

START_TEST(a_missing_file_and_an_unknown_model_are_told_at_once)
{
    struct packs_pack pack;
    char problem[PACKS_PROBLEM_SIZE];
    ck_assert_int_eq(packs_get(packs, "gone", &pack, problem), -ENOENT);
    ck_assert_ptr_nonnull(strstr(problem, "No such file"));
    ck_assert_int_eq(packs_get(packs, "nobody", &pack, problem), -ENOENT);
    ck_assert_int_eq(readies, 0);
}
END_TEST

START_TEST(stopping_ends_the_packer_and_tells_nobody)
{
    struct packs_pack pack;
    char problem[PACKS_PROBLEM_SIZE];
    write_model("hang");
    packs_get(packs, "m", &pack, problem);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_run(&loop, UV_RUN_NOWAIT);
    int64_t begin = g_get_monotonic_time();
    packs_stop(packs);
    ck_assert(loop_until(&loop, at_rest, NULL, 15000));
    ck_assert_int_lt(g_get_monotonic_time() - begin, 1200000);
    ck_assert_int_eq(readies, 0);
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
    tcase_add_test(tests, a_missing_file_and_an_unknown_model_are_told_at_once);
    tcase_add_test(tests, stopping_ends_the_packer_and_tells_nobody);
    return suite_run("daemon/models/packs", &tests, 1);
}
