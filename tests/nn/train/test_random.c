/* Seeded numbers: the generator's published ones, the shape of what is drawn, and generators
 * that do not depend on each other. */
#include <math.h>
#include <string.h>

#include "nn/train/random.h"
#include "tests/suite.h"

START_TEST(numbers_are_those_of_xoshiro256starstar)
{
    /* State 1, 2, 3, 4, worked through the published C by hand for the first ones: 2 * 5
     * rotated by 7 is 1280, times 9 is 11520; the second state word is 0 then. */
    struct train_random random = {{1, 2, 3, 4}};
    static const uint64_t want[] = {11520, 0, 1509978240, 1215971899390074240};
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(train_random_next(&random), want[i]);
}
END_TEST

START_TEST(a_seed_is_spread_by_splitmix64)
{
    /* The outputs of splitmix64 from 1234567, as its implementations publish them. */
    static const uint64_t want[] = {6457827717110365317u, 3203168211198807973u,
                                    9817491932198370423u, 4593380528125082431u};
    struct train_random random = train_random_start(1234567);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(random.state[i], want[i]);
}
END_TEST

START_TEST(a_kept_state_goes_on_with_the_same_numbers)
{
    struct train_random random = train_random_start(7), kept;
    for (int i = 0; i < 100; i++)
        train_random_normal(&random);
    memcpy(&kept, &random, sizeof kept);
    float a[33], b[33];
    train_random_normals(&random, 2.0, a, 33);
    train_random_normals(&kept, 2.0, b, 33);
    ck_assert_mem_eq(a, b, sizeof a);
    ck_assert_uint_eq(train_random_next(&random), train_random_next(&kept));
}
END_TEST

START_TEST(every_part_of_a_fork_makes_other_numbers)
{
    static const struct {
        uint64_t seed;
        enum train_random_purpose purpose;
        uint64_t epoch, item;
    } forks[] = {{1, TRAIN_RANDOM_AUGMENT, 2, 3}, {2, TRAIN_RANDOM_AUGMENT, 2, 3},
                 {1, TRAIN_RANDOM_SHUFFLE, 2, 3}, {1, TRAIN_RANDOM_AUGMENT, 3, 3},
                 {1, TRAIN_RANDOM_AUGMENT, 2, 2}, {1, TRAIN_RANDOM_AUGMENT, 3, 2},
                 {3, TRAIN_RANDOM_AUGMENT, 2, 1}, {0, TRAIN_RANDOM_WEIGHTS, 0, 0}};
    enum { COUNT = sizeof forks / sizeof *forks };
    struct train_random made[COUNT];
    for (int i = 0; i < COUNT; i++) {
        made[i] =
            train_random_fork(forks[i].seed, forks[i].purpose, forks[i].epoch, forks[i].item);
        struct train_random again =
            train_random_fork(forks[i].seed, forks[i].purpose, forks[i].epoch, forks[i].item);
        ck_assert_mem_eq(&made[i], &again, sizeof again);
        for (int j = 0; j < i; j++)
            ck_assert_mem_ne(&made[i], &made[j], sizeof *made);
    }
}
END_TEST

START_TEST(forks_of_neighbours_are_uncorrelated)
{
    /* The first number of each of many items in a row: as uniform as one generator's. */
    enum { COUNT = 20000 };
    double sum = 0.0, product = 0.0, before = 0.5;
    for (int i = 0; i < COUNT; i++) {
        struct train_random random = train_random_fork(5, TRAIN_RANDOM_AUGMENT, 0, (uint64_t)i);
        double u = train_random_uniform(&random);
        sum += u;
        product += (u - 0.5) * (before - 0.5);
        before = u;
    }
    /* Four deviations: sqrt(1/12 / n) and 1/12 / sqrt(n). */
    ck_assert_double_eq_tol(sum / COUNT, 0.5, 4.0 * sqrt(1.0 / 12 / COUNT));
    ck_assert_double_eq_tol(product / COUNT, 0.0, 4.0 / 12 / sqrt(COUNT));
}
END_TEST

START_TEST(uniform_numbers_fill_the_interval_and_leave_out_1)
{
    enum { COUNT = 100000, BINS = 20 };
    struct train_random random = train_random_start(11);
    int bins[2][BINS] = {{0}};
    for (int i = 0; i < COUNT; i++) {
        double u = train_random_uniform(&random);
        float f = train_random_uniform_float(&random);
        ck_assert(u >= 0.0 && u < 1.0 && f >= 0.0f && f < 1.0f);
        bins[0][(int)(u * BINS)]++;
        bins[1][(int)(f * BINS)]++;
    }
    for (int k = 0; k < 2; k++) {
        double chi = 0.0, want = (double)COUNT / BINS;
        for (int i = 0; i < BINS; i++)
            chi += (bins[k][i] - want) * (bins[k][i] - want) / want;
        ck_assert_double_lt(chi, 43.8); /* 19 degrees of freedom, 0.1 % */
    }

    /* All bits set: the largest of each kind. s[1] * 5, rotated, * 9 gives 2^64 - 1 here. */
    uint64_t inverse9 = 0x8e38e38e38e38e39u, inverse5 = 0xcccccccccccccccdu;
    uint64_t s1 = train_random_rotate(UINT64_MAX * inverse9, 64 - 7) * inverse5;
    struct train_random top = {{1, s1, 1, 1}}, same = top;
    ck_assert_double_eq(train_random_uniform(&top), 1.0 - 0x1p-53);
    ck_assert_float_eq(train_random_uniform_float(&same), 1.0f - 0x1p-24f);
}
END_TEST

START_TEST(below_is_even_and_never_reaches_its_count)
{
    struct train_random random = train_random_start(3);
    enum { COUNT = 70000, SIDES = 7 };
    int seen[SIDES] = {0};
    for (int i = 0; i < COUNT; i++)
        seen[train_random_below(&random, SIDES)]++;
    double chi = 0.0, want = (double)COUNT / SIDES;
    for (int i = 0; i < SIDES; i++)
        chi += (seen[i] - want) * (seen[i] - want) / want;
    ck_assert_double_lt(chi, 22.5); /* 6 degrees of freedom, 0.1 % */
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(train_random_below(&random, 1), 0);

    /* A remainder alone would make the lower half of 3 * 2^62 twice as likely: 2 of 3 draws. */
    int low = 0;
    for (int i = 0; i < COUNT; i++) {
        uint64_t at = train_random_below(&random, (uint64_t)3 << 62);
        ck_assert_uint_lt(at, (uint64_t)3 << 62);
        low += at < (uint64_t)3 << 61;
    }
    ck_assert_double_eq_tol((double)low / COUNT, 0.5, 4.0 * 0.5 / sqrt(COUNT));
}
END_TEST

START_TEST(normal_numbers_have_the_moments_and_tails_of_theirs)
{
    enum { COUNT = 200001 };
    static float values[COUNT];
    struct train_random random = train_random_start(17);
    for (int kind = 0; kind < 2; kind++) {
        double deviation = kind == 0 ? 1.0 : 3.0;
        if (kind == 0)
            for (int i = 0; i < COUNT; i++)
                values[i] = (float)train_random_normal(&random);
        else
            train_random_normals(&random, deviation, values, COUNT);
        double sum[5] = {0.0}, pairs = 0.0;
        int beyond = 0;
        for (int i = 0; i < COUNT; i++) {
            double x = values[i] / deviation;
            for (int power = 1; power <= 4; power++)
                sum[power] += pow(x, power);
            pairs += i > 0 ? x * values[i - 1] / deviation : 0.0;
            beyond += fabs(x) > 2.0;
        }
        double root = 4.0 / sqrt(COUNT);
        ck_assert_double_eq_tol(sum[1] / COUNT, 0.0, root);
        ck_assert_double_eq_tol(sum[2] / COUNT, 1.0, root * sqrt(2.0));
        ck_assert_double_eq_tol(sum[3] / COUNT, 0.0, root * sqrt(15.0));
        ck_assert_double_eq_tol(sum[4] / COUNT, 3.0, root * sqrt(96.0));
        ck_assert_double_eq_tol(pairs / COUNT, 0.0, root);
        ck_assert_double_eq_tol((double)beyond / COUNT, 0.0455003, root * 0.21);
    }
}
END_TEST

/* Mean a half, variance 1 / (4 (2 shape + 1)), and as much on one side as on the other. */
START_TEST(shares_have_the_moments_of_their_shape)
{
    enum { COUNT = 40000 };
    static const double shapes[] = {0.2, 1, 5, 100};
    for (int s = 0; s < 4; s++) {
        struct train_random random = train_random_start(31);
        double mean = 0, variance = 0, want = 1 / (4 * (2 * shapes[s] + 1)), low = 0;
        for (int i = 0; i < COUNT; i++) {
            double x = train_random_beta(&random, shapes[s]);
            ck_assert(x >= 0 && x <= 1);
            mean += x / COUNT;
            variance += (x - 0.5) * (x - 0.5) / COUNT;
            low += x < 0.5;
        }
        ck_assert_double_eq_tol(mean, 0.5, 4 * sqrt(want / COUNT));
        ck_assert_double_eq_tol(variance / want, 1, 0.03);
        ck_assert_double_eq_tol(low / COUNT, 0.5, 2 / sqrt(COUNT));
    }
    /* One whole sample or the other. */
    struct train_random random = train_random_start(32);
    int ends = 0;
    for (int i = 0; i < 1000; i++) {
        double x = train_random_beta(&random, 1e-4);
        ck_assert(x >= 0 && x <= 1);
        ends += x < 1e-6 || x > 1 - 1e-6;
    }
    ck_assert_int_ge(ends, 990);
}
END_TEST

START_TEST(every_order_of_four_is_as_likely)
{
    enum { COUNT = 48000, ORDERS = 24 };
    int seen[256] = {0}, orders = 0;
    struct train_random random = train_random_start(23);
    for (int i = 0; i < COUNT; i++) {
        int items[4] = {0, 1, 2, 3};
        train_random_shuffle(&random, items, 4);
        seen[items[0] << 6 | items[1] << 4 | items[2] << 2 | items[3]]++;
    }
    double chi = 0.0, want = (double)COUNT / ORDERS;
    for (int i = 0; i < 256; i++) {
        orders += seen[i] > 0;
        chi += seen[i] > 0 ? (seen[i] - want) * (seen[i] - want) / want : 0.0;
    }
    ck_assert_int_eq(orders, ORDERS);
    ck_assert_double_lt(chi, 49.7); /* 23 degrees of freedom, 0.1 % */
    train_random_shuffle(&random, NULL, 0);
}
END_TEST

int main(void)
{
    TCase *numbers = tcase_create("numbers");
    tcase_add_test(numbers, numbers_are_those_of_xoshiro256starstar);
    tcase_add_test(numbers, a_seed_is_spread_by_splitmix64);
    tcase_add_test(numbers, a_kept_state_goes_on_with_the_same_numbers);
    tcase_add_test(numbers, every_part_of_a_fork_makes_other_numbers);
    tcase_add_test(numbers, forks_of_neighbours_are_uncorrelated);
    tcase_add_test(numbers, uniform_numbers_fill_the_interval_and_leave_out_1);
    tcase_add_test(numbers, below_is_even_and_never_reaches_its_count);
    tcase_add_test(numbers, normal_numbers_have_the_moments_and_tails_of_theirs);
    tcase_add_test(numbers, shares_have_the_moments_of_their_shape);
    tcase_add_test(numbers, every_order_of_four_is_as_likely);
    return suite_run("nn/train/random", &numbers, 1);
}
