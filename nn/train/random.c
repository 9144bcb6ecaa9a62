#include "nn/train/random.h"

#include <assert.h>
#include <math.h>

/* splitmix64's output for one state. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
}

#define GOLDEN 0x9e3779b97f4a7c15u

struct train_random train_random_start(uint64_t seed)
{
    struct train_random random;
    for (int i = 0; i < 4; i++)
        random.state[i] = mix(seed += GOLDEN);
    return random;
}

struct train_random train_random_fork(uint64_t seed, enum train_random_purpose purpose,
                                      uint64_t epoch, uint64_t item)
{
    /* Each number is mixed before the next is let in, so that (1, 2) is not (2, 1). */
    uint64_t key = mix(seed + GOLDEN);
    key = mix((key ^ (uint64_t)purpose) + GOLDEN);
    key = mix((key ^ epoch) + GOLDEN);
    return train_random_start(mix((key ^ item) + GOLDEN));
}

uint64_t train_random_below(struct train_random *random, uint64_t count)
{
    assert(count > 0);
    /* 2^64 modulo count: with so many of the lowest numbers left out, what remains is a whole
     * number of times count. */
    uint64_t surplus = -count % count, bits;
    do
        bits = train_random_next(random);
    while (bits < surplus);
    return bits % count;
}

/* Two independent normal numbers: Marsaglia's polar method, which needs no sine. */
static void normal_pair(struct train_random *random, double ret_pair[2])
{
    double u, v, square;
    do {
        u = 2.0 * train_random_uniform(random) - 1.0;
        v = 2.0 * train_random_uniform(random) - 1.0;
        square = u * u + v * v;
    } while (square >= 1.0 || square == 0.0);
    double scale = sqrt(-2.0 * log(square) / square);
    ret_pair[0] = u * scale;
    ret_pair[1] = v * scale;
}

double train_random_normal(struct train_random *random)
{
    double pair[2];
    normal_pair(random, pair);
    return pair[0];
}

void train_random_normals(struct train_random *random, double deviation, float *ret_values,
                          size_t count)
{
    double pair[2];
    for (size_t i = 0; i < count; i++) {
        if (i % 2 == 0)
            normal_pair(random, pair);
        ret_values[i] = (float)(deviation * pair[i % 2]);
    }
}

/* The logarithm of a number of Gamma(shape): Marsaglia and Tsang, "A simple method for generating
 * gamma variables", of shape + 1, from where a power of a uniform number leads to shape. Small
 * shapes have numbers that no double is small enough for; their logarithms are. */
static double log_gamma_variate(struct train_random *random, double shape)
{
    double d = shape + 2.0 / 3, c = 1 / sqrt(9 * d), cube, x;
    do {
        do {
            x = train_random_normal(random);
            cube = 1 + c * x;
        } while (cube <= 0);
        cube *= cube * cube;
    } while (log1p(-train_random_uniform(random)) >= x * x / 2 + d - d * cube + d * log(cube));
    return log(d * cube) + log1p(-train_random_uniform(random)) / shape;
}

double train_random_beta(struct train_random *random, double shape)
{
    double a = log_gamma_variate(random, shape), b = log_gamma_variate(random, shape);
    return 1 / (1 + exp(b - a));
}

void train_random_shuffle(struct train_random *random, int *items, size_t count)
{
    for (size_t left = count; left > 1; left--) {
        size_t at = train_random_below(random, left);
        int item = items[at];
        items[at] = items[left - 1];
        items[left - 1] = item;
    }
}
