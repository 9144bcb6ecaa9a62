/* Samples to run a model on: what its inputs are given, gathered from what a user names.
 *
 *   a clip              decoded by a worker, as a stream would be, into frames or windows
 *   a tensor (.pb)      input 0, as ONNX keeps it in test_data_set_N/input_0.pb
 *   a data set          a folder with input_0.pb, input_1.pb, ...
 *   any other folder    all of these in it, in the order of their names; other folders in it
 *                       are not entered
 *
 * Clips are hostile: they are met by `vigil-worker --frames` behind its sandbox only, a process
 * each, which hands over numbers.
 *
 * Thread: single-threaded. */
#ifndef CLI_SAMPLES_H
#define CLI_SAMPLES_H

#include <glib.h>

#include "nn/session.h"
#include "pipeline/modelinfo.h"

/* The clips that the pipeline reads (pipeline/media.h), for a person. */
#define SAMPLES_CLIPS "MP4, Matroska, WebM or MPEG-TS"

/* What all samples together may take. */
#define SAMPLES_BYTES_MAX ((size_t)2 << 30)

struct samples {
    /* Of the model that is to be run; borrowed. */
    const char *model_path;
    const struct nn_model *model;
    const struct nn_shape *shapes; /* of each input, concrete */
    GHashTable *overrides;         /* pipeline/modelkeys.h */
    const struct modelinfo *info;  /* how pictures become input 0; NULL: they do not, */
    const char *no_pictures;       /* ... for this reason */
    int most;                      /* of one clip, spread evenly over it */
    bool frames;                   /* a sample of a clip is one frame, not a window of them */

    GPtrArray *items; /* of GBytes *[inputs]: each sample */
    size_t bytes;
    int files; /* that samples were taken from; clips of them: */
    int clips;
    /* In folders that were named: folders that were not entered and are no data set; clips of
     * kinds that vigil does not read, and the name of the first. */
    int folders, foreign;
    char *first_foreign;
};

void samples_init(struct samples *samples);
void samples_finish(struct samples *samples);

/* Whether there is something to add: a folder, or a file that opens. 0 or -errno, as
 * record/file.h. */
int samples_find(const char *path);

/* Whether a file is called as a clip that the pipeline reads. */
bool samples_is_clip(const char *path);

/* Adds what `path` has. 0, or an exit code of cli.h with a line said on stderr. */
int samples_add(struct samples *samples, const char *path);

/* Forgets all samples. */
void samples_clear(struct samples *samples);

/* Copies sample `index` to where a session or a quantizer wants its input `input`. */
void samples_copy(const struct samples *samples, guint index, size_t input,
                  const struct nn_tensor *to);

#endif
