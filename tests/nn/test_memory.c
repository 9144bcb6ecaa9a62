/* Who allocates when: nothing while a session runs, and every failure before that is an error,
 * not a crash. The allocator of this program counts, and fails when told (allocator.h); with a
 * sanitizer, which has its own, the tests say so and skip. */
#include <errno.h>

#include "tests/file.h"
#include "tests/nn/allocator.h"
#include "tests/nn/cnn_lstm.h"
#include "tests/nn/packing.h"

static struct onnx_bytes read_model(const char *path)
{
    struct onnx_bytes bytes = {0};
    bytes.data = file_whole(path, &bytes.size);
    ck_assert_msg(bytes.data != NULL, "no %s", path);
    return bytes;
}

static struct onnx_bytes scene_model(void)
{
    const char *root = getenv("VIGIL_SOURCE_ROOT");
    char path[4096];
    snprintf(path, sizeof path, "%s/models/scene.onnx", root ? root : ".");
    return read_model(path);
}

/* Takes the model. Streams three windows, every frame completing one, then runs a whole. */
static void expect_no_allocations(struct nn_model *model, int window)
{
    struct net net =
        net_plan(model, &(struct nn_plan_options){.time_axis = 1, .window = window});
    struct nn_plan_info info;
    nn_plan_describe(net.plan, &info);
    long before = allocations;
    for (int t = 0; t < 3 * info.window; t++) {
        int r = nn_session_push_frame(net.session, NULL);
        if (t >= info.window - 1)
            r |= nn_session_run_window(net.session, NULL);
        if (r != 0)
            abort();
    }
    nn_session_reset(net.session);
    int r = nn_session_run(net.session, NULL);
    long after = allocations;
    ck_assert_int_eq(r, 0);
    ck_assert_int_eq(after, before);
    ck_assert_int_gt(after, 0); /* it does count */
    net_free(&net);
}

static void expect_run_allocates_nothing(const struct net *net)
{
    long before = allocations;
    int r = nn_session_run(net->session, NULL);
    long after = allocations;
    ck_assert_int_eq(r, 0);
    ck_assert_int_eq(after, before);
}

static struct nn_model *load(struct onnx_bytes bytes)
{
    struct nn_model *model = NULL;
    ck_assert_int_eq(nn_model_load(bytes.data, bytes.size, &model, NULL), 0);
    free(bytes.data);
    return model;
}

START_TEST(running_a_session_allocates_nothing)
{
    if (!OWN_ALLOCATOR)
        return;
    expect_no_allocations(load(scene_model()), 0);
    expect_no_allocations(cnn_lstm_make(16), 0);
    expect_no_allocations(cnn_lstm_make(4), 16);
}
END_TEST

/* With work for helpers: a convolution in each of its ways, pooling, and a dense layer. */
static struct nn_model *large_model(void)
{
    struct onnx o = onnx_start(17);
    float *w = calloc(40 * 16 * 26 * 26, sizeof *w);
    net_fill(w, 40 * 16 * 26 * 26, 3);
    onnx_input(&o, "x", 1, DIMS(1, 16, 60, 60));
    onnx_output(&o, "y", 1, SCALAR);
    onnx_floats(&o, "w", DIMS(32, 16, 3, 3), w);
    onnx_floats(&o, "v", DIMS(32, 1, 3, 3), w);
    onnx_floats(&o, "u", DIMS(16, 32, 5, 5), w);
    onnx_floats(&o, "d", DIMS(16 * 26 * 26, 40), w);
    free(w);
    onnx_node(&o, "Conv", "x w", "a");
    onnx_node(&o, "Conv", "a v", "b");
    onnx_attribute_int(&o, "group", 32);
    onnx_node(&o, "Conv", "b u", "c");
    onnx_attribute_ints(&o, "strides", 2, (int64_t[]){2, 2});
    onnx_attribute_ints(&o, "pads", 4, (int64_t[]){2, 2, 2, 2});
    onnx_node(&o, "AveragePool", "c", "p");
    onnx_attribute_ints(&o, "kernel_shape", 2, (int64_t[]){3, 3});
    onnx_node(&o, "Flatten", "p", "f");
    onnx_node(&o, "MatMul", "f d", "y");
    return net_load(&o);
}

START_TEST(a_run_on_several_threads_allocates_nothing)
{
    struct net net =
        net_plan(large_model(), &(struct nn_plan_options){.threads = 2, .time_axis = -1});
    const struct nn_tensor *x = nn_session_input(net.session, 0);
    net_fill(x->data, (size_t)nn_shape_count(&x->shape), 1);
    for (int i = 0; i < 20; i++)
        expect_run_allocates_nothing(&net);
    net_free(&net);
}
END_TEST

/* Of x (6), what is above zero, through operators that are prepared in each run. */
static struct nn_model *late_model(void)
{
    float w[3 * 1 * 3 * 3];
    net_fill(w, sizeof w / sizeof *w, 3);
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(6, 1, 5, 5));
    onnx_output(&o, "y", 1, SCALAR);
    onnx_floats(&o, "w", DIMS(3, 1, 3, 3), w);
    onnx_ints(&o, "first", DIMS(1), (int64_t[]){0});
    onnx_node(&o, "GlobalAveragePool", "x", "m");
    onnx_node(&o, "Relu", "m", "r");
    onnx_node(&o, "NonZero", "r", "n");
    onnx_node(&o, "Gather", "n first", "rows");
    onnx_node(&o, "Squeeze", "rows first", "i");
    onnx_node(&o, "Gather", "x i", "g");
    onnx_node(&o, "Conv", "g w", "c");
    onnx_node(&o, "Transpose", "c", "y");
    return net_load(&o);
}

/* The same chosen by a branch, three times over. */
static struct nn_model *control_model(void)
{
    struct onnx yes = onnx_start(13), no = onnx_start(13), g = onnx_start(13);
    onnx_node(&yes, "Relu", "a", "r");
    onnx_output(&yes, "r", 1, SCALAR);
    onnx_node(&no, "Sub", "a x", "s");
    onnx_output(&no, "s", 1, SCALAR);
    onnx_input(&g, "i", 7, SCALAR);
    onnx_input(&g, "c", 9, SCALAR);
    onnx_input(&g, "a", 1, DIMS(6, 1, 5, 5));
    onnx_node(&g, "Cast", "i", "p");
    onnx_attribute_int(&g, "to", 9);
    onnx_node(&g, "If", "p", "b");
    onnx_attribute_graph(&g, "then_branch", &yes);
    onnx_attribute_graph(&g, "else_branch", &no);
    onnx_node(&g, "NonZero", "b", "z");
    onnx_output(&g, "c", 9, SCALAR);
    onnx_output(&g, "b", 1, SCALAR);
    struct onnx o = onnx_start(13);
    onnx_input(&o, "x", 1, DIMS(6, 1, 5, 5));
    onnx_input(&o, "n", 7, SCALAR);
    onnx_output(&o, "y", 1, SCALAR);
    onnx_node(&o, "Loop", "n - x", "y");
    onnx_attribute_graph(&o, "body", &g);
    return net_load(&o);
}

START_TEST(branches_and_loops_allocate_nothing)
{
    struct net net = net_plan(control_model(), NULL);
    float x[6 * 25];
    net_fill(x, 6 * 25, 1);
    net_set(&net, 0, x);
    for (int64_t rounds = 0; rounds < 4; rounds++) {
        net_set(&net, 1, &rounds);
        expect_run_allocates_nothing(&net);
    }
    net_free(&net);
}
END_TEST

START_TEST(a_run_that_decides_shapes_allocates_nothing)
{
    struct net net = net_plan(late_model(), NULL);
    float x[6 * 25];
    for (uint32_t seed = 0; seed < 8; seed++) {
        net_fill(x, 6 * 25, seed);
        net_set(&net, 0, x);
        expect_run_allocates_nothing(&net);
        ck_assert_int_le(nn_session_output(net.session, 0)->shape.dim[3], 6);
    }
    net_free(&net);
}
END_TEST

START_TEST(streaming_the_shared_networks_allocates_nothing)
{
    static const char *const names[] = {"cnn_lstm_01", "cnn_lstm_06", "cnn_lstm_09"};
    char below[128];
    snprintf(below, sizeof below, "onnx/gen/graph_cnn_rnn/%s/model.onnx", names[_i]);
    const char *path = suite_data(below);
    if (!path)
        suite_skip("no shared data here");
    else if (OWN_ALLOCATOR)
        expect_no_allocations(load(read_model(path)), 16);
}
END_TEST

START_TEST(a_session_is_as_large_as_the_plan_says)
{
    if (!OWN_ALLOCATOR)
        return;
    struct net nets[] = {
        net_plan(load(scene_model()), &(struct nn_plan_options){.time_axis = 1}),
        net_plan(late_model(), NULL),
        net_plan(control_model(), NULL),
        net_plan(large_model(), &(struct nn_plan_options){.threads = 2, .time_axis = -1}),
    };
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        struct nn_plan_info info;
        struct nn_session *session = NULL;
        nn_plan_describe(nets[i].plan, &info);
        long before = allocated_bytes;
        int r = nn_session_create(nets[i].plan, &session, NULL);
        long after = allocated_bytes;
        ck_assert_int_eq(r, 0);
        ck_assert_int_eq(after - before, (long)info.arena_bytes);
        nn_session_destroy(session);
        net_free(&nets[i]);
    }
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    if (!OWN_ALLOCATOR)
        return;
    struct onnx_bytes bytes = scene_model();
    long tried = 0;
    for (;; tried++) {
        struct nn_model *model = NULL;
        struct nn_plan *plan = NULL;
        struct nn_session *session = NULL;
        struct nn_error err = {{0}};
        struct nn_plan_options options = {.threads = 2, .time_axis = 1};
        fail_at = tried;
        int r = nn_model_load(bytes.data, bytes.size, &model, &err);
        if (r == 0)
            r = nn_plan_create(model, &options, &plan, &err);
        if (r == 0)
            r = nn_session_create(plan, &session, &err);
        bool failed = fail_at < 0;
        fail_at = -1;
        nn_session_destroy(session);
        nn_plan_unref(plan);
        nn_model_unref(model);
        if (!failed) {
            ck_assert_int_eq(r, 0);
            break;
        }
        bool threads = r == -EAGAIN && strstr(err.text, "threads"); /* says pthread_create */
        ck_assert_msg(r == -ENOMEM || threads, "allocation %ld: %d %s", tried, r, err.text);
        ck_assert_msg(err.text[0], "allocation %ld: no message", tried);
    }
    ck_assert_int_gt(tried, 100);
    free(bytes.data);
}
END_TEST

START_TEST(every_allocation_of_packing_may_fail)
{
    if (!OWN_ALLOCATOR)
        return;
    struct onnx_bytes bytes = scene_model();
    struct nn_plan_options options = {.time_axis = 1};
    struct nn_model *onnx = NULL;
    struct nn_plan *direct = NULL;
    ck_assert_int_eq(nn_model_load(bytes.data, bytes.size, &onnx, NULL), 0);
    ck_assert_int_eq(nn_plan_create(onnx, &options, &direct, NULL), 0);
    long tried = 0;
    for (;; tried++) {
        struct nn_model *model = NULL;
        struct nn_plan *plan = NULL;
        struct nn_error err = {{0}};
        fail_at = tried;
        int r = packing_reload(direct, bytes.data, bytes.size, 0, &model, &err);
        if (r == 0)
            r = nn_plan_create(model, &options, &plan, &err);
        bool failed = fail_at < 0;
        fail_at = -1;
        nn_plan_unref(plan);
        nn_model_unref(model);
        if (!failed) {
            ck_assert_int_eq(r, 0);
            break;
        }
        ck_assert_msg(r == -ENOMEM, "allocation %ld: %d %s", tried, r, err.text);
    }
    ck_assert_int_gt(tried, 100);
    nn_plan_unref(direct);
    nn_model_unref(onnx);
    free(bytes.data);
}
END_TEST

static TCase *memory_case(void)
{
    TCase *c = tcase_create("memory");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, running_a_session_allocates_nothing);
    tcase_add_test(c, a_run_on_several_threads_allocates_nothing);
    tcase_add_test(c, a_run_that_decides_shapes_allocates_nothing);
    tcase_add_test(c, branches_and_loops_allocate_nothing);
    tcase_add_loop_test(c, streaming_the_shared_networks_allocates_nothing, 0, 3);
    tcase_add_test(c, a_session_is_as_large_as_the_plan_says);
    tcase_add_test(c, every_allocation_may_fail);
    tcase_add_test(c, every_allocation_of_packing_may_fail);
    return c;
}

int main(void)
{
    if (!OWN_ALLOCATOR)
        printf("# skipped: the sanitizer has the allocator\n");
    TCase *cases[] = {memory_case()};
    return suite_run("nn/memory", cases, 1);
}
