/* Every change ends in supervisor_settle(), which gives workers to waiting streams, spawns what
 * is missing and arms the one timer for the next deadline. placement.c decides which stream
 * goes where, slot.c is the life of one worker. */
#include "daemon/workers/supervisor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/workers/placement.h"
#include "daemon/workers/slot.h"

#define TICK_MS 1000
#define LATE_MS 2000 /* a tick this late means that all of us stood still */

static struct stream *find_stream(const struct supervisor *sup, const char *name)
{
    for (guint i = 0; i < sup->streams->len; i++) {
        struct stream *stream = sup->streams->pdata[i];
        if (strcmp(stream->name, name) == 0)
            return stream;
    }
    return NULL;
}

void supervisor_forget(struct supervisor *sup, struct stream *stream)
{
    g_ptr_array_remove(sup->streams, stream);
    g_free(stream);
}

void supervisor_report(struct supervisor *sup, struct stream *stream, enum stream_state state,
                       enum stream_reason reason, const char *format, ...)
{
    struct message_stream_status status;
    message_status_init(&status);
    status.state = state;
    status.reason = reason;
    g_strlcpy(status.stream, stream->name, sizeof status.stream);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(status.detail, sizeof status.detail, format, arguments);
    va_end(arguments);
    stream->last_state = state;
    sup->options.listener->status(sup->options.owner, &status);
}

/* --- settling --------------------------------------------------------------------------- */

/* The stream that has waited longest and has a place to go to. */
static bool place_one(struct supervisor *sup)
{
    uint64_t now = supervisor_now(sup);
    struct stream *best = NULL;
    struct slot *place = NULL;
    for (guint i = 0; i < sup->streams->len; i++) {
        struct stream *stream = sup->streams->pdata[i];
        if (!stream_waits(stream) || stream->preparing || stream->retry_at > now ||
            (best && stream->waiting_since >= best->waiting_since))
            continue;
        struct slot *slot = placement_find(sup, stream);
        if (slot) {
            best = stream;
            place = slot;
        }
    }
    if (best)
        slot_assign(place, best);
    return best != NULL;
}

static int count_slots(const struct supervisor *sup, enum phase phase)
{
    int count = 0;
    for (guint i = 0; i < sup->slots->len; i++)
        count += ((struct slot *)sup->slots->pdata[i])->phase == phase;
    return count;
}

static void fill(struct supervisor *sup)
{
    int need = placement_workers_needed(sup);
    int ready = count_slots(sup, SPARE);
    int warming = count_slots(sup, WARMING);
    while (ready + warming < need && warming < sup->warming_limit &&
           supervisor_now(sup) >= sup->spawn_at) {
        slot_spawn(sup);
        warming = count_slots(sup, WARMING);
    }
    bool active = false;
    for (guint i = 0; i < sup->streams->len; i++) {
        const struct stream *stream = sup->streams->pdata[i];
        active = active || (stream->wanted && !stream->finished);
    }
    /* Nothing runs any more: the spare has no one to wait for. */
    for (guint i = 0; i < sup->slots->len && !active; i++) {
        struct slot *slot = sup->slots->pdata[i];
        if (slot->streams->len == 0)
            slot_quit(slot);
    }
}

static void timer_fired(uv_timer_t *timer);

static void arm(struct supervisor *sup)
{
    uint64_t now = supervisor_now(sup);
    uint64_t next = sup->tick_at;
    for (guint i = 0; i < sup->slots->len; i++)
        next = MIN(next, ((struct slot *)sup->slots->pdata[i])->deadline);
    for (guint i = 0; i < sup->streams->len; i++) {
        const struct stream *stream = sup->streams->pdata[i];
        if (stream_waits(stream) && stream->retry_at > now)
            next = MIN(next, stream->retry_at);
        if (stream->leaving)
            next = MIN(next, stream->leave_by);
    }
    uv_timer_start(sup->timer, timer_fired, next > now ? next - now : 1, 0);
}

void supervisor_settle(struct supervisor *sup)
{
    if (!sup->stopping_all) {
        while (place_one(sup))
            ;
        fill(sup);
    }
    arm(sup);
}

/* --- time ------------------------------------------------------------------------------- */

static void check_deadlines(struct supervisor *sup, uint64_t now)
{
    for (guint i = 0; i < sup->slots->len; i++) {
        struct slot *slot = sup->slots->pdata[i];
        if (now < slot->deadline)
            continue;
        slot->deadline = SUPERVISOR_NEVER;
        if (slot->phase == WARMING)
            slot_kill(slot, "it was not ready in time", NULL);
        else if (slot->phase == QUITTING)
            slot_kill(slot, "it did not stop in time", &sup->stats.killed_stopping);
    }
    for (guint i = 0; i < sup->streams->len; i++) {
        struct stream *stream = sup->streams->pdata[i];
        if (!stream->leaving || now < stream->leave_by)
            continue;
        stream->leave_by = SUPERVISOR_NEVER;
        stream->slot->for_leaver = true;
        slot_kill(stream->slot, "a stream of it did not stop in time",
                  &sup->stats.killed_stopping);
    }
}

static void check_silence(struct supervisor *sup, uint64_t now, bool forgive)
{
    for (guint i = 0; i < sup->slots->len; i++) {
        struct slot *slot = sup->slots->pdata[i];
        slot->messages_in_tick = 0;
        if (slot->phase != SERVING)
            continue;
        if (forgive)
            slot->heard = now;
        if (now - slot->heard > (uint64_t)sup->options.silence_ms)
            slot_kill(slot, "it was silent for too long", &sup->stats.killed_silent);
    }
}

static void timer_fired(uv_timer_t *timer)
{
    struct supervisor *sup = timer->data;
    uint64_t now = supervisor_now(sup);
    check_deadlines(sup, now);
    if (now >= sup->tick_at) {
        bool late = now - sup->tick_at > LATE_MS;
        if (late)
            log_warning("stood still for %.1f s; workers get another %.0f s to be heard",
                        (double)(now - sup->tick_at) / 1000,
                        (double)sup->options.silence_ms / 1000);
        check_silence(sup, now, late);
        placement_clear(sup, now);
        sup->tick_at = now + TICK_MS;
    }
    supervisor_settle(sup);
}

/* --- public ----------------------------------------------------------------------------- */

int supervisor_create(const struct supervisor_options *options, struct supervisor **ret_sup)
{
    struct supervisor *sup = g_new0(struct supervisor, 1);
    sup->options = *options;
    sup->options.ready_ms = options->ready_ms ? options->ready_ms : 20000;
    sup->options.silence_ms = options->silence_ms ? options->silence_ms : 10000;
    sup->options.stop_ms = options->stop_ms ? options->stop_ms : 500;
    sup->options.streams_per_worker = MAX(1, options->streams_per_worker);
    sup->timer = g_new0(uv_timer_t, 1);
    int r = uv_timer_init(options->loop, sup->timer);
    if (r < 0) {
        g_free(sup->timer);
        g_free(sup);
        return r;
    }
    sup->timer->data = sup;
    sup->streams = g_ptr_array_new();
    sup->slots = g_ptr_array_new();
    /* A warm-up keeps a core busy: more at once only makes each of them late. */
    sup->warming_limit = MAX(2, (int)g_get_num_processors());
    sup->tick_at = supervisor_now(sup) + TICK_MS;
    sup->stats.workers_start = true;
    arm(sup);
    *ret_sup = sup;
    return 0;
}

static void timer_closed(uv_handle_t *handle)
{
    g_free(handle);
}

void supervisor_destroy(struct supervisor *sup)
{
    if (!sup)
        return;
    uv_close((uv_handle_t *)sup->timer, timer_closed);
    for (guint i = 0; i < sup->streams->len; i++)
        g_free(sup->streams->pdata[i]);
    g_ptr_array_free(sup->streams, TRUE);
    g_ptr_array_free(sup->slots, TRUE);
    g_free(sup);
}

int supervisor_start(struct supervisor *sup, const char *name)
{
    if (sup->stopping_all)
        return -ESHUTDOWN;
    struct stream *stream = find_stream(sup, name);
    if (!stream) {
        stream = g_new0(struct stream, 1);
        g_strlcpy(stream->name, name, sizeof stream->name);
        g_ptr_array_add(sup->streams, stream);
    }
    stream->wanted = true;
    stream->finished = false;
    stream->retry_at = 0;
    stream->open_failures = 0;
    stream->preparing = stream->changing = false;
    stream->crashes = (struct crashes){0};
    stream->group = 0;
    stream->waiting_since = supervisor_now(sup);
    if (stream->slot)
        slot_stop_stream(stream);
    else
        supervisor_report(sup, stream, STREAM_CONNECTING, REASON_NONE, "%s", "");
    supervisor_settle(sup);
    return 0;
}

void supervisor_change_model(struct supervisor *sup, const char *name)
{
    struct stream *stream = find_stream(sup, name);
    bool live = stream && stream->slot && !stream->leaving && stream->last_state == STREAM_LIVE;
    if (!live || slot_change_model(stream) < 0)
        supervisor_start(sup, name);
}

void supervisor_prepared(struct supervisor *sup, const char *name)
{
    struct stream *stream = find_stream(sup, name);
    /* A worker that has gone meanwhile is no matter: the next is started with the new model. */
    if (stream && stream->changing) {
        stream->changing = false;
        if (stream->slot && !stream->leaving && slot_change_model(stream) < 0)
            supervisor_start(sup, name);
    }
    if (!stream || !stream->preparing)
        return;
    stream->preparing = false;
    supervisor_settle(sup);
}

void supervisor_stop(struct supervisor *sup, const char *name)
{
    struct stream *stream = find_stream(sup, name);
    if (!stream)
        return;
    stream->wanted = false;
    if (stream->slot)
        slot_stop_stream(stream);
    else
        supervisor_forget(sup, stream);
    supervisor_settle(sup);
}

void supervisor_stop_all(struct supervisor *sup, void (*done)(void *owner))
{
    sup->stopping_all = true;
    for (guint i = sup->streams->len; i-- > 0;) {
        struct stream *stream = sup->streams->pdata[i];
        stream->wanted = false;
        if (stream->slot)
            slot_stop_stream(stream);
        else
            supervisor_forget(sup, stream);
    }
    for (guint i = 0; i < sup->slots->len; i++) {
        struct slot *slot = sup->slots->pdata[i];
        if (slot->streams->len == 0)
            slot_quit(slot);
    }
    if (sup->slots->len == 0) {
        done(sup->options.owner);
        return;
    }
    sup->stopped = done;
    supervisor_settle(sup);
}

void supervisor_kill_all(struct supervisor *sup)
{
    for (guint i = 0; i < sup->slots->len; i++)
        slot_kill(sup->slots->pdata[i], "told to stop at once", NULL);
}

void supervisor_resolved(struct supervisor *sup, const char *name, uint64_t run,
                         const struct message_resolved *resolved)
{
    struct stream *stream = find_stream(sup, name);
    if (!stream || !stream->slot || stream->run != run)
        return;
    struct message message = {.type = MESSAGE_RESOLVED, .resolved = *resolved};
    if (worker_send(stream->slot->worker, &message, NULL, 0) < 0)
        slot_kill(stream->slot, "it does not read its control socket", NULL);
}

int supervisor_snapshot(struct supervisor *sup, const char *name, int64_t request, int fd)
{
    struct stream *stream = find_stream(sup, name);
    if (!stream || !stream->slot || stream->leaving)
        return -ENOENT;
    struct message message = {.type = MESSAGE_SNAPSHOT, .snapshot.request = request};
    g_strlcpy(message.snapshot.stream, name, sizeof message.snapshot.stream);
    return worker_send(stream->slot->worker, &message, &fd, 1);
}

void supervisor_get_stats(const struct supervisor *sup, struct supervisor_stats *ret_stats)
{
    *ret_stats = sup->stats;
    ret_stats->workers = (int)sup->slots->len;
    ret_stats->spares = count_slots(sup, SPARE);
    for (guint i = 0; i < sup->streams->len; i++)
        ret_stats->waiting += stream_waits(sup->streams->pdata[i]);
}

int supervisor_stream_pid(const struct supervisor *sup, const char *name)
{
    const struct stream *stream = find_stream(sup, name);
    return stream && stream->slot ? worker_pid(stream->slot->worker) : -ENOENT;
}
