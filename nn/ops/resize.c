/* Resize and Upsample. Which inputs make an output, and in what shares, is worked out for each
 * axis when planning (nn/ops/resample.h); running is one pass over each axis that changes.
 * Nearest copies blocks, whole rows and planes where neighbouring outputs are the same. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/kernels/kernels.h"
#include "nn/op.h"
#include "nn/ops/resample.h"

/* The input that the planner gives it besides ONNX's four: added to the output, of float32
 * (nn/fuse.c). */
#define RESIDUAL 4

/* Since when a node says itself where outputs lie among inputs. */
#define MODERN_OPSET 11

struct resize {
    struct nn_resample how;
    struct nn_resample_axis axis[NN_MAX_RANK];
    float extrapolation;
    /* The axis may, if not with these extents then with others; or, as tf_half_pixel_for_nn may
     * have it, it is filtered although it keeps its extent. */
    bool changes[NN_MAX_RANK];
    bool late; /* sizes are computed by each run */
};

/* --- what the node says ------------------------------------------------------------------- */

/* Which of the choices an attribute names; the first when it is absent. */
static int read_choice(const struct nn_op_call *call, const char *name,
                       const char *const *choices, int count)
{
    const char *given = nn_op_string(call, name, choices[0]);
    for (int i = 0; i < count; i++)
        if (strcmp(given, choices[i]) == 0)
            return i;
    return nn_op_fail(call, -EINVAL, "%s is '%.40s'", name, given);
}

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static int read_how(const struct nn_op_call *call, struct resize *z)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const places[] = {
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
        "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize",
    };
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                            "ceil"};
    int mode = read_choice(call, "mode", modes, COUNT(modes));
    int place = NN_RESAMPLE_ASYMMETRIC, rounding = NN_RESAMPLE_FLOOR;
    if (call->opset >= MODERN_OPSET) {
        place = read_choice(call, "coordinate_transformation_mode", places, COUNT(places));
        rounding = read_choice(call, "nearest_mode", roundings, COUNT(roundings));
    }
    if (mode < 0 || place < 0 || rounding < 0)
        return -EINVAL;
    z->how = (struct nn_resample){
        .mode = (enum nn_resample_mode)mode,
        .place = (enum nn_resample_place)place,
        .rounding = (enum nn_resample_rounding)rounding,
        .antialias = nn_op_int(call, "antialias", 0) != 0,
        .exclude_outside = nn_op_int(call, "exclude_outside", 0) != 0,
        .cubic_a = nn_op_float(call, "cubic_coeff_a", -0.75f),
    };
    z->extrapolation = nn_op_float(call, "extrapolation_value", 0);
    if (mode == NN_RESAMPLE_NEAREST && z->how.antialias)
        return nn_op_fail(call, -EINVAL, "antialias goes with linear and cubic only");
    return 0;
}

/* The axes that lists of scales, sizes and the like speak of, in their order. */
static int read_axes(const struct nn_op_call *call, int *axes)
{
    int rank = call->inputs[0].shape.rank, count;
    const int64_t *given = nn_op_ints(call, "axes", &count);
    if (!given)
        count = rank;
    int r = nn_op_axis_list(call, given, count, rank, axes);
    return r < 0 ? r : count;
}

/* A list that may be left out by an empty tensor, as opset 11 wants it. */
static bool is_given(const struct nn_op_call *call, int index)
{
    return nn_op_has_input(call, index) && nn_shape_count(&call->inputs[index].shape) != 0;
}

static int check_numbers(const struct nn_op_call *call, const char *what, const float *values,
                         int count, bool positive)
{
    for (int i = 0; i < count; i++)
        if (!isfinite(values[i]) || (positive && values[i] <= 0))
            return nn_op_fail(call, -EINVAL, "%s has the value %g", what, (double)values[i]);
    return 0;
}

/* `count` finite numbers of a constant input. */
static int read_floats(const struct nn_op_call *call, int index, const char *what, int count,
                       bool positive, const float **ret_values)
{
    const struct nn_tensor *t = &call->inputs[index];
    int r = nn_op_require_type(call, index, NN_TYPE_FLOAT);
    if (r < 0)
        return r;
    if (t->shape.rank != 1 || t->shape.dim[0] != count)
        return nn_op_fail(call, -EINVAL, "%s must be a list of %d numbers", what, count);
    if (!t->data)
        return nn_op_fail(call, -ENOTSUP, "%s must be a constant, not computed at run time",
                          what);
    *ret_values = t->data;
    return check_numbers(call, what, t->data, count, positive);
}

/* --- extents ------------------------------------------------------------------------------ */

static int scale_axes(const struct nn_op_call *call, struct resize *z, const int *axes,
                      int count, const float *scales)
{
    for (int i = 0; i < count; i++) {
        struct nn_resample_axis *axis = &z->axis[axes[i]];
        /* In float32, as the shape rules of the specification: 3 · 1.6666666 is 5. */
        float extent = floorf(scales[i] * (float)axis->in);
        if (extent > (float)INT32_MAX)
            return nn_op_fail(call, -E2BIG, "dimension %d would be %g", axes[i],
                              (double)extent);
        axis->scale = scales[i];
        axis->out = (int64_t)extent;
        z->changes[axes[i]] |= scales[i] != 1;
        /* The text counts the outputs there are, the specification's own implementation the
         * fraction before it was rounded down; what filters make of that differs much. */
        if (z->how.place == NN_RESAMPLE_ALIGN_CORNERS && z->how.mode != NN_RESAMPLE_NEAREST &&
            fabs(axis->scale * (double)axis->in - extent) > 1e-3)
            return nn_op_fail(call, -ENOTSUP,
                              "align_corners with a scale that gives %.3g of dimension %d is "
                              "read in two ways; give sizes",
                              axis->scale * (double)axis->in, axes[i]);
    }
    return 0;
}

static int fit_axes(const struct nn_op_call *call, struct resize *z, const int *axes, int count)
{
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    int policy = read_choice(call, "keep_aspect_ratio_policy", policies, COUNT(policies));
    if (policy <= 0 || count == 0)
        return policy < 0 ? policy : 0;
    /* Of a smaller image the sizes themselves may be what is not larger. */
    if (policy == 1 && (z->late || call->inputs[0].late))
        return 0;
    double scale = z->axis[axes[0]].scale;
    for (int i = 1; i < count; i++)
        if (policy == 1 ? z->axis[axes[i]].scale < scale : z->axis[axes[i]].scale > scale)
            scale = z->axis[axes[i]].scale;
    for (int i = 0; i < count; i++) {
        struct nn_resample_axis *axis = &z->axis[axes[i]];
        double extent = floor(scale * (double)axis->in + 0.5);
        if (extent > INT32_MAX)
            return nn_op_fail(call, -E2BIG, "dimension %d would be %g", axes[i], extent);
        axis->scale = scale;
        axis->out = (int64_t)extent;
    }
    return 0;
}

static int size_axes(const struct nn_op_call *call, struct resize *z, const int *axes,
                     int count)
{
    int64_t sizes[NN_MAX_RANK];
    int given = nn_op_sizes(call, 3, "sizes", sizes, NN_MAX_RANK, &z->late);
    if (given < 0)
        return given;
    if (given != count)
        return nn_op_fail(call, -EINVAL, "sizes has %d numbers for %d axes", given, count);
    for (int i = 0; i < count; i++) {
        struct nn_resample_axis *axis = &z->axis[axes[i]];
        if (sizes[i] < 0 || sizes[i] > INT32_MAX || (axis->in == 0 && sizes[i] > 0))
            return nn_op_fail(call, -EINVAL, "sizes asks for %lld of %lld", (long long)sizes[i],
                              (long long)axis->in);
        axis->out = sizes[i];
        z->changes[axes[i]] = true;
        axis->scale = axis->in > 0 ? (double)axis->out / (double)axis->in : 1;
    }
    return fit_axes(call, z, axes, count);
}

static int crop_axes(const struct nn_op_call *call, struct resize *z, const int *axes,
                     int count)
{
    const float *roi;
    if (!is_given(call, 1))
        return nn_op_fail(call, -EINVAL, "tf_crop_and_resize needs roi");
    int r = read_floats(call, 1, "roi", 2 * count, false, &roi);
    for (int i = 0; i < count && r == 0; i++) {
        z->axis[axes[i]].from = roi[i];
        z->axis[axes[i]].to = roi[count + i];
        z->changes[axes[i]] = true;
    }
    return r;
}

static int read_extents(const struct nn_op_call *call, struct resize *z)
{
    int axes[NN_MAX_RANK], count = read_axes(call, axes);
    if (count < 0)
        return count;
    const int scales_at = call->opset >= MODERN_OPSET ? 2 : 1;
    if (is_given(call, scales_at) == (call->opset >= MODERN_OPSET && is_given(call, 3)))
        return nn_op_fail(call, -EINVAL, "it needs either scales or sizes");
    int r = 0;
    if (z->how.place == NN_RESAMPLE_TF_CROP_AND_RESIZE)
        r = crop_axes(call, z, axes, count);
    if (r < 0)
        return r;
    if (!is_given(call, scales_at))
        return size_axes(call, z, axes, count);
    const float *scales;
    r = read_floats(call, scales_at, "scales", count, true, &scales);
    return r < 0 ? r : scale_axes(call, z, axes, count, scales);
}

/* Upsample has its scales in attributes before opset 9. */
static int read_upsample_extents(const struct nn_op_call *call, struct resize *z)
{
    int rank = call->inputs[0].shape.rank, axes[NN_MAX_RANK], count = rank;
    float sides[4] = {1, 1, nn_op_float(call, "height_scale", 0),
                      nn_op_float(call, "width_scale", 0)};
    const float *scales = call->opset >= 7 ? nn_op_floats(call, "scales", &count) : sides;
    if (call->opset < 7)
        count = 4;
    if (!scales || count != rank)
        return nn_op_fail(call, -EINVAL, "there are not as many scales as the %d dimensions",
                          rank);
    for (int i = 0; i < rank; i++)
        axes[i] = i;
    int r = check_numbers(call, "scales", scales, count, true);
    return r < 0 ? r : scale_axes(call, z, axes, count, scales);
}

static bool is_upsample(const struct nn_op_call *call)
{
    return call->op == &nn_op_upsample;
}

static int geometry(const struct nn_op_call *call, struct resize *ret_resize)
{
    const struct nn_shape *in = &call->inputs[0].shape;
    struct resize z = {0};
    int r = read_how(call, &z);
    if (r < 0)
        return r;
    for (int d = 0; d < in->rank; d++)
        z.axis[d] =
            (struct nn_resample_axis){.in = in->dim[d], .out = in->dim[d], .scale = 1, .to = 1};
    r = is_upsample(call) && call->opset < 9 ? read_upsample_extents(call, &z)
                                             : read_extents(call, &z);
    if (r < 0)
        return r;
    for (int d = 0; d < in->rank; d++) {
        const struct nn_resample_axis *axis = &z.axis[d];
        if (axis->out > 0 && nn_resample_taps(&z.how, axis) * (double)axis->out > INT32_MAX)
            return nn_op_fail(call, -E2BIG, "dimension %d shrinks too far", d);
    }
    *ret_resize = z;
    return 0;
}

static int infer(struct nn_op_call *call)
{
    struct resize z;
    int r = geometry(call, &z);
    if (r < 0)
        return r;
    enum nn_type type = call->inputs[0].type;
    bool copies = z.how.mode == NN_RESAMPLE_NEAREST && z.extrapolation == 0;
    if (!copies && type != NN_TYPE_FLOAT)
        return nn_op_fail(call, -ENOTSUP,
                          "its input is %s; nearest takes any type, all else "
                          "float32 only",
                          nn_type_name(type));
    call->outputs[0].type = type;
    call->outputs[0].late = z.late;
    call->outputs[0].shape.rank = call->inputs[0].shape.rank;
    for (int d = 0; d < call->inputs[0].shape.rank; d++)
        call->outputs[0].shape.dim[d] = z.axis[d].out;
    if (nn_op_has_input(call, RESIDUAL) &&
        (type != NN_TYPE_FLOAT ||
         !nn_shape_equal(&call->outputs[0].shape, &call->inputs[RESIDUAL].shape)))
        return nn_op_fail(call, -EINVAL, "what is added to its output is of another kind");
    return 0;
}

/* --- planning ----------------------------------------------------------------------------- */

/* One axis and its table. The image is seen as (before, extent, inner). */
struct pass {
    int axis;
    int64_t before, in, out, inner;
    int64_t out_inner, blocks; /* nearest: inner of the finished image; how often the next pass
                                * stands in inner */
    int64_t taps;
    bool crops;     /* some outputs are extrapolated: their first index is -1 */
    int64_t repeat; /* nearest: every input so many times, in order; 0: by index */
    int32_t *index; /* (out, taps); filters: in floats, and (taps, out) where inner is 1 */
    float *weight;  /* filters: laid out as index */
    bool *outside;  /* (out): filters of single elements that crop, what is extrapolated */
};

struct plan {
    bool copies;  /* nearest */
    bool doubles; /* nearest, of 4 bytes: lines of which each column stands twice */
    float extrapolation;
    int pass_count;
    struct pass pass[NN_MAX_RANK]; /* in running order; nearest: from the outermost axis */
    int64_t images;            /* leading axes that stay as they are are passed one by one */
    int64_t in_size, out_size; /* of one image, elements */
    int64_t buffer_size;       /* between two passes, floats */
};

/* Every output is the input of its own number. */
static bool is_identity(const struct pass *p)
{
    bool same = p->in == p->out;
    for (int64_t o = 0; o < p->out && same; o++)
        for (int64_t t = 0; t < p->taps && same; t++) {
            float weight = p->weight[o * p->taps + t];
            same = p->index[o * p->taps + t] == o ? weight == 1 || weight == 0 : weight == 0;
        }
    return same;
}

static int64_t find_repeat(const struct pass *p)
{
    int64_t repeat = p->out / p->in;
    if (repeat * p->in != p->out)
        return 0;
    for (int64_t o = 0; o < p->out; o++)
        if (p->index[o] != o / repeat)
            return 0;
    return repeat;
}

static int make_table(struct nn_op_call *call, const struct resize *z, int axis,
                      struct pass *ret_pass)
{
    struct nn_resample how = z->how;
    const struct nn_resample_axis *a = &z->axis[axis];
    /* Before opset 11 nodes say nothing of rounding; this is what runtimes settled on. */
    if (call->opset < MODERN_OPSET && a->scale < 1)
        how.rounding = NN_RESAMPLE_CEIL;
    struct pass p = {.axis = axis, .in = a->in, .out = a->out};
    p.taps = (int64_t)nn_resample_taps(&how, a);
    size_t count = (size_t)(p.out * p.taps);
    p.index = nn_op_alloc(call, count * sizeof *p.index);
    p.weight = nn_op_alloc(call, count * sizeof *p.weight);
    if (!p.index || !p.weight)
        return -ENOMEM;
    nn_resample_table(&how, a, p.index, p.weight);
    for (int64_t o = 0; o < p.out; o++)
        p.crops |= p.index[o * p.taps] < 0;
    if (how.mode == NN_RESAMPLE_NEAREST)
        p.repeat = find_repeat(&p);
    *ret_pass = p;
    return 0;
}

/* Passes for the axes that change, from the outermost. */
static int make_passes(struct nn_op_call *call, struct resize *z, struct plan *plan)
{
    for (int d = 0; d < call->inputs[0].shape.rank; d++) {
        struct pass *p = &plan->pass[plan->pass_count];
        int r = make_table(call, z, d, p);
        if (r < 0)
            return r;
        bool stays = is_identity(p);
        z->changes[d] |= !stays;
        plan->pass_count += !stays;
    }
    return 0;
}

/* Shrinking first, enlarging last: the least to do in between, and nothing in between is
 * larger than the input and the output. Of axes alike, the innermost, whose inputs are not
 * side by side, where it has the fewest rows. */
static bool runs_before(const struct pass *a, const struct pass *b)
{
    double left = (double)a->out * (double)b->in, right = (double)b->out * (double)a->in;
    return left != right ? left < right : (a->out < a->in) == (a->axis < b->axis);
}

static void sort_passes(struct plan *plan)
{
    for (int i = 1; i < plan->pass_count; i++)
        for (int j = i; j > 0 && runs_before(&plan->pass[j], &plan->pass[j - 1]); j--) {
            struct pass moved = plan->pass[j];
            plan->pass[j] = plan->pass[j - 1];
            plan->pass[j - 1] = moved;
        }
}

/* A filter's table as the kernels read it: along lines, distances in floats; of single
 * elements, (taps, out). */
static int lay_out_table(struct nn_op_call *call, struct pass *p)
{
    int64_t count = p->out * p->taps;
    if (p->inner > 1) {
        for (int64_t i = 0; i < count; i++)
            p->index[i] *= (int32_t)p->inner;
        return 0;
    }
    int32_t *index = nn_op_alloc(call, (size_t)count * sizeof *index);
    float *weight = nn_op_alloc(call, (size_t)count * sizeof *weight);
    p->outside = nn_op_alloc(call, (size_t)p->out * sizeof *p->outside);
    if (!index || !weight || !p->outside)
        return -ENOMEM;
    for (int64_t i = 0; i < count; i++) {
        int64_t to = i % p->taps * p->out + i / p->taps;
        p->outside[i / p->taps] |= p->index[i] < 0;
        index[to] = p->index[i] < 0 ? 0 : p->index[i];
        weight[to] = p->weight[i];
    }
    p->index = index;
    p->weight = weight;
    return 0;
}

/* Smaller images may go through passes that the largest one of a late node does without, over
 * axes before the first that it changes: room for what any of them is on the way. */
static int64_t late_buffer_size(const struct nn_op_call *call, const struct resize *z)
{
    const struct nn_shape *in = &call->inputs[0].shape, *out = &call->outputs[0].shape;
    int first = 0;
    while (first < in->rank && !z->changes[first])
        first++;
    int64_t before = nn_shape_extent(in, first, in->rank);
    int64_t behind = nn_shape_extent(out, first, out->rank);
    return before > behind ? before : behind;
}

/* And their filters may be wider, and laid out for more axes: while a late node is planned,
 * takes as much for each axis as the tables of any run (nn_resample_taps · out < `most`). */
static int take_room(struct nn_op_call *call, const struct resize *z)
{
    for (int d = 0; d < call->inputs[0].shape.rank; d++) {
        const struct nn_resample_axis *a = &z->axis[d];
        size_t most = 4 * (size_t)(a->in + a->out);
        if (!nn_op_alloc(call, most * 2 * (sizeof(int32_t) + sizeof(float)) + (size_t)a->out))
            return -ENOMEM;
    }
    return 0;
}

static int arrange_filters(struct nn_op_call *call, const struct resize *z, struct plan *plan,
                           int first)
{
    struct nn_shape shape = call->inputs[0].shape;
    sort_passes(plan);
    for (int i = 0; i < plan->pass_count; i++) {
        struct pass *p = &plan->pass[i];
        p->before = nn_shape_extent(&shape, first, p->axis);
        p->inner = nn_shape_extent(&shape, p->axis + 1, shape.rank);
        shape.dim[p->axis] = p->out;
        int64_t size = nn_shape_extent(&shape, first, shape.rank);
        if (i + 1 < plan->pass_count && size > plan->buffer_size)
            plan->buffer_size = size;
        int r = lay_out_table(call, p);
        if (r < 0)
            return r;
    }
    if (call->kept)
        plan->buffer_size = late_buffer_size(call, z);
    call->workspace_bytes = 2 * (size_t)plan->buffer_size * sizeof(float);
    return call->kept && call->constants ? take_room(call, z) : 0;
}

static void arrange_copies(const struct nn_op_call *call, struct plan *plan)
{
    const struct nn_shape *in = &call->inputs[0].shape, *out = &call->outputs[0].shape;
    int next = in->rank;
    for (int i = plan->pass_count - 1; i >= 0; i--) {
        struct pass *p = &plan->pass[i];
        p->inner = nn_shape_extent(in, p->axis + 1, in->rank);
        p->out_inner = nn_shape_extent(out, p->axis + 1, in->rank);
        p->blocks = nn_shape_extent(in, p->axis + 1, next);
        next = p->axis;
    }
    const struct pass *lines = &plan->pass[0], *columns = &plan->pass[1];
    plan->doubles = plan->pass_count == 2 && lines->axis + 1 == columns->axis &&
                    !lines->crops && columns->repeat == 2 && columns->inner == 1 &&
                    nn_type_size(call->outputs[0].type) == sizeof(float);
}

static int prepare(struct nn_op_call *call)
{
    struct resize z;
    struct plan *plan = nn_op_alloc(call, sizeof *plan);
    if (!plan)
        return -ENOMEM;
    int r = geometry(call, &z);
    if (r < 0)
        return r;
    call->state = plan;
    const struct nn_shape *in = &call->inputs[0].shape, *out = &call->outputs[0].shape;
    if (nn_shape_count(out) == 0)
        return 0; /* no image to make */
    plan->copies = z.how.mode == NN_RESAMPLE_NEAREST;
    plan->extrapolation = z.extrapolation;
    r = make_passes(call, &z, plan);
    if (r < 0)
        return r;
    int first = plan->pass_count > 0 ? plan->pass[0].axis : 0;
    plan->images = nn_shape_extent(in, 0, first);
    plan->in_size = nn_shape_extent(in, first, in->rank);
    plan->out_size = nn_shape_extent(out, first, in->rank);
    if (!plan->copies)
        return arrange_filters(call, &z, plan, first);
    arrange_copies(call, plan);
    return 0;
}

/* --- running ------------------------------------------------------------------------------ */

#define COPY_ROW(type)                                                                         \
    do {                                                                                       \
        const type *x = from;                                                                  \
        type *y = to;                                                                          \
        if (p->repeat == 2) {                                                                  \
            for (int64_t i = 0; i < p->in; i++)                                                \
                y[2 * i] = y[2 * i + 1] = x[i];                                                \
        } else {                                                                               \
            for (int64_t o = 0; o < p->out; o++)                                               \
                y[o] = x[p->index[o]];                                                         \
        }                                                                                      \
    } while (0)

/* The innermost axis that changes, element by element. False where elements are blocks. */
static bool copy_row(const struct pass *p, void *to, const void *from, size_t bytes)
{
    if (p->crops)
        return false;
    if (bytes == 4)
        COPY_ROW(uint32_t);
    else if (bytes == 8)
        COPY_ROW(uint64_t);
    else if (bytes == 2)
        COPY_ROW(uint16_t);
    else if (bytes == 1)
        COPY_ROW(uint8_t);
    else
        return false;
    return true;
}

/* extrapolation is other than zero for float32 only (infer). */
static void extrapolate(const struct plan *plan, void *to, size_t bytes)
{
    memset(to, 0, bytes);
    float *y = to;
    for (size_t i = 0; plan->extrapolation != 0 && i < bytes / sizeof *y; i++)
        y[i] = plan->extrapolation;
}

static void copy_axis(const struct plan *plan, int pass, char *to, const char *from,
                      size_t element)
{
    const struct pass *p = &plan->pass[pass], *next = p + 1;
    const size_t in_bytes = (size_t)p->inner * element,
                 out_bytes = (size_t)p->out_inner * element;
    const bool last = pass + 1 == plan->pass_count;
    if (last && copy_row(p, to, from, in_bytes))
        return;
    for (int64_t o = 0; o < p->out; o++, to += out_bytes) {
        const char *block = from + (size_t)p->index[o] * in_bytes;
        if (p->index[o] < 0) {
            extrapolate(plan, to, out_bytes);
        } else if (o > 0 && p->index[o] == p->index[o - 1]) {
            memcpy(to, to - out_bytes, out_bytes);
        } else if (last) {
            memcpy(to, block, out_bytes);
        } else {
            for (int64_t b = 0; b < p->blocks; b++)
                copy_axis(plan, pass + 1,
                          to + b * next->out * next->out_inner * (int64_t)element,
                          block + b * next->in * next->inner * (int64_t)element, element);
        }
    }
}

static void double_lines(const struct nn_kernels *k, const struct plan *plan, float *y,
                         const float *x, const float *residual)
{
    const struct pass *lines = &plan->pass[0], *columns = &plan->pass[1];
    for (int64_t o = 0; o < lines->out; o++, y += columns->out) {
        k->twice(y, x + lines->index[o] * columns->in, residual, (size_t)columns->in);
        residual = residual ? residual + columns->out : NULL;
    }
}

/* Rows of the innermost axis. */
static void filter_elements(const struct nn_kernels *k, const struct pass *p,
                            float extrapolation, float *y, const float *x)
{
    for (int64_t b = 0; b < p->before; b++, x += p->in, y += p->out) {
        k->pick(y, x, p->index, p->weight, (size_t)p->taps, (size_t)p->out);
        for (int64_t o = 0; p->crops && o < p->out; o++)
            if (p->outside[o])
                y[o] = extrapolation;
    }
}

static void filter_lines(const struct nn_kernels *k, const struct pass *p, float extrapolation,
                         float *y, const float *x)
{
    const size_t inner = (size_t)p->inner;
    for (int64_t b = 0; b < p->before; b++, x += p->in * p->inner)
        for (int64_t o = 0; o < p->out; o++, y += inner) {
            const int32_t *index = p->index + o * p->taps;
            float start = index[0] < 0 ? extrapolation : 0;
            for (size_t i = 0; i < inner; i++)
                y[i] = start;
            if (index[0] >= 0)
                k->tap_sum(y, x, index, p->weight + o * p->taps, (size_t)p->taps, inner);
        }
}

static void filter_image(const struct nn_op_call *call, const struct plan *plan, float *y,
                         const float *x)
{
    float *buffers[2] = {call->workspace, (float *)call->workspace + plan->buffer_size};
    for (int i = 0; i < plan->pass_count; i++) {
        const struct pass *p = &plan->pass[i];
        float *to = i + 1 == plan->pass_count ? y : buffers[i % 2];
        (p->inner > 1 ? filter_lines : filter_elements)(call->kernels, p, plan->extrapolation,
                                                        to, x);
        x = to;
    }
}

static int forward(struct nn_op_call *call)
{
    const struct plan *plan = call->state;
    size_t element = nn_type_size(call->outputs[0].type);
    const char *x = call->inputs[0].data;
    char *y = call->outputs[0].data;
    const float *residual =
        nn_op_has_input(call, RESIDUAL) ? call->inputs[RESIDUAL].data : NULL;
    for (int64_t i = 0; i < plan->images; i++) {
        if (plan->doubles)
            double_lines(call->kernels, plan, (float *)y, (const float *)x, residual);
        else if (plan->pass_count == 0)
            memcpy(y, x, (size_t)plan->out_size * element);
        else if (plan->copies)
            copy_axis(plan, 0, y, x, element);
        else
            filter_image(call, plan, (float *)y, (const float *)x);
        if (residual && !plan->doubles)
            call->kernels->add((float *)y, (const float *)y, residual, (size_t)plan->out_size);
        residual = residual ? residual + plan->out_size : NULL;
        x += (size_t)plan->in_size * element;
        y += (size_t)plan->out_size * element;
    }
    return 0;
}

/* Frames stay apart where their axis stays as it is. */
static bool resize_time(const struct nn_op_call *call, const int *in, int *out)
{
    struct resize z;
    if (in[0] == NN_TIME_NONE || geometry(call, &z) < 0)
        return false;
    for (int i = 1; i < call->input_count; i++)
        if (in[i] != NN_TIME_NONE)
            return false;
    const struct nn_resample_axis *axis = &z.axis[in[0]];
    out[0] = in[0];
    return axis->scale == 1 && axis->out == axis->in && axis->from == 0 && axis->to == 1;
}

static const struct nn_attribute_rule resize_rules[] = {
    {"antialias", NN_ATTRIBUTE_INT, 18, 0},
    {"axes", NN_ATTRIBUTE_INTS, 18, 0},
    {"coordinate_transformation_mode", NN_ATTRIBUTE_STRING, 11, 0},
    {"cubic_coeff_a", NN_ATTRIBUTE_FLOAT, 11, 0},
    {"exclude_outside", NN_ATTRIBUTE_INT, 11, 0},
    {"extrapolation_value", NN_ATTRIBUTE_FLOAT, 11, 0},
    {"keep_aspect_ratio_policy", NN_ATTRIBUTE_STRING, 18, 0},
    {"mode", NN_ATTRIBUTE_STRING, 0, 0},
    {"nearest_mode", NN_ATTRIBUTE_STRING, 11, 0},
    {0},
};

static const struct nn_attribute_rule upsample_rules[] = {
    {"height_scale", NN_ATTRIBUTE_FLOAT, 0, 6},
    {"mode", NN_ATTRIBUTE_STRING, 0, 0},
    {"scales", NN_ATTRIBUTE_FLOATS, 7, 8},
    {"width_scale", NN_ATTRIBUTE_FLOAT, 0, 6},
    {0},
};

const struct nn_op nn_op_resize = {
    .name = "Resize",
    .min_inputs = 1,
    .max_inputs = 4,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = resize_rules,
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .time = resize_time,
};

/* Withdrawn in opset 10, where Resize took its place. */
const struct nn_op nn_op_upsample = {
    .name = "Upsample",
    .min_inputs = 1,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = upsample_rules,
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .time = resize_time,
};
