/* `vigil-worker --inspect`: what a model says of itself, as JSON.
 *
 *   name is not known here; sha256, file_bytes, task, labels, pixels, width, height, channels,
 *   window, fps, stride, layout, resize, mean, scale, head, thresholds (one object a label),
 *   arena_bytes (one stream's memory), weight_bytes (all streams share them), inputs and
 *   outputs ({name, type, shape}; -1: open), nodes, parameters, metadata (what the file holds),
 *   assumed (what it does not say and was taken instead)
 *
 * Thread: any. */
#ifndef PIPELINE_INSPECT_H
#define PIPELINE_INSPECT_H

#include <glib.h>

#include "nn/tensor.h"

#include <jansson.h>

/* The model is loaded, planned and thrown away, so a model that is described here also runs.
 * `overrides` as modelinfo_create takes them: what is described is what will be in force.
 * 0 and an object (the caller's reference), or negative errno with one line. */
int inspect_model(GBytes *bytes, GHashTable *overrides, json_t **ret_object,
                  struct nn_error *err);

#endif
