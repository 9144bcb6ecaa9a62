/* The pulses of the event loop and of libuv's pool: proof that the loop turns, and that the
 * pool takes and returns work.
 *
 * Thread: the loop's. */
#ifndef DAEMON_HEART_H
#define DAEMON_HEART_H

#include <uv.h>

#include "daemon/watchdog.h"

struct heart;

/* Beats each HEART_MS from the next turn of the loop on. 0 or -errno. */
#define HEART_MS 1000
int heart_create(uv_loop_t *loop, struct watchdog *watchdog, struct heart **ret_heart);

/* The loop's own, for a turn that may wait for a disk: expect PULSE_DISK_MS before it, and
 * PULSE_TURN_MS after it. */
struct pulse *heart_pulse(struct heart *heart);

/* Frees itself once the pool has returned its last work. NULL is fine. */
void heart_close(struct heart *heart);

#endif
