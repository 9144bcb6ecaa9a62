/* The life of one stream as rules without clock, threads or GStreamer: what state it is in,
 * when its source is to be thrown away, and when the next attempt is due.
 *
 * The owner tells what happened (lifecycle_on_…), then calls lifecycle_advance, which answers
 * what to do now; lifecycle_deadline says when to call again at the latest. Times are
 * nanoseconds of a monotonic clock. All rules that involve time but the last hold for cameras
 * only (`network`); a file or a rendered scene is as slow as it is.
 *
 *   connecting   an attempt, but for those of backoff's first minute
 *   live         pictures come
 *   stalled      a session that was live fell silent or broke; until the first attempt at
 *                another has failed
 *   backoff      an attempt failed, and the reason says how. In the first 60 s of an outage of
 *                a stream that was live attempts follow each other within a second: 120 a
 *                minute where nobody listens, 80 at most where a camera answers
 *   failed       no further attempt: a human must change something
 *   ended        a file at its end
 *
 * An outage lasts until the stream has been live for LIFECYCLE_STEADY_NS: a camera that comes
 * back for a moment only is not asked more often for it, one that comes back for good has a new
 * minute of eager attempts in its next outage. What the backoff had grown to is kept until
 * LIFECYCLE_HEALTHY_NS.
 *
 * Gap: no packet, or packets but no picture, for 3 frame intervals, 3 s at least and 60 s at
 * most: intervals are learnt from what arrives, so stalls just short of the limit would move
 * it. GStreamer itself notices a silent camera after 25-30 s only. Before its first picture a
 * camera gets LIFECYCLE_KEY_NS, since one joined in the middle of a long GOP has nothing to
 * decode.
 * A file of which nothing is left to analyse and nothing more comes for LIFECYCLE_FILE_NS is
 * given up: what hangs there is a demuxer, in a damaged file or a hostile one.
 * If lifecycle_advance itself is called late (the process was stopped, the machine slept), the
 * lateness is ours and every running time limit is put off by it.
 *
 * Thread: one at a time. */
#ifndef PIPELINE_LIFECYCLE_H
#define PIPELINE_LIFECYCLE_H

#include <stdbool.h>
#include <stdint.h>

#include "record/message.h"

#define LIFECYCLE_SECOND INT64_C(1000000000)

#define LIFECYCLE_GAP_NS         (3 * LIFECYCLE_SECOND)
#define LIFECYCLE_GAP_MAX_NS     (60 * LIFECYCLE_SECOND)
#define LIFECYCLE_CONNECT_NS     (5 * LIFECYCLE_SECOND)  /* to a session, to its first packet */
#define LIFECYCLE_KEY_NS         (15 * LIFECYCLE_SECOND) /* first packet to first picture */
#define LIFECYCLE_FILE_NS        (20 * LIFECYCLE_SECOND)
#define LIFECYCLE_OUTAGE_NS      (60 * LIFECYCLE_SECOND) /* eager attempts after being live */
#define LIFECYCLE_STEADY_NS      (5 * LIFECYCLE_SECOND)  /* of being live end an outage */
#define LIFECYCLE_HEALTHY_NS     (60 * LIFECYCLE_SECOND) /* of it forget the backoff, too */
#define LIFECYCLE_EAGER_NS       (LIFECYCLE_SECOND * 3 / 4) /* between starts of eager ones */
#define LIFECYCLE_REFUSED_NS     (LIFECYCLE_SECOND / 2)     /* the same of refused ones */
#define LIFECYCLE_BACKOFF_MAX_NS (30 * LIFECYCLE_SECOND)
#define LIFECYCLE_LATE_NS        LIFECYCLE_SECOND /* an advance later than this is our stall */
#define LIFECYCLE_ADVANCE_NS     LIFECYCLE_SECOND /* deadlines are never further away */

enum lifecycle_action {
    LIFECYCLE_WAIT,
    LIFECYCLE_CONNECT,    /* build a source and start it */
    LIFECYCLE_DISCONNECT, /* throw the source away */
    LIFECYCLE_FINISH,     /* throw the source away and let the pipeline run out: the end */
};

struct lifecycle {
    enum stream_state state;
    enum stream_reason reason;
    /* Of cameras, as in struct message_stream_status. */
    int64_t reconnects, attempts;
    int64_t lost[REASON_COUNT];

    /* Private. */
    bool network, loop;
    bool connected; /* a source exists */
    bool session;   /* and its session was accepted */
    bool failing;   /* and is to be thrown away */
    bool ending;
    int64_t interval; /* of frames, 0 unknown */
    int64_t advanced; /* last call of lifecycle_advance */
    int64_t attempt_at;
    int64_t session_at, packet_at, picture_at; /* of this attempt; -1 not yet */
    int64_t busy_at;                           /* of this attempt */
    int64_t live_since;                        /* -1 not live */
    bool was_live;                             /* at least once */
    int64_t outage_since;                      /* -1 none, or forgotten */
    int64_t next_attempt;                      /* -1 none */
    int backoff_step, refusals;
    uint64_t random;
};

/* network: a camera; loop: a file that starts again at its end. seed: for the jitter. */
void lifecycle_init(struct lifecycle *life, bool network, bool loop, uint64_t seed,
                    int64_t now);

/* The time between frames as the stream says or measurement shows. */
void lifecycle_set_interval(struct lifecycle *life, int64_t interval_ns);

void lifecycle_on_session(struct lifecycle *life, int64_t now);
void lifecycle_on_packet(struct lifecycle *life, int64_t now);  /* after depayloading */
void lifecycle_on_picture(struct lifecycle *life, int64_t now); /* after decoding */
/* What the source gave before still waits, to be shown in time or to be analysed. */
void lifecycle_on_busy(struct lifecycle *life, int64_t now);
/* Whether that is news: a source fails once, and what is final stays. */
bool lifecycle_on_failure(struct lifecycle *life, enum stream_reason reason, int64_t now);
/* The stream can not even be set up: failed, before its first attempt. */
void lifecycle_give_up(struct lifecycle *life, enum stream_reason reason);
/* No more pictures: the end of a file, a broken session of a camera. */
void lifecycle_on_end(struct lifecycle *life, int64_t now);

/* What to do now. Repeat until LIFECYCLE_WAIT. */
enum lifecycle_action lifecycle_advance(struct lifecycle *life, int64_t now);

/* When lifecycle_advance is due again: at most LIFECYCLE_ADVANCE_NS after its last call. */
int64_t lifecycle_deadline(const struct lifecycle *life);

#endif
