/* Jobs: what the API asked to be done beside the streams, a process each (daemon/jobs/process.h),
 * [jobs] at_once of them at a time and the others in the order in which they came.
 *
 * A job is kept by the store from before it waits until it is forgotten: what it was asked to
 * do, its state, how far it got last. So vigild can tell after a restart: jobs that waited wait
 * again, those that ran are `interrupted`, which the user may resume or not. They are not begun
 * again by themselves: one that takes the machine down would do so for ever.
 *
 *     queued ── running ── done | failed | cancelled | interrupted
 *
 * What happens to a job is also a list of events, numbered from 1, the last JOBS_EVENTS_MAX of
 * which are kept in memory: `job.state` with the job, `job.progress` with what the program said
 * of an epoch. After a restart one event tells the state; numbers go on.
 *
 * Thread: the loop's. */
#ifndef DAEMON_JOBS_JOBS_H
#define DAEMON_JOBS_JOBS_H

#include <uv.h>

#include "daemon/config/config.h"
#include "daemon/jobs/request.h"
#include "daemon/mailbox.h"

#define JOBS_WAITING_MAX 32
#define JOBS_ENDED_MAX   100 /* the oldest are forgotten */
#define JOBS_EVENTS_MAX  512 /* of one job */

struct jobs;
struct job;

struct jobs_options {
    uv_loop_t *loop;
    const struct config *config; /* borrowed; may change between two turns */
    struct mailbox *mailbox;     /* borrowed */
    /* There are new events of a job, or it is forgotten. */
    void (*changed)(void *owner, const char *id);
    void *owner;
};

#define JOBS_ENDS 4 /* done, failed, cancelled, interrupted */
const char *jobs_end_name(int end);

struct jobs_stats {
    int waiting, running;
    int64_t ended[JOBS_ENDS]; /* since vigild started */
};

/* Takes up what the store holds. */
struct jobs *jobs_create(const struct jobs_options *options);

/* `job` as jobs_find's; NULL: the store did not take it, for `problem`. */
typedef void jobs_added(void *data, const struct job *job, const char *problem);

/* 0, and `added` follows once the store has it; -ENOBUFS: too many wait; -EBUSY: another that
 * waits or runs writes the same model; both with a sentence. */
int jobs_add(struct jobs *jobs, const struct jobs_request *request, jobs_added *added,
             void *data, struct jobs_error *err);

/* NULL when there is none. Until the loop turns. */
const struct job *jobs_find(const struct jobs *jobs, const char *id);

/* As the API shows it. NULL without memory. */
json_t *job_to_json(const struct job *job);

/* An array, the newest first. */
json_t *jobs_to_json(const struct jobs *jobs);

/* As the backend's job_events; NULL: no such job, or no memory. */
json_t *jobs_events(const struct jobs *jobs, const char *id, int64_t after, int limit);

/* Cancels one that waits or runs: true. Forgets one that has ended: false. */
bool jobs_remove(struct jobs *jobs, const struct job *job);

void jobs_get_stats(const struct jobs *jobs, struct jobs_stats *ret_stats);

/* Begins nothing more and asks all that run to stop. `stopped` is called when they have, maybe
 * at once; what became of them is then with the mailbox. */
void jobs_stop(struct jobs *jobs, void (*stopped)(void *owner));
void jobs_kill_all(struct jobs *jobs);
void jobs_destroy(struct jobs *jobs); /* once stopped, or when none runs; NULL is fine */

#endif
