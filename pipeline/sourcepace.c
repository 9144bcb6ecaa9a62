/* Files and scenes in real time: when each picture is due. */
#include "pipeline/sourcebin.h"
#include "pipeline/vigilanalyze.h"

/* A picture that would be due further from now than this begins time anew: nobody wants to wait
 * for what a file's next chapter, or a hostile file, says is an hour away, nor see an hour rush
 * by when the clock of a recording was set back. */
#define PACE_LEAP_NS (INT64_C(10) * 1000000000)

/* Of a picture, by the segment on pad; GST_CLOCK_TIME_NONE: it has none that can be reckoned
 * with. */
static GstClockTime running_time(GstPad *pad, GstBuffer *buffer)
{
    g_autoptr(GstEvent) event = gst_pad_get_sticky_event(pad, GST_EVENT_SEGMENT, 0);
    if (!event)
        return GST_CLOCK_TIME_NONE;
    const GstSegment *segment;
    gst_event_parse_segment(event, &segment);
    GstClockTime running =
        gst_segment_to_running_time(segment, GST_FORMAT_TIME, GST_BUFFER_PTS(buffer));
    return running <= VIGIL_ANALYZE_TIME_MAX ? running : GST_CLOCK_TIME_NONE;
}

/* A file starts when its first picture is there, whatever pts that has, and wherever the clock
 * of the pipeline (which outlives the source) stands. */
static GstPadProbeReturn on_picture(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    struct source_context *context = user;
    GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER(info);
    GstClockTime running = running_time(pad, buffer);
    if (!GST_CLOCK_TIME_IS_VALID(running)) {
        /* Without a time it is passed on at once; with an absurd one it would be kept for
         * years. */
        buffer = gst_buffer_make_writable(buffer);
        GST_BUFFER_PTS(buffer) = GST_BUFFER_DTS(buffer) = GST_CLOCK_TIME_NONE;
        GST_PAD_PROBE_INFO_DATA(info) = buffer;
        return GST_PAD_PROBE_OK;
    }
    g_autoptr(GstClock) clock = gst_element_get_clock(context->bin);
    GstClockTime base = gst_element_get_base_time(context->bin);
    /* A pipeline on its way to PLAYING hands the clock down before the base time; time held
     * against the wrong base would have the picture wait for hours. The next picture will
     * do. */
    if (!clock || base == 0)
        return GST_PAD_PROBE_OK;
    GstClockTimeDiff now = (GstClockTimeDiff)(gst_clock_get_time(clock) - base);
    GstClockTimeDiff due = (GstClockTimeDiff)running + context->pace_ns - now;
    if (context->paced && ABS(due) <= PACE_LEAP_NS)
        return GST_PAD_PROBE_OK;
    context->paced = true;
    context->pace_ns = now - (GstClockTimeDiff)running;
    GstElement *sync = GST_ELEMENT(GST_PAD_PARENT(pad));
    g_object_set(sync, "ts-offset", (gint64)context->pace_ns, NULL);
    g_autoptr(GstPad) behind = gst_element_get_static_pad(sync, "src");
    gst_pad_push_event(
        behind, gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM_STICKY,
                                     gst_structure_new(SOURCE_PACE, "offset", G_TYPE_INT64,
                                                       context->pace_ns, NULL)));
    return GST_PAD_PROBE_OK;
}

void source_pace(struct source_context *context, GstElement *sync)
{
    source_probe(context, sync, "sink", GST_PAD_PROBE_TYPE_BUFFER, on_picture);
}
