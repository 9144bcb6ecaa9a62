/* The labelled samples that a recipe names, split as it says: the same samples, each for the same
 * purpose, for what teaches a network and for what judges it.
 *
 * Functions return CLI_OK, or another exit code of cli.h with a line said on stderr.
 *
 * Thread: any. */
#ifndef CLI_TRAININGDATA_H
#define CLI_TRAININGDATA_H

#include "cli/recipe.h"
#include "nn/train/dataset.h"

/* Opens the recipe's files, of `folder` (NULL: the recipe's own), and gives each sample its part:
 * those that the recipe does not keep back stay what the data says they are for, which may be
 * nothing. Samples that repeat others are left out where the recipe wants it, and how many is told
 * on stderr. `network`: the ONNX file whose input says what clips are decoded to. Of clips it is
 * told on stderr how many there were. */
int trainingdata_open(const struct recipe *recipe, const char *folder, const void *network,
                      size_t size, struct train_dataset **ret_data);

/* The same for a network that has been trained: `overrides` (pipeline/modelkeys.h) go before its
 * metadata, which says what the recipe does not. */
int trainingdata_open_for(const struct recipe *recipe, const char *folder, const void *network,
                          size_t size, GHashTable *overrides, struct train_dataset **ret_data);

/* Whether samples are decoded for one network: in the order of its input, with the channels that
 * it wants. Others are [C,H,W] in grey or RGB, or [T,C,H,W]. */
bool trainingdata_is_decoded(const struct recipe *recipe);

/* The samples of some parts, ascending: the bit 1 << p stands for part p of enum train_part.
 * Caller frees with g_free(). */
int *trainingdata_select(const struct train_dataset *data, unsigned parts, int *ret_count);

/* What is learned from: also what the data says nothing of. */
#define TRAININGDATA_LEARN (1u << TRAIN_PART_TRAIN | 1u << TRAIN_PART_NONE)

/* SHA-256, in hexadecimal, of every sample, its label and its part: another one means other data
 * or another split. Reads all samples. */
int trainingdata_digest(const struct train_dataset *data, char **ret_digest);

#endif
