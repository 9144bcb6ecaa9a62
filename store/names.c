#include "store/names.h"

#include <string.h>

#define NAMES_MAX ((1 << NAME_BITS) - 1)

int names_find(struct store *store, const char *text, int64_t *ret_id)
{
    sqlite3_stmt *find =
        handle_statement(store, STATEMENT_FIND_NAME, "SELECT id FROM name WHERE text = ?1");
    int rc =
        find ? sqlite3_bind_text(find, 1, text, -1, SQLITE_STATIC) : sqlite3_errcode(store->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(find);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        *ret_id = rc == SQLITE_ROW ? sqlite3_column_int64(find, 0) : 0;
    sqlite3_reset(find);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int add_use(struct store *store, int64_t id)
{
    return handle_run(store, STATEMENT_USE_NAME, "UPDATE name SET uses = uses + 1 WHERE id = ?",
                      HANDLE_VALUES(id));
}

/* The first id that is free above the highest; once that has reached the end, any. */
static int insert(struct store *store, const char *text, int64_t maker, int64_t *ret_id)
{
    sqlite3_stmt *put = handle_statement(
        store, STATEMENT_PUT_NAME,
        "INSERT INTO name (id, text, uses, maker) SELECT CASE WHEN last < ?3 THEN last + 1 "
        "ELSE "
        "(SELECT min(id) + 1 FROM name n WHERE NOT EXISTS (SELECT 1 FROM name m WHERE m.id = "
        "n.id + 1)) END, ?1, 1, ?2 FROM (SELECT coalesce(max(id), 0) AS last FROM name) "
        "RETURNING id");
    int rc =
        put ? sqlite3_bind_text(put, 1, text, -1, SQLITE_STATIC) : sqlite3_errcode(store->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(put, 2, maker);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(put, 3, NAMES_MAX);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(put);
    if (rc == SQLITE_ROW) {
        *ret_id = sqlite3_column_int64(put, 0);
        rc = sqlite3_step(put);
    }
    sqlite3_reset(put);
    return rc == SQLITE_DONE ? SQLITE_OK : rc & 0xff;
}

/* A name in the maker's account: the maker's own name stays for as long. */
static int charge(struct store *store, int64_t maker)
{
    int rc =
        handle_run(store, STATEMENT_CHARGE_NAME,
                   "UPDATE stream_use SET names = names + 1 WHERE stream = ? AND names < ?",
                   HANDLE_VALUES(maker, STORE_NAMES_PER_STREAM));
    if (rc != SQLITE_OK)
        return rc;
    return sqlite3_changes(store->db) == 1 ? add_use(store, maker) : SQLITE_CONSTRAINT;
}

int names_use(struct store *store, const char *text, int64_t maker, int64_t *ret_id)
{
    int64_t id;
    int rc = names_find(store, text, &id);
    if (rc == SQLITE_OK && id != 0)
        rc = add_use(store, id);
    else if (rc == SQLITE_OK && maker != 0)
        rc = charge(store, maker);
    if (rc == SQLITE_OK && id == 0)
        rc = insert(store, text, maker, &id);
    /* A name of another role may have been there before it was a stream's. */
    if (rc == SQLITE_OK && maker == 0)
        rc = handle_run(store, STATEMENT_PUT_USE,
                        "INSERT OR IGNORE INTO stream_use VALUES (?, 0, 0, 0)",
                        HANDLE_VALUES(id));
    if (rc == SQLITE_OK)
        *ret_id = id;
    return rc;
}

int names_release(struct store *store, int64_t id)
{
    int64_t left[2] = {0}; /* uses, maker */
    int rc = handle_read(store, STATEMENT_RELEASE_NAME,
                         "UPDATE name SET uses = uses - 1 WHERE id = ? RETURNING uses, maker",
                         HANDLE_VALUES(id), 2, left);
    if (rc != SQLITE_OK || left[0] > 0)
        return rc;
    rc = handle_run(store, STATEMENT_DELETE_NAME, "DELETE FROM name WHERE id = ?",
                    HANDLE_VALUES(id));
    if (rc == SQLITE_OK)
        rc = handle_run(store, STATEMENT_DELETE_USE, "DELETE FROM stream_use WHERE stream = ?",
                        HANDLE_VALUES(id));
    if (rc != SQLITE_OK || left[1] == 0)
        return rc;
    rc = handle_run(store, STATEMENT_CREDIT_NAME,
                    "UPDATE stream_use SET names = names - 1 WHERE stream = ?",
                    HANDLE_VALUES(left[1]));
    return rc == SQLITE_OK ? names_release(store, left[1]) : rc;
}

int names_text(struct store *store, int64_t id, char **ret_text)
{
    sqlite3_stmt *text = handle_query(store, STATEMENT_NAME_TEXT,
                                      "SELECT text FROM name WHERE id = ?", HANDLE_VALUES(id));
    int rc = text ? sqlite3_step(text) : sqlite3_errcode(store->db);
    const char *found = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(text, 0) : NULL;
    char *copy = found ? strdup(found) : NULL;
    sqlite3_reset(text);
    if (rc == SQLITE_DONE)
        return SQLITE_CORRUPT;
    if (rc != SQLITE_ROW)
        return rc;
    if (!copy)
        return SQLITE_NOMEM;
    *ret_text = copy;
    return SQLITE_OK;
}
