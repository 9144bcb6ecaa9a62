/* The real store in a folder of its own; a second connection that takes SQLite's lock stands in
 * for a store that fails. */
#include "tests/suite.h"

#include <errno.h>
#include <glib.h>
#include <sqlite3.h>
#include <string.h>

#include "daemon/mailbox.h"
#include "tests/daemon/loop.h"
#include "tests/daemon/records.h"

#define PATIENCE_MS 15000

static uv_loop_t loop;
static char *folder, *path;
static struct mailbox *mailbox;
static sqlite3 *rival;

static struct {
    int committed, done, closed, result;
    int64_t seqs[64];
    char text[RECORD_TEXT_MAX];
} seen;

static void committed(void *owner, const struct record *record, const char *text)
{
    (void)owner;
    if (seen.committed < (int)G_N_ELEMENTS(seen.seqs))
        seen.seqs[seen.committed] = record->seq;
    seen.committed++;
    g_strlcpy(seen.text, text, sizeof seen.text);
}

static void done(void *data, int result, const char *problem)
{
    (void)data;
    (void)problem;
    seen.done++;
    seen.result = result;
}

static void closed(void *owner)
{
    (void)owner;
    seen.closed++;
}

static void open_mailbox(int records_max)
{
    struct mailbox_options options = {
        .loop = &loop,
        .path = path,
        .committed = committed,
        .records_max = records_max,
    };
    struct store_error err = {{0}};
    ck_assert_msg(mailbox_create(&options, &mailbox, &err) == 0, "%s", err.text);
}

static void set_retention(int days)
{
    mailbox_set_retention(mailbox, &(struct retention){.days = days});
}

static bool reached(void *data)
{
    int *const *pair = data;
    return *pair[0] >= *pair[1];
}

static void wait_for(int *counter, int value)
{
    int *pair[] = {counter, &value};
    ck_assert_msg(loop_until(&loop, reached, pair, PATIENCE_MS), "%d of %d", *counter, value);
}

static void close_mailbox(void)
{
    mailbox_close(mailbox, closed);
    wait_for(&seen.closed, 1);
    mailbox_destroy(mailbox);
    mailbox = NULL;
    seen.closed = 0;
}

static void setup(void)
{
    folder = g_dir_make_tmp("vigil-mailbox-XXXXXX", NULL);
    path = g_build_filename(folder, "vigil.db", NULL);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    memset(&seen, 0, sizeof seen);
    mailbox = NULL;
}

static void teardown(void)
{
    mailbox_destroy(mailbox);
    loop_finish(&loop);
    records_remove_tree(folder);
    g_free(folder);
    g_free(path);
}

static int post(const char *stream, int n, enum record_phase phase)
{
    struct record record = records_make(stream, n, phase);
    return mailbox_post(mailbox, &record);
}

static void lock_store(void)
{
    ck_assert_int_eq(sqlite3_open(path, &rival), SQLITE_OK);
    sqlite3_busy_timeout(rival, 5000); /* the writer may be about its own business */
    ck_assert_int_eq(sqlite3_exec(rival, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
}

static void unlock_store(void)
{
    ck_assert_int_eq(sqlite3_exec(rival, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(rival);
}

static struct mailbox_stats stats(void)
{
    struct mailbox_stats stats;
    mailbox_get_stats(mailbox, &stats);
    return stats;
}

/* What a reader finds: the number of detections in a state. */
static size_t count_stored(enum record_state state)
{
    struct store *reader;
    struct store_error err;
    struct record_query query;
    struct record_page page;
    ck_assert_int_eq(store_open_reader(path, 0, &reader, &err), 0);
    record_query_init(&query);
    query.limit = RECORD_PAGE_MAX;
    query.state = state;
    ck_assert_int_eq(store_query_detections(reader, &query, &page, &err), 0);
    size_t count = page.count;
    record_page_finish(&page);
    store_close(reader);
    return count;
}

START_TEST(records_are_announced_after_their_commit_in_order_of_seq)
{
    open_mailbox(0);
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(post("a", i, RECORD_STARTED), 0);
    wait_for(&seen.committed, 1);
    ck_assert_uint_ge(count_stored(RECORD_STATE_ANY), 1);
    wait_for(&seen.committed, 40);
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(seen.seqs[i], i + 1);
    ck_assert_ptr_nonnull(strstr(seen.text, "\"seq\":40"));
    const struct mailbox_stats end = stats();
    ck_assert_int_eq(end.committed, 40);
    ck_assert_int_lt(histogram_count(&end.commit), 40); /* in batches */
    ck_assert_int_eq(stats().waiting, 0);
    ck_assert_uint_eq(count_stored(RECORD_STATE_ACTIVE), 40);
}
END_TEST

START_TEST(a_single_record_waits_for_others_no_longer_than_the_batch_may)
{
    open_mailbox(0);
    int64_t start = g_get_monotonic_time();
    post("a", 1, RECORD_STARTED);
    wait_for(&seen.committed, 1);
    ck_assert_int_lt(g_get_monotonic_time() - start, 1000000);
}
END_TEST

START_TEST(while_the_store_fails_records_are_kept_and_the_rest_is_counted)
{
    open_mailbox(8);
    lock_store();
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(post("a", i, RECORD_STARTED), 0);
    ck_assert_int_eq(post("a", 0, RECORD_UPDATED), -ENOBUFS); /* three quarters are full */
    ck_assert_int_eq(post("a", 6, RECORD_STARTED), 0);
    ck_assert_int_eq(post("a", 0, RECORD_ENDED), 0);
    ck_assert_int_eq(post("a", 7, RECORD_STARTED), -ENOBUFS);
    ck_assert_int_eq(post("a", 1, RECORD_ENDED), -ENOBUFS); /* kept by who offers it */
    while (stats().failures == 0)
        g_usleep(10000);
    ck_assert_int_ne(stats().problem[0], '\0');
    ck_assert_int_eq(stats().dropped, 2);
    ck_assert_int_eq(seen.committed, 0);
    unlock_store();
    wait_for(&seen.committed, 8);
    ck_assert_int_eq(stats().problem[0], '\0');
    ck_assert_uint_eq(count_stored(RECORD_STATE_ANY), 7);
    ck_assert_uint_eq(count_stored(RECORD_STATE_ENDED), 1);
    ck_assert_int_eq(post("a", 8, RECORD_STARTED), 0);
    wait_for(&seen.committed, 9);
}
END_TEST

START_TEST(a_record_the_store_refuses_does_not_hold_up_the_others)
{
    open_mailbox(0);
    post("a", 1, RECORD_STARTED);
    wait_for(&seen.committed, 1);
    struct record foreign = records_make("a", 1, RECORD_ENDED);
    g_strlcpy(foreign.stream, "b", sizeof foreign.stream);
    post("a", 2, RECORD_STARTED);
    ck_assert_int_eq(mailbox_post(mailbox, &foreign), 0);
    post("a", 3, RECORD_STARTED);
    wait_for(&seen.committed, 3);
    ck_assert_int_eq(stats().refused, 1);
    ck_assert_int_eq(stats().waiting, 0);
    ck_assert_uint_eq(count_stored(RECORD_STATE_ACTIVE), 3);
}
END_TEST

START_TEST(closing_commits_what_waits)
{
    open_mailbox(0);
    for (int i = 0; i < 30; i++)
        post("a", i, RECORD_STARTED);
    close_mailbox();
    ck_assert_int_eq(seen.committed, 30);
    ck_assert_uint_eq(count_stored(RECORD_STATE_ANY), 30);
}
END_TEST

START_TEST(closing_while_the_store_fails_takes_a_bounded_time)
{
    open_mailbox(0);
    lock_store();
    post("a", 1, RECORD_STARTED);
    int64_t start = g_get_monotonic_time();
    close_mailbox();
    /* The last attempt waits for the lock as long as the store does, 1 s. */
    ck_assert_int_lt(g_get_monotonic_time() - start, (MAILBOX_CLOSE_MS + 2500) * 1000);
    ck_assert_int_eq(seen.committed, 0);
    unlock_store();
}
END_TEST

START_TEST(what_a_crash_left_open_is_ended_at_the_next_start)
{
    open_mailbox(0);
    post("a", 1, RECORD_STARTED);
    post("a", 2, RECORD_STARTED);
    post("a", 2, RECORD_ENDED);
    close_mailbox();
    ck_assert_uint_eq(count_stored(RECORD_STATE_ACTIVE), 1);
    open_mailbox(0);
    ck_assert_uint_eq(count_stored(RECORD_STATE_ACTIVE), 0);
    ck_assert_uint_eq(count_stored(RECORD_STATE_ENDED), 2);
}
END_TEST

START_TEST(streams_are_put_and_deleted_and_found_now_and_at_the_next_start)
{
    open_mailbox(0);
    ck_assert_int_eq(mailbox_put(mailbox, STORE_STREAMS, "a", "{\"uri\":1}", done, NULL), 0);
    ck_assert_int_eq(mailbox_put(mailbox, STORE_STREAMS, "b", "{\"uri\":2}", done, NULL), 0);
    ck_assert_int_eq(mailbox_put(mailbox, STORE_STREAMS, "a", "{\"uri\":3}", done, NULL), 0);
    ck_assert_int_eq(mailbox_put(mailbox, STORE_STREAMS, "b", NULL, done, NULL), 0);
    wait_for(&seen.done, 4);
    ck_assert_int_eq(seen.result, 0);
    for (int i = 0; i < 2; i++) {
        size_t count;
        const struct store_text *streams = mailbox_texts(mailbox, STORE_STREAMS, &count);
        ck_assert_uint_eq(count, 1);
        ck_assert_str_eq(streams[0].name, "a");
        ck_assert_str_eq(streams[0].text, "{\"uri\":3}");
        close_mailbox();
        open_mailbox(0);
    }
}
END_TEST

START_TEST(a_change_the_store_does_not_take_says_so)
{
    open_mailbox(0);
    lock_store();
    mailbox_put(mailbox, STORE_STREAMS, "a", "{}", done, NULL);
    wait_for(&seen.done, 1);
    ck_assert_int_lt(seen.result, 0);
    size_t count;
    mailbox_texts(mailbox, STORE_STREAMS, &count);
    ck_assert_uint_eq(count, 0);
    unlock_store();
}
END_TEST

START_TEST(old_detections_are_removed_and_new_and_open_ones_are_not)
{
    open_mailbox(0);
    struct record fresh = records_make("a", 900, RECORD_ENDED);
    fresh.start_ms = fresh.time_ms = fresh.end_ms = g_get_real_time() / 1000;
    mailbox_post(mailbox, &fresh);
    for (int i = 0; i < 250; i++) /* more than one step takes; of the year 2023 */
        post("a", i, RECORD_ENDED);
    wait_for(&seen.committed, 251);
    close_mailbox();
    open_mailbox(0);
    set_retention(1);
    while (stats().expired[STORE_BY_AGE] < 250)
        g_usleep(10000);
    ck_assert_uint_eq(count_stored(RECORD_STATE_ANY), 1);
}
END_TEST

START_TEST(a_retention_that_is_set_later_holds_at_once)
{
    open_mailbox(0);
    for (int i = 0; i < 5; i++)
        post("a", i, RECORD_ENDED);
    wait_for(&seen.committed, 5);
    ck_assert_int_eq(stats().expired[STORE_BY_AGE], 0);
    set_retention(1);
    while (stats().expired[STORE_BY_AGE] < 5)
        g_usleep(10000);
    ck_assert_uint_eq(count_stored(RECORD_STATE_ANY), 0);
}
END_TEST

START_TEST(nothing_is_removed_before_retention_is_told_and_streams_may_keep_longer)
{
    open_mailbox(0);
    post("a", 1, RECORD_ENDED);
    post("b", 2, RECORD_ENDED);
    wait_for(&seen.committed, 2);
    ck_assert_int_eq(stats().file_bytes, 0); /* nobody looked yet */
    struct retention_stream streams[] = {{.name = "b", .days = 0}};
    mailbox_set_retention(
        mailbox, &(struct retention){.days = 1, .stream_count = 1, .streams = streams});
    memset(streams, 0, sizeof streams); /* it was copied */
    while (stats().expired[STORE_BY_AGE] < 1)
        g_usleep(10000);
    ck_assert_uint_eq(count_stored(RECORD_STATE_ANY), 1);
    ck_assert_int_gt(stats().file_bytes, 0);
    ck_assert_int_eq(stats().expired_records, 1);
    set_retention(1);
    while (stats().expired[STORE_BY_AGE] < 2)
        g_usleep(10000);
    ck_assert_uint_eq(count_stored(RECORD_STATE_ANY), 0);
}
END_TEST

START_TEST(a_folder_that_does_not_exist_is_an_error_with_a_line)
{
    struct store_error err = {{0}};
    struct mailbox_options options = {
        .loop = &loop, .path = "/nowhere/at/all.db", .committed = committed};
    ck_assert_int_lt(mailbox_create(&options, &mailbox, &err), 0);
    ck_assert_ptr_null(mailbox);
    ck_assert_int_ne(err.text[0], '\0');
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("mailbox");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, records_are_announced_after_their_commit_in_order_of_seq);
    tcase_add_test(tests, a_single_record_waits_for_others_no_longer_than_the_batch_may);
    tcase_add_test(tests, while_the_store_fails_records_are_kept_and_the_rest_is_counted);
    tcase_add_test(tests, a_record_the_store_refuses_does_not_hold_up_the_others);
    tcase_add_test(tests, closing_commits_what_waits);
    tcase_add_test(tests, closing_while_the_store_fails_takes_a_bounded_time);
    tcase_add_test(tests, what_a_crash_left_open_is_ended_at_the_next_start);
    tcase_add_test(tests, streams_are_put_and_deleted_and_found_now_and_at_the_next_start);
    tcase_add_test(tests, a_change_the_store_does_not_take_says_so);
    tcase_add_test(tests, old_detections_are_removed_and_new_and_open_ones_are_not);
    tcase_add_test(tests, a_retention_that_is_set_later_holds_at_once);
    tcase_add_test(tests,
                   nothing_is_removed_before_retention_is_told_and_streams_may_keep_longer);
    tcase_add_test(tests, a_folder_that_does_not_exist_is_an_error_with_a_line);
    return suite_run("daemon/mailbox", &tests, 1);
}
