/* Streaming by the time cut against whole runs: the same numbers, whatever the graph. */
#include <errno.h>
#include <math.h>

#include "nn/plan_parts.h"
#include "nn/planner.h"
#include "tests/file.h"
#include "tests/nn/net.h"

static struct nn_model *load_file(const char *path)
{
    size_t size;
    void *bytes = file_whole(path, &size);
    ck_assert_msg(bytes != NULL, "no %s", path);
    struct nn_model *model = NULL;
    struct nn_error err = {{0}};
    int r = nn_model_load(bytes, size, &model, &err);
    free(bytes);
    ck_assert_msg(r == 0, "%s: %s", path, err.text);
    return model;
}

/* Steps of the given operator in a program. */
static int steps_of(const struct nn_program *program, const char *op)
{
    int count = 0;
    for (int s = 0; s < program->step_count; s++)
        count += strcmp(program->steps[s].call.op->name, op) == 0;
    return count;
}

static struct net plan_timed(struct nn_model *model, int axis, const struct nn_shape *shape,
                             enum nn_kernel_choice kernels)
{
    return net_plan(nn_model_ref(model), &(struct nn_plan_options){.input_shapes = shape,
                                                                   .time_axis = axis,
                                                                   .kernels = kernels});
}

/* Frame t of a long random sequence. */
static void make_frame(float *frame, size_t elements, int t)
{
    net_fill(frame, elements, 1000u + (uint32_t)t * 7919u);
}

/* The last `window` of `pushed` frames as one whole input, [before, window, after]. */
static void make_window(float *whole, const struct nn_shape *shape, int axis, int pushed)
{
    size_t before = (size_t)nn_shape_extent(shape, 0, axis), window = (size_t)shape->dim[axis];
    size_t elements = (size_t)nn_shape_count(shape) / window, after = elements / before;
    float *frame = malloc(elements * sizeof *frame);
    for (size_t t = 0; t < window; t++) {
        make_frame(frame, elements, pushed - (int)window + (int)t);
        for (size_t b = 0; b < before; b++)
            memcpy(whole + (b * window + t) * after, frame + b * after, after * sizeof *frame);
    }
    free(frame);
}

static void expect_same_outputs(const struct net *a, const struct net *b, const char *what)
{
    for (size_t i = 0; i < nn_model_output_count(a->model); i++) {
        const struct nn_tensor *x = nn_session_output(a->session, i);
        const struct nn_tensor *y = nn_session_output(b->session, i);
        ck_assert_msg(nn_shape_equal(&x->shape, &y->shape), "%s: output %zu", what, i);
        ck_assert_int_eq(x->type, y->type);
        if (x->type != NN_TYPE_FLOAT) {
            ck_assert_mem_eq(x->data, y->data, nn_tensor_bytes(x));
            continue;
        }
        for (int64_t e = 0; e < nn_shape_count(&x->shape); e++) {
            float p = ((float *)x->data)[e], q = ((float *)y->data)[e];
            ck_assert_msg(
                p == q || fabsf(p - q) <= 1e-5f * (1 + fabsf(q)) || (isnan(p) && isnan(q)),
                "%s: output %zu, element %lld: %.9g, not %.9g", what, i, (long long)e, p, q);
        }
    }
}

/* Streams `frames` frames and compares every window at every `stride` with a whole run. */
static void compare(struct nn_model *model, int axis, const struct nn_shape *shape, int frames,
                    int stride, const char *what)
{
    struct net stream = plan_timed(model, axis, shape, NN_KERNELS_BEST);
    struct net whole = plan_timed(model, -1, shape, NN_KERNELS_BEST);
    struct nn_plan_info info;
    nn_plan_describe(stream.plan, &info);
    int windows = 0;
    for (int t = 1; t <= frames; t++) {
        make_frame(nn_session_frame_buffer(stream.session), info.frame_elements, t - 1);
        ck_assert_int_eq(nn_session_push_frame(stream.session, NULL), 0);
        ck_assert_int_eq(nn_session_frames(stream.session), t < info.window ? t : info.window);
        if (t < info.window) {
            ck_assert_int_eq(nn_session_run_window(stream.session, NULL), -EAGAIN);
            continue;
        }
        if ((t - info.window) % stride != 0)
            continue;
        struct nn_error err = {{0}};
        ck_assert_msg(nn_session_run_window(stream.session, &err) == 0, "%s", err.text);
        make_window(nn_session_input(whole.session, 0)->data, shape, axis, t);
        net_run(&whole);
        expect_same_outputs(&stream, &whole, what);
        windows++;
    }
    ck_assert_int_gt(windows, 0);

    /* A whole run of the streaming plan goes the same way. */
    make_window(nn_session_input(stream.session, 0)->data, shape, axis, frames);
    net_run(&stream);
    make_window(nn_session_input(whole.session, 0)->data, shape, axis, frames);
    net_run(&whole);
    expect_same_outputs(&stream, &whole, what);
    ck_assert_int_eq(nn_session_frames(stream.session), 0);
    net_free(&stream);
    net_free(&whole);
}

/* --- Real models ------------------------------------------------------------------------ */

static void compare_model(struct nn_model *model, int per_frame_convolutions)
{
    struct nn_shape shape = nn_model_input(model, 0)->shape;
    shape.dim[0] = 1;
    struct net net = plan_timed(model, 1, &shape, NN_KERNELS_BEST);
    struct nn_plan_info info;
    nn_plan_describe(net.plan, &info);
    ck_assert_int_eq(info.window, shape.dim[1]);
    ck_assert_int_gt(info.frame_nodes, 0);
    ck_assert_int_eq(steps_of(&net.plan->frame, "Conv"), per_frame_convolutions);
    net_free(&net);
    for (int stride = 1; stride <= 5; stride += stride)
        compare(model, 1, &shape, 3 * (int)shape.dim[1], stride, "model");
    nn_model_unref(model);
}

START_TEST(streaming_equals_whole_windows_for_cnn_and_recurrent_models)
{
    static const char *const names[] = {"cnn_lstm_01", "cnn_lstm_03", "cnn_gru_02"};
    char below[128];
    snprintf(below, sizeof below, "onnx/gen/graph_cnn_rnn/%s/model.onnx", names[_i]);
    const char *path = suite_data(below);
    if (!path) {
        printf("# SKIP %s: no shared data here\n", names[_i]);
        return;
    }
    struct nn_model *model = load_file(path);
    struct nn_shape shape = nn_model_input(model, 0)->shape;
    shape.dim[0] = 1;
    struct net net = plan_timed(model, 1, &shape, NN_KERNELS_BEST);
    ck_assert_int_eq(steps_of(&net.plan->window, "Conv"), 0);
    ck_assert_int_eq(steps_of(&net.plan->frame, "LSTM") + steps_of(&net.plan->frame, "GRU"), 0);
    net_free(&net);
    compare_model(model, 2);
}
END_TEST

START_TEST(streaming_equals_whole_windows_for_the_scene_model)
{
    const char *root = getenv("VIGIL_SOURCE_ROOT");
    char path[4096];
    snprintf(path, sizeof path, "%s/models/scene.onnx", root ? root : ".");
    struct nn_model *model = load_file(path);
    /* The CNN that looks at single frames; what looks at changes runs per window. */
    compare_model(model, 3);
}
END_TEST

/* --- Graphs made here ------------------------------------------------------------------- */

/* Frames of 3 numbers, 4 to a window: x [1, 4, 3]. */
static struct onnx frames_of_three(void)
{
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, 4, 3));
    return o;
}

static struct nn_plan_info describe(struct nn_model *model, int axis)
{
    struct nn_shape shape = nn_model_input(model, 0)->shape;
    struct net net = plan_timed(model, axis, &shape, NN_KERNELS_BEST);
    struct nn_plan_info info;
    nn_plan_describe(net.plan, &info);
    net_free(&net);
    return info;
}

START_TEST(a_model_that_never_mixes_frames_has_only_a_frame_part)
{
    struct onnx o = frames_of_three();
    onnx_node(&o, "Tanh", "x", "t");
    onnx_node(&o, "Relu", "t", "y");
    onnx_output(&o, "t", 1, SCALAR);
    onnx_output(&o, "y", 1, SCALAR);
    struct nn_model *model = net_load(&o);
    struct nn_plan_info info = describe(model, 1);
    ck_assert_int_eq(info.frame_nodes, 2);
    ck_assert_int_eq(info.window_nodes, 0);
    compare(model, 1, &nn_model_input(model, 0)->shape, 9, 2, "no mixing");
    nn_model_unref(model);
}
END_TEST

START_TEST(a_model_that_mixes_at_once_keeps_its_input_frames)
{
    struct onnx o = frames_of_three();
    onnx_node(&o, "ReduceMean", "x", "mean");
    onnx_attribute_ints(&o, "axes", 1, (int64_t[]){1});
    onnx_node(&o, "Tanh", "mean", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct nn_model *model = net_load(&o);
    struct nn_plan_info info = describe(model, 1);
    ck_assert_int_eq(info.frame_nodes, 0);
    ck_assert_int_eq(info.window_nodes, 2);
    ck_assert_uint_eq(info.frame_elements, 3);
    compare(model, 1, &nn_model_input(model, 0)->shape, 9, 1, "mixes at once");
    nn_model_unref(model);
}
END_TEST

START_TEST(time_may_be_the_last_axis)
{
    struct onnx o = frames_of_three();
    onnx_node(&o, "Tanh", "x", "t");
    onnx_node(&o, "Transpose", "t", "u");
    onnx_attribute_ints(&o, "perm", 3, (int64_t[]){2, 0, 1});
    onnx_node(&o, "ReduceMean", "u", "y");
    onnx_attribute_ints(&o, "axes", 1, (int64_t[]){0});
    onnx_output(&o, "y", 1, SCALAR);
    onnx_output(&o, "u", 1, SCALAR);
    struct nn_model *model = net_load(&o);
    ck_assert_int_eq(describe(model, 2).window_nodes, 1);
    compare(model, 2, &nn_model_input(model, 0)->shape, 8, 1, "time last");
    nn_model_unref(model);
}
END_TEST

START_TEST(several_values_may_cross_the_cut)
{
    /* The difference of neighbouring frames, beside what each frame shows: two Slices on time
     * of one value, one of another, and the input itself read again after the cut. */
    struct onnx o = frames_of_three();
    onnx_ints(&o, "zero", DIMS(1), (int64_t[]){0});
    onnx_ints(&o, "one", DIMS(1), (int64_t[]){1});
    onnx_ints(&o, "three", DIMS(1), (int64_t[]){3});
    onnx_ints(&o, "four", DIMS(1), (int64_t[]){4});
    onnx_node(&o, "Tanh", "x", "look");
    onnx_node(&o, "Sigmoid", "x", "half");
    onnx_node(&o, "Slice", "half one four one", "now");
    onnx_node(&o, "Slice", "half zero three one", "before");
    onnx_node(&o, "Sub", "now before", "change");
    onnx_node(&o, "Slice", "look one four one", "seen");
    onnx_node(&o, "Slice", "x one four one", "raw");
    onnx_node(&o, "Concat", "change seen raw", "y");
    onnx_attribute_int(&o, "axis", 2);
    onnx_output(&o, "y", 1, SCALAR);
    struct nn_model *model = net_load(&o);
    struct nn_shape shape = nn_model_input(model, 0)->shape;
    struct net net = plan_timed(model, 1, &shape, NN_KERNELS_BEST);
    ck_assert_int_eq(net.plan->ring_count, 3);
    ck_assert_int_eq(net.plan->frame_nodes, 2);
    net_free(&net);
    compare(model, 1, &shape, 10, 1, "several crossing");
    nn_model_unref(model);
}
END_TEST

/* Each: the node that must end the frame part, after a Tanh that is in it. */
START_TEST(the_cut_is_before_whatever_mixes_frames)
{
    for (int which = 0; which < 10; which++) {
        struct onnx o = frames_of_three();
        onnx_ints(&o, "zero", DIMS(1), (int64_t[]){0});
        onnx_ints(&o, "one", DIMS(1), (int64_t[]){1});
        onnx_ints(&o, "three", DIMS(1), (int64_t[]){3});
        onnx_ints(&o, "back", DIMS(1), (int64_t[]){-1});
        onnx_ints(&o, "far", DIMS(1), (int64_t[]){INT64_MIN});
        onnx_ints(&o, "order", DIMS(4), (int64_t[]){3, 2, 1, 0});
        onnx_ints(&o, "folded", DIMS(3), (int64_t[]){1, 2, 6});
        float per_frame[] = {1, 2, 3, 4};
        onnx_floats(&o, "weights", DIMS(4, 1), per_frame);
        onnx_node(&o, "Tanh", "x", "t");
        switch (which) {
        case 0: /* part of the frames */
            onnx_node(&o, "Slice", "t zero three one", "y");
            break;
        case 1: /* backwards */
            onnx_node(&o, "Slice", "t back far one back", "y");
            break;
        case 2:
            onnx_node(&o, "Gather", "t order", "y");
            onnx_attribute_int(&o, "axis", 1);
            break;
        case 3:
            onnx_node(&o, "Concat", "t t", "y");
            onnx_attribute_int(&o, "axis", 1);
            break;
        case 4:
            onnx_node(&o, "ReduceMean", "t", "y");
            onnx_attribute_ints(&o, "axes", 2, (int64_t[]){1, 2});
            break;
        case 5: /* a constant that differs from frame to frame */
            onnx_node(&o, "Mul", "t weights", "y");
            break;
        case 6: /* two frames in one row */
            onnx_node(&o, "Reshape", "t folded", "y");
            break;
        case 7: /* every frame against every other */
            onnx_node(&o, "Transpose", "t", "u");
            onnx_attribute_ints(&o, "perm", 3, (int64_t[]){1, 0, 2});
            onnx_node(&o, "Sub", "t u", "y");
            break;
        case 8:
            onnx_node(&o, "Softmax", "t", "y");
            onnx_attribute_int(&o, "axis", 1);
            break;
        case 9: /* x xᵀ */
            onnx_node(&o, "Transpose", "t", "u");
            onnx_attribute_ints(&o, "perm", 3, (int64_t[]){0, 2, 1});
            onnx_node(&o, "MatMul", "t u", "y");
            break;
        }
        onnx_output(&o, "y", 1, SCALAR);
        struct nn_model *model = net_load(&o);
        struct nn_plan_info info = describe(model, 1);
        ck_assert_msg(info.window_nodes == 1, "case %d: %d nodes per window", which,
                      info.window_nodes);
        ck_assert_msg(info.frame_nodes >= 1, "case %d: %d nodes per frame", which,
                      info.frame_nodes);
        compare(model, 1, &nn_model_input(model, 0)->shape, 9, 1, "mixing");
        nn_model_unref(model);
    }
}
END_TEST

START_TEST(what_reads_another_input_waits_for_the_window)
{
    struct onnx o = frames_of_three();
    onnx_input(&o, "gain", 1, DIMS(1, 1, 3));
    onnx_node(&o, "Tanh", "x", "t");
    onnx_node(&o, "Mul", "t gain", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct nn_model *model = net_load(&o);
    struct net net = plan_timed(model, 1, NULL, NN_KERNELS_BEST);
    nn_model_unref(model);
    struct nn_plan_info info;
    nn_plan_describe(net.plan, &info);
    ck_assert_int_eq(info.frame_nodes, 1);
    float *frame = nn_session_frame_buffer(net.session);
    for (int t = 0; t < 4; t++) {
        make_frame(frame, 3, t);
        ck_assert_int_eq(nn_session_push_frame(net.session, NULL), 0);
    }
    for (int gain = 1; gain < 4; gain++) {
        net_set(&net, 1, (float[]){(float)gain, (float)gain, (float)gain});
        ck_assert_int_eq(nn_session_run_window(net.session, NULL), 0);
        for (int t = 0; t < 4; t++) {
            make_frame(frame, 3, t);
            for (int i = 0; i < 3; i++)
                ck_assert_float_eq_tol(net_floats(&net, 0)[3 * t + i],
                                       (float)gain * tanhf(frame[i]), 1e-5f);
        }
    }
    net_free(&net);
}
END_TEST

START_TEST(a_reset_forgets_all_frames)
{
    struct onnx o = frames_of_three();
    onnx_node(&o, "Relu", "x", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_plan(net_load(&o), &(struct nn_plan_options){.time_axis = 1});
    for (int t = 0; t < 6; t++)
        ck_assert_int_eq(nn_session_push_frame(net.session, NULL), 0);
    ck_assert_int_eq(nn_session_frames(net.session), 4);
    nn_session_reset(net.session);
    ck_assert_int_eq(nn_session_frames(net.session), 0);
    struct nn_error err = {{0}};
    ck_assert_int_eq(nn_session_run_window(net.session, &err), -EAGAIN);
    ck_assert_str_eq(err.text, "0 of 4 frames are there");
    net_free(&net);
}
END_TEST

START_TEST(a_plan_without_time_does_not_stream)
{
    struct onnx o = frames_of_three();
    onnx_node(&o, "Relu", "x", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct net net = net_make(&o);
    ck_assert_ptr_null(nn_session_frame_buffer(net.session));
    ck_assert_int_eq(nn_session_push_frame(net.session, NULL), -EINVAL);
    ck_assert_int_eq(nn_session_run_window(net.session, NULL), -EINVAL);
    net_free(&net);
}
END_TEST

START_TEST(impossible_time_axes_are_refused)
{
    struct onnx o = frames_of_three();
    onnx_node(&o, "Relu", "x", "y");
    onnx_output(&o, "y", 1, SCALAR);
    struct nn_model *model = net_load(&o);
    struct nn_plan *plan = NULL;
    struct nn_error err = {{0}};
    struct nn_plan_options options = {.time_axis = 3};
    ck_assert_int_eq(nn_plan_create(model, &options, &plan, &err), -EINVAL);
    ck_assert_str_eq(err.text, "input 'x' has 3 dimensions, no time axis 3");
    nn_model_unref(model);

    o = onnx_start(13);
    onnx_input(&o, "x", 7, DIMS(1, 4));
    onnx_node(&o, "Identity", "x", "y");
    onnx_output(&o, "y", 7, SCALAR);
    model = net_load(&o);
    options.time_axis = 1;
    ck_assert_int_eq(nn_plan_create(model, &options, &plan, &err), -ENOTSUP);
    ck_assert_str_eq(err.text, "frames are float32, input 'x' is int64");
    nn_model_unref(model);
}
END_TEST

/* --- What operators answer -------------------------------------------------------------- */

/* The rule of one operator over shapes whose time axes are given, without the check that
 * follows it in the planner. -1: frames mix; else the axis of output 0. */
static int ask(const char *op, struct nn_attribute *attributes, int attribute_count,
               struct onnx_dims a, int a_axis, struct onnx_dims b, int b_axis,
               struct onnx_dims y)
{
    struct nn_node node = {.name = "n",
                           .op = nn_op_find(op),
                           .attributes = attributes,
                           .attribute_count = attribute_count};
    struct nn_tensor tensors[3] = {{.type = NN_TYPE_FLOAT}, {.type = NN_TYPE_FLOAT}};
    const struct onnx_dims *dims[] = {&a, &b, &y};
    for (int i = 0; i < 3; i++) {
        tensors[i].shape.rank = dims[i]->rank;
        memcpy(tensors[i].shape.dim, dims[i]->dim, sizeof tensors[i].shape.dim);
    }
    struct nn_op_call call = {.op = node.op,
                              .node = &node,
                              .opset = 13,
                              .input_count = b.rank > 0 ? 2 : 1,
                              .inputs = tensors,
                              .output_count = 1,
                              .outputs = &tensors[2]};
    int in[] = {a_axis, b_axis}, out = NN_TIME_NONE;
    return node.op->time(&call, in, &out) ? out : -1;
}

START_TEST(operators_know_whether_they_mix_frames)
{
    const struct onnx_dims none = SCALAR, x = DIMS(2, 4, 3);
    /* Broadcasting: aligned at the right, never over the time axis itself. */
    ck_assert_int_eq(ask("Add", NULL, 0, x, 1, DIMS(2, 4, 3), 1, x), 1);
    ck_assert_int_eq(ask("Add", NULL, 0, x, 1, DIMS(4, 3), 0, x), 1);
    ck_assert_int_eq(ask("Add", NULL, 0, x, 1, DIMS(1, 3), -1, x), 1);
    ck_assert_int_eq(ask("Add", NULL, 0, x, 1, DIMS(3), -1, x), 1);
    ck_assert_int_eq(ask("Add", NULL, 0, x, 1, DIMS(4, 1), -1, x), -1);
    ck_assert_int_eq(ask("Add", NULL, 0, DIMS(4, 4), 0, DIMS(4, 4), 1, DIMS(4, 4)), -1);
    ck_assert_int_eq(ask("Add", NULL, 0, DIMS(1, 3), 0, DIMS(8, 3), -1, DIMS(8, 3)), -1);
    ck_assert_int_eq(ask("Add", NULL, 0, DIMS(4, 1), 1, DIMS(4, 3), -1, DIMS(4, 3)), -1);
    /* Reducing moves the axes behind. */
    struct nn_attribute axes = {
        .name = "axes", .type = NN_ATTRIBUTE_INTS, .count = 1, .ints = (int64_t[]){1}};
    ck_assert_int_eq(ask("ReduceMean", &axes, 1, x, 0, none, -1, DIMS(2, 1, 3)), 0);
    ck_assert_int_eq(ask("ReduceMean", &axes, 1, x, 1, none, -1, DIMS(2, 1, 3)), -1);
    ck_assert_int_eq(ask("ReduceMean", &axes, 1, x, 2, none, -1, DIMS(2, 1, 3)), 2);
    struct nn_attribute dropped[] = {axes,
                                     {.name = "keepdims", .type = NN_ATTRIBUTE_INT, .i = 0}};
    ck_assert_int_eq(ask("ReduceMean", dropped, 2, x, 0, none, -1, DIMS(2, 3)), 0);
    ck_assert_int_eq(ask("ReduceMean", dropped, 2, x, 2, none, -1, DIMS(2, 3)), 1);
    /* Gather: rank of the indices comes in where the axis was. */
    struct nn_attribute axis = {.name = "axis", .type = NN_ATTRIBUTE_INT, .i = 1};
    ck_assert_int_eq(ask("Gather", &axis, 1, x, 0, DIMS(5, 6), -1, DIMS(2, 5, 6, 3)), 0);
    ck_assert_int_eq(ask("Gather", &axis, 1, x, 1, DIMS(5, 6), -1, DIMS(2, 5, 6, 3)), -1);
    ck_assert_int_eq(ask("Gather", &axis, 1, x, 2, DIMS(5, 6), -1, DIMS(2, 5, 6, 3)), 3);
    ck_assert_int_eq(ask("Gather", &axis, 1, x, -1, DIMS(5, 6), 1, DIMS(2, 5, 6, 3)), 2);
    ck_assert_int_eq(ask("Gather", &axis, 1, x, 0, DIMS(5, 6), 0, DIMS(2, 5, 6, 3)), -1);
    ck_assert_int_eq(ask("GatherElements", &axis, 1, x, 0, DIMS(2, 4, 3), 0, x), 0);
    ck_assert_int_eq(ask("GatherElements", &axis, 1, x, 1, DIMS(2, 4, 3), 1, x), -1);
    ck_assert_int_eq(ask("GatherElements", &axis, 1, x, 0, DIMS(2, 4, 3), -1, x), -1);
    ck_assert_int_eq(ask("GatherElements", &axis, 1, x, 2, DIMS(2, 4, 1), 2, DIMS(2, 4, 1)),
                     -1);
    ck_assert_int_eq(ask("Split", &axis, 1, x, 0, none, -1, DIMS(2, 4, 3)), 0);
    ck_assert_int_eq(ask("Split", &axis, 1, x, 1, none, -1, DIMS(2, 4, 3)), -1);
    ck_assert_int_eq(ask("Trilu", NULL, 0, x, 0, none, -1, x), 0);
    ck_assert_int_eq(ask("Trilu", NULL, 0, x, 1, none, -1, x), -1);
    ck_assert_int_eq(ask("Concat", &axis, 1, x, 0, DIMS(2, 4, 3), 0, DIMS(2, 8, 3)), 0);
    ck_assert_int_eq(ask("Concat", &axis, 1, x, 1, DIMS(2, 4, 3), 1, DIMS(2, 8, 3)), -1);
    ck_assert_int_eq(ask("Concat", &axis, 1, x, 0, DIMS(2, 4, 3), -1, DIMS(2, 8, 3)), -1);
    ck_assert_int_eq(ask("Concat", &axis, 1, x, 0, DIMS(2, 4, 3), 2, DIMS(2, 8, 3)), -1);
    ck_assert_int_eq(ask("Softmax", &axis, 1, x, 1, none, -1, x), -1);
    ck_assert_int_eq(ask("Softmax", &axis, 1, x, 2, none, -1, x), 2);
    /* Products: rows of the first operand, never what is summed over. */
    ck_assert_int_eq(ask("MatMul", NULL, 0, x, 1, DIMS(3, 5), -1, DIMS(2, 4, 5)), 1);
    ck_assert_int_eq(ask("MatMul", NULL, 0, x, 2, DIMS(3, 5), -1, DIMS(2, 4, 5)), -1);
    ck_assert_int_eq(ask("Gemm", NULL, 0, DIMS(4, 3), 0, DIMS(3, 5), -1, DIMS(4, 5)), 0);
    ck_assert_int_eq(ask("Gemm", NULL, 0, DIMS(4, 3), 1, DIMS(3, 5), -1, DIMS(4, 5)), -1);
    /* Images: time is the batch. */
    ck_assert_int_eq(
        ask("GlobalAveragePool", NULL, 0, DIMS(4, 2, 5), 0, none, -1, DIMS(4, 2, 1)), 0);
    ck_assert_int_eq(
        ask("GlobalAveragePool", NULL, 0, DIMS(4, 2, 5), 2, none, -1, DIMS(4, 2, 1)), -1);
}
END_TEST

static int halve(struct nn_op_call *call)
{
    call->outputs[0].type = call->inputs[0].type;
    call->outputs[0].shape = (struct nn_shape){.rank = 1, .dim = {2}};
    return 0;
}

static bool claim(const struct nn_op_call *call, const int *in, int *out)
{
    (void)call;
    out[0] = in[0];
    return true;
}

START_TEST(an_operator_whose_pieces_do_not_fit_runs_per_window_whatever_it_says)
{
    /* It claims to work per frame, and gives two elements for four frames and for one. */
    const struct nn_op liar = {.name = "Liar", .infer = halve, .time = claim};
    int zero = 0, one = 1;
    struct nn_node node = {.name = "n", .op = &liar};
    struct nn_plan_node planned = {.op = &liar,
                                   .node = &node,
                                   .input_count = 1,
                                   .output_count = 1,
                                   .inputs = &zero,
                                   .outputs = &one};
    struct nn_plan_node *nodes[] = {&planned};
    struct nn_plan_value values[2] = {
        {.tensor = {.type = NN_TYPE_FLOAT, .shape = {.rank = 1, .dim = {4}}}},
        {.tensor = {.type = NN_TYPE_FLOAT, .shape = {.rank = 1, .dim = {2}}}}};
    struct nn_model model = {.opset = 13,
                             .value_count = 2,
                             .input_count = 1,
                             .inputs = &zero,
                             .output_count = 1,
                             .outputs = &one};
    struct nn_planner p = {
        .model = &model, .values = values, .value_count = 2, .nodes = nodes, .node_count = 1};
    nn_pool_init(&p.scratch, 1 << 20);
    p.pool = &p.scratch;
    ck_assert_int_eq(nn_cut_time(&p, 0, 0), 0);
    ck_assert(!p.in_frame[0]);
    ck_assert_int_eq(p.axis[1], NN_TIME_NONE);
    ck_assert_int_eq(p.crossing_count, 1);
    ck_assert_int_eq(p.crossing[0], 0);
    nn_pool_finish(&p.scratch);
}
END_TEST

/* --- Any graph -------------------------------------------------------------------------- */

/* Grows a random graph node by node over values whose shapes it knows. */
struct growth {
    struct onnx o;
    uint32_t random;
    int count, constants;
    struct onnx_dims shapes[32];
};

static int pick(struct growth *g, int below)
{
    g->random = g->random * 1664525u + 1013904223u;
    return (int)((uint64_t)(g->random >> 8) * (uint64_t)below >> 24);
}

static void name_of(char *name, int value)
{
    snprintf(name, 16, "v%d", value);
}

static void add_node(struct growth *g, const char *op, const char *inputs,
                     struct onnx_dims shape)
{
    char name[16];
    name_of(name, g->count);
    onnx_node(&g->o, op, inputs, name);
    g->shapes[g->count++] = shape;
}

static void add_ints(struct growth *g, char *name, int count, const int64_t *values)
{
    snprintf(name, 16, "c%d", g->constants++);
    onnx_ints(&g->o, name, DIMS(count), values);
}

static void grow_binary(struct growth *g, int a, const char *from)
{
    static const char *const ops[] = {"Add", "Sub", "Mul"};
    char inputs[40], other[16];
    struct onnx_dims shape = g->shapes[a];
    /* With another value of the same shape when there is one, else with a constant that is
     * broadcast in some dimensions. */
    int b = pick(g, g->count);
    if (g->shapes[b].rank == shape.rank &&
        memcmp(g->shapes[b].dim, shape.dim, sizeof shape.dim) == 0 && pick(g, 3)) {
        name_of(other, b);
    } else {
        struct onnx_dims constant = shape;
        for (int d = 0; d < constant.rank; d++)
            if (pick(g, 3))
                constant.dim[d] = 1;
        size_t elements = onnx_dims_count(constant);
        float *values = malloc(elements * sizeof *values);
        net_fill(values, elements, g->random);
        snprintf(other, sizeof other, "c%d", g->constants++);
        onnx_floats(&g->o, other, constant, values);
        free(values);
    }
    snprintf(inputs, sizeof inputs, "%s %s", from, other);
    add_node(g, ops[pick(g, 3)], inputs, shape);
}

static void grow_transpose(struct growth *g, const char *from, struct onnx_dims shape)
{
    struct onnx_dims to = shape;
    int64_t perm[8];
    for (int d = 0; d < shape.rank; d++)
        perm[d] = d;
    for (int d = shape.rank - 1; d > 0; d--) {
        int other = pick(g, d + 1);
        int64_t swap = perm[d];
        perm[d] = perm[other];
        perm[other] = swap;
    }
    for (int d = 0; d < shape.rank; d++)
        to.dim[d] = shape.dim[perm[d]];
    add_node(g, "Transpose", from, to);
    onnx_attribute_ints(&g->o, "perm", shape.rank, perm);
}

/* Joins two neighbouring dimensions, or splits one, or adds a 1. */
static void grow_reshape(struct growth *g, const char *from, struct onnx_dims shape)
{
    struct onnx_dims to = {0};
    int at = pick(g, shape.rank), how = pick(g, 3);
    for (int d = 0; d < shape.rank; d++) {
        if (d == at && how == 0 && d + 1 < shape.rank) {
            to.dim[to.rank++] = shape.dim[d] * shape.dim[d + 1];
            d++;
        } else if (d == at && how == 1 && shape.dim[d] % 2 == 0 && shape.rank < 6) {
            bool front = pick(g, 2);
            to.dim[to.rank++] = front ? 2 : shape.dim[d] / 2;
            to.dim[to.rank++] = front ? shape.dim[d] / 2 : 2;
        } else if (d == at && how == 2 && shape.rank < 6) {
            to.dim[to.rank++] = 1;
            to.dim[to.rank++] = shape.dim[d];
        } else {
            to.dim[to.rank++] = shape.dim[d];
        }
    }
    char constant[16], inputs[40];
    add_ints(g, constant, to.rank, to.dim);
    snprintf(inputs, sizeof inputs, "%s %s", from, constant);
    add_node(g, "Reshape", inputs, to);
}

static void grow_slice(struct growth *g, const char *from, struct onnx_dims shape)
{
    int axis = pick(g, shape.rank);
    int64_t dim = shape.dim[axis], start = pick(g, 2) && dim > 1, end = dim - (pick(g, 3) == 0);
    if (end <= start)
        end = start + 1;
    shape.dim[axis] = end - start;
    char a[16], b[16], c[16], inputs[80];
    int64_t where = axis, far = end == dim ? INT64_MAX : end;
    add_ints(g, a, 1, &start);
    add_ints(g, b, 1, &far);
    add_ints(g, c, 1, &where);
    snprintf(inputs, sizeof inputs, "%s %s %s %s", from, a, b, c);
    add_node(g, "Slice", inputs, shape);
}

static void grow_reduce_or_softmax(struct growth *g, const char *from, struct onnx_dims shape)
{
    int64_t axis = pick(g, shape.rank);
    if (pick(g, 2)) {
        add_node(g, "Softmax", from, shape);
        onnx_attribute_int(&g->o, "axis", axis);
        return;
    }
    bool keep = pick(g, 2) || shape.rank == 1;
    shape.dim[axis] = 1;
    if (!keep) {
        for (int d = (int)axis; d + 1 < shape.rank; d++)
            shape.dim[d] = shape.dim[d + 1];
        shape.dim[--shape.rank] = 0;
    }
    add_node(g, "ReduceMean", from, shape);
    onnx_attribute_ints(&g->o, "axes", 1, &axis);
    onnx_attribute_int(&g->o, "keepdims", keep);
}

static void grow_concat_or_gather(struct growth *g, const char *from, struct onnx_dims shape)
{
    int axis = pick(g, shape.rank);
    char inputs[40], constant[16];
    int how = pick(g, 3);
    if (how == 0) {
        snprintf(inputs, sizeof inputs, "%s %s", from, from);
        shape.dim[axis] *= 2;
        add_node(g, "Concat", inputs, shape);
    } else if (how == 1) {
        const int64_t rows[] = {shape.dim[0] - 1, -1, 0};
        snprintf(constant, sizeof constant, "c%d", g->constants++);
        onnx_ints(&g->o, constant, DIMS(3, 1), rows);
        snprintf(inputs, sizeof inputs, "%s %s", from, constant);
        shape.dim[0] = 3;
        add_node(g, "GatherND", inputs, shape);
        return;
    } else {
        int64_t indices[] = {shape.dim[axis] - 1, 0, -1};
        add_ints(g, constant, 3, indices);
        snprintf(inputs, sizeof inputs, "%s %s", from, constant);
        shape.dim[axis] = 3;
        add_node(g, "Gather", inputs, shape);
    }
    onnx_attribute_int(&g->o, "axis", axis);
}

static void grow_product(struct growth *g, const char *from, struct onnx_dims shape)
{
    int64_t inner = shape.dim[shape.rank - 1];
    float *weights = malloc((size_t)inner * 3 * sizeof *weights);
    net_fill(weights, (size_t)inner * 3, g->random);
    char constant[16], inputs[40];
    snprintf(constant, sizeof constant, "c%d", g->constants++);
    onnx_floats(&g->o, constant, DIMS(inner, 3), weights);
    free(weights);
    snprintf(inputs, sizeof inputs, "%s %s", from, constant);
    shape.dim[shape.rank - 1] = 3;
    add_node(g, shape.rank == 2 && pick(g, 2) ? "Gemm" : "MatMul", inputs, shape);
}

/* Repeats or pads one axis, or cuts it in two and keeps one part. */
static void grow_repeat(struct growth *g, const char *from, struct onnx_dims shape)
{
    int axis = pick(g, shape.rank), how = pick(g, 3);
    char constant[16], inputs[40];
    int64_t list[16] = {0};
    if (how == 0) {
        for (int d = 0; d < shape.rank; d++)
            list[d] = d == axis ? 2 : 1;
        shape.dim[axis] *= 2;
        add_ints(g, constant, shape.rank, list);
    } else if (how == 1) {
        list[axis] = pick(g, 2);
        list[shape.rank + axis] = pick(g, 2);
        shape.dim[axis] += list[axis] + list[shape.rank + axis];
        add_ints(g, constant, 2 * shape.rank, list);
    } else {
        list[0] = shape.dim[axis] / 2;
        list[1] = shape.dim[axis] = shape.dim[axis] - list[0];
        add_ints(g, constant, 2, list);
    }
    snprintf(inputs, sizeof inputs, "%s %s", from, constant);
    if (how < 2) {
        add_node(g, how == 0 ? "Tile" : "Pad", inputs, shape);
        return;
    }
    char outputs[40];
    snprintf(outputs, sizeof outputs, "- v%d", g->count);
    onnx_node(&g->o, "Split", inputs, outputs);
    onnx_attribute_int(&g->o, "axis", axis);
    g->shapes[g->count++] = shape;
}

/* The greater of a value and another, chosen by a comparison. */
static void grow_choice(struct growth *g, const char *from, struct onnx_dims shape)
{
    char nodes[3][24], inputs[80];
    const int64_t last = shape.dim[shape.rank - 1];
    float values[64] = {0};
    int n = g->constants++;
    if (last > 64)
        return;
    net_fill(values, (size_t)last, g->random);
    snprintf(nodes[0], sizeof nodes[0], "c%d", n);
    snprintf(nodes[1], sizeof nodes[1], "less%d", n);
    snprintf(nodes[2], sizeof nodes[2], "number%d", n);
    onnx_floats(&g->o, nodes[0], DIMS(last), values);
    snprintf(inputs, sizeof inputs, "%s %s", from, nodes[0]);
    onnx_node(&g->o, "Less", inputs, nodes[1]);
    onnx_node(&g->o, "Cast", nodes[1], nodes[2]);
    onnx_attribute_int(&g->o, "to", 1);
    if (pick(g, 2)) {
        snprintf(inputs, sizeof inputs, "%s %s %s", nodes[1], nodes[0], from);
        add_node(g, "Where", inputs, shape);
    } else {
        snprintf(inputs, sizeof inputs, "%s %s %s", nodes[2], from, nodes[0]);
        add_node(g, pick(g, 2) ? "Max" : "Sum", inputs, shape);
    }
}

static void grow_expand(struct growth *g, const char *from, struct onnx_dims shape)
{
    char constant[16], inputs[40];
    int64_t list[16];
    for (int d = 0; d < shape.rank; d++) {
        list[d] = shape.dim[d] == 1 && pick(g, 2) ? 2 : 1;
        shape.dim[d] *= list[d];
    }
    add_ints(g, constant, shape.rank, list);
    snprintf(inputs, sizeof inputs, "%s %s", from, constant);
    add_node(g, "Expand", inputs, shape);
}

static void grow(struct growth *g)
{
    /* Mostly from the newest value, so that graphs get deep. */
    int a = pick(g, 4) ? g->count - 1 : pick(g, g->count);
    struct onnx_dims shape = g->shapes[a];
    char from[16];
    name_of(from, a);
    if (shape.rank == 0 || onnx_dims_count(shape) > 2000)
        return;
    switch (pick(g, 13)) {
    case 0:
        add_node(g, "Tanh", from, shape);
        break;
    case 1:
        add_node(g, "LeakyRelu", from, shape);
        break;
    case 2:
    case 3:
        grow_binary(g, a, from);
        break;
    case 4:
        grow_transpose(g, from, shape);
        break;
    case 5:
        grow_reshape(g, from, shape);
        break;
    case 6:
        grow_slice(g, from, shape);
        break;
    case 7:
        grow_reduce_or_softmax(g, from, shape);
        break;
    case 8:
        grow_concat_or_gather(g, from, shape);
        break;
    case 9:
        grow_product(g, from, shape);
        break;
    case 10:
        grow_repeat(g, from, shape);
        break;
    case 11:
        grow_choice(g, from, shape);
        break;
    case 12:
        grow_expand(g, from, shape);
        break;
    }
}

START_TEST(streaming_equals_whole_windows_for_random_graphs)
{
    enum { GRAPHS = 150 };
    int cut = 0, frame_nodes = 0;
    for (int n = 0; n < GRAPHS; n++) {
        struct growth g = {.o = onnx_start(13),
                           .random = (uint32_t)(_i * GRAPHS + n) * 2654435761u};
        int axis = pick(&g, 3);
        static const struct onnx_dims starts[] = {
            {3, {4, 3, 4}}, {3, {1, 4, 6}}, {4, {1, 2, 3, 4}}};
        struct onnx_dims start = starts[pick(&g, 3)];
        onnx_input(&g.o, "v0", 1, start);
        g.shapes[g.count++] = start;
        int wanted = 3 + pick(&g, 12);
        for (int tries = 0; g.count < wanted && tries < 100; tries++)
            grow(&g);
        char name[16];
        name_of(name, g.count - 1);
        onnx_output(&g.o, name, 1, SCALAR);
        name_of(name, 1);
        if (g.count > 2)
            onnx_output(&g.o, name, 1, SCALAR);
        struct nn_model *model = net_load(&g.o);
        struct nn_shape shape = nn_model_input(model, 0)->shape;
        struct nn_plan_info info = describe(model, axis);
        cut += info.frame_nodes > 0 && info.window_nodes > 0;
        frame_nodes += info.frame_nodes;
        char what[64];
        snprintf(what, sizeof what, "graph %d of %d, axis %d", n, _i, axis);
        compare(model, axis, &shape, 2 * (int)shape.dim[axis] + 1, 1, what);
        nn_model_unref(model);
    }
    /* The comparison means something only where there was a cut. */
    ck_assert_int_gt(cut, GRAPHS / 5);
    ck_assert_int_gt(frame_nodes, GRAPHS);
}
END_TEST

static TCase *rules_case(void)
{
    TCase *c = tcase_create("rules");
    tcase_add_test(c, operators_know_whether_they_mix_frames);
    tcase_add_test(c, an_operator_whose_pieces_do_not_fit_runs_per_window_whatever_it_says);
    return c;
}

static TCase *models_case(void)
{
    TCase *c = tcase_create("models");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, streaming_equals_whole_windows_for_cnn_and_recurrent_models, 0, 3);
    tcase_add_test(c, streaming_equals_whole_windows_for_the_scene_model);
    return c;
}

static TCase *graphs_case(void)
{
    TCase *c = tcase_create("graphs");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_model_that_never_mixes_frames_has_only_a_frame_part);
    tcase_add_test(c, a_model_that_mixes_at_once_keeps_its_input_frames);
    tcase_add_test(c, time_may_be_the_last_axis);
    tcase_add_test(c, several_values_may_cross_the_cut);
    tcase_add_test(c, the_cut_is_before_whatever_mixes_frames);
    tcase_add_test(c, what_reads_another_input_waits_for_the_window);
    tcase_add_test(c, a_reset_forgets_all_frames);
    tcase_add_test(c, a_plan_without_time_does_not_stream);
    tcase_add_test(c, impossible_time_axes_are_refused);
    tcase_add_loop_test(c, streaming_equals_whole_windows_for_random_graphs, 0, 4);
    return c;
}

int main(void)
{
    TCase *cases[] = {models_case(), graphs_case(), rules_case()};
    return suite_run("nn/timecut", cases, 3);
}
