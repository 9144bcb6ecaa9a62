/* Scenes: the synthetic camera (pipeline/scene/vigilscenesrc.h), whose pictures need no
 * decoder. */
#include "pipeline/sourcebin.h"

/* What a rendered frame is counted as: packet and picture at once. */
static GstPadProbeReturn on_rendered(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    (void)pad, (void)info;
    struct source_context *context = user;
    static const struct source_picture picture = {.decode_ns = -1, .decode_cpu_ns = -1};
    if (context->watch->packet)
        context->watch->packet(context->watch_user);
    return context->watch->picture(context->watch_user, &picture) ? GST_PAD_PROBE_OK
                                                                  : GST_PAD_PROBE_DROP;
}

/* Sets the kind of place by its name; the names are the element's. */
static bool set_scene(GstElement *scene, const char *name)
{
    GParamSpec *spec = g_object_class_find_property(G_OBJECT_GET_CLASS(scene), "scene");
    const GEnumValue *value =
        g_enum_get_value_by_nick(G_PARAM_SPEC_ENUM(spec)->enum_class, name);
    if (value)
        g_object_set(scene, "scene", value->value, NULL);
    return value != NULL;
}

bool source_build_scene(struct source_context *context, const struct source_options *options)
{
    GstElement *scene = source_element_add(context, "vigilscenesrc");
    GstElement *filter = scene ? source_element_add(context, "capsfilter") : NULL;
    GstElement *sync =
        context->pace && filter ? source_element_add(context, "clocksync") : NULL;
    if (!filter || (context->pace && !sync))
        return false;
    const struct address *uri = options->uri;
    if (!set_scene(scene, uri->scene.name)) {
        source_fail(context, REASON_NOT_FOUND, "there is no scene \"%s\"", uri->scene.name);
        return false;
    }
    g_autoptr(GstCaps) caps =
        gst_caps_new_simple("video/x-raw", "format", G_TYPE_STRING, "I420", "width", G_TYPE_INT,
                            uri->scene.width, "height", G_TYPE_INT, uri->scene.height,
                            "framerate", GST_TYPE_FRACTION, uri->scene.fps, 1, NULL);
    g_object_set(scene, "seed", (guint64)uri->scene.seed, NULL);
    if (uri->scene.duration_s)
        g_object_set(scene, "num-buffers", uri->scene.duration_s * uri->scene.fps, NULL);
    g_object_set(filter, "caps", caps, NULL);
    source_probe(context, filter, "src", GST_PAD_PROBE_TYPE_BUFFER, on_rendered);
    if (sync)
        source_pace(context, sync);
    const struct source_format format = {
        .codec = "scene", .width = uri->scene.width, .height = uri->scene.height};
    if (context->watch->format)
        context->watch->format(context->watch_user, &format);
    if (context->watch->connected)
        context->watch->connected(context->watch_user);
    return gst_element_link(scene, filter) && (!sync || gst_element_link(filter, sync)) &&
           source_expose(context, sync ? sync : filter);
}
