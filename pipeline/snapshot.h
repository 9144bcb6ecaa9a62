/* A decoded picture as JPEG, written to a descriptor. One encoder is kept for the next picture,
 * with its thread and a few pictures' memory, until snapshot_rest.
 *
 * Thread: any; takes some milliseconds and may block on the encoder's threads. */
#ifndef PIPELINE_SNAPSHOT_H
#define PIPELINE_SNAPSHOT_H

#include <stdint.h>

#include <gst/gst.h>

#define SNAPSHOT_BYTES_MAX (8 << 20)

/* Bytes written (> 0), or -EINVAL (not encodable), -EFBIG (over SNAPSHOT_BYTES_MAX or more than
 * the descriptor takes), -EIO. */
int64_t snapshot_write(GstSample *sample, int fd);

/* Gives back the encoder that is kept. */
void snapshot_rest(void);

#endif
