/* A request's JSON body, read hostile-safe: one object, UTF-8, at most 64 KiB and 16 levels
 * deep, no member twice, nothing after it.
 *
 * Source: RFC 8259, RFC 7493 (no duplicate names). Thread: no shared state. */
#ifndef API_BODY_H
#define API_BODY_H

#include <stddef.h>

#include "api/server.h"

#define API_BODY_MAX       (64 * 1024)
#define API_BODY_DEPTH_MAX 16

/* 0, or -EINVAL with one line that says what and at which byte, or -ENOMEM. The caller owns the
 * reference. */
int api_body_parse(const char *text, size_t size, json_t **ret_body, struct api_error *err);

#endif
