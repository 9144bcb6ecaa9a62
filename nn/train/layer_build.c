#include "nn/train/layer_build.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "nn/train/initial.h"

/* Attributes a node has room for; names in messages and in the file. */
enum { ATTRIBUTES = 6, NAME_MAX_BYTES = 128 };

int train_no_memory(struct train_build *b)
{
    if (b->error == 0)
        b->error = nn_error_set(b->err, nn_pool_errno(b->pool), "no memory for the network");
    return b->error;
}

static void set_message(struct train_build *b, int code, const char *text)
{
    const struct train_layer *layer = b->layer;
    nn_error_set(b->err, code, "layer %s '%s': %s", layer->place, layer->kind->word, text);
}

int train_refuse(struct train_build *b, const char *format, ...)
{
    struct nn_error said;
    va_list args;
    if (b->error < 0)
        return b->error;
    va_start(args, format);
    vsnprintf(said.text, sizeof said.text, format, args);
    va_end(args);
    set_message(b, -EINVAL, said.text);
    return -EINVAL;
}

bool train_list_push(struct train_build *b, struct train_list *list, void *item)
{
    if (item && list->count == list->capacity) {
        size_t capacity = 2 * list->capacity + 64;
        void **items = nn_pool_array(b->pool, capacity, sizeof *items);
        if (items && list->count > 0)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
        list->capacity = items ? capacity : 0;
        list->count = items ? list->count : 0;
    }
    if (!item || !list->items) {
        train_no_memory(b);
        return false;
    }
    list->items[list->count++] = item;
    return true;
}

/* --- nodes -------------------------------------------------------------------------------- */

/* "conv2d_1/Relu", and from a layer's second one on "conv2d_1/Relu_2". */
static const char *node_name(struct train_build *b, const char *op)
{
    char text[NAME_MAX_BYTES];
    int length = snprintf(text, sizeof text, "%s/%s", b->row ? b->row->name : "output", op),
        before = 0;
    for (size_t i = b->first_node; i < b->nodes.count; i++) {
        const Onnx__NodeProto *node = b->nodes.items[i];
        /* Nodes of layers within this one have other names. */
        before += nn_onnx_bytes_are(&node->op_type, op) && node->name.len >= (size_t)length &&
                  memcmp(node->name.data, text, (size_t)length) == 0;
    }
    if (before > 0)
        length += snprintf(text + length, sizeof text - (size_t)length, "_%d", before + 1);
    return nn_pool_string(b->pool, text, (size_t)length);
}

/* A node with one output of its own name, which becomes the last. NULL: no memory. */
static const char *add_node(struct train_build *b, const char *op, const char *const *inputs,
                            size_t count)
{
    const char *name = node_name(b, op);
    /* Room for a second output (train_second_output). */
    b->node = nn_onnx_make_node(b->pool, op, name, count, 2, ATTRIBUTES);
    if (!train_list_push(b, &b->nodes, b->node))
        return NULL;
    b->node->n_output = 1;
    b->node->output[0] = nn_onnx_bytes(name);
    for (size_t i = 0; i < count; i++) {
        if (!inputs[i])
            train_no_memory(b);
        b->node->input[i] = nn_onnx_bytes(inputs[i]);
    }
    return name;
}

const char *train_emit(struct train_build *b, const char *op, const char *const *inputs,
                       size_t count)
{
    return b->value = add_node(b, op, inputs, count);
}

void train_second_output(struct train_build *b)
{
    if (!b->node)
        return;
    b->node->output[1] = b->node->output[0];
    b->node->output[0] = nn_onnx_bytes("");
    b->node->n_output = 2;
}

static void add_attribute(struct train_build *b, Onnx__AttributeProto *attribute)
{
    if (!attribute || !b->node) {
        train_no_memory(b);
        return;
    }
    assert(b->node->n_attribute < ATTRIBUTES);
    b->node->attribute[b->node->n_attribute++] = attribute;
}

void train_attribute_int(struct train_build *b, const char *name, int64_t value)
{
    add_attribute(b, nn_onnx_make_int(b->pool, name, value));
}

void train_attribute_ints(struct train_build *b, const char *name, const int64_t *values,
                          size_t count)
{
    add_attribute(b, nn_onnx_make_ints(b->pool, name, values, count));
}

void train_attribute_float(struct train_build *b, const char *name, float value)
{
    add_attribute(b, nn_onnx_make_float(b->pool, name, value));
}

void train_attribute_text(struct train_build *b, const char *name, const char *value)
{
    add_attribute(b, nn_onnx_make_text(b->pool, name, value));
}

void train_attribute_texts(struct train_build *b, const char *name, const char *const *values,
                           size_t count)
{
    add_attribute(b, nn_onnx_make_texts(b->pool, name, values, count));
}

/* --- constants ---------------------------------------------------------------------------- */

/* Copies the elements. */
static const char *constant(struct train_build *b, const struct nn_tensor *tensor)
{
    struct nn_tensor copy = *tensor;
    copy.data = nn_pool_alloc(b->pool, nn_tensor_bytes(tensor));
    if (copy.data)
        memcpy(copy.data, tensor->data, nn_tensor_bytes(tensor));
    const char *name = add_node(b, "Constant", NULL, 0);
    if (!name)
        return NULL;
    add_attribute(b, nn_onnx_make_tensor_attribute(b->pool, "value", &copy));
    return name;
}

const char *train_ints(struct train_build *b, const int64_t *values, int count)
{
    return constant(b, &(struct nn_tensor){.type = NN_TYPE_INT64,
                                           .shape = {.rank = 1, .dim = {count}},
                                           .data = (void *)(uintptr_t)values});
}

const char *train_floats(struct train_build *b, const float *values, struct nn_shape shape)
{
    return constant(b, &(struct nn_tensor){.type = NN_TYPE_FLOAT,
                                           .shape = shape,
                                           .data = (void *)(uintptr_t)values});
}

const char *train_number(struct train_build *b, float value)
{
    return train_floats(b, &value, (struct nn_shape){0});
}

void train_reshape(struct train_build *b, const int64_t *dims, int count)
{
    const char *x = b->value, *shape = train_ints(b, dims, count);
    TRAIN_EMIT(b, "Reshape", x, shape);
}

void train_transpose(struct train_build *b, const int64_t *perm, int count)
{
    TRAIN_EMIT(b, "Transpose", b->value);
    train_attribute_ints(b, "perm", perm, (size_t)count);
}

/* --- shapes ------------------------------------------------------------------------------- */

int train_want(struct train_build *b, int rank)
{
    char shape[64];
    if (b->shape.rank == rank)
        return 0;
    return train_refuse(b, "it reads %s, not %s%s",
                        rank == 3 ? "pictures, HEIGHTxWIDTHxCHANNELS"
                                  : "sequences, TIMExFEATURES",
                        train_shape_text(&b->shape, shape, sizeof shape),
                        b->shape.rank == rank + 1 ? "; put it into time_distributed(...)" : "");
}

const int *train_plain_order(int rank)
{
    static const int orders[][TRAIN_LAYERS_RANK_MAX] = {
        {0}, {0}, {0, 1}, {2, 0, 1}, {0, 3, 1, 2}};
    return orders[rank];
}

void train_lay(struct train_build *b, const int *order)
{
    int rank = b->shape.rank;
    int64_t perm[TRAIN_LAYERS_RANK_MAX + 1] = {0};
    bool same = true;
    for (int i = 0; i < rank; i++) {
        for (int j = 0; j < rank; j++)
            if (b->order[j] == order[i])
                perm[i + 1] = j + 1;
        same &= perm[i + 1] == i + 1;
    }
    if (!same)
        train_transpose(b, perm, rank + 1);
    memcpy(b->order, order, (size_t)rank * sizeof *order);
}

void train_lay_plain(struct train_build *b)
{
    train_lay(b, train_plain_order(b->shape.rank));
}

void train_lay_channels_last(struct train_build *b)
{
    train_lay(b, (int[]){0, 1, 2, 3});
}

void train_lay_channels_first(struct train_build *b)
{
    int order[TRAIN_LAYERS_RANK_MAX], last = b->shape.rank - 1;
    for (int i = 0; i <= last; i++)
        order[i] = i == 0 ? last : i - 1;
    train_lay(b, order);
}

int train_channel_axis(const struct train_build *b)
{
    int axis = 0;
    while (b->order[axis] != b->shape.rank - 1)
        axis++;
    return axis + 1;
}

void train_lying_dims(const struct train_build *b, int64_t *ret_dims)
{
    for (int i = 0; i < b->shape.rank; i++)
        ret_dims[i] = b->shape.dim[b->order[i]];
}

int train_becomes(struct train_build *b, struct nn_shape shape, const int *order)
{
    int64_t count = nn_shape_count(&shape);
    if (b->error < 0)
        return b->error;
    if (count < 0 || count > TRAIN_DESIGN_ELEMENTS_MAX) {
        char text[NAME_MAX_BYTES];
        train_shape_text(&shape, text, sizeof text);
        nn_error_set(b->err, -E2BIG, "layer %s '%s': it would make %s, over %lld numbers",
                     b->layer->place, b->layer->kind->word, text,
                     (long long)TRAIN_DESIGN_ELEMENTS_MAX);
        return -E2BIG;
    }
    b->shape = shape;
    memcpy(b->order, order ? order : train_plain_order(shape.rank),
           (size_t)shape.rank * sizeof *b->order);
    return 0;
}

/* --- weights ------------------------------------------------------------------------------ */

static struct train_weight add_weight(struct train_build *b, const char *what,
                                      struct nn_shape shape, bool statistic)
{
    char text[NAME_MAX_BYTES], dims[64];
    struct train_weight weight = {0};
    int64_t count = nn_shape_count(&shape);
    if (b->error < 0)
        return weight;
    /* A little less than a file may be long, for all else that is in it. */
    const size_t most = b->sizes_only ? SIZE_MAX : NN_MODEL_BYTES_MAX - (16u << 20);
    if (count < 0 || (size_t)count > (most - b->weight_bytes) / sizeof(float)) {
        snprintf(text, sizeof text, "its %s, %s, makes the network larger than %zu MiB", what,
                 train_shape_text(&shape, dims, sizeof dims), most >> 20);
        set_message(b, -E2BIG, text);
        b->error = -E2BIG;
        return weight;
    }
    b->weight_bytes += (size_t)count * sizeof(float);
    if (statistic)
        b->row->statistics += count;
    else
        b->row->trainable += count;

    if (b->sizes_only) {
        weight.name = what;
        return weight;
    }
    int length = snprintf(text, sizeof text, "%s.%s", b->row->name, what);
    struct nn_tensor tensor = {.type = NN_TYPE_FLOAT, .shape = shape};
    tensor.data = nn_pool_array(b->pool, (size_t)count, sizeof(float));
    const char *name = nn_pool_string(b->pool, text, (size_t)length);
    uint64_t number = b->weights.count;
    if (train_list_push(b, &b->weights, nn_onnx_make_tensor(b->pool, name, &tensor)))
        weight = (struct train_weight){
            .name = name,
            .data = tensor.data,
            .count = (size_t)count,
            .random = train_random_fork(b->seed, TRAIN_RANDOM_WEIGHTS, 0, number),
        };
    return weight;
}

struct train_weight train_weight_new(struct train_build *b, const char *what,
                                     struct nn_shape shape)
{
    return add_weight(b, what, shape, false);
}

const char *train_weight_glorot(struct train_build *b, const char *what, struct nn_shape shape,
                                double fan_in, double fan_out)
{
    struct train_weight weight = add_weight(b, what, shape, false);
    train_initial_glorot(&weight.random, weight.data, weight.count, fan_in, fan_out);
    return weight.name;
}

static const char *fill(const struct train_weight *weight, float value)
{
    for (size_t i = 0; i < weight->count; i++)
        weight->data[i] = value;
    return weight->name;
}

const char *train_weight_filled(struct train_build *b, const char *what, struct nn_shape shape,
                                float value)
{
    struct train_weight weight = add_weight(b, what, shape, false);
    return fill(&weight, value);
}

const char *train_weight_statistic(struct train_build *b, const char *what,
                                   struct nn_shape shape, float value)
{
    struct train_weight weight = add_weight(b, what, shape, true);
    return fill(&weight, value);
}

/* --- layers ------------------------------------------------------------------------------- */

/* "conv2d", "conv2d_1", ...: as Keras numbers layers of a kind throughout a network. */
static const char *layer_name(struct train_build *b, const struct train_layer_kind *kind)
{
    char text[NAME_MAX_BYTES];
    int before = 0;
    for (size_t i = 0; i < b->rows.count; i++) {
        const struct train_design_row *row = b->rows.items[i];
        before += strcmp(row->type, kind->type) == 0;
    }
    int length = before == 0 ? snprintf(text, sizeof text, "%s", kind->name)
                             : snprintf(text, sizeof text, "%s_%d", kind->name, before);
    return nn_pool_string(b->pool, text, (size_t)length);
}

/* What a layer makes is called like it; nothing new, where it has added no node. */
static void name_value(struct train_build *b)
{
    if (b->nodes.count == b->first_node)
        return;
    ProtobufCBinaryData *output = &b->node->output[b->node->n_output - 1];
    assert(nn_onnx_bytes_are(output, b->value));
    *output = nn_onnx_bytes(b->row->name);
    b->value = b->row->name;
}

static int build_layer(struct train_build *b, const struct train_layer *layer)
{
    struct train_design_row *row = nn_pool_alloc(b->pool, sizeof *row);
    const char *name = layer_name(b, layer->kind);
    if (!name || !train_list_push(b, &b->rows, row))
        return train_no_memory(b);
    *row =
        (struct train_design_row){.name = name, .type = layer->kind->type, .depth = b->depth++};

    /* What a layer within this one leaves behind is put back. */
    const struct train_layer *outer = b->layer;
    struct train_design_row *outer_row = b->row;
    size_t outer_first = b->first_node;
    b->layer = layer;
    b->row = row;
    b->first_node = b->nodes.count;
    int r = layer->kind->build(b, layer);
    if (r == 0 && b->error == 0)
        name_value(b);
    b->layer = outer;
    b->row = outer_row;
    b->first_node = outer_first;
    b->depth--;
    row->shape = b->shape;
    if (outer_row) {
        outer_row->trainable += row->trainable;
        outer_row->statistics += row->statistics;
    }
    return r < 0 ? r : b->error;
}

int train_build_layers(struct train_build *b, const struct train_layer *layers, int count)
{
    int r = 0;
    for (int i = 0; i < count && r == 0; i++)
        r = build_layer(b, &layers[i]);
    return r;
}
