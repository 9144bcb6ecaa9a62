/* A model: one ONNX file, validated. The graph every plan is made from.
 *
 * Source: ONNX IR (ModelProto, GraphProto, NodeProto, TensorProto), opsets 1-25.
 *
 * Element types: float32, the integers of 8 to 64 bits and bool. float16 and float64 tensors
 * are converted when they are loaded, and a value that the file declares as either is float32:
 * the engine computes in nothing else. Inputs are fed and outputs read that way, too. Any other
 * type (bfloat16, float8, 4 and 2 bits, strings, complex numbers; sequences, maps, optionals)
 * is refused by its name.
 *
 * The bytes are hostile input. Every count, size, name, edge and attribute is checked before
 * anything is allocated by it; weights in external files are refused. Limits: file
 * NN_MODEL_BYTES_MAX, 65 536 nodes, 1 GiB of initializers.
 *
 * Thread: a loaded model is immutable; any thread may read it. It is reference counted:
 * plans hold a reference, so a model may be released as soon as its plans exist. */
#ifndef NN_MODEL_H
#define NN_MODEL_H

#include "nn/tensor.h"

/* The largest file that is read; whoever reads one, by whatever way, reads no more. */
#define NN_MODEL_BYTES_MAX ((size_t)512 << 20)

struct nn_model;

/* What the file says of one graph input or output. Strings live as long as the model. */
struct nn_value_info {
    const char *name;
    enum nn_type type;
    struct nn_shape shape; /* NN_DIM_DYNAMIC where the file gives a name or nothing; rank -1
                            * for an output whose shape the file does not give at all */
    bool late; /* of a plan's output: shape is the most it can be, each run decides */
};

/* Parses and validates `size` bytes of ONNX. Borrows `data` for the call only: what is kept
 * is copied. *ret_model is written only on success.
 * Returns 0, -EINVAL (not a valid model), -ENOTSUP (operator, attribute or type we lack),
 * -E2BIG (over a limit), -ENOMEM; err (may be NULL) then holds one line. */
int nn_model_load(const void *data, size_t size, struct nn_model **ret_model,
                  struct nn_error *err);

struct nn_model *nn_model_ref(struct nn_model *model);
void nn_model_unref(struct nn_model *model); /* NULL is fine */

/* Graph inputs that must be fed (initializers listed as inputs are not counted). */
size_t nn_model_input_count(const struct nn_model *model);
const struct nn_value_info *nn_model_input(const struct nn_model *model, size_t index);
size_t nn_model_output_count(const struct nn_model *model);
const struct nn_value_info *nn_model_output(const struct nn_model *model, size_t index);

/* The node that computes an output, and its operator: nodes that only hand its bytes on under
 * another shape (Reshape, Identity, ...) are looked through. Both NULL for an output that is an
 * input or a constant of the file. */
void nn_model_output_source(const struct nn_model *model, size_t index, const char **ret_node,
                            const char **ret_op);

/* A value of metadata_props, NULL when absent. The nn core gives them no meaning. */
const char *nn_model_metadata(const struct nn_model *model, const char *key);
size_t nn_model_metadata_count(const struct nn_model *model);
void nn_model_metadata_at(const struct nn_model *model, size_t index, const char **ret_key,
                          const char **ret_value);

int nn_model_opset(const struct nn_model *model);

/* Nodes as loaded, for descriptions and logs. */
size_t nn_model_node_count(const struct nn_model *model);

#endif
