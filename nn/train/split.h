/* Which samples teach, which choose, which judge: splits by source, never by sample.
 *
 * Samples of one group (a source, a camera, a person) are alike; a network judged by some of them
 * after it has learnt from others is judged by what it remembers. So each group is in one fold,
 * whole, and each sample in exactly one. Within that, folds have their share of the samples and of
 * each class as well as the groups allow: groups are dealt out one by one, large ones first, equal
 * ones in an order drawn from the seed, each to the fold that lacks most of what it holds; and no
 * fold is left without a group.
 *
 * What cannot be done is refused with a reason: no samples, all of one class (of which nothing can
 * be learnt), fewer groups than folds. Folds that lack a class are not: they may be all there is.
 *
 * The same seed gives the same split, whatever the machine. All functions return 0 or the number
 * of folds, -EINVAL (refused) or -ENOMEM; ret_folds has an element for each sample, from 0.
 *
 * Thread: any. */
#ifndef NN_TRAIN_SPLIT_H
#define NN_TRAIN_SPLIT_H

#include "nn/train/dataset.h"

#define TRAIN_FOLDS_MAX 1000

/* The fold of samples that are left out. */
#define TRAIN_FOLD_NONE (-1)

/* What is split; all borrowed. */
struct train_samples {
    int count;
    const int *labels; /* 0 .. class_count - 1 */
    int class_count;
    const int *groups; /* 0 .. group_count - 1; not all of these need samples */
    int group_count;
    const bool *left_out; /* samples that are to be in no fold; NULL: none */
};

struct train_samples train_samples_of(const struct train_dataset *data);

/* Shares of training, validation and test, which add up to 1; validation or test may be 0. */
struct train_fractions {
    double train, validation, test;
};

/* Writes TRAIN_PART_NONE for what is left out. */
int train_split_parts(const struct train_samples *samples,
                      const struct train_fractions *fractions, uint64_t seed,
                      enum train_part *ret_parts, struct nn_error *err);

/* `folds` of about equal size. */
int train_split_folds(const struct train_samples *samples, int folds, uint64_t seed,
                      int *ret_folds, struct nn_error *err);

/* A fold for each group that has samples, in the order of their numbers; returns how many. */
int train_split_groups(const struct train_samples *samples, int *ret_folds,
                       struct nn_error *err);

/* Blocks of samples that follow one another, for recordings whose neighbours are alike: of equal
 * size (give or take one) where every sample is a group of its own, else cut at the nearest places
 * at which no group is. Classes are as they come. */
int train_split_blocks(const struct train_samples *samples, int folds, int *ret_folds,
                       struct nn_error *err);

/* For each outer fold, which judges, the others in `inner` folds, which choose: ret_inner[o *
 * count + i] is sample i's inner fold when outer fold o is held out, TRAIN_FOLD_NONE within it. */
int train_split_nested(const struct train_samples *samples, int outer, int inner, uint64_t seed,
                       int *ret_outer, int *ret_inner, struct nn_error *err);

#endif
