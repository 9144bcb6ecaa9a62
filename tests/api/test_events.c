/* GET /events: live, resumed, filtered, slow and gone. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "api/events.h"
#include "tests/api/harness.h"

static struct harness harness;

static void set_up(void)
{
    harness_start(&harness, (struct api_server_options){.heartbeat_ms = 60000});
}

static void tear_down(void)
{
    harness_stop(&harness);
}

/* A subscriber whose stream has begun. */
static struct client *subscribe(const char *target, const char *extra)
{
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "GET", target, extra, NULL);
    HARNESS_WAIT(&harness, client->data && strstr(client->data, "retry: 2000\n\n"));
    ck_assert_int_eq(strncmp(client->data, "HTTP/1.1 200", 12), 0);
    ck_assert_ptr_nonnull(strstr(client->data, "Content-Type: text/event-stream\r\n"));
    return client;
}

static int count_ids(const struct client *client)
{
    int64_t ids[8192];
    return client_event_ids(client, ids, 8192);
}

/* Exactly first, first + 1, ... last. */
static void assert_sequence(const struct client *client, int64_t first, int64_t last)
{
    int64_t ids[8192];
    int count = client_event_ids(client, ids, 8192);
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(ids[i], first + i);
    ck_assert_int_eq(count, last - first + 1);
}

static void commit(int count)
{
    for (int i = 0; i < count; i++)
        harness_commit(&harness, "door", "movement");
}

static void commit_and_publish(int count)
{
    for (int i = 0; i < count; i++)
        harness_publish(&harness, harness_commit(&harness, "door", "movement"));
}

START_TEST(an_event_carries_id_type_and_record)
{
    struct client *client = subscribe("/api/v1/events", NULL);
    commit_and_publish(1);
    HARNESS_WAIT(&harness, count_ids(client) == 1);
    char *text = client_decode(client), expected[2048];
    snprintf(expected, sizeof expected,
             "retry: 2000\n\nid: 1\nevent: detection.started\ndata: %s\n\n",
             harness.records[0]);
    ck_assert_str_eq(text, expected);
    free(text);
}
END_TEST

START_TEST(without_an_id_the_stream_begins_with_what_comes_next)
{
    commit(3);
    commit_and_publish(5);
    struct client *client = subscribe("/api/v1/events", NULL);
    commit_and_publish(2);
    HARNESS_WAIT(&harness, count_ids(client) == 2);
    assert_sequence(client, 9, 10);
    ck_assert_int_eq(harness.asked_count, 0);
}
END_TEST

/* The store is at 3 when the daemon starts: the first record it publishes is 4. */
START_TEST(a_subscriber_before_the_first_record_gets_no_history)
{
    commit(3);
    struct client *client = subscribe("/api/v1/events", NULL);
    commit_and_publish(1);
    HARNESS_WAIT(&harness, count_ids(client) == 1);
    assert_sequence(client, 4, 4);
    ck_assert_int_eq(harness.asked_count, 0);
}
END_TEST

START_TEST(a_recent_id_resumes_from_memory)
{
    commit_and_publish(20);
    struct client *client = subscribe("/api/v1/events", "Last-Event-ID: 12\r\n");
    HARNESS_WAIT(&harness, count_ids(client) == 8);
    assert_sequence(client, 13, 20);
    ck_assert_int_eq(harness.asked_count, 0);
}
END_TEST

START_TEST(an_old_id_resumes_from_the_store_and_goes_on_live)
{
    commit(200);
    commit_and_publish(5);
    struct client *client = subscribe("/api/v1/events", "Last-Event-ID: 10\r\n");
    HARNESS_WAIT(&harness, count_ids(client) == 195);
    commit_and_publish(3);
    HARNESS_WAIT(&harness, count_ids(client) == 198);
    assert_sequence(client, 11, 208);
}
END_TEST

START_TEST(the_id_may_come_as_a_parameter_and_the_header_wins)
{
    commit_and_publish(9);
    struct client *client = subscribe("/api/v1/events?last_event_id=7", NULL);
    HARNESS_WAIT(&harness, count_ids(client) == 2);
    assert_sequence(client, 8, 9);
    client = subscribe("/api/v1/events?last_event_id=2", "Last-Event-ID: 7\r\n");
    HARNESS_WAIT(&harness, count_ids(client) == 2);
    assert_sequence(client, 8, 9);
}
END_TEST

START_TEST(id_zero_means_from_the_beginning)
{
    commit(70);
    struct client *client = subscribe("/api/v1/events", "Last-Event-ID: 0\r\n");
    HARNESS_WAIT(&harness, count_ids(client) == 70);
    assert_sequence(client, 1, 70);
}
END_TEST

START_TEST(an_id_from_another_database_counts_as_none)
{
    commit(5);
    struct client *client = subscribe("/api/v1/events", "Last-Event-ID: 900\r\n");
    HARNESS_WAIT(&harness, harness.asked_count == 1);
    ck_assert_int_eq(harness.after, 899);
    commit_and_publish(3);
    HARNESS_WAIT(&harness, count_ids(client) == 3);
    assert_sequence(client, 6, 8);
    client = subscribe("/api/v1/events", "Last-Event-ID: 9223372036854775807\r\n");
    commit_and_publish(2);
    HARNESS_WAIT(&harness, count_ids(client) == 2);
    assert_sequence(client, 9, 10);
}
END_TEST

/* Records are committed and published while a question to the store is on its way, in every
 * order that can happen. */
START_TEST(nothing_is_lost_or_doubled_while_the_store_is_asked)
{
    commit(3);
    commit_and_publish(2); /* memory has 4 and 5 */
    harness.hold = true;
    struct client *client = subscribe("/api/v1/events", "Last-Event-ID: 1\r\n");
    HARNESS_WAIT(&harness, harness.held_count == 1);
    commit_and_publish(2); /* 6, 7: after the question was asked, before it is answered */
    commit(1);             /* 8: in the answer, but not yet published */
    harness_release(&harness);
    HARNESS_WAIT(&harness, count_ids(client) == 7);
    harness_publish(&harness, 8);
    commit_and_publish(1);
    HARNESS_WAIT(&harness, count_ids(client) == 8);
    assert_sequence(client, 2, 9);
}
END_TEST

START_TEST(more_than_memory_holds_may_happen_while_the_store_is_asked)
{
    commit(10);
    harness.hold = true;
    struct client *client = subscribe("/api/v1/events", "Last-Event-ID: 10\r\n");
    HARNESS_WAIT(&harness, harness.held_count == 1);
    harness.hold = false;
    struct api_request *stale = harness.held[0];
    harness.held_count = 0;
    commit_and_publish(API_EVENTS_RING + 100);
    struct record_page empty = {0};
    api_request_reply_page(stale, &empty); /* read before any of them was committed */
    HARNESS_WAIT(&harness, count_ids(client) == API_EVENTS_RING + 100);
    assert_sequence(client, 11, 10 + API_EVENTS_RING + 100);
}
END_TEST

START_TEST(filters_apply_to_what_is_live_and_what_is_replayed)
{
    for (int i = 0; i < 100; i++)
        harness_commit(&harness, i % 10 ? "door" : "yard", "movement");
    struct client *client = subscribe("/api/v1/events?stream=yard", "Last-Event-ID: 0\r\n");
    HARNESS_WAIT(&harness, count_ids(client) == 10);
    /* More than memory holds pass by unwanted: it must not cost a question to the store. */
    int asked = harness.asked_count;
    commit_and_publish(API_EVENTS_RING + 10);
    harness_idle(&harness, 20);
    harness_publish(&harness, harness_commit(&harness, "yard", "lighting"));
    HARNESS_WAIT(&harness, count_ids(client) == 11);
    ck_assert_int_eq(harness.asked_count, asked);
    client = subscribe("/api/v1/events?label=lighting&kind=activity", "Last-Event-ID: 0\r\n");
    HARNESS_WAIT(&harness, count_ids(client) == 1);
    client = subscribe("/api/v1/events?kind=object", "Last-Event-ID: 0\r\n");
    harness_idle(&harness, 50);
    ck_assert_int_eq(count_ids(client), 0);
}
END_TEST

/* Waits until `total` events are there. Counting a long stream takes its time, so it is done
 * only when nothing new has come. */
static void wait_for_all(const struct client *client, int total)
{
    int64_t limit = harness_limit();
    size_t before;
    do {
        ck_assert_msg(harness_now() < limit, "%d of %d", count_ids(client), total);
        before = client->size;
        harness_step(&harness);
    } while (client->size != before || count_ids(client) < total);
}

/* One client does not read; the other gets everything at once. When the slow one reads again
 * memory has moved on, and the store fills in. */
START_TEST(a_slow_reader_delays_nobody_and_misses_nothing)
{
    const int total = 2500;
    harness_stop(&harness);
    harness_start(&harness, (struct api_server_options){.request_deadline_ms = 120000});
    struct client *slow = subscribe("/api/v1/events", NULL);
    struct client *fast = subscribe("/api/v1/events", NULL);
    slow->paused = true;
    for (int sent = 0; sent < total; sent += 100) {
        commit_and_publish(100);
        wait_for_all(fast, sent + 100);
    }
    ck_assert_int_eq(harness.asked_count, 0);
    slow->paused = false;
    wait_for_all(slow, total);
    assert_sequence(slow, 1, total);
    ck_assert_int_gt(harness.asked_count, 0);
}
END_TEST

START_TEST(a_reader_that_takes_nothing_is_closed_at_the_deadline)
{
    harness_stop(&harness);
    harness_start(&harness, (struct api_server_options){.request_deadline_ms = 300});
    struct client *client = subscribe("/api/v1/events", NULL);
    client->paused = true;
    struct api_server_stats stats;
    int64_t begin = harness_now();
    do {
        commit_and_publish(100);
        harness_step(&harness);
        api_server_get_stats(harness.server, &stats);
        ck_assert_int_lt(harness_now() - begin, 20000);
    } while (stats.connections > 0);
    ck_assert_int_eq(stats.deadline_closed, 1);
    ck_assert_int_eq(stats.subscribers, 0);
}
END_TEST

/* Behind all the time, for longer than the deadline, but always taking something. */
START_TEST(a_reader_that_is_slow_but_steady_is_kept)
{
    const int deadline_ms = 3000; /* a busy machine stands still for a second */
    harness_stop(&harness);
    harness_start(&harness, (struct api_server_options){.request_deadline_ms = deadline_ms});
    commit(10000);
    size_t all = 0, taken = 0;
    for (int64_t i = 0; i < harness.record_count; i++)
        all += strlen(harness.records[i]);
    struct client *client = harness_connect(&harness);
    client->paused = true;
    client_request(&harness, client, "GET", "/api/v1/events", "Last-Event-ID: 0\r\n", NULL);
    harness_idle(&harness, 20);
    struct api_server_stats stats;
    for (int64_t begin = harness_now(); harness_now() - begin < 5 * deadline_ms / 2;) {
        char buffer[4096];
        ssize_t size = recv(client->fd, buffer, sizeof buffer, MSG_DONTWAIT);
        ck_assert_int_ne(size, 0);
        taken += size > 0 ? (size_t)size : 0;
        harness_idle(&harness, 20);
        api_server_get_stats(harness.server, &stats);
        ck_assert_int_eq(stats.deadline_closed, 0);
    }
    ck_assert_int_eq(stats.subscribers, 1);
    ck_assert_msg(taken < all, "it was not behind all the time");
}
END_TEST

START_TEST(a_quiet_stream_outlives_the_deadline_by_its_heartbeats)
{
    harness_stop(&harness);
    harness_start(&harness,
                  (struct api_server_options){.request_deadline_ms = 100, .heartbeat_ms = 250});
    int64_t begin = harness_now();
    struct client *client = subscribe("/api/v1/events", NULL);
    for (int beats = 0; beats < 3;) {
        harness_step(&harness);
        ck_assert(!client->closed);
        char *text = client_decode(client);
        beats = 0;
        for (char *at = text; (at = strstr(at, ": heartbeat\n\n")); at++)
            beats++;
        free(text);
    }
    ck_assert_int_ge(harness_now() - begin, 3 * 250);
    commit_and_publish(1);
    HARNESS_WAIT(&harness, count_ids(client) == 1);
}
END_TEST

START_TEST(a_quiet_stream_costs_no_turns)
{
    subscribe("/api/v1/events", NULL);
    harness_idle(&harness, 20);
    int timeout = api_server_timeout_ms(harness.server);
    ck_assert_msg(timeout < 0 || timeout > 50000, "%d", timeout);
}
END_TEST

/* Its place is free at once, not after two heartbeats. */
START_TEST(a_client_that_leaves_is_noticed_at_once)
{
    struct api_server_stats stats;
    struct client *client = subscribe("/api/v1/events", NULL);
    api_server_get_stats(harness.server, &stats);
    ck_assert_int_eq(stats.subscribers, 1);
    client_close(&harness, client);
    HARNESS_WAIT(&harness, (api_server_get_stats(harness.server, &stats), !stats.connections));
    ck_assert_int_eq(stats.subscribers, 0);
}
END_TEST

START_TEST(a_client_may_leave_while_the_store_is_asked)
{
    struct api_server_stats stats;
    commit(5);
    harness.hold = true;
    struct client *client = subscribe("/api/v1/events", "Last-Event-ID: 1\r\n");
    HARNESS_WAIT(&harness, harness.held_count == 1);
    client_close(&harness, client);
    HARNESS_WAIT(&harness, (api_server_get_stats(harness.server, &stats), !stats.connections));
    ck_assert_uint_eq(api_server_pending(harness.server), 1);
    harness_release(&harness);
    ck_assert_uint_eq(api_server_pending(harness.server), 0);
}
END_TEST

START_TEST(a_store_that_fails_ends_the_stream)
{
    commit(5);
    harness.store_fails = true;
    struct client *client = subscribe("/api/v1/events", "Last-Event-ID: 1\r\n");
    HARNESS_WAIT(&harness, strstr(client->data, "\r\n0\r\n\r\n"));
    ck_assert_int_eq(count_ids(client), 0);
}
END_TEST

START_TEST(a_store_full_of_rubbish_ends_the_stream)
{
    commit(2 * API_EVENTS_PAGE);
    for (int64_t i = 0; i < harness.record_count; i++) {
        free(harness.records[i]);
        harness.records[i] = strdup("{}");
    }
    struct client *client = subscribe("/api/v1/events", "Last-Event-ID: 0\r\n");
    HARNESS_WAIT(&harness, strstr(client->data, "\r\n0\r\n\r\n"));
    ck_assert_int_eq(harness.asked_count, 1);
}
END_TEST

START_TEST(text_that_is_no_record_is_refused_and_the_stream_goes_on)
{
    struct client *client = subscribe("/api/v1/events", NULL);
    commit_and_publish(1);
    HARNESS_WAIT(&harness, count_ids(client) == 1);
    harness_commit(&harness, "door", "movement");
    ck_assert_int_lt(api_server_publish(harness.server, 2, "{}"), 0);
    commit_and_publish(1);
    /* What could not be taken from the publisher was read from the store. */
    HARNESS_WAIT(&harness, count_ids(client) == 3);
    assert_sequence(client, 1, 3);
}
END_TEST

START_TEST(many_subscribers_each_get_everything)
{
    struct client *clients[48];
    for (int i = 0; i < 48; i++)
        clients[i] = subscribe("/api/v1/events", NULL);
    struct api_server_stats stats;
    api_server_get_stats(harness.server, &stats);
    ck_assert_int_eq(stats.subscribers, 48);
    commit_and_publish(100);
    for (int i = 0; i < 48; i++) {
        HARNESS_WAIT(&harness, count_ids(clients[i]) == 100);
        assert_sequence(clients[i], 1, 100);
    }
}
END_TEST

START_TEST(a_subscriber_too_many_is_told_so_and_others_are_answered)
{
    struct client *clients[API_SSE_MAX];
    struct response response;
    for (int i = 0; i < API_SSE_MAX; i++)
        clients[i] = subscribe("/api/v1/events", NULL);
    ck_assert_int_eq(harness_ask(&harness, "GET", "/api/v1/events", NULL, NULL, &response),
                     503);
    ck_assert_str_eq(response_code(&response), "subscribers_full");
    ck_assert_ptr_nonnull(response_header(&response, "Retry-After"));
    response_finish(&response);
    ck_assert_int_eq(harness_ask(&harness, "GET", "/livez", NULL, NULL, &response), 200);
    response_finish(&response);
    commit_and_publish(1);
    for (int i = 0; i < API_SSE_MAX; i++)
        HARNESS_WAIT(&harness, count_ids(clients[i]) == 1);
    /* Who leaves makes room. */
    client_close(&harness, clients[0]);
    struct api_server_stats stats;
    HARNESS_WAIT(&harness, (api_server_get_stats(harness.server, &stats),
                            stats.subscribers == API_SSE_MAX - 1));
    subscribe("/api/v1/events", NULL);
}
END_TEST

START_TEST(draining_ends_the_streams)
{
    struct client *live = subscribe("/api/v1/events", NULL);
    commit(2);
    harness.hold = true;
    struct client *asking = subscribe("/api/v1/events", "Last-Event-ID: 1\r\n");
    HARNESS_WAIT(&harness, harness.held_count == 1);
    api_server_drain(harness.server);
    HARNESS_WAIT(&harness, live->closed && asking->closed);
    ck_assert_ptr_nonnull(strstr(live->data, "\r\n0\r\n\r\n"));
    harness_release(&harness);
}
END_TEST

START_TEST(http_1_0_gets_the_stream_without_chunks)
{
    struct client *client = harness_connect(&harness);
    char request[128];
    snprintf(request, sizeof request, "GET /api/v1/events HTTP/1.0\r\nHost: %s\r\n\r\n",
             harness_host(&harness));
    client_send(client, request);
    HARNESS_WAIT(&harness, client->data && strstr(client->data, "\r\n\r\nretry: 2000\n\n"));
    commit_and_publish(1);
    HARNESS_WAIT(&harness, strstr(client->data, "\n\nid: 1\nevent: "));
}
END_TEST

int main(void)
{
    TCase *events = tcase_create("events");
    tcase_set_timeout(events, 120);
    tcase_add_checked_fixture(events, set_up, tear_down);
    tcase_add_test(events, an_event_carries_id_type_and_record);
    tcase_add_test(events, without_an_id_the_stream_begins_with_what_comes_next);
    tcase_add_test(events, a_subscriber_before_the_first_record_gets_no_history);
    tcase_add_test(events, a_recent_id_resumes_from_memory);
    tcase_add_test(events, an_old_id_resumes_from_the_store_and_goes_on_live);
    tcase_add_test(events, the_id_may_come_as_a_parameter_and_the_header_wins);
    tcase_add_test(events, id_zero_means_from_the_beginning);
    tcase_add_test(events, an_id_from_another_database_counts_as_none);
    tcase_add_test(events, nothing_is_lost_or_doubled_while_the_store_is_asked);
    tcase_add_test(events, more_than_memory_holds_may_happen_while_the_store_is_asked);
    tcase_add_test(events, filters_apply_to_what_is_live_and_what_is_replayed);
    tcase_add_test(events, a_slow_reader_delays_nobody_and_misses_nothing);
    tcase_add_test(events, a_reader_that_takes_nothing_is_closed_at_the_deadline);
    tcase_add_test(events, a_reader_that_is_slow_but_steady_is_kept);
    tcase_add_test(events, a_quiet_stream_outlives_the_deadline_by_its_heartbeats);
    tcase_add_test(events, a_quiet_stream_costs_no_turns);
    tcase_add_test(events, a_client_that_leaves_is_noticed_at_once);
    tcase_add_test(events, a_client_may_leave_while_the_store_is_asked);
    tcase_add_test(events, a_store_that_fails_ends_the_stream);
    tcase_add_test(events, a_store_full_of_rubbish_ends_the_stream);
    tcase_add_test(events, text_that_is_no_record_is_refused_and_the_stream_goes_on);
    tcase_add_test(events, many_subscribers_each_get_everything);
    tcase_add_test(events, a_subscriber_too_many_is_told_so_and_others_are_answered);
    tcase_add_test(events, draining_ends_the_streams);
    tcase_add_test(events, http_1_0_gets_the_stream_without_chunks);
    return suite_run("api/events", &events, 1);
}
