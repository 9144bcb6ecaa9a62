/* Norms, LogSoftmax and Dropout. */
#include "tests/nn/train/cases.h"

static struct onnx batch_norm(struct onnx_dims x)
{
    float running[16];
    for (int i = 0; i < 16; i++)
        running[i] = 0.1f + (float)i / 10;
    struct onnx b = onnx_start(15);
    onnx_input(&b, "x", 1, x);
    weights(&b, "scale", DIMS(x.dim[1]));
    weights(&b, "b", DIMS(x.dim[1]));
    onnx_floats(&b, "mean", DIMS(x.dim[1]), running);
    onnx_floats(&b, "var", DIMS(x.dim[1]), running);
    onnx_node(&b, "BatchNormalization", "x scale b mean var", "y");
    onnx_attribute_float(&b, "epsilon", 1e-3f);
    onnx_output(&b, "y", 1, x);
    return b;
}

static struct onnx batch_norm_images(void)
{
    return batch_norm(DIMS(4, 3, 5, 5));
}

static struct onnx batch_norm_rows(void)
{
    return batch_norm(DIMS(7, 5));
}

static struct onnx batch_norm_large(void)
{
    return batch_norm(DIMS(8, 16, 30, 31));
}

static struct onnx layer_norm(struct onnx_dims row, bool bias)
{
    struct onnx b = onnx_start(17);
    onnx_input(&b, "x", 1, DIMS(5, 3, 4));
    weights(&b, "scale", row);
    weights(&b, "bias", row);
    onnx_node(&b, "LayerNormalization", bias ? "x scale bias" : "x scale", "y");
    onnx_attribute_int(&b, "axis", -row.rank);
    onnx_output(&b, "y", 1, DIMS(5, 3, 4));
    return b;
}

static struct onnx layer_norm_last(void)
{
    return layer_norm(DIMS(4), true);
}

static struct onnx layer_norm_two(void)
{
    return layer_norm(DIMS(3, 4), false);
}

static struct onnx instance_norm(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(3, 2, 4, 5));
    weights(&b, "scale", DIMS(2));
    weights(&b, "bias", DIMS(2));
    onnx_node(&b, "InstanceNormalization", "x scale bias", "y");
    onnx_output(&b, "y", 1, DIMS(3, 2, 4, 5));
    return b;
}

static struct onnx log_softmax(int64_t opset, int64_t axis)
{
    struct onnx b = onnx_start(opset);
    onnx_input(&b, "x", 1, DIMS(3, 4, 5));
    onnx_node(&b, "LogSoftmax", "x", "y");
    onnx_attribute_int(&b, "axis", axis);
    onnx_output(&b, "y", 1, DIMS(3, 4, 5));
    return b;
}

static struct onnx log_softmax_middle(void)
{
    return log_softmax(13, 1);
}

static struct onnx log_softmax_flat(void)
{
    return log_softmax(11, 1);
}

/* --- Dropout ------------------------------------------------------------------------------ */

static struct onnx dropout_attribute(void)
{
    struct onnx b = onnx_start(11);
    onnx_input(&b, "x", 1, DIMS(4, 25));
    onnx_node(&b, "Dropout", "x", "y");
    onnx_attribute_float(&b, "ratio", 0.4f);
    onnx_output(&b, "y", 1, DIMS(4, 25));
    return b;
}

static struct onnx dropout_input(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(40, 5000));
    onnx_floats(&b, "ratio", SCALAR, &(float){0.25f});
    onnx_node(&b, "Dropout", "x ratio", "y");
    onnx_output(&b, "y", 1, DIMS(40, 5000));
    return b;
}

const struct gradient_case gradient_cases_norms[] = {
    {"batch norm of images", batch_norm_images, false},
    {"batch norm of rows", batch_norm_rows, false},
    {"batch norm of large images", batch_norm_large, false},
    {"layer norm", layer_norm_last, false},
    {"layer norm of two axes", layer_norm_two, false},
    {"instance norm", instance_norm, false},
    {"log softmax of the middle", log_softmax_middle, false},
    {"log softmax before opset 13", log_softmax_flat, false},
    {"dropout", dropout_attribute, false},
    {"dropout of many", dropout_input, false},
    {NULL, NULL, false},
};
