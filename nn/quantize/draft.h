/* An ONNX model being rewritten. Private to nn/.
 *
 * It begins as the messages of the file that was read, which it borrows and never changes: what
 * a node or list becomes is made anew, in the draft's pool. What nobody touches, fields that
 * our schema does not know included, is written as it was read.
 *
 * Thread: one at a time. */
#ifndef NN_QUANTIZE_DRAFT_H
#define NN_QUANTIZE_DRAFT_H

#include "nn/onnx_write.h"
#include "nn/plan.h"
#include "nn/pool.h"

struct nn_draft_list {
    void **items;
    size_t count, capacity;
};

struct nn_draft {
    struct nn_pool pool;
    struct nn_onnx file;
    Onnx__ModelProto model; /* shallow copies */
    Onnx__GraphProto graph;
    int opset;
    size_t limit_bytes; /* of plans, as nn_plan_options has it; copies have it, too */
    struct nn_draft_list nodes, initializers, inputs, outputs;
    char tail[16]; /* of every name that is made, so that it is new */
};

/* The caller finishes what could not be opened, too. */
int nn_draft_open(struct nn_draft *draft, const void *data, size_t size, struct nn_error *err);
void nn_draft_finish(struct nn_draft *draft);

/* Another one of the same messages, as far as they have been rewritten, to be changed by
 * itself; the first must outlive it. */
int nn_draft_copy(struct nn_draft *draft, const struct nn_draft *from, struct nn_error *err);

int nn_draft_no_memory(const struct nn_draft *draft, struct nn_error *err);

Onnx__NodeProto *nn_draft_node(const struct nn_draft *draft, size_t index);
Onnx__TensorProto *nn_draft_initializer(const struct nn_draft *draft, size_t index);

/* The initializers as they are now, by name, to be found there; the caller frees it. NULL: no
 * memory. */
struct nn_draft_index *nn_draft_index(const struct nn_draft *draft);
/* NULL when none has the name. */
const Onnx__TensorProto *nn_draft_find(const struct nn_draft_index *index,
                                       const ProtobufCBinaryData *name);

/* false: no memory, or item is NULL. */
bool nn_draft_push(struct nn_draft *draft, struct nn_draft_list *list, void *item);

/* A copy of the node that may be changed in its fields, with room for `inputs` inputs at least;
 * its place in the list is the caller's to fill. NULL: no memory. */
Onnx__NodeProto *nn_draft_edit(struct nn_draft *draft, const Onnx__NodeProto *node,
                               size_t inputs);

/* The first output that has a name: every node of a loaded model makes one. */
const ProtobufCBinaryData *nn_draft_first_output(const Onnx__NodeProto *node);

const Onnx__AttributeProto *nn_draft_attribute(const Onnx__NodeProto *node, const char *name);
/* From a node that may be changed. */
void nn_draft_drop_attribute(Onnx__NodeProto *node, const char *name);
bool nn_draft_add_attribute(struct nn_draft *draft, Onnx__NodeProto *node,
                            Onnx__AttributeProto *attribute);

/* STEM, WHAT and what makes it new: a name that no value and no node of the file has. NULL: no
 * memory. */
const char *nn_draft_name(struct nn_draft *draft, const char *stem, const char *what);

/* A new initializer of that name, over a copy of the elements. Returns the name,
 * NULL: no memory. */
const char *nn_draft_constant(struct nn_draft *draft, const char *name,
                              const struct nn_tensor *tensor);

/* Leaves out initializers that no node reads and that are no output. */
int nn_draft_sweep(struct nn_draft *draft, struct nn_error *err);

/* As nn_onnx_pack; the lists become the graph's. */
int nn_draft_pack(struct nn_draft *draft, void **ret_data, size_t *ret_size,
                  struct nn_error *err);

/* A plan that also gives `extra` values as outputs; ret_index says as which. `shapes` as
 * nn_plan_options has them. */
int nn_draft_plan(const struct nn_draft *draft, const ProtobufCBinaryData *extra, size_t count,
                  const struct nn_shape *shapes, size_t *ret_index, struct nn_plan **ret_plan,
                  struct nn_error *err);

/* Brings a model of an older opset up to 13: nodes whose spelling has changed are spelled anew.
 * -ENOTSUP, naming it, for one whose meaning would change or cannot be told.
 * `shapes` as above. */
enum { NN_DRAFT_OPSET = 13, NN_DRAFT_OLDEST = 7 };
int nn_draft_raise(struct nn_draft *draft, const struct nn_shape *shapes, struct nn_error *err);

/* Puts the nodes in the order of `model`, which was loaded from these messages: node i is the
 * model's node i from then on. */
int nn_draft_sort(struct nn_draft *draft, const struct nn_model *model, struct nn_error *err);

/* BatchNormalization behind a convolution that it alone reads becomes part of its weights.
 * `model` is the draft's, sorted by. */
int nn_draft_fold(struct nn_draft *draft, const struct nn_model *model, struct nn_error *err);

#endif
