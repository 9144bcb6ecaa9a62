/* RoiAlign and MaxRoiPool: what lies in a box of an image, as an image of a fixed size.
 *
 * RoiAlign samples every part of the box at some places between pixels. Which pixels those are,
 * and in what shares, is the same for all channels: it is worked out for a few places of every
 * part at a time and then applied to one channel after the other.
 *
 * Source: ONNX operators RoiAlign, opsets 10 to 22, and MaxRoiPool; He et al., "Mask R-CNN". */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/kernels/kernels.h"
#include "nn/op.h"

/* Pixels of one place; places of every part at a time; most places of one part along an axis,
 * far beyond any box within an image. */
enum { CORNERS = 4, PLACES = 8, MAX_GRID = 1024 };

struct align {
    int64_t channels, height, width, boxes;
    int64_t out_height, out_width, parts; /* parts: their product */
    int64_t ratio;                        /* places along a part; 0: as many as it has pixels */
    float scale, offset;
    bool is_max;
};

/* --- RoiAlign ----------------------------------------------------------------------------- */

static int check_boxes(const struct nn_op_call *call, int64_t columns)
{
    const struct nn_shape *x = &call->inputs[0].shape, *boxes = &call->inputs[1].shape;
    for (int i = 0; i < 2; i++) {
        int r = nn_op_require_type(call, i, NN_TYPE_FLOAT);
        if (r < 0)
            return r;
    }
    if (x->rank != 4 || boxes->rank != 2 || boxes->dim[1] != columns)
        return nn_op_fail(call, -EINVAL,
                          "images must have 4 dimensions, and boxes be (boxes, %lld)",
                          (long long)columns);
    if (x->dim[2] < 1 || x->dim[3] < 1 || x->dim[2] > INT32_MAX || x->dim[3] > INT32_MAX)
        return nn_op_fail(call, -EINVAL, "its image is %lld×%lld", (long long)x->dim[2],
                          (long long)x->dim[3]);
    return 0;
}

static int geometry(const struct nn_op_call *call, struct align *ret_align)
{
    const struct nn_shape *x = &call->inputs[0].shape, *index = &call->inputs[2].shape;
    const char *mode = nn_op_string(call, "mode", "avg");
    /* Half a pixel is taken off since opset 16, unless a node says otherwise. */
    const char *place = nn_op_string(call, "coordinate_transformation_mode",
                                     call->opset >= 16 ? "half_pixel" : "output_half_pixel");
    bool half = strcmp(place, "half_pixel") == 0;
    int r = check_boxes(call, 4);
    if (r < 0)
        return r;
    struct align a = {
        .channels = x->dim[1],
        .height = x->dim[2],
        .width = x->dim[3],
        .boxes = call->inputs[1].shape.dim[0],
        .out_height = nn_op_int(call, "output_height", 1),
        .out_width = nn_op_int(call, "output_width", 1),
        .ratio = nn_op_int(call, "sampling_ratio", 0),
        .scale = nn_op_float(call, "spatial_scale", 1),
        .offset = half ? 0.5f : 0,
        .is_max = strcmp(mode, "max") == 0,
    };
    /* How many boxes there are may be decided by each run: then for both alike. */
    bool exact = !call->inputs[1].late && !call->inputs[2].late;
    if (call->inputs[2].type != NN_TYPE_INT64 || index->rank != 1 ||
        (exact && index->dim[0] != a.boxes))
        return nn_op_fail(call, -EINVAL, "batch_indices must be int64, one for each box");
    if (!half && strcmp(place, "output_half_pixel") != 0)
        return nn_op_fail(call, -EINVAL, "coordinate_transformation_mode is '%.40s'", place);
    if (!a.is_max && strcmp(mode, "avg") != 0)
        return nn_op_fail(call, -EINVAL, "mode is '%.40s'", mode);
    if (a.out_height < 1 || a.out_width < 1 || a.out_height > INT16_MAX ||
        a.out_width > INT16_MAX)
        return nn_op_fail(call, -EINVAL, "its output is %lld×%lld", (long long)a.out_height,
                          (long long)a.out_width);
    if (a.ratio < 0 || a.ratio > MAX_GRID)
        return nn_op_fail(call, -EINVAL, "sampling_ratio is %lld", (long long)a.ratio);
    a.parts = a.out_height * a.out_width;
    *ret_align = a;
    return 0;
}

static int align_infer(struct nn_op_call *call)
{
    struct align a = {0};
    int r = geometry(call, &a);
    if (r < 0)
        return r;
    call->outputs[0].type = NN_TYPE_FLOAT;
    call->outputs[0].shape =
        (struct nn_shape){.rank = 4, .dim = {a.boxes, a.channels, a.out_height, a.out_width}};
    return 0;
}

static int align_prepare(struct nn_op_call *call)
{
    struct align *a = nn_op_alloc(call, sizeof *a);
    if (!a)
        return -ENOMEM;
    int r = geometry(call, a);
    if (r < 0)
        return r;
    size_t taps = (size_t)a->parts * PLACES * CORNERS;
    call->workspace_bytes =
        taps * (sizeof(int32_t) + sizeof(float)) + (size_t)a->parts * sizeof(float);
    call->state = a;
    return 0;
}

/* One box, along one axis. */
struct side {
    float start, part; /* of the box, of one part of it, in pixels */
    int64_t grid;      /* places in a part */
    int64_t extent;    /* of the image */
};

static int read_side(const struct nn_op_call *call, const struct align *a, float from, float to,
                     int64_t extent, int64_t parts, struct side *ret_side)
{
    struct side s = {.start = from * a->scale - a->offset, .extent = extent};
    float length = to * a->scale - a->offset - s.start;
    if (a->offset == 0 && length < 1)
        length = 1;
    s.part = length / (float)parts;
    /* Not >=, so that NaN is refused as well. */
    if (!(fabsf(s.start) < 1e9f && ceilf(s.part) <= MAX_GRID && s.part > -1e9f))
        return nn_op_fail(call, -EINVAL, "a box from %g to %g is no part of the image",
                          (double)from, (double)to);
    s.grid = a->ratio > 0 ? a->ratio : (int64_t)ceilf(s.part);
    s.grid = s.grid > 0 ? s.grid : 0;
    *ret_side = s;
    return 0;
}

/* Place i of a part, between pixels low and high. false: outside of the image. */
static bool find_place(const struct side *s, int64_t part, int64_t i, int64_t *ret_low,
                       int64_t *ret_high, float *ret_share)
{
    float x = s->start + (float)part * s->part + ((float)i + 0.5f) * s->part / (float)s->grid;
    if (!(x >= -1 && x <= (float)s->extent))
        return false;
    x = x > 0 ? x : 0;
    int64_t low = (int64_t)x, last = s->extent - 1;
    *ret_low = low < last ? low : last;
    *ret_high = low < last ? low + 1 : last;
    *ret_share = low < last ? x - (float)low : 0;
    return true;
}

/* Places first..first+count-1 of every part: (count, CORNERS, parts). */
static void find_taps(const struct align *a, const struct side *y, const struct side *x,
                      int64_t first, int64_t count, int32_t *index, float *weight)
{
    for (int64_t i = 0; i < count; i++)
        for (int64_t part = 0; part < a->parts; part++) {
            int64_t place = first + i, low[2] = {0}, high[2] = {0};
            float share[2] = {0};
            bool inside = find_place(y, part / a->out_width, place / x->grid, &low[0], &high[0],
                                     &share[0]) &&
                          find_place(x, part % a->out_width, place % x->grid, &low[1], &high[1],
                                     &share[1]);
            for (int c = 0; c < CORNERS; c++) {
                int64_t at = i * CORNERS * a->parts + c * a->parts + part;
                int64_t row = c & 2 ? high[0] : low[0], column = c & 1 ? high[1] : low[1];
                float w = (c & 2 ? share[0] : 1 - share[0]) * (c & 1 ? share[1] : 1 - share[1]);
                index[at] = inside ? (int32_t)(row * a->width + column) : 0;
                weight[at] = inside ? w : 0;
            }
        }
}

/* The greatest of the shares of all pixels, as the specification's implementation has it: not
 * that of the places between them. */
static void keep_max(const struct align *a, const float *x, const int32_t *index,
                     const float *weight, int64_t taps, bool is_first, float *y)
{
    for (int64_t t = 0; t < taps; t++)
        for (int64_t part = 0; part < a->parts; part++) {
            float value = weight[t * a->parts + part] * x[index[t * a->parts + part]];
            if ((is_first && t == 0) || value > y[part])
                y[part] = value;
        }
}

static void align_box(const struct nn_op_call *call, const struct align *a,
                      const struct side *height, const struct side *width, const float *x,
                      float *y)
{
    const struct nn_kernels *k = call->kernels;
    const int64_t places = height->grid * width->grid, size = a->height * a->width;
    float *weight = call->workspace, *sums = weight + a->parts * PLACES * CORNERS;
    int32_t *index = (int32_t *)(sums + a->parts);
    memset(y, 0, (size_t)(a->channels * a->parts) * sizeof *y);
    for (int64_t first = 0; first < places; first += PLACES) {
        int64_t count = places - first < PLACES ? places - first : PLACES;
        find_taps(a, height, width, first, count, index, weight);
        for (int64_t c = 0; c < a->channels; c++) {
            float *to = y + c * a->parts;
            if (a->is_max) {
                keep_max(a, x + c * size, index, weight, count * CORNERS, first == 0, to);
                continue;
            }
            k->pick(sums, x + c * size, index, weight, (size_t)(count * CORNERS),
                    (size_t)a->parts);
            k->add(to, to, sums, (size_t)a->parts);
        }
    }
    if (!a->is_max && places > 0)
        k->affine(y, y, 1 / (float)places, 0, (size_t)(a->channels * a->parts));
}

static int align_forward(struct nn_op_call *call)
{
    const struct align *a = call->state;
    const float *x = call->inputs[0].data, *box = call->inputs[1].data;
    const int64_t *image = call->inputs[2].data, batch = call->inputs[0].shape.dim[0];
    float *y = call->outputs[0].data;
    for (int64_t i = 0; i < a->boxes; i++, box += 4, y += a->channels * a->parts) {
        struct side height = {0}, width = {0};
        int r = read_side(call, a, box[0], box[2], a->width, a->out_width, &width);
        if (r == 0)
            r = read_side(call, a, box[1], box[3], a->height, a->out_height, &height);
        if (r < 0)
            return r;
        if (image[i] < 0 || image[i] >= batch)
            return nn_op_fail(call, -EINVAL, "a box is in image %lld of %lld",
                              (long long)image[i], (long long)batch);
        align_box(call, a, &height, &width, x + image[i] * a->channels * a->height * a->width,
                  y);
    }
    return 0;
}

/* --- MaxRoiPool --------------------------------------------------------------------------- */

static int pool_infer(struct nn_op_call *call)
{
    int count;
    const int64_t *pooled = nn_op_ints(call, "pooled_shape", &count);
    int r = check_boxes(call, 5);
    if (r < 0)
        return r;
    if (count != 2 || pooled[0] < 1 || pooled[1] < 1 || pooled[0] > INT16_MAX ||
        pooled[1] > INT16_MAX)
        return nn_op_fail(call, -EINVAL, "pooled_shape must be a height and a width");
    call->outputs[0].type = NN_TYPE_FLOAT;
    call->outputs[0].shape =
        (struct nn_shape){.rank = 4,
                          .dim = {call->inputs[1].shape.dim[0], call->inputs[0].shape.dim[1],
                                  pooled[0], pooled[1]}};
    return 0;
}

/* Pixels first..end-1 of part `part` of a box from pixel `from` to pixel `to`. */
static void find_part(int64_t from, int64_t to, int64_t part, int64_t parts, int64_t extent,
                      int64_t *ret_first, int64_t *ret_end)
{
    int64_t length = to - from + 1 > 1 ? to - from + 1 : 1;
    int64_t first = from + part * length / parts;
    int64_t end = from + ((part + 1) * length + parts - 1) / parts;
    *ret_first = first < 0 ? 0 : first > extent ? extent : first;
    *ret_end = end < 0 ? 0 : end > extent ? extent : end;
}

static float max_of(const float *x, int64_t width, const int64_t *rows, const int64_t *columns)
{
    float best = -INFINITY;
    for (int64_t h = rows[0]; h < rows[1]; h++)
        for (int64_t w = columns[0]; w < columns[1]; w++)
            best = x[h * width + w] > best ? x[h * width + w] : best;
    return rows[0] < rows[1] && columns[0] < columns[1] ? best : 0;
}

static int pool_forward(struct nn_op_call *call)
{
    const struct nn_shape *in = &call->inputs[0].shape, *out = &call->outputs[0].shape;
    const int64_t channels = in->dim[1], height = in->dim[2], width = in->dim[3];
    const float scale = nn_op_float(call, "spatial_scale", 1), *box = call->inputs[1].data;
    float *y = call->outputs[0].data;
    for (int64_t i = 0; i < out->dim[0]; i++, box += 5) {
        int64_t corner[4];
        for (int c = 0; c < 4; c++) {
            float at = roundf(box[1 + c] * scale);
            if (!(fabsf(at) < 1e9f))
                return nn_op_fail(call, -EINVAL, "a box ends at %g", (double)box[1 + c]);
            corner[c] = (int64_t)at;
        }
        if (!(box[0] >= 0 && box[0] < (float)in->dim[0]))
            return nn_op_fail(call, -EINVAL, "a box is in image %g of %lld", (double)box[0],
                              (long long)in->dim[0]);
        const float *x =
            (const float *)call->inputs[0].data + (int64_t)box[0] * channels * height * width;
        for (int64_t c = 0; c < channels; c++, x += height * width)
            for (int64_t h = 0; h < out->dim[2]; h++)
                for (int64_t w = 0; w < out->dim[3]; w++) {
                    int64_t rows[2], columns[2];
                    find_part(corner[1], corner[3], h, out->dim[2], height, &rows[0], &rows[1]);
                    find_part(corner[0], corner[2], w, out->dim[3], width, &columns[0],
                              &columns[1]);
                    *y++ = max_of(x, width, rows, columns);
                }
    }
    return 0;
}

static const struct nn_attribute_rule align_rules[] = {
    {"coordinate_transformation_mode", NN_ATTRIBUTE_STRING, 16, 0},
    {"mode", NN_ATTRIBUTE_STRING, 0, 0},
    {"output_height", NN_ATTRIBUTE_INT, 0, 0},
    {"output_width", NN_ATTRIBUTE_INT, 0, 0},
    {"sampling_ratio", NN_ATTRIBUTE_INT, 0, 0},
    {"spatial_scale", NN_ATTRIBUTE_FLOAT, 0, 0},
    {0},
};
static const struct nn_attribute_rule pool_rules[] = {
    {"pooled_shape", NN_ATTRIBUTE_INTS, 0, 0},
    {"spatial_scale", NN_ATTRIBUTE_FLOAT, 0, 0},
    {0},
};

const struct nn_op nn_op_roi_align = {
    .name = "RoiAlign",
    .min_inputs = 3,
    .max_inputs = 3,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = align_rules,
    .infer = align_infer,
    .prepare = align_prepare,
    .forward = align_forward,
};

const struct nn_op nn_op_max_roi_pool = {
    .name = "MaxRoiPool",
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = pool_rules,
    .infer = pool_infer,
    .forward = pool_forward,
};
