/* Two clocks read at once: what passed, and what this thread spent of the processor meanwhile.
 *
 * Thread: both readings of a span in the same one. */
#ifndef PIPELINE_STOPWATCH_H
#define PIPELINE_STOPWATCH_H

#include <stdint.h>
#include <time.h>

struct stopwatch {
    int64_t clock_ns; /* monotonic */
    int64_t cpu_ns;   /* of the calling thread */
};

static inline int64_t stopwatch_read(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static inline struct stopwatch stopwatch_now(void)
{
    struct stopwatch now = {stopwatch_read(CLOCK_MONOTONIC),
                            stopwatch_read(CLOCK_THREAD_CPUTIME_ID)};
    return now;
}

#endif
