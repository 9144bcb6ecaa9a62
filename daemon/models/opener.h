/* Opens the files of models on threads of libuv's pool: one on a disk that sleeps, or in a
 * network folder that is gone, holds such a thread and not the loop.
 *
 * Each question is answered within OPENER_DEADLINE_MS, with -ETIMEDOUT if it must be. An open
 * that hangs cannot be called back: until it returns it keeps its thread, and whoever asks for
 * a file in the same folder is answered -ETIMEDOUT without another try. So a dead folder takes
 * one thread whatever is asked of it, and folders that answer do not wait for it; only when
 * OPENER_LATE_MAX others hang do their threads count among the OPENER_PARALLEL that run at
 * once.
 *
 * Thread: the loop's. */
#ifndef DAEMON_MODELS_OPENER_H
#define DAEMON_MODELS_OPENER_H

#include <sys/stat.h>
#include <uv.h>

#define OPENER_DEADLINE_MS 8000 /* a disk that slept takes as long to wake */
#define OPENER_PARALLEL    2    /* beside those that are late */
#define OPENER_LATE_MAX    2    /* of the pool's eight threads, others are for the store */

struct opener;
struct opening;

/* fd: a regular file's as record/file.h opens it, the receiver's to close, with what fstat says
 * of it; or -errno, and `status` is NULL. */
typedef void opener_opened(void *owner, int fd, const struct stat *status);

int opener_create(uv_loop_t *loop, struct opener **ret_opener);

/* `opened` is called once, never from inside, unless the opening is cancelled before. */
struct opening *opener_open(struct opener *opener, const char *path, opener_opened *opened,
                            void *owner);

/* Nothing will be called for it. NULL is fine. */
void opening_cancel(struct opening *opening);

/* What such an -errno means, for a person: record/file.h, and -ETIMEDOUT. */
const char *opener_error_text(int error);

/* Answers nothing more; frees itself when the last open has returned to the loop. NULL is
 * fine. */
void opener_close(struct opener *opener);

#endif
