/* What the API asks of detections, answered by a reader of the store in libuv's pool. */
#include "daemon/app_private.h"

#include <errno.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

enum asked { ASKED_LIST, ASKED_SUMMARY, ASKED_ONE, ASKED_AFTER };

struct detection_query {
    struct query query;
    struct api_request *request;
    enum asked asked;
    struct record_query filter;
    unsigned by;
    char id[RECORD_ID_SIZE];
    int64_t after;
    int limit;
    struct record_page page;
    char *text;
};

static int summarize(struct detection_query *query, struct store *reader,
                     struct store_error *err)
{
    struct record_summary summary;
    int r = store_summarize(reader, &query->filter, query->by, &summary, err);
    if (r < 0)
        return r;
    query->text = record_summary_to_text(&summary);
    record_summary_finish(&summary);
    return query->text ? 0 : -ENOMEM;
}

static int query_work(struct query *base, struct store *reader, struct store_error *err)
{
    struct detection_query *query = (struct detection_query *)base;
    switch (query->asked) {
    case ASKED_LIST:
        return store_query_detections(reader, &query->filter, &query->page, err);
    case ASKED_SUMMARY:
        return summarize(query, reader, err);
    case ASKED_ONE:
        return store_get_detection(reader, query->id, &query->text, err);
    case ASKED_AFTER:
        return store_records_after(reader, query->after, query->limit, &query->page, err);
    }
    return -EINVAL;
}

static void reply_query_problem(const struct detection_query *query, int result,
                                const struct store_error *err)
{
    struct api_request *request = query->request;
    if (result == -ENOENT && query->asked == ASKED_ONE)
        api_request_reply_problem(request, 404, "detection_unknown", "there is no detection %s",
                                  query->id);
    else if (result == -EINVAL && query->asked == ASKED_LIST)
        api_request_reply_problem(
            request, 400, "cursor_invalid",
            "the cursor does not belong to this query; start without one");
    else if (result == -E2BIG)
        api_request_reply_problem(
            request, 422, "summary_too_large",
            "there would be over %d groups; narrow since and until, or name less in by",
            RECORD_GROUPS_MAX);
    else if (result == -ETIMEDOUT)
        api_request_reply_problem(
            request, 503, "store_busy",
            "the query took longer than %d ms; narrow it by stream or time", QUERIES_CAP_MS);
    else
        api_request_reply_problem(request, 503, "store_failed", "the store cannot be read: %s",
                                  err->text);
}

static void query_done(struct query *base, int result, const struct store_error *err)
{
    struct detection_query *query = (struct detection_query *)base;
    if (result < 0) {
        reply_query_problem(query, result, err);
    } else if (query->asked == ASKED_SUMMARY) {
        api_request_reply_data(query->request, 200, "application/json", query->text,
                               strlen(query->text));
        query->text = NULL; /* taken */
    } else if (query->asked == ASKED_ONE) {
        api_request_reply_json(query->request, 200, json_loads(query->text, 0, NULL));
    } else {
        api_request_reply_page(query->request, &query->page);
    }
    free(query->text);
    record_page_finish(&query->page);
    g_free(query);
}

static struct detection_query *query_new(struct api_request *request, enum asked asked)
{
    struct detection_query *query = g_new0(struct detection_query, 1);
    query->query.work = query_work;
    query->query.done = query_done;
    query->request = request;
    query->asked = asked;
    return query;
}

static void query_submit(struct app *app, struct detection_query *query)
{
    struct api_request *request = query->request;
    if (app->phase == APP_RUNNING && queries_ask(app->queries, &query->query) == 0)
        return;
    g_free(query);
    if (app->phase != APP_RUNNING)
        app_reply_stopping(request);
    else
        api_request_reply_problem(request, 503, "store_busy",
                                  "too many queries wait for the store; ask again");
}

void app_list_detections(void *owner, struct api_request *request,
                         const struct record_query *filter)
{
    struct detection_query *query = query_new(request, ASKED_LIST);
    query->filter = *filter;
    query_submit(owner, query);
}

void app_summarize_detections(void *owner, struct api_request *request,
                              const struct record_query *filter, unsigned by)
{
    struct detection_query *query = query_new(request, ASKED_SUMMARY);
    query->filter = *filter;
    query->by = by;
    query_submit(owner, query);
}

void app_get_detection(void *owner, struct api_request *request, const char *id)
{
    struct detection_query *query = query_new(request, ASKED_ONE);
    g_strlcpy(query->id, id, sizeof query->id);
    query_submit(owner, query);
}

void app_records_after(void *owner, struct api_request *request, int64_t after, int limit)
{
    struct detection_query *query = query_new(request, ASKED_AFTER);
    query->after = after;
    query->limit = limit;
    query_submit(owner, query);
}
