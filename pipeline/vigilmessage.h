/* The element messages vigilanalyze posts on the bus, written and read.
 *
 * All times are in nanoseconds of stream time (what a player shows: 0 at the start of a file),
 * but for running-time, which is the pipeline's clock minus its base time when the frame is on
 * time, so that now - running-time is the latency of a live source.
 *
 * "vigil-window", one per window when the property post-windows is set:
 *   pts, running-time   guint64   of its last frame
 *   first-pts, last-pts guint64
 *   frames              gint
 *   labels              GstValueArray of gchararray
 *   scores              GstValueArray of gdouble, in the order of labels
 *   model               gchararray, the property model-name
 *
 * "vigil-event", when an event starts, goes on, ends (pipeline/events.h says when):
 *   phase               gchararray, started | updated | ended
 *   kind, label         gchararray
 *   score               gdouble, 0..1, the best so far
 *   start               guint64, centre of its first window
 *   end                 guint64, centre of its last window; GST_CLOCK_TIME_NONE until ended
 *   pts, running-time   guint64, of the last frame seen when this was said
 *   first-pts, last-pts guint64, frames gint: the window that is the evidence
 *   model               gchararray
 *
 * Thread: any. */
#ifndef PIPELINE_VIGILMESSAGE_H
#define PIPELINE_VIGILMESSAGE_H

#include <stdbool.h>

#include <gst/gst.h>

#include "record/record.h"

#define VIGILMESSAGE_LABELS_MAX 256

struct vigilmessage_window {
    GstClockTime pts, running_time;
    GstClockTime first_pts, last_pts;
    int frames;
    int score_count;
    const char *labels[VIGILMESSAGE_LABELS_MAX]; /* parsed: valid as long as the message */
    double scores[VIGILMESSAGE_LABELS_MAX];
    const char *model;
};

struct vigilmessage_event {
    enum record_phase phase;
    enum record_kind kind;
    const char *label; /* parsed: valid as long as the message, as model */
    double score;
    GstClockTime start, end;
    GstClockTime pts, running_time;
    GstClockTime first_pts, last_pts;
    int frames;
    const char *model;
};

GstMessage *vigilmessage_window_new(GstObject *source,
                                    const struct vigilmessage_window *window);
GstMessage *vigilmessage_event_new(GstObject *source, const struct vigilmessage_event *event);

/* false when the message is another one; nothing is written then. */
bool vigilmessage_window_parse(GstMessage *message, struct vigilmessage_window *ret_window);
bool vigilmessage_event_parse(GstMessage *message, struct vigilmessage_event *ret_event);

#endif
