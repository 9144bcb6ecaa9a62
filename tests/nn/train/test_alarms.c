/* Alarms from window scores, and events found by them. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/train/alarms.h"
#include "nn/train/random.h"
#include "pipeline/events.h"
#include "tests/suite.h"

enum { WINDOWS_MAX = 80, LENGTH = 2 };

/* Windows of two seconds, one each second; scores end with a negative one. Returns how many. */
static int windows_of(const float *scores, struct train_window *ret_windows)
{
    int count = 0;
    for (; scores[count] >= 0 || isnan(scores[count]); count++)
        ret_windows[count] = (struct train_window){count, count + LENGTH, scores[count]};
    return count;
}

static int find(const float *scores, const struct train_alarm_rule *rule,
                struct train_alarm *ret_alarms)
{
    struct train_window windows[WINDOWS_MAX];
    struct nn_error err = {""};
    int r = train_alarms_find(windows, windows_of(scores, windows), rule, ret_alarms, &err);
    ck_assert_msg(r >= 0, "%s", err.text);
    return r;
}

static void check_alarm(const struct train_alarm *alarm, double start, double end, double known)
{
    ck_assert_double_eq(alarm->start, start);
    ck_assert_double_eq(alarm->end, end);
    ck_assert_double_eq(alarm->known, known);
}

START_TEST(an_alarm_is_known_when_it_has_lasted)
{
    const float scores[] = {0, .6f, .8f, .6f, .9f, .4f, .9f, .9f, .2f, -1};
    struct train_alarm alarms[WINDOWS_MAX];
    /* Centres are 1, 2, ...; .8 is at 3, and two seconds later it is known, with its last frame. */
    ck_assert_int_eq(find(scores, &(struct train_alarm_rule){.7, .5, 2, 0}, alarms), 1);
    check_alarm(&alarms[0], 3, 5, 6);
    ck_assert_int_eq(find(scores, &(struct train_alarm_rule){.7, .5, 0, 0}, alarms), 2);
    check_alarm(&alarms[0], 3, 5, 4);
    check_alarm(&alarms[1], 7, 8, 8);
    /* One that goes on after a gap. */
    ck_assert_int_eq(find(scores, &(struct train_alarm_rule){.7, .5, 0, 2}, alarms), 1);
    check_alarm(&alarms[0], 3, 8, 4);
    ck_assert_int_eq(find(scores, &(struct train_alarm_rule){.95, .5, 0, 0}, alarms), 0);
}
END_TEST

START_TEST(a_score_without_a_number_is_none)
{
    const float scores[] = {.9f, NAN, .9f, NAN, -1};
    struct train_alarm alarms[WINDOWS_MAX];
    ck_assert_int_eq(find(scores, &(struct train_alarm_rule){.5, .5, 0, 0}, alarms), 2);
    check_alarm(&alarms[1], 3, 3, 4);
}
END_TEST

/* What the daemon would have raised. */
struct raised {
    struct train_alarm alarms[WINDOWS_MAX];
    int count;
};

static void raise_alarm(const struct events_report *report, void *data)
{
    struct raised *raised = data;
    if (report->phase == RECORD_STARTED)
        raised->alarms[raised->count++] = (struct train_alarm){
            .start = (double)report->start_ns, .known = (double)report->pts_ns};
    if (report->phase == RECORD_ENDED)
        raised->alarms[raised->count - 1].end = (double)report->end_ns;
}

START_TEST(alarms_are_those_that_a_stream_is_watched_by)
{
    struct train_random random = train_random_start(8);
    int seen = 0;
    for (int i = 0; i < 2000; i++) {
        const int count = 1 + (int)train_random_below(&random, WINDOWS_MAX);
        const double exit = 0.1 + 0.4 * train_random_uniform(&random);
        const struct events_rule watched = {
            .enter = exit + 0.4 * train_random_uniform(&random),
            .exit = exit,
            .min_duration_ns = (int64_t)train_random_below(&random, 8),
            .cooldown_ns = (int64_t)train_random_below(&random, 8)};
        const struct train_alarm_rule rule = {watched.enter, watched.exit,
                                              (double)watched.min_duration_ns,
                                              (double)watched.cooldown_ns};
        struct raised raised = {.count = 0};
        struct events *events = events_create(&watched, 1, raise_alarm, &raised);
        struct train_window windows[WINDOWS_MAX];
        int64_t at = 0;
        for (int w = 0; w < count; w++) {
            /* An even length, so that centres are whole numbers there too. */
            float score = train_random_uniform_float(&random);
            if (train_random_below(&random, 20) == 0)
                score = NAN;
            at += 1 + (int64_t)train_random_below(&random, 4);
            const int64_t last = at + 4;
            windows[w] = (struct train_window){(double)at, (double)last, score};
            events_push(events, &(struct events_window){at, last, 3, &score});
        }
        events_flush(events);
        events_destroy(events);
        struct train_alarm alarms[WINDOWS_MAX];
        ck_assert_int_eq(train_alarms_find(windows, count, &rule, alarms, NULL), raised.count);
        for (int a = 0; a < raised.count; a++)
            check_alarm(&alarms[a], raised.alarms[a].start, raised.alarms[a].end,
                        raised.alarms[a].known);
        seen += raised.count;
    }
    ck_assert_int_gt(seen, 4000);
}
END_TEST

START_TEST(events_are_found_late_or_missed_and_alarms_are_false)
{
    static const struct train_alarm alarms[] = {
        {10, 14, 12},   /* finds the first event, 3 s late */
        {15, 16, 17},   /* finds it again */
        {30, 40, 31},   /* false: within nothing */
        {50, 70, 52},   /* finds two; the second begins when it is long known */
        {99, 100, 101}, /* false but for the tolerance */
    };
    static const struct train_event events[] = {
        {9, 16}, {48, 55}, {60, 61}, {80, 90}, {102, 110}};
    struct train_event_tally tally = {0};
    double delays[5];
    ck_assert_int_eq(train_event_tally_add(&tally, alarms, 5, events, 5, 1800, 0, delays, NULL),
                     0);
    ck_assert_int_eq(tally.events, 5);
    ck_assert_int_eq(tally.found, 3);
    ck_assert_int_eq(tally.alarms, 5);
    ck_assert_int_eq(tally.false_alarms, 2);
    ck_assert_double_eq(delays[0], 3);
    ck_assert_double_eq(delays[1], 4);
    ck_assert_double_eq(delays[2], 0);
    ck_assert(isnan(delays[3]) && isnan(delays[4]));
    ck_assert_double_eq_tol(train_event_tally_recall(&tally), 0.6, 1e-15);
    ck_assert_double_eq_tol(train_event_tally_precision(&tally), 0.6, 1e-15);
    ck_assert_double_eq_tol(train_event_tally_delay(&tally), 7 / 3.0, 1e-15);
    ck_assert_double_eq(tally.delay_most, 4);
    ck_assert_double_eq(train_event_tally_false_per_hour(&tally), 4);

    /* Another stream, of which nothing is known but its length. */
    ck_assert_int_eq(train_event_tally_add(&tally, NULL, 0, NULL, 0, 5400, 0, NULL, NULL), 0);
    ck_assert_double_eq(train_event_tally_false_per_hour(&tally), 1);

    tally = (struct train_event_tally){0};
    ck_assert_int_eq(train_event_tally_add(&tally, alarms, 5, events, 5, 1800, 2, delays, NULL),
                     0);
    ck_assert_int_eq(tally.found, 4);
    ck_assert_int_eq(tally.false_alarms, 1);
    ck_assert_double_eq(delays[4], 0);
}
END_TEST

START_TEST(nothing_is_no_number)
{
    const struct train_event_tally tally = {0};
    ck_assert(isnan(train_event_tally_recall(&tally)));
    ck_assert(isnan(train_event_tally_precision(&tally)));
    ck_assert(isnan(train_event_tally_delay(&tally)));
    ck_assert(isnan(train_event_tally_false_per_hour(&tally)));
}
END_TEST

START_TEST(times_and_rules_that_are_none_are_refused)
{
    static const struct train_alarm_rule rules[] = {
        {.5, 0, 0, 0}, {.5, .6, 0, 0}, {NAN, .5, 0, 0}, {.5, .5, -1, 0}, {.5, .5, 0, NAN}};
    static const struct train_window bad[][2] = {
        {{0, 2, 0}, {0, 1, 0}}, {{0, 2, 0}, {4, 3, 0}}, {{0, NAN, 0}, {1, 3, 0}}};
    const struct train_window windows[] = {{0, 2, 0}, {1, 3, 0}};
    struct train_alarm alarms[2];
    struct train_event_tally tally = {0};
    struct nn_error err;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        ck_assert_int_eq(train_alarms_find(windows, 2, &rules[i], alarms, &err), -EINVAL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_int_eq(train_alarms_find(bad[i], 2, &(struct train_alarm_rule){.5, .5, 0, 0},
                                           alarms, &err),
                         -EINVAL);
    const struct train_event backwards = {4, 3};
    ck_assert_int_eq(train_event_tally_add(&tally, NULL, 0, &backwards, 1, 9, 0, NULL, &err),
                     -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "event 1 is from 4 to 3 s"));
    ck_assert_int_eq(train_event_tally_add(&tally, NULL, 0, NULL, 0, -1, 0, NULL, &err),
                     -EINVAL);
    ck_assert_int_eq(tally.events, 0);
}
END_TEST

int main(void)
{
    TCase *alarms = tcase_create("alarms");
    tcase_add_test(alarms, an_alarm_is_known_when_it_has_lasted);
    tcase_add_test(alarms, a_score_without_a_number_is_none);
    tcase_add_test(alarms, alarms_are_those_that_a_stream_is_watched_by);
    tcase_add_test(alarms, events_are_found_late_or_missed_and_alarms_are_false);
    tcase_add_test(alarms, nothing_is_no_number);
    tcase_add_test(alarms, times_and_rules_that_are_none_are_refused);
    return suite_run("nn/train/alarms", &alarms, 1);
}
