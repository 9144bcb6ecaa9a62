/* Whether everything the store derives is what a count over detections and records gives:
 * lists, hours, names' uses, what each stream keeps, firsts and latests. */
#ifndef TESTS_STORE_AUDIT_H
#define TESTS_STORE_AUDIT_H

#include <sqlite3.h>

#include "tests/store/fixture.h"

/* The first column of the first row, as text; "" without a row. */
static inline void audit_read(sqlite3 *db, const char *sql, char *ret_text, size_t size)
{
    sqlite3_stmt *statement = NULL;
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(db));
    int rc = sqlite3_step(statement);
    ck_assert_msg(rc == SQLITE_ROW || rc == SQLITE_DONE, "%s", sqlite3_errmsg(db));
    const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : "";
    snprintf(ret_text, size, "%s", text ? text : "");
    sqlite3_finalize(statement);
}

static inline int64_t audit_integer(const char *sql)
{
    sqlite3 *db;
    char text[64];
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    audit_read(db, sql, text, sizeof text);
    sqlite3_close(db);
    return strtoll(text, NULL, 10);
}

/* What each detection should be in, made anew from detection and detection_zone. */
#define AUDIT_VIEWS                                                                            \
    "CREATE TEMP VIEW place AS SELECT d.number, d.start_ms, d.stream, d.label, z.zone, "       \
    "16 * d.kind - 1 + (SELECT count(*) FROM edge WHERE d.score >= edge.floor) AS tail "       \
    "FROM main.detection d JOIN (SELECT number, 0 AS zone FROM main.detection UNION ALL "      \
    "SELECT detection, zone FROM main.detection_zone) z ON z.number = d.number;"               \
    "CREATE TEMP VIEW expected AS SELECT zone * (1 << 43) + s * (1 << 25) + l * 128 + tail "   \
    "AS list, start_ms, number FROM (SELECT *, stream AS s, label AS l FROM place UNION ALL "  \
    "SELECT *, 0, label FROM place UNION ALL SELECT *, stream, 0 FROM place UNION ALL "        \
    "SELECT *, 0, 0 FROM place);"                                                              \
    "CREATE TEMP VIEW counted AS SELECT start_ms / 3600000 AS hour, "                          \
    "zone * (1 << 43) + stream * (1 << 25) + label * 128 + tail AS list, count(*) AS n "       \
    "FROM place GROUP BY 1, 2;"                                                                \
    "CREATE TEMP VIEW used AS SELECT stream AS id FROM main.detection UNION ALL "              \
    "SELECT label FROM main.detection UNION ALL SELECT zone FROM main.detection_zone "         \
    "UNION ALL SELECT maker FROM main.name WHERE maker <> 0;"

/* Every one of these selects what is wrong. */
static const char *const audit_faults[] = {
    "SELECT 'in no list ' || number FROM (SELECT * FROM expected EXCEPT SELECT list, start_ms, "
    "number FROM main.posting)",
    "SELECT 'in a list too many ' || number FROM (SELECT list, start_ms, number FROM "
    "main.posting EXCEPT SELECT * FROM expected)",
    "SELECT 'hour ' || hour FROM (SELECT * FROM counted EXCEPT SELECT hour, list, detections "
    "FROM main.hour)",
    "SELECT 'hour too many ' || hour FROM (SELECT hour, list, detections FROM main.hour EXCEPT "
    "SELECT * FROM counted)",
    "SELECT 'uses of ' || text || ': ' || uses FROM main.name n WHERE uses <> (SELECT count(*) "
    "FROM used u WHERE u.id = n.id)",
    "SELECT 'no name ' || id FROM used WHERE id NOT IN (SELECT id FROM main.name)",
    "SELECT 'account of ' || u.stream || ': ' || u.records || ', ' || u.bytes FROM "
    "main.stream_use u WHERE (u.records, u.bytes) <> (SELECT count(*), "
    "coalesce(sum(length(CAST(r.text AS BLOB))), 0) FROM main.detection d JOIN main.record r "
    "ON r.detection = d.number WHERE d.stream = u.stream)",
    "SELECT 'names of ' || stream FROM main.stream_use u WHERE names <> (SELECT count(*) FROM "
    "main.name WHERE maker = u.stream)",
    "SELECT 'no account of ' || stream FROM main.detection WHERE stream NOT IN (SELECT stream "
    "FROM main.stream_use)",
    "SELECT 'latest of ' || number FROM main.detection d WHERE last_seq <> (SELECT max(seq) "
    "FROM main.record WHERE detection = d.number)",
    "SELECT 'record of none ' || seq FROM main.record WHERE detection NOT IN (SELECT number "
    "FROM main.detection)",
    "SELECT * FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    "SELECT 'foreign key of ' || \"table\" FROM pragma_foreign_key_check",
};

static inline void audit(void)
{
    sqlite3 *db;
    char fault[256];
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    int rc = sqlite3_exec(
        db,
        "CREATE TEMP TABLE edge (floor REAL); INSERT INTO edge VALUES (0), (.1), (.2), (.3), "
        "(.4), (.5), (.6), (.7), (.75), (.8), (.85), (.9), (.95), (.98), (.99), "
        "(.995);" AUDIT_VIEWS,
        NULL, NULL, NULL);
    ck_assert_msg(rc == SQLITE_OK, "%s", sqlite3_errmsg(db));
    for (size_t i = 0; i < sizeof audit_faults / sizeof audit_faults[0]; i++) {
        audit_read(db, audit_faults[i], fault, sizeof fault);
        ck_assert_msg(!fault[0], "%s", fault);
    }
    sqlite3_close(db);
}

#endif
