#include "store/walk.h"

#include <stdlib.h>
#include <string.h>

#include "store/detections.h"
#include "store/names.h"

/* Places read from a list at once: few at first, since most lists give a page nothing. */
#define BATCH_FIRST 4
#define BATCH_MAX   64

enum source { SOURCE_ALL, SOURCE_OPEN, SOURCE_LISTS };

/* One sorted run of places. */
struct run {
    int64_t list;         /* of SOURCE_LISTS */
    struct walk_place at; /* where to read on */
    struct walk_place places[BATCH_MAX];
    int count, used;
    int batch;
    bool ended;
};

struct walk {
    struct store *store;
    enum source source;
    bool ascending;
    int64_t stream, label, zone; /* 0: any */
    int kind;                    /* -1: any */
    double min_score;
    enum record_state state;
    int64_t since_ms, until_ms; /* INT64_MIN, INT64_MAX: none */
    int run_count;
    struct run runs[];
};

/* By source and way; parameters are list, place and batch whatever a statement makes of
 * them. */
static const char *const statements[][2] = {
    [SOURCE_ALL] = {"SELECT start_ms, number FROM detection INDEXED BY detection_by_start "
                    "WHERE ?1 = 0 AND (start_ms, number) < (?2, ?3) "
                    "ORDER BY start_ms DESC, number DESC LIMIT ?4",
                    "SELECT start_ms, number FROM detection INDEXED BY detection_by_start "
                    "WHERE ?1 = 0 AND (start_ms, number) > (?2, ?3) "
                    "ORDER BY start_ms, number LIMIT ?4"},
    [SOURCE_OPEN] = {"SELECT start_ms, number FROM detection INDEXED BY detection_open "
                     "WHERE ?1 = 0 AND ended_ms IS NULL AND (start_ms, number) < (?2, ?3) "
                     "ORDER BY start_ms DESC, number DESC LIMIT ?4",
                     "SELECT start_ms, number FROM detection INDEXED BY detection_open "
                     "WHERE ?1 = 0 AND ended_ms IS NULL AND (start_ms, number) > (?2, ?3) "
                     "ORDER BY start_ms, number LIMIT ?4"},
    [SOURCE_LISTS] = {"SELECT start_ms, number FROM posting "
                      "WHERE list = ?1 AND (start_ms, number) < (?2, ?3) "
                      "ORDER BY start_ms DESC, number DESC LIMIT ?4",
                      "SELECT start_ms, number FROM posting "
                      "WHERE list = ?1 AND (start_ms, number) > (?2, ?3) "
                      "ORDER BY start_ms, number LIMIT ?4"},
};

_Static_assert(STATEMENT_WALK_LAST - STATEMENT_WALK + 1 ==
                   sizeof statements / sizeof statements[0][0],
               "each statement has a slot");

/* Whether b comes after a. */
static bool is_before(const struct walk *walk, const struct walk_place *a,
                      const struct walk_place *b)
{
    bool less = a->start_ms != b->start_ms ? a->start_ms < b->start_ms : a->number < b->number;
    return walk->ascending ? less : !less;
}

static bool is_in_range(const struct walk *walk, const struct walk_place *place)
{
    return place->start_ms >= walk->since_ms && place->start_ms < walk->until_ms;
}

static int refill(struct walk *walk, struct run *run)
{
    int slot = 2 * (int)walk->source + walk->ascending;
    sqlite3_stmt *more =
        handle_query(walk->store, (enum store_statement)(STATEMENT_WALK + slot),
                     statements[walk->source][walk->ascending],
                     HANDLE_VALUES(run->list, run->at.start_ms, run->at.number, run->batch));
    int rc = more ? SQLITE_OK : sqlite3_errcode(walk->store->db);
    run->count = run->used = 0;
    while (rc == SQLITE_OK && (rc = sqlite3_step(more)) == SQLITE_ROW) {
        struct walk_place *place = &run->places[run->count];
        place->start_ms = sqlite3_column_int64(more, 0);
        place->number = sqlite3_column_int64(more, 1);
        if (!is_in_range(walk, place)) {
            rc = SQLITE_DONE; /* the far end of the range */
            run->ended = true;
            break;
        }
        run->at = *place;
        run->count++;
        rc = SQLITE_OK;
    }
    sqlite3_reset(more);
    run->ended = run->ended || run->count < run->batch;
    run->batch = run->batch * 4 < BATCH_MAX ? run->batch * 4 : BATCH_MAX;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The run whose next place comes first; NULL when all have ended. */
static int choose_run(struct walk *walk, struct run **ret_first)
{
    struct run *first = NULL;
    for (int i = 0; i < walk->run_count; i++) {
        struct run *run = &walk->runs[i];
        if (run->used == run->count && !run->ended) {
            int rc = refill(walk, run);
            if (rc != SQLITE_OK)
                return rc;
        }
        if (run->used < run->count &&
            (!first || is_before(walk, &run->places[run->used], &first->places[first->used])))
            first = run;
    }
    *ret_first = first;
    return SQLITE_OK;
}

/* SQLITE_OK with whether the row matches. */
static int read_row(struct walk *walk, const struct walk_place *place, struct walk_row *ret_row,
                    bool *ret_matches)
{
    sqlite3_stmt *row = handle_query(walk->store, STATEMENT_WALK_ROW,
                                     "SELECT stream, label, kind, score, ended_ms, last_seq "
                                     "FROM detection WHERE number = ?",
                                     HANDLE_VALUES(place->number));
    int rc = row ? sqlite3_step(row) : sqlite3_errcode(walk->store->db);
    bool matches = false;
    if (rc == SQLITE_ROW) {
        *ret_row = (struct walk_row){.place = *place,
                                     .stream = sqlite3_column_int64(row, 0),
                                     .label = sqlite3_column_int64(row, 1),
                                     .last_seq = sqlite3_column_int64(row, 5)};
        bool open = sqlite3_column_type(row, 4) == SQLITE_NULL;
        matches =
            (walk->stream == 0 || walk->stream == ret_row->stream) &&
            (walk->label == 0 || walk->label == ret_row->label) &&
            (walk->kind < 0 || walk->kind == sqlite3_column_int(row, 2)) &&
            sqlite3_column_double(row, 3) >= walk->min_score &&
            (walk->state == RECORD_STATE_ANY || open == (walk->state == RECORD_STATE_ACTIVE));
    }
    sqlite3_reset(row);
    /* A list that names what is not there. */
    if (rc != SQLITE_ROW)
        return rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
    rc = SQLITE_OK;
    if (matches && walk->zone != 0 && walk->source != SOURCE_LISTS)
        rc = detection_in_zone(walk->store, place->number, walk->zone, &(int64_t){0}, &matches);
    *ret_matches = matches;
    return rc;
}

int walk_next(struct walk *walk, struct walk_row *ret_row)
{
    for (;;) {
        struct run *run;
        int rc = choose_run(walk, &run);
        if (rc != SQLITE_OK || !run)
            return rc == SQLITE_OK ? SQLITE_DONE : rc;
        if (handle_is_late(walk->store))
            return SQLITE_INTERRUPT;
        bool matches = false;
        rc = read_row(walk, &run->places[run->used++], ret_row, &matches);
        if (rc != SQLITE_OK || matches)
            return rc == SQLITE_OK ? SQLITE_ROW : rc;
    }
}

static int find_names(struct walk *walk, const struct record_query *query, bool *ret_known)
{
    const struct {
        const char *text;
        int64_t *id;
    } names[] = {{query->stream, &walk->stream},
                 {query->label, &walk->label},
                 {query->zone, &walk->zone}};
    *ret_known = true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!names[i].text[0])
            continue;
        int rc = names_find(walk->store, names[i].text, names[i].id);
        if (rc != SQLITE_OK)
            return rc;
        *ret_known = *ret_known && *names[i].id != 0;
    }
    return SQLITE_OK;
}

static void add_lists(struct walk *walk, int last_band)
{
    struct list list = {.zone = walk->zone, .stream = walk->stream, .label = walk->label};
    for (int kind = 0; kind < RECORD_KIND_COUNT; kind++) {
        if (walk->kind >= 0 && walk->kind != kind)
            continue;
        list.kind = kind;
        for (list.band = list_band(walk->min_score); list.band <= last_band; list.band++)
            walk->runs[walk->run_count++].list = list_number(&list);
    }
}

static void choose_source(struct walk *walk, int last_band)
{
    bool filtered =
        walk->stream || walk->label || walk->zone || walk->kind >= 0 || walk->min_score > 0;
    walk->source = walk->state == RECORD_STATE_ACTIVE ? SOURCE_OPEN
                   : filtered                         ? SOURCE_LISTS
                                                      : SOURCE_ALL;
    if (walk->source == SOURCE_LISTS)
        add_lists(walk, last_band);
    else
        walk->run_count = 1;
}

static void place_runs(struct walk *walk, const struct walk_place *place)
{
    struct walk_place edge = {.start_ms = walk->ascending ? walk->since_ms : walk->until_ms};
    for (int i = 0; i < walk->run_count; i++) {
        walk->runs[i].at = place ? *place : edge;
        walk->runs[i].batch = BATCH_FIRST;
    }
}

int walk_create(struct store *store, const struct record_query *query,
                const struct walk_place *place, int last_band, struct walk **ret_walk)
{
    struct walk *walk = calloc(1, sizeof *walk + LIST_QUERY_MAX * sizeof walk->runs[0]);
    if (!walk)
        return SQLITE_NOMEM;
    walk->store = store;
    walk->ascending = query->ascending;
    walk->kind = query->kind;
    walk->min_score = query->min_score;
    walk->state = query->state;
    walk->since_ms = query->since_ms == RECORD_NO_TIME ? INT64_MIN : query->since_ms;
    walk->until_ms = query->until_ms == RECORD_NO_TIME ? INT64_MAX : query->until_ms;
    bool known;
    int rc = find_names(walk, query, &known);
    if (rc != SQLITE_OK) {
        free(walk);
        return rc;
    }
    if (known) {
        choose_source(walk, last_band);
        place_runs(walk, place);
    }
    *ret_walk = walk;
    return SQLITE_OK;
}

void walk_destroy(struct walk *walk)
{
    free(walk);
}
