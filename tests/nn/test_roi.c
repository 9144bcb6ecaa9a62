/* RoiAlign and MaxRoiPool against their definitions, one output at a time. */
#include <errno.h>
#include <math.h>

#include "tests/nn/net.h"

enum { BATCH = 2, CHANNELS = 3, HEIGHT = 9, WIDTH = 12, BOXES = 5, SIZE = HEIGHT * WIDTH };

struct align {
    int64_t height, width, ratio; /* of the output */
    float scale;
    bool half, max;
};

static float pixel(const float *x, int64_t h, int64_t w)
{
    return x[(h < HEIGHT ? h : HEIGHT - 1) * WIDTH + (w < WIDTH ? w : WIDTH - 1)];
}

/* Adds a place between four pixels to the sum, and to the maximum of their shares. */
static void sample(const float *x, double h, double w, double *sum, double *max)
{
    bool outside = h < -1 || h > HEIGHT || w < -1 || w > WIDTH;
    h = fmin(fmax(h, 0), HEIGHT - 1);
    w = fmin(fmax(w, 0), WIDTH - 1);
    int64_t top = (int64_t)h, left = (int64_t)w;
    for (int c = 0; c < 4; c++) {
        double share = (c & 2 ? h - (double)top : 1 - (h - (double)top)) *
                       (c & 1 ? w - (double)left : 1 - (w - (double)left));
        double value = outside ? 0 : share * pixel(x, top + c / 2, left + c % 2);
        *sum += value;
        *max = fmax(*max, value);
    }
}

static double aligned(const struct align *a, const float *x, const float *box, int64_t h,
                      int64_t w)
{
    double offset = a->half ? 0.5 : 0, start[2], part[2];
    int64_t grid[2];
    for (int i = 0; i < 2; i++) { /* width, height */
        start[i] = box[i] * a->scale - offset;
        double length = box[2 + i] * a->scale - offset - start[i];
        length = a->half ? length : fmax(length, 1);
        part[i] = length / (double)(i ? a->height : a->width);
        grid[i] = a->ratio > 0 ? a->ratio : (int64_t)ceil(part[i]);
    }
    double sum = 0, max = -INFINITY;
    for (int64_t i = 0; i < grid[1]; i++)
        for (int64_t j = 0; j < grid[0]; j++)
            sample(x, start[1] + ((double)h + ((double)i + 0.5) / (double)grid[1]) * part[1],
                   start[0] + ((double)w + ((double)j + 0.5) / (double)grid[0]) * part[0], &sum,
                   &max);
    if (grid[0] <= 0 || grid[1] <= 0)
        return 0;
    return a->max ? max : sum / (double)(grid[0] * grid[1]);
}

static struct onnx build_align(const struct align *a)
{
    struct onnx o = onnx_start(16);
    onnx_input(&o, "x", 1, DIMS(BATCH, CHANNELS, HEIGHT, WIDTH));
    onnx_input(&o, "b", 1, DIMS(BOXES, 4));
    onnx_input(&o, "i", 7, DIMS(BOXES));
    onnx_node(&o, "RoiAlign", "x b i", "y");
    onnx_attribute_int(&o, "output_height", a->height);
    onnx_attribute_int(&o, "output_width", a->width);
    onnx_attribute_int(&o, "sampling_ratio", a->ratio);
    onnx_attribute_float(&o, "spatial_scale", a->scale);
    onnx_attribute_text(&o, "mode", a->max ? "max" : "avg");
    onnx_attribute_text(&o, "coordinate_transformation_mode",
                        a->half ? "half_pixel" : "output_half_pixel");
    onnx_output(&o, "y", 1, SCALAR);
    return o;
}

START_TEST(random_boxes_are_aligned_as_defined)
{
    uint32_t seed = (uint32_t)_i + 1;
    for (int n = 0; n < 40; n++) {
        struct align a = {
            .height = net_pick(&seed, 1, 7),
            .width = net_pick(&seed, 1, 7),
            .ratio = net_pick(&seed, 0, 4),
            .scale = (float)net_pick(&seed, 1, 8) / 8,
            .half = net_pick(&seed, 0, 1),
            .max = net_pick(&seed, 0, 1),
        };
        struct onnx o = build_align(&a);
        struct net net = net_plan(
            net_load(&o), &(struct nn_plan_options){.kernels = n % 4 == 0 ? NN_KERNELS_REFERENCE
                                                                          : NN_KERNELS_BEST,
                                                    .time_axis = -1});
        net_expect_shape(&net, 0, DIMS(BOXES, CHANNELS, a.height, a.width));
        float *x = nn_session_input(net.session, 0)->data;
        float *boxes = nn_session_input(net.session, 1)->data;
        int64_t *image = nn_session_input(net.session, 2)->data;
        net_fill(x, BATCH * CHANNELS * SIZE, 1);
        for (int i = 0; i < BOXES; i++) {
            image[i] = net_pick(&seed, 0, BATCH - 1);
            for (int k = 0; k < 4; k++) /* inverted ones, too */
                boxes[4 * i + k] = net_random(&seed) * 17 + 11;
        }
        net_run(&net);
        const float *y = net_floats(&net, 0);
        for (int64_t k = 0; k < BOXES * CHANNELS * a.height * a.width; k++) {
            int64_t w = k % a.width, h = k / a.width % a.height;
            int64_t c = k / (a.width * a.height) % CHANNELS,
                    b = k / (a.width * a.height * CHANNELS);
            double want =
                aligned(&a, x + (image[b] * CHANNELS + c) * SIZE, boxes + 4 * b, h, w);
            if (!(fabs(y[k] - want) <= 2e-5))
                ck_abort_msg("[%d]: %.9g, not %.9g", (int)k, y[k], want);
        }
        net_free(&net);
    }
}
END_TEST

/* What a detector of two stages does: the boxes are those that the first stage found. */
START_TEST(how_many_boxes_there_are_may_be_decided_by_each_run)
{
    struct onnx o = onnx_start(16);
    onnx_input(&o, "x", 1, DIMS(BATCH, CHANNELS, HEIGHT, WIDTH));
    onnx_input(&o, "chosen", 1, DIMS(BOXES));
    onnx_floats(&o, "boxes", DIMS(BOXES, 4),
                (float[]){0, 0, 4, 4, 1, 2, 7, 8, 3, 0, 9, 5, 2, 2, 3, 3, 5, 1, 11, 8});
    onnx_ints(&o, "images", DIMS(BOXES), (int64_t[]){0, 1, 0, 1, 1});
    onnx_ints(&o, "zero", DIMS(1), (int64_t[]){0});
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, "NonZero", "chosen", "n");
    onnx_node(&o, "Squeeze", "n zero", "k");
    onnx_node(&o, "Gather", "boxes k", "b");
    onnx_node(&o, "Gather", "images k", "i");
    onnx_node(&o, "RoiAlign", "x b i", "y");
    onnx_attribute_int(&o, "output_height", 2);
    onnx_attribute_int(&o, "output_width", 3);
    struct net net = net_make(&o);
    enum { ROW = CHANNELS * 2 * 3 };
    float whole[BOXES * ROW];
    net_fill(nn_session_input(net.session, 0)->data, BATCH * CHANNELS * SIZE, 1);
    net_set(&net, 1, (float[]){1, 1, 1, 1, 1});
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(BOXES, CHANNELS, 2, 3));
    memcpy(whole, net_floats(&net, 0), sizeof whole);
    net_set(&net, 1, (float[]){0, 1, 0, 0, 1});
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(2, CHANNELS, 2, 3));
    ck_assert_mem_eq(net_floats(&net, 0), whole + ROW, ROW * sizeof *whole);
    ck_assert_mem_eq(net_floats(&net, 0) + ROW, whole + 4 * ROW, ROW * sizeof *whole);
    net_set(&net, 1, (float[]){0, 0, 0, 0, 0});
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(0, CHANNELS, 2, 3));
    net_free(&net);
}
END_TEST

START_TEST(a_box_that_is_none_is_an_error_of_the_run)
{
    static const struct {
        float box[4];
        int64_t image;
        const char *text;
    } cases[] = {
        {{0, 0, 4, 4}, 2, "a box is in image 2 of 2"},
        {{0, 0, 4, 4}, -1, "a box is in image -1 of 2"},
        {{0, 0, NAN, 4}, 0, "a box from 0 to nan is no part of the image"},
        {{0, -INFINITY, 4, 4}, 0, "a box from -inf to 4 is no part of the image"},
        {{0, 0, 4, 1e20f}, 0, "a box from 0 to 1e+20 is no part of the image"},
        {{1e20f, 0, 4, 4}, 0, "a box from 1e+20 to 4 is no part of the image"},
    };
    struct align a = {.height = 2, .width = 2, .scale = 1, .half = true};
    struct onnx o = build_align(&a);
    struct net net = net_make(&o);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float *boxes = nn_session_input(net.session, 1)->data;
        int64_t *image = nn_session_input(net.session, 2)->data;
        memset(boxes, 0, BOXES * 4 * sizeof *boxes);
        memset(image, 0, BOXES * sizeof *image);
        memcpy(boxes + 8, cases[i].box, sizeof cases[i].box);
        image[2] = cases[i].image;
        net_expect_run_fails(&net, cases[i].text);
    }
    net_free(&net);
}
END_TEST

static struct onnx build_pool(struct onnx_dims boxes, int64_t height, int64_t width)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(BATCH, CHANNELS, HEIGHT, WIDTH));
    onnx_input(&o, "b", 1, boxes);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, "MaxRoiPool", "x b", "y");
    onnx_attribute_ints(&o, "pooled_shape", 2, (int64_t[]){height, width});
    onnx_attribute_float(&o, "spatial_scale", 0.5f);
    return o;
}

START_TEST(random_boxes_are_pooled_as_defined)
{
    enum { OUT_H = 3, OUT_W = 2 };
    struct onnx o = build_pool(DIMS(BOXES, 5), OUT_H, OUT_W);
    struct net net = net_make(&o);
    uint32_t seed = 1;
    for (int n = 0; n < 50; n++) {
        float *x = nn_session_input(net.session, 0)->data;
        float *boxes = nn_session_input(net.session, 1)->data;
        net_fill(x, BATCH * CHANNELS * SIZE, 1);
        for (int i = 0; i < 5 * BOXES; i++)
            boxes[i] = (float)net_pick(&seed, i % 5 ? -6 : 0, i % 5 ? 30 : BATCH - 1);
        net_run(&net);
        const float *y = net_floats(&net, 0);
        for (int k = 0; k < BOXES * CHANNELS * OUT_H * OUT_W; k++) {
            const float *box = boxes + k / (CHANNELS * OUT_H * OUT_W) * 5;
            const float *from =
                x + ((int)box[0] * CHANNELS + k / (OUT_H * OUT_W) % CHANNELS) * SIZE;
            double left = round(box[1] * 0.5), top = round(box[2] * 0.5);
            double w = fmax(round(box[3] * 0.5) - left + 1, 1) / OUT_W;
            double h = fmax(round(box[4] * 0.5) - top + 1, 1) / OUT_H;
            float want = -INFINITY;
            for (int i = 0; i < SIZE; i++) {
                double row = i / WIDTH - top, column = i % WIDTH - left;
                int ph = k / OUT_W % OUT_H, pw = k % OUT_W;
                if (row >= floor(ph * h) && row < ceil((ph + 1) * h) &&
                    column >= floor(pw * w) && column < ceil((pw + 1) * w))
                    want = fmaxf(want, from[i]);
            }
            ck_assert_float_eq(y[k], want == -INFINITY ? 0 : want);
        }
    }
    float *boxes = nn_session_input(net.session, 1)->data;
    boxes[0] = 2;
    net_expect_run_fails(&net, "a box is in image 2 of 2");
    boxes[0] = 0;
    boxes[3] = NAN;
    net_expect_run_fails(&net, "a box ends at nan");
    net_free(&net);
}
END_TEST

START_TEST(what_does_not_fit_is_refused_by_name)
{
    struct onnx o = build_pool(DIMS(BOXES, 4), 2, 2);
    net_expect_refused(&o, -EINVAL, "boxes be (boxes, 5)");
    o = build_pool(DIMS(BOXES, 5), 0, 2);
    net_expect_refused(&o, -EINVAL, "pooled_shape must be a height and a width");
    struct align a = {.height = 0, .width = 2, .scale = 1};
    o = build_align(&a);
    net_expect_refused(&o, -EINVAL, "its output is 0×2");
    a.height = 2;
    a.ratio = -1;
    o = build_align(&a);
    net_expect_refused(&o, -EINVAL, "sampling_ratio is -1");
    o = onnx_start(16);
    onnx_input(&o, "x", 1, DIMS(1, 1, 4, 4));
    onnx_input(&o, "b", 1, DIMS(3, 4));
    onnx_input(&o, "i", 7, DIMS(2));
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, "RoiAlign", "x b i", "y");
    net_expect_refused(&o, -EINVAL, "batch_indices must be int64, one for each box");
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("roi");
    tcase_add_loop_test(all, random_boxes_are_aligned_as_defined, 0, 8);
    tcase_add_test(all, how_many_boxes_there_are_may_be_decided_by_each_run);
    tcase_add_test(all, a_box_that_is_none_is_an_error_of_the_run);
    tcase_add_test(all, random_boxes_are_pooled_as_defined);
    tcase_add_test(all, what_does_not_fit_is_refused_by_name);
    return suite_run("nn/roi", &all, 1);
}
