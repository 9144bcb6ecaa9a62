/* Writes the networks that the tutorials of this field teach as ONNX files, for measuring:
 *
 *     write_networks FOLDER [NAME]
 *
 * Weights are seeded, so every run writes the same bytes. They are uniform and scaled by He's
 * rule (dense and convolution) or by 1/sqrt(hidden) (recurrent), so that values neither die out
 * nor explode from layer to layer. Convolutions are 3x3 without padding, each followed by ReLU
 * and 2x2 max pooling unless the table says otherwise. call.onnx hands one number on: what
 * calling a network costs by itself. */
#include <math.h>
#include <stdio.h>

#include "tests/nn/onnx_builder.h"

struct network {
    const char *name;
    struct onnx_dims input;
    int channels[4];    /* of the convolutions, in order; 0: no more */
    bool last_unpooled; /* no pooling behind the last one */
    int dense;          /* units of the first dense layer; 0: none */
    int lstm[4];        /* units of the recurrent layers */
};

static const struct network networks[] = {
    {"cnn2-224", DIMS(1, 3, 224, 224), {32, 64}, false, 64, {0}},
    {"cnn3-224", DIMS(1, 3, 224, 224), {32, 64, 128}, false, 512, {0}},
    {"cnn3-28", DIMS(1, 1, 28, 28), {32, 64, 64}, true, 64, {0}},
    {"cnn3-64", DIMS(1, 3, 64, 64), {32, 64, 128}, false, 512, {0}},
    {"lstm3-50", DIMS(1, 16, 512), {0}, false, 0, {50, 50, 50}},
    {"cnn3-64-lstm", DIMS(1, 16, 3, 64, 64), {32, 64, 128}, false, 512, {128}},
};
enum { CLASSES = 10 };

struct writer {
    struct onnx onnx;
    uint64_t state;
    int count;     /* of values named so far */
    char last[16]; /* the value that the next node reads */
};

/* xorshift64*, in -1..1 */
static float next_random(struct writer *w)
{
    w->state ^= w->state >> 12;
    w->state ^= w->state << 25;
    w->state ^= w->state >> 27;
    return (float)(int32_t)((w->state * 0x2545F4914F6CDD1Du) >> 32) * 0x1p-31f;
}

static void add_weights(struct writer *w, const char *name, struct onnx_dims dims, float limit)
{
    size_t count = onnx_dims_count(dims);
    float *values = malloc(count * sizeof *values);
    if (!values)
        abort();
    for (size_t i = 0; i < count; i++)
        values[i] = limit * next_random(w);
    onnx_floats(&w->onnx, name, dims, values);
    free(values);
}

/* A node that reads the last value and what `more` names, and makes the next one. */
static void add_node(struct writer *w, const char *type, const char *more)
{
    char inputs[80], output[16];
    snprintf(inputs, sizeof inputs, "%s%s%s", w->last, *more ? " " : "", more);
    snprintf(output, sizeof output, "v%d", ++w->count);
    onnx_node(&w->onnx, type, inputs, output);
    memcpy(w->last, output, sizeof output);
}

static void add_reshape(struct writer *w, struct onnx_dims dims)
{
    char name[16];
    snprintf(name, sizeof name, "s%d", w->count);
    onnx_ints(&w->onnx, name, DIMS(dims.rank), dims.dim);
    add_node(w, "Reshape", name);
}

static float he(int64_t fan_in)
{
    return sqrtf(6.0f / (float)fan_in);
}

static void add_conv(struct writer *w, int64_t in, int64_t out)
{
    char weight[16], bias[16], both[40];
    snprintf(weight, sizeof weight, "w%d", w->count);
    snprintf(bias, sizeof bias, "b%d", w->count);
    snprintf(both, sizeof both, "%s %s", weight, bias);
    add_weights(w, weight, DIMS(out, in, 3, 3), he(in * 9));
    add_weights(w, bias, DIMS(out), 0.1f);
    add_node(w, "Conv", both);
    onnx_attribute_ints(&w->onnx, "kernel_shape", 2, (int64_t[]){3, 3});
    add_node(w, "Relu", "");
}

static void add_dense(struct writer *w, int64_t in, int64_t out)
{
    char weight[16], bias[16], both[40];
    snprintf(weight, sizeof weight, "w%d", w->count);
    snprintf(bias, sizeof bias, "b%d", w->count);
    snprintf(both, sizeof both, "%s %s", weight, bias);
    add_weights(w, weight, DIMS(out, in), he(in));
    add_weights(w, bias, DIMS(out), 0.1f);
    add_node(w, "Gemm", both);
    onnx_attribute_int(&w->onnx, "transB", 1);
}

/* Convolutions, pooling and the first dense layer; returns the features of an image. */
static int64_t add_cnn(struct writer *w, const struct network *net, const int64_t *image)
{
    int64_t channels = image[0], height = image[1], width = image[2];
    for (int i = 0; i < 4 && net->channels[i]; i++) {
        add_conv(w, channels, net->channels[i]);
        channels = net->channels[i];
        height -= 2;
        width -= 2;
        if (net->last_unpooled && (i == 3 || !net->channels[i + 1]))
            break;
        add_node(w, "MaxPool", "");
        onnx_attribute_ints(&w->onnx, "kernel_shape", 2, (int64_t[]){2, 2});
        onnx_attribute_ints(&w->onnx, "strides", 2, (int64_t[]){2, 2});
        height /= 2;
        width /= 2;
    }
    add_node(w, "Flatten", "");
    add_dense(w, channels * height * width, net->dense);
    add_node(w, "Relu", "");
    return net->dense;
}

/* Layers over (steps, 1, inputs), each behind the last's whole sequence; of the last one only
 * the state it ends with goes on. Returns its units. */
static int64_t add_lstms(struct writer *w, const struct network *net, int64_t inputs)
{
    for (int i = 0; i < 4 && net->lstm[i]; i++) {
        int64_t hidden = net->lstm[i];
        bool ends = i == 3 || !net->lstm[i + 1];
        float limit = 1 / sqrtf((float)hidden);
        char names[3][16], all[80], output[16];
        for (int n = 0; n < 3; n++)
            snprintf(names[n], sizeof names[n], "%c%d", "wrb"[n], w -> count);
        add_weights(w, names[0], DIMS(1, 4 * hidden, inputs), limit);
        add_weights(w, names[1], DIMS(1, 4 * hidden, hidden), limit);
        add_weights(w, names[2], DIMS(1, 8 * hidden), limit);
        snprintf(all, sizeof all, "%s %s %s %s", w->last, names[0], names[1], names[2]);
        snprintf(output, sizeof output, "%sv%d", ends ? "- " : "", ++w->count);
        onnx_node(&w->onnx, "LSTM", all, output);
        onnx_attribute_int(&w->onnx, "hidden_size", hidden);
        snprintf(w->last, sizeof w->last, "v%d", w->count);
        add_node(w, "Squeeze", ends ? "axis0" : "axis1");
        inputs = hidden;
    }
    return inputs;
}

/* Frames are folded into the batch for the CNN, as exporters of Keras' TimeDistributed do. */
static void add_network(struct writer *w, const struct network *net)
{
    const int64_t *dim = net->input.dim;
    bool sequence = net->lstm[0] != 0;
    int64_t steps = sequence ? dim[1] : 1, features = dim[net->input.rank - 1];
    if (sequence) {
        onnx_ints(&w->onnx, "axis0", DIMS(1), (int64_t[]){0});
        onnx_ints(&w->onnx, "axis1", DIMS(1), (int64_t[]){1});
    }
    if (sequence && net->channels[0])
        add_reshape(w, DIMS(steps, dim[2], dim[3], dim[4]));
    if (net->channels[0])
        features = add_cnn(w, net, dim + net->input.rank - 3);
    if (sequence) {
        add_reshape(w, DIMS(steps, 1, features));
        features = add_lstms(w, net, features);
    }
    add_dense(w, features, CLASSES);
    add_node(w, "Softmax", "");
}

/* 0, or 1 after saying what is wrong. */
static int write_model(struct writer *w, const char *folder, const char *name)
{
    struct onnx_bytes bytes = onnx_finish(&w->onnx);
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.onnx", folder, name);
    FILE *file = fopen(path, "wb");
    int wrong = !file || fwrite(bytes.data, bytes.size, 1, file) != 1;
    wrong |= file && fclose(file) != 0;
    if (wrong)
        perror(path);
    free(bytes.data);
    return wrong;
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: write_networks FOLDER [NAME]\n");
        return 2;
    }
    int wrong = 0;
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
        const struct network *net = &networks[i];
        if (argc == 3 && strcmp(net->name, argv[2]) != 0)
            continue;
        struct writer w = {.onnx = onnx_start(13), .state = 0x9E3779B97F4A7C15u, .last = "x"};
        onnx_input(&w.onnx, "x", 1, net->input);
        add_network(&w, net);
        onnx_output(&w.onnx, w.last, 1, DIMS(1, CLASSES));
        wrong |= write_model(&w, argv[1], net->name);
    }
    struct writer w = {.onnx = onnx_start(13), .last = "x"};
    onnx_input(&w.onnx, "x", 1, DIMS(1));
    add_node(&w, "Identity", "");
    onnx_output(&w.onnx, w.last, 1, DIMS(1));
    wrong |= write_model(&w, argv[1], "call");
    return wrong;
}
