/* Every function of every table this processor can run, against the scalar table, at odd
 * sizes, with every array ending where its memory ends; those of whole windows are in
 * test_kernel_windows.c. With --bench, the speed of each. */
#include <float.h>
#include <string.h>
#include <time.h>

#include "nn/half.h"
#include "tests/nn/kernel_arrays.h"

enum { SIZES = 70 };

START_TEST(products_agree_with_scalar_for_every_transposition_and_odd_size)
{
    const struct nn_kernels *k = table(_i), *scalar = nn_kernels_scalar();
    static const size_t sizes[] = {1, 2, 3, 7, 8, 9, 17, 33, 70};
    enum { COUNT = sizeof sizes / sizeof sizes[0] };
    static const float factors[][2] = {{1, 0}, {1, 1}, {1, 0.5f}, {-2, 0}, {0.5f, 3}};
    for (int c = 0; c < COUNT * COUNT * COUNT * 4; c++) {
        struct nn_gemm g = {
            .m = sizes[c % COUNT],
            .n = sizes[c / COUNT % COUNT],
            .k = sizes[c / COUNT / COUNT % COUNT],
            .transpose_a = c / COUNT / COUNT / COUNT % 2,
            .transpose_b = c / COUNT / COUNT / COUNT / 2,
            .alpha = factors[c % 5][0],
            .beta = factors[c % 5][1],
        };
        size_t pad = (size_t)(c % 3); /* rows further apart than they are long */
        g.a_step = (g.transpose_a ? g.m : g.k) + pad;
        g.b_step = (g.transpose_b ? g.k : g.n) + pad;
        g.c_step = g.n + pad;
        size_t a_size = ((g.transpose_a ? g.k : g.m) - 1) * g.a_step + g.a_step - pad;
        size_t b_size = ((g.transpose_b ? g.n : g.k) - 1) * g.b_step + g.b_step - pad;
        size_t c_size = (g.m - 1) * g.c_step + g.n;
        float *a = guarded_random(a_size, 1), *b = guarded_random(b_size, 2);
        float *got = guarded_random(c_size, 3), *want = guarded_random(c_size, 3);
        if (g.beta == 0)
            got[0] = want[0] = NAN; /* must not be read */
        g.a = a;
        g.b = b;
        g.c = want;
        scalar->gemm(&g);
        g.c = got;
        k->gemm(&g);
        check_close("gemm", got, want, c_size, 1e-6 * (double)(g.k + 2));
        release(a, a_size);
        release(b, b_size);
        release(got, c_size);
        release(want, c_size);
    }
}
END_TEST

START_TEST(a_product_gives_the_textbook_numbers)
{
    const struct nn_kernels *k = table(_i);
    const float a[] = {1, 2, 3, 4, 5, 6}, b[] = {7, 8, 9, 10, 11, 12};
    float c[4] = {1000, 1000, 1000, 1000};
    struct nn_gemm g = {.m = 2,
                        .n = 2,
                        .k = 3,
                        .a = a,
                        .b = b,
                        .c = c,
                        .a_step = 3,
                        .b_step = 2,
                        .c_step = 2,
                        .alpha = 1,
                        .beta = 1};
    k->gemm(&g);
    check_close("gemm", c, (float[]){1058, 1064, 1139, 1154}, 4, 0);
}
END_TEST

START_TEST(a_product_over_nothing_leaves_beta_times_c)
{
    const struct nn_kernels *k = table(_i);
    for (size_t m = 1; m <= 3; m++) {
        float c[6] = {1, 2, 3, 4, 5, 6}, empty = 0;
        struct nn_gemm g = {.m = m,
                            .n = 2,
                            .k = 0,
                            .a = &empty,
                            .b = &empty,
                            .c = c,
                            .a_step = 0,
                            .b_step = 2,
                            .c_step = 2,
                            .alpha = 1,
                            .beta = 2};
        k->gemm(&g);
        for (size_t i = 0; i < 6; i++)
            ck_assert(c[i] == (float)(i + 1) * (i < 2 * m ? 2 : 1));
    }
}
END_TEST

/* Taps at random distances over a window of `reach` inputs before the last output. */
static void fill_taps(int32_t *offset, size_t taps, size_t reach, uint32_t seed)
{
    for (size_t t = 0; t < taps; t++)
        offset[t] = (int32_t)((next_random(&seed) + 1) / 2 * (float)reach);
    offset[taps - 1] = (int32_t)reach;
}

START_TEST(tap_sums_and_maxima_agree_with_scalar)
{
    const struct nn_kernels *k = table(_i), *scalar = nn_kernels_scalar();
    enum { REACH = 37 };
    static const size_t tap_counts[] = {1, 2, 9, 25};
    int32_t offset[25];
    for (size_t n = 1; n <= SIZES; n++) {
        for (size_t c = 0; c < 4; c++) {
            size_t taps = tap_counts[c];
            fill_taps(offset, taps, REACH, (uint32_t)n);
            float *x = guarded_random(n + REACH, 5), *w = guarded_random(taps, 6);
            float *got = guarded_random(n, 7), *want = guarded_random(n, 7);
            k->tap_sum(got, x, offset, w, taps, n);
            scalar->tap_sum(want, x, offset, w, taps, n);
            check_close("tap_sum", got, want, n, 0);
            x[n / 2] = NAN;
            k->tap_max(got, x, offset, taps, n);
            scalar->tap_max(want, x, offset, taps, n);
            check_close("tap_max", got, want, n, 0);
            release(x, n + REACH);
            release(w, taps);
            release(got, n);
            release(want, n);
        }
    }
}
END_TEST

START_TEST(maxima_of_two_by_two_agree_with_scalar)
{
    const struct nn_kernels *k = table(_i), *scalar = nn_kernels_scalar();
    for (size_t n = 1; n <= SIZES; n++) {
        float *a = guarded_random(2 * n, 40), *b = guarded_random(2 * n, 41);
        float *got = guarded(n), *want = guarded(n);
        a[n / 2] = b[n] = NAN;
        a[0] = a[1] = b[0] = b[1] = NAN;
        k->max_2x2(got, a, b, n);
        scalar->max_2x2(want, a, b, n);
        check_close("max_2x2", got, want, n, 0);
        ck_assert(want[0] == -INFINITY);
        release(a, 2 * n);
        release(b, 2 * n);
        release(got, n);
        release(want, n);
    }
}
END_TEST

/* Of every table, the scalar one too: NaN and both zeros pass nothing. */
START_TEST(gradients_pass_where_a_relu_gave_more_than_zero)
{
    const struct nn_kernels *k = table(_i);
    for (size_t n = 1; n <= SIZES; n++) {
        float *y = guarded_random(n, 42), *dy = guarded_random(n, 43);
        float *dx = guarded(n), *want = guarded(n);
        const float odd[] = {0.0f, -0.0f, NAN, 1e-42f, INFINITY};
        for (size_t i = 0; i < n; i++) {
            y[i] = i % 3 ? y[i] : odd[i / 3 % 5];
            want[i] = y[i] > 0 ? dy[i] : 0;
        }
        k->relu_gradient(dx, y, dy, n);
        if (memcmp(dx, want, n * sizeof *dx) != 0)
            ck_abort_msg("relu_gradient: another at %zu", n);
        k->relu_gradient(dy, y, dy, n);
        if (memcmp(dy, want, n * sizeof *dy) != 0)
            ck_abort_msg("relu_gradient in place: another at %zu", n);
        release(y, n);
        release(dy, n);
        release(dx, n);
        release(want, n);
    }
}
END_TEST

/* Each gradient goes to the first of the largest, and nowhere else. */
static void check_max_gradient(const struct nn_kernels *k, size_t n, bool positive)
{
    float *a = guarded_random(2 * n, 44), *b = guarded_random(2 * n, 45);
    float *y = guarded(n), *dy = guarded_random(n, 46);
    float *da = guarded_random(2 * n, 47), *db = guarded_random(2 * n, 48);
    for (size_t i = 0; i < 2 * n; i++) { /* many that are equal, many at zero */
        a[i] = i % 5 ? roundf(2 * a[i]) / 2 : -0.0f;
        b[i] = i % 7 ? roundf(2 * b[i]) / 2 : a[i];
    }
    k->max_2x2(y, a, b, n);
    k->max_2x2_gradient(&(struct nn_max_gradient){
        .a = a, .b = b, .y = y, .dy = dy, .da = da, .db = db, .n = n, .positive = positive});
    for (size_t i = 0; i < n; i++) {
        const float x[] = {a[2 * i], a[2 * i + 1], b[2 * i], b[2 * i + 1]};
        const float got[] = {da[2 * i], da[2 * i + 1], db[2 * i], db[2 * i + 1]};
        float most = x[0];
        size_t first = 0;
        for (size_t j = 1; j < 4; j++)
            if (x[j] > most)
                most = x[first = j];
        for (size_t j = 0; j < 4; j++) {
            float want = j == first && (most > 0 || !positive) ? dy[i] : 0;
            if (got[j] != want)
                ck_abort_msg("max_2x2_gradient: %zu of %zu, %zu: %g, expected %g", i, n, j,
                             (double)got[j], (double)want);
        }
    }
    release(a, 2 * n);
    release(b, 2 * n);
    release(y, n);
    release(dy, n);
    release(da, 2 * n);
    release(db, 2 * n);
}

START_TEST(gradients_of_maxima_go_to_the_first_of_the_largest)
{
    for (size_t n = 1; n <= SIZES; n++) {
        check_max_gradient(table(_i), n, false);
        check_max_gradient(table(_i), n, true);
    }
}
END_TEST

START_TEST(every_value_stands_twice_with_what_is_added)
{
    for (size_t n = 1; n <= SIZES; n++)
        for (int adds = 0; adds < 2; adds++) {
            float *x = guarded_random(n, 17), *more = guarded_random(2 * n, 18);
            float *y = guarded(2 * n);
            table(_i)->twice(y, x, adds ? more : NULL, n);
            for (size_t i = 0; i < 2 * n; i++)
                if (y[i] != x[i / 2] + (adds ? more[i] : 0))
                    ck_abort_msg("twice %zu: [%zu] is %g", n, i, (double)y[i]);
            release(x, n);
            release(more, 2 * n);
            release(y, 2 * n);
        }
}
END_TEST

START_TEST(a_matrix_is_transposed_and_nothing_else_is_written)
{
    for (size_t rows = 0; rows <= 35; rows++)
        for (size_t columns = 0; columns <= 35; columns++) {
            size_t x_step = columns + rows % 3, y_step = rows + columns % 4;
            size_t x_size = rows * x_step + columns, y_size = columns * y_step + rows;
            float *x = guarded_random(x_size, 16), *y = guarded(y_size);
            for (size_t i = 0; i < y_size; i++)
                y[i] = 12345;
            table(_i)->transpose(y, y_step, x, x_step, rows, columns);
            for (size_t i = 0; i < y_size; i++) {
                size_t column = y_step ? i / y_step : 0, row = y_step ? i % y_step : i;
                float want = row < rows && column < columns ? x[row * x_step + column] : 12345;
                if (y[i] != want)
                    ck_abort_msg("transpose of %zu by %zu: [%zu] is %g", rows, columns, i,
                                 y[i]);
            }
            release(x, x_size);
            release(y, y_size);
        }
}
END_TEST

START_TEST(maxima_of_three_by_three_agree_with_scalar)
{
    const struct nn_kernels *k = table(_i), *scalar = nn_kernels_scalar();
    for (size_t n = 1; n <= SIZES; n++) {
        float *row[3], *got = guarded(n), *want = guarded(n);
        for (uint32_t j = 0; j < 3; j++) {
            row[j] = guarded_random(2 * n + 1, 40 + j);
            row[j][0] = row[j][1] = row[j][2] = row[j][(n + j) / 2] = NAN;
        }
        k->max_3x3(got, row[0], row[1], row[2], n);
        scalar->max_3x3(want, row[0], row[1], row[2], n);
        check_close("max_3x3", got, want, n, 0);
        ck_assert(want[0] == -INFINITY);
        for (size_t j = 0; j < 3; j++)
            release(row[j], 2 * n + 1);
        release(got, n);
        release(want, n);
    }
}
END_TEST

/* Weights of a panel, as many bytes as floats * 4 hold. */
static float *guarded_weights(enum nn_weight_format format, size_t floats)
{
    float *w = guarded_random(floats, 13);
    for (size_t i = 0; i < 2 * floats && format == NN_WEIGHT_HALF; i++) {
        uint16_t half = nn_half_from_float((float)i / (float)floats - 1);
        memcpy((char *)w + i * sizeof half, &half, sizeof half);
    }
    for (size_t i = 0; i < 4 * floats && format == NN_WEIGHT_INT8; i++)
        ((int8_t *)w)[i] = (int8_t)(i * 7 % 255 - 127);
    return w;
}

static void check_panel(const struct nn_kernels *k, struct nn_panel p, size_t pad)
{
    static const size_t per_float[] = {
        [NN_WEIGHT_FLOAT] = 1, [NN_WEIGHT_HALF] = 2, [NN_WEIGHT_INT8] = 4};
    size_t width = (p.columns + NN_PANEL_STEP - 1) / NN_PANEL_STEP * NN_PANEL_STEP;
    size_t floats = width * p.depth / per_float[p.format];
    p.x_step = p.depth + pad;
    p.y_step = p.columns + pad;
    size_t x_size = p.rows * p.x_step - pad, y_size = p.rows * p.y_step - pad;
    float *x = guarded_random(x_size, 12), *w = guarded_weights(p.format, floats);
    float *scale = guarded_random(p.columns, 14);
    float *got = guarded_random(y_size, 15), *want = guarded_random(y_size, 15);
    float *alone = guarded_random(y_size, 15);
    p.x = x;
    p.weight = w;
    p.scale = p.format == NN_WEIGHT_FLOAT ? NULL : scale;
    p.y = want;
    nn_kernels_scalar()->panel(&p);
    p.y = got;
    k->panel(&p);
    check_close("panel", got, want, y_size, 0);
    size_t rows = p.rows;
    p.rows = 1;
    for (size_t r = 0; r < rows; r++) {
        p.x = x + r * p.x_step;
        p.y = alone + r * p.y_step;
        k->panel(&p);
    }
    ck_assert_mem_eq(alone, got, y_size * sizeof *got);
    p.rows = rows;
    p.x = x;
    p.fresh = true;
    for (int kernels = 0; kernels < 2; kernels++) {
        p.y = kernels ? got : want;
        for (size_t i = 0; i < y_size; i++)
            p.y[i] = i % p.y_step < p.columns ? NAN : 0;
        (kernels ? k : nn_kernels_scalar())->panel(&p);
    }
    check_close("panel, fresh", got, want, y_size, 0);
    release(x, x_size);
    release(w, floats);
    release(scale, p.columns);
    release(got, y_size);
    release(want, y_size);
    release(alone, y_size);
}

START_TEST(panels_agree_with_scalar_and_no_row_depends_on_the_others)
{
    static const size_t rows[] = {1, 2, 3, 5, 7, 13};
    static const size_t depths[] = {1, 2, NN_PANEL_DEPTH - 1, NN_PANEL_DEPTH, 300};
    static const size_t columns[] = {1, 7, 15, 16, 17, 33, 48, 63, 64};
    for (int f = NN_WEIGHT_FLOAT; f <= NN_WEIGHT_INT8; f++)
        for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
            for (size_t d = 0; d < sizeof depths / sizeof depths[0]; d++)
                for (size_t c = 0; c < sizeof columns / sizeof columns[0]; c++)
                    check_panel(table(_i),
                                (struct nn_panel){.format = (enum nn_weight_format)f,
                                                  .rows = rows[r],
                                                  .depth = depths[d],
                                                  .columns = columns[c]},
                                (r + d + c) % 3);
}
END_TEST

START_TEST(tiles_give_what_their_rows_give_with_bias_and_clamping)
{
    const struct nn_kernels *k = table(_i);
    enum { REACH = 37, TAPS = 27 };
    int32_t offset[TAPS];
    for (size_t n = 1; n <= 2 * SIZES; n++) {
        size_t rows = 1 + n % k->tile_rows, step = n + n % 3, size = (rows - 1) * step + n;
        fill_taps(offset, TAPS, REACH, (uint32_t)n);
        float *x = guarded_random(n + REACH, 8), *w = guarded_random(TAPS * k->tile_rows, 9);
        float *got = guarded_random(size, 10), *want = guarded_random(size, 10);
        float *bias = guarded_random(rows, 11);
        struct nn_tile_end end = {rows, n % 2 ? bias : NULL, n % 5 ? -0.5f : -INFINITY,
                                  n % 3 ? 0.75f : INFINITY};
        k->tile(got, step, x, offset, w, TAPS, n, &end);
        for (size_t r = 0; r < rows; r++) {
            float row[TAPS];
            for (size_t t = 0; t < TAPS; t++)
                row[t] = w[t * k->tile_rows + r];
            float *y = want + r * step;
            for (size_t i = 0; end.bias && i < n; i++)
                y[i] = bias[r];
            nn_kernels_scalar()->tap_sum(y, x, offset, row, TAPS, n);
            nn_kernels_scalar()->clamp(y, y, end.low, end.high, n);
        }
        check_close("tile", got, want, size, 0);
        release(x, n + REACH);
        release(w, TAPS * k->tile_rows);
        release(got, size);
        release(want, size);
        release(bias, rows);
    }
}
END_TEST

START_TEST(gather_takes_every_stride_th_value_and_reads_no_further)
{
    const struct nn_kernels *k = table(_i);
    for (size_t n = 1; n <= SIZES; n++) {
        for (size_t stride = 1; stride <= 4; stride++) {
            size_t size = (n - 1) * stride + 1;
            float *x = guarded_random(size, 11), *got = guarded(n);
            k->gather(got, x, stride, n);
            for (size_t i = 0; i < n; i++)
                check_close("gather", &got[i], &x[i * stride], 1, 0);
            release(x, size);
            release(got, n);
        }
    }
}
END_TEST

START_TEST(pick_adds_up_what_the_scalar_one_does_and_reads_no_further)
{
    const struct nn_kernels *k = table(_i), *scalar = nn_kernels_scalar();
    enum { TAPS = 4 };
    for (size_t n = 1; n <= SIZES; n++) {
        int32_t index[TAPS * SIZES];
        fill_taps(index, TAPS * n, n - 1, (uint32_t)n);
        float *x = guarded_random(n, 12), *w = guarded_random(TAPS * n, 13);
        float *got = guarded(n), *want = guarded(n);
        k->pick(got, x, index, w, TAPS, n);
        scalar->pick(want, x, index, w, TAPS, n);
        check_close("pick", got, want, n, 0);
        release(x, n);
        release(w, TAPS * n);
        release(got, n);
        release(want, n);
    }
}
END_TEST

static const float edges[] = {0.0f,   -0.0f,  1e-42f, -1e-42f,   1e-30f,   -1e-30f, 0.3f,
                              0.624f, 0.626f, -0.7f,  5.0f,      -5.0f,    17.0f,   -20.0f,
                              87.2f,  -87.5f, 88.1f,  -88.8f,    104.0f,   -104.0f, 1e30f,
                              -1e30f, NAN,    -NAN,   -INFINITY, INFINITY, 1.0f,    -1.0f};
enum { EDGES = sizeof edges / sizeof edges[0] };

static float *guarded_edges(size_t n, size_t shift)
{
    float *p = guarded(n);
    for (size_t i = 0; i < n; i++)
        p[i] = edges[(i + shift) % EDGES];
    return p;
}

START_TEST(elementwise_functions_agree_with_scalar_on_edge_values_too)
{
    const struct nn_kernels *k = table(_i), *scalar = nn_kernels_scalar();
    for (size_t n = 1; n <= SIZES; n++) {
        float *a = guarded_edges(n, n), *b = guarded_edges(n, 3 * n + 1);
        float *got = guarded(n), *want = guarded(n);
        const struct {
            const char *name;
            void (*got)(float *, const float *, const float *, size_t);
            void (*want)(float *, const float *, const float *, size_t);
        } pairs[] = {
            {"add", k->add, scalar->add},
            {"sub", k->sub, scalar->sub},
            {"mul", k->mul, scalar->mul},
            {"div", k->div, scalar->div},
        };
        for (size_t p = 0; p < sizeof pairs / sizeof pairs[0]; p++) {
            pairs[p].got(got, a, b, n);
            pairs[p].want(want, a, b, n);
            check_close(pairs[p].name, got, want, n, 0);
        }
        k->relu(got, a, n);
        scalar->relu(want, a, n);
        check_close("relu", got, want, n, 0);
        k->leaky_relu(got, a, 0.1f, n);
        scalar->leaky_relu(want, a, 0.1f, n);
        check_close("leaky_relu", got, want, n, 0);
        k->clamp(got, a, -0.5f, 6, n);
        scalar->clamp(want, a, -0.5f, 6, n);
        check_close("clamp", got, want, n, 0);
        release(a, n);
        release(b, n);

        a = guarded_random(n, 20), b = guarded_random(n, 21);
        k->affine(got, a, 1.5f, -0.25f, n);
        scalar->affine(want, a, 1.5f, -0.25f, n);
        check_close("affine", got, want, n, 2e-7);
        memcpy(got, want, n * sizeof *got);
        k->mul_add(got, a, b, n);
        scalar->mul_add(want, a, b, n);
        check_close("mul_add", got, want, n, 2e-7);
        release(a, n);
        release(b, n);
        release(got, n);
        release(want, n);
    }
}
END_TEST

START_TEST(functions_may_work_in_place)
{
    const struct nn_kernels *k = table(_i);
    for (size_t n = 1; n <= SIZES; n++) {
        float *x = guarded_random(n, 22), *y = guarded(n), *want = guarded(n);
        void (*const unary[])(float *, const float *, size_t) = {
            k->relu, k->sigmoid, k->tanh, k->softmax, k->exp, k->erf};
        for (size_t u = 0; u < 6; u++) {
            unary[u](want, x, n);
            memcpy(y, x, n * sizeof *y);
            unary[u](y, y, n);
            check_close("in place", y, want, n, 0);
        }
        release(x, n);
        release(y, n);
        release(want, n);
    }
}
END_TEST

static void check_sigmoid(const struct nn_kernels *k, const float *x, size_t n)
{
    float y[64];
    k->sigmoid(y, x, n);
    for (size_t i = 0; i < n; i++) {
        double want = 1 / (1 + exp(-(double)x[i]));
        if (isnan(want) ? !isnan(y[i]) : !(fabs(y[i] - want) <= 3e-7))
            ck_abort_msg("sigmoid(%.9g) = %.9g, not %.9g", x[i], y[i], want);
    }
}

static void check_tanh(const struct nn_kernels *k, const float *x, size_t n)
{
    float y[64];
    k->tanh(y, x, n);
    for (size_t i = 0; i < n; i++) {
        double want = tanh(x[i]), error = fabs(y[i] - want);
        double allowed = fabs(x[i]) < 1e-30 ? 1e-30 : fmin(3e-7, 1e-6 * fabs(want));
        if (isnan(want) ? !isnan(y[i]) : !(error <= allowed))
            ck_abort_msg("tanh(%.9g) = %.9g, not %.9g", x[i], y[i], want);
    }
}

static void check_exp(const struct nn_kernels *k, const float *x, size_t n)
{
    float y[64];
    k->exp(y, x, n);
    for (size_t i = 0; i < n; i++) {
        double want = exp(x[i]), unit = fmax(want * 1.2e-7, 1.5e-45);
        bool fits = isnan(want)      ? isnan(y[i])
                    : want > FLT_MAX ? isinf(y[i]) || y[i] >= FLT_MAX * 0.9999997f
                                     : fabs(y[i] - want) <= 2 * unit;
        if (!fits)
            ck_abort_msg("exp(%.9g) = %.9g, not %.9g", x[i], y[i], want);
    }
}

static void check_erf(const struct nn_kernels *k, const float *x, size_t n)
{
    float y[64];
    k->erf(y, x, n);
    for (size_t i = 0; i < n; i++) {
        double want = erf(x[i]);
        if (isnan(want) ? !isnan(y[i]) : !(fabs(y[i] - want) <= 5e-7))
            ck_abort_msg("erf(%.9g) = %.9g, not %.9g", x[i], y[i], want);
    }
}

START_TEST(exp_and_erf_keep_their_promised_error)
{
    const struct nn_kernels *k = table(_i);
    check_exp(k, edges, EDGES);
    check_erf(k, edges, EDGES);
    static const float ranges[] = {1, 6, 110};
    for (size_t r = 0; r < 3; r++) {
        for (int i = 0; i < 4096; i++) {
            float x[64];
            for (int j = 0; j < 64; j++)
                x[j] = ranges[r] * (float)((i * 64 + j) / (2048.0 * 64) - 1);
            check_exp(k, x, 64);
            check_erf(k, x, 64);
        }
    }
}
END_TEST

/* The promises of the header, against double precision. */
START_TEST(sigmoid_and_tanh_keep_their_promised_error)
{
    const struct nn_kernels *k = table(_i);
    check_sigmoid(k, edges, EDGES);
    check_tanh(k, edges, EDGES);
    static const float ranges[] = {1, 100};
    for (size_t r = 0; r < 2; r++) {
        for (int i = 0; i < 4096; i++) {
            float x[64];
            for (int j = 0; j < 64; j++)
                x[j] = ranges[r] * (float)((i * 64 + j) / (2048.0 * 64) - 1);
            check_sigmoid(k, x, 64);
            check_tanh(k, x, 64);
        }
    }
}
END_TEST

/* Recurrent networks may amplify a rounding error: the tables make the same ones. */
START_TEST(sigmoid_and_tanh_give_the_bits_of_scalar)
{
    const struct nn_kernels *k = table(_i), *scalar = nn_kernels_scalar();
    for (size_t n = 1; n <= 16 * SIZES; n++) {
        float *x = guarded_random(n, (uint32_t)n), *got = guarded(n), *want = guarded(n);
        for (size_t i = 0; i < n; i++)
            x[i] *= 12;
        k->sigmoid(got, x, n);
        scalar->sigmoid(want, x, n);
        check_close("sigmoid", got, want, n, 0);
        k->tanh(got, x, n);
        scalar->tanh(want, x, n);
        check_close("tanh", got, want, n, 0);
        release(x, n);
        release(got, n);
        release(want, n);
    }
}
END_TEST

START_TEST(sums_and_softmax_agree_with_scalar)
{
    const struct nn_kernels *k = table(_i), *scalar = nn_kernels_scalar();
    for (size_t n = 1; n <= 5 * SIZES; n++) {
        float *x = guarded_random(n, (uint32_t)n), *got = guarded(n), *want = guarded(n);
        float sum = k->sum(x, n), expected = scalar->sum(x, n);
        check_close("sum", &sum, &expected, 1, 1e-7 * (double)n);
        sum = k->sum_squares(x, 0.25f, n), expected = scalar->sum_squares(x, 0.25f, n);
        check_close("sum_squares", &sum, &expected, 1, 2e-7 * (double)n);
        for (int range = 0; range < 2; range++) {
            for (size_t i = 0; i < n; i++)
                x[i] *= range ? 45 : 2;
            k->softmax(got, x, n);
            scalar->softmax(want, x, n);
            check_close("softmax", got, want, n, 3e-7);
        }
        x[n / 2] = -INFINITY;
        x[0] = 1;
        k->softmax(got, x, n);
        ck_assert_msg(n == 1 || got[n / 2] == 0, "exp(-infinity) is %g", got[n / 2]);
        x[n / 2] = NAN;
        k->softmax(got, x, n);
        ck_assert_msg(isnan(got[0]), "a NaN got lost");
        release(x, n);
        release(got, n);
        release(want, n);
    }
}
END_TEST

START_TEST(counts_of_zero_touch_nothing)
{
    const struct nn_kernels *k = table(_i);
    float y = 42;
    int32_t offset = 0;
    k->gemm(&(struct nn_gemm){.m = 0, .n = 1, .k = 1, .a_step = 1, .b_step = 1, .c_step = 1});
    k->tile(&y, 1, &y, &offset, &y, 1, 0, &(struct nn_tile_end){.rows = k->tile_rows});
    k->tap_sum(&y, &y, &offset, &y, 1, 0);
    k->tap_max(&y, &y, &offset, 1, 0);
    k->gather(&y, &y, 2, 0);
    k->twice(&y, &y, &y, 0);
    k->add(&y, &y, &y, 0);
    k->affine(&y, &y, 2, 2, 0);
    k->tanh(&y, &y, 0);
    k->relu_gradient(&y, &y, &y, 0);
    k->max_2x2_gradient(&(struct nn_max_gradient){
        .a = &y, .b = &y, .y = &y, .dy = &y, .da = &y, .db = &y, .n = 0});
    k->softmax(&y, &y, 0);
    k->exp(&y, &y, 0);
    k->erf(&y, &y, 0);
    ck_assert(k->sum(&y, 0) == 0);
    ck_assert(k->sum_squares(&y, 1, 0) == 0);
    ck_assert(y == 42);
}
END_TEST

START_TEST(results_do_not_depend_on_alignment)
{
    const struct nn_kernels *k = table(_i);
    enum { N = 67, K = 130, SLACK = 16 };
    static _Alignas(64) float a[N * K + SLACK], b[K * N + SLACK], c[N * N + SLACK];
    static float first[N * N];
    for (size_t shift = 0; shift < SLACK; shift++) {
        uint32_t seed = 30;
        for (size_t i = 0; i < N * K; i++)
            a[shift + i] = next_random(&seed);
        for (size_t i = 0; i < N * K; i++)
            b[shift + i] = next_random(&seed);
        static const size_t rows[] = {1, 2, 5, N};
        for (size_t r = 0; r < 4; r++) {
            struct nn_gemm g = {.m = rows[r],
                                .n = N,
                                .k = K,
                                .a = a + shift,
                                .b = b + shift,
                                .c = c + shift,
                                .a_step = K,
                                .b_step = N,
                                .c_step = N,
                                .alpha = 1};
            k->gemm(&g);
            if (shift == 0 && r == 3)
                memcpy(first, c, sizeof first);
        }
        ck_assert_msg(memcmp(first, c + shift, sizeof first) == 0, "gemm, shift %zu", shift);
    }
    static float sums[2], soft[2][N];
    for (size_t shift = 0; shift < SLACK; shift++) {
        memmove(c + shift, first, N * sizeof *c);
        sums[shift > 0] = k->sum(c + shift, N);
        k->softmax(soft[shift > 0], c + shift, N);
        ck_assert(shift == 0 || memcmp(&sums[0], &sums[1], sizeof sums[0]) == 0);
        ck_assert(shift == 0 || memcmp(soft[0], soft[1], sizeof soft[0]) == 0);
    }
}
END_TEST

START_TEST(the_environment_can_choose_a_slower_table)
{
    /* Each test is its own process: the setting ends with it. */
    setenv("VIGIL_KERNELS", "scalar", 1);
    ck_assert_str_eq(nn_kernels_best()->name, "scalar");
}
END_TEST

START_TEST(an_unknown_table_name_is_ignored)
{
    setenv("VIGIL_KERNELS", "abacus", 1);
    const struct nn_kernels *last = NULL;
    for (size_t i = 0; nn_kernels_at(i); i++)
        last = nn_kernels_at(i);
    ck_assert_ptr_eq(nn_kernels_best(), last);
}
END_TEST

/* Bench. */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

struct bench {
    const struct nn_kernels *k;
    float *x, *y, *w;
    int32_t *offset;
    size_t n, taps;
};

static void bench_gemm(struct bench *b)
{
    struct nn_gemm g = {.m = b->taps,
                        .n = b->n,
                        .k = b->n,
                        .a = b->x,
                        .b = b->w,
                        .c = b->y,
                        .a_step = b->n,
                        .b_step = b->n,
                        .c_step = b->n,
                        .alpha = 1};
    b->k->gemm(&g);
}

static void bench_gemm_transposed(struct bench *b)
{
    struct nn_gemm g = {.m = b->taps,
                        .n = b->n,
                        .k = b->n,
                        .transpose_b = true,
                        .a = b->x,
                        .b = b->w,
                        .c = b->y,
                        .a_step = b->n,
                        .b_step = b->n,
                        .c_step = b->n,
                        .alpha = 1};
    b->k->gemm(&g);
}

static void bench_tile(struct bench *b)
{
    const struct nn_tile_end end = {b->k->tile_rows, NULL, -INFINITY, INFINITY};
    b->k->tile(b->y, b->n, b->x, b->offset, b->w, b->taps, b->n, &end);
}

/* As large a matrix as the squares above, in eight panels. */
static void bench_panel(struct bench *b)
{
    for (size_t first = 0; first < b->n; first += NN_PANEL_COLUMNS)
        b->k->panel(&(struct nn_panel){.y = b->y + first,
                                       .x = b->x,
                                       .weight = b->w + first * b->n,
                                       .rows = b->taps,
                                       .depth = b->n,
                                       .columns = NN_PANEL_COLUMNS,
                                       .x_step = b->n,
                                       .y_step = b->n});
}

static void bench_tap_sum(struct bench *b)
{
    b->k->tap_sum(b->y, b->x, b->offset, b->w, b->taps, b->n);
}

static void bench_tap_max(struct bench *b)
{
    b->k->tap_max(b->y, b->x, b->offset, b->taps, b->n);
}

static void bench_gather(struct bench *b)
{
    b->k->gather(b->y, b->x, 2, b->n);
}

static void bench_twice(struct bench *b)
{
    b->k->twice(b->y, b->x, b->w, b->n);
}

static void bench_pick(struct bench *b)
{
    b->k->pick(b->y, b->x, b->offset, b->w, b->taps, b->n);
}

static void bench_add(struct bench *b)
{
    b->k->add(b->y, b->x, b->w, b->n);
}

static void bench_relu(struct bench *b)
{
    b->k->relu(b->y, b->x, b->n);
}

static void bench_sigmoid(struct bench *b)
{
    b->k->sigmoid(b->y, b->x, b->n);
}

static void bench_tanh(struct bench *b)
{
    b->k->tanh(b->y, b->x, b->n);
}

static void bench_exp(struct bench *b)
{
    b->k->exp(b->y, b->x, b->n);
}

static void bench_erf(struct bench *b)
{
    b->k->erf(b->y, b->x, b->n);
}

static void bench_softmax(struct bench *b)
{
    b->k->softmax(b->y, b->x, b->n);
}

static int bench_all(void)
{
    enum { FLOATS = 1 << 20, REACH = 4096 };
    float *x = malloc(FLOATS * sizeof *x), *w = malloc(FLOATS * sizeof *w);
    float *y = malloc(FLOATS * sizeof *y);
    int32_t *offset = malloc(REACH * sizeof *offset);
    if (!x || !w || !y || !offset)
        return EXIT_FAILURE;
    uint32_t seed = 1;
    for (size_t i = 0; i < FLOATS; i++) {
        x[i] = next_random(&seed);
        w[i] = next_random(&seed);
        y[i] = 0;
    }
    /* What a 3×3 convolution over many channels of 57×57 looks like. */
    for (int t = 0; t < REACH; t++)
        offset[t] = t / 9 * 57 * 57 + t % 9 / 3 * 57 + t % 3;
    static const struct {
        const char *name, *unit;
        void (*run)(struct bench *b);
        size_t n, taps;
        double work; /* operations or bytes for one n·taps (or n, without taps) */
        bool square, rows;
    } benches[] = {
        {"gemm 512x512x512", "GFLOP/s", bench_gemm, 512, 512, 2, .square = true},
        {"gemm 16x512x512", "GFLOP/s", bench_gemm, 512, 16, 2, .square = true},
        {"gemm 1x512x512", "GFLOP/s", bench_gemm, 512, 1, 2, .square = true},
        {"gemm 1x512x512 transposed", "GFLOP/s", bench_gemm_transposed, 512, 1, 2,
         .square = true},
        {"panels 16x512x512", "GFLOP/s", bench_panel, 512, 16, 2, .square = true},
        {"panels 1x512x512", "GFLOP/s", bench_panel, 512, 1, 2, .square = true},
        {"tile, 256 taps, 192 wide", "GFLOP/s", bench_tile, 192, 256, 2, .rows = true},
        {"tap_sum, 9 taps, 57 wide", "GFLOP/s", bench_tap_sum, 57, 9, 2},
        {"tap_max, 4 taps, 57 wide", "GB/s", bench_tap_max, 57, 4, 4},
        {"gather, stride 2", "GB/s", bench_gather, 4096, 0, 12},
        {"twice and sum, 20 wide", "GB/s", bench_twice, 20, 0, 20},
        {"pick, 2 taps, 640 wide", "GB/s", bench_pick, 640, 2, 12},
        {"add", "GB/s", bench_add, 4096, 0, 12},
        {"relu", "GB/s", bench_relu, 4096, 0, 8},
        {"sigmoid", "Gvalue/s", bench_sigmoid, 4096, 0, 1},
        {"tanh", "Gvalue/s", bench_tanh, 4096, 0, 1},
        {"exp", "Gvalue/s", bench_exp, 4096, 0, 1},
        {"erf", "Gvalue/s", bench_erf, 4096, 0, 1},
        {"softmax", "Gvalue/s", bench_softmax, 4096, 0, 1},
    };
    for (size_t i = 0; i < sizeof benches / sizeof benches[0]; i++) {
        printf("%-28s", benches[i].name);
        for (size_t t = 0; nn_kernels_at(t); t++) {
            struct bench b = {.k = nn_kernels_at(t),
                              .x = x,
                              .y = y,
                              .w = w,
                              .offset = offset,
                              .n = benches[i].n,
                              .taps = benches[i].taps};
            double work = benches[i].work * (double)b.n * (double)(b.taps ? b.taps : 1);
            if (benches[i].square)
                work *= (double)b.n;
            if (benches[i].rows)
                work *= (double)b.k->tile_rows;
            double fastest = INFINITY, end = now() + 0.2;
            while (now() < end) {
                int repeat = (int)(1e6 / work) + 1;
                double start = now();
                for (int r = 0; r < repeat; r++)
                    benches[i].run(&b);
                fastest = fmin(fastest, (now() - start) / repeat);
            }
            printf("  %s %.2f", b.k->name, work / fastest * 1e-9);
            memset(y, 0, FLOATS * sizeof *y);
        }
        printf("  %s\n", benches[i].unit);
    }
    free(x);
    free(w);
    free(y);
    free(offset);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--bench") == 0)
        return bench_all();
    int tables = 0;
    while (nn_kernels_at((size_t)tables))
        tables++;
    TCase *all = tcase_create("every table");
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, a_product_gives_the_textbook_numbers, 0, tables);
    tcase_add_loop_test(all, a_product_over_nothing_leaves_beta_times_c, 0, tables);
    tcase_add_loop_test(all, pick_adds_up_what_the_scalar_one_does_and_reads_no_further, 0,
                        tables);
    tcase_add_loop_test(all, gather_takes_every_stride_th_value_and_reads_no_further, 0,
                        tables);
    tcase_add_loop_test(all, functions_may_work_in_place, 0, tables);
    tcase_add_loop_test(all, sigmoid_and_tanh_keep_their_promised_error, 0, tables);
    tcase_add_loop_test(all, exp_and_erf_keep_their_promised_error, 0, tables);
    tcase_add_loop_test(all, counts_of_zero_touch_nothing, 0, tables);
    tcase_add_loop_test(all, results_do_not_depend_on_alignment, 0, tables);
    tcase_add_loop_test(all, a_matrix_is_transposed_and_nothing_else_is_written, 0, tables);
    tcase_add_loop_test(all, gradients_pass_where_a_relu_gave_more_than_zero, 0, tables);
    tcase_add_loop_test(all, gradients_of_maxima_go_to_the_first_of_the_largest, 0, tables);
    tcase_add_loop_test(all, every_value_stands_twice_with_what_is_added, 0, tables);
    tcase_add_loop_test(all, panels_agree_with_scalar_and_no_row_depends_on_the_others, 0,
                        tables);
    tcase_add_loop_test(all, tiles_give_what_their_rows_give_with_bias_and_clamping, 0, tables);
    TCase *fast = tcase_create("fast tables against scalar");
    tcase_set_timeout(fast, 120);
    tcase_add_loop_test(fast, products_agree_with_scalar_for_every_transposition_and_odd_size,
                        1, tables);
    tcase_add_loop_test(fast, maxima_of_two_by_two_agree_with_scalar, 1, tables);
    tcase_add_loop_test(fast, maxima_of_three_by_three_agree_with_scalar, 1, tables);
    tcase_add_loop_test(fast, tap_sums_and_maxima_agree_with_scalar, 1, tables);
    tcase_add_loop_test(fast, elementwise_functions_agree_with_scalar_on_edge_values_too, 1,
                        tables);
    tcase_add_loop_test(fast, sigmoid_and_tanh_give_the_bits_of_scalar, 1, tables);
    tcase_add_loop_test(fast, sums_and_softmax_agree_with_scalar, 1, tables);
    TCase *choice = tcase_create("choice");
    tcase_add_test(choice, the_environment_can_choose_a_slower_table);
    tcase_add_test(choice, an_unknown_table_name_is_ignored);
    TCase *cases[] = {all, fast, choice};
    return suite_run("nn/kernels", cases, 3);
}
