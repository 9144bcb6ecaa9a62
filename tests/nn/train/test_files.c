/* What leaves training and comes back: exported models and checkpoints. */
#include <math.h>

#include "nn/train/checkpoint.h"
#include "nn/train/export.h"
#include "tests/nn/net.h"

/* y = x · w + b, softmax, with another initializer that nothing learns. */
static struct onnx_bytes small_model(void)
{
    struct onnx b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(-1, 3));
    onnx_floats(&b, "w", DIMS(3, 2), (const float[]){1, 2, 3, 4, 5, 6});
    onnx_floats(&b, "b", DIMS(2), (const float[]){0, 1});
    onnx_ints(&b, "shape", DIMS(2), (const int64_t[]){-1, 3});
    onnx_node(&b, "Reshape", "x shape", "r");
    onnx_node(&b, "Gemm", "r w b", "g");
    onnx_node(&b, "Softmax", "g", "y");
    onnx_output(&b, "y", 1, DIMS(-1, 2));
    onnx_metadata(&b, "vigil.labels", "old");
    onnx_metadata(&b, "kept", "yes");
    return onnx_finish(&b);
}

static struct nn_model *load(const void *bytes, size_t size)
{
    struct nn_model *model = NULL;
    struct nn_error err = {{0}};
    ck_assert_msg(nn_model_load(bytes, size, &model, &err) == 0, "%s", err.text);
    return model;
}

static struct train_net *learn(const struct onnx_bytes *bytes, int64_t batch)
{
    struct nn_shape shape = {.rank = 2, .dim = {batch, 3}};
    struct train_options options = {.input_shapes = &shape};
    struct nn_model *model = load(bytes->data, bytes->size);
    struct train_net *net = NULL;
    struct nn_error err = {{0}};
    ck_assert_msg(train_net_create(model, &options, &net, &err) == 0, "%s", err.text);
    nn_model_unref(model);
    return net;
}

START_TEST(an_exported_model_gives_what_the_network_gives)
{
    struct onnx_bytes bytes = small_model();
    struct train_net *net = learn(&bytes, 4);
    const struct train_metadata metadata[] = {{"vigil.labels", "a,b"}, {"vigil.task", "x"}};
    struct nn_error err = {{0}};
    void *out = NULL;
    size_t size = 0;
    float *x = train_net_input(net, 0)->data;
    ck_assert_uint_eq(train_net_parameter_count(net), 2);
    for (size_t i = 0; i < 12; i++)
        x[i] = 0.1f * (float)(i % 5) - 0.2f;
    for (size_t p = 0; p < 2; p++)
        for (size_t i = 0; i < train_net_parameter(net, p)->count; i++)
            ((float *)train_net_parameter(net, p)->value)[i] += 0.3f * (float)(i % 3);
    ck_assert_int_eq(train_net_forward(net, true, 1, &err), 0);
    ck_assert_int_eq(train_export(net, bytes.data, bytes.size, metadata, 2, &out, &size, &err),
                     0);

    struct nn_model *model = load(out, size);
    struct nn_shape shape = {.rank = 2, .dim = {4, 3}};
    struct net runs =
        net_plan(model, &(struct nn_plan_options){.input_shapes = &shape, .time_axis = -1});
    ck_assert_str_eq(nn_model_metadata(model, "vigil.labels"), "a,b");
    ck_assert_str_eq(nn_model_metadata(model, "vigil.task"), "x");
    ck_assert_str_eq(nn_model_metadata(model, "kept"), "yes");
    ck_assert_uint_eq(nn_model_metadata_count(model), 3);
    net_set(&runs, 0, x);
    net_run(&runs);
    const float *want = train_net_output(net, 0)->data;
    for (size_t i = 0; i < 8; i++)
        ck_assert_float_eq_tol(net_floats(&runs, 0)[i], want[i], 1e-6f);
    net_free(&runs);
    train_net_destroy(net);
    free(out);
    free(bytes.data);
}
END_TEST

/* Entries that are changed, left out, added, and left out where they are not. */
START_TEST(metadata_that_is_no_longer_true_goes)
{
    struct onnx_bytes bytes = small_model();
    struct train_net *net = learn(&bytes, 1);
    const struct train_metadata first[] = {{"a", "1"}, {"b", "2"}, {"c", "3"}};
    const struct train_metadata then[] = {{"none", NULL}, {"a", NULL}, {"c", "4"}, {"d", "5"}};
    void *out[2] = {NULL};
    size_t size[2] = {0};
    ck_assert_int_eq(
        train_export(net, bytes.data, bytes.size, first, 3, &out[0], &size[0], NULL), 0);
    ck_assert_int_eq(train_export(net, out[0], size[0], then, 4, &out[1], &size[1], NULL), 0);
    struct nn_model *model = load(out[1], size[1]);
    ck_assert_ptr_null(nn_model_metadata(model, "a"));
    ck_assert_str_eq(nn_model_metadata(model, "b"), "2");
    ck_assert_str_eq(nn_model_metadata(model, "c"), "4");
    ck_assert_str_eq(nn_model_metadata(model, "d"), "5");
    ck_assert_str_eq(nn_model_metadata(model, "kept"), "yes");
    ck_assert_uint_eq(nn_model_metadata_count(model), 5); /* and labels */
    nn_model_unref(model);
    train_net_destroy(net);
    free(out[0]);
    free(out[1]);
    free(bytes.data);
}
END_TEST

START_TEST(a_model_is_not_exported_into_another_file)
{
    struct onnx_bytes bytes = small_model();
    struct onnx other = onnx_start(13);
    struct nn_error err = {{0}};
    struct train_net *net = learn(&bytes, 1);
    onnx_input(&other, "x", 1, DIMS(1, 3));
    onnx_node(&other, "Relu", "x", "y");
    onnx_output(&other, "y", 1, DIMS(1, 3));
    struct onnx_bytes wrong = onnx_finish(&other);
    void *out = NULL;
    size_t size = 0;
    ck_assert_int_eq(train_export(net, wrong.data, wrong.size, NULL, 0, &out, &size, &err),
                     -EINVAL);
    ck_assert_ptr_nonnull(strstr(err.text, "not the file"));
    train_net_destroy(net);
    free(wrong.data);
    free(bytes.data);
}
END_TEST

/* Numbers that a checkpoint must give back to the bit. */
struct state {
    float weights[5];
    int64_t steps[2];
};

static const struct state some = {{0, -0.0f, 1e-42f, 3.1415927f, INFINITY},
                                  {INT64_MIN, 1234567890123}};

static void items_of(struct state *s, struct train_checkpoint_item *items)
{
    items[0] = (struct train_checkpoint_item){"weights", NN_TYPE_FLOAT, s->weights, 5};
    items[1] = (struct train_checkpoint_item){"steps", NN_TYPE_INT64, s->steps, 2};
}

static void *pack(size_t *ret_size)
{
    struct state s = some;
    struct train_checkpoint_item items[2];
    struct nn_error err = {{0}};
    void *bytes = NULL;
    items_of(&s, items);
    ck_assert_int_eq(train_checkpoint_pack("recipe 1", items, 2, &bytes, ret_size, &err), 0);
    return bytes;
}

START_TEST(a_checkpoint_gives_back_every_bit)
{
    struct state s = {0};
    struct train_checkpoint_item items[2];
    struct nn_error err = {{0}};
    size_t size;
    void *bytes = pack(&size);
    items_of(&s, items);
    ck_assert_int_eq(train_checkpoint_read(bytes, size, "recipe 1", items, 2, &err), 0);
    ck_assert_mem_eq(&s, &some, sizeof s);
    free(bytes);
}
END_TEST

static void expect_refused(const void *bytes, size_t size, const char *identity,
                           const struct train_checkpoint_item *items, size_t count,
                           const char *text)
{
    struct nn_error err = {{0}};
    ck_assert_int_eq(train_checkpoint_read(bytes, size, identity, items, count, &err), -EINVAL);
    ck_assert_msg(strstr(err.text, text) != NULL, "'%s' does not say '%s'", err.text, text);
}

START_TEST(a_checkpoint_that_does_not_fit_changes_nothing)
{
    struct state s = {{1, 2, 3, 4, 5}, {6, 7}}, before = s;
    struct train_checkpoint_item items[3];
    size_t size;
    void *bytes = pack(&size);
    items_of(&s, items);
    expect_refused(bytes, size, "recipe 2", items, 2, "of another recipe");
    items[1].count = 1;
    expect_refused(bytes, size, "recipe 1", items, 2, "another 'steps'");
    items[1].count = 2;
    items[1].type = NN_TYPE_FLOAT;
    expect_refused(bytes, size, "recipe 1", items, 2, "another 'steps'");
    items_of(&s, items);
    items[2] = (struct train_checkpoint_item){"moments", NN_TYPE_FLOAT, s.weights, 5};
    expect_refused(bytes, size, "recipe 1", items, 3, "no 'moments'");
    for (size_t cut = 0; cut < size; cut++) {
        struct nn_error err = {{0}};
        ck_assert_int_lt(train_checkpoint_read(bytes, cut, "recipe 1", items, 2, &err), 0);
    }
    ck_assert_mem_eq(&s, &before, sizeof s);
    free(bytes);
    struct onnx_bytes model = small_model();
    expect_refused(model.data, model.size, "recipe 1", items, 2, "no checkpoint");
    free(model.data);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("files");
    tcase_add_test(all, an_exported_model_gives_what_the_network_gives);
    tcase_add_test(all, metadata_that_is_no_longer_true_goes);
    tcase_add_test(all, a_model_is_not_exported_into_another_file);
    tcase_add_test(all, a_checkpoint_gives_back_every_bit);
    tcase_add_test(all, a_checkpoint_that_does_not_fit_changes_nothing);
    return suite_run("nn/train/files", &all, 1);
}
