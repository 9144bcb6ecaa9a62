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
#include <unistd.h>

/* How long to look before sleeping, while a run is under way: longer than most of what lies
 * between two of its jobs, or than the last part of one. Who sleeps is there some 50 µs after
 * it was woken where processors are those of a virtual machine, at times on the wrong one. */
enum { LOOK_NS = 300000 };

/* And where none is: for small runs that follow each other at once. */
enum { LOOK_AFTER_NS = 20000 };

/* What the jobs of a run must come to, in the unit of nn_op_parallel, for it to wake who
 * sleeps, which takes it some 8 µs: 40 µs of products. */
#define WAKE_COST 2e6

/* Kernels keep little on the stack. */
enum { STACK_BYTES = 1 << 19 };

enum { CACHE_LINE = 64 };

enum { NOWHERE = -1 }; /* nobody has said */

struct helper {
    alignas(CACHE_LINE) atomic_bool asleep;
    sem_t wake;
    pthread_t thread;
    struct nn_threads *threads;
    int index;     /* 1..N-1 */
    atomic_int id; /* as the kernel numbers threads; 0: it has not begun */
};

struct nn_threads {
    int count; /* N */
    int started;
    atomic_int running; /* runs under way */
    atomic_bool taken;  /* one of them has the helpers */
    atomic_bool stop;
    atomic_int processors[NN_PLAN_THREADS_MAX]; /* where each thread was last, or NOWHERE */

    /* The job. Written by the run that has the helpers, between two jobs. */
    void (*work)(void *data, int64_t first, int64_t end, int thread);
    void *data;
    int64_t items, part;
    int parts;
    double cost, cost_before; /* of all jobs of this run so far, and of the run before it */

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

/* Whether one of threads 0..end-1 was last on the processor of thread `index`. */
static bool is_shared(struct nn_threads *t, int index, int end)
{
    int processor = atomic_load(&t->processors[index]);
    for (int i = 0; i < end; i++)
        if (i != index && processor != NOWHERE && atomic_load(&t->processors[i]) == processor)
            return true;
    return false;
}

/* Where two threads share a processor, looking would only keep the other from its work. */
static int64_t look_ns(struct nn_threads *t, int index)
{
    if (is_shared(t, index, t->count))
        return 0;
    return atomic_load(&t->taken) && is_wanted(t, index) ? LOOK_NS : LOOK_AFTER_NS;
}

static void wait_for_work(struct helper *h)
{
    struct nn_threads *t = h->threads;
    for (int64_t begin = now_ns(); now_ns() < begin + look_ns(t, h->index); pause_briefly())
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
    atomic_store(&h->id, gettid());
    while (!atomic_load(&t->stop)) {
        wait_for_work(h);
        atomic_store(&t->processors[h->index], sched_getcpu());
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
    for (int i = 0; i < count; i++)
        atomic_init(&t->processors[i], NOWHERE);
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

/* As many processors as Linux can be built for. The kernel refuses a set that does not hold all
 * that there could be, and one cpu_set_t holds 1024. */
typedef cpu_set_t processors[8];

static bool find_processors(processors set)
{
    return sched_getaffinity(0, sizeof(processors), set) == 0;
}

int nn_threads_processors(void)
{
    processors set;
    int count = find_processors(set) ? CPU_COUNT_S(sizeof set, set) : 0;
    return count > 0 ? count : 1;
}

bool nn_threads_begin(struct nn_threads *threads)
{
    atomic_fetch_add(&threads->running, 1);
    if (atomic_exchange(&threads->taken, true))
        return false;
    threads->cost_before = threads->cost;
    threads->cost = 0;
    return true;
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
    for (int64_t begin = now_ns(); now_ns() < begin + look_ns(t, 0); pause_briefly())
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

/* The kernel often puts who is woken on the processor of who wakes it though others are free:
 * it takes idle ones of a virtual machine for busy. There the helper would come after the run,
 * or both in turns, for some milliseconds. So who shares a processor with the run, or with a
 * helper before it, is sent to those that none of them was on and that this thread may use. */
static void send_away(struct helper *h)
{
    struct nn_threads *t = h->threads;
    processors set;
    int id = atomic_load(&h->id);
    if (id == 0 || !find_processors(set))
        return;
    for (int i = 0; i < t->count; i++) {
        int processor = atomic_load(&t->processors[i]);
        if (processor >= 0)
            CPU_CLR_S((size_t)processor, sizeof set, set);
    }
    if (CPU_COUNT_S(sizeof set, set) > 0 && sched_setaffinity(id, sizeof set, set) == 0)
        atomic_store(&t->processors[h->index], NOWHERE);
}

static void call_helpers(struct nn_threads *t)
{
    /* A run is much like the one before it. */
    bool wakes = t->cost >= WAKE_COST || t->cost_before >= WAKE_COST;
    for (int i = 1; i < t->count && i < t->parts && is_wanted(t, i); i++) {
        struct helper *h = &t->helpers[i - 1];
        if (!wakes && atomic_load(&h->asleep))
            continue;
        if (is_shared(t, i, i))
            send_away(h);
        wake(h);
    }
}

void nn_threads_run(struct nn_threads *threads, int64_t count, int64_t part, double cost,
                    void (*work)(void *data, int64_t first, int64_t end, int thread),
                    void *data)
{
    struct nn_threads *t = threads;
    t->work = work;
    t->data = data;
    t->items = count;
    t->part = part;
    t->parts = (int)((count + part - 1) / part);
    t->cost += cost;
    atomic_store(&t->processors[0], sched_getcpu());
    atomic_store(&t->pending, t->parts);
    atomic_store(&t->left, t->parts);
    call_helpers(t);
    while (do_part(t, 0))
        ;
    wait_for_all(t);
}
