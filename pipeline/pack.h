/* `vigil-worker --pack`: a model made ready, once, for any number of workers to map.
 *
 *   stdin          the ONNX file
 *   --set          what is configured instead of the model's own metadata
 *   descriptor 3   an empty regular file, which gets the packed model (nn/packed.h)
 *   stdout         one line, before the model is looked at: "sha256 " and 64 hexadecimal digits
 *   stderr         one line when it cannot be packed; exit 66 (unreadable) or 78 (the model)
 *
 * It is planned as the streams that use it will, so a model that was packed also runs.
 *
 * Thread: any. */
#ifndef PIPELINE_PACK_H
#define PIPELINE_PACK_H

#include <glib.h>

#include "nn/tensor.h"

/* 0, or -EIO when nobody listens. */
int pack_say_hash(GBytes *onnx);

/* overrides as modelinfo_create takes them. 0, or negative errno with one line. */
int pack_model(GBytes *onnx, GHashTable *overrides, int fd, struct nn_error *err);

#endif
