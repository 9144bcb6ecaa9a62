/* How often two networks are right, on files whose label is known.
 *
 * A table has a line for each file: its path, from the folder of the table, and its label, with
 * commas between; what follows is not read. Fields may stand in quotes, as spreadsheets write
 * them. A label is one of vigil.labels (class_0, class_1, ... without), or the number of an
 * output counted from 0. A first line whose file is not there and whose label is none is a
 * heading. A file's samples vote by the mean of their first output; the greatest wins.
 *
 * Thread: single-threaded. */
#ifndef CLI_LABELLED_H
#define CLI_LABELLED_H

#include "cli/samples.h"

/* A model planned for the samples' shapes. */
struct labelled_network {
    struct nn_model *model;
    struct nn_plan *plan;
    struct nn_session *session;
};

/* Borrows `data` for the call. 0, or as nn_model_load and nn_plan_create; close in any case. */
int labelled_open(struct labelled_network *network, const void *data, size_t size,
                  const struct nn_shape *shapes, struct nn_error *err);
void labelled_close(struct labelled_network *network);

int labelled_run(struct labelled_network *network, const struct samples *samples, guint sample,
                 struct nn_error *err);

/* Reads a table and looks whether its files are there; `samples` says how the model's outputs
 * are called, `network` how many there are. *ret_files is of what labelled_score takes, to be
 * unreferenced by g_array_unref(). 0, or an exit code of cli.h with a line said on stderr. */
int labelled_read(const char *table, const struct samples *samples,
                  const struct labelled_network *network, GArray **ret_files);

struct labelled_score {
    int files, before, after; /* right ones */
};

/* Uses up `samples`. 0, or an exit code of cli.h with a line said on stderr. */
int labelled_score(const GArray *files, struct samples *samples,
                   struct labelled_network *before, struct labelled_network *after,
                   struct labelled_score *ret_score);

#endif
