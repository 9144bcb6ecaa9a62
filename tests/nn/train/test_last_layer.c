/* A network's last dense layer for other classes, and all else left as it is. */
#include <errno.h>
#include <math.h>

#include "nn/train/last_layer.h"
#include "tests/nn/train/design.h"

static struct nn_model *renewed(const void *onnx, size_t size, int64_t outputs, uint64_t seed)
{
    struct nn_model *model = NULL;
    struct nn_error err = {{0}};
    void *bytes = NULL;
    int r = train_last_layer_renew(onnx, size, outputs, seed, &bytes, &size, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    r = nn_model_load(bytes, size, &model, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    free(bytes);
    return model;
}

static void expect_last(const struct nn_model *model, int64_t outputs)
{
    const struct nn_shape *shape = &nn_model_output(model, 0)->shape;
    ck_assert_int_eq(shape->dim[shape->rank - 1], outputs);
}

static const struct {
    const char *input, *layers, *weight;
    int64_t inputs;
} networks[] = {
    {"7x7x2", "conv2d 4 3 relu; flatten; dense 2 softmax", "dense.weight", 100},
    {"6x4", "lstm 7 return_sequences; dense 3 sigmoid", "dense.weight", 7},
    {"9", "dense 30 relu; dense 3", "dense_1.weight", 30},
};

/* More outputs and fewer; named once, as the others of the file are. */
START_TEST(the_last_layer_begins_anew)
{
    struct train_design *design = design_make(networks[_i].input, networks[_i].layers, 1);
    struct nn_model *before = design_load(design);
    size_t size;
    const void *bytes = train_design_bytes(design, &size);
    for (int64_t outputs = 1; outputs <= 5; outputs += 4) {
        struct nn_model *after = renewed(bytes, size, outputs, 3);
        expect_last(after, outputs);
        const float *w = design_floats(after, networks[_i].weight,
                                       (struct onnx_dims){2, {networks[_i].inputs, outputs}});
        double most = 0, limit = sqrt(6.0 / (double)(networks[_i].inputs + outputs));
        for (int64_t i = 0; i < networks[_i].inputs * outputs; i++)
            most = fmax(most, fabs((double)w[i]));
        ck_assert(most <= limit && most > limit / 3);
        for (int i = 0; i < before->value_count; i++) {
            const struct nn_tensor *old = &before->values[i].declared;
            const char *name = before->values[i].name;
            if (!old->data || strcmp(name, networks[_i].weight) == 0)
                continue;
            const struct nn_tensor *now = design_weight(after, name);
            if (strncmp(name, networks[_i].weight, strcspn(networks[_i].weight, ".")) == 0 &&
                name[strcspn(networks[_i].weight, ".")] == '.')
                for (int64_t j = 0; j < outputs; j++)
                    ck_assert_float_eq(((float *)now->data)[j], 0); /* its bias */
            else
                ck_assert_mem_eq(old->data, now->data, nn_tensor_bytes(old));
        }
        nn_model_unref(after);
    }
    nn_model_unref(before);
    train_design_destroy(design);
}
END_TEST

START_TEST(a_seed_is_a_file)
{
    struct train_design *design = design_make("9", "dense 3 softmax", 1);
    size_t size, sizes[3];
    void *files[3];
    const void *bytes = train_design_bytes(design, &size);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(
            train_last_layer_renew(bytes, size, 4, i < 2 ? 7 : 8, &files[i], &sizes[i], NULL),
            0);
    ck_assert(sizes[0] == sizes[1] && memcmp(files[0], files[1], sizes[0]) == 0);
    ck_assert(sizes[0] != sizes[2] || memcmp(files[0], files[2], sizes[0]) != 0);
    for (int i = 0; i < 3; i++)
        free(files[i]);
    train_design_destroy(design);
}
END_TEST

/* As PyTorch writes it, with shapes of values in between, which are of the old layer. */
START_TEST(weights_may_lie_the_other_way_round)
{
    struct onnx b = onnx_start(13);
    float w[12], v[3] = {1, 2, 3};
    net_fill(w, 12, 1);
    onnx_input(&b, "x", 1, DIMS(2, 4));
    onnx_floats(&b, "w", DIMS(3, 4), w);
    onnx_floats(&b, "v", DIMS(3), v);
    onnx_node(&b, "Gemm", "x w v", "g");
    onnx_attribute_int(&b, "transB", 1);
    onnx_node(&b, "Softmax", "g", "y");
    onnx_output(&b, "y", 1, DIMS(2, 3));
    onnx_value(&b, 13, "only_stated", 1, DIMS(2, 3));
    struct onnx_bytes file = onnx_finish(&b);
    ck_assert_ptr_nonnull(memmem(file.data, file.size, "only_stated", 11));
    void *bytes = NULL;
    size_t size = 0;
    ck_assert_int_eq(train_last_layer_renew(file.data, file.size, 6, 1, &bytes, &size, NULL),
                     0);
    ck_assert_ptr_null(memmem(bytes, size, "only_stated", 11));
    free(bytes);
    struct nn_model *model = renewed(file.data, file.size, 6, 1);
    expect_last(model, 6);
    design_floats(model, "w", DIMS(6, 4));
    ck_assert_float_eq(design_floats(model, "v", DIMS(6))[5], 0);
    nn_model_unref(model);
    free(file.data);
}
END_TEST

static void expect_refused(const void *onnx, size_t size, int64_t outputs, int code,
                           const char *says)
{
    struct nn_error err = {{0}};
    void *bytes = NULL;
    int r = train_last_layer_renew(onnx, size, outputs, 1, &bytes, &size, &err);
    ck_assert_msg(r == code, "%d: %s", r, err.text);
    ck_assert_msg(strstr(err.text, says) != NULL, "'%s' does not say '%s'", err.text, says);
    ck_assert_ptr_null(bytes);
}

START_TEST(what_ends_otherwise_is_refused_by_name)
{
    static const char *const layers[] = {"conv2d 4 3; global_averagepool2d", "flatten",
                                         "flatten; dense 3 swish"};
    static const char *const says[] = {"(Flatten) is no dense layer", "(Flatten) is no dense",
                                       "(Mul) is no dense layer"};
    size_t size;
    for (int i = 0; i < 3; i++) {
        struct train_design *design = design_make("7x7x2", layers[i], 1);
        const void *bytes = train_design_bytes(design, &size);
        expect_refused(bytes, size, 3, -ENOTSUP, says[i]);
        expect_refused(bytes, size, 0, -EINVAL, "1 to 4096 outputs, not 0");
        expect_refused(bytes, size, 4097, -EINVAL, "not 4097");
        train_design_destroy(design);
    }
    expect_refused("not a model", 11, 3, -EINVAL, "");

    struct onnx b = onnx_start(13);
    float w[16] = {0};
    onnx_input(&b, "x", 1, DIMS(2, 4));
    onnx_floats(&b, "w", DIMS(4, 4), w);
    onnx_node(&b, "MatMul", "x w", "h");
    onnx_node(&b, "MatMul", "h w", "y");
    onnx_output(&b, "y", 1, DIMS(2, 4));
    struct onnx_bytes file = onnx_finish(&b);
    expect_refused(file.data, file.size, 3, -ENOTSUP, "weights that other nodes read");
    free(file.data);

    b = onnx_start(13);
    onnx_input(&b, "x", 1, DIMS(2, 4));
    onnx_node(&b, "Transpose", "x", "t");
    onnx_node(&b, "MatMul", "x t", "y");
    onnx_output(&b, "y", 1, DIMS(2, 2));
    file = onnx_finish(&b);
    expect_refused(file.data, file.size, 3, -ENOTSUP, "weights that are no initializer");
    free(file.data);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("last layer");
    tcase_add_loop_test(all, the_last_layer_begins_anew, 0,
                        sizeof networks / sizeof networks[0]);
    tcase_add_test(all, a_seed_is_a_file);
    tcase_add_test(all, weights_may_lie_the_other_way_round);
    tcase_add_test(all, what_ends_otherwise_is_refused_by_name);
    return suite_run("nn/train/last_layer", &all, 1);
}
