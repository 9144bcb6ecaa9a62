/* Layers without windows and without time: Dense, normalisation, Dropout; and those that only
 * say anew how data is shaped, or what happens around layers of their own. */
#include <errno.h>
#include <string.h>

#include "nn/train/layer_build.h"

/* Keras's. */
#define NORM_EPSILON  1e-3f
#define NORM_MOMENTUM 0.99f

/* Over the last of Keras's axes, whatever stands before it. */
int train_build_dense(struct train_build *b, const struct train_layer *layer)
{
    struct nn_shape shape = b->shape;
    int64_t *last = &shape.dim[shape.rank - 1], in = *last, units = layer->units;
    train_lay_channels_last(b);
    const char *weight =
        train_weight_glorot(b, "weight", TRAIN_SHAPE(in, units), (double)in, (double)units);
    const char *bias = train_weight_filled(b, "bias", TRAIN_SHAPE(units), 0);
    if (shape.rank == 1) {
        TRAIN_EMIT(b, "Gemm", b->value, weight, bias);
    } else {
        TRAIN_EMIT(b, "MatMul", b->value, weight);
        TRAIN_EMIT(b, "Add", b->value, bias);
    }
    *last = units;
    int r = train_becomes(b, shape, (int[]){0, 1, 2, 3});
    /* Softmax asks where the axis lies. */
    train_build_function(b, &layer->function);
    return r;
}

int train_build_batchnorm(struct train_build *b, const struct train_layer *layer)
{
    (void)layer;
    struct nn_shape channels = TRAIN_SHAPE(b->shape.dim[b->shape.rank - 1]);
    train_lay_channels_first(b);
    const char *scale = train_weight_filled(b, "scale", channels, 1),
               *bias = train_weight_filled(b, "bias", channels, 0),
               *mean = train_weight_statistic(b, "mean", channels, 0),
               *variance = train_weight_statistic(b, "variance", channels, 1);
    TRAIN_EMIT(b, "BatchNormalization", b->value, scale, bias, mean, variance);
    train_attribute_float(b, "epsilon", NORM_EPSILON);
    train_attribute_float(b, "momentum", NORM_MOMENTUM);
    return 0;
}

int train_build_layernorm(struct train_build *b, const struct train_layer *layer)
{
    (void)layer;
    struct nn_shape channels = TRAIN_SHAPE(b->shape.dim[b->shape.rank - 1]);
    train_lay_channels_last(b);
    const char *scale = train_weight_filled(b, "scale", channels, 1),
               *bias = train_weight_filled(b, "bias", channels, 0);
    TRAIN_EMIT(b, "LayerNormalization", b->value, scale, bias);
    train_attribute_int(b, "axis", -1);
    train_attribute_float(b, "epsilon", NORM_EPSILON);
    return 0;
}

int train_build_dropout(struct train_build *b, const struct train_layer *layer)
{
    const char *x = b->value, *rate = train_number(b, (float)layer->rate);
    TRAIN_EMIT(b, "Dropout", x, rate);
    return 0;
}

int train_build_rescaling(struct train_build *b, const struct train_layer *layer)
{
    const char *x = b->value, *factor = train_number(b, (float)layer->rate);
    TRAIN_EMIT(b, "Mul", x, factor);
    return 0;
}

/* Pictures in the order C, H, W: a vector of them is the same bytes. */
int train_build_flatten(struct train_build *b, const struct train_layer *layer)
{
    (void)layer;
    int64_t count = nn_shape_count(&b->shape);
    train_lay_plain(b);
    TRAIN_EMIT(b, "Flatten", b->value);
    return train_becomes(b, TRAIN_SHAPE(count), NULL);
}

/* The graph's dimensions of b->shape as it lies, all of which the batch is before. */
static void reshape_to(struct train_build *b)
{
    int64_t dims[TRAIN_LAYERS_RANK_MAX + 1] = {-1};
    train_lying_dims(b, dims + 1);
    train_reshape(b, dims, b->shape.rank + 1);
}

int train_build_reshape(struct train_build *b, const struct train_layer *layer)
{
    struct nn_shape to = layer->shape, asked = to;
    int64_t count = nn_shape_count(&b->shape), known = 1, *open = NULL;
    char from_text[64], to_text[64];
    for (int d = 0; d < to.rank; d++)
        if (to.dim[d] < 0)
            open = &to.dim[d];
    if (open) {
        *open = 1;
        known = nn_shape_count(&to);
        *open = known > 0 && count % known == 0 ? count / known : 0;
    }
    if (nn_shape_count(&to) != count)
        return train_refuse(b,
                            "%s cannot be reshaped to %s: the numbers of both must multiply "
                            "to the same",
                            train_shape_text(&b->shape, from_text, sizeof from_text),
                            train_shape_text(&asked, to_text, sizeof to_text));
    /* A vector has the order of a picture's bytes, as flatten gives it; between others, elements
     * keep their order in Keras, so that a picture can become a sequence of its pixels. */
    bool vector = b->shape.rank == 1 || to.rank == 1;
    if (vector)
        train_lay_plain(b);
    else
        train_lay_channels_last(b);
    int r = train_becomes(b, to, vector ? NULL : (int[]){0, 1, 2, 3});
    if (r == 0)
        reshape_to(b);
    return r;
}

/* Only what axes are called changes: they are moved once a layer needs them elsewhere. */
int train_build_permute(struct train_build *b, const struct train_layer *layer)
{
    int rank = b->shape.rank, order[TRAIN_LAYERS_RANK_MAX] = {0};
    bool seen[TRAIN_LAYERS_RANK_MAX] = {false};
    struct nn_shape shape = {.rank = rank};
    char text[64], axes[64];
    train_shape_text(&b->shape, text, sizeof text);
    train_shape_text(&layer->shape, axes, sizeof axes);
    bool fits = layer->shape.rank == rank;
    for (int to = 0; fits && to < rank; to++) {
        int64_t from = layer->shape.dim[to] - 1;
        fits = from < rank && !seen[from];
        if (!fits)
            break;
        seen[from] = true;
        shape.dim[to] = b->shape.dim[from];
        for (int i = 0; i < rank; i++)
            if (b->order[i] == from)
                order[i] = to;
    }
    if (!fits)
        return train_refuse(b, "%s does not name each axis of %s once, from 1", axes, text);
    return train_becomes(b, shape, order);
}

/* What a value is, so that several layers can begin with it. */
struct fork {
    const char *value;
    struct nn_shape shape;
    int order[TRAIN_LAYERS_RANK_MAX];
    bool tokens;
};

static struct fork fork_at(const struct train_build *b)
{
    struct fork fork = {.value = b->value, .shape = b->shape, .tokens = b->tokens};
    memcpy(fork.order, b->order, sizeof fork.order);
    return fork;
}

static void go_back(struct train_build *b, const struct fork *fork)
{
    b->value = fork->value;
    b->shape = fork->shape;
    b->tokens = fork->tokens;
    memcpy(b->order, fork->order, sizeof fork->order);
}

int train_build_residual(struct train_build *b, const struct train_layer *layer)
{
    struct fork start = fork_at(b);
    char before[64], after[64];
    int r = train_build_layers(b, layer->inner, layer->inner_count);
    if (r < 0)
        return r;
    if (!nn_shape_equal(&start.shape, &b->shape))
        return train_refuse(b, "its layers make %s of %s: only equal shapes can be added",
                            train_shape_text(&b->shape, after, sizeof after),
                            train_shape_text(&start.shape, before, sizeof before));
    train_lay(b, start.order);
    TRAIN_EMIT(b, "Add", b->value, start.value);
    return 0;
}

int train_build_identity(struct train_build *b, const struct train_layer *layer)
{
    (void)b;
    (void)layer;
    return 0;
}

/* Whether two shapes are the same but for their channels. */
static bool can_be_stacked(struct nn_shape a, struct nn_shape b)
{
    a.dim[a.rank - 1] = b.dim[b.rank - 1];
    return nn_shape_equal(&a, &b);
}

/* Each branch from the layer's input, side by side along the channels; they lie as the first
 * one's output does. */
int train_build_stacked(struct train_build *b, const struct train_layer *layer)
{
    struct fork start = fork_at(b), first = {0};
    size_t count = (size_t)layer->inner_count;
    const char **values = nn_pool_array(b->pool, count, sizeof *values);
    char text[64], first_text[64];
    int64_t channels = 0;
    if (!values)
        return train_no_memory(b);
    for (size_t i = 0; i < count; i++) {
        go_back(b, &start);
        int r = train_build_layers(b, layer->inner[i].inner, layer->inner[i].inner_count);
        if (r < 0)
            return r;
        if (i == 0)
            first = fork_at(b);
        if (b->tokens)
            return train_refuse(b, "branch %zu does not begin with embedding", i + 1);
        if (!can_be_stacked(first.shape, b->shape))
            return train_refuse(
                b, "branch %zu makes %s, the first %s: only their channels may differ", i + 1,
                train_shape_text(&b->shape, text, sizeof text),
                train_shape_text(&first.shape, first_text, sizeof first_text));
        train_lay(b, first.order);
        values[i] = b->value;
        channels += b->shape.dim[b->shape.rank - 1];
    }
    int axis = train_channel_axis(b);
    train_emit(b, "Concat", values, count);
    train_attribute_int(b, "axis", axis);
    first.shape.dim[first.shape.rank - 1] = channels;
    return train_becomes(b, first.shape, first.order);
}

/* Time is folded into the batch, and out of it again; the batch stays open. */
int train_build_time_distributed(struct train_build *b, const struct train_layer *layer)
{
    int rank = b->shape.rank, order[TRAIN_LAYERS_RANK_MAX] = {0};
    int64_t time = b->shape.dim[0];
    if (rank < 2)
        return train_refuse(b, "its input has no time: it is a vector");
    struct nn_shape step = {.rank = rank - 1}, shape = {0};
    memcpy(step.dim, b->shape.dim + 1, (size_t)step.rank * sizeof *step.dim);
    for (int i = 1; i < rank; i++)
        order[i] = 1 + train_plain_order(rank - 1)[i - 1];
    train_lay(b, order);
    int r = train_becomes(b, step, NULL);
    if (r < 0)
        return r;
    reshape_to(b);

    r = train_build_layers(b, layer->inner, layer->inner_count);
    if (r < 0)
        return r;
    shape = (struct nn_shape){.rank = b->shape.rank + 1, .dim = {time}};
    if (shape.rank > TRAIN_LAYERS_RANK_MAX)
        return train_refuse(b, "its layers make what has over %d axes with time",
                            TRAIN_LAYERS_RANK_MAX);
    memcpy(shape.dim + 1, b->shape.dim, (size_t)b->shape.rank * sizeof *shape.dim);
    for (int i = 1; i < shape.rank; i++)
        order[i] = 1 + b->order[i - 1];
    r = train_becomes(b, shape, order);
    if (r == 0)
        reshape_to(b);
    return r;
}
