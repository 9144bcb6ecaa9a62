/* vigil-encode: what a camera's encoder does to pictures.
 *
 *     vigil-encode --width=640 --height=360 --fps=15 --quality=26 < FRAMES > CLIP
 *
 * Frames of I420 (three planes, without padding, one frame behind the other) on stdin become
 * H.264 in Matroska on stdout. The same frames and options give the same bytes with the same
 * version of x264.
 *
 * It meets nothing from outside: rendered pictures of `vigil train` (cli/sceneclip.h). What reads
 * clips, vigil-worker, knows no encoder. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <gst/gst.h>

#define EXIT_USAGE    2
#define EXIT_INTERNAL 70

static struct {
    int width, height, fps;
    int quality, kbits; /* one of them */
    int preset, key_interval, b_frames;
} options = {.preset = 2, .key_interval = 50};

static const GOptionEntry entries[] = {
    {"width", 0, 0, G_OPTION_ARG_INT, &options.width, "pixels, a multiple of 8", "N"},
    {"height", 0, 0, G_OPTION_ARG_INT, &options.height, "pixels, an even number", "N"},
    {"fps", 0, 0, G_OPTION_ARG_INT, &options.fps, "frames a second", "N"},
    {"quality", 0, 0, G_OPTION_ARG_INT, &options.quality,
     "of each frame, as x264's constant rate factor: 1 (best) to 51", "N"},
    {"kbits", 0, 0, G_OPTION_ARG_INT, &options.kbits, "a second, instead of a quality", "N"},
    {"preset", 0, 0, G_OPTION_ARG_INT, &options.preset, "x264's, 1 (ultrafast) to 9", "N"},
    {"key-interval", 0, 0, G_OPTION_ARG_INT, &options.key_interval,
     "frames from one key frame to the next, at most", "N"},
    {"b-frames", 0, 0, G_OPTION_ARG_INT, &options.b_frames, "between two others", "N"},
    {NULL},
};

static gboolean options_are_right(void)
{
    return options.width >= 16 && options.width <= 4096 && options.width % 8 == 0 &&
           options.height >= 16 && options.height <= 4096 && options.height % 2 == 0 &&
           options.fps >= 1 && options.fps <= 240 && options.preset >= 1 &&
           options.preset <= 9 && options.key_interval >= 1 && options.b_frames >= 0 &&
           options.b_frames <= 16 && options.quality <= 51 &&
           (options.quality > 0) != (options.kbits > 0);
}

/* One thread, with which x264 is the same each time. */
static char *describe(void)
{
    g_autofree char *rate = options.kbits > 0
                                ? g_strdup_printf("pass=cbr bitrate=%d", options.kbits)
                                : g_strdup_printf("pass=qual quantizer=%d", options.quality);
    return g_strdup_printf(
        "fdsrc fd=%d blocksize=%d ! rawvideoparse format=i420 width=%d height=%d "
        "framerate=%d/1 ! "
        "x264enc threads=1 speed-preset=%d key-int-max=%d bframes=%d %s ! h264parse ! "
        "matroskamux ! fdsink fd=%d",
        STDIN_FILENO, options.width * options.height * 3 / 2, options.width, options.height,
        options.fps, options.preset, options.key_interval, options.b_frames, rate,
        STDOUT_FILENO);
}

static int encode(void)
{
    g_autofree char *launch = describe();
    g_autoptr(GError) error = NULL;
    GstElement *pipeline =
        gst_parse_launch_full(launch, NULL, GST_PARSE_FLAG_FATAL_ERRORS, &error);
    if (!pipeline) {
        fprintf(stderr, "%s: gstreamer1.0-plugins-base, -good, -bad and -ugly are needed\n",
                error->message);
        return EXIT_INTERNAL;
    }
    g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    g_autoptr(GstMessage) message = gst_bus_timed_pop_filtered(
        bus, GST_CLOCK_TIME_NONE, GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
    int status = EXIT_SUCCESS;
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
        gst_message_parse_error(message, &error, NULL);
        fprintf(stderr, "%s\n", error->message);
        status = EXIT_INTERNAL;
    }
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    return status;
}

int main(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new("- H.264 of raw pictures");
    g_option_context_add_main_entries(context, entries, NULL);
    g_autoptr(GError) error = NULL;
    if (!g_option_context_parse(context, &argc, &argv, &error) || !options_are_right()) {
        fprintf(stderr, "vigil-encode: %s\n",
                error ? error->message : "sizes, a frame rate and --quality or --kbits");
        return EXIT_USAGE;
    }
    gst_init(NULL, NULL);
    return encode();
}
