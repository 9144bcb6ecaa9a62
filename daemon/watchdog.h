/* Whether every critical thread still gets on with its work.
 *
 * Each has a pulse, and a pulse is a promise: pulse_expect(pulse, within_ms, doing) says "you
 * will hear of me within this time". The watchdog's own thread looks at all pulses each second.
 * While each is in time it feeds the service manager's watchdog (WatchdogSec=); once one is
 * late it names it in the log, with what it was doing, feeds no more, and asks to be killed and
 * started again (WATCHDOG=trigger). Without a service manager it only names it.
 *
 * A wait is no hang: a call that may wait for a disk or a lock is promised for PULSE_DISK_MS,
 * while a thread's own turns are for PULSE_TURN_MS. A database that another process keeps
 * locked makes the writer's calls fail after a second and be tried again: it is never late.
 *
 * When the watchdog's own clock was late, all of us stood still (suspend, SIGSTOP, a machine
 * out of memory): every pulse is then excused for WATCHDOG_EXCUSE_MS.
 *
 * While starting or stopping the manager's patience is extended as long as nothing is late;
 * while stopping for WATCHDOG_STOPPING_MS at most, since what waits then may have no pulse (a
 * thread of the pool on a disk that does not answer).
 *
 * Thread: create, destroy and add on one thread; a pulse is one thread's at a time. */
#ifndef DAEMON_WATCHDOG_H
#define DAEMON_WATCHDOG_H

#define PULSE_TURN_MS 8000   /* below WatchdogSec=10: named before anyone kills us */
#define PULSE_DISK_MS 120000 /* from then on Linux calls a task hung, too */
#define PULSE_OPEN_MS 900000 /* a large store that is migrated while starting */

#define WATCHDOG_PULSES_MAX  16
#define WATCHDOG_TICK_MS     1000
#define WATCHDOG_LATE_MS     2000
#define WATCHDOG_EXCUSE_MS   8000
#define WATCHDOG_EXTEND_MS   15000 /* asked for every third of it */
#define WATCHDOG_STOPPING_MS 60000

struct watchdog;
struct pulse;

enum watchdog_phase { WATCHDOG_STARTING, WATCHDOG_RUNNING, WATCHDOG_STOPPING };

/* 0 or -errno. Starts its thread, in WATCHDOG_STARTING. */
int watchdog_create(struct watchdog **ret_watchdog);

/* Pulses end with it. NULL is fine. */
void watchdog_destroy(struct watchdog *watchdog);

void watchdog_set_phase(struct watchdog *watchdog, enum watchdog_phase phase);

/* A pulse at rest. `name` and `doing` below are literals. NULL when there is no watchdog, or
 * WATCHDOG_PULSES_MAX are in use. */
struct pulse *watchdog_add(struct watchdog *watchdog, const char *name);

/* NULL is fine for both. At rest nothing is expected. */
void pulse_expect(struct pulse *pulse, int within_ms, const char *doing);
void pulse_rest(struct pulse *pulse);

#endif
