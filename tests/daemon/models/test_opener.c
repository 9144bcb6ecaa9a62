/* Real files, and folders that do not answer: file_open is wrapped by the linker, and what it
 * is asked of a folder whose name begins with "silent" waits. */
#include "tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/models/opener.h"
#include "tests/daemon/loop.h"
#include "tests/daemon/records.h"

static uv_loop_t loop;
static struct opener *opener;
static char *folder, *path;
static int answers, last_fd;
static off_t last_size;
static uv_mutex_t lock;
static uv_cond_t answers_again;
static bool answering; /* the silent folders; under the lock, as held */
static int held;       /* opens that had to wait */

int __real_file_open(const char *name);
int __wrap_file_open(const char *name);

int __wrap_file_open(const char *name)
{
    if (strstr(name, "/silent")) {
        uv_mutex_lock(&lock);
        held += !answering;
        while (!answering)
            uv_cond_wait(&answers_again, &lock);
        uv_mutex_unlock(&lock);
    }
    return __real_file_open(name);
}

static int count_held(void)
{
    uv_mutex_lock(&lock);
    int count = held;
    uv_mutex_unlock(&lock);
    return count;
}

static void opened(void *owner, int fd, const struct stat *status)
{
    ck_assert_ptr_eq(owner, &answers);
    ck_assert_int_eq(fd >= 0, status != NULL);
    answers++;
    last_fd = fd;
    last_size = status ? status->st_size : -1;
    if (fd >= 0)
        close(fd);
}

static bool answered(void *data)
{
    return answers >= *(int *)data;
}

static void wait_for(int count)
{
    ck_assert(loop_until(&loop, answered, &count, 2 * OPENER_DEADLINE_MS));
    ck_assert_int_eq(answers, count);
}

static struct opening *ask(const char *file)
{
    return opener_open(opener, file, opened, &answers);
}

/* At exit, too: libuv waits for its threads there, so a check that fails would hang instead. */
static void release_all(void)
{
    uv_mutex_lock(&lock);
    answering = true;
    uv_cond_broadcast(&answers_again);
    uv_mutex_unlock(&lock);
}

static void setup(void)
{
    g_setenv("UV_THREADPOOL_SIZE", "8", TRUE);
    uv_mutex_init(&lock);
    uv_cond_init(&answers_again);
    atexit(release_all);
    folder = g_dir_make_tmp("vigil-opener-XXXXXX", NULL);
    path = g_build_filename(folder, "m.onnx", NULL);
    ck_assert(g_file_set_contents(path, "a model", -1, NULL));
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(opener_create(&loop, &opener), 0);
    answering = false;
    held = 0;
    answers = 0;
}

static void teardown(void)
{
    release_all();
    opener_close(opener);
    loop_finish(&loop);
    records_remove_tree(folder);
    g_free(folder);
    g_free(path);
}

/* Of a silent folder. */
static struct opening *ask_in(const char *silent)
{
    g_autofree char *file = g_build_filename(folder, silent, "m.onnx", NULL);
    return ask(file);
}

START_TEST(a_file_is_opened_and_described)
{
    ask(path);
    ck_assert_int_eq(answers, 0); /* never from inside */
    wait_for(1);
    ck_assert_int_ge(last_fd, 0);
    ck_assert_int_eq(last_size, strlen("a model"));
}
END_TEST

START_TEST(what_is_no_file_is_refused_and_waited_for_by_nobody)
{
    g_autofree char *fifo = g_build_filename(folder, "fifo", NULL);
    g_autofree char *missing = g_build_filename(folder, "missing", NULL);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    const struct {
        const char *path;
        int error;
    } rows[] = {{fifo, -EMEDIUMTYPE}, {folder, -EISDIR}, {missing, -ENOENT}};
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        ask(rows[i].path);
        wait_for((int)i + 1);
        ck_assert_int_eq(last_fd, rows[i].error);
    }
}
END_TEST

static void count_turn(uv_timer_t *timer)
{
    ++*(int *)timer->data;
}

START_TEST(a_disk_that_does_not_answer_is_given_up_in_time_while_the_loop_turns)
{
    uv_timer_t timer;
    int turns = 0;
    uv_timer_init(&loop, &timer);
    timer.data = &turns;
    uv_timer_start(&timer, count_turn, 100, 100);
    int64_t begin = g_get_monotonic_time();
    ask_in("silent");
    ask_in("silent");
    wait_for(2);
    int64_t took_ms = (g_get_monotonic_time() - begin) / 1000;
    ck_assert_int_eq(last_fd, -ETIMEDOUT);
    ck_assert_int_ge(took_ms, OPENER_DEADLINE_MS - 10);
    ck_assert_int_lt(took_ms, OPENER_DEADLINE_MS + 4000);
    ck_assert_int_ge(turns, OPENER_DEADLINE_MS / 100 / 2);
    ck_assert_int_eq(count_held(), 1); /* whatever is asked of one folder */
    /* It is known to hang: no second try, no second wait. */
    begin = g_get_monotonic_time();
    ask_in("silent");
    wait_for(3);
    ck_assert_int_eq(last_fd, -ETIMEDOUT);
    ck_assert_int_lt((g_get_monotonic_time() - begin) / 1000, OPENER_DEADLINE_MS / 2);
    ck_assert_int_eq(count_held(), 1);
    /* It answers again; those that were late are not answered twice. */
    release_all();
    while (last_fd == -ETIMEDOUT) {
        ask_in("silent");
        wait_for(answers + 1);
    }
    ck_assert_int_eq(last_fd, -ENOENT);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
}
END_TEST

START_TEST(folders_that_answer_do_not_wait_for_those_that_do_not)
{
    static const char *const names[] = {"silent-a", "silent-b", "silent-c", "silent-d",
                                        "silent-e"};
    for (size_t i = 0; i < 2; i++)
        ask_in(names[i]);
    wait_for(2);
    int64_t begin = g_get_monotonic_time();
    ask(path);
    wait_for(3);
    ck_assert_int_ge(last_fd, 0);
    ck_assert_int_lt((g_get_monotonic_time() - begin) / 1000, OPENER_DEADLINE_MS / 2);
    /* The pool has other work, too: what hangs may not have all of it. */
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
        ask_in(names[i]);
    wait_for(3 + (int)G_N_ELEMENTS(names));
    ck_assert_int_eq(last_fd, -ETIMEDOUT);
    ck_assert_int_eq(count_held(), OPENER_PARALLEL + OPENER_LATE_MAX);
}
END_TEST

/* Those that a thread has, and those that wait for their turn. */
START_TEST(who_does_not_wait_any_more_hears_nothing_and_leaves_no_file_open)
{
    int before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(before);
    struct opening *openings[6];
    for (size_t i = 0; i < G_N_ELEMENTS(openings); i++)
        openings[i] = ask_in(i % 2 ? "silent-a" : "silent-b");
    uv_run(&loop, UV_RUN_NOWAIT);
    for (size_t i = 0; i < G_N_ELEMENTS(openings); i++)
        opening_cancel(openings[i]);
    release_all();
    ask(path);
    wait_for(1);
    opener_close(opener);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(answers, 1);
    int after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(after);
    ck_assert_int_eq(after, before);
    opener = NULL;
}
END_TEST

START_TEST(closing_with_openings_under_way_answers_none)
{
    for (int i = 0; i < 10; i++)
        ask(path);
    uv_run(&loop, UV_RUN_NOWAIT);
    answers = 0;
    opener_close(opener);
    opener = NULL;
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(answers, 0);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("opener");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_file_is_opened_and_described);
    tcase_add_test(tests, what_is_no_file_is_refused_and_waited_for_by_nobody);
    tcase_add_test(tests, a_disk_that_does_not_answer_is_given_up_in_time_while_the_loop_turns);
    tcase_add_test(tests, folders_that_answer_do_not_wait_for_those_that_do_not);
    tcase_add_test(tests, who_does_not_wait_any_more_hears_nothing_and_leaves_no_file_open);
    tcase_add_test(tests, closing_with_openings_under_way_answers_none);
    return suite_run("daemon/models/opener", &tests, 1);
}
