/* A network from layers, its file loaded: what tests of nn/train/design.h need, with failures
 * as test failures. */
#ifndef TESTS_NN_TRAIN_DESIGN_H
#define TESTS_NN_TRAIN_DESIGN_H

#include "nn/graph.h"
#include "nn/train/design.h"
#include "tests/nn/net.h"

static inline struct train_design *design_make(const char *input, const char *layers,
                                               uint64_t seed)
{
    struct train_design *design = NULL;
    struct nn_error err = {{0}};
    int r = train_design_create(input, layers, seed, &design, &err);
    ck_assert_msg(r == 0, "%s on %s: %s", layers, input, err.text);
    return design;
}

static inline struct nn_model *design_load(const struct train_design *design)
{
    struct nn_model *model = NULL;
    struct nn_error err = {{0}};
    size_t size;
    const void *bytes = train_design_bytes(design, &size);
    int r = nn_model_load(bytes, size, &model, &err);
    ck_assert_msg(r == 0, "load: %s", err.text);
    return model;
}

/* Planned for a batch of that many. */
static inline struct net design_plan(struct nn_model *model, int64_t batch)
{
    struct nn_shape shape = nn_model_input(model, 0)->shape;
    ck_assert_int_eq(shape.dim[0], NN_DIM_DYNAMIC);
    shape.dim[0] = batch;
    return net_plan(model, &(struct nn_plan_options){.input_shapes = &shape, .time_axis = -1});
}

/* Ready to run, with the seed 1. */
static inline struct net design_net(const char *input, const char *layers, int64_t batch)
{
    struct train_design *design = design_make(input, layers, 1);
    struct net net = design_plan(design_load(design), batch);
    train_design_destroy(design);
    return net;
}

/* An initializer by its name. */
static inline const struct nn_tensor *design_weight(const struct nn_model *model,
                                                    const char *name)
{
    for (int i = 0; i < model->value_count; i++)
        if (strcmp(model->values[i].name, name) == 0 && model->values[i].declared.data)
            return &model->values[i].declared;
    ck_abort_msg("there is no weight '%s'", name);
}

static inline const float *design_floats(const struct nn_model *model, const char *name,
                                         struct onnx_dims dims)
{
    const struct nn_tensor *t = design_weight(model, name);
    ck_assert_int_eq(t->type, NN_TYPE_FLOAT);
    ck_assert_int_eq(t->shape.rank, dims.rank);
    for (int d = 0; d < dims.rank; d++)
        ck_assert_msg(t->shape.dim[d] == dims.dim[d], "%s: dimension %d is %lld", name, d,
                      (long long)t->shape.dim[d]);
    return t->data;
}

/* Fills the input with something that every layer can read, and runs. */
static inline void design_run(struct net *net, uint32_t seed)
{
    const struct nn_tensor *input = nn_session_input(net->session, 0);
    int64_t count = nn_shape_count(&input->shape);
    if (input->type == NN_TYPE_INT64)
        for (int64_t i = 0; i < count; i++)
            ((int64_t *)input->data)[i] = net_pick(&seed, 0, 9);
    else
        net_fill(input->data, (size_t)count, seed);
    net_run(net);
}

#endif
