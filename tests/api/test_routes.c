/* Every route, and every way in which a request can be wrong. */
#include <errno.h>
#include <string.h>

#include "tests/api/harness.h"

#define ID "01HF7YAT00041061050R3GG28A"

static struct harness harness;

static void set_up(void)
{
    harness_start(&harness, (struct api_server_options){0});
}

static void tear_down(void)
{
    harness_stop(&harness);
}

static void assert_problem(const char *method, const char *target, const char *extra,
                           const char *body, int status, const char *code)
{
    struct response response;
    harness_ask(&harness, method, target, extra, body, &response);
    ck_assert_msg(response.status == status && strcmp(response_code(&response), code) == 0,
                  "%s %.80s: %d %s instead of %d %s", method, target, response.status,
                  response.body, status, code);
    response_finish(&response);
}

START_TEST(every_route_reaches_who_answers_it)
{
    static const struct {
        const char *method, *target, *body, *asked, *name;
        int status;
        const char *type;
    } rows[] = {
        {"GET", "/api/v1/streams", NULL, "list_streams", "", 200, "application/json"},
        {"GET", "/api/v1/streams/door", NULL, "get_stream", "door", 200, "application/json"},
        {"PUT", "/api/v1/streams/door", "{}", "put_stream", "door", 201, "application/json"},
        {"PATCH", "/api/v1/streams/door", "{}", "patch_stream", "door", 200,
         "application/json"},
        {"DELETE", "/api/v1/streams/door", NULL, "delete_stream", "door", 204, NULL},
        {"POST", "/api/v1/streams/door:restart", "{}", "restart_stream", "door", 202,
         "application/json"},
        {"GET", "/api/v1/streams/door/snapshot.jpg", NULL, "get_snapshot", "door", 200,
         "image/jpeg"},
        {"GET", "/api/v1/detections", NULL, "list_detections", "", 200, "application/json"},
        {"GET", "/api/v1/detections/summary", NULL, "summarize_detections", "", 200,
         "application/json"},
        {"GET", "/api/v1/detections/" ID, NULL, "get_detection", ID, 200, "application/json"},
        {"GET", "/api/v1/models", NULL, "list_models", "", 200, "application/json"},
        {"GET", "/api/v1/models/scene", NULL, "get_model", "scene", 200, "application/json"},
        {"GET", "/api/v1/models/scene/card", NULL, "get_model_card", "scene", 200,
         "text/markdown; charset=utf-8"},
        {"GET", "/api/v1/version", NULL, "", "", 200, "application/json"},
        {"GET", "/livez", NULL, "", "", 200, "application/json"},
        {"GET", "/readyz", NULL, "get_readiness", "", 200, "application/json"},
        {"GET", "/metrics", NULL, "get_metrics", "", 200, "text/plain; version=0.0.4"},
        {"GET", "/openapi.json", NULL, "", "", 200, "application/json"},
        {"GET", "/", NULL, "list_detections", "", 200, "text/html; charset=utf-8"},
        {"GET", "/page.css", NULL, "", "", 200, "text/css; charset=utf-8"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct response response;
        harness.asked[0] = harness.name[0] = '\0';
        harness_ask(&harness, rows[i].method, rows[i].target, NULL, rows[i].body, &response);
        ck_assert_msg(response.status == rows[i].status, "%s: %d %s", rows[i].target,
                      response.status, response.body);
        ck_assert_str_eq(harness.asked, rows[i].asked);
        ck_assert_str_eq(harness.name, rows[i].name);
        ck_assert_pstr_eq(response_header(&response, "Content-Type"), rows[i].type);
        response_finish(&response);
    }
}
END_TEST

START_TEST(the_servers_own_answers_are_right)
{
    struct response response;
    harness_ask(&harness, "GET", "/api/v1/version", NULL, NULL, &response);
    ck_assert_str_eq(response.body, "{\"version\":\"9.8.7\",\"api\":\"v1\"}");
    response_finish(&response);
    harness_ask(&harness, "GET", "/openapi.json", NULL, NULL, &response);
    json_t *contract = json_loadb(response.body, response.size, JSON_REJECT_DUPLICATES, NULL);
    json_t *paths = json_object_get(contract, "paths");
    ck_assert_ptr_nonnull(json_object_get(paths, "/api/v1/streams/{name}"));
    json_decref(contract);
    response_finish(&response);
    harness_ask(&harness, "GET", "/livez", NULL, NULL, &response);
    ck_assert_str_eq(response.body, "{\"status\":\"alive\"}");
    response_finish(&response);
}
END_TEST

START_TEST(a_page_becomes_a_list_with_the_next_cursor)
{
    struct response response;
    harness_ask(&harness, "GET", "/api/v1/detections", NULL, NULL, &response);
    ck_assert_str_eq(response.body,
                     "{\"detections\":[{\"seq\":1},{\"seq\":2}],\"next\":\"more\"}");
    response_finish(&response);
    harness_ask(&harness, "GET", "/api/v1/detections?order=asc", NULL, NULL, &response);
    ck_assert_str_eq(response.body, "{\"detections\":[{\"seq\":1},{\"seq\":2}],\"next\":null}");
    response_finish(&response);
}
END_TEST

START_TEST(the_filters_of_a_query_reach_the_backend)
{
    struct response response;
    harness_ask(&harness, "GET",
                "/api/v1/detections?stream=front%2Ddoor&kind=object&label=a+b%2B&zone=gate"
                "&min_score=0.25&since=2026-11-20T12:00:00Z&until=2026-11-20T14:00:00+02:00"
                "&state=active&order=asc&limit=7&cursor=abc",
                NULL, NULL, &response);
    ck_assert_int_eq(response.status, 200);
    response_finish(&response);
    const struct record_query *query = &harness.query;
    ck_assert_str_eq(query->stream, "front-door");
    ck_assert_int_eq(query->kind, RECORD_OBJECT);
    ck_assert_str_eq(query->label, "a b+");
    ck_assert_str_eq(query->zone, "gate");
    ck_assert_double_eq(query->min_score, 0.25);
    ck_assert_int_eq(query->since_ms, query->until_ms);
    ck_assert_int_eq(query->state, RECORD_STATE_ACTIVE);
    ck_assert(query->ascending);
    ck_assert_int_eq(query->limit, 7);
    ck_assert_str_eq(query->cursor, "abc");
}
END_TEST

START_TEST(a_summary_has_the_filters_of_a_list_and_what_to_count_by)
{
    struct response response;
    harness_ask(&harness, "GET",
                "/api/v1/detections/summary?by=stream,hour&stream=door&kind=sound&label=x"
                "&zone=gate&min_score=1&since=2026-11-20T12:00:00Z"
                "&until=2026-11-20T13:00:00Z&state=ended",
                NULL, NULL, &response);
    ck_assert_int_eq(response.status, 200);
    response_finish(&response);
    ck_assert_uint_eq(harness.by, RECORD_BY_STREAM | RECORD_BY_HOUR);
    const struct record_query *query = &harness.query;
    ck_assert_str_eq(query->stream, "door");
    ck_assert_int_eq(query->kind, RECORD_SOUND);
    ck_assert_str_eq(query->label, "x");
    ck_assert_str_eq(query->zone, "gate");
    ck_assert_double_eq(query->min_score, 1);
    ck_assert_int_eq(query->until_ms - query->since_ms, 3600000);
    ck_assert_int_eq(query->state, RECORD_STATE_ENDED);
    static const char *const refused[] = {"by=",     "by=week",   "by=hour,day",
                                          "limit=5", "order=asc", "cursor=x"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        char target[96];
        snprintf(target, sizeof target, "/api/v1/detections/summary?%s", refused[i]);
        harness_ask(&harness, "GET", target, NULL, NULL, &response);
        ck_assert_msg(response.status == 400, "%s: %d", target, response.status);
        response_finish(&response);
    }
    harness_ask(&harness, "DELETE", "/api/v1/detections/summary", NULL, NULL, &response);
    ck_assert_int_eq(response.status, 405);
    ck_assert_str_eq(response_header(&response, "Allow"), "GET, HEAD");
    response_finish(&response);
}
END_TEST

START_TEST(the_body_reaches_the_backend_whole)
{
    struct response response;
    char body[4096];
    snprintf(body, sizeof body, "{\"uri\":\"%0*d\"}", 3000, 7);
    harness_ask(&harness, "PUT", "/api/v1/streams/door", NULL, body, &response);
    ck_assert_int_eq(response.status, 201);
    ck_assert_str_eq(harness.config, body);
    response_finish(&response);
}
END_TEST

START_TEST(a_chunked_body_is_taken_too)
{
    struct response response;
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "PUT", "/api/v1/streams/door",
                   "Transfer-Encoding: chunked\r\nContent-Type: application/json; a=b\r\n",
                   NULL);
    client_send(client, "3\r\n{\"a\r\n7;x=y\r\n\":true}\r\n0\r\n\r\n");
    client_receive(&harness, client, false, &response);
    ck_assert_int_eq(response.status, 201);
    ck_assert_str_eq(harness.config, "{\"a\":true}");
    response_finish(&response);
}
END_TEST

START_TEST(every_answer_carries_the_security_headers)
{
    static const char *const targets[] = {
        "/livez",   "/nowhere",     "/api/v1/streams/none", "/api/v1/streams/x/snapshot.jpg",
        "/metrics", "/openapi.json"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct response response;
        harness_ask(&harness, "GET", targets[i], NULL, NULL, &response);
        ck_assert_pstr_eq(response_header(&response, "X-Content-Type-Options"), "nosniff");
        ck_assert_pstr_eq(response_header(&response, "Content-Security-Policy"),
                          "default-src 'none'; frame-ancestors 'none'");
        ck_assert_pstr_eq(response_header(&response, "Cross-Origin-Resource-Policy"),
                          "same-origin");
        ck_assert_pstr_eq(response_header(&response, "Cache-Control"), "no-store");
        ck_assert_ptr_null(response_header(&response, "Access-Control-Allow-Origin"));
        response_finish(&response);
    }
}
END_TEST

START_TEST(only_the_page_may_show_pictures_and_nothing_may_run)
{
    struct response response;
    harness_ask(&harness, "GET", "/", NULL, NULL, &response);
    ck_assert_pstr_eq(response_header(&response, "Content-Security-Policy"),
                      "default-src 'none'; img-src 'self'; style-src 'self'; base-uri 'none'; "
                      "form-action 'none'; frame-ancestors 'none'");
    ck_assert_pstr_eq(response_header(&response, "X-Content-Type-Options"), "nosniff");
    ck_assert_ptr_nonnull(strstr(response.body, "content=\"10\""));
    response_finish(&response);
    harness_ask(&harness, "GET", "/?refresh=0", NULL, NULL, &response);
    ck_assert_ptr_null(strstr(response.body, "http-equiv"));
    response_finish(&response);
}
END_TEST

START_TEST(a_page_is_made_of_what_can_be_told)
{
    struct response response;
    struct client *client = harness_connect(&harness);
    harness.hold = true;
    client_request(&harness, client, "GET", "/", NULL, NULL);
    HARNESS_WAIT(&harness, harness.held_count == 2);
    harness_release(&harness);
    harness_idle(&harness, 50);
    ck_assert_uint_eq(client->size, 0); /* half an answer is none */
    harness_release(&harness);
    client_receive(&harness, client, false, &response);
    ck_assert_int_eq(response.status, 200);
    ck_assert_ptr_nonnull(strstr(response.body, "They cannot be read at the moment"));
    response_finish(&response);
    /* Nor does a client that leaves, or a server that goes, take more than its own with it. */
    client_request(&harness, client, "GET", "/", NULL, NULL);
    HARNESS_WAIT(&harness, harness.held_count == 2);
    client_close(&harness, client);
    harness_idle(&harness, 200);
    harness_release(&harness);
    harness_release(&harness);
    client = harness_connect(&harness);
    client_request(&harness, client, "GET", "/", NULL, NULL);
    HARNESS_WAIT(&harness, harness.held_count == 2);
    api_server_destroy(harness.server);
    harness.server = NULL;
    harness_release(&harness);
    harness_release(&harness);
}
END_TEST

START_TEST(head_answers_like_get_without_a_body)
{
    struct response get, head;
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "HEAD", "/api/v1/streams/door", NULL, NULL);
    client_receive(&harness, client, true, &head);
    client_request(&harness, client, "GET", "/api/v1/streams/door", NULL, NULL);
    client_receive(&harness, client, false, &get);
    ck_assert_int_eq(head.status, 200);
    ck_assert_int_eq(get.status, 200);
    char *length = strdup(response_header(&head, "Content-Length"));
    ck_assert_str_eq(length, response_header(&get, "Content-Length"));
    ck_assert_uint_eq(head.size, 0);
    ck_assert_uint_gt(get.size, 0);
    free(length);
    response_finish(&head);
    response_finish(&get);
    client_request(&harness, client, "HEAD", "/api/v1/events", NULL, NULL);
    client_receive(&harness, client, true, &head);
    ck_assert_pstr_eq(response_header(&head, "Content-Type"), "text/event-stream");
    response_finish(&head);
}
END_TEST

START_TEST(a_wrong_request_gets_the_problem_that_says_so)
{
    static const struct {
        const char *method, *target, *extra, *body;
        int status;
        const char *code;
    } rows[] = {
        {"POST", "/", NULL, "{}", 405, "method_not_allowed"},
        {"GET", "/?refresh=3601", NULL, NULL, 400, "parameter_invalid"},
        {"GET", "/?refresh=-1", NULL, NULL, 400, "parameter_invalid"},
        {"GET", "/index.html", NULL, NULL, 404, "path_unknown"},
        {"GET", "/api/v1/stream", NULL, NULL, 404, "path_unknown"},
        {"GET", "/api/v1/streams/", NULL, NULL, 400, "name_invalid"},
        {"GET", "/api/v1/streams/a/b", NULL, NULL, 404, "path_unknown"},
        {"GET", "//livez", NULL, NULL, 404, "path_unknown"},
        {"GET", "/livez/", NULL, NULL, 404, "path_unknown"},
        {"GET", "/LIVEZ", NULL, NULL, 404, "path_unknown"},
        {"GET", "/api/v1/../../livez", NULL, NULL, 404, "path_unknown"},
        {"GET", "/li vez", NULL, NULL, 400, "target_invalid"},
        {"GET", "livez", NULL, NULL, 400, "target_invalid"},
        {"GET", "/livez#x", NULL, NULL, 400, "target_invalid"},
        {"GET", "/livez%", NULL, NULL, 400, "target_invalid"},
        {"GET", "/livez%0g", NULL, NULL, 400, "target_invalid"},
        {"GET", "/livez%00", NULL, NULL, 400, "target_invalid"},
        {"GET", "/livez%0a", NULL, NULL, 400, "target_invalid"},
        {"GET", "/livez%ff", NULL, NULL, 400, "target_invalid"},
        {"GET", "/a/b/c/d/e/f/g/h/i", NULL, NULL, 400, "target_invalid"},
        {"GET", "/liv\xc3\xa9z", NULL, NULL, 400, "target_invalid"},
        {"POST", "/api/v1/streams", NULL, "{}", 405, "method_not_allowed"},
        {"PATCH", "/api/v1/streams", NULL, "{}", 405, "method_not_allowed"},
        {"GET", "/api/v1/streams/a:restart", NULL, NULL, 405, "method_not_allowed"},
        {"POST", "/api/v1/streams/a", NULL, "{}", 405, "method_not_allowed"},
        {"POST", "/api/v1/streams/a:stop", NULL, "{}", 404, "path_unknown"},
        {"POST", "/api/v1/streams/a:b:restart", NULL, "{}", 400, "name_invalid"},
        {"POST", "/api/v1/streams/:restart", NULL, "{}", 400, "name_invalid"},
        {"GET", "/api/v1/streams/a:", NULL, NULL, 404, "path_unknown"},
        {"OPTIONS", "/livez", NULL, NULL, 405, "method_not_allowed"},
        {"TRACE", "/livez", NULL, NULL, 405, "method_not_allowed"},
        {"get", "/livez", NULL, NULL, 405, "method_not_allowed"},
        {"GET", "/api/v1/streams/Door", NULL, NULL, 400, "name_invalid"},
        {"GET", "/api/v1/streams/..", NULL, NULL, 400, "name_invalid"},
        {"GET", "/api/v1/streams/a%2Fb", NULL, NULL, 400, "name_invalid"},
        {"GET", "/api/v1/streams/%2e%2e%2fetc/snapshot.jpg", NULL, NULL, 400, "name_invalid"},
        {"DELETE", "/api/v1/streams/-a", NULL, NULL, 400, "name_invalid"},
        {"GET", "/api/v1/models/_", NULL, NULL, 400, "name_invalid"},
        {"GET", "/api/v1/detections/7", NULL, NULL, 400, "name_invalid"},
        {"GET", "/api/v1/streams/none", NULL, NULL, 404, "stream_unknown"},
        {"GET", "/api/v1/streams/dark/snapshot.jpg", NULL, NULL, 503, "no_picture"},
        {"GET", "/api/v1/streams/none/live.mjpeg", NULL, NULL, 404, "stream_unknown"},
        {"GET", "/api/v1/streams/a/live.mjpeg?fps=0", NULL, NULL, 400, "parameter_invalid"},
        {"GET", "/api/v1/streams/a/live.mjpeg?fps=6", NULL, NULL, 400, "parameter_invalid"},
        {"GET", "/api/v1/streams/a/live.mjpeg?fps=1.5", NULL, NULL, 400, "parameter_invalid"},
        {"GET", "/livez?x=1", NULL, NULL, 400, "parameter_unknown"},
        {"GET", "/api/v1/detections?foo=1", NULL, NULL, 400, "parameter_unknown"},
        {"GET", "/api/v1/detections?limit=1&limit=1", NULL, NULL, 400, "parameter_repeated"},
        {"GET", "/api/v1/detections?limit=0", NULL, NULL, 400, "parameter_invalid"},
        {"GET", "/api/v1/detections?cursor=", NULL, NULL, 400, "cursor_invalid"},
        {"GET", "/api/v1/events?zone=a", NULL, NULL, 400, "parameter_unknown"},
        {"GET", "/api/v1/events?last_event_id=-1", NULL, NULL, 400, "parameter_invalid"},
        {"GET", "/api/v1/events", "Last-Event-ID: 1x\r\n", NULL, 400, "header_invalid"},
        {"GET", "/livez", "Bad Header: 1\r\n", NULL, 400, "header_invalid"},
        {"GET", "/livez", "Content-Length : 0\r\n", NULL, 400, "header_invalid"},
        {"GET", "/livez", "Host: localhost\r\n", NULL, 400, "host_invalid"},
        {"GET", "/livez", NULL, "{}", 400, "body_unexpected"},
        {"DELETE", "/api/v1/streams/a", NULL, "{}", 400, "body_unexpected"},
        {"PUT", "/api/v1/streams/a", NULL, NULL, 415, "media_type_unsupported"},
        {"PUT", "/api/v1/streams/a", "Content-Type: text/plain\r\nContent-Length: 2\r\n", NULL,
         415, "media_type_unsupported"},
        {"PUT", "/api/v1/streams/a", "Content-Type: application/jsonx\r\nContent-Length: 2\r\n",
         NULL, 415, "media_type_unsupported"},
        {"POST", "/api/v1/streams/a:restart", NULL, NULL, 415, "media_type_unsupported"},
        {"POST", "/api/v1/streams/a:restart",
         "Content-Type: application/x-www-form-urlencoded\r\n", NULL, 415,
         "media_type_unsupported"},
        {"POST", "/api/v1/streams/a:restart", "Content-Type: application/merge-patch+json\r\n",
         NULL, 415, "media_type_unsupported"},
        {"POST", "/api/v1/streams/a:restart", NULL, "{\"a\":1}", 400, "body_invalid"},
        {"POST", "/api/v1/streams/a:restart", NULL, "{", 400, "body_invalid"},
        {"PATCH", "/api/v1/streams/a", NULL, "[]", 400, "body_invalid"},
        {"PATCH", "/api/v1/streams/a", "Content-Type: text/plain\r\n", NULL, 415,
         "media_type_unsupported"},
        {"GET", "/livez", "If-Match: v1\r\n", NULL, 400, "header_invalid"},
        {"GET", "/livez", "If-None-Match: \r\n", NULL, 400, "header_invalid"},
        {"GET", "/livez", "If-Match: \"a\"\r\nIf-Match: \"b\"\r\n", NULL, 400,
         "header_invalid"},
        {"PUT", "/api/v1/streams/a", NULL, "", 400, "body_invalid"},
        {"PUT", "/api/v1/streams/a", NULL, "[]", 400, "body_invalid"},
        {"PUT", "/api/v1/streams/a", NULL, "{\"a\":1,\"a\":2}", 400, "body_invalid"},
        {"PUT", "/api/v1/streams/a", NULL, "{\"a\":1} x", 400, "body_invalid"},
        {"PUT", "/api/v1/streams/a", "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
         NULL, 400, "framing_invalid"},
        {"PUT", "/api/v1/streams/a", "Content-Length: 2\r\nContent-Length: 3\r\n", NULL, 400,
         "framing_invalid"},
        {"PUT", "/api/v1/streams/a", "Transfer-Encoding: gzip\r\n", NULL, 400,
         "framing_invalid"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_problem(rows[i].method, rows[i].target, rows[i].extra, rows[i].body,
                       rows[i].status, rows[i].code);
    ck_assert_ptr_null(harness.config);
}
END_TEST

START_TEST(a_problem_says_what_it_is_and_where_that_is_described)
{
    struct response response;
    harness_ask(&harness, "GET", "/api/v1/detections?min_score=%22high%22", NULL, NULL,
                &response);
    ck_assert_str_eq(
        response.body,
        "{\"type\":\"/openapi.json#/x-problems/parameter_invalid\","
        "\"title\":\"Bad Request\",\"status\":400,\"code\":\"parameter_invalid\","
        "\"detail\":\"min_score must be a number from 0 to 1, not '\\\"high\\\"'\"}");
    response_finish(&response);
}
END_TEST

START_TEST(a_method_that_is_not_allowed_is_told_which_are)
{
    struct response response;
    harness_ask(&harness, "POST", "/api/v1/streams/a", NULL, "{}", &response);
    ck_assert_pstr_eq(response_header(&response, "Allow"), "GET, HEAD, PUT, PATCH, DELETE");
    response_finish(&response);
    harness_ask(&harness, "PUT", "/api/v1/streams/a:restart", NULL, "{}", &response);
    ck_assert_pstr_eq(response_header(&response, "Allow"), "POST");
    response_finish(&response);
    harness_ask(&harness, "PUT", "/livez", NULL, NULL, &response);
    ck_assert_pstr_eq(response_header(&response, "Allow"), "GET, HEAD");
    response_finish(&response);
}
END_TEST

START_TEST(a_patch_may_call_itself_one_and_a_command_needs_no_body)
{
    struct response response;
    struct client *client = harness_connect(&harness);
    client_request(&harness, client, "PATCH", "/api/v1/streams/door",
                   "Content-Type: Application/Merge-Patch+JSON; charset=utf-8\r\n"
                   "Content-Length: 13\r\n",
                   NULL);
    client_send(client, "{\"user\":null}");
    client_receive(&harness, client, false, &response);
    ck_assert_int_eq(response.status, 200);
    ck_assert_str_eq(harness.config, "{\"user\":null}");
    response_finish(&response);
    client_request(&harness, client, "POST", "/api/v1/streams/door:restart",
                   "Content-Type: application/json\r\n", NULL);
    client_receive(&harness, client, false, &response);
    ck_assert_int_eq(response.status, 202);
    ck_assert_str_eq(harness.name, "door");
    response_finish(&response);
    assert_problem("PATCH", "/api/v1/streams/door", "Content-Length: 2\r\n", NULL, 415,
                   "media_type_unsupported");
}
END_TEST

START_TEST(a_patch_of_another_type_is_told_which_are_taken)
{
    struct response response;
    harness_ask(&harness, "PATCH", "/api/v1/streams/a", "Content-Type: text/plain\r\n", NULL,
                &response);
    ck_assert_pstr_eq(response_header(&response, "Accept-Patch"),
                      "application/merge-patch+json, application/json");
    response_finish(&response);
}
END_TEST

/* The application says "v1" of all streams but "new", which is not there, and of models. */
START_TEST(a_request_happens_only_under_its_conditions)
{
    static const struct {
        const char *method, *target, *extra, *body;
        int status;
    } rows[] = {
        {"PUT", "/api/v1/streams/door", "If-Match: \"v1\"\r\n", "{}", 201},
        {"PUT", "/api/v1/streams/door", "If-Match: \"v0\", \"v1\"\r\n", "{}", 201},
        {"PUT", "/api/v1/streams/door", "If-Match: *\r\n", "{}", 201},
        {"PUT", "/api/v1/streams/door", "If-Match: \"v2\"\r\n", "{}", 412},
        {"PUT", "/api/v1/streams/door", "If-Match: W/\"v1\"\r\n", "{}", 412},
        {"PUT", "/api/v1/streams/door", "If-None-Match: *\r\n", "{}", 412},
        {"PUT", "/api/v1/streams/door", "If-None-Match: W/\"v1\"\r\n", "{}", 412},
        {"PUT", "/api/v1/streams/door", "If-None-Match: \"v2\"\r\n", "{}", 201},
        {"PUT", "/api/v1/streams/new", "If-None-Match: *\r\n", "{}", 201},
        {"PUT", "/api/v1/streams/new", "If-Match: *\r\n", "{}", 412},
        {"PUT", "/api/v1/streams/new", "If-Match: \"v1\"\r\n", "{}", 412},
        {"PATCH", "/api/v1/streams/door", "If-Match: \"v2\"\r\n", "{}", 412},
        {"DELETE", "/api/v1/streams/door", "If-Match: \"v2\"\r\n", NULL, 412},
        {"DELETE", "/api/v1/streams/door", "If-Match: \"v1\"\r\n", NULL, 204},
        {"POST", "/api/v1/streams/door:restart", "If-Match: \"v2\"\r\n", "{}", 412},
        {"GET", "/api/v1/models/scene", "If-None-Match: \"v1\"\r\n", NULL, 304},
        {"HEAD", "/api/v1/models/scene", "If-None-Match: \"v0\",W/\"v1\"\r\n", NULL, 304},
        {"GET", "/api/v1/models/scene", "If-None-Match: \"v2\"\r\n", NULL, 200},
        {"GET", "/api/v1/models/scene", "If-Match: \"v2\"\r\n", NULL, 412},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct response response;
        harness_ask(&harness, rows[i].method, rows[i].target, rows[i].extra, rows[i].body,
                    &response);
        ck_assert_msg(response.status == rows[i].status, "%s %s %s: %d", rows[i].method,
                      rows[i].target, rows[i].extra, response.status);
        if (response.status == 412)
            ck_assert_str_eq(response_code(&response), "precondition_failed");
        if (response.status == 304) {
            ck_assert_pstr_eq(response_header(&response, "ETag"), "\"v1\"");
            ck_assert_uint_eq(response.size, 0);
        }
        response_finish(&response);
    }
}
END_TEST

START_TEST(an_answer_carries_its_tag_unless_it_is_a_problem)
{
    struct response response;
    harness_ask(&harness, "PUT", "/api/v1/streams/door", NULL, "{}", &response);
    ck_assert_pstr_eq(response_header(&response, "ETag"), "\"v2\"");
    response_finish(&response);
    harness_ask(&harness, "PUT", "/api/v1/streams/door", "If-Match: \"x\"\r\n", "{}",
                &response);
    ck_assert_ptr_null(response_header(&response, "ETag"));
    response_finish(&response);
}
END_TEST

START_TEST(a_busy_backend_says_when_to_come_back)
{
    struct response response;
    harness_ask(&harness, "GET", "/api/v1/streams/dark/snapshot.jpg", NULL, NULL, &response);
    ck_assert_pstr_eq(response_header(&response, "Retry-After"), "1");
    response_finish(&response);
}
END_TEST

/* What another site makes a browser send, and what an honest client does. */
START_TEST(host_must_be_loopback_with_this_port)
{
    static const struct {
        const char *format;
        int status;
    } rows[] = {
        {"127.0.0.1:%d", 200},
        {"localhost:%d", 200},
        {"LocalHost:%d", 200},
        {"[::1]:%d", 200},
        {"127.9.8.7:%d", 200},
        {"evil.example:%d", 421},
        {"localhost", 421},
        {"127.0.0.1", 421},
        {"127.0.0.1:1%d", 421},
        {"192.0.2.1:%d", 421},
        {"[::2]:%d", 421},
        {"localhost.evil:%d", 421},
        {"127.0.0.1.nip.io:%d", 421},
        {"127.1:%d", 421},
        {"0x7f000001:%d", 421},
        {"2130706433:%d", 421},
        {"localhost:%dx", 421},
        {"user@localhost:%d", 421},
        {"0.0.0.0:%d", 421},
        {"[::ffff:127.0.0.1]:%d", 421},
        {"[::1:%d", 421},
        {":%d", 421},
        {"localhost:%d:1", 421},
        {"", 421},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client *client = harness_connect(&harness);
        struct response response;
        char host[64], request[160];
        snprintf(host, sizeof host, rows[i].format, harness_port(&harness));
        snprintf(request, sizeof request, "GET /livez HTTP/1.1\r\nHost: %s\r\n\r\n", host);
        client_send(client, request);
        client_receive(&harness, client, false, &response);
        ck_assert_msg(response.status == rows[i].status, "Host %s: %d", host, response.status);
        if (response.status == 421)
            ck_assert_str_eq(response_code(&response), "host_not_allowed");
        response_finish(&response);
        client_close(&harness, client);
    }
}
END_TEST

START_TEST(an_absolute_target_must_name_this_server_too)
{
    struct response response;
    char target[96];
    snprintf(target, sizeof target, "http://localhost:%d/livez", harness_port(&harness));
    ck_assert_int_eq(harness_ask(&harness, "GET", target, NULL, NULL, &response), 200);
    response_finish(&response);
    assert_problem("GET", "http://evil.example/livez", NULL, NULL, 421, "host_not_allowed");
    assert_problem("GET", "http://localhost", NULL, NULL, 400, "target_invalid");
}
END_TEST

START_TEST(a_request_without_host_is_refused)
{
    static const char *const versions[] = {"1.0", "1.1"};
    for (int i = 0; i < 2; i++) {
        struct client *client = harness_connect(&harness);
        struct response response;
        char request[64];
        snprintf(request, sizeof request, "GET /livez HTTP/%s\r\n\r\n", versions[i]);
        client_send(client, request);
        client_receive(&harness, client, false, &response);
        ck_assert_int_eq(response.status, 400);
        ck_assert_str_eq(response_code(&response), "host_invalid");
        HARNESS_WAIT(&harness, client->closed);
        ck_assert_uint_eq(client->size, 0);
        response_finish(&response);
    }
}
END_TEST

START_TEST(what_is_no_http_is_refused_and_closed)
{
    static const char *const rubbish[] = {
        "hello\r\n\r\n",
        "GET /livez\r\n\r\n",
        "GET /livez HTTP/2.0\r\n\r\n",
        "GET /livez HTTP/0.9\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost\r\n\r\n",
        "\x16\x03\x01\x02\x01\xfc\x03\x03\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof rubbish / sizeof rubbish[0]; i++) {
        struct client *client = harness_connect(&harness);
        client_send(client, rubbish[i]);
        HARNESS_WAIT(&harness, client->closed);
        if (client->data)
            ck_assert_msg(strncmp(client->data, "HTTP/1.1 4", 10) == 0 ||
                              strncmp(client->data, "HTTP/1.1 505", 12) == 0,
                          "%s", client->data);
        client_close(&harness, client);
    }
    ck_assert_int_eq(harness.asked_count, 0);
}
END_TEST

START_TEST(a_malformed_length_is_refused_and_closed)
{
    static const char *const lengths[] = {"x", "-1", "+2", "2 2", "0x2", "99999999999999999999",
                                          ""};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct client *client = harness_connect(&harness);
        char extra[96];
        snprintf(extra, sizeof extra,
                 "Content-Type: application/json\r\nContent-Length: %s\r\n", lengths[i]);
        client_request(&harness, client, "PUT", "/api/v1/streams/a", extra, NULL);
        client_send(client, "{}");
        HARNESS_WAIT(&harness, client->closed);
        ck_assert_msg(client->data && strncmp(client->data, "HTTP/1.1 4", 10) == 0, "%s: %s",
                      lengths[i], client->data ? client->data : "(nothing)");
        client_close(&harness, client);
    }
    ck_assert_int_eq(harness.asked_count, 0);
}
END_TEST

START_TEST(the_listener_takes_only_loopback_addresses)
{
    static const char *const refused[] = {"0.0.0.0:0",
                                          "[::]:0",
                                          "192.168.1.1:0",
                                          "127.0.0.1",
                                          "127.0.0.1:",
                                          "localhost",
                                          "",
                                          ":0",
                                          "[::1]",
                                          "[::1]x0",
                                          "127.0.0.1:-1",
                                          "127.0.0.1:65536",
                                          "[::1:0",
                                          "1:2:3",
                                          "example.com:80",
                                          "127.0.0.1:8x"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct api_server *server = NULL;
        struct api_error err = {""};
        struct api_server_options options = {.listen = refused[i], .version = "1"};
        ck_assert_msg(api_server_create(&options, &server, &err) == -EINVAL, "%s", refused[i]);
        ck_assert_ptr_null(server);
        ck_assert_str_ne(err.text, "");
        ck_assert_ptr_null(strchr(err.text, '\n'));
    }
    struct api_server *server = NULL;
    struct api_error err;
    struct api_server_options options = {.listen = "0.0.0.0:8470", .version = "1"};
    ck_assert_int_eq(api_server_create(&options, &server, &err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "listen on 127.0.0.1:8470"));
}
END_TEST

START_TEST(a_port_in_use_is_said_so)
{
    struct api_server *server = NULL;
    struct api_error err;
    struct api_server_options options = {.listen = harness_host(&harness), .version = "1"};
    ck_assert_int_eq(api_server_create(&options, &server, &err), -EADDRINUSE);
    ck_assert_ptr_nonnull(strstr(err.text, harness_host(&harness)));
}
END_TEST

START_TEST(ipv6_loopback_serves_as_well)
{
    struct harness v6;
    struct response response;
    harness_start(&v6, (struct api_server_options){.listen = "[::1]:0"});
    ck_assert_int_eq(strncmp(api_server_url(v6.server), "http://[::1]:", 13), 0);
    ck_assert_int_eq(harness_ask(&v6, "GET", "/livez", NULL, NULL, &response), 200);
    response_finish(&response);
    harness_stop(&v6);
}
END_TEST

int main(void)
{
    TCase *routes = tcase_create("routes");
    tcase_set_timeout(routes, 120);
    tcase_add_checked_fixture(routes, set_up, tear_down);
    tcase_add_test(routes, every_route_reaches_who_answers_it);
    tcase_add_test(routes, the_servers_own_answers_are_right);
    tcase_add_test(routes, a_page_becomes_a_list_with_the_next_cursor);
    tcase_add_test(routes, the_filters_of_a_query_reach_the_backend);
    tcase_add_test(routes, a_summary_has_the_filters_of_a_list_and_what_to_count_by);
    tcase_add_test(routes, the_body_reaches_the_backend_whole);
    tcase_add_test(routes, a_chunked_body_is_taken_too);
    tcase_add_test(routes, every_answer_carries_the_security_headers);
    tcase_add_test(routes, only_the_page_may_show_pictures_and_nothing_may_run);
    tcase_add_test(routes, a_page_is_made_of_what_can_be_told);
    tcase_add_test(routes, head_answers_like_get_without_a_body);
    tcase_add_test(routes, a_wrong_request_gets_the_problem_that_says_so);
    tcase_add_test(routes, a_problem_says_what_it_is_and_where_that_is_described);
    tcase_add_test(routes, a_method_that_is_not_allowed_is_told_which_are);
    tcase_add_test(routes, a_patch_may_call_itself_one_and_a_command_needs_no_body);
    tcase_add_test(routes, a_patch_of_another_type_is_told_which_are_taken);
    tcase_add_test(routes, a_request_happens_only_under_its_conditions);
    tcase_add_test(routes, an_answer_carries_its_tag_unless_it_is_a_problem);
    tcase_add_test(routes, a_busy_backend_says_when_to_come_back);
    tcase_add_test(routes, host_must_be_loopback_with_this_port);
    tcase_add_test(routes, an_absolute_target_must_name_this_server_too);
    tcase_add_test(routes, a_request_without_host_is_refused);
    tcase_add_test(routes, what_is_no_http_is_refused_and_closed);
    tcase_add_test(routes, a_malformed_length_is_refused_and_closed);
    tcase_add_test(routes, the_listener_takes_only_loopback_addresses);
    tcase_add_test(routes, a_port_in_use_is_said_so);
    tcase_add_test(routes, ipv6_loopback_serves_as_well);
    return suite_run("api/routes", &routes, 1);
}
