/* What a model is inside: nodes in topological order over numbered values. Private to nn/.
 *
 * Everything lives in the model's pool and is immutable after nn_model_load. */
#ifndef NN_GRAPH_H
#define NN_GRAPH_H

#include <stdatomic.h>

#include "nn/model.h"
#include "nn/op.h"
#include "nn/pool.h"

/* An input or output of a node that the file leaves empty. */
#define NN_VALUE_NONE (-1)

enum { NN_MAX_NODES = 65536, NN_MAX_NODE_VALUES = NN_OP_VARIADIC };

struct nn_attribute {
    const char *name;
    enum nn_attribute_type type;
    int count; /* of ints, floats, strings */
    union {
        int64_t i;
        float f;
        const char *s;
        const int64_t *ints;
        const float *floats;
        const char *const *strings;
        struct nn_tensor tensor;
        const struct nn_graph *graph;
    };
};

struct nn_node {
    const char *name; /* never NULL; "#12" when the file has none */
    const struct nn_op *op;
    int input_count, output_count;
    int *inputs, *outputs; /* values, or NN_VALUE_NONE */
    int capture_count;     /* values that its graphs read besides, after those in `inputs` */
    int number;            /* among all nodes of the model */
    int attribute_count;
    struct nn_attribute *attributes;
};

struct nn_value {
    const char *name;
    /* Initializer when data is set; else what the file declares (graph inputs and outputs),
     * type NN_TYPE_NONE when it says nothing. */
    struct nn_tensor declared;
};

/* Values have numbers of their own throughout a model; those of a graph follow each other. */
struct nn_graph {
    int first_node, first_value;
    int node_count, value_count;
    struct nn_node *nodes;
    struct nn_value *values;
    int input_count, output_count;
    int *inputs, *outputs; /* values */
};

struct nn_model {
    atomic_int references;
    struct nn_pool pool;
    struct nn_packed *packed; /* the file that holds the weights; NULL: the pool does */
    int opset;
    int node_total, value_total; /* of all graphs */
    /* The model's own graph, whose first value is 0. */
    int node_count, value_count;
    struct nn_node *nodes;
    struct nn_value *values;
    int input_count, output_count;
    int *inputs, *outputs; /* values */
    struct nn_value_info *input_info, *output_info;
    int metadata_count;
    struct nn_metadata {
        const char *key, *value;
    } * metadata;
};

/* NULL when the node has no such attribute. */
const struct nn_attribute *nn_node_attribute(const struct nn_node *node, const char *name);

/* The attribute's value, or `otherwise` when the node has none. */
int64_t nn_node_int(const struct nn_node *node, const char *name, int64_t otherwise);
float nn_node_float(const struct nn_node *node, const char *name, float otherwise);
const char *nn_node_string(const struct nn_node *node, const char *name, const char *otherwise);

#endif
