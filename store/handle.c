#include "store/handle.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS 1000000

int64_t handle_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * (int64_t)1000 * NS_PER_MS + now.tv_nsec;
}

bool handle_is_late(const struct store *store)
{
    return store->deadline_ns != 0 && handle_now_ns() > store->deadline_ns;
}

/* SQLite asks every few hundred steps of its machine whether to go on. */
static int is_out_of_time(void *context)
{
    return handle_is_late(context);
}

void handle_start_clock(struct store *store)
{
    if (store->query_ms == 0)
        return;
    store->deadline_ns = handle_now_ns() + store->query_ms * (int64_t)NS_PER_MS;
    sqlite3_progress_handler(store->db, 500, is_out_of_time, store);
}

sqlite3_stmt *handle_statement(struct store *store, enum store_statement slot, const char *sql)
{
    sqlite3_stmt **statement = &store->statements[slot];
    if (!*statement)
        sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL);
    if (*statement) {
        sqlite3_reset(*statement);
        sqlite3_clear_bindings(*statement);
    }
    return *statement;
}

sqlite3_stmt *handle_query(struct store *store, enum store_statement slot, const char *sql,
                           int count, const int64_t *values)
{
    sqlite3_stmt *statement = handle_statement(store, slot, sql);
    int rc = statement ? SQLITE_OK : SQLITE_ERROR;
    for (int i = 0; rc == SQLITE_OK && i < count; i++)
        rc = sqlite3_bind_int64(statement, i + 1, values[i]);
    return rc == SQLITE_OK ? statement : NULL;
}

int handle_run(struct store *store, enum store_statement slot, const char *sql, int count,
               const int64_t *values)
{
    sqlite3_stmt *statement = handle_query(store, slot, sql, count, values);
    int rc = statement ? sqlite3_step(statement) : sqlite3_errcode(store->db);
    sqlite3_reset(statement);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int handle_read(struct store *store, enum store_statement slot, const char *sql, int count,
                const int64_t *values, int columns, int64_t *ret_columns)
{
    sqlite3_stmt *statement = handle_query(store, slot, sql, count, values);
    int rc = statement ? sqlite3_step(statement) : sqlite3_errcode(store->db);
    int end = rc;
    if (rc == SQLITE_ROW) {
        for (int i = 0; i < columns; i++)
            ret_columns[i] = sqlite3_column_int64(statement, i);
        /* What a RETURNING statement changes is done only when it has ended. */
        end = sqlite3_step(statement);
    }
    sqlite3_reset(statement);
    return rc == SQLITE_ROW && end == SQLITE_DONE ? SQLITE_OK : end;
}

int handle_exec(struct store *store, const char *sql, struct store_error *err)
{
    int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : handle_fail(store, rc, "cannot write", err);
}

void handle_rollback(struct store *store)
{
    /* Some failures (disk full, out of memory) have rolled back already. */
    if (!sqlite3_get_autocommit(store->db))
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

static const struct {
    int rc;
    int status;
    const char *why; /* NULL: what SQLite says */
    const char *cure;
} failures[] = {
    {SQLITE_NOMEM, -ENOMEM, "out of memory", NULL},
    {SQLITE_BUSY, -EBUSY, "another program holds it locked", "close that program"},
    {SQLITE_LOCKED, -EBUSY, "another program holds it locked", "close that program"},
    {SQLITE_INTERRUPT, -ETIMEDOUT, "took too long", "ask for less at once"},
    {SQLITE_FULL, -ENOSPC, "the disk is full", "free space there"},
    {SQLITE_READONLY, -EROFS, NULL, "make file and folder writable"},
    {SQLITE_PERM, -EACCES, NULL, "check the owner and mode of file and folder"},
    {SQLITE_CANTOPEN, -EACCES, NULL, "check that folder and file exist and may be read"},
    {SQLITE_CORRUPT, -EUCLEAN, "the file is damaged",
     "move it away and start again, or save what can be read with: sqlite3 FILE .recover"},
    {SQLITE_NOTADB, -EUCLEAN, "the file is damaged or no database",
     "move it away and start again, or choose another path"},
};

int handle_fail(struct store *store, int rc, const char *what, struct store_error *err)
{
    const char *why = sqlite3_errmsg(store->db), *cure = NULL;
    int status = -EIO;
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        if (failures[i].rc != (rc & 0xff))
            continue;
        status = failures[i].status;
        why = failures[i].why ? failures[i].why : why;
        cure = failures[i].cure;
    }
    return handle_explain(store, status, err, "%s: %s%s%s", what, why, cure ? "; " : "",
                          cure ? cure : "");
}

int handle_explain(struct store *store, int status, struct store_error *err, const char *format,
                   ...)
{
    if (!err)
        return status;
    /* The end of a long path is cut, so that what to do about it is not. */
    char why[sizeof err->text - sizeof "database : "];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    int room = (int)(sizeof why - strlen(why));
    snprintf(err->text, sizeof err->text, "database %.*s: %s", room, store->path, why);
    return status;
}
