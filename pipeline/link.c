#include "pipeline/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include <glib-unix.h>

struct link {
    int fd;
    GMutex lock;     /* guards what follows */
    GQueue pending;  /* struct message, oldest first */
    guint watch;     /* waits for room in the socket; 0 none */
    gint congestion; /* atomic: length of pending */
};

struct link *link_create(int fd)
{
    if (!g_unix_set_fd_nonblocking(fd, TRUE, NULL))
        return NULL;
    struct link *link = g_new0(struct link, 1);
    link->fd = fd;
    g_mutex_init(&link->lock);
    g_queue_init(&link->pending);
    return link;
}

void link_destroy(struct link *link)
{
    if (!link)
        return;
    if (link->watch)
        g_source_remove(link->watch);
    g_queue_clear_full(&link->pending, g_free);
    g_mutex_clear(&link->lock);
    g_free(link);
}

static bool is_full(int result)
{
    return result == -EAGAIN || result == -ENOBUFS || result == -EINTR;
}

static gboolean on_writable(gint fd, GIOCondition condition, gpointer user)
{
    (void)condition;
    struct link *link = user;
    g_mutex_lock(&link->lock);
    struct message *message;
    while ((message = g_queue_peek_head(&link->pending))) {
        if (is_full(channel_send(fd, message, NULL, 0)))
            break;
        /* Sent, or never sendable: the parent is gone and the main loop about to hear of it. */
        g_free(g_queue_pop_head(&link->pending));
        g_atomic_int_add(&link->congestion, -1);
    }
    gboolean more = message != NULL;
    if (!more)
        link->watch = 0;
    g_mutex_unlock(&link->lock);
    return more ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* How many may be kept when this one comes. */
static guint room_for(const struct message *message)
{
    bool repeated =
        message->type == MESSAGE_STREAM_STATUS || message->type == MESSAGE_WINDOW ||
        (message->type == MESSAGE_RECORD && message->record.phase == RECORD_UPDATED);
    return repeated ? LINK_PENDING_MAX * 3 / 4 : LINK_PENDING_MAX;
}

int link_post(struct link *link, const struct message *message)
{
    g_mutex_lock(&link->lock);
    int r = -EAGAIN;
    if (g_queue_is_empty(&link->pending))
        r = channel_send(link->fd, message, NULL, 0);
    if (is_full(r)) {
        r = 0;
        if (link->pending.length >= room_for(message)) {
            r = -ENOBUFS;
        } else {
            g_queue_push_tail(&link->pending, g_memdup2(message, sizeof *message));
            g_atomic_int_inc(&link->congestion);
        }
        if (!link->watch)
            link->watch = g_unix_fd_add(link->fd, G_IO_OUT, on_writable, link);
    }
    g_mutex_unlock(&link->lock);
    return r;
}

int link_deliver(struct link *link, const struct message *message, GCancellable *cancel)
{
    GPollFD stop;
    if (!g_cancellable_make_pollfd(cancel, &stop))
        return -ECANCELED;
    int r;
    for (;;) {
        if (g_cancellable_is_cancelled(cancel)) {
            r = -ECANCELED;
            break;
        }
        g_mutex_lock(&link->lock);
        r = -EAGAIN;
        if (g_queue_is_empty(&link->pending))
            r = channel_send(link->fd, message, NULL, 0);
        g_mutex_unlock(&link->lock);
        if (!is_full(r))
            break;
        struct pollfd poll_for[] = {{.fd = link->fd, .events = POLLOUT},
                                    {.fd = stop.fd, .events = POLLIN}};
        /* Bounded: others' kept messages go first, and their going is not polled for. */
        poll(poll_for, 2, 100);
    }
    g_cancellable_release_fd(cancel);
    return r;
}

bool link_is_congested(struct link *link)
{
    return g_atomic_int_get(&link->congestion) > 0;
}
