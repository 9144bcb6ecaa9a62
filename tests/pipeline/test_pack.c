/* `vigil-worker --pack`, and the real worker with what it made. */
#include "tests/pipeline/parent.h"

#include <sys/mman.h>

#include "nn/packed.h"
#include "tests/suite.h"

static struct parent parent;

struct outcome {
    int status;
    char said[512]; /* stdout, then stderr */
};

/* Runs the packer on a file, into `packed`. */
static struct outcome pack(const char *path, int packed, const char *setting)
{
    struct outcome outcome = {.status = -1};
    int said[2];
    ck_assert_int_eq(pipe2(said, O_CLOEXEC), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int model = open(path, O_RDONLY | O_CLOEXEC);
        if (model < 0 || dup2(model, STDIN_FILENO) < 0 || dup2(said[1], STDOUT_FILENO) < 0 ||
            dup2(said[1], STDERR_FILENO) < 0 || dup2(packed, 3) < 0)
            _exit(127);
        execl(parent_path("VIGIL_BUILD_ROOT", "pipeline/vigil-worker"), "vigil-worker",
              "--pack", setting, NULL);
        _exit(127);
    }
    close(said[1]);
    size_t length = 0;
    ssize_t n;
    while (length < sizeof outcome.said - 1 &&
           (n = read(said[0], outcome.said + length, sizeof outcome.said - 1 - length)) > 0)
        length += (size_t)n;
    close(said[0]);
    ck_assert_int_eq(waitpid(pid, &outcome.status, 0), pid);
    return outcome;
}

static int memory_file(void)
{
    int fd = memfd_create("vigil-model", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static void seal(int fd)
{
    ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK), 0);
}

static const char *scene_path(void)
{
    return parent_path("VIGIL_SOURCE_ROOT", "models/scene.onnx");
}

/* Every record and every window of a short scene, as lines; and what the model is called. */
static char *watch(int model, const char *sha256, char ret_model[RECORD_MODEL_SIZE])
{
    GString *lines = g_string_new(NULL);
    struct message start =
        parent_stream("street", "scene://street?seed=3&duration=8&width=320&height=180");
    start.start.windows = true;
    g_strlcpy(start.start.model_sha256, sha256, sizeof start.start.model_sha256);
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    parent_send(&parent, &start, &model, 1);
    int64_t deadline = parent_now_ms() + 60000;
    do {
        ck_assert_int_gt(parent_receive(&parent, deadline), 0);
        if (parent.message.type == MESSAGE_STREAM_STATUS) {
            ck_assert_msg(parent.message.status.state != STREAM_FAILED, "%s",
                          parent.message.status.detail);
            g_strlcpy(ret_model, parent.message.status.model, RECORD_MODEL_SIZE);
        } else if (parent.message.type != MESSAGE_STREAM_DONE) {
            char *text = message_to_text(&parent.message);
            g_string_append_printf(lines, "%s\n", text);
            free(text);
        }
    } while (parent.message.type != MESSAGE_STREAM_DONE);
    parent_quit(&parent);
    return g_string_free(lines, FALSE);
}

START_TEST(a_packed_model_sees_what_its_onnx_file_sees)
{
    int packed = memory_file();
    struct outcome outcome = pack(scene_path(), packed, NULL);
    ck_assert_msg(outcome.status == 0, "%s", outcome.said);
    ck_assert(g_str_has_prefix(outcome.said, "sha256 "));
    ck_assert_uint_eq(strlen(outcome.said), strlen("sha256 ") + 64 + 1);
    seal(packed);
    char sha256[65], name[2][RECORD_MODEL_SIZE];
    g_strlcpy(sha256, outcome.said + strlen("sha256 "), sizeof sha256);
    int onnx = open(scene_path(), O_RDONLY | O_CLOEXEC);
    g_autofree char *direct = watch(onnx, "", name[0]);
    g_autofree char *mapped = watch(packed, sha256, name[1]);
    ck_assert_str_eq(direct, mapped);
    ck_assert_ptr_nonnull(strstr(direct, "\"type\":\"window\""));
    ck_assert_str_eq(name[0], name[1]);
    close(onnx);
    close(packed);
}
END_TEST

static void expect_failed(int model, const char *why)
{
    struct message start = parent_stream("street", "scene://street");
    parent_start(&parent, NULL);
    parent_await_ready(&parent);
    parent_send(&parent, &start, &model, 1);
    parent_await_state(&parent, STREAM_FAILED, REASON_MODEL, 5000);
    ck_assert_msg(strstr(parent.message.status.detail, why) != NULL, "%s",
                  parent.message.status.detail);
    parent_quit(&parent);
}

START_TEST(a_packed_model_that_could_change_is_not_mapped)
{
    int packed = memory_file();
    ck_assert_int_eq(pack(scene_path(), packed, NULL).status, 0);
    expect_failed(packed, "not sealed");
    ck_assert_int_eq(fcntl(packed, F_ADD_SEALS, F_SEAL_WRITE), 0);
    expect_failed(packed, "not sealed"); /* it could shrink under our feet */
    close(packed);
}
END_TEST

START_TEST(a_damaged_packed_model_fails_its_stream)
{
    int packed = memory_file();
    ck_assert_int_eq(pack(scene_path(), packed, NULL).status, 0);
    char byte;
    ck_assert_int_eq(pread(packed, &byte, 1, 40000), 1);
    byte ^= 1;
    ck_assert_int_eq(pwrite(packed, &byte, 1, 40000), 1);
    seal(packed);
    expect_failed(packed, "damaged");
    close(packed);
}
END_TEST

START_TEST(an_onnx_file_in_place_of_a_packed_one_is_not_parsed)
{
    int model = memory_file();
    gsize size;
    g_autofree char *onnx = NULL;
    ck_assert(g_file_get_contents(scene_path(), &onnx, &size, NULL));
    ck_assert_int_eq(write(model, onnx, size), (ssize_t)size);
    seal(model);
    expect_failed(model, "not packed");
    close(model);
}
END_TEST

START_TEST(what_cannot_be_packed_is_said_in_one_line_after_its_hash)
{
    int packed = memory_file();
    g_autofree char *path = NULL;
    int bad = g_file_open_tmp("vigil-pack-XXXXXX", &path, NULL);
    ck_assert_int_eq(write(bad, "no network at all", 17), 17);
    struct outcome outcome = pack(path, packed, NULL);
    ck_assert(WIFEXITED(outcome.status));
    ck_assert_int_eq(WEXITSTATUS(outcome.status), 78);
    ck_assert(g_str_has_prefix(outcome.said, "sha256 "));
    ck_assert_ptr_nonnull(strstr(outcome.said, "\nnot an ONNX model"));
    outcome = pack(scene_path(), packed, "--set=vigil.windows=3");
    ck_assert_int_eq(WEXITSTATUS(outcome.status), 78);
    ck_assert_ptr_nonnull(strstr(outcome.said, "vigil.windows"));
    outcome = pack("/proc/self/nothing", packed, NULL);
    ck_assert_int_eq(WEXITSTATUS(outcome.status), 127);
    close(bad);
    unlink(path);
    close(packed);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("pack");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_packed_model_sees_what_its_onnx_file_sees);
    tcase_add_test(tests, a_packed_model_that_could_change_is_not_mapped);
    tcase_add_test(tests, an_onnx_file_in_place_of_a_packed_one_is_not_parsed);
    tcase_add_test(tests, a_damaged_packed_model_fails_its_stream);
    tcase_add_test(tests, what_cannot_be_packed_is_said_in_one_line_after_its_hash);
    return suite_run("pipeline/pack", &tests, 1);
}
