/* A month of detections, the same for every seed and number: what the store's bench fills a
 * database with, and in memory the naive answer to every query.
 *
 * 64 cameras of very unequal business and one that was taken down after the first half percent;
 * labels from most of all to one in a million, one of them of two kinds, a kind that never
 * occurs; zones that many cameras share and one that hardly anything enters; scores that thin
 * out towards 1; a few detections that are still open, some of them old. Starts come out of
 * order, and often several at once.
 *
 * Thread: plain data. */
#ifndef TESTS_BENCH_DETECTIONS_H
#define TESTS_BENCH_DETECTIONS_H

#include "record/query.h"

#define DETECTIONS_FIRST_MS INT64_C(1767225600000) /* 2026-01-01 */
#define DETECTIONS_SPAN_MS  (30 * INT64_C(86400000))

/* One detection, compactly. */
struct bench_row {
    int64_t start_ms;
    uint32_t arrival; /* 0, 1, ...: the order in which the store gets them */
    uint16_t score;   /* ten-thousandths */
    uint8_t stream, label, zones;
    bool open;
};

struct bench_rows {
    size_t count;
    struct bench_row *sorted; /* by start, then arrival */
};

/* What the detection of an arrival is. */
struct bench_row bench_row_make(uint64_t seed, uint32_t arrival, size_t count);

/* Its one record: `ended`, or `started` while open. */
void bench_row_to_record(const struct bench_row *row, struct record *ret_record);

/* All of them; -ENOMEM. */
int bench_rows_create(uint64_t seed, size_t count, struct bench_rows *ret_rows);
void bench_rows_finish(struct bench_rows *rows);

/* What a query asks, looked up once. */
struct bench_filter {
    const struct record_query *query;
    int stream, label, zone; /* -1: any; -2: none of that name */
    uint16_t score;
};
struct bench_filter bench_filter_make(const struct record_query *query);
bool bench_filter_matches(const struct bench_filter *filter, const struct bench_row *row);

/* Names, for queries and for what a summary says. */
const char *bench_stream_name(int stream);
const char *bench_label_name(int label);
#define BENCH_STREAMS 65
#define BENCH_LABELS  12

/* Pseudo-random, of a seed and a counter: below `below`. */
uint64_t bench_roll(uint64_t seed, uint64_t counter, uint64_t below);

#endif
