#include "daemon/workers/slot.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/workers/placement.h"

#define MESSAGES_PER_TICK 300 /* of each stream; a busy one sends a few dozen */
#define SPAWN_BACKOFF_MS  500
#define SPAWN_BACKOFF_MAX 30000
#define OPEN_BACKOFF_MS   1000
#define OPEN_BACKOFF_MAX  30000
/* For one stream to leave a worker that serves others, who would be interrupted by a kill. */
#define SHARED_STOP_MS 5000

/* --- stopping --------------------------------------------------------------------------- */

/* What it sent before it died is still read, and may be as bad: a death counts once. */
void slot_kill(struct slot *slot, const char *why, int64_t *counter)
{
    if (counter && !slot->killed)
        ++*counter;
    slot->killed = true;
    worker_kill(slot->worker, why);
}

static void send_plain(struct slot *slot, enum message_type type, const char *stream)
{
    struct message message = {.type = type};
    if (stream)
        g_strlcpy(message.stop.stream, stream, sizeof message.stop.stream);
    if (worker_send(slot->worker, &message, NULL, 0) < 0)
        slot_kill(slot, "it does not read its control socket", NULL);
}

/* Asks once. The others in the worker go on. */
void slot_stop_stream(struct stream *stream)
{
    struct slot *slot = stream->slot;
    struct supervisor *sup = slot->sup;
    bool alone = slot->streams->len == 1 || sup->stopping_all;
    uint64_t leave_by =
        supervisor_now(sup) + (uint64_t)(alone ? sup->options.stop_ms : SHARED_STOP_MS);
    stream->leave_by = stream->leaving ? MIN(stream->leave_by, leave_by) : leave_by;
    if (stream->leaving)
        return;
    stream->leaving = true;
    send_plain(slot, MESSAGE_STREAM_STOP, stream->name);
}

void slot_quit(struct slot *slot)
{
    if (slot->phase == QUITTING)
        return;
    bool warming = slot->phase == WARMING;
    slot->phase = QUITTING;
    slot->deadline = supervisor_now(slot->sup) + (uint64_t)slot->sup->options.stop_ms;
    /* One that still warms up does not read; it has nothing to lose. */
    if (warming)
        slot_kill(slot, "no longer needed", NULL);
    else
        send_plain(slot, MESSAGE_QUIT, NULL);
}

/* Whose stderr it is, when there is one stream it can speak of. */
static void label_slot(struct slot *slot)
{
    const struct stream *first = slot->streams->pdata[0];
    worker_set_stream(slot->worker, slot->streams->len == 1 ? first->name : "");
}

/* The stream has left its worker, or its worker is gone. May free the stream. */
static void detach(struct supervisor *sup, struct stream *stream)
{
    struct slot *slot = stream->slot;
    g_ptr_array_remove(slot->streams, stream);
    stream->slot = NULL;
    stream->leaving = false;
    stream->waiting_since = supervisor_now(sup);
    if (slot->streams->len > 0)
        label_slot(slot);
    sup->options.listener->worker_gone(sup->options.owner, stream->name);
    if (!stream->wanted)
        supervisor_forget(sup, stream);
}

/* --- crashes ---------------------------------------------------------------------------- */

static void stream_crashed(struct supervisor *sup, struct stream *stream, const char *text,
                           uint64_t lived_ms)
{
    uint64_t now = supervisor_now(sup);
    int wait_ms = crashes_note(&stream->crashes, now, lived_ms);
    if (wait_ms < 0) {
        stream->finished = true;
        supervisor_report(
            sup, stream, STREAM_FAILED, REASON_CRASHED,
            "its worker died %d times within %d s, last: %s; put the stream again to retry",
            CRASHES_LIMIT, CRASHES_WINDOW_MS / 1000, text);
        return;
    }
    stream->retry_at = now + (uint64_t)wait_ms;
    if (wait_ms == 0)
        supervisor_report(sup, stream, STREAM_BACKOFF, REASON_CRASHED,
                          "its worker %s; started again", text);
    else
        supervisor_report(sup, stream, STREAM_BACKOFF, REASON_CRASHED,
                          "its worker %s; next try in %d s", text, wait_ms / 1000);
}

/* Its worker is gone, and it was not asked to stop. */
static void stream_lost(struct supervisor *sup, struct stream *stream, const char *text,
                        int others)
{
    if (others == 0) {
        stream_crashed(sup, stream, text, supervisor_now(sup) - stream->assigned_at);
        return;
    }
    /* At once: how often this happens is bounded by placement.h, not by the clock. */
    stream->retry_at = 0;
    supervisor_report(sup, stream, STREAM_BACKOFF, REASON_CRASHED,
                      "the worker it shared with %d other%s %s; started again", others,
                      others == 1 ? "" : "s", text);
}

static void spawn_failed(struct supervisor *sup, const char *text)
{
    int shift = MIN(sup->spawn_failures, 6);
    uint64_t wait = MIN((uint64_t)SPAWN_BACKOFF_MS << shift, (uint64_t)SPAWN_BACKOFF_MAX);
    sup->spawn_failures++;
    sup->spawn_at = supervisor_now(sup) + wait;
    sup->stats.workers_start = false;
    snprintf(sup->stats.start_problem, sizeof sup->stats.start_problem, "%s", text);
    const struct log_about about = {.limit = &sup->start_log};
    log_about(LOG_LEVEL_ERROR, &about, "a worker (%s) does not start: %s; next try in %.1f s",
              sup->options.program, text, (double)wait / 1000);
    for (guint i = 0; i < sup->streams->len; i++) {
        struct stream *stream = sup->streams->pdata[i];
        if (stream->wanted && !stream->finished && !stream->slot)
            supervisor_report(sup, stream, STREAM_BACKOFF, REASON_INTERNAL,
                              "workers do not start: %s", text);
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
    sup->stats.warmup_seconds = (double)(supervisor_now(sup) - slot->since) / 1000;
    sup->stats.workers_start = true;
    sup->spawn_failures = 0;
    log_limit_forget(&sup->start_log);
    slot->phase = SPARE;
    slot->deadline = SUPERVISOR_NEVER;
    supervisor_settle(sup);
}

static void take_status(struct slot *slot, struct stream *stream,
                        const struct message_stream_status *status)
{
    struct supervisor *sup = slot->sup;
    if (status->reason == REASON_CRASHED || status->state == STREAM_DISABLED) {
        slot_kill(slot, "it said of a stream what is ours to say",
                  &sup->stats.killed_malformed);
        return;
    }
    if (stream->leaving)
        return; /* it speaks of a configuration that is no more */
    stream->last_state = status->state;
    sup->options.listener->status(sup->options.owner, status);
}

/* The stream is gone inside its worker: as asked, at a file's end, or since it cannot go on. */
static void take_done(struct slot *slot, struct stream *stream)
{
    struct supervisor *sup = slot->sup;
    if (!stream->leaving) {
        stream->finished = true;
        if (stream->last_state != STREAM_ENDED && stream->last_state != STREAM_FAILED)
            supervisor_report(sup, stream, STREAM_FAILED, REASON_INTERNAL,
                              "its worker gave the stream up without saying why");
    }
    detach(sup, stream);
    /* It may have met anything: it is no spare again. */
    if (slot->streams->len == 0)
        slot_quit(slot);
    supervisor_settle(sup);
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
    case MESSAGE_SNAPSHOT_DONE:
        return message->snapshot_done.stream;
    default:
        return NULL;
    }
}

static struct stream *stream_of(const struct slot *slot, const char *name)
{
    for (guint i = 0; name && i < slot->streams->len; i++) {
        struct stream *stream = slot->streams->pdata[i];
        if (strcmp(stream->name, name) == 0)
            return stream;
    }
    return NULL;
}

static void worker_message(void *owner, struct worker *worker, const struct message *message)
{
    struct slot *slot = owner;
    struct supervisor *sup = slot->sup;
    const struct supervisor_listener *listener = sup->options.listener;
    struct stream *stream = stream_of(slot, message_stream(message));
    (void)worker;
    if (++slot->messages_in_tick > MESSAGES_PER_TICK * MAX(1, (int)slot->streams->len)) {
        slot_kill(slot, "it floods its control socket", &sup->stats.killed_flooding);
        return;
    }
    /* A picture may be finished by a thread that outlives its stream. */
    if (!stream && message->type == MESSAGE_SNAPSHOT_DONE)
        return;
    if (!stream) {
        slot_kill(slot, "it spoke of a stream that is not its own",
                  &sup->stats.killed_malformed);
        return;
    }
    slot->heard = uv_now(sup->options.loop);
    switch (message->type) {
    case MESSAGE_STREAM_STATUS:
        take_status(slot, stream, &message->status);
        break;
    case MESSAGE_RECORD:
        listener->record(sup->options.owner, &message->record);
        break;
    case MESSAGE_RESOLVE:
        listener->resolve(sup->options.owner, stream->name, stream->run,
                          message->resolve.request, message->resolve.host);
        break;
    case MESSAGE_SNAPSHOT_DONE:
        listener->snapshot_done(sup->options.owner, stream->name, &message->snapshot_done);
        break;
    case MESSAGE_STREAM_DONE:
        take_done(slot, stream);
        break;
    default: /* windows, which we do not ask for */
        break;
    }
}

/* Streams that were asked to stop have, in a way; the others are started again. */
static void streams_gone(struct slot *slot, const char *text)
{
    struct supervisor *sup = slot->sup;
    int served = (int)slot->streams->len, lost_count = 0;
    g_autofree struct stream **lost = g_new(struct stream *, served + 1);
    for (int i = 0; i < served; i++) {
        struct stream *stream = slot->streams->pdata[i];
        if (!stream->leaving)
            lost[lost_count++] = stream;
    }
    while (slot->streams->len > 0)
        detach(sup, slot->streams->pdata[0]);
    if (lost_count == 0)
        return;
    sup->stats.crashed++;
    if (!slot->for_leaver)
        placement_accuse(sup, slot, lost, lost_count, supervisor_now(sup));
    for (int i = 0; i < lost_count; i++)
        stream_lost(sup, lost[i], text, served - 1);
}

static void worker_gone(void *owner, struct worker *worker, const struct worker_exit *how)
{
    struct slot *slot = owner;
    struct supervisor *sup = slot->sup;
    (void)worker;
    g_ptr_array_remove(sup->slots, slot);
    sup->stats.killed_malformed += how->malformed;
    if (slot->phase == SERVING)
        streams_gone(slot, how->text);
    else if (slot->phase != QUITTING)
        spawn_failed(sup, how->text);
    g_ptr_array_free(slot->streams, TRUE);
    g_free(slot);
    supervisor_settle(sup);
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

/* --- starting --------------------------------------------------------------------------- */

void slot_spawn(struct supervisor *sup)
{
    struct slot *slot = g_new0(struct slot, 1);
    slot->sup = sup;
    slot->phase = WARMING;
    slot->streams = g_ptr_array_new();
    slot->since = supervisor_now(sup);
    slot->deadline = slot->since + (uint64_t)sup->options.ready_ms;
    struct worker_options options = {
        .loop = sup->options.loop,
        .program = sup->options.program,
        .tls_ca = sup->options.tls_ca,
        .streams = sup->options.streams_per_worker,
        .listener = &worker_listener,
        .owner = slot,
    };
    int r = worker_spawn(&options, &slot->worker);
    if (r < 0) {
        g_ptr_array_free(slot->streams, TRUE);
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
    case ETIMEDOUT:
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
        supervisor_report(sup, stream, STREAM_FAILED, why->reason, "%s", why->detail);
        return;
    }
    uint64_t wait =
        MIN((uint64_t)OPEN_BACKOFF_MS << MIN(stream->open_failures, 5), OPEN_BACKOFF_MAX);
    stream->open_failures++;
    stream->retry_at = supervisor_now(sup) + wait;
    supervisor_report(sup, stream, STREAM_BACKOFF, why->reason, "%.200s; next try in %d s",
                      why->detail, (int)(wait / 1000));
}

void slot_assign(struct slot *slot, struct stream *stream)
{
    struct supervisor *sup = slot->sup;
    struct message message = {.type = MESSAGE_STREAM_START};
    struct supervisor_failure why = {.reason = REASON_INTERNAL};
    int fds[2];
    int fd_count = 0;
    int r = sup->options.listener->prepare(sup->options.owner, stream->name, &message.start,
                                           fds, &fd_count, &why);
    stream->preparing = r == -EINPROGRESS;
    if (stream->preparing)
        return;
    if (r < 0) {
        prepare_failed(sup, stream, r, &why);
        return;
    }
    stream->open_failures = 0;
    stream->changing = false;
    if (slot->phase == SPARE) {
        slot->phase = SERVING;
        slot->group = stream->group;
        slot->heard = supervisor_now(sup);
        slot->messages_in_tick = 0;
    }
    g_ptr_array_add(slot->streams, stream);
    stream->slot = slot;
    stream->run = ++sup->runs;
    stream->assigned_at = supervisor_now(sup);
    label_slot(slot);
    supervisor_report(sup, stream, STREAM_CONNECTING, REASON_NONE, "%s", "");
    r = worker_send(slot->worker, &message, fds, fd_count);
    for (int i = 0; i < fd_count; i++)
        close(fds[i]);
    memset(&message, 0, sizeof message); /* it held a password */
    if (r < 0)
        slot_kill(slot, "it does not take its stream", NULL);
}

int slot_change_model(struct stream *stream)
{
    struct slot *slot = stream->slot;
    struct supervisor *sup = slot->sup;
    struct message message = {.type = MESSAGE_STREAM_MODEL};
    struct supervisor_failure why;
    int fds[2];
    int fd_count = 0;
    int r = sup->options.listener->prepare(sup->options.owner, stream->name, &message.start,
                                           fds, &fd_count, &why);
    stream->changing = r == -EINPROGRESS;
    if (stream->changing)
        return 0;
    if (r == 0)
        r = worker_send(slot->worker, &message, fds, 1); /* it has its media file */
    for (int i = 0; i < fd_count; i++)
        close(fds[i]);
    memset(&message, 0, sizeof message); /* it held a password */
    return r;
}
