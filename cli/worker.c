#include "cli/worker.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"

/* A name that takes longer than this is a camera that cannot be reached now. */
#define RESOLVE_MS 3000
/* The worker tells its state every second; ten of silence are a hang. */
#define SILENCE_S 10

extern char **environ;

struct worker {
    struct worker_callbacks callbacks;
    GPid pid;
    int fd;
    guint readable, child, silence;
    gint64 heard_us;
    char *complaint;
    GCancellable *closed; /* for look-ups that are still under way */
};

char *worker_find_program(void)
{
    const char *set = g_getenv("VIGIL_WORKER");
    if (set && *set)
        return g_strdup(set);
    g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *folder = self ? g_path_get_dirname(self) : NULL;
    if (folder) {
        g_autofree char *built = g_build_filename(folder, "../pipeline/vigil-worker", NULL);
        if (g_file_test(built, G_FILE_TEST_IS_EXECUTABLE))
            return g_steal_pointer(&built);
    }
    return g_strdup(VIGIL_LIBEXECDIR "/vigil-worker");
}

static void kill_for(struct worker *worker, const char *complaint)
{
    if (!worker->complaint)
        worker->complaint = g_strdup(complaint);
    if (worker->pid > 0)
        kill(worker->pid, SIGKILL);
}

/* --- names --------------------------------------------------------------------------------- */

struct lookup {
    struct worker *worker; /* NULL once the worker is gone */
    GCancellable *cancel;
    GCancellable *closed;
    gulong closed_handler;
    guint timeout;
    int64_t request;
};

static void lookup_closed(GCancellable *closed, gpointer data)
{
    (void)closed;
    struct lookup *lookup = data;
    lookup->worker = NULL;
    g_cancellable_cancel(lookup->cancel);
}

static gboolean lookup_late(gpointer data)
{
    struct lookup *lookup = data;
    lookup->timeout = 0;
    g_cancellable_cancel(lookup->cancel);
    return G_SOURCE_REMOVE;
}

static void lookup_done(GObject *resolver, GAsyncResult *result, gpointer data)
{
    struct lookup *lookup = data;
    GList *addresses = g_resolver_lookup_by_name_finish(G_RESOLVER(resolver), result, NULL);
    if (lookup->worker) {
        struct message answer = {.type = MESSAGE_RESOLVED, .resolved.request = lookup->request};
        struct message_resolved *resolved = &answer.resolved;
        for (GList *at = addresses; at && resolved->address_count < MESSAGE_ADDRESSES_MAX;
             at = at->next) {
            g_autofree char *text = g_inet_address_to_string(at->data);
            g_strlcpy(resolved->addresses[resolved->address_count++], text,
                      MESSAGE_ADDRESS_SIZE);
        }
        /* A send that fails is a worker that is gone, which its exit tells. */
        worker_send(lookup->worker, &answer, NULL, 0);
        g_signal_handler_disconnect(lookup->closed, lookup->closed_handler);
    }
    if (lookup->timeout)
        g_source_remove(lookup->timeout);
    g_resolver_free_addresses(addresses);
    g_object_unref(lookup->cancel);
    g_object_unref(lookup->closed);
    g_free(lookup);
}

static void look_up(struct worker *worker, const struct message_resolve *question)
{
    g_autoptr(GResolver) resolver = g_resolver_get_default();
    struct lookup *lookup = g_new0(struct lookup, 1);
    lookup->worker = worker;
    lookup->request = question->request;
    lookup->cancel = g_cancellable_new();
    lookup->closed = g_object_ref(worker->closed);
    lookup->closed_handler =
        g_signal_connect(worker->closed, "cancelled", G_CALLBACK(lookup_closed), lookup);
    lookup->timeout = g_timeout_add(RESOLVE_MS, lookup_late, lookup);
    g_resolver_lookup_by_name_async(resolver, question->host, lookup->cancel, lookup_done,
                                    lookup);
}

/* --- the process --------------------------------------------------------------------------- */

/* 1 a message was taken, -EAGAIN none is there, anything else: there will be no more. */
static int take_message(struct worker *worker)
{
    struct message message;
    struct record_error err;
    int fds[CHANNEL_FDS_MAX], fd_count = 0;
    int result = channel_receive(worker->fd, &message, fds, &fd_count, &err);
    for (int i = 0; i < fd_count && result > 0; i++)
        close(fds[i]); /* a worker has no business to send any */
    if (result == -EINVAL) {
        g_autofree char *complaint =
            g_strdup_printf("the worker sent what is no message: %s", err.text);
        kill_for(worker, complaint);
    }
    if (result <= 0)
        return result == -EINTR ? -EAGAIN : result;
    worker->heard_us = g_get_monotonic_time();
    if (message.type == MESSAGE_RESOLVE)
        look_up(worker, &message.resolve);
    else
        worker->callbacks.on_message(worker->callbacks.context, &message);
    return result;
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    struct worker *worker = data;
    int result = take_message(worker);
    if (result > 0 || result == -EAGAIN)
        return G_SOURCE_CONTINUE;
    worker->readable = 0;
    return G_SOURCE_REMOVE;
}

static gboolean on_second(gpointer data)
{
    struct worker *worker = data;
    if (g_get_monotonic_time() - worker->heard_us > SILENCE_S * G_USEC_PER_SEC)
        kill_for(worker, "the worker hung and was killed");
    return G_SOURCE_CONTINUE;
}

static void on_child(GPid pid, gint wait_status, gpointer data)
{
    (void)pid;
    struct worker *worker = data;
    worker->child = 0;
    worker->pid = 0;
    /* Its last words may still be in the socket. */
    while (worker->readable && take_message(worker) > 0)
        continue;
    if (worker->readable)
        g_source_remove(worker->readable);
    worker->readable = 0;
    worker->callbacks.on_exit(worker->callbacks.context, wait_status, worker->complaint);
}

static int spawn(const char *program, int control, GPid *ret_pid)
{
    char name[] = "vigil-worker", option[] = "--control-fd=3";
    char *arguments[] = {name, option, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    /* dup2 onto itself clears close-on-exec too (glibc 2.29). */
    posix_spawn_file_actions_adddup2(&actions, control, 3);
    int result = posix_spawn(ret_pid, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    return -result;
}

struct worker *worker_start(const char *program, const struct worker_callbacks *callbacks)
{
    int pair[2];
    GPid pid = 0;
    int result = channel_pair(pair);
    if (result == 0) {
        result = spawn(program, pair[1], &pid);
        close(pair[1]);
        if (result < 0)
            close(pair[0]);
    }
    if (result < 0) {
        cli_fail(CLI_INTERNAL, "cannot start %s: %s", program, g_strerror(-result));
        return NULL;
    }
    struct worker *worker = g_new0(struct worker, 1);
    worker->callbacks = *callbacks;
    worker->pid = pid;
    worker->fd = pair[0];
    worker->closed = g_cancellable_new();
    worker->heard_us = g_get_monotonic_time();
    g_unix_set_fd_nonblocking(worker->fd, TRUE, NULL);
    worker->readable = g_unix_fd_add(worker->fd, G_IO_IN | G_IO_HUP, on_readable, worker);
    worker->child = g_child_watch_add(pid, on_child, worker);
    worker->silence = g_timeout_add_seconds(1, on_second, worker);
    return worker;
}

void worker_destroy(struct worker *worker)
{
    if (!worker)
        return;
    g_cancellable_cancel(worker->closed);
    if (worker->pid > 0) {
        kill(worker->pid, SIGKILL);
        waitpid(worker->pid, NULL, 0);
    }
    if (worker->readable)
        g_source_remove(worker->readable);
    if (worker->child)
        g_source_remove(worker->child);
    g_source_remove(worker->silence);
    close(worker->fd);
    g_object_unref(worker->closed);
    g_free(worker->complaint);
    g_free(worker);
}

int worker_send(struct worker *worker, const struct message *message, const int *fds,
                int fd_count)
{
    return channel_send(worker->fd, message, fds, fd_count);
}
