/* vigil-worker: runs streams for the parent at the other end of its control socket.
 *
 *     vigil-worker --control-fd=3     streams, as record/message.h says
 *     vigil-worker --inspect          describes the model on stdin as JSON on stdout
 *     vigil-worker --pack             packs the model on stdin into descriptor 3
 *                                     (pipeline/pack.h)
 *     vigil-worker --frames           what the model on stdin would be shown of the clip in
 *                                     descriptor 3 (pipeline/frames.h)
 *
 * In all uses what came from outside is met behind a closed sandbox only. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gio/gio.h>
#include <glib-unix.h>

#include "pipeline/frames.h"
#include "pipeline/inspect.h"
#include "pipeline/link.h"
#include "pipeline/modelfile.h"
#include "nn/packed.h"
#include "pipeline/pack.h"
#include "pipeline/sandbox.h"
#include "pipeline/stream.h"
#include "pipeline/tlsname.h"
#include "pipeline/warmup.h"

#define EXIT_USAGE     2
#define EXIT_NO_INPUT  66
#define EXIT_INTERNAL  70
#define EXIT_BAD_MODEL 78
#define STREAMS_MAX    64
/* What it may write to is a parent's descriptor; a picture is far below this. */
#define FILE_BYTES_MAX   (64 << 20)
#define PACKED_FD        3
#define CLIP_FD          3
#define STDERR_BYTES_MAX (64 << 10) /* which may be a parent's memory file */

static struct {
    int control_fd, streams;
    gboolean frames, inspect, pack, version;
    char **settings;
    char *authorities;
    char *test_hook;
} options = {.control_fd = -1, .streams = 1};

static const GOptionEntry entries[] = {
    {"control-fd", 0, 0, G_OPTION_ARG_INT, &options.control_fd, "socket to the parent", "N"},
    {"streams", 0, 0, G_OPTION_ARG_INT, &options.streams,
     "how many it will be given at once (1), by which its memory is limited", "N"},
    {"inspect", 0, 0, G_OPTION_ARG_NONE, &options.inspect, "describe the model on stdin", NULL},
    {"pack", 0, 0, G_OPTION_ARG_NONE, &options.pack,
     "pack the model on stdin into descriptor 3", NULL},
    {"frames", 0, 0, G_OPTION_ARG_NONE, &options.frames,
     "write what the model on stdin would be shown of the clip in descriptor 3", NULL},
    {"set", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.settings,
     "of that model: what is configured instead of its own metadata", "KEY=VALUE"},
    {"tls-ca", 0, 0, G_OPTION_ARG_FILENAME, &options.authorities,
     "who may sign the certificates of cameras, instead of whom the system trusts (PEM)",
     "FILE"},
    {"version", 0, 0, G_OPTION_ARG_NONE, &options.version, "print the version", NULL},
    {"test-hook", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, &options.test_hook,
     "a forbidden deed, done behind the closed sandbox", "DEED"},
    {NULL},
};

struct worker {
    GMainLoop *loop;
    int fd;
    struct link *link;
    GHashTable *streams; /* name, owned by the stream, to struct stream */
    int exit_status;
};

static void on_stream_gone(struct stream *stream, void *user)
{
    struct worker *worker = user;
    g_hash_table_remove(worker->streams, stream_name(stream));
    stream_destroy(stream);
}

static void quit(struct worker *worker, int exit_status)
{
    worker->exit_status = exit_status;
    g_main_loop_quit(worker->loop);
}

/* Takes the descriptors. */
static void start(struct worker *worker, const struct message_stream_start *message,
                  const int *fds, int fd_count)
{
    if (g_hash_table_contains(worker->streams, message->stream) ||
        g_hash_table_size(worker->streams) >= STREAMS_MAX || fd_count > 2) {
        fprintf(stderr, "worker: stream %s: one too many\n", message->stream);
        for (int i = 0; i < fd_count; i++)
            close(fds[i]);
        quit(worker, EXIT_INTERNAL);
        return;
    }
    struct stream *stream =
        stream_create(message, fd_count > 0 ? fds[0] : -1, fd_count > 1 ? fds[1] : -1,
                      worker->link, on_stream_gone, worker);
    g_hash_table_insert(worker->streams, (gpointer)stream_name(stream), stream);
}

/* Takes the descriptors. */
static void change_model(struct worker *worker, const struct message_stream_start *message,
                         const int *fds, int fd_count)
{
    struct stream *stream = g_hash_table_lookup(worker->streams, message->stream);
    for (int i = stream ? 1 : 0; i < fd_count; i++)
        close(fds[i]);
    if (stream)
        stream_change_model(stream, message, fd_count > 0 ? fds[0] : -1);
}

static void snapshot(struct worker *worker, const struct message_snapshot *message, int fd)
{
    struct stream *stream = g_hash_table_lookup(worker->streams, message->stream);
    if (stream) {
        stream_snapshot(stream, message->request, fd);
        return;
    }
    close(fd);
    struct message *answer = g_new0(struct message, 1);
    answer->type = MESSAGE_SNAPSHOT_DONE;
    answer->snapshot_done.request = message->request;
    g_strlcpy(answer->snapshot_done.stream, message->stream,
              sizeof answer->snapshot_done.stream);
    g_strlcpy(answer->snapshot_done.detail, "there is no such stream",
              sizeof answer->snapshot_done.detail);
    link_post(worker->link, answer);
    g_free(answer);
}

static void resolved(struct worker *worker, const struct message_resolved *message)
{
    GHashTableIter iterator;
    gpointer stream;
    g_hash_table_iter_init(&iterator, worker->streams);
    while (g_hash_table_iter_next(&iterator, NULL, &stream))
        stream_resolved(stream, message);
}

static void dispatch(struct worker *worker, const struct message *message, int *fds,
                     int fd_count)
{
    struct stream *stream;
    switch (message->type) {
    case MESSAGE_STREAM_START:
        start(worker, &message->start, fds, fd_count);
        return;
    case MESSAGE_STREAM_MODEL:
        change_model(worker, &message->start, fds, fd_count);
        return;
    case MESSAGE_SNAPSHOT:
        if (fd_count == 1) {
            snapshot(worker, &message->snapshot, fds[0]);
            return;
        }
        break;
    case MESSAGE_STREAM_STOP:
        if ((stream = g_hash_table_lookup(worker->streams, message->stop.stream)))
            stream_stop(stream);
        break;
    case MESSAGE_RESOLVED:
        resolved(worker, &message->resolved);
        break;
    case MESSAGE_QUIT:
        quit(worker, EXIT_SUCCESS);
        break;
    default:
        fprintf(stderr, "worker: the parent sent what only a worker sends\n");
        quit(worker, EXIT_INTERNAL);
        break;
    }
    for (int i = 0; i < fd_count; i++)
        close(fds[i]);
}

static gboolean on_control(gint fd, GIOCondition condition, gpointer user)
{
    (void)condition;
    struct worker *worker = user;
    struct message *message = g_new0(struct message, 1);
    struct record_error err = {""};
    int fds[CHANNEL_FDS_MAX], fd_count = 0;
    int r = channel_receive(fd, message, fds, &fd_count, &err);
    if (r == 1) {
        dispatch(worker, message, fds, fd_count);
    } else if (r == 0) {
        quit(worker, EXIT_SUCCESS); /* the parent is gone, and with it our purpose */
    } else if (r != -EAGAIN && r != -EINTR) {
        fprintf(stderr, "worker: the parent's message is not valid: %s\n",
                *err.text ? err.text : strerror(-r));
        quit(worker, EXIT_INTERNAL);
    }
    g_free(message);
    return G_SOURCE_CONTINUE;
}

static void say_ready(struct worker *worker)
{
    struct message *message = g_new0(struct message, 1);
    message->type = MESSAGE_READY;
    message->ready.pid = getpid();
    message->ready.locked = true;
    g_strlcpy(message->ready.version, VIGIL_VERSION, sizeof message->ready.version);
    link_post(worker->link, message);
    g_free(message);
}

/* After the sandbox is closed nothing is torn down: the kernel does that faster, and a
 * sanitizer looking for leaks would need what the sandbox forbids. */
static _Noreturn void leave(int status)
{
    fflush(NULL);
    _exit(status);
}

static int close_sandbox(uint64_t file_bytes, int streams)
{
    json_object_seed(0); /* reads /dev/urandom, once */
    int r = sandbox_close(file_bytes, streams);
    if (r < 0) {
        fprintf(stderr, "worker: the sandbox does not close: %s\n", strerror(-r));
        return EXIT_INTERNAL;
    }
    if (options.test_hook) {
        r = sandbox_misbehave(options.test_hook);
        fprintf(stderr, "worker: test hook %s: %s\n", options.test_hook,
                r < 0 ? "there is no such deed" : "the sandbox let it pass");
        leave(EXIT_INTERNAL);
    }
    return 0;
}

static int run_streams(void)
{
    struct record_error err;
    if (warmup_init(&err) < 0 ||
        (options.authorities && tls_name_trust(options.authorities, &err) < 0) ||
        warmup_run(&err) < 0) {
        fprintf(stderr, "worker: %s\n", err.text);
        leave(EXIT_INTERNAL);
    }
    struct worker worker = {
        .loop = g_main_loop_new(NULL, FALSE),
        .fd = options.control_fd,
        .link = link_create(options.control_fd),
        .streams = g_hash_table_new(g_str_hash, g_str_equal),
    };
    if (!worker.link) {
        fprintf(stderr, "worker: descriptor %d is no control socket\n", options.control_fd);
        return EXIT_USAGE;
    }
    int r = close_sandbox(FILE_BYTES_MAX, MIN(options.streams, STREAMS_MAX));
    if (r != 0)
        return r;
    g_unix_fd_add(worker.fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_control, &worker);
    say_ready(&worker);
    g_main_loop_run(worker.loop);
    leave(worker.exit_status);
}

static GBytes *read_stdin(void)
{
    GByteArray *all = g_byte_array_new();
    uint8_t *block = g_malloc(1 << 16);
    ssize_t n;
    while ((n = read(STDIN_FILENO, block, 1 << 16)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || all->len + n > MODELFILE_BYTES_MAX)
            break;
        g_byte_array_append(all, block, (guint)n);
    }
    g_free(block);
    if (n == 0)
        return g_byte_array_free_to_bytes(all);
    g_byte_array_unref(all);
    return NULL;
}

/* The --set options. */
static GHashTable *read_settings(void)
{
    GHashTable *overrides = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (char **setting = options.settings; setting && *setting; setting++) {
        const char *equals = strchr(*setting, '=');
        if (equals)
            g_hash_table_insert(overrides, g_strndup(*setting, (gsize)(equals - *setting)),
                                g_strdup(equals + 1));
    }
    return overrides;
}

static GBytes *read_model(void)
{
    GBytes *bytes = read_stdin();
    if (bytes)
        return bytes;
    fprintf(stderr, "the model cannot be read, or is over %d MiB\n", MODELFILE_MIB_MAX);
    leave(EXIT_NO_INPUT);
}

static int pack(void)
{
    int r = close_sandbox(NN_PACKED_BYTES_MAX, 0);
    if (r != 0)
        return r;
    GBytes *bytes = read_model();
    struct nn_error err = {""};
    /* Who the model is, said before anything of it is looked at: what it makes of us later
     * cannot take that back. */
    if (pack_say_hash(bytes) < 0)
        leave(EXIT_INTERNAL);
    g_autoptr(GHashTable) overrides = read_settings();
    r = pack_model(bytes, overrides, PACKED_FD, &err);
    if (r < 0)
        fprintf(stderr, "%s\n", err.text);
    leave(r < 0 ? EXIT_BAD_MODEL : EXIT_SUCCESS);
}

static int write_frames(void)
{
    struct record_error why;
    if (warmup_init(&why) < 0 || warmup_run(&why) < 0) {
        fprintf(stderr, "%s\n", why.text);
        leave(EXIT_INTERNAL);
    }
    int r = close_sandbox(STDERR_BYTES_MAX, 1);
    if (r != 0)
        return r;
    g_autoptr(GHashTable) overrides = read_settings();
    g_autoptr(GBytes) bytes = read_model();
    struct nn_model *model = NULL;
    struct modelinfo *info = NULL;
    struct nn_error err = {""};
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    r = nn_model_load(data, size, &model, &err);
    if (r == 0)
        r = modelinfo_create_input(model, NULL, overrides, &info, &err);
    int status = r < 0 ? EXIT_BAD_MODEL : EXIT_NO_INPUT;
    if (r == 0)
        r = frames_write(info, CLIP_FD, STDOUT_FILENO, &err);
    if (r < 0)
        fprintf(stderr, "%s\n", err.text);
    leave(r < 0 ? status : EXIT_SUCCESS);
}

static int inspect(void)
{
    int r = close_sandbox(0, 0);
    if (r != 0)
        return r;
    g_autoptr(GHashTable) overrides = read_settings();
    GBytes *bytes = read_model();
    json_t *object;
    struct nn_error err = {""};
    if (inspect_model(bytes, overrides, &object, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        leave(EXIT_BAD_MODEL);
    }
    char *line = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (!line || puts(line) < 0)
        leave(EXIT_INTERNAL);
    leave(EXIT_SUCCESS);
}

int main(int argc, char **argv)
{
    /* GLib's help has an ellipsis; a locale of other characters would need iconv's files. */
    setlocale(LC_CTYPE, "C.UTF-8");
    g_autoptr(GOptionContext) context =
        g_option_context_new("- runs streams for vigild or vigil");
    g_option_context_add_main_entries(context, entries, NULL);
    g_autoptr(GError) error = NULL;
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        fprintf(stderr, "vigil-worker: %s\n", error->message);
        return EXIT_USAGE;
    }
    if (options.version) {
        printf("vigil-worker %s\n", VIGIL_VERSION);
        return EXIT_SUCCESS;
    }
    if (options.frames)
        return write_frames();
    if (options.inspect)
        return inspect();
    if (options.pack)
        return pack();
    if (options.control_fd < 0) {
        fprintf(stderr,
                "vigil-worker: is started by vigild and by `vigil run`, with --control-fd\n");
        return EXIT_USAGE;
    }
    return run_streams();
}
