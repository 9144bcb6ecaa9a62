/* Two lists: streams, and slots (one per process). A slot is warming, spare, running for a
 * stream, or stopping. Every change ends in settle(), which gives ready workers to
 * waiting streams, spawns what is missing and arms the one timer for the next deadline. */
#include "daemon/supervisor.h"

#include <errno.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/crashes.h"
#include "daemon/log.h"
#include "daemon/worker.h"

#define TICK_MS           1000
#define LATE_MS           2000 /* a tick this late means that all of us stood still */
#define MESSAGES_PER_TICK 300  /* a busy stream sends a few dozen */
#define SPAWN_BACKOFF_MS  500
#define SPAWN_BACKOFF_MAX 30000
#define OPEN_BACKOFF_MS   1000
#define OPEN_BACKOFF_MAX  30000
#define NEVER             UINT64_MAX

struct stream {
    char name[RECORD_NAME_SIZE];
    struct slot *slot; /* running or stopping for it */
    bool wanted;
    bool finished;          /* ended, or failed until a person acts */
    uint64_t waiting_since; /* order of service */
    uint64_t retry_at;
    int open_failures; /* in a row, of files that may open in a moment */
    struct crashes crashes;
    enum stream_state last_state;
};

enum phase { WARMING, SPARE, RUNNING, STOPPING };

struct slot {
    struct supervisor *sup;
    struct worker *worker;
    struct stream *stream;
    enum phase phase;
    uint64_t run;
    uint64_t since;    /* of spawning, then of the assignment */
    uint64_t deadline; /* ready or stop */
    uint64_t heard;
    int messages_in_tick;
    bool killed; /* by us */
};

struct supervisor {
    struct supervisor_options options;
    uv_timer_t *timer; /* apart, since it outlives us until its close callback */
    GPtrArray *streams, *slots;
    int warming_limit;
    uint64_t runs;
    uint64_t tick_at;  /* when the next tick is due */
    uint64_t spawn_at; /* not before, after failures */
    int spawn_failures;
    bool stopping_all;
    void (*stopped)(void *owner);
    struct supervisor_stats stats;
};

static void settle(struct supervisor *sup);

static uint64_t now_ms(const struct supervisor *sup)
{
    uv_update_time(sup->options.loop);
    return uv_now(sup->options.loop);
}

static struct stream *find_stream(const struct supervisor *sup, const char *name)
{
    for (guint i = 0; i < sup->streams->len; i++) {
        struct stream *stream = sup->streams->pdata[i];
        if (strcmp(stream->name, name) == 0)
            return stream;
    }
    return NULL;
}

static void forget_stream(struct supervisor *sup, struct stream *stream)
{
    g_ptr_array_remove(sup->streams, stream);
    g_free(stream);
}

__attribute__((format(printf, 5, 6))) static void report(struct supervisor *sup,
                                                         struct stream *stream,
                                                         enum stream_state state,
                                                         enum stream_reason reason,
                                                         const char *format, ...)
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

/* --- stopping --------------------------------------------------------------------------- */

/* What it sent before it died is still read, and may be as bad: a death counts once. */
static void kill_slot(struct slot *slot, const char *why, int64_t *counter)
{
    if (counter && !slot->killed)
        ++*counter;
    slot->killed = true;
    worker_kill(slot->worker, why);
}

static void send_plain(struct slot *slot, enum message_type type)
{
    struct message message = {.type = type};
    if (type == MESSAGE_STREAM_STOP)
        g_strlcpy(message.stop.stream, slot->stream->name, sizeof message.stop.stream);
    if (worker_send(slot->worker, &message, NULL, 0) < 0)
        kill_slot(slot, "it does not read its control socket", NULL);
}

/* Asks once: a running stream to stop (its `done` is then answered with quit), others to quit.
 */
static void stop_slot(struct slot *slot)
{
    if (slot->phase == STOPPING)
        return;
    bool running = slot->phase == RUNNING;
    bool warming = slot->phase == WARMING;
    slot->phase = STOPPING;
    slot->deadline = now_ms(slot->sup) + (uint64_t)slot->sup->options.stop_ms;
    /* One that still warms up does not read; it has nothing to lose. */
    if (warming)
        kill_slot(slot, "no longer needed", NULL);
    else
        send_plain(slot, running ? MESSAGE_STREAM_STOP : MESSAGE_QUIT);
}

/* --- crashes ---------------------------------------------------------------------------- */

static void stream_crashed(struct supervisor *sup, struct stream *stream, const char *text,
                           uint64_t lived_ms)
{
    uint64_t now = now_ms(sup);
    int wait_ms = crashes_note(&stream->crashes, now, lived_ms);
    if (wait_ms < 0) {
        stream->finished = true;
        report(sup, stream, STREAM_FAILED, REASON_CRASHED,
               "its worker died %d times within %d s, last: %s; put the stream again to retry",
               CRASHES_LIMIT, CRASHES_WINDOW_MS / 1000, text);
        return;
    }
    stream->retry_at = now + (uint64_t)wait_ms;
    stream->waiting_since = now;
    if (wait_ms == 0)
        report(sup, stream, STREAM_BACKOFF, REASON_CRASHED, "its worker %s; started again",
               text);
    else
        report(sup, stream, STREAM_BACKOFF, REASON_CRASHED, "its worker %s; next try in %d s",
               text, wait_ms / 1000);
}

static void spawn_failed(struct supervisor *sup, const char *text)
{
    int shift = MIN(sup->spawn_failures, 6);
    uint64_t wait = MIN((uint64_t)SPAWN_BACKOFF_MS << shift, (uint64_t)SPAWN_BACKOFF_MAX);
    sup->spawn_failures++;
    sup->spawn_at = now_ms(sup) + wait;
    sup->stats.workers_start = false;
    snprintf(sup->stats.start_problem, sizeof sup->stats.start_problem, "%s", text);
    log_error("a worker (%s) does not start: %s; next try in %.1f s", sup->options.program,
              text, (double)wait / 1000);
    for (guint i = 0; i < sup->streams->len; i++) {
        struct stream *stream = sup->streams->pdata[i];
        if (stream->wanted && !stream->finished && !stream->slot)
            report(sup, stream, STREAM_BACKOFF, REASON_INTERNAL, "workers do not start: %s",
                   text);
    }
}

/* --- what workers say ------------------------------------------------------------------- */

static void worker_ready(void *owner, struct worker *worker)
{
    struct slot *slot = owner;
    (void)worker;
    if (slot->phase != WARMING)
        return;
    struct supervisor *sup = slot->sup;
    sup->stats.warmup_seconds = (double)(now_ms(sup) - slot->since) / 1000;
    sup->stats.workers_start = true;
    sup->spawn_failures = 0;
    slot->phase = SPARE;
    slot->deadline = NEVER;
    settle(sup);
}

static void take_status(struct slot *slot, const struct message_stream_status *message)
{
    struct message_stream_status status = *message;
    if (status.reason == REASON_CRASHED || status.state == STREAM_DISABLED)
        status.reason = REASON_INTERNAL; /* ours to say */
    slot->stream->last_state = status.state;
    slot->sup->options.listener->status(slot->sup->options.owner, &status);
}

/* The stream is gone inside its worker: as asked, at a file's end, or since it cannot go on. */
static void take_done(struct slot *slot)
{
    struct stream *stream = slot->stream;
    if (slot->phase == RUNNING) {
        stream->finished = true;
        if (stream->last_state != STREAM_ENDED && stream->last_state != STREAM_FAILED)
            report(slot->sup, stream, STREAM_FAILED, REASON_INTERNAL,
                   "its worker gave the stream up without saying why");
        slot->phase = STOPPING;
        slot->deadline = now_ms(slot->sup) + (uint64_t)slot->sup->options.stop_ms;
    }
    send_plain(slot, MESSAGE_QUIT);
    settle(slot->sup);
}

/* Name of the stream a message speaks of, NULL for those that name none. */
static const char *message_stream(const struct message *message)
{
    switch (message->type) {
    case MESSAGE_RECORD:
        return message->record.stream;
    case MESSAGE_STREAM_STATUS:
        return message->status.stream;
    case MESSAGE_RESOLVE:
        return message->resolve.stream;
    case MESSAGE_STREAM_DONE:
        return message->stop.stream;
    case MESSAGE_WINDOW:
        return message->window.stream;
    default:
        return NULL;
    }
}

static void worker_message(void *owner, struct worker *worker, const struct message *message)
{
    struct slot *slot = owner;
    struct supervisor *sup = slot->sup;
    const struct supervisor_listener *listener = sup->options.listener;
    const char *name = message_stream(message);
    if (!slot->stream || (name && strcmp(name, slot->stream->name) != 0)) {
        kill_slot(slot, "it spoke of a stream that is not its own",
                  &sup->stats.killed_malformed);
        return;
    }
    slot->heard = uv_now(sup->options.loop);
    if (++slot->messages_in_tick > MESSAGES_PER_TICK) {
        kill_slot(slot, "it floods its control socket", &sup->stats.killed_flooding);
        return;
    }
    switch (message->type) {
    case MESSAGE_STREAM_STATUS:
        if (slot->phase == RUNNING) /* else it speaks of a configuration that is no more */
            take_status(slot, &message->status);
        break;
    case MESSAGE_RECORD:
        listener->record(sup->options.owner, &message->record);
        break;
    case MESSAGE_RESOLVE:
        listener->resolve(sup->options.owner, name, slot->run, message->resolve.request,
                          message->resolve.host);
        break;
    case MESSAGE_SNAPSHOT_DONE:
        listener->snapshot_done(sup->options.owner, slot->stream->name,
                                &message->snapshot_done);
        break;
    case MESSAGE_STREAM_DONE:
        take_done(slot);
        break;
    default: /* windows, which we do not ask for */
        break;
    }
    (void)worker;
}

static void worker_gone(void *owner, struct worker *worker, const struct worker_exit *how)
{
    struct slot *slot = owner;
    struct supervisor *sup = slot->sup;
    struct stream *stream = slot->stream;
    enum phase phase = slot->phase;
    uint64_t lived = now_ms(sup) - slot->since;
    (void)worker;
    g_ptr_array_remove(sup->slots, slot);
    g_free(slot);
    sup->stats.killed_malformed += how->malformed;
    if (stream) {
        stream->slot = NULL;
        sup->options.listener->worker_gone(sup->options.owner, stream->name);
        if (phase == RUNNING) {
            sup->stats.crashed++;
            stream_crashed(sup, stream, how->text, lived);
        } else {
            stream->waiting_since = now_ms(sup);
        }
        if (!stream->wanted)
            forget_stream(sup, stream);
    } else if (phase != STOPPING) {
        spawn_failed(sup, how->text);
    }
    settle(sup);
    if (sup->stopping_all && sup->slots->len == 0 && sup->stopped) {
        void (*stopped)(void *) = sup->stopped;
        sup->stopped = NULL;
        stopped(sup->options.owner);
    }
}

static const struct worker_listener worker_listener = {
    .ready = worker_ready,
    .message = worker_message,
    .gone = worker_gone,
};

/* --- settling --------------------------------------------------------------------------- */

static void spawn(struct supervisor *sup)
{
    struct slot *slot = g_new0(struct slot, 1);
    slot->sup = sup;
    slot->phase = WARMING;
    slot->run = ++sup->runs;
    slot->since = now_ms(sup);
    slot->deadline = slot->since + (uint64_t)sup->options.ready_ms;
    struct worker_options options = {
        .loop = sup->options.loop,
        .program = sup->options.program,
        .listener = &worker_listener,
        .owner = slot,
    };
    int r = worker_spawn(&options, &slot->worker);
    if (r < 0) {
        g_free(slot);
        spawn_failed(sup, g_strerror(-r));
        return;
    }
    sup->stats.spawned++;
    g_ptr_array_add(sup->slots, slot);
}

/* No descriptors left, a network file system that blinks: nobody needs to act. */
static bool is_passing(int error)
{
    switch (-error) {
    case EAGAIN:
    case EINTR:
    case EIO:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ESTALE:
        return true;
    default:
        return false;
    }
}

static void prepare_failed(struct supervisor *sup, struct stream *stream, int error,
                           const struct supervisor_failure *why)
{
    if (!is_passing(error)) {
        stream->finished = true;
        report(sup, stream, STREAM_FAILED, why->reason, "%s", why->detail);
        return;
    }
    uint64_t wait =
        MIN((uint64_t)OPEN_BACKOFF_MS << MIN(stream->open_failures, 5), OPEN_BACKOFF_MAX);
    stream->open_failures++;
    stream->retry_at = now_ms(sup) + wait;
    report(sup, stream, STREAM_BACKOFF, why->reason, "%.200s; next try in %d s", why->detail,
           (int)(wait / 1000));
}

static void assign(struct slot *slot, struct stream *stream)
{
    struct supervisor *sup = slot->sup;
    struct message message = {.type = MESSAGE_STREAM_START};
    struct supervisor_failure why = {.reason = REASON_INTERNAL};
    int fds[2];
    int fd_count = 0;
    int r = sup->options.listener->prepare(sup->options.owner, stream->name, &message.start,
                                           fds, &fd_count, &why);
    if (r < 0) {
        prepare_failed(sup, stream, r, &why);
        return;
    }
    stream->open_failures = 0;
    slot->stream = stream;
    stream->slot = slot;
    slot->phase = RUNNING;
    slot->since = slot->heard = now_ms(sup);
    slot->messages_in_tick = 0;
    worker_set_label(slot->worker, stream->name);
    report(sup, stream, STREAM_CONNECTING, REASON_NONE, "%s", "");
    r = worker_send(slot->worker, &message, fds, fd_count);
    for (int i = 0; i < fd_count; i++)
        close(fds[i]);
    memset(&message, 0, sizeof message); /* it held a password */
    if (r < 0)
        kill_slot(slot, "it does not take its stream", NULL);
}

static struct slot *find_spare(struct supervisor *sup)
{
    for (guint i = 0; i < sup->slots->len; i++) {
        struct slot *slot = sup->slots->pdata[i];
        if (slot->phase == SPARE)
            return slot;
    }
    return NULL;
}

static bool stream_waits(const struct stream *stream)
{
    return stream->wanted && !stream->finished && !stream->slot;
}

/* The stream that has waited longest for a worker and may have one now. */
static struct stream *find_waiting(struct supervisor *sup, uint64_t now)
{
    struct stream *best = NULL;
    for (guint i = 0; i < sup->streams->len; i++) {
        struct stream *stream = sup->streams->pdata[i];
        if (stream_waits(stream) && stream->retry_at <= now &&
            (!best || stream->waiting_since < best->waiting_since))
            best = stream;
    }
    return best;
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
    int need = 0;
    bool active = false;
    for (guint i = 0; i < sup->streams->len; i++) {
        const struct stream *stream = sup->streams->pdata[i];
        need += stream_waits(stream);
        active = active || (stream->wanted && !stream->finished);
    }
    need += active ? sup->options.spares : 0;
    int ready = count_slots(sup, SPARE);
    int warming = count_slots(sup, WARMING);
    while (ready + warming < need && warming < sup->warming_limit &&
           now_ms(sup) >= sup->spawn_at) {
        spawn(sup);
        warming = count_slots(sup, WARMING);
    }
    /* Nothing runs any more: the spare has no one to wait for. */
    for (guint i = 0; i < sup->slots->len && !active; i++) {
        struct slot *slot = sup->slots->pdata[i];
        if (!slot->stream)
            stop_slot(slot);
    }
}

static void timer_fired(uv_timer_t *timer);

static void arm(struct supervisor *sup)
{
    uint64_t now = now_ms(sup);
    uint64_t next = sup->tick_at;
    for (guint i = 0; i < sup->slots->len; i++)
        next = MIN(next, ((struct slot *)sup->slots->pdata[i])->deadline);
    for (guint i = 0; i < sup->streams->len; i++) {
        const struct stream *stream = sup->streams->pdata[i];
        if (stream_waits(stream) && stream->retry_at > now)
            next = MIN(next, stream->retry_at);
    }
    uv_timer_start(sup->timer, timer_fired, next > now ? next - now : 1, 0);
}

static void settle(struct supervisor *sup)
{
    if (!sup->stopping_all) {
        struct slot *slot;
        struct stream *stream;
        while ((stream = find_waiting(sup, now_ms(sup))) && (slot = find_spare(sup)))
            assign(slot, stream);
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
        slot->deadline = NEVER;
        if (slot->phase == WARMING)
            kill_slot(slot, "it was not ready in time", NULL);
        else if (slot->phase == STOPPING)
            kill_slot(slot, "it did not stop in time", &sup->stats.killed_stopping);
    }
}

static void check_silence(struct supervisor *sup, uint64_t now, bool forgive)
{
    for (guint i = 0; i < sup->slots->len; i++) {
        struct slot *slot = sup->slots->pdata[i];
        slot->messages_in_tick = 0;
        if (slot->phase != RUNNING)
            continue;
        if (forgive)
            slot->heard = now;
        if (now - slot->heard > (uint64_t)sup->options.silence_ms)
            kill_slot(slot, "it was silent for too long", &sup->stats.killed_silent);
    }
}

static void timer_fired(uv_timer_t *timer)
{
    struct supervisor *sup = timer->data;
    uint64_t now = now_ms(sup);
    check_deadlines(sup, now);
    if (now >= sup->tick_at) {
        bool late = now - sup->tick_at > LATE_MS;
        if (late)
            log_warning("stood still for %.1f s; workers get another %.0f s to be heard",
                        (double)(now - sup->tick_at) / 1000,
                        (double)sup->options.silence_ms / 1000);
        check_silence(sup, now, late);
        sup->tick_at = now + TICK_MS;
    }
    settle(sup);
}

/* --- public ----------------------------------------------------------------------------- */

int supervisor_create(const struct supervisor_options *options, struct supervisor **ret_sup)
{
    struct supervisor *sup = g_new0(struct supervisor, 1);
    sup->options = *options;
    sup->options.ready_ms = options->ready_ms ? options->ready_ms : 20000;
    sup->options.silence_ms = options->silence_ms ? options->silence_ms : 10000;
    sup->options.stop_ms = options->stop_ms ? options->stop_ms : 500;
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
    sup->tick_at = now_ms(sup) + TICK_MS;
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
    stream->crashes = (struct crashes){0};
    stream->waiting_since = now_ms(sup);
    if (stream->slot)
        stop_slot(stream->slot);
    else
        report(sup, stream, STREAM_CONNECTING, REASON_NONE, "%s", "");
    settle(sup);
    return 0;
}

void supervisor_stop(struct supervisor *sup, const char *name)
{
    struct stream *stream = find_stream(sup, name);
    if (!stream)
        return;
    stream->wanted = false;
    if (stream->slot)
        stop_slot(stream->slot);
    else
        forget_stream(sup, stream);
    settle(sup);
}

void supervisor_stop_all(struct supervisor *sup, void (*done)(void *owner))
{
    sup->stopping_all = true;
    for (guint i = sup->streams->len; i-- > 0;) {
        struct stream *stream = sup->streams->pdata[i];
        stream->wanted = false;
        if (!stream->slot)
            forget_stream(sup, stream);
    }
    for (guint i = 0; i < sup->slots->len; i++)
        stop_slot(sup->slots->pdata[i]);
    if (sup->slots->len == 0) {
        done(sup->options.owner);
        return;
    }
    sup->stopped = done;
    settle(sup);
}

void supervisor_kill_all(struct supervisor *sup)
{
    for (guint i = 0; i < sup->slots->len; i++)
        kill_slot(sup->slots->pdata[i], "told to stop at once", NULL);
}

void supervisor_resolved(struct supervisor *sup, const char *name, uint64_t run,
                         const struct message_resolved *resolved)
{
    struct stream *stream = find_stream(sup, name);
    if (!stream || !stream->slot || stream->slot->run != run)
        return;
    struct message message = {.type = MESSAGE_RESOLVED, .resolved = *resolved};
    if (worker_send(stream->slot->worker, &message, NULL, 0) < 0)
        kill_slot(stream->slot, "it does not read its control socket", NULL);
}

int supervisor_snapshot(struct supervisor *sup, const char *name, int64_t request, int fd)
{
    struct stream *stream = find_stream(sup, name);
    if (!stream || !stream->slot || stream->slot->phase != RUNNING)
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
}

int supervisor_stream_pid(const struct supervisor *sup, const char *name)
{
    const struct stream *stream = find_stream(sup, name);
    return stream && stream->slot ? worker_pid(stream->slot->worker) : -ENOENT;
}
