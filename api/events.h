/* The event stream: records as server-sent events, to many subscribers.
 *
 * Each subscriber is a cursor over one sequence of records that exists twice: the newest
 * API_EVENTS_RING of them here in memory, all of them in the store. Whoever is near the end
 * reads from memory; whoever resumes from an older event, or reads so slowly that memory has
 * moved on, reads pages from the store until memory takes over again. No record is left out or
 * sent twice, and no subscriber holds more than one page.
 *
 * Thread: the server's. */
#ifndef API_EVENTS_H
#define API_EVENTS_H

#include "api/sse.h"
#include "record/record.h"

#define API_EVENTS_RING 512
#define API_EVENTS_PAGE 64

struct api_frame;
struct api_request;
struct api_server;

struct api_events {
    struct api_frame *ring[API_EVENTS_RING];
    uint64_t oldest, published;  /* positions: of the first frame kept, and after the last */
    int64_t first_seq, last_seq; /* ever published; 0: none yet */
};

void api_events_finish(struct api_events *events); /* after every subscriber has left */

/* As api_server_publish. */
int api_events_publish(struct api_server *server, int64_t seq, const char *text);

/* Completes a GET /events with a response that goes on until either side ends it, or with a
 * problem. */
void api_events_subscribe(struct api_request *request);

#endif
