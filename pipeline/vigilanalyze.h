/* vigilanalyze: an element that watches video through a model and says what happens.
 *
 * Buffers pass through. Frames are sampled by pts, run through the network, and every window's
 * scores become events; what is posted on the bus is in pipeline/vigilmessage.h. While an event
 * is on, buffers carry a GstVideoRegionOfInterestMeta per label over the region looked at:
 * roi_type is the label, its parameter structure "vigil-event" holds "score" (gdouble, of the
 * last window) and "kind" (gchararray).
 *
 * The model is loaded when the element goes from READY to PAUSED; what is wrong with it is one
 * line of GST_MESSAGE_ERROR. Properties are read then, but for post-windows, read per window.
 *
 * The network's state is reset, open events end and new ones are held off for one window after
 * a discontinuity: pts back by a second or by any step into a new segment, pts forward by more
 * than a second (or a window, if that is longer), a flush, other caps, a new stream, or the
 * custom downstream event VIGIL_ANALYZE_DISCONTINUITY, for whoever rebuilt a source: a sticky
 * one, where a queue before the element may throw others away.
 *
 * Another model may take over between two frames: whoever has the element makes an event of it
 * (vigil_analyze_model_event_new, which loads it) and sends that before the element, where it
 * takes its place in the stream. Open events of the old model end; counts go on.
 *
 * The read-only property stats is a GstStructure "vigil-stats", all of guint64:
 *   received                 frames = analysed + skipped
 *   analysed, skipped        seen by the network; not
 *   stale                    of those skipped, the ones that repeated a pts or came late
 *   windows, discontinuities
 *   convert-time             nanoseconds spent making input of pixels so far
 *   inference-time           and in the network
 *   last-pts                 stream time of the last frame analysed, or NONE
 *
 * A frame without a stream time, or with one beyond VIGIL_ANALYZE_TIME_MAX, passes unanalysed.
 *
 * Thread: properties from any; no lock is held while the network runs. */
#ifndef PIPELINE_VIGILANALYZE_H
#define PIPELINE_VIGILANALYZE_H

#include <gst/base/gstbasetransform.h>

#include "nn/tensor.h"
#include "pipeline/vigilmessage.h"

#define VIGIL_ANALYZE_DISCONTINUITY "vigil-discontinuity"
#define VIGIL_ANALYZE_MODEL         "vigil-model"

/* 73 years in ns. Streams may say any time; below this, sums of two of them with a window, a
 * duration or an interval do not overflow. */
#define VIGIL_ANALYZE_TIME_MAX (G_MAXINT64 / 4)

#define VIGIL_TYPE_ANALYZE (vigil_analyze_get_type())
G_DECLARE_FINAL_TYPE(VigilAnalyze, vigil_analyze, VIGIL, ANALYZE, GstBaseTransform)

/* A sticky downstream event that makes the element go on with this model, the other properties
 * being as they are; it belongs to the caller, and only this element understands it. NULL with
 * one line when the model cannot be loaded. The element has been started. Any thread. */
GstEvent *vigil_analyze_model_event_new(VigilAnalyze *self, GBytes *model, const char *name,
                                        const GstStructure *overrides, struct nn_error *err);

#endif
