/* Depthwise convolution for the vector tables, included before the table; the contract is in
 * kernels.h. Four rows of outputs at a time share what they read of the rows between, and the
 * padding is lanes that are not loaded, so that no image is copied. */

#define DEPTHWISE_ROWS 4

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

/* LANES outputs of DEPTHWISE_ROWS rows. */
ALWAYS_INLINE void depthwise_block(const size_t kernel, const size_t stride,
                                   const struct nn_depthwise *d, const vector *weight,
                                   const lanes *there, ptrdiff_t row, ptrdiff_t column,
                                   vector *sum)
{
    static const float zeros[2 * LANES + 6];
    const size_t inputs = stride * (DEPTHWISE_ROWS - 1) + kernel;
    UNROLL for (size_t r = 0; r < DEPTHWISE_ROWS; r++) sum[r] = v_set(0);
    UNROLL for (size_t j = 0; j < inputs; j++)
    {
        ptrdiff_t y = row + (ptrdiff_t)j;
        bool inside = y >= 0 && y < d->height;
        vector in[6];
        window_columns(kernel, stride, inside ? d->x + y * d->width + column : zeros, there,
                       in);
        UNROLL for (size_t r = 0; r < DEPTHWISE_ROWS; r++)
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

ALWAYS_INLINE void depthwise_plane(const size_t kernel, const size_t stride,
                                   const struct nn_depthwise *d)
{
    const vector bias = v_set(d->bias), low = v_set(d->low), high = v_set(d->high);
    float nowhere[LANES];
    vector weight[25];
    for (size_t k = 0; k < kernel * kernel; k++)
        weight[k] = v_set(d->weight[k]);
    for (size_t i = 0; i < d->columns; i += LANES) {
        ptrdiff_t column = (ptrdiff_t)(i * stride) - d->pad_left;
        size_t count = d->columns - i < LANES ? d->columns - i : LANES;
        lanes there[6];
        find_lanes(kernel, stride, column, d->width, there);
        for (size_t r = 0; r < d->rows; r += DEPTHWISE_ROWS) {
            vector sum[DEPTHWISE_ROWS];
            depthwise_block(kernel, stride, d, weight, there,
                            (ptrdiff_t)(r * stride) - d->pad_top, column, sum);
            UNROLL for (size_t j = 0; j < DEPTHWISE_ROWS; j++) sum[j] =
                v_min(high, v_max(low, v_add(bias, sum[j])));
            /* Stores that depend on nothing: a condition would draw the sums behind it, and
             * what they read out of the registers. */
            if (!d->pool) {
                float *y = d->y + r * d->columns + i;
                UNROLL for (size_t j = 0; j < DEPTHWISE_ROWS; j++)
                    v_store_part(r + j < d->rows ? y + j * d->columns : nowhere, sum[j], count);
                continue;
            }
            float *y = d->y + r / 2 * (d->columns / 2) + i / 2;
            UNROLL for (size_t j = 0; j < DEPTHWISE_ROWS; j += 2)
            {
                vector max = v_max(sum[j + 1], v_max(sum[j], v_set(-INFINITY)));
                max = v_max(v_even(max, max), v_odd(max, max));
                v_store_part(r + j + 1 < d->rows ? y + j / 2 * (d->columns / 2) : nowhere, max,
                             count / 2);
            }
        }
    }
}

static void simd_depthwise(const struct nn_depthwise *d)
{
    if (d->kernel == 3 && d->stride == 1)
        depthwise_plane(3, 1, d);
    else if (d->kernel == 3)
        depthwise_plane(3, 2, d);
    else if (d->stride == 1)
        depthwise_plane(5, 1, d);
    else
        depthwise_plane(5, 2, d);
}
