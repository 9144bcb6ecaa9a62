/* What a client may send, by the first byte: a request target and its query, a Host, a JSON
 * body. What is accepted must be within every bound that is promised. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/address.h"
#include "api/body.h"
#include "api/query.h"
#include "record/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                        \
    do {                                                                                       \
        if (!(condition))                                                                      \
            abort();                                                                           \
    } while (0)

static void try_query(const struct api_parameter_rule *rules, const struct api_target *target)
{
    struct api_query query;
    struct api_error err;
    const char *code = NULL;
    if (api_query_parse(rules, target, &query, &code, &err) < 0) {
        MUST(code && text_is_printable(err.text, strlen(err.text)));
        return;
    }
    const struct record_query *asked = &query.detections;
    MUST(asked->limit >= 1 && asked->limit <= RECORD_PAGE_MAX);
    MUST(asked->min_score >= 0 && asked->min_score <= 1);
    MUST(asked->kind >= -1 && asked->kind < RECORD_KIND_COUNT);
    MUST(!asked->stream[0] || record_name_is_valid(asked->stream));
    MUST(!asked->zone[0] || record_name_is_valid(asked->zone));
    MUST(!asked->label[0] || record_label_is_valid(asked->label));
    MUST(strlen(asked->cursor) < RECORD_CURSOR_SIZE);
    MUST(query.last_event_id >= API_NO_EVENT_ID);
}

static void try_target(const char *text)
{
    static struct api_target target;
    struct api_error err;
    if (api_target_parse(text, &target, &err) < 0)
        return;
    MUST(target.segment_count >= 1 && target.segment_count <= API_TARGET_SEGMENTS_MAX);
    for (int i = 0; i < target.segment_count; i++) {
        size_t length = strlen(target.segments[i]);
        MUST(length <= strlen(text));
        MUST(length == 0 || text_is_printable(target.segments[i], length));
    }
    try_query(api_query_detections, &target);
    try_query(api_query_events, &target);
}

static void try_address(const char *text)
{
    union api_address address;
    struct api_error err;
    api_address_host_is_allowed(text, 8470);
    if (api_address_parse(text, &address, &err) < 0)
        return;
    char url[API_URL_SIZE];
    api_address_format_url(&address, url);
    MUST(api_address_host_is_allowed(url + strlen("http://"), api_address_port(&address)));
}

static void try_body(const char *text, size_t size)
{
    json_t *body = NULL;
    struct api_error err;
    if (api_body_parse(text, size, &body, &err) < 0) {
        MUST(text_is_printable(err.text, strlen(err.text)));
        return;
    }
    MUST(json_is_object(body));
    json_decref(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    char *text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0]) {
    case 'T':
        try_target(text);
        break;
    case 'H':
        try_address(text);
        break;
    default:
        try_body(text, size - 1);
    }
    free(text);
    return 0;
}
