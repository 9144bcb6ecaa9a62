/* What only training does, for the vector tables: included by simd_tmpl.c behind the Winograd
 * transforms; the contract is in kernels.h. */

/* What of dy passes where y is above zero. */
ALWAYS_INLINE vector passed(vector y, vector dy)
{
    return v_select_less(v_set(0), y, dy, v_set(0));
}

static void simd_relu_gradient(float *dx, const float *y, const float *dy, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(dx + i, passed(v_load(y + i), v_load(dy + i)));
    if (i < n)
        v_store_part(dx + i, passed(v_load_part(y + i, n - i), v_load_part(dy + i, n - i)),
                     n - i);
}

/* What of *left goes to where x is not below its maximum y; the rest stays for those behind. */
ALWAYS_INLINE vector take_gradient(vector x, vector y, vector *left)
{
    vector taken = v_select_less(x, y, v_set(0), *left);
    *left = v_select_less(x, y, *left, v_set(0));
    return taken;
}

static void simd_max_2x2_gradient(const struct nn_max_gradient *g)
{
    for (size_t i = 0; i < g->n; i += LANES) {
        size_t left = g->n - i < LANES ? g->n - i : LANES;
        lanes low = v_lanes(0, (ptrdiff_t)(2 * left)),
              high = v_lanes(0, (ptrdiff_t)(2 * left) - LANES);
        const float *a = g->a + 2 * i, *b = g->b + 2 * i;
        vector a0 = v_load_lanes(a, low), a1 = v_load_lanes(a + LANES, high);
        vector b0 = v_load_lanes(b, low), b1 = v_load_lanes(b + LANES, high);
        vector y = v_load_part(g->y + i, left), dy = v_load_part(g->dy + i, left), row[2];
        if (g->positive)
            dy = passed(y, dy);
        vector even = take_gradient(v_even(a0, a1), y, &dy);
        put_columns(2, (vector[]){even, take_gradient(v_odd(a0, a1), y, &dy)}, row);
        store_row(g->da + 2 * i, row, 2, (ptrdiff_t)(2 * left));
        even = take_gradient(v_even(b0, b1), y, &dy);
        put_columns(2, (vector[]){even, take_gradient(v_odd(b0, b1), y, &dy)}, row);
        store_row(g->db + 2 * i, row, 2, (ptrdiff_t)(2 * left));
    }
}

/* A y: the adjoint of transform_output, m values to m + 2. */
ALWAYS_INLINE void transform_gradient(const size_t m, const vector *y, vector *p)
{
    p[0] = y[0];
    p[m + 1] = y[m - 1];
    if (m == 2) {
        p[1] = v_add(y[0], y[1]);
        p[2] = v_sub(y[0], y[1]);
        return;
    }
    vector near = v_fma(v_set(0.5f), y[2], y[0]), far = v_fma(v_set(2), y[2], y[0]);
    vector near_odd = v_mul(v_set(SQRT_HALF), v_fma(v_set(0.5f), y[3], y[1]));
    vector far_odd = v_mul(v_set(SQRT_TWO), v_fma(v_set(2), y[3], y[1]));
    p[1] = v_add(near, near_odd);
    p[2] = v_sub(near, near_odd);
    p[3] = v_add(far, far_odd);
    p[4] = v_sub(far, far_odd);
}

ALWAYS_INLINE void channel_gradient(const size_t m, const float *x, size_t x_step, float *v,
                                    size_t v_step)
{
    vector t[6][4];
    UNROLL for (size_t c = 0; c < m; c++)
    {
        vector y[4], p[6];
        UNROLL for (size_t r = 0; r < m; r++) y[r] = v_load(x + r * x_step + c * NN_PANEL_STEP);
        transform_gradient(m, y, p);
        UNROLL for (size_t r = 0; r < m + 2; r++) t[r][c] = p[r];
    }
    UNROLL for (size_t r = 0; r < m + 2; r++)
    {
        vector element[6];
        transform_gradient(m, t[r], element);
        UNROLL for (size_t c = 0; c < m + 2; c++)
            v_store(v + (r * (m + 2) + c) * v_step, element[c]);
    }
}

ALWAYS_INLINE void channel_gradients(const size_t m, const struct nn_winograd_tiles_in *in)
{
    for (size_t i = 0; i < in->n; i++)
        for (size_t k = 0; k < NN_PANEL_STEP; k += LANES)
            channel_gradient(m, in->x + i * m * NN_PANEL_STEP + k, in->x_step,
                             in->v + i * in->tile_step + k, in->v_step);
}

static void simd_winograd_tiles_gradient(const struct nn_winograd_tiles_in *in)
{
    if (in->m == 4)
        channel_gradients(4, in);
    else
        channel_gradients(2, in);
}
