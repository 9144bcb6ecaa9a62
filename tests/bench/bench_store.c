/* bench_store: fills a database with detections, then asks every combination of filters for
 * first pages and for pages in the midst, and compares them with the naive answer; then asks
 * again, timed, while records are being written.
 *
 *   bench_store [--rows N] [--seed N] [--check-each N] [--folder PATH] [--keep] [--timed]
 *
 * The verdict is the last line; exit 0 when the pages are right and, with --timed, fast enough.
 * --check-each N compares each Nth query only: the naive answer reads every row. --keep leaves
 * the database in the folder, and a run that finds it there does not fill it again. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/cursor.h"
#include "store/store.h"
#include "tests/bench/detections.h"

#define PAGE_P99_MS       20.0
#define RECORDS_PER_BATCH 4 /* each 20 ms: 200 records a second */
#define BATCH_MS          20
#define FILL_BATCH        10000

struct bench {
    size_t row_count;
    uint64_t seed;
    int check_each;
    bool keep, timed;
    char folder[256], path[300];
    struct bench_rows rows;
    int64_t until_ms; /* after the last start */
};

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_store: %s: %s\n", what, why);
    exit(1);
}

/* --- filling ------------------------------------------------------------------------------ */

static void fill(struct bench *bench)
{
    struct store *store;
    struct store_error err;
    static struct record batch[FILL_BATCH];
    if (access(bench->path, R_OK) == 0) {
        printf("%s is there already\n", bench->path);
        return;
    }
    double start = now_ms();
    if (store_open(bench->path, &store, &err) < 0)
        die("cannot open", err.text);
    for (size_t done = 0; done < bench->row_count;) {
        size_t count =
            bench->row_count - done < FILL_BATCH ? bench->row_count - done : FILL_BATCH;
        for (size_t i = 0; i < count; i++) {
            struct bench_row row =
                bench_row_make(bench->seed, (uint32_t)(done + i), bench->row_count);
            bench_row_to_record(&row, &batch[i]);
        }
        if (store_append(store, batch, count, batch[count - 1].time_ms, &err) < 0)
            die("cannot fill", err.text);
        done += count;
    }
    store_close(store);
    double seconds = (now_ms() - start) / 1e3;
    struct stat info = {0};
    stat(bench->path, &info);
    printf("filled with %zu detections in %.1f s: %.1f us and %.0f bytes of file each\n",
           bench->row_count, seconds, seconds * 1e6 / (double)bench->row_count,
           (double)info.st_size / (double)bench->row_count);
}

/* --- the questions ------------------------------------------------------------------------ */

static const char *const ask_streams[] = {"", "cam-00", "cam-05", "cam-63", "attic"};
static const int ask_kinds[] = {-1, RECORD_ACTIVITY, RECORD_SOUND, RECORD_ANOMALY};
static const char *const ask_labels[] = {"", "movement", "alarm", "fire"};
static const char *const ask_zones[] = {"", "gate", "vault"};
static const double ask_scores[] = {0, 0.9, 0.87, 0.999};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define QUERY_COUNT                                                                            \
    (COUNT(ask_streams) * COUNT(ask_kinds) * COUNT(ask_labels) * COUNT(ask_zones) *            \
     COUNT(ask_scores) * 4 * 3 * 2 * 2)

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

static int combination_of(const struct record_query *query)
{
    return (query->stream[0] ? BY_STREAM : 0) | (query->kind >= 0 ? BY_KIND : 0) |
           (query->label[0] ? BY_LABEL : 0) | (query->zone[0] ? BY_ZONE : 0) |
           (query->min_score > 0 ? BY_SCORE : 0) | (query->state ? BY_STATE : 0) |
           (query->since_ms != RECORD_NO_TIME || query->until_ms != RECORD_NO_TIME ? BY_TIME
                                                                                   : 0);
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

/* Query `number`, 0 to QUERY_COUNT - 1: every combination of the values above. */
static struct record_query make_query(const struct bench *bench, size_t number)
{
    struct record_query query;
    record_query_init(&query);
    size_t rest = number;
    bool cursor = take(&rest, 2);
    query.ascending = take(&rest, 2);
    query.state = (enum record_state)take(&rest, 3);
    size_t range = take(&rest, 4);
    query.min_score = ask_scores[take(&rest, COUNT(ask_scores))];
    strcpy(query.zone, ask_zones[take(&rest, COUNT(ask_zones))]);
    strcpy(query.label, ask_labels[take(&rest, COUNT(ask_labels))]);
    query.kind = ask_kinds[take(&rest, COUNT(ask_kinds))];
    strcpy(query.stream, ask_streams[take(&rest, COUNT(ask_streams))]);
    int64_t at =
        DETECTIONS_FIRST_MS + (int64_t)bench_roll(bench->seed, 13 * number, DETECTIONS_SPAN_MS);
    if (range & 1)
        query.since_ms = at;
    if (range & 2)
        query.until_ms = range == 3 ? at + 86400000 : at;
    query.limit = number % 7 == 0 ? RECORD_PAGE_MAX : RECORD_PAGE_DEFAULT;
    if (cursor)
        put_cursor(bench, number, &query);
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

static size_t check_pages(struct bench *bench, struct store *reader)
{
    size_t checked = 0, wrong = 0, rows = 0;
    for (size_t i = 0; i < QUERY_COUNT; i += (size_t)bench->check_each) {
        struct record_query query = make_query(bench, i);
        struct record_page page;
        struct store_error err;
        if (store_query_detections(reader, &query, &page, &err) < 0)
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

struct writer {
    struct bench *bench;
    pthread_t thread;
    atomic_bool stop;
    size_t records;
    double seconds, worst_ms;
};

/* Detections that go on for some seconds each, as the mailbox commits them. */
static void *write_records(void *argument)
{
    struct writer *writer = argument;
    struct store *store;
    struct store_error err;
    if (store_open(writer->bench->path, &store, &err) < 0)
        die("cannot open for writing", err.text);
    double start = now_ms();
    for (uint32_t batch = 0; !atomic_load(&writer->stop); batch++) {
        struct record records[RECORDS_PER_BATCH];
        for (uint32_t i = 0; i < RECORDS_PER_BATCH; i++) {
            /* Each detection in three records, ten batches apart. */
            uint32_t number = batch % 10 * RECORDS_PER_BATCH + batch / 30 * 40 + i;
            struct bench_row row = bench_row_make(writer->bench->seed + 1, number, 1000000);
            row.start_ms = writer->bench->until_ms + number * 20;
            row.arrival += 1u << 30;
            row.open = batch / 10 % 3 < 2;
            bench_row_to_record(&row, &records[i]);
            if (row.open && batch / 10 % 3 == 1)
                records[i].phase = RECORD_UPDATED;
        }
        double begin = now_ms();
        if (store_append(store, records, RECORDS_PER_BATCH, records[0].time_ms, &err) < 0)
            die("cannot write", err.text);
        double took = now_ms() - begin;
        writer->worst_ms = took > writer->worst_ms ? took : writer->worst_ms;
        writer->records += RECORDS_PER_BATCH;
        double wait = start + (batch + 1) * BATCH_MS - now_ms();
        if (wait > 0)
            usleep((useconds_t)(wait * 1e3));
    }
    writer->seconds = (now_ms() - start) / 1e3;
    store_close(store);
    return NULL;
}

struct samples {
    size_t count, room;
    double *ms;
};

static void add_sample(struct samples *samples, double ms)
{
    if (samples->count == samples->room) {
        samples->room = samples->room ? 2 * samples->room : 64;
        samples->ms = realloc(samples->ms, samples->room * sizeof samples->ms[0]);
        if (!samples->ms)
            die("cannot measure", "out of memory");
    }
    samples->ms[samples->count++] = ms;
}

static int compare_ms(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

/* Sorted before. */
static double quantile(const struct samples *samples, double part)
{
    size_t at = (size_t)(part * (double)samples->count);
    return samples->ms[at < samples->count ? at : samples->count - 1];
}

static void print_samples(const char *name, struct samples *samples)
{
    qsort(samples->ms, samples->count, sizeof samples->ms[0], compare_ms);
    printf("%-44s %6zu %8.2f %8.2f %8.2f\n", name, samples->count, quantile(samples, 0.5),
           quantile(samples, 0.99), samples->ms[samples->count - 1]);
}

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
        print_samples(name, &samples[i]);
        double p99 = quantile(&samples[i], 0.99);
        worst = p99 > worst ? p99 : worst;
        for (size_t k = 0; k < samples[i].count; k++)
            add_sample(&all, samples[i].ms[k]);
    }
    print_samples("all", &all);
    free(all.ms);
    return worst;
}

static double time_pages(struct bench *bench, struct store *reader)
{
    static struct samples samples[COMBINATIONS];
    struct writer writer = {.bench = bench};
    if (pthread_create(&writer.thread, NULL, write_records, &writer) != 0)
        die("cannot write", "no thread");
    for (size_t i = 0; i < QUERY_COUNT; i++) {
        struct record_query query = make_query(bench, i);
        struct record_page page;
        struct store_error err;
        double begin = now_ms();
        if (store_query_detections(reader, &query, &page, &err) < 0)
            die("cannot query", err.text);
        add_sample(&samples[combination_of(&query)], now_ms() - begin);
        record_page_finish(&page);
    }
    atomic_store(&writer.stop, true);
    pthread_join(writer.thread, NULL);
    double worst = print_times(samples);
    printf("meanwhile %zu records were written, %.0f a second, the slowest commit %.1f ms\n",
           writer.records, (double)writer.records / writer.seconds, writer.worst_ms);
    for (int i = 0; i < COMBINATIONS; i++)
        free(samples[i].ms);
    return worst;
}

/* --- main --------------------------------------------------------------------------------- */

static void parse(struct bench *bench, int argc, char **argv)
{
    static const struct option options[] = {{"rows", required_argument, NULL, 'r'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"folder", required_argument, NULL, 'f'},
                                            {"check-each", required_argument, NULL, 'c'},
                                            {"keep", no_argument, NULL, 'k'},
                                            {"timed", no_argument, NULL, 't'},
                                            {0}};
    const char *parent = getenv("TMPDIR");
    snprintf(bench->folder, sizeof bench->folder, "%s/vigil-bench-XXXXXX",
             parent ? parent : "/tmp");
    bool own_folder = true;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'r')
            bench->row_count = strtoul(optarg, NULL, 10);
        else if (option == 's')
            bench->seed = strtoul(optarg, NULL, 10);
        else if (option == 'c')
            bench->check_each = atoi(optarg);
        else if (option == 'k')
            bench->keep = true;
        else if (option == 't')
            bench->timed = true;
        else if (option == 'f') {
            snprintf(bench->folder, sizeof bench->folder, "%s", optarg);
            own_folder = false;
        } else
            exit(2);
    }
    if (bench->row_count < 1000 || bench->check_each < 1)
        die("cannot begin", "--rows is at least 1000, --check-each at least 1");
    if (own_folder && !mkdtemp(bench->folder))
        die(bench->folder, strerror(errno));
    snprintf(bench->path, sizeof bench->path, "%s/vigil.db", bench->folder);
}

static void clean_up(const struct bench *bench)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-lock"};
    if (bench->keep)
        return;
    for (size_t i = 0; i < COUNT(suffixes); i++) {
        char path[320];
        snprintf(path, sizeof path, "%s%s", bench->path, suffixes[i]);
        unlink(path);
    }
    rmdir(bench->folder);
}

int main(int argc, char **argv)
{
    struct bench bench = {.row_count = 200000, .seed = 1, .check_each = 1};
    parse(&bench, argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    bench.until_ms = DETECTIONS_FIRST_MS + DETECTIONS_SPAN_MS + 10000;
    fill(&bench);
    if (bench_rows_create(bench.seed, bench.row_count, &bench.rows) < 0)
        die("cannot begin", "out of memory");
    struct store *reader;
    struct store_error err;
    if (store_open_reader(bench.path, 0, &reader, &err) < 0)
        die("cannot open for reading", err.text);
    size_t wrong = check_pages(&bench, reader);
    double worst = bench.timed ? time_pages(&bench, reader) : 0;
    store_close(reader);
    bench_rows_finish(&bench.rows);
    clean_up(&bench);
    bool good = wrong == 0 && worst <= PAGE_P99_MS;
    if (bench.timed)
        printf("worst p99 of a combination: %.2f ms, at most %.0f allowed\n", worst,
               PAGE_P99_MS);
    printf("%s\n", good ? "PASS" : "FAIL");
    return good ? 0 : 1;
}
