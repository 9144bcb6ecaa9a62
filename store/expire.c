/* What the writer removes, and why. A step looks again at what every stream keeps, removes from
 * the first that keeps too much or too long, and so on until its limit or its time is used up:
 * whatever the number of records, the records that come wait for one step at most. */
#include "store/expire.h"

#include <stdlib.h>
#include <string.h>

#include "store/detections.h"
#include "store/names.h"

#define NONE INT64_MAX /* the time of an end that there is not */

/* Given back at once: 256 KiB, a few milliseconds. */
#define SHRINK_PAGES     "64"
#define SHRINK_FREE_MIN  256 /* fewer are not worth it */
#define SHRINK_FREE_PART 8

struct stream_state {
    int64_t id, bytes, oldest_ms; /* of the ended ones; NONE */
    int64_t before_ms, bytes_max; /* its limits; INT64_MIN and INT64_MAX: none */
};

struct step {
    struct store *store;
    const struct store_retention *retention;
    struct stream_state *streams;
    size_t stream_count;
    int left; /* records that may go */
    int64_t end_ns;
    struct store_expired *expired;
};

int expire_prepare(struct store *store, struct store_error *err)
{
    sqlite3_stmt *read = NULL;
    int rc = sqlite3_prepare_v2(store->db, "SELECT thinned_seq FROM progress", -1, &read, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(read);
    if (rc == SQLITE_ROW)
        store->thinned_seq = sqlite3_column_int64(read, 0);
    sqlite3_finalize(read);
    return rc == SQLITE_ROW ? 0 : handle_fail(store, rc, "cannot read its progress", err);
}

static bool is_over(const struct step *step)
{
    return step->left <= 0 || handle_now_ns() > step->end_ns;
}

/* --- what is kept ------------------------------------------------------------------------- */

static void set_limits(const struct store_retention *retention, const char *name,
                       struct stream_state *stream)
{
    int64_t before_ms = retention->before_ms, bytes = 0;
    for (size_t i = 0; i < retention->stream_count; i++) {
        if (strcmp(retention->streams[i].name, name) != 0)
            continue;
        before_ms = retention->streams[i].before_ms;
        bytes = retention->streams[i].bytes;
    }
    stream->before_ms = before_ms == RECORD_NO_TIME ? INT64_MIN : before_ms;
    stream->bytes_max = bytes > 0 ? bytes : INT64_MAX;
}

static int add_stream(struct step *step, sqlite3_stmt *row)
{
    const char *name = (const char *)sqlite3_column_text(row, 1);
    struct stream_state *grown =
        name ? realloc(step->streams, (step->stream_count + 1) * sizeof *grown) : NULL;
    if (!grown)
        return SQLITE_NOMEM;
    step->streams = grown;
    struct stream_state *stream = &grown[step->stream_count++];
    bool none = sqlite3_column_type(row, 3) == SQLITE_NULL;
    stream->id = sqlite3_column_int64(row, 0);
    stream->bytes = sqlite3_column_int64(row, 2);
    stream->oldest_ms = none ? NONE : sqlite3_column_int64(row, 3);
    set_limits(step->retention, name, stream);
    return SQLITE_OK;
}

static int read_streams(struct step *step)
{
    sqlite3_stmt *list = handle_query(
        step->store, STATEMENT_EXPIRE_STREAMS,
        "SELECT u.stream, n.text, u.bytes, (SELECT min(d.ended_ms) FROM detection d INDEXED BY "
        "detection_ended WHERE d.stream = u.stream AND d.ended_ms IS NOT NULL) "
        "FROM stream_use u CROSS JOIN name n ON n.id = u.stream",
        0, NULL);
    int rc = list ? SQLITE_OK : sqlite3_errcode(step->store->db);
    while (rc == SQLITE_OK && (rc = sqlite3_step(list)) == SQLITE_ROW)
        rc = add_stream(step, list);
    sqlite3_reset(list);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

struct file_pages {
    int64_t count, free, bytes_each;
};

static int read_pages(struct store *store, struct file_pages *ret_pages)
{
    int64_t values[3] = {0};
    int rc = handle_read(store, STATEMENT_READ_PAGES,
                         "SELECT page_count, freelist_count, page_size FROM pragma_page_count, "
                         "pragma_freelist_count, pragma_page_size",
                         0, NULL, 3, values);
    *ret_pages = (struct file_pages){values[0], values[1], values[2]};
    return rc;
}

/* --- what goes ---------------------------------------------------------------------------- */

static int delete_record(struct step *step, struct stream_state *stream, int64_t seq)
{
    int64_t bytes = 0;
    int rc = detection_delete_record(step->store, stream->id, seq, &bytes);
    if (rc == SQLITE_OK) {
        stream->bytes -= bytes;
        step->left--;
        step->expired->records++;
    }
    return rc;
}

/* Out of every list, and the names it used. The stream's own name comes last: with it goes the
 * account of the stream. */
static int forget_detection(struct store *store, const struct detection *detection)
{
    const struct list_entry *entry = &detection->entry;
    int64_t zones[1 + STORE_ZONES_PER_DETECTION] = {0};
    int count;
    int rc =
        detection_zones(store, entry->number, zones + 1, STORE_ZONES_PER_DETECTION, &count);
    for (int i = 0; rc == SQLITE_OK && i <= count; i++) {
        rc = lists_take(store, entry, zones[i]);
        if (rc == SQLITE_OK && i > 0)
            rc = names_release(store, zones[i]);
    }
    if (rc == SQLITE_OK)
        rc = handle_run(store, STATEMENT_DELETE_ZONES,
                        "DELETE FROM detection_zone WHERE detection = ?",
                        HANDLE_VALUES(entry->number));
    if (rc == SQLITE_OK)
        rc = handle_run(store, STATEMENT_DELETE_DETECTION,
                        "DELETE FROM detection WHERE number = ?", HANDLE_VALUES(entry->number));
    if (rc == SQLITE_OK)
        rc = names_release(store, entry->label);
    return rc == SQLITE_OK ? names_release(store, entry->stream) : rc;
}

static int read_oldest(struct store *store, int64_t stream, struct detection *ret_detection,
                       int64_t *ret_ended_ms)
{
    sqlite3_stmt *oldest = handle_query(
        store, STATEMENT_OLDEST_ENDED,
        "SELECT number, start_ms, stream, label, kind, score, first_seq, last_seq, ended_ms "
        "FROM detection INDEXED BY detection_ended WHERE stream = ? AND ended_ms IS NOT NULL "
        "ORDER BY ended_ms LIMIT 1",
        HANDLE_VALUES(stream));
    int rc = oldest ? sqlite3_step(oldest) : sqlite3_errcode(store->db);
    *ret_ended_ms = NONE;
    if (rc == SQLITE_ROW) {
        detection_read(oldest, ret_detection);
        *ret_ended_ms = sqlite3_column_int64(oldest, 8);
    }
    sqlite3_reset(oldest);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Removes the oldest ended detection of a stream, or as much of it as the step allows. */
static int remove_oldest(struct step *step, struct stream_state *stream,
                         enum store_reason reason)
{
    struct store *store = step->store;
    struct detection detection;
    int rc = read_oldest(store, stream->id, &detection, &stream->oldest_ms);
    while (rc == SQLITE_OK) {
        int64_t seq;
        rc = handle_read(store, STATEMENT_OLDEST_RECORD,
                         "SELECT min(seq) FROM record WHERE detection = ?",
                         HANDLE_VALUES(detection.entry.number), 1, &seq);
        if (rc == SQLITE_OK)
            rc = delete_record(step, stream, seq);
        if (rc != SQLITE_OK)
            return rc;
        if (seq == detection.last_seq)
            break;
        if (is_over(step))
            return SQLITE_OK;
    }
    if (rc == SQLITE_OK)
        rc = forget_detection(store, &detection);
    if (rc == SQLITE_OK) {
        step->expired->detections[reason]++;
        rc = read_oldest(store, stream->id, &detection, &stream->oldest_ms);
    }
    return rc;
}

/* Of a stream's open detections, the oldest record that is neither first nor latest. */
static int remove_oldest_update(struct step *step, struct stream_state *stream, bool *ret_none)
{
    int64_t seq = 0;
    int rc = handle_read(
        step->store, STATEMENT_OLDEST_UPDATE,
        "SELECT min((SELECT min(r.seq) FROM record r WHERE r.detection = d.number AND "
        "r.seq > d.first_seq AND r.seq < d.last_seq)) FROM detection d INDEXED BY "
        "detection_open "
        "WHERE d.ended_ms IS NULL AND d.stream = ?",
        HANDLE_VALUES(stream->id), 1, &seq);
    *ret_none = seq == 0;
    return rc == SQLITE_OK && seq != 0 ? delete_record(step, stream, seq) : rc;
}

/* --- why it goes -------------------------------------------------------------------------- */

static int expire_by_age(struct step *step)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < step->stream_count; i++) {
        struct stream_state *stream = &step->streams[i];
        while (rc == SQLITE_OK && stream->oldest_ms < stream->before_ms && !is_over(step))
            rc = remove_oldest(step, stream, STORE_BY_AGE);
    }
    return rc;
}

/* *ret_none: the stream has nothing left that may go. */
static int remove_by_size(struct step *step, struct stream_state *stream,
                          enum store_reason reason, bool *ret_none)
{
    *ret_none = false;
    return stream->oldest_ms != NONE ? remove_oldest(step, stream, reason)
                                     : remove_oldest_update(step, stream, ret_none);
}

static int expire_by_stream_size(struct step *step)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < step->stream_count; i++) {
        struct stream_state *stream = &step->streams[i];
        bool none = false;
        while (rc == SQLITE_OK && !none && stream->bytes > stream->bytes_max && !is_over(step))
            rc = remove_by_size(step, stream, STORE_BY_STREAM_SIZE, &none);
    }
    return rc;
}

/* The stream with the oldest end; when there is none left, the one that keeps most. */
static struct stream_state *choose_stream(const struct step *step)
{
    struct stream_state *oldest = NULL, *largest = NULL;
    for (size_t i = 0; i < step->stream_count; i++) {
        struct stream_state *stream = &step->streams[i];
        if (stream->oldest_ms != NONE && (!oldest || stream->oldest_ms < oldest->oldest_ms))
            oldest = stream;
        if (stream->bytes > 0 && (!largest || stream->bytes > largest->bytes))
            largest = stream;
    }
    return oldest ? oldest : largest;
}

static int expire_by_file_size(struct step *step)
{
    for (;;) {
        struct file_pages pages;
        int rc = read_pages(step->store, &pages);
        if (rc != SQLITE_OK || is_over(step))
            return rc;
        struct stream_state *stream = choose_stream(step);
        int64_t used = (pages.count - pages.free) * pages.bytes_each;
        if (!stream || used <= step->retention->file_bytes)
            return SQLITE_OK;
        bool none;
        rc = remove_by_size(step, stream, STORE_BY_FILE_SIZE, &none);
        if (rc != SQLITE_OK)
            return rc;
        if (none)
            stream->bytes = 0; /* it is the next one's turn */
    }
}

/* --- between first and latest ------------------------------------------------------------- */

struct thin_place {
    int64_t seq, stream;
    bool goes;
};

/* The next records of the walk, at most as many as may go. */
static int read_thin(struct step *step, int64_t end_seq, struct thin_place *places,
                     int *ret_count)
{
    sqlite3_stmt *next = handle_query(
        step->store, STATEMENT_THIN,
        "SELECT r.seq, d.stream, r.seq <> d.first_seq AND r.seq <> d.last_seq FROM record r "
        "CROSS JOIN detection d ON d.number = r.detection WHERE r.seq > ?1 AND r.seq < ?2 "
        "ORDER BY r.seq LIMIT ?3",
        HANDLE_VALUES(step->store->thinned_seq, end_seq, step->left));
    int rc = next ? SQLITE_ROW : sqlite3_errcode(step->store->db), count = 0;
    while (rc == SQLITE_ROW && (rc = sqlite3_step(next)) == SQLITE_ROW)
        places[count++] = (struct thin_place){.seq = sqlite3_column_int64(next, 0),
                                              .stream = sqlite3_column_int64(next, 1),
                                              .goes = sqlite3_column_int(next, 2) != 0};
    sqlite3_reset(next);
    *ret_count = count;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Walks on through all records in the order in which they came. */
static int thin(struct step *step, int64_t *ret_thinned_seq)
{
    struct store *store = step->store;
    int64_t end_seq = 0;
    int rc =
        handle_read(store, STATEMENT_THIN_LIMIT, "SELECT max(seq) FROM mark WHERE time_ms <= ?",
                    HANDLE_VALUES(step->retention->updates_before_ms), 1, &end_seq);
    if (rc != SQLITE_OK || end_seq <= store->thinned_seq + 1)
        return rc;
    struct thin_place *places = calloc((size_t)step->left, sizeof *places);
    if (!places)
        return SQLITE_NOMEM;
    int count, allowed = step->left;
    rc = read_thin(step, end_seq, places, &count);
    /* Records that stay cost their reading too: they count as much. */
    for (int i = 0; rc == SQLITE_OK && i < count && !is_over(step); i++) {
        if (places[i].goes) {
            rc = detection_delete_record(store, places[i].stream, places[i].seq, &(int64_t){0});
            step->expired->records++;
        }
        step->left--;
        *ret_thinned_seq = places[i].seq;
    }
    free(places);
    bool arrived = count < allowed && step->left == allowed - count;
    if (rc == SQLITE_OK && arrived) {
        *ret_thinned_seq = end_seq - 1;
        rc = handle_run(store, STATEMENT_FORGET_MARKS, "DELETE FROM mark WHERE seq < ?",
                        HANDLE_VALUES(end_seq));
    }
    if (rc == SQLITE_OK)
        rc = handle_run(store, STATEMENT_PUT_PROGRESS, "UPDATE progress SET thinned_seq = ?",
                        HANDLE_VALUES(*ret_thinned_seq));
    return rc;
}

/* --- a step ------------------------------------------------------------------------------- */

/* Gives free pages back when they are many, in a transaction of its own; 1: there are more. */
static int shrink(struct store *store, struct file_pages *pages, struct store_error *err)
{
    if (pages->free < SHRINK_FREE_MIN || pages->free < pages->count / SHRINK_FREE_PART)
        return 0;
    int64_t before = pages->count;
    int status = handle_exec(store, "PRAGMA incremental_vacuum(" SHRINK_PAGES ")", err);
    if (status < 0)
        return status;
    int rc = read_pages(store, pages);
    if (rc != SQLITE_OK)
        return handle_fail(store, rc, "cannot be made smaller", err);
    return pages->count < before;
}

static int run_step(struct step *step, int64_t *ret_thinned_seq)
{
    int rc = read_streams(step);
    if (rc == SQLITE_OK)
        rc = expire_by_age(step);
    if (rc == SQLITE_OK)
        rc = expire_by_stream_size(step);
    if (rc == SQLITE_OK && step->retention->file_bytes > 0)
        rc = expire_by_file_size(step);
    if (rc == SQLITE_OK && step->retention->updates_before_ms != RECORD_NO_TIME &&
        !is_over(step))
        rc = thin(step, ret_thinned_seq);
    return rc;
}

int store_expire(struct store *store, const struct store_retention *retention, int limit,
                 struct store_expired *ret_expired, struct store_error *err)
{
    struct store_expired expired = {0};
    struct step step = {.store = store,
                        .retention = retention,
                        .left = limit,
                        .end_ns = handle_now_ns() + STORE_EXPIRE_MS * INT64_C(1000000),
                        .expired = &expired};
    int64_t thinned_seq = store->thinned_seq;
    struct file_pages pages = {0};
    int status = handle_exec(store, "BEGIN IMMEDIATE", err);
    if (status < 0)
        return status;
    int rc = run_step(&step, &thinned_seq);
    free(step.streams);
    if (rc == SQLITE_OK)
        rc = read_pages(store, &pages);
    status = rc == SQLITE_OK ? handle_exec(store, "COMMIT", err)
                             : handle_fail(store, rc, "cannot delete old detections", err);
    if (status < 0) {
        handle_rollback(store);
        return status;
    }
    store->thinned_seq = thinned_seq;
    int more = is_over(&step) ? 1 : shrink(store, &pages, err);
    if (more < 0)
        return more;
    expired.file_bytes = pages.count * pages.bytes_each;
    expired.free_bytes = pages.free * pages.bytes_each;
    *ret_expired = expired;
    return more;
}
