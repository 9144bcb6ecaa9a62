/* Clips as a data set: what a folder or a table names, decoded once into windows of pictures.
 *
 * Which clips there are, their classes and sources, cli/recordings.h says; times in a table need
 * fps.
 *
 * Every clip is met by a sandboxed worker of its own (cli/samples.h), at the network's own size,
 * frame rate and window; what it gives is kept in a cache (cli/clipcache.h). A clip that cannot
 * be read, or is shorter than one window, is told on stderr, left out and counted.
 *
 * Thread: single-threaded. */
#ifndef CLI_CLIPS_H
#define CLI_CLIPS_H

#include <glib.h>

#include "nn/train/dataset.h"

#define CLIPS_BYTES_MAX ((size_t)2 << 30) /* of all windows together */

struct clips {
    /* The network that is to learn, or to be judged: an ONNX file whose input is a window
     * [n, T, C, H, W] or a picture [n, C, H, W], or either with channels last. Samples are as
     * its input, their pixels in its order, before mean and scale. */
    const void *onnx;
    size_t size;
    GHashTable *overrides; /* of its metadata (pipeline/modelkeys.h); NULL: none */
    /* Where these say nothing it is what the metadata says, and else in brackets. */
    double fps;          /* 0 (every frame) */
    int stride;          /* frames from one window to the next; 0 (half the window) */
    const char *resize;  /* as vigil.resize; NULL (stretch) */
    const char *pattern; /* of their names; NULL: none */

    int used, skipped; /* clips, when it is done */
};

/* `paths`: folders and tables, NULL at the end; classes are in the order of their names. 0, or an
 * exit code of cli.h with a line said on stderr. */
int clips_open(struct clips *clips, char *const *paths, struct train_dataset **ret_data);

#endif
