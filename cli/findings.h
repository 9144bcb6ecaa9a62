/* What `vigil streams test` found out about a source: what it offers, what analysing it costs
 * and what about it will hurt.
 *
 * Thread: plain data. */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include <stdio.h>

#include "record/message.h"

/* Of a time during which the source was watched. */
struct findings {
    const char *uri; /* as it may be shown, borrowed as the rest */
    bool camera;     /* it comes over the network */
    bool encrypted;
    bool credentials; /* it asks for, or at least was sent, a user and password */
    double seconds;   /* how long it was watched */
    struct message_stream_status status; /* the last one */
    /* In that time, of the worker's processor; < 0 unknown. */
    double cpu_ms, decode_cpu_ms, analysis_cpu_ms;
    int64_t frames, dropped, damaged, analysed; /* in that time */
    int64_t resident_bytes, own_bytes;          /* of the worker at the end; 0 unknown */
};

/* The lines of a report for people: on `file`, warnings last. */
void findings_print(const struct findings *findings, FILE *file);

/* The same as one object; null is what is unknown. Caller owns the reference; NULL without
 * memory. */
json_t *findings_to_json(const struct findings *findings);

/* How many things will hurt. */
int findings_warnings(const struct findings *findings);

#endif
