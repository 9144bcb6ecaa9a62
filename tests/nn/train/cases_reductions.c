/* Reductions and pools. */
#include "tests/nn/train/cases.h"

static struct onnx reduce(const char *op, int64_t axis, bool keep)
{
    struct onnx b = onnx_start(17);
    bool list = strcmp(op, "ReduceSum") == 0;
    onnx_input(&b, "x", 1, DIMS(3, 4, 5));
    onnx_ints(&b, "axes", DIMS(1), &axis);
    onnx_node(&b, op, list ? "x axes" : "x", "y");
    if (!list)
        onnx_attribute_ints(&b, "axes", 1, &axis);
    onnx_attribute_int(&b, "keepdims", keep);
    onnx_output(&b, "y", 1, (struct onnx_dims){keep ? 3 : 2, {-1, -1, -1}});
    return b;
}

#define REDUCE(name, op, axis, keep)                                                           \
    static struct onnx name(void)                                                              \
    {                                                                                          \
        return reduce(op, axis, keep);                                                         \
    }
REDUCE(mean_last, "ReduceMean", -1, true)
REDUCE(mean_first, "ReduceMean", 0, false)
REDUCE(sum_middle, "ReduceSum", 1, false)
REDUCE(l2_last, "ReduceL2", 2, true)
REDUCE(squares_first, "ReduceSumSquare", 0, true)
REDUCE(max_last, "ReduceMax", 2, false)
REDUCE(max_first, "ReduceMax", 0, true)
REDUCE(min_middle, "ReduceMin", 1, true)

/* Two axes apart from each other, given as an input; then all that is left. */
static struct onnx mean_of_two(void)
{
    struct onnx b = onnx_start(18);
    onnx_input(&b, "x", 1, DIMS(3, 4, 5));
    onnx_ints(&b, "axes", DIMS(2), (int64_t[]){0, 2});
    onnx_node(&b, "ReduceMean", "x axes", "m");
    onnx_node(&b, "Sub", "x m", "d");
    onnx_node(&b, "ReduceSumSquare", "d", "y");
    onnx_attribute_int(&b, "keepdims", 0);
    onnx_output(&b, "y", 1, SCALAR);
    return b;
}

static struct onnx reduce_none(void)
{
    struct onnx b = onnx_start(18);
    onnx_input(&b, "x", 1, DIMS(3, 4));
    onnx_node(&b, "ReduceSumSquare", "x", "y");
    onnx_attribute_int(&b, "noop_with_empty_axes", 1);
    onnx_output(&b, "y", 1, DIMS(3, 4));
    return b;
}

static struct onnx global(const char *op)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2, 3, 4, 5));
    onnx_node(&b, op, "x", "y");
    onnx_output(&b, "y", 1, DIMS(2, 3, 1, 1));
    return b;
}

static struct onnx global_average(void)
{
    return global("GlobalAveragePool");
}

static struct onnx global_max(void)
{
    return global("GlobalMaxPool");
}

/* --- Pools -------------------------------------------------------------------------------- */

struct window {
    int64_t kernel, stride, before, after, dilation;
};

static struct onnx average(struct onnx_dims x, struct window w, bool ceil, bool with_padding)
{
    struct onnx b = onnx_start(19);
    onnx_input(&b, "x", 1, x);
    onnx_node(&b, "AveragePool", "x", "y");
    onnx_attribute_ints(&b, "kernel_shape", 2, (int64_t[]){w.kernel, w.kernel});
    onnx_attribute_ints(&b, "strides", 2, (int64_t[]){w.stride, w.stride});
    onnx_attribute_ints(&b, "dilations", 2, (int64_t[]){w.dilation, w.dilation});
    onnx_attribute_ints(&b, "pads", 4, (int64_t[]){w.before, w.before, w.after, w.after});
    onnx_attribute_int(&b, "ceil_mode", ceil);
    onnx_attribute_int(&b, "count_include_pad", with_padding);
    onnx_output(&b, "y", 1, DIMS(-1, -1, -1, -1));
    return b;
}

static struct onnx average_halves(void)
{
    return average(DIMS(2, 3, 5, 7), (struct window){2, 2, 0, 0, 1}, false, false);
}

static struct onnx average_padded(void)
{
    return average(DIMS(2, 2, 6, 7), (struct window){3, 2, 1, 0, 1}, true, false);
}

static struct onnx average_counts_padding(void)
{
    return average(DIMS(1, 2, 7, 8), (struct window){3, 2, 1, 2, 2}, true, true);
}

static struct onnx average_line(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2, 2, 9));
    onnx_node(&b, "AveragePool", "x", "y");
    onnx_attribute_ints(&b, "kernel_shape", 1, (int64_t[]){4});
    onnx_attribute_text(&b, "auto_pad", "SAME_UPPER");
    onnx_output(&b, "y", 1, DIMS(2, 2, 9));
    return b;
}

const struct gradient_case gradient_cases_reductions[] = {
    {"mean of the last axis", mean_last, false},
    {"mean of the first axis", mean_first, false},
    {"mean of two axes", mean_of_two, false},
    {"sum of the middle axis", sum_middle, false},
    {"l2 of the last axis", l2_last, false},
    {"squares of the first axis", squares_first, false},
    {"squares of no axis", reduce_none, false},
    {"max of the last axis", max_last, false},
    {"max of the first axis", max_first, false},
    {"min of the middle axis", min_middle, false},
    {"global average pool", global_average, false},
    {"global max pool", global_max, false},
    {"average pool that halves", average_halves, false},
    {"average pool, padded", average_padded, false},
    {"average pool, padding counts", average_counts_padding, false},
    {"average pool along a line", average_line, false},
    {NULL, NULL, false},
};
