/* Depthwise convolution for the vector tables, included before the table; the contract is in
 * kernels.h. Rows of outputs at a time share what they read of the rows between, and the
 * padding is lanes that are not loaded, so that no image is copied. */

/* Rows of outputs at a time: where there are registers for it eight, which load a sixth less
 * than four do and have twice as many sums that do not wait for each other. What is left of an
 * image takes half as many. */
#define DEPTHWISE_ROWS (REGISTERS / 4)

/* The inputs under each column of the window for LANES outputs that are neighbours. */
ALWAYS_INLINE void window_columns(const size_t kernel, const size_t stride, const float *x,
                                  const lanes *there, vector *column)
{
    if (stride == 1) {
        UNROLL for (size_t k = 0; k < kernel; k++) column[k] = v_load_lanes(x + k, there[k]);
        return;
    }
    UNROLL for (size_t k = 0; k < kernel; k += 2)
    {
        vector low = v_load_lanes(x + k, there[k]);
        vector high = v_load_lanes(x + k + LANES, there[k + 1]);
        column[k] = v_even(low, high);
        column[k + 1] = v_odd(low, high);
    }
}

/* Sums for LANES outputs of each of `rows` rows. */
ALWAYS_INLINE void sum_windows(const size_t kernel, const size_t stride, const size_t rows,
                               const struct nn_depthwise *d, const vector *weight,
                               const lanes *there, ptrdiff_t row, ptrdiff_t column, vector *sum)
{
    static const float zeros[2 * LANES + 6];
    const size_t inputs = stride * (rows - 1) + kernel;
    UNROLL for (size_t r = 0; r < rows; r++) sum[r] = v_set(0);
    UNROLL for (size_t j = 0; j < inputs; j++)
    {
        ptrdiff_t y = row + (ptrdiff_t)j;
        bool inside = y >= 0 && y < d->height;
        vector in[6];
        window_columns(kernel, stride, inside ? d->x + y * d->width + column : zeros, there,
                       in);
        UNROLL for (size_t r = 0; r < rows; r++)
        {
            if (j < r * stride || j - r * stride >= kernel)
                continue;
            const vector *w = weight + (j - r * stride) * kernel;
            UNROLL for (size_t k = 0; k < kernel; k++) sum[r] = v_fma(w[k], in[k], sum[r]);
        }
    }
}

/* Which lanes of each column of a block there are. */
ALWAYS_INLINE void find_lanes(const size_t kernel, const size_t stride, ptrdiff_t column,
                              ptrdiff_t width, lanes *there)
{
    for (size_t k = 0; k < (stride == 1 ? kernel : kernel + 1); k++) {
        ptrdiff_t at = column + (ptrdiff_t)(stride == 1 ? k : k / 2 * 2 + k % 2 * LANES);
        there[k] = v_lanes(-at, width - at);
    }
}

/* The outputs of `rows` rows from `row` on, as far as there are such, and of `count` columns
 * from `column` on. Without `capped`, d->high is infinite. */
ALWAYS_INLINE void depthwise_block(const size_t kernel, const size_t stride, const size_t rows,
                                   const bool capped, const struct nn_depthwise *d,
                                   const vector *weight, const lanes *there, size_t row,
                                   size_t column, size_t count)
{
    float nowhere[LANES];
    vector sum[DEPTHWISE_ROWS];
    sum_windows(kernel, stride, rows, d, weight, there, (ptrdiff_t)(row * stride) - d->pad_top,
                (ptrdiff_t)(column * stride) - d->pad_left, sum);
    UNROLL for (size_t j = 0; j < rows; j++)
    {
        sum[j] = v_max(v_set(d->low), v_add(v_set(d->bias), sum[j]));
        if (capped)
            sum[j] = v_min(v_set(d->high), sum[j]);
    }
    /* Stores that depend on nothing: a condition would draw the sums behind it, and what they
     * read out of the registers. */
    if (!d->pool) {
        float *y = d->y + row * d->columns + column;
        UNROLL for (size_t j = 0; j < rows; j++)
            v_store_part(row + j < d->rows ? y + j * d->columns : nowhere, sum[j], count);
        return;
    }
    float *y = d->y + row / 2 * (d->columns / 2) + column / 2;
    UNROLL for (size_t j = 0; j < rows; j += 2)
    {
        vector max = v_max(sum[j + 1], v_max(sum[j], v_set(-INFINITY)));
        max = v_max(v_even(max, max), v_odd(max, max));
        v_store_part(row + j + 1 < d->rows ? y + j / 2 * (d->columns / 2) : nowhere, max,
                     count / 2);
    }
}

ALWAYS_INLINE void depthwise_plane(const size_t kernel, const size_t stride, const bool capped,
                                   const struct nn_depthwise *d)
{
    vector weight[25];
    for (size_t k = 0; k < kernel * kernel; k++)
        weight[k] = v_set(d->weight[k]);
    for (size_t i = 0; i < d->columns; i += LANES) {
        size_t count = d->columns - i < LANES ? d->columns - i : LANES, r = 0;
        lanes there[6];
        find_lanes(kernel, stride, (ptrdiff_t)(i * stride) - d->pad_left, d->width, there);
        for (; r + DEPTHWISE_ROWS / 2 < d->rows; r += DEPTHWISE_ROWS)
            depthwise_block(kernel, stride, DEPTHWISE_ROWS, capped, d, weight, there, r, i,
                            count);
        if (r < d->rows)
            depthwise_block(kernel, stride, DEPTHWISE_ROWS / 2, capped, d, weight, there, r, i,
                            count);
    }
}

static void simd_depthwise(const struct nn_depthwise *d)
{
    const bool capped = d->high < INFINITY;
    if (d->kernel == 3 && d->stride == 1 && !capped)
        depthwise_plane(3, 1, false, d);
    else if (d->kernel == 3 && d->stride == 1)
        depthwise_plane(3, 1, true, d);
    else if (d->kernel == 3)
        depthwise_plane(3, 2, true, d);
    else if (d->stride == 1)
        depthwise_plane(5, 1, true, d);
    else
        depthwise_plane(5, 2, true, d);
}
