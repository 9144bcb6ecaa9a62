#include "daemon/heart.h"

#include <glib.h>
#include <stdbool.h>

struct heart {
    uv_timer_t timer;
    uv_work_t probe;
    struct pulse *loop, *pool;
    bool probing, closing, timer_closed;
};

static void free_when_idle(struct heart *heart)
{
    if (heart->closing && heart->timer_closed && !heart->probing)
        g_free(heart);
}

static void probe(uv_work_t *work)
{
    (void)work; /* that a thread took it is all we want to know */
}

static void probed(uv_work_t *work, int status)
{
    struct heart *heart = work->data;
    (void)status;
    heart->probing = false;
    pulse_rest(heart->pool);
    free_when_idle(heart);
}

static void beat(uv_timer_t *timer)
{
    struct heart *heart = timer->data;
    pulse_expect(heart->loop, PULSE_TURN_MS, "in one turn");
    if (heart->probing)
        return;
    /* Every thread of the pool may be waiting for the disk at once. */
    heart->probing = uv_queue_work(timer->loop, &heart->probe, probe, probed) == 0;
    if (heart->probing)
        pulse_expect(heart->pool, PULSE_DISK_MS, "taking no work");
}

int heart_create(uv_loop_t *loop, struct watchdog *watchdog, struct heart **ret_heart)
{
    struct heart *heart = g_new0(struct heart, 1);
    int r = uv_timer_init(loop, &heart->timer);
    if (r < 0) {
        g_free(heart);
        return r;
    }
    heart->timer.data = heart->probe.data = heart;
    heart->loop = watchdog_add(watchdog, "event loop");
    heart->pool = watchdog_add(watchdog, "thread pool");
    pulse_expect(heart->loop, PULSE_OPEN_MS, "starting");
    uv_timer_start(&heart->timer, beat, 0, HEART_MS);
    *ret_heart = heart;
    return 0;
}

struct pulse *heart_pulse(struct heart *heart)
{
    return heart->loop;
}

static void timer_closed(uv_handle_t *handle)
{
    struct heart *heart = handle->data;
    heart->timer_closed = true;
    free_when_idle(heart);
}

void heart_close(struct heart *heart)
{
    if (!heart)
        return;
    heart->closing = true;
    pulse_rest(heart->loop);
    pulse_rest(heart->pool);
    uv_close((uv_handle_t *)&heart->timer, timer_closed);
}
