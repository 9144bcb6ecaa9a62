/* Pages of detections: right, and fast. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/cursor.h"
#include "tests/bench/bench_store.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define QUERY_COUNT  ((size_t)BENCH_FILTERS * 4 * 2 * 2) /* ranges, ways, pages */
#define SLOW_MS      20
#define SAMPLES      400 /* of each combination of filters */

/* --- the questions ------------------------------------------------------------------------ */

static const char *const ask_streams[] = {"", "cam-00", "cam-05", "cam-63", "attic"};
static const int ask_kinds[] = {-1, RECORD_ACTIVITY, RECORD_SOUND, RECORD_ANOMALY};
static const char *const ask_labels[] = {"", "movement", "alarm", "fire"};
static const char *const ask_zones[] = {"", "gate", "vault"};
static const double ask_scores[] = {0, 0.9, 0.87, 0.999};

/* Which filters a query has, as a bit each. */
enum {
    BY_STREAM = 1,
    BY_KIND = 2,
    BY_LABEL = 4,
    BY_ZONE = 8,
    BY_SCORE = 16,
    BY_TIME = 32,
    BY_STATE = 64,
    COMBINATIONS = 128
};

static size_t take(size_t *number, size_t count)
{
    size_t digit = *number % count;
    *number /= count;
    return digit;
}

size_t bench_make_filters(size_t number, struct record_query *ret_query)
{
    record_query_init(ret_query);
    ret_query->state = (enum record_state)take(&number, 3);
    ret_query->min_score = ask_scores[take(&number, COUNT(ask_scores))];
    strcpy(ret_query->zone, ask_zones[take(&number, COUNT(ask_zones))]);
    strcpy(ret_query->label, ask_labels[take(&number, COUNT(ask_labels))]);
    ret_query->kind = ask_kinds[take(&number, COUNT(ask_kinds))];
    strcpy(ret_query->stream, ask_streams[take(&number, COUNT(ask_streams))]);
    return number;
}

/* Begins behind a detection somewhere in the range, whether it matches or not. */
static void put_cursor(const struct bench *bench, size_t number, struct record_query *query)
{
    const struct bench_row *row =
        &bench->rows.sorted[bench_roll(bench->seed, 77 + number, bench->rows.count)];
    if ((query->since_ms != RECORD_NO_TIME && row->start_ms < query->since_ms) ||
        (query->until_ms != RECORD_NO_TIME && row->start_ms >= query->until_ms))
        return;
    struct walk_place place = {row->start_ms, row->arrival + 1};
    cursor_format(&place, query, query->cursor);
}

/* Query `number`, 0 to QUERY_COUNT - 1: every combination of the values above. Times and
 * cursors are rolled by `salt`. */
static struct record_query make_query(const struct bench *bench, size_t number, size_t salt)
{
    struct record_query query;
    size_t rest = bench_make_filters(number, &query);
    bool cursor = take(&rest, 2);
    query.ascending = take(&rest, 2);
    size_t range = take(&rest, 4);
    int64_t at =
        DETECTIONS_FIRST_MS + (int64_t)bench_roll(bench->seed, 13 * salt, DETECTIONS_SPAN_MS);
    if (range & 1)
        query.since_ms = at;
    if (range & 2)
        query.until_ms = range == 3 ? at + 86400000 : at;
    query.limit = salt % 7 == 0 ? RECORD_PAGE_MAX : RECORD_PAGE_DEFAULT;
    if (cursor)
        put_cursor(bench, salt, &query);
    return query;
}

/* --- the naive answer --------------------------------------------------------------------- */

/* Index of the first row at or behind a place. */
static size_t find_place(const struct bench_rows *rows, int64_t start_ms, int64_t arrival)
{
    size_t low = 0, high = rows->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct bench_row *row = &rows->sorted[middle];
        if (row->start_ms < start_ms ||
            (row->start_ms == start_ms && (int64_t)row->arrival < arrival))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The rows of the page, at most limit + 1; how many. */
static size_t naive_page(const struct bench_rows *rows, const struct record_query *query,
                         const struct bench_row **ret_page)
{
    struct bench_filter filter = bench_filter_make(query);
    size_t from = query->ascending ? 0 : rows->count;
    struct walk_place place;
    if (query->cursor[0] && cursor_parse(query->cursor, query, &place) == 0)
        from = find_place(rows, place.start_ms, place.number - 1 + query->ascending);
    size_t count = 0, limit = (size_t)query->limit + 1;
    if (query->ascending) {
        for (size_t i = from; i < rows->count && count < limit; i++)
            if (bench_filter_matches(&filter, &rows->sorted[i]))
                ret_page[count++] = &rows->sorted[i];
    } else {
        for (size_t i = from; i > 0 && count < limit; i--)
            if (bench_filter_matches(&filter, &rows->sorted[i - 1]))
                ret_page[count++] = &rows->sorted[i - 1];
    }
    return count;
}

/* Count, order and text of every row, and whether there is a next page. */
static bool is_right(const struct bench *bench, const struct record_query *query,
                     const struct record_page *page)
{
    const struct bench_row *expected[RECORD_PAGE_MAX + 1];
    size_t count = naive_page(&bench->rows, query, expected);
    size_t shown = count > (size_t)query->limit ? (size_t)query->limit : count;
    if (page->count != shown || (page->next[0] != 0) != (count > shown))
        return false;
    for (size_t i = 0; i < shown; i++) {
        struct record record;
        bench_row_to_record(expected[i], &record);
        record.seq = expected[i]->arrival + 1;
        char *text = record_to_text(&record);
        bool equal = text && strcmp(text, page->texts[i]) == 0;
        free(text);
        if (!equal)
            return false;
    }
    return true;
}

static void describe(const struct record_query *query)
{
    printf("  stream=%s kind=%d label=%s zone=%s min_score=%g since=%" PRId64 " until=%" PRId64
           " state=%d asc=%d limit=%d cursor=%s\n",
           query->stream, query->kind, query->label, query->zone, query->min_score,
           query->since_ms, query->until_ms, query->state, query->ascending, query->limit,
           query->cursor);
}

size_t pages_check(struct bench *bench)
{
    size_t checked = 0, wrong = 0, rows = 0;
    for (size_t i = 0; i < QUERY_COUNT; i += (size_t)bench->check_each) {
        struct record_query query = make_query(bench, i, i);
        struct record_page page;
        struct store_error err;
        if (store_query_detections(bench->reader, &query, &page, &err) < 0)
            die("cannot query", err.text);
        checked++;
        rows += page.count;
        if (!is_right(bench, &query, &page) && wrong++ < 10)
            describe(&query);
        record_page_finish(&page);
    }
    printf("pages compared with the naive answer: %zu (%zu rows), wrong: %zu\n", checked, rows,
           wrong);
    return wrong;
}

/* --- time --------------------------------------------------------------------------------- */

static void name_combination(int combination, char *ret_text, size_t size)
{
    static const char *const names[] = {"stream",    "kind", "label", "zone",
                                        "min_score", "time", "state"};
    size_t used = (size_t)snprintf(ret_text, size, "%s", combination ? "" : "none");
    for (int i = 0; i < 7; i++)
        if (combination >> i & 1)
            used += (size_t)snprintf(ret_text + used, size - used, "%s%s", used ? "+" : "",
                                     names[i]);
}

/* The worst 99th percentile of all combinations. */
static double print_times(struct samples samples[COMBINATIONS])
{
    struct samples all = {0};
    double worst = 0;
    printf("%-44s %6s %8s %8s %8s\n", "page by filters (ms)", "n", "p50", "p99", "max");
    for (int i = 0; i < COMBINATIONS; i++) {
        char name[64];
        name_combination(i, name, sizeof name);
        samples_print(name, &samples[i]);
        double p99 = samples_quantile(&samples[i], 0.99);
        worst = p99 > worst ? p99 : worst;
        for (size_t k = 0; k < samples[i].count; k++)
            samples_add(&all, samples[i].ms[k]);
    }
    samples_print("all", &all);
    free(all.ms);
    return worst;
}

/* The number of a query with these filters and no others, rolled by `salt`. */
static size_t roll_number(const struct bench *bench, int combination, size_t salt)
{
    /* In the order in which bench_make_filters and make_query take them. */
    const struct {
        size_t count;
        int by; /* 0: any value */
    } digits[] = {{3, BY_STATE},
                  {COUNT(ask_scores), BY_SCORE},
                  {COUNT(ask_zones), BY_ZONE},
                  {COUNT(ask_labels), BY_LABEL},
                  {COUNT(ask_kinds), BY_KIND},
                  {COUNT(ask_streams), BY_STREAM},
                  {2, 0},
                  {2, 0},
                  {4, BY_TIME}};
    size_t number = 0;
    for (size_t i = COUNT(digits); i-- > 0;) {
        size_t roll = bench_roll(bench->seed + 5, 16 * salt + i, 1000);
        size_t digit = digits[i].by == 0            ? roll % digits[i].count
                       : digits[i].by & combination ? 1 + roll % (digits[i].count - 1)
                                                    : 0;
        number = number * digits[i].count + digit;
    }
    return number;
}

/* One page, timed. */
static void time_page(struct bench *bench, const struct record_query *query,
                      struct samples *samples, struct samples *cpu)
{
    struct record_page page;
    struct store_error err;
    double begin = now_ms(), begin_cpu = cpu_ms();
    if (store_query_detections(bench->reader, query, &page, &err) < 0)
        die("cannot query", err.text);
    double took = now_ms() - begin, took_cpu = cpu_ms() - begin_cpu;
    samples_add(samples, took);
    samples_add(cpu, took_cpu);
    if (took > SLOW_MS) {
        printf("  %.1f ms, %.1f of them on a processor, for %zu rows of", took, took_cpu,
               page.count);
        describe(query);
    }
    record_page_finish(&page);
}

double pages_time(struct bench *bench)
{
    static struct samples samples[COMBINATIONS];
    struct samples cpu = {0};
    /* Each combination in turn, so that a bad moment of the machine is shared by all. */
    for (size_t salt = 0; salt < (size_t)SAMPLES * COMBINATIONS; salt++) {
        int combination = (int)(salt % COMBINATIONS);
        struct record_query query =
            make_query(bench, roll_number(bench, combination, salt), salt);
        time_page(bench, &query, &samples[combination], &cpu);
    }
    double worst = print_times(samples);
    samples_print("all, time on a processor only", &cpu);
    for (int i = 0; i < COMBINATIONS; i++)
        free(samples[i].ms);
    free(cpu.ms);
    return worst;
}
