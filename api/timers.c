#include "api/timers.h"

#include <time.h>

int64_t api_timers_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void api_timers_stop(struct api_timer *timer)
{
    struct api_timers *timers = timer->timers;
    if (!timers)
        return;
    if (timer->prev)
        timer->prev->next = timer->next;
    else
        timers->head = timer->next;
    if (timer->next)
        timer->next->prev = timer->prev;
    else
        timers->tail = timer->prev;
    timer->timers = NULL;
}

void api_timers_start(struct api_timers *timers, struct api_timer *timer)
{
    api_timers_stop(timer);
    timer->due_ms = api_timers_now() + timers->run_ms;
    timer->timers = timers;
    timer->prev = timers->tail;
    timer->next = NULL;
    if (timers->tail)
        timers->tail->next = timer;
    else
        timers->head = timer;
    timers->tail = timer;
}

struct api_timer *api_timers_take_due(struct api_timers *timers, int64_t now_ms)
{
    struct api_timer *timer = timers->head;
    if (!timer || timer->due_ms > now_ms)
        return NULL;
    api_timers_stop(timer);
    return timer;
}

int api_timers_wait_ms(const struct api_timers *timers, int64_t now_ms)
{
    if (!timers->head)
        return -1;
    return timers->head->due_ms > now_ms ? (int)(timers->head->due_ms - now_ms) : 0;
}
