/* `vigil-worker --frames`: what a model would be shown of a clip, as numbers.
 *
 *   stdin          the ONNX file
 *   --set          what is configured instead of the model's own metadata
 *   descriptor 3   the clip
 *   stdout         its frames as the network takes them (pipeline/convert.h), as they are
 *                  sampled by vigil.fps: float32, one behind the other, with nothing between
 *   stderr         one line when that cannot be; exit 66 (the clip) or 78 (the model)
 *
 * Pictures that the decoder complained about are left out.
 *
 * Thread: frames_write from the main thread, after the sandbox has been closed. */
#ifndef PIPELINE_FRAMES_H
#define PIPELINE_FRAMES_H

#include "pipeline/modelinfo.h"

/* Decodes `clip` to its end and writes frames to `out`. 0 when there was at least one; -EPIPE
 * when nobody reads; -EIO (the clip, with one line). */
int frames_write(const struct modelinfo *info, int clip, int out, struct nn_error *err);

#endif
