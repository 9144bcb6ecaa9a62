#include "pipeline/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct connection {
    gatomicrefcount references;
    GMutex lock; /* guards facts and waking */
    struct connection_facts facts;
    bool waking;
    int fd; /* the medium, -1 none */
    /* The main thread's. */
    void (*wake)(void *user);
    void *user;
};

static int64_t now_ns(void)
{
    return g_get_monotonic_time() * 1000;
}

static void unref(gpointer data)
{
    struct connection *connection = data;
    if (!g_atomic_ref_count_dec(&connection->references))
        return;
    if (connection->fd >= 0)
        close(connection->fd);
    g_mutex_clear(&connection->lock);
    g_free(connection);
}

struct connection *connection_create(void (*wake)(void *user), void *user)
{
    struct connection *connection = g_new0(struct connection, 1);
    g_atomic_ref_count_init(&connection->references);
    g_mutex_init(&connection->lock);
    struct connection_facts *facts = &connection->facts;
    facts->session = facts->first_packet = facts->first_key = facts->first_picture = -1;
    facts->last_packet = facts->last_picture = facts->last_damage = -1;
    connection->fd = -1;
    connection->wake = wake;
    connection->user = user;
    return connection;
}

void connection_close(struct connection *connection)
{
    connection->wake = NULL;
    unref(connection);
}

static gboolean on_wake(gpointer data)
{
    struct connection *connection = data;
    g_mutex_lock(&connection->lock);
    connection->waking = false;
    g_mutex_unlock(&connection->lock);
    if (connection->wake)
        connection->wake(connection->user);
    return G_SOURCE_REMOVE;
}

/* With the lock held. */
static void wake_main(struct connection *connection)
{
    if (connection->waking)
        return;
    connection->waking = true;
    g_atomic_ref_count_inc(&connection->references);
    g_idle_add_full(G_PRIORITY_DEFAULT, on_wake, connection, unref);
}

void connection_read(struct connection *connection, struct connection_facts *ret_facts)
{
    g_mutex_lock(&connection->lock);
    *ret_facts = connection->facts;
    g_mutex_unlock(&connection->lock);
}

static void on_connected(void *user)
{
    struct connection *connection = user;
    g_mutex_lock(&connection->lock);
    if (connection->facts.session < 0) {
        connection->facts.session = now_ns();
        wake_main(connection);
    }
    g_mutex_unlock(&connection->lock);
}

static void on_packet(void *user, bool key)
{
    struct connection *connection = user;
    int64_t now = now_ns();
    g_mutex_lock(&connection->lock);
    struct connection_facts *facts = &connection->facts;
    facts->last_packet = now;
    if (facts->first_packet < 0 || (key && facts->first_key < 0))
        wake_main(connection);
    if (facts->first_packet < 0)
        facts->first_packet = now;
    if (key && facts->first_key < 0)
        facts->first_key = now;
    g_mutex_unlock(&connection->lock);
}

static void on_format(void *user, const char *codec, int width, int height)
{
    struct connection *connection = user;
    g_mutex_lock(&connection->lock);
    g_strlcpy(connection->facts.codec, codec, sizeof connection->facts.codec);
    connection->facts.width = width;
    connection->facts.height = height;
    g_mutex_unlock(&connection->lock);
}

static bool on_picture(void *user, bool damaged)
{
    struct connection *connection = user;
    int64_t now = now_ns();
    g_mutex_lock(&connection->lock);
    struct connection_facts *facts = &connection->facts;
    if (facts->first_picture < 0) {
        facts->first_picture = now;
        wake_main(connection);
    } else if (!facts->interval) {
        facts->interval = now - facts->last_picture;
    } else {
        facts->interval += (now - facts->last_picture - facts->interval) / 8;
    }
    facts->last_picture = now;
    if (damaged) {
        facts->damaged++;
        facts->last_damage = now;
    }
    g_mutex_unlock(&connection->lock);
    return !damaged;
}

static void on_paced(void *user, int64_t offset_ns)
{
    struct connection *connection = user;
    g_mutex_lock(&connection->lock);
    connection->facts.paced_by = offset_ns;
    g_mutex_unlock(&connection->lock);
}

static void on_ended(void *user)
{
    struct connection *connection = user;
    g_mutex_lock(&connection->lock);
    connection->facts.ended = true;
    wake_main(connection);
    g_mutex_unlock(&connection->lock);
}

static void on_failed(void *user, enum stream_reason reason, const char *detail)
{
    struct connection *connection = user;
    g_mutex_lock(&connection->lock);
    if (!connection->facts.failed) {
        connection->facts.failed = true;
        connection->facts.reason = reason;
        g_strlcpy(connection->facts.detail, detail, sizeof connection->facts.detail);
    }
    wake_main(connection);
    g_mutex_unlock(&connection->lock);
}

static const struct source_watch watch = {
    .connected = on_connected,
    .packet = on_packet,
    .format = on_format,
    .picture = on_picture,
    .paced = on_paced,
    .ended = on_ended,
    .failed = on_failed,
};

int connection_watch(struct connection *connection, struct source_options *options)
{
    if (options->fd >= 0) {
        connection->fd = fcntl(options->fd, F_DUPFD_CLOEXEC, 0);
        if (connection->fd < 0)
            return -errno;
        options->fd = connection->fd;
    }
    g_atomic_ref_count_inc(&connection->references);
    options->watch = &watch;
    options->watch_user = connection;
    options->watch_user_free = unref;
    return 0;
}

void connection_unwatch(struct connection *connection)
{
    unref(connection);
}
