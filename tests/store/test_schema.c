/* What an older vigil wrote is there after this one opened it, in today's layout. */
#include "tests/store/audit.h"

#include <errno.h>

#include "store/schema.h"

#define DETECTIONS 400

static sqlite3 *old;

static void old_exec(const char *sql)
{
    ck_assert_msg(sqlite3_exec(old, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(old));
}

/* The file as vigil 0.1.0 made it. */
static void open_old(void)
{
    fixture_folder();
    ck_assert_int_eq(sqlite3_open(path, &old), SQLITE_OK);
    old_exec("PRAGMA journal_mode = WAL");
    old_exec(schema_migrations[0].sql);
    old_exec("PRAGMA application_id = 0x7669676c; PRAGMA user_version = 1");
}

static void close_old(void)
{
    sqlite3_close(old);
    old = NULL;
}

/* A record as 0.1.0 kept it. */
static void old_append(const struct record *record)
{
    static const char *const statements[] = {
        "INSERT INTO detection (id, stream, kind, label, start_ms, end_ms, score, seq) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
        "ON CONFLICT (id) DO UPDATE SET end_ms = ?6, score = max(score, ?7), seq = ?8",
        "INSERT INTO record (seq, detection, text) SELECT ?8, number, ?9 FROM detection "
        "WHERE id = ?1",
    };
    char *text = record_to_text(record);
    for (int i = 0; i < 2; i++) {
        sqlite3_stmt *put;
        ck_assert_int_eq(sqlite3_prepare_v2(old, statements[i], -1, &put, NULL), SQLITE_OK);
        sqlite3_bind_text(put, 1, record->id, -1, SQLITE_STATIC);
        sqlite3_bind_text(put, 2, record->stream, -1, SQLITE_STATIC);
        sqlite3_bind_text(put, 3, record_kind_name(record->kind), -1, SQLITE_STATIC);
        sqlite3_bind_text(put, 4, record->label, -1, SQLITE_STATIC);
        sqlite3_bind_int64(put, 5, record->start_ms);
        if (record->end_ms != RECORD_NO_TIME)
            sqlite3_bind_int64(put, 6, record->end_ms);
        sqlite3_bind_double(put, 7, record->score);
        sqlite3_bind_int64(put, 8, record->seq);
        if (i == 1)
            sqlite3_bind_text(put, 9, text, -1, SQLITE_STATIC);
        ck_assert_int_eq(sqlite3_step(put), SQLITE_DONE);
        sqlite3_finalize(put);
    }
    free(text);
    for (int i = 0; i < record->zone_count; i++) {
        char *sql = sqlite3_mprintf(
            "INSERT OR IGNORE INTO zone SELECT %Q, start_ms, id, number FROM detection WHERE "
            "id = %Q",
            record->zones[i], record->id);
        old_exec(sql);
        sqlite3_free(sql);
    }
}

/* Started, updated and, but for each tenth, ended; every kind, band, tie and zone. */
static struct record old_record(int detection, enum record_phase phase)
{
    static const char *const streams[] = {"door", "gate", "left"};
    static const char *const zones[] = {"left", "right", "gate"};
    struct record record =
        fixture_record(phase, detection, 3590000 + 1000 * (int64_t)(detection / 3));
    strcpy(record.stream, streams[detection % 3]);
    snprintf(record.label, sizeof record.label, "label %d", detection % 7);
    record.kind = (enum record_kind)(detection % RECORD_KIND_COUNT);
    record.score = (detection * 37 + 100 * (int)phase) % 1001 / 1000.0;
    if (detection % 2)
        strcpy(record.zones[record.zone_count++], zones[(detection + (int)phase) % 3]);
    record.seq = 3 * detection + (int)phase + 1;
    return record;
}

static void fill_old(void)
{
    old_exec("BEGIN");
    for (int i = 0; i < DETECTIONS; i++)
        for (enum record_phase phase = RECORD_STARTED; phase <= RECORD_ENDED; phase++)
            if (phase != RECORD_ENDED || i % 10 != 0) {
                struct record record = old_record(i, phase);
                old_append(&record);
            }
    old_exec("COMMIT");
}

/* Detections and the number of their pages' rows that a filter gives. */
static size_t count(const char *stream, const char *label, const char *zone, int kind,
                    double min_score, enum record_state state)
{
    struct record_query query;
    record_query_init(&query);
    strcpy(query.stream, stream);
    strcpy(query.label, label);
    strcpy(query.zone, zone);
    query.kind = kind;
    query.min_score = min_score;
    query.state = state;
    query.limit = RECORD_PAGE_MAX;
    struct record_page page;
    ok(store_query_detections(store, &query, &page, &err));
    size_t rows = page.count;
    record_page_finish(&page);
    return rows;
}

START_TEST(a_file_of_version_1_keeps_all_it_has)
{
    fill_old();
    close_old();
    ck_assert_int_eq(store_is_older(path), 1);
    ok(store_open(path, &store, &err));
    store_close(store);
    ck_assert_int_eq(store_is_older(path), 0);
    ok(store_open(path, &store, &err));
    audit();
    ck_assert_uint_eq(count("", "", "", -1, 0, RECORD_STATE_ANY), DETECTIONS);
    ck_assert_uint_eq(count("", "", "", -1, 0, RECORD_STATE_ACTIVE), DETECTIONS / 10);
    size_t in_streams = 0, of_kinds = 0, above = 0, in_left = 0;
    for (int i = 0; i < DETECTIONS; i++) {
        double best = 0;
        bool left = false;
        for (enum record_phase phase = RECORD_STARTED; phase <= RECORD_ENDED; phase++) {
            if (phase == RECORD_ENDED && i % 10 == 0)
                continue;
            struct record record = old_record(i, phase);
            best = record.score > best ? record.score : best;
            left = left || (record.zone_count && strcmp(record.zones[0], "left") == 0);
        }
        in_streams += i % 3 == 1;
        of_kinds += i % 3 == 1 && i % RECORD_KIND_COUNT == 4 && i % 7 == 2;
        above += best >= 0.87;
        in_left += left;
    }
    ck_assert_uint_eq(count("gate", "", "", -1, 0, RECORD_STATE_ANY), in_streams);
    ck_assert_uint_eq(count("gate", "label 2", "", RECORD_SOUND, 0, RECORD_STATE_ANY),
                      of_kinds);
    ck_assert_uint_gt(of_kinds, 0);
    ck_assert_uint_eq(count("", "", "", -1, 0.87, RECORD_STATE_ANY), above);
    ck_assert_uint_eq(count("", "", "left", -1, 0, RECORD_STATE_ANY), in_left);
}
END_TEST

START_TEST(records_and_seqs_go_on_where_version_1_stopped)
{
    fill_old();
    close_old();
    ok(store_open(path, &store, &err));
    struct record_page page;
    ok(store_records_after(store, 0, 3, &page, &err));
    for (int i = 0; i < 2; i++) {
        struct record expected = old_record(0, (enum record_phase)i);
        char *text = record_to_text(&expected);
        ck_assert_str_eq(page.texts[i], text);
        free(text);
    }
    record_page_finish(&page);
    struct record next = old_record(10, RECORD_ENDED); /* was open; in a zone and band more */
    next.score = 1;
    strcpy(next.zones[next.zone_count++], "new");
    ok(store_append(store, &next, 1, FIXTURE_NOW, &err));
    ck_assert_int_eq(next.seq, 3 * DETECTIONS + 1);
    audit();
    ck_assert_int_eq(store_close_open_detections(store, FIXTURE_NOW, &err),
                     DETECTIONS / 10 - 1);
    audit();
}
END_TEST

START_TEST(what_version_1_kept_can_expire)
{
    fill_old();
    close_old();
    ok(store_open(path, &store, &err));
    struct store_retention retention = {.before_ms = INT64_MAX, .updates_before_ms = INT64_MAX};
    struct store_expired expired;
    int64_t detections = 0, steps = 0;
    int more;
    do {
        more = store_expire(store, &retention, 50, &expired, &err);
        ck_assert_msg(more >= 0, "%s", err.text);
        ck_assert_int_le(expired.records, 50);
        detections += expired.detections[STORE_BY_AGE];
        steps++;
    } while (more);
    ck_assert_int_eq(detections, DETECTIONS - DETECTIONS / 10);
    ck_assert_int_gt(steps, 10);
    audit();
    /* The open ones had a start and an update: both stay. */
    ck_assert_int_eq(audit_integer("SELECT count(*) FROM record"), 2 * DETECTIONS / 10);
}
END_TEST

START_TEST(an_empty_file_of_version_1_is_brought_up_to_date)
{
    close_old();
    ok(store_open(path, &store, &err));
    audit();
    struct record record = fixture_record(RECORD_STARTED, 1, 1000);
    ok(store_append(store, &record, 1, FIXTURE_NOW, &err));
    ck_assert_int_eq(record.seq, 1);
    audit();
}
END_TEST

START_TEST(a_version_1_file_that_cannot_be_brought_up_to_date_stays_as_it_was)
{
    fill_old();
    old_exec("CREATE TABLE posting (mine TEXT)"); /* in the way */
    close_old();
    ck_assert_int_lt(store_open(path, &store, &err), 0);
    ck_assert_ptr_null(store);
    ck_assert_int_eq(audit_integer("PRAGMA user_version"), 1);
    ck_assert_int_eq(audit_integer("SELECT count(*) FROM zone"),
                     audit_integer("SELECT count(DISTINCT zone || detection) FROM zone"));
    ck_assert_int_eq(audit_integer("SELECT count(*) FROM detection"), DETECTIONS);
    ck_assert_int_eq(audit_integer("SELECT count(*) FROM sqlite_schema WHERE name = 'name'"),
                     0);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("schema");
    tcase_set_timeout(all, 100);
    tcase_add_checked_fixture(all, open_old, fixture_close);
    tcase_add_test(all, a_file_of_version_1_keeps_all_it_has);
    tcase_add_test(all, records_and_seqs_go_on_where_version_1_stopped);
    tcase_add_test(all, what_version_1_kept_can_expire);
    tcase_add_test(all, an_empty_file_of_version_1_is_brought_up_to_date);
    tcase_add_test(all, a_version_1_file_that_cannot_be_brought_up_to_date_stays_as_it_was);
    return suite_run("store/schema", &all, 1);
}
