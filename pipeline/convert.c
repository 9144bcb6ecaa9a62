#include "pipeline/convert.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Tables and rows are padded to whole vectors, so that the inner loops have no tails. */
#define LANES 4
typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4)));

#define MAX_SIDE 16384

/* One axis of one plane: each target sample is a weighted sum of `taps` source samples, those
 * from first[i] on. Weights beyond the samples an average needs are 0. */
struct axis {
    int count; /* target samples */
    int begin; /* source samples used: begin .. begin + extent */
    int extent;
    int taps;      /* a multiple of LANES */
    int *first;    /* (count), counted from begin */
    int *used;     /* (count) samples that weigh something */
    float *weight; /* (count, taps) */
};

/* Resamples the components of one plane. */
struct plane {
    int index;      /* in the frame */
    int components; /* interleaved samples per pixel: 1, 2 or 3 */
    struct axis x, y;
};

struct convert {
    struct convert_target target;
    int channels;
    int inner_x, inner_y, inner_width, inner_height; /* where the picture lies in the target */
    int plane_count;
    struct plane planes[3];
    int component_count; /* of all planes: Y; Y, U, V; R, G, B */
    /* channel = sum of matrix x components + offset, in pixel values */
    bool direct; /* one component, taken as it is */
    float matrix[3][3];
    float offset[3];
    float *sum;    /* one row of a plane after the vertical pass, components interleaved */
    float *split;  /* one component of it */
    float *row[3]; /* (inner_width) per component */
};

/* The part [from, to) of the axis, sampled `count` times. */
static int axis_init(struct axis *axis, double from, double to, int size, int count)
{
    double step = (to - from) / count;
    int begin = CLAMP((int)floor(from), 0, size - 1);
    int end = CLAMP((int)ceil(to), begin + 1, size);
    int taps = step > 1 ? (int)ceil(step) + 1 : 2;
    axis->count = count;
    axis->begin = begin;
    axis->extent = end - begin;
    axis->taps = (taps + LANES - 1) / LANES * LANES;
    axis->first = g_try_new0(int, count);
    axis->used = g_try_new0(int, count);
    axis->weight = g_try_malloc0_n((gsize)count * axis->taps, sizeof(float));
    if (!axis->first || !axis->used || !axis->weight)
        return -ENOMEM;
    for (int i = 0; i < count; i++) {
        float *weight = axis->weight + (gsize)i * axis->taps;
        if (step > 1) {
            double low = from + i * step, high = from + (i + 1) * step;
            int first = CLAMP((int)floor(low), begin, end - 1);
            int last = CLAMP((int)ceil(high) - 1, first, end - 1);
            for (int s = first; s <= last; s++)
                weight[s - first] = (float)(MAX(0, MIN(high, s + 1) - MAX(low, s)) / step);
            axis->first[i] = first - begin;
            axis->used[i] = last - first + 1;
        } else {
            double centre = from + (i + 0.5) * step - 0.5;
            int low = (int)floor(centre);
            double share = centre - low;
            int first = CLAMP(low, begin, end - 1), last = CLAMP(low + 1, begin, end - 1);
            weight[0] = (float)(last > first ? 1 - share : 1);
            weight[1] = (float)(last > first ? share : 0);
            axis->first[i] = first - begin;
            axis->used[i] = last > first && share > 0 ? 2 : 1;
        }
    }
    return 0;
}

static void axis_finish(struct axis *axis)
{
    g_free(axis->first);
    g_free(axis->used);
    g_free(axis->weight);
}

/* sum (n) = weighted sum of rows of bytes. Four rows at a time: the running sums then pass
 * through memory a quarter as often. */
static void sum_rows(float *restrict sum, const uint8_t *rows, gsize stride,
                     const float *weight, int count, int n)
{
    int done = 0;
    for (; count - done >= 4; done += 4, rows += 4 * stride) {
        const uint8_t *restrict a = rows, *restrict b = a + stride, *restrict c = b + stride,
                                *restrict d = c + stride;
        float wa = weight[done], wb = weight[done + 1], wc = weight[done + 2],
              wd = weight[done + 3];
        if (done == 0)
            for (int i = 0; i < n; i++)
                sum[i] = (wa * a[i] + wb * b[i]) + (wc * c[i] + wd * d[i]);
        else
            for (int i = 0; i < n; i++)
                sum[i] += (wa * a[i] + wb * b[i]) + (wc * c[i] + wd * d[i]);
    }
    for (; done < count; done++, rows += stride) {
        const uint8_t *restrict a = rows;
        float wa = weight[done];
        if (done == 0)
            for (int i = 0; i < n; i++)
                sum[i] = wa * a[i];
        else
            for (int i = 0; i < n; i++)
                sum[i] += wa * a[i];
    }
}

/* out (axis->count) from one row of samples that is readable `taps` beyond its end. */
static void sum_columns(const struct axis *axis, const float *row, float *restrict out)
{
    const float *weight = axis->weight;
    for (int i = 0; i < axis->count; i++, weight += axis->taps) {
        const float *from = row + axis->first[i];
        lanes total = {0};
        for (int t = 0; t < axis->used[i]; t += LANES)
            total += *(const lanes *)(from + t) * *(const lanes *)(weight + t);
        out[i] = (total[0] + total[1]) + (total[2] + total[3]);
    }
}

/* Row `y` of a plane's components into rows[0..components). */
static void resample_row(struct convert *convert, const struct plane *plane,
                         const GstVideoFrame *frame, int y, float *const *rows)
{
    const struct axis *vertical = &plane->y;
    gsize stride = GST_VIDEO_FRAME_PLANE_STRIDE(frame, plane->index);
    const uint8_t *pixels = (const uint8_t *)GST_VIDEO_FRAME_PLANE_DATA(frame, plane->index) +
                            (gsize)(vertical->begin + vertical->first[y]) * stride +
                            (gsize)plane->x.begin * plane->components;
    int components = plane->components, extent = plane->x.extent;
    sum_rows(convert->sum, pixels, stride, vertical->weight + (gsize)y * vertical->taps,
             vertical->used[y], extent * components);
    if (components == 1) {
        sum_columns(&plane->x, convert->sum, rows[0]);
        return;
    }
    for (int c = 0; c < components; c++) {
        for (int i = 0; i < extent; i++)
            convert->split[i] = convert->sum[i * components + c];
        sum_columns(&plane->x, convert->split, rows[c]);
    }
}

/* One channel of a row: colour, clipping, normalisation. step: floats from pixel to pixel. */
static void write_channel(const struct convert *convert, int channel, float *out, int step)
{
    const float *restrict a = convert->row[0];
    float mean = convert->target.mean[channel], scale = convert->target.scale[channel];
    int n = convert->inner_width;
    if (convert->direct) {
        for (int i = 0; i < n; i++)
            out[i * step] = (a[i] - mean) * scale;
        return;
    }
    const float *restrict b = convert->row[1], *restrict c = convert->row[2];
    const float *m = convert->matrix[channel];
    float ma = m[0], mb = m[1], mc = m[2], offset = convert->offset[channel];
    for (int i = 0; i < n; i++) {
        float value = ma * a[i] + mb * b[i] + mc * c[i] + offset;
        value = value < 0 ? 0 : value > 255 ? 255 : value;
        out[i * step] = (value - mean) * scale;
    }
}

void convert_frame(struct convert *convert, const GstVideoFrame *frame, float *out)
{
    const struct convert_target *target = &convert->target;
    gsize picture = (gsize)target->width * target->height;
    if (convert->inner_width != target->width || convert->inner_height != target->height)
        memset(out, 0, picture * convert->channels * sizeof *out);
    int step = target->interleaved ? convert->channels : 1;
    gsize channel_offset = target->interleaved ? 1 : picture;
    for (int y = 0; y < convert->inner_height; y++) {
        int component = 0;
        for (int p = 0; p < convert->plane_count; p++) {
            resample_row(convert, &convert->planes[p], frame, y, &convert->row[component]);
            component += convert->planes[p].components;
        }
        gsize at = (gsize)(convert->inner_y + y) * target->width + convert->inner_x;
        for (int c = 0; c < convert->channels; c++)
            write_channel(convert, c, out + at * step + c * channel_offset, step);
    }
}

/* Y'CbCr as stored -> R'G'B' in 0..255. */
static void set_yuv_matrix(struct convert *convert, const GstVideoInfo *source)
{
    double kr, kb;
    if (!gst_video_color_matrix_get_Kr_Kb(source->colorimetry.matrix, &kr, &kb)) {
        kr = 0.299;
        kb = 0.114;
    }
    double kg = 1 - kr - kb;
    int offset[GST_VIDEO_MAX_COMPONENTS], range[GST_VIDEO_MAX_COMPONENTS];
    gst_video_color_range_offsets(source->colorimetry.range, source->finfo, offset, range);
    double y = 255.0 / range[0], u = 255.0 / range[1], v = 255.0 / range[2];
    const double rows[3][3] = {
        {y, 0, 2 * (1 - kr) * v},
        {y, -2 * (1 - kb) * kb / kg * u, -2 * (1 - kr) * kr / kg * v},
        {y, 2 * (1 - kb) * u, 0},
    };
    for (int c = 0; c < 3; c++) {
        const double *row = rows[convert->target.pixels == MODELINFO_BGR ? 2 - c : c];
        for (int i = 0; i < 3; i++) {
            convert->matrix[c][i] = (float)row[i];
            convert->offset[c] -= (float)(row[i] * offset[i]);
        }
    }
}

static void set_rgb_matrix(struct convert *convert)
{
    static const float luma[3] = {0.299f, 0.587f, 0.114f};
    for (int c = 0; c < convert->channels; c++)
        for (int i = 0; i < 3; i++)
            switch (convert->target.pixels) {
            case MODELINFO_GRAY:
                convert->matrix[c][i] = luma[i];
                break;
            case MODELINFO_RGB:
                convert->matrix[c][i] = i == c;
                break;
            case MODELINFO_BGR:
                convert->matrix[c][i] = i == 2 - c;
                break;
            }
}

static int choose_planes(struct convert *convert, const GstVideoInfo *source)
{
    bool gray = convert->target.pixels == MODELINFO_GRAY;
    struct plane *planes = convert->planes;
    planes[0] = (struct plane){.index = 0, .components = 1};
    convert->plane_count = 1;
    convert->component_count = 1;
    convert->direct = true;
    switch (GST_VIDEO_INFO_FORMAT(source)) {
    case GST_VIDEO_FORMAT_GRAY8:
        return 0;
    case GST_VIDEO_FORMAT_RGB:
        planes[0].components = 3;
        set_rgb_matrix(convert);
        break;
    case GST_VIDEO_FORMAT_NV12:
        if (gray)
            return 0;
        planes[1] = (struct plane){.index = 1, .components = 2};
        convert->plane_count = 2;
        set_yuv_matrix(convert, source);
        break;
    case GST_VIDEO_FORMAT_I420:
        if (gray)
            return 0;
        planes[1] = (struct plane){.index = 1, .components = 1};
        planes[2] = (struct plane){.index = 2, .components = 1};
        convert->plane_count = 3;
        set_yuv_matrix(convert, source);
        break;
    default:
        return -ENOTSUP;
    }
    convert->component_count = 3;
    convert->direct = false;
    return 0;
}

/* The region in pixels, and where it goes in the target. */
struct placement {
    double left, right, top, bottom;
};

static struct placement place(struct convert *convert, const GstVideoInfo *source,
                              const struct convert_region *region)
{
    const struct convert_target *target = &convert->target;
    double width = region->width * source->width, height = region->height * source->height;
    double left = region->x * source->width, top = region->y * source->height;
    convert->inner_width = target->width;
    convert->inner_height = target->height;
    /* How much wider the region is, as displayed, than the target. */
    double pixel =
        source->par_n > 0 && source->par_d > 0 ? (double)source->par_n / source->par_d : 1;
    double excess = width * pixel / height * target->height / target->width;
    if (target->resize == MODELINFO_CROP) {
        double kept_width = excess > 1 ? width / excess : width;
        double kept_height = excess > 1 ? height : height * excess;
        left += (width - kept_width) / 2;
        top += (height - kept_height) / 2;
        width = kept_width;
        height = kept_height;
    } else if (target->resize == MODELINFO_LETTERBOX) {
        if (excess > 1)
            convert->inner_height = MAX(1, (int)lround(target->height / excess));
        else
            convert->inner_width = MAX(1, (int)lround(target->width * excess));
        convert->inner_x = (target->width - convert->inner_width) / 2;
        convert->inner_y = (target->height - convert->inner_height) / 2;
    }
    return (struct placement){left, left + width, top, top + height};
}

static int prepare_axes(struct convert *convert, const GstVideoInfo *source,
                        const struct placement *place)
{
    int longest = 0, padding = 0;
    for (int p = 0; p < convert->plane_count; p++) {
        struct plane *plane = &convert->planes[p];
        /* Chroma planes of odd frames reach half a pixel beyond them: they are halved, not
         * rounded, so that luma and chroma stay in place. */
        double half = plane->index > 0 ? 0.5 : 1;
        int component = plane->index; /* GStreamer's components of these formats: same order */
        int r = axis_init(&plane->x, place->left * half, place->right * half,
                          GST_VIDEO_INFO_COMP_WIDTH(source, component), convert->inner_width);
        if (r == 0)
            r = axis_init(&plane->y, place->top * half, place->bottom * half,
                          GST_VIDEO_INFO_COMP_HEIGHT(source, component), convert->inner_height);
        if (r < 0)
            return r;
        longest = MAX(longest, plane->x.extent * plane->components);
        padding = MAX(padding, plane->x.taps);
    }
    /* Zeroed: what lies beyond a row's end is read with weight 0 and must be a number. */
    convert->sum = g_try_new0(float, longest + padding);
    convert->split = g_try_new0(float, longest + padding);
    if (!convert->sum || !convert->split)
        return -ENOMEM;
    for (int c = 0; c < convert->component_count; c++)
        if (!(convert->row[c] = g_try_new0(float, convert->inner_width)))
            return -ENOMEM;
    return 0;
}

void convert_target_of(const struct modelinfo *info, struct convert_target *ret_target)
{
    *ret_target = (struct convert_target){
        .width = info->width,
        .height = info->height,
        .pixels = info->pixels,
        .interleaved = info->interleaved,
        .resize = info->resize,
    };
    for (int c = 0; c < info->channels; c++) {
        ret_target->mean[c] = info->mean[c];
        ret_target->scale[c] = info->scale[c];
    }
}

bool convert_region_is_valid(const struct convert_region *region)
{
    return region->x >= 0 && region->y >= 0 && region->width > 0 && region->height > 0 &&
           region->x + region->width <= 1 + 1e-9 && region->y + region->height <= 1 + 1e-9;
}

int convert_create(const GstVideoInfo *source, const struct convert_region *region,
                   const struct convert_target *target, struct convert **ret_convert)
{
    if (!convert_region_is_valid(region) || source->width < 1 || source->width > MAX_SIDE ||
        source->height < 1 || source->height > MAX_SIDE || target->width < 1 ||
        target->width > MODELINFO_SIDE_MAX || target->height < 1 ||
        target->height > MODELINFO_SIDE_MAX)
        return -EINVAL;
    struct convert *convert = g_try_new0(struct convert, 1);
    if (!convert)
        return -ENOMEM;
    convert->target = *target;
    convert->channels = target->pixels == MODELINFO_GRAY ? 1 : 3;
    int r = choose_planes(convert, source);
    if (r == 0) {
        struct placement placement = place(convert, source, region);
        r = prepare_axes(convert, source, &placement);
    }
    if (r < 0) {
        convert_destroy(convert);
        return r;
    }
    *ret_convert = convert;
    return 0;
}

void convert_destroy(struct convert *convert)
{
    if (!convert)
        return;
    for (int p = 0; p < convert->plane_count; p++) {
        axis_finish(&convert->planes[p].x);
        axis_finish(&convert->planes[p].y);
    }
    for (int c = 0; c < 3; c++)
        g_free(convert->row[c]);
    g_free(convert->sum);
    g_free(convert->split);
    g_free(convert);
}
