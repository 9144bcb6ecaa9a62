#include "cli/client.h"

#include <curl/curl.h>
#include <glib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/sse.h"

/* An answer larger than this is not one of ours: a page is at most 500 records. */
#define ANSWER_MAX (16u << 20)

#define URL_DEFAULT "http://127.0.0.1:8470"

struct client {
    CURL *curl;
    char *base;
    long status;
    char detail[CURL_ERROR_SIZE];
};

/* "127.0.0.1:8470", as the configuration has it. */
static bool is_host_and_port(const char *text)
{
    const char *colon = strrchr(text, ':');
    size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
    return colon > text && digits > 0 && colon[1 + digits] == '\0' && !strchr(text, '/');
}

struct client *client_create(void)
{
    const char *url = g_getenv("VIGIL_URL");
    if (!url || !*url)
        url = URL_DEFAULT;
    bool has_scheme = g_str_has_prefix(url, "http://") || g_str_has_prefix(url, "https://");
    if (!has_scheme && !is_host_and_port(url)) {
        cli_fail(CLI_USAGE, "VIGIL_URL is \"%s\"; write http://HOST:PORT, as " URL_DEFAULT,
                 url);
        return NULL;
    }
    struct client *client = g_new0(struct client, 1);
    client->base = g_strconcat(has_scheme ? "" : "http://", url, NULL);
    while (g_str_has_suffix(client->base, "/"))
        client->base[strlen(client->base) - 1] = '\0';
    curl_global_init(CURL_GLOBAL_DEFAULT);
    client->curl = curl_easy_init();
    if (!client->curl) {
        cli_fail(CLI_INTERNAL, "no HTTP client: out of memory");
        client_destroy(client);
        return NULL;
    }
    return client;
}

void client_destroy(struct client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->curl);
    curl_global_cleanup();
    g_free(client->base);
    g_free(client);
}

static size_t keep_answer(char *data, size_t size, size_t count, void *context)
{
    GString *answer = context;
    if (size * count > ANSWER_MAX - answer->len)
        return 0;
    g_string_append_len(answer, data, (gssize)(size * count));
    return size * count;
}

/* Everything a request has in common. The environment's proxies do not apply: the daemon is on
 * this machine or named by its address. */
static void prepare(struct client *client, const char *path)
{
    g_autofree char *url = g_strconcat(client->base, "/api/v1", path, NULL);
    curl_easy_reset(client->curl);
    client->detail[0] = '\0';
    curl_easy_setopt(client->curl, CURLOPT_URL, url);
    curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, client->detail);
    curl_easy_setopt(client->curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(client->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(client->curl, CURLOPT_USERAGENT, "vigil/" VIGIL_VERSION);
    curl_easy_setopt(client->curl, CURLOPT_CONNECTTIMEOUT, 5L);
    curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
}

static int fail_transport(struct client *client, CURLcode code)
{
    return cli_fail(CLI_UNAVAILABLE,
                    "no answer from %s: %s (is vigild running? VIGIL_URL says "
                    "where)",
                    client->base,
                    client->detail[0] ? client->detail : curl_easy_strerror(code));
}

/* The API's words for what is called otherwise here. */
static char *translate(const char *detail, const char *code)
{
    static const struct {
        const char *api, *here;
    } words[] = {{"GET /api/v1/streams lists them", "vigil streams ls lists them"},
                 {"unknown member ", "unknown key "}};
    GString *text = g_string_new(detail);
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        g_string_replace(text, words[i].api, words[i].here, 1);
    /* "min_score must be ...": options are named like parameters, and each detail begins so. */
    if (code && strcmp(code, "parameter_invalid") == 0) {
        size_t length = strcspn(text->str, " ");
        for (size_t i = 0; i < length; i++)
            if (text->str[i] == '_')
                text->str[i] = '-';
        g_string_prepend(text, "--");
    }
    return g_string_free(text, FALSE);
}

/* The daemon's problem+json. 4xx is the caller's doing and told in a sentence; 5xx is not, and
 * what it is called in the API helps who looks into it. */
static int fail_status(long status, const json_t *problem)
{
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    const char *code = json_string_value(json_object_get(problem, "code"));
    enum cli_exit exit_code = status >= 500   ? CLI_UNAVAILABLE
                              : status == 404 ? CLI_CHECK_FAILED
                                              : CLI_USAGE;
    if (detail && status < 500) {
        g_autofree char *text = translate(detail, code);
        return cli_fail(exit_code, "%s", text);
    }
    return cli_fail(exit_code, "%s (%ld %s)", detail ? detail : "the daemon refused", status,
                    code ? code : "without a reason");
}

/* One request and its answer, unjudged; the status is the client's. */
static CURLcode perform(struct client *client, const char *method, const char *path,
                        const json_t *body, GString *answer)
{
    struct curl_slist *headers = NULL;
    char *text = NULL;

    prepare(client, path);
    curl_easy_setopt(client->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(client->curl, CURLOPT_TIMEOUT, 30L);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, keep_answer);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, answer);
    if (body) {
        text = json_dumps(body, JSON_COMPACT);
        headers = curl_slist_append(NULL, "Content-Type: application/json");
        curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(client->curl, CURLOPT_POSTFIELDS, text ? text : "");
    }
    CURLcode code = curl_easy_perform(client->curl);
    long status = 0;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    client->status = status;
    curl_slist_free_all(headers);
    free(text);
    return code;
}

static int judge(struct client *client, CURLcode code, const GString *answer,
                 json_t **ret_answer)
{
    if (code != CURLE_OK)
        return fail_transport(client, code);
    json_t *value = json_loadb(answer->str, answer->len, JSON_REJECT_DUPLICATES, NULL);
    int result = CLI_OK;
    if (client->status >= 400)
        result = fail_status(client->status, value);
    else if (!value && answer->len > 0)
        result = cli_fail(CLI_UNAVAILABLE, "%s does not speak vigil's API", client->base);
    if (result == CLI_OK && ret_answer)
        *ret_answer = g_steal_pointer(&value);
    json_decref(value);
    return result;
}

int client_request(struct client *client, const char *method, const char *path,
                   const json_t *body, json_t **ret_answer)
{
    g_autoptr(GString) answer = g_string_new(NULL);
    CURLcode code = perform(client, method, path, body, answer);
    return judge(client, code, answer, ret_answer);
}

int client_get_optional(struct client *client, const char *path, json_t **ret_answer)
{
    g_autoptr(GString) answer = g_string_new(NULL);
    CURLcode code = perform(client, "GET", path, NULL, answer);
    if (code == CURLE_OPERATION_TIMEDOUT || (code == CURLE_OK && client->status >= 500))
        return CLI_OK;
    return judge(client, code, answer, ret_answer);
}

long client_status(const struct client *client)
{
    return client->status;
}

char *client_query(const char *name, ...)
{
    GString *query = g_string_new(NULL);
    va_list arguments;
    va_start(arguments, name);
    for (; name; name = va_arg(arguments, const char *)) {
        const char *value = va_arg(arguments, const char *);
        if (!value || !*value)
            continue;
        g_autofree char *escaped = g_uri_escape_string(value, NULL, FALSE);
        g_string_append_printf(query, "%c%s=%s", query->len ? '&' : '?', name, escaped);
    }
    va_end(arguments);
    return g_string_free(query, FALSE);
}

/* --- the event stream -------------------------------------------------------------------- */

struct follower {
    struct client *client;
    bool (*on_record)(void *context, const json_t *record);
    void *context;
    struct sse_reader reader;
    GString *refusal; /* the answer, when it is no event stream */
    int64_t seen;     /* seq of the last record handed on, -1 before any */
    bool reached;     /* the daemon has answered once */
    bool answered;    /* it has in this connection */
    bool over;        /* on_record has had enough */
};

/* An event of an id alone says where the stream stands: a reconnect resumes from there. */
static int take_event(void *context, const struct sse_event *event)
{
    struct follower *follower = context;
    guint64 seq = 0;
    if (!g_ascii_string_to_unsigned(event->id, 10, 0, INT64_MAX, &seq, NULL) ||
        (int64_t)seq <= follower->seen)
        return 0;
    follower->seen = (int64_t)seq;
    if (!*event->data)
        return 0;
    json_t *record = json_loads(event->data, JSON_REJECT_DUPLICATES, NULL);
    if (record)
        follower->over = !follower->on_record(follower->context, record);
    json_decref(record);
    return follower->over;
}

static size_t take_bytes(char *data, size_t size, size_t count, void *context)
{
    struct follower *follower = context;
    if (!follower->answered) {
        const char *type = NULL;
        long status = 0;
        curl_easy_getinfo(follower->client->curl, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(follower->client->curl, CURLINFO_CONTENT_TYPE, &type);
        follower->answered =
            status == 200 && type && g_str_has_prefix(type, "text/event-stream");
        follower->reached = follower->reached || follower->answered;
    }
    if (!follower->answered)
        return keep_answer(data, size, count, follower->refusal);
    return sse_reader_feed(&follower->reader, data, size * count, take_event, follower) == 0
               ? size * count
               : 0;
}

/* One connection, until it breaks. CLI_OK when it may be tried again. */
static int follow_once(struct client *client, const char *path, struct follower *follower)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: text/event-stream");
    prepare(client, path);
    if (follower->seen >= 0) {
        g_autofree char *resume =
            g_strdup_printf("Last-Event-ID: %" G_GINT64_FORMAT, follower->seen);
        headers = curl_slist_append(headers, resume);
    }
    follower->answered = false;
    g_string_truncate(follower->refusal, 0);
    curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, follower);
    /* The daemon sends a comment every 15 s: silence for 45 s is a dead connection. */
    curl_easy_setopt(client->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(client->curl, CURLOPT_LOW_SPEED_TIME, 45L);
    CURLcode code = curl_easy_perform(client->curl);
    long status = 0;
    curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    if (follower->over)
        return CLI_OK;
    /* A daemon that is just starting or stopping may say 5xx: it was reached, so it is waited
     * for. */
    if (status >= 400 && (status < 500 || !follower->reached)) {
        json_t *problem = json_loadb(follower->refusal->str, follower->refusal->len, 0, NULL);
        int result = fail_status(status, problem);
        json_decref(problem);
        return result;
    }
    if (!follower->reached && code != CURLE_OK)
        return fail_transport(client, code);
    if (!follower->reached)
        return cli_fail(CLI_UNAVAILABLE, "%s does not speak vigil's API", client->base);
    if (follower->answered)
        fprintf(stderr, "vigil: lost %s; trying again\n", client->base);
    return CLI_OK;
}

int client_follow(struct client *client, const char *query, int64_t after,
                  bool (*on_record)(void *context, const json_t *record), void *context)
{
    struct follower follower = {.client = client,
                                .on_record = on_record,
                                .context = context,
                                .refusal = g_string_new(NULL),
                                .seen = after};
    g_autofree char *path = g_strconcat("/events", query, NULL);
    int result = CLI_OK;
    while (result == CLI_OK && !follower.over) {
        sse_reader_init(&follower.reader);
        result = follow_once(client, path, &follower);
        sse_reader_finish(&follower.reader);
        if (result == CLI_OK && !follower.over)
            g_usleep(G_USEC_PER_SEC);
    }
    g_string_free(follower.refusal, TRUE);
    return result;
}
