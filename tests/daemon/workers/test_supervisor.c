/* Real processes (tests/daemon/puppet.c) over real sockets, so each test takes what processes
 * take; time limits of the supervisor are shortened where a test waits for one. */
#include "tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/workers/crashes.h"
#include "daemon/workers/supervisor.h"
#include "tests/daemon/loop.h"

#if defined(__SANITIZE_ADDRESS__)
#define SLOWER 5 /* what is instrumented, on a machine with other work */
#else
#define SLOWER 1
#endif
#define PATIENCE_MS (15000 * SLOWER)
#define NUMBERED    16

static uv_loop_t loop;
static struct supervisor *sup;
static char *folder, *program;

/* What the listener heard, of all streams together; below, of those that have a number. */
static struct {
    struct message_stream_status last;
    int live, crashed, failed, ended, records, gone, prepared, stopped;
    struct record record;
    char host[MESSAGE_HOST_SIZE];
    int prepare_result;
    char crash[MESSAGE_DETAIL_SIZE];
    int64_t crashed_at;
    int live_again, live_again_ms;
    struct {
        int live, crashed;
        bool failed;
    } of[NUMBERED];
} heard;

/* "calm-3" is number 3; names without a number count as 0. */
static int number_of(const char *stream)
{
    const char *dash = strchr(stream, '-');
    return dash ? atoi(dash + 1) % NUMBERED : 0;
}

static int prepare(void *owner, const char *stream, struct message_stream_start *ret_start,
                   int ret_fds[2], int *ret_fd_count, struct supervisor_failure *ret_why)
{
    (void)owner;
    heard.prepared++;
    if (heard.prepare_result < 0) {
        ret_why->reason = REASON_MODEL;
        g_strlcpy(ret_why->detail, "no such file", sizeof ret_why->detail);
        return heard.prepare_result;
    }
    g_strlcpy(ret_start->stream, stream, sizeof ret_start->stream);
    g_strlcpy(ret_start->uri, "scene://street", sizeof ret_start->uri);
    g_strlcpy(ret_start->user, "guest", sizeof ret_start->user);
    g_strlcpy(ret_start->model, "scene", sizeof ret_start->model);
    ret_fds[0] = dup(STDIN_FILENO);
    *ret_fd_count = 1;
    return 0;
}

static void status(void *owner, const struct message_stream_status *new_status)
{
    (void)owner;
    heard.last = *new_status;
    heard.crashed += new_status->reason == REASON_CRASHED;
    heard.failed += new_status->state == STREAM_FAILED;
    heard.ended += new_status->state == STREAM_ENDED;
    int number = number_of(new_status->stream);
    heard.of[number].live += new_status->state == STREAM_LIVE;
    heard.of[number].crashed += new_status->reason == REASON_CRASHED;
    heard.of[number].failed = new_status->state == STREAM_FAILED;
    if (new_status->reason == REASON_CRASHED) {
        heard.crashed_at = g_get_monotonic_time();
        g_strlcpy(heard.crash, new_status->detail, sizeof heard.crash);
    }
    if (new_status->state == STREAM_LIVE) {
        heard.live++;
        if (heard.crashed && heard.live_again++ == 0)
            heard.live_again_ms = (int)((g_get_monotonic_time() - heard.crashed_at) / 1000);
    }
}

static void record(void *owner, const struct record *sent)
{
    (void)owner;
    heard.records++;
    heard.record = *sent;
}

static void resolve(void *owner, const char *stream, uint64_t run, int64_t request,
                    const char *host)
{
    (void)owner;
    g_strlcpy(heard.host, host, sizeof heard.host);
    struct message_resolved answer = {.request = request, .address_count = 1};
    g_strlcpy(answer.addresses[0], "192.0.2.7", sizeof answer.addresses[0]);
    supervisor_resolved(sup, stream, run, &answer);
}

static void snapshot_done(void *owner, const char *stream,
                          const struct message_snapshot_done *done)
{
    (void)owner;
    (void)stream;
    (void)done;
}

static void worker_gone(void *owner, const char *stream)
{
    (void)owner;
    (void)stream;
    heard.gone++;
}

static void all_stopped(void *owner)
{
    (void)owner;
    heard.stopped++;
}

static const struct supervisor_listener listener = {
    .prepare = prepare,
    .status = status,
    .record = record,
    .resolve = resolve,
    .snapshot_done = snapshot_done,
    .worker_gone = worker_gone,
};

/* A supervisor whose workers are the puppet under this name. */
static void setup_as(const char *name, struct supervisor_options options)
{
    g_autofree char *puppet =
        g_build_filename(g_getenv("VIGIL_BUILD_ROOT"), "tests/daemon/puppet", NULL);
    program = g_build_filename(folder, name, NULL);
    ck_assert_int_eq(symlink(puppet, program), 0);
    memset(&heard, 0, sizeof heard);
    options.loop = &loop;
    options.program = program;
    options.listener = &listener;
    ck_assert_int_eq(supervisor_create(&options, &sup), 0);
}

static void setup(void)
{
    folder = g_dir_make_tmp("vigil-supervisor-XXXXXX", NULL);
    ck_assert_ptr_nonnull(folder);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
}

static bool is_stopped(void *data)
{
    (void)data;
    return heard.stopped > 0;
}

/* Every test ends here: all stops, no child is left, no handle is open. */
static void teardown(void)
{
    if (!heard.stopped)
        supervisor_stop_all(sup, all_stopped);
    ck_assert(loop_until(&loop, is_stopped, NULL, PATIENCE_MS));
    supervisor_destroy(sup);
    loop_finish(&loop);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_unlink(path);
    }
    g_rmdir(folder);
    g_free(folder);
    g_clear_pointer(&program, g_free);
}

static bool counter_reached(void *data)
{
    int *const *pair = data;
    return *pair[0] >= *pair[1];
}

static void wait_for(int *counter, int value)
{
    int *pair[] = {counter, &value};
    ck_assert_msg(loop_until(&loop, counter_reached, pair, PATIENCE_MS),
                  "waited in vain; last status: %s %s %s", stream_state_name(heard.last.state),
                  stream_reason_name(heard.last.reason), heard.last.detail);
}

static struct supervisor_stats stats(void)
{
    struct supervisor_stats stats;
    supervisor_get_stats(sup, &stats);
    return stats;
}

START_TEST(a_started_stream_gets_its_start_message_with_descriptors)
{
    setup_as("puppet", (struct supervisor_options){0});
    ck_assert_int_eq(supervisor_start(sup, "calm"), 0);
    wait_for(&heard.live, 1);
    ck_assert_str_eq(heard.last.detail, "1 descriptors, user guest");
    ck_assert_int_gt(supervisor_stream_pid(sup, "calm"), 1);
}
END_TEST

START_TEST(the_worker_sees_four_descriptors_and_no_variable_of_ours)
{
    g_setenv("VIGIL_KEY", "canary", TRUE);
    /* What the test's own library, and who started it, left open for children. */
    ck_assert_int_eq(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC), 0);
    setup_as("puppet", (struct supervisor_options){0});
    supervisor_start(sup, "calm");
    wait_for(&heard.live, 2); /* by then it has closed what its stream was given */
    int pid = supervisor_stream_pid(sup, "calm");
    g_autofree char *fds = g_strdup_printf("/proc/%d/fd", pid);
    g_autofree char *variables = g_strdup_printf("/proc/%d/environ", pid);
    g_autoptr(GDir) dir = g_dir_open(fds, 0, NULL);
    int count = 0;
    while (g_dir_read_name(dir))
        count++;
    ck_assert_int_eq(count, 4);
    g_autofree char *text = NULL;
    gsize size;
    ck_assert(g_file_get_contents(variables, &text, &size, NULL));
    for (gsize i = 0; i < size; i++)
        if (text[i] == '\0')
            text[i] = '\n';
    ck_assert_ptr_null(strstr(text, "canary"));
}
END_TEST

START_TEST(a_killed_worker_is_replaced_by_the_spare_within_a_second)
{
    setup_as("slow", (struct supervisor_options){.spares = 1});
    supervisor_start(sup, "calm");
    wait_for(&heard.live, 1);
    while (stats().spares == 0)
        uv_run(&loop, UV_RUN_ONCE);
    kill(supervisor_stream_pid(sup, "calm"), SIGSEGV);
    wait_for(&heard.crashed, 1);
    ck_assert_ptr_nonnull(strstr(heard.crash, "died of signal 11"));
    wait_for(&heard.live_again, 1);
    ck_assert_int_lt(heard.live_again_ms, 200); /* a warm-up alone takes 300 */
    ck_assert_int_eq(stats().crashed, 1);
    ck_assert_int_eq(heard.gone, 1);
}
END_TEST

START_TEST(five_deaths_in_a_minute_leave_the_stream_failed_until_started_again)
{
    setup_as("puppet", (struct supervisor_options){.spares = 1});
    supervisor_start(sup, "exit");
    wait_for(&heard.failed, 1);
    ck_assert_int_eq(heard.crashed, CRASHES_LIMIT);
    ck_assert_int_eq(heard.last.reason, REASON_CRASHED);
    ck_assert_ptr_nonnull(strstr(heard.last.detail, "exited with status 3"));
    ck_assert_int_eq(heard.prepared, CRASHES_LIMIT);
    supervisor_start(sup, "exit");
    wait_for(&heard.prepared, CRASHES_LIMIT + 1);
}
END_TEST

START_TEST(a_crash_names_its_signal_and_leaves_other_streams_alone)
{
    setup_as("puppet", (struct supervisor_options){0});
    supervisor_start(sup, "calm");
    wait_for(&heard.live, 1);
    int pid = supervisor_stream_pid(sup, "calm");
    supervisor_start(sup, "crash");
    wait_for(&heard.crashed, 2);
    ck_assert_ptr_nonnull(strstr(heard.crash, "died of signal 11"));
    ck_assert_int_eq(supervisor_stream_pid(sup, "calm"), pid);
    ck_assert_int_eq(kill(pid, 0), 0);
}
END_TEST

/* What a worker must not send, and under which counter it is found. */
static const char *const malformed[] = {"garbage", "foreign",    "parent",
                                        "twice",   "descriptor", "disabled"};

/* The next worker may have earned its death already and not have died of it. */
static void expect_each_death_counted_once(int64_t killed)
{
    ck_assert_int_ge(killed, heard.crashed);
    ck_assert_int_le(killed, heard.crashed + 1);
}

START_TEST(a_worker_that_sends_what_it_must_not_is_killed)
{
    setup_as("puppet", (struct supervisor_options){0});
    supervisor_start(sup, malformed[_i]);
    wait_for(&heard.crashed, 1);
    expect_each_death_counted_once(stats().killed_malformed);
    ck_assert_int_eq(heard.records, 0);
}
END_TEST

static const char *const floods[] = {"flood", "pictures"};

START_TEST(a_worker_that_floods_is_killed)
{
    setup_as("puppet", (struct supervisor_options){0});
    supervisor_start(sup, floods[_i]);
    wait_for(&heard.crashed, 1);
    expect_each_death_counted_once(stats().killed_flooding);
}
END_TEST

START_TEST(a_silent_worker_is_killed)
{
    setup_as("puppet", (struct supervisor_options){.silence_ms = 1500});
    supervisor_start(sup, "silent");
    wait_for(&heard.crashed, 1);
    ck_assert_int_eq(stats().killed_silent, 1);
}
END_TEST

START_TEST(silence_while_we_stood_still_ourselves_is_forgiven)
{
    setup_as("puppet", (struct supervisor_options){.silence_ms = 3000});
    supervisor_start(sup, "calm");
    wait_for(&heard.live, 1);
    int pid = supervisor_stream_pid(sup, "calm");
    kill(pid, SIGSTOP); /* both stand still, as in a suspend */
    g_usleep(4500000);
    kill(pid, SIGCONT);
    int live = heard.live;
    wait_for(&heard.live, live + 20);
    ck_assert_int_eq(supervisor_stream_pid(sup, "calm"), pid);
    ck_assert_int_eq(stats().killed_silent, 0);
}
END_TEST

START_TEST(a_worker_that_ignores_stop_is_killed_in_time)
{
    setup_as("puppet", (struct supervisor_options){0});
    supervisor_start(sup, "deaf");
    wait_for(&heard.live, 1);
    int64_t start = g_get_monotonic_time();
    supervisor_stop(sup, "deaf");
    wait_for(&heard.gone, 1);
    int64_t took_ms = (g_get_monotonic_time() - start) / 1000;
    ck_assert_int_ge(took_ms, 490);
    ck_assert_int_lt(took_ms, 1500 * SLOWER);
    ck_assert_int_eq(stats().killed_stopping, 1);
    ck_assert_int_eq(stats().crashed, 0);
}
END_TEST

START_TEST(a_stopped_worker_says_its_last_words_first)
{
    setup_as("puppet", (struct supervisor_options){0});
    supervisor_start(sup, "record");
    wait_for(&heard.records, 1);
    ck_assert_int_eq(heard.record.phase, RECORD_STARTED);
    supervisor_stop(sup, "record");
    wait_for(&heard.gone, 1);
    ck_assert_int_eq(heard.records, 2);
    ck_assert_int_eq(heard.record.phase, RECORD_ENDED);
    ck_assert_int_eq(stats().killed_stopping, 0);
}
END_TEST

START_TEST(a_stream_started_again_gets_a_new_worker_and_the_old_one_goes)
{
    setup_as("puppet", (struct supervisor_options){0});
    supervisor_start(sup, "calm");
    wait_for(&heard.live, 1);
    int pid = supervisor_stream_pid(sup, "calm");
    supervisor_start(sup, "calm");
    wait_for(&heard.gone, 1);
    wait_for(&heard.prepared, 2);
    ck_assert_int_ne(supervisor_stream_pid(sup, "calm"), pid);
    while (kill(pid, 0) == 0) /* until it is reaped */
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_int_eq(stats().crashed, 0);
}
END_TEST

START_TEST(an_ended_stream_keeps_its_status_and_no_worker)
{
    setup_as("puppet", (struct supervisor_options){.spares = 1});
    supervisor_start(sup, "ended");
    wait_for(&heard.gone, 1);
    while (stats().workers > 0)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_int_eq(heard.last.state, STREAM_ENDED);
    ck_assert_int_eq(heard.prepared, 1);
    ck_assert_int_eq(stats().crashed, 0);
}
END_TEST

START_TEST(a_stream_given_up_without_a_reason_is_failed)
{
    setup_as("puppet", (struct supervisor_options){0});
    supervisor_start(sup, "orphan");
    wait_for(&heard.failed, 1);
    ck_assert_int_eq(heard.last.reason, REASON_INTERNAL);
}
END_TEST

START_TEST(a_question_for_a_name_is_passed_on_and_its_answer_back)
{
    setup_as("puppet", (struct supervisor_options){0});
    supervisor_start(sup, "resolve");
    wait_for(&heard.live, 2);
    ck_assert_str_eq(heard.host, "camera.test");
    while (strcmp(heard.last.detail, "192.0.2.7") != 0)
        uv_run(&loop, UV_RUN_ONCE);
}
END_TEST

START_TEST(a_stream_whose_files_do_not_open_is_failed_with_the_reason)
{
    setup_as("puppet", (struct supervisor_options){0});
    heard.prepare_result = -ENOENT;
    supervisor_start(sup, "calm");
    wait_for(&heard.failed, 1);
    ck_assert_int_eq(heard.last.reason, REASON_MODEL);
    ck_assert_str_eq(heard.last.detail, "no such file");
    ck_assert_int_eq(supervisor_stream_pid(sup, "calm"), -ENOENT);
}
END_TEST

START_TEST(a_stream_whose_files_may_open_in_a_moment_is_tried_again)
{
    setup_as("puppet", (struct supervisor_options){0});
    heard.prepare_result = -EMFILE;
    supervisor_start(sup, "calm");
    wait_for(&heard.prepared, 1);
    ck_assert_int_eq(heard.last.state, STREAM_BACKOFF);
    ck_assert_int_eq(heard.last.reason, REASON_MODEL);
    ck_assert_str_eq(heard.last.detail, "no such file; next try in 1 s");
    wait_for(&heard.prepared, 2);
    ck_assert_str_eq(heard.last.detail, "no such file; next try in 2 s");
    heard.prepare_result = 0;
    wait_for(&heard.live, 1);
    ck_assert_int_eq(heard.failed, 0);
}
END_TEST

START_TEST(a_stream_whose_model_is_being_made_waits_for_it_and_no_other_does)
{
    setup_as("puppet", (struct supervisor_options){.spares = 1});
    heard.prepare_result = -EINPROGRESS;
    supervisor_start(sup, "calm-1");
    wait_for(&heard.prepared, 1);
    heard.prepare_result = 0;
    supervisor_start(sup, "calm-2");
    wait_for(&heard.live, 2);
    ck_assert_int_eq(heard.prepared, 2);
    ck_assert_int_eq(heard.of[1].live, 0);
    supervisor_prepared(sup, "calm-2"); /* it waits for nothing */
    ck_assert_int_eq(heard.prepared, 2);
    supervisor_prepared(sup, "calm-1");
    while (heard.of[1].live == 0)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_int_eq(heard.prepared, 3);
    ck_assert_int_eq(heard.failed, 0);
}
END_TEST

static bool said_model(void *data)
{
    (void)data;
    return strcmp(heard.last.detail, "1 descriptors, model scene") == 0;
}

START_TEST(a_changed_model_is_told_to_the_worker_that_is_there)
{
    setup_as("puppet", (struct supervisor_options){0});
    supervisor_start(sup, "calm");
    wait_for(&heard.live, 1);
    int pid = supervisor_stream_pid(sup, "calm");
    supervisor_change_model(sup, "calm");
    ck_assert(loop_until(&loop, said_model, NULL, PATIENCE_MS));
    ck_assert_int_eq(supervisor_stream_pid(sup, "calm"), pid);
    ck_assert_int_eq(heard.gone, 0);
    ck_assert_int_eq(stats().spawned, 1);
}
END_TEST

START_TEST(a_changed_model_that_is_being_made_is_told_once_it_is)
{
    setup_as("puppet", (struct supervisor_options){0});
    supervisor_start(sup, "calm");
    wait_for(&heard.live, 1);
    heard.prepare_result = -EINPROGRESS;
    supervisor_change_model(sup, "calm");
    ck_assert_int_eq(heard.prepared, 2);
    heard.prepare_result = 0;
    supervisor_prepared(sup, "calm");
    ck_assert(loop_until(&loop, said_model, NULL, PATIENCE_MS));
    supervisor_prepared(sup, "calm"); /* it waits for nothing any more */
    ck_assert_int_eq(heard.prepared, 3);
    ck_assert_int_eq(heard.gone, 0);
}
END_TEST

START_TEST(a_stream_that_is_not_live_starts_again_with_its_other_model)
{
    setup_as("puppet", (struct supervisor_options){0});
    supervisor_start(sup, "ended");
    wait_for(&heard.ended, 1);
    supervisor_change_model(sup, "ended");
    wait_for(&heard.ended, 2);
    ck_assert_int_eq(heard.prepared, 2);
}
END_TEST

START_TEST(a_changed_model_that_cannot_be_opened_fails_its_stream)
{
    setup_as("puppet", (struct supervisor_options){0});
    supervisor_start(sup, "calm");
    wait_for(&heard.live, 1);
    heard.prepare_result = -ENOENT;
    supervisor_change_model(sup, "calm");
    wait_for(&heard.failed, 1);
    ck_assert_int_eq(heard.last.reason, REASON_MODEL);
}
END_TEST

/* Programs that never become a worker, and what is said about them. */
static const struct {
    const char *name, *problem;
} unfit[] = {
    {"dead", "exited with status 9"},
    {"unlocked", "its sandbox is not closed"},
    {"early", "before it was ready"},
    {"stuck", "not ready in time"},
};

START_TEST(a_worker_that_does_not_become_ready_is_tried_again_later)
{
    setup_as(unfit[_i].name, (struct supervisor_options){.ready_ms = 700});
    supervisor_start(sup, "calm");
    while (stats().spawned < 2)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert(!stats().workers_start);
    ck_assert_ptr_nonnull(strstr(stats().start_problem, unfit[_i].problem));
    ck_assert_int_eq(heard.prepared, 0);
    ck_assert_int_eq(heard.last.state, STREAM_BACKOFF);
    ck_assert_int_eq(heard.last.reason, REASON_INTERNAL);
}
END_TEST

START_TEST(a_program_that_does_not_exist_is_reported)
{
    struct supervisor_options options = {
        .loop = &loop, .program = "/nowhere/vigil-worker", .listener = &listener};
    memset(&heard, 0, sizeof heard);
    ck_assert_int_eq(supervisor_create(&options, &sup), 0);
    supervisor_start(sup, "calm");
    ck_assert(!stats().workers_start);
    ck_assert_int_eq(heard.last.state, STREAM_BACKOFF);
    ck_assert_ptr_nonnull(strstr(heard.last.detail, "No such file"));
}
END_TEST

/* --- several streams in a worker ---------------------------------------------------------- */

static void start_numbered(const char *kind, int first, int end)
{
    for (int i = first; i < end; i++) {
        g_autofree char *name = g_strdup_printf("%s-%d", kind, i);
        ck_assert_int_eq(supervisor_start(sup, name), 0);
    }
}

static int pid_of(const char *kind, int number)
{
    g_autofree char *name = g_strdup_printf("%s-%d", kind, number);
    return supervisor_stream_pid(sup, name);
}

static bool all_live(void *data)
{
    for (int i = 0; i < *(int *)data; i++)
        if (heard.of[i].live == 0)
            return false;
    return true;
}

static void wait_until_live(int count)
{
    for (int i = 0; i < NUMBERED; i++)
        heard.of[i].live = 0;
    ck_assert(loop_until(&loop, all_live, &count, PATIENCE_MS));
}

START_TEST(streams_fill_a_worker_before_they_take_the_next)
{
    setup_as("puppet", (struct supervisor_options){.streams_per_worker = 3, .spares = 1});
    start_numbered("calm", 0, 7);
    wait_until_live(7);
    int members[7];
    for (int i = 0; i < 7; i++) {
        members[i] = 0;
        for (int k = 0; k < 7; k++)
            members[i] += pid_of("calm", i) == pid_of("calm", k);
        ck_assert_int_le(members[i], 3);
    }
    int total = 0;
    for (int i = 0; i < 7; i++)
        total += 6 / members[i]; /* a worker of m streams counts 6 in all */
    ck_assert_int_eq(total, 3 * 6);
    while (stats().spares < 1)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_int_eq(stats().workers, 4);
}
END_TEST

START_TEST(a_stream_that_stops_leaves_the_others_in_their_worker)
{
    setup_as("puppet", (struct supervisor_options){.streams_per_worker = 3});
    start_numbered("calm", 0, 3);
    wait_until_live(3);
    int pid = pid_of("calm", 0);
    supervisor_stop(sup, "calm-1");
    wait_for(&heard.gone, 1);
    wait_until_live(1);
    ck_assert_int_eq(pid_of("calm", 1), -ENOENT);
    ck_assert_int_eq(pid_of("calm", 0), pid);
    ck_assert_int_eq(pid_of("calm", 2), pid);
    /* The place is free again, and the last one to leave closes the door. */
    supervisor_start(sup, "calm-1");
    wait_until_live(3);
    ck_assert_int_eq(pid_of("calm", 1), pid);
    for (int i = 0; i < 3; i++) {
        g_autofree char *name = g_strdup_printf("calm-%d", i);
        supervisor_stop(sup, name);
    }
    while (stats().workers > 0)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_int_eq(stats().crashed, 0);
    ck_assert_int_eq(stats().killed_stopping, 0);
}
END_TEST

START_TEST(streams_of_a_dead_worker_are_live_again_together_and_within_a_second)
{
    setup_as("slow", (struct supervisor_options){.streams_per_worker = 4, .spares = 1});
    start_numbered("calm", 0, 4);
    wait_until_live(4);
    while (stats().spares == 0)
        uv_run(&loop, UV_RUN_ONCE);
    kill(pid_of("calm", 0), SIGSEGV);
    wait_for(&heard.crashed, 4);
    ck_assert_ptr_nonnull(strstr(heard.crash, "shared with 3 others died of signal 11"));
    wait_until_live(4);
    ck_assert_int_lt((int)((g_get_monotonic_time() - heard.crashed_at) / 1000), 1000 * SLOWER);
    for (int i = 1; i < 4; i++)
        ck_assert_int_eq(pid_of("calm", i), pid_of("calm", 0));
    ck_assert_int_eq(stats().crashed, 1);
    ck_assert_int_eq(heard.gone, 4);
    /* Suspects stay among themselves. */
    supervisor_stop(sup, "calm-3");
    wait_for(&heard.gone, 5);
    supervisor_start(sup, "calm-5");
    while (pid_of("calm", 5) < 0)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_int_ne(pid_of("calm", 5), pid_of("calm", 0));
}
END_TEST

START_TEST(what_kills_its_workers_ends_up_alone_and_its_neighbours_are_spared)
{
    setup_as("puppet", (struct supervisor_options){.streams_per_worker = 8, .spares = 1});
    start_numbered("calm", 0, 7);
    wait_until_live(7);
    ck_assert_int_eq(pid_of("calm", 0), pid_of("calm", 6));
    supervisor_start(sup, "crash-7");
    while (!heard.of[7].failed)
        uv_run(&loop, UV_RUN_ONCE);
    wait_until_live(7);
    for (int i = 0; i < 7; i++) {
        ck_assert_int_ge(heard.of[i].crashed, 1);
        ck_assert_int_le(heard.of[i].crashed, 4); /* once together, then 8, 4, 2 */
        ck_assert(!heard.of[i].failed);
    }
    ck_assert_int_gt(heard.of[7].crashed, CRASHES_LIMIT - 1);
    /* It is given its chance again when a person asks for it, like any other. */
    supervisor_stop(sup, "crash-7");
    supervisor_start(sup, "calm-7");
    wait_until_live(8);
}
END_TEST

START_TEST(a_stream_that_hangs_as_it_stops_does_not_make_its_neighbours_suspects)
{
    setup_as("puppet", (struct supervisor_options){.streams_per_worker = 3, .spares = 1});
    start_numbered("calm", 0, 2);
    supervisor_start(sup, "deaf-2");
    wait_until_live(3);
    supervisor_stop(sup, "deaf-2");
    wait_for(&heard.crashed, 2);
    ck_assert_ptr_nonnull(strstr(heard.crash, "did not stop in time"));
    wait_until_live(2);
    ck_assert_int_eq(stats().killed_stopping, 1);
    /* They still take others in. */
    supervisor_start(sup, "calm-2");
    wait_until_live(3);
    ck_assert_int_eq(pid_of("calm", 2), pid_of("calm", 0));
}
END_TEST

static int count_descriptors(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    int count = 0;
    while (g_dir_read_name(dir))
        count++;
    return count;
}

START_TEST(many_streams_start_and_stop_without_leaving_descriptors)
{
    setup_as("puppet", (struct supervisor_options){.spares = 1});
    supervisor_start(sup, "calm"); /* libuv opens its own descriptors with the first process */
    wait_for(&heard.live, 1);
    supervisor_stop(sup, "calm");
    while (stats().workers > 0)
        uv_run(&loop, UV_RUN_ONCE);
    int before = count_descriptors();
    for (int i = 0; i < 12; i++) {
        g_autofree char *name = g_strdup_printf("calm-%d", i);
        supervisor_start(sup, name);
    }
    wait_for(&heard.prepared, 13);
    wait_for(&heard.live, 13);
    ck_assert_int_ge(stats().workers, 12);
    supervisor_stop_all(sup, all_stopped);
    wait_for(&heard.stopped, 1);
    ck_assert_int_eq(heard.gone, 13);
    /* Handles close with the next turn. */
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_int_eq(count_descriptors(), before);
}
END_TEST

static TCase *supervisor_case(void)
{
    TCase *tests = tcase_create("supervisor");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_started_stream_gets_its_start_message_with_descriptors);
    tcase_add_test(tests, the_worker_sees_four_descriptors_and_no_variable_of_ours);
    tcase_add_test(tests, a_killed_worker_is_replaced_by_the_spare_within_a_second);
    tcase_add_test(tests, five_deaths_in_a_minute_leave_the_stream_failed_until_started_again);
    tcase_add_test(tests, a_crash_names_its_signal_and_leaves_other_streams_alone);
    tcase_add_loop_test(tests, a_worker_that_sends_what_it_must_not_is_killed, 0,
                        (int)G_N_ELEMENTS(malformed));
    tcase_add_loop_test(tests, a_worker_that_floods_is_killed, 0, G_N_ELEMENTS(floods));
    tcase_add_test(tests, a_silent_worker_is_killed);
    tcase_add_test(tests, silence_while_we_stood_still_ourselves_is_forgiven);
    tcase_add_test(tests, a_worker_that_ignores_stop_is_killed_in_time);
    tcase_add_test(tests, a_stopped_worker_says_its_last_words_first);
    tcase_add_test(tests, a_stream_started_again_gets_a_new_worker_and_the_old_one_goes);
    tcase_add_test(tests, an_ended_stream_keeps_its_status_and_no_worker);
    tcase_add_test(tests, a_stream_given_up_without_a_reason_is_failed);
    tcase_add_test(tests, a_question_for_a_name_is_passed_on_and_its_answer_back);
    tcase_add_test(tests, a_stream_whose_files_do_not_open_is_failed_with_the_reason);
    tcase_add_test(tests, a_stream_whose_files_may_open_in_a_moment_is_tried_again);
    tcase_add_test(tests, a_stream_whose_model_is_being_made_waits_for_it_and_no_other_does);
    tcase_add_test(tests, a_changed_model_is_told_to_the_worker_that_is_there);
    tcase_add_test(tests, a_changed_model_that_is_being_made_is_told_once_it_is);
    tcase_add_test(tests, a_stream_that_is_not_live_starts_again_with_its_other_model);
    tcase_add_test(tests, a_changed_model_that_cannot_be_opened_fails_its_stream);
    tcase_add_loop_test(tests, a_worker_that_does_not_become_ready_is_tried_again_later, 0,
                        (int)G_N_ELEMENTS(unfit));
    tcase_add_test(tests, a_program_that_does_not_exist_is_reported);
    tcase_add_test(tests, streams_fill_a_worker_before_they_take_the_next);
    tcase_add_test(tests, a_stream_that_stops_leaves_the_others_in_their_worker);
    tcase_add_test(tests, streams_of_a_dead_worker_are_live_again_together_and_within_a_second);
    tcase_add_test(tests, what_kills_its_workers_ends_up_alone_and_its_neighbours_are_spared);
    tcase_add_test(tests,
                   a_stream_that_hangs_as_it_stops_does_not_make_its_neighbours_suspects);
    tcase_add_test(tests, many_streams_start_and_stop_without_leaving_descriptors);
    return tests;
}

int main(void)
{
    TCase *cases[] = {supervisor_case()};
    return suite_run("daemon/workers/supervisor", cases, 1);
}
