/* A real server on a loopback port, real sockets for clients, and an application made up for
 * the test, all in one thread: harness_step gives each of them a turn.
 *
 * Everything waits for something that happens, with a limit of 10 s (60 s under a sanitizer)
 * that fails the test. */
#ifndef TESTS_API_HARNESS_H
#define TESTS_API_HARNESS_H

#include "api/server.h"
#include "tests/suite.h"

#define HARNESS_CLIENTS_MAX 320
#define HARNESS_HELD_MAX    64

struct client {
    int fd;
    char *data; /* received and not yet taken; NUL-terminated */
    size_t size;
    bool closed; /* the server has closed its end, or the connection broke */
    bool paused; /* does not read */
};

/* One answer taken off a client's data. */
struct response {
    int status;
    char head[4096];
    char *body; /* NUL-terminated */
    size_t size;
};

struct harness {
    struct api_server *server;
    struct client *clients[HARNESS_CLIENTS_MAX];
    int client_count;

    /* The application. Requests are answered at once, or held until harness_release. */
    bool hold;
    struct api_request *held[HARNESS_HELD_MAX];
    int held_count;
    bool store_fails;         /* records_after is answered by a problem */
    bool streams_gone, blind; /* there are no streams, or no pictures, any more */

    /* What it was asked last. */
    char asked[32];
    char name[128];
    struct record_query query;
    unsigned by;
    int64_t after;
    char *config;
    int asked_count;

    /* Its job. */
    int64_t job_events;       /* so many, numbered from 1 */
    int64_t job_events_asked; /* as many were there when it was asked last */
    bool job_over, job_gone;  /* no more come; it is not known any more */

    /* Its store: record texts with seq 1, 2, 3, ... */
    char **records;
    int64_t record_count;
};

void harness_start(struct harness *harness, struct api_server_options options);
void harness_stop(struct harness *harness);
void harness_step(struct harness *harness);

#define HARNESS_WAIT(harness, condition)                                                       \
    do {                                                                                       \
        int64_t limit_ = harness_limit();                                                      \
        while (!(condition)) {                                                                 \
            ck_assert_msg(harness_now() < limit_, "waited in vain for " #condition);           \
            harness_step(harness);                                                             \
        }                                                                                      \
    } while (0)
int64_t harness_now(void);
int64_t harness_limit(void);

/* Steps for a while: for showing that something does not happen. */
void harness_idle(struct harness *harness, int ms);

/* Answers the oldest held request with {"late":true}. */
void harness_release(struct harness *harness);

struct client *harness_connect(struct harness *harness);
void client_send(struct client *client, const char *text);
void client_send_bytes(struct client *client, const void *data, size_t size);
void client_close(struct harness *harness, struct client *client);

/* Sends a request with the right Host. `extra` is more header lines, each with CRLF. */
void client_request(struct harness *harness, struct client *client, const char *method,
                    const char *target, const char *extra, const char *body);

/* Waits for one whole answer and takes it. `head_only` for answers to HEAD. */
void client_receive(struct harness *harness, struct client *client, bool head_only,
                    struct response *ret_response);
void response_finish(struct response *response);
/* The value of a header, or NULL. Valid until the next call. */
const char *response_header(const struct response *response, const char *name);
/* The problem's code, or "" when it is none. Valid until the next call. */
const char *response_code(const struct response *response);

/* One request on a connection of its own; returns the status. */
int harness_ask(struct harness *harness, const char *method, const char *target,
                const char *extra, const char *body, struct response *ret_response);

/* What has arrived of an answer, without the chunked coding: complete chunks only. free(). */
char *client_decode(const struct client *client);

/* The ids of the events that have arrived whole, in order. Returns how many. */
int client_event_ids(const struct client *client, int64_t *ids, int max);

/* "127.0.0.1:PORT" */
const char *harness_host(const struct harness *harness);
int harness_port(const struct harness *harness);

/* Writes a record to the application's store, without publishing it. Returns its seq. */
int64_t harness_commit(struct harness *harness, const char *stream, const char *label);
void harness_publish(struct harness *harness, int64_t seq);

#endif
