/* What the parts of the loader share while a model is read. Private to nn/.
 *
 * model.c reads what belongs to the file; load_graph.c the names, initializers, inputs and
 * outputs of a graph; load_nodes.c its nodes, against the operator table, and sorts them. A
 * graph that is an attribute has a loader of its own; `outer` is that of the graph around. */
#ifndef NN_LOADER_H
#define NN_LOADER_H

#include "nn/graph.h"
#include "nn/onnx.h"

struct nn_definition {
    const char *name;
    int value;
};

/* Values of graphs around one, as they are come across. */
struct nn_captures {
    struct nn_definition *items; /* names are empty: they sort by value */
    size_t count, capacity;
};

struct nn_loader {
    struct nn_onnx *onnx; /* what may still be parsed */
    const Onnx__GraphProto *graph;
    struct nn_graph *into;
    struct nn_loader *outer;
    int depth;
    struct nn_model *model; /* its packed file, if any, is where external tensors are */
    struct nn_error *err;
    struct nn_definition *definitions; /* sorted by name */
    size_t definition_count;
    int *producer;               /* of each value of the graph: node, or -1 */
    struct nn_captures captures; /* what the graph reads of those around it */
    struct nn_captures within; /* what the graphs of the node at hand read of this and those */
};

/* Each writes err and returns its code. */
int nn_loader_no_memory(struct nn_loader *l);
const char *nn_loader_name(struct nn_loader *l, const ProtobufCBinaryData *bytes,
                           int *ret_error);

/* A tensor, copied into the model's pool or found in its packed file. */
int nn_loader_tensor(struct nn_loader *l, const Onnx__TensorProto *proto, const char *what,
                     struct nn_tensor *ret_tensor);

/* The value of a name, here or in the graphs around; NN_VALUE_NONE when nothing defines it. */
int nn_loader_find(struct nn_loader *l, const ProtobufCBinaryData *bytes, int *ret_value);

/* l->graph into l->into, all of it. */
int nn_loader_graph(struct nn_loader *l);
void nn_loader_finish(struct nn_loader *l);

/* The graph that is an attribute of `node`; l->within grows by what it reads. */
int nn_loader_inner_graph(struct nn_loader *l, const struct nn_node *node,
                          const ProtobufCBinaryData *bytes, const struct nn_graph **ret_graph);

/* All nodes of the graph, in topological order, once every value is defined. */
int nn_loader_nodes(struct nn_loader *l);

#endif
