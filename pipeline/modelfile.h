/* The files of a model: MODEL.onnx, and MODEL.onnx.modelinfo beside it; and the packed file
 * that stands for a MODEL.onnx (nn/packed.h).
 *
 * Only regular files are read, and only up to a maximum: a pipe or a device would be read until
 * memory ends.
 *
 * Thread: any. */
#ifndef PIPELINE_MODELFILE_H
#define PIPELINE_MODELFILE_H

#include <glib.h>

#include "nn/model.h"

/* nn_model_load's limit, as files are measured. */
#define MODELFILE_BYTES_MAX ((int64_t)NN_MODEL_BYTES_MAX)
#define MODELFILE_MIB_MAX   ((int)(NN_MODEL_BYTES_MAX >> 20))

/* All of the file, at most MODELFILE_BYTES_MAX. The caller owns *ret_bytes. Negative errno (of
 * record/file.h) with one line that names the file. */
int modelfile_read(const char *path, GBytes **ret_bytes, struct nn_error *err);

/* Whether nobody can write to fd or shorten it any more: so vigild hands out packed models, and
 * nothing else. */
bool modelfile_is_sealed(int fd);

/* Maps a packed file read-only: its pages are shared with everybody else who does. The file
 * must be sealed against writing and shrinking, so that nobody can change it under our feet.
 * The caller owns *ret_bytes, and closes fd. -EINVAL (not sealed, or of no size) or -errno with
 * one line. */
int modelfile_map(int fd, GBytes **ret_bytes, struct nn_error *err);

/* nn_model_load or nn_model_load_packed, by how the bytes begin. A packed model keeps a
 * reference to them, any other does not. */
int modelfile_load(GBytes *bytes, struct nn_model **ret_model, struct nn_error *err);

/* Adds what MODEL.modelinfo says (record/sidecar.h) to overrides (pipeline/modelkeys.h), which
 * keeps the values it has. Negative errno with one line that names the file. */
int modelfile_read_sidecar(const char *model_path, GHashTable *overrides, struct nn_error *err);

#endif
