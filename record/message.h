/* What the daemon (or `vigil run`) and a worker say to each other: JSON objects, one per packet
 * of a SOCK_SEQPACKET pair (record/channel.h), bounded and checked on both sides.
 *
 *   parent -> worker                         worker -> parent
 *     stream.start  + fds model[, media]       ready          once, after the sandbox is closed
 *     stream.stop                              resolve        wants addresses of a host
 *     resolved      answer to resolve          stream.status  on change, and every second
 *     snapshot      + fd to write a JPEG to    detection.*    a record (record/record.h)
 *     quit                                     window         scores of one window, if asked
 *                                              snapshot.done
 *                                              stream.done    a stopped or ended stream is gone
 *
 * The worker is not trusted: the parent must survive any bytes. A message that does not parse
 * is answered by killing the worker.
 *
 * Thread: no shared state. */
#ifndef RECORD_MESSAGE_H
#define RECORD_MESSAGE_H

#include "record/record.h"

#define MESSAGE_TEXT_MAX        (64 * 1024) /* bytes of one packet */
#define MESSAGE_URI_SIZE        2048
#define MESSAGE_HOST_SIZE       256
#define MESSAGE_DETAIL_SIZE     256
#define MESSAGE_CREDENTIAL_SIZE 256
#define MESSAGE_ADDRESSES_MAX   8
#define MESSAGE_ADDRESS_SIZE    64 /* numeric IPv4 or IPv6, no brackets */
#define MESSAGE_LABELS_MAX      256
#define MESSAGE_OVERRIDES_MAX   32 /* vigil.* keys set by configuration or sidecar */

enum message_type {
    MESSAGE_STREAM_START,
    MESSAGE_STREAM_STOP,
    MESSAGE_RESOLVED,
    MESSAGE_SNAPSHOT,
    MESSAGE_QUIT,
    MESSAGE_READY,
    MESSAGE_RESOLVE,
    MESSAGE_STREAM_STATUS,
    MESSAGE_RECORD,
    MESSAGE_WINDOW,
    MESSAGE_SNAPSHOT_DONE,
    MESSAGE_STREAM_DONE,
};

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
    REASON_TOO_LARGE,
    REASON_UNREADABLE, /* a file that is no media we know, or damaged beyond use */
    REASON_MODEL,      /* the model could not be loaded or does not fit */
    REASON_CRASHED,    /* the worker died; set by the parent only */
    REASON_INTERNAL,
};

const char *stream_state_name(enum stream_state state);
int stream_state_from_name(const char *name); /* enum, or -EINVAL */
const char *stream_reason_name(enum stream_reason reason);
int stream_reason_from_name(const char *name);

/* Opens an input. fds: [0] the model file, [1] the media file when uri is file://. */
/* One key of a model's metadata, as configuration or sidecar has it. */
struct message_override {
    char key[48]; /* "vigil.labels" */
    char value[512];
};

struct message_stream_start {
    char stream[RECORD_NAME_SIZE];
    char node[RECORD_NAME_SIZE];
    char uri[MESSAGE_URI_SIZE]; /* rtsp, rtsps, scene or file; never with credentials */
    char user[MESSAGE_CREDENTIAL_SIZE];
    char password[MESSAGE_CREDENTIAL_SIZE];
    char model[RECORD_NAME_SIZE]; /* name, without the hash */
    bool live;                    /* play files and scenes in real time and drop late frames */
    bool loop;                    /* files start again at their end */
    bool windows;                 /* send a window message per window */
    int64_t start_ms;             /* files and finite scenes: wall time of pts 0 */
    int override_count;
    struct message_override overrides[MESSAGE_OVERRIDES_MAX];
};

struct message_resolved {
    int64_t request;
    int address_count; /* 0: the name does not resolve, or not in time */
    char addresses[MESSAGE_ADDRESSES_MAX][MESSAGE_ADDRESS_SIZE];
};

struct message_resolve {
    int64_t request;
    char stream[RECORD_NAME_SIZE];
    char host[MESSAGE_HOST_SIZE];
};

/* fds: [0] writable, sealed against growth beyond the largest picture the parent takes. */
struct message_snapshot {
    int64_t request;
    char stream[RECORD_NAME_SIZE];
};

struct message_snapshot_done {
    int64_t request;
    char stream[RECORD_NAME_SIZE];
    int64_t size_bytes; /* 0: no picture; detail says why */
    int64_t pts_ns;
    char detail[MESSAGE_DETAIL_SIZE];
};

struct message_ready {
    int pid;
    bool locked; /* the seccomp filter is in force */
    char version[32];
};

struct message_stream_status {
    char stream[RECORD_NAME_SIZE];
    enum stream_state state;
    enum stream_reason reason;
    char detail[MESSAGE_DETAIL_SIZE]; /* one sentence for a person; no credentials */
    bool degraded;
    bool overloaded;
    char codec[16]; /* "h264", "" while unknown */
    int width, height;
    double fps; /* measured over the last seconds; 0 while unknown */
    /* Since the stream was started in this worker. received = analysed + skipped + dropped +
     * damaged + those still in flight; skipped frames are those sampling left out. */
    int64_t received, analysed, skipped, dropped, damaged;
    int64_t windows;
    int64_t reconnects;
    /* Of the current connection, Unix milliseconds, RECORD_NO_TIME while not yet seen. */
    int64_t connected_ms, first_packet_ms, first_key_ms, first_analysed_ms;
    int64_t last_frame_ms;
    double latency_ms;   /* capture to window result, last; < 0 unknown */
    double inference_ms; /* mean time in the network per analysed frame; < 0 unknown */
    char model[RECORD_MODEL_SIZE];
};

/* Everything unknown: counts 0, times RECORD_NO_TIME, latencies -1. */
void message_status_init(struct message_stream_status *status);

/* Labels are distinct. */
struct message_window {
    char stream[RECORD_NAME_SIZE];
    int64_t first_pts_ns, last_pts_ns;
    int frames;
    int score_count;
    char labels[MESSAGE_LABELS_MAX][RECORD_LABEL_SIZE];
    double scores[MESSAGE_LABELS_MAX];
};

struct message_stream_name {
    char stream[RECORD_NAME_SIZE];
};

struct message {
    enum message_type type;
    union {
        struct message_stream_start start;
        struct message_stream_name stop; /* STREAM_STOP and STREAM_DONE */
        struct message_resolved resolved;
        struct message_snapshot snapshot;
        struct message_ready ready;
        struct message_resolve resolve;
        struct message_stream_status status;
        struct record record;
        struct message_window window;
        struct message_snapshot_done snapshot_done;
    };
};

/* JSON text without newline, NUL-terminated; caller frees. The largest message of each type
 * fits into MESSAGE_TEXT_MAX. Details are made printable on the way; NULL without memory, and
 * for what no reader would take: other text that is not printable, reals that are not finite,
 * a window with two equal labels. */
char *message_to_text(const struct message *message);

/* 0, or -EINVAL with one line naming the member. *ret_message is written only on success. */
int message_from_text(const char *text, size_t size, struct message *ret_message,
                      struct record_error *err);

/* The JSON objects the API and --windows show: status without "type", window with it. A status
 * has the members of the struct, times as RFC 3339 ("connected", "first_packet", "first_key",
 * "first_analysed", "last_frame") and null for what is unknown; a window's "scores" is an
 * object by label, six decimals. Caller owns the reference; NULL as above. */
json_t *message_status_to_json(const struct message_stream_status *status);
json_t *message_window_to_json(const struct message_window *window);

#endif
