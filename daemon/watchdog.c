#include "daemon/watchdog.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include <systemd/sd-daemon.h>

#include "daemon/log.h"
#include "daemon/notify.h"

#define MS UINT64_C(1000000)

/* Written by its thread, read by the watchdog's. A reader that catches two of the three fields
 * before and the third after a change can only err in what it names. */
struct pulse {
    const char *name;
    _Atomic(const char *) doing;
    atomic_uint_fast64_t since_ns;
    atomic_uint_fast64_t due_ns; /* UINT64_MAX: at rest */
    bool late;                   /* the watchdog's own */
};

struct watchdog {
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t wake;
    bool stopping; /* under the lock */
    atomic_int phase;
    atomic_int count;
    struct pulse pulses[WATCHDOG_PULSES_MAX];

    /* The thread's own. */
    uint64_t tick_ms;
    uint64_t excused_ns;  /* until when nobody is late */
    uint64_t extend_ns;   /* when to ask for patience again */
    uint64_t stopping_ns; /* since when it is seen to stop; 0: it does not */
    bool fed;             /* the manager has a watchdog to feed */
    bool told;            /* that we hang */
};

void pulse_expect(struct pulse *pulse, int within_ms, const char *doing)
{
    if (!pulse)
        return;
    uint64_t now = uv_hrtime();
    atomic_store(&pulse->doing, doing);
    atomic_store(&pulse->since_ns, now);
    atomic_store(&pulse->due_ns, now + (uint64_t)within_ms * MS);
}

void pulse_rest(struct pulse *pulse)
{
    if (pulse)
        atomic_store(&pulse->due_ns, UINT64_MAX);
}

/* Tells when it becomes late, and when it is heard of again. */
static bool check_pulse(struct pulse *pulse, uint64_t now, bool excused)
{
    uint64_t since = atomic_load(&pulse->since_ns);
    bool late = !excused && atomic_load(&pulse->due_ns) < now;
    if (late && !pulse->late)
        log_error("the %s stands still: %s for %.1f s", pulse->name, atomic_load(&pulse->doing),
                  (double)(now - MIN(since, now)) / 1e9);
    else if (!late && pulse->late)
        log_warning("the %s goes on", pulse->name);
    pulse->late = late;
    return late;
}

static bool is_patience_due(struct watchdog *watchdog, uint64_t now)
{
    int phase = atomic_load(&watchdog->phase);
    if (phase == WATCHDOG_STOPPING && watchdog->stopping_ns == 0)
        watchdog->stopping_ns = now;
    bool may_wait =
        phase == WATCHDOG_STARTING ||
        (phase == WATCHDOG_STOPPING && now - watchdog->stopping_ns < WATCHDOG_STOPPING_MS * MS);
    return may_wait && now >= watchdog->extend_ns;
}

static void look(struct watchdog *watchdog, uint64_t now)
{
    bool excused = now < watchdog->excused_ns;
    bool late = false;
    int count = atomic_load(&watchdog->count);
    for (int i = 0; i < count; i++)
        late |= check_pulse(&watchdog->pulses[i], now, excused);
    if (late) {
        if (!watchdog->told && watchdog->fed)
            notify_hung();
        watchdog->told = true;
        return;
    }
    watchdog->told = false;
    if (watchdog->fed)
        notify_alive();
    if (is_patience_due(watchdog, now)) {
        notify_extend(WATCHDOG_EXTEND_MS);
        watchdog->extend_ns = now + WATCHDOG_EXTEND_MS / 3 * MS;
    }
}

static void watchdog_main(void *argument)
{
    struct watchdog *watchdog = argument;
    pthread_setname_np(pthread_self(), "watchdog");
    uv_mutex_lock(&watchdog->lock);
    uint64_t before = uv_hrtime();
    while (!watchdog->stopping) {
        uv_cond_timedwait(&watchdog->wake, &watchdog->lock, watchdog->tick_ms * MS);
        uint64_t now = uv_hrtime();
        if (now - before > (watchdog->tick_ms + WATCHDOG_LATE_MS) * MS) {
            log_warning("all of vigild stood still for %.1f s", (double)(now - before) / 1e9);
            watchdog->excused_ns = now + WATCHDOG_EXCUSE_MS * MS;
        }
        before = now;
        look(watchdog, now);
    }
    uv_mutex_unlock(&watchdog->lock);
}

int watchdog_create(struct watchdog **ret_watchdog)
{
    struct watchdog *watchdog = g_new0(struct watchdog, 1);
    uint64_t usec = 0;
    watchdog->fed = sd_watchdog_enabled(0, &usec) > 0;
    watchdog->tick_ms =
        watchdog->fed ? CLAMP(usec / 4000, 10, WATCHDOG_TICK_MS) : WATCHDOG_TICK_MS;
    uv_mutex_init(&watchdog->lock);
    uv_cond_init(&watchdog->wake);
    int r = uv_thread_create(&watchdog->thread, watchdog_main, watchdog);
    if (r < 0) {
        uv_cond_destroy(&watchdog->wake);
        uv_mutex_destroy(&watchdog->lock);
        g_free(watchdog);
        return r;
    }
    *ret_watchdog = watchdog;
    return 0;
}

void watchdog_destroy(struct watchdog *watchdog)
{
    if (!watchdog)
        return;
    uv_mutex_lock(&watchdog->lock);
    watchdog->stopping = true;
    uv_cond_signal(&watchdog->wake);
    uv_mutex_unlock(&watchdog->lock);
    uv_thread_join(&watchdog->thread);
    uv_cond_destroy(&watchdog->wake);
    uv_mutex_destroy(&watchdog->lock);
    g_free(watchdog);
}

void watchdog_set_phase(struct watchdog *watchdog, enum watchdog_phase phase)
{
    if (watchdog)
        atomic_store(&watchdog->phase, phase);
}

struct pulse *watchdog_add(struct watchdog *watchdog, const char *name)
{
    if (!watchdog)
        return NULL;
    int count = atomic_load(&watchdog->count);
    if (count == WATCHDOG_PULSES_MAX)
        return NULL;
    struct pulse *pulse = &watchdog->pulses[count];
    pulse->name = name;
    atomic_store(&pulse->due_ns, UINT64_MAX);
    atomic_store(&watchdog->count, count + 1); /* from now on it is looked at */
    return pulse;
}
