/* A store handle from the inside: the connection, its statements, its errors. Private to
 * store/.
 *
 * Thread: as the handle. */
#ifndef STORE_HANDLE_H
#define STORE_HANDLE_H

#include <sqlite3.h>

#include "store/store.h"

/* Statements kept prepared; each belongs to one function. */
enum store_statement {
    STATEMENT_LAST_SEQ,
    STATEMENT_FIND_DETECTION,
    STATEMENT_PUT_DETECTION,
    STATEMENT_UPDATE_DETECTION,
    STATEMENT_PUT_RECORD,
    STATEMENT_DELETE_RECORD,
    STATEMENT_ADD_BYTES,
    STATEMENT_IN_ZONE,
    STATEMENT_PUT_ZONE,
    STATEMENT_LIST_ZONES,
    STATEMENT_PUT_MARK,
    STATEMENT_OPEN_DETECTIONS,
    STATEMENT_EXPIRE_STREAMS,
    STATEMENT_OLDEST_ENDED,
    STATEMENT_OLDEST_RECORD,
    STATEMENT_OLDEST_UPDATE,
    STATEMENT_DELETE_ZONES,
    STATEMENT_DELETE_DETECTION,
    STATEMENT_THIN_LIMIT,
    STATEMENT_THIN,
    STATEMENT_PUT_PROGRESS,
    STATEMENT_FORGET_MARKS,
    STATEMENT_READ_PAGES,
    STATEMENT_FIND_NAME,
    STATEMENT_USE_NAME,
    STATEMENT_PUT_NAME,
    STATEMENT_CHARGE_NAME,
    STATEMENT_CREDIT_NAME,
    STATEMENT_RELEASE_NAME,
    STATEMENT_DELETE_NAME,
    STATEMENT_NAME_TEXT,
    STATEMENT_PUT_USE,
    STATEMENT_DELETE_USE,
    STATEMENT_PUT_POSTING,
    STATEMENT_TAKE_POSTING,
    STATEMENT_PUT_HOUR,
    STATEMENT_CLEAR_HOUR,
    STATEMENT_TAKE_HOUR,
    STATEMENT_WALK, /* and its sources and ways: walk.c */
    STATEMENT_WALK_LAST = STATEMENT_WALK + 5,
    STATEMENT_WALK_ROW,
    STATEMENT_RECORD_TEXT,
    STATEMENT_NEXT_HOUR,
    STATEMENT_HOUR_LISTS,
    STATEMENT_GET_DETECTION,
    STATEMENT_RECORDS_AFTER,
    STATEMENT_SEQ_RANGE,
    STATEMENT_PUT_STREAM,
    STATEMENT_DELETE_STREAM,
    STATEMENT_LIST_STREAMS,
    STATEMENT_PUT_JOB,
    STATEMENT_DELETE_JOB,
    STATEMENT_LIST_JOBS,
    STATEMENT_COUNT,
};

struct store {
    sqlite3 *db;
    char *path;
    int lock_fd;         /* the writer's claim on the file; -1 for a reader */
    int query_ms;        /* 0: no cap */
    int64_t deadline_ns; /* CLOCK_MONOTONIC, of the call that runs; 0: none */
    int64_t thinned_seq; /* as in `progress`; the writer's */
    int64_t marked_ms;   /* when `mark` was last written; the writer's */
    sqlite3_stmt *statements[STATEMENT_COUNT];
};

/* Starts the clock of a capped call. Every public function that queries begins with it. */
void handle_start_clock(struct store *store);

/* CLOCK_MONOTONIC. */
int64_t handle_now_ns(void);

/* Whether that clock has run out: for loops of many short statements. */
bool handle_is_late(const struct store *store);

/* The prepared statement of a slot, reset and without bindings; NULL on failure, for
 * handle_fail with sqlite3_errcode. */
sqlite3_stmt *handle_statement(struct store *store, enum store_statement slot, const char *sql);

/* The same for a statement whose parameters are integers. HANDLE_VALUES makes both
 * arguments. */
sqlite3_stmt *handle_query(struct store *store, enum store_statement slot, const char *sql,
                           int count, const int64_t *values);
#define HANDLE_VALUES(...)                                                                     \
    (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[])               \
    {                                                                                          \
        __VA_ARGS__                                                                            \
    }

/* Runs a statement to its end: SQLITE_OK, or what it ended with. */
int handle_run(struct store *store, enum store_statement slot, const char *sql, int count,
               const int64_t *values);

/* Runs a statement that gives one row of integers; NULL counts as 0. SQLITE_DONE without
 * one. */
int handle_read(struct store *store, enum store_statement slot, const char *sql, int count,
                const int64_t *values, int columns, int64_t *ret_columns);

/* 0 or -errno. */
int handle_exec(struct store *store, const char *sql, struct store_error *err);

/* Ends a transaction if one is open; what went wrong before was reported already. */
void handle_rollback(struct store *store);

/* Turns an SQLite result into -errno and a line: "database PATH: what: why; what to do". */
int handle_fail(struct store *store, int rc, const char *what, struct store_error *err);

/* "database PATH " and the text; returns `status`. */
int handle_explain(struct store *store, int status, struct store_error *err, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));

#endif
