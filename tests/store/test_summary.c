/* Counts against the naive answer: every detection looked at, one by one. */
#include "tests/store/audit.h"

#include <errno.h>

#define ROWS 400
#define HOUR INT64_C(3600000)

static struct record rows[ROWS]; /* as they are now: the best score, all zones */
static bool gone[ROWS];
static uint64_t dice;

static unsigned roll(unsigned below)
{
    dice = dice * 6364136223846793005 + 1442695040888963407;
    return (unsigned)(dice >> 33) % below;
}

static double roll_score(void)
{
    static const double often[] = {0, 0.5, 0.7, 0.9, 0.95, 0.995, 1};
    return roll(2) ? often[roll(7)] : roll(10001) / 10000.0;
}

static struct record random_row(int number)
{
    static const char *const streams[] = {"door", "gate", "yard", "roof"};
    static const char *const labels[] = {"movement", "weather", "covered", "gate"};
    static const char *const zones[] = {"left", "gate", "right"};
    /* Three days; a third on the very hour. */
    int64_t start_ms = 1000 * HOUR + (int64_t)roll(72) * HOUR + (roll(3) ? roll(3600000) : 0);
    struct record record =
        fixture_record(roll(5) ? RECORD_ENDED : RECORD_STARTED, number, start_ms);
    strcpy(record.stream, streams[roll(4)]);
    strcpy(record.label, labels[roll(4)]);
    record.kind = roll(2) ? RECORD_ACTIVITY : RECORD_STREAM;
    record.score = roll_score();
    for (unsigned i = 0; i < 3; i++)
        if (roll(3) == 0)
            strcpy(record.zones[record.zone_count++], zones[i]);
    return record;
}

/* Some detections come twice: again, better, ended or in one zone more. */
static void fill(void)
{
    fixture_open();
    dice = 4;
    memset(gone, 0, sizeof gone);
    for (int i = 0; i < ROWS; i++) {
        rows[i] = random_row(i);
        ok(store_append(store, &rows[i], 1, INT64_MAX / 2, &err));
        if (roll(2))
            continue;
        struct record again = rows[i];
        again.score = roll_score();
        again.phase = RECORD_ENDED;
        again.end_ms = again.time_ms;
        if (again.zone_count == 0)
            strcpy(again.zones[again.zone_count++], "left");
        ok(store_append(store, &again, 1, INT64_MAX / 2, &err));
        again.score = again.score > rows[i].score ? again.score : rows[i].score;
        rows[i] = again;
    }
}

static bool matches(const struct record *record, const struct record_query *query)
{
    bool in_zone = !query->zone[0], ended = record->end_ms != RECORD_NO_TIME;
    for (int i = 0; i < record->zone_count; i++)
        in_zone = in_zone || strcmp(record->zones[i], query->zone) == 0;
    return in_zone && (!query->stream[0] || strcmp(record->stream, query->stream) == 0) &&
           (query->kind < 0 || (int)record->kind == query->kind) &&
           (!query->label[0] || strcmp(record->label, query->label) == 0) &&
           record->score >= query->min_score &&
           (query->since_ms == RECORD_NO_TIME || record->start_ms >= query->since_ms) &&
           (query->until_ms == RECORD_NO_TIME || record->start_ms < query->until_ms) &&
           (query->state == RECORD_STATE_ANY || ended == (query->state == RECORD_STATE_ENDED));
}

static struct record_group group_of(const struct record *record, unsigned by)
{
    struct record_group group = {.time_ms = RECORD_NO_TIME};
    if (by & RECORD_BY_HOUR)
        group.time_ms = record->start_ms - record->start_ms % HOUR;
    if (by & RECORD_BY_DAY)
        group.time_ms = record->start_ms - record->start_ms % (24 * HOUR);
    if (by & RECORD_BY_STREAM)
        strcpy(group.stream, record->stream);
    if (by & RECORD_BY_LABEL)
        strcpy(group.label, record->label);
    return group;
}

static int compare(const void *a, const void *b)
{
    const struct record_group *left = a, *right = b;
    if (left->time_ms != right->time_ms)
        return left->time_ms < right->time_ms ? -1 : 1;
    int streams = strcmp(left->stream, right->stream);
    return streams ? streams : strcmp(left->label, right->label);
}

static size_t naive(const struct record_query *query, unsigned by,
                    struct record_group groups[ROWS], int64_t *ret_total)
{
    size_t count = 0;
    *ret_total = 0;
    for (int i = 0; i < ROWS; i++) {
        if (gone[i] || !matches(&rows[i], query))
            continue;
        struct record_group group = group_of(&rows[i], by);
        size_t at = 0;
        while (at < count && compare(&groups[at], &group) != 0)
            at++;
        if (at == count)
            groups[count++] = group;
        groups[at].count++;
        ++*ret_total;
    }
    qsort(groups, count, sizeof groups[0], compare);
    return by ? count : 0;
}

static void assert_same(const struct record_query *query, unsigned by)
{
    static struct record_group expected[ROWS];
    int64_t total;
    size_t count = naive(query, by, expected, &total);
    struct record_summary summary;
    ok(store_summarize(store, query, by, &summary, &err));
    ck_assert_uint_eq(summary.by, by);
    ck_assert_int_eq(summary.total, total);
    ck_assert_uint_eq(summary.count, count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_int_eq(compare(&summary.groups[i], &expected[i]), 0);
        ck_assert_int_eq(summary.groups[i].count, expected[i].count);
    }
    record_summary_finish(&summary);
}

/* On the hour, beside it, or none. */
static int64_t random_time(void)
{
    int64_t at = 1000 * HOUR + (int64_t)roll(74) * HOUR;
    return roll(4) == 0 ? RECORD_NO_TIME : roll(2) ? at : at + (int64_t)roll(3600000);
}

static struct record_query random_query(void)
{
    struct record_query query;
    record_query_init(&query);
    if (roll(2))
        strcpy(query.stream, roll(6) ? "gate" : "nowhere");
    if (roll(3) == 0)
        query.kind = RECORD_STREAM;
    if (roll(3) == 0)
        strcpy(query.label, roll(2) ? "gate" : "movement");
    if (roll(3) == 0)
        strcpy(query.zone, roll(2) ? "gate" : "left");
    if (roll(2))
        query.min_score = roll_score();
    query.since_ms = random_time();
    query.until_ms = random_time();
    query.state = (enum record_state)(roll(2) ? 0 : 1 + roll(2));
    return query;
}

START_TEST(any_filters_counted_by_anything_give_the_naive_counts)
{
    static const unsigned ways[] = {0,
                                    RECORD_BY_STREAM,
                                    RECORD_BY_LABEL,
                                    RECORD_BY_HOUR,
                                    RECORD_BY_DAY,
                                    RECORD_BY_STREAM | RECORD_BY_LABEL,
                                    RECORD_BY_STREAM | RECORD_BY_LABEL | RECORD_BY_HOUR,
                                    RECORD_BY_LABEL | RECORD_BY_DAY};
    for (int i = 0; i < 800; i++) {
        struct record_query query = random_query();
        assert_same(&query, ways[i % 8]);
    }
}
END_TEST

START_TEST(counts_follow_what_retention_removes)
{
    struct store_retention retention = {.before_ms = 1030 * HOUR,
                                        .updates_before_ms = RECORD_NO_TIME};
    struct store_expired expired;
    int more;
    do {
        more = store_expire(store, &retention, 20, &expired, &err);
        ck_assert_msg(more >= 0, "%s", err.text);
    } while (more);
    int left = 0;
    for (int i = 0; i < ROWS; i++) {
        gone[i] = rows[i].end_ms != RECORD_NO_TIME && rows[i].end_ms < retention.before_ms;
        left += !gone[i];
    }
    ck_assert_int_lt(left, ROWS * 3 / 4);
    for (int i = 0; i < 100; i++) {
        struct record_query query = random_query();
        assert_same(&query, (unsigned)i % 8);
    }
    audit();
}
END_TEST

START_TEST(a_range_that_is_empty_or_upside_down_counts_nothing)
{
    struct record_query query;
    record_query_init(&query);
    query.since_ms = query.until_ms = 1010 * HOUR;
    assert_same(&query, RECORD_BY_HOUR);
    query.until_ms -= 5 * HOUR;
    assert_same(&query, RECORD_BY_HOUR);
    query.since_ms = 0;
    query.until_ms = 1;
    assert_same(&query, 0);
}
END_TEST

START_TEST(more_groups_than_an_answer_may_have_are_refused)
{
    static struct record many[RECORD_GROUPS_MAX + 1];
    for (int i = 0; i <= RECORD_GROUPS_MAX; i++)
        many[i] = fixture_record(RECORD_ENDED, ROWS + i, (2000 + (int64_t)i) * HOUR);
    ok(store_append(store, many, RECORD_GROUPS_MAX + 1, INT64_MAX / 2, &err));
    struct record_query query;
    record_query_init(&query);
    query.since_ms = 2000 * HOUR;
    struct record_summary summary = {.total = 4711};
    ck_assert_int_eq(store_summarize(store, &query, RECORD_BY_HOUR, &summary, &err), -E2BIG);
    ck_assert_ptr_nonnull(strstr(err.text, "shorter time"));
    ck_assert_int_eq(summary.total, 4711);
    query.since_ms = 2001 * HOUR;
    ok(store_summarize(store, &query, RECORD_BY_HOUR, &summary, &err));
    ck_assert_uint_eq(summary.count, RECORD_GROUPS_MAX);
    record_summary_finish(&summary);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("summary");
    tcase_set_timeout(all, 200);
    tcase_add_checked_fixture(all, fill, fixture_close);
    tcase_add_test(all, any_filters_counted_by_anything_give_the_naive_counts);
    tcase_add_test(all, counts_follow_what_retention_removes);
    tcase_add_test(all, a_range_that_is_empty_or_upside_down_counts_nothing);
    tcase_add_test(all, more_groups_than_an_answer_may_have_are_refused);
    return suite_run("store/summary", &all, 1);
}
