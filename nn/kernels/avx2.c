/* AVX2 with FMA: eight floats in a vector, sixteen registers. */
#include "nn/kernels/tables.h"

#include <immintrin.h>

#define TABLE      nn_kernels_table_avx2
#define TABLE_NAME "avx2"
#define BYTES      nn_byte_table_avx2

/* 4 × 3 sums, 3 inputs and 1 weight fill the sixteen registers. */
#define TILE_ROWS    4
#define TILE_VECTORS 3

/* 6 × 2 sums, 2 weights and 1 input. */
#define PANEL_ROWS    6
#define PANEL_VECTORS 2

#define REGISTERS 16
#define LANES     8
typedef __m256 vector;

static inline __m256i lane_mask(size_t n)
{
    static const int32_t lanes[2 * LANES] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(lanes + LANES - n));
}

static inline vector v_set(float value)
{
    return _mm256_set1_ps(value);
}

static inline vector v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

/* The first n lanes, 0 in the others, which are not read. */
static inline vector v_load_part(const float *p, size_t n)
{
    return _mm256_maskload_ps(p, lane_mask(n));
}

static inline vector v_load_half(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

static inline vector v_load_int8(const int8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

static inline void v_store(float *p, vector a)
{
    _mm256_storeu_ps(p, a);
}

/* A store with a mask takes Zen a dozen times as long as one without: it is for what is neither
 * a vector nor the half that pooling leaves of one. */
static inline void v_store_part(float *p, vector a, size_t n)
{
    if (n == LANES)
        _mm256_storeu_ps(p, a);
    else if (n == LANES / 2)
        _mm_storeu_ps(p, _mm256_castps256_ps128(a));
    else
        _mm256_maskstore_ps(p, lane_mask(n), a);
}

static inline vector v_add(vector a, vector b)
{
    return _mm256_add_ps(a, b);
}

static inline vector v_sub(vector a, vector b)
{
    return _mm256_sub_ps(a, b);
}

static inline vector v_mul(vector a, vector b)
{
    return _mm256_mul_ps(a, b);
}

static inline vector v_div(vector a, vector b)
{
    return _mm256_div_ps(a, b);
}

/* a · b + c */
static inline vector v_fma(vector a, vector b, vector c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* Both give b when either is NaN. */
static inline vector v_max(vector a, vector b)
{
    return _mm256_max_ps(a, b);
}

static inline vector v_min(vector a, vector b)
{
    return _mm256_min_ps(a, b);
}

/* a < b ? yes : no, lane by lane */
static inline vector v_select_less(vector a, vector b, vector yes, vector no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

/* The first n lanes of a, b in the others. */
static inline vector v_select_first(size_t n, vector a, vector b)
{
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(lane_mask(n)));
}

static inline vector v_round(vector a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* a · 2^e for whole numbers e in -252..254, in two steps: floats have no 2^128, and 2^-130 has
 * lost digits. */
static inline vector v_scale(vector a, vector e)
{
    const __m256i bias = _mm256_set1_epi32(127);
    __m256i whole = _mm256_cvtps_epi32(e), half = _mm256_srai_epi32(whole, 1);
    __m256i first = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    __m256i second =
        _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(a, _mm256_castsi256_ps(first)),
                         _mm256_castsi256_ps(second));
}

static inline float v_sum(vector a)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

static inline float v_largest(vector a)
{
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

/* The quarters of what a shuffle of two vectors made, as they follow each other. */
static inline vector in_order(__m256 quarters)
{
    return _mm256_castpd_ps(
        _mm256_permute4x64_pd(_mm256_castps_pd(quarters), _MM_SHUFFLE(3, 1, 2, 0)));
}

/* p[0], p[2], ... p[14]; reads nothing behind p[14]. */
static inline vector v_load_even(const float *p)
{
    /* The second half is read one float early, so that it ends at p[14]: its odd lanes. */
    __m256 low = _mm256_loadu_ps(p), high = _mm256_loadu_ps(p + 7);
    return in_order(_mm256_shuffle_ps(low, high, _MM_SHUFFLE(3, 1, 2, 0)));
}

/* x[at[0]], x[at[1]], ... */
static inline vector v_load_at(const float *x, const int32_t *at)
{
    return _mm256_i32gather_ps(x, _mm256_loadu_si256((const __m256i *)at), sizeof *x);
}

/* The first n lanes, 0 in the others, for which nothing is read. */
static inline vector v_load_part_at(const float *x, const int32_t *at, size_t n)
{
    return _mm256_mask_i32gather_ps(v_set(0), x, _mm256_maskload_epi32(at, lane_mask(n)),
                                    _mm256_castsi256_ps(lane_mask(n)), sizeof *x);
}

/* Which floats of a vector there are: lanes from..end-1, as far as they exist. */
typedef __m256i lanes;

static inline lanes v_lanes(ptrdiff_t from, ptrdiff_t end)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    int first = from > LANES ? LANES : from > 0 ? (int)from : 0;
    int last = end > LANES ? LANES : end > 0 ? (int)end : 0;
    return _mm256_and_si256(_mm256_cmpgt_epi32(lane, _mm256_set1_epi32(first - 1)),
                            _mm256_cmpgt_epi32(_mm256_set1_epi32(last), lane));
}

/* Zero where there is none; those are not read. */
static inline vector v_load_lanes(const float *p, lanes there)
{
    return _mm256_maskload_ps(p, there);
}

/* a[0], a[2], ... b[0], b[2], ... */
static inline vector v_even(vector a, vector b)
{
    return in_order(_mm256_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0)));
}

static inline vector v_odd(vector a, vector b)
{
    return in_order(_mm256_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1)));
}

/* a[0], b[0], a[1], b[1], ... and the second half of that. */
static inline vector v_zip_low(vector a, vector b)
{
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x20);
}

static inline vector v_zip_high(vector a, vector b)
{
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x31);
}

/* a[1], a[2], ..., next[0] */
static inline vector v_shift_in(vector a, vector next)
{
    return _mm256_permutevar8x32_ps(_mm256_blend_ps(a, next, 1),
                                    _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 0));
}

#include "nn/kernels/simd_tmpl.c"
