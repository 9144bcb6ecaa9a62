/* Sums and maxima over taps for the vector tables, included before the table; the contracts are
 * in kernels.h. */

/* rows × vectors sums in registers over all taps; `last` lanes count in the last vector. */
ALWAYS_INLINE void sum_block(const size_t rows, const size_t vectors, size_t last,
                             const float *x, const int32_t *offset, const float *weight,
                             size_t taps, vector (*sum)[4])
{
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
}

/* Sums as `end` says, `biased` if it has a bias. What is said is read once: while it is, and
 * nothing is multiplied, the next tile waits. */
ALWAYS_INLINE void end_block(const size_t vectors, const bool biased, size_t last, float *y,
                             size_t y_step, const vector (*sum)[4],
                             const struct nn_tile_end *end)
{
    const size_t rows = end->rows;
    const float *bias = end->bias;
    const vector low = v_set(end->low), high = v_set(end->high);
    UNROLL for (size_t r = 0; r < TILE_ROWS; r++)
    {
        if (r == rows)
            return;
        UNROLL for (size_t v = 0; v < vectors; v++)
        {
            float *to = y + r * y_step + v * LANES;
            const bool full = v + 1 < vectors || last == LANES;
            vector start = biased ? v_set(bias[r]) : full ? v_load(to) : v_load_part(to, last);
            vector value = v_min(high, v_max(low, v_add(start, sum[r][v])));
            if (full)
                v_store(to, value);
            else
                v_store_part(to, value, last);
        }
    }
}

ALWAYS_INLINE void tile_block(const size_t vectors, size_t last, float *y, size_t y_step,
                              const float *x, const int32_t *offset, const float *weight,
                              size_t taps, const struct nn_tile_end *end)
{
    vector sum[TILE_ROWS][4];
    sum_block(TILE_ROWS, vectors, last, x, offset, weight, taps, sum);
    if (end->bias)
        end_block(vectors, true, last, y, y_step, sum, end);
    else
        end_block(vectors, false, last, y, y_step, sum, end);
}

static void simd_tile(float *y, size_t y_step, const float *x, const int32_t *offset,
                      const float *weight, size_t taps, size_t n, const struct nn_tile_end *end)
{
    const size_t step = TILE_VECTORS * LANES;
    for (; n >= step && (n <= step || n > step + LANES); n -= step, y += step, x += step)
        tile_block(TILE_VECTORS, LANES, y, y_step, x, offset, weight, taps, end);
    /* Two of two vectors do more at a time than one of three and one of one. */
    if (n > step) {
        tile_block(2, LANES, y, y_step, x, offset, weight, taps, end);
        n -= 2 * LANES, y += 2 * LANES, x += 2 * LANES;
    }
    if (n > 2 * LANES)
        tile_block(3, n - 2 * LANES, y, y_step, x, offset, weight, taps, end);
    else if (n > LANES)
        tile_block(2, n - LANES, y, y_step, x, offset, weight, taps, end);
    else if (n > 0)
        tile_block(1, n, y, y_step, x, offset, weight, taps, end);
}

ALWAYS_INLINE void add_block(const size_t vectors, size_t last, float *y, const float *x,
                             const int32_t *offset, const float *weight, size_t taps)
{
    vector sum[1][4];
    sum_block(1, vectors, last, x, offset, weight, taps, sum);
    UNROLL for (size_t v = 0; v + 1 < vectors; v++)
        v_store(y + v * LANES, v_add(v_load(y + v * LANES), sum[0][v]));
    y += (vectors - 1) * LANES;
    if (last == LANES)
        v_store(y, v_add(v_load(y), sum[0][vectors - 1]));
    else
        v_store_part(y, v_add(v_load_part(y, last), sum[0][vectors - 1]), last);
}

static void simd_tap_sum(float *y, const float *x, const int32_t *offset, const float *weight,
                         size_t taps, size_t n)
{
    const size_t step = 4 * LANES;
    for (; n >= step; n -= step, y += step, x += step)
        add_block(4, LANES, y, x, offset, weight, taps);
    if (n > 3 * LANES)
        add_block(4, n - 3 * LANES, y, x, offset, weight, taps);
    else if (n > 2 * LANES)
        add_block(3, n - 2 * LANES, y, x, offset, weight, taps);
    else if (n > LANES)
        add_block(2, n - LANES, y, x, offset, weight, taps);
    else if (n > 0)
        add_block(1, n, y, x, offset, weight, taps);
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
