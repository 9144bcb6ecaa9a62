#include "daemon/http.h"

#include <glib.h>

struct http {
    struct api_server *server;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_prepare_t prepare;
    int open_handles;
};

static void timed_out(uv_timer_t *timer)
{
    (void)timer; /* waking the loop is enough: the run follows below */
}

static void readable(uv_poll_t *poll, int status, int events)
{
    (void)poll;
    (void)status;
    (void)events;
}

/* Once a turn, just before the loop sleeps: whatever this turn has answered or published goes
 * out, and the sleep is as long as the server allows. */
static void before_sleep(uv_prepare_t *prepare)
{
    struct http *http = prepare->data;
    api_server_run(http->server);
    int timeout = api_server_timeout_ms(http->server);
    if (timeout >= 0)
        uv_timer_start(&http->timer, timed_out, (uint64_t)timeout, 0);
    else
        uv_timer_stop(&http->timer);
}

static void closed(uv_handle_t *handle)
{
    struct http *http = handle->data;
    if (--http->open_handles == 0)
        g_free(http);
}

int http_create(uv_loop_t *loop, struct api_server *server, struct http **ret_http)
{
    struct http *http = g_new0(struct http, 1);
    http->server = server;
    http->poll.data = http->timer.data = http->prepare.data = http;
    int r = uv_poll_init(loop, &http->poll, api_server_fd(server));
    if (r < 0) {
        g_free(http);
        return r;
    }
    uv_timer_init(loop, &http->timer);
    uv_prepare_init(loop, &http->prepare);
    http->open_handles = 3;
    uv_poll_start(&http->poll, UV_READABLE, readable);
    uv_prepare_start(&http->prepare, before_sleep);
    *ret_http = http;
    return 0;
}

void http_destroy(struct http *http)
{
    if (!http)
        return;
    uv_close((uv_handle_t *)&http->poll, closed);
    uv_close((uv_handle_t *)&http->timer, closed);
    uv_close((uv_handle_t *)&http->prepare, closed);
}
