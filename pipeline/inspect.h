/* `vigil-worker --inspect`: what a model says of itself, as JSON.
 *
 *   name is not known here; sha256, file_bytes, task, labels, pixels, width, height, channels,
 *   window, fps, stride, inputs and outputs ({name, type, shape}; -1: open), nodes, parameters,
 *   metadata (what the file holds), assumed (what it does not say and was taken instead)
 *
 * Thread: any. */
#ifndef PIPELINE_INSPECT_H
#define PIPELINE_INSPECT_H

#include <glib.h>

#include "nn/tensor.h"

#include <jansson.h>

/* The model is loaded, planned and thrown away, so a model that is described here also runs.
 * 0 and an object (the caller's reference), or negative errno with one line. */
int inspect_model(GBytes *bytes, json_t **ret_object, struct nn_error *err);

#endif
