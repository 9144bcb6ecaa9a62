/* What a coded stream is like, learnt from its pictures as they pass on to the decoder: groups
 * of pictures, bitrate, order, timestamps. Plain C; what is kept does not grow.
 *
 * Thread: one at a time. */
#ifndef PIPELINE_CODED_H
#define PIPELINE_CODED_H

#include <stddef.h>

#include "record/message_status.h"

#define CODED_NO_PTS INT64_C(-1)

/* A picture further off the last one than this has no time to rely on, and no group is as long:
 * ten minutes is beyond what any camera can be told. */
#define CODED_LEAP_NS INT64_C(10000000000)
#define CODED_GOP_NS  INT64_C(600000000000)

/* The bitrate is that of the last whole groups that make this much together. */
#define CODED_BITRATE_NS INT64_C(2000000000)

struct coded_picture {
    bool key;
    /* A key picture that no later one looks behind (IDR, BLA); false where codecs do not
     * say. */
    bool clean;
    int64_t pts_ns; /* nanoseconds, or CODED_NO_PTS */
    size_t size_bytes;
};

struct coded {
    struct message_gop gop;
    int64_t timestamp_faults;
    double bitrate_bps; /* < 0 unknown */

    /* Private. */
    bool begun; /* a key picture has been seen */
    struct {
        int64_t key_pts; /* CODED_NO_PTS: it has none that can be used */
        bool clean;
        int64_t frames, bytes;
    } group; /* the present one */
    int64_t last_pts, highest_pts;
    int64_t timed; /* groups that have a time */
    int64_t rate_bytes, rate_ns;
};

void coded_init(struct coded *coded);

/* In the order they are sent. Pictures before the first key picture count for nothing. */
void coded_add(struct coded *coded, const struct coded_picture *picture);

#endif
