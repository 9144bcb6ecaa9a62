#include "cli/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <gio/gio.h>
#include <glib-unix.h>

#include "cli/cli.h"
#include "record/channel.h"
#include "record/text.h"

#define RESOLVE_DEADLINE_S 3
#define STDERR_LINE_MAX    200
#define CONTROL_FD         3 /* in the worker */

extern char **environ;

struct worker {
    const struct worker_listener *listener;
    void *owner;
    const struct config_stream *stream;
    pid_t pid;
    int control_fd, stderr_fd;
    guint control_source, stderr_source, exit_source, silence_source;
    int64_t heard_us; /* when the last message came */
    bool ready;
    bool deaf;          /* closed or killed: nothing more is heard */
    bool killed;        /* by us */
    char *why;          /* why we killed it, */
    const char *advice; /* ... and what to do */
    GCancellable *cancellable;
    int resolving;              /* look-ups whose callback is still to come */
    int address_count;          /* that the host was last found to have */
    char line[STDERR_LINE_MAX]; /* being written to stderr; the rest of a long one is lost */
    size_t line_length;
    char last_line[STDERR_LINE_MAX];
};

char *worker_find_program(void)
{
    const char *told = g_getenv("VIGIL_WORKER");
    return told && *told
               ? g_strdup(told)
               : cli_find("../pipeline/vigil-worker", VIGIL_LIBEXECDIR "/vigil-worker");
}

static void remove_source(guint *source)
{
    if (*source)
        g_source_remove(*source);
    *source = 0;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void worker_kill(struct worker *worker, const char *why, const char *advice)
{
    if (!worker->killed) {
        worker->why = g_strdup(why);
        worker->advice = advice;
    }
    worker->killed = true;
    worker->deaf = true;
    if (worker->pid > 0)
        kill(worker->pid, SIGKILL);
}

int worker_send(struct worker *worker, const struct message *message, const int *fds,
                int fd_count)
{
    int status = channel_send(worker->control_fd, message, fds, fd_count);
    if (status == -EAGAIN) {
        struct pollfd room = {.fd = worker->control_fd, .events = POLLOUT};
        poll(&room, 1, 1000);
        status = channel_send(worker->control_fd, message, fds, fd_count);
    }
    return status;
}

int worker_address_count(const struct worker *worker)
{
    return worker->address_count;
}

/* From outside: the sandbox opens nothing, and would have to be believed. */
int worker_use(const struct worker *worker, struct worker_usage *ret_usage)
{
    clockid_t clock;
    struct timespec time;
    int r = worker->pid > 0 ? clock_getcpuclockid(worker->pid, &clock) : ESRCH;
    if (r != 0 || clock_gettime(clock, &time) < 0)
        return r ? -r : -errno;
    g_autofree char *path = g_strdup_printf("/proc/%d/statm", (int)worker->pid);
    long long resident, shared;
    FILE *file = fopen(path, "re");
    bool read = file && fscanf(file, "%*d %lld %lld", &resident, &shared) == 2;
    if (file)
        fclose(file);
    if (!read)
        return -EIO;
    int64_t page = sysconf(_SC_PAGESIZE);
    *ret_usage = (struct worker_usage){
        .cpu_ns = (int64_t)time.tv_sec * 1000000000 + time.tv_nsec,
        .resident_bytes = resident * page,
        .own_bytes = (resident - shared) * page,
    };
    return 0;
}

/* --- names ------------------------------------------------------------------------------- */

struct look_up {
    struct worker *worker;
    struct message answer;
    GCancellable *deadline;
    guint timer;
};

static gboolean cancel_look_up(gpointer data)
{
    struct look_up *look_up = data;
    look_up->timer = 0;
    g_cancellable_cancel(look_up->deadline);
    return G_SOURCE_REMOVE;
}

static void looked_up(GObject *resolver, GAsyncResult *result, gpointer data)
{
    struct look_up *look_up = data;
    struct message_resolved *resolved = &look_up->answer.resolved;
    GList *addresses = g_resolver_lookup_by_name_finish(G_RESOLVER(resolver), result, NULL);
    for (GList *at = addresses; at && resolved->address_count < MESSAGE_ADDRESSES_MAX;
         at = at->next) {
        g_autofree char *text = g_inet_address_to_string(at->data);
        g_strlcpy(resolved->addresses[resolved->address_count++], text, MESSAGE_ADDRESS_SIZE);
    }
    g_resolver_free_addresses(addresses);
    look_up->worker->address_count = resolved->address_count;
    look_up->worker->resolving--;
    if (look_up->worker->control_fd >= 0)
        worker_send(look_up->worker, &look_up->answer, NULL, 0);
    remove_source(&look_up->timer);
    g_object_unref(look_up->deadline);
    g_free(look_up);
}

static void look_up_cancelled(GCancellable *all, gpointer deadline)
{
    (void)all;
    g_cancellable_cancel(deadline);
}

static void resolve(struct worker *worker, const struct message_resolve *question)
{
    struct look_up *look_up = g_new0(struct look_up, 1);
    look_up->worker = worker;
    look_up->answer.type = MESSAGE_RESOLVED;
    look_up->answer.resolved.request = question->request;
    /* A compromised worker must not learn, or tell, anything by the names it asks for. */
    if (!config_stream_names_host(worker->stream, question->host) || worker->resolving > 0) {
        worker_send(worker, &look_up->answer, NULL, 0);
        g_free(look_up);
        return;
    }
    look_up->deadline = g_cancellable_new();
    look_up->timer = g_timeout_add_seconds(RESOLVE_DEADLINE_S, cancel_look_up, look_up);
    g_signal_connect_object(worker->cancellable, "cancelled", G_CALLBACK(look_up_cancelled),
                            look_up->deadline, 0);
    worker->resolving++;
    g_autoptr(GResolver) resolver = g_resolver_get_default();
    g_resolver_lookup_by_name_async(resolver, question->host, look_up->deadline, looked_up,
                                    look_up);
}

/* --- what the worker says ----------------------------------------------------------------- */

static bool may_say(const struct worker *worker, enum message_type type)
{
    switch (type) {
    case MESSAGE_READY:
        return !worker->ready;
    case MESSAGE_RESOLVE:
    case MESSAGE_STREAM_STATUS:
    case MESSAGE_RECORD:
    case MESSAGE_WINDOW:
    case MESSAGE_SNAPSHOT_DONE:
    case MESSAGE_STREAM_DONE:
        return worker->ready;
    default:
        return false;
    }
}

/* Takes one message, if there is one. */
static bool hear_one(struct worker *worker)
{
    static struct message message;
    int fds[CHANNEL_FDS_MAX], fd_count = 0;
    struct record_error err = {0};
    int status = channel_receive(worker->control_fd, &message, fds, &fd_count, &err);
    if (status == -EAGAIN)
        return false;
    for (int i = 0; i < fd_count; i++)
        close(fds[i]);
    if (status == 0) {
        /* It is exiting, and the exit tells how; or check_silence has it killed. */
        worker->deaf = true;
    } else if (status < 0) {
        g_autofree char *why =
            g_strdup_printf("the worker sent what is not valid: %s", err.text);
        worker_kill(worker, why, WORKER_OTHER);
    } else if (fd_count > 0 || !may_say(worker, message.type)) {
        worker_kill(worker, "the worker sent what it may not", WORKER_OTHER);
    } else {
        worker->heard_us = g_get_monotonic_time();
        worker->ready = true;
        if (message.type == MESSAGE_RESOLVE)
            resolve(worker, &message.resolve);
        else
            worker->listener->message(worker->owner, &message);
    }
    return !worker->deaf;
}

static gboolean hear(int fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    struct worker *worker = data;
    hear_one(worker);
    if (!worker->deaf)
        return G_SOURCE_CONTINUE;
    worker->control_source = 0;
    return G_SOURCE_REMOVE;
}

static gboolean check_silence(gpointer data)
{
    struct worker *worker = data;
    int64_t silent_ms = (g_get_monotonic_time() - worker->heard_us) / 1000;
    /* What waits in the socket while we were held up (a pipe that no one reads) is no
     * silence. */
    struct pollfd waiting = {.fd = worker->control_fd, .events = POLLIN};
    if (!worker->deaf && poll(&waiting, 1, 0) > 0)
        return G_SOURCE_CONTINUE;
    int most_ms = worker->ready ? WORKER_SILENCE_MS : WORKER_READY_MS;
    if (silent_ms <= most_ms)
        return G_SOURCE_CONTINUE;
    worker->silence_source = 0;
    g_autofree char *why =
        g_strdup_printf(worker->ready ? "the worker has said nothing for %d s"
                                      : "the worker did not get ready within %d s",
                        most_ms / 1000);
    worker_kill(worker, why,
                "this machine may have too much to do (uptime tells its load): try again when "
                "it has less, or under a higher priority (nice)");
    return G_SOURCE_REMOVE;
}

static void end_line(struct worker *worker)
{
    worker->line[worker->line_length] = 0;
    if (worker->line_length > 0)
        text_copy_printable(worker->last_line, sizeof worker->last_line, worker->line);
    worker->line_length = 0;
}

/* Reads what the worker wrote to stderr; false when there is nothing now, or never again. */
static bool read_stderr(struct worker *worker)
{
    char bytes[1024];
    ssize_t size = read(worker->stderr_fd, bytes, sizeof bytes);
    for (ssize_t i = 0; i < size; i++) {
        if (bytes[i] == '\n')
            end_line(worker);
        else if (worker->line_length < sizeof worker->line - 1)
            worker->line[worker->line_length++] = bytes[i] ? bytes[i] : '?';
    }
    return size > 0;
}

static gboolean hear_stderr(int fd, GIOCondition condition, gpointer data)
{
    (void)fd;
    (void)condition;
    struct worker *worker = data;
    if (read_stderr(worker))
        return G_SOURCE_CONTINUE;
    /* Ready to be read and nothing there: it was closed. */
    worker->stderr_source = 0;
    return G_SOURCE_REMOVE;
}

/* Whom the kernel kills so has run out of memory, as a rule; a decoder that a picture breaks,
 * it breaks each time. */
static const char *advice_on(int signal)
{
    return signal == SIGKILL ? "check that the machine has memory left (dmesg tells)"
                             : "check that another player shows this stream to its end";
}

static void exited(GPid pid, gint how, gpointer data)
{
    (void)pid;
    struct worker *worker = data;
    worker->pid = 0;
    worker->exit_source = 0;
    remove_source(&worker->silence_source);
    remove_source(&worker->control_source);
    remove_source(&worker->stderr_source);
    /* What it said before comes before the news that it is gone. */
    while (!worker->deaf && hear_one(worker))
        continue;
    while (read_stderr(worker))
        continue;
    end_line(worker);
    const bool died = !worker->killed && WIFSIGNALED(how);
    const char *advice = died             ? advice_on(WTERMSIG(how))
                         : worker->killed ? worker->advice
                                          : WORKER_OTHER;
    g_autoptr(GString) why = g_string_new(worker->why);
    if (died)
        g_string_printf(why, "the worker died of signal %d (%s)", WTERMSIG(how),
                        strsignal(WTERMSIG(how)));
    else if (!worker->killed && WEXITSTATUS(how) != 0)
        g_string_printf(why, "the worker ended with code %d", WEXITSTATUS(how));
    else if (why->len == 0)
        g_string_assign(why, "the worker left early");
    if (*worker->last_line)
        g_string_append_printf(why, ", saying \"%s\"", worker->last_line);
    /* What a worker says as it leaves tells more than where it is looked for. */
    if (advice && (died || worker->killed || !*worker->last_line))
        g_string_append_printf(why, "; %s", advice);
    worker->listener->gone(worker->owner, why->str);
}

/* --- life -------------------------------------------------------------------------------- */

/* Standard input and output are not the worker's; stderr is ours to read. */
static int start(const char *program, const char *tls_ca, int control, int errors,
                 pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults, none;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    sigaddset(&defaults, SIGXFSZ);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, errors, 2);
    posix_spawn_file_actions_adddup2(&actions, control, CONTROL_FD);
    g_autofree char *trust = tls_ca ? g_strconcat("--tls-ca=", tls_ca, NULL) : NULL;
    char *argv[] = {(char *)program, (char *)"--control-fd=3", trust, NULL};
    int failed = posix_spawn(ret_pid, program, &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return -failed;
}

int worker_start(const char *program, const char *tls_ca, const struct config_stream *stream,
                 const struct worker_listener *listener, void *owner,
                 struct worker **ret_worker)
{
    /* What the shell left open for us is none of the worker's business. */
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    int ends[2] = {-1, -1}, errors[2] = {-1, -1};
    int status = channel_pair(ends);
    if (status == 0 && pipe2(errors, O_CLOEXEC) < 0)
        status = -errno;
    /* The worker's end of the pair could itself be descriptor 3 here: the spawn copes. */
    pid_t pid = 0;
    if (status == 0)
        status = start(program, tls_ca, ends[1], errors[1], &pid);
    close_fd(&ends[1]);
    close_fd(&errors[1]);
    if (status < 0) {
        close_fd(&ends[0]);
        close_fd(&errors[0]);
        return status;
    }
    g_unix_set_fd_nonblocking(ends[0], TRUE, NULL);
    g_unix_set_fd_nonblocking(errors[0], TRUE, NULL);
    struct worker *worker = g_new0(struct worker, 1);
    worker->listener = listener;
    worker->owner = owner;
    worker->stream = stream;
    worker->pid = pid;
    worker->control_fd = ends[0];
    worker->stderr_fd = errors[0];
    worker->heard_us = g_get_monotonic_time();
    worker->cancellable = g_cancellable_new();
    worker->control_source = g_unix_fd_add(ends[0], G_IO_IN | G_IO_HUP, hear, worker);
    worker->stderr_source = g_unix_fd_add(errors[0], G_IO_IN | G_IO_HUP, hear_stderr, worker);
    worker->exit_source = g_child_watch_add(pid, exited, worker);
    worker->silence_source = g_timeout_add(500, check_silence, worker);
    *ret_worker = worker;
    return 0;
}

void worker_destroy(struct worker *worker)
{
    if (!worker)
        return;
    remove_source(&worker->control_source);
    remove_source(&worker->stderr_source);
    remove_source(&worker->exit_source);
    remove_source(&worker->silence_source);
    close_fd(&worker->control_fd);
    close_fd(&worker->stderr_fd);
    if (worker->pid > 0) {
        kill(worker->pid, SIGKILL);
        waitpid(worker->pid, NULL, 0);
    }
    /* Cancelled look-ups call back at once, and still point here. */
    g_cancellable_cancel(worker->cancellable);
    while (worker->resolving > 0)
        g_main_context_iteration(NULL, TRUE);
    g_object_unref(worker->cancellable);
    g_free(worker->why);
    g_free(worker);
}
