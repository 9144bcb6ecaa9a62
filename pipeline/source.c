/* The parts that sources share: decoder chain, guard, watch. How each kind begins is in
 * sourcertsp.c, sourcefile.c and sourcescene.c, how a file keeps to the clock in
 * sourcepace.c. */
#include "pipeline/source.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pipeline/damage.h"
#include "pipeline/media.h"
#include "pipeline/paramsets.h"
#include "pipeline/sourcebin.h"

#define CONTEXT_KEY "vigil-source"

static void context_free(gpointer data)
{
    struct source_context *context = data;
    if (context->watch_user_free)
        context->watch_user_free(context->watch_user);
    g_mutex_clear(&context->lock);
    g_clear_object(&context->tls);
    g_free(context->location);
    paramsets_destroy(context->sets);
    g_free(context);
}

struct source_context *source_context_of(GstElement *bin)
{
    return g_object_get_data(G_OBJECT(bin), CONTEXT_KEY);
}

void source_fail(struct source_context *context, enum stream_reason reason, const char *format,
                 ...)
{
    char detail[MESSAGE_DETAIL_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    if (g_atomic_int_compare_and_exchange(&context->over, 0, 1))
        context->watch->failed(context->watch_user, reason, detail);
}

/* EOS stops here, since what is behind outlives the source. */
static GstPadProbeReturn on_source_event(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    (void)pad;
    struct source_context *context = user;
    if (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) != GST_EVENT_EOS)
        return GST_PAD_PROBE_OK;
    if (context->unsized && !context->key_seen && context->kind == ADDRESS_FILE)
        source_fail(context, REASON_UNREADABLE, "its pictures do not say how large they are");
    else if (g_atomic_int_compare_and_exchange(&context->over, 0, 1))
        context->watch->ended(context->watch_user);
    return GST_PAD_PROBE_DROP;
}

/* Coded pictures as they come from a depayloader or demuxer, in whatever cut. */
static GstPadProbeReturn on_packet(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    (void)pad, (void)info;
    struct source_context *context = user;
    if (context->watch->packet)
        context->watch->packet(context->watch_user);
    return GST_PAD_PROBE_OK;
}

static void refuse_size(struct source_context *context, int width, int height)
{
    context->refused = true;
    source_fail(context, REASON_TOO_LARGE,
                "pictures of %d x %d are larger than this program decodes", width, height);
}

/* Whether what passes (caps, or a coded buffer) declares only sizes that may be decoded. */
static bool sets_are_fine(struct source_context *context, const GstStructure *caps,
                          GstBuffer *buffer)
{
    if (!context->sets)
        return true;
    int width = 0, height = 0;
    enum paramsets_verdict verdict =
        caps ? paramsets_check_caps(context->sets, caps, &width, &height)
             : paramsets_check(context->sets, buffer, &width, &height);
    if (verdict == PARAMSETS_TOO_LARGE)
        refuse_size(context, width, height);
    return verdict == PARAMSETS_FINE;
}

static GstPadProbeReturn on_coded_caps(struct source_context *context, GstEvent *event)
{
    GstCaps *caps;
    gst_event_parse_caps(event, &caps);
    const GstStructure *structure = gst_caps_get_structure(caps, 0);
    int width = 0, height = 0;
    context->size_known = gst_structure_get_int(structure, "width", &width) &&
                          gst_structure_get_int(structure, "height", &height);
    if (!context->size_known)
        return GST_PAD_PROBE_OK;
    if (!media_size_is_allowed(width, height)) {
        refuse_size(context, width, height);
        return GST_PAD_PROBE_DROP;
    }
    if (!sets_are_fine(context, structure, NULL)) {
        context->size_known = false;
        return GST_PAD_PROBE_DROP;
    }
    const struct source_format format = {
        .codec = context->codec->name,
        .profile = gst_structure_get_string(structure, "profile"),
        .width = width,
        .height = height,
    };
    if (context->watch->format)
        context->watch->format(context->watch_user, &format);
    return GST_PAD_PROBE_OK;
}

static void tell_coded(struct source_context *context, GstBuffer *buffer, bool key)
{
    if (!context->watch->coded)
        return;
    /* Some parsers know no time but that of decoding. */
    GstClockTime pts =
        GST_BUFFER_PTS_IS_VALID(buffer) ? GST_BUFFER_PTS(buffer) : GST_BUFFER_DTS(buffer);
    const struct coded_picture picture = {
        .key = key,
        .clean = key && context->sets && paramsets_saw_clean_key(context->sets),
        .pts_ns = pts <= G_MAXINT64 ? (int64_t)pts : CODED_NO_PTS,
        .size_bytes = gst_buffer_get_size(buffer),
    };
    context->watch->coded(context->watch_user, &picture);
}

/* The last place before the decoder. */
static GstPadProbeReturn on_coded(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    (void)pad;
    struct source_context *context = user;
    if (GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM) {
        GstEvent *event = GST_PAD_PROBE_INFO_EVENT(info);
        return GST_EVENT_TYPE(event) == GST_EVENT_CAPS ? on_coded_caps(context, event)
                                                       : GST_PAD_PROBE_OK;
    }
    GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER(info);
    /* A picture whose size no parser has vouched for does not reach the decoder. */
    context->unsized = context->unsized || !context->size_known;
    if (context->refused || !context->size_known)
        return GST_PAD_PROBE_DROP;
    if (!sets_are_fine(context, NULL, buffer))
        return GST_PAD_PROBE_DROP;
    bool key = !GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_DELTA_UNIT);
    if (!key && !context->key_seen)
        return GST_PAD_PROBE_DROP; /* joined mid-GOP: it would decode to rubbish */
    context->key_seen = true;
    tell_coded(context, buffer, key);
    damage_enter(context, GST_BUFFER_PTS(buffer));
    context->decoding = stopwatch_now();
    return GST_PAD_PROBE_OK;
}

/* Only the first picture that comes of a coded one: what the decoder hands out beside it, as it
 * does at the end, it has had ready. */
static struct source_picture measure(struct source_context *context)
{
    struct source_picture picture = {.decode_ns = -1, .decode_cpu_ns = -1};
    if (context->decoding.clock_ns >= 0) {
        struct stopwatch now = stopwatch_now();
        picture.decode_ns = now.clock_ns - context->decoding.clock_ns;
        picture.decode_cpu_ns = now.cpu_ns - context->decoding.cpu_ns;
    }
    context->decoding.clock_ns = -1;
    return picture;
}

static GstPadProbeReturn on_decoded(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    (void)pad;
    struct source_context *context = user;
    GstBuffer *buffer = GST_PAD_PROBE_INFO_BUFFER(info);
    struct source_picture picture = measure(context);
    picture.damaged = damage_take(context, GST_BUFFER_PTS(buffer)) ||
                      GST_BUFFER_FLAG_IS_SET(buffer, GST_BUFFER_FLAG_CORRUPTED);
    if (!context->watch->picture(context->watch_user, &picture)) {
        context->withheld = true;
        return GST_PAD_PROBE_DROP;
    }
    if (context->withheld) {
        context->withheld = false;
        buffer = gst_buffer_make_writable(buffer);
        GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_CORRUPTED);
        GST_PAD_PROBE_INFO_DATA(info) = buffer;
    }
    return GST_PAD_PROBE_OK;
}

void source_probe(struct source_context *context, GstElement *element, const char *pad_name,
                  GstPadProbeType type, GstPadProbeCallback callback)
{
    g_autoptr(GstPad) pad = gst_element_get_static_pad(element, pad_name);
    gst_pad_add_probe(pad, type, callback, context, NULL);
}

GstElement *source_element_add(struct source_context *context, const char *factory)
{
    GstElement *element = gst_element_factory_make(factory, NULL);
    if (!element || !gst_bin_add(GST_BIN(context->bin), element)) {
        source_fail(context, REASON_INTERNAL, "GStreamer's element %s is not installed",
                    factory);
        return NULL;
    }
    return element;
}

const struct media_codec *source_choose(struct source_context *context, const GstCaps *caps)
{
    if (!media_is_video(caps)) {
        if (context->watch->audio && media_is_audio(caps)) {
            char name[40];
            media_codec_describe(caps, name, sizeof name);
            context->watch->audio(context->watch_user, name);
        }
        return NULL;
    }
    const struct media_codec *codec = media_codec_of(caps);
    g_mutex_lock(&context->lock);
    if (codec && !context->chosen) {
        context->chosen = true;
    } else if (!codec) {
        char name[40];
        media_codec_describe(caps, name, sizeof name);
        size_t used = strlen(context->unknown);
        g_snprintf(context->unknown + used, sizeof context->unknown - used, "%s%s",
                   used ? ", " : "", name);
    } else {
        codec = NULL;
    }
    g_mutex_unlock(&context->lock);
    return codec;
}

void source_chosen_or_fail(struct source_context *context)
{
    g_mutex_lock(&context->lock);
    bool chosen = context->chosen;
    g_mutex_unlock(&context->lock);
    /* Nobody adds to `unknown` any more. */
    if (!chosen && *context->unknown)
        source_fail(context, REASON_UNSUPPORTED_CODEC, "no decoder here for %s",
                    context->unknown);
    else if (!chosen)
        source_fail(context, REASON_UNSUPPORTED_CODEC, "there are no pictures in it");
}

bool source_expose(struct source_context *context, GstElement *last)
{
    g_autoptr(GstPad) target = gst_element_get_static_pad(last, "src");
    g_autoptr(GstPad) ghost = gst_element_get_static_pad(context->bin, "src");
    return gst_ghost_pad_set_target(GST_GHOST_PAD(ghost), target);
}

bool source_decode(struct source_context *context, GstPad *pad, const struct media_codec *codec,
                   bool rtp)
{
    context->codec = codec;
    context->sets = paramsets_create(codec->name);
    GstElement *depay = rtp ? source_element_add(context, codec->depay) : NULL;
    GstElement *parse = source_element_add(context, codec->parse);
    GstElement *decoder = source_element_add(context, codec->decoder);
    GstElement *sync = context->pace ? source_element_add(context, "clocksync") : NULL;
    if ((rtp && !depay) || !parse || !decoder || (context->pace && !sync))
        return false;
    if (g_object_class_find_property(G_OBJECT_GET_CLASS(decoder), "max-threads"))
        g_object_set(decoder, "max-threads", 1, NULL);

    bool linked = (!depay || gst_element_link(depay, parse)) &&
                  gst_element_link(parse, decoder) &&
                  (!sync || gst_element_link(decoder, sync));
    GstElement *first = depay ? depay : parse;
    g_autoptr(GstPad) sink = gst_element_get_static_pad(first, "sink");
    linked = linked && source_expose(context, sync ? sync : decoder);
    if (depay)
        source_probe(context, depay, "src", GST_PAD_PROBE_TYPE_BUFFER, on_packet);
    else
        source_probe(context, parse, "sink", GST_PAD_PROBE_TYPE_BUFFER, on_packet);
    source_probe(context, parse, "src",
                 GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_coded);
    source_probe(context, decoder, "src", GST_PAD_PROBE_TYPE_BUFFER, on_decoded);
    if (sync)
        source_pace(context, sync);
    /* From the sink up, so that no element pushes into one that is not ready. */
    GstElement *const chain[] = {sync, decoder, parse, depay};
    for (size_t i = 0; i < G_N_ELEMENTS(chain) && linked; i++)
        linked = !chain[i] || gst_element_sync_state_with_parent(chain[i]);
    linked = linked && gst_pad_link(pad, sink) == GST_PAD_LINK_OK;
    if (!linked)
        source_fail(context, REASON_INTERNAL, "the decoder chain for %s does not link",
                    codec->name);
    return linked;
}

GstElement *source_create(const struct source_options *options)
{
    GstElement *bin = gst_bin_new(NULL);
    struct source_context *context = g_new0(struct source_context, 1);
    g_mutex_init(&context->lock);
    context->bin = bin;
    context->kind = options->uri->kind;
    context->created_us = g_get_monotonic_time();
    context->watch = options->watch;
    context->watch_user = options->watch_user;
    context->decoding.clock_ns = -1;
    context->pace = options->live &&
                    (options->uri->kind == ADDRESS_FILE || options->uri->kind == ADDRESS_SCENE);
    g_object_set_data_full(G_OBJECT(bin), CONTEXT_KEY, context, context_free);

    GstPad *ghost = gst_ghost_pad_new_no_target("src", GST_PAD_SRC);
    gst_pad_add_probe(ghost, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_source_event, context,
                      NULL);
    gst_element_add_pad(bin, ghost);

    bool built = false;
    switch (options->uri->kind) {
    case ADDRESS_RTSP:
    case ADDRESS_RTSPS:
        built = source_build_rtsp(context, options);
        break;
    case ADDRESS_FILE:
        built = source_build_file(context, options);
        break;
    case ADDRESS_SCENE:
        built = source_build_scene(context, options);
        break;
    }
    if (!built) {
        gst_object_unref(gst_object_ref_sink(bin));
        return NULL;
    }
    context->watch_user_free = options->watch_user_free;
    return bin;
}

/* A line of GStreamer's, which may repeat what a stream said, for a status or a log. */
static void sanitise(char *text)
{
    for (char *c = text; *c; c++)
        if (!g_ascii_isprint(*c))
            *c = '?';
}

enum stream_reason source_explain(GstElement *source, GstMessage *message, char *ret_detail,
                                  size_t detail_size)
{
    struct source_context *context = source_context_of(source);
    g_autoptr(GError) error = NULL;
    g_autofree char *debug = NULL;
    gst_message_parse_error(message, &error, &debug);
    g_mutex_lock(&context->lock);
    bool chosen = context->chosen;
    g_mutex_unlock(&context->lock);
    if (!chosen && error->domain == GST_STREAM_ERROR &&
        error->code == GST_STREAM_ERROR_CODEC_NOT_FOUND) {
        g_snprintf(ret_detail, detail_size, "no decoder here for %s",
                   *context->unknown ? context->unknown : "anything the camera offers");
        return REASON_UNSUPPORTED_CODEC;
    }
    if (context->kind == ADDRESS_RTSP || context->kind == ADDRESS_RTSPS) {
        const char *why;
        enum stream_reason reason = source_explain_rtsp(context, error, debug, &why);
        g_strlcpy(ret_detail, why, detail_size);
        return reason;
    }
    bool file = context->kind == ADDRESS_FILE;
    g_snprintf(ret_detail, detail_size, "%s: %s",
               file ? "the file cannot be decoded" : "the scene cannot be rendered",
               error->message);
    sanitise(ret_detail);
    return file ? REASON_UNREADABLE : REASON_INTERNAL;
}
