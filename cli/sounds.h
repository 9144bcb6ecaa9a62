/* Sounds as a data set: WAVE files (nn/train/wav.h) that folders or tables name, each a sample of
 * one length.
 *
 * A sound begins where it begins, or where a table says; what is longer than the network's input is
 * cut, what is shorter is followed by silence. All must have the recipe's rate: nothing is
 * resampled. A file that cannot be read is told on stderr, left out and counted; one of another
 * rate ends it, for all of them will be.
 *
 * Which files there are, their classes and sources, cli/recordings.h says.
 *
 * Thread: single-threaded. */
#ifndef CLI_SOUNDS_H
#define CLI_SOUNDS_H

#include "nn/train/dataset.h"

#define SOUNDS_BYTES_MAX ((size_t)2 << 30) /* of all samples together, as floats */

struct sounds {
    /* The network that is to learn: an ONNX file whose input is [n, samples, 1]. */
    const void *onnx;
    size_t size;
    int rate;            /* samples a second */
    const char *pattern; /* of their names; NULL: none */

    int used, cut, skipped; /* sounds, when it is done; cut ones are used */
};

/* `paths`: folders and tables, NULL at the end; classes are in the order of their names. 0, or an
 * exit code of cli.h with a line said on stderr. */
int sounds_open(struct sounds *sounds, char *const *paths, struct train_dataset **ret_data);

#endif
