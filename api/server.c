/* The listener and libmicrohttpd's callbacks.
 *
 * What libmicrohttpd 0.9.75 makes of an answer depends on when it is queued: on the first call
 * for a request (headers received) the connection closes afterwards and a body is discarded; on
 * the last call (all received) it is kept; in between it cannot be queued at all. Its timeout
 * counts inactivity and so never ends a client that sends a byte now and then: the deadline
 * here is absolute, and closes with shutdown(), which it sees as a broken connection. Its
 * strict mode is off: it sends the head of its own answer to a missing Host twice, so admit.c
 * checks what that mode would, a Host and no space in the target. */
#include "api/server.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "api/body.h"
#include "api/internal.h"

/* Of all addresses together: all clients, those behind a proxy too, come from loopback, where
 * an address does not tell one from another and a limit for each would be one client's power to
 * keep all others out. */
#define CONNECTIONS_MAX      256u
#define CONNECTION_POOL_SIZE ((size_t)16 * 1024)
#define BACKLOG              128
#define SEND_BUFFER_SIZE     (128 * 1024) /* else a reader that sleeps costs megabytes */
#define REQUEST_DEADLINE_MS  10000
#define HEARTBEAT_MS         15000
#define HUNG_UP_MS           100 /* to take in what was sent before */

_Static_assert(API_SSE_MAX + API_LIVE_VIEWERS_MAX + 32 <= CONNECTIONS_MAX,
               "connections that last leave room for those that do not");

/* --- connections ------------------------------------------------------------------------ */

static struct api_connection *connection_of(struct MHD_Connection *mhd)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct api_server *server = cls;
    struct api_connection *connection = *context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (!connection)
            return;
        api_timers_stop(&connection->deadline);
        api_timers_stop(&connection->hung_up);
        epoll_ctl(server->epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
        server->stats.connections--;
        free(connection);
        return;
    }
    int fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    connection = calloc(1, sizeof *connection);
    *context = connection;
    if (!connection) {
        shutdown(fd, SHUT_RDWR);
        return;
    }
    connection->server = server;
    connection->mhd = mhd;
    connection->fd = fd;
    connection->deadline.owner = connection->hung_up.owner = connection;
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = connection};
    epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    api_timers_start(&server->deadlines, &connection->deadline);
    server->stats.connections++;
}

static void reap(struct api_server *server, int64_t now_ms)
{
    struct api_timer *timer;
    while ((timer = api_timers_take_due(&server->deadlines, now_ms))) {
        struct api_connection *connection = timer->owner;
        struct api_request *request = connection->request;
        if (request)
            server->stats.deadline_closed++;
        if (request && request->suspended && !request->answered) {
            /* Not the client's fault: it is told, and has as long again to read it. */
            api_timers_start(&server->deadlines, &connection->deadline);
            api_request_give_up(request);
        } else {
            shutdown(connection->fd, SHUT_RDWR);
        }
    }
}

/* The client has closed its end, so nothing more can come of it. libmicrohttpd looks at the
 * sockets of suspended connections not at all, and misses an end that arrives together with the
 * last data: such a connection would keep its place until the deadline. */
static void note_hang_up(struct api_connection *connection)
{
    api_timers_start(&connection->server->hung_up, &connection->hung_up);
    if (connection->request && connection->request->sse)
        api_sse_hang_up(connection->request->sse);
    if (connection->request && connection->request->viewer)
        api_live_hang_up(connection->request->viewer);
}

/* It may still be waiting for the answer to a request that it has sent whole. */
static void close_hung_up(struct api_server *server, int64_t now_ms)
{
    struct api_timer *timer;
    while ((timer = api_timers_take_due(&server->hung_up, now_ms))) {
        struct api_connection *connection = timer->owner;
        const struct api_request *request = connection->request;
        char byte;
        if ((request && (request->dispatched || request->answered)) ||
            recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
            api_timers_start(&server->hung_up, timer);
        else
            shutdown(connection->fd, SHUT_RDWR);
    }
}

/* --- one request ------------------------------------------------------------------------ */

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* A request line was received. The first request of a connection has to be done within the
 * deadline of the connection itself, so that a slow request line counts too; a later one begins
 * here, since a connection may rest before it. */
static void *on_request_line(void *cls, const char *target, struct MHD_Connection *mhd)
{
    struct api_server *server = cls;
    struct api_connection *connection = connection_of(mhd);
    struct api_request *request = connection ? api_request_create(server) : NULL;
    if (!request)
        return NULL;
    server->stats.requests++;
    if (connection->used)
        api_timers_start(&server->deadlines, &connection->deadline);
    connection->request = request;
    request->connection = connection;
    request->began_ns = now_ns();
    request->target_status = api_target_parse(target, &request->target, &request->target_error);
    return request;
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
    (void)cls;
    (void)mhd;
    (void)code;
    struct api_request *request = *context;
    if (!request)
        return;
    *context = NULL;
    struct api_connection *connection = request->connection;
    if (request->sse)
        api_sse_leave(request->sse);
    if (request->viewer)
        api_live_leave(request->viewer);
    connection->request = NULL;
    connection->used = true;
    api_timers_start(&connection->server->deadlines, &connection->deadline);
    if (connection->server->draining)
        shutdown(connection->fd, SHUT_RDWR);
    api_request_release(request);
}

static void note_answer(const struct api_request *request, int status)
{
    struct api_server *server = request->server;
    double seconds = (double)(now_ns() - request->began_ns) / 1e9;
    server->stats.responses[status / 100]++;
    histogram_add(&server->latency[api_route_index(request->route)][status / 100], seconds);
}

static enum MHD_Result queue_answer(struct api_request *request)
{
    struct MHD_Response *response = request->response;
    request->response = NULL;
    if (!response)
        return MHD_NO;
    note_answer(request, request->status);
    enum MHD_Result result =
        MHD_queue_response(request->connection->mhd, (unsigned)request->status, response);
    MHD_destroy_response(response);
    return result;
}

/* While a body is being received libmicrohttpd takes no answer, so it goes to the socket, to
 * which nothing of this response has been written yet. It fits any empty socket buffer. */
static void refuse_body(struct api_request *request)
{
    char *text = api_response_format_too_large();
    if (text && send(request->connection->fd, text, strlen(text), MSG_NOSIGNAL) > 0)
        note_answer(request, 413);
    free(text);
}

/* 0, -EMSGSIZE or -ENOMEM. */
static int collect_body(struct api_request *request, const char *data, size_t size)
{
    if (size > API_BODY_MAX - request->body_size)
        return -EMSGSIZE;
    if (request->body_size + size > request->body_capacity) {
        size_t capacity = 2 * (request->body_size + size);
        if (capacity > API_BODY_MAX)
            capacity = API_BODY_MAX;
        char *body = realloc(request->body, capacity);
        if (!body)
            return -ENOMEM;
        request->body = body;
        request->body_capacity = capacity;
    }
    memcpy(request->body + request->body_size, data, size);
    request->body_size += size;
    return 0;
}

/* Called when the headers are there, for each piece of the body, when all is there, and again
 * after each resume. MHD_NO closes the connection. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **context)
{
    (void)cls;
    (void)url;
    (void)version;
    struct api_request *request = *context;
    if (!request)
        return MHD_NO;
    if (!request->admitted) {
        bool has_body;
        request->admitted = true;
        api_request_admit(request, method, &has_body);
        if (request->answered && (has_body || request->must_close))
            return queue_answer(request);
        return MHD_YES;
    }
    if (*data_size > 0) {
        int status = collect_body(request, data, *data_size);
        if (status == -EMSGSIZE)
            refuse_body(request);
        *data_size = 0;
        return status < 0 ? MHD_NO : MHD_YES;
    }
    if (!request->answered && !request->dispatched) {
        request->dispatched = true;
        api_route_dispatch(request);
    }
    if (request->answered)
        return queue_answer(request);
    request->suspended = true;
    MHD_suspend_connection(mhd);
    return MHD_YES;
}

/* --- the server ------------------------------------------------------------------------- */

static int listen_on(const char *listen_text, struct api_server *server, struct api_error *err)
{
    union api_address address;
    if (api_address_parse(listen_text, &address, err) < 0)
        return -EINVAL;
    const int yes = 1, send_buffer = SEND_BUFFER_SIZE; /* connections inherit it */
    socklen_t length = api_address_length(&address);
    server->listen_fd =
        socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->listen_fd < 0 ||
        setsockopt(server->listen_fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        setsockopt(server->listen_fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer) <
            0 ||
        bind(server->listen_fd, &address.any, length) < 0 ||
        listen(server->listen_fd, BACKLOG) < 0 ||
        getsockname(server->listen_fd, &address.any, &length) < 0) {
        int status = -errno;
        snprintf(err->text, sizeof err->text, "cannot listen on %s: %s%s", listen_text,
                 strerror(-status),
                 status == -EADDRINUSE ? "; stop what uses it or choose another port" : "");
        return status;
    }
    server->port = api_address_port(&address);
    api_address_format_url(&address, server->url);
    return 0;
}

static int start(struct api_server *server, struct api_error *err)
{
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, server,
        MHD_OPTION_LISTEN_SOCKET, server->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
        CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_POOL_SIZE,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_URI_LOG_CALLBACK,
        on_request_line, server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_END);
    if (!server->daemon) {
        snprintf(err->text, sizeof err->text, "cannot start the HTTP server");
        return -ENOMEM;
    }
    struct epoll_event event = {.events = EPOLLIN};
    int fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    server->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server->epoll_fd < 0 || epoll_ctl(server->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        int status = -errno;
        snprintf(err->text, sizeof err->text, "cannot watch connections: %s",
                 strerror(-status));
        return status;
    }
    return 0;
}

int api_server_create(const struct api_server_options *options, struct api_server **ret_server,
                      struct api_error *err)
{
    struct api_server *server = calloc(1, sizeof *server);
    if (!server) {
        snprintf(err->text, sizeof err->text, "no memory for the HTTP server");
        return -ENOMEM;
    }
    server->listen_fd = server->epoll_fd = -1;
    server->backend = options->backend;
    server->app = options->app;
    snprintf(server->version, sizeof server->version, "%s", options->version);
    server->deadlines.run_ms =
        options->request_deadline_ms > 0 ? options->request_deadline_ms : REQUEST_DEADLINE_MS;
    server->hung_up.run_ms = HUNG_UP_MS;
    api_sse_list_init(&server->streams,
                      options->heartbeat_ms > 0 ? options->heartbeat_ms : HEARTBEAT_MS);
    int status = api_live_init(&server->live);
    if (status < 0)
        snprintf(err->text, sizeof err->text, "the kernel has no random numbers");
    else
        status = listen_on(options->listen, server, err);
    if (status == 0)
        status = start(server, err);
    if (status < 0) {
        api_server_destroy(server);
        return status;
    }
    *ret_server = server;
    return 0;
}

void api_server_destroy(struct api_server *server)
{
    if (!server)
        return;
    if (server->daemon) {
        api_server_drain(server);
        /* libmicrohttpd aborts on connections that are still suspended. */
        for (struct api_request *request = server->pending; request; request = request->next) {
            if (request->suspended) {
                request->suspended = false;
                MHD_resume_connection(request->connection->mhd);
            }
        }
        MHD_stop_daemon(server->daemon);
    }
    for (struct api_request *request = server->pending; request; request = request->next)
        request->server = NULL;
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    if (server->epoll_fd >= 0)
        close(server->epoll_fd);
    api_events_finish(&server->events);
    free(server);
}

void api_server_drain(struct api_server *server)
{
    if (server->draining)
        return;
    server->draining = true;
    /* Closed at once, so that clients are refused instead of left in the backlog. From here on
     * libmicrohttpd leaves the descriptor alone. */
    MHD_quiesce_daemon(server->daemon);
    close(server->listen_fd);
    server->listen_fd = -1;
    api_sse_end_all(&server->streams);
    api_live_end(&server->live);
    for (struct api_timer *timer = server->deadlines.head; timer; timer = timer->next) {
        struct api_connection *connection = timer->owner;
        if (!connection->request)
            shutdown(connection->fd, SHUT_RDWR);
    }
}

size_t api_server_pending(const struct api_server *server)
{
    return server->pending_count;
}

int api_server_fd(const struct api_server *server)
{
    return server->epoll_fd;
}

void api_server_run(struct api_server *server)
{
    struct epoll_event events[64];
    int count = epoll_wait(server->epoll_fd, events, 64, 0);
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr)
            note_hang_up(events[i].data.ptr);
    }
    int64_t now_ms = api_timers_now();
    reap(server, now_ms);
    close_hung_up(server, now_ms);
    api_sse_tick(&server->streams, now_ms);
    api_live_tick(&server->live, now_ms);
    MHD_run(server->daemon);
}

int api_server_timeout_ms(struct api_server *server)
{
    int64_t now_ms = api_timers_now();
    int waits[] = {-1, api_timers_wait_ms(&server->deadlines, now_ms),
                   api_timers_wait_ms(&server->hung_up, now_ms),
                   api_timers_wait_ms(&server->streams.heartbeats, now_ms),
                   api_live_wait_ms(&server->live, now_ms)};
    MHD_UNSIGNED_LONG_LONG wait;
    if (MHD_get_timeout(server->daemon, &wait) == MHD_YES)
        waits[0] = wait > 60000 ? 60000 : (int)wait;
    int timeout = -1;
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        if (waits[i] >= 0 && (timeout < 0 || waits[i] < timeout))
            timeout = waits[i];
    }
    return timeout;
}

const char *api_server_url(const struct api_server *server)
{
    return server->url;
}

int api_server_publish(struct api_server *server, int64_t seq, const char *text)
{
    return api_events_publish(server, seq, text);
}

void api_server_job_changed(struct api_server *server, const char *id)
{
    api_progress_changed(server, id);
}

void api_server_get_stats(const struct api_server *server, struct api_server_stats *ret_stats)
{
    *ret_stats = server->stats;
    ret_stats->subscribers = (int)server->streams.count;
    ret_stats->viewers = server->live.viewer_count;
    ret_stats->pictures = server->live.pictures;
}

const struct histogram *api_server_get_latency(const struct api_server *server, size_t route,
                                               int status_class)
{
    assert(status_class >= 1 && status_class <= 5);
    return route <= api_route_index(NULL) ? &server->latency[route][status_class] : NULL;
}
