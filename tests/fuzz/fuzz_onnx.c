/* Any bytes as a model: loaded, planned whole, by frames and with another window, and run, with
 * small limits. Nothing is checked but that nothing breaks; the last byte picks the time axis. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nn/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(const struct nn_tensor *t)
{
    int64_t count = nn_shape_count(&t->shape);
    for (int64_t i = 0; i < count && t->type == NN_TYPE_FLOAT; i++)
        ((float *)t->data)[i] = (float)(i % 17) / 8 - 1;
    if (t->type != NN_TYPE_FLOAT)
        memset(t->data, 1, (size_t)count * nn_type_size(t->type));
}

/* Reads every byte of the outputs, so that a sanitizer sees those that are not there. */
static unsigned read_outputs(const struct nn_session *session, const struct nn_model *model)
{
    unsigned sum = 0;
    for (size_t i = 0; i < nn_model_output_count(model); i++) {
        const struct nn_tensor *t = nn_session_output(session, i);
        size_t bytes = (size_t)nn_shape_count(&t->shape) * nn_type_size(t->type);
        for (size_t b = 0; b < bytes; b++)
            sum += ((const uint8_t *)t->data)[b];
    }
    return sum;
}

static void run(struct nn_model *model, int time_axis, int window)
{
    struct nn_plan_options options = {
        .time_axis = time_axis, .window = window, .limit_bytes = 128 * 1024};
    struct nn_plan *plan = NULL;
    struct nn_session *session = NULL;
    struct nn_error err;
    if (nn_plan_create(model, &options, &plan, &err) == 0 &&
        nn_session_create(plan, &session, &err) == 0) {
        for (size_t i = 0; i < nn_model_input_count(model); i++)
            fill(nn_session_input(session, i));
        if (nn_session_run(session, &err) == 0) {
            volatile unsigned keep = read_outputs(session, model);
            (void)keep;
        }
    }
    nn_session_destroy(session);
    nn_plan_unref(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nn_model *model = NULL;
    struct nn_error err;
    if (nn_model_load(data, size, &model, &err) < 0)
        return 0;
    run(model, -1, 0);
    run(model, data[size - 1] % 4, 0);
    run(model, data[size - 1] % 4, 3);
    nn_model_unref(model);
    return 0;
}
