/* Convolutions that read one value become one where that fills tiles, and only where it changes
 * nothing: the same numbers as the graph as it is written, and each reader its own. */
#include <errno.h>
#include <math.h>

#include "nn/plan_parts.h"
#include "tests/nn/net.h"
#include "tests/nn/packing.h"

enum { IN = 6, HEADS = 4, MOST = 32, KERNEL = 9 };

struct head {
    int channels;
    int kernel;             /* 1 or 3, padded to keep the size */
    const char *activation; /* NULL: none; Clip0 and Clip1 have other limits */
    bool bias;
};

static const struct heads {
    struct head head[HEADS];
    int count, batch;
    int merged; /* convolutions that another one does */
} cases[] = {
    {{{1, 1, NULL, true}, {4, 1, NULL, true}, {1, 1, NULL, true}, {10, 1, NULL, true}},
     4,
     1,
     3},
    {{{3, 3, "Relu", true}, {5, 3, "Relu", true}}, 2, 1, 1},
    /* A bias that is not there is zero, and no bias at all is none. */
    {{{1, 1, NULL, false}, {3, 1, NULL, true}, {3, 1, NULL, false}}, 3, 1, 2},
    {{{1, 1, NULL, false}, {3, 1, NULL, false}}, 2, 1, 1},
    /* Of several images each would have to be copied. */
    {{{1, 1, NULL, true}, {4, 1, NULL, true}, {1, 1, NULL, true}, {10, 1, NULL, true}},
     4,
     2,
     0},
    /* Those with the same function behind them. */
    {{{1, 1, "Relu", true}, {3, 1, "Tanh", true}, {3, 1, "Relu", true}, {1, 1, "Tanh", true}},
     4,
     1,
     2},
    {{{1, 1, "Relu", true}, {3, 1, NULL, true}}, 2, 1, 0},
    {{{1, 1, "Clip0", true}, {3, 1, "Clip1", true}, {3, 1, "Clip0", true}}, 3, 1, 1},
    {{{1, 1, NULL, true}, {3, 3, NULL, true}}, 2, 1, 0},
    /* Whole tiles of every table gain nothing. */
    {{{16, 1, NULL, true}, {32, 1, NULL, true}}, 2, 1, 0},
};

/* Of heads named c0, c1, ..., whose results are y0, y1, ... */
static void add_heads(struct onnx *o, const struct heads *h, const char *x)
{
    static float numbers[MOST * IN * KERNEL];
    for (int i = 0; i < h->count; i++) {
        const struct head *head = &h->head[i];
        char names[5][16], inputs[64];
        static const char letters[] = "wbcyz";
        for (int n = 0; n < 5; n++)
            snprintf(names[n], sizeof names[n], "%c%d", letters[n], i);
        net_fill(numbers, sizeof numbers / sizeof *numbers, 20 + (uint32_t)i);
        onnx_floats(o, names[0], DIMS(head->channels, IN, head->kernel, head->kernel), numbers);
        onnx_floats(o, names[1], DIMS(head->channels), numbers + 5);
        snprintf(inputs, sizeof inputs, head->bias ? "%s %s %s" : "%s %s", x, names[0],
                 names[1]);
        onnx_node(o, "Conv", inputs, names[2]);
        int64_t pad = head->kernel / 2;
        onnx_attribute_ints(o, "pads", 4, (int64_t[]){pad, pad, pad, pad});
        const char *kind = head->activation ? head->activation : "Identity";
        bool clips = strncmp(kind, "Clip", 4) == 0;
        onnx_node(o, clips ? "LeakyRelu" : kind, names[2], names[3]);
        if (clips)
            onnx_attribute_float(o, "alpha", kind[4] == '0' ? 0.1f : 0.2f);
    }
}

static struct onnx heads_net(int64_t opset, const struct heads *h)
{
    struct onnx o = onnx_start(opset);
    onnx_input(&o, "x", 1, DIMS(h->batch, IN, 9, 7));
    onnx_node(&o, "Abs", "x", "t");
    add_heads(&o, h, "t");
    for (int i = 0; i < h->count; i++) {
        char name[16];
        snprintf(name, sizeof name, "y%d", i);
        onnx_output(&o, name, 1, SCALAR);
    }
    return o;
}

static int merged_convolutions(const struct nn_plan *plan)
{
    int merged = 0;
    for (size_t i = 0; i < nn_plan_layer_count(plan); i++) {
        const struct nn_plan_layer *layer = nn_plan_layer(plan, i);
        merged += strcmp(layer->op, "Conv") == 0 && layer->fused_into >= 0;
    }
    return merged;
}

static void expect_same(const struct net *a, const struct net *b, int variant)
{
    for (size_t j = 0; j < nn_model_output_count(a->model); j++) {
        const struct nn_tensor *y = nn_session_output(b->session, j);
        ck_assert(nn_shape_equal(&nn_session_output(a->session, j)->shape, &y->shape));
        for (int64_t i = 0; i < nn_shape_count(&y->shape); i++)
            if (!(fabsf(net_floats(a, j)[i] - net_floats(b, j)[i]) <= 1e-5f))
                ck_abort_msg("variant %d, output %zu: [%d] is %.9g, not %.9g", variant, j,
                             (int)i, net_floats(a, j)[i], net_floats(b, j)[i]);
    }
}

/* The model with the best kernels, and with the reference, on the same random input; how many
 * convolutions others do. Takes it. */
static int compare(struct onnx *o, int variant)
{
    struct nn_model *model = net_load(o);
    struct net nets[2];
    for (int k = 0; k < 2; k++) {
        struct nn_plan_options options = {.kernels = k ? NN_KERNELS_REFERENCE : NN_KERNELS_BEST,
                                          .time_axis = -1};
        nets[k] = net_plan(nn_model_ref(model), &options);
        const struct nn_tensor *x = nn_session_input(nets[k].session, 0);
        net_fill(x->data, (size_t)nn_shape_count(&x->shape), 12);
        net_run(&nets[k]);
        net_run(&nets[k]); /* on what is still there */
    }
    expect_same(&nets[0], &nets[1], variant);
    int merged = merged_convolutions(nets[0].plan);
    ck_assert_int_eq(merged_convolutions(nets[1].plan), 0);
    net_free(&nets[0]);
    net_free(&nets[1]);
    nn_model_unref(model);
    return merged;
}

START_TEST(heads_that_read_one_value_are_one_convolution)
{
    static const int64_t opsets[] = {11, 13, 18};
    for (int i = 0; i < (int)(sizeof cases / sizeof cases[0]); i++)
        for (int v = 0; v < 3; v++) {
            struct onnx o = heads_net(opsets[v], &cases[i]);
            int merged = compare(&o, i);
            ck_assert_msg(merged == cases[i].merged, "variant %d, opset %d: %d merged", i,
                          (int)opsets[v], merged);
        }
}
END_TEST

/* What lies between two of them, reads one of them or is an output stays as it is, and so do
 * other windows, groups and weights of a run. */
START_TEST(what_stands_between_siblings_stays)
{
    float w[8 * IN * 9];
    net_fill(w, sizeof w / sizeof *w, 3);
    for (int variant = 0; variant < 3; variant++) {
        struct onnx o = onnx_start(13);
        onnx_input(&o, "x", 1, DIMS(1, IN, 8, 8));
        onnx_floats(&o, "w", DIMS(2, IN, 3, 3), w);
        onnx_floats(&o, "v", DIMS(2, IN, 3, 3), w + 50);
        onnx_floats(&o, "u", DIMS(2, variant == 1 ? IN / 2 : IN, 3, 3), w + 90);
        onnx_node(&o, "Conv", "x w", "a");
        onnx_node(&o, "Softmax", "a", "b"); /* reads the first before the others stand */
        onnx_node(&o, "Conv", "x v", "c");
        if (variant == 2)
            onnx_attribute_ints(&o, "dilations", 2, (int64_t[]){1, 1});
        onnx_node(&o, "Mul", "c b", "d");
        onnx_node(&o, "Conv", "x u", "e");
        if (variant == 1)
            onnx_attribute_int(&o, "group", 2);
        if (variant == 2)
            onnx_attribute_ints(&o, "dilations", 2, (int64_t[]){2, 2});
        onnx_output(&o, "a", 1, SCALAR);
        onnx_output(&o, "d", 1, SCALAR);
        onnx_output(&o, "e", 1, SCALAR);
        ck_assert_int_eq(compare(&o, variant), 2 - variant);
    }
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, IN, 8, 8));
    onnx_floats(&o, "w", DIMS(2, IN / 2, 3, 3), w);
    onnx_node(&o, "Conv", "x w", "a");
    onnx_attribute_int(&o, "group", 2);
    onnx_node(&o, "Conv", "x w", "b");
    onnx_attribute_int(&o, "group", 2);
    onnx_output(&o, "a", 1, SCALAR);
    onnx_output(&o, "b", 1, SCALAR);
    ck_assert_int_eq(compare(&o, 3), 0);

    o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(1, IN, 8, 8));
    onnx_input(&o, "w", 1, DIMS(2, IN, 1, 1));
    onnx_floats(&o, "v", DIMS(2, IN, 1, 1), w);
    onnx_node(&o, "Conv", "x w", "a");
    onnx_node(&o, "Conv", "x v", "b");
    onnx_output(&o, "a", 1, SCALAR);
    onnx_output(&o, "b", 1, SCALAR);
    ck_assert_int_eq(compare(&o, 4), 0);
}
END_TEST

/* Heads of a loop that is laid out when the plan is made, each round of which has its own, and
 * of one whose rounds a run counts. */
START_TEST(heads_within_a_loop_give_the_same)
{
    static const struct heads h = {{{1, 1, NULL, true}, {5, 1, NULL, true}}, 2, 1, 0};
    for (int known = 0; known < 2; known++) {
        struct onnx o = onnx_start(13), g = onnx_start(13);
        onnx_input(&g, "i", 7, SCALAR);
        onnx_input(&g, "go", 9, SCALAR);
        onnx_input(&g, "a", 1, DIMS(1, IN, 4, 4));
        add_heads(&g, &h, "a");
        onnx_node(&g, "Concat", "y0 y1", "joined");
        onnx_attribute_int(&g, "axis", 1);
        onnx_node(&g, "Tanh", "joined", "next");
        onnx_node(&g, "Identity", "go", "on");
        onnx_output(&g, "on", 9, SCALAR);
        onnx_output(&g, "next", 1, SCALAR);
        onnx_input(&o, "x", 1, DIMS(1, IN, 4, 4));
        if (known)
            onnx_ints(&o, "n", SCALAR, (int64_t[]){3});
        else
            onnx_input(&o, "n", 7, SCALAR);
        onnx_node(&o, "Loop", "n - x", "last");
        onnx_attribute_graph(&o, "body", &g);
        onnx_output(&o, "last", 1, SCALAR);
        struct nn_model *model = net_load(&o);
        struct net nets[2];
        for (int k = 0; k < 2; k++) {
            nets[k] = net_plan(
                nn_model_ref(model),
                &(struct nn_plan_options){.kernels = k ? NN_KERNELS_REFERENCE : NN_KERNELS_BEST,
                                          .time_axis = -1});
            net_fill(nn_session_input(nets[k].session, 0)->data, IN * 16, 12);
            if (!known)
                net_set(&nets[k], 1, (int64_t[]){3});
            net_run(&nets[k]);
        }
        ck_assert_int_eq(merged_convolutions(nets[0].plan), known ? 3 : 0);
        expect_same(&nets[0], &nets[1], known);
        net_free(&nets[0]);
        net_free(&nets[1]);
        nn_model_unref(model);
    }
}
END_TEST

/* Frames are images of one batch: in a stream each is alone, and its heads are one. */
START_TEST(heads_of_frames_are_one_per_frame)
{
    enum { FRAMES = 3, FRAME = IN * 5 * 5 };
    static const struct heads h = {{{1, 1, NULL, true}, {3, 1, NULL, true}}, 2, FRAMES, 0};
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(FRAMES, IN, 5, 5));
    add_heads(&o, &h, "x");
    for (int i = 0; i < 2; i++) {
        char from[16], to[16];
        snprintf(from, sizeof from, "y%d", i);
        snprintf(to, sizeof to, "mean%d", i);
        onnx_node(&o, "ReduceMean", from, to);
        onnx_attribute_ints(&o, "axes", 1, (int64_t[]){0});
        onnx_output(&o, to, 1, SCALAR);
    }
    struct nn_model *model = net_load(&o);
    struct net whole = net_plan(nn_model_ref(model), NULL);
    struct net stream = net_plan(model, &(struct nn_plan_options){.time_axis = 0});
    ck_assert_int_eq(merged_convolutions(whole.plan), 0);
    ck_assert_int_eq(merged_convolutions(stream.plan), 1);
    ck_assert_int_eq(stream.plan->frame.step_count, 1); /* the Split is places */
    for (size_t i = 0; i < 4; i++) /* Conv and Relu of the one, then of the other */
        ck_assert_int_eq(nn_plan_layer(stream.plan, i)->shape.dim[1], i < 2 ? 1 : 3);
    float *x = nn_session_input(whole.session, 0)->data;
    for (int t = 0; t < 2 * FRAMES; t++) {
        memmove(x, x + FRAME, (FRAMES - 1) * FRAME * sizeof *x);
        net_fill(x + (FRAMES - 1) * FRAME, FRAME, 100 + (uint32_t)t);
        memcpy(nn_session_frame_buffer(stream.session), x + (FRAMES - 1) * FRAME,
               FRAME * sizeof *x);
        ck_assert_int_eq(nn_session_push_frame(stream.session, NULL), 0);
        if (t < FRAMES - 1)
            continue;
        ck_assert_int_eq(nn_session_run_window(stream.session, NULL), 0);
        net_run(&whole);
        expect_same(&stream, &whole, t);
    }
    net_free(&whole);
    net_free(&stream);
}
END_TEST

static struct onnx_bytes wide_heads(void)
{
    enum { WIDE = 512 };
    float *w = net_draw(16 * WIDE, 5);
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(-1, WIDE, 3, 3));
    onnx_floats(&o, "w", DIMS(10, WIDE, 1, 1), w);
    onnx_floats(&o, "v", DIMS(6, WIDE, 1, 1), w + 10 * WIDE);
    onnx_floats(&o, "b", DIMS(6), w);
    onnx_node(&o, "Conv", "x w", "a");
    onnx_node(&o, "Conv", "x v b", "c");
    onnx_output(&o, "a", 1, SCALAR);
    onnx_output(&o, "c", 1, SCALAR);
    free(w);
    return onnx_finish(&o);
}

/* Packed with the weights of both, a plan has no more of them than one that keeps them apart;
 * neither has a file, and it gives the same bits. */
START_TEST(weights_are_there_once)
{
    struct onnx_bytes onnx = wide_heads();
    struct nn_model *model = NULL, *packed = NULL;
    struct nn_error err = {{0}};
    ck_assert_int_eq(nn_model_load(onnx.data, onnx.size, &model, &err), 0);
    struct nn_shape two = {.rank = 4, .dim = {2, 512, 3, 3}};
    struct net net = net_plan(nn_model_ref(model), NULL);
    struct net apart =
        net_plan(model, &(struct nn_plan_options){.input_shapes = &two, .time_axis = -1});
    ck_assert_int_eq(merged_convolutions(net.plan), 1);
    ck_assert_int_eq(merged_convolutions(apart.plan), 0);
    struct nn_plan_info one, other;
    nn_plan_describe(net.plan, &one);
    nn_plan_describe(apart.plan, &other);
    ck_assert_uint_lt(one.weight_bytes, other.weight_bytes + 1024);
    net_free(&apart);

    struct packing *packing = NULL;
    ck_assert_int_eq(packing_write(net.plan, onnx.data, onnx.size, 1, &packing, &err), 0);
    struct nn_packed *file = NULL;
    int r = nn_packed_open(packing->data, packing->size, packing_release, packing, &file, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    ck_assert_int_eq(nn_model_load_packed(file, &packed, &err), 0);
    nn_packed_unref(file);
    struct net again = net_plan(packed, NULL);
    struct nn_plan_info mapped;
    nn_plan_describe(again.plan, &mapped);
    ck_assert_uint_lt(mapped.weight_bytes, 16 * 512 * sizeof(float));
    for (int k = 0; k < 2; k++) {
        struct net *n = k ? &again : &net;
        net_fill(nn_session_input(n->session, 0)->data, 512 * 9, 3);
        net_run(n);
    }
    for (size_t j = 0; j < 2; j++)
        ck_assert_mem_eq(net_floats(&again, j), net_floats(&net, j),
                         nn_tensor_bytes(nn_session_output(net.session, j)));
    net_free(&again);
    net_free(&net);
    free(onnx.data);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("siblings");
    tcase_add_test(all, heads_that_read_one_value_are_one_convolution);
    tcase_add_test(all, what_stands_between_siblings_stays);
    tcase_add_test(all, heads_within_a_loop_give_the_same);
    tcase_add_test(all, heads_of_frames_are_one_per_frame);
    tcase_add_test(all, weights_are_there_once);
    return suite_run("nn/siblings", &all, 1);
}
