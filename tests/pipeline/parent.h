/* A parent for tests: starts a real vigil-worker, talks to it over a real channel, and starts
 * the RTSP server the worker connects to. Failures end the test.
 *
 * Thread: one. */
#ifndef TESTS_PIPELINE_PARENT_H
#define TESTS_PIPELINE_PARENT_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record/channel.h"

#ifdef __SANITIZE_ADDRESS__
#define PARENT_PATIENCE 5 /* an instrumented worker is slower; criteria of time are not shown */
#else
#define PARENT_PATIENCE 1
#endif

struct parent {
    pid_t pid;
    int fd;
    struct message message; /* the last one received */
    GString *records;       /* all so far, one line each */
};

static inline int64_t parent_now_ms(void)
{
    return g_get_monotonic_time() / 1000;
}

static inline const char *parent_path(const char *variable, const char *below)
{
    static char path[4096];
    const char *root = getenv(variable);
    ck_assert_msg(root, "%s is not set: run through meson test", variable);
    snprintf(path, sizeof path, "%s/%s", root, below);
    return path;
}

/* A program whose descriptor `from` is its `to`; its standard output goes to out when >= 0. */
static inline pid_t parent_spawn(char *const arguments[], int from, int to, int out)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* nothing outlives a failed test */
        if ((from >= 0 && dup2(from, to) < 0) || (out >= 0 && dup2(out, STDOUT_FILENO) < 0))
            _exit(127);
        execv(arguments[0], arguments);
        _exit(127);
    }
    return pid;
}

static inline void parent_send(struct parent *parent, const struct message *message,
                               const int *fds, int count)
{
    ck_assert_int_eq(channel_send(parent->fd, message, fds, count), 0);
}

/* The next message in parent->message. 1, 0 when the worker closed, -EAGAIN after the time. */
static inline int parent_receive(struct parent *parent, int64_t deadline_ms)
{
    struct pollfd poll_for = {.fd = parent->fd, .events = POLLIN};
    int64_t left = deadline_ms - parent_now_ms();
    if (left < 0 || poll(&poll_for, 1, (int)left) <= 0)
        return -EAGAIN;
    int fds[CHANNEL_FDS_MAX], count = 0;
    struct record_error err;
    int r = channel_receive(parent->fd, &parent->message, fds, &count, &err);
    if (r == -ECONNRESET)
        return 0;
    ck_assert_msg(r >= 0, "the worker sent nonsense: %s", err.text);
    ck_assert_int_eq(count, 0);
    if (r == 1 && parent->message.type == MESSAGE_RECORD) {
        char *text = record_to_text(&parent->message.record);
        g_string_append(parent->records, text);
        g_string_append_c(parent->records, '\n');
        free(text);
    }
    return r;
}

static inline void parent_start(struct parent *parent, const char *option)
{
    int fds[2];
    ck_assert_int_eq(channel_pair(fds), 0);
    char program[4096], control[] = "--control-fd=3";
    snprintf(program, sizeof program, "%s",
             parent_path("VIGIL_BUILD_ROOT", "pipeline/vigil-worker"));
    char *arguments[] = {program, control, (char *)option, NULL};
    memset(parent, 0, sizeof *parent);
    parent->records = g_string_new(NULL);
    parent->pid = parent_spawn(arguments, fds[1], 3, -1);
    close(fds[1]);
    parent->fd = fds[0];
}

static inline void parent_await_ready(struct parent *parent)
{
    int r = parent_receive(parent, parent_now_ms() + 20000 * PARENT_PATIENCE);
    ck_assert_int_eq(r, 1);
    ck_assert_int_eq(parent->message.type, MESSAGE_READY);
    ck_assert(parent->message.ready.locked);
}

/* How the worker ended, as waitpid says; the test fails when it does not within 10 s. */
static inline int parent_await_end(struct parent *parent)
{
    int64_t deadline = parent_now_ms() + 10000 * PARENT_PATIENCE;
    int status;
    while (waitpid(parent->pid, &status, WNOHANG) == 0) {
        if (parent_now_ms() > deadline)
            kill(parent->pid, SIGKILL);
        parent_receive(parent, parent_now_ms() + 50);
    }
    ck_assert_msg(parent_now_ms() <= deadline + 1000, "the worker did not end");
    close(parent->fd);
    g_string_free(parent->records, TRUE);
    return status;
}

/* Asks the worker to quit, and holds it to it. */
static inline void parent_quit(struct parent *parent)
{
    struct message message = {.type = MESSAGE_QUIT};
    parent_send(parent, &message, NULL, 0);
    int status = parent_await_end(parent);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "worker status %x", status);
}

static inline struct message parent_stream(const char *name, const char *uri)
{
    struct message message = {.type = MESSAGE_STREAM_START};
    snprintf(message.start.stream, sizeof message.start.stream, "%s", name);
    snprintf(message.start.node, sizeof message.start.node, "node");
    snprintf(message.start.uri, sizeof message.start.uri, "%s", uri);
    snprintf(message.start.model, sizeof message.start.model, "scene");
    return message;
}

/* Sends it with the scene model and, when given, the media file. */
static inline void parent_start_stream(struct parent *parent, const struct message *message,
                                       const char *media)
{
    int fds[2], count = 1;
    fds[0] = open(parent_path("VIGIL_SOURCE_ROOT", "models/scene.onnx"), O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fds[0], 0);
    if (media) {
        fds[count] = open(media, O_RDONLY | O_CLOEXEC);
        ck_assert_msg(fds[count] >= 0, "%s: %s", media, strerror(errno));
        count++;
    }
    parent_send(parent, message, fds, count);
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

/* Receives until a status in that state (and reason, unless -1) comes; the time it took. */
static inline int64_t parent_await_state(struct parent *parent, enum stream_state state,
                                         int reason, int64_t within_ms)
{
    int64_t from = parent_now_ms();
    struct message_stream_status last = {0};
    for (;;) {
        int r = parent_receive(parent, from + within_ms * PARENT_PATIENCE);
        ck_assert_msg(r == 1, "no %s in %lld ms (%d): last %s %s %s", stream_state_name(state),
                      (long long)within_ms, r, stream_state_name(last.state),
                      stream_reason_name(last.reason), last.detail);
        if (parent->message.type != MESSAGE_STREAM_STATUS)
            continue;
        last = parent->message.status;
        if (last.state == state && (reason < 0 || (int)last.reason == reason))
            return parent_now_ms() - from;
    }
}

static inline void parent_await(struct parent *parent, enum message_type type,
                                int64_t within_ms)
{
    int64_t deadline = parent_now_ms() + within_ms * PARENT_PATIENCE;
    do
        ck_assert_msg(parent_receive(parent, deadline) == 1, "no message of type %d", type);
    while (parent->message.type != type);
}

static inline void parent_stop_stream(struct parent *parent, const char *name)
{
    struct message message = {.type = MESSAGE_STREAM_STOP};
    snprintf(message.stop.stream, sizeof message.stop.stream, "%s", name);
    parent_send(parent, &message, NULL, 0);
    parent_await(parent, MESSAGE_STREAM_DONE, 5000);
}

struct server {
    pid_t pid;
    int port;
};

/* tests/tools/rtspserver with these options (NULL at the end, at most 8). */
static inline struct server server_start(int port, const char *const options[])
{
    char program[4096], port_text[16];
    snprintf(program, sizeof program, "%s",
             parent_path("VIGIL_BUILD_ROOT", "tests/tools/rtspserver"));
    snprintf(port_text, sizeof port_text, "%d", port);
    char *arguments[12] = {program, (char *)"--port", port_text};
    for (size_t i = 0; options[i]; i++)
        arguments[3 + i] = (char *)options[i];
    int out[2];
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    struct server server = {.pid = parent_spawn(arguments, -1, -1, out[1])};
    close(out[1]);
    char line[64] = "";
    for (size_t n = 0; n < sizeof line - 1 && !strchr(line, '\n'); n++)
        ck_assert_msg(read(out[0], line + n, 1) == 1, "rtspserver does not start");
    close(out[0]);
    ck_assert_int_eq(sscanf(line, "%*[a-z]://127.0.0.1:%d/stream", &server.port), 1);
    return server;
}

static inline void server_stop(struct server *server)
{
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
}

#endif
