/* Random numbers of training: seeded, small, and their whole state a plain struct that a
 * checkpoint can keep.
 *
 * One seed makes everything. What is drawn for a purpose, in an epoch, for one item (a sample,
 * a layer, a fold) comes from a generator of its own, which is a function of those numbers
 * alone (train_random_fork): so it does not matter who draws first, on which thread, or
 * whether a training was resumed in between.
 *
 * Integers and uniform numbers are the same bits on every machine. Normal ones go through
 * libm's log and are so on machines with the same one.
 *
 * Source: xoshiro256** 1.0, Blackman and Vigna, "Scrambled linear pseudorandom number
 * generators"; its state is filled by splitmix64, Steele, Lea and Flood, "Fast splittable
 * pseudorandom number generators".
 *
 * Thread: one generator belongs to one thread. */
#ifndef NN_TRAIN_RANDOM_H
#define NN_TRAIN_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Never all zero. */
struct train_random {
    uint64_t state[4];
};

/* What numbers are for, so that no two users of one seed draw the same. Checkpoints and recipes
 * depend on these numbers: new ones are added at the end. */
enum train_random_purpose {
    TRAIN_RANDOM_WEIGHTS,   /* item: layer or tensor */
    TRAIN_RANDOM_SPLIT,     /* item: repeat or fold */
    TRAIN_RANDOM_SHUFFLE,   /* the order of an epoch */
    TRAIN_RANDOM_AUGMENT,   /* item: sample */
    TRAIN_RANDOM_MIX,       /* item: sample, whom it is mixed with */
    TRAIN_RANDOM_DROPOUT,   /* epoch: step; item: layer */
    TRAIN_RANDOM_BOOTSTRAP, /* item: resample */
};

struct train_random train_random_start(uint64_t seed);

/* The generator of one item in one epoch. Two of them share numbers only if two of 2^64 keys
 * happen to be the same: not seen among a million with a chance of 1 - 3e-8. */
struct train_random train_random_fork(uint64_t seed, enum train_random_purpose purpose,
                                      uint64_t epoch, uint64_t item);

static inline uint64_t train_random_rotate(uint64_t value, int by)
{
    return value << by | value >> (64 - by);
}

/* 64 random bits. */
static inline uint64_t train_random_next(struct train_random *random)
{
    uint64_t *s = random->state;
    uint64_t result = train_random_rotate(s[1] * 5, 7) * 9, shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = train_random_rotate(s[3], 45);
    return result;
}

/* 0 <= result < 1, a multiple of 2^-53. */
static inline double train_random_uniform(struct train_random *random)
{
    return (double)(train_random_next(random) >> 11) * 0x1p-53;
}

/* 0 <= result < 1, a multiple of 2^-24: 1 is not reached by rounding either. */
static inline float train_random_uniform_float(struct train_random *random)
{
    return (float)(train_random_next(random) >> 40) * 0x1p-24f;
}

/* 0 <= result < count, each as likely as any other; count > 0. */
uint64_t train_random_below(struct train_random *random, uint64_t count);

/* Mean 0, deviation 1. Draws as many uniform numbers as it takes, and keeps none. */
double train_random_normal(struct train_random *random);

/* `count` of them with this deviation: faster than one by one, and other numbers. */
void train_random_normals(struct train_random *random, double deviation, float *ret_values,
                          size_t count);

/* Of Beta(shape, shape), 0 to 1; shape > 0. Small shapes give what is near either end. */
double train_random_beta(struct train_random *random, double shape);

/* Every order is as likely as any other. */
void train_random_shuffle(struct train_random *random, int *items, size_t count);

#endif
