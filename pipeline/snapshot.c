#include "pipeline/snapshot.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>

#define ENCODE_TIMEOUT (5 * GST_SECOND)
#define QUALITY        85

/* appsrc ! videoconvert ! jpegenc ! appsink, playing. */
struct encoder {
    GstElement *pipeline;
    GstElement *source, *sink; /* in it */
};

/* Building one takes twice as long as encoding a picture with it. */
static struct encoder *spare; /* atomic */

static void encoder_destroy(struct encoder *encoder)
{
    if (!encoder)
        return;
    gst_element_set_state(encoder->pipeline, GST_STATE_NULL);
    gst_object_unref(encoder->pipeline);
    g_free(encoder);
}

/* Nobody reads what an encoder says, and it would be kept. */
static GstBusSyncReply drop_message(GstBus *bus, GstMessage *message, gpointer user)
{
    (void)bus, (void)user;
    gst_message_unref(message);
    return GST_BUS_DROP;
}

/* Elements are the pipeline's. */
static bool encoder_link(struct encoder *encoder)
{
    GstElement *source = gst_element_factory_make("appsrc", NULL);
    GstElement *convert = gst_element_factory_make("videoconvert", NULL);
    GstElement *encode = gst_element_factory_make("jpegenc", NULL);
    GstElement *sink = gst_element_factory_make("appsink", NULL);
    GstElement *const all[] = {source, convert, encode, sink};
    gboolean complete = TRUE;
    for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
        complete = complete && all[i];
    for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
        if (all[i])
            gst_bin_add(GST_BIN(encoder->pipeline), all[i]);
    if (!complete || !gst_element_link_many(source, convert, encode, sink, NULL))
        return false;
    g_object_set(source, "format", GST_FORMAT_TIME, NULL);
    g_object_set(encode, "quality", QUALITY, NULL);
    g_object_set(sink, "sync", FALSE, "enable-last-sample", FALSE, NULL);
    encoder->source = source;
    encoder->sink = sink;
    return true;
}

static struct encoder *encoder_create(void)
{
    struct encoder *encoder = g_new0(struct encoder, 1);
    encoder->pipeline = gst_object_ref_sink(gst_pipeline_new(NULL));
    g_autoptr(GstBus) bus = gst_element_get_bus(encoder->pipeline);
    gst_bus_set_sync_handler(bus, drop_message, NULL, NULL);
    if (encoder_link(encoder) &&
        gst_element_set_state(encoder->pipeline, GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE)
        return encoder;
    encoder_destroy(encoder);
    return NULL;
}

/* The JPEG, or NULL: then the picture may still come, and this encoder must not be used
 * again. */
static GstSample *encoder_run(struct encoder *encoder, GstBuffer *buffer, GstCaps *caps)
{
    gst_app_src_set_caps(GST_APP_SRC(encoder->source), caps);
    /* A copy of the structure, not of the pixels: the encoder wants its own timestamps. */
    GstBuffer *picture = gst_buffer_copy(buffer);
    GST_BUFFER_PTS(picture) = 0;
    GST_BUFFER_DTS(picture) = GST_CLOCK_TIME_NONE;
    gst_app_src_push_buffer(GST_APP_SRC(encoder->source), picture);
    return gst_app_sink_try_pull_sample(GST_APP_SINK(encoder->sink), ENCODE_TIMEOUT);
}

static int64_t write_all(int fd, const uint8_t *bytes, size_t size)
{
    if (size > SNAPSHOT_BYTES_MAX)
        return -EFBIG;
    for (size_t done = 0; done < size;) {
        ssize_t n = pwrite(fd, bytes + done, size - done, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno == EPERM ? -EFBIG : -EIO; /* EPERM: sealed */
        done += (size_t)n;
    }
    return (int64_t)size;
}

static int64_t write_sample(GstSample *jpeg, int fd)
{
    GstMapInfo map;
    if (!gst_buffer_map(gst_sample_get_buffer(jpeg), &map, GST_MAP_READ))
        return -EINVAL;
    int64_t r = write_all(fd, map.data, map.size);
    gst_buffer_unmap(gst_sample_get_buffer(jpeg), &map);
    return r;
}

int64_t snapshot_write(GstSample *sample, int fd)
{
    GstBuffer *buffer = gst_sample_get_buffer(sample);
    GstCaps *caps = gst_sample_get_caps(sample);
    if (!buffer || !caps)
        return -EINVAL;
    struct encoder *encoder = g_atomic_pointer_exchange(&spare, NULL);
    if (!encoder && !(encoder = encoder_create()))
        return -EINVAL;
    g_autoptr(GstSample) jpeg = encoder_run(encoder, buffer, caps);
    if (!jpeg || !g_atomic_pointer_compare_and_exchange(&spare, NULL, encoder))
        encoder_destroy(encoder);
    return jpeg ? write_sample(jpeg, fd) : -EINVAL;
}

void snapshot_rest(void)
{
    encoder_destroy(g_atomic_pointer_exchange(&spare, NULL));
}
