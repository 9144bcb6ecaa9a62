/* MatMul and ConvTranspose. */
#include "tests/nn/train/cases.h"

static struct onnx product(struct onnx_dims a, struct onnx_dims c, int rank)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, a);
    onnx_input(&b, "z", 1, c);
    onnx_node(&b, "MatMul", "x z", "y");
    onnx_output(&b, "y", 1, (struct onnx_dims){rank, {-1, -1, -1, -1}});
    return b;
}

#define PRODUCT(name, a, b, rank)                                                              \
    static struct onnx name(void)                                                              \
    {                                                                                          \
        return product(a, b, rank);                                                            \
    }
PRODUCT(matmul_many, DIMS(2, 3, 4, 5), DIMS(2, 3, 5, 2), 4)
PRODUCT(matmul_shares_b, DIMS(3, 2, 4), DIMS(2, 1, 4, 3), 4)
PRODUCT(matmul_shares_a, DIMS(4, 5), DIMS(3, 5, 2), 3)
PRODUCT(matmul_vector, DIMS(5), DIMS(3, 5, 2), 2)
PRODUCT(matmul_by_vector, DIMS(3, 4, 5), DIMS(5), 2)

static struct onnx matmul_weights(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2, 3, 4));
    weights(&b, "w", DIMS(4, 5));
    weights(&b, "v", DIMS(2, 3));
    weights(&b, "bias", DIMS(5));
    onnx_node(&b, "MatMul", "x w", "a");
    onnx_node(&b, "Add", "a bias", "c");
    onnx_node(&b, "MatMul", "v c", "y");
    onnx_output(&b, "y", 1, DIMS(2, 2, 5));
    return b;
}

/* So many rows that the weights' gradient is made in parts. */
static struct onnx matmul_rows(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(5, 9, 4));
    weights(&b, "w", DIMS(4, 3));
    onnx_node(&b, "MatMul", "x w", "y");
    onnx_output(&b, "y", 1, DIMS(5, 9, 3));
    return b;
}

static struct onnx matmul_large(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(6, 70, 40));
    weights(&b, "w", DIMS(40, 60));
    onnx_node(&b, "MatMul", "x w", "a");
    onnx_node(&b, "Transpose", "x", "t");
    onnx_attribute_ints(&b, "perm", 3, (int64_t[]){0, 2, 1});
    onnx_node(&b, "MatMul", "t a", "y");
    onnx_output(&b, "y", 1, DIMS(6, 40, 60));
    return b;
}

/* --- ConvTranspose ------------------------------------------------------------------------ */

static struct onnx transposed(struct onnx_dims x, int64_t outputs, int64_t groups)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, x);
    weights(&b, "w", DIMS(x.dim[1], outputs / groups, 4, 3));
    weights(&b, "b", DIMS(outputs));
    onnx_node(&b, "ConvTranspose", "x w b", "y");
    onnx_attribute_ints(&b, "strides", 2, (int64_t[]){2, 3});
    onnx_attribute_int(&b, "group", groups);
    return b;
}

static struct onnx transposed_padded(void)
{
    struct onnx b = transposed(DIMS(9, 2, 3, 4), 3, 1);
    onnx_attribute_ints(&b, "pads", 4, (int64_t[]){1, 0, 2, 1});
    onnx_attribute_ints(&b, "output_padding", 2, (int64_t[]){1, 2});
    onnx_output(&b, "y", 1, DIMS(-1, -1, -1, -1));
    return b;
}

static struct onnx transposed_groups(void)
{
    struct onnx b = transposed(DIMS(2, 4, 3, 2), 6, 2);
    onnx_attribute_ints(&b, "dilations", 2, (int64_t[]){2, 1});
    onnx_attribute_text(&b, "auto_pad", "SAME_UPPER");
    onnx_output(&b, "y", 1, DIMS(-1, -1, -1, -1));
    return b;
}

static struct onnx transposed_to_shape(void)
{
    struct onnx b = transposed(DIMS(2, 2, 3, 3), 2, 1);
    onnx_attribute_ints(&b, "output_shape", 2, (int64_t[]){7, 10});
    onnx_output(&b, "y", 1, DIMS(2, 2, 7, 10));
    return b;
}

static struct onnx transposed_line(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(3, 2, 5));
    weights(&b, "w", DIMS(2, 3, 4));
    onnx_node(&b, "ConvTranspose", "x w", "y");
    onnx_output(&b, "y", 1, DIMS(3, 3, 8));
    return b;
}

const struct gradient_case gradient_cases_products[] = {
    {"matmul of many", matmul_many, false},
    {"matmul, b shared", matmul_shares_b, false},
    {"matmul, a shared", matmul_shares_a, false},
    {"matmul of a vector", matmul_vector, false},
    {"matmul by a vector", matmul_by_vector, false},
    {"matmul by weights", matmul_weights, false},
    {"matmul of many rows by weights", matmul_rows, false},
    {"matmul of large matrices", matmul_large, false},
    {"conv transpose, padded", transposed_padded, false},
    {"conv transpose in groups", transposed_groups, false},
    {"conv transpose to a shape", transposed_to_shape, false},
    {"conv transpose along a line", transposed_line, false},
    {NULL, NULL, false},
};
