/* Which worker takes which stream, how many workers are needed, and who may share one after a
 * crash. Decides only: supervisor.c acts. Private to daemon/.
 *
 * A worker takes up to streams_per_worker streams. When it dies of itself with several, any of
 * them may be the cause, so they are suspects, and stay among themselves:
 *
 *   first death      the same streams together in one worker that takes no other; a worker dies
 *                    for many reasons that do not come again
 *   each further one two halves in two workers, and so on: what kills workers is alone after
 *                    at most 1 + log2(streams_per_worker) further deaths, and each neighbour
 *                    was interrupted no more often
 *   alone            daemon/workers/crashes.h says when it is tried again, and when no more
 *
 * Suspicion ends PLACEMENT_SUSPICION_MS after a stream's last crash, or when it is put again. A
 * stream that was cleared stays where it is: moving it would cost frames.
 *
 * Thread: the loop's. */
#ifndef DAEMON_WORKERS_PLACEMENT_H
#define DAEMON_WORKERS_PLACEMENT_H

#include "daemon/workers/supervisor_private.h"

#define PLACEMENT_SUSPICION_MS (60 * 60 * 1000)

/* The slot that would take the waiting stream now: the fullest of those it may share, else a
 * spare; NULL when it must wait for one. */
struct slot *placement_find(const struct supervisor *sup, const struct stream *stream);

/* Spare workers there should be: one for each that waiting streams will fill, and those kept in
 * reserve. */
int placement_workers_needed(const struct supervisor *sup);

/* The slot's worker died of itself while it served these streams: they become suspects, or the
 * one there is, guilty. */
void placement_accuse(struct supervisor *sup, const struct slot *slot,
                      struct stream *const *streams, int count, uint64_t now);

/* Ends suspicions that are old. */
void placement_clear(struct supervisor *sup, uint64_t now);

#endif
