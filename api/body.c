#include "api/body.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "record/text.h"

/* jansson's own limit on depth (2048) is fixed when it is built. Counting brackets outside of
 * strings finds the depth of anything valid, and never less than it of anything else. */
static int check_depth(const char *text, size_t size, struct api_error *err)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > API_BODY_DEPTH_MAX) {
                snprintf(err->text, sizeof err->text,
                         "the body is nested more than %d levels deep, at byte %zu",
                         API_BODY_DEPTH_MAX, i);
                return -EINVAL;
            }
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return 0;
}

int api_body_parse(const char *text, size_t size, json_t **ret_body, struct api_error *err)
{
    if (size > API_BODY_MAX) {
        snprintf(err->text, sizeof err->text, "the body is larger than %d bytes", API_BODY_MAX);
        return -EINVAL;
    }
    if (check_depth(text, size, err) < 0)
        return -EINVAL;
    json_error_t error;
    json_t *body = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!body && json_error_code(&error) == json_error_out_of_memory) {
        snprintf(err->text, sizeof err->text, "no memory");
        return -ENOMEM;
    }
    if (!body) {
        /* The message quotes what it met; this keeps the answer valid whatever that was. */
        char reason[160];
        text_copy_printable(reason, sizeof reason, error.text);
        snprintf(err->text, sizeof err->text, "the body is not valid JSON: %s, at byte %d",
                 reason, error.position);
        return -EINVAL;
    }
    if (!json_is_object(body)) {
        json_decref(body);
        snprintf(err->text, sizeof err->text, "the body must be a JSON object, at byte 0");
        return -EINVAL;
    }
    *ret_body = body;
    return 0;
}
