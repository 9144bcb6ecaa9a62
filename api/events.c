#include "api/events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"

/* How soon a client should come back after a broken connection. */
static const char preamble[] = "retry: 2000\n\n";

/* A comment: tells proxies and us that the other end is still there. */
static const char heartbeat[] = ": heartbeat\n\n";

/* A record as it goes over the wire. */
struct api_frame {
    unsigned references;
    int64_t seq;
    enum record_kind kind;
    char stream[RECORD_NAME_SIZE];
    char label[RECORD_LABEL_SIZE];
    size_t size;
    char text[];
};

struct api_subscriber {
    struct api_request *request;
    struct api_subscriber *prev, *next;
    int64_t cursor; /* everything up to this seq is dealt with; -1: nothing seen yet */
    bool live;      /* reads the ring, from `position`; else asks the store */
    uint64_t position;

    struct api_request *question; /* with the backend: records after the cursor */
    uint64_t asked_position;      /* `published` and `last_seq` when it was asked */
    int64_t asked_last_seq;
    bool confirming; /* the first question includes the event the client says it has seen */
    struct api_frame *page[API_EVENTS_PAGE];
    int page_count, page_next;

    struct api_frame *frame; /* being sent; NULL for the preamble and heartbeats */
    const char *text;        /* what is being sent; NULL: nothing */
    size_t size, sent;
    bool waiting;                     /* suspended until there is something to send */
    bool ended;                       /* send no more */
    struct api_timer heartbeat_timer; /* runs while waiting */
    bool heartbeat_due;
};

/* --- frames ----------------------------------------------------------------------------- */

/* `seq` < 0: the record's own. -EINVAL for what is no record, -ENOMEM. */
static int frame_create(int64_t seq, const char *text, struct api_frame **ret_frame)
{
    struct record record;
    struct record_error err;
    size_t length = strlen(text);
    if (record_from_text(text, length, &record, &err) < 0 || strpbrk(text, "\r\n"))
        return -EINVAL;
    if (seq < 0)
        seq = record.seq;
    size_t capacity = length + 96;
    struct api_frame *frame = malloc(sizeof *frame + capacity);
    if (!frame)
        return -ENOMEM;
    frame->references = 1;
    frame->seq = seq;
    frame->kind = record.kind;
    memcpy(frame->stream, record.stream, sizeof frame->stream);
    memcpy(frame->label, record.label, sizeof frame->label);
    frame->size =
        (size_t)snprintf(frame->text, capacity, "id: %lld\nevent: detection.%s\ndata: %s\n\n",
                         (long long)seq, record_phase_name(record.phase), text);
    *ret_frame = frame;
    return 0;
}

static void frame_release(struct api_frame *frame)
{
    if (frame && --frame->references == 0)
        free(frame);
}

static bool is_wanted(const struct api_subscriber *subscriber, const struct api_frame *frame)
{
    const struct record_query *filter = &subscriber->request->query.detections;
    return (!filter->stream[0] || strcmp(filter->stream, frame->stream) == 0) &&
           (filter->kind < 0 || filter->kind == (int)frame->kind) &&
           (!filter->label[0] || strcmp(filter->label, frame->label) == 0);
}

/* --- waking ----------------------------------------------------------------------------- */

static void wake(struct api_subscriber *subscriber)
{
    if (!subscriber->waiting)
        return;
    struct api_connection *connection = subscriber->request->connection;
    subscriber->waiting = false;
    api_timers_stop(&subscriber->heartbeat_timer);
    api_timers_start(&connection->server->deadlines, &connection->deadline);
    MHD_resume_connection(connection->mhd);
}

static void end(struct api_subscriber *subscriber)
{
    subscriber->ended = true;
    wake(subscriber);
}

void api_events_hang_up(struct api_subscriber *subscriber)
{
    end(subscriber);
}

void api_events_tick(struct api_events *events, int64_t now_ms)
{
    struct api_timer *timer;
    while ((timer = api_timers_take_due(&events->heartbeats, now_ms))) {
        struct api_subscriber *subscriber = timer->owner;
        subscriber->heartbeat_due = true;
        wake(subscriber);
    }
}

void api_events_end(struct api_events *events)
{
    for (struct api_subscriber *s = events->subscribers; s; s = s->next)
        end(s);
}

/* --- the store's part ------------------------------------------------------------------- */

static void take_page(void *arg, struct api_answer *answer)
{
    const struct record_page *page = answer->page;
    struct api_subscriber *subscriber = arg;
    subscriber->question = NULL;
    if (!page || page->count > API_EVENTS_PAGE) {
        end(subscriber); /* the client comes back, with its Last-Event-ID */
        return;
    }
    subscriber->page_count = subscriber->page_next = 0;
    /* Neither the event the client speaks of nor any later one exists: its id is from another
     * database, and waiting for higher ones could last for ever. */
    if (subscriber->confirming && page->count == 0)
        subscriber->cursor = subscriber->asked_last_seq > 0 ? subscriber->asked_last_seq : -1;
    subscriber->confirming = false;
    int64_t begin = subscriber->cursor;
    for (size_t i = 0; i < page->count; i++) {
        struct api_frame *frame;
        int status = frame_create(-1, page->texts[i], &frame);
        if (status == -ENOMEM) {
            end(subscriber);
            return;
        }
        if (status < 0)
            continue;
        bool fresh = frame->seq > subscriber->cursor;
        if (fresh)
            subscriber->cursor = frame->seq;
        if (fresh && is_wanted(subscriber, frame))
            subscriber->page[subscriber->page_count++] = frame;
        else
            frame_release(frame);
    }
    /* A page that is not full was all there was when it was asked for; what has been published
     * since lies in the ring from asked_position on, unless the ring has moved on. */
    if (page->count < API_EVENTS_PAGE) {
        subscriber->live = true;
        subscriber->position = subscriber->asked_position;
    } else if (subscriber->cursor == begin) {
        subscriber->ended =
            true; /* a full page without one record: the next would be the same */
    }
    wake(subscriber);
}

static void ask_store(struct api_subscriber *subscriber)
{
    struct api_server *server = subscriber->request->server;
    struct api_events *events = &server->events;
    subscriber->live = false;
    struct api_request *question = api_request_create(server);
    if (!question) {
        subscriber->ended = true;
        return;
    }
    if (subscriber->cursor < 0)
        subscriber->cursor = events->first_seq - 1;
    int64_t after = subscriber->cursor;
    if (subscriber->confirming && after > 0)
        after--;
    question->on_answer = take_page;
    question->on_answer_arg = subscriber;
    subscriber->question = question;
    subscriber->asked_position = events->published;
    subscriber->asked_last_seq = events->last_seq;
    api_request_hand_over(question);
    server->backend->records_after(server->app, question, after, API_EVENTS_PAGE);
}

/* --- one subscriber --------------------------------------------------------------------- */

/* The next frame for this subscriber, a reference; NULL when it must wait or has ended. */
static struct api_frame *next_frame(struct api_subscriber *subscriber)
{
    struct api_events *events = &subscriber->request->server->events;
    while (!subscriber->ended) {
        if (subscriber->page_next < subscriber->page_count)
            return subscriber->page[subscriber->page_next++];
        if (subscriber->question)
            return NULL;
        if (!subscriber->live || subscriber->position < events->oldest) {
            ask_store(subscriber);
            continue;
        }
        if (subscriber->position == events->published)
            return NULL;
        struct api_frame *frame = events->ring[subscriber->position++ % API_EVENTS_RING];
        if (frame->seq <= subscriber->cursor)
            continue;
        subscriber->cursor = frame->seq;
        if (is_wanted(subscriber, frame)) {
            frame->references++;
            return frame;
        }
    }
    return NULL;
}

static bool next_text(struct api_subscriber *subscriber)
{
    frame_release(subscriber->frame);
    subscriber->frame = next_frame(subscriber);
    subscriber->text = NULL;
    subscriber->sent = 0;
    if (subscriber->frame) {
        subscriber->text = subscriber->frame->text;
        subscriber->size = subscriber->frame->size;
    } else if (subscriber->heartbeat_due && !subscriber->ended) {
        subscriber->text = heartbeat;
        subscriber->size = sizeof heartbeat - 1;
    }
    subscriber->heartbeat_due = false;
    return subscriber->text;
}

/* Called by libmicrohttpd when the kernel has taken all that was returned before. */
static ssize_t read_stream(void *cls, uint64_t offset, char *buffer, size_t size)
{
    (void)offset;
    struct api_subscriber *subscriber = cls;
    struct api_connection *connection = subscriber->request->connection;
    size_t filled = 0;
    while (filled < size && (subscriber->text || next_text(subscriber))) {
        size_t part = subscriber->size - subscriber->sent;
        if (part > size - filled)
            part = size - filled;
        memcpy(buffer + filled, subscriber->text + subscriber->sent, part);
        filled += part;
        subscriber->sent += part;
        if (subscriber->sent == subscriber->size)
            subscriber->text = NULL;
    }
    if (filled > 0) {
        api_timers_start(&connection->server->deadlines, &connection->deadline);
        return (ssize_t)filled;
    }
    if (subscriber->ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    api_timers_stop(&connection->deadline);
    api_timers_start(&connection->server->events.heartbeats, &subscriber->heartbeat_timer);
    subscriber->waiting = true;
    MHD_suspend_connection(connection->mhd);
    return 0;
}

/* Where to begin. An id that the ring still covers needs no question to the store. */
static void set_start(struct api_subscriber *subscriber, const struct api_events *events)
{
    int64_t last = subscriber->request->query.last_event_id;
    if (last == API_NO_EVENT_ID) {
        subscriber->cursor = events->last_seq > 0 ? events->last_seq : -1;
        subscriber->position = events->published;
        subscriber->live = true;
        return;
    }
    subscriber->cursor = last;
    subscriber->confirming = true;
    if (events->oldest < events->published && last <= events->last_seq &&
        last >= events->ring[events->oldest % API_EVENTS_RING]->seq - 1) {
        subscriber->position = events->oldest;
        subscriber->live = true;
        subscriber->confirming = false;
    }
}

static struct MHD_Response *create_response(const struct api_server *server,
                                            struct api_subscriber *subscriber)
{
    static const char type[] = "text/event-stream";
    if (!subscriber) /* HEAD */
        return api_response_create(server, 200, type, NULL, 0);
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, 4096, read_stream, subscriber, NULL);
    if (response && api_response_add_headers(server, 200, type, response) < 0) {
        MHD_destroy_response(response);
        response = NULL;
    }
    return response;
}

void api_events_subscribe(struct api_request *request)
{
    struct api_server *server = request->server;
    struct api_subscriber *subscriber = NULL;
    if (server->events.subscriber_count >= API_EVENTS_SUBSCRIBERS_MAX) {
        api_request_reply_problem(request, 503, "subscribers_full",
                                  "there are as many clients of the event stream as there may "
                                  "be: %d; GET /api/v1/detections is still there",
                                  API_EVENTS_SUBSCRIBERS_MAX);
        return;
    }
    if (!request->head) {
        subscriber = calloc(1, sizeof *subscriber);
        if (!subscriber) {
            api_request_reply_problem(request, 500, "no_memory", "no memory to subscribe");
            return;
        }
        subscriber->request = request;
        subscriber->heartbeat_timer.owner = subscriber;
        subscriber->text = preamble;
        subscriber->size = sizeof preamble - 1;
        subscriber->ended = server->draining || request->connection->hung_up.timers;
        set_start(subscriber, &server->events);
        subscriber->next = server->events.subscribers;
        if (subscriber->next)
            subscriber->next->prev = subscriber;
        server->events.subscribers = subscriber;
        server->events.subscriber_count++;
        request->subscriber = subscriber;
    }
    api_request_reply_response(request, 200, create_response(server, subscriber));
}

void api_events_leave(struct api_subscriber *subscriber)
{
    struct api_events *events = &subscriber->request->server->events;
    api_timers_stop(&subscriber->heartbeat_timer);
    if (subscriber->prev)
        subscriber->prev->next = subscriber->next;
    else
        events->subscribers = subscriber->next;
    if (subscriber->next)
        subscriber->next->prev = subscriber->prev;
    events->subscriber_count--;
    if (subscriber->question)
        subscriber->question->on_answer_arg = NULL;
    while (subscriber->page_next < subscriber->page_count)
        frame_release(subscriber->page[subscriber->page_next++]);
    frame_release(subscriber->frame);
    free(subscriber);
}

/* --- all of them ------------------------------------------------------------------------ */

void api_events_init(struct api_events *events, int heartbeat_ms)
{
    memset(events, 0, sizeof *events);
    events->heartbeats.run_ms = heartbeat_ms;
}

static void empty_ring(struct api_events *events)
{
    while (events->oldest < events->published)
        frame_release(events->ring[events->oldest++ % API_EVENTS_RING]);
}

void api_events_finish(struct api_events *events)
{
    empty_ring(events);
}

int api_events_publish(struct api_events *events, int64_t seq, const char *text)
{
    struct api_frame *frame = NULL;
    int status = frame_create(seq, text, &frame);
    if (status < 0) {
        /* An empty ring sends every subscriber to the store, which has the record. */
        empty_ring(events);
        events->oldest++;
    } else {
        if (events->published - events->oldest == API_EVENTS_RING)
            frame_release(events->ring[events->oldest++ % API_EVENTS_RING]);
        events->ring[events->published % API_EVENTS_RING] = frame;
    }
    events->published++;
    if (events->first_seq == 0)
        events->first_seq = seq;
    events->last_seq = seq;
    for (struct api_subscriber *s = events->subscribers; s; s = s->next) {
        if (!s->waiting || !s->live || s->question)
            continue; /* it will look for itself */
        if (frame && !is_wanted(s, frame)) {
            s->position = events->published;
            s->cursor = seq;
        } else {
            wake(s);
        }
    }
    return status;
}
