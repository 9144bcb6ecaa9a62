/* The daemon's HTTP API, from the client's side, on libcurl.
 *
 * Thread: a client belongs to one thread. */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct client;

/* Speaks to VIGIL_URL, "http://HOST:PORT" or "HOST:PORT", by default http://127.0.0.1:8470.
 * NULL, having said why, when the URL is none or there is no memory. */
struct client *client_create(void);
void client_destroy(struct client *client); /* NULL is fine */

/* One request below /api/v1 ("/streams/front"). `body` (borrowed) may be NULL. Returns 0 and,
 * when the answer has a body and ret_answer is not NULL, its JSON; else an exit code of cli.h,
 * having said on stderr what went wrong, in the daemon's words where those are not of the API
 * alone. */
int client_request(struct client *client, const char *method, const char *path,
                   const json_t *body, json_t **ret_answer);

/* A GET of what the caller can do without: when vigild cannot answer it now (a 5xx, or nothing
 * whole within 30 s), returns 0, says nothing and leaves ret_answer as it was. Else as
 * client_request. */
int client_get_optional(struct client *client, const char *path, json_t **ret_answer);

/* The HTTP status of the last answer, 0 before any. */
long client_status(const struct client *client);

/* "?name=value&..." with values percent-encoded, from NULL-terminated name, value pairs; pairs
 * with a NULL or empty value are left out. Caller frees with g_free(). */
char *client_query(const char *name, ...) __attribute__((sentinel));

/* Follows GET /events for as long as `on_record` returns true: each record, with its seq. A
 * connection that breaks is made again, resuming after the last seq seen; only a daemon that
 * was never reached ends with an exit code. `after` < 0: from now on. */
int client_follow(struct client *client, const char *query, int64_t after,
                  bool (*on_record)(void *context, const json_t *record), void *context);

#endif
