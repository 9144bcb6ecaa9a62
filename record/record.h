/* The one record: what happened, where and when, as a JSON object.
 *
 * The worker writes it, the store keeps it, the API, SSE and `vigil run --json-lines` print it.
 * Members and their meaning: docs/architecture.md, "Record". Members are never renamed and
 * readers ignore members they do not know.
 *
 * Reading is hostile-safe: text comes from a process that met a camera's bytes. Every string
 * has a maximum, every number a range; a record outside them is refused with one line.
 *
 * Thread: no shared state; a struct record belongs to its holder. */
#ifndef RECORD_RECORD_H
#define RECORD_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define RECORD_ID_SIZE    27 /* 26 Crockford base-32 characters and NUL */
#define RECORD_NAME_SIZE  65 /* node, stream, zone: ^[a-z0-9][a-z0-9_-]{0,63}$ */
#define RECORD_LABEL_SIZE 65 /* printable UTF-8, no control characters */
#define RECORD_MODEL_SIZE 81 /* name@8 hex digits */
#define RECORD_ZONES_MAX  16
#define RECORD_TEXT_MAX   8192 /* bytes of one record's JSON */

#define RECORD_NO_TIME INT64_MIN /* an absent time, pts or end */

enum record_phase { RECORD_STARTED, RECORD_UPDATED, RECORD_ENDED };

enum record_kind {
    RECORD_ACTIVITY,
    RECORD_OBJECT,
    RECORD_MOTION,
    RECORD_ANOMALY,
    RECORD_SOUND,
    RECORD_STREAM,
};
#define RECORD_KIND_COUNT 6

struct record_error {
    char text[200];
};

struct record {
    enum record_phase phase; /* "type": detection.started | .updated | .ended */
    char id[RECORD_ID_SIZE];
    int64_t seq;                 /* given by the store; -1: absent */
    char node[RECORD_NAME_SIZE]; /* "": absent */
    char stream[RECORD_NAME_SIZE];
    enum record_kind kind;
    char label[RECORD_LABEL_SIZE];
    double score; /* 0..1, four decimals on the wire */
    bool has_box;
    double box[4]; /* x, y, w, h normalised, inside 0..1 */
    int64_t track; /* -1: absent */
    int zone_count;
    char zones[RECORD_ZONES_MAX][RECORD_NAME_SIZE];
    int64_t time_ms; /* of this record: Unix milliseconds */
    int64_t pts_ns;  /* of the frame this record speaks of */
    int64_t start_ms;
    int64_t end_ms;              /* RECORD_NO_TIME until ended */
    int64_t window_first_pts_ns; /* the evidence */
    int64_t window_last_pts_ns;
    int window_frames;
    char model[RECORD_MODEL_SIZE];
    double latency_ms; /* < 0: absent (not a live source) */
    bool damaged;      /* pictures were damaged during the evidence; member only when true */
};

/* How every text here is dumped: compact, reals as short as their fixed decimals are. Whoever
 * puts record_to_json into a larger object dumps that with these too. */
#define RECORD_JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15))

/* A record with everything absent: seq, track, latency -1, times RECORD_NO_TIME. */
void record_init(struct record *record);

/* The record as a JSON object (caller owns the reference). Byte-identical text for equal
 * records: members in the order of the struct, fixed precision. NULL without memory, and for
 * what no reader would take: text that is not printable, a score that is not finite. */
json_t *record_to_json(const struct record *record);

/* Compact text, NUL-terminated, without newline; caller frees with free(). */
char *record_to_text(const struct record *record);

/* 0, or -EINVAL with one line saying which member and why. */
int record_from_json(const json_t *object, struct record *ret_record, struct record_error *err);
int record_from_text(const char *text, size_t size, struct record *ret_record,
                     struct record_error *err);

/* 26 Crockford base-32 characters: 48 bits of milliseconds, then the 80 bits given. */
void record_id_format(int64_t ms, const uint8_t random[10], char ret_id[RECORD_ID_SIZE]);
bool record_id_is_valid(const char *id);

/* ^[a-z0-9][a-z0-9_-]{0,63}$ */
bool record_name_is_valid(const char *name);
/* 1 to RECORD_LABEL_SIZE - 1 bytes of printable text (record/text.h). */
bool record_label_is_valid(const char *label);

const char *record_kind_name(enum record_kind kind);    /* "activity", ... */
int record_kind_from_name(const char *name);            /* enum, or -EINVAL */
const char *record_phase_name(enum record_phase phase); /* "started", ... */

#define RECORD_TIME_SIZE 25
/* RFC 3339 UTC with milliseconds, "2026-11-20T12:00:01.240Z"; times outside the years 1970 to
 * 9999 become the nearest within. */
void record_time_format(int64_t ms, char ret_text[RECORD_TIME_SIZE]);
/* Accepts that form, with any offset and 0-9 fraction digits, of which three count. 0, or
 * -EINVAL, also outside those years. */
int record_time_parse(const char *text, int64_t *ret_ms);

#endif
