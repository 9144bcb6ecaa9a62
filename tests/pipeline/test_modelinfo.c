/* pipeline/modelinfo.c and what it reads with (modelkeys.c, modelfile.c), on real models. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "nn/session.h"
#include "pipeline/modelfile.h"
#include "pipeline/modelinfo.h"
#include "tests/pipeline/testmodel.h"
#include "tests/suite.h"

#define TEXT_16 "abcdefghijklmnop"
#define TEXT_48 TEXT_16 TEXT_16 TEXT_16
#define TEXT_65 TEXT_48 TEXT_16 "q"

static struct nn_model *load(const struct testmodel *what)
{
    GBytes *bytes = testmodel_build(what);
    struct nn_model *model;
    struct nn_error err = {""};
    int r = nn_model_load(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes), &model, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    g_bytes_unref(bytes);
    return model;
}

/* overrides: key, value, ..., NULL */
static GHashTable *overrides_of(const char *const *pairs)
{
    GHashTable *overrides = modelkeys_overrides_new();
    for (int i = 0; pairs[i]; i += 2)
        modelkeys_overrides_add(overrides, pairs[i], pairs[i + 1]);
    return overrides;
}

static struct modelinfo *read_with(const struct testmodel *what, const char *const *pairs)
{
    static const char *const none[] = {NULL};
    struct nn_model *model = load(what);
    GHashTable *overrides = overrides_of(pairs ? pairs : none);
    struct modelinfo *info;
    struct nn_error err = {""};
    int r = modelinfo_create(model, overrides, &info, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    g_hash_table_unref(overrides);
    nn_model_unref(model);
    return info;
}

static bool assumed(const struct modelinfo *info, const char *line)
{
    return g_strv_contains((const char *const *)info->assumed, line);
}

#define BARE                                                                                   \
    {                                                                                          \
        .rank = 5, .dims = { 1, 4, 1, 6, 8 }                                                   \
    }

START_TEST(a_model_that_says_nothing_gets_defaults_and_they_are_listed)
{
    static const struct testmodel bare = BARE;
    struct modelinfo *info = read_with(&bare, NULL);
    ck_assert_int_eq(info->task, MODELINFO_CLASSIFY_WINDOW);
    ck_assert_int_eq(info->time_axis, 1);
    ck_assert_int_eq(info->window, 4);
    ck_assert_int_eq(info->channels, 1);
    ck_assert_int_eq(info->height, 6);
    ck_assert_int_eq(info->width, 8);
    ck_assert(!info->interleaved);
    ck_assert_int_eq(info->pixels, MODELINFO_GRAY);
    ck_assert_float_eq(info->mean[0], 0);
    ck_assert_float_eq(info->scale[0], 1.0f / 255);
    ck_assert_int_eq(info->resize, MODELINFO_STRETCH);
    ck_assert_double_eq(info->fps, 0);
    ck_assert_int_eq(info->stride, 2);
    ck_assert_int_eq(info->label_count, 2);
    ck_assert_str_eq(info->labels[1].name, "class_1");
    ck_assert_double_eq(info->labels[1].enter, 0.6);
    ck_assert_double_eq_tol(info->labels[1].exit, 0.4, 1e-12);
    ck_assert_int_eq(info->labels[1].cooldown_ns, 1000000000);
    ck_assert_int_eq(info->labels[1].kind, RECORD_ACTIVITY);
    ck_assert(!info->labels[0].background);
    ck_assert(assumed(info, "vigil.layout: NTCHW, from the input's shape"));
    ck_assert(assumed(info, "vigil.labels: class_0 to class_1"));
    ck_assert(assumed(info, "vigil.fps: every frame"));
    ck_assert(assumed(info, "vigil.scale: 1/255"));
    modelinfo_destroy(info);
}
END_TEST

START_TEST(labels_are_counted_in_outputs_of_any_rank)
{
    static const struct testmodel wide = {
        .rank = 4, .dims = {-1, 1, 6, 8}, .scores = 5, .wide_output = TRUE};
    struct modelinfo *info = read_with(&wide, NULL);
    ck_assert_int_eq(info->label_count, 5);
    struct nn_model *model = load(&wide);
    struct nn_plan *plan;
    struct nn_error err = {""};
    int r = modelinfo_plan(info, model, NN_KERNELS_BEST, &plan, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    nn_plan_unref(plan);
    nn_model_unref(model);
    modelinfo_destroy(info);
}
END_TEST

START_TEST(every_key_is_read)
{
    static const struct testmodel full = {.rank = 5,
                                          .dims = {-1, -1, -1, -1, 3},
                                          .scores = 4,
                                          .open_output = TRUE,
                                          .metadata = {"vigil.task",
                                                       "classify-window",
                                                       "vigil.layout",
                                                       "NTHWC",
                                                       "vigil.window",
                                                       "16",
                                                       "vigil.size",
                                                       "32x24",
                                                       "vigil.labels",
                                                       "quiet, a fight ,covered,Tür",
                                                       "vigil.pixels",
                                                       "BGR",
                                                       "vigil.mean",
                                                       "1,2,3",
                                                       "vigil.scale",
                                                       "0.5",
                                                       "vigil.resize",
                                                       "crop",
                                                       "vigil.fps",
                                                       "7.5",
                                                       "vigil.stride",
                                                       "4",
                                                       "vigil.head",
                                                       "softmax",
                                                       "vigil.enter",
                                                       "covered:0.9,0.7",
                                                       "vigil.exit",
                                                       "0.5,covered: 0.8",
                                                       "vigil.min_duration_ms",
                                                       "500",
                                                       "vigil.cooldown_ms",
                                                       "0,a fight:2500",
                                                       "vigil.kind",
                                                       "Tür:object",
                                                       NULL}};
    struct modelinfo *info = read_with(&full, NULL);
    static const int64_t dims[] = {1, 16, 24, 32, 3};
    ck_assert_int_eq(info->input.rank, 5);
    for (int i = 0; i < 5; i++)
        ck_assert_int_eq(info->input.dim[i], dims[i]);
    ck_assert(info->interleaved);
    ck_assert_int_eq(info->pixels, MODELINFO_BGR);
    ck_assert_float_eq(info->mean[2], 3);
    ck_assert_float_eq(info->scale[2], 0.5f);
    ck_assert_int_eq(info->resize, MODELINFO_CROP);
    ck_assert_double_eq(info->fps, 7.5);
    ck_assert_int_eq(info->stride, 4);
    ck_assert_int_eq(info->head, MODELINFO_SOFTMAX);
    const struct modelinfo_label *labels = info->labels;
    ck_assert(labels[0].background);
    ck_assert_str_eq(labels[1].name, "a fight");
    ck_assert_double_eq(labels[1].enter, 0.7);
    ck_assert_double_eq(labels[1].exit, 0.5);
    ck_assert_int_eq(labels[1].cooldown_ns, INT64_C(2500000000));
    ck_assert_int_eq(labels[1].min_duration_ns, 500000000);
    ck_assert_double_eq(labels[2].enter, 0.9);
    ck_assert_double_eq(labels[2].exit, 0.8);
    ck_assert_int_eq(labels[2].cooldown_ns, 0);
    ck_assert_int_eq(labels[2].kind, RECORD_STREAM);
    ck_assert_str_eq(labels[3].name, "Tür");
    ck_assert_int_eq(labels[3].kind, RECORD_OBJECT);
    ck_assert_ptr_null(info->assumed[0]);
    modelinfo_destroy(info);
}
END_TEST

START_TEST(a_picture_classifier_is_known_by_its_rank)
{
    static const struct testmodel picture = {.rank = 4, .dims = {1, 3, 6, 8}};
    struct modelinfo *info = read_with(&picture, NULL);
    ck_assert_int_eq(info->task, MODELINFO_CLASSIFY_FRAME);
    ck_assert_int_eq(info->time_axis, -1);
    ck_assert_int_eq(info->window, 1);
    ck_assert_int_eq(info->stride, 1);
    ck_assert_int_eq(info->pixels, MODELINFO_RGB);
    modelinfo_destroy(info);
}
END_TEST

START_TEST(a_label_may_hold_a_colon_and_64_bytes)
{
    static const struct testmodel bare = BARE;
    static const char *const pairs[] = {"labels", "at:gate," TEXT_48 TEXT_16, "enter",
                                        "at:gate:0.75", NULL};
    struct modelinfo *info = read_with(&bare, pairs);
    ck_assert_double_eq(info->labels[0].enter, 0.75);
    ck_assert_double_eq(info->labels[1].enter, 0.6);
    ck_assert_str_eq(info->labels[1].name, TEXT_48 TEXT_16);
    modelinfo_destroy(info);
}
END_TEST

START_TEST(overrides_replace_the_models_own_with_or_without_the_prefix)
{
    static const struct testmodel own = {.rank = 5,
                                         .dims = {1, 4, 1, 6, 8},
                                         .metadata = {"vigil.labels", "dark,bright",
                                                      "vigil.fps", "5", "vigil.exit", "0.5",
                                                      NULL}};
    static const char *const pairs[] = {
        "labels", "quiet,bright", "vigil.fps", "9", "enter", "0.3", "vigil.background",
        "",       "vigil.fps",    "7",         NULL};
    struct modelinfo *info = read_with(&own, pairs);
    ck_assert_str_eq(info->labels[0].name, "quiet");
    ck_assert_double_eq(info->fps, 9);                         /* the first to be added stays */
    ck_assert_double_eq_tol(info->labels[0].exit, 0.2, 1e-12); /* 0.5 would be above enter */
    ck_assert(!info->labels[0].background);
    modelinfo_destroy(info);
}
END_TEST

/* Each row: what is wrong, and a part of the line that says so. */
static const struct refusal {
    struct testmodel model;
    const char *overrides[3];
    int code;
    const char *line;
} refusals[] = {
    {BARE, {"vigil.task", "detect"}, -ENOTSUP, "vigil.task \"detect\" is not supported"},
    {BARE, {"vigil.task", "guess"}, -EINVAL, "vigil.task \"guess\": should be one of"},
    {BARE, {"vigil.task", "classify-frame"}, -ENOTSUP, "takes an input of rank 4"},
    {BARE,
     {"vigil.layout", "NCHW"},
     -EINVAL,
     "vigil.layout \"NCHW\": should be NTCHW or NTHWC"},
    {BARE, {"vigil.layout", "NTHWC"}, -ENOTSUP, "channel axis holds 8 values"},
    {BARE, {"vigil.window", "5"}, -EINVAL, "vigil.window 5: the model's window is 4"},
    {BARE, {"vigil.window", "4.5"}, -EINVAL, "vigil.window \"4.5\": should be a whole number"},
    {BARE, {"vigil.size", "9x6"}, -EINVAL, "vigil.size 9: the model's width is 8"},
    {BARE, {"vigil.size", "9"}, -EINVAL, "vigil.size \"9\": should be WIDTHxHEIGHT"},
    {BARE, {"vigil.size", "0x6"}, -EINVAL, "vigil.size \"0x6\": should be WIDTHxHEIGHT"},
    {BARE, {"vigil.labels", ""}, -EINVAL, "vigil.labels \"\""},
    {BARE, {"vigil.labels", "a,,b"}, -EINVAL, "a label is 1 to 64 bytes"},
    {BARE, {"vigil.labels", "a,b\nc"}, -EINVAL, "vigil.labels \"b?c\""},
    {BARE, {"vigil.labels", "a,\xff"}, -EINVAL, "printable UTF-8"},
    {BARE,
     {"vigil.labels", "a,b,a"},
     -EINVAL,
     "vigil.labels \"a\": a label stands there twice"},
    {BARE, {"vigil.pixels", "RGB"}, -EINVAL, "vigil.pixels \"RGB\": the model has 1 channels"},
    {BARE, {"vigil.pixels", "rgb"}, -EINVAL, "should be one of RGB, BGR, GRAY"},
    {BARE,
     {"vigil.mean", "1,2"},
     -EINVAL,
     "vigil.mean \"1,2\": should be one number, or one per"},
    {BARE, {"vigil.mean", "300"}, -EINVAL, "vigil.mean \"300\""},
    {BARE, {"vigil.scale", "nan"}, -EINVAL, "vigil.scale \"nan\""},
    {BARE, {"vigil.scale", "1/255"}, -EINVAL, "vigil.scale \"1/255\""},
    {BARE, {"vigil.resize", "zoom"}, -EINVAL, "should be one of stretch, letterbox, crop"},
    {BARE, {"vigil.fps", "-1"}, -EINVAL, "vigil.fps \"-1\": should be a number, 0 to 240"},
    {BARE, {"vigil.fps", ""}, -EINVAL, "vigil.fps \"\""},
    {BARE, {"vigil.fps", "8 per second"}, -EINVAL, "vigil.fps \"8 per second\""},
    {BARE, {"vigil.stride", "0"}, -EINVAL, "vigil.stride \"0\""},
    {BARE, {"vigil.precision", "half"}, -EINVAL, "vigil.precision \"half\""},
    {BARE, {"vigil.threads", "0"}, -EINVAL, "vigil.threads \"0\""},
    {BARE, {"vigil.threads", "65"}, -EINVAL, "should be a whole number, 1 to 64"},
    {BARE, {"vigil.head", "yolo"}, -EINVAL, "should be one of scores, softmax, sigmoid"},
    {BARE,
     {"vigil.enter", "1.5"},
     -EINVAL,
     "vigil.enter \"1.5\": should be above 0, at most 1"},
    {BARE, {"vigil.enter", "0.5,"}, -EINVAL, "vigil.enter \"\""},
    {BARE, {"vigil.enter", "cat:0.5"}, -EINVAL, "vigil.enter \"cat\": is no label"},
    {BARE,
     {"vigil.exit", "0.9"},
     -EINVAL,
     "vigil.exit 0.9 is above vigil.enter 0.6 (label class_0)"},
    {BARE, {"vigil.min_duration_ms", "-5"}, -EINVAL, "vigil.min_duration_ms \"-5\""},
    {BARE, {"vigil.cooldown_ms", "1e9"}, -EINVAL, "vigil.cooldown_ms \"1e9\""},
    {BARE, {"vigil.kind", "drama"}, -EINVAL, "vigil.kind \"drama\": should be activity,"},
    {BARE, {"vigil.background", "calm"}, -EINVAL, "vigil.background \"calm\": is no label"},
    {BARE, {"vigil.threshold", "0.5"}, -EINVAL, "vigil.threshold is no key"},
    {BARE, {"vigil.fps", "241"}, -EINVAL, "vigil.fps \"241\": should be a number, 0 to 240"},
    {BARE, {"vigil.size", "8.5x6"}, -EINVAL, "vigil.size \"8.5x6\""},
    {BARE, {"vigil.labels", TEXT_65}, -EINVAL, "a label is 1 to 64 bytes"},
    {BARE, {"vigil.resize", TEXT_65}, -EINVAL, "\"" TEXT_48 "\": should be one of"},
    {{.rank = 5, .dims = {1, 4, 1, 6, 8}, .second_input = TRUE},
     {NULL},
     -ENOTSUP,
     "the model has 2 inputs and 1 outputs"},
    {{.rank = 5, .dims = {1, 4, 1, 6, 8}, .type = 7},
     {NULL},
     -ENOTSUP,
     "the model's input is int64: float32 is supported"},
    {{.rank = 5, .dims = {2, 4, 1, 6, 8}}, {NULL}, -ENOTSUP, "batch is fixed to 2"},
    {{.rank = 5, .dims = {1, -1, 1, 6, 8}},
     {NULL},
     -EINVAL,
     "leaves its window open: set vigil.window"},
    {{.rank = 5, .dims = {1, 4, 1, 6, -1}},
     {NULL},
     -EINVAL,
     "leaves its width open: set vigil.size"},
    {{.rank = 5, .dims = {1, 4, 1, 6, 3}}, {NULL}, -EINVAL, "fits both NTCHW and NTHWC"},
    {{.rank = 5, .dims = {1, 4, 2, 6, 8}},
     {NULL},
     -EINVAL,
     "no axis of the input holds 1 or 3"},
    {{.rank = 5, .dims = {1, 2000, 1, 6, 8}},
     {NULL},
     -ENOTSUP,
     "a window of 2000 is not in 1 to 1024"},
    {{.rank = 5, .dims = {1, 4, 1, 6, 5000}}, {NULL}, -ENOTSUP, "a width of 5000"},
    {{.rank = 5, .dims = {1, 4, 1, 6, 8}, .open_output = TRUE},
     {NULL},
     -EINVAL,
     "set vigil.labels"},
};

START_TEST(what_does_not_fit_is_refused_in_one_line_with_key_and_value)
{
    const struct refusal *refusal = &refusals[_i];
    struct nn_model *model = load(&refusal->model);
    GHashTable *overrides = overrides_of(refusal->overrides);
    struct modelinfo *info = NULL;
    struct nn_error err = {""};
    ck_assert_int_eq(modelinfo_create(model, overrides, &info, &err), refusal->code);
    ck_assert_ptr_null(info);
    ck_assert_msg(strstr(err.text, refusal->line), "\"%s\" has no \"%s\"", err.text,
                  refusal->line);
    ck_assert_ptr_null(strchr(err.text, '\n'));
    ck_assert_int_eq(modelinfo_create(model, overrides, &info, NULL), refusal->code);
    g_hash_table_unref(overrides);
    nn_model_unref(model);
}
END_TEST

/* Whatever a modelinfo says, these hold. */
static void check_invariants(const struct modelinfo *info)
{
    ck_assert_int_eq(nn_shape_count(&info->input), 4 * 6 * 8);
    ck_assert(info->fps >= 0 && info->fps <= 240);
    ck_assert(info->stride >= 1 && info->stride <= MODELINFO_WINDOW_MAX);
    ck_assert(info->label_count >= 1 && info->label_count <= MODELINFO_LABELS_MAX);
    ck_assert(isfinite(info->mean[0]) && isfinite(info->scale[0]));
    for (int i = 0; i < info->label_count; i++) {
        const struct modelinfo_label *label = &info->labels[i];
        ck_assert_uint_gt(strlen(label->name), 0);
        ck_assert(g_utf8_validate(label->name, -1, NULL));
        ck_assert(label->exit > 0 && label->exit <= label->enter && label->enter <= 1);
        ck_assert(label->min_duration_ns >= 0 && label->cooldown_ns >= 0);
        ck_assert(label->kind >= 0 && label->kind < RECORD_KIND_COUNT);
    }
}

START_TEST(any_text_is_read_or_refused_in_one_printable_line)
{
    static const char *const keys[] = {
        "task",      "layout", "window",      "size", "labels",          "pixels",
        "mean",      "scale",  "resize",      "fps",  "stride",          "head",
        "enter",     "exit",   "cooldown_ms", "kind", "min_duration_ms", "background",
        "precision", "threads"};
    static const char *const parts[] = {
        "0",      "1",    ".5",   "4",        "8",     "6",       "-",
        "e9",     "nan",  "inf",  ",",        ",",     ":",       "x",
        " ",      "\n",   "\xff", "\xc3\xa4", "%s",    "class_0", "class_1",
        "stream", "crop", "GRAY", "softmax",  TEXT_48, "\x7f",    "\""};
    static const struct testmodel bare = BARE;
    struct nn_model *model = load(&bare);
    guint32 state = 1;
    int read = 0;
    for (int round = 0; round < 2000; round++) {
        GHashTable *overrides = modelkeys_overrides_new();
        for (int k = 0; k <= round % 3; k++) {
            GString *value = g_string_new(NULL);
            state = state * 1664525 + 1013904223;
            const char *key = keys[(state >> 16) % G_N_ELEMENTS(keys)];
            for (int count = (int)(state >> 28) % 7; count > 0; count--) {
                state = state * 1664525 + 1013904223;
                g_string_append(value, parts[(state >> 16) % G_N_ELEMENTS(parts)]);
            }
            modelkeys_overrides_add(overrides, key, value->str);
            g_string_free(value, TRUE);
        }
        struct modelinfo *info;
        struct nn_error err = {""};
        if (modelinfo_create(model, overrides, &info, &err) == 0) {
            read++;
            check_invariants(info);
            modelinfo_destroy(info);
        } else {
            ck_assert_uint_gt(strlen(err.text), 0);
            for (const char *c = err.text; *c; c++)
                ck_assert_msg(g_ascii_isprint(*c), "%s", err.text);
        }
        g_hash_table_unref(overrides);
    }
    /* Neither all nor nothing: the texts are near enough to what is right. */
    ck_assert_int_gt(read, 50);
    ck_assert_int_lt(read, 1950);
    nn_model_unref(model);
}
END_TEST

START_TEST(labels_are_held_against_the_scores_of_the_plan)
{
    static const struct testmodel bare = BARE;
    static const char *const pairs[] = {"labels", "one,two,three", NULL};
    struct modelinfo *info = read_with(&bare, pairs);
    struct nn_model *model = load(&bare);
    struct nn_plan *plan = NULL;
    struct nn_error err = {""};
    ck_assert_int_eq(modelinfo_plan(info, model, NN_KERNELS_BEST, &plan, &err), -EINVAL);
    ck_assert_ptr_null(plan);
    ck_assert_str_eq(err.text,
                     "vigil.labels: 3 labels, but the model gives 2 scores at a time");
    modelinfo_destroy(info);
    info = read_with(&bare, NULL);
    ck_assert_int_eq(modelinfo_plan(info, model, NN_KERNELS_BEST, &plan, &err), 0);
    struct nn_plan_info about;
    nn_plan_describe(plan, &about);
    ck_assert_int_eq(about.window, 4);
    ck_assert_int_eq(about.frame_elements, 48);
    nn_plan_unref(plan);
    nn_model_unref(model);
    modelinfo_destroy(info);
}
END_TEST

START_TEST(heads_turn_outputs_into_scores)
{
    float values[] = {-1, 3, 100}, scores[3];
    struct nn_tensor output = {.type = NN_TYPE_FLOAT, .data = values};
    struct modelinfo info = {.label_count = 3, .head = MODELINFO_SCORES};
    modelinfo_scores(&info, &output, scores);
    ck_assert_mem_eq(scores, values, sizeof values);
    info.head = MODELINFO_SIGMOID;
    modelinfo_scores(&info, &output, scores);
    ck_assert_float_eq_tol(scores[0], 0.26894142f, 1e-6f);
    ck_assert_float_eq_tol(scores[2], 1, 1e-6f);
    info.head = MODELINFO_SOFTMAX;
    values[2] = 2;
    modelinfo_scores(&info, &output, scores);
    ck_assert_float_eq_tol(scores[0], 0.01321289f, 1e-6f);
    ck_assert_float_eq_tol(scores[1], 0.72139918f, 1e-6f);
    ck_assert_float_eq_tol(scores[0] + scores[1] + scores[2], 1, 1e-6f);
    values[1] = values[2] = 1e4f;
    modelinfo_scores(&info, &output, scores);
    ck_assert_float_eq(scores[0], 0);
    ck_assert_float_eq(scores[2], 0.5f);
}
END_TEST

static char *sidecar_dir(void)
{
    char *dir = g_dir_make_tmp("vigil-modelinfo-XXXXXX", NULL);
    ck_assert_ptr_nonnull(dir);
    return dir;
}

START_TEST(a_sidecar_adds_to_the_overrides)
{
    g_autofree char *dir = sidecar_dir();
    g_autofree char *model = g_build_filename(dir, "m.onnx", NULL);
    g_autofree char *sidecar = g_strconcat(model, ".modelinfo", NULL);
    static const char *const pairs[] = {"fps", "3", NULL};
    GHashTable *overrides = overrides_of(pairs);
    struct nn_error err = {""};
    ck_assert_int_eq(modelfile_read_sidecar(model, overrides, &err), 0);
    ck_assert(g_file_set_contents(sidecar, "[vigil]\nfps=8\nvigil.labels=a, b\n", -1, NULL));
    ck_assert_int_eq(modelfile_read_sidecar(model, overrides, &err), 0);
    ck_assert_str_eq(g_hash_table_lookup(overrides, "vigil.fps"), "3");
    ck_assert_str_eq(g_hash_table_lookup(overrides, "vigil.labels"), "a, b");
    static const char *const bad[] = {"fps=8\n", "[other]\nfps=8\n", "[vigil]\nfps 8\n",
                                      "[vigil]\nlabels=\xff\xfe\n", "[vigil]\nlables=a\n"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        err.text[0] = 0;
        ck_assert(g_file_set_contents(sidecar, bad[i], -1, NULL));
        ck_assert_int_eq(modelfile_read_sidecar(model, overrides, &err), -EINVAL);
        ck_assert_msg(strstr(err.text, "m.onnx.modelinfo: "), "%s", err.text);
    }
    ck_assert_msg(
        strstr(err.text, "vigil.lables is no key of a model; did you mean vigil.labels?"), "%s",
        err.text);
    g_autofree char *large = g_strnfill(70000, '#');
    ck_assert(g_file_set_contents(sidecar, large, -1, NULL));
    ck_assert_int_eq(modelfile_read_sidecar(model, overrides, &err), -EFBIG);
    g_hash_table_unref(overrides);
    g_unlink(sidecar);
    g_rmdir(dir);
}
END_TEST

START_TEST(only_regular_files_are_read_as_models)
{
    g_autofree char *dir = sidecar_dir();
    g_autofree char *pipe = g_build_filename(dir, "pipe.onnx", NULL);
    ck_assert_int_eq(mkfifo(pipe, 0600), 0);
    GBytes *bytes = NULL;
    struct nn_error err = {""};
    ck_assert_int_eq(modelfile_read(pipe, &bytes, &err), -EMEDIUMTYPE);
    ck_assert_msg(strstr(err.text, "pipe.onnx: it is not a file"), "%s", err.text);
    ck_assert_int_eq(modelfile_read(dir, &bytes, &err), -EISDIR);
    ck_assert_int_eq(modelfile_read("/dev/zero", &bytes, &err), -EMEDIUMTYPE);
    g_unlink(pipe);
    ck_assert_int_eq(modelfile_read(pipe, &bytes, &err), -ENOENT);
    ck_assert_msg(strstr(err.text, "pipe.onnx: No such file"), "%s", err.text);
    ck_assert_ptr_null(bytes);
    ck_assert(g_file_set_contents(pipe, "ONNX", 4, NULL));
    ck_assert_int_eq(modelfile_read(pipe, &bytes, &err), 0);
    ck_assert_int_eq(g_bytes_get_size(bytes), 4);
    g_bytes_unref(bytes);
    g_unlink(pipe);
    g_rmdir(dir);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("modelinfo");
    tcase_add_test(all, a_model_that_says_nothing_gets_defaults_and_they_are_listed);
    tcase_add_test(all, labels_are_counted_in_outputs_of_any_rank);
    tcase_add_test(all, every_key_is_read);
    tcase_add_test(all, a_picture_classifier_is_known_by_its_rank);
    tcase_add_test(all, a_label_may_hold_a_colon_and_64_bytes);
    tcase_add_test(all, overrides_replace_the_models_own_with_or_without_the_prefix);
    tcase_add_loop_test(all, what_does_not_fit_is_refused_in_one_line_with_key_and_value, 0,
                        (int)G_N_ELEMENTS(refusals));
    tcase_add_test(all, any_text_is_read_or_refused_in_one_printable_line);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, labels_are_held_against_the_scores_of_the_plan);
    tcase_add_test(all, heads_turn_outputs_into_scores);
    tcase_add_test(all, a_sidecar_adds_to_the_overrides);
    tcase_add_test(all, only_regular_files_are_read_as_models);
    return suite_run("pipeline/modelinfo", &all, 1);
}
