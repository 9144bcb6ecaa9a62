/* GridSample and AffineGrid. Which elements of an image a place of the grid is made of, and in
 * what shares, is the same for all channels: it is worked out once for a block of places and
 * then applied to one channel after the other.
 *
 * Source: ONNX operators GridSample, opsets 16 to 22, and AffineGrid; the cubic is Keys' with
 * a = -0.75. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "nn/kernels/kernels.h"
#include "nn/op.h"

/* Most spatial dimensions, most neighbours along one, places at a time. */
enum { AXES = 3, REACH = 4, BLOCK = 256 };

enum mode { LINEAR, NEAREST, CUBIC };
enum padding { ZEROS, BORDER, REFLECTION };

struct grid {
    int axes;
    int64_t in[AXES];
    int64_t batch, channels, in_size, places; /* of one image */
    enum mode mode;
    enum padding padding;
    bool align_corners;
    int reach; /* neighbours along one axis */
    int taps;  /* reach to the power of axes */
};

/* --- what the node says ------------------------------------------------------------------- */

/* `names` are pairs, of which either will do: opset 20 renamed the modes. */
static int read_choice(const struct nn_op_call *call, const char *name,
                       const char *const names[3][2])
{
    const char *given = nn_op_string(call, name, names[0][0]);
    for (int i = 0; i < 3; i++)
        if (strcmp(given, names[i][0]) == 0 || strcmp(given, names[i][1]) == 0)
            return i;
    return nn_op_fail(call, -EINVAL, "%s is '%.40s'", name, given);
}

static int geometry(const struct nn_op_call *call, struct grid *ret_grid)
{
    static const char *const modes[3][2] = {
        {"linear", "bilinear"}, {"nearest", "nearest"}, {"cubic", "bicubic"}};
    static const char *const paddings[3][2] = {
        {"zeros", "zeros"}, {"border", "border"}, {"reflection", "reflection"}};
    static const int reaches[] = {2, 1, 4};
    const struct nn_shape *x = &call->inputs[0].shape, *grid = &call->inputs[1].shape;
    struct grid g = {.axes = x->rank - 2};
    if (x->rank < 3 || grid->rank != x->rank || grid->dim[0] != x->dim[0] ||
        grid->dim[grid->rank - 1] != g.axes)
        return nn_op_fail(call, -EINVAL,
                          "a grid must have the rank and the batch of the image, and a "
                          "coordinate for each of its spatial dimensions");
    if (g.axes > AXES)
        return nn_op_fail(call, -ENOTSUP, "%d spatial dimensions; at most %d are supported",
                          g.axes, AXES);
    int mode = read_choice(call, "mode", modes);
    int padding = read_choice(call, "padding_mode", paddings);
    if (mode < 0 || padding < 0)
        return -EINVAL;
    for (int i = 0; i < g.axes; i++) {
        g.in[i] = x->dim[2 + i];
        if (g.in[i] < 1)
            return nn_op_fail(call, -EINVAL, "its image is empty");
    }
    g.batch = x->dim[0];
    g.channels = x->dim[1];
    g.in_size = nn_shape_extent(x, 2, x->rank);
    g.places = nn_shape_extent(grid, 1, grid->rank - 1);
    g.mode = (enum mode)mode;
    g.padding = (enum padding)padding;
    g.align_corners = nn_op_int(call, "align_corners", 0) != 0;
    g.reach = reaches[mode];
    g.taps = 1;
    for (int i = 0; i < g.axes; i++)
        g.taps *= g.reach;
    *ret_grid = g;
    return 0;
}

static int infer(struct nn_op_call *call)
{
    struct grid g = {0};
    int r = nn_op_require_floats(call);
    if (r == 0)
        r = geometry(call, &g);
    if (r < 0)
        return r;
    struct nn_tensor *y = &call->outputs[0];
    y->type = NN_TYPE_FLOAT;
    y->shape = call->inputs[0].shape;
    for (int i = 0; i < g.axes; i++)
        y->shape.dim[2 + i] = call->inputs[1].shape.dim[1 + i];
    return 0;
}

static int prepare(struct nn_op_call *call)
{
    struct grid *g = nn_op_alloc(call, sizeof *g);
    if (!g)
        return -ENOMEM;
    int r = geometry(call, g);
    if (r < 0)
        return r;
    call->workspace_bytes = (size_t)(BLOCK * g->taps) * (sizeof(int32_t) + sizeof(float));
    call->state = g;
    return 0;
}

/* --- one axis ----------------------------------------------------------------------------- */

/* What lies beyond a border is what lies as far before it. */
static float reflected(float x, float low, float high)
{
    float range = high - low, beyond = x < low ? low - x : x - high;
    if (x >= low && x <= high)
        return x;
    if (!(range > 0))
        return low;
    float rest = fmodf(beyond, range);
    bool even = fmodf(floorf(beyond / range), 2) == 0;
    return (x < low) == even ? low + rest : high - rest;
}

static float limited(float x, float low, float high)
{
    return x > low ? (x < high ? x : high) : low; /* NaN: low */
}

/* A coordinate of -1..1 among the elements of an axis, which lie at 0..in-1. */
static float place_of(const struct grid *g, int axis, float coordinate)
{
    float extent = (float)g->in[axis];
    float x = g->align_corners ? (coordinate + 1) / 2 * (extent - 1)
                               : ((coordinate + 1) * extent - 1) / 2;
    if (g->mode == NEAREST)
        x = g->axes == 3 ? roundf(x) : rintf(x); /* as PyTorch, which knows these two */
    float low = g->align_corners ? 0 : -0.5f;
    float high = g->align_corners ? extent - 1 : extent - 0.5f;
    /* The cubic takes its neighbours from around the place itself, and the border for those
     * that are not there (PyTorch, ONNX Runtime): it may overshoot as it does elsewhere. */
    if (g->padding == BORDER && g->mode != CUBIC && !(x >= low && x <= high))
        x = limited(x, 0, extent - 1);
    if (g->padding == REFLECTION)
        x = limited(reflected(x, low, high), -1, extent);
    /* So far outside all places are alike, and they fit into an int64_t. */
    return limited(x, -1e9f, 1e10f);
}

/* An element's number, or the one that stands for it; -1: nothing does. */
static int64_t element_of(const struct grid *g, int axis, int64_t i)
{
    int64_t last = g->in[axis] - 1;
    if (i >= 0 && i <= last)
        return i;
    if (g->padding == ZEROS)
        return -1;
    if (g->padding == BORDER)
        return i < 0 ? 0 : last;
    float border = g->align_corners ? 0 : 0.5f;
    return (int64_t)limited(reflected((float)i, -border, (float)last + border), 0, (float)last);
}

static void cubic_shares(float x, float *w)
{
    const float a = -0.75f;
    for (int i = 0; i < 4; i++) {
        float d = fabsf(x + 1 - (float)i);
        w[i] = d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1
                      : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
    }
}

/* The neighbours of a place along one axis, and their shares. */
static void spread(const struct grid *g, int axis, float place, int64_t *element, float *share)
{
    float whole = floorf(place), rest = place - whole;
    int64_t first = (int64_t)whole - (g->mode == CUBIC);
    if (g->mode == CUBIC) {
        cubic_shares(rest, share);
    } else {
        share[0] = g->mode == LINEAR ? 1 - rest : 1;
        share[1] = rest;
    }
    for (int i = 0; i < g->reach; i++) {
        element[i] = element_of(g, axis, first + i);
        if (element[i] < 0) {
            element[i] = 0;
            share[i] = 0;
        }
    }
}

/* --- all axes ----------------------------------------------------------------------------- */

/* One place; its taps are `step` apart. A grid names the last axis first. */
static void find_taps(const struct grid *g, const float *coordinates, int32_t *index,
                      float *weight, int64_t step)
{
    int64_t element[AXES][REACH];
    float share[AXES][REACH];
    for (int a = 0; a < g->axes; a++)
        spread(g, a, place_of(g, a, coordinates[g->axes - 1 - a]), element[a], share[a]);
    for (int t = 0; t < g->taps; t++) {
        int64_t at = 0;
        float w = 1;
        for (int a = 0, rest = t, digit = g->taps; a < g->axes; a++, rest %= digit) {
            digit /= g->reach;
            at = at * g->in[a] + element[a][rest / digit];
            w *= share[a][rest / digit];
        }
        index[t * step] = (int32_t)at;
        weight[t * step] = w;
    }
}

static int forward(struct nn_op_call *call)
{
    const struct grid *g = call->state;
    const float *x = call->inputs[0].data, *grid = call->inputs[1].data;
    float *y = call->outputs[0].data, *weight = call->workspace;
    int32_t *index = (int32_t *)(weight + BLOCK * g->taps);
    for (int64_t n = 0; n < g->batch; n++) {
        for (int64_t start = 0; start < g->places; start += BLOCK) {
            int64_t count = g->places - start < BLOCK ? g->places - start : BLOCK;
            for (int64_t i = 0; i < count; i++, grid += g->axes)
                find_taps(g, grid, index + i, weight + i, count);
            for (int64_t c = 0; c < g->channels; c++)
                call->kernels->pick(y + c * g->places + start, x + c * g->in_size, index,
                                    weight, (size_t)g->taps, (size_t)count);
        }
        x += g->channels * g->in_size;
        y += g->channels * g->places;
    }
    return 0;
}

/* Image and grid have the batch in common. */
static bool sample_time(const struct nn_op_call *call, const int *in, int *out)
{
    (void)call;
    out[0] = 0;
    return in[0] == 0 && in[1] == 0;
}

/* --- AffineGrid --------------------------------------------------------------------------- */

static int infer_affine(struct nn_op_call *call)
{
    const struct nn_shape *theta = &call->inputs[0].shape;
    int64_t size[NN_MAX_RANK];
    bool late = false;
    int r = nn_op_require_type(call, 0, NN_TYPE_FLOAT);
    if (r < 0)
        return r;
    int rank = nn_op_sizes(call, 1, "size", size, NN_MAX_RANK, &late);
    if (rank < 0)
        return rank;
    int axes = rank - 2;
    if ((axes != 2 && axes != 3) || theta->rank != 3 || theta->dim[0] != size[0] ||
        theta->dim[1] != axes || theta->dim[2] != axes + 1)
        return nn_op_fail(call, -EINVAL,
                          "theta must be (batch, 2, 3) for a size of 4 numbers, (batch, 3, 4) "
                          "for one of 5");
    struct nn_tensor *y = &call->outputs[0];
    y->type = NN_TYPE_FLOAT;
    y->late = late;
    y->shape = (struct nn_shape){.rank = rank, .dim = {size[0]}};
    for (int i = 0; i < axes; i++) {
        if (size[2 + i] < 0)
            return nn_op_fail(call, -EINVAL, "size has the value %lld", (long long)size[2 + i]);
        y->shape.dim[1 + i] = size[2 + i];
    }
    y->shape.dim[1 + axes] = axes;
    return 0;
}

/* The i-th of `count` places from -1 to 1: the corners, or the middles of as many parts. */
static float coordinate(int64_t i, int64_t count, bool align_corners)
{
    if (align_corners)
        return count > 1 ? -1 + 2 * (float)i / (float)(count - 1) : -1;
    return -1 + (2 * (float)i + 1) / (float)count;
}

static int affine(struct nn_op_call *call)
{
    const struct nn_shape *shape = &call->outputs[0].shape;
    const int axes = shape->rank - 2;
    const bool align = nn_op_int(call, "align_corners", 0) != 0;
    const int64_t places = nn_shape_extent(shape, 1, 1 + axes);
    const float *theta = call->inputs[0].data;
    float *y = call->outputs[0].data;
    for (int64_t n = 0; n < shape->dim[0]; n++, theta += axes * (axes + 1))
        for (int64_t p = 0; p < places; p++) {
            float at[AXES + 1];
            int64_t rest = p;
            for (int a = 0; a < axes; a++) {
                int64_t extent = shape->dim[axes - a];
                at[a] = coordinate(rest % extent, extent, align);
                rest /= extent;
            }
            at[axes] = 1;
            for (int row = 0; row < axes; row++) {
                float sum = 0;
                for (int a = 0; a <= axes; a++)
                    sum += theta[row * (axes + 1) + a] * at[a];
                *y++ = sum;
            }
        }
    return 0;
}

static const struct nn_attribute_rule sample_rules[] = {
    {"align_corners", NN_ATTRIBUTE_INT, 0, 0},
    {"mode", NN_ATTRIBUTE_STRING, 0, 0},
    {"padding_mode", NN_ATTRIBUTE_STRING, 0, 0},
    {0},
};
static const struct nn_attribute_rule affine_rules[] = {
    {"align_corners", NN_ATTRIBUTE_INT, 0, 0}, {0}};

const struct nn_op nn_op_grid_sample = {
    .name = "GridSample",
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = sample_rules,
    .infer = infer,
    .prepare = prepare,
    .forward = forward,
    .time = sample_time,
};

const struct nn_op nn_op_affine_grid = {
    .name = "AffineGrid",
    .min_inputs = 2,
    .max_inputs = 2,
    .min_outputs = 1,
    .max_outputs = 1,
    .attributes = affine_rules,
    .infer = infer_affine,
    .forward = affine,
};
