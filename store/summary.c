/* Counting. Whole hours are counted already (lists.h); what remains to be looked at row by row
 * are the parts of hours at both ends, the band that min_score cuts, and what is open. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/handle.h"
#include "store/names.h"
#include "store/store.h"
#include "store/walk.h"

#define DAY_MS       (24 * LIST_HOUR_MS)
#define ENTRIES_ROOM (1 << 16) /* between two times of bringing equal ones together */

/* What is counted apart; 0 where it is not asked for. */
struct entry {
    int64_t time_ms, stream, label, count;
};

struct tally {
    struct store *store;
    const struct record_query *query;
    unsigned by;
    int64_t stream, label, zone; /* ids of the query's names; 0: any */
    size_t count;
    struct entry *entries; /* ENTRIES_ROOM */
};

/* --- entries ------------------------------------------------------------------------------ */

static int compare_entries(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    if (left->time_ms != right->time_ms)
        return left->time_ms < right->time_ms ? -1 : 1;
    if (left->stream != right->stream)
        return left->stream < right->stream ? -1 : 1;
    return left->label < right->label ? -1 : left->label > right->label;
}

static void bring_together(struct tally *tally)
{
    if (tally->count == 0)
        return;
    qsort(tally->entries, tally->count, sizeof tally->entries[0], compare_entries);
    size_t last = 0;
    for (size_t i = 1; i < tally->count; i++) {
        if (compare_entries(&tally->entries[last], &tally->entries[i]) == 0)
            tally->entries[last].count += tally->entries[i].count;
        else
            tally->entries[++last] = tally->entries[i];
    }
    tally->count = last + 1;
}

/* SQLITE_TOOBIG when there are more groups than an answer may have. */
static int add(struct tally *tally, int64_t start_ms, int64_t stream, int64_t label,
               int64_t count)
{
    int64_t unit = tally->by & RECORD_BY_HOUR  ? LIST_HOUR_MS
                   : tally->by & RECORD_BY_DAY ? DAY_MS
                                               : INT64_MAX;
    struct entry entry = {.time_ms = start_ms / unit * unit,
                          .stream = tally->by & RECORD_BY_STREAM ? stream : 0,
                          .label = tally->by & RECORD_BY_LABEL ? label : 0,
                          .count = count};
    struct entry *last = tally->count ? &tally->entries[tally->count - 1] : NULL;
    if (last && compare_entries(last, &entry) == 0) {
        last->count += count;
        return SQLITE_OK;
    }
    if (tally->count == ENTRIES_ROOM) {
        bring_together(tally);
        if (tally->count > ENTRIES_ROOM / 2)
            return SQLITE_TOOBIG;
    }
    tally->entries[tally->count++] = entry;
    return SQLITE_OK;
}

/* --- what is counted ---------------------------------------------------------------------- */

/* Each match of `query` counts `sign`. */
static int add_rows(struct tally *tally, const struct record_query *query, int last_band,
                    int64_t sign)
{
    struct walk *walk = NULL;
    struct walk_row row;
    int rc = walk_create(tally->store, query, NULL, last_band, &walk);
    while (rc == SQLITE_OK && (rc = walk_next(walk, &row)) == SQLITE_ROW)
        rc = add(tally, row.place.start_ms, row.stream, row.label, sign);
    walk_destroy(walk);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int add_hour(struct tally *tally, int64_t hour, int first_band)
{
    int64_t first, end;
    list_range(tally->zone, tally->stream, &first, &end);
    sqlite3_stmt *lists = handle_query(
        tally->store, STATEMENT_HOUR_LISTS,
        "SELECT list, detections FROM hour WHERE hour = ? AND list >= ? AND list < ?",
        HANDLE_VALUES(hour, first, end));
    int rc = lists ? SQLITE_OK : sqlite3_errcode(tally->store->db);
    while (rc == SQLITE_OK && (rc = sqlite3_step(lists)) == SQLITE_ROW) {
        struct list list = list_of_number(sqlite3_column_int64(lists, 0));
        rc = SQLITE_OK;
        if (list.band >= first_band && (tally->label == 0 || tally->label == list.label) &&
            (tally->query->kind < 0 || tally->query->kind == list.kind))
            rc = add(tally, hour * LIST_HOUR_MS, list.stream, list.label,
                     sqlite3_column_int64(lists, 1));
    }
    sqlite3_reset(lists);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int add_hours(struct tally *tally, int64_t from_hour, int64_t end_hour, int first_band)
{
    int64_t hour = from_hour;
    for (;;) {
        int rc = handle_read(tally->store, STATEMENT_NEXT_HOUR,
                             "SELECT hour FROM hour WHERE hour >= ? AND hour < ? "
                             "ORDER BY hour LIMIT 1",
                             HANDLE_VALUES(hour, end_hour), 1, &hour);
        if (rc != SQLITE_OK)
            return rc == SQLITE_DONE ? SQLITE_OK : rc;
        rc =
            handle_is_late(tally->store) ? SQLITE_INTERRUPT : add_hour(tally, hour, first_band);
        if (rc != SQLITE_OK)
            return rc;
        hour++;
    }
}

/* Detections that started in whole hours. */
static int add_whole_hours(struct tally *tally, int64_t from_hour, int64_t end_hour)
{
    struct record_query middle = *tally->query;
    middle.since_ms = from_hour * LIST_HOUR_MS;
    middle.until_ms = end_hour * LIST_HOUR_MS;
    int cut = list_band(middle.min_score), first_band = cut;
    int rc = SQLITE_OK;
    if (middle.min_score > list_band_floor(cut)) {
        rc = add_rows(tally, &middle, cut, 1);
        first_band = cut + 1;
    }
    if (rc != SQLITE_OK || first_band == LIST_BAND_COUNT)
        return rc;
    rc = add_hours(tally, from_hour, end_hour, first_band);
    if (rc == SQLITE_OK && middle.state == RECORD_STATE_ENDED) {
        /* Hours do not tell what has ended, but what has not is soon counted. */
        middle.state = RECORD_STATE_ACTIVE;
        middle.min_score = list_band_floor(first_band);
        rc = add_rows(tally, &middle, LIST_BAND_COUNT - 1, -1);
    }
    return rc;
}

static int add_all(struct tally *tally)
{
    const struct record_query *query = tally->query;
    bool open_start = query->since_ms == RECORD_NO_TIME || query->since_ms <= 0;
    bool open_end = query->until_ms == RECORD_NO_TIME;
    int64_t from_hour = open_start ? 0 : (query->since_ms + LIST_HOUR_MS - 1) / LIST_HOUR_MS;
    int64_t end_hour = open_end ? INT64_MAX / LIST_HOUR_MS : query->until_ms / LIST_HOUR_MS;
    if (query->state == RECORD_STATE_ACTIVE || from_hour >= end_hour)
        return add_rows(tally, query, LIST_BAND_COUNT - 1, 1);

    int rc = SQLITE_OK;
    struct record_query part = *query;
    if (!open_start && query->since_ms < from_hour * LIST_HOUR_MS) {
        part.until_ms = from_hour * LIST_HOUR_MS;
        rc = add_rows(tally, &part, LIST_BAND_COUNT - 1, 1);
    }
    if (rc == SQLITE_OK && !open_end && end_hour * LIST_HOUR_MS < query->until_ms) {
        part.since_ms = end_hour * LIST_HOUR_MS;
        part.until_ms = query->until_ms;
        rc = add_rows(tally, &part, LIST_BAND_COUNT - 1, 1);
    }
    return rc == SQLITE_OK ? add_whole_hours(tally, from_hour, end_hour) : rc;
}

/* --- groups ------------------------------------------------------------------------------- */

static int compare_groups(const void *a, const void *b)
{
    const struct record_group *left = a, *right = b;
    if (left->time_ms != right->time_ms)
        return left->time_ms < right->time_ms ? -1 : 1;
    int streams = strcmp(left->stream, right->stream);
    return streams ? streams : strcmp(left->label, right->label);
}

static int copy_name(struct store *store, int64_t id, char *ret_text, size_t size)
{
    char *text = NULL;
    int rc = id == 0 ? SQLITE_OK : names_text(store, id, &text);
    snprintf(ret_text, size, "%s", text ? text : "");
    free(text);
    return rc;
}

static int make_group(struct tally *tally, const struct entry *entry,
                      struct record_group *ret_group)
{
    bool timed = tally->by & (RECORD_BY_HOUR | RECORD_BY_DAY);
    ret_group->time_ms = timed ? entry->time_ms : RECORD_NO_TIME;
    ret_group->count = entry->count;
    int rc =
        copy_name(tally->store, entry->stream, ret_group->stream, sizeof ret_group->stream);
    if (rc == SQLITE_OK)
        rc = copy_name(tally->store, entry->label, ret_group->label, sizeof ret_group->label);
    return rc;
}

static int make_summary(struct tally *tally, struct record_summary *summary)
{
    bring_together(tally);
    for (size_t i = 0; i < tally->count; i++) {
        summary->total += tally->entries[i].count;
        summary->count += tally->by != 0 && tally->entries[i].count != 0;
    }
    if (summary->count > RECORD_GROUPS_MAX)
        return SQLITE_TOOBIG;
    if (summary->count == 0)
        return SQLITE_OK;
    summary->groups = calloc(summary->count, sizeof summary->groups[0]);
    if (!summary->groups)
        return SQLITE_NOMEM;
    int rc = SQLITE_OK;
    struct record_group *group = summary->groups;
    for (size_t i = 0; rc == SQLITE_OK && i < tally->count; i++)
        if (tally->entries[i].count != 0)
            rc = make_group(tally, &tally->entries[i], group++);
    qsort(summary->groups, summary->count, sizeof summary->groups[0], compare_groups);
    return rc;
}

/* SQLITE_DONE when there is no such name, and so no match. */
static int find_names(struct tally *tally)
{
    const struct {
        const char *text;
        int64_t *id;
    } names[] = {{tally->query->stream, &tally->stream},
                 {tally->query->label, &tally->label},
                 {tally->query->zone, &tally->zone}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int rc =
            names[i].text[0] ? names_find(tally->store, names[i].text, names[i].id) : SQLITE_OK;
        if (rc != SQLITE_OK)
            return rc;
        if (names[i].text[0] && *names[i].id == 0)
            return SQLITE_DONE;
    }
    return SQLITE_OK;
}

static int summarize(struct tally *tally, struct record_summary *summary)
{
    tally->entries = calloc(ENTRIES_ROOM, sizeof tally->entries[0]);
    if (!tally->entries)
        return SQLITE_NOMEM;
    int rc = find_names(tally);
    if (rc == SQLITE_OK)
        rc = add_all(tally);
    if (rc == SQLITE_OK)
        rc = make_summary(tally, summary);
    free(tally->entries);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int store_summarize(struct store *store, const struct record_query *query, unsigned by,
                    struct record_summary *ret_summary, struct store_error *err)
{
    handle_start_clock(store);
    int status = handle_exec(store, "BEGIN", err);
    if (status < 0)
        return status;
    struct tally tally = {.store = store, .query = query, .by = by};
    struct record_summary summary = {.by = by};
    int rc = summarize(&tally, &summary);
    if (rc == SQLITE_TOOBIG)
        status = handle_explain(store, -E2BIG, err,
                                "would answer with over %d groups; ask for a shorter time or "
                                "fewer kinds of groups",
                                RECORD_GROUPS_MAX);
    else if (rc != SQLITE_OK)
        status = handle_fail(store, rc, "cannot count detections", err);
    handle_rollback(store); /* nothing was written */
    if (status < 0) {
        record_summary_finish(&summary);
        return status;
    }
    *ret_summary = summary;
    return 0;
}
