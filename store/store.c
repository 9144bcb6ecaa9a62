/* Opening and closing. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/expire.h"
#include "store/handle.h"
#include "store/schema.h"

#define BUSY_MS 1000 /* the mailbox tries again, and its close is bounded */
/* Checking every page of a file up to this size takes well under a second; damage in a larger
 * one is found when a query meets it. */
#define QUICK_CHECK_BYTES (32 * 1024 * 1024)

/* Before anything is made beside it: SQLite would say of a device that the disk is full. */
static int check_kind(struct store *store, struct store_error *err)
{
    struct stat info;
    if (stat(store->path, &info) < 0 || S_ISREG(info.st_mode))
        return 0;
    return handle_explain(store, S_ISDIR(info.st_mode) ? -EISDIR : -ENOTSUP, err,
                          "is %s: choose the path of a file",
                          S_ISDIR(info.st_mode) ? "a folder" : "not a regular file");
}

/* Exactly one writer per file. The claim is a lock on a file of its own: closing any descriptor
 * of the database itself would drop the POSIX locks that SQLite holds on it. */
static int claim(struct store *store, struct store_error *err)
{
    char *path;
    if (asprintf(&path, "%s-lock", store->path) < 0)
        return handle_explain(store, -ENOMEM, err, "out of memory");
    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int status = store->lock_fd < 0 ? -errno : 0;
    if (status < 0)
        handle_explain(store, status, err, "cannot create its lock file: %m; check the folder");
    else if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0)
        status =
            handle_explain(store, -EBUSY, err,
                           "another vigild writes it; stop that one or choose another path");
    free(path);
    return status;
}

/* SQLite would create the file by the umask; its -wal and -shm take their mode from it. */
static int create_private(struct store *store, struct store_error *err)
{
    int fd = open(store->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    else if (errno != EEXIST)
        return handle_explain(store, -errno, err, "cannot create it: %m; check the folder");
    return 0;
}

static int open_connection(struct store *store, int flags, int busy_ms, const char *pragmas,
                           struct store_error *err)
{
    int rc = sqlite3_open_v2(store->path, &store->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (!store->db)
        return handle_explain(store, -ENOMEM, err, "out of memory");
    if (rc != SQLITE_OK)
        return handle_fail(store, rc, "cannot open it", err);
    sqlite3_busy_timeout(store->db, busy_ms);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    /* A record's text is at most RECORD_TEXT_MAX, a configuration STORE_TEXT_MAX: a damaged
     * length must not make us allocate more. */
    sqlite3_limit(store->db, SQLITE_LIMIT_LENGTH, 1024 * 1024);
    rc = sqlite3_exec(store->db, pragmas, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : handle_fail(store, rc, "cannot open it", err);
}

static int use_wal(struct store *store, struct store_error *err)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(store->db, "PRAGMA journal_mode = WAL", -1, &statement, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    const char *mode =
        rc == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    int status = 0;
    if (rc != SQLITE_ROW)
        status = handle_fail(store, rc, "cannot open it", err);
    else if (!mode || strcmp(mode, "wal") != 0)
        status = handle_explain(store, -ENOTSUP, err,
                                "cannot keep a write-ahead log: put it on a local disk");
    sqlite3_finalize(statement);
    return status < 0 ? status
                      : handle_exec(store, "PRAGMA journal_size_limit = 16777216", err);
}

static int check_pages(struct store *store, struct store_error *err)
{
    struct stat info;
    if (stat(store->path, &info) < 0 || info.st_size > QUICK_CHECK_BYTES)
        return 0;
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(store->db, "PRAGMA quick_check(1)", -1, &statement, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    bool good =
        rc == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(statement, 0), "ok") == 0;
    sqlite3_finalize(statement);
    return good ? 0
                : handle_fail(store, rc == SQLITE_ROW ? SQLITE_CORRUPT : rc, "cannot use it",
                              err);
}

static struct store *create_handle(const char *path)
{
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    store->lock_fd = -1;
    store->path = strdup(path);
    if (!store->path) {
        free(store);
        return NULL;
    }
    return store;
}

static int open_failed(struct store_error *err)
{
    if (err)
        snprintf(err->text, sizeof err->text, "out of memory");
    return -ENOMEM;
}

int store_open(const char *path, struct store **ret_store, struct store_error *err)
{
    struct store *store = create_handle(path);
    if (!store)
        return open_failed(err);
    int status = check_kind(store, err);
    if (status == 0)
        status = claim(store, err);
    if (status == 0)
        status = create_private(store, err);
    if (status == 0)
        status = open_connection(store, SQLITE_OPEN_READWRITE, BUSY_MS,
                                 "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
                                 "PRAGMA auto_vacuum = INCREMENTAL;" /* of a new file */
                                 "PRAGMA foreign_keys = ON; PRAGMA mmap_size = 0;"
                                 "PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL;"
                                 "PRAGMA secure_delete = FAST",
                                 err);
    /* What the file is comes before anything that would write to it. */
    int missing = status == 0 ? schema_check(store, err) : 0;
    if (missing < 0)
        status = missing;
    if (status == 0)
        status = check_pages(store, err);
    if (status == 0)
        status = use_wal(store, err);
    if (status == 0 && missing)
        status = schema_migrate(store, err);
    if (status == 0)
        status = expire_prepare(store, err);
    if (status < 0) {
        store_close(store);
        return status;
    }
    *ret_store = store;
    return 0;
}

int store_open_reader(const char *path, int query_ms, struct store **ret_store,
                      struct store_error *err)
{
    struct store *store = create_handle(path);
    if (!store)
        return open_failed(err);
    store->query_ms = query_ms;
    int status = 0;
    if (access(path, R_OK) < 0)
        status = handle_explain(store, -errno, err, "cannot be read: %m");
    if (status == 0)
        status = open_connection(store, SQLITE_OPEN_READONLY, BUSY_MS,
                                 "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
                                 "PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY",
                                 err);
    if (status == 0)
        status = schema_check(store, err);
    if (status == 1)
        status = handle_explain(store, -EPROTO, err,
                                "was written by an older vigil: let vigild open it once");
    if (status < 0) {
        store_close(store);
        return status;
    }
    *ret_store = store;
    return 0;
}

/* From the file's own header: to open it would recover the log of one that was killed, and
 * store_open then does that once more. */
int store_is_older(const char *path)
{
    unsigned char header[SCHEMA_HEADER_SIZE];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t size = fd < 0 ? -1 : read(fd, header, sizeof header);
    if (fd >= 0)
        close(fd);
    return size == (ssize_t)sizeof header && schema_header_is_older(header);
}

void store_close(struct store *store)
{
    if (!store)
        return;
    for (int i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(store->statements[i]);
    /* The last connection to close checkpoints, if it may write. */
    sqlite3_close(store->db);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    free(store->path);
    free(store);
}
