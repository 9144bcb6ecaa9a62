/* A source: one connection to a camera, or one pass over a file or a rendered scene, as a bin
 * with a single source pad of decoded pictures.
 *
 *   rtsp   rtspsrc (TCP) ! depay ! parse ! decoder
 *   file   fdsrc ! demuxer ! parse ! decoder [! clocksync]
 *   scene  vigilscenesrc ! capsfilter
 *
 * Chains are explicit: elements come from the tables of pipeline/media.h by what the SDP or the
 * first bytes of a file say, and only the first picture stream of a known codec is taken.
 * Before the decoder stands a guard: it refuses pictures beyond MEDIA_PIXELS_MAX and drops what
 * comes before the first key picture.
 *
 * A source never ends its pad with EOS, since the pipeline behind it outlives it: the end is
 * told to the watch instead. A source that failed or ended is thrown away, never reset.
 *
 * Thread: create from one thread; the watch is called from streaming threads. */
#ifndef PIPELINE_SOURCE_H
#define PIPELINE_SOURCE_H

#include <stdbool.h>

#include <gst/gst.h>

#include "pipeline/coded.h"
#include "record/address.h"
#include "record/message.h"

/* A file or scene in real time says, in order with its pictures, what was put on their running
 * time to make it so: a sticky custom event of this name with a gint64 "offset" in nanoseconds,
 * before the first picture and after each leap in its time. */
#define SOURCE_PACE "vigil-pace"

/* What is known of the coded format; texts are the parsers', as long as the call. */
struct source_format {
    const char *codec;   /* a name of pipeline/media.h */
    const char *profile; /* NULL: none */
    int width, height;
};

struct source_picture {
    bool damaged; /* the decoder complained about it */
    /* What it took in the decoder, by the clock and of the processor; -1: not known. */
    int64_t decode_ns, decode_cpu_ns;
};

/* What a source tells its owner, from streaming threads. `user` is what options carried. NULL
 * where nobody wants to know; picture, ended and failed are always there. */
struct source_watch {
    /* The session stands (SDP accepted, file recognised): packets may be expected. */
    void (*connected)(void *user);
    /* Sound is offered beside the pictures; name: for a person. */
    void (*audio)(void *user, const char *name);
    /* Something of the picture stream arrived, in whatever cut. */
    void (*packet)(void *user);
    /* The coded format became known or changed. */
    void (*format)(void *user, const struct source_format *format);
    /* A whole coded picture is on its way into the decoder; never said of a scene. */
    void (*coded)(void *user, const struct coded_picture *picture);
    /* A decoded picture. False withholds it; the next one that is let through then carries
     * GST_BUFFER_FLAG_CORRUPTED. */
    bool (*picture)(void *user, const struct source_picture *picture);
    /* No more pictures will come, in order. */
    void (*ended)(void *user);
    /* No more pictures will come; detail is one sentence without credentials. Also called for
     * conditions that GStreamer reports as a message of the bin: see source_explain. */
    void (*failed)(void *user, enum stream_reason reason, const char *detail);
};

struct source_options {
    const struct address *uri;
    const char *address;  /* rtsp, rtsps: numeric, what to connect to */
    const char *user;     /* rtsp, rtsps: "" for none */
    const char *password; /* */
    int fd;    /* file: the medium at its beginning, borrowed for the source's life */
    bool live; /* file, scene: in real time */
    const struct source_watch *watch;
    void *watch_user;               /* referenced by the bin for as long as it may call */
    GDestroyNotify watch_user_free; /* may be called from any thread */
};

/* A floating bin with a pad "src". NULL after watch->failed has said why; watch_user is then
 * the caller's to free. */
GstElement *source_create(const struct source_options *options);

/* Turns an error message of the bin (or of an element in it) into a reason and a sentence. */
enum stream_reason source_explain(GstElement *source, GstMessage *message, char *ret_detail,
                                  size_t detail_size);

#endif
