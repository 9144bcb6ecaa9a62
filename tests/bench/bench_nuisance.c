/* How well models/scene.onnx (or another model with a label "movement") holds up on real clips
 * with nuisances laid over them: is movement found in each passage of a person, and how often is
 * it found where nobody is?
 *
 *     bench_nuisance [MODEL]
 *
 * The clips are those of the shared test data; what the renderer lays over a scene (rain, snow,
 * clouds, switched lights, headlights, sensor noise, an insect) is laid over their decoded
 * pictures, by several seeds. Passages are those of the reference detections beside the clips,
 * joined where no more than two seconds lie between them. A passage is found when an event of
 * movement touches it; an event is false when it touches none, with a second's grace on either
 * side. An insect before the lens is told apart and is in no sum: to the model it is movement.
 *
 * Figures, and whether they reach what is promised: exit 1 when they do not. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gst/video/video.h>

#include "pipeline/plugin.h"
#include "pipeline/scene/sceneeffect.h"
#include "pipeline/scene/scenerandom.h"
#include "pipeline/vigilmessage.h"

#define SEEDS        4
#define GRACE_S      1.0
#define FOUND_MIN    0.95
#define FALSE_MAX    1.0 /* an hour */
#define PASSAGES_MAX 16
#define EVENTS_MAX   256
#define EPISODE_S    10.0f /* from one change of light to the next */

struct span {
    double from, to;
};

/* person-detection: from 0.45 on by the detector beside the clip, of 0.6 and more; the door camera
 * has somebody in it from its beginning to its end. */
static const struct clip {
    const char *file, *demuxer;
    struct span passages[PASSAGES_MAX];
    int passage_count;
} clips[] = {
    {"one-by-one-person-detection.mp4",
     "qtdemux",
     {{6.0, 19.6}, {22.7, 44.8}, {50.2, 69.5}, {74.5, 86.8}, {92.1, 119.5}, {123.5, 135.7}},
     6},
    {"ambianic-cam-person1.mkv", "matroskademux", {{0, 1e9}}, 1},
};

struct playing;

/* Something that is laid over each picture; `t`: seconds of the clip. */
struct nuisance {
    const char *name;
    void (*lay)(const struct playing *p, struct scene_canvas *canvas, float t);
    bool counts;
};

struct playing {
    const struct clip *clip;
    const struct nuisance *nuisance;
    uint64_t seed;
    struct scene_noise noise;
    GstClockTime first; /* pts of the first picture */
    double seconds;
    uint64_t frame;
    struct span events[EVENTS_MAX];
    int event_count;
};

/* --- nuisances ------------------------------------------------------------------------------ */

static void lay_nothing(const struct playing *p, struct scene_canvas *canvas, float t)
{
    (void)p, (void)canvas, (void)t;
}

static void lay_rain(const struct playing *p, struct scene_canvas *canvas, float t)
{
    scene_effect_rain(canvas, p->seed, t, 1);
}

static void lay_snow(const struct playing *p, struct scene_canvas *canvas, float t)
{
    scene_effect_snow(canvas, p->seed, t, 1);
}

/* The episode that a time is in, its numbers and the time within it. */
static struct scene_random episode_at(const struct playing *p, float t, float *ret_time)
{
    float number = floorf(t / EPISODE_S);
    *ret_time = t - number * EPISODE_S;
    return (struct scene_random){scene_hash2(p->seed, (uint64_t)number)};
}

static void lay_cloud(const struct playing *p, struct scene_canvas *canvas, float t)
{
    float time;
    struct scene_random random = episode_at(p, t, &time);
    float to = scene_random_range(&random, 0.5f, 1.3f);
    float lasts = scene_random_range(&random, 1.5f, 2.8f);
    float part = scene_ease(time, 1, 1 + lasts) - scene_ease(time, 6, 6 + lasts);
    scene_effect_light(canvas, 1 + (to - 1) * part);
}

/* The light jumps, and the exposure follows; then back. */
static void lay_switch(const struct playing *p, struct scene_canvas *canvas, float t)
{
    float time;
    struct scene_random random = episode_at(p, t, &time);
    float to = scene_random_range(&random, 0.4f, 1.5f), rest = 1 + (to - 1) * 0.4f;
    float gain = time < 1   ? 1
                 : time < 6 ? to + (rest - to) * scene_ease(time, 1, 2.2f)
                            : 1 + (rest / to - 1) * (1 - scene_ease(time, 6, 7.2f));
    scene_effect_light(canvas, gain);
}

static void lay_headlights(const struct playing *p, struct scene_canvas *canvas, float t)
{
    float time, width = (float)canvas->planes[0].width;
    float height = (float)canvas->planes[0].height;
    struct scene_random random = episode_at(p, t, &time);
    float side = scene_random_below(&random, 2) ? 1.0f : -1.0f, part = (time - 1) / 4;
    float down = scene_random_range(&random, 0.55f, 0.85f);
    if (part < 0 || part > 1)
        return;
    const struct scene_point at = {(0.5f + side * (part * 1.6f - 0.8f)) * width, down * height};
    scene_canvas_glow(canvas, at, 0.22f * width, 0.12f * height, 90);
}

static void lay_noise(const struct playing *p, struct scene_canvas *canvas, float t)
{
    (void)t;
    scene_effect_noise(canvas, &p->noise, scene_hash2(p->seed, p->frame));
}

static void lay_insect(const struct playing *p, struct scene_canvas *canvas, float t)
{
    float time;
    episode_at(p, t, &time);
    if (time > 1 && time < 4)
        scene_effect_insect(canvas, p->seed, time - 1);
}

static const struct nuisance nuisances[] = {
    {"none", lay_nothing, true},  {"rain", lay_rain, true},
    {"snow", lay_snow, true},     {"cloud", lay_cloud, true},
    {"switch", lay_switch, true}, {"headlights", lay_headlights, true},
    {"noise", lay_noise, true},   {"insect", lay_insect, false},
};

/* --- one playing ---------------------------------------------------------------------------- */

static GstPadProbeReturn on_picture(GstPad *pad, GstPadProbeInfo *probe, gpointer data)
{
    struct playing *p = data;
    GstVideoInfo format;
    GstVideoFrame frame;
    g_autoptr(GstCaps) caps = gst_pad_get_current_caps(pad);
    GstBuffer *buffer = gst_buffer_make_writable(GST_PAD_PROBE_INFO_BUFFER(probe));
    GST_PAD_PROBE_INFO_DATA(probe) = buffer;
    if (!gst_video_info_from_caps(&format, caps) ||
        !gst_video_frame_map(&frame, &format, buffer, GST_MAP_READWRITE))
        return GST_PAD_PROBE_DROP;
    struct scene_canvas canvas = {0};
    for (int i = 0; i < 3; i++)
        canvas.planes[i] = (struct scene_plane){
            GST_VIDEO_FRAME_PLANE_DATA(&frame, i), GST_VIDEO_FRAME_COMP_WIDTH(&frame, i),
            GST_VIDEO_FRAME_COMP_HEIGHT(&frame, i), GST_VIDEO_FRAME_PLANE_STRIDE(&frame, i)};
    if (p->frame++ == 0)
        p->first = GST_BUFFER_PTS(buffer);
    p->seconds = (double)(GST_BUFFER_PTS(buffer) - p->first) / GST_SECOND;
    p->nuisance->lay(p, &canvas, (float)p->seconds);
    gst_video_frame_unmap(&frame);
    return GST_PAD_PROBE_OK;
}

static void take_message(struct playing *p, GstMessage *message)
{
    struct vigilmessage_event event;
    if (!vigilmessage_event_parse(message, &event) || event.phase != RECORD_ENDED ||
        strcmp(event.label, "movement") != 0 || p->event_count == EVENTS_MAX)
        return;
    p->events[p->event_count++] =
        (struct span){(double)event.start / GST_SECOND, (double)event.end / GST_SECOND};
}

static void play(struct playing *p, const char *model)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *launch = g_strdup_printf(
        "filesrc location=\"%s/clips/%s\" ! %s ! h264parse ! avdec_h264 max-threads=1 ! "
        "videoconvert ! capsfilter name=over caps=video/x-raw,format=I420 ! "
        "vigilanalyze model=\"%s\" ! fakesink sync=false",
        g_getenv("VIGIL_TEST_DATA"), p->clip->file, p->clip->demuxer, model);
    GstElement *pipeline = gst_parse_launch(launch, &error);
    if (!pipeline) {
        fprintf(stderr, "%s\n", error->message);
        exit(2);
    }
    g_autoptr(GstElement) over = gst_bin_get_by_name(GST_BIN(pipeline), "over");
    g_autoptr(GstPad) pad = gst_element_get_static_pad(over, "src");
    g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, on_picture, p, NULL);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    for (bool ended = false; !ended;) {
        g_autoptr(GstMessage) message = gst_bus_timed_pop_filtered(
            bus, GST_CLOCK_TIME_NONE,
            GST_MESSAGE_ELEMENT | GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
        ended = GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS;
        if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
            gst_message_parse_error(message, &error, NULL);
            fprintf(stderr, "%s: %s\n", p->clip->file, error->message);
            exit(2);
        }
        if (!ended)
            take_message(p, message);
    }
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}

/* --- sums ----------------------------------------------------------------------------------- */

struct sum {
    int passages, found, wrong;
    double seconds; /* without anybody */
};

static bool touch(struct span a, struct span b, double grace)
{
    return a.from <= b.to + grace && a.to >= b.from - grace;
}

static void judge(const struct playing *p, struct sum *sum)
{
    const struct clip *clip = p->clip;
    sum->seconds += p->seconds;
    for (int i = 0; i < clip->passage_count; i++) {
        bool found = false;
        for (int e = 0; e < p->event_count; e++)
            found |= touch(p->events[e], clip->passages[i], 0);
        sum->passages++;
        sum->found += found;
        sum->seconds -= fmin(clip->passages[i].to, p->seconds) - clip->passages[i].from;
    }
    for (int e = 0; e < p->event_count; e++) {
        bool true_one = false;
        for (int i = 0; i < clip->passage_count; i++)
            true_one |= touch(p->events[e], clip->passages[i], GRACE_S);
        sum->wrong += !true_one;
    }
}

static void print(const char *name, const struct sum *sum)
{
    double hours = sum->seconds / 3600;
    printf("%-12s %4d of %4d passages found   %3d false events in %5.2f h  %6.2f an hour\n",
           name, sum->found, sum->passages, sum->wrong, hours,
           hours > 0 ? sum->wrong / hours : 0);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    gst_init(&argc, &argv);
    g_autofree char *own =
        g_build_filename(g_getenv("VIGIL_SOURCE_ROOT") ? g_getenv("VIGIL_SOURCE_ROOT") : ".",
                         "models", "scene.onnx", NULL);
    const char *model = argc > 1 ? argv[1] : own;
    struct sum all = {0};
    if (!g_getenv("VIGIL_TEST_DATA") || !*g_getenv("VIGIL_TEST_DATA")) {
        puts("# skipped: no shared test data");
        return EXIT_SUCCESS;
    }
    if (!vigil_plugin_register_static())
        return 2;
    for (size_t n = 0; n < G_N_ELEMENTS(nuisances); n++) {
        struct sum sum = {0};
        for (size_t c = 0; c < G_N_ELEMENTS(clips); c++)
            for (uint64_t seed = 1; seed <= SEEDS; seed++) {
                struct playing p = {.clip = &clips[c], .nuisance = &nuisances[n], .seed = seed};
                if (scene_noise_init(&p.noise, 2 + (double)seed) < 0)
                    return 2;
                play(&p, model);
                scene_noise_finish(&p.noise);
                judge(&p, &sum);
            }
        print(nuisances[n].name, &sum);
        if (!nuisances[n].counts)
            continue;
        all.passages += sum.passages;
        all.found += sum.found;
        all.wrong += sum.wrong;
        all.seconds += sum.seconds;
    }
    print("all but insect", &all);
    bool good =
        all.found >= FOUND_MIN * all.passages && all.wrong <= FALSE_MAX * all.seconds / 3600;
    puts(good ? "as promised" : "less than is promised");
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
