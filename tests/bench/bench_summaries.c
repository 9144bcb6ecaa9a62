/* Counts of detections: right, and fast. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench_store.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)
#define HOURS   (DETECTIONS_SPAN_MS / HOUR_MS + 1)

enum range { RANGE_DAY, RANGE_ODD_DAY, RANGE_ALL, RANGE_COUNT };
static const char *const range_names[] = {"a day on the hour", "a day between hours", "all"};

static const unsigned ways[] = {0,
                                RECORD_BY_STREAM,
                                RECORD_BY_LABEL,
                                RECORD_BY_HOUR,
                                RECORD_BY_DAY,
                                RECORD_BY_STREAM | RECORD_BY_LABEL,
                                RECORD_BY_STREAM | RECORD_BY_HOUR,
                                RECORD_BY_LABEL | RECORD_BY_DAY};
#define WAYS        (sizeof ways / sizeof ways[0])
#define QUERY_COUNT ((size_t)BENCH_FILTERS * RANGE_COUNT)

struct question {
    struct record_query query;
    unsigned by;
    enum range range;
};

static struct question make_question(const struct bench *bench, size_t number)
{
    struct question question;
    question.range = (enum range)bench_make_filters(number, &question.query);
    /* Every way comes with every filter, but not each with all. */
    question.by = ways[(number + number / 12) % WAYS];
    int64_t at = DETECTIONS_FIRST_MS +
                 (int64_t)bench_roll(bench->seed, 17 * number, DETECTIONS_SPAN_MS - DAY_MS);
    if (question.range == RANGE_DAY)
        at -= at % HOUR_MS;
    if (question.range != RANGE_ALL) {
        question.query.since_ms = at;
        question.query.until_ms = at + DAY_MS;
    }
    return question;
}

/* The first label of that name: two have the same. */
static int label_of(const char *name)
{
    int label = 0;
    while (label < BENCH_LABELS && strcmp(bench_label_name(label), name) != 0)
        label++;
    return label;
}

static int stream_of(const char *name)
{
    int stream = 0;
    while (stream < BENCH_STREAMS && strcmp(bench_stream_name(stream), name) != 0)
        stream++;
    return stream;
}

static size_t cell_of(unsigned by, int64_t time_ms, int stream, int label)
{
    int64_t unit = by & RECORD_BY_DAY ? DAY_MS : HOUR_MS;
    int64_t hour = by & (RECORD_BY_HOUR | RECORD_BY_DAY)
                       ? (time_ms - DETECTIONS_FIRST_MS) / unit * (unit / HOUR_MS)
                       : 0;
    return ((size_t)hour * BENCH_STREAMS + (by & RECORD_BY_STREAM ? (size_t)stream : 0)) *
               BENCH_LABELS +
           (by & RECORD_BY_LABEL ? (size_t)label : 0);
}

/* Counts by looking at every row; how many cells are not empty. */
static size_t count_naively(const struct bench *bench, const struct question *question,
                            uint32_t *cells, size_t cell_count, int64_t *ret_total)
{
    struct bench_filter filter = bench_filter_make(&question->query);
    size_t used = 0;
    *ret_total = 0;
    memset(cells, 0, cell_count * sizeof cells[0]);
    for (size_t i = 0; i < bench->rows.count; i++) {
        const struct bench_row *row = &bench->rows.sorted[i];
        if (!bench_filter_matches(&filter, row))
            continue;
        int label = label_of(bench_label_name(row->label));
        used += cells[cell_of(question->by, row->start_ms, row->stream, label)]++ == 0;
        ++*ret_total;
    }
    return question->by ? used : 0;
}

static bool is_right(const struct bench *bench, const struct question *question,
                     const struct record_summary *summary, uint32_t *cells, size_t cell_count)
{
    int64_t total;
    size_t used = count_naively(bench, question, cells, cell_count, &total);
    if (summary->total != total || summary->count != used)
        return false;
    for (size_t i = 0; i < summary->count; i++) {
        const struct record_group *group = &summary->groups[i];
        size_t cell = cell_of(question->by, group->time_ms, stream_of(group->stream),
                              label_of(group->label));
        if (cell >= cell_count || group->count != cells[cell])
            return false;
    }
    return true;
}

static void describe(const struct question *question)
{
    const struct record_query *query = &question->query;
    printf("  by=%u range=%s stream=%s kind=%d label=%s zone=%s min_score=%g state=%d\n",
           question->by, range_names[question->range], query->stream, query->kind, query->label,
           query->zone, query->min_score, query->state);
}

size_t summaries_check(struct bench *bench)
{
    size_t cell_count = HOURS * BENCH_STREAMS * BENCH_LABELS, checked = 0, wrong = 0;
    uint32_t *cells = calloc(cell_count, sizeof cells[0]);
    if (!cells)
        die("cannot check", "out of memory");
    for (size_t i = 0; i < QUERY_COUNT; i += (size_t)bench->check_each) {
        struct question question = make_question(bench, i);
        struct record_summary summary;
        struct store_error err;
        if (store_summarize(bench->reader, &question.query, question.by, &summary, &err) < 0) {
            /* So many hours of so many streams are refused, which is right. */
            if (question.by == (RECORD_BY_STREAM | RECORD_BY_HOUR))
                continue;
            die("cannot count", err.text);
        }
        checked++;
        if (!is_right(bench, &question, &summary, cells, cell_count) && wrong++ < 10)
            describe(&question);
        record_summary_finish(&summary);
    }
    free(cells);
    printf("summaries compared with the naive answer: %zu, wrong: %zu\n", checked, wrong);
    return wrong;
}

double summaries_time(struct bench *bench)
{
    struct samples samples[RANGE_ALL] = {{0}};
    for (size_t i = 0; i < QUERY_COUNT; i++) {
        struct question question = make_question(bench, i);
        struct record_summary summary;
        struct store_error err;
        if (question.range == RANGE_ALL)
            continue;
        double begin = now_ms();
        if (store_summarize(bench->reader, &question.query, question.by, &summary, &err) < 0)
            die("cannot count", err.text);
        samples_add(&samples[question.range], now_ms() - begin);
        record_summary_finish(&summary);
    }
    double worst = 0;
    printf("%-44s %6s %8s %8s %8s\n", "summary (ms)", "n", "p50", "p99", "max");
    for (int i = 0; i < RANGE_ALL; i++) {
        samples_print(range_names[i], &samples[i]);
        double p99 = samples_quantile(&samples[i], 0.99);
        worst = p99 > worst ? p99 : worst;
        free(samples[i].ms);
    }
    return worst;
}
