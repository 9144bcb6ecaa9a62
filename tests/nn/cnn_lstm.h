/* The smallest video model: a CNN on each frame, an LSTM over frames. */
#ifndef TESTS_NN_CNN_LSTM_H
#define TESTS_NN_CNN_LSTM_H

#include "tests/nn/net.h"

/* A CNN on each frame and an LSTM over `frames` of them, as exporters of TimeDistributed write
 * it: the number of frames stands in the Reshape behind the CNN. */
static inline struct nn_model *cnn_lstm_make(int64_t frames)
{
    float w[2 * 9], lstm[3 * 16 * 32];
    net_fill(w, 18, 1);
    net_fill(lstm, 3 * 16 * 32, 2);
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, frames, 1, 6, 6));
    onnx_floats(&o, "w", DIMS(2, 1, 3, 3), w);
    onnx_floats(&o, "lw", DIMS(1, 16, 32), lstm);
    onnx_floats(&o, "lr", DIMS(1, 16, 4), lstm + 512);
    onnx_ints(&o, "fold", DIMS(4), (int64_t[]){-1, 1, 6, 6});
    onnx_ints(&o, "unfold", DIMS(3), (int64_t[]){-1, frames, 32});
    onnx_node(&o, "Reshape", "x fold", "a");
    onnx_node(&o, "Conv", "a w", "b");
    onnx_node(&o, "Relu", "b", "c");
    onnx_node(&o, "Reshape", "c unfold", "d");
    onnx_node(&o, "Transpose", "d", "e");
    onnx_attribute_ints(&o, "perm", 3, (int64_t[]){1, 0, 2});
    onnx_node(&o, "LSTM", "e lw lr", "- y");
    onnx_attribute_int(&o, "hidden_size", 4);
    onnx_output(&o, "y", 1, SCALAR);
    return net_load(&o);
}

#endif
