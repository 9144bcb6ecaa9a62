#include "api/internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/body.h"

/* Forbids a browser to run, frame or embed any of it; the one page may show our own pictures
 * and use our own style. */
static const char policy[] = "default-src 'none'; frame-ancestors 'none'";
static const char page_policy[] = "default-src 'none'; img-src 'self'; style-src 'self'; "
                                  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/* What every answer carries beside the policy. */
static const char *const security_headers[][2] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cache-Control", "no-store"},
};
#define SECURITY_HEADER_COUNT (sizeof security_headers / sizeof security_headers[0])

/* Measured values carry no more digits than these. */
#define JSON_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(12))

static const char problem_type[] = "application/problem+json";

int api_response_add_headers(const struct api_server *server, int status,
                             const char *content_type, struct MHD_Response *response)
{
    int failed = 0;
#define ADD(name, value)                                                                       \
    failed |= MHD_add_response_header(response, name, value) == MHD_YES ? 0 : -1
    for (size_t i = 0; i < SECURITY_HEADER_COUNT; i++)
        ADD(security_headers[i][0], security_headers[i][1]);
    bool page = content_type && strncmp(content_type, "text/html", 9) == 0;
    ADD("Content-Security-Policy", page ? page_policy : policy);
    if (content_type)
        ADD("Content-Type", content_type);
    if (status == 503)
        ADD("Retry-After", "1");
    if (server->draining)
        ADD("Connection", "close");
#undef ADD
    return failed;
}

struct MHD_Response *api_response_create(const struct api_server *server, int status,
                                         const char *content_type, void *data, size_t size)
{
    struct MHD_Response *response =
        data ? MHD_create_response_from_buffer(size, data, MHD_RESPMEM_MUST_FREE)
             : MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (!response) {
        free(data);
        return NULL;
    }
    if (api_response_add_headers(server, status, content_type, response) < 0) {
        MHD_destroy_response(response);
        return NULL;
    }
    return response;
}

/* RFC 9457. `type` is relative to this very server and leads to the description. */
static char *format_problem(int status, const char *code, const char *detail)
{
    json_t *problem =
        json_pack("{s:s+, s:s, s:i, s:s, s:s}", "type", "/openapi.json#/x-problems/", code,
                  "title", MHD_get_reason_phrase_for((unsigned)status), "status", status,
                  "code", code, "detail", detail);
    char *text = problem ? json_dumps(problem, JSON_FLAGS) : NULL;
    json_decref(problem);
    return text;
}

static struct MHD_Response *create_problem(const struct api_server *server, int status,
                                           const char *code, const char *detail)
{
    char *text = format_problem(status, code, detail);
    return text ? api_response_create(server, status, problem_type, text, strlen(text)) : NULL;
}

char *api_response_format_too_large(void)
{
    char detail[64];
    snprintf(detail, sizeof detail, "the body is larger than %d bytes", API_BODY_MAX);
    char *problem = format_problem(413, "body_too_large", detail);
    char *text = NULL;
    size_t size;
    FILE *out = problem ? open_memstream(&text, &size) : NULL;
    if (out) {
        fprintf(out,
                "HTTP/1.1 413 %s\r\nConnection: close\r\nContent-Type: %s\r\n"
                "Content-Security-Policy: %s\r\n",
                MHD_get_reason_phrase_for(413), problem_type, policy);
        for (size_t i = 0; i < SECURITY_HEADER_COUNT; i++)
            fprintf(out, "%s: %s\r\n", security_headers[i][0], security_headers[i][1]);
        fprintf(out, "Content-Length: %zu\r\n\r\n%s", strlen(problem), problem);
        if (fclose(out) != 0) {
            free(text);
            text = NULL;
        }
    }
    free(problem);
    return text;
}

/* --- life ------------------------------------------------------------------------------- */

struct api_request *api_request_create(struct api_server *server)
{
    struct api_request *request = calloc(1, sizeof *request);
    if (request)
        request->server = server;
    return request;
}

static void destroy(struct api_request *request)
{
    if (request->response)
        MHD_destroy_response(request->response);
    free(request->body);
    free(request->if_match);
    free(request->if_none_match);
    free(request);
}

void api_request_hand_over(struct api_request *request)
{
    struct api_server *server = request->server;
    request->with_backend = true;
    request->prev = NULL;
    request->next = server->pending;
    if (server->pending)
        server->pending->prev = request;
    server->pending = request;
    server->pending_count++;
}

void api_request_take_back(struct api_request *request)
{
    request->with_backend = false;
    if (!request->server)
        return;
    if (request->prev)
        request->prev->next = request->next;
    else
        request->server->pending = request->next;
    if (request->next)
        request->next->prev = request->prev;
    request->server->pending_count--;
}

void api_request_release(struct api_request *request)
{
    request->connection = NULL;
    if (!request->with_backend)
        destroy(request);
}

static void answer(struct api_request *request, int status, struct MHD_Response *response)
{
    assert(status >= 200 && status < 600);
    if (response && *request->etag && (status < 300 || status == 304) &&
        MHD_add_response_header(response, "ETag", request->etag) != MHD_YES) {
        MHD_destroy_response(response);
        response = NULL;
    }
    request->answered = true;
    request->status = status;
    request->response = response;
    if (request->suspended) {
        request->suspended = false;
        MHD_resume_connection(request->connection->mhd);
    }
}

void api_request_give_up(struct api_request *request)
{
    answer(request, 504,
           create_problem(request->server, 504, "deadline_passed",
                          "this took longer than a request may; ask again"));
}

/* --- completing ------------------------------------------------------------------------- */

/* Takes the request back from the backend. False when nobody waits for the answer: the request
 * is then over, unless its connection is still sending a 504, and must not be touched. */
static bool claim(struct api_request *request)
{
    if (request->with_backend)
        api_request_take_back(request);
    if (!request->connection) {
        destroy(request);
        return false;
    }
    return !request->answered;
}

/* False when it is a client's request and no question of the server's own. */
static bool answer_question(struct api_request *request, struct api_answer *answer)
{
    if (!request->on_answer)
        return false;
    api_request_take_back(request);
    if (request->on_answer_arg)
        request->on_answer(request->on_answer_arg, answer);
    json_decref(answer->json);
    free(answer->data);
    destroy(request);
    return true;
}

void api_request_reply_response(struct api_request *request, int status,
                                struct MHD_Response *response)
{
    if (claim(request))
        answer(request, status, response);
    else if (response)
        MHD_destroy_response(response);
}

void api_request_reply_data(struct api_request *request, int status, const char *content_type,
                            void *data, size_t size)
{
    if (answer_question(request,
                        &(struct api_answer){.status = status, .data = data, .size = size}))
        return;
    if (claim(request))
        answer(request, status,
               api_response_create(request->server, status, content_type, data, size));
    else
        free(data);
}

void api_request_reply_empty(struct api_request *request, int status)
{
    api_request_reply_data(request, status, NULL, NULL, 0);
}

void api_request_reply_json(struct api_request *request, int status, json_t *body)
{
    if (answer_question(request,
                        &(struct api_answer){.status = body ? status : 500, .json = body}))
        return;
    char *text = body ? json_dumps(body, JSON_FLAGS) : NULL;
    json_decref(body);
    if (text)
        api_request_reply_data(request, status, "application/json", text, strlen(text));
    else
        api_request_reply_problem(request, 500, "no_memory", "no memory for the answer");
}

void api_request_reply_problem(struct api_request *request, int status, const char *code,
                               const char *detail_format, ...)
{
    if (answer_question(request, &(struct api_answer){.status = status}) || !claim(request))
        return;
    char detail[512];
    va_list arguments;
    va_start(arguments, detail_format);
    vsnprintf(detail, sizeof detail, detail_format, arguments);
    va_end(arguments);
    answer(request, status, create_problem(request->server, status, code, detail));
}

void api_request_set_etag(struct api_request *request, const char *etag)
{
    snprintf(request->etag, sizeof request->etag, "\"%s\"", etag);
}

bool api_request_check_etag(struct api_request *request, const char *etag)
{
    char tag[API_ETAG_SIZE];
    snprintf(tag, sizeof tag, "\"%s\"", etag ? etag : "");
    bool reading = strcmp(api_route_method(request->route), "GET") == 0;
    switch (
        api_etag_judge(request->if_match, request->if_none_match, etag ? tag : NULL, reading)) {
    case API_ETAG_GO_ON:
        return true;
    case API_ETAG_UNCHANGED:
        api_request_set_etag(request, etag);
        api_request_reply_empty(request, 304);
        return false;
    case API_ETAG_FAILED:
        break;
    }
    if (request->if_match)
        api_request_reply_problem(request, 412, "precondition_failed",
                                  etag ? "it has changed since; read it again and decide anew"
                                       : "there is nothing of this name to match");
    else
        api_request_reply_problem(request, 412, "precondition_failed",
                                  "there is one of this name already");
    return false;
}

/* The texts are JSON already, so that a page costs a copy and no parsing. */
static char *format_page(const struct record_page *page, size_t *ret_size)
{
    json_t *next = page->next[0] ? json_string(page->next) : json_null();
    char *next_text = next ? json_dumps(next, JSON_ENCODE_ANY) : NULL;
    json_decref(next);
    char *text = NULL;
    FILE *out = next_text ? open_memstream(&text, ret_size) : NULL;
    if (out) {
        fputs("{\"detections\":[", out);
        for (size_t i = 0; i < page->count; i++)
            fprintf(out, "%s%s", i ? "," : "", page->texts[i]);
        fprintf(out, "],\"next\":%s}", next_text);
        if (fclose(out) != 0) {
            free(text);
            text = NULL;
        }
    }
    free(next_text);
    return text;
}

void api_request_reply_page(struct api_request *request, struct record_page *page)
{
    struct record_page taken = *page;
    memset(page, 0, sizeof *page);
    if (!answer_question(request, &(struct api_answer){.status = 200, .page = &taken})) {
        size_t size;
        char *text = format_page(&taken, &size);
        if (text)
            api_request_reply_data(request, 200, "application/json", text, size);
        else
            api_request_reply_problem(request, 500, "no_memory", "no memory for the answer");
    }
    record_page_finish(&taken);
}
