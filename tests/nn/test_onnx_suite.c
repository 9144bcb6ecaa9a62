/* Runs the ONNX tests of the shared data: every directory with a model.onnx and data sets.
 * A test counts when its graph is made of operators that we have; those that ask for what
 * vigil refuses on purpose (an element type, a training mode) must be refused with -ENOTSUP,
 * never answered wrongly. One TAP line each.
 *
 * Each is run from its ONNX file, with the best kernels and with the reference, and from the
 * packed file made of it (nn/packed.h), on two threads, which must give the same bits.
 *
 *     test_onnx_suite FOLDER AT_LEAST
 *
 * fails when fewer than AT_LEAST tests pass, or when one is wrong. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/onnx.h"
#include "nn/op.h"
#include "nn/session.h"
#include "nn/tensorfile.h"
#include "tests/file.h"
#include "tests/nn/packing.h"

enum { MAX_TENSORS = 32, MAX_PATH = 4096 };

struct file {
    void *bytes;
    size_t size;
};

struct data_set {
    struct nn_tensor_file *inputs[MAX_TENSORS], *outputs[MAX_TENSORS];
    int input_count, output_count;
};

static int count, passed, refused, failed;

static bool only_our_operators(const struct file *model)
{
    Onnx__ModelProto *proto = onnx__model_proto__unpack(NULL, model->size, model->bytes);
    bool ours = proto && proto->graph;
    for (size_t i = 0; ours && i < proto->graph->n_node; i++) {
        const ProtobufCBinaryData *type = &proto->graph->node[i]->op_type;
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)type->len, (const char *)type->data);
        ours = nn_op_find(name) != NULL;
    }
    if (proto)
        onnx__model_proto__free_unpacked(proto, NULL);
    return ours;
}

/* KIND_0.pb, KIND_1.pb, ... as far as there are any. */
static int read_tensors(const char *directory, const char *kind, struct nn_tensor_file **files,
                        int *count_read)
{
    for (*count_read = 0; *count_read < MAX_TENSORS; ++*count_read) {
        char path[MAX_PATH + 64];
        snprintf(path, sizeof path, "%s/%s_%d.pb", directory, kind, *count_read);
        struct file f;
        f.bytes = file_whole(path, &f.size);
        if (!f.bytes)
            return 0;
        int r = nn_tensor_file_load(f.bytes, f.size, path, &files[*count_read], NULL);
        free(f.bytes);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_data_set(struct data_set *set, const char *directory)
{
    int r = read_tensors(directory, "input", set->inputs, &set->input_count);
    return r < 0 ? r : read_tensors(directory, "output", set->outputs, &set->output_count);
}

static void free_data_set(struct data_set *set)
{
    for (int i = 0; i < set->input_count; i++)
        nn_tensor_file_destroy(set->inputs[i]);
    for (int i = 0; i < set->output_count; i++)
        nn_tensor_file_destroy(set->outputs[i]);
    free(set);
}

static double element(const struct nn_tensor *t, int64_t i)
{
    switch (t->type) {
    case NN_TYPE_FLOAT:
        return ((const float *)t->data)[i];
    case NN_TYPE_INT64:
        return (double)((const int64_t *)t->data)[i];
    case NN_TYPE_UINT64:
        return (double)((const uint64_t *)t->data)[i];
    case NN_TYPE_INT32:
        return ((const int32_t *)t->data)[i];
    case NN_TYPE_UINT32:
        return ((const uint32_t *)t->data)[i];
    case NN_TYPE_INT16:
        return ((const int16_t *)t->data)[i];
    case NN_TYPE_UINT16:
        return ((const uint16_t *)t->data)[i];
    case NN_TYPE_INT8:
        return ((const int8_t *)t->data)[i];
    default:
        return ((const uint8_t *)t->data)[i];
    }
}

static bool close_enough(const struct nn_tensor *got, const struct nn_tensor *want, char *why,
                         size_t why_size)
{
    if (got->type != want->type || !nn_shape_equal(&got->shape, &want->shape)) {
        snprintf(why, why_size, "wrong type or shape");
        return false;
    }
    for (int64_t i = 0; i < nn_shape_count(&want->shape); i++) {
        double a = element(got, i), b = element(want, i);
        if (isnan(a) && isnan(b))
            continue;
        if (!(a == b || fabs(a - b) <= 1e-5 + 1e-3 * fabs(b))) {
            snprintf(why, why_size, "element %lld is %g, not %g", (long long)i, a, b);
            return false;
        }
    }
    return true;
}

/* Which tensor of the data set feeds model input `index`: by name where they have names. */
static const struct nn_tensor *input_for(const struct data_set *set,
                                         const struct nn_model *model, size_t index)
{
    for (int i = 0; i < set->input_count; i++)
        if (strcmp(nn_tensor_file_name(set->inputs[i]), nn_model_input(model, index)->name) ==
            0)
            return nn_tensor_file_tensor(set->inputs[i]);
    return index < (size_t)set->input_count ? nn_tensor_file_tensor(set->inputs[index]) : NULL;
}

/* A session that has run. */
static int run_once(struct nn_plan *plan, const struct nn_model *model,
                    const struct data_set *set, struct nn_session **ret_session,
                    struct nn_error *err)
{
    struct nn_session *session = NULL;
    int r = nn_session_create(plan, &session, err);
    for (size_t i = 0; r == 0 && i < nn_model_input_count(model); i++) {
        const struct nn_tensor *from = input_for(set, model, i);
        memcpy(nn_session_input(session, i)->data, from->data, nn_tensor_bytes(from));
    }
    if (r == 0)
        r = nn_session_run(session, err);
    if (r < 0)
        nn_session_destroy(session);
    else
        *ret_session = session;
    return r;
}

static int run_session(struct nn_plan *plan, const struct nn_model *model,
                       const struct data_set *set, char *why, size_t why_size)
{
    struct nn_session *session = NULL;
    struct nn_error err = {{0}};
    int r = run_once(plan, model, set, &session, &err);
    if (r < 0)
        snprintf(why, why_size, "%s", err.text);
    for (int i = 0; r == 0 && i < set->output_count; i++)
        if (!close_enough(nn_session_output(session, (size_t)i),
                          nn_tensor_file_tensor(set->outputs[i]), why, why_size))
            r = -EDOM;
    nn_session_destroy(session);
    return r;
}

static bool same_bits(const struct nn_session *a, const struct nn_session *b, size_t outputs)
{
    bool same = true;
    for (size_t i = 0; i < outputs; i++) {
        const struct nn_tensor *x = nn_session_output(a, i), *y = nn_session_output(b, i);
        size_t bytes = nn_tensor_bytes(x);
        same = same && nn_shape_equal(&x->shape, &y->shape) &&
               memcmp(x->data, y->data, bytes) == 0;
    }
    return same;
}

/* Every weight but the shortest is packed, so that small models have some, too; and a run is
 * split over two threads. */
static int run_packed(const struct file *file, struct nn_plan *plan,
                      const struct nn_plan_options *options, const struct data_set *set,
                      char *why, size_t why_size)
{
    struct nn_model *model = NULL;
    struct nn_plan *packed = NULL;
    struct nn_session *session = NULL, *direct = NULL;
    struct nn_error err = {{0}};
    struct nn_plan_options split = *options;
    split.threads = 2;
    int r = packing_reload(plan, file->bytes, file->size, 64, &model, &err);
    if (r == 0)
        r = nn_plan_create(model, &split, &packed, &err);
    if (r == 0)
        r = run_once(packed, model, set, &session, &err);
    if (r == 0)
        r = run_once(plan, model, set, &direct, &err);
    if (r < 0) {
        snprintf(why, why_size, "packed: %s", err.text);
        r = r == -ENOTSUP ? -EINVAL : r;
    } else if (!same_bits(direct, session, nn_model_output_count(model))) {
        snprintf(why, why_size, "packed and on two threads: the results are others");
        r = -EDOM;
    }
    nn_session_destroy(direct);
    nn_session_destroy(session);
    nn_plan_unref(packed);
    nn_model_unref(model);
    return r;
}

/* 0 passed, -ENOTSUP refused, else wrong. Inputs of integers that are shapes or axes are fixed
 * when planning, then all but the first input (the scales of a Resize); a plan that needs none
 * of them is tried first. */
static int run_data_set(const struct file *file, struct nn_model *model,
                        const struct data_set *set, enum nn_kernel_choice kernels, char *why,
                        size_t why_size)
{
    struct nn_shape shapes[MAX_TENSORS];
    struct nn_tensor values[MAX_TENSORS];
    size_t inputs = nn_model_input_count(model);
    for (size_t i = 0; i < inputs; i++) {
        const struct nn_tensor *from = i < MAX_TENSORS ? input_for(set, model, i) : NULL;
        if (!from || from->type != nn_model_input(model, i)->type) {
            snprintf(why, why_size, "the data set does not fit the model");
            return -EINVAL;
        }
        shapes[i] = from->shape;
        values[i] = *from;
        if (from->type == NN_TYPE_FLOAT && from->shape.rank > 0)
            values[i].data = NULL;
    }
    struct nn_error err = {{0}};
    struct nn_plan *plan = NULL;
    struct nn_plan_options options = {
        .input_shapes = shapes, .kernels = kernels, .time_axis = -1};
    int r = nn_plan_create(model, &options, &plan, &err);
    options.input_values = r == -ENOTSUP ? values : NULL;
    if (r == -ENOTSUP)
        r = nn_plan_create(model, &options, &plan, &err);
    for (size_t i = 1; i < inputs && r == -ENOTSUP; i++)
        values[i].data = input_for(set, model, i)->data;
    if (r == -ENOTSUP)
        r = nn_plan_create(model, &options, &plan, &err);
    if (r < 0) {
        snprintf(why, why_size, "%s", err.text);
        return r;
    }
    r = run_session(plan, model, set, why, why_size);
    if (r == 0 && kernels == NN_KERNELS_BEST)
        r = run_packed(file, plan, &options, set, why, why_size);
    nn_plan_unref(plan);
    return r;
}

static int run_test(const struct file *file, const char *directory, char *why, size_t why_size)
{
    struct nn_model *model = NULL;
    struct nn_error err = {{0}};
    int r = nn_model_load(file->bytes, file->size, &model, &err);
    if (r < 0) {
        snprintf(why, why_size, "%s", err.text);
        return r;
    }
    int sets = 0;
    for (; r == 0; sets++) {
        char path[MAX_PATH];
        struct stat st;
        snprintf(path, sizeof path, "%s/test_data_set_%d", directory, sets);
        if (stat(path, &st) < 0)
            break;
        struct data_set *set = calloc(1, sizeof *set);
        if (!set)
            abort();
        r = read_data_set(set, path);
        if (r == 0)
            r = run_data_set(file, model, set, NN_KERNELS_BEST, why, why_size);
        if (r == 0)
            r = run_data_set(file, model, set, NN_KERNELS_REFERENCE, why, why_size);
        free_data_set(set);
    }
    nn_model_unref(model);
    if (r == 0 && sets == 0) {
        snprintf(why, why_size, "no data sets");
        return -ENOENT;
    }
    return r;
}

static void report(const char *name, int r, const char *why)
{
    count++;
    if (r == 0)
        printf("ok %d - %s\n", count, name);
    else if (r == -ENOTSUP)
        printf("ok %d - %s # SKIP refused: %s\n", count, name, why);
    else
        printf("not ok %d - %s\n# %s\n", count, name, why);
    passed += r == 0;
    refused += r == -ENOTSUP;
    failed += r != 0 && r != -ENOTSUP;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void walk(const char *directory, const char *name)
{
    char path[MAX_PATH];
    snprintf(path, sizeof path, "%s/model.onnx", directory);
    struct file model;
    model.bytes = file_whole(path, &model.size);
    if (model.bytes && only_our_operators(&model)) {
        char why[512] = "";
        report(name, run_test(&model, directory, why, sizeof why), why);
    }
    bool leaf = model.bytes != NULL;
    free(model.bytes);
    struct dirent **entries = NULL;
    int n = leaf ? 0 : scandir(directory, &entries, NULL, by_name);
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.' && entries[i]->d_type == DT_DIR) {
            snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
            walk(path, entries[i]->d_name);
        }
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    const char *root = getenv("VIGIL_TEST_DATA");
    char path[MAX_PATH];
    struct stat st;
    if (argc != 3)
        return 2;
    snprintf(path, sizeof path, "%s/%s", root ? root : "", argv[1]);
    if (!root || !*root || stat(path, &st) < 0) {
        printf("1..0 # SKIP no shared data here\n");
        return 0;
    }
    walk(path, argv[1]);
    int wanted = atoi(argv[2]);
    printf("%s %d - at least %d tests pass\n", passed >= wanted ? "ok" : "not ok", count + 1,
           wanted);
    printf("1..%d\n# %d passed, %d refused, %d wrong\n", count + 1, passed, refused, failed);
    return failed || passed < wanted;
}
