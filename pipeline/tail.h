/* The part of a stream's pipeline that outlives its sources:
 *
 *     (source) ─▶ queue ─▶ videoconvert ─▶ vigilanalyze ─▶ fakesink
 *
 * Live, the queue drops its oldest frame when analysis is slower than the camera; not live it
 * makes the source wait. What vigilanalyze posts becomes records at once, in its own thread,
 * and goes to the link. Frames are counted so that
 *
 *     received = analysed + skipped + dropped + damaged + those in flight
 *
 * holds at any time.
 *
 * Thread: the main thread. */
#ifndef PIPELINE_TAIL_H
#define PIPELINE_TAIL_H

#include <gst/gst.h>

#include "pipeline/link.h"
#include "record/message.h"

struct tail_counters {
    int64_t received; /* without damaged ones, which do not come this far */
    int64_t analysed, skipped, dropped, windows;
    int64_t first_analysed_ms; /* since tail_discontinue, Unix; RECORD_NO_TIME: none yet */
    int64_t last_frame_ms;
    int64_t end_pts_ns;   /* where the last frame ends, in stream time of this pass; 0 none;
                          * at most VIGIL_ANALYZE_TIME_MAX */
    int64_t records_lost; /* the parent did not take them */
    /* As in struct message_stream_status. */
    double latency_ms, latency_p50_ms, latency_p99_ms;
    struct histogram inference, latency;
    double cpu_ms; /* of the processor: conversion, network, events */
};

struct tail;

/* A playing pipeline without a source. model: the ONNX file, or the packed one (a reference is
 * taken). by_clock: see detection.h. NULL with one line. start and link are borrowed for the
 * tail's life. */
struct tail *tail_create(const struct message_stream_start *start, GBytes *model, bool by_clock,
                         struct link *link, struct record_error *err);

/* NULL is fine. The pipeline must be at NULL (tail_take_pipeline) or never have played. */
void tail_destroy(struct tail *tail);

GstElement *tail_pipeline(struct tail *tail); /* borrowed */
GstPad *tail_sink(struct tail *tail);         /* borrowed: where a source links */
const char *tail_model(struct tail *tail);    /* name@hash, the latest */

/* The pipeline, to be taken down; nobody waits for the parent any more. */
GstElement *tail_take_pipeline(struct tail *tail);

/* Goes on with another model (`start` says which, a reference is taken), between two frames:
 * events of the old one end, all else stays. The source has begun. 0, or -1 with one line, and
 * the old one goes on. */
int tail_change_model(struct tail *tail, const struct message_stream_start *start,
                      GBytes *model, struct record_error *err);

/* The source is gone: open events end, the next source's time starts shift_ns later (at most
 * VIGIL_ANALYZE_TIME_MAX). */
void tail_discontinue(struct tail *tail, int64_t shift_ns);

/* No more sources: open events end, then the pipeline posts EOS. */
void tail_end(struct tail *tail);

void tail_count(struct tail *tail, struct tail_counters *ret_counters);

/* The last frame that came through, or NULL. The caller owns the reference. */
GstSample *tail_last_sample(struct tail *tail);

#endif
