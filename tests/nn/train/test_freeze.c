/* Networks that learn in part: what is frozen stays as it is and computes as in use. */
#include <errno.h>
#include <math.h>

#include "nn/train/fit.h"
#include "nn/train/net.h"
#include "tests/nn/train/design.h"

#define FRONT "conv2d 4 3; batchnorm; activation relu; maxpool2d 2; dropout 0.5; "
#define BACK  "conv2d 3 2 relu; flatten; dense 2 softmax"

enum { SAMPLES = 24, PIXELS = 2 * 7 * 7 };

static struct train_net *create(struct nn_model *model, const char *freeze, int64_t batch)
{
    struct nn_shape shape = nn_model_input(model, 0)->shape;
    shape.dim[0] = batch;
    struct train_net *net = NULL;
    struct nn_error err = {{0}};
    int r = train_net_create(
        model, &(struct train_options){.input_shapes = &shape, .freeze = freeze}, &net, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    return net;
}

static const struct train_net_parameter *parameter(const struct train_net *net,
                                                   const char *name)
{
    for (size_t i = 0; i < train_net_parameter_count(net); i++)
        if (strcmp(train_net_parameter(net, i)->name, name) == 0)
            return train_net_parameter(net, i);
    return NULL;
}

/* By what a layer makes, and by a node within one. */
static const char *const places[] = {"dropout", "max_pooling2d/MaxPool", "batch_normalization",
                                     "conv2d/Conv", "conv2d_1"};

START_TEST(what_is_frozen_is_no_parameter)
{
    struct train_design *design = design_make("7x7x2", FRONT BACK, 1);
    struct nn_model *model = design_load(design);
    struct train_net *net = create(model, places[_i], 1);
    bool norm = _i < 3 || _i == 4;
    ck_assert_ptr_null(parameter(net, "conv2d.weight"));
    ck_assert_ptr_null(parameter(net, "conv2d.bias"));
    ck_assert_int_eq(parameter(net, "batch_normalization.scale") == NULL, norm);
    ck_assert_int_eq(parameter(net, "batch_normalization.mean") == NULL, norm);
    ck_assert_int_eq(parameter(net, "conv2d_1.weight") == NULL, _i == 4);
    ck_assert_ptr_nonnull(parameter(net, "dense.weight"));
    train_net_destroy(net);
    nn_model_unref(model);
    train_design_destroy(design);
}
END_TEST

/* While it learns, Dropout leaves nothing out and BatchNormalization does not measure. */
START_TEST(what_is_frozen_computes_as_in_use)
{
    struct train_design *design = design_make("7x7x2", FRONT BACK, 1);
    struct nn_model *model = design_load(design);
    struct train_net *net = create(model, "dropout", 3);
    struct net used = design_plan(model, 3);
    design_run(&used, 2);
    memcpy(train_net_input(net, 0)->data, nn_session_input(used.session, 0)->data,
           3 * PIXELS * sizeof(float));
    for (uint64_t seed = 1; seed < 3; seed++) {
        ck_assert_int_eq(train_net_forward(net, true, seed, NULL), 0);
        for (int i = 0; i < 6; i++)
            ck_assert_float_eq_tol(((const float *)train_net_output(net, 0)->data)[i],
                                   net_floats(&used, 0)[i], 1e-6f);
    }
    train_net_destroy(net);
    net_free(&used);
    train_design_destroy(design);
}
END_TEST

/* Gradients of the rest are those of the whole. */
START_TEST(the_rest_learns_what_it_would)
{
    struct train_design *design =
        design_make("7x7x2", "conv2d 4 3 relu; maxpool2d 2; " BACK, 1);
    struct nn_model *model = design_load(design);
    struct train_net *nets[] = {create(model, NULL, 2), create(model, "max_pooling2d", 2)};
    static const char *const names[] = {"conv2d_1.weight", "conv2d_1.bias", "dense.weight",
                                        "dense.bias"};
    for (int n = 0; n < 2; n++) {
        net_fill(train_net_input(nets[n], 0)->data, 2 * PIXELS, 5);
        ck_assert_int_eq(train_net_forward(nets[n], true, 1, NULL), 0);
        memcpy(train_net_head(nets[n])->gradient, (const float[]){1, -2, 3, 0.5f},
               4 * sizeof(float));
        train_net_backward(nets[n]);
    }
    ck_assert_uint_eq(train_net_parameter_count(nets[1]), 4);
    for (int i = 0; i < 4; i++) {
        const struct train_net_parameter *a = parameter(nets[0], names[i]),
                                         *b = parameter(nets[1], names[i]);
        double sum = 0;
        for (size_t j = 0; j < a->count; j++) {
            ck_assert_float_eq_tol(((float *)a->gradient)[j], ((float *)b->gradient)[j], 1e-5f);
            sum += fabs((double)((float *)a->gradient)[j]);
        }
        ck_assert_double_gt(sum, 1e-3);
    }
    train_net_destroy(nets[0]);
    train_net_destroy(nets[1]);
    nn_model_unref(model);
    train_design_destroy(design);
}
END_TEST

/* What nothing can be learned through; a weight that the rest reads too stays as well. */
START_TEST(a_frozen_part_may_have_any_operator)
{
    struct onnx b = onnx_start(13);
    float w[16];
    net_fill(w, 16, 3);
    onnx_input(&b, "x", 1, DIMS(2, 4));
    onnx_floats(&b, "w", DIMS(4, 4), w);
    onnx_floats(&b, "v", DIMS(4, 4), w);
    onnx_node(&b, "MatMul", "x w", "a");
    onnx_node(&b, "Mod", "a x", "m");
    onnx_attribute_int(&b, "fmod", 1);
    onnx_node(&b, "MatMul", "m w", "c");
    onnx_node(&b, "MatMul", "c v", "y");
    onnx_output(&b, "y", 1, DIMS(2, 4));
    struct nn_model *model = net_load(&b);
    struct train_net *net = NULL;
    struct nn_error err = {{0}};
    ck_assert_int_eq(train_net_create(model, NULL, &net, &err), -ENOTSUP);
    ck_assert_msg(strstr(err.text, "(Mod): nothing can be learned") != NULL, "%s", err.text);
    net = create(model, "m", 2);
    ck_assert_uint_eq(train_net_parameter_count(net), 1);
    ck_assert_str_eq(train_net_parameter(net, 0)->name, "v");
    float *x = train_net_input(net, 0)->data;
    for (int i = 0; i < 8; i++)
        x[i] = 0.5f + (float)i / 8;
    ck_assert_int_eq(train_net_forward(net, true, 1, &err), 0);
    struct net used = net_plan(model, NULL);
    net_set(&used, 0, x);
    net_run(&used);
    for (int i = 0; i < 8; i++)
        ck_assert_float_eq_tol(((const float *)train_net_output(net, 0)->data)[i],
                               net_floats(&used, 0)[i], 1e-5f);
    train_net_destroy(net);
    net_free(&used);
}
END_TEST

START_TEST(what_leaves_nothing_to_learn_is_refused)
{
    struct train_design *design = design_make("7x7x2", FRONT BACK, 1);
    struct nn_model *model = design_load(design);
    struct train_net *net = NULL;
    struct nn_error err = {{0}};
    int r = train_net_create(model, &(struct train_options){.freeze = "output"}, &net, &err);
    ck_assert_int_eq(r, -EINVAL);
    ck_assert_msg(strstr(err.text, "nothing to learn before output 'output'"), "%s", err.text);
    r = train_net_create(model, &(struct train_options){.freeze = "conv9"}, &net, &err);
    ck_assert_int_eq(r, -EINVAL);
    ck_assert_msg(strstr(err.text, "no tensor and no layer 'conv9'"), "%s", err.text);
    nn_model_unref(model);
    train_design_destroy(design);
}
END_TEST

/* --- trainings ---------------------------------------------------------------------------- */

static struct train_dataset *pictures(void)
{
    float *block = malloc(SAMPLES * PIXELS * sizeof(float));
    ck_assert_ptr_nonnull(block);
    net_fill(block, SAMPLES * PIXELS, 4);
    for (int i = 0; i < SAMPLES * PIXELS; i++)
        block[i] += i / PIXELS % 2 && i % 7 < 3 ? 1.0f : 0;
    const struct train_memory memory = {.shape = {.rank = 3, .dim = {2, 7, 7}},
                                        .count = SAMPLES,
                                        .type = NN_TYPE_FLOAT,
                                        .block = block,
                                        .stride = PIXELS * sizeof(float)};
    struct train_dataset *data = NULL;
    ck_assert_int_eq(train_dataset_create(&memory, "pictures", &data, NULL), 0);
    for (int i = 0; i < SAMPLES; i++)
        data->labels[i] = i % 2;
    ck_assert_int_eq(train_names_number(&data->classes, 2), 0);
    return data;
}

/* Trains from the file, and returns the file that comes out. */
static struct onnx_bytes train(const struct train_design *design, int threads)
{
    struct train_dataset *data = pictures();
    int samples[SAMPLES];
    for (int i = 0; i < SAMPLES; i++)
        samples[i] = i;
    struct train_fit_options o = {.loss = {.kind = TRAIN_LOSS_SPARSE},
                                  .optimizer = train_optimizer_defaults(TRAIN_OPTIMIZER_ADAMW),
                                  .schedule = train_schedule_defaults(TRAIN_SCHEDULE_CONSTANT),
                                  .batch = 8,
                                  .epochs = 8,
                                  .threads = threads,
                                  .seed = 3,
                                  .scale = 1,
                                  .freeze = "dropout"};
    o.optimizer.rate = 0.02;
    struct train_fit *fit = NULL;
    struct nn_error err = {{0}};
    size_t size;
    const void *bytes = train_design_bytes(design, &size);
    const struct train_selection learn = {data, samples, SAMPLES};
    int r = train_fit_create(bytes, size, &o, &learn, NULL, &fit, &err);
    ck_assert_msg(r == 0, "%s", err.text);
    struct train_epoch epoch = {0};
    double first = 0;
    while (!train_fit_ended(fit)) {
        ck_assert_int_eq(train_fit_epoch(fit, NULL, NULL, &epoch, &err), 0);
        first = epoch.epoch == 1 ? epoch.train.loss : first;
    }
    ck_assert_double_lt(epoch.train.loss, first / 2);
    void *out = NULL;
    ck_assert_int_eq(train_fit_export(fit, NULL, 0, &out, &size, &err), 0);
    train_fit_destroy(fit);
    train_dataset_destroy(data);
    return (struct onnx_bytes){.data = out, .size = size};
}

START_TEST(a_training_leaves_what_is_frozen_to_the_bit)
{
    struct train_design *design = design_make("7x7x2", FRONT BACK, 1);
    struct onnx_bytes one = train(design, 1), two = train(design, 2);
    ck_assert_uint_eq(one.size, two.size);
    ck_assert_mem_eq(one.data, two.data, one.size);
    struct nn_model *before = design_load(design), *after = NULL;
    ck_assert_int_eq(nn_model_load(one.data, one.size, &after, NULL), 0);
    static const char *const names[] = {"conv2d.weight",
                                        "conv2d.bias",
                                        "batch_normalization.scale",
                                        "batch_normalization.bias",
                                        "batch_normalization.mean",
                                        "batch_normalization.variance",
                                        "conv2d_1.weight",
                                        "dense.weight"};
    for (int i = 0; i < 8; i++) {
        const struct nn_tensor *a = design_weight(before, names[i]),
                               *b = design_weight(after, names[i]);
        ck_assert_msg((memcmp(a->data, b->data, nn_tensor_bytes(a)) == 0) == (i < 6), "%s",
                      names[i]);
    }
    free(one.data);
    free(two.data);
    nn_model_unref(before);
    nn_model_unref(after);
    train_design_destroy(design);
}
END_TEST

int main(void)
{
    TCase *all = tcase_create("freeze");
    tcase_add_loop_test(all, what_is_frozen_is_no_parameter, 0,
                        sizeof places / sizeof places[0]);
    tcase_add_test(all, what_is_frozen_computes_as_in_use);
    tcase_add_test(all, the_rest_learns_what_it_would);
    tcase_add_test(all, a_frozen_part_may_have_any_operator);
    tcase_add_test(all, what_leaves_nothing_to_learn_is_refused);
    tcase_add_test(all, a_training_leaves_what_is_frozen_to_the_bit);
    return suite_run("nn/train/freeze", &all, 1);
}
