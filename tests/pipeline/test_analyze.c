/* pipeline/vigilanalyze.c in a harness: pictures of one brightness go in, messages come out.
 *
 * The model (testmodel.h) looks at 4 frames at 10 per second and scores "dark" and "bright" by
 * their mean brightness; dark is the background. */
#include <math.h>
#include <string.h>

#include <glib/gstdio.h>
#include <gst/check/gstharness.h>
#include <gst/video/video.h>

#include "pipeline/plugin.h"
#include "pipeline/vigilanalyze.h"
#include "tests/pipeline/testmodel.h"
#include "tests/suite.h"

#define MS   GST_MSECOND
#define CAPS "video/x-raw,format=GRAY8,width=16,height=12,framerate=10/1"

static const struct testmodel brightness = {
    .rank = 5,
    .dims = {1, 4, 1, 6, 8},
    .metadata = {"vigil.labels", "dark,bright", "vigil.background", "dark", "vigil.fps", "10",
                 "vigil.stride", "1", "vigil.cooldown_ms", "0", NULL}};

struct rig {
    GstElement *element;
    GstBus *bus;
    GstHarness *harness;
};

static void rig_init(struct rig *rig, const struct testmodel *model)
{
    rig->element = gst_element_factory_make("vigilanalyze", NULL);
    ck_assert_ptr_nonnull(rig->element);
    rig->bus = gst_bus_new();
    gst_element_set_bus(rig->element, rig->bus);
    rig->harness = NULL;
    GBytes *bytes = testmodel_build(model);
    g_object_set(rig->element, "model-bytes", bytes, "post-windows", TRUE, NULL);
    g_bytes_unref(bytes);
}

/* One override; NULL: none. */
static void rig_override(struct rig *rig, const char *key, const char *value)
{
    g_autoptr(GstStructure) overrides = NULL;
    if (key)
        overrides = gst_structure_new("vigil", key, G_TYPE_STRING, value, NULL);
    g_object_set(rig->element, "overrides", overrides, NULL);
}

static void rig_play(struct rig *rig, const char *caps)
{
    rig->harness = gst_harness_new_with_element(rig->element, "sink", "src");
    gst_harness_set_src_caps_str(rig->harness, caps);
}

static void rig_finish(struct rig *rig)
{
    gst_element_set_bus(rig->element, NULL);
    if (rig->harness)
        gst_harness_teardown(rig->harness);
    gst_object_unref(rig->element);
    gst_object_unref(rig->bus);
}

static GstBuffer *picture(GstClockTime pts, int value)
{
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, 16 * 12, NULL);
    gst_buffer_memset(buffer, 0, (guint8)value, 16 * 12);
    GST_BUFFER_PTS(buffer) = pts;
    return buffer;
}

/* Pushes one and takes it out at the other side again. */
static void show(struct rig *rig, GstClockTime pts, int value)
{
    ck_assert_int_eq(gst_harness_push(rig->harness, picture(pts, value)), GST_FLOW_OK);
    gst_buffer_unref(gst_harness_pull(rig->harness));
}

/* `count` frames, 100 ms apart. */
static void show_run(struct rig *rig, GstClockTime from, int count, int value)
{
    for (int i = 0; i < count; i++)
        show(rig, from + i * 100 * MS, value);
}

static guint64 stat_of(struct rig *rig, const char *name)
{
    g_autoptr(GstStructure) stats = NULL;
    guint64 value;
    g_object_get(rig->element, "stats", &stats, NULL);
    ck_assert_msg(gst_structure_get_uint64(stats, name, &value), "no %s in stats", name);
    return value;
}

/* The next message of this kind, or NULL; others in between are dropped. */
static GstMessage *next_message(struct rig *rig, const char *name)
{
    GstMessage *message;
    while ((message = gst_bus_pop_filtered(rig->bus, GST_MESSAGE_ELEMENT))) {
        if (gst_message_has_name(message, name))
            return message;
        gst_message_unref(message);
    }
    return NULL;
}

static void expect_window(struct rig *rig, int first_ms, int last_ms, double bright)
{
    struct vigilmessage_window window;
    GstMessage *message = next_message(rig, "vigil-window");
    ck_assert_msg(message != NULL, "no window %d-%d ms", first_ms, last_ms);
    ck_assert(vigilmessage_window_parse(message, &window));
    ck_assert_uint_eq(window.first_pts, first_ms * MS);
    ck_assert_uint_eq(window.last_pts, last_ms * MS);
    ck_assert_uint_eq(window.pts, last_ms * MS);
    ck_assert_int_eq(window.frames, 4);
    ck_assert_int_eq(window.score_count, 2);
    ck_assert_str_eq(window.labels[0], "dark");
    ck_assert_str_eq(window.labels[1], "bright");
    ck_assert_double_eq_tol(window.scores[1], bright, 1e-5);
    ck_assert_double_eq_tol(window.scores[0], 1 - bright, 1e-5);
    gst_message_unref(message);
}

static void expect_event(struct rig *rig, enum record_phase phase, int start_ms, int end_ms)
{
    struct vigilmessage_event event;
    GstMessage *message = next_message(rig, "vigil-event");
    ck_assert_msg(message != NULL, "no event at %d ms", start_ms);
    ck_assert(vigilmessage_event_parse(message, &event));
    ck_assert_int_eq(event.phase, phase);
    ck_assert_int_eq(event.kind, RECORD_ACTIVITY);
    ck_assert_str_eq(event.label, "bright");
    ck_assert_uint_eq(event.start, start_ms * MS);
    ck_assert_uint_eq(event.end, end_ms < 0 ? GST_CLOCK_TIME_NONE : (GstClockTime)end_ms * MS);
    ck_assert_int_eq(event.frames, 4);
    gst_message_unref(message);
}

static void expect_no_event(struct rig *rig)
{
    GstMessage *message = next_message(rig, "vigil-event");
    ck_assert_msg(!message, "%s",
                  message ? gst_structure_to_string(gst_message_get_structure(message)) : "");
}

START_TEST(windows_follow_one_another_by_the_stride)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    g_object_set(rig.element, "stride", 2, NULL);
    rig_play(&rig, CAPS);
    for (int i = 0; i < 8; i++)
        show(&rig, i * 100 * MS, i * 10);
    expect_window(&rig, 0, 300, 15 / 255.0);
    expect_window(&rig, 200, 500, 35 / 255.0);
    expect_window(&rig, 400, 700, 55 / 255.0);
    ck_assert_ptr_null(next_message(&rig, "vigil-window"));
    ck_assert_uint_eq(stat_of(&rig, "windows"), 3);
    rig_finish(&rig);
}
END_TEST

START_TEST(scores_are_posted_only_when_asked_for)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    g_object_set(rig.element, "post-windows", FALSE, NULL);
    rig_play(&rig, CAPS);
    show_run(&rig, 0, 4, 0);
    ck_assert_uint_eq(stat_of(&rig, "windows"), 1);
    ck_assert_ptr_null(next_message(&rig, "vigil-window"));
    g_object_set(rig.element, "post-windows", TRUE, NULL);
    show(&rig, 400 * MS, 0);
    expect_window(&rig, 100, 400, 0);
    rig_finish(&rig);
}
END_TEST

START_TEST(frames_are_sampled_by_their_pts_and_counted)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    rig_play(&rig, "video/x-raw,format=GRAY8,width=16,height=12,framerate=30/1");
    for (int i = 0; i < 12; i++)
        show(&rig, gst_util_uint64_scale(i, GST_SECOND, 30), i % 3 ? 255 : 51);
    /* Only frames 0, 3, 6 and 9 are seen: none of the white ones. */
    expect_window(&rig, 0, 300, 0.2);
    ck_assert_uint_eq(stat_of(&rig, "received"), 12);
    ck_assert_uint_eq(stat_of(&rig, "analysed"), 4);
    ck_assert_uint_eq(stat_of(&rig, "skipped"), 8);
    ck_assert_uint_eq(stat_of(&rig, "stale"), 0);
    ck_assert_uint_eq(stat_of(&rig, "discontinuities"), 0);
    ck_assert_uint_eq(stat_of(&rig, "last-pts"), 300 * MS);
    static const char *const times[] = {"inference-time", "convert-time"};
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_gt(stat_of(&rig, times[i]), 0);
        ck_assert_uint_lt(stat_of(&rig, times[i]), 10 * GST_SECOND);
    }
    rig_finish(&rig);
}
END_TEST

START_TEST(a_repeated_frame_is_not_seen_twice)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    g_object_set(rig.element, "fps", 240.0, NULL);
    rig_play(&rig, CAPS);
    show(&rig, 0, 51);
    show(&rig, 0, 255);
    show(&rig, 100 * MS, 51);
    show(&rig, 50 * MS, 255);
    show(&rig, 100 * MS, 255);
    show(&rig, 200 * MS, 51);
    show(&rig, 300 * MS, 51);
    expect_window(&rig, 0, 300, 0.2);
    ck_assert_uint_eq(stat_of(&rig, "stale"), 3);
    ck_assert_uint_eq(stat_of(&rig, "analysed"), 4);
    rig_finish(&rig);
}
END_TEST

START_TEST(an_event_starts_and_ends_at_the_centres_of_its_windows)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    g_object_set(rig.element, "model-name", "lamp", NULL);
    rig_play(&rig, CAPS);
    show_run(&rig, 0, 6, 0);
    show_run(&rig, 600 * MS, 6, 255);
    show_run(&rig, 1200 * MS, 6, 0);
    /* 3 of 4 frames are bright in 500-800 and, at the other end, 2 of 4 in 1000-1300. */
    GstMessage *message = next_message(&rig, "vigil-event");
    struct vigilmessage_event event;
    ck_assert(vigilmessage_event_parse(message, &event));
    ck_assert_int_eq(event.phase, RECORD_STARTED);
    ck_assert_uint_eq(event.start, 650 * MS);
    ck_assert_uint_eq(event.pts, 800 * MS);
    ck_assert_uint_eq(event.running_time, 800 * MS);
    ck_assert_uint_eq(event.first_pts, 500 * MS);
    ck_assert_double_eq_tol(event.score, 0.75, 1e-5);
    ck_assert_str_eq(event.model, "lamp");
    gst_message_unref(message);
    expect_event(&rig, RECORD_UPDATED, 650, -1);
    expect_event(&rig, RECORD_ENDED, 650, 1150);
    expect_no_event(&rig);
    rig_finish(&rig);
}
END_TEST

START_TEST(the_threshold_property_decides_where_events_start)
{
    for (int i = 0; i < 2; i++) {
        struct rig rig;
        rig_init(&rig, &brightness);
        g_object_set(rig.element, "threshold", i ? 0.3 : 0.31, NULL);
        rig_play(&rig, CAPS);
        show_run(&rig, 0, 4, 77); /* 0.302 */
        if (i)
            expect_event(&rig, RECORD_STARTED, 150, -1);
        expect_no_event(&rig);
        rig_finish(&rig);
    }
}
END_TEST

START_TEST(overrides_replace_the_metadata)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    gst_util_set_object_arg(G_OBJECT(rig.element), "overrides",
                            "vigil,labels=(string)\"off,on\",vigil.background=(string)off,"
                            "scale=(double)0.5,stride=(int)4");
    rig_play(&rig, CAPS);
    show_run(&rig, 0, 8, 1);
    for (int i = 0; i < 2; i++) {
        struct vigilmessage_window window;
        GstMessage *message = next_message(&rig, "vigil-window");
        ck_assert(vigilmessage_window_parse(message, &window));
        ck_assert_str_eq(window.labels[1], "on");
        ck_assert_double_eq_tol(window.scores[1], 0.5, 1e-6);
        gst_message_unref(message);
    }
    ck_assert_ptr_null(next_message(&rig, "vigil-window"));
    rig_finish(&rig);
}
END_TEST

START_TEST(the_region_of_interest_is_all_it_looks_at)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    g_object_set(rig.element, "roi", "0.5,0,0.5,1", NULL);
    rig_play(&rig, CAPS);
    GstBuffer *out = NULL;
    for (int i = 0; i < 4; i++) {
        GstBuffer *buffer = picture(i * 100 * MS, 0);
        for (int y = 0; y < 12; y++)
            gst_buffer_memset(buffer, y * 16 + 8, 255, 8);
        gst_clear_buffer(&out);
        ck_assert_int_eq(gst_harness_push(rig.harness, buffer), GST_FLOW_OK);
        out = gst_harness_pull(rig.harness);
    }
    expect_window(&rig, 0, 300, 1);
    GstVideoRegionOfInterestMeta *meta = gst_buffer_get_video_region_of_interest_meta(out);
    ck_assert_ptr_nonnull(meta);
    ck_assert_str_eq(g_quark_to_string(meta->roi_type), "bright");
    ck_assert_uint_eq(meta->x, 8);
    ck_assert_uint_eq(meta->y, 0);
    ck_assert_uint_eq(meta->w, 8);
    ck_assert_uint_eq(meta->h, 12);
    GstStructure *param = gst_video_region_of_interest_meta_get_param(meta, "vigil-event");
    double score;
    ck_assert(gst_structure_get_double(param, "score", &score));
    ck_assert_double_eq_tol(score, 1, 1e-5);
    gst_buffer_unref(out);
    rig_finish(&rig);
}
END_TEST

START_TEST(buffers_pass_untouched)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    rig_play(&rig, CAPS);
    for (int i = 0; i < 8; i++) {
        /* Held here too, so that it is not writable; bright, so that an event comes on. */
        GstBuffer *in = picture(i * 100 * MS, 255);
        ck_assert_int_eq(gst_harness_push(rig.harness, gst_buffer_ref(in)), GST_FLOW_OK);
        GstBuffer *out = gst_harness_pull(rig.harness);
        bool on = i >= 3;
        ck_assert_int_eq(out == in, !on);
        ck_assert_ptr_eq(gst_buffer_peek_memory(out, 0), gst_buffer_peek_memory(in, 0));
        ck_assert_ptr_null(gst_buffer_get_video_region_of_interest_meta(in));
        ck_assert_int_eq(gst_buffer_get_video_region_of_interest_meta(out) != NULL, on);
        guint8 white[16 * 12];
        memset(white, 255, sizeof white);
        ck_assert_int_eq(gst_buffer_memcmp(out, 0, white, sizeof white), 0);
        ck_assert_uint_eq(GST_BUFFER_PTS(out), i * 100 * MS);
        gst_buffer_unref(out);
        gst_buffer_unref(in);
    }
    rig_finish(&rig);
}
END_TEST

/* How a stream can break. Each is done after 5 bright frames at 5.0-5.4 s and says when, in pts
 * and in stream time, the next frame comes. */
static void jump_forward(struct rig *rig, GstClockTime *pts, GstClockTime *time)
{
    (void)rig;
    *pts = *time = 6401 * MS;
}

static void jump_back(struct rig *rig, GstClockTime *pts, GstClockTime *time)
{
    (void)rig;
    *pts = *time = 4400 * MS;
}

static void flush(struct rig *rig, GstClockTime *pts, GstClockTime *time)
{
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    ck_assert(gst_harness_push_event(rig->harness, gst_event_new_flush_start()));
    ck_assert(gst_harness_push_event(rig->harness, gst_event_new_flush_stop(TRUE)));
    ck_assert(gst_harness_push_event(rig->harness, gst_event_new_segment(&segment)));
    *pts = *time = 5500 * MS;
}

static void loop(struct rig *rig, GstClockTime *pts, GstClockTime *time)
{
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    segment.start = 10 * GST_SECOND;
    segment.base = 5500 * MS;
    segment.time = 5300 * MS;
    ck_assert(gst_harness_push_event(rig->harness, gst_event_new_segment(&segment)));
    *pts = 10 * GST_SECOND;
    *time = 5300 * MS;
}

static void announce(struct rig *rig, GstClockTime *pts, GstClockTime *time)
{
    GstEvent *event = gst_event_new_custom(
        GST_EVENT_CUSTOM_DOWNSTREAM, gst_structure_new_empty(VIGIL_ANALYZE_DISCONTINUITY));
    ck_assert(gst_harness_push_event(rig->harness, event));
    *pts = *time = 5450 * MS; /* too early for the frames so far: sampling begins anew */
}

/* As a queue that drops would have to keep it. */
static void announce_for_good(struct rig *rig, GstClockTime *pts, GstClockTime *time)
{
    GstEvent *event =
        gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM_STICKY,
                             gst_structure_new_empty(VIGIL_ANALYZE_DISCONTINUITY));
    ck_assert(gst_harness_push_event(rig->harness, event));
    *pts = *time = 5450 * MS;
}

static void change_caps(struct rig *rig, GstClockTime *pts, GstClockTime *time)
{
    gst_harness_set_src_caps_str(rig->harness,
                                 "video/x-raw,format=GRAY8,width=12,height=16,framerate=10/1");
    *pts = *time = 5500 * MS;
}

static void change_stream(struct rig *rig, GstClockTime *pts, GstClockTime *time)
{
    ck_assert(gst_harness_push_event(rig->harness, gst_event_new_stream_start("another")));
    *pts = *time = 5500 * MS;
}

static void rebuild_source(struct rig *rig, GstClockTime *pts, GstClockTime *time)
{
    change_stream(rig, pts, time);
    change_caps(rig, pts, time);
    announce(rig, pts, time);
}

static void (*const breaks[])(struct rig *, GstClockTime *, GstClockTime *) = {
    jump_forward,      jump_back,   flush,         loop,           announce,
    announce_for_good, change_caps, change_stream, rebuild_source,
};

START_TEST(a_discontinuity_ends_events_forgets_frames_and_holds_off)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    rig_override(&rig, "cooldown_ms", "60000");
    rig_play(&rig, CAPS);
    show_run(&rig, 5000 * MS, 5, 255);
    expect_event(&rig, RECORD_STARTED, 5150, -1);
    GstClockTime pts, time;
    breaks[_i](&rig, &pts, &time);
    show_run(&rig, pts, 7, 255);
    expect_event(&rig, RECORD_ENDED, 5150, 5250);
    expect_no_event(&rig);
    ck_assert_uint_eq(stat_of(&rig, "discontinuities"), 1);
    /* 2 windows before; after it one when 4 new frames are there, and one with each more. */
    ck_assert_uint_eq(stat_of(&rig, "windows"), 2 + 4);
    /* Those of frames 0-3 to 3-6 share a frame with the first: the next may start an event. */
    show(&rig, pts + 700 * MS, 255);
    expect_event(&rig, RECORD_STARTED, (int)((time + 550 * MS) / MS), -1);
    rig_finish(&rig);
}
END_TEST

START_TEST(small_gaps_and_another_frame_rate_are_no_discontinuity)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    rig_play(&rig, CAPS);
    show_run(&rig, 0, 2, 0);
    show_run(&rig, 1100 * MS, 2, 0);
    gst_harness_set_src_caps_str(rig.harness,
                                 "video/x-raw,format=GRAY8,width=16,height=12,framerate=25/2");
    show(&rig, 1300 * MS, 0);
    ck_assert_uint_eq(stat_of(&rig, "discontinuities"), 0);
    ck_assert_uint_eq(stat_of(&rig, "windows"), 2);
    rig_finish(&rig);
}
END_TEST

START_TEST(times_are_stream_times)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    rig_play(&rig, CAPS);
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    segment.start = segment.position = 5 * GST_SECOND;
    segment.base = 2 * GST_SECOND;
    ck_assert(gst_harness_push_event(rig.harness, gst_event_new_segment(&segment)));
    show_run(&rig, 5 * GST_SECOND, 4, 255);
    GstMessage *message = next_message(&rig, "vigil-window");
    struct vigilmessage_window window;
    ck_assert(vigilmessage_window_parse(message, &window));
    ck_assert_uint_eq(window.first_pts, 0);
    ck_assert_uint_eq(window.last_pts, 300 * MS);
    ck_assert_uint_eq(window.running_time, 2300 * MS);
    gst_message_unref(message);
    rig_finish(&rig);
}
END_TEST

START_TEST(at_the_end_of_the_stream_open_events_end)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    rig_play(&rig, CAPS);
    show_run(&rig, 0, 5, 255);
    expect_event(&rig, RECORD_STARTED, 150, -1);
    ck_assert(gst_harness_push_event(rig.harness, gst_event_new_eos()));
    expect_event(&rig, RECORD_ENDED, 150, 250);
    rig_finish(&rig);
}
END_TEST

START_TEST(when_it_is_stopped_open_events_end_and_it_can_start_again)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    rig_play(&rig, CAPS);
    show_run(&rig, 0, 5, 255);
    expect_event(&rig, RECORD_STARTED, 150, -1);
    ck_assert_int_eq(gst_element_set_state(rig.element, GST_STATE_READY),
                     GST_STATE_CHANGE_SUCCESS);
    expect_event(&rig, RECORD_ENDED, 150, 250);
    ck_assert_uint_eq(stat_of(&rig, "received"), 5);
    gst_harness_teardown(rig.harness);
    rig_play(&rig, CAPS);
    ck_assert_uint_eq(stat_of(&rig, "received"), 0);
    show_run(&rig, 0, 5, 255);
    expect_event(&rig, RECORD_STARTED, 150, -1);
    rig_finish(&rig);
}
END_TEST

START_TEST(frames_without_a_timestamp_pass_with_one_warning)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    rig_play(&rig, CAPS);
    for (int i = 0; i < 5; i++)
        show(&rig, GST_CLOCK_TIME_NONE, 255);
    ck_assert_uint_eq(stat_of(&rig, "received"), 5);
    ck_assert_uint_eq(stat_of(&rig, "skipped"), 5);
    GstMessage *message = gst_bus_pop_filtered(rig.bus, GST_MESSAGE_WARNING);
    ck_assert_ptr_nonnull(message);
    gst_message_unref(message);
    ck_assert_ptr_null(gst_bus_pop_filtered(rig.bus, GST_MESSAGE_WARNING));
    rig_finish(&rig);
}
END_TEST

/* Where the first of five frames stands: times that leave no room to reckon with. */
static const GstClockTime hostile[] = {
    VIGIL_ANALYZE_TIME_MAX + 1,   G_MAXINT64 / 2,
    G_MAXINT64 - 1000 * MS,       G_MAXINT64 - 400 * MS,
    (GstClockTime)G_MAXINT64 + 1, G_MAXUINT64 - 1000 * MS,
};

START_TEST(frames_from_beyond_the_usable_time_pass_unanalysed)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    rig_play(&rig, CAPS);
    show_run(&rig, hostile[_i], 5, 255);
    ck_assert_uint_eq(stat_of(&rig, "skipped"), 5);
    /* They leave no trace in what comes after. */
    show_run(&rig, 0, 5, 255);
    expect_event(&rig, RECORD_STARTED, 150, -1);
    ck_assert_uint_eq(stat_of(&rig, "analysed"), 5);
    ck_assert_uint_eq(stat_of(&rig, "discontinuities"), 0);
    rig_finish(&rig);
}
END_TEST

START_TEST(the_last_usable_times_are_analysed_like_any_other)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    rig_play(&rig, CAPS);
    show_run(&rig, 0, 4, 0);
    const GstClockTime from = VIGIL_ANALYZE_TIME_MAX - 2400 * MS;
    show_run(&rig, from, 25, 255);
    ck_assert_uint_eq(stat_of(&rig, "analysed"), 29);
    ck_assert_uint_eq(stat_of(&rig, "discontinuities"), 1);
    static const enum record_phase course[] = {RECORD_STARTED, RECORD_UPDATED, RECORD_ENDED};
    show(&rig, 0, 0); /* a step back: what is on ends */
    for (size_t i = 0; i < G_N_ELEMENTS(course); i++) {
        struct vigilmessage_event event;
        GstMessage *message = next_message(&rig, "vigil-event");
        ck_assert_ptr_nonnull(message);
        ck_assert(vigilmessage_event_parse(message, &event));
        ck_assert_int_eq(event.phase, course[i]);
        ck_assert_uint_ge(event.start, from);
        gst_message_unref(message);
    }
    rig_finish(&rig);
}
END_TEST

START_TEST(a_running_time_beyond_the_usable_is_not_told)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    rig_play(&rig, CAPS);
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    segment.base = G_MAXINT64;
    ck_assert(gst_harness_push_event(rig.harness, gst_event_new_segment(&segment)));
    show_run(&rig, 0, 4, 255);
    GstMessage *message = next_message(&rig, "vigil-window");
    struct vigilmessage_window window;
    ck_assert(vigilmessage_window_parse(message, &window));
    ck_assert_uint_eq(window.last_pts, 300 * MS);
    ck_assert_uint_eq(window.running_time, GST_CLOCK_TIME_NONE);
    gst_message_unref(message);
    rig_finish(&rig);
}
END_TEST

START_TEST(every_format_gives_the_same_answer_for_grey)
{
    static const GstVideoFormat formats[] = {GST_VIDEO_FORMAT_GRAY8, GST_VIDEO_FORMAT_NV12,
                                             GST_VIDEO_FORMAT_I420, GST_VIDEO_FORMAT_RGB};
    for (size_t f = 0; f < G_N_ELEMENTS(formats); f++) {
        struct rig rig;
        GstVideoInfo info;
        rig_init(&rig, &brightness);
        gst_video_info_set_format(&info, formats[f], 31, 17);
        info.fps_n = 10;
        info.fps_d = 1;
        GstCaps *caps = gst_video_info_to_caps(&info);
        g_autofree char *text = gst_caps_to_string(caps);
        rig_play(&rig, text);
        for (int i = 0; i < 4; i++) {
            GstBuffer *buffer = gst_buffer_new_allocate(NULL, info.size, NULL);
            gst_buffer_memset(buffer, 0, 102, info.size);
            GST_BUFFER_PTS(buffer) = i * 100 * MS;
            ck_assert_int_eq(gst_harness_push(rig.harness, buffer), GST_FLOW_OK);
        }
        expect_window(&rig, 0, 300, 0.4);
        gst_caps_unref(caps);
        rig_finish(&rig);
    }
}
END_TEST

START_TEST(other_formats_are_not_negotiated)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    rig_play(&rig, "video/x-raw,format=YUY2,width=16,height=12,framerate=10/1");
    ck_assert_int_eq(gst_harness_push(rig.harness, picture(0, 0)), GST_FLOW_NOT_NEGOTIATED);
    rig_finish(&rig);
}
END_TEST

START_TEST(a_buffer_smaller_than_its_caps_is_an_error)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    rig_play(&rig, "video/x-raw,format=GRAY8,width=160,height=12,framerate=10/1");
    ck_assert_int_eq(gst_harness_push(rig.harness, picture(0, 0)), GST_FLOW_ERROR);
    GstMessage *message = gst_bus_pop_filtered(rig.bus, GST_MESSAGE_ERROR);
    ck_assert_ptr_nonnull(message);
    gst_message_unref(message);
    rig_finish(&rig);
}
END_TEST

START_TEST(a_picture_classifier_scores_every_stride_th_frame)
{
    static const struct testmodel picture_model = {
        .rank = 4,
        .dims = {1, 1, 6, 8},
        .metadata = {"vigil.labels", "dark,bright", "vigil.stride", "3", NULL}};
    struct rig rig;
    rig_init(&rig, &picture_model);
    rig_play(&rig, CAPS);
    for (int i = 0; i < 7; i++)
        show(&rig, i * 100 * MS, i * 10);
    for (int i = 0; i < 7; i += 3) {
        struct vigilmessage_window window;
        GstMessage *message = next_message(&rig, "vigil-window");
        ck_assert(vigilmessage_window_parse(message, &window));
        ck_assert_uint_eq(window.first_pts, i * 100 * MS);
        ck_assert_uint_eq(window.last_pts, i * 100 * MS);
        ck_assert_int_eq(window.frames, 1);
        ck_assert_double_eq_tol(window.scores[1], i * 10 / 255.0, 1e-5);
        gst_message_unref(message);
    }
    ck_assert_ptr_null(next_message(&rig, "vigil-window"));
    ck_assert_uint_eq(stat_of(&rig, "analysed"), 3);
    rig_finish(&rig);
}
END_TEST

START_TEST(scores_that_are_none_are_warned_about_once)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    rig_override(&rig, "scale", "1");
    rig_play(&rig, CAPS);
    show_run(&rig, 0, 8, 200);
    GstMessage *message = gst_bus_pop_filtered(rig.bus, GST_MESSAGE_WARNING);
    ck_assert_ptr_nonnull(message);
    g_autoptr(GError) error = NULL;
    gst_message_parse_warning(message, &error, NULL);
    ck_assert_msg(strstr(error->message, "vigil.head"), "%s", error->message);
    gst_message_unref(message);
    ck_assert_ptr_null(gst_bus_pop_filtered(rig.bus, GST_MESSAGE_WARNING));
    rig_finish(&rig);
}
END_TEST

/* Scores of windows of noise, in both kinds of kernels if asked. */
static void scores_of_noise(gboolean reference, double scores[20])
{
    struct rig rig;
    rig_init(&rig, &brightness);
    g_object_set(rig.element, "reference-kernels", reference, NULL);
    rig_play(&rig, CAPS);
    guint32 state = 7;
    for (int i = 0; i < 23; i++) {
        GstBuffer *buffer = picture(i * 100 * MS, 0);
        GstMapInfo map;
        ck_assert(gst_buffer_map(buffer, &map, GST_MAP_WRITE));
        for (gsize b = 0; b < map.size; b++)
            map.data[b] = (state = state * 1664525 + 1013904223) >> 24;
        gst_buffer_unmap(buffer, &map);
        ck_assert_int_eq(gst_harness_push(rig.harness, buffer), GST_FLOW_OK);
    }
    for (int i = 0; i < 20; i++) {
        struct vigilmessage_window window;
        GstMessage *message = next_message(&rig, "vigil-window");
        ck_assert(vigilmessage_window_parse(message, &window));
        scores[i] = window.scores[1];
        gst_message_unref(message);
    }
    rig_finish(&rig);
}

START_TEST(the_same_frames_give_the_same_scores_bit_for_bit)
{
    double first[20], second[20], reference[20];
    scores_of_noise(FALSE, first);
    scores_of_noise(FALSE, second);
    scores_of_noise(TRUE, reference);
    ck_assert_mem_eq(first, second, sizeof first);
    for (int i = 0; i < 20; i++)
        ck_assert_double_eq_tol(first[i], reference[i], 1e-5);
    for (int i = 1; i < 20; i++)
        ck_assert_double_ne(first[i], first[0]);
}
END_TEST

/* Tries to start; the element must refuse with one error of one line that holds `part`. */
static void expect_refusal(struct rig *rig, const char *part)
{
    ck_assert_int_eq(gst_element_set_state(rig->element, GST_STATE_PAUSED),
                     GST_STATE_CHANGE_FAILURE);
    GstMessage *message = gst_bus_pop_filtered(rig->bus, GST_MESSAGE_ERROR);
    ck_assert_ptr_nonnull(message);
    g_autoptr(GError) error = NULL;
    gst_message_parse_error(message, &error, NULL);
    ck_assert_msg(strstr(error->message, part), "\"%s\" has no \"%s\"", error->message, part);
    ck_assert_ptr_null(strchr(error->message, '\n'));
    gst_message_unref(message);
    ck_assert_ptr_null(gst_bus_pop_filtered(rig->bus, GST_MESSAGE_ERROR));
    gst_element_set_state(rig->element, GST_STATE_NULL);
}

static void refuse_bytes(const void *data, gsize size, const char *part)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    g_autoptr(GBytes) bytes = g_bytes_new(data, size);
    g_object_set(rig.element, "model-bytes", bytes, "model-name", "m", NULL);
    expect_refusal(&rig, part);
    rig_finish(&rig);
}

START_TEST(a_model_cut_short_anywhere_is_refused)
{
    g_autoptr(GBytes) bytes = testmodel_build(&brightness);
    gsize size;
    const guint8 *data = g_bytes_get_data(bytes, &size);
    /* What follows the graph may be missing; up to the name of its output, its last part, every
     * length is an error. */
    gsize required = 0;
    for (gsize i = 0; i + 6 < size; i++)
        if (memcmp(data + i, "scores", 6) == 0)
            required = i + 6;
    ck_assert_uint_gt(required, 200);
    for (gsize length = 0; length < required; length += 7)
        refuse_bytes(data, length, "model m: ");
}
END_TEST

START_TEST(garbage_is_refused)
{
    guint8 garbage[3000];
    guint32 state = 3;
    for (gsize i = 0; i < sizeof garbage; i++)
        garbage[i] = (state = state * 1664525 + 1013904223) >> 24;
    refuse_bytes(garbage, sizeof garbage, "model m: ");
    refuse_bytes("<html>not found</html>", 22, "model m: ");
}
END_TEST

START_TEST(what_is_wrong_with_a_model_is_said)
{
    static const struct {
        struct testmodel model;
        const char *part;
    } wrong[] = {
        {{.rank = 5, .dims = {1, 4, 1, 6, 8}, .last_op = "Frobnicate"}, "Frobnicate"},
        {{.rank = 5, .dims = {1, 4, 1, 6, 8}, .type = 7}, "int64"},
        {{.rank = 5, .dims = {1, 4, 1, 6, 8}, .metadata = {"vigil.labels", "just one", NULL}},
         "vigil.labels: 1 labels, but the model gives 2"},
        {{.rank = 5, .dims = {1, 4, 1, 6, 8}, .metadata = {"vigil.fps", "fast", NULL}},
         "vigil.fps \"fast\""},
        {{.rank = 3, .dims = {1, 6, 8}}, ""},
        {{.rank = 5, .dims = {1, 4, 1, 6, 8}, .scores = 257}, "257 scores"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        GBytes *bytes = testmodel_build(&wrong[i].model);
        gsize size;
        const void *data = g_bytes_get_data(bytes, &size);
        refuse_bytes(data, size, wrong[i].part);
        g_bytes_unref(bytes);
    }
}
END_TEST

START_TEST(settings_that_cannot_work_are_said)
{
    struct rig rig;
    rig_init(&rig, &brightness);
    static const char *const rois[] = {"",           "0,0,1",       "0,0,1,1,1",
                                       "0,0,1,x",    "0.5,0,0.6,1", "0,0.5,1,0.6",
                                       "-0.1,0,1,1", "0,0,0,1"};
    for (size_t i = 0; i < G_N_ELEMENTS(rois); i++) {
        g_object_set(rig.element, "roi", rois[i], NULL);
        expect_refusal(&rig, "should be X,Y,WIDTH,HEIGHT inside 0..1");
    }
    g_object_set(rig.element, "roi", NULL, NULL);
    rig_override(&rig, "lables", "a,b");
    expect_refusal(&rig, "vigil.lables is no key of a model");
    rig_override(&rig, NULL, NULL);
    g_object_set(rig.element, "model-bytes", NULL, NULL);
    expect_refusal(&rig, "no model: set model=FILE.onnx");
    g_object_set(rig.element, "model", "/nonexistent/m.onnx", NULL);
    expect_refusal(&rig, "/nonexistent/m.onnx: No such file or directory");
    g_object_set(rig.element, "model", "/tmp", NULL);
    expect_refusal(&rig, "/tmp: it is a folder");
    rig_finish(&rig);
}
END_TEST

/* Plays four dark frames; who is said to have seen what? */
static void expect_first_event(struct rig *rig, const char *model, const char *label)
{
    rig_play(rig, CAPS);
    show_run(rig, 0, 4, 0);
    struct vigilmessage_event event;
    GstMessage *message = next_message(rig, "vigil-event");
    ck_assert(vigilmessage_event_parse(message, &event));
    ck_assert_str_eq(event.label, label);
    ck_assert_str_eq(event.model, model);
    gst_message_unref(message);
}

START_TEST(a_model_given_by_path_is_read_with_its_sidecar)
{
    g_autofree char *dir = g_dir_make_tmp("vigil-analyze-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "lamp.onnx", NULL);
    g_autofree char *sidecar = g_strconcat(path, ".modelinfo", NULL);
    g_autoptr(GBytes) bytes = testmodel_build(&brightness);
    gsize size;
    const char *data = g_bytes_get_data(bytes, &size);
    ck_assert(g_file_set_contents(path, data, size, NULL));
    ck_assert(
        g_file_set_contents(sidecar, "[vigil]\nlabels = night, day\nbackground =\n", -1, NULL));
    struct rig rig;
    rig_init(&rig, &brightness);
    g_object_set(rig.element, "model-bytes", NULL, "model", path, NULL);
    expect_first_event(&rig, "lamp", "night");
    rig_finish(&rig);
    /* Bytes come alone: what lies beside some path is not theirs. */
    rig_init(&rig, &brightness);
    g_object_set(rig.element, "model", path, "model-name", "bytes", NULL);
    rig_override(&rig, "background", "");
    expect_first_event(&rig, "bytes", "dark");
    rig_finish(&rig);
    g_unlink(path);
    g_unlink(sidecar);
    g_rmdir(dir);
}
END_TEST

START_TEST(messages_of_others_are_not_parsed)
{
    struct vigilmessage_window window;
    struct vigilmessage_event event;
    GstMessage *others[] = {
        gst_message_new_eos(NULL),
        gst_message_new_element(NULL, gst_structure_new_empty("level")),
        gst_message_new_element(NULL, gst_structure_new_empty("vigil-window")),
        gst_message_new_element(NULL, gst_structure_new_empty("vigil-event")),
        gst_message_new_application(NULL, gst_structure_new_empty("vigil-event")),
    };
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        ck_assert(!vigilmessage_window_parse(others[i], &window));
        ck_assert(!vigilmessage_event_parse(others[i], &event));
        gst_message_unref(others[i]);
    }
}
END_TEST

int main(void)
{
    gst_init(NULL, NULL);
    if (!vigil_plugin_register_static())
        return EXIT_FAILURE;
    TCase *all = tcase_create("analyze");
    tcase_add_test(all, windows_follow_one_another_by_the_stride);
    tcase_add_test(all, scores_are_posted_only_when_asked_for);
    tcase_add_test(all, frames_are_sampled_by_their_pts_and_counted);
    tcase_add_test(all, a_repeated_frame_is_not_seen_twice);
    tcase_add_test(all, an_event_starts_and_ends_at_the_centres_of_its_windows);
    tcase_add_test(all, the_threshold_property_decides_where_events_start);
    tcase_add_test(all, overrides_replace_the_metadata);
    tcase_add_test(all, the_region_of_interest_is_all_it_looks_at);
    tcase_add_test(all, buffers_pass_untouched);
    tcase_add_loop_test(all, a_discontinuity_ends_events_forgets_frames_and_holds_off, 0,
                        (int)G_N_ELEMENTS(breaks));
    tcase_add_test(all, small_gaps_and_another_frame_rate_are_no_discontinuity);
    tcase_add_test(all, times_are_stream_times);
    tcase_add_test(all, at_the_end_of_the_stream_open_events_end);
    tcase_add_test(all, when_it_is_stopped_open_events_end_and_it_can_start_again);
    tcase_add_test(all, frames_without_a_timestamp_pass_with_one_warning);
    tcase_add_loop_test(all, frames_from_beyond_the_usable_time_pass_unanalysed, 0,
                        G_N_ELEMENTS(hostile));
    tcase_add_test(all, the_last_usable_times_are_analysed_like_any_other);
    tcase_add_test(all, a_running_time_beyond_the_usable_is_not_told);
    tcase_add_test(all, every_format_gives_the_same_answer_for_grey);
    tcase_add_test(all, other_formats_are_not_negotiated);
    tcase_add_test(all, a_buffer_smaller_than_its_caps_is_an_error);
    tcase_add_test(all, a_picture_classifier_scores_every_stride_th_frame);
    tcase_add_test(all, scores_that_are_none_are_warned_about_once);
    tcase_add_test(all, the_same_frames_give_the_same_scores_bit_for_bit);
    tcase_add_test(all, a_model_cut_short_anywhere_is_refused);
    tcase_add_test(all, garbage_is_refused);
    tcase_add_test(all, what_is_wrong_with_a_model_is_said);
    tcase_add_test(all, settings_that_cannot_work_are_said);
    tcase_add_test(all, a_model_given_by_path_is_read_with_its_sidecar);
    tcase_add_test(all, messages_of_others_are_not_parsed);
    tcase_set_timeout(all, 60);
    return suite_run("pipeline/analyze", &all, 1);
}
