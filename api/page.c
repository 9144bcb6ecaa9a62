/* Two questions of the server's own, and a page made of their answers. The client's request
 * counts as with the backend meanwhile, so that it outlives a client that leaves. */
#include "api/page.h"

#include <stdlib.h>
#include <string.h>

#include "api/html.h"
#include "api/internal.h"

struct page {
    struct api_request *request;
    json_t *streams;
    struct record detections[API_PAGE_DETECTIONS];
    int detection_count;
    int missing; /* answers */
    char version[32];
};

static void finish(struct page *page)
{
    struct api_request *request = page->request;
    struct api_html_page content = {
        .version = page->version,
        .refresh_s = request->query.refresh_s,
        .streams = page->streams,
        .detections = page->detections,
        .detection_count = page->detection_count,
    };
    char *text = api_html_write(&content);
    if (text)
        api_request_reply_data(request, 200, "text/html; charset=utf-8", text, strlen(text));
    else
        api_request_reply_problem(request, 500, "no_memory", "no memory for the page");
    json_decref(page->streams);
    free(page);
}

static void take_streams(void *arg, struct api_answer *answer)
{
    struct page *page = arg;
    if (answer->status == 200)
        page->streams = json_incref(json_object_get(answer->json, "streams"));
    if (--page->missing == 0)
        finish(page);
}

static void take_detections(void *arg, struct api_answer *answer)
{
    struct page *page = arg;
    struct record_error err;
    page->detection_count = answer->page ? 0 : -1;
    for (size_t i = 0; answer->page && i < answer->page->count; i++) {
        struct record *record = &page->detections[page->detection_count];
        const char *text = answer->page->texts[i];
        if (page->detection_count < API_PAGE_DETECTIONS &&
            record_from_text(text, strlen(text), record, &err) == 0)
            page->detection_count++;
    }
    if (--page->missing == 0)
        finish(page);
}

static struct api_request *make_question(struct api_server *server, struct page *page,
                                         void (*on_answer)(void *arg,
                                                           struct api_answer *answer))
{
    struct api_request *question = api_request_create(server);
    if (!question)
        return NULL;
    question->on_answer = on_answer;
    question->on_answer_arg = page;
    api_request_hand_over(question);
    return question;
}

void api_page_show(struct api_request *request)
{
    struct api_server *server = request->server;
    struct page *page = calloc(1, sizeof *page);
    struct api_request *streams = page ? make_question(server, page, take_streams) : NULL;
    struct api_request *detections =
        streams ? make_question(server, page, take_detections) : NULL;
    if (!detections) {
        if (streams) {
            streams->on_answer_arg = NULL;
            api_request_reply_json(streams, 500, NULL);
        }
        free(page);
        api_request_reply_problem(request, 500, "no_memory", "no memory for the page");
        return;
    }
    page->request = request;
    page->missing = 2;
    memcpy(page->version, server->version, sizeof page->version);
    struct record_query query;
    record_query_init(&query);
    query.limit = API_PAGE_DETECTIONS;
    server->backend->list_streams(server->app, streams);
    server->backend->list_detections(server->app, detections, &query);
}
