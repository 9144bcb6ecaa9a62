/* The HTTP server: routes, limits, problem+json errors and the event stream, on libmicrohttpd.
 *
 * It has no thread and no loop of its own. The owner watches api_server_fd (readable), calls
 * api_server_run when it is readable, when the timeout has passed and after completing requests
 * from elsewhere, and asks for the timeout again after each call. Backend functions are called
 * from api_server_run, and may complete their request at once.
 *
 * Limits (docs/architecture.md, "HTTP"): loopback only; 256 connections, of which 192 may be
 * event streams and 12 live pictures; header pool 16 KiB, URI 2 KiB, body 64 KiB, JSON depth
 * 16; 10 s absolute per request (the event stream and live pictures excepted, which must take
 * what is written to them); Content-Length together with Transfer-Encoding is refused; Host
 * must name loopback and this port.
 *
 * Thread: every call on the thread that created it. */
#ifndef API_SERVER_H
#define API_SERVER_H

#include <stdbool.h>

#include "api/backend.h"
#include "record/histogram.h"

struct api_server;

struct api_error {
    char text[256];
};

struct api_server_options {
    const char *listen; /* "127.0.0.1:8470", "[::1]:0"; port 0: any free one */
    const char *version;
    const struct api_backend *backend; /* borrowed until destroy */
    void *app;                         /* first argument of every backend function */
    int request_deadline_ms;           /* 0: 10 000 */
    int heartbeat_ms;                  /* of the event stream; 0: 15 000 */
};

/* -EINVAL for an address that does not parse or is not loopback, -EADDRINUSE, -errno; each with
 * one line. */
int api_server_create(const struct api_server_options *options, struct api_server **ret_server,
                      struct api_error *err);

/* Closes the listener and every connection. Requests that the backend has not completed stay
 * valid until it does; their answers go nowhere. Not from inside a backend function. NULL is
 * fine. */
void api_server_destroy(struct api_server *server);

/* Stops accepting, ends event streams and closes idle connections; what is being asked and
 * answered may finish. */
void api_server_drain(struct api_server *server);

/* Requests the backend has not completed. */
size_t api_server_pending(const struct api_server *server);

int api_server_fd(const struct api_server *server); /* an epoll descriptor */
void api_server_run(struct api_server *server);
int api_server_timeout_ms(struct api_server *server); /* -1: none; call after every run */

/* "http://127.0.0.1:8470": where it really listens. */
const char *api_server_url(const struct api_server *server);

/* Tells subscribers of GET /events a record that the store has committed: its text, in order of
 * seq. -EINVAL for text that is no record, -ENOMEM; subscribers then get it from the store. */
int api_server_publish(struct api_server *server, int64_t seq, const char *text);

/* Tells who follows a job that there are events of it the backend was not asked for yet. */
void api_server_job_changed(struct api_server *server, const char *id);

/* For /metrics. Those with a 64 bit type count since creation, the others are now. */
struct api_server_stats {
    int64_t requests;
    int64_t responses[6];    /* by status class, [2] = 2xx */
    int64_t deadline_closed; /* requests cut off or given up at the deadline */
    int64_t pictures;        /* taken for viewers of live pictures */
    int connections, subscribers, viewers;
};
void api_server_get_stats(const struct api_server *server, struct api_server_stats *ret_stats);

/* How long it took from the request line until the answer was ready to be sent: by route, as
 * api_server_get_route counts them and one more for requests that reached none, and by class of
 * status (1 to 5). NULL after the last route. Belongs to the server. */
const struct histogram *api_server_get_latency(const struct api_server *server, size_t route,
                                               int status_class);

/* The route table as data, for the test that holds it against openapi.yaml. */
#define API_ROUTE_PARAMETERS_MAX 16
struct api_route_info {
    const char *method;
    const char *path;  /* as in openapi.yaml: /api/v1/streams/{name} */
    const char *scope; /* what a key will have to allow: open, read, events, control */
    bool has_body;
    int parameter_count;
    const char *parameters[API_ROUTE_PARAMETERS_MAX]; /* of the query */
};

/* 0, or -ENOENT after the last. */
int api_server_get_route(size_t index, struct api_route_info *ret_info);

#endif
