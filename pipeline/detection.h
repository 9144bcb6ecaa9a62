/* Detections: what vigilanalyze says about a stream, as records with identity and wall time.
 *
 * A detection's id follows from stream, model, kind, label and start, so the same file gives
 * the same ids. Its times come from stream time:
 *
 *   file, finite scene   start_ms of the stream plus pts; a repeated pass goes on where the one
 *                        before ended
 *   camera               wall clock when an event starts while no other is on; its offset holds
 *                        until none is on: an event's start must not move between its
 *                        messages when a clock is corrected or drifts
 *
 * Thread: one at a time (the thread that analyses). */
#ifndef PIPELINE_DETECTION_H
#define PIPELINE_DETECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "pipeline/vigilmessage.h"
#include "record/message.h"

/* Of the moment: to hold stream time against the clocks. */
struct detection_now {
    int64_t running_ns; /* of the pipeline, as the frames' running time counts */
    int64_t unix_ms;
};

struct detection {
    char node[RECORD_NAME_SIZE];
    char stream[RECORD_NAME_SIZE];
    char model[RECORD_MODEL_SIZE]; /* name@hash */
    bool by_clock;                 /* a camera */
    bool live;                     /* latency means something */
    int64_t start_ms;
    int64_t shift_ns; /* of this pass over a file */
    bool anchored;
    int on;            /* events started and not ended */
    int64_t anchor_ms; /* wall time of stream time 0, by_clock */
};

/* by_clock: time has no beginning but the wall clock's. sha256_hex: of the model's file. */
void detection_init(struct detection *detection, const struct message_stream_start *start,
                    const char *sha256_hex, bool by_clock);

/* A new connection or pass: stream time starts anew, shift_ns later in the records. */
void detection_restart(struct detection *detection, int64_t shift_ns);

void detection_record(struct detection *detection, const struct vigilmessage_event *event,
                      const struct detection_now *now, struct record *ret_record);

void detection_window(const struct detection *detection,
                      const struct vigilmessage_window *window,
                      struct message_window *ret_window);

#endif
