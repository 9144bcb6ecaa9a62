/* Networks from layers as wholes: the sizes that Keras gives them, their files in our engine,
 * their first weights, and their summary. */
#include <math.h>

#include "nn/train/net.h"
#include "tests/nn/train/design.h"

/* What Keras counts. */
static int64_t conv(int64_t size, int64_t in, int64_t out)
{
    return size * size * in * out + out;
}

static int64_t dense(int64_t in, int64_t out)
{
    return in * out + out;
}

static int64_t lstm(int64_t in, int64_t units)
{
    return 4 * (in * units + units * units + units);
}

static int64_t gru(int64_t in, int64_t units)
{
    return 3 * (in * units + units * units + 2 * units);
}

static int64_t rnn(int64_t in, int64_t units)
{
    return in * units + units * units + units;
}

static int64_t attention(int64_t in, int64_t heads, int64_t width)
{
    return 3 * dense(in, heads * width) + dense(heads * width, in);
}

#define CONVS2 "conv2d 32 3 relu; maxpool2d 2; conv2d 64 3 relu; maxpool2d 2; "
#define CONVS3 CONVS2 "conv2d 128 3 relu; maxpool2d 2; "
#define UP(filters, stride)                                                                    \
    "conv2d_transpose " filters " 4 stride " stride " same leaky_relu 0.2; "

static const struct program {
    const char *id, *input, *layers;
    struct onnx_dims output;       /* Keras's order */
    enum { FITS, BIG, OVER } size; /* BIG: 32 samples take too much time; OVER: any file */
} programs[] = {
    {"cnn-224-10",
     "224x224x3",
     CONVS2 "flatten; dense 64 relu; dense 10 softmax",
     {1, {10}},
     BIG},
    {"lstm-3x50",
     "30x12",
     "lstm 50 return_sequences; lstm 50 return_sequences; lstm 50; dense 5 softmax",
     {1, {5}}},
    {"lstm-3x50-binary",
     "30x12",
     "lstm 50 return_sequences; lstm 50 return_sequences; lstm 50; dense 1 sigmoid",
     {1, {1}}},
    {"cnn-224-512",
     "224x224x3",
     CONVS3 "flatten; dense 512 relu; dense 5 softmax",
     {1, {5}},
     BIG},
    {"embedding-lstm",
     "120",
     "embedding 1000 64; lstm 128 return_sequences; dense 128 relu; dense 5 softmax",
     {2, {120, 5}}},
    {"embedding-attention",
     "120",
     "embedding 1000 64; positional_encoding; multi_head_attention 8 64; dense 128 relu; "
     "dense 5 softmax",
     {2, {120, 5}}},
    {"cnn-28",
     "28x28x1",
     CONVS2 "conv2d 64 3 relu; flatten; dense 64 relu; dense 10 softmax",
     {1, {10}}},
    {"lstm-3x64-binary",
     "100x1",
     "lstm 64 return_sequences; lstm 64 return_sequences; lstm 64; dense 1 sigmoid",
     {1, {1}}},
    {"gan-generator",
     "100",
     "dense 128 leaky_relu 0.2; dense 8192 leaky_relu 0.2; reshape 8x8x128; " UP("128", "1")
         UP("64", "2") "conv2d_transpose 3 4 stride 2 same tanh",
     {3, {32, 32, 3}}},
    {"gan-discriminator",
     "32x32x3",
     "conv2d 64 5 stride 2 same leaky_relu 0.2; conv2d 128 5 stride 2 same leaky_relu 0.2; "
     "conv2d 256 5 stride 2 same leaky_relu 0.2; flatten; dense 1",
     {1, {1}}},
    {"cnn-224-1024",
     "224x224x3",
     "conv2d 32 3 relu; maxpool2d 2; flatten; dense 1024 relu; dense 10 softmax",
     {1, {10}},
     OVER},
    {"lstm-128-relu", "30x12", "lstm 128 relu; dense 5 softmax", {1, {5}}},
    {"autoencoder-dense",
     "784",
     "dense 256 relu; dense 256 relu; dense 784 sigmoid",
     {1, {784}}},
    {"gan-dense-generator",
     "100",
     "dense 256 relu; dense 256 relu; dense 784 sigmoid",
     {1, {784}}},
    {"gan-dense-discriminator",
     "784",
     "dense 256 relu; dense 256 relu; dense 1 sigmoid",
     {1, {1}}},
    {"cnn-64", "64x64x3", CONVS3 "flatten; dense 512 relu; dense 10 softmax", {1, {10}}},
    {"rnn-tanh", "30x12", "simple_rnn 20; dense 5 softmax", {1, {5}}},
    {"crnn-window",
     "16x64x64x3",
     "time_distributed(" CONVS2 "flatten; dense 64 relu); lstm 128; dense 2 softmax",
     {1, {2}},
     BIG},
    {"crnn-attention",
     "8x32x32x1",
     "time_distributed(" CONVS2 "global_averagepool2d); bidirectional(lstm 32 "
     "return_sequences); residual(multi_head_attention 4 16); layernorm; "
     "global_averagepool1d; dropout 0.5; dense 2 softmax",
     {1, {2}}},
    {"gru",
     "30x12",
     "bidirectional(gru 10 return_sequences); gru 7; dense 5 softmax",
     {1, {5}}},
    {"motion-window",
     "8x16x16x3",
     "stacked(identity | grey; frame_difference absolute | background_difference 0.1); "
     "time_distributed(conv2d 8 3 relu; maxpool2d 2; flatten); lstm 16; dense 2 softmax",
     {1, {2}}},
    {"separable",
     "32x32x3",
     "separable_conv2d 16 3 stride 2 same; batchnorm; activation swish; depthwise_conv2d 3 "
     "same relu; zero_padding2d 1x2; upsampling2d 2; averagepool2d 3; global_maxpool2d; dense "
     "4",
     {1, {4}}},
    {"conv1d",
     "64x6",
     "conv1d 8 5 stride 2 same relu; batchnorm; maxpool1d 2; conv1d 8 3 groups 2 dilation 2; "
     "gru 5 return_sequences; permute 2x1; reshape -1; dense 3 softmax",
     {1, {3}}},
};
enum { PROGRAM_COUNT = sizeof programs / sizeof programs[0] };

/* By formula, in the order of the programs; statistics of BatchNormalization apart. */
static void counts(int64_t *learned, int64_t *statistics)
{
    const int64_t two = conv(3, 3, 32) + conv(3, 32, 64), three = two + conv(3, 64, 128);
    const int64_t list[PROGRAM_COUNT] = {
        two + dense(54 * 54 * 64, 64) + dense(64, 10),
        lstm(12, 50) + 2 * lstm(50, 50) + dense(50, 5),
        lstm(12, 50) + 2 * lstm(50, 50) + dense(50, 1),
        three + dense(26 * 26 * 128, 512) + dense(512, 5),
        1000 * 64 + lstm(64, 128) + dense(128, 128) + dense(128, 5),
        1000 * 64 + attention(64, 8, 64) + dense(64, 128) + dense(128, 5),
        93322,
        lstm(1, 64) + 2 * lstm(64, 64) + dense(64, 1),
        dense(100, 128) + dense(128, 8192) + conv(4, 128, 128) + conv(4, 128, 64) +
            conv(4, 64, 3),
        conv(5, 3, 64) + conv(5, 64, 128) + conv(5, 128, 256) + dense(4 * 4 * 256, 1),
        conv(3, 3, 32) + dense(111 * 111 * 32, 1024) + dense(1024, 10),
        lstm(12, 128) + dense(128, 5),
        dense(784, 256) + dense(256, 256) + dense(256, 784),
        dense(100, 256) + dense(256, 256) + dense(256, 784),
        dense(784, 256) + dense(256, 256) + dense(256, 1),
        three + dense(6 * 6 * 128, 512) + dense(512, 10),
        rnn(12, 20) + dense(20, 5),
        two + dense(14 * 14 * 64, 64) + lstm(64, 128) + dense(128, 2),
        conv(3, 1, 32) + conv(3, 32, 64) + 2 * lstm(64, 32) + attention(64, 4, 16) + 2 * 64 +
            dense(64, 2),
        2 * gru(12, 10) + gru(20, 7) + dense(7, 5),
        conv(3, 7, 8) + lstm(7 * 7 * 8, 16) + dense(16, 2),
        /* depthwise 3x3 without bias, 1x1 with; scale and bias; depthwise with bias */
        3 * 3 * 3 + dense(3, 16) + 2 * 16 + (3 * 3 * 16 + 16) + dense(16, 4),
        (5 * 6 * 8 + 8) + 2 * 8 + (3 * 4 * 8 + 8) + gru(8, 5) + dense(12 * 5, 3),
    };
    memcpy(learned, list, sizeof list);
    memset(statistics, 0, sizeof list);
    statistics[PROGRAM_COUNT - 2] = 2 * 16;
    statistics[PROGRAM_COUNT - 1] = 2 * 8;
}

static void total(const struct train_design *design, int64_t *ret_trainable,
                  int64_t *ret_statistics)
{
    *ret_trainable = *ret_statistics = 0;
    for (size_t i = 0; i < train_design_row_count(design); i++) {
        const struct train_design_row *row = train_design_row(design, i);
        *ret_trainable += row->depth == 0 ? row->trainable : 0;
        *ret_statistics += row->depth == 0 ? row->statistics : 0;
    }
}

/* What the file's initializers hold. */
static int64_t initializers(const struct nn_model *model)
{
    int64_t count = 0;
    for (int i = 0; i < model->value_count; i++)
        if (model->values[i].declared.data) {
            ck_assert_int_eq(model->values[i].declared.type, NN_TYPE_FLOAT);
            count += nn_shape_count(&model->values[i].declared.shape);
        }
    return count;
}

START_TEST(a_program_has_the_parameters_and_shapes_of_keras)
{
    const struct program *p = &programs[_i];
    int64_t learned[PROGRAM_COUNT], statistics[PROGRAM_COUNT], trainable, frozen;
    counts(learned, statistics);
    struct train_design *design = NULL;
    ck_assert_int_eq(train_design_describe(p->input, p->layers, &design, NULL), 0);
    total(design, &trainable, &frozen);
    ck_assert_msg(trainable == learned[_i], "%s: %lld, not %lld", p->id, (long long)trainable,
                  (long long)learned[_i]);
    ck_assert_int_eq(frozen, statistics[_i]);
    const struct train_design_row *last =
        train_design_row(design, train_design_row_count(design) - 1);
    ck_assert_int_eq(last->shape.rank, p->output.rank);
    for (int d = 0; d < p->output.rank; d++)
        ck_assert_int_eq(last->shape.dim[d], p->output.dim[d]);
    train_design_destroy(design);
}
END_TEST

/* One sample alone, and as the last of three: the batch is open, and keeps samples apart. */
START_TEST(a_program_runs_with_any_batch)
{
    const struct program *p = &programs[_i];
    if (p->size == OVER)
        return;
    struct train_design *design = design_make(p->input, p->layers, 7);
    struct nn_model *model = design_load(design);
    int64_t trainable, frozen;
    total(design, &trainable, &frozen);
    ck_assert_int_eq(initializers(model), trainable + frozen);
    struct net one = design_plan(nn_model_ref(model), 1);
    struct net three = design_plan(nn_model_ref(model), 3);
    design_run(&three, 5);
    const struct nn_tensor *in = nn_session_input(three.session, 0);
    size_t sample = nn_tensor_bytes(in) / 3;
    net_set(&one, 0, (const char *)in->data + 2 * sample);
    net_run(&one);

    int64_t count = nn_shape_count(&nn_session_output(one.session, 0)->shape);
    ck_assert_int_eq(nn_shape_count(&nn_session_output(three.session, 0)->shape), 3 * count);
    bool differ = false;
    for (int64_t i = 0; i < count; i++) {
        float alone = net_floats(&one, 0)[i], third = net_floats(&three, 0)[2 * count + i];
        ck_assert(isfinite(alone));
        ck_assert_float_eq_tol(alone, third, 1e-5f);
        differ |= net_floats(&three, 0)[i] != third;
    }
    ck_assert_msg(differ, "%s: its output does not depend on its input", p->id);
    net_free(&one);
    net_free(&three);

    struct net many = design_plan(model, 32);
    if (p->size != BIG) {
        design_run(&many, 6);
        for (int64_t i = 0; i < 32 * count; i++)
            ck_assert(isfinite(net_floats(&many, 0)[i]));
    }
    net_free(&many);
    train_design_destroy(design);
}
END_TEST

/* Frames are looked at one by one, and the window gives the same. */
START_TEST(a_window_is_cut_on_its_time_axis)
{
    struct train_design *design =
        design_make("6x16x16x3",
                    "time_distributed(conv2d 4 3 relu; maxpool2d 2; flatten; dense 8 relu); "
                    "lstm 8; dense 2 softmax",
                    3);
    struct nn_model *model = design_load(design);
    ck_assert_str_eq(nn_model_metadata(model, "vigil.layout"), "NTCHW");
    struct net whole = design_plan(nn_model_ref(model), 1);
    struct net cut = net_plan(model, &(struct nn_plan_options){.time_axis = 1});
    struct nn_plan_info info;
    nn_plan_describe(cut.plan, &info);
    ck_assert_int_eq(info.window, 6);
    ck_assert_int_eq((int)info.frame_elements, 3 * 16 * 16);
    ck_assert_int_ge(info.frame_nodes, 5); /* up to where the state is asked */
    design_run(&whole, 11);
    const float *frames = nn_session_input(whole.session, 0)->data;
    for (int t = 0; t < 6; t++) {
        memcpy(nn_session_frame_buffer(cut.session), frames + t * 768, 768 * sizeof(float));
        ck_assert_int_eq(nn_session_push_frame(cut.session, NULL), 0);
    }
    ck_assert_int_eq(nn_session_run_window(cut.session, NULL), 0);
    for (int i = 0; i < 2; i++)
        ck_assert_float_eq_tol(net_floats(&cut, 0)[i], net_floats(&whole, 0)[i], 1e-6f);
    net_free(&whole);
    net_free(&cut);
    train_design_destroy(design);
}
END_TEST

/* "Op node > value" of all nodes that are no constants. */
static void list_nodes(const struct nn_model *model, char *text, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < model->node_count; i++) {
        const struct nn_node *node = &model->nodes[i];
        if (strcmp(node->op->name, "Constant") == 0)
            continue;
        const char *value = model->values[node->outputs[node->output_count - 1]].name;
        ck_assert_uint_lt(used, size);
        used += (size_t)snprintf(text + used, size - used, "%s > %s\n", node->name, value);
    }
}

START_TEST(what_a_layer_makes_has_its_name)
{
    char text[1024];
    struct train_design *design =
        design_make("4x6x6x1",
                    "time_distributed(conv2d 2 3 relu; flatten); residual(dense 32; dense 32 "
                    "swish); permute 2x1; lstm 3; dense 2 softmax",
                    1);
    struct nn_model *model = design_load(design);
    list_nodes(model, text, sizeof text);
    ck_assert_str_eq(text, "time_distributed/Reshape > time_distributed/Reshape\n"
                           "conv2d/Conv > conv2d/Conv\n"
                           "conv2d/Relu > conv2d\n"
                           "flatten/Flatten > flatten\n"
                           "time_distributed/Reshape_2 > time_distributed\n"
                           "dense/MatMul > dense/MatMul\n"
                           "dense/Add > dense\n"
                           "dense_1/MatMul > dense_1/MatMul\n"
                           "dense_1/Add > dense_1/Add\n"
                           "dense_1/Sigmoid > dense_1/Sigmoid\n"
                           "dense_1/Mul > dense_1\n"
                           "residual/Add > residual\n"
                           "lstm/Transpose > lstm/Transpose\n"
                           "lstm/Transpose_2 > lstm/Transpose_2\n"
                           "lstm/Concat > lstm/Concat\n"
                           "lstm/LSTM > lstm/LSTM\n"
                           "lstm/Transpose_3 > lstm/Transpose_3\n"
                           "lstm/Reshape > lstm\n"
                           "dense_2/Gemm > dense_2/Gemm\n"
                           "dense_2/Softmax > output\n");
    nn_model_unref(model);
    train_design_destroy(design);
}
END_TEST

/* Nothing but what was designed to learn does, and all of that: in every program through which
 * something can be learned. */
START_TEST(what_the_file_holds_is_learned)
{
    int learning = 0;
    for (int i = 0; i < PROGRAM_COUNT; i++) {
        if (strncmp(programs[i].input, "224", 3) == 0)
            continue; /* these take memory, and have no layer that others lack */
        struct train_design *design = design_make(programs[i].input, programs[i].layers, 1);
        struct nn_model *model = design_load(design);
        struct train_net *net = NULL;
        int r = train_net_create(model, &(struct train_options){0}, &net, NULL);
        int64_t trainable, statistics, learned = 0, kept = 0;
        total(design, &trainable, &statistics);
        for (size_t j = 0; r == 0 && j < train_net_parameter_count(net); j++) {
            const struct train_net_parameter *p = train_net_parameter(net, j);
            *(p->gradient ? &learned : &kept) += (int64_t)p->count;
        }
        if (r == 0) {
            learning++;
            ck_assert_msg(learned == trainable, "%s: %lld numbers learn, not %lld",
                          programs[i].id, (long long)learned, (long long)trainable);
            ck_assert_int_eq(kept, statistics);
        }
        train_net_destroy(net);
        nn_model_unref(model);
        train_design_destroy(design);
    }
    ck_assert_int_ge(learning, 2); /* cnn-28, cnn-64 */
}
END_TEST

/* --- first weights ------------------------------------------------------------------------ */

/* Uniform within ±limit: none beyond, some near it, and the moments of such numbers. */
static void expect_uniform(const struct nn_model *model, const char *name, double limit)
{
    const struct nn_tensor *t = design_weight(model, name);
    const float *values = t->data;
    int64_t count = nn_shape_count(&t->shape);
    double most = 0, sum = 0, squares = 0;
    for (int64_t i = 0; i < count; i++) {
        most = fmax(most, fabs((double)values[i]));
        sum += (double)values[i];
        squares += (double)values[i] * (double)values[i];
    }
    double deviation = limit / sqrt(3), n = (double)count;
    ck_assert_msg(most <= limit && most > 0.98 * limit, "%s: reaches %g of %g", name, most,
                  limit);
    ck_assert_double_le(fabs(sum / n), 5 * deviation / sqrt(n));
    ck_assert_double_eq_tol(sqrt(squares / n) / deviation, 1, 0.1);
}

START_TEST(kernels_begin_as_glorot_says)
{
    struct train_design *design = design_make(
        "5x8x8x12",
        "time_distributed(conv2d 24 3 groups 2; depthwise_conv2d 3; conv2d_transpose 6 4; "
        "flatten; dense 40); conv1d 30 3 same; lstm 16 return_sequences; "
        "multi_head_attention 4 8; dense 10",
        1);
    struct nn_model *model = design_load(design);
    expect_uniform(model, "conv2d.weight", sqrt(6.0 / (9 * 6 + 9 * 24)));
    expect_uniform(model, "depthwise_conv2d.weight", sqrt(6.0 / (9 * 24 + 9 * 1)));
    expect_uniform(model, "conv2d_transpose.weight", sqrt(6.0 / (16 * 6 + 16 * 24)));
    expect_uniform(model, "dense.weight", sqrt(6.0 / (7 * 7 * 6 + 40)));
    expect_uniform(model, "conv1d.weight", sqrt(6.0 / (3 * 40 + 3 * 30)));
    expect_uniform(model, "lstm.weight", sqrt(6.0 / (30 + 4 * 16)));
    /* Keras counts the axes of (C, heads, width) and of (heads, width, C). */
    expect_uniform(model, "multi_head_attention.query_weight", sqrt(6.0 / (16 * 4 + 16 * 8)));
    expect_uniform(model, "multi_head_attention.output_weight", sqrt(6.0 / (4 * 8 + 4 * 16)));
    nn_model_unref(model);
    train_design_destroy(design);
}
END_TEST

/* (rows, columns) whose columns are orthonormal. */
static void expect_orthonormal(const float *matrix, int rows, int columns)
{
    for (int a = 0; a < columns; a++)
        for (int b = 0; b <= a; b++) {
            double sum = 0;
            for (int r = 0; r < rows; r++)
                sum += (double)matrix[r * columns + a] * (double)matrix[r * columns + b];
            ck_assert_double_eq_tol(sum, a == b ? 1 : 0, 1e-6);
        }
}

START_TEST(what_multiplies_the_state_begins_orthogonal)
{
    struct train_design *design =
        design_make("9x5",
                    "bidirectional(lstm 20 return_sequences); gru 13 return_sequences; "
                    "simple_rnn 33",
                    1);
    struct nn_model *model = design_load(design);
    const float *r = design_floats(model, "bidirectional.recurrent_weight", DIMS(2, 80, 20));
    expect_orthonormal(r, 80, 20);
    expect_orthonormal(r + 80 * 20, 80, 20);
    ck_assert(memcmp(r, r + 80 * 20, 80 * 20 * sizeof *r) != 0);
    expect_orthonormal(design_floats(model, "gru.recurrent_weight", DIMS(1, 39, 13)), 39, 13);
    expect_orthonormal(design_floats(model, "simple_rnn.recurrent_weight", DIMS(1, 33, 33)), 33,
                       33);
    nn_model_unref(model);
    train_design_destroy(design);
}
END_TEST

static void expect_all(const struct nn_model *model, const char *name, float value)
{
    const struct nn_tensor *t = design_weight(model, name);
    for (int64_t i = 0; i < nn_shape_count(&t->shape); i++)
        ck_assert_float_eq(((const float *)t->data)[i], value);
}

START_TEST(the_rest_begins_as_in_keras)
{
    struct train_design *design =
        design_make("50",
                    "embedding 90 7; layernorm; conv1d 6 3; batchnorm; lstm 5 return_sequences "
                    "peepholes; gru 4; dense 3",
                    1);
    struct nn_model *model = design_load(design);
    expect_uniform(model, "embedding.weight", 0.05);
    expect_all(model, "layer_normalization.scale", 1);
    expect_all(model, "layer_normalization.bias", 0);
    expect_all(model, "conv1d.bias", 0);
    expect_all(model, "batch_normalization.scale", 1);
    expect_all(model, "batch_normalization.bias", 0);
    expect_all(model, "batch_normalization.mean", 0);
    expect_all(model, "batch_normalization.variance", 1);
    const float *bias = design_floats(model, "lstm.bias", DIMS(1, 20));
    for (int i = 0; i < 20; i++) /* gates i o f c */
        ck_assert_float_eq(bias[i], i >= 10 && i < 15 ? 1 : 0);
    design_floats(model, "lstm.peephole", DIMS(1, 15));
    design_floats(model, "gru.bias", DIMS(1, 24));
    expect_all(model, "gru.bias", 0);
    expect_all(model, "dense.bias", 0);
    nn_model_unref(model);
    train_design_destroy(design);
}
END_TEST

static bool same_bytes(const struct train_design *a, const struct train_design *b)
{
    size_t size_a, size_b;
    const void *bytes_a = train_design_bytes(a, &size_a),
               *bytes_b = train_design_bytes(b, &size_b);
    return size_a == size_b && memcmp(bytes_a, bytes_b, size_a) == 0;
}

START_TEST(weights_of_one_shape_begin_apart)
{
    struct train_design *design = design_make("9", "dense 9; dense 9", 1);
    struct nn_model *model = design_load(design);
    const float *a = design_floats(model, "dense.weight", DIMS(9, 9)),
                *b = design_floats(model, "dense_1.weight", DIMS(9, 9));
    for (int i = 0; i < 81; i++)
        ck_assert_float_ne(a[i], b[i]);
    nn_model_unref(model);
    train_design_destroy(design);
}
END_TEST

START_TEST(a_seed_is_a_file)
{
    const char *layers = "embedding 20 8; lstm 6 return_sequences; dense 3";
    struct train_design *a = design_make("12", layers, 1), *b = design_make("12", layers, 1),
                        *c = design_make("12", layers, 2);
    ck_assert(same_bytes(a, b));
    ck_assert(!same_bytes(a, c));
    struct nn_model *one = design_load(a), *other = design_load(c);
    static const char *const drawn[] = {"embedding.weight", "lstm.weight",
                                        "lstm.recurrent_weight", "dense.weight"};
    for (int i = 0; i < 4; i++) {
        const struct nn_tensor *x = design_weight(one, drawn[i]),
                               *y = design_weight(other, drawn[i]);
        ck_assert_msg(memcmp(x->data, y->data, nn_tensor_bytes(x)) != 0, "%s", drawn[i]);
    }
    nn_model_unref(one);
    nn_model_unref(other);
    train_design_destroy(a);
    train_design_destroy(b);
    train_design_destroy(c);
}
END_TEST

/* --- summary ------------------------------------------------------------------------------ */

START_TEST(the_summary_is_that_of_keras)
{
    struct train_design *design =
        design_make("28x28x1", "conv2d 32 3 relu; conv2d 64 3; flatten; dense 10", 1);
    char *text = train_design_summary(design);
    ck_assert_str_eq(text,
                     "_________________________________________________________________\n"
                     " Layer (type)                Output Shape              Param #\n"
                     "=================================================================\n"
                     " conv2d (Conv2D)             (None, 26, 26, 32)        320\n"
                     " conv2d_1 (Conv2D)           (None, 24, 24, 64)        18496\n"
                     " flatten (Flatten)           (None, 36864)             0\n"
                     " dense (Dense)               (None, 10)                368650\n"
                     "=================================================================\n"
                     "Total params: 387,466\n"
                     "Trainable params: 387,466\n"
                     "Non-trainable params: 0\n"
                     "_________________________________________________________________\n");
    free(text);
    train_design_destroy(design);
}
END_TEST

START_TEST(layers_within_layers_are_listed_below_them)
{
    struct train_design *design = design_make(
        "4x8x8x1", "time_distributed(conv2d 2 3; batchnorm; flatten); lstm 3; dense 2", 1);
    char *text = train_design_summary(design);
    ck_assert_str_eq(
        text,
        "__________________________________________________________________________________\n"
        " Layer (type)                                 Output Shape              Param #\n"
        "==================================================================================\n"
        " time_distributed (TimeDistributed)           (None, 4, 72)             28\n"
        "     conv2d (Conv2D)                          (None, 6, 6, 2)           20\n"
        "     batch_normalization (BatchNormalization) (None, 6, 6, 2)           8\n"
        "     flatten (Flatten)                        (None, 72)                0\n"
        " lstm (LSTM)                                  (None, 3)                 912\n"
        " dense (Dense)                                (None, 2)                 8\n"
        "==================================================================================\n"
        "Total params: 948\n"
        "Trainable params: 944\n"
        "Non-trainable params: 4\n"
        "__________________________________________________________________________________"
        "\n");
    free(text);
    train_design_destroy(design);
}
END_TEST

int main(void)
{
    TCase *whole = tcase_create("whole");
    tcase_set_timeout(whole, 120);
    tcase_add_loop_test(whole, a_program_has_the_parameters_and_shapes_of_keras, 0,
                        PROGRAM_COUNT);
    tcase_add_loop_test(whole, a_program_runs_with_any_batch, 0, PROGRAM_COUNT);
    tcase_add_test(whole, what_a_layer_makes_has_its_name);
    tcase_add_test(whole, what_the_file_holds_is_learned);
    tcase_add_test(whole, a_window_is_cut_on_its_time_axis);
    TCase *first = tcase_create("first");
    tcase_add_test(first, kernels_begin_as_glorot_says);
    tcase_add_test(first, what_multiplies_the_state_begins_orthogonal);
    tcase_add_test(first, the_rest_begins_as_in_keras);
    tcase_add_test(first, weights_of_one_shape_begin_apart);
    tcase_add_test(first, a_seed_is_a_file);
    TCase *summary = tcase_create("summary");
    tcase_add_test(summary, the_summary_is_that_of_keras);
    tcase_add_test(summary, layers_within_layers_are_listed_below_them);
    TCase *cases[] = {whole, first, summary};
    return suite_run("nn/train/design", cases, 3);
}
