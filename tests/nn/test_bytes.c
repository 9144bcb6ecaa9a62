/* Every function of every table of integers (nn/kernels/bytes.h) that this processor can
 * run, bit by bit against the scalar one, at odd sizes, with every array ending where its
 * memory ends. */
#include <math.h>
#include <string.h>

#include "nn/kernels/bytes.h"
#include "tests/nn/kernel_arrays.h"

/* Bytes of all values, the extremes among them often. */
static void *guarded_bytes(size_t bytes, uint32_t seed)
{
    uint8_t *p = guarded_memory(bytes);
    for (size_t i = 0; i < bytes; i++) {
        uint32_t random = next_bits(&seed);
        p[i] = random % 4 ? (uint8_t)random : (uint8_t)(127 + random / 4 % 3 * 64);
    }
    return p;
}

static float *guarded_floats(size_t n, uint32_t seed, float size)
{
    static const float edges[] = {0.5f,   -0.5f,    1.5f,      2.5f, 1e30f,
                                  -1e30f, INFINITY, -INFINITY, NAN};
    float *p = guarded(n);
    for (size_t i = 0; i < n; i++)
        p[i] = next_bits(&seed) % 8 ? next_random(&seed) * size : edges[next_bits(&seed) % 9];
    return p;
}

static const struct nn_byte_kernels *scalar(void)
{
    return nn_kernels_scalar()->bytes;
}

static void check_same(const char *what, const void *got, const void *want, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (((const uint8_t *)got)[i] != ((const uint8_t *)want)[i])
            ck_abort_msg("%s: byte %zu of %zu is %d, not %d", what, i, bytes,
                         ((const uint8_t *)got)[i], ((const uint8_t *)want)[i]);
}

START_TEST(tiles_give_the_sums_of_scalar)
{
    const struct nn_byte_kernels *k = table(_i)->bytes;
    enum { REACH = 40 };
    static const size_t tap_counts[] = {0, 1, 2, 9, 36};
    const size_t rows = k->tile_rows, own = scalar()->tile_rows;
    for (size_t c = 0; c < 5; c++) {
        size_t taps = tap_counts[c], bytes = taps * rows * 4;
        int32_t offset[36];
        uint32_t seed = 3;
        for (size_t t = 0; t < taps; t++)
            offset[t] = (int32_t)(next_bits(&seed) % (REACH + 1));
        if (taps > 0)
            offset[taps - 1] = REACH;
        int8_t *weight = guarded_bytes(bytes, 1), *one = guarded_memory(taps * own * 4);
        for (size_t n = 0; n <= 2 * k->tile_width + 3; n++) {
            uint8_t *x = guarded_bytes((n + REACH) * 4, (uint32_t)n);
            int32_t *y = guarded_memory(rows * n * sizeof *y),
                    *want = guarded_memory(own * n * sizeof *y);
            struct nn_byte_tile t = {y, n, x, offset, weight, taps, n};
            k->tile(&t);
            for (size_t r = 0; r < rows; r++) { /* row r as the first row of scalar's */
                memset(one, 0, taps * own * 4);
                for (size_t at = 0; at < taps; at++)
                    memcpy(one + at * own * 4, weight + (at * rows + r) * 4, 4);
                struct nn_byte_tile s = {want, n, x, offset, one, taps, n};
                scalar()->tile(&s);
                check_same("tile", y + r * n, want, n * sizeof *y);
            }
            release_memory(x, (n + REACH) * 4);
            release_memory(y, rows * n * sizeof *y);
            release_memory(want, own * n * sizeof *y);
        }
        release_memory(weight, bytes);
        release_memory(one, taps * own * 4);
    }
}
END_TEST

START_TEST(panels_give_the_sums_of_scalar)
{
    const struct nn_byte_kernels *k = table(_i)->bytes;
    static const size_t columns[] = {1, 7, 16, 17, 33, 48, 63, 64}, quads[] = {0, 1, 5, 64};
    for (size_t c = 0; c < 8; c++) {
        for (size_t q = 0; q < 4; q++) {
            for (size_t rows = 1; rows < 7; rows++) {
                size_t width = (columns[c] + NN_PANEL_STEP - 1) / NN_PANEL_STEP * NN_PANEL_STEP;
                size_t weights = quads[q] * width * 4, inputs = rows * quads[q] * 4;
                size_t outputs = rows * columns[c] * sizeof(int32_t);
                int8_t *weight = guarded_bytes(weights, 5);
                uint8_t *x = guarded_bytes(inputs, 6);
                int32_t *y = guarded_memory(outputs), *want = guarded_memory(outputs);
                struct nn_byte_panel p = {y,      columns[c], x,        quads[q] * 4,
                                          weight, rows,       quads[q], columns[c]};
                k->panel(&p);
                p.y = want;
                scalar()->panel(&p);
                check_same("panel", y, want, outputs);
                release_memory(weight, weights);
                release_memory(x, inputs);
                release_memory(y, outputs);
                release_memory(want, outputs);
            }
        }
    }
}
END_TEST

START_TEST(depthwise_windows_give_the_sums_of_scalar)
{
    const struct nn_byte_kernels *k = table(_i)->bytes;
    static const size_t rows[] = {1, 3, 4, 9}, lines[] = {1, 3, 4, 5};
    for (size_t c = 0; c < 4 * 4 * 2 * 2 * 40; c++) {
        size_t n = 1 + c / 64, stride = 1 + c % 2, quads = 1 + c / 2 % 2;
        size_t step = (n - 1) * stride + 4 * quads + c % 3;
        struct nn_byte_depthwise d = {.x_step = step,
                                      .lines = lines[c / 4 % 4],
                                      .quads = quads,
                                      .stride = stride,
                                      .rows = rows[c / 16 % 4],
                                      .columns = n};
        size_t inputs =
            ((d.rows - 1) * stride + d.lines - 1) * step + (n - 1) * stride + 4 * quads;
        size_t outputs = d.rows * n * sizeof(int32_t), weights = d.lines * quads * 4;
        int8_t *weight = guarded_bytes(weights, 8);
        uint8_t *x = guarded_bytes(inputs, 9);
        int32_t *y = guarded_memory(outputs), *want = guarded_memory(outputs);
        d.weight = weight;
        d.x = x;
        d.y = y;
        k->depthwise(&d);
        d.y = want;
        scalar()->depthwise(&d);
        check_same("depthwise", y, want, outputs);
        release_memory(weight, weights);
        release_memory(x, inputs);
        release_memory(y, outputs);
        release_memory(want, outputs);
    }
}
END_TEST

START_TEST(sums_end_as_scalar_ends_them)
{
    const struct nn_byte_kernels *k = table(_i)->bytes;
    for (size_t n = 0; n < 150; n++) {
        for (int way = 0; way < 4; way++) {
            size_t list = way % 2 ? n : 1;
            int32_t *sum = guarded_bytes(n * sizeof *sum, 11);
            int32_t *start = guarded_bytes(list * sizeof *start, 12);
            float *scale = guarded_floats(list, 13 + (uint32_t)n, 1e-7f);
            float *shift = guarded_floats(list, 14 + (uint32_t)n, 100);
            uint8_t *y = guarded_memory(n), *want = guarded_memory(n);
            float *f = guarded(n), *want_f = guarded(n);
            struct nn_byte_end e = {.sum = sum,
                                    .n = n,
                                    .each = way % 2,
                                    .start = start,
                                    .scale = scale,
                                    .shift = shift,
                                    .zero = way < 2 ? 100 : -7,
                                    .low = way < 2 ? -100 : -121,
                                    .high = way < 2 ? 155 : 90};
            k->end(y, &e);
            scalar()->end(want, &e);
            check_same("end", y, want, n);
            k->end_floats(f, &e);
            scalar()->end_floats(want_f, &e);
            for (size_t i = 0; i < n; i++) /* a NaN has many bit patterns */
                f[i] = isnan(f[i]) && isnan(want_f[i]) ? want_f[i] : f[i];
            check_same("end_floats", f, want_f, n * sizeof *f);
            release_memory(sum, n * sizeof *sum);
            release_memory(start, list * sizeof *start);
            release_memory(scale, list * sizeof *scale);
            release_memory(shift, list * sizeof *shift);
            release_memory(y, n);
            release_memory(want, n);
            release(f, n);
            release(want_f, n);
        }
    }
}
END_TEST

START_TEST(bytes_move_as_scalar_moves_them)
{
    const struct nn_byte_kernels *k = table(_i)->bytes;
    for (size_t n = 0; n < 150; n++) {
        const uint8_t flip = n % 2 ? 128 : 0;
        uint8_t *x[4], *y = guarded_memory(4 * n), *want = guarded_memory(4 * n);
        for (uint32_t i = 0; i < 4; i++)
            x[i] = guarded_bytes(n, 20 + i);
        k->copy(y, 0, x[0], 0, flip, 1, n);
        scalar()->copy(want, 0, x[0], 0, flip, 1, n);
        check_same("copy", y, want, n);
        /* The last row ends where memory does. */
        const size_t rows = 1 + n % 3, each = n / 4, x_step = each + (each > 1), y_step = n;
        const size_t x_at = n - (rows - 1) * x_step - each,
                     y_at = 4 * n - (rows - 1) * y_step - each;
        k->copy(y + y_at, y_step, x[0] + x_at, x_step, flip, rows, each);
        scalar()->copy(want + y_at, y_step, x[0] + x_at, x_step, flip, rows, each);
        check_same("copy of rows", y, want, 4 * n);
        k->interleave(y, (const uint8_t *const *)x, flip, n);
        scalar()->interleave(want, (const uint8_t *const *)x, flip, n);
        check_same("interleave", y, want, 4 * n);
        static const int32_t offset[] = {0, 3, 1, 7};
        size_t wide = n > 7 ? n - 7 : 0, taps = wide > 0 ? n % 5 : 0;
        k->tap_max(y, x[0], offset, taps, wide);
        scalar()->tap_max(want, x[0], offset, taps, wide);
        check_same("tap_max", y, want, wide);
        k->max_2x2(y, x[0], x[1], flip, n / 2);
        scalar()->max_2x2(want, x[0], x[1], flip, n / 2);
        check_same("max_2x2", y, want, n / 2);
        float *f = guarded(n), *want_f = guarded(n);
        k->dequantize(f, x[0], flip, 37, 0.3f, n);
        scalar()->dequantize(want_f, x[0], flip, 37, 0.3f, n);
        check_same("dequantize", f, want_f, n * sizeof *f);
        release(f, n);
        release(want_f, n);
        f = guarded_floats(n, 30, 40);
        k->quantize(y, f, 0.25f, -100, 155, 100, n);
        scalar()->quantize(want, f, 0.25f, -100, 155, 100, n);
        check_same("quantize", y, want, n);
        release(f, n);
        struct nn_byte_add s = {.a = x[0],
                                .b = x[1],
                                .n = n,
                                .flip = {flip, 128 - flip},
                                .scale = {0.7f, 1.3f},
                                .shift = -3.5f,
                                .low = -10,
                                .high = 245,
                                .zero = 10};
        k->add(y, &s);
        scalar()->add(want, &s);
        check_same("add", y, want, n);
        for (int i = 0; i < 4; i++)
            release_memory(x[i], n);
        release_memory(y, 4 * n);
        release_memory(want, 4 * n);
    }
}
END_TEST

int main(void)
{
    int tables = 0;
    while (nn_kernels_at((size_t)tables))
        tables++;
    TCase *all = tcase_create("bytes");
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, tiles_give_the_sums_of_scalar, 0, tables);
    tcase_add_loop_test(all, panels_give_the_sums_of_scalar, 0, tables);
    tcase_add_loop_test(all, depthwise_windows_give_the_sums_of_scalar, 0, tables);
    tcase_add_loop_test(all, sums_end_as_scalar_ends_them, 0, tables);
    tcase_add_loop_test(all, bytes_move_as_scalar_moves_them, 0, tables);
    return suite_run("nn/bytes", &all, 1);
}
