/* NonMaxSuppression against its definition: again and again the best box left, and all that it
 * overlaps too much are out. */
#include <errno.h>
#include <math.h>

#include "tests/nn/net.h"

enum { BATCH = 2, CLASSES = 3, COUNT = 40 };

struct suppression {
    bool by_center;
    int64_t most;
    float iou, score;
    int inputs; /* how many of the five are given */
};

static struct net make(const struct suppression *s, enum nn_kernel_choice kernels)
{
    static const char *const inputs[] = {"b s", "b s most", "b s most iou",
                                         "b s most iou score"};
    struct onnx o = onnx_start(11);
    onnx_input(&o, "b", 1, DIMS(BATCH, COUNT, 4));
    onnx_input(&o, "s", 1, DIMS(BATCH, CLASSES, COUNT));
    onnx_ints(&o, "most", DIMS(1), &s->most);
    onnx_floats(&o, "iou", SCALAR, &s->iou);
    onnx_floats(&o, "score", DIMS(1), &s->score);
    onnx_node(&o, "NonMaxSuppression", inputs[s->inputs - 2], "y");
    if (s->by_center)
        onnx_attribute_int(&o, "center_point_box", 1);
    onnx_output(&o, "y", 7, SCALAR);
    return net_plan(net_load(&o),
                    &(struct nn_plan_options){.kernels = kernels, .time_axis = -1});
}

/* low x, low y, high x, high y */
static void corners(const float *box, bool by_center, float *c)
{
    for (int i = 0; i < 2; i++) {
        float a = by_center ? box[i] - box[i + 2] / 2 : fminf(box[1 - i], box[3 - i]);
        float b = by_center ? box[i] + box[i + 2] / 2 : fmaxf(box[1 - i], box[3 - i]);
        c[i] = a;
        c[i + 2] = b;
    }
}

static double iou(const float *a, const float *b, bool by_center)
{
    float p[4], q[4];
    corners(a, by_center, p);
    corners(b, by_center, q);
    double w = fmin(p[2], q[2]) - fmax(p[0], q[0]), h = fmin(p[3], q[3]) - fmax(p[1], q[1]);
    double shared = w > 0 && h > 0 ? w * h : 0;
    double both = (double)(p[2] - p[0]) * (p[3] - p[1]) + (double)(q[2] - q[0]) * (q[3] - q[1]);
    return shared / (both - shared);
}

static int expect(const struct suppression *s, const float *boxes, const float *scores,
                  int64_t *out)
{
    int total = 0;
    for (int64_t c = 0; c < BATCH * CLASSES; c++) {
        const float *own = boxes + c / CLASSES * COUNT * 4;
        bool out_of_it[COUNT];
        for (int i = 0; i < COUNT; i++)
            out_of_it[i] = s->inputs > 4 && !(scores[c * COUNT + i] > s->score);
        for (int64_t kept = 0; s->inputs > 2 && kept < s->most; kept++) {
            int best = -1;
            for (int i = 0; i < COUNT; i++)
                if (!out_of_it[i] &&
                    (best < 0 || scores[c * COUNT + i] > scores[c * COUNT + best]))
                    best = i;
            if (best < 0)
                break;
            for (int i = 0; i < COUNT; i++)
                out_of_it[i] |= iou(own + 4 * best, own + 4 * i, s->by_center) >
                                (s->inputs > 3 ? s->iou : 0);
            out_of_it[best] = true;
            out[3 * total] = c / CLASSES;
            out[3 * total + 1] = c % CLASSES;
            out[3 * total++ + 2] = best;
        }
    }
    return total;
}

START_TEST(random_boxes_are_suppressed_as_defined_in_run_after_run)
{
    uint32_t seed = (uint32_t)_i + 1;
    int smallest = BATCH * CLASSES * COUNT, largest = 0;
    for (int n = 0; n < 20; n++) {
        struct suppression s = {
            .by_center = net_pick(&seed, 0, 1),
            .most = net_pick(&seed, -1, 50),
            .iou = (float)net_pick(&seed, 0, 90) / 97,
            .score = (float)net_pick(&seed, -100, 100) / 100,
            .inputs = (int)net_pick(&seed, 2, 5),
        };
        struct net net = make(&s, n % 4 ? NN_KERNELS_BEST : NN_KERNELS_REFERENCE);
        for (int run = 0; run < 3; run++) {
            float boxes[BATCH * COUNT * 4], scores[BATCH * CLASSES * COUNT];
            for (int i = 0; i < BATCH * COUNT * 4; i++)
                boxes[i] = (float)net_pick(&seed, i % 4 < 2 ? 0 : 1, 30);
            for (int i = 0; i < BATCH * CLASSES * COUNT; i++)
                scores[i] = (float)net_pick(&seed, -20, 20) / 20; /* many are equal */
            int64_t want[3 * BATCH * CLASSES * COUNT];
            int count = expect(&s, boxes, scores, want);
            net_set(&net, 0, boxes);
            net_set(&net, 1, scores);
            net_run(&net);
            net_expect_shape(&net, 0, DIMS(count, 3));
            ck_assert_mem_eq(nn_session_output(net.session, 0)->data, want,
                             (size_t)count * 3 * sizeof *want);
            smallest = count < smallest ? count : smallest;
            largest = count > largest ? count : largest;
        }
        net_free(&net);
    }
    ck_assert_int_lt(smallest, 10);
    ck_assert_int_gt(largest, 50);
}
END_TEST

START_TEST(boxes_and_scores_that_are_no_numbers_do_no_harm)
{
    struct suppression s = {.most = 100, .iou = 0.5f, .score = -2, .inputs = 5};
    struct net net = make(&s, NN_KERNELS_BEST);
    static const float odd[] = {NAN, INFINITY, -INFINITY, 0, -1e30f, 1e30f, 1};
    uint32_t seed = 1;
    for (int run = 0; run < 50; run++) {
        float boxes[BATCH * COUNT * 4], scores[BATCH * CLASSES * COUNT];
        for (int i = 0; i < BATCH * COUNT * 4; i++)
            boxes[i] = odd[net_pick(&seed, 0, 6)];
        for (int i = 0; i < BATCH * CLASSES * COUNT; i++)
            scores[i] = odd[net_pick(&seed, 0, 6)];
        net_set(&net, 0, boxes);
        net_set(&net, 1, scores);
        net_run(&net);
        const struct nn_tensor *y = nn_session_output(net.session, 0);
        for (int64_t i = 0; i < y->shape.dim[0]; i++) {
            const int64_t *row = (const int64_t *)y->data + 3 * i;
            float score = scores[(row[0] * CLASSES + row[1]) * COUNT + row[2]];
            ck_assert(score > s.score);
        }
    }
    net_free(&net);
}
END_TEST

START_TEST(what_does_not_fit_is_refused_by_name)
{
    static const struct {
        struct onnx_dims boxes, scores, most;
        const char *text;
    } cases[] = {
        {{3, {1, 6, 4}}, {3, {1, 1, 5}}, {0}, "boxes must be (batch, boxes, 4)"},
        {{3, {1, 6, 5}}, {3, {1, 1, 6}}, {0}, "boxes must be (batch, boxes, 4)"},
        {{3, {2, 6, 4}}, {3, {1, 1, 6}}, {0}, "boxes must be (batch, boxes, 4)"},
        {{2, {6, 4}}, {3, {1, 1, 6}}, {0}, "boxes must be (batch, boxes, 4)"},
        {{3, {1, 6, 4}},
         {3, {1, 1, 6}},
         {1, {2}},
         "max_output_boxes_per_class is not a single"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct onnx o = onnx_start(11);
        onnx_input(&o, "b", 1, cases[i].boxes);
        onnx_input(&o, "s", 1, cases[i].scores);
        onnx_input(&o, "most", 7, cases[i].most);
        onnx_output(&o, "y", 7, SCALAR);
        onnx_node(&o, "NonMaxSuppression", "b s most", "y");
        net_expect_refused(&o, -EINVAL, cases[i].text);
    }
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("nms");
    tcase_add_loop_test(all, random_boxes_are_suppressed_as_defined_in_run_after_run, 0, 8);
    tcase_add_test(all, boxes_and_scores_that_are_no_numbers_do_no_harm);
    tcase_add_test(all, what_does_not_fit_is_refused_by_name);
    return suite_run("nn/nms", &all, 1);
}
