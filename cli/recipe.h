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

struct recipe {
    char *path;
    char *text; /* of the file, whole */
    char *input, *layers;
    char *format, *labels, *classes;
    char **samples; /* files, NULL at the end */
    int numbers;    /* of one step of a sequence */
    /* Of clips. */
    double fps;
    int stride;
    char *resize;
    struct recipe_validation validation;
    struct train_fit_options
        options;       /* without threads; the schedule's steps are the caller's */
    double warmup;     /* epochs */
    double step_every; /* epochs */
};

/* Reads and checks a file. CLI_OK, or another exit code of cli.h, having said what is wrong: file,
 * group, key, what is allowed. recipe_clear is right in both cases. */
int recipe_read(const char *path, struct recipe *ret_recipe);
void recipe_clear(struct recipe *recipe);

#endif
