/* Any bytes as a model: loaded, planned whole, by frames and with another window, with every
 * kind of weights, on two threads and with the reference kernels, and run, with small limits.
 * Nothing may break, and a second run gives the bytes of the first. The last byte picks the
 * time axis, precision and threads. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nn/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    LIMIT_BYTES = 128 * 1024,
    COMPARED_BYTES = 1 << 20, /* of outputs, which may be constants and inputs */
};

static void fill(const struct nn_tensor *t)
{
    int64_t count = nn_shape_count(&t->shape);
    for (int64_t i = 0; i < count && t->type == NN_TYPE_FLOAT; i++)
        ((float *)t->data)[i] = (float)(i % 17) / 8 - 1;
    if (t->type != NN_TYPE_FLOAT)
        memset(t->data, 1, (size_t)count * nn_type_size(t->type));
}

/* A copy of every byte of the outputs, so that a sanitizer sees those that are not there. */
static size_t copy_outputs(const struct nn_session *session, const struct nn_model *model,
                           char *to)
{
    size_t used = 0;
    for (size_t i = 0; i < nn_model_output_count(model); i++) {
        const struct nn_tensor *t = nn_session_output(session, i);
        size_t bytes = (size_t)nn_shape_count(&t->shape) * nn_type_size(t->type);
        for (size_t b = 0; b < bytes && used < COMPARED_BYTES; b++)
            to[used++] = ((const char *)t->data)[b];
    }
    return used;
}

/* Twice: what a run finds in the arena is what the last one left there, and must not show. */
static void run_session(struct nn_session *session, const struct nn_model *model)
{
    static char first[COMPARED_BYTES], second[COMPARED_BYTES];
    for (size_t i = 0; i < nn_model_input_count(model); i++)
        fill(nn_session_input(session, i));
    if (nn_session_run(session, NULL) < 0)
        return;
    size_t used = copy_outputs(session, model, first);
    if (nn_session_run(session, NULL) < 0 || copy_outputs(session, model, second) != used ||
        memcmp(first, second, used) != 0)
        abort();
}

static void run(struct nn_model *model, const struct nn_plan_options *options)
{
    struct nn_plan *plan = NULL;
    struct nn_session *session = NULL;
    struct nn_error err;
    if (nn_plan_create(model, options, &plan, &err) == 0 &&
        nn_session_create(plan, &session, &err) == 0)
        run_session(session, model);
    nn_session_destroy(session);
    nn_plan_unref(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nn_model *model = NULL;
    struct nn_error err;
    if (nn_model_load(data, size, &model, &err) < 0)
        return 0;
    int last = data[size - 1];
    struct nn_plan_options options = {.time_axis = -1, .limit_bytes = LIMIT_BYTES};
    run(model, &options);
    /* To start threads takes longer than all the rest. */
    options.threads = last % 32 == 0 ? 2 : 1;
    options.precision = (enum nn_precision)(last / 4 % 3);
    run(model, &options);
    options.kernels = NN_KERNELS_REFERENCE;
    run(model, &options);
    options = (struct nn_plan_options){.time_axis = last % 4, .limit_bytes = LIMIT_BYTES};
    run(model, &options);
    options.window = 3;
    run(model, &options);
    nn_model_unref(model);
    return 0;
}
