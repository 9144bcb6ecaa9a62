/* Winograd's minimal filtering for the vector tables, included at the end of avx2.c,
 * avx512.c and neon.c before the table; the contract and the sources are in kernels.h.
 *
 * Lanes are tiles that are neighbours in a row of tiles. Rows of an image are taken apart into
 * columns of tiles when they are read and put together when they are written, so that both
 * transforms are plain vertical arithmetic and images keep their layout. */

/* F(4,3) interpolates at 0, ±√½, ±√2 and ∞: about half the rounding error of the usual 0, ±1,
 * ±2, ∞, for the same number of operations. */
#define SQRT_HALF 0.707106781186547524f
#define SQRT_TWO  1.41421356237309505f

/* Elements `which` and, in pairs that share arithmetic, which + 1 of Bᵀd, d the m + 2 values of
 * a row or column of a tile. */
ALWAYS_INLINE void input_end(const size_t m, const size_t which, const vector *d, vector *to)
{
    if (m == 2)
        *to = which == 0 ? v_sub(d[0], d[2]) : v_sub(d[3], d[1]);
    else if (which == 0)
        *to = v_add(v_fma(v_set(-2.5f), d[2], d[0]), d[4]);
    else
        *to = v_add(v_fma(v_set(-2.5f), d[3], d[1]), d[5]);
}

ALWAYS_INLINE void input_pair(const size_t m, const size_t which, const vector *d, vector *to,
                              vector *next)
{
    if (m == 2) {
        *to = v_add(d[1], d[2]);
        *next = v_sub(d[2], d[1]);
        return;
    }
    const vector factor = v_set(which == 1 ? -2 : -0.5f);
    const float odd = which == 1 ? SQRT_HALF : SQRT_TWO;
    vector evens = v_fma(factor, d[2], d[4]), odds = v_fma(factor, d[1], d[3]);
    *to = v_fma(v_set(odd), odds, evens);
    *next = v_fma(v_set(-odd), odds, evens);
}

/* Aᵀp of one row or column of products: m + 2 values to m. */
ALWAYS_INLINE void transform_output(const size_t m, const vector *p, vector *y)
{
    vector sum = v_add(p[1], p[2]), difference = v_sub(p[1], p[2]);
    if (m == 2) {
        y[0] = v_add(p[0], sum);
        y[1] = v_add(difference, p[3]);
        return;
    }
    vector far_sum = v_add(p[3], p[4]), far_difference = v_sub(p[3], p[4]);
    y[0] = v_add(p[0], v_add(sum, far_sum));
    y[1] = v_mul(v_set(SQRT_HALF), v_fma(v_set(2), far_difference, difference));
    y[2] = v_fma(v_set(2), far_sum, v_mul(v_set(0.5f), sum));
    y[3] = v_fma(v_set(SQRT_HALF / 2), v_fma(v_set(8), far_difference, difference), p[5]);
}

/* Columns of tiles that are neighbours, m floats apart: column c holds x[c], x[c + m], ... of a
 * row x of m vectors and, in the last one, the two floats behind them. */
ALWAYS_INLINE void take_columns(const size_t m, const vector *x, vector *column)
{
    vector even = v_even(x[0], x[1]), odd = v_odd(x[0], x[1]);
    if (m == 2) {
        column[0] = even;
        column[1] = odd;
    } else {
        vector even2 = v_even(x[2], x[3]), odd2 = v_odd(x[2], x[3]);
        column[0] = v_even(even, even2);
        column[1] = v_even(odd, odd2);
        column[2] = v_odd(even, even2);
        column[3] = v_odd(odd, odd2);
    }
    column[m] = v_shift_in(column[0], x[m]);
    column[m + 1] = v_shift_in(column[1], v_shift_in(x[m], x[m]));
}

/* Bᵀd of a row of tiles: m + 2 columns to m + 2 elements. */
ALWAYS_INLINE void transform_row(const size_t m, const vector *d, vector *element)
{
    input_end(m, 0, d, &element[0]);
    UNROLL for (size_t e = 1; e <= m; e += 2) input_pair(m, e, d, &element[e], &element[e + 1]);
    input_end(m, m + 1, d, &element[m + 1]);
}

/* Half of Bᵀd of a column, the elements before or behind the middle: m / 2 + 1 of them. */
ALWAYS_INLINE void transform_half(const size_t m, const bool upper, const vector *d,
                                  vector *first, vector *second, vector *third)
{
    if (upper) {
        input_end(m, 0, d, first);
        input_pair(m, 1, d, second, third);
    } else if (m == 4) {
        input_pair(m, 3, d, first, second);
        input_end(m, m + 1, d, third);
    } else {
        input_end(m, m + 1, d, first);
    }
}

/* A row of tiles whose columns are transformed: the rest, to its m + 2 elements. */
ALWAYS_INLINE void put_elements(const size_t m, const vector *x, float *v, size_t v_step,
                                size_t room)
{
    vector column[6], element[6];
    take_columns(m, x, column);
    transform_row(m, column, element);
    for (size_t e = 0; e < m + 2; e++) {
        if (room >= LANES)
            v_store(v + e * v_step, element[e]);
        else
            v_store_part(v + e * v_step, element[e], room);
    }
}

/* Half of the rows of elements. */
ALWAYS_INLINE void input_half(const size_t m, const bool upper, const float *const *row,
                              const lanes *there, float *v, size_t v_step, size_t room)
{
    vector d[6], x[3][5];
    UNROLL for (size_t i = 0; i <= m; i++)
    {
        for (size_t r = 0; r < m + 2; r++)
            d[r] = v_load_lanes(row[r] + i * LANES, there[i]);
        transform_half(m, upper, d, &x[0][i], &x[1][i], &x[2][i]);
    }
    const size_t first = upper ? 0 : 3, count = m == 2 && !upper ? 1 : 3;
    UNROLL for (size_t r = 0; r < count; r++)
        put_elements(m, x[r], v + (first + r) * (m + 2) * v_step, v_step, room);
}

/* LANES tiles. Rows are read twice: registers do not hold all elements at once. */
ALWAYS_INLINE void input_tiles(const size_t m, const float *const *row, const lanes *there,
                               float *v, size_t v_step, size_t room)
{
    input_half(m, true, row, there, v, v_step, room);
    input_half(m, false, row, there, v, v_step, room);
}

ALWAYS_INLINE void input_line(const size_t m, const struct nn_winograd_input *in)
{
    static const float zeros[4 * LANES + 2];
    for (size_t i = 0; i < in->n; i += LANES) {
        ptrdiff_t column = in->column + (ptrdiff_t)(m * i);
        lanes there[5];
        for (size_t c = 0; c <= m; c++) {
            ptrdiff_t at = column + (ptrdiff_t)(c * LANES), left = in->width - at;
            there[c] = v_lanes(-at, c == m && left > 2 ? 2 : left);
        }
        const float *row[6];
        for (size_t r = 0; r < m + 2; r++) {
            ptrdiff_t y = in->row + (ptrdiff_t)r;
            row[r] = y < 0 || y >= in->height ? zeros : in->x + y * in->width + column;
            for (size_t c = 0; c < m; c++)
                __builtin_prefetch(row[r] + in->ahead + c * LANES);
        }
        input_tiles(m, row, there, in->v + i, in->v_step, in->room - i);
    }
}

static void simd_winograd_input(const struct nn_winograd_input *in)
{
    if (in->m == 4)
        input_line(4, in);
    else
        input_line(2, in);
}

/* rows × vectors sums, all in registers. */
ALWAYS_INLINE void product_block(const size_t vectors, float *c, size_t c_step, const float *a,
                                 const float *b, size_t depth, bool add)
{
    vector sum[TILE_ROWS][TILE_VECTORS];
    UNROLL for (size_t r = 0; r < TILE_ROWS; r++)
    {
        UNROLL for (size_t v = 0; v < vectors; v++) sum[r][v] =
            add ? v_load(c + r * c_step + v * LANES) : v_set(0);
    }
    for (size_t k = 0; k < depth; k++, a += TILE_ROWS, b += TILE_VECTORS * LANES) {
        vector in[TILE_VECTORS];
        UNROLL for (size_t v = 0; v < vectors; v++) in[v] = v_load(b + v * LANES);
        UNROLL for (size_t r = 0; r < TILE_ROWS; r++)
        {
            vector w = v_set(a[r]);
            UNROLL for (size_t v = 0; v < vectors; v++) sum[r][v] = v_fma(w, in[v], sum[r][v]);
        }
    }
    UNROLL for (size_t r = 0; r < TILE_ROWS; r++)
    {
        UNROLL for (size_t v = 0; v < vectors; v++)
            v_store(c + r * c_step + v * LANES, sum[r][v]);
    }
}

static void simd_winograd_product(float *c, size_t c_step, const float *a, const float *b,
                                  size_t depth, size_t n, bool add)
{
    if (n > 2 * LANES)
        product_block(3, c, c_step, a, b, depth, add);
    else if (n > LANES)
        product_block(2, c, c_step, a, b, depth, add);
    else if (n > 0)
        product_block(1, c, c_step, a, b, depth, add);
}

/* Stores what of a row of LANES · count outputs lies before `left`. */
ALWAYS_INLINE void store_row(float *y, const vector *row, const size_t count, ptrdiff_t left)
{
    for (size_t i = 0; i < count; i++, left -= LANES) {
        if (left >= LANES)
            v_store(y + i * LANES, row[i]);
        else if (left > 0)
            v_store_part(y + i * LANES, row[i], (size_t)left);
    }
}

/* m columns of tiles to a row of outputs. */
ALWAYS_INLINE void put_columns(const size_t m, const vector *column, vector *row)
{
    if (m == 1) {
        row[0] = column[0];
    } else if (m == 2) {
        row[0] = v_zip_low(column[0], column[1]);
        row[1] = v_zip_high(column[0], column[1]);
    } else {
        vector even[2], odd[2];
        put_columns(2, (vector[]){column[0], column[2]}, even);
        put_columns(2, (vector[]){column[1], column[3]}, odd);
        put_columns(2, (vector[]){even[0], odd[0]}, row);
        put_columns(2, (vector[]){even[1], odd[1]}, row + 2);
    }
}

/* The m × m outputs of LANES tiles, half transformed in t, to their place. A maximum commutes
 * exactly with the sum and the clamping, which grow with it, and leaves a quarter of them. */
ALWAYS_INLINE void finish_tiles(const size_t m, const bool pool,
                                const struct nn_winograd_output *out, vector t[4][6], size_t i)
{
    vector y[4][4], row[4];
    const vector low = v_set(out->low), high = v_set(out->high), bias = v_set(out->bias);
    UNROLL for (size_t r = 0; r < m; r++) transform_output(m, t[r], y[r]);
    const size_t side = pool ? m / 2 : m;
    UNROLL for (size_t r = 0; r < side; r++)
    {
        if (r >= out->rows)
            return;
        for (size_t c = 0; c < side; c++) {
            if (pool)
                y[r][c] = v_max(v_max(y[2 * r][2 * c], y[2 * r][2 * c + 1]),
                                v_max(y[2 * r + 1][2 * c], y[2 * r + 1][2 * c + 1]));
            y[r][c] = v_min(high, v_max(low, v_add(y[r][c], bias)));
        }
        put_columns(side, y[r], row);
        store_row(out->y + r * out->y_step + side * i, row, side,
                  (ptrdiff_t)out->columns - (ptrdiff_t)(side * i));
    }
}

/* The products of column c of the tiles: read, or made here where input channels are few. */
ALWAYS_INLINE void take_products(const size_t side, const bool few,
                                 const struct nn_winograd_output *out, size_t c, size_t i,
                                 vector *p)
{
    const float *from = out->p + c * out->p_step + i;
    if (!few) {
        for (size_t r = 0; r < side; r++)
            p[r] = v_load(from + r * side * out->p_step);
        return;
    }
    from = out->p + c * out->depth * out->p_step + i;
    const float *weight = out->weight + c * out->depth;
    const size_t row = side * out->depth;
    for (size_t r = 0; r < side; r++)
        p[r] = v_mul(v_set(weight[r * row]), v_load(from + r * row * out->p_step));
    for (size_t k = 1; k < out->depth; k++) {
        from += out->p_step;
        for (size_t r = 0; r < side; r++)
            p[r] =
                v_fma(v_set(weight[r * row + k]), v_load(from + r * row * out->p_step), p[r]);
    }
}

ALWAYS_INLINE void output_tiles(const size_t m, const bool pool, const bool few,
                                const struct nn_winograd_output *out)
{
    for (size_t i = 0; i < out->n; i += LANES) {
        vector t[4][6];
        UNROLL for (size_t c = 0; c < m + 2; c++)
        {
            vector p[6], sums[4];
            take_products(m + 2, few, out, c, i, p);
            transform_output(m, p, sums);
            for (size_t r = 0; r < m; r++)
                t[r][c] = sums[r];
        }
        finish_tiles(m, pool, out, t, i);
    }
}

static void simd_winograd_output(const struct nn_winograd_output *out)
{
    bool few = out->weight != NULL;
    if (out->m == 4 && few && out->pool)
        output_tiles(4, true, true, out);
    else if (out->m == 4 && few)
        output_tiles(4, false, true, out);
    else if (out->m == 4 && out->pool)
        output_tiles(4, true, false, out);
    else if (out->m == 4)
        output_tiles(4, false, false, out);
    else if (out->pool)
        output_tiles(2, true, few, out);
    else
        output_tiles(2, false, few, out);
}

/* With channels for lanes there is nothing to take apart: a vector is one input of some
 * channels, and the same arithmetic is all there is. */

ALWAYS_INLINE void channel_half(const size_t m, const bool upper, const float *x, size_t x_step,
                                float *v, size_t v_step)
{
    vector d[6], t[3][6], element[6];
    UNROLL for (size_t c = 0; c < m + 2; c++)
    {
        UNROLL for (size_t r = 0; r < m + 2; r++) d[r] =
            v_load(x + r * x_step + c * NN_PANEL_STEP);
        transform_half(m, upper, d, &t[0][c], &t[1][c], &t[2][c]);
    }
    const size_t first = upper ? 0 : 3, count = m == 2 && !upper ? 1 : 3;
    UNROLL for (size_t r = 0; r < count; r++)
    {
        transform_row(m, t[r], element);
        UNROLL for (size_t c = 0; c < m + 2; c++)
            v_store(v + ((first + r) * (m + 2) + c) * v_step, element[c]);
    }
}

ALWAYS_INLINE void channel_tiles(const size_t m, const struct nn_winograd_tiles_in *in)
{
    for (size_t i = 0; i < in->n; i++)
        for (size_t k = 0; k < NN_PANEL_STEP; k += LANES) {
            const float *x = in->x + i * m * NN_PANEL_STEP + k;
            float *v = in->v + i * in->tile_step + k;
            channel_half(m, true, x, in->x_step, v, in->v_step);
            channel_half(m, false, x, in->x_step, v, in->v_step);
        }
}

static void simd_winograd_tiles_in(const struct nn_winograd_tiles_in *in)
{
    if (in->m == 4)
        channel_tiles(4, in);
    else
        channel_tiles(2, in);
}

/* One tile of LANES channels; of its outputs, rows × columns count. */
ALWAYS_INLINE void channel_outputs(const size_t m, const bool pool,
                                   const struct nn_winograd_tiles_out *out, const float *p,
                                   float *y, vector bias, size_t rows, size_t columns)
{
    const vector low = v_set(out->low), high = v_set(out->high);
    const size_t side = pool ? m / 2 : m;
    vector t[4][6];
    UNROLL for (size_t c = 0; c < m + 2; c++)
    {
        vector products[6], sums[4];
        UNROLL for (size_t r = 0; r < m + 2; r++) products[r] =
            v_load(p + (r * (m + 2) + c) * out->p_step);
        transform_output(m, products, sums);
        UNROLL for (size_t r = 0; r < m; r++) t[r][c] = sums[r];
    }
    UNROLL for (size_t r = 0; r < side; r++)
    {
        vector above[4], below[4];
        if (r >= rows)
            return;
        transform_output(m, t[pool ? 2 * r : r], above);
        if (pool)
            transform_output(m, t[2 * r + 1], below);
        UNROLL for (size_t c = 0; c < side; c++)
        {
            if (c >= columns)
                break;
            vector value = pool ? v_max(v_max(above[2 * c], above[2 * c + 1]),
                                        v_max(below[2 * c], below[2 * c + 1]))
                                : above[c];
            value = v_min(high, v_max(low, v_add(value, bias)));
            v_store(y + r * out->y_step + c * out->column_step, value);
        }
    }
}

ALWAYS_INLINE void channel_tiles_out(const size_t m, const bool pool,
                                     const struct nn_winograd_tiles_out *out)
{
    const size_t side = pool ? m / 2 : m;
    for (size_t k = 0; k < NN_PANEL_STEP; k += LANES) {
        const vector bias = v_load(out->bias + k);
        for (size_t i = 0; i < out->n; i++)
            channel_outputs(m, pool, out, out->p + i * out->tile_step + k,
                            out->y + i * side * out->column_step + k, bias, out->rows,
                            out->columns - i * side);
    }
}

static void simd_winograd_tiles_out(const struct nn_winograd_tiles_out *out)
{
    if (out->m == 4 && out->pool)
        channel_tiles_out(4, true, out);
    else if (out->m == 4)
        channel_tiles_out(4, false, out);
    else if (out->pool)
        channel_tiles_out(2, true, out);
    else
        channel_tiles_out(2, false, out);
}
