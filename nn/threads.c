/* A job is published by storing how many parts it has, and a part is taken by counting that
 * down from what it is to one less. Only after a part was taken is the rest of the job read: so
 * a helper that comes late takes a part of whatever job there is then, or none, and never sees
 * one half written. The job stands until its last part is done, since the run waits for that.
 *
 * Who sleeps says so first and then looks once more; who has something for it looks for that
 * word after having published. One of them sees the other, and each word that is taken back is
 * one post, waited for once. */
#include "nn/threads.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

/* How long to look before sleeping: most of what lies between two steps of a run that are
 * shared. To be woken takes about as long. */
enum { LOOK_NS = 10000 };

/* Kernels keep little on the stack. */
enum { STACK_BYTES = 1 << 19 };

enum { CACHE_LINE = 64 };

struct helper {
    alignas(CACHE_LINE) atomic_bool asleep;
    sem_t wake;
    pthread_t thread;
    struct nn_threads *threads;
    int index; /* 1..N-1 */
};

struct nn_threads {
    int count; /* N */
    int started;
    atomic_int running; /* runs under way */
    atomic_bool taken;  /* one of them has the helpers */
    atomic_bool stop;

    /* The job. Written by the run that has the helpers, between two jobs. */
    void (*work)(void *data, int64_t first, int64_t end, int thread);
    void *data;
    int64_t items, part;
    int parts;

    alignas(CACHE_LINE) atomic_int left;    /* parts that nobody has taken */
    alignas(CACHE_LINE) atomic_int pending; /* parts that are not done */
    atomic_bool waiting;                    /* the run sleeps until they are */
    sem_t done;

    struct helper helpers[NN_PLAN_THREADS_MAX - 1];
};

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) < 0 && errno == EINTR)
        ;
}

static bool take(struct nn_threads *t, int *ret_part)
{
    int left = atomic_load(&t->left);
    while (left > 0) {
        if (atomic_compare_exchange_weak(&t->left, &left, left - 1)) {
            *ret_part = t->parts - left;
            return true;
        }
    }
    return false;
}

/* Takes a part and does it. */
static bool do_part(struct nn_threads *t, int thread)
{
    int part;
    if (!take(t, &part))
        return false;
    int64_t first = part * t->part;
    int64_t end = t->items - first < t->part ? t->items : first + t->part;
    t->work(t->data, first, end, thread);
    if (atomic_fetch_sub(&t->pending, 1) == 1 && atomic_exchange(&t->waiting, false))
        sem_post(&t->done);
    return true;
}

/* Whether threads 0..index are no more than there should be, beside the runs
 * that work alone. */
static bool is_wanted(struct nn_threads *t, int index)
{
    return index + atomic_load(&t->running) <= t->count;
}

static bool has_work(struct helper *h)
{
    struct nn_threads *t = h->threads;
    return atomic_load(&t->stop) || (atomic_load(&t->left) > 0 && is_wanted(t, h->index));
}

static void wait_for_work(struct helper *h)
{
    for (int64_t end = now_ns() + LOOK_NS; now_ns() < end; pause_briefly())
        if (has_work(h))
            return;
    atomic_store(&h->asleep, true);
    if (has_work(h) && atomic_exchange(&h->asleep, false))
        return;
    wait_for(&h->wake);
}

static void *help(void *data)
{
    struct helper *h = data;
    struct nn_threads *t = h->threads;
    prctl(PR_SET_NAME, "nn-helper");
    while (!atomic_load(&t->stop)) {
        wait_for_work(h);
        while (is_wanted(t, h->index) && do_part(t, h->index))
            ;
    }
    return NULL;
}

static int start(struct nn_threads *t)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    if (pthread_attr_init(&attributes) != 0)
        return -ENOMEM;
    int r = pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (r == 0 && t->started < t->count - 1) {
        struct helper *h = &t->helpers[t->started];
        h->threads = t;
        h->index = t->started + 1;
        sem_init(&h->wake, 0, 0);
        r = pthread_create(&h->thread, &attributes, help, h);
        if (r == 0)
            t->started++;
        else
            sem_destroy(&h->wake);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -r;
}

int nn_threads_create(int count, struct nn_threads **ret_threads)
{
    struct nn_threads *t = aligned_alloc(CACHE_LINE, sizeof *t);
    if (!t)
        return -ENOMEM;
    *t = (struct nn_threads){.count = count};
    sem_init(&t->done, 0, 0);
    int r = start(t);
    if (r < 0)
        nn_threads_destroy(t);
    else
        *ret_threads = t;
    return r;
}

static void wake(struct helper *h)
{
    if (atomic_load(&h->asleep) && atomic_exchange(&h->asleep, false))
        sem_post(&h->wake);
}

void nn_threads_destroy(struct nn_threads *threads)
{
    if (!threads)
        return;
    atomic_store(&threads->stop, true);
    for (int i = 0; i < threads->started; i++) {
        wake(&threads->helpers[i]);
        pthread_join(threads->helpers[i].thread, NULL);
        sem_destroy(&threads->helpers[i].wake);
    }
    sem_destroy(&threads->done);
    free(threads);
}

int nn_threads_processors(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;
    return count > 0 ? count : 1;
}

bool nn_threads_begin(struct nn_threads *threads)
{
    atomic_fetch_add(&threads->running, 1);
    return !atomic_exchange(&threads->taken, true);
}

void nn_threads_end(struct nn_threads *threads, bool had_helpers)
{
    if (had_helpers)
        atomic_store(&threads->taken, false);
    atomic_fetch_sub(&threads->running, 1);
}

static void wait_for_all(struct nn_threads *t)
{
    if (atomic_load(&t->pending) == 0)
        return;
    for (int64_t end = now_ns() + LOOK_NS; now_ns() < end; pause_briefly())
        if (atomic_load(&t->pending) == 0)
            return;
    /* More than once: who was last in the job before may say so only now. */
    while (atomic_load(&t->pending) > 0) {
        atomic_store(&t->waiting, true);
        if (atomic_load(&t->pending) == 0 && atomic_exchange(&t->waiting, false))
            return;
        wait_for(&t->done);
    }
}

void nn_threads_run(struct nn_threads *threads, int64_t count, int64_t part,
                    void (*work)(void *data, int64_t first, int64_t end, int thread),
                    void *data)
{
    struct nn_threads *t = threads;
    t->work = work;
    t->data = data;
    t->items = count;
    t->part = part;
    t->parts = (int)((count + part - 1) / part);
    atomic_store(&t->pending, t->parts);
    atomic_store(&t->left, t->parts);
    for (int i = 0; i < t->count - 1 && i < t->parts - 1 && is_wanted(t, i + 1); i++)
        wake(&t->helpers[i]);
    while (do_part(t, 0))
        ;
    wait_for_all(t);
}
