/* A camera to test with: an RTSP server on loopback that behaves as cameras do.
 *
 *     rtspserver --file clip.mp4          # H.264 as it is, in real time, looped
 *     rtspserver --pattern scene          # a live street; or a pattern of videotestsrc
 *     rtspserver --pattern ball --codec h265
 *     rtspserver --user u --password p [--digest]
 *     rtspserver --tls cert-and-key.pem   # rtsps
 *     rtspserver --audio --udp-only       # sound beside it; no TCP
 *
 * Prints the URL it serves, without user and password, on the first line of its output. The
 * picture runs whether or not somebody watches, and all clients share it: who connects joins in
 * the middle of a GOP (2 s). With --once a file starts at the first client and ends after one
 * pass.
 *
 * One pipeline, the camera, ends in an appsink; its coded pictures are handed to the appsrc of
 * each media the server made. SIGTERM ends it. */
#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>
#include <gst/gst.h>
#include <gst/rtsp-server/rtsp-server.h>

#include <glib-unix.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/plugin.h"

static struct {
    int port;
    char *file, *pattern, *codec, *user, *password, *tls;
    gboolean digest, once, audio, udp_only;
    int width, height, fps, gop_s;
} options = {.width = 320, .height = 240, .fps = 15, .gop_s = 2};

static const GOptionEntry entries[] = {
    {"port", 0, 0, G_OPTION_ARG_INT, &options.port, "port, 0 for any free one", "N"},
    {"file", 0, 0, G_OPTION_ARG_FILENAME, &options.file, "clip to serve", "FILE"},
    {"pattern", 0, 0, G_OPTION_ARG_STRING, &options.pattern,
     "scene (vigilscenesrc), or one of videotestsrc (ball)", "NAME"},
    {"codec", 0, 0, G_OPTION_ARG_STRING, &options.codec, "h264, h265, jpeg or vp8", "NAME"},
    {"user", 0, 0, G_OPTION_ARG_STRING, &options.user, "ask for this user", "NAME"},
    {"password", 0, 0, G_OPTION_ARG_STRING, &options.password, "and password", "TEXT"},
    {"digest", 0, 0, G_OPTION_ARG_NONE, &options.digest, "digest, not basic", NULL},
    {"tls", 0, 0, G_OPTION_ARG_FILENAME, &options.tls, "serve rtsps", "PEM"},
    {"once", 0, 0, G_OPTION_ARG_NONE, &options.once, "one pass of the file", NULL},
    {"audio", 0, 0, G_OPTION_ARG_NONE, &options.audio, "offer sound as well (PCMU)", NULL},
    {"udp-only", 0, 0, G_OPTION_ARG_NONE, &options.udp_only, "refuse to send over TCP", NULL},
    {"width", 0, 0, G_OPTION_ARG_INT, &options.width, "of the pattern", "PIXELS"},
    {"height", 0, 0, G_OPTION_ARG_INT, &options.height, "of the pattern", "PIXELS"},
    {"fps", 0, 0, G_OPTION_ARG_INT, &options.fps, "of the pattern", "N"},
    {"gop", 0, 0, G_OPTION_ARG_INT, &options.gop_s, "seconds between key pictures", "S"},
    {NULL},
};

/* How a codec is encoded, parsed and sent. The parameter sets are in the caps too, so that a
 * client gets its SDP at once and not with the next key picture. */
static const struct codec {
    const char *name, *encode, *parse, *pay;
} codecs[] = {
    {"h264", "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=%d",
     "h264parse config-interval=-1 ! video/x-h264,stream-format=avc,alignment=au",
     "rtph264pay"},
    {"h265", "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=%d",
     "h265parse config-interval=-1 ! video/x-h265,stream-format=hvc1,alignment=au",
     "rtph265pay"},
    {"jpeg", "jpegenc", "jpegparse", "rtpjpegpay"},
    {"vp8", "vp8enc deadline=1 keyframe-max-dist=%d", "identity", "rtpvp8pay"},
};

/* A media of the server: where to put pictures, and how its time differs from the camera's. */
struct viewer {
    GstElement *appsrc;
    bool started;
    GstClockTimeDiff shift;
};

static GMainLoop *loop;
static GstElement *camera;
static GMutex lock; /* guards what follows */
static GList *viewers;
static GstClockTimeDiff pass_shift; /* of earlier passes over the file */
static GstClockTimeDiff pass_end;
static bool ended;
static bool
    playing; /* a client has asked for it; --once waits for that with its first picture */
static GCond played;

/* Encoders put their own offset on pts; the segment takes it off. May be negative (B-pictures'
 * dts). */
static GstClockTimeDiff running_time(GstSample *sample, GstClockTime time)
{
    guint64 running;
    int sign = gst_segment_to_running_time_full(gst_sample_get_segment(sample), GST_FORMAT_TIME,
                                                time, &running);
    return sign < 0 ? -(GstClockTimeDiff)running : (GstClockTimeDiff)running;
}

static void push(struct viewer *viewer, GstSample *sample)
{
    GstBuffer *original = gst_sample_get_buffer(sample);
    GstClockTimeDiff pts = running_time(sample, GST_BUFFER_PTS(original));
    GstClockTimeDiff dts = pts;
    if (GST_BUFFER_DTS_IS_VALID(original))
        dts = running_time(sample, GST_BUFFER_DTS(original));
    if (!viewer->started) {
        /* It has a clock a moment before it has its base time, without which pictures would be
         * dated hours ahead and never be sent: both are there once it plays. */
        g_autoptr(GstClock) clock = gst_element_get_clock(viewer->appsrc);
        GstState state = GST_STATE_NULL;
        gst_element_get_state(viewer->appsrc, &state, NULL, 0);
        if (!clock || state != GST_STATE_PLAYING)
            return;
        GstClockTime now =
            gst_clock_get_time(clock) - gst_element_get_base_time(viewer->appsrc);
        viewer->shift = (GstClockTimeDiff)now - dts - pass_shift;
        viewer->started = true;
    }
    GstBuffer *copy = gst_buffer_copy(original);
    GST_BUFFER_PTS(copy) = (GstClockTime)(pts + pass_shift + viewer->shift);
    GST_BUFFER_DTS(copy) = (GstClockTime)(dts + pass_shift + viewer->shift);
    gst_app_src_set_caps(GST_APP_SRC(viewer->appsrc), gst_sample_get_caps(sample));
    gst_app_src_push_buffer(GST_APP_SRC(viewer->appsrc), copy);
}

static GstFlowReturn on_sample(GstAppSink *sink, gpointer user)
{
    (void)user;
    g_autoptr(GstSample) sample = gst_app_sink_pull_sample(sink);
    if (!sample)
        return GST_FLOW_EOS;
    GstBuffer *buffer = gst_sample_get_buffer(sample);
    g_mutex_lock(&lock);
    GstClockTime duration =
        GST_BUFFER_DURATION_IS_VALID(buffer) ? GST_BUFFER_DURATION(buffer) : 0;
    pass_end = MAX(pass_end,
                   running_time(sample, GST_BUFFER_PTS(buffer)) + (GstClockTimeDiff)duration);
    for (GList *item = viewers; item; item = item->next)
        push(item->data, sample);
    /* Of a single pass nothing may be missed: the media needs one picture to be described,
     * which it takes when it plays; the rest is for who asked to see it. */
    while (options.once && !playing) {
        g_cond_wait_until(&played, &lock,
                          g_get_monotonic_time() + 10 * G_TIME_SPAN_MILLISECOND);
        for (GList *item = viewers; item; item = item->next)
            if (!((struct viewer *)item->data)->started)
                push(item->data, sample);
    }
    g_mutex_unlock(&lock);
    return GST_FLOW_OK;
}

static void viewer_free(gpointer data)
{
    struct viewer *viewer = data;
    gst_object_unref(viewer->appsrc);
    g_free(viewer);
}

static void on_unprepared(GstRTSPMedia *media, gpointer user)
{
    (void)media;
    g_mutex_lock(&lock);
    viewers = g_list_remove(viewers, user);
    g_mutex_unlock(&lock);
}

static void on_media_configure(GstRTSPMediaFactory *factory, GstRTSPMedia *media, gpointer user)
{
    (void)factory, (void)user;
    g_autoptr(GstElement) bin = gst_rtsp_media_get_element(media);
    struct viewer *viewer = g_new0(struct viewer, 1);
    viewer->appsrc = gst_bin_get_by_name(GST_BIN(bin), "camera");
    g_object_set_data_full(G_OBJECT(media), "viewer", viewer, viewer_free);
    g_signal_connect(media, "unprepared", G_CALLBACK(on_unprepared), viewer);
    g_mutex_lock(&lock);
    viewers = g_list_append(viewers, viewer);
    if (ended)
        gst_app_src_end_of_stream(GST_APP_SRC(viewer->appsrc));
    g_mutex_unlock(&lock);
    if (options.once)
        gst_element_set_state(camera, GST_STATE_PLAYING);
}

static void end_or_repeat(void)
{
    g_mutex_lock(&lock);
    if (options.once) {
        ended = true;
        for (GList *item = viewers; item; item = item->next)
            gst_app_src_end_of_stream(GST_APP_SRC(((struct viewer *)item->data)->appsrc));
    } else {
        pass_shift += pass_end;
        pass_end = 0;
    }
    g_mutex_unlock(&lock);
    if (!options.once)
        gst_element_seek_simple(camera, GST_FORMAT_TIME,
                                GST_SEEK_FLAG_FLUSH | GST_SEEK_FLAG_KEY_UNIT, 0);
}

static gboolean on_camera_message(GstBus *bus, GstMessage *message, gpointer user)
{
    (void)bus, (void)user;
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS) {
        end_or_repeat();
    } else if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
        g_autoptr(GError) error = NULL;
        gst_message_parse_error(message, &error, NULL);
        g_printerr("rtspserver: %s\n", error->message);
        exit(EXIT_FAILURE);
    }
    return G_SOURCE_CONTINUE;
}

static GstElement *make_camera(const struct codec *codec)
{
    g_autofree char *launch = NULL;
    if (options.file) {
        const char *demuxer =
            g_str_has_suffix(options.file, ".mkv") ? "matroskademux" : "qtdemux";
        launch = g_strdup_printf("filesrc name=file ! %s ! %s ! appsink name=sink", demuxer,
                                 codec->parse);
    } else {
        g_autofree char *key = g_strdup_printf("%d", options.fps * options.gop_s);
        g_auto(GStrv) parts = g_strsplit(codec->encode, "%d", 2);
        g_autofree char *encode = g_strjoinv(key, parts);
        bool scene = g_strcmp0(options.pattern, "scene") == 0;
        launch = g_strdup_printf(
            "%s is-live=true name=source ! video/x-raw,width=%d,height=%d,framerate=%d/1 ! "
            "videoconvert ! video/x-raw,format=I420 ! %s ! %s ! "
            "appsink name=sink",
            scene ? "vigilscenesrc" : "videotestsrc", options.width, options.height,
            options.fps, encode, codec->parse);
    }
    g_autoptr(GError) error = NULL;
    GstElement *pipeline = gst_parse_launch(launch, &error);
    if (!pipeline || error) {
        g_printerr("rtspserver: %s\n", error->message);
        exit(EXIT_FAILURE);
    }
    if (options.file) {
        g_autoptr(GstElement) file = gst_bin_get_by_name(GST_BIN(pipeline), "file");
        g_object_set(file, "location", options.file, NULL);
    }
    g_autoptr(GstElement) source = gst_bin_get_by_name(GST_BIN(pipeline), "source");
    if (source && g_strcmp0(options.pattern, "scene") != 0)
        gst_util_set_object_arg(G_OBJECT(source), "pattern",
                                options.pattern ? options.pattern : "ball");
    g_autoptr(GstElement) sink = gst_bin_get_by_name(GST_BIN(pipeline), "sink");
    static GstAppSinkCallbacks callbacks = {.new_sample = on_sample};
    gst_app_sink_set_callbacks(GST_APP_SINK(sink), &callbacks, NULL, NULL);
    g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
    gst_bus_add_watch(bus, on_camera_message, NULL);
    return pipeline;
}

static int protect(GstRTSPServer *server, GstRTSPMediaFactory *factory)
{
    if (!options.user && !options.tls)
        return 0;
    g_autoptr(GstRTSPAuth) auth = gst_rtsp_auth_new();
    if (options.tls) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GTlsCertificate) certificate =
            g_tls_certificate_new_from_file(options.tls, &error);
        if (!certificate) {
            g_printerr("rtspserver: %s\n", error->message);
            return -1;
        }
        gst_rtsp_auth_set_tls_certificate(auth, certificate);
    }
    g_autoptr(GstRTSPToken) token =
        gst_rtsp_token_new(GST_RTSP_TOKEN_MEDIA_FACTORY_ROLE, G_TYPE_STRING, "viewer", NULL);
    const char *password = options.password ? options.password : "";
    if (!options.user) {
        gst_rtsp_auth_set_default_token(auth, token);
    } else if (options.digest) {
        gst_rtsp_auth_set_supported_methods(auth, GST_RTSP_AUTH_DIGEST);
        gst_rtsp_auth_add_digest(auth, options.user, password, token);
    } else {
        g_autofree char *basic = gst_rtsp_auth_make_basic(options.user, password);
        gst_rtsp_auth_add_basic(auth, basic, token);
    }
    gst_rtsp_media_factory_add_role(factory, "viewer", GST_RTSP_PERM_MEDIA_FACTORY_ACCESS,
                                    G_TYPE_BOOLEAN, TRUE, GST_RTSP_PERM_MEDIA_FACTORY_CONSTRUCT,
                                    G_TYPE_BOOLEAN, TRUE, NULL);
    gst_rtsp_server_set_auth(server, auth);
    return 0;
}

static void on_play(GstRTSPClient *client, GstRTSPContext *context, gpointer user)
{
    (void)client, (void)context, (void)user;
    g_mutex_lock(&lock);
    playing = true;
    g_cond_signal(&played);
    g_mutex_unlock(&lock);
}

static void on_client(GstRTSPServer *server, GstRTSPClient *client, gpointer user)
{
    (void)server, (void)user;
    g_signal_connect(client, "play-request", G_CALLBACK(on_play), NULL);
}

static gboolean on_terminate(gpointer user)
{
    (void)user;
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

static const struct codec *find_codec(void)
{
    const char *name = options.codec ? options.codec : "h264";
    for (size_t i = 0; i < G_N_ELEMENTS(codecs); i++)
        if (g_str_equal(codecs[i].name, name))
            return &codecs[i];
    g_printerr("rtspserver: unknown codec %s\n", name);
    return NULL;
}

int main(int argc, char **argv)
{
    /* vigilscenesrc is linked in: an instrumented plugin could not be scanned by GStreamer's
     * helper, and a plugin must not come both ways. */
    g_unsetenv("GST_PLUGIN_PATH");
    setlocale(LC_CTYPE, "C.UTF-8"); /* GLib's help has an ellipsis */
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_add_group(context, gst_init_get_option_group());
    g_autoptr(GError) error = NULL;
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        g_printerr("rtspserver: %s\n", error->message);
        return 2;
    }
    if (!vigil_plugin_register_static())
        return EXIT_FAILURE;
    const struct codec *codec = find_codec();
    if (!codec)
        return 2;
    loop = g_main_loop_new(NULL, FALSE);
    camera = make_camera(codec);

    GstRTSPServer *server = gst_rtsp_server_new();
    g_autofree char *service = g_strdup_printf("%d", options.port);
    gst_rtsp_server_set_address(server, "127.0.0.1");
    gst_rtsp_server_set_service(server, service);
    GstRTSPMediaFactory *factory = gst_rtsp_media_factory_new();
    g_autofree char *launch =
        g_strdup_printf("( appsrc name=camera is-live=true format=time max-bytes=0 ! "
                        "%s name=pay0 pt=96%s )",
                        codec->pay,
                        options.audio ? " audiotestsrc is-live=true wave=silence ! mulawenc ! "
                                        "rtppcmupay name=pay1 pt=0"
                                      : "");
    gst_rtsp_media_factory_set_launch(factory, launch);
    gst_rtsp_media_factory_set_shared(factory, TRUE);
    if (options.udp_only)
        gst_rtsp_media_factory_set_protocols(factory, GST_RTSP_LOWER_TRANS_UDP);
    g_signal_connect(factory, "media-configure", G_CALLBACK(on_media_configure), NULL);
    if (protect(server, factory) < 0)
        return EXIT_FAILURE;
    g_autoptr(GstRTSPMountPoints) mounts = gst_rtsp_server_get_mount_points(server);
    gst_rtsp_mount_points_add_factory(mounts, "/stream", factory);
    if (gst_rtsp_server_attach(server, NULL) == 0) {
        g_printerr("rtspserver: port %d is not free\n", options.port);
        return EXIT_FAILURE;
    }
    g_signal_connect(server, "client-connected", G_CALLBACK(on_client), NULL);
    g_unix_signal_add(SIGTERM, on_terminate, NULL);
    g_unix_signal_add(SIGINT, on_terminate, NULL);
    if (!options.once)
        gst_element_set_state(camera, GST_STATE_PLAYING);
    printf("%s://127.0.0.1:%d/stream\n", options.tls ? "rtsps" : "rtsp",
           gst_rtsp_server_get_bound_port(server));
    fflush(stdout);
    g_main_loop_run(loop);
    on_play(NULL, NULL, NULL); /* the camera may be waiting for it */
    gst_element_set_state(camera, GST_STATE_NULL);
    gst_object_unref(camera);
    g_object_unref(server);
    g_main_loop_unref(loop);
    return EXIT_SUCCESS;
}
