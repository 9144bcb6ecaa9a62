#include "pipeline/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "record/text.h"

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
    coded_init(&facts->coded);
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

static void on_audio(void *user, const char *name)
{
    struct connection *connection = user;
    g_mutex_lock(&connection->lock);
    char *audio = connection->facts.audio;
    size_t used = strlen(audio), size = sizeof connection->facts.audio;
    if (used + strlen(name) + sizeof ", " <= size)
        g_snprintf(audio + used, size - used, "%s%s", used ? ", " : "", name);
    g_mutex_unlock(&connection->lock);
}

static void on_packet(void *user)
{
    struct connection *connection = user;
    int64_t now = now_ns();
    g_mutex_lock(&connection->lock);
    struct connection_facts *facts = &connection->facts;
    facts->last_packet = now;
    if (facts->first_packet < 0) {
        facts->first_packet = now;
        wake_main(connection);
    }
    g_mutex_unlock(&connection->lock);
}

/* With the lock held. */
static void note_key(struct connection *connection, int64_t now)
{
    if (connection->facts.first_key >= 0)
        return;
    connection->facts.first_key = now;
    wake_main(connection);
}

static void on_format(void *user, const struct source_format *format)
{
    struct connection *connection = user;
    g_mutex_lock(&connection->lock);
    struct connection_facts *facts = &connection->facts;
    g_strlcpy(facts->codec, format->codec, sizeof facts->codec);
    text_copy_printable(facts->profile, sizeof facts->profile,
                        format->profile ? format->profile : "");
    facts->width = format->width;
    facts->height = format->height;
    g_mutex_unlock(&connection->lock);
}

static void on_coded(void *user, const struct coded_picture *picture)
{
    struct connection *connection = user;
    int64_t now = now_ns();
    g_mutex_lock(&connection->lock);
    connection->facts.last_packet = now;
    if (picture->key)
        note_key(connection, now);
    coded_add(&connection->facts.coded, picture);
    g_mutex_unlock(&connection->lock);
}

static bool on_picture(void *user, const struct source_picture *picture)
{
    struct connection *connection = user;
    int64_t now = now_ns();
    g_mutex_lock(&connection->lock);
    struct connection_facts *facts = &connection->facts;
    note_key(connection, now); /* a scene has no coded ones */
    if (facts->first_picture < 0) {
        facts->first_picture = now;
        wake_main(connection);
    } else if (!facts->interval) {
        facts->interval = now - facts->last_picture;
    } else {
        facts->interval += (now - facts->last_picture - facts->interval) / 8;
    }
    facts->last_picture = now;
    facts->pictures++;
    if (picture->decode_ns >= 0) {
        histogram_add(&facts->decode, (double)picture->decode_ns / 1e9);
        facts->decode_cpu_ns += picture->decode_cpu_ns;
    }
    if (picture->damaged) {
        facts->damaged++;
        facts->last_damage = now;
    }
    g_mutex_unlock(&connection->lock);
    return !picture->damaged;
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
    .audio = on_audio,
    .packet = on_packet,
    .format = on_format,
    .coded = on_coded,
    .picture = on_picture,
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
