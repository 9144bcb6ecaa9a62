/* What every training of the command line shares: a recipe's options for so many samples, the bar
 * that is drawn meanwhile, and how Ctrl-C ends it.
 *
 * Thread: single-threaded. */
#ifndef CLI_TRAINING_H
#define CLI_TRAINING_H

#include "cli/recipe.h"

/* The recipe's options for a training on so many samples: its epochs as the schedule's steps. */
struct train_fit_options training_options(const struct recipe *recipe, int samples,
                                          int threads);

/* Whether these can teach classes: more than one, of names that vigil.labels can hold. CLI_OK, or
 * CLI_CONFIG with a line said. */
int training_check_classes(const struct recipe *recipe, const struct train_selection *learn);

/* From now on the first Ctrl-C, or SIGTERM, ends what asks training_is_stopped; the second ends
 * the program. */
void training_catch_signals(void);
bool training_is_stopped(void);

/* The samples of an epoch on stderr, where that is a terminal. */
struct training_bar {
    bool shown;
    const char *title; /* before "epoch 3/10" */
    int epoch, epochs;
    gint64 start_us, drawn_us;
};

/* Begins an epoch. */
void training_bar_start(struct training_bar *bar, int epoch);
/* A train_progress whose data is the bar: false once the training is stopped. */
bool training_bar_draw(void *bar, int done, int whole, double loss);
/* Before something else is printed. */
void training_bar_clear(const struct training_bar *bar);

#endif
