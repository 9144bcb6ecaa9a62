/* pipeline/tail.c: what must arrive at the analysis, also when frames are dropped before it. */
#include <string.h>
#include <unistd.h>

#include "pipeline/plugin.h"
#include "pipeline/source.h"
#include "pipeline/tail.h"
#include "tests/suite.h"

#define FRAME_BYTES (64 * 36 * 3 / 2)
#define FRAME_NS    (GST_SECOND / 15)

static int fds[2];
static struct link *link_of_tail;
static struct tail *tail;

static void make_tail(void)
{
    gst_init(NULL, NULL);
    ck_assert(vigil_plugin_register_static());
    ck_assert_int_eq(channel_pair(fds), 0);
    link_of_tail = link_create(fds[0]);
    static struct message_stream_start start = {
        .stream = "door", .model = "scene", .live = true};
    strcpy(start.uri, "rtsp://192.0.2.1/");
    g_autofree char *path =
        g_build_filename(g_getenv("VIGIL_SOURCE_ROOT"), "models", "scene.onnx", NULL);
    char *bytes;
    gsize size;
    ck_assert(g_file_get_contents(path, &bytes, &size, NULL));
    g_autoptr(GBytes) model = g_bytes_new_take(bytes, size);
    struct record_error err = {""};
    tail = tail_create(&start, model, true, link_of_tail, &err);
    ck_assert_msg(tail, "%s", err.text);
}

static void free_tail(void)
{
    GstElement *pipeline = tail_take_pipeline(tail);
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
    tail_destroy(tail);
    link_destroy(link_of_tail);
    close(fds[0]);
    close(fds[1]);
}

static void push(int frames)
{
    static GstClockTime pts;
    for (int i = 0; i < frames; i++, pts += FRAME_NS) {
        GstBuffer *buffer = gst_buffer_new_allocate(NULL, FRAME_BYTES, NULL);
        gst_buffer_memset(buffer, 0, 128, FRAME_BYTES);
        GST_BUFFER_PTS(buffer) = pts;
        GST_BUFFER_DURATION(buffer) = FRAME_NS;
        ck_assert_int_eq(gst_pad_chain(tail_sink(tail), buffer), GST_FLOW_OK);
    }
}

static void begin_stream(void)
{
    GstSegment segment;
    gst_segment_init(&segment, GST_FORMAT_TIME);
    g_autoptr(GstCaps) caps =
        gst_caps_from_string("video/x-raw,format=I420,width=64,height=36,framerate=15/1");
    ck_assert(gst_pad_send_event(tail_sink(tail), gst_event_new_stream_start("s")));
    ck_assert(gst_pad_send_event(tail_sink(tail), gst_event_new_caps(caps)));
    ck_assert(gst_pad_send_event(tail_sink(tail), gst_event_new_segment(&segment)));
}

static struct tail_counters await_idle(void)
{
    struct tail_counters counters;
    gint64 deadline = g_get_monotonic_time() + 20 * G_TIME_SPAN_SECOND;
    do {
        ck_assert_msg(g_get_monotonic_time() < deadline, "frames are stuck");
        g_thread_yield();
        tail_count(tail, &counters);
    } while (counters.received != counters.analysed + counters.skipped + counters.dropped);
    return counters;
}

static GstPadProbeReturn hold(GstPad *pad, GstPadProbeInfo *info, gpointer user)
{
    (void)pad, (void)info, (void)user;
    return GST_PAD_PROBE_OK; /* a blocking probe: it waits here */
}

/* How often the network's state was reset, as the element counts it. */
static guint64 discontinuities(void)
{
    g_autoptr(GstIterator) elements = gst_bin_iterate_elements(GST_BIN(tail_pipeline(tail)));
    guint64 count = 0;
    GValue item = G_VALUE_INIT;
    while (gst_iterator_next(elements, &item) == GST_ITERATOR_OK) {
        GstStructure *stats = NULL;
        GObject *element = g_value_get_object(&item);
        if (g_object_class_find_property(G_OBJECT_GET_CLASS(element), "overrides"))
            g_object_get(element, "stats", &stats, NULL);
        if (stats) {
            gst_structure_get_uint64(stats, "discontinuities", &count);
            gst_structure_free(stats);
        }
        g_value_reset(&item);
    }
    g_value_unset(&item);
    return count;
}

START_TEST(the_end_of_a_connection_is_not_lost_among_dropped_frames)
{
    begin_stream();
    push(2);
    await_idle();
    guint64 before = discontinuities();
    g_autoptr(GstElement) queue = gst_pad_get_parent_element(tail_sink(tail));
    g_autoptr(GstPad) behind = gst_element_get_static_pad(queue, "src");
    gulong held =
        gst_pad_add_probe(behind, GST_PAD_PROBE_TYPE_BLOCK_DOWNSTREAM, hold, NULL, NULL);
    push(3);
    tail_discontinue(tail, 0);
    push(10); /* together less than a second: no discontinuity by themselves */
    gst_pad_remove_probe(behind, held);
    struct tail_counters counters = await_idle();
    ck_assert_int_ge(counters.dropped, 7);
    ck_assert_int_eq(counters.received, 15);
    ck_assert_uint_eq(discontinuities(), before + 1);
}
END_TEST

/* The model again under another name, sent while frames flow. */
static int change_model(const char *name, const char *key, const char *value)
{
    struct message_stream_start *change = g_new0(struct message_stream_start, 1);
    struct record_error err = {""};
    g_strlcpy(change->model, name, sizeof change->model);
    change->override_count = 1;
    g_strlcpy(change->overrides[0].key, key, sizeof change->overrides[0].key);
    g_strlcpy(change->overrides[0].value, value, sizeof change->overrides[0].value);
    g_autofree char *path =
        g_build_filename(g_getenv("VIGIL_SOURCE_ROOT"), "models", "scene.onnx", NULL);
    char *bytes;
    gsize size;
    ck_assert(g_file_get_contents(path, &bytes, &size, NULL));
    g_autoptr(GBytes) model = g_bytes_new_take(bytes, size);
    int r = tail_change_model(tail, change, model, &err);
    ck_assert_msg((r < 0) == (*err.text != '\0'), "%d: %s", r, err.text);
    g_free(change);
    return r;
}

/* Each once the one before it is dealt with: none is dropped. */
static struct tail_counters push_calmly(int frames)
{
    struct tail_counters counters;
    for (int i = 0; i < frames; i++) {
        push(1);
        counters = await_idle();
    }
    return counters;
}

START_TEST(another_model_takes_over_between_two_frames)
{
    begin_stream();
    struct tail_counters before = push_calmly(30);
    g_autofree char *first = g_strdup(tail_model(tail));
    ck_assert_int_eq(change_model("other", "vigil.fps", "15"), 0);
    ck_assert_int_eq(strncmp(tail_model(tail), "other@", 6), 0);
    ck_assert_str_eq(strchr(tail_model(tail), '@'), strchr(first, '@'));
    struct tail_counters after = push_calmly(30);
    ck_assert_int_eq(before.dropped, 0);
    ck_assert_int_eq(after.dropped, 0);
    ck_assert_int_eq(after.received, 60);
    /* Every frame, not each second one as before. */
    ck_assert_int_lt(before.analysed, 20);
    ck_assert_int_eq(after.analysed - before.analysed, 30);
    ck_assert_int_gt(before.windows, 0);
    ck_assert_int_eq(after.windows - before.windows, 12); /* of 8 frames, each second one */
}
END_TEST

START_TEST(a_model_that_cannot_be_is_refused_and_the_old_one_goes_on)
{
    begin_stream();
    push(16);
    struct tail_counters before = await_idle();
    g_autofree char *first = g_strdup(tail_model(tail));
    ck_assert_int_lt(change_model("other", "vigil.fps", "fast"), 0);
    ck_assert_str_eq(tail_model(tail), first);
    push(16);
    struct tail_counters after = await_idle();
    ck_assert_int_gt(after.analysed, before.analysed);
}
END_TEST

START_TEST(a_change_is_not_lost_among_dropped_frames)
{
    begin_stream();
    push(2);
    await_idle();
    g_autoptr(GstElement) queue = gst_pad_get_parent_element(tail_sink(tail));
    g_autoptr(GstPad) behind = gst_element_get_static_pad(queue, "src");
    gulong held =
        gst_pad_add_probe(behind, GST_PAD_PROBE_TYPE_BLOCK_DOWNSTREAM, hold, NULL, NULL);
    push(3);
    ck_assert_int_eq(change_model("first", "vigil.fps", "1"), 0);
    ck_assert_int_eq(change_model("other", "vigil.fps", "15"), 0);
    push(20);
    gst_pad_remove_probe(behind, held);
    struct tail_counters before = await_idle();
    ck_assert_int_gt(before.dropped, 0);
    ck_assert_int_eq(push_calmly(15).analysed - before.analysed, 15);
}
END_TEST

START_TEST(each_frame_is_accounted_for_and_timed)
{
    begin_stream();
    push(30);
    struct tail_counters counters = await_idle();
    ck_assert_int_eq(counters.received, 30);
    ck_assert_int_eq(histogram_count(&counters.inference), counters.analysed);
    ck_assert_int_eq(histogram_count(&counters.latency), counters.analysed);
    ck_assert_int_gt(counters.analysed, 0);
    ck_assert_double_ge(counters.latency_p99_ms, counters.latency_p50_ms);
    ck_assert_double_gt(counters.cpu_ms, 0);
    ck_assert_int_eq(counters.records_lost, 0);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("tail");
    tcase_set_timeout(all, 60);
    tcase_add_checked_fixture(all, make_tail, free_tail);
    tcase_add_test(all, the_end_of_a_connection_is_not_lost_among_dropped_frames);
    tcase_add_test(all, another_model_takes_over_between_two_frames);
    tcase_add_test(all, a_model_that_cannot_be_is_refused_and_the_old_one_goes_on);
    tcase_add_test(all, a_change_is_not_lost_among_dropped_frames);
    tcase_add_test(all, each_frame_is_accounted_for_and_timed);
    return suite_run("pipeline/tail", &all, 1);
}
