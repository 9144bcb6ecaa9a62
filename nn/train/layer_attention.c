/* Sequences of tokens and what looks at all their steps at once. */
#include <errno.h>
#include <math.h>

#include "nn/train/initial.h"
#include "nn/train/layer_build.h"

#define EMBEDDING_LIMIT 0.05 /* Keras's */

/* Tokens are whole numbers; where they come as float32, they are cast. A number that is no word's
 * fails the run. */
int train_build_embedding(struct train_build *b, const struct train_layer *layer)
{
    if (b->shape.rank != 1) {
        char text[64];
        return train_refuse(b, "it reads lists of token numbers, not %s",
                            train_shape_text(&b->shape, text, sizeof text));
    }
    int64_t words = layer->units, width = layer->width;
    if (!b->tokens) {
        TRAIN_EMIT(b, "Cast", b->value);
        train_attribute_int(b, "to", NN_TYPE_INT64);
    }
    b->tokens = false;
    struct train_weight weight = train_weight_new(b, "weight", TRAIN_SHAPE(words, width));
    train_initial_uniform(&weight.random, weight.data, weight.count, EMBEDDING_LIMIT);
    TRAIN_EMIT(b, "Gather", weight.name, b->value);
    return train_becomes(b, TRAIN_SHAPE(b->shape.dim[0], width), NULL);
}

/* Adds sin(t / 10000^(2i/C)) to channel 2i of step t, the cosine to channel 2i + 1. */
int train_build_positions(struct train_build *b, const struct train_layer *layer)
{
    (void)layer;
    int r = train_want(b, 2);
    if (r < 0)
        return r;
    train_lay_channels_last(b);
    int64_t time = b->shape.dim[0], width = b->shape.dim[1];
    const char *x = b->value;
    float *table = nn_pool_array(b->pool, (size_t)(time * width), sizeof *table);
    for (int64_t t = 0; table && t < time; t++)
        for (int64_t c = 0; c < width; c++) {
            double angle = (double)t / pow(10000, (double)(c - c % 2) / (double)width);
            table[t * width + c] = (float)(c % 2 == 0 ? sin(angle) : cos(angle));
        }
    const char *positions = table ? train_floats(b, table, TRAIN_SHAPE(1, time, width)) : NULL;
    TRAIN_EMIT(b, "Add", x, positions);
    return 0;
}

/* The heads of query, key or value: x (n, T, C) · weight + bias as (n, heads, T, width), or, of
 * keys, (n, heads, width, T). The weight is Keras's (C, heads, width), as a matrix; so are what
 * Glorot counts. */
static const char *heads(struct train_build *b, const struct train_layer *layer, const char *x,
                         const char *weight_name, const char *bias_name, bool keys)
{
    static const int64_t rows[] = {0, 2, 1, 3}, columns[] = {0, 2, 3, 1};
    int64_t time = b->shape.dim[0], in = b->shape.dim[1], count = layer->units,
            width = layer->width;
    const char *weight =
        train_weight_glorot(b, weight_name, TRAIN_SHAPE(in, count * width),
                            (double)in * (double)count, (double)in * (double)width);
    const char *bias = train_weight_filled(b, bias_name, TRAIN_SHAPE(count * width), 0);
    TRAIN_EMIT(b, "MatMul", x, weight);
    TRAIN_EMIT(b, "Add", b->value, bias);
    train_reshape(b, (int64_t[]){-1, time, count, width}, 4);
    train_transpose(b, keys ? columns : rows, 4);
    return b->value;
}

/* Of a sequence with itself: softmax(Q · Kᵀ / √width) · V, heads side by side, then back to as
 * many channels as there were. */
int train_build_attention(struct train_build *b, const struct train_layer *layer)
{
    int r = train_want(b, 2);
    if (r < 0)
        return r;
    train_lay_channels_last(b);
    const char *x = b->value;
    int64_t time = b->shape.dim[0], channels = b->shape.dim[1], count = layer->units,
            width = layer->width;
    const char *q = heads(b, layer, x, "query_weight", "query_bias", false);
    const char *k = heads(b, layer, x, "key_weight", "key_bias", true);
    const char *v = heads(b, layer, x, "value_weight", "value_bias", false);
    const char *scale = train_number(b, (float)(1 / sqrt((double)width)));
    TRAIN_EMIT(b, "Mul", q, scale);
    TRAIN_EMIT(b, "MatMul", b->value, k);
    TRAIN_EMIT(b, "Softmax", b->value);
    train_attribute_int(b, "axis", -1);
    TRAIN_EMIT(b, "MatMul", b->value, v);
    train_transpose(b, (int64_t[]){0, 2, 1, 3}, 4);
    train_reshape(b, (int64_t[]){-1, time, count * width}, 3);

    const char *weight =
        train_weight_glorot(b, "output_weight", TRAIN_SHAPE(count * width, channels),
                            (double)count * (double)width, (double)count * (double)channels);
    const char *bias = train_weight_filled(b, "output_bias", TRAIN_SHAPE(channels), 0);
    TRAIN_EMIT(b, "MatMul", b->value, weight);
    TRAIN_EMIT(b, "Add", b->value, bias);
    return 0;
}
