/* How many detections: the counts of a query's matches, together or by stream, label and time.
 *
 * Thread: plain data. */
#ifndef RECORD_SUMMARY_H
#define RECORD_SUMMARY_H

#include "record/query.h"

/* What to count by: any of them, but not hour and day together. Hours and days are UTC's. */
enum record_by {
    RECORD_BY_STREAM = 1,
    RECORD_BY_LABEL = 2,
    RECORD_BY_HOUR = 4,
    RECORD_BY_DAY = 8,
};

#define RECORD_GROUPS_MAX 10000

struct record_group {
    int64_t time_ms;               /* when the hour or day begins; RECORD_NO_TIME: not by it */
    char stream[RECORD_NAME_SIZE]; /* "": not by it */
    char label[RECORD_LABEL_SIZE]; /* "": not by it */
    int64_t count;                 /* of detections that started then; never 0 */
};

struct record_summary {
    unsigned by;
    int64_t total;
    size_t count; /* of groups; none when by is 0. In order of time, stream, label */
    struct record_group *groups;
};
void record_summary_finish(struct record_summary *summary);

/* "stream,hour" as flags of record_by; -EINVAL for what is none, twice, or hour with day. */
int record_by_parse(const char *text, unsigned *ret_by);

/* {"by": ["stream", "hour"], "total": 7, "groups": [{"time": ..., "stream": ..., "count": 7}]}
 * as compact text; caller frees with free(). NULL without memory. */
char *record_summary_to_text(const struct record_summary *summary);

#endif
