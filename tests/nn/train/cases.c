#include "tests/nn/train/cases.h"

#include "nn/graph.h"

bool gradient_case_has(const struct nn_model *model, const char *op)
{
    for (int i = 0; i < model->node_count; i++)
        if (strcmp(model->nodes[i].op->name, op) == 0)
            return true;
    return false;
}

const struct gradient_case *gradient_case_at(size_t index)
{
    static const struct gradient_case *const families[] = {
        gradient_cases,       gradient_cases_elementwise, gradient_cases_moves,
        gradient_cases_norms, gradient_cases_products,    gradient_cases_reductions,
    };
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const struct gradient_case *c = families[f]; c->name; c++)
            if (index-- == 0)
                return c;
    return NULL;
}

size_t gradient_case_count(void)
{
    size_t count = 0;
    while (gradient_case_at(count))
        count++;
    return count;
}

struct window {
    int64_t kernel, stride, pad, dilation, groups;
};

/* x (batch, channels, height, width) through Conv of `outputs` channels, with what comes after. */
static struct onnx conv(struct onnx_dims x, int64_t outputs, struct window w, const char *then)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, x);
    weights(&b, "w", DIMS(outputs, x.dim[1] / w.groups, w.kernel, w.kernel));
    weights(&b, "b", DIMS(outputs));
    onnx_node(&b, "Conv", "x w b", then ? "c" : "y");
    onnx_attribute_ints(&b, "pads", 4, (int64_t[]){w.pad, w.pad, w.pad, w.pad});
    onnx_attribute_ints(&b, "strides", 2, (int64_t[]){w.stride, w.stride});
    onnx_attribute_ints(&b, "dilations", 2, (int64_t[]){w.dilation, w.dilation});
    onnx_attribute_int(&b, "group", w.groups);
    if (then)
        onnx_node(&b, then, "c", "y");
    onnx_output(&b, "y", 1, DIMS(-1, -1, -1, -1));
    return b;
}

static struct onnx conv_plain(void)
{
    return conv(DIMS(3, 2, 5, 6), 4, (struct window){3, 1, 0, 1, 1}, NULL);
}

static struct onnx conv_relu(void)
{
    return conv(DIMS(2, 3, 5, 5), 4, (struct window){3, 1, 1, 1, 1}, "Relu");
}

static struct onnx conv_strided(void)
{
    return conv(DIMS(9, 4, 7, 8), 6, (struct window){3, 2, 1, 1, 2}, NULL);
}

static struct onnx conv_dilated(void)
{
    return conv(DIMS(2, 2, 9, 9), 2, (struct window){3, 1, 2, 2, 1}, NULL);
}

static struct onnx conv_depthwise(void)
{
    return conv(DIMS(2, 5, 6, 6), 5, (struct window){5, 1, 2, 1, 5}, NULL);
}

static struct onnx conv_one(void)
{
    return conv(DIMS(5, 6, 4, 4), 3, (struct window){1, 1, 0, 1, 1}, "Relu");
}

/* Shapes that go Winograd's way in float: tiles that stick out, channels that do not fill
 * vectors, one image, pads of none, one and two. */
static struct onnx conv_wide(void)
{
    return conv(DIMS(5, 16, 7, 9), 32, (struct window){3, 1, 0, 1, 1}, NULL);
}

static struct onnx conv_wide_relu(void)
{
    return conv(DIMS(2, 20, 6, 6), 24, (struct window){3, 1, 1, 1, 1}, "Relu");
}

static struct onnx conv_wide_padded(void)
{
    return conv(DIMS(1, 17, 3, 5), 16, (struct window){3, 1, 2, 1, 1}, NULL);
}

static struct onnx conv_wide_small(void)
{
    return conv(DIMS(3, 16, 4, 4), 16, (struct window){3, 1, 0, 1, 1}, NULL);
}

static struct onnx conv_line(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(4, 3, 11));
    weights(&b, "w", DIMS(5, 3, 4));
    onnx_node(&b, "Conv", "x w", "y");
    onnx_attribute_ints(&b, "pads", 2, (int64_t[]){2, 1});
    onnx_output(&b, "y", 1, DIMS(-1, -1, -1));
    return b;
}

static struct onnx gemm(int64_t transpose_a, int64_t transpose_b, struct onnx_dims c,
                        const char *then)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, transpose_a ? DIMS(5, 4) : DIMS(4, 5));
    weights(&b, "w", transpose_b ? DIMS(3, 5) : DIMS(5, 3));
    weights(&b, "c", c);
    onnx_node(&b, "Gemm", "x w c", then ? "g" : "y");
    onnx_attribute_int(&b, "transA", transpose_a);
    onnx_attribute_int(&b, "transB", transpose_b);
    onnx_attribute_float(&b, "alpha", 0.75f);
    onnx_attribute_float(&b, "beta", 1.5f);
    if (then)
        onnx_node(&b, then, "g", "y");
    onnx_output(&b, "y", 1, DIMS(4, 3));
    return b;
}

static struct onnx gemm_plain(void)
{
    return gemm(0, 0, DIMS(3), NULL);
}

static struct onnx gemm_turned(void)
{
    return gemm(1, 0, DIMS(4, 1), "Relu");
}

static struct onnx gemm_weights_turned(void)
{
    return gemm(0, 1, DIMS(4, 3), NULL);
}

static struct onnx gemm_both_turned(void)
{
    return gemm(1, 1, DIMS(1), NULL);
}

static struct onnx pool(struct onnx_dims x, struct window w)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, x);
    onnx_node(&b, "MaxPool", "x", "y");
    onnx_attribute_ints(&b, "kernel_shape", 2, (int64_t[]){w.kernel, w.kernel});
    onnx_attribute_ints(&b, "strides", 2, (int64_t[]){w.stride, w.stride});
    onnx_attribute_ints(&b, "pads", 4, (int64_t[]){w.pad, w.pad, w.pad, w.pad});
    onnx_attribute_ints(&b, "dilations", 2, (int64_t[]){w.dilation, w.dilation});
    onnx_output(&b, "y", 1, DIMS(-1, -1, -1, -1));
    return b;
}

static struct onnx pool_halves(void)
{
    return pool(DIMS(2, 3, 5, 7), (struct window){2, 2, 0, 1, 1});
}

static struct onnx pool_overlaps(void)
{
    return pool(DIMS(2, 2, 6, 7), (struct window){3, 2, 1, 1, 1});
}

/* Planes of 2×2 in a volume: as pictures, one behind the other. */
static struct onnx pool_volume(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2, 2, 3, 5, 4));
    onnx_node(&b, "MaxPool", "x", "y");
    onnx_attribute_ints(&b, "kernel_shape", 3, (int64_t[]){1, 2, 2});
    onnx_attribute_ints(&b, "strides", 3, (int64_t[]){1, 2, 2});
    onnx_output(&b, "y", 1, DIMS(-1, -1, -1, -1, -1));
    return b;
}

static struct onnx pool_dilated(void)
{
    return pool(DIMS(1, 2, 7, 7), (struct window){2, 1, 0, 2, 1});
}

/* A value read three times, once through a view: gradients are added up. */
static struct onnx shared(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(4, 5));
    weights(&b, "w", DIMS(5, 20));
    weights(&b, "v", DIMS(20, 4));
    onnx_node(&b, "Gemm", "x w", "a");
    onnx_node(&b, "Relu", "a", "r");
    onnx_node(&b, "Gemm", "r v", "s");
    onnx_node(&b, "Flatten", "r", "f");
    onnx_node(&b, "Gemm", "s f", "y");
    onnx_output(&b, "y", 1, DIMS(4, 20));
    return b;
}

/* The square of a value: one step reads it twice. */
static struct onnx square(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(4, 4));
    onnx_node(&b, "Gemm", "x x", "y");
    onnx_output(&b, "y", 1, DIMS(4, 4));
    return b;
}

/* One weight of two layers, and a bias that is both of them. */
static struct onnx shared_weight(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(3, 4));
    weights(&b, "w", DIMS(4, 4));
    weights(&b, "b", DIMS(4));
    onnx_node(&b, "Gemm", "x w b", "h");
    onnx_node(&b, "Gemm", "h w b", "y");
    onnx_attribute_int(&b, "transB", 1);
    onnx_output(&b, "y", 1, DIMS(3, 4));
    return b;
}

/* An input under two other shapes, one of them seen twice. */
static struct onnx viewed_input(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(1, 3, 4));
    weights(&b, "w", DIMS(4, 2));
    weights(&b, "v", DIMS(12, 2));
    onnx_ints(&b, "rows", DIMS(2), (int64_t[]){3, 4});
    onnx_node(&b, "Reshape", "x rows", "r");
    onnx_node(&b, "Identity", "r", "i");
    onnx_node(&b, "Flatten", "x", "f");
    onnx_node(&b, "Gemm", "f v", "g");
    onnx_node(&b, "Gemm", "i w g", "h");
    onnx_node(&b, "Gemm", "r h", "y");
    onnx_attribute_int(&b, "transA", 1);
    onnx_output(&b, "y", 1, DIMS(4, 2));
    return b;
}

static struct onnx softmax(int64_t axis)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(3, 4, 5));
    onnx_node(&b, "Softmax", "x", "s");
    onnx_attribute_int(&b, "axis", axis);
    onnx_node(&b, "Identity", "s", "y");
    onnx_output(&b, "y", 1, DIMS(3, 4, 5));
    return b;
}

static struct onnx softmax_last(void)
{
    return softmax(-1);
}

static struct onnx softmax_middle(void)
{
    return softmax(1);
}

struct cell {
    const char *op;
    int64_t gates;
    const char *direction;
    bool batch_first, peepholes, linear_before_reset, all_outputs;
    const char *functions[7];
};

/* 4 steps of 3 inputs for 2 samples, 5 units. */
static struct onnx recurrent(struct cell c)
{
    int64_t directions = strcmp(c.direction, "bidirectional") == 0 ? 2 : 1;
    bool lstm = c.gates == 4;
    struct onnx_dims state = c.batch_first ? DIMS(2, directions, 5) : DIMS(directions, 2, 5);
    struct onnx b = onnx_start(14);
    onnx_input(&b, "x", 1, c.batch_first ? DIMS(2, 4, 3) : DIMS(4, 2, 3));
    weights(&b, "w", DIMS(directions, c.gates * 5, 3));
    weights(&b, "r", DIMS(directions, c.gates * 5, 5));
    weights(&b, "b", DIMS(directions, 2 * c.gates * 5));
    if (c.peepholes)
        weights(&b, "p", DIMS(directions, 3 * 5));
    if (c.all_outputs) {
        onnx_input(&b, "h", 1, state);
        if (lstm)
            onnx_input(&b, "c", 1, state);
        onnx_node(&b, c.op,
                  !lstm         ? "x w r b - h"
                  : c.peepholes ? "x w r b - h c p"
                                : "x w r b - h c",
                  lstm ? "s e z" : "s e");
    } else {
        onnx_node(&b, c.op, c.peepholes ? "x w r b - - - p" : "x w r b", "s");
    }
    onnx_attribute_text(&b, "direction", c.direction);
    onnx_attribute_int(&b, "hidden_size", 5);
    onnx_attribute_int(&b, "layout", c.batch_first);
    if (c.linear_before_reset)
        onnx_attribute_int(&b, "linear_before_reset", 1);
    if (c.functions[0])
        onnx_attribute_texts(&b, "activations", c.functions);
    /* Joined by a product, so that each has a gradient of its own. */
    weights(&b, "v", DIMS(20 * directions, 3));
    onnx_ints(&b, "flat", DIMS(2), (int64_t[]){2, -1});
    onnx_node(&b, "Reshape", "s flat", "f");
    onnx_node(&b, "Gemm", "f v", c.all_outputs ? "g" : "y");
    if (c.all_outputs) {
        weights(&b, "u", DIMS(5 * directions, 3));
        onnx_node(&b, "Reshape", "e flat", "ef");
        onnx_node(&b, "Gemm", "ef u g", lstm ? "k" : "y");
    }
    if (c.all_outputs && lstm) {
        weights(&b, "t", DIMS(5 * directions, 3));
        onnx_node(&b, "Reshape", "z flat", "zf");
        onnx_node(&b, "Gemm", "zf t k", "y");
    }
    onnx_output(&b, "y", 1, DIMS(2, 3));
    return b;
}

static struct onnx lstm_plain(void)
{
    return recurrent((struct cell){.op = "LSTM", .gates = 4, .direction = "forward"});
}

static struct onnx lstm_whole(void)
{
    return recurrent((struct cell){.op = "LSTM",
                                   .gates = 4,
                                   .direction = "bidirectional",
                                   .batch_first = true,
                                   .peepholes = true,
                                   .all_outputs = true});
}

static struct onnx lstm_relu(void)
{
    return recurrent((struct cell){.op = "LSTM",
                                   .gates = 4,
                                   .direction = "reverse",
                                   .functions = {"Sigmoid", "Relu", "Relu"}});
}

static struct onnx gru_plain(void)
{
    return recurrent(
        (struct cell){.op = "GRU", .gates = 3, .direction = "forward", .all_outputs = true});
}

static struct onnx gru_whole(void)
{
    return recurrent((struct cell){.op = "GRU",
                                   .gates = 3,
                                   .direction = "bidirectional",
                                   .batch_first = true,
                                   .linear_before_reset = true});
}

static struct onnx rnn_plain(void)
{
    return recurrent((struct cell){
        .op = "RNN", .gates = 1, .direction = "bidirectional", .all_outputs = true});
}

/* A whole small network: its loss begins before the Softmax. */
static struct onnx cnn(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(3, 1, 10, 10));
    weights(&b, "w1", DIMS(4, 1, 3, 3));
    weights(&b, "b1", DIMS(4));
    weights(&b, "w2", DIMS(5, 16 * 4));
    weights(&b, "b2", DIMS(5));
    onnx_ints(&b, "shape", DIMS(2), (int64_t[]){0, -1});
    onnx_ints(&b, "axes", DIMS(1), (int64_t[]){0});
    onnx_node(&b, "Conv", "x w1 b1", "c");
    onnx_node(&b, "Relu", "c", "r");
    onnx_node(&b, "MaxPool", "r", "p");
    onnx_attribute_ints(&b, "kernel_shape", 2, (int64_t[]){2, 2});
    onnx_attribute_ints(&b, "strides", 2, (int64_t[]){2, 2});
    onnx_node(&b, "Reshape", "p shape", "f");
    onnx_node(&b, "Unsqueeze", "f axes", "u");
    onnx_node(&b, "Squeeze", "u axes", "q");
    onnx_node(&b, "Gemm", "q w2 b2", "g");
    onnx_attribute_int(&b, "transB", 1);
    onnx_node(&b, "Softmax", "g", "y");
    onnx_output(&b, "y", 1, DIMS(3, 5));
    return b;
}

const struct gradient_case gradient_cases[] = {
    {"conv", conv_plain, false},
    {"conv, relu", conv_relu, false},
    {"conv in groups that moves by two", conv_strided, false},
    {"conv dilated", conv_dilated, false},
    {"conv depthwise", conv_depthwise, false},
    {"conv 1x1", conv_one, false},
    {"conv of many channels", conv_wide, false},
    {"conv of many channels, relu", conv_wide_relu, false},
    {"conv of many channels, padded", conv_wide_padded, false},
    {"conv of many channels, small", conv_wide_small, false},
    {"conv along a line", conv_line, false},
    {"gemm", gemm_plain, false},
    {"gemm turned", gemm_turned, false},
    {"gemm, weights turned", gemm_weights_turned, false},
    {"gemm, both turned", gemm_both_turned, false},
    {"max pool that halves", pool_halves, false},
    {"max pool that overlaps", pool_overlaps, false},
    {"max pool dilated", pool_dilated, false},
    {"max pool that halves planes", pool_volume, false},
    {"shared", shared, false},
    {"square", square, false},
    {"a weight of two layers", shared_weight, false},
    {"views of an input", viewed_input, false},
    {"softmax", softmax_last, false},
    {"softmax of the middle", softmax_middle, false},
    {"lstm", lstm_plain, false},
    {"lstm both ways, all it can have", lstm_whole, false},
    {"lstm with relu", lstm_relu, false},
    {"gru", gru_plain, false},
    {"gru both ways, linear before reset", gru_whole, false},
    {"rnn", rnn_plain, false},
    {"cnn", cnn, false},
    {NULL, NULL, false},
};
