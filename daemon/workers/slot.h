/* One worker process of the supervisor's, from its spawning to its end: what it is told, what
 * it says, and what its death means for the streams it served. Private to daemon/.
 *
 * Thread: the loop's. */
#ifndef DAEMON_WORKERS_SLOT_H
#define DAEMON_WORKERS_SLOT_H

#include "daemon/workers/supervisor_private.h"

/* A new one, warming; or the failure noted and its next try delayed. */
void slot_spawn(struct supervisor *sup);

/* Gives the stream to the slot, a spare or one with room; or ends it as failed when it cannot
 * be prepared. */
void slot_assign(struct slot *slot, struct stream *stream);

/* Tells the stream's worker of its other model, now or once it is prepared. -errno when that
 * cannot be. */
int slot_change_model(struct stream *stream);

/* Asks the stream's worker to stop it. The others it serves go on. */
void slot_stop_stream(struct stream *stream);

/* Asks a worker without streams to end. */
void slot_quit(struct slot *slot);

/* counter (may be NULL) counts deaths for that reason. */
void slot_kill(struct slot *slot, const char *why, int64_t *counter);

#endif
