/* Integers of 8 bits with AVX2 and FMA. */
#include "nn/kernels/tables.h"

#include <immintrin.h>
#include <string.h>

#define BYTE_TABLE      nn_byte_table_avx2
#define BYTE_TABLE_NAME "avx2"

/* 4 × 2 sums, and even and odd bytes of 2 inputs and a weight. */
#define BYTE_TILE_ROWS     4
#define BYTE_TILE_VECTORS  2
#define BYTE_PANEL_ROWS    4
#define BYTE_PANEL_VECTORS 2

/* Rows of depthwise outputs that share what is loaded. */
#define BYTE_WINDOW_ROWS 4

#define LANES 8
typedef __m256i ints;
typedef __m256 floats;

static inline __m256i lane_mask(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline ints i_set(int32_t value)
{
    return _mm256_set1_epi32(value);
}

static inline ints i_load(const void *p)
{
    return _mm256_loadu_si256(p);
}

/* The first n lanes, 0 in the others, which are not read. */
static inline ints i_load_part(const void *p, size_t n)
{
    return _mm256_maskload_epi32(p, lane_mask(n));
}

static inline void i_store(void *p, ints a)
{
    _mm256_storeu_si256(p, a);
}

static inline void i_store_part(void *p, ints a, size_t n)
{
    _mm256_maskstore_epi32(p, lane_mask(n), a);
}

static inline ints i_add(ints a, ints b)
{
    return _mm256_add_epi32(a, b);
}

static inline ints i_or(ints a, ints b)
{
    return _mm256_or_si256(a, b);
}

static inline ints i_xor(ints a, ints b)
{
    return _mm256_xor_si256(a, b);
}

static inline ints i_shift_bytes(ints a)
{
    return _mm256_slli_epi32(a, 8);
}

static inline ints i_max_bytes(ints a, ints b)
{
    return _mm256_max_epu8(a, b);
}

/* The greater byte of each pair, flipped. */
static inline void store_max_of_pairs(uint8_t *p, ints a, ints flips)
{
    a = _mm256_xor_si256(_mm256_max_epu8(a, _mm256_srli_epi16(a, 8)), flips);
    a = _mm256_and_si256(a, _mm256_set1_epi16(0xff));
    a = _mm256_permute4x64_epi64(_mm256_packus_epi16(a, a), 0x08);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(a));
}

/* sum + the four products of x's unsigned and w's signed bytes, lane by lane. Even and odd
 * bytes apart: _mm256_maddubs_epi16 would saturate sums of two. */
static inline ints i_dot(ints sum, ints x, ints w)
{
    ints even = _mm256_madd_epi16(_mm256_and_si256(x, _mm256_set1_epi16(0xff)),
                                  _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8));
    ints odd = _mm256_madd_epi16(_mm256_srli_epi16(x, 8), _mm256_srai_epi16(w, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}

/* n bytes, each a lane. */
static inline ints i_widen(const uint8_t *p, size_t n)
{
    uint64_t bytes = 0;
    if (n == LANES)
        memcpy(&bytes, p, sizeof bytes);
    else
        memcpy(&bytes, p, n);
    return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)bytes));
}

/* Lane i has the bytes p[i · stride] .. p[i · stride + 3], of `bytes` that there are. Of a
 * whole vector the upper half is loaded from the end, so that nothing behind is read. */
static inline ints i_load_columns(const uint8_t *p, size_t stride, size_t bytes)
{
    const __m128i by_one = _mm_setr_epi8(0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6);
    const __m128i by_two = _mm_setr_epi8(0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 6, 7, 8, 9);
    uint8_t part[32] = {0};
    if (bytes < (LANES - 1) * stride + 4) {
        memcpy(part, p, bytes);
        p = part;
    }
    __m128i low, high, order = stride == 1 ? by_one : by_two;
    if (stride == 1) {
        low = _mm_loadl_epi64((const __m128i *)p);
        high = _mm_loadl_epi64((const __m128i *)(p + 3));
    } else {
        low = _mm_loadu_si128((const __m128i *)p);
        high = _mm_loadu_si128((const __m128i *)(p + 2));
    }
    __m128i later = _mm_add_epi8(order, _mm_set1_epi8(stride == 1 ? 1 : 6));
    return _mm256_set_m128i(_mm_shuffle_epi8(high, later), _mm_shuffle_epi8(low, order));
}

/* The lowest byte of the first n lanes. */
static inline void store_bytes(uint8_t *p, ints a, size_t n)
{
    const __m256i lowest = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
    __m256i packed = _mm256_shuffle_epi8(a, lowest);
    __m128i bytes =
        _mm_unpacklo_epi32(_mm256_castsi256_si128(packed), _mm256_extracti128_si256(packed, 1));
    int64_t all = _mm_cvtsi128_si64(bytes);
    if (n == LANES)
        memcpy(p, &all, sizeof all);
    else
        memcpy(p, &all, n);
}

/* n of the 32 bytes, 0 for the others, which are not read. */
static inline ints i_load_bytes(const uint8_t *p, size_t n)
{
    uint8_t part[32] = {0};
    memcpy(part, p, n);
    return i_load(part);
}

static inline void i_store_bytes(uint8_t *p, ints a, size_t n)
{
    uint8_t part[32];
    i_store(part, a);
    memcpy(p, part, n);
}

static inline ints i_set16(int16_t value)
{
    return _mm256_set1_epi16(value);
}

static inline ints i_set8(uint8_t value)
{
    return _mm256_set1_epi8((char)value);
}

/* How whole numbers become bytes (bytes_tmpl.c, end_all). */
struct packing {
    ints zero, low, high, flip;
};

/* The bytes of whole[0], then those of whole[1], ... */
static inline ints i_pack(const ints *whole, const struct packing *p)
{
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i a = _mm256_adds_epi16(_mm256_packs_epi32(whole[0], whole[1]), p->zero);
    __m256i b = _mm256_adds_epi16(_mm256_packs_epi32(whole[2], whole[3]), p->zero);
    a = _mm256_min_epu8(_mm256_max_epu8(_mm256_packus_epi16(a, b), p->low), p->high);
    return _mm256_permutevar8x32_epi32(_mm256_xor_si256(a, p->flip), order);
}

static inline floats f_set(float value)
{
    return _mm256_set1_ps(value);
}

static inline floats f_load_part(const float *p, size_t n)
{
    return n == LANES ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, lane_mask(n));
}

static inline void f_store_part(float *p, floats a, size_t n)
{
    if (n == LANES)
        _mm256_storeu_ps(p, a);
    else
        _mm256_maskstore_ps(p, lane_mask(n), a);
}

static inline floats f_from(ints a)
{
    return _mm256_cvtepi32_ps(a);
}

static inline floats f_mul(floats a, floats b)
{
    return _mm256_mul_ps(a, b);
}

static inline floats f_div(floats a, floats b)
{
    return _mm256_div_ps(a, b);
}

static inline floats f_fma(floats a, floats b, floats c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* Both give b when either is NaN. */
static inline floats f_max(floats a, floats b)
{
    return _mm256_max_ps(a, b);
}

static inline floats f_min(floats a, floats b)
{
    return _mm256_min_ps(a, b);
}

/* To the next integer, ties to even. */
static inline ints i_round(floats a)
{
    return _mm256_cvtps_epi32(a);
}

#include "nn/kernels/bytes_tmpl.c"
