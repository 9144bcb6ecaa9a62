/* Inside of a source, shared by source.c and the files beside it that begin with source.
 *
 * Thread: set up by source_create; afterwards the decoding thread owns what the guard needs,
 * and the rest says so. */
#ifndef PIPELINE_SOURCEBIN_H
#define PIPELINE_SOURCEBIN_H

#include "pipeline/media.h"
#include "pipeline/source.h"
#include "pipeline/stopwatch.h"

struct source_context {
    GstElement *bin; /* the context lives as long as the bin */
    const struct source_watch *watch;
    void *watch_user;
    GDestroyNotify watch_user_free;
    bool pace; /* a file in real time */
    enum address_kind kind;
    gint64 created_us;                  /* monotonic */
    char address[MESSAGE_ADDRESS_SIZE]; /* rtsp, rtsps */
    guint port;
    char *location; /* rtsp, rtsps: what rtspsrc was given */
    gint over;      /* atomic: failed or ended was told */

    /* Of the thread that decodes. */
    const struct media_codec *codec;
    struct paramsets *sets; /* NULL: the codec has none */
    bool size_known;        /* and allowed */
    bool unsized;           /* a picture came while it was not */
    bool refused;
    bool key_seen;
    bool withheld;             /* the picture before this one */
    struct stopwatch decoding; /* since when; clock_ns -1: not known */
    bool paced;                /* in real time: pace_ns is on the running time */
    GstClockTimeDiff pace_ns;

    /* Choosing the stream: signals of demuxers come from one thread, those of rtspsrc from its
     * own task, source_explain from the owner's. */
    GMutex lock;
    bool chosen;
    char unknown[128]; /* names of picture streams nobody here decodes */
    GObject *tls;      /* rtsps: the certificate check (pipeline/tlsname.h) */
};

struct source_context *source_context_of(GstElement *bin);

/* Says, once, that the source is over. */
void source_fail(struct source_context *context, enum stream_reason reason, const char *format,
                 ...) G_GNUC_PRINTF(3, 4);

/* A new element inside the bin, or NULL after source_fail. */
GstElement *source_element_add(struct source_context *context, const char *factory);

/* Whether this stream is the one to decode: the first of a known codec. Notes the names of
 * unknown ones. */
const struct media_codec *source_choose(struct source_context *context, const GstCaps *caps);

/* No further streams will come: fails as unsupported when none was chosen. */
void source_chosen_or_fail(struct source_context *context);

/* Builds the chain behind pad and makes it the bin's output. False after source_fail. */
bool source_decode(struct source_context *context, GstPad *pad, const struct media_codec *codec,
                   bool rtp);

/* Calls back for what passes the pad, with the context. */
void source_probe(struct source_context *context, GstElement *element, const char *pad_name,
                  GstPadProbeType type, GstPadProbeCallback callback);

/* Makes the element's pad "src" the bin's. */
bool source_expose(struct source_context *context, GstElement *last);

/* Has a clocksync show each picture when it is due. */
void source_pace(struct source_context *context, GstElement *sync);

/* The beginnings. False after source_fail. */
bool source_build_file(struct source_context *context, const struct source_options *options);
bool source_build_rtsp(struct source_context *context, const struct source_options *options);
bool source_build_scene(struct source_context *context, const struct source_options *options);

/* What an error of rtspsrc, or of what hangs on it, means; *ret_why is constant text. */
enum stream_reason source_explain_rtsp(struct source_context *context, const GError *error,
                                       const char *debug, const char **ret_why);

#endif
