/* The kernels that work on whole windows, depthwise ones and those of Winograd, against
 * the sums that define them, with every set of kernels that has them. The scalar one
 * does without. */
#include <string.h>

#include "tests/nn/kernel_arrays.h"

/* Each product and sum rounded as one operation, as kernels.h promises. */
static float fused(float a, float b, float c)
{
    return (float)((double)a * b + c);
}

static float clamped(float x, float low, float high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

static float depthwise_output(const struct nn_depthwise *d, size_t row, size_t column)
{
    float sum = 0;
    for (size_t t = 0; t < d->kernel * d->kernel; t++) {
        ptrdiff_t y = (ptrdiff_t)(row * d->stride + t / d->kernel) - d->pad_top;
        ptrdiff_t x = (ptrdiff_t)(column * d->stride + t % d->kernel) - d->pad_left;
        if (y >= 0 && y < d->height && x >= 0 && x < d->width)
            sum = fused(d->weight[t], d->x[y * d->width + x], sum);
    }
    return clamped(d->bias + sum, d->low, d->high);
}

static float depthwise_maximum(const struct nn_depthwise *d, size_t row, size_t column)
{
    float max = -INFINITY;
    for (size_t i = 0; i < 4; i++) {
        float y = depthwise_output(d, 2 * row + i / 2, 2 * column + i % 2);
        max = y > max ? y : max;
    }
    return max;
}

static void check_depthwise(const struct nn_kernels *k, struct nn_depthwise d)
{
    size_t columns = d.pool ? d.columns / 2 : d.columns;
    size_t image = (size_t)(d.height * d.width),
           outputs = (d.pool ? d.rows / 2 : d.rows) * columns;
    size_t taps = d.kernel * d.kernel;
    float *x = guarded_random(image, 1), *weight = guarded_random(taps, 2);
    float *got = guarded(outputs), *want = guarded(outputs);
    d.x = x;
    d.weight = weight;
    d.y = got;
    if (d.low == -INFINITY) /* no lower limit, so that it stays what it is */
        x[image / 2] = NAN;
    for (size_t i = 0; i < outputs; i++)
        want[i] = d.pool ? depthwise_maximum(&d, i / columns, i % columns)
                         : depthwise_output(&d, i / columns, i % columns);
    k->depthwise(&d);
    check_close("depthwise", got, want, outputs, 0);
    release(x, image);
    release(weight, taps);
    release(got, outputs);
    release(want, outputs);
}

START_TEST(depthwise_windows_give_the_sums_of_their_taps)
{
    for (size_t kernel = 3; kernel <= 5; kernel += 2)
        for (size_t stride = 1; stride <= 2; stride++)
            for (ptrdiff_t width = 1; width <= 70; width++) {
                ptrdiff_t pad = width % (ptrdiff_t)kernel, height = 1 + width % 13;
                ptrdiff_t side = (ptrdiff_t)kernel;
                if (height + 2 * pad < side || width + 2 * pad < side)
                    continue;
                struct nn_depthwise d = {
                    .kernel = kernel,
                    .stride = stride,
                    .height = height,
                    .width = width,
                    .pad_top = pad,
                    .pad_left = pad,
                    .bias = 0.25f,
                    .low = width % 4 ? -0.5f : -INFINITY,
                    .high = width % 3 ? 0.75f : INFINITY,
                    .rows = (size_t)(height + 2 * pad - side) / stride + 1,
                    .columns = (size_t)(width + 2 * pad - side) / stride + 1,
                };
                check_depthwise(table(_i), d);
                d.pool = true;
                check_depthwise(table(_i), d);
            }
}
END_TEST

/* Bᵀ and Aᵀ for the points 0, ±√½, ±√2, ∞ (m = 4) and 0, ±1, ∞ (m = 2). */
enum { SIDE_MAX = 6 };
#define HALF 0.70710678118654752440
#define TWO  1.41421356237309504880
static const double input4[SIDE_MAX][SIDE_MAX] = {
    {1, 0, -2.5, 0, 1, 0},    {0, -TWO, -2, HALF, 1, 0},   {0, TWO, -2, -HALF, 1, 0},
    {0, -HALF, -0.5, TWO, 1}, {0, HALF, -0.5, -TWO, 1, 0}, {0, 1, 0, -2.5, 0, 1},
};
static const double input2[SIDE_MAX][SIDE_MAX] = {
    {1, 0, -1}, {0, 1, 1}, {0, -1, 1}, {0, -1, 0, 1}};
static const double output4[4][SIDE_MAX] = {
    {1, 1, 1, 1, 1, 0},
    {0, HALF, -HALF, TWO, -TWO, 0},
    {0, 0.5, 0.5, 2, 2, 0},
    {0, HALF / 2, -HALF / 2, 2 * TWO, -2 * TWO, 1},
};
static const double output2[4][SIDE_MAX] = {{1, 1, 1}, {0, 1, -1, 1}};

/* T d Tᵀ, row and column, of d (side, side). */
static double transformed(const double (*t)[SIDE_MAX], size_t side,
                          const double d[SIDE_MAX][SIDE_MAX], size_t row, size_t column)
{
    double sum = 0;
    for (size_t r = 0; r < side; r++)
        for (size_t c = 0; c < side; c++)
            sum += t[row][r] * t[column][c] * d[r][c];
    return sum;
}

/* Every element of every tile of a row, which starts `in->row` and `in->column`
 * off the image. */
static void check_input(const struct nn_kernels *k, struct nn_winograd_input in)
{
    size_t image = (size_t)(in.height * in.width), side = in.m + 2;
    size_t floats = (side * side - 1) * in.v_step + in.room;
    float *x = guarded_random(image, 3), *v = guarded(floats);
    for (size_t i = 0; i < floats; i++)
        v[i] = 12345;
    in.x = x;
    in.v = v;
    k->winograd_input(&in);
    for (size_t i = 0; i < in.n; i++) {
        double d[SIDE_MAX][SIDE_MAX] = {{0}};
        for (size_t t = 0; t < side * side; t++) {
            ptrdiff_t row = in.row + (ptrdiff_t)(t / side);
            ptrdiff_t column = in.column + (ptrdiff_t)(i * in.m + t % side);
            if (row >= 0 && row < in.height && column >= 0 && column < in.width)
                d[t / side][t % side] = x[row * in.width + column];
        }
        for (size_t e = 0; e < side * side; e++) {
            float want =
                (float)transformed(in.m == 4 ? input4 : input2, side, d, e / side, e % side);
            check_close("winograd_input", &v[e * in.v_step + i], &want, 1, 6e-6);
        }
    }
    for (size_t i = 0; i < floats; i++)
        if (i % in.v_step >= in.room && v[i] != 12345)
            ck_abort_msg("winograd_input: wrote beyond its room, at %zu", i);
    release(x, image);
    release(v, floats);
}

START_TEST(tiles_are_transformed_wherever_they_stick_out_of_the_image)
{
    const struct nn_kernels *k = table(_i);
    for (size_t n = 1; n <= k->tile_width; n++)
        for (size_t place = 0; place < 24; place++) {
            size_t m = place % 2 ? 4 : 2;
            ptrdiff_t width = (ptrdiff_t)(n * m + place / 3);
            check_input(k, (struct nn_winograd_input){.m = m,
                                                      .height = 1 + (ptrdiff_t)(place % 7),
                                                      .width = width,
                                                      .row = (ptrdiff_t)(place % 5) - 2,
                                                      .column = (ptrdiff_t)(place % 4) - 2,
                                                      .n = n,
                                                      .room = n + place % 3,
                                                      .v_step = k->tile_width + 3});
        }
}
END_TEST

START_TEST(products_of_transformed_tiles_add_up_in_order)
{
    const struct nn_kernels *k = table(_i);
    static const size_t depths[] = {1, 2, 31, 256};
    size_t rows = k->tile_rows, width = k->tile_width, step = width + 5;
    size_t floats = (rows - 1) * step + width;
    for (size_t c = 0; c < 8 * width; c++) {
        size_t depth = depths[c % 4], n = 1 + c / 8;
        bool add = c / 4 % 2;
        float *a = guarded_random(depth * rows, 4), *b = guarded_random(depth * width, 5);
        float *got = guarded_random(floats, 6), *start = guarded_random(floats, 6);
        k->winograd_product(got, step, a, b, depth, n, add);
        for (size_t i = 0; i < rows * n; i++) {
            size_t at = i / n * step + i % n;
            float want = add ? start[at] : 0;
            for (size_t d = 0; d < depth; d++)
                want = fused(a[d * rows + i / n], b[d * width + i % n], want);
            check_close("winograd_product", &got[at], &want, 1, 0);
        }
        release(a, depth * rows);
        release(b, depth * width);
        release(got, floats);
        release(start, floats);
    }
}
END_TEST

/* Output (row, column) of a row of tiles, before pooling. */
static double winograd_output(const struct nn_winograd_output *o, size_t row, size_t column)
{
    size_t side = o->m + 2, depth = o->weight ? o->depth : 1;
    double p[SIDE_MAX][SIDE_MAX] = {{0}};
    for (size_t e = 0; e < side * side; e++)
        for (size_t d = 0; d < depth; d++)
            p[e / side][e % side] += (o->weight ? (double)o->weight[e * depth + d] : 1) *
                                     o->p[(e * depth + d) * o->p_step + column / o->m];
    double y = transformed(o->m == 4 ? output4 : output2, side, p, row, column % o->m);
    return fmin(o->high, fmax(o->low, y + o->bias));
}

static double pooled_output(const struct nn_winograd_output *o, size_t row, size_t column)
{
    if (!o->pool)
        return winograd_output(o, row, column);
    double most = -INFINITY;
    for (size_t i = 0; i < 4; i++)
        most = fmax(most, winograd_output(o, 2 * row + i / 2, 2 * column + i % 2));
    return most;
}

static void check_output(const struct nn_kernels *k, struct nn_winograd_output o, size_t depth)
{
    size_t elements = (o.m + 2) * (o.m + 2);
    size_t vectors = (o.n + k->lanes - 1) / k->lanes * k->lanes;
    size_t floats = (elements * (depth ? depth : 1) - 1) * o.p_step + vectors;
    float *p = guarded_random(floats, 7), *weight = guarded_random(elements * depth, 8);
    size_t outputs = (o.rows - 1) * o.y_step + o.columns;
    float *y = guarded(outputs);
    for (size_t i = 0; i < outputs; i++)
        y[i] = 12345;
    o.p = p;
    o.weight = depth ? weight : NULL;
    o.depth = depth;
    o.y = y;
    k->winograd_output(&o);
    for (size_t i = 0; i < outputs; i++) {
        bool inside = i % o.y_step < o.columns;
        float want = inside ? (float)pooled_output(&o, i / o.y_step, i % o.y_step) : 12345;
        check_close("winograd_output", &y[i], &want, 1, 2e-5);
    }
    release(p, floats);
    release(weight, elements * depth);
    release(y, outputs);
}

START_TEST(outputs_are_transformed_back_clamped_and_pooled)
{
    const struct nn_kernels *k = table(_i);
    for (size_t n = 1; n <= k->tile_width; n++)
        for (size_t mode = 0; mode < 24; mode++) {
            size_t m = mode % 2 ? 4 : 2, side = mode / 2 % 2 ? m / 2 : m;
            size_t columns = side * n - (mode / 4 % 2 && side * n > 1);
            check_output(k,
                         (struct nn_winograd_output){.m = m,
                                                     .pool = side < m,
                                                     .p_step = k->tile_width + 1,
                                                     .n = n,
                                                     .bias = 0.5f,
                                                     .low = mode % 3 ? 0 : -INFINITY,
                                                     .high = mode % 5 ? INFINITY : 2,
                                                     .rows = 1 + mode % side,
                                                     .columns = columns,
                                                     .y_step = columns + mode % 4},
                         mode / 8);
        }
}
END_TEST

/* The same with channels for lanes: every element of every tile and channel. */
static void check_tiles_in(const struct nn_kernels *k, struct nn_winograd_tiles_in in)
{
    size_t side = in.m + 2;
    size_t image = (side - 1) * in.x_step + (in.m * in.n + 2) * NN_PANEL_STEP;
    size_t floats = (side * side - 1) * in.v_step + (in.n - 1) * in.tile_step + NN_PANEL_STEP;
    float *x = guarded_random(image, 9), *v = guarded(floats);
    in.x = x;
    in.v = v;
    k->winograd_tiles_in(&in);
    for (size_t i = 0; i < in.n * NN_PANEL_STEP; i++) {
        size_t tile = i / NN_PANEL_STEP, channel = i % NN_PANEL_STEP;
        double d[SIDE_MAX][SIDE_MAX] = {{0}};
        for (size_t t = 0; t < side * side; t++)
            d[t / side][t % side] =
                x[t / side * in.x_step + (tile * in.m + t % side) * NN_PANEL_STEP + channel];
        for (size_t e = 0; e < side * side; e++) {
            float want =
                (float)transformed(in.m == 4 ? input4 : input2, side, d, e / side, e % side);
            check_close("winograd_tiles_in", &v[e * in.v_step + tile * in.tile_step + channel],
                        &want, 1, 6e-6);
        }
    }
    release(x, image);
    release(v, floats);
}

START_TEST(tiles_are_transformed_with_channels_for_lanes)
{
    for (size_t n = 1; n <= 5; n++)
        for (size_t m = 2; m <= 4; m += 2)
            check_tiles_in(table(_i), (struct nn_winograd_tiles_in){
                                          .m = m,
                                          .n = n,
                                          .x_step = (m * n + 2 + n % 3) * NN_PANEL_STEP,
                                          .v_step = n * 48 + 16,
                                          .tile_step = 48});
}
END_TEST

static void check_tiles_out(const struct nn_kernels *k, struct nn_winograd_tiles_out o)
{
    size_t elements = (o.m + 2) * (o.m + 2);
    size_t floats = (elements - 1) * o.p_step + (o.n - 1) * o.tile_step + NN_PANEL_STEP;
    size_t outputs = (o.rows - 1) * o.y_step + (o.columns - 1) * o.column_step + NN_PANEL_STEP;
    float *p = guarded_random(floats, 10), *bias = guarded_random(NN_PANEL_STEP, 11);
    float *y = guarded(outputs), *of_channel = guarded(elements * o.n);
    for (size_t i = 0; i < outputs; i++)
        y[i] = 12345;
    o.p = p;
    o.bias = bias;
    o.y = y;
    k->winograd_tiles_out(&o);
    for (size_t channel = 0; channel < NN_PANEL_STEP; channel++) {
        for (size_t i = 0; i < elements * o.n; i++)
            of_channel[i] = p[i / o.n * o.p_step + i % o.n * o.tile_step + channel];
        const struct nn_winograd_output one = {.m = o.m,
                                               .p = of_channel,
                                               .p_step = o.n,
                                               .bias = bias[channel],
                                               .low = o.low,
                                               .high = o.high,
                                               .pool = o.pool};
        for (size_t r = 0; r < o.rows; r++)
            for (size_t c = 0; c < o.columns; c++) {
                size_t at = r * o.y_step + c * o.column_step + channel;
                float want = (float)pooled_output(&one, r, c);
                check_close("winograd_tiles_out", &y[at], &want, 1, 2e-5);
                y[at] = 12345;
            }
    }
    for (size_t i = 0; i < outputs; i++)
        if (y[i] != 12345)
            ck_abort_msg("winograd_tiles_out: wrote what is no output, at %zu", i);
    release(p, floats);
    release(bias, NN_PANEL_STEP);
    release(y, outputs);
    release(of_channel, elements * o.n);
}

START_TEST(outputs_are_transformed_back_with_channels_for_lanes)
{
    for (size_t n = 1; n <= 5; n++)
        for (size_t mode = 0; mode < 24; mode++) {
            size_t m = mode % 2 ? 4 : 2, side = mode / 2 % 2 ? m / 2 : m;
            size_t columns = side * n - (mode / 4 % 2 && side > 1);
            check_tiles_out(
                table(_i), (struct nn_winograd_tiles_out){.m = m,
                                                          .pool = side < m,
                                                          .n = n,
                                                          .p_step = n * 64 + 16,
                                                          .tile_step = 64,
                                                          .low = mode % 3 ? 0 : -INFINITY,
                                                          .high = mode % 5 ? INFINITY : 2,
                                                          .rows = 1 + mode % side,
                                                          .columns = columns,
                                                          .column_step = 32,
                                                          .y_step = (columns + mode % 4) * 32});
        }
}
END_TEST

/* That the transform of gradients is the adjoint of that of outputs O: for any products p and
 * outputs' gradients y, Σ y · O(p) = Σ p · gradient(y), tile by tile and channel by channel. */
static void check_tiles_gradient(const struct nn_kernels *k, size_t m, size_t n, uint32_t seed)
{
    size_t elements = (m + 2) * (m + 2), columns = m * n, width = columns + n % 3;
    size_t tile_step = 48, step = n * tile_step + 16;
    size_t floats = (elements - 1) * step + (n - 1) * tile_step + NN_PANEL_STEP;
    size_t image = ((m - 1) * width + columns) * NN_PANEL_STEP;
    float *y = guarded_random(image, seed), *of_p = guarded(image);
    float *p = guarded_random(floats, seed + 1), *of_y = guarded(floats);
    float *bias = guarded(NN_PANEL_STEP);
    memset(bias, 0, NN_PANEL_STEP * sizeof *bias);
    for (size_t i = 0; i < floats; i++)
        of_y[i] = 12345;
    k->winograd_tiles_out(&(struct nn_winograd_tiles_out){.m = m,
                                                          .p = p,
                                                          .p_step = step,
                                                          .tile_step = tile_step,
                                                          .n = n,
                                                          .bias = bias,
                                                          .low = -INFINITY,
                                                          .high = INFINITY,
                                                          .y = of_p,
                                                          .y_step = width * NN_PANEL_STEP,
                                                          .column_step = NN_PANEL_STEP,
                                                          .rows = m,
                                                          .columns = columns});
    k->winograd_tiles_gradient(&(struct nn_winograd_tiles_in){.m = m,
                                                              .x = y,
                                                              .x_step = width * NN_PANEL_STEP,
                                                              .n = n,
                                                              .v = of_y,
                                                              .v_step = step,
                                                              .tile_step = tile_step});
    for (size_t i = 0; i < n * NN_PANEL_STEP; i++) {
        size_t tile = i / NN_PANEL_STEP, channel = i % NN_PANEL_STEP;
        double there = 0, back = 0;
        for (size_t t = 0; t < m * m; t++) {
            size_t at = (t / m * width + tile * m + t % m) * NN_PANEL_STEP + channel;
            there += (double)y[at] * (double)of_p[at];
        }
        for (size_t e = 0; e < elements; e++) {
            size_t at = e * step + tile * tile_step + channel;
            back += (double)p[at] * (double)of_y[at];
            of_y[at] = 12345;
        }
        if (!(fabs(there - back) <= 1e-4))
            ck_abort_msg("winograd_tiles_gradient: m %zu, tile %zu of %zu, channel %zu: %g, "
                         "and %g back",
                         m, tile, n, channel, there, back);
    }
    for (size_t i = 0; i < floats; i++)
        if (of_y[i] != 12345)
            ck_abort_msg("winograd_tiles_gradient: wrote what is no element, at %zu", i);
    release(y, image);
    release(of_p, image);
    release(p, floats);
    release(of_y, floats);
    release(bias, NN_PANEL_STEP);
}

START_TEST(gradients_are_transformed_as_the_adjoint_of_outputs)
{
    ck_assert_ptr_nonnull(table(_i)->winograd_tiles_gradient);
    for (size_t n = 1; n <= 5; n++)
        for (size_t m = 2; m <= 4; m += 2)
            for (uint32_t seed = 20; seed < 40; seed++)
                check_tiles_gradient(table(_i), m, n, seed);
}
END_TEST

int main(void)
{
    int tables = 1;
    while (nn_kernels_at((size_t)tables))
        tables++;
    TCase *all = tcase_create("kernels of windows");
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, depthwise_windows_give_the_sums_of_their_taps, 1, tables);
    tcase_add_loop_test(all, tiles_are_transformed_wherever_they_stick_out_of_the_image, 1,
                        tables);
    tcase_add_loop_test(all, products_of_transformed_tiles_add_up_in_order, 1, tables);
    tcase_add_loop_test(all, outputs_are_transformed_back_clamped_and_pooled, 1, tables);
    tcase_add_loop_test(all, tiles_are_transformed_with_channels_for_lanes, 1, tables);
    tcase_add_loop_test(all, outputs_are_transformed_back_with_channels_for_lanes, 1, tables);
    tcase_add_loop_test(all, gradients_are_transformed_as_the_adjoint_of_outputs, 1, tables);
    return suite_run("nn/kernel_windows", &all, 1);
}
