#include "pipeline/media.h"

#include <string.h>

/* Everything a stream may need, and no more: what is not listed cannot be reached by a hostile
 * stream, since the registry of the other installed plugins is never read. */
const char *const media_plugins[] = {
    "coreelements",
    "app",
    "videoconvertscale",
    "rtsp",
    "rtp",
    "rtpmanager",
    "udp",
    "videoparsersbad",
    "isomp4",
    "matroska",
    "mpegtsdemux",
    "libav",
    "jpeg",
    "jpegformat",
    NULL,
};

/* The decoders are libav's software ones with one thread each: the parallelism is over streams.
 * JPEG too: GStreamer's own decoder is a little faster, but keeps to itself what libjpeg says
 * of damaged pictures.
 * VP8 is absent on purpose: GStreamer 1.22 has no parser for it, so the size of its pictures
 * could not be limited before the decoder. */
static const struct media_codec codecs[] = {
    {"h264", "video/x-h264", "H264", "rtph264depay", "h264parse", "avdec_h264"},
    {"h265", "video/x-h265", "H265", "rtph265depay", "h265parse", "avdec_h265"},
    {"jpeg", "image/jpeg", "JPEG", "rtpjpegdepay", "jpegparse", "avdec_mjpeg"},
    {"mpeg4", "video/mpeg", NULL, NULL, "mpeg4videoparse", "avdec_mpeg4"},
    {"vp9", "video/x-vp9", NULL, NULL, "vp9parse", "avdec_vp9"},
};

static const struct media_container mp4 = {"mp4", "qtdemux"};
static const struct media_container matroska = {"matroska", "matroskademux"};
static const struct media_container mpegts = {"mpegts", "tsdemux"};

/* rtspsrc asks about streams before it has given them their final name. */
static bool is_rtp(const GstStructure *structure)
{
    return gst_structure_has_name(structure, "application/x-rtp") ||
           gst_structure_has_name(structure, "application/x-unknown");
}

const struct media_codec *media_codec_of(const GstCaps *caps)
{
    if (!caps || gst_caps_is_empty(caps) || gst_caps_is_any(caps))
        return NULL;
    const GstStructure *first = gst_caps_get_structure(caps, 0);
    const char *encoding = NULL;
    int mpeg_version = 0;
    bool rtp = is_rtp(first);
    if (rtp && g_strcmp0(gst_structure_get_string(first, "media"), "video") == 0)
        encoding = gst_structure_get_string(first, "encoding-name");
    for (size_t i = 0; i < G_N_ELEMENTS(codecs); i++) {
        if (rtp) {
            if (encoding && codecs[i].encoding && strcmp(encoding, codecs[i].encoding) == 0)
                return &codecs[i];
            continue;
        }
        if (!gst_structure_has_name(first, codecs[i].caps))
            continue;
        /* "video/mpeg" is MPEG-1 and 2 as well. */
        if (strcmp(codecs[i].caps, "video/mpeg") == 0 &&
            (!gst_structure_get_int(first, "mpegversion", &mpeg_version) || mpeg_version != 4))
            continue;
        return &codecs[i];
    }
    return NULL;
}

const struct media_codec *media_codec_at(size_t index)
{
    return index < G_N_ELEMENTS(codecs) ? &codecs[index] : NULL;
}

void media_codec_describe(const GstCaps *caps, char *ret_text, size_t size)
{
    const GstStructure *first =
        caps && gst_caps_get_size(caps) ? gst_caps_get_structure(caps, 0) : NULL;
    const char *name = first ? gst_structure_get_string(first, "encoding-name") : NULL;
    if (!name && first)
        name = gst_structure_get_name(first);
    g_strlcpy(ret_text, name ? name : "unknown", size);
    /* The name comes from the stream and goes into logs. */
    for (char *c = ret_text; *c; c++)
        if (!g_ascii_isgraph(*c))
            *c = '?';
}

/* Whether it is of that medium, in RTP's words, or has one of those prefixes, in
 * GStreamer's. */
static bool is_medium(const GstCaps *caps, const char *medium, const char *prefix,
                      const char *other_prefix)
{
    if (!caps || gst_caps_is_empty(caps) || gst_caps_is_any(caps))
        return false;
    const GstStructure *first = gst_caps_get_structure(caps, 0);
    if (is_rtp(first))
        return g_strcmp0(gst_structure_get_string(first, "media"), medium) == 0;
    const char *name = gst_structure_get_name(first);
    return g_str_has_prefix(name, prefix) || g_str_has_prefix(name, other_prefix);
}

bool media_is_video(const GstCaps *caps)
{
    return is_medium(caps, "video", "video/", "image/");
}

bool media_is_audio(const GstCaps *caps)
{
    return is_medium(caps, "audio", "audio/", "audio/");
}

static bool bytes_at(const uint8_t *bytes, size_t size, size_t offset, const char *expected)
{
    size_t length = strlen(expected);
    return offset + length <= size && memcmp(bytes + offset, expected, length) == 0;
}

/* Transport streams have no magic number, only a sync byte in each packet. */
static bool is_transport_stream(const uint8_t *bytes, size_t size, size_t offset, size_t step)
{
    int packets = 0;
    for (; offset < size; offset += step, packets++)
        if (bytes[offset] != 0x47)
            return false;
    return packets >= 3;
}

const struct media_container *media_container_sniff(const uint8_t *bytes, size_t size)
{
    static const char *const boxes[] = {"ftyp", "moov", "mdat", "free", "skip", "wide", "pnot"};
    for (size_t i = 0; i < G_N_ELEMENTS(boxes); i++)
        if (bytes_at(bytes, size, 4, boxes[i]))
            return &mp4;
    if (bytes_at(bytes, size, 0, "\x1a\x45\xdf\xa3"))
        return &matroska;
    if (is_transport_stream(bytes, size, 0, 188) || is_transport_stream(bytes, size, 4, 192))
        return &mpegts;
    return NULL;
}

bool media_size_is_allowed(int width, int height)
{
    return width > 0 && height > 0 && width <= MEDIA_SIDE_MAX && height <= MEDIA_SIDE_MAX &&
           (int64_t)width * height <= MEDIA_PIXELS_MAX;
}
