#include "pipeline/snapshot.h"

#include <errno.h>
#include <unistd.h>

#include <gst/app/gstappsink.h>
#include <gst/app/gstappsrc.h>

#define ENCODE_TIMEOUT (5 * GST_SECOND)
#define QUALITY        85

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

/* source ! videoconvert ! jpegenc ! sink; borrowed elements of the pipeline returned. */
static GstElement *build(GstElement **ret_source, GstElement **ret_sink)
{
    GstElement *pipeline = gst_pipeline_new(NULL);
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
            gst_bin_add(GST_BIN(pipeline), all[i]);
    if (!complete || !gst_element_link_many(source, convert, encode, sink, NULL)) {
        gst_object_unref(pipeline);
        return NULL;
    }
    g_object_set(encode, "quality", QUALITY, NULL);
    g_object_set(sink, "sync", FALSE, NULL);
    *ret_source = source;
    *ret_sink = sink;
    return pipeline;
}

int64_t snapshot_write(GstSample *sample, int fd)
{
    GstBuffer *buffer = gst_sample_get_buffer(sample);
    GstCaps *caps = gst_sample_get_caps(sample);
    if (!buffer || !caps)
        return -EINVAL;
    GstElement *source, *sink;
    GstElement *pipeline = build(&source, &sink);
    if (!pipeline)
        return -EINVAL;
    g_object_set(source, "caps", caps, "format", GST_FORMAT_TIME, NULL);
    int64_t r = -EINVAL;
    if (gst_element_set_state(pipeline, GST_STATE_PLAYING) != GST_STATE_CHANGE_FAILURE) {
        /* A copy of the structure, not of the pixels: the encoder wants its own timestamps. */
        GstBuffer *picture = gst_buffer_copy(buffer);
        GST_BUFFER_PTS(picture) = 0;
        gst_app_src_push_buffer(GST_APP_SRC(source), picture);
        gst_app_src_end_of_stream(GST_APP_SRC(source));
        g_autoptr(GstSample) jpeg =
            gst_app_sink_try_pull_sample(GST_APP_SINK(sink), ENCODE_TIMEOUT);
        GstMapInfo map;
        if (jpeg && gst_buffer_map(gst_sample_get_buffer(jpeg), &map, GST_MAP_READ)) {
            r = write_all(fd, map.data, map.size);
            gst_buffer_unmap(gst_sample_get_buffer(jpeg), &map);
        }
    }
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    return r;
}
