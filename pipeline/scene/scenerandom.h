/* Numbers for the scene renderer: a seeded generator, a hash and a sine that are the same bits
 * on every machine. libm's sine may differ in the last bit between versions, and a picture's
 * checksum would with it; +, -, *, / and sqrt are exact by IEEE 754 (the renderer is built with
 * -ffp-contract=off so that no compiler fuses them).
 *
 * Source: splitmix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators".
 *
 * Thread: pure functions; one generator belongs to one thread. */
#ifndef PIPELINE_SCENERANDOM_H
#define PIPELINE_SCENERANDOM_H

#include <stdint.h>

struct scene_random {
    uint64_t state;
};

static inline uint64_t scene_hash(uint64_t value)
{
    value += 0x9e3779b97f4a7c15u;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

static inline uint64_t scene_hash2(uint64_t a, uint64_t b)
{
    return scene_hash(scene_hash(a) ^ b);
}

static inline uint64_t scene_random_next(struct scene_random *random)
{
    random->state += 0x9e3779b97f4a7c15u;
    return scene_hash(random->state);
}

/* 0 <= result < 1, of 24 bits: exact in a float. */
static inline float scene_hash_unit(uint64_t hash)
{
    return (float)(hash >> 40) * (1.0f / 16777216.0f);
}

static inline float scene_random_range(struct scene_random *random, float low, float high)
{
    return low + (high - low) * scene_hash_unit(scene_random_next(random));
}

/* 0 <= result < count; count > 0. */
static inline int scene_random_below(struct scene_random *random, int count)
{
    return (int)((scene_random_next(random) >> 33) * (uint64_t)count >> 31);
}

static inline float scene_clamp(float value, float low, float high)
{
    return value < low ? low : value > high ? high : value;
}

/* 0 before `from`, 1 after `to`, smooth (first derivative continuous) between. */
static inline float scene_ease(float value, float from, float to)
{
    float t = scene_clamp((value - from) / (to - from), 0.0f, 1.0f);
    return t * t * (3.0f - 2.0f * t);
}

/* Sine of `turns` whole turns, within 0.001: a parabola and its correction. */
static inline float scene_sine(float turns)
{
    float whole = (float)(int64_t)turns;
    float t = turns - whole;
    t -= t >= 0.5f ? 1.0f : t < -0.5f ? -1.0f : 0.0f; /* -0.5 .. 0.5 */
    float y = 8.0f * t - 16.0f * t * (t < 0.0f ? -t : t);
    return y + 0.225f * (y * (y < 0.0f ? -y : y) - y);
}

static inline float scene_cosine(float turns)
{
    return scene_sine(turns + 0.25f);
}

#endif
