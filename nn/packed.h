/* A packed model: its graph, and all weights as a plan wants them, in one file that any number
 * of processes map. Nothing in it is parsed twice or copied: the pages are shared.
 *
 *     nn_packed_write    once: a plan and the ONNX file it was made of -> packed file
 *     nn_packed_open     by each reader: the bytes, checked
 *     nn_model_load_packed, then nn_plan_create with the options of the writer's plan
 *
 * The file holds the ONNX model without its weights, a table, and the weights: those that
 * operators read as they are, and those they packed. The reader parses and plans the graph with
 * the code that reads any ONNX file, so every shape, offset and index is computed and checked
 * by itself; from the file come floats only. Whoever wrote it can make the scores wrong and
 * nothing else. Results are bit-identical to those of the ONNX file.
 *
 * A packed file belongs to one set of kernels (nn_kernels_best), one precision and one version
 * of this program; it is refused elsewhere. It is a cache, not a format to keep.
 *
 * The bytes are hostile input and must not change while anything made of them lives: a file
 * that is sealed against writing and shrinking.
 *
 * Limits: 2 GiB; those of nn_model_load for what is parsed.
 *
 * Thread: immutable once open; reference counted. */
#ifndef NN_PACKED_H
#define NN_PACKED_H

#include "nn/plan.h"

#define NN_PACKED_BYTES_MAX ((size_t)2 << 30)

struct nn_packed;

/* Whether the bytes start like a packed file; an ONNX file never does. */
bool nn_packed_is(const void *data, size_t size);

/* Checks sizes, offsets, alignment and checksum. data is borrowed, 64-byte aligned, until
 * `release` is called with `user`, when the last reference is gone (NULL: never); not on
 * failure. 0, -EINVAL (damaged, or of other kernels or version), -ENOMEM. */
int nn_packed_open(const void *data, size_t size, void (*release)(void *user), void *user,
                   struct nn_packed **ret_packed, struct nn_error *err);
struct nn_packed *nn_packed_ref(struct nn_packed *packed);
void nn_packed_unref(struct nn_packed *packed); /* NULL is fine */

/* As nn_model_load. The model holds a reference to the file, its plans to the model. Plans can
 * only be made with the best kernels and the writer's precision (else -ENOTSUP); with options
 * other than the writer's they may lack a weight (-EINVAL). */
int nn_model_load_packed(struct nn_packed *packed, struct nn_model **ret_model,
                         struct nn_error *err);

/* Writes the packed file of `plan` into `fd`, an empty regular file, from its start. `onnx` are
 * the bytes the plan's model was loaded from (not itself a packed file). Weights below
 * `inline_bytes` stay in the graph; 0: 1024. 0, -EINVAL, -E2BIG, -ENOMEM, or -errno of
 * writing. */
int nn_packed_write(const struct nn_plan *plan, const void *onnx, size_t size,
                    size_t inline_bytes, int fd, struct nn_error *err);

#endif
