/* Operators whose input's shape each run decides, at every size up to the largest: results are
 * those of a model that was planned for the size, and there is room for all of them. */
#include <errno.h>
#include <math.h>

#include "tests/nn/net.h"

/* x is cut to "s" by each run, along the axes with a bit in `axes` (1 << axis). `graph` makes y
 * of it, a statement for each constant and node: "w = 3x4" is random numbers of that shape,
 * "n = [1 2]" a list of integers, "y = Op s w name=value" a node. A value is text, an integer,
 * a float if it has a point, and with commas a list of such numbers. */
static const struct subject {
    int opset;
    struct onnx_dims x;
    unsigned axes;
    const char *graph;
} subjects[] = {
    {13, DIMS(2, 3, 6, 7), 15, "n = [2 3 8 5]; y = Resize s - - n mode=linear"},
    {13, DIMS(2, 3, 6, 7), 15, "n = [2 3 6 7]; y = Resize s - - n mode=linear"},
    {13, DIMS(2, 3, 6, 7), 15, "n = [2 4 6 7]; y = Resize s - - n mode=linear"},
    {13, DIMS(2, 3, 6, 7), 15, "n = [2 3 6 7]; y = Resize s - - n mode=cubic"},
    {13, DIMS(2, 3, 6, 7), 15, "n = [2 3 9 14]; y = Resize s - - n mode=nearest"},
    {18, DIMS(2, 3, 6, 7), 15, "n = [2 3 5 7]; y = Resize s - - n mode=linear antialias=1"},
    {18, DIMS(9, 40), 3, "n = [9 40]; y = Resize s - - n mode=cubic antialias=1"},
    {18, DIMS(2, 3, 6, 7), 15, "n = [5 9]; y = Resize s - - n mode=linear axes=3,2"},
    {18, DIMS(2, 3, 16, 17), 12,
     "n = [5 9]; y = Resize s - - n mode=linear antialias=1 axes=2,3"},
    {18, DIMS(300), 1, "f = 300; n = Shape s; y = Resize f - - n mode=linear antialias=1"},
    {18, DIMS(300), 1, "f = 300; n = Shape s; y = Resize f - - n mode=cubic antialias=1"},
    {18, DIMS(4, 3, 6, 7), 15,
     "n = [3 6 9]; y = Resize s - - n mode=linear axes=1,2,3 "
     "keep_aspect_ratio_policy=not_larger"},
    {18, DIMS(60), 1, "n = [55]; y = Resize s - - n mode=linear antialias=1"},
    {18, DIMS(3, 6, 7), 7,
     "n = [3 6 7]; y = Resize s - - n mode=linear keep_aspect_ratio_policy=not_larger"},
    {13, DIMS(2, 3, 6, 7), 15, "f = 3x3x6x7; n = Shape s; y = Resize f - - n mode=linear"},
    {13, DIMS(2, 3, 6, 7), 15, "f = 3x3x6x7; n = Shape s; y = Resize f - - n mode=cubic"},
    {13, DIMS(2, 3, 6, 7), 15, "f = 2x3x4x7; n = Shape s; y = Resize f - - n mode=nearest"},
    {10, DIMS(2, 4, 6, 7), 15, "k = [1 1 2 3]; c = Cast k to=1; y = Resize s c mode=linear"},
    {11, DIMS(2, 4, 6, 7), 15,
     "k = [1 1 2 3]; c = Cast k to=1; y = Resize s - c mode=linear "
     "coordinate_transformation_mode=tf_half_pixel_for_nn"},
    {11, DIMS(2, 24, 6, 7), 1,
     "k = [1 1 2 3]; c = Cast k to=1; y = Resize s - c mode=linear "
     "coordinate_transformation_mode=tf_half_pixel_for_nn"},
    {18, DIMS(2, 4, 6, 7), 15,
     "n = [12 21]; y = Resize s - - n mode=linear axes=2,3 "
     "coordinate_transformation_mode=tf_half_pixel_for_nn"},
    {13, DIMS(2, 4, 6, 8), 13, "w = 8x4x3x3; b = 8; y = Conv s w b pads=1,1,1,1"},
    {13, DIMS(1, 4, 13, 15), 12, "w = 8x4x3x3; b = 8; y = Conv s w b pads=1,1,1,1"},
    {13, DIMS(1, 3, 13, 15), 12, "w = 8x3x3x3; y = Conv s w pads=1,1,1,1 strides=2,2"},
    {13, DIMS(2, 4, 6, 8), 13, "w = 8x2x3x3; y = Conv s w pads=1,1,1,1 group=2"},
    {13, DIMS(2, 4, 6, 8), 13, "w = 4x1x3x3; c = Conv s w pads=1,1,1,1 group=4; y = Relu c"},
    {13, DIMS(2, 4, 6, 8), 13, "w = 4x1x5x5; y = Conv s w pads=2,2,2,2 group=4 strides=2,2"},
    {13, DIMS(2, 4, 6, 8), 13, "w = 8x4x1x1; y = Conv s w"},
    {13, DIMS(2, 4, 6, 8), 13, "w = 1x4x1x1; y = Conv s w"},
    {13, DIMS(2, 4, 6, 8), 13, "w = 8x4x1x1; y = Conv s w strides=2,2"},
    {13, DIMS(2, 4, 6, 8), 13,
     "w = 4x4x3x3; c = Conv s w pads=1,1,1,1; d = Add c s; y = Relu d"},
    {13, DIMS(2, 4, 6, 8), 13, "w = 4x4x3x3; y = Conv s w pads=2,2,2,2 dilations=2,2"},
    {13, DIMS(2, 4, 6, 8), 13,
     "w = 4x4x3x3; c = Conv s w pads=2,2,2,2; y = MaxPool c kernel_shape=2,2 strides=2,2"},
    {13, DIMS(2, 4, 30), 5, "w = 4x4x5; y = Conv s w pads=2,2"},
    {13, DIMS(2, 2, 4, 5, 6), 29, "w = 3x2x3x3x3; y = Conv s w pads=1,1,1,1,1,1"},
    {13, DIMS(2, 4, 6, 8), 13, "w = 4x3x3x3; y = ConvTranspose s w strides=2,2"},
    {13, DIMS(2, 4, 6, 8), 13, "w = 4x3x3x3; y = ConvTranspose s w pads=1,1,1,1"},
    {13, DIMS(2, 4, 6, 8), 13, "w = 4x3x2x2; y = ConvTranspose s w strides=2,2 group=2"},
    {13, DIMS(2, 4, 6, 8), 13, "w = 4x3x3x3; y = ConvTranspose s w strides=3,2 dilations=2,1"},
    {13, DIMS(2, 3, 4, 6), 15, "y = MaxPool s kernel_shape=3,3 pads=1,1,1,1 strides=2,2"},
    {13, DIMS(2, 3, 4, 6), 15, "y = MaxPool s kernel_shape=2,2 pads=0,0,1,1 strides=2,2"},
    {13, DIMS(2, 3, 4, 6), 15, "y = MaxPool s kernel_shape=5,5 pads=2,2,2,2"},
    {13, DIMS(2, 3, 4, 6), 15,
     "y = AveragePool s kernel_shape=3,3 pads=1,1,1,1 strides=2,2 ceil_mode=1"},
    {18, DIMS(2, 3, 4, 6), 15, "y = LpPool s kernel_shape=3,3 pads=1,1,1,1 p=2"},
    {13, DIMS(2, 3, 4, 6), 15, "y = GlobalAveragePool s"},
    {13, DIMS(2, 3, 4, 6), 15, "y = GlobalMaxPool s"},
    {13, DIMS(2, 3, 4, 6), 15, "y = GlobalLpPool s p=3"},
    {13, DIMS(2, 3, 4, 6), 15, "y = LRN s size=3"},
    {13, DIMS(2, 4, 6, 8), 13, "g = 4; b = 4; y = InstanceNormalization s g b"},
    {13, DIMS(2, 4, 6, 8), 13,
     "g = 4; b = 4; m = 4; n = 4; v = Abs n; y = BatchNormalization s g b m v"},
    {17, DIMS(3, 4, 9, 10), 7, "g = 10; y = LayerNormalization s g"},
    {17, DIMS(3, 4, 9, 10), 3, "g = 9x10; y = LayerNormalization s g axis=2"},
    {21, DIMS(2, 4, 6, 8), 13, "g = 4; b = 4; y = GroupNormalization s g b num_groups=2"},
    {13, DIMS(2, 3, 4, 6), 15, "y = MeanVarianceNormalization s"},
    {13, DIMS(2, 3, 4, 6), 15, "y = MeanVarianceNormalization s axes=1,3"},
    {13, DIMS(2, 3, 4, 6), 15, "y = LpNormalization s axis=2"},
    {13, DIMS(2, 3, 4, 6), 15, "y = LpNormalization s axis=1 p=1"},
    {13, DIMS(2, 3, 4, 6), 15, "y = Softmax s axis=1"},
    {13, DIMS(2, 3, 4, 6), 15, "y = LogSoftmax s axis=2"},
    {13, DIMS(2, 3, 4, 6), 15, "y = Hardmax s axis=0"},
    {13, DIMS(2, 3, 4, 6), 15, "y = Softmax s"},
    {11, DIMS(2, 3, 4, 6), 15, "y = Softmax s axis=2"},
    {11, DIMS(2, 3, 4, 6), 15, "y = ReduceSum s axes=1,3"},
    {11, DIMS(2, 3, 4, 6), 15, "y = ReduceMean s axes=2,"},
    {11, DIMS(2, 3, 4, 6), 15, "y = ReduceMax s axes=0,2"},
    {11, DIMS(2, 3, 4, 6), 15, "y = ReduceL2 s axes=1,"},
    {11, DIMS(2, 3, 4, 6), 15, "y = ReduceLogSumExp s axes=0,1"},
    {11, DIMS(2, 3, 4, 6), 15, "y = ReduceLogSumExp s axes=3,"},
    {11, DIMS(2, 3, 4, 6), 15, "y = ReduceProd s"},
    {11, DIMS(2, 3, 4, 6), 15, "c = Cast s to=6; y = ReduceSum c axes=0,2"},
    {13, DIMS(2, 3, 4, 6), 15, "y = ArgMax s axis=2"},
    {13, DIMS(3, 4, 9, 10), 7, "w = 10x33; y = MatMul s w"},
    {13, DIMS(40, 30), 1, "w = 30x70; y = MatMul s w"},
    {13, DIMS(14, 22), 3, "t = Transpose s perm=1,0; y = MatMul s t"},
    {13, DIMS(3, 9, 10), 7, "t = Transpose s perm=0,2,1; y = MatMul s t"},
    {13, DIMS(3, 9, 10), 7, "t = Transpose s perm=0,2,1; y = MatMul t s"},
    {13, DIMS(40, 30), 1, "w = 30x70; b = 70; y = Gemm s w b alpha=0.5 beta=2.0"},
    {13, DIMS(40, 30), 2, "w = 40x70; b = 70; y = Gemm s w b transA=1"},
    {13, DIMS(14, 22), 3, "y = Gemm s s transA=1"},
    {13, DIMS(14, 22), 3, "y = Gemm s s transB=1"},
    {13, DIMS(3, 9, 10), 7, "y = Einsum s s equation=bij,bkj->bik"},
    {13, DIMS(3, 9, 10), 7, "y = Einsum s s equation=bij,bij->j"},
    {13, DIMS(3, 9, 10), 7, "y = Einsum s equation=bij->jb"},
    {23, DIMS(2, 2, 9, 8), 7, "y = Attention s s s"},
    {23, DIMS(2, 2, 9, 8), 7, "y = Attention s s s is_causal=1"},
    {23, DIMS(2, 9, 8), 3, "y = Attention s s s q_num_heads=2 kv_num_heads=2"},
    {13, DIMS(9, 3, 5), 3, "w = 1x16x5; r = 1x16x4; y = LSTM s w r hidden_size=4"},
    {13, DIMS(9, 3, 5), 3,
     "w = 2x12x5; r = 2x12x4; y = GRU s w r hidden_size=4 direction=bidirectional"},
    {14, DIMS(9, 3, 5), 3,
     "w = 1x4x5; r = 1x4x4; y = RNN s w r hidden_size=4 direction=reverse layout=1"},
    {13, DIMS(6, 7, 5), 7, "k = [1]; y = TopK s k axis=1"},
    {13, DIMS(6, 7, 5), 3, "k = [4]; y = TopK s k"},
    {13, DIMS(6, 7, 5), 7, "z = [0]; t = Shape s; k = Gather t z; y = TopK s k axis=0"},
    {13, DIMS(3, 4, 5, 6), 15,
     "g = 3x7x8x2; h = Shape s; b = [1]; c = [0]; d = [1]; n = Slice h c d c; f = [7 8 2]; k = "
     "Concat n f axis=0; z = [0 0 0 0]; e = Slice g z k; y = GridSample s e"},
    {16, DIMS(2, 6, 7, 2), 6, "f = 2x3x5x5; y = GridSample f s"},
    {16, DIMS(2, 6, 7, 2), 6,
     "f = 2x3x5x5; y = GridSample f s mode=bicubic padding_mode=reflection"},
    {16, DIMS(2, 3, 6, 7), 14, "g = 2x4x5x2; y = GridSample s g"},
    {16, DIMS(2, 3, 6, 7), 14,
     "r = 3x4; i = [0 1 1]; y = RoiAlign s r i output_height=3 output_width=2"},
    {16, DIMS(2, 3, 6, 7), 14,
     "r = 3x4; i = [0 1 1]; y = RoiAlign s r i output_height=3 output_width=2 sampling_ratio=2 "
     "mode=max"},
    {16, DIMS(2, 3, 6, 7), 12, "r = 3x5; q = Abs r; y = MaxRoiPool s q pooled_shape=2,2"},
    {13, DIMS(3, 4, 5), 7, "r = [2 1 3]; y = Tile s r"},
    {13, DIMS(3, 4, 5), 7, "p = [1 0 2 0 3 1]; y = Pad s p"},
    {13, DIMS(3, 4, 5), 7, "p = [1 0 2 0 3 1]; y = Pad s p mode=edge"},
    {13, DIMS(3, 4, 5), 7, "a = [1]; y = CumSum s a"},
    {13, DIMS(3, 4, 5), 7, "i = [0 0 0]; y = Gather s i axis=1"},
    {13, DIMS(3, 4, 5), 7, "y = Transpose s perm=2,0,1"},
    {13, DIMS(3, 4, 5), 7, "y = Concat s s axis=1"},
    {13, DIMS(3, 4, 5), 7, "i = [0]; q = Shape s; y = Expand i q"},
    {14, DIMS(3, 4, 5), 7, "y = Trilu s"},
    {13, DIMS(3, 5, 6), 7,
     "t = Transpose s perm=0,2,1; u = Transpose t perm=0,2,1; y = Sum s u s"},
    {13, DIMS(3, 5, 6), 3, "w = 6; y = PRelu s w"},
    {18, DIMS(6, 5, 6), 7, "n = [4 7 3]; y = CenterCropPad s n"},
    {18, DIMS(4, 12, 12), 1, "n = [4 5]; k = [2 2]; y = Col2Im s n k"},
    {13, DIMS(3, 8, 4, 6), 13, "y = DepthToSpace s blocksize=2"},
    {13, DIMS(3, 4, 5), 7, "q a b = DynamicQuantizeLinear s; y = DequantizeLinear q a b"},
    {13, DIMS(3, 4, 5, 6), 13,
     "w = 4; v = Abs w; z = [3 4 5 6]; u = Cast z to=2; q = QuantizeLinear s v u axis=1; y = "
     "DequantizeLinear q v u axis=1"},
    {13, DIMS(3, 4, 5), 7,
     "i = Cast s to=6; q = Cast i to=2; t = Transpose q perm=0,2,1; y = MatMulInteger q t"},
    {13, DIMS(2, 4, 6, 8), 13,
     "i = Cast s to=6; q = Cast i to=2; w = 6x4x3x3; v = Cast w to=3; y = ConvInteger q v "
     "pads=1,1,1,1"},
    {13, DIMS(3, 4, 5), 7,
     "i = Cast s to=6; q = Cast i to=2; y = MaxPool q kernel_shape=3, pads=1,1"},
    {13, DIMS(2, 4, 6, 8), 13,
     "e = 1; h = Abs e; i = Cast s to=6; q = Cast i to=2; w = 6x4x3x3; v = Cast w to=3; d = "
     "Squeeze h; z = Cast d to=2; j = Cast d to=3; y = QLinearConv q d z v d j d z "
     "pads=1,1,1,1"},
    {11, DIMS(1, 20, 4), 2,
     "r = ReduceSum s axes=2, keepdims=0; q = Unsqueeze r axes=1,; y = NonMaxSuppression s q"},
};

#define SUBJECTS ((int)(sizeof subjects / sizeof subjects[0]))

enum { MAX_NUMBERS = 8, MAX_ELEMENTS = 4096 };

static int read_numbers(char *text, const char *apart, double *numbers)
{
    int count = 0;
    char *rest;
    for (char *t = strtok_r(text, apart, &rest); t; t = strtok_r(NULL, apart, &rest)) {
        ck_assert_int_lt(count, MAX_NUMBERS);
        numbers[count++] = atof(t);
    }
    return count;
}

static void add_attribute(struct onnx *o, const char *name, char *value)
{
    bool list = strchr(value, ','), real = strchr(value, '.');
    double numbers[MAX_NUMBERS];
    if (strspn(value, "-0123456789.,") != strlen(value)) {
        onnx_attribute_text(o, name, value);
        return;
    }
    int count = read_numbers(value, ",", numbers);
    int64_t ints[MAX_NUMBERS];
    float floats[MAX_NUMBERS];
    for (int i = 0; i < count; i++) {
        ints[i] = (int64_t)numbers[i];
        floats[i] = (float)numbers[i];
    }
    if (list && real)
        onnx_attribute_floats(o, name, count, floats);
    else if (list)
        onnx_attribute_ints(o, name, count, ints);
    else if (real)
        onnx_attribute_float(o, name, floats[0]);
    else
        onnx_attribute_int(o, name, ints[0]);
}

static void add_constant(struct onnx *o, const char *name, char *value)
{
    double numbers[MAX_NUMBERS];
    struct onnx_dims dims = {0};
    if (value[0] == '[') {
        int64_t ints[MAX_NUMBERS];
        int count = read_numbers(value + 1, " ]", numbers);
        for (int i = 0; i < count; i++)
            ints[i] = (int64_t)numbers[i];
        onnx_ints(o, name, DIMS(count), ints);
        return;
    }
    dims.rank = read_numbers(value, "x", numbers);
    for (int i = 0; i < dims.rank; i++)
        dims.dim[i] = (int64_t)numbers[i];
    float *values = net_draw(onnx_dims_count(dims), (uint32_t)name[0]);
    onnx_floats(o, name, dims, values);
    free(values);
}

static void add_node(struct onnx *o, const char *output, char *value)
{
    char inputs[64] = "", *rest;
    const char *op = strtok_r(value, " ", &rest);
    bool open = false;
    for (char *t = strtok_r(NULL, " ", &rest); t; t = strtok_r(NULL, " ", &rest)) {
        char *equals = strchr(t, '=');
        if (!equals) {
            strcat(strcat(inputs, inputs[0] ? " " : ""), strcmp(t, "-") == 0 ? "" : t);
            continue;
        }
        if (!open)
            onnx_node(o, op, inputs, output);
        open = true;
        *equals = 0;
        add_attribute(o, t, equals + 1);
    }
    if (!open)
        onnx_node(o, op, inputs, output);
}

static void add_graph(struct onnx *o, const char *graph)
{
    char text[1024], *rest;
    ck_assert_uint_lt(strlen(graph), sizeof text);
    strcpy(text, graph);
    for (char *t = strtok_r(text, ";", &rest); t; t = strtok_r(NULL, ";", &rest)) {
        char *name = t + strspn(t, " "), *value = strstr(name, " = ");
        ck_assert_ptr_nonnull(value);
        *value = 0;
        value += 3;
        if (value[0] == '[' || (value[0] >= '0' && value[0] <= '9'))
            add_constant(o, name, value);
        else
            add_node(o, name, value);
    }
    onnx_output(o, "y", 1, SCALAR);
}

static struct net make_late(const struct subject *s)
{
    struct onnx o = onnx_start(s->opset);
    const int64_t zeros[MAX_NUMBERS] = {0};
    onnx_input(&o, "x", 1, s->x);
    onnx_input(&o, "to", 7, DIMS(s->x.rank));
    onnx_ints(&o, "from", DIMS(s->x.rank), zeros);
    onnx_node(&o, "Slice", "x from to", "s");
    add_graph(&o, s->graph);
    return net_make(&o);
}

static struct net make_fixed(const struct subject *s, struct onnx_dims dims)
{
    struct onnx o = onnx_start(s->opset);
    onnx_input(&o, "s", 1, dims);
    add_graph(&o, s->graph);
    return net_make(&o);
}

/* The next size, the last axis first; false after the largest. */
static bool next_size(const struct subject *s, struct onnx_dims *size)
{
    for (int i = s->x.rank - 1; i >= 0; i--) {
        if (s->axes >> i & 1 && size->dim[i] < s->x.dim[i]) {
            size->dim[i]++;
            return true;
        }
        if (s->axes >> i & 1)
            size->dim[i] = 1;
    }
    return false;
}

static void cut(float *part, struct onnx_dims size, const float *x, struct onnx_dims all)
{
    size_t count = onnx_dims_count(size);
    for (size_t i = 0; i < count; i++) {
        size_t at = 0, left = i, each = 1;
        for (int d = size.rank - 1; d >= 0; d--) {
            at += left % (size_t)size.dim[d] * each;
            left /= (size_t)size.dim[d];
            each *= (size_t)all.dim[d];
        }
        part[i] = x[at];
    }
}

static void expect_same(const struct subject *s, const struct nn_tensor *a,
                        const struct nn_tensor *b, const char *size)
{
    ck_assert_msg(a->type == b->type && nn_shape_equal(&a->shape, &b->shape), "%s of %s",
                  s->graph, size);
    if (a->type != NN_TYPE_FLOAT) {
        ck_assert_msg(memcmp(a->data, b->data, nn_tensor_bytes(b)) == 0, "%s of %s", s->graph,
                      size);
        return;
    }
    for (int64_t i = 0; i < nn_shape_count(&a->shape); i++) {
        float is = ((const float *)a->data)[i], should = ((const float *)b->data)[i];
        if (!(is == should || fabsf(is - should) <= 1e-5f * fmaxf(1, fabsf(should))))
            ck_abort_msg("%s of %s: element %lld is %g, not %g", s->graph, size, (long long)i,
                         (double)is, (double)should);
    }
}

START_TEST(each_size_gives_what_a_plan_for_it_gives)
{
    const struct subject *s = &subjects[_i];
    float x[MAX_ELEMENTS], part[MAX_ELEMENTS];
    ck_assert_uint_le(onnx_dims_count(s->x), MAX_ELEMENTS);
    net_fill(x, onnx_dims_count(s->x), 1);
    struct net late = make_late(s);
    ck_assert(nn_plan_output(late.plan, 0)->late);
    net_set(&late, 0, x);
    struct onnx_dims size = s->x;
    for (int i = 0; i < size.rank; i++)
        size.dim[i] = s->axes >> i & 1 ? 1 : size.dim[i];
    do {
        char text[64] = "";
        for (int i = 0; i < size.rank; i++)
            sprintf(text + strlen(text), "%s%lld", i ? "x" : "", (long long)size.dim[i]);
        struct nn_error err = {{0}};
        net_set(&late, 1, size.dim);
        int r = nn_session_run(late.session, &err);
        ck_assert_msg(r == 0, "%s of %s: %s", s->graph, text, err.text);
        struct net fixed = make_fixed(s, size);
        cut(part, size, x, s->x);
        net_set(&fixed, 0, part);
        net_run(&fixed);
        expect_same(s, nn_session_output(late.session, 0), nn_session_output(fixed.session, 0),
                    text);
        net_free(&fixed);
    } while (next_size(s, &size));
    net_free(&late);
}
END_TEST

int main(void)
{
    TCase *c = tcase_create("late sizes");
    tcase_add_loop_test(c, each_size_gives_what_a_plan_for_it_gives, 0, SUBJECTS);
    return suite_run("nn/late_sizes", &c, 1);
}
