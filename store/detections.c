/* What the writer does to records and detections. */
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/handle.h"

/* How many open detections one transaction ends. */
#define CLOSE_BATCH 256

/* Runs a statement that has no rows left to give. */
static int finish(sqlite3_stmt *statement, int rc)
{
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    sqlite3_reset(statement);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int read_last_seq(struct store *store, int64_t *ret_seq)
{
    /* What AUTOINCREMENT keeps: the highest ever given, in the same transaction. */
    sqlite3_stmt *last = handle_statement(
        store, STATEMENT_LAST_SEQ,
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'record'), "
        "0)");
    int rc = last ? sqlite3_step(last) : sqlite3_errcode(store->db);
    if (rc == SQLITE_ROW)
        *ret_seq = sqlite3_column_int64(last, 0);
    sqlite3_reset(last);
    return rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* Makes or updates the detection's row; its number and start are what the other tables need. A
 * start that comes again opens the row again: the worker that ends it is the one that repeats.
 * An id of another stream's is not touched: *ret_number stays 0. */
static int put_detection(struct store *store, const struct record *record, int64_t *ret_number,
                         int64_t *ret_start_ms)
{
    sqlite3_stmt *put = handle_statement(
        store, STATEMENT_PUT_DETECTION,
        "INSERT INTO detection (id, stream, kind, label, start_ms, end_ms, score, seq) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
        "ON CONFLICT (id) DO UPDATE SET end_ms = ?6, score = max(score, ?7), seq = ?8 "
        "WHERE stream = excluded.stream RETURNING number, start_ms");
    int rc = put ? sqlite3_bind_text(put, 1, record->id, -1, SQLITE_STATIC)
                 : sqlite3_errcode(store->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(put, 2, record->stream, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(put, 3, record_kind_name(record->kind), -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(put, 4, record->label, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(put, 5, record->start_ms);
    if (rc == SQLITE_OK && record->end_ms != RECORD_NO_TIME)
        rc = sqlite3_bind_int64(put, 6, record->end_ms);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_double(put, 7, record->score);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(put, 8, record->seq);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(put);
    if (rc == SQLITE_ROW) {
        *ret_number = sqlite3_column_int64(put, 0);
        *ret_start_ms = sqlite3_column_int64(put, 1);
        rc = sqlite3_step(put);
    }
    sqlite3_reset(put);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int put_record(struct store *store, const struct record *record, int64_t detection,
                      const char *text)
{
    sqlite3_stmt *put =
        handle_statement(store, STATEMENT_PUT_RECORD,
                         "INSERT INTO record (seq, detection, text) VALUES (?1, ?2, ?3)");
    int rc = put ? sqlite3_bind_int64(put, 1, record->seq) : sqlite3_errcode(store->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(put, 2, detection);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(put, 3, text, -1, SQLITE_STATIC);
    return finish(put, rc);
}

/* A detection is in every zone that any of its records named. */
static int put_zone(struct store *store, const char *zone, int64_t start_ms, const char *id,
                    int64_t detection)
{
    sqlite3_stmt *put =
        handle_statement(store, STATEMENT_PUT_ZONE,
                         "INSERT OR IGNORE INTO zone (zone, start_ms, id, detection) "
                         "VALUES (?1, ?2, ?3, ?4)");
    int rc =
        put ? sqlite3_bind_text(put, 1, zone, -1, SQLITE_STATIC) : sqlite3_errcode(store->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(put, 2, start_ms);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(put, 3, id, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(put, 4, detection);
    return finish(put, rc);
}

static int append_one(struct store *store, const struct record *record, struct store_error *err)
{
    char *text = record_to_text(record);
    if (!text)
        return handle_explain(store, -EINVAL, err,
                              "cannot keep a record that no one could read");
    int64_t number = 0, start_ms = 0;
    int rc = put_detection(store, record, &number, &start_ms);
    if (rc == SQLITE_OK && number == 0) {
        free(text);
        return handle_explain(store, -EINVAL, err,
                              "cannot keep a record whose id is a detection of another stream");
    }
    if (rc == SQLITE_OK)
        rc = put_record(store, record, number, text);
    for (int i = 0; rc == SQLITE_OK && i < record->zone_count; i++)
        rc = put_zone(store, record->zones[i], start_ms, record->id, number);
    free(text);
    return rc == SQLITE_OK ? 0 : handle_fail(store, rc, "cannot keep records", err);
}

int store_append(struct store *store, struct record *records, size_t count,
                 struct store_error *err)
{
    int64_t last = 0;
    int status = handle_exec(store, "BEGIN IMMEDIATE", err);
    if (status < 0)
        return status;
    int rc = read_last_seq(store, &last);
    if (rc != SQLITE_OK)
        status = handle_fail(store, rc, "cannot keep records", err);
    for (size_t i = 0; status == 0 && i < count; i++) {
        struct record record = records[i];
        record.seq = last + 1 + (int64_t)i;
        status = append_one(store, &record, err);
    }
    if (status == 0)
        status = handle_exec(store, "COMMIT", err);
    if (status < 0) {
        handle_rollback(store);
        return status;
    }
    for (size_t i = 0; i < count; i++)
        records[i].seq = last + 1 + (int64_t)i;
    return 0;
}

/* Latest records of the first open detections: how many, at most CLOSE_BATCH, or -errno. */
static int read_open(struct store *store, struct record *records, struct store_error *err)
{
    sqlite3_stmt *open =
        handle_statement(store, STATEMENT_OPEN_DETECTIONS,
                         "SELECT r.text FROM detection d INDEXED BY detection_open "
                         "JOIN record r ON r.seq = d.seq WHERE d.end_ms IS NULL ORDER BY "
                         "d.start_ms, d.id LIMIT ?1");
    int count = 0, status = 0;
    int rc = open ? sqlite3_bind_int(open, 1, CLOSE_BATCH) : sqlite3_errcode(store->db);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(open);
        if (rc != SQLITE_ROW)
            break;
        const char *text = (const char *)sqlite3_column_text(open, 0);
        if (!text || record_from_text(text, (size_t)sqlite3_column_bytes(open, 0),
                                      &records[count++], NULL) < 0) {
            rc = text ? SQLITE_CORRUPT : SQLITE_NOMEM;
            break;
        }
    }
    if (rc != SQLITE_DONE)
        status = handle_fail(store, rc, "cannot end open detections", err);
    sqlite3_reset(open);
    return status < 0 ? status : count;
}

int store_close_open_detections(struct store *store, int64_t now_ms, struct store_error *err)
{
    struct record *records = calloc(CLOSE_BATCH, sizeof *records);
    if (!records)
        return handle_explain(store, -ENOMEM, err, "out of memory");
    int total = 0, count;
    while ((count = read_open(store, records, err)) > 0) {
        for (int i = 0; i < count; i++) {
            struct record *record = &records[i];
            record->phase = RECORD_ENDED;
            record->end_ms =
                record->time_ms > record->start_ms ? record->time_ms : record->start_ms;
            record->time_ms = now_ms > record->end_ms ? now_ms : record->end_ms;
            record->latency_ms = -1; /* of a result, which this is not */
        }
        int status = store_append(store, records, (size_t)count, err);
        if (status < 0) {
            count = status;
            break;
        }
        total += count;
    }
    free(records);
    return count < 0 ? count : total;
}

int store_expire(struct store *store, int64_t before_ms, int limit, struct store_error *err)
{
    /* Records and zones go with their detection (ON DELETE CASCADE). */
    sqlite3_stmt *expire = handle_statement(
        store, STATEMENT_EXPIRE,
        "DELETE FROM detection WHERE number IN (SELECT number FROM detection INDEXED BY "
        "detection_by_end WHERE end_ms < ?1 ORDER BY end_ms LIMIT ?2)");
    int rc = expire ? sqlite3_bind_int64(expire, 1, before_ms) : sqlite3_errcode(store->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int(expire, 2, limit);
    rc = finish(expire, rc);
    return rc == SQLITE_OK ? sqlite3_changes(store->db)
                           : handle_fail(store, rc, "cannot delete old detections", err);
}
