/**
 * SECTION:element-vigilanalyze
 * @title: vigilanalyze
 *
 * Watches video through an ONNX model and posts element messages about what happens
 * (pipeline/vigilmessage.h). How the model wants its pictures, and when a score becomes an
 * event, is in the model's `vigil.` metadata, in a file MODEL.onnx.modelinfo beside it, or in
 * the property #VigilAnalyze:overrides (pipeline/modelinfo.h lists the keys).
 *
 * ## Example launch line
 * |[
 * gst-launch-1.0 -m filesrc location=clip.mp4 ! decodebin ! videoconvert \
 *     ! vigilanalyze model=models/scene.onnx threshold=0.7 post-windows=true ! fakesink
 * ]|
 * prints the scores of every window, and an event's start, course and end.
 */
#include "pipeline/vigilanalyze.h"

#include <errno.h>
#include <string.h>

#include <gst/video/video.h>

#include "pipeline/analysis.h"
#include "pipeline/modelfile.h"

GST_DEBUG_CATEGORY_STATIC(vigil_analyze_debug);
#define GST_CAT_DEFAULT vigil_analyze_debug

/* Scores a little outside 0..1 are rounding; more means that the head is another. */
#define SCORE_SLACK 1e-3f

_Static_assert(MODELINFO_LABELS_MAX <= VIGILMESSAGE_LABELS_MAX, "a window has room for them");

enum {
    PROP_MODEL = 1,
    PROP_MODEL_BYTES,
    PROP_MODEL_NAME,
    PROP_OVERRIDES,
    PROP_THRESHOLD,
    PROP_FPS,
    PROP_STRIDE,
    PROP_ROI,
    PROP_POST_WINDOWS,
    PROP_REFERENCE_KERNELS,
    PROP_STATS,
};

struct settings {
    char *model;
    GBytes *model_bytes;
    char *model_name;
    GstStructure *overrides;
    double threshold, fps; /* 0: the model's own */
    guint stride;
    char *roi;
    gboolean reference_kernels;
};

/* A model that is ready to watch. */
struct loaded {
    struct modelinfo *info;
    struct analysis *analysis;
    char *name; /* in messages */
};

struct _VigilAnalyze {
    GstBaseTransform parent;

    /* Under the object lock. */
    struct settings settings;
    gboolean post_windows;
    struct analysis_counters counters;
    guint64 unstamped; /* frames without a time: neither analysed nor known to analysis */
    GstClockTime last_pts;

    /* Of the streaming thread; made in start, gone in stop. */
    struct loaded loaded;
    struct analysis_counters before; /* of models that watched before it */
    struct convert_region region;
    GstVideoInfo format;
    GstClockTime running_time; /* of the frame in hand */
    gboolean warned_unstamped, warned_scores;
};

G_DEFINE_TYPE(VigilAnalyze, vigil_analyze, GST_TYPE_BASE_TRANSFORM)

static GstStaticPadTemplate sink_template =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS,
                            GST_STATIC_CAPS(GST_VIDEO_CAPS_MAKE(CONVERT_FORMATS)));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_VIDEO_CAPS_MAKE(CONVERT_FORMATS)));

static void settings_copy(const struct settings *from, struct settings *ret_to)
{
    *ret_to = *from;
    ret_to->model = g_strdup(from->model);
    ret_to->model_bytes = from->model_bytes ? g_bytes_ref(from->model_bytes) : NULL;
    ret_to->model_name = g_strdup(from->model_name);
    ret_to->overrides = from->overrides ? gst_structure_copy(from->overrides) : NULL;
    ret_to->roi = g_strdup(from->roi);
}

static void settings_clear(struct settings *settings)
{
    g_clear_pointer(&settings->model, g_free);
    g_clear_pointer(&settings->model_bytes, g_bytes_unref);
    g_clear_pointer(&settings->model_name, g_free);
    g_clear_pointer(&settings->overrides, gst_structure_free);
    g_clear_pointer(&settings->roi, g_free);
}

/* A model read with the wrong head finds nothing, or everything, without a word: say it
 * once. */
static void check_scores(VigilAnalyze *self, const float *scores)
{
    for (int i = 0; !self->warned_scores && i < self->loaded.info->label_count; i++) {
        if (scores[i] >= -SCORE_SLACK && scores[i] <= 1 + SCORE_SLACK)
            continue;
        self->warned_scores = TRUE;
        GST_ELEMENT_WARNING(
            self, STREAM, FORMAT,
            ("model %s: score %g of label %s is not in 0..1: if it ends without "
             "softmax or sigmoid, set vigil.head to the one it needs",
             self->loaded.name, scores[i], self->loaded.info->labels[i].name),
            (NULL));
    }
}

static void take_window(const struct events_window *window, void *data)
{
    VigilAnalyze *self = data;
    const struct modelinfo *info = self->loaded.info;
    check_scores(self, window->scores);
    GST_OBJECT_LOCK(self);
    gboolean wanted = self->post_windows;
    GST_OBJECT_UNLOCK(self);
    if (!wanted)
        return;
    struct vigilmessage_window out = {
        .pts = window->last_pts_ns,
        .running_time = self->running_time,
        .first_pts = window->first_pts_ns,
        .last_pts = window->last_pts_ns,
        .frames = window->frames,
        .score_count = info->label_count,
        .model = self->loaded.name,
    };
    for (int i = 0; i < info->label_count; i++) {
        out.labels[i] = info->labels[i].name;
        out.scores[i] = window->scores[i];
    }
    gst_element_post_message(GST_ELEMENT(self),
                             vigilmessage_window_new(GST_OBJECT(self), &out));
}

static void take_event(const struct events_report *report, void *data)
{
    VigilAnalyze *self = data;
    const struct modelinfo_label *label = &self->loaded.info->labels[report->label];
    struct vigilmessage_event out = {
        .phase = report->phase,
        .kind = label->kind,
        .label = label->name,
        .score = report->score,
        .start = report->start_ns,
        .end = report->end_ns == RECORD_NO_TIME ? GST_CLOCK_TIME_NONE
                                                : (GstClockTime)report->end_ns,
        .pts = report->pts_ns,
        .running_time = self->running_time,
        .first_pts = report->first_pts_ns,
        .last_pts = report->last_pts_ns,
        .frames = report->frames,
        .model = self->loaded.name,
    };
    GST_DEBUG_OBJECT(self, "%s %s, score %.3f", label->name, record_phase_name(report->phase),
                     report->score);
    gst_element_post_message(GST_ELEMENT(self), vigilmessage_event_new(GST_OBJECT(self), &out));
}

static void override_number(GHashTable *overrides, const char *key, double number)
{
    char text[G_ASCII_DTOSTR_BUF_SIZE];
    if (number > 0)
        modelkeys_overrides_add(overrides, key, g_ascii_dtostr(text, sizeof text, number));
}

static gboolean add_override(GQuark field, const GValue *value, gpointer overrides)
{
    GValue text = G_VALUE_INIT;
    g_value_init(&text, G_TYPE_STRING);
    if (!g_value_transform(value, &text))
        return FALSE;
    const char *string = g_value_get_string(&text);
    modelkeys_overrides_add(overrides, g_quark_to_string(field), string ? string : "");
    g_value_unset(&text);
    return TRUE;
}

/* The properties, then the property overrides, then the sidecar: the first to name a key wins.
 */
static int collect_overrides(const struct settings *settings, GHashTable *overrides,
                             struct nn_error *err)
{
    override_number(overrides, "vigil.enter", settings->threshold);
    override_number(overrides, "vigil.fps", settings->fps);
    override_number(overrides, "vigil.stride", settings->stride);
    if (settings->overrides &&
        !gst_structure_foreach(settings->overrides, add_override, overrides)) {
        g_strlcpy(err->text, "overrides: values should be strings or numbers",
                  sizeof err->text);
        return -EINVAL;
    }
    if (settings->model && !settings->model_bytes)
        return modelfile_read_sidecar(settings->model, overrides, err);
    return 0;
}

static gboolean parse_roi(const char *text, struct convert_region *ret_region)
{
    double numbers[4] = {0, 0, 1, 1};
    if (text) {
        g_auto(GStrv) parts = g_strsplit(text, ",", 5);
        if (g_strv_length(parts) != 4)
            return FALSE;
        for (int i = 0; i < 4; i++)
            if (!modelkeys_parse_number(parts[i], &numbers[i]))
                return FALSE;
    }
    *ret_region = (struct convert_region){numbers[0], numbers[1], numbers[2], numbers[3]};
    return convert_region_is_valid(ret_region);
}

static char *name_model(const struct settings *settings)
{
    if (settings->model_name)
        return g_strdup(settings->model_name);
    if (!settings->model)
        return g_strdup("model");
    char *name = g_path_get_basename(settings->model);
    if (g_str_has_suffix(name, ".onnx"))
        name[strlen(name) - strlen(".onnx")] = 0;
    return name;
}

static void loaded_clear(struct loaded *loaded)
{
    g_clear_pointer(&loaded->analysis, analysis_destroy);
    g_clear_pointer(&loaded->info, modelinfo_destroy);
    g_clear_pointer(&loaded->name, g_free);
}

/* loaded_clear it also after a failure: the name is there in any case. */
static int load(VigilAnalyze *self, const struct settings *settings, struct loaded *ret_loaded,
                struct nn_error *err)
{
    g_autoptr(GHashTable) overrides = modelkeys_overrides_new();
    g_autoptr(GBytes) bytes = settings->model_bytes ? g_bytes_ref(settings->model_bytes) : NULL;
    struct nn_model *model = NULL;
    struct nn_plan *plan = NULL;
    struct analysis_callbacks callbacks = {take_window, take_event, self};
    *ret_loaded = (struct loaded){.name = name_model(settings)};
    int r = bytes ? 0 : modelfile_read(settings->model, &bytes, err);
    if (r == 0)
        r = collect_overrides(settings, overrides, err);
    if (r == 0)
        r = modelfile_load(bytes, &model, err);
    if (r == 0)
        r = modelinfo_create(model, overrides, &ret_loaded->info, err);
    if (r == 0)
        r = modelinfo_plan(ret_loaded->info, model,
                           settings->reference_kernels ? NN_KERNELS_REFERENCE : NN_KERNELS_BEST,
                           &plan, err);
    if (r == 0)
        r = analysis_create(ret_loaded->info, plan, &callbacks, &ret_loaded->analysis, err);
    nn_plan_unref(plan);
    nn_model_unref(model);
    return r;
}

/* The element's whole set-up; says on the bus what is wrong. */
static gboolean start(VigilAnalyze *self, const struct settings *settings)
{
    struct nn_error err = {"out of memory"};
    if (!settings->model && !settings->model_bytes) {
        GST_ELEMENT_ERROR(self, RESOURCE, NOT_FOUND, ("no model: set model=FILE.onnx"), (NULL));
        return FALSE;
    }
    if (!parse_roi(settings->roi, &self->region)) {
        GST_ELEMENT_ERROR(self, LIBRARY, SETTINGS,
                          ("roi \"%s\": should be X,Y,WIDTH,HEIGHT inside 0..1", settings->roi),
                          (NULL));
        return FALSE;
    }
    if (load(self, settings, &self->loaded, &err) < 0) {
        GST_ELEMENT_ERROR(self, RESOURCE, OPEN_READ,
                          ("model %s: %s", self->loaded.name, err.text), (NULL));
        loaded_clear(&self->loaded);
        return FALSE;
    }
    return TRUE;
}

static gboolean vigil_analyze_start(GstBaseTransform *trans)
{
    VigilAnalyze *self = VIGIL_ANALYZE(trans);
    struct settings settings;
    GST_OBJECT_LOCK(self);
    settings_copy(&self->settings, &settings);
    self->counters = self->before = (struct analysis_counters){0};
    self->unstamped = 0;
    self->last_pts = GST_CLOCK_TIME_NONE;
    GST_OBJECT_UNLOCK(self);
    self->running_time = GST_CLOCK_TIME_NONE;
    self->warned_unstamped = self->warned_scores = FALSE;
    gst_video_info_init(&self->format);
    gboolean ok = start(self, &settings);
    settings_clear(&settings);
    return ok;
}

/* Since the element was started, whatever models watched. */
static struct analysis_counters count(const VigilAnalyze *self)
{
    const struct analysis_counters *before = &self->before;
    struct analysis_counters counters;
    analysis_count(self->loaded.analysis, &counters);
    counters.received += before->received;
    counters.analysed += before->analysed;
    counters.stale += before->stale;
    counters.windows += before->windows;
    counters.discontinuities += before->discontinuities;
    counters.convert_ns += before->convert_ns;
    counters.inference_ns += before->inference_ns;
    return counters;
}

static void publish_counters(VigilAnalyze *self, GstClockTime last_pts)
{
    GST_OBJECT_LOCK(self);
    self->counters = count(self);
    if (GST_CLOCK_TIME_IS_VALID(last_pts))
        self->last_pts = last_pts;
    GST_OBJECT_UNLOCK(self);
}

static gboolean vigil_analyze_stop(GstBaseTransform *trans)
{
    VigilAnalyze *self = VIGIL_ANALYZE(trans);
    /* Whoever stops a stream without EOS still wants to know that its events are over. */
    analysis_flush(self->loaded.analysis);
    loaded_clear(&self->loaded);
    return TRUE;
}

static gboolean take_format(VigilAnalyze *self, const GstVideoInfo *format)
{
    int r = analysis_set_format(self->loaded.analysis, format, &self->region);
    if (r == 0)
        return TRUE;
    GST_ELEMENT_ERROR(self, STREAM, FORMAT,
                      ("pictures of %dx%d cannot be converted", format->width, format->height),
                      ("%s", g_strerror(-r)));
    return FALSE;
}

static gboolean vigil_analyze_set_caps(GstBaseTransform *trans, GstCaps *in, GstCaps *out)
{
    VigilAnalyze *self = VIGIL_ANALYZE(trans);
    GstVideoInfo format;
    (void)out;
    if (!gst_video_info_from_caps(&format, in))
        return FALSE;
    /* Caps may come again with another frame rate only: no reason to forget. */
    self->format.fps_n = format.fps_n;
    self->format.fps_d = format.fps_d;
    if (gst_video_info_is_equal(&format, &self->format))
        return TRUE;
    if (!take_format(self, &format))
        return FALSE;
    self->format = format;
    return TRUE;
}

/* --- another model ------------------------------------------------------------------------ */

/* What the event carries. Pads keep sticky events, and hand them on again: who takes the model
 * out leaves an empty one behind. */
struct parcel {
    gatomicrefcount references;
    struct loaded loaded;
};

static struct parcel *parcel_ref(struct parcel *parcel)
{
    g_atomic_ref_count_inc(&parcel->references);
    return parcel;
}

static void parcel_unref(struct parcel *parcel)
{
    if (!g_atomic_ref_count_dec(&parcel->references))
        return;
    loaded_clear(&parcel->loaded);
    g_free(parcel);
}

typedef struct parcel VigilParcel;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VigilParcel, parcel_unref)
static GType vigil_parcel_get_type(void);
G_DEFINE_BOXED_TYPE(VigilParcel, vigil_parcel, parcel_ref, parcel_unref)

GstEvent *vigil_analyze_model_event_new(VigilAnalyze *self, GBytes *model, const char *name,
                                        const GstStructure *overrides, struct nn_error *err)
{
    struct settings settings;
    struct parcel *parcel = g_new0(struct parcel, 1);
    g_atomic_ref_count_init(&parcel->references);
    GST_OBJECT_LOCK(self);
    settings_copy(&self->settings, &settings);
    GST_OBJECT_UNLOCK(self);
    g_clear_pointer(&settings.model_bytes, g_bytes_unref);
    g_clear_pointer(&settings.model_name, g_free);
    g_clear_pointer(&settings.overrides, gst_structure_free);
    settings.model_bytes = g_bytes_ref(model);
    settings.model_name = g_strdup(name);
    settings.overrides = gst_structure_copy(overrides);
    g_strlcpy(err->text, "out of memory", sizeof err->text);
    int r = load(self, &settings, &parcel->loaded, err);
    settings_clear(&settings);
    GstEvent *event =
        r < 0 ? NULL
              : gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM_STICKY,
                                     gst_structure_new(VIGIL_ANALYZE_MODEL, "parcel",
                                                       vigil_parcel_get_type(), parcel, NULL));
    parcel_unref(parcel);
    return event;
}

static void take_model(VigilAnalyze *self, const GstStructure *structure)
{
    g_autoptr(VigilParcel) parcel = NULL;
    if (!gst_structure_get(structure, "parcel", vigil_parcel_get_type(), &parcel, NULL) ||
        !parcel->loaded.analysis)
        return;
    analysis_flush(self->loaded.analysis);
    self->before = count(self);
    loaded_clear(&self->loaded);
    self->loaded = parcel->loaded;
    parcel->loaded = (struct loaded){NULL};
    self->warned_scores = FALSE;
    if (GST_VIDEO_INFO_FORMAT(&self->format) != GST_VIDEO_FORMAT_UNKNOWN)
        take_format(self, &self->format);
}

static gboolean vigil_analyze_sink_event(GstBaseTransform *trans, GstEvent *event)
{
    VigilAnalyze *self = VIGIL_ANALYZE(trans);
    switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_EOS:
        analysis_flush(self->loaded.analysis);
        break;
    case GST_EVENT_SEGMENT:
        analysis_segment(self->loaded.analysis);
        break;
    case GST_EVENT_STREAM_START:
    case GST_EVENT_FLUSH_STOP:
        analysis_discontinuity(self->loaded.analysis);
        break;
    case GST_EVENT_CUSTOM_DOWNSTREAM:
    case GST_EVENT_CUSTOM_DOWNSTREAM_STICKY:
        if (gst_event_has_name(event, VIGIL_ANALYZE_DISCONTINUITY))
            analysis_discontinuity(self->loaded.analysis);
        else if (gst_event_has_name(event, VIGIL_ANALYZE_MODEL))
            take_model(self, gst_event_get_structure(event));
        break;
    default:
        break;
    }
    return GST_BASE_TRANSFORM_CLASS(vigil_analyze_parent_class)->sink_event(trans, event);
}

static GstFlowReturn analyze(VigilAnalyze *self, GstBuffer *buffer, GstClockTime pts)
{
    GstVideoFrame frame;
    if (!gst_video_frame_map(&frame, &self->format, buffer,
                             GST_MAP_READ | GST_VIDEO_FRAME_MAP_FLAG_NO_REF)) {
        GST_ELEMENT_ERROR(self, STREAM, FORMAT, ("a frame is smaller than its caps say"),
                          (NULL));
        return GST_FLOW_ERROR;
    }
    struct nn_error err = {"out of memory"};
    int r = analysis_push(self->loaded.analysis, &frame, (int64_t)pts, &err);
    gst_video_frame_unmap(&frame);
    if (r < 0) {
        GST_ELEMENT_ERROR(self, STREAM, FAILED, ("model %s: %s", self->loaded.name, err.text),
                          (NULL));
        return GST_FLOW_ERROR;
    }
    return GST_FLOW_OK;
}

/* Adds the events that are on; the buffer is copied first (its memory is not) if others hold
 * it too. */
static GstBuffer *attach_events(VigilAnalyze *self, GstBuffer *buffer)
{
    const struct convert_region *region = &self->region;
    for (int i = 0; i < self->loaded.info->label_count; i++) {
        const struct modelinfo_label *label = &self->loaded.info->labels[i];
        double score;
        if (!analysis_event_is_on(self->loaded.analysis, i, &score))
            continue;
        buffer = gst_buffer_make_writable(buffer);
        GstVideoRegionOfInterestMeta *meta = gst_buffer_add_video_region_of_interest_meta(
            buffer, label->name, (guint)(region->x * self->format.width),
            (guint)(region->y * self->format.height),
            (guint)(region->width * self->format.width),
            (guint)(region->height * self->format.height));
        gst_video_region_of_interest_meta_add_param(
            meta, gst_structure_new("vigil-event", "score", G_TYPE_DOUBLE, score, "kind",
                                    G_TYPE_STRING, record_kind_name(label->kind), NULL));
    }
    return buffer;
}

static gboolean is_usable(GstClockTime time)
{
    return GST_CLOCK_TIME_IS_VALID(time) && time <= VIGIL_ANALYZE_TIME_MAX;
}

static void skip_unstamped(VigilAnalyze *self)
{
    GST_OBJECT_LOCK(self);
    self->unstamped++;
    GST_OBJECT_UNLOCK(self);
    if (self->warned_unstamped)
        return;
    self->warned_unstamped = TRUE;
    GST_ELEMENT_WARNING(self, STREAM, FORMAT,
                        ("frames without a usable timestamp in their segment are not analysed"),
                        (NULL));
}

/* In place of transform_ip: the base class would have to know before the analysis whether this
 * buffer must be writable. It passes through as it came unless there is something to attach. */
static GstFlowReturn vigil_analyze_generate_output(GstBaseTransform *trans, GstBuffer **output)
{
    VigilAnalyze *self = VIGIL_ANALYZE(trans);
    GstBuffer *buffer = g_steal_pointer(&trans->queued_buf);
    if (!buffer)
        return GST_FLOW_OK;
    GstClockTime time = GST_BUFFER_PTS(buffer);
    GstClockTime pts = gst_segment_to_stream_time(&trans->segment, GST_FORMAT_TIME, time);
    if (!is_usable(pts)) {
        skip_unstamped(self);
        *output = buffer;
        return GST_FLOW_OK;
    }
    GstFlowReturn flow = GST_FLOW_OK;
    bool wanted = analysis_wants(self->loaded.analysis, (int64_t)pts);
    if (wanted) {
        GstClockTime running =
            gst_segment_to_running_time(&trans->segment, GST_FORMAT_TIME, time);
        self->running_time = is_usable(running) ? running : GST_CLOCK_TIME_NONE;
        flow = analyze(self, buffer, pts);
    }
    publish_counters(self, wanted ? pts : GST_CLOCK_TIME_NONE);
    if (flow != GST_FLOW_OK) {
        gst_buffer_unref(buffer);
        return flow;
    }
    *output = attach_events(self, buffer);
    return GST_FLOW_OK;
}

static void vigil_analyze_set_property(GObject *object, guint id, const GValue *value,
                                       GParamSpec *spec)
{
    VigilAnalyze *self = VIGIL_ANALYZE(object);
    struct settings *settings = &self->settings;
    GST_OBJECT_LOCK(self);
    switch (id) {
    case PROP_MODEL:
        g_free(settings->model);
        settings->model = g_value_dup_string(value);
        break;
    case PROP_MODEL_BYTES:
        g_clear_pointer(&settings->model_bytes, g_bytes_unref);
        settings->model_bytes = g_value_dup_boxed(value);
        break;
    case PROP_MODEL_NAME:
        g_free(settings->model_name);
        settings->model_name = g_value_dup_string(value);
        break;
    case PROP_OVERRIDES:
        g_clear_pointer(&settings->overrides, gst_structure_free);
        settings->overrides = g_value_dup_boxed(value);
        break;
    case PROP_THRESHOLD:
        settings->threshold = g_value_get_double(value);
        break;
    case PROP_FPS:
        settings->fps = g_value_get_double(value);
        break;
    case PROP_STRIDE:
        settings->stride = g_value_get_uint(value);
        break;
    case PROP_ROI:
        g_free(settings->roi);
        settings->roi = g_value_dup_string(value);
        break;
    case PROP_POST_WINDOWS:
        self->post_windows = g_value_get_boolean(value);
        break;
    case PROP_REFERENCE_KERNELS:
        settings->reference_kernels = g_value_get_boolean(value);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
        break;
    }
    GST_OBJECT_UNLOCK(self);
}

/* Called with the object lock. */
static GstStructure *make_stats(const VigilAnalyze *self)
{
    const struct analysis_counters *counters = &self->counters;
    guint64 received = (guint64)counters->received + self->unstamped;
    return gst_structure_new(
        "vigil-stats", "received", G_TYPE_UINT64, received, "analysed", G_TYPE_UINT64,
        (guint64)counters->analysed, "skipped", G_TYPE_UINT64,
        received - (guint64)counters->analysed, "stale", G_TYPE_UINT64,
        (guint64)counters->stale, "windows", G_TYPE_UINT64, (guint64)counters->windows,
        "discontinuities", G_TYPE_UINT64, (guint64)counters->discontinuities, "convert-time",
        G_TYPE_UINT64, (guint64)counters->convert_ns, "inference-time", G_TYPE_UINT64,
        (guint64)counters->inference_ns, "last-pts", G_TYPE_UINT64, self->last_pts, NULL);
}

static void vigil_analyze_get_property(GObject *object, guint id, GValue *value,
                                       GParamSpec *spec)
{
    VigilAnalyze *self = VIGIL_ANALYZE(object);
    const struct settings *settings = &self->settings;
    GST_OBJECT_LOCK(self);
    switch (id) {
    case PROP_MODEL:
        g_value_set_string(value, settings->model);
        break;
    case PROP_MODEL_BYTES:
        g_value_set_boxed(value, settings->model_bytes);
        break;
    case PROP_MODEL_NAME:
        g_value_set_string(value, settings->model_name);
        break;
    case PROP_OVERRIDES:
        g_value_set_boxed(value, settings->overrides);
        break;
    case PROP_THRESHOLD:
        g_value_set_double(value, settings->threshold);
        break;
    case PROP_FPS:
        g_value_set_double(value, settings->fps);
        break;
    case PROP_STRIDE:
        g_value_set_uint(value, settings->stride);
        break;
    case PROP_ROI:
        g_value_set_string(value, settings->roi);
        break;
    case PROP_POST_WINDOWS:
        g_value_set_boolean(value, self->post_windows);
        break;
    case PROP_REFERENCE_KERNELS:
        g_value_set_boolean(value, settings->reference_kernels);
        break;
    case PROP_STATS:
        g_value_take_boxed(value, make_stats(self));
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
        break;
    }
    GST_OBJECT_UNLOCK(self);
}

static void vigil_analyze_finalize(GObject *object)
{
    settings_clear(&VIGIL_ANALYZE(object)->settings);
    G_OBJECT_CLASS(vigil_analyze_parent_class)->finalize(object);
}

static void install_properties(GObjectClass *class)
{
    const GParamFlags always = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS;
    const GParamFlags ready = always | GST_PARAM_MUTABLE_READY;
    g_object_class_install_property(
        class, PROP_MODEL,
        g_param_spec_string("model", "Model", "Path of an ONNX file", NULL, ready));
    g_object_class_install_property(
        class, PROP_MODEL_BYTES,
        g_param_spec_boxed("model-bytes", "Model bytes",
                           "The ONNX file itself, in place of its path", G_TYPE_BYTES, ready));
    g_object_class_install_property(
        class, PROP_MODEL_NAME,
        g_param_spec_string("model-name", "Model name",
                            "Name of the model in messages (default: the file's)", NULL,
                            ready));
    g_object_class_install_property(
        class, PROP_OVERRIDES,
        g_param_spec_boxed("overrides", "Overrides",
                           "Keys that replace the model's metadata, such as "
                           "\"vigil,labels=(string)\\\"quiet,fight\\\",fps=12\"",
                           GST_TYPE_STRUCTURE, ready));
    g_object_class_install_property(
        class, PROP_THRESHOLD,
        g_param_spec_double("threshold", "Threshold",
                            "Score that starts an event, of any label (0: the model's own)", 0,
                            1, 0, ready));
    g_object_class_install_property(
        class, PROP_FPS,
        g_param_spec_double("fps", "Frames per second",
                            "Rate at which frames are sampled (0: the model's own)", 0, 240, 0,
                            ready));
    g_object_class_install_property(
        class, PROP_STRIDE,
        g_param_spec_uint("stride", "Stride",
                          "Frames from one window to the next (0: the model's own)", 0,
                          MODELINFO_WINDOW_MAX, 0, ready));
    g_object_class_install_property(
        class, PROP_ROI,
        g_param_spec_string("roi", "Region of interest",
                            "Part of the picture to look at, X,Y,WIDTH,HEIGHT in 0..1 "
                            "(default: all of it)",
                            NULL, ready));
    g_object_class_install_property(
        class, PROP_POST_WINDOWS,
        g_param_spec_boolean("post-windows", "Post windows",
                             "Post a message with the scores of every window", FALSE,
                             always | GST_PARAM_MUTABLE_PLAYING));
    g_object_class_install_property(
        class, PROP_REFERENCE_KERNELS,
        g_param_spec_boolean("reference-kernels", "Reference kernels",
                             "Compute with plain scalar loops: slow, the same on every machine",
                             FALSE, ready));
    g_object_class_install_property(
        class, PROP_STATS,
        g_param_spec_boxed("stats", "Statistics",
                           "Counts of frames and windows, and the time spent on them",
                           GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

static void vigil_analyze_class_init(VigilAnalyzeClass *class)
{
    GObjectClass *object_class = G_OBJECT_CLASS(class);
    GstElementClass *element_class = GST_ELEMENT_CLASS(class);
    GstBaseTransformClass *transform_class = GST_BASE_TRANSFORM_CLASS(class);
    GST_DEBUG_CATEGORY_INIT(vigil_analyze_debug, "vigilanalyze", 0, "video analysis");
    object_class->set_property = vigil_analyze_set_property;
    object_class->get_property = vigil_analyze_get_property;
    object_class->finalize = vigil_analyze_finalize;
    install_properties(object_class);
    gst_element_class_add_static_pad_template(element_class, &sink_template);
    gst_element_class_add_static_pad_template(element_class, &src_template);
    gst_element_class_set_static_metadata(
        element_class, "Video analyser", "Filter/Analyzer/Video",
        "Runs a CNN+LSTM model over windows of frames and posts messages about what happens",
        "The vigil authors");
    transform_class->start = vigil_analyze_start;
    transform_class->stop = vigil_analyze_stop;
    transform_class->set_caps = vigil_analyze_set_caps;
    transform_class->sink_event = vigil_analyze_sink_event;
    transform_class->generate_output = vigil_analyze_generate_output;
}

static void vigil_analyze_init(VigilAnalyze *self)
{
    self->last_pts = GST_CLOCK_TIME_NONE;
}
