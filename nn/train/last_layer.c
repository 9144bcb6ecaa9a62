#include "nn/train/last_layer.h"

#include <errno.h>
#include <string.h>

#include "nn/onnx_write.h"
#include "nn/train/initial.h"

#define LIMIT_BYTES ((size_t)1 << 30)

/* An initializer of the file and its place there. */
struct weight {
    Onnx__TensorProto *tensor; /* NULL: there is none */
    size_t place;
};

/* The layer that was found. */
struct layer {
    Onnx__GraphProto *graph;
    const Onnx__NodeProto *product; /* Gemm or MatMul */
    struct weight weight, bias;
    int axis; /* of the weight: outputs */
    struct nn_pool pool;
    struct nn_error *err;
};

static bool is(const Onnx__NodeProto *node, const char *op)
{
    return nn_onnx_bytes_are(&node->op_type, op);
}

static int refuse(const struct layer *l, const Onnx__NodeProto *node, const char *why)
{
    return nn_error_set(
        l->err, -ENOTSUP, "its last layer cannot begin anew: node '%.*s' (%.*s) %s",
        (int)(node->name.len < 80 ? node->name.len : 80), (const char *)node->name.data,
        (int)(node->op_type.len < 80 ? node->op_type.len : 80),
        (const char *)node->op_type.data, why);
}

/* NULL: an input, or an initializer. */
static const Onnx__NodeProto *maker_of(const struct layer *l, const ProtobufCBinaryData *value)
{
    for (size_t i = 0; i < l->graph->n_node; i++)
        for (size_t j = 0; j < l->graph->node[i]->n_output; j++)
            if (nn_onnx_same_bytes(&l->graph->node[i]->output[j], value))
                return l->graph->node[i];
    return NULL;
}

static struct weight find_weight(const struct layer *l, const ProtobufCBinaryData *name)
{
    for (size_t i = 0; i < l->graph->n_initializer; i++)
        if (nn_onnx_same_bytes(&l->graph->initializer[i]->name, name))
            return (struct weight){l->graph->initializer[i], i};
    return (struct weight){0};
}

static int readers_of(const struct layer *l, const ProtobufCBinaryData *name)
{
    int count = 0;
    for (size_t i = 0; i < l->graph->n_node; i++)
        for (size_t j = 0; j < l->graph->node[i]->n_input; j++)
            count += nn_onnx_same_bytes(&l->graph->node[i]->input[j], name);
    return count;
}

/* Whether a node leaves each number in its place: what is before it may be the layer. */
static bool is_function(const Onnx__NodeProto *node)
{
    static const char *const functions[] = {"Identity", "LogSoftmax", "Relu",
                                            "Sigmoid",  "Softmax",    "Tanh"};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (is(node, functions[i]) && node->n_input == 1)
            return true;
    return false;
}

static bool has_flag(const Onnx__NodeProto *node, const char *name)
{
    for (size_t i = 0; i < node->n_attribute; i++)
        if (nn_onnx_bytes_are(&node->attribute[i]->name, name))
            return node->attribute[i]->i != 0;
    return false;
}

/* From the first output back to the product. */
static int find_layer(struct layer *l)
{
    if (l->graph->n_output < 1)
        return nn_error_set(l->err, -EINVAL, "the model has no output");
    const Onnx__NodeProto *node = maker_of(l, &l->graph->output[0]->name);
    for (size_t i = 0; node && is_function(node) && i < l->graph->n_node; i++)
        node = maker_of(l, &node->input[0]);
    if (node && is(node, "Add") && node->n_input == 2) {
        const Onnx__NodeProto *add = node;
        for (int i = 0; i < 2; i++) {
            struct weight bias = find_weight(l, &add->input[i]);
            if (bias.tensor) {
                l->bias = bias;
                node = maker_of(l, &add->input[1 - i]);
            }
        }
    }
    if (!node)
        return nn_error_set(l->err, -ENOTSUP,
                            "its last layer cannot begin anew: nothing makes its output");
    bool gemm = is(node, "Gemm");
    if ((!gemm && !is(node, "MatMul")) || node->n_input < 2 || (gemm && l->bias.tensor))
        return refuse(l, node, "is no dense layer");
    l->product = node;
    l->axis = gemm && has_flag(node, "transB") ? 0 : 1;
    l->weight = find_weight(l, &node->input[1]);
    if (gemm && node->n_input > 2 && node->input[2].len > 0) {
        l->bias = find_weight(l, &node->input[2]);
        if (!l->bias.tensor)
            return refuse(l, node, "has a bias that is no initializer");
    }
    return 0;
}

static int check_weight(const struct layer *l, const struct weight *w, size_t rank)
{
    if (!w->tensor)
        return refuse(l, l->product, "has weights that are no initializer");
    if (readers_of(l, &w->tensor->name) != 1)
        return refuse(l, l->product, "has weights that other nodes read, too");
    if (w->tensor->data_type != NN_TYPE_FLOAT || (rank > 0 && w->tensor->n_dims != rank))
        return refuse(l, l->product, "has weights that are no matrix of float32");
    return 0;
}

/* A new tensor in the place of one; its numbers are left as they come: 0. */
static float *exchange(struct layer *l, const struct weight *w, const struct nn_shape *shape)
{
    int error;
    struct nn_tensor tensor = {.type = NN_TYPE_FLOAT, .shape = *shape};
    const char *name = nn_onnx_name(&w->tensor->name, &l->pool, &error);
    tensor.data = nn_pool_array(&l->pool, (size_t)nn_shape_count(shape), sizeof(float));
    Onnx__TensorProto *made =
        name && tensor.data ? nn_onnx_make_tensor(&l->pool, name, &tensor) : NULL;
    if (made)
        l->graph->initializer[w->place] = made;
    return made ? tensor.data : NULL;
}

static int renew(struct layer *l, int64_t outputs, uint64_t seed)
{
    int64_t inputs = l->weight.tensor->dims[1 - l->axis];
    struct nn_shape shape = {.rank = 2}, row = {.rank = 1, .dim = {outputs}};
    if (inputs < 1 || inputs > (int64_t)(LIMIT_BYTES / sizeof(float)) / outputs)
        return refuse(l, l->product, "would be too large");
    shape.dim[l->axis] = outputs;
    shape.dim[1 - l->axis] = inputs;
    struct train_random random =
        train_random_fork(seed, TRAIN_RANDOM_WEIGHTS, 0, l->weight.place);
    float *weights = exchange(l, &l->weight, &shape);
    if (!weights || (l->bias.tensor && !exchange(l, &l->bias, &row)))
        return nn_error_set(l->err, nn_pool_errno(&l->pool), "no memory for the model");
    train_initial_glorot(&random, weights, (size_t)(inputs * outputs), (double)inputs,
                         (double)outputs);
    return 0;
}

/* The last dimension that the file states of its first output. */
static Onnx__TensorShapeProto__Dimension *last_dimension(const Onnx__GraphProto *graph)
{
    const Onnx__TypeProto *type = graph->output[0]->type;
    const Onnx__TensorShapeProto *shape =
        type && type->tensor_type ? type->tensor_type->shape : NULL;
    return shape && shape->n_dim > 0 ? shape->dim[shape->n_dim - 1] : NULL;
}

/* What the file states of values in between, which nn/onnx.proto leaves alone, to the end of what
 * it leaves alone; returns how many others there are. */
static unsigned sort_stated(Onnx__GraphProto *graph)
{
    enum { VALUE_INFO = 13 };
    ProtobufCMessageUnknownField *fields = graph->base.unknown_fields;
    unsigned others = 0;
    for (unsigned i = 0; i < graph->base.n_unknown_fields; i++)
        if (fields[i].tag != VALUE_INFO) {
            ProtobufCMessageUnknownField field = fields[others];
            fields[others++] = fields[i];
            fields[i] = field;
        }
    return others;
}

/* The file's message is the parser's to free: what was exchanged is put back. */
static int pack(struct layer *l, const Onnx__ModelProto *proto, int64_t outputs,
                void **ret_bytes, size_t *ret_size)
{
    Onnx__TensorShapeProto__Dimension *last = last_dimension(l->graph), kept;
    unsigned all = l->graph->base.n_unknown_fields;
    if (last) {
        kept = *last;
        last->has_dim_value = 1;
        last->dim_value = outputs;
        last->has_dim_param = 0;
    }
    l->graph->base.n_unknown_fields = sort_stated(l->graph);
    int r = nn_onnx_pack(proto, ret_bytes, ret_size, l->err);
    l->graph->base.n_unknown_fields = all;
    if (last)
        *last = kept;
    return r;
}

int train_last_layer_renew(const void *onnx, size_t size, int64_t outputs, uint64_t seed,
                           void **ret_bytes, size_t *ret_size, struct nn_error *err)
{
    struct nn_onnx file;
    if (outputs < 1 || outputs > TRAIN_OUTPUTS_MAX)
        return nn_error_set(err, -EINVAL, "a network has 1 to %d outputs, not %lld",
                            TRAIN_OUTPUTS_MAX, (long long)outputs);
    int r = nn_onnx_open(&file, onnx, size, err);
    if (r < 0)
        return r;
    struct layer l = {.graph = file.proto->graph, .err = err};
    nn_pool_init(&l.pool, LIMIT_BYTES);
    r = find_layer(&l);
    if (r == 0)
        r = check_weight(&l, &l.weight, 2);
    if (r == 0 && l.bias.tensor)
        r = check_weight(&l, &l.bias, 0);
    if (r == 0)
        r = renew(&l, outputs, seed);
    if (r == 0)
        r = pack(&l, file.proto, outputs, ret_bytes, ret_size);
    if (l.weight.tensor)
        l.graph->initializer[l.weight.place] = l.weight.tensor;
    if (l.bias.tensor)
        l.graph->initializer[l.bias.place] = l.bias.tensor;
    nn_pool_finish(&l.pool);
    nn_onnx_close(&file);
    return r;
}
