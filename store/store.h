/* What vigil remembers: streams, detections and jobs, in SQLite.
 *
 * One handle writes (SQLite before 3.51.3 has a WAL-reset race between two writing or
 * checkpointing connections); any number of read-only handles query. WAL, synchronous=FULL,
 * STRICT tables, numbered migrations (store/migrations/NNNN_name.sql). A record is
 * acknowledged, and may be shown to anyone, only after store_append has returned 0.
 *
 * Two shapes of the same truth: every record, by seq (what SSE resumes from), and one row per
 * detection with its latest record (what lists answer). What is derived from them (the lists of
 * store/lists.h, counts, what each stream keeps) changes in the same transaction.
 *
 * Every call is synchronous and may wait for the disk: never on the event loop's thread.
 * Thread: a handle belongs to one thread at a time; different handles are independent. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "record/query.h"
#include "record/summary.h"

struct store;

struct store_error {
    char text[256];
};

#define STORE_TEXT_MAX (32 * 1024) /* bytes of a stream's or job's JSON */

/* Opens for writing, creating and migrating the file (mode 0600) as needed. Holds PATH-lock:
 * -EBUSY while another program has the file open for writing. -EPROTO when its schema is newer
 * than this program, -EUCLEAN when it is damaged or another program's (it is left as it is),
 * -errno. */
int store_open(const char *path, struct store **ret_store, struct store_error *err);

/* Opens an existing, migrated file read-only. `query_ms` caps one call (0: no cap). Errors as
 * above; -ENOENT when there is no file. */
int store_open_reader(const char *path, int query_ms, struct store **ret_store,
                      struct store_error *err);

/* 1 when the file has a schema older than this program's, which store_open brings up to date:
 * about 20 s for each million detections. Else 0, also when there is none or it cannot be read.
 * By the file's header, without its log: 1 also when who brought it up to date was killed
 * before it closed the store. Not while this process has the file open: its locks would be
 * lost. */
int store_is_older(const char *path);

void store_close(struct store *store); /* NULL is fine; the writer checkpoints */

/* --- detections: the writer ------------------------------------------------------------- */

#define STORE_NAMES_PER_STREAM    2048 /* labels and zones that one stream may bring */
#define STORE_ZONES_PER_DETECTION 64   /* more are not kept */

/* Commits `count` records in one transaction and writes each its seq (1, 2, 3, ... without
 * gaps, never one twice). A record equal in id and phase `started` to one stored is a repeat (a
 * worker's replay after a crash): it updates the row. What the first record of an id said of
 * stream, kind, label and start stays what lists filter and sort by; min_score means the best
 * score, a zone any that one of the records named. `now_ms` is when they came: what retention
 * goes by, so that no record stays longer for the time it claims. All or nothing: on failure no
 * seq is written and nothing is kept. -EINVAL for a record that record_to_text refuses, whose
 * id is another stream's detection or that has a name too many; -ENOSPC, -EBUSY, -EROFS from a
 * reader, -errno. */
int store_append(struct store *store, struct record *records, size_t count, int64_t now_ms,
                 struct store_error *err);

/* Marks every detection that is still open as ended at its last record's time, writing ended
 * records: what remains open after a crash has no one to end it. Returns how many, or -errno.
 */
int store_close_open_detections(struct store *store, int64_t now_ms, struct store_error *err);

/* --- retention ---------------------------------------------------------------------------- */

/* What is kept, no longer than `before_ms` (RECORD_NO_TIME: for ever) and of a stream no more
 * than `bytes` (0: any number): the bytes of the JSON texts of its records, nothing else. */
struct store_stream_limit {
    char name[RECORD_NAME_SIZE];
    int64_t before_ms; /* detections that ended before go */
    int64_t bytes;
};

struct store_retention {
    int64_t before_ms; /* of streams that are not in the list; RECORD_NO_TIME: for ever */
    /* Of a detection's records that came before, only its first and its latest stay, also while
     * it is open. RECORD_NO_TIME: all. */
    int64_t updates_before_ms;
    int64_t file_bytes; /* of the file less its free pages; 0: any number */
    size_t stream_count;
    const struct store_stream_limit *streams; /* borrowed for the call */
};

enum store_reason { STORE_BY_AGE, STORE_BY_STREAM_SIZE, STORE_BY_FILE_SIZE };
#define STORE_REASON_COUNT 3

/* What one step removed, and the file after it. */
struct store_expired {
    int64_t detections[STORE_REASON_COUNT];
    int64_t records; /* all, those of the detections too */
    int64_t file_bytes, free_bytes;
};

#define STORE_EXPIRE_MS 20 /* after which a step commits what it has */

/* One step of retention: a transaction that removes at most `limit` records. By size the oldest
 * ended detections go first, of the stream or of all; when only open ones are left, what lies
 * between their first and their latest record. A detection with many records goes in several
 * steps, its latest record last. When nothing has to go, free pages beyond an eighth of the
 * file are given back, a few each step (a file of the first schema keeps them for what comes).
 * Returns 1 when there is more to do, 0, or -errno. */
int store_expire(struct store *store, const struct store_retention *retention, int limit,
                 struct store_expired *ret_expired, struct store_error *err);

/* --- detections: readers ---------------------------------------------------------------- */

/* One row per detection, its latest record. Order: start time, then arrival. A cursor belongs
 * to its query: -EINVAL with another order or damaged. -ETIMEDOUT over the query cap. */
int store_query_detections(struct store *store, const struct record_query *query,
                           struct record_page *ret_page, struct store_error *err);

/* Counts what the query matches, by the flags of record_by; its order, limit and cursor mean
 * nothing here. -E2BIG over RECORD_GROUPS_MAX groups, -ETIMEDOUT over the query cap. */
int store_summarize(struct store *store, const struct record_query *query, unsigned by,
                    struct record_summary *ret_summary, struct store_error *err);

/* Latest record of one detection; caller frees *ret_text. -ENOENT. */
int store_get_detection(struct store *store, const char *id, char **ret_text,
                        struct store_error *err);

/* Records with seq > after, in order, at most limit (1..RECORD_PAGE_MAX); texts as above, next
 * always "": the last record's seq is where to go on. */
int store_records_after(struct store *store, int64_t after, int limit,
                        struct record_page *ret_page, struct store_error *err);

/* Highest and lowest seq kept; both 0 when empty. */
int store_seq_range(struct store *store, int64_t *ret_first, int64_t *ret_last,
                    struct store_error *err);

/* --- texts -------------------------------------------------------------------------------- */

/* What the API made, by name: a JSON text each, as the application gave it. */
enum store_shelf {
    STORE_STREAMS, /* by the stream's name */
    STORE_JOBS,    /* by the job's id */
};
#define STORE_SHELF_COUNT 2

/* Put replaces; -EINVAL for a name that is none, -E2BIG over STORE_TEXT_MAX. Delete: -ENOENT.
 * The list is sorted by name. */
int store_put_text(struct store *store, enum store_shelf shelf, const char *name,
                   const char *text, struct store_error *err);
int store_delete_text(struct store *store, enum store_shelf shelf, const char *name,
                      struct store_error *err);

struct store_text {
    char name[RECORD_NAME_SIZE];
    char *text;
};
int store_list_texts(struct store *store, enum store_shelf shelf, struct store_text **ret_texts,
                     size_t *ret_count, struct store_error *err);
void store_texts_free(struct store_text *texts, size_t count);

#endif
