/* What a stream tells of itself: the status message, made from its rules, its present
 * connection and the analysis behind it, with what connections before this one left.
 *
 * Thread: the main thread. Times are nanoseconds of the monotonic clock. */
#ifndef PIPELINE_REPORT_H
#define PIPELINE_REPORT_H

#include "pipeline/connection.h"
#include "pipeline/lifecycle.h"
#include "pipeline/tail.h"

struct report {
    struct message message; /* a stream.status, the last one made */

    /* Private. */
    char caution[MESSAGE_DETAIL_SIZE];
    int64_t unix_offset; /* real time less monotonic time when the connection began */
    int64_t damaged, decode_cpu_ns; /* of earlier connections */
    struct histogram decode;
    int64_t last_damage, last_drop, dropped;
    int64_t counted_at, counted; /* for fps */
    int64_t lost_told_at, lost_told;
};

void report_init(struct report *report, const char *stream, int64_t now);

/* What a person should know of the present state; gone once the stream is live. */
void report_explain(struct report *report, const char *detail);

/* What a person should know of the analysis of a stream that is otherwise well: its detail while
 * it is live, and when it has ended so. The last is kept. */
void report_caution(struct report *report, const char *caution);

/* A new connection begins: its times are told by the wall clock of now. */
void report_connect(struct report *report, int64_t now);
/* It is over; its facts, which are not read again. */
void report_disconnect(struct report *report, const struct connection_facts *facts);

/* Makes the message. state: what life says, or what is shown of it. facts, counters: NULL:
 * there is no connection, no analysis. Says on stderr, once a minute at most, when records were
 * lost. */
void report_make(struct report *report, const struct lifecycle *life, enum stream_state state,
                 const struct connection_facts *facts, const struct tail_counters *counters,
                 int64_t now);

/* Whether what a reader acts on has changed since the last message was made. */
bool report_is_due(const struct report *report, const struct lifecycle *life,
                   enum stream_state state, const struct connection_facts *facts);

#endif
