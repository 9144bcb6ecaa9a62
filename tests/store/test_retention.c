/* What goes, when, and how little at a time; and that all counts stay exact. */
#include "tests/store/audit.h"

#include <errno.h>

#define HOUR INT64_C(3600000)

static struct store_retention keep_all(void)
{
    return (struct store_retention){.before_ms = RECORD_NO_TIME,
                                    .updates_before_ms = RECORD_NO_TIME};
}

/* Steps until nothing more has to go; the sum of them. */
static struct store_expired run(const struct store_retention *retention, int limit)
{
    struct store_expired sum = {{0}}, step;
    int more;
    do {
        more = store_expire(store, retention, limit, &step, &err);
        ck_assert_msg(more >= 0, "%s", err.text);
        ck_assert_int_le(step.records, limit);
        for (int i = 0; i < STORE_REASON_COUNT; i++)
            sum.detections[i] += step.detections[i];
        sum.records += step.records;
        sum.file_bytes = step.file_bytes;
        sum.free_bytes = step.free_bytes;
    } while (more);
    return sum;
}

static void append(struct record *record, int64_t now_ms)
{
    ok(store_append(store, record, 1, now_ms, &err));
}

/* A detection of a stream with so many records in all; ended unless open. */
static struct record add(const char *stream, int number, int64_t start_ms, int records,
                         bool open)
{
    struct record record = fixture_record(RECORD_STARTED, number, start_ms);
    strcpy(record.stream, stream);
    strcpy(record.zones[0], "yard");
    record.zone_count = number % 2;
    for (int i = 0; i < records; i++) {
        bool last = i == records - 1;
        record.phase = i == 0 ? RECORD_STARTED : RECORD_UPDATED;
        record.time_ms = start_ms + 1000 * i;
        if (last && !open) {
            record.phase = RECORD_ENDED;
            record.end_ms = record.time_ms;
        }
        append(&record, record.time_ms);
    }
    return record;
}

static int64_t bytes_of(const char *stream)
{
    char sql[256];
    snprintf(
        sql, sizeof sql,
        "SELECT bytes FROM stream_use u JOIN name n ON n.id = u.stream WHERE n.text = '%s'",
        stream);
    return audit_integer(sql);
}

static bool is_there(const struct record *record)
{
    char *text = NULL;
    int status = store_get_detection(store, record->id, &text, &err);
    ck_assert(status == 0 || status == -ENOENT);
    free(text);
    return status == 0;
}

START_TEST(a_parked_car_keeps_its_first_and_its_latest_record)
{
    struct record parked = fixture_record(RECORD_STARTED, 1, 0);
    append(&parked, HOUR);
    parked.phase = RECORD_UPDATED;
    for (int i = 1; i <= 200; i++) {
        parked.time_ms = i * HOUR;
        append(&parked, i * HOUR);
    }
    struct store_retention retention = keep_all();
    retention.updates_before_ms = 100 * HOUR;
    struct store_expired expired = run(&retention, 7);
    ck_assert_int_ge(expired.records, 97);
    ck_assert_int_le(expired.records, 99);
    ck_assert_int_eq(audit_integer("SELECT count(*) FROM record"), 201 - expired.records);
    ck_assert_int_eq(audit_integer("SELECT min(seq) FROM record"), 1);
    audit();

    retention.updates_before_ms = 10000 * HOUR;
    append(&parked, 20000 * HOUR);
    run(&retention, 7);
    ck_assert_int_eq(audit_integer("SELECT count(*) FROM record"), 3); /* one came just now */
    audit();
    struct record_page page;
    ok(store_records_after(store, 0, 10, &page, &err));
    ck_assert_uint_eq(page.count, 3);
    ck_assert_int_eq(fixture_parse(page.texts[0]).phase, RECORD_STARTED);
    record_page_finish(&page);
}
END_TEST

START_TEST(a_record_that_was_the_latest_when_its_time_came_goes_once_it_is_not)
{
    struct record parked = add("door", 1, 0, 3, true);
    append(&parked, HOUR);
    struct store_retention retention = keep_all();
    retention.updates_before_ms = HOUR;
    run(&retention, 10);
    ck_assert_int_eq(audit_integer("SELECT count(*) FROM record"), 2);
    for (int i = 2; i < 20; i++) {
        append(&parked, i * HOUR);
        retention.updates_before_ms = i * HOUR;
        run(&retention, 10);
    }
    ck_assert_int_le(audit_integer("SELECT count(*) FROM record"), 3);
    audit();
    store_close(store);
    ok(store_open(path, &store, &err)); /* where the walk stands is in the file */
    append(&parked, 40 * HOUR);
    ck_assert_int_le(audit_integer("SELECT count(*) FROM record"), 3);
    audit();
}
END_TEST

START_TEST(one_detection_of_many_records_goes_a_few_at_a_time)
{
    struct record large = add("door", 1, 0, 500, false);
    struct store_retention retention = keep_all();
    retention.before_ms = HOUR;
    struct store_expired step;
    int steps = 0, more;
    do {
        ck_assert(steps == 0 || is_there(&large));
        more = store_expire(store, &retention, 30, &step, &err);
        ck_assert_int_ge(more, 0);
        ck_assert_int_le(step.records, 30);
        if (steps++ % 6 == 0)
            audit();
    } while (step.detections[STORE_BY_AGE] == 0);
    ck_assert_int_ge(steps, 500 / 30);
    ck_assert(!is_there(&large));
    ck_assert_int_eq(audit_integer("SELECT count(*) FROM name"), 0);
    ck_assert_int_eq(audit_integer("SELECT count(*) FROM stream_use"), 0);
}
END_TEST

START_TEST(each_stream_has_its_own_age)
{
    struct record old[3] = {add("door", 1, 0, 2, false), add("gate", 2, 0, 2, false),
                            add("yard", 3, 0, 2, false)};
    struct record young = add("door", 4, 50 * HOUR, 2, false);
    struct store_stream_limit limits[] = {{.name = "gate", .before_ms = RECORD_NO_TIME},
                                          {.name = "yard", .before_ms = HOUR / 3600000}};
    struct store_retention retention = keep_all();
    retention.before_ms = 10 * HOUR;
    retention.streams = limits;
    retention.stream_count = 2;
    ck_assert_int_eq(run(&retention, 10).detections[STORE_BY_AGE], 1);
    ck_assert(!is_there(&old[0]));
    ck_assert(is_there(&old[1]) && is_there(&old[2]) && is_there(&young));
    limits[1].before_ms = HOUR;
    ck_assert_int_eq(run(&retention, 10).detections[STORE_BY_AGE], 1);
    ck_assert(!is_there(&old[2]));
    audit();
}
END_TEST

START_TEST(an_end_that_claims_to_be_still_to_come_expires_as_one_of_now)
{
    struct record record = fixture_record(RECORD_ENDED, 1, 1000);
    record.end_ms = record.time_ms = INT64_C(250000000000000); /* in the year 9892 */
    append(&record, 5000);
    struct store_retention retention = keep_all();
    retention.before_ms = 5000;
    ck_assert_int_eq(run(&retention, 10).detections[STORE_BY_AGE], 0);
    retention.before_ms = 5001;
    ck_assert_int_eq(run(&retention, 10).detections[STORE_BY_AGE], 1);
}
END_TEST

START_TEST(a_stream_over_its_bytes_loses_its_oldest_until_it_holds)
{
    struct record records[40];
    for (int i = 0; i < 40; i++)
        records[i] = add(i % 2 ? "door" : "gate", i, 10000 * i, 3, false);
    int64_t before = bytes_of("door"), gate = bytes_of("gate");
    struct store_stream_limit limit = {
        .name = "door", .before_ms = RECORD_NO_TIME, .bytes = before / 2};
    struct store_retention retention = keep_all();
    retention.streams = &limit;
    retention.stream_count = 1;
    struct store_expired expired = run(&retention, 4);
    ck_assert_int_eq(expired.detections[STORE_BY_STREAM_SIZE], 10);
    ck_assert_int_le(bytes_of("door"), before / 2);
    ck_assert_int_gt(bytes_of("door"), before / 2 - before / 15);
    ck_assert_int_eq(bytes_of("gate"), gate);
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(is_there(&records[i]), i % 2 == 0 || i >= 20);
    audit();
}
END_TEST

START_TEST(a_stream_of_nothing_but_open_detections_loses_their_middles)
{
    struct record first = add("door", 1, 0, 100, true), second = add("door", 2, 5, 100, true);
    struct store_stream_limit limit = {
        .name = "door", .before_ms = RECORD_NO_TIME, .bytes = bytes_of("door") / 4};
    struct store_retention retention = keep_all();
    retention.streams = &limit;
    retention.stream_count = 1;
    ck_assert_int_ge(run(&retention, 20).records, 148);
    ck_assert_int_le(bytes_of("door"), limit.bytes);
    ck_assert(is_there(&first) && is_there(&second));
    /* What cannot be kept within the limit stays, and is not looked for without end. */
    limit.bytes = 1;
    run(&retention, 20);
    ck_assert_int_eq(audit_integer("SELECT count(*) FROM record"), 4);
    audit();
}
END_TEST

START_TEST(a_file_over_its_bytes_loses_the_oldest_of_all_and_gives_pages_back)
{
    for (int i = 0; i < 6000; i++) {
        struct record batch[2] = {fixture_record(RECORD_STARTED, i, 1000 * i),
                                  fixture_record(RECORD_ENDED, i, 1000 * i)};
        strcpy(batch[0].stream, i % 3 ? "door" : "gate");
        strcpy(batch[1].stream, batch[0].stream);
        ok(store_append(store, batch, 2, 1000 * i + 1000, &err));
    }
    struct store_retention retention = keep_all();
    struct store_expired before = run(&retention, 100), after;
    int64_t used = before.file_bytes - before.free_bytes;
    retention.file_bytes = used / 3;
    after = run(&retention, 500);
    ck_assert_int_le(after.file_bytes - after.free_bytes, used / 3);
    ck_assert_int_gt(after.detections[STORE_BY_FILE_SIZE], 3000);
    ck_assert_int_eq(after.detections[STORE_BY_AGE], 0);
    /* Free pages are given back until they are few. */
    ck_assert_int_lt(after.file_bytes, before.file_bytes * 3 / 4);
    int64_t oldest = audit_integer("SELECT min(start_ms) FROM detection");
    ck_assert_int_eq(audit_integer("SELECT count(*) FROM detection"),
                     6000 - after.detections[STORE_BY_FILE_SIZE]);
    ck_assert_int_eq(oldest, 1000 * after.detections[STORE_BY_FILE_SIZE]);
    audit();
}
END_TEST

START_TEST(retention_does_not_tear_what_is_open_and_old)
{
    struct record open = add("door", 1, 0, 5, true);
    struct store_retention retention = keep_all();
    retention.before_ms = INT64_MAX;
    ck_assert_int_eq(run(&retention, 10).records, 0);
    ck_assert(is_there(&open));
    open.phase = RECORD_ENDED;
    open.end_ms = open.time_ms = 9000;
    append(&open, 9000);
    ck_assert_int_eq(run(&retention, 10).detections[STORE_BY_AGE], 1);
    audit();
}
END_TEST

START_TEST(a_stream_brings_only_so_many_names_and_gets_them_back_as_they_go)
{
    static struct record records[STORE_NAMES_PER_STREAM];
    for (int i = 0; i < STORE_NAMES_PER_STREAM; i++) {
        records[i] = fixture_record(RECORD_ENDED, i, 1000 + i);
        snprintf(records[i].label, sizeof records[i].label, "label %d", i);
    }
    ok(store_append(store, records, STORE_NAMES_PER_STREAM, HOUR, &err));
    struct record more = fixture_record(RECORD_ENDED, 90000, 9000);
    strcpy(more.label, "one more");
    ck_assert_int_eq(store_append(store, &more, 1, HOUR, &err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "labels and zones"));
    struct record other = more;
    strcpy(other.stream, "gate"); /* has its own share */
    append(&other, HOUR);
    audit();
    struct store_retention retention = keep_all();
    retention.before_ms = 2000 + 10;
    ck_assert_int_eq(run(&retention, 100).detections[STORE_BY_AGE], 10);
    audit();
    strcpy(more.label, "one more than before");
    more = fixture_record(RECORD_ENDED, 90001, 9000);
    strcpy(more.label, "one more than before");
    append(&more, HOUR);
    audit();
}
END_TEST

/* Everything at once, in an order of chance, audited on the way. */
START_TEST(counts_stay_exact_whatever_comes_and_goes)
{
    uint64_t dice = 7;
    int64_t now_ms = HOUR;
    for (int round = 0; round < 600; round++) {
        dice = dice * 6364136223846793005 + 1442695040888963407;
        unsigned roll = (unsigned)(dice >> 40);
        int number = (int)(roll % 150);
        struct record record = fixture_record((enum record_phase)(roll / 150 % 3), number,
                                              HOUR * (number % 5) + number);
        snprintf(record.stream, sizeof record.stream, "s%d", number % 4);
        snprintf(record.label, sizeof record.label, "l%d", number % 6);
        record.score = roll / 450 % 1001 / 1000.0;
        record.zone_count = (int)(roll / 7 % 3);
        for (int i = 0; i < record.zone_count; i++)
            snprintf(record.zones[i], sizeof record.zones[i], "l%d",
                     (int)(roll / 11 + (unsigned)i) % 5);
        now_ms += 200000;
        append(&record, now_ms);
        struct store_stream_limit limit = {
            .name = "s1", .before_ms = RECORD_NO_TIME, .bytes = 4000};
        struct store_retention retention = {.before_ms = (int64_t)(roll % (unsigned)(5 * HOUR)),
                                            .updates_before_ms = now_ms - 20 * HOUR,
                                            .stream_count = 1,
                                            .streams = &limit};
        struct store_expired expired;
        if (round % 5 == 0)
            ck_assert_int_ge(store_expire(store, &retention, 5, &expired, &err), 0);
        if (round % 60 == 0)
            audit();
    }
    audit();
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("retention");
    tcase_set_timeout(all, 200);
    tcase_add_checked_fixture(all, fixture_open, fixture_close);
    tcase_add_test(all, a_parked_car_keeps_its_first_and_its_latest_record);
    tcase_add_test(all, a_record_that_was_the_latest_when_its_time_came_goes_once_it_is_not);
    tcase_add_test(all, one_detection_of_many_records_goes_a_few_at_a_time);
    tcase_add_test(all, each_stream_has_its_own_age);
    tcase_add_test(all, an_end_that_claims_to_be_still_to_come_expires_as_one_of_now);
    tcase_add_test(all, a_stream_over_its_bytes_loses_its_oldest_until_it_holds);
    tcase_add_test(all, a_stream_of_nothing_but_open_detections_loses_their_middles);
    tcase_add_test(all, a_file_over_its_bytes_loses_the_oldest_of_all_and_gives_pages_back);
    tcase_add_test(all, retention_does_not_tear_what_is_open_and_old);
    tcase_add_test(all, a_stream_brings_only_so_many_names_and_gets_them_back_as_they_go);
    tcase_add_test(all, counts_stay_exact_whatever_comes_and_goes);
    return suite_run("store/retention", &all, 1);
}
