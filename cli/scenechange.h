/* What the renderer does not draw, laid over windows that a network learns from: a mount that
 * trembles, an exposure that drifts, the faint shadow of somebody out of sight; and things of any
 * shape and texture that move, since all that moves in a rendered scene are its own people and
 * vehicles, and a camera sees more than those.
 *
 * Windows are [T][C][H][W], levels 0..255.
 *
 * Thread: pure functions. */
#ifndef CLI_SCENECHANGE_H
#define CLI_SCENECHANGE_H

#include "nn/train/random.h"

struct scenechange_window {
    int frames, channels, height, width;
    float *values;
    float *mask; /* scratch, 2 x height x width */
};

/* Changes a window whose label is quiet or movement; all others are left as they are. Returns the
 * label that it has now: what was quiet may move. */
int scenechange_apply(const struct scenechange_window *window, int label,
                      struct train_random *random);

#endif
