/* What this project can decode: the codecs, the containers and the plugins that hold them.
 *
 * One table each, all fixed. Which element meets a byte of a camera or a file is decided here
 * and nowhere else: nothing is autoplugged, and the process never learns of a plugin that is
 * not in media_plugins.
 *
 * Thread: constant tables, any thread. */
#ifndef PIPELINE_MEDIA_H
#define PIPELINE_MEDIA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gst/gst.h>

/* The largest coded picture let into a decoder, as an area so that upright cameras fit too. A
 * well-formed file of 400 kB can ask a decoder for gigabytes. */
#define MEDIA_PIXELS_MAX (4096 * 2304)
#define MEDIA_SIDE_MAX   8192

/* Bytes media_container_sniff wants to see; fewer are fine for a short file. */
#define MEDIA_SNIFF_BYTES 1024

struct media_codec {
    const char *name;     /* "h264": in the stream's status */
    const char *caps;     /* what demuxers and depayloaders call it */
    const char *encoding; /* RTP encoding name, NULL: not taken from a camera */
    const char *depay;    /* elements */
    const char *parse;
    const char *decoder;
};

struct media_container {
    const char *name;
    const char *demuxer; /* element */
};

/* File names without "libgst" and ".so", NULL at the end. */
extern const char *const media_plugins[];

/* The codec of a demuxer's pad or of an RTP stream (application/x-rtp), or NULL. */
const struct media_codec *media_codec_of(const GstCaps *caps);

/* The index-th codec, NULL after the last. */
const struct media_codec *media_codec_at(size_t index);

/* A name for a person of a codec we do not know: the encoding name or the caps' name. */
void media_codec_describe(const GstCaps *caps, char *ret_text, size_t size);

/* Whether the pad carries pictures, or sound (and not text, ...), known codec or not. */
bool media_is_video(const GstCaps *caps);
bool media_is_audio(const GstCaps *caps);

/* Which container begins with these bytes, or NULL. */
const struct media_container *media_container_sniff(const uint8_t *bytes, size_t size);

/* Whether a decoder may see pictures of this size. */
bool media_size_is_allowed(int width, int height);

#endif
