/* The half of recurrent layers that runs once per frame: taken out where it can be, with the
 * same bits as ever. */
#include <errno.h>

#include "nn/plan_parts.h"
#include "tests/nn/net.h"
#include "tests/nn/packing.h"

enum { FRAMES = 5, INPUTS = 37, HIDDEN = 6 };

/* A recurrent layer as a graph of its own. */
struct layer {
    const char *op;
    int gates;
    const char *direction;
    int directions;
    int layout, inputs, batch;
    bool computed_weight; /* W is an output of a node that waits for the run */
    bool extras;          /* biases, lengths, an initial state */
};

static struct onnx_bytes make(const struct layer *l)
{
    static float values[1 << 16];
    net_fill(values, sizeof values / sizeof *values, 5);
    const int64_t d = l->directions, width = l->gates * HIDDEN;
    struct onnx o = onnx_start(14);
    if (l->layout == 1)
        onnx_input(&o, "x", 1, DIMS(l->batch, FRAMES, l->inputs));
    else
        onnx_input(&o, "x", 1, DIMS(FRAMES, l->batch, l->inputs));
    if (l->computed_weight)
        onnx_input(&o, "v", 1, DIMS(d, width, l->inputs));
    else
        onnx_floats(&o, "v", DIMS(d, width, l->inputs), values);
    onnx_floats(&o, "r", DIMS(d, width, HIDDEN), values + 9000);
    onnx_floats(&o, "b", DIMS(d, 2 * width), values + 20000);
    const int32_t lengths[] = {3, 5, 4, 1, 5};
    onnx_initializer(
        &o, onnx_tensor("l", 6, DIMS(l->batch), lengths, (size_t)l->batch * sizeof *lengths));
    if (l->layout == 1)
        onnx_floats(&o, "h", DIMS(l->batch, d, HIDDEN), values + 30000);
    else
        onnx_floats(&o, "h", DIMS(d, l->batch, HIDDEN), values + 30000);
    onnx_node(&o, l->op, l->extras ? "x v r b l h" : "x v r", "y last");
    onnx_attribute_int(&o, "hidden_size", HIDDEN);
    onnx_attribute_int(&o, "layout", l->layout);
    onnx_attribute_text(&o, "direction", l->direction);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_output(&o, "last", 1, SCALAR);
    return onnx_finish(&o);
}

static struct nn_model *load(const struct layer *l)
{
    struct onnx_bytes bytes = make(l);
    struct nn_model *model = NULL;
    struct nn_error err = {{0}};
    int r = nn_model_load(bytes.data, bytes.size, &model, &err);
    free(bytes.data);
    ck_assert_msg(r == 0, "%s", err.text);
    return model;
}

static bool is_projected(const struct nn_plan *plan)
{
    ck_assert_int_eq(plan->window.step_count, 1);
    const struct nn_op_call *call = &plan->window.steps[0].call;
    bool taken_out = plan->frame.step_count == 1 &&
                     strcmp(plan->frame.steps[0].call.op->name, "Projection") == 0;
    ck_assert(taken_out == call->projected);
    return taken_out;
}

static void expect_same_bits(const struct net *a, const struct net *b)
{
    for (size_t i = 0; i < nn_model_output_count(a->model); i++) {
        const struct nn_tensor *x = nn_session_output(a->session, i);
        const struct nn_tensor *y = nn_session_output(b->session, i);
        ck_assert(nn_shape_equal(&x->shape, &y->shape));
        ck_assert_mem_eq(x->data, y->data, nn_tensor_bytes(x));
    }
}

/* Streams three windows and holds each against a whole run, bit by bit. */
static void compare(const struct layer *l)
{
    struct net stream = net_plan(load(l), &(struct nn_plan_options){.time_axis = l->layout});
    struct net whole = net_plan(load(l), NULL);
    ck_assert(is_projected(stream.plan));
    float *x = nn_session_input(whole.session, 0)->data;
    for (int t = 0; t < 3 * FRAMES; t++) {
        float *frame = nn_session_frame_buffer(stream.session);
        size_t row = (size_t)l->inputs, rows = (size_t)l->batch;
        net_fill(frame, rows * row, 100 + (uint32_t)t);
        ck_assert_int_eq(nn_session_push_frame(stream.session, NULL), 0);
        for (size_t b = 0; b < rows && l->layout == 1; b++) {
            float *sequence = x + b * FRAMES * row;
            memmove(sequence, sequence + row, (FRAMES - 1) * row * sizeof *x);
            memcpy(sequence + (FRAMES - 1) * row, frame + b * row, row * sizeof *x);
        }
        if (l->layout == 0) {
            memmove(x, x + rows * row, (FRAMES - 1) * rows * row * sizeof *x);
            memcpy(x + (FRAMES - 1) * rows * row, frame, rows * row * sizeof *x);
        }
        if (t < FRAMES - 1)
            continue;
        ck_assert_int_eq(nn_session_run_window(stream.session, NULL), 0);
        net_run(&whole);
        expect_same_bits(&stream, &whole);
    }
    net_free(&stream);
    net_free(&whole);
}

static const struct {
    const char *op;
    int gates;
} cells[] = {{"LSTM", 4}, {"GRU", 3}, {"RNN", 1}};

START_TEST(a_layer_that_is_taken_apart_gives_the_same_bits)
{
    static const struct {
        const char *name;
        int count;
    } directions[] = {{"forward", 1}, {"reverse", 1}, {"bidirectional", 2}};
    for (size_t c = 0; c < 3; c++)
        for (size_t d = 0; d < 3; d++)
            for (int variant = 0; variant < 8; variant++)
                compare(&(struct layer){.op = cells[c].op,
                                        .gates = cells[c].gates,
                                        .direction = directions[d].name,
                                        .directions = directions[d].count,
                                        .layout = variant & 1,
                                        .inputs = INPUTS + 120 * (variant & 1),
                                        .batch = variant & 2 ? 3 : 1,
                                        .extras = variant & 4});
}
END_TEST

/* Two layers and a Slice read the same features, a third layer what the first one made. */
static struct nn_model *load_several(void)
{
    static float values[1 << 14];
    net_fill(values, sizeof values / sizeof *values, 6);
    struct onnx o = onnx_start(14);
    onnx_input(&o, "x", 1, DIMS(FRAMES, 1, INPUTS));
    onnx_floats(&o, "w", DIMS(1, 4 * HIDDEN, INPUTS), values);
    onnx_floats(&o, "r", DIMS(1, 4 * HIDDEN, HIDDEN), values + 4000);
    onnx_floats(&o, "v", DIMS(1, HIDDEN, INPUTS), values + 5000);
    onnx_floats(&o, "s", DIMS(1, HIDDEN, HIDDEN), values + 6000);
    onnx_ints(&o, "one", DIMS(1), (int64_t[]){1});
    onnx_ints(&o, "three", DIMS(1), (int64_t[]){3});
    onnx_ints(&o, "flat", DIMS(3), (int64_t[]){FRAMES, 1, HIDDEN});
    onnx_node(&o, "Tanh", "x", "t");
    onnx_node(&o, "LSTM", "t w r", "a");
    onnx_attribute_int(&o, "hidden_size", HIDDEN);
    onnx_node(&o, "RNN", "t v s", "- b");
    onnx_attribute_int(&o, "hidden_size", HIDDEN);
    onnx_attribute_text(&o, "direction", "reverse");
    onnx_node(&o, "Slice", "t one three", "c");
    onnx_node(&o, "Reshape", "a flat", "u");
    onnx_node(&o, "RNN", "u s s", "- d");
    onnx_attribute_int(&o, "hidden_size", HIDDEN);
    onnx_output(&o, "a", 1, SCALAR);
    onnx_output(&o, "b", 1, SCALAR);
    onnx_output(&o, "c", 1, SCALAR);
    onnx_output(&o, "d", 1, SCALAR);
    return net_load(&o);
}

START_TEST(layers_that_share_their_input_are_taken_apart_each)
{
    struct net stream = net_plan(load_several(), &(struct nn_plan_options){.time_axis = 0});
    struct net whole = net_plan(load_several(), NULL);
    int taken_out = 0;
    for (int i = 0; i < stream.plan->frame.step_count; i++)
        taken_out += strcmp(stream.plan->frame.steps[i].call.op->name, "Projection") == 0;
    ck_assert_int_eq(taken_out, 2);
    ck_assert_int_eq(stream.plan->ring_count, 3); /* two products, and t for the Slice */
    float *x = nn_session_input(whole.session, 0)->data;
    for (int t = 0; t < 2 * FRAMES; t++) {
        float *frame = nn_session_frame_buffer(stream.session);
        net_fill(frame, INPUTS, 100 + (uint32_t)t);
        ck_assert_int_eq(nn_session_push_frame(stream.session, NULL), 0);
        memmove(x, x + INPUTS, (FRAMES - 1) * INPUTS * sizeof *x);
        memcpy(x + (FRAMES - 1) * INPUTS, frame, INPUTS * sizeof *x);
        if (t < FRAMES - 1)
            continue;
        ck_assert_int_eq(nn_session_run_window(stream.session, NULL), 0);
        net_run(&whole);
        expect_same_bits(&stream, &whole);
    }
    net_free(&stream);
    net_free(&whole);
}
END_TEST

START_TEST(a_layer_that_cannot_be_taken_apart_is_left_whole)
{
    const struct layer plain = {.op = "LSTM",
                                .gates = 4,
                                .direction = "forward",
                                .directions = 1,
                                .inputs = INPUTS,
                                .batch = FRAMES};
    struct layer l = plain;
    struct nn_plan_options options = {.time_axis = 0};
    struct net net = net_plan(load(&l), &options);
    ck_assert(is_projected(net.plan)); /* it could */
    net_free(&net);

    options.kernels = NN_KERNELS_REFERENCE; /* runs what is written */
    net = net_plan(load(&l), &options);
    ck_assert(!is_projected(net.plan));
    net_free(&net);
    options.kernels = NN_KERNELS_BEST;

    options.time_axis = 1; /* the frames are its batch, not its steps */
    net = net_plan(load(&l), &options);
    ck_assert(!is_projected(net.plan));
    net_free(&net);
    options.time_axis = 0;

    l.computed_weight = true; /* may change between a frame and a window */
    net = net_plan(load(&l), &options);
    ck_assert(!is_projected(net.plan));
    net_free(&net);

    l = plain;
    l.inputs = 15; /* not worth it */
    net = net_plan(load(&l), &options);
    ck_assert(!is_projected(net.plan));
    net_free(&net);
}
END_TEST

START_TEST(weights_packed_for_frames_do_not_serve_whole_runs)
{
    const struct layer l = {.op = "LSTM",
                            .gates = 4,
                            .direction = "bidirectional",
                            .directions = 2,
                            .inputs = INPUTS,
                            .batch = 1};
    struct onnx_bytes bytes = make(&l);
    struct net direct = net_plan(load(&l), &(struct nn_plan_options){.time_axis = 0});
    struct nn_model *packed = NULL;
    struct nn_error err = {{0}};
    int r = packing_reload(direct.plan, bytes.data, bytes.size, 0, &packed, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    free(bytes.data);
    struct nn_plan *plan = NULL;
    ck_assert_int_eq(nn_plan_create(packed, NULL, &plan, &err), -EINVAL);
    struct net again = net_plan(packed, &(struct nn_plan_options){.time_axis = 0});
    ck_assert(is_projected(again.plan));
    net_fill(nn_session_input(direct.session, 0)->data, FRAMES * INPUTS, 3);
    net_fill(nn_session_input(again.session, 0)->data, FRAMES * INPUTS, 3);
    net_run(&direct);
    net_run(&again);
    expect_same_bits(&direct, &again);
    net_free(&direct);
    net_free(&again);
}
END_TEST

static TCase *project_case(void)
{
    TCase *c = tcase_create("project");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_layer_that_is_taken_apart_gives_the_same_bits);
    tcase_add_test(c, layers_that_share_their_input_are_taken_apart_each);
    tcase_add_test(c, a_layer_that_cannot_be_taken_apart_is_left_whole);
    tcase_add_test(c, weights_packed_for_frames_do_not_serve_whole_runs);
    return c;
}

int main(void)
{
    TCase *cases[] = {project_case()};
    return suite_run("nn/project", cases, 1);
}
