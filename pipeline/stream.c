#include "pipeline/stream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/connection.h"
#include "nn/packed.h"
#include "pipeline/modelfile.h"
#include "pipeline/reaper.h"
#include "pipeline/report.h"
#include "pipeline/shot.h"
#include "pipeline/tail.h"
#include "pipeline/vigilanalyze.h"

#define STATUS_NS  LIFECYCLE_SECOND
#define RESOLVE_NS (5 * LIFECYCLE_SECOND)

struct stream {
    struct message_stream_start start;
    struct address uri;
    struct link *link;
    void (*gone)(struct stream *stream, void *user);
    void *user;
    int media_fd;

    struct lifecycle life;
    struct tail *tail; /* NULL: the stream could not be set up */
    guint bus_watch;
    GstElement *source; /* in the tail's pipeline; NULL none */
    struct connection *connection;
    int64_t received_before; /* by the tail, when the connection began */
    int64_t packet_told_at, picture_told_at;
    guint timer;
    bool stopping, finishing, drained;

    int64_t resolve_request; /* 0: none outstanding */
    int64_t resolve_deadline;

    int64_t pass_started; /* monotonic, of the first pass over a file or scene */
    int64_t shift;        /* of the present pass */
    int64_t status_at;    /* when the next is due */
    struct report report;
};

static void stream_step(void *user);

static int64_t now_ns(void)
{
    return g_get_monotonic_time() * 1000;
}

static bool is_network(const struct stream *stream)
{
    return stream->uri.kind == ADDRESS_RTSP || stream->uri.kind == ADDRESS_RTSPS;
}

/* ---- status ---- */

/* A file has ended when its last frame is analysed, not when it is decoded. */
static enum stream_state told_state(const struct stream *stream)
{
    return stream->finishing && !stream->drained ? STREAM_LIVE : stream->life.state;
}

static void send_status(struct stream *stream, int64_t now)
{
    struct connection_facts facts;
    struct tail_counters counters;
    if (stream->connection)
        connection_read(stream->connection, &facts);
    if (stream->tail)
        tail_count(stream->tail, &counters);
    report_make(&stream->report, &stream->life, told_state(stream),
                stream->connection ? &facts : NULL, stream->tail ? &counters : NULL, now);
    link_post(stream->link, &stream->report.message);
    stream->status_at = now + STATUS_NS;
}

/* ---- the source ---- */

static const char *default_detail(enum stream_reason reason)
{
    switch (reason) {
    case REASON_NO_DATA:
        return "the camera sends nothing";
    case REASON_NO_PICTURE:
        return "data comes, but no picture decodes";
    case REASON_TIMEOUT:
        return "the camera does not answer";
    case REASON_DISCONNECTED:
        return "the camera ended the session";
    case REASON_UNREADABLE:
        return "there is no picture in the file";
    default:
        return "";
    }
}

static void fail(struct stream *stream, enum stream_reason reason, const char *detail)
{
    if (lifecycle_on_failure(&stream->life, reason, now_ns()))
        report_explain(&stream->report, detail);
}

static void connect_to(struct stream *stream, const char *address)
{
    struct tail_counters counters;
    tail_count(stream->tail, &counters);
    stream->received_before = counters.received;
    stream->connection = connection_create(stream_step, stream);
    report_connect(&stream->report, now_ns());
    stream->packet_told_at = stream->picture_told_at = -1;
    struct source_options options = {
        .uri = &stream->uri,
        .address = address,
        .user = stream->start.user,
        .password = stream->start.password,
        .fd = stream->media_fd,
        .live = stream->start.live,
    };
    if (connection_watch(stream->connection, &options) < 0) {
        fail(stream, REASON_INTERNAL, "the file cannot be opened once more");
        return;
    }
    GstElement *source = source_create(&options);
    if (!source) {
        connection_unwatch(stream->connection); /* why is in its facts */
        return;
    }
    stream->source = gst_object_ref_sink(source);
    gst_bin_add(GST_BIN(tail_pipeline(stream->tail)), source);
    g_autoptr(GstPad) pad = gst_element_get_static_pad(source, "src");
    if (gst_pad_link(pad, tail_sink(stream->tail)) != GST_PAD_LINK_OK ||
        !gst_element_sync_state_with_parent(source))
        fail(stream, REASON_INTERNAL, "the source does not start");
}

static void resolve(struct stream *stream, int64_t now)
{
    static int64_t requests;
    stream->resolve_request = ++requests;
    stream->resolve_deadline = now + RESOLVE_NS;
    struct message *message = g_new0(struct message, 1);
    message->type = MESSAGE_RESOLVE;
    message->resolve.request = stream->resolve_request;
    g_strlcpy(message->resolve.stream, stream->start.stream, sizeof message->resolve.stream);
    g_strlcpy(message->resolve.host, stream->uri.host, sizeof message->resolve.host);
    link_post(stream->link, message);
    g_free(message);
}

static void begin(struct stream *stream, int64_t now)
{
    if (stream->pass_started < 0)
        stream->pass_started = now;
    if (is_network(stream) && !stream->uri.host_is_address)
        resolve(stream, now);
    else
        connect_to(stream, stream->uri.host);
}

/* How much later the next pass over a file starts in the records: in real time as the clock
 * says, else where the last one ended. */
static int64_t next_shift(struct stream *stream, int64_t now)
{
    if (is_network(stream))
        return 0;
    if (stream->start.live)
        return now - stream->pass_started;
    struct tail_counters counters;
    tail_count(stream->tail, &counters);
    return MIN(stream->shift + counters.end_pts_ns, VIGIL_ANALYZE_TIME_MAX);
}

/* Throws the source away; what it still says reaches nobody. */
static void drop_source(struct stream *stream)
{
    stream->resolve_request = 0;
    if (stream->connection) {
        struct connection_facts facts;
        connection_read(stream->connection, &facts);
        report_disconnect(&stream->report, &facts);
        connection_close(stream->connection);
        stream->connection = NULL;
    }
    if (!stream->source)
        return;
    g_autoptr(GstPad) pad = gst_element_get_static_pad(stream->source, "src");
    gst_pad_unlink(pad, tail_sink(stream->tail));
    gst_bin_remove(GST_BIN(tail_pipeline(stream->tail)), stream->source);
    reaper_take(g_steal_pointer(&stream->source), NULL, NULL);
}

static void disconnect(struct stream *stream, int64_t now)
{
    drop_source(stream);
    stream->shift = next_shift(stream, now);
    tail_discontinue(stream->tail, stream->shift);
}

/* ---- steps ---- */

/* What the source gave may still wait to be shown in time, or to be analysed: it is not its
 * fault that nothing more comes. */
static bool is_busy(struct stream *stream, const struct connection_facts *facts)
{
    struct tail_counters counters;
    tail_count(stream->tail, &counters);
    int64_t given = facts->pictures - facts->damaged;
    int64_t done = counters.analysed + counters.skipped + counters.dropped;
    return given > counters.received - stream->received_before || counters.received > done;
}

static void take_end(struct stream *stream)
{
    enum stream_reason before = stream->life.reason;
    lifecycle_on_end(&stream->life, now_ns());
    if (stream->life.reason != before)
        report_explain(&stream->report, default_detail(stream->life.reason));
}

/* Tells the rules what the connection's threads have seen. */
static void digest(struct stream *stream)
{
    if (!stream->connection)
        return;
    struct connection_facts facts;
    connection_read(stream->connection, &facts);
    if (facts.session >= 0)
        lifecycle_on_session(&stream->life, facts.session);
    lifecycle_set_interval(&stream->life, facts.interval);
    if (facts.last_packet > stream->packet_told_at)
        lifecycle_on_packet(&stream->life, stream->packet_told_at = facts.last_packet);
    if (facts.last_picture > stream->picture_told_at)
        lifecycle_on_picture(&stream->life, stream->picture_told_at = facts.last_picture);
    if (!is_network(stream) && is_busy(stream, &facts))
        lifecycle_on_busy(&stream->life, now_ns());
    if (facts.failed)
        fail(stream, facts.reason, facts.detail);
    else if (facts.ended)
        take_end(stream);
}

static void act(struct stream *stream, enum lifecycle_action action, int64_t now)
{
    switch (action) {
    case LIFECYCLE_CONNECT:
        begin(stream, now);
        break;
    case LIFECYCLE_DISCONNECT:
        disconnect(stream, now);
        break;
    case LIFECYCLE_FINISH:
        drop_source(stream);
        stream->finishing = true;
        tail_end(stream->tail);
        break;
    case LIFECYCLE_WAIT:
        break;
    }
}

static gboolean on_timer(gpointer user)
{
    struct stream *stream = user;
    stream->timer = 0;
    stream_step(stream);
    return G_SOURCE_REMOVE;
}

static void arm(struct stream *stream, int64_t now)
{
    if (stream->timer)
        g_source_remove(stream->timer);
    int64_t deadline = MIN(lifecycle_deadline(&stream->life), stream->status_at);
    if (stream->resolve_request)
        deadline = MIN(deadline, stream->resolve_deadline);
    int64_t wait_ms = MAX(0, (deadline - now + 999999) / 1000000);
    stream->timer = g_timeout_add((guint)wait_ms, on_timer, stream);
}

static bool is_news(const struct stream *stream)
{
    struct connection_facts facts;
    if (stream->connection)
        connection_read(stream->connection, &facts);
    return report_is_due(&stream->report, &stream->life, told_state(stream),
                         stream->connection ? &facts : NULL);
}

static void stream_step(void *user)
{
    struct stream *stream = user;
    if (stream->stopping)
        return;
    int64_t now = now_ns();
    enum lifecycle_action action = LIFECYCLE_WAIT;
    do {
        digest(stream);
        if (stream->resolve_request && now >= stream->resolve_deadline) {
            stream->resolve_request = 0;
            fail(stream, REASON_DNS, "the host name was not resolved in time");
        }
        enum stream_reason before = stream->life.reason;
        action = lifecycle_advance(&stream->life, now);
        if (stream->life.reason != before)
            report_explain(&stream->report, is_network(stream)
                                                ? default_detail(stream->life.reason)
                                                : "nothing more has come out of the file");
        act(stream, action, now);
    } while (action != LIFECYCLE_WAIT);
    if (is_news(stream) || now >= stream->status_at)
        send_status(stream, now);
    arm(stream, now);
}

/* ---- the pipeline's messages ---- */

static gboolean on_gone(gpointer user)
{
    struct stream *stream = user;
    struct message *message = g_new0(struct message, 1);
    message->type = MESSAGE_STREAM_DONE;
    g_strlcpy(message->stop.stream, stream->start.stream, sizeof message->stop.stream);
    link_post(stream->link, message);
    g_free(message);
    stream->gone(stream, stream->user);
    return G_SOURCE_REMOVE;
}

void stream_stop(struct stream *stream)
{
    if (stream->stopping)
        return;
    stream->stopping = true;
    if (stream->timer)
        g_source_remove(stream->timer);
    stream->timer = 0;
    if (stream->bus_watch)
        g_source_remove(stream->bus_watch);
    stream->bus_watch = 0;
    if (!stream->tail) {
        g_idle_add(on_gone, stream);
        return;
    }
    drop_source(stream);
    reaper_take(tail_take_pipeline(stream->tail), on_gone, stream);
}

static void on_error(struct stream *stream, GstMessage *message)
{
    /* What the source's own threads said comes first: it knows better than GStreamer why. */
    digest(stream);
    char detail[MESSAGE_DETAIL_SIZE];
    GstObject *from = GST_MESSAGE_SRC(message);
    if (stream->source && (from == GST_OBJECT(stream->source) ||
                           gst_object_has_as_ancestor(from, GST_OBJECT(stream->source)))) {
        enum stream_reason reason =
            source_explain(stream->source, message, detail, sizeof detail);
        fail(stream, reason, detail);
        stream_step(stream);
        return;
    }
    if (!gst_object_has_as_ancestor(from, GST_OBJECT(tail_pipeline(stream->tail))))
        return; /* of a source already thrown away */
    g_autoptr(GError) error = NULL;
    gst_message_parse_error(message, &error, NULL);
    fail(stream, REASON_MODEL, error->message);
    stream_step(stream);
}

/* What the analysis finds odd. Warnings of other elements are for their developers. */
static void on_warning(struct stream *stream, GstMessage *message)
{
    g_autoptr(GError) error = NULL;
    if (!VIGIL_IS_ANALYZE(GST_MESSAGE_SRC(message)))
        return;
    gst_message_parse_warning(message, &error, NULL);
    report_caution(&stream->report, error->message);
}

static gboolean on_bus(GstBus *bus, GstMessage *message, gpointer user)
{
    (void)bus;
    struct stream *stream = user;
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR && !stream->stopping)
        on_error(stream, message);
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_WARNING)
        on_warning(stream, message);
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS && stream->finishing) {
        stream->drained = true;
        send_status(stream, now_ns());
        stream_stop(stream);
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

/* ---- setting up ---- */

static GBytes *map_model(int fd, struct record_error *err)
{
    GBytes *bytes = NULL;
    struct nn_error why = {""};
    if (modelfile_map(fd, &bytes, &why) < 0)
        g_strlcpy(err->text, why.text, sizeof err->text);
    return bytes;
}

/* A packed model is mapped; of an ONNX file, which `vigil run` brings, all is read, since a
 * mapping of it could be cut short under our feet. What comes from vigild is sealed and written
 * by a packer that has met the hostile file: it must not have a parser of ONNX read here what
 * it read there. */
static GBytes *read_model(int fd, struct record_error *err)
{
    struct stat status;
    char start[sizeof(uint64_t)];
    ssize_t known = fd < 0 ? -1 : pread(fd, start, sizeof start, 0);
    if (known > 0 && nn_packed_is(start, (size_t)known))
        return map_model(fd, err);
    if (fd >= 0 && modelfile_is_sealed(fd)) {
        g_strlcpy(err->text, "the model in the sealed file is not packed", sizeof err->text);
        return NULL;
    }
    if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        g_strlcpy(err->text, "the model is not a readable file", sizeof err->text);
        return NULL;
    }
    if (status.st_size <= 0 || status.st_size > MODELFILE_BYTES_MAX) {
        g_snprintf(err->text, sizeof err->text, "the model's file is empty or over %d MiB",
                   MODELFILE_MIB_MAX);
        return NULL;
    }
    size_t size = (size_t)status.st_size;
    uint8_t *bytes = g_try_malloc(size);
    if (!bytes) {
        g_strlcpy(err->text, "no memory for the model", sizeof err->text);
        return NULL;
    }
    for (size_t done = 0; done < size;) {
        ssize_t n = pread(fd, bytes + done, size - done, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            g_free(bytes);
            g_strlcpy(err->text, "the model cannot be read to its end", sizeof err->text);
            return NULL;
        }
        done += (size_t)n;
    }
    return g_bytes_new_take(bytes, size);
}

static bool is_by_clock(const struct stream *stream)
{
    return is_network(stream) || (stream->uri.kind == ADDRESS_SCENE && stream->start.live &&
                                  stream->uri.scene.duration_s == 0);
}

/* REASON_NONE, or why not, with err. */
static enum stream_reason set_up(struct stream *stream, int model_fd, struct record_error *err)
{
    if (address_parse(stream->start.uri, &stream->uri, err) < 0)
        return REASON_INTERNAL;
    if (stream->uri.kind == ADDRESS_FILE && stream->media_fd < 0) {
        g_strlcpy(err->text, "the file came without its descriptor", sizeof err->text);
        return REASON_UNREADABLE;
    }
    /* A camera is live whatever the message says. */
    stream->start.live = stream->start.live || is_network(stream);
    g_autoptr(GBytes) model = read_model(model_fd, err);
    if (!model)
        return REASON_MODEL;
    stream->tail = tail_create(&stream->start, model, is_by_clock(stream), stream->link, err);
    if (!stream->tail)
        return REASON_MODEL;
    g_autoptr(GstBus) bus = gst_element_get_bus(tail_pipeline(stream->tail));
    stream->bus_watch = gst_bus_add_watch(bus, on_bus, stream);
    return REASON_NONE;
}

struct stream *stream_create(const struct message_stream_start *start, int model_fd,
                             int media_fd, struct link *link,
                             void (*gone)(struct stream *stream, void *user), void *user)
{
    struct stream *stream = g_new0(struct stream, 1);
    stream->start = *start;
    stream->media_fd = media_fd;
    stream->link = link;
    stream->gone = gone;
    stream->user = user;
    stream->pass_started = -1;
    int64_t now = now_ns();
    report_init(&stream->report, start->stream, now);

    struct record_error err = {""};
    enum stream_reason reason = set_up(stream, model_fd, &err);
    if (model_fd >= 0)
        close(model_fd);
    lifecycle_init(&stream->life, is_network(stream), start->loop,
                   (uint64_t)g_random_int() << 32 | g_random_int(), now);
    if (reason == REASON_NONE) {
        struct message_stream_status *status = &stream->report.message.status;
        g_strlcpy(status->model, tail_model(stream->tail), sizeof status->model);
    } else {
        lifecycle_give_up(&stream->life, reason);
        report_explain(&stream->report, err.text);
    }
    send_status(stream, now);
    stream_step(stream);
    return stream;
}

void stream_destroy(struct stream *stream)
{
    if (!stream)
        return;
    if (stream->timer)
        g_source_remove(stream->timer);
    if (stream->bus_watch)
        g_source_remove(stream->bus_watch);
    tail_destroy(stream->tail);
    if (stream->media_fd >= 0)
        close(stream->media_fd);
    g_free(stream);
}

const char *stream_name(const struct stream *stream)
{
    return stream->start.stream;
}

void stream_resolved(struct stream *stream, const struct message_resolved *resolved)
{
    if (!stream->resolve_request || resolved->request != stream->resolve_request)
        return;
    stream->resolve_request = 0;
    if (resolved->address_count == 0) {
        fail(stream, REASON_DNS, "the host name does not resolve");
    } else {
        /* Each attempt asks anew, and takes the next address. */
        int which = (int)((stream->life.attempts - 1) % resolved->address_count);
        connect_to(stream, resolved->addresses[which]);
    }
    stream_step(stream);
}

void stream_change_model(struct stream *stream, const struct message_stream_start *change,
                         int model_fd)
{
    struct record_error err = {""};
    struct message_stream_status *status = &stream->report.message.status;
    bool runs = stream->tail && !stream->stopping;
    g_autoptr(GBytes) model = runs ? read_model(model_fd, &err) : NULL;
    if (model_fd >= 0)
        close(model_fd);
    if (!runs)
        return;
    if (!model || tail_change_model(stream->tail, change, model, &err) < 0) {
        fail(stream, REASON_MODEL, err.text);
    } else {
        g_strlcpy(status->model, tail_model(stream->tail), sizeof status->model);
        send_status(stream, now_ns());
    }
    stream_step(stream);
}

void stream_snapshot(struct stream *stream, int64_t request, int fd)
{
    bool playing = stream->tail && !stream->stopping;
    shot_take(stream->link, stream->start.stream, request,
              playing ? tail_last_sample(stream->tail) : NULL, fd);
}
