/* Timers that all run for the same time, so that the order of starting is the order of ending:
 * starting, stopping and finding the next are O(1).
 *
 * Thread: one. */
#ifndef API_TIMERS_H
#define API_TIMERS_H

#include <stddef.h>
#include <stdint.h>

struct api_timer {
    void *owner; /* whoever embeds the timer; set once by it */
    int64_t due_ms;
    struct api_timers *timers; /* NULL while stopped */
    struct api_timer *prev, *next;
};

struct api_timers {
    int run_ms;
    struct api_timer *head, *tail;
};

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t api_timers_now(void);

/* Starts, or starts again. */
void api_timers_start(struct api_timers *timers, struct api_timer *timer);
void api_timers_stop(struct api_timer *timer); /* also when stopped */

/* Stops and returns one that is due, or NULL. */
struct api_timer *api_timers_take_due(struct api_timers *timers, int64_t now_ms);

/* Milliseconds until the next is due, 0 when one is, -1 when none runs. */
int api_timers_wait_ms(const struct api_timers *timers, int64_t now_ms);

#endif
