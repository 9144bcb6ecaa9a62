/* The body of every vector table, included at the end of avx2.c, avx512.c and neon.c. What
 * differs between instruction sets is their vocabulary: `vector`, LANES, v_load, v_fma, ... and
 * the shape of the register tile. Tails are handled with partial loads and stores of the same
 * formulas, so a value does not depend on where in an array it stands.
 *
 * Here are moves, arithmetic, sums and the table; what takes more is in files of its own, which
 * are included before it. */
#include <math.h>
#include <string.h>

/* The table of integers that goes with it. */
#ifndef BYTES
#define BYTES nn_byte_table_scalar
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Before loops whose arrays are to live in registers. */
#define UNROLL _Pragma("GCC unroll 32")

ALWAYS_INLINE void twice_block(float *y, const float *x, const float *more, size_t n)
{
    size_t low = 2 * n < LANES ? 2 * n : LANES, high = 2 * n - low;
    vector in = n == LANES ? v_load(x) : v_load_part(x, n);
    vector a = v_zip_low(in, in), b = v_zip_high(in, in);
    if (more) {
        a = v_add(a, n == LANES ? v_load(more) : v_load_part(more, low));
        b = v_add(b, n == LANES ? v_load(more + LANES) : v_load_part(more + low, high));
    }
    if (n == LANES) {
        v_store(y, a);
        v_store(y + LANES, b);
        return;
    }
    v_store_part(y, a, low);
    if (high > 0)
        v_store_part(y + low, b, high);
}

/* What is left of a row is the end of a whole vector, where there is one. */
static void simd_twice(float *y, const float *x, const float *more, size_t n)
{
    for (size_t i = 0; i < n && n >= LANES; i += LANES) {
        size_t at = i + LANES <= n ? i : n - LANES;
        twice_block(y + 2 * at, x + at, more ? more + 2 * at : NULL, LANES);
    }
    if (n > 0 && n < LANES)
        twice_block(y, x, more, n);
}

/* Rows i and i + LANES / 2 zipped, log2(LANES) times: each time a bit of the lane's number
 * moves into the row's. */
ALWAYS_INLINE void transpose_block(float *y, size_t y_step, const float *x, size_t x_step,
                                   size_t rows, size_t columns)
{
    vector a[LANES], b[LANES];
    UNROLL for (size_t i = 0; i < LANES; i++)
    {
        a[i] = v_set(0);
        if (i < rows)
            a[i] =
                columns < LANES ? v_load_part(x + i * x_step, columns) : v_load(x + i * x_step);
    }
    UNROLL for (size_t step = 1; step < LANES; step *= 2)
    {
        UNROLL for (size_t i = 0; i < LANES / 2; i++)
        {
            b[2 * i] = v_zip_low(a[i], a[i + LANES / 2]);
            b[2 * i + 1] = v_zip_high(a[i], a[i + LANES / 2]);
        }
        UNROLL for (size_t i = 0; i < LANES; i++) a[i] = b[i];
    }
    UNROLL for (size_t j = 0; j < LANES; j++)
    {
        if (j >= columns)
            return;
        if (rows < LANES)
            v_store_part(y + j * y_step, a[j], rows);
        else
            v_store(y + j * y_step, a[j]);
    }
}

static void simd_transpose(float *y, size_t y_step, const float *x, size_t x_step, size_t rows,
                           size_t columns)
{
    for (size_t i = 0; i < rows; i += LANES)
        for (size_t j = 0; j < columns; j += LANES) {
            const float *from = x + i * x_step + j;
            float *to = y + j * y_step + i;
            if (rows - i >= LANES && columns - j >= LANES)
                transpose_block(to, y_step, from, x_step, LANES, LANES);
            else
                transpose_block(to, y_step, from, x_step, rows - i < LANES ? rows - i : LANES,
                                columns - j < LANES ? columns - j : LANES);
        }
}

static void simd_gather(float *y, const float *x, size_t stride, size_t n)
{
    size_t i = 0;
    if (stride == 1) {
        memcpy(y, x, n * sizeof *y);
        return;
    }
    if (stride == 2) {
        for (; i + LANES <= n; i += LANES)
            v_store(y + i, v_load_even(x + 2 * i));
        if (i < n) {
            ptrdiff_t there = 2 * (ptrdiff_t)(n - i) - 1;
            vector low = v_load_lanes(x + 2 * i, v_lanes(0, there));
            vector high = v_load_lanes(x + 2 * i + LANES, v_lanes(0, there - LANES));
            v_store_part(y + i, v_even(low, high), n - i);
        }
        return;
    }
    for (; i < n; i++)
        y[i] = x[i * stride];
}

static void simd_pick(float *y, const float *x, const int32_t *index, const float *weight,
                      size_t taps, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vector sum = v_set(0);
        for (size_t t = 0; t < taps; t++)
            sum = v_fma(v_load(weight + t * n + i), v_load_at(x, index + t * n + i), sum);
        v_store(y + i, sum);
    }
    if (i < n) {
        vector sum = v_set(0);
        for (size_t t = 0; t < taps; t++)
            sum = v_fma(v_load_part(weight + t * n + i, n - i),
                        v_load_part_at(x, index + t * n + i, n - i), sum);
        v_store_part(y + i, sum, n - i);
    }
}

ALWAYS_INLINE void map_two(float *y, const float *a, const float *b, size_t n,
                           vector (*f)(vector, vector))
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, f(v_load(a + i), v_load(b + i)));
    if (i < n)
        v_store_part(y + i, f(v_load_part(a + i, n - i), v_load_part(b + i, n - i)), n - i);
}

ALWAYS_INLINE void map_one(float *y, const float *x, size_t n, float p, float q,
                           vector (*f)(vector x, vector p, vector q))
{
    const vector vp = v_set(p), vq = v_set(q);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, f(v_load(x + i), vp, vq));
    if (i < n)
        v_store_part(y + i, f(v_load_part(x + i, n - i), vp, vq), n - i);
}

static void simd_add(float *y, const float *a, const float *b, size_t n)
{
    map_two(y, a, b, n, v_add);
}

static void simd_sub(float *y, const float *a, const float *b, size_t n)
{
    map_two(y, a, b, n, v_sub);
}

static void simd_mul(float *y, const float *a, const float *b, size_t n)
{
    map_two(y, a, b, n, v_mul);
}

static void simd_div(float *y, const float *a, const float *b, size_t n)
{
    map_two(y, a, b, n, v_div);
}

static void simd_mul_add(float *y, const float *a, const float *b, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, v_fma(v_load(a + i), v_load(b + i), v_load(y + i)));
    if (i < n)
        v_store_part(y + i,
                     v_fma(v_load_part(a + i, n - i), v_load_part(b + i, n - i),
                           v_load_part(y + i, n - i)),
                     n - i);
}

static void simd_affine(float *y, const float *x, float scale, float shift, size_t n)
{
    map_one(y, x, n, scale, shift, v_fma);
}

ALWAYS_INLINE vector clamp_one(vector x, vector low, vector high)
{
    return v_min(high, v_max(low, x));
}

static void simd_clamp(float *y, const float *x, float low, float high, size_t n)
{
    map_one(y, x, n, low, high, clamp_one);
}

ALWAYS_INLINE vector relu_one(vector x, vector zero, vector unused)
{
    (void)unused;
    return v_max(zero, x);
}

static void simd_relu(float *y, const float *x, size_t n)
{
    map_one(y, x, n, 0, 0, relu_one);
}

ALWAYS_INLINE vector leaky_relu_one(vector x, vector slope, vector zero)
{
    return v_select_less(x, zero, v_mul(slope, x), x);
}

static void simd_leaky_relu(float *y, const float *x, float slope, size_t n)
{
    map_one(y, x, n, slope, 0, leaky_relu_one);
}

static float simd_sum(const float *x, size_t n)
{
    vector sum[4] = {v_set(0), v_set(0), v_set(0), v_set(0)};
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        for (size_t v = 0; v < 4; v++)
            sum[v] = v_add(sum[v], v_load(x + i + v * LANES));
    }
    for (; i < n; i += LANES)
        sum[0] = v_add(sum[0], v_load_part(x + i, n - i < LANES ? n - i : LANES));
    return v_sum(v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3])));
}

static float simd_sum_squares(const float *x, float center, size_t n)
{
    const vector c = v_set(center), zero = v_set(0);
    vector sum[4] = {zero, zero, zero, zero};
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        for (size_t v = 0; v < 4; v++) {
            vector d = v_sub(v_load(x + i + v * LANES), c);
            sum[v] = v_fma(d, d, sum[v]);
        }
    }
    for (; i < n; i += LANES) {
        size_t part = n - i < LANES ? n - i : LANES;
        vector d = v_select_first(part, v_sub(v_load_part(x + i, part), c), zero);
        sum[0] = v_fma(d, d, sum[0]);
    }
    return v_sum(v_add(v_add(sum[0], sum[1]), v_add(sum[2], sum[3])));
}

#include "nn/kernels/taps_tmpl.c"
#include "nn/kernels/products_tmpl.c"
#include "nn/kernels/functions_tmpl.c"
#include "nn/kernels/depthwise_tmpl.c"
#include "nn/kernels/winograd_tmpl.c"
#include "nn/kernels/gradients_tmpl.c"

const struct nn_kernels TABLE = {
    .name = TABLE_NAME,
    .gemm = simd_gemm,
    .panel = simd_panel,
    .tile_rows = TILE_ROWS,
    .tile = simd_tile,
    .tap_sum = simd_tap_sum,
    .tap_max = simd_tap_max,
    .max_2x2 = simd_max_2x2,
    .max_3x3 = simd_max_3x3,
    .registers = REGISTERS,
    .lanes = LANES,
    .tile_width = TILE_VECTORS * LANES,
    .depthwise = simd_depthwise,
    .winograd_input = simd_winograd_input,
    .winograd_product = simd_winograd_product,
    .winograd_output = simd_winograd_output,
    .winograd_tiles_in = simd_winograd_tiles_in,
    .winograd_tiles_out = simd_winograd_tiles_out,
    .winograd_tiles_gradient = simd_winograd_tiles_gradient,
    .relu_gradient = simd_relu_gradient,
    .max_2x2_gradient = simd_max_2x2_gradient,
    .twice = simd_twice,
    .transpose = simd_transpose,
    .gather = simd_gather,
    .pick = simd_pick,
    .add = simd_add,
    .sub = simd_sub,
    .mul = simd_mul,
    .div = simd_div,
    .mul_add = simd_mul_add,
    .affine = simd_affine,
    .clamp = simd_clamp,
    .relu = simd_relu,
    .leaky_relu = simd_leaky_relu,
    .sigmoid = simd_sigmoid,
    .tanh = simd_tanh,
    .exp = simd_exp,
    .erf = simd_erf,
    .sum = simd_sum,
    .sum_squares = simd_sum_squares,
    .softmax = simd_softmax,
    .bytes = &BYTES,
};
