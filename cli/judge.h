/* What a classifier says of labelled samples.
 *
 * Each sample is run as it would be in service: alone, by a plan for inference, fed by what the
 * model's metadata (or MODEL.modelinfo beside it) says of mean, scale, channels and layout; what
 * a recipe says of them is not looked at. Answers are the same bytes for any number of threads.
 *
 * A class is found among vigil.labels by its name, in whatever order they are; a model that names
 * none has the data's classes in their order. A model with one score gives that of its one
 * label, of the second of two, or of the data's second class; the other class has the rest.
 *
 * Functions return CLI_OK, or another exit code of cli.h with a line said on stderr.
 *
 * Thread: single-threaded; judge_run starts threads of its own and waits for them. */
#ifndef CLI_JUDGE_H
#define CLI_JUDGE_H

#include <stdbool.h>

#include <glib.h>

#include "cli/recipe.h"
#include "nn/plan.h"
#include "nn/train/fit.h"
#include "nn/train/metrics.h"
#include "pipeline/modelinfo.h"

/* Plain to read. */
struct judge {
    char *path;
    char *sha256; /* of the file */
    GBytes *bytes;
    struct nn_model *model;
    GHashTable *overrides; /* pipeline/modelkeys.h */
    /* The rest is known when it has been held against data. */
    char **labels; /* what it tells apart, NULL at the end; valid UTF-8 */
    int label_count;
    int positive;        /* of two labels the one that is looked for */
    bool labels_assumed; /* the model does not name them */

    struct modelinfo *info; /* how pictures are fed; NULL: samples are numbers, fed by: */
    bool decoded;           /* pictures are in the order of the input already */
    float mean, scale;
    enum modelinfo_head head;
    struct nn_shape input;
    struct nn_plan *plan;
    int scores;    /* that it gives: 1 for two labels */
    bool swapped;  /* the one score is that of the first label */
    int *label_of; /* the label that a class of the data is */
};

/* Opens the model, a path or a name as cli_find_model() takes it. judge_finish is right in both
 * cases. */
int judge_open(struct judge *judge, const char *model);

/* What its metadata says of how clips are decoded goes before what the recipe says. */
void judge_settle(const struct judge *judge, struct recipe *recipe);

/* Holds it against data, once; `decoded` is as trainingdata_is_decoded says. */
int judge_match(struct judge *judge, const struct train_dataset *data, bool decoded);
void judge_finish(struct judge *judge);

/* The label of each sample, by the model's numbers, and its scores: ret_labels[count],
 * ret_scores[count][label_count]. */
int judge_run(const struct judge *judge, const struct train_selection *selection, int threads,
              int *ret_labels, float *ret_scores);

#endif
