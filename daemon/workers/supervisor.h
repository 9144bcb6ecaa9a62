/* Which worker serves which stream, and what happens when one dies.
 *
 * Workers are spawned warm and unassigned; a ready one is given to the stream that waits
 * longest, or kept as a spare, so that a stream whose worker died starts on the spare at once
 * while the next one warms up. By default a worker serves one stream in its life: what has met
 * a camera's bytes is never given to another camera. With streams_per_worker above 1 it serves
 * up to so many at once, which costs that isolation and saves memory; it ends with its last
 * stream.
 *
 * A worker that dies by itself is replaced as daemon/workers/crashes.h says; too many deaths
 * leave the stream failed/crashed until it is started again. Streams that shared a worker that
 * died are started again at once, and who may share the next one follows
 * daemon/workers/placement.h. A worker that is not ready in time, is silent, floods, or sends
 * what is not valid is killed. When our own clock was late (suspend, SIGSTOP) silence is
 * forgiven once.
 *
 * Stopping: the stream is asked to stop, and what is not gone after stop_ms is killed; after
 * 5 s where the kill would interrupt other streams.
 *
 * Thread: the loop's. */
#ifndef DAEMON_WORKERS_SUPERVISOR_H
#define DAEMON_WORKERS_SUPERVISOR_H

#include <uv.h>

#include "record/message.h"

struct supervisor;

/* Why a stream cannot start. */
struct supervisor_failure {
    enum stream_reason reason;
    char detail[MESSAGE_DETAIL_SIZE];
};

struct supervisor_listener {
    /* A worker is at hand: fills in what it needs to know and opens the files it needs
     * (ret_fds, at most 2, closed by the supervisor). Asked anew for each start. 0, or -errno
     * with *ret_why: the stream is then failed until started again, but for an error that may
     * pass by itself (EMFILE, ENFILE, EAGAIN, EINTR, EIO, ENOMEM, ESTALE, ETIMEDOUT): then it
     * is asked again after 1, 2, 4, ... 30 s. -EINPROGRESS: what it needs is being made; the
     * stream waits for supervisor_prepared, and the worker is free for others. */
    int (*prepare)(void *owner, const char *stream, struct message_stream_start *ret_start,
                   int ret_fds[2], int *ret_fd_count, struct supervisor_failure *ret_why);
    /* The stream's status, from its worker or (waiting, crashed) from the supervisor. */
    void (*status)(void *owner, const struct message_stream_status *status);
    /* A detection of this stream; record->stream has been checked. */
    void (*record)(void *owner, const struct record *record);
    /* Answer with supervisor_resolved, now or later. */
    void (*resolve)(void *owner, const char *stream, uint64_t run, int64_t request,
                    const char *host);
    void (*snapshot_done)(void *owner, const char *stream,
                          const struct message_snapshot_done *done);
    /* No worker has the stream any more, and all that the last one sent of it was delivered. */
    void (*worker_gone)(void *owner, const char *stream);
};

struct supervisor_options {
    uv_loop_t *loop;
    const char *program; /* borrowed, as long as the supervisor lives */
    const char *tls_ca;  /* borrowed; see struct worker_options */
    const struct supervisor_listener *listener;
    void *owner;
    int spares;             /* ready workers to keep while any stream is wanted */
    int streams_per_worker; /* 0: 1 */
    int ready_ms;           /* 0: 20 000. From spawn to `ready`. */
    int silence_ms;         /* 0: 10 000 */
    int stop_ms;            /* 0: 500 */
};

int supervisor_create(const struct supervisor_options *options, struct supervisor **ret_sup);

/* After stop_all has called back. NULL is fine. Its timer closes with the next loop turn. */
void supervisor_destroy(struct supervisor *sup);

/* Starts the stream, or starts it again with what prepare says now. Forgives crashes. */
int supervisor_start(struct supervisor *sup, const char *stream);

/* The stream is to have another model and is otherwise as it was: its worker goes on with what
 * prepare says of the model now, between two frames. One that is not live starts again. */
void supervisor_change_model(struct supervisor *sup, const char *stream);

/* What the stream's last start, or change, had to wait for is there, or has failed: it is prepared again.
 * For any other stream nothing happens. */
void supervisor_prepared(struct supervisor *sup, const char *stream);

/* The stream is no longer wanted. Unknown names are fine. */
void supervisor_stop(struct supervisor *sup, const char *stream);

/* Stops everything for good; `done` is called once, when the last process is reaped. */
void supervisor_stop_all(struct supervisor *sup, void (*done)(void *owner));

/* Kills what stop_all still waits for. */
void supervisor_kill_all(struct supervisor *sup);

/* Dropped when the worker that asked (`run`) no longer serves the stream. */
void supervisor_resolved(struct supervisor *sup, const char *stream, uint64_t run,
                         const struct message_resolved *resolved);

/* Asks for a picture into `fd` (borrowed). 0, -ENOENT when no worker serves the stream,
 * -errno. snapshot_done or worker_gone follows. */
int supervisor_snapshot(struct supervisor *sup, const char *stream, int64_t request, int fd);

struct supervisor_stats {
    int workers; /* processes now */
    int spares;  /* of them, ready and unassigned */
    int64_t spawned;
    int64_t crashed; /* while serving a stream and not asked to stop */
    int64_t killed_silent, killed_malformed, killed_flooding, killed_stopping;
    double warmup_seconds;   /* of the last worker, spawn to ready */
    int waiting;             /* streams that are to run and have no worker */
    bool workers_start;      /* the last spawned worker became ready, or none was needed yet */
    char start_problem[200]; /* when it did not */
};
void supervisor_get_stats(const struct supervisor *sup, struct supervisor_stats *ret_stats);

/* Pid of the worker that serves the stream, -ENOENT. */
int supervisor_stream_pid(const struct supervisor *sup, const char *stream);

#endif
