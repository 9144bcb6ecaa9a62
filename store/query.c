/* Reading: pages of detections, one detection, records in order. */
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/cursor.h"
#include "store/handle.h"
#include "store/walk.h"

/* A page with room for `limit` texts. */
static int page_init(struct record_page *page, int limit)
{
    memset(page, 0, sizeof *page);
    page->texts = calloc((size_t)limit, sizeof *page->texts);
    return page->texts ? SQLITE_OK : SQLITE_NOMEM;
}

static int page_add(struct record_page *page, sqlite3_stmt *row, int column)
{
    const char *text = (const char *)sqlite3_column_text(row, column);
    char *copy = text ? strdup(text) : NULL;
    if (!copy)
        return SQLITE_NOMEM;
    page->texts[page->count++] = copy;
    return SQLITE_OK;
}

/* The latest record of a walk's row. */
static int page_add_row(struct store *store, struct record_page *page,
                        const struct walk_row *row)
{
    sqlite3_stmt *text =
        handle_query(store, STATEMENT_RECORD_TEXT, "SELECT text FROM record WHERE seq = ?",
                     HANDLE_VALUES(row->last_seq));
    int rc = text ? sqlite3_step(text) : sqlite3_errcode(store->db);
    if (rc == SQLITE_ROW)
        rc = page_add(page, text, 0);
    else if (rc == SQLITE_DONE)
        rc = SQLITE_CORRUPT;
    sqlite3_reset(text);
    return rc;
}

static int read_page(struct store *store, const struct record_query *query,
                     const struct walk_place *place, struct record_page *page)
{
    struct walk *walk = NULL;
    struct walk_row row;
    struct walk_place last = {0};
    int rc = walk_create(store, query, place, LIST_BAND_COUNT - 1, &walk);
    while (rc == SQLITE_OK && (rc = walk_next(walk, &row)) == SQLITE_ROW) {
        /* One more than asked tells that there is a next page. */
        if (page->count == (size_t)query->limit) {
            cursor_format(&last, query, page->next);
            rc = SQLITE_DONE;
            break;
        }
        last = row.place;
        rc = page_add_row(store, page, &row);
    }
    walk_destroy(walk);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int store_query_detections(struct store *store, const struct record_query *query,
                           struct record_page *ret_page, struct store_error *err)
{
    if (query->limit < 1 || query->limit > RECORD_PAGE_MAX)
        return handle_explain(store, -EINVAL, err, "a page has 1 to %d detections",
                              RECORD_PAGE_MAX);
    struct walk_place place;
    if (query->cursor[0] && cursor_parse(query->cursor, query, &place) < 0)
        return handle_explain(store, -EINVAL, err,
                              "the cursor is damaged or of another query; start without one");

    handle_start_clock(store);
    struct record_page page;
    int rc = page_init(&page, query->limit);
    int status = rc == SQLITE_OK ? handle_exec(store, "BEGIN", err)
                                 : handle_fail(store, rc, "cannot list detections", err);
    if (status == 0) {
        rc = read_page(store, query, query->cursor[0] ? &place : NULL, &page);
        if (rc != SQLITE_OK)
            status = handle_fail(store, rc, "cannot list detections", err);
        handle_rollback(store); /* nothing was written */
    }
    if (status < 0) {
        record_page_finish(&page);
        return status;
    }
    *ret_page = page;
    return 0;
}

int store_get_detection(struct store *store, const char *id, char **ret_text,
                        struct store_error *err)
{
    handle_start_clock(store);
    sqlite3_stmt *get = handle_statement(store, STATEMENT_GET_DETECTION,
                                         "SELECT r.text FROM detection d JOIN record r "
                                         "ON r.seq = d.last_seq WHERE d.id = ?1");
    int rc =
        get ? sqlite3_bind_text(get, 1, id, -1, SQLITE_STATIC) : sqlite3_errcode(store->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(get);
    int status = 0;
    const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(get, 0) : NULL;
    char *copy = text ? strdup(text) : NULL;
    if (rc == SQLITE_DONE)
        status = handle_explain(store, -ENOENT, err, "has no such detection");
    else if (rc != SQLITE_ROW)
        status = handle_fail(store, rc, "cannot read a detection", err);
    else if (!copy)
        status = handle_fail(store, SQLITE_NOMEM, "cannot read a detection", err);
    sqlite3_reset(get);
    if (status == 0)
        *ret_text = copy;
    return status;
}

int store_records_after(struct store *store, int64_t after, int limit,
                        struct record_page *ret_page, struct store_error *err)
{
    if (limit < 1 || limit > RECORD_PAGE_MAX)
        return handle_explain(store, -EINVAL, err, "a page has 1 to %d records",
                              RECORD_PAGE_MAX);
    handle_start_clock(store);
    struct record_page page;
    int rc = page_init(&page, limit);
    sqlite3_stmt *list =
        handle_statement(store, STATEMENT_RECORDS_AFTER,
                         "SELECT text FROM record WHERE seq > ?1 ORDER BY seq LIMIT ?2");
    if (rc == SQLITE_OK)
        rc = list ? sqlite3_bind_int64(list, 1, after) : sqlite3_errcode(store->db);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int(list, 2, limit);
    while (rc == SQLITE_OK && (rc = sqlite3_step(list)) == SQLITE_ROW)
        rc = page_add(&page, list, 0);
    int status = rc == SQLITE_DONE ? 0 : handle_fail(store, rc, "cannot list records", err);
    sqlite3_reset(list);
    if (status < 0) {
        record_page_finish(&page);
        return status;
    }
    *ret_page = page;
    return 0;
}

int store_seq_range(struct store *store, int64_t *ret_first, int64_t *ret_last,
                    struct store_error *err)
{
    handle_start_clock(store);
    /* Two subqueries: SQLite answers only a lone min() or max() from the ends of the table. */
    sqlite3_stmt *range = handle_statement(store, STATEMENT_SEQ_RANGE,
                                           "SELECT coalesce((SELECT min(seq) FROM record), 0), "
                                           "coalesce((SELECT max(seq) FROM record), 0)");
    int rc = range ? sqlite3_step(range) : sqlite3_errcode(store->db);
    if (rc == SQLITE_ROW) {
        *ret_first = sqlite3_column_int64(range, 0);
        *ret_last = sqlite3_column_int64(range, 1);
    }
    int status = rc == SQLITE_ROW ? 0 : handle_fail(store, rc, "cannot read seq", err);
    sqlite3_reset(range);
    return status;
}
