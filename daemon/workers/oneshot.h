/* A worker process that does one thing with one file and ends: described or packed a model
 * (`vigil-worker --inspect`, `--pack`). Spawned with the file on descriptor 0 and nothing else
 * of ours but what is named here, read without trust, killed at its deadline, reaped. Whoever
 * else holds its pipes, at its deadline it is over, once it is reaped: one that sleeps in the
 * kernel (state D, on a disk that does not answer) dies only when that has let go of it, and
 * until then `done` is not called.
 *
 * Thread: the loop's. */
#ifndef DAEMON_WORKERS_ONESHOT_H
#define DAEMON_WORKERS_ONESHOT_H

#include <stdbool.h>
#include <uv.h>

#include "daemon/config/config.h"

struct oneshot;

struct oneshot_result {
    int status; /* 0: it ended by itself with success; else its exit status, -1 for a death */
    bool too_late, too_long;
    bool taken_away; /* by a SIGKILL that is not ours: as a rule the machine is out of memory */
    const char *text; /* what it wrote to stdout */
    size_t size;
    const char *problem; /* the first line of its stderr, printable; may be empty */
};

struct oneshot_options {
    uv_loop_t *loop;
    const char *program;
    const char *verb;                 /* "--inspect" */
    const struct config_model *model; /* its overrides become arguments */
    int input;                        /* borrowed: its descriptor 0, the model's file */
    int output;                       /* borrowed: its descriptor 3; -1: none */
    size_t text_max;                  /* bytes of stdout; one that writes more is killed */
    int deadline_ms;
    /* Called once, last: the process is reaped and all handles are closed. */
    void (*done)(void *owner, const struct oneshot_result *result);
    void *owner;
};

/* 0, or -errno: nothing runs and nothing will be called. */
int oneshot_start(const struct oneshot_options *options, struct oneshot **ret_oneshot);

/* SIGKILL; `done` follows. */
void oneshot_kill(struct oneshot *oneshot);

#endif
