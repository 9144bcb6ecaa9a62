/* Shells stand in for `vigil`: what they print, and how they end. */
#include "tests/suite.h"

#include <glib.h>
#include <signal.h>
#include <string.h>

#include "daemon/jobs/process.h"
#include "tests/daemon/loop.h"

#define PATIENCE_MS 20000

static uv_loop_t loop;
static struct process *process;

static struct {
    GString *lines; /* epochs that were told, a letter each */
    int gone;
    struct process_exit how;
    char words[512];
} seen;

static void take_line(void *owner, const json_t *line)
{
    (void)owner;
    g_string_append_printf(seen.lines, "%lld ",
                           (long long)json_integer_value(json_object_get(line, "epoch")));
}

static void take_end(void *owner, const struct process_exit *how)
{
    (void)owner;
    seen.gone++;
    seen.how = *how;
    g_strlcpy(seen.words, how->last_words, sizeof seen.words);
}

static bool is_gone(void *data)
{
    (void)data;
    return seen.gone > 0;
}

static bool has_lines(void *data)
{
    return strcmp(seen.lines->str, data) == 0;
}

static void start(const char *script)
{
    char *arguments[] = {(char *)"/bin/sh", (char *)"-c", (char *)script, NULL};
    const struct process_options options = {
        .loop = &loop, .arguments = arguments, .line = take_line, .gone = take_end};
    ck_assert_int_eq(process_start(&options, &process), 0);
}

static void wait_gone(void)
{
    ck_assert(loop_until(&loop, is_gone, NULL, PATIENCE_MS));
}

static void set_up(void)
{
    memset(&seen, 0, sizeof seen);
    seen.lines = g_string_new(NULL);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
}

static void tear_down(void)
{
    loop_finish(&loop);
    ck_assert_int_eq(seen.gone, 1);
    g_string_free(seen.lines, TRUE);
}

START_TEST(each_object_is_told_in_order_also_without_a_last_newline)
{
    start("printf '{\"epoch\":1}\\n{\"epoch\":2}\\n{\"epoch\":3}'");
    wait_gone();
    ck_assert_str_eq(seen.lines->str, "1 2 3 ");
    ck_assert_int_eq(seen.how.status, 0);
    ck_assert_int_eq(seen.how.signal, 0);
}
END_TEST

START_TEST(what_is_no_object_is_left_out)
{
    start("printf 'hello\\n[1]\\n{\"epoch\":1\\n\\n{\"epoch\":1,\"epoch\":2}\\n\\377\\n"
          "{\"epoch\":7}\\n'");
    wait_gone();
    ck_assert_str_eq(seen.lines->str, "7 ");
}
END_TEST

START_TEST(a_line_without_end_takes_no_more_room)
{
    start("printf '{\"epoch\":1,\"x\":\"'; head -c 3000000 /dev/zero | tr '\\0' 'x'; "
          "printf '\"}\\n{\"epoch\":2}\\n'");
    wait_gone();
    ck_assert_str_eq(seen.lines->str, "2 ");
}
END_TEST

START_TEST(a_line_that_is_cut_is_not_taken_for_what_is_left_of_it)
{
    start("printf '{\"epoch\":1}'; head -c 5000 /dev/zero | tr '\\0' ' '; "
          "printf 'x\\n{\"epoch\":2}\\n'");
    wait_gone();
    ck_assert_str_eq(seen.lines->str, "2 ");
}
END_TEST

START_TEST(the_last_line_of_stderr_is_kept_and_printable)
{
    start("printf 'first\\n\\n\\033[2Jlast\\n' >&2; exit 66");
    wait_gone();
    ck_assert_int_eq(seen.how.status, 66);
    ck_assert_str_eq(seen.words, "?[2Jlast");
}
END_TEST

START_TEST(one_that_is_asked_to_stop_may_do_so_in_its_own_way)
{
    start("trap 'exit 3' TERM; echo '{\"epoch\":1}'; while :; do sleep 0.01; done");
    ck_assert(loop_until(&loop, has_lines, (void *)"1 ", PATIENCE_MS));
    process_stop(process);
    process_stop(process);
    wait_gone();
    ck_assert_int_eq(seen.how.status, 3);
}
END_TEST

START_TEST(one_that_does_not_stop_is_killed)
{
    start("trap '' TERM; echo '{\"epoch\":1}'; while :; do sleep 0.05; done");
    ck_assert(loop_until(&loop, has_lines, (void *)"1 ", PATIENCE_MS));
    uint64_t asked = uv_hrtime();
    process_stop(process);
    wait_gone();
    ck_assert_int_eq(seen.how.signal, SIGKILL);
    ck_assert_uint_ge((uv_hrtime() - asked) / 1000000 + 50, PROCESS_STOP_MS);
}
END_TEST

START_TEST(what_it_leaves_behind_holds_nobody_up)
{
    start("sleep 600 & echo \"{\\\"epoch\\\":$!}\"; wait");
    while (seen.lines->len == 0)
        uv_run(&loop, UV_RUN_ONCE);
    process_kill(process);
    wait_gone();
    kill((pid_t)g_ascii_strtoll(seen.lines->str, NULL, 10), SIGKILL);
}
END_TEST

START_TEST(it_has_neither_our_environment_nor_our_folder_nor_input)
{
    g_setenv("VIGIL_TEST_SECRET", "1", TRUE);
    start("test -z \"$VIGIL_TEST_SECRET\" && test \"$(pwd)\" = / && test -z \"$(cat)\"");
    wait_gone();
    ck_assert_int_eq(seen.how.status, 0);
}
END_TEST

START_TEST(a_program_that_is_not_there_is_no_process)
{
    char *arguments[] = {(char *)"/nowhere/vigil", NULL};
    const struct process_options options = {
        .loop = &loop, .arguments = arguments, .line = take_line, .gone = take_end};
    ck_assert_int_eq(process_start(&options, &process), UV_ENOENT);
    seen.gone = 1; /* as tear_down expects; nothing was called */
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(seen.gone, 1);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("process");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, each_object_is_told_in_order_also_without_a_last_newline);
    tcase_add_test(tc, what_is_no_object_is_left_out);
    tcase_add_test(tc, a_line_without_end_takes_no_more_room);
    tcase_add_test(tc, a_line_that_is_cut_is_not_taken_for_what_is_left_of_it);
    tcase_add_test(tc, the_last_line_of_stderr_is_kept_and_printable);
    tcase_add_test(tc, one_that_is_asked_to_stop_may_do_so_in_its_own_way);
    tcase_add_test(tc, one_that_does_not_stop_is_killed);
    tcase_add_test(tc, what_it_leaves_behind_holds_nobody_up);
    tcase_add_test(tc, it_has_neither_our_environment_nor_our_folder_nor_input);
    tcase_add_test(tc, a_program_that_is_not_there_is_no_process);
    return suite_run("daemon/jobs/process", &tc, 1);
}
