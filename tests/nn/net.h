/* One model, planned and ready to run: what most nn tests need, with failures as test
 * failures. */
#ifndef TESTS_NN_NET_H
#define TESTS_NN_NET_H

#include <errno.h>

#include "nn/session.h"
#include "tests/nn/onnx_builder.h"
#include "tests/suite.h"

struct net {
    struct nn_model *model;
    struct nn_plan *plan;
    struct nn_session *session;
};

static inline struct nn_model *net_load(struct onnx *builder)
{
    struct onnx_bytes bytes = onnx_finish(builder);
    struct nn_model *model = NULL;
    struct nn_error err = {{0}};
    int r = nn_model_load(bytes.data, bytes.size, &model, &err);
    free(bytes.data);
    ck_assert_msg(r == 0, "load: %s", err.text);
    return model;
}

/* Takes the model. */
static inline struct net net_plan(struct nn_model *model, const struct nn_plan_options *options)
{
    struct net net = {.model = model};
    struct nn_error err = {{0}};
    int r = nn_plan_create(model, options, &net.plan, &err);
    ck_assert_msg(r == 0, "plan: %s", err.text);
    r = nn_session_create(net.plan, &net.session, &err);
    ck_assert_msg(r == 0, "session: %s", err.text);
    return net;
}

static inline struct net net_make(struct onnx *builder)
{
    return net_plan(net_load(builder), NULL);
}

static inline void net_free(struct net *net)
{
    nn_session_destroy(net->session);
    nn_plan_unref(net->plan);
    nn_model_unref(net->model);
    *net = (struct net){0};
}

static inline void net_set(struct net *net, size_t input, const void *values)
{
    const struct nn_tensor *t = nn_session_input(net->session, input);
    memcpy(t->data, values, nn_tensor_bytes(t));
}

static inline void net_run(struct net *net)
{
    struct nn_error err = {{0}};
    int r = nn_session_run(net->session, &err);
    ck_assert_msg(r == 0, "run: %s", err.text);
}

/* A run must fail, with a message that holds `text`. */
static inline void net_expect_run_fails(struct net *net, const char *text)
{
    struct nn_error err = {{0}};
    ck_assert_int_eq(nn_session_run(net->session, &err), -EINVAL);
    ck_assert_msg(strstr(err.text, text) != NULL, "'%s' does not say '%s'", err.text, text);
}

static inline const float *net_floats(const struct net *net, size_t output)
{
    const struct nn_tensor *t = nn_session_output(net->session, output);
    ck_assert_int_eq(t->type, NN_TYPE_FLOAT);
    return t->data;
}

static inline void net_expect_shape(const struct net *net, size_t output, struct onnx_dims dims)
{
    const struct nn_shape *shape = &nn_session_output(net->session, output)->shape;
    ck_assert_int_eq(shape->rank, dims.rank);
    for (int i = 0; i < dims.rank; i++)
        ck_assert_int_eq(shape->dim[i], dims.dim[i]);
}

static inline void net_expect_floats(const struct net *net, size_t output,
                                     struct onnx_dims dims, const float *want)
{
    net_expect_shape(net, output, dims);
    for (size_t i = 0; i < onnx_dims_count(dims); i++)
        ck_assert_float_eq_tol(net_floats(net, output)[i], want[i], 1e-5f);
}

/* The model must be refused with `code` and a message that holds `text`, when loading or, if
 * it loads, when planning. */
static inline void net_expect_refused(struct onnx *builder, int code, const char *text)
{
    struct onnx_bytes bytes = onnx_finish(builder);
    struct nn_model *model = NULL;
    struct nn_plan *plan = NULL;
    struct nn_error err = {{0}};
    int r = nn_model_load(bytes.data, bytes.size, &model, &err);
    if (r == 0)
        r = nn_plan_create(model, NULL, &plan, &err);
    free(bytes.data);
    nn_plan_unref(plan);
    nn_model_unref(model);
    ck_assert_msg(r == code, "returned %d (%s), not %d", r, err.text, code);
    ck_assert_msg(strstr(err.text, text) != NULL, "'%s' does not say '%s'", err.text, text);
    ck_assert_msg(!strchr(err.text, '\n'), "over one line: %s", err.text);
}

/* Numbers of 24 bits that are the same everywhere. */
static inline uint32_t net_next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* low..high */
static inline int64_t net_pick(uint32_t *state, int64_t low, int64_t high)
{
    return low + (int64_t)(net_next(state) % (uint32_t)(high - low + 1));
}

/* Numbers in -1..1 that are the same everywhere. */
static inline float net_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(int32_t)*state / 2147483648.0f;
}

static inline void net_fill(float *values, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++)
        values[i] = net_random(&seed);
}

/* The same in memory of their own, for free(). */
static inline float *net_draw(size_t count, uint32_t seed)
{
    float *values = malloc(count * sizeof *values);
    ck_assert_ptr_nonnull(values);
    net_fill(values, count, seed);
    return values;
}

#endif
