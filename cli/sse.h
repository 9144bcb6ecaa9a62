/* Server-sent events (WHATWG HTML, "Server-sent events", parsing): bytes in, events out. Unlike
 * there an event without data but with an id is handed on: vigild says by it where it stands.
 *
 * Everything is bounded: a line or an event over SSE_TEXT_MAX is an error, since a stream that
 * is cut there could not be continued without losing what was in it.
 *
 * Thread: a reader belongs to its holder. */
#ifndef CLI_SSE_H
#define CLI_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include <glib.h>

#define SSE_TEXT_MAX (64 * 1024)

struct sse_reader {
    GString *line, *data, *id, *event;
    bool id_given; /* in the event being read */
    bool after_cr;
};

struct sse_event {
    const char *id; /* the last id given, as of this event; "": none yet */
    const char *event;
    const char *data;
};

void sse_reader_init(struct sse_reader *reader);
void sse_reader_finish(struct sse_reader *reader);

/* Calls `take` for each event that the bytes complete; a `take` that is not 0 ends it and is
 * returned. Otherwise 0, or -EMSGSIZE. */
int sse_reader_feed(struct sse_reader *reader, const char *bytes, size_t size,
                    int (*take)(void *owner, const struct sse_event *event), void *owner);

#endif
