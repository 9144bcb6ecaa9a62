/* A network as text, in Keras's vocabulary:
 *
 *     time_distributed(conv2d 32 3 relu; maxpool2d 2; flatten); lstm 128; dense 10 softmax
 *
 * Layers are separated by ';', the data goes through them in order. A layer is its name, what
 * it must be told, in order, and options in any order; some have layers of their own, in
 * parentheses, or branches of layers, with '|' between them. Any space separates words.
 * train_layer_usage says what a layer takes.
 *
 * Defaults are Keras's: stride 1 (pooling: its size), padding `valid`, no activation where none
 * is named, LSTM, GRU and RNN with tanh. A size is one number or HxW.
 *
 * Text comes from outside: its length, the number of layers, their nesting and every number are
 * bounded.
 *
 * Thread: plain data, immutable once parsed. */
#ifndef NN_TRAIN_LAYERS_H
#define NN_TRAIN_LAYERS_H

#include "nn/pool.h"
#include "nn/tensor.h"

enum {
    TRAIN_LAYERS_TEXT_MAX = 65536, /* bytes */
    TRAIN_LAYERS_MAX = 1000,       /* of a text, inner ones counted */
    TRAIN_LAYERS_DEPTH_MAX = 8,    /* layers within layers */
    TRAIN_LAYERS_NUMBER_MAX = 1 << 24,
    TRAIN_LAYERS_WINDOW_MAX = 4096, /* of sizes, strides and dilations */
    TRAIN_LAYERS_RANK_MAX = 4,      /* of shapes, without the batch: T×H×W×C */
    TRAIN_LAYERS_ARGUMENTS = 2,     /* that a layer must be told */
};

struct train_build;
struct train_layer;

/* A function of one number, or Softmax (nn/train/layer_functions.c). */
struct train_function {
    const struct train_function_kind *kind; /* NULL: none */
    float alpha;                            /* of those that have one */
};

/* What a layer must be told. The first five are numbers that say how many: `units`. */
enum train_argument {
    TRAIN_ARGUMENT_NONE = 0,
    TRAIN_ARGUMENT_UNITS,
    TRAIN_ARGUMENT_FILTERS,
    TRAIN_ARGUMENT_WORDS,
    TRAIN_ARGUMENT_HEADS,
    TRAIN_ARGUMENT_BANDS,
    TRAIN_ARGUMENT_WIDTH,    /* another number: `width` */
    TRAIN_ARGUMENT_HERTZ,    /* likewise */
    TRAIN_ARGUMENT_SIZE,     /* N or HxW: `size` */
    TRAIN_ARGUMENT_SHAPE,    /* AxBx..., one of which may be -1: `shape` */
    TRAIN_ARGUMENT_AXES,     /* the numbers of axes, from 1: `shape` */
    TRAIN_ARGUMENT_RATE,     /* 0 to below 1: `rate` */
    TRAIN_ARGUMENT_FACTOR,   /* above 0: `rate` */
    TRAIN_ARGUMENT_FUNCTION, /* `function` */
};

enum train_layer_option {
    TRAIN_OPTION_STRIDE = 1,
    TRAIN_OPTION_PADDING = 2,
    TRAIN_OPTION_DILATION = 4,
    TRAIN_OPTION_GROUPS = 8,
    TRAIN_OPTION_FUNCTION = 16,
    TRAIN_OPTION_SEQUENCES = 32,
    TRAIN_OPTION_PEEPHOLES = 64,
    TRAIN_OPTION_WINDOW = 128,
    TRAIN_OPTION_ABSOLUTE = 256,
    TRAIN_OPTION_RELATIVE = 512,
    TRAIN_OPTION_FLOOR = 1024,
    TRAIN_OPTION_INNER = 2048,    /* not an option: layers of its own, which it must have */
    TRAIN_OPTION_BRANCHES = 4096, /* likewise: two lists of them or more, between '|' */
};

/* A row of the table (nn/train/layer_kinds.c). */
struct train_layer_kind {
    const char *word; /* "maxpool2d" */
    const char *type; /* Keras's class, "MaxPooling2D" */
    /* What Keras calls such layers in a network, "max_pooling2d"; may be written for the word. */
    const char *name;
    enum train_argument arguments[TRAIN_LAYERS_ARGUMENTS]; /* in order */
    unsigned options;                                      /* enum train_layer_option */
    int axes; /* of its windows: how many numbers a size is made of */
    /* Adds its nodes and weights to the network (nn/train/layer_build.h). 0, or negative errno
     * with the message written. */
    int (*build)(struct train_build *build, const struct train_layer *layer);
    const void *variant; /* of rows that share build: what makes this one of the family */
};

/* A layer of a text. Fields that its kind does not have are 0. */
struct train_layer {
    const struct train_layer_kind *kind;
    const char *place; /* in the text: "2", or "2.1", the first within the second */
    int64_t units, width;
    /* By axis, height first; stride, or a size that is an option, 0: none was given. */
    int64_t size[2], stride[2], dilation[2];
    int64_t groups;
    struct nn_shape shape;
    double rate;
    struct train_function function;
    bool same;                 /* padding; else valid */
    bool sequences, peepholes; /* return_sequences; peepholes */
    bool absolute, relative;
    double floor; /* 0: none was given */
    /* Layers of its own. Where it has branches, these: without kind, and each with layers. */
    struct train_layer *inner;
    int inner_count;
};

/* Parses a text. What it returns lives in the pool; the text is borrowed for the call only.
 * Returns how many layers there are at the outermost, at least one; -EINVAL or -E2BIG with one
 * line that names the layer, by its place in the text, and says what is allowed; -ENOMEM. */
int train_layers_parse(const char *text, struct nn_pool *pool, struct train_layer **ret_layers,
                       struct nn_error *err);

/* An input's shape, Keras's order without the batch: "16x64x64x3". 0, -EINVAL or -E2BIG. */
int train_layers_parse_shape(const char *text, struct nn_shape *ret_shape,
                             struct nn_error *err);

/* The table: NULL behind the last row. */
const struct train_layer_kind *train_layer_kind_at(size_t index);

/* NULL when there is none of that word or name. */
const struct train_layer_kind *train_layer_kind_find(const char *word);

/* "FILTERS" */
const char *train_argument_name(enum train_argument argument);

/* How a layer is written: "conv2d FILTERS SIZE [stride S] [same|valid] …". Cut at `size` bytes,
 * NUL included; returns `text`. */
const char *train_layer_usage(const struct train_layer_kind *kind, char *text, size_t size);

/* "a, b, c": the words of layers that begin as `like` does, for as many letters as any; "" where
 * none has the first. Likewise cut. */
const char *train_layer_words(const char *like, char *text, size_t size);
/* The words of all functions. */
const char *train_function_words(char *text, size_t size);

/* Functions by word; a row of their table, NULL when there is none. */
const struct train_function_kind *train_function_find(const char *word);
/* Whether the function has a number behind it, and what it is where none is written. */
bool train_function_has_alpha(const struct train_function_kind *kind, float *ret_default);

/* "64x64x3". Cut at `size` bytes, NUL included; returns `text`. */
const char *train_shape_text(const struct nn_shape *shape, char *text, size_t size);

#endif
