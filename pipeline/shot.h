/* Pictures the parent asked for: each is encoded in a thread of its own and answered with
 * snapshot.done. While they are asked for again and again the encoder is kept: SHOT_REST_S
 * after the last one it goes.
 *
 * Thread: the main thread. */
#ifndef PIPELINE_SHOT_H
#define PIPELINE_SHOT_H

#include "pipeline/link.h"
#include "pipeline/snapshot.h"

/* Of this process at a time; more are answered that they should be asked for again. */
#define SHOT_MAX 2

#define SHOT_REST_S 3

/* Takes fd, and the reference of sample, which is NULL while there is no picture. */
void shot_take(struct link *link, const char *stream, int64_t request, GstSample *sample,
               int fd);

#endif
