/* How a job gets on, as server-sent events: each is asked of the backend, which keeps them, so
 * that a client that comes back with Last-Event-ID goes on where it was. The answer ends with
 * the job; who then comes back is told by a 204 to stop (EventSource does).
 *
 * Thread: the server's. */
#ifndef API_PROGRESS_H
#define API_PROGRESS_H

struct api_request;
struct api_server;

#define API_PROGRESS_PAGE 64 /* events in one answer of the backend, at most */

/* Completes a GET /jobs/{id}/events. */
void api_progress_follow(struct api_request *request);

/* As api_server_job_changed. */
void api_progress_changed(struct api_server *server, const char *id);

#endif
