/* The detections that are open now, so that each one ends: whoever began it may crash, be
 * stopped or be deleted.
 *
 * Every record passes detections_apply. An end, sent by the worker or made here when a worker
 * is gone, is kept until the mailbox has taken it, however full that is.
 *
 * Thread: the loop's. */
#ifndef DAEMON_DETECTIONS_H
#define DAEMON_DETECTIONS_H

#include "record/record.h"

#define DETECTIONS_PER_STREAM_MAX 256 /* open at once */

struct detections;

struct detections *detections_create(void);
void detections_destroy(struct detections *detections);

/* Notes what the record opens, changes or ends. 0: a started or updated record, to be posted by
 * the caller; 1: an end, kept for detections_flush. -EEXIST: its id is open in another stream;
 * -ENOSPC: the stream has too many open. */
int detections_apply(struct detections *detections, const struct record *record);

/* Whether that id is open now, or its end still waits. */
bool detections_has(const struct detections *detections, const char *id);

/* Ends all that is open in the stream, at its last record's time; the ends say `now_ms`. */
void detections_end_stream(struct detections *detections, const char *stream, int64_t now_ms);

/* Offers each end to `post`; those it answers with 0 are forgotten. Returns how many remain. */
size_t detections_flush(struct detections *detections,
                        int (*post)(void *owner, const struct record *record), void *owner);

size_t detections_open(const struct detections *detections);

#endif
