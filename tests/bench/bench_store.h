/* What the parts of bench_store share: the bench itself, time, and samples of it.
 *
 * Thread: the writer has its own handle; everything else is the main thread's. */
#ifndef TESTS_BENCH_BENCH_STORE_H
#define TESTS_BENCH_BENCH_STORE_H

#include "store/store.h"
#include "tests/bench/detections.h"

struct bench {
    size_t row_count;
    uint64_t seed;
    int check_each;
    bool keep, timed;
    char folder[256], path[300];
    struct bench_rows rows;
    struct store *reader;
};

/* Ends the program. */
void die(const char *what, const char *why) __attribute__((noreturn));

double now_ms(void);
double cpu_ms(void); /* of this thread */

struct samples {
    size_t count, room;
    double *ms;
};
void samples_add(struct samples *samples, double ms);
void samples_sort(struct samples *samples);
double samples_quantile(const struct samples *samples, double part); /* sorted before */
void samples_print(const char *name, struct samples *samples);       /* sorts */

/* bench_pages.c: how many of the pages were wrong; the worst p99 of a combination of
 * filters. */
size_t pages_check(struct bench *bench);
double pages_time(struct bench *bench);

/* bench_summaries.c: the same of counts; times are of single days. */
size_t summaries_check(struct bench *bench);
double summaries_time(struct bench *bench);

/* A query made of the values that filters take, each in turn: `number` counts them up. What is
 * left of the number when all have had their part. */
size_t bench_make_filters(size_t number, struct record_query *ret_query);
#define BENCH_FILTERS (5 * 4 * 4 * 3 * 4 * 3)

#endif
