/* Splits: over many random data sets, whatever the groups, every sample is in exactly one fold and
 * no group in two. */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "nn/train/random.h"
#include "nn/train/split.h"
#include "tests/suite.h"

enum { SAMPLES_MAX = 120, GROUPS_MAX = 40, CLASSES_MAX = 5, FOLDS_MAX = 6, CASES = 1500 };

/* What is split, with the arrays it borrows. */
struct sample_set {
    struct train_samples samples;
    int labels[SAMPLES_MAX], groups[SAMPLES_MAX];
    bool left_out[SAMPLES_MAX];
};

static void set_begin(struct sample_set *set, int count, int classes, int groups)
{
    set->samples = (struct train_samples){.count = count,
                                          .labels = set->labels,
                                          .class_count = classes,
                                          .groups = set->groups,
                                          .group_count = groups};
}

/* Groups of very different sizes, some without samples; classes that lean on groups; sometimes
 * samples that are left out; sometimes groups that lie together. */
static void set_draw(struct sample_set *set, struct train_random *random)
{
    const int count = 2 + (int)train_random_below(random, SAMPLES_MAX - 1);
    const int groups = 1 + (int)train_random_below(random, GROUPS_MAX);
    const int classes = 1 + (int)train_random_below(random, CLASSES_MAX);
    const bool together = train_random_below(random, 2);
    const double skew = 1 + 3 * train_random_uniform(random);
    set_begin(set, count, classes, groups);
    for (int i = 0; i < count; i++) {
        const double at =
            together ? (double)i / count : pow(train_random_uniform(random), skew);
        set->groups[i] = (int)(at * groups);
        const bool leans = train_random_below(random, 3) == 0;
        set->labels[i] = leans ? set->groups[i] % classes
                               : (int)train_random_below(random, (uint64_t)classes);
    }
    if (train_random_below(random, 3) > 0)
        return;
    for (int i = 0; i < count; i++)
        set->left_out[i] = train_random_below(random, 4) == 0;
    set->samples.left_out = set->left_out;
}

static bool is_in(const struct train_samples *s, int at)
{
    return !s->left_out || !s->left_out[at];
}

static int count_present(const int *numbers, const struct train_samples *s)
{
    bool seen[SAMPLES_MAX + 1] = {false};
    int count = 0;
    for (int i = 0; i < s->count; i++)
        if (is_in(s, i) && !seen[numbers[i]]) {
            seen[numbers[i]] = true;
            count++;
        }
    return count;
}

/* Each of `count` folds has samples, and all that was promised holds. */
static void check_folds(const struct train_samples *s, const int *folds, int count)
{
    int fold_of[GROUPS_MAX], sizes[SAMPLES_MAX] = {0};
    for (int g = 0; g < GROUPS_MAX; g++)
        fold_of[g] = TRAIN_FOLD_NONE;
    for (int i = 0; i < s->count; i++) {
        if (!is_in(s, i)) {
            ck_assert_int_eq(folds[i], TRAIN_FOLD_NONE);
            continue;
        }
        ck_assert_int_ge(folds[i], 0);
        ck_assert_int_lt(folds[i], count);
        int *fold = &fold_of[s->groups[i]];
        ck_assert(*fold == TRAIN_FOLD_NONE || *fold == folds[i]);
        *fold = folds[i];
        sizes[folds[i]]++;
    }
    for (int f = 0; f < count; f++)
        ck_assert_int_gt(sizes[f], 0);
}

/* Whether a split into so many folds must be refused, and why. */
static const char *refusal(const struct train_samples *s, int folds)
{
    const int classes = count_present(s->labels, s), groups = count_present(s->groups, s);
    return classes == 0     ? "no samples"
           : classes == 1   ? "are of class"
           : groups < folds ? "sources"
                            : NULL;
}

/* Checks the result against what had to be; false when it was refused. */
static bool check_outcome(const struct train_samples *s, int r, int folds,
                          const struct nn_error *err)
{
    const char *reason = refusal(s, folds);
    if (!reason) {
        ck_assert_msg(r >= 0, "%s", err->text);
        return true;
    }
    ck_assert_int_eq(r, -EINVAL);
    ck_assert_msg(strstr(err->text, reason), "'%s' lacks '%s'", err->text, reason);
    return false;
}

START_TEST(folds_hold_every_sample_once_and_tear_no_group)
{
    struct train_random random = train_random_start(1);
    int split = 0;
    for (int i = 0; i < CASES; i++) {
        struct sample_set set;
        struct nn_error err = {""};
        int folds[SAMPLES_MAX], count = 2 + (int)train_random_below(&random, FOLDS_MAX - 1);
        set_draw(&set, &random);
        int r = train_split_folds(&set.samples, count, (uint64_t)i, folds, &err);
        if (!check_outcome(&set.samples, r, count, &err))
            continue;
        check_folds(&set.samples, folds, count);
        split++;
    }
    ck_assert_int_gt(split, CASES / 2);
}
END_TEST

START_TEST(parts_hold_every_sample_once_and_tear_no_group)
{
    static const struct train_fractions fractions[] = {
        {0.7, 0.15, 0.15}, {0.8, 0.2, 0}, {0.5, 0, 0.5}, {0.2, 0.4, 0.4}, {1, 0, 0}};
    static const int least[] = {3, 2, 2, 3, 1};
    struct train_random random = train_random_start(2);
    for (int i = 0; i < CASES; i++) {
        struct sample_set set;
        struct nn_error err = {""};
        enum train_part parts[SAMPLES_MAX];
        int folds[SAMPLES_MAX];
        const size_t which = train_random_below(&random, 5);
        const struct train_fractions *f = &fractions[which];
        set_draw(&set, &random);
        int r = train_split_parts(&set.samples, f, (uint64_t)i, parts, &err);
        if (!check_outcome(&set.samples, r, least[which], &err))
            continue;
        /* Those that have a share are numbered anew. */
        for (int s = 0; s < set.samples.count; s++) {
            folds[s] = parts[s] == TRAIN_PART_NONE    ? TRAIN_FOLD_NONE
                       : parts[s] == TRAIN_PART_TRAIN ? 0
                       : parts[s] == TRAIN_PART_TEST  ? least[which] - 1
                                                      : 1;
            ck_assert(parts[s] != TRAIN_PART_VALIDATION || f->validation > 0);
            ck_assert(parts[s] != TRAIN_PART_TEST || f->test > 0);
        }
        check_folds(&set.samples, folds, least[which]);
    }
}
END_TEST

START_TEST(each_group_is_left_out_once)
{
    struct train_random random = train_random_start(3);
    for (int i = 0; i < CASES; i++) {
        struct sample_set set;
        struct nn_error err = {""};
        int folds[SAMPLES_MAX];
        set_draw(&set, &random);
        int r = train_split_groups(&set.samples, folds, &err);
        if (!check_outcome(&set.samples, r, 2, &err))
            continue;
        ck_assert_int_eq(r, count_present(set.groups, &set.samples));
        check_folds(&set.samples, folds, r);
        int next = 0;
        for (int g = 0; g < GROUPS_MAX; g++) {
            bool seen = false;
            for (int k = 0; k < set.samples.count; k++)
                if (set.groups[k] == g && is_in(&set.samples, k)) {
                    ck_assert_int_eq(folds[k], next);
                    seen = true;
                }
            next += seen;
        }
    }
}
END_TEST

START_TEST(blocks_are_contiguous_and_tear_no_group)
{
    struct train_random random = train_random_start(4);
    int split = 0;
    for (int i = 0; i < CASES; i++) {
        struct sample_set set;
        struct nn_error err = {""};
        int folds[SAMPLES_MAX], count = 2 + (int)train_random_below(&random, FOLDS_MAX - 1);
        set_draw(&set, &random);
        int r = train_split_blocks(&set.samples, count, folds, &err);
        if (r < 0 && !refusal(&set.samples, count)) {
            ck_assert_ptr_nonnull(strstr(err.text, "places to cut"));
            continue;
        }
        if (!check_outcome(&set.samples, r, count, &err))
            continue;
        check_folds(&set.samples, folds, count);
        int before = 0;
        for (int s = 0; s < set.samples.count; s++) {
            if (!is_in(&set.samples, s))
                continue;
            ck_assert_int_ge(folds[s], before);
            before = folds[s];
        }
        split++;
    }
    ck_assert_int_gt(split, CASES / 4);
}
END_TEST

START_TEST(inner_folds_are_of_what_the_outer_one_leaves)
{
    struct train_random random = train_random_start(5);
    int split = 0;
    for (int i = 0; i < CASES; i++) {
        struct sample_set set;
        struct nn_error err = {""};
        int outer[SAMPLES_MAX], inner[FOLDS_MAX * SAMPLES_MAX];
        const int count = 2 + (int)train_random_below(&random, 3),
                  within = 2 + (int)train_random_below(&random, 3);
        set_draw(&set, &random);
        struct train_samples *s = &set.samples;
        int r = train_split_nested(s, count, within, (uint64_t)i, outer, inner, &err);
        if (refusal(s, count))
            ck_assert_int_eq(r, -EINVAL);
        if (r < 0)
            continue;
        check_folds(s, outer, count);
        for (int fold = 0; fold < count; fold++) {
            bool rest[SAMPLES_MAX];
            struct train_samples left = *s;
            for (int k = 0; k < s->count; k++)
                rest[k] = !is_in(s, k) || outer[k] == fold;
            left.left_out = rest;
            check_folds(&left, inner + fold * s->count, within);
        }
        split++;
    }
    ck_assert_int_gt(split, CASES / 3);
}
END_TEST

START_TEST(samples_of_their_own_are_shared_out_evenly)
{
    struct train_random random = train_random_start(6);
    for (int i = 0; i < 300; i++) {
        struct sample_set set;
        int folds[SAMPLES_MAX], of_class[FOLDS_MAX][CLASSES_MAX] = {{0}},
                                sizes[FOLDS_MAX] = {0};
        const int count = 2 + (int)train_random_below(&random, FOLDS_MAX - 1);
        const int classes = 2 + (int)train_random_below(&random, 2);
        set_begin(&set, GROUPS_MAX, classes, GROUPS_MAX);
        for (int s = 0; s < GROUPS_MAX; s++) {
            set.groups[s] = s;
            set.labels[s] =
                s < classes ? s : (int)train_random_below(&random, (uint64_t)classes);
        }
        ck_assert_int_eq(train_split_folds(&set.samples, count, (uint64_t)i, folds, NULL), 0);
        for (int s = 0; s < GROUPS_MAX; s++) {
            of_class[folds[s]][set.labels[s]]++;
            sizes[folds[s]]++;
        }
        for (int a = 0; a < count; a++)
            for (int b = 0; b < count; b++) {
                ck_assert_int_le(sizes[a] - sizes[b], 2);
                for (int c = 0; c < classes; c++)
                    ck_assert_int_le(of_class[a][c] - of_class[b][c], 1);
            }
    }
}
END_TEST

/* Mean square of how far folds' shares of the classes are from even. */
static double unevenness(const struct train_samples *s, const int *folds, int count)
{
    double sum = 0;
    for (int c = 0; c < s->class_count; c++)
        for (int f = 0; f < count; f++) {
            int of_class = 0, here = 0;
            for (int i = 0; i < s->count; i++) {
                of_class += s->labels[i] == c;
                here += s->labels[i] == c && folds[i] == f;
            }
            if (of_class > 0)
                sum += pow((double)here / of_class - 1.0 / count, 2);
        }
    return sum / s->class_count / count;
}

START_TEST(folds_of_groups_are_more_even_than_any_of_ten_that_are_drawn)
{
    struct train_random random = train_random_start(7);
    int better = 0, cases = 200;
    for (int i = 0; i < cases; i++) {
        struct sample_set set;
        int folds[SAMPLES_MAX];
        set_begin(&set, SAMPLES_MAX, 3, 30);
        for (int s = 0; s < SAMPLES_MAX; s++) {
            set.groups[s] = (int)(30 * pow(train_random_uniform(&random), 2));
            set.labels[s] = train_random_below(&random, 2)
                                ? set.groups[s] % 3
                                : (int)train_random_below(&random, 3);
        }
        ck_assert_int_eq(train_split_folds(&set.samples, 5, (uint64_t)i, folds, NULL), 0);
        const double ours = unevenness(&set.samples, folds, 5);
        double least = INFINITY;
        for (int draw = 0; draw < 10; draw++) {
            int of_group[30], drawn[SAMPLES_MAX];
            for (int g = 0; g < 30; g++)
                of_group[g] = (int)train_random_below(&random, 5);
            for (int s = 0; s < SAMPLES_MAX; s++)
                drawn[s] = of_group[set.groups[s]];
            least = fmin(least, unevenness(&set.samples, drawn, 5));
        }
        better += ours < least;
    }
    ck_assert_int_ge(better, cases * 95 / 100);
}
END_TEST

START_TEST(large_groups_come_first_and_small_ones_fill_up)
{
    struct sample_set set;
    int folds[16];
    set_begin(&set, 16, 2, 9);
    for (int i = 0; i < 16; i++) {
        set.groups[i] = i < 8 ? i : 8;
        set.labels[i] = i % 2;
    }
    for (uint64_t seed = 0; seed < 20; seed++) {
        int sizes[2] = {0};
        ck_assert_int_eq(train_split_folds(&set.samples, 2, seed, folds, NULL), 0);
        for (int i = 0; i < 16; i++)
            sizes[folds[i]]++;
        ck_assert_int_eq(sizes[0], 8);
    }
}
END_TEST

START_TEST(fractions_are_kept)
{
    struct sample_set set;
    enum train_part parts[SAMPLES_MAX];
    set_begin(&set, 100, 2, 40);
    for (int i = 0; i < 100; i++) {
        set.groups[i] = i % 40;
        set.labels[i] = i % 5 == 0;
    }
    for (uint64_t seed = 0; seed < 20; seed++) {
        int counts[TRAIN_PARTS] = {0};
        ck_assert_int_eq(train_split_parts(&set.samples,
                                           &(struct train_fractions){0.6, 0.2, 0.2}, seed,
                                           parts, NULL),
                         0);
        for (int i = 0; i < 100; i++)
            counts[parts[i]]++;
        ck_assert_int_le(abs(counts[TRAIN_PART_TRAIN] - 60), 3);
        ck_assert_int_le(abs(counts[TRAIN_PART_VALIDATION] - 20), 3);
        ck_assert_int_le(abs(counts[TRAIN_PART_TEST] - 20), 3);
    }
}
END_TEST

START_TEST(blocks_of_single_samples_differ_by_one_at_most)
{
    struct sample_set set;
    int folds[SAMPLES_MAX];
    for (int count = 5; count <= 40; count++) {
        int sizes[5] = {0};
        set_begin(&set, count, 2, count);
        for (int i = 0; i < count; i++) {
            set.groups[i] = i;
            set.labels[i] = i % 2;
        }
        ck_assert_int_eq(train_split_blocks(&set.samples, 5, folds, NULL), 0);
        for (int i = 0; i < count; i++)
            sizes[folds[i]]++;
        for (int f = 0; f < 5; f++)
            ck_assert_int_le(abs(sizes[f] - count / 5), count % 5 ? 1 : 0);
    }
}
END_TEST

START_TEST(blocks_are_cut_where_a_group_ends)
{
    const int groups[12] = {0, 0, 0, 0, 0, 1, 1, 2, 3, 2, 4, 4};
    const int expected[12] = {0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 2};
    struct sample_set set;
    struct nn_error err;
    int folds[12];
    set_begin(&set, 12, 2, 5);
    for (int i = 0; i < 12; i++) {
        set.groups[i] = groups[i];
        set.labels[i] = i % 2;
    }
    ck_assert_int_eq(train_split_blocks(&set.samples, 3, folds, NULL), 0);
    for (int i = 0; i < 12; i++)
        ck_assert_int_eq(folds[i], expected[i]);
    ck_assert_int_eq(train_split_blocks(&set.samples, 4, folds, NULL), 0);
    ck_assert_int_eq(train_split_blocks(&set.samples, 5, folds, &err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "only 3 places"));
}
END_TEST

START_TEST(a_seed_is_a_split)
{
    struct sample_set set;
    int a[SAMPLES_MAX], b[SAMPLES_MAX], differ = 0;
    set_begin(&set, SAMPLES_MAX, 3, 40);
    for (int i = 0; i < SAMPLES_MAX; i++) {
        set.groups[i] = i % 40;
        set.labels[i] = i % 3;
    }
    for (uint64_t seed = 0; seed < 10; seed++) {
        ck_assert_int_eq(train_split_folds(&set.samples, 4, seed, a, NULL), 0);
        ck_assert_int_eq(train_split_folds(&set.samples, 4, seed, b, NULL), 0);
        ck_assert_mem_eq(a, b, sizeof a);
        ck_assert_int_eq(train_split_folds(&set.samples, 4, seed + 1, b, NULL), 0);
        differ += memcmp(a, b, sizeof a) != 0;
    }
    ck_assert_int_ge(differ, 9);
}
END_TEST

START_TEST(what_is_no_split_is_refused)
{
    struct sample_set set;
    struct nn_error err;
    enum train_part parts[SAMPLES_MAX];
    int folds[SAMPLES_MAX];
    set_begin(&set, 20, 2, 20);
    for (int i = 0; i < 20; i++) {
        set.groups[i] = i;
        set.labels[i] = i % 2;
    }
    static const struct train_fractions bad[] = {
        {0, 0.5, 0.5}, {0.7, 0.2, 0.2}, {1.2, -0.2, 0}, {NAN, 0.5, 0.5}, {0.5, 0.2, 0.2}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_int_eq(train_split_parts(&set.samples, &bad[i], 0, parts, &err), -EINVAL);
    static const int counts[] = {-1, 0, 1, TRAIN_FOLDS_MAX + 1};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        ck_assert_int_eq(train_split_folds(&set.samples, counts[i], 0, folds, &err), -EINVAL);
        ck_assert_int_eq(train_split_blocks(&set.samples, counts[i], folds, &err), -EINVAL);
    }
    ck_assert_int_eq(train_split_folds(&set.samples, 21, 0, folds, &err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "at least 21 sources are needed, there are 20"));
    memset(set.groups, 0, sizeof set.groups);
    ck_assert_int_eq(train_split_groups(&set.samples, folds, &err), -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "at least 2 sources are needed, there is 1"));
}
END_TEST

int main(void)
{
    TCase *whole = tcase_create("whole"), *even = tcase_create("even");
    tcase_add_test(whole, folds_hold_every_sample_once_and_tear_no_group);
    tcase_add_test(whole, parts_hold_every_sample_once_and_tear_no_group);
    tcase_add_test(whole, each_group_is_left_out_once);
    tcase_add_test(whole, blocks_are_contiguous_and_tear_no_group);
    tcase_add_test(whole, inner_folds_are_of_what_the_outer_one_leaves);
    tcase_add_test(whole, what_is_no_split_is_refused);
    tcase_add_test(even, samples_of_their_own_are_shared_out_evenly);
    tcase_add_test(even, folds_of_groups_are_more_even_than_any_of_ten_that_are_drawn);
    tcase_add_test(even, large_groups_come_first_and_small_ones_fill_up);
    tcase_add_test(even, fractions_are_kept);
    tcase_add_test(even, blocks_of_single_samples_differ_by_one_at_most);
    tcase_add_test(even, blocks_are_cut_where_a_group_ends);
    tcase_add_test(even, a_seed_is_a_split);
    TCase *cases[] = {whole, even};
    return suite_run("nn/train/split", cases, 2);
}
