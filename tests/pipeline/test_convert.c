/* pipeline/convert.c against a plain double-precision reference: one output value at a time,
 * every source sample weighed by its overlap, colours from the textbook's constants. */
#include <math.h>
#include <string.h>

#include "pipeline/convert.h"
#include "tests/suite.h"

static const struct convert_region whole = {0, 0, 1, 1};

static uint32_t random_state = 1;

static uint8_t random_byte(void)
{
    random_state = random_state * 1664525 + 1013904223;
    return random_state >> 24;
}

/* A frame of noise with rows `padding` bytes longer than they need be. */
static GstBuffer *noise_new(GstVideoInfo *info, GstVideoFormat format, int width, int height,
                            const char *colorimetry, int padding)
{
    ck_assert(gst_video_info_set_format(info, format, width, height));
    if (colorimetry)
        ck_assert(gst_video_colorimetry_from_string(&info->colorimetry, colorimetry));
    gsize offset[GST_VIDEO_MAX_PLANES] = {0};
    gint stride[GST_VIDEO_MAX_PLANES] = {0};
    gsize size = 0;
    for (guint p = 0; p < GST_VIDEO_INFO_N_PLANES(info); p++) {
        offset[p] = size;
        stride[p] = GST_VIDEO_INFO_PLANE_STRIDE(info, p) + padding;
        size += (gsize)stride[p] * GST_VIDEO_INFO_COMP_HEIGHT(info, p);
    }
    GstBuffer *buffer = gst_buffer_new_allocate(NULL, size, NULL);
    GstMapInfo map;
    ck_assert(gst_buffer_map(buffer, &map, GST_MAP_WRITE));
    for (gsize i = 0; i < map.size; i++)
        map.data[i] = random_byte();
    gst_buffer_unmap(buffer, &map);
    gst_buffer_add_video_meta_full(buffer, GST_VIDEO_FRAME_FLAG_NONE, format, width, height,
                                   GST_VIDEO_INFO_N_PLANES(info), offset, stride);
    return buffer;
}

/* The weight of sample s of an axis of `size` samples, for target i of `count` over
 * [from, to). */
static double reference_weight(int s, int size, double from, double to, int i, int count)
{
    double step = (to - from) / count;
    if (step > 1) {
        double low = from + i * step, high = low + step;
        return fmax(0, fmin(high, s + 1) - fmax(low, s)) / step;
    }
    double centre = from + (i + 0.5) * step - 0.5;
    double lowest = floor(from), highest = fmin(ceil(to), size) - 1;
    double at = fmin(fmax(centre, lowest), highest);
    return fmax(0, 1 - fabs(at - s));
}

static double reference_sample(const GstVideoFrame *frame, int component, const double box[4],
                               int x, int y, int width, int height)
{
    int columns = GST_VIDEO_FRAME_COMP_WIDTH(frame, component);
    int rows = GST_VIDEO_FRAME_COMP_HEIGHT(frame, component);
    const uint8_t *data = GST_VIDEO_FRAME_COMP_DATA(frame, component);
    int stride = GST_VIDEO_FRAME_COMP_STRIDE(frame, component);
    int pixel = GST_VIDEO_FRAME_COMP_PSTRIDE(frame, component);
    double half = component > 0 && GST_VIDEO_FORMAT_INFO_IS_YUV(frame->info.finfo) ? 0.5 : 1;
    double total = 0, weights = 0;
    for (int r = 0; r < rows; r++) {
        double v = reference_weight(r, rows, box[1] * half, box[3] * half, y, height);
        for (int c = 0; v > 0 && c < columns; c++) {
            double w = v * reference_weight(c, columns, box[0] * half, box[2] * half, x, width);
            total += w * data[r * stride + c * pixel];
            weights += w;
        }
    }
    return total / weights;
}

static double clip(double value)
{
    return fmin(fmax(value, 0), 255);
}

/* kr, kb and range of the colorimetry under test. */
struct colours {
    const char *name;
    double kr, kb;
    bool full;
};

static const struct colours bt601 = {"bt601", 0.299, 0.114, false};
static const struct colours bt709 = {"bt709", 0.2126, 0.0722, false};
static const struct colours unknown = {"2:0:0:0", 0.299, 0.114, false}; /* taken for BT.601 */
static const struct colours full601 = {"1:4:5:1", 0.299, 0.114, true};

static void reference_pixel(const GstVideoFrame *frame, const struct colours *colours,
                            const double box[4], int x, int y, int width, int height,
                            double rgb[3])
{
    double s[3];
    for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS(frame); c++)
        s[c] = reference_sample(frame, c, box, x, y, width, height);
    switch (GST_VIDEO_FRAME_FORMAT(frame)) {
    case GST_VIDEO_FORMAT_GRAY8:
        rgb[0] = rgb[1] = rgb[2] = s[0];
        return;
    case GST_VIDEO_FORMAT_RGB:
        memcpy(rgb, s, sizeof s);
        return;
    default: {
        double luma = colours->full ? s[0] : (s[0] - 16) * 255 / 219;
        double blue = (s[1] - 128) * (colours->full ? 1 : 255.0 / 224);
        double red = (s[2] - 128) * (colours->full ? 1 : 255.0 / 224);
        double kg = 1 - colours->kr - colours->kb;
        rgb[0] = clip(luma + 2 * (1 - colours->kr) * red);
        rgb[2] = clip(luma + 2 * (1 - colours->kb) * blue);
        rgb[1] = clip(luma - 2 * (1 - colours->kr) * colours->kr / kg * red -
                      2 * (1 - colours->kb) * colours->kb / kg * blue);
    }
    }
}

static double reference_gray(const GstVideoFrame *frame, const double box[4], int x, int y,
                             int width, int height)
{
    double first = reference_sample(frame, 0, box, x, y, width, height);
    if (GST_VIDEO_FRAME_FORMAT(frame) != GST_VIDEO_FORMAT_RGB)
        return first;
    return 0.299 * first + 0.587 * reference_sample(frame, 1, box, x, y, width, height) +
           0.114 * reference_sample(frame, 2, box, x, y, width, height);
}

struct check {
    GstVideoFormat format;
    int width, height;
    const struct colours *colours;
    struct convert_region region;
    struct convert_target target;
    double box[4]; /* pixels of the frame the picture should show: x0, y0, x1, y1 */
    int inner[4];  /* where in the target: x, y, width, height */
};

static void compare(const struct check *check)
{
    GstVideoInfo info;
    GstBuffer *buffer = noise_new(&info, check->format, check->width, check->height,
                                  check->colours ? check->colours->name : NULL, 5);
    GstVideoFrame frame;
    ck_assert(gst_video_frame_map(&frame, &info, buffer, GST_MAP_READ));
    struct convert *convert;
    const struct convert_target *target = &check->target;
    ck_assert_int_eq(convert_create(&info, &check->region, target, &convert), 0);
    int channels = target->pixels == MODELINFO_GRAY ? 1 : 3;
    size_t count = (size_t)channels * target->width * target->height;
    float *out = g_new(float, count + 1);
    memset(out, 0x7f, (count + 1) * sizeof *out);
    float guard = out[count];
    convert_frame(convert, &frame, out);
    ck_assert_mem_eq(&out[count], &guard, sizeof guard);
    const int *inner = check->inner;
    for (int y = 0; y < target->height; y++)
        for (int x = 0; x < target->width; x++) {
            int ix = x - inner[0], iy = y - inner[1];
            bool inside = ix >= 0 && iy >= 0 && ix < inner[2] && iy < inner[3];
            double rgb[3] = {0};
            if (inside && target->pixels == MODELINFO_GRAY)
                rgb[0] = reference_gray(&frame, check->box, ix, iy, inner[2], inner[3]);
            else if (inside)
                reference_pixel(&frame, check->colours, check->box, ix, iy, inner[2], inner[3],
                                rgb);
            for (int c = 0; c < channels; c++) {
                double value = rgb[target->pixels == MODELINFO_BGR ? 2 - c : c];
                double expected = inside ? (value - target->mean[c]) * target->scale[c] : 0;
                float got = target->interleaved
                                ? out[(y * target->width + x) * channels + c]
                                : out[(c * target->height + y) * target->width + x];
                ck_assert_msg(fabs(got - expected) <= 2e-4 * fabs(target->scale[c]),
                              "%dx%d -> %dx%d, x %d y %d channel %d: %g, not %g", check->width,
                              check->height, target->width, target->height, x, y, c, got,
                              expected);
            }
        }
    g_free(out);
    convert_destroy(convert);
    gst_video_frame_unmap(&frame);
    gst_buffer_unref(buffer);
}

static struct check check_whole(GstVideoFormat format, int width, int height, int to_width,
                                int to_height, enum modelinfo_pixels pixels)
{
    return (struct check){
        .format = format,
        .width = width,
        .height = height,
        .colours =
            format == GST_VIDEO_FORMAT_NV12 || format == GST_VIDEO_FORMAT_I420 ? &bt601 : NULL,
        .region = whole,
        .target = {.width = to_width,
                   .height = to_height,
                   .pixels = pixels,
                   .mean = {123.7f, 116.3f, 103.5f},
                   .scale = {0.0171f, 0.0175f, 0.0174f}},
        .box = {0, 0, width, height},
        .inner = {0, 0, to_width, to_height},
    };
}

static const GstVideoFormat formats[] = {GST_VIDEO_FORMAT_NV12, GST_VIDEO_FORMAT_I420,
                                         GST_VIDEO_FORMAT_RGB, GST_VIDEO_FORMAT_GRAY8};

START_TEST(every_format_at_odd_sizes_equals_the_reference)
{
    static const int sizes[][4] = {
        {37, 23, 11, 7},  /* smaller both ways */
        {37, 23, 53, 41}, /* larger both ways */
        {37, 23, 9, 61},  /* smaller one way, larger the other */
        {37, 23, 37, 23}, /* the same size */
        {64, 48, 16, 12}, /* whole factors: no fraction of a pixel */
        {1, 1, 5, 3},     {5, 3, 1, 1}, {101, 2, 7, 2},
    };
    const int *size = sizes[_i];
    for (size_t f = 0; f < G_N_ELEMENTS(formats); f++)
        for (int pixels = MODELINFO_RGB; pixels <= MODELINFO_GRAY; pixels++)
            for (int interleaved = 0; interleaved < 2; interleaved++) {
                struct check check =
                    check_whole(formats[f], size[0], size[1], size[2], size[3], pixels);
                check.target.interleaved = interleaved;
                compare(&check);
            }
}
END_TEST

START_TEST(colorimetry_of_the_frame_decides_the_colours)
{
    static const struct colours *const all[] = {&bt601, &bt709, &full601, &unknown};
    for (int f = 0; f < 2; f++) {
        struct check check = check_whole(formats[f], 21, 15, 8, 6, MODELINFO_RGB);
        check.colours = all[_i];
        compare(&check);
    }
}
END_TEST

START_TEST(gray_from_yuv_is_the_luma_as_stored_whatever_the_range)
{
    struct check check = check_whole(GST_VIDEO_FORMAT_NV12, 21, 15, 21, 15, MODELINFO_GRAY);
    check.colours = &full601;
    compare(&check);
    check.colours = &bt709;
    compare(&check);
}
END_TEST

START_TEST(a_region_is_cut_at_fractions_of_a_pixel)
{
    for (size_t f = 0; f < G_N_ELEMENTS(formats); f++) {
        struct check check = check_whole(formats[f], 37, 23, 10, 6, MODELINFO_RGB);
        check.region = (struct convert_region){0.13, 0.31, 0.5, 0.6};
        double box[4] = {0.13 * 37, 0.31 * 23, 0.63 * 37, 0.91 * 23};
        memcpy(check.box, box, sizeof box);
        compare(&check);
        check.target.width = check.inner[2] = 40;
        check.target.height = check.inner[3] = 33;
        compare(&check);
    }
}
END_TEST

START_TEST(letterbox_keeps_the_shape_and_pads_with_the_mean)
{
    struct check check = check_whole(GST_VIDEO_FORMAT_NV12, 64, 36, 32, 32, MODELINFO_RGB);
    check.target.resize = MODELINFO_LETTERBOX;
    int wide[4] = {0, 7, 32, 18};
    memcpy(check.inner, wide, sizeof wide);
    compare(&check);

    check = check_whole(GST_VIDEO_FORMAT_RGB, 36, 64, 32, 32, MODELINFO_BGR);
    check.target.resize = MODELINFO_LETTERBOX;
    check.target.interleaved = true;
    int tall[4] = {7, 0, 18, 32};
    memcpy(check.inner, tall, sizeof tall);
    compare(&check);
}
END_TEST

START_TEST(crop_shows_the_middle)
{
    struct check check = check_whole(GST_VIDEO_FORMAT_I420, 64, 36, 12, 12, MODELINFO_RGB);
    check.target.resize = MODELINFO_CROP;
    double box[4] = {14, 0, 50, 36};
    memcpy(check.box, box, sizeof box);
    compare(&check);
}
END_TEST

START_TEST(letterbox_counts_in_the_shape_of_the_pixels)
{
    GstVideoInfo info;
    GstBuffer *buffer = noise_new(&info, GST_VIDEO_FORMAT_GRAY8, 20, 20, NULL, 0);
    info.par_n = 2;
    struct convert_target target = {.width = 20,
                                    .height = 20,
                                    .pixels = MODELINFO_GRAY,
                                    .resize = MODELINFO_LETTERBOX,
                                    .mean = {300},
                                    .scale = {1}};
    struct convert *convert;
    ck_assert_int_eq(convert_create(&info, &whole, &target, &convert), 0);
    GstVideoFrame frame;
    ck_assert(gst_video_frame_map(&frame, &info, buffer, GST_MAP_READ));
    float out[400];
    convert_frame(convert, &frame, out);
    for (int i = 0; i < 400; i++)
        ck_assert(i / 20 < 5 || i / 20 >= 15 ? out[i] == 0 : out[i] < 0);
    gst_video_frame_unmap(&frame);
    convert_destroy(convert);
    gst_buffer_unref(buffer);
}
END_TEST

START_TEST(what_it_cannot_do_is_refused)
{
    GstVideoInfo info;
    struct convert_target target = {
        .width = 4, .height = 4, .pixels = MODELINFO_GRAY, .scale = {1}};
    struct convert *convert = NULL;
    gst_video_info_set_format(&info, GST_VIDEO_FORMAT_YUY2, 8, 8);
    ck_assert_int_eq(convert_create(&info, &whole, &target, &convert), -ENOTSUP);
    gst_video_info_set_format(&info, GST_VIDEO_FORMAT_GRAY8, 8, 8);
    static const struct convert_region bad[] = {
        {-0.1, 0, 1, 1}, {0, 0, 0, 1}, {0.5, 0, 0.6, 1}, {0, 0, 1, NAN}, {NAN, 0, 1, 1}};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
        ck_assert_int_eq(convert_create(&info, &bad[i], &target, &convert), -EINVAL);
    target.width = MODELINFO_SIDE_MAX + 1;
    ck_assert_int_eq(convert_create(&info, &whole, &target, &convert), -EINVAL);
    ck_assert_ptr_null(convert);
}
END_TEST

int main(void)
{
    gst_init(NULL, NULL);
    TCase *all = tcase_create("convert");
    tcase_add_loop_test(all, every_format_at_odd_sizes_equals_the_reference, 0, 8);
    tcase_add_loop_test(all, colorimetry_of_the_frame_decides_the_colours, 0, 4);
    tcase_add_test(all, gray_from_yuv_is_the_luma_as_stored_whatever_the_range);
    tcase_add_test(all, a_region_is_cut_at_fractions_of_a_pixel);
    tcase_add_test(all, letterbox_keeps_the_shape_and_pads_with_the_mean);
    tcase_add_test(all, crop_shows_the_middle);
    tcase_add_test(all, letterbox_counts_in_the_shape_of_the_pixels);
    tcase_add_test(all, what_it_cannot_do_is_refused);
    tcase_set_timeout(all, 60);
    return suite_run("pipeline/convert", &all, 1);
}
