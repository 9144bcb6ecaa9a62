/* What a supervisor is inside: streams, and slots (one per process). Only supervisor.c,
 * slot.c and placement.c include it.
 *
 * A slot is warming, spare, serving at least one stream, or quitting. A stream is in a slot, or
 * waits for one, or is finished. */
#ifndef DAEMON_WORKERS_SUPERVISOR_PRIVATE_H
#define DAEMON_WORKERS_SUPERVISOR_PRIVATE_H

#include <glib.h>

#include "daemon/workers/crashes.h"
#include "daemon/loglimit.h"
#include "daemon/workers/supervisor.h"
#include "daemon/workers/worker.h"

#define SUPERVISOR_NEVER UINT64_MAX

enum phase { WARMING, SPARE, SERVING, QUITTING };

struct stream {
    char name[RECORD_NAME_SIZE];
    struct slot *slot; /* whose worker has it; NULL: none */
    bool wanted;
    bool finished;     /* ended, or failed until a person acts */
    bool leaving;      /* its worker was asked to stop it */
    uint64_t leave_by; /* meaningful while leaving */
    uint64_t run;      /* of the present assignment */
    uint64_t assigned_at;
    uint64_t waiting_since; /* order of service */
    uint64_t retry_at;
    bool changing;     /* its model; supervisor_prepared will tell when it can be sent */
    bool preparing;    /* supervisor_prepared will tell when it may be tried again */
    int open_failures; /* in a row, of files that may open in a moment */
    struct crashes crashes;
    uint64_t group; /* of suspects (placement.h); 0: none */
    uint64_t suspect_until;
    enum stream_state last_state;
};

struct slot {
    struct supervisor *sup;
    struct worker *worker;
    GPtrArray *streams; /* struct stream, borrowed */
    enum phase phase;
    uint64_t group;    /* the suspects it serves, 0: streams above suspicion */
    uint64_t since;    /* of spawning */
    uint64_t deadline; /* to be ready, or gone */
    uint64_t heard;
    int messages_in_tick;
    bool killed;     /* by us */
    bool for_leaver; /* killed since one stream did not leave: the others are innocent */
};

struct supervisor {
    struct supervisor_options options;
    uv_timer_t *timer; /* apart, since it outlives us until its close callback */
    GPtrArray *streams, *slots;
    int warming_limit;
    uint64_t runs, groups;
    uint64_t tick_at;  /* when the next tick is due */
    uint64_t spawn_at; /* not before, after failures */
    int spawn_failures;
    struct log_limit start_log; /* of lines about them */
    bool stopping_all;
    void (*stopped)(void *owner);
    struct supervisor_stats stats;
};

static inline uint64_t supervisor_now(const struct supervisor *sup)
{
    uv_update_time(sup->options.loop);
    return uv_now(sup->options.loop);
}

void supervisor_settle(struct supervisor *sup);

/* A status in the supervisor's own words. */
__attribute__((format(printf, 5, 6))) void supervisor_report(struct supervisor *sup,
                                                             struct stream *stream,
                                                             enum stream_state state,
                                                             enum stream_reason reason,
                                                             const char *format, ...);
void supervisor_forget(struct supervisor *sup, struct stream *stream);

static inline bool stream_waits(const struct stream *stream)
{
    return stream->wanted && !stream->finished && !stream->slot;
}

#endif
