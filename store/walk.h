/* A walk through the detections that match a query, in the list's order, from a place on.
 *
 * What it reads comes from one of three sources: all detections by start, those that are open
 * (few: every filter is checked on them), or a merge of lists (lists.h). Nothing but rows that
 * match is read, except for rows within the band that min_score cuts and for open detections
 * when only ended ones are asked for.
 *
 * A walk is several statements: whoever walks holds a read transaction, for a short time.
 *
 * Results are SQLite's. Thread: as the handle. */
#ifndef STORE_WALK_H
#define STORE_WALK_H

#include "record/query.h"
#include "store/lists.h"

struct walk;

/* A place in the list's order: of a detection, or before the first that starts at start_ms when
 * number is 0. */
struct walk_place {
    int64_t start_ms, number;
};

struct walk_row {
    struct walk_place place;
    int64_t stream, label;
    int64_t last_seq;
};

/* Of the query stream, kind, label, zone, min_score, state and order count here; its range is
 * since_ms to until_ms. With `place` not NULL it begins behind that. A merge of lists stops at
 * last_band: LIST_BAND_COUNT - 1 for all. */
int walk_create(struct store *store, const struct record_query *query,
                const struct walk_place *place, int last_band, struct walk **ret_walk);

/* SQLITE_ROW, SQLITE_DONE, SQLITE_INTERRUPT when the handle's clock has run out, or another. */
int walk_next(struct walk *walk, struct walk_row *ret_row);

void walk_destroy(struct walk *walk); /* NULL is fine */

#endif
