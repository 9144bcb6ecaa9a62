#include "api/target.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "record/text.h"

static int fail(struct api_error *err, const char *text)
{
    snprintf(err->text, sizeof err->text, "%s", text);
    return -EINVAL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decodes in place: the result is never longer. A decoded NUL fails as not printable, since
 * the length is taken before the string ends. */
static int decode(char *text, bool plus_is_space, struct api_error *err)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        if (*in == '%') {
            int high = hex_digit(in[1]);
            int low = high < 0 ? -1 : hex_digit(in[2]);
            if (low < 0)
                return fail(err, "% is not followed by two hexadecimal digits");
            *out++ = (char)(high << 4 | low);
            in += 2;
        } else {
            *out++ = plus_is_space && *in == '+' ? ' ' : *in;
        }
    }
    size_t size = (size_t)(out - text);
    *out = '\0';
    if (size > 0 && !text_is_printable(text, size))
        return fail(err, "the request target is not printable UTF-8 once decoded");
    return 0;
}

static int parse_path(struct api_target *target, char *path, struct api_error *err)
{
    while (path) {
        if (target->segment_count == API_TARGET_SEGMENTS_MAX)
            return fail(err, "the path has more segments than any path here");
        char *slash = strchr(path, '/');
        if (slash)
            *slash++ = '\0';
        if (decode(path, false, err) < 0)
            return -EINVAL;
        target->segments[target->segment_count++] = path;
        path = slash;
    }
    return 0;
}

static int parse_query(struct api_target *target, char *query, struct api_error *err)
{
    while (query) {
        char *next = strchr(query, '&');
        if (next)
            *next++ = '\0';
        if (*query) {
            if (target->parameter_count == API_TARGET_PARAMETERS_MAX)
                return fail(err, "the query has more than 32 parameters");
            char *value = strchr(query, '=');
            if (value)
                *value++ = '\0';
            else
                value = strchr(query, '\0');
            if (decode(query, true, err) < 0 || decode(value, true, err) < 0)
                return -EINVAL;
            target->parameters[target->parameter_count++] =
                (struct api_parameter){.name = query, .value = value};
        }
        query = next;
    }
    return 0;
}

int api_target_parse(const char *raw, struct api_target *target, struct api_error *err)
{
    target->authority = NULL;
    target->segment_count = 0;
    target->parameter_count = 0;
    size_t size = strlen(raw);
    if (size > API_TARGET_MAX) {
        snprintf(err->text, sizeof err->text, "the request target is longer than %d bytes",
                 API_TARGET_MAX);
        return -EMSGSIZE;
    }
    for (size_t i = 0; i < size; i++) {
        if (raw[i] <= ' ' || raw[i] > '~' || raw[i] == '#')
            return fail(err, "the request target holds a byte that must be percent-encoded");
    }
    memcpy(target->text, raw, size + 1);

    char *path = target->text;
    char *query = strchr(path, '?');
    if (query)
        *query++ = '\0';
    if (strncasecmp(path, "http://", 7) == 0) {
        /* The authority moves to the front, so that the slash after it stays the path's. */
        char *authority = path + 7;
        path = strchr(authority, '/');
        size_t length = path ? (size_t)(path - authority) : strlen(authority);
        memmove(target->text, authority, length);
        target->text[length] = '\0';
        target->authority = target->text;
        if (!path)
            return fail(err, "the request target has no path");
    }
    if (*path != '/')
        return fail(err, "the request target must begin with /");
    if (parse_path(target, path + 1, err) < 0)
        return -EINVAL;
    return parse_query(target, query, err);
}
