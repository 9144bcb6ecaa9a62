/* bench_store: fills a database with detections, then asks every combination of filters for
 * first pages and for pages in the midst, counts by stream, label, hour and day, and compares
 * all with the naive answer; then asks again, timed, while 200 records a second are written and
 * removed. The file is read once before, so that it is in memory as far as that goes.
 *
 *   bench_store [--rows N] [--seed N] [--check-each N] [--folder PATH] [--keep] [--timed]
 *
 * The verdict is the last line; exit 0 when the pages are right and, with --timed, fast enough.
 * --check-each N compares each Nth query only: the naive answer reads every row. --keep leaves
 * the database in the folder, and a run that finds it there does not fill it again. */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/bench_store.h"

#define PAGE_P99_MS       20.0
#define SUMMARY_P99_MS    100.0
#define STEP_P99_MS       50.0
#define STEP_RECORDS      100
#define WRITER_FIRST_MS   (DETECTIONS_FIRST_MS + DETECTIONS_SPAN_MS + 10000)
#define RECORDS_PER_BATCH 4 /* each 20 ms: 200 records a second */
#define BATCH_MS          20
#define FILL_BATCH        10000

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_store: %s: %s\n", what, why);
    exit(1);
}

static double read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

double now_ms(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

double cpu_ms(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void samples_add(struct samples *samples, double ms)
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

void samples_sort(struct samples *samples)
{
    qsort(samples->ms, samples->count, sizeof samples->ms[0], compare_ms);
}

double samples_quantile(const struct samples *samples, double part)
{
    size_t at = (size_t)(part * (double)samples->count);
    return samples->ms[at < samples->count ? at : samples->count - 1];
}

void samples_print(const char *name, struct samples *samples)
{
    samples_sort(samples);
    printf("%-44s %6zu %8.2f %8.2f %8.2f\n", name, samples->count,
           samples_quantile(samples, 0.5), samples_quantile(samples, 0.99),
           samples->ms[samples->count - 1]);
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

/* --- meanwhile ---------------------------------------------------------------------------- */

struct writer {
    struct bench *bench;
    pthread_t thread;
    atomic_bool stop;
    size_t records, expired;
    double seconds;
    struct samples commits, steps;
};

/* A step of retention, as the mailbox takes one each 50 ms while there is something to remove:
 * what was written here and ended goes again, so that the database stays what it was. */
static void expire(struct writer *writer, struct store *store)
{
    struct store_stream_limit limits[BENCH_STREAMS];
    struct store_retention retention = {.before_ms = RECORD_NO_TIME,
                                        .updates_before_ms = RECORD_NO_TIME,
                                        .stream_count = BENCH_STREAMS,
                                        .streams = limits};
    struct store_expired expired;
    struct store_error err;
    for (int i = 0; i < BENCH_STREAMS; i++) {
        limits[i] = (struct store_stream_limit){.before_ms = INT64_MAX};
        snprintf(limits[i].name, sizeof limits[i].name, "new-%s", bench_stream_name(i));
    }
    double begin = now_ms();
    if (store_expire(store, &retention, STEP_RECORDS, &expired, &err) < 0)
        die("cannot expire", err.text);
    samples_add(&writer->steps, now_ms() - begin);
    writer->expired += (size_t)expired.records;
}

/* Detections that go on for some seconds each, as the mailbox commits them. */
static void *write_records(void *argument)
{
    struct writer *writer = argument;
    struct store *store;
    struct store_error err;
    if (store_open(writer->bench->path, &store, &err) < 0)
        die("cannot open for writing", err.text);
    double start = now_ms();
    /* To the end of a round of three records, so that nothing stays open. */
    for (uint32_t batch = 0; !atomic_load(&writer->stop) || batch % 30 != 0; batch++) {
        struct record records[RECORDS_PER_BATCH];
        for (uint32_t i = 0; i < RECORDS_PER_BATCH; i++) {
            /* Each detection in three records, ten batches apart. */
            uint32_t number = batch % 10 * RECORDS_PER_BATCH + batch / 30 * 40 + i;
            struct bench_row row = bench_row_make(writer->bench->seed + 1, number, 1000000);
            row.start_ms = WRITER_FIRST_MS + number * 20;
            row.arrival += 1u << 30;
            row.open = batch / 10 % 3 < 2;
            bench_row_to_record(&row, &records[i]);
            snprintf(records[i].stream, sizeof records[i].stream, "new-%s",
                     bench_stream_name(row.stream));
            if (row.open && batch / 10 % 3 == 1)
                records[i].phase = RECORD_UPDATED;
        }
        double begin = now_ms();
        if (store_append(store, records, RECORDS_PER_BATCH, records[0].time_ms, &err) < 0)
            die("cannot write", err.text);
        samples_add(&writer->commits, now_ms() - begin);
        writer->records += RECORDS_PER_BATCH;
        if (batch % 3 == 2)
            expire(writer, store);
        double wait = start + (batch + 1) * BATCH_MS - now_ms();
        if (wait > 0)
            usleep((useconds_t)(wait * 1e3));
    }
    writer->seconds = (now_ms() - start) / 1e3;
    size_t before;
    do {
        before = writer->expired;
        expire(writer, store);
    } while (writer->expired > before);
    store_close(store);
    return NULL;
}

static void writer_start(struct writer *writer, struct bench *bench)
{
    *writer = (struct writer){.bench = bench};
    if (pthread_create(&writer->thread, NULL, write_records, writer) != 0)
        die("cannot write", "no thread");
}

/* The slowest step of retention. */
static double writer_stop(struct writer *writer)
{
    atomic_store(&writer->stop, true);
    pthread_join(writer->thread, NULL);
    printf("%-44s %6s %8s %8s %8s\n", "meanwhile (ms)", "n", "p50", "p99", "max");
    samples_print("commit of 4 records", &writer->commits);
    samples_print("step of retention", &writer->steps);
    printf("%zu records were written, %.0f a second; %zu were removed\n", writer->records,
           (double)writer->records / writer->seconds, writer->expired);
    double p99 = samples_quantile(&writer->steps, 0.99);
    free(writer->commits.ms);
    free(writer->steps.ms);
    return p99;
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

/* So that it is measured what a page costs, not what this disk does. */
static void warm_up(const struct bench *bench)
{
    static char buffer[1 << 20];
    FILE *file = fopen(bench->path, "r");
    if (!file)
        die(bench->path, strerror(errno));
    while (fread(buffer, 1, sizeof buffer, file) > 0)
        continue;
    fclose(file);
}

static bool is_fast(struct bench *bench)
{
    struct writer writer;
    warm_up(bench);
    writer_start(&writer, bench);
    double pages = pages_time(bench), summaries = summaries_time(bench);
    double step = writer_stop(&writer);
    printf(
        "worst p99 of a combination: pages %.2f ms (at most %.0f), summaries of a day %.2f ms "
        "(at most %.0f), steps of retention %.2f ms (at most %.0f)\n",
        pages, PAGE_P99_MS, summaries, SUMMARY_P99_MS, step, STEP_P99_MS);
    return pages <= PAGE_P99_MS && summaries <= SUMMARY_P99_MS && step <= STEP_P99_MS;
}

int main(int argc, char **argv)
{
    struct bench bench = {.row_count = 200000, .seed = 1, .check_each = 1};
    parse(&bench, argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    fill(&bench);
    if (bench_rows_create(bench.seed, bench.row_count, &bench.rows) < 0)
        die("cannot begin", "out of memory");
    struct store_error err;
    if (store_open_reader(bench.path, 0, &bench.reader, &err) < 0)
        die("cannot open for reading", err.text);
    size_t wrong = pages_check(&bench) + summaries_check(&bench);
    bool fast = !bench.timed || is_fast(&bench);
    store_close(bench.reader);
    bench_rows_finish(&bench.rows);
    clean_up(&bench);
    printf("%s\n", wrong == 0 && fast ? "PASS" : "FAIL");
    return wrong == 0 && fast ? 0 : 1;
}
