/* The streams vigild knows: configuration, where it came from, and how each is doing.
 *
 * Thread: the loop's. */
#ifndef DAEMON_STREAMS_H
#define DAEMON_STREAMS_H

#include "daemon/config/stream.h"
#include "daemon/loglimit.h"

/* A stream's own bucket of records: a worker gone wild must not fill the disk. */
#define STREAMS_RECORDS_PER_SECOND 20
#define STREAMS_RECORDS_BURST      400

/* What is counted of a stream since vigild started, over all its workers. */
struct stream_totals {
    int64_t received, analysed, skipped, dropped, damaged, windows;
    int64_t records_lost, reconnects, attempts;
    int64_t lost[REASON_COUNT];
    double decode_cpu_ms, analysis_cpu_ms;
    struct histogram decode, inference, latency;
};

#define STREAMS_ETAG_SIZE 33

struct stream_entry {
    struct config_stream config;
    char etag[STREAMS_ETAG_SIZE]; /* of the configuration, credentials included */
    bool from_file;
    struct message_stream_status status;
    struct stream_totals before; /* of workers that are gone: `status` counts from its own */
    int64_t restarts;            /* workers that died */
    double bucket;
    uint64_t bucket_ms;
    struct log_limit log; /* of its state lines */
};

struct streams;

struct streams *streams_create(void);
void streams_destroy(struct streams *streams);

struct stream_entry *streams_find(struct streams *streams, const char *name);
/* New, or the one of that name with the new configuration; its status is reset. */
struct stream_entry *streams_put(struct streams *streams, const struct config_stream *config,
                                 bool from_file);

/* Takes a configuration that changes nothing for the entry's worker; its status goes on. */
void streams_keep(struct streams *streams, struct stream_entry *entry,
                  const struct config_stream *config, bool from_file);
void streams_remove(struct streams *streams, const char *name);
/* It is started anew: its counters go on, its status begins again. */
void stream_entry_reset(struct stream_entry *entry);
size_t streams_count(const struct streams *streams);
struct stream_entry *streams_at(struct streams *streams, size_t index); /* in order of name */

/* Takes the status in; folds the counters of a worker that is gone. */
void stream_entry_set_status(struct stream_entry *entry,
                             const struct message_stream_status *status);
struct stream_totals stream_entry_totals(const struct stream_entry *entry);

/* False when the stream has used up its records for now. */
bool stream_entry_allows_record(struct stream_entry *entry, uint64_t now_ms);

/* As GET /streams/{name} answers; worker_pid < 0: none. NULL without memory. */
json_t *stream_entry_to_json(const struct stream_entry *entry, int worker_pid);

#endif
