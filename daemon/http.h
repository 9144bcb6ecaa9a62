/* The API server on the loop: its epoll descriptor, its timeouts, and a run after each turn of
 * the loop, which is when requests answered elsewhere are sent.
 *
 * Thread: the loop's. */
#ifndef DAEMON_HTTP_H
#define DAEMON_HTTP_H

#include <uv.h>

#include "api/server.h"

struct http;

/* Borrows `server`. 0 or -errno. */
int http_create(uv_loop_t *loop, struct api_server *server, struct http **ret_http);
/* Before api_server_destroy. NULL is fine. */
void http_destroy(struct http *http);

#endif
