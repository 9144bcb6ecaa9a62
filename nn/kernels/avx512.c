/* AVX-512 (F, DQ, VL, BW): sixteen floats in a vector, thirty-two registers, masks. */
#include "nn/kernels/tables.h"

#include <immintrin.h>

#define TABLE      nn_kernels_table_avx512
#define TABLE_NAME "avx512"
#define BYTES      nn_byte_table_avx512

/* 8 × 3 sums and 3 inputs; weights come as broadcast memory operands. */
#define TILE_ROWS    8
#define TILE_VECTORS 3

/* 4 × 4 sums, 4 weights and 1 input: enough to hide what a sum takes. */
#define PANEL_ROWS    4
#define PANEL_VECTORS 4

#define REGISTERS 32
#define LANES     16
typedef __m512 vector;

static inline __mmask16 lane_mask(size_t n)
{
    return (__mmask16)((1u << n) - 1);
}

static inline vector v_set(float value)
{
    return _mm512_set1_ps(value);
}

static inline vector v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

/* The first n lanes, 0 in the others, which are not read. */
static inline vector v_load_part(const float *p, size_t n)
{
    return _mm512_maskz_loadu_ps(lane_mask(n), p);
}

static inline vector v_load_half(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline vector v_load_int8(const int8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

static inline void v_store(float *p, vector a)
{
    _mm512_storeu_ps(p, a);
}

static inline void v_store_part(float *p, vector a, size_t n)
{
    _mm512_mask_storeu_ps(p, lane_mask(n), a);
}

static inline vector v_add(vector a, vector b)
{
    return _mm512_add_ps(a, b);
}

static inline vector v_sub(vector a, vector b)
{
    return _mm512_sub_ps(a, b);
}

static inline vector v_mul(vector a, vector b)
{
    return _mm512_mul_ps(a, b);
}

static inline vector v_div(vector a, vector b)
{
    return _mm512_div_ps(a, b);
}

/* a · b + c */
static inline vector v_fma(vector a, vector b, vector c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* Both give b when either is NaN. */
static inline vector v_max(vector a, vector b)
{
    return _mm512_max_ps(a, b);
}

static inline vector v_min(vector a, vector b)
{
    return _mm512_min_ps(a, b);
}

/* a < b ? yes : no, lane by lane */
static inline vector v_select_less(vector a, vector b, vector yes, vector no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}

/* The first n lanes of a, b in the others. */
static inline vector v_select_first(size_t n, vector a, vector b)
{
    return _mm512_mask_blend_ps(lane_mask(n), b, a);
}

static inline vector v_round(vector a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* a · 2^e for whole numbers e */
static inline vector v_scale(vector a, vector e)
{
    return _mm512_scalef_ps(a, e);
}

static inline float v_sum(vector a)
{
    return _mm512_reduce_add_ps(a);
}

static inline float v_largest(vector a)
{
    return _mm512_reduce_max_ps(a);
}

/* a[0], a[2], ... b[0], b[2], ... */
static inline vector v_even(vector a, vector b)
{
    return _mm512_permutex2var_ps(
        a, _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30), b);
}

static inline vector v_odd(vector a, vector b)
{
    return _mm512_permutex2var_ps(
        a, _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31), b);
}

/* p[0], p[2], ... p[30]; reads nothing behind p[30]. */
static inline vector v_load_even(const float *p)
{
    return v_even(v_load(p), v_load_part(p + LANES, LANES - 1));
}

/* x[at[0]], x[at[1]], ... */
static inline vector v_load_at(const float *x, const int32_t *at)
{
    return _mm512_i32gather_ps(_mm512_loadu_si512(at), x, sizeof *x);
}

/* The first n lanes, 0 in the others, for which nothing is read. */
static inline vector v_load_part_at(const float *x, const int32_t *at, size_t n)
{
    return _mm512_mask_i32gather_ps(v_set(0), lane_mask(n),
                                    _mm512_maskz_loadu_epi32(lane_mask(n), at), x, sizeof *x);
}

/* Which floats of a vector there are: lanes from..end-1, as far as they exist. */
typedef __mmask16 lanes;

static inline lanes v_lanes(ptrdiff_t from, ptrdiff_t end)
{
    uint32_t upto = end >= LANES ? 0xffff : end > 0 ? (1u << end) - 1 : 0;
    return (lanes)(from >= LANES ? 0 : from > 0 ? upto >> from << from : upto);
}

/* Zero where there is none; those are not read. */
static inline vector v_load_lanes(const float *p, lanes there)
{
    return _mm512_maskz_loadu_ps(there, p);
}

/* a[0], b[0], a[1], b[1], ... and the second half of that. */
static inline vector v_zip_low(vector a, vector b)
{
    return _mm512_permutex2var_ps(
        a, _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23), b);
}

static inline vector v_zip_high(vector a, vector b)
{
    return _mm512_permutex2var_ps(
        a, _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31), b);
}

/* a[1], a[2], ..., next[0] */
static inline vector v_shift_in(vector a, vector next)
{
    return _mm512_castsi512_ps(
        _mm512_alignr_epi32(_mm512_castps_si512(next), _mm512_castps_si512(a), 1));
}

#include "nn/kernels/simd_tmpl.c"
