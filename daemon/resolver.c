#include "daemon/resolver.h"

#include <errno.h>
#include <glib.h>
#include <netdb.h>
#include <string.h>

struct lookup {
    struct resolver *resolver;
    struct resolver_question question;
    uv_getaddrinfo_t request;
    uint64_t deadline;
    bool running, answered;
    bool slow;      /* counts among running_slow while it runs */
    bool forgotten; /* its stream is gone, or was made anew since */
};

struct resolver {
    uv_loop_t *loop;
    uv_timer_t timer;
    resolver_answer *answer;
    void *owner;
    GQueue lookups; /* in order of arrival, thus of deadline */
    int running, running_slow;
    GHashTable *slow; /* names of streams whose last look-up was too late */
    bool closing, timer_closed;
};

static void give_answer(struct lookup *lookup, const struct message_resolved *resolved)
{
    struct resolver *resolver = lookup->resolver;
    lookup->answered = true;
    if (!resolver->closing)
        resolver->answer(resolver->owner, &lookup->question, resolved);
}

static void give_nothing(struct lookup *lookup)
{
    struct message_resolved none = {.request = lookup->question.request};
    give_answer(lookup, &none);
}

static void free_when_idle(struct resolver *resolver)
{
    if (!resolver->closing || !resolver->timer_closed || resolver->running > 0)
        return;
    g_hash_table_destroy(resolver->slow);
    g_free(resolver);
}

static void collect(const struct addrinfo *list, struct message_resolved *ret_resolved)
{
    for (; list && ret_resolved->address_count < MESSAGE_ADDRESSES_MAX; list = list->ai_next) {
        char *text = ret_resolved->addresses[ret_resolved->address_count];
        if (getnameinfo(list->ai_addr, list->ai_addrlen, text, MESSAGE_ADDRESS_SIZE, NULL, 0,
                        NI_NUMERICHOST) == 0)
            ret_resolved->address_count++;
    }
}

static void advance(struct resolver *resolver);

static void looked_up(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct lookup *lookup = request->data;
    struct resolver *resolver = lookup->resolver;
    resolver->running--;
    resolver->running_slow -= lookup->slow;
    if (!lookup->answered) {
        if (!lookup->forgotten)
            g_hash_table_remove(resolver->slow, lookup->question.stream);
        struct message_resolved resolved = {.request = lookup->question.request};
        if (status == 0)
            collect(list, &resolved);
        give_answer(lookup, &resolved);
    }
    uv_freeaddrinfo(list);
    g_queue_remove(&resolver->lookups, lookup);
    g_free(lookup);
    if (resolver->closing)
        free_when_idle(resolver);
    else
        advance(resolver);
}

static bool may_start(const struct resolver *resolver, const struct lookup *lookup)
{
    const char *stream = lookup->question.stream;
    for (const GList *item = resolver->lookups.head; item; item = item->next) {
        const struct lookup *other = item->data;
        if (other->running && strcmp(other->question.stream, stream) == 0)
            return false;
    }
    return resolver->running < RESOLVER_PARALLEL &&
           (resolver->running_slow < RESOLVER_SLOW_PARALLEL ||
            !g_hash_table_contains(resolver->slow, stream));
}

static void start(struct lookup *lookup)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    lookup->request.data = lookup;
    lookup->running = uv_getaddrinfo(lookup->resolver->loop, &lookup->request, looked_up,
                                     lookup->question.host, NULL, &hints) == 0;
    if (!lookup->running)
        return;
    lookup->slow = g_hash_table_contains(lookup->resolver->slow, lookup->question.stream);
    lookup->resolver->running++;
    lookup->resolver->running_slow += lookup->slow;
}

/* One that runs, that is: a name that waited for its turn in vain says nothing of its
 * server. */
static void note_slow(struct lookup *lookup)
{
    GHashTable *slow = lookup->resolver->slow;
    if (!lookup->running)
        return;
    if (!lookup->forgotten)
        g_hash_table_add(slow, g_strdup(lookup->question.stream));
    lookup->resolver->running_slow += !lookup->slow;
    lookup->slow = true;
}

static void timer_fired(uv_timer_t *timer)
{
    advance(timer->data);
}

/* Gives up on what is too late, starts what may start, arms the timer for the next deadline. */
static void advance(struct resolver *resolver)
{
    uint64_t now = uv_now(resolver->loop);
    uint64_t next = 0;
    GList *following;
    for (GList *item = resolver->lookups.head; item; item = following) {
        struct lookup *lookup = item->data;
        following = item->next;
        if (!lookup->running && !lookup->answered && now < lookup->deadline &&
            may_start(resolver, lookup)) {
            start(lookup);
            if (!lookup->running) /* not a name at all */
                lookup->deadline = now;
        }
        if (!lookup->answered && now >= lookup->deadline) {
            note_slow(lookup);
            give_nothing(lookup);
        }
        if (lookup->answered && !lookup->running) {
            g_queue_delete_link(&resolver->lookups, item);
            g_free(lookup);
        } else if (!lookup->answered && next == 0) {
            next = lookup->deadline;
        }
    }
    if (next)
        uv_timer_start(&resolver->timer, timer_fired, next - now, 0);
    else
        uv_timer_stop(&resolver->timer);
}

int resolver_create(uv_loop_t *loop, resolver_answer *answer, void *owner,
                    struct resolver **ret_resolver)
{
    struct resolver *resolver = g_new0(struct resolver, 1);
    int r = uv_timer_init(loop, &resolver->timer);
    if (r < 0) {
        g_free(resolver);
        return r;
    }
    resolver->loop = loop;
    resolver->answer = answer;
    resolver->owner = owner;
    resolver->timer.data = resolver;
    g_queue_init(&resolver->lookups);
    resolver->slow = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    *ret_resolver = resolver;
    return 0;
}

/* Look-ups of the stream that have not returned, answered or not. */
static int count_stream(const struct resolver *resolver, const char *stream)
{
    int count = 0;
    for (const GList *item = resolver->lookups.head; item; item = item->next)
        count += strcmp(((const struct lookup *)item->data)->question.stream, stream) == 0;
    return count;
}

int resolver_ask(struct resolver *resolver, const struct resolver_question *question)
{
    if (resolver->closing || resolver->lookups.length >= RESOLVER_WAITING_MAX ||
        count_stream(resolver, question->stream) >= RESOLVER_PER_STREAM_MAX)
        return -ENOBUFS;
    struct lookup *lookup = g_new0(struct lookup, 1);
    lookup->resolver = resolver;
    lookup->question = *question;
    uv_update_time(resolver->loop);
    lookup->deadline = uv_now(resolver->loop) + RESOLVER_DEADLINE_MS;
    g_queue_push_tail(&resolver->lookups, lookup);
    /* From the timer, so that no answer comes before this call has returned. */
    uv_timer_start(&resolver->timer, timer_fired, 0, 0);
    return 0;
}

void resolver_forget(struct resolver *resolver, const char *stream)
{
    g_hash_table_remove(resolver->slow, stream);
    for (GList *item = resolver->lookups.head; item; item = item->next) {
        struct lookup *lookup = item->data;
        lookup->forgotten |= strcmp(lookup->question.stream, stream) == 0;
    }
}

static void timer_closed(uv_handle_t *handle)
{
    struct resolver *resolver = handle->data;
    resolver->timer_closed = true;
    free_when_idle(resolver);
}

void resolver_close(struct resolver *resolver)
{
    if (!resolver)
        return;
    resolver->closing = true;
    GList *following;
    for (GList *item = resolver->lookups.head; item; item = following) {
        struct lookup *lookup = item->data;
        following = item->next;
        if (lookup->running) {
            uv_cancel((uv_req_t *)&lookup->request); /* those still queued come back at once */
        } else {
            g_queue_delete_link(&resolver->lookups, item);
            g_free(lookup);
        }
    }
    uv_close((uv_handle_t *)&resolver->timer, timer_closed);
}
