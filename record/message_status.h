/* How a stream is doing, as a worker tells its parent each second (record/message.h,
 * "stream.status") and the API shows it.
 *
 * Thread: plain data. */
#ifndef RECORD_MESSAGE_STATUS_H
#define RECORD_MESSAGE_STATUS_H

#include "record/histogram.h"

#define MESSAGE_DETAIL_SIZE 256

/* The names of these two enumerations are API: see openapi.yaml, StreamStatus. */
enum stream_state {
    STREAM_CONNECTING,
    STREAM_LIVE,
    STREAM_STALLED,
    STREAM_BACKOFF,
    STREAM_DISABLED,
    STREAM_FAILED, /* needs a human */
    STREAM_ENDED,  /* a file at its end */
};

enum stream_reason {
    REASON_NONE,
    REASON_NO_DATA,    /* no packet for the gap time */
    REASON_NO_PICTURE, /* packets, but nothing decodes */
    REASON_AUTH_FAILED,
    REASON_NOT_FOUND,
    REASON_REFUSED,
    REASON_DNS,
    REASON_TIMEOUT,
    REASON_TLS,
    REASON_DISCONNECTED, /* the peer closed a session that worked */
    REASON_UNSUPPORTED_CODEC,
    REASON_TRANSPORT, /* the camera does not send over TCP */
    REASON_TOO_LARGE,
    REASON_UNREADABLE, /* a file that is no media we know, or damaged beyond use */
    REASON_MODEL,      /* the model could not be loaded or does not fit */
    REASON_CRASHED,    /* the worker died; set by the parent only */
    REASON_INTERNAL,
    REASON_COUNT
};

const char *stream_state_name(enum stream_state state);
int stream_state_from_name(const char *name); /* enum, or -EINVAL */
const char *stream_reason_name(enum stream_reason reason);
int stream_reason_from_name(const char *name);

/* Groups of pictures: from one key picture to the next, in the order they were sent. The time
 * of a group is that between its key picture and the next one's. */
struct message_gop {
    int64_t count; /* whole groups seen; 0: the rest is unknown */
    int64_t last_frames, max_frames;
    double mean_frames;
    double last_seconds, mean_seconds, max_seconds;
    bool reordered; /* pictures are sent in another order than shown (B-pictures) */
    /* Pictures shown before a key picture are sent after it and need the group before: decoding
     * cannot begin cleanly there. */
    bool open;
};

struct message_stream_status {
    char stream[RECORD_NAME_SIZE];
    enum stream_state state;
    enum stream_reason reason;
    char detail[MESSAGE_DETAIL_SIZE]; /* one sentence for a person; no credentials */
    int64_t since_ms;                 /* when this state began */
    bool degraded;
    bool overloaded;

    /* What the source sends, of the present connection or the last; "" and 0 while unknown. */
    char codec[16];   /* "h264" */
    char profile[32]; /* "high", "main-10"; "" also where a codec has none */
    char audio[64];   /* names of what sound is offered, ", " between; none is listened to */
    int width, height;
    double fps;               /* measured over the last seconds */
    double bitrate_bps;       /* of the coded pictures, by their own time; < 0 unknown */
    int64_t timestamp_faults; /* pictures without a time, or more than 10 s off the last */
    struct message_gop gop;

    /* Since the stream was started in this worker. received = analysed + skipped + dropped +
     * damaged + those still in flight; skipped frames are those sampling left out. */
    int64_t received, analysed, skipped, dropped, damaged;
    int64_t windows;
    int64_t records_lost; /* the parent did not take them in time; never those that end one */
    /* Cameras only. A reconnect is a session that shows pictures again after one that did was
     * lost; why it was lost is counted by reason. Attempts are connections tried, the first
     * included. */
    int64_t reconnects, attempts;
    int64_t lost[REASON_COUNT];

    /* Of the current connection, Unix milliseconds, RECORD_NO_TIME while not yet seen. */
    int64_t connected_ms, first_packet_ms, first_key_ms, first_analysed_ms;
    int64_t last_frame_ms;

    /* < 0 unknown. Latency is from capture to result, of live sources: of the last analysed
     * frame, and the quantiles of the last minute, to within 5 %. */
    double latency_ms, latency_p50_ms, latency_p99_ms;
    double decode_ms;    /* mean time in the decoder per picture */
    double inference_ms; /* mean time in the network per analysed frame */
    /* Processor time of the whole stream so far, of the decoder and of what comes behind it
     * (conversion, network, events). */
    double decode_cpu_ms, analysis_cpu_ms;

    /* Since the stream was started in this worker: a parent that wants them to go on over the
     * death of a worker adds them up (histogram_merge). Time in the decoder per picture, in the
     * network per analysed frame; from capture to result of analysed frames of live sources: a
     * record is sent as soon as there is a result. */
    struct histogram decode, inference, latency;
    char model[RECORD_MODEL_SIZE];
};

/* Everything unknown: counts 0, times RECORD_NO_TIME, measures -1. */
void message_status_init(struct message_stream_status *status);

/* The JSON object that the API shows: the members of the struct without the histograms. Times
 * are RFC 3339 ("since", "connected", "first_packet", "first_key", "first_analysed",
 * "last_frame"), "lost" has the reasons that occurred, "gop" is an object; null is what is
 * unknown. Caller owns the reference; NULL without memory and for reals that are not finite. */
json_t *message_status_to_json(const struct message_stream_status *status);

/* The same with "histograms": {"decode", "inference", "latency"}, as it is sent. */
json_t *message_status_write(const struct message_stream_status *status);
void message_status_read(struct member_reader *reader,
                         struct message_stream_status *ret_status);

#endif
