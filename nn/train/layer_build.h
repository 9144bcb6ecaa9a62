/* A network in the making: what layers add their nodes, weights and constants to. Private to
 * nn/train's layers.
 *
 * There is one value at a time, which the next layer reads: `value` of `shape`. Shapes are in
 * Keras's order without the batch (T, H, W, C). How the axes lie in the graph is `order`: a
 * layer says which order it needs (train_lay), and a Transpose is added where they lie
 * otherwise. So layers that agree pass values on as they are.
 *
 * Initializers of the file are what is learned, and the statistics of BatchNormalization; all
 * other constants are Constant nodes.
 *
 * Memory that ends and networks that grow too large are noted in `error`, and everything here
 * takes NULL for names then: a layer is put together first, and checked once.
 *
 * Thread: one at a time. */
#ifndef NN_TRAIN_LAYER_BUILD_H
#define NN_TRAIN_LAYER_BUILD_H

#include "nn/onnx_write.h"
#include "nn/train/design.h"
#include "nn/train/layers.h"
#include "nn/train/random.h"

/* Pointers in a pool. */
struct train_list {
    void **items;
    size_t count, capacity;
};

struct train_build {
    struct nn_pool *pool;
    struct nn_error *err;
    uint64_t seed;
    bool sizes_only;           /* weights are counted, not made: they have names and no data */
    struct train_list nodes;   /* Onnx__NodeProto */
    struct train_list weights; /* Onnx__TensorProto */
    struct train_list rows;    /* struct train_design_row */

    const char *value;
    struct nn_shape shape;
    int order[TRAIN_LAYERS_RANK_MAX]; /* axes of shape, in the order in which they lie */
    bool tokens;                      /* the value is int64 */

    const struct train_layer *layer; /* that is being built */
    struct train_design_row *row;    /* its row: what it learns is counted there */
    int depth;
    size_t first_node;     /* that was added since the layer began */
    Onnx__NodeProto *node; /* the last */
    size_t weight_bytes;
    int error; /* 0 or negative errno, with the message written */
};

/* Adds layers, one after the other. 0 or negative errno with the message written. */
int train_build_layers(struct train_build *b, const struct train_layer *layers, int count);

/* "layer 2.1 'conv2d': ..."; returns -EINVAL. Of what went wrong, the first is told: that, where
 * `error` is set already. */
int train_refuse(struct train_build *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Notes that memory has ended, if it is the first that went wrong; returns b->error. */
int train_no_memory(struct train_build *b);

bool train_list_push(struct train_build *b, struct train_list *list, void *item);

/* --- values ------------------------------------------------------------------------------- */

/* A node that reads these, and makes `value` and all of it. Returns the value's name, as well as
 * leaving it in b->value; NULL once memory has ended. */
const char *train_emit(struct train_build *b, const char *op, const char *const *inputs,
                       size_t count);
#define TRAIN_EMIT(b, op, ...)                                                                 \
    train_emit(b, op, (const char *const[]){__VA_ARGS__},                                      \
               sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* The last node has its value not first but second among its outputs. */
void train_second_output(struct train_build *b);

/* Attributes of the last node. */
void train_attribute_int(struct train_build *b, const char *name, int64_t value);
void train_attribute_ints(struct train_build *b, const char *name, const int64_t *values,
                          size_t count);
void train_attribute_float(struct train_build *b, const char *name, float value);
void train_attribute_text(struct train_build *b, const char *name, const char *value);
void train_attribute_texts(struct train_build *b, const char *name, const char *const *values,
                           size_t count);

/* Constants: their names. */
const char *train_ints(struct train_build *b, const int64_t *values, int count);
const char *train_floats(struct train_build *b, const float *values, struct nn_shape shape);
const char *train_number(struct train_build *b, float value); /* of rank 0 */

/* The value under another shape of the graph, batch included; -1: what is left over. The axes
 * of b->shape are the caller's to say (train_becomes). */
void train_reshape(struct train_build *b, const int64_t *dims, int count);
void train_transpose(struct train_build *b, const int64_t *perm, int count);

/* --- shapes ------------------------------------------------------------------------------- */

#define TRAIN_SHAPE(...)                                                                       \
    ((struct nn_shape){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),              \
                       {__VA_ARGS__}})

/* Refuses a value of another rank than 2 (sequences) or 3 (pictures), which the layer reads. */
int train_want(struct train_build *b, int rank);

/* Has the axes lie in this order: of b->shape.rank numbers. */
void train_lay(struct train_build *b, const int *order);
/* As the graph passes them to the outside: pictures (C, H, W), windows (T, C, H, W), all else
 * Keras's order. */
void train_lay_plain(struct train_build *b);
void train_lay_channels_last(struct train_build *b); /* Keras's order */
void train_lay_channels_first(struct train_build *b);

/* The plain order of a shape of that rank. */
const int *train_plain_order(int rank);

/* Where in the graph, batch included, the last of Keras's axes lies. */
int train_channel_axis(const struct train_build *b);

/* The dimensions in the order in which they lie. */
void train_lying_dims(const struct train_build *b, int64_t *ret_dims);

/* What the value is from now on; it lies in that order, the plain one where it is NULL. -E2BIG
 * where one sample would be over TRAIN_DESIGN_ELEMENTS_MAX. */
int train_becomes(struct train_build *b, struct nn_shape shape, const int *order);

/* --- weights ------------------------------------------------------------------------------ */

/* A new initializer of the layer, all 0, counted in its row. name NULL: no memory, or too
 * large. */
struct train_weight {
    const char *name;
    float *data;
    size_t count;               /* of data; 0 without */
    struct train_random random; /* for its first numbers */
};
struct train_weight train_weight_new(struct train_build *b, const char *what,
                                     struct nn_shape shape);

/* The same, begun; they return its name. */
const char *train_weight_glorot(struct train_build *b, const char *what, struct nn_shape shape,
                                double fan_in, double fan_out);
const char *train_weight_filled(struct train_build *b, const char *what, struct nn_shape shape,
                                float value);
/* Not learned: a statistic. */
const char *train_weight_statistic(struct train_build *b, const char *what,
                                   struct nn_shape shape, float value);

/* --- layers ------------------------------------------------------------------------------- */

/* Adds the nodes of a function; none where it has no kind. */
void train_build_function(struct train_build *b, const struct train_function *function);

/* What ONNX's LSTM, GRU and RNN call it; NULL when they do not have it. */
const char *train_function_recurrent(const struct train_function *function);

/* Rows' build (struct train_layer_kind). */
int train_build_activation(struct train_build *b, const struct train_layer *layer);
int train_build_attention(struct train_build *b, const struct train_layer *layer);
int train_build_background_difference(struct train_build *b, const struct train_layer *layer);
int train_build_batchnorm(struct train_build *b, const struct train_layer *layer);
int train_build_bidirectional(struct train_build *b, const struct train_layer *layer);
int train_build_conv(struct train_build *b, const struct train_layer *layer);
int train_build_conv_transpose(struct train_build *b, const struct train_layer *layer);
int train_build_dense(struct train_build *b, const struct train_layer *layer);
int train_build_depthwise(struct train_build *b, const struct train_layer *layer);
int train_build_dropout(struct train_build *b, const struct train_layer *layer);
int train_build_embedding(struct train_build *b, const struct train_layer *layer);
int train_build_flatten(struct train_build *b, const struct train_layer *layer);
int train_build_frame_difference(struct train_build *b, const struct train_layer *layer);
int train_build_global_pool(struct train_build *b, const struct train_layer *layer);
int train_build_grey(struct train_build *b, const struct train_layer *layer);
int train_build_identity(struct train_build *b, const struct train_layer *layer);
int train_build_layernorm(struct train_build *b, const struct train_layer *layer);
int train_build_log_mel(struct train_build *b, const struct train_layer *layer);
int train_build_padding(struct train_build *b, const struct train_layer *layer);
int train_build_permute(struct train_build *b, const struct train_layer *layer);
int train_build_pool(struct train_build *b, const struct train_layer *layer);
int train_build_positions(struct train_build *b, const struct train_layer *layer);
int train_build_recurrent(struct train_build *b, const struct train_layer *layer);
int train_build_rescaling(struct train_build *b, const struct train_layer *layer);
int train_build_reshape(struct train_build *b, const struct train_layer *layer);
int train_build_residual(struct train_build *b, const struct train_layer *layer);
int train_build_stacked(struct train_build *b, const struct train_layer *layer);
int train_build_time_distributed(struct train_build *b, const struct train_layer *layer);
int train_build_upsampling(struct train_build *b, const struct train_layer *layer);

/* Variants. */
struct train_recurrent; /* layer_recurrent.c */
extern const struct train_recurrent train_lstm, train_gru, train_rnn;

#endif
