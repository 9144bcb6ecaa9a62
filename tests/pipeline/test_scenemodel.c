/* models/scene.onnx: what it promises in its metadata, and what it does, through vigilanalyze,
 * to scenes whose seeds were in none of its data (tests/tools/train_scene.py). */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "nn/session.h"
#include "pipeline/modelinfo.h"
#include "pipeline/plugin.h"
#include "pipeline/scene/scenemeta.h"
#include "pipeline/vigilmessage.h"
#include "tests/suite.h"

#define FPS    8
#define FRAMES (60 * FPS)

static gchar *model_path(void)
{
    return g_build_filename(g_getenv("VIGIL_SOURCE_ROOT"), "models", "scene.onnx", NULL);
}

static struct nn_model *model_load(gsize *ret_size)
{
    g_autofree gchar *path = model_path(), *data = NULL;
    ck_assert(g_file_get_contents(path, &data, ret_size, NULL));
    struct nn_model *model = NULL;
    struct nn_error err = {{0}};
    ck_assert_msg(nn_model_load(data, *ret_size, &model, &err) == 0, "%s", err.text);
    return model;
}

START_TEST(the_metadata_says_how_to_feed_and_read_it)
{
    gsize size;
    struct nn_model *model = model_load(&size);
    ck_assert_uint_le(size, 2 * 1000 * 1000);
    struct modelinfo *info;
    struct nn_error err = {{0}};
    ck_assert_msg(modelinfo_create(model, NULL, &info, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(g_strv_length(info->assumed), 0);
    ck_assert_int_eq(info->task, MODELINFO_CLASSIFY_WINDOW);
    ck_assert_int_eq(info->pixels, MODELINFO_GRAY);
    ck_assert_int_eq(info->resize, MODELINFO_STRETCH);
    ck_assert_double_le(info->window / info->fps, 1.0);
    ck_assert_int_eq(info->label_count, SCENE_LABELS);
    for (int i = 0; i < SCENE_LABELS; i++) {
        bool fault = i >= SCENE_LABEL_COVERED;
        ck_assert_str_eq(info->labels[i].name, scene_label_name((enum scene_label)i));
        ck_assert_int_eq(info->labels[i].background, i == SCENE_LABEL_QUIET);
        ck_assert_int_eq(info->labels[i].kind, fault ? RECORD_STREAM : RECORD_ACTIVITY);
    }
    json_t *metrics = json_loads(nn_model_metadata(model, "vigil.metrics"), 0, NULL);
    ck_assert_double_gt(json_number_value(json_object_get(metrics, "accuracy")), 0.9);
    json_decref(metrics);
    ck_assert_uint_eq(strlen(nn_model_metadata(model, "vigil.data_sha256")), 64);
    modelinfo_destroy(info);
    nn_model_unref(model);
}
END_TEST

START_TEST(frame_by_frame_it_says_what_it_says_of_the_whole_window)
{
    gsize size;
    struct nn_model *model = model_load(&size);
    struct nn_plan *plan;
    struct nn_session *whole, *stream;
    struct nn_error err = {{0}};
    struct nn_plan_options options = {.time_axis = 1};
    ck_assert_msg(nn_plan_create(model, &options, &plan, &err) == 0, "%s", err.text);
    struct nn_plan_info about;
    nn_plan_describe(plan, &about);
    ck_assert_int_gt(about.frame_nodes, 0); /* the CNN runs once per frame */
    ck_assert_int_eq(nn_session_create(plan, &whole, &err), 0);
    ck_assert_int_eq(nn_session_create(plan, &stream, &err), 0);

    GRand *rand = g_rand_new_with_seed(7);
    float *window = nn_session_input(whole, 0)->data;
    size_t frame = about.frame_elements, count = frame * (size_t)about.window;
    float *film = g_new(float, frame * 20);
    for (size_t i = 0; i < frame * 20; i++)
        film[i] = (float)g_rand_double_range(rand, -1.5, 1.5);
    for (size_t n = 0; n < 20; n++) {
        memcpy(nn_session_frame_buffer(stream), film + n * frame, frame * sizeof(float));
        ck_assert_int_eq(nn_session_push_frame(stream, &err), 0);
        if (n + 1 < (size_t)about.window)
            continue;
        ck_assert_int_eq(nn_session_run_window(stream, &err), 0);
        memcpy(window, film + (n + 1) * frame - count, count * sizeof(float));
        ck_assert_int_eq(nn_session_run(whole, &err), 0);
        const float *a = nn_session_output(whole, 0)->data,
                    *b = nn_session_output(stream, 0)->data;
        for (int i = 0; i < SCENE_LABELS; i++)
            ck_assert_float_eq_tol(a[i], b[i], 1e-5f);
    }
    g_free(film);
    g_rand_free(rand);
    nn_session_destroy(whole);
    nn_session_destroy(stream);
    nn_plan_unref(plan);
    nn_model_unref(model);
}
END_TEST

struct watch {
    struct scene_truth truth[FRAMES];
    guint frames;
};

static GstPadProbeReturn note_truth(GstPad *pad, GstPadProbeInfo *probe, gpointer data)
{
    (void)pad;
    struct watch *watch = data;
    ck_assert_uint_lt(watch->frames, FRAMES);
    watch->truth[watch->frames++] = scene_meta_get(GST_PAD_PROBE_INFO_BUFFER(probe))->truth;
    return GST_PAD_PROBE_OK;
}

/* The label of frames first..last where they agree on exactly one and nothing is doubtful: no
 * insect, and whoever moves is large enough to be seen at the model's 128 by 72. */
static int truth_of(const struct watch *watch, guint first, guint last)
{
    for (guint n = first; n <= last; n++) {
        const struct scene_truth *truth = &watch->truth[n];
        float moving = 0.0f;
        for (size_t i = 0; i < truth->object_count; i++)
            moving +=
                truth->objects[i].moving ? truth->objects[i].w * truth->objects[i].h : 0.0f;
        if (truth->labels != watch->truth[first].labels || truth->insect ||
            __builtin_popcount(truth->labels) != 1 || (moving > 0.0f && moving < 0.003f))
            return -1;
    }
    return __builtin_ctz(watch->truth[first].labels);
}

static int winner_of(const struct vigilmessage_window *window)
{
    int best = 0;
    for (int i = 1; i < window->score_count; i++)
        best = window->scores[i] > window->scores[best] ? i : best;
    return best;
}

/* One minute of a seed; counts[truth][said] grows. */
static void judge_scene(guint seed, const gchar *kind, int counts[SCENE_LABELS][SCENE_LABELS])
{
    struct watch watch = {.frames = 0};
    g_autofree gchar *path = model_path();
    g_autofree gchar *launch =
        g_strdup_printf("vigilscenesrc name=src seed=%u scene=%s num-buffers=%d ! "
                        "video/x-raw,format=NV12,width=384,height=216,framerate=%d/1 ! "
                        "vigilanalyze model=%s post-windows=true ! fakesink sync=false",
                        seed, kind, FRAMES, FPS, path);
    GstElement *pipeline = gst_parse_launch(launch, NULL);
    ck_assert_ptr_nonnull(pipeline);
    g_autoptr(GstElement) src = gst_bin_get_by_name(GST_BIN(pipeline), "src");
    g_autoptr(GstPad) pad = gst_element_get_static_pad(src, "src");
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, note_truth, &watch, NULL);
    g_autoptr(GstBus) bus = gst_element_get_bus(pipeline);
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    for (bool ended = false; !ended;) {
        g_autoptr(GstMessage) message = gst_bus_timed_pop_filtered(
            bus, 60 * GST_SECOND, GST_MESSAGE_ELEMENT | GST_MESSAGE_EOS | GST_MESSAGE_ERROR);
        ck_assert_ptr_nonnull(message);
        ck_assert_int_ne(GST_MESSAGE_TYPE(message), GST_MESSAGE_ERROR);
        ended = GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS;
        struct vigilmessage_window window;
        if (!vigilmessage_window_parse(message, &window))
            continue;
        guint first = (guint)(window.first_pts * FPS / GST_SECOND);
        guint last = (guint)(window.last_pts * FPS / GST_SECOND);
        int truth = truth_of(&watch, first, last);
        if (truth >= 0)
            counts[truth][winner_of(&window)]++;
    }
    gst_element_set_state(pipeline, GST_STATE_NULL);
    gst_object_unref(pipeline);
}

START_TEST(scenes_never_seen_are_told_apart)
{
    gst_init(NULL, NULL);
    ck_assert(vigil_plugin_register_static());
    int counts[SCENE_LABELS][SCENE_LABELS] = {{0}};
    for (guint seed = 95000; seed < 95012; seed++)
        judge_scene(seed, seed & 1 ? "room" : "street", counts);
    int right = 0, all = 0;
    for (int truth = 0; truth < SCENE_LABELS; truth++) {
        int windows = 0;
        for (int said = 0; said < SCENE_LABELS; said++)
            windows += counts[truth][said];
        right += counts[truth][truth];
        all += windows;
        ck_assert_msg(windows >= 10, "%s: %d windows are too few to judge",
                      scene_label_name((enum scene_label)truth), windows);
        ck_assert_msg(counts[truth][truth] >= windows * 7 / 10, "%s: %d of %d windows",
                      scene_label_name((enum scene_label)truth), counts[truth][truth], windows);
    }
    ck_assert_msg(right >= all * 94 / 100, "%d of %d windows", right, all);
}
END_TEST

int main(void)
{
    TCase *model = tcase_create("model");
    tcase_set_timeout(model, 240);
    tcase_add_test(model, the_metadata_says_how_to_feed_and_read_it);
    tcase_add_test(model, frame_by_frame_it_says_what_it_says_of_the_whole_window);
    tcase_add_test(model, scenes_never_seen_are_told_apart);

    TCase *cases[] = {model};
    return suite_run("pipeline/scenemodel", cases, 1);
}
