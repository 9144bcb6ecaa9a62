/* Integers of 8 bits with AVX-512 (F, BW), and, where the compiler may use it, VNNI, whose one
 * instruction multiplies and adds up four pairs of bytes in each lane (bytes_vnni.c). */
#include "nn/kernels/tables.h"

#include <immintrin.h>

#ifdef __AVX512VNNI__
#define BYTE_TABLE      nn_byte_table_vnni
#define BYTE_TABLE_NAME "vnni"
#else
#define BYTE_TABLE      nn_byte_table_avx512
#define BYTE_TABLE_NAME "avx512"
#endif

/* 8 × 3 sums and 3 inputs; weights come as broadcast memory operands. */
#define BYTE_TILE_ROWS    8
#define BYTE_TILE_VECTORS 3

/* 4 × 4 sums, 4 weights and 1 input. */
#define BYTE_PANEL_ROWS    4
#define BYTE_PANEL_VECTORS 4

/* Rows of depthwise outputs that share what is loaded. */
#define BYTE_WINDOW_ROWS 4

#define LANES 16
typedef __m512i ints;
typedef __m512 floats;

static inline __mmask16 lane_mask(size_t n)
{
    return (__mmask16)((1u << n) - 1);
}

static inline ints i_set(int32_t value)
{
    return _mm512_set1_epi32(value);
}

static inline ints i_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

/* The first n lanes, 0 in the others, which are not read. */
static inline ints i_load_part(const void *p, size_t n)
{
    return _mm512_maskz_loadu_epi32(lane_mask(n), p);
}

static inline void i_store(void *p, ints a)
{
    _mm512_storeu_si512(p, a);
}

static inline void i_store_part(void *p, ints a, size_t n)
{
    _mm512_mask_storeu_epi32(p, lane_mask(n), a);
}

static inline ints i_add(ints a, ints b)
{
    return _mm512_add_epi32(a, b);
}

static inline ints i_or(ints a, ints b)
{
    return _mm512_or_si512(a, b);
}

static inline ints i_xor(ints a, ints b)
{
    return _mm512_xor_si512(a, b);
}

static inline ints i_shift_bytes(ints a)
{
    return _mm512_slli_epi32(a, 8);
}

static inline ints i_max_bytes(ints a, ints b)
{
    return _mm512_max_epu8(a, b);
}

/* The greater byte of each pair, flipped. */
static inline void store_max_of_pairs(uint8_t *p, ints a, ints flips)
{
    a = _mm512_xor_si512(_mm512_max_epu8(a, _mm512_srli_epi16(a, 8)), flips);
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi16_epi8(a));
}

/* sum + the four products of x's unsigned and w's signed bytes, lane by lane. */
static inline ints i_dot(ints sum, ints x, ints w)
{
#ifdef __AVX512VNNI__
    return _mm512_dpbusd_epi32(sum, x, w);
#else
    /* Products of pairs of bytes would not fit into 16 bits: even and odd ones apart. */
    ints even = _mm512_madd_epi16(_mm512_and_si512(x, _mm512_set1_epi16(0xff)),
                                  _mm512_srai_epi16(_mm512_slli_epi16(w, 8), 8));
    ints odd = _mm512_madd_epi16(_mm512_srli_epi16(x, 8), _mm512_srai_epi16(w, 8));
    return _mm512_add_epi32(sum, _mm512_add_epi32(even, odd));
#endif
}

/* n bytes, each a lane. */
static inline ints i_widen(const uint8_t *p, size_t n)
{
    return _mm512_cvtepu8_epi32(n == LANES ? _mm_loadu_si128((const __m128i *)p)
                                           : _mm_maskz_loadu_epi8(lane_mask(n), p));
}

/* Lane i has the bytes p[i · stride] .. p[i · stride + 3], of `bytes` that there are. */
static inline ints i_load_columns(const uint8_t *p, size_t stride, size_t bytes)
{
    const __m512i ones = _mm512_setr_epi32(0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6);
    const __m512i twos = _mm512_setr_epi32(0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 6, 7, 8, 9);
    const __m128i by_one = _mm_setr_epi8(0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6);
    const __m128i by_two = _mm_setr_epi8(0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 6, 7, 8, 9);
    __m512i in = _mm512_maskz_loadu_epi8((UINT64_C(1) << bytes) - 1, p);
    in = _mm512_permutexvar_epi32(stride == 1 ? ones : twos, in);
    return _mm512_shuffle_epi8(in, _mm512_broadcast_i32x4(stride == 1 ? by_one : by_two));
}

/* The lowest byte of the first n lanes. */
static inline void store_bytes(uint8_t *p, ints a, size_t n)
{
    __m128i bytes = _mm512_cvtepi32_epi8(a);
    if (n == LANES)
        _mm_storeu_si128((__m128i *)p, bytes);
    else
        _mm_mask_storeu_epi8(p, lane_mask(n), bytes);
}

/* n of the 64 bytes, 0 for the others, which are not read. */
static inline ints i_load_bytes(const uint8_t *p, size_t n)
{
    return _mm512_maskz_loadu_epi8((UINT64_C(1) << n) - 1, p);
}

static inline void i_store_bytes(uint8_t *p, ints a, size_t n)
{
    _mm512_mask_storeu_epi8(p, (UINT64_C(1) << n) - 1, a);
}

static inline ints i_set16(int16_t value)
{
    return _mm512_set1_epi16(value);
}

static inline ints i_set8(uint8_t value)
{
    return _mm512_set1_epi8((char)value);
}

/* How whole numbers become bytes (bytes_tmpl.c, end_all). */
struct packing {
    ints zero, low, high, flip;
};

/* The bytes of whole[0], then those of whole[1], ... */
static inline ints i_pack(const ints *whole, const struct packing *p)
{
    const __m512i order =
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i a = _mm512_adds_epi16(_mm512_packs_epi32(whole[0], whole[1]), p->zero);
    __m512i b = _mm512_adds_epi16(_mm512_packs_epi32(whole[2], whole[3]), p->zero);
    a = _mm512_min_epu8(_mm512_max_epu8(_mm512_packus_epi16(a, b), p->low), p->high);
    return _mm512_permutexvar_epi32(order, _mm512_xor_si512(a, p->flip));
}

static inline floats f_set(float value)
{
    return _mm512_set1_ps(value);
}

static inline floats f_load_part(const float *p, size_t n)
{
    return n == LANES ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(lane_mask(n), p);
}

static inline void f_store_part(float *p, floats a, size_t n)
{
    if (n == LANES)
        _mm512_storeu_ps(p, a);
    else
        _mm512_mask_storeu_ps(p, lane_mask(n), a);
}

static inline floats f_from(ints a)
{
    return _mm512_cvtepi32_ps(a);
}

static inline floats f_mul(floats a, floats b)
{
    return _mm512_mul_ps(a, b);
}

static inline floats f_div(floats a, floats b)
{
    return _mm512_div_ps(a, b);
}

static inline floats f_fma(floats a, floats b, floats c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/* Both give b when either is NaN. */
static inline floats f_max(floats a, floats b)
{
    return _mm512_max_ps(a, b);
}

static inline floats f_min(floats a, floats b)
{
    return _mm512_min_ps(a, b);
}

/* To the next integer, ties to even. */
static inline ints i_round(floats a)
{
    return _mm512_cvtps_epi32(a);
}

#include "nn/kernels/bytes_tmpl.c"
