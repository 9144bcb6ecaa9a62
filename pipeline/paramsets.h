/* Every picture size a coded H.264 or H.265 stream declares, not only the one in use.
 *
 * The parsers of GStreamer put the size of the last sequence parameter set into their caps, but
 * a picture may refer to any set sent before it: one that is large, sent first and hidden
 * behind a small one, would be decoded. So each set is looked at when it passes.
 *
 * Thread: one at a time. */
#ifndef PIPELINE_PARAMSETS_H
#define PIPELINE_PARAMSETS_H

#include <stdbool.h>

#include <gst/gst.h>

struct paramsets;

/* For the name of a codec of pipeline/media.h; NULL for codecs without such sets. */
struct paramsets *paramsets_create(const char *codec);
void paramsets_destroy(struct paramsets *sets); /* NULL is fine */

enum paramsets_verdict {
    PARAMSETS_FINE = 0,
    PARAMSETS_TOO_LARGE, /* a set is over media_size_is_allowed; its size is returned */
    PARAMSETS_BROKEN,    /* a set cannot be read: what a decoder makes of it is not known */
};

/* The coded caps (stream format, sets in codec_data), then each coded buffer. */
enum paramsets_verdict paramsets_check_caps(struct paramsets *sets, const GstStructure *caps,
                                            int *ret_width, int *ret_height);
enum paramsets_verdict paramsets_check(struct paramsets *sets, GstBuffer *buffer,
                                       int *ret_width, int *ret_height);

/* Whether the coded buffer last checked held a key picture that no later one looks behind
 * (H.264 IDR; H.265 IDR and BLA). */
bool paramsets_saw_clean_key(const struct paramsets *sets);

#endif
