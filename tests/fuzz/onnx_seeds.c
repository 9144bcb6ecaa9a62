/* Writes the first seeds of fuzz_onnx: onnx_seeds DIRECTORY. Each shows the fuzzer another part
 * of the format; what it finds is added beside them. */
#include <stdio.h>

#include "tests/nn/onnx_builder.h"

static const char *directory;
static float zeros[4096];

static void save(const char *name, struct onnx *o)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.onnx", directory, name);
    struct onnx_bytes model = onnx_finish(o);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(model.data, 1, model.size, f) != model.size || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
    free(model.data);
}

static void recurrent(const char *op, int gates)
{
    struct onnx o = onnx_start(14);
    onnx_metadata(&o, "vigil.labels", "a,b");
    onnx_input(&o, "x", 1, DIMS(3, 1, 2));
    onnx_floats(&o, "w", DIMS(2, 2 * gates, 2), zeros);
    onnx_floats(&o, "r", DIMS(2, 2 * gates, 2), zeros);
    onnx_floats(&o, "b", DIMS(2, 4 * gates), zeros);
    onnx_node(&o, op, "x w r b", "y h");
    onnx_attribute_int(&o, "hidden_size", 2);
    onnx_attribute_text(&o, "direction", "bidirectional");
    onnx_attribute_float(&o, "clip", 3);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_output(&o, "h", 1, SCALAR);
    save(op, &o);
}

static void convolution(void)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, 2, 1, 5, 5));
    onnx_ints(&o, "fold", DIMS(4), (int64_t[]){-1, 1, 5, 5});
    onnx_ints(&o, "unfold", DIMS(3), (int64_t[]){1, 2, -1});
    onnx_floats(&o, "w", DIMS(2, 1, 3, 3), zeros);
    onnx_floats(&o, "c", DIMS(2), zeros);
    onnx_floats(&o, "one", DIMS(2), (float[]){1, 1});
    onnx_node(&o, "Reshape", "x fold", "f");
    onnx_node(&o, "Conv", "f w c", "d");
    onnx_attribute_ints(&o, "pads", 4, (int64_t[]){1, 1, 0, 0});
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 1});
    onnx_node(&o, "BatchNormalization", "d one c c one", "n");
    onnx_node(&o, "LeakyRelu", "n", "r");
    onnx_attribute_float(&o, "alpha", 0.1f);
    onnx_node(&o, "MaxPool", "r", "p");
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){2, 2});
    onnx_attribute_int(&o, "ceil_mode", 1);
    onnx_node(&o, "AveragePool", "p", "a");
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){1, 2});
    onnx_attribute_text(&o, "auto_pad", "SAME_UPPER");
    onnx_node(&o, "GlobalAveragePool", "a", "g");
    onnx_node(&o, "Reshape", "g unfold", "u");
    onnx_node(&o, "ReduceMean", "u", "m");
    onnx_attribute_ints(&o, "axes", 1, (int64_t[]){1});
    onnx_node(&o, "Softmax", "m", "y");
    onnx_output(&o, "y", 1, SCALAR);
    save("convolution", &o);
}

static void products(void)
{
    struct onnx o = onnx_start(11);
    onnx_input(&o, "x", 1, DIMS(-1, 3));
    onnx_floats(&o, "w", DIMS(4, 3), zeros);
    onnx_floats(&o, "b", DIMS(4), zeros);
    onnx_floats(&o, "m", DIMS(2, 4, 1), zeros);
    onnx_node(&o, "Gemm", "x w b", "g");
    onnx_attribute_int(&o, "transB", 1);
    onnx_attribute_float(&o, "beta", 0.5f);
    onnx_node(&o, "MatMul", "g m", "p");
    onnx_node(&o, "Tanh", "p", "t");
    onnx_node(&o, "Sigmoid", "t", "y");
    onnx_output(&o, "y", 1, SCALAR);
    save("products", &o);
}

static void shapes(void)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, 4, 3));
    onnx_input(&o, "i", 7, DIMS(2));
    onnx_ints(&o, "one", DIMS(1), (int64_t[]){1});
    onnx_ints(&o, "three", DIMS(1), (int64_t[]){3});
    onnx_node(&o, "Constant", "", "two");
    onnx_attribute_tensor(&o, "value", onnx_tensor("", 7, DIMS(1), (int64_t[]){2}, 8));
    onnx_node(&o, "Shape", "x", "s");
    onnx_node(&o, "Gather", "s one", "n");
    onnx_node(&o, "Sub", "n one", "less");
    onnx_node(&o, "Slice", "x one less one", "a");
    onnx_node(&o, "Transpose", "a", "b");
    onnx_attribute_ints(&o, "perm", 3, (int64_t[]){0, 2, 1});
    onnx_node(&o, "Unsqueeze", "b two", "c");
    onnx_node(&o, "Squeeze", "c two", "d");
    onnx_node(&o, "Gather", "d i", "e");
    onnx_attribute_int(&o, "axis", 1);
    onnx_node(&o, "Concat", "e e", "f");
    onnx_attribute_int(&o, "axis", -1);
    onnx_node(&o, "Flatten", "f", "g");
    onnx_node(&o, "Dropout", "g", "h");
    onnx_node(&o, "Mul", "h h", "y");
    onnx_output(&o, "y", 1, SCALAR);
    save("shapes", &o);
}

static void old(void)
{
    struct onnx o = onnx_start(6);
    o.ir_version = 3;
    onnx_input(&o, "x", 1, DIMS(1, 2, 3));
    onnx_input(&o, "w", 1, DIMS(2));
    onnx_floats(&o, "w", DIMS(2), zeros);
    onnx_node(&o, "Add", "x w", "a");
    onnx_attribute_int(&o, "broadcast", 1);
    onnx_attribute_int(&o, "axis", 1);
    onnx_node(&o, "Slice", "a", "y");
    onnx_attribute_ints(&o, "starts", 1, (int64_t[]){1});
    onnx_attribute_ints(&o, "ends", 1, (int64_t[]){2});
    onnx_attribute_ints(&o, "axes", 1, (int64_t[]){2});
    onnx_output(&o, "y", 1, SCALAR);
    save("old", &o);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    directory = argv[1];
    recurrent("LSTM", 4);
    recurrent("GRU", 3);
    recurrent("RNN", 1);
    convolution();
    products();
    shapes();
    old();
    return 0;
}
