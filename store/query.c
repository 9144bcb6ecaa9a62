/* Reading pages. A page of detections is one statement built for its query: an index chosen by
 * rule (the planner has no statistics here, and a wrong guess costs seconds on a large file),
 * the remaining filters, and a place to go on from. */
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/cursor.h"
#include "store/handle.h"

/* Parameters by number, whatever the statement uses of them. */
enum parameter {
    PARAMETER_STREAM = 1,
    PARAMETER_KIND,
    PARAMETER_LABEL,
    PARAMETER_ZONE,
    PARAMETER_MIN_SCORE,
    PARAMETER_SINCE,
    PARAMETER_UNTIL,
    PARAMETER_LIMIT,
    PARAMETER_CURSOR_START,
    PARAMETER_CURSOR_ID,
};

/* The narrowest way in: open detections are few, zones narrow, then pairs, then single names.
 */
static const char *choose_index(const struct record_query *query)
{
    bool stream = query->stream[0], kind = query->kind >= 0, label = query->label[0];
    if (query->state == RECORD_STATE_ACTIVE)
        return "detection_open";
    if (stream)
        return label  ? "detection_by_stream_label"
               : kind ? "detection_by_stream_kind"
                      : "detection_by_stream";
    return label ? "detection_by_label" : kind ? "detection_by_kind" : "detection_by_start";
}

static void build(FILE *sql, const struct record_query *query, bool continues)
{
    bool by_zone = query->zone[0] && query->state != RECORD_STATE_ACTIVE;
    /* The table whose index gives the order. */
    const char *order = by_zone ? "z" : "d";
    fputs("SELECT d.start_ms, d.id, r.text FROM ", sql);
    if (by_zone)
        fputs("zone z CROSS JOIN detection d ON d.number = z.detection", sql);
    else
        fprintf(sql, "detection d INDEXED BY %s", choose_index(query));
    fputs(" CROSS JOIN record r ON r.seq = d.seq WHERE 1", sql);
    if (by_zone)
        fprintf(sql, " AND z.zone = ?%d", PARAMETER_ZONE);
    else if (query->zone[0])
        fprintf(sql,
                " AND EXISTS (SELECT 1 FROM zone z WHERE z.zone = ?%d AND "
                "z.start_ms = d.start_ms AND z.id = d.id)",
                PARAMETER_ZONE);
    if (query->stream[0])
        fprintf(sql, " AND d.stream = ?%d", PARAMETER_STREAM);
    if (query->kind >= 0)
        fprintf(sql, " AND d.kind = ?%d", PARAMETER_KIND);
    if (query->label[0])
        fprintf(sql, " AND d.label = ?%d", PARAMETER_LABEL);
    if (query->min_score > 0)
        fprintf(sql, " AND d.score >= ?%d", PARAMETER_MIN_SCORE);
    if (query->state != RECORD_STATE_ANY)
        fprintf(sql, " AND d.end_ms IS %s",
                query->state == RECORD_STATE_ACTIVE ? "NULL" : "NOT NULL");
    /* The cursor lies within the bound it walks away from; with both given the index would be
     * entered at the bound, and each page would read all pages before it. */
    if (query->since_ms != RECORD_NO_TIME && !(continues && query->ascending))
        fprintf(sql, " AND %s.start_ms >= ?%d", order, PARAMETER_SINCE);
    if (query->until_ms != RECORD_NO_TIME && !(continues && !query->ascending))
        fprintf(sql, " AND %s.start_ms < ?%d", order, PARAMETER_UNTIL);
    if (continues)
        fprintf(sql, " AND (%s.start_ms, %s.id) %c (?%d, ?%d)", order, order,
                query->ascending ? '>' : '<', PARAMETER_CURSOR_START, PARAMETER_CURSOR_ID);
    const char *way = query->ascending ? "ASC" : "DESC";
    fprintf(sql, " ORDER BY %s.start_ms %s, %s.id %s LIMIT ?%d", order, way, order, way,
            PARAMETER_LIMIT);
}

/* A statement has parameters up to the highest it uses: up to PARAMETER_LIMIT always. */
static int bind(sqlite3_stmt *statement, const struct record_query *query,
                const struct cursor *cursor)
{
    const char *kind =
        query->kind >= 0 ? record_kind_name((enum record_kind)query->kind) : NULL;
    const struct {
        enum parameter parameter;
        const char *text;
    } texts[] = {
        {PARAMETER_STREAM, query->stream}, {PARAMETER_KIND, kind},
        {PARAMETER_LABEL, query->label},   {PARAMETER_ZONE, query->zone},
        {PARAMETER_CURSOR_ID, cursor->id},
    };
    const struct {
        enum parameter parameter;
        int64_t value;
    } integers[] = {
        {PARAMETER_SINCE, query->since_ms},
        {PARAMETER_UNTIL, query->until_ms},
        /* One more than asked tells whether there is a next page. */
        {PARAMETER_LIMIT, query->limit + 1},
        {PARAMETER_CURSOR_START, cursor->start_ms},
    };
    int highest = query->cursor[0] ? PARAMETER_CURSOR_ID : PARAMETER_LIMIT;
    int rc = sqlite3_bind_double(statement, PARAMETER_MIN_SCORE, query->min_score);
    for (size_t i = 0; rc == SQLITE_OK && i < sizeof texts / sizeof texts[0]; i++) {
        if ((int)texts[i].parameter <= highest)
            rc = sqlite3_bind_text(statement, (int)texts[i].parameter, texts[i].text, -1,
                                   SQLITE_STATIC);
    }
    for (size_t i = 0; rc == SQLITE_OK && i < sizeof integers / sizeof integers[0]; i++) {
        if ((int)integers[i].parameter <= highest)
            rc = sqlite3_bind_int64(statement, (int)integers[i].parameter, integers[i].value);
    }
    return rc;
}

static int prepare(struct store *store, const struct record_query *query,
                   sqlite3_stmt **ret_statement)
{
    char *text = NULL;
    size_t size;
    FILE *sql = open_memstream(&text, &size);
    if (!sql)
        return SQLITE_NOMEM;
    build(sql, query, query->cursor[0] != 0);
    int failed = fclose(sql);
    int rc =
        failed ? SQLITE_NOMEM : sqlite3_prepare_v2(store->db, text, -1, ret_statement, NULL);
    free(text);
    return rc;
}

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

/* Where the row stands in the list's order. */
static void read_place(sqlite3_stmt *row, struct cursor *cursor)
{
    const char *id = (const char *)sqlite3_column_text(row, 1);
    cursor->start_ms = sqlite3_column_int64(row, 0);
    snprintf(cursor->id, sizeof cursor->id, "%s", id ? id : "");
}

static int read_page(sqlite3_stmt *statement, const struct record_query *query,
                     struct record_page *page)
{
    struct cursor last = {0};
    int rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        if (page->count == (size_t)query->limit) {
            cursor_format(&last, query, page->next);
            return SQLITE_OK;
        }
        read_place(statement, &last);
        rc = page_add(page, statement, 2);
        if (rc != SQLITE_OK)
            return rc;
    }
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int store_query_detections(struct store *store, const struct record_query *query,
                           struct record_page *ret_page, struct store_error *err)
{
    if (query->limit < 1 || query->limit > RECORD_PAGE_MAX)
        return handle_explain(store, -EINVAL, err, "a page has 1 to %d detections",
                              RECORD_PAGE_MAX);
    struct cursor cursor = {0};
    if (query->cursor[0] && cursor_parse(query->cursor, query, &cursor) < 0)
        return handle_explain(store, -EINVAL, err,
                              "the cursor is damaged or of another query; start without one");

    handle_start_clock(store);
    sqlite3_stmt *statement = NULL;
    struct record_page page;
    int rc = page_init(&page, query->limit);
    if (rc == SQLITE_OK)
        rc = prepare(store, query, &statement);
    if (rc == SQLITE_OK)
        rc = bind(statement, query, &cursor);
    if (rc == SQLITE_OK)
        rc = read_page(statement, query, &page);
    int status = rc == SQLITE_OK ? 0 : handle_fail(store, rc, "cannot list detections", err);
    sqlite3_finalize(statement);
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
                                         "ON r.seq = d.seq WHERE d.id = ?1");
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
