/* Products of matrices for the vector tables, included before the table; the contracts are in
 * kernels.h. What meets a vector or panels of weights is here, the rest is OpenBLAS's. */

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
