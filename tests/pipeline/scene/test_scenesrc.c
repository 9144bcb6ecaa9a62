/* pipeline/scene/vigilscenesrc.c and scenemeta.c: the element in a harness. num-buffers bounds
 * what is not live, a test clock paces what is. */
#include <glib/gstdio.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>
#include <jansson.h>
#include <string.h>

#include "pipeline/plugin.h"
#include "pipeline/scene/scenemeta.h"
#include "tests/suite.h"

#define BUSY_SEED 6 /* somebody is in the picture within half a minute */

static void setup(void)
{
    gst_init(NULL, NULL);
    ck_assert(vigil_plugin_register_static());
}

static GstHarness *harness_of(const gchar *caps, const gchar *launch)
{
    GstHarness *harness = gst_harness_new_parse(launch);
    ck_assert_ptr_nonnull(harness);
    if (caps)
        gst_harness_set_sink_caps_str(harness, caps);
    return harness;
}

static struct scene *scene_like(guint64 seed, int width, int height, int fps)
{
    struct scene_params params = {
        .seed = seed,
        .width = width,
        .height = height,
        .fps_n = fps,
        .fps_d = 1,
        .noise = 1.5,
        .features = SCENE_FEATURES_ALL,
    };
    struct scene *scene = NULL;
    ck_assert_int_eq(scene_create(&params, &scene), 0);
    return scene;
}

static void assert_plane_is(const GstVideoFrame *frame, guint component, int step,
                            const struct scene_plane *plane)
{
    const guint8 *data = GST_VIDEO_FRAME_COMP_DATA(frame, component);
    gint stride = GST_VIDEO_FRAME_COMP_STRIDE(frame, component);
    int differ = 0;
    for (int y = 0; y < plane->height; y++)
        for (int x = 0; x < plane->width; x++)
            differ += data[y * stride + x * step] != plane->data[y * plane->stride + x];
    ck_assert_int_eq(differ, 0);
}

static const struct {
    const gchar *format;
    int width, height;
} shapes[] = {
    {"I420", 640, 360}, {"NV12", 640, 360}, {"I420", 161, 91},
    {"NV12", 161, 91},  {"RGB", 161, 91},
};

START_TEST(each_format_and_size_holds_the_rendered_picture)
{
    int width = shapes[_i].width, height = shapes[_i].height;
    g_autofree gchar *caps =
        g_strdup_printf("video/x-raw,format=%s,width=%d,height=%d,framerate=10/1",
                        shapes[_i].format, width, height);
    GstHarness *harness = harness_of(caps, "vigilscenesrc seed=5 num-buffers=3");
    gst_harness_play(harness);
    struct scene *scene = scene_like(5, width, height, 10);
    for (guint64 n = 0; n < 3; n++) {
        GstBuffer *buffer = gst_harness_pull(harness);
        ck_assert_ptr_nonnull(buffer);
        g_autoptr(GstCaps) now = gst_pad_get_current_caps(harness->sinkpad);
        GstVideoInfo info;
        GstVideoFrame frame;
        ck_assert(gst_video_info_from_caps(&info, now));
        ck_assert(gst_video_frame_map(&frame, &info, buffer, GST_MAP_READ));
        const struct scene_canvas *picture;
        scene_render(scene, n, &picture, NULL);
        if (GST_VIDEO_INFO_FORMAT(&info) == GST_VIDEO_FORMAT_RGB) {
            /* Grey levels in the middle of the picture agree within the conversion's rounding.
             */
            const guint8 *rgb = GST_VIDEO_FRAME_PLANE_DATA(&frame, 0);
            rgb += 50 * GST_VIDEO_FRAME_PLANE_STRIDE(&frame, 0) + 80 * 3;
            double luma = 16 + 0.2568 * rgb[0] + 0.5041 * rgb[1] + 0.0979 * rgb[2];
            int expected = picture->planes[0].data[50 * picture->planes[0].stride + 80];
            ck_assert_double_eq_tol(luma, expected, 2.0);
        } else {
            int step = GST_VIDEO_INFO_FORMAT(&info) == GST_VIDEO_FORMAT_NV12 ? 2 : 1;
            assert_plane_is(&frame, 0, 1, &picture->planes[0]);
            assert_plane_is(&frame, 1, step, &picture->planes[1]);
            assert_plane_is(&frame, 2, step, &picture->planes[2]);
        }
        gst_video_frame_unmap(&frame);
        gst_buffer_unref(buffer);
    }
    scene_destroy(scene);
    gst_harness_teardown(harness);
}
END_TEST

START_TEST(without_wishes_it_is_360_lines_at_15_frames)
{
    GstHarness *harness = harness_of(NULL, "vigilscenesrc num-buffers=1");
    gst_harness_play(harness);
    gst_buffer_unref(gst_harness_pull(harness));
    g_autoptr(GstCaps) caps = gst_pad_get_current_caps(harness->sinkpad);
    GstVideoInfo info;
    ck_assert(gst_video_info_from_caps(&info, caps));
    ck_assert_int_eq(info.width, 640);
    ck_assert_int_eq(info.height, 360);
    ck_assert_int_eq(info.fps_n, 15);
    ck_assert_int_eq(info.fps_d, 1);
    ck_assert_int_eq(info.colorimetry.matrix, GST_VIDEO_COLOR_MATRIX_BT601);
    gst_harness_teardown(harness);
}
END_TEST

START_TEST(times_follow_the_rate_without_drift)
{
    GstHarness *harness = harness_of("video/x-raw,width=64,height=48,framerate=30000/1001",
                                     "vigilscenesrc num-buffers=100");
    gst_harness_play(harness);
    GstClockTime end = 0;
    for (guint64 n = 0; n < 100; n++) {
        g_autoptr(GstBuffer) buffer = gst_harness_pull(harness);
        ck_assert_uint_eq(GST_BUFFER_PTS(buffer),
                          gst_util_uint64_scale(n, 1001 * GST_SECOND, 30000));
        ck_assert(n == 0 || GST_BUFFER_PTS(buffer) == end);
        end = GST_BUFFER_PTS(buffer) + GST_BUFFER_DURATION(buffer);
        ck_assert_uint_eq(GST_BUFFER_OFFSET(buffer), n);
    }
    gst_harness_teardown(harness);
}
END_TEST

static int count_regions(GstBuffer *buffer)
{
    gpointer state = NULL;
    int count = 0;
    while (gst_buffer_iterate_meta_filtered(buffer, &state,
                                            GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE))
        count++;
    return count;
}

START_TEST(each_buffer_carries_the_truth_and_a_region_for_each_object)
{
    GstHarness *harness =
        harness_of("video/x-raw,format=I420,width=320,height=180,framerate=5/1",
                   "vigilscenesrc seed=6 num-buffers=150");
    gst_harness_play(harness);
    struct scene *scene = scene_like(BUSY_SEED, 320, 180, 5);
    int objects = 0;
    for (guint64 n = 0; n < 150; n++) {
        g_autoptr(GstBuffer) buffer = gst_harness_pull(harness);
        const struct scene_meta *meta = scene_meta_get(buffer);
        ck_assert_ptr_nonnull(meta);
        struct scene_truth truth;
        scene_render(scene, n, NULL, &truth);
        g_autofree gchar *told = scene_meta_to_json(&meta->truth, n, 0);
        g_autofree gchar *true_one = scene_meta_to_json(&truth, n, 0);
        ck_assert_str_eq(told, true_one);
        ck_assert_int_eq(count_regions(buffer), (int)truth.object_count);
        gpointer state = NULL;
        GstMeta *each;
        for (size_t i = 0; (each = gst_buffer_iterate_meta_filtered(
                                buffer, &state, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE));
             i++) {
            GstVideoRegionOfInterestMeta *region = (GstVideoRegionOfInterestMeta *)each;
            objects++;
            ck_assert_uint_le(region->x + region->w, 320);
            ck_assert_uint_le(region->y + region->h, 180);
            GstStructure *param =
                gst_video_region_of_interest_meta_get_param(region, "vigil-scene");
            gboolean moving;
            ck_assert(gst_structure_get_boolean(param, "moving", &moving));
        }
    }
    ck_assert_int_gt(objects, 5);
    scene_destroy(scene);
    gst_harness_teardown(harness);
}
END_TEST

START_TEST(the_truth_survives_copies_and_scaling)
{
    GstHarness *harness = harness_of(
        "video/x-raw,format=I420,width=100,height=80",
        "vigilscenesrc seed=6 num-buffers=2 ! video/x-raw,format=NV12,width=320,height=180 ! "
        "videoconvertscale");
    gst_harness_play(harness);
    g_autoptr(GstBuffer) scaled = gst_harness_pull(harness);
    g_autoptr(GstBuffer) copy = gst_buffer_copy_deep(scaled);
    ck_assert_ptr_nonnull(scene_meta_get(scaled));
    ck_assert_ptr_nonnull(scene_meta_get(copy));
    ck_assert_uint_eq(scene_meta_get(copy)->truth.labels, scene_meta_get(scaled)->truth.labels);
    gst_harness_teardown(harness);
}
END_TEST

START_TEST(it_ends_after_num_buffers_and_knows_its_duration)
{
    GstHarness *harness = harness_of("video/x-raw,width=64,height=48,framerate=10/1",
                                     "vigilscenesrc num-buffers=25");
    gst_harness_play(harness);
    for (int n = 0; n < 25; n++)
        gst_buffer_unref(gst_harness_pull(harness));
    gint64 duration;
    ck_assert(gst_element_query_duration(harness->element, GST_FORMAT_TIME, &duration));
    ck_assert_int_eq(duration, 2500 * GST_MSECOND);
    GstEvent *event;
    bool ended = false;
    while (!ended && (event = gst_harness_pull_event(harness))) {
        ended = GST_EVENT_TYPE(event) == GST_EVENT_EOS;
        gst_event_unref(event);
    }
    ck_assert(ended);
    ck_assert_ptr_null(gst_harness_try_pull(harness));
    gst_harness_teardown(harness);
}
END_TEST

static GstPadProbeReturn count_buffer(GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
    (void)pad;
    (void)info;
    g_atomic_int_inc((gint *)data);
    return GST_PAD_PROBE_OK;
}

START_TEST(a_seek_gives_the_frame_of_that_time)
{
    GstElement *pipeline = gst_parse_launch(
        "vigilscenesrc name=src seed=6 ! "
        "video/x-raw,format=I420,width=320,height=180,framerate=10/1 ! "
        "fakesink name=sink sync=false signal-handoffs=false enable-last-sample=true",
        NULL);
    ck_assert_ptr_nonnull(pipeline);
    g_autoptr(GstElement) src = gst_bin_get_by_name(GST_BIN(pipeline), "src");
    gint pushed = 0;
    g_autoptr(GstPad) pad = gst_element_get_static_pad(src, "src");
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, count_buffer, &pushed, NULL);
    /* Once before anything is negotiated, once while it plays. */
    gst_element_set_state(pipeline, _i ? GST_STATE_PAUSED : GST_STATE_READY);
    gst_element_get_state(pipeline, NULL, NULL, GST_CLOCK_TIME_NONE);
    ck_assert(gst_element_seek_simple(_i ? pipeline : src, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
                                      7 * GST_SECOND));
    gst_element_set_state(pipeline, GST_STATE_PAUSED);
    gst_element_get_state(pipeline, NULL, NULL, GST_CLOCK_TIME_NONE);
    g_autoptr(GstElement) sink = gst_bin_get_by_name(GST_BIN(pipeline), "sink");
    GstSample *sample;
    g_object_get(sink, "last-sample", &sample, NULL);
    GstBuffer *buffer = gst_sample_get_buffer(sample);
    ck_assert_uint_eq(GST_BUFFER_PTS(buffer), 7 * GST_SECOND);
    ck_assert_int_lt(g_atomic_int_get(&pushed), 10); /* it jumped: 70 frames would be walking */

    struct scene *scene = scene_like(BUSY_SEED, 320, 180, 10);
    const struct scene_canvas *picture;
    scene_render(scene, 70, &picture, NULL);
    GstMapInfo map;
    ck_assert(gst_buffer_map(buffer, &map, GST_MAP_READ));
    for (int y = 0; y < 180; y++)
        ck_assert_int_eq(memcmp(map.data + y * 320,
                                picture->planes[0].data + y * picture->planes[0].stride, 320),
                         0);
    gst_buffer_unmap(buffer, &map);
    gst_sample_unref(sample);
    scene_destroy(scene);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}
END_TEST

START_TEST(flags_choose_what_happens)
{
    GstHarness *harness =
        harness_of("video/x-raw,width=64,height=48,framerate=10/1",
                   "vigilscenesrc seed=1 num-buffers=1200 movement=false nuisances=none "
                   "faults=covered+frozen");
    gst_harness_play(harness);
    unsigned seen = 0;
    for (int n = 0; n < 1200; n++) {
        g_autoptr(GstBuffer) buffer = gst_harness_pull(harness);
        seen |= scene_meta_get(buffer)->truth.labels;
    }
    ck_assert_uint_eq(seen, 1u << SCENE_LABEL_QUIET | 1u << SCENE_LABEL_COVERED |
                                1u << SCENE_LABEL_FROZEN);
    gst_harness_teardown(harness);
}
END_TEST

START_TEST(a_live_source_keeps_to_the_clock)
{
    GstHarness *harness = harness_of("video/x-raw,width=64,height=48,framerate=10/1",
                                     "vigilscenesrc is-live=true");
    gst_harness_use_testclock(harness);
    gst_harness_play(harness);
    for (int n = 0; n < 5; n++) {
        ck_assert(gst_harness_wait_for_clock_id_waits(harness, 1, 10));
        ck_assert_uint_eq(gst_harness_buffers_received(harness), (guint)n);
        ck_assert(gst_harness_crank_single_clock_wait(harness));
        gst_buffer_unref(gst_harness_pull(harness));
    }
    gst_harness_teardown(harness);
}
END_TEST

START_TEST(the_truth_file_has_one_line_of_json_per_frame)
{
    g_autofree gchar *folder = g_dir_make_tmp("scenesrc-XXXXXX", NULL);
    g_autofree gchar *path = g_build_filename(folder, "truth.jsonl", NULL);
    g_autofree gchar *launch =
        g_strdup_printf("vigilscenesrc seed=6 num-buffers=150 truth-location=%s", path);
    GstHarness *harness = harness_of("video/x-raw,width=320,height=180,framerate=5/1", launch);
    gst_harness_play(harness);
    GPtrArray *buffers = g_ptr_array_new_with_free_func((GDestroyNotify)gst_buffer_unref);
    for (int n = 0; n < 150; n++)
        g_ptr_array_add(buffers, gst_harness_pull(harness));
    gst_harness_teardown(harness); /* stops the element: the file is closed */

    g_autofree gchar *text = NULL;
    ck_assert(g_file_get_contents(path, &text, NULL, NULL));
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    ck_assert_uint_eq(g_strv_length(lines), 151);
    ck_assert_str_eq(lines[150], "");
    for (guint n = 0; n < 150; n++) {
        json_t *line = json_loads(lines[n], JSON_REJECT_DUPLICATES, NULL);
        ck_assert_ptr_nonnull(line);
        const struct scene_truth *truth = &scene_meta_get(buffers->pdata[n])->truth;
        ck_assert_int_eq(json_integer_value(json_object_get(line, "frame")), n);
        ck_assert_int_eq(json_integer_value(json_object_get(line, "pts_ns")),
                         (json_int_t)n * 200000000);
        size_t labels = json_array_size(json_object_get(line, "labels"));
        ck_assert_int_eq((int)labels, __builtin_popcount(truth->labels));
        json_t *objects = json_object_get(line, "objects");
        ck_assert_uint_eq(json_array_size(objects), truth->object_count);
        for (size_t i = 0; i < truth->object_count; i++) {
            json_t *object = json_array_get(objects, i);
            json_t *box = json_object_get(object, "box");
            ck_assert_double_eq_tol(json_number_value(json_array_get(box, 0)),
                                    (double)truth->objects[i].x, 1e-4);
            ck_assert_double_eq_tol(json_number_value(json_array_get(box, 3)),
                                    (double)truth->objects[i].h, 1e-4);
            ck_assert_int_eq(json_boolean_value(json_object_get(object, "moving")),
                             truth->objects[i].moving);
        }
        json_decref(line);
    }
    g_ptr_array_unref(buffers);
    g_unlink(path);
    g_rmdir(folder);
}
END_TEST

START_TEST(a_truth_file_that_cannot_be_written_is_an_error_that_names_it)
{
    GstElement *pipeline = gst_parse_launch(
        "vigilscenesrc truth-location=/nonexistent/truth.jsonl ! fakesink", NULL);
    ck_assert_int_eq(gst_element_set_state(pipeline, GST_STATE_PAUSED),
                     GST_STATE_CHANGE_FAILURE);
    g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
    g_autoptr(GstMessage) message = gst_bus_pop_filtered(bus, GST_MESSAGE_ERROR);
    ck_assert_ptr_nonnull(message);
    g_autoptr(GError) error = NULL;
    gst_message_parse_error(message, &error, NULL);
    ck_assert_ptr_nonnull(strstr(error->message, "/nonexistent/truth.jsonl"));
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}
END_TEST

int main(void)
{
    TCase *element = tcase_create("element");
    tcase_add_checked_fixture(element, setup, NULL);
    tcase_set_timeout(element, 120);
    tcase_add_loop_test(element, each_format_and_size_holds_the_rendered_picture, 0, 5);
    tcase_add_test(element, without_wishes_it_is_360_lines_at_15_frames);
    tcase_add_test(element, times_follow_the_rate_without_drift);
    tcase_add_test(element, each_buffer_carries_the_truth_and_a_region_for_each_object);
    tcase_add_test(element, the_truth_survives_copies_and_scaling);
    tcase_add_test(element, it_ends_after_num_buffers_and_knows_its_duration);
    tcase_add_loop_test(element, a_seek_gives_the_frame_of_that_time, 0, 2);
    tcase_add_test(element, flags_choose_what_happens);
    tcase_add_test(element, a_live_source_keeps_to_the_clock);
    tcase_add_test(element, the_truth_file_has_one_line_of_json_per_frame);
    tcase_add_test(element, a_truth_file_that_cannot_be_written_is_an_error_that_names_it);

    TCase *cases[] = {element};
    return suite_run("pipeline/scenesrc", cases, 1);
}
