/* What the files of this folder share: one server, its connections and the requests on them.
 *
 * A connection (server.c) lives as long as its socket. A request (request.c) begins with its
 * request line and is freed when both have let go of it: its connection, because the answer is
 * sent or the client has left, and the backend, because it has completed it.
 *
 *     request line    server.c   target parsed, request made
 *     headers         admit.c    refused, or a route with valid parameters
 *     body            server.c   collected, at most API_BODY_MAX
 *     all received    routes.c   body parsed, backend asked; suspended unless answered at once
 *     completed       request.c  response made, connection resumed
 *
 * Thread: the server's. */
#ifndef API_INTERNAL_H
#define API_INTERNAL_H

#include <microhttpd.h>

#include "api/address.h"
#include "api/etag.h"
#include "api/events.h"
#include "api/live.h"
#include "api/progress.h"
#include "api/query.h"
#include "api/sse.h"
#include "api/target.h"
#include "api/timers.h"

#define API_ROUTES_MAX 48

struct api_route;

struct api_connection {
    struct api_server *server;
    struct MHD_Connection *mhd;
    int fd;
    struct api_timer deadline;   /* of the request, or of waiting for one */
    struct api_timer hung_up;    /* runs once the client has closed its end */
    struct api_request *request; /* NULL between requests */
    bool used;                   /* a request has ended on it */
};

/* What the backend says to a question: a status and, of success, one of the others. Freed after
 * on_answer, which may take a member by setting it to NULL. */
struct api_answer {
    int status;
    const struct record_page *page;
    json_t *json;
    void *data; /* malloc */
    size_t size;
};

struct api_request {
    struct api_server *server;         /* NULL once it is gone */
    struct api_connection *connection; /* NULL: nobody waits for an answer */
    struct api_request *prev, *next;   /* among the server's pending ones */
    bool with_backend;

    const struct api_route *route;
    struct api_target target;
    int target_status; /* of api_target_parse */
    struct api_error target_error;
    struct api_query query;
    const char *name; /* the {name} or {id} of the path, valid */
    bool admitted, head;
    bool must_close;                /* what follows on the connection cannot be trusted */
    char *if_match, *if_none_match; /* valid; NULL: absent */
    char etag[API_ETAG_SIZE];       /* for the answer, with its quotes; "": none */

    char *body;
    size_t body_size, body_capacity;

    int64_t began_ns; /* CLOCK_MONOTONIC, when its request line was there */
    bool dispatched, suspended, answered;
    int status;
    struct MHD_Response *response; /* until it is queued; NULL without memory */
    struct api_sse *sse;           /* it is answered with an event stream */
    struct api_viewer *viewer;     /* of live pictures */

    /* Set for a question of the server's own, which no client waits for: told the answer, once,
     * unless nobody wants it any more (arg NULL). */
    void (*on_answer)(void *arg, struct api_answer *answer);
    void *on_answer_arg;
};

struct api_server {
    const struct api_backend *backend;
    void *app;
    char version[32];
    char url[API_URL_SIZE];
    uint16_t port;
    int listen_fd; /* -1 once closed */
    int epoll_fd;  /* libmicrohttpd's own, and every connection's socket for its hang-up */
    struct MHD_Daemon *daemon;
    bool draining;
    struct api_timers deadlines, hung_up;
    struct api_request *pending;
    size_t pending_count;
    struct api_sse_list streams;
    struct api_events events;
    struct api_live live;
    struct api_server_stats stats;
    struct histogram latency[API_ROUTES_MAX + 1][6]; /* [][2]: of answers 2xx */
};

/* --- request.c --- */

struct api_request *api_request_create(struct api_server *server);

/* The backend has it from here until it completes it. */
void api_request_hand_over(struct api_request *request);

/* The backend has not heard of it after all: it is completed here. */
void api_request_take_back(struct api_request *request);

/* Completes with a response of libmicrohttpd's; takes it. NULL: no memory, which closes the
 * connection. */
void api_request_reply_response(struct api_request *request, int status,
                                struct MHD_Response *response);

/* Its connection has finished with it. */
void api_request_release(struct api_request *request);

/* The deadline: the client is answered with 504 while the backend keeps the request. */
void api_request_give_up(struct api_request *request);

/* A response with the headers every answer has; takes `data` (malloc), also on failure. */
struct MHD_Response *api_response_create(const struct api_server *server, int status,
                                         const char *content_type, void *data, size_t size);
int api_response_add_headers(const struct api_server *server, int status,
                             const char *content_type, struct MHD_Response *response);

/* A whole 413 answer as bytes, for when libmicrohttpd cannot send one. Caller frees. */
char *api_response_format_too_large(void);

/* --- admit.c --- */

/* Checks everything that the request line and headers say. An inadmissible request is completed
 * with a problem. *ret_has_body: a body is to come. */
void api_request_admit(struct api_request *request, const char *method, bool *ret_has_body);

/* --- routes.c --- */

/* Finds the route; NULL with *ret_known telling whether another method has the path. ret_name
 * is what stands for {name} or NULL; for {name}:verb the segment is cut off before the verb. */
const struct api_route *api_route_find(const char *method, struct api_target *target,
                                       bool *ret_known, const char **ret_name);
/* Its place in the table; that of NULL is after the last. */
size_t api_route_index(const struct api_route *route);
const char *api_route_method(const struct api_route *route);
const struct api_parameter_rule *api_route_parameters(const struct api_route *route);
/* The media types of the body a route takes, "a or b"; NULL: it takes none. */
const char *api_route_media_types(const struct api_route *route);
bool api_route_takes(const struct api_route *route, const char *content_type);
bool api_route_name_is_valid(const struct api_route *route, const char *name);
/* "GET, HEAD, PUT" */
void api_route_format_allow(const struct api_target *target, char *ret_text, size_t size);

/* Parses the body where there is one and asks whoever answers. */
void api_route_dispatch(struct api_request *request);

#endif
