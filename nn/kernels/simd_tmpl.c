/* The body of every vector table, included at the end of avx2.c, avx512.c and neon.c. What
 * differs between instruction sets is their vocabulary: `vector`, LANES, v_load, v_fma, ... and
 * the shape of the register tile. Tails are handled with partial loads and stores of the same
 * formulas, so a value does not depend on where in an array it stands. */
#include <math.h>
#include <string.h>

/* The table of integers that goes with it. */
#ifndef BYTES
#define BYTES nn_byte_table_scalar
#endif

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Before loops whose arrays are to live in registers. */
#define UNROLL _Pragma("GCC unroll 32")

/* Taps. */

/* rows × vectors sums in registers over all taps; `last` lanes count in the last vector. They
 * are added to y or, with `end`, written as it says. */
ALWAYS_INLINE void sum_block(const size_t rows, const size_t vectors, size_t last, float *y,
                             size_t y_step, const float *x, const int32_t *offset,
                             const float *weight, size_t taps, const struct nn_tile_end *end)
{
    vector sum[TILE_ROWS][4];
    UNROLL for (size_t r = 0; r < rows; r++)
    {
        UNROLL for (size_t v = 0; v < vectors; v++) sum[r][v] = v_set(0);
    }
    for (size_t t = 0; t < taps; t++) {
        const float *from = x + offset[t];
        vector in[4];
        UNROLL for (size_t v = 0; v + 1 < vectors; v++) in[v] = v_load(from + v * LANES);
        in[vectors - 1] = last == LANES ? v_load(from + (vectors - 1) * LANES)
                                        : v_load_part(from + (vectors - 1) * LANES, last);
        UNROLL for (size_t r = 0; r < rows; r++)
        {
            vector w = v_set(weight[t * rows + r]);
            UNROLL for (size_t v = 0; v < vectors; v++) sum[r][v] = v_fma(w, in[v], sum[r][v]);
        }
    }
    UNROLL for (size_t r = 0; r < rows; r++)
    {
        if (end && r == end->rows)
            return;
        UNROLL for (size_t v = 0; v < vectors; v++)
        {
            float *to = y + r * y_step + v * LANES;
            const bool full = v + 1 < vectors || last == LANES;
            vector start;
            if (end && end->bias)
                start = v_set(end->bias[r]);
            else
                start = full ? v_load(to) : v_load_part(to, last);
            vector value = v_add(start, sum[r][v]);
            if (end)
                value = v_min(v_set(end->high), v_max(v_set(end->low), value));
            if (full)
                v_store(to, value);
            else
                v_store_part(to, value, last);
        }
    }
}

static void simd_tile(float *y, size_t y_step, const float *x, const int32_t *offset,
                      const float *weight, size_t taps, size_t n, const struct nn_tile_end *end)
{
    const size_t step = TILE_VECTORS * LANES;
    for (; n >= step && (n <= step || n > step + LANES); n -= step, y += step, x += step)
        sum_block(TILE_ROWS, TILE_VECTORS, LANES, y, y_step, x, offset, weight, taps, end);
    /* Two of two vectors do more at a time than one of three and one of one. */
    if (n > step) {
        sum_block(TILE_ROWS, 2, LANES, y, y_step, x, offset, weight, taps, end);
        n -= 2 * LANES, y += 2 * LANES, x += 2 * LANES;
    }
    if (n > 2 * LANES)
        sum_block(TILE_ROWS, 3, n - 2 * LANES, y, y_step, x, offset, weight, taps, end);
    else if (n > LANES)
        sum_block(TILE_ROWS, 2, n - LANES, y, y_step, x, offset, weight, taps, end);
    else if (n > 0)
        sum_block(TILE_ROWS, 1, n, y, y_step, x, offset, weight, taps, end);
}

static void simd_tap_sum(float *y, const float *x, const int32_t *offset, const float *weight,
                         size_t taps, size_t n)
{
    const size_t step = 4 * LANES;
    for (; n >= step; n -= step, y += step, x += step)
        sum_block(1, 4, LANES, y, 0, x, offset, weight, taps, NULL);
    if (n > 3 * LANES)
        sum_block(1, 4, n - 3 * LANES, y, 0, x, offset, weight, taps, NULL);
    else if (n > 2 * LANES)
        sum_block(1, 3, n - 2 * LANES, y, 0, x, offset, weight, taps, NULL);
    else if (n > LANES)
        sum_block(1, 2, n - LANES, y, 0, x, offset, weight, taps, NULL);
    else if (n > 0)
        sum_block(1, 1, n, y, 0, x, offset, weight, taps, NULL);
}

ALWAYS_INLINE void max_block(const size_t vectors, size_t last, float *y, const float *x,
                             const int32_t *offset, size_t taps)
{
    vector max[4];
    for (size_t v = 0; v < vectors; v++)
        max[v] = v_set(-INFINITY);
    for (size_t t = 0; t < taps; t++) {
        const float *from = x + offset[t];
        for (size_t v = 0; v < vectors; v++) {
            vector in = last == LANES ? v_load(from + v * LANES) : v_load_part(from, last);
            max[v] = v_max(in, max[v]);
        }
    }
    for (size_t v = 0; v + 1 < vectors; v++)
        v_store(y + v * LANES, max[v]);
    v_store_part(y + (vectors - 1) * LANES, max[vectors - 1], last);
}

static void simd_tap_max(float *y, const float *x, const int32_t *offset, size_t taps, size_t n)
{
    const size_t step = 4 * LANES;
    for (; n >= step; n -= step, y += step, x += step)
        max_block(4, LANES, y, x, offset, taps);
    for (; n >= LANES; n -= LANES, y += LANES, x += LANES)
        max_block(1, LANES, y, x, offset, taps);
    if (n > 0)
        max_block(1, n, y, x, offset, taps);
}

static void simd_max_2x2(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i += LANES, a += 2 * LANES, b += 2 * LANES) {
        size_t left = n - i < LANES ? n - i : LANES;
        lanes low = v_lanes(0, (ptrdiff_t)(2 * left)),
              high = v_lanes(0, (ptrdiff_t)(2 * left) - LANES);
        vector a0 = v_load_lanes(a, low), a1 = v_load_lanes(a + LANES, high);
        vector b0 = v_load_lanes(b, low), b1 = v_load_lanes(b + LANES, high);
        vector max = v_max(v_even(a0, a1), v_set(-INFINITY));
        max = v_max(v_odd(a0, a1), max);
        max = v_max(v_even(b0, b1), max);
        v_store_part(y + i, v_max(v_odd(b0, b1), max), left);
    }
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

/* What is greatest in each column of a, b and c, of `left` columns: those in even places, and
 * in odd ones. */
ALWAYS_INLINE void max_columns(const float *a, const float *b, const float *c, ptrdiff_t left,
                               vector *even, vector *odd)
{
    vector max[2];
    UNROLL for (size_t v = 0; v < 2; v++, a += LANES, b += LANES, c += LANES, left -= LANES)
    {
        lanes there = v_lanes(0, left);
        max[v] = v_max(v_load_lanes(a, there), v_set(-INFINITY));
        max[v] = v_max(v_load_lanes(b, there), max[v]);
        max[v] = v_max(v_load_lanes(c, there), max[v]);
    }
    *even = v_even(max[0], max[1]);
    *odd = v_odd(max[0], max[1]);
}

static void simd_max_3x3(float *y, const float *a, const float *b, const float *c, size_t n)
{
    ptrdiff_t left = 2 * (ptrdiff_t)n + 1;
    vector even, odd, next_even, next_odd;
    max_columns(a, b, c, n > 0 ? left : 0, &even, &odd);
    for (size_t i = 0; i < n; i += LANES) {
        a += 2 * LANES, b += 2 * LANES, c += 2 * LANES, left -= 2 * LANES;
        max_columns(a, b, c, left, &next_even, &next_odd);
        v_store_part(y + i, v_max(v_max(even, odd), v_shift_in(even, next_even)),
                     n - i < LANES ? n - i : LANES);
        even = next_even;
        odd = next_odd;
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

/* Products. */

/* y[i] += Σ_p a[i·a_step + p] · x[p] for `rows` rows, `sums` running sums each: eight in all
 * are in flight, enough to hide the latency of a product. */
ALWAYS_INLINE void dot_rows(const size_t rows, const size_t sums, float *y, const float *a,
                            size_t a_step, const float *x, size_t k)
{
    vector sum[8][2];
    for (size_t r = 0; r < rows; r++)
        sum[r][0] = sum[r][1] = v_set(0);
    size_t p = 0;
    for (; p + sums * LANES <= k; p += sums * LANES) {
        for (size_t s = 0; s < sums; s++) {
            vector in = v_load(x + p + s * LANES);
            for (size_t r = 0; r < rows; r++)
                sum[r][s] = v_fma(v_load(a + r * a_step + p + s * LANES), in, sum[r][s]);
        }
    }
    for (; p < k; p += LANES) {
        size_t part = k - p < LANES ? k - p : LANES;
        vector in = v_load_part(x + p, part);
        for (size_t r = 0; r < rows; r++)
            sum[r][0] = v_fma(v_load_part(a + r * a_step + p, part), in, sum[r][0]);
    }
    for (size_t r = 0; r < rows; r++)
        y[r] += v_sum(v_add(sum[r][0], sum[r][1]));
}

/* y += A · x, A m×k. Eight rows at a time are as many streams from memory as it takes for most
 * of its bandwidth. */
static void multiply_rows(float *y, const float *a, size_t a_step, const float *x, size_t m,
                          size_t k)
{
    size_t i = 0;
    for (; i + 8 <= m; i += 8)
        dot_rows(8, 1, y + i, a + i * a_step, a_step, x, k);
    for (; i + 4 <= m; i += 4)
        dot_rows(4, 2, y + i, a + i * a_step, a_step, x, k);
    for (; i < m; i++)
        dot_rows(1, 2, y + i, a + i * a_step, a_step, x, k);
}

ALWAYS_INLINE void add_rows(const size_t rows, float *y, const float *x, const float *a,
                            size_t a_step, size_t n)
{
    vector factor[8];
    for (size_t r = 0; r < rows; r++)
        factor[r] = v_set(x[r]);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vector sum = v_load(y + i);
        for (size_t r = 0; r < rows; r++)
            sum = v_fma(factor[r], v_load(a + r * a_step + i), sum);
        v_store(y + i, sum);
    }
    if (i < n) {
        vector sum = v_load_part(y + i, n - i);
        for (size_t r = 0; r < rows; r++)
            sum = v_fma(factor[r], v_load_part(a + r * a_step + i, n - i), sum);
        v_store_part(y + i, sum, n - i);
    }
}

/* y += x · A, A k×n. Eight rows at a time: each is read once, in order, as memory likes. */
static void multiply_columns(float *y, const float *x, const float *a, size_t a_step, size_t k,
                             size_t n)
{
    size_t p = 0;
    for (; p + 8 <= k; p += 8)
        add_rows(8, y, x + p, a + p * a_step, a_step, n);
    for (; p < k; p++)
        add_rows(1, y, x + p, a + p * a_step, a_step, n);
}

/* Panels. */

ALWAYS_INLINE vector load_float(const void *weight, size_t index)
{
    return v_load((const float *)weight + index);
}

ALWAYS_INLINE vector load_half(const void *weight, size_t index)
{
    return v_load_half((const uint16_t *)weight + index);
}

ALWAYS_INLINE vector load_int8(const void *weight, size_t index)
{
    return v_load_int8((const int8_t *)weight + index);
}

/* rows × vectors sums in registers over `depth` products, then added to y: of its columns from
 * `column` on, of which p->columns count. */
ALWAYS_INLINE void panel_block(const size_t rows, const size_t vectors,
                               const struct nn_panel *p, float *y, const float *x, size_t width,
                               size_t first, size_t depth, size_t column,
                               vector (*load)(const void *weight, size_t index))
{
    vector sum[PANEL_ROWS][NN_PANEL_COLUMNS / LANES];
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < vectors; v++)
            sum[r][v] = v_set(0);
    for (size_t d = 0; d < depth; d++) {
        vector w[NN_PANEL_COLUMNS / LANES];
        for (size_t v = 0; v < vectors; v++)
            w[v] = load(p->weight, (first + d) * width + column + v * LANES);
        for (size_t r = 0; r < rows; r++) {
            vector in = v_set(x[r * p->x_step + d]);
            for (size_t v = 0; v < vectors; v++)
                sum[r][v] = v_fma(in, w[v], sum[r][v]);
        }
    }
    for (size_t v = 0; v < vectors; v++) {
        size_t at = column + v * LANES;
        if (at >= p->columns)
            break;
        size_t n = p->columns - at < LANES ? p->columns - at : LANES;
        vector scale = p->scale ? v_load_part(p->scale + at, n) : v_set(1);
        for (size_t r = 0; r < rows; r++) {
            float *to = y + r * p->y_step + at;
            vector old = p->fresh && first == 0 ? v_set(0) : v_load_part(to, n);
            v_store_part(to, p->scale ? v_fma(scale, sum[r][v], old) : v_add(old, sum[r][v]),
                         n);
        }
    }
}

/* All columns of `rows` rows from `row` on, `vectors` vectors at once. */
ALWAYS_INLINE void panel_rows(const size_t rows, const size_t vectors, const struct nn_panel *p,
                              size_t row, size_t width, size_t first, size_t depth,
                              vector (*load)(const void *weight, size_t index))
{
    float *y = p->y + row * p->y_step;
    const float *x = p->x + row * p->x_step + first;
    size_t column = 0;
    for (; column + vectors * LANES <= width; column += vectors * LANES)
        panel_block(rows, vectors, p, y, x, width, first, depth, column, load);
    for (; column < width; column += NN_PANEL_STEP)
        panel_block(rows, NN_PANEL_STEP / LANES, p, y, x, width, first, depth, column, load);
}

/* One row takes all columns at once: the panel is walked from end to end, as memory likes. */
ALWAYS_INLINE void panel_each_row(const struct nn_panel *p, size_t row, size_t width,
                                  size_t first, size_t depth,
                                  vector (*load)(const void *weight, size_t index))
{
    for (; row < p->rows; row++)
        panel_rows(1, NN_PANEL_COLUMNS / LANES, p, row, width, first, depth, load);
}

/* A piece of the weights is in the first cache when the second few rows meet it. */
static void simd_panel(const struct nn_panel *p)
{
    size_t width = (p->columns + NN_PANEL_STEP - 1) / NN_PANEL_STEP * NN_PANEL_STEP;
    for (size_t first = 0; first < p->depth; first += NN_PANEL_DEPTH) {
        size_t depth = p->depth - first < NN_PANEL_DEPTH ? p->depth - first : NN_PANEL_DEPTH;
        size_t r = 0;
        if (p->format == NN_WEIGHT_HALF) {
            panel_each_row(p, 0, width, first, depth, load_half);
            continue;
        }
        if (p->format == NN_WEIGHT_INT8) {
            panel_each_row(p, 0, width, first, depth, load_int8);
            continue;
        }
        for (; r + PANEL_ROWS <= p->rows; r += PANEL_ROWS)
            panel_rows(PANEL_ROWS, PANEL_VECTORS, p, r, width, first, depth, load_float);
        for (; r + 2 <= p->rows; r += 2)
            panel_rows(2, PANEL_VECTORS, p, r, width, first, depth, load_float);
        panel_each_row(p, r, width, first, depth, load_float);
    }
}

static void simd_affine(float *y, const float *x, float scale, float shift, size_t n);

/* A product with a vector: true when it was one. */
static bool multiply_vector(const struct nn_gemm *g)
{
    bool row = g->m == 1 && (!g->transpose_a || g->a_step == 1);
    bool column = g->n == 1 && (g->transpose_b || g->b_step == 1) && g->c_step == 1;
    if (g->alpha != 1 || (!row && !column))
        return false;
    size_t count = row ? g->n : g->m;
    if (g->beta == 0)
        memset(g->c, 0, count * sizeof *g->c);
    else if (g->beta != 1)
        simd_affine(g->c, g->c, g->beta, 0, count);
    if (row && g->transpose_b)
        multiply_rows(g->c, g->b, g->b_step, g->a, g->n, g->k);
    else if (row)
        multiply_columns(g->c, g->a, g->b, g->b_step, g->k, g->n);
    else if (g->transpose_a)
        multiply_columns(g->c, g->b, g->a, g->a_step, g->k, g->m);
    else
        multiply_rows(g->c, g->a, g->a_step, g->b, g->m, g->k);
    return true;
}

static void simd_gemm(const struct nn_gemm *g)
{
    if (g->m > 0 && g->n > 0 && !multiply_vector(g))
        nn_kernels_gemm_blas(g);
}

/* Vectors. */

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

/* exp(x), 0 below `lowest`: no result between is smaller than floats hold with all their
 * digits when that is NORMAL, none is lost when it is SUBNORMAL. At 89 and above it is
 * infinite. x = e·ln 2 + r, the polynomial of Cephes' expf for r, and 2^e by the exponent. */
#define NORMAL    (-87.3f)
#define SUBNORMAL (-104.0f)

ALWAYS_INLINE vector exponential(vector x, vector lowest)
{
    vector clamped = v_min(v_set(89.0f), v_max(lowest, x));
    vector e = v_round(v_mul(clamped, v_set(1.44269504f)));
    vector r = v_fma(e, v_set(-0.693359375f), clamped);
    r = v_fma(e, v_set(2.12194440e-4f), r);
    vector p = v_fma(v_set(1.9875691500e-4f), r, v_set(1.3981999507e-3f));
    p = v_fma(p, r, v_set(8.3334519073e-3f));
    p = v_fma(p, r, v_set(4.1665795894e-2f));
    p = v_fma(p, r, v_set(1.6666665459e-1f));
    p = v_fma(p, r, v_set(5.0000001201e-1f));
    p = v_add(v_fma(v_mul(p, r), r, r), v_set(1));
    return v_select_less(x, lowest, v_set(0), v_scale(p, e));
}

/* Σ coefficient[i] · q^(count - 1 - i) */
ALWAYS_INLINE vector polynomial(vector q, const float *coefficient, const size_t count)
{
    vector sum = v_set(coefficient[0]);
    for (size_t i = 1; i < count; i++)
        sum = v_fma(sum, q, v_set(coefficient[i]));
    return sum;
}

ALWAYS_INLINE vector sigmoid_one(vector x, vector zero, vector one)
{
    x = v_min(v_set(SIGMOID_LIMIT), v_max(v_set(-SIGMOID_LIMIT), x));
    vector q = v_mul(x, x);
    vector upper = v_mul(polynomial(q, nn_sigmoid_upper, SIGMOID_UPPER), x);
    vector y = v_div(upper, polynomial(q, nn_sigmoid_lower, SIGMOID_LOWER));
    return v_min(one, v_max(zero, v_add(y, v_set(0.5f))));
}

static void simd_sigmoid(float *y, const float *x, size_t n)
{
    map_one(y, x, n, 0, 1, sigmoid_one);
}

ALWAYS_INLINE vector tanh_one(vector x, vector low, vector high)
{
    x = v_min(high, v_max(low, x));
    vector q = v_mul(x, x);
    vector upper = v_mul(polynomial(q, nn_tanh_upper, TANH_UPPER), x);
    return v_div(upper, polynomial(q, nn_tanh_lower, TANH_LOWER));
}

static void simd_tanh(float *y, const float *x, size_t n)
{
    map_one(y, x, n, -TANH_LIMIT, TANH_LIMIT, tanh_one);
}

ALWAYS_INLINE vector exp_one(vector x, vector lowest, vector unused)
{
    (void)unused;
    return exponential(x, lowest);
}

static void simd_exp(float *y, const float *x, size_t n)
{
    map_one(y, x, n, SUBNORMAL, 0, exp_one);
}

ALWAYS_INLINE vector erf_one(vector x, vector low, vector high)
{
    x = v_min(high, v_max(low, x));
    vector q = v_mul(x, x);
    vector upper = v_mul(polynomial(q, nn_erf_upper, ERF_UPPER), x);
    vector y = v_div(upper, polynomial(q, nn_erf_lower, ERF_LOWER));
    return v_min(v_set(1), v_max(v_set(-1), y));
}

static void simd_erf(float *y, const float *x, size_t n)
{
    map_one(y, x, n, -ERF_LIMIT, ERF_LIMIT, erf_one);
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

static void simd_softmax(float *y, const float *x, size_t n)
{
    const vector lowest = v_set(-INFINITY);
    vector max = lowest, sum = v_set(0);
    for (size_t i = 0; i < n; i += LANES) {
        size_t part = n - i < LANES ? n - i : LANES;
        max = v_max(v_select_first(part, v_load_part(x + i, part), lowest), max);
    }
    max = v_set(v_largest(max));
    for (size_t i = 0; i < n; i += LANES) {
        size_t part = n - i < LANES ? n - i : LANES;
        vector e = exponential(v_sub(v_load_part(x + i, part), max), v_set(NORMAL));
        v_store_part(y + i, e, part);
        sum = v_add(sum, v_select_first(part, e, v_set(0)));
    }
    float total = v_sum(sum);
    for (size_t i = 0; i < n; i += LANES) {
        size_t part = n - i < LANES ? n - i : LANES;
        v_store_part(y + i, v_div(v_load_part(y + i, part), v_set(total)), part);
    }
}

#include "nn/kernels/depthwise_tmpl.c"
#include "nn/kernels/winograd_tmpl.c"

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
