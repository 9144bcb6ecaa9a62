/* GET /jobs/{id}/events: from the beginning, resumed, slow, over and gone. */
#include <stdlib.h>
#include <string.h>

#include "api/progress.h"
#include "api/sse.h"
#include "tests/api/harness.h"

#define ID     "01KAGXQ7P8V5T3N2M1K0J9H8G7"
#define OTHER  "01KAGXQ7P8V5T3N2M1K0J9H8G8"
#define TARGET "/api/v1/jobs/" ID "/events"

static struct harness harness;

static void set_up(void)
{
    harness_start(&harness, (struct api_server_options){.heartbeat_ms = 60000});
}

static void tear_down(void)
{
    harness_stop(&harness);
}

static struct client *follow(const char *extra)
{
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "GET", TARGET, extra, NULL);
    HARNESS_WAIT(&harness, client->data && strstr(client->data, "retry: 2000\n\n"));
    ck_assert_int_eq(strncmp(client->data, "HTTP/1.1 200", 12), 0);
    ck_assert_ptr_nonnull(strstr(client->data, "Content-Type: text/event-stream\r\n"));
    return client;
}

static int count_ids(const struct client *client)
{
    int64_t ids[1024];
    return client_event_ids(client, ids, 1024);
}

static void assert_sequence(const struct client *client, int64_t first, int64_t last)
{
    int64_t ids[1024];
    int count = client_event_ids(client, ids, 1024);
    ck_assert_int_eq(count, last - first + 1);
    for (int i = 0; i < count; i++)
        ck_assert_int_eq(ids[i], first + i);
}

/* So many events more. */
static void happen(int count)
{
    harness.job_events += count;
    api_server_job_changed(harness.server, ID);
}

START_TEST(all_that_is_known_comes_first_and_then_what_happens)
{
    harness.job_events = 2;
    struct client *client = follow(NULL);
    HARNESS_WAIT(&harness, count_ids(client) == 2);
    happen(1);
    HARNESS_WAIT(&harness, count_ids(client) == 3);
    char *text = client_decode(client);
    ck_assert_str_eq(text, "retry: 2000\n\nid: 1\nevent: job.progress\ndata: {\"epoch\":1}\n\n"
                           "id: 2\nevent: job.progress\ndata: {\"epoch\":2}\n\n"
                           "id: 3\nevent: job.progress\ndata: {\"epoch\":3}\n\n");
    free(text);
}
END_TEST

START_TEST(an_id_resumes_behind_it)
{
    harness.job_events = 9;
    struct client *client = follow("Last-Event-ID: 6\r\n");
    HARNESS_WAIT(&harness, count_ids(client) == 3);
    assert_sequence(client, 7, 9);
}
END_TEST

START_TEST(more_than_a_page_comes_whole)
{
    harness.job_events = 3 * API_PROGRESS_PAGE + 5;
    struct client *client = follow(NULL);
    HARNESS_WAIT(&harness, count_ids(client) == harness.job_events);
    assert_sequence(client, 1, harness.job_events);
}
END_TEST

START_TEST(what_happens_while_the_backend_is_asked_is_not_missed)
{
    harness.job_events = 1;
    struct client *client = follow(NULL);
    HARNESS_WAIT(&harness, count_ids(client) == 1);
    harness.hold = true;
    happen(1);
    HARNESS_WAIT(&harness, harness.held_count == 1);
    happen(1);
    harness.hold = false;
    harness_release(&harness);
    HARNESS_WAIT(&harness, count_ids(client) == 3);
    assert_sequence(client, 1, 3);
}
END_TEST

START_TEST(the_news_of_another_job_are_none)
{
    follow(NULL);
    harness_idle(&harness, 20);
    int asked = harness.asked_count;
    api_server_job_changed(harness.server, OTHER);
    harness_idle(&harness, 50);
    ck_assert_int_eq(harness.asked_count, asked);
}
END_TEST

START_TEST(the_stream_ends_with_the_job)
{
    harness.job_events = 1;
    struct client *client = follow(NULL);
    HARNESS_WAIT(&harness, count_ids(client) == 1);
    harness.job_over = true;
    happen(1);
    HARNESS_WAIT(&harness, strstr(client->data, "\r\n0\r\n\r\n"));
    assert_sequence(client, 1, 2);
}
END_TEST

START_TEST(who_has_seen_the_end_is_told_to_stop)
{
    harness.job_events = 4;
    harness.job_over = true;
    struct response response;
    ck_assert_int_eq(
        harness_ask(&harness, "GET", TARGET, "Last-Event-ID: 4\r\n", NULL, &response), 204);
    response_finish(&response);
    ck_assert_int_eq(
        harness_ask(&harness, "GET", TARGET "?last_event_id=4", NULL, NULL, &response), 204);
    response_finish(&response);
}
END_TEST

START_TEST(an_unknown_job_is_told_so)
{
    harness.job_gone = true;
    struct response response;
    ck_assert_int_eq(harness_ask(&harness, "GET", TARGET, NULL, NULL, &response), 404);
    ck_assert_str_eq(response_code(&response), "job_unknown");
    response_finish(&response);
}
END_TEST

START_TEST(a_job_that_is_forgotten_ends_its_streams)
{
    harness.job_events = 1;
    struct client *client = follow(NULL);
    HARNESS_WAIT(&harness, count_ids(client) == 1);
    harness.job_gone = true;
    api_server_job_changed(harness.server, ID);
    HARNESS_WAIT(&harness, strstr(client->data, "\r\n0\r\n\r\n"));
    assert_sequence(client, 1, 1);
}
END_TEST

START_TEST(a_client_that_leaves_while_the_backend_is_asked_harms_nobody)
{
    harness.hold = true;
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "GET", TARGET, NULL, NULL);
    HARNESS_WAIT(&harness, harness.held_count == 1);
    client_close(&harness, client);
    harness_idle(&harness, 50);
    harness.hold = false;
    harness_release(&harness);
    struct api_server_stats stats;
    HARNESS_WAIT(&harness,
                 (api_server_get_stats(harness.server, &stats), stats.subscribers == 0));
    ck_assert_uint_eq(api_server_pending(harness.server), 0);
}
END_TEST

START_TEST(draining_ends_streams_that_run_and_refuses_those_that_wait)
{
    harness.job_events = 1;
    struct client *client = follow(NULL);
    HARNESS_WAIT(&harness, count_ids(client) == 1);
    harness.hold = true;
    struct client *waiting = harness_connect(&harness);
    client_request(&harness, waiting, "GET", TARGET, NULL, NULL);
    HARNESS_WAIT(&harness, harness.held_count == 1);
    api_server_drain(harness.server);
    HARNESS_WAIT(&harness, client->closed);
    HARNESS_WAIT(&harness, waiting->data && strstr(waiting->data, "\r\n\r\n"));
    ck_assert_int_eq(strncmp(waiting->data, "HTTP/1.1 503", 12), 0);
    harness.hold = false;
    harness_release(&harness);
}
END_TEST

START_TEST(an_id_that_is_none_is_refused)
{
    struct response response;
    ck_assert_int_eq(
        harness_ask(&harness, "GET", TARGET, "Last-Event-ID: x\r\n", NULL, &response), 400);
    ck_assert_str_eq(response_code(&response), "header_invalid");
    response_finish(&response);
    ck_assert_int_eq(
        harness_ask(&harness, "GET", "/api/v1/jobs/door/events", NULL, NULL, &response), 400);
    ck_assert_str_eq(response_code(&response), "name_invalid");
    response_finish(&response);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("progress");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, all_that_is_known_comes_first_and_then_what_happens);
    tcase_add_test(tc, an_id_resumes_behind_it);
    tcase_add_test(tc, more_than_a_page_comes_whole);
    tcase_add_test(tc, what_happens_while_the_backend_is_asked_is_not_missed);
    tcase_add_test(tc, the_news_of_another_job_are_none);
    tcase_add_test(tc, the_stream_ends_with_the_job);
    tcase_add_test(tc, who_has_seen_the_end_is_told_to_stop);
    tcase_add_test(tc, an_unknown_job_is_told_so);
    tcase_add_test(tc, a_job_that_is_forgotten_ends_its_streams);
    tcase_add_test(tc, a_client_that_leaves_while_the_backend_is_asked_harms_nobody);
    tcase_add_test(tc, draining_ends_streams_that_run_and_refuses_those_that_wait);
    tcase_add_test(tc, an_id_that_is_none_is_refused);
    return suite_run("api/progress", &tc, 1);
}
