/* What happened on one connection (one source bin), gathered from its streaming threads for the
 * main thread, which reads it when it likes and is woken for what cannot wait.
 *
 * Thread: connection_watch's functions from any; the rest from the main thread. */
#ifndef PIPELINE_CONNECTION_H
#define PIPELINE_CONNECTION_H

#include "pipeline/source.h"

struct connection_facts {
    /* Monotonic nanoseconds, -1: not yet. */
    int64_t session, first_packet, first_key, first_picture;
    int64_t last_packet, last_picture;
    bool ended, failed;
    enum stream_reason reason;
    char detail[MESSAGE_DETAIL_SIZE];
    char codec[16], profile[32], audio[64]; /* as in struct message_stream_status */
    int width, height;
    struct coded coded;
    int64_t pictures; /* decoded, damaged ones included */
    int64_t damaged;
    int64_t last_damage; /* -1: never */
    int64_t interval;    /* mean between pictures, 0 unknown */
    struct histogram decode;
    int64_t decode_cpu_ns;
};

struct connection;

/* wake is called in the main thread, soon, with user, until connection_close. */
struct connection *connection_create(void (*wake)(void *user), void *user);

/* No more wakes; drops the caller's reference. The source's own keeps what it writes to. */
void connection_close(struct connection *connection);

/* A copy, consistent in itself. */
void connection_read(struct connection *connection, struct connection_facts *ret_facts);

/* Fills in watch, watch_user (with a reference) and watch_user_free. A medium (fd >= 0) is
 * replaced by a duplicate that lives as long as the connection: a source that is still being
 * taken down reads from it when the caller has long closed its own. One watch per connection.
 * 0, or negative errno: then nothing is filled in. */
int connection_watch(struct connection *connection, struct source_options *options);

/* Drops the reference that connection_watch took, when source_create failed. */
void connection_unwatch(struct connection *connection);

#endif
