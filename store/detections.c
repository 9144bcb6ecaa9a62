/* What the writer does to records and detections as they come. */
#include "store/detections.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/handle.h"
#include "store/names.h"

/* How many open detections one transaction ends. */
#define CLOSE_BATCH 256

static int read_last_seq(struct store *store, int64_t *ret_seq)
{
    /* What AUTOINCREMENT keeps: the highest ever given, in the same transaction. */
    return handle_read(
        store, STATEMENT_LAST_SEQ,
        "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'record'), "
        "0)",
        0, NULL, 1, ret_seq);
}

/* *ret_known.number 0: there is none of that id. */
static int find_detection(struct store *store, const char *id, struct detection *ret_known)
{
    sqlite3_stmt *find = handle_statement(
        store, STATEMENT_FIND_DETECTION,
        "SELECT number, start_ms, stream, label, kind, score, first_seq, last_seq "
        "FROM detection WHERE id = ?1");
    int rc =
        find ? sqlite3_bind_text(find, 1, id, -1, SQLITE_STATIC) : sqlite3_errcode(store->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(find);
    memset(ret_known, 0, sizeof *ret_known);
    if (rc == SQLITE_ROW)
        detection_read(find, ret_known);
    sqlite3_reset(find);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

void detection_read(sqlite3_stmt *row, struct detection *ret_known)
{
    *ret_known = (struct detection){
        .entry = {.number = sqlite3_column_int64(row, 0),
                  .start_ms = sqlite3_column_int64(row, 1),
                  .stream = sqlite3_column_int64(row, 2),
                  .label = sqlite3_column_int64(row, 3),
                  .kind = sqlite3_column_int(row, 4),
                  .band = list_band(sqlite3_column_double(row, 5))},
        .score = sqlite3_column_double(row, 5),
        .first_seq = sqlite3_column_int64(row, 6),
        .last_seq = sqlite3_column_int64(row, 7),
    };
}

/* An end that is said to be still to come would keep its detection for as long: to retention it
 * ended now. */
static int bind_end(sqlite3_stmt *statement, int parameter, const struct record *record,
                    int64_t now_ms)
{
    if (record->end_ms == RECORD_NO_TIME)
        return SQLITE_OK;
    return sqlite3_bind_int64(statement, parameter,
                              record->end_ms < now_ms ? record->end_ms : now_ms);
}

static int insert_detection(struct store *store, const struct record *record, int64_t now_ms,
                            struct detection *detection)
{
    const struct list_entry *entry = &detection->entry;
    sqlite3_stmt *put = handle_query(
        store, STATEMENT_PUT_DETECTION,
        "INSERT INTO detection (stream, label, kind, start_ms, first_seq, last_seq, ended_ms, "
        "score, id) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8)",
        HANDLE_VALUES(entry->stream, entry->label, entry->kind, entry->start_ms, record->seq));
    int rc = put ? bind_end(put, 6, record, now_ms) : sqlite3_errcode(store->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_double(put, 7, record->score);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(put, 8, record->id, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(put);
    sqlite3_reset(put);
    detection->entry.number = sqlite3_last_insert_rowid(store->db);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Fills in the detection that its first record makes. */
static int begin_detection(struct store *store, const struct record *record, int64_t now_ms,
                           struct detection *ret_new)
{
    struct list_entry *entry = &ret_new->entry;
    *entry = (struct list_entry){.start_ms = record->start_ms,
                                 .kind = (int)record->kind,
                                 .band = list_band(record->score)};
    int rc = names_use(store, record->stream, 0, &entry->stream);
    if (rc == SQLITE_OK)
        rc = names_use(store, record->label, entry->stream, &entry->label);
    if (rc == SQLITE_OK)
        rc = insert_detection(store, record, now_ms, ret_new);
    if (rc == SQLITE_OK)
        rc = lists_put(store, entry, 0);
    return rc;
}

int detection_zones(struct store *store, int64_t number, int64_t *ret_zones, int limit,
                    int *ret_count)
{
    sqlite3_stmt *list =
        handle_query(store, STATEMENT_LIST_ZONES,
                     "SELECT zone FROM detection_zone WHERE detection = ? LIMIT ?",
                     HANDLE_VALUES(number, limit));
    int rc = list ? SQLITE_ROW : sqlite3_errcode(store->db);
    int count = 0;
    while (rc == SQLITE_ROW && (rc = sqlite3_step(list)) == SQLITE_ROW)
        ret_zones[count++] = sqlite3_column_int64(list, 0);
    sqlite3_reset(list);
    *ret_count = count;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The best score has reached another band: out of the lists of the old, into those of the
 * new. */
static int move_detection(struct store *store, struct detection *known, int band)
{
    int64_t zones[1 + STORE_ZONES_PER_DETECTION] = {0};
    int count;
    int rc = detection_zones(store, known->entry.number, zones + 1, STORE_ZONES_PER_DETECTION,
                             &count);
    struct list_entry moved = known->entry;
    moved.band = band;
    for (int i = 0; rc == SQLITE_OK && i <= count; i++) {
        rc = lists_take(store, &known->entry, zones[i]);
        if (rc == SQLITE_OK)
            rc = lists_put(store, &moved, zones[i]);
    }
    known->entry = moved;
    return rc;
}

static int update_detection(struct store *store, const struct record *record, int64_t now_ms,
                            struct detection *known)
{
    int rc = SQLITE_OK;
    if (record->score > known->score) {
        known->score = record->score;
        int band = list_band(record->score);
        if (band != known->entry.band)
            rc = move_detection(store, known, band);
    }
    sqlite3_stmt *update =
        handle_query(store, STATEMENT_UPDATE_DETECTION,
                     "UPDATE detection SET last_seq = ?2, ended_ms = ?3, score = ?4 "
                     "WHERE number = ?1",
                     HANDLE_VALUES(known->entry.number, record->seq));
    if (rc == SQLITE_OK)
        rc = update ? bind_end(update, 3, record, now_ms) : sqlite3_errcode(store->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_double(update, 4, known->score);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(update);
    sqlite3_reset(update);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int detection_in_zone(struct store *store, int64_t number, int64_t zone, int64_t *ret_zones,
                      bool *ret_in)
{
    int64_t counts[2] = {0};
    int rc = handle_read(store, STATEMENT_IN_ZONE,
                         "SELECT count(*), sum(zone = ?2) FROM detection_zone "
                         "WHERE detection = ?1",
                         HANDLE_VALUES(number, zone), 2, counts);
    *ret_zones = counts[0];
    *ret_in = counts[1] != 0;
    return rc;
}

/* A detection is in every zone that any of its records named, up to a number. */
static int put_zone(struct store *store, const struct list_entry *entry, const char *name)
{
    int64_t zone = 0, zones = 0;
    bool in = false;
    int rc = names_find(store, name, &zone);
    if (rc == SQLITE_OK)
        rc = detection_in_zone(store, entry->number, zone, &zones, &in);
    if (rc != SQLITE_OK || in || zones >= STORE_ZONES_PER_DETECTION)
        return rc;
    rc = names_use(store, name, entry->stream, &zone);
    if (rc == SQLITE_OK)
        rc = handle_run(store, STATEMENT_PUT_ZONE, "INSERT INTO detection_zone VALUES (?, ?)",
                        HANDLE_VALUES(entry->number, zone));
    return rc == SQLITE_OK ? lists_put(store, entry, zone) : rc;
}

static int put_record(struct store *store, const struct record *record,
                      const struct detection *detection, const char *text)
{
    sqlite3_stmt *put =
        handle_query(store, STATEMENT_PUT_RECORD,
                     "INSERT INTO record (seq, detection, text) VALUES (?1, ?2, ?3)",
                     HANDLE_VALUES(record->seq, detection->entry.number));
    int rc =
        put ? sqlite3_bind_text(put, 3, text, -1, SQLITE_STATIC) : sqlite3_errcode(store->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(put);
    sqlite3_reset(put);
    if (rc != SQLITE_DONE)
        return rc;
    return detection_add_bytes(store, detection->entry.stream, 1, (int64_t)strlen(text));
}

int detection_add_bytes(struct store *store, int64_t stream, int64_t records, int64_t bytes)
{
    return handle_run(store, STATEMENT_ADD_BYTES,
                      "UPDATE stream_use SET records = records + ?2, bytes = bytes + ?3 "
                      "WHERE stream = ?1",
                      HANDLE_VALUES(stream, records, bytes));
}

int detection_delete_record(struct store *store, int64_t stream, int64_t seq,
                            int64_t *ret_bytes)
{
    int rc = handle_read(store, STATEMENT_DELETE_RECORD,
                         "DELETE FROM record WHERE seq = ? "
                         "RETURNING length(CAST(text AS BLOB))",
                         HANDLE_VALUES(seq), 1, ret_bytes);
    return rc == SQLITE_OK ? detection_add_bytes(store, stream, -1, -*ret_bytes) : rc;
}

/* Makes or updates the detection of a record. A start that comes again opens it again: the
 * worker that ends it is the one that repeats. SQLITE_MISMATCH for another stream's id. */
static int put_detection(struct store *store, const struct record *record, int64_t now_ms,
                         struct detection *ret_detection)
{
    int rc = find_detection(store, record->id, ret_detection);
    if (rc != SQLITE_OK)
        return rc;
    if (ret_detection->entry.number == 0)
        return begin_detection(store, record, now_ms, ret_detection);
    int64_t stream, before = ret_detection->last_seq;
    rc = names_find(store, record->stream, &stream);
    if (rc == SQLITE_OK && stream != ret_detection->entry.stream)
        return SQLITE_MISMATCH;
    if (rc == SQLITE_OK)
        rc = update_detection(store, record, now_ms, ret_detection);
    /* The walk that thins has passed the record which was the latest until now. */
    if (rc == SQLITE_OK && before <= store->thinned_seq && before != ret_detection->first_seq)
        rc = detection_delete_record(store, stream, before, &(int64_t){0});
    return rc;
}

static int append_one(struct store *store, const struct record *record, int64_t now_ms,
                      struct store_error *err)
{
    char *text = record_to_text(record);
    if (!text)
        return handle_explain(store, -EINVAL, err,
                              "cannot keep a record that no one could read");
    struct detection detection;
    int rc = put_detection(store, record, now_ms, &detection);
    if (rc == SQLITE_OK)
        rc = put_record(store, record, &detection, text);
    for (int i = 0; rc == SQLITE_OK && i < record->zone_count; i++)
        rc = put_zone(store, &detection.entry, record->zones[i]);
    free(text);
    if (rc == SQLITE_MISMATCH)
        return handle_explain(store, -EINVAL, err,
                              "cannot keep a record whose id is a detection of another stream");
    if (rc == SQLITE_CONSTRAINT)
        return handle_explain(store, -EINVAL, err,
                              "cannot keep a record with one more name: its stream has brought "
                              "%d labels and zones",
                              STORE_NAMES_PER_STREAM);
    return rc == SQLITE_OK ? 0 : handle_fail(store, rc, "cannot keep records", err);
}

/* Notes which seq comes next now and then, so that a record's age is when it came, whatever
 * time it says itself. */
static int put_mark(struct store *store, int64_t next_seq, int64_t now_ms)
{
    if (store->marked_ms != 0 && llabs(now_ms - store->marked_ms) < STORE_MARK_MS)
        return SQLITE_OK;
    store->marked_ms = now_ms;
    return handle_run(store, STATEMENT_PUT_MARK, "INSERT OR IGNORE INTO mark VALUES (?, ?)",
                      HANDLE_VALUES(now_ms, next_seq));
}

int store_append(struct store *store, struct record *records, size_t count, int64_t now_ms,
                 struct store_error *err)
{
    int64_t last = 0, marked_ms = store->marked_ms;
    int status = handle_exec(store, "BEGIN IMMEDIATE", err);
    if (status < 0)
        return status;
    int rc = read_last_seq(store, &last);
    if (rc == SQLITE_OK && count > 0)
        rc = put_mark(store, last + 1, now_ms);
    if (rc != SQLITE_OK)
        status = handle_fail(store, rc, "cannot keep records", err);
    for (size_t i = 0; status == 0 && i < count; i++) {
        struct record record = records[i];
        record.seq = last + 1 + (int64_t)i;
        status = append_one(store, &record, now_ms, err);
    }
    if (status == 0)
        status = handle_exec(store, "COMMIT", err);
    if (status < 0) {
        handle_rollback(store);
        store->marked_ms = marked_ms;
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
        handle_query(store, STATEMENT_OPEN_DETECTIONS,
                     "SELECT r.text FROM detection d INDEXED BY detection_open "
                     "JOIN record r ON r.seq = d.last_seq WHERE d.ended_ms IS NULL ORDER BY "
                     "d.start_ms, d.number LIMIT ?",
                     HANDLE_VALUES(CLOSE_BATCH));
    int count = 0, status = 0;
    int rc = open ? SQLITE_OK : sqlite3_errcode(store->db);
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
        int status = store_append(store, records, (size_t)count, now_ms, err);
        if (status < 0) {
            count = status;
            break;
        }
        total += count;
    }
    free(records);
    return count < 0 ? count : total;
}
