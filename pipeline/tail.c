#include "pipeline/tail.h"

#include <errno.h>
#include <string.h>

#include "pipeline/detection.h"
#include "pipeline/recent.h"
#include "pipeline/source.h"
#include "pipeline/stopwatch.h"
#include "pipeline/vigilanalyze.h"

/* Frames between decoder and analysis: enough to bridge a scheduling hiccup, few enough that a
 * live picture is never a second old. */
#define QUEUE_FRAMES 4

#define DRIFT_NS (INT64_C(10) * 1000000000)

#define SHIFT_FIELD "shift"

/* Of the event that changes the model: what records say of it. */
#define MODEL_FIELD "record-model"

struct tail {
    GstElement *pipeline;
    GstElement *queue, *analyze, *sink; /* in it */
    GstPad *sink_pad;
    struct link *link;
    bool live, camera;
    GCancellable *cancel;
    char model[RECORD_MODEL_SIZE]; /* the latest that was taken; detection has the one in use */

    GMutex lock; /* guards what follows */
    struct detection detection;
    int64_t pace;
    struct {
        int64_t least, until; /* until -1: no stretch has begun */
        bool known;           /* a whole stretch has been seen */
    } drift;
    GstClockTime damaged_at; /* pts of the last frame behind a damaged one */
    int64_t received, dropped;
    uint64_t entered, left;  /* numbers of the next frame into the queue, out of it */
    int64_t analysed_before; /* when the present connection began */
    int64_t first_analysed_ms, last_frame_ms;
    int64_t end_pts;
    int64_t records_lost;
    int64_t analysed, inference_ns; /* of the element's stats, last seen */
    struct histogram inference, latency;
    struct recent recent; /* latency */
    double latency_ms;
    int64_t cpu_ns;

    struct stopwatch began; /* the analysing thread's, with the present frame */
};

static int64_t unix_ms(void)
{
    return g_get_real_time() / 1000;
}

/* How far the pipeline's clock has run, as its frames count, or -1. */
static int64_t running_now(struct tail *tail)
{
    g_autoptr(GstClock) clock = gst_element_get_clock(tail->analyze);
    if (!clock)
        return -1;
    return (int64_t)(gst_clock_get_time(clock) - gst_element_get_base_time(tail->analyze));
}

static int64_t stat(const GstStructure *stats, const char *field)
{
    guint64 value = 0;
    gst_structure_get_uint64(stats, field, &value);
    return (int64_t)value;
}

static GstStructure *read_stats(struct tail *tail)
{
    GstStructure *stats = NULL;
    g_object_get(tail->analyze, "stats", &stats, NULL);
    return stats;
}

/* Frames of a camera carry its clock's time, which begins anywhere with each connection and
 * runs away from ours by seconds a week. The least delayed frame of each stretch of DRIFT_NS
 * counts as having come at once; within the first stretch, the least delayed so far. With the
 * lock held. */
static void follow_drift(struct tail *tail, int64_t now, int64_t running)
{
    int64_t delay = now - running;
    if (tail->drift.until < 0) {
        tail->drift.until = now + DRIFT_NS;
        tail->drift.least = delay;
    }
    tail->drift.least = MIN(tail->drift.least, delay);
    bool over = now >= tail->drift.until;
    if (over || !tail->drift.known)
        tail->pace = tail->drift.least;
    if (over) {
        tail->drift.known = true;
        tail->drift.until = -1;
    }
}

/* Of the buffer, by the segment last seen on pad; or -1, also when nobody can reckon with
 * it. */
static int64_t running_of(GstPad *pad, GstBuffer *buffer)
{
    g_autoptr(GstEvent) event = gst_pad_get_sticky_event(pad, GST_EVENT_SEGMENT, 0);
    const GstSegment *segment = NULL;
    if (event)
        gst_event_parse_segment(event, &segment);
    if (!segment || segment->format != GST_FORMAT_TIME)
        return -1;
    GstClockTime running =
        gst_segment_to_running_time(segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
    return running <= VIGIL_ANALYZE_TIME_MAX ? (int64_t)running : -1;
}

/* Where the buffer ends, as far as it says so in usable times; 0 when it does not. */
static int64_t end_of(GstBuffer *buffer)
{
    GstClockTime pts = GST_BUFFER_PTS(buffer), duration = GST_BUFFER_DURATION(buffer);
    if (pts > VIGIL_ANALYZE_TIME_MAX)
        return 0;
    GstClockTime end = duration <= VIGIL_ANALYZE_TIME_MAX ? pts + duration : pts;
    return (int64_t)MIN(end, VIGIL_ANALYZE_TIME_MAX);
}

static GstPadProbeReturn on_enter(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    struct tail *tail = user;
    GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER(info);
    bool congested = tail->live && link_is_congested(tail->link);
    int64_t now = running_now(tail), running = running_of(pad, buffer);
    g_mutex_lock(&tail->lock);
    if (tail->camera && now >= 0 && running >= 0)
        follow_drift(tail, now, running);
    tail->received++;
    tail->dropped += congested;
    tail->end_pts = MAX(tail->end_pts, end_of(buffer));
    if (!congested) {
        /* Numbered, so that a gap behind the queue counts what it dropped. */
        buffer = gst_buffer_make_writable(buffer);
        GST_BUFFER_OFFSET(buffer) = tail->entered++;
        GST_PAD_PROBE_INFO_DATA(info) = buffer;
    }
    g_mutex_unlock(&tail->lock);
    return congested ? GST_PAD_PROBE_DROP : GST_PAD_PROBE_OK;
}

static GstPadProbeReturn on_leave(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    (void)pad;
    struct tail *tail = user;
    GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER(info);
    tail->began = stopwatch_now();
    g_mutex_lock(&tail->lock);
    tail->dropped += (int64_t)(GST_BUFFER_OFFSET(buffer) - tail->left);
    tail->left = GST_BUFFER_OFFSET(buffer) + 1;
    /* The source's mark: see source.h, picture. */
    if (GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_CORRUPTED))
        tail->damaged_at = GST_BUFFER_PTS(buffer);
    g_mutex_unlock(&tail->lock);
    return GST_PAD_PROBE_OK;
}

/* In stream order: the events that a discontinuity ended are posted already. */
static void take_event(struct tail *tail, GstEvent *event)
{
    const GstStructure *structure = gst_event_get_structure(event);
    const char *model = gst_structure_get_string(structure, MODEL_FIELD);
    gint64 value;
    g_mutex_lock(&tail->lock);
    if (gst_event_has_name(event, VIGIL_ANALYZE_DISCONTINUITY) &&
        gst_structure_get_int64(structure, SHIFT_FIELD, &value)) {
        detection_restart(&tail->detection, value);
        tail->damaged_at = GST_CLOCK_TIME_NONE;
    } else if (gst_event_has_name(event, SOURCE_PACE) &&
               gst_structure_get_int64(structure, "offset", &value)) {
        tail->pace = CLAMP(value, -VIGIL_ANALYZE_TIME_MAX, VIGIL_ANALYZE_TIME_MAX);
    } else if (gst_event_has_name(event, VIGIL_ANALYZE_MODEL) && model) {
        g_strlcpy(tail->detection.model, model, sizeof tail->detection.model);
    }
    g_mutex_unlock(&tail->lock);
}

/* A frame has been analysed, as the element's stats say; latency_ns < 0: not known. With the
 * lock held. */
static void note_analysed(struct tail *tail, const GstStructure *stats, int64_t latency_ns)
{
    int64_t inference = stat(stats, "inference-time");
    histogram_add(&tail->inference, (double)(inference - tail->inference_ns) / 1e9);
    tail->inference_ns = inference;
    tail->analysed = stat(stats, "analysed");
    if (tail->first_analysed_ms == RECORD_NO_TIME && tail->analysed > tail->analysed_before)
        tail->first_analysed_ms = unix_ms();
    if (latency_ns < 0)
        return;
    tail->latency_ms = (double)latency_ns / 1e6;
    histogram_add(&tail->latency, (double)latency_ns / 1e9);
    recent_add(&tail->recent, latency_ns, g_get_monotonic_time() * 1000);
}

/* Behind vigilanalyze: what passes here has been analysed or skipped. */
static GstPadProbeReturn on_analysed(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    struct tail *tail = user;
    if (GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM) {
        GstEvent *event = GST_PAD_PROBE_INFO_EVENT(info);
        if (GST_EVENT_TYPE(event) == GST_EVENT_CUSTOM_DOWNSTREAM_STICKY)
            take_event(tail, event);
        return GST_PAD_PROBE_OK;
    }
    int64_t running = running_of(pad, GST_PAD_PROBE_INFO_BUFFER(info));
    int64_t now = running_now(tail);
    int64_t cpu_ns = stopwatch_now().cpu_ns - tail->began.cpu_ns;
    GstStructure *stats = read_stats(tail);
    g_mutex_lock(&tail->lock);
    tail->last_frame_ms = unix_ms();
    tail->cpu_ns += cpu_ns;
    if (stat(stats, "analysed") > tail->analysed) {
        bool timed = tail->live && now >= 0 && running >= 0;
        note_analysed(tail, stats, timed ? MAX(now - tail->pace - running, 0) : -1);
    }
    g_mutex_unlock(&tail->lock);
    gst_structure_free(stats);
    return GST_PAD_PROBE_OK;
}

static void send(struct tail *tail, const struct message *message)
{
    /* A file's analysis goes at the pace of whoever reads its records. What does not fit while
     * live is bounded and its frames are dropped first, so that records are not. */
    if (!tail->live) {
        link_deliver(tail->link, message, tail->cancel);
    } else if (link_post(tail->link, message) == -ENOBUFS && message->type == MESSAGE_RECORD) {
        g_mutex_lock(&tail->lock);
        tail->records_lost++;
        g_mutex_unlock(&tail->lock);
    }
}

static void on_event(struct tail *tail, const struct vigilmessage_event *event)
{
    struct message *message = g_new0(struct message, 1);
    message->type = MESSAGE_RECORD;
    struct detection_now now = {.running_ns = running_now(tail), .unix_ms = unix_ms()};
    g_mutex_lock(&tail->lock);
    now.running_ns -= tail->pace;
    detection_record(&tail->detection, event, &now, &message->record);
    message->record.damaged = GST_CLOCK_TIME_IS_VALID(tail->damaged_at) &&
                              tail->damaged_at >= event->first_pts &&
                              tail->damaged_at <= event->last_pts;
    g_mutex_unlock(&tail->lock);
    send(tail, message);
    g_free(message);
}

static void on_window(struct tail *tail, const struct vigilmessage_window *window)
{
    struct message *message = g_new0(struct message, 1);
    message->type = MESSAGE_WINDOW;
    g_mutex_lock(&tail->lock);
    detection_window(&tail->detection, window, &message->window);
    g_mutex_unlock(&tail->lock);
    send(tail, message);
    g_free(message);
}

/* In the thread that analyses, so that records are in order and a file waits for its reader. */
static GstBusSyncReply on_message(GstBus *bus, GstMessage *message, gpointer user)
{
    (void)bus;
    struct tail *tail = user;
    if (GST_MESSAGE_TYPE(message) != GST_MESSAGE_ELEMENT)
        return GST_BUS_PASS;
    struct vigilmessage_event event;
    struct vigilmessage_window window;
    if (vigilmessage_event_parse(message, &event))
        on_event(tail, &event);
    else if (vigilmessage_window_parse(message, &window))
        on_window(tail, &window);
    gst_message_unref(message);
    return GST_BUS_DROP;
}

static GstStructure *overrides(const struct message_stream_start *start)
{
    GstStructure *structure = gst_structure_new_empty("vigil");
    for (int i = 0; i < start->override_count; i++)
        gst_structure_set(structure, start->overrides[i].key, G_TYPE_STRING,
                          start->overrides[i].value, NULL);
    return structure;
}

static void add_probe(GstElement *element, const char *name, GstPadProbeType type,
                      GstPadProbeCallback callback, struct tail *tail)
{
    g_autoptr(GstPad) pad = gst_element_get_static_pad(element, name);
    gst_pad_add_probe(pad, type, callback, tail, NULL);
}

/* 0, or -1 with err. */
static int build(struct tail *tail, const struct message_stream_start *start, GBytes *model,
                 struct record_error *err)
{
    GstElement *convert = gst_element_factory_make("videoconvert", NULL);
    tail->queue = gst_element_factory_make("queue", NULL);
    tail->analyze = gst_element_factory_make("vigilanalyze", NULL);
    tail->sink = gst_element_factory_make("fakesink", NULL);
    GstElement *const chain[] = {tail->queue, convert, tail->analyze, tail->sink};
    for (size_t i = 0; i < G_N_ELEMENTS(chain); i++) {
        if (!chain[i] || !gst_bin_add(GST_BIN(tail->pipeline), chain[i]) ||
            (i > 0 && !gst_element_link(chain[i - 1], chain[i]))) {
            g_strlcpy(err->text, "the pipeline's elements do not fit together",
                      sizeof err->text);
            return -1;
        }
    }
    g_object_set(tail->queue, "max-size-buffers", QUEUE_FRAMES, "max-size-bytes", 0,
                 "max-size-time", (guint64)0, NULL);
    if (tail->live)
        gst_util_set_object_arg(G_OBJECT(tail->queue), "leaky", "downstream");
    /* The pipeline plays before there is a picture. */
    g_object_set(tail->sink, "async", FALSE, "sync", FALSE, "enable-last-sample", TRUE, NULL);
    GstStructure *replaced = overrides(start);
    g_object_set(tail->analyze, "model-bytes", model, "model-name", start->model, "overrides",
                 replaced, "post-windows", (gboolean)start->windows, NULL);
    gst_structure_free(replaced);
    tail->sink_pad = gst_element_get_static_pad(tail->queue, "sink");
    add_probe(tail->queue, "sink", GST_PAD_PROBE_TYPE_BUFFER, on_enter, tail);
    add_probe(tail->queue, "src", GST_PAD_PROBE_TYPE_BUFFER, on_leave, tail);
    add_probe(tail->analyze, "src",
              GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_analysed,
              tail);
    return 0;
}

/* What vigilanalyze says of a model it cannot load. */
static void explain_failure(struct tail *tail, struct record_error *err)
{
    g_strlcpy(err->text, "the model cannot be loaded", sizeof err->text);
    g_autoptr(GstBus) bus = gst_element_get_bus(tail->pipeline);
    g_autoptr(GstMessage) message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
    if (!message)
        return;
    g_autoptr(GError) error = NULL;
    gst_message_parse_error(message, &error, NULL);
    g_strlcpy(err->text, error->message, sizeof err->text);
}

static char *hash_of(const struct message_stream_start *start, GBytes *model)
{
    return *start->model_sha256 ? g_strdup(start->model_sha256)
                                : g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, model);
}

struct tail *tail_create(const struct message_stream_start *start, GBytes *model, bool by_clock,
                         struct link *link, struct record_error *err)
{
    struct tail *tail = g_new0(struct tail, 1);
    g_mutex_init(&tail->lock);
    tail->cancel = g_cancellable_new();
    tail->link = link;
    tail->live = start->live;
    tail->camera = g_str_has_prefix(start->uri, "rtsp");
    tail->first_analysed_ms = tail->last_frame_ms = RECORD_NO_TIME;
    tail->latency_ms = -1;
    tail->drift.until = -1;
    tail->damaged_at = GST_CLOCK_TIME_NONE;
    g_autofree char *hash = hash_of(start, model);
    detection_init(&tail->detection, start, hash, by_clock);
    g_strlcpy(tail->model, tail->detection.model, sizeof tail->model);
    tail->pipeline = gst_object_ref_sink(gst_pipeline_new(start->stream));
    g_autoptr(GstBus) bus = gst_element_get_bus(tail->pipeline);
    gst_bus_set_sync_handler(bus, on_message, tail, NULL);
    if (build(tail, start, model, err) < 0)
        goto fail;
    if (gst_element_set_state(tail->pipeline, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE) {
        explain_failure(tail, err);
        goto fail;
    }
    return tail;
fail:
    gst_element_set_state(tail->pipeline, GST_STATE_NULL);
    tail_destroy(tail);
    return NULL;
}

void tail_destroy(struct tail *tail)
{
    if (!tail)
        return;
    g_clear_object(&tail->sink_pad);
    g_clear_object(&tail->pipeline);
    g_object_unref(tail->cancel);
    g_mutex_clear(&tail->lock);
    g_free(tail);
}

GstElement *tail_pipeline(struct tail *tail)
{
    return tail->pipeline;
}

GstPad *tail_sink(struct tail *tail)
{
    return tail->sink_pad;
}

const char *tail_model(struct tail *tail)
{
    return tail->model;
}

GstElement *tail_take_pipeline(struct tail *tail)
{
    g_cancellable_cancel(tail->cancel);
    return g_steal_pointer(&tail->pipeline);
}

int tail_change_model(struct tail *tail, const struct message_stream_start *start,
                      GBytes *model, struct record_error *err)
{
    g_autoptr(GstStructure) replaced = overrides(start);
    g_autofree char *hash = hash_of(start, model);
    struct nn_error why = {""};
    GstEvent *event = vigil_analyze_model_event_new(VIGIL_ANALYZE(tail->analyze), model,
                                                    start->model, replaced, &why);
    if (!event) {
        g_snprintf(err->text, sizeof err->text, "model %s: %s", start->model, why.text);
        return -1;
    }
    g_snprintf(tail->model, sizeof tail->model, "%s@%.8s", start->model, hash);
    gst_structure_set(gst_event_writable_structure(event), MODEL_FIELD, G_TYPE_STRING,
                      tail->model, NULL);
    gst_pad_send_event(tail->sink_pad, event);
    return 0;
}

void tail_discontinue(struct tail *tail, int64_t shift_ns)
{
    GstStructure *stats = read_stats(tail);
    g_mutex_lock(&tail->lock);
    tail->analysed_before = stat(stats, "analysed");
    tail->first_analysed_ms = RECORD_NO_TIME;
    tail->end_pts = 0;
    /* The pace stays: the events that end now are of the old connection. */
    tail->drift.known = false;
    tail->drift.until = -1;
    g_mutex_unlock(&tail->lock);
    gst_structure_free(stats);
    /* Sticky: the queue may throw other events away with the frames it drops. */
    gst_pad_send_event(
        tail->sink_pad,
        gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM_STICKY,
                             gst_structure_new(VIGIL_ANALYZE_DISCONTINUITY, SHIFT_FIELD,
                                               G_TYPE_INT64, shift_ns, NULL)));
}

void tail_end(struct tail *tail)
{
    gst_pad_send_event(tail->sink_pad, gst_event_new_eos());
}

/* With the lock held. */
static double recent_ms(struct tail *tail, double quantile)
{
    double ns = recent_quantile(&tail->recent, quantile, g_get_monotonic_time() * 1000);
    return ns < 0 ? -1 : ns / 1e6;
}

void tail_count(struct tail *tail, struct tail_counters *ret_counters)
{
    GstStructure *stats = read_stats(tail);
    g_mutex_lock(&tail->lock);
    struct tail_counters counters = {
        .received = tail->received,
        .analysed = stat(stats, "analysed"),
        .skipped = stat(stats, "skipped"),
        .dropped = tail->dropped,
        .windows = stat(stats, "windows"),
        .first_analysed_ms = tail->first_analysed_ms,
        .last_frame_ms = tail->last_frame_ms,
        .end_pts_ns = tail->end_pts,
        .records_lost = tail->records_lost,
        .latency_ms = tail->latency_ms,
        .latency_p50_ms = recent_ms(tail, 0.5),
        .latency_p99_ms = recent_ms(tail, 0.99),
        .inference = tail->inference,
        .latency = tail->latency,
        .cpu_ms = (double)tail->cpu_ns / 1e6,
    };
    g_mutex_unlock(&tail->lock);
    gst_structure_free(stats);
    *ret_counters = counters;
}

GstSample *tail_last_sample(struct tail *tail)
{
    GstSample *sample = NULL;
    g_object_get(tail->sink, "last-sample", &sample, NULL);
    return sample;
}
