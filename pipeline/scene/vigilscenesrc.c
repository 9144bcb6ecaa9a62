/**
 * SECTION:element-vigilscenesrc
 * @title: vigilscenesrc
 *
 * Renders a synthetic surveillance camera with known truth: a street or a room, people and
 * vehicles, weather, changes of light and faults of the camera, all from one seed.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 vigilscenesrc seed=7 is-live=true ! videoconvert ! autovideosink
 * ]|
 * |[
 * gst-launch-1.0 vigilscenesrc seed=7 num-buffers=900 truth-location=street.jsonl ! \
 *     video/x-raw,width=1280,height=720,framerate=15/1 ! x264enc ! mp4mux ! \
 *     filesink location=street.mp4
 * ]|
 * The second makes a labelled clip: line n of street.jsonl tells what frame n shows.
 */
#include "pipeline/scene/vigilscenesrc.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <gst/video/video.h>
#include <string.h>

#include "pipeline/scene/scenemeta.h"

GST_DEBUG_CATEGORY_STATIC(vigil_scene_src_debug);
#define GST_CAT_DEFAULT vigil_scene_src_debug

#define DEFAULT_NOISE  1.5
#define DEFAULT_WIDTH  640
#define DEFAULT_HEIGHT 360
#define DEFAULT_FPS    15

enum { KIND_STREET, KIND_ROOM };

struct settings {
    guint64 seed;
    gint kind;
    gboolean movement;
    guint nuisances, faults;
    gdouble noise;
    gchar *truth_location;
};

struct _VigilSceneSrc {
    GstPushSrc parent;

    struct settings settings; /* under the object lock */

    /* The streaming thread's, between start and stop. */
    struct scene *scene;
    GstVideoInfo info;
    FILE *truth_file;
    guint64 frame; /* the next one */
};

G_DEFINE_TYPE(VigilSceneSrc, vigil_scene_src, GST_TYPE_PUSH_SRC)

enum {
    PROP_0,
    PROP_SEED,
    PROP_SCENE,
    PROP_MOVEMENT,
    PROP_NUISANCES,
    PROP_FAULTS,
    PROP_NOISE,
    PROP_IS_LIVE,
    PROP_TRUTH_LOCATION,
};

/* The renderer paints BT.601; 16 and 4096 are scene.h's limits, 240 its rate. */
#define SIZE_AND_RATE                                                                          \
    "width=(int)[16,4096],height=(int)[16,4096],framerate=(fraction)[1/1000,240/1],"           \
    "pixel-aspect-ratio=(fraction)1/1,interlace-mode=(string)progressive"

static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS,
    GST_STATIC_CAPS(
        "video/x-raw,format=(string){I420,NV12},colorimetry=(string)bt601," SIZE_AND_RATE
        ";video/x-raw,format=(string)RGB,colorimetry=(string)sRGB," SIZE_AND_RATE));

static GType scene_kind_get_type(void)
{
    static gsize type;
    static const GEnumValue values[] = {
        {KIND_STREET, "A street with people and vehicles", "street"},
        {KIND_ROOM, "A room with people", "room"},
        {0, NULL, NULL},
    };
    if (g_once_init_enter(&type))
        g_once_init_leave(&type, g_enum_register_static("VigilSceneKind", values));
    return type;
}

static GType scene_nuisances_get_type(void)
{
    static gsize type;
    static const GFlagsValue values[] = {
        {0, "Nothing", "none"},
        {SCENE_FEATURE_LIGHTING, "Clouds, lights switched, headlights", "lighting"},
        {SCENE_FEATURE_WEATHER, "Rain and snow", "weather"},
        {SCENE_FEATURE_INSECT, "An insect at the lens", "insect"},
        {SCENE_FEATURES_NUISANCES, "Every nuisance", "all"},
        {0, NULL, NULL},
    };
    if (g_once_init_enter(&type))
        g_once_init_leave(&type, g_flags_register_static("VigilSceneNuisances", values));
    return type;
}

static GType scene_faults_get_type(void)
{
    static gsize type;
    static const GFlagsValue values[] = {
        {0, "Nothing", "none"},
        {SCENE_FEATURE_COVERED, "The lens is covered", "covered"},
        {SCENE_FEATURE_MOVED, "The camera is turned or knocked", "moved"},
        {SCENE_FEATURE_DEFOCUSED, "The lens is out of focus", "defocused"},
        {SCENE_FEATURE_FROZEN, "The picture stands still, noise included", "frozen"},
        {SCENE_FEATURES_FAULTS, "Every fault", "all"},
        {0, NULL, NULL},
    };
    if (g_once_init_enter(&type))
        g_once_init_leave(&type, g_flags_register_static("VigilSceneFaults", values));
    return type;
}

static void vigil_scene_src_init(VigilSceneSrc *src)
{
    src->settings = (struct settings){
        .movement = TRUE,
        .nuisances = SCENE_FEATURES_NUISANCES,
        .faults = SCENE_FEATURES_FAULTS,
        .noise = DEFAULT_NOISE,
    };
    gst_base_src_set_format(GST_BASE_SRC(src), GST_FORMAT_TIME);
}

static void set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec)
{
    VigilSceneSrc *src = VIGIL_SCENE_SRC(object);
    if (id == PROP_IS_LIVE) {
        gst_base_src_set_live(GST_BASE_SRC(src), g_value_get_boolean(value));
        return;
    }
    GST_OBJECT_LOCK(src);
    switch (id) {
    case PROP_SEED:
        src->settings.seed = g_value_get_uint64(value);
        break;
    case PROP_SCENE:
        src->settings.kind = g_value_get_enum(value);
        break;
    case PROP_MOVEMENT:
        src->settings.movement = g_value_get_boolean(value);
        break;
    case PROP_NUISANCES:
        src->settings.nuisances = g_value_get_flags(value);
        break;
    case PROP_FAULTS:
        src->settings.faults = g_value_get_flags(value);
        break;
    case PROP_NOISE:
        src->settings.noise = g_value_get_double(value);
        break;
    case PROP_TRUTH_LOCATION:
        g_free(src->settings.truth_location);
        src->settings.truth_location = g_value_dup_string(value);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
        break;
    }
    GST_OBJECT_UNLOCK(src);
}

static void get_property(GObject *object, guint id, GValue *value, GParamSpec *spec)
{
    VigilSceneSrc *src = VIGIL_SCENE_SRC(object);
    if (id == PROP_IS_LIVE) {
        g_value_set_boolean(value, gst_base_src_is_live(GST_BASE_SRC(src)));
        return;
    }
    GST_OBJECT_LOCK(src);
    switch (id) {
    case PROP_SEED:
        g_value_set_uint64(value, src->settings.seed);
        break;
    case PROP_SCENE:
        g_value_set_enum(value, src->settings.kind);
        break;
    case PROP_MOVEMENT:
        g_value_set_boolean(value, src->settings.movement);
        break;
    case PROP_NUISANCES:
        g_value_set_flags(value, src->settings.nuisances);
        break;
    case PROP_FAULTS:
        g_value_set_flags(value, src->settings.faults);
        break;
    case PROP_NOISE:
        g_value_set_double(value, src->settings.noise);
        break;
    case PROP_TRUTH_LOCATION:
        g_value_set_string(value, src->settings.truth_location);
        break;
    default:
        G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, spec);
        break;
    }
    GST_OBJECT_UNLOCK(src);
}

static void finalize(GObject *object)
{
    VigilSceneSrc *src = VIGIL_SCENE_SRC(object);
    g_free(src->settings.truth_location);
    G_OBJECT_CLASS(vigil_scene_src_parent_class)->finalize(object);
}

static gboolean start(GstBaseSrc *base)
{
    VigilSceneSrc *src = VIGIL_SCENE_SRC(base);
    src->frame = 0;
    gst_video_info_init(&src->info);
    GST_OBJECT_LOCK(src);
    g_autofree gchar *location = g_strdup(src->settings.truth_location);
    GST_OBJECT_UNLOCK(src);
    if (!location || !*location)
        return TRUE;
    src->truth_file = g_fopen(location, "we");
    if (!src->truth_file) {
        GST_ELEMENT_ERROR(src, RESOURCE, OPEN_WRITE,
                          ("Cannot write the truth to \"%s\": %s", location, g_strerror(errno)),
                          (NULL));
        return FALSE;
    }
    return TRUE;
}

static gboolean stop(GstBaseSrc *base)
{
    VigilSceneSrc *src = VIGIL_SCENE_SRC(base);
    scene_destroy(src->scene);
    src->scene = NULL;
    if (src->truth_file && fclose(src->truth_file) != 0)
        GST_ELEMENT_WARNING(src, RESOURCE, WRITE,
                            ("The truth file is incomplete: %s", g_strerror(errno)), (NULL));
    src->truth_file = NULL;
    return TRUE;
}

static GstCaps *fixate(GstBaseSrc *base, GstCaps *caps)
{
    caps = gst_caps_make_writable(caps);
    GstStructure *structure = gst_caps_get_structure(caps, 0);
    gst_structure_fixate_field_nearest_int(structure, "width", DEFAULT_WIDTH);
    gst_structure_fixate_field_nearest_int(structure, "height", DEFAULT_HEIGHT);
    gst_structure_fixate_field_nearest_fraction(structure, "framerate", DEFAULT_FPS, 1);
    return GST_BASE_SRC_CLASS(vigil_scene_src_parent_class)->fixate(base, caps);
}

/* The time frame `index` begins at. */
static GstClockTime time_of_frame(const VigilSceneSrc *src, guint64 index)
{
    return gst_util_uint64_scale(index, (guint64)src->info.fps_d * GST_SECOND,
                                 (guint64)src->info.fps_n);
}

/* The first frame that begins at `time` or after it. */
static guint64 frame_at_time(const VigilSceneSrc *src, GstClockTime time)
{
    return gst_util_uint64_scale_ceil(time, (guint64)src->info.fps_n,
                                      (guint64)src->info.fps_d * GST_SECOND);
}

static gboolean set_caps(GstBaseSrc *base, GstCaps *caps)
{
    VigilSceneSrc *src = VIGIL_SCENE_SRC(base);
    GstVideoInfo info;
    if (!gst_video_info_from_caps(&info, caps))
        return FALSE;
    GST_OBJECT_LOCK(src);
    struct scene_params params = {
        .seed = src->settings.seed,
        .indoors = src->settings.kind == KIND_ROOM,
        .width = GST_VIDEO_INFO_WIDTH(&info),
        .height = GST_VIDEO_INFO_HEIGHT(&info),
        .fps_n = GST_VIDEO_INFO_FPS_N(&info),
        .fps_d = GST_VIDEO_INFO_FPS_D(&info),
        .noise = src->settings.noise,
        .features = (src->settings.movement ? SCENE_FEATURE_MOVEMENT : 0) |
                    src->settings.nuisances | src->settings.faults,
    };
    GST_OBJECT_UNLOCK(src);
    struct scene *scene;
    int error = scene_create(&params, &scene);
    if (error) {
        GST_ELEMENT_ERROR(src, RESOURCE, FAILED,
                          ("Cannot render %dx%d pictures: %s", params.width, params.height,
                           g_strerror(-error)),
                          (NULL));
        return FALSE;
    }
    scene_destroy(src->scene);
    src->scene = scene;
    /* With a new rate the next frame has another number: its time goes on from here. Before the
     * first caps that time is where a seek may have put it. */
    GstClockTime now =
        src->info.fps_n > 0 ? time_of_frame(src, src->frame) : base->segment.position;
    src->info = info;
    gst_base_src_set_blocksize(base, (guint)GST_VIDEO_INFO_SIZE(&info));
    if (GST_CLOCK_TIME_IS_VALID(now))
        src->frame = frame_at_time(src, now);
    return TRUE;
}

static void copy_plane(const struct scene_plane *from, guint8 *to, gint stride)
{
    for (int y = 0; y < from->height; y++)
        memcpy(to + (gsize)y * (gsize)stride, from->data + (gsize)y * (gsize)from->stride,
               (gsize)from->width);
}

static void copy_nv12_chroma(const struct scene_canvas *from, guint8 *to, gint stride)
{
    const struct scene_plane *u = &from->planes[1], *v = &from->planes[2];
    for (int y = 0; y < u->height; y++) {
        guint8 *row = to + (gsize)y * (gsize)stride;
        const guint8 *u_row = u->data + (gsize)y * (gsize)u->stride;
        const guint8 *v_row = v->data + (gsize)y * (gsize)v->stride;
        for (int x = 0; x < u->width; x++) {
            row[2 * x] = u_row[x];
            row[2 * x + 1] = v_row[x];
        }
    }
}

/* BT.601, limited range, with 8 bits of fraction. */
static void copy_as_rgb(const struct scene_canvas *from, guint8 *to, gint stride)
{
    const struct scene_plane *luma = &from->planes[0], *u = &from->planes[1],
                             *v = &from->planes[2];
    for (int y = 0; y < luma->height; y++) {
        guint8 *out = to + (gsize)y * (gsize)stride;
        const guint8 *y_row = luma->data + (gsize)y * (gsize)luma->stride;
        const guint8 *u_row = u->data + (gsize)(y / 2) * (gsize)u->stride;
        const guint8 *v_row = v->data + (gsize)(y / 2) * (gsize)v->stride;
        for (int x = 0; x < luma->width; x++) {
            int c = 298 * (y_row[x] - 16) + 128, d = u_row[x / 2] - 128, e = v_row[x / 2] - 128;
            int rgb[3] = {(c + 409 * e) >> 8, (c - 100 * d - 208 * e) >> 8, (c + 516 * d) >> 8};
            for (int i = 0; i < 3; i++)
                *out++ = (guint8)CLAMP(rgb[i], 0, 255);
        }
    }
}

static void copy_picture(const struct scene_canvas *picture, GstVideoFrame *frame)
{
    guint8 *data[3];
    gint stride[3];
    for (guint i = 0; i < GST_VIDEO_FRAME_N_PLANES(frame); i++) {
        data[i] = GST_VIDEO_FRAME_PLANE_DATA(frame, i);
        stride[i] = GST_VIDEO_FRAME_PLANE_STRIDE(frame, i);
    }
    switch (GST_VIDEO_FRAME_FORMAT(frame)) {
    case GST_VIDEO_FORMAT_I420:
        for (int i = 0; i < 3; i++)
            copy_plane(&picture->planes[i], data[i], stride[i]);
        break;
    case GST_VIDEO_FORMAT_NV12:
        copy_plane(&picture->planes[0], data[0], stride[0]);
        copy_nv12_chroma(picture, data[1], stride[1]);
        break;
    default:
        copy_as_rgb(picture, data[0], stride[0]);
        break;
    }
}

static void add_regions(const VigilSceneSrc *src, GstBuffer *buffer,
                        const struct scene_truth *truth)
{
    gfloat width = (gfloat)GST_VIDEO_INFO_WIDTH(&src->info);
    gfloat height = (gfloat)GST_VIDEO_INFO_HEIGHT(&src->info);
    for (size_t i = 0; i < truth->object_count; i++) {
        const struct scene_object *object = &truth->objects[i];
        GstVideoRegionOfInterestMeta *region = gst_buffer_add_video_region_of_interest_meta(
            buffer, object->kind == SCENE_OBJECT_PERSON ? "person" : "vehicle",
            (guint)(object->x * width), (guint)(object->y * height), (guint)(object->w * width),
            (guint)(object->h * height));
        region->id = (gint)object->id;
        gst_video_region_of_interest_meta_add_param(
            region,
            gst_structure_new("vigil-scene", "moving", G_TYPE_BOOLEAN, object->moving, NULL));
    }
}

static gboolean write_truth(VigilSceneSrc *src, const struct scene_truth *truth,
                            GstClockTime pts)
{
    g_autofree gchar *line = scene_meta_to_json(truth, src->frame, pts);
    if (fputs(line, src->truth_file) >= 0)
        return TRUE;
    GST_ELEMENT_ERROR(src, RESOURCE, WRITE,
                      ("Cannot write the truth file: %s", g_strerror(errno)), (NULL));
    return FALSE;
}

static GstFlowReturn fill(GstPushSrc *push, GstBuffer *buffer)
{
    VigilSceneSrc *src = VIGIL_SCENE_SRC(push);
    if (!src->scene)
        return GST_FLOW_NOT_NEGOTIATED;
    GstVideoFrame frame;
    if (!gst_video_frame_map(&frame, &src->info, buffer, GST_MAP_WRITE)) {
        GST_ELEMENT_ERROR(src, RESOURCE, WRITE, ("Cannot write to the buffer to render into"),
                          (NULL));
        return GST_FLOW_ERROR;
    }
    const struct scene_canvas *picture;
    struct scene_truth truth;
    scene_render(src->scene, src->frame, &picture, &truth);
    copy_picture(picture, &frame);
    gst_video_frame_unmap(&frame);

    GST_BUFFER_PTS(buffer) = time_of_frame(src, src->frame);
    GST_BUFFER_DTS(buffer) = GST_CLOCK_TIME_NONE;
    GST_BUFFER_DURATION(buffer) = time_of_frame(src, src->frame + 1) - GST_BUFFER_PTS(buffer);
    GST_BUFFER_OFFSET(buffer) = src->frame;
    GST_BUFFER_OFFSET_END(buffer) = src->frame + 1;
    scene_meta_add(buffer, &truth);
    add_regions(src, buffer, &truth);
    if (src->truth_file && !write_truth(src, &truth, GST_BUFFER_PTS(buffer)))
        return GST_FLOW_ERROR;
    src->frame++;
    return GST_FLOW_OK;
}

/* A camera's frame is there when its time has passed: the base class waits until then. */
static void get_times(GstBaseSrc *base, GstBuffer *buffer, GstClockTime *start,
                      GstClockTime *end)
{
    *start = *end = GST_CLOCK_TIME_NONE;
    if (gst_base_src_is_live(base) && GST_BUFFER_PTS_IS_VALID(buffer)) {
        *start = GST_BUFFER_PTS(buffer);
        *end = *start + GST_BUFFER_DURATION(buffer);
    }
}

static gboolean is_seekable(GstBaseSrc *base)
{
    return !gst_base_src_is_live(base);
}

static gboolean do_seek(GstBaseSrc *base, GstSegment *segment)
{
    VigilSceneSrc *src = VIGIL_SCENE_SRC(base);
    if (segment->rate < 0.0)
        return FALSE;
    segment->time = segment->start;
    if (src->info.fps_n > 0)
        src->frame = frame_at_time(src, segment->position);
    return TRUE;
}

static gboolean query(GstBaseSrc *base, GstQuery *asked)
{
    VigilSceneSrc *src = VIGIL_SCENE_SRC(base);
    GstFormat format;
    if (GST_QUERY_TYPE(asked) == GST_QUERY_DURATION) {
        gint buffers;
        g_object_get(src, "num-buffers", &buffers, NULL);
        gst_query_parse_duration(asked, &format, NULL);
        if (buffers >= 0 && format == GST_FORMAT_TIME && src->info.fps_n > 0) {
            gst_query_set_duration(asked, format, (gint64)time_of_frame(src, (guint64)buffers));
            return TRUE;
        }
    }
    return GST_BASE_SRC_CLASS(vigil_scene_src_parent_class)->query(base, asked);
}

static void install_properties(GObjectClass *class)
{
    const GParamFlags flags =
        G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
    g_object_class_install_property(
        class, PROP_SEED,
        g_param_spec_uint64("seed", "Seed", "The place and all that happens follow from it", 0,
                            G_MAXUINT64, 0, flags));
    g_object_class_install_property(class, PROP_SCENE,
                                    g_param_spec_enum("scene", "Scene", "The kind of place",
                                                      scene_kind_get_type(), KIND_STREET,
                                                      flags));
    g_object_class_install_property(class, PROP_MOVEMENT,
                                    g_param_spec_boolean("movement", "Movement",
                                                         "People and vehicles come by", TRUE,
                                                         flags));
    g_object_class_install_property(
        class, PROP_NUISANCES,
        g_param_spec_flags("nuisances", "Nuisances",
                           "What disturbs the picture without a fault",
                           scene_nuisances_get_type(), SCENE_FEATURES_NUISANCES, flags));
    g_object_class_install_property(
        class, PROP_FAULTS,
        g_param_spec_flags("faults", "Faults", "Faults of the camera", scene_faults_get_type(),
                           SCENE_FEATURES_FAULTS, flags));
    g_object_class_install_property(
        class, PROP_NOISE,
        g_param_spec_double("noise", "Noise",
                            "Standard deviation of the sensor noise in grey levels", 0.0,
                            SCENE_NOISE_MAX, DEFAULT_NOISE, flags));
    g_object_class_install_property(
        class, PROP_IS_LIVE,
        g_param_spec_boolean("is-live", "Is live",
                             "Frames come at their time, as from a camera", FALSE, flags));
    g_object_class_install_property(
        class, PROP_TRUTH_LOCATION,
        g_param_spec_string("truth-location", "Truth location",
                            "File for the ground truth, one line of JSON per frame", NULL,
                            flags));
}

static void vigil_scene_src_class_init(VigilSceneSrcClass *class)
{
    GObjectClass *object = G_OBJECT_CLASS(class);
    object->set_property = set_property;
    object->get_property = get_property;
    object->finalize = finalize;
    install_properties(object);

    GstBaseSrcClass *base = GST_BASE_SRC_CLASS(class);
    base->start = start;
    base->stop = stop;
    base->fixate = fixate;
    base->set_caps = set_caps;
    base->get_times = get_times;
    base->is_seekable = is_seekable;
    base->do_seek = do_seek;
    base->query = query;
    GST_PUSH_SRC_CLASS(class)->fill = fill;

    GstElementClass *element = GST_ELEMENT_CLASS(class);
    gst_element_class_add_static_pad_template(element, &src_template);
    gst_element_class_set_static_metadata(element, "Synthetic camera", "Source/Video",
                                          "Renders a street or a room with people, vehicles, "
                                          "weather and camera faults, and tells "
                                          "the truth about each frame",
                                          "The vigil authors");
    gst_type_mark_as_plugin_api(scene_kind_get_type(), 0);
    gst_type_mark_as_plugin_api(scene_nuisances_get_type(), 0);
    gst_type_mark_as_plugin_api(scene_faults_get_type(), 0);
    GST_DEBUG_CATEGORY_INIT(vigil_scene_src_debug, "vigilscenesrc", 0,
                            "vigil's synthetic camera");
}
