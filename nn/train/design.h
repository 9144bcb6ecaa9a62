/* A network as it is designed: layers (nn/train/layers.h) to an ONNX file that has learned
 * nothing yet, and to the table that Keras prints of them.
 *
 * The file is of opset 17. Its batch dimension is open and named "n"; it has one input, "input",
 * and one output, "output", of float32 (where `embedding` comes first, the input is int64).
 * Every initializer is something that is learned, named by its layer ("conv2d_1.weight"), or a
 * statistic of BatchNormalization; all other constants are Constant nodes. What a layer makes is
 * a value of the layer's name, except for the last. Dropout is a node that does nothing in use.
 *
 * Inside, data lies as ONNX has it: a picture HxWxC enters as [n, C, H, W], a window TxHxWxC as
 * [n, T, C, H, W], a sequence TxC as [n, T, C]. It is so for `flatten`, too, whose vector is in
 * the order C, H, W (Keras's is H, W, C), and for `reshape` from and to a vector; every other
 * layer means what Keras means. Layers over time read T as it stands in the input's shape.
 *
 * First weights are Keras's: kernels Glorot's uniform ones, what LSTM, GRU and RNN multiply
 * their state with orthogonal, embeddings uniform in ±0.05, biases 0 and those of an LSTM's
 * forget gate 1, scales 1; BatchNormalization begins with mean 0 and variance 1. They are a
 * function of the seed and of the number of the weight in the file, and so the bytes of a file
 * are of input, layers and seed.
 *
 * LSTM and RNN have one bias, as Keras: the second that ONNX has is 0 (a Concat in the file).
 * GRU has two, and resets after the product (reset_after).
 *
 * log_mel is the logarithm of the power of sound in bands of frequencies, frame by frame: windows
 * (Hann's, periodic; 25 ms, every 10 ms, if not said otherwise) without padding, a discrete Fourier
 * transform as a convolution, triangles of height 1 that are evenly spaced and half overlap in
 * HTK's mels from 0 to half the rate; power 1 is a tone of full scale, and 1e-6 the least, which
 * what is more quiet is as (or `floor`: of noise less is heard then). With `relative` a sound is
 * divided by the root of its mean square before: how loud it was does not matter.
 *
 * Sources: Keras 2 for what layers mean, how they are named and how they begin; ONNX for how
 * they are written; Vaswani et al., "Attention Is All You Need", for positional_encoding; Young et
 * al., "The HTK Book", 5.4, for log_mel.
 *
 * Thread: a design is immutable. */
#ifndef NN_TRAIN_DESIGN_H
#define NN_TRAIN_DESIGN_H

#include "nn/tensor.h"

/* Of one sample, between two layers: 1 GiB. */
#define TRAIN_DESIGN_ELEMENTS_MAX ((int64_t)1 << 28)

enum { TRAIN_DESIGN_OPSET = 17 };

struct train_design;

/* A layer of the network. */
struct train_design_row {
    const char *name;      /* "conv2d_1": Keras's, the first of a kind without a number */
    const char *type;      /* Keras's class, "Conv2D" */
    int depth;             /* 0, or within how many others */
    struct nn_shape shape; /* of what it makes: Keras's order, without the batch */
    int64_t trainable, statistics; /* numbers it has; of the layers within, too */
};

/* `input` is the shape of one sample in Keras's order, "16x64x64x3"; `layers` as
 * train_layers_parse reads them. *ret_design is written only on success. 0; -EINVAL or -E2BIG
 * with one line that names the layer and says what is allowed; -ENOMEM. */
int train_design_create(const char *input, const char *layers, uint64_t seed,
                        struct train_design **ret_design, struct nn_error *err);
/* The same without a file: of any size, and at no cost. */
int train_design_describe(const char *input, const char *layers,
                          struct train_design **ret_design, struct nn_error *err);

void train_design_destroy(struct train_design *design); /* NULL is fine */

/* The file; borrowed. NULL of what was only described. */
const void *train_design_bytes(const struct train_design *design, size_t *ret_size);

size_t train_design_row_count(const struct train_design *design);
const struct train_design_row *train_design_row(const struct train_design *design,
                                                size_t index);

/* The text that Keras's summary() prints, layers within others below them and moved to the
 * right; the caller frees it. NULL: no memory. */
char *train_design_summary(const struct train_design *design);

#endif
