/* LSTM, GRU and SimpleRNN, forward or in both directions: one node each, of ONNX's layout 0,
 * which is (T, n, C). */
#include <errno.h>
#include <string.h>

#include "nn/train/initial.h"
#include "nn/train/layer_build.h"

/* Names as in ONNX: W, R, B, P; gates in its order, LSTM i o f c, GRU z r h. */
struct train_recurrent {
    const char *op;
    int gates;
    int forget;         /* the gate whose bias begins at 1; -1: none */
    int peepholes;      /* gates that can see the cell */
    bool both_biases;   /* that of R is learned, too */
    int gate_functions; /* Sigmoid each; `functions` that a layer may name come after them */
    int functions;
};

const struct train_recurrent train_lstm = {"LSTM", 4, 2, 3, false, 1, 2};
const struct train_recurrent train_gru = {"GRU", 3, -1, 0, true, 1, 1};
const struct train_recurrent train_rnn = {"RNN", 1, -1, 0, false, 0, 1};

enum { MAX_FUNCTIONS = 2 * 3 };

/* R: (directions, gates·units, units). */
static const char *state_weight(struct train_build *b, const struct train_recurrent *kind,
                                int64_t directions, int64_t units)
{
    struct nn_shape shape = TRAIN_SHAPE(directions, kind->gates * units, units);
    struct train_weight weight = train_weight_new(b, "recurrent_weight", shape);
    size_t each = weight.count / (size_t)directions;
    for (size_t done = 0; done < weight.count && b->error == 0; done += each)
        if (train_initial_orthogonal(&weight.random, weight.data + done,
                                     (size_t)(kind->gates * units), (size_t)units) < 0)
            b->error = nn_error_set(b->err, -ENOMEM, "no memory for the network");
    return weight.name;
}

/* B: (directions, 2·gates·units). Where only that of W is learned, zeros are put behind it. */
static const char *bias(struct train_build *b, const struct train_recurrent *kind,
                        int64_t directions, int64_t units)
{
    int64_t width = (kind->both_biases ? 2 : 1) * kind->gates * units;
    struct nn_shape shape = TRAIN_SHAPE(directions, width);
    struct train_weight weight = train_weight_new(b, "bias", shape);
    for (int64_t d = 0; d < directions && kind->forget >= 0 && weight.data; d++)
        for (int64_t i = 0; i < units; i++)
            weight.data[d * width + kind->forget * units + i] = 1;
    if (kind->both_biases ||
        weight.count == 0) /* a weight that is only counted is no Concat's */
        return weight.name;
    float *zeros = nn_pool_array(b->pool, (size_t)(directions * width), sizeof *zeros);
    if (!zeros)
        return NULL;
    const char *rest = train_floats(b, zeros, shape);
    TRAIN_EMIT(b, "Concat", weight.name, rest);
    train_attribute_int(b, "axis", 1);
    return b->value;
}

static int add_functions(struct train_build *b, const struct train_recurrent *kind,
                         const struct train_layer *layer, int64_t directions)
{
    const char *names[MAX_FUNCTIONS], *own;
    size_t count = 0;
    if (!layer->function.kind)
        return 0;
    own = train_function_recurrent(&layer->function);
    if (!own)
        return train_refuse(b, "its function may be relu, sigmoid, softplus or tanh, no other");
    for (int64_t d = 0; d < directions; d++) {
        for (int i = 0; i < kind->gate_functions; i++)
            names[count++] = "Sigmoid";
        for (int i = 0; i < kind->functions; i++)
            names[count++] = own;
    }
    train_attribute_texts(b, "activations", names, count);
    return 0;
}

static int build(struct train_build *b, const struct train_layer *layer, int64_t directions)
{
    const struct train_recurrent *kind = layer->kind->variant;
    int r = train_want(b, 2);
    if (r < 0)
        return r;
    int64_t time = b->shape.dim[0], in = b->shape.dim[1], units = layer->units,
            width = kind->gates * units;
    train_lay_plain(b);
    train_transpose(b, (int64_t[]){1, 0, 2}, 3);
    const char *x = b->value;
    const char *w = train_weight_glorot(b, "weight", TRAIN_SHAPE(directions, width, in),
                                        (double)in, (double)width);
    const char *recurrence = state_weight(b, kind, directions, units);
    const char *biases = bias(b, kind, directions, units);
    if (layer->peepholes) {
        const char *p =
            train_weight_glorot(b, "peephole", TRAIN_SHAPE(directions, kind->peepholes * units),
                                (double)units, (double)units);
        TRAIN_EMIT(b, kind->op, x, w, recurrence, biases, "", "", "", p);
    } else {
        TRAIN_EMIT(b, kind->op, x, w, recurrence, biases);
    }
    train_attribute_int(b, "hidden_size", units);
    if (directions == 2)
        train_attribute_text(b, "direction", "bidirectional");
    if (kind->both_biases)
        train_attribute_int(b, "linear_before_reset", 1);
    r = add_functions(b, kind, layer, directions);
    if (r < 0)
        return r;

    if (layer->sequences) {
        train_transpose(b, (int64_t[]){2, 0, 1, 3}, 4); /* from (T, directions, n, units) */
        train_reshape(b, (int64_t[]){-1, time, directions * units}, 3);
        return train_becomes(b, TRAIN_SHAPE(time, directions * units), NULL);
    }
    train_second_output(b); /* (directions, n, units): the last state of each */
    train_transpose(b, (int64_t[]){1, 0, 2}, 3);
    train_reshape(b, (int64_t[]){-1, directions * units}, 2);
    return train_becomes(b, TRAIN_SHAPE(directions * units), NULL);
}

int train_build_recurrent(struct train_build *b, const struct train_layer *layer)
{
    return build(b, layer, 1);
}

/* One node does both directions; outputs are put side by side. */
int train_build_bidirectional(struct train_build *b, const struct train_layer *layer)
{
    if (layer->inner_count != 1 || layer->inner->kind->build != train_build_recurrent)
        return train_refuse(b, "it goes around one lstm, gru or simple_rnn");
    return build(b, layer->inner, 2);
}
