/* Cameras: rtspsrc over TCP, one picture stream, and what its errors mean. */
#include <stdio.h>
#include <string.h>

#include "pipeline/sourcebin.h"
#include "pipeline/tlsname.h"

#define LATENCY_MS          200
#define TCP_TIMEOUT_US      5000000
#define DIAGNOSE_TIMEOUT_US (300 * 1000)

static gboolean on_select_stream(GstElement *rtsp, guint number, GstCaps *caps, gpointer user)
{
    (void)rtsp, (void)number;
    struct source_context *context = user;
    return source_choose(context, caps) != NULL;
}

static void on_sdp(GstElement *rtsp, gpointer sdp, gpointer user)
{
    (void)rtsp, (void)sdp;
    struct source_context *context = user;
    if (context->watch->connected)
        context->watch->connected(context->watch_user);
}

/* rtspsrc follows redirections, to any host and with our user and password, and says nothing of
 * it; but what it then has as its location is another. It has connected there by now, which it
 * gives no say in; no byte is sent. */
static gboolean on_before_send(GstElement *rtsp, gpointer message, gpointer user)
{
    (void)message;
    struct source_context *context = user;
    g_autofree char *location = NULL;
    g_object_get(rtsp, "location", &location, NULL);
    if (g_strcmp0(location, context->location) == 0)
        return TRUE;
    source_fail(context, REASON_NOT_FOUND,
                "the camera sends us elsewhere, which is not followed: give its real address");
    return FALSE;
}

static void on_pad_added(GstElement *rtsp, GstPad *pad, gpointer user)
{
    (void)rtsp;
    struct source_context *context = user;
    g_autoptr(GstCaps) caps = gst_pad_get_current_caps(pad);
    if (!caps)
        caps = gst_pad_query_caps(pad, NULL);
    const struct media_codec *codec = media_codec_of(caps);
    if (codec && codec->depay && !context->codec)
        source_decode(context, pad, codec, true);
}

/* What PLAY says of the first packet's number is wrong for who joins a shared session, and with
 * many cameras always: the buffer would wait LATENCY_MS for packets that nobody sends. */
static GstPadProbeReturn on_rtp_caps(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    (void)pad, (void)user;
    GstEvent *event = GST_PAD_PROBE_INFO_EVENT(info);
    if (GST_EVENT_TYPE(event) != GST_EVENT_CAPS)
        return GST_PAD_PROBE_OK;
    GstCaps *caps;
    gst_event_parse_caps(event, &caps);
    g_autoptr(GstCaps) unnumbered = gst_caps_copy(caps);
    gst_structure_remove_field(gst_caps_get_structure(unnumbered, 0), "seqnum-base");
    GST_PAD_PROBE_INFO_DATA(info) = gst_event_new_caps(unnumbered);
    gst_event_unref(event);
    return GST_PAD_PROBE_OK;
}

/* Over TCP nothing overtakes: the first packet that comes is the first. */
static void on_new_jitterbuffer(GstElement *manager, GstElement *jitterbuffer, guint session,
                                guint ssrc, gpointer user)
{
    (void)manager, (void)session, (void)ssrc, (void)user;
    g_object_set(jitterbuffer, "faststart-min-packets", 1, NULL);
    g_autoptr(GstPad) sink = gst_element_get_static_pad(jitterbuffer, "sink");
    gst_pad_add_probe(sink, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_rtp_caps, NULL, NULL);
}

static void on_new_manager(GstElement *rtsp, GstElement *manager, gpointer user)
{
    (void)rtsp, (void)user;
    g_signal_connect(manager, "new-jitterbuffer", G_CALLBACK(on_new_jitterbuffer), NULL);
}

static bool check_certificates(struct source_context *context, GstElement *rtsp,
                               const struct address *uri)
{
    g_autoptr(GTlsDatabase) authorities = tls_name_authorities();
    if (!authorities) {
        source_fail(context, REASON_TLS, "this machine has no certificate store for rtsps");
        return false;
    }
    context->tls = G_OBJECT(tls_name_new(authorities, uri->host));
    g_object_set(rtsp, "tls-database", context->tls, NULL);
    return true;
}

bool source_build_rtsp(struct source_context *context, const struct source_options *options)
{
    char location[MESSAGE_URI_SIZE + MESSAGE_HOST_SIZE];
    if (address_locate(options->uri, options->address, location, sizeof location) < 0) {
        source_fail(context, REASON_INTERNAL, "the camera's URI is too long");
        return false;
    }
    context->location = g_strdup(location);
    g_strlcpy(context->address, options->address, sizeof context->address);
    context->port = (guint)options->uri->port;
    GstElement *rtsp = source_element_add(context, "rtspsrc");
    if (!rtsp)
        return false;
    /* TCP: no firewall trouble, no sockets to bind, and loss shows as delay, which we measure.
     * rtspsrc's own notice of a dead session is far too late (25-30 s): see lifecycle.h. */
    gst_util_set_object_arg(G_OBJECT(rtsp), "protocols", "tcp");
    g_object_set(rtsp, "location", location, "latency", LATENCY_MS, "drop-on-latency", TRUE,
                 "tcp-timeout", (guint64)TCP_TIMEOUT_US, NULL);
    /* The camera's own timestamps: the default guesses them from arrival, which for B-pictures,
     * sent out of order, is wrong by up to 300 ms. What clocks drift apart: tail.c. */
    gst_util_set_object_arg(G_OBJECT(rtsp), "buffer-mode", "none");
    if (*options->user || *options->password)
        g_object_set(rtsp, "user-id", options->user, "user-pw", options->password, NULL);
    if (options->uri->kind == ADDRESS_RTSPS && !check_certificates(context, rtsp, options->uri))
        return false;
    g_signal_connect(rtsp, "select-stream", G_CALLBACK(on_select_stream), context);
    g_signal_connect(rtsp, "before-send", G_CALLBACK(on_before_send), context);
    g_signal_connect(rtsp, "on-sdp", G_CALLBACK(on_sdp), context);
    g_signal_connect(rtsp, "new-manager", G_CALLBACK(on_new_manager), NULL);
    g_signal_connect(rtsp, "pad-added", G_CALLBACK(on_pad_added), context);
    return true;
}

/* rtspsrc says "Failed to connect. (Generic error)" of all of these, so the door is tried once
 * more. A local refusal comes at once; what takes longer is not worth the main thread's
 * time. */
static enum stream_reason diagnose(struct source_context *context, const char **ret_why)
{
    GTlsCertificateFlags refusal = context->tls ? tls_name_refusal(TLS_NAME(context->tls)) : 0;
    if (refusal) {
        *ret_why = tls_name_explain(refusal);
        return REASON_TLS;
    }
    *ret_why = "the camera does not answer";
    if (g_get_monotonic_time() - context->created_us > TCP_TIMEOUT_US * 9 / 10)
        return REASON_TIMEOUT;
    g_autoptr(GSocketAddress) address =
        g_inet_socket_address_new_from_string(context->address, context->port);
    g_autoptr(GSocket) probe =
        address ? g_socket_new(g_socket_address_get_family(address), G_SOCKET_TYPE_STREAM,
                               G_SOCKET_PROTOCOL_DEFAULT, NULL)
                : NULL;
    if (!probe)
        return REASON_INTERNAL;
    g_socket_set_blocking(probe, FALSE);
    g_autoptr(GError) error = NULL;
    gboolean connected = g_socket_connect(probe, address, NULL, &error);
    if (!connected && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_PENDING)) {
        g_clear_error(&error);
        connected =
            g_socket_condition_timed_wait(probe, G_IO_OUT, DIAGNOSE_TIMEOUT_US, NULL, &error) &&
            g_socket_check_connect_result(probe, &error);
    }
    if (connected && context->tls) {
        *ret_why = "there is no TLS at the camera's port: give rtsp://, or the port of rtsps";
        return REASON_TLS;
    }
    if (connected) {
        *ret_why = "the camera ended the session before it began";
        return REASON_DISCONNECTED;
    }
    if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
        return REASON_TIMEOUT;
    *ret_why = g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED)
                   ? "nothing listens at the camera's port"
                   : "the camera's address cannot be reached";
    return REASON_REFUSED;
}

enum stream_reason source_explain_rtsp(struct source_context *context, const GError *error,
                                       const char *debug, const char **ret_why)
{
    bool resource = error->domain == GST_RESOURCE_ERROR;
    if (resource && error->code == GST_RESOURCE_ERROR_NOT_AUTHORIZED) {
        *ret_why = "the camera answered 401: check user and password";
        return REASON_AUTH_FAILED;
    }
    if (resource && error->code == GST_RESOURCE_ERROR_NOT_FOUND) {
        *ret_why = "the camera answered 404: check the path";
        return REASON_NOT_FOUND;
    }
    if (resource && (error->code == GST_RESOURCE_ERROR_OPEN_READ_WRITE ||
                     error->code == GST_RESOURCE_ERROR_OPEN_READ))
        return diagnose(context, ret_why);
    if (resource && debug && strstr(debug, "(Timeout")) {
        *ret_why = "the camera does not answer";
        return REASON_TIMEOUT;
    }
    if (resource) {
        *ret_why = "the camera ended the session";
        return REASON_DISCONNECTED;
    }
    /* Of a stream we would take: what is missing is a way to have it sent. */
    if (error->domain == GST_STREAM_ERROR && error->code == GST_STREAM_ERROR_CODEC_NOT_FOUND) {
        *ret_why =
            "the camera does not send over TCP, the only way its pictures are taken: allow "
            "TCP (interleaved) in the camera";
        return REASON_TRANSPORT;
    }
    *ret_why = "the camera sends what cannot be decoded";
    return REASON_NO_PICTURE;
}
