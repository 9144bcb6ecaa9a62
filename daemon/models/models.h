/* What the configured models are, asked of a one-shot worker: vigild reads no model itself.
 *
 * `vigil-worker --inspect` gets the file on stdin, what the configuration says instead of it as
 * arguments, and writes JSON on stdout, at most MODELS_OUTPUT_MAX bytes within
 * MODELS_DEADLINE_MS, which is checked before it is believed (daemon/models/modelcheck.h). One
 * runs at a time. Answers are kept until the file changes (device, inode, size, time of change)
 * or what is configured does. That the worker died or was not done in time is kept for
 * MODELS_RETRY_MS, twice as long after each further time, MODELS_RETRY_MAX at most, then it is
 * tried again. That something else killed it, or that the file did not open, is told to those
 * who wait and takes the place of nothing that is kept.
 *
 * Thread: the loop's. */
#ifndef DAEMON_MODELS_MODELS_H
#define DAEMON_MODELS_MODELS_H

#include <uv.h>

#include "daemon/config/config.h"
#include "daemon/models/opener.h"

#define MODELS_OUTPUT_MAX  (256 * 1024)
#define MODELS_DEADLINE_MS 8000
#define MODELS_RETRY_MS    5000
#define MODELS_RETRY_MAX   300000
#define MODELS_WAITING_MAX 256

struct models;

struct models_options {
    uv_loop_t *loop;
    const struct config *config; /* borrowed; its models may change between two turns */
    struct opener *opener;       /* borrowed */
    int deadline_ms;             /* 0: MODELS_DEADLINE_MS */
    int retry_ms;                /* 0: MODELS_RETRY_MS */
};

int models_create(const struct models_options *options, struct models **ret_models);

/* Drops what is kept of models that are no longer configured. */
void models_forget(struct models *models);

/* A model as GET /models/{name} answers: its name, `problem` (null when there is none) and what
 * the worker said. Borrowed; NULL without memory or while stopping. */
typedef void models_answer(void *data, json_t *model);

/* `answer` is called exactly once, possibly before this returns. -ENOENT when there is no such
 * model and -ENOBUFS when too many wait: then it is not. */
int models_ask(struct models *models, const char *name, models_answer *answer, void *data);

/* Answers those that wait with NULL and ends a running inspection. */
void models_stop(struct models *models);
bool models_stopped(const struct models *models);
void models_destroy(struct models *models); /* once stopped; NULL is fine */

#endif
