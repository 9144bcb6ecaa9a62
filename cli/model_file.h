/* A model as `vigil model inspect` and `vigil bench` are given it: a path or the name of a
 * model that comes with vigil, loaded, with what a stream would make of it where it is one for
 * streams, and a concrete shape for every input.
 *
 * Thread: plain data. */
#ifndef CLI_MODEL_FILE_H
#define CLI_MODEL_FILE_H

#include <stdbool.h>

#include <glib.h>

#include "nn/plan.h"
#include "pipeline/modelinfo.h"

struct model_file_options {
    const char *const *shapes; /* "1x16x3x72x128" for input 0, "NAME=1x10"; NULL-terminated or
                                * NULL */
    /* First dimension of input 0, and of every other that is open there or alike; inputs with a
     * shape above keep it. 0: as the model has it, 1 where it is open. */
    int batch;
    int time_axis; /* of input 0; MODEL_FILE_TIME_GIVEN_BY_MODEL: what the metadata says */
};
#define MODEL_FILE_TIME_GIVEN_BY_MODEL (-2)

struct model_file {
    char *path;
    GBytes *bytes;
    struct nn_model *model;
    struct modelinfo *info;    /* NULL: a stream cannot use it, */
    struct nn_error no_stream; /* ... for this reason */
    struct nn_shape *shapes;   /* one for each input */
    GPtrArray *assumed;        /* lines: what neither the model nor the options say */
    /* What failure may be due to, for a person; NULL: nothing. Open dimensions beyond the batch
     * that nobody gave and that are 1 now, and another batch than the model's own. */
    char *guessed, *rebatched;
    int time_axis; /* -1: none */
};

/* 0, or an exit code of cli.h with a line said on stderr; then there is nothing to finish. */
int model_file_open(const char *given, const struct model_file_options *options,
                    struct model_file *ret_file);

/* Says that the model cannot be planned or run (-errno r), and what to do where a guess, or
 * another batch, may be why. An exit code. */
int model_file_fail(const struct model_file *file, int r, const struct nn_error *err);
void model_file_finish(struct model_file *file);

#endif
