/* Real workers (tests/daemon/puppet.c) that give pictures, none, lies, or no answer. */
#include "tests/suite.h"

#include <glib.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "daemon/snapshots.h"
#include "tests/daemon/loop.h"

static uv_loop_t loop;
static struct supervisor *sup;
static struct snapshots *snapshots;
static char *program;

static struct {
    int live, answers, stopped;
    unsigned char *jpeg;
    size_t size;
    char problem[256];
} seen;

static int prepare(void *owner, const char *stream, struct message_stream_start *ret_start,
                   int ret_fds[2], int *ret_fd_count, struct supervisor_failure *ret_why)
{
    (void)owner;
    (void)ret_fds;
    (void)ret_why;
    g_strlcpy(ret_start->stream, stream, sizeof ret_start->stream);
    g_strlcpy(ret_start->uri, "scene://street", sizeof ret_start->uri);
    g_strlcpy(ret_start->model, "scene", sizeof ret_start->model);
    *ret_fd_count = 0;
    return 0;
}

static void status(void *owner, const struct message_stream_status *status_now)
{
    (void)owner;
    seen.live += status_now->state == STREAM_LIVE;
}

static void snapshot_done(void *owner, const char *stream,
                          const struct message_snapshot_done *done)
{
    (void)owner;
    snapshots_answered(snapshots, stream, done);
}

static void worker_gone(void *owner, const char *stream)
{
    (void)owner;
    if (snapshots)
        snapshots_worker_gone(snapshots, stream);
}

static const struct supervisor_listener listener = {
    .prepare = prepare,
    .status = status,
    .snapshot_done = snapshot_done,
    .worker_gone = worker_gone,
};

static void picture(void *data, unsigned char *jpeg, size_t size, const char *problem)
{
    (void)data;
    free(seen.jpeg);
    seen.answers++;
    seen.jpeg = jpeg;
    seen.size = size;
    g_strlcpy(seen.problem, problem ? problem : "", sizeof seen.problem);
}

static bool reached(void *data)
{
    int *const *pair = data;
    return *pair[0] >= *pair[1];
}

static void wait_for(int *counter, int value)
{
    int *pair[] = {counter, &value};
    ck_assert(loop_until(&loop, reached, pair, 15000));
}

static void all_stopped(void *owner)
{
    (void)owner;
    seen.stopped = 1;
}

static void setup(void)
{
    memset(&seen, 0, sizeof seen);
    program = g_build_filename(g_getenv("VIGIL_BUILD_ROOT"), "tests/daemon/puppet", NULL);
    struct supervisor_options options = {
        .loop = &loop, .program = program, .listener = &listener};
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(supervisor_create(&options, &sup), 0);
    ck_assert_int_eq(snapshots_create(&loop, sup, &snapshots), 0);
}

static void teardown(void)
{
    snapshots_destroy(snapshots);
    snapshots = NULL;
    supervisor_stop_all(sup, all_stopped);
    wait_for(&seen.stopped, 1);
    supervisor_destroy(sup);
    loop_finish(&loop);
    free(seen.jpeg);
    g_free(program);
}

static void start(const char *stream)
{
    supervisor_start(sup, stream);
    wait_for(&seen.live, 1);
}

START_TEST(a_picture_arrives_whole)
{
    start("calm");
    snapshots_take(snapshots, "calm", picture, NULL);
    wait_for(&seen.answers, 1);
    ck_assert_ptr_nonnull(seen.jpeg);
    ck_assert_uint_eq(seen.size, 9);
    ck_assert_uint_eq(seen.jpeg[0], 0xff);
    ck_assert_uint_eq(seen.jpeg[8], 0xd9);
}
END_TEST

START_TEST(a_worker_without_a_picture_says_why)
{
    start("blind");
    snapshots_take(snapshots, "blind", picture, NULL);
    wait_for(&seen.answers, 1);
    ck_assert_ptr_null(seen.jpeg);
    ck_assert_str_eq(seen.problem, "no light");
}
END_TEST

START_TEST(what_is_no_jpeg_is_not_passed_on)
{
    start("liar");
    snapshots_take(snapshots, "liar", picture, NULL);
    wait_for(&seen.answers, 1);
    ck_assert_ptr_null(seen.jpeg);
    ck_assert_ptr_nonnull(strstr(seen.problem, "no picture"));
}
END_TEST

START_TEST(a_worker_that_does_not_answer_is_not_waited_for)
{
    start("mute");
    int64_t begin = g_get_monotonic_time();
    snapshots_take(snapshots, "mute", picture, NULL);
    wait_for(&seen.answers, 1);
    int64_t took_ms = (g_get_monotonic_time() - begin) / 1000;
    ck_assert_int_ge(took_ms, SNAPSHOTS_DEADLINE_MS - 20);
    ck_assert_int_lt(took_ms, SNAPSHOTS_DEADLINE_MS + 1500);
    ck_assert_ptr_nonnull(strstr(seen.problem, "in time"));
}
END_TEST

START_TEST(the_death_of_the_worker_is_an_answer)
{
    start("mute");
    snapshots_take(snapshots, "mute", picture, NULL);
    kill(supervisor_stream_pid(sup, "mute"), SIGKILL);
    int64_t begin = g_get_monotonic_time();
    wait_for(&seen.answers, 1);
    ck_assert_int_lt(g_get_monotonic_time() - begin, 1500000);
    ck_assert_ptr_null(seen.jpeg);
}
END_TEST

START_TEST(a_stream_without_a_worker_has_no_picture)
{
    snapshots_take(snapshots, "nobody", picture, NULL);
    ck_assert_int_eq(seen.answers, 1);
    ck_assert_ptr_nonnull(strstr(seen.problem, "no worker"));
}
END_TEST

START_TEST(more_pictures_than_allowed_at_once_are_refused)
{
    start("mute");
    for (int i = 0; i < SNAPSHOTS_MAX; i++)
        snapshots_take(snapshots, "mute", picture, NULL);
    ck_assert_int_eq(seen.answers, 0);
    snapshots_take(snapshots, "mute", picture, NULL);
    ck_assert_int_eq(seen.answers, 1);
    ck_assert_ptr_nonnull(strstr(seen.problem, "too many"));
    snapshots_destroy(snapshots); /* answers the rest */
    snapshots = NULL;
    ck_assert_int_eq(seen.answers, SNAPSHOTS_MAX + 1);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("snapshots");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_picture_arrives_whole);
    tcase_add_test(tests, a_worker_without_a_picture_says_why);
    tcase_add_test(tests, what_is_no_jpeg_is_not_passed_on);
    tcase_add_test(tests, a_worker_that_does_not_answer_is_not_waited_for);
    tcase_add_test(tests, the_death_of_the_worker_is_an_answer);
    tcase_add_test(tests, a_stream_without_a_worker_has_no_picture);
    tcase_add_test(tests, more_pictures_than_allowed_at_once_are_refused);
    return suite_run("daemon/snapshots", &tests, 1);
}
