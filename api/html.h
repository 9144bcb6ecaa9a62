/* The page at /: streams and the last detections as plain HTML, for a browser without
 * JavaScript.
 *
 * Every text is escaped, wherever it came from: names, details and labels pass through workers
 * that met a camera's bytes.
 *
 * Source: HTML Living Standard. Thread: no shared state (localtime_r reads TZ). */
#ifndef API_HTML_H
#define API_HTML_H

#include <jansson.h>

#include "record/record.h"

struct api_html_page {
    const char *version;
    int refresh_s;         /* 0: the page stays as it is */
    const json_t *streams; /* an array as GET /streams answers; NULL: they cannot be told */
    const struct record *detections; /* newest first */
    int detection_count;             /* -1: they cannot be told */
};

/* NUL-terminated UTF-8; the caller frees. NULL without memory. */
char *api_html_write(const struct api_html_page *page);

#endif
