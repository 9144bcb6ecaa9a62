/* pipeline/report.c: what a status says of connections, present and past. */
#include <string.h>

#include "pipeline/report.h"
#include "tests/suite.h"

#define S LIFECYCLE_SECOND

static struct report report;
static struct lifecycle life;
static struct tail_counters counters;
static const struct message_stream_status *status;

static void begin(void)
{
    report_init(&report, "door", 100 * S);
    lifecycle_init(&life, true, false, 7, 100 * S);
    memset(&counters, 0, sizeof counters);
    counters.latency_ms = counters.latency_p50_ms = counters.latency_p99_ms = -1;
    status = &report.message.status;
}

static struct connection_facts facts_at(int64_t now)
{
    struct connection_facts facts = {
        .session = now,
        .first_packet = now + S / 10,
        .first_key = now + S / 5,
        .codec = "h264",
        .width = 640,
        .height = 360,
        .last_damage = -1,
    };
    coded_init(&facts.coded);
    return facts;
}

START_TEST(a_connection_that_was_over_before_a_status_was_due_is_still_told)
{
    report_connect(&report, 100 * S);
    struct connection_facts facts = facts_at(100 * S);
    facts.damaged = 3;
    report_disconnect(&report, &facts);
    counters.received = 57;
    report_make(&report, &life, STREAM_ENDED, NULL, &counters, 101 * S);
    ck_assert_str_eq(status->codec, "h264");
    ck_assert_int_eq(status->width, 640);
    ck_assert_int_eq(status->first_key_ms - status->connected_ms, 200);
    ck_assert_int_eq(status->damaged, 3);
    ck_assert_int_eq(status->received, 60);
}
END_TEST

START_TEST(what_is_counted_goes_on_over_connections)
{
    struct connection_facts facts = facts_at(100 * S);
    for (int connection = 1; connection <= 3; connection++) {
        facts.damaged = 2;
        facts.decode_cpu_ns = 5000000;
        memset(&facts.decode, 0, sizeof facts.decode);
        histogram_add(&facts.decode, 0.004);
        histogram_add(&facts.decode, 0.002);
        report_connect(&report, connection * 100 * S);
        report_make(&report, &life, STREAM_LIVE, &facts, &counters, 101 * S);
        ck_assert_int_eq(status->damaged, 2 * connection);
        ck_assert_int_eq(histogram_count(&status->decode), 2 * connection);
        ck_assert_double_eq_tol(status->decode_ms, 3, 1e-9);
        ck_assert_double_eq_tol(status->decode_cpu_ms, 5 * connection, 1e-9);
        report_disconnect(&report, &facts);
        report_make(&report, &life, STREAM_BACKOFF, NULL, &counters, 101 * S);
        ck_assert_int_eq(status->damaged, 2 * connection);
        ck_assert_int_eq(histogram_count(&status->decode), 2 * connection);
    }
}
END_TEST

START_TEST(a_state_begins_when_it_is_first_told)
{
    report_make(&report, &life, STREAM_CONNECTING, NULL, &counters, 100 * S);
    int64_t since = status->since_ms;
    ck_assert_int_ne(since, RECORD_NO_TIME);
    report.message.status.since_ms -= 5000; /* as if it had been five seconds ago */
    report_make(&report, &life, STREAM_CONNECTING, NULL, &counters, 105 * S);
    ck_assert_int_eq(status->since_ms, since - 5000);
    report_make(&report, &life, STREAM_LIVE, NULL, &counters, 106 * S);
    ck_assert_int_ge(status->since_ms, since);
}
END_TEST

START_TEST(a_sentence_stays_until_the_stream_is_live)
{
    report_explain(&report, "the camera sends nothing");
    report_make(&report, &life, STREAM_STALLED, NULL, &counters, 100 * S);
    report_make(&report, &life, STREAM_BACKOFF, NULL, &counters, 101 * S);
    ck_assert_str_eq(status->detail, "the camera sends nothing");
    report_make(&report, &life, STREAM_LIVE, NULL, &counters, 102 * S);
    ck_assert_str_eq(status->detail, "");
}
END_TEST

START_TEST(a_caution_is_told_of_a_stream_that_is_well)
{
    report_caution(&report, "scores are odd");
    report_explain(&report, "This file contains no playable streams.");
    report_make(&report, &life, STREAM_BACKOFF, NULL, &counters, 100 * S);
    ck_assert_str_eq(status->detail, "This file contains no playable streams");
    report_make(&report, &life, STREAM_LIVE, NULL, &counters, 101 * S);
    ck_assert_str_eq(status->detail, "scores are odd");
    report_explain(&report, "the camera sends nothing");
    report_make(&report, &life, STREAM_STALLED, NULL, &counters, 102 * S);
    ck_assert_str_eq(status->detail, "the camera sends nothing");
    report_make(&report, &life, STREAM_ENDED, NULL, &counters, 103 * S);
    ck_assert_str_eq(status->detail, "scores are odd");
}
END_TEST

START_TEST(damage_and_drops_are_flagged_for_five_seconds)
{
    struct connection_facts facts = facts_at(100 * S);
    facts.last_damage = 103 * S;
    counters.dropped = 1;
    report_make(&report, &life, STREAM_LIVE, &facts, &counters, 104 * S);
    ck_assert(status->degraded && status->overloaded);
    report_make(&report, &life, STREAM_LIVE, &facts, &counters, 107 * S);
    ck_assert(status->degraded && status->overloaded);
    report_make(&report, &life, STREAM_LIVE, &facts, &counters, 108 * S + S / 2);
    ck_assert(!status->degraded && status->overloaded);
    report_make(&report, &life, STREAM_LIVE, &facts, &counters, 109 * S);
    ck_assert(!status->overloaded);
}
END_TEST

START_TEST(the_rate_is_that_of_the_last_two_seconds_of_a_live_stream)
{
    counters.received = 30;
    report_make(&report, &life, STREAM_LIVE, NULL, &counters, 102 * S);
    ck_assert_double_eq_tol(status->fps, 15, 1e-9);
    counters.received = 50;
    report_make(&report, &life, STREAM_LIVE, NULL, &counters, 103 * S);
    ck_assert_double_eq_tol(status->fps, 15, 1e-9);
    report_make(&report, &life, STREAM_LIVE, NULL, &counters, 104 * S);
    ck_assert_double_eq_tol(status->fps, 10, 1e-9);
    report_make(&report, &life, STREAM_STALLED, NULL, &counters, 105 * S);
    ck_assert_double_eq(status->fps, 0);
}
END_TEST

START_TEST(news_are_a_change_of_state_and_the_first_signs_of_a_connection)
{
    struct connection_facts facts = facts_at(100 * S);
    facts.first_packet = facts.first_key = -1;
    report_connect(&report, 100 * S);
    report_make(&report, &life, STREAM_CONNECTING, &facts, &counters, 100 * S);
    ck_assert(!report_is_due(&report, &life, STREAM_CONNECTING, &facts));
    facts.first_packet = 101 * S;
    ck_assert(report_is_due(&report, &life, STREAM_CONNECTING, &facts));
    report_make(&report, &life, STREAM_CONNECTING, &facts, &counters, 101 * S);
    ck_assert(!report_is_due(&report, &life, STREAM_CONNECTING, &facts));
    facts.first_key = 102 * S;
    ck_assert(report_is_due(&report, &life, STREAM_CONNECTING, &facts));
    report_make(&report, &life, STREAM_CONNECTING, &facts, &counters, 102 * S);
    ck_assert(report_is_due(&report, &life, STREAM_LIVE, &facts));
    life.reason = REASON_REFUSED;
    ck_assert(report_is_due(&report, &life, STREAM_CONNECTING, &facts));
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("report");
    tcase_add_checked_fixture(all, begin, NULL);
    tcase_add_test(all, a_connection_that_was_over_before_a_status_was_due_is_still_told);
    tcase_add_test(all, what_is_counted_goes_on_over_connections);
    tcase_add_test(all, a_state_begins_when_it_is_first_told);
    tcase_add_test(all, a_sentence_stays_until_the_stream_is_live);
    tcase_add_test(all, a_caution_is_told_of_a_stream_that_is_well);
    tcase_add_test(all, damage_and_drops_are_flagged_for_five_seconds);
    tcase_add_test(all, the_rate_is_that_of_the_last_two_seconds_of_a_live_stream);
    tcase_add_test(all, news_are_a_change_of_state_and_the_first_signs_of_a_connection);
    return suite_run("pipeline/report", &all, 1);
}
