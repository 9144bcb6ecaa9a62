/* What must be true of a request line and headers before anyone hears of the request. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/body.h"
#include "api/internal.h"

struct headers {
    const char *host, *content_length, *content_type, *transfer_encoding, *last_event_id;
    const char *if_match, *if_none_match;
    int hosts, content_lengths, transfer_encodings, conditions;
    bool malformed;
};

/* RFC 9110 section 5.6.2. libmicrohttpd takes "Content-Length : 5" for a header it does not
 * know, while the proxy before it may take it for the real one. */
static bool is_token(const char *name)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    if (!*name)
        return false;
    for (; *name; name++) {
        bool letter = (*name | 0x20) >= 'a' && (*name | 0x20) <= 'z';
        bool digit = *name >= '0' && *name <= '9';
        if (!letter && !digit && !strchr(others, *name))
            return false;
    }
    return true;
}

static enum MHD_Result collect(void *cls, enum MHD_ValueKind kind, const char *name,
                               const char *value)
{
    (void)kind;
    struct headers *headers = cls;
    if (!value)
        value = "";
    if (!is_token(name))
        headers->malformed = true;
    if (strcasecmp(name, "Host") == 0) {
        headers->host = value;
        headers->hosts++;
    } else if (strcasecmp(name, "Content-Length") == 0) {
        headers->content_length = value;
        headers->content_lengths++;
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        headers->transfer_encoding = value;
        headers->transfer_encodings++;
    } else if (strcasecmp(name, "Content-Type") == 0) {
        headers->content_type = value;
    } else if (strcasecmp(name, "Last-Event-ID") == 0) {
        headers->last_event_id = value;
    } else if (strcasecmp(name, "If-Match") == 0) {
        headers->conditions += headers->if_match != NULL;
        headers->if_match = value;
    } else if (strcasecmp(name, "If-None-Match") == 0) {
        headers->conditions += headers->if_none_match != NULL;
        headers->if_none_match = value;
    }
    return MHD_YES;
}

/* False when the request has been answered. Whoever gets these wrong may disagree with us about
 * where the next request begins. */
static bool check_message(struct api_request *request, const struct headers *headers)
{
    request->must_close = true;
    if (request->target_status == -EMSGSIZE)
        api_request_reply_problem(request, 414, "uri_too_long", "%s",
                                  request->target_error.text);
    else if (request->target_status < 0)
        api_request_reply_problem(request, 400, "target_invalid", "%s",
                                  request->target_error.text);
    else if (headers->malformed)
        api_request_reply_problem(request, 400, "header_invalid",
                                  "a header's name holds a character that names must not");
    else if (headers->content_lengths + headers->transfer_encodings > 1)
        api_request_reply_problem(request, 400, "framing_invalid",
                                  "send one Content-Length or one Transfer-Encoding");
    else if (headers->transfer_encoding &&
             strcasecmp(headers->transfer_encoding, "chunked") != 0)
        api_request_reply_problem(request, 400, "framing_invalid",
                                  "the only Transfer-Encoding understood is chunked");
    else if (headers->hosts != 1)
        api_request_reply_problem(request, 400, "host_invalid", "send one Host header");
    else
        request->must_close = false;
    return !request->answered;
}

static bool check_host(struct api_request *request, const char *host)
{
    const struct api_server *server = request->server;
    if (api_address_host_is_allowed(host, server->port) &&
        (!request->target.authority ||
         api_address_host_is_allowed(request->target.authority, server->port)))
        return true;
    api_request_reply_problem(request, 421, "host_not_allowed",
                              "this server is %s: Host must be that, or localhost",
                              server->url);
    return false;
}

static bool check_route(struct api_request *request, const char *method)
{
    bool path_known;
    request->head = strcmp(method, "HEAD") == 0;
    request->route = api_route_find(request->head ? "GET" : method, &request->target,
                                    &path_known, &request->name);
    if (request->route)
        return true;
    if (!path_known) {
        api_request_reply_problem(request, 404, "path_unknown",
                                  "there is nothing here; /openapi.json lists what there is");
        return false;
    }
    char allow[64];
    api_route_format_allow(&request->target, allow, sizeof allow);
    api_request_reply_problem(request, 405, "method_not_allowed", "allowed here: %s", allow);
    if (request->response)
        MHD_add_response_header(request->response, "Allow", allow);
    return false;
}

static bool check_body(struct api_request *request, const struct headers *headers,
                       bool has_body)
{
    const char *types = api_route_media_types(request->route);
    if (!types) {
        if (has_body)
            api_request_reply_problem(request, 400, "body_unexpected",
                                      "this method takes no body here");
    } else if (!api_route_takes(request->route, headers->content_type)) {
        api_request_reply_problem(request, 415, "media_type_unsupported",
                                  "send it with Content-Type: %s", types);
        if (request->response && strcmp(api_route_method(request->route), "PATCH") == 0)
            MHD_add_response_header(request->response, "Accept-Patch",
                                    "application/merge-patch+json, application/json");
    } else if (headers->content_length &&
               strtoull(headers->content_length, NULL, 10) > API_BODY_MAX) {
        api_request_reply_problem(request, 413, "body_too_large",
                                  "the body is larger than %d bytes", API_BODY_MAX);
    }
    return !request->answered;
}

/* What an If-Match or If-None-Match says is judged by whoever knows the tags. */
static bool keep_conditions(struct api_request *request, const struct headers *headers)
{
    const char *const lists[] = {headers->if_match, headers->if_none_match};
    char **const kept[] = {&request->if_match, &request->if_none_match};
    for (int i = 0; i < 2; i++) {
        if (!lists[i])
            continue;
        if (headers->conditions > 0 || !api_etag_list_is_valid(lists[i])) {
            api_request_reply_problem(request, 400, "header_invalid",
                                      "If-Match and If-None-Match each take * or a list of "
                                      "tags in double quotes, once");
            return false;
        }
        *kept[i] = strdup(lists[i]);
        if (!*kept[i]) {
            api_request_reply_problem(request, 500, "no_memory", "no memory for the headers");
            return false;
        }
    }
    return true;
}

static bool takes_event_id(const struct api_route *route)
{
    const struct api_parameter_rule *rules = api_route_parameters(route);
    return rules == api_query_events || rules == api_query_progress;
}

static bool check_parameters(struct api_request *request, const struct headers *headers)
{
    const char *code;
    struct api_error err;
    if (request->name && !api_route_name_is_valid(request->route, request->name)) {
        api_request_reply_problem(
            request, 400, "name_invalid",
            "a name is 1 to 64 of a-z, 0-9, _ and -, not beginning with _ or -; the id of a "
            "detection or job is 26 letters and digits");
        return false;
    }
    if (api_query_parse(api_route_parameters(request->route), &request->target, &request->query,
                        &code, &err) < 0) {
        api_request_reply_problem(request, 400, code, "%s", err.text);
        return false;
    }
    /* The header comes from a browser that reconnects, and knows better than the address that
     * the page once wrote. */
    if (headers->last_event_id && takes_event_id(request->route) &&
        api_query_read_event_id(headers->last_event_id, &request->query.last_event_id) < 0) {
        api_request_reply_problem(request, 400, "header_invalid",
                                  "Last-Event-ID must be the id of an event received before");
        return false;
    }
    return true;
}

void api_request_admit(struct api_request *request, const char *method, bool *ret_has_body)
{
    struct headers headers = {0};
    MHD_get_connection_values(request->connection->mhd, MHD_HEADER_KIND, collect, &headers);
    *ret_has_body = headers.transfer_encoding ||
                    (headers.content_length && strtoull(headers.content_length, NULL, 10) > 0);
    if (check_message(request, &headers) && check_host(request, headers.host) &&
        check_route(request, method) && check_body(request, &headers, *ret_has_body) &&
        keep_conditions(request, &headers))
        check_parameters(request, &headers);
}
