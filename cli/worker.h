/* The worker that `vigil run` starts: one process, one control channel, seen from its parent on
 * a GLib main loop.
 *
 * The worker met a camera's bytes and is not trusted: what does not parse, what only a parent
 * may say and descriptors it sends have it killed, as has silence of WORKER_SILENCE_MS. What it
 * writes to stderr is not for the user's terminal; its last line, made printable, is told when
 * it dies. It runs in a process group of its own, so that Ctrl-C reaches us alone and it can be
 * asked to end its events.
 *
 * Thread: the main loop's. */
#ifndef CLI_WORKER_H
#define CLI_WORKER_H

#include "daemon/config/stream.h"

#define WORKER_READY_MS   20000
#define WORKER_SILENCE_MS 10000

struct worker;

/* What to do about a worker that says what it may not. */
#define WORKER_OTHER                                                                           \
    "vigil and its worker must be of one version (VIGIL_WORKER says where it is)"

struct worker_listener {
    /* Any message but resolve, which is answered here. */
    void (*message)(void *owner, const struct message *message);
    /* The process is gone; `why` is one line, with what to do where that can be known. Called
     * once, last. */
    void (*gone)(void *owner, const char *why);
};

/* The host of `stream` (borrowed) is the only one whose name is resolved for it. tls_ca: a file
 * of authorities for cameras' certificates, NULL: the system's. 0 or -errno. */
int worker_start(const char *program, const char *tls_ca, const struct config_stream *stream,
                 const struct worker_listener *listener, void *owner,
                 struct worker **ret_worker);

/* As channel_send, waiting at most a second for a worker that does not read. */
int worker_send(struct worker *worker, const struct message *message, const int *fds,
                int fd_count);

/* Where vigil-worker is: VIGIL_WORKER, beside this program in a build tree, else where it was
 * installed. Caller frees with g_free(). */
char *worker_find_program(void);

/* How many addresses its host was last found to have; 0: it did not ask. The worker tries them
 * in turn. */
int worker_address_count(const struct worker *worker);

/* What the process has used: of the processor so far, and memory now, resident in all and of
 * that its own (not shared with other processes by way of files). 0, or -errno. */
struct worker_usage {
    int64_t cpu_ns;
    int64_t resident_bytes, own_bytes;
};
int worker_use(const struct worker *worker, struct worker_usage *ret_usage);

/* SIGKILL, and nothing it said is heard any more; gone follows with `why`, what the worker
 * said on stderr, and what to do about it (`advice`, static text); NULL: nobody cares. */
void worker_kill(struct worker *worker, const char *why, const char *advice);

/* Kills what still runs, without calling gone. NULL is fine. */
void worker_destroy(struct worker *worker);

#endif
