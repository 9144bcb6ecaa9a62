/* Every kind of layer there is. */
#include <stdio.h>
#include <string.h>

#include "nn/train/layer_build.h"

enum {
    PLAIN = 0,
    ACTIVATED = TRAIN_OPTION_FUNCTION,
    WINDOWED = TRAIN_OPTION_STRIDE | TRAIN_OPTION_PADDING,
    TRANSPOSED = WINDOWED | ACTIVATED,
    DILATED = WINDOWED | ACTIVATED | TRAIN_OPTION_DILATION,
    GROUPED = DILATED | TRAIN_OPTION_GROUPS,
    RECURRENT = ACTIVATED | TRAIN_OPTION_SEQUENCES,
    CELLS = RECURRENT | TRAIN_OPTION_PEEPHOLES,
    SOUND =
        TRAIN_OPTION_WINDOW | TRAIN_OPTION_STRIDE | TRAIN_OPTION_RELATIVE | TRAIN_OPTION_FLOOR,
    ABSOLUTE = TRAIN_OPTION_ABSOLUTE,
    INNER = TRAIN_OPTION_INNER,
    BRANCHES = TRAIN_OPTION_BRANCHES,
};

/* Word, Keras's class and its name in a network; what it must be told; options; axes of its
 * windows; what builds it, and as which of a family. */
#define ROW(word, type, name, first, second, options, axes, build, variant)                    \
    {                                                                                          \
        word, type, name, {TRAIN_ARGUMENT_##first, TRAIN_ARGUMENT_##second}, options, axes,    \
            train_build_##build, variant                                                       \
    }

/* Sorted by word. */
static const struct train_layer_kind kinds[] = {
    ROW("activation", "Activation", "activation", FUNCTION, NONE, PLAIN, 0, activation, NULL),
    ROW("averagepool2d", "AveragePooling2D", "average_pooling2d", SIZE, NONE, WINDOWED, 2, pool,
        "AveragePool"),
    ROW("background_difference", "BackgroundDifference", "background_difference", RATE, NONE,
        ABSOLUTE, 0, background_difference, NULL),
    ROW("batchnorm", "BatchNormalization", "batch_normalization", NONE, NONE, PLAIN, 0,
        batchnorm, NULL),
    ROW("bidirectional", "Bidirectional", "bidirectional", NONE, NONE, INNER, 0, bidirectional,
        NULL),
    ROW("conv1d", "Conv1D", "conv1d", FILTERS, SIZE, GROUPED, 1, conv, NULL),
    ROW("conv2d", "Conv2D", "conv2d", FILTERS, SIZE, GROUPED, 2, conv, NULL),
    ROW("conv2d_transpose", "Conv2DTranspose", "conv2d_transpose", FILTERS, SIZE, TRANSPOSED, 2,
        conv_transpose, NULL),
    ROW("dense", "Dense", "dense", UNITS, NONE, ACTIVATED, 0, dense, NULL),
    ROW("depthwise_conv2d", "DepthwiseConv2D", "depthwise_conv2d", SIZE, NONE, DILATED, 2,
        depthwise, NULL),
    ROW("dropout", "Dropout", "dropout", RATE, NONE, PLAIN, 0, dropout, NULL),
    ROW("embedding", "Embedding", "embedding", WORDS, WIDTH, PLAIN, 0, embedding, NULL),
    ROW("flatten", "Flatten", "flatten", NONE, NONE, PLAIN, 0, flatten, NULL),
    ROW("frame_difference", "FrameDifference", "frame_difference", NONE, NONE, ABSOLUTE, 0,
        frame_difference, NULL),
    ROW("global_averagepool1d", "GlobalAveragePooling1D", "global_average_pooling1d", NONE,
        NONE, PLAIN, 1, global_pool, "ReduceMean"),
    ROW("global_averagepool2d", "GlobalAveragePooling2D", "global_average_pooling2d", NONE,
        NONE, PLAIN, 2, global_pool, "GlobalAveragePool"),
    ROW("global_maxpool2d", "GlobalMaxPooling2D", "global_max_pooling2d", NONE, NONE, PLAIN, 2,
        global_pool, "GlobalMaxPool"),
    ROW("grey", "Grey", "grey", NONE, NONE, PLAIN, 0, grey, NULL),
    ROW("gru", "GRU", "gru", UNITS, NONE, RECURRENT, 0, recurrent, &train_gru),
    ROW("identity", "Identity", "identity", NONE, NONE, PLAIN, 0, identity, NULL),
    ROW("layernorm", "LayerNormalization", "layer_normalization", NONE, NONE, PLAIN, 0,
        layernorm, NULL),
    ROW("log_mel", "LogMel", "log_mel", BANDS, HERTZ, SOUND, 1, log_mel, NULL),
    ROW("lstm", "LSTM", "lstm", UNITS, NONE, CELLS, 0, recurrent, &train_lstm),
    ROW("maxpool1d", "MaxPooling1D", "max_pooling1d", SIZE, NONE, WINDOWED, 1, pool, "MaxPool"),
    ROW("maxpool2d", "MaxPooling2D", "max_pooling2d", SIZE, NONE, WINDOWED, 2, pool, "MaxPool"),
    ROW("multi_head_attention", "MultiHeadAttention", "multi_head_attention", HEADS, WIDTH,
        PLAIN, 0, attention, NULL),
    ROW("permute", "Permute", "permute", AXES, NONE, PLAIN, 0, permute, NULL),
    ROW("positional_encoding", "PositionalEncoding", "positional_encoding", NONE, NONE, PLAIN,
        0, positions, NULL),
    ROW("rescaling", "Rescaling", "rescaling", FACTOR, NONE, PLAIN, 0, rescaling, NULL),
    ROW("reshape", "Reshape", "reshape", SHAPE, NONE, PLAIN, 0, reshape, NULL),
    ROW("residual", "Residual", "residual", NONE, NONE, INNER, 0, residual, NULL),
    ROW("separable_conv2d", "SeparableConv2D", "separable_conv2d", FILTERS, SIZE, DILATED, 2,
        depthwise, NULL),
    ROW("simple_rnn", "SimpleRNN", "simple_rnn", UNITS, NONE, RECURRENT, 0, recurrent,
        &train_rnn),
    ROW("stacked", "Concatenate", "concatenate", NONE, NONE, BRANCHES, 0, stacked, NULL),
    ROW("time_distributed", "TimeDistributed", "time_distributed", NONE, NONE, INNER, 0,
        time_distributed, NULL),
    ROW("upsampling2d", "UpSampling2D", "up_sampling2d", SIZE, NONE, PLAIN, 2, upsampling,
        NULL),
    ROW("zero_padding2d", "ZeroPadding2D", "zero_padding2d", SIZE, NONE, PLAIN, 2, padding,
        NULL),
};
enum { KIND_COUNT = sizeof kinds / sizeof kinds[0] };

const char *train_argument_name(enum train_argument argument)
{
    static const char *const names[] = {
        [TRAIN_ARGUMENT_NONE] = "",           [TRAIN_ARGUMENT_UNITS] = "UNITS",
        [TRAIN_ARGUMENT_FILTERS] = "FILTERS", [TRAIN_ARGUMENT_WORDS] = "WORDS",
        [TRAIN_ARGUMENT_HEADS] = "HEADS",     [TRAIN_ARGUMENT_BANDS] = "BANDS",
        [TRAIN_ARGUMENT_WIDTH] = "WIDTH",     [TRAIN_ARGUMENT_HERTZ] = "HERTZ",
        [TRAIN_ARGUMENT_SIZE] = "SIZE",       [TRAIN_ARGUMENT_SHAPE] = "SHAPE",
        [TRAIN_ARGUMENT_AXES] = "AXES",       [TRAIN_ARGUMENT_RATE] = "RATE",
        [TRAIN_ARGUMENT_FACTOR] = "FACTOR",   [TRAIN_ARGUMENT_FUNCTION] = "FUNCTION",
    };
    return names[argument];
}

const struct train_layer_kind *train_layer_kind_at(size_t index)
{
    return index < KIND_COUNT ? &kinds[index] : NULL;
}

const struct train_layer_kind *train_layer_kind_find(const char *word)
{
    for (int i = 0; i < KIND_COUNT; i++)
        if (strcmp(kinds[i].word, word) == 0 || strcmp(kinds[i].name, word) == 0)
            return &kinds[i];
    return NULL;
}

/* Letters that both begin with. */
static size_t alike(const char *a, const char *b)
{
    size_t count = 0;
    while (a[count] && a[count] == b[count])
        count++;
    return count;
}

const char *train_layer_words(const char *like, char *text, size_t size)
{
    size_t most = 1, used = 0;
    text[0] = '\0';
    for (int i = 0; i < KIND_COUNT; i++)
        most = alike(like, kinds[i].word) > most ? alike(like, kinds[i].word) : most;
    for (int i = 0; i < KIND_COUNT && used < size; i++)
        if (alike(like, kinds[i].word) == most)
            used += (size_t)snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "",
                                     kinds[i].word);
    return text;
}

const char *train_layer_usage(const struct train_layer_kind *kind, char *text, size_t size)
{
    static const struct {
        enum train_layer_option option;
        const char *text;
    } options[] = {
        {TRAIN_OPTION_INNER, "(LAYERS)"},
        {TRAIN_OPTION_BRANCHES, "(LAYERS | LAYERS ...)"},
        {TRAIN_OPTION_WINDOW, " [window N]"},
        {TRAIN_OPTION_STRIDE, " [stride S]"},
        {TRAIN_OPTION_PADDING, " [same|valid]"},
        {TRAIN_OPTION_DILATION, " [dilation D]"},
        {TRAIN_OPTION_GROUPS, " [groups G]"},
        {TRAIN_OPTION_SEQUENCES, " [return_sequences]"},
        {TRAIN_OPTION_PEEPHOLES, " [peepholes]"},
        {TRAIN_OPTION_FUNCTION, " [FUNCTION]"},
        {TRAIN_OPTION_ABSOLUTE, " [absolute]"},
        {TRAIN_OPTION_RELATIVE, " [relative]"},
        {TRAIN_OPTION_FLOOR, " [floor F]"},
    };
    size_t used = (size_t)snprintf(text, size, "%s", kind->word);
    for (int i = 0; i < TRAIN_LAYERS_ARGUMENTS && kind->arguments[i] && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, " %s",
                                 train_argument_name(kind->arguments[i]));
    for (size_t i = 0; i < sizeof options / sizeof options[0] && used < size; i++)
        if (kind->options & options[i].option)
            used += (size_t)snprintf(text + used, size - used, "%s", options[i].text);
    return text;
}
