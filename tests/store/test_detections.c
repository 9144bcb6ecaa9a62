/* What the writer promises: order, acknowledgement, ends, retention. */
#include "tests/store/audit.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

static struct record latest(const char *id)
{
    char *text = NULL;
    ok(store_get_detection(store, id, &text, &err));
    struct record record = fixture_parse(text);
    free(text);
    return record;
}

static size_t count_detections(enum record_state state)
{
    struct record_query query;
    record_query_init(&query);
    query.state = state;
    query.limit = RECORD_PAGE_MAX;
    struct record_page page;
    ok(store_query_detections(store, &query, &page, &err));
    size_t count = page.count;
    record_page_finish(&page);
    return count;
}

START_TEST(records_get_consecutive_seqs_and_come_back_in_order)
{
    struct record batch[3];
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 3; i++)
            batch[i] = fixture_record(RECORD_STARTED, 3 * round + i, 9000 - round);
        ok(store_append(store, batch, 3, FIXTURE_NOW, &err));
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(batch[i].seq, 3 * round + i + 1);
    }
    struct record_page page;
    ok(store_records_after(store, 4, 5, &page, &err));
    ck_assert_uint_eq(page.count, 5);
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(fixture_parse(page.texts[i]).seq, (int64_t)i + 5);
    record_page_finish(&page);
    ok(store_records_after(store, 12, 5, &page, &err));
    ck_assert_uint_eq(page.count, 0);
    record_page_finish(&page);
    int64_t first, last;
    ok(store_seq_range(store, &first, &last, &err));
    ck_assert_int_eq(first, 1);
    ck_assert_int_eq(last, 12);
}
END_TEST

START_TEST(an_empty_store_has_no_seq)
{
    int64_t first = -1, last = -1;
    ok(store_seq_range(store, &first, &last, &err));
    ck_assert_int_eq(first, 0);
    ck_assert_int_eq(last, 0);
    ok(store_append(store, NULL, 0, FIXTURE_NOW, &err));
}
END_TEST

START_TEST(a_detection_shows_its_latest_record)
{
    struct record record = fixture_record(RECORD_STARTED, 1, 5000);
    ok(store_append(store, &record, 1, FIXTURE_NOW, &err));
    ck_assert_uint_eq(count_detections(RECORD_STATE_ACTIVE), 1);
    record.phase = RECORD_UPDATED;
    record.score = 0.9;
    ok(store_append(store, &record, 1, FIXTURE_NOW, &err));
    record.phase = RECORD_ENDED;
    record.score = 0.4;
    record.end_ms = 7000;
    ok(store_append(store, &record, 1, FIXTURE_NOW, &err));
    ck_assert_uint_eq(count_detections(RECORD_STATE_ACTIVE), 0);
    ck_assert_uint_eq(count_detections(RECORD_STATE_ENDED), 1);
    struct record shown = latest(record.id);
    ck_assert_int_eq(shown.phase, RECORD_ENDED);
    ck_assert_int_eq(shown.seq, 3);

    /* Its best score counts, not its last. */
    struct record_query query;
    record_query_init(&query);
    query.min_score = 0.9;
    struct record_page page;
    ok(store_query_detections(store, &query, &page, &err));
    ck_assert_uint_eq(page.count, 1);
    record_page_finish(&page);
}
END_TEST

START_TEST(a_start_that_comes_again_is_the_same_detection)
{
    struct record record = fixture_record(RECORD_STARTED, 1, 5000);
    ok(store_append(store, &record, 1, FIXTURE_NOW, &err));
    ok(store_append(store, &record, 1, FIXTURE_NOW, &err));
    ck_assert_int_eq(record.seq, 2);
    ck_assert_uint_eq(count_detections(RECORD_STATE_ANY), 1);
    ck_assert_int_eq(latest(record.id).seq, 2);
}
END_TEST

START_TEST(an_id_belongs_to_the_stream_that_began_it)
{
    struct record own = fixture_record(RECORD_ENDED, 1, 5000);
    ok(store_append(store, &own, 1, FIXTURE_NOW, &err));
    struct record batch[2] = {fixture_record(RECORD_STARTED, 2, 6000), own};
    strcpy(batch[1].stream, "gate");
    batch[1].end_ms = 9000;
    ck_assert_int_eq(store_append(store, batch, 2, FIXTURE_NOW, &err), -EINVAL);
    ck_assert_uint_eq(count_detections(RECORD_STATE_ANY), 1);
    struct record shown = latest(own.id);
    ck_assert_str_eq(shown.stream, "door");
    ck_assert_int_eq(shown.end_ms, own.end_ms);
    ok(store_append(store, batch, 1, FIXTURE_NOW, &err));
}
END_TEST

START_TEST(an_end_whose_start_was_lost_still_makes_a_detection)
{
    struct record record = fixture_record(RECORD_ENDED, 1, 5000);
    ok(store_append(store, &record, 1, FIXTURE_NOW, &err));
    ck_assert_uint_eq(count_detections(RECORD_STATE_ENDED), 1);
}
END_TEST

START_TEST(a_detection_is_found_by_the_zones_of_all_its_records)
{
    struct record record = fixture_record(RECORD_STARTED, 1, 5000);
    strcpy(record.zones[0], "gate");
    strcpy(record.zones[1], "gate");
    record.zone_count = 2;
    ok(store_append(store, &record, 1, FIXTURE_NOW, &err));
    strcpy(record.zones[0], "yard");
    record.phase = RECORD_UPDATED;
    record.zone_count = 1;
    ok(store_append(store, &record, 1, FIXTURE_NOW, &err));
    static const char *const zones[] = {"gate", "yard", "roof"};
    for (int i = 0; i < 3; i++) {
        struct record_query query;
        record_query_init(&query);
        strcpy(query.zone, zones[i]);
        struct record_page page;
        ok(store_query_detections(store, &query, &page, &err));
        ck_assert_uint_eq(page.count, i < 2);
        record_page_finish(&page);
    }
}
END_TEST

START_TEST(a_batch_is_kept_whole_or_not_at_all)
{
    struct record batch[3];
    for (int i = 0; i < 3; i++)
        batch[i] = fixture_record(RECORD_STARTED, i, 5000);
    batch[2].score = NAN;
    ck_assert_int_eq(store_append(store, batch, 3, FIXTURE_NOW, &err), -EINVAL);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(batch[i].seq, -1);
    ck_assert_uint_eq(count_detections(RECORD_STATE_ANY), 0);
    batch[2].score = 1;
    ok(store_append(store, batch, 3, FIXTURE_NOW, &err));
    ck_assert_int_eq(batch[0].seq, 1);
}
END_TEST

START_TEST(an_unknown_detection_is_not_found)
{
    char *text = NULL;
    ck_assert_int_eq(store_get_detection(store, "01J00000000000000000000000", &text, &err),
                     -ENOENT);
    ck_assert_ptr_null(text);
}
END_TEST

START_TEST(what_a_crash_left_open_is_ended_at_its_last_record)
{
    enum { OPEN = 300 }; /* more than one transaction's worth */
    static struct record records[OPEN];
    for (int i = 0; i < OPEN; i++)
        records[i] = fixture_record(RECORD_STARTED, i, 5000 + i);
    records[3].latency_ms = 12;
    records[7].time_ms = 4000; /* before its own start: a clock was set */
    ok(store_append(store, records, OPEN, FIXTURE_NOW, &err));
    struct record ended = fixture_record(RECORD_ENDED, OPEN, 5000);
    ok(store_append(store, &ended, 1, FIXTURE_NOW, &err));

    ck_assert_int_eq(store_close_open_detections(store, 99000, &err), OPEN);
    ck_assert_uint_eq(count_detections(RECORD_STATE_ACTIVE), 0);
    struct record shown = latest(records[3].id);
    ck_assert_int_eq(shown.phase, RECORD_ENDED);
    ck_assert_int_eq(shown.end_ms, records[3].time_ms);
    ck_assert_int_eq(shown.time_ms, 99000);
    ck_assert(shown.latency_ms < 0);
    ck_assert_int_gt(shown.seq, OPEN + 1);
    ck_assert_int_eq(latest(records[7].id).end_ms, records[7].start_ms);
    ck_assert_int_eq(latest(ended.id).seq, OPEN + 1);
    ck_assert_int_eq(store_close_open_detections(store, 99000, &err), 0);
}
END_TEST

START_TEST(an_end_made_here_is_not_said_before_it_happened)
{
    struct record record = fixture_record(RECORD_STARTED, 1, 5000);
    ok(store_append(store, &record, 1, FIXTURE_NOW, &err));
    ck_assert_int_eq(store_close_open_detections(store, 100, &err), 1); /* a clock was set */
    ck_assert_int_eq(latest(record.id).end_ms, record.time_ms);
    ck_assert_int_eq(latest(record.id).time_ms, record.time_ms);
}
END_TEST

/* Steps of retention by age alone: how many detections went. */
static int64_t expire_before(int64_t before_ms, int limit)
{
    struct store_retention retention = {.before_ms = before_ms,
                                        .updates_before_ms = RECORD_NO_TIME};
    struct store_expired expired;
    int64_t total = 0;
    int more;
    do {
        more = store_expire(store, &retention, limit, &expired, &err);
        ck_assert_msg(more >= 0, "%s", err.text);
        ck_assert_int_le(expired.records, limit);
        total += expired.detections[STORE_BY_AGE];
    } while (more);
    return total;
}

START_TEST(only_what_ended_before_expires_and_a_little_at_a_time)
{
    struct record records[10];
    for (int i = 0; i < 10; i++) {
        records[i] = fixture_record(i == 0 ? RECORD_STARTED : RECORD_ENDED, i, 1000 * i);
        strcpy(records[i].zones[0], "gate");
        records[i].zone_count = 1;
    }
    ok(store_append(store, records, 10, FIXTURE_NOW, &err));
    /* Ended at 2000, 3000, ... 10000; the first is open. */
    ck_assert_int_eq(expire_before(6000, 3), 4);
    ck_assert_int_eq(expire_before(6000, 3), 0);
    ck_assert_uint_eq(count_detections(RECORD_STATE_ANY), 6);
    char *text;
    ck_assert_int_eq(store_get_detection(store, records[1].id, &text, &err), -ENOENT);
    ck_assert_int_eq(latest(records[5].id).seq, 6);
    struct record_page page;
    ok(store_records_after(store, 0, 100, &page, &err));
    ck_assert_uint_eq(page.count, 6);
    record_page_finish(&page);
    struct record_query query;
    record_query_init(&query);
    strcpy(query.zone, "gate");
    ok(store_query_detections(store, &query, &page, &err));
    ck_assert_uint_eq(page.count, 6);
    record_page_finish(&page);
}
END_TEST

START_TEST(a_seq_is_never_given_twice_also_after_everything_expired)
{
    struct record record = fixture_record(RECORD_ENDED, 1, 1000);
    ok(store_append(store, &record, 1, FIXTURE_NOW, &err));
    ck_assert_int_eq(expire_before(100000, 10), 1);
    store_close(store);
    ok(store_open(path, &store, &err));
    ok(store_append(store, &record, 1, FIXTURE_NOW, &err));
    ck_assert_int_eq(record.seq, 2);
    int64_t first, last;
    ok(store_seq_range(store, &first, &last, &err));
    ck_assert_int_eq(first, 2);
    ck_assert_int_eq(last, 2);
}
END_TEST

static atomic_llong acknowledged;
static atomic_bool written;

static void *write_many(void *unused)
{
    (void)unused;
    for (int i = 0; i < 300; i++) {
        struct record record = fixture_record(RECORD_STARTED, i, 1000 + i);
        struct store_error why;
        if (store_append(store, &record, 1, FIXTURE_NOW, &why) < 0)
            break;
        atomic_store(&acknowledged, record.seq);
    }
    atomic_store(&written, true);
    return NULL;
}

START_TEST(a_reader_sees_what_was_acknowledged_while_the_writer_writes)
{
    struct store *reader;
    ok(store_open_reader(path, 10000, &reader, &err));
    pthread_t writer;
    ck_assert_int_eq(pthread_create(&writer, NULL, write_many, NULL), 0);
    int64_t seen = 0;
    bool last_look = false;
    while (!last_look) {
        last_look = atomic_load(&written);
        int64_t promised = atomic_load(&acknowledged), first, last;
        ok(store_seq_range(reader, &first, &last, &err));
        ck_assert_int_ge(last, promised);
        struct record_page page;
        ok(store_records_after(reader, seen, 50, &page, &err));
        for (size_t i = 0; i < page.count; i++)
            ck_assert_int_eq(fixture_parse(page.texts[i]).seq, seen + (int64_t)i + 1);
        seen += (int64_t)page.count;
        record_page_finish(&page);
    }
    pthread_join(writer, NULL);
    ck_assert_int_eq(atomic_load(&acknowledged), 300);
    store_close(reader);
}
END_TEST

/* Appends until killed; says each acknowledged seq. */
static void write_until_killed(int pipe)
{
    struct store *own;
    if (store_open(path, &own, &err) < 0)
        _exit(1);
    for (int i = 0;; i++) {
        struct record batch[2] = {
            fixture_record(RECORD_STARTED, (int)getpid() * 1000 + i, 1000),
            fixture_record(RECORD_ENDED, (int)getpid() * 1000 + i, 1000)};
        if (store_append(own, batch, 2, FIXTURE_NOW, &err) < 0)
            _exit(1);
        if (write(pipe, &batch[1].seq, sizeof batch[1].seq) != sizeof batch[1].seq)
            _exit(1);
    }
}

START_TEST(kill_9_loses_nothing_acknowledged_and_leaves_every_count_exact)
{
    store_close(store);
    store = NULL;
    int64_t total = 0;
    for (int round = 0; round < 12; round++) {
        int pipe_ends[2];
        ck_assert_int_eq(pipe(pipe_ends), 0);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            close(pipe_ends[0]);
            write_until_killed(pipe_ends[1]);
        }
        close(pipe_ends[1]);
        int64_t last = 0, seq;
        for (int i = 0; i < 5 + 3 * round; i++) {
            ck_assert_int_eq(read(pipe_ends[0], &seq, sizeof seq), sizeof seq);
            last = seq;
        }
        kill(child, SIGKILL);
        while (read(pipe_ends[0], &seq, sizeof seq) == sizeof seq)
            last = seq;
        close(pipe_ends[0]);
        int how;
        ck_assert_int_eq(waitpid(child, &how, 0), child);
        ck_assert(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);

        ok(store_open(path, &store, &err));
        int64_t first, kept;
        ok(store_seq_range(store, &first, &kept, &err));
        ck_assert_int_ge(kept, last);
        ck_assert_int_eq(kept % 2, 0); /* no half of a batch */
        ck_assert_int_gt(kept, total);
        total = kept;
        audit();
        store_close(store);
        store = NULL;
    }
    ok(store_open_reader(path, 0, &store, &err));
    int64_t seen = 0;
    struct record_page page;
    do {
        ok(store_records_after(store, seen, RECORD_PAGE_MAX, &page, &err));
        for (size_t i = 0; i < page.count; i++)
            ck_assert_int_eq(fixture_parse(page.texts[i]).seq, ++seen);
        record_page_finish(&page);
    } while (seen < total);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("detections");
    tcase_set_timeout(all, 200);
    tcase_add_checked_fixture(all, fixture_open, fixture_close);
    tcase_add_test(all, records_get_consecutive_seqs_and_come_back_in_order);
    tcase_add_test(all, an_empty_store_has_no_seq);
    tcase_add_test(all, a_detection_shows_its_latest_record);
    tcase_add_test(all, a_start_that_comes_again_is_the_same_detection);
    tcase_add_test(all, an_id_belongs_to_the_stream_that_began_it);
    tcase_add_test(all, an_end_whose_start_was_lost_still_makes_a_detection);
    tcase_add_test(all, a_detection_is_found_by_the_zones_of_all_its_records);
    tcase_add_test(all, a_batch_is_kept_whole_or_not_at_all);
    tcase_add_test(all, an_unknown_detection_is_not_found);
    tcase_add_test(all, what_a_crash_left_open_is_ended_at_its_last_record);
    tcase_add_test(all, an_end_made_here_is_not_said_before_it_happened);
    tcase_add_test(all, only_what_ended_before_expires_and_a_little_at_a_time);
    tcase_add_test(all, a_seq_is_never_given_twice_also_after_everything_expired);
    tcase_add_test(all, a_reader_sees_what_was_acknowledged_while_the_writer_writes);
    tcase_add_test(all, kill_9_loses_nothing_acknowledged_and_leaves_every_count_exact);
    return suite_run("store/detections", &all, 1);
}
