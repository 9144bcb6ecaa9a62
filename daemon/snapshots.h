/* Pictures on demand: a worker writes a JPEG into memory we hand it, and we look before we
 * believe.
 *
 * The memory is a memfd of SNAPSHOTS_SIZE_MAX sealed against growth and shrinking, so that the
 * worker can neither fill our memory nor make us fault. What is read is copied out first and
 * checked after (JPEG marks at both ends), since the worker may go on writing.
 *
 * Thread: the loop's. */
#ifndef DAEMON_SNAPSHOTS_H
#define DAEMON_SNAPSHOTS_H

#include "daemon/workers/supervisor.h"

#define SNAPSHOTS_SIZE_MAX    (8 * 1024 * 1024)
#define SNAPSHOTS_DEADLINE_MS 2000
#define SNAPSHOTS_MAX         16 /* at once */

struct snapshots;

/* Takes `jpeg` (malloc); NULL with one line saying why there is none. */
typedef void snapshots_done(void *data, unsigned char *jpeg, size_t size, const char *problem);

int snapshots_create(uv_loop_t *loop, struct supervisor *sup, struct snapshots **ret_snapshots);

/* `done` is called exactly once, possibly before this returns. */
void snapshots_take(struct snapshots *snapshots, const char *stream, snapshots_done *done,
                    void *data);

/* From the supervisor's listener. */
void snapshots_answered(struct snapshots *snapshots, const char *stream,
                        const struct message_snapshot_done *answer);
void snapshots_worker_gone(struct snapshots *snapshots, const char *stream);

/* Completes those that wait. NULL is fine. */
void snapshots_destroy(struct snapshots *snapshots);

#endif
