/* Functions of one number, and Softmax: by what nodes each is written. */
#include <stdio.h>
#include <string.h>

#include "nn/train/layer_build.h"

struct train_function_kind {
    const char *word;
    const char *op;        /* ONNX's; NULL: of several nodes, by `build` */
    const char *recurrent; /* what LSTM, GRU and RNN call it; NULL: they lack it */
    void (*build)(struct train_build *b);
    bool has_alpha;
    float alpha; /* Keras's where none is given */
};

static void build_gelu(struct train_build *b)
{
    const char *x = b->value, *half = train_number(b, 0.5f), *one = train_number(b, 1),
               *root = train_number(b, 0.70710678118654752f);
    TRAIN_EMIT(b, "Mul", x, root);
    TRAIN_EMIT(b, "Erf", b->value);
    TRAIN_EMIT(b, "Add", b->value, one);
    TRAIN_EMIT(b, "Mul", x, b->value);
    TRAIN_EMIT(b, "Mul", b->value, half);
}

static void build_swish(struct train_build *b)
{
    const char *x = b->value;
    TRAIN_EMIT(b, "Sigmoid", x);
    TRAIN_EMIT(b, "Mul", x, b->value);
}

static void build_softmax(struct train_build *b)
{
    TRAIN_EMIT(b, "Softmax", b->value);
    train_attribute_int(b, "axis", train_channel_axis(b));
}

static const struct train_function_kind kinds[] = {
    {"elu", "Elu", .has_alpha = true, .alpha = 1},
    {"gelu", .build = build_gelu},
    {"hard_sigmoid", "HardSigmoid"}, /* ONNX's 0.2 x + 0.5 is Keras 2's */
    {"leaky_relu", "LeakyRelu", .has_alpha = true, .alpha = 0.3f},
    {"relu", "Relu", "Relu"},
    {"selu", "Selu"},
    {"sigmoid", "Sigmoid", "Sigmoid"},
    {"softmax", .build = build_softmax},
    {"softplus", "Softplus", "Softplus"},
    {"swish", .build = build_swish},
    {"tanh", "Tanh", "Tanh"},
};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

const struct train_function_kind *train_function_find(const char *word)
{
    for (int i = 0; i < KIND_COUNT; i++)
        if (strcmp(kinds[i].word, word) == 0)
            return &kinds[i];
    return NULL;
}

bool train_function_has_alpha(const struct train_function_kind *kind, float *ret_default)
{
    *ret_default = kind->alpha;
    return kind->has_alpha;
}

const char *train_function_words(char *text, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < KIND_COUNT && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : "",
                                 kinds[i].word);
    return text;
}

void train_build_function(struct train_build *b, const struct train_function *function)
{
    const struct train_function_kind *kind = function->kind;
    if (!kind)
        return;
    if (kind->build) {
        kind->build(b);
        return;
    }
    TRAIN_EMIT(b, kind->op, b->value);
    if (kind->has_alpha)
        train_attribute_float(b, "alpha", function->alpha);
}

const char *train_function_recurrent(const struct train_function *function)
{
    return function->kind->recurrent;
}

int train_build_activation(struct train_build *b, const struct train_layer *layer)
{
    train_build_function(b, &layer->function);
    return 0;
}
