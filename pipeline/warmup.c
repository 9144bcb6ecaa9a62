#include "pipeline/warmup.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <gio/gio.h>
#include <gst/gst.h>

#include "pipeline/damage.h"
#include "pipeline/media.h"
#include "pipeline/plugin.h"
#include "pipeline/snapshot.h"
#include "pipeline/source.h"
#include "pipeline/warmup-resources.h"

static int refuse(struct record_error *err, int result, const char *format, ...)
    G_GNUC_PRINTF(3, 4);
static int refuse(struct record_error *err, int result, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return result;
}

int warmup_init(struct record_error *err)
{
    static const char *const environment[][2] = {
        {"GST_REGISTRY_DISABLE", "yes"}, /* media_plugins are loaded by name instead */
        {"GIO_USE_VFS", "local"},        /* no D-Bus */
        {"GIO_USE_PROXY_RESOLVER", "dummy"},
        {"GIO_USE_NETWORK_MONITOR", "base"}, /* no netlink socket */
        {"GSETTINGS_BACKEND", "memory"},
        /* The sandbox has no executable memory to compile into. Only odd pixel formats pass
         * through ORC here; ours have their own conversion. */
        {"ORC_CODE", "backup"},
        {"TZ", "UTC0"},  /* no file; all our times are UTC */
        {"LC_ALL", "C"}, /* translations would be opened with the first error message */
    };
    for (size_t i = 0; i < G_N_ELEMENTS(environment); i++)
        g_setenv(environment[i][0], environment[i][1], TRUE);
    tzset();
    g_autoptr(GError) error = NULL;
    if (!gst_init_check(NULL, NULL, &error))
        return refuse(err, -ENOENT, "GStreamer does not start: %s", error->message);

    const char *folder = g_getenv("GST_PLUGIN_SYSTEM_PATH_1_0");
    if (!folder || !*folder)
        folder = GST_PLUGIN_FOLDER;
    for (size_t i = 0; media_plugins[i]; i++) {
        g_autofree char *file = g_strdup_printf("%s/libgst%s.so", folder, media_plugins[i]);
        g_autoptr(GError) why = NULL;
        g_autoptr(GstPlugin) plugin = gst_plugin_load_file(file, &why);
        if (!plugin)
            return refuse(err, -ENOENT, "GStreamer's plugin %s cannot be loaded: %.120s",
                          media_plugins[i], why->message);
    }
    if (!vigil_plugin_register_static())
        return refuse(err, -ENOENT, "GStreamer refuses our own elements");
    damage_listen();
    return 0;
}

/* One clip: what came out of it, and the loop that waits for its end. */
struct play {
    GMutex lock;
    GCond cond;
    bool over;
    int pictures;
    bool failed;
    char why[MESSAGE_DETAIL_SIZE];
};

/* A worker warms up in a third of a second; on a machine at its limits it may take long, and
 * one that gives up is only replaced by one that starts from the beginning. */
#define CLIP_SECONDS 20

static bool on_picture(void *user, const struct source_picture *picture)
{
    struct play *play = user;
    if (!picture->damaged)
        g_atomic_int_inc(&play->pictures);
    return true;
}

static void finish(struct play *play, const char *failure)
{
    g_mutex_lock(&play->lock);
    play->over = true;
    play->failed = failure;
    g_strlcpy(play->why, failure ? failure : "", sizeof play->why);
    g_cond_signal(&play->cond);
    g_mutex_unlock(&play->lock);
}

static void on_ended(void *user)
{
    finish(user, NULL);
}

static void on_failed(void *user, enum stream_reason reason, const char *detail)
{
    (void)reason;
    finish(user, detail);
}

static const struct source_watch watch = {
    .picture = on_picture,
    .ended = on_ended,
    .failed = on_failed,
};

static int clip_descriptor(const char *name)
{
    g_autofree char *path = g_strconcat("/vigil/warmup/warmup/", name, NULL);
    g_autoptr(GBytes) bytes = g_resource_lookup_data(warmup_resources_get_resource(), path,
                                                     G_RESOURCE_LOOKUP_FLAGS_NONE, NULL);
    if (!bytes)
        return -ENOENT;
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
        if (fd >= 0)
            close(fd);
        return -EIO;
    }
    return fd;
}

/* Plays until the clip is over. Whether at least one picture came out; play->why if not. */
static bool play_through(GstElement *pipeline, struct play *play)
{
    if (gst_element_set_state(pipeline, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE) {
        finish(play, "the pipeline does not start");
        return false;
    }
    gint64 deadline = g_get_monotonic_time() + CLIP_SECONDS * G_TIME_SPAN_SECOND;
    g_mutex_lock(&play->lock);
    while (!play->over && g_cond_wait_until(&play->cond, &play->lock, deadline))
        ;
    bool good = play->over && !play->failed && g_atomic_int_get(&play->pictures) > 0;
    if (!good && !play->failed)
        g_strlcpy(play->why, play->over ? "no picture came out" : "it takes too long",
                  sizeof play->why);
    g_mutex_unlock(&play->lock);
    return good;
}

/* source ! videoconvert ! RGB ! fakesink, and a picture of what arrived. */
static int play_descriptor(const char *name, int fd, bool paced, struct record_error *err)
{
    struct play play = {.why = "its elements cannot be made or linked"};
    g_mutex_init(&play.lock);
    g_cond_init(&play.cond);
    struct address uri = {.kind = ADDRESS_FILE};
    struct source_options options = {
        .uri = &uri, .fd = fd, .live = paced, .watch = &watch, .watch_user = &play};
    GstElement *pipeline = gst_pipeline_new(NULL);
    GstElement *const chain[] = {source_create(&options),
                                 gst_element_factory_make("videoconvert", NULL),
                                 gst_element_factory_make("capsfilter", "rgb"),
                                 gst_element_factory_make("fakesink", "sink")};
    bool good = true;
    for (size_t i = 0; i < G_N_ELEMENTS(chain) && good; i++)
        good = chain[i] && gst_bin_add(GST_BIN(pipeline), chain[i]) &&
               (i == 0 || gst_element_link(chain[i - 1], chain[i]));
    if (good) {
        gst_util_set_object_arg(G_OBJECT(chain[2]), "caps", "video/x-raw,format=RGB");
        g_object_set(chain[3], "async", FALSE, NULL);
        good = play_through(pipeline, &play);
    }
    GstSample *sample = NULL;
    if (good)
        g_object_get(chain[3], "last-sample", &sample, NULL);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    if (sample) {
        int picture = memfd_create("picture", MFD_CLOEXEC);
        good = picture >= 0 && snapshot_write(sample, picture) > 0;
        if (!good)
            g_strlcpy(play.why, "its picture cannot be written as JPEG", sizeof play.why);
        gst_sample_unref(sample);
        if (picture >= 0)
            close(picture);
    }
    g_mutex_clear(&play.lock);
    g_cond_clear(&play.cond);
    return good ? 0
                : refuse(err, -EIO, "warm-up clip %s does not play: %.120s", name, play.why);
}

static int play_clip(const char *name, bool paced, struct record_error *err)
{
    int fd = clip_descriptor(name);
    if (fd < 0)
        return refuse(err, fd, "warm-up clip %s is not there", name);
    int r = play_descriptor(name, fd, paced, err);
    close(fd);
    return r;
}

/* What a camera's session is made of, and cannot be run without a camera. */
static int make_camera_elements(struct record_error *err)
{
    static const char *const extra[] = {"rtspsrc",      "rtpbin",          "rtpsession",
                                        "rtpssrcdemux", "rtpjitterbuffer", "rtpptdemux",
                                        "rtpstorage"};
    for (size_t i = 0; i < G_N_ELEMENTS(extra); i++) {
        GstElement *element = gst_element_factory_make(extra[i], NULL);
        if (!element)
            return refuse(err, -ENOENT, "GStreamer's element %s is not installed", extra[i]);
        gst_element_set_state(element, GST_STATE_READY);
        gst_element_set_state(element, GST_STATE_NULL);
        gst_object_unref(element);
    }
    const struct media_codec *codec;
    for (size_t i = 0; (codec = media_codec_at(i)); i++) {
        GstElement *depay = codec->depay ? gst_element_factory_make(codec->depay, NULL) : NULL;
        if (codec->depay && !depay)
            return refuse(err, -ENOENT, "GStreamer's element %s is not installed",
                          codec->depay);
        if (depay)
            gst_object_unref(gst_object_ref_sink(depay));
    }
    return 0;
}

/* What GIO and GnuTLS would load at the first connection. */
static void load_network(void)
{
    g_autoptr(GTimeZone) zone G_GNUC_UNUSED =
        g_time_zone_new_local(); /* certificates are dated */
    /* Texts of errno are converted to UTF-8, with tables from files. */
    g_autofree char *converted G_GNUC_UNUSED = g_locale_to_utf8("any", -1, NULL, NULL, NULL);
    g_proxy_resolver_get_default();
    g_network_monitor_get_default();
    g_autoptr(GResolver) resolver G_GNUC_UNUSED = g_resolver_get_default();
    g_autoptr(GTlsDatabase) authorities G_GNUC_UNUSED =
        g_tls_backend_get_default_database(g_tls_backend_get_default());
    /* The authorities are read when the first session is set up. */
    g_autoptr(GInputStream) input = g_memory_input_stream_new();
    g_autoptr(GOutputStream) output = g_memory_output_stream_new_resizable();
    g_autoptr(GIOStream) nowhere = g_simple_io_stream_new(input, output);
    g_autoptr(GIOStream) session G_GNUC_UNUSED =
        g_tls_client_connection_new(nowhere, NULL, NULL);
}

int warmup_run(struct record_error *err)
{
    static const char *const clips[] = {"h264.mp4", "h264.ts",   "h265.mkv",
                                        "jpeg.mkv", "mpeg4.mp4", "vp9.webm"};
    int r = 0;
    for (size_t i = 0; i < G_N_ELEMENTS(clips) && r == 0; i++)
        r = play_clip(clips[i], i == 0, err); /* one in real time: clocksync */
    if (r == 0)
        r = make_camera_elements(err);
    if (r < 0)
        return r;
    load_network();
    snapshot_rest();
    /* What the clips were decoded with goes back to the system: 6 of 32 MiB. */
    malloc_trim(0);
    return 0;
}
