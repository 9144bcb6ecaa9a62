/* All the API knows of the application: a table of questions, answered now or later.
 *
 * Each function receives a request and completes it exactly once, at once or after its own
 * asynchronous work, with one of api_request_reply_*. The server keeps the client's connection
 * suspended until then; a client that leaves meanwhile changes nothing for the backend: the
 * request stays valid until completed. Arguments are borrowed for the call.
 *
 * Thread: everything here runs on the thread that runs the server. */
#ifndef API_BACKEND_H
#define API_BACKEND_H

#include <jansson.h>

#include "record/summary.h"

struct api_request;

/* Completes with a JSON body. Takes `body`; NULL (no memory) becomes a 500. */
void api_request_reply_json(struct api_request *request, int status, json_t *body);

/* Completes without a body (204). */
void api_request_reply_empty(struct api_request *request, int status);

/* Completes with bytes of a content type. Takes `data` (malloc). */
void api_request_reply_data(struct api_request *request, int status, const char *content_type,
                            void *data, size_t size);

/* Completes with application/problem+json (RFC 9457). `code` is stable and documented in
 * openapi.yaml ("stream_unknown"); the detail is one sentence: what, where, what to do. */
void api_request_reply_problem(struct api_request *request, int status, const char *code,
                               const char *detail_format, ...)
    __attribute__((format(printf, 4, 5)));

/* The answer, when it succeeds, carries this strong entity tag: 1 to 64 printable ASCII
 * characters but quotes. Before completing. */
void api_request_set_etag(struct api_request *request, const char *etag);

/* Whether If-Match and If-None-Match allow what is asked, given the tag of what is there now
 * (NULL: nothing is). When they do not the request is completed (412 precondition_failed, 304
 * for GET) and no longer the backend's. To be asked last, when all else would succeed. */
bool api_request_check_etag(struct api_request *request, const char *etag);

/* Completes a detections or a records question: takes the page's content (leaves it empty). */
void api_request_reply_page(struct api_request *request, struct record_page *page);

struct api_backend {
    /* GET /streams; answers {"streams":[...]}. Credentials never appear. */
    void (*list_streams)(void *app, struct api_request *request);
    /* GET /streams/{name}; configuration and status. 404 stream_unknown. The entity tag of a
     * stream is that of its configuration; PUT, PATCH, DELETE and restart check conditions. */
    void (*get_stream)(void *app, struct api_request *request, const char *name);
    /* PUT /streams/{name}; `config` is the parsed body (borrowed). 201 made, 200 changed or
     * equal; 409 stream_in_file when a configuration file owns the name; 422 stream_invalid, also
     * for another model that cannot be used; 503 models_busy, when that cannot be said now. */
    void (*put_stream)(void *app, struct api_request *request, const char *name,
                       const json_t *config);
    /* PATCH /streams/{name}; `patch` is a JSON merge patch (borrowed) of the configuration:
     * members left out stay, credentials too, null takes one away. Answers as PUT of the
     * result; 404. */
    void (*patch_stream)(void *app, struct api_request *request, const char *name,
                         const json_t *patch);
    /* DELETE /streams/{name}; 204. */
    void (*delete_stream)(void *app, struct api_request *request, const char *name);
    /* POST /streams/{name}:restart; 202 with the stream. 409 stream_disabled. */
    void (*restart_stream)(void *app, struct api_request *request, const char *name);
    /* GET /streams/{name}/snapshot.jpg; image/jpeg. 503 no_picture while there is none. */
    void (*get_snapshot)(void *app, struct api_request *request, const char *name);

    /* GET /detections; completes with a page. 400 cursor_invalid, 503 store_busy. */
    void (*list_detections)(void *app, struct api_request *request,
                            const struct record_query *query);
    /* GET /detections/summary: counts by the flags of record_by; application/json as
     * record_summary_to_text writes it. 422 summary_too_large, 503 store_busy. */
    void (*summarize_detections)(void *app, struct api_request *request,
                                 const struct record_query *query, unsigned by);
    /* GET /detections/{id}: the latest record. 404 detection_unknown. */
    void (*get_detection)(void *app, struct api_request *request, const char *id);
    /* For SSE: committed records with seq > after, in order, at most limit; a page. */
    void (*records_after)(void *app, struct api_request *request, int64_t after, int limit);

    /* GET /models, /models/{name}: what the configured models are and do. */
    void (*list_models)(void *app, struct api_request *request);
    void (*get_model)(void *app, struct api_request *request, const char *name);
    /* GET /models/{name}/card: what is written beside it. text/markdown; 404 card_unknown. */
    void (*get_model_card)(void *app, struct api_request *request, const char *name);

    /* GET /jobs: {"jobs":[...]}, the newest first. */
    void (*list_jobs)(void *app, struct api_request *request);
    /* POST /jobs; `job` is the parsed body (borrowed). 202 with the job, which waits or runs;
     * 422 job_invalid, 404 job_file_unknown, 409 jobs_off, job_conflict, 503 jobs_full. */
    void (*post_job)(void *app, struct api_request *request, const json_t *job);
    /* GET /jobs/{id}; 404 job_unknown. */
    void (*get_job)(void *app, struct api_request *request, const char *id);
    /* DELETE /jobs/{id}: cancels one that waits or runs (202 with the job), forgets one that
     * has ended (204). */
    void (*delete_job)(void *app, struct api_request *request, const char *id);
    /* What became of a job after the event `after` (-1: all that is known), oldest first, at
     * most API_PROGRESS_PAGE: {"events":[{"id":7,"event":"job.progress","data":{...}}],
     * "over":false}; over: nothing follows these, ever. A question of the server's own. 404. */
    void (*job_events)(void *app, struct api_request *request, const char *id, int64_t after);

    /* GET /readyz: 200 or 503, {"status":"ready"|"degraded"|"starting","checks":{...}}. */
    void (*get_readiness)(void *app, struct api_request *request);
    /* GET /metrics: text/plain; version=0.0.4. */
    void (*get_metrics)(void *app, struct api_request *request);
};

#endif
