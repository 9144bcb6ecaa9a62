/* A recipe: the whole of a training in a small key file, so that it can be kept, compared and run
 * again (docs/training.md lists the keys).
 *
 *     [model]                        [data]                     [training]
 *     input = 28x28x1                format = idx               loss = …
 *     layers = conv2d 32 3 relu; …   samples = images.gz        optimizer = adam
 *                                    labels = labels.gz         epochs = 10
 *                                    validation = last 2000
 *
 * Thread: any. */
#ifndef CLI_RECIPE_H
#define CLI_RECIPE_H

#include <glib.h>

#include "nn/train/fit.h"

/* Which samples are for validation: a share of them, whole sources at a time; or the last. */
struct recipe_validation {
    double share; /* 0: none by share */
    int last;     /* 0: none by place */
};

/* How samples are split into folds (cli/crossvalidate.h). */
enum recipe_split {
    RECIPE_SPLIT_SOURCES,     /* whole sources, by the seed */
    RECIPE_SPLIT_SAMPLES,     /* each for itself, by the seed */
    RECIPE_SPLIT_BLOCKS,      /* of those that follow one another */
    RECIPE_SPLIT_EACH_SOURCE, /* a fold for each source */
};

/* What becomes of samples whose values are those of an earlier one. */
enum recipe_duplicates { RECIPE_DUPLICATES_KEEP, RECIPE_DUPLICATES_DROP };

struct recipe_evaluation {
    enum recipe_split split;
    int folds, repeats;
};

/* From `first` to `last`, which is 0 where there are none. */
struct recipe_seeds {
    uint64_t first, last;
};

/* When scores are an event: keys of the model's metadata, as docs/models.md has them. */
enum recipe_event {
    RECIPE_EVENT_ENTER,
    RECIPE_EVENT_EXIT,
    RECIPE_EVENT_MIN_DURATION,
    RECIPE_EVENT_COOLDOWN,
    RECIPE_EVENT_KIND,
    RECIPE_EVENT_BACKGROUND,
    RECIPE_EVENTS,
};
/* "enter", ... */
extern const char *const recipe_event_names[RECIPE_EVENTS];

struct recipe {
    char *path;
    char *text;           /* of the file, whole */
    char *input, *layers; /* or */
    char *onnx;           /* a file, from the recipe's folder */
    char *freeze;         /* of onnx: a tensor; NULL: nothing */
    int outputs;          /* of onnx: that its last layer begins anew with; 0: it stays */
    char *format, *labels, *classes;
    char **samples; /* files, NULL at the end */
    int numbers;    /* of one step of a sequence */
    /* Of clips. */
    double fps;
    int stride;
    char *resize;
    char *pattern;                          /* of names, of sounds too */
    int rate;                               /* of sounds; 0: not said */
    struct recipe_seeds seeds[TRAIN_PARTS]; /* of scenes, for each part */
    struct recipe_validation validation;
    enum recipe_duplicates duplicates;
    struct recipe_evaluation evaluation;
    /* Without threads; the schedule's steps are the caller's. Mean and scale are NAN where nothing
     * is said (network_settle). */
    struct train_fit_options options;
    char *events[RECIPE_EVENTS]; /* NULL: not said */
    double warmup;               /* epochs */
    double step_every;           /* epochs */
};

/* Reads and checks a file. CLI_OK, or another exit code of cli.h, having said what is wrong: file,
 * group, key, what is allowed. recipe_clear is right in both cases. */
int recipe_read(const char *path, struct recipe *ret_recipe);
void recipe_clear(struct recipe *recipe);

#endif
