/* Names that need no network: those of /etc/hosts, numbers, and what is no name at all. A name
 * server that does not answer is a pool whose threads are all held. */
#include "tests/suite.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "daemon/resolver.h"
#include "tests/daemon/loop.h"

static uv_loop_t loop;
static struct resolver *resolver;
static int answers;
static char order[64]; /* first letters of the streams that were answered */
static struct message_resolved last;
static struct resolver_question last_question;

static void answer(void *owner, const struct resolver_question *question,
                   const struct message_resolved *resolved)
{
    (void)owner;
    order[answers % (int)(sizeof order - 1)] = question->stream[0];
    answers++;
    last = *resolved;
    last_question = *question;
}

static bool answered(void *data)
{
    return answers >= *(int *)data;
}

static void wait_for(int count)
{
    ck_assert_msg(loop_until(&loop, answered, &count, 10000), "%d of %d", answers, count);
}

static int ask_for(const char *stream, const char *host)
{
    struct resolver_question question = {.run = 3, .request = 77};
    g_strlcpy(question.stream, stream, sizeof question.stream);
    g_strlcpy(question.host, host, sizeof question.host);
    return resolver_ask(resolver, &question);
}

/* For a stream that has not asked yet. */
static int ask(const char *host)
{
    static int streams;
    char stream[RECORD_NAME_SIZE];
    g_snprintf(stream, sizeof stream, "stream-%d", streams++);
    return ask_for(stream, host);
}

static void setup(void)
{
    g_setenv("UV_THREADPOOL_SIZE", "1", TRUE);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(resolver_create(&loop, answer, NULL, &resolver), 0);
    answers = 0;
    memset(order, 0, sizeof order);
}

static void teardown(void)
{
    resolver_close(resolver);
    loop_finish(&loop);
}

START_TEST(a_known_name_gets_its_addresses)
{
    ck_assert_int_eq(ask_for("a", "localhost"), 0);
    ck_assert_int_eq(answers, 0); /* never from inside */
    wait_for(1);
    ck_assert_int_ge(last.address_count, 1);
    ck_assert(strcmp(last.addresses[0], "127.0.0.1") == 0 ||
              strcmp(last.addresses[0], "::1") == 0);
    ck_assert_int_eq(last.request, 77);
    ck_assert_uint_eq(last_question.run, 3);
    ck_assert_str_eq(last_question.stream, "a");
}
END_TEST

START_TEST(one_stream_cannot_use_up_the_room_of_others)
{
    for (int i = 0; i < RESOLVER_PER_STREAM_MAX; i++)
        ck_assert_int_eq(ask_for("a", "localhost"), 0);
    ck_assert_int_eq(ask_for("a", "localhost"), -ENOBUFS);
    ck_assert_int_eq(ask_for("b", "localhost"), 0);
    wait_for(RESOLVER_PER_STREAM_MAX + 1);
    ck_assert_int_eq(ask_for("a", "localhost"), 0);
    wait_for(RESOLVER_PER_STREAM_MAX + 2);
}
END_TEST

static const char *const no_names[] = {"", "a..b", "bad name", "-", ".."};

START_TEST(what_is_no_name_gets_no_address)
{
    ck_assert_int_eq(ask(no_names[_i]), 0);
    wait_for(1);
    ck_assert_int_eq(last.address_count, 0);
    ck_assert_int_eq(last.request, 77);
}
END_TEST

static void hold(uv_work_t *work)
{
    uv_sem_wait(work->data);
}

static void released(uv_work_t *work, int status)
{
    (void)work;
    (void)status;
}

START_TEST(a_question_is_answered_in_time_even_when_no_one_looks)
{
    uv_sem_t gate;
    uv_work_t work = {.data = &gate};
    uv_sem_init(&gate, 0);
    uv_queue_work(&loop, &work, hold, released);
    int64_t start = g_get_monotonic_time();
    for (int i = 0; i < RESOLVER_PARALLEL + 2; i++)
        ck_assert_int_eq(ask("localhost"), 0);
    wait_for(RESOLVER_PARALLEL + 2);
    int64_t took_ms = (g_get_monotonic_time() - start) / 1000;
    ck_assert_int_ge(took_ms, RESOLVER_DEADLINE_MS - 10);
    ck_assert_int_lt(took_ms, RESOLVER_DEADLINE_MS + 1500);
    ck_assert_int_eq(last.address_count, 0);
    uv_sem_post(&gate);
    ask("localhost"); /* and those that were late are not answered twice */
    wait_for(RESOLVER_PARALLEL + 3);
    ck_assert_int_ge(last.address_count, 1);
    for (int i = 0; i < 5; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_int_eq(answers, RESOLVER_PARALLEL + 3);
    uv_sem_destroy(&gate);
}
END_TEST

START_TEST(two_questions_of_a_stream_are_not_looked_up_at_once)
{
    ck_assert_int_eq(ask_for("a", "localhost"), 0);
    ck_assert_int_eq(ask_for("a", "localhost"), 0);
    ck_assert_int_eq(ask_for("b", "localhost"), 0);
    wait_for(3);
    ck_assert_str_eq(order, "aba");
}
END_TEST

START_TEST(streams_whose_names_are_not_answered_leave_room_for_others)
{
    static const char *const slow[] = {"w", "x", "y", "z"};
    uv_sem_t gate;
    uv_work_t work = {.data = &gate};
    uv_sem_init(&gate, 0);
    uv_queue_work(&loop, &work, hold, released);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(ask_for(slow[i], "localhost"), 0);
    wait_for(4); /* without an address, at the deadline */
    ck_assert_int_eq(last.address_count, 0);
    uv_sem_post(&gate);
    ask_for("n", "localhost");
    wait_for(5);
    /* Now they are known to be slow: of the four places they fill one. */
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(ask_for(slow[i], "localhost"), 0);
    ck_assert_int_eq(ask_for("n", "localhost"), 0);
    wait_for(9);
    ck_assert_int_eq(last.address_count > 0, 1);
    ck_assert_int_eq(order[5], 'w');
    ck_assert_int_eq(order[6], 'n');
    uv_sem_destroy(&gate);
}
END_TEST

START_TEST(a_stream_that_is_gone_leaves_no_mark_on_the_next_of_its_name)
{
    uv_sem_t gate;
    uv_work_t work = {.data = &gate};
    uv_sem_init(&gate, 0);
    uv_queue_work(&loop, &work, hold, released);
    ask_for("w", "localhost");
    ask_for("x", "localhost");
    ask_for("y", "localhost");
    wait_for(3); /* all slow */
    resolver_forget(resolver, "x");
    resolver_forget(resolver, "nobody");
    uv_sem_post(&gate);
    ask_for("n", "localhost");
    wait_for(4);
    /* Slow ones have one place between them, so the new x does not wait for y. */
    ask_for("w", "localhost");
    ask_for("y", "localhost");
    ask_for("x", "localhost");
    wait_for(7);
    ck_assert_str_eq(order + 4, "wxy");
    uv_sem_destroy(&gate);
}
END_TEST

START_TEST(too_many_questions_are_refused)
{
    for (int i = 0; i < RESOLVER_WAITING_MAX; i++)
        ck_assert_int_eq(ask("localhost"), 0);
    ck_assert_int_eq(ask("localhost"), -ENOBUFS);
    wait_for(RESOLVER_WAITING_MAX);
}
END_TEST

START_TEST(closing_with_questions_open_answers_none)
{
    for (int i = 0; i < 20; i++)
        ask("localhost");
    uv_run(&loop, UV_RUN_NOWAIT);
    answers = 0;
    resolver_close(resolver);
    resolver = NULL;
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(answers, 0);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("resolver");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_known_name_gets_its_addresses);
    tcase_add_test(tests, one_stream_cannot_use_up_the_room_of_others);
    tcase_add_loop_test(tests, what_is_no_name_gets_no_address, 0, (int)G_N_ELEMENTS(no_names));
    tcase_add_test(tests, a_question_is_answered_in_time_even_when_no_one_looks);
    tcase_add_test(tests, two_questions_of_a_stream_are_not_looked_up_at_once);
    tcase_add_test(tests, streams_whose_names_are_not_answered_leave_room_for_others);
    tcase_add_test(tests, a_stream_that_is_gone_leaves_no_mark_on_the_next_of_its_name);
    tcase_add_test(tests, too_many_questions_are_refused);
    tcase_add_test(tests, closing_with_questions_open_answers_none);
    return suite_run("daemon/resolver", &tests, 1);
}
