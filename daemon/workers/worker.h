/* One vigil-worker process seen from its parent: spawned with a control socket on descriptor 3
 * and nothing else of ours, read without trust, reaped, gone.
 *
 * The environment is that of record/environment.h; credentials are never in it nor among the
 * arguments. What the process writes to stderr is
 * logged line by line, cleaned, and no more than a few lines a minute.
 *
 * Any of these has it killed: a message that does not parse, one that only a parent may send,
 * one before `ready`, a second `ready`, a descriptor, a closed socket. Then `gone` follows.
 *
 * Thread: the loop's. */
#ifndef DAEMON_WORKERS_WORKER_H
#define DAEMON_WORKERS_WORKER_H

#include <uv.h>

#include "record/message.h"

struct worker;

struct worker_exit {
    int status; /* when signal is 0 */
    int signal;
    bool malformed;   /* killed by us for what it sent */
    const char *text; /* one line: why we killed it, or how it ended by itself */
};

struct worker_listener {
    /* After `ready`: the sandbox is closed. */
    void (*ready)(void *owner, struct worker *worker);
    void (*message)(void *owner, struct worker *worker, const struct message *message);
    /* The process is reaped and everything it had sent has been delivered. The worker is
     * freed after this call. */
    void (*gone)(void *owner, struct worker *worker, const struct worker_exit *how);
};

struct worker_options {
    uv_loop_t *loop;
    const char *program;
    const char *tls_ca; /* who may sign cameras' certificates; NULL: whom the system trusts */
    int streams;        /* that it will be given at once, at most; 0: 1 */
    const struct worker_listener *listener;
    void *owner;
};

/* 0, or -errno when the program cannot be started. */
int worker_spawn(const struct worker_options *options, struct worker **ret_worker);

/* As channel_send; never waits. A worker that does not read (-EAGAIN) should be killed. */
int worker_send(struct worker *worker, const struct message *message, const int *fds,
                int fd_count);

/* SIGKILL; `why` is copied and comes back in `gone`. Only the first reason is kept. */
void worker_kill(struct worker *worker, const char *why);

int worker_pid(const struct worker *worker);

/* The stream its stderr is logged for; "": none, or several. */
void worker_set_stream(struct worker *worker, const char *stream);

#endif
