#include "tests/api/harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "api/progress.h"

#if defined(__SANITIZE_ADDRESS__)
#define LIMIT_MS 110000
#else
#define LIMIT_MS 10000
#endif

int64_t harness_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t harness_limit(void)
{
    return harness_now() + LIMIT_MS;
}

/* --- the application -------------------------------------------------------------------- */

/* Returns true when the request is to be answered now. */
static bool note(struct harness *harness, struct api_request *request, const char *what,
                 const char *name)
{
    snprintf(harness->asked, sizeof harness->asked, "%s", what);
    snprintf(harness->name, sizeof harness->name, "%s", name ? name : "");
    harness->asked_count++;
    if (!harness->hold)
        return true;
    ck_assert_int_lt(harness->held_count, HARNESS_HELD_MAX);
    harness->held[harness->held_count++] = request;
    return false;
}

static void reply(struct api_request *request, const char *what)
{
    api_request_reply_json(request, 200, json_pack("{s:s}", "asked", what));
}

static void list_streams(void *app, struct api_request *request)
{
    if (note(app, request, "list_streams", NULL))
        reply(request, "list_streams");
}

static void get_stream(void *app, struct api_request *request, const char *name)
{
    if (!note(app, request, "get_stream", name))
        return;
    if (strcmp(name, "none") == 0)
        api_request_reply_problem(request, 404, "stream_unknown", "there is no stream %s",
                                  name);
    else
        reply(request, "get_stream");
}

static void put_stream(void *app, struct api_request *request, const char *name,
                       const json_t *config)
{
    struct harness *harness = app;
    free(harness->config);
    harness->config = json_dumps(config, JSON_COMPACT);
    /* "new" is not there yet. */
    if (!note(app, request, "put_stream", name) ||
        !api_request_check_etag(request, strcmp(name, "new") == 0 ? NULL : "v1"))
        return;
    api_request_set_etag(request, "v2");
    api_request_reply_json(request, 201, json_pack("{s:s}", "name", name));
}

static void patch_stream(void *app, struct api_request *request, const char *name,
                         const json_t *patch)
{
    struct harness *harness = app;
    free(harness->config);
    harness->config = json_dumps(patch, JSON_COMPACT);
    if (note(app, request, "patch_stream", name) && api_request_check_etag(request, "v1"))
        reply(request, "patch_stream");
}

static void restart_stream(void *app, struct api_request *request, const char *name)
{
    if (note(app, request, "restart_stream", name) && api_request_check_etag(request, "v1"))
        api_request_reply_json(request, 202, json_pack("{s:s}", "name", name));
}

static void delete_stream(void *app, struct api_request *request, const char *name)
{
    if (note(app, request, "delete_stream", name) && api_request_check_etag(request, "v1"))
        api_request_reply_empty(request, 204);
}

static void get_snapshot(void *app, struct api_request *request, const char *name)
{
    struct harness *harness = app;
    if (!note(app, request, "get_snapshot", name))
        return;
    if (harness->streams_gone || strcmp(name, "none") == 0) {
        api_request_reply_problem(request, 404, "stream_unknown", "there is no stream %s",
                                  name);
        return;
    }
    if (harness->blind || strcmp(name, "dark") == 0) {
        api_request_reply_problem(request, 503, "no_picture", "there is no picture yet");
        return;
    }
    /* "big" is more than all socket buffers hold, for readers that do not read. */
    size_t size = strcmp(name, "big") == 0 ? (size_t)32 << 20 : 4;
    char *data = calloc(1, size);
    memcpy(data, "\xff\xd8\xff\xd9", 4);
    api_request_reply_data(request, 200, "image/jpeg", data, size);
}

static void list_detections(void *app, struct api_request *request,
                            const struct record_query *query)
{
    struct harness *harness = app;
    harness->query = *query;
    if (!note(app, request, "list_detections", NULL))
        return;
    struct record_page page = {.count = 2, .next = "more"};
    page.texts = calloc(2, sizeof *page.texts);
    page.texts[0] = strdup("{\"seq\":1}");
    page.texts[1] = strdup("{\"seq\":2}");
    if (query->ascending)
        page.next[0] = '\0';
    api_request_reply_page(request, &page);
    ck_assert_ptr_null(page.texts);
}

static void summarize_detections(void *app, struct api_request *request,
                                 const struct record_query *query, unsigned by)
{
    struct harness *harness = app;
    harness->query = *query;
    harness->by = by;
    if (note(app, request, "summarize_detections", NULL))
        reply(request, "summarize_detections");
}

static void get_detection(void *app, struct api_request *request, const char *id)
{
    if (note(app, request, "get_detection", id))
        reply(request, "get_detection");
}

static void reply_records(struct harness *harness, struct api_request *request, int64_t after,
                          int limit)
{
    struct record_page page = {0};
    page.texts = calloc((size_t)limit, sizeof *page.texts);
    for (int64_t seq = after + 1; seq <= harness->record_count; seq++) {
        if (page.count == (size_t)limit)
            break;
        page.texts[page.count++] = strdup(harness->records[seq - 1]);
    }
    api_request_reply_page(request, &page);
}

static void records_after(void *app, struct api_request *request, int64_t after, int limit)
{
    struct harness *harness = app;
    harness->after = after;
    ck_assert_int_ge(after, 0);
    if (harness->store_fails)
        api_request_reply_problem(request, 503, "store_busy", "ask again");
    else if (note(app, request, "records_after", NULL))
        reply_records(harness, request, after, limit);
}

static void list_models(void *app, struct api_request *request)
{
    if (note(app, request, "list_models", NULL))
        reply(request, "list_models");
}

static void get_model(void *app, struct api_request *request, const char *name)
{
    if (!note(app, request, "get_model", name) || !api_request_check_etag(request, "v1"))
        return;
    api_request_set_etag(request, "v1");
    reply(request, "get_model");
}

static void get_model_card(void *app, struct api_request *request, const char *name)
{
    if (note(app, request, "get_model_card", name))
        api_request_reply_data(request, 200, "text/markdown; charset=utf-8", strdup("# x\n"),
                               4);
}

static void get_readiness(void *app, struct api_request *request)
{
    if (note(app, request, "get_readiness", NULL))
        reply(request, "get_readiness");
}

static void get_metrics(void *app, struct api_request *request)
{
    if (note(app, request, "get_metrics", NULL))
        api_request_reply_data(request, 200, "text/plain; version=0.0.4", strdup("up 1\n"), 5);
}

static void list_jobs(void *app, struct api_request *request)
{
    if (note(app, request, "list_jobs", NULL))
        reply(request, "list_jobs");
}

static void post_job(void *app, struct api_request *request, const json_t *job)
{
    struct harness *harness = app;
    if (!note(app, request, "post_job", NULL))
        return;
    free(harness->config);
    harness->config = json_dumps(job, JSON_COMPACT | JSON_SORT_KEYS);
    api_request_reply_json(request, 202, json_pack("{s:s}", "asked", "post_job"));
}

static void get_job(void *app, struct api_request *request, const char *id)
{
    if (note(app, request, "get_job", id))
        reply(request, "get_job");
}

static void delete_job(void *app, struct api_request *request, const char *id)
{
    if (note(app, request, "delete_job", id))
        api_request_reply_empty(request, 204);
}

/* Events of its one job are numbered from 1. */
static void reply_events(const struct harness *harness, struct api_request *request,
                         int64_t after, int64_t last)
{
    json_t *events = json_array();
    int64_t id = after < 0 ? 1 : after + 1;
    for (; id <= last && json_array_size(events) < API_PROGRESS_PAGE; id++)
        json_array_append_new(events,
                              json_pack("{s:I, s:s, s:{s:I}}", "id", (json_int_t)id, "event",
                                        "job.progress", "data", "epoch", (json_int_t)id));
    bool over = harness->job_over && id > last;
    api_request_reply_json(request, 200,
                           json_pack("{s:o, s:b}", "events", events, "over", over));
}

static void job_events(void *app, struct api_request *request, const char *id, int64_t after)
{
    struct harness *harness = app;
    harness->after = after;
    harness->job_events_asked = harness->job_events;
    if (harness->job_gone)
        api_request_reply_problem(request, 404, "job_unknown", "there is no such job");
    else if (note(app, request, "job_events", id))
        reply_events(harness, request, after, harness->job_events);
}

static const struct api_backend backend = {
    .list_streams = list_streams,
    .get_stream = get_stream,
    .put_stream = put_stream,
    .patch_stream = patch_stream,
    .delete_stream = delete_stream,
    .restart_stream = restart_stream,
    .get_snapshot = get_snapshot,
    .list_detections = list_detections,
    .summarize_detections = summarize_detections,
    .get_detection = get_detection,
    .records_after = records_after,
    .list_models = list_models,
    .get_model = get_model,
    .get_model_card = get_model_card,
    .list_jobs = list_jobs,
    .post_job = post_job,
    .get_job = get_job,
    .delete_job = delete_job,
    .job_events = job_events,
    .get_readiness = get_readiness,
    .get_metrics = get_metrics,
};

void harness_release(struct harness *harness)
{
    ck_assert_int_gt(harness->held_count, 0);
    struct api_request *request = harness->held[0];
    memmove(harness->held, harness->held + 1,
            (size_t)--harness->held_count * sizeof harness->held[0]);
    if (strcmp(harness->asked, "records_after") == 0)
        reply_records(harness, request, harness->after, 64);
    else if (strcmp(harness->asked, "job_events") == 0)
        reply_events(harness, request, harness->after, harness->job_events_asked);
    else
        api_request_reply_json(request, 200, json_pack("{s:b}", "late", 1));
}

int64_t harness_commit(struct harness *harness, const char *stream, const char *label)
{
    int64_t seq = ++harness->record_count;
    struct record record;
    record_init(&record);
    record_id_format(1700000000000 + seq, (const uint8_t[10]){1}, record.id);
    record.seq = seq;
    snprintf(record.stream, sizeof record.stream, "%s", stream);
    snprintf(record.label, sizeof record.label, "%s", label);
    record.score = 0.9;
    record.time_ms = record.start_ms = 1700000000000 + seq;
    record.pts_ns = record.window_first_pts_ns = record.window_last_pts_ns = 0;
    record.window_frames = 1;
    harness->records =
        realloc(harness->records, (size_t)harness->record_count * sizeof *harness->records);
    harness->records[seq - 1] = record_to_text(&record);
    ck_assert_ptr_nonnull(harness->records[seq - 1]);
    return seq;
}

void harness_publish(struct harness *harness, int64_t seq)
{
    ck_assert_int_eq(api_server_publish(harness->server, seq, harness->records[seq - 1]), 0);
}

/* --- turns ------------------------------------------------------------------------------ */

void harness_start(struct harness *harness, struct api_server_options options)
{
    memset(harness, 0, sizeof *harness);
    struct api_error err = {""};
    options.listen = options.listen ? options.listen : "127.0.0.1:0";
    options.version = "9.8.7";
    options.backend = &backend;
    options.app = harness;
    int status = api_server_create(&options, &harness->server, &err);
    ck_assert_msg(status == 0, "%s", err.text);
}

void harness_stop(struct harness *harness)
{
    api_server_destroy(harness->server);
    while (harness->client_count > 0)
        client_close(harness, harness->clients[0]);
    for (int64_t i = 0; i < harness->record_count; i++)
        free(harness->records[i]);
    free(harness->records);
    free(harness->config);
}

static void client_read(struct client *client)
{
    char buffer[65536];
    ssize_t size = recv(client->fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (size > 0) {
        client->data = realloc(client->data, client->size + (size_t)size + 1);
        memcpy(client->data + client->size, buffer, (size_t)size);
        client->size += (size_t)size;
        client->data[client->size] = '\0';
    } else if (size == 0 || (errno != EAGAIN && errno != EINTR)) {
        client->closed = true;
    }
}

void harness_step(struct harness *harness)
{
    struct pollfd fds[HARNESS_CLIENTS_MAX + 1];
    int timeout = api_server_timeout_ms(harness->server);
    fds[0] = (struct pollfd){.fd = api_server_fd(harness->server), .events = POLLIN};
    for (int i = 0; i < harness->client_count; i++) {
        const struct client *client = harness->clients[i];
        fds[i + 1] = (struct pollfd){.fd = client->paused || client->closed ? -1 : client->fd,
                                     .events = POLLIN};
    }
    if (timeout < 0 || timeout > 10)
        timeout = 10;
    poll(fds, (nfds_t)harness->client_count + 1, timeout);
    api_server_run(harness->server);
    for (int i = 0; i < harness->client_count; i++) {
        if (fds[i + 1].revents)
            client_read(harness->clients[i]);
    }
}

void harness_idle(struct harness *harness, int ms)
{
    int64_t end = harness_now() + ms;
    while (harness_now() < end)
        harness_step(harness);
}

/* --- clients ---------------------------------------------------------------------------- */

int harness_port(const struct harness *harness)
{
    return atoi(strrchr(api_server_url(harness->server), ':') + 1);
}

const char *harness_host(const struct harness *harness)
{
    return api_server_url(harness->server) + strlen("http://");
}

struct client *harness_connect(struct harness *harness)
{
    ck_assert_int_lt(harness->client_count, HARNESS_CLIENTS_MAX);
    bool v6 = strchr(api_server_url(harness->server), '[') != NULL;
    struct client *client = calloc(1, sizeof *client);
    client->fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6,
                               .sin6_addr = IN6ADDR_LOOPBACK_INIT,
                               .sin6_port = htons((uint16_t)harness_port(harness))};
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)harness_port(harness)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_eq(v6 ? connect(client->fd, (struct sockaddr *)&to6, sizeof to6)
                        : connect(client->fd, (struct sockaddr *)&to, sizeof to),
                     0);
    harness->clients[harness->client_count++] = client;
    return client;
}

void client_send_bytes(struct client *client, const void *data, size_t size)
{
    /* A server that refuses may have closed already. */
    ssize_t sent = send(client->fd, data, size, MSG_NOSIGNAL);
    ck_assert_msg(sent == (ssize_t)size || errno == EPIPE || errno == ECONNRESET,
                  "sent %zd of %zu", sent, size);
}

void client_send(struct client *client, const char *text)
{
    client_send_bytes(client, text, strlen(text));
}

void client_close(struct harness *harness, struct client *client)
{
    for (int i = 0; i < harness->client_count; i++) {
        if (harness->clients[i] == client)
            harness->clients[i] = harness->clients[--harness->client_count];
    }
    close(client->fd);
    free(client->data);
    free(client);
}

void client_request(struct harness *harness, struct client *client, const char *method,
                    const char *target, const char *extra, const char *body)
{
    char *text;
    int size = asprintf(&text, "%s %s HTTP/1.1\r\nHost: %s\r\n%s", method, target,
                        harness_host(harness), extra ? extra : "");
    ck_assert_int_gt(size, 0);
    client_send(client, text);
    free(text);
    if (body) {
        char length[96];
        snprintf(length, sizeof length,
                 "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
        client_send(client, length);
    }
    client_send(client, "\r\n");
    if (body)
        client_send(client, body);
}

/* The whole answer's size, or 0 while it is not all there. */
static size_t measure(const struct client *client, bool head_only, size_t *ret_head)
{
    char *end = client->data ? strstr(client->data, "\r\n\r\n") : NULL;
    if (!end)
        return 0;
    *ret_head = (size_t)(end - client->data) + 4;
    const char *length = strcasestr(client->data, "\r\nContent-Length:");
    if (head_only || !length || length > end)
        return *ret_head;
    size_t size = *ret_head + strtoul(length + 17, NULL, 10);
    return size <= client->size ? size : 0;
}

void client_receive(struct harness *harness, struct client *client, bool head_only,
                    struct response *ret)
{
    size_t head, size;
    HARNESS_WAIT(harness, (size = measure(client, head_only, &head)) > 0 || client->closed);
    ck_assert_msg(size > 0, "closed without a whole answer: %s",
                  client->data ? client->data : "(nothing)");
    ck_assert_int_eq(strncmp(client->data, "HTTP/1.1 ", 9), 0);
    ret->status = atoi(client->data + 9);
    ck_assert_uint_lt(head, sizeof ret->head);
    memcpy(ret->head, client->data, head);
    ret->head[head] = '\0';
    ret->size = size - head;
    ret->body = strndup("", 0);
    ret->body = realloc(ret->body, ret->size + 1);
    memcpy(ret->body, client->data + head, ret->size);
    ret->body[ret->size] = '\0';
    client->size -= size;
    memmove(client->data, client->data + size, client->size + 1);
}

void response_finish(struct response *response)
{
    free(response->body);
    response->body = NULL;
}

const char *response_header(const struct response *response, const char *name)
{
    static char value[512];
    char key[64];
    snprintf(key, sizeof key, "\r\n%s: ", name);
    const char *found = strcasestr(response->head, key);
    if (!found)
        return NULL;
    found += strlen(key);
    snprintf(value, sizeof value, "%.*s", (int)strcspn(found, "\r"), found);
    return value;
}

const char *response_code(const struct response *response)
{
    static char code[64];
    code[0] = '\0';
    json_t *problem = json_loadb(response->body, response->size, JSON_REJECT_DUPLICATES, NULL);
    const char *type = response_header(response, "Content-Type");
    if (type && strcmp(type, "application/problem+json") == 0 &&
        json_integer_value(json_object_get(problem, "status")) == response->status &&
        json_string_length(json_object_get(problem, "detail")) > 0)
        snprintf(code, sizeof code, "%s", json_string_value(json_object_get(problem, "code")));
    json_decref(problem);
    return code;
}

int harness_ask(struct harness *harness, const char *method, const char *target,
                const char *extra, const char *body, struct response *ret)
{
    struct client *client = harness_connect(harness);
    client_request(harness, client, method, target, extra, body);
    client_receive(harness, client, strcmp(method, "HEAD") == 0, ret);
    client_close(harness, client);
    return ret->status;
}

/* --- event streams ------------------------------------------------------------------------ */

char *client_decode(const struct client *client)
{
    char *out = calloc(1, client->size + 1);
    char *in = strstr(client->data, "\r\n\r\n") + 4;
    size_t used = 0;
    for (;;) {
        char *end;
        size_t size = strtoul(in, &end, 16);
        if (size == 0 || strncmp(end, "\r\n", 2) != 0 ||
            end + 2 + size + 2 > client->data + client->size)
            return out;
        memcpy(out + used, end + 2, size);
        used += size;
        in = end + 2 + size + 2;
    }
}

/* Line by line: strstr costs a sanitizer a walk to the end of the stream each time. */
int client_event_ids(const struct client *client, int64_t *ids, int max)
{
    char *text = client_decode(client);
    int count = 0;
    int64_t id = -1;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        if (strncmp(line, "id: ", 4) == 0) {
            id = strtoll(line + 4, NULL, 10);
        } else if (end == line && id >= 0) {
            ck_assert_int_lt(count, max);
            ids[count++] = id;
            id = -1;
        }
    }
    free(text);
    return count;
}
