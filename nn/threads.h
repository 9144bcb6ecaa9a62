/* Threads that help with a run, so that one model answers sooner. Private to nn/.
 *
 * A plan for N threads has N - 1 helpers from its first session on. All its sessions share
 * them: a run that begins takes them if no other has them, and else goes on alone. A helper
 * stays away while as many runs are under way as would make more than N threads at work with
 * it, so many sessions of one plan on N threads are what they are without helpers.
 *
 * A job is a number of parts. Whoever is free takes the next one, the thread that runs the
 * session among them, so nobody waits for a helper that has not woken up yet. What a job
 * computes must not depend on who does which part, in what order, or into how many it is cut.
 *
 * Waiting: while a run has the helpers, 0.3 ms of looking, then sleep. Between runs helpers
 * sleep after 20 µs and use no processor, and runs whose jobs are small never wake them.
 *
 * Processors: a helper that would share one with another of these threads is sent to the others
 * that the run's thread may use (sched_setaffinity), and is kept to them until it is sent
 * again: let go, it would be put beside who wakes it as before. Where that call is not allowed
 * it stays.
 *
 * Nothing here allocates or takes a lock after create.
 *
 * Thread: create and destroy once each; begin, run and end from any number of threads. Helpers
 * block all signals. They inherit the sandbox of who starts them. */
#ifndef NN_THREADS_H
#define NN_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#include "nn/plan.h"

struct nn_threads;

/* For `count` threads, 2..NN_PLAN_THREADS_MAX, the caller's own among them. 0, -ENOMEM, or what
 * pthread_create says (-EAGAIN: the system starts no more). */
int nn_threads_create(int count, struct nn_threads **ret_threads);
void nn_threads_destroy(struct nn_threads *threads); /* NULL is fine; no run is under way */

/* Processors that this process may use, at least 1. */
int nn_threads_processors(void);

/* Around a run. True: it has the helpers until its end, and may call nn_threads_run. */
bool nn_threads_begin(struct nn_threads *threads);
void nn_threads_end(struct nn_threads *threads, bool had_helpers);

/* work(data, first, end, thread) for items 0..count-1 in parts of `part` items (the last may be
 * smaller), and returns when all are done. `cost` is that of all items, as nn_op_parallel has
 * it: who sleeps is woken once the jobs of a run come to so much that it pays. `thread` is
 * 0..N-1, and nobody else's at that moment: whose scratch to use. count and part are at least
 * 1; parts are at most INT32_MAX. */
void nn_threads_run(struct nn_threads *threads, int64_t count, int64_t part, double cost,
                    void (*work)(void *data, int64_t first, int64_t end, int thread),
                    void *data);

#endif
