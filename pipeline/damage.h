/* Damaged pictures. GStreamer's libav decoders do not say that a picture is broken; libav logs
 * it. A hook on that log notes which coded picture the complaint was about, so that the picture
 * can be recognised when it leaves the decoder.
 *
 * Thread: a decoder runs in one streaming thread (max-threads=1): picture goes in, complaint
 * and decoded pictures come out there. All state is that thread's own. */
#ifndef PIPELINE_DAMAGE_H
#define PIPELINE_DAMAGE_H

#include <stdbool.h>

#include <gst/gst.h>

/* Coded pictures remembered as damaged until they leave the decoder: more than any reordering
 * holds back. */
#define DAMAGE_PENDING_MAX 32

/* Installs the hook and silences GStreamer's own printing of its debug log. Once per process,
 * after gst_init() and after the libav plugin is loaded. */
void damage_listen(void);

/* This thread is about to decode the coded picture of that pts with that decoder (only
 * compared, never followed). */
void damage_enter(const void *decoder, GstClockTime pts);

/* Whether the picture of that pts, now decoded, was damaged; asked once. */
bool damage_take(const void *decoder, GstClockTime pts);

#endif
