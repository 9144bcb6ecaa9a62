#include "pipeline/frames.h"

#include <errno.h>
#include <unistd.h>

#include <gst/video/video.h>

#include "pipeline/convert.h"
#include "pipeline/sampler.h"
#include "pipeline/source.h"

/* Of the decoding thread, but for what the lock guards. */
struct frames {
    const struct modelinfo *info;
    int out;
    struct sampler sampler;
    GstVideoInfo format;
    struct convert *convert; /* from `format`; NULL before the first frame */
    float *frame;
    size_t frame_bytes;
    int64_t written;

    GMutex lock;
    bool over;
    int result;
    char why[MESSAGE_DETAIL_SIZE];
};

/* The first reason is the one that is told. */
static void finish(struct frames *frames, int result, const char *why)
{
    g_mutex_lock(&frames->lock);
    if (!frames->over) {
        frames->over = true;
        frames->result = result;
        g_strlcpy(frames->why, why ? why : "", sizeof frames->why);
    }
    g_mutex_unlock(&frames->lock);
}

static bool is_over(struct frames *frames)
{
    g_mutex_lock(&frames->lock);
    bool over = frames->over;
    g_mutex_unlock(&frames->lock);
    return over;
}

/* --- what the source says ----------------------------------------------------------------- */

static bool on_picture(void *user, const struct source_picture *picture)
{
    (void)user;
    return !picture->damaged;
}

static void on_ended(void *user)
{
    struct frames *frames = user;
    finish(frames, frames->written > 0 ? 0 : -EIO, "there is no picture in the file");
}

static void on_failed(void *user, enum stream_reason reason, const char *detail)
{
    (void)reason;
    finish(user, -EIO, detail);
}

static const struct source_watch watch = {
    .picture = on_picture,
    .ended = on_ended,
    .failed = on_failed,
};

/* --- pictures ----------------------------------------------------------------------------- */

static int set_format(struct frames *frames, GstPad *pad)
{
    const struct modelinfo *info = frames->info;
    const struct convert_region all = {0, 0, 1, 1};
    struct convert_target target;
    GstVideoInfo format;
    g_autoptr(GstCaps) caps = gst_pad_get_current_caps(pad);
    if (!caps || !gst_video_info_from_caps(&format, caps))
        return -EINVAL;
    if (frames->convert && gst_video_info_is_equal(&format, &frames->format))
        return 0;
    convert_target_of(info, &target);
    struct convert *convert;
    int r = convert_create(&format, &all, &target, &convert);
    if (r < 0)
        return r;
    convert_destroy(frames->convert);
    frames->convert = convert;
    frames->format = format;
    return 0;
}

static int write_all(int fd, const void *data, size_t size)
{
    for (const char *from = data; size > 0;) {
        ssize_t n = write(fd, from, size);
        if (n < 0 && errno != EINTR)
            return -errno;
        from += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static bool is_sampled(struct frames *frames, const GstBuffer *buffer)
{
    GstClockTime pts = GST_BUFFER_PTS(buffer);
    if (!GST_CLOCK_TIME_IS_VALID(pts) || pts > G_MAXINT64 / 4)
        return false;
    enum sampler_verdict verdict = sampler_look(&frames->sampler, (int64_t)pts);
    return verdict == SAMPLER_TAKE || verdict == SAMPLER_TAKE_FIRST;
}

static void on_decoded(GstElement *sink, GstBuffer *buffer, GstPad *pad, gpointer user)
{
    (void)sink;
    struct frames *frames = user;
    GstVideoFrame picture;
    if (is_over(frames) || !is_sampled(frames, buffer))
        return;
    if (set_format(frames, pad) < 0 ||
        !gst_video_frame_map(&picture, &frames->format, buffer, GST_MAP_READ)) {
        finish(frames, -EIO, "its pictures cannot be converted");
        return;
    }
    convert_frame(frames->convert, &picture, frames->frame);
    gst_video_frame_unmap(&picture);
    if (write_all(frames->out, frames->frame, frames->frame_bytes) < 0)
        finish(frames, -EPIPE, "nobody reads the frames");
    else
        frames->written++;
}

/* --- the whole ---------------------------------------------------------------------------- */

/* source ! videoconvert ! formats that convert takes ! fakesink */
static GstElement *build(struct frames *frames, int clip, GstElement **ret_source)
{
    const struct address uri = {.kind = ADDRESS_FILE};
    const struct source_options options = {
        .uri = &uri, .fd = clip, .watch = &watch, .watch_user = frames};
    GstElement *pipeline = gst_pipeline_new(NULL);
    GstElement *const chain[] = {source_create(&options),
                                 gst_element_factory_make("videoconvert", NULL),
                                 gst_element_factory_make("capsfilter", NULL),
                                 gst_element_factory_make("fakesink", NULL)};
    for (size_t i = 0; i < G_N_ELEMENTS(chain); i++)
        if (!chain[i] || !gst_bin_add(GST_BIN(pipeline), chain[i]) ||
            (i > 0 && !gst_element_link(chain[i - 1], chain[i]))) {
            gst_object_unref(pipeline);
            return NULL;
        }
    gst_util_set_object_arg(G_OBJECT(chain[2]), "caps", "video/x-raw,format=" CONVERT_FORMATS);
    g_object_set(chain[3], "sync", FALSE, "async", FALSE, "signal-handoffs", TRUE, NULL);
    g_signal_connect(chain[3], "handoff", G_CALLBACK(on_decoded), frames);
    *ret_source = chain[0];
    return pipeline;
}

/* An error that GStreamer reports as a message, in the source's words. */
static void take_message(struct frames *frames, GstElement *source, GstBus *bus)
{
    char detail[MESSAGE_DETAIL_SIZE];
    g_autoptr(GstMessage) message =
        gst_bus_timed_pop_filtered(bus, 20 * GST_MSECOND, GST_MESSAGE_ERROR);
    if (!message)
        return;
    source_explain(source, message, detail, sizeof detail);
    finish(frames, -EIO, detail);
}

static void play(struct frames *frames, int clip)
{
    GstElement *source = NULL, *pipeline = build(frames, clip, &source);
    if (!pipeline) {
        finish(frames, -EIO, "its elements cannot be made or linked");
        return;
    }
    if (gst_element_set_state(pipeline, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE)
        finish(frames, -EIO, "the pipeline does not start");
    g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
    while (!is_over(frames))
        take_message(frames, source, bus);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}

int frames_write(const struct modelinfo *info, int clip, int out, struct nn_error *err)
{
    struct frames frames = {.info = info, .out = out};
    size_t floats = (size_t)info->channels * (size_t)info->width * (size_t)info->height;
    frames.frame_bytes = floats * sizeof *frames.frame;
    frames.frame = g_try_malloc(frames.frame_bytes);
    if (!frames.frame)
        return nn_error_set(err, -ENOMEM, "no memory for a frame");
    g_mutex_init(&frames.lock);
    sampler_init(&frames.sampler, info->fps, info->window);
    play(&frames, clip);
    convert_destroy(frames.convert);
    g_free(frames.frame);
    g_mutex_clear(&frames.lock);
    return frames.result < 0 ? nn_error_set(err, frames.result, "%s", frames.why) : 0;
}
