/* Host names for workers, which cannot look any up once their sandbox is closed.
 *
 * Each question is answered within RESOLVER_DEADLINE_MS, whatever the name server does; with
 * no address when the name does not resolve or not in time. At most RESOLVER_PARALLEL look-ups
 * run at once in libuv's pool (a silent name server holds its thread for longer than our
 * deadline), the others wait their turn within their own deadline. Shares are fair: one look-up
 * of a stream runs at a time, and streams whose last one was not answered in time have
 * RESOLVER_SLOW_PARALLEL of the places between them, so that names that answer are found
 * whatever the others do.
 *
 * Thread: the loop's. */
#ifndef DAEMON_RESOLVER_H
#define DAEMON_RESOLVER_H

#include <uv.h>

#include "record/message.h"

#define RESOLVER_DEADLINE_MS    3000
#define RESOLVER_PARALLEL       4
#define RESOLVER_SLOW_PARALLEL  1
#define RESOLVER_WAITING_MAX    256
#define RESOLVER_PER_STREAM_MAX 2 /* the one of a worker that is gone, and that of the next */

struct resolver;

struct resolver_question {
    char stream[RECORD_NAME_SIZE];
    uint64_t run; /* of the worker that asks */
    int64_t request;
    char host[MESSAGE_HOST_SIZE];
};

/* Called once per question, never from inside resolver_ask. */
typedef void resolver_answer(void *owner, const struct resolver_question *question,
                             const struct message_resolved *resolved);

int resolver_create(uv_loop_t *loop, resolver_answer *answer, void *owner,
                    struct resolver **ret_resolver);

/* 0, or -ENOBUFS when too many wait, or have not returned for this stream: nothing will be
 * answered. */
int resolver_ask(struct resolver *resolver, const struct resolver_question *question);

/* The stream is gone: whether its names were slow is not kept. */
void resolver_forget(struct resolver *resolver, const char *stream);

/* Answers nothing more; frees itself when the last look-up has returned to the loop. NULL is
 * fine. */
void resolver_close(struct resolver *resolver);

#endif
