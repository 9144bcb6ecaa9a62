/* How well a recipe's networks do on what they have not seen: samples are split into folds, and for
 * each fold a network learns from the others and is judged by it. No model is kept.
 *
 * What judges a network has chosen nothing of it: where a recipe chooses by validation samples (the
 * best epoch, an early end, a falling rate), these are a share of the samples that the network
 * learns from, whole sources at a time. Samples that the data keeps for a test are in no fold.
 *
 * Repeats split anew (blocks and single sources, which cannot differ, stay) and begin with other
 * weights. The recipe's seed decides all of it; threads nothing.
 *
 * Told on stdout: each fold's accuracy, the mean over folds, the mean over repeats, and of all
 * samples an interval from resampling sources (nn/train/statistics.h), a sample's value being how
 * often it was told right.
 *
 * Thread: single-threaded. */
#ifndef CLI_CROSSVALIDATE_H
#define CLI_CROSSVALIDATE_H

#include "cli/recipe.h"
#include "nn/train/dataset.h"

/* By the recipe's [evaluation]. CLI_OK, or another exit code of cli.h with a line said on stderr:
 * what cannot be split, a recipe of no classes, Ctrl-C. */
int crossvalidate(const struct recipe *recipe, const struct train_dataset *data, int threads,
                  bool json_lines);

#endif
