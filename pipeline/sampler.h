/* Which frames of a stream a model sees. Plain C.
 *
 * Frame k of a model at `fps` is the first at or after k/fps seconds from the first frame, to
 * within a millisecond: containers and RTP clocks round. A stream slower than fps gives all its
 * frames. fps 0 takes every frame.
 *
 * A frame that repeats the pts of the one before, or steps back by less than a second, is
 * stale: it was seen, or its turn has passed. A longer step back, or forward by more than
 * `gap`, is a discontinuity: the frame is the first of a new stretch.
 *
 * Thread: plain data. */
#ifndef PIPELINE_SAMPLER_H
#define PIPELINE_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

struct sampler {
    double fps;
    int64_t gap_ns;
    bool running; /* origin and last are set */
    bool moved;   /* a new segment: the next step back, however short, is a discontinuity */
    int64_t origin_ns, last_ns;
    int64_t next; /* k of the next frame wanted */
};

enum sampler_verdict {
    SAMPLER_STALE,
    SAMPLER_SKIP,
    SAMPLER_TAKE,
    SAMPLER_TAKE_FIRST, /* after a discontinuity */
};

/* window: the model's, in frames; gap is its length, at least a second. */
void sampler_init(struct sampler *sampler, double fps, int window);

/* pts_ns: 0..INT64_MAX/4. */
enum sampler_verdict sampler_look(struct sampler *sampler, int64_t pts_ns);

/* The next frame starts anew, with SAMPLER_TAKE: whoever says so knows it. */
void sampler_restart(struct sampler *sampler);

/* Timestamps from here on may have another origin (a new segment). */
void sampler_segment(struct sampler *sampler);

#endif
