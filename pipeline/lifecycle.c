#include "pipeline/lifecycle.h"

#include <string.h>

/* Of a camera that refuses our password: three tries in the first 30 s, then two a minute,
 * since many lock the account after five. */
static const int64_t refusal_waits[] = {5 * LIFECYCLE_SECOND, 10 * LIFECYCLE_SECOND,
                                        30 * LIFECYCLE_SECOND};

#define NEVER INT64_C(-1)

static int64_t max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* xorshift64*: the waits of many streams should not beat together, nothing more. */
static uint64_t draw(struct lifecycle *life)
{
    life->random ^= life->random >> 12;
    life->random ^= life->random << 25;
    life->random ^= life->random >> 27;
    return life->random * UINT64_C(2685821657736338717);
}

void lifecycle_init(struct lifecycle *life, bool network, bool loop, uint64_t seed, int64_t now)
{
    memset(life, 0, sizeof *life);
    life->state = STREAM_CONNECTING;
    life->network = network;
    life->loop = loop;
    life->advanced = now;
    life->next_attempt = now;
    life->attempt_at = life->session_at = life->packet_at = life->picture_at = life->busy_at =
        NEVER;
    life->live_since = life->outage_since = NEVER;
    life->random = seed | 1;
}

void lifecycle_set_interval(struct lifecycle *life, int64_t interval_ns)
{
    life->interval = min(interval_ns, LIFECYCLE_GAP_MAX_NS);
}

void lifecycle_on_session(struct lifecycle *life, int64_t now)
{
    if (life->connected && !life->failing && !life->session) {
        life->session = true;
        life->session_at = now;
    }
}

void lifecycle_on_packet(struct lifecycle *life, int64_t now)
{
    if (!life->connected || life->failing)
        return;
    lifecycle_on_session(life, now);
    if (life->packet_at == NEVER && life->picture_at == NEVER)
        life->session_at = now; /* the wait for the first picture starts here */
    life->packet_at = now;
}

void lifecycle_on_picture(struct lifecycle *life, int64_t now)
{
    if (!life->connected || life->failing)
        return;
    lifecycle_on_packet(life, now);
    life->picture_at = now;
    if (life->state == STREAM_LIVE)
        return;
    life->state = STREAM_LIVE;
    life->reason = REASON_NONE;
    life->live_since = now;
    life->refusals = 0;
    life->reconnects += life->network && life->was_live;
    life->was_live = true;
}

void lifecycle_on_busy(struct lifecycle *life, int64_t now)
{
    life->busy_at = now;
}

/* Whether another attempt could do better without anybody changing anything. */
static bool is_final(const struct lifecycle *life, enum stream_reason reason)
{
    return !life->network || reason == REASON_UNSUPPORTED_CODEC || reason == REASON_TRANSPORT ||
           reason == REASON_TOO_LARGE || reason == REASON_UNREADABLE || reason == REASON_MODEL;
}

/* The first minute without a stream that was live. */
static bool is_eager(const struct lifecycle *life, int64_t now)
{
    return life->outage_since != NEVER && now - life->outage_since < LIFECYCLE_OUTAGE_NS;
}

/* A refused connection costs a camera nothing: no program of it has heard of us. */
static int64_t eager_spacing(enum stream_reason reason)
{
    return reason == REASON_REFUSED ? LIFECYCLE_REFUSED_NS : LIFECYCLE_EAGER_NS;
}

static int64_t wait_for_attempt(struct lifecycle *life, int64_t now)
{
    if (life->reason == REASON_AUTH_FAILED) {
        int last = (int)(sizeof refusal_waits / sizeof *refusal_waits) - 1;
        int step = life->refusals < last ? life->refusals : last;
        life->refusals++;
        return refusal_waits[step];
    }
    if (is_eager(life, now))
        return max(life->attempt_at + eager_spacing(life->reason) - now, 0);
    int64_t cap = min((int64_t)2 << min(life->backoff_step, 10), 30) * LIFECYCLE_SECOND;
    life->backoff_step++;
    return (int64_t)(draw(life) % (uint64_t)(min(cap, LIFECYCLE_BACKOFF_MAX_NS) + 1));
}

bool lifecycle_on_failure(struct lifecycle *life, enum stream_reason reason, int64_t now)
{
    if (life->state == STREAM_FAILED || life->state == STREAM_ENDED || life->failing)
        return false;
    life->reason = reason;
    life->failing = life->connected;
    bool was_live = life->state == STREAM_LIVE;
    int64_t lasted = was_live ? now - life->live_since : 0;
    if (was_live && (life->outage_since == NEVER || lasted >= LIFECYCLE_HEALTHY_NS))
        life->backoff_step = 0;
    if (was_live && (life->outage_since == NEVER || lasted >= LIFECYCLE_STEADY_NS))
        life->outage_since = now;
    life->live_since = NEVER;
    life->lost[reason] += life->network && was_live;
    if (is_final(life, reason)) {
        life->state = STREAM_FAILED;
        life->next_attempt = NEVER;
        return true;
    }
    bool stalls = was_live && is_eager(life, now) && reason != REASON_AUTH_FAILED;
    life->next_attempt = now + wait_for_attempt(life, now);
    life->state = stalls ? STREAM_STALLED : STREAM_BACKOFF;
    return true;
}

void lifecycle_give_up(struct lifecycle *life, enum stream_reason reason)
{
    life->state = STREAM_FAILED;
    life->reason = reason;
    life->next_attempt = NEVER;
}

void lifecycle_on_end(struct lifecycle *life, int64_t now)
{
    if (life->network) {
        /* A camera has no end, whatever its session says. */
        lifecycle_on_failure(life, REASON_DISCONNECTED, now);
        return;
    }
    if (!life->connected || life->failing)
        return;
    if (life->picture_at == NEVER) {
        lifecycle_on_failure(life, REASON_UNREADABLE, now);
        return;
    }
    life->ending = !life->loop;
    if (life->loop) {
        life->failing = true;
        life->next_attempt = now;
    }
}

static int64_t gap(const struct lifecycle *life)
{
    return min(max(LIFECYCLE_GAP_NS, 3 * life->interval), LIFECYCLE_GAP_MAX_NS);
}

/* When the present attempt is given up if nothing happens, and why. */
static int64_t patience(const struct lifecycle *life, enum stream_reason *ret_reason)
{
    if (!life->network) {
        *ret_reason = REASON_UNREADABLE;
        int64_t sign = max(max(life->packet_at, life->picture_at), life->busy_at);
        return max(life->attempt_at, sign) + LIFECYCLE_FILE_NS;
    }
    if (!life->session) {
        *ret_reason = REASON_TIMEOUT;
        return life->attempt_at + LIFECYCLE_CONNECT_NS;
    }
    int64_t data = life->packet_at != NEVER
                       ? life->packet_at + gap(life)
                       : life->session_at + max(LIFECYCLE_CONNECT_NS, gap(life));
    int64_t picture = life->picture_at != NEVER
                          ? life->picture_at + gap(life)
                          : life->session_at + max(LIFECYCLE_KEY_NS, gap(life));
    *ret_reason = data <= picture ? REASON_NO_DATA : REASON_NO_PICTURE;
    return min(data, picture);
}

static void put_off(struct lifecycle *life, int64_t lateness, int64_t now)
{
    int64_t *const times[] = {&life->attempt_at, &life->session_at, &life->packet_at,
                              &life->picture_at, &life->busy_at};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        if (*times[i] != NEVER)
            *times[i] = min(*times[i] + lateness, now);
}

enum lifecycle_action lifecycle_advance(struct lifecycle *life, int64_t now)
{
    int64_t lateness = now - lifecycle_deadline(life);
    life->advanced = now;
    if (lateness > LIFECYCLE_LATE_NS)
        put_off(life, lateness, now);

    if (life->connected && !life->failing && !life->ending) {
        enum stream_reason reason;
        if (now >= patience(life, &reason))
            lifecycle_on_failure(life, reason, now);
    }
    if (life->connected && life->failing) {
        life->connected = life->failing = false;
        return LIFECYCLE_DISCONNECT;
    }
    if (life->connected && life->ending) {
        life->connected = false;
        life->state = STREAM_ENDED;
        return LIFECYCLE_FINISH;
    }
    if (life->connected || life->next_attempt == NEVER || now < life->next_attempt)
        return LIFECYCLE_WAIT;
    life->connected = true;
    life->session = false;
    life->session_at = life->packet_at = life->picture_at = life->busy_at = NEVER;
    life->next_attempt = NEVER;
    life->attempt_at = now;
    life->attempts += life->network;
    /* A loop's next pass is no new connection to the eye, and attempts within a second of each
     * other are one wait. */
    if (life->state == STREAM_BACKOFF && !is_eager(life, now))
        life->state = STREAM_CONNECTING;
    return LIFECYCLE_CONNECT;
}

int64_t lifecycle_deadline(const struct lifecycle *life)
{
    int64_t deadline = life->advanced + LIFECYCLE_ADVANCE_NS;
    enum stream_reason reason;
    if (life->connected && (life->failing || life->ending))
        return life->advanced;
    if (life->connected)
        return min(deadline, max(life->advanced, patience(life, &reason)));
    if (!life->connected && life->next_attempt != NEVER)
        return min(deadline, max(life->advanced, life->next_attempt));
    return deadline;
}
