/* Server-sent events on their way: one answer without end, made of texts that come one by one.
 *
 * What the texts are is its kind's business (api/events.h: records; api/progress.h: a job). A
 * stream that has nothing to send is suspended until api_sse_wake, and sends a heartbeat so
 * that both ends notice when the other is gone; one that takes nothing for the server's deadline
 * is closed.
 *
 * Source: HTML Living Standard, section 9.2 (Server-sent events).
 * Thread: the server's. */
#ifndef API_SSE_H
#define API_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "api/timers.h"

/* They keep their connection: these leave the rest of the server's for other requests. */
#define API_SSE_MAX 192

struct api_request;
struct api_sse;

struct api_sse_kind {
    /* The next text, which stays valid until the next call; NULL: there is none, for now or,
     * with `ended`, for ever. */
    const char *(*next)(struct api_sse *sse, size_t *ret_size);
    /* The connection has finished with it: frees it. */
    void (*leave)(struct api_sse *sse);
};

/* The first member of what a kind knows of one. */
struct api_sse {
    const struct api_sse_kind *kind;
    struct api_request *request;
    struct api_sse *prev, *following; /* among the server's */
    const char *text;                 /* what is being sent; NULL: nothing */
    size_t size, sent;
    bool started;                     /* its answer has begun */
    bool waiting;                     /* suspended until there is something to send */
    bool ended;                       /* send no more than what there is */
    struct api_timer heartbeat_timer; /* runs while waiting */
    bool heartbeat_due;
};

/* All of a server. */
struct api_sse_list {
    struct api_sse *first;
    size_t count;
    struct api_timers heartbeats;
};

void api_sse_list_init(struct api_sse_list *list, int heartbeat_ms);

/* One more, of `size` zeroed bytes that begin with a struct api_sse; the request's from here
 * on, and no longer the backend's. NULL when there are as many as there may be, or no memory:
 * the request has been answered. */
struct api_sse *api_sse_create(struct api_request *request, const struct api_sse_kind *kind,
                               size_t size);

/* Completes the request with the stream. Not once it is answered. */
void api_sse_start(struct api_sse *sse);

/* There is something to send, or it has ended. */
void api_sse_wake(struct api_sse *sse);

/* Sends what is being sent, and then no more. One that has not started is answered: stopping. */
void api_sse_end(struct api_sse *sse);

/* The client has closed its end. */
void api_sse_hang_up(struct api_sse *sse);

/* The connection has finished with it. */
void api_sse_leave(struct api_sse *sse);

/* Sends the heartbeats that are due. */
void api_sse_tick(struct api_sse_list *list, int64_t now_ms);

/* Ends every one. */
void api_sse_end_all(struct api_sse_list *list);

#endif
