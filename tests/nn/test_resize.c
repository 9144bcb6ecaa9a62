/* Resize and Upsample against the formulas of the specification, one output at a time. */
#include <errno.h>
#include <math.h>

#include "tests/nn/net.h"

enum { MAX_RANK = 4, MAX_FLOATS = 16384 };

struct resize {
    int rank;
    int64_t in[MAX_RANK], out[MAX_RANK];
    float scale[MAX_RANK], roi[2 * MAX_RANK];
    const char *mode, *place, *rounding;
    bool antialias, exclude, sizes;
    float a;
};

static struct onnx_dims dims_of(int rank, const int64_t *extents)
{
    struct onnx_dims dims = {.rank = rank};
    memcpy(dims.dim, extents, (size_t)rank * sizeof *extents);
    return dims;
}

/* --- the definition ----------------------------------------------------------------------- */

static double scale_of(const struct resize *z, int axis)
{
    return z->sizes ? (double)z->out[axis] / (double)z->in[axis] : z->scale[axis];
}

static double place_of(const struct resize *z, int axis, int64_t o)
{
    double scale = scale_of(z, axis), in = (double)z->in[axis], out = (double)z->out[axis];
    if (strcmp(z->place, "half_pixel") == 0)
        return ((double)o + 0.5) / scale - 0.5;
    if (strcmp(z->place, "half_pixel_symmetric") == 0) {
        double adjustment = out / (scale * in);
        return in / 2 * (1 - adjustment) + ((double)o + 0.5) / scale - 0.5;
    }
    if (strcmp(z->place, "pytorch_half_pixel") == 0)
        return out > 1 ? ((double)o + 0.5) / scale - 0.5 : 0;
    if (strcmp(z->place, "align_corners") == 0)
        return out > 1 ? (double)o * (in - 1) / (out - 1) : 0;
    if (strcmp(z->place, "asymmetric") == 0)
        return (double)o / scale;
    if (strcmp(z->place, "tf_half_pixel_for_nn") == 0)
        return ((double)o + 0.5) / scale;
    double from = z->roi[axis], to = z->roi[z->rank + axis];
    return out > 1 ? from * (in - 1) + (double)o * (to - from) * (in - 1) / (out - 1)
                   : 0.5 * (from + to) * (in - 1);
}

static double nearest(const struct resize *z, double x)
{
    x = nearbyint(x * 0x1p30) * 0x1p-30; /* halves are halves, rounding errors apart */
    double whole = floor(x), rest = x - whole;
    if (strcmp(z->rounding, "floor") == 0)
        return whole;
    if (strcmp(z->rounding, "ceil") == 0)
        return rest > 0 ? whole + 1 : whole;
    bool up = strcmp(z->rounding, "round_prefer_ceil") == 0 ? rest >= 0.5 : rest > 0.5;
    return up ? whole + 1 : whole;
}

static double filter(const struct resize *z, double x)
{
    double a = z->a;
    x = fabs(x);
    if (strcmp(z->mode, "linear") == 0)
        return x < 1 ? 1 - x : 0;
    if (x <= 1)
        return (a + 2) * x * x * x - (a + 3) * x * x + 1;
    return x < 2 ? a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a : 0;
}

static double element(const struct resize *z, const float *x, int axis, const int64_t *at);

/* Input `i` of an axis, the border's where there is none. */
static double neighbour(const struct resize *z, const float *x, int axis, const int64_t *at,
                        double i)
{
    int64_t size = 1, from = (int64_t)fmin(fmax(i, 0), (double)z->in[axis] - 1);
    for (int d = axis + 1; d < z->rank; d++)
        size *= z->in[d];
    return element(z, x + from * size, axis + 1, at);
}

static double element(const struct resize *z, const float *x, int axis, const int64_t *at)
{
    if (axis == z->rank)
        return *x;
    double place = place_of(z, axis, at[axis]), last = (double)z->in[axis] - 1;
    if (strcmp(z->place, "tf_crop_and_resize") == 0 && (place < 0 || place > last))
        return -7;
    if (strcmp(z->mode, "nearest") == 0)
        return neighbour(z, x, axis, at, nearest(z, place));
    double narrow = z->antialias ? fmin(scale_of(z, axis), 1) : 1, sum = 0, total = 0;
    for (double i = floor(place) - 40; i <= place + 40; i++) {
        double w = filter(z, narrow * (i - place));
        if (w == 0 || (z->exclude && (i < 0 || i > last)))
            continue;
        sum += w * neighbour(z, x, axis, at, i);
        total += w;
    }
    return sum / total;
}

/* --- the comparison ----------------------------------------------------------------------- */

static struct onnx build(const struct resize *z)
{
    struct onnx o = onnx_start(strcmp(z->place, "tf_half_pixel_for_nn") == 0 ? 11 : 19);
    onnx_input(&o, "x", 1, dims_of(z->rank, z->in));
    if (z->sizes)
        onnx_ints(&o, "sizes", DIMS(z->rank), z->out);
    else
        onnx_floats(&o, "scales", DIMS(z->rank), z->scale);
    onnx_floats(&o, "roi", DIMS(2 * z->rank), z->roi);
    onnx_floats(&o, "none", DIMS(0), z->scale);
    onnx_node(&o, "Resize", z->sizes ? "x roi none sizes" : "x roi scales", "y");
    onnx_attribute_text(&o, "mode", z->mode);
    onnx_attribute_text(&o, "coordinate_transformation_mode", z->place);
    onnx_attribute_text(&o, "nearest_mode", z->rounding);
    onnx_attribute_float(&o, "cubic_coeff_a", z->a);
    onnx_attribute_int(&o, "exclude_outside", z->exclude);
    onnx_attribute_float(&o, "extrapolation_value", -7);
    if (z->antialias)
        onnx_attribute_int(&o, "antialias", 1);
    onnx_output(&o, "y", 1, SCALAR);
    return o;
}

static void check(const struct resize *z, enum nn_kernel_choice kernels)
{
    static float x[MAX_FLOATS];
    size_t count = onnx_dims_count(dims_of(z->rank, z->in));
    ck_assert_uint_le(count, MAX_FLOATS);
    net_fill(x, count, 5);
    struct onnx o = build(z);
    struct net net =
        net_plan(net_load(&o), &(struct nn_plan_options){.kernels = kernels, .time_axis = -1});
    net_expect_shape(&net, 0, dims_of(z->rank, z->out));
    net_set(&net, 0, x);
    net_run(&net);
    const float *y = net_floats(&net, 0);
    int64_t at[MAX_RANK] = {0};
    for (size_t i = 0; i < onnx_dims_count(dims_of(z->rank, z->out)); i++) {
        double want = element(z, x, 0, at);
        if (!(fabs(y[i] - want) <= 3e-6))
            ck_abort_msg("%s %s %s of rank %d: [%zu] is %.9g, not %.9g", z->mode, z->place,
                         z->rounding, z->rank, i, y[i], want);
        for (int d = z->rank - 1; d >= 0 && ++at[d] == z->out[d]; d--)
            at[d] = 0;
    }
    net_free(&net);
}

static struct resize draw(uint32_t *seed)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const places[] = {
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
        "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize",
    };
    static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                            "ceil"};
    static const float scales[] = {1, 1, 2, 0.5f, 0.75f, 1.25f, 2.625f, 3, 0.1875f};
    struct resize z = {
        .rank = (int)net_pick(seed, 1, MAX_RANK),
        .mode = modes[net_pick(seed, 0, 2)],
        .place = places[net_pick(seed, 0, 6)],
        .rounding = roundings[net_pick(seed, 0, 3)],
        .exclude = net_pick(seed, 0, 1),
        .a = net_pick(seed, 0, 1) ? -0.75f : -0.5f,
    };
    bool old = strcmp(z.place, "tf_half_pixel_for_nn") == 0;
    z.antialias = !old && strcmp(z.mode, "nearest") != 0 && net_pick(seed, 0, 1);
    z.sizes = strcmp(z.place, "align_corners") == 0 || net_pick(seed, 0, 1);
    for (int d = 0; d < z.rank; d++) {
        z.scale[d] = scales[net_pick(seed, 0, 8)];
        do
            z.in[d] = net_pick(seed, 1, z.rank > 3 ? 6 : 12);
        while ((int64_t)(z.scale[d] * (float)z.in[d]) == 0);
        z.out[d] = (int64_t)(z.scale[d] * (float)z.in[d]);
        z.roi[d] = (float)net_pick(seed, -2, 4) / 8;
        z.roi[z.rank + d] = (float)net_pick(seed, 4, 10) / 8;
    }
    return z;
}

START_TEST(random_resizes_equal_their_definition)
{
    uint32_t seed = (uint32_t)_i + 1;
    for (int n = 0; n < 200; n++) {
        struct resize z = draw(&seed);
        check(&z, n % 4 == 0 ? NN_KERNELS_REFERENCE : NN_KERNELS_BEST);
    }
}
END_TEST

START_TEST(images_are_enlarged_and_shrunk_right_at_their_usual_sizes)
{
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const int64_t sizes[][4] = {{20, 20, 40, 40}, {33, 47, 66, 94}, {40, 60, 17, 91},
                                       {64, 64, 16, 16}, {1, 9, 30, 1},    {7, 90, 21, 90}};
    for (size_t i = 0; i < 3 * sizeof sizes / sizeof sizes[0]; i++) {
        const int64_t *s = sizes[i / 3];
        struct resize z = {
            .rank = 4,
            .in = {1, 2, s[0], s[1]},
            .out = {1, 2, s[2], s[3]},
            .mode = modes[i % 3],
            .place = "half_pixel",
            .rounding = "floor",
            .sizes = true,
            .a = -0.75f,
        };
        check(&z, NN_KERNELS_BEST);
        z.place = "asymmetric";
        check(&z, NN_KERNELS_BEST);
    }
}
END_TEST

static struct onnx nearest_of(int type, struct onnx_dims dims, int64_t opset, const char *op,
                              const float *scales)
{
    struct onnx o = onnx_start(opset);
    onnx_input(&o, "x", type, dims);
    onnx_floats(&o, "s", DIMS(dims.rank), scales);
    onnx_output(&o, "y", type, SCALAR);
    onnx_node(&o, op, opset > 10 ? "x - s" : "x s", "y");
    return o;
}

START_TEST(nearest_takes_elements_of_any_size)
{
    static const struct {
        int type;
        size_t bytes;
    } types[] = {{1, 4}, {2, 1}, {3, 1}, {4, 2}, {6, 4}, {7, 8}, {9, 1}};
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        struct onnx o = nearest_of(types[t].type, DIMS(2, 3), 13, "Resize", (float[]){2, 2.5f});
        struct net net = net_make(&o);
        net_expect_shape(&net, 0, DIMS(4, 7));
        uint8_t x[6 * 8], *y = nn_session_output(net.session, 0)->data;
        for (size_t i = 0; i < sizeof x; i++)
            x[i] = types[t].type == 9 ? i % 2 : (uint8_t)(7 * i + 1);
        net_set(&net, 0, x);
        net_run(&net);
        /* Column 2 lies at 2.5/2.5 - 0.5: halfway, and the lower is preferred. */
        static const int columns[] = {0, 0, 0, 1, 1, 2, 2};
        for (int i = 0; i < 28; i++)
            ck_assert_mem_eq(y + (size_t)i * types[t].bytes,
                             x + (size_t)(i / 14 * 3 + columns[i % 7]) * types[t].bytes,
                             types[t].bytes);
        net_free(&net);
    }
    struct onnx o = nearest_of(2, DIMS(2, 3), 13, "Resize", (float[]){2, 2});
    onnx_attribute_text(&o, "mode", "linear");
    net_expect_refused(&o, -ENOTSUP, "its input is uint8");
}
END_TEST

START_TEST(a_third_in_float32_is_still_a_third)
{
    float x[9], want[3] = {0, 3, 6};
    for (int i = 0; i < 9; i++)
        x[i] = (float)i;
    struct onnx o = nearest_of(1, DIMS(9), 13, "Resize", (float[]){1 / 3.0f});
    onnx_attribute_text(&o, "coordinate_transformation_mode", "asymmetric");
    onnx_attribute_text(&o, "nearest_mode", "floor");
    struct net net = net_make(&o);
    net_set(&net, 0, x);
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(3), want);
    net_free(&net);
    /* 3 · 1.66666663 is 5 where extents are computed in float32. */
    o = nearest_of(1, DIMS(3), 13, "Resize", (float[]){5 / 3.0f});
    net = net_make(&o);
    net_expect_shape(&net, 0, DIMS(5));
    net_free(&net);
}
END_TEST

START_TEST(the_oldest_forms_are_understood)
{
    static const float x[] = {1, 2, 3, 4, 5, 6, 7, 8};
    /* Opset 10: shrinking takes the next input, enlarging the one before. */
    struct onnx o = nearest_of(1, DIMS(2, 4), 10, "Resize", (float[]){0.6f, 0.6f});
    struct net net = net_make(&o);
    net_set(&net, 0, x);
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(1, 2), (float[]){1, 3});
    net_free(&net);
    o = nearest_of(1, DIMS(2, 4), 9, "Upsample", (float[]){1, 1.5f});
    net = net_make(&o);
    net_set(&net, 0, x);
    net_run(&net);
    net_expect_floats(&net, 0, DIMS(2, 6), (float[]){1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8});
    net_free(&net);
    for (int64_t opset = 1; opset <= 7; opset += 6) {
        o = onnx_start(opset);
        onnx_input(&o, "x", 1, DIMS(1, 1, 1, 2));
        onnx_node(&o, "Upsample", "x", "y");
        onnx_attribute_text(&o, "mode", "linear");
        if (opset == 7)
            onnx_attribute_floats(&o, "scales", 4, (float[]){1, 1, 2, 2});
        else {
            onnx_attribute_float(&o, "height_scale", 2);
            onnx_attribute_float(&o, "width_scale", 2);
        }
        onnx_output(&o, "y", 1, SCALAR);
        net = net_make(&o);
        net_set(&net, 0, x);
        net_run(&net);
        net_expect_floats(&net, 0, DIMS(1, 1, 2, 4), (float[]){1, 1.5f, 2, 2, 1, 1.5f, 2, 2});
        net_free(&net);
    }
}
END_TEST

START_TEST(an_aspect_ratio_is_kept_among_the_named_axes)
{
    static const struct {
        const char *policy;
        int64_t height, width;
    } cases[] = {{"stretch", 6, 5}, {"not_larger", 3, 5}, {"not_smaller", 6, 12}};
    for (int i = 0; i < 3; i++) {
        struct onnx o = onnx_start(18);
        onnx_input(&o, "x", 1, DIMS(2, 4, 3, 1));
        onnx_ints(&o, "sizes", DIMS(2), (int64_t[]){5, 6});
        onnx_node(&o, "Resize", "x - - sizes", "y");
        onnx_attribute_ints(&o, "axes", 2, (int64_t[]){1, -4});
        onnx_attribute_text(&o, "keep_aspect_ratio_policy", cases[i].policy);
        onnx_output(&o, "y", 1, SCALAR);
        struct net net = net_make(&o);
        net_expect_shape(&net, 0, DIMS(cases[i].height, cases[i].width, 3, 1));
        net_free(&net);
    }
}
END_TEST

START_TEST(nothing_becomes_nothing)
{
    struct onnx o = nearest_of(1, DIMS(2, 3), 13, "Resize", (float[]){0.25f, 2});
    struct net net = net_make(&o);
    net_run(&net);
    net_expect_shape(&net, 0, DIMS(0, 6));
    net_free(&net);
}
END_TEST

/* A picture made as high as a run finds numbers that are not zero. */
START_TEST(a_size_may_be_decided_by_each_run)
{
    static const char *const modes[] = {"nearest", "linear"};
    for (int m = 0; m < 2; m++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, DIMS(2, 3));
        onnx_input(&o, "chosen", 1, DIMS(5));
        onnx_output(&o, "y", 1, SCALAR);
        onnx_ints(&o, "one", DIMS(1), (int64_t[]){1});
        onnx_ints(&o, "three", DIMS(1), (int64_t[]){3});
        onnx_node(&o, "NonZero", "chosen", "n");
        onnx_node(&o, "Shape", "n", "shape");
        onnx_node(&o, "Gather", "shape one", "count");
        onnx_node(&o, "Concat", "count three", "sizes");
        onnx_attribute_int(&o, "axis", 0);
        onnx_node(&o, "Resize", "x - - sizes", "y");
        onnx_attribute_text(&o, "mode", modes[m]);
        struct net net = net_make(&o);
        net_set(&net, 0, (float[]){0, 1, 2, 4, 5, 6});
        net_set(&net, 1, (float[]){1, 0, 1, 1, 1});
        net_run(&net);
        net_expect_floats(&net, 0, DIMS(4, 3),
                          m == 0 ? (float[]){0, 1, 2, 0, 1, 2, 4, 5, 6, 4, 5, 6}
                                 : (float[]){0, 1, 2, 1, 2, 3, 3, 4, 5, 4, 5, 6});
        net_set(&net, 1, (float[]){0, 0, 1, 0, 0});
        net_run(&net);
        net_expect_floats(&net, 0, DIMS(1, 3),
                          m == 0 ? (float[]){0, 1, 2} : (float[]){2, 3, 4});
        net_set(&net, 1, (float[]){0, 0, 0, 0, 0});
        net_run(&net);
        net_expect_shape(&net, 0, DIMS(0, 3));
        net_free(&net);
    }
}
END_TEST

struct refusal {
    int code;
    const char *text, *inputs;
    int64_t axes[2], sizes[2];
    float scales[2], roi[4];
    const char *attribute, *value;
};

START_TEST(what_cannot_be_is_refused_by_name)
{
    static const char place[] = "coordinate_transformation_mode";
    static const struct refusal cases[] = {
        {-EINVAL, "either scales or sizes", "x"},
        {-EINVAL, "either scales or sizes", "x - s z", .sizes = {2, 2}, .scales = {1, 1}},
        {-EINVAL, "scales has the value 0", "x - s", .scales = {0, 1}},
        {-EINVAL, "scales has the value nan", "x - s", .scales = {NAN, 1}},
        {-EINVAL, "scales has the value -1", "x - s", .scales = {1, -1}},
        {-E2BIG, "dimension 0 would be 2e+30", "x - s", .scales = {1e30f, 1}},
        {-E2BIG, "too large", "x - s", .scales = {1e6f, 1e6f}},
        {-EINVAL, "sizes asks for -3 of 2", "x - - z", .sizes = {-3, 1}},
        {-E2BIG, "too large", "x - - z", .sizes = {INT32_MAX, INT32_MAX}},
        {-EINVAL, "axis 2 is outside", "x - s", .axes = {0, 2}, .scales = {1, 1}},
        {-EINVAL, "axis 1 is named twice", "x - s", .axes = {1, -1}, .scales = {1, 1}},
        {-EINVAL, "mode is 'lanczos'", "x - s", .scales = {1, 1}, .attribute = "mode",
         .value = "lanczos"},
        {-EINVAL, "nearest_mode is 'up'", "x - s", .scales = {1, 1},
         .attribute = "nearest_mode", .value = "up"},
        {-EINVAL, "is 'middle'", "x - s", .scales = {1, 1}, .attribute = place,
         .value = "middle"},
        {-EINVAL, "needs roi", "x - s", .scales = {1, 1}, .attribute = place,
         .value = "tf_crop_and_resize"},
        {-EINVAL, "roi has the value inf", "x r s", .scales = {1, 1}, .attribute = place,
         .value = "tf_crop_and_resize", .roi = {0, 0, INFINITY, 1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct refusal *c = &cases[i];
        struct onnx o = onnx_start(19);
        onnx_input(&o, "x", 1, DIMS(2, 3));
        onnx_ints(&o, "z", DIMS(2), c->sizes);
        onnx_floats(&o, "s", DIMS(2), c->scales);
        onnx_floats(&o, "r", DIMS(4), c->roi);
        onnx_node(&o, "Resize", c->inputs, "y");
        if (c->axes[1] != 0)
            onnx_attribute_ints(&o, "axes", 2, c->axes);
        if (c->attribute)
            onnx_attribute_text(&o, c->attribute, c->value);
        onnx_output(&o, "y", 1, SCALAR);
        net_expect_refused(&o, c->code, c->text);
    }
    struct onnx o = nearest_of(1, DIMS(2, 4), 19, "Resize", (float[]){1, 0.6f});
    onnx_attribute_text(&o, place, "align_corners");
    onnx_attribute_text(&o, "mode", "linear");
    net_expect_refused(&o, -ENOTSUP, "2.4 of dimension 1 is read in two ways; give sizes");
    o = nearest_of(1, DIMS(2, 4), 18, "Resize", (float[]){1, 1});
    onnx_attribute_int(&o, "antialias", 1);
    net_expect_refused(&o, -EINVAL, "antialias goes with linear and cubic only");
}
END_TEST

START_TEST(a_filter_wider_than_memory_is_refused)
{
    struct onnx o = onnx_start(19);
    onnx_input(&o, "x", 1, DIMS(1 << 30));
    onnx_ints(&o, "z", DIMS(1), (int64_t[]){4});
    onnx_node(&o, "Resize", "x - - z", "y");
    onnx_attribute_text(&o, "mode", "cubic");
    onnx_attribute_int(&o, "antialias", 1);
    onnx_output(&o, "y", 1, SCALAR);
    struct nn_model *model = net_load(&o);
    struct nn_plan *plan = NULL;
    struct nn_error err = {{0}};
    struct nn_plan_options options = {.time_axis = -1, .limit_bytes = (size_t)1 << 33};
    ck_assert_int_eq(nn_plan_create(model, &options, &plan, &err), -E2BIG);
    ck_assert_msg(strstr(err.text, "dimension 0 shrinks too far"), "%s", err.text);
    nn_model_unref(model);
}
END_TEST

/* Frames on axis 0 and 2: apart unless that axis is resized. */
START_TEST(frames_are_resized_one_by_one)
{
    static const float scales[][3] = {{1, 2, 2}, {1, 2, 1}, {2, 1, 1}, {1, 1, 0.5f}};
    static const struct {
        int axis, scales;
        bool per_frame;
    } cases[] = {{0, 0, true}, {2, 1, true}, {0, 2, false}, {2, 3, false}};
    for (int i = 0; i < 4; i++) {
        struct onnx o = nearest_of(1, DIMS(4, 6, 8), 13, "Resize", scales[cases[i].scales]);
        onnx_attribute_text(&o, "mode", "linear");
        struct net net =
            net_plan(net_load(&o), &(struct nn_plan_options){.time_axis = cases[i].axis});
        struct nn_plan_info info;
        nn_plan_describe(net.plan, &info);
        ck_assert_int_eq(info.frame_nodes, cases[i].per_frame);
        net_free(&net);
    }
}
END_TEST

static const struct residual {
    int64_t in[2], out[2];
    const char *mode, *place, *rounding, *sum;
    int fused;
} residuals[] = {
    {{5, 20}, {10, 40}, "nearest", "asymmetric", "floor", "r z", 1},
    {{5, 10}, {10, 20}, "nearest", "half_pixel", "round_prefer_floor", "z r", 1},
    {{1, 3}, {5, 6}, "nearest", "asymmetric", "floor", "z r", 1},
    {{7, 33}, {7, 66}, "nearest", "asymmetric", "floor", "r z", 1},
    {{7, 33}, {14, 33}, "nearest", "asymmetric", "floor", "r z", 1},
    {{5, 16}, {10, 32}, "nearest", "asymmetric", "ceil", "r z", 1},
    {{5, 9}, {15, 27}, "nearest", "asymmetric", "floor", "r z", 1},
    {{5, 9}, {5, 9}, "nearest", "asymmetric", "floor", "r z", 1},
    {{5, 20}, {10, 40}, "linear", "half_pixel", "floor", "r z", 1},
    {{8, 8}, {5, 19}, "cubic", "align_corners", "floor", "z r", 1},
    {{5, 20}, {10, 40}, "nearest", "asymmetric", "floor", "r r", 0},
    {{5, 20}, {10, 40}, "nearest", "asymmetric", "floor", "r row", 0},
    {{5, 20}, {10, 40}, "nearest", "asymmetric", "floor", "r later", 0},
};

/* The sum of a Resize with what is there before it: the reference keeps both apart. */
START_TEST(a_residual_is_added_by_the_resize_before_it)
{
    for (int i = 0; i < (int)(sizeof residuals / sizeof residuals[0]); i++) {
        const struct residual *v = &residuals[i];
        float row[66];
        net_fill(row, 66, 4);
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, DIMS(2, 3, v->in[0], v->in[1]));
        onnx_input(&o, "z", 1, DIMS(2, 3, v->out[0], v->out[1]));
        onnx_ints(&o, "sizes", DIMS(4), (int64_t[]){2, 3, v->out[0], v->out[1]});
        onnx_floats(&o, "row", DIMS(1, v->out[1]), row);
        onnx_node(&o, "Resize", "x - - sizes", "r");
        onnx_attribute_text(&o, "mode", v->mode);
        onnx_attribute_text(&o, "coordinate_transformation_mode", v->place);
        onnx_attribute_text(&o, "nearest_mode", v->rounding);
        onnx_node(&o, "Neg", "z", "later");
        onnx_node(&o, "Add", v->sum, "y");
        onnx_output(&o, "y", 1, SCALAR);
        struct nn_model *model = net_load(&o);
        struct net nets[2];
        for (int k = 0; k < 2; k++) {
            nets[k] = net_plan(
                nn_model_ref(model),
                &(struct nn_plan_options){.kernels = k ? NN_KERNELS_REFERENCE : NN_KERNELS_BEST,
                                          .time_axis = -1});
            for (uint32_t j = 0; j < 2; j++) {
                const struct nn_tensor *x = nn_session_input(nets[k].session, j);
                net_fill(x->data, (size_t)nn_shape_count(&x->shape), 9 + j);
            }
            net_run(&nets[k]);
        }
        int fused = 0;
        for (size_t l = 0; l < nn_plan_layer_count(nets[0].plan); l++)
            fused += nn_plan_layer(nets[0].plan, l)->fused_into >= 0;
        ck_assert_msg(fused == v->fused, "variant %d: %d fused", i, fused);
        net_expect_floats(&nets[0], 0, DIMS(2, 3, v->out[0], v->out[1]),
                          net_floats(&nets[1], 0));
        net_free(&nets[0]);
        net_free(&nets[1]);
        nn_model_unref(model);
    }
}
END_TEST

START_TEST(integers_are_added_behind_a_resize)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 6, DIMS(1, 2));
    onnx_input(&o, "z", 6, DIMS(2, 4));
    onnx_floats(&o, "s", DIMS(2), (float[]){2, 2});
    onnx_node(&o, "Resize", "x - s", "r");
    onnx_node(&o, "Add", "r z", "y");
    onnx_output(&o, "y", 6, SCALAR);
    struct net net = net_make(&o);
    net_set(&net, 0, (int32_t[]){1 << 30, 1 << 24});
    net_set(&net, 1, (int32_t[]){1, 2, 3, 4, 5, 6, 7, 8});
    net_run(&net);
    int32_t want[8];
    for (int i = 0; i < 8; i++)
        want[i] = (i % 4 < 2 ? 1 << 30 : 1 << 24) + i + 1;
    ck_assert_mem_eq(nn_session_output(net.session, 0)->data, want, sizeof want);
    net_free(&net);
}
END_TEST

/* In a stream the other value may be one of the window. */
START_TEST(a_resize_per_frame_adds_nothing)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(4, 1, 6, 8));
    onnx_input(&o, "z", 1, DIMS(4, 1, 12, 16));
    onnx_floats(&o, "s", DIMS(4), (float[]){1, 1, 2, 2});
    onnx_node(&o, "Resize", "x - s", "y");
    onnx_node(&o, "Add", "y z", "sum");
    onnx_output(&o, "sum", 1, SCALAR);
    struct net net = net_plan(net_load(&o), &(struct nn_plan_options){.time_axis = 0});
    struct nn_plan_info info;
    nn_plan_describe(net.plan, &info);
    ck_assert_int_eq(info.frame_nodes, 1);
    ck_assert_int_eq(info.window_nodes, 1);
    net_free(&net);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("resize");
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, random_resizes_equal_their_definition, 0, 8);
    tcase_add_test(all, images_are_enlarged_and_shrunk_right_at_their_usual_sizes);
    tcase_add_test(all, nearest_takes_elements_of_any_size);
    tcase_add_test(all, a_third_in_float32_is_still_a_third);
    tcase_add_test(all, the_oldest_forms_are_understood);
    tcase_add_test(all, an_aspect_ratio_is_kept_among_the_named_axes);
    tcase_add_test(all, nothing_becomes_nothing);
    tcase_add_test(all, a_size_may_be_decided_by_each_run);
    tcase_add_test(all, what_cannot_be_is_refused_by_name);
    tcase_add_test(all, a_filter_wider_than_memory_is_refused);
    tcase_add_test(all, frames_are_resized_one_by_one);
    tcase_add_test(all, a_residual_is_added_by_the_resize_before_it);
    tcase_add_test(all, integers_are_added_behind_a_resize);
    tcase_add_test(all, a_resize_per_frame_adds_nothing);
    return suite_run("nn/resize", &all, 1);
}
