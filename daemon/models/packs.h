/* Packed models: what all workers map, made once by a process of its own.
 *
 * `vigil-worker --pack` (pipeline/pack.h) gets the ONNX file on stdin and a memory file on
 * descriptor 3. When it has ended well the file is sealed: nobody, vigild included, can write,
 * grow or shrink it any more, and workers see that it is. So a worker that was taken over
 * cannot change what others run, and nothing of it outlives vigild, as a file in a folder
 * would. The packer met a hostile file itself: what it wrote is checked by each worker, and
 * which model it was comes from its first line, said before it looked at it.
 *
 * One runs at a time, for at most deadline_ms. A pack is kept until the model's file (device,
 * inode, size, time of change) or its overrides change. That a model cannot be packed is kept
 * for a few seconds, so that all streams that wait hear of it and who asks again later is tried
 * again. A packer that died or was not done in time may have met a busy machine: it is a
 * passing trouble (-EAGAIN) and kept for 1, 2, 4, ... s, PACKS_TRIES times, then the model's
 * fault. One that something else killed is never the model's fault (-ENOMEM), does not count
 * among those, and is kept for 30 s at most.
 *
 * Thread: the loop's. */
#ifndef DAEMON_MODELS_PACKS_H
#define DAEMON_MODELS_PACKS_H

#include <stdbool.h>
#include <uv.h>

#include "daemon/config/config.h"
#include "daemon/models/opener.h"

#define PACKS_DEADLINE_MS  60000
#define PACKS_TRIES        5
#define PACKS_SHA256_SIZE  65
#define PACKS_PROBLEM_SIZE 600
#define PACKS_BYTES_MAX    ((int64_t)2 << 30)

struct packs;

/* What packs_get had no answer for is decided: now it has one, until this returns. Not called
 * from inside packs_get. */
typedef void packs_ready(void *owner, const char *model);

struct packs_options {
    uv_loop_t *loop;
    const struct config *config; /* borrowed; its models may change between two turns */
    struct opener *opener;       /* borrowed */
    packs_ready *ready;
    void *owner;
    int deadline_ms; /* 0: PACKS_DEADLINE_MS */
};

int packs_create(const struct packs_options *options, struct packs **ret_packs);

struct packs_pack {
    int fd;                         /* the caller's to close */
    char sha256[PACKS_SHA256_SIZE]; /* of the ONNX file */
};

/* The packed form of the model as it is now. -EINPROGRESS: its file is looked at, by a thread
 * of the pool, and packed if need be; `ready` follows exactly once. Only from inside that there
 * is an answer: 0, or -errno with one line: the model's file does not open, it cannot be packed
 * (-EINVAL), or a passing trouble. When the disk does not answer in time, the pack that was
 * made of that path with these overrides is given, if there is one: a stream that starts anew
 * needs nothing else of the file. -ENOENT, with one line, at once when it is not configured. */
int packs_get(struct packs *packs, const char *model, struct packs_pack *ret_pack,
              char problem[PACKS_PROBLEM_SIZE]);

/* Drops the packs of models that are no longer configured. */
void packs_forget(struct packs *packs);

/* Ends a running packer; `ready` is not called any more. */
void packs_stop(struct packs *packs);
bool packs_stopped(const struct packs *packs);
void packs_destroy(struct packs *packs); /* once stopped; NULL is fine */

#endif
