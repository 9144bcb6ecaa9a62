/* One stream's way through a model: which frames, what the network says, which events follow.
 * vigilanalyze is this as an element.
 *
 * Frames mostly pass unseen (sampling), so a frame is asked for before it is mapped:
 *
 *     if (analysis_wants(analysis, pts))
 *         analysis_push(analysis, &frame, pts, err);
 *
 * Thread: one thread at a time. Callbacks come from within the call that caused them. */
#ifndef PIPELINE_ANALYSIS_H
#define PIPELINE_ANALYSIS_H

#include "nn/session.h"
#include "pipeline/convert.h"
#include "pipeline/events.h"
#include "pipeline/modelinfo.h"

struct analysis;

struct analysis_callbacks {
    void (*window)(const struct events_window *window, void *data);
    void (*event)(const struct events_report *report, void *data);
    void *data;
};

struct analysis_counters {
    int64_t received; /* frames shown to analysis_wants */
    int64_t analysed; /* of these, pushed into the network */
    int64_t stale;    /* of these, left out as repeated or late */
    int64_t windows;
    int64_t discontinuities;
    int64_t convert_ns;   /* time spent making input of pixels */
    int64_t inference_ns; /* and in the network */
};

/* Borrows info, which must outlive the analysis; takes its own reference of plan.
 * 0, -ENOMEM, or an error of nn_session_create. */
int analysis_create(const struct modelinfo *info, struct nn_plan *plan,
                    const struct analysis_callbacks *callbacks, struct analysis **ret_analysis,
                    struct nn_error *err);
void analysis_destroy(struct analysis *analysis); /* NULL is fine; reports nothing */

/* What frames look like from now on; to be called before the first, and a discontinuity between
 * any. 0, or an error of convert_create. */
int analysis_set_format(struct analysis *analysis, const GstVideoInfo *format,
                        const struct convert_region *region);

/* Whether the frame with this pts is to be pushed. */
bool analysis_wants(struct analysis *analysis, int64_t pts_ns);

/* Runs the network over a frame that was wanted. 0, or an error of nn_session. */
int analysis_push(struct analysis *analysis, const GstVideoFrame *frame, int64_t pts_ns,
                  struct nn_error *err);

/* What comes next does not follow what was: state is forgotten, open events end, new ones are
 * held off for one window. */
void analysis_discontinuity(struct analysis *analysis);

/* Timestamps may have another origin from here on; a step back is then a discontinuity. */
void analysis_segment(struct analysis *analysis);

/* The end: open events end. */
void analysis_flush(struct analysis *analysis);

bool analysis_event_is_on(const struct analysis *analysis, int label, double *ret_score);
void analysis_count(const struct analysis *analysis, struct analysis_counters *ret_counters);

#endif
