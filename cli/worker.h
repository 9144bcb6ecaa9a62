/* A worker of our own: `vigil run` is a parent like the daemon. It starts vigil-worker, hands it
 * descriptors, answers its questions for addresses, and kills it when it misbehaves.
 *
 * Thread: everything on the thread of the GMainContext given by default. */
#ifndef CLI_WORKER_H
#define CLI_WORKER_H

#include "record/channel.h"

struct worker;

struct worker_callbacks {
    /* Any message but `resolve`, which is answered here. */
    void (*on_message)(void *context, const struct message *message);
    /* Once, at the end: `wait_status` as of waitpid(2). `complaint` is a line when the worker
     * was killed for what it said or for its silence, else NULL. */
    void (*on_exit)(void *context, int wait_status, const char *complaint);
    void *context;
};

/* Starts the program. NULL, with a line on stderr, when it cannot be started. */
struct worker *worker_start(const char *program, const struct worker_callbacks *callbacks);

/* Kills what still runs. NULL is fine. */
void worker_destroy(struct worker *worker);

/* 0 or -errno; fds are borrowed. */
int worker_send(struct worker *worker, const struct message *message, const int *fds,
                int fd_count);

/* Where vigil-worker is: VIGIL_WORKER, beside this program in a build tree, else where it was
 * installed. Caller frees with g_free(). */
char *worker_find_program(void);

#endif
