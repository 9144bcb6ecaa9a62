#include "tests/suite.h"

#include <math.h>
#include <string.h>

#include "cli/figurespage.h"
#include "nn/train/random.h"

#define SAMPLES_MAX 20000
#define LABELS_MAX  40

/* What is judged in a test. */
struct judged {
    int labels[SAMPLES_MAX], groups[SAMPLES_MAX];
    float scores[SAMPLES_MAX * 4];
    const char *names[LABELS_MAX];
};

static const struct figures_about about = {.model = "folder/m.onnx",
                                           .model_sha256 = "0123456789abcdef",
                                           .data = "d.recipe",
                                           .data_sha256 = "fedcba9876543210",
                                           .split = "test",
                                           .training_data = "unknown"};

static struct figures measure(const struct judged *judged, int count, int classes, int groups)
{
    const struct figures_input input = {
        .answers = {.count = count,
                    .classes = classes,
                    .labels = judged->labels,
                    .scores = judged->scores},
        .labels = judged->names,
        .groups = judged->groups,
        .group_count = groups,
    };
    struct figures figures;
    struct nn_error err;
    ck_assert_int_eq(figures_init(&figures, &input, &err), 0);
    return figures;
}

/* Of two labels, scores that overlap. */
static void draw(struct judged *judged, int count)
{
    struct train_random random = train_random_start(1);
    judged->names[0] = "no";
    judged->names[1] = "yes";
    for (int i = 0; i < count; i++) {
        judged->labels[i] = i % 2;
        judged->groups[i] = i;
        double score = 0.3 * (i % 2) + 0.7 * train_random_uniform(&random);
        judged->scores[2 * i] = (float)(1 - score);
        judged->scores[2 * i + 1] = (float)score;
    }
}

START_TEST(curves_keep_their_shape_in_few_points)
{
    static struct judged judged;
    draw(&judged, SAMPLES_MAX);
    struct figures figures = measure(&judged, SAMPLES_MAX, 2, SAMPLES_MAX);
    const struct train_curve *curve = &figures.by_class[1].curve;
    const struct train_curve_point *last = &curve->points[curve->count - 1];
    ck_assert_int_gt(curve->count, 500);
    ck_assert_int_lt(curve->count, 4000);
    ck_assert(isinf(curve->points[0].threshold));
    ck_assert_int_eq(last->hits, SAMPLES_MAX / 2);
    ck_assert_int_eq(last->alarms, SAMPLES_MAX / 2);
    ck_assert_double_eq_tol(train_curve_auc(curve), figures.by_class[1].auc, 1e-4);
    for (int at = 0; at < curve->count - 2; at++)
        if (figures_next_point(curve, at, 1e-3) != at + 1)
            ck_abort_msg("point %d is too near to the next", at);
    figures_finish(&figures);
}
END_TEST

START_TEST(mistakes_are_listed_by_how_often_they_are_made)
{
    static struct judged judged = {
        .labels = {0, 0, 0, 1, 1, 1, 2, 2, 2},
        .names = {"a", "b", "c"},
        .scores = {0, 1, 0, 0, 1, 0, 1, 0, 0, /* a: b b a */
                   1, 0, 0, 0, 0, 1, 0, 1, 0, /* b: a c b */
                   1, 0, 0, 1, 0, 0, 1, 0, 0 /* c: a a a */},
    };
    judged.scores[0] = NAN; /* a: none b a */
    struct figures figures = measure(&judged, 9, 3, 1);
    int count;
    g_autofree struct figures_confusion *all = figures_confusions(&figures, 100, &count);
    static const struct figures_confusion expected[] = {
        {2, 0, 3}, {0, 1, 1}, {0, 3, 1}, {1, 0, 1}, {1, 2, 1}};
    ck_assert_int_eq(count, 5);
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(all[i].label, expected[i].label);
        ck_assert_int_eq(all[i].answer, expected[i].answer);
        ck_assert_int_eq(all[i].count, expected[i].count);
    }
    g_autofree struct figures_confusion *few = figures_confusions(&figures, 2, &count);
    ck_assert_int_eq(count, 2);
    ck_assert_int_eq(few[1].answer, 1);
    figures_finish(&figures);
}
END_TEST

START_TEST(what_has_no_meaning_is_null)
{
    static struct judged judged = {.labels = {1, 1, 1},
                                   .names = {"none, \"quoted\"", "all\nlines"},
                                   .scores = {0.2F, 0.8F, 0.6F, 0.4F, 0.1F, 0.9F}};
    struct figures figures = measure(&judged, 3, 2, 1);
    json_t *json = figures_json(&figures, &about);
    json_t *interval = json_object_get(json, "accuracy_interval");
    json_t *class0 = json_array_get(json_object_get(json, "classes"), 0);
    ck_assert(json_is_null(json_object_get(interval, "low")));
    ck_assert(json_is_null(json_object_get(class0, "auc")));
    ck_assert(json_is_null(json_object_get(json_object_get(class0, "best"), "threshold")));
    ck_assert(json_is_null(json_object_get(json, "macro_auc")));
    ck_assert(figures_is_json(json));
    ck_assert(!figures_is_json(class0));
    json_decref(json);
    GString *csv = figures_csv(&figures);
    ck_assert_ptr_nonnull(strstr(csv->str, "\n\"none, \"\"quoted\"\"\",,1,,0,0,0\n"));
    ck_assert_ptr_nonnull(strstr(csv->str, "\n\"all\nlines\",0.4,1,1,,3,0\n"));
    g_string_free(csv, TRUE);
    figures_finish(&figures);
}
END_TEST

START_TEST(a_page_shows_names_and_runs_none)
{
    static struct judged judged = {.labels = {0, 1, 0},
                                   .groups = {0, 1, 0},
                                   .names = {"<script>", "\"'&\x1b[31m"},
                                   .scores = {0.2F, 0.8F, 0.6F, 0.4F, 0.9F, 0.1F}};
    struct figures figures = measure(&judged, 3, 2, 2);
    struct figures_about named = about;
    named.data = "</p><b>";
    GString *page = figurespage_make(&figures, &named);
    ck_assert_ptr_null(strstr(page->str, "<script"));
    ck_assert_ptr_null(strstr(page->str, "<b>\""));
    ck_assert_ptr_null(strchr(page->str, '\x1b'));
    ck_assert_ptr_nonnull(strstr(page->str, "&lt;script&gt;"));
    ck_assert_ptr_nonnull(strstr(page->str, "&lt;/p&gt;&lt;b&gt;"));
    ck_assert_ptr_nonnull(strstr(page->str, "from 2 sources"));
    ck_assert_ptr_null(strstr(page->str, "class=\"note\""));
    named.training_data = "other";
    GString *warned = figurespage_make(&figures, &named);
    ck_assert_ptr_nonnull(strstr(warned->str, "class=\"note\""));
    g_string_free(warned, TRUE);
    g_string_free(page, TRUE);
    figures_finish(&figures);
}
END_TEST

/* 40 labels, of which the first twenty are taken for the next one. */
START_TEST(many_labels_have_their_mistakes_and_worst_curves)
{
    static struct judged judged;
    static char names[LABELS_MAX][16];
    enum { COUNT = 400 };
    for (int c = 0; c < LABELS_MAX; c++) {
        g_snprintf(names[c], sizeof names[c], "label%d", c);
        judged.names[c] = names[c];
    }
    for (int i = 0; i < COUNT; i++) {
        judged.labels[i] = i % LABELS_MAX;
        judged.groups[i] = i;
        int said = i % LABELS_MAX < 20 && i < COUNT / 2 ? i % LABELS_MAX + 1 : i % LABELS_MAX;
        judged.scores[i * LABELS_MAX + said] = 1;
    }
    struct figures figures = measure(&judged, COUNT, LABELS_MAX, COUNT);
    GString *page = figurespage_make(&figures, &about);
    ck_assert_ptr_null(strstr(page->str, "class=\"matrix"));
    ck_assert_ptr_nonnull(strstr(page->str, "Mistaken most often"));
    ck_assert_ptr_nonnull(strstr(page->str, "The 8 of 40 classes"));
    ck_assert_int_eq(figures.top_count, 3);
    g_string_free(page, TRUE);
    figures_finish(&figures);
}
END_TEST

START_TEST(who_has_learned_from_what_is_judged_is_told)
{
    struct figures_about of = about;
    ck_assert_ptr_null(figures_warning(&of));
    of.training_data = "same";
    ck_assert_ptr_null(figures_warning(&of));
    of.learned_from = true;
    ck_assert_ptr_nonnull(figures_warning(&of));
    of.training_data = "unknown";
    ck_assert_ptr_null(figures_warning(&of));
    of.training_data = "other";
    of.learned_from = false;
    ck_assert_ptr_nonnull(figures_warning(&of));
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("figures");
    tcase_add_test(c, curves_keep_their_shape_in_few_points);
    tcase_add_test(c, mistakes_are_listed_by_how_often_they_are_made);
    tcase_add_test(c, what_has_no_meaning_is_null);
    tcase_add_test(c, a_page_shows_names_and_runs_none);
    tcase_add_test(c, many_labels_have_their_mistakes_and_worst_curves);
    tcase_add_test(c, who_has_learned_from_what_is_judged_is_told);
    TCase *cases[] = {c};
    return suite_run("cli/figures", cases, 1);
}
