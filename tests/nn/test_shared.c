/* What a session promises, for every model of the shared data and the networks that the
 * tutorials teach, with each kind of weights and as a network of 8-bit integers: no run
 * allocates, and the outputs are the same bytes in every run, in sessions side by side, and for
 * any number of threads. This program says that there are PROCESSORS processors.
 *
 *     test_nn_shared [WRITE_NETWORKS]      the program that writes the networks */
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "nn/quantize/quantize.h"
#include "nn/tensorfile.h"
#include "tests/file.h"
#include "tests/nn/allocator.h"
#include "tests/nn/net.h"

enum { PROCESSORS = 3, MAX_INPUTS = 16, MAX_PATH = 4096, TIMES = 3, SIDE_BY_SIDE = 3 };

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    (void)pid;
    memset(set, 0, size);
    for (int i = 0; i < PROCESSORS; i++)
        CPU_SET(i, set);
    return 0;
}

static const char *const models[] = {
    "arch_squeezenet_rnd",  "dtln_1",
    "fastestdet",           "keras2onnx_lstm_toy",
    "mnist14_conv_pytorch", "mnist_cntk_8",
    "silero_vad_16k_op15",  "super_resolution_10",
    "ultraface_rfb_320",    "ultraface_slim_320",
    "yunet_n_320",          "yunet_n_dynamic",
};
/* Instrumented, all is slow: there the largest are left out, and half of the ways to run. */
static const char *const networks[] = {
    "cnn3-28",  "cnn3-64",  "lstm3-50", "cnn3-64-lstm",
#if OWN_ALLOCATOR
    "cnn2-224", "cnn3-224",
#endif
};
enum {
    MOST_THREADS = OWN_ALLOCATOR ? PROCESSORS : 2,
    EACH_PRECISION = OWN_ALLOCATOR ? 1 : 2,
    MODELS = sizeof models / sizeof *models,
    NETWORKS = sizeof networks / sizeof *networks,
};

static const char *write_networks; /* NULL: there is none */

struct subject {
    const char *name;
    struct onnx_bytes file;
    int inputs;
    struct nn_shape shapes[MAX_INPUTS];
    struct nn_tensor_file *given[MAX_INPUTS]; /* NULL: numbers at random */
};

/* --- Finding them ----------------------------------------------------------------------- */

/* The inputs of the first test data, whose shapes are those of the plan. */
static void read_inputs(struct subject *s, const struct nn_model *model, const char *folder)
{
    s->inputs = (int)nn_model_input_count(model);
    ck_assert_int_le(s->inputs, MAX_INPUTS);
    for (int i = 0; i < s->inputs; i++) {
        char path[2 * MAX_PATH];
        snprintf(path, sizeof path, "%s/test_data_set_0/input_%d.pb", folder, i);
        struct onnx_bytes b = {0};
        b.data = file_whole(path, &b.size);
        if (b.data)
            ck_assert_int_eq(nn_tensor_file_load(b.data, b.size, path, &s->given[i], NULL), 0);
        free(b.data);
        s->shapes[i] = s->given[i] ? nn_tensor_file_tensor(s->given[i])->shape
                                   : nn_model_input(model, (size_t)i)->shape;
    }
}

static bool open_subject(struct subject *s, int index)
{
    char folder[MAX_PATH] = "", path[2 * MAX_PATH] = "";
    if (index < MODELS) {
        const char *found = suite_data("models");
        snprintf(folder, sizeof folder, "%.2048s/%s", found ? found : "", models[index]);
        snprintf(path, sizeof path, "%s/model.onnx", folder);
        s->name = models[index];
    } else if (write_networks) {
        const char *temporary = getenv("TMPDIR");
        s->name = networks[index - MODELS];
        snprintf(folder, sizeof folder, "%.2048s/shared-XXXXXX",
                 temporary ? temporary : "/tmp");
        ck_assert_ptr_nonnull(mkdtemp(folder));
        snprintf(path, sizeof path, "%s %s %s", write_networks, folder, s->name);
        ck_assert_int_eq(system(path), 0);
        snprintf(path, sizeof path, "%s/%s.onnx", folder, s->name);
    }
    if (s->name)
        s->file.data = file_whole(path, &s->file.size);
    if (index >= MODELS && s->file.data) {
        unlink(path);
        rmdir(folder);
    }
    if (!s->file.data)
        return false;
    struct nn_model *model = NULL;
    ck_assert_int_eq(nn_model_load(s->file.data, s->file.size, &model, NULL), 0);
    read_inputs(s, model, folder);
    nn_model_unref(model);
    return true;
}

static void close_subject(struct subject *s)
{
    for (int i = 0; i < s->inputs; i++)
        nn_tensor_file_destroy(s->given[i]);
    free(s->file.data);
}

/* Writes the inputs of a session, or of a quantizer. */
static void give_input(const struct subject *s, int index, const struct nn_tensor *to)
{
    if (s->given[index])
        memcpy(to->data, nn_tensor_file_tensor(s->given[index])->data, nn_tensor_bytes(to));
    else
        net_fill(to->data, (size_t)nn_shape_count(&to->shape), 7);
}

/* The network of 8-bit integers, by its own inputs; nothing where there is nothing to make
 * so. */
static struct onnx_bytes quantised(const struct subject *s)
{
    const struct nn_quantize_options options = {.percentile = 100, .input_shapes = s->shapes};
    struct nn_quantizer *q = NULL;
    struct nn_error err = {{0}};
    void *data = NULL;
    size_t size = 0;
    int r = nn_quantizer_create(s->file.data, s->file.size, &options, &q, &err);
    if (r < 0) {
        printf("# %s stays as it is: %s\n", s->name, err.text);
        ck_assert_int_eq(r, -ENOTSUP);
        return (struct onnx_bytes){0};
    }
    for (int i = 0; i < s->inputs; i++)
        give_input(s, i, nn_quantizer_input(q, (size_t)i));
    ck_assert_msg(nn_quantizer_observe(q, &err) == 0, "%s", err.text);
    ck_assert_msg(nn_quantizer_write(q, &data, &size, &err) == 0, "%s", err.text);
    nn_quantizer_destroy(q);
    return (struct onnx_bytes){.data = data, .size = size};
}

/* --- Running them ----------------------------------------------------------------------- */

static struct nn_session *start(const struct subject *s, struct nn_plan *plan)
{
    struct nn_session *session = NULL;
    ck_assert_int_eq(nn_session_create(plan, &session, NULL), 0);
    for (int i = 0; i < s->inputs; i++)
        give_input(s, i, nn_session_input(session, (size_t)i));
    return session;
}

static void run_without_allocating(struct nn_session *session, const char *what)
{
    struct nn_error err = {{0}};
    long before = allocations;
    int r = nn_session_run(session, &err);
    long after = allocations;
    ck_assert_msg(r == 0, "%s: %s", what, err.text);
    ck_assert_msg(after == before, "%s: %ld allocations in a run", what, after - before);
}

/* All outputs, one behind the other; the first call allocates. */
static void take_outputs(const struct nn_session *session, size_t outputs,
                         struct onnx_bytes *to)
{
    to->size = 0;
    for (size_t i = 0; i < outputs; i++) {
        const struct nn_tensor *t = nn_session_output(session, i);
        onnx_put(to, t->data, nn_tensor_bytes(t));
    }
}

static void expect_outputs(const struct nn_session *session, size_t outputs,
                           const struct onnx_bytes *want, const char *what)
{
    struct onnx_bytes got = {0};
    take_outputs(session, outputs, &got);
    ck_assert_msg(got.size == want->size && memcmp(got.data, want->data, got.size) == 0,
                  "%s: other bytes", what);
    free(got.data);
}

static void *run_again(void *session)
{
    for (int i = 0; i < TIMES; i++)
        if (nn_session_run(session, NULL) < 0)
            abort();
    return NULL;
}

/* Sessions of one plan, each in a thread of its own, all at once. */
static void run_side_by_side(const struct subject *s, struct nn_plan *plan, size_t outputs,
                             const struct onnx_bytes *want, const char *what)
{
    struct nn_session *sessions[SIDE_BY_SIDE];
    pthread_t threads[SIDE_BY_SIDE];
    for (int i = 0; i < SIDE_BY_SIDE; i++)
        sessions[i] = start(s, plan);
    for (int i = 0; i < SIDE_BY_SIDE; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, run_again, sessions[i]), 0);
    for (int i = 0; i < SIDE_BY_SIDE; i++) {
        pthread_join(threads[i], NULL);
        expect_outputs(sessions[i], outputs, want, what);
        nn_session_destroy(sessions[i]);
    }
}

static void check_model(const struct subject *s, const struct onnx_bytes *file,
                        enum nn_precision precision)
{
    struct nn_model *model = NULL;
    struct nn_error err = {{0}};
    struct onnx_bytes first = {0};
    int r = nn_model_load(file->data, file->size, &model, &err);
    ck_assert_msg(r == 0, "%s: %s", s->name, err.text);
    size_t outputs = nn_model_output_count(model);
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        char what[128];
        snprintf(what, sizeof what, "%s, %s, %s, %d threads", s->name,
                 file == &s->file ? "as it is" : "of integers", nn_precision_names[precision],
                 threads);
        const struct nn_plan_options options = {.input_shapes = s->shapes,
                                                .precision = precision,
                                                .threads = threads,
                                                .time_axis = -1};
        struct nn_plan *plan = NULL;
        r = nn_plan_create(model, &options, &plan, &err);
        ck_assert_msg(r == 0, "%s: %s", what, err.text);
        struct nn_session *session = start(s, plan);
        for (int i = 0; i < TIMES; i++) {
            run_without_allocating(session, what);
            if (!first.data)
                take_outputs(session, outputs, &first);
            expect_outputs(session, outputs, &first, what);
        }
        nn_session_destroy(session);
        if (threads == 2)
            run_side_by_side(s, plan, outputs, &first, what);
        nn_plan_unref(plan);
    }
    free(first.data);
    nn_model_unref(model);
}

START_TEST(runs_allocate_nothing_and_give_the_same_bytes)
{
    struct subject s = {0};
    if (!open_subject(&s, _i)) {
        suite_skip(_i < MODELS ? "no shared data here" : "no program writes the networks here");
        return;
    }
    for (int p = NN_PRECISION_FP32; p <= NN_PRECISION_INT8; p += EACH_PRECISION)
        check_model(&s, &s.file, (enum nn_precision)p);
    struct onnx_bytes integers = quantised(&s);
    if (integers.data)
        check_model(&s, &integers, NN_PRECISION_FP32);
    free(integers.data);
    close_subject(&s);
}
END_TEST

int main(int argc, char **argv)
{
    write_networks = argc > 1 ? argv[1] : NULL;
    TCase *c = tcase_create("shared");
    tcase_set_timeout(c, 240);
    tcase_add_loop_test(c, runs_allocate_nothing_and_give_the_same_bytes, 0, MODELS + NETWORKS);
    TCase *cases[] = {c};
    return suite_run("nn/shared", cases, 1);
}
