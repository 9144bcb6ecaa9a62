/* A worker process for tests: speaks record/channel.h like a real one and misbehaves on demand.
 *
 * How it starts is chosen by the name it is called under (a symbolic link): puppet, slow,
 * stuck, dead, unlocked, early. What it does with a stream is chosen by the stream's name, up
 * to the first dash: "crash-2" crashes. It serves as many streams as it is given. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "record/channel.h"

#define STREAMS_MAX 16
static char streams[STREAMS_MAX][RECORD_NAME_SIZE];
static int stream_count;

static void send_message(const struct message *message)
{
    if (channel_send(3, message, NULL, 0) < 0)
        exit(1);
}

static void set_name(char to[RECORD_NAME_SIZE], const char *name)
{
    size_t length = strnlen(name, RECORD_NAME_SIZE - 1);
    memcpy(to, name, length);
    to[length] = '\0';
}

/* detail: shorter than MESSAGE_DETAIL_SIZE */
static void send_status(const char *stream, enum stream_state state, const char *detail)
{
    struct message message = {.type = MESSAGE_STREAM_STATUS};
    message_status_init(&message.status);
    set_name(message.status.stream, stream);
    message.status.state = state;
    message.status.received = 7;
    memcpy(message.status.detail, detail, strlen(detail));
    send_message(&message);
}

static void send_record(const char *of_stream, const char *id, enum record_phase phase)
{
    struct message message = {.type = MESSAGE_RECORD};
    struct record *record = &message.record;
    record_init(record);
    record->phase = phase;
    snprintf(record->id, sizeof record->id, "%s", id);
    set_name(record->stream, of_stream);
    snprintf(record->label, sizeof record->label, "movement");
    snprintf(record->model, sizeof record->model, "scene@01234567");
    record->score = 0.75;
    record->time_ms = record->start_ms = 1700000000000;
    record->pts_ns = record->window_first_pts_ns = record->window_last_pts_ns = 0;
    record->window_frames = 1;
    if (phase == RECORD_ENDED)
        record->end_ms = record->time_ms;
    send_message(&message);
}

static void send_plain(const char *stream, enum message_type type)
{
    struct message message = {.type = type};
    set_name(message.stop.stream, stream);
    send_message(&message);
}

static bool acts(const char *stream, const char *what)
{
    size_t length = strcspn(stream, "-");
    return strlen(what) == length && strncmp(stream, what, length) == 0;
}

/* Ends of what was never begun, each of its own. Fewer a second than a flood. */
static void send_ends(const char *stream)
{
    static int count;
    for (int i = 0; i < 8; i++) {
        char id[RECORD_ID_SIZE];
        snprintf(id, sizeof id, "01ARYZ6S41%016d", ++count);
        send_record(stream, id, RECORD_ENDED);
    }
}

/* One message, written once and sent as often as the socket takes it. */
static void flood(const struct message *message)
{
    char *text = message_to_text(message);
    while (text && write(3, text, strlen(text)) > 0)
        ;
    exit(1);
}

static void flood_status(const char *stream)
{
    struct message message = {.type = MESSAGE_STREAM_STATUS};
    message_status_init(&message.status);
    set_name(message.status.stream, stream);
    flood(&message);
}

/* Of a stream it does not serve: such a message may be late and is no offence. */
static void flood_pictures(void)
{
    struct message message = {.type = MESSAGE_SNAPSHOT_DONE};
    set_name(message.snapshot_done.stream, "someone-else");
    flood(&message);
}

/* The last word on a stream. */
static void finish(const char *stream)
{
    send_plain(stream, MESSAGE_STREAM_DONE);
    for (int i = 0; i < stream_count; i++) {
        if (strcmp(streams[i], stream) == 0) {
            memmove(streams[i], streams[stream_count - 1], RECORD_NAME_SIZE);
            stream_count--;
            return;
        }
    }
}

static void take_start(const struct message_stream_start *start, int fd_count)
{
    if (stream_count == STREAMS_MAX)
        exit(1);
    char *stream = streams[stream_count++];
    set_name(stream, start->stream);
    char detail[MESSAGE_DETAIL_SIZE];
    snprintf(detail, sizeof detail, "%d descriptors, user %.40s", fd_count, start->user);
    if (acts(stream, "crash"))
        raise(SIGSEGV);
    if (acts(stream, "disabled"))
        send_status(stream, STREAM_DISABLED, "");
    if (acts(stream, "exit"))
        exit(3);
    if (acts(stream, "silent"))
        return;
    if (acts(stream, "garbage") && write(3, "{\"type\":", 8) == 8)
        return;
    if (acts(stream, "foreign"))
        send_record("someone-else", "01ARYZ6S410000000000000000", RECORD_STARTED);
    if (acts(stream, "parent"))
        send_plain(stream, MESSAGE_STREAM_STOP);
    if (acts(stream, "twice"))
        send_message(
            &(struct message){.type = MESSAGE_READY, .ready = {.pid = 1, .locked = true}});
    if (acts(stream, "record"))
        send_record(stream, "01ARYZ6S410000000000000000", RECORD_STARTED);
    if (acts(stream, "flood"))
        flood_status(stream);
    if (acts(stream, "pictures"))
        flood_pictures();
    if (acts(stream, "descriptor")) {
        struct message message = {.type = MESSAGE_WINDOW};
        int fd = 0;
        set_name(message.window.stream, stream);
        channel_send(3, &message, &fd, 1);
    }
    if (acts(stream, "resolve")) {
        struct message message = {.type = MESSAGE_RESOLVE, .resolve = {.request = 42}};
        set_name(message.resolve.stream, stream);
        snprintf(message.resolve.host, sizeof message.resolve.host, "camera.test");
        send_message(&message);
    }
    if (acts(stream, "shout"))
        fprintf(stderr, "one\033[31m line\n");
    send_status(stream, STREAM_LIVE, detail);
    if (acts(stream, "ended")) {
        send_status(stream, STREAM_ENDED, "");
        finish(stream);
    } else if (acts(stream, "orphan")) {
        finish(stream);
    }
}

static void take_model(const struct message_stream_start *change, int fd_count)
{
    char detail[MESSAGE_DETAIL_SIZE];
    snprintf(detail, sizeof detail, "%d descriptors, model %.40s", fd_count, change->model);
    send_status(change->stream, STREAM_LIVE, detail);
}

static void take_snapshot(const struct message_snapshot *snapshot, int fd)
{
    const char *stream = snapshot->stream;
    static const unsigned char jpeg[] = {0xff, 0xd8, 0xff, 0xe0, 1, 2, 3, 0xff, 0xd9};
    struct message message = {.type = MESSAGE_SNAPSHOT_DONE};
    message.snapshot_done.request = snapshot->request;
    set_name(message.snapshot_done.stream, stream);
    if (acts(stream, "mute"))
        return;
    if (acts(stream, "blind")) {
        snprintf(message.snapshot_done.detail, sizeof message.snapshot_done.detail, "no light");
    } else {
        size_t size = acts(stream, "liar") ? 4 : sizeof jpeg;
        message.snapshot_done.size_bytes = write(fd, jpeg, size);
    }
    send_message(&message);
}

static void take_stop(const char *stream)
{
    if (acts(stream, "deaf"))
        return;
    if (acts(stream, "record"))
        send_record(stream, "01ARYZ6S410000000000000000", RECORD_ENDED);
    finish(stream);
}

static bool any_acts(const char *what)
{
    bool any = false;
    for (int i = 0; i < stream_count; i++)
        any |= acts(streams[i], what);
    return any;
}

/* False when it is time to go. */
static bool take_message(void)
{
    struct message message;
    struct record_error err;
    int fds[CHANNEL_FDS_MAX];
    int fd_count = 0;
    if (channel_receive(3, &message, fds, &fd_count, &err) <= 0)
        return false;
    switch (message.type) {
    case MESSAGE_STREAM_START:
        take_start(&message.start, fd_count);
        break;
    case MESSAGE_STREAM_MODEL:
        take_model(&message.start, fd_count);
        break;
    case MESSAGE_STREAM_STOP:
        take_stop(message.stop.stream);
        break;
    case MESSAGE_SNAPSHOT:
        take_snapshot(&message.snapshot, fds[0]);
        break;
    case MESSAGE_RESOLVED:
        send_status(streams[0], STREAM_LIVE,
                    message.resolved.address_count > 0 ? message.resolved.addresses[0]
                                                       : "no address");
        break;
    case MESSAGE_QUIT:
        return any_acts("deaf");
    default:
        break;
    }
    for (int i = 0; i < fd_count; i++)
        close(fds[i]);
    return true;
}

/* The path of a file beside the model. */
static const char *beside(const char *suffix)
{
    static char path[4096];
    ssize_t length = readlink("/proc/self/fd/0", path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    strncat(path, suffix, sizeof path - 1 - strlen(path));
    return path;
}

/* The trouble is over, of which the model knows nothing. */
static bool is_better(void)
{
    return access(beside(".better"), F_OK) == 0;
}

/* One byte for each time that it was run, where a test has a file for them. */
static void mark_run(void)
{
    int fd = open(beside(".runs"), O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd >= 0 && write(fd, ".", 1) != 1)
        exit(70);
    if (fd >= 0)
        close(fd);
}

/* Packs: what it was told to replace, then the model. Obeys the model's first word. */
static int pack(int argc, char **argv)
{
    char model[64] = "";
    if (read(STDIN_FILENO, model, sizeof model - 1) < 0)
        return 66;
    mark_run();
    if (strncmp(model, "mumble", 6) == 0)
        puts("sha256 of something");
    else
        printf("sha256 %064d\n", getpid());
    fflush(stdout);
    if (strncmp(model, "bad", 3) == 0) {
        fputs("not an ONNX file\033[0m\nsecond line\n", stderr);
        return 78;
    }
    if (strncmp(model, "crash", 5) == 0 && !is_better())
        raise(SIGSEGV);
    if (strncmp(model, "hang", 4) == 0)
        pause();
    if (strncmp(model, "killed", 6) == 0 && !is_better())
        raise(access(beside(".dies"), F_OK) == 0 ? SIGSEGV : SIGKILL);
    if (strncmp(model, "empty", 5) == 0)
        return 0;
    for (int i = 2; i < argc; i++)
        if (write(3, argv[i], strlen(argv[i])) < 0)
            return 70;
    return write(3, model, strlen(model)) < 0 ? 70 : 0;
}

static int inspect(const char *setting)
{
    char model[64] = "";
    if (read(STDIN_FILENO, model, sizeof model - 1) < 0)
        return 66;
    mark_run();
    if (is_better()) {
        puts("{}");
        return 0;
    }
    if (strncmp(model, "good", 4) == 0) {
        printf("{\"labels\": [\"a\"], \"name\": \"not yours to say\", \"nodes\": %d, "
               "\"password\": \"x\"}\n",
               getpid());
        return 0;
    }
    if (strncmp(model, "liar", 4) == 0)
        puts("{\"labels\": [7]}");
    if (strncmp(model, "echo", 4) == 0)
        printf("{\"task\": \"%s\"}\n", setting);
    if (strncmp(model, "bad", 3) == 0) {
        fputs("not an ONNX file\033[0m\nsecond line\n", stderr);
        return 66;
    }
    if (strncmp(model, "hang", 4) == 0)
        pause();
    if (strncmp(model, "crash", 5) == 0)
        raise(SIGSEGV);
    if (strncmp(model, "killed", 6) == 0)
        raise(SIGKILL);
    /* Ends well, and what it leaves behind holds its pipes until it is ended itself. */
    if (strncmp(model, "heir", 4) == 0 && fork() == 0) {
        alarm(20);
        pause();
    }
    if (strncmp(model, "junk", 4) == 0)
        puts("[1, 2");
    while (strncmp(model, "huge", 4) == 0)
        puts("\"0123456789012345678901234567890123456789\",");
    return 0;
}

int main(int argc, char **argv)
{
    const char *name = basename(argv[0]);
    signal(SIGSEGV, SIG_DFL); /* a sanitizer would turn the death into an exit */
    if (argc >= 2 && strcmp(argv[1], "--inspect") == 0)
        return inspect(argc > 2 ? argv[2] : "");
    if (argc >= 2 && strcmp(argv[1], "--pack") == 0)
        return pack(argc, argv);
    if (argc < 2 || strcmp(argv[1], "--control-fd=3") != 0)
        return 2;
    if (strcmp(name, "dead") == 0)
        return 9;
    if (strcmp(name, "stuck") == 0)
        pause();
    if (strcmp(name, "slow") == 0)
        nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    if (strcmp(name, "early") == 0) {
        send_status("none", STREAM_LIVE, "");
    }
    struct message ready = {
        .type = MESSAGE_READY,
        .ready = {.pid = getpid(), .locked = strcmp(name, "unlocked") != 0}};
    snprintf(ready.ready.version, sizeof ready.ready.version, "test");
    send_message(&ready);
    for (;;) {
        struct pollfd control = {.fd = 3, .events = POLLIN};
        int r = poll(&control, 1, stream_count > 0 ? 50 : -1);
        if (r > 0 && !take_message())
            return 0;
        for (int i = 0; i < stream_count && r == 0; i++) {
            if (!acts(streams[i], "silent"))
                send_status(streams[i], STREAM_LIVE, "");
            if (acts(streams[i], "ends"))
                send_ends(streams[i]);
        }
    }
}
