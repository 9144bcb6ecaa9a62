/* Turns a loop until something has happened, or gives up after a while. */
#ifndef TESTS_DAEMON_LOOP_H
#define TESTS_DAEMON_LOOP_H

#include <check.h>
#include <stdbool.h>
#include <uv.h>

/* One turn of the loop polls after its timers have run: without a timer of ours it would sleep
 * on although what we wait for has happened. */
static inline void loop_woken(uv_timer_t *timer)
{
    (void)timer;
}

/* True when `happened` did within the time. */
static inline bool loop_until(uv_loop_t *loop, bool (*happened)(void *data), void *data,
                              int timeout_ms)
{
    uint64_t deadline = uv_hrtime() + (uint64_t)timeout_ms * 1000000;
    uv_timer_t timer;
    uv_timer_init(loop, &timer);
    uv_update_time(loop);
    uv_timer_start(&timer, loop_woken, 5, 5);
    bool done;
    while (!(done = happened(data)) && uv_hrtime() < deadline)
        uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    return done;
}

/* Every handle was closed and nothing is left behind. */
static inline void loop_finish(uv_loop_t *loop)
{
    uv_run(loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(loop), 0);
}

#endif
