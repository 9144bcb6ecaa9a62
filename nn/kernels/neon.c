/* NEON as every aarch64 has it: four floats in a vector, thirty-two registers. */
#include "nn/kernels/tables.h"

#include <arm_neon.h>
#include <string.h>

#define TABLE      nn_kernels_table_neon
#define TABLE_NAME "neon"

/* 8 × 3 sums, 3 inputs; a weight is one lane of a register. */
#define TILE_ROWS    8
#define TILE_VECTORS 3

/* 6 × 4 sums, 4 weights and 1 input. */
#define PANEL_ROWS    6
#define PANEL_VECTORS 4

#define REGISTERS 32
#define LANES     4
typedef float32x4_t vector;

static inline vector v_set(float value)
{
    return vdupq_n_f32(value);
}

static inline vector v_load(const float *p)
{
    return vld1q_f32(p);
}

/* The first n lanes, 0 in the others, which are not read. There are no masks: lanes are loaded
 * and stored one by one. */
static inline vector v_load_part(const float *p, size_t n)
{
    if (n == LANES)
        return v_load(p);
    vector a = v_set(0);
    if (n > 2)
        a = vld1q_lane_f32(p + 2, a, 2);
    if (n > 1)
        a = vld1q_lane_f32(p + 1, a, 1);
    return n > 0 ? vld1q_lane_f32(p, a, 0) : a;
}

static inline vector v_load_half(const uint16_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

static inline vector v_load_int8(const int8_t *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return vcvtq_f32_s32(
        vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four))))));
}

static inline void v_store(float *p, vector a)
{
    vst1q_f32(p, a);
}

static inline void v_store_part(float *p, vector a, size_t n)
{
    if (n == LANES) {
        v_store(p, a);
        return;
    }
    if (n > 2)
        vst1q_lane_f32(p + 2, a, 2);
    if (n > 1)
        vst1q_lane_f32(p + 1, a, 1);
    if (n > 0)
        vst1q_lane_f32(p, a, 0);
}

static inline vector v_add(vector a, vector b)
{
    return vaddq_f32(a, b);
}

static inline vector v_sub(vector a, vector b)
{
    return vsubq_f32(a, b);
}

static inline vector v_mul(vector a, vector b)
{
    return vmulq_f32(a, b);
}

static inline vector v_div(vector a, vector b)
{
    return vdivq_f32(a, b);
}

/* a · b + c */
static inline vector v_fma(vector a, vector b, vector c)
{
    return vfmaq_f32(c, a, b);
}

/* Both give b when either is NaN, which FMAX and FMAXNM do not. */
static inline vector v_max(vector a, vector b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

static inline vector v_min(vector a, vector b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

/* a < b ? yes : no, lane by lane */
static inline vector v_select_less(vector a, vector b, vector yes, vector no)
{
    return vbslq_f32(vcltq_f32(a, b), yes, no);
}

/* The first n lanes of a, b in the others. */
static inline vector v_select_first(size_t n, vector a, vector b)
{
    static const uint32_t lane[LANES] = {0, 1, 2, 3};
    return vbslq_f32(vcltq_u32(vld1q_u32(lane), vdupq_n_u32((uint32_t)n)), a, b);
}

static inline vector v_round(vector a)
{
    return vrndnq_f32(a);
}

/* a · 2^e for whole numbers e in -252..254, in two steps: floats have no 2^128, and 2^-130 has
 * lost digits. */
static inline vector v_scale(vector a, vector e)
{
    const int32x4_t bias = vdupq_n_s32(127);
    int32x4_t whole = vcvtq_s32_f32(e), half = vshrq_n_s32(whole, 1);
    int32x4_t first = vshlq_n_s32(vaddq_s32(half, bias), 23);
    int32x4_t second = vshlq_n_s32(vaddq_s32(vsubq_s32(whole, half), bias), 23);
    return vmulq_f32(vmulq_f32(a, vreinterpretq_f32_s32(first)), vreinterpretq_f32_s32(second));
}

static inline float v_sum(vector a)
{
    return vaddvq_f32(a);
}

static inline float v_largest(vector a)
{
    return vmaxvq_f32(a);
}

/* p[0], p[2], p[4], p[6]; reads nothing behind p[6]. */
static inline vector v_load_even(const float *p)
{
    /* The second half is read one float early, so that it ends at p[6]. */
    vector high = v_load(p + 3);
    return vuzp1q_f32(v_load(p), vextq_f32(high, high, 1));
}

/* The first n lanes x[at[0]], x[at[1]], ..., 0 in the others, for which nothing is read. */
static inline vector v_load_part_at(const float *x, const int32_t *at, size_t n)
{
    vector a = v_set(0);
    if (n > 3)
        a = vld1q_lane_f32(x + at[3], a, 3);
    if (n > 2)
        a = vld1q_lane_f32(x + at[2], a, 2);
    if (n > 1)
        a = vld1q_lane_f32(x + at[1], a, 1);
    return n > 0 ? vld1q_lane_f32(x + at[0], a, 0) : a;
}

static inline vector v_load_at(const float *x, const int32_t *at)
{
    return v_load_part_at(x, at, LANES);
}

/* Which floats of a vector there are: lanes from..end-1, as far as they exist; a bit each. */
typedef uint32_t lanes;

static inline lanes v_lanes(ptrdiff_t from, ptrdiff_t end)
{
    uint32_t upto = end >= LANES ? 0xf : end > 0 ? (1u << end) - 1 : 0;
    return from >= LANES ? 0 : from > 0 ? upto >> from << from : upto;
}

/* Zero where there is none; those are not read. */
static inline vector v_load_lanes(const float *p, lanes there)
{
    if (there == 0xf)
        return v_load(p);
    vector a = v_set(0);
    if (there & 1)
        a = vld1q_lane_f32(p, a, 0);
    if (there & 2)
        a = vld1q_lane_f32(p + 1, a, 1);
    if (there & 4)
        a = vld1q_lane_f32(p + 2, a, 2);
    return there & 8 ? vld1q_lane_f32(p + 3, a, 3) : a;
}

/* a[0], a[2], ... b[0], b[2], ... */
static inline vector v_even(vector a, vector b)
{
    return vuzp1q_f32(a, b);
}

static inline vector v_odd(vector a, vector b)
{
    return vuzp2q_f32(a, b);
}

/* a[0], b[0], a[1], b[1] and the second half of that. */
static inline vector v_zip_low(vector a, vector b)
{
    return vzip1q_f32(a, b);
}

static inline vector v_zip_high(vector a, vector b)
{
    return vzip2q_f32(a, b);
}

/* a[1], a[2], a[3], next[0] */
static inline vector v_shift_in(vector a, vector next)
{
    return vextq_f32(a, next, 1);
}

#include "nn/kernels/simd_tmpl.c"
