/* Read-only questions to the store, asked in libuv's pool by a few reader handles.
 *
 * One question is capped at QUERIES_CAP_MS; at most QUERIES_WAITING_MAX wait for a handle.
 *
 * Thread: the loop's; `work` runs in the pool. */
#ifndef DAEMON_QUERIES_H
#define DAEMON_QUERIES_H

#include <uv.h>

#include "daemon/watchdog.h"
#include "store/store.h"

#define QUERIES_READERS     3
#define QUERIES_WAITING_MAX 64
#define QUERIES_CAP_MS      2000

struct queries;

/* First member of a question's own struct. */
struct query {
    /* In the pool, with a handle of its own for the time: 0 or -errno. */
    int (*work)(struct query *query, struct store *reader, struct store_error *err);
    /* On the loop, once; frees the question. */
    void (*done)(struct query *query, int result, const struct store_error *err);

    /* Private. */
    struct queries *queries;
    struct reader *reader;
    uv_work_t request;
    int result;
    struct store_error err;
};

/* `watchdog` (may be NULL) gets a pulse of each reader. */
int queries_create(uv_loop_t *loop, const char *path, struct watchdog *watchdog,
                   struct queries **ret_queries);

/* 0 and `done` follows, or -EBUSY. */
int queries_ask(struct queries *queries, struct query *query);

int queries_running(const struct queries *queries); /* those waiting included */

/* When none is running. NULL is fine. */
void queries_destroy(struct queries *queries);

#endif
