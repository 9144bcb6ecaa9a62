/* Tables of a name and a text. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/handle.h"

static const struct shelf {
    const char *noun;
    bool (*name_is_valid)(const char *name);
    enum store_statement put, delete, list;
    const char *put_sql, *delete_sql, *list_sql;
} shelves[] = {
    [STORE_STREAMS] = {"stream", record_name_is_valid, STATEMENT_PUT_STREAM,
                       STATEMENT_DELETE_STREAM, STATEMENT_LIST_STREAMS,
                       "INSERT INTO stream (name, config) VALUES (?1, ?2) "
                       "ON CONFLICT (name) DO UPDATE SET config = ?2",
                       "DELETE FROM stream WHERE name = ?1",
                       "SELECT name, config FROM stream ORDER BY name"},
    [STORE_JOBS] = {"job", record_id_is_valid, STATEMENT_PUT_JOB, STATEMENT_DELETE_JOB,
                    STATEMENT_LIST_JOBS,
                    "INSERT INTO job (id, state) VALUES (?1, ?2) "
                    "ON CONFLICT (id) DO UPDATE SET state = ?2",
                    "DELETE FROM job WHERE id = ?1", "SELECT id, state FROM job ORDER BY id"},
};

int store_put_text(struct store *store, enum store_shelf which, const char *name,
                   const char *text, struct store_error *err)
{
    const struct shelf *shelf = &shelves[which];
    if (!shelf->name_is_valid(name))
        return handle_explain(store, -EINVAL, err, "cannot keep a %s by that name",
                              shelf->noun);
    if (strlen(text) > STORE_TEXT_MAX)
        return handle_explain(store, -E2BIG, err, "cannot keep %s %s: over %d bytes",
                              shelf->noun, name, STORE_TEXT_MAX);
    sqlite3_stmt *put = handle_statement(store, shelf->put, shelf->put_sql);
    int rc =
        put ? sqlite3_bind_text(put, 1, name, -1, SQLITE_STATIC) : sqlite3_errcode(store->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(put, 2, text, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(put);
    int status = rc == SQLITE_DONE ? 0 : handle_fail(store, rc, "cannot keep a change", err);
    sqlite3_reset(put);
    return status;
}

int store_delete_text(struct store *store, enum store_shelf which, const char *name,
                      struct store_error *err)
{
    const struct shelf *shelf = &shelves[which];
    sqlite3_stmt *delete = handle_statement(store, shelf->delete, shelf->delete_sql);
    int rc = delete ? sqlite3_bind_text(delete, 1, name, -1, SQLITE_STATIC)
                    : sqlite3_errcode(store->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(delete);
    int status = 0;
    if (rc != SQLITE_DONE)
        status = handle_fail(store, rc, "cannot delete what was kept", err);
    else if (sqlite3_changes(store->db) == 0)
        status = handle_explain(store, -ENOENT, err, "has no such %s", shelf->noun);
    sqlite3_reset(delete);
    return status;
}

static int add_text(const struct shelf *shelf, sqlite3_stmt *row, struct store_text **texts,
                    size_t *count)
{
    const char *name = (const char *)sqlite3_column_text(row, 0);
    const char *text = (const char *)sqlite3_column_text(row, 1);
    if (!name || !text)
        return -ENOMEM;
    if (!shelf->name_is_valid(name))
        return -EUCLEAN;
    struct store_text *grown = realloc(*texts, (*count + 1) * sizeof **texts);
    if (!grown)
        return -ENOMEM;
    *texts = grown;
    strcpy(grown[*count].name, name);
    grown[*count].text = strdup(text);
    if (!grown[*count].text)
        return -ENOMEM;
    (*count)++;
    return 0;
}

int store_list_texts(struct store *store, enum store_shelf which, struct store_text **ret_texts,
                     size_t *ret_count, struct store_error *err)
{
    const struct shelf *shelf = &shelves[which];
    handle_start_clock(store);
    struct store_text *texts = NULL;
    size_t count = 0;
    sqlite3_stmt *list = handle_statement(store, shelf->list, shelf->list_sql);
    int rc = list ? SQLITE_OK : sqlite3_errcode(store->db), status = 0;
    while (list && status == 0 && (rc = sqlite3_step(list)) == SQLITE_ROW)
        status = add_text(shelf, list, &texts, &count);
    if (status == -EUCLEAN)
        handle_fail(store, SQLITE_CORRUPT, "cannot list what is kept", err);
    else if (status < 0)
        handle_fail(store, SQLITE_NOMEM, "cannot list what is kept", err);
    else if (rc != SQLITE_DONE)
        status = handle_fail(store, rc, "cannot list what is kept", err);
    sqlite3_reset(list);
    if (status < 0) {
        store_texts_free(texts, count);
        return status;
    }
    *ret_texts = texts;
    *ret_count = count;
    return 0;
}

void store_texts_free(struct store_text *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(texts[i].text);
    free(texts);
}
