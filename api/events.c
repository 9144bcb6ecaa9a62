#include "api/events.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/internal.h"

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
    struct api_sse sse;
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
};

static struct api_subscriber *subscriber_of(struct api_sse *sse)
{
    return (struct api_subscriber *)sse;
}

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
    const struct record_query *filter = &subscriber->sse.request->query.detections;
    return (!filter->stream[0] || strcmp(filter->stream, frame->stream) == 0) &&
           (filter->kind < 0 || filter->kind == (int)frame->kind) &&
           (!filter->label[0] || strcmp(filter->label, frame->label) == 0);
}

/* --- the store's part ------------------------------------------------------------------- */

static void take_page(void *arg, struct api_answer *answer)
{
    const struct record_page *page = answer->page;
    struct api_subscriber *subscriber = arg;
    subscriber->question = NULL;
    if (!page || page->count > API_EVENTS_PAGE) {
        api_sse_end(&subscriber->sse); /* the client comes back, with its Last-Event-ID */
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
            api_sse_end(&subscriber->sse);
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
        subscriber->sse.ended =
            true; /* a full page without one record: the next would be the same */
    }
    api_sse_wake(&subscriber->sse);
}

static void ask_store(struct api_subscriber *subscriber)
{
    struct api_server *server = subscriber->sse.request->server;
    struct api_events *events = &server->events;
    subscriber->live = false;
    struct api_request *question = api_request_create(server);
    if (!question) {
        subscriber->sse.ended = true;
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
    struct api_events *events = &subscriber->sse.request->server->events;
    while (!subscriber->sse.ended) {
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

static const char *next_text(struct api_sse *sse, size_t *ret_size)
{
    struct api_subscriber *subscriber = subscriber_of(sse);
    frame_release(subscriber->frame);
    subscriber->frame = next_frame(subscriber);
    if (!subscriber->frame)
        return NULL;
    *ret_size = subscriber->frame->size;
    return subscriber->frame->text;
}

static void leave(struct api_sse *sse)
{
    struct api_subscriber *subscriber = subscriber_of(sse);
    if (subscriber->question)
        subscriber->question->on_answer_arg = NULL;
    while (subscriber->page_next < subscriber->page_count)
        frame_release(subscriber->page[subscriber->page_next++]);
    frame_release(subscriber->frame);
    free(subscriber);
}

static const struct api_sse_kind records = {.next = next_text, .leave = leave};

/* Where to begin. An id that the ring still covers needs no question to the store. */
static void set_start(struct api_subscriber *subscriber, const struct api_events *events)
{
    int64_t last = subscriber->sse.request->query.last_event_id;
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

void api_events_subscribe(struct api_request *request)
{
    struct api_sse *sse = api_sse_create(request, &records, sizeof(struct api_subscriber));
    if (!sse)
        return;
    set_start(subscriber_of(sse), &request->server->events);
    api_sse_start(sse);
}

/* --- all of them ------------------------------------------------------------------------ */

static void empty_ring(struct api_events *events)
{
    while (events->oldest < events->published)
        frame_release(events->ring[events->oldest++ % API_EVENTS_RING]);
}

void api_events_finish(struct api_events *events)
{
    empty_ring(events);
}

int api_events_publish(struct api_server *server, int64_t seq, const char *text)
{
    struct api_events *events = &server->events;
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
    for (struct api_sse *sse = server->streams.first; sse; sse = sse->following) {
        struct api_subscriber *subscriber = subscriber_of(sse);
        if (sse->kind != &records || !sse->waiting || !subscriber->live || subscriber->question)
            continue; /* it will look for itself */
        if (frame && !is_wanted(subscriber, frame)) {
            subscriber->position = events->published;
            subscriber->cursor = seq;
        } else {
            api_sse_wake(sse);
        }
    }
    return status;
}
