#include "store/schema.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define APPLICATION_ID 0x7669676c /* "vigl": file(1) and we recognise a database by it */

static int read_pragma(struct store *store, const char *sql, int64_t *ret_value,
                       struct store_error *err)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    int64_t value = rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    if (rc != SQLITE_ROW)
        return handle_fail(store, rc, "cannot read its header", err);
    *ret_value = value;
    return 0;
}

int schema_check(struct store *store, struct store_error *err)
{
    int64_t application = 0, version = 0, tables = 0;
    int status = read_pragma(store, "PRAGMA application_id", &application, err);
    if (status == 0)
        status = read_pragma(store, "PRAGMA user_version", &version, err);
    if (status == 0)
        status = read_pragma(store, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (status < 0)
        return status;

    int known = schema_migrations[schema_migration_count - 1].number;
    if (application != APPLICATION_ID && (application != 0 || version != 0 || tables != 0))
        return handle_explain(store, -EUCLEAN, err,
                              "holds another program's data: choose another path");
    if (version > known)
        return handle_explain(store, -EPROTO, err,
                              "was written by a newer vigil (schema %d, this one knows %d): "
                              "install that version again or choose another path",
                              (int)version, known);
    return version < known;
}

static int64_t read_big_endian(const unsigned char bytes[4])
{
    return (int64_t)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

bool schema_header_is_older(const unsigned char header[SCHEMA_HEADER_SIZE])
{
    int64_t version = read_big_endian(header + 60), application = read_big_endian(header + 68);
    return memcmp(header, "SQLite format 3", 16) == 0 && application == APPLICATION_ID &&
           version < schema_migrations[schema_migration_count - 1].number;
}

static int apply(struct store *store, const struct schema_migration *migration,
                 struct store_error *err)
{
    char version[96];
    snprintf(version, sizeof version, "PRAGMA application_id = %d; PRAGMA user_version = %d",
             APPLICATION_ID, migration->number);
    int status = handle_exec(store, "BEGIN IMMEDIATE", err);
    if (status == 0)
        status = handle_exec(store, migration->sql, err);
    if (status == 0)
        status = handle_exec(store, version, err);
    if (status == 0)
        status = handle_exec(store, "COMMIT", err);
    if (status < 0)
        handle_rollback(store);
    return status;
}

int schema_migrate(struct store *store, struct store_error *err)
{
    int64_t version = 0;
    int status = read_pragma(store, "PRAGMA user_version", &version, err);
    /* A table that is made anew must not take those that refer to it along; and what is sorted
     * may be larger than our memory should be. Neither can be said within a transaction. */
    if (status == 0)
        status = handle_exec(store, "PRAGMA foreign_keys = OFF; PRAGMA temp_store = FILE", err);
    for (int i = 0; status == 0 && i < schema_migration_count; i++) {
        if (schema_migrations[i].number > version)
            status = apply(store, &schema_migrations[i], err);
    }
    if (status == 0)
        status =
            handle_exec(store, "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY", err);
    /* Into the file's own header, which store_is_older reads. */
    if (status == 0 && version > 0)
        status = handle_exec(store, "PRAGMA wal_checkpoint(TRUNCATE)", err);
    return status;
}
