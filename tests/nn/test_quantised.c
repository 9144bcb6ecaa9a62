/* Operators on integers of 8 bits (nn/ops/quantize.c, conv_bytes.c, matmul_bytes.c), with the
 * best and the reference kernels, against sums written out here. */
#include <errno.h>
#include <math.h>

#include "tests/nn/net.h"

static void fill_bytes(uint8_t *bytes, size_t count, uint32_t *state)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)net_next(state);
}

static int number(enum nn_type type, const uint8_t *bytes, int64_t i)
{
    return type == NN_TYPE_INT8 ? (int8_t)bytes[i] : bytes[i];
}

static enum nn_type pick_type(uint32_t *state)
{
    return net_next(state) % 2 ? NN_TYPE_INT8 : NN_TYPE_UINT8;
}

static void bytes_initializer(struct onnx *b, const char *name, enum nn_type type,
                              struct onnx_dims dims, const void *values)
{
    onnx_initializer(b, onnx_tensor(name, type, dims, values, onnx_dims_count(dims)));
}

static int saturated(double value, enum nn_type type, int zero)
{
    double low = type == NN_TYPE_INT8 ? -128 : 0, rounded = nearbyint(value) + zero;
    return (int)(rounded < low ? low : rounded > low + 255 ? low + 255 : rounded);
}

/* Runs a model with one input that each of the kernels gives the same output for,
 * and copies it. */
static size_t run_both(struct onnx *b, const void *x, void *y, size_t room)
{
    struct nn_model *model = net_load(b);
    struct nn_model *again = nn_model_ref(model);
    struct net best = net_plan(model, NULL);
    struct nn_plan_options options = {.kernels = NN_KERNELS_REFERENCE, .time_axis = -1};
    struct net reference = net_plan(again, &options);
    net_set(&best, 0, x);
    net_set(&reference, 0, x);
    net_run(&best);
    net_run(&reference);
    const struct nn_tensor *out = nn_session_output(best.session, 0);
    const struct nn_tensor *other = nn_session_output(reference.session, 0);
    size_t bytes = nn_tensor_bytes(out), element = nn_type_size(out->type);
    ck_assert_uint_le(bytes, room);
    ck_assert_uint_eq(bytes, nn_tensor_bytes(other));
    memcpy(y, out->data, bytes);
    for (size_t i = 0; i < bytes; i++)
        if (((uint8_t *)y)[i] != ((const uint8_t *)other->data)[i])
            ck_abort_msg("byte %zu is %d with the best kernels and %d with the reference", i,
                         ((uint8_t *)y)[i], ((const uint8_t *)other->data)[i]);
    net_free(&best);
    net_free(&reference);
    return bytes / element;
}

/* --- convolution -------------------------------------------------------------------------- */

struct shape {
    int64_t batch, groups, in, out; /* channels of one group */
    int64_t height, width, kernel_h, kernel_w, stride, dilation, pads[4];
    enum nn_type x, w, y;
    bool per_channel, runtime;
    int x_zero, y_zero, w_zero[64];
};

enum { MOST = 1 << 15 };

static int64_t extent(const struct shape *s, int axis)
{
    int64_t in = axis == 0 ? s->height : s->width;
    int64_t kernel = axis == 0 ? s->kernel_h : s->kernel_w;
    return (in + s->pads[axis] + s->pads[axis + 2] - (kernel - 1) * s->dilation - 1) /
               s->stride +
           1;
}

/* Σ (x - zero) · (w - zero) of one output. */
static int64_t sum_at(const struct shape *s, const uint8_t *x, const uint8_t *w, int64_t image,
                      int64_t channel, int64_t row, int64_t column)
{
    int64_t sum = 0, group = channel / s->out;
    for (int64_t c = 0; c < s->in; c++)
        for (int64_t k = 0; k < s->kernel_h; k++)
            for (int64_t l = 0; l < s->kernel_w; l++) {
                int64_t i = row * s->stride + k * s->dilation - s->pads[0];
                int64_t j = column * s->stride + l * s->dilation - s->pads[1];
                if (i < 0 || i >= s->height || j < 0 || j >= s->width)
                    continue;
                int64_t plane = image * s->groups * s->in + group * s->in + c;
                int a = number(s->x, x, (plane * s->height + i) * s->width + j) - s->x_zero;
                int b = number(s->w, w,
                               ((channel * s->in + c) * s->kernel_h + k) * s->kernel_w + l);
                sum += a * (b - s->w_zero[s->per_channel ? channel : 0]);
            }
    return sum;
}

static struct shape random_shape(uint32_t *state)
{
    struct shape s = {
        .batch = net_pick(state, 1, 2),
        .groups = net_pick(state, 0, 3) ? 1 : net_pick(state, 2, 6),
        .in = net_pick(state, 1, 9),
        .out = net_pick(state, 1, 10),
        .height = net_pick(state, 6, 20),
        .width = net_pick(state, 6, 37),
        .kernel_h = net_pick(state, 1, 5),
        .kernel_w = net_pick(state, 1, 5),
        .stride = net_pick(state, 1, 3),
        .dilation = net_pick(state, 0, 3) ? 1 : 2,
        .x = pick_type(state),
        .w = pick_type(state),
        .y = pick_type(state),
        .per_channel = net_next(state) % 2,
        .runtime = net_next(state) % 4 == 0,
    };
    if (net_next(state) % 3 == 0) /* depthwise */
        s = (struct shape){.batch = s.batch,
                           .groups = net_pick(state, 2, 9),
                           .in = 1,
                           .out = net_pick(state, 1, 2),
                           .height = s.height,
                           .width = s.width,
                           .kernel_h = s.kernel_h,
                           .kernel_w = s.kernel_w,
                           .stride = s.stride,
                           .dilation = s.dilation,
                           .x = s.x,
                           .w = NN_TYPE_INT8,
                           .y = s.y,
                           .per_channel = s.per_channel};
    s.dilation = s.kernel_h > 3 || s.kernel_w > 3 ? 1 : s.dilation;
    for (int i = 0; i < 4; i++)
        s.pads[i] = net_pick(state, 0, 2);
    s.x_zero =
        (int)net_pick(state, s.x == NN_TYPE_INT8 ? -128 : 0, s.x == NN_TYPE_INT8 ? 127 : 255);
    s.y_zero =
        (int)net_pick(state, s.y == NN_TYPE_INT8 ? -100 : 0, s.y == NN_TYPE_INT8 ? 100 : 255);
    int way = (int)net_pick(state, 0, 2);
    for (int i = 0; i < 64; i++)
        s.w_zero[i] = way == 0 || s.in * s.groups * s.out == s.groups
                          ? (s.w == NN_TYPE_INT8 ? 0 : 128)
                      : way == 1 ? (s.w == NN_TYPE_INT8 ? -128 : 255)
                                 : (int)net_pick(state, s.w == NN_TYPE_INT8 ? -128 : 0,
                                                 s.w == NN_TYPE_INT8 ? 127 : 255);
    return s;
}

/* The weight is a constant, or an input that a run brings. */
static void add_conv(struct onnx *b, const struct shape *s, const char *type,
                     const char *inputs, const uint8_t *w)
{
    struct onnx_dims weight = DIMS(s->groups * s->out, s->in, s->kernel_h, s->kernel_w);
    uint8_t zeros[64];
    for (int i = 0; i < 64; i++)
        zeros[i] = (uint8_t)s->w_zero[i];
    uint8_t x_zero = (uint8_t)s->x_zero;
    onnx_input(b, "x", s->x, DIMS(s->batch, s->groups * s->in, s->height, s->width));
    bytes_initializer(b, "w0", s->w, weight, w);
    bytes_initializer(b, "xz", s->x, SCALAR, &x_zero);
    bytes_initializer(b, "wz", s->w, s->per_channel ? DIMS(s->groups * s->out) : SCALAR, zeros);
    if (s->runtime) { /* Max with what depends on the input is computed in every run */
        onnx_node(b, "Cast", "x", "x_as_w");
        onnx_attribute_int(b, "to", s->w);
        onnx_node(b, "ReduceMin", "x_as_w", "x_least");
        onnx_attribute_int(b, "keepdims", 0);
        onnx_node(b, "Min", "x_least w_lowest", "lowest");
        onnx_node(b, "Max", "w0 lowest", "w");
        uint8_t lowest = s->w == NN_TYPE_INT8 ? 128 : 0;
        bytes_initializer(b, "w_lowest", s->w, SCALAR, &lowest);
    } else {
        onnx_node(b, "Identity", "w0", "w");
    }
    onnx_node(b, type, inputs, "y");
    onnx_attribute_ints(b, "pads", 4, s->pads);
    onnx_attribute_ints(b, "strides", 2, (int64_t[]){s->stride, s->stride});
    onnx_attribute_ints(b, "dilations", 2, (int64_t[]){s->dilation, s->dilation});
    onnx_attribute_int(b, "group", s->groups);
}

START_TEST(convolutions_of_integers_are_exact)
{
    static uint8_t x[MOST], w[MOST];
    static int32_t y[MOST];
    uint32_t state = 7;
    for (int round = 0; round < 150; round++) {
        struct shape s = random_shape(&state);
        struct onnx b = onnx_start(21);
        fill_bytes(x, MOST, &state);
        fill_bytes(w, MOST, &state);
        add_conv(&b, &s, "ConvInteger", "x w xz wz", w);
        onnx_output(&b, "y", NN_TYPE_INT32,
                    DIMS(s.batch, s.groups * s.out, extent(&s, 0), extent(&s, 1)));
        size_t count = run_both(&b, x, y, sizeof y);
        for (size_t i = 0; i < count; i++) {
            int64_t columns = extent(&s, 1), rows = extent(&s, 0), at = (int64_t)i;
            int64_t want = sum_at(&s, x, w, at / columns / rows / (s.groups * s.out),
                                  at / columns / rows % (s.groups * s.out), at / columns % rows,
                                  at % columns);
            if (y[i] != want)
                ck_abort_msg("round %d: sum %zu is %d, not %lld", round, i, y[i],
                             (long long)want);
        }
    }
}
END_TEST

START_TEST(a_quantised_convolution_is_the_rounded_one)
{
    static uint8_t x[MOST], w[MOST], y[MOST];
    uint32_t state = 8;
    for (int round = 0; round < 150; round++) {
        struct shape s = random_shape(&state);
        int64_t channels = s.groups * s.out;
        struct onnx b = onnx_start(21);
        float x_scale = 0.02f, y_scale = 0.7f, w_scale[64];
        int32_t bias[64];
        uint8_t y_zero = (uint8_t)s.y_zero;
        for (int i = 0; i < 64; i++) {
            w_scale[i] = 0.004f * (float)(1 + i % 5);
            bias[i] = (int32_t)net_pick(&state, -20000, 20000);
        }
        fill_bytes(x, MOST, &state);
        fill_bytes(w, MOST, &state);
        add_conv(&b, &s, "QLinearConv", "x xs xz w ws wz ys yz bias", w);
        onnx_floats(&b, "xs", SCALAR, &x_scale);
        onnx_floats(&b, "ys", SCALAR, &y_scale);
        onnx_floats(&b, "ws", s.per_channel ? DIMS(channels) : SCALAR, w_scale);
        bytes_initializer(&b, "yz", s.y, SCALAR, &y_zero);
        onnx_initializer(&b, onnx_tensor("bias", NN_TYPE_INT32, DIMS(channels), bias,
                                         (size_t)channels * sizeof *bias));
        onnx_output(&b, "y", s.y, DIMS(s.batch, channels, extent(&s, 0), extent(&s, 1)));
        size_t count = run_both(&b, x, y, sizeof y);
        for (size_t i = 0; i < count; i++) {
            int64_t columns = extent(&s, 1), rows = extent(&s, 0), at = (int64_t)i;
            int64_t channel = at / columns / rows % channels;
            int64_t sum = sum_at(&s, x, w, at / columns / rows / channels, channel,
                                 at / columns % rows, at % columns);
            double scale = (double)x_scale * w_scale[s.per_channel ? channel : 0] / y_scale;
            double value = (double)(sum + bias[channel]) * scale;
            int got = number(s.y, y, at), want = saturated(value, s.y, s.y_zero);
            /* Half way between two steps float32 may see the other one. */
            bool tie = fabs(fabs(value - floor(value)) - 0.5) < 1e-4;
            if (got != want && !(tie && abs(got - want) == 1))
                ck_abort_msg("round %d: %zu is %d, not %d (%g)", round, i, got, want, value);
        }
    }
}
END_TEST

/* --- products of matrices ----------------------------------------------------------------- */

START_TEST(products_of_integers_are_exact)
{
    static uint8_t a[MOST], w[MOST];
    static int32_t y[MOST];
    uint32_t state = 9;
    for (int round = 0; round < 150; round++) {
        int64_t m = net_pick(&state, 1, 40), k = net_pick(&state, 1, 70),
                n = net_pick(&state, 1, 150);
        enum nn_type at = pick_type(&state), wt = pick_type(&state);
        bool rows = net_next(&state) % 2, columns = net_next(&state) % 2,
             runtime = net_next(&state) % 3 == 0;
        int64_t batch = runtime ? 3 : 1;
        uint8_t az[64], wz[256];
        fill_bytes(a, MOST, &state);
        fill_bytes(w, MOST, &state);
        fill_bytes(az, sizeof az, &state);
        fill_bytes(wz, sizeof wz, &state);
        rows = rows && !runtime;
        struct onnx b = onnx_start(21);
        /* Run-time weights: as many matrices as `a` has, cut out of the one input. */
        struct onnx_dims dims = DIMS(m, k);
        if (runtime) {
            at = wt;
            dims = DIMS(batch * (m * k + k * n));
            while (batch * (m * k + k * n) > MOST || batch * m * n > MOST)
                n = (n + 1) / 2;
            dims.dim[0] = batch * (m * k + k * n);
        }
        onnx_input(&b, "x", at, dims);
        if (runtime) {
            onnx_ints(&b, "parts", DIMS(2), (int64_t[]){batch * m * k, batch * k * n});
            onnx_ints(&b, "a_shape", DIMS(3), (int64_t[]){batch, m, k});
            onnx_ints(&b, "w_shape", DIMS(3), (int64_t[]){batch, k, n});
            onnx_node(&b, "Split", "x parts", "a0 w0");
            onnx_attribute_int(&b, "axis", 0);
            onnx_node(&b, "Reshape", "a0 a_shape", "a");
            onnx_node(&b, "Reshape", "w0 w_shape", "w");
            memcpy(a + batch * m * k, w, (size_t)(batch * k * n));
        } else {
            onnx_node(&b, "Identity", "x", "a");
            bytes_initializer(&b, "w", wt, DIMS(k, n), w);
        }
        bytes_initializer(&b, "az", at, rows ? DIMS(m) : SCALAR, az);
        bytes_initializer(&b, "wz", wt, columns ? DIMS(n) : SCALAR, wz);
        onnx_node(&b, "MatMulInteger", "a w az wz", "y");
        onnx_output(&b, "y", NN_TYPE_INT32, runtime ? DIMS(batch, m, n) : DIMS(m, n));
        run_both(&b, a, y, sizeof y);
        for (int64_t i = 0; i < batch * m * n; i++) {
            int64_t matrix = i / m / n, row = i / n % m, column = i % n, sum = 0;
            for (int64_t d = 0; d < k; d++)
                sum += (number(at, a, (matrix * m + row) * k + d) -
                        number(at, az, rows ? row : 0)) *
                       (number(wt, w, (matrix * k + d) * n + column) -
                        number(wt, wz, columns ? column : 0));
            if (y[i] != sum)
                ck_abort_msg("round %d: sum %lld is %d, not %lld", round, (long long)i, y[i],
                             (long long)sum);
        }
    }
}
END_TEST

START_TEST(a_quantised_product_scales_columns_and_saturates)
{
    const uint8_t a[] = {1, 2, 255, 0}, w[] = {1, (uint8_t)-1, 127, (uint8_t)-128};
    const float as = 0.5f, ws[] = {1, 4}, ys = 2;
    const uint8_t az = 1, wz[] = {0, 0}, yz = 10;
    struct onnx b = onnx_start(21);
    onnx_input(&b, "a", NN_TYPE_UINT8, DIMS(2, 2));
    bytes_initializer(&b, "w", NN_TYPE_INT8, DIMS(2, 2), w);
    onnx_floats(&b, "as", SCALAR, &as);
    onnx_floats(&b, "ws", DIMS(2), ws);
    onnx_floats(&b, "ys", SCALAR, &ys);
    bytes_initializer(&b, "az", NN_TYPE_UINT8, SCALAR, &az);
    bytes_initializer(&b, "wz", NN_TYPE_INT8, DIMS(2), wz);
    bytes_initializer(&b, "yz", NN_TYPE_UINT8, SCALAR, &yz);
    onnx_node(&b, "QLinearMatMul", "a as az w ws wz ys yz", "y");
    onnx_output(&b, "y", NN_TYPE_UINT8, DIMS(2, 2));
    uint8_t y[4];
    run_both(&b, a, y, sizeof y);
    /* Sums {127, -128} and {127, -126}; times 0.25 {1, 4}; rounded, plus 10. */
    const uint8_t want[] = {42, 0, 42, 0};
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(y[i], want[i]);
}
END_TEST

/* --- quantising --------------------------------------------------------------------------- */

START_TEST(quantising_rounds_ties_to_even_and_saturates)
{
    const float scale = 2;
    const uint8_t zero = (uint8_t)-3;
    const float x[] = {0, 1, 3, -1, -3, 5, 1e30f, -1e30f, NAN, 260, -252, INFINITY};
    const int8_t want[] = {-3, -3, -1, -3, -5, -1, 127, -128, -128, 127, -128, 127};
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(12));
    onnx_floats(&b, "s", SCALAR, &scale);
    bytes_initializer(&b, "z", NN_TYPE_INT8, SCALAR, &zero);
    onnx_node(&b, "QuantizeLinear", "x s z", "y");
    onnx_output(&b, "y", NN_TYPE_INT8, DIMS(12));
    int8_t y[12];
    run_both(&b, x, y, sizeof y);
    for (int i = 0; i < 12; i++)
        ck_assert_msg(y[i] == want[i], "%g becomes %d, not %d", (double)x[i], y[i], want[i]);
}
END_TEST

START_TEST(each_index_of_an_axis_may_have_its_scale)
{
    const float scale[] = {1, 2, 4};
    const uint8_t zero[] = {0, 10, 20};
    const float x[] = {8, 9, 8, 9, 8, 10};
    const uint8_t want[] = {8, 9, 14, 14, 22, 22};
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(3, 2));
    onnx_floats(&b, "s", DIMS(3), scale);
    bytes_initializer(&b, "z", NN_TYPE_UINT8, DIMS(3), zero);
    onnx_node(&b, "QuantizeLinear", "x s z", "q");
    onnx_attribute_int(&b, "axis", -2);
    onnx_node(&b, "DequantizeLinear", "q s z", "y");
    onnx_attribute_int(&b, "axis", 0);
    onnx_output(&b, "q", NN_TYPE_UINT8, DIMS(3, 2));
    onnx_output(&b, "y", NN_TYPE_FLOAT, DIMS(3, 2));
    struct net net = net_make(&b);
    net_set(&net, 0, x);
    net_run(&net);
    const uint8_t *q = nn_session_output(net.session, 0)->data;
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(q[i], want[i]);
        ck_assert_float_eq(net_floats(&net, 1)[i],
                           (float)(want[i] - zero[i / 2]) * scale[i / 2]);
    }
    net_free(&net);
}
END_TEST

START_TEST(the_last_block_of_an_axis_may_be_shorter)
{
    /* (2, 5) in blocks of two columns: three scales to a row. */
    const float scale[] = {1, 2, 4, 8, 16, 32};
    const float x[] = {8, 8, 8, 8, 8, 64, 64, 64, 64, 64};
    const int16_t want[] = {8, 8, 4, 4, 2, 8, 8, 4, 4, 2};
    struct onnx b = onnx_start(21);
    onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(2, 5));
    onnx_floats(&b, "s", DIMS(2, 3), scale);
    onnx_node(&b, "QuantizeLinear", "x s", "q");
    onnx_attribute_int(&b, "axis", 1);
    onnx_attribute_int(&b, "block_size", 2);
    onnx_attribute_int(&b, "output_dtype", NN_TYPE_INT16);
    onnx_node(&b, "DequantizeLinear", "q s", "y");
    onnx_attribute_int(&b, "axis", 1);
    onnx_attribute_int(&b, "block_size", 2);
    onnx_output(&b, "q", NN_TYPE_INT16, DIMS(2, 5));
    onnx_output(&b, "y", NN_TYPE_FLOAT, DIMS(2, 5));
    struct net net = net_make(&b);
    net_set(&net, 0, x);
    net_run(&net);
    const int16_t *q = nn_session_output(net.session, 0)->data;
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(q[i], want[i]);
        ck_assert_float_eq(net_floats(&net, 1)[i], x[i]);
    }
    net_free(&net);
}
END_TEST

START_TEST(zeros_alone_have_a_dynamic_scale_of_one)
{
    struct onnx b = onnx_start(11);
    onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(3));
    onnx_node(&b, "DynamicQuantizeLinear", "x", "y s z");
    onnx_output(&b, "y", NN_TYPE_UINT8, DIMS(3));
    onnx_output(&b, "s", NN_TYPE_FLOAT, SCALAR);
    onnx_output(&b, "z", NN_TYPE_UINT8, SCALAR);
    struct net net = net_make(&b);
    const float inputs[][3] = {{0, 0, 0}, {-2, 0, 1}, {1e-44f, 0, 0}, {NAN, INFINITY, -1}};
    const int zeros[] = {0, 170, 0, 1};
    for (int i = 0; i < 4; i++) {
        net_set(&net, 0, inputs[i]);
        net_run(&net);
        float scale = net_floats(&net, 1)[0];
        ck_assert(isfinite(scale) && scale > 0);
        ck_assert_int_eq(*(const uint8_t *)nn_session_output(net.session, 2)->data, zeros[i]);
        if (i == 1)
            ck_assert_float_eq(scale, 3 / 255.0f);
    }
    net_free(&net);
}
END_TEST

/* Refusals. */

static struct onnx one_node(int opset, const char *type, const char *inputs,
                            enum nn_type zero_type, struct onnx_dims scale)
{
    static const float scales[64] = {1};
    static const uint8_t zeros[64];
    struct onnx b = onnx_start(opset);
    onnx_input(&b, "x", NN_TYPE_FLOAT, DIMS(2, 3));
    onnx_input(&b, "q", NN_TYPE_UINT8, DIMS(2, 3));
    onnx_floats(&b, "s", scale, scales);
    onnx_initializer(&b, onnx_tensor("z", zero_type, scale, zeros,
                                     onnx_dims_count(scale) * nn_type_size(zero_type)));
    onnx_output(&b, "y", NN_TYPE_UINT8, DIMS(2, 3));
    onnx_node(&b, type, inputs, "y");
    return b;
}

START_TEST(what_does_not_fit_is_refused_by_name)
{
    static const struct {
        int opset;
        const char *type, *inputs;
        enum nn_type zero;
        struct onnx_dims scale;
        int code;
        const char *text;
    } cases[] = {
        {10, "QuantizeLinear", "x s z", NN_TYPE_UINT8, {1, {3}}, -EINVAL, "one scale"},
        {13, "QuantizeLinear", "x s z", NN_TYPE_UINT8, {1, {2}}, -EINVAL, "does not fit"},
        {19, "QuantizeLinear", "x s z", NN_TYPE_INT16, {0}, -ENOTSUP, "int16"},
        {21, "QuantizeLinear", "x s z", NN_TYPE_INT32, {0}, -ENOTSUP, "int32"},
        {21, "QuantizeLinear", "q s z", NN_TYPE_UINT8, {0}, -ENOTSUP, "uint8"},
        {21, "DequantizeLinear", "q s z", NN_TYPE_INT8, {0}, -EINVAL, "zero point is int8"},
        {21, "DequantizeLinear", "x s", NN_TYPE_INT8, {0}, -ENOTSUP, "float32"},
        {21, "DequantizeLinear", "q x", NN_TYPE_INT8, {0}, -EINVAL, "does not fit"},
        {21, "MatMulInteger", "q x", NN_TYPE_INT8, {0}, -EINVAL, "3 columns and 2 rows"},
        {21, "MatMulInteger", "q q", NN_TYPE_INT8, {0}, -EINVAL, "columns"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct onnx b = one_node(cases[i].opset, cases[i].type, cases[i].inputs, cases[i].zero,
                                 cases[i].scale);
        net_expect_refused(&b, cases[i].code, cases[i].text);
    }
    struct onnx b = one_node(21, "QuantizeLinear", "x s", NN_TYPE_UINT8, SCALAR);
    onnx_attribute_int(&b, "output_dtype", 22); /* INT4 */
    net_expect_refused(&b, -ENOTSUP, "int4");
    b = one_node(21, "QuantizeLinear", "x s z", NN_TYPE_UINT8, SCALAR);
    onnx_attribute_int(&b, "output_dtype", NN_TYPE_INT8);
    net_expect_refused(&b, -EINVAL, "output_dtype");
    b = one_node(23, "QuantizeLinear", "x s z", NN_TYPE_UINT8, SCALAR);
    onnx_attribute_int(&b, "precision", 16); /* BFLOAT16 */
    net_expect_refused(&b, -ENOTSUP, "bfloat16");
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("quantised");
    tcase_set_timeout(all, 120);
    tcase_add_test(all, convolutions_of_integers_are_exact);
    tcase_add_test(all, a_quantised_convolution_is_the_rounded_one);
    tcase_add_test(all, products_of_integers_are_exact);
    tcase_add_test(all, a_quantised_product_scales_columns_and_saturates);
    tcase_add_test(all, quantising_rounds_ties_to_even_and_saturates);
    tcase_add_test(all, each_index_of_an_axis_may_have_its_scale);
    tcase_add_test(all, the_last_block_of_an_axis_may_be_shorter);
    tcase_add_test(all, zeros_alone_have_a_dynamic_scale_of_one);
    tcase_add_test(all, what_does_not_fit_is_refused_by_name);
    return suite_run("nn/quantised", &all, 1);
}
