#include "nn/train/split.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "nn/train/random.h"

struct train_samples train_samples_of(const struct train_dataset *data)
{
    return (struct train_samples){
        .count = data->count,
        .labels = data->labels,
        .class_count = data->classes.count,
        .groups = data->groups,
        .group_count = data->group_count,
    };
}

static bool is_in(const struct train_samples *samples, int at)
{
    return !samples->left_out || !samples->left_out[at];
}

/* The groups that have samples. */
struct group {
    int number;
    int size;
    int first; /* in members */
    int turn;  /* of equal size, the lower comes first */
};

struct groups {
    int count;
    struct group *group;
    int *members; /* samples, group by group */
    int samples;  /* that are not left out */
};

static void groups_finish(struct groups *groups)
{
    free(groups->group);
    free(groups->members);
}

/* Needs at least two classes and `least` groups, which `what` names. */
static int check(const struct train_samples *samples, const struct groups *groups, int least,
                 const char *what, struct nn_error *err)
{
    if (groups->samples == 0)
        return nn_error_set(err, -EINVAL, "there are no samples to split");
    const int label = samples->labels[groups->members[0]];
    int same = 1;
    while (same < groups->samples && samples->labels[groups->members[same]] == label)
        same++;
    if (same == groups->samples)
        return nn_error_set(err, -EINVAL,
                            "all %d samples are of class %d: a network learns to "
                            "tell classes apart from samples of at least two",
                            same, label);
    if (groups->count < least)
        return nn_error_set(err, -EINVAL,
                            "%s: at least %d sources are needed, there %s %d: samples "
                            "of one source are never torn apart",
                            what, least, groups->count == 1 ? "is" : "are", groups->count);
    return 0;
}

/* By number, and samples in their order. finish is right after a failure too. */
static int groups_init(struct groups *groups, const struct train_samples *samples,
                       struct nn_error *err)
{
    const size_t room = (size_t)samples->group_count + 1;
    *groups = (struct groups){.group = calloc(room, sizeof *groups->group),
                              .members = calloc((size_t)samples->count + 1, sizeof(int))};
    if (!groups->group || !groups->members)
        return nn_error_set(err, -ENOMEM, "no memory to split %d samples", samples->count);
    for (int i = 0; i < samples->count; i++) {
        const int number = samples->groups[i];
        assert(number >= 0 && number < samples->group_count && samples->labels[i] >= 0 &&
               samples->labels[i] < samples->class_count);
        groups->group[number].size += is_in(samples, i);
    }
    for (int g = 0; g < samples->group_count; g++) {
        groups->group[g].number = g;
        groups->group[g].first = groups->samples;
        groups->samples += groups->group[g].size;
        groups->group[g].size = 0;
    }
    for (int i = 0; i < samples->count; i++) {
        struct group *group = &groups->group[samples->groups[i]];
        if (is_in(samples, i))
            groups->members[group->first + group->size++] = i;
    }
    for (int g = 0; g < samples->group_count; g++)
        if (groups->group[g].size > 0)
            groups->group[groups->count++] = groups->group[g];
    return 0;
}

static int large_first(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    return x->size != y->size ? (x->size < y->size) - (x->size > y->size)
                              : (x->turn > y->turn) - (x->turn < y->turn);
}

static int put_in_order(struct groups *groups, struct train_random random)
{
    int *turns = calloc((size_t)groups->count + 1, sizeof *turns);
    if (!turns)
        return -ENOMEM;
    for (int g = 0; g < groups->count; g++)
        turns[g] = g;
    train_random_shuffle(&random, turns, (size_t)groups->count);
    for (int g = 0; g < groups->count; g++)
        groups->group[g].turn = turns[g];
    free(turns);
    qsort(groups->group, (size_t)groups->count, sizeof *groups->group, large_first);
    return 0;
}

/* The folds as they fill. What is dealt out is counted by class and, as if it were one class more,
 * as a whole. */
struct deal {
    const struct train_samples *samples;
    const struct groups *groups;
    int folds, kinds;     /* classes and the whole */
    const double *shares; /* [folds]; 0: gets nothing */
    double *totals;       /* [kinds] */
    double *dealt;        /* [folds][kinds] */
    int empty;            /* folds that have a share, and nothing yet */
};

/* What is to be small in the end is the sum of (dealt / total - share)^2, over kinds. Giving the
 * group to this fold adds twice this, and squares that are the same for every fold. Without a
 * product, which some machines would round together with a sum: folds that cost the same do so
 * everywhere. */
static double cost(const struct deal *deal, const struct group *group, int fold)
{
    const double *dealt = deal->dealt + fold * deal->kinds;
    const int whole = deal->kinds - 1;
    const double share = deal->shares[fold];
    double sum =
        (dealt[whole] / deal->totals[whole] - share) / (deal->totals[whole] / group->size);
    for (int i = 0; i < group->size; i++) {
        const int label = deal->samples->labels[deal->groups->members[group->first + i]];
        sum += (dealt[label] / deal->totals[label] - share) / deal->totals[label];
    }
    return sum;
}

/* With as many groups left as there are empty folds, these get them. */
static int choose_fold(const struct deal *deal, const struct group *group, int groups_left)
{
    int best = -1;
    double best_cost = INFINITY;
    for (int fold = 0; fold < deal->folds; fold++) {
        const bool is_empty = deal->dealt[fold * deal->kinds + deal->kinds - 1] == 0;
        if (deal->shares[fold] == 0 || (groups_left <= deal->empty && !is_empty))
            continue;
        const double of = cost(deal, group, fold);
        if (of < best_cost) {
            best_cost = of;
            best = fold;
        }
    }
    return best;
}

static void count_kinds(const struct deal *deal, const struct group *group, double *counts)
{
    for (int i = 0; i < group->size; i++)
        counts[deal->samples->labels[deal->groups->members[group->first + i]]]++;
    counts[deal->kinds - 1] += group->size;
}

static void deal_groups(struct deal *deal, int *ret_folds)
{
    for (int g = 0; g < deal->groups->count; g++)
        count_kinds(deal, &deal->groups->group[g], deal->totals);
    for (int fold = 0; fold < deal->folds; fold++)
        deal->empty += deal->shares[fold] > 0;
    for (int g = 0; g < deal->groups->count; g++) {
        const struct group *group = &deal->groups->group[g];
        const int fold = choose_fold(deal, group, deal->groups->count - g);
        double *dealt = deal->dealt + fold * deal->kinds;
        deal->empty -= dealt[deal->kinds - 1] == 0;
        count_kinds(deal, group, dealt);
        for (int i = 0; i < group->size; i++)
            ret_folds[deal->groups->members[group->first + i]] = fold;
    }
}

static void fold_none(const struct train_samples *samples, int *ret_folds)
{
    for (int i = 0; i < samples->count; i++)
        ret_folds[i] = TRAIN_FOLD_NONE;
}

/* Into folds by their shares, each that has one getting a group at least. */
static int split(const struct train_samples *samples, const double *shares, int folds,
                 const char *what, struct train_random random, int *ret_folds,
                 struct nn_error *err)
{
    struct groups groups;
    struct deal deal = {.samples = samples,
                        .groups = &groups,
                        .folds = folds,
                        .kinds = samples->class_count + 1,
                        .shares = shares};
    int wanted = 0, r = groups_init(&groups, samples, err);
    for (int fold = 0; fold < folds; fold++)
        wanted += shares[fold] > 0;
    if (r == 0)
        r = check(samples, &groups, wanted, what, err);
    if (r == 0) {
        const size_t kinds = (size_t)deal.kinds;
        deal.totals = calloc(kinds, sizeof *deal.totals);
        deal.dealt = calloc((size_t)folds * kinds, sizeof *deal.dealt);
        if (!deal.totals || !deal.dealt || put_in_order(&groups, random) < 0)
            r = nn_error_set(err, -ENOMEM, "no memory to split %d samples", samples->count);
    }
    if (r == 0) {
        fold_none(samples, ret_folds);
        deal_groups(&deal, ret_folds);
    }
    free(deal.totals);
    free(deal.dealt);
    groups_finish(&groups);
    return r;
}

int train_split_parts(const struct train_samples *samples,
                      const struct train_fractions *fractions, uint64_t seed,
                      enum train_part *ret_parts, struct nn_error *err)
{
    static const enum train_part part_of[] = {TRAIN_PART_TRAIN, TRAIN_PART_VALIDATION,
                                              TRAIN_PART_TEST};
    const double shares[] = {fractions->train, fractions->validation, fractions->test};
    if (!(shares[0] > 0 && shares[1] >= 0 && shares[2] >= 0 &&
          fabs(shares[0] + shares[1] + shares[2] - 1) < 1e-6))
        return nn_error_set(err, -EINVAL,
                            "fractions of %g, %g and %g for training, validation and "
                            "test: they add up to 1, and training has some",
                            shares[0], shares[1], shares[2]);
    int *folds = malloc(((size_t)samples->count + 1) * sizeof *folds);
    if (!folds)
        return nn_error_set(err, -ENOMEM, "no memory to split %d samples", samples->count);
    int r = split(samples, shares, 3, "to train, validate and test",
                  train_random_fork(seed, TRAIN_RANDOM_SPLIT, 0, 0), folds, err);
    for (int i = 0; r == 0 && i < samples->count; i++)
        ret_parts[i] = folds[i] < 0 ? TRAIN_PART_NONE : part_of[folds[i]];
    free(folds);
    return r;
}

static int check_folds(int folds, struct nn_error *err)
{
    return folds >= 2 && folds <= TRAIN_FOLDS_MAX
               ? 0
               : nn_error_set(err, -EINVAL, "there are 2 to %d folds, not %d", TRAIN_FOLDS_MAX,
                              folds);
}

static int split_evenly(const struct train_samples *samples, int folds, const char *what,
                        struct train_random random, int *ret_folds, struct nn_error *err)
{
    double shares[TRAIN_FOLDS_MAX];
    int r = check_folds(folds, err);
    for (int fold = 0; r == 0 && fold < folds; fold++)
        shares[fold] = 1.0 / folds;
    return r < 0 ? r : split(samples, shares, folds, what, random, ret_folds, err);
}

int train_split_folds(const struct train_samples *samples, int folds, uint64_t seed,
                      int *ret_folds, struct nn_error *err)
{
    return split_evenly(samples, folds, "for these folds",
                        train_random_fork(seed, TRAIN_RANDOM_SPLIT, 0, 0), ret_folds, err);
}

int train_split_groups(const struct train_samples *samples, int *ret_folds,
                       struct nn_error *err)
{
    struct groups groups;
    int r = groups_init(&groups, samples, err);
    if (r == 0)
        r = check(samples, &groups, 2, "to leave one source out", err);
    if (r == 0) {
        fold_none(samples, ret_folds);
        for (int g = 0; g < groups.count; g++)
            for (int i = 0; i < groups.group[g].size; i++)
                ret_folds[groups.members[groups.group[g].first + i]] = g;
        r = groups.count;
    }
    groups_finish(&groups);
    return r;
}

/* How many samples there are before each place at which no group would be cut, the end left out;
 * returns how many such places. */
static int find_cuts(const struct train_samples *samples, const struct groups *groups,
                     int *last_of_group, int *ret_cuts)
{
    for (int g = 0; g < groups->count; g++)
        last_of_group[groups->group[g].number] =
            groups->members[groups->group[g].first + groups->group[g].size - 1];
    int before = 0, open_until = -1, cuts = 0;
    for (int i = 0; i < samples->count; i++) {
        if (!is_in(samples, i))
            continue;
        before++;
        if (last_of_group[samples->groups[i]] > open_until)
            open_until = last_of_group[samples->groups[i]];
        if (open_until == i && before < groups->samples)
            ret_cuts[cuts++] = before;
    }
    return cuts;
}

/* The cut nearest to each even one, of `cuts`, which are at least folds - 1: those chosen go to the
 * front of the list. */
static void choose_cuts(int *places, int cuts, int folds, int samples)
{
    int next = 0;
    for (int fold = 1; fold < folds; fold++) {
        const int ideal = (int)((int64_t)fold * samples / folds);
        const int last = cuts - (folds - fold); /* those behind need one each */
        while (next < last && abs(places[next + 1] - ideal) <= abs(places[next] - ideal))
            next++;
        places[fold - 1] = places[next++];
    }
}

int train_split_blocks(const struct train_samples *samples, int folds, int *ret_folds,
                       struct nn_error *err)
{
    struct groups groups = {0};
    int *last = NULL, *places = NULL;
    int r = check_folds(folds, err);
    if (r == 0)
        r = groups_init(&groups, samples, err);
    if (r == 0)
        r = check(samples, &groups, folds, "for these blocks", err);
    if (r < 0)
        goto out;
    last = calloc((size_t)samples->group_count, sizeof *last);
    places = calloc((size_t)samples->count, sizeof *places);
    if (!last || !places) {
        r = nn_error_set(err, -ENOMEM, "no memory to split %d samples", samples->count);
        goto out;
    }
    const int cuts = find_cuts(samples, &groups, last, places);
    if (cuts < folds - 1) {
        r = nn_error_set(err, -EINVAL,
                         "%d blocks: samples of one source lie so that there are only "
                         "%d places to cut at",
                         folds, cuts);
        goto out;
    }
    choose_cuts(places, cuts, folds, groups.samples);
    fold_none(samples, ret_folds);
    for (int i = 0, before = 0, fold = 0; i < samples->count; i++) {
        if (!is_in(samples, i))
            continue;
        fold += fold < folds - 1 && before == places[fold];
        ret_folds[i] = fold;
        before++;
    }
out:
    free(last);
    free(places);
    groups_finish(&groups);
    return r;
}

int train_split_nested(const struct train_samples *samples, int outer, int inner, uint64_t seed,
                       int *ret_outer, int *ret_inner, struct nn_error *err)
{
    int r = train_split_folds(samples, outer, seed, ret_outer, err);
    if (r < 0)
        return r;
    bool *left_out = malloc((size_t)samples->count * sizeof *left_out);
    if (!left_out)
        return nn_error_set(err, -ENOMEM, "no memory to split %d samples", samples->count);
    struct train_samples rest = *samples;
    rest.left_out = left_out;
    for (int fold = 0; r == 0 && fold < outer; fold++) {
        for (int i = 0; i < samples->count; i++)
            left_out[i] = ret_outer[i] == fold || ret_outer[i] < 0;
        r = split_evenly(&rest, inner, "for the inner folds",
                         train_random_fork(seed, TRAIN_RANDOM_SPLIT, 1, (uint64_t)fold),
                         ret_inner + (size_t)fold * (size_t)samples->count, err);
    }
    free(left_out);
    return r;
}
