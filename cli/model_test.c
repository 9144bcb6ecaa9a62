#include "cli/model_test.h"

#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/shape.h"
#include "nn/session.h"
#include "nn/tensorfile.h"
#include "pipeline/modelfile.h"
#include "record/file.h"

#define DATA_SET_PREFIX "test_data_set_"

/* One data set: arrays of struct nn_tensor_file. */
struct data_set {
    GPtrArray *inputs, *outputs;
};

/* A test at work. */
struct model_test {
    const struct model_test_options *options;
    enum nn_kernel_choice kernels;
    struct nn_model *model;
    const char *set; /* name of the data set at hand */
    double most;     /* largest difference so far; -1: nothing was compared */
    struct nn_error err;
};

static void destroy_tensor(gpointer tensor)
{
    nn_tensor_file_destroy(tensor);
}

static int read_tensor(const char *folder, const char *name, GPtrArray *tensors,
                       struct nn_error *err)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autoptr(GBytes) bytes = NULL;
    struct nn_tensor_file *tensor = NULL;
    gsize size;
    int r = modelfile_read(path, &bytes, NULL);
    if (r < 0)
        return nn_error_set(err, r, "cannot read %s: %s", name, file_error_text(r));
    const void *data = g_bytes_get_data(bytes, &size);
    r = nn_tensor_file_load(data, size, name, &tensor, err);
    if (r == 0)
        g_ptr_array_add(tensors, tensor);
    return r;
}

/* One more than the greatest N of the files KIND_N.pb among `names`. */
static guint64 count_tensors(const GPtrArray *names, const char *kind)
{
    guint64 count = 0;
    for (guint i = 0; i < names->len; i++) {
        const char *name = names->pdata[i];
        guint64 number;
        if (!g_str_has_prefix(name, kind) || !g_str_has_suffix(name, ".pb"))
            continue;
        g_autofree char *digits =
            g_strndup(name + strlen(kind), strlen(name) - strlen(kind) - strlen(".pb"));
        if (g_ascii_string_to_unsigned(digits, 10, 0, G_MAXINT32, &number, NULL))
            count = MAX(count, number + 1);
    }
    return count;
}

/* Up to the last that is there: with one missing in between, those behind it would be taken for
 * others. */
static int read_tensors(const char *folder, const GPtrArray *names, const char *kind,
                        GPtrArray *tensors, struct nn_error *err)
{
    guint64 count = count_tensors(names, kind);
    int r = 0;
    for (guint64 n = 0; n < count && r == 0; n++) {
        g_autofree char *name = g_strdup_printf("%s%" G_GUINT64_FORMAT ".pb", kind, n);
        r = read_tensor(folder, name, tensors, err);
    }
    return r;
}

/* The names in a folder; freed with g_ptr_array_unref(). */
static int list_folder(const char *folder, GPtrArray **ret_names, struct nn_error *err)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(folder, 0, &error);
    if (!dir)
        return nn_error_set(err, -EIO, "cannot be read: %s", cli_reason(error));
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    for (const char *name; (name = g_dir_read_name(dir)) != NULL;)
        g_ptr_array_add(names, g_strdup(name));
    *ret_names = names;
    return 0;
}

static int read_data_set(const char *folder, const struct data_set *set, struct nn_error *err)
{
    g_autoptr(GPtrArray) names = NULL;
    int r = list_folder(folder, &names, err);
    if (r == 0)
        r = read_tensors(folder, names, "input_", set->inputs, err);
    return r < 0 ? r : read_tensors(folder, names, "output_", set->outputs, err);
}

/* The tensor that belongs to a model's input or output; NULL without one. */
static const struct nn_tensor *find_tensor(const GPtrArray *tensors, const char *name,
                                           size_t index)
{
    for (guint i = 0; i < tensors->len; i++)
        if (strcmp(nn_tensor_file_name(tensors->pdata[i]), name) == 0)
            return nn_tensor_file_tensor(tensors->pdata[i]);
    return index < tensors->len ? nn_tensor_file_tensor(tensors->pdata[index]) : NULL;
}

/* --- running ------------------------------------------------------------------------------ */

/* There is something to compare every output with. */
static int check_expected(struct model_test *test, const struct data_set *set)
{
    for (size_t i = 0; i < nn_model_output_count(test->model); i++) {
        const char *name = nn_model_output(test->model, i)->name;
        if (!find_tensor(set->outputs, name, i))
            return nn_error_set(&test->err, -EINVAL,
                                "output_%zu.pb is missing: no tensor for output '%.80s'", i,
                                name);
    }
    return 0;
}

static int gather_inputs(struct model_test *test, const struct data_set *set,
                         struct nn_tensor *inputs)
{
    for (size_t i = 0; i < nn_model_input_count(test->model); i++) {
        const struct nn_value_info *info = nn_model_input(test->model, i);
        const struct nn_tensor *tensor = find_tensor(set->inputs, info->name, i);
        if (!tensor)
            return nn_error_set(&test->err, -EINVAL,
                                "input_%zu.pb is missing: no tensor for input '%.80s'", i,
                                info->name);
        if (tensor->type != info->type)
            return nn_error_set(&test->err, -EINVAL, "input '%.80s' is %s, its tensor %s",
                                info->name, nn_type_name(info->type),
                                nn_type_name(tensor->type));
        inputs[i] = *tensor;
    }
    return 0;
}

/* A plan that leaves every input open is tried first: it is what a stream would run. Then one
 * with the integers and scalars known, which some exporters feed from outside to say shapes and
 * axes, then one where all but the first input are (the scales of a Resize). */
static int make_plan(struct model_test *test, const struct nn_tensor *inputs,
                     struct nn_plan **ret_plan)
{
    size_t count = nn_model_input_count(test->model);
    g_autofree struct nn_shape *shapes = g_new0(struct nn_shape, count + 1);
    g_autofree struct nn_tensor *values = g_new0(struct nn_tensor, count + 1);
    for (size_t i = 0; i < count; i++) {
        shapes[i] = inputs[i].shape;
        values[i] = inputs[i];
        if (inputs[i].type == NN_TYPE_FLOAT && inputs[i].shape.rank > 0)
            values[i].data = NULL;
    }
    struct nn_plan_options options = {
        .input_shapes = shapes, .kernels = test->kernels, .time_axis = -1};
    int r = nn_plan_create(test->model, &options, ret_plan, &test->err);
    options.input_values = values;
    if (r == -ENOTSUP)
        r = nn_plan_create(test->model, &options, ret_plan, &test->err);
    for (size_t i = 1; i < count; i++)
        values[i].data = inputs[i].data;
    if (r == -ENOTSUP)
        r = nn_plan_create(test->model, &options, ret_plan, &test->err);
    return r;
}

/* The line for an output that is not what it should be. */
static char *describe_difference(const struct model_test *test, size_t index,
                                 const struct nn_tensor *got, const struct nn_tensor *want,
                                 const struct compare_difference *d)
{
    const char *node, *op;
    nn_model_output_source(test->model, index, &node, &op);
    g_autofree char *source =
        node ? g_strdup_printf("node '%s' (%s)", node, op) : g_strdup("an input or constant");
    g_autofree char *where = g_strdup_printf("%s: output '%s' of %s", test->set,
                                             nn_model_output(test->model, index)->name, source);
    if (got->type != want->type)
        return g_strdup_printf("%s is %s, not %s", where, nn_type_name(got->type),
                               nn_type_name(want->type));
    if (!d->same_form) {
        g_autofree char *is = shape_text(&got->shape), *should = shape_text(&want->shape);
        return g_strdup_printf("%s is %s, not %s", where, is, should);
    }
    const struct nn_shape spot = shape_place(&want->shape, d->at);
    g_autofree char *place = shape_text(&spot);
    return g_strdup_printf("%s: largest error %.3g at %s: %.9g, not %.9g; %" G_GINT64_FORMAT
                           " of %" G_GINT64_FORMAT " elements are off",
                           where, d->largest, place, d->got, d->want, d->outside, d->count);
}

/* *ret_why is of the first output that is off; *most (which may be NULL) rises to the largest
 * difference of all. */
static enum model_verdict check_outputs(const struct model_test *test,
                                        const struct nn_session *session,
                                        const struct data_set *set, double *most,
                                        char **ret_why)
{
    enum model_verdict verdict = MODEL_PASSED;
    for (size_t i = 0; i < nn_model_output_count(test->model); i++) {
        const struct nn_value_info *info = nn_model_output(test->model, i);
        const struct nn_tensor *want = find_tensor(set->outputs, info->name, i);
        const struct nn_tensor *got = nn_session_output(session, i);
        struct compare_difference difference;
        bool same = compare_tensors(got, want, &test->options->tolerance, &difference);
        if (most && difference.same_form)
            *most = MAX(*most, difference.most);
        if (same || verdict == MODEL_FAILED)
            continue;
        *ret_why = describe_difference(test, i, got, want, &difference);
        verdict = MODEL_FAILED;
    }
    return verdict;
}

/* 0 with a session that has run, or negative errno with test->err. */
static int run_model(struct model_test *test, const struct data_set *set,
                     struct nn_session **ret_session)
{
    size_t count = nn_model_input_count(test->model);
    g_autofree struct nn_tensor *inputs = g_new0(struct nn_tensor, count + 1);
    struct nn_plan *plan = NULL;
    struct nn_session *session = NULL;
    int r = gather_inputs(test, set, inputs);
    if (r == 0)
        r = make_plan(test, inputs, &plan);
    if (r == 0)
        r = nn_session_create(plan, &session, &test->err);
    nn_plan_unref(plan);
    for (size_t i = 0; r == 0 && i < count; i++) {
        size_t bytes = nn_tensor_bytes(&inputs[i]);
        if (bytes > 0)
            memcpy(nn_session_input(session, i)->data, inputs[i].data, bytes);
    }
    if (r == 0)
        r = nn_session_run(session, &test->err);
    if (r < 0)
        nn_session_destroy(session);
    else
        *ret_session = session;
    return r;
}

static enum model_verdict give_up(const struct model_test *test, int code, char **ret_why)
{
    *ret_why = test->set ? g_strdup_printf("%s: %s", test->set, test->err.text)
                         : g_strdup(test->err.text);
    return code == -ENOTSUP ? MODEL_UNSUPPORTED : MODEL_FAILED;
}

/* Whose fault a wrong output is: the reference kernels run the graph as it is written, in plain
 * loops, so when they are right it is the fast kernels or what was fused for them. */
static void blame(struct model_test *test, const struct data_set *set, char **why)
{
    struct nn_session *session = NULL;
    const enum nn_kernel_choice asked = test->kernels;
    test->kernels = NN_KERNELS_REFERENCE;
    int r = run_model(test, set, &session);
    test->kernels = asked;
    if (r < 0)
        return;
    g_autofree char *told = *why, *theirs = NULL;
    bool right = check_outputs(test, session, set, NULL, &theirs) == MODEL_PASSED;
    *why = g_strconcat(told,
                       right ? "; the reference kernels are right: a fault of the fast ones"
                             : "; the reference kernels are off as well",
                       NULL);
    nn_session_destroy(session);
}

static enum model_verdict run_data_set(struct model_test *test, const char *folder,
                                       char **ret_why)
{
    g_autoptr(GPtrArray) inputs = g_ptr_array_new_with_free_func(destroy_tensor);
    g_autoptr(GPtrArray) outputs = g_ptr_array_new_with_free_func(destroy_tensor);
    const struct data_set set = {inputs, outputs};
    struct nn_session *session = NULL;
    int r = read_data_set(folder, &set, &test->err);
    if (r == 0)
        r = check_expected(test, &set);
    if (r == 0)
        r = run_model(test, &set, &session);
    if (r < 0)
        return give_up(test, r, ret_why);
    enum model_verdict verdict = check_outputs(test, session, &set, &test->most, ret_why);
    nn_session_destroy(session);
    if (verdict == MODEL_FAILED && test->kernels != NN_KERNELS_REFERENCE)
        blame(test, &set, ret_why);
    return verdict;
}

/* --- the folder --------------------------------------------------------------------------- */

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of the data sets, in order. */
static int find_data_sets(const char *folder, GPtrArray **ret_names, struct nn_error *err)
{
    g_autoptr(GPtrArray) names = NULL;
    int r = list_folder(folder, &names, err);
    if (r < 0)
        return r;
    for (guint i = names->len; i-- > 0;)
        if (!g_str_has_prefix(names->pdata[i], DATA_SET_PREFIX))
            g_ptr_array_remove_index_fast(names, i);
    if (names->len == 0)
        return nn_error_set(err, -ENOENT, "there is no " DATA_SET_PREFIX "0 beside model.onnx");
    g_ptr_array_sort(names, by_name);
    *ret_names = g_steal_pointer(&names);
    return 0;
}

static int load_model(struct model_test *test, const char *folder)
{
    g_autofree char *path = g_build_filename(folder, "model.onnx", NULL);
    g_autoptr(GBytes) bytes = NULL;
    int r = modelfile_read(path, &bytes, &test->err);
    if (r < 0)
        return r;
    gsize size;
    const void *data = g_bytes_get_data(bytes, &size);
    return nn_model_load(data, size, &test->model, &test->err);
}

static enum model_verdict run_test(struct model_test *test, const char *folder, char **ret_why)
{
    g_autoptr(GPtrArray) names = NULL;
    int r = load_model(test, folder);
    if (r == 0)
        r = find_data_sets(folder, &names, &test->err);
    if (r < 0)
        return give_up(test, r, ret_why);
    enum model_verdict verdict = MODEL_PASSED;
    for (guint i = 0; i < names->len && verdict == MODEL_PASSED; i++) {
        g_autofree char *path = g_build_filename(folder, names->pdata[i], NULL);
        test->set = names->pdata[i];
        verdict = run_data_set(test, path, ret_why);
    }
    return verdict;
}

enum model_verdict model_test_run(const char *folder, const struct model_test_options *options,
                                  char **ret_why, double *ret_most)
{
    struct model_test test = {.options = options, .kernels = options->kernels, .most = -1};
    *ret_why = NULL;
    enum model_verdict verdict = run_test(&test, folder, ret_why);
    nn_model_unref(test.model);
    *ret_most = test.most;
    return verdict;
}
