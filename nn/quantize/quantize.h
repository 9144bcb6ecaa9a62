/* Post-training quantisation: a float network in, one of 8-bit weights and activations out.
 *
 *     nn_quantizer_create     reads and checks the model, chooses what becomes integers
 *     nn_quantizer_input      to be written with a sample ...
 *     nn_quantizer_observe    ... which runs, while the values within are looked at; many times
 *     nn_quantizer_write      the quantised model, an ONNX file
 *     nn_quantizer_compare    how far its layers are from the float ones over a sample; may be
 *                             left out
 *
 * What comes out is the model as it was, with pairs of QuantizeLinear and DequantizeLinear
 * where numbers are 8-bit (the form that ONNX calls QDQ): any runtime computes it as it stands,
 * and one that can does so in integers.
 *
 *   weights      of Conv, ConvTranspose, Gemm and MatMul: int8, a scale for each output
 *                channel, zero is 0. BatchNormalization behind a convolution is part of its
 *                weights.
 *   bias         int32, its scale that of the product; of Conv, less what rounding the weights
 *                adds to the mean of an output, by the observed means of its input
 *   activations  uint8, one scale and zero each, by the range that percentile percent of what
 *                was observed lies in
 *
 * What is quantised is what a product reads; Add and AveragePool that lead to such. Values that
 * are only moved (MaxPool, Concat, Reshape, Transpose, nearest Resize, ...) have one scale from
 * end to end, so that moving them is moving bytes; but what Concat puts beside something of
 * more than twice its range keeps a scale of its own up to there. All else stays float: what
 * makes the outputs, functions of one element (which belong to the product before them),
 * products with what is not constant.
 *
 * Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient
 * Integer-Arithmetic-Only Inference", 2018; Krishnamoorthi, "Quantizing deep convolutional
 * networks for efficient inference", 2018; ONNX operators QuantizeLinear and
 * DequantizeLinear.
 *
 * The model's bytes are hostile, as for nn_model_load. Same model, same samples: same bytes.
 *
 * Thread: one quantizer belongs to one thread at a time. */
#ifndef NN_QUANTIZE_QUANTIZE_H
#define NN_QUANTIZE_QUANTIZE_H

#include "nn/model.h"

struct nn_quantizer;

#define NN_QUANTIZE_PERCENTILE 99.995

struct nn_quantize_options {
    double percentile; /* 50 to 100; 100: from the least to the greatest */
    /* Nodes to leave in float: names, or patterns of the shell (fnmatch). NULL-terminated or
     * NULL; read by create only. */
    const char *const *keep;
    const struct nn_shape *input_shapes; /* as nn_plan_options has them; read by create only */
    size_t limit_bytes;                  /* the same, of each plan that is made */
};

/* Borrows `data` for the call only. 0, or as nn_model_load and nn_plan_create; -EINVAL also
 * for a name in `keep` that no node has; -ENOTSUP for a model that has integers already,
 * has nothing to quantise, or is of an opset below 13 and has a node whose meaning would
 * change with it. */
int nn_quantizer_create(const void *data, size_t size,
                        const struct nn_quantize_options *options,
                        struct nn_quantizer **ret_quantizer, struct nn_error *err);
void nn_quantizer_destroy(struct nn_quantizer *quantizer); /* NULL is fine */

/* As nn_session_input. */
size_t nn_quantizer_input_count(const struct nn_quantizer *quantizer);
const struct nn_tensor *nn_quantizer_input(struct nn_quantizer *quantizer, size_t index);

/* -EINVAL where a value is no finite number, naming the node that made it; or as
 * nn_session_run. */
int nn_quantizer_observe(struct nn_quantizer *quantizer, struct nn_error *err);

/* The caller frees *ret_data. -EINVAL when nothing was observed, and, naming the node, where
 * weights or a bias are no finite numbers or too large beside their inputs. */
int nn_quantizer_write(struct nn_quantizer *quantizer, void **ret_data, size_t *ret_size,
                       struct nn_error *err);

/* Runs the inputs through both networks, after write. 0, or as nn_plan_create. */
int nn_quantizer_compare(struct nn_quantizer *quantizer, struct nn_error *err);

/* A node that multiplies (Conv, Gemm, LSTM, ...), in running order. */
struct nn_quantize_layer {
    const char *name, *op;
    const char *kept; /* NULL: quantised; else why not */
    /* Of its output, over the samples compared: the float network's own power and that of what
     * the quantised one is off, here and before. 0 when there were none. */
    double signal, noise;
};
size_t nn_quantizer_layer_count(const struct nn_quantizer *quantizer);
const struct nn_quantize_layer *nn_quantizer_layer(const struct nn_quantizer *quantizer,
                                                   size_t index);

/* Opset of what is written, and what the model had. */
void nn_quantizer_opset(const struct nn_quantizer *quantizer, int *ret_from, int *ret_to);

#endif
