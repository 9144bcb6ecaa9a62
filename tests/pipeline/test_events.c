/* pipeline/events.c: windows of 1 s, every 500 ms, written as rows of scores. */
#include <math.h>
#include <string.h>

#include "pipeline/events.h"
#include "tests/suite.h"

#define MS INT64_C(1000000)

struct log {
    int count;
    struct events_report reports[64];
};

static void note(const struct events_report *report, void *data)
{
    struct log *log = data;
    ck_assert_int_lt(log->count, 64);
    log->reports[log->count++] = *report;
}

/* Window number i spans [500 i, 500 i + 1000] ms: its centre is 500 i + 500. */
static void push(struct events *events, int i, const float *scores)
{
    struct events_window window = {
        .first_pts_ns = i * 500 * MS,
        .last_pts_ns = (i * 500 + 1000) * MS,
        .frames = 11,
        .scores = scores,
    };
    events_push(events, &window);
}

static void push_all(struct events *events, const float *scores, int count)
{
    for (int i = 0; i < count; i++)
        push(events, i, &scores[i]);
}

static const struct events_rule plain = {.enter = 0.6, .exit = 0.4, .cooldown_ns = 0};

static void expect(const struct log *log, int at, enum record_phase phase, int64_t start_ms,
                   int64_t end_ms, double score)
{
    ck_assert_int_lt(at, log->count);
    const struct events_report *report = &log->reports[at];
    ck_assert_int_eq(report->phase, phase);
    ck_assert_int_eq(report->start_ns, start_ms * MS);
    ck_assert_int_eq(report->end_ns, end_ms < 0 ? RECORD_NO_TIME : end_ms * MS);
    ck_assert_double_eq_tol(report->score, score, 1e-6);
}

START_TEST(an_event_spans_the_centres_of_its_first_and_last_window)
{
    struct log log = {0};
    struct events *events = events_create(&plain, 1, note, &log);
    static const float scores[] = {0.1f, 0.59f, 0.7f, 0.5f, 0.4f, 0.39f, 0.5f};
    push_all(events, scores, 7);
    ck_assert_int_eq(log.count, 3);
    expect(&log, 0, RECORD_STARTED, 1500, -1, 0.7f);
    expect(&log, 1, RECORD_UPDATED, 1500, -1, 0.7f);
    expect(&log, 2, RECORD_ENDED, 1500, 2500, 0.7f);
    ck_assert_int_eq(log.reports[0].pts_ns, 2000 * MS);
    ck_assert_int_eq(log.reports[2].pts_ns, 3500 * MS);
    ck_assert_int_eq(log.reports[2].first_pts_ns, 1000 * MS);
    ck_assert_int_eq(log.reports[2].last_pts_ns, 2000 * MS);
    ck_assert_int_eq(log.reports[2].frames, 11);
    events_destroy(events);
}
END_TEST

START_TEST(a_score_at_a_threshold_counts)
{
    struct log log = {0};
    struct events_rule rule = {.enter = 0.5, .exit = 0.25};
    struct events *events = events_create(&rule, 1, note, &log);
    static const float scores[] = {0.5f, 0.25f, 0.2f};
    push_all(events, scores, 3);
    ck_assert_int_eq(log.count, 2);
    expect(&log, 0, RECORD_STARTED, 500, -1, 0.5);
    expect(&log, 1, RECORD_ENDED, 500, 1000, 0.5);
    events_destroy(events);
}
END_TEST

START_TEST(an_event_knows_nothing_of_the_one_before)
{
    struct log log = {0};
    struct events *events = events_create(&plain, 1, note, &log);
    static const float scores[] = {0.9f, 0, 0.7f, 0};
    push_all(events, scores, 4);
    ck_assert_int_eq(log.count, 4);
    expect(&log, 2, RECORD_STARTED, 1500, -1, 0.7f);
    ck_assert_int_eq(log.reports[2].first_pts_ns, 1000 * MS);
    events_destroy(events);
}
END_TEST

START_TEST(the_evidence_is_the_window_with_the_best_score)
{
    struct log log = {0};
    struct events *events = events_create(&plain, 1, note, &log);
    static const float scores[] = {0.7f, 0.8f, 0.95f, 0.9f, 0.1f};
    push_all(events, scores, 5);
    const struct events_report *last = &log.reports[log.count - 1];
    ck_assert_int_eq(last->phase, RECORD_ENDED);
    ck_assert_double_eq_tol(last->score, 0.95, 1e-6);
    ck_assert_int_eq(last->first_pts_ns, 1000 * MS);
    events_destroy(events);
}
END_TEST

START_TEST(an_event_shorter_than_the_minimum_is_never_announced)
{
    struct log log = {0};
    struct events_rule rule = plain;
    rule.min_duration_ns = 1000 * MS;
    struct events *events = events_create(&rule, 1, note, &log);
    static const float scores[] = {0.9f, 0.9f, 0, 0.9f, 0.9f, 0, 0};
    push_all(events, scores, 7);
    events_flush(events);
    ck_assert_int_eq(log.count, 0);
    events_destroy(events);
}
END_TEST

START_TEST(an_event_is_announced_once_it_has_lasted_and_starts_where_it_began)
{
    struct log log = {0};
    struct events_rule rule = plain;
    rule.min_duration_ns = 1000 * MS;
    struct events *events = events_create(&rule, 1, note, &log);
    static const float scores[] = {0, 0.9f, 0.5f, 0.8f, 0};
    push_all(events, scores, 3);
    ck_assert_int_eq(log.count, 0);
    push(events, 3, &scores[3]);
    expect(&log, 0, RECORD_STARTED, 1000, -1, 0.9f);
    ck_assert_int_eq(log.reports[0].pts_ns, 2500 * MS);
    ck_assert_int_eq(log.reports[0].first_pts_ns, 500 * MS);
    push(events, 4, &scores[4]);
    expect(&log, 1, RECORD_ENDED, 1000, 2000, 0.9f);
    events_destroy(events);
}
END_TEST

START_TEST(a_gap_within_the_cooldown_is_part_of_the_event)
{
    struct log log = {0};
    struct events_rule rule = plain;
    rule.cooldown_ns = 1000 * MS;
    struct events *events = events_create(&rule, 1, note, &log);
    static const float scores[] = {0.9f, 0, 0.45f, 0, 0, 0.9f, 0, 0, 0};
    push_all(events, scores, 4);
    ck_assert_int_eq(log.reports[log.count - 1].phase, RECORD_UPDATED);
    push(events, 4, &scores[4]);
    ck_assert_int_eq(log.reports[log.count - 1].phase, RECORD_UPDATED);
    /* 1.5 s after the last window at exit: the old event ends, a new one starts. */
    push(events, 5, &scores[5]);
    expect(&log, log.count - 2, RECORD_ENDED, 500, 1500, 0.9f);
    expect(&log, log.count - 1, RECORD_STARTED, 3000, -1, 0.9f);
    push(events, 6, &scores[6]);
    push(events, 7, &scores[7]);
    ck_assert_int_eq(log.reports[log.count - 1].phase, RECORD_STARTED);
    push(events, 8, &scores[8]);
    expect(&log, log.count - 1, RECORD_ENDED, 3000, 3000, 0.9f);
    events_destroy(events);
}
END_TEST

START_TEST(updates_come_once_a_second)
{
    struct log log = {0};
    struct events *events = events_create(&plain, 1, note, &log);
    static const float scores[] = {0.9f, 0.9f, 0.9f, 0.9f, 0.9f, 0.9f, 0.9f};
    push_all(events, scores, 7);
    ck_assert_int_eq(log.count, 4);
    for (int i = 1; i < 4; i++) {
        expect(&log, i, RECORD_UPDATED, 500, -1, 0.9f);
        ck_assert_int_eq(log.reports[i].pts_ns, (1000 + i * 1000) * MS);
    }
    events_destroy(events);
}
END_TEST

START_TEST(a_better_score_is_told_sooner_but_not_every_time)
{
    struct log log = {0};
    struct events *events = events_create(&plain, 1, note, &log);
    /* Windows every 100 ms, each a little better. */
    for (int i = 0; i < 6; i++) {
        float score = 0.6f + 0.06f * (float)i;
        struct events_window window = {i * 100 * MS, (i * 100 + 1000) * MS, 11, &score};
        events_push(events, &window);
    }
    ck_assert_int_eq(log.count, 2);
    expect(&log, 1, RECORD_UPDATED, 500, -1, 0.6f + 0.06f * 3);
    ck_assert_int_eq(log.reports[1].pts_ns, 1300 * MS);
    /* A hair better is not worth an update. */
    float score = 0.91f;
    struct events_window window = {700 * MS, 1700 * MS, 11, &score};
    events_push(events, &window);
    score = 0.92f;
    window = (struct events_window){1000 * MS, 2000 * MS, 11, &score};
    events_push(events, &window);
    ck_assert_int_eq(log.count, 3);
    expect(&log, 2, RECORD_UPDATED, 500, -1, 0.91f);
    events_destroy(events);
}
END_TEST

START_TEST(labels_live_apart_and_the_background_makes_no_event)
{
    struct log log = {0};
    struct events_rule rules[3] = {plain, plain, plain};
    rules[0].background = true;
    struct events *events = events_create(rules, 3, note, &log);
    static const float scores[][3] = {{1, 0, 0}, {1, 0.9f, 0}, {1, 0.9f, 0.9f}, {1, 0, 0.9f}};
    for (int i = 0; i < 4; i++)
        push(events, i, scores[i]);
    ck_assert_int_eq(log.count, 3);
    ck_assert_int_eq(log.reports[0].label, 1);
    ck_assert_int_eq(log.reports[1].label, 2);
    expect(&log, 2, RECORD_ENDED, 1000, 1500, 0.9f);
    ck_assert_int_eq(log.reports[2].label, 1);
    events_destroy(events);
}
END_TEST

START_TEST(the_end_of_the_stream_ends_what_is_on)
{
    struct log log = {0};
    struct events_rule rule = plain;
    rule.cooldown_ns = 10000 * MS;
    struct events *events = events_create(&rule, 1, note, &log);
    static const float scores[] = {0.9f, 0.9f, 0};
    push_all(events, scores, 3);
    events_flush(events);
    expect(&log, log.count - 1, RECORD_ENDED, 500, 1000, 0.9f);
    int count = log.count;
    events_flush(events);
    ck_assert_int_eq(log.count, count);
    events_destroy(events);
}
END_TEST

START_TEST(after_a_discontinuity_events_are_held_off_for_one_window)
{
    struct log log = {0};
    struct events *events = events_create(&plain, 1, note, &log);
    static const float high = 0.9f;
    push(events, 0, &high);
    ck_assert_int_eq(log.count, 1);
    events_discontinuity(events);
    expect(&log, 1, RECORD_ENDED, 500, 500, 0.9f);
    /* The first window is 10..11 s; windows 21 and 22 share frames with it (the last, 11 s). */
    push(events, 20, &high);
    push(events, 21, &high);
    push(events, 22, &high);
    ck_assert_int_eq(log.count, 2);
    push(events, 23, &high);
    expect(&log, 2, RECORD_STARTED, 12000, -1, 0.9f);
    events_destroy(events);
}
END_TEST

START_TEST(a_step_back_in_time_after_a_discontinuity_is_fine)
{
    struct log log = {0};
    struct events *events = events_create(&plain, 1, note, &log);
    static const float high = 0.9f;
    push(events, 100, &high);
    events_discontinuity(events);
    for (int i = 0; i < 4; i++)
        push(events, i, &high);
    ck_assert_int_eq(log.count, 3);
    expect(&log, 2, RECORD_STARTED, 2000, -1, 0.9f);
    events_destroy(events);
}
END_TEST

START_TEST(scores_that_are_no_numbers_or_out_of_range_do_no_harm)
{
    struct log log = {0};
    struct events *events = events_create(&plain, 1, note, &log);
    static const float scores[] = {NAN, INFINITY, -INFINITY, NAN};
    push_all(events, scores, 4);
    ck_assert_int_eq(log.count, 2);
    expect(&log, 0, RECORD_STARTED, 1000, -1, 1);
    expect(&log, 1, RECORD_ENDED, 1000, 1000, 1);
    events_destroy(events);
}
END_TEST

START_TEST(is_on_follows_the_last_window)
{
    struct log log = {0};
    struct events_rule rule = plain;
    rule.cooldown_ns = 5000 * MS;
    struct events *events = events_create(&rule, 1, note, &log);
    static const float scores[] = {0, 0.9f, 0.5f, 0.1f, 0.7f};
    static const bool on[] = {false, true, true, false, true};
    for (int i = 0; i < 5; i++) {
        push(events, i, &scores[i]);
        double score = -1;
        ck_assert_int_eq(events_is_on(events, 0, &score), on[i]);
        ck_assert_double_eq_tol(score, on[i] ? scores[i] : -1, 1e-6);
    }
    events_destroy(events);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("events");
    tcase_add_test(all, an_event_spans_the_centres_of_its_first_and_last_window);
    tcase_add_test(all, a_score_at_a_threshold_counts);
    tcase_add_test(all, an_event_knows_nothing_of_the_one_before);
    tcase_add_test(all, the_evidence_is_the_window_with_the_best_score);
    tcase_add_test(all, an_event_shorter_than_the_minimum_is_never_announced);
    tcase_add_test(all, an_event_is_announced_once_it_has_lasted_and_starts_where_it_began);
    tcase_add_test(all, a_gap_within_the_cooldown_is_part_of_the_event);
    tcase_add_test(all, updates_come_once_a_second);
    tcase_add_test(all, a_better_score_is_told_sooner_but_not_every_time);
    tcase_add_test(all, labels_live_apart_and_the_background_makes_no_event);
    tcase_add_test(all, the_end_of_the_stream_ends_what_is_on);
    tcase_add_test(all, after_a_discontinuity_events_are_held_off_for_one_window);
    tcase_add_test(all, a_step_back_in_time_after_a_discontinuity_is_fine);
    tcase_add_test(all, scores_that_are_no_numbers_or_out_of_range_do_no_harm);
    tcase_add_test(all, is_on_follows_the_last_window);
    return suite_run("pipeline/events", &all, 1);
}
