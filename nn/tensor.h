/* The values a network works on: element types, shapes and dense views.
 *
 * A tensor here is a view: row-major, contiguous, no strides. Whoever hands it out says who
 * owns the bytes. Type numbers are those of ONNX's TensorProto.DataType.
 *
 * Thread: plain data. */
#ifndef NN_TENSOR_H
#define NN_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Deepest shape accepted; a model with more dimensions is refused by name. */
#define NN_MAX_RANK 8

/* A dimension known only when a plan is made. */
#define NN_DIM_DYNAMIC (-1)

enum nn_type {
    NN_TYPE_NONE = 0,
    NN_TYPE_FLOAT = 1,
    NN_TYPE_UINT8 = 2,
    NN_TYPE_INT8 = 3,
    NN_TYPE_UINT16 = 4,
    NN_TYPE_INT16 = 5,
    NN_TYPE_INT32 = 6,
    NN_TYPE_INT64 = 7,
    NN_TYPE_BOOL = 9, /* bytes, 0 or 1 */
    NN_TYPE_UINT32 = 12,
    NN_TYPE_UINT64 = 13,
};

/* Data types of ONNX that are float32 here (nn/model.h). */
enum { NN_ONNX_FLOAT16 = 10, NN_ONNX_DOUBLE = 11 };

/* How a plan may store weights (nn/ops/dense.h); all sums are float32. */
enum nn_precision {
    NN_PRECISION_FP32 = 0, /* as they are */
    NN_PRECISION_FAST, /* large dense ones in 8 or 16 bits, where that changes outputs little */
    NN_PRECISION_INT8, /* large dense ones in 8 bits, whatever it changes */
};

/* As options and keys spell them, by number; NULL at the end. */
extern const char *const nn_precision_names[];

struct nn_shape {
    int rank;
    int64_t dim[NN_MAX_RANK];
};

struct nn_tensor {
    enum nn_type type;
    struct nn_shape shape;
    void *data;

    /* Of a plan's values; elsewhere false and NULL. late: the shape is decided by each run, and
     * what stands here is the most it can be, dimension by dimension. most: of small integer
     * values that a run computes, an element for each, none of which it should exceed; sizes
     * are planned by it, and a run that exceeds what was planned fails. */
    bool late;
    const void *most;
};

/* One line for a person: what, where (node, operator, attribute), what to do. */
struct nn_error {
    char text[480];
};

/* Writes err (NULL is fine) and returns code, a negative errno. */
int nn_error_set(struct nn_error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Bytes of one element, 0 for a type that is not supported. */
size_t nn_type_size(enum nn_type type);

static inline bool nn_type_is_byte(enum nn_type type)
{
    return type == NN_TYPE_INT8 || type == NN_TYPE_UINT8;
}

/* "float32", "int64", ...; never NULL. */
const char *nn_type_name(enum nn_type type);

/* What a data type of an ONNX file is here: float32 for float16 and float64, NN_TYPE_NONE for
 * those we lack. */
enum nn_type nn_type_from_onnx(int64_t data_type);

/* The name of any data type of ONNX, supported or not, for messages; never NULL. */
const char *nn_type_onnx_name(int64_t data_type);

/* Number of elements; -1 when the rank is unknown (negative), a dimension is dynamic, the
 * product overflows, or, of an empty shape, the product of the others is over INT32_MAX. */
int64_t nn_shape_count(const struct nn_shape *shape);

/* Bytes of all elements, of a tensor whose count is known. */
size_t nn_tensor_bytes(const struct nn_tensor *tensor);

/* Number `at` of a tensor of bytes, int8 or uint8. */
static inline int nn_tensor_byte(const struct nn_tensor *tensor, int64_t at)
{
    return tensor->type == NN_TYPE_INT8 ? ((const int8_t *)tensor->data)[at]
                                        : ((const uint8_t *)tensor->data)[at];
}

/* Product of dimensions first..end-1 of a shape whose count is known. */
int64_t nn_shape_extent(const struct nn_shape *shape, int first, int end);

bool nn_shape_equal(const struct nn_shape *a, const struct nn_shape *b);

/* The shape both broadcast to (NumPy's rule); false when they do not. */
bool nn_shape_broadcast(const struct nn_shape *a, const struct nn_shape *b,
                        struct nn_shape *ret_shape);

#endif
