/* The query parameters of each route as tables, and what they say.
 *
 * A parameter that a route does not know, that comes twice or whose value does not fit is an
 * error that names it: a filter that is silently ignored shows the wrong detections.
 *
 * Thread: plain data. */
#ifndef API_QUERY_H
#define API_QUERY_H

#include "api/target.h"
#include "record/summary.h"

#define API_NO_EVENT_ID (-1)

struct api_query {
    struct record_query detections; /* GET /events uses its stream, kind and label */
    unsigned by;                    /* flags of record_by; 0: absent */
    int64_t last_event_id;          /* API_NO_EVENT_ID: absent */
    int fps;                        /* GET .../live.mjpeg: pictures a second */
    int refresh_s;                  /* GET /: 0 never */
};

struct api_parameter_rule {
    const char *name;                                        /* NULL ends a table */
    int (*read)(struct api_query *query, const char *value); /* 0 or -EINVAL */
    const char *expected; /* ends the sentence "NAME must be ..." */
};

extern const struct api_parameter_rule api_query_none[];
extern const struct api_parameter_rule api_query_detections[];
extern const struct api_parameter_rule api_query_summary[];
extern const struct api_parameter_rule api_query_events[];
extern const struct api_parameter_rule api_query_progress[];
extern const struct api_parameter_rule api_query_live[];
extern const struct api_parameter_rule api_query_page[];

/* 0, or -EINVAL with one line and *ret_code one of parameter_unknown, parameter_repeated,
 * parameter_invalid, cursor_invalid. */
int api_query_parse(const struct api_parameter_rule *rules, const struct api_target *target,
                    struct api_query *ret_query, const char **ret_code, struct api_error *err);

/* A Last-Event-ID: digits that fit 63 bits. 0 or -EINVAL. */
int api_query_read_event_id(const char *value, int64_t *ret_id);

#endif
