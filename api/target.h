/* The request target of an HTTP request ("/api/v1/streams/front%2Ddoor?limit=5"), taken apart
 * and percent-decoded exactly once.
 *
 * A path is split at its slashes before it is decoded, so that %2F stays inside a segment and
 * never makes a second one. In the query `+` is a space, as forms write it. Every segment,
 * name and value that comes out is printable text (record/text.h).
 *
 * Source: RFC 9112 section 3.2 (origin-form and absolute-form), RFC 3986.
 * Thread: plain data. */
#ifndef API_TARGET_H
#define API_TARGET_H

#include <stddef.h>

#include "api/server.h"

#define API_TARGET_MAX            2048 /* bytes as sent */
#define API_TARGET_SEGMENTS_MAX   8
#define API_TARGET_PARAMETERS_MAX 32

struct api_parameter {
    const char *name;
    const char *value; /* "" without `=` */
};

/* Segments and parameters point into `text`: never copy the struct. */
struct api_target {
    char text[API_TARGET_MAX + 1];
    const char *authority; /* of an absolute-form target, "127.0.0.1:8470"; else NULL */
    int segment_count;     /* "/livez" has one; "/" has one, empty */
    char *segments[API_TARGET_SEGMENTS_MAX];
    int parameter_count;
    struct api_parameter parameters[API_TARGET_PARAMETERS_MAX];
};

/* 0; -EMSGSIZE over API_TARGET_MAX; -EINVAL with one line. The target's content means something
 * only on success. */
int api_target_parse(const char *raw, struct api_target *target, struct api_error *err);

#endif
