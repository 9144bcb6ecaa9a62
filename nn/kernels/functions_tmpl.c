/* Exponentials and what is made of them for the vector tables, included before the table; the
 * contracts are in kernels.h, the coefficients in tables.h. */

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
