/* Pages against the naive answer: all rows in memory, filtered and sorted one by one. */
#include "tests/store/fixture.h"

#include <errno.h>

#define ROWS 150

static struct record rows[2 * ROWS];
static size_t row_count;
static uint64_t random_state;

static unsigned roll(unsigned below)
{
    random_state = random_state * 6364136223846793005 + 1442695040888963407;
    return (unsigned)(random_state >> 33) % below;
}

/* Few distinct values, so that every filter and every tie happens. */
static struct record random_record(int number)
{
    static const char *const streams[] = {"door", "gate", "yard"};
    static const char *const labels[] = {"movement", "weather", "covered"};
    static const char *const zones[] = {"left", "middle", "right"};
    enum record_phase phase = roll(4) == 0 ? RECORD_STARTED : RECORD_ENDED;
    struct record record = fixture_record(phase, number, 1000000 + 10 * (int64_t)roll(60));
    strcpy(record.stream, streams[roll(3)]);
    unsigned label = roll(3);
    strcpy(record.label, labels[label]);
    record.kind = label == 2 ? RECORD_STREAM : RECORD_ACTIVITY;
    record.score = roll(11) / 10.0;
    for (unsigned i = 0; i < 3; i++) {
        if (roll(3) == 0)
            strcpy(record.zones[record.zone_count++], zones[i]);
    }
    return record;
}

static void add_rows(int from, int count)
{
    for (int i = 0; i < count; i++)
        rows[row_count++] = random_record(from + i);
    ok(store_append(store, rows + row_count - count, (size_t)count, FIXTURE_NOW, &err));
}

static void fill(void)
{
    fixture_open();
    row_count = 0;
    random_state = 42;
    add_rows(0, ROWS);
}

static bool matches(const struct record *record, const struct record_query *query)
{
    bool in_zone = !query->zone[0];
    for (int i = 0; i < record->zone_count; i++)
        in_zone = in_zone || strcmp(record->zones[i], query->zone) == 0;
    bool ended = record->end_ms != RECORD_NO_TIME;
    return in_zone && (!query->stream[0] || strcmp(record->stream, query->stream) == 0) &&
           (query->kind < 0 || (int)record->kind == query->kind) &&
           (!query->label[0] || strcmp(record->label, query->label) == 0) &&
           record->score >= query->min_score &&
           (query->since_ms == RECORD_NO_TIME || record->start_ms >= query->since_ms) &&
           (query->until_ms == RECORD_NO_TIME || record->start_ms < query->until_ms) &&
           (query->state == RECORD_STATE_ANY || ended == (query->state == RECORD_STATE_ENDED));
}

/* Pointers into rows, whose order is that of their arrival. */
static int compare(const void *a, const void *b)
{
    const struct record *left = *(struct record *const *)a, *right = *(struct record *const *)b;
    if (left->start_ms != right->start_ms)
        return left->start_ms < right->start_ms ? -1 : 1;
    return left < right ? -1 : left > right;
}

/* Ids of every match in the query's order; how many. */
static size_t naive(const struct record_query *query, char ids[][RECORD_ID_SIZE])
{
    static const struct record *sorted[2 * ROWS];
    for (size_t i = 0; i < row_count; i++)
        sorted[i] = &rows[i];
    qsort(sorted, row_count, sizeof sorted[0], compare);
    size_t count = 0;
    for (size_t i = 0; i < row_count; i++) {
        const struct record *record = sorted[query->ascending ? i : row_count - 1 - i];
        if (matches(record, query))
            strcpy(ids[count++], record->id);
    }
    return count;
}

/* Ids of every page in turn; how many. */
static size_t walk(struct record_query query, char ids[][RECORD_ID_SIZE])
{
    size_t count = 0;
    for (;;) {
        struct record_page page;
        ok(store_query_detections(store, &query, &page, &err));
        ck_assert_uint_le(page.count, (size_t)query.limit);
        ck_assert_uint_le(count + page.count, 2 * ROWS);
        for (size_t i = 0; i < page.count; i++)
            strcpy(ids[count++], fixture_parse(page.texts[i]).id);
        bool last = !page.next[0];
        /* Only the last page may be short; a next page always has something. */
        ck_assert(last || page.count == (size_t)query.limit);
        ck_assert(count > 0 || last);
        strcpy(query.cursor, page.next);
        record_page_finish(&page);
        if (last)
            return count;
    }
}

static struct record_query random_query(void)
{
    struct record_query query;
    record_query_init(&query);
    query.limit = (int)roll(40) + 1;
    query.ascending = roll(2);
    if (roll(2))
        strcpy(query.stream, roll(5) ? "gate" : "nowhere");
    if (roll(3) == 0)
        query.kind = roll(2) ? RECORD_STREAM : RECORD_ACTIVITY;
    if (roll(2))
        strcpy(query.label, roll(2) ? "movement" : "covered");
    if (roll(3) == 0)
        strcpy(query.zone, "middle");
    if (roll(3) == 0)
        query.min_score = roll(11) / 10.0;
    if (roll(3) == 0)
        query.since_ms = 1000000 + roll(600);
    if (roll(3) == 0)
        query.until_ms = 1000000 + roll(600);
    query.state = (enum record_state)(roll(2) ? 0 : 1 + roll(2));
    return query;
}

static void assert_same(const struct record_query *query)
{
    static char expected[2 * ROWS][RECORD_ID_SIZE], found[2 * ROWS][RECORD_ID_SIZE];
    size_t count = naive(query, expected);
    ck_assert_uint_eq(walk(*query, found), count);
    ck_assert_int_eq(memcmp(expected, found, count * sizeof found[0]), 0);
}

START_TEST(any_filters_paged_any_way_give_what_a_naive_query_gives)
{
    for (int i = 0; i < 100; i++) {
        struct record_query query = random_query();
        assert_same(&query);
    }
}
END_TEST

START_TEST(every_index_walks_both_ways)
{
    struct record_query query;
    for (int shape = 0; shape < 64; shape++) {
        record_query_init(&query);
        query.limit = 7;
        query.ascending = shape & 1;
        if (shape & 2)
            strcpy(query.stream, "door");
        if (shape & 4)
            query.kind = RECORD_ACTIVITY;
        if (shape & 8)
            strcpy(query.label, "weather");
        if (shape & 16)
            strcpy(query.zone, "left");
        if (shape & 32)
            query.state = RECORD_STATE_ACTIVE;
        assert_same(&query);
    }
}
END_TEST

START_TEST(rows_that_come_meanwhile_neither_repeat_nor_hide_others)
{
    for (int ascending = 0; ascending < 2; ascending++) {
        static char before[2 * ROWS][RECORD_ID_SIZE], found[2 * ROWS][RECORD_ID_SIZE];
        struct record_query query;
        record_query_init(&query);
        query.limit = 25;
        query.ascending = ascending;
        size_t expected = naive(&query, before), count = 0, seen = 0;
        int next = 1000 + 1000 * ascending;
        do {
            struct record_page page;
            ok(store_query_detections(store, &query, &page, &err));
            for (size_t i = 0; i < page.count; i++)
                strcpy(found[count++], fixture_parse(page.texts[i]).id);
            strcpy(query.cursor, page.next);
            record_page_finish(&page);
            add_rows(next, 5);
            next += 5;
        } while (query.cursor[0]);
        for (size_t i = 0; i < count && seen < expected; i++)
            seen += strcmp(found[i], before[seen]) == 0;
        ck_assert_uint_eq(seen, expected);
        for (size_t i = 1; i < count; i++) {
            for (size_t k = 0; k < i; k++)
                ck_assert_msg(strcmp(found[i], found[k]) != 0, "%s twice", found[i]);
        }
    }
}
END_TEST

static struct record_query first_page(void)
{
    struct record_query query;
    record_query_init(&query);
    query.limit = 10;
    struct record_page page;
    ok(store_query_detections(store, &query, &page, &err));
    ck_assert(page.next[0]);
    strcpy(query.cursor, page.next);
    record_page_finish(&page);
    return query;
}

static void assert_refused(const struct record_query *query)
{
    struct record_page page = {.count = 4711};
    ck_assert_msg(store_query_detections(store, query, &page, &err) == -EINVAL, "%s",
                  query->cursor);
    ck_assert_uint_eq(page.count, 4711);
}

START_TEST(a_cursor_belongs_to_its_query)
{
    struct record_query query = first_page(), other = query;
    other.ascending = true;
    assert_refused(&other);
    other = query;
    strcpy(other.stream, "door");
    assert_refused(&other);
    other = query;
    other.kind = RECORD_STREAM;
    assert_refused(&other);
    other = query;
    strcpy(other.label, "weather");
    assert_refused(&other);
    other = query;
    strcpy(other.zone, "left");
    assert_refused(&other);
    other = query;
    other.min_score = 0.5;
    assert_refused(&other);
    other = query;
    other.until_ms = 1000100;
    assert_refused(&other);
    other = query;
    other.state = RECORD_STATE_ENDED;
    assert_refused(&other);
    other = query;
    other.limit = 3;
    struct record_page page;
    ok(store_query_detections(store, &other, &page, &err));
    ck_assert_uint_eq(page.count, 3);
    record_page_finish(&page);
}
END_TEST

START_TEST(a_cursor_changed_at_any_byte_is_refused)
{
    struct record_query query = first_page();
    size_t length = strlen(query.cursor);
    for (size_t i = 0; i < length; i++) {
        struct record_query damaged = query;
        damaged.cursor[i] = damaged.cursor[i] == '0' ? '1' : '0';
        assert_refused(&damaged);
        damaged = query;
        damaged.cursor[i] = 0;
        if (i > 0)
            assert_refused(&damaged);
    }
    query.cursor[length] = '0';
    query.cursor[length + 1] = 0;
    assert_refused(&query);
    strcpy(query.cursor, "2-+f-1-0000000000000000");
    assert_refused(&query);
    strcpy(query.cursor, "' OR 1 --");
    assert_refused(&query);
}
END_TEST

START_TEST(a_page_has_one_to_500_rows)
{
    struct record_query query;
    record_query_init(&query);
    static const int limits[] = {0, -1, RECORD_PAGE_MAX + 1};
    for (int i = 0; i < 3; i++) {
        query.limit = limits[i];
        assert_refused(&query);
    }
    query.limit = RECORD_PAGE_MAX;
    struct record_page page;
    ok(store_query_detections(store, &query, &page, &err));
    ck_assert_uint_eq(page.count, ROWS);
    ck_assert_str_eq(page.next, "");
    record_page_finish(&page);
}
END_TEST

START_TEST(names_are_data_never_sql)
{
    struct record_query query;
    record_query_init(&query);
    strcpy(query.label, "x' OR '1'='1");
    struct record_page page;
    ok(store_query_detections(store, &query, &page, &err));
    ck_assert_uint_eq(page.count, 0);
    record_page_finish(&page);
}
END_TEST

START_TEST(a_query_over_its_cap_is_stopped)
{
    static struct record many[500];
    for (int batch = 0; batch < 16; batch++) {
        for (int i = 0; i < 500; i++)
            many[i] = fixture_record(RECORD_ENDED, 100000 + 500 * batch + i, 5000 + i);
        for (int i = 0; i < 500; i++)
            many[i].score = 0.91;
        ok(store_append(store, many, 500, FIXTURE_NOW, &err));
    }
    struct record_query query;
    record_query_init(&query);
    query.until_ms = 6000;
    query.min_score = 0.94; /* none, and no band ends there: every row is looked at */
    struct store *reader;
    struct record_page page;
    ok(store_open_reader(path, 1, &reader, &err));
    ck_assert_int_eq(store_query_detections(reader, &query, &page, &err), -ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(err.text, "took too long"));
    store_close(reader);
    ok(store_open_reader(path, 60000, &reader, &err));
    ok(store_query_detections(reader, &query, &page, &err));
    ck_assert_uint_eq(page.count, 0);
    record_page_finish(&page);
    store_close(reader);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("query");
    tcase_set_timeout(all, 200);
    tcase_add_checked_fixture(all, fill, fixture_close);
    tcase_add_test(all, any_filters_paged_any_way_give_what_a_naive_query_gives);
    tcase_add_test(all, every_index_walks_both_ways);
    tcase_add_test(all, rows_that_come_meanwhile_neither_repeat_nor_hide_others);
    tcase_add_test(all, a_cursor_belongs_to_its_query);
    tcase_add_test(all, a_cursor_changed_at_any_byte_is_refused);
    tcase_add_test(all, a_page_has_one_to_500_rows);
    tcase_add_test(all, names_are_data_never_sql);
    tcase_add_test(all, a_query_over_its_cap_is_stopped);
    return suite_run("store/query", &all, 1);
}
