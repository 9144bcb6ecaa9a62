/* A model's card: what it was taught by, how well it did on samples that it has not seen, and how
 * far to trust that, as Markdown beside the model. Names and the recipe are anybody's text, and
 * are escaped. The same training gives the same bytes.
 *
 * Thread: any. */
#ifndef CLI_CARD_H
#define CLI_CARD_H

#include "cli/recipe.h"

/* What is told; all borrowed. */
struct card {
    const char *model; /* its path */
    const struct recipe *recipe;
    const struct train_selection *learned, *held; /* held: kept back from learning */
    const float *scores; /* [held->count][classes]; NULL: there are none */
    const char *data_sha256;
    int epochs; /* that were run */
};

/* Writes NAME.md for a model NAME.onnx. A file of that name that is no card of ours stays, which is
 * told on stderr. CLI_OK, or another exit code of cli.h with a line said. */
int card_write(const struct card *card);

#endif
