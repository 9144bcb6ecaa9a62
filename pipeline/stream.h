/* One stream of a worker: its rules (lifecycle.h), its present source (source.h, seen through
 * connection.h), and the analysis behind it (tail.h).
 *
 * Thread: the main thread. */
#ifndef PIPELINE_STREAM_H
#define PIPELINE_STREAM_H

#include "pipeline/link.h"
#include "record/message.h"

struct stream;

/* Starts what `start` asks for; takes the descriptors (media_fd may be -1). What goes wrong is
 * told over the link as the stream's status, so there is always a stream. gone(user) is called
 * after stream_stop or the end of a file, when all is taken down and stream.done is sent: the
 * owner then calls stream_destroy. */
struct stream *stream_create(const struct message_stream_start *start, int model_fd,
                             int media_fd, struct link *link,
                             void (*gone)(struct stream *stream, void *user), void *user);

/* Only from gone, or when the process ends. NULL is fine. */
void stream_destroy(struct stream *stream);

const char *stream_name(const struct stream *stream);

/* Begins to take the stream down. More calls change nothing. */
void stream_stop(struct stream *stream);

/* Goes on with another model, between two frames; only what `change` says of the model counts.
 * Takes the descriptor. One that cannot be loaded leaves the stream failed. */
void stream_change_model(struct stream *stream, const struct message_stream_start *change,
                         int model_fd);

/* The answer to a `resolve` of this stream; another's is ignored. */
void stream_resolved(struct stream *stream, const struct message_resolved *resolved);

/* Takes fd and answers with snapshot.done (pipeline/shot.h). */
void stream_snapshot(struct stream *stream, int64_t request, int fd);

#endif
