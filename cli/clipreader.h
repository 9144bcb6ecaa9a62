/* Clips as a network sees them: every frame at the network's own size and frame rate, as pixels.
 * Each clip is met by a sandboxed worker of its own (cli/samples.h).
 *
 * Thread: single-threaded. */
#ifndef CLI_CLIPREADER_H
#define CLI_CLIPREADER_H

#include "cli/samples.h"

struct clipreader {
    /* As those of struct clips (cli/clips.h); borrowed. */
    const void *onnx;
    size_t size;
    GHashTable *overrides;
    double fps;
    int stride;
    const char *resize;

    /* Once it is open. */
    struct modelinfo *info; /* how clips are shown: its window, fps and stride */
    int window;             /* frames of one sample; 1 of pictures */
    size_t frame;           /* numbers of one frame: channels x height x width */
    char *how;              /* all that decides what a clip becomes, as text */

    char *model_path;
    struct nn_model *model;
    struct samples samples;
};

/* CLI_OK, or an exit code of cli.h with a line said on stderr; close in any case. */
int clipreader_open(struct clipreader *reader);
void clipreader_close(struct clipreader *reader);

/* All frames of a clip, one behind the other, as float numbers of 0..255 in the order of the
 * network's input. NULL, with a line said on stderr. */
GBytes *clipreader_read(struct clipreader *reader, const char *path);

#endif
