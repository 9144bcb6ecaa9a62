/* The process of a job: `vigil` with arguments, told at each JSON line it prints, asked to stop
 * or killed, reaped.
 *
 * It is spawned in a session of its own, with /dev/null and two pipes and the environment of a
 * worker (record/environment.h). It makes itself idle and ends when we do (cli/background.h).
 * What it prints is read without trust: a line that is longer than PROCESS_LINE_MAX or no JSON
 * object is left out.
 *
 * Thread: the loop's. */
#ifndef DAEMON_JOBS_PROCESS_H
#define DAEMON_JOBS_PROCESS_H

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

#define PROCESS_LINE_MAX 16384 /* figures of some hundred classes */
#define PROCESS_STOP_MS  5000  /* from asked to killed: what is kept is kept already */

struct process;

struct process_exit {
    int status; /* when signal is 0 */
    int signal;
    const char *last_words; /* the last line of its stderr, printable; may be empty */
};

struct process_options {
    uv_loop_t *loop;
    char *const *arguments; /* the program first; borrowed for the call */
    /* Borrowed for the call. */
    void (*line)(void *owner, const json_t *line);
    /* Called once, last: it is reaped, and all it had printed was told. */
    void (*gone)(void *owner, const struct process_exit *how);
    void *owner;
};

/* 0, or -errno: nothing runs and nothing will be called. */
int process_start(const struct process_options *options, struct process **ret_process);

/* SIGTERM, and SIGKILL when it takes too long; `gone` follows. Once is enough. */
void process_stop(struct process *process);
void process_kill(struct process *process);

int process_pid(const struct process *process);

#endif
