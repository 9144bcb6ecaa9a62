/* Files: fdsrc, and the demuxer that the first bytes ask for. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/sourcebin.h"

static void on_pad_added(GstElement *demuxer, GstPad *pad, gpointer user)
{
    (void)demuxer;
    struct source_context *context = user;
    g_autoptr(GstCaps) caps = gst_pad_get_current_caps(pad);
    if (!caps)
        caps = gst_pad_query_caps(pad, NULL);
    const struct media_codec *codec = source_choose(context, caps);
    if (codec)
        source_decode(context, pad, codec, false);
}

static void on_no_more_pads(GstElement *demuxer, gpointer user)
{
    (void)demuxer;
    source_chosen_or_fail(user);
}

bool source_build_file(struct source_context *context, const struct source_options *options)
{
    uint8_t head[MEDIA_SNIFF_BYTES];
    ssize_t size = pread(options->fd, head, sizeof head, 0);
    /* The position belongs to the open file, not to the source before this one. */
    if (size < 0 || lseek(options->fd, 0, SEEK_SET) < 0) {
        source_fail(context, REASON_UNREADABLE, "the file cannot be read: %s", strerror(errno));
        return false;
    }
    const struct media_container *container = media_container_sniff(head, (size_t)size);
    if (!container) {
        source_fail(context, REASON_UNREADABLE,
                    size == 0 ? "the file is empty"
                              : "the file is no MP4, Matroska, WebM or MPEG transport stream");
        return false;
    }
    GstElement *reader = source_element_add(context, "fdsrc");
    GstElement *demuxer = reader ? source_element_add(context, container->demuxer) : NULL;
    if (!demuxer)
        return false;
    g_object_set(reader, "fd", options->fd, "blocksize", 64 * 1024, NULL);
    g_signal_connect(demuxer, "pad-added", G_CALLBACK(on_pad_added), context);
    g_signal_connect(demuxer, "no-more-pads", G_CALLBACK(on_no_more_pads), context);
    if (context->watch->connected)
        context->watch->connected(context->watch_user);
    return gst_element_link(reader, demuxer);
}
