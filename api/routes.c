/* The route table: one row per method and path, in the order of openapi.yaml. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/body.h"
#include "api/embedded.h"
#include "api/internal.h"
#include "api/openapi.h"
#include "api/page.h"

/* What a key will have to allow. Until there are keys everyone on this machine may do all. */
enum scope { SCOPE_OPEN, SCOPE_READ, SCOPE_EVENTS, SCOPE_CONTROL };
static const char *const scope_names[] = {"open", "read", "events", "control"};

/* A command is a POST that needs no body. It must still be declared JSON, which a form of a
 * foreign page cannot: so a browser asks us first, and is told no. */
enum body { BODY_NONE, BODY_JSON, BODY_PATCH, BODY_COMMAND };

struct api_route {
    const char *method;
    const char *path;
    enum scope scope;
    void (*answer)(struct api_server *server, struct api_request *request, const json_t *body);
    const struct api_parameter_rule *parameters;
    enum body body;
};

/* --- who answers ------------------------------------------------------------------------ */

static void list_streams(struct api_server *server, struct api_request *request,
                         const json_t *body)
{
    (void)body;
    server->backend->list_streams(server->app, request);
}

static void get_stream(struct api_server *server, struct api_request *request,
                       const json_t *body)
{
    (void)body;
    server->backend->get_stream(server->app, request, request->name);
}

static void put_stream(struct api_server *server, struct api_request *request,
                       const json_t *body)
{
    server->backend->put_stream(server->app, request, request->name, body);
}

static void delete_stream(struct api_server *server, struct api_request *request,
                          const json_t *body)
{
    (void)body;
    server->backend->delete_stream(server->app, request, request->name);
}

static void patch_stream(struct api_server *server, struct api_request *request,
                         const json_t *body)
{
    server->backend->patch_stream(server->app, request, request->name, body);
}

static void restart_stream(struct api_server *server, struct api_request *request,
                           const json_t *body)
{
    (void)body;
    server->backend->restart_stream(server->app, request, request->name);
}

static void get_snapshot(struct api_server *server, struct api_request *request,
                         const json_t *body)
{
    (void)body;
    server->backend->get_snapshot(server->app, request, request->name);
}

static void view_stream(struct api_server *server, struct api_request *request,
                        const json_t *body)
{
    (void)server;
    (void)body;
    api_live_view(request);
}

static void list_detections(struct api_server *server, struct api_request *request,
                            const json_t *body)
{
    (void)body;
    server->backend->list_detections(server->app, request, &request->query.detections);
}

static void summarize_detections(struct api_server *server, struct api_request *request,
                                 const json_t *body)
{
    (void)body;
    server->backend->summarize_detections(server->app, request, &request->query.detections,
                                          request->query.by);
}

static void get_detection(struct api_server *server, struct api_request *request,
                          const json_t *body)
{
    (void)body;
    server->backend->get_detection(server->app, request, request->name);
}

static void get_events(struct api_server *server, struct api_request *request,
                       const json_t *body)
{
    (void)server;
    (void)body;
    api_events_subscribe(request);
}

static void list_models(struct api_server *server, struct api_request *request,
                        const json_t *body)
{
    (void)body;
    server->backend->list_models(server->app, request);
}

static void get_model(struct api_server *server, struct api_request *request,
                      const json_t *body)
{
    (void)body;
    server->backend->get_model(server->app, request, request->name);
}

static void get_model_card(struct api_server *server, struct api_request *request,
                           const json_t *body)
{
    (void)body;
    server->backend->get_model_card(server->app, request, request->name);
}

static void list_jobs(struct api_server *server, struct api_request *request,
                      const json_t *body)
{
    (void)body;
    server->backend->list_jobs(server->app, request);
}

static void post_job(struct api_server *server, struct api_request *request, const json_t *body)
{
    server->backend->post_job(server->app, request, body);
}

static void get_job(struct api_server *server, struct api_request *request, const json_t *body)
{
    (void)body;
    server->backend->get_job(server->app, request, request->name);
}

static void delete_job(struct api_server *server, struct api_request *request,
                       const json_t *body)
{
    (void)body;
    server->backend->delete_job(server->app, request, request->name);
}

static void follow_job(struct api_server *server, struct api_request *request,
                       const json_t *body)
{
    (void)server;
    (void)body;
    api_progress_follow(request);
}

static void get_version(struct api_server *server, struct api_request *request,
                        const json_t *body)
{
    (void)body;
    api_request_reply_json(request, 200,
                           json_pack("{s:s, s:s}", "version", server->version, "api", "v1"));
}

static void get_liveness(struct api_server *server, struct api_request *request,
                         const json_t *body)
{
    (void)server;
    (void)body;
    api_request_reply_json(request, 200, json_pack("{s:s}", "status", "alive"));
}

static void get_readiness(struct api_server *server, struct api_request *request,
                          const json_t *body)
{
    (void)body;
    server->backend->get_readiness(server->app, request);
}

static void get_metrics(struct api_server *server, struct api_request *request,
                        const json_t *body)
{
    (void)body;
    server->backend->get_metrics(server->app, request);
}

/* A file of the program's own. */
static void reply_embedded(struct api_server *server, struct api_request *request,
                           const char *type, const unsigned char *data, size_t size)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, (void *)data, MHD_RESPMEM_PERSISTENT);
    if (response && api_response_add_headers(server, 200, type, response) < 0) {
        MHD_destroy_response(response);
        response = NULL;
    }
    api_request_reply_response(request, 200, response);
}

static void get_contract(struct api_server *server, struct api_request *request,
                         const json_t *body)
{
    (void)body;
    reply_embedded(server, request, "application/json", api_openapi, api_openapi_size);
}

static void get_page(struct api_server *server, struct api_request *request, const json_t *body)
{
    (void)server;
    (void)body;
    api_page_show(request);
}

static void get_page_style(struct api_server *server, struct api_request *request,
                           const json_t *body)
{
    (void)body;
    reply_embedded(server, request, "text/css; charset=utf-8", api_page_style,
                   api_page_style_size);
}

/* --- the table -------------------------------------------------------------------------- */

/* Six columns and no defaults: a route without a scope does not compile. */
#define ROUTE(method, path, scope, answer, parameters, body)                                   \
    {                                                                                          \
        method, path, SCOPE_##scope, answer, api_query_##parameters, BODY_##body               \
    }

static const struct api_route routes[] = {
    ROUTE("GET", "/api/v1/streams", READ, list_streams, none, NONE),
    ROUTE("GET", "/api/v1/streams/{name}", READ, get_stream, none, NONE),
    ROUTE("PUT", "/api/v1/streams/{name}", CONTROL, put_stream, none, JSON),
    ROUTE("PATCH", "/api/v1/streams/{name}", CONTROL, patch_stream, none, PATCH),
    ROUTE("DELETE", "/api/v1/streams/{name}", CONTROL, delete_stream, none, NONE),
    ROUTE("POST", "/api/v1/streams/{name}:restart", CONTROL, restart_stream, none, COMMAND),
    ROUTE("GET", "/api/v1/streams/{name}/snapshot.jpg", READ, get_snapshot, none, NONE),
    ROUTE("GET", "/api/v1/streams/{name}/live.mjpeg", READ, view_stream, live, NONE),
    ROUTE("GET", "/api/v1/detections", READ, list_detections, detections, NONE),
    ROUTE("GET", "/api/v1/detections/summary", READ, summarize_detections, summary, NONE),
    ROUTE("GET", "/api/v1/detections/{id}", READ, get_detection, none, NONE),
    ROUTE("GET", "/api/v1/events", EVENTS, get_events, events, NONE),
    ROUTE("GET", "/api/v1/models", READ, list_models, none, NONE),
    ROUTE("GET", "/api/v1/models/{name}", READ, get_model, none, NONE),
    ROUTE("GET", "/api/v1/models/{name}/card", READ, get_model_card, none, NONE),
    ROUTE("GET", "/api/v1/jobs", READ, list_jobs, none, NONE),
    ROUTE("POST", "/api/v1/jobs", CONTROL, post_job, none, JSON),
    ROUTE("GET", "/api/v1/jobs/{id}", READ, get_job, none, NONE),
    ROUTE("DELETE", "/api/v1/jobs/{id}", CONTROL, delete_job, none, NONE),
    ROUTE("GET", "/api/v1/jobs/{id}/events", EVENTS, follow_job, progress, NONE),
    ROUTE("GET", "/api/v1/version", READ, get_version, none, NONE),
    ROUTE("GET", "/livez", OPEN, get_liveness, none, NONE),
    ROUTE("GET", "/readyz", OPEN, get_readiness, none, NONE),
    ROUTE("GET", "/metrics", READ, get_metrics, none, NONE),
    ROUTE("GET", "/openapi.json", OPEN, get_contract, none, NONE),
    ROUTE("GET", "/", READ, get_page, page, NONE),
    ROUTE("GET", "/page.css", OPEN, get_page_style, none, NONE),
};
#define ROUTE_COUNT (sizeof routes / sizeof routes[0])
static_assert(ROUTE_COUNT <= API_ROUTES_MAX, "what is counted by route has too little room");

/* {name} stands for anything without a colon, {name}:verb for anything before that verb. */
static bool name_matches(const char *segment, const char *verb, size_t verb_length)
{
    const char *colon = strrchr(segment, ':');
    return verb_length == 0
               ? !colon
               : colon && strlen(colon) == verb_length && memcmp(colon, verb, verb_length) == 0;
}

/* *ret_name is left alone by a path without a name. */
static bool matches(const char *path, const struct api_target *target, char **ret_name)
{
    for (int i = 0; i < target->segment_count; i++) {
        char *segment = target->segments[i];
        if (*path++ != '/')
            return false;
        size_t length = strcspn(path, "/");
        if (*path == '{') {
            size_t name_length = strcspn(path, "}") + 1;
            if (!name_matches(segment, path + name_length, length - name_length))
                return false;
            *ret_name = segment;
        } else if (strlen(segment) != length || memcmp(segment, path, length) != 0) {
            return false;
        }
        path += length;
    }
    return *path == '\0';
}

const struct api_route *api_route_find(const char *method, struct api_target *target,
                                       bool *ret_known, const char **ret_name)
{
    *ret_known = false;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        char *name = NULL;
        if (!matches(routes[i].path, target, &name))
            continue;
        *ret_known = true;
        if (strcmp(routes[i].method, method) == 0) {
            if (name && strrchr(name, ':'))
                *strrchr(name, ':') = '\0';
            *ret_name = name;
            return &routes[i];
        }
    }
    return NULL;
}

const struct api_parameter_rule *api_route_parameters(const struct api_route *route)
{
    return route->parameters;
}

size_t api_route_index(const struct api_route *route)
{
    return route ? (size_t)(route - routes) : ROUTE_COUNT;
}

const char *api_route_method(const struct api_route *route)
{
    return route->method;
}

const char *api_route_media_types(const struct api_route *route)
{
    static const char *const types[] = {
        [BODY_NONE] = NULL,
        [BODY_JSON] = "application/json",
        [BODY_PATCH] = "application/merge-patch+json or application/json",
        [BODY_COMMAND] = "application/json",
    };
    return types[route->body];
}

/* `type`, with any parameters. */
static bool is_media_type(const char *content_type, const char *type)
{
    size_t length = strlen(type);
    if (strncasecmp(content_type, type, length) != 0)
        return false;
    const char *rest = content_type + length;
    rest += strspn(rest, " \t");
    return *rest == '\0' || *rest == ';';
}

bool api_route_takes(const struct api_route *route, const char *content_type)
{
    return content_type && (is_media_type(content_type, "application/json") ||
                            (route->body == BODY_PATCH &&
                             is_media_type(content_type, "application/merge-patch+json")));
}

bool api_route_name_is_valid(const struct api_route *route, const char *name)
{
    return strstr(route->path, "{id}") ? record_id_is_valid(name) : record_name_is_valid(name);
}

void api_route_format_allow(const struct api_target *target, char *ret_text, size_t size)
{
    size_t used = 0;
    bool literal = false; /* a path without a name comes first, and is the one that counts */
    ret_text[0] = '\0';
    for (size_t i = 0; i < ROUTE_COUNT && used < size; i++) {
        char *name = NULL;
        if (!matches(routes[i].path, target, &name) || (name && literal))
            continue;
        literal = literal || !name;
        used += (size_t)snprintf(ret_text + used, size - used, "%s%s%s", used ? ", " : "",
                                 routes[i].method,
                                 strcmp(routes[i].method, "GET") == 0 ? ", HEAD" : "");
    }
}

/* False when the request has been answered. */
static bool read_body(struct api_request *request, json_t **ret_body)
{
    const struct api_route *route = request->route;
    struct api_error err;
    if (route->body == BODY_NONE || (route->body == BODY_COMMAND && request->body_size == 0))
        return true;
    int status =
        api_body_parse(request->body ? request->body : "", request->body_size, ret_body, &err);
    if (status == 0 && (route->body != BODY_COMMAND || json_object_size(*ret_body) == 0))
        return true;
    if (status == -ENOMEM)
        api_request_reply_problem(request, 500, "no_memory", "no memory for the body");
    else if (status < 0)
        api_request_reply_problem(request, 400, "body_invalid", "%s", err.text);
    else
        api_request_reply_problem(request, 400, "body_invalid", "this takes no members");
    if (status == 0)
        json_decref(*ret_body);
    return false;
}

void api_route_dispatch(struct api_request *request)
{
    const struct api_route *route = request->route;
    json_t *body = NULL;
    if (!read_body(request, &body))
        return;
    api_request_hand_over(request);
    /* The request may be gone when this returns; the route is not. */
    route->answer(request->server, request, body);
    json_decref(body);
}

int api_server_get_route(size_t index, struct api_route_info *ret_info)
{
    if (index >= ROUTE_COUNT)
        return -ENOENT;
    const struct api_route *route = &routes[index];
    struct api_route_info info = {.method = route->method,
                                  .path = route->path,
                                  .scope = scope_names[route->scope],
                                  .has_body = route->body != BODY_NONE};
    for (const struct api_parameter_rule *rule = route->parameters; rule->name; rule++) {
        assert(info.parameter_count < API_ROUTE_PARAMETERS_MAX);
        info.parameters[info.parameter_count++] = rule->name;
    }
    *ret_info = info;
    return 0;
}
