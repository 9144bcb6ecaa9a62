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
    STATEMENT_PUT_DETECTION,
    STATEMENT_PUT_RECORD,
    STATEMENT_PUT_ZONE,
    STATEMENT_OPEN_DETECTIONS,
    STATEMENT_EXPIRE,
    STATEMENT_GET_DETECTION,
    STATEMENT_RECORDS_AFTER,
    STATEMENT_SEQ_RANGE,
    STATEMENT_PUT_STREAM,
    STATEMENT_DELETE_STREAM,
    STATEMENT_LIST_STREAMS,
    STATEMENT_COUNT,
};

struct store {
    sqlite3 *db;
    char *path;
    int lock_fd;         /* the writer's claim on the file; -1 for a reader */
    int query_ms;        /* 0: no cap */
    int64_t deadline_ns; /* CLOCK_MONOTONIC, of the call that runs; 0: none */
    sqlite3_stmt *statements[STATEMENT_COUNT];
};

/* Starts the clock of a capped call. Every public function that queries begins with it. */
void handle_start_clock(struct store *store);

/* The prepared statement of a slot, reset and without bindings; NULL on failure, for
 * handle_fail with sqlite3_errcode. */
sqlite3_stmt *handle_statement(struct store *store, enum store_statement slot, const char *sql);

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
