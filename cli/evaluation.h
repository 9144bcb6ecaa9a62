/* One model judged by labelled samples: what data is asked for, opened and split; what the model
 * says of it; and the figures of that. For what prints them.
 *
 * Functions return CLI_OK, or another exit code of cli.h with a line said on stderr.
 *
 * Thread: single-threaded; running starts threads and waits for them. */
#ifndef CLI_EVALUATION_H
#define CLI_EVALUATION_H

#include "cli/figures.h"
#include "cli/judge.h"
#include "cli/recipe.h"

/* What is asked for; the options of a verb. */
struct evaluation_options {
    char *recipe; /* NULL: data is clips in a folder for each label, or in a table */
    char *data;   /* with a recipe: where its files are; NULL: beside it */
    char *split;  /* NULL: what nothing was learned from */
    int threads;
    char *positive; /* of two labels; NULL: as judge.h finds it */
};

/* Refuses what cannot be meant. */
int evaluation_check(const struct evaluation_options *options);
void evaluation_clear(struct evaluation_options *options);

/* Plain to read. */
struct evaluation {
    const struct evaluation_options *options; /* borrowed */
    struct recipe recipe;
    struct train_dataset *dataset;
    int *samples;
    struct train_selection selection;
    const struct evaluation_split *split; /* what the samples are */
    char *data_sha256;
    struct judge judge;
    int *labels, *groups; /* of the samples; labels as the model numbers them */
    float *scores;        /* [samples][labels] */
    struct figures figures;
    double seconds; /* that running took */

    char *model, *data; /* their paths as text, for: */
    struct figures_about about;
};

/* Judges a model, a path or a name as cli_find_model() takes it. finish is right in both cases. */
int evaluation_run(struct evaluation *evaluation, const struct evaluation_options *options,
                   const char *model);
void evaluation_finish(struct evaluation *evaluation);

#endif
