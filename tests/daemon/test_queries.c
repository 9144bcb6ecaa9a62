#include "tests/suite.h"

#include <errno.h>
#include <glib.h>

#include "daemon/queries.h"
#include "tests/daemon/loop.h"
#include "tests/daemon/records.h"

static uv_loop_t loop;
static char *folder, *path;
static struct queries *queries;
static uv_sem_t gate;
static int at_work, most_at_work; /* of the pool, atomic */
static int done_count;

struct question {
    struct query query;
    bool waits;
    int result;
    int64_t last;
};

static int work(struct query *base, struct store *reader, struct store_error *err)
{
    struct question *question = (struct question *)base;
    int64_t first;
    int now = g_atomic_int_add(&at_work, 1) + 1;
    if (now > g_atomic_int_get(&most_at_work))
        g_atomic_int_set(&most_at_work, now);
    if (question->waits)
        uv_sem_wait(&gate);
    int r = store_seq_range(reader, &first, &question->last, err);
    g_atomic_int_add(&at_work, -1);
    return r;
}

static void done(struct query *base, int result, const struct store_error *err)
{
    (void)err;
    ((struct question *)base)->result = result;
    done_count++;
}

static bool idle(void *data)
{
    (void)data;
    return queries_running(queries) == 0;
}

static void setup(void)
{
    struct store *store;
    struct store_error err;
    struct record record = records_make("a", 1, RECORD_STARTED);
    folder = g_dir_make_tmp("vigil-queries-XXXXXX", NULL);
    path = g_build_filename(folder, "vigil.db", NULL);
    ck_assert_int_eq(store_open(path, &store, &err), 0);
    ck_assert_int_eq(store_append(store, &record, 1, record.time_ms, &err), 0);
    store_close(store);
    g_setenv("UV_THREADPOOL_SIZE", "8", TRUE);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    uv_sem_init(&gate, 0);
    ck_assert_int_eq(queries_create(&loop, path, NULL, &queries), 0);
    done_count = 0;
}

static void teardown(void)
{
    ck_assert(loop_until(&loop, idle, NULL, 10000));
    queries_destroy(queries);
    loop_finish(&loop);
    uv_sem_destroy(&gate);
    records_remove_tree(folder);
    g_free(folder);
    g_free(path);
}

START_TEST(a_question_is_answered_on_the_loop)
{
    struct question question = {.query = {.work = work, .done = done}};
    ck_assert_int_eq(queries_ask(queries, &question.query), 0);
    ck_assert_int_eq(done_count, 0);
    ck_assert(loop_until(&loop, idle, NULL, 10000));
    ck_assert_int_eq(done_count, 1);
    ck_assert_int_eq(question.result, 0);
    ck_assert_int_eq(question.last, 1);
}
END_TEST

START_TEST(more_questions_than_may_wait_are_refused_and_the_others_answered)
{
    enum { ALL = QUERIES_READERS + QUERIES_WAITING_MAX };
    static struct question questions[ALL + 1];
    for (int i = 0; i <= ALL; i++) {
        questions[i] = (struct question){.query = {.work = work, .done = done}, .waits = true};
        ck_assert_int_eq(queries_ask(queries, &questions[i].query), i < ALL ? 0 : -EBUSY);
    }
    ck_assert_int_eq(queries_running(queries), ALL);
    for (int i = 0; i < ALL; i++)
        uv_sem_post(&gate);
    ck_assert(loop_until(&loop, idle, NULL, 10000));
    ck_assert_int_eq(done_count, ALL);
    ck_assert_int_le(most_at_work, QUERIES_READERS);
    for (int i = 0; i < ALL; i++)
        ck_assert_int_eq(questions[i].last, 1);
}
END_TEST

START_TEST(a_store_that_does_not_open_is_tried_again_by_the_next_question)
{
    struct question question = {.query = {.work = work, .done = done}};
    g_autofree char *aside = g_strconcat(path, ".aside", NULL);
    g_rename(path, aside);
    queries_ask(queries, &question.query);
    ck_assert(loop_until(&loop, idle, NULL, 10000));
    ck_assert_int_lt(question.result, 0);
    g_rename(aside, path);
    queries_ask(queries, &question.query);
    ck_assert(loop_until(&loop, idle, NULL, 10000));
    ck_assert_int_eq(question.result, 0);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("queries");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_question_is_answered_on_the_loop);
    tcase_add_test(tests, more_questions_than_may_wait_are_refused_and_the_others_answered);
    tcase_add_test(tests, a_store_that_does_not_open_is_tried_again_by_the_next_question);
    return suite_run("daemon/queries", &tests, 1);
}
