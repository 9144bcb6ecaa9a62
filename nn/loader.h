/* What the parts of the loader share while a model is read. Private to nn/.
 *
 * model.c reads names, initializers, inputs and outputs; load_nodes.c reads nodes against the
 * operator table and sorts them. */
#ifndef NN_LOADER_H
#define NN_LOADER_H

#include "nn/graph.h"
#include "nn/onnx.h"

struct nn_definition {
    const char *name;
    int value;
};

struct nn_loader {
    const Onnx__GraphProto *graph;
    struct nn_model *model; /* its packed file, if any, is where external tensors are */
    struct nn_error *err;
    struct nn_definition *definitions; /* sorted by name */
    size_t definition_count;
    int *producer; /* of each value: node, or -1 */
};

/* Each writes err and returns its code. */
int nn_loader_no_memory(struct nn_loader *l);
const char *nn_loader_name(struct nn_loader *l, const ProtobufCBinaryData *bytes,
                           int *ret_error);

/* A tensor, copied into the model's pool or found in its packed file. */
int nn_loader_tensor(struct nn_loader *l, const Onnx__TensorProto *proto, const char *what,
                     struct nn_tensor *ret_tensor);

/* The value of a name, NN_VALUE_NONE when nothing defines it. */
int nn_loader_find(const struct nn_loader *l, const ProtobufCBinaryData *bytes);

/* All nodes of the graph, in topological order, once every value is defined. */
int nn_loader_nodes(struct nn_loader *l);

#endif
