/* From scores to events: hysteresis, minimum duration, cool-down. Plain C.
 *
 * A window has a centre, (first + last) / 2. For each label on its own:
 *
 *   candidate  from the first window with score >= enter. A window below exit ends it unseen:
 *              a candidate has no gaps.
 *   on         announced (STARTED) when min_duration has passed from the centre of the first
 *              window to the centre of this one; its start is the former.
 *   fading     below exit. A window >= exit within cooldown of the last one carries the same
 *              event on; when none came, it has ENDED at the centre of the last window >= exit.
 *
 * UPDATED comes while an event is on: one second (of stream time) after the last report of it,
 * or after a quarter of one when its score has risen by 0.05 or more.
 *
 * A discontinuity ends what is on and starts a hold-off of one window: the first window after
 * it starts nothing, nor does any window that shares frames with it.
 *
 * Everything depends on the windows given and nothing else; no clock is read.
 *
 * Thread: one thread at a time; the sink is called from within the call that caused it. */
#ifndef PIPELINE_EVENTS_H
#define PIPELINE_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/record.h"

struct events_rule {
    bool background; /* never an event: a label like "quiet" */
    double enter;    /* 0 < exit <= enter <= 1 */
    double exit;
    int64_t min_duration_ns; /* >= 0 */
    int64_t cooldown_ns;     /* >= 0 */
};

/* Scores of one window, one per rule. A score that is not a number counts as 0. Times are
 * 0..INT64_MAX/4. */
struct events_window {
    int64_t first_pts_ns, last_pts_ns;
    int frames;
    const float *scores; /* borrowed for the call */
};

struct events_report {
    enum record_phase phase;
    int label;        /* index of the rule */
    double score;     /* best so far, clipped to 0..1 */
    int64_t start_ns; /* centre of the first window >= enter */
    int64_t end_ns;   /* centre of the last window >= exit; RECORD_NO_TIME until ended */
    int64_t pts_ns;   /* last frame seen when this was reported */
    int64_t first_pts_ns, last_pts_ns; /* the evidence: the window with the best score */
    int frames;
};

typedef void (*events_sink)(const struct events_report *report, void *data);

struct events;

/* Copies the rules. NULL without memory. */
struct events *events_create(const struct events_rule *rules, int count, events_sink sink,
                             void *data);
void events_destroy(struct events *events); /* NULL is fine; reports nothing */

/* Windows come in order of time; after a step back call events_discontinuity first. */
void events_push(struct events *events, const struct events_window *window);

/* The frames no longer follow one another: what is on ends, and the hold-off begins. */
void events_discontinuity(struct events *events);

/* The end of the stream: what is on ends. */
void events_flush(struct events *events);

/* Whether an event of this label is on (announced, and its last window >= exit), and its score
 * in the last window. ret_score may be NULL. */
bool events_is_on(const struct events *events, int label, double *ret_score);

#endif
