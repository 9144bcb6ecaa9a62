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

/* Halves, casts, comparisons, and what chooses by them. */
static void types(void)
{
    struct onnx o = onnx_start(18);
    const uint16_t halves[] = {0x3c00, 0xc000};
    const uint32_t words[] = {7, 9};
    onnx_input(&o, "x", 10, DIMS(2, 2));
    onnx_initializer(&o, onnx_tensor("h", 10, DIMS(2), halves, sizeof halves));
    onnx_initializer(&o, onnx_tensor("w", 12, DIMS(2), words, sizeof words));
    onnx_node(&o, "Pow", "x h", "p");
    onnx_node(&o, "Less", "p h", "c");
    onnx_node(&o, "Cast", "p", "i");
    onnx_attribute_int(&o, "to", 12);
    onnx_node(&o, "Mod", "i w", "m");
    onnx_node(&o, "Equal", "m i", "e");
    onnx_node(&o, "Xor", "c e", "n");
    onnx_node(&o, "Not", "n", "t");
    onnx_node(&o, "CastLike", "m h", "f");
    onnx_node(&o, "Max", "x h f", "g");
    onnx_node(&o, "Where", "t g h", "s");
    onnx_node(&o, "Mean", "s x h", "y");
    onnx_output(&o, "y", 1, SCALAR);
    save("types", &o);
}

/* Pads, parts and repeats, with sizes that are computed. */
static void moves(void)
{
    struct onnx o = onnx_start(19);
    onnx_input(&o, "x", 1, DIMS(2, 3));
    onnx_ints(&o, "pads", DIMS(4), (int64_t[]){1, -1, 0, 2});
    onnx_ints(&o, "repeats", DIMS(2), (int64_t[]){2, 1});
    onnx_ints(&o, "parts", DIMS(2), (int64_t[]){1, 3});
    onnx_ints(&o, "one", SCALAR, (int64_t[]){1});
    onnx_node(&o, "Pad", "x pads", "p");
    onnx_attribute_text(&o, "mode", "reflect");
    onnx_node(&o, "Tile", "p repeats", "t");
    onnx_node(&o, "Split", "t parts", "a b");
    onnx_attribute_int(&o, "axis", 1);
    onnx_node(&o, "Shape", "b", "s");
    onnx_node(&o, "Expand", "a s", "e");
    onnx_node(&o, "ConstantOfShape", "s", "z");
    onnx_node(&o, "Trilu", "e one", "u");
    onnx_node(&o, "Size", "u", "n");
    onnx_node(&o, "Range", "one n one", "r");
    onnx_node(&o, "NonZero", "u", "k");
    onnx_node(&o, "Sum", "u z b", "y");
    onnx_output(&o, "y", 1, SCALAR);
    onnx_output(&o, "r", 7, SCALAR);
    onnx_output(&o, "k", 7, SCALAR);
    save("moves", &o);
}

static void indices(void)
{
    struct onnx o = onnx_start(18);
    onnx_input(&o, "x", 1, DIMS(2, 3));
    onnx_ints(&o, "i", DIMS(2, 2), (int64_t[]){0, 1, 1, -1});
    onnx_node(&o, "GatherElements", "x i", "g");
    onnx_attribute_int(&o, "axis", -1);
    onnx_node(&o, "ScatterElements", "x i g", "s");
    onnx_attribute_int(&o, "axis", 1);
    onnx_attribute_text(&o, "reduction", "max");
    onnx_node(&o, "GatherND", "s i", "n");
    onnx_attribute_int(&o, "batch_dims", 0);
    onnx_node(&o, "ScatterND", "s i n", "d");
    onnx_attribute_text(&o, "reduction", "mul");
    onnx_node(&o, "Einsum", "d x g", "y");
    onnx_attribute_text(&o, "equation", "ij,ik,...i->j...k");
    onnx_output(&o, "y", 1, SCALAR);
    save("indices", &o);
}

/* Shapes that a run decides, and what is computed from them. */
static void late(void)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(4, 3));
    onnx_input(&o, "p", 9, DIMS(4));
    onnx_input(&o, "n", 7, DIMS(1));
    onnx_ints(&o, "zero", DIMS(1), (int64_t[]){0});
    onnx_ints(&o, "rest", DIMS(1), (int64_t[]){-1});
    onnx_floats(&o, "w", DIMS(3, 2), zeros);
    onnx_node(&o, "NonZero", "x", "z");
    onnx_node(&o, "Gather", "z zero", "rows");
    onnx_node(&o, "Squeeze", "rows zero", "i");
    onnx_node(&o, "Gather", "x i", "g");
    onnx_node(&o, "MatMul", "g w", "m");
    onnx_node(&o, "Shape", "m", "s");
    onnx_node(&o, "Gather", "s zero", "first");
    onnx_node(&o, "Concat", "first rest", "target");
    onnx_attribute_int(&o, "axis", 0);
    onnx_node(&o, "Reshape", "m target", "a");
    onnx_node(&o, "Transpose", "a", "b");
    onnx_node(&o, "Slice", "b zero n", "t");
    onnx_node(&o, "Compress", "x p", "c");
    onnx_attribute_int(&o, "axis", 0);
    onnx_node(&o, "Add", "c c", "d");
    onnx_node(&o, "Softmax", "d", "y");
    onnx_output(&o, "t", 1, SCALAR);
    onnx_output(&o, "y", 1, SCALAR);
    save("late", &o);
}

/* A loop of a run whose body branches; with `rounds`, one that is laid out. */
static void control(const char *name, bool laid_out)
{
    struct onnx yes = onnx_start(13), no = onnx_start(13), body = onnx_start(13);
    onnx_node(&yes, "Relu", "a", "r");
    onnx_output(&yes, "r", 1, SCALAR);
    onnx_floats(&no, "k", DIMS(2), (float[]){1, 2});
    onnx_node(&no, "Sub", "k x", "s");
    onnx_output(&no, "s", 1, SCALAR);
    onnx_input(&body, "i", 7, SCALAR);
    onnx_input(&body, "c", 9, SCALAR);
    onnx_input(&body, "a", 1, DIMS(2));
    onnx_node(&body, "Cast", "i", "q");
    onnx_attribute_int(&body, "to", 9);
    onnx_node(&body, "If", "q", "b");
    onnx_attribute_graph(&body, "then_branch", &yes);
    onnx_attribute_graph(&body, "else_branch", &no);
    onnx_node(&body, "Concat", "b x", "d");
    onnx_attribute_int(&body, "axis", 0);
    onnx_output(&body, "c", 9, SCALAR);
    onnx_output(&body, "b", 1, SCALAR);
    onnx_output(&body, "d", 1, SCALAR);
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(2));
    onnx_input(&o, "p", 9, SCALAR);
    onnx_ints(&o, "n", SCALAR, (int64_t[]){laid_out ? 3 : 90});
    onnx_node(&o, "Loop", laid_out ? "n - x" : "n p x", "y z");
    onnx_attribute_graph(&o, "body", &body);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_output(&o, "z", 1, SCALAR);
    save(name, &o);
}

/* Pictures made larger, smaller, and taken apart. */
static void images(void)
{
    struct onnx o = onnx_start(20);
    onnx_input(&o, "x", 1, DIMS(1, 4, 3, 3));
    onnx_floats(&o, "w", DIMS(4, 1, 2, 3), zeros);
    onnx_floats(&o, "scales", DIMS(4), (float[]){1, 1, 1.5f, 0.6f});
    onnx_ints(&o, "sizes", DIMS(2), (int64_t[]){5, 4});
    onnx_floats(&o, "theta", DIMS(1, 2, 3), (float[]){1, 0, 0.5f, 0, -1, 0});
    onnx_ints(&o, "size", DIMS(4), (int64_t[]){1, 1, 4, 4});
    onnx_node(&o, "ConvTranspose", "x w", "c");
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 1});
    onnx_attribute_ints(&o, "dilations", 2, (int64_t[]){1, 2});
    onnx_attribute_int(&o, "group", 4);
    onnx_attribute_text(&o, "auto_pad", "SAME_LOWER");
    onnx_node(&o, "Resize", "c - scales", "a");
    onnx_attribute_text(&o, "mode", "linear");
    onnx_attribute_int(&o, "antialias", 1);
    onnx_node(&o, "Resize", "a - - sizes", "b");
    onnx_attribute_text(&o, "mode", "cubic");
    onnx_attribute_ints(&o, "axes", 2, (int64_t[]){2, 3});
    onnx_attribute_text(&o, "keep_aspect_ratio_policy", "not_smaller");
    onnx_node(&o, "AffineGrid", "theta size", "g");
    onnx_node(&o, "GridSample", "b g", "d");
    onnx_attribute_text(&o, "padding_mode", "reflection");
    onnx_node(&o, "SpaceToDepth", "d", "e");
    onnx_attribute_int(&o, "blocksize", 2);
    onnx_node(&o, "DepthToSpace", "e", "f");
    onnx_attribute_int(&o, "blocksize", 4);
    onnx_attribute_text(&o, "mode", "CRD");
    onnx_node(&o, "LpPool", "f", "y");
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){3, 2});
    onnx_attribute_int(&o, "p", 3);
    onnx_output(&o, "y", 1, SCALAR);
    save("images", &o);
}

/* Integers of 8 bits, and floats that become steps with them. */
static void quantised(void)
{
    static const uint8_t bytes[64];
    struct onnx o = onnx_start(21);
    onnx_input(&o, "x", 1, DIMS(1, 4, 5, 6));
    onnx_floats(&o, "s", SCALAR, (float[]){0.5f});
    onnx_initializer(&o, onnx_tensor("z", 2, SCALAR, bytes, 1));
    onnx_initializer(&o, onnx_tensor("w8", 3, DIMS(4, 4, 2, 2), bytes, 64));
    onnx_floats(&o, "ws", DIMS(4), (float[]){1, 2, 3, 4});
    onnx_initializer(&o, onnx_tensor("wz", 3, DIMS(4), bytes, 4));
    onnx_initializer(&o, onnx_tensor("m8", 3, DIMS(16, 2), bytes, 32));
    onnx_node(&o, "DequantizeLinear", "w8 ws", "w");
    onnx_attribute_int(&o, "axis", 0);
    onnx_node(&o, "DequantizeLinear", "m8 s", "m");
    onnx_node(&o, "QuantizeLinear", "x s z", "q");
    onnx_node(&o, "DequantizeLinear", "q s z", "a");
    onnx_node(&o, "Conv", "a w", "b");
    onnx_node(&o, "Relu", "b", "c");
    onnx_node(&o, "QuantizeLinear", "c s z", "d");
    onnx_node(&o, "DequantizeLinear", "d s z", "e");
    onnx_node(&o, "MaxPool", "e", "f");
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){2, 2});
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 2});
    onnx_node(&o, "Flatten", "f", "g");
    onnx_node(&o, "MatMul", "g m", "y");
    onnx_node(&o, "QLinearConv", "q s z w8 ws wz s z", "h");
    onnx_attribute_ints(&o, "pads", 4, (int64_t[]){1, 0, 0, 1});
    onnx_node(&o, "DequantizeLinear", "h s z", "i");
    onnx_node(&o, "Add", "i i", "j");
    onnx_node(&o, "QuantizeLinear", "j s z", "k");
    onnx_node(&o, "DynamicQuantizeLinear", "x", "l t u");
    onnx_node(&o, "Transpose", "l", "v");
    onnx_attribute_ints(&o, "perm", 4, (int64_t[]){0, 1, 3, 2});
    onnx_node(&o, "MatMulInteger", "l v u u", "n");
    onnx_output(&o, "y", 1, DIMS(1, 2));
    onnx_output(&o, "k", 2, DIMS(1, 4, 5, 6));
    onnx_output(&o, "n", 6, DIMS(1, 4, 5, 5));
    save("quantised", &o);
}

/* Boxes chosen by a run, and what is in them. */
static void boxes(void)
{
    struct onnx o = onnx_start(16);
    onnx_input(&o, "b", 1, DIMS(1, 4, 4));
    onnx_input(&o, "s", 1, DIMS(1, 2, 4));
    onnx_floats(&o, "x", DIMS(1, 1, 5, 6), zeros);
    onnx_ints(&o, "most", SCALAR, (int64_t[]){3});
    onnx_ints(&o, "zero", DIMS(1), (int64_t[]){0});
    onnx_ints(&o, "two", SCALAR, (int64_t[]){2});
    onnx_ints(&o, "first", SCALAR, (int64_t[]){0});
    onnx_floats(&o, "iou", DIMS(1), (float[]){0.5f});
    onnx_node(&o, "NonMaxSuppression", "b s most iou", "n");
    onnx_node(&o, "Gather", "n two", "k");
    onnx_attribute_int(&o, "axis", 1);
    onnx_node(&o, "Gather", "n first", "i");
    onnx_attribute_int(&o, "axis", 1);
    onnx_node(&o, "Squeeze", "b zero", "all");
    onnx_node(&o, "Gather", "all k", "c");
    onnx_node(&o, "RoiAlign", "x c i", "r");
    onnx_attribute_int(&o, "output_height", 2);
    onnx_attribute_int(&o, "sampling_ratio", 0);
    onnx_node(&o, "GlobalMaxPool", "r", "y");
    onnx_output(&o, "y", 1, SCALAR);
    save("boxes", &o);
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

/* A layer norm, an attention and a Gelu as exporters take them apart (nn/recognise.c). */
static void apart(void)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(4, 3, 2));
    onnx_floats(&o, "one", SCALAR, (float[]){1});
    onnx_floats(&o, "two", SCALAR, (float[]){2});
    onnx_floats(&o, "half", SCALAR, (float[]){0.5f});
    onnx_floats(&o, "root", SCALAR, (float[]){1.41421356f});
    onnx_floats(&o, "row", DIMS(2), zeros);
    onnx_floats(&o, "square", DIMS(2, 2), zeros);
    onnx_node(&o, "ReduceMean", "x", "m");
    onnx_attribute_ints(&o, "axes", 1, (int64_t[]){-1});
    onnx_node(&o, "Sub", "x m", "d");
    onnx_node(&o, "Pow", "d two", "d2");
    onnx_node(&o, "ReduceMean", "d2", "v");
    onnx_attribute_ints(&o, "axes", 1, (int64_t[]){-1});
    onnx_node(&o, "Add", "v one", "e");
    onnx_node(&o, "Sqrt", "e", "s");
    onnx_node(&o, "Div", "d s", "n");
    onnx_node(&o, "Mul", "n row", "scaled");
    onnx_node(&o, "Add", "scaled row", "norm");
    onnx_node(&o, "Transpose", "norm", "k");
    onnx_attribute_ints(&o, "perm", 3, (int64_t[]){0, 2, 1});
    onnx_node(&o, "MatMul", "norm k", "qk");
    onnx_node(&o, "Div", "qk two", "scores");
    onnx_node(&o, "Softmax", "scores", "shares");
    onnx_node(&o, "MatMul", "shares norm", "a");
    onnx_node(&o, "MatMul", "a square", "p");
    onnx_node(&o, "Add", "p row", "h");
    onnx_node(&o, "Div", "h root", "i");
    onnx_node(&o, "Erf", "i", "f");
    onnx_node(&o, "Add", "f one", "g");
    onnx_node(&o, "Mul", "h g", "hg");
    onnx_node(&o, "Mul", "hg half", "y");
    onnx_output(&o, "y", 1, SCALAR);
    save("apart", &o);
}

static void attention(void)
{
    struct onnx o = onnx_start(24);
    onnx_input(&o, "q", 1, DIMS(2, 3, 4));
    onnx_input(&o, "lengths", 7, DIMS(2));
    onnx_floats(&o, "k", DIMS(2, 3, 2), zeros);
    onnx_floats(&o, "past", DIMS(2, 1, 2, 2), zeros);
    onnx_floats(&o, "mask", DIMS(3, 4), zeros);
    onnx_floats(&o, "scale", DIMS(4), zeros);
    onnx_node(&o, "Attention", "q k k mask past past lengths", "a present - scores");
    onnx_attribute_int(&o, "q_num_heads", 2);
    onnx_attribute_int(&o, "kv_num_heads", 1);
    onnx_attribute_int(&o, "is_causal", 1);
    onnx_attribute_float(&o, "softcap", 2);
    onnx_node(&o, "LayerNormalization", "a scale", "n mean inverse");
    onnx_node(&o, "GroupNormalization", "n two two", "g");
    onnx_attribute_int(&o, "num_groups", 3);
    onnx_floats(&o, "two", DIMS(3), zeros);
    onnx_ints(&o, "k2", DIMS(1), (int64_t[]){2});
    onnx_ints(&o, "axis", SCALAR, (int64_t[]){1});
    onnx_node(&o, "TopK", "g k2", "best where");
    onnx_node(&o, "CumSum", "best axis", "sum");
    onnx_node(&o, "ReduceLogSumExp", "sum k2", "r");
    onnx_node(&o, "ArgMax", "r", "y");
    onnx_output(&o, "y", 7, SCALAR);
    onnx_output(&o, "scores", 1, SCALAR);
    onnx_output(&o, "where", 7, SCALAR);
    save("attention", &o);
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
    types();
    moves();
    indices();
    late();
    control("loop", false);
    control("rounds", true);
    images();
    quantised();
    boxes();
    old();
    apart();
    attention();
    return 0;
}
