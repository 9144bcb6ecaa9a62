#include "api/sse.h"

#include <stdlib.h>
#include <string.h>

#include "api/internal.h"

/* How soon a client should come back after a broken connection. */
static const char preamble[] = "retry: 2000\n\n";

/* A comment: tells proxies and us that the other end is still there. */
static const char heartbeat[] = ": heartbeat\n\n";

void api_sse_list_init(struct api_sse_list *list, int heartbeat_ms)
{
    memset(list, 0, sizeof *list);
    list->heartbeats.run_ms = heartbeat_ms;
}

void api_sse_wake(struct api_sse *sse)
{
    if (!sse->waiting)
        return;
    struct api_connection *connection = sse->request->connection;
    sse->waiting = false;
    api_timers_stop(&sse->heartbeat_timer);
    api_timers_start(&connection->server->deadlines, &connection->deadline);
    MHD_resume_connection(connection->mhd);
}

void api_sse_end(struct api_sse *sse)
{
    sse->ended = true;
    if (sse->started)
        api_sse_wake(sse);
    else if (!sse->request->answered)
        api_request_reply_problem(sse->request, 503, "stopping",
                                  "vigild is stopping; ask again later");
}

void api_sse_hang_up(struct api_sse *sse)
{
    if (sse->started)
        api_sse_end(sse);
}

void api_sse_tick(struct api_sse_list *list, int64_t now_ms)
{
    struct api_timer *timer;
    while ((timer = api_timers_take_due(&list->heartbeats, now_ms))) {
        struct api_sse *sse = timer->owner;
        sse->heartbeat_due = true;
        api_sse_wake(sse);
    }
}

void api_sse_end_all(struct api_sse_list *list)
{
    for (struct api_sse *sse = list->first; sse; sse = sse->following)
        api_sse_end(sse);
}

/* --- sending ------------------------------------------------------------------------------ */

static bool next_text(struct api_sse *sse)
{
    sse->sent = 0;
    sse->text = sse->kind->next(sse, &sse->size);
    if (!sse->text && sse->heartbeat_due && !sse->ended) {
        sse->text = heartbeat;
        sse->size = sizeof heartbeat - 1;
    }
    sse->heartbeat_due = false;
    return sse->text;
}

/* Called by libmicrohttpd when the kernel has taken all that was returned before. */
static ssize_t read_stream(void *cls, uint64_t offset, char *buffer, size_t size)
{
    (void)offset;
    struct api_sse *sse = cls;
    struct api_connection *connection = sse->request->connection;
    size_t filled = 0;
    while (filled < size && (sse->text || next_text(sse))) {
        size_t part = sse->size - sse->sent;
        if (part > size - filled)
            part = size - filled;
        memcpy(buffer + filled, sse->text + sse->sent, part);
        filled += part;
        sse->sent += part;
        if (sse->sent == sse->size)
            sse->text = NULL;
    }
    if (filled > 0) {
        api_timers_start(&connection->server->deadlines, &connection->deadline);
        return (ssize_t)filled;
    }
    if (sse->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    api_timers_stop(&connection->deadline);
    api_timers_start(&connection->server->streams.heartbeats, &sse->heartbeat_timer);
    sse->waiting = true;
    MHD_suspend_connection(connection->mhd);
    return 0;
}

static struct MHD_Response *create_response(struct api_sse *sse)
{
    static const char type[] = "text/event-stream";
    const struct api_server *server = sse->request->server;
    if (sse->request->head)
        return api_response_create(server, 200, type, NULL, 0);
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_stream, sse, NULL);
    if (response && api_response_add_headers(server, 200, type, response) < 0) {
        MHD_destroy_response(response);
        response = NULL;
    }
    return response;
}

/* --- coming and going --------------------------------------------------------------------- */

struct api_sse *api_sse_create(struct api_request *request, const struct api_sse_kind *kind,
                               size_t size)
{
    struct api_sse_list *list = &request->server->streams;
    if (list->count >= API_SSE_MAX) {
        api_request_reply_problem(request, 503, "subscribers_full",
                                  "there are as many clients of event streams as there may be: "
                                  "%d; what they tell can be asked for, too",
                                  API_SSE_MAX);
        return NULL;
    }
    struct api_sse *sse = calloc(1, size);
    if (!sse) {
        api_request_reply_problem(request, 500, "no_memory", "no memory to subscribe");
        return NULL;
    }
    /* No one but us completes it. */
    api_request_take_back(request);
    sse->kind = kind;
    sse->request = request;
    sse->heartbeat_timer.owner = sse;
    sse->text = preamble;
    sse->size = sizeof preamble - 1;
    sse->following = list->first;
    if (sse->following)
        sse->following->prev = sse;
    list->first = sse;
    list->count++;
    request->sse = sse;
    return sse;
}

void api_sse_start(struct api_sse *sse)
{
    struct api_request *request = sse->request;
    sse->started = true;
    sse->ended = sse->ended || request->server->draining || request->connection->hung_up.timers;
    api_request_reply_response(request, 200, create_response(sse));
}

void api_sse_leave(struct api_sse *sse)
{
    struct api_sse_list *list = &sse->request->server->streams;
    api_timers_stop(&sse->heartbeat_timer);
    if (sse->prev)
        sse->prev->following = sse->following;
    else
        list->first = sse->following;
    if (sse->following)
        sse->following->prev = sse->prev;
    list->count--;
    sse->kind->leave(sse);
}
