/* Timing a plan: how long runs take, one after the other in each of several sessions.
 *
 * Every session has a thread of its own, as a stream has; what helpers a plan has, its sessions
 * share (nn/plan.h).
 *
 * Times are wall-clock, so a busy machine shows in the median; the least is close to what the
 * machine can do.
 *
 * Thread: one at a time; starts and joins its own. */
#ifndef CLI_BENCH_RUN_H
#define CLI_BENCH_RUN_H

#include <glib.h>

#include "nn/plan.h"

enum bench_what {
    BENCH_WHOLE,  /* one run over all inputs */
    BENCH_STREAM, /* `stride` frames and the window they complete; timed per frame */
    BENCH_FRAME,  /* a frame alone */
    BENCH_WINDOW, /* a window alone */
};

struct bench_job {
    struct nn_plan *plan; /* with a time axis, but for BENCH_WHOLE */
    size_t input_count;   /* of the model */
    enum bench_what what;
    int stride;
    int sessions; /* side by side; 1..BENCH_SESSIONS_MAX */
    int runs;     /* in each, after some that are not counted; 1..BENCH_RUNS_MAX;
                  * 0: as many as fit in `seconds` */
    double seconds;
};
#define BENCH_SESSIONS_MAX 256
#define BENCH_RUNS_MAX     1000000

struct bench_times {
    int64_t runs; /* of all sessions */
    double median_ms, min_ms, p95_ms;
    double per_second; /* of all sessions together */
};

/* 0, or negative errno with one line. */
int bench_measure(const struct bench_job *job, struct bench_times *ret_times,
                  struct nn_error *err);

#endif
