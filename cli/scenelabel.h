/* What a window of a rendered scene is called, for a network to learn and to be judged by: the
 * truth of its frames, and what an observer of so few and such small pictures could tell.
 *
 * A window in which a state begins or ends, in which what moves is too small to be seen, or with
 * an insect before the lens has no label, and is left out.
 *
 * Thread: pure functions. */
#ifndef CLI_SCENELABEL_H
#define CLI_SCENELABEL_H

#include <stdbool.h>
#include <stdint.h>

#include "pipeline/scene/scene.h"

/* A part of the picture. */
struct scenelabel_view {
    double x, y, width, height; /* 0..1 */
};

/* Of one frame: a bit for each enum scene_label, and beside them: */
#define SCENELABEL_INSECT  (1u << 8)
#define SCENELABEL_UNCLEAR (1u << 9) /* something moves, but too little of it is in the view */

/* The truth of a frame of which only the view is seen: movement is what moves in it. */
unsigned scenelabel_frame(const struct scene_truth *truth, const struct scenelabel_view *view);

/* The label of a window of `count` frames, or -1 where an honest observer would not decide.
 * `still`: no pixel changes in it, which is frozen by definition, whatever the reason. */
int scenelabel_window(const uint32_t *bits, int count, bool still);

#endif
