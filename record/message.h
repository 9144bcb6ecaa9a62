/* What the daemon (or `vigil run`) and a worker say to each other: JSON objects, one per packet
 * of a SOCK_SEQPACKET pair (record/channel.h), bounded and checked on both sides.
 *
 *   parent -> worker                         worker -> parent
 *     stream.start  + fds model[, media]       ready          once, after the sandbox is closed
 *     stream.model  + fd model                 resolve        wants addresses of a host
 *     stream.stop                              stream.status  on change, and every second
 *     resolved      answer to resolve          detection.*    a record (record/record.h)
 *     snapshot      + fd to write a JPEG to    window         scores of one window, if asked
 *     quit                                     snapshot.done
 *                                              stream.done    a stopped or ended stream is gone
 *
 * The worker is not trusted: the parent must survive any bytes. A message that does not parse
 * is answered by killing the worker.
 *
 * Thread: no shared state. */
#ifndef RECORD_MESSAGE_H
#define RECORD_MESSAGE_H

#include "record/message_status.h"

#define MESSAGE_TEXT_MAX        (64 * 1024) /* bytes of one packet */
#define MESSAGE_URI_SIZE        2048
#define MESSAGE_HOST_SIZE       256
#define MESSAGE_CREDENTIAL_SIZE 256
#define MESSAGE_ADDRESSES_MAX   8
#define MESSAGE_ADDRESS_SIZE    64 /* numeric IPv4 or IPv6, no brackets */
#define MESSAGE_LABELS_MAX      256
#define MESSAGE_OVERRIDES_MAX   32 /* vigil.* keys set by configuration or sidecar */

enum message_type {
    MESSAGE_STREAM_START,
    MESSAGE_STREAM_MODEL,
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

/* One key of a model's metadata, as configuration or sidecar has it. */
struct message_override {
    char key[48]; /* "vigil.labels" */
    char value[512];
};

/* stream.model: another model for a stream that runs; only stream, model, model_sha256 and the
 * overrides are sent. stream.start: opens an input. fds: [0] the model: its ONNX file, or a packed one (nn/packed.h) that is
 * sealed; [1] the media file when uri is file://. */
struct message_stream_start {
    char stream[RECORD_NAME_SIZE];
    char node[RECORD_NAME_SIZE];
    char uri[MESSAGE_URI_SIZE]; /* rtsp, rtsps, scene or file; never with credentials */
    char user[MESSAGE_CREDENTIAL_SIZE];
    char password[MESSAGE_CREDENTIAL_SIZE];
    char model[RECORD_NAME_SIZE]; /* name, without the hash */
    char
        model_sha256[65]; /* of the ONNX file, 64 hexadecimal digits; "": the worker finds it */
    bool live;            /* play files and scenes in real time and drop late frames */
    bool loop;            /* files start again at their end */
    bool windows;         /* send a window message per window */
    int64_t start_ms;     /* files and finite scenes: wall time of pts 0 */
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
        struct message_stream_start start; /* and STREAM_MODEL */
        struct message_stream_name stop;   /* STREAM_STOP and STREAM_DONE */
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

/* The JSON object that --windows shows, with "type": "scores" is an object by label, six
 * decimals. Caller owns the reference; NULL as above. */
json_t *message_window_to_json(const struct message_window *window);

#endif
