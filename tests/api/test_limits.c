/* What a client may not exceed: sizes, time, connections. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/body.h"
#include "api/target.h"
#include "tests/api/harness.h"

#define DEADLINE_MS 400

static struct harness harness;

static void set_up(void)
{
    harness_start(&harness, (struct api_server_options){0});
}

static void set_up_short(void)
{
    harness_start(&harness, (struct api_server_options){.request_deadline_ms = DEADLINE_MS});
}

static void tear_down(void)
{
    harness_stop(&harness);
}

static void assert_refused(struct client *client, int status, const char *code)
{
    struct response response;
    client_receive(&harness, client, false, &response);
    ck_assert_int_eq(response.status, status);
    ck_assert_str_eq(response_code(&response), code);
    response_finish(&response);
    HARNESS_WAIT(&harness, client->closed);
}

/* --- sizes ------------------------------------------------------------------------------ */

START_TEST(a_target_of_two_kibibytes_is_taken_and_one_byte_more_is_not)
{
    char target[API_TARGET_MAX + 2];
    struct response response;
    memset(target, 'a', sizeof target);
    memcpy(target, "/", 1);
    target[API_TARGET_MAX] = '\0';
    ck_assert_int_eq(harness_ask(&harness, "GET", target, NULL, NULL, &response), 404);
    response_finish(&response);
    target[API_TARGET_MAX] = 'a';
    target[API_TARGET_MAX + 1] = '\0';
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "GET", target, NULL, NULL);
    assert_refused(client, 414, "uri_too_long");
}
END_TEST

START_TEST(headers_over_the_pool_are_refused)
{
    char *extra = malloc(40000);
    memset(extra, 'x', 40000);
    memcpy(extra, "X: ", 3);
    memcpy(extra + 39997, "\r\n", 3);
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "GET", "/livez", extra, NULL);
    HARNESS_WAIT(&harness, client->closed);
    if (client->data)
        ck_assert_int_eq(strncmp(client->data, "HTTP/1.1 431", 12), 0);
    free(extra);
}
END_TEST

START_TEST(a_target_without_end_is_refused)
{
    char *rubbish = malloc(40001);
    memset(rubbish, 'x', 40000);
    rubbish[40000] = '\0';
    struct client *client = harness_connect(&harness);
    client_send(client, "GET /");
    client_send(client, rubbish);
    HARNESS_WAIT(&harness, client->closed);
    if (client->data)
        ck_assert_int_eq(strncmp(client->data, "HTTP/1.1 414", 12), 0);
    free(rubbish);
}
END_TEST

/* A JSON object of exactly `size` bytes. Caller frees. */
static char *make_body(size_t size)
{
    char *body = malloc(size + 1);
    memset(body, ' ', size);
    body[0] = '{';
    body[size - 1] = '}';
    body[size] = '\0';
    return body;
}

START_TEST(a_body_of_64_kibibytes_is_taken)
{
    char *body = make_body(API_BODY_MAX);
    struct response response;
    ck_assert_int_eq(harness_ask(&harness, "PUT", "/api/v1/streams/a", NULL, body, &response),
                     201);
    response_finish(&response);
    free(body);
}
END_TEST

START_TEST(a_larger_body_is_refused_before_it_is_sent)
{
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "PUT", "/api/v1/streams/a",
                   "Content-Type: application/json\r\nContent-Length: 10000000000\r\n", NULL);
    assert_refused(client, 413, "body_too_large");
    client = harness_connect(&harness);
    client_request(&harness, client, "PUT", "/api/v1/streams/a",
                   "Content-Type: application/json\r\nContent-Length: 65537\r\n"
                   "Expect: 100-continue\r\n",
                   NULL);
    assert_refused(client, 413, "body_too_large");
}
END_TEST

START_TEST(a_chunked_body_without_end_is_refused_at_64_kibibytes)
{
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "PUT", "/api/v1/streams/a",
                   "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n", NULL);
    char chunk[1024 + 8];
    memcpy(chunk, "400\r\n", 5);
    memset(chunk + 5, ' ', 1024);
    memcpy(chunk + 5 + 1024, "\r\n", 3);
    size_t sent = 0;
    while (!client->closed && client->size == 0) {
        ck_assert_uint_lt(sent, (size_t)16 << 20);
        client_send_bytes(client, chunk, 5 + 1024 + 2);
        sent += 1024;
        harness_step(&harness);
    }
    assert_refused(client, 413, "body_too_large");
    ck_assert_int_eq(harness.asked_count, 0);
    struct api_server_stats stats;
    api_server_get_stats(harness.server, &stats);
    ck_assert_int_eq(stats.responses[4], 1);
}
END_TEST

START_TEST(a_client_that_waits_for_100_continue_gets_it)
{
    struct response response;
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "PUT", "/api/v1/streams/a",
                   "Content-Type: application/json\r\nContent-Length: 2\r\n"
                   "Expect: 100-continue\r\n",
                   NULL);
    client_receive(&harness, client, true, &response);
    ck_assert_int_eq(response.status, 100);
    response_finish(&response);
    client_send(client, "{}");
    client_receive(&harness, client, false, &response);
    ck_assert_int_eq(response.status, 201);
    response_finish(&response);
}
END_TEST

/* --- time ------------------------------------------------------------------------------- */

static void assert_cut_off(struct client *client, int64_t begin)
{
    HARNESS_WAIT(&harness, client->closed);
    int64_t lasted = harness_now() - begin;
    ck_assert_msg(lasted >= DEADLINE_MS - 50, "%d ms", (int)lasted);
#if !defined(__SANITIZE_ADDRESS__)
    ck_assert_msg(lasted < DEADLINE_MS + 500, "%d ms", (int)lasted);
#endif
}

static void drip(struct client *client, const char *text)
{
    int64_t begin = harness_now(), next = begin;
    while (!client->closed) {
        ck_assert_int_lt(harness_now() - begin, 20 * DEADLINE_MS);
        if (harness_now() >= next && *text) {
            client_send_bytes(client, text++, 1);
            next = harness_now() + DEADLINE_MS / 10;
        }
        harness_step(&harness);
    }
    assert_cut_off(client, begin);
}

START_TEST(a_request_line_that_drips_is_cut_off)
{
    drip(harness_connect(&harness),
         "GET /livez?aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
}
END_TEST

START_TEST(headers_that_drip_are_cut_off)
{
    struct client *client = harness_connect(&harness);
    client_send(client, "GET /livez HTTP/1.1\r\n");
    drip(client, "X-A: 1\r\nX-B: 2\r\nX-C: 3\r\nX-D: 4\r\nX-E: 5\r\nX-F: 6\r\nX-G: 7\r\n");
    struct api_server_stats stats;
    api_server_get_stats(harness.server, &stats);
    ck_assert_int_eq(stats.deadline_closed, 1);
}
END_TEST

START_TEST(a_body_that_drips_is_cut_off)
{
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "PUT", "/api/v1/streams/a",
                   "Content-Type: application/json\r\nContent-Length: 100\r\n", NULL);
    drip(client, "{                                                                    ");
    ck_assert_int_eq(harness.asked_count, 0);
}
END_TEST

START_TEST(a_reader_that_does_not_read_is_cut_off)
{
    struct client *client = harness_connect(&harness);
    client->paused = true;
    client_request(&harness, client, "GET", "/api/v1/streams/big/snapshot.jpg", NULL, NULL);
    int64_t begin = harness_now();
    struct api_server_stats stats;
    HARNESS_WAIT(&harness,
                 (api_server_get_stats(harness.server, &stats), stats.deadline_closed == 1));
    HARNESS_WAIT(&harness,
                 (api_server_get_stats(harness.server, &stats), stats.connections == 0));
    ck_assert_int_ge(harness_now() - begin, DEADLINE_MS - 50);
}
END_TEST

/* One that reads a little at a time is no better. */
START_TEST(a_reader_that_sips_is_cut_off)
{
    struct client *client = harness_connect(&harness);
    client->paused = true;
    client_request(&harness, client, "GET", "/api/v1/streams/big/snapshot.jpg", NULL, NULL);
    struct api_server_stats stats = {0};
    int64_t begin = harness_now();
    while (stats.deadline_closed == 0) {
        char sip[64];
        ck_assert_int_lt(harness_now() - begin, 20 * DEADLINE_MS);
        recv(client->fd, sip, sizeof sip, MSG_DONTWAIT);
        harness_step(&harness);
        api_server_get_stats(harness.server, &stats);
    }
    ck_assert_int_ge(harness_now() - begin, DEADLINE_MS - 50);
}
END_TEST

START_TEST(a_silent_connection_is_closed)
{
    struct client *client = harness_connect(&harness);
    assert_cut_off(client, harness_now());
    ck_assert_uint_eq(client->size, 0);
}
END_TEST

START_TEST(a_connection_that_rests_between_requests_is_closed)
{
    struct response response;
    struct client *client = harness_connect(&harness);
    harness_idle(&harness, DEADLINE_MS / 2);
    client_request(&harness, client, "GET", "/livez", NULL, NULL);
    client_receive(&harness, client, false, &response);
    response_finish(&response);
    assert_cut_off(client, harness_now());
}
END_TEST

START_TEST(a_connection_that_is_used_stays_longer_than_one_deadline)
{
    struct response response;
    struct client *client = harness_connect(&harness);
    for (int i = 0; i < 5; i++) {
        client_request(&harness, client, "GET", "/livez", NULL, NULL);
        client_receive(&harness, client, false, &response);
        ck_assert_int_eq(response.status, 200);
        response_finish(&response);
        harness_idle(&harness, DEADLINE_MS / 2);
    }
    ck_assert(!client->closed);
}
END_TEST

START_TEST(a_connections_rest_does_not_count_against_its_next_request)
{
    struct response response;
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "GET", "/livez", NULL, NULL);
    client_receive(&harness, client, false, &response);
    response_finish(&response);
    harness_idle(&harness, DEADLINE_MS * 3 / 4);
    harness.hold = true;
    client_request(&harness, client, "GET", "/api/v1/streams", NULL, NULL);
    harness_idle(&harness, DEADLINE_MS / 2);
    harness_release(&harness);
    client_receive(&harness, client, false, &response);
    ck_assert_int_eq(response.status, 200);
    response_finish(&response);
}
END_TEST

START_TEST(a_backend_that_does_not_answer_in_time_gives_504)
{
    struct response response;
    harness.hold = true;
    int64_t begin = harness_now();
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "GET", "/api/v1/streams", NULL, NULL);
    client_receive(&harness, client, false, &response);
    ck_assert_int_eq(response.status, 504);
    ck_assert_str_eq(response_code(&response), "deadline_passed");
    ck_assert_int_ge(harness_now() - begin, DEADLINE_MS - 50);
    response_finish(&response);
    /* The connection goes on; the late answer goes nowhere, not to the next request. */
    ck_assert_uint_eq(api_server_pending(harness.server), 1);
    client_request(&harness, client, "GET", "/livez", NULL, NULL);
    harness_release(&harness);
    client_receive(&harness, client, false, &response);
    ck_assert_str_eq(response.body, "{\"status\":\"alive\"}");
    response_finish(&response);
    harness_idle(&harness, 20);
    ck_assert_uint_eq(client->size, 0);
    ck_assert_uint_eq(api_server_pending(harness.server), 0);
}
END_TEST

START_TEST(slow_clients_do_not_keep_others_out)
{
    struct response response;
    for (int i = 0; i < 16; i++)
        client_send(harness_connect(&harness), "GET /livez HTTP/1.1\r\nX:");
    ck_assert_int_eq(harness_ask(&harness, "GET", "/livez", NULL, NULL, &response), 200);
    response_finish(&response);
    struct api_server_stats stats;
    HARNESS_WAIT(&harness,
                 (api_server_get_stats(harness.server, &stats), stats.deadline_closed == 16));
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "GET", "/livez", NULL, NULL);
    client_receive(&harness, client, false, &response);
    ck_assert_int_eq(response.status, 200);
    response_finish(&response);
}
END_TEST

/* --- connections ------------------------------------------------------------------------ */

/* All clients of a proxy have the proxy's. */
START_TEST(one_address_may_have_nearly_all_connections)
{
    enum { COUNT = 250 };
    struct response response;
    struct client *clients[COUNT];
    for (int i = 0; i < COUNT; i++) {
        clients[i] = harness_connect(&harness);
        client_request(&harness, clients[i], "GET", "/livez", NULL, NULL);
        client_receive(&harness, clients[i], false, &response);
        ck_assert_int_eq(response.status, 200);
        response_finish(&response);
    }
    for (int i = 0; i < COUNT; i++)
        ck_assert(!clients[i]->closed);
}
END_TEST

START_TEST(the_two_hundred_and_fifty_seventh_connection_waits_for_its_turn)
{
    struct api_server_stats stats;
    for (int i = 0; i < 256; i++) {
        harness_connect(&harness);
        harness_step(&harness); /* the listener's backlog is shorter than that */
    }
    HARNESS_WAIT(&harness,
                 (api_server_get_stats(harness.server, &stats), stats.connections == 256));
    struct client *waiting = harness_connect(&harness);
    client_request(&harness, waiting, "GET", "/livez", NULL, NULL);
    harness_idle(&harness, 50);
    ck_assert(!waiting->closed);
    ck_assert_uint_eq(waiting->size, 0);
    client_close(&harness, harness.clients[0]);
    struct response response;
    client_receive(&harness, waiting, false, &response);
    ck_assert_int_eq(response.status, 200);
    response_finish(&response);
}
END_TEST

START_TEST(a_connection_serves_one_request_after_another)
{
    struct response response;
    struct client *client = harness_connect(&harness);
    static const char *const targets[] = {"/livez", "/nowhere", "/api/v1/streams/none",
                                          "/api/v1/detections?limit=0", "/livez"};
    static const int statuses[] = {200, 404, 404, 400, 200};
    for (int i = 0; i < 5; i++) {
        client_request(&harness, client, "GET", targets[i], NULL, NULL);
        client_receive(&harness, client, false, &response);
        ck_assert_int_eq(response.status, statuses[i]);
        response_finish(&response);
    }
    client_request(&harness, client, "PUT", "/api/v1/streams/a", NULL, "{}");
    client_receive(&harness, client, false, &response);
    ck_assert_int_eq(response.status, 201);
    response_finish(&response);
    ck_assert(!client->closed);
    struct api_server_stats stats;
    api_server_get_stats(harness.server, &stats);
    ck_assert_int_eq(stats.requests, 6);
    ck_assert_int_eq(stats.responses[2], 3);
    ck_assert_int_eq(stats.responses[4], 3);
    ck_assert_int_eq(stats.connections, 1);
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
    struct response response;
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "GET", "/livez", NULL, NULL);
    client_request(&harness, client, "PUT", "/api/v1/streams/a", NULL, "{\"n\":1}");
    client_request(&harness, client, "GET", "/nowhere", NULL, NULL);
    client_request(&harness, client, "GET", "/api/v1/version", NULL, NULL);
    static const int statuses[] = {200, 201, 404, 200};
    for (int i = 0; i < 4; i++) {
        client_receive(&harness, client, false, &response);
        ck_assert_int_eq(response.status, statuses[i]);
        response_finish(&response);
    }
}
END_TEST

START_TEST(what_follows_a_misframed_request_is_not_served)
{
    struct client *client = harness_connect(&harness);
    client_request(
        &harness, client, "PUT", "/api/v1/streams/a",
        "Content-Type: application/json\r\nContent-Length: 0\r\nContent-Length: 2\r\n", NULL);
    client_request(&harness, client, "DELETE", "/api/v1/streams/a", NULL, NULL);
    assert_refused(client, 400, "framing_invalid");
    ck_assert_int_eq(harness.asked_count, 0);
    ck_assert_uint_eq(client->size, 0);
}
END_TEST

START_TEST(an_idle_server_costs_no_turns)
{
    struct response response;
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "GET", "/livez", NULL, NULL);
    client_receive(&harness, client, false, &response);
    response_finish(&response);
    harness_idle(&harness, 20);
    int timeout = api_server_timeout_ms(harness.server);
    ck_assert_msg(timeout > 5000, "%d", timeout);
    harness.hold = true;
    client_request(&harness, client, "GET", "/api/v1/streams", NULL, NULL);
    HARNESS_WAIT(&harness, harness.held_count == 1);
    harness_idle(&harness, 20);
    timeout = api_server_timeout_ms(harness.server);
    ck_assert_msg(timeout > 5000, "%d", timeout);
    harness_release(&harness);
    client_close(&harness, client);
    harness_idle(&harness, 20);
    ck_assert_int_eq(api_server_timeout_ms(harness.server), -1);
}
END_TEST

/* --- coming and going ------------------------------------------------------------------- */

/* libmicrohttpd misses an end that comes together with data. */
START_TEST(a_client_that_closes_its_end_is_answered_and_then_closed)
{
    static const char *const extras[] = {NULL, "X: 1\r\n"};
    for (int i = 0; i < 2; i++) {
        struct client *client = harness_connect(&harness);
        client_request(&harness, client, "GET", "/livez", NULL, NULL);
        client_request(&harness, client, "PUT", "/api/v1/streams/a", extras[i], "{}");
        harness.hold = i == 1;
        client_request(&harness, client, "GET", "/api/v1/streams", NULL, NULL);
        shutdown(client->fd, SHUT_WR);
        if (i == 1) {
            HARNESS_WAIT(&harness, harness.held_count == 1);
            harness_release(&harness);
            harness_idle(&harness, 150);
            HARNESS_WAIT(&harness, harness.held_count == 1);
            harness_idle(&harness, 250);
            harness_release(&harness);
        }
        static const int statuses[2][3] = {{200, 201, 200}, {200, 200, 200}};
        for (int j = 0; j < 3; j++) {
            struct response response;
            client_receive(&harness, client, false, &response);
            ck_assert_int_eq(response.status, statuses[i][j]);
            response_finish(&response);
        }
        HARNESS_WAIT(&harness, client->closed);
    }
    struct client *client = harness_connect(&harness);
    client_send(client, "GET /livez HTTP/1.1\r\nHo");
    shutdown(client->fd, SHUT_WR);
    HARNESS_WAIT(&harness, client->closed);
    client = harness_connect(&harness);
    client_request(&harness, client, "GET", "/api/v1/events", NULL, NULL);
    shutdown(client->fd, SHUT_WR);
    HARNESS_WAIT(&harness, client->closed);
    struct api_server_stats stats;
    HARNESS_WAIT(&harness,
                 (api_server_get_stats(harness.server, &stats), stats.connections == 0));
    ck_assert_int_eq(stats.deadline_closed, 0);
}
END_TEST

START_TEST(a_backend_may_answer_later)
{
    struct response response;
    harness.hold = true;
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "GET", "/api/v1/streams", NULL, NULL);
    HARNESS_WAIT(&harness, harness.held_count == 1);
    ck_assert_uint_eq(api_server_pending(harness.server), 1);
    harness_idle(&harness, 20);
    ck_assert_uint_eq(client->size, 0);
    harness_release(&harness);
    ck_assert_uint_eq(api_server_pending(harness.server), 0);
    client_receive(&harness, client, false, &response);
    ck_assert_str_eq(response.body, "{\"late\":true}");
    response_finish(&response);
    ck_assert(!client->closed);
}
END_TEST

START_TEST(a_client_may_leave_before_the_backend_answers)
{
    struct api_server_stats stats;
    harness.hold = true;
    for (int i = 0; i < 8; i++) {
        struct client *client = harness_connect(&harness);
        client_request(&harness, client, "GET", "/api/v1/streams", NULL, NULL);
        HARNESS_WAIT(&harness, harness.held_count == i + 1);
        client_close(&harness, client);
    }
    harness_idle(&harness, 20);
    while (harness.held_count > 0)
        harness_release(&harness);
    HARNESS_WAIT(&harness,
                 (api_server_get_stats(harness.server, &stats), stats.connections == 0));
    ck_assert_uint_eq(api_server_pending(harness.server), 0);
}
END_TEST

START_TEST(draining_refuses_new_connections_and_finishes_what_is_asked)
{
    struct response response;
    harness.hold = true;
    struct client *idle = harness_connect(&harness);
    client_request(&harness, idle, "GET", "/livez", NULL, NULL);
    client_receive(&harness, idle, false, &response);
    response_finish(&response);
    struct client *asking = harness_connect(&harness);
    client_request(&harness, asking, "GET", "/api/v1/streams", NULL, NULL);
    HARNESS_WAIT(&harness, harness.held_count == 1);
    api_server_drain(harness.server);
    HARNESS_WAIT(&harness, idle->closed);
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    ck_assert_int_eq(getpeername(asking->fd, (struct sockaddr *)&address, &length), 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_lt(connect(fd, (struct sockaddr *)&address, length), 0);
    close(fd);
    harness_release(&harness);
    client_receive(&harness, asking, false, &response);
    ck_assert_str_eq(response.body, "{\"late\":true}");
    ck_assert_pstr_eq(response_header(&response, "Connection"), "close");
    response_finish(&response);
    HARNESS_WAIT(&harness, asking->closed);
    api_server_drain(harness.server);
}
END_TEST

START_TEST(destroy_with_everything_open_leaves_requests_to_the_backend)
{
    harness.hold = true;
    harness_commit(&harness, "door", "movement");
    struct client *stream = harness_connect(&harness);
    client_request(&harness, stream, "GET", "/api/v1/events", NULL, NULL);
    struct client *replay = harness_connect(&harness);
    client_request(&harness, replay, "GET", "/api/v1/events", "Last-Event-ID: 1\r\n", NULL);
    HARNESS_WAIT(&harness, harness.held_count == 1);
    client_send(harness_connect(&harness), "GET /livez HTTP/1.1\r\nHo");
    struct client *asking = harness_connect(&harness);
    client_request(&harness, asking, "GET", "/api/v1/streams", NULL, NULL);
    HARNESS_WAIT(&harness, harness.held_count == 2);
    struct client *unread = harness_connect(&harness);
    unread->paused = true;
    harness.hold = false;
    client_request(&harness, unread, "GET", "/api/v1/streams/big/snapshot.jpg", NULL, NULL);
    harness_idle(&harness, 20);
    api_server_destroy(harness.server);
    harness.server = NULL;
    struct record_page page = {0};
    api_request_reply_page(harness.held[0], &page);
    api_request_reply_problem(harness.held[1], 503, "stopping", "too late");
}
END_TEST

int main(void)
{
    TCase *sizes = tcase_create("sizes");
    tcase_set_timeout(sizes, 120);
    tcase_add_checked_fixture(sizes, set_up, tear_down);
    tcase_add_test(sizes, a_target_of_two_kibibytes_is_taken_and_one_byte_more_is_not);
    tcase_add_test(sizes, headers_over_the_pool_are_refused);
    tcase_add_test(sizes, a_target_without_end_is_refused);
    tcase_add_test(sizes, a_body_of_64_kibibytes_is_taken);
    tcase_add_test(sizes, a_larger_body_is_refused_before_it_is_sent);
    tcase_add_test(sizes, a_chunked_body_without_end_is_refused_at_64_kibibytes);
    tcase_add_test(sizes, a_client_that_waits_for_100_continue_gets_it);
    TCase *time = tcase_create("time");
    tcase_set_timeout(time, 120);
    tcase_add_checked_fixture(time, set_up_short, tear_down);
    tcase_add_test(time, a_request_line_that_drips_is_cut_off);
    tcase_add_test(time, headers_that_drip_are_cut_off);
    tcase_add_test(time, a_body_that_drips_is_cut_off);
    tcase_add_test(time, a_reader_that_does_not_read_is_cut_off);
    tcase_add_test(time, a_reader_that_sips_is_cut_off);
    tcase_add_test(time, a_silent_connection_is_closed);
    tcase_add_test(time, a_connection_that_rests_between_requests_is_closed);
    tcase_add_test(time, a_connection_that_is_used_stays_longer_than_one_deadline);
    tcase_add_test(time, a_connections_rest_does_not_count_against_its_next_request);
    tcase_add_test(time, a_backend_that_does_not_answer_in_time_gives_504);
    tcase_add_test(time, slow_clients_do_not_keep_others_out);
    TCase *connections = tcase_create("connections");
    tcase_set_timeout(connections, 120);
    tcase_add_checked_fixture(connections, set_up, tear_down);
    tcase_add_test(connections, one_address_may_have_nearly_all_connections);
    tcase_add_test(connections,
                   the_two_hundred_and_fifty_seventh_connection_waits_for_its_turn);
    tcase_add_test(connections, a_connection_serves_one_request_after_another);
    tcase_add_test(connections, pipelined_requests_are_answered_in_order);
    tcase_add_test(connections, what_follows_a_misframed_request_is_not_served);
    tcase_add_test(connections, an_idle_server_costs_no_turns);
    tcase_add_test(connections, a_client_that_closes_its_end_is_answered_and_then_closed);
    tcase_add_test(connections, a_backend_may_answer_later);
    tcase_add_test(connections, a_client_may_leave_before_the_backend_answers);
    tcase_add_test(connections, draining_refuses_new_connections_and_finishes_what_is_asked);
    tcase_add_test(connections, destroy_with_everything_open_leaves_requests_to_the_backend);
    TCase *cases[] = {sizes, time, connections};
    return suite_run("api/limits", cases, 3);
}
